//! `decide`: the one function that lets an item leave, as the lookup and the feed call it.

use std::collections::BTreeSet;
use std::hint::black_box;

use interlock_core::agreement::AgreementState;
use interlock_core::contact::ContactForm;
use interlock_core::decide::{
    Decision, EvidenceSeen, ReleaseRequest, Standing, Usage, decide as core_decide,
};
use interlock_core::ids::Marketplace;
use interlock_core::terms::{Field, Purpose, Terms};
use interlock_core::time::{ClockInterval, DAY_MS, Timestamp};

use super::Setting;
use super::figure::{Figure, Goal, median};
use super::machine::now;
use super::pair::terms;

/// Agreements among which each decision takes another, so that terms are not always in the cache.
const AGREEMENTS: usize = 1_000;
const ROUNDS: usize = 7;

/// Nanoseconds of a decision over a thousand agreements, three of four released.
pub(crate) fn decide(setting: &Setting) -> anyhow::Result<Vec<Figure>> {
    let now_ms = Timestamp::from_millis(1_780_000_000_000);
    let agreements = (0..AGREEMENTS)
        .map(|_| terms(interlock_core::dataset::Dataset::RecipientContact, now_ms))
        .collect::<anyhow::Result<Vec<Terms>>>()?;
    let marketplace = Marketplace::parse("taobao").map_err(|e| anyhow::anyhow!("{e}"))?;
    let decisions: usize = if setting.quick { 400_000 } else { 4_000_000 };
    let mut values = Vec::new();
    let mut released = BTreeSet::new();
    for _ in 0..ROUNDS {
        let begin = now();
        let mut count = 0_usize;
        for (n, terms) in agreements.iter().cycle().take(decisions).enumerate() {
            let decision = one(terms, &marketplace, now_ms, n);
            count += usize::from(matches!(decision, Decision::Release(_)));
        }
        let elapsed = begin.elapsed();
        values.push(elapsed.as_nanos() as f64 / decisions as f64);
        released.insert(count);
    }
    anyhow::ensure!(
        released.len() == 1 && released.contains(&(decisions - decisions / 4)),
        "three of four decisions must release: {released:?}"
    );
    Ok(vec![Figure {
        name: "decide",
        value: median(values).unwrap_or(f64::NAN),
        unit: "ns",
        floor: None,
        goal: Goal::AtMost(150.0),
        about: "one decision on a contact, a thousand agreements in turn".into(),
    }])
}

fn one(terms: &Terms, marketplace: &Marketplace, at: Timestamp, n: usize) -> Decision {
    let request = ReleaseRequest {
        purpose: Purpose::PickupNotification,
        marketplace: Some(marketplace),
        fields: &[Field::Contact],
        form: Some(ContactForm::Virtual),
        arose_at: at.plus_ms(-DAY_MS / 24),
        qualified_at: None,
    };
    let standing = Standing {
        state: AgreementState::InForce,
        terminated_at: None,
        closing_guard_ms: 1_000,
        in_run_off_set: None,
    };
    let usage = Usage {
        parcels_today: 1_000,
        parcel_counted_today: false,
        releases_of_parcel: 0,
    };
    let evidence = EvidenceSeen {
        arrival: !n.is_multiple_of(4),
        deposit: false,
        open_elsewhere: false,
    };
    let clock = ClockInterval {
        earliest: at,
        latest: at.plus_ms(10),
    };
    core_decide(
        black_box(&request),
        black_box(terms),
        &standing,
        &usage,
        black_box(&evidence),
        &clock,
    )
}
