//! Small parts that many pages are made of.

use maud::{Markup, html};

use super::frame::Reader;
use crate::pages::layout::Tone;

/// A state: shape, colour, word.
pub(super) fn state(tone: Tone, word: &str) -> Markup {
    html! { span.state.(tone.class()) { (tone.shape()) (word) } }
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
    html! {
        div.scroll role="region" tabindex="0" aria-labelledby=(id) {
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
pub(super) fn summary(reader: &Reader<'_>, text: &str, field: Option<&str>) -> Markup {
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
