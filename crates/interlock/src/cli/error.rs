//! How a command fails, and with which exit code.
//!
//! INVARIANT: every message says what to do. A key is never in one.

use std::process::ExitCode;

use crate::node::io::Problem;

/// Why a command did not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum CliError {
    /// Something failed.
    #[error("{0}")]
    Failed(String),
    /// There is no such thing at the node.
    #[error("{0}")]
    NotFound(String),
    /// Wrong usage or configuration.
    #[error("{0}")]
    Usage(String),
    /// A term denies it.
    #[error("{0}")]
    Denied(String),
    /// What was verified is not what it should be.
    #[error("{0}")]
    Verification(String),
    /// A partner cannot be reached.
    #[error("{0}")]
    Unreachable(String),
}

impl CliError {
    /// The exit code: 1 failed, 2 wrong usage or configuration, 3 denied by a term, 4 verification
    /// failed, 5 counterparty unreachable.
    pub const fn code(&self) -> u8 {
        match self {
            Self::Failed(_) | Self::NotFound(_) => 1,
            Self::Usage(_) => 2,
            Self::Denied(_) => 3,
            Self::Verification(_) => 4,
            Self::Unreachable(_) => 5,
        }
    }

    /// The exit code for `main`.
    pub fn exit_code(&self) -> ExitCode {
        ExitCode::from(self.code())
    }

    /// What a refusal of the node means for whoever gave the command.
    pub(super) fn of_problem(problem: &Problem) -> Self {
        let mut text = format!("{}: {}", problem.title, problem.detail);
        for error in &problem.errors {
            let pointer = match error.pointer.as_str() {
                "" => "/",
                pointer => pointer,
            };
            text.push_str(&format!("\n  {pointer}: {}", error.detail));
        }
        let term = interlock_core::decide::DenialReason::parse(&problem.kind).is_some();
        match problem.status {
            403 if term => Self::Denied(text),
            400 | 413 | 415 | 422 => Self::Usage(text),
            404 => Self::NotFound(text),
            502 | 504 if problem.kind.starts_with("partner-") => Self::Unreachable(text),
            _ => Self::Failed(text),
        }
    }
}
