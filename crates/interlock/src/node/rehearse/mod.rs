//! `GET /rehearsals`: what the end of agreements would touch.
//!
//! Purpose: for every partner whose agreements are over at an instant, which parcels, recipients and
//! merchants see a difference if nothing is signed, if only the agreed run-off applies, and under a
//! temporary agreement. Invariants: nothing changes; the answer comes from the functions that will
//! decide ([`super::outlook`]), asked about that instant. Parcels are looked at a stretch a step
//! ([`walk`]). It does not know parcels that are announced later, nor what the partner's other agreements
//! let it do.

mod walk;

use std::collections::{BTreeMap, BTreeSet};

use interlock_core::agreement::AgreementState;
use interlock_core::contact::Phone;
use interlock_core::dataset::Dataset;
use interlock_core::ids::{MerchantId, ParticipantId, WireId};
use interlock_core::terms::Notifier;
use interlock_core::time::{ClockInterval, DAY_MS, Timestamp};
use serde_json::{Map, Value, json};

use super::Node;
use super::agreements::{Agreement, Book};
use super::io::{LocalAnswer, ReplyId};
use super::ladder::Rung;
use super::outlook::{Flow, Outlook};
use super::problem::{field, problem};
use super::record::{ItemRef, Teller};
use super::state::parcels::Parcel;
use super::turn::Turn;
use crate::identity::partner::Role;

use self::walk::{ForWhom, Touched, WALKS_MAX};
pub use self::walk::{Walk, Warned};

/// Most parcels on one page.
const PAGE_MAX: u32 = 1_000;
/// Most merchants listed.
const MERCHANTS_MAX: usize = 1_000;

/// What may come of an end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Outcome {
    /// The interface is closed; no run-off either.
    NothingSigned,
    /// The run-off of the terms, and nothing else.
    RunOffOnly,
    /// An agreement of the same terms takes over without a gap.
    Temporary,
}

impl Outcome {
    const ALL: [Self; 3] = [Self::NothingSigned, Self::RunOffOnly, Self::Temporary];

    const fn as_str(self) -> &'static str {
        match self {
            Self::NothingSigned => "nothing-signed",
            Self::RunOffOnly => "run-off-only",
            Self::Temporary => "temporary-agreement",
        }
    }
}

/// What the people behind one parcel would see.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Seen {
    /// Who tells the recipient of a deposit; `None` where it is not ours to know, or done.
    message: Option<&'static str>,
    /// Why nobody does.
    reason: Option<String>,
    /// What becomes of its next event, where the partner would get it from us.
    events: Option<Flow>,
    /// Whether our tracking page is current about what the partner tells, where it is ours.
    current: Option<bool>,
}

/// Counts of one partner under one outcome.
#[derive(Debug, Default)]
struct Counts {
    parcels: u64,
    recipients: BTreeSet<Phone>,
    recipients_unknown: u64,
    merchants: BTreeMap<MerchantId, u64>,
    not_told: u64,
    held: u64,
    dropped: u64,
    stale: u64,
}

impl Counts {
    fn add(&mut self, parcel: &Parcel, seen: &Seen) {
        self.parcels += 1;
        let recipient = parcel.recipient.as_ref().and_then(|r| r.value.as_ref());
        match recipient {
            Some(recipient) => drop(self.recipients.insert(recipient.phone.clone())),
            None => self.recipients_unknown += 1,
        }
        if let Some(merchant) = &parcel.merchant {
            *self.merchants.entry(merchant.clone()).or_default() += 1;
        }
        self.not_told += u64::from(seen.message == Some("nobody"));
        self.held += u64::from(seen.events == Some(Flow::Held));
        self.dropped += u64::from(seen.events == Some(Flow::Dropped));
        self.stale += u64::from(seen.current == Some(false));
    }

    /// Distinct known ones, and a parcel each of the others.
    fn all_recipients(&self) -> u64 {
        self.recipients.len() as u64 + self.recipients_unknown
    }

    /// Merchants with their parcels, those with most first.
    fn by_merchant(&self) -> Vec<(&MerchantId, u64)> {
        let mut merchants: Vec<_> = self.merchants.iter().map(|(m, n)| (m, *n)).collect();
        merchants.sort_by_key(|(name, parcels)| (std::cmp::Reverse(*parcels), *name));
        merchants
    }

    fn view(&self) -> Value {
        json!({
            "parcels": self.parcels,
            "recipients": self.all_recipients(),
            "merchants": self.merchants.len(),
            "recipientsNotTold": self.not_told,
            "eventsHeld": self.held,
            "eventsDropped": self.dropped,
            "trackingStale": self.stale,
        })
    }
}

/// A page of the list.
#[derive(Debug)]
struct Page {
    after: u64,
    limit: usize,
    items: Vec<Value>,
    next: u64,
    position: u64,
}

impl Page {
    fn offer(&mut self, item: impl FnOnce(u64) -> Value) {
        self.position += 1;
        if self.position > self.after && self.items.len() < self.limit {
            self.items.push(item(self.position));
            self.next = self.position;
        }
    }
}

impl Node {
    /// `GET /rehearsals?at=`: 200 with `at`, `cooperations` (each `partner`, `agreements` that are over
    /// by then, `outcomes` with counts, `merchants`), `parcels` (a page) and `next`; 422 for an instant in
    /// the past, 503 if too many are under way.
    pub(super) fn rehearse(
        &mut self,
        turn: &mut Turn<'_>,
        reply: ReplyId,
        at: Timestamp,
        after: u64,
        limit: u32,
    ) {
        let refused = if at < turn.at() {
            Some(field(
                "in-the-past",
                422,
                "no rehearsal of the past",
                "at",
                "name an instant from now on; what was is in `interlock parcel show` and the ledger",
            ))
        } else if self.live.walks.len() >= WALKS_MAX {
            Some(problem(
                "rehearsals-under-way",
                503,
                "not rehearsed",
                "other rehearsals are under way; ask again in a minute",
            ))
        } else {
            None
        };
        if let Some(refused) = refused {
            return self.reply(turn, reply, LocalAnswer::Problem(refused));
        }
        let page = Page {
            after,
            limit: limit.clamp(1, PAGE_MAX) as usize,
            items: Vec::new(),
            next: after,
            position: 0,
        };
        let ending = self.ending(turn, at);
        self.begin_walk(turn, at, ending, page, ForWhom::Caller(reply));
    }

    fn rehearsed(&self, turn: &Turn<'_>, walk: &Walk) -> LocalAnswer {
        let zone = self.config.zone;
        let body = json!({
            "now": walk.begun_at.to_rfc3339(zone),
            "at": walk.at.to_rfc3339(zone),
            "cooperations": walk.done.iter().map(|done| self.cooperation_view(turn, done)).collect::<Vec<_>>(),
            "parcels": walk.page.items,
            "next": walk.page.next,
        });
        LocalAnswer::Json { status: 200, body }
    }

    fn cooperation_view(&self, turn: &Turn<'_>, done: &Touched) -> Value {
        let outcomes: Map<String, Value> = Outcome::ALL
            .into_iter()
            .zip(&done.counts)
            .map(|(outcome, counts)| (outcome.as_str().into(), counts.view()))
            .collect();
        let agreements = done.ending.iter();
        let agreements = agreements.filter_map(|id| self.state.book.agreements.get(id));
        json!({
            "partner": done.partner.as_str(),
            "name": self.partner_name(&done.partner),
            "agreements": agreements.map(|a| self.ending_view(turn, a)).collect::<Vec<_>>(),
            "outcomes": outcomes,
            "merchants": merchants_view(&done.counts),
        })
    }

    /// Agreements that stand now and are over at `at`, by partner.
    pub(super) fn ending(
        &self,
        turn: &Turn<'_>,
        at: Timestamp,
    ) -> BTreeMap<ParticipantId, BTreeSet<WireId>> {
        let mut ending: BTreeMap<ParticipantId, BTreeSet<WireId>> = BTreeMap::new();
        for agreement in self.state.book.agreements.values() {
            let stands = match agreement.state_at(&turn.now) {
                AgreementState::Signed
                | AgreementState::InForce
                | AgreementState::Suspended
                | AgreementState::RunOff => true,
                AgreementState::Finalized | AgreementState::Ended | AgreementState::Superseded => {
                    false
                }
            };
            let over = match agreement.state_at(&ClockInterval::exact(at)) {
                AgreementState::RunOff | AgreementState::Ended => true,
                AgreementState::Finalized
                | AgreementState::Signed
                | AgreementState::InForce
                | AgreementState::Suspended
                | AgreementState::Superseded => false,
            };
            if stands && over {
                let partner = agreement.other(&self.state.me).clone();
                ending
                    .entry(partner)
                    .or_default()
                    .insert(agreement.id.clone());
            }
        }
        ending
    }

    fn ending_view(&self, turn: &Turn<'_>, agreement: &Agreement) -> Value {
        let end = agreement.facts.end(&agreement.terms);
        let run_off = agreement.terms.run_off_ms;
        json!({
            "id": agreement.id.as_str(),
            "dataset": agreement.terms.dataset.as_str(),
            "provider": agreement.provider.as_str(),
            "state": agreement.state_at(&turn.now).as_str(),
            "endsAt": end.to_rfc3339(self.config.zone),
            "runOffUntil": run_off.map(|ms| end.plus_ms(ms).to_rfc3339(self.config.zone)),
            "backlog": agreement.terms.backlog.map(|b| b.as_str()),
        })
    }

    /// The agreements as they would be at `at`.
    fn book_under(&self, outcome: Outcome, at: Timestamp, ending: &BTreeSet<WireId>) -> Book {
        let clock = ClockInterval::exact(at);
        let mut book = Book::default();
        for agreement in self.state.book.agreements.values() {
            let mut agreement = agreement.clone();
            if ending.contains(&agreement.id) {
                match outcome {
                    Outcome::NothingSigned => agreement.terms.run_off_ms = None,
                    Outcome::RunOffOnly => {}
                    Outcome::Temporary => {
                        agreement.facts.terminated_at = None;
                        agreement.terms.until = at.plus_ms(DAY_MS);
                    }
                }
            }
            agreement.state = agreement.state_at(&clock);
            book.put_agreement(agreement);
        }
        for transfer in self.state.book.transfers.values() {
            book.put_transfer(transfer.clone());
        }
        book
    }

    fn seen(&self, outlook: &Outlook<'_>, partner: &ParticipantId, parcel: &Parcel) -> Seen {
        let (message, reason) = if self.config.roles.contains(&Role::LockerOperator) {
            self.told_by_us(outlook, partner, parcel)
        } else {
            (self.told_by(outlook, partner, parcel), None)
        };
        Seen {
            message,
            reason,
            events: self.next_event(outlook, partner, parcel),
            current: self.current(outlook, partner, parcel),
        }
    }

    /// At a locker operator: who would tell the recipient of a deposit at one of our stations.
    fn told_by_us(
        &self,
        outlook: &Outlook<'_>,
        partner: &ParticipantId,
        parcel: &Parcel,
    ) -> (Option<&'static str>, Option<String>) {
        let deposit = parcel.deposit.and_then(|id| self.state.deposits.get(&id));
        let concerns = parcel.owner() == Some(partner)
            || self.state.carrier_of(parcel).as_ref() == Some(partner);
        if !concerns || deposit.is_some_and(|d| !d.stay.phase().is_over()) {
            return (None, None);
        }
        match outlook.rung(parcel, None) {
            Rung::Ask(_) | Rung::Settled(Teller::Us) => (Some("operator"), None),
            Rung::Settled(Teller::Owner(_)) => (Some("owner"), None),
            Rung::Settled(Teller::Carrier(_)) => (Some("carrier"), None),
            Rung::Settled(Teller::Nobody { reason }) => (Some("nobody"), Some(reason)),
        }
    }

    /// At an owner: who would tell the recipient of a deposit at a station of `operator`.
    fn told_by(
        &self,
        outlook: &Outlook<'_>,
        operator: &ParticipantId,
        parcel: &Parcel,
    ) -> Option<&'static str> {
        let me = &self.state.me;
        let ours = parcel.owner() == Some(me) && parcel.recipient.is_some();
        let goes_there = parcel.lockers.is_empty() || parcel.lockers.contains(operator);
        let told = parcel.uses.iter().any(|u| &u.to == operator);
        let contacts = Dataset::RecipientContact;
        if !ours
            || !goes_there
            || told
            || outlook
                .book
                .between(me, operator, contacts)
                .next()
                .is_none()
        {
            return None;
        }
        let scope = |a: &Agreement| {
            let market = parcel.marketplace.as_ref();
            market.is_some_and(|m| a.terms.marketplaces.contains(m))
        };
        let released = outlook.book.between(me, operator, contacts).any(|a| {
            scope(a)
                && match a.state {
                    AgreementState::InForce => true,
                    AgreementState::RunOff => parcel.registered_at < a.facts.end(&a.terms),
                    AgreementState::Finalized
                    | AgreementState::Signed
                    | AgreementState::Suspended
                    | AgreementState::Ended
                    | AgreementState::Superseded => false,
                }
        });
        let mut events = outlook.book.between(operator, me, Dataset::LockerEvents);
        let needs_notice = events.any(|a| {
            scope(a)
                && a.state == AgreementState::InForce
                && a.terms.notifier == Some(Notifier::Owner)
        });
        Some(match (released, needs_notice) {
            (true, _) => "operator",
            (false, true) => "owner",
            (false, false) => "nobody",
        })
    }

    /// What becomes of the parcel's next event, if `partner` owns the parcel and has such a feed of ours.
    fn next_event(
        &self,
        outlook: &Outlook<'_>,
        partner: &ParticipantId,
        parcel: &Parcel,
    ) -> Option<Flow> {
        if parcel.owner() != Some(partner) {
            return None;
        }
        let item = ItemRef::Event(parcel.id, 0);
        let me = &self.state.me;
        [Dataset::LockerEvents, Dataset::TrackingEvents]
            .into_iter()
            .filter(|dataset| outlook.book.between(me, partner, *dataset).next().is_some())
            .map(|dataset| {
                self.state
                    .flow(outlook.book, partner, dataset, &item, outlook.now.latest)
            })
            .max()
    }

    /// Whether our tracking page is current about what `partner` would tell of our parcel.
    fn current(
        &self,
        outlook: &Outlook<'_>,
        partner: &ParticipantId,
        parcel: &Parcel,
    ) -> Option<bool> {
        if parcel.owner() != Some(&self.state.me) {
            return None;
        }
        let stale = outlook.stale_sources(parcel);
        Some(!stale.iter().any(|source| &source.from == partner))
    }
}

fn parcel_view(cursor: u64, partner: &ParticipantId, parcel: &Parcel, seen: &[Seen; 3]) -> Value {
    let outcomes: Map<String, Value> = Outcome::ALL
        .into_iter()
        .zip(seen)
        .map(|(outcome, seen)| {
            let view = json!({
                "message": seen.message,
                "reason": seen.reason,
                "events": seen.events.map(flow_word),
                "tracking": seen.current.map(|c| if c { "current" } else { "last-known" }),
            });
            (outcome.as_str().into(), view)
        })
        .collect();
    json!({
        "cursor": cursor,
        "partner": partner.as_str(),
        "carrier": parcel.waybill.carrier().as_str(),
        "number": parcel.waybill.number(),
        "marketplace": parcel.marketplace.as_ref().map(|m| m.as_str()),
        "merchant": parcel.merchant.as_ref().map(|m| m.as_str()),
        "outcomes": outcomes,
    })
}

/// Merchants whose parcels are touched if nothing is signed, those with most parcels first.
fn merchants_view(counts: &[Counts; 3]) -> Vec<Value> {
    let [nothing, run_off, _] = counts;
    let view = |(merchant, parcels): (&MerchantId, u64)| {
        json!({
            "merchant": merchant.as_str(),
            "nothing-signed": parcels,
            "run-off-only": run_off.merchants.get(merchant).copied().unwrap_or(0),
        })
    };
    let merchants = nothing.by_merchant().into_iter();
    merchants.take(MERCHANTS_MAX).map(view).collect()
}

const fn flow_word(flow: Flow) -> &'static str {
    match flow {
        Flow::Live => "flow",
        Flow::Held => "held",
        Flow::Dropped => "dropped",
    }
}
