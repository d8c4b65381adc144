//! Whole nodes, from the outside.

#![expect(
    clippy::unwrap_used,
    reason = "tests fail by panicking, in their helpers too"
)]

mod demo;
