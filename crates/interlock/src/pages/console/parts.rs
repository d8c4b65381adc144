//! Small parts that many pages are made of.

use maud::{Markup, html};

use super::frame::Reader;
use super::values::{Both, Instant, grouped};
use crate::pages::Language;
use crate::pages::layout::Tone;

/// A state: shape, colour, word.
pub(super) fn state(tone: Tone, word: &str) -> Markup {
    html! { span.state.(tone.class()) { (tone.shape()) (word) } }
}

/// An instant, and how long ago or ahead it is.
pub(super) fn when(reader: &Reader<'_>, at: Instant) -> Markup {
    let relative = match at.0 > reader.as_of {
        true => reader.language.ahead(at.0, reader.as_of),
        false => reader.language.ago(at.0, reader.as_of),
    };
    html! {
        time datetime=(at.0.to_rfc3339(at.1)) { (reader.language.instant(at.0, at.1)) }
        span.muted { (reader.pick("，", ", ")) span.instant { (relative) } }
    }
}

/// A count that leads to what it counts.
pub(super) fn count(number: u64, path: &str) -> Markup {
    html! { a href=(path) { (grouped(number)) } }
}

/// The text in the reader's language.
pub(super) fn both<'a>(reader: &Reader<'_>, text: &'a Both) -> &'a str {
    match reader.language {
        Language::Chinese => &text.zh,
        Language::English => &text.en,
    }
}

/// A heading with its state and the sentence that answers the reader's question.
pub(super) fn headline(tone: Tone, title: &str, lead: &Markup) -> Markup {
    html! {
        h1.(tone.class()) { (tone.shape()) (title) }
        p.lead { (lead) }
    }
}

/// A table in a region that scrolls by itself and can be reached by keyboard.
pub(super) fn table(id: &str, caption: &str, heads: &[&str], rows: &Markup) -> Markup {
    table_under("", id, caption, heads, rows)
}

/// The same below the heading with that id, where a page has several tables of one caption: whoever goes from
/// region to region hears which is which.
pub(super) fn table_under(
    heading: &str,
    id: &str,
    caption: &str,
    heads: &[&str],
    rows: &Markup,
) -> Markup {
    let label = format!("{heading} {id}");
    html! {
        div.scroll role="region" tabindex="0" aria-labelledby=(label.trim_start()) {
            table {
                caption #(id) { (caption) }
                thead { tr { @for head in heads { th scope="col" { (head) } } } }
                tbody { (rows) }
            }
        }
    }
}

/// What stands where a list is empty: why, and what fills it.
pub(super) fn empty(text: &str) -> Markup {
    html! { p.empty { (text) } }
}

/// A label with its field; an error is tied to it.
pub(super) struct Field<'a> {
    pub(super) name: &'a str,
    pub(super) label: &'a str,
    pub(super) kind: &'a str,
    pub(super) autocomplete: &'a str,
    pub(super) value: &'a str,
    pub(super) error: Option<&'a str>,
}

pub(super) fn field(field: &Field<'_>) -> Markup {
    let error_id = format!("{}-error", field.name);
    html! {
        div.field {
            label for=(field.name) { (field.label) }
            @if let Some(error) = field.error { p.error id=(error_id) { (error) } }
            input id=(field.name) name=(field.name) type=(field.kind) value=(field.value)
                autocomplete=(field.autocomplete) required
                aria-invalid=[field.error.map(|_| "true")]
                aria-describedby=[field.error.map(|_| error_id.as_str())];
        }
    }
}

/// What went wrong, on top of the page, focused.
pub(super) fn summary(reader: &Reader<'_>, text: &Markup, field: Option<&str>) -> Markup {
    html! {
        div.notice.stopped role="alert" tabindex="-1" autofocus {
            p {
                strong { (reader.pick("没有执行：", "Not done: ")) }
                @match field {
                    Some(field) => a href={ "#" (field) } { (text) },
                    None => (text),
                }
            }
        }
    }
}

/// Pages of one section, below its navigation.
pub(super) fn siblings(reader: &Reader<'_>, links: &[(&str, &str)]) -> Markup {
    let here = reader.here.split('?').next().unwrap_or(reader.here);
    html! {
        nav.siblings aria-label=(reader.pick("本栏页面", "Pages of this section")) {
            ul {
                @for (path, word) in links {
                    li { a href=(path) aria-current=[(*path == here).then_some("page")] { (word) } }
                }
            }
        }
    }
}

/// What a list says of what waits for us.
pub(super) struct Waiting {
    /// Of nothing, in Chinese and English.
    pub(super) none: (&'static str, &'static str),
    /// What follows the number in Chinese.
    pub(super) chinese: &'static str,
    /// What follows `1` and another number in English.
    pub(super) english: (&'static str, &'static str),
}

impl Waiting {
    /// The sentence for a number, and how it looks.
    pub(super) fn lead(&self, reader: &Reader<'_>, number: usize) -> (Tone, String) {
        match (number, reader.language) {
            (0, _) => (Tone::Good, reader.pick(self.none.0, self.none.1).into()),
            (n, Language::Chinese) => (Tone::Waiting, format!("{n} {}", self.chinese)),
            (1, Language::English) => (Tone::Waiting, format!("1 {}", self.english.0)),
            (n, Language::English) => (Tone::Waiting, format!("{n} {}", self.english.1)),
        }
    }
}

/// Facts as a list of names and values.
pub(super) fn facts(rows: &[(&str, Markup)]) -> Markup {
    html! {
        dl.facts {
            @for (name, value) in rows { div { dt { (name) } dd { (value) } } }
        }
    }
}

/// What is open on paper and closed on a screen.
pub(super) fn more(reader: &Reader<'_>, summary: &str, inside: &Markup) -> Markup {
    html! {
        details open[reader.print] {
            summary { (summary) }
            (inside)
        }
    }
}

/// The field for a one-time code.
pub(super) fn code_field(reader: &Reader<'_>, id: &str) -> Markup {
    html! {
        div.field {
            label for=(id) { (reader.pick("动态码（身份验证器显示的 6 位数字）", "One-time code (six digits of your authenticator app)")) }
            input.code-input id=(id) name="code" type="text" inputmode="numeric" autocomplete="one-time-code"
                pattern="[0-9 ]{6,8}" maxlength="8" required;
        }
    }
}

/// That something was done.
pub(super) fn done(text: &str) -> Markup {
    html! { p.notice.good role="status" { (Tone::Good.shape()) (text) } }
}
