//! Free space of a size class as partners see it: a declared disclosure, in three coarse levels.
//!
//! INVARIANT: at a class of ten compartments or more, one parcel that comes and goes moves the level
//! at most once. This module does not know what partners were told; the previous level is an argument.

use serde::{Deserialize, Serialize};

/// Free space as partners see it: coarse on purpose, because exact counts would tell them each
/// other's volume. The order of the variants is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Level {
    /// Below 10 percent, and until it is 20 again.
    VeryLow,
    /// Below 30 percent, and until it is 40 again.
    Low,
    /// More.
    Normal,
}

impl Level {
    /// The name on the wire, such as `very-low`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::VeryLow => "very-low",
            Self::Low => "low",
            Self::Normal => "normal",
        }
    }
}

/// The level of a size class after `previous`, with `free` of `installed` compartments; none where
/// nothing is installed. Falling counts at once, rising only with ten percent to spare, so that one
/// parcel that comes and goes does not show.
pub fn level(previous: Option<Level>, free: u16, installed: u16) -> Option<Level> {
    if installed == 0 {
        return None;
    }
    let below = |percent: u32| u32::from(free) * 100 < u32::from(installed) * percent;
    let graded = |very_low, low| {
        if below(very_low) {
            Level::VeryLow
        } else if below(low) {
            Level::Low
        } else {
            Level::Normal
        }
    };
    let (falling, rising) = (graded(10, 30), graded(20, 40));
    Some(previous.map_or(falling, |level| level.clamp(rising, falling)))
}
