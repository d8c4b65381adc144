//! What a label on a parcel says of its recipient.
//!
//! Purpose: three kinds of labels as text. Invariants: each kind hides at least what its rule says, and
//! what cannot be told apart from a unit or room is hidden too: a courier who cannot find the door asks by
//! the leased number, what was printed cannot be taken back. It does not know how labels are drawn.

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use crate::contact::{Phone, Recipient};

/// A kind of label.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum LabelKind {
    /// As carriers introduced it in 2017: name and address in full, the middle four digits of the phone
    /// hidden. It is no longer enough.
    Privacy2017,
    /// GB/T 41833-2022: all but the first character of the name, all but the last four digits of the
    /// phone, and unit and room of the address hidden.
    Gbt41833,
    /// Name and phone hidden, in place of the address a code that whoever made the label can resolve.
    Fengmi,
}

impl LabelKind {
    /// All kinds.
    pub const ALL: [Self; 3] = [Self::Privacy2017, Self::Gbt41833, Self::Fengmi];

    /// The name at doors.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Privacy2017 => "privacy-2017",
            Self::Gbt41833 => "gb-t-41833-2022",
            Self::Fengmi => "fengmi",
        }
    }

    /// The kind of that name.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == text)
    }
}

/// What is printed of a recipient. It is meant to be read by anybody, and still does not print itself in
/// logs.
#[derive(Clone, PartialEq, Eq)]
pub struct LabelText {
    /// Name.
    pub name: String,
    /// Telephone number.
    pub phone: String,
    /// Address, or the code in its place.
    pub address: String,
}

impl fmt::Debug for LabelText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("LabelText(redacted)")
    }
}

/// Stands for what is hidden.
const HIDDEN: &str = "***";

impl LabelText {
    /// What a label of `kind` says of `recipient`; `code` stands for the address where the kind has one.
    pub fn of(kind: LabelKind, recipient: &Recipient, code: &str) -> Self {
        match kind {
            LabelKind::Privacy2017 => Self {
                name: recipient.name.clone(),
                phone: middle_hidden(&recipient.phone),
                address: recipient.address.clone(),
            },
            LabelKind::Gbt41833 => Self {
                name: surname(&recipient.name),
                phone: recipient.phone.masked(),
                address: without_room(&recipient.address),
            },
            LabelKind::Fengmi => Self {
                name: HIDDEN.into(),
                phone: HIDDEN.into(),
                address: code.into(),
            },
        }
    }
}

/// `138****1234`, without the country code of China.
fn middle_hidden(phone: &Phone) -> String {
    let number = phone.reveal();
    let national = number.strip_prefix("+86").unwrap_or(number);
    let tail = national.len().saturating_sub(4);
    let head = national
        .get(..tail.saturating_sub(4).min(3))
        .unwrap_or_default();
    alloc::format!("{head}****{}", national.get(tail..).unwrap_or_default())
}

/// The first character and one star, however long the name is.
fn surname(name: &str) -> String {
    let mut letters = name.trim().chars();
    match (letters.next(), letters.next()) {
        (Some(first), Some(_)) => alloc::format!("{first}*"),
        (Some(_) | None, _) => "*".into(),
    }
}

/// The address up to unit and room.
fn without_room(address: &str) -> String {
    if address.chars().any(is_han) {
        return without_room_han(address);
    }
    let mut kept: Vec<String> = Vec::new();
    let mut numbered = false;
    for part in address.split(',') {
        let shown = part_shown(part.trim(), numbered);
        numbered = numbered || part.chars().any(char::is_numeric);
        // One mark, however much is hidden.
        if shown != HIDDEN || kept.last().is_none_or(|last| !last.ends_with(HIDDEN)) {
            kept.push(shown);
        }
    }
    kept.join(", ")
}

const fn is_han(c: char) -> bool {
    matches!(c, '\u{3400}'..='\u{9fff}' | '\u{f900}'..='\u{faff}')
}

/// Words that begin what is within a building.
const WITHIN: [&str; 14] = [
    "unit",
    "room",
    "rm",
    "apt",
    "apartment",
    "flat",
    "suite",
    "ste",
    "floor",
    "fl",
    "door",
    "no.",
    "building",
    "block",
];

/// One part of an address between commas: the number of the house is shown, any number after it is not.
fn part_shown(part: &str, numbered: bool) -> String {
    let mut kept: Vec<String> = Vec::new();
    let mut numbered = numbered;
    for word in part.split_whitespace() {
        let bare = word.trim_matches(|c: char| !c.is_alphanumeric() && c != '#' && c != '.');
        let within = WITHIN.iter().any(|it| bare.eq_ignore_ascii_case(it));
        let has_digit = word.chars().any(char::is_numeric);
        if within || word.starts_with('#') || (has_digit && numbered) {
            kept.push(HIDDEN.into());
            return kept.join(" ");
        }
        if !has_digit {
            kept.push(word.into());
            continue;
        }
        numbered = true;
        let house = word.find(|c: char| !c.is_numeric()).unwrap_or(word.len());
        let (house, rest) = word.split_at(house);
        if rest.is_empty() {
            kept.push(house.into());
        } else {
            kept.push(alloc::format!("{house}{HIDDEN}"));
            return kept.join(" ");
        }
    }
    kept.join(" ")
}

/// What may follow a number that does not lead into a building.
const OUTSIDE: &str = "号弄幢栋座路街巷道村组队期区镇乡米大";
/// What follows a number that does.
const INSIDE: &str = "单室层楼房户";
const NUMERALS: &str = "一二三四五六七八九十百零〇两";

/// Numbers that name a road, a house or a building are shown; from the first other one on all is hidden.
fn without_room_han(address: &str) -> String {
    let letters: Vec<char> = address.chars().collect();
    let numeric =
        |c: char| c.is_ascii_alphanumeric() || c.is_numeric() || matches!(c, '-' | '－' | '#');
    let numeral = |c: char| NUMERALS.contains(c);
    let mut at = 0;
    while let Some(first) = letters.get(at).copied() {
        let digits = numeric(first) && !numeral(first);
        let same = |c: &char| {
            if digits {
                numeric(*c) && !numeral(*c)
            } else {
                numeral(*c)
            }
        };
        if !digits && !numeral(first) {
            at += 1;
            continue;
        }
        let length = letters.iter().skip(at).take_while(|c| same(c)).count();
        let next = letters.get(at + length).copied();
        let has_digit = letters.iter().skip(at).take(length).any(|c| c.is_numeric());
        let within = match next {
            Some(next) if digits => !OUTSIDE.contains(next) && (has_digit || INSIDE.contains(next)),
            Some(next) => INSIDE.contains(next),
            None => digits && has_digit,
        };
        if within {
            let mut shown: String = letters.iter().take(at).collect();
            shown.push_str(HIDDEN);
            return shown;
        }
        at += length.max(1);
    }
    address.into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn recipient(name: &str, phone: &str, address: &str) -> Recipient {
        Recipient {
            name: name.into(),
            phone: Phone::parse(phone).unwrap(),
            address: address.into(),
        }
    }

    #[test]
    fn each_kind_hides_what_its_rule_says() {
        let whom = recipient("李雷", "13812341234", "杭州市西湖区文三路90号3幢2单元301室");
        let of = |kind| {
            let text = LabelText::of(kind, &whom, "7K3M-Q2XD-90AB");
            (text.name, text.phone, text.address)
        };
        let of = |kind| {
            let (name, phone, address) = of(kind);
            [name, phone, address]
        };
        assert_eq!(
            of(LabelKind::Privacy2017),
            ["李雷", "138****1234", "杭州市西湖区文三路90号3幢2单元301室"]
        );
        assert_eq!(
            of(LabelKind::Gbt41833),
            ["李*", "*******1234", "杭州市西湖区文三路90号3幢***"]
        );
        assert_eq!(of(LabelKind::Fengmi), ["***", "***", "7K3M-Q2XD-90AB"]);
        for kind in LabelKind::ALL {
            assert_eq!(LabelKind::parse(kind.as_str()), Some(kind));
        }
        assert_eq!(LabelKind::parse("full"), None);
        let text = LabelText::of(LabelKind::Privacy2017, &whom, "");
        assert_eq!(alloc::format!("{text:?}"), "LabelText(redacted)");
    }

    #[test]
    fn unit_and_room_are_hidden_however_they_are_written() {
        for (address, shown) in [
            ("文三路90号3-2-301", "文三路90号***"),
            ("文三路90号A座1201", "文三路90号A座***"),
            ("人民路8号三单元四楼", "人民路8号***"),
            ("三里屯路19号院5号楼2层", "三里屯路19号院5号楼***"),
            ("深圳市南山区", "深圳市南山区"),
            ("科技园３０１室", "科技园***"),
            (
                "90 Wensan Road, Room 301, Hangzhou",
                "90 Wensan Road, ***, Hangzhou",
            ),
            ("Wensan Road 90-301", "Wensan Road 90***"),
            ("Wensan Road 90 Unit 2, 301", "Wensan Road 90 ***"),
            ("Wensan Road 90", "Wensan Road 90"),
            ("Nanshan, Shenzhen", "Nanshan, Shenzhen"),
            ("1 Main St #4B, Springfield", "1 Main St ***, Springfield"),
        ] {
            assert_eq!(without_room(address), shown, "{address}");
        }
        assert_eq!(surname(""), "*");
        assert_eq!(surname("李"), "*");
        assert_eq!(surname("Li Lei"), "L*");
    }

    proptest! {
        /// At least six digits of any phone are hidden by today's rule, and no room is shown.
        #[test]
        fn no_room_and_few_digits_are_shown(
            road in "[东南西北中]{1,3}(路|街)", house in 1..999u32, room in 1000..9999u32,
            between in "(号|弄)(|[0-9]幢)(|[1-9]单元)", tail in "(|室|房|户)",
            phone in "1[3-9][0-9]{9}",
        ) {
            let address = alloc::format!("{road}{house}{between}{room}{tail}");
            let whom = recipient("王芳", &phone, &address);
            let text = LabelText::of(LabelKind::Gbt41833, &whom, "");
            prop_assert!(!text.address.contains(&alloc::format!("{room}")), "{}", text.address);
            prop_assert!(!text.address.contains("单元"));
            prop_assert!(text.phone.bytes().filter(u8::is_ascii_digit).count() <= 5);
        }
    }
}
