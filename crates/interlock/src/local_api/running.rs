//! A running node behind the door.
//!
//! INVARIANT: nothing is added to what the node is asked or answers. Evidence is read from the
//! journal beside the node, one export at a time, and never keeps the node from its work.

use std::sync::Arc;

use interlock_core::ids::{IdempotencyKey, ParticipantId};
use tokio::sync::Semaphore;

use super::{Answering, Exporting, Seam};
use crate::driver::entropy::SystemRng;
use crate::driver::handle::Handle;
use crate::evidence::{ExportError, Exporter};
use crate::exchange::problem::problem;
use crate::node::Rng as _;
use crate::node::io::{Digest, LocalRequest, Problem, Role};

/// A running node with its journal.
pub struct Running {
    handle: Handle,
    exporter: Arc<Exporter>,
    /// Held by the export that is under way.
    one: Arc<Semaphore>,
}

impl Running {
    /// The node behind `handle`, whose evidence `exporter` reads.
    pub fn new(handle: Handle, exporter: Arc<Exporter>) -> Self {
        Self {
            handle,
            exporter,
            one: Arc::new(Semaphore::new(1)),
        }
    }
}

impl Seam for Running {
    fn local(
        &self,
        credential: Option<Digest>,
        idempotency: Option<(IdempotencyKey, Digest)>,
        request: LocalRequest,
    ) -> Answering<'_> {
        Box::pin(self.handle.local(credential, idempotency, request))
    }

    fn role(&self, credential: &Digest) -> Option<Role> {
        self.handle.role(credential)
    }

    fn fill(&self, bytes: &mut [u8]) {
        SystemRng.fill(bytes);
    }

    fn evidence(&self, partner: Option<ParticipantId>) -> Exporting<'_> {
        Box::pin(async move {
            let permit = Arc::clone(&self.one).try_acquire_owned();
            let permit = permit.map_err(|_| {
                problem(
                    "busy",
                    503,
                    "an export is under way",
                    "one export is written at a time; ask again in a while",
                )
            })?;
            let exporter = Arc::clone(&self.exporter);
            let written = tokio::task::spawn_blocking(move || {
                let _permit = permit;
                exporter.export(partner.as_ref())
            });
            let written = written.await.map_err(|_| super::problem::internal())?;
            written.map_err(|error| refused(&error))
        })
    }
}

fn refused(error: &ExportError) -> Problem {
    let (kind, status, title) = match error {
        ExportError::NoSuchPartner(_) => ("not-found", 404, "nothing here"),
        ExportError::Read(_) | ExportError::Damaged(_) | ExportError::Record(_) => {
            ("journal", 500, "the journal cannot be exported")
        }
    };
    problem(kind, status, title, error.to_string())
}
