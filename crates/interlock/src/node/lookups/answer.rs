//! Answering partners that ask for the contacts of our parcels.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use interlock_core::contact::{ContactForm, Phone};
use interlock_core::dataset::{Dataset, DatasetForm};
use interlock_core::decide::{self, Decision, EvidenceSeen, Grant, ReleaseRequest};
use interlock_core::ids::{ParcelId, ParticipantId, WireId};
use interlock_core::parcel::{ConsentDenial, admits};
use interlock_core::terms::{Field, Purpose, Terms, check_combination};
use interlock_core::time::{DAY_MS, Timestamp};
use interlock_core::waybill::Waybill;

use crate::exchange::wire::{
    ArrivalKind, Blob, Contact, Envelope, LOOKUP_ITEMS_MAX, LookupAnswer, LookupItem,
    LookupOutcome, LookupRequest,
};
use crate::identity::sealing;
use crate::node::Node;
use crate::node::agreements::Agreement;
use crate::node::io::{Effect, Guard, PeerAnswer, Problem, ReplyId};
use crate::node::problem::{self, field};
use crate::node::record::{ItemRef, LookupDecision, LookupReleased, Record};
use crate::node::state::bindings::COOL_DOWN_MS;
use crate::node::state::channel::Answered;
use crate::node::state::parcels::{Lease, Leased, Parcel};
use crate::node::turn::Turn;

/// Most lookups that may be without receipt.
const UNRECEIPTED_MAX: usize = 2;
/// How long a leased number works, and a sealed one opens, in milliseconds.
const LEASE_MS: i64 = 7 * DAY_MS;
/// Longest skew of evidence against our clock, in milliseconds.
const EVIDENCE_SKEW_MS: i64 = 60_000;

/// One lookup while it is decided, item by item.
struct Asking<'a> {
    from: &'a ParticipantId,
    request: &'a LookupRequest,
    standing_of: &'a Agreement,
    terms: Terms,
    day: i64,
    /// Parcels that this lookup has released so far, each as often as it was.
    released: Vec<ParcelId>,
    /// Those of them that had not counted on this day before.
    new: BTreeSet<ParcelId>,
    /// Numbers of the pool that may be bound for the asker, the next one last.
    free: Vec<u64>,
    /// What this lookup has leased so far.
    leases: BTreeMap<ParcelId, (String, Timestamp)>,
}

impl Node {
    /// A partner's lookup.
    pub(in crate::node) fn lookup(
        &mut self,
        turn: &mut Turn<'_>,
        reply: ReplyId,
        from: &ParticipantId,
        transfer: &WireId,
        envelope: &Envelope<LookupRequest>,
    ) {
        let (answer, guard) = match self.decide_lookup(turn, from, transfer, envelope) {
            Ok((answer, guard)) => (answer, Some(guard)),
            Err(refused) => (PeerAnswer::Problem(refused), None),
        };
        turn.push(Effect::ReplyPeer {
            to: reply,
            answer,
            guard,
        });
    }

    fn decide_lookup(
        &mut self,
        turn: &mut Turn<'_>,
        from: &ParticipantId,
        transfer: &WireId,
        envelope: &Envelope<LookupRequest>,
    ) -> Result<(PeerAnswer, Guard), Problem> {
        let agreement = self.provided(from, transfer, DatasetForm::Lookup)?;
        let request = &envelope.body;
        check_lookup(request)?;
        self.take_evidence(turn, from, &envelope.evidence)?;
        self.receipt_leaf_if_much(turn, from);
        let items_root = crate::node::evidence::lookup_root(&request.items);
        let known = self
            .state
            .channels
            .get(from)
            .and_then(|c| c.answer_to(request.request_id))
            .cloned();
        let answered = match known {
            Some(answered) if answered.items_root != items_root => {
                return Err(field(
                    "request-id-reused",
                    422,
                    "the request id was used for other items",
                    "/body/request_id",
                    "draw a new request id for a new request; the same id repeats the same request only",
                ));
            }
            Some(answered) => {
                if let Some(reason) = self.closed(&turn.now, &agreement) {
                    return Err(problem::denial(reason));
                }
                answered
            }
            None => self.release_lookup(turn, from, &agreement, request, items_root)?,
        };
        let items = answered
            .outcomes
            .iter()
            .map(|outcome| self.outcome(turn, from, outcome))
            .collect();
        let body = LookupAnswer {
            request_id: request.request_id,
            items,
        };
        let guard = Guard {
            until: agreement.flows_until(),
            agreement: agreement.id,
            to: from.clone(),
        };
        Ok((PeerAnswer::Lookup(self.envelope(turn, from, body)), guard))
    }

    fn release_lookup(
        &mut self,
        turn: &mut Turn<'_>,
        from: &ParticipantId,
        agreement: &Agreement,
        request: &LookupRequest,
        items_root: [u8; 32],
    ) -> Result<Answered, Problem> {
        self.may_answer(from, agreement, request, &items_root)?;
        let day = agreement.terms.zone.day_of(turn.at());
        let mut asking = Asking {
            from,
            request,
            standing_of: agreement,
            terms: self.producible(&agreement.terms),
            day,
            released: Vec::new(),
            new: BTreeSet::new(),
            free: self.free_numbers(turn, from, request.items.len()),
            leases: BTreeMap::new(),
        };
        let mut outcomes = Vec::with_capacity(request.items.len());
        for item in &request.items {
            let outcome = self.decide_contact(turn, &mut asking, item);
            if let LookupDecision::Released { parcel, .. } = &outcome {
                let channel = self.state.channels.get(from);
                let used = channel.and_then(|c| c.usage.get(&asking.terms.dataset));
                if !used.is_some_and(|used| used.counted(day, *parcel)) {
                    asking.new.insert(*parcel);
                }
                asking.released.push(*parcel);
            }
            outcomes.push(outcome);
        }
        let leaves = self.lookup_leaves(
            turn,
            agreement,
            request.request_id,
            &request.items,
            &outcomes,
        );
        self.record(
            turn,
            Record::LookupReleased(Box::new(LookupReleased {
                to: from.clone(),
                agreement: agreement.id.clone(),
                request_id: request.request_id,
                purpose: request.purpose.clone(),
                day,
                outcomes,
                leaves,
                items_root,
            })),
        );
        let answered = self
            .state
            .channels
            .get(from)
            .and_then(|c| c.answered.back())
            .cloned();
        answered.ok_or_else(|| {
            problem::problem(
                "internal",
                500,
                "not released",
                "the release could not be put on record; try again",
            )
        })
    }

    /// Whether the request is on evidence and earlier answers are receipted.
    fn may_answer(
        &self,
        from: &ParticipantId,
        agreement: &Agreement,
        request: &LookupRequest,
        items_root: &[u8; 32],
    ) -> Result<(), Problem> {
        if !self.shows_request(from, &agreement.id, request, items_root) {
            return Err(problem::problem(
                "evidence-mismatch",
                422,
                "the request is not on evidence",
                "the body is not what your log says you asked for; append the request to your log first, \
                 then send it as it is there",
            ));
        }
        let channel = self.state.channels.get(from);
        if channel.is_some_and(|c| c.answered.len() >= UNRECEIPTED_MAX || !c.has_room()) {
            return Err(problem::problem(
                "receipt-missing",
                409,
                "receipts are missing",
                format!(
                    "{UNRECEIPTED_MAX} answers are without receipt; send their receipts with the next call"
                ),
            ));
        }
        Ok(())
    }

    /// Whether this node can keep terms as the provider: without a form of contact that it can make,
    /// parcels would be stranded.
    ///
    /// # Errors
    /// What to change.
    pub(in crate::node) fn can_provide(&self, terms: &Terms) -> Result<(), String> {
        if terms.dataset.form() != DatasetForm::Lookup {
            return Ok(());
        }
        check_combination(&self.producible(terms)).map_err(|_| {
            "this node can make none of the forms of contact that would do: `virtual` needs \
             `notify.virtual_number` in the configuration, `sealed` needs `notify.messenger`; add another \
             form"
                .into()
        })
    }

    /// The terms with those forms of contact only that this node can make.
    fn producible(&self, terms: &Terms) -> Terms {
        let mut terms = terms.clone();
        terms.contact_forms.retain(|form| match form {
            ContactForm::Masked | ContactForm::Full => true,
            ContactForm::Virtual => self.config.virtual_number.is_some(),
            ContactForm::Sealed => self.config.messenger.is_some(),
        });
        terms
    }

    fn decide_contact(
        &self,
        turn: &Turn<'_>,
        asking: &mut Asking<'_>,
        item: &LookupItem,
    ) -> LookupDecision {
        let denied = |reason: &str| LookupDecision::Denied {
            reason: reason.into(),
        };
        let Some(purpose) = Purpose::parse(&asking.request.purpose) else {
            return denied("purpose-not-granted");
        };
        let waybill = Waybill::parse(&item.carrier, &item.number).ok();
        let parcel = waybill.and_then(|w| self.state.parcels.find(&w));
        let ours = |p: &Arc<Parcel>| self.may_be_asked_about(p, &asking.terms);
        let parcel = parcel.filter(ours);
        let decision = self.decide_item_of(turn, asking, purpose, item, parcel.as_deref());
        let Some(parcel) = parcel else {
            return match decision {
                Decision::Denial(reason) => denied(reason.as_str()),
                Decision::Release(_) => denied("unknown-parcel"),
            };
        };
        match decision {
            Decision::Denial(reason) => denied(reason.as_str()),
            Decision::Release(Grant { form: None, .. }) => denied("form-not-granted"),
            Decision::Release(Grant {
                form: Some(form), ..
            }) => match self.consent(turn, &parcel, item) {
                Err(reason) => denied(reason),
                Ok(()) => {
                    let lease = match form {
                        ContactForm::Virtual => match self.lease(turn, asking, &parcel) {
                            Some(lease) => Some(lease),
                            None => return denied("no-virtual-number"),
                        },
                        ContactForm::Masked | ContactForm::Sealed | ContactForm::Full => None,
                    };
                    LookupDecision::Released {
                        parcel: parcel.id,
                        form,
                        lease,
                    }
                }
            },
        }
    }

    /// Whether a parcel is one that these terms can release: ours, of a marketplace in their scope, with
    /// a recipient who is still known. All others are answered like a waybill that does not exist: a
    /// reason of their own would tell whose they are.
    pub(in crate::node) fn may_be_asked_about(&self, parcel: &Parcel, terms: &Terms) -> bool {
        let held = parcel.recipient.as_ref().and_then(|r| r.value.as_ref());
        let marketplace = parcel.marketplace.as_ref();
        parcel.owner() == Some(&self.state.me)
            && held.is_some()
            && marketplace.is_some_and(|market| terms.marketplaces.contains(market))
    }

    /// What the terms say of an item. What is not our parcel is decided like one of ours that came just
    /// now: else the reason would tell, without evidence or after the term, whose a waybill is.
    fn decide_item_of(
        &self,
        turn: &Turn<'_>,
        asking: &Asking<'_>,
        purpose: Purpose,
        item: &LookupItem,
        parcel: Option<&Parcel>,
    ) -> Decision {
        let qualified_at = parcel.map(|p| p.registered_at);
        let marketplace = match parcel {
            Some(parcel) => parcel.marketplace.as_ref(),
            None => asking.terms.marketplaces.first(),
        };
        let request = ReleaseRequest {
            purpose,
            marketplace,
            fields: &[Field::Contact],
            form: asking.request.form,
            // A contact is asked for now, whenever its parcel was announced.
            arose_at: turn.at(),
            qualified_at,
        };
        let evidence = EvidenceSeen {
            arrival: has(item, ArrivalKind::Arrival, turn),
            deposit: has(item, ArrivalKind::Deposit, turn),
            open_elsewhere: false,
        };
        let now = self.deciding(turn, asking.from);
        let advice = parcel.map(|p| ItemRef::Advice(p.id));
        decide::decide(
            &request,
            &asking.terms,
            &self.standing(&now, asking.standing_of, advice.as_ref()),
            &self.usage_of(asking, parcel),
            &evidence,
            &now,
        )
    }

    /// Usage with what this lookup has used so far.
    fn usage_of(&self, asking: &Asking<'_>, parcel: Option<&Parcel>) -> decide::Usage {
        let before = self.usage(asking.from, asking.terms.dataset, asking.day, parcel);
        let is_it = |id: &ParcelId| parcel.is_some_and(|p| p.id == *id);
        let of_it = asking.released.iter().filter(|id| is_it(id));
        let count = |n| u32::try_from(n).unwrap_or(u32::MAX);
        decide::Usage {
            parcels_today: before.parcels_today.saturating_add(count(asking.new.len())),
            parcel_counted_today: before.parcel_counted_today
                || parcel.is_some_and(|p| asking.new.contains(&p.id)),
            releases_of_parcel: before
                .releases_of_parcel
                .saturating_add(count(of_it.count())),
        }
    }

    /// What a partner has used of a dataset: of one parcel, and on `day`.
    pub(in crate::node) fn usage(
        &self,
        partner: &ParticipantId,
        dataset: Dataset,
        day: i64,
        parcel: Option<&Parcel>,
    ) -> decide::Usage {
        let channel = self.state.channels.get(partner);
        let used = channel.and_then(|c| c.usage.get(&dataset));
        decide::Usage {
            parcels_today: used.map_or(0, |used| used.parcels_on(day)),
            parcel_counted_today: used
                .zip(parcel)
                .is_some_and(|(used, parcel)| used.counted(day, parcel.id)),
            releases_of_parcel: parcel.map_or(0, |parcel| parcel.releases_to(partner)),
        }
    }

    /// Whether the recipient agreed to this station now; else why not.
    fn consent(
        &self,
        turn: &Turn<'_>,
        parcel: &Parcel,
        item: &LookupItem,
    ) -> Result<(), &'static str> {
        let Some(evidence) = &item.evidence else {
            return Ok(());
        };
        let admitted = admits(
            parcel.consent,
            &parcel.preference,
            &evidence.station,
            turn.at(),
            self.config.zone,
        );
        admitted.map_err(|denial| match denial {
            ConsentDenial::Refused => "consent-refused",
            ConsentDenial::Unknown => "consent-unknown",
            ConsentDenial::NoLocker => "consent-no-locker",
            ConsentDenial::OtherStation(_) => "consent-other-station",
            ConsentDenial::NotBefore(_) => "consent-not-before",
        })
    }

    fn has_number_to_call_from(&self, partner: &ParticipantId) -> bool {
        let mut callers = self.config.virtual_callers.values();
        callers.any(|id| id == partner)
    }

    /// The numbers of the pool that may be bound for a consumer, if it has a number to call them from. None
    /// after the end of our journal was lost, until whatever was bound in it has ended and rested.
    fn free_numbers(&self, turn: &Turn<'_>, to: &ParticipantId, most: usize) -> Vec<u64> {
        let Some(pool) = self.config.virtual_pool else {
            return Vec::new();
        };
        let lost = self.state.rolled_back_at;
        let forgotten = lost.is_some_and(|lost| turn.at() < lost.plus_ms(LEASE_MS + COOL_DOWN_MS));
        if forgotten || !self.has_number_to_call_from(to) {
            return Vec::new();
        }
        let mut free = self.state.bindings.free(to, pool, turn.at(), most);
        free.reverse();
        free
    }

    /// What is leased for a parcel, and until when: what the consumer has while it works, else a number of
    /// the pool, else an extension. What others have of the same parcel changes nothing of it. `None` once its
    /// extensions are used up.
    fn lease(
        &self,
        turn: &Turn<'_>,
        asking: &mut Asking<'_>,
        parcel: &Parcel,
    ) -> Option<(String, Timestamp)> {
        let held = parcel.lease_of(asking.from).filter(|held| {
            self.state.may_be_called(held, turn.at()) && self.leads_back(held, parcel)
        });
        if let Some(held) = held {
            return Some((held.number.to_string(), held.until));
        }
        if let Some(drawn) = asking.leases.get(&parcel.id) {
            return Some(drawn.clone());
        }
        let number = match asking.free.pop() {
            Some(digits) => Leased::Number(digits),
            None => {
                let nth = u16::try_from(parcel.leases.len()).ok()?;
                self.extension(parcel, nth)?;
                Leased::Extension(nth)
            }
        };
        let lease = (number.to_string(), turn.at().plus_ms(LEASE_MS));
        asking.leases.insert(parcel.id, lease.clone());
        Some(lease)
    }

    /// Whether a call to what was leased finds its parcel, as this node is configured now.
    fn leads_back(&self, lease: &Lease, parcel: &Parcel) -> bool {
        match lease.number {
            Leased::Extension(_) => true,
            Leased::Number(digits) => {
                let bound = self.state.bindings.parcel(&lease.holder, digits);
                let pool = self.config.virtual_pool;
                bound == Some(parcel.id)
                    && pool.is_some_and(|pool| pool.contains(digits))
                    && self.has_number_to_call_from(&lease.holder)
            }
        }
    }

    /// The digits of one of a parcel's extensions.
    fn extension(&self, parcel: &Parcel, nth: u16) -> Option<String> {
        let number = self.state.parcels.number(parcel.id)?;
        let links = &self.state.links;
        links.lease(self.state.rolled_back_at, number, nth)
    }

    /// An outcome with the contact itself, from the parcel as it is now.
    fn outcome(
        &self,
        turn: &mut Turn<'_>,
        to: &ParticipantId,
        decision: &LookupDecision,
    ) -> LookupOutcome {
        let denied = |reason: &str| LookupOutcome::Denied {
            reason: reason.into(),
        };
        let (parcel, form, lease) = match decision {
            LookupDecision::Denied { reason } => return denied(reason),
            LookupDecision::Released {
                parcel,
                form,
                lease,
            } => (parcel, form, lease),
        };
        let parcel = self.state.parcels.get(*parcel);
        let recipient = parcel
            .as_ref()
            .and_then(|p| p.recipient.as_ref())
            .and_then(|r| r.value.as_ref());
        let (Some(parcel), Some(recipient)) = (&parcel, recipient) else {
            return denied("deleted");
        };
        match form {
            ContactForm::Masked => LookupOutcome::Released(Contact::Masked {
                phone: recipient.phone.masked(),
            }),
            ContactForm::Full => LookupOutcome::Released(Contact::Full {
                phone: recipient.phone.reveal().into(),
            }),
            ContactForm::Virtual => match self.dialled_as(parcel, lease.as_ref()) {
                Some(contact) => LookupOutcome::Released(contact),
                None => denied("no-virtual-number"),
            },
            ContactForm::Sealed => match self.sealed(turn, to, &recipient.phone) {
                Some(contact) => LookupOutcome::Released(contact),
                None => denied("no-messenger"),
            },
        }
    }

    /// What was leased, as it is dialled.
    fn dialled_as(&self, parcel: &Parcel, lease: Option<&(String, Timestamp)>) -> Option<Contact> {
        let (text, until) = lease?;
        let number = Leased::parse(text)?;
        let (shown, extension) = match number {
            Leased::Number(_) => (number.to_string(), String::new()),
            Leased::Extension(nth) => (
                self.config.virtual_number.clone()?,
                self.extension(parcel, nth)?,
            ),
        };
        Some(Contact::Virtual {
            number: shown,
            extension,
            expires_at: *until,
        })
    }

    /// A phone that the consumer can have sent to, and cannot read.
    fn sealed(&self, turn: &mut Turn<'_>, to: &ParticipantId, phone: &Phone) -> Option<Contact> {
        let messenger = self.config.messenger.as_ref()?;
        let until = turn.at().plus_ms(LEASE_MS);
        let sealed = sealing::seal(messenger, to, phone, until, turn.rng())?;
        Some(Contact::Sealed {
            messenger: messenger.id.clone(),
            ciphertext: Blob(sealed),
        })
    }
}

fn has(item: &LookupItem, kind: ArrivalKind, turn: &Turn<'_>) -> bool {
    item.evidence
        .as_ref()
        .is_some_and(|e| e.kind == kind && e.at <= turn.now.latest.plus_ms(EVIDENCE_SKEW_MS))
}

fn check_lookup(request: &LookupRequest) -> Result<(), Problem> {
    if request.items.is_empty() || request.items.len() > LOOKUP_ITEMS_MAX {
        return Err(field(
            "lookup-size",
            422,
            "not a lookup",
            "/body/items",
            format!(
                "{} items; send 1 to {LOOKUP_ITEMS_MAX}",
                request.items.len()
            ),
        ));
    }
    Ok(())
}
