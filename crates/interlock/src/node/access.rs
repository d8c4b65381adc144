//! The local API's requests: who may ask what, and where each goes.
//!
//! Purpose: one table of roles, one dispatch. Invariants: without a known key nothing is answered; a
//! repeated idempotency key gets the first answer, and with another body a refusal. It does not know
//! HTTP.

use interlock_core::ids::IdempotencyKey;
use serde_json::json;

use super::Node;
use super::io::{
    Digest, EVENTS_WAIT_MS_MAX, LocalAnswer, LocalRequest, Problem, ReplyId, RevealAct, Role,
};
use super::live::EventWaiter;
use super::parcels::{EVENTS_PAGE_MAX, wait_until};
use super::problem::{self, problem};
use super::record::{KeyedEffect, Record};
use super::turn::Turn;
use crate::exchange::wire::Blob;

/// Who may make a request.
// tidy: long, one arm a role
pub(crate) const fn allowed(request: &LocalRequest) -> &'static [Role] {
    match request {
        LocalRequest::PutParcels(_)
        | LocalRequest::PostEvents(_)
        | LocalRequest::EraseRecipient(_) => &[Role::OrderSystem],
        LocalRequest::GetCall(_) => &[Role::Telephone, Role::OrderSystem],
        LocalRequest::ConnectCall(_) => &[Role::Telephone],
        LocalRequest::GetLabel(..)
        | LocalRequest::PutWish(..)
        | LocalRequest::PutCodeKey(..)
        | LocalRequest::GetSealedCode(_) => &[Role::OrderSystem],
        LocalRequest::GetRecipient(_) => &[Role::OrderSystem, Role::Auditor],
        LocalRequest::ResolveLabel(..) => &[Role::Handheld, Role::Courier],
        LocalRequest::CheckRound { .. }
        | LocalRequest::OpenDeposit(_)
        | LocalRequest::GetDeposit(_)
        | LocalRequest::GetRound(_)
        | LocalRequest::AdvanceDeposit { .. } => &[Role::Handheld, Role::Cabinet, Role::Courier],
        LocalRequest::GetShop { .. } => &[Role::OrderSystem, Role::Merchant],
        LocalRequest::GetEvents { .. } => &[Role::OrderSystem, Role::Auditor],
        LocalRequest::GetParcel(_) => &[Role::OrderSystem, Role::Auditor, Role::Operations],
        LocalRequest::PutStations(_) => &[Role::Cabinet],
        LocalRequest::GetStations
        | LocalRequest::FindStations { .. }
        | LocalRequest::FindNear { .. }
        | LocalRequest::GetStation(_) => &[
            Role::Cabinet,
            Role::Handheld,
            Role::OrderSystem,
            Role::Auditor,
            Role::Operations,
            Role::Courier,
        ],
        LocalRequest::GetOffers { .. }
        | LocalRequest::GetNegotiations
        | LocalRequest::GetNegotiation { .. }
        | LocalRequest::GetProposals
        | LocalRequest::GetTransfers
        | LocalRequest::GetAgreements
        | LocalRequest::GetCooperations
        | LocalRequest::GetMediations
        | LocalRequest::GetMediation(_)
        | LocalRequest::GetAgreement(_)
        | LocalRequest::GetCatalog(_)
        | LocalRequest::Explain(_)
        | LocalRequest::Rehearse { .. }
        | LocalRequest::GetPartners
        | LocalRequest::GetNames => &[Role::Approver, Role::Auditor, Role::Operations],
        LocalRequest::Propose { .. }
        | LocalRequest::ProposeKnown { .. }
        | LocalRequest::RequestTransfer(_)
        | LocalRequest::Decide { .. }
        | LocalRequest::Renew { .. }
        | LocalRequest::PublishOffer(_)
        | LocalRequest::PutOffers(_)
        | LocalRequest::WithdrawOffer(_)
        | LocalRequest::ChangeAgreement { .. }
        | LocalRequest::ProposeMediation(_)
        | LocalRequest::Mediate { .. } => &[Role::Approver],
        LocalRequest::GetLedger { .. }
        | LocalRequest::FindLedger(_)
        | LocalRequest::GetAlerts
        | LocalRequest::FindAlerts { .. }
        | LocalRequest::GetEvidence
        | LocalRequest::GetSigningKeys
        | LocalRequest::GetMessages { .. }
        | LocalRequest::AskReveal(_)
        | LocalRequest::Reveal {
            act: RevealAct::Show,
            ..
        } => &[Role::Auditor, Role::Operations],
        LocalRequest::GetLooks { .. }
        | LocalRequest::GetStatistics
        | LocalRequest::GetReveals
        | LocalRequest::Reveal {
            act: RevealAct::Approve,
            ..
        } => &[Role::Auditor],
        LocalRequest::GetStatus => &[Role::Auditor, Role::Operations, Role::Approver],
        LocalRequest::AddPartner(_)
        | LocalRequest::RemovePartner(_)
        | LocalRequest::RotateSigningKey
        | LocalRequest::AddKey { .. }
        | LocalRequest::ApproveKey(_)
        | LocalRequest::GetKeys
        | LocalRequest::WithdrawKey(_)
        | LocalRequest::GetPeople
        | LocalRequest::PutPerson(_)
        | LocalRequest::WithdrawPerson(_) => &[],
        // Of the person who asks, whoever it is; a key has no password.
        LocalRequest::ChangePassword(_) => &Role::ALL,
    }
}

/// Whether a request changes nothing when it is carried out again. Its answer is not kept: it may
/// hold links, tokens and contacts.
const fn repeatable(request: &LocalRequest) -> bool {
    matches!(
        request,
        LocalRequest::PutParcels(_)
            | LocalRequest::PutStations(_)
            | LocalRequest::PutWish(..)
            | LocalRequest::PutCodeKey(..)
            | LocalRequest::PostEvents(_)
            | LocalRequest::AdvanceDeposit { .. }
    )
}

impl Node {
    /// Answers a request of the local API.
    pub(super) fn local(
        &mut self,
        turn: &mut Turn<'_>,
        reply: ReplyId,
        credential: Option<Digest>,
        idempotency: Option<(IdempotencyKey, Digest)>,
        request: LocalRequest,
    ) {
        let caller = match self.caller(credential.as_ref(), &request) {
            Ok(caller) => caller,
            Err(refused) => return self.reply(turn, reply, LocalAnswer::Problem(refused)),
        };
        if let Some((key, body)) = &idempotency
            && let Some(answer) = self.repeated(caller.0, key, body)
        {
            return self.reply(turn, reply, answer);
        }
        self.dispatch(turn, reply, &caller, idempotency, request);
    }

    /// Carries out what `caller` (the digest that its idempotency keys go by, and its name) may do.
    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "some requests are answered later, or need to know who asks; `answer` names all others"
    )]
    // tidy: long, one arm a request
    pub(super) fn dispatch(
        &mut self,
        turn: &mut Turn<'_>,
        reply: ReplyId,
        caller: &(Digest, String),
        idempotency: Option<(IdempotencyKey, Digest)>,
        request: LocalRequest,
    ) {
        match request {
            LocalRequest::OpenDeposit(deposit) => {
                self.open_deposit(turn, reply, caller.0, idempotency, deposit)
            }
            LocalRequest::GetEvents {
                feed,
                after,
                limit,
                wait_ms,
            } => {
                let until = wait_until(turn.at(), wait_ms.min(EVENTS_WAIT_MS_MAX));
                let limit = limit.clamp(1, EVENTS_PAGE_MAX);
                self.get_events(
                    turn,
                    EventWaiter {
                        reply,
                        feed,
                        after,
                        limit,
                        until,
                    },
                );
            }
            LocalRequest::GetCatalog(partner) => self.get_catalog(turn, reply, &partner),
            LocalRequest::GetNegotiation {
                negotiation,
                wait_ms,
            } => {
                let until = wait_until(turn.at(), wait_ms.min(EVENTS_WAIT_MS_MAX));
                self.get_negotiation(turn, reply, negotiation, until);
            }
            LocalRequest::Propose {
                partner,
                offers,
                policies,
            } => {
                self.propose(turn, reply, &partner, offers, policies, &caller.1);
            }
            LocalRequest::Rehearse { at, after, limit } => {
                self.rehearse(turn, reply, at, after, limit);
            }
            // No answer of theirs is kept under an idempotency key: one shows a phone.
            LocalRequest::AskReveal(put) => {
                let answer = self.ask_reveal(turn, caller, put);
                self.reply(turn, reply, answer.unwrap_or_else(LocalAnswer::Problem));
            }
            LocalRequest::ConnectCall(call) => {
                self.connect_call(turn, reply, caller, &call);
            }
            LocalRequest::ResolveLabel(waybill, code) => {
                let answer = self.resolve_label(turn, caller, &waybill, &code);
                self.reply(turn, reply, answer.unwrap_or_else(LocalAnswer::Problem));
            }
            LocalRequest::Reveal { reveal, act } => {
                let answer = self.act_on_reveal(turn, caller, &reveal, act);
                self.reply(turn, reply, answer.unwrap_or_else(LocalAnswer::Problem));
            }
            request => {
                let again = repeatable(&request);
                let look = self.look_of(&caller.0, &request);
                let answer = self.answer(turn, request, &caller.1);
                if let (Some(look), Ok(_)) = (look, &answer) {
                    self.looked(turn, caller, look);
                }
                self.remember(turn, caller.0, idempotency, again, answer.as_ref().ok());
                self.reply(turn, reply, answer.unwrap_or_else(LocalAnswer::Problem));
            }
        }
    }

    /// Puts what a request with an idempotency key led to on record.
    fn remember(
        &mut self,
        turn: &mut Turn<'_>,
        caller: Digest,
        idempotency: Option<(IdempotencyKey, Digest)>,
        again: bool,
        answer: Option<&LocalAnswer>,
    ) {
        let (Some((key, body)), Some(answer)) = (idempotency, answer) else {
            return;
        };
        let effect = match answer {
            LocalAnswer::Json { .. } | LocalAnswer::Events(_) if again => KeyedEffect::Repeatable,
            LocalAnswer::Json { status, body } => KeyedEffect::Done {
                status: *status,
                body: Blob(body.to_string().into_bytes()),
            },
            LocalAnswer::Events(_)
            | LocalAnswer::Tracking(_)
            | LocalAnswer::Pickup(_)
            | LocalAnswer::Person(_)
            | LocalAnswer::Problem(_) => return,
        };
        let record = Record::Keyed {
            caller,
            key,
            body,
            effect,
        };
        self.record(turn, record);
    }

    fn caller(
        &self,
        credential: Option<&Digest>,
        request: &LocalRequest,
    ) -> Result<(Digest, String), Problem> {
        let digest = credential.ok_or_else(problem::unauthorised)?;
        let (name, role) = self
            .state
            .api_keys
            .get(digest)
            .ok_or_else(problem::unauthorised)?;
        // A phone in clear takes two people: an administrator is no telephone network.
        let all = *role == Role::Admin && !matches!(request, LocalRequest::ConnectCall(_));
        if all || allowed(request).contains(role) {
            return Ok((*digest, name.clone()));
        }
        let needs = allowed(request)
            .first()
            .map_or("admin", |role| role.as_str());
        Err(problem::forbidden(&format!("`{needs}`")))
    }

    /// What an earlier request with the same key got.
    pub(super) fn repeated(
        &self,
        caller: Digest,
        key: &IdempotencyKey,
        body: &Digest,
    ) -> Option<LocalAnswer> {
        let keyed = self.state.keyed.get(&(caller, key.clone()))?;
        if keyed.body != *body {
            return Some(LocalAnswer::Problem(problem::field(
                "idempotency-key-reused",
                422,
                "the idempotency key was used with another body",
                "Idempotency-Key",
                "send a new key with a new request; the same key repeats the same request only",
            )));
        }
        Some(match &keyed.effect {
            KeyedEffect::Deposit(id) => self.deposit_answer(*id),
            KeyedEffect::Refused { detail, .. } => LocalAnswer::Problem(problem(
                "nobody-can-tell",
                409,
                "deliver to the address",
                detail.clone(),
            )),
            KeyedEffect::Repeatable => return None,
            KeyedEffect::Done { status, body } => {
                let body = serde_json::from_slice(&body.0).unwrap_or(serde_json::Value::Null);
                LocalAnswer::Json {
                    status: *status,
                    body,
                }
            }
        })
    }

    // tidy: long, one arm a request
    fn answer(
        &mut self,
        turn: &mut Turn<'_>,
        request: LocalRequest,
        by: &str,
    ) -> Result<LocalAnswer, Problem> {
        let json = |body| Ok(LocalAnswer::Json { status: 200, body });
        match request {
            LocalRequest::PutParcels(parcels) => self.put_parcels(turn, parcels),
            LocalRequest::CheckRound { waybills } => Ok(self.check_round(turn, &waybills)),
            LocalRequest::GetDeposit(id) if self.state.deposits.get(&id).is_some() => {
                json(self.deposit_view(id))
            }
            LocalRequest::GetRound(courier) => json(self.round_view(&courier)),
            LocalRequest::GetCall(extension) => self.call_answer(turn, extension, by),
            LocalRequest::GetShop {
                merchant,
                state,
                before,
                limit,
            } => self.shop_answer(turn, &merchant, state.as_deref(), before, limit),
            LocalRequest::GetDeposit(_) => Err(problem::not_found("deposit")),
            LocalRequest::AdvanceDeposit { deposit, action } => {
                self.advance_deposit(turn, deposit, &action)
            }
            LocalRequest::PostEvents(events) => Ok(self.post_events(turn, events)),
            LocalRequest::GetParcel(waybill) => self.parcel_answer(turn, &waybill),
            LocalRequest::EraseRecipient(waybill) => self.erase_recipient(turn, &waybill, by),
            LocalRequest::PutStations(stations) => self.put_stations(turn, stations),
            LocalRequest::GetStations => json(self.stations_view()),
            LocalRequest::FindNear { station, size } => json(self.stations_near(&station, size)),
            LocalRequest::FindStations { from, limit } => json(self.stations_found(from, limit)),
            LocalRequest::GetStation(id) => self.station_answer(&id),
            LocalRequest::GetOffers { after, limit } => {
                json(self.offers_view(after.as_ref(), limit))
            }
            LocalRequest::PutOffers(offers) => self.put_offers(turn, offers),
            LocalRequest::PublishOffer(offer) => self.publish_offer(turn, offer),
            LocalRequest::WithdrawOffer(id) => self.withdraw_offer(turn, &id),
            LocalRequest::ProposeKnown {
                partner,
                offer,
                target,
                policy,
            } => self.propose_known(turn, &partner, offer, target, &policy, by),
            LocalRequest::RequestTransfer(id) if self.state.book.agreements.contains_key(&id) => {
                self.request_transfer(turn, &id);
                json(json!({}))
            }
            LocalRequest::RequestTransfer(_) => Err(problem::not_found("agreement")),
            LocalRequest::GetNegotiations => json(self.negotiations_view()),
            LocalRequest::GetProposals => json(self.proposals_view()),
            LocalRequest::Decide {
                negotiation,
                decision,
            } => self.decide_proposal(turn, &negotiation, decision, by),
            LocalRequest::Renew { agreement, renewal } => self.renew(turn, &agreement, renewal, by),
            LocalRequest::GetTransfers => json(self.transfers_view()),
            LocalRequest::GetAgreements => json(self.agreements_view(turn)),
            LocalRequest::GetAgreement(id) => self.agreement_answer(turn, &id),
            LocalRequest::ChangeAgreement { agreement, change } => {
                self.change_agreement(turn, &agreement, change, by)
            }
            LocalRequest::GetCooperations => json(self.cooperations_view(turn)),
            LocalRequest::GetMediations => json(self.mediations_view(turn)),
            LocalRequest::GetMediation(id) => self.mediation_answer(turn, &id, 200),
            LocalRequest::ProposeMediation(put) => self.propose_mediation(turn, put, by),
            LocalRequest::Mediate { mediation, act } => self.mediate(turn, &mediation, act, by),
            LocalRequest::GetLedger {
                denials,
                after,
                limit,
            } => json(self.ledger_view(denials, after, limit)),
            LocalRequest::FindLedger(query) => json(self.ledger_found(turn, &query)),
            LocalRequest::GetAlerts => json(self.alerts_view()),
            LocalRequest::FindAlerts { from, limit } => json(self.alerts_found(from, limit)),
            LocalRequest::GetLooks {
                before,
                limit,
                what,
            } => json(self.looks_view(before, limit, what)),
            LocalRequest::GetReveals => json(self.reveals_view()),
            LocalRequest::GetStatistics => json(self.statistics_view(turn)),
            LocalRequest::GetLabel(waybill, kind) => self.label(&waybill, kind),
            LocalRequest::GetRecipient(waybill) => self.recipient_view(&waybill),
            LocalRequest::PutWish(waybill, consent, preference) => {
                self.wish(turn, &waybill, (consent, preference), by)
            }
            LocalRequest::PutCodeKey(waybill, key) => self.put_code_key(turn, &waybill, key, by),
            LocalRequest::GetSealedCode(waybill) => self.sealed_code(turn, &waybill),
            LocalRequest::GetMessages { after, limit } => json(self.messages_view(after, limit)),
            LocalRequest::GetEvidence => json(self.evidence_view()),
            LocalRequest::Explain(explain) => self.explain(turn, &explain),
            LocalRequest::GetPartners => json(self.partners_view()),
            LocalRequest::GetNames => json(self.names_view()),
            LocalRequest::AddPartner(partner) => self.add_partner(turn, partner),
            LocalRequest::RemovePartner(id) => self.remove_partner(turn, id),
            LocalRequest::AddKey { name, role, digest } => {
                self.add_key(turn, (name, role, digest), by)
            }
            LocalRequest::ApproveKey(id) => self.approve_key(turn, id, by),
            LocalRequest::GetKeys => json(self.keys_view(turn)),
            LocalRequest::WithdrawKey(id) => self.withdraw_key(turn, id, by),
            LocalRequest::GetSigningKeys => json(self.signing_keys_view()),
            LocalRequest::RotateSigningKey => self.rotate_key(turn),
            LocalRequest::GetStatus => json(self.status_view(turn)),
            LocalRequest::GetPeople => json(self.people_view()),
            LocalRequest::PutPerson(person) => self.put_person(turn, *person, by),
            LocalRequest::WithdrawPerson(name) => self.withdraw_person(turn, &name),
            LocalRequest::ChangePassword(password) => self.change_password(turn, by, *password),
            LocalRequest::OpenDeposit(_)
            | LocalRequest::AskReveal(_)
            | LocalRequest::Reveal { .. }
            | LocalRequest::ResolveLabel(..)
            | LocalRequest::ConnectCall(_)
            | LocalRequest::GetEvents { .. }
            | LocalRequest::Rehearse { .. }
            | LocalRequest::GetCatalog(_)
            | LocalRequest::GetNegotiation { .. }
            | LocalRequest::Propose { .. } => Err(problem(
                "internal",
                500,
                "not answered",
                "this request is answered elsewhere; report it as a fault",
            )),
        }
    }

    fn add_partner(
        &mut self,
        turn: &mut Turn<'_>,
        partner: crate::identity::partner::Partner,
    ) -> Result<LocalAnswer, Problem> {
        if partner.id == self.state.me {
            return Err(problem::field(
                "invalid",
                422,
                "not a partner",
                "/id",
                "this is our own id; give the partner's",
            ));
        }
        let url = &partner.exchange_url;
        if !url.is_https() && !url.is_loopback() && !self.config.plain_http_anywhere {
            return Err(problem::field(
                "plain-http",
                422,
                "not without TLS",
                "/exchangeUrl",
                "plain HTTP is for this machine alone; give an https:// address, or set \
                 `allow_plain_http_beyond_loopback = true` in `[listen]`",
            ));
        }
        if self
            .state
            .partners
            .get(&partner.id)
            .is_some_and(|known| known.key != partner.key)
        {
            return Err(problem::field(
                "key-pinned",
                409,
                "the partner has another key",
                "/key",
                "a pinned key is changed by a rotation that both keys sign; remove the partner first if its key was lost",
            ));
        }
        let body = json!({ "id": partner.id.as_str(), "name": partner.name });
        if self.state.partners.get(&partner.id) != Some(&partner) {
            let id = partner.id.clone();
            let met = self.state.partners.contains_key(&id);
            self.record(turn, Record::Partner(Box::new(partner)));
            if !met {
                self.begin_comparing_with(turn, id);
            }
        }
        Ok(LocalAnswer::Json { status: 201, body })
    }

    fn remove_partner(
        &mut self,
        turn: &mut Turn<'_>,
        id: interlock_core::ids::ParticipantId,
    ) -> Result<LocalAnswer, Problem> {
        if !self.state.partners.contains_key(&id) {
            return Err(problem::not_found("partner"));
        }
        self.live.comparisons.remove(&id);
        self.live.comparing_first.remove(&id);
        self.record(turn, Record::PartnerRemoved(id));
        Ok(LocalAnswer::Json {
            status: 200,
            body: json!({}),
        })
    }
}
