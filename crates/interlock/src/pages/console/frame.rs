//! What all pages of a person share: navigation, settings, who is logged in.

use interlock_core::time::{Timestamp, Zone};
use maud::{DOCTYPE, Markup, html};

use crate::identity::person::Person;
use crate::node::io::Role;
use crate::pages::Language;
use crate::pages::layout::{cut, icon, in_order, stylesheet};
use crate::pages::words::NAME_CHARS_MAX;

/// Colours that a reader wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Theme {
    /// As the system has it.
    System,
    /// Dark on light.
    Light,
    /// Light on dark.
    Dark,
}

impl Theme {
    /// All of them.
    const ALL: [Self; 3] = [Self::System, Self::Light, Self::Dark];

    /// The one of that name; the system's for any other text.
    pub fn of(name: &str) -> Self {
        let found = Self::ALL.into_iter().find(|theme| theme.as_str() == name);
        found.unwrap_or(Self::System)
    }

    /// The name in a cookie and an address.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::System => "system",
            Self::Light => "light",
            Self::Dark => "dark",
        }
    }

    const fn attribute(self) -> Option<&'static str> {
        match self {
            Self::System => None,
            Self::Light | Self::Dark => Some(self.as_str()),
        }
    }
}

/// Who reads, and how.
#[derive(Clone, Copy)]
pub struct Reader<'a> {
    /// Language.
    pub language: Language,
    /// Colours.
    pub theme: Theme,
    /// Whose node it is.
    pub publisher: &'a str,
    /// Who is logged in, if anybody.
    pub person: Option<&'a Person>,
    /// Mark of the session's forms.
    pub csrf: &'a str,
    /// Path and query of this page.
    pub here: &'a str,
    /// When the page is made.
    pub as_of: Timestamp,
    /// The zone that times are shown in.
    pub zone: Zone,
    /// Whether everything is open, for paper.
    pub print: bool,
}

#[cfg(test)]
impl Reader<'_> {
    /// Whom tests make pages for: nobody who is logged in, at the beginning of time, on a screen.
    pub(crate) const fn in_tests(language: Language) -> Self {
        Self {
            language,
            theme: Theme::System,
            publisher: "Cainiao",
            person: None,
            csrf: "",
            here: "/console",
            as_of: Timestamp::from_millis(0),
            zone: Zone::CHINA,
            print: false,
        }
    }
}

impl<'a> Reader<'a> {
    /// The text of the reader's language.
    pub(super) const fn pick(&self, chinese: &'static str, english: &'static str) -> &'static str {
        self.language.pick(chinese, english)
    }

    /// Whether the reader has one of these roles.
    pub(super) fn is_any(&self, roles: &[Role]) -> bool {
        self.person.is_some_and(|person| person.has_any(roles))
    }

    /// The hidden mark of a form.
    pub(super) fn mark(&self) -> Markup {
        html! { input type="hidden" name="csrf" value=(self.csrf); }
    }

    fn settings(&self, name: &str, value: &str) -> String {
        let pairs = [(name, value), ("back", self.here)];
        let query = serde_urlencoded::to_string(pairs).unwrap_or_default();
        format!("/settings?{query}")
    }
}

/// Where a page belongs in the navigation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Section {
    Overview,
    Agreements,
    Data,
    Parcels,
    Evidence,
    Access,
    Courier,
    Merchant,
    /// None of the navigation's.
    None,
}

struct Entry {
    section: Section,
    path: &'static str,
    words: (&'static str, &'static str),
    roles: &'static [Role],
}

const READERS: &[Role] = &[Role::Approver, Role::Auditor, Role::Operations];

const ENTRIES: &[Entry] = &[
    Entry {
        section: Section::Overview,
        path: "/console",
        words: ("概览", "Overview"),
        roles: READERS,
    },
    Entry {
        section: Section::Agreements,
        path: "/console/agreements",
        words: ("协议", "Agreements"),
        roles: READERS,
    },
    Entry {
        section: Section::Data,
        path: "/console/releases",
        words: ("数据", "Data"),
        roles: &[Role::Auditor, Role::Operations],
    },
    Entry {
        section: Section::Parcels,
        path: "/console/parcels",
        words: ("包裹", "Parcels"),
        roles: &[Role::Auditor, Role::Operations],
    },
    Entry {
        section: Section::Evidence,
        path: "/console/evidence",
        words: ("证据", "Evidence"),
        roles: &[Role::Auditor, Role::Operations],
    },
    Entry {
        section: Section::Access,
        path: "/console/access",
        words: ("权限", "Access"),
        roles: &[],
    },
    Entry {
        section: Section::Courier,
        path: "/courier",
        words: ("投柜", "Deposit"),
        roles: &[Role::Courier],
    },
    Entry {
        section: Section::Merchant,
        path: "/merchant",
        words: ("我的包裹", "Your parcels"),
        roles: &[Role::Merchant],
    },
];

/// A page with navigation.
pub(super) struct Sheet<'a> {
    /// For the browser's tab and history: no waybill, phone, name or code.
    pub(super) title: &'a str,
    /// Where it belongs.
    pub(super) section: Section,
    /// Narrow pages are read, wide ones looked at.
    pub(super) wide: bool,
}

/// The whole page.
pub(super) fn sheet(reader: &Reader<'_>, sheet: &Sheet<'_>, main: &Markup) -> Markup {
    let class = match sheet.wide {
        true => "desk wide",
        false => "desk",
    };
    let whole = html! {
        (DOCTYPE)
        html lang=(reader.language.tag()) data-theme=[reader.theme.attribute()] {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                meta name="robots" content="noindex, nofollow";
                title { (sheet.title) " · Interlock" }
                link rel="stylesheet" href=(stylesheet().path);
                link rel="icon" type="image/svg+xml" href=(icon().path);
            }
            body class=(class) {
                a.skip href="#main" { (reader.pick("跳到正文", "Skip to content")) }
                (top(reader))
                @if reader.person.is_some() { (navigation(reader, sheet.section)) }
                main #main { (main) }
                (foot(reader))
            }
        }
    };
    in_order(whole)
}

fn top(reader: &Reader<'_>) -> Markup {
    let other = reader.language.other();
    html! {
        header.top {
            span.publisher { (cut(reader.publisher, NAME_CHARS_MAX)) }
            span.settings {
                a lang=(other.tag()) hreflang=(other.tag()) href=(reader.settings("lang", other.tag())) {
                    (match other { Language::Chinese => "中文", Language::English => "English" })
                }
                @if let Some(person) = reader.person {
                    a href="/account" { (person.name.as_str()) }
                    form method="post" action="/logout" {
                        (reader.mark())
                        button.plain type="submit" { (reader.pick("退出", "Log out")) }
                    }
                }
            }
        }
    }
}

fn navigation(reader: &Reader<'_>, section: Section) -> Markup {
    let entries = ENTRIES.iter().filter(|entry| reader.is_any(entry.roles));
    let label = reader.pick("主导航", "Main");
    let list = html! {
        ul {
            @for entry in entries {
                li {
                    a href=(entry.path) aria-current=[(entry.section == section).then_some("page")] {
                        (reader.language.pick(entry.words.0, entry.words.1))
                    }
                }
            }
        }
    };
    html! {
        nav.main aria-label=(label) { (list) }
        details.menu {
            summary { (reader.pick("菜单", "Menu")) }
            nav aria-label=(label) { (list) }
        }
    }
}

fn foot(reader: &Reader<'_>) -> Markup {
    let as_of = reader.language.instant(reader.as_of, reader.zone);
    html! {
        footer {
            p {
                @match reader.language {
                    Language::Chinese => { "截至 " span.instant { (as_of) } "。" }
                    Language::English => { "As of " span.instant { (as_of) } "." }
                }
                @if let Some(person) = reader.person {
                    span.printed {
                        (reader.pick(" 打印人：", " Printed by ")) (person.name.as_str())
                    }
                }
            }
            p.themes {
                (reader.pick("颜色：", "Colours: "))
                @for theme in Theme::ALL {
                    a href=(reader.settings("theme", theme.as_str()))
                        aria-current=[(theme == reader.theme).then_some("true")] {
                        (match theme {
                            Theme::System => reader.pick("跟随系统", "system"),
                            Theme::Light => reader.pick("浅色", "light"),
                            Theme::Dark => reader.pick("深色", "dark"),
                        })
                    }
                    " "
                }
            }
        }
    }
}
