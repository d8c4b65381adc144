//! One step of the node: its time, its random bytes, and the effects so far.

use std::collections::BTreeMap;

use interlock_core::ids::RequestId;
use interlock_core::time::{ClockInterval, DAY_MS, Timestamp};
use serde::Serialize;

use super::content::{self, Fresh};
use super::io::Effect;
use super::record::Sealed;
use super::state::State;
use super::{ContentKeys, Rng};

/// One step.
pub struct Turn<'a> {
    /// The clock, never below the journal's highest time.
    pub now: ClockInterval,
    rng: &'a mut dyn Rng,
    effects: Vec<Effect>,
    keys: BTreeMap<(u32, u32), [u8; 32]>,
    reserved: (u32, u32),
}

impl ContentKeys for BTreeMap<(u32, u32), [u8; 32]> {
    fn get(&self, day: u32, slot: u32) -> Option<[u8; 32]> {
        Self::get(self, &(day, slot)).copied()
    }
}

impl<'a> Turn<'a> {
    /// Begins a step at `now` over `state`.
    pub fn new(now: ClockInterval, rng: &'a mut dyn Rng, state: &State) -> Self {
        let now = ClockInterval {
            earliest: now.earliest.max(state.high),
            latest: now.latest.max(state.high),
        };
        Self {
            now,
            rng,
            effects: Vec::new(),
            keys: BTreeMap::new(),
            reserved: state.next_slot,
        }
    }

    /// The time that records of this step carry.
    pub const fn at(&self) -> Timestamp {
        self.now.latest
    }

    /// Nothing of this step is dated before `time`: so late something of ours is already.
    pub fn not_before(&mut self, time: Timestamp) {
        self.now.earliest = self.now.earliest.max(time);
        self.now.latest = self.now.latest.max(time);
    }

    /// Wants something done.
    pub fn push(&mut self, effect: Effect) {
        self.effects.push(effect);
    }

    /// All effects, in order.
    pub fn finish(self) -> Vec<Effect> {
        self.effects
    }

    /// Keys of what was sealed in this step.
    pub const fn keys(&self) -> &BTreeMap<(u32, u32), [u8; 32]> {
        &self.keys
    }

    /// 16 random bytes.
    pub fn random16(&mut self) -> [u8; 16] {
        let mut bytes = [0; 16];
        self.rng.fill(&mut bytes);
        bytes
    }

    /// 64 random bits.
    pub fn random64(&mut self) -> u64 {
        let mut bytes = [0; 8];
        self.rng.fill(&mut bytes);
        u64::from_le_bytes(bytes)
    }

    /// A random salt or id.
    pub fn random_id(&mut self) -> RequestId {
        RequestId::from_bytes(self.random16())
    }

    /// Seals personal data under a new key in the next free slot; the key is an effect of this step.
    pub fn seal<T: Serialize>(&mut self, value: &T) -> Option<Sealed> {
        let today = u32::try_from(self.at().as_millis().div_euclid(DAY_MS)).unwrap_or(0);
        let (day, slot) = if self.reserved.0 >= today {
            self.reserved
        } else {
            (today, 0)
        };
        let Fresh { sealed, key } = content::seal(value, day, slot, self.rng)?;
        self.reserved = (day, slot + 1);
        self.keys.insert((day, slot), key);
        self.push(Effect::PutKey { day, slot, key });
        Some(sealed)
    }
}
