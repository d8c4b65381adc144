//! People: who they are, what they may ask for, and their one-time codes.
//!
//! Purpose: one door for whoever is logged in, through the same table of roles and the same commands
//! as the local API. Invariants: a person who was changed or withdrawn since the login is refused; what
//! belongs to another courier looks like what does not exist; what signs, ends or hands out keys needs
//! a one-time code that was not used before. It does not know passwords: the door has checked them.

use std::collections::BTreeSet;

use interlock_core::ids::{CourierId, DepositId, IdempotencyKey};
use interlock_core::time::{MINUTE_MS, Timestamp};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::Node;
use super::access::allowed;
use super::io::{
    AgreementChange, Decision, DepositAction, Digest, LocalAnswer, LocalRequest, MediationAct,
    PersonCaller, PersonPut, Problem, ReplyId, Role,
};
use super::problem::{self, field, problem};
use super::record::Record;
use super::turn::Turn;
use crate::identity::one_time::enrolment_uri;
use crate::identity::password::PasswordHash;
use crate::identity::person::{PEOPLE_MAX, PEOPLE_ROLES, Person, PersonName};

/// How many wrong one-time codes a person may type within [`WRONG_FOR_MS`].
const WRONG_MAX: usize = 5;
/// For how long a wrong code counts, in milliseconds.
const WRONG_FOR_MS: i64 = 15 * MINUTE_MS;

/// One-time codes of one person, forgotten at a restart.
#[derive(Debug, Default)]
pub struct CodesTyped {
    used: Option<i64>,
    wrong: Vec<Timestamp>,
}

/// Whether a request needs a one-time code beside it. One rule: it does if by it our node signs, or comes
/// to be bound unless somebody else says no; if it ends what was agreed on; if it deletes what cannot be
/// had back; if it lets somebody in or shuts somebody out; or if it is about a phone in clear.
///
/// What is only said (a counter-offer of a mediation, a refusal, a withdrawal before anybody agreed) and
/// what can be undone at once (suspending and resuming) needs none.
// tidy: long, one arm a request
fn needs_code(request: &LocalRequest) -> bool {
    match request {
        // Whoever proposes terms stands for them: the partner's word makes them an agreement.
        LocalRequest::Propose { .. }
        | LocalRequest::ProposeKnown { .. }
        | LocalRequest::Renew { .. } => true,
        LocalRequest::PublishOffer(offer) => offer.auto_accept,
        LocalRequest::PutOffers(offers) => offers.iter().any(|offer| offer.auto_accept),
        LocalRequest::Decide { decision, .. } => match decision {
            Decision::Approve | Decision::ApproveVersion(_) | Decision::Counter { .. } => true,
            Decision::Reject { .. } => false,
        },
        LocalRequest::ChangeAgreement { change, .. } => match change {
            AgreementChange::Terminate { .. } | AgreementChange::Reciprocate { .. } => true,
            AgreementChange::Suspend { .. } | AgreementChange::Resume => false,
        },
        // A mediator signs each manifest that it proposes, a party the one that it accepts.
        LocalRequest::ProposeMediation(_) => true,
        LocalRequest::Mediate { act, .. } => match act {
            MediationAct::Accept { .. } | MediationAct::Revise(_) | MediationAct::Adopt(_) => true,
            MediationAct::Counter { .. }
            | MediationAct::Refuse { .. }
            | MediationAct::Withdraw { .. } => false,
        },
        LocalRequest::EraseRecipient(_)
        | LocalRequest::AskReveal(_)
        | LocalRequest::Reveal { .. }
        | LocalRequest::AddPartner(_)
        | LocalRequest::RemovePartner(_)
        | LocalRequest::AddKey { .. }
        | LocalRequest::ApproveKey(_)
        | LocalRequest::WithdrawKey(_)
        | LocalRequest::RotateSigningKey
        | LocalRequest::PutPerson(_)
        | LocalRequest::WithdrawPerson(_) => true,
        LocalRequest::PutParcels(_)
        | LocalRequest::CheckRound { .. }
        | LocalRequest::OpenDeposit(_)
        | LocalRequest::GetDeposit(_)
        | LocalRequest::GetRound(_)
        | LocalRequest::GetCall(_)
        | LocalRequest::GetShop { .. }
        | LocalRequest::AdvanceDeposit { .. }
        | LocalRequest::PostEvents(_)
        | LocalRequest::GetEvents { .. }
        | LocalRequest::GetParcel(_)
        | LocalRequest::PutStations(_)
        | LocalRequest::GetStations
        | LocalRequest::FindStations { .. }
        | LocalRequest::FindNear { .. }
        | LocalRequest::GetNames
        | LocalRequest::GetStation(_)
        | LocalRequest::GetOffers { .. }
        | LocalRequest::WithdrawOffer(_)
        | LocalRequest::GetCatalog(_)
        | LocalRequest::RequestTransfer(_)
        | LocalRequest::GetNegotiations
        | LocalRequest::GetNegotiation { .. }
        | LocalRequest::GetProposals
        | LocalRequest::GetAgreements
        | LocalRequest::GetAgreement(_)
        | LocalRequest::GetLedger { .. }
        | LocalRequest::FindLedger(_)
        | LocalRequest::GetAlerts
        | LocalRequest::FindAlerts { .. }
        | LocalRequest::GetLooks { .. }
        | LocalRequest::GetStatistics
        | LocalRequest::GetLabel(..)
        | LocalRequest::GetRecipient(_)
        | LocalRequest::PutWish(..)
        | LocalRequest::PutCodeKey(..)
        | LocalRequest::GetSealedCode(_)
        | LocalRequest::ResolveLabel(..)
        | LocalRequest::ConnectCall(_)
        | LocalRequest::GetReveals
        | LocalRequest::GetMessages { .. }
        | LocalRequest::GetEvidence
        | LocalRequest::Explain(_)
        | LocalRequest::Rehearse { .. }
        | LocalRequest::GetPartners
        | LocalRequest::GetCooperations
        | LocalRequest::GetMediations
        | LocalRequest::GetMediation(_)
        | LocalRequest::GetTransfers
        | LocalRequest::GetStatus
        | LocalRequest::GetKeys
        | LocalRequest::GetSigningKeys
        | LocalRequest::GetPeople
        | LocalRequest::ChangePassword(_) => false,
    }
}

impl Node {
    /// Answers a person who is logged in.
    pub(super) fn person(
        &mut self,
        turn: &mut Turn<'_>,
        reply: ReplyId,
        who: &PersonCaller,
        idempotency: Option<(IdempotencyKey, Digest)>,
        request: LocalRequest,
    ) {
        if let Err(refused) = self.admit(who, &request) {
            return self.reply(turn, reply, LocalAnswer::Problem(refused));
        }
        let caller = (digest_of(&who.name), who.name.to_string());
        if let Some((key, body)) = &idempotency
            && let Some(answer) = self.repeated(caller.0, key, body)
        {
            return self.reply(turn, reply, answer);
        }
        if needs_code(&request)
            && let Err(refused) = self.take_one_time_code(turn, who)
        {
            return self.reply(turn, reply, LocalAnswer::Problem(refused));
        }
        self.dispatch(turn, reply, &caller, idempotency, request);
    }

    /// Whether the session still stands and the person may ask for this.
    fn admit(&self, who: &PersonCaller, request: &LocalRequest) -> Result<(), Problem> {
        let person = self.state.people.get(&who.name);
        let Some(person) = person.filter(|person| person.version == who.version) else {
            return Err(problem(
                "session-ended",
                401,
                "logged out",
                "this account was changed or withdrawn; log in again",
            ));
        };
        if !person.has_any(allowed(request)) {
            let needs: Vec<&str> = allowed(request)
                .iter()
                .filter(|role| PEOPLE_ROLES.contains(role))
                .map(|role| role.as_str())
                .collect();
            let needs = match needs.is_empty() {
                true => "admin".into(),
                false => needs.join(", "),
            };
            return Err(problem(
                "forbidden",
                403,
                "not allowed",
                format!(
                    "your account may not do that; it needs one of the roles: {needs}. An administrator \
                     can change it"
                ),
            ));
        }
        let fits = self.is_within_own_round(person, request) && is_within_own_shop(person, request);
        match fits {
            true => Ok(()),
            false => Err(problem::not_found("thing")),
        }
    }

    /// A courier's account reaches its own deposits alone, and does what a courier does.
    fn is_within_own_round(&self, person: &Person, request: &LocalRequest) -> bool {
        if person.has_any(&[Role::Handheld, Role::Cabinet]) {
            return true;
        }
        let own =
            |courier: Option<&CourierId>| courier.is_some() && courier == person.courier.as_ref();
        let is_own = |id: &DepositId| {
            let deposit = self.state.deposits.get(id);
            own(deposit
                .as_ref()
                .and_then(|deposit| deposit.courier.value.as_ref()))
        };
        if let LocalRequest::OpenDeposit(deposit) = request {
            own(Some(&deposit.courier))
        } else if let LocalRequest::GetRound(courier) = request {
            own(Some(courier))
        } else if let LocalRequest::GetDeposit(id) = request {
            is_own(id)
        } else if let LocalRequest::AdvanceDeposit { deposit, action } = request {
            let theirs = match action {
                DepositAction::Confirm | DepositAction::Cancel | DepositAction::Recall => true,
                DepositAction::Open { .. }
                | DepositAction::PickUp
                | DepositAction::Redirect { .. } => false,
            };
            theirs && is_own(deposit)
        } else {
            true
        }
    }

    /// Takes a one-time code, once.
    fn take_one_time_code(&mut self, turn: &Turn<'_>, who: &PersonCaller) -> Result<(), Problem> {
        let Some(person) = self.state.people.get(&who.name) else {
            return Err(problem::not_found("person"));
        };
        let now = turn.at();
        let typed = self.live.codes.entry(who.name.clone()).or_default();
        typed.wrong.retain(|at| now.since_ms(*at) < WRONG_FOR_MS);
        if typed.wrong.len() >= WRONG_MAX {
            return Err(field(
                "one-time-code-locked",
                429,
                "too many wrong one-time codes",
                "/code",
                "nothing was done; wait 15 minutes, or ask an administrator for a new enrolment",
            ));
        }
        let code = who.code.as_deref().unwrap_or_default();
        match self.codes.step(&person.enrolment, code, now, typed.used) {
            Some(step) => {
                typed.used = Some(step);
                typed.wrong.clear();
                Ok(())
            }
            None => {
                if !code.is_empty() {
                    typed.wrong.push(now);
                }
                Err(field(
                    "one-time-code",
                    422,
                    "a one-time code is needed",
                    "/code",
                    "nothing was done; type the six digits that your authenticator app shows now, each \
                     code once",
                ))
            }
        }
    }

    /// `GET /people`: `{items: [{name, roles, courier, merchant}]}`.
    pub(super) fn people_view(&self) -> Value {
        let people = self.state.people.values().map(|person| {
            json!({
                "name": person.name.as_str(),
                "roles": words(&person.roles),
                "courier": person.courier.as_ref().map(|id| id.as_str()),
                "merchant": person.merchant.as_ref().map(|id| id.as_str()),
            })
        });
        json!({ "items": people.collect::<Vec<_>>() })
    }

    /// `POST /people`: 201 with `name`, `roles` and, as an authenticator app takes it up,
    /// `oneTimeSecret` and `enrolment`; the door adds the password.
    ///
    /// # Errors
    /// 422 if a role is none of people's, or not bound as it must be.
    pub(super) fn put_person(
        &mut self,
        turn: &mut Turn<'_>,
        put: PersonPut,
        by: &str,
    ) -> Result<LocalAnswer, Problem> {
        check_roles(&put)?;
        let known = self.state.people.get(&put.name);
        if known.is_none() && self.state.people.len() >= PEOPLE_MAX {
            return Err(problem(
                "too-many-people",
                422,
                "too many people",
                "this node lists 10,000 people, the most there may be; withdraw those who left",
            ));
        }
        let version = known.map_or(1, |known| known.version.saturating_add(1));
        let secret = self.codes.reveal(&put.enrolment);
        let uri = enrolment_uri(&self.config.name, put.name.as_str(), &secret);
        let body = json!({
            "name": put.name.as_str(),
            "roles": words(&put.roles),
            "oneTimeSecret": secret.as_str(),
            "enrolment": uri.as_str(),
        });
        let person = Person {
            name: put.name,
            roles: put.roles,
            courier: put.courier,
            merchant: put.merchant,
            password: put.password,
            enrolment: put.enrolment,
            // Whoever comes back under the name of somebody withdrawn is in none of their sessions.
            version: version.max(turn_version(turn.at())),
        };
        self.live.codes.remove(&person.name);
        let name = person.name.to_string();
        self.record(turn, Record::Person(Box::new(person)));
        self.let_in(turn, &name, by);
        Ok(LocalAnswer::Json { status: 201, body })
    }

    /// `DELETE /people/{name}`.
    pub(super) fn withdraw_person(
        &mut self,
        turn: &mut Turn<'_>,
        name: &PersonName,
    ) -> Result<LocalAnswer, Problem> {
        if !self.state.people.contains_key(name) {
            return Err(problem::not_found("person"));
        }
        self.record(turn, Record::PersonWithdrawn(name.clone()));
        Ok(LocalAnswer::Json {
            status: 200,
            body: json!({}),
        })
    }

    /// The person `by` has another password; answers the new `version`.
    pub(super) fn change_password(
        &mut self,
        turn: &mut Turn<'_>,
        by: &str,
        password: PasswordHash,
    ) -> Result<LocalAnswer, Problem> {
        let name = PersonName::parse(by).ok();
        let Some(person) = name.and_then(|name| self.state.people.get(&name)) else {
            return Err(problem::not_found("person"));
        };
        let mut person = person.clone();
        person.password = password;
        person.version = person.version.saturating_add(1);
        let body = json!({ "version": person.version });
        self.record(turn, Record::Person(Box::new(person)));
        Ok(LocalAnswer::Json { status: 200, body })
    }
}

/// A merchant's account reaches its own parcels alone.
fn is_within_own_shop(person: &Person, request: &LocalRequest) -> bool {
    if person.has_any(&[Role::OrderSystem]) {
        return true;
    }
    if let LocalRequest::GetShop { merchant, .. } = request {
        return Some(merchant) == person.merchant.as_ref();
    }
    true
}

fn check_roles(put: &PersonPut) -> Result<(), Problem> {
    let wrong = |pointer: &str, detail: &str| {
        Err(field("invalid", 422, "not such a person", pointer, detail))
    };
    if put.roles.is_empty() || put.roles.iter().any(|role| !PEOPLE_ROLES.contains(role)) {
        return wrong(
            "/roles",
            "give one or more of admin, approver, auditor, operations, courier, merchant",
        );
    }
    if put.roles.contains(&Role::Courier) != put.courier.is_some() {
        return wrong(
            "/courier",
            "a courier's account names the courier, and no other account does",
        );
    }
    if put.roles.contains(&Role::Merchant) != put.merchant.is_some() {
        return wrong(
            "/merchant",
            "a merchant's account names the merchant, and no other account does",
        );
    }
    Ok(())
}

fn words(roles: &BTreeSet<Role>) -> Vec<&'static str> {
    roles.iter().map(|role| role.as_str()).collect()
}

/// What a person's idempotency keys go by.
fn digest_of(name: &PersonName) -> Digest {
    Sha256::new()
        .chain_update("person")
        .chain_update([0])
        .chain_update(name.as_str())
        .finalize()
        .into()
}

/// Seconds since the epoch: higher than the version of anybody who had the name before.
fn turn_version(at: Timestamp) -> u32 {
    u32::try_from(at.as_millis() / 1_000).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use interlock_core::ids::{ParticipantId, WireId};

    use super::super::io::{KeyId, MediationPut, OfferPut, Renewal};
    use super::*;

    fn offer(auto_accept: bool) -> OfferPut {
        OfferPut {
            id: id(),
            dataset: id(),
            policy: Value::Null,
            audience: Vec::new(),
            auto_accept,
        }
    }

    fn id() -> WireId {
        WireId::parse("urn:x").unwrap()
    }

    fn decide(decision: Decision) -> LocalRequest {
        LocalRequest::Decide {
            negotiation: id(),
            decision,
        }
    }

    fn change(change: AgreementChange) -> LocalRequest {
        LocalRequest::ChangeAgreement {
            agreement: id(),
            change,
        }
    }

    fn mediate(act: MediationAct) -> LocalRequest {
        LocalRequest::Mediate {
            mediation: id(),
            act,
        }
    }

    fn mediation() -> MediationPut {
        MediationPut {
            agreements: Vec::new(),
            note: String::new(),
            answer_by: None,
        }
    }

    #[test]
    fn what_binds_ends_deletes_or_lets_in_needs_a_code_and_nothing_else_does() {
        let partner = || ParticipantId::parse("did:web:p.example").unwrap();
        let (reason, policy) = (|| "why".to_owned(), || Value::Null);
        let (at, renewal) = (Timestamp::from_millis(0), Renewal::default());
        let needed = [
            LocalRequest::Propose {
                partner: partner(),
                offers: vec![id()],
                policies: Vec::new(),
            },
            LocalRequest::ProposeKnown {
                partner: partner(),
                offer: id(),
                target: id(),
                policy: policy(),
            },
            LocalRequest::Renew {
                agreement: id(),
                renewal,
            },
            LocalRequest::PublishOffer(offer(true)),
            LocalRequest::PutOffers(vec![offer(false), offer(true)]),
            decide(Decision::Approve),
            decide(Decision::ApproveVersion(2)),
            decide(Decision::Counter { policy: policy() }),
            change(AgreementChange::Terminate {
                at,
                reason: reason(),
            }),
            LocalRequest::ProposeMediation(mediation()),
            mediate(MediationAct::Accept { version: None }),
            mediate(MediationAct::Revise(mediation())),
            mediate(MediationAct::Adopt(partner())),
            LocalRequest::RemovePartner(partner()),
            LocalRequest::AddKey {
                name: "k".into(),
                role: Role::Auditor,
                digest: [0; 32],
            },
            LocalRequest::ApproveKey(KeyId::of(&[0; 32])),
        ];
        for request in needed {
            assert!(needs_code(&request), "{request:?}");
        }
        let free = [
            LocalRequest::PublishOffer(offer(false)),
            LocalRequest::PutOffers(vec![offer(false)]),
            LocalRequest::WithdrawOffer(id()),
            decide(Decision::Reject { reason: reason() }),
            change(AgreementChange::Suspend { reason: reason() }),
            change(AgreementChange::Resume),
            mediate(MediationAct::Counter {
                until: None,
                policies: Vec::new(),
                reason: reason(),
            }),
            mediate(MediationAct::Refuse { reason: reason() }),
            mediate(MediationAct::Withdraw { reason: reason() }),
            LocalRequest::RequestTransfer(id()),
            LocalRequest::GetProposals,
        ];
        for request in free {
            assert!(!needs_code(&request), "{request:?}");
        }
    }
}
