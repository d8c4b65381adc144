//! Which compartments of a station are free, reserved, occupied or out of order.
//!
//! INVARIANT: a compartment is handed out only while it is free and not faulty, and is free again
//! only after a release. Which of the free ones is handed out follows a random draw, so that numbers
//! seen by one participant do not count another's parcels.
//!
//! This module does not know when a reservation ends; that is [`crate::locker`].

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::fmt;
use core::num::NonZeroU16;

use serde::{Deserialize, Serialize};

use super::{Capacity, StationState};
use crate::parcel::SizeClass;

const WORD_BITS: u16 = 64;

/// The number of a compartment at its station, from 1. It travels with the pickup code only.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct CompartmentNo(NonZeroU16);

impl CompartmentNo {
    /// The compartment with the given number; none for 0.
    pub const fn new(number: u16) -> Option<Self> {
        match NonZeroU16::new(number) {
            Some(number) => Some(Self(number)),
            None => None,
        }
    }

    /// The number, from 1.
    pub const fn number(self) -> u16 {
        self.0.get()
    }

    pub(super) const fn index(self) -> u16 {
        self.0.get() - 1
    }

    const fn at(index: u16) -> Option<Self> {
        Self::new(index.saturating_add(1))
    }
}

impl fmt::Display for CompartmentNo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// How one compartment is used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CompartmentState {
    /// Empty and in order.
    Free,
    /// Handed out, door not yet closed on a parcel.
    Reserved,
    /// A parcel lies in it.
    Occupied,
    /// Empty and out of order.
    Faulty,
}

impl CompartmentState {
    /// The state in a word.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Free => "free",
            Self::Reserved => "reserved",
            Self::Occupied => "occupied",
            Self::Faulty => "faulty",
        }
    }
}

/// Why no compartment is handed out; a denial whose text is for the courier.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NoCompartment {
    /// The station takes no deposits.
    NotOperating {
        /// Its state.
        state: StationState,
    },
    /// The station has no compartments of this size.
    NotInstalled {
        /// The size wanted.
        size: SizeClass,
        /// Larger sizes with free compartments, and how many.
        larger: Vec<(SizeClass, u16)>,
    },
    /// None of this size is free, but larger ones are.
    SizeFull {
        /// The size wanted.
        size: SizeClass,
        /// Larger sizes with free compartments, and how many; not empty.
        larger: Vec<(SizeClass, u16)>,
    },
    /// None of this size or a larger one is free.
    Full {
        /// The size wanted.
        size: SizeClass,
    },
}

impl fmt::Display for NoCompartment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotOperating { state } => write!(
                f,
                "the station is `{state}` and takes no deposits: use another station"
            ),
            Self::NotInstalled { size, larger } => {
                write!(f, "the station has no `{size}` compartments: ")?;
                write_larger(f, larger)
            }
            Self::SizeFull { size, larger } => {
                write!(f, "no `{size}` compartment is free: ")?;
                write_larger(f, larger)
            }
            Self::Full { size } => write!(
                f,
                "no compartment of size `{size}` or larger is free: use another station"
            ),
        }
    }
}

fn write_larger(f: &mut fmt::Formatter<'_>, larger: &[(SizeClass, u16)]) -> fmt::Result {
    if larger.is_empty() {
        return f.write_str("use another station");
    }
    f.write_str("ask for a larger one (")?;
    for (position, (size, free)) in larger.iter().enumerate() {
        let separator = if position == 0 { "" } else { ", " };
        write!(f, "{separator}`{size}`: {free} free")?;
    }
    f.write_str(") or use another station")
}

/// Why a compartment cannot change as asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CompartmentError {
    /// The station has no such compartment.
    #[error("no compartment `{number}` at this station: numbers go from 1 to {total}")]
    Unknown {
        /// The number asked for.
        number: CompartmentNo,
        /// How many there are.
        total: u16,
    },
    /// It is in another state than the change needs.
    #[error("compartment `{number}` is {}: {wanted}", state.as_str())]
    State {
        /// The number asked for.
        number: CompartmentNo,
        /// Its state.
        state: CompartmentState,
        /// What it would have to be.
        wanted: &'static str,
    },
}

/// One bit for each compartment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
struct Bits(Box<[u64]>);

impl Bits {
    fn none(count: u16) -> Self {
        let words = usize::from(count.div_ceil(WORD_BITS));
        Self(alloc::vec![0; words].into_boxed_slice())
    }

    fn get(&self, index: u16) -> bool {
        self.0
            .get(usize::from(index / WORD_BITS))
            .is_some_and(|word| word & (1 << (index % WORD_BITS)) != 0)
    }

    fn word(&self, at: u16) -> u64 {
        self.0.get(usize::from(at)).copied().unwrap_or_default()
    }

    fn set(&mut self, index: u16, on: bool) {
        if let Some(word) = self.0.get_mut(usize::from(index / WORD_BITS)) {
            let bit = 1 << (index % WORD_BITS);
            *word = if on { *word | bit } else { *word & !bit };
        }
    }
}

/// Which compartments of a station are in use: three bits each.
/// INVARIANT: an occupied compartment is also a taken one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "RawCompartments")]
pub struct Compartments {
    capacity: Capacity,
    /// Reserved or occupied.
    taken: Bits,
    occupied: Bits,
    /// Out of order, whether taken or not.
    faulty: Bits,
}

#[derive(Deserialize)]
struct RawCompartments {
    capacity: Capacity,
    taken: Bits,
    occupied: Bits,
    faulty: Bits,
}

/// Why stored compartments cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("compartments do not fit their station's capacity: rebuild them from the journal")]
pub struct CompartmentsCorrupt;

impl TryFrom<RawCompartments> for Compartments {
    type Error = CompartmentsCorrupt;
    fn try_from(raw: RawCompartments) -> Result<Self, CompartmentsCorrupt> {
        let total = raw.capacity.total();
        let fits = |bits: &Bits| {
            bits.0.len() == usize::from(total.div_ceil(WORD_BITS))
                && (total..total.next_multiple_of(WORD_BITS)).all(|index| !bits.get(index))
        };
        let taken_if_occupied = (0..total).all(|i| raw.taken.get(i) || !raw.occupied.get(i));
        if !(fits(&raw.taken) && fits(&raw.occupied) && fits(&raw.faulty) && taken_if_occupied) {
            return Err(CompartmentsCorrupt);
        }
        Ok(Self {
            capacity: raw.capacity,
            taken: raw.taken,
            occupied: raw.occupied,
            faulty: raw.faulty,
        })
    }
}

impl Compartments {
    /// All free and in order.
    pub fn new(capacity: Capacity) -> Self {
        let total = capacity.total();
        Self {
            capacity,
            taken: Bits::none(total),
            occupied: Bits::none(total),
            faulty: Bits::none(total),
        }
    }

    /// What is installed.
    pub const fn capacity(&self) -> Capacity {
        self.capacity
    }

    /// The size of a compartment.
    ///
    /// # Errors
    /// [`CompartmentError::Unknown`] if there is no such compartment.
    pub fn size_of(&self, number: CompartmentNo) -> Result<SizeClass, CompartmentError> {
        SizeClass::ALL
            .into_iter()
            .find(|size| self.capacity.range(*size).contains(&number.index()))
            .ok_or(CompartmentError::Unknown {
                number,
                total: self.capacity.total(),
            })
    }

    /// The state of a compartment.
    ///
    /// # Errors
    /// [`CompartmentError::Unknown`] if there is no such compartment.
    pub fn state_of(&self, number: CompartmentNo) -> Result<CompartmentState, CompartmentError> {
        self.size_of(number)?;
        let index = number.index();
        Ok(if self.occupied.get(index) {
            CompartmentState::Occupied
        } else if self.taken.get(index) {
            CompartmentState::Reserved
        } else if self.faulty.get(index) {
            CompartmentState::Faulty
        } else {
            CompartmentState::Free
        })
    }

    /// How many compartments of `size` can be handed out.
    pub fn free(&self, size: SizeClass) -> u16 {
        let free = self.free_words(size).map(|(_, word)| word.count_ones());
        free.fold(0, |count, more| {
            count + u16::try_from(more).unwrap_or(WORD_BITS)
        })
    }

    /// The free compartments of `size`, a bit each: words with the index of their first bit.
    fn free_words(&self, size: SizeClass) -> impl Iterator<Item = (u16, u64)> {
        let range = self.capacity.range(size);
        let words = range.start / WORD_BITS..range.end.div_ceil(WORD_BITS);
        words.map(move |at| {
            let first = at * WORD_BITS;
            let below = range.start.saturating_sub(first);
            let above = (first + WORD_BITS).saturating_sub(range.end);
            // Both are below 64: the words are those that the range touches.
            let within = (u64::MAX << below) & (u64::MAX >> above);
            let used = self.taken.word(at) | self.faulty.word(at);
            (first, !used & within)
        })
    }

    /// Hands out a free compartment of `size` and no other, chosen by `draw` (64 random bits). A
    /// larger one is handed out only to who asks for that size.
    ///
    /// # Errors
    /// [`NoCompartment`], with what the courier can do instead; nothing has changed.
    pub fn reserve(
        &mut self,
        state: StationState,
        size: SizeClass,
        draw: u64,
    ) -> Result<CompartmentNo, NoCompartment> {
        let number = self.choose(state, size, draw)?;
        self.taken.set(number.index(), true);
        Ok(number)
    }

    /// The compartment that [`Self::reserve`] would hand out.
    ///
    /// # Errors
    /// The same.
    pub fn choose(
        &self,
        state: StationState,
        size: SizeClass,
        draw: u64,
    ) -> Result<CompartmentNo, NoCompartment> {
        if !state.takes_deposits() {
            return Err(NoCompartment::NotOperating { state });
        }
        // The bias of this choice is below one in 2^53: at most 2,000 compartments share 2^64 draws.
        let free = u128::from(self.free(size));
        let mut skip = u32::try_from((u128::from(draw) * free) >> 64).unwrap_or_default();
        for (first, mut word) in self.free_words(size) {
            let count = word.count_ones();
            if skip >= count {
                skip -= count;
                continue;
            }
            for _ in 0..skip {
                word &= word.wrapping_sub(1);
            }
            let index = u16::try_from(word.trailing_zeros()).map(|bit| first + bit);
            let number = index.ok().and_then(CompartmentNo::at);
            return number.ok_or_else(|| self.denial(size));
        }
        Err(self.denial(size))
    }

    /// Takes just this compartment, as an earlier [`Self::reserve`] did: for building the state anew
    /// from what was recorded.
    ///
    /// # Errors
    /// [`CompartmentError`] if there is no such compartment or it is not free.
    pub fn take(&mut self, number: CompartmentNo) -> Result<(), CompartmentError> {
        match self.state_of(number)? {
            CompartmentState::Free => {
                self.taken.set(number.index(), true);
                Ok(())
            }
            state @ (CompartmentState::Reserved
            | CompartmentState::Occupied
            | CompartmentState::Faulty) => Err(CompartmentError::State {
                number,
                state,
                wanted: "only a free one can be taken",
            }),
        }
    }

    fn denial(&self, size: SizeClass) -> NoCompartment {
        let larger: Vec<(SizeClass, u16)> = SizeClass::ALL
            .into_iter()
            .filter(|other| *other > size)
            .map(|other| (other, self.free(other)))
            .filter(|(_, free)| *free > 0)
            .collect();
        if self.capacity.of(size) == 0 {
            NoCompartment::NotInstalled { size, larger }
        } else if larger.is_empty() {
            NoCompartment::Full { size }
        } else {
            NoCompartment::SizeFull { size, larger }
        }
    }

    /// The door of a reserved compartment was closed on a parcel.
    ///
    /// # Errors
    /// [`CompartmentError`] if there is no such compartment or it is not reserved.
    pub fn occupy(&mut self, number: CompartmentNo) -> Result<(), CompartmentError> {
        match self.state_of(number)? {
            CompartmentState::Reserved => {
                self.occupied.set(number.index(), true);
                Ok(())
            }
            state @ (CompartmentState::Free
            | CompartmentState::Occupied
            | CompartmentState::Faulty) => Err(CompartmentError::State {
                number,
                state,
                wanted: "reserve it before it is occupied",
            }),
        }
    }

    /// A reserved or occupied compartment is empty again.
    ///
    /// # Errors
    /// [`CompartmentError`] if there is no such compartment or it was not in use.
    pub fn release(&mut self, number: CompartmentNo) -> Result<(), CompartmentError> {
        match self.state_of(number)? {
            CompartmentState::Reserved | CompartmentState::Occupied => {
                self.taken.set(number.index(), false);
                self.occupied.set(number.index(), false);
                Ok(())
            }
            state @ (CompartmentState::Free | CompartmentState::Faulty) => {
                Err(CompartmentError::State {
                    number,
                    state,
                    wanted: "only one in use can be released",
                })
            }
        }
    }

    /// Marks a compartment as out of order or repaired. A parcel in it stays where it is; once
    /// released, the compartment is not handed out until it is repaired.
    ///
    /// # Errors
    /// [`CompartmentError::Unknown`] if there is no such compartment.
    pub fn set_faulty(
        &mut self,
        number: CompartmentNo,
        faulty: bool,
    ) -> Result<(), CompartmentError> {
        self.size_of(number)?;
        self.faulty.set(number.index(), faulty);
        Ok(())
    }
}
