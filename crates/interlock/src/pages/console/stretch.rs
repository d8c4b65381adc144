//! A long list, a stretch at a time.
//!
//! INVARIANT: a page shows at most as many as its list says, whatever is asked for, and links to the rest.

use maud::{Markup, html};

use super::frame::Reader;
use super::values::grouped;
use crate::pages::Language;

/// What the number of the first one is called in addresses.
const FROM: &str = "from";

/// How many of a list this page passes over.
pub(super) fn passed_over(reader: &Reader<'_>) -> usize {
    let query = reader.here.split_once('?').map_or("", |(_, query)| query);
    let pairs = query.split('&').filter_map(|pair| pair.split_once('='));
    let mut named = pairs.filter(|(name, _)| *name == FROM);
    named
        .next()
        .and_then(|(_, value)| value.parse().ok())
        .unwrap_or(0)
}

/// This page's address with another stretch.
fn path(reader: &Reader<'_>, from: usize) -> String {
    let (path, query) = reader.here.split_once('?').unwrap_or((reader.here, ""));
    let others = query.split('&').filter(|pair| {
        let (name, _) = pair.split_once('=').unwrap_or((pair, ""));
        !matches!(name, "" | FROM)
    });
    let mut pairs: Vec<String> = others.map(str::to_owned).collect();
    if from > 0 {
        pairs.push(format!("{FROM}={from}"));
    }
    match pairs.is_empty() {
        true => path.into(),
        false => format!("{path}?{}", pairs.join("&")),
    }
}

/// The stretch of a list that this page shows.
pub(super) fn stretch<'a, T>(reader: &Reader<'_>, all: &'a [T], max: usize) -> &'a [T] {
    let from = passed_over(reader).min(all.len());
    let rest = all.get(from..).unwrap_or_default();
    rest.get(..max).unwrap_or(rest)
}

/// Which stretch of how many it is, and the ways to the others; nothing if it is all.
pub(super) fn others(reader: &Reader<'_>, all: usize, max: usize) -> Markup {
    let from = passed_over(reader).min(all);
    let to = (from + max).min(all);
    if from == 0 && to == all {
        return html! {};
    }
    let text = |n: usize| grouped(n as u64);
    html! {
        nav.stretch aria-label=(reader.pick("列表各段", "Parts of the list")) {
            p {
                @match reader.language {
                    Language::Chinese => { "第 " (text(from + 1)) " 至 " (text(to)) " 项，共 " (text(all)) " 项。" }
                    Language::English => { (text(from + 1)) " to " (text(to)) " of " (text(all)) "." }
                }
            }
            ul {
                @if from > 0 {
                    li { a rel="prev" href=(path(reader, from.saturating_sub(max))) { (reader.pick("前一段", "Before these")) } }
                }
                @if to < all {
                    li { a rel="next" href=(path(reader, to)) { (reader.pick("后一段", "After these")) } }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(here: &str) -> Reader<'_> {
        Reader {
            here,
            ..Reader::in_tests(Language::English)
        }
    }

    #[test]
    fn a_list_is_shown_in_stretches_that_lead_to_each_other() {
        let all: Vec<u32> = (0..250).collect();
        let shown = |here: &str| stretch(&at(here), &all, 100).to_vec();
        assert_eq!(shown("/a"), (0..100).collect::<Vec<_>>());
        assert_eq!(shown("/a?x=1&from=200"), (200..250).collect::<Vec<_>>());
        for odd in ["/a?from=250", "/a?from=99999999999", "/a?from=300"] {
            assert!(shown(odd).is_empty(), "{odd}");
        }
        for none in ["/a?from=-1", "/a?from=x", "/a?from", "/a?y=from=9"] {
            assert_eq!(shown(none).first(), Some(&0), "{none}");
        }
        let ways = others(&at("/a?x=1&from=100"), 250, 100).into_string();
        assert!(ways.contains("101 to 200 of 250"), "{ways}");
        assert!(
            ways.contains("href=\"/a?x=1\"") && ways.contains("href=\"/a?x=1&amp;from=200\""),
            "{ways}"
        );
        assert_eq!(others(&at("/a"), 100, 100).into_string(), "");
    }
}
