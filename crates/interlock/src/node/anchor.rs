//! The anchor log: what a witness sees of us, and what we see as a witness.
//!
//! Purpose: at a fixed cadence, one entry over the heads of our logs, whether they grew or not; and, if
//! we are a regulator, a cosignature for every partner whose anchor log continues what we saw of it.
//! Invariants: an entry hides sizes and partners; nothing is cosigned that does not continue what was
//! cosigned before. It does not know what is in a log.

use interlock_core::ids::ParticipantId;
use interlock_core::time::{MINUTE_MS, Timestamp};
use interlock_journal::anchor::{anchor_epoch, anchor_origin, cosign, cosignature};
use interlock_journal::bilateral::{SKEW_MS_MAX, items_root};
use interlock_journal::checkpoint::{Checkpoint, NOTE_SIGNATURES_MAX};
use interlock_journal::merkle::{self, Frontier, leaf_hash};

use super::Node;
use super::io::{CallFailure, Effect, PeerAnswer, PeerRequest, Problem};
use super::live::{Purpose, Timer};
use super::problem::field;
use super::record::{AlertKind, Anchored, AnchoredHead, Record};
use super::state::anchor::WitnessedLog;
use super::turn::Turn;
use crate::exchange::wire::{Blob, ENVELOPE_LEAVES_MAX, Envelope, Evidence, LogSide, Notice};
use crate::identity::partner::Role as ParticipantRole;

/// How long after everybody has anchored a witness looks, at most, in milliseconds.
const WITNESS_DELAY_MS: i64 = 5 * MINUTE_MS;
/// Entries of one epoch, at most: as many as fit one page, so that a new witness can check them all.
const ENTRIES_MAX: u64 = 4_096;
/// Cosignatures of one note, at most; the writer's own signature stands beside them.
const WITNESSES_MAX: usize = NOTE_SIGNATURES_MAX - 1;
/// Bytes of an entry.
const ENTRY_SIZE_BYTES: usize = 32;
/// How long an answer is waited for, in milliseconds.
const ANSWER_TIMEOUT_MS: u32 = 10_000;

/// The first instant after `at` that is `delay_ms` after a multiple of `every_ms`.
fn next(at: Timestamp, every_ms: i64, delay_ms: i64) -> Timestamp {
    let past = (at.as_millis() - delay_ms).rem_euclid(every_ms);
    at.plus_ms(every_ms - past)
}

impl Node {
    /// Sets the next times to anchor and to witness.
    pub(super) fn resume_anchors(&mut self, turn: &Turn<'_>) {
        let Some(every_ms) = self.config.anchor_every_ms else {
            return;
        };
        self.live.timer(next(turn.at(), every_ms, 0), Timer::Anchor);
        if self.config.roles.contains(&ParticipantRole::Regulator) {
            let delay_ms = WITNESS_DELAY_MS.min(every_ms / 2);
            let at = next(turn.at(), every_ms, delay_ms);
            self.live.timer(at, Timer::Witness);
        }
    }

    /// Writes the entry that is due.
    pub(super) fn anchor_due(&mut self, turn: &mut Turn<'_>) {
        let Some(every_ms) = self.config.anchor_every_ms else {
            return;
        };
        if !self.live.comparing_first.is_empty() {
            // Somebody may yet show that we have lost the end of our logs.
            let soon = turn.at().plus_ms(MINUTE_MS.min(every_ms));
            return self.live.timer(soon, Timer::Anchor);
        }
        self.live.timer(next(turn.at(), every_ms, 0), Timer::Anchor);
        let me = self.state.me.clone();
        let logs = self.state.channels.iter().map(|(reader, channel)| {
            let out = &channel.out;
            (reader.clone(), out.epoch(), out.size(), out.root())
        });
        let logs: Vec<_> = logs.filter(|(_, _, size, _)| *size > 0).collect();
        let heads = logs
            .into_iter()
            .map(|(reader, epoch, size, root)| AnchoredHead {
                reader,
                epoch,
                size,
                root,
                salt: turn.random_id(),
            });
        let heads = heads.collect();
        let log = &self.state.anchor;
        let full = log.tree.size() >= ENTRIES_MAX;
        let (epoch, mut tree) = match full {
            true => (log.epoch.saturating_add(1), Frontier::new()),
            false => (log.epoch, log.tree.clone()),
        };
        let mut anchored = Anchored {
            epoch,
            heads,
            filling: turn.random_id(),
            note: String::new(),
        };
        tree.append(leaf_hash(&items_root(&anchored.commitments(&me))));
        let checkpoint = Checkpoint {
            origin: anchor_origin(&me, anchored.epoch),
            size: tree.size(),
            root: tree.root(),
            time: turn.at(),
        };
        let Ok(note) = checkpoint.sign(&self.key, me.as_str()) else {
            return;
        };
        anchored.note = note;
        self.record(turn, Record::Anchored(Box::new(anchored)));
    }

    /// `GET evidence/entries?log=anchor`: the entries and our note; who else cosigned it is nobody's matter.
    pub(super) fn anchor_page(&self, epoch: Option<u32>, from: u64) -> Option<Evidence> {
        let anchor = &self.state.anchor;
        let first = usize::try_from(from).ok()?;
        let rest = anchor.entries.get(first..)?;
        let entries = rest.iter().take(ENVELOPE_LEAVES_MAX);
        (epoch.is_none_or(|epoch| epoch == anchor.epoch)).then_some(Evidence {
            from,
            leaves: entries.map(|entry| Blob(entry.to_vec())).collect(),
            checkpoint: anchor.note.clone()?,
        })
    }

    /// What a partner has cosigned of our anchor log that is not in it: the end of our journal was lost.
    pub(super) fn anchor_lost(&self, note: &str) -> Option<String> {
        let me = &self.state.me;
        let mut read = self
            .own_keys()
            .into_iter()
            .filter_map(|key| Checkpoint::parse_and_verify(note, me.as_str(), &key).ok());
        let checkpoint = read.next()?;
        let epoch = anchor_epoch(&checkpoint.origin, me)?;
        let ours = &self.state.anchor;
        let entries = usize::try_from(checkpoint.size)
            .ok()
            .and_then(|size| ours.entries.get(..size))
            .map(|entries| {
                entries
                    .iter()
                    .map(|entry| leaf_hash(entry))
                    .collect::<Vec<_>>()
            });
        let held = entries.is_some_and(|entries| merkle::root(&entries) == checkpoint.root);
        let lost = epoch > ours.epoch || (epoch == ours.epoch && !held);
        lost.then(|| {
            format!(
                "it has cosigned {} entries of epoch {epoch} of our anchor log that are not in it",
                checkpoint.size
            )
        })
    }

    /// A partner's cosignature of our newest anchor.
    pub(super) fn cosigned(
        &mut self,
        turn: &mut Turn<'_>,
        from: &ParticipantId,
        line: &str,
    ) -> Result<PeerAnswer, Problem> {
        let refused = || {
            field(
                "cosignature-refused",
                422,
                "the cosignature is not taken",
                "/body/cosignature/line",
                "send one line of C2SP cosignature/v1 over our newest anchor, under your DID and pinned key, \
                 with the time of now",
            )
        };
        let one_line = line.ends_with('\n') && line.matches('\n').count() == 1;
        let partner = self.state.partners.get(from);
        let key = partner.map(|partner| *partner.key.verifying_key());
        let anchor = &self.state.anchor;
        let (Some(note), Some(key), true) = (&anchor.note, key, one_line) else {
            return Err(refused());
        };
        let already = anchor.cosigned.get(from).is_some_and(|line| {
            cosignature(&format!("{note}{line}"), from.as_str(), &key).is_some()
        });
        if already {
            return Ok(PeerAnswer::Evidence(Evidence::none()));
        }
        let found = cosignature(&format!("{note}{line}"), from.as_str(), &key);
        let found = found.ok_or_else(refused)?;
        let skew_ms = found.at.since_ms(turn.at());
        let full = anchor.cosigned.len() >= WITNESSES_MAX && !anchor.cosigned.contains_key(from);
        if full || skew_ms.unsigned_abs() > SKEW_MS_MAX.unsigned_abs() {
            return Err(refused());
        }
        let by = from.clone();
        let line = line.into();
        self.record(turn, Record::Cosigned { by, line });
        Ok(PeerAnswer::Evidence(Evidence::none()))
    }

    /// As a witness: looks at everybody's anchor log.
    pub(super) fn witness_due(&mut self, turn: &mut Turn<'_>) {
        let Some(every_ms) = self.config.anchor_every_ms else {
            return;
        };
        let delay_ms = WITNESS_DELAY_MS.min(every_ms / 2);
        let at = next(turn.at(), every_ms, delay_ms);
        self.live.timer(at, Timer::Witness);
        let partners = self.state.partners.values().filter(|it| !it.connector);
        let partners: Vec<ParticipantId> = partners.map(|it| it.id.clone()).collect();
        for partner in partners {
            let from = self.state.witnessed.get(&partner);
            let from = from.map_or(0, |seen| seen.tree.size());
            self.ask_anchor(turn, &partner, from, false);
        }
    }

    /// `again`: what came was of another epoch, and this asks for all of it.
    fn ask_anchor(&mut self, turn: &mut Turn<'_>, partner: &ParticipantId, from: u64, again: bool) {
        let request = PeerRequest::Entries {
            log: LogSide::Anchor,
            epoch: None,
            from,
        };
        self.call_as_witness(turn, partner, request, again);
    }

    fn call_as_witness(
        &mut self,
        turn: &mut Turn<'_>,
        partner: &ParticipantId,
        request: PeerRequest,
        again: bool,
    ) {
        let call = self.live.call(Purpose::Witness(partner.clone(), again));
        turn.push(Effect::Call {
            call,
            to: partner.clone(),
            request,
            timeout_ms: ANSWER_TIMEOUT_MS,
        });
    }

    /// A checkpoint of a partner's anchor log, and its epoch.
    fn read_anchor(&self, partner: &ParticipantId, note: &str) -> Option<(Checkpoint, u32)> {
        let key = self.state.partners.get(partner)?.key;
        let name = partner.as_str();
        let read = Checkpoint::parse_and_verify(note, name, key.verifying_key()).ok()?;
        let epoch = anchor_epoch(&read.origin, partner)?;
        Some((read, epoch))
    }

    /// A page of a partner's anchor log, or the answer to our cosignature.
    pub(super) fn anchor_seen(
        &mut self,
        turn: &mut Turn<'_>,
        partner: &ParticipantId,
        again: bool,
        outcome: Result<PeerAnswer, CallFailure>,
    ) {
        let page = match outcome {
            Ok(PeerAnswer::Evidence(page)) if !page.checkpoint.is_empty() => page,
            // It has fewer entries than we know of: it may have begun another epoch.
            Ok(PeerAnswer::Problem(gone)) if gone.status == 410 && !again => {
                return self.ask_anchor(turn, partner, 0, true);
            }
            // Who does not answer is asked again when all are.
            Ok(_) | Err(_) => return,
        };
        let Some((checkpoint, epoch)) = self.read_anchor(partner, &page.checkpoint) else {
            return tracing::warn!(%partner, "its anchor is not signed with its pinned key");
        };
        let before = self.state.witnessed.get(partner);
        let seen = before.filter(|seen| seen.epoch == epoch);
        let known = seen.map_or(0, |seen| seen.tree.size());
        let back = before.is_some_and(|before| before.epoch > epoch);
        if !back && page.from != known && page.from > 0 {
            if !again {
                self.ask_anchor(turn, partner, 0, true);
            }
            return;
        }
        // An epoch that was left does not go on: else two could grow under its name.
        if back || !continues(seen, &page, &checkpoint) {
            let detail = format!(
                "its anchor log does not continue what we have cosigned of it; keep both notes\n{}\n{}",
                before.map_or("", |before| &before.note),
                page.checkpoint
            );
            return self.alert(
                turn,
                AlertKind::EvidenceMismatch,
                None,
                Some(partner),
                detail,
            );
        }
        // A date by a clock that is in doubt is none.
        if checkpoint.size == known || self.clock_in_doubt() {
            return;
        }
        let known = usize::try_from(known - page.from).unwrap_or(usize::MAX);
        let entries = page.leaves.into_iter().skip(known).collect();
        let me = self.state.me.clone();
        let Some(line) = cosign(&page.checkpoint, me.as_str(), &self.key, turn.at()) else {
            return;
        };
        let witnessed = Record::Witnessed {
            of: partner.clone(),
            epoch,
            entries,
            note: page.checkpoint,
        };
        self.record(turn, witnessed);
        let envelope = Envelope {
            evidence: Evidence::none(),
            body: Notice::Cosignature { line },
        };
        self.call_as_witness(turn, partner, PeerRequest::Notice(envelope), true);
    }
}

/// Whether a page and its checkpoint go on from what was seen, or hold it and go on.
fn continues(seen: Option<&WitnessedLog>, page: &Evidence, checkpoint: &Checkpoint) -> bool {
    let follows = seen.filter(|seen| seen.tree.size() == page.from);
    let mut tree = follows.map_or_else(Frontier::new, |seen| seen.tree.clone());
    let mut met = seen.is_none_or(|seen| seen.tree == tree);
    for entry in &page.leaves {
        if entry.0.len() != ENTRY_SIZE_BYTES {
            return false;
        }
        tree.append(leaf_hash(&entry.0));
        met |= seen.is_some_and(|seen| seen.tree == tree);
    }
    met && (tree.size(), tree.root()) == (checkpoint.size, checkpoint.root)
}
