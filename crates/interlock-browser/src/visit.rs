//! Who looks at which pages, and what is found there.
//!
//! INVARIANT: what is found is printed with the place and the look, so that a person can see it again.

use std::path::Path;

use anyhow::{Context, bail};

use crate::Wanted;
use crate::browser::{Browser, Language, Look};
use crate::crawl::{Place, crawl, pattern};
use crate::driver::Driver;
use crate::hand::Hand;
use crate::june;
use crate::page::judge;
use crate::print;
use crate::world::{Account, MOMENTS, Moment, World};

/// A phone in the hand, a screen on a desk.
const WIDTHS: [u32; 2] = [320, 1_280];
/// How pages are crawled.
const PLAIN: Look = Look {
    language: Language::English,
    width: 1_280,
    dark: false,
};

/// What an auditor prints.
const PRINTED: [&str; 5] = [
    "/console/releases",
    "/console/releases/one",
    "/console/evidence/one",
    "/console/agreements/one",
    "/regulator",
];

/// In which looks June 2017 is done by hand.
const JUNE: [(Look, &str); 2] = [
    (PLAIN, "june-en-1280"),
    (
        Look {
            language: Language::Chinese,
            width: 320,
            dark: false,
        },
        "june-zh-320",
    ),
];

/// Visits all pages; how much was found.
pub(crate) async fn all(wanted: &Wanted, axe: &str, root: &Path) -> anyhow::Result<usize> {
    let driver = Driver::start()?;
    let moments = match wanted.quick {
        true => MOMENTS.get(1..2),
        false => MOMENTS.get(..),
    };
    let mut seen = Seen::default();
    for (look, name) in JUNE {
        let place = root.join(name);
        std::fs::create_dir(&place)
            .with_context(|| format!("failed to make `{}`", place.display()))?;
        eprintln!("June 2017 by hand: {name}");
        let lived = june::live(&driver, look, &place).await;
        lived.with_context(|| format!("June 2017 by hand, {name}"))?;
    }
    for moment in moments.unwrap_or_default() {
        let place = root.join(moment.name);
        std::fs::create_dir(&place)
            .with_context(|| format!("failed to make `{}`", place.display()))?;
        let world = World::at(*moment, &place).await?;
        let tour = Tour {
            wanted,
            axe,
            world: &world,
            moment: *moment,
        };
        tour.all(&driver, &mut seen).await?;
        world.network.stop().await;
    }
    println!(
        "{} pages of {} kinds, each in {} looks: {} shown, {} sheets printed, largest {} bytes, {} findings",
        seen.pages,
        seen.kinds.len(),
        looks(wanted.quick).len(),
        seen.shown,
        seen.sheets,
        seen.largest,
        seen.found
    );
    Ok(seen.found)
}

#[derive(Default)]
struct Seen {
    pages: usize,
    kinds: std::collections::BTreeSet<String>,
    shown: usize,
    sheets: usize,
    largest: u64,
    found: usize,
}

struct Tour<'a> {
    wanted: &'a Wanted,
    axe: &'a str,
    world: &'a World,
    moment: Moment,
}

impl Tour<'_> {
    async fn all(&self, driver: &Driver, seen: &mut Seen) -> anyhow::Result<()> {
        let outside = Browser::start(driver, true).await?;
        let mut open: Vec<Place> = Vec::new();
        for (_, url) in &self.world.open {
            let url: url::Url = url.parse().context("a link is no address")?;
            let pattern = pattern(&url);
            if open.iter().all(|place| place.pattern != pattern) {
                open.push(Place { pattern, url });
            }
        }
        let first = self.world.accounts.first();
        let first = first.context("nobody may log in")?;
        for path in ["/login", "/p/0123456789abcdef0123456789abcdef"] {
            let door = match path {
                "/login" => self.world.desk(first.at)?,
                _ => match open.first() {
                    Some(place) => place.url.origin().ascii_serialization(),
                    None => continue,
                },
            };
            let url: url::Url = format!("{door}{path}").parse()?;
            let pattern = match path {
                "/login" => path.into(),
                _ => "/p/unknown".into(),
            };
            open.push(Place { pattern, url });
        }
        self.show(&outside, "anybody", &open, seen).await?;
        outside.close().await?;
        for account in &self.world.accounts {
            let browser = Browser::start(driver, true).await?;
            browser.look(PLAIN).await?;
            let home = log_in(&browser, self.world, account).await?;
            let places = crawl(&browser, &home).await?;
            self.show(&browser, account.key, &places, seen).await?;
            self.print(&browser, account, &places, seen).await?;
            browser.close().await?;
        }
        Ok(())
    }

    /// Prints what an auditor files, from a browser that shows dark pages.
    async fn print(
        &self,
        browser: &Browser,
        account: &Account,
        places: &[Place],
        seen: &mut Seen,
    ) -> anyhow::Result<()> {
        let filed = places
            .iter()
            .filter(|place| PRINTED.contains(&place.pattern.as_str()));
        let client = browser.client();
        let desk = self.world.desk(account.at)?;
        client.goto(&format!("{desk}/settings?theme=dark")).await?;
        browser.look(PLAIN).await?;
        for place in filed {
            let mut url = place.url.clone();
            url.query_pairs_mut().append_key_only("print");
            client.goto(url.as_str()).await?;
            let name = name_of(self.moment.name, account.key, &place.pattern, PLAIN);
            let file = match &self.wanted.screenshots {
                Some(directory) => directory.join(format!("{name}.pdf")),
                None => self.world.root.join("print.pdf"),
            };
            let judged = print::judge(browser, &file).await;
            let (found, sheets) = judged.with_context(|| format!("printing {url}"))?;
            seen.sheets += sheets;
            seen.found += found.len();
            for finding in found {
                println!("{name}, on paper: {finding}");
            }
        }
        client
            .goto(&format!("{desk}/settings?theme=system"))
            .await?;
        Ok(())
    }

    async fn show(
        &self,
        browser: &Browser,
        who: &str,
        places: &[Place],
        seen: &mut Seen,
    ) -> anyhow::Result<()> {
        seen.pages += places.len();
        eprintln!("{}: {who}: {} pages", self.moment.name, places.len());
        for look in looks(self.wanted.quick) {
            browser.look(look).await?;
            for place in places {
                seen.kinds.insert(format!("{who} {}", place.pattern));
                browser.client().goto(place.url.as_str()).await?;
                let name = name_of(self.moment.name, who, &place.pattern, look);
                if let Some(directory) = &self.wanted.screenshots {
                    let picture = picture(browser).await?;
                    let file = directory.join(format!("{name}.png"));
                    std::fs::write(&file, picture)
                        .with_context(|| format!("failed to write `{}`", file.display()))?;
                }
                let judged = judge(browser, look, self.axe, &self.world.secrets).await;
                let (found, size) = judged.with_context(|| format!("at {}", place.url))?;
                seen.shown += 1;
                seen.largest = seen.largest.max(size);
                seen.found += found.len();
                for finding in found {
                    println!("{name}: {finding}");
                }
            }
        }
        Ok(())
    }
}

async fn picture(browser: &Browser) -> anyhow::Result<Vec<u8>> {
    use base64::Engine as _;
    let text = browser.picture().await?;
    let bytes = base64::engine::general_purpose::STANDARD.decode(text);
    bytes.context("a picture is no base64")
}

fn looks(quick: bool) -> Vec<Look> {
    let mut looks = Vec::new();
    for dark in [false, true] {
        for language in [Language::English, Language::Chinese] {
            for width in WIDTHS {
                looks.push(Look {
                    language,
                    width,
                    dark,
                });
            }
        }
    }
    looks.retain(|look| !(quick && look.dark));
    looks
}

/// `cut-owner-admin-console-partners-en-320`.
fn name_of(moment: &str, who: &str, pattern: &str, look: Look) -> String {
    let page: String = pattern
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() { c } else { '-' })
        .collect();
    let page = page.trim_matches('-');
    let dark = if look.dark { "-dark" } else { "" };
    format!(
        "{moment}-{who}-{page}-{}-{}{dark}",
        look.language.tag(),
        look.width
    )
}

/// Logs in by the form; the address of the person's first page.
async fn log_in(browser: &Browser, world: &World, account: &Account) -> anyhow::Result<String> {
    let hand = Hand::at(browser);
    hand.open(&format!("{}/login", world.desk(account.at)?))
        .await?;
    for (field, text) in [("name", &account.name), ("password", &account.password)] {
        hand.write(&format!("input[name={field}]"), text).await?;
    }
    // Waits for the page that follows, however busy the machine is.
    hand.press("form[action='/login'] button").await?;
    if hand.path().await? == "/login" {
        bail!("`{}` was not let in: {}", account.key, hand.reads().await?);
    }
    Ok(browser.client().current_url().await?.into())
}
