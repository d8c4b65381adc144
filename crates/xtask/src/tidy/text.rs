//! Rules for every file: size, white space, invisible characters, places on somebody's machine.
//!
//! INVARIANT: a rule looks at single lines. It does not know what a file is for beyond its name.

use super::{File, Finding, rust};

/// A file larger than this slows every clone.
const BYTES_MAX: u64 = 300_000;

/// First directories of paths that exist on one machine only. Without their slashes, so that this
/// file does not hold what it looks for.
const MACHINE_ROOTS: [&str; 8] = [
    "home",
    "root",
    "tmp",
    "work",
    "Users",
    "mnt",
    "workspace",
    "private",
];

/// Zero-width and direction-changing characters: text that reads otherwise than it is.
const INVISIBLE: [std::ops::RangeInclusive<char>; 4] = [
    '\u{200b}'..='\u{200f}',
    '\u{202a}'..='\u{202e}',
    '\u{2066}'..='\u{2069}',
    '\u{feff}'..='\u{feff}',
];

/// Checks one file of any kind.
pub(super) fn check(file: &File) -> Vec<Finding> {
    let mut found = Vec::new();
    if file.bytes > BYTES_MAX {
        let message = format!("{} bytes, at most {BYTES_MAX}; make it smaller", file.bytes);
        found.push(file.finding(1, message));
    }
    for (index, line) in file.text().split('\n').enumerate() {
        for message in line_faults(file, index + 1, line) {
            found.push(file.finding(index + 1, message));
        }
    }
    if !file.text().is_empty() && !file.text().ends_with('\n') {
        let last = file.text().lines().count();
        found.push(file.finding(last, "the last line has no line end"));
    }
    found
}

fn line_faults(file: &File, line_number: usize, line: &str) -> Vec<String> {
    let mut faults = Vec::new();
    if line.contains('\t') {
        faults.push("tab; indent with spaces".into());
    }
    if line.ends_with([' ', '\t', '\r']) {
        faults.push("trailing white space".into());
    }
    if line.contains(|c| INVISIBLE.iter().any(|range| range.contains(&c))) {
        faults.push("invisible character; remove it or write it as an escape".into());
    }
    if let Some(root) = MACHINE_ROOTS.into_iter().find(|r| names_machine(line, r))
        && !is_test(file, line_number)
    {
        faults.push(format!(
            "`/{root}/...` is a place on one machine; write a relative path or a placeholder"
        ));
    }
    faults
}

/// Tests may name paths that need not exist.
fn is_test(file: &File, line: usize) -> bool {
    file.is("rs") && rust::tests_start(file).is_some_and(|start| line >= start)
}

/// Whether `/ROOT/` starts a path in `line`, rather than being part of a longer one or of a URL.
fn names_machine(line: &str, root: &str) -> bool {
    let path = format!("/{root}/");
    line.match_indices(&path).any(|(at, _)| {
        let before = line.get(..at).and_then(|head| head.chars().next_back());
        !before.is_some_and(|c| c.is_alphanumeric() || "/._-~}*$>".contains(c))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn messages(path: &str, text: &str) -> Vec<String> {
        let found = check(&File::sample(path, text));
        found.into_iter().map(|f| f.to_string()).collect()
    }

    #[test]
    fn white_space_is_plain() {
        assert_eq!(
            messages("a.toml", "a\n\tb\nc \nd\r\ne"),
            [
                "a.toml:2: tab; indent with spaces",
                "a.toml:3: trailing white space",
                "a.toml:4: trailing white space",
                "a.toml:5: the last line has no line end",
            ]
        );
    }

    #[test]
    fn invisible_characters_are_found() {
        assert_eq!(messages("a.md", "a\u{202e}b\n").len(), 1);
        assert_eq!(messages("a.md", "\u{feff}a\n").len(), 1);
        assert!(messages("a.md", "\u{53d6}\u{4ef6}\n").is_empty());
    }

    #[test]
    fn large_files_are_found() {
        let mut file = File::sample("a.bin", "");
        file.bytes = BYTES_MAX;
        assert!(check(&file).is_empty());
        file.bytes += 1;
        assert_eq!(check(&file).len(), 1);
    }

    #[test]
    fn places_on_one_machine_are_found_outside_of_tests() {
        for bad in [
            "cd /home/ann/x",
            "see `/root/.config`",
            "\"/tmp/x\"",
            "dir=/Users/a",
        ] {
            let found = messages("docs/a.md", &format!("{bad}\n"));
            assert!(found.iter().any(|m| m.contains("one machine")), "{bad}");
        }
        for good in [
            "https://host.example/home/x",
            "target/tmp/x",
            "$DIR/tmp/x",
            "a/ home /b",
        ] {
            assert!(
                messages("docs/a.md", &format!("{good}\n")).is_empty(),
                "{good}"
            );
        }
        let test = "//! a\n#[cfg(test)]\nmod tests {\n    // /tmp/x\n}\n";
        assert!(messages("a.rs", test).is_empty());
        assert!(messages("crates/a/tests/it/b.rs", "// /tmp/x\n").is_empty());
        assert_eq!(messages("a.rs", "// /tmp/x\n").len(), 1);
    }
}
