//! `pages`: what people read, from a node that holds a million parcels.
//!
//! INVARIANT: a page counts only if it was answered with 200 and is whole; its time is from the request
//! to the last byte of the answer, on a connection of its own, as a browser has it.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use interlock_core::dataset::Dataset;
use interlock_core::time::{DAY_MS, Zone};
use serde_json::{Value, json};

use super::Setting;
use super::documents::{Parcels, WAVE_EVENTS, waybill};
use super::feed::wait_for;
use super::figure::{Figure, Goal, median};
use super::ingest::{announce, send};
use super::load::Load;
use super::machine::{now, wall};
use super::pair::{CARRIER, OWNER, Pair, Side, terms};

const PARCELS: u64 = 1_000_000;
const QUICK_PARCELS: u64 = 20_000;
/// How often each page is asked for.
const TIMES: usize = 21;
const ANSWER_WAIT_MAX: Duration = Duration::from_secs(60);
/// Milliseconds that a page may take on the node, p50.
const GOAL_MS: f64 = 10.0;
/// What is asked for beside a rehearsal.
const BESIDE: &str = "/console/health";
/// Milliseconds that it may take on the node meanwhile, p99.
const GOAL_BESIDE_MS: f64 = 50.0;
/// By then the agreement has ended.
const REHEARSED_AFTER_MS: i64 = 31 * DAY_MS;
/// Bytes of a page, 100 KB.
const GOAL_BYTES: f64 = 100.0 * 1024.0;

/// Pages of whoever may read everything.
const CONSOLE: [&str; 17] = [
    "/console",
    "/console/health",
    "/console/partners",
    "/console/agreements",
    "/console/inbox",
    "/console/mediations",
    "/regulator",
    "/console/releases",
    "/console/releases?outcome=denied",
    "/console/alerts",
    "/console/feeds",
    "/console/evidence",
    "/console/evidence/files",
    "/console/parcels",
    "/console/stations",
    "/console/access",
    "/account",
];

/// Lists of which one entry is looked at, if there is one.
const LISTS: [&str; 5] = [
    "/console/partners",
    "/console/agreements",
    "/console/releases",
    "/console/evidence",
    "/console/stations",
];
/// What lies below a list and is no entry of it.
const NO_ENTRIES: [&str; 1] = ["/console/evidence/files"];

/// One page as it was measured.
struct Measured {
    path: String,
    p50_ms: f64,
    bytes: usize,
}

/// Time and size of every page at a carrier and at the owner of its parcels.
pub(crate) fn pages(setting: &Setting) -> anyhow::Result<Vec<Figure>> {
    let pair = Pair::agreed(
        setting,
        &CARRIER,
        &OWNER,
        &terms(Dataset::TrackingEvents, wall())?,
    )?;
    let parcels = if setting.quick {
        QUICK_PARCELS
    } else {
        PARCELS
    };
    announce(&pair.provider, 0..parcels)?;
    Load::new(pair.consumer.place.local, 1, "200").run(&mut [Parcels {
        admin: pair.consumer.place.admin.clone(),
        members: "\"marketplace\":\"taobao\",\"merchant\":\"shop\"".into(),
        parcels: 0..parcels,
    }])?;
    let carrier = &pair.provider.place;
    send(carrier.local, &carrier.admin, 0..WAVE_EVENTS)?;
    wait_for(&pair, WAVE_EVENTS)?;

    let mut all = Vec::new();
    for side in [&pair.provider, &pair.consumer] {
        let reader = log_in(side, "reader", &json!(["admin"]), None)?;
        for path in CONSOLE {
            all.push(measure(side.place.local, &reader, path)?);
        }
        for list in LISTS {
            all.extend(entry(side.place.local, &reader, list)?);
        }
        all.push(parcel(side, &reader)?);
    }
    let owner = &pair.consumer;
    let merchant = log_in(owner, "shop", &json!(["merchant"]), Some("shop"))?;
    for path in [
        "/merchant",
        "/merchant?state=announced",
        "/merchant?state=delivered",
    ] {
        all.push(measure(owner.place.local, &merchant, path)?);
    }
    let shown = owner.client.get(&format!("/parcels/sf/{}", waybill(7)))?;
    let link = shown.get("tracking").and_then(Value::as_str);
    let link = link.context("the owner's parcel has no link")?;
    let path = link.find("/t/").and_then(|at| link.get(at..));
    let path = path.context("the link of a parcel is no tracking page")?;
    let mut tracking = measure(owner.place.public, "", path)?;
    // A link is for its holder.
    tracking.path = "/t/…".into();
    all.push(tracking);
    let mut figures = figures(&all, parcels)?;
    figures.extend(beside_a_rehearsal(owner, parcels)?);
    Ok(figures)
}

/// A rehearsal looks at every open parcel: how long that takes, and how long others wait meanwhile.
fn beside_a_rehearsal(side: &Side, parcels: u64) -> anyhow::Result<[Figure; 2]> {
    let reader = log_in(side, "rehearser", &json!(["approver"]), None)?;
    let to = side.place.local;
    let at = wall().plus_ms(REHEARSED_AFTER_MS).to_rfc3339(Zone::CHINA);
    let path = format!("/console/rehearsals?at={}", at.replace('+', "%2B"));
    let (took_s, mut waits) = std::thread::scope(|scope| {
        let rehearsal = scope.spawn(|| {
            let begin = now();
            let (head, page) = exchange(to, "GET", &path, &reader, "")?;
            whole(&path, &head, page)?;
            anyhow::Ok(begin.elapsed().as_secs_f64())
        });
        let mut waits = Vec::new();
        while !rehearsal.is_finished() {
            let begin = now();
            let (head, page) = exchange(to, "GET", BESIDE, &reader, "")?;
            whole(BESIDE, &head, page)?;
            waits.push(begin.elapsed().as_secs_f64() * 1e3);
        }
        let took = rehearsal.join();
        let took = took.map_err(|_| anyhow::anyhow!("the one who rehearses has failed"))??;
        anyhow::Ok((took, waits))
    })?;
    waits.sort_by(f64::total_cmp);
    let last = waits.len().saturating_sub(1);
    let p99 = waits.get(last - last / 100).copied();
    Ok([
        Figure {
            name: "rehearsal",
            value: took_s,
            unit: "s",
            floor: None,
            goal: Goal::Shown,
            about: format!("one rehearsal with {parcels} open parcels, page included"),
        },
        Figure {
            name: "rehearsal-others",
            value: p99.context("nothing was asked for beside the rehearsal")?,
            unit: "ms",
            floor: None,
            goal: Goal::AtMost(GOAL_BESIDE_MS),
            about: format!("p99 of {} times {BESIDE} meanwhile", waits.len()),
        },
    ])
}

fn figures(all: &[Measured], parcels: u64) -> anyhow::Result<Vec<Figure>> {
    for page in all {
        let Measured {
            path,
            p50_ms,
            bytes,
        } = page;
        eprintln!("{path:<34} {p50_ms:>7.2} ms {bytes:>7} bytes");
    }
    let slowest = all.iter().max_by(|a, b| a.p50_ms.total_cmp(&b.p50_ms));
    let slowest = slowest.context("no page was measured")?;
    let largest = all.iter().max_by_key(|page| page.bytes);
    let largest = largest.context("no page was measured")?;
    let of = format!("of {} pages with {parcels} parcels in the store", all.len());
    Ok(vec![
        Figure {
            name: "pages",
            value: slowest.p50_ms,
            unit: "ms",
            floor: None,
            goal: Goal::AtMost(GOAL_MS),
            about: format!("p50 of the slowest {of}: {}", slowest.path),
        },
        Figure {
            name: "pages-bytes",
            value: largest.bytes as f64,
            unit: "bytes",
            floor: None,
            goal: Goal::AtMost(GOAL_BYTES),
            about: format!("HTML of the largest {of}: {}", largest.path),
        },
    ])
}

/// The page of one parcel, which is asked for by a form.
fn parcel(side: &Side, cookie: &str) -> anyhow::Result<Measured> {
    let to = side.place.local;
    let (_, page) = exchange(to, "GET", "/console/parcels", cookie, "")?;
    let form = format!("csrf={}&waybill=sf/{}", mark_in(&page)?, waybill(7));
    timed(|| {
        let (head, page) = exchange(to, "POST", "/console/parcels", cookie, &form)?;
        ensure!(
            page.contains(&waybill(7)),
            "the parcel is not shown: {head}"
        );
        whole("/console/parcels (one)", &head, page)
    })
}

/// The first entry of a list; `None` if it has none.
fn entry(to: SocketAddr, cookie: &str, list: &str) -> anyhow::Result<Option<Measured>> {
    let (_, page) = exchange(to, "GET", list, cookie, "")?;
    let Some(path) = first_below(&page, list) else {
        return Ok(None);
    };
    let mut measured = measure(to, cookie, path)?;
    measured.path = format!("{list}/…");
    Ok(Some(measured))
}

/// The first address on a page that lies below a list.
fn first_below<'a>(page: &'a str, list: &str) -> Option<&'a str> {
    let links = page.split("href=\"").skip(1);
    let mut paths = links.filter_map(|rest| rest.split(['"', '#', '?']).next());
    paths.find(|path| {
        let below = path
            .strip_prefix(list)
            .and_then(|rest| rest.strip_prefix('/'));
        below.is_some_and(|id| !id.is_empty()) && !NO_ENTRIES.contains(path)
    })
}

fn measure(to: SocketAddr, cookie: &str, path: &str) -> anyhow::Result<Measured> {
    timed(|| {
        let (head, page) = exchange(to, "GET", path, cookie, "")?;
        whole(path, &head, page)
    })
}

fn whole(path: &str, head: &str, page: String) -> anyhow::Result<(String, usize)> {
    ensure!(
        head.starts_with("HTTP/1.1 200"),
        "`{path}` was answered {head}"
    );
    ensure!(page.ends_with("</html>"), "`{path}` is not whole");
    Ok((path.to_owned(), page.len()))
}

fn timed(ask: impl Fn() -> anyhow::Result<(String, usize)>) -> anyhow::Result<Measured> {
    // Once before, so that what is read from disk once is not counted as every time.
    let (path, bytes) = ask()?;
    let mut times = Vec::new();
    for _ in 0..TIMES {
        let begin = now();
        ask()?;
        times.push(begin.elapsed().as_secs_f64() * 1e3);
    }
    Ok(Measured {
        path,
        p50_ms: median(times).context("no page was asked for")?,
        bytes,
    })
}

/// Lets somebody in and logs in as them; gives the session's cookie.
fn log_in(
    side: &Side,
    name: &str,
    roles: &Value,
    merchant: Option<&str>,
) -> anyhow::Result<String> {
    let mut person = json!({ "name": name, "roles": roles });
    if let (Some(merchant), Some(members)) = (merchant, person.as_object_mut()) {
        members.insert("merchant".into(), merchant.into());
    }
    let added = side.client.post("/people", &person)?;
    let password = added.get("password").and_then(Value::as_str);
    let password = password.context("`POST /people` gave no password")?;
    let to = side.place.local;
    let (head, page) = exchange(to, "GET", "/login", "", "")?;
    let form = format!("csrf={}&name={name}&password={password}", mark_in(&page)?);
    let before = cookies_in(&head);
    let (head, _) = exchange(to, "POST", "/login", &before, &form)?;
    ensure!(
        head.starts_with("HTTP/1.1 303"),
        "`{name}` was not let in: {head}"
    );
    Ok(cookies_in(&head))
}

/// The hidden mark of the first form of a page.
fn mark_in(page: &str) -> anyhow::Result<&str> {
    let rest = page.split_once("name=\"csrf\" value=\"");
    let mark = rest.and_then(|(_, rest)| rest.split_once('"'));
    Ok(mark.context("the page has no form")?.0)
}

fn cookies_in(head: &str) -> String {
    let set = head.lines().filter_map(|line| {
        let (name, value) = line.split_once(": ")?;
        let set = name.eq_ignore_ascii_case("set-cookie");
        set.then(|| value.split(';').next().unwrap_or_default())
    });
    set.collect::<Vec<_>>().join("; ")
}

/// One request on a connection of its own: head and body of the answer.
fn exchange(
    to: SocketAddr,
    method: &str,
    path: &str,
    cookie: &str,
    form: &str,
) -> anyhow::Result<(String, String)> {
    let failed = || format!("`{method} {path}` got no answer");
    let mut stream = TcpStream::connect_timeout(&to, ANSWER_WAIT_MAX).with_context(failed)?;
    stream
        .set_read_timeout(Some(ANSWER_WAIT_MAX))
        .with_context(failed)?;
    let head = format!(
        "{method} {path} HTTP/1.1\r\nHost: {to}\r\nConnection: close\r\nAccept-Language: en\r\n\
         Cookie: {cookie}\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: {}\r\n\r\n{form}",
        form.len()
    );
    stream.write_all(head.as_bytes()).with_context(failed)?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).with_context(failed)?;
    let answer = String::from_utf8(answer).context("an answer is no UTF-8")?;
    match answer.split_once("\r\n\r\n") {
        Some((head, body)) => Ok((head.to_owned(), body.to_owned())),
        None => bail!("`{method} {path}` was answered: {answer}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(path: &str, p50_ms: f64, bytes: usize) -> Measured {
        Measured {
            path: path.into(),
            p50_ms,
            bytes,
        }
    }

    #[test]
    fn the_slowest_and_the_largest_page_count() {
        let all = [
            page("/a", 3.0, 900),
            page("/b", 11.0, 20),
            page("/c", 1.0, 200_000),
        ];
        let figures = figures(&all, 7).unwrap();
        assert!(figures[0].about.ends_with("/b") && !figures[0].met());
        assert!(figures[1].about.ends_with("/c") && !figures[1].met());
        assert!(super::figures(&[], 7).is_err());
    }

    #[test]
    fn an_entry_is_what_lies_below_its_list() {
        let page = "<a href=\"/console/evidence\"><a href=\"/console/evidence/files\">\
                    <a href=\"/console/evidence/did:web:a#x\"><a href=\"/console/evidence/b\">";
        assert_eq!(
            first_below(page, "/console/evidence"),
            Some("/console/evidence/did:web:a")
        );
        assert_eq!(first_below(page, "/console/partners"), None);
    }

    #[test]
    fn a_page_that_is_cut_or_refused_is_no_page() {
        let good = "HTTP/1.1 200 OK";
        assert!(whole("/a", good, "<html></html>".into()).is_ok());
        assert!(whole("/a", good, "<html>".into()).is_err());
        assert!(whole("/a", "HTTP/1.1 303 See", "</html>".into()).is_err());
        let cookies = "HTTP/1.1 200 OK\r\nSet-Cookie: a=1; Path=/\r\nset-cookie: b=2";
        assert_eq!(cookies_in(cookies), "a=1; b=2");
    }
}
