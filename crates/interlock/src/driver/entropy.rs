//! Randomness of the operating system.
//!
//! INVARIANT: whoever asks gets random bytes or the process ends: nothing may be drawn from a source
//! that has failed. It does not know what the bytes are for.

use zeroize::Zeroizing;

use crate::node::Rng;

/// Bytes that are drawn at once by a [`PooledRng`].
const POOL_SIZE_BYTES: usize = 4_096;

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

/// The operating system's source, asked for many bytes at once: ids, salts and keys are small and many,
/// and each would be a system call. What was handed out is no longer in the pool.
pub struct PooledRng {
    pool: Zeroizing<[u8; POOL_SIZE_BYTES]>,
    /// Where what was not handed out begins.
    next: usize,
}

impl PooledRng {
    /// An empty pool.
    pub fn new() -> Self {
        Self {
            pool: Zeroizing::new([0; POOL_SIZE_BYTES]),
            next: POOL_SIZE_BYTES,
        }
    }
}

impl Default for PooledRng {
    fn default() -> Self {
        Self::new()
    }
}

impl Rng for PooledRng {
    fn fill(&mut self, bytes: &mut [u8]) {
        if bytes.len() > POOL_SIZE_BYTES {
            return SystemRng.fill(bytes);
        }
        if self.next + bytes.len() > POOL_SIZE_BYTES {
            SystemRng.fill(self.pool.as_mut());
            self.next = 0;
        }
        for (to, from) in bytes.iter_mut().zip(self.pool.iter_mut().skip(self.next)) {
            *to = std::mem::take(from);
        }
        self.next += bytes.len();
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn no_byte_of_the_pool_is_handed_out_twice() {
        let mut rng = PooledRng::new();
        let mut seen = BTreeSet::new();
        for _ in 0..1_000 {
            let mut bytes = [0; 13];
            rng.fill(&mut bytes);
            assert!(seen.insert(bytes), "13 bytes do not come again by chance");
            assert!(rng.pool.iter().take(rng.next).all(|byte| *byte == 0));
        }
    }

    #[test]
    fn more_than_the_pool_is_filled_whole() {
        let mut bytes = vec![0; 2 * POOL_SIZE_BYTES];
        PooledRng::new().fill(&mut bytes);
        let (first, second) = bytes.split_at(POOL_SIZE_BYTES);
        assert_ne!(first, second);
        assert!(second.iter().any(|byte| *byte != 0));
    }
}
