//! Locker stations: what an operator says of one, which compartments are in use, how full it looks
//! to partners.
//!
//! INVARIANT: a [`Station`] that exists has a name, a position on Earth and at least one compartment.
//!
//! This module does not know whose parcel lies where; that is [`crate::locker`].

mod compartments;
mod level;

use alloc::string::String;
use core::fmt;
use core::ops::Range;

use serde::{Deserialize, Serialize};

use crate::ids::StationId;
use crate::parcel::SizeClass;

pub use compartments::{
    CompartmentError, CompartmentNo, CompartmentState, Compartments, CompartmentsCorrupt,
    NoCompartment,
};
pub use level::{Level, level};

/// Most compartments at one station.
pub const COMPARTMENTS_MAX: u16 = 2_000;
/// Longest name of a station, in bytes.
pub const STATION_NAME_LENGTH_MAX: usize = 128;

/// Why a description of a station is wrong.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StationError {
    /// The name is empty, too long or has control characters.
    #[error("not a station name: write 1 to 128 bytes of text without control characters")]
    Name,
    /// The position is not on Earth.
    #[error(
        "`{lng_udeg}, {lat_udeg}` is no position: write longitude (-180000000 to 180000000) and latitude (-90000000 to 90000000) in millionths of a degree"
    )]
    Position {
        /// Longitude as given, in millionths of a degree.
        lng_udeg: i32,
        /// Latitude as given, in millionths of a degree.
        lat_udeg: i32,
    },
    /// No compartment, or too many.
    #[error("`{total}` compartments: a station has 1 to 2000, all sizes together")]
    Capacity {
        /// The sum as given.
        total: u32,
    },
    /// No such state.
    #[error(
        "`{input}` is no station state: write `operating`, `created`, `disabled`, `overloaded` or `non-operating`"
    )]
    State {
        /// What came, shortened to 32 characters.
        input: String,
    },
}

/// The name of a station for people.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String")]
pub struct StationName(String);

impl StationName {
    /// Checks and takes `text`.
    ///
    /// # Errors
    /// [`StationError::Name`] if it is empty, longer than [`STATION_NAME_LENGTH_MAX`] bytes or has
    /// control characters.
    pub fn parse(text: &str) -> Result<Self, StationError> {
        Self::try_from(String::from(text))
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for StationName {
    type Error = StationError;
    fn try_from(text: String) -> Result<Self, StationError> {
        let good = (1..=STATION_NAME_LENGTH_MAX).contains(&text.len())
            && !text.trim().is_empty()
            && !text.chars().any(char::is_control);
        if good {
            Ok(Self(text))
        } else {
            Err(StationError::Name)
        }
    }
}

impl fmt::Display for StationName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A point on Earth, in millionths of a degree (WGS 84): about 11 cm.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "RawPosition")]
pub struct Position {
    lng_udeg: i32,
    lat_udeg: i32,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawPosition {
    lng_udeg: i32,
    lat_udeg: i32,
}

impl TryFrom<RawPosition> for Position {
    type Error = StationError;
    fn try_from(raw: RawPosition) -> Result<Self, StationError> {
        Self::new(raw.lng_udeg, raw.lat_udeg)
    }
}

impl Position {
    /// The point at a longitude and a latitude, in millionths of a degree.
    ///
    /// # Errors
    /// [`StationError::Position`] beyond 180 degrees of longitude or 90 of latitude.
    pub const fn new(lng_udeg: i32, lat_udeg: i32) -> Result<Self, StationError> {
        if lng_udeg.unsigned_abs() > 180_000_000 || lat_udeg.unsigned_abs() > 90_000_000 {
            return Err(StationError::Position { lng_udeg, lat_udeg });
        }
        Ok(Self { lng_udeg, lat_udeg })
    }

    /// Longitude, east positive, in millionths of a degree.
    pub const fn lng_udeg(self) -> i32 {
        self.lng_udeg
    }

    /// Latitude, north positive, in millionths of a degree.
    pub const fn lat_udeg(self) -> i32 {
        self.lat_udeg
    }
}

/// Whether a station works. The order of the variants is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum StationState {
    /// Deposits and pick-ups.
    Operating,
    /// Set up, not yet opened.
    Created,
    /// Closed by its operator.
    Disabled,
    /// Pick-ups only, until it has emptied.
    Overloaded,
    /// Out of order.
    NonOperating,
}

impl StationState {
    /// All states.
    pub const ALL: [Self; 5] = [
        Self::Operating,
        Self::Created,
        Self::Disabled,
        Self::Overloaded,
        Self::NonOperating,
    ];

    /// The name on the wire, such as `non-operating`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Operating => "operating",
            Self::Created => "created",
            Self::Disabled => "disabled",
            Self::Overloaded => "overloaded",
            Self::NonOperating => "non-operating",
        }
    }

    /// The state with the given name.
    ///
    /// # Errors
    /// [`StationError::State`] for another name.
    pub fn parse(name: &str) -> Result<Self, StationError> {
        Self::ALL
            .into_iter()
            .find(|state| state.as_str() == name)
            .ok_or_else(|| StationError::State {
                input: name.chars().take(32).collect(),
            })
    }

    /// Whether couriers can deposit here.
    pub const fn takes_deposits(self) -> bool {
        match self {
            Self::Operating => true,
            Self::Created | Self::Disabled | Self::Overloaded | Self::NonOperating => false,
        }
    }
}

impl fmt::Display for StationState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// How many compartments of each size are installed; 1 to [`COMPARTMENTS_MAX`] in all.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "RawCapacity")]
pub struct Capacity {
    small: u16,
    medium: u16,
    large: u16,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawCapacity {
    small: u16,
    medium: u16,
    large: u16,
}

impl TryFrom<RawCapacity> for Capacity {
    type Error = StationError;
    fn try_from(raw: RawCapacity) -> Result<Self, StationError> {
        Self::new(raw.small, raw.medium, raw.large)
    }
}

impl Capacity {
    /// The capacity with so many small, medium and large compartments.
    ///
    /// # Errors
    /// [`StationError::Capacity`] for none at all or more than [`COMPARTMENTS_MAX`].
    pub fn new(small: u16, medium: u16, large: u16) -> Result<Self, StationError> {
        let total = u32::from(small) + u32::from(medium) + u32::from(large);
        if total == 0 || total > u32::from(COMPARTMENTS_MAX) {
            return Err(StationError::Capacity { total });
        }
        Ok(Self {
            small,
            medium,
            large,
        })
    }

    /// Installed compartments of `size`.
    pub const fn of(self, size: SizeClass) -> u16 {
        match size {
            SizeClass::Small => self.small,
            SizeClass::Medium => self.medium,
            SizeClass::Large => self.large,
        }
    }

    /// Installed compartments of all sizes.
    pub const fn total(self) -> u16 {
        self.small
            .saturating_add(self.medium)
            .saturating_add(self.large)
    }

    /// The compartments of `size`, counted from 0: the small ones come first, then the medium ones.
    const fn range(self, size: SizeClass) -> Range<u16> {
        match size {
            SizeClass::Small => 0..self.small,
            SizeClass::Medium => self.small..self.small.saturating_add(self.medium),
            SizeClass::Large => self.small.saturating_add(self.medium)..self.total(),
        }
    }
}

/// A locker station as its operator describes it to partners.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Station {
    /// Its name for machines.
    pub id: StationId,
    /// Its name for people.
    pub name: StationName,
    /// Where it stands.
    pub position: Position,
    /// Whether it works.
    pub state: StationState,
    /// What is installed.
    pub capacity: Capacity,
}

#[cfg(test)]
mod tests;
