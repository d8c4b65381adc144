//! Calls to numbers that we leased: whom the telephone network connects.
//!
//! INVARIANT: a phone leaves by this door only to a key of the role `telephone`, for a partner's lease that
//! works, under an agreement that would release the contact in this form at this moment, while the stay that
//! it was leased for is not over by its holder's word, and after our log toward its holder was compared; each
//! time it is on record. Whatever else is dialled, and by whom, gets one and the same answer. It does not know
//! the network.

use std::sync::Arc;

use interlock_core::contact::{ContactForm, Phone};
use interlock_core::dataset::Dataset;
use interlock_core::decide::{self, Decision, EvidenceSeen, ReleaseRequest, Usage};
use interlock_core::terms::{Field, Purpose};
use interlock_core::time::{DAY_MS, HOUR_MS, Timestamp};
use serde_json::json;

use super::Node;
use super::agreements::Agreement;
use super::io::{CallPut, Digest, Effect, LocalAnswer, LocalGuard, Problem, ReplyId};
use super::problem;
use super::record::{AlertKind, ItemRef, Looked};
use super::state::parcels::{ContactUse, Lease, Leased, Parcel};
use super::turn::Turn;

/// So many calls of one key to nobody within an hour are told, if they are more than half of its calls.
const NOWHERE_MAX: u32 = 100;

/// What the holder of a key asked within an hour. Forgotten at a restart.
#[derive(Debug, Default)]
pub struct Dialled {
    since: Option<Timestamp>,
    calls: u32,
    nowhere: u32,
    /// When people were told last.
    told: Option<Timestamp>,
}

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
        let reached = self.leased(turn, call).and_then(|(parcel, lease)| {
            Some((parcel.id, self.reached(turn, &parcel, &lease)?, lease.until))
        });
        self.dialled(turn, &caller.1, reached.is_some());
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

    /// Counts what the holder of a key asked, and tells people where most of it leads nowhere.
    pub(super) fn dialled(&mut self, turn: &mut Turn<'_>, by: &str, reached: bool) {
        let now = turn.at();
        let asked = self.live.dialled.entry(by.to_owned()).or_default();
        if asked
            .since
            .is_none_or(|since| now.since_ms(since) >= HOUR_MS)
        {
            (asked.since, asked.calls, asked.nowhere) = (Some(now), 0, 0);
        }
        asked.calls = asked.calls.saturating_add(1);
        asked.nowhere = asked.nowhere.saturating_add(u32::from(!reached));
        let many = asked.nowhere >= NOWHERE_MAX && asked.nowhere > asked.calls / 2;
        if !many || asked.told.is_some_and(|told| now.since_ms(told) < DAY_MS) {
            return;
        }
        asked.told = Some(now);
        let detail = format!(
            "`{by}` asked whom to connect for {} calls within an hour, of which {} reach nobody: somebody tries \
             numbers, or the network asks in a wrong way; find out who calls, and withdraw the key if nobody knows",
            asked.calls, asked.nowhere
        );
        self.alert(turn, AlertKind::CallsToNobody, None, None, detail);
    }

    /// The parcel and the lease behind what was dialled by who calls.
    fn leased(&self, turn: &Turn<'_>, call: &CallPut) -> Option<(Arc<Parcel>, Lease)> {
        let (state, parcels) = (&self.state, &self.state.parcels);
        let (parcel, dialled, caller) = match &call.extension {
            Some(extension) if self.config.virtual_number.as_deref() == Some(call.to.reveal()) => {
                let (lost, dialled) = (state.rolled_back_at, extension.as_str());
                let (number, nth) = state.links.leased(lost, dialled, parcels.len())?;
                (parcels.at_place(number)?, Leased::Extension(nth), None)
            }
            Some(_) => return None,
            None => {
                let digits = call.to.digits();
                let caller = self.config.virtual_callers.get(call.from.as_ref()?)?;
                self.config
                    .virtual_pool
                    .filter(|pool| pool.contains(digits))?;
                let bound = state.bindings.parcel(caller, digits)?;
                (parcels.get(bound)?, Leased::Number(digits), Some(caller))
            }
        };
        let is_it = |lease: &&Lease| {
            lease.number == dialled && caller.is_none_or(|caller| *caller == lease.holder)
        };
        let lease = parcel.leases.iter().rev().find(is_it)?.clone();
        // Whoever is no partner any more is released nothing, whatever was agreed on; and of whom we do not
        // know yet what we have told it, we may have forgotten that something is over.
        let partner = state.partners.contains_key(&lease.holder) && self.is_compared(&lease.holder);
        let works = partner && state.may_be_called(&lease, turn.now.latest);
        works.then_some((parcel, lease))
    }

    /// The phone of a parcel's recipient, if what it was leased for goes on and is covered, and until when it is.
    fn reached(
        &self,
        turn: &Turn<'_>,
        parcel: &Parcel,
        lease: &Lease,
    ) -> Option<(Phone, Timestamp)> {
        let holder = &lease.holder;
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

/// Whether what a contact was leased for is over: the parcel's life has ended, or it has left its
/// compartment since, by the word of whoever leased it or, if it has said nothing, of whoever has. Whoever asks
/// for the contact again, on evidence of another arrival, begins anew: that is its word alone.
fn is_over(parcel: &Parcel, used: &ContactUse) -> bool {
    let theirs = parcel.last_in_locker_of(&used.to);
    let last = theirs.or_else(|| parcel.last_in_locker());
    let left = last.filter(|last| last.event.step.leaves_compartment());
    let left = left.is_some_and(|left| left.event.step.is_final() || left.logged_at >= used.at);
    left || parcel.closed_at.is_some()
}

/// The one answer to whatever connects nobody.
fn nobody() -> Problem {
    problem::problem(
        "not-found",
        404,
        "nobody is connected",
        "nobody is reached at the number that was dialled, or not by who calls, or not any more; hang up",
    )
}
