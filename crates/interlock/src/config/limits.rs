//! Named limits, with their defaults and the range in which they may be set.

use super::reader::Reader;
use super::schema::Key;

macro_rules! limits {
    ($($name:ident = $default:literal in $min:literal ..= $max:literal, $comment:literal;)*) => {
        /// Limits of queues, bodies and times.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub struct Limits {
            $(#[doc = $comment] pub $name: u32,)*
        }

        impl Default for Limits {
            fn default() -> Self {
                Self { $($name: $default,)* }
            }
        }

        /// The keys of `[limits]`.
        pub(super) const KEYS: &[Key] = &[
            $(Key { name: stringify!($name), comment: $comment, example: stringify!($default) },)*
        ];

        impl Limits {
            pub(super) fn read(reader: &Reader<'_>) -> Self {
                Self { $($name: reader.number(stringify!($name), $min..=$max, $default),)* }
            }
        }
    };
}

limits! {
    poll_wait_ms = 30_000 in 1_000..=86_400_000,
        "How long we wait at a partner for new events, in milliseconds.";
    partner_answer_ms_max = 2_000 in 100..=30_000,
        "How long a deposit waits for a partner's answer before its message is queued, in milliseconds.";
    closing_ms = 1_000 in 0..=60_000,
        "Last part of a term in which requests are denied as closing, in milliseconds.";
    transfer_token_minutes = 15 in 1..=1_440,
        "How long a token counts with which a connector fetches a feed, in minutes.";
    unreceipted_items_per_day = 1_000_000 in 1..=1_000_000_000,
        "Most items of a dataset that leave for one connector on a day: it gives no receipts.";
    approvals_min = 1 in 1..=2,
        "How many people must approve the same terms before we agree or propose: 2 for four eyes.";
    proposal_days = 14 in 1..=365,
        "How long a negotiation waits for somebody's answer before it ends by itself, in days.";
    recipient_kept_days = 60 in 1..=1_095,
        "How long a recipient's data is kept from when it was taken in, in days. Then its key is destroyed.";
    contact_kept_days = 30 in 1..=365,
        "How long a contact that a partner or courier gave us is kept, in days. A term may say less.";
    courier_kept_days = 30 in 1..=365,
        "How long it is kept which courier deposited a parcel, in days.";
    anchor_minutes = 60 in 1..=1_440,
        "How often the heads of our logs go to the anchor log, which witnesses cosign, in minutes.";
    clock_leeway_ms = 2_000 in 0..=5_000,
        "How far a partner's clock may differ from ours, in milliseconds. It lengthens no term.";
    clock_limit_ms = 5_000 in 1_000..=60_000,
        "How far our clock may jump, or differ from what partners sign, before nothing is released, in milliseconds.";
}
