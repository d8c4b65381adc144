//! How far long work is, for people at a terminal.
//!
//! INVARIANT: written to standard error, and only where it is a terminal; a line is overwritten by the
//! next and removed at the end.

use std::io::{IsTerminal as _, Write as _};

/// Cells of the bar.
const CELLS: u64 = 30;

/// The line at the bottom of a terminal.
#[derive(Clone, Copy, Debug)]
pub struct Progress {
    shown: bool,
}

impl Progress {
    /// Shown if standard error is a terminal and `wanted`.
    pub fn new(wanted: bool) -> Self {
        Self {
            shown: wanted && std::io::stderr().is_terminal(),
        }
    }

    /// Says what is being done.
    pub fn say(&self, what: &str) {
        self.write(what);
    }

    /// Says what is being done, with a bar of how much of it is.
    pub fn part(&self, what: &str, done: u64, all: u64) {
        if !self.shown {
            return;
        }
        let full = done.saturating_mul(CELLS) / all.max(1);
        let cells = |cell: &str, count: u64| cell.repeat(usize::try_from(count).unwrap_or(0));
        let bar =
            cells("\u{2588}", full.min(CELLS)) + &cells("\u{2591}", CELLS.saturating_sub(full));
        self.write(&format!("{what} {bar}"));
    }

    /// Removes the line.
    pub fn end(&self) {
        self.write("");
    }

    fn write(&self, text: &str) {
        if !self.shown {
            return;
        }
        let mut err = std::io::stderr().lock();
        // A terminal that is gone is no reason to end.
        let _ = write!(err, "\r\u{1b}[2K{text}");
        let _ = err.flush();
    }
}
