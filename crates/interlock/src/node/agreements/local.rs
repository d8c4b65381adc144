//! What our own people do with offers and agreements.
//!
//! Purpose: publishing, changing, asking what would be released. Invariants: whoever suspended an
//! agreement is the one to resume it; a dry run changes nothing. It does not know who may do what: the door has checked the role.

use std::borrow::Cow;

use interlock_core::agreement::AgreementState;
use interlock_core::decide::{
    self, Decision as Verdict, DenialReason, EvidenceSeen, ReleaseRequest,
};
use interlock_core::ids::WireId;
use interlock_core::terms::{Language, Purpose};
use interlock_core::time::ClockInterval;
use serde_json::json;

use super::super::Node;
use super::super::io::{
    AgreementChange, ExplainRequest, FieldError, LocalAnswer, OfferPut, Problem,
};
use super::super::problem::{field, not_found, problem};
use super::super::record::{ItemRef, Record};
use super::super::turn::Turn;
use super::approver::dataset_of;
use super::negotiate::{check_policy, shorten};
use super::reciprocity::TERMINATED;
use super::{Actor, Agreement, OFFERS_MAX, Offer};

impl Node {
    /// `POST /offers`: 201 with the offer. An offer with the same id is replaced; what was agreed on
    /// under the old one stays.
    ///
    /// # Errors
    /// 422 for a policy that is none, terms that do not go together or are over, an unknown partner.
    pub(in super::super) fn publish_offer(
        &mut self,
        turn: &mut Turn<'_>,
        put: OfferPut,
    ) -> Result<LocalAnswer, Problem> {
        let offer = self.read_offer(turn, put, "").map_err(refused_offer)?;
        let body = self.offer_view(&offer);
        self.room_for(&[&offer.id])?;
        self.put_offer(turn, offer);
        Ok(LocalAnswer::Json { status: 201, body })
    }

    /// `PUT /offers`: 200 with `taken` and how many of them `changed` something. All or none.
    ///
    /// # Errors
    /// 422 as [`Node::publish_offer`], with every offer that is refused.
    pub(in super::super) fn put_offers(
        &mut self,
        turn: &mut Turn<'_>,
        puts: Vec<OfferPut>,
    ) -> Result<LocalAnswer, Problem> {
        let (mut offers, mut errors) = (Vec::new(), Vec::new());
        for (at, put) in puts.into_iter().enumerate() {
            match self.read_offer(turn, put, &format!("/offers/{at}")) {
                Ok(offer) => offers.push(offer),
                Err(error) => errors.push(error),
            }
        }
        if !errors.is_empty() {
            let mut refused = problem(
                "offer-refused",
                422,
                "no offer was published",
                "correct those that are named, and send all again",
            );
            refused.errors = errors;
            return Err(refused);
        }
        self.room_for(&offers.iter().map(|offer| &offer.id).collect::<Vec<_>>())?;
        let taken = offers.len();
        let changed = offers.into_iter().map(|offer| self.put_offer(turn, offer));
        let changed = changed.filter(|changed| *changed).count();
        let body = json!({ "taken": taken, "changed": changed });
        Ok(LocalAnswer::Json { status: 200, body })
    }

    fn put_offer(&mut self, turn: &mut Turn<'_>, offer: Offer) -> bool {
        let changed = self.state.book.offers.get(&offer.id) != Some(&offer);
        if changed {
            self.record(turn, Record::Offer(Box::new(offer)));
        }
        changed
    }

    /// Refuses more offers than a node publishes.
    fn room_for(&self, ids: &[&WireId]) -> Result<(), Problem> {
        let offers = &self.state.book.offers;
        let new = ids.iter().filter(|id| !offers.contains_key(**id)).count();
        if offers.len() + new <= OFFERS_MAX {
            return Ok(());
        }
        Err(problem(
            "offer-refused",
            422,
            "the offer was not published",
            format!("a node publishes at most {OFFERS_MAX} offers; withdraw some"),
        ))
    }

    /// An offer as it is put on record; `pointer` is where it stands in the body.
    fn read_offer(
        &self,
        turn: &Turn<'_>,
        put: OfferPut,
        pointer: &str,
    ) -> Result<Offer, FieldError> {
        let refused = |member: &str, detail: String| FieldError {
            pointer: format!("{pointer}{member}"),
            detail,
        };
        let kind = dataset_of(&put.dataset).ok_or_else(|| {
            let detail =
                "name a kind of dataset, or one of several such as `locker-stations:hangzhou`";
            refused("/dataset", detail.into())
        })?;
        let terms = check_policy(&put.policy, kind).map_err(|e| refused("/policy", e))?;
        self.can_provide(&terms)
            .map_err(|e| refused("/policy", e))?;
        if terms.until <= turn.at() {
            return Err(refused(
                "/policy",
                "the term is over; let it end later".into(),
            ));
        }
        if put.auto_accept && self.needs_two() {
            let detail = "two people must approve here: an offer that accepts by itself stands in \
                          the configuration, `auto_accept = true` in its `[[offer]]`";
            return Err(refused("/autoAccept", detail.into()));
        }
        for (at, partner) in put.audience.iter().enumerate() {
            if !self.state.partners.contains_key(partner) {
                let detail = format!("`{partner}` is no partner; add it first");
                return Err(refused(&format!("/audience/{at}"), detail));
            }
        }
        Ok(Offer {
            id: put.id,
            target: put.dataset,
            terms,
            audience: put.audience,
            auto_accept: put.auto_accept,
        })
    }

    /// `DELETE /offers/{id}`: negotiations and agreements that came of it go on.
    ///
    /// # Errors
    /// 404 for an unknown id.
    pub(in super::super) fn withdraw_offer(
        &mut self,
        turn: &mut Turn<'_>,
        id: &WireId,
    ) -> Result<LocalAnswer, Problem> {
        if !self.state.book.offers.contains_key(id) {
            return Err(not_found("offer"));
        }
        self.record(turn, Record::OfferWithdrawn(id.clone()));
        Ok(LocalAnswer::Json {
            status: 200,
            body: json!({}),
        })
    }

    /// `POST /agreements/{id}/suspend`, `resume`, `terminate`: 200 with the agreement.
    ///
    /// # Errors
    /// 404 for an unknown agreement, 409 if its state does not allow the change, 422 for a termination
    /// in the past or after the term.
    pub(in super::super) fn change_agreement(
        &mut self,
        turn: &mut Turn<'_>,
        id: &WireId,
        change: AgreementChange,
        by: &str,
    ) -> Result<LocalAnswer, Problem> {
        let known = self.state.book.agreement(id).map(Cow::into_owned);
        let agreement = known.ok_or_else(|| not_found("agreement"))?;
        let by = Actor::Person(by.into());
        let me = self.state.me.clone();
        let state = agreement.state_at(&turn.now);
        let not_now = |detail: &str| Err(problem("not-possible", 409, "not possible now", detail));
        match change {
            AgreementChange::Suspend { reason } => {
                if state != AgreementState::InForce {
                    return not_now("only an agreement in force can be suspended");
                }
                let reason = shorten(&reason);
                self.suspended(turn, agreement, &me, by, &reason);
                self.follow_agreement(turn, id, &reason);
            }
            AgreementChange::Resume => {
                if agreement.suspended_by.as_ref() != Some(&me) || !Self::is_live(turn, &agreement)
                {
                    return not_now(
                        "only whoever suspended an agreement can resume it, before its end",
                    );
                }
                self.resumed(turn, agreement, by);
                self.follow_agreement(turn, id, "");
            }
            AgreementChange::Reciprocate {
                trigger,
                at,
                reason,
            } => self.reciprocate(turn, &agreement, (&trigger, at), &shorten(&reason), by)?,
            AgreementChange::Terminate { at, reason } => {
                if !Self::is_live(turn, &agreement) {
                    return not_now("the agreement is not signed yet or over");
                }
                self.terminate_at(turn, agreement, at, &shorten(&reason), by)?;
            }
        }
        self.settle_now(turn);
        self.agreement_answer(turn, id)
    }

    fn terminate_at(
        &mut self,
        turn: &mut Turn<'_>,
        mut agreement: Agreement,
        at: interlock_core::time::Timestamp,
        reason: &str,
        by: Actor,
    ) -> Result<(), Problem> {
        let end = agreement.facts.end(&agreement.terms);
        if at < turn.at() || at >= end {
            let detail = format!("it can end from now on, and before {}", self.instant(end));
            return Err(field(
                "not-possible",
                422,
                "not possible then",
                "/at",
                detail,
            ));
        }
        agreement.end_at(at);
        // A connector knows no notices: its transfers are ended when the time has come.
        let told = !self.state.is_connector(agreement.other(&self.state.me));
        agreement.unsent_notice = told.then(|| (at, reason.into()));
        let at = self.instant(at);
        let what = format!("{TERMINATED} {at}: {reason}");
        self.note_agreement(turn, &agreement, by, what);
        let id = agreement.id.clone();
        self.put_agreement(turn, agreement);
        self.send_cooperation(turn, &id);
        Ok(())
    }

    /// `POST /explain`: whether this would be released by us, and by which term not. `evidence` is taken
    /// as given. 200 with `decision` (`release`, `denial`), `reason`, `sentence` (`en`, `zh`),
    /// `agreement`, and for a release `fields`, `form`, `under`.
    ///
    /// # Errors
    /// 422 for an unknown purpose, 404 for an unknown parcel.
    pub(in super::super) fn explain(
        &self,
        turn: &Turn<'_>,
        ask: &ExplainRequest,
    ) -> Result<LocalAnswer, Problem> {
        let purpose = Purpose::parse(&ask.purpose).ok_or_else(|| {
            let names: Vec<&str> = Purpose::ALL.iter().map(|p| p.as_str()).collect();
            let detail = format!(
                "`{}` is no purpose; use one of {}",
                shorten(&ask.purpose),
                names.join(", ")
            );
            field("purpose-unknown", 422, "not a purpose", "/purpose", detail)
        })?;
        let by_clock = || self.deciding(turn, &ask.partner);
        let now = ask.at.map_or_else(by_clock, ClockInterval::exact);
        let parcel = match &ask.waybill {
            Some(waybill) => {
                let found = self.state.parcels.find(waybill);
                Some(found.ok_or_else(|| not_found("parcel"))?)
            }
            None => None,
        };
        let book = &self.state.book;
        let between = || book.between(&self.state.me, &ask.partner, ask.dataset);
        let in_force = between().find(|a| a.state_at(&now) == AgreementState::InForce);
        let Some(agreement) = in_force.or_else(|| between().next()) else {
            return Ok(explained(Verdict::Denial(DenialReason::NotInForce), None));
        };
        let parcel = parcel.as_deref();
        let arose_at = parcel.map_or(now.latest, |p| p.registered_at);
        let request = ReleaseRequest {
            purpose,
            marketplace: parcel.and_then(|p| p.marketplace.as_ref()).or_else(|| {
                // Without a parcel the question is about those that the terms cover.
                agreement
                    .terms
                    .marketplaces
                    .first()
                    .filter(|_| parcel.is_none())
            }),
            fields: &[],
            form: ask.form,
            arose_at,
            qualified_at: parcel.map(|p| p.registered_at),
        };
        let day = agreement.terms.zone.day_of(now.latest);
        let usage = self.usage(&ask.partner, ask.dataset, day, parcel);
        let evidence = EvidenceSeen {
            arrival: true,
            deposit: true,
            open_elsewhere: false,
        };
        let advice = parcel.map(|p| ItemRef::Advice(p.id));
        let standing = self.standing(&now, agreement, advice.as_ref());
        let verdict = decide::decide(
            &request,
            &agreement.terms,
            &standing,
            &usage,
            &evidence,
            &now,
        );
        Ok(explained(verdict, Some(&agreement.id)))
    }
}

fn refused_offer(error: FieldError) -> Problem {
    let title = "the offer was not published";
    field("offer-refused", 422, title, &error.pointer, error.detail)
}

fn explained(verdict: Verdict, agreement: Option<&WireId>) -> LocalAnswer {
    let agreement = agreement.map(WireId::as_str);
    let body = match verdict {
        Verdict::Denial(reason) => json!({
            "decision": "denial",
            "reason": reason.as_str(),
            "sentence": { "en": reason.sentence(Language::En), "zh": reason.sentence(Language::Zh) },
            "agreement": agreement,
        }),
        Verdict::Release(grant) => json!({
            "decision": "release",
            "agreement": agreement,
            "fields": grant.fields.iter().map(|f| f.as_str()).collect::<Vec<_>>(),
            "form": grant.form.map(|form| form.as_str()),
            "under": grant.under.as_str(),
        }),
    };
    LocalAnswer::Json { status: 200, body }
}
