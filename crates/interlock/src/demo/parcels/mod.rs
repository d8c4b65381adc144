//! The parcels of the demo, recorded or generated, and locker stations near them.
//!
//! INVARIANT: the same input and seed give the same parcels, whatever the order of the input; no
//! two share a waybill, a phone or an order. What a record says stays as it is; all that concerns
//! lockers (station, size class, deposit, consent) is *derived* here and to be called so wherever it
//! is shown, since no public log of deposits exists. Recipients are invented: every phone is
//! `199` and the parcel's number, every name says that it is a test. Nodes are not known here.

mod generate;
mod lade;
mod stations;

use std::io;

use interlock_core::contact::{Phone, PhoneError, Recipient};
use interlock_core::ids::{CourierId, IdError, MerchantId, StationId};
use interlock_core::time::{HOUR_MS, MINUTE_MS, SECOND_MS, Timestamp};

pub use generate::generate;
pub use lade::{LADE_YEAR, parse_lade, read_lade};
pub use stations::{DemoStation, Room, stations};

/// Most parcels in one demo: what one process shows in reasonable time.
pub const PARCELS_MAX: usize = 1_000_000;
/// Largest order id: its waybill number has 13 digits of which it fills at most 12.
pub const ORDER_ID_MAX: u64 = 999_999_999_999;
/// Shortest time from acceptance to pick-up. Recorded ones that are shorter are stretched to it, so
/// that a deposit fits between.
pub const STAY_MIN_MS: i64 = 2 * MINUTE_MS;

/// A parcel of the demo with everything that its participants know about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DemoParcel {
    /// Number of the order, distinct within a demo.
    pub order_id: u64,
    /// City of the recipient, at most 64 bytes.
    pub city: String,
    /// The courier, in the words of the carrier.
    pub courier: CourierId,
    /// When the courier took charge of it.
    pub accepted_at: Timestamp,
    /// Start of the time window that was promised.
    pub window_start: Timestamp,
    /// End of the time window that was promised, not before its start.
    pub window_end: Timestamp,
    /// When it went into the locker: derived, between acceptance and pick-up.
    pub deposited_at: Timestamp,
    /// When it was picked up; see [`STAY_MIN_MS`].
    pub picked_up_at: Timestamp,
    /// Longitude in millionths of a degree, WGS 84 or whatever the record used.
    pub lng_micro: i32,
    /// Latitude in millionths of a degree.
    pub lat_micro: i32,
    /// Where the order came from; assigned by order id, like all that follows.
    pub marketplace: DemoMarketplace,
    /// Who carries it.
    pub carrier: DemoCarrier,
    /// Whose locker it goes to.
    pub operator: DemoOperator,
    /// The waybill number, of the carrier's pattern.
    pub waybill_number: String,
    /// The merchant, in the words of the marketplace.
    pub merchant: MerchantId,
    /// The smallest compartment that it fits.
    pub size: DemoSize,
    /// Who it is for. Invented.
    pub recipient: Recipient,
    /// Whether the recipient consents to a locker. Without, it must not go into one.
    pub consents_to_locker: bool,
    /// The station that it goes to, one of [`stations`]: derived from operator and position.
    pub station: StationId,
}

/// Where an order of the demo came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum DemoMarketplace {
    /// Its parcels' data is Cainiao's.
    Taobao,
    /// Its parcels' data is its own.
    Jd,
}

impl DemoMarketplace {
    /// The key of scope.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Taobao => "taobao",
            Self::Jd => "jd",
        }
    }
}

/// A carrier of the demo.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum DemoCarrier {
    /// SF Express: `SF` and 13 digits.
    Sf,
    /// YTO, one of the Tongda carriers: `YT` and 13 digits.
    Yto,
}

impl DemoCarrier {
    /// The carrier's code.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Sf => "sf",
            Self::Yto => "yto",
        }
    }

    const fn waybill_prefix(self) -> &'static str {
        match self {
            Self::Sf => "SF",
            Self::Yto => "YT",
        }
    }
}

/// A locker operator of the demo.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum DemoOperator {
    /// The large one.
    Fengchao,
    /// The other.
    Suidiyi,
}

impl DemoOperator {
    /// The operator's code.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Fengchao => "fengchao",
            Self::Suidiyi => "suidiyi",
        }
    }
}

/// Size class of a compartment or parcel, 38 by 64 cm and as high as named.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum DemoSize {
    /// 8 cm.
    A,
    /// 19 cm.
    B,
    /// 41 cm.
    C,
}

impl DemoSize {
    /// All classes, the smallest first.
    pub const ALL: [Self; 3] = [Self::A, Self::B, Self::C];

    /// The letter.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::A => "A",
            Self::B => "B",
            Self::C => "C",
        }
    }
}

/// Why there are no parcels.
#[derive(Debug, thiserror::Error)]
pub enum ParcelsError {
    /// The file could not be read.
    #[error("failed to read `{path}`: {source}; name a file in the format of LaDe, or a number")]
    Read {
        /// The file.
        path: String,
        /// What the system said.
        source: io::Error,
    },
    /// The first line does not name the columns.
    #[error("line 1 is not the header of LaDe's pick-up part; it must be `{expected}`")]
    Header {
        /// What the line must be.
        expected: String,
    },
    /// A line has too few or too many columns.
    #[error("line {line} has {count} columns, must have {expected}; repair or remove the line")]
    Columns {
        /// From 1, the header included.
        line: usize,
        /// Columns found.
        count: usize,
        /// Columns wanted.
        expected: usize,
    },
    /// A value that cannot be.
    #[error("line {line}, column `{column}`: `{value}` is not accepted; {remedy}")]
    Value {
        /// From 1, the header included.
        line: usize,
        /// The name of the column in the header.
        column: &'static str,
        /// What stood there, shortened to 64 characters.
        value: String,
        /// What to do about it.
        remedy: &'static str,
    },
    /// No parcel at all.
    #[error("there are no parcels; give a file with at least one, or a number from 1")]
    Empty,
    /// More than [`PARCELS_MAX`].
    #[error("`{count}` parcels are too many; give at most {max}", max = PARCELS_MAX)]
    TooMany {
        /// How many were wanted; of a file, where reading stopped.
        count: usize,
    },
    /// An identifier made here was refused: an error of this module.
    #[error(transparent)]
    Id(#[from] IdError),
    /// A phone made here was refused: an error of this module.
    #[error(transparent)]
    Phone(#[from] PhoneError),
}

/// What a record says: all else is assigned by order id.
struct Record {
    order_id: u64,
    city: String,
    courier_number: u32,
    accepted_at: Timestamp,
    window_start: Timestamp,
    window_end: Timestamp,
    picked_up_at: Timestamp,
    /// Whether it is on its way overnight; then it lies in the locker for an hour or two at most.
    overnight: bool,
    lng_micro: i32,
    lat_micro: i32,
}

/// Completes records whose order ids are distinct, ordered by acceptance.
fn complete(mut records: Vec<Record>, seed: u64) -> Result<Vec<DemoParcel>, ParcelsError> {
    if records.is_empty() {
        return Err(ParcelsError::Empty);
    }
    if records.len() > PARCELS_MAX {
        return Err(ParcelsError::TooMany {
            count: records.len(),
        });
    }
    records.sort_by_key(|record| (record.accepted_at, record.order_id));
    records
        .into_iter()
        .enumerate()
        .map(|(number, record)| parcel(record, number, seed))
        .collect()
}

fn parcel(record: Record, number: usize, seed: u64) -> Result<DemoParcel, ParcelsError> {
    let dice = Dice::new(seed, record.order_id);
    let marketplace = match dice.below("marketplace", 100) {
        0..75 => DemoMarketplace::Taobao,
        _ => DemoMarketplace::Jd,
    };
    let carrier = match dice.below("carrier", 2) {
        0 => DemoCarrier::Sf,
        _ => DemoCarrier::Yto,
    };
    let operator = match dice.below("operator", 100) {
        0..85 => DemoOperator::Fengchao,
        _ => DemoOperator::Suidiyi,
    };
    let size = match dice.below("size", 100) {
        0..45 => DemoSize::A,
        45..85 => DemoSize::B,
        _ => DemoSize::C,
    };
    let picked_up_at = record
        .picked_up_at
        .max(record.accepted_at.plus_ms(STAY_MIN_MS));
    Ok(DemoParcel {
        order_id: record.order_id,
        courier: CourierId::parse(&format!("{}-{}", carrier.as_str(), record.courier_number))?,
        accepted_at: record.accepted_at,
        window_start: record.window_start,
        window_end: record.window_end,
        deposited_at: match record.overnight {
            true => picked_up_at.plus_ms(-i64::from(dice.below("lies", 90) + 30) * MINUTE_MS),
            false => deposit_time(record.accepted_at, picked_up_at, dice),
        },
        picked_up_at,
        lng_micro: record.lng_micro,
        lat_micro: record.lat_micro,
        marketplace,
        carrier,
        operator,
        waybill_number: waybill_number(carrier, record.order_id, seed),
        merchant: MerchantId::parse(&format!(
            "{}-shop-{}",
            marketplace.as_str(),
            dice.below("merchant", 300)
        ))?,
        size,
        recipient: recipient(&record.city, number, dice)?,
        consents_to_locker: dice.below("consent", 100) < 98,
        station: stations::station_id(operator, record.lng_micro, record.lat_micro)?,
        city: record.city,
    })
}

/// A fifth to three fifths of the way to the pick-up, but of a long stay most is spent in the
/// locker: the courier has at most three hours for the way.
fn deposit_time(accepted_at: Timestamp, picked_up_at: Timestamp, dice: Dice) -> Timestamp {
    let way_ms = picked_up_at.since_ms(accepted_at).min(3 * HOUR_MS);
    let permille = i64::from(dice.below("deposit", 401)) + 200;
    let offset_ms = way_ms * permille / 1_000;
    accepted_at.plus_ms(offset_ms / SECOND_MS * SECOND_MS)
}

/// Distinct for distinct order ids: the multiplier has no factor in common with the modulus.
fn waybill_number(carrier: DemoCarrier, order_id: u64, seed: u64) -> String {
    const MODULUS: u128 = 10_000_000_000_000;
    const MULTIPLIER: u128 = 6_180_339_887_499;
    let digits = (u128::from(order_id) * MULTIPLIER + u128::from(seed)) % MODULUS;
    format!("{}{digits:013}", carrier.waybill_prefix())
}

fn recipient(city: &str, number: usize, dice: Dice) -> Result<Recipient, PhoneError> {
    Ok(Recipient {
        name: format!("测试收件人 {number:05}"),
        phone: Phone::parse(&format!("199{number:08}"))?,
        address: format!(
            "{city} 虚构路 {} 号 {} 栋 {:02}01 室",
            dice.below("street number", 400) + 1,
            dice.below("building", 20) + 1,
            dice.below("floor", 30) + 1
        ),
    })
}

/// Draws that depend on the seed, the order and what is drawn, and not on what was drawn before.
#[derive(Clone, Copy)]
struct Dice(u64);

impl Dice {
    const fn new(seed: u64, order_id: u64) -> Self {
        Self(mix(mix(seed) ^ order_id))
    }

    /// A number under `bound`. The bias is under a millionth for the bounds used here.
    fn below(self, what: &str, bound: u32) -> u32 {
        let drawn = what
            .bytes()
            .fold(self.0, |state, byte| mix(state ^ u64::from(byte)));
        let scaled = ((drawn >> 32) * u64::from(bound)) >> 32;
        u32::try_from(scaled).unwrap_or_default()
    }
}

/// The finalizer of SplitMix64 (Steele, Lea, Flood 2014) after one step of its counter.
const fn mix(state: u64) -> u64 {
    let z = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests;
