//! Links in Markdown: a relative link leads to a file of the checkout, an anchor to a heading.
//!
//! INVARIANT: what stands in code, fenced or inline, is no link. Addresses with a scheme are not
//! looked at: the check needs no network.

use std::collections::BTreeMap;

use super::{File, Finding, Tree};

/// Checks the links of one Markdown file.
pub(super) fn check(file: &File, tree: &Tree) -> Vec<Finding> {
    let mut found = Vec::new();
    for (line, text) in prose(file.text()) {
        for target in targets(&text) {
            if let Some(fault) = fault(&file.path, target, tree) {
                found.push(file.finding(line, fault));
            }
        }
    }
    found
}

/// Numbered lines outside of fenced code, with inline code blanked out.
fn prose(text: &str) -> Vec<(usize, String)> {
    let mut lines = Vec::new();
    let mut fence: Option<&str> = None;
    for (index, line) in text.lines().enumerate() {
        let start = line.trim_start();
        let marker = ["```", "~~~"].into_iter().find(|m| start.starts_with(m));
        match (fence, marker) {
            (None, Some(opens)) => fence = Some(opens),
            (Some(open), Some(closes)) if open == closes => fence = None,
            (Some(_), _) => {}
            (None, None) => lines.push((index + 1, without_code(line))),
        }
    }
    lines
}

fn without_code(line: &str) -> String {
    let parts: Vec<&str> = line.split('`').collect();
    let closed = parts.len() % 2 == 1;
    let mut out = String::new();
    for (index, part) in parts.iter().enumerate() {
        let is_code = index % 2 == 1 && (closed || index + 1 < parts.len());
        // A word stands for the code, so that `[`a`](b)` stays a link with a text.
        out.push_str(if is_code { "code" } else { part });
    }
    out
}

/// Targets of `[text](target)`, `[text](target "title")` and `[name]: target`.
fn targets(line: &str) -> Vec<&str> {
    let mut targets: Vec<&str> = line
        .split("](")
        .skip(1)
        .filter_map(|rest| rest.split_once(')').map(|(inside, _)| inside))
        .filter_map(|inside| inside.split_whitespace().next())
        .collect();
    let definition = line
        .trim_start()
        .strip_prefix('[')
        .and_then(|rest| rest.split_once("]:"));
    if let Some((_, target)) = definition {
        targets.extend(target.split_whitespace().next());
    }
    targets
}

fn fault(from: &str, target: &str, tree: &Tree) -> Option<String> {
    let target = target.trim_start_matches('<').trim_end_matches('>');
    let has_scheme = target.contains("://") || target.starts_with("mailto:");
    if has_scheme {
        return None;
    }
    let (path, anchor) = match target.split_once('#') {
        Some((path, anchor)) => (path, Some(anchor)),
        None => (target, None),
    };
    let Some(resolved) = resolve(from, path) else {
        return Some(format!("`{target}` leads out of the checkout"));
    };
    let below = format!("{resolved}/");
    let is_directory = resolved.is_empty() || tree.keys().any(|key| key.starts_with(&below));
    match (tree.get(&resolved), anchor) {
        (None, _) if !is_directory => Some(format!("`{target}` leads nowhere")),
        (Some(file), Some(anchor)) if file.is("md") && !has_anchor(file.text(), anchor) => Some(
            format!("`{target}`: `{resolved}` has no heading `#{anchor}`"),
        ),
        _ => None,
    }
}

/// The path of a link as seen from the top of the checkout; none if it leaves it.
fn resolve(from: &str, path: &str) -> Option<String> {
    if path.is_empty() {
        return Some(from.into());
    }
    let mut parts: Vec<&str> = match path.strip_prefix('/') {
        Some(_) => Vec::new(),
        None => from.split('/').collect(),
    };
    parts.pop();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop()?;
            }
            name => parts.push(name),
        }
    }
    Some(parts.join("/"))
}

/// Whether the anchor belongs to a heading, as GitHub names them, or to an explicit `id`.
fn has_anchor(text: &str, anchor: &str) -> bool {
    let mut seen: BTreeMap<String, usize> = BTreeMap::new();
    let mut headings = prose_with_code(text);
    headings.retain(|line| line.starts_with('#'));
    for heading in headings {
        let slug = slug(heading.trim_start_matches('#').trim());
        let count = seen.entry(slug.clone()).or_default();
        let name = match *count {
            0 => slug,
            n => format!("{slug}-{n}"),
        };
        *count += 1;
        if name == anchor {
            return true;
        }
    }
    text.contains(&format!("id=\"{anchor}\""))
}

/// Lines outside of fenced code as they are: code in a heading is part of its name.
fn prose_with_code(text: &str) -> Vec<&str> {
    let all: Vec<&str> = text.lines().collect();
    prose(text)
        .iter()
        .filter_map(|(line, _)| all.get(line - 1).copied())
        .collect()
}

fn slug(heading: &str) -> String {
    heading
        .chars()
        .filter_map(|c| match c {
            ' ' => Some('-'),
            '-' | '_' => Some(c),
            c if c.is_alphanumeric() => Some(c),
            _ => None,
        })
        .flat_map(char::to_lowercase)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn messages(text: &str) -> Vec<String> {
        let other = "# Two words, `and_code`\n\n## Again\n\n## Again\n\n```\n# not one\n```\n\
                     <a id=\"by-hand\"></a>\n";
        let samples = [
            File::sample("docs/a.md", text),
            File::sample("docs/sub/b.md", other),
            File::sample("src/c.rs", "//! c\n"),
            File::sample("README.md", "# Top\n"),
        ];
        let tree: Tree = samples.into_iter().map(|f| (f.path.clone(), f)).collect();
        check(&tree["docs/a.md"], &tree)
            .into_iter()
            .map(|f| format!("{}: {}", f.line, f.message))
            .collect()
    }

    #[test]
    fn links_that_resolve_pass() {
        let good = "# Own heading\n\
            [a](sub/b.md) [b](sub/b.md#two-words-and_code) [c](#own-heading)\n\
            [d](../src/c.rs \"title\") ![e](../README.md#top) [f](sub/) [`g`](./sub/b.md#again-1)\n\
            [h](https://host.example/x.md#y) [i](mailto:a@host.example) [j](/README.md)\n\
            [k](sub/b.md#by-hand)\n\n[l]: sub/b.md\n";
        assert_eq!(messages(good), Vec::<String>::new());
    }

    #[test]
    fn links_that_lead_nowhere_are_found() {
        for (bad, want) in [
            ("[a](sub/x.md)", "1: `sub/x.md` leads nowhere"),
            ("text\n\n[a]: x.md", "3: `x.md` leads nowhere"),
            ("[a](sub/b.md) [b](x.md)", "1: `x.md` leads nowhere"),
            (
                "[a](../../x.md)",
                "1: `../../x.md` leads out of the checkout",
            ),
            (
                "[a](#none)",
                "1: `#none`: `docs/a.md` has no heading `#none`",
            ),
            (
                "[a](sub/b.md#not-one)",
                "1: `sub/b.md#not-one`: `docs/sub/b.md` has no heading `#not-one`",
            ),
            (
                "[a](sub/b.md#again-2)",
                "1: `sub/b.md#again-2`: `docs/sub/b.md` has no heading `#again-2`",
            ),
        ] {
            assert_eq!(messages(bad), [want], "{bad}");
        }
    }

    #[test]
    fn code_holds_no_links() {
        assert!(messages("`[a](x.md)`\n\n```text\n[b](y.md)\n```\n").is_empty());
        assert_eq!(messages("```\n```\n[b](y.md)\n").len(), 1);
    }
}
