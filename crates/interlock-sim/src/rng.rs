//! Random bytes from a seed.

use interlock::node::Rng;
use sha2::{Digest, Sha256};

/// SHA-256 in counter mode: the same seed gives the same bytes everywhere.
#[derive(Clone, Debug)]
pub struct SeededRng {
    seed: [u8; 32],
    counter: u64,
}

impl SeededRng {
    /// From a seed and a name that sets this stream apart.
    pub fn new(seed: u64, name: &str) -> Self {
        let seed = Sha256::new()
            .chain_update(seed.to_le_bytes())
            .chain_update(name.as_bytes())
            .finalize();
        Self {
            seed: seed.into(),
            counter: 0,
        }
    }

    /// The stream for one step of a node: it depends on when the step is taken and on nothing that
    /// happened before, so that two worlds can be compared byte by byte.
    #[must_use]
    pub fn at(&self, ms: i64, nth: u64) -> Self {
        let seed = Sha256::new()
            .chain_update(self.seed)
            .chain_update(ms.to_le_bytes())
            .chain_update(nth.to_le_bytes())
            .finalize();
        Self {
            seed: seed.into(),
            counter: 0,
        }
    }

    /// 64 random bits.
    pub fn draw(&mut self) -> u64 {
        let mut bytes = [0; 8];
        self.fill(&mut bytes);
        u64::from_le_bytes(bytes)
    }
}

impl Rng for SeededRng {
    fn fill(&mut self, bytes: &mut [u8]) {
        for chunk in bytes.chunks_mut(32) {
            let block = Sha256::new()
                .chain_update(self.seed)
                .chain_update(self.counter.to_le_bytes())
                .finalize();
            self.counter += 1;
            chunk
                .iter_mut()
                .zip(block)
                .for_each(|(to, from)| *to = from);
        }
    }
}
