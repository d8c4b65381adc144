//! What can be wrong in `interlock.toml`, with the line and what to do.
//!
//! INVARIANT: no message repeats a value that could be a secret.

use std::fmt;

/// One error in a configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigError {
    /// The line, counted from 1.
    pub line: usize,
    /// What is wrong.
    pub kind: ConfigErrorKind,
}

impl std::error::Error for ConfigError {}

/// `line 3: ...`
impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}: {}", self.line, self.kind)
    }
}

/// What is wrong.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConfigErrorKind {
    /// Not TOML.
    #[error("the file is no TOML: {0}")]
    Syntax(String),
    /// A key that does not exist.
    #[error("`{key}` is no key of {table}; {advice}")]
    UnknownKey {
        /// The key as written.
        key: String,
        /// The table it stands in, for people.
        table: String,
        /// `did you mean ...?`
        advice: String,
    },
    /// A key without which the node cannot run.
    #[error("{table} has no `{key}`; {advice}")]
    Missing {
        /// The key.
        key: &'static str,
        /// The table, for people.
        table: String,
        /// What to write.
        advice: &'static str,
    },
    /// A value of another type.
    #[error("`{key}` is {found}; write {expected}")]
    Type {
        /// The key.
        key: String,
        /// What was found, such as `a string`.
        found: &'static str,
        /// What is expected.
        expected: String,
    },
    /// A value that is not accepted.
    #[error("`{key}`: {problem}")]
    Value {
        /// The key.
        key: String,
        /// What is wrong with it, and what to write.
        problem: String,
    },
    /// A secret in the file itself.
    #[error(
        "`{key}` would hold a secret in this file; remove it, consider it as known to others, and name \
         a file that only the node's user may read (`{key}_file`) or an environment variable \
         (`{key}_env`)"
    )]
    InlineSecret {
        /// The key.
        key: String,
    },
    /// Two settings that exclude each other, or one that needs another.
    #[error("{0}")]
    Combination(String),
}
