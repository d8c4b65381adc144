//! What a party does with a mediator's proposal: accept, counter, refuse.
//!
//! INVARIANT: our signature is given for the manifest that lies there and for no other, by as many of
//! our people as terms need; other terms need them anew. What we said can be changed until both parties
//! have accepted. It does not know what follows from an acceptance.

use std::collections::BTreeMap;

use interlock_core::ids::{ParticipantId, WireId};
use interlock_core::terms::Terms;
use interlock_core::time::Timestamp;
use serde_json::Value;

use super::super::super::Node;
use super::super::super::io::{LocalAnswer, MediationAct, Problem};
use super::super::super::problem::{not_found, problem};
use super::super::super::turn::Turn;
use super::super::Actor;
use super::super::manifest::unhex;
use super::super::negotiate::{check_policy, shorten};
use super::document::one_term;
use super::mediator::said;
use super::{
    Answer, MEDIATIONS_MAX, Mediation, OPEN_MEDIATIONS_MAX, REVISIONS_LAST, REVISIONS_MAX,
    Standing, not_now, refused,
};
use crate::exchange::mediation::MediationDocument;
use crate::identity::partner::Role;

impl Node {
    /// A mediator's document at our door.
    ///
    /// # Errors
    /// 403 for one that is not listed as regulator, 422 for a document that does not hold, 429 for too
    /// many.
    pub(super) fn proposal_came(
        &mut self,
        turn: &mut Turn<'_>,
        from: &ParticipantId,
        document: &MediationDocument,
    ) -> Result<(WireId, u64), Problem> {
        let partner = self.state.partners.get(from);
        if !partner.is_some_and(|known| known.roles.contains(&Role::Regulator)) {
            return Err(problem(
                "not-a-mediator",
                403,
                "not a mediator",
                "only a partner listed with the role `regulator` mediates; ask us to list you as one",
            ));
        }
        if document.revision > REVISIONS_MAX + REVISIONS_LAST {
            let detail =
                format!("no mediation has over {REVISIONS_MAX} revisions; propose a new one");
            return Err(refused("/proposal/revision", detail));
        }
        let known = self.state.book.mediations.get(&document.mediation).cloned();
        if let Some(known) = &known {
            if &known.mediator != from {
                return Err(refused(
                    "/proposal/mediation",
                    "this id is taken; draw another",
                ));
            }
            // An older document came late, or the newest once more.
            if document.revision <= known.revision {
                return Ok((known.id.clone(), known.revision));
            }
        } else {
            self.may_mediate(turn, from)?;
        }
        let mut next = self.read_document(from, document)?;
        let is_new = known.as_ref().is_none_or(|old| old.version != next.version);
        if let Some(old) = known {
            if old.begun {
                // We had the other's signature before the mediator had ours.
                if is_new || next.withdrawn.is_some() {
                    let detail = "both parties have accepted; nothing changes any more";
                    return Err(not_now(detail));
                }
                return Ok((old.id, old.revision));
            }
            if is_new && old.version > next.version {
                return Err(refused("/proposal/version", "the version went back"));
            }
            if !is_new {
                if (&old.manifest, old.answer_by) != (&next.manifest, next.answer_by) {
                    let detail = "other terms have another version";
                    return Err(refused("/proposal/version", detail));
                }
                next.ours = old.ours;
                next.unsent = old.unsent;
                next.approved_by = old.approved_by;
            }
        }
        if is_new {
            self.check_ids(&next)?;
        }
        self.take_document(turn, next, is_new);
        Ok((document.mediation.clone(), document.revision))
    }

    fn may_mediate(&self, turn: &Turn<'_>, from: &ParticipantId) -> Result<(), Problem> {
        let mediations = self.state.book.mediations.values();
        let theirs: Vec<&Mediation> = mediations.filter(|m| &m.mediator == from).collect();
        let open = theirs
            .iter()
            .filter(|m| self.standing_of(turn, m).is_open())
            .count();
        if open < OPEN_MEDIATIONS_MAX && theirs.len() < MEDIATIONS_MAX {
            return Ok(());
        }
        let all = theirs.len();
        let detail = format!("{all} mediations of yours are here, {open} open; withdraw some");
        Err(problem("too-many", 429, "too many mediations", detail))
    }

    /// The ids of its agreements are drawn for it alone.
    fn check_ids(&self, next: &Mediation) -> Result<(), Problem> {
        let book = &self.state.book;
        let taken = next.agreements.keys().any(|id| {
            let other = book.mediated(id).is_some_and(|m| m.id != next.id);
            other || book.knows_agreement(id) || book.offers.contains_key(id)
        });
        let cooperation = next.read_manifest().map(|m| m.cooperation);
        let used = cooperation
            .is_some_and(|id| book.mediation_of(&id).is_some() || book.cooperation(&id).is_some());
        if taken || used {
            let detail = "an id of it is taken; draw new ones";
            return Err(refused("/proposal/manifest", detail));
        }
        Ok(())
    }

    fn take_document(&mut self, turn: &mut Turn<'_>, next: Mediation, is_new: bool) {
        let id = next.id.clone();
        let by = Actor::Partner(next.mediator.clone());
        let other = next.other(&self.state.me).cloned();
        let before = self.state.book.mediations.get(&id);
        let theirs = other.as_ref().and_then(|other| next.answers.get(other));
        let heard = theirs.filter(|theirs| {
            let known = before.filter(|_| !is_new);
            let known = known.zip(other.as_ref());
            known.and_then(|(m, other)| m.answers.get(other)) != Some(*theirs)
        });
        let heard = heard.map(said);
        let mut news = Vec::new();
        if is_new {
            news.push(format!("proposed terms, version {}", next.version));
        }
        news.extend(
            other
                .zip(heard)
                .map(|(who, what)| format!("says that {who} {what}")),
        );
        news.extend(
            next.withdrawn
                .as_ref()
                .map(|why| format!("withdrew it: {why}")),
        );
        for what in news {
            self.mediation_alert(turn, &next, &format!("{} {what}", next.mediator));
            self.note_mediation(turn, &id, by.clone(), what);
        }
        self.put_mediation(turn, next);
        self.conclude_mediation(turn, &id);
    }

    /// `POST /mediations/{id}/accept`, `counter`, `refuse`, `revise`, `adopt`, `withdraw`: 200 with the mediation.
    ///
    /// # Errors
    /// 404 for an unknown mediation, 409 for what is not possible now, 422 for terms that cannot be.
    pub(in super::super::super) fn mediate(
        &mut self,
        turn: &mut Turn<'_>,
        id: &WireId,
        act: MediationAct,
        by: &str,
    ) -> Result<LocalAnswer, Problem> {
        let known = self.state.book.mediations.get(id).cloned();
        let known = known.ok_or_else(|| not_found("mediation"))?;
        let mediates = known.mediator == self.state.me;
        match act {
            MediationAct::Accept { version } => {
                if version.is_some_and(|version| version != known.version) {
                    let detail = format!(
                        "the terms are version {} now; look at them again",
                        known.version
                    );
                    return Err(problem("terms-changed", 409, "not accepted", detail));
                }
                match mediates {
                    true => self.approve_mediation(turn, known, by)?,
                    false => self.accept_mediation(turn, known, by)?,
                }
            }
            MediationAct::Counter {
                until,
                policies,
                reason,
            } => {
                self.parties_are_asked(turn, &known)?;
                let terms = counter_terms(turn, &known, until, &policies)?;
                let reason = shorten(&reason);
                self.say(turn, known, Answer::Countered { terms, reason }, by);
            }
            MediationAct::Refuse { reason } => {
                self.parties_are_asked(turn, &known)?;
                let reason = shorten(&reason);
                self.say(turn, known, Answer::Refused { reason }, by);
            }
            MediationAct::Revise(put) => self.revise(turn, known, &put, by)?,
            MediationAct::Adopt(party) => self.adopt(turn, known, &party, by)?,
            MediationAct::Withdraw { reason } => self.withdraw(turn, known, &reason, by)?,
        }
        self.mediation_answer(turn, id, 200)
    }

    fn parties_are_asked(&self, turn: &Turn<'_>, known: &Mediation) -> Result<(), Problem> {
        if known.mediator == self.state.me {
            return Err(not_now(
                "the parties decide; change the terms with `revise`",
            ));
        }
        match self.standing_of(turn, known) {
            Standing::Proposed | Standing::Countered if !known.begun => Ok(()),
            standing @ (Standing::Draft
            | Standing::Proposed
            | Standing::Countered
            | Standing::Refused
            | Standing::Withdrawn
            | Standing::Expired
            | Standing::Accepted) => {
                let detail = format!("it is {}; nobody is asked any more", standing.as_str());
                Err(not_now(detail))
            }
        }
    }

    fn accept_mediation(
        &mut self,
        turn: &mut Turn<'_>,
        mut known: Mediation,
        by: &str,
    ) -> Result<(), Problem> {
        self.parties_are_asked(turn, &known)?;
        if matches!(known.ours, Some(Answer::Accepted { .. })) {
            return Ok(());
        }
        self.can_keep(&known)?;
        self.another_person(&known.approved_by, by, "not accepted")?;
        known.approved_by.push(by.into());
        if known.approved_by.len() < self.config.approvals_min {
            let what = "approved it; a second person must".to_owned();
            self.note_mediation(turn, &known.id, Actor::Person(by.into()), what);
            self.put_mediation(turn, known);
            return Ok(());
        }
        let manifest = known.read_manifest();
        let signature = manifest.map(|m| m.sign(&self.state.me, &self.key));
        let signature = match signature {
            Some(Ok(signature)) => unhex(&signature).unwrap_or_default(),
            Some(Err(error)) => return Err(refused("", error.to_string())),
            None => return Err(refused("", "the manifest could not be read back")),
        };
        let id = known.id.clone();
        self.say(turn, known, Answer::Accepted { signature }, by);
        self.conclude_mediation(turn, &id);
        Ok(())
    }

    /// Whether we could keep what we would accept.
    fn can_keep(&self, known: &Mediation) -> Result<(), Problem> {
        let cannot = |detail| problem("cannot-provide", 409, "not accepted", detail);
        if self.dsp_base().is_none() {
            let detail = "the address of our exchange door is not one; set `listen.exchange_url`";
            return Err(problem("no-address", 500, "not accepted", detail));
        }
        let together = known.agreements.values();
        let together: Vec<_> = together
            .map(|it| ([&it.provider, &it.consumer], &it.terms))
            .collect();
        // To accept is to sign.
        self.signature_leaves_codes(&together).map_err(cannot)?;
        for mediated in known.agreements.values() {
            if mediated.provider == self.state.me {
                self.can_provide(&mediated.terms).map_err(cannot)?;
                self.can_attest(&mediated.consumer, mediated.terms.dataset)
                    .map_err(cannot)?;
            } else {
                self.can_attest(&mediated.provider, mediated.terms.dataset)
                    .map_err(cannot)?;
            }
        }
        Ok(())
    }

    fn say(&mut self, turn: &mut Turn<'_>, mut known: Mediation, answer: Answer, by: &str) {
        if !matches!(answer, Answer::Accepted { .. }) {
            known.approved_by.clear();
        }
        let what = said(&answer);
        self.note_mediation(turn, &known.id, Actor::Person(by.into()), what);
        known.ours = Some(answer);
        known.unsent = true;
        self.put_mediation(turn, known);
    }
}

/// The terms of a counter-proposal, for each agreement: those given, else those that lie there, all
/// until `until` if that is given.
fn counter_terms(
    turn: &Turn<'_>,
    known: &Mediation,
    until: Option<Timestamp>,
    policies: &[(WireId, Value)],
) -> Result<BTreeMap<WireId, Terms>, Problem> {
    let mut terms: BTreeMap<WireId, Terms> = known
        .agreements
        .iter()
        .map(|(id, mediated)| (id.clone(), mediated.terms.clone()))
        .collect();
    let before = terms.clone();
    for (id, policy) in policies {
        let Some(mediated) = known.agreements.get(id) else {
            let detail = format!("`{id}` is no agreement of this mediation; see `GET /mediations`");
            return Err(refused("/policies", detail));
        };
        let read = check_policy(policy, mediated.terms.dataset)
            .map_err(|detail| refused("/policies", format!("`{id}`: {detail}")))?;
        terms.insert(id.clone(), read);
    }
    for terms in terms.values_mut() {
        terms.until = until.unwrap_or(terms.until);
        if terms.until <= turn.at() || terms.until <= terms.from {
            return Err(refused(
                "/until",
                "the term is over, or none; let it end later",
            ));
        }
    }
    if terms == before {
        let detail = "these are the terms on the table; accept them instead";
        return Err(refused("/policies", detail));
    }
    one_term(terms.values())?;
    Ok(terms)
}
