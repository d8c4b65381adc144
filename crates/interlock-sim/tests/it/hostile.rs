//! A partner whose node does as it likes: each attack has an answer, changes nothing that it should not,
//! and leaves the other partners as they were.

mod evidence;
mod feeds;
mod lookups;
