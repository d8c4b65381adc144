//! Why a demo ends early.

use std::io;
use std::path::Path;

use super::cast::Who;
use super::parcels::ParcelsError;
use crate::driver::node::OpenNodeError;
use crate::driver::server::ServerError;

/// Why a demo ends early.
#[derive(Debug, thiserror::Error)]
pub enum DemoError {
    /// There are no parcels to carry.
    #[error(transparent)]
    Parcels(#[from] ParcelsError),
    /// The end is no date, or lies before the beginning.
    #[error("`{given}` is no day on which this demo can end; {remedy}")]
    Until {
        /// What was given.
        given: String,
        /// What to write instead.
        remedy: String,
    },
    /// A file or directory cannot be used.
    #[error("failed to use `{path}`: {source}; check that there is space and that it is yours")]
    Files {
        /// Which.
        path: String,
        /// What the operating system says.
        source: io::Error,
    },
    /// A socket cannot be used.
    #[error("failed to listen on this machine: {0}; check that loopback addresses are allowed")]
    Listen(#[source] io::Error),
    /// A node cannot be opened.
    #[error("failed to open the node of {}: {source}", .who.name())]
    Open {
        /// Whose.
        who: Who,
        /// Why.
        source: OpenNodeError,
    },
    /// A node cannot be started.
    #[error("failed to start the node of {}: {source}", .who.name())]
    Start {
        /// Whose.
        who: Who,
        /// Why.
        source: ServerError,
    },
    /// A node cannot be reached.
    #[error("{} does not answer `{request}`: {reason}; report it as a fault", .who.name())]
    Unreachable {
        /// Whose node.
        who: Who,
        /// Method and path.
        request: String,
        /// Why.
        reason: String,
    },
    /// A node refused what the demo relies on.
    #[error("{} refused `{request}` with status {status}: {detail}; report it as a fault", .who.name())]
    Refused {
        /// Whose node.
        who: Who,
        /// Method and path.
        request: String,
        /// HTTP status.
        status: u16,
        /// The problem's detail.
        detail: String,
    },
    /// Somebody stopped it.
    #[error("stopped before its end; nothing is left behind")]
    Interrupted,
    /// Something did not come to rest.
    #[error("{0} did not come to rest; report it as a fault")]
    Restless(&'static str),
    /// A node's store cannot be read.
    #[error("failed to read the journal of {}: {reason}; report it as a fault", .who.name())]
    Journal {
        /// Whose.
        who: Who,
        /// Why.
        reason: String,
    },
    /// Something of the demo's own making was not accepted.
    #[error("failed to prepare {what}: {reason}; report it as a fault")]
    Own {
        /// What.
        what: &'static str,
        /// Why.
        reason: String,
    },
}

impl DemoError {
    /// Whether whoever started the demo asked for something that cannot be.
    pub const fn is_of_usage(&self) -> bool {
        match self {
            Self::Parcels(_) | Self::Until { .. } => true,
            Self::Files { .. }
            | Self::Listen(_)
            | Self::Open { .. }
            | Self::Start { .. }
            | Self::Unreachable { .. }
            | Self::Refused { .. }
            | Self::Interrupted
            | Self::Restless(_)
            | Self::Journal { .. }
            | Self::Own { .. } => false,
        }
    }

    /// Wraps what the operating system says about a path.
    pub(super) fn files(path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.display().to_string();
        move |source| Self::Files { path, source }
    }

    /// Wraps an error about something of the demo's own.
    pub(super) fn own<E: ToString>(what: &'static str) -> impl FnOnce(E) -> Self {
        move |error| Self::Own {
            what,
            reason: error.to_string(),
        }
    }
}
