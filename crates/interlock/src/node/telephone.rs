//! Calls to numbers that we leased: whom the telephone network connects.
//!
//! INVARIANT: a phone leaves by this door only to a key of the role `telephone`, for a partner's lease that
//! works, under an agreement that would release the contact in this form at this moment, and while the stay that
//! it was leased for is not over; each time it is on record. Whatever else is dialled, and by whom, gets one
//! and the same answer. It does not know the network.

use std::sync::Arc;

use interlock_core::contact::{ContactForm, Phone};
use interlock_core::dataset::Dataset;
use interlock_core::decide::{self, Decision, EvidenceSeen, ReleaseRequest, Usage};
use interlock_core::terms::{Field, Purpose};
use interlock_core::time::Timestamp;
use serde_json::json;

use super::Node;
use super::agreements::Agreement;
use super::io::{CallPut, Digest, Effect, LocalAnswer, LocalGuard, Problem, ReplyId};
use super::problem;
use super::record::{ItemRef, Looked};
use super::state::parcels::{ContactUse, Parcel};
use super::turn::Turn;

impl Node {
    /// `POST /calls`: 200 with `phone`, whom to connect, and `until`, when the lease ends. It leaves only while the
    /// lease and the agreement last.
    ///
    /// 404 if nobody is reached: the number or extension is not leased, or not any more, or not to who
    /// calls; the stay is over; the agreement does not cover it; or the recipient is deleted.
    pub(super) fn connect_call(
        &mut self,
        turn: &mut Turn<'_>,
        reply: ReplyId,
        caller: &(Digest, String),
        call: &CallPut,
    ) {
        let reached = self
            .leased(turn, call)
            .and_then(|(parcel, until)| Some((parcel.id, self.reached(turn, &parcel)?, until)));
        let Some((id, (phone, covered_until), until)) = reached else {
            return self.reply(turn, reply, LocalAnswer::Problem(nobody()));
        };
        let body = json!({
            "phone": phone.reveal(),
            "until": until.to_rfc3339(self.config.zone),
        });
        self.looked(turn, caller, Looked::Call(id));
        let guard = LocalGuard {
            until: until.min(covered_until),
            instead: nobody(),
        };
        turn.push(Effect::ReplyLocal {
            to: reply,
            answer: LocalAnswer::Json { status: 200, body },
            guard: Some(Box::new(guard)),
        });
    }

    /// The parcel that is leased under what was dialled to who calls, and until when, by the clock alone.
    fn leased(&self, turn: &Turn<'_>, call: &CallPut) -> Option<(Arc<Parcel>, Timestamp)> {
        let parcels = &self.state.parcels;
        let (parcel, dialled, caller) = match &call.extension {
            Some(extension) if self.config.virtual_number.as_deref() == Some(call.to.reveal()) => {
                let leased = self.state.links.leased(extension.as_str(), parcels.len());
                (parcels.at_place(leased?.0)?, extension.as_str(), None)
            }
            Some(_) => return None,
            None => {
                let caller = self.config.virtual_callers.get(call.from.as_ref()?)?;
                let bound = self.state.bindings.parcel(caller, call.to.digits())?;
                (parcels.get(bound)?, call.to.reveal(), Some(caller))
            }
        };
        let (leased, until, holder) = parcel.lease.as_ref()?;
        let theirs = caller.is_none_or(|caller| caller == holder);
        let until = *until;
        // Whoever is no partner any more is released nothing, whatever was agreed on.
        let partner = self.state.partners.contains_key(holder);
        let works = leased == dialled && theirs && partner && turn.now.latest < until;
        works.then_some((parcel, until))
    }

    /// The phone of a parcel's recipient, if what it was leased for goes on and is covered, and until when it is.
    fn reached(&self, turn: &Turn<'_>, parcel: &Parcel) -> Option<(Phone, Timestamp)> {
        let (_, _, holder) = parcel.lease.as_ref()?;
        let mut uses = parcel.uses.iter().rev();
        let used = uses.find(|used| used.to == *holder && used.form == ContactForm::Virtual)?;
        if is_over(parcel, used) {
            return None;
        }
        let (book, contact) = (&self.state.book, Dataset::RecipientContact);
        let mut agreements = book.between(&self.state.me, holder, contact);
        let covers = |agreement: &Agreement| {
            self.may_be_asked_about(parcel, &agreement.terms)
                && self.covers_call(turn, agreement, parcel, used)
        };
        let covered_until = agreements
            .find(|agreement| covers(agreement))?
            .flows_until();
        let recipient = parcel.recipient.as_ref()?.value.as_ref()?;
        Some((recipient.phone.clone(), covered_until))
    }

    /// Whether an agreement would release the contact as it was leased. Its quota was debited then.
    fn covers_call(
        &self,
        turn: &Turn<'_>,
        agreement: &Agreement,
        parcel: &Parcel,
        used: &ContactUse,
    ) -> bool {
        let Some(purpose) = Purpose::parse(&used.purpose) else {
            return false;
        };
        let request = ReleaseRequest {
            purpose,
            marketplace: parcel.marketplace.as_ref(),
            fields: &[Field::Contact],
            form: Some(ContactForm::Virtual),
            arose_at: turn.at(),
            qualified_at: Some(parcel.registered_at),
        };
        let evidence = EvidenceSeen {
            arrival: true,
            deposit: true,
            open_elsewhere: false,
        };
        let now = self.deciding(turn, &used.to);
        let standing = self.standing(&now, agreement, Some(&ItemRef::Advice(parcel.id)));
        let decision = decide::decide(
            &request,
            &agreement.terms,
            &standing,
            &Usage::default(),
            &evidence,
            &now,
        );
        matches!(decision, Decision::Release(grant) if grant.form == Some(ContactForm::Virtual))
    }
}

/// The one answer to whatever connects nobody.
fn nobody() -> Problem {
    problem::not_found("call")
}

/// Whether what a contact was leased for is over: the parcel's life has ended, or it has left its
/// compartment since. Who has it in hand is called for it no more, however often the contact is asked for.
fn is_over(parcel: &Parcel, used: &ContactUse) -> bool {
    let left = parcel
        .last_in_locker()
        .filter(|last| last.event.step.leaves_compartment());
    let left = left.is_some_and(|left| left.event.step.is_final() || left.logged_at >= used.at);
    left || parcel.closed_at.is_some()
}
