//! One step of the node: its time, its random bytes, and the effects so far.

use std::collections::BTreeMap;

use interlock_core::ids::RequestId;
use interlock_core::time::{ClockInterval, Timestamp};
use serde::Serialize;

use super::cipher::Cipher;
use super::content::{self, Fresh};
use super::io::Effect;
use super::record::Sealed;
use super::state::State;
use super::state::vault::Vault;
use super::{ContentKeys, Rng};

/// One step.
pub struct Turn<'a> {
    /// The clock, never below the journal's highest time.
    pub now: ClockInterval,
    rng: &'a mut dyn Rng,
    effects: Vec<Effect>,
    keys: TurnKeys,
}

impl ContentKeys for BTreeMap<(u32, u32), [u8; 32]> {
    fn get(&self, hour: u32, slot: u32) -> Option<[u8; 32]> {
        Self::get(self, &(hour, slot)).copied()
    }
}

/// Keys of what was sealed in a step.
pub struct TurnKeys {
    drawn: BTreeMap<(u32, u32), [u8; 32]>,
    cipher: &'static dyn Cipher,
}

impl ContentKeys for TurnKeys {
    fn get(&self, hour: u32, slot: u32) -> Option<[u8; 32]> {
        ContentKeys::get(&self.drawn, hour, slot)
    }

    fn cipher(&self) -> &'static dyn Cipher {
        self.cipher
    }
}

impl<'a> Turn<'a> {
    /// Begins a step at `now` over `state`.
    pub fn new(
        now: ClockInterval,
        rng: &'a mut dyn Rng,
        state: &State,
        cipher: &'static dyn Cipher,
    ) -> Self {
        let now = ClockInterval {
            earliest: now.earliest.max(state.high),
            latest: now.latest.max(state.high),
        };
        Self {
            now,
            rng,
            effects: Vec::new(),
            keys: TurnKeys {
                drawn: BTreeMap::new(),
                cipher,
            },
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
    pub const fn keys(&self) -> &TurnKeys {
        &self.keys
    }

    /// Fills `bytes` at random.
    pub fn fill(&mut self, bytes: &mut [u8]) {
        self.rng.fill(bytes);
    }

    /// The source of random bytes.
    pub fn rng(&mut self) -> &mut dyn Rng {
        self.rng
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

    /// Seals personal data that ends at `due` at the latest, under a new key in the next free slot of
    /// the hour; the key is an effect of this step.
    pub fn seal<T: Serialize>(
        &mut self,
        vault: &Vault,
        value: &T,
        due: Timestamp,
    ) -> Option<Sealed> {
        let hour = vault.hour_for(due);
        let keys = &self.keys.drawn;
        let drawn = keys.range((hour, 0)..=(hour, u32::MAX)).next_back();
        let after = drawn.map_or(0, |((_, slot), _)| slot.saturating_add(1));
        let slot = vault.next_slot(hour).max(after);
        let cipher = self.keys.cipher;
        let Fresh { sealed, key } = content::seal(cipher, value, hour, slot, self.rng)?;
        self.keys.drawn.insert((hour, slot), key);
        if cipher.has_keys() {
            self.push(Effect::PutKey { hour, slot, key });
        }
        Some(sealed)
    }
}
