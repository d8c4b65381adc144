//! Deletion: what is due, what is of no more use, and what a recipient wants deleted.
//!
//! Purpose: personal data goes in the term's time at the consumer and in our own time at the provider,
//! and who was given it is told when it is to go earlier. Invariants: that something is deleted is on
//! record before its key is destroyed, and a process that dies between the two destroys the key when it
//! starts; what a partner granted us is attested to by a leaf in our log toward it, which says how many
//! and up to when and names nobody. It does not know where keys are stored.

use interlock_core::ids::{DepositId, ParcelId, ParticipantId, WireId};
use interlock_core::time::Timestamp;
use interlock_core::waybill::Waybill;
use interlock_journal::bilateral::{Deletion, Leaf, LeafBody};
use serde_json::json;

use super::Node;
use super::io::{CallFailure, Effect, LocalAnswer, PeerAnswer, PeerRequest, Problem};
use super::live::{Purpose, Timer, backoff_ms};
use super::problem::{self, field};
use super::record::{AlertKind, Asker, ContentRef, Erased, ErasureReason, Record};
use super::state::vault::Granted;
use super::turn::Turn;
use crate::exchange::wire::{ENVELOPE_LEAVES_MAX, Envelope, Notice};

/// How long a partner may take for a notice, in milliseconds.
const NOTICE_TIMEOUT_MS: u32 = 10_000;

impl Node {
    /// Destroys the keys of hours that have begun, before anything else of the step is looked at.
    pub(super) fn end_hours(&mut self, turn: &mut Turn<'_>) {
        while let Some((hour, at)) = self.state.vault.next_end() {
            if at > turn.at() {
                break;
            }
            self.record(turn, Record::HourEnded { hour });
            turn.push(Effect::DestroyHour { hour });
        }
        self.attest(turn);
    }

    /// When keys end next.
    pub(super) fn next_end(&self) -> Option<Timestamp> {
        self.state.vault.next_end().map(|(_, at)| at)
    }

    /// Until when something may be kept that a partner gave us: as long as we keep such things, and no
    /// longer than its terms say.
    pub(super) fn keep_until(
        &self,
        turn: &Turn<'_>,
        own_ms: i64,
        agreement: Option<&WireId>,
    ) -> Timestamp {
        let known = agreement.and_then(|id| self.state.book.agreements.get(id));
        let agreed = known.and_then(|agreement| agreement.terms.delete_after_ms);
        turn.at()
            .plus_ms(agreed.map_or(own_ms, |ms| ms.min(own_ms)))
    }

    /// Deletes what is held of `what`. Returns how many that was.
    pub(super) fn erase(
        &mut self,
        turn: &mut Turn<'_>,
        what: Vec<ContentRef>,
        why: ErasureReason,
    ) -> usize {
        let state = &self.state;
        let (what, slots): (Vec<_>, Vec<_>) = what
            .into_iter()
            .filter_map(|it| state.slot_of(&it).map(|slot| (it, slot)))
            .unzip();
        let told = match &why {
            ErasureReason::Asked { by, parcel } => {
                let known = state.parcels.get(*parcel);
                let mut holders = known.iter().flat_map(|parcel| &parcel.uses);
                matches!(by, Asker::Recipient) && holders.all(|it| it.passed_on)
            }
            ErasureReason::Over | ErasureReason::Told { .. } => true,
        };
        if what.is_empty() && told {
            return 0;
        }
        let erased = what.len();
        self.record(turn, Record::Erased(Box::new(Erased { what, why })));
        for (hour, slot) in slots {
            turn.push(Effect::DestroyKey { hour, slot });
        }
        self.attest(turn);
        erased
    }

    /// Says in our logs what was deleted of that which partners granted us.
    fn attest(&mut self, turn: &mut Turn<'_>) {
        if self.state.vault.owed().is_empty() {
            return;
        }
        let me = &self.state.me;
        let book = &self.state.book.agreements;
        let owed = self.state.vault.owed().iter();
        let owed: Vec<(ParticipantId, WireId, Granted)> = owed
            .filter_map(|(id, granted)| {
                let provider = book.get(id)?.other(me).clone();
                Some((provider, id.clone(), *granted))
            })
            .filter(|(provider, _, _)| self.is_compared(provider))
            .collect();
        for (to, agreement, granted) in owed {
            let deletion = Deletion {
                agreement,
                up_to: granted.up_to,
                items: granted.items,
            };
            let leaf = self.deletion_leaf(turn, deletion.clone());
            let leaf = Record::Leaf {
                to: to.clone(),
                leaf,
            };
            self.record(turn, leaf);
            let untold = self.live.attesting.entry(to.clone()).or_default();
            untold.push(deletion);
            self.send_attestation(turn, &to);
        }
    }

    /// Tells a partner of the first attestation that it does not know, with the leaves that say it.
    pub(super) fn send_attestation(&mut self, turn: &mut Turn<'_>, to: &ParticipantId) {
        let untold = self.live.attesting.get(to).and_then(|all| all.first());
        let Some(deletion) = untold.cloned() else {
            return;
        };
        if self.live.told_now.contains(to) || !self.is_compared(to) || self.state.is_connector(to) {
            return;
        }
        let notice = Notice::Deletion {
            agreement: deletion.agreement,
            up_to: deletion.up_to,
            contacts: deletion.items.into(),
        };
        self.live.told_now.insert(to.clone());
        let purpose = Purpose::Attestation(to.clone());
        self.send_notice_of(turn, to.clone(), notice, purpose);
    }

    fn send_notice_of(
        &mut self,
        turn: &mut Turn<'_>,
        to: ParticipantId,
        notice: Notice,
        purpose: Purpose,
    ) {
        let envelope = self.envelope(turn, &to, notice);
        let call = self.live.call(purpose);
        turn.push(Effect::Call {
            call,
            to,
            request: PeerRequest::Notice(envelope),
            timeout_ms: NOTICE_TIMEOUT_MS,
        });
    }

    /// The answer to an attestation: said once it was heard, or refused for good.
    pub(super) fn attestation_answered(
        &mut self,
        turn: &mut Turn<'_>,
        to: &ParticipantId,
        outcome: Result<PeerAnswer, CallFailure>,
    ) {
        self.live.told_now.remove(to);
        let timer = Timer::Attestation(to.clone());
        match self.heard(turn, to, outcome) {
            Heard::Not => return self.tell_again(turn, timer),
            Heard::Yes => {}
            Heard::Refused(reason) => {
                tracing::warn!(partner = %to, reason, "a partner does not take our attestation of deletion; it is in our log");
            }
        }
        self.live.tries.remove(&timer);
        if let Some(untold) = self.live.attesting.get_mut(to) {
            untold.remove(0);
            if untold.is_empty() {
                self.live.attesting.remove(to);
            }
        }
        self.send_attestation(turn, to);
    }

    fn heard(
        &mut self,
        turn: &mut Turn<'_>,
        from: &ParticipantId,
        outcome: Result<PeerAnswer, CallFailure>,
    ) -> Heard {
        match outcome {
            Ok(PeerAnswer::Evidence(evidence)) => {
                if let Err(problem) = self.take_evidence(turn, from, &evidence) {
                    tracing::debug!(partner = %from, kind = %problem.kind, "the answer to a notice was refused");
                }
                Heard::Yes
            }
            Ok(PeerAnswer::Problem(problem)) if matches!(problem.status, 404 | 422) => {
                Heard::Refused(problem.kind)
            }
            Ok(
                PeerAnswer::Dsp { .. }
                | PeerAnswer::Feed(_)
                | PeerAnswer::Lookup(_)
                | PeerAnswer::Mirror(_)
                | PeerAnswer::Cooperation(_)
                | PeerAnswer::Mediation(_)
                | PeerAnswer::Problem(_),
            )
            | Err(_) => Heard::Not,
        }
    }

    fn tell_again(&mut self, turn: &mut Turn<'_>, timer: Timer) {
        let tries = self.live.tries.entry(timer.clone()).or_default();
        *tries = tries.saturating_add(1);
        let at = turn.at().plus_ms(backoff_ms(*tries, turn.random64()));
        self.live.timer(at, timer);
    }

    /// `DELETE /parcels/{carrier}/{number}/recipient`.
    pub(super) fn erase_recipient(
        &mut self,
        turn: &mut Turn<'_>,
        waybill: &Waybill,
        by: &str,
    ) -> Result<LocalAnswer, Problem> {
        let parcel = self.state.parcels.find(waybill);
        let id = parcel.ok_or_else(|| problem::not_found("parcel"))?.id;
        let (erased, told) = self.recipient_asks(turn, id, Asker::Person(by.into()));
        let told: Vec<&str> = told.iter().map(ParticipantId::as_str).collect();
        Ok(LocalAnswer::Json {
            status: 200,
            body: json!({ "erased": erased, "told": told }),
        })
    }

    /// Deletes what is held of a parcel's recipient, and has those delete it who were given it. The
    /// code of a parcel that still lies in a compartment of ours stays: without it nobody gets it out.
    pub(super) fn recipient_asks(
        &mut self,
        turn: &mut Turn<'_>,
        parcel: ParcelId,
        by: Asker,
    ) -> (usize, Vec<ParticipantId>) {
        let mut what = vec![ContentRef::Recipient(parcel), ContentRef::CodeSeen(parcel)];
        what.extend(self.state.deposits.of(parcel).map(ContentRef::Contact));
        let why = ErasureReason::Asked { parcel, by };
        let erased = self.erase(turn, what, why);
        let open = self.state.erasures.keys();
        let told: Vec<ParticipantId> = open
            .filter(|(_, of)| *of == parcel)
            .map(|(to, _)| to.clone())
            .collect();
        for to in &told {
            self.send_erasure(turn, to, parcel);
        }
        (erased, told)
    }

    /// Asks a partner to delete the contact of a parcel that it was given.
    pub(super) fn send_erasure(
        &mut self,
        turn: &mut Turn<'_>,
        to: &ParticipantId,
        parcel: ParcelId,
    ) {
        let key = (to.clone(), parcel);
        let open = self.state.erasures.get(&key);
        let (Some((agreement, _)), Some(known)) = (open, self.state.parcels.get(parcel)) else {
            return;
        };
        if !self.is_compared(to) || !self.live.erasing.insert(key) {
            return;
        }
        let notice = Notice::Erasure {
            agreement: agreement.clone(),
            carrier: known.waybill.carrier().as_str().into(),
            number: known.waybill.number().into(),
        };
        let purpose = Purpose::Erasure(to.clone(), parcel);
        self.send_notice_of(turn, to.clone(), notice, purpose);
    }

    /// The answer to such a request.
    pub(super) fn erasure_answered(
        &mut self,
        turn: &mut Turn<'_>,
        to: ParticipantId,
        parcel: ParcelId,
        outcome: Result<PeerAnswer, CallFailure>,
    ) {
        self.live.erasing.remove(&(to.clone(), parcel));
        let timer = Timer::Erasure(to.clone(), parcel);
        let refused = match self.heard(turn, &to, outcome) {
            Heard::Not => return self.tell_again(turn, timer),
            Heard::Yes => None,
            Heard::Refused(reason) => Some(reason),
        };
        self.live.tries.remove(&timer);
        if let Some(reason) = &refused {
            let detail = format!(
                "it refuses to delete the contact of a parcel whose recipient wants it deleted ({reason}); ask its people"
            );
            let kind = AlertKind::ErasureRefused;
            self.alert(turn, kind, Some(parcel), Some(&to), detail);
        }
        let told = Record::ErasureTold {
            to,
            parcel,
            refused,
        };
        self.record(turn, told);
    }

    /// A provider wants the contact of a parcel deleted. The answer is the same whether there was one.
    pub(super) fn erasure_wanted(
        &mut self,
        turn: &mut Turn<'_>,
        from: &ParticipantId,
        carrier: &str,
        number: &str,
    ) -> Result<(), Problem> {
        let waybill = Waybill::parse(carrier, number)
            .map_err(|error| field("invalid", 422, "no waybill", "/body", error.to_string()))?;
        let Some(parcel) = self.state.parcels.find(&waybill).map(|parcel| parcel.id) else {
            return Ok(());
        };
        let book = &self.state.book.agreements;
        let given_by = |id: &DepositId| {
            let deposit = self.state.deposits.get(id)?;
            let (agreement, _) = deposit.contact_under.as_ref()?;
            let agreement = book.get(agreement)?;
            Some(&agreement.provider == from)
        };
        let given: Vec<ContentRef> = self
            .state
            .deposits
            .of(parcel)
            .filter(|id| given_by(id) == Some(true))
            .map(ContentRef::Contact)
            .collect();
        self.erase(turn, given, ErasureReason::Told { by: from.clone() });
        Ok(())
    }

    /// After a restart: destroys what was left, and tells partners what they may not know.
    pub(super) fn resume_deletion(&mut self, turn: &mut Turn<'_>) {
        let (slots, hours) = self.state.vault.left();
        for (hour, slot) in slots {
            turn.push(Effect::DestroyKey { hour, slot });
        }
        for hour in hours {
            turn.push(Effect::DestroyHour { hour });
        }
        self.end_hours(turn);
        let partners: Vec<ParticipantId> = self.state.channels.keys().cloned().collect();
        for partner in partners {
            self.resume_notices(turn, &partner);
        }
    }

    /// The same for one partner, once we are compared with it.
    pub(super) fn resume_notices(&mut self, turn: &mut Turn<'_>, partner: &ParticipantId) {
        if !self.is_compared(partner) {
            return;
        }
        let untold = self.unacknowledged_deletions(partner);
        if !untold.is_empty() && !self.live.attesting.contains_key(partner) {
            self.live.attesting.insert(partner.clone(), untold);
        }
        self.send_attestation(turn, partner);
        let open = self.state.erasures.keys();
        let open: Vec<ParcelId> = open
            .filter(|(to, _)| to == partner)
            .map(|(_, parcel)| *parcel)
            .collect();
        for parcel in open {
            self.send_erasure(turn, partner, parcel);
        }
    }

    fn unacknowledged_deletions(&self, partner: &ParticipantId) -> Vec<Deletion> {
        let Some(channel) = self.state.channel(partner) else {
            return Vec::new();
        };
        let from = channel.out.acknowledged();
        let Ok(leaves) = channel.out.leaves_from(from, ENVELOPE_LEAVES_MAX) else {
            return Vec::new();
        };
        leaves
            .filter_map(|leaf| match Leaf::decode(leaf).ok()?.body {
                LeafBody::Deletion(deletion) => Some(deletion),
                LeafBody::Request(_)
                | LeafBody::Release(_)
                | LeafBody::Denial(_)
                | LeafBody::AgreementChange(_)
                | LeafBody::Receipt(_)
                | LeafBody::KeyRotation(_)
                | LeafBody::Rollback(_)
                | LeafBody::Voided(_)
                | LeafBody::RunOffSet(_) => None,
            })
            .collect()
    }
}

/// Whether a notice was heard.
enum Heard {
    Yes,
    /// Worth another try.
    Not,
    Refused(String),
}

/// The agreement that a notice is about.
pub(super) fn agreement_of(envelope: &Envelope<Notice>) -> Option<&WireId> {
    match &envelope.body {
        Notice::Termination { agreement, .. }
        | Notice::Deletion { agreement, .. }
        | Notice::Erasure { agreement, .. }
        | Notice::RunOff { agreement }
        | Notice::Stopped { agreement }
        | Notice::Reciprocity { agreement, .. } => Some(agreement),
        Notice::KeyRotation { .. } | Notice::Cosignature { .. } => None,
    }
}
