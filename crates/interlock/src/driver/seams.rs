//! What the driver is built from: a deterministic machine, a store below it, and the outside world.
//!
//! INVARIANT: the loop that joins them ([`writer`](super::writer)) is the only one that calls a
//! machine or a store. These traits know no sockets and no files.

use std::collections::BTreeMap;
use std::io;

use interlock_core::ids::ParticipantId;
use interlock_core::time::{ClockInterval, Timestamp};
use interlock_journal::keyslots::SlotKey;
use interlock_journal::rows::Rows;

use crate::identity::keys::NodeKey;
use crate::identity::partner::Partner;
use crate::node::Rng;
use crate::node::io::{
    CallId, Digest, Effect, Input, LeavesWanted, Message, PeerRequest, Push, Role, SystemNotice,
};
use crate::node::record::Record;
use crate::node::state::Frozen;

/// The partners of a node, by id.
pub type Partners = BTreeMap<ParticipantId, Partner>;

/// The API keys of a node by their digest, each with its name and role.
pub type ApiKeys = BTreeMap<Digest, (String, Role)>;

/// The node as the driver sees it, with everything replayed.
pub trait Machine: Send + 'static {
    /// Takes up what was under way.
    fn start(&mut self, now: ClockInterval, rng: &mut dyn Rng) -> Vec<Effect>;

    /// Takes one input.
    fn step(&mut self, input: Input, now: ClockInterval, rng: &mut dyn Rng) -> Vec<Effect>;

    /// By how many milliseconds the clock has jumped without being followed, if it has: said before
    /// each step.
    fn clock_jumped(&mut self, by_ms: Option<i64>) {
        let _ = by_ms;
    }

    /// Whether the jump was right, by what others sign: asked after each step.
    fn confirms_jump(&self) -> bool {
        false
    }

    /// When it wants an [`Input::Tick`] next.
    fn next_wake(&self) -> Option<Timestamp>;

    /// How many requests (partners' and our own systems') it holds unanswered because they wait for
    /// something to arise.
    fn parked_polls(&self) -> usize;

    /// What a snapshot of this moment writes; `None` if it keeps none.
    ///
    /// # Errors
    /// Something cannot be encoded: a defect.
    fn freeze(&mut self) -> io::Result<Option<Frozen>> {
        Ok(None)
    }

    /// Rows in place of those before; `frozen`: with all that the last [`Self::freeze`] gave.
    fn install(&mut self, _rows: Rows, _frozen: bool) {}

    /// Why something that it holds could not be read, once it could not: nothing that it decided since
    /// may be seen.
    fn failure(&self) -> Option<String> {
        None
    }

    /// Its partners: who may talk to us, at which address, with which key. Read after each group.
    fn partners(&self) -> &Partners;

    /// Its API keys: whose body the door of the local API reads. Read after each group.
    fn api_keys(&self) -> &ApiKeys;
}

/// A record and the time that its header carries.
pub type TimedRecord = (Timestamp, Box<Record>);

/// Where records and content keys become durable.
pub trait Store: Send + 'static {
    /// Makes content keys durable.
    ///
    /// # Errors
    /// They may not be durable; nothing that depends on them may be appended.
    fn put_keys(&mut self, keys: &[SlotKey]) -> io::Result<()>;

    /// Appends the records of some steps, in order, and makes them durable: each step whole or not at
    /// all, and none without those before it.
    ///
    /// # Errors
    /// How many of the steps are durable is unknown; the process must stop.
    fn append(&mut self, steps: &[Vec<TimedRecord>]) -> io::Result<()>;

    /// Makes a new signing key durable beside the one in use.
    ///
    /// # Errors
    /// It may not be durable; no record may name it.
    fn keep_signing_key(&mut self, key: &NodeKey) -> io::Result<()>;

    /// The record that names that key is durable: it is the key in use. A failure is no matter, a start
    /// finds out which one counts.
    fn take_signing_key(&mut self);

    /// Destroys content keys: single ones, by the hour in which they would end and their slot, and all
    /// that end in an hour.
    ///
    /// # Errors
    /// They may still be there.
    fn destroy_keys(&mut self, slots: &[(u32, u32)], hours: &[u32]) -> io::Result<()>;

    /// Bytes that the journal holds.
    fn journal_bytes(&self) -> u64;

    /// Whether so much came since the last snapshot that another one is due.
    fn wants_snapshot(&self) -> bool {
        false
    }

    /// Whether a snapshot can be begun, and would be another than the last one.
    fn can_snapshot(&self) -> bool {
        false
    }

    /// Begins to write a snapshot of all that was appended.
    ///
    /// # Errors
    /// It cannot be written.
    fn snapshot(&mut self, _frozen: Frozen) -> io::Result<()> {
        Ok(())
    }

    /// Rows to be read from now on, if there are new ones, and whether all that was frozen is in them.
    ///
    /// # Errors
    /// A snapshot could not be written, or a content key not be read.
    fn news(&mut self) -> io::Result<Option<(Rows, bool)>> {
        Ok(None)
    }

    /// Throws the last snapshot away, so that the next start makes everything anew.
    ///
    /// # Errors
    /// It may still be there.
    fn distrust(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Carries out what leaves the process, or takes time. All return at once.
pub trait Outside: Send + Sync + 'static {
    /// Calls a partner; [`Input::Answered`] comes back.
    fn call(&self, call: CallId, to: ParticipantId, request: PeerRequest, timeout_ms: u32);

    /// Sends a page to a connector; [`Input::Answered`] comes back.
    fn push(&self, push: Push);

    /// Reads leaves from the journal; [`Input::LeavesRead`] comes back.
    fn read_leaves(&self, wanted: Box<LeavesWanted>);

    /// Signs calls with another key from here on, and publishes it.
    fn sign_with(&self, key: NodeKey);

    /// Hands a message to the gateway; [`Input::Delivered`] comes back.
    fn deliver(&self, message: Message);

    /// Tells our own systems something; [`Input::Delivered`] comes back.
    fn notify(&self, notice: SystemNotice);
}
