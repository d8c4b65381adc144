//! Blocks that were read of late.
//!
//! What is asked for soon again, or lies beside it, is not read anew: reading, checking and freeing a block
//! for each row of it was a third of what a feed's writers did. Where rows are many and asked for at random,
//! as parcels by their id are, it helps little.
//!
//! INVARIANT: what is held is what was read, its checksum right then; runs never change. It is bounded:
//! a block has one place, and goes when another needs it.

use std::sync::{Arc, Mutex, PoisonError};

use super::run::Block;

/// Places. With blocks of 8 KiB they hold 8 MiB.
const PLACES: usize = 1_024;
/// A larger block is not held.
const BLOCK_SIZE_BYTES_MAX: usize = 64 * 1024;
/// An odd number that spreads runs over the places (the golden ratio of 64 bits).
const SPREAD: u64 = 0x9e37_79b9_7f4a_7c15;

struct Held {
    run: u64,
    number: usize,
    block: Arc<Block>,
}

/// Blocks by run and number.
pub(super) struct Recent(Mutex<Vec<Option<Held>>>);

impl Default for Recent {
    fn default() -> Self {
        Self(Mutex::new((0..PLACES).map(|_| None).collect()))
    }
}

impl Recent {
    /// The block, if it is held.
    pub(super) fn get(&self, run: u64, number: usize) -> Option<Arc<Block>> {
        let places = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let held = places.get(place(run, number))?.as_ref()?;
        (held.run == run && held.number == number).then(|| held.block.clone())
    }

    /// Holds a block.
    pub(super) fn hold(&self, run: u64, number: usize, block: &Arc<Block>) {
        if block.bytes.len() > BLOCK_SIZE_BYTES_MAX {
            return;
        }
        let mut places = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(place) = places.get_mut(place(run, number)) {
            *place = Some(Held {
                run,
                number,
                block: block.clone(),
            });
        }
    }
}

/// Blocks that follow each other have places that do.
fn place(run: u64, number: usize) -> usize {
    let first = (run.wrapping_mul(SPREAD) >> 32) as usize;
    first.wrapping_add(number) % PLACES
}

#[cfg(test)]
mod tests {
    use super::*;

    fn block(fill: u8, bytes: usize) -> Arc<Block> {
        let bytes = [vec![fill; bytes], vec![0; 4]].concat();
        Arc::new(Block::new(bytes).unwrap())
    }

    #[test]
    fn a_block_is_found_as_itself_until_another_takes_its_place() {
        let recent = Recent::default();
        assert!(recent.get(1, 0).is_none());
        for number in 0..PLACES {
            recent.hold(1, number, &block(u8::try_from(number % 256).unwrap(), 10));
        }
        for number in 0..PLACES {
            let held = recent.get(1, number).unwrap();
            assert_eq!(usize::from(held.bytes[0]), number % 256);
        }
        assert!(recent.get(2, 0).is_none());
        recent.hold(1, PLACES, &block(7, 10));
        assert!(recent.get(1, 0).is_none());
        assert_eq!(recent.get(1, PLACES).unwrap().bytes[0], 7);
        assert!(recent.get(1, 1).is_some());
    }

    #[test]
    fn a_large_block_is_not_held() {
        let recent = Recent::default();
        recent.hold(1, 0, &block(1, BLOCK_SIZE_BYTES_MAX));
        assert!(recent.get(1, 0).is_none());
    }
}
