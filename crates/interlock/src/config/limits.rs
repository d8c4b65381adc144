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
    body_bytes_max = 4_194_304 in 65_536..=67_108_864,
        "Largest body of a request, in bytes.";
    parcels_per_request_max = 1_000 in 1..=1_000,
        "Most parcels in one PUT /parcels.";
    events_per_request_max = 500 in 1..=500,
        "Most events in one POST /events.";
    lookups_per_request_max = 500 in 1..=500,
        "Most parcels in one lookup of a partner.";
    feed_events_per_batch_max = 500 in 1..=5_000,
        "Most events in one answer of a feed.";
    group_records_max = 5_000 in 1..=5_000,
        "Most records that are made durable with one sync.";
    queued_requests_max = 10_000 in 100..=100_000,
        "Most requests that wait for the writer; more are answered with 503.";
    requests_per_second_per_caller_max = 500 in 1..=100_000,
        "Most requests a second of one caller; more are answered with 429.";
    long_poll_ms_max = 30_000 in 0..=60_000,
        "Longest wait of a feed for new events, in milliseconds.";
    partner_answer_ms_max = 2_000 in 100..=30_000,
        "How long a deposit waits for a partner's answer before its message is queued, in milliseconds.";
    closing_ms = 1_000 in 0..=60_000,
        "Last part of a term in which requests are denied as closing, in milliseconds.";
    clock_leeway_ms = 2_000 in 0..=5_000,
        "How far a partner's clock may differ from ours, in milliseconds. It lengthens no term.";
    retry_ms_max = 60_000 in 1_000..=3_600_000,
        "Longest pause between two tries to reach a partner or gateway, in milliseconds.";
}
