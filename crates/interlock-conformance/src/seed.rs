//! What the node under test holds when the kit comes: a dataset and an offer for each id of the kit's
//! tests, and agreements in force for its transfers.
//!
//! INVARIANT: everything is open data, which a connector without manifests may have. It does not know
//! what is decided about it.

use std::collections::BTreeSet;

use interlock::node::agreements::{Agreement, Offer};
use interlock::node::io::{Digest, Role};
use interlock::node::record::Record;
use interlock_core::agreement::{AgreementFacts, AgreementState, Assurance};
use interlock_core::dataset::Dataset;
use interlock_core::ids::{IdError, ParticipantId, WireId};
use interlock_core::terms::{Field, Purpose, Terms};
use interlock_core::time::{Timestamp, Zone};

use super::script::{CONSUMED, OFFERED, PROVIDED};

/// The digest by which the control door is known to the node; nothing has it.
pub(crate) const CONTROL_KEY: Digest = [1; 32];
/// Datasets that are only looked at.
const LISTED: [&str; 2] = ["CAT0101", "CAT0102"];
/// 2020-01-01T00:00:00Z, in milliseconds.
const FROM_MS: i64 = 1_577_836_800_000;
/// 2100-01-01T00:00:00Z, in milliseconds.
const UNTIL_MS: i64 = 4_102_444_800_000;

/// The one policy of the kit, which says no more than `use`.
pub(crate) fn terms() -> Terms {
    Terms {
        dataset: Dataset::LockerStations,
        from: Timestamp::from_millis(FROM_MS),
        until: Timestamp::from_millis(UNTIL_MS),
        zone: Zone::CHINA,
        purposes: BTreeSet::from([Purpose::LockerOperation]),
        marketplaces: BTreeSet::new(),
        fields: BTreeSet::from([Field::Station, Field::Availability]),
        contact_forms: BTreeSet::new(),
        quota_per_day: None,
        quota_per_parcel: None,
        evidence: BTreeSet::new(),
        notifier: None,
        run_off_ms: None,
        backlog: None,
        covers_from: None,
        delete_after_ms: None,
        reciprocate: false,
        no_redisclosure: false,
    }
}

/// The records that a new journal begins with.
///
/// # Errors
/// If an id is none.
pub(crate) fn records(me: &ParticipantId, kit: &ParticipantId) -> Result<Vec<Record>, IdError> {
    let mut records = vec![Record::ApiKey {
        name: "kit".into(),
        role: Role::Approver,
        digest: CONTROL_KEY,
    }];
    let offered = OFFERED.iter().map(|(id, _)| *id);
    for name in offered.chain(LISTED) {
        records.push(Record::Offer(Box::new(offer(name)?)));
    }
    for (name, _) in PROVIDED {
        records.push(Record::Agreement(Box::new(agreement(name, me, kit)?)));
    }
    for (name, _) in CONSUMED {
        records.push(Record::Agreement(Box::new(agreement(name, kit, me)?)));
    }
    Ok(records)
}

fn offer(name: &str) -> Result<Offer, IdError> {
    Ok(Offer {
        id: WireId::parse(&format!("CD123:{name}:456"))?,
        target: WireId::parse(name)?,
        terms: terms(),
        audience: Vec::new(),
        auto_accept: false,
    })
}

fn agreement(
    name: &str,
    provider: &ParticipantId,
    consumer: &ParticipantId,
) -> Result<Agreement, IdError> {
    Ok(Agreement {
        id: WireId::parse(name)?,
        provider: provider.clone(),
        consumer: consumer.clone(),
        policy_hash: terms().policy_hash(),
        terms: terms(),
        cooperation: WireId::parse(&format!("cooperation:{name}"))?,
        agreed_at: Timestamp::from_millis(FROM_MS),
        finalized_at: Timestamp::from_millis(FROM_MS),
        facts: AgreementFacts::finalized(Assurance::Plain),
        suspended_by: None,
        supersedes: None,
        superseded_by: None,
        unsent_notice: None,
        state: AgreementState::Finalized,
        negotiation: WireId::parse(&format!("negotiation:{name}"))?,
        target: WireId::parse(name)?,
    })
}
