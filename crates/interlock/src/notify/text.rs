//! What recipients read.
//!
//! Invariant: the facts have no place for a phone number or a person's name, and the code and the
//! compartment travel together or not at all. It does not know the channel.

use interlock_core::time::{Timestamp, Zone};

use crate::pages::Language;

/// Longest name or position in a message, in characters; what is longer is cut.
const NAME_CHARS_MAX: usize = 48;

/// What a message tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MessageKind {
    /// The parcel lies in a locker.
    Deposited,
    /// The time to pick it up is over; it still lies there.
    Overdue,
    /// The old code has ended.
    NewCode,
}

/// The code and the compartment that it opens.
#[derive(Clone, Copy)]
pub struct CodeFacts<'a> {
    /// The pick-up code.
    pub code: &'a str,
    /// The compartment, as written on its door.
    pub compartment: &'a str,
}

impl std::fmt::Debug for CodeFacts<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("CodeFacts(redacted)")
    }
}

/// What a message may say about a parcel.
#[derive(Clone, Copy, Debug)]
pub struct MessageFacts<'a> {
    /// Who sends it, such as `Fengchao`.
    pub sender: &'a str,
    /// The carrier's name for people, such as `SF`.
    pub carrier: &'a str,
    /// Name of the station.
    pub station: &'a str,
    /// Where it stands, if known.
    pub position: Option<&'a str>,
    /// Until when the parcel waits.
    pub pickup_until: Timestamp,
    /// The zone that times are written in.
    pub zone: Zone,
    /// Code and compartment, if the agreement lets the sender tell them.
    pub code: Option<CodeFacts<'a>>,
    /// The recipient's pick-up page, if there is one.
    pub link: Option<&'a str>,
}

/// The text of a message.
pub fn message(kind: MessageKind, facts: &MessageFacts<'_>, language: Language) -> String {
    match language {
        Language::Chinese => chinese(kind, facts),
        Language::English => english(kind, facts),
    }
}

fn chinese(kind: MessageKind, facts: &MessageFacts<'_>) -> String {
    let carrier = plain(facts.carrier);
    let until = Language::Chinese.instant(facts.pickup_until, facts.zone);
    let place = match facts.position {
        Some(position) => format!("快递柜 {}（{}）", plain(facts.station), plain(position)),
        None => format!("快递柜 {}", plain(facts.station)),
    };
    let mut text = format!("【{}】", plain(facts.sender));
    text += &match kind {
        MessageKind::Deposited => {
            format!("您的{carrier}包裹已放入{place}，请于 {until}前取件。")
        }
        MessageKind::Overdue => {
            format!("您的{carrier}包裹已过取件时间 {until}，仍在{place}，请尽快取件。")
        }
        MessageKind::NewCode => {
            format!("您的{carrier}包裹在{place}，取件码已更换，旧码失效，请于 {until}前取件。")
        }
    };
    if let Some(code) = facts.code {
        text += &format!(
            "取件码 {}，格口 {}。",
            plain(code.code),
            plain(code.compartment)
        );
    }
    if let Some(link) = facts.link {
        let label = if facts.code.is_some() {
            "详情"
        } else {
            "查看取件码"
        };
        text += &format!("{label}：{link}");
    }
    text
}

fn english(kind: MessageKind, facts: &MessageFacts<'_>) -> String {
    let carrier = plain(facts.carrier);
    let until = Language::English.instant(facts.pickup_until, facts.zone);
    let place = match facts.position {
        Some(position) => format!("locker {} ({})", plain(facts.station), plain(position)),
        None => format!("locker {}", plain(facts.station)),
    };
    let mut text = format!("{}: ", plain(facts.sender));
    text += &match kind {
        MessageKind::Deposited => {
            format!("your {carrier} parcel is in {place}. Pick it up by {until}.")
        }
        MessageKind::Overdue => format!(
            "your {carrier} parcel is still in {place}. It was due by {until}; please pick it up soon."
        ),
        MessageKind::NewCode => format!(
            "your {carrier} parcel in {place} has a new code; the old one has ended. Pick it up by {until}."
        ),
    };
    if let Some(code) = facts.code {
        text += &format!(
            " Code {}, compartment {}.",
            plain(code.code),
            plain(code.compartment)
        );
    }
    if let Some(link) = facts.link {
        let label = if facts.code.is_some() {
            "Details"
        } else {
            "Get your code"
        };
        text += &format!(" {label}: {link}");
    }
    text
}

/// A name on one line: control characters and the brackets that mark a sender become spaces, so that
/// a station's name cannot begin another message or pose as another sender.
fn plain(name: &str) -> String {
    name.chars()
        .take(NAME_CHARS_MAX)
        .map(|c| {
            if c.is_control() || matches!(c, '【' | '】' | '\u{2028}' | '\u{2029}') {
                ' '
            } else {
                c
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::expect;

    fn facts() -> MessageFacts<'static> {
        let (pickup_until, zone) = Timestamp::parse_zoned("2017-06-03T18:00:00+08:00").unwrap();
        MessageFacts {
            sender: "丰巢",
            carrier: "顺丰",
            station: "0412",
            position: Some("西湖区文三路 90 号东门"),
            pickup_until,
            zone,
            code: Some(CodeFacts {
                code: "81604275",
                compartment: "B07",
            }),
            link: Some("https://p.fengchao.example/p/x9"),
        }
    }

    const KINDS: [MessageKind; 3] = [
        MessageKind::Deposited,
        MessageKind::Overdue,
        MessageKind::NewCode,
    ];

    #[test]
    fn chinese_texts() {
        let texts = KINDS
            .map(|kind| message(kind, &facts(), Language::Chinese))
            .join("\n");
        expect![[r#"
            【丰巢】您的顺丰包裹已放入快递柜 0412（西湖区文三路 90 号东门），请于 2017-06-03 18:00（UTC+8）前取件。取件码 81604275，格口 B07。详情：https://p.fengchao.example/p/x9
            【丰巢】您的顺丰包裹已过取件时间 2017-06-03 18:00（UTC+8），仍在快递柜 0412（西湖区文三路 90 号东门），请尽快取件。取件码 81604275，格口 B07。详情：https://p.fengchao.example/p/x9
            【丰巢】您的顺丰包裹在快递柜 0412（西湖区文三路 90 号东门），取件码已更换，旧码失效，请于 2017-06-03 18:00（UTC+8）前取件。取件码 81604275，格口 B07。详情：https://p.fengchao.example/p/x9"#]].assert_eq(&texts);
        let withheld = MessageFacts {
            code: None,
            ..facts()
        };
        expect!["【丰巢】您的顺丰包裹已放入快递柜 0412（西湖区文三路 90 号东门），请于 2017-06-03 18:00（UTC+8）前取件。查看取件码：https://p.fengchao.example/p/x9"].assert_eq(&message(MessageKind::Deposited, &withheld, Language::Chinese));
    }

    #[test]
    fn english_texts() {
        let facts = MessageFacts {
            sender: "Fengchao",
            carrier: "SF",
            position: Some("90 Wensan Road, east gate"),
            ..facts()
        };
        let texts = KINDS
            .map(|kind| message(kind, &facts, Language::English))
            .join("\n");
        expect![[r#"
            Fengchao: your SF parcel is in locker 0412 (90 Wensan Road, east gate). Pick it up by 2017-06-03 18:00 (UTC+8). Code 81604275, compartment B07. Details: https://p.fengchao.example/p/x9
            Fengchao: your SF parcel is still in locker 0412 (90 Wensan Road, east gate). It was due by 2017-06-03 18:00 (UTC+8); please pick it up soon. Code 81604275, compartment B07. Details: https://p.fengchao.example/p/x9
            Fengchao: your SF parcel in locker 0412 (90 Wensan Road, east gate) has a new code; the old one has ended. Pick it up by 2017-06-03 18:00 (UTC+8). Code 81604275, compartment B07. Details: https://p.fengchao.example/p/x9"#]].assert_eq(&texts);
        let withheld = MessageFacts {
            code: None,
            ..facts
        };
        expect!["Fengchao: your SF parcel is in locker 0412 (90 Wensan Road, east gate). Pick it up by 2017-06-03 18:00 (UTC+8). Get your code: https://p.fengchao.example/p/x9"].assert_eq(&message(MessageKind::Deposited, &withheld, Language::English));
    }

    #[test]
    fn the_code_is_told_only_if_the_facts_hold_it() {
        for language in Language::ALL {
            for kind in KINDS {
                let told = message(kind, &facts(), language);
                assert!(told.contains("81604275") && told.contains("B07"), "{told}");
                let withheld = MessageFacts {
                    code: None,
                    ..facts()
                };
                let text = message(kind, &withheld, language);
                assert!(
                    !text.contains("81604275") && !text.contains("B07"),
                    "{text}"
                );
                let bare = MessageFacts {
                    link: None,
                    position: None,
                    ..withheld
                };
                let text = message(kind, &bare, language);
                assert!(text.contains("0412") && !text.contains("http"), "{text}");
            }
        }
        assert!(!format!("{:?}", facts()).contains("81604275"));
    }

    #[test]
    fn a_name_cannot_pose_as_another_message() {
        let mut facts = facts();
        let long = "长".repeat(500);
        facts.station = "0412\r\n【银行】点击";
        facts.position = Some(&long);
        for language in Language::ALL {
            let text = message(MessageKind::Deposited, &facts, language);
            assert!(!text.contains(['\r', '\n']), "{text}");
            assert!(!text.contains("【银行】"), "{text}");
            assert!(text.chars().count() < 250, "{text}");
        }
    }
}
