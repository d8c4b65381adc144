//! Rules for Rust files: length, module documentation, what may not be left in them.
//!
//! INVARIANT: words inside string literals are never findings. Tests need no module documentation
//! and no limit for the file, in a file of their own as well as below the code. A function that is longer for a
//! reason carries the comment `// tidy: long, REASON` above it; there is no other exemption. This
//! module counts lines and braces and does not parse.

use super::lexer::{self, Source};
use super::{File, Finding};

/// Lines of a file before its tests.
const FILE_LINES_MAX: usize = 600;
/// Lines of a function from `fn` to its closing brace.
const FUNCTION_LINES_MAX: usize = 70;
/// Exempts the function below it; a reason must follow.
const LONG_MARKER: &str = "// tidy: long, ";

/// Left open, as code and as comments. Put together here so that this file does not hold them.
const OPEN_CODE: [&str; 3] = ["todo!", "unimplemented!", "#[allow("];
const OPEN_COMMENTS: [&str; 3] = [
    concat!("FIX", "ME"),
    concat!("XX", "X"),
    concat!("TO", "DO"),
];

/// Checks one Rust file.
pub(super) fn check(file: &File) -> Vec<Finding> {
    let source = lexer::split(file.text());
    let mut found = Vec::new();
    found.extend(module_docs(file));
    found.extend(file_length(file));
    found.extend(function_lengths(file, &source));
    found.extend(left_open(file, &source));
    found.extend(plain_ascii(file, &source));
    found
}

/// The line (from 1) at which the tests of a file begin; 1 for a file of tests.
pub(super) fn tests_start(file: &File) -> Option<usize> {
    if file.path.contains("/tests/") || file.path.ends_with("tests.rs") {
        return Some(1);
    }
    let lines: Vec<&str> = file.text().lines().map(str::trim).collect();
    let start = lines.windows(2).position(|pair| match pair {
        [attribute, item] => *attribute == "#[cfg(test)]" && item.starts_with("mod "),
        _ => false,
    });
    start.map(|index| index + 1)
}

fn module_docs(file: &File) -> Option<Finding> {
    let first = file
        .text()
        .lines()
        .find(|line| !line.trim().is_empty() && !line.starts_with("#!"));
    if first.is_some_and(|line| line.starts_with("//!")) || tests_start(file) == Some(1) {
        return None;
    }
    Some(file.finding(
        1,
        "missing module documentation; start with `//!`: purpose, invariant, what it does not know",
    ))
}

fn file_length(file: &File) -> Option<Finding> {
    let all = file.text().lines().count();
    let lines = tests_start(file).map_or(all, |start| start - 1);
    (lines > FILE_LINES_MAX).then(|| {
        file.finding(
            FILE_LINES_MAX + 1,
            format!("{lines} lines before the tests, at most {FILE_LINES_MAX}; make it a folder"),
        )
    })
}

fn function_lengths(file: &File, source: &Source) -> Vec<Finding> {
    let mut found = Vec::new();
    let lines: Vec<&str> = source.code.lines().collect();
    let mut above_exempt = false;
    for (index, (line, comment)) in lines.iter().zip(source.comments.lines()).enumerate() {
        if let Some(reason) = comment.trim().strip_prefix(LONG_MARKER.trim_end()) {
            above_exempt = !reason.trim().is_empty();
        }
        if !declares_function(line) {
            continue;
        }
        let exempt = std::mem::take(&mut above_exempt);
        let length = item_length(lines.get(index..).unwrap_or_default());
        if length > FUNCTION_LINES_MAX && !exempt {
            found.push(file.finding(
                index + 1,
                format!(
                    "function of {length} lines, at most {FUNCTION_LINES_MAX}; split it, or say \
                     why above it: `{LONG_MARKER}REASON`"
                ),
            ));
        }
    }
    found
}

fn declares_function(line: &str) -> bool {
    let mut words = line.split_whitespace().peekable();
    while let Some(word) = words.next() {
        match word {
            "fn" => return words.peek().is_some(),
            "const" | "async" | "extern" | "unsafe" | "default" | "\"" => {}
            // `pub(in crate::a)` and the ABI of `extern "C"`, whose name is blanked.
            word if word.starts_with("pub") || word.ends_with([')', '"']) => {}
            _ => return false,
        }
    }
    false
}

/// Lines from the first to the one that closes the first brace, or that ends a declaration
/// without a body.
fn item_length(lines: &[&str]) -> usize {
    let mut depth = 0_i32;
    let mut parens = 0_i32;
    for (index, line) in lines.iter().enumerate() {
        for c in line.chars() {
            match c {
                '(' | '[' => parens += 1,
                ')' | ']' => parens -= 1,
                ';' if depth == 0 && parens == 0 => return index + 1,
                '{' => depth += 1,
                '}' => {
                    depth -= 1;
                    if depth == 0 && parens == 0 {
                        return index + 1;
                    }
                }
                _ => {}
            }
        }
    }
    lines.len()
}

fn left_open(file: &File, source: &Source) -> Vec<Finding> {
    let layers = [
        (&source.code, OPEN_CODE.as_slice()),
        (&source.comments, OPEN_COMMENTS.as_slice()),
    ];
    let mut found = Vec::new();
    for (layer, words) in layers {
        for (index, line) in layer.lines().enumerate() {
            for word in words.iter().filter(|word| line.contains(**word)) {
                let remedy = match *word {
                    "#[allow(" => "write `#[expect(LINT, reason = \"...\")]`",
                    _ => "finish it, or file an issue",
                };
                found.push(file.finding(index + 1, format!("`{word}`; {remedy}")));
            }
        }
    }
    found
}

/// Texts in other scripts belong in string literals and documentation.
fn plain_ascii(file: &File, source: &Source) -> Vec<Finding> {
    let mut found = Vec::new();
    let layers = source.code.lines().zip(source.comments.lines());
    for (index, (code, comment)) in layers.enumerate() {
        let start = comment.trim_start();
        let is_doc = start.starts_with("///") || start.starts_with("//!");
        if !code.is_ascii() || (!comment.is_ascii() && !is_doc) {
            found.push(file.finding(
                index + 1,
                "not ASCII outside of string literals and documentation; write it in ASCII",
            ));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines_found(text: &str, part: &str) -> Vec<usize> {
        check(&File::sample("crates/a/src/b.rs", text))
            .into_iter()
            .filter(|f| f.message.contains(part))
            .map(|f| f.line)
            .collect()
    }

    fn function(head: &str, lines: usize) -> String {
        format!("{head} {{\n{}}}\n", "    x();\n".repeat(lines - 2))
    }

    #[test]
    fn a_module_starts_with_its_documentation() {
        assert_eq!(lines_found("use a;\n", "missing module doc"), [1]);
        assert_eq!(lines_found("// a\n//! b\n", "missing module doc"), [1]);
        assert!(lines_found("\n#![no_std]\n//! a\n", "missing module doc").is_empty());
    }

    #[test]
    fn a_file_has_at_most_600_lines_before_its_tests() {
        let long = format!("//! a\n{}", "use a;\n".repeat(600));
        assert_eq!(lines_found(&long, "601 lines"), [601]);
        let tests = "#[cfg(test)]\nmod tests {\n}\n".to_owned() + &"//\n".repeat(900);
        let fits = format!("//! a\n{}{tests}", "use a;\n".repeat(599));
        assert!(lines_found(&fits, "lines").is_empty());
        let helper = format!(
            "//! a\n#[cfg(test)]\nfn f() {{}}\n{}",
            "use a;\n".repeat(600)
        );
        assert_eq!(lines_found(&helper, "603 lines"), [601]);
    }

    #[test]
    fn a_file_of_tests_is_like_tests_below_the_code() {
        let text = "use a;\n".repeat(601) + &function("fn f()", 71);
        for (path, findings) in [("src/a_tests.rs", 1), ("tests/it/b.rs", 1), ("src/b.rs", 3)] {
            let found = check(&File::sample(&format!("crates/a/{path}"), &text));
            assert_eq!(found.len(), findings, "{path}: {found:?}");
        }
    }

    #[test]
    fn a_function_has_at_most_70_lines() {
        for head in [
            "fn f()",
            "pub(crate) fn f()",
            "pub(in crate::a) async fn f<T: Fn(u8)>(x: [u8; 3]) -> u8",
            "    pub const extern \"C\" fn f()",
        ] {
            assert_eq!(lines_found(&function(head, 71), "71 lines"), [1], "{head}");
            assert!(lines_found(&function(head, 70), "lines").is_empty());
        }
        let braces_in_text = format!("fn f() {{\n    g(\"}}\"); // }}\n{}}}\n", "\n".repeat(80));
        assert_eq!(lines_found(&braces_in_text, "83 lines"), [1]);
        let declared = format!("fn f();\n{}", "type A = ();\n".repeat(80));
        assert!(lines_found(&declared, "lines").is_empty());
        let field = format!("struct A {{\n    f: fn(u8),\n{}}}\n", "\n".repeat(80));
        assert!(lines_found(&field, "lines").is_empty());
    }

    #[test]
    fn a_long_function_needs_a_reason() {
        let long = function("fn f()", 90);
        let marked = format!("// tidy: long, a generated table\n#[inline]\n{long}");
        assert!(lines_found(&marked, "lines").is_empty());
        assert_eq!(lines_found(&format!("{marked}{long}"), "lines"), [93]);
        assert_eq!(
            lines_found(&format!("// tidy: long,\n{long}"), "lines"),
            [2]
        );
    }

    #[test]
    fn nothing_is_left_open() {
        let [hole, marker] = [OPEN_CODE[0], OPEN_COMMENTS[0]];
        let text = format!("//! a\nfn f() {{ {hole}() }}\n// {marker} b\n#[allow(dead_code)]\n");
        assert_eq!(lines_found(&text, hole), [2]);
        assert_eq!(lines_found(&text, marker), [3]);
        assert_eq!(lines_found(&text, "#[expect(LINT"), [4]);
        let quoted = format!("//! a\nconst A: &str = \"{marker} {hole}() #[allow(\";\n");
        assert!(lines_found(&quoted, "`").is_empty());
    }

    #[test]
    fn other_scripts_stay_in_texts_and_documentation() {
        let text = "//! \u{53d6}\nconst A: &str = \"\u{53d6}\";\n// \u{53d6}\nlet \u{e9} = 1;\n";
        assert_eq!(lines_found(text, "not ASCII"), [3, 4]);
    }
}
