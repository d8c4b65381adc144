//! Whether an item may leave: one small pure function.
//!
//! INVARIANT: anything unknown, expired, uncertain or missing denies. Nothing is released when the
//! clock may already have reached the end of the term, unless run-off covers the parcel. A denial is
//! a value with a reason, not an error. Deciding allocates nothing.
//!
//! Not known here: who asks (the door has checked that), what the item holds, and how evidence and
//! usage are counted.

use core::fmt;

use serde::{Deserialize, Serialize};

use crate::agreement::AgreementState;
use crate::contact::ContactForm;
use crate::dataset::DatasetForm;
use crate::ids::Marketplace;
use crate::terms::{EvidenceKind, Field, FieldSet, Language, Purpose, Terms};
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

/// Why nothing leaves. The order of the variants is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DenialReason {
    /// No agreement is in force: its manifest is not complete.
    NotInForce,
    /// The term has not begun.
    NotYet,
    /// The term is over and run-off does not apply.
    TermEnded,
    /// The term ends within the closing guard.
    Closing,
    /// The agreement is suspended.
    Suspended,
    /// A successor took its place.
    Superseded,
    /// It was terminated before the end of its term.
    Terminated,
    /// The purpose is not in the terms.
    PurposeNotGranted,
    /// The parcel's marketplace is not in the terms, or not known.
    OutOfScope,
    /// A field is not in the terms.
    FieldNotGranted,
    /// No agreed form of the contact or code serves.
    FormNotGranted,
    /// As many parcels as agreed were released today.
    QuotaPerDay,
    /// This parcel was released as often as agreed.
    QuotaPerParcel,
    /// There is no evidence that the parcel is at the consumer.
    EvidenceMissing,
    /// The parcel did not qualify for run-off before the end.
    NotInRunOff,
    /// The run-off set is being frozen.
    RunOffNotFrozen,
    /// The run-off is over.
    RunOffEnded,
    /// The item arose before the time that the terms cover.
    BeforeCoverage,
    /// The provider's clock is not certain enough.
    ClockUncertain,
}

impl DenialReason {
    /// Every reason, in stored order.
    pub const ALL: [Self; 19] = [
        Self::NotInForce,
        Self::NotYet,
        Self::TermEnded,
        Self::Closing,
        Self::Suspended,
        Self::Superseded,
        Self::Terminated,
        Self::PurposeNotGranted,
        Self::OutOfScope,
        Self::FieldNotGranted,
        Self::FormNotGranted,
        Self::QuotaPerDay,
        Self::QuotaPerParcel,
        Self::EvidenceMissing,
        Self::NotInRunOff,
        Self::RunOffNotFrozen,
        Self::RunOffEnded,
        Self::BeforeCoverage,
        Self::ClockUncertain,
    ];

    /// The name on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::NotInForce => "not-in-force",
            Self::NotYet => "not-yet",
            Self::TermEnded => "term-ended",
            Self::Closing => "closing",
            Self::Suspended => "suspended",
            Self::Superseded => "superseded",
            Self::Terminated => "terminated",
            Self::PurposeNotGranted => "purpose-not-granted",
            Self::OutOfScope => "out-of-scope",
            Self::FieldNotGranted => "field-not-granted",
            Self::FormNotGranted => "form-not-granted",
            Self::QuotaPerDay => "quota-per-day",
            Self::QuotaPerParcel => "quota-per-parcel",
            Self::EvidenceMissing => "evidence-missing",
            Self::NotInRunOff => "not-in-run-off",
            Self::RunOffNotFrozen => "run-off-not-frozen",
            Self::RunOffEnded => "run-off-ended",
            Self::BeforeCoverage => "before-coverage",
            Self::ClockUncertain => "clock-uncertain",
        }
    }

    /// The reason with the given name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|r| r.as_str() == name)
    }

    /// What happened and what to do, in one or two sentences for people.
    pub const fn sentence(self, language: Language) -> &'static str {
        match language {
            Language::En => self.sentence_en(),
            Language::Zh => self.sentence_zh(),
        }
    }

    const fn sentence_en(self) -> &'static str {
        match self {
            Self::NotInForce => {
                "No agreement is in force: not all of it is signed. Have both parties sign the manifest."
            }
            Self::NotYet => "The agreement has not begun. Ask again when its term starts.",
            Self::TermEnded => "The agreement has ended. Renew it or ask another party.",
            Self::Closing => "The agreement ends within moments. Renew it.",
            Self::Suspended => "The agreement is suspended. Resume it or ask why it was stopped.",
            Self::Superseded => "A newer agreement took its place. Ask under that one.",
            Self::Terminated => "The agreement was terminated early. Negotiate a new one.",
            Self::PurposeNotGranted => {
                "The purpose isn't in the agreement. Ask for a purpose that is, or have it added."
            }
            Self::OutOfScope => {
                "The parcel isn't in the agreement's scope. Ask only for parcels of the agreed marketplaces."
            }
            Self::FieldNotGranted => {
                "A field isn't in the agreement. Ask for agreed fields only, or have it added."
            }
            Self::FormNotGranted => {
                "No agreed form of the contact serves this. Ask for a less revealing form, or have one added."
            }
            Self::QuotaPerDay => {
                "Today's quota is used up. Ask again tomorrow, or agree on a higher quota."
            }
            Self::QuotaPerParcel => {
                "This parcel was released as often as agreed. Use what was released before."
            }
            Self::EvidenceMissing => {
                "There's no evidence that this parcel is with you. Scan its arrival or deposit it first."
            }
            Self::NotInRunOff => {
                "The agreement has ended and this parcel came too late for run-off. Renew the agreement."
            }
            Self::RunOffNotFrozen => {
                "The agreement has just ended and run-off is being prepared. Ask again in a moment."
            }
            Self::RunOffEnded => "The agreement and its run-off have ended. Renew the agreement.",
            Self::BeforeCoverage => {
                "This arose before the time that the agreement covers. Agree on an earlier start of coverage."
            }
            Self::ClockUncertain => {
                "The provider's clock isn't certain enough to release. Its administrator must check time synchronisation."
            }
        }
    }

    const fn sentence_zh(self) -> &'static str {
        match self {
            Self::NotInForce => "协议尚未生效：签署未完成。请双方签署清单。",
            Self::NotYet => "协议尚未开始。请在生效后再查询。",
            Self::TermEnded => "协议已到期。请续约，或由其他方办理。",
            Self::Closing => "协议即将到期，已停止提供。请续约。",
            Self::Suspended => "协议已中止。请恢复协议，或了解中止原因。",
            Self::Superseded => "协议已被新协议取代。请按新协议查询。",
            Self::Terminated => "协议已提前终止。请重新协商。",
            Self::PurposeNotGranted => "协议不含该用途。请使用协议内的用途，或协商增加。",
            Self::OutOfScope => "包裹不在协议范围内。请只查询约定平台的包裹。",
            Self::FieldNotGranted => "协议不含所请求的字段。请只请求约定字段，或协商增加。",
            Self::FormNotGranted => {
                "没有可用的约定联系方式形式。请改用更少披露的形式，或协商增加。"
            }
            Self::QuotaPerDay => "今日额度已用完。请明日再查询，或协商提高额度。",
            Self::QuotaPerParcel => "该包裹已达约定提供次数。请使用此前提供的数据。",
            Self::EvidenceMissing => "没有该包裹在贵方的凭据。请先扫描到站或完成投柜。",
            Self::NotInRunOff => "协议已到期，该包裹未在到期前进入收尾期范围。请续约。",
            Self::RunOffNotFrozen => "协议刚到期，收尾期名单正在生成。请稍后再查询。",
            Self::RunOffEnded => "协议及收尾期均已结束。请续约。",
            Self::BeforeCoverage => "该信息产生于协议覆盖时间之前。请协商更早的覆盖起点。",
            Self::ClockUncertain => "提供方时钟不够准确，已停止提供。请其管理员检查时间同步。",
        }
    }
}

impl fmt::Display for DenialReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
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

#[cfg(test)]
mod tests {
    use alloc::vec::Vec;

    use proptest::prelude::*;
    use proptest::sample::{select, subsequence};
    use proptest::strategy::ValueTree;

    use super::*;
    use crate::dataset::Dataset;
    use crate::terms::testing::{
        JULY, JUNE, any_narrowing, any_terms, contact_terms, event_terms, market, set,
    };
    use crate::terms::{Backlog, within};
    use crate::time::{DAY_MS, HOUR_MS};

    const SEEN: EvidenceSeen = EvidenceSeen {
        arrival: true,
        deposit: false,
        open_elsewhere: false,
    };

    #[derive(Debug)]
    struct Case {
        terms: Terms,
        purpose: Purpose,
        market: Option<Marketplace>,
        fields: Vec<Field>,
        form: Option<ContactForm>,
        arose_at: Timestamp,
        qualified_at: Option<Timestamp>,
        standing: Standing,
        usage: Usage,
        evidence: EvidenceSeen,
        clock: ClockInterval,
    }

    impl Case {
        fn lookup() -> Self {
            let now = JUNE.plus_ms(DAY_MS);
            Self {
                terms: contact_terms(),
                purpose: Purpose::PickupNotification,
                market: Some(market("taobao")),
                fields: [Field::Contact].into(),
                form: None,
                arose_at: now,
                qualified_at: Some(now),
                standing: Standing::IN_FORCE,
                usage: Usage::default(),
                evidence: SEEN,
                clock: ClockInterval::exact(now),
            }
        }

        fn feed() -> Self {
            Self {
                terms: event_terms(),
                purpose: Purpose::DeliveryTracking,
                fields: Vec::new(),
                evidence: EvidenceSeen::default(),
                ..Self::lookup()
            }
        }

        fn at(mut self, now: Timestamp) -> Self {
            self.clock = ClockInterval::exact(now);
            self
        }

        fn with(mut self, change: impl FnOnce(&mut Self)) -> Self {
            change(&mut self);
            self
        }

        fn decide(&self) -> Decision {
            let request = ReleaseRequest {
                purpose: self.purpose,
                marketplace: self.market.as_ref(),
                fields: &self.fields,
                form: self.form,
                arose_at: self.arose_at,
                qualified_at: self.qualified_at,
            };
            decide(
                &request,
                &self.terms,
                &self.standing,
                &self.usage,
                &self.evidence,
                &self.clock,
            )
        }

        #[track_caller]
        fn denies(&self, reason: DenialReason) {
            assert_eq!(self.decide(), Decision::Denial(reason));
        }

        #[track_caller]
        fn releases(&self) -> Grant {
            match self.decide() {
                Decision::Release(grant) => grant,
                Decision::Denial(reason) => panic!("denied: {reason}"),
            }
        }
    }

    #[test]
    fn a_lookup_gets_the_most_restrictive_form_that_serves() {
        let grant = Case::lookup().releases();
        assert_eq!(grant.form, Some(ContactForm::Sealed));
        assert_eq!(grant.fields, [Field::Contact].into_iter().collect());
        assert_eq!(grant.under, Under::Term);
        let call = Case::lookup().with(|c| c.form = Some(ContactForm::Virtual));
        assert_eq!(call.releases().form, Some(ContactForm::Virtual));
        Case::lookup()
            .with(|c| c.form = Some(ContactForm::Full))
            .denies(DenialReason::FormNotGranted);
        Case::lookup()
            .with(|c| c.terms.contact_forms = set(&[ContactForm::Masked]))
            .denies(DenialReason::FormNotGranted);
        let consent = Case::lookup().with(|c| c.fields = [Field::Consent].into());
        assert_eq!(consent.releases().form, None);
    }

    #[test]
    fn purpose_scope_fields_and_evidence_are_checked() {
        let lookup = Case::lookup;
        lookup()
            .with(|c| c.purpose = Purpose::Marketing)
            .denies(DenialReason::PurposeNotGranted);
        lookup()
            .with(|c| c.market = Some(market("jd")))
            .denies(DenialReason::OutOfScope);
        lookup()
            .with(|c| c.market = None)
            .denies(DenialReason::OutOfScope);
        lookup()
            .with(|c| c.fields = [Field::Contact, Field::Name].into())
            .denies(DenialReason::FieldNotGranted);
        lookup()
            .with(|c| c.evidence.arrival = false)
            .denies(DenialReason::EvidenceMissing);
        lookup()
            .with(|c| c.evidence.open_elsewhere = true)
            .denies(DenialReason::EvidenceMissing);
        lookup()
            .with(|c| c.terms.evidence.clear())
            .denies(DenialReason::EvidenceMissing);
        lookup()
            .with(|c| c.terms.evidence = set(&[EvidenceKind::Deposit]))
            .denies(DenialReason::EvidenceMissing);
    }

    #[test]
    fn a_field_outside_the_dataset_never_leaves() {
        Case::feed()
            .with(|c| {
                c.terms.fields = set(&[Field::Waybill, Field::Code]);
                c.fields = [Field::Code].into();
            })
            .denies(DenialReason::FieldNotGranted);
    }

    #[test]
    fn quotas_count_distinct_parcels_and_releases_of_one() {
        let full = Usage {
            parcels_today: 2_000_000,
            parcel_counted_today: false,
            releases_of_parcel: 3,
        };
        Case::lookup()
            .with(|c| c.usage = full)
            .denies(DenialReason::QuotaPerDay);
        Case::lookup()
            .with(|c| {
                c.usage = Usage {
                    parcel_counted_today: true,
                    ..full
                };
            })
            .releases();
        Case::lookup()
            .with(|c| c.usage.releases_of_parcel = 4)
            .denies(DenialReason::QuotaPerParcel);
    }

    #[test]
    fn midnight_is_half_open_and_an_uncertain_clock_ends_early() {
        let at_end = |earliest: i64, latest: i64| {
            Case::feed().with(|c| {
                c.terms.run_off_ms = None;
                c.clock = ClockInterval {
                    earliest: JULY.plus_ms(earliest),
                    latest: JULY.plus_ms(latest),
                };
            })
        };
        at_end(-1, -1).releases();
        at_end(-2, 0).denies(DenialReason::TermEnded);
        at_end(0, 0).denies(DenialReason::TermEnded);
        at_end(-2, -1)
            .with(|c| c.standing.closing_guard_ms = 1)
            .denies(DenialReason::Closing);
        at_end(-3, -2)
            .with(|c| c.standing.closing_guard_ms = 1)
            .releases();
        at_end(-70_000, -1).denies(DenialReason::ClockUncertain);
        at_end(-1, -2).denies(DenialReason::ClockUncertain);
        let at_start = |earliest: i64| {
            Case::feed().with(|c| {
                c.arose_at = JUNE;
                c.clock = ClockInterval {
                    earliest: JUNE.plus_ms(earliest),
                    latest: JUNE.plus_ms(5),
                };
            })
        };
        at_start(-1).denies(DenialReason::NotYet);
        at_start(0).releases();
        Case::feed()
            .with(|c| c.arose_at = c.clock.latest.plus_ms(1))
            .denies(DenialReason::ClockUncertain);
    }

    #[test]
    fn every_state_but_in_force_denies_within_the_term() {
        for (state, reason) in [
            (AgreementState::Finalized, DenialReason::NotInForce),
            (AgreementState::Signed, DenialReason::NotYet),
            (AgreementState::Suspended, DenialReason::Suspended),
            (AgreementState::RunOff, DenialReason::TermEnded),
            (AgreementState::Ended, DenialReason::TermEnded),
            (AgreementState::Superseded, DenialReason::Superseded),
        ] {
            Case::feed()
                .with(|c| c.standing.state = state)
                .denies(reason);
        }
    }

    #[test]
    fn run_off_serves_the_frozen_set_until_it_ends() {
        let after = |ms: i64, set: Option<bool>| {
            Case::feed().at(JULY.plus_ms(ms)).with(|c| {
                c.arose_at = JULY.plus_ms(ms);
                c.qualified_at = Some(JULY.plus_ms(-1));
                c.standing.state = AgreementState::RunOff;
                c.standing.in_run_off_set = set;
            })
        };
        assert_eq!(after(0, Some(true)).releases().under, Under::RunOff);
        after(0, None).denies(DenialReason::RunOffNotFrozen);
        after(0, Some(false)).denies(DenialReason::NotInRunOff);
        after(7 * DAY_MS - 1, Some(true)).releases();
        after(7 * DAY_MS, Some(true)).denies(DenialReason::RunOffEnded);
        after(7 * DAY_MS, Some(false)).denies(DenialReason::TermEnded);
        after(0, Some(true))
            .with(|c| c.qualified_at = Some(JULY))
            .denies(DenialReason::NotInRunOff);
        after(0, Some(true))
            .with(|c| c.qualified_at = None)
            .denies(DenialReason::NotInRunOff);
        after(0, Some(true))
            .with(|c| c.standing.state = AgreementState::Signed)
            .denies(DenialReason::RunOffEnded);
    }

    #[test]
    fn a_termination_moves_the_end_and_its_run_off() {
        let stop = JUNE.plus_ms(10 * DAY_MS);
        let case = |ms: i64| {
            Case::feed().at(stop.plus_ms(ms)).with(|c| {
                c.arose_at = stop.plus_ms(-HOUR_MS);
                c.qualified_at = Some(stop.plus_ms(-HOUR_MS));
                c.standing.terminated_at = Some(stop);
                c.standing.in_run_off_set = Some(true);
            })
        };
        assert_eq!(case(-1).releases().under, Under::Term);
        assert_eq!(case(0).releases().under, Under::RunOff);
        case(0)
            .with(|c| c.terms.run_off_ms = None)
            .denies(DenialReason::Terminated);
    }

    #[test]
    fn what_arose_before_the_term_flows_only_if_covered() {
        let arose = |ms: i64| Case::feed().with(|c| c.arose_at = JUNE.plus_ms(ms));
        assert_eq!(arose(-2 * DAY_MS).releases().under, Under::Backlog);
        arose(-2 * DAY_MS - 1).denies(DenialReason::BeforeCoverage);
        arose(-1)
            .with(|c| c.terms.covers_from = None)
            .denies(DenialReason::BeforeCoverage);
        arose(-1)
            .with(|c| c.terms.backlog = Some(Backlog::Drop))
            .denies(DenialReason::BeforeCoverage);
        assert_eq!(arose(0).releases().under, Under::Term);
    }

    #[test]
    fn open_data_needs_no_marketplace_and_takes_none() {
        let stations = || {
            Case::feed().with(|c| {
                c.terms.dataset = Dataset::LockerStations;
                c.terms.purposes = set(&[Purpose::LockerOperation]);
                c.terms.fields = set(&[Field::Station]);
                c.terms.marketplaces.clear();
                c.purpose = Purpose::LockerOperation;
                c.market = None;
            })
        };
        stations().releases();
        stations()
            .with(|c| c.market = Some(market("taobao")))
            .denies(DenialReason::OutOfScope);
    }

    #[test]
    fn reasons_are_named_and_say_what_to_do() {
        for reason in DenialReason::ALL {
            assert_eq!(DenialReason::parse(reason.as_str()), Some(reason));
            assert_eq!(
                serde_json::to_value(reason).unwrap(),
                serde_json::Value::from(reason.as_str())
            );
            let english = reason.sentence(Language::En);
            assert!(english.matches(". ").count() >= 1, "{english}");
            assert!(reason.sentence(Language::Zh).ends_with('。'));
        }
        let packed = postcard::to_allocvec(&DenialReason::ALL).unwrap();
        let expected: Vec<u8> = (0..19).collect();
        assert_eq!(packed, expected, "stored order");
    }

    prop_compose! {
        fn any_case(terms: Terms)(
            purpose in select(Purpose::ALL),
            market_name in proptest::option::of(select(alloc::vec!["taobao", "jd", "vip"])),
            fields in subsequence(Field::of(terms.dataset).to_vec(), 0..=2),
            form in proptest::option::of(select(alloc::vec![
                ContactForm::Masked, ContactForm::Sealed, ContactForm::Full,
            ])),
            back_s in 0i64..3_000,
            qualified_back_s in proptest::option::of(0i64..3_000),
            now_s in -1_500i64..3_500,
            width_ms in 0i64..3_000,
            state in select(alloc::vec![
                AgreementState::InForce, AgreementState::InForce, AgreementState::RunOff,
                AgreementState::Ended, AgreementState::Suspended, AgreementState::Signed,
            ]),
            terminated_s in proptest::option::of(-1_000i64..3_000),
            in_run_off_set in any::<Option<bool>>(),
            usage in (0u32..5, any::<bool>(), 0u32..5),
            evidence in any::<(bool, bool)>(),
            terms in Just(terms),
        ) -> Case {
            let now = JUNE.plus_ms(now_s * 1_000);
            Case {
                terms,
                purpose,
                market: market_name.map(market),
                fields,
                form,
                arose_at: now.plus_ms(-back_s * 1_000),
                qualified_at: qualified_back_s.map(|s| now.plus_ms(-s * 1_000)),
                standing: Standing {
                    state,
                    terminated_at: terminated_s.map(|s| JUNE.plus_ms(s * 1_000)),
                    closing_guard_ms: 0,
                    in_run_off_set,
                },
                usage: Usage {
                    parcels_today: usage.0,
                    parcel_counted_today: usage.1,
                    releases_of_parcel: usage.2,
                },
                evidence: EvidenceSeen {
                    arrival: evidence.0,
                    deposit: evidence.1,
                    open_elsewhere: false,
                },
                clock: ClockInterval { earliest: now.plus_ms(-width_ms), latest: now },
            }
        }
    }

    /// A case that its terms are likely to grant, so that releases are tested too: `permille` of the
    /// way from the start of the term to the end of run-off.
    fn likely(mut case: Case, permille: i64) -> Case {
        let terms = &case.terms;
        let end = terms.until.plus_ms(terms.run_off_ms.unwrap_or(0));
        let now = terms
            .from
            .plus_ms(end.since_ms(terms.from) * permille / 1_000);
        let age_ms = case.clock.latest.since_ms(case.arose_at);
        case.purpose = *terms.purposes.first().unwrap();
        case.market = terms.marketplaces.first().cloned();
        case.fields = terms.fields.iter().take(1).copied().collect();
        case.form = None;
        case.arose_at = now.plus_ms(-age_ms);
        case.qualified_at = Some(terms.until.plus_ms(-1));
        case.standing = Standing {
            in_run_off_set: case.standing.in_run_off_set,
            ..Standing::IN_FORCE
        };
        case.evidence.arrival = true;
        case.evidence.deposit = true;
        case.clock = ClockInterval {
            earliest: now.max(terms.from),
            latest: now.max(terms.from),
        };
        if !terms.dataset.is_parcel_data() {
            case.market = None;
        }
        case
    }

    fn cases() -> impl Strategy<Value = Case> {
        let raw = any_terms().prop_flat_map(any_case);
        (raw, proptest::option::weighted(0.8, 0i64..1_000)).prop_map(|(case, permille)| {
            match permille {
                Some(permille) => likely(case, permille),
                None => case,
            }
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2_000))]

        #[test]
        fn nothing_is_released_that_the_terms_do_not_cover(case in cases()) {
            let Decision::Release(grant) = case.decide() else { return Ok(()); };
            let terms = &case.terms;
            let end = case.standing.terminated_at.map_or(terms.until, |at| at.min(terms.until));
            if case.clock.latest >= end {
                prop_assert_eq!(grant.under, Under::RunOff);
                prop_assert!(case.clock.latest < end.plus_ms(terms.run_off_ms.unwrap()));
                prop_assert!(case.qualified_at.unwrap() < end);
                prop_assert_eq!(case.standing.in_run_off_set, Some(true));
            } else {
                prop_assert!(case.clock.earliest >= terms.from);
                prop_assert_eq!(case.standing.state, AgreementState::InForce);
            }
            prop_assert!(case.arose_at >= terms.coverage_start());
            prop_assert!(terms.purposes.contains(&case.purpose));
            match &case.market {
                Some(market) => prop_assert!(terms.marketplaces.contains(market)),
                None => prop_assert!(!terms.dataset.is_parcel_data()),
            }
            prop_assert!(!grant.fields.is_empty());
            prop_assert!(grant.fields.iter().all(|f| terms.fields.contains(&f)));
            let secret = grant.fields.contains(Field::Contact) || grant.fields.contains(Field::Code);
            prop_assert_eq!(secret, grant.form.is_some());
            if let Some(form) = grant.form {
                prop_assert!(terms.contact_forms.contains(&form));
            }
            if let Some(quota) = terms.quota_per_parcel {
                prop_assert!(case.usage.releases_of_parcel < quota);
            }
            if let Some(quota) = terms.quota_per_day {
                prop_assert!(case.usage.parcel_counted_today || case.usage.parcels_today < quota);
            }
        }

        #[test]
        fn narrower_terms_release_nothing_that_wider_ones_deny(
            case in cases(),
            steps in proptest::collection::vec(any_narrowing(), 1..3),
        ) {
            let mut narrow = case.terms.clone();
            for step in &steps {
                step.apply(&mut narrow);
            }
            if within(&narrow, &case.terms).is_err() {
                return Ok(());
            }
            let wide = case.decide();
            let narrowed = case.with(|c| c.terms = narrow);
            match (narrowed.decide(), wide) {
                (Decision::Release(less), Decision::Release(more)) => {
                    prop_assert!(less.fields.is_subset(more.fields));
                }
                (Decision::Release(_), Decision::Denial(reason)) => {
                    prop_assert!(false, "released although the wider terms say {reason}");
                }
                (Decision::Denial(_), _) => {}
            }
        }
    }

    /// The properties above would hold if nothing were ever released.
    #[test]
    fn the_properties_meet_every_kind_of_release() {
        let mut runner = proptest::test_runner::TestRunner::deterministic();
        let strategy = cases();
        let mut met = [0u32; 3];
        for _ in 0..4_000 {
            let case = strategy.new_tree(&mut runner).unwrap().current();
            if let Decision::Release(grant) = case.decide() {
                met[grant.under as usize] += 1;
            }
        }
        assert!(met.iter().all(|count| *count >= 20), "{met:?}");
    }
}
