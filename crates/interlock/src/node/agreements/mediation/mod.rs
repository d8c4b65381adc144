//! Mediation: a third party proposes a cooperation, two parties conclude it.
//!
//! Purpose: from a regulator's proposal to ordinary negotiations. Invariants: only a partner listed as
//! regulator mediates, and it is no party; a party is bound by nothing that its own people have not
//! accepted, and its signature counts for exactly the manifest that they saw; what a mediator passes on
//! of the other party counts only with that party's own signature. A mediator holds terms and answers,
//! and nothing of any parcel. It does not know how negotiations are led.

mod conclude;
mod document;
mod mediator;
mod party;
mod send;
mod views;

pub(in crate::node) use self::send::Sent;

use std::collections::BTreeMap;

use interlock_core::ids::{ParticipantId, WireId};
use interlock_core::terms::Terms;
use interlock_core::time::Timestamp;
use interlock_journal::manifest::Manifest;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::super::Node;
use super::super::io::{PeerAnswer, Problem};
use super::super::problem::{field, problem};
use super::super::record::{AlertKind, Record};
use super::super::turn::Turn;
use super::{Actor, Noted};
use crate::exchange::mediation::{MediationMessage, MediationTaken};

/// Most mediations of one mediator that may be open at a party.
const OPEN_MEDIATIONS_MAX: usize = 100;
/// Most mediations of one mediator that a party keeps, those that are over among them.
const MEDIATIONS_MAX: usize = 10_000;
/// After so many revisions a mediator takes no other answers, and a party no other terms: a person
/// changes their mind a few times.
const REVISIONS_MAX: u64 = 500;
/// What a mediator may still say of one whose parties answer no more.
const REVISIONS_LAST: u64 = 100;
/// Shortest time that a mediator may give the parties, in milliseconds: nobody decides in less.
const ANSWER_TIME_MS_MIN: i64 = 60_000;

/// A mediation, at its mediator or at a party.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mediation {
    /// Its id.
    pub id: WireId,
    /// Who mediates.
    pub mediator: ParticipantId,
    /// Grows with every change by the mediator.
    pub revision: u64,
    /// Which terms these are: 1 for the first ones.
    pub version: u32,
    /// The manifest proposed, in its canonical form.
    pub manifest: Vec<u8>,
    /// The mediator's signature over it.
    pub signature: Vec<u8>,
    /// The agreements that would be made.
    pub agreements: BTreeMap<WireId, Mediated>,
    /// Why, for people.
    pub note: String,
    /// Until when the parties may accept.
    pub answer_by: Timestamp,
    /// What each party has said to these terms, by the mediator's word.
    pub answers: BTreeMap<ParticipantId, Answer>,
    /// Why the mediator gave it up, if it did.
    pub withdrawn: Option<String>,
    /// At the mediator: the revision that each party has.
    pub told: BTreeMap<ParticipantId, u64>,
    /// At a party: what we said to these terms.
    pub ours: Option<Answer>,
    /// At a party: whether the mediator has still to be told.
    pub unsent: bool,
    /// Who of our people stands for these terms, by the name of the API key.
    pub approved_by: Vec<String>,
    /// At a party: whether negotiations have begun.
    pub begun: bool,
}

/// One agreement of a mediation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mediated {
    /// Who would provide.
    pub provider: ParticipantId,
    /// Who would consume.
    pub consumer: ParticipantId,
    /// The terms.
    pub terms: Terms,
}

/// What a party says to a mediator's terms.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Answer {
    /// It accepts them.
    Accepted {
        /// Its signature over the manifest.
        signature: Vec<u8>,
    },
    /// It would accept others.
    Countered {
        /// The terms that it would accept, for each agreement.
        terms: BTreeMap<WireId, Terms>,
        /// Why.
        reason: String,
    },
    /// It accepts none of this.
    Refused {
        /// Why.
        reason: String,
    },
}

/// Where a mediation stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// A second person of the mediator's has to approve it.
    Draft,
    /// Somebody has still to answer.
    Proposed,
    /// A party would accept other terms.
    Countered,
    /// A party refused.
    Refused,
    /// The mediator gave it up.
    Withdrawn,
    /// Not both accepted in time.
    Expired,
    /// Both accepted.
    Accepted,
}

impl Standing {
    /// The name in views.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Draft => "draft",
            Self::Proposed => "proposed",
            Self::Countered => "countered",
            Self::Refused => "refused",
            Self::Withdrawn => "withdrawn",
            Self::Expired => "expired",
            Self::Accepted => "accepted",
        }
    }

    /// Whether parties may still answer.
    const fn is_open(self) -> bool {
        match self {
            Self::Proposed | Self::Countered => true,
            Self::Draft | Self::Refused | Self::Withdrawn | Self::Expired | Self::Accepted => false,
        }
    }
}

impl Answer {
    /// The name in views.
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Accepted { .. } => "accepted",
            Self::Countered { .. } => "countered",
            Self::Refused { .. } => "refused",
        }
    }
}

impl Mediation {
    /// The two parties.
    pub fn parties(&self) -> Vec<&ParticipantId> {
        let both = self.agreements.values();
        let mut both: Vec<_> = both.flat_map(|a| [&a.provider, &a.consumer]).collect();
        both.sort();
        both.dedup();
        both
    }

    /// The party that `me` is not.
    fn other(&self, me: &ParticipantId) -> Option<&ParticipantId> {
        self.parties().into_iter().find(|party| *party != me)
    }

    /// The manifest.
    pub fn read_manifest(&self) -> Option<Manifest> {
        serde_json::from_slice(&self.manifest).ok()
    }

    /// The hash by which others name the manifest.
    pub fn manifest_hash(&self) -> [u8; 32] {
        Sha256::digest(&self.manifest).into()
    }

    /// When the term begins and ends.
    fn term(&self) -> Option<(Timestamp, Timestamp)> {
        let first = self.agreements.values().next()?;
        Some((first.terms.from, first.terms.until))
    }

    /// What a party has said; our own word counts before the mediator has passed it on.
    fn answer_of(&self, party: &ParticipantId, me: &ParticipantId) -> Option<&Answer> {
        let ours = self.ours.as_ref().filter(|_| party == me);
        ours.or_else(|| self.answers.get(party))
    }

    /// Where it stands at `now`. `approvals` is how many people have to stand for it at its mediator.
    fn standing(&self, now: Timestamp, me: &ParticipantId, approvals: usize) -> Standing {
        let parties = self.parties();
        let answer = |party: &ParticipantId| self.answer_of(party, me);
        let said = |wanted: fn(&Answer) -> bool| {
            let mut answers = parties.iter().filter_map(|party| answer(party));
            answers.any(wanted)
        };
        let accepted =
            |party: &&ParticipantId| matches!(answer(party), Some(Answer::Accepted { .. }));
        if parties.iter().all(accepted) {
            Standing::Accepted
        } else if self.withdrawn.is_some() {
            Standing::Withdrawn
        } else if said(|a| matches!(a, Answer::Refused { .. })) {
            Standing::Refused
        } else if self.answer_by <= now {
            Standing::Expired
        } else if me == &self.mediator && self.approved_by.len() < approvals {
            Standing::Draft
        } else if said(|a| matches!(a, Answer::Countered { .. })) {
            Standing::Countered
        } else {
            Standing::Proposed
        }
    }
}

impl Node {
    /// A message of mediation at our door.
    ///
    /// # Errors
    /// 403 for one who may not mediate, or is no party; 404, 409 and 422 for what does not fit.
    pub(in super::super) fn mediation(
        &mut self,
        turn: &mut Turn<'_>,
        from: &ParticipantId,
        message: MediationMessage,
    ) -> Result<PeerAnswer, Problem> {
        let (mediation, revision) = match message {
            MediationMessage::Proposal(document) => self.proposal_came(turn, from, &document)?,
            MediationMessage::Answer(answer) => self.party_answered(turn, from, &answer)?,
        };
        Ok(PeerAnswer::Mediation(MediationTaken {
            mediation,
            revision,
        }))
    }

    fn standing_of(&self, turn: &Turn<'_>, mediation: &Mediation) -> Standing {
        let approvals = self.config.approvals_min;
        mediation.standing(turn.at(), &self.state.me, approvals)
    }

    /// Puts a mediation on record, and sends what there is to say.
    fn put_mediation(&mut self, turn: &mut Turn<'_>, mediation: Mediation) {
        let id = mediation.id.clone();
        self.record(turn, Record::Mediation(Box::new(mediation)));
        self.send_mediation(turn, &id);
    }

    /// Puts on record what was done about a mediation.
    fn note_mediation(&mut self, turn: &mut Turn<'_>, id: &WireId, by: Actor, what: String) {
        let noted = Noted {
            about: id.clone(),
            by,
            what,
            version: None,
        };
        self.record(turn, Record::Noted(Box::new(noted)));
    }

    /// Has our people look at a mediation.
    fn mediation_alert(&mut self, turn: &mut Turn<'_>, mediation: &Mediation, what: &str) {
        let id = &mediation.id;
        let detail = format!("mediation {id}: {what}; see `interlock mediation show {id}`");
        let by = Some(&mediation.mediator).filter(|by| **by != self.state.me);
        self.alert(turn, AlertKind::Mediation, None, by, detail);
    }
}

fn refused(pointer: &str, detail: impl Into<String>) -> Problem {
    field(
        "mediation-refused",
        422,
        "the mediation was not taken",
        pointer,
        detail,
    )
}

fn not_now(detail: impl Into<String>) -> Problem {
    problem("not-possible", 409, "not possible now", detail)
}
