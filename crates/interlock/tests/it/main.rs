//! Whole nodes, from the outside.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "tests fail by panicking, in their helpers too"
)]

mod demo;
