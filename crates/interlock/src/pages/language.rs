//! The language of a page or message.
//!
//! Invariant: every text exists in both languages; a reader who names neither gets Chinese. It does
//! not know who reads.

use interlock_core::time::{DAY_MS, HOUR_MS, MINUTE_MS, Timestamp, Zone};

/// Longest `Accept-Language` that is looked at, in bytes; the rest is ignored.
const ACCEPT_LANGUAGE_BYTES_MAX: usize = 256;

/// A language that pages and messages are written in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Language {
    /// Simplified Chinese, `zh-CN`.
    Chinese,
    /// English, `en`.
    English,
}

impl Language {
    /// Both languages, the default first.
    pub const ALL: [Self; 2] = [Self::Chinese, Self::English];

    /// The tag of BCP 47, for `lang` and `Content-Language`.
    pub const fn tag(self) -> &'static str {
        match self {
            Self::Chinese => "zh-CN",
            Self::English => "en",
        }
    }

    /// The other one.
    #[must_use]
    pub const fn other(self) -> Self {
        match self {
            Self::Chinese => Self::English,
            Self::English => Self::Chinese,
        }
    }

    /// The language that a reader asks for: `?lang=` first, then `Accept-Language` (RFC 9110 section
    /// 12.5.4) by weight, then Chinese. What is malformed is passed over, never an error.
    pub fn choose(query: Option<&str>, accept_language: Option<&str>) -> Self {
        if let Some(language) = query.and_then(Self::of_tag) {
            return language;
        }
        let header = accept_language.unwrap_or_default();
        let header = header.get(..ACCEPT_LANGUAGE_BYTES_MAX).unwrap_or(header);
        let mut best: Option<(Self, u32)> = None;
        for range in header.split(',') {
            let (tag, parameters) = range.split_once(';').unwrap_or((range, ""));
            let Some(language) = Self::of_tag(tag.trim()) else {
                continue;
            };
            let weight = weight_in_thousandths(parameters);
            if weight > best.map_or(0, |(_, w)| w) {
                best = Some((language, weight));
            }
        }
        best.map_or(Self::Chinese, |(language, _)| language)
    }

    fn of_tag(tag: &str) -> Option<Self> {
        let primary = tag.split('-').next().unwrap_or_default();
        if primary.eq_ignore_ascii_case("zh") {
            Some(Self::Chinese)
        } else if primary.eq_ignore_ascii_case("en") {
            Some(Self::English)
        } else {
            None
        }
    }

    /// The text of this language.
    pub const fn pick(self, chinese: &'static str, english: &'static str) -> &'static str {
        match self {
            Self::Chinese => chinese,
            Self::English => english,
        }
    }

    /// An instant for people, such as `2017-06-01 00:00 (UTC+8)`; Chinese brackets in Chinese.
    pub fn instant(self, at: Timestamp, zone: Zone) -> String {
        let text = at.to_display(zone);
        match self {
            Self::Chinese => text.replace(" (", "（").replace(')', "）"),
            Self::English => text,
        }
    }

    /// How long before `now` something was, in its largest whole unit: `9 hours ago`. What lies
    /// ahead (a clock that runs behind) reads as `just now`.
    pub fn ago(self, at: Timestamp, now: Timestamp) -> String {
        match self.span(now.since_ms(at)) {
            None => self.pick("刚刚", "just now").into(),
            Some(span) => match self {
                Self::Chinese => format!("{span}前"),
                Self::English => format!("{span} ago"),
            },
        }
    }

    /// How long after `now` something will be, in its largest whole unit: `in 9 hours`. What is past
    /// reads as `now`.
    pub fn ahead(self, at: Timestamp, now: Timestamp) -> String {
        match self.span(at.since_ms(now)) {
            None => self.pick("即将到时", "now").into(),
            Some(span) => match self {
                Self::Chinese => format!("还有 {span}"),
                Self::English => format!("in {span}"),
            },
        }
    }

    /// `9 hours`; `None` below a minute.
    fn span(self, ms: i64) -> Option<String> {
        let (count, chinese, one, many) = if ms < MINUTE_MS {
            return None;
        } else if ms < HOUR_MS {
            (ms / MINUTE_MS, "分钟", "minute", "minutes")
        } else if ms < DAY_MS {
            (ms / HOUR_MS, "小时", "hour", "hours")
        } else {
            (ms / DAY_MS, "天", "day", "days")
        };
        Some(match self {
            Self::Chinese => format!("{count} {chinese}"),
            Self::English => format!("{count} {}", if count == 1 { one } else { many }),
        })
    }
}

/// `q=0.8` as 800; 1000 if there is none; 0 if it is malformed.
fn weight_in_thousandths(parameters: &str) -> u32 {
    let Some(text) = parameters
        .split(';')
        .find_map(|p| p.trim().strip_prefix("q="))
    else {
        return 1_000;
    };
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    if fraction.len() > 3 || !fraction.bytes().all(|b| b.is_ascii_digit()) {
        return 0;
    }
    match whole {
        "1" => 1_000,
        "0" => format!("{fraction:0<3}").parse().unwrap_or(0),
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_query_wins_then_the_weights() {
        let choose = Language::choose;
        assert_eq!(choose(None, None), Language::Chinese);
        assert_eq!(choose(Some("en"), Some("zh-CN")), Language::English);
        assert_eq!(choose(Some("tlh"), Some("en-GB")), Language::English);
        for (header, wanted) in [
            ("en-US,en;q=0.9,zh-CN;q=0.8", Language::English),
            ("de, zh-TW;q=0.7, en;q=0.65", Language::Chinese),
            ("en;q=0, zh;q=0.001", Language::Chinese),
            ("en;q=2, zh;q=0.1", Language::Chinese),
            ("en;q=0.5;q", Language::English),
            ("fr", Language::Chinese),
            ("EN", Language::English),
            (";;,,=", Language::Chinese),
        ] {
            assert_eq!(choose(None, Some(header)), wanted, "{header}");
        }
        let long = format!("{}en", "x,".repeat(4_000));
        assert_eq!(choose(None, Some(&long)), Language::Chinese);
    }

    #[test]
    fn instants_and_ages_read_as_people_write_them() {
        let (at, zone) = Timestamp::parse_zoned("2017-05-31T22:41:00+08:00").unwrap();
        let now = at.plus_ms(9 * HOUR_MS + 59 * MINUTE_MS);
        assert_eq!(
            Language::Chinese.instant(at, zone),
            "2017-05-31 22:41（UTC+8）"
        );
        assert_eq!(
            Language::English.instant(at, zone),
            "2017-05-31 22:41 (UTC+8)"
        );
        assert_eq!(Language::Chinese.ago(at, now), "9 小时前");
        assert_eq!(Language::English.ago(at, now), "9 hours ago");
        assert_eq!(
            Language::English.ago(at, at.plus_ms(MINUTE_MS)),
            "1 minute ago"
        );
        assert_eq!(
            Language::English.ago(at, at.plus_ms(2 * DAY_MS)),
            "2 days ago"
        );
        assert_eq!(Language::English.ago(now, at), "just now");
        assert_eq!(Language::English.ahead(now, at), "in 9 hours");
        assert_eq!(Language::Chinese.ahead(now, at), "还有 9 小时");
        assert_eq!(Language::English.ahead(at, now), "now");
    }
}
