//! What is released and what is denied, case by case and by properties.

use alloc::vec::Vec;

use proptest::prelude::*;
use proptest::sample::{select, subsequence};
use proptest::strategy::ValueTree;

use super::*;
use crate::dataset::Dataset;
use crate::terms::testing::{
    JULY, JUNE, any_narrowing, any_terms, contact_terms, event_terms, market, set,
};
use crate::terms::{Backlog, Language, within};
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
    (raw, proptest::option::weighted(0.8, 0i64..1_000)).prop_map(
        |(case, permille)| match permille {
            Some(permille) => likely(case, permille),
            None => case,
        },
    )
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
