//! Who looks at which pages, and what is found there.
//!
//! INVARIANT: what is found is printed with the place and the look, so that a person can see it again.

use std::path::{Path, PathBuf};

use anyhow::{Context, bail};

use crate::Wanted;
use crate::browser::{Browser, Language, Look};
use crate::crawl::{Place, Then, crawl, pattern};
use crate::driver::Driver;
use crate::hand::Hand;
use crate::june;
use crate::page::judge;
use crate::print;
use crate::spoilt::{MARKS, RECIPIENT, spoil};
use crate::world::{Account, MOMENTS, World};

/// A phone in the hand, a screen on a desk.
const WIDTHS: [u32; 2] = [320, 1_280];
/// Fewest pages that show a name to be afraid of, once everybody has one.
const NAMED_MIN: usize = 100;
/// By then every agreement of the demo has ended.
const REHEARSED_AT: &str = "2018-07-01T00:00:00+08:00";
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

/// In which looks June 2017 is done by hand; in the first two when it must be quick.
const JUNE: [(Look, &str); 4] = [
    (PLAIN, "june-en-1280"),
    (by_hand(Language::Chinese, 320), "june-zh-320"),
    (by_hand(Language::English, 320), "june-en-320"),
    (by_hand(Language::Chinese, 1_280), "june-zh-1280"),
];
const JUNE_QUICK: usize = 2;

const fn by_hand(language: Language, width: u32) -> Look {
    Look {
        language,
        width,
        dark: false,
    }
}

/// Visits all pages; how much was found.
pub(crate) async fn all(wanted: &Wanted, axe: &str, root: &Path) -> anyhow::Result<usize> {
    let driver = Driver::start()?;
    let moments = match (wanted.names, wanted.quick) {
        (true, _) => MOMENTS.get(2..),
        (false, true) => MOMENTS.get(1..2),
        (false, false) => MOMENTS.get(..),
    };
    let moments = moments.unwrap_or_default();
    let mut seen = Seen::default();
    let junes = match (wanted.names, wanted.quick) {
        (true, _) => 0,
        (false, true) => JUNE_QUICK,
        (false, false) => JUNE.len(),
    };
    for (look, name) in JUNE.iter().take(junes) {
        let place = fresh(root, name)?;
        eprintln!("June 2017 by hand: {name}");
        let lived = june::live(&driver, *look, &place).await;
        lived.with_context(|| format!("June 2017 by hand, {name}"))?;
    }
    for (moment, left) in moments.iter().zip((0..moments.len()).rev()) {
        let place = fresh(root, moment.name)?;
        let mut world = World::at(*moment, &place).await?;
        let tour = Tour {
            wanted,
            axe,
            world: &world,
            moment: moment.name,
            looks: looks(wanted.quick),
            spoilt: false,
        };
        if !wanted.names {
            tour.all(&driver, &mut seen).await?;
        }
        if left == 0 {
            spoil(&mut world).await.context("names to be afraid of")?;
            let tour = Tour {
                wanted,
                axe,
                world: &world,
                moment: "spoilt",
                looks: looks(true),
                spoilt: true,
            };
            tour.all(&driver, &mut seen).await?;
            if seen.named < NAMED_MIN {
                bail!("only {} pages show a name to be afraid of", seen.named);
            }
        }
        world.network.stop().await;
    }
    println!(
        "{} kinds of pages, {}: {} shown, {} sheets printed, {} with names to be afraid of, largest {} bytes, {} findings",
        seen.kinds.len(),
        seen.in_looks(),
        seen.shown,
        seen.sheets,
        seen.named,
        seen.largest,
        seen.found
    );
    Ok(seen.found)
}

/// A directory that was not there.
fn fresh(root: &Path, name: &str) -> anyhow::Result<PathBuf> {
    let place = root.join(name);
    std::fs::create_dir(&place).with_context(|| format!("failed to make `{}`", place.display()))?;
    Ok(place)
}

#[derive(Default)]
struct Seen {
    /// Pages, by in how many looks each was shown.
    pages: std::collections::BTreeMap<usize, usize>,
    kinds: std::collections::BTreeSet<String>,
    shown: usize,
    sheets: usize,
    /// Pages shown with a name to be afraid of on them.
    named: usize,
    largest: u64,
    found: usize,
}

impl Seen {
    /// `300 pages each in 8 looks, 120 each in 4`.
    fn in_looks(&self) -> String {
        let mut words = Vec::new();
        for (looks, pages) in self.pages.iter().rev() {
            let (what, how) = match words.is_empty() {
                true => (" pages", " looks"),
                false => ("", ""),
            };
            words.push(format!("{pages}{what} each in {looks}{how}"));
        }
        words.join(", ")
    }
}

struct Tour<'a> {
    wanted: &'a Wanted,
    axe: &'a str,
    world: &'a World,
    /// For people, and in names of files.
    moment: &'a str,
    looks: Vec<Look>,
    /// Whether everybody is called what nobody should be called.
    spoilt: bool,
}

impl Tour<'_> {
    async fn all(&self, driver: &Driver, seen: &mut Seen) -> anyhow::Result<()> {
        let outside = Browser::start(driver, true).await?;
        let mut open: Vec<Place> = Vec::new();
        for (_, url) in &self.world.open {
            let url: url::Url = url.parse().context("a link is no address")?;
            let pattern = pattern(&url);
            if open.iter().all(|place| place.pattern != pattern) {
                open.push(Place {
                    pattern,
                    url,
                    then: Then::Look,
                });
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
            open.push(Place {
                pattern,
                url,
                then: Then::Look,
            });
        }
        let lying: url::Url = self.world.lying.parse().context("a link is no address")?;
        for (pattern, then) in [
            ("/p/lying", Then::Look),
            ("/p/lying/code", Then::Press("form[action*='/code']")),
        ] {
            open.push(Place {
                pattern: pattern.into(),
                url: lying.clone(),
                then,
            });
        }
        self.show(&outside, "anybody", &open, seen).await?;
        outside.close().await?;
        for account in &self.world.accounts {
            let browser = Browser::start(driver, true).await?;
            browser.look(PLAIN).await?;
            let home = log_in(&browser, self.world, account).await?;
            let mut places = crawl(&browser, &home).await?;
            places.extend(self.asked_for(&places));
            self.show(&browser, account.key, &places, seen).await?;
            self.print(&browser, account, &places, seen).await?;
            browser.close().await?;
        }
        Ok(())
    }

    /// Pages that no link leads to at every moment: what somebody asks for by a form.
    fn asked_for(&self, places: &[Place]) -> Vec<Place> {
        let mut asked = Vec::new();
        let find = |pattern: &str| places.iter().find(|place| place.pattern == pattern);
        if let (Some(form), None) = (find("/console/rehearsals"), find("/console/rehearsals?at")) {
            let mut url = form.url.clone();
            url.query_pairs_mut().append_pair("at", REHEARSED_AT);
            asked.push(Place {
                pattern: pattern(&url),
                url,
                then: Then::Look,
            });
        }
        if let Some(form) = find("/console/parcels") {
            asked.push(Place {
                pattern: "/console/parcels/one".into(),
                url: form.url.clone(),
                then: Then::Ask(self.world.waybill.clone()),
            });
        }
        asked
    }

    /// Opens a page, or types into its form for the one that answers.
    async fn arrive(&self, browser: &Browser, place: &Place) -> anyhow::Result<()> {
        browser.client().goto(place.url.as_str()).await?;
        let hand = Hand::at(browser);
        match &place.then {
            Then::Look => {}
            Then::Ask(waybill) => {
                hand.write("input[name=waybill]", waybill).await?;
                hand.press("form:has(input[name=waybill]) button").await?;
            }
            Then::Press(form) if hand.sees(form).await? => {
                hand.press(&format!("{form} button")).await?;
            }
            // A code that was shown often enough has no form for a while.
            Then::Press(_) => {}
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
            let name = name_of(self.moment, account.key, &place.pattern, PLAIN);
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
        *seen.pages.entry(self.looks.len()).or_default() += places.len();
        eprintln!("{}: {who}: {} pages", self.moment, places.len());
        for language in [Language::English, Language::Chinese] {
            let looks = self.looks.iter().filter(|look| look.language == language);
            let looks: Vec<Look> = looks.copied().collect();
            for place in places {
                seen.kinds.insert(format!("{who} {}", place.pattern));
                // A page is asked for once in each language: the node knows neither width nor colours.
                let first = looks.first().context("a language has no look")?;
                browser.look(*first).await?;
                self.arrive(browser, place).await?;
                for look in &looks {
                    browser.look(*look).await?;
                    self.see(browser, who, place, *look, seen).await?;
                }
            }
        }
        Ok(())
    }

    /// Pictures and judges the page that is shown.
    async fn see(
        &self,
        browser: &Browser,
        who: &str,
        place: &Place,
        look: Look,
        seen: &mut Seen,
    ) -> anyhow::Result<()> {
        let name = name_of(self.moment, who, &place.pattern, look);
        if let Some(directory) = &self.wanted.screenshots {
            let picture = picture(browser).await?;
            let file = directory.join(format!("{name}.png"));
            std::fs::write(&file, picture)
                .with_context(|| format!("failed to write `{}`", file.display()))?;
        }
        let judged = judge(browser, look, self.axe, &self.world.secrets).await;
        let (found, size) = judged.with_context(|| format!("at {}", place.url))?;
        if self.spoilt {
            let text = Hand::at(browser).reads().await?;
            seen.named += usize::from(MARKS.iter().any(|mark| text.contains(mark)));
            if who != "anybody" && text.contains(RECIPIENT) {
                seen.found += 1;
                println!("{name}: shows a recipient's name");
            }
        }
        seen.shown += 1;
        seen.largest = seen.largest.max(size);
        seen.found += found.len();
        for finding in found {
            println!("{name}: {finding}");
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_said_at_the_end_tells_looks_apart() {
        let mut seen = Seen::default();
        seen.pages.insert(4, 120);
        assert_eq!(seen.in_looks(), "120 pages each in 4 looks");
        seen.pages.insert(8, 300);
        assert_eq!(seen.in_looks(), "300 pages each in 8 looks, 120 each in 4");
    }

    #[test]
    fn quick_looks_are_the_light_ones() {
        assert_eq!(looks(false).len(), 8);
        let quick = looks(true);
        assert_eq!(quick.len(), 4);
        assert!(quick.iter().all(|look| !look.dark));
    }
}
