//! A running node behind the door.
//!
//! INVARIANT: nothing is added to what the node is asked or answers.

use interlock_core::ids::IdempotencyKey;

use super::{Answering, Seam};
use crate::driver::entropy::SystemRng;
use crate::driver::handle::Handle;
use crate::node::Rng as _;
use crate::node::io::{Digest, LocalRequest};

impl Seam for Handle {
    fn local(
        &self,
        credential: Option<Digest>,
        idempotency: Option<(IdempotencyKey, Digest)>,
        request: LocalRequest,
    ) -> Answering<'_> {
        Box::pin(Self::local(self, credential, idempotency, request))
    }

    fn fill(&self, bytes: &mut [u8]) {
        SystemRng.fill(bytes);
    }
}
