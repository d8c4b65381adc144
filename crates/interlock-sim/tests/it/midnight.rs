//! What the end of terms does, and what was said of it before.

mod ladder;
mod rehearsal;
mod sweep;
mod warnings;
