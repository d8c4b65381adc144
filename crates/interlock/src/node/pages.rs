//! What the pages behind links show.
//!
//! Purpose: views of one parcel for its buyer, merchant and recipient. Invariants: an unknown, foreign
//! or ended link gets the same refusal; opening a page changes nothing and shows no code; the code is
//! shown only while it is ours to tell. It does not know HTML.

use interlock_core::event::{Place, Step};
use interlock_core::ids::{ParcelId, ParticipantId};
use interlock_core::terms::Purpose;
use interlock_core::time::{DAY_MS, HOUR_MS, Timestamp};

use super::Node;
use super::content::LinkKind;
use super::io::{LocalAnswer, PageRequest};
use super::parcels::place_words;
use super::problem;
use super::record::Asker;
use super::state::parcels::Parcel;
use super::turn::Turn;
use crate::exchange::wire::CodeTold;
use crate::pages::{
    Access, CodeView, DelegateView, DoneView, EnrolmentView, Fate, PickupState, PickupView,
    ReportView, Stale, StaleReason, StationView, TrackedEvent, TrackingView,
};

/// How long after the end of a parcel's life its links work, in milliseconds.
const LINK_AFTER_END_MS: i64 = 7 * DAY_MS;
/// How long a link works at most, in milliseconds.
const LINK_LIFE_MS: i64 = 90 * DAY_MS;

impl Node {
    pub(super) fn page(&mut self, turn: &mut Turn<'_>, request: &PageRequest) -> LocalAnswer {
        let found = match request {
            PageRequest::Person(name) => {
                let person = self.state.people.get(name).cloned().map(Box::new);
                return LocalAnswer::Person(person);
            }
            PageRequest::Tracking(digest) => self.state.parcels.by_link(digest, LinkKind::Tracking),
            PageRequest::Delegated(digest) | PageRequest::DelegatedCode(digest) => {
                self.delegated_parcel(digest)
            }
            PageRequest::Pickup(digest)
            | PageRequest::ShowCode(digest)
            | PageRequest::Erase(digest)
            | PageRequest::Later(digest)
            | PageRequest::Delegate(digest)
            | PageRequest::Enrol(digest, _)
            | PageRequest::Report(digest, _)
            | PageRequest::Withdraw(digest) => self.state.parcels.by_link(digest, LinkKind::Pickup),
        };
        let found = found.filter(|parcel| link_works(parcel, turn.at()));
        let Some(id) = found.map(|parcel| parcel.id) else {
            return LocalAnswer::Problem(problem::not_found("page"));
        };
        let done = self.wanted(turn, id, request);
        let Some(parcel) = self.state.parcels.get(id) else {
            return LocalAnswer::Problem(problem::not_found("page"));
        };
        if matches!(request, PageRequest::Tracking(_)) {
            return LocalAnswer::Tracking(Box::new(self.tracking_view(turn, &parcel)));
        }
        let show = matches!(
            request,
            PageRequest::ShowCode(_) | PageRequest::DelegatedCode(_)
        );
        let view = self.pickup_view(turn, &parcel, show);
        let view = self.with_sealed_code(turn, &parcel, view);
        let view = match request {
            PageRequest::Delegated(_) | PageRequest::DelegatedCode(_) => for_delegate(view),
            PageRequest::Tracking(_)
            | PageRequest::Pickup(_)
            | PageRequest::ShowCode(_)
            | PageRequest::Person(_)
            | PageRequest::Erase(_)
            | PageRequest::Later(_)
            | PageRequest::Delegate(_)
            | PageRequest::Enrol(..)
            | PageRequest::Report(..)
            | PageRequest::Withdraw(_) => view,
        };
        LocalAnswer::Pickup(Box::new(PickupView { done, ..view }))
    }

    /// Does what a form asks for; `None` if it asks for nothing, or for what cannot be.
    fn wanted(
        &mut self,
        turn: &mut Turn<'_>,
        parcel: ParcelId,
        request: &PageRequest,
    ) -> Option<DoneView> {
        match request {
            PageRequest::Erase(_) => {
                self.recipient_asks(turn, parcel, Asker::Recipient);
                Some(DoneView::Deleted)
            }
            PageRequest::Later(_) => self.more_time(turn, parcel).then_some(DoneView::Later),
            PageRequest::Delegate(_) => self.delegate(turn, parcel).then_some(DoneView::Delegated),
            PageRequest::Withdraw(_) => self
                .withdraw_delegate(turn, parcel)
                .then_some(DoneView::Withdrawn),
            PageRequest::Enrol(_, key) => self
                .enrol(turn, parcel, *key, Asker::Recipient)
                .then_some(DoneView::Enrolled),
            PageRequest::Report(_, report) => self
                .report(turn, parcel, *report)
                .then_some(DoneView::Reported),
            PageRequest::Tracking(_)
            | PageRequest::Pickup(_)
            | PageRequest::ShowCode(_)
            | PageRequest::Person(_)
            | PageRequest::Delegated(_)
            | PageRequest::DelegatedCode(_) => None,
        }
    }

    fn tracking_view(&self, turn: &Turn<'_>, parcel: &Parcel) -> TrackingView {
        let mut events: Vec<TrackedEvent> = parcel
            .events
            .iter()
            // Of one minute, what was learnt last is the newest.
            .rev()
            .map(|entry| TrackedEvent {
                step: entry.event.step.clone(),
                at: entry.event.at,
                zone: entry.event.zone,
                place: entry
                    .event
                    .place
                    .as_ref()
                    .map(|place| match (place, &entry.from) {
                        (Place::Station(station), Some(from)) => self.seen_name(from, station),
                        (Place::Station(station), None) => self.own_name(station),
                        (Place::Named(_), _) => place_words(place),
                    }),
                source: entry
                    .from
                    .as_ref()
                    .map_or_else(|| self.config.name.clone(), |from| self.partner_name(from)),
            })
            .collect();
        events.sort_by_key(|event| std::cmp::Reverse(event.at));
        TrackingView {
            publisher: self.config.name.clone(),
            carrier: self.carrier_name(parcel),
            merchant: parcel.merchant.as_ref().map(|m| m.as_str().to_owned()),
            events,
            stale: self.stale_reasons(turn, parcel),
            now: turn.at(),
            zone: self.config.zone,
        }
    }

    /// Sources that would tell more of a parcel and do not, and why.
    pub(super) fn stale_reasons(&self, turn: &Turn<'_>, parcel: &Parcel) -> Vec<Stale> {
        let sources = self.outlook(turn.now).stale_sources(parcel);
        let shown = sources.into_iter().map(|stale| Stale {
            source: self.partner_name(&stale.from),
            since: stale.since,
            zone: self.config.zone,
            reason: stale.reason,
        });
        shown.collect()
    }

    fn pickup_view(&self, turn: &Turn<'_>, parcel: &Parcel, show: bool) -> PickupView {
        let deposit = parcel.deposit.and_then(|id| self.state.deposits.get(&id));
        let station = match &deposit {
            Some(deposit) => self
                .state
                .stations
                .get(&deposit.station)
                .map(|own| StationView {
                    name: own.station.name.as_str().to_owned(),
                    address: String::new(),
                }),
            None => self.station_seen_of(parcel).map(|name| StationView {
                name,
                address: String::new(),
            }),
        };
        let accesses = self.accesses(turn.at(), parcel);
        PickupView {
            publisher: self.config.name.clone(),
            csrf: String::new(),
            token: String::new(),
            carrier: self.carrier_name(parcel),
            merchant: parcel.merchant.as_ref().map(|m| m.as_str().to_owned()),
            station,
            state: self.pickup_state(turn, parcel),
            code: self.code_view(parcel, show),
            trouble: None,
            accesses,
            is_delegates: false,
            later: self.later_until(turn, parcel),
            call: self.call_view(parcel),
            report: self.report_view(parcel),
            delegate: self.delegate_view(parcel),
            number_held: self.holds_contact_of(parcel),
            enrolment: match self.code_key(parcel.id) {
                Some(key) => EnrolmentView::Enrolled { key: key.to_hex() },
                None if self.may_enrol(parcel) => EnrolmentView::Possible,
                None => EnrolmentView::No,
            },
            done: None,
            now: turn.at(),
            zone: self.config.zone,
        }
    }

    /// The view with a code that is asked for sealed, if the recipient has enrolled a key.
    fn with_sealed_code(
        &self,
        turn: &mut Turn<'_>,
        parcel: &Parcel,
        mut view: PickupView,
    ) -> PickupView {
        if self.code_key(parcel.id).is_none() {
            return view;
        }
        // Whatever fails, a code does not leave in clear.
        let shown = std::mem::replace(&mut view.code, CodeView::None);
        view.code = match (shown, parcel.deposit) {
            (CodeView::Shown { code, compartment }, Some(deposit)) => self
                .seal_for(turn, parcel.id, deposit, &code, &compartment)
                .map_or(CodeView::None, |sealed| CodeView::Sealed {
                    deposit: deposit.to_string(),
                    sealed,
                }),
            (CodeView::Shown { .. }, None) => CodeView::None,
            (
                other @ (CodeView::None
                | CodeView::Hidden
                | CodeView::Sealed { .. }
                | CodeView::Withheld { .. }),
                _,
            ) => other,
        };
        view
    }

    /// Who got the recipient's number, newest first.
    fn accesses(&self, now: Timestamp, parcel: &Parcel) -> Vec<Access> {
        let given = parcel.uses.iter().rev().map(|it| {
            let until = self.kept_until(it);
            let fate = match self.knows_to_delete(parcel.id, it) {
                Some(true) => Fate::Told,
                Some(false) => Fate::Asked,
                None if until.is_some_and(|until| until <= now) => Fate::Over,
                None => Fate::Kept,
            };
            Access {
                who: self.partner_name(&it.to),
                purpose: it.purpose.clone(),
                form: it.form,
                at: it.at,
                agreement: Some(it.agreement.as_str().to_owned()),
                until,
                fate,
            }
        });
        // At an operator's page it is the operator itself that was given the number.
        let deposit = parcel.deposit.and_then(|id| self.state.deposits.get(&id));
        let taken = deposit.and_then(|deposit| {
            let contact = deposit.contact.as_ref();
            let under = deposit.contact_under.as_ref();
            Some(Access {
                who: self.config.name.clone(),
                purpose: Purpose::PickupNotification.as_str().into(),
                form: deposit.contact_form?,
                at: under.map_or(deposit.opened_at, |(_, at)| *at),
                agreement: under.map(|(agreement, _)| agreement.as_str().to_owned()),
                until: contact
                    .map(|contact| Timestamp::from_millis(i64::from(contact.slot.0) * HOUR_MS)),
                fate: match contact.and_then(|contact| contact.value.as_ref()) {
                    Some(_) => Fate::Kept,
                    None => Fate::Deleted,
                },
            })
        });
        given.chain(taken).collect()
    }

    fn pickup_state(&self, turn: &Turn<'_>, parcel: &Parcel) -> PickupState {
        let until = parcel
            .deposit
            .and_then(|id| self.state.deposits.get(&id))
            .and_then(|deposit| deposit.pickup_until)
            .or(parcel.pickup_until);
        let last = parcel
            .events
            .iter()
            .rev()
            .find(|e| e.event.step.is_locker());
        let Some(last) = last else {
            return PickupState::Expected;
        };
        let at = last.event.at;
        // Who is not told the deadline reckons from the deposit: too short rather than too long.
        let deposited = parcel.events.iter().rev();
        let deposited = deposited.map(|entry| &entry.event);
        let since = deposited.filter(|event| event.step == Step::Deposited);
        let since = since.map(|event| event.at).next().unwrap_or(at);
        match &last.event.step {
            Step::Deposited | Step::Notified | Step::Extended => PickupState::Deposited {
                until: until.unwrap_or(since.plus_ms(self.config.pickup_period_ms)),
            },
            // More time was given since.
            Step::Overdue if until.is_some_and(|until| until > turn.at()) => {
                PickupState::Deposited {
                    until: until.unwrap_or(at),
                }
            }
            Step::Overdue => PickupState::Overdue {
                since: until.unwrap_or(at),
            },
            Step::PickedUp => PickupState::PickedUp { at },
            Step::Recalled => PickupState::Recalled { at },
            Step::Redirected => PickupState::Redirected { at, to: None },
            Step::Issued
            | Step::Accepted
            | Step::Arrived
            | Step::Departed
            | Step::OutForDelivery
            | Step::Delivered
            | Step::DeliveryFailed
            | Step::Other(_) => PickupState::Expected,
        }
    }

    /// The code: ours to show at the operator's page, withheld at an owner's unless it was released.
    fn code_view(&self, parcel: &Parcel, show: bool) -> CodeView {
        let own = parcel
            .deposit
            .and_then(|id| self.state.deposits.get(&id))
            .filter(|d| d.lies());
        if let Some(deposit) = own {
            return match (&deposit.code.value, show) {
                (Some(_), false) => CodeView::Hidden,
                (Some(code), true) => CodeView::Shown {
                    code: code.clone(),
                    compartment: deposit.compartment.number().to_string(),
                },
                (None, _) => CodeView::None,
            };
        }
        match (parcel.code_seen(), show) {
            (Some(_), false) => return CodeView::Hidden,
            (Some(CodeTold::Open { code, compartment }), true) => {
                return CodeView::Shown {
                    code: code.clone(),
                    compartment: compartment.to_string(),
                };
            }
            (Some(CodeTold::Sealed { deposit, sealed }), true) => {
                return CodeView::Sealed {
                    deposit: deposit.clone(),
                    sealed: sealed.clone(),
                };
            }
            (None, _) => {}
        }
        let operator = parcel.last_in_locker().and_then(|e| e.from.as_ref());
        let phone = parcel
            .recipient
            .as_ref()
            .and_then(|r| r.value.as_ref())
            .map(|r| r.phone.masked());
        match (operator, phone) {
            (Some(operator), Some(masked_phone)) => CodeView::Withheld {
                sender: self.partner_name(operator),
                masked_phone,
            },
            (Some(_) | None, _) => CodeView::None,
        }
    }

    pub(super) fn partner_name(&self, id: &ParticipantId) -> String {
        self.state
            .partners
            .get(id)
            .map_or_else(|| id.as_str().to_owned(), |p| p.name.clone())
    }

    pub(super) fn carrier_name(&self, parcel: &Parcel) -> String {
        match self.state.carrier_of(parcel) {
            Some(carrier) => self.partner_name(&carrier),
            None => parcel.waybill.carrier().as_str().to_uppercase(),
        }
    }

    fn own_name(&self, station: &interlock_core::ids::StationId) -> String {
        self.state.stations.get(station).map_or_else(
            || station.as_str().to_owned(),
            |own| own.station.name.as_str().to_owned(),
        )
    }
}

/// What somebody sees whom the recipient sends: where, by when, the code; nothing of the recipient.
fn for_delegate(view: PickupView) -> PickupView {
    PickupView {
        is_delegates: true,
        merchant: None,
        accesses: Vec::new(),
        later: None,
        call: None,
        report: ReportView::No,
        delegate: DelegateView::No,
        number_held: false,
        enrolment: EnrolmentView::No,
        ..view
    }
}

fn link_works(parcel: &Parcel, now: Timestamp) -> bool {
    let ended = parcel
        .closed_at
        .is_some_and(|at| now >= at.plus_ms(LINK_AFTER_END_MS));
    !ended && now < parcel.registered_at.plus_ms(LINK_LIFE_MS)
}

/// A reason in a word, for machines.
pub(super) const fn stale_word(reason: StaleReason) -> &'static str {
    match reason {
        StaleReason::NoAgreement => "no-agreement",
        StaleReason::Suspended => "suspended",
        StaleReason::Unreachable => "unreachable",
    }
}
