//! Terms for tests: the cooperation of the case, and arbitrary ones.

use alloc::collections::BTreeSet;
use alloc::vec;
use alloc::vec::Vec;

use proptest::collection::btree_set;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::{select, subsequence};

use super::{Backlog, EvidenceKind, Field, Notifier, Purpose, Terms};
use crate::contact::ContactForm;
use crate::dataset::Dataset;
use crate::ids::Marketplace;
use crate::time::{DAY_MS, Timestamp, Zone};

/// 2017-06-01T00:00:00+08:00.
pub(crate) const JUNE: Timestamp = Timestamp::from_millis(1_496_246_400_000);
/// 2017-07-01T00:00:00+08:00.
pub(crate) const JULY: Timestamp = JUNE.plus_ms(30 * DAY_MS);

pub(crate) fn set<T: Ord + Clone>(items: &[T]) -> BTreeSet<T> {
    items.iter().cloned().collect()
}

pub(crate) fn market(name: &str) -> Marketplace {
    Marketplace::parse(name).unwrap()
}

/// Contacts of Taobao's recipients for Fengchao, which notifies.
pub(crate) fn contact_terms() -> Terms {
    Terms {
        dataset: Dataset::RecipientContact,
        from: JUNE,
        until: JULY,
        zone: Zone::CHINA,
        purposes: set(&[Purpose::DepositConsent, Purpose::PickupNotification]),
        marketplaces: set(&[market("taobao")]),
        fields: set(&[Field::Contact, Field::Consent]),
        contact_forms: set(&[ContactForm::Sealed, ContactForm::Virtual]),
        quota_per_day: Some(2_000_000),
        quota_per_parcel: Some(4),
        evidence: set(&[EvidenceKind::Arrival, EvidenceKind::Deposit]),
        notifier: Some(Notifier::Operator),
        run_off_ms: Some(7 * DAY_MS),
        backlog: None,
        covers_from: None,
        delete_after_ms: Some(30 * DAY_MS),
        reciprocate: true,
        no_redisclosure: true,
    }
}

/// Locker events of Taobao's parcels for Cainiao.
pub(crate) fn event_terms() -> Terms {
    Terms {
        dataset: Dataset::LockerEvents,
        purposes: set(&[Purpose::DeliveryTracking]),
        fields: Field::of(Dataset::LockerEvents).iter().copied().collect(),
        contact_forms: BTreeSet::new(),
        quota_per_day: None,
        quota_per_parcel: None,
        evidence: BTreeSet::new(),
        backlog: Some(Backlog::Hold),
        covers_from: Some(JUNE.plus_ms(-2 * DAY_MS)),
        ..contact_terms()
    }
}

fn some_of<T: Clone + Ord + core::fmt::Debug + 'static>(
    all: &'static [T],
) -> impl Strategy<Value = BTreeSet<T>> {
    subsequence(all.to_vec(), 0..=all.len()).prop_map(|items: Vec<T>| items.into_iter().collect())
}

fn markets(at_least: usize) -> impl Strategy<Value = BTreeSet<Marketplace>> {
    btree_set(
        select(vec!["taobao", "jd", "vip", "netease"]).prop_map(market),
        at_least..=3,
    )
}

prop_compose! {
    fn times()(
        from_s in -1_000i64..1_000,
        length_s in 1i64..2_000,
        run_off_s in option::of(1i64..600),
        covers_s in option::of(-2_000i64..2_000),
        delete_s in option::of(3_600i64..100_000),
        offset in -12i64..=14,
    ) -> (Timestamp, Timestamp, Option<i64>, Option<Timestamp>, Option<i64>, Zone) {
        let from = JUNE.plus_ms(from_s * 1_000);
        let sign = if offset < 0 { '-' } else { '+' };
        let zone = Zone::parse(&alloc::format!("{sign}{:02}:30", offset.abs())).unwrap();
        (
            from,
            from.plus_ms(length_s * 1_000),
            run_off_s.map(|s| s * 1_000),
            covers_s.map(|s| JUNE.plus_ms(s * 1_000 + 7)),
            delete_s.map(|s| s * 1_000),
            zone,
        )
    }
}

prop_compose! {
    /// Arbitrary terms that a policy can express, sensible or not.
    pub(crate) fn any_terms()(
        dataset in select(Dataset::ALL.to_vec()),
    )(
        dataset in Just(dataset),
        (from, until, run_off_ms, covers_from, delete_after_ms, zone) in times(),
        purposes in some_of(Purpose::ALL).prop_filter("not empty", |s| !s.is_empty()),
        marketplaces in markets(usize::from(dataset.is_parcel_data())),
        fields in some_of(Field::of(dataset)).prop_filter("not empty", |s| !s.is_empty()),
        forms in subsequence(vec![
            ContactForm::Masked, ContactForm::Sealed, ContactForm::Virtual, ContactForm::Full,
        ], 0..=4),
        quotas in (option::of(1u32..5), option::of(1u32..5)),
        evidence in some_of(EvidenceKind::ALL),
        notifier in option::of(select(Notifier::ALL)),
        backlog in option::of(select(Backlog::ALL)),
        flags in any::<(bool, bool)>(),
    ) -> Terms {
        Terms {
            dataset, from, until, zone, purposes, marketplaces, fields,
            contact_forms: forms.into_iter().collect(),
            quota_per_day: quotas.0,
            quota_per_parcel: quotas.1,
            evidence, notifier, run_off_ms, backlog, covers_from, delete_after_ms,
            reciprocate: flags.0,
            no_redisclosure: flags.1,
        }
    }
}

/// Changes of terms; the same change made twice gives the same terms.
#[derive(Clone, Debug)]
pub(crate) enum Narrowing {
    LaterStart(i64),
    EarlierEnd(i64),
    DropPurpose(Purpose),
    DropMarket(&'static str),
    DropField(Field),
    DropForm(ContactForm),
    QuotaPerDay(u32),
    QuotaPerParcel(u32),
    Evidence(EvidenceKind),
    RunOff(Option<i64>),
    CoversFrom(Option<i64>),
    Drop,
    Delete(i64),
    NoRedisclosure,
}

pub(crate) fn any_narrowing() -> impl Strategy<Value = Narrowing> {
    prop_oneof![
        (0i64..500_000).prop_map(Narrowing::LaterStart),
        (0i64..500_000).prop_map(Narrowing::EarlierEnd),
        select(Purpose::ALL).prop_map(Narrowing::DropPurpose),
        select(vec!["taobao", "jd"]).prop_map(Narrowing::DropMarket),
        select(Field::ALL).prop_map(Narrowing::DropField),
        select(vec![
            ContactForm::Masked,
            ContactForm::Sealed,
            ContactForm::Full
        ])
        .prop_map(Narrowing::DropForm),
        (1u32..5).prop_map(Narrowing::QuotaPerDay),
        (1u32..5).prop_map(Narrowing::QuotaPerParcel),
        select(EvidenceKind::ALL).prop_map(Narrowing::Evidence),
        option::of(1i64..600_000).prop_map(Narrowing::RunOff),
        option::of(-2_000_000i64..0).prop_map(Narrowing::CoversFrom),
        Just(Narrowing::Drop),
        (1i64..100_000).prop_map(Narrowing::Delete),
        Just(Narrowing::NoRedisclosure),
    ]
}

impl Narrowing {
    /// The changed terms. Whether they are narrower is for `within` to say.
    pub(crate) fn apply(&self, terms: &mut Terms) {
        match self {
            Self::LaterStart(ms) => terms.from = terms.from.plus_ms(*ms),
            Self::EarlierEnd(ms) => terms.until = terms.until.plus_ms(-ms),
            Self::DropPurpose(purpose) => drop(terms.purposes.remove(purpose)),
            Self::DropMarket(name) => drop(terms.marketplaces.remove(&market(name))),
            Self::DropField(field) => drop(terms.fields.remove(field)),
            Self::DropForm(form) => drop(terms.contact_forms.remove(form)),
            Self::QuotaPerDay(quota) => terms.quota_per_day = Some(*quota),
            Self::QuotaPerParcel(quota) => terms.quota_per_parcel = Some(*quota),
            Self::Evidence(kind) => terms.evidence = set(&[*kind]),
            Self::RunOff(ms) => terms.run_off_ms = *ms,
            Self::CoversFrom(ms) => terms.covers_from = ms.map(|ms| JUNE.plus_ms(ms)),
            Self::Drop => terms.backlog = Some(Backlog::Drop),
            Self::Delete(ms) => terms.delete_after_ms = Some(*ms),
            Self::NoRedisclosure => terms.no_redisclosure = true,
        }
    }
}
