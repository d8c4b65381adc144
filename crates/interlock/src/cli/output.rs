//! What a command prints: aligned tables for people, JSON for programs.
//!
//! INVARIANT: with `--json` exactly one JSON value is printed; escape codes only go to a terminal.

use std::io::Write;

use serde_json::Value;

use super::error::CliError;

/// Where results go, and in which form.
pub(super) struct Output<'a> {
    /// Standard output.
    pub(super) writer: &'a mut dyn Write,
    /// Whether JSON is wanted.
    pub(super) json: bool,
    /// Whether it is a terminal.
    pub(super) colour: bool,
}

/// A column: its heading and the JSON pointer of its cells.
pub(super) type Column<'a> = (&'a str, &'a str);

impl Output<'_> {
    /// Prints a line.
    pub(super) fn line(&mut self, text: &str) -> Result<(), CliError> {
        writeln!(self.writer, "{text}").map_err(|error| failed(&error))
    }

    /// Prints text as it is.
    pub(super) fn raw(&mut self, bytes: &[u8]) -> Result<(), CliError> {
        self.writer.write_all(bytes).map_err(|error| failed(&error))
    }

    /// Prints a heading.
    pub(super) fn heading(&mut self, text: &str) -> Result<(), CliError> {
        match self.colour {
            true => self.line(&format!("\u{1b}[1m{text}\u{1b}[0m")),
            false => self.line(text),
        }
    }

    /// Prints a value as JSON.
    pub(super) fn json(&mut self, value: &Value) -> Result<(), CliError> {
        let text = serde_json::to_string_pretty(value);
        self.line(&text.map_err(|error| CliError::Failed(error.to_string()))?)
    }

    /// Prints one thing: as JSON, or a line for each row that it has.
    pub(super) fn card(&mut self, value: &Value, rows: &[Column<'_>]) -> Result<(), CliError> {
        if self.json {
            return self.json(value);
        }
        let wide = rows.iter().map(|(name, _)| width(name)).max().unwrap_or(0);
        for (name, pointer) in rows {
            if let Some(cell) = value.pointer(pointer).filter(|cell| !cell.is_null()) {
                let line = format!("{}  {}", padded(name, wide), cell_text(cell));
                self.line(line.trim_end())?;
            }
        }
        Ok(())
    }

    /// Prints a list: as JSON the whole `value`, else a table of what lies at `list`.
    pub(super) fn table(
        &mut self,
        value: &Value,
        list: &str,
        columns: &[Column<'_>],
        none: &str,
    ) -> Result<(), CliError> {
        if self.json {
            return self.json(value);
        }
        let items = value.pointer(list).and_then(Value::as_array);
        let items = items.map(Vec::as_slice).unwrap_or_default();
        if items.is_empty() {
            return self.line(none);
        }
        let cells: Vec<Vec<String>> = items
            .iter()
            .map(|item| {
                let cell = |pointer: &str| item.pointer(pointer).map_or("-".into(), cell_text);
                columns.iter().map(|(_, pointer)| cell(pointer)).collect()
            })
            .collect();
        let widths: Vec<usize> = columns
            .iter()
            .enumerate()
            .map(|(at, (name, _))| {
                let cells = cells
                    .iter()
                    .filter_map(|row| row.get(at))
                    .map(|cell| width(cell));
                cells.chain([width(name)]).max().unwrap_or(0)
            })
            .collect();
        let names = columns.iter().map(|(name, _)| (*name).to_owned());
        self.heading(&row(names, &widths))?;
        for cells in cells {
            self.line(&row(cells.into_iter(), &widths))?;
        }
        Ok(())
    }
}

fn row(cells: impl Iterator<Item = String>, widths: &[usize]) -> String {
    let cells: Vec<String> = cells
        .zip(widths)
        .map(|(cell, wide)| padded(&cell, *wide))
        .collect();
    cells.join("  ").trim_end().to_owned()
}

fn failed(error: &std::io::Error) -> CliError {
    CliError::Failed(format!(
        "failed to print: {error}; check where the output goes"
    ))
}

/// A value in a cell.
pub(super) fn cell_text(value: &Value) -> String {
    match value {
        Value::Null => "-".into(),
        Value::Bool(true) => "yes".into(),
        Value::Bool(false) => "no".into(),
        Value::Number(number) => number.to_string(),
        Value::String(text) => text.chars().filter(|c| !c.is_control()).collect(),
        Value::Array(items) if items.is_empty() => "-".into(),
        Value::Array(items) => {
            let items: Vec<String> = items.iter().map(cell_text).collect();
            items.join(", ")
        }
        Value::Object(_) => value.to_string(),
    }
}

fn padded(text: &str, wide: usize) -> String {
    let space = wide.saturating_sub(width(text));
    format!("{text}{}", " ".repeat(space))
}

/// Columns that a text takes on a terminal: Chinese characters take two.
fn width(text: &str) -> usize {
    let wide = |c: &char| {
        matches!(c, '\u{1100}'..='\u{115f}' | '\u{2e80}'..='\u{a4cf}'
        | '\u{ac00}'..='\u{d7a3}' | '\u{f900}'..='\u{faff}' | '\u{fe30}'..='\u{fe6f}'
        | '\u{ff00}'..='\u{ff60}' | '\u{ffe0}'..='\u{ffe6}')
    };
    text.chars().count() + text.chars().filter(wide).count()
}

#[cfg(test)]
mod tests {
    use expect_test::expect;
    use serde_json::json;

    use super::*;

    fn printed(json: bool, print: impl FnOnce(&mut Output<'_>)) -> String {
        let mut bytes = Vec::new();
        print(&mut Output {
            writer: &mut bytes,
            json,
            colour: false,
        });
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn tables_are_aligned_also_in_chinese() {
        let value = json!({ "items": [
            { "id": "SZ-001", "name": "科苑路", "free": 3, "tags": ["a", "b"] },
            { "id": "S", "name": "Keyuan\u{1b}[31m", "free": null, "tags": [] },
        ] });
        let columns = [
            ("id", "/id"),
            ("name", "/name"),
            ("tags", "/tags"),
            ("free", "/free"),
        ];
        let text = printed(false, |out| {
            out.table(&value, "/items", &columns, "none").unwrap()
        });
        expect![[r#"
            id      name        tags  free
            SZ-001  科苑路      a, b  3
            S       Keyuan[31m  -     -
        "#]]
        .assert_eq(&text);
        let empty = json!({ "items": [] });
        let text = printed(false, |out| {
            out.table(&empty, "/items", &columns, "none").unwrap()
        });
        assert_eq!(text, "none\n");
        let text = printed(true, |out| {
            out.table(&value, "/items", &columns, "none").unwrap()
        });
        assert_eq!(serde_json::from_str::<Value>(&text).unwrap(), value);
    }
}
