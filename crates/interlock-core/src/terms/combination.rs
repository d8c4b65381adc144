//! Which terms go together, checked at negotiation so that no parcel is stranded.
//!
//! INVARIANT: terms that pass leave no parcel in a locker whose recipient nobody may tell, ask for
//! nothing that can never be released, and grant nothing that no purpose needs.
//!
//! Not known here: the other agreements of a cooperation.

use alloc::vec::Vec;

use super::vocabulary::{Backlog, EvidenceKind, Field, Notifier, Purpose, TermKey};
use super::{RUN_OFF_MS_MAX, Terms};
use crate::contact::ContactForm;
use crate::dataset::{Dataset, DatasetForm};
use crate::time::HOUR_MS;

/// A row of the table that the terms break. The message says what to change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub enum CombinationError {
    /// The term is empty.
    #[error("the term ends before it begins; let `until` be later than `from`")]
    TermEmpty,
    /// No purpose.
    #[error("no purpose is named; name at least one")]
    NoPurpose,
    /// A purpose that the dataset cannot serve.
    #[error("`{dataset}` can't be used for `{purpose}`; remove the purpose")]
    PurposeNotForDataset {
        /// The dataset.
        dataset: Dataset,
        /// The purpose.
        purpose: Purpose,
    },
    /// Parcel data without scope.
    #[error("no marketplace is named; name those whose parcels are covered")]
    NoScope,
    /// Open data with scope.
    #[error("`{0}` has no parcels; remove the marketplaces")]
    ScopeOnOpenData(Dataset),
    /// No field leaves.
    #[error("no field is named; name at least one")]
    NoField,
    /// A field that the dataset does not have.
    #[error("`{dataset}` has no field `{field}`; remove it")]
    FieldNotInDataset {
        /// The dataset.
        dataset: Dataset,
        /// The field.
        field: Field,
    },
    /// A field without which the items or a purpose are of no use.
    #[error("`{reason}` needs the field `{field}`; add it")]
    FieldNeeded {
        /// The dataset or purpose that needs it.
        reason: &'static str,
        /// The field.
        field: Field,
    },
    /// Forms without a contact or code.
    #[error("a form is named, but neither contact nor code leaves; remove the form")]
    FormWithoutContact,
    /// A contact or code without form.
    #[error("the contact or code leaves, but no form is named; name at least one")]
    NoForm,
    /// A form that a code does not have.
    #[error("a code can't leave as `{}`; use `sealed` or `full`", .0.as_str())]
    FormNotForCode(ContactForm),
    /// No form with which the operator can tell the recipient.
    #[error(
        "the operator is to tell the recipient, but no form lets it; add `sealed`, `virtual` or `full`"
    )]
    NoFormToNotify,
    /// No form with which a courier can call.
    #[error("a courier is to call, but no form lets it; add `virtual` or `full`")]
    NoFormToCall,
    /// A notifier where none is told anything.
    #[error("`{0}` doesn't lead to a message; remove the notifier")]
    NotifierNotForDataset(Dataset),
    /// The purpose of a message, but nobody named to send it.
    #[error("the recipient is to be told, but it isn't said by whom; name the notifier")]
    NoNotifier,
    /// A notifier without the purpose that lets it act.
    #[error("the {0} is to tell the recipient, but lacks the purpose; add `pickup-notification`")]
    NotifierWithoutPurpose(Notifier),
    /// The consumer may send the message, but another is to.
    #[error("the {0} is to tell the recipient, not the consumer; remove `pickup-notification`")]
    PurposeOfAnotherNotifier(Notifier),
    /// A lookup without evidence.
    #[error("a lookup needs evidence; name `arrival`, `deposit` or both")]
    NoEvidence,
    /// A feed with evidence.
    #[error("`{0}` is a feed, which nobody asks for parcel by parcel; remove the evidence")]
    EvidenceOnFeed(Dataset),
    /// Consent is asked before the deposit.
    #[error("consent is asked before the deposit; add the evidence `arrival`")]
    ConsentNeedsArrival,
    /// A limit of zero.
    #[error("a quota of 0 releases nothing; write at least 1")]
    QuotaZero,
    /// Later steps of a parcel would not flow.
    #[error("a limit for each parcel would cut its events off; remove `quota-per-parcel`")]
    QuotaPerParcelOnFeed,
    /// A limit a day on a feed, which is bounded by its scope and not enforced by number.
    #[error("a limit a day would cut events of parcels off; remove `quota-per-day`")]
    QuotaPerDayOnFeed,
    /// The consumer could not ask once for each purpose.
    #[error("each of {0} purposes asks once for a parcel; let `quota-per-parcel` be at least {0}")]
    QuotaPerParcelTooSmall(u32),
    /// Run-off for data that has no parcels.
    #[error("`{0}` has no parcels that could qualify; remove the run-off")]
    RunOffOnOpenData(Dataset),
    /// Run-off outside the limit.
    #[error("run-off is longer than 7 days or not positive; write at most `P7D`")]
    RunOffOutOfRange,
    /// Backlog of a lookup.
    #[error("a lookup has no backlog; remove `backlog` and `covers-from`")]
    BacklogOnLookup,
    /// Covered and dropped.
    #[error("backlog is dropped and covered at once; use `hold` or remove `covers-from`")]
    BacklogContradicts,
    /// Coverage that begins within the term.
    #[error("coverage begins after the term; let `covers-from` be no later than `from`")]
    CoversFromWithinTerm,
    /// Deletion sooner than keys end.
    #[error(
        "the time until deletion is below an hour, the shortest that keys last; write at least `PT1H`"
    )]
    DeletionOutOfRange,
}

impl CombinationError {
    /// The term to change.
    pub const fn key(&self) -> TermKey {
        match self {
            Self::TermEmpty => TermKey::Term,
            Self::NoPurpose
            | Self::PurposeNotForDataset { .. }
            | Self::NotifierWithoutPurpose(_)
            | Self::PurposeOfAnotherNotifier(_) => TermKey::Purpose,
            Self::NoScope | Self::ScopeOnOpenData(_) => TermKey::Scope,
            Self::NoField | Self::FieldNotInDataset { .. } | Self::FieldNeeded { .. } => {
                TermKey::Fields
            }
            Self::FormWithoutContact
            | Self::NoForm
            | Self::FormNotForCode(_)
            | Self::NoFormToNotify
            | Self::NoFormToCall => TermKey::ContactForm,
            Self::NotifierNotForDataset(_) | Self::NoNotifier => TermKey::Notifier,
            Self::NoEvidence | Self::EvidenceOnFeed(_) | Self::ConsentNeedsArrival => {
                TermKey::Evidence
            }
            Self::QuotaZero | Self::QuotaPerDayOnFeed => TermKey::QuotaPerDay,
            Self::QuotaPerParcelOnFeed | Self::QuotaPerParcelTooSmall(_) => TermKey::QuotaPerParcel,
            Self::RunOffOnOpenData(_) | Self::RunOffOutOfRange => TermKey::RunOff,
            Self::BacklogOnLookup | Self::BacklogContradicts => TermKey::Backlog,
            Self::CoversFromWithinTerm => TermKey::CoversFrom,
            Self::DeletionOutOfRange => TermKey::Deletion,
        }
    }
}

/// The purposes that `dataset` can serve. `marketing` is served by none.
pub const fn purposes_of(dataset: Dataset) -> &'static [Purpose] {
    match dataset {
        Dataset::PreAdvice => &[Purpose::Ownership, Purpose::LockerOperation],
        Dataset::RecipientContact => &[
            Purpose::DepositConsent,
            Purpose::PickupNotification,
            Purpose::CourierCall,
        ],
        Dataset::LockerEvents | Dataset::PickupCode => {
            &[Purpose::DeliveryTracking, Purpose::PickupNotification]
        }
        Dataset::LockerStations => &[
            Purpose::LockerOperation,
            Purpose::DeliveryTracking,
            Purpose::Statistics,
        ],
        Dataset::TrackingEvents => &[Purpose::DeliveryTracking],
        Dataset::CooperationStatus => &[Purpose::Mediation, Purpose::Statistics],
        Dataset::ExchangeStatistics => &[Purpose::Statistics],
    }
}

/// Checks terms against the table of valid combinations.
///
/// | dataset | notifier | purpose `pickup-notification` | contact form | evidence | fields |
/// |---|---|---|---|---|---|
/// | `recipient-contact` | operator | must be granted | at least one of sealed, virtual, full | arrival or deposit | contact |
/// | `recipient-contact` | owner, carrier | must not be granted | any, masked alone will do | arrival or deposit | |
/// | `recipient-contact` | none | must not be granted | any | arrival or deposit | |
/// | `locker-events` | owner | must be granted | none | none | waybill, step, number, station |
/// | `locker-events` | operator, carrier, none | must not be granted | none | none | waybill, step, number |
/// | `pickup-code` | owner | must be granted | sealed, full | none | waybill, code, station |
/// | `pickup-code` | operator, carrier, none | must not be granted | sealed, full | none | waybill, code |
/// | all others | none | cannot be granted | none | none | waybill in feeds of parcels |
///
/// And in every dataset:
/// - the term is not empty; purposes are among [`purposes_of`] the dataset and not none; fields exist
///   in it and are not none; parcel data has a scope, open data has none;
/// - forms are named exactly when the contact or code leaves;
/// - `deposit-consent` needs the field consent and the evidence arrival, for it is asked before the
///   deposit; `courier-call` needs the contact as virtual or full; `ownership` needs the fields owner
///   and marketplace; tracking needs step and number;
/// - quotas are at least 1; feeds have no quota, lookups one that lets each purpose ask
///   once;
/// - run-off is for parcel data, at most 7 days; backlog is for feeds, and coverage begins before the
///   term and is not dropped.
///
/// # Errors
/// Every [`CombinationError`] that applies.
pub fn check_combination(terms: &Terms) -> Result<(), Vec<CombinationError>> {
    let mut errors = Vec::new();
    purposes_and_scope(terms, &mut errors);
    fields(terms, &mut errors);
    forms(terms, &mut errors);
    notifier(terms, &mut errors);
    evidence_and_quotas(terms, &mut errors);
    times(terms, &mut errors);
    if errors.is_empty() {
        Ok(())
    } else {
        Err(errors)
    }
}

/// Whether recipients would be sent to a door that stays closed: under `events`, terms of `locker-events`,
/// their consumer tells recipients that a parcel lies in a locker, and nothing `beside` them, of the same two
/// parties, for the same marketplaces and as long, gives it the code in the open (`pickup-code`) or has the
/// operator tell the recipient itself (`recipient-contact`). A carrier is given codes only under terms that
/// name it as the notifier; an owner under any.
pub fn withholds_code<'a>(events: &Terms, beside: impl IntoIterator<Item = &'a Terms>) -> bool {
    let tells = matches!(events.notifier, Some(Notifier::Owner | Notifier::Carrier));
    if events.dataset != Dataset::LockerEvents || !tells {
        return false;
    }
    let covers = |other: &Terms| {
        other.from <= events.from
            && events.until <= other.until
            && events.marketplaces.is_subset(&other.marketplaces)
    };
    let serves = |other: &Terms| match other.dataset {
        Dataset::PickupCode => {
            let carrier = Some(Notifier::Carrier);
            let told = events.notifier != carrier || other.notifier == carrier;
            told && other.contact_forms.contains(&ContactForm::Full)
        }
        Dataset::RecipientContact => other.notifier == Some(Notifier::Operator),
        Dataset::PreAdvice
        | Dataset::LockerEvents
        | Dataset::LockerStations
        | Dataset::TrackingEvents
        | Dataset::CooperationStatus
        | Dataset::ExchangeStatistics => false,
    };
    !beside
        .into_iter()
        .any(|other| serves(other) && covers(other))
}

type Errors = Vec<CombinationError>;

fn purposes_and_scope(terms: &Terms, errors: &mut Errors) {
    let dataset = terms.dataset;
    if terms.purposes.is_empty() {
        errors.push(CombinationError::NoPurpose);
    }
    for purpose in &terms.purposes {
        if !purposes_of(dataset).contains(purpose) {
            errors.push(CombinationError::PurposeNotForDataset {
                dataset,
                purpose: *purpose,
            });
        }
    }
    match (dataset.is_parcel_data(), terms.marketplaces.is_empty()) {
        (true, true) => errors.push(CombinationError::NoScope),
        (false, false) => errors.push(CombinationError::ScopeOnOpenData(dataset)),
        (true, false) | (false, true) => {}
    }
}

fn fields(terms: &Terms, errors: &mut Errors) {
    let dataset = terms.dataset;
    if terms.fields.is_empty() {
        errors.push(CombinationError::NoField);
    }
    for field in &terms.fields {
        if !Field::of(dataset).contains(field) {
            errors.push(CombinationError::FieldNotInDataset {
                dataset,
                field: *field,
            });
        }
    }
    let needed: &[Field] = match dataset {
        Dataset::PreAdvice => &[Field::Waybill],
        Dataset::LockerEvents | Dataset::TrackingEvents => {
            &[Field::Waybill, Field::Step, Field::Number]
        }
        Dataset::PickupCode => &[Field::Waybill, Field::Code],
        Dataset::RecipientContact
        | Dataset::LockerStations
        | Dataset::CooperationStatus
        | Dataset::ExchangeStatistics => &[],
    };
    let mut need = |reason: &'static str, field: Field| {
        if !terms.fields.contains(&field) {
            errors.push(CombinationError::FieldNeeded { reason, field });
        }
    };
    for field in needed {
        need(dataset.as_str(), *field);
    }
    for purpose in &terms.purposes {
        for field in fields_for(dataset, *purpose) {
            need(purpose.as_str(), *field);
        }
    }
}

const fn fields_for(dataset: Dataset, purpose: Purpose) -> &'static [Field] {
    match (dataset, purpose) {
        (Dataset::PreAdvice, Purpose::Ownership) => &[Field::Owner, Field::Marketplace],
        (Dataset::RecipientContact, Purpose::DepositConsent) => &[Field::Consent],
        (Dataset::RecipientContact, Purpose::PickupNotification | Purpose::CourierCall) => {
            &[Field::Contact]
        }
        (Dataset::LockerEvents | Dataset::PickupCode, Purpose::PickupNotification) => {
            &[Field::Station]
        }
        (
            Dataset::PreAdvice
            | Dataset::RecipientContact
            | Dataset::LockerEvents
            | Dataset::PickupCode
            | Dataset::LockerStations
            | Dataset::TrackingEvents
            | Dataset::CooperationStatus
            | Dataset::ExchangeStatistics,
            Purpose::DepositConsent
            | Purpose::PickupNotification
            | Purpose::CourierCall
            | Purpose::DeliveryTracking
            | Purpose::LockerOperation
            | Purpose::Ownership
            | Purpose::Mediation
            | Purpose::Statistics
            | Purpose::Marketing,
        ) => &[],
    }
}

fn forms(terms: &Terms, errors: &mut Errors) {
    let secret = terms.fields.contains(&Field::Contact) || terms.fields.contains(&Field::Code);
    match (secret, terms.contact_forms.is_empty()) {
        (true, true) => errors.push(CombinationError::NoForm),
        (false, false) => errors.push(CombinationError::FormWithoutContact),
        (true, false) | (false, true) => {}
    }
    if terms.dataset == Dataset::PickupCode {
        for form in [ContactForm::Masked, ContactForm::Virtual] {
            if terms.contact_forms.contains(&form) {
                errors.push(CombinationError::FormNotForCode(form));
            }
        }
    }
    if terms.contact_forms.is_empty() || terms.dataset != Dataset::RecipientContact {
        return;
    }
    let strongest = terms.contact_forms.last().copied();
    if terms.notifier == Some(Notifier::Operator) && !strongest.is_some_and(ContactForm::can_notify)
    {
        errors.push(CombinationError::NoFormToNotify);
    }
    if terms.purposes.contains(&Purpose::CourierCall)
        && strongest.is_none_or(|form| form < ContactForm::Virtual)
    {
        errors.push(CombinationError::NoFormToCall);
    }
}

/// The consumer may have the purpose of the message exactly if the consumer is to send it.
fn notifier(terms: &Terms, errors: &mut Errors) {
    let consumer = match terms.dataset {
        Dataset::RecipientContact => Notifier::Operator,
        Dataset::LockerEvents | Dataset::PickupCode => Notifier::Owner,
        Dataset::PreAdvice
        | Dataset::LockerStations
        | Dataset::TrackingEvents
        | Dataset::CooperationStatus
        | Dataset::ExchangeStatistics => {
            if terms.notifier.is_some() {
                errors.push(CombinationError::NotifierNotForDataset(terms.dataset));
            }
            return;
        }
    };
    let purpose = terms.purposes.contains(&Purpose::PickupNotification);
    match (terms.notifier, purpose) {
        (None, true) => errors.push(CombinationError::NoNotifier),
        (Some(named), true) if named != consumer => {
            errors.push(CombinationError::PurposeOfAnotherNotifier(named));
        }
        (Some(named), false) if named == consumer => {
            errors.push(CombinationError::NotifierWithoutPurpose(named));
        }
        (None, false) | (Some(_), true | false) => {}
    }
}

fn evidence_and_quotas(terms: &Terms, errors: &mut Errors) {
    let lookup = terms.dataset.form() == DatasetForm::Lookup;
    match (lookup, terms.evidence.is_empty()) {
        (true, true) => errors.push(CombinationError::NoEvidence),
        (false, false) => errors.push(CombinationError::EvidenceOnFeed(terms.dataset)),
        (true, false) | (false, true) => {}
    }
    if lookup
        && terms.purposes.contains(&Purpose::DepositConsent)
        && !terms.evidence.is_empty()
        && !terms.evidence.contains(&EvidenceKind::Arrival)
    {
        errors.push(CombinationError::ConsentNeedsArrival);
    }
    if terms.quota_per_day == Some(0) || terms.quota_per_parcel == Some(0) {
        errors.push(CombinationError::QuotaZero);
    }
    let purposes = u32::try_from(terms.purposes.len()).unwrap_or(u32::MAX);
    if terms.quota_per_day.is_some() && !lookup {
        errors.push(CombinationError::QuotaPerDayOnFeed);
    }
    match terms.quota_per_parcel {
        Some(_) if !lookup => errors.push(CombinationError::QuotaPerParcelOnFeed),
        Some(quota) if quota < purposes => {
            errors.push(CombinationError::QuotaPerParcelTooSmall(purposes));
        }
        Some(_) | None => {}
    }
}

fn times(terms: &Terms, errors: &mut Errors) {
    if terms.from >= terms.until {
        errors.push(CombinationError::TermEmpty);
    }
    if let Some(ms) = terms.run_off_ms {
        if !terms.dataset.is_parcel_data() {
            errors.push(CombinationError::RunOffOnOpenData(terms.dataset));
        }
        if !(1..=RUN_OFF_MS_MAX).contains(&ms) {
            errors.push(CombinationError::RunOffOutOfRange);
        }
    }
    if terms.dataset.form() == DatasetForm::Lookup
        && (terms.backlog.is_some() || terms.covers_from.is_some())
    {
        errors.push(CombinationError::BacklogOnLookup);
    }
    if let Some(covered) = terms.covers_from {
        if terms.backlog == Some(Backlog::Drop) {
            errors.push(CombinationError::BacklogContradicts);
        }
        if covered > terms.from {
            errors.push(CombinationError::CoversFromWithinTerm);
        }
    }
    if terms.delete_after_ms.is_some_and(|ms| ms < HOUR_MS) {
        errors.push(CombinationError::DeletionOutOfRange);
    }
}

#[cfg(test)]
mod tests {
    use alloc::collections::BTreeSet;

    use super::super::testing::{contact_terms, event_terms, market, set};
    use super::*;
    use crate::time::DAY_MS;

    use CombinationError as E;

    #[track_caller]
    fn check(base: fn() -> Terms, change: fn(&mut Terms), expected: &[CombinationError]) {
        let mut terms = base();
        change(&mut terms);
        assert_eq!(
            check_combination(&terms).err().unwrap_or_default(),
            expected
        );
    }

    fn code_terms() -> Terms {
        let mut terms = event_terms();
        terms.dataset = Dataset::PickupCode;
        terms.fields = set(&[Field::Waybill, Field::Code, Field::Station]);
        terms.contact_forms = set(&[ContactForm::Sealed]);
        terms.notifier = Some(Notifier::Owner);
        terms.purposes.insert(Purpose::PickupNotification);
        terms
    }

    #[test]
    fn who_tells_recipients_has_the_code_or_the_operator_tells_too() {
        let mut events = event_terms();
        events.notifier = Some(Notifier::Owner);
        events.purposes.insert(Purpose::PickupNotification);
        let mut code = code_terms();
        code.contact_forms = set(&[ContactForm::Full]);
        let told = |change: fn(&mut Terms), code: &Terms| {
            let mut other = code.clone();
            change(&mut other);
            !withholds_code(&events, [&other])
        };
        assert!(withholds_code(&events, []));
        assert!(told(|_| {}, &code));
        assert!(!told(
            |it| it.contact_forms = set(&[ContactForm::Sealed]),
            &code
        ));
        assert!(!told(|it| it.marketplaces = set(&[market("jd")]), &code));
        assert!(!told(|it| it.until = it.until.plus_ms(-1), &code));
        assert!(!told(|it| it.from = it.from.plus_ms(1), &code));
        assert!(!told(|it| it.dataset = Dataset::TrackingEvents, &code));
        let contact = contact_terms();
        assert_eq!(contact.notifier, Some(Notifier::Operator));
        assert!(told(|_| {}, &contact));
        assert!(!told(|it| it.notifier = Some(Notifier::Owner), &contact));
        // An owner is given the codes of its parcels whoever tells, a carrier only if it does.
        let all = [None, Some(Notifier::Operator), Some(Notifier::Owner)];
        for (by, serving) in [
            (Notifier::Owner, &[true; 4]),
            (Notifier::Carrier, &[false, false, false, true]),
        ] {
            events.notifier = Some(by);
            let named = all.into_iter().chain([Some(Notifier::Carrier)]);
            for (notifier, serves) in named.zip(serving) {
                code.notifier = notifier;
                let withheld = withholds_code(&events, [&code]);
                assert_eq!(withheld, !serves, "{by:?}, {notifier:?}");
            }
        }
        for notifier in [None, Some(Notifier::Operator)] {
            events.notifier = notifier;
            assert!(!withholds_code(&events, []));
        }
    }

    fn station_terms() -> Terms {
        let mut terms = event_terms();
        terms.dataset = Dataset::LockerStations;
        terms.purposes = set(&[Purpose::LockerOperation]);
        terms.fields = set(&[Field::Station, Field::Availability]);
        terms.marketplaces.clear();
        terms.notifier = None;
        terms.run_off_ms = None;
        terms
    }

    #[test]
    fn the_cooperation_of_the_case_passes() {
        for base in [contact_terms, event_terms, code_terms, station_terms] {
            check(base, |_| {}, &[]);
        }
    }

    #[test]
    fn contacts_for_an_operator_that_notifies() {
        let base = contact_terms;
        check(
            base,
            |t| t.contact_forms = set(&[ContactForm::Masked]),
            &[E::NoFormToNotify],
        );
        for form in [ContactForm::Sealed, ContactForm::Virtual, ContactForm::Full] {
            let mut terms = base();
            terms.contact_forms = set(&[ContactForm::Masked, form]);
            assert_eq!(check_combination(&terms), Ok(()));
        }
        check(
            base,
            |t| {
                t.purposes.remove(&Purpose::PickupNotification);
            },
            &[E::NotifierWithoutPurpose(Notifier::Operator)],
        );
        check(base, |t| t.notifier = None, &[E::NoNotifier]);
        check(base, |t| t.contact_forms.clear(), &[E::NoForm]);
        check(
            base,
            |t| {
                t.fields.remove(&Field::Contact);
            },
            &[
                E::FieldNeeded {
                    reason: "pickup-notification",
                    field: Field::Contact,
                },
                E::FormWithoutContact,
            ],
        );
        check(base, |t| t.evidence.clear(), &[E::NoEvidence]);
        check(
            base,
            |t| t.evidence = set(&[EvidenceKind::Deposit]),
            &[E::ConsentNeedsArrival],
        );
        check(base, |t| t.evidence = set(&[EvidenceKind::Arrival]), &[]);
    }

    #[test]
    fn contacts_when_another_notifies() {
        fn base() -> Terms {
            let mut terms = contact_terms();
            terms.purposes = set(&[Purpose::DepositConsent]);
            terms.contact_forms = set(&[ContactForm::Masked]);
            terms.notifier = Some(Notifier::Owner);
            terms
        }
        check(base, |_| {}, &[]);
        check(base, |t| t.notifier = Some(Notifier::Carrier), &[]);
        check(base, |t| t.notifier = None, &[]);
        check(
            base,
            |t| {
                t.purposes.insert(Purpose::PickupNotification);
            },
            &[E::PurposeOfAnotherNotifier(Notifier::Owner)],
        );
        check(
            base,
            |t| {
                t.purposes.insert(Purpose::CourierCall);
            },
            &[E::NoFormToCall],
        );
        check(
            base,
            |t| {
                t.purposes.insert(Purpose::CourierCall);
                t.contact_forms.insert(ContactForm::Virtual);
            },
            &[],
        );
        check(
            base,
            |t| {
                t.fields.remove(&Field::Consent);
            },
            &[E::FieldNeeded {
                reason: "deposit-consent",
                field: Field::Consent,
            }],
        );
    }

    #[test]
    fn locker_events() {
        fn owner() -> Terms {
            let mut terms = event_terms();
            terms.notifier = Some(Notifier::Owner);
            terms.purposes.insert(Purpose::PickupNotification);
            terms
        }
        check(owner, |_| {}, &[]);
        check(
            owner,
            |t| {
                t.purposes.remove(&Purpose::PickupNotification);
            },
            &[E::NotifierWithoutPurpose(Notifier::Owner)],
        );
        check(
            owner,
            |t| {
                t.fields.remove(&Field::Station);
            },
            &[E::FieldNeeded {
                reason: "pickup-notification",
                field: Field::Station,
            }],
        );
        check(
            event_terms,
            |t| {
                t.purposes.insert(Purpose::PickupNotification);
            },
            &[E::PurposeOfAnotherNotifier(Notifier::Operator)],
        );
        check(event_terms, |t| t.notifier = None, &[]);
        check(
            event_terms,
            |t| {
                t.fields.remove(&Field::Number);
            },
            &[E::FieldNeeded {
                reason: "locker-events",
                field: Field::Number,
            }],
        );
        check(
            event_terms,
            |t| t.contact_forms = set(&[ContactForm::Full]),
            &[E::FormWithoutContact],
        );
        check(
            event_terms,
            |t| t.evidence = set(&[EvidenceKind::Deposit]),
            &[E::EvidenceOnFeed(Dataset::LockerEvents)],
        );
        check(
            event_terms,
            |t| t.quota_per_parcel = Some(9),
            &[E::QuotaPerParcelOnFeed],
        );
    }

    #[test]
    fn pickup_codes() {
        check(
            code_terms,
            |t| t.contact_forms = set(&[ContactForm::Full]),
            &[],
        );
        check(
            code_terms,
            |t| t.contact_forms = set(&[ContactForm::Masked, ContactForm::Virtual]),
            &[
                E::FormNotForCode(ContactForm::Masked),
                E::FormNotForCode(ContactForm::Virtual),
            ],
        );
        check(code_terms, |t| t.contact_forms.clear(), &[E::NoForm]);
        check(
            code_terms,
            |t| t.notifier = Some(Notifier::Carrier),
            &[E::PurposeOfAnotherNotifier(Notifier::Carrier)],
        );
        check(
            code_terms,
            |t| {
                t.notifier = Some(Notifier::Operator);
                t.purposes.remove(&Purpose::PickupNotification);
            },
            &[],
        );
    }

    #[test]
    fn other_datasets() {
        check(
            station_terms,
            |t| t.notifier = Some(Notifier::Operator),
            &[E::NotifierNotForDataset(Dataset::LockerStations)],
        );
        check(
            station_terms,
            |t| t.marketplaces = set(&[market("jd")]),
            &[E::ScopeOnOpenData(Dataset::LockerStations)],
        );
        check(
            station_terms,
            |t| t.run_off_ms = Some(DAY_MS),
            &[E::RunOffOnOpenData(Dataset::LockerStations)],
        );
        check(
            event_terms,
            |t| {
                t.dataset = Dataset::PreAdvice;
                t.notifier = None;
                t.purposes = set(&[Purpose::Ownership]);
                t.fields = set(&[Field::Waybill, Field::Owner]);
            },
            &[E::FieldNeeded {
                reason: "ownership",
                field: Field::Marketplace,
            }],
        );
    }

    #[test]
    fn every_dataset_has_purposes_and_marketing_is_none_of_them() {
        for dataset in Dataset::ALL {
            assert!(!purposes_of(dataset).is_empty());
            assert!(!purposes_of(dataset).contains(&Purpose::Marketing));
        }
        check(
            contact_terms,
            |t| {
                t.purposes.insert(Purpose::Marketing);
            },
            &[E::PurposeNotForDataset {
                dataset: Dataset::RecipientContact,
                purpose: Purpose::Marketing,
            }],
        );
    }

    #[test]
    fn sets_quotas_and_times() {
        check(event_terms, |t| t.purposes.clear(), &[E::NoPurpose]);
        check(
            event_terms,
            |t| t.marketplaces = BTreeSet::new(),
            &[E::NoScope],
        );
        check(station_terms, |t| t.fields.clear(), &[E::NoField]);
        check(
            station_terms,
            |t| {
                t.fields.insert(Field::Waybill);
            },
            &[E::FieldNotInDataset {
                dataset: Dataset::LockerStations,
                field: Field::Waybill,
            }],
        );
        check(
            contact_terms,
            |t| t.quota_per_day = Some(0),
            &[E::QuotaZero],
        );
        check(
            contact_terms,
            |t| t.quota_per_parcel = Some(1),
            &[E::QuotaPerParcelTooSmall(2)],
        );
        check(event_terms, |t| t.until = t.from, &[E::TermEmpty]);
        check(
            event_terms,
            |t| t.run_off_ms = Some(7 * DAY_MS + 1),
            &[E::RunOffOutOfRange],
        );
        check(
            event_terms,
            |t| t.run_off_ms = Some(0),
            &[E::RunOffOutOfRange],
        );
        check(
            contact_terms,
            |t| t.backlog = Some(Backlog::Hold),
            &[E::BacklogOnLookup],
        );
        check(
            event_terms,
            |t| t.backlog = Some(Backlog::Drop),
            &[E::BacklogContradicts],
        );
        check(
            event_terms,
            |t| t.covers_from = Some(t.from.plus_ms(1)),
            &[E::CoversFromWithinTerm],
        );
        check(
            event_terms,
            |t| t.delete_after_ms = Some(HOUR_MS - 1),
            &[E::DeletionOutOfRange],
        );
    }
}
