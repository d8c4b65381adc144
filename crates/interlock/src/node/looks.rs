//! Who looked at whose data, and phones that two people have to agree on to see.
//!
//! Purpose: every look of a person at a parcel is itself on record, for data protection. Invariants: the
//! record is durable before the answer leaves; a phone is shown in clear to the one who asked, once,
//! within [`SHOWN_WITHIN_MS`] of somebody else's approval, and stands in no record and in no kept answer.
//! What our own machines read (order systems, handhelds, cabinets) has records of its own and is no look.

use std::collections::BTreeSet;

use interlock_core::contact::ContactForm;
use interlock_core::ids::{DepositId, ParcelId};
use interlock_core::time::MINUTE_MS;
use serde_json::{Value, json};

use super::Node;
use super::io::{Digest, LocalAnswer, LocalRequest, LookKind, Problem, RevealAct, RevealPut, Role};
use super::problem::{self, problem};
use super::record::{Look, Looked, Record, Reveal, Viewer};
use super::turn::Turn;

/// Most entries of one page.
const PAGE_MAX: u32 = 200;
/// Most looks that one page goes through for those that are wanted.
const SCANNED_MAX: usize = 20_000;
/// Most parcels that one look names; a longer list is named by its beginning.
const PARCELS_MAX: usize = 200;
/// How long an approved phone may be looked at, in milliseconds.
pub(super) const SHOWN_WITHIN_MS: i64 = 15 * MINUTE_MS;
/// Most requests for phones that nobody has decided on.
const OPEN_MAX: usize = 100;

impl Node {
    /// What a request would show of parcels, if it is a person who asks.
    pub(super) fn look_of(&self, caller: &Digest, request: &LocalRequest) -> Option<Looked> {
        let machine = self.state.api_keys.get(caller).is_some_and(|(_, role)| {
            matches!(
                role,
                Role::OrderSystem | Role::Handheld | Role::Cabinet | Role::Telephone
            )
        });
        if machine {
            return None;
        }
        if let LocalRequest::GetRecipient(waybill) = request {
            let parcel = self.state.parcels.find(waybill)?.id;
            Some(Looked::Parcel { parcel, form: None })
        } else if let LocalRequest::GetParcel(waybill) = request {
            let parcel = self.state.parcels.find(waybill)?;
            let form = parcel.deposit.and_then(|id| self.form_shown(&id));
            Some(Looked::Parcel {
                parcel: parcel.id,
                form,
            })
        } else if let LocalRequest::GetLabel(waybill, _) = request {
            Some(Looked::Address(self.state.parcels.find(waybill)?.id))
        } else if let LocalRequest::GetDeposit(id) = request {
            let parcel = self.state.deposits.get(id)?.parcel;
            let form = self.form_shown(id);
            Some(Looked::Parcel { parcel, form })
        } else if let LocalRequest::GetRound(courier) = request {
            let round = self.state.rounds.of(courier)?;
            let deposits = round.iter().take(PARCELS_MAX);
            let parcels = deposits
                .clone()
                .filter_map(|id| Some(self.state.deposits.get(id)?.parcel))
                .collect();
            let form = deposits.filter_map(|id| self.form_shown(id)).max();
            Some(Looked::Round { parcels, form })
        } else if let LocalRequest::GetShop { merchant, .. } = request {
            Some(Looked::Shop(merchant.clone()))
        } else {
            None
        }
    }

    /// The form in which a deposit shows its recipient's contact.
    fn form_shown(&self, id: &DepositId) -> Option<ContactForm> {
        let deposit = self.state.deposits.get(id)?;
        let held = deposit.contact.as_ref()?.value.is_some();
        held.then_some(deposit.contact_form.unwrap_or(ContactForm::Full))
    }

    /// Puts a look on record.
    pub(super) fn looked(&mut self, turn: &mut Turn<'_>, caller: &(Digest, String), what: Looked) {
        let by = viewer(caller);
        self.record(turn, Record::Looked(Box::new(Look { by, what })));
    }

    /// `GET /looks`: newest first. At most [`SCANNED_MAX`] are gone through for those of one kind; `next` says
    /// where to go on.
    pub(super) fn looks_view(&self, before: u64, limit: u32, wanted: Option<LookKind>) -> Value {
        let limit = limit.clamp(1, PAGE_MAX) as usize;
        let end = if before == 0 {
            self.state.looks.len()
        } else {
            before.saturating_sub(1)
        };
        let zone = self.config.zone;
        let mut next = Value::Null;
        let page = self.state.looks.before(end).take(SCANNED_MAX);
        let page = page.inspect(|(index, _)| {
            next = if *index == 0 {
                Value::Null
            } else {
                json!(index + 1)
            };
        });
        let page = page.filter(|(_, entry)| wanted.is_none_or(|kind| is_wanted(&entry.what, kind)));
        let items: Vec<Value> = page
            .take(limit)
            .map(|(index, entry)| {
                let (parcels, form) = parts(&entry.what);
                json!({
                    "cursor": index + 1,
                    "at": entry.at.to_rfc3339(zone),
                    "by": entry.by.name,
                    "what": kind_of(&entry.what).as_str(),
                    "parcels": parcels.iter().map(|id| self.waybill_of(*id)).collect::<Vec<_>>(),
                    "merchant": match &entry.what { Looked::Shop(merchant) => Some(merchant.as_str()), Looked::Parcel { .. } | Looked::Round { .. } | Looked::Phone(_) | Looked::Address(_) | Looked::Call(_) => None },
                    "contactForm": form.map(ContactForm::as_str),
                })
            })
            .collect();
        json!({ "items": items, "next": next })
    }

    /// `GET /reveals`: which phones were asked for, newest first.
    pub(super) fn reveals_view(&self) -> Value {
        let mut all: Vec<&Reveal> = self.state.reveals.values().collect();
        all.sort_by_key(|reveal| std::cmp::Reverse((reveal.asked_at, reveal.id)));
        let items = all.into_iter().take(PAGE_MAX as usize);
        json!({ "items": items.map(|reveal| self.reveal_view(reveal)).collect::<Vec<_>>() })
    }

    fn reveal_view(&self, reveal: &Reveal) -> Value {
        let zone = self.config.zone;
        json!({
            "id": reveal.id.to_string(),
            "parcel": self.waybill_of(reveal.parcel),
            "reason": reveal.reason,
            "reference": reveal.reference,
            "askedBy": reveal.asked_by.name,
            "askedAt": reveal.asked_at.to_rfc3339(zone),
            "approvedBy": reveal.approved.as_ref().map(|(by, _)| &by.name),
            "approvedAt": reveal.approved.as_ref().map(|(_, at)| at.to_rfc3339(zone)),
            "letInAlike": reveal.approved.as_ref().and_then(|(by, _)| {
                self.let_in_alike(&reveal.asked_by.name, &by.name)
            }),
            "shownAt": reveal.shown_at.map(|at| at.to_rfc3339(zone)),
        })
    }

    fn waybill_of(&self, parcel: ParcelId) -> Option<String> {
        self.state.parcels.get(parcel).map(|p| p.waybill.to_text())
    }

    /// `POST /reveals`.
    ///
    /// # Errors
    /// 404 if there is no such parcel here or nothing is held of its recipient, 429 if too many wait.
    pub(super) fn ask_reveal(
        &mut self,
        turn: &mut Turn<'_>,
        caller: &(Digest, String),
        put: RevealPut,
    ) -> Result<LocalAnswer, Problem> {
        let parcel = self.state.parcels.find(&put.waybill);
        let held = parcel.filter(|p| p.recipient.as_ref().is_some_and(|r| r.value.is_some()));
        let parcel = held.ok_or_else(|| problem::not_found("recipient"))?.id;
        let waiting = self.state.reveals.values();
        if waiting.filter(|reveal| reveal.approved.is_none()).count() >= OPEN_MAX {
            return Err(problem(
                "too-many-reveals",
                429,
                "too many requests wait",
                "100 requests for phones wait for somebody's approval; have them decided on first",
            ));
        }
        let reveal = Reveal {
            id: turn.random_id(),
            parcel,
            reason: put.reason,
            reference: put.reference,
            asked_by: viewer(caller),
            asked_at: turn.at(),
            approved: None,
            shown_at: None,
        };
        let body = self.reveal_view(&reveal);
        self.record(turn, Record::Reveal(Box::new(reveal)));
        Ok(LocalAnswer::Json { status: 201, body })
    }

    /// `POST /reveals/{id}/approve` and `/show`.
    ///
    /// # Errors
    /// 403 if it is the same person's to ask and to approve, or another's to see; 409 if it was not
    /// approved, is over, or the recipient is deleted.
    pub(super) fn act_on_reveal(
        &mut self,
        turn: &mut Turn<'_>,
        caller: &(Digest, String),
        id: &interlock_core::ids::RequestId,
        act: RevealAct,
    ) -> Result<LocalAnswer, Problem> {
        let known = self.state.reveals.get(id).cloned();
        let mut reveal = known.ok_or_else(|| problem::not_found("request"))?;
        let own = reveal.asked_by.name == caller.1 || reveal.asked_by.caller == caller.0;
        let one = own || self.may_be_one(&reveal.asked_by.name, &caller.1);
        match act {
            RevealAct::Approve if one => Err(problem(
                "four-eyes",
                403,
                "somebody else has to approve",
                "you asked for this phone yourself, or one of you let the other in; another person approves it",
            )),
            RevealAct::Approve if reveal.approved.is_some() => Err(over("it was approved before")),
            RevealAct::Approve => {
                reveal.approved = Some((viewer(caller), turn.at()));
                let body = self.reveal_view(&reveal);
                self.record(turn, Record::Reveal(Box::new(reveal)));
                Ok(LocalAnswer::Json { status: 200, body })
            }
            RevealAct::Show if !own => Err(problem(
                "four-eyes",
                403,
                "not yours to see",
                "only who asked for this phone may see it; ask for it yourself",
            )),
            RevealAct::Show => self.show_phone(turn, caller, reveal),
        }
    }

    fn show_phone(
        &mut self,
        turn: &mut Turn<'_>,
        caller: &(Digest, String),
        mut reveal: Reveal,
    ) -> Result<LocalAnswer, Problem> {
        let Some((_, approved_at)) = &reveal.approved else {
            return Err(over("nobody has approved it yet; ask somebody to"));
        };
        if reveal.shown_at.is_some() {
            return Err(over("it was shown before, and is shown once; ask again"));
        }
        if turn.at().since_ms(*approved_at) > SHOWN_WITHIN_MS {
            return Err(over("it was approved more than 15 minutes ago; ask again"));
        }
        let parcel = self.state.parcels.get(reveal.parcel);
        let recipient = parcel.and_then(|p| p.recipient.as_ref()?.value.clone());
        let Some(recipient) = recipient else {
            return Err(over("the recipient's data was deleted meanwhile"));
        };
        reveal.shown_at = Some(turn.at());
        let (id, parcel) = (reveal.id, reveal.parcel);
        self.record(turn, Record::Reveal(Box::new(reveal)));
        self.looked(turn, caller, Looked::Phone(parcel));
        Ok(LocalAnswer::Json {
            status: 200,
            body: json!({ "id": id.to_string(), "phone": recipient.phone.reveal() }),
        })
    }
}

fn viewer(caller: &(Digest, String)) -> Viewer {
    Viewer {
        caller: caller.0,
        name: caller.1.clone(),
    }
}

fn over(why: &str) -> Problem {
    problem("not-shown", 409, "the phone is not shown", why)
}

/// What kind a look is of; never [`LookKind::People`].
const fn kind_of(what: &Looked) -> LookKind {
    match what {
        Looked::Parcel { .. } => LookKind::Parcel,
        Looked::Round { .. } => LookKind::Round,
        Looked::Shop(_) => LookKind::Shop,
        Looked::Address(_) => LookKind::Address,
        Looked::Phone(_) => LookKind::Phone,
        Looked::Call(_) => LookKind::Call,
    }
}

/// Whether a look is one of those that are wanted.
fn is_wanted(what: &Looked, wanted: LookKind) -> bool {
    let kind = kind_of(what);
    match wanted {
        LookKind::People => kind != LookKind::Call,
        LookKind::Parcel
        | LookKind::Round
        | LookKind::Shop
        | LookKind::Address
        | LookKind::Phone
        | LookKind::Call => kind == wanted,
    }
}

/// Parcels and form of a look.
fn parts(what: &Looked) -> (BTreeSet<ParcelId>, Option<ContactForm>) {
    match what {
        Looked::Parcel { parcel, form } => ([*parcel].into(), *form),
        Looked::Round { parcels, form } => (parcels.clone(), *form),
        Looked::Shop(_) => (BTreeSet::new(), None),
        Looked::Address(parcel) => ([*parcel].into(), None),
        Looked::Phone(parcel) | Looked::Call(parcel) => ([*parcel].into(), Some(ContactForm::Full)),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use ed25519_dalek::SigningKey;
    use interlock_core::ids::{MerchantId, ParticipantId};
    use interlock_core::time::Timestamp;

    use super::*;
    use crate::node::NodeConfig;

    fn node_after(looks: impl IntoIterator<Item = Looked>) -> Node {
        let me = ParticipantId::parse("did:web:cainiao.example").unwrap();
        let config = NodeConfig::new(me, "Cainiao", Vec::new());
        let mut node = Node::new(config, SigningKey::from_bytes(&[1; 32]));
        for what in looks {
            let by = viewer(&([7; 32], "an".into()));
            let record = Record::Looked(Box::new(Look { by, what }));
            let keys: BTreeMap<(u32, u32), [u8; 32]> = BTreeMap::new();
            node.replay(Timestamp::from_millis(0), &record, &keys)
                .unwrap();
        }
        node
    }

    /// Cursors of what a page lists, and where to go on.
    fn page(node: &Node, before: u64, limit: u32, what: Option<LookKind>) -> (Vec<u64>, Value) {
        let view = node.looks_view(before, limit, what);
        let items = view["items"].as_array().unwrap().iter();
        let cursors = items.map(|item| item["cursor"].as_u64().unwrap()).collect();
        (cursors, view["next"].clone())
    }

    fn each_kind() -> [Looked; 6] {
        let parcel = ParcelId::from_bytes([3; 16]);
        [
            Looked::Parcel { parcel, form: None },
            Looked::Round {
                parcels: [parcel].into(),
                form: None,
            },
            Looked::Shop(MerchantId::parse("m1").unwrap()),
            Looked::Address(parcel),
            Looked::Phone(parcel),
            Looked::Call(parcel),
        ]
    }

    #[test]
    fn a_list_of_one_kind_holds_that_kind_and_the_whole_list_all() {
        let node = node_after(each_kind());
        let all = |what| page(&node, 0, 100, what).0;
        assert_eq!(all(None), [6, 5, 4, 3, 2, 1]);
        assert_eq!(all(Some(LookKind::People)), [5, 4, 3, 2, 1]);
        for (kind, cursor) in LookKind::ALL.into_iter().skip(1).zip(1..) {
            assert_eq!(all(Some(kind)), [cursor], "{}", kind.as_str());
            let view = node.looks_view(0, 1, Some(kind));
            assert_eq!(view["items"][0]["what"], kind.as_str());
        }
    }

    #[test]
    fn pages_of_one_kind_lead_to_each_other_and_end() {
        let six = || each_kind().into_iter();
        let node = node_after(six().chain(six()).chain(six()));
        let people = Some(LookKind::People);
        let (mut before, mut seen) = (0, Vec::new());
        loop {
            let (cursors, next) = page(&node, before, 4, people);
            assert!(cursors.len() <= 4);
            seen.extend(cursors);
            match next.as_u64() {
                Some(next) => before = next,
                None => break,
            }
        }
        let wanted: Vec<u64> = (1..=18).rev().filter(|at| at % 6 != 0).collect();
        assert_eq!(seen, wanted);
        assert_eq!(page(&node, 1, 4, people), (vec![], Value::Null));
    }

    #[test]
    fn what_is_not_found_within_a_stretch_is_looked_for_from_there_on() {
        let [.., phone, call] = each_kind();
        let calls = std::iter::repeat_n(call, SCANNED_MAX + 1);
        let node = node_after([phone].into_iter().chain(calls));
        let phones = Some(LookKind::Phone);
        assert_eq!(page(&node, 0, 5, phones), (vec![], json!(3)));
        assert_eq!(page(&node, 3, 5, phones), (vec![1], Value::Null));
        assert_eq!(page(&node, 0, 1, None).0, [SCANNED_MAX as u64 + 2]);
    }
}
