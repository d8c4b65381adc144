//! Tables, numbers and colours for a terminal or a file.
//!
//! INVARIANT: without a terminal there is not one escape character.

/// Whether colours are used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Paint(pub bool);

impl Paint {
    /// A heading.
    pub fn bold(self, text: &str) -> String {
        self.with("1", text)
    }

    /// What is of less weight.
    pub fn dim(self, text: &str) -> String {
        self.with("2", text)
    }

    /// A line that is good or bad; a mark says so without colour.
    pub fn verdict(self, good: bool, text: &str) -> String {
        match good {
            true => self.with("32", &format!("\u{2713} {text}")),
            false => self.with("31", &format!("\u{2717} {text}")),
        }
    }

    fn with(self, code: &str, text: &str) -> String {
        match self.0 {
            true => format!("\u{1b}[{code}m{text}\u{1b}[0m"),
            false => text.to_owned(),
        }
    }
}

pub use crate::pages::console::grouped;

/// A table: the first column to the left, numbers to the right.
#[derive(Debug)]
pub struct Table {
    head: Vec<String>,
    rows: Vec<Vec<String>>,
}

impl Table {
    /// With these columns; no head is shown if all are empty.
    pub fn new(head: &[&str]) -> Self {
        Self {
            head: head.iter().map(|name| (*name).into()).collect(),
            rows: Vec::new(),
        }
    }

    /// Adds a row.
    pub fn row(&mut self, cells: &[String]) {
        self.rows.push(cells.to_vec());
    }

    /// The lines, indented.
    pub fn render(&self, paint: Paint) -> String {
        let width = |at: usize| {
            let cells = self.rows.iter().chain([&self.head]);
            let widths = cells
                .filter_map(|row| row.get(at))
                .map(|c| c.chars().count());
            widths.max().unwrap_or(0)
        };
        let widths: Vec<usize> = (0..self.head.len()).map(width).collect();
        let line = |row: &Vec<String>| {
            let mut text = String::from("  ");
            for (at, (cell, width)) in row.iter().zip(&widths).enumerate() {
                let padded = match at {
                    0 => format!(" {cell:<width$}"),
                    _ => format!("  {cell:>width$}"),
                };
                text.push_str(&padded);
            }
            text.truncate(text.trim_end().len());
            text
        };
        let mut out = String::new();
        if self.head.iter().any(|name| !name.is_empty()) {
            out.push_str(&paint.dim(&line(&self.head)));
            out.push('\n');
        }
        for row in &self.rows {
            out.push_str(&line(row));
            out.push('\n');
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_grouped_and_columns_aligned() {
        assert_eq!(grouped(0), "0");
        assert_eq!(grouped(999), "999");
        assert_eq!(grouped(1_234_567), "1,234,567");
        let mut table = Table::new(&["day", "n"]);
        table.row(&["2017-06-01".into(), "7".into()]);
        table.row(&["x".into(), "1,000".into()]);
        assert_eq!(
            table.render(Paint(false)),
            "   day             n
   2017-06-01      7
   x           1,000
"
        );
        assert!(table.render(Paint(true)).contains('\u{1b}'));
    }
}
