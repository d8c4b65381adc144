//! What a partner's batch must be before anything of it is used.

use interlock_core::dataset::Dataset;
use interlock_core::event::{Place, Step};
use interlock_core::ids::DepositId;
use interlock_core::pickup_code::PickupCode;

use super::Refusal;
use crate::exchange::wire::{BATCH_EVENTS_MAX, CodeTold, FeedBatch, FeedItem, StationView};
use crate::node::live::PullKey;

/// Longest text of a partner that is kept, in bytes.
const TEXT_LENGTH_MAX: usize = 128;

/// Longest name of a state or a level, in bytes.
const WORD_LENGTH_MAX: usize = 32;

/// Most digits of a sealed code that is kept: more than code and compartment make.
const SEALED_DIGITS_MAX: usize = 512;

/// Whether a step's own code is short enough to keep.
pub(super) fn is_short(step: &Step) -> bool {
    step.as_str().len() <= TEXT_LENGTH_MAX
}

/// Whether a place's words are short enough to keep.
pub(super) fn place_usable(place: &Place) -> bool {
    match place {
        Place::Station(_) => true,
        Place::Named(name) => name.len() <= TEXT_LENGTH_MAX,
    }
}

/// Whether a station's words are short enough to keep. A batch of them is one record of the journal.
pub(super) fn station_usable(view: &StationView) -> bool {
    let mut words = view.availability.iter().flatten().chain(&view.state);
    let mut names = view.name.iter();
    names.all(|name| name.len() <= TEXT_LENGTH_MAX)
        && words.all(|word| word.len() <= WORD_LENGTH_MAX)
}

/// Whether what is told of a code can be one, and is short enough to keep.
pub(super) fn code_usable(told: &CodeTold) -> bool {
    match told {
        CodeTold::Open { code, .. } => PickupCode::parse(code).is_ok(),
        CodeTold::Sealed { deposit, sealed } => {
            let digits = sealed.bytes().all(|byte| byte.is_ascii_hexdigit());
            DepositId::parse(deposit).is_ok() && sealed.len() <= SEALED_DIGITS_MAX && digits
        }
    }
}

/// Whether a batch is the one that follows our cursor, whole and of the feed's kind.
pub(super) fn check_positions(
    key: &PullKey,
    batch: &FeedBatch,
    cursor: u64,
) -> Result<(), Refusal> {
    let expected = cursor..=cursor.saturating_add(batch.events.len() as u64);
    let gapless = batch
        .events
        .iter()
        .zip(cursor + 1..)
        .all(|(event, position)| event.position == position);
    let fits =
        batch.dataset == key.dataset && batch.lane == key.lane && batch.next == *expected.end();
    let bounded = batch.events.len() <= BATCH_EVENTS_MAX as usize;
    let same_kind = batch
        .events
        .iter()
        .all(|event| kind_fits(key.dataset, &event.item));
    if gapless && fits && bounded && same_kind {
        return Ok(());
    }
    Err(Refusal(format!(
        "a batch of {} does not follow position {cursor}; nothing was taken in",
        key.dataset
    )))
}

const fn kind_fits(dataset: Dataset, item: &FeedItem) -> bool {
    match item {
        FeedItem::PreAdvice(_) => matches!(dataset, Dataset::PreAdvice),
        FeedItem::Parcel(_) => matches!(dataset, Dataset::LockerEvents | Dataset::TrackingEvents),
        FeedItem::Station(_) => matches!(dataset, Dataset::LockerStations),
        FeedItem::Code(_) => matches!(dataset, Dataset::PickupCode),
        FeedItem::Cooperation(_) => matches!(dataset, Dataset::CooperationStatus),
    }
}
