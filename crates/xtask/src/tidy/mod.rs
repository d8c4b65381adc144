//! `cargo xtask tidy`: the rules of the house that no compiler checks.
//!
//! INVARIANT: every finding names file and line, and what to do. There is no list of exceptions; a
//! rule that lets something be says so in its own module. This part knows text, not meaning: what
//! a lint or the compiler can see is left to them.

mod crates;
mod lexer;
mod links;
mod proofs;
mod rust;
mod text;

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;
use std::process::ExitCode;

use anyhow::Context;

/// One breach of a rule.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Finding {
    path: String,
    line: usize,
    message: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.path, self.line, self.message)
    }
}

/// A file of the checkout.
struct File {
    /// Relative to the checkout, with `/` between the parts.
    path: String,
    bytes: u64,
    /// Its text, if it is UTF-8.
    text: Option<String>,
}

impl File {
    #[cfg(test)]
    fn sample(path: &str, text: &str) -> Self {
        Self {
            path: path.into(),
            bytes: text.len() as u64,
            text: Some(text.into()),
        }
    }

    fn text(&self) -> &str {
        self.text.as_deref().unwrap_or_default()
    }

    fn is(&self, extension: &str) -> bool {
        Path::new(&self.path).extension() == Some(extension.as_ref())
    }

    fn finding(&self, line: usize, message: impl Into<String>) -> Finding {
        Finding {
            path: self.path.clone(),
            line,
            message: message.into(),
        }
    }
}

/// All files of the checkout by path.
type Tree = BTreeMap<String, File>;

/// Checks the checkout and prints what it finds.
pub(crate) fn run(root: &Path) -> anyhow::Result<ExitCode> {
    let mut tree = Tree::new();
    read(root, "", &mut tree)?;
    let findings = findings(&tree);
    for finding in &findings {
        eprintln!("{finding}");
    }
    if !findings.is_empty() {
        eprintln!("tidy: {} findings", findings.len());
        return Ok(ExitCode::FAILURE);
    }
    eprintln!("tidy: {} files in order", tree.len());
    Ok(ExitCode::SUCCESS)
}

fn findings(tree: &Tree) -> Vec<Finding> {
    let mut all = Vec::new();
    for file in tree.values() {
        all.extend(text::check(file));
        if file.is("rs") {
            all.extend(rust::check(file));
        }
        if file.is("md") {
            all.extend(links::check(file, tree));
            all.extend(proofs::check(file, tree));
        }
    }
    all.extend(crates::check(tree));
    all.sort();
    all
}

/// Reads `root/below` into the tree. Skipped is what `.gitignore` names: build output and `*.tmp`.
fn read(root: &Path, below: &str, tree: &mut Tree) -> anyhow::Result<()> {
    let dir = root.join(below);
    let failed = || format!("failed to read `{}`", dir.display());
    for entry in std::fs::read_dir(&dir).with_context(failed)? {
        let entry = entry.with_context(failed)?;
        let name = entry.file_name().to_string_lossy().into_owned();
        let path = match below {
            "" => name.clone(),
            _ => format!("{below}/{name}"),
        };
        let kind = entry.file_type().with_context(failed)?;
        let is_output = below.is_empty() && (name == "target" || name.starts_with("target-"));
        if name == ".git" || is_output || name.ends_with(".tmp") {
            continue;
        }
        if kind.is_dir() {
            read(root, &path, tree)?;
        } else if kind.is_file() {
            let content = std::fs::read(entry.path()).with_context(failed)?;
            let file = File {
                path: path.clone(),
                bytes: content.len() as u64,
                text: String::from_utf8(content).ok(),
            };
            tree.insert(path, file);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn findings_of_all_rules_come_in_order_with_file_and_line() {
        let samples = [
            File::sample("docs/a.md", "see [b](b.md)\n"),
            File::sample("crates/xtask/src/main.rs", "fn main() {} \n"),
        ];
        let tree: Tree = samples.into_iter().map(|f| (f.path.clone(), f)).collect();
        let found: Vec<String> = findings(&tree).iter().map(Finding::to_string).collect();
        assert_eq!(
            found,
            [
                "crates/xtask/src/main.rs:1: missing module documentation; start with `//!`: \
                 purpose, invariant, what it does not know",
                "crates/xtask/src/main.rs:1: trailing white space",
                "docs/a.md:1: `b.md` leads nowhere",
            ]
        );
    }

    #[test]
    fn build_output_is_not_read() {
        let dir = std::env::temp_dir().join(format!("interlock-tidy-{}", std::process::id()));
        for path in ["target/debug/x", "src/target/y.rs", "a.tmp", ".ci/run"] {
            let file = dir.join(path);
            std::fs::create_dir_all(file.parent().unwrap()).unwrap();
            std::fs::write(file, "x\n").unwrap();
        }
        let mut tree = Tree::new();
        let outcome = read(&dir, "", &mut tree);
        std::fs::remove_dir_all(&dir).unwrap();
        outcome.unwrap();
        assert_eq!(
            tree.keys().collect::<Vec<_>>(),
            [".ci/run", "src/target/y.rs"]
        );
    }
}
