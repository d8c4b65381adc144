//! Pages on paper, as an auditor files them: printed by the browser's own command, then read back.
//!
//! INVARIANT: what is judged is the file that a printer would get, not the page on the screen; a file
//! that cannot be read back is a finding. It knows no page but by what the browser shows of it.

use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, anyhow, bail};
use fantoccini::wd::PrintConfigurationBuilder;
use serde_json::Value;

use crate::browser::Browser;

/// Dots an inch at which pages are drawn to be looked at.
const DPI: usize = 50;
/// Millimetres at each edge that a printer may not reach.
const EDGE_MM: usize = 8;
/// Below this a dot is ink.
const INK_BELOW: u8 = 128;
/// The most of a page that may be ink: more is a dark page.
const INK_SHARE_MAX: f64 = 0.25;

/// What must be on paper: whatever is shown as a value, whole, and the heads of tables. What can only be done
/// on a screen is left out: forms, what they unfold from, their headings.
const SHOWN: &str = "
const text = e => e.textContent.trim();
const acts = 'form *, details:has(form) *, .acts *, h2:has(+ form), h2:has(+ .acts)';
const all = css => [...document.querySelectorAll(css)].filter(e => !e.matches(acts)).map(text).filter(t => t !== '');
return {
  whole: all('main code, main h1, main h2, main dd, main tbody th'),
  heads: [...document.querySelectorAll('main table')].map(t => ({
    head: [...t.querySelectorAll('thead th')].map(text),
    rows: [...t.querySelectorAll('tbody th')].map(text),
  })),
};";

/// One page of paper.
struct Sheet {
    /// Its text in reading order, without any blanks.
    text: String,
    /// Its dots, from black 0 to white 255.
    dots: Dots,
}

struct Dots {
    width: usize,
    levels: Vec<u8>,
}

/// Prints the page that is shown, with everything unfolded; what does not hold, in words, and how many
/// sheets it takes.
pub(crate) async fn judge(browser: &Browser, place: &Path) -> anyhow::Result<(Vec<String>, usize)> {
    let client = browser.client();
    let shown = client.execute(SHOWN, vec![]).await;
    let shown = shown.context("the browser tells nothing of the page")?;
    // With backgrounds, so that a dark one would be seen.
    let how = PrintConfigurationBuilder::default().background(true);
    let how = how
        .build()
        .map_err(|error| anyhow!("no way to print: {error}"))?;
    let file = client
        .print(how)
        .await
        .context("the browser printed nothing")?;
    std::fs::write(place, file)
        .with_context(|| format!("failed to write `{}`", place.display()))?;
    let sheets = read_back(place)?;
    Ok((findings(&shown, &sheets), sheets.len()))
}

fn findings(shown: &Value, sheets: &[Sheet]) -> Vec<String> {
    let mut findings = Vec::new();
    if sheets.is_empty() {
        findings.push("nothing is on paper".into());
    }
    let all: String = sheets.iter().map(|sheet| sheet.text.as_str()).collect();
    let whole = shown.get("whole").and_then(Value::as_array);
    for text in whole.into_iter().flatten().filter_map(Value::as_str) {
        if !all.contains(&without_blanks(text)) {
            findings.push(format!("not whole on paper: `{text}`"));
        }
    }
    let tables: Vec<Table> = shown
        .get("heads")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .map(Table::read)
        .collect();
    for (sheet, number) in sheets.iter().zip(1..) {
        findings.extend(looks(&sheet.dots).map(|what| format!("sheet {number}: {what}")));
        for (table, at) in tables.iter().zip(0..) {
            if lacks_head(table, &others(&tables, at), &sheet.text) {
                findings.push(format!("sheet {number}: rows of a table without its head"));
            }
        }
    }
    findings
}

/// What is wrong with how a sheet looks.
fn looks(dots: &Dots) -> impl Iterator<Item = &'static str> {
    let edge = EDGE_MM * DPI * 10 / 254;
    let height = dots.levels.len() / dots.width.max(1);
    let ink = |at: usize| dots.levels.get(at).is_some_and(|level| *level < INK_BELOW);
    let at_edge = |at: usize| {
        let (x, y) = (at % dots.width.max(1), at / dots.width.max(1));
        x < edge || y < edge || x + edge >= dots.width || y + edge >= height
    };
    let inked = (0..dots.levels.len()).filter(|at| ink(*at));
    let (all, cut) = inked.fold((0, false), |(all, cut), at| (all + 1, cut || at_edge(at)));
    let dark = f64::from(all) > INK_SHARE_MAX * dots.levels.len() as f64;
    let dark = dark.then_some("it is dark");
    let cut = cut.then_some("there is ink where a printer cannot reach: it is cut");
    dark.into_iter().chain(cut)
}

/// A table as it is shown, without blanks.
struct Table {
    head: String,
    rows: Vec<String>,
}

impl Table {
    fn read(shown: &Value) -> Self {
        let texts = |name: &str| {
            let list = shown.get(name).and_then(Value::as_array);
            let texts = list.into_iter().flatten().filter_map(Value::as_str);
            texts.map(without_blanks).collect::<Vec<_>>()
        };
        Self {
            head: texts("head").concat(),
            rows: texts("rows"),
        }
    }
}

/// The rows of all tables but one.
fn others(tables: &[Table], but: usize) -> Vec<&str> {
    let others = tables.iter().zip(0..).filter(|(_, at)| *at != but);
    let rows = others.flat_map(|(table, _)| &table.rows);
    rows.map(String::as_str).collect()
}

/// Whether a sheet has several rows of a table and not its head. A row that is short, or part of another
/// table's, says nothing about where it stands.
fn lacks_head(table: &Table, others: &[&str], sheet: &str) -> bool {
    let told = table.rows.iter().filter(|row| {
        let row = row.as_str();
        row.len() > 8 && !others.iter().any(|other| other.contains(row))
    });
    let here = told.filter(|row| sheet.contains(row.as_str()));
    here.count() > 2 && !sheet.contains(&table.head)
}

fn without_blanks(text: &str) -> String {
    text.chars().filter(|c| !c.is_whitespace()).collect()
}

/// Text and dots of every page of a file.
fn read_back(file: &Path) -> anyhow::Result<Vec<Sheet>> {
    let text = run("pdftotext", &["-raw", "-enc", "UTF-8"], file, &["-"])?;
    let text = String::from_utf8(text).context("the text of a print is no UTF-8")?;
    let dpi = DPI.to_string();
    let drawn = run("pdftoppm", &["-gray", "-r", &dpi], file, &[])?;
    let dots = dots_of(&drawn)?;
    // Each page ends in a form feed.
    let texts: Vec<String> = text.split_terminator('\u{c}').map(without_blanks).collect();
    if texts.len() != dots.len() {
        bail!("{} pages of text, {} of dots", texts.len(), dots.len());
    }
    let sheets = texts.into_iter().zip(dots);
    Ok(sheets.map(|(text, dots)| Sheet { text, dots }).collect())
}

fn run(program: &str, before: &[&str], file: &Path, after: &[&str]) -> anyhow::Result<Vec<u8>> {
    let mut command = Command::new(program);
    command.args(before).arg(file).args(after);
    let output = command.stdin(Stdio::null()).output();
    let output = output.with_context(|| format!("failed to start `{program}`"))?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        bail!("`{program}` failed: {}", said.trim());
    }
    Ok(output.stdout)
}

/// Pictures one after another, each `P5 WIDTH HEIGHT 255` and its dots (netpbm).
fn dots_of(mut bytes: &[u8]) -> anyhow::Result<Vec<Dots>> {
    let mut all = Vec::new();
    while !bytes.is_empty() {
        let mut words = [0; 3];
        let rest = bytes.strip_prefix(b"P5").context("a picture is no PGM")?;
        bytes = rest;
        for word in &mut words {
            let begin = bytes.iter().position(u8::is_ascii_digit);
            let from = bytes.get(begin.context("a picture is cut")?..);
            let from = from.unwrap_or_default();
            let end = from.iter().position(|b| !b.is_ascii_digit());
            let (digits, rest) = from.split_at(end.context("a picture is cut")?);
            *word = std::str::from_utf8(digits)?.parse::<usize>()?;
            bytes = rest;
        }
        let [width, height, _] = words;
        let size = width
            .checked_mul(height)
            .context("a picture is too large")?;
        let rest = bytes.get(1..).context("a picture is cut")?;
        let levels = rest.get(..size).context("a picture is cut")?;
        bytes = rest.get(size..).unwrap_or_default();
        all.push(Dots {
            width,
            levels: levels.to_vec(),
        });
    }
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn paper(ink: impl Fn(usize, usize) -> bool) -> Dots {
        let (width, height) = (413, 585);
        let level = |at| if ink(at % width, at / width) { 0 } else { 255 };
        Dots {
            width,
            levels: (0..width * height).map(level).collect(),
        }
    }

    fn sheet(text: &str, dots: Dots) -> Sheet {
        Sheet {
            text: without_blanks(text),
            dots,
        }
    }

    #[test]
    fn what_is_dark_or_cut_is_found() {
        let found = |dots: Dots| looks(&dots).collect::<Vec<_>>();
        let in_the_middle = |x, y| (100..300).contains(&x) && (100..110).contains(&y);
        assert_eq!(found(paper(in_the_middle)), Vec::<&str>::new());
        assert_eq!(
            found(paper(|x, y| x == 405 && y == 200)).len(),
            1,
            "right edge"
        );
        assert_eq!(
            found(paper(|x, y| x == 200 && y == 3)).len(),
            1,
            "upper edge"
        );
        assert_eq!(found(paper(|_, _| true)).len(), 2, "dark to the edges");
    }

    #[test]
    fn what_is_missing_and_a_head_that_is_not_repeated_are_found() {
        let white = || paper(|_, _| false);
        let shown = json!({
            "whole": ["ab cd", "0123456789abcdef"],
            "heads": [{ "head": ["Time", "To"], "rows": ["2017-06-01", "2017-06-02", "2017-06-03"] }],
        });
        let rows = "2017-06-01 a 2017-06-02 b 2017-06-03 c";
        let good = [sheet(
            &format!("ab cd 01234567\n89abcdef Time To {rows}"),
            white(),
        )];
        assert_eq!(findings(&shown, &good), Vec::<String>::new());
        let missing = [sheet(&format!("ab cd 01234567 Time To {rows}"), white())];
        assert_eq!(findings(&shown, &missing).len(), 1);
        let second = [
            sheet("ab cd 0123456789abcdef", white()),
            sheet(rows, white()),
        ];
        assert_eq!(findings(&shown, &second).len(), 1);
        assert_eq!(findings(&shown, &[]).len(), 3);
        // Rows that stand in another table, too, are not looked for.
        let mut both = shown.clone();
        let longer = json!(["2017-06-01 00:00", "2017-06-02 00:00", "2017-06-03 00:00"]);
        let tables = both["heads"].as_array_mut().unwrap();
        tables.push(json!({ "head": ["When"], "rows": longer }));
        let other = [
            sheet("ab cd 0123456789abcdef", white()),
            sheet(
                "When 2017-06-01 00:00 2017-06-02 00:00 2017-06-03 00:00",
                white(),
            ),
        ];
        assert_eq!(findings(&both, &other), Vec::<String>::new());
    }

    #[test]
    fn pictures_come_one_after_another() {
        let two = b"P5\n2 1\n255\n\x00\xffP5 1 1 255 \x80";
        let dots = dots_of(two).unwrap();
        assert_eq!(dots.len(), 2);
        assert_eq!((dots[0].width, &dots[0].levels[..]), (2, &[0, 255][..]));
        assert_eq!(dots[1].levels, [128]);
        assert!(dots_of(b"P5\n2 2\n255\n\x00").is_err());
        assert!(dots_of(b"P6").is_err());
    }
}
