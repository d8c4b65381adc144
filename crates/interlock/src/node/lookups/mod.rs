//! Lookups of recipients' contacts, at both sides.
//!
//! Purpose: asking an owner for the contacts of parcels that lie at our stations, and answering such
//! questions. Invariants: at most one lookup to an owner is under way, so that what queues meanwhile
//! is the next one; a request keeps its id until it is answered, and a repeat gets the same answer and
//! debits nothing; the form that leaves is the most restrictive that serves. The evidence in a request
//! is the asker's word, put on record at both sides: invented deposits are detected, not prevented.

mod answer;
mod ask;
