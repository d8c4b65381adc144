//! Tests that the threat model names.
//!
//! INVARIANT: whatever `docs/threat-model.md` names as a test is a test of the checkout, so that a
//! test that is renamed or dropped is missed there. Whether it proves what is claimed is for readers.

use super::{File, Finding, Tree};

const FILE: &str = "docs/threat-model.md";
/// Names of tests are sentences; shorter words in backquotes are something else.
const UNDERSCORES_MIN: usize = 2;

pub(super) fn check(file: &File, tree: &Tree) -> Vec<Finding> {
    if file.path != FILE {
        return Vec::new();
    }
    let mut findings = Vec::new();
    for (line, text) in (1..).zip(file.text().lines()) {
        for name in text.split('`').skip(1).step_by(2).filter(|it| is_test(it)) {
            let mut sources = tree.values().filter(|file| file.is("rs"));
            if !sources.any(|source| tests_of(source.text()).any(|test| test == name)) {
                let message = format!("`{name}` is no test here; name the one that proves it");
                findings.push(file.finding(line, message));
            }
        }
    }
    findings
}

/// Names of the functions that an attribute makes a test: `#[test]`, or one whose path ends so.
fn tests_of(source: &str) -> impl Iterator<Item = &str> {
    let mut marked = false;
    source.lines().filter_map(move |line| {
        let line = line.trim();
        if line.starts_with("#[") {
            let attribute = line.trim_start_matches("#[").trim_end_matches(']');
            let path = attribute.split('(').next().unwrap_or(attribute);
            marked |= path.rsplit("::").next() == Some("test");
            return None;
        }
        let (_, declared) = line.split_once("fn ")?;
        let name = declared.split('(').next()?;
        std::mem::take(&mut marked).then_some(name)
    })
}

fn is_test(name: &str) -> bool {
    let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_';
    name.matches('_').count() >= UNDERSCORES_MIN && name.bytes().all(plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_test_that_is_named_must_be_there() {
        let model = File::sample(
            FILE,
            "`GET` | `a_test_that_is` |\n| `a_test_that_was`, `a_test_that_is` |",
        );
        let source = File::sample(
            "crates/a/src/lib.rs",
            "#[test]\n#[ignore]\nfn a_test_that_is() {}\nfn a_test_that_was() {}",
        );
        let mut tree = Tree::new();
        tree.insert(source.path.clone(), source);
        let found = check(&model, &tree);
        assert_eq!(found.len(), 1, "{found:?}");
        assert_eq!(found[0].line, 2);
        assert!(found[0].message.contains("a_test_that_was"));
        let other = File::sample("docs/other.md", "`a_test_that_was`");
        assert!(check(&other, &tree).is_empty());
    }
}
