//! What the end of terms does, and what was said of it before.

mod backlog;
mod ladder;
mod rehearsal;
mod run_off;
mod second_operator;
mod sweep;
mod warnings;
