//! Deposits: from the courier's scan to the pick-up.
//!
//! Purpose: what the courier's handheld and the cabinet ask. Invariants: a compartment is reserved, and
//! who tells the recipient is settled or on its way, before a door opens; every request can be repeated
//! and gets the same answer; the phone number leaves only where the term says `full`.

mod advance;
mod open;
mod view;

use interlock_core::locker::LockerRules;

use super::Node;

impl Node {
    pub(super) fn locker_rules(&self) -> LockerRules {
        LockerRules::new(self.config.reservation_ms, self.config.pickup_period_ms)
            .unwrap_or_default()
    }
}
