//! Pages that only say why there is no other.

use maud::{Markup, html};

use super::Language;
use super::layout::{Frame, Tone, cut, page};

/// Longest reference shown, in characters.
const REFERENCE_CHARS_MAX: usize = 64;

/// Status 404: nothing here, or nothing for this reader. The same for an unknown and a foreign address.
pub fn not_found_page(publisher: &str, language: Language) -> Markup {
    let title = language.pick("没有此页面", "No such page");
    let text = language.pick(
        "此地址没有内容。请检查链接是否完整。",
        "There is nothing at this address. Check that the link is complete.",
    );
    plain(
        publisher,
        title,
        Tone::Unknown,
        language,
        &html! { p.lead { (text) } },
    )
}

/// Status 404 for `/t/…` and `/p/…`: the link has ended or never was one; which of the two is not said.
pub fn link_ended_page(publisher: &str, language: Language) -> Markup {
    let title = language.pick("链接已失效", "This link has ended");
    let text = language.pick(
        "链接已失效。新链接只发送至登记号码，请以最新短信为准。",
        "This link has ended. A new one goes only to the number on record: use the newest message.",
    );
    plain(
        publisher,
        title,
        Tone::Stopped,
        language,
        &html! { p.lead { (text) } },
    )
}

/// A failure: what happened and what to do. `reference` finds it in the log and names nobody.
pub fn error_page(
    publisher: &str,
    problem: &str,
    remedy: &str,
    reference: &str,
    language: Language,
) -> Markup {
    let title = language.pick("出错", "Error");
    let main = html! {
        p.lead { (problem) }
        p { (remedy) }
        p.muted {
            (language.pick("编号：", "Reference: "))
            code { (cut(reference, REFERENCE_CHARS_MAX)) }
        }
    };
    plain(publisher, title, Tone::Stopped, language, &main)
}

fn plain(publisher: &str, title: &str, tone: Tone, language: Language, main: &Markup) -> Markup {
    let other = format!("?lang={}", language.other().tag());
    let frame = Frame {
        title,
        publisher,
        other_language: &other,
        as_of: None,
    };
    let main = html! {
        h1 class=(tone.class()) { (tone.shape()) (title) }
        (main)
    };
    page(&frame, language, &main)
}
