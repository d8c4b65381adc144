//! Randomness of the operating system.
//!
//! INVARIANT: whoever asks gets random bytes or the process ends: nothing may be drawn from a source
//! that has failed. It does not know what the bytes are for.

use crate::node::Rng;

/// The operating system's source.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemRng;

impl Rng for SystemRng {
    #[expect(
        clippy::disallowed_methods,
        reason = "this is the driver's source, the one place that draws randomness"
    )]
    fn fill(&mut self, bytes: &mut [u8]) {
        if let Err(error) = getrandom::fill(bytes) {
            tracing::error!(%error, "the operating system gives no random bytes; the node stops");
            std::process::abort();
        }
    }
}
