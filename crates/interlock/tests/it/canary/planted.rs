//! What is planted, in every spelling in which it could lie about.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{Read as _, Seek as _, SeekFrom, Write as _};

use aho_corasick::AhoCorasick;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use memchr::memmem::Finder;

/// Bytes of a process's memory that are read at a time; what lies across two reads is found too.
const READ_SIZE_BYTES: usize = 1 << 20;
/// Bytes at the beginning of spellings by which they are looked for first.
const STEM_LENGTH: usize = 9;
/// Longest spelling, in bytes.
const LENGTH_MAX: usize = 256;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) enum Kind {
    /// Eleven digits, which are looked for with separators too.
    Phone,
    /// A name or an address, or a part of one that nothing else has.
    Text,
    /// Six digits, which count only where they stand alone.
    Code,
}

/// Something planted, in a place.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(in super::super) struct Found {
    pub(in super::super) whose: String,
    pub(super) place: String,
    /// What it is, and as what it was found.
    pub(super) what: String,
    pub(super) around: String,
}

/// One spelling.
struct Spelling {
    whose: String,
    what: String,
    finder: Finder<'static>,
    length: usize,
    alone: bool,
}

pub(in super::super) struct Planted {
    spellings: Vec<Spelling>,
    /// What every spelling begins with: where none of it is, nothing planted is.
    stems: AhoCorasick,
}

impl Planted {
    pub(in super::super) fn new(all: &[(&str, Kind, &str)]) -> Self {
        let mut planted = Self {
            spellings: Vec::new(),
            stems: stems(&BTreeSet::new()),
        };
        planted.plant(all.iter().copied());
        planted
    }

    pub(in super::super) fn plant_codes(&mut self, codes: &[(&str, String)]) {
        let codes = codes.iter();
        self.plant(codes.map(|(whose, code)| (*whose, Kind::Code, code.as_str())));
    }

    fn plant<'a>(&mut self, all: impl Iterator<Item = (&'a str, Kind, &'a str)>) {
        for (whose, kind, text) in all {
            for (form, written) in texts(kind, text) {
                for (form, bytes) in encoded(kind, &form, &written) {
                    assert!(bytes.len() <= LENGTH_MAX, "{form}");
                    self.spellings.push(Spelling {
                        whose: whose.into(),
                        what: format!("{text} ({form})"),
                        length: bytes.len(),
                        finder: Finder::new(&bytes).into_owned(),
                        alone: kind == Kind::Code,
                    });
                }
            }
        }
        let begins = self.spellings.iter().map(|it| {
            let bytes = it.finder.needle();
            &bytes[..bytes.len().min(STEM_LENGTH)]
        });
        self.stems = stems(&begins.collect());
    }

    /// What of it is in some bytes.
    pub(super) fn search(&self, bytes: &[u8]) -> BTreeSet<Found> {
        self.found_at("", bytes)
    }

    pub(super) fn found_at(&self, place: &str, bytes: &[u8]) -> BTreeSet<Found> {
        let mut all = BTreeSet::new();
        if !self.stems.is_match(bytes) {
            return all;
        }
        for spelling in &self.spellings {
            let mut hits = spelling.finder.find_iter(bytes);
            let hit = hits.find(|at| !spelling.alone || stands_alone(bytes, *at, spelling.length));
            if let Some(at) = hit {
                let around = &bytes[at.saturating_sub(60)..(at + 60).min(bytes.len())];
                all.insert(Found {
                    whose: spelling.whose.clone(),
                    place: place.into(),
                    what: spelling.what.clone(),
                    around: String::from_utf8_lossy(around).into_owned(),
                });
            }
        }
        all
    }

    /// What the memory of a process holds of it; `None` if it may not be read here, which is said even
    /// where a test passes, and fails in CI.
    pub(in super::super) fn in_memory(&self, place: &str, pid: u32) -> Option<BTreeSet<Found>> {
        let ranges = ranges(pid);
        let mut memory = match File::open(format!("/proc/{pid}/mem")) {
            Ok(memory) => memory,
            Err(error) if error.kind() == std::io::ErrorKind::PermissionDenied => {
                not_read(place, &error);
                return None;
            }
            Err(error) => panic!("{error}"),
        };
        let nothing = vec![0; READ_SIZE_BYTES];
        let (mut all, mut read) = (BTreeSet::new(), 0);
        for (from, to) in ranges {
            let mut at = from;
            let mut window: Vec<u8> = Vec::new();
            while at < to {
                let size = READ_SIZE_BYTES.min(usize::try_from(to - at).unwrap());
                let kept = window.len().min(LENGTH_MAX);
                window.drain(..window.len() - kept);
                let begin = window.len();
                window.resize(begin + size, 0);
                memory.seek(SeekFrom::Start(at)).unwrap();
                // A range that was given back since, or a guard page.
                if memory.read_exact(&mut window[begin..]).is_err() {
                    break;
                }
                if window[begin..] == nothing[..size] {
                    window.clear();
                } else {
                    all.extend(self.found_at(place, &window));
                }
                at += size as u64;
                read += size;
            }
        }
        assert!(read > READ_SIZE_BYTES, "the memory was read: {read} bytes");
        Some(all)
    }
}

/// The ranges of a process's memory that can be read, but for the program itself and its libraries, which it
/// cannot write to.
fn ranges(pid: u32) -> Vec<(u64, u64)> {
    let maps = std::fs::read_to_string(format!("/proc/{pid}/maps")).unwrap();
    let parsed = maps.lines().filter_map(|line| {
        let mut words = line.split_whitespace();
        let (from, to) = words.next()?.split_once('-')?;
        let rights = words.next()?;
        let name = words.nth(3).unwrap_or_default();
        let program = name.starts_with('/') && !rights.contains('w');
        let kernel = name.starts_with("[v");
        let readable = rights.starts_with('r') && !program;
        let number = |text| u64::from_str_radix(text, 16).ok();
        (readable && !kernel).then_some((number(from)?, number(to)?))
    });
    parsed.collect()
}

/// Says that memory was not read: past what the test harness catches, so that it is seen where all passes.
fn not_read(place: &str, error: &std::io::Error) {
    let told = format!("NOT TESTED: {place} may not be read here (ptrace is forbidden): {error}");
    let in_ci = std::env::var("CI").is_ok_and(|it| !matches!(it.as_str(), "" | "0" | "false"));
    assert!(!in_ci, "{told}; allow ptrace of children where CI is set");
    let _ = writeln!(std::io::stderr(), "\n{told}");
}

fn stems(begins: &BTreeSet<&[u8]>) -> AhoCorasick {
    AhoCorasick::new(begins).unwrap()
}

/// The texts in which something may be written.
fn texts(kind: Kind, text: &str) -> Vec<(String, String)> {
    let mut all = vec![("as it is".to_owned(), text.to_owned())];
    if kind == Kind::Phone {
        for separator in [" ", "-", "."] {
            let parts = [&text[..3], &text[3..7], &text[7..]];
            all.push((format!("with `{separator}`"), parts.join(separator)));
        }
        // Whatever hides less than the middle four and the two before.
        all.push(("its last nine".into(), text[2..].into()));
    }
    all
}

/// The bytes in which a text may lie about.
fn encoded(kind: Kind, form: &str, text: &str) -> Vec<(String, Vec<u8>)> {
    let raw = text.as_bytes();
    let mut all = vec![(form.to_owned(), raw.to_vec())];
    let mut add = |name: &str, bytes: Vec<u8>| all.push((format!("{form}, {name}"), bytes));
    add(
        "UTF-16LE",
        text.encode_utf16().flat_map(u16::to_le_bytes).collect(),
    );
    add(
        "UTF-16BE",
        text.encode_utf16().flat_map(u16::to_be_bytes).collect(),
    );
    add(
        "hex",
        raw.iter()
            .flat_map(|it| format!("{it:02x}").into_bytes())
            .collect(),
    );
    add(
        "HEX",
        raw.iter()
            .flat_map(|it| format!("{it:02X}").into_bytes())
            .collect(),
    );
    if !text.is_ascii() {
        let units = text.encode_utf16().map(|it| format!("\\u{it:04x}"));
        add("JSON", units.collect::<String>().into_bytes());
    }
    let percent = raw.iter().map(
        |it| match it.is_ascii_alphanumeric() || b"-.".contains(it) {
            true => char::from(*it).to_string(),
            false => format!("%{it:02X}"),
        },
    );
    let percent = percent.collect::<String>();
    if percent != text {
        add("percent", percent.into_bytes());
    }
    if kind != Kind::Code {
        for shift in 0..3 {
            add(&format!("base64 at {shift}"), within_base64(raw, shift));
        }
    }
    all
}

/// What is the same of a text in base64 whatever stands before and behind it.
fn within_base64(raw: &[u8], shift: usize) -> Vec<u8> {
    let padded: Vec<u8> = std::iter::repeat_n(0, shift)
        .chain(raw.iter().copied())
        .collect();
    let text = STANDARD.encode(&padded);
    // The digits that hold nothing but bits of the text.
    let from = (shift * 8).div_ceil(6);
    let to = padded.len() * 8 / 6;
    text.as_bytes()[from..to].to_vec()
}

/// Whether digits are a word of their own: random letters and digits hold any six, and so does a fraction of
/// a second.
fn stands_alone(bytes: &[u8], at: usize, length: usize) -> bool {
    let before = at.checked_sub(1).map(|at| bytes[at]);
    let after = bytes.get(at + length);
    let part = |it: &u8| it.is_ascii_alphanumeric() || *it == b'.';
    !before.as_ref().is_some_and(part) && !after.is_some_and(|it| it.is_ascii_alphanumeric())
}

#[test]
fn what_is_planted_is_found_in_every_spelling() {
    let planted = Planted::new(&[
        ("a", Kind::Phone, "13876501987"),
        ("b", Kind::Text, "金丝雀甲"),
        ("c", Kind::Code, "482913"),
    ]);
    let whose = |bytes: &[u8]| {
        let found = planted.search(bytes);
        found
            .iter()
            .map(|it| it.whose.clone())
            .collect::<BTreeSet<_>>()
            .into_iter()
            .collect::<String>()
    };
    for text in [
        "+8613876501987",
        "138-7650-1987",
        "138 7650 1987",
        "x876501987y",
    ] {
        assert_eq!(whose(text.as_bytes()), "a", "{text}");
        for before in ["", "x", "xy"] {
            let base64 = STANDARD.encode(format!("{before}{text}z"));
            assert_eq!(whose(base64.as_bytes()), "a", "{base64}");
        }
    }
    assert_eq!(whose(b"3133383736353031393837"), "a");
    for text in [
        "收件人金丝雀甲。",
        "\\u91d1\\u4e1d\\u96c0\\u7532",
        "%E9%87%91%E4%B8%9D%E9%9B%80%E7%94%B2",
    ] {
        assert_eq!(whose(text.as_bytes()), "b", "{text}");
    }
    let utf16: Vec<u8> = "金丝雀甲"
        .encode_utf16()
        .flat_map(u16::to_le_bytes)
        .collect();
    assert_eq!(whose(&utf16), "b");
    assert_eq!(whose("取件码 482913，".as_bytes()), "c");
    for text in [
        "138****1987",
        "*******1987",
        "1387650198",
        "a482913b",
        "23.482913Z",
        "14829130",
    ] {
        assert_eq!(whose(text.as_bytes()), "", "{text}");
    }
}
