//! `catalog`: one page of a catalog of 10,000 datasets, as another connector asks for it.
//!
//! A connector with a fixed token, which this node's configuration allows, posts the message that the
//! protocol has for it and follows the links from page to page; then it asks for single datasets by a
//! filter.

use std::net::SocketAddr;

use anyhow::{Context, bail};
use interlock_core::dataset::Dataset;
use serde_json::{Value, json};

use super::Setting;
use super::client::Connection;
use super::documents::request;
use super::figure::{Figure, Goal, median};
use super::load::{Load, Requests};
use super::machine::{now, wall};
use super::pair::stations;
use super::place::{Place, Role};

const QUICK_DATASETS: u64 = 1_000;
const DATASETS: u64 = 10_000;
/// Requests with a filter.
const FILTERED: u64 = 200;
/// Walks through all pages.
const WALKS: usize = 3;
/// Connections over which offers are published.
const CONNECTIONS: usize = 16;
/// Longest time of a page, in milliseconds.
const PAGE_MS_MAX: f64 = 20.0;
/// What is in the file that `static_token_file` names.
const TOKEN: &str = "whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=";
const CONTEXT: &str = "https://w3id.org/dspace/2025/1/context.jsonld";

const PROVIDER: Role = Role {
    name: "provider",
    id: "did:web:lockers.example",
    role: "locker-operator",
    marketplace: None,
    // The first lines are of the table `listen`, which stands last.
    config: "allow_static_tokens_for_laboratory = true\n\n[[partner]]\nid = \"did:web:shop.example\"\n\
             name = \"Shop\"\nroles = [\"platform\"]\nexchange_url = \"http://127.0.0.1:9/dsp\"\n\
             key = \"z6MktwupdmLXVVqTzCw4i46r4uGyosGXRnR3XjN4Zq7oMMsw\"\nconnector = true\n\
             static_token_file = \"keys/gateway.secret\"\n",
};

/// Time of a page, and of the answer to a filter.
pub(crate) fn catalog(setting: &Setting) -> anyhow::Result<Vec<Figure>> {
    let datasets = if setting.quick {
        QUICK_DATASETS
    } else {
        DATASETS
    };
    let place = Place::init(setting, &PROVIDER)?;
    let _node = place.up()?;
    publish(&place, datasets)?;
    let mut reader = Reader::open(place.exchange)?;
    let mut pages = Vec::new();
    let mut bytes = 0;
    for _ in 0..WALKS {
        let mut target = Some("/dsp/catalog/request".to_owned());
        let mut found = 0;
        while let Some(page) = target {
            let begin = now();
            let answer = reader.ask(&page, None)?;
            pages.push(begin.elapsed().as_secs_f64() * 1e3);
            found += answer.datasets;
            bytes = bytes.max(answer.bytes);
            target = answer.next;
        }
        if found != datasets {
            bail!("a walk through all pages found {found} of {datasets} datasets");
        }
    }
    let mut filtered = Vec::new();
    for at in 0..FILTERED {
        let wanted = name(at * datasets / FILTERED);
        let begin = now();
        let answer = reader.ask("/dsp/catalog/request", Some(&wanted))?;
        filtered.push(begin.elapsed().as_secs_f64() * 1e3);
        if answer.datasets != 1 {
            bail!("the filter `{wanted}` chose {} datasets", answer.datasets);
        }
    }
    let figure = |name, times, about| -> anyhow::Result<Figure> {
        Ok(Figure {
            name,
            value: median(times).context("no page was read")?,
            unit: "ms",
            floor: None,
            goal: Goal::AtMost(PAGE_MS_MAX),
            about,
        })
    };
    Ok(vec![
        figure(
            "catalog",
            pages,
            format!(
                "p50 of a page of {datasets} datasets, of up to {} KiB",
                bytes / 1_024
            ),
        )?,
        figure(
            "catalog-filter",
            filtered,
            format!("p50 of one of {datasets} datasets by a filter"),
        )?,
    ])
}

/// The name of a dataset by its number.
fn name(number: u64) -> String {
    format!("{}:n{number:05}", Dataset::LockerStations.as_str())
}

fn publish(place: &Place, datasets: u64) -> anyhow::Result<()> {
    let policy = stations(wall()).to_policy();
    let share = |first| Offers {
        admin: place.admin.clone(),
        policy: policy.clone(),
        next: first,
        end: datasets,
    };
    let mut shares = [share(0)];
    Load::new(place.local, CONNECTIONS, "201")
        .run(&mut shares)
        .context("failed to publish offers")?;
    Ok(())
}

/// One offer a dataset.
struct Offers {
    admin: String,
    policy: Value,
    next: u64,
    end: u64,
}

impl Requests for Offers {
    fn next(&mut self, out: &mut Vec<u8>) -> bool {
        if self.next >= self.end {
            return false;
        }
        let number = self.next;
        self.next += 1;
        let offer = json!({
            "id": format!("urn:bench:{number}"),
            "dataset": name(number),
            "policy": self.policy,
            "autoAccept": true,
        });
        *out = request("POST", "/offers", &self.admin, &offer.to_string());
        true
    }
}

/// What a page holds.
struct Answer {
    datasets: u64,
    bytes: usize,
    next: Option<String>,
}

/// Another connector.
struct Reader(Connection);

impl Reader {
    fn open(to: SocketAddr) -> anyhow::Result<Self> {
        Ok(Self(Connection::open(to)?))
    }

    fn ask(&mut self, target: &str, filter: Option<&str>) -> anyhow::Result<Answer> {
        let mut message = json!({ "@context": [CONTEXT], "@type": "CatalogRequestMessage" });
        if let (Some(filter), Some(members)) = (filter, message.as_object_mut()) {
            members.insert("filter".into(), json!([filter]));
        }
        let body = message.to_string();
        let request = format!(
            "POST {target} HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {TOKEN}\r\n\
             Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        let (head, body) = self.0.send(request.as_bytes())?;
        if !head.starts_with("HTTP/1.1 200") {
            bail!(
                "a page was refused: {head}{}",
                String::from_utf8_lossy(&body)
            );
        }
        let page: Value = serde_json::from_slice(&body).context("a page is no JSON")?;
        let datasets = page.get("dataset").and_then(Value::as_array);
        Ok(Answer {
            datasets: datasets.map_or(0, Vec::len) as u64,
            bytes: body.len(),
            next: next_of(&head),
        })
    }
}

/// The path of the `next` link of a head (RFC 8288).
fn next_of(head: &str) -> Option<String> {
    let links = head.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("link").then_some(value)
    })?;
    let next = links
        .split(',')
        .find(|link| link.contains("rel=\"next\""))?;
    let url = next.split_once('<')?.1.split_once('>')?.0;
    let path = url.split_once("://").map_or(url, |(_, rest)| {
        rest.find('/').and_then(|at| rest.get(at..)).unwrap_or("/")
    });
    Some(path.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_next_page_is_found_in_a_head() {
        let head = "HTTP/1.1 200 OK\r\nLink: <http://127.0.0.1:1/dsp/catalog/request?a=1>; rel=\"previous\", \
                    <http://127.0.0.1:1/dsp/catalog/request?a=2>; rel=\"next\"\r\n\r\n";
        assert_eq!(next_of(head).as_deref(), Some("/dsp/catalog/request?a=2"));
        assert_eq!(next_of("HTTP/1.1 200 OK\r\n\r\n"), None);
    }
}
