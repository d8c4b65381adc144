//! A filter over the keys of a run: it says of most keys that are not there that they are not.
//!
//! INVARIANT: it never says so of a key that is there. Its bits are stored, so the hash is part of the
//! format of a run. A blocked Bloom filter (Putze, Sanders, Singler 2007): all bits of a key are in one
//! line of 64 bytes, so that a look costs one access to memory.

use crate::bytes::array;

const LINE_SIZE_BYTES: usize = 64;
/// Bits of the filter for each key: about one wrong answer in 100.
const KEY_BITS: u64 = 10;
/// Bits set for each key.
const PROBES: u32 = 6;
const MULTIPLIER: u64 = 0x9e37_79b9_7f4a_7c15;

/// The filter of one run.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Filter {
    lines: Vec<u8>,
}

/// A hash of a key. Whoever chooses keys to collide makes looks slower, and nothing else.
pub(super) fn hash(key: &[u8]) -> u64 {
    let mut state = (key.len() as u64).wrapping_mul(MULTIPLIER);
    let mut mix = |word: u64| {
        state = (state ^ word).wrapping_mul(MULTIPLIER);
        state ^= state >> 32;
    };
    let (words, rest) = key.as_chunks::<8>();
    for word in words {
        mix(u64::from_le_bytes(*word));
    }
    if !rest.is_empty() {
        let last = rest.iter().rev();
        mix(last.fold(0, |sum, byte| (sum << 8) | u64::from(*byte)));
    }
    mix(0);
    state
}

impl Filter {
    /// An empty filter for up to `keys` keys.
    pub(super) fn for_keys(keys: u64) -> Self {
        let bits = keys.saturating_mul(KEY_BITS);
        let lines = bits.div_ceil(8 * LINE_SIZE_BYTES as u64).max(1);
        let lines = usize::try_from(lines).unwrap_or(usize::MAX / LINE_SIZE_BYTES);
        Self {
            lines: vec![0; lines * LINE_SIZE_BYTES],
        }
    }

    /// A stored filter; `None` if it has no whole lines.
    pub(super) fn from_bytes(lines: Vec<u8>) -> Option<Self> {
        let whole = !lines.is_empty() && lines.len().is_multiple_of(LINE_SIZE_BYTES);
        whole.then_some(Self { lines })
    }

    /// To be stored.
    pub(super) fn as_bytes(&self) -> &[u8] {
        &self.lines
    }

    pub(super) fn insert(&mut self, hash: u64) {
        let start = self.line_of(hash);
        let end = start + LINE_SIZE_BYTES;
        let Some(line) = self.lines.get_mut(start..end) else {
            return;
        };
        for (byte, mask) in probes(hash) {
            if let Some(byte) = line.get_mut(byte) {
                *byte |= mask;
            }
        }
    }

    /// False only if the key is not there.
    pub(super) fn may_have(&self, hash: u64) -> bool {
        let start = self.line_of(hash);
        let line: Option<[u8; LINE_SIZE_BYTES]> = array(&self.lines, start);
        line.is_none_or(|line| {
            probes(hash).all(|(byte, mask)| line.get(byte).is_some_and(|byte| byte & mask != 0))
        })
    }

    fn line_of(&self, hash: u64) -> usize {
        let lines = (self.lines.len() / LINE_SIZE_BYTES) as u64;
        let line = ((hash >> 32) * lines) >> 32;
        usize::try_from(line).unwrap_or(0) * LINE_SIZE_BYTES
    }
}

/// Bytes of the line with the bit in each.
fn probes(hash: u64) -> impl Iterator<Item = (usize, u8)> {
    let mut state = hash.wrapping_mul(MULTIPLIER) | 1;
    (0..PROBES).map(move |_| {
        state = state.wrapping_mul(MULTIPLIER).rotate_left(23);
        let bit = state >> 55;
        ((bit >> 3) as usize, 1 << (bit & 7))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_key_is_missed_and_few_others_are_found() {
        let mut filter = Filter::for_keys(10_000);
        for n in 0..10_000_u64 {
            filter.insert(hash(&n.to_be_bytes()));
        }
        for n in 0..10_000_u64 {
            assert!(filter.may_have(hash(&n.to_be_bytes())), "{n}");
        }
        let wrong = (10_000..110_000_u64).filter(|n| filter.may_have(hash(&n.to_be_bytes())));
        let wrong = wrong.count();
        assert!(wrong < 3_000, "{wrong} of 100,000");
        let stored = Filter::from_bytes(filter.as_bytes().to_vec()).unwrap();
        assert_eq!(stored, filter);
        assert!(Filter::from_bytes(vec![0; 65]).is_none());
        assert!(Filter::from_bytes(Vec::new()).is_none());
    }

    #[test]
    fn the_hash_is_part_of_the_format() {
        let hashes = [hash(b""), hash(b"a"), hash(b"abcdefgh"), hash(b"abcdefghi")];
        let distinct: std::collections::BTreeSet<u64> = hashes.into_iter().collect();
        assert_eq!(distinct.len(), 4);
        expect_test::expect![[r#"
            [
                "0000000000000000",
                "a943a81cb71e3f5d",
                "e8219f085760187b",
                "62147fac57166fa0",
            ]
        "#]]
        .assert_debug_eq(&hashes.map(|hash| format!("{hash:016x}")));
    }
}
