//! How far the demo is, for people at a terminal.
//!
//! INVARIANT: written to standard error, and only where it is a terminal; a line is overwritten by the
//! next and removed at the end.

use std::io::{IsTerminal as _, Write as _};

use interlock_core::time::Timestamp;

use super::report::date;

/// Cells of the bar.
const CELLS: usize = 30;

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

    /// Shows the day that is lived through.
    pub fn day(&self, at: Timestamp, done: usize, all: usize) {
        if !self.shown {
            return;
        }
        let full = done * CELLS / all.max(1);
        let bar = "\u{2588}".repeat(full) + &"\u{2591}".repeat(CELLS.saturating_sub(full));
        self.write(&format!("{} {bar}", date(at)));
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
