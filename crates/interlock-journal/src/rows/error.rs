//! What can go wrong with stored rows.
//!
//! INVARIANT: rows are derived from the journal, so none of these loses anything: what is damaged is
//! thrown away and made anew.

use std::io;

/// A failure of a table's files.
#[derive(Debug, thiserror::Error)]
pub enum RowsError {
    /// A system call failed.
    #[error("failed to {operation} `{file}`: {source}")]
    Io {
        /// What was tried.
        operation: &'static str,
        /// On which file.
        file: String,
        /// What the system said.
        source: io::Error,
    },
    /// Bytes are not those that were written.
    #[error("`{file}` is damaged at byte {offset}: {what}")]
    Damaged {
        /// Which file.
        file: String,
        /// Where.
        offset: u64,
        /// What is wrong.
        what: &'static str,
    },
    /// Rows came in another order than ascending by key, or are too large: a defect.
    #[error("a row of {key_bytes} + {value_bytes} bytes cannot be stored: {what}")]
    Refused {
        /// Bytes of its key.
        key_bytes: usize,
        /// Bytes of its value.
        value_bytes: usize,
        /// Why.
        what: &'static str,
    },
}

pub(super) fn io_error(operation: &'static str, file: &str) -> impl FnOnce(io::Error) -> RowsError {
    move |source| RowsError::Io {
        operation,
        file: file.into(),
        source,
    }
}

pub(super) fn damaged(file: &str, offset: u64, what: &'static str) -> RowsError {
    RowsError::Damaged {
        file: file.into(),
        offset,
        what,
    }
}
