//! A form that was refused comes again as it was typed.
//!
//! INVARIANT: a code, a password or a session's mark is never shown again.

use std::collections::BTreeMap;

use maud::{Markup, html};

use super::frame::Reader;
use super::inbox::summary_of;
use crate::node::io::Problem;

/// What was typed into a form that comes again.
#[derive(Debug, Default)]
pub struct Typed(BTreeMap<String, String>);

impl Typed {
    /// From names and values.
    pub fn new<'a>(pairs: impl Iterator<Item = (&'a str, &'a str)>) -> Self {
        let kept = pairs
            .filter(|(name, _)| !matches!(*name, "code" | "csrf") && !name.contains("password"));
        Self(
            kept.map(|(name, value)| (name.into(), value.into()))
                .collect(),
        )
    }

    pub(super) fn get(&self, name: &str) -> &str {
        self.0.get(name).map_or("", String::as_str)
    }

    pub(super) fn has(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }
}

/// Which form was refused, and why.
#[derive(Clone, Copy, Debug)]
pub struct Again<'a> {
    /// Why.
    pub trouble: &'a Problem,
    /// The last part of the form's address, such as `counter`.
    pub act: &'a str,
    /// What was typed into it.
    pub typed: &'a Typed,
}

impl<'a> Again<'a> {
    /// What went wrong, on top of the page, with the way to the code's field if it is about that.
    pub(super) fn summary(again: Option<&Self>, reader: &Reader<'_>) -> Markup {
        html! {
            @if let Some(again) = again {
                (summary_of(reader, again.trouble, &format!("{}-code", again.act)))
            }
        }
    }

    /// Whether it is this form.
    pub(super) fn is(again: Option<&Self>, act: &str) -> bool {
        again.is_some_and(|again| again.act == act)
    }

    /// What was typed into a field of this form; otherwise what stands there at first.
    pub(super) fn value<'b>(again: Option<&Self>, act: &str, name: &str, first: &'b str) -> &'b str
    where
        'a: 'b,
    {
        let typed = again.filter(|again| again.act == act).map(|a| a.typed);
        let typed = typed.filter(|typed| typed.has(name));
        typed.map_or(first, |typed| typed.get(name))
    }
}

/// A form that is folded until it is wanted; open on paper, and when it comes again.
pub(super) fn folded(
    reader: &Reader<'_>,
    again: Option<&Again<'_>>,
    act: &str,
    summary: &str,
    form: &Markup,
) -> Markup {
    html! {
        details open[reader.print || Again::is(again, act)] {
            summary { (summary) }
            (form)
        }
    }
}
