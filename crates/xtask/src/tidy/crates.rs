//! Rules for the workspace: which crate may know which, and names of golden files.
//!
//! INVARIANT: dependencies of any kind point from `interlock-bench`, `interlock-sim`, `interlock-browser`
//! and `interlock-conformance` to `interlock` to `interlock-journal` to `interlock-core`, never back, and
//! `xtask` stands apart; the core is
//! `no_std`. This module reads section and key names of manifests, not their values.

use std::collections::BTreeMap;

use super::lexer;
use super::{File, Finding, Tree, rust};

/// Our crates from the innermost to the outermost.
const ORDER: [&str; 7] = [
    "interlock-core",
    "interlock-journal",
    "interlock",
    "interlock-sim",
    "interlock-bench",
    "interlock-conformance",
    "interlock-browser",
];

/// Checks all crates of the checkout.
pub(super) fn check(tree: &Tree) -> Vec<Finding> {
    let mut found = Vec::new();
    for file in tree.values() {
        let Some((name, below)) = file
            .path
            .strip_prefix("crates/")
            .and_then(|rest| rest.split_once('/'))
        else {
            continue;
        };
        if below == "Cargo.toml" {
            found.extend(direction(file, name));
        }
        if name == "interlock-core" && file.is("rs") {
            found.extend(no_std(file, below == "src/lib.rs"));
        }
    }
    found.extend(golden_names(tree));
    found
}

fn rank(name: &str) -> Option<usize> {
    ORDER.iter().position(|known| *known == name)
}

fn direction(file: &File, name: &str) -> Vec<Finding> {
    let own = rank(name).unwrap_or(0);
    let mut found = Vec::new();
    let mut in_dependencies = false;
    for (index, line) in file.text().lines().enumerate() {
        let line = line.trim();
        let dependency = match line.strip_prefix('[') {
            Some(section) => {
                let section = section.trim_end_matches(']');
                in_dependencies = section.ends_with("dependencies");
                section
                    .rsplit_once("dependencies.")
                    .map(|(_, dependency)| dependency)
            }
            None if in_dependencies => line.split(['.', '=', ' ']).next(),
            None => None,
        };
        let outer = dependency.and_then(rank).filter(|other| *other >= own);
        if let Some(other) = outer.and_then(|other| ORDER.get(other)) {
            found.push(file.finding(
                index + 1,
                format!(
                    "`{name}` must not know `{other}`; the order is {}",
                    ORDER.join(" <- ")
                ),
            ));
        }
    }
    found
}

fn no_std(file: &File, is_root: bool) -> Vec<Finding> {
    let source = lexer::split(file.text());
    let mut found = Vec::new();
    if is_root && !source.code.lines().any(|line| line.trim() == "#![no_std]") {
        found.push(file.finding(1, "the core has no standard library; add `#![no_std]`"));
    }
    let tests = rust::tests_start(file).unwrap_or(usize::MAX);
    for (index, line) in source.code.lines().enumerate().take(tests - 1) {
        let words: Vec<&str> = line.split_whitespace().collect();
        if words.starts_with(&["extern", "crate", "std;"]) {
            found.push(file.finding(index + 1, "the core has no standard library; use `alloc`"));
        }
    }
    found
}

/// Golden files are cited by name, so no two have the same.
fn golden_names(tree: &Tree) -> Vec<Finding> {
    let mut first: BTreeMap<&str, &str> = BTreeMap::new();
    let mut found = Vec::new();
    for file in tree.values() {
        let mut parts = file.path.rsplit('/');
        let name = parts.next().unwrap_or_default();
        if !parts.any(|part| part == "golden") {
            continue;
        }
        if let Some(other) = first.insert(name, &file.path) {
            found.push(file.finding(1, format!("golden file with the name of `{other}`")));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn messages(samples: &[(&str, &str)]) -> Vec<String> {
        let samples = samples.iter().map(|(path, text)| File::sample(path, text));
        let tree: Tree = samples.map(|f| (f.path.clone(), f)).collect();
        check(&tree).into_iter().map(|f| f.to_string()).collect()
    }

    #[test]
    fn dependencies_point_inwards() {
        for (name, manifest, line) in [
            (
                "interlock-core",
                "[dependencies]\ninterlock.workspace = true\n",
                2,
            ),
            (
                "interlock-journal",
                "[dependencies]\ninterlock-core.workspace = true\n\n[dev-dependencies]\n\
                 interlock-sim = { workspace = true }\n",
                5,
            ),
            (
                "interlock",
                "[target.'cfg(unix)'.dependencies]\ninterlock-sim = \"1\"\n",
                2,
            ),
            (
                "interlock",
                "[dependencies.interlock-sim]\npath = \"../interlock-sim\"\n",
                1,
            ),
            (
                "xtask",
                "[dependencies]\ninterlock-core.workspace = true\n",
                2,
            ),
        ] {
            let path = format!("crates/{name}/Cargo.toml");
            let found = messages(&[(&path, manifest)]);
            assert_eq!(found.len(), 1, "{manifest}: {found:?}");
            assert!(
                found[0].starts_with(&format!("{path}:{line}: ")),
                "{found:?}"
            );
        }
        let good = "[package]\nname = \"interlock-sim\"\n[dependencies]\ninterlock.workspace = true\n\
                    interlock-core.workspace = true\nserde.workspace = true\n";
        assert!(messages(&[("crates/interlock-sim/Cargo.toml", good)]).is_empty());
    }

    #[test]
    fn the_core_has_no_standard_library() {
        let lib = "crates/interlock-core/src/lib.rs";
        assert_eq!(messages(&[(lib, "//! a\n// #![no_std]\n")]).len(), 1);
        assert_eq!(
            messages(&[(lib, "#![no_std]\nextern crate std;\n")]).len(),
            1
        );
        let tested = "#![no_std]\n#[cfg(test)]\nmod tests {\n    extern crate std;\n}\n";
        assert!(messages(&[(lib, tested)]).is_empty());
        assert!(messages(&[("crates/interlock/src/lib.rs", "//! a\n")]).is_empty());
    }

    #[test]
    fn golden_files_have_names_of_their_own() {
        let found = messages(&[
            ("crates/a/tests/golden/leaf.bin", "1\n"),
            ("crates/b/tests/golden/leaf.bin", "2\n"),
            ("crates/b/src/leaf.bin", "3\n"),
        ]);
        assert_eq!(
            found,
            [
                "crates/b/tests/golden/leaf.bin:1: golden file with the name of \
              `crates/a/tests/golden/leaf.bin`"
            ]
        );
    }
}
