//! Pages of parcels: samples of them, what they say, and the rules that they keep.

mod rules;
mod samples;
mod wording;

use expect_test::Expect;

use self::samples::sample;
use super::*;

/// What a reader reads: the text of `main`, one line a block.
fn text(html: &str) -> String {
    let mut parts = html.split("<span class=\"instant\">");
    let first = parts.next().unwrap().to_owned();
    let html = parts.fold(first, |all, part| all + &part.replacen("</span>", "", 1));
    let main = html
        .split_once("<main>")
        .unwrap()
        .1
        .split_once("</main>")
        .unwrap()
        .0;
    let mut out = String::new();
    let mut rest = main;
    while let Some((before, tag)) = rest.split_once('<') {
        out += before;
        let (tag, after) = tag.split_once('>').unwrap();
        let inline = [
            "strong", "/strong", "svg", "/svg", "path", "/path", "circle", "/circle", "rect",
            "/rect", "code", "/code",
        ];
        let element = tag.split(' ').next().unwrap();
        if tag.starts_with("button") {
            out += "[button] ";
        } else if !inline.contains(&element) && !out.ends_with('\n') {
            out.push('\n');
        }
        rest = after;
    }
    let lines: Vec<&str> = out.trim().lines().map(str::trim_end).collect();
    lines.join("\n")
}

fn check(wanted: &str, l: Language, expected: Expect) {
    expected.assert_eq(&text(&sample(wanted, l)));
}
