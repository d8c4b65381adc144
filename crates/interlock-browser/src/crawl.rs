//! Every page that can be reached by links, found once, then shown in every look.
//!
//! INVARIANT: of pages that differ only in what they are about, one is looked at. Only `GET` is used:
//! a crawl changes nothing.

use std::collections::{BTreeSet, VecDeque};

use anyhow::Context;
use url::Url;

use crate::browser::Browser;

/// Segments after which a name or number follows.
const COLLECTIONS: [&str; 11] = [
    "partners",
    "agreements",
    "inbox",
    "mediations",
    "releases",
    "evidence",
    "stations",
    "deposits",
    "d",
    "p",
    "t",
];
/// Pages beside them that have a name of their own.
const NAMED: [&str; 1] = ["files"];
/// Where a crawl does not go: what is no page, and what changes how pages look.
const SKIPPED: [&str; 3] = ["/settings", "/merchant.csv", "/logout"];

/// A page: its pattern, such as `/console/partners/one`, and one address of it.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    /// What is the same for all pages of its kind.
    pub(crate) pattern: String,
    /// One of them.
    pub(crate) url: Url,
    /// What is done there, if it is the answer to a form that is looked at.
    pub(crate) then: Then,
}

/// What is done on a page before it is looked at.
#[derive(Clone, Debug)]
pub(crate) enum Then {
    /// Nothing.
    Look,
    /// A waybill is typed into its form.
    Ask(String),
    /// The button of a form is pressed.
    Press(&'static str),
}

/// Follows links from `start` on, at the same door.
pub(crate) async fn crawl(browser: &Browser, start: &str) -> anyhow::Result<Vec<Place>> {
    let start: Url = start.parse().context("a node's address is none")?;
    let mut seen = BTreeSet::from([pattern(&start)]);
    let mut places = Vec::new();
    let mut waiting = VecDeque::from([start.clone()]);
    while let Some(url) = waiting.pop_front() {
        browser.client().goto(url.as_str()).await?;
        places.push(Place {
            pattern: pattern(&url),
            url: url.clone(),
            then: Then::Look,
        });
        let links = "return [...document.links].map(l => l.href);";
        let links = browser.client().execute(links, vec![]).await?;
        for link in links.as_array().into_iter().flatten() {
            let link = link.as_str().and_then(|link| Url::parse(link).ok());
            let Some(mut link) = link.filter(|link| link.origin() == start.origin()) else {
                continue;
            };
            link.set_fragment(None);
            if !SKIPPED.contains(&link.path()) && seen.insert(pattern(&link)) {
                waiting.push_back(link);
            }
        }
    }
    Ok(places)
}

/// Path and names of the query, without what they are about.
pub(crate) fn pattern(url: &Url) -> String {
    let mut parts: Vec<&str> = Vec::new();
    for segment in url.path_segments().into_iter().flatten() {
        let about = parts.last().is_some_and(|last| COLLECTIONS.contains(last));
        let about = about && !NAMED.contains(&segment);
        parts.push(if about { "one" } else { segment });
    }
    let mut names: Vec<String> = url
        .query_pairs()
        .map(|(name, _)| name.into_owned())
        .collect();
    names.sort();
    names.dedup();
    let path = format!("/{}", parts.join("/"));
    match names.is_empty() {
        true => path,
        false => format!("{path}?{}", names.join("&")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_of_one_kind_have_one_pattern() {
        for (url, expected) in [
            ("http://a/console", "/console"),
            (
                "http://a/console/partners/did:web:sf.example",
                "/console/partners/one",
            ),
            (
                "http://a/console/releases?outcome=denied&day=2017-06-01",
                "/console/releases?day&outcome",
            ),
            (
                "http://a/console/evidence/did:web:sf.example",
                "/console/evidence/one",
            ),
            ("http://a/console/evidence/files", "/console/evidence/files"),
            ("http://a/p/0123456789abcdef", "/p/one"),
        ] {
            assert_eq!(pattern(&url.parse().unwrap()), expected);
        }
    }
}
