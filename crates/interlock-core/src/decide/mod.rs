//! Whether an item may leave: one small pure function.
//!
//! INVARIANT: anything unknown, expired, uncertain or missing denies. Nothing is released when the
//! clock may already have reached the end of the term, unless run-off covers the parcel. A denial is
//! a value with a reason, not an error. Deciding allocates nothing.
//!
//! Not known here: who asks (the door has checked that), what the item holds, and how evidence and
//! usage are counted.

mod denial;
#[cfg(test)]
mod tests;

use serde::{Deserialize, Serialize};

pub use self::denial::DenialReason;
use crate::agreement::AgreementState;
use crate::contact::ContactForm;
use crate::dataset::DatasetForm;
use crate::ids::Marketplace;
use crate::terms::{EvidenceKind, Field, FieldSet, Purpose, Terms};
use crate::time::{ClockInterval, MINUTE_MS, Timestamp};

/// Widest clock interval with which anything is released, in milliseconds. Beyond it no counterparty
/// countersigns a log entry either.
pub const CLOCK_WIDTH_MS_MAX: i64 = MINUTE_MS;

/// What is asked for.
#[derive(Clone, Copy, Debug)]
pub struct ReleaseRequest<'a> {
    /// What for.
    pub purpose: Purpose,
    /// The marketplace of the parcel; `None` for open data.
    pub marketplace: Option<&'a Marketplace>,
    /// The fields wanted; empty asks for every field that the terms grant.
    pub fields: &'a [Field],
    /// The least revealing form of contact or code that will do; `None` leaves it to the purpose.
    pub form: Option<ContactForm>,
    /// When the item arose: its time in the provider's log.
    pub arose_at: Timestamp,
    /// When the parcel qualified for run-off: the time of its qualifying entry in the provider's
    /// log, never the consumer's event time.
    pub qualified_at: Option<Timestamp>,
}

/// Where the agreement stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Standing {
    /// Its state, see [`crate::agreement::state`].
    pub state: AgreementState,
    /// When a termination takes effect, if one was given.
    pub terminated_at: Option<Timestamp>,
    /// How long before the end requests are denied as `closing`, in milliseconds; 0 for none.
    pub closing_guard_ms: i64,
    /// Whether the parcel is in the run-off set; `None` while the set is not frozen.
    pub in_run_off_set: Option<bool>,
}

impl Standing {
    /// The standing of an agreement that is in force, with no termination and no guard.
    pub const IN_FORCE: Self = Self {
        state: AgreementState::InForce,
        terminated_at: None,
        closing_guard_ms: 0,
        in_run_off_set: None,
    };
}

/// What was released before, in the day of the terms' zone in which the clock stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Distinct parcels released today.
    pub parcels_today: u32,
    /// Whether this parcel is among them.
    pub parcel_counted_today: bool,
    /// Releases of this parcel under this agreement and those it supersedes.
    pub releases_of_parcel: u32,
}

/// Signed evidence that the provider has of the parcel from this consumer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct EvidenceSeen {
    /// Its arrival scan.
    pub arrival: bool,
    /// Its deposit.
    pub deposit: bool,
    /// Another consumer's evidence of the same parcel is open. It denies with the same reason as
    /// missing evidence, because a reason of its own would show that other consumer's deposit.
    pub open_elsewhere: bool,
}

/// Under what an item is released.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Under {
    /// The term itself.
    Term,
    /// Run-off, after the end.
    RunOff,
    /// Coverage of a time before the term.
    Backlog,
}

impl Under {
    /// The name on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Term => "term",
            Self::RunOff => "run-off",
            Self::Backlog => "backlog",
        }
    }
}

/// What may leave.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Grant {
    /// These fields and no others.
    pub fields: FieldSet,
    /// The most restrictive agreed form that serves, if a contact or code is among the fields.
    pub form: Option<ContactForm>,
    /// Under what.
    pub under: Under,
}

/// The answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Decision {
    /// Released, this far.
    Release(Grant),
    /// Nothing leaves.
    Denial(DenialReason),
}

/// Decides one item. Pure: the same arguments give the same answer.
pub fn decide(
    request: &ReleaseRequest<'_>,
    terms: &Terms,
    standing: &Standing,
    usage: &Usage,
    evidence: &EvidenceSeen,
    clock: &ClockInterval,
) -> Decision {
    match grant(request, terms, standing, usage, evidence, clock) {
        Ok(grant) => Decision::Release(grant),
        Err(reason) => Decision::Denial(reason),
    }
}

fn grant(
    request: &ReleaseRequest<'_>,
    terms: &Terms,
    standing: &Standing,
    usage: &Usage,
    evidence: &EvidenceSeen,
    clock: &ClockInterval,
) -> Result<Grant, DenialReason> {
    let width_ms = clock.latest.since_ms(clock.earliest);
    if !(0..=CLOCK_WIDTH_MS_MAX).contains(&width_ms) || request.arose_at > clock.latest {
        return Err(DenialReason::ClockUncertain);
    }
    let under = under(request, terms, standing, clock)?;
    if !terms.purposes.contains(&request.purpose) {
        return Err(DenialReason::PurposeNotGranted);
    }
    let in_scope = match request.marketplace {
        Some(marketplace) => terms.marketplaces.contains(marketplace),
        None => !terms.dataset.is_parcel_data(),
    };
    if !in_scope {
        return Err(DenialReason::OutOfScope);
    }
    let fields = granted_fields(request, terms)?;
    let form = granted_form(request, terms, fields)?;
    check_evidence(terms, evidence)?;
    check_quotas(terms, usage)?;
    Ok(Grant {
        fields,
        form,
        under,
    })
}

/// What the time allows. The state was derived from a clock as well; both are asked, and the
/// stricter answer counts.
fn under(
    request: &ReleaseRequest<'_>,
    terms: &Terms,
    standing: &Standing,
    clock: &ClockInterval,
) -> Result<Under, DenialReason> {
    let end = standing
        .terminated_at
        .map_or(terms.until, |at| at.min(terms.until));
    let ended = clock.latest >= end;
    match standing.state {
        AgreementState::Finalized => return Err(DenialReason::NotInForce),
        AgreementState::Suspended if !ended => return Err(DenialReason::Suspended),
        AgreementState::Superseded => return Err(DenialReason::Superseded),
        AgreementState::Signed if !ended => return Err(DenialReason::NotYet),
        AgreementState::Ended => return Err(over(request, terms, standing, end)),
        AgreementState::RunOff if !ended => return Err(DenialReason::TermEnded),
        AgreementState::Signed
        | AgreementState::InForce
        | AgreementState::Suspended
        | AgreementState::RunOff => {}
    }
    let covered = request.arose_at >= terms.coverage_start();
    if ended {
        check_run_off(request, terms, standing, end, clock)?;
        return if covered {
            Ok(Under::RunOff)
        } else {
            Err(DenialReason::BeforeCoverage)
        };
    }
    if clock.latest >= end.plus_ms(-standing.closing_guard_ms) {
        return Err(DenialReason::Closing);
    }
    if clock.earliest < terms.from {
        return Err(DenialReason::NotYet);
    }
    match (covered, request.arose_at >= terms.from) {
        (_, true) => Ok(Under::Term),
        (true, false) => Ok(Under::Backlog),
        (false, false) => Err(DenialReason::BeforeCoverage),
    }
}

fn check_run_off(
    request: &ReleaseRequest<'_>,
    terms: &Terms,
    standing: &Standing,
    end: Timestamp,
    clock: &ClockInterval,
) -> Result<(), DenialReason> {
    // A suspended agreement may end while nobody tells it so; its run-off is served like any other.
    // One that was only signed never was in force, so nothing qualified.
    let Some(run_off_ms) = terms.run_off_ms else {
        return Err(over(request, terms, standing, end));
    };
    if standing.state == AgreementState::Signed || clock.latest >= end.plus_ms(run_off_ms) {
        return Err(over(request, terms, standing, end));
    }
    if request.qualified_at.is_none_or(|at| at >= end) {
        return Err(DenialReason::NotInRunOff);
    }
    match standing.in_run_off_set {
        Some(true) => Ok(()),
        Some(false) => Err(DenialReason::NotInRunOff),
        None => Err(DenialReason::RunOffNotFrozen),
    }
}

/// The reason for an item after everything is over.
fn over(
    request: &ReleaseRequest<'_>,
    terms: &Terms,
    standing: &Standing,
    end: Timestamp,
) -> DenialReason {
    let served = standing.in_run_off_set == Some(true)
        && terms.run_off_ms.is_some()
        && request.qualified_at.is_some_and(|at| at < end);
    match (served, end < terms.until) {
        (true, _) => DenialReason::RunOffEnded,
        (false, true) => DenialReason::Terminated,
        (false, false) => DenialReason::TermEnded,
    }
}

fn granted_fields(request: &ReleaseRequest<'_>, terms: &Terms) -> Result<FieldSet, DenialReason> {
    let agreed = terms.field_set();
    let wanted: FieldSet = request.fields.iter().copied().collect();
    let fields = if wanted.is_empty() { agreed } else { wanted };
    if fields.is_empty() || !fields.is_subset(agreed) {
        return Err(DenialReason::FieldNotGranted);
    }
    Ok(fields)
}

fn granted_form(
    request: &ReleaseRequest<'_>,
    terms: &Terms,
    fields: FieldSet,
) -> Result<Option<ContactForm>, DenialReason> {
    if !fields.contains(Field::Contact) && !fields.contains(Field::Code) {
        return Ok(None);
    }
    let least = request.form.unwrap_or(request.purpose.least_form());
    terms
        .contact_forms
        .range(least..)
        .next()
        .map(|form| Some(*form))
        .ok_or(DenialReason::FormNotGranted)
}

fn check_evidence(terms: &Terms, evidence: &EvidenceSeen) -> Result<(), DenialReason> {
    let lookup = terms.dataset.form() == DatasetForm::Lookup;
    if terms.evidence.is_empty() && !lookup {
        return Ok(());
    }
    let seen = terms.evidence.iter().any(|kind| match kind {
        EvidenceKind::Arrival => evidence.arrival,
        EvidenceKind::Deposit => evidence.deposit,
    });
    if seen && !evidence.open_elsewhere {
        Ok(())
    } else {
        Err(DenialReason::EvidenceMissing)
    }
}

fn check_quotas(terms: &Terms, usage: &Usage) -> Result<(), DenialReason> {
    if terms
        .quota_per_parcel
        .is_some_and(|quota| usage.releases_of_parcel >= quota)
    {
        return Err(DenialReason::QuotaPerParcel);
    }
    if !usage.parcel_counted_today
        && terms
            .quota_per_day
            .is_some_and(|quota| usage.parcels_today >= quota)
    {
        return Err(DenialReason::QuotaPerDay);
    }
    Ok(())
}
