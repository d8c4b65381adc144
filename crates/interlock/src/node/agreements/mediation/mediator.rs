//! What a mediator does: propose, take answers, change the terms, give up.
//!
//! INVARIANT: once both parties have accepted, nothing about a mediation changes any more. The mediator
//! counts an acceptance only with the party's signature under the manifest that lies there, and only
//! until the time that it gave. It does not know what parties do with an accepted mediation.

use std::collections::BTreeMap;

use interlock_core::ids::{ParticipantId, WireId};
use interlock_core::time::Timestamp;
use interlock_journal::manifest::POLICIES_MAX;

use super::super::super::Node;
use super::super::super::feed_items::hex;
use super::super::super::io::{LocalAnswer, MediatedPut, MediationPut, Problem};
use super::super::super::problem::{not_found, problem};
use super::super::super::turn::Turn;
use super::super::manifest::unhex;
use super::super::negotiate::{check_policy, shorten};
use super::super::{Actor, new_id};
use super::document::{one_term, read_answer};
use super::{
    ANSWER_TIME_MS_MIN, Answer, Mediated, Mediation, REVISIONS_MAX, Standing, not_now, refused,
};
use crate::exchange::mediation::MediationAnswer;
use crate::identity::partner::Role;

impl Node {
    /// `POST /mediations`: 201 with the mediation.
    ///
    /// # Errors
    /// 409 if this node is no regulator's; 422 for agreements that make no cooperation of two partners
    /// with one term.
    pub(in super::super::super) fn propose_mediation(
        &mut self,
        turn: &mut Turn<'_>,
        put: MediationPut,
        by: &str,
    ) -> Result<LocalAnswer, Problem> {
        if !self.config.roles.contains(&Role::Regulator) {
            return Err(problem(
                "not-a-mediator",
                409,
                "this node does not mediate",
                "only a node with the role `regulator` proposes to others; as a party use `POST /negotiations`",
            ));
        }
        let agreements = self.mediated(turn, &put.agreements)?;
        let note = shorten(&put.note);
        let mut mediation = self.draw_up(turn, agreements, note, put.answer_by)?;
        mediation.approved_by = vec![by.into()];
        let id = mediation.id.clone();
        let what = "proposed it".to_owned();
        self.note_mediation(turn, &id, Actor::Person(by.into()), what);
        self.put_mediation(turn, mediation);
        self.mediation_answer(turn, &id, 201)
    }

    /// `POST /mediations/{id}/revise`: other terms, about which both parties are asked anew.
    pub(super) fn revise(
        &mut self,
        turn: &mut Turn<'_>,
        known: Mediation,
        put: &MediationPut,
        by: &str,
    ) -> Result<(), Problem> {
        self.may_change(turn, &known)?;
        let agreements = self.mediated(turn, &put.agreements)?;
        let next = self.draw_up(turn, agreements, shorten(&put.note), put.answer_by)?;
        self.next_version(turn, known, next, "proposed other terms".into(), by)
    }

    /// `POST /mediations/{id}/adopt`: proposes to both what one of them would accept.
    pub(super) fn adopt(
        &mut self,
        turn: &mut Turn<'_>,
        known: Mediation,
        party: &ParticipantId,
        by: &str,
    ) -> Result<(), Problem> {
        self.may_change(turn, &known)?;
        let agreements = countered(turn, &known, party)?;
        let next = self.draw_up(turn, agreements, known.note.clone(), None)?;
        let what = format!("proposed to both what {party} would accept");
        self.next_version(turn, known, next, what, by)
    }

    fn next_version(
        &mut self,
        turn: &mut Turn<'_>,
        known: Mediation,
        mut next: Mediation,
        what: String,
        by: &str,
    ) -> Result<(), Problem> {
        if next.parties() != known.parties() {
            let detail = "the parties stay the same; propose another mediation to others";
            return Err(refused("/agreements", detail));
        }
        self.note_mediation(turn, &known.id, Actor::Person(by.into()), what);
        next.id = known.id;
        next.revision = known.revision + 1;
        next.version = known.version + 1;
        next.told = known.told;
        next.approved_by = vec![by.into()];
        self.put_mediation(turn, next);
        Ok(())
    }

    /// `POST /mediations/{id}/withdraw`.
    pub(super) fn withdraw(
        &mut self,
        turn: &mut Turn<'_>,
        mut known: Mediation,
        reason: &str,
        by: &str,
    ) -> Result<(), Problem> {
        self.may_change(turn, &known)?;
        let reason = shorten(reason);
        let what = format!("withdrew it: {reason}");
        self.note_mediation(turn, &known.id, Actor::Person(by.into()), what);
        known.withdrawn = Some(reason);
        known.revision += 1;
        self.put_mediation(turn, known);
        Ok(())
    }

    /// A second person of the mediator's stands for the terms.
    pub(super) fn approve_mediation(
        &mut self,
        turn: &mut Turn<'_>,
        mut known: Mediation,
        by: &str,
    ) -> Result<(), Problem> {
        if self.standing_of(turn, &known) != Standing::Draft {
            return Err(not_now("it is proposed already; the parties decide now"));
        }
        self.another_person(&known.approved_by, by, "not approved")?;
        known.approved_by.push(by.into());
        let what = "approved the proposal".to_owned();
        self.note_mediation(turn, &known.id, Actor::Person(by.into()), what);
        self.put_mediation(turn, known);
        Ok(())
    }

    fn may_change(&self, turn: &Turn<'_>, known: &Mediation) -> Result<(), Problem> {
        if known.mediator != self.state.me {
            return Err(not_now("only its mediator can do that"));
        }
        match self.standing_of(turn, known) {
            Standing::Accepted => Err(not_now("both parties have accepted; it is theirs now")),
            Standing::Withdrawn => Err(not_now("it was withdrawn; propose another")),
            Standing::Draft
            | Standing::Proposed
            | Standing::Countered
            | Standing::Refused
            | Standing::Expired => Ok(()),
        }
    }

    fn mediated(
        &self,
        turn: &mut Turn<'_>,
        wanted: &[MediatedPut],
    ) -> Result<BTreeMap<WireId, Mediated>, Problem> {
        if wanted.is_empty() || wanted.len() > POLICIES_MAX {
            let detail = format!("name 1 to {POLICIES_MAX} agreements");
            return Err(refused("/agreements", detail));
        }
        let mut agreements = BTreeMap::new();
        for (at, put) in wanted.iter().enumerate() {
            let terms = check_policy(&put.policy, put.dataset)
                .map_err(|detail| refused(&format!("/agreements/{at}/policy"), detail))?;
            if [&put.provider, &put.consumer].contains(&&self.state.me) {
                let detail = "a mediator is no party; negotiate with the partner instead";
                return Err(refused(&format!("/agreements/{at}"), detail));
            }
            let twice = agreements.values().any(|known: &Mediated| {
                (&known.provider, &known.consumer, known.terms.dataset)
                    == (&put.provider, &put.consumer, put.dataset)
            });
            if twice {
                let detail = "this dataset is named before for the same two; name it once";
                return Err(refused(&format!("/agreements/{at}"), detail));
            }
            let mediated = Mediated {
                provider: put.provider.clone(),
                consumer: put.consumer.clone(),
                terms,
            };
            agreements.insert(new_id(turn), mediated);
        }
        Ok(agreements)
    }

    /// A mediation with these agreements, signed by us.
    fn draw_up(
        &self,
        turn: &mut Turn<'_>,
        agreements: BTreeMap<WireId, Mediated>,
        note: String,
        answer_by: Option<Timestamp>,
    ) -> Result<Mediation, Problem> {
        let (_, until, _) = one_term(agreements.values().map(|a| &a.terms))?;
        let answer_by = answer_by.unwrap_or_else(|| self.answer_by(turn)).min(until);
        if answer_by.since_ms(turn.at()) < ANSWER_TIME_MS_MIN {
            let detail = "give the parties at least a minute, and a term that has not ended";
            return Err(refused("/answerBy", detail));
        }
        let manifest = self.mediated_manifest(new_id(turn), &agreements)?;
        let signature = manifest
            .sign_as_mediator(&self.state.me, &self.key)
            .map_err(|error| refused("/agreements", error.to_string()))?;
        Ok(Mediation {
            id: new_id(turn),
            mediator: self.state.me.clone(),
            revision: 1,
            version: 1,
            manifest: manifest.canonical_bytes(),
            signature: unhex(&signature).unwrap_or_default(),
            agreements,
            note,
            answer_by,
            answers: BTreeMap::new(),
            withdrawn: None,
            told: BTreeMap::new(),
            ours: None,
            unsent: false,
            approved_by: Vec::new(),
            begun: false,
        })
    }

    /// A party's answer at the mediator's door.
    pub(super) fn party_answered(
        &mut self,
        turn: &mut Turn<'_>,
        from: &ParticipantId,
        message: &MediationAnswer,
    ) -> Result<(WireId, u64), Problem> {
        let known = self.state.book.mediations.get(&message.mediation);
        let known = known.filter(|m| m.mediator == self.state.me && m.parties().contains(&from));
        let mut known = known.cloned().ok_or_else(|| not_found("mediation"))?;
        if message.version != known.version {
            let detail = format!(
                "the terms are version {} now; look at them again",
                known.version
            );
            return Err(problem("terms-changed", 409, "not taken", detail));
        }
        let answer = read_answer(&message.answer, &known.agreements)?;
        if known.answers.get(from) == Some(&answer) {
            return Ok((known.id, known.revision));
        }
        if known.revision >= REVISIONS_MAX {
            let detail = format!("it was answered {REVISIONS_MAX} times; propose a new one");
            return Err(not_now(detail));
        }
        let standing = self.standing_of(turn, &known);
        if !standing.is_open() {
            let detail = format!("it is {} and takes no answers", standing.as_str());
            return Err(not_now(detail));
        }
        if let Answer::Accepted { signature } = &answer {
            let manifest = known.read_manifest();
            let fits = manifest.is_some_and(|m| m.verify(from, &hex(signature)).is_ok());
            if !fits {
                let detail = "the signature does not fit the manifest; sign its canonical form";
                return Err(refused("/answer/accepted/signature", detail));
            }
        }
        let what = said(&answer);
        self.note_mediation(turn, &known.id, Actor::Partner(from.clone()), what.clone());
        known.answers.insert(from.clone(), answer);
        known.revision += 1;
        self.mediation_alert(turn, &known, &format!("{from} {what}"));
        let taken = (known.id.clone(), known.revision);
        self.put_mediation(turn, known);
        Ok(taken)
    }
}

/// The agreements with the terms that a party would accept, under new ids.
fn countered(
    turn: &mut Turn<'_>,
    known: &Mediation,
    party: &ParticipantId,
) -> Result<BTreeMap<WireId, Mediated>, Problem> {
    let Some(Answer::Countered { terms, .. }) = known.answers.get(party) else {
        let detail = format!("`{party}` has proposed no other terms");
        return Err(refused("/party", detail));
    };
    let mut agreements = BTreeMap::new();
    for (id, terms) in terms {
        if let Some(mediated) = known.agreements.get(id) {
            let terms = terms.clone();
            agreements.insert(
                new_id(turn),
                Mediated {
                    terms,
                    ..mediated.clone()
                },
            );
        }
    }
    Ok(agreements)
}

/// An answer in words.
pub(super) fn said(answer: &Answer) -> String {
    match answer {
        Answer::Accepted { .. } => "accepted".into(),
        Answer::Countered { reason, .. } => format!("would accept other terms: {reason}"),
        Answer::Refused { reason } => format!("refused: {reason}"),
    }
}
