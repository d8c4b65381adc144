//! What was agreed on, and whether each release lies within it.
//!
//! INVARIANT: a writer is convicted by its own leaf against a manifest that both have signed, or
//! against its own words about the agreement; that something is missing from a file convicts nobody
//! but a writer who shows the file itself. A counterparty that signs no manifest makes releases to it
//! unproven, not wrong, unless the file holds a manifest that it has signed. Distinct parcels cannot be counted, because leaves hold
//! commitments only; what depends on them is said to be unproven.

use std::collections::{BTreeMap, BTreeSet};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use interlock_core::agreement::AgreementState;
use interlock_core::ids::{ParticipantId, RequestId, WireId};
use interlock_core::terms::{Terms, parse_policy};
use interlock_core::time::Timestamp;

use crate::bilateral::{AgreementChange, Leaf, LeafBody, Release, RunOffSet};
use crate::hex;
use crate::manifest::{ManifestError, PolicyRef, SignedManifest};
use crate::merkle::Hash;

use super::copy::Copy;
use super::{
    AgreementEvidence, EvidenceFile, Finding, FindingKind, FrozenSet, LogEvidence, TrustedKeys,
    Unproven, Verdict,
};

/// Requests of one log that are kept to compare releases with, at most.
const REQUESTS_MAX: usize = 1_000_000;

/// What a file shows of agreements.
pub(super) struct Agreed<'a> {
    /// By manifests that both parties have signed.
    signed: BTreeMap<&'a WireId, &'a PolicyRef>,
    /// The terms, where the policy in the file is the one with the hash.
    terms: BTreeMap<&'a WireId, (Hash, Terms)>,
    /// Those with counterparties that sign no manifest.
    without_manifest: BTreeSet<&'a WireId>,
}

impl<'a> Agreed<'a> {
    /// Reads manifests and policies of a file; what is wrong with them is a finding.
    pub(super) fn read(
        file: &'a EvidenceFile,
        trusted: &TrustedKeys,
        verdict: &mut Verdict,
    ) -> Self {
        let mut agreed = Self {
            signed: BTreeMap::new(),
            terms: BTreeMap::new(),
            without_manifest: BTreeSet::new(),
        };
        for manifest in &file.manifests {
            match manifest.verify() {
                Ok(()) => agreed.signed.extend(&manifest.manifest.policies),
                Err(error) => verdict.findings.push(unsigned(file, manifest, &error)),
            }
            verdict
                .findings
                .extend(foreign_keys(file, manifest, trusted));
        }
        for agreement in &file.agreements {
            agreed.read_policy(file, agreement, verdict);
        }
        for id in agreed.signed.keys() {
            if !file.agreements.iter().any(|known| known.id == **id) {
                verdict.unproven.push(Unproven {
                    origin: String::new(),
                    holder: file.holder.clone(),
                    detail: format!(
                        "agreement `{id}` is signed, and its policy is not in the file: whether \
                         releases keep to its terms cannot be told"
                    ),
                });
            }
        }
        agreed
    }

    fn read_policy(
        &mut self,
        file: &EvidenceFile,
        agreement: &'a AgreementEvidence,
        verdict: &mut Verdict,
    ) {
        let id = &agreement.id;
        let mut wrong = |detail: String| verdict.findings.push(document(file, id, detail));
        let Ok(terms) = parse_policy(&agreement.policy, agreement.dataset) else {
            return wrong("its policy cannot be read; compare it with what was negotiated".into());
        };
        let hash = terms.policy_hash();
        if hex::decode::<32>(&agreement.policy_hash) != Some(hash) {
            return wrong("its policy is not the one that its hash names".into());
        }
        let Some(signed) = self.signed.get(id) else {
            let signs = self.has_signed(&agreement.provider, &agreement.consumer);
            let without = agreement.without_manifest && !signs;
            if without {
                self.without_manifest.insert(id);
            }
            if agreement.dataset.is_parcel_data() {
                let detail = match without {
                    true => format!(
                        "agreement `{id}` was made with a connector that signs no manifest: that it \
                         was made, and on which terms, is its holder's word"
                    ),
                    false => format!(
                        "agreement `{id}` is in no manifest that both parties have signed: by this \
                         file it was never in force"
                    ),
                };
                verdict.unproven.push(Unproven {
                    origin: String::new(),
                    holder: file.holder.clone(),
                    detail,
                });
            }
            self.terms.insert(id, (hash, terms));
            return;
        };
        let same = signed.provider == agreement.provider
            && signed.consumer == agreement.consumer
            && signed.dataset == agreement.dataset
            && signed.policy_hash == agreement.policy_hash;
        if !same {
            return wrong(
                "both parties have signed another policy, dataset or direction for it".into(),
            );
        }
        self.terms.insert(id, (hash, terms));
    }

    /// Whether two participants have signed a manifest together: both run nodes then.
    fn has_signed(&self, provider: &ParticipantId, consumer: &ParticipantId) -> bool {
        self.signed.values().any(|policy| {
            let pair = [&policy.provider, &policy.consumer];
            pair == [provider, consumer] || pair == [consumer, provider]
        })
    }
}

fn document(file: &EvidenceFile, id: &WireId, detail: String) -> Finding {
    Finding {
        kind: FindingKind::Policy,
        origin: format!("agreement {id}"),
        holder: file.holder.clone(),
        from_leaf: 0,
        to_leaf: 0,
        signed_by: None,
        convicts: None,
        detail,
    }
}

fn unsigned(file: &EvidenceFile, signed: &SignedManifest, error: &ManifestError) -> Finding {
    let manifest = &signed.manifest;
    let fits =
        |(party, signature): &(&ParticipantId, &String)| manifest.verify(party, signature).is_ok();
    Finding {
        kind: FindingKind::Unsigned,
        origin: format!("cooperation {}", manifest.cooperation),
        holder: file.holder.clone(),
        from_leaf: 0,
        to_leaf: 0,
        signed_by: signed
            .signatures
            .iter()
            .find(fits)
            .map(|(party, _)| party.clone()),
        convicts: None,
        detail: format!("{error}; none of its agreements was in force by it"),
    }
}

/// A manifest whose key for a party is none of those that were given for it.
fn foreign_keys<'a>(
    file: &'a EvidenceFile,
    signed: &'a SignedManifest,
    trusted: &'a TrustedKeys,
) -> impl Iterator<Item = Finding> + 'a {
    let parties = signed.manifest.parties.iter();
    let foreign = parties.filter(|(id, party)| {
        let known = trusted.get(id);
        known.is_some_and(|known| !known.iter().any(|key| hex::encode(key) == party.key))
    });
    foreign.map(|(id, _)| Finding {
        kind: FindingKind::ForeignKey,
        origin: format!("cooperation {}", signed.manifest.cooperation),
        holder: file.holder.clone(),
        from_leaf: 0,
        to_leaf: 0,
        signed_by: None,
        convicts: None,
        detail: format!("the key that the manifest names for `{id}` is not one that was given"),
    })
}

/// What a log says of requests, for comparing the other log's releases with them.
pub(super) type Requests = BTreeMap<RequestId, String>;

/// The purposes of the requests in a log.
pub(super) fn requests_in(log: &LogEvidence) -> Requests {
    let leaves = leaves(log).filter_map(|(_, leaf)| match leaf.body {
        LeafBody::Request(request) => Some((request.request_id, request.purpose)),
        LeafBody::Release(_)
        | LeafBody::Denial(_)
        | LeafBody::AgreementChange(_)
        | LeafBody::Receipt(_)
        | LeafBody::KeyRotation(_)
        | LeafBody::Rollback(_)
        | LeafBody::Voided(_)
        | LeafBody::Deletion(_)
        | LeafBody::RunOffSet(_) => None,
    });
    leaves.take(REQUESTS_MAX).collect()
}

fn leaves(log: &LogEvidence) -> impl Iterator<Item = (u64, Leaf)> {
    (0u64..).zip(&log.leaves).filter_map(|(index, text)| {
        let leaf = Leaf::decode(&STANDARD.decode(text).ok()?).ok()?;
        Some((index, leaf))
    })
}

/// Compares the releases of one log with what was agreed on.
pub(super) fn check(
    log: &LogEvidence,
    copy: &Copy<'_>,
    agreed: &Agreed<'_>,
    requests: &Requests,
    verdict: &mut Verdict,
) {
    let mut check = Check {
        copy,
        agreed,
        requests,
        states: BTreeMap::new(),
        in_a_day: BTreeMap::new(),
        run_off: 0,
        unfrozen: 0,
        sets: BTreeMap::new(),
        findings: Vec::new(),
    };
    for (index, leaf) in leaves(log) {
        match &leaf.body {
            LeafBody::AgreementChange(change) => check.change(index, change),
            LeafBody::Release(release) => check.release(index, leaf.time, release),
            LeafBody::Request(_)
            | LeafBody::Denial(_)
            | LeafBody::Receipt(_)
            | LeafBody::KeyRotation(_)
            | LeafBody::Rollback(_)
            | LeafBody::Voided(_)
            | LeafBody::Deletion(_) => {}
            LeafBody::RunOffSet(set) => check.run_off_set(index, leaf.time, set),
        }
    }
    check.finish(verdict);
}

/// The releases of one log.
struct Check<'a> {
    copy: &'a Copy<'a>,
    agreed: &'a Agreed<'a>,
    requests: &'a Requests,
    /// The state of each agreement by the writer's last word.
    states: BTreeMap<WireId, String>,
    /// Items released in lookups, by agreement and day.
    in_a_day: BTreeMap<(WireId, i64), (u64, u32)>,
    run_off: u64,
    /// Those of them before whose parcels were frozen in this epoch of the log.
    unfrozen: u64,
    /// The frozen sets, by agreement.
    sets: BTreeMap<WireId, FrozenSet>,
    findings: Vec<Finding>,
}

impl Check<'_> {
    fn change(&mut self, index: u64, change: &AgreementChange) {
        let id = &change.agreement;
        if let Some((hash, _)) = self.agreed.terms.get(id)
            && change.policy_hash != *hash
        {
            let detail = format!("it names another policy for `{id}` than the one signed");
            self.findings
                .push(self.copy.said(FindingKind::Policy, index, detail));
        }
        self.states.insert(id.clone(), change.state.clone());
    }

    fn release(&mut self, index: u64, time: Timestamp, release: &Release) {
        let id = &release.agreement;
        let signed = self.agreed.signed.get(id);
        if let Some(signed) = signed
            && (signed.provider != *self.copy.writer
                || signed.consumer != *self.copy.reader
                || signed.dataset != release.dataset)
        {
            let detail = format!("`{id}` is an agreement on something else, or with others");
            self.findings
                .push(self.copy.said(FindingKind::NoAgreement, index, detail));
            return;
        }
        let excused = self.agreed.without_manifest.contains(id);
        if signed.is_none() && release.dataset.is_parcel_data() && !excused {
            self.findings.push(self.without(index, id));
        }
        if let Some(state) = self.states.get(id)
            && !flows_in(state)
        {
            let detail = format!("it was released while `{id}` was {state} by its writer's word");
            self.findings
                .push(self.copy.said(FindingKind::OutsideTerm, index, detail));
        }
        if let Some((_, terms)) = self.agreed.terms.get(id) {
            self.within(index, time, release, terms);
        }
    }

    /// A release of parcel data under nothing that both have signed. Who shows the file could have
    /// left a manifest out, so only a writer's own file convicts the writer.
    fn without(&self, index: u64, id: &WireId) -> Finding {
        let detail = format!(
            "`{id}` is in no manifest in the file that both parties have signed; its writer must \
             show one"
        );
        let mut finding = self.copy.said(FindingKind::NoAgreement, index, detail);
        if self.copy.holder != self.copy.writer {
            finding.convicts = None;
        }
        finding
    }

    fn within(&mut self, index: u64, time: Timestamp, release: &Release, terms: &Terms) {
        let id = &release.agreement;
        let over = terms.until.plus_ms(terms.run_off_ms.unwrap_or(0));
        if time < terms.from || time >= over {
            let detail = format!(
                "its time is {}, the term of `{id}` is {} to {}{}",
                time.to_rfc3339(terms.zone),
                terms.from.to_rfc3339(terms.zone),
                terms.until.to_rfc3339(terms.zone),
                match terms.run_off_ms {
                    None | Some(0) => "",
                    Some(_) => ", and the run-off after it is over, too",
                }
            );
            self.findings
                .push(self.copy.said(FindingKind::OutsideTerm, index, detail));
        } else if time >= terms.until {
            self.run_off += 1;
            self.unfrozen += u64::from(!self.sets.contains_key(id));
        }
        if release.lane.is_some() {
            return;
        }
        if let Some(purpose) = self.requests.get(&release.request_id)
            && !terms.purposes.iter().any(|known| known.as_str() == purpose)
        {
            let detail = format!("it was asked for `{purpose}`, which `{id}` does not grant");
            self.findings
                .push(self.copy.said(FindingKind::BeyondTerms, index, detail));
        }
        if let Some(quota) = terms.quota_per_day {
            if release.items > quota {
                let detail = format!(
                    "{} parcels at once, `{id}` allows {quota} a day",
                    release.items
                );
                self.findings
                    .push(self.copy.said(FindingKind::BeyondQuota, index, detail));
            }
            let day = (id.clone(), terms.zone.day_of(time));
            let (items, _) = self.in_a_day.entry(day).or_insert((0, quota));
            *items += u64::from(release.items);
        }
    }

    /// The set of a run-off: one for each agreement, not before the end, and never another.
    fn run_off_set(&mut self, index: u64, time: Timestamp, set: &RunOffSet) {
        let id = &set.agreement;
        let mut wrong = |detail: String| {
            let finding = self.copy.said(FindingKind::RunOff, index, detail);
            self.findings.push(finding);
        };
        if let Some((_, terms)) = self.agreed.terms.get(id)
            && (set.ended_at > terms.until || set.ended_at <= terms.from)
        {
            let end = set.ended_at.to_rfc3339(terms.zone);
            wrong(format!(
                "it freezes the run-off of `{id}` as of {end}, outside its term"
            ));
        }
        if time < set.ended_at {
            wrong(format!(
                "it freezes the run-off of `{id}` before the end that it names"
            ));
        }
        let frozen = FrozenSet {
            origin: self.copy.origin.clone(),
            holder: self.copy.holder.clone(),
            leaf: index,
            agreement: id.clone(),
            ended_at: set.ended_at,
            parcels: set.items,
            root: hex::encode(&set.items_root),
            signed: index < self.copy.proven(),
            receipted: false,
        };
        match self.sets.get(id) {
            None => {
                self.sets.insert(id.clone(), frozen);
            }
            Some(known) if (&known.root, known.ended_at) == (&frozen.root, frozen.ended_at) => {}
            Some(known) => {
                let before = known.leaf;
                wrong(format!(
                    "leaf {before} froze another set for the run-off of `{id}`"
                ));
            }
        }
    }

    fn finish(self, verdict: &mut Verdict) {
        verdict.findings.extend(self.findings);
        verdict.run_off.extend(self.sets.into_values());
        let mut say = |detail: String| {
            verdict.unproven.push(Unproven {
                origin: self.copy.origin.clone(),
                holder: self.copy.holder.clone(),
                detail,
            });
        };
        let over = self.in_a_day.values();
        let over = over.filter(|(items, quota)| *items > u64::from(*quota));
        match over.count() {
            0 => {}
            days => say(format!(
                "on {days} days more items were released than the quota of distinct parcels: \
                 whether parcels came twice, which is allowed, cannot be told from commitments"
            )),
        }
        if self.unfrozen > 0 {
            say(format!(
                "{} releases are in a run-off of which no frozen set stands before them in this epoch",
                self.unfrozen
            ));
        }
        if self.run_off > 0 {
            say(format!(
                "{} releases are in run-off: whether their parcels are in the frozen set cannot be told \
                 from commitments; `evidence export --parcel` shows it for one",
                self.run_off
            ));
        }
    }
}

/// Whether anything may flow in a state, by its name in a leaf.
fn flows_in(state: &str) -> bool {
    [AgreementState::InForce, AgreementState::RunOff]
        .iter()
        .any(|open| open.as_str() == state)
}
