//! Telling parties and mediator, until they know.
//!
//! INVARIANT: what is sent is what is on record when it is sent; an answer counts for what it answers.
//! It does not know what is in a message.

use interlock_core::ids::{ParticipantId, WireId};

use super::super::super::Node;
use super::super::super::io::{CallFailure, Effect, PeerAnswer, PeerRequest};
use super::super::super::live::{Purpose, Timer};
use super::super::super::turn::Turn;
use super::super::Actor;
use super::super::delivery::{is_final, why_not};
use super::super::negotiate::{ANSWER_TIMEOUT_MS, shorten};
use super::{Answer, Mediation, Standing};
use crate::exchange::mediation::{MediationAnswer, MediationMessage};

/// What was sent about a mediation and is not answered yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::node) enum Sent {
    /// By a mediator: this revision.
    Revision(u64),
    /// By a party: what it says to this version of the terms.
    Answer(u32, Answer),
}

impl Node {
    /// Sends what the partners concerned do not have yet, one message to each at a time.
    pub(in super::super::super) fn send_mediation(&mut self, turn: &mut Turn<'_>, id: &WireId) {
        let Some(known) = self.state.book.mediations.get(id) else {
            return;
        };
        for (to, sent, message) in self.untold_of(turn, known) {
            let key = (id.clone(), to.clone());
            if self.live.agreements.mediating.contains_key(&key) {
                continue;
            }
            self.live.agreements.mediating.insert(key, sent);
            let mediation = id.clone();
            let call = self.live.call(Purpose::Mediation {
                mediation,
                to: to.clone(),
            });
            turn.push(Effect::Call {
                call,
                to,
                request: PeerRequest::Mediation(message),
                timeout_ms: ANSWER_TIMEOUT_MS,
            });
        }
    }

    /// Whom to tell what.
    fn untold_of(
        &self,
        turn: &Turn<'_>,
        known: &Mediation,
    ) -> Vec<(ParticipantId, Sent, MediationMessage)> {
        if known.mediator != self.state.me {
            let answer = known.ours.as_ref().filter(|_| known.unsent);
            let message = answer.map(|answer| {
                let sent = Sent::Answer(known.version, answer.clone());
                let message = MediationMessage::Answer(MediationAnswer {
                    mediation: known.id.clone(),
                    version: known.version,
                    answer: answer.to_wire(),
                });
                (known.mediator.clone(), sent, message)
            });
            return message.into_iter().collect();
        }
        let over = known.term().is_none_or(|(_, until)| until <= turn.at());
        if over || self.standing_of(turn, known) == Standing::Draft {
            return Vec::new();
        }
        let parties = known.parties().into_iter();
        let untold = parties.filter(|party| known.told.get(*party) < Some(&known.revision));
        untold
            .filter_map(|party| {
                let message = MediationMessage::Proposal(Box::new(known.to_document()?));
                Some((party.clone(), Sent::Revision(known.revision), message))
            })
            .collect()
    }

    /// Sends everything about mediations that is not known to have come in.
    pub(in crate::node) fn resume_mediations(&mut self, turn: &mut Turn<'_>) {
        let all: Vec<WireId> = self.state.book.mediations.keys().cloned().collect();
        for id in all {
            self.send_mediation(turn, &id);
        }
    }

    /// The answer to a message of mediation.
    pub(in super::super::super) fn mediation_answered(
        &mut self,
        turn: &mut Turn<'_>,
        id: &WireId,
        to: &ParticipantId,
        outcome: Result<PeerAnswer, CallFailure>,
    ) {
        let key = (id.clone(), to.clone());
        let sent = self.live.agreements.mediating.remove(&key);
        let known = self.state.book.mediations.get(id).cloned();
        let (Some(known), Some(sent)) = (known, sent) else {
            return;
        };
        let timer = Timer::Mediation(id.clone(), to.clone());
        let why_not = match outcome {
            Ok(PeerAnswer::Mediation(_)) => None,
            Ok(PeerAnswer::Problem(problem)) if is_final(problem.status) => {
                Some(shorten(&problem.detail))
            }
            other => return self.try_later(turn, timer, why_not(other)),
        };
        self.forget_tries(&timer);
        match sent {
            Sent::Revision(revision) => self.party_told(turn, known, to, revision, why_not),
            Sent::Answer(version, answer) => {
                let current = known.version == version && known.ours.as_ref() == Some(&answer);
                match current {
                    true => self.mediator_told(turn, known, why_not),
                    // We have said something else since.
                    false => self.send_mediation(turn, id),
                }
            }
        }
    }

    /// A party has a revision, or its node takes no such thing: then it counts as refused.
    fn party_told(
        &mut self,
        turn: &mut Turn<'_>,
        mut known: Mediation,
        party: &ParticipantId,
        revision: u64,
        why_not: Option<String>,
    ) {
        known.told.insert(party.clone(), revision);
        if let Some(why_not) = why_not.filter(|_| self.standing_of(turn, &known).is_open()) {
            let reason = format!("its node did not take the proposal: {why_not}");
            let by = Actor::Partner(party.clone());
            self.note_mediation(turn, &known.id, by, format!("refused: {reason}"));
            self.mediation_alert(turn, &known, &format!("{party} refused: {reason}"));
            known
                .answers
                .insert(party.clone(), Answer::Refused { reason });
            known.revision += 1;
        }
        self.put_mediation(turn, known);
    }

    /// The mediator has our answer, or does not take it.
    fn mediator_told(
        &mut self,
        turn: &mut Turn<'_>,
        mut known: Mediation,
        why_not: Option<String>,
    ) {
        known.unsent = false;
        if let Some(why_not) = why_not {
            let by = Actor::Partner(known.mediator.clone());
            let what = format!("did not take our answer: {why_not}");
            self.mediation_alert(turn, &known, &format!("{} {what}", known.mediator));
            self.note_mediation(turn, &known.id, by, what);
        }
        self.put_mediation(turn, known);
    }
}
