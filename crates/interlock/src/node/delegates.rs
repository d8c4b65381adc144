//! What recipients do at their own page: more time, a link for somebody else, and what is wrong at the locker.
//!
//! INVARIANT: only a parcel that lies in a compartment of ours can be given more time, once, or be fetched
//! by somebody else; a link ends with the stay, and nobody can tell it from one that never was. A link's
//! token follows from a secret of the node and is on no record.

use std::sync::Arc;

use interlock_core::ids::{DepositId, ParcelId};
use interlock_core::locker::{Input as StayInput, STAY_MS_MAX};
use interlock_core::time::{HOUR_MS, Timestamp};

use super::Node;
use super::io::{Digest, Report};
use super::record::{AlertKind, Record};
use super::state::Deposit;
use super::state::parcels::Parcel;
use super::turn::Turn;
use crate::pages::{DelegateView, ReportView};

/// So many alerts, the newest, are looked through for what was reported. After that many others our people
/// can be told once more.
const ALERTS_READ_MAX: usize = 2_000;

impl Node {
    /// The deposit of a parcel that lies in a compartment of ours.
    fn lying(&self, parcel: &Parcel) -> Option<(DepositId, Arc<Deposit>)> {
        let id = parcel.deposit?;
        let deposit = self.state.deposits.get(&id)?;
        let lies = deposit.deposited_at.is_some() && deposit.stay.deadline().is_some();
        lies.then_some((id, deposit))
    }

    /// Until when the recipient can have it lie there instead; `None` if they cannot.
    pub(super) fn later_until(&self, turn: &Turn<'_>, parcel: &Parcel) -> Option<Timestamp> {
        let (_, deposit) = self.lying(parcel)?;
        let (from, deadline) = (deposit.deposited_at?, deposit.stay.deadline()?);
        let added = self.config.extension_ms;
        let stay = (self.config.pickup_period_ms + added).min(STAY_MS_MAX);
        // Without its code nobody gets it out.
        let code_ends = Timestamp::from_millis(i64::from(deposit.code.slot.0) * HOUR_MS);
        let until = from.plus_ms(stay).min(code_ends);
        let possible = added > 0 && deposit.code.value.is_some();
        (possible && until > deadline.max(turn.at())).then_some(until)
    }

    /// Gives the recipient more time; whether that was possible.
    pub(super) fn more_time(&mut self, turn: &mut Turn<'_>, parcel: ParcelId) -> bool {
        let Some(parcel) = self.state.parcels.get(parcel) else {
            return false;
        };
        let lying = self.lying(&parcel).map(|(id, _)| id);
        let Some((id, until)) = lying.zip(self.later_until(turn, &parcel)) else {
            return false;
        };
        self.apply_stay(turn, id, &StayInput::Extend { until })
            .is_ok()
    }

    /// Whether somebody else may fetch it, and by which link.
    pub(super) fn delegate_view(&self, parcel: &Parcel) -> DelegateView {
        let Some((id, deposit)) = self.lying(parcel) else {
            return DelegateView::No;
        };
        match self.state.delegates.of(id) {
            Some(link) => DelegateView::Given {
                url: format!(
                    "{}/d/{}",
                    self.config.public_url,
                    self.state.links.delegate(&link)
                ),
            },
            None if deposit.code.value.is_some() => DelegateView::Possible,
            None => DelegateView::No,
        }
    }

    /// Makes a link for somebody else, unless there is one; whether there is one now.
    pub(super) fn delegate(&mut self, turn: &mut Turn<'_>, parcel: ParcelId) -> bool {
        let Some(parcel) = self.state.parcels.get(parcel) else {
            return false;
        };
        if let (DelegateView::Possible, Some((deposit, _))) =
            (self.delegate_view(&parcel), self.lying(&parcel))
        {
            let link = Some(turn.random16());
            self.record(turn, Record::Delegated { deposit, link });
        }
        matches!(self.delegate_view(&parcel), DelegateView::Given { .. })
    }

    /// Ends that link; whether there was one.
    pub(super) fn withdraw_delegate(&mut self, turn: &mut Turn<'_>, parcel: ParcelId) -> bool {
        let parcel = self.state.parcels.get(parcel);
        let deposit = parcel.and_then(|parcel| parcel.deposit);
        let Some(deposit) = deposit.filter(|id| self.state.delegates.of(*id).is_some()) else {
            return false;
        };
        self.record(
            turn,
            Record::Delegated {
                deposit,
                link: None,
            },
        );
        true
    }

    /// The parcel that somebody may fetch by this link.
    pub(super) fn delegated_parcel(&self, digest: &Digest) -> Option<Arc<Parcel>> {
        let id = self.state.delegates.by_link(digest)?;
        let deposit = self.state.deposits.get(&id)?;
        let parcel = self.state.parcels.get(deposit.parcel)?;
        self.lying(&parcel).is_some().then_some(parcel)
    }

    /// What was reported of the door and the compartment of a parcel, and what can be.
    pub(super) fn report_view(&self, parcel: &Parcel) -> ReportView {
        let Some((_, deposit)) = self.lying(parcel) else {
            return ReportView::No;
        };
        let since = deposit.deposited_at;
        let told = |kind| {
            // The newest come last; none before the parcel lay there is about this stay.
            let alerts = self.state.alerts.iter().rev().take(ALERTS_READ_MAX);
            let mut of_stay = alerts.take_while(|alert| Some(alert.at) >= since);
            let found = of_stay.find(|alert| alert.kind == kind && alert.parcel == Some(parcel.id));
            found.map(|alert| alert.at)
        };
        ReportView::Possible {
            stuck: told(AlertKind::DoorStuck),
            empty: told(AlertKind::CompartmentEmpty),
        }
    }

    /// Tells our people what whoever has the link finds wrong at the locker, once a stay; whether they are told.
    pub(super) fn report(&mut self, turn: &mut Turn<'_>, parcel: ParcelId, report: Report) -> bool {
        let Some(parcel) = self.state.parcels.get(parcel) else {
            return false;
        };
        let (ReportView::Possible { stuck, empty }, Some((_, deposit))) =
            (self.report_view(&parcel), self.lying(&parcel))
        else {
            return false;
        };
        let (kind, told, what) = match report {
            Report::Stuck => (AlertKind::DoorStuck, stuck, "its door does not open"),
            Report::Empty => (AlertKind::CompartmentEmpty, empty, "it is empty"),
        };
        if told.is_none() {
            let detail = format!(
                "whoever has the pick-up link says of compartment {} at station `{}` that {what}; look at it. \
                 Nothing else was changed: the parcel counts as lying there",
                deposit.compartment.number(),
                deposit.station
            );
            self.alert(turn, kind, Some(parcel.id), None, detail);
        }
        true
    }

    /// Whether a contact of the recipient is held here.
    pub(super) fn holds_contact_of(&self, parcel: &Parcel) -> bool {
        let deposit = parcel.deposit.and_then(|id| self.state.deposits.get(&id));
        let given = deposit
            .as_ref()
            .and_then(|deposit| deposit.contact.as_ref());
        let given = given.is_some_and(|contact| contact.value.is_some());
        given || parcel.recipient.as_ref().is_some_and(|r| r.value.is_some())
    }
}
