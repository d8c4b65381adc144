//! What all pages share: frame, stylesheet, headers, the shapes of states.

use std::sync::OnceLock;

use maud::{DOCTYPE, Markup, PreEscaped, html};
use sha2::{Digest as _, Sha256};

use super::Language;

/// What pages load, served under a name that changes with its bytes.
#[derive(Debug)]
pub struct Asset {
    /// Path, such as `/assets/style-0123456789abcdef.css`: may be cached for ever.
    pub path: String,
    /// `Content-Type`.
    pub kind: &'static str,
    /// What it holds.
    pub bytes: &'static [u8],
}

impl Asset {
    fn new(name: &str, extension: &str, kind: &'static str, bytes: &'static [u8]) -> Self {
        let digest = Sha256::digest(bytes);
        let digest: String = digest.iter().take(8).map(|b| format!("{b:02x}")).collect();
        Self {
            path: format!("/assets/{name}-{digest}.{extension}"),
            kind,
            bytes,
        }
    }
}

/// The one stylesheet.
pub fn stylesheet() -> &'static Asset {
    static STYLESHEET: OnceLock<Asset> = OnceLock::new();
    STYLESHEET.get_or_init(|| {
        let bytes = include_bytes!("../../assets/style.css");
        Asset::new("style", "css", "text/css; charset=utf-8", bytes)
    })
}

/// The icon in a browser's tab.
pub fn icon() -> &'static Asset {
    static ICON: OnceLock<Asset> = OnceLock::new();
    ICON.get_or_init(|| {
        let bytes = include_bytes!("../../assets/icon.svg");
        Asset::new("icon", "svg", "image/svg+xml", bytes)
    })
}

/// The headers of every page, beside `Content-Type: text/html; charset=utf-8` and
/// `Content-Language`.
pub const fn security_headers() -> [(&'static str, &'static str); 8] {
    [
        ("cache-control", "no-store"),
        ("referrer-policy", "no-referrer"),
        ("x-content-type-options", "nosniff"),
        ("x-robots-tag", "noindex, nofollow"),
        (
            "content-security-policy",
            "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
        ),
        ("cross-origin-opener-policy", "same-origin"),
        ("cross-origin-resource-policy", "same-origin"),
        ("vary", "accept-language"),
    ]
}

/// How a state looks: a shape, a colour and (at its use) a word, never a colour alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Tone {
    /// ● done, in force.
    Good,
    /// ▲ ends soon, look at it.
    Soon,
    /// ■ stopped.
    Stopped,
    /// ◆ waiting, under way.
    Waiting,
    /// ○ not known.
    Unknown,
}

impl Tone {
    pub(super) const fn class(self) -> &'static str {
        match self {
            Self::Good => "good",
            Self::Soon => "soon",
            Self::Stopped => "stopped",
            Self::Waiting => "waiting",
            Self::Unknown => "unknown",
        }
    }

    /// The shape, for eyes only: the word beside it says the same.
    pub(super) fn shape(self) -> Markup {
        html! {
            svg.shape viewBox="0 0 16 16" width="16" height="16" aria-hidden="true" focusable="false" {
                @match self {
                    Self::Good => circle cx="8" cy="8" r="6.5" {},
                    Self::Soon => path d="M8 1.5 15 14.5H1z" {},
                    Self::Stopped => rect x="2" y="2" width="12" height="12" {},
                    Self::Waiting => path d="M8 .8 15.2 8 8 15.2.8 8z" {},
                    Self::Unknown => circle.hollow cx="8" cy="8" r="5.5" {},
                }
            }
        }
    }
}

/// What a page says about itself.
pub(super) struct Frame<'a> {
    /// For the browser's tab and history: no waybill, phone, name or code.
    pub(super) title: &'a str,
    /// Whose page it is.
    pub(super) publisher: &'a str,
    /// Where the same page is in the other language.
    pub(super) other_language: &'a str,
    /// `As of …`, if the page shows a state.
    pub(super) as_of: Option<String>,
}

/// A whole page around `main`.
pub(super) fn page(frame: &Frame<'_>, language: Language, main: &Markup) -> Markup {
    let other = language.other();
    let whole = html! {
        (DOCTYPE)
        html lang=(language.tag()) {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                meta name="robots" content="noindex, nofollow";
                title { (frame.title) }
                link rel="stylesheet" href=(stylesheet().path);
                link rel="icon" type="image/svg+xml" href=(icon().path);
            }
            body {
                header.top {
                    span.publisher { (frame.publisher) }
                    a lang=(other.tag()) hreflang=(other.tag()) href=(frame.other_language) {
                        (match other {
                            Language::Chinese => "中文",
                            Language::English => "English",
                        })
                    }
                }
                main { (main) }
                @if let Some(as_of) = &frame.as_of {
                    footer { p { (as_of) } }
                }
            }
        }
    };
    in_order(whole)
}

/// The same page without characters that turn round what is written beside them (Unicode 15, "Bidirectional
/// Formatting Characters"): a name with one of them would make the reader see another sentence.
pub(super) fn in_order(page: Markup) -> Markup {
    let turns = |c: char| matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    let PreEscaped(text) = page;
    match text.contains(turns) {
        true => PreEscaped(text.replace(turns, "\u{fffd}")),
        false => PreEscaped(text),
    }
}

/// A sentence whose dates and times do not break at their hyphens.
pub(super) fn sentence(text: &str) -> Markup {
    const SHAPE: &[u8; 16] = b"dddd-dd-dd dd:dd";
    let is_instant = |bytes: &[u8]| {
        bytes.iter().zip(SHAPE).all(|(byte, shape)| match shape {
            b'd' => byte.is_ascii_digit(),
            exact => byte == exact,
        })
    };
    let mut pieces = Vec::new();
    let mut rest = text;
    while let Some(at) = rest.as_bytes().windows(SHAPE.len()).position(is_instant) {
        let (before, from) = rest.split_at(at);
        let (instant, after) = from.split_at(SHAPE.len());
        pieces.push((before, instant));
        rest = after;
    }
    html! {
        @for (before, instant) in pieces {
            (before)
            span.instant { (instant) }
        }
        (rest)
    }
}

/// Text of at most `chars_max` characters; what is cut ends in `…`.
pub(super) fn cut(text: &str, chars_max: usize) -> String {
    if text.chars().count() <= chars_max {
        return text.into();
    }
    let mut short: String = text.chars().take(chars_max.saturating_sub(1)).collect();
    short.push('…');
    short
}
