//! A mediation on the wire, and what has to hold of one that came in.
//!
//! INVARIANT: a document that is taken names exactly the agreements of its manifest, by the hashes of
//! its policies, under one term, between two parties each with the key that we have pinned, and is
//! signed by its mediator. It does not know who accepts it.

use std::collections::{BTreeMap, BTreeSet};

use interlock_core::ids::{ParticipantId, WireId};
use interlock_core::terms::Terms;
use interlock_core::time::Timestamp;
use interlock_journal::manifest::{MANIFEST_VERSION, Manifest, Party as Signer, PolicyRef};

use super::super::super::Node;
use super::super::super::feed_items::hex;
use super::super::super::io::Problem;
use super::super::manifest::unhex;
use super::super::negotiate::{check_policy, shorten};
use super::{Answer, Mediated, Mediation, refused};
use crate::exchange::mediation::{MediationDocument, PartyAnswer};

impl Node {
    /// The manifest of a mediation of ours.
    ///
    /// # Errors
    /// If a party is no partner, or the manifest would be none.
    pub(super) fn mediated_manifest(
        &self,
        cooperation: WireId,
        agreements: &BTreeMap<WireId, Mediated>,
    ) -> Result<Manifest, Problem> {
        let parties: BTreeSet<&ParticipantId> = agreements
            .values()
            .flat_map(|a| [&a.provider, &a.consumer])
            .collect();
        let mut signers = BTreeMap::new();
        for party in parties {
            let known = self.state.partners.get(party).ok_or_else(|| {
                refused(
                    "/agreements",
                    format!("`{party}` is no partner; add it first"),
                )
            })?;
            if known.connector {
                let detail = format!("`{party}` runs a connector that signs no manifest");
                return Err(refused("/agreements", detail));
            }
            let key = known.key.to_hex();
            signers.insert(party.clone(), Signer { key });
        }
        let policies = agreements.iter().map(|(id, a)| {
            let policy = PolicyRef {
                provider: a.provider.clone(),
                consumer: a.consumer.clone(),
                dataset: a.terms.dataset,
                policy_hash: hex(&a.terms.policy_hash()),
            };
            (id.clone(), policy)
        });
        let (from, until, zone) = one_term(agreements.values().map(|a| &a.terms))?;
        let manifest = Manifest {
            version: MANIFEST_VERSION.into(),
            cooperation,
            parties: signers,
            policies: policies.collect(),
            from: from.to_rfc3339(zone),
            until: until.to_rfc3339(zone),
            mediator: Some(self.state.me.clone()),
            supersedes: None,
        };
        manifest
            .check()
            .map_err(|error| refused("/agreements", error.to_string()))?;
        Ok(manifest)
    }

    /// The mediation that a partner's document describes, held against what we know.
    pub(super) fn read_document(
        &self,
        from: &ParticipantId,
        document: &MediationDocument,
    ) -> Result<Mediation, Problem> {
        let manifest = &document.manifest;
        manifest
            .check()
            .map_err(|error| refused("/proposal/manifest", error.to_string()))?;
        let me = &self.state.me;
        let other = manifest.parties.keys().find(|party| *party != me);
        let signers = other.and_then(|other| self.signers(other));
        if Some(&manifest.parties) != signers.as_ref() {
            return Err(refused(
                "/proposal/manifest/parties",
                "name us and a partner of ours, each with the key that the other has pinned",
            ));
        }
        if manifest.mediator.as_ref() != Some(from) || manifest.parties.contains_key(from) {
            return Err(refused(
                "/proposal/manifest/mediator",
                "name yourself; who mediates is no party",
            ));
        }
        if manifest.supersedes.is_some() {
            let detail = "leave it out; the later agreement counts in any case";
            return Err(refused("/proposal/manifest/supersedes", detail));
        }
        let key = self.state.partners.get(from).map(|known| &known.key);
        let signed = key.is_some_and(|key| {
            let signature = &document.signature;
            manifest.verify_mediator(key.as_bytes(), signature).is_ok()
        });
        let signature = unhex(&document.signature).filter(|_| signed);
        let signature = signature.ok_or_else(|| {
            let detail =
                "the mediator's signature does not fit the manifest; sign its canonical form";
            refused("/proposal/signature", detail)
        })?;
        let agreements = self.read_policies(manifest, &document.policies)?;
        let answers = read_answers(manifest, document, &agreements)?;
        Ok(Mediation {
            id: document.mediation.clone(),
            mediator: from.clone(),
            revision: document.revision,
            version: document.version,
            manifest: manifest.canonical_bytes(),
            signature,
            note: shorten(&document.note),
            answer_by: document.answer_by,
            answers,
            agreements,
            withdrawn: document.withdrawn.as_deref().map(shorten),
            told: BTreeMap::new(),
            ours: None,
            unsent: false,
            approved_by: Vec::new(),
            begun: false,
        })
    }

    fn read_policies(
        &self,
        manifest: &Manifest,
        policies: &BTreeMap<WireId, serde_json::Value>,
    ) -> Result<BTreeMap<WireId, Mediated>, Problem> {
        let pointer = "/proposal/policies";
        if !policies.keys().eq(manifest.policies.keys()) {
            let detail = "give one policy for each agreement of the manifest and no other";
            return Err(refused(pointer, detail));
        }
        let mut agreements = BTreeMap::new();
        for (id, named) in &manifest.policies {
            let policy = policies.get(id).unwrap_or(&serde_json::Value::Null);
            let terms = check_policy(policy, named.dataset)
                .map_err(|detail| refused(pointer, format!("`{id}`: {detail}")))?;
            if hex(&terms.policy_hash()) != named.policy_hash {
                let detail = format!("`{id}`: the policy is not the one that the manifest names");
                return Err(refused(pointer, detail));
            }
            let mediated = Mediated {
                provider: named.provider.clone(),
                consumer: named.consumer.clone(),
                terms,
            };
            agreements.insert(id.clone(), mediated);
        }
        let (from, until, _) = one_term(agreements.values().map(|a| &a.terms))?;
        match manifest.term() {
            Ok(term) if term == (from, until) => Ok(agreements),
            Ok(_) | Err(_) => Err(refused(
                "/proposal/manifest/until",
                "the term of the manifest must be that of its agreements",
            )),
        }
    }
}

impl Mediation {
    /// As it goes to the parties.
    pub(in super::super) fn to_document(&self) -> Option<MediationDocument> {
        let policies = self.agreements.iter();
        let answers = self.answers.iter();
        Some(MediationDocument {
            mediation: self.id.clone(),
            revision: self.revision,
            version: self.version,
            manifest: self.read_manifest()?,
            signature: hex(&self.signature),
            policies: policies
                .map(|(id, a)| (id.clone(), a.terms.to_policy()))
                .collect(),
            note: self.note.clone(),
            answer_by: self.answer_by,
            answers: answers
                .map(|(party, answer)| (party.clone(), answer.to_wire()))
                .collect(),
            withdrawn: self.withdrawn.clone(),
        })
    }
}

impl Answer {
    /// As it goes over the wire.
    pub(super) fn to_wire(&self) -> PartyAnswer {
        match self {
            Self::Accepted { signature } => PartyAnswer::Accepted {
                signature: hex(signature),
            },
            Self::Countered { terms, reason } => PartyAnswer::Countered {
                policies: terms
                    .iter()
                    .map(|(id, terms)| (id.clone(), terms.to_policy()))
                    .collect(),
                reason: reason.clone(),
            },
            Self::Refused { reason } => PartyAnswer::Refused {
                reason: reason.clone(),
            },
        }
    }
}

/// What a party says, in a form that can be kept. Whose signature it is, is checked by whoever counts it.
pub(super) fn read_answer(
    answer: &PartyAnswer,
    agreements: &BTreeMap<WireId, Mediated>,
) -> Result<Answer, Problem> {
    match answer {
        PartyAnswer::Accepted { signature } => match unhex(signature) {
            Some(bytes) if bytes.len() == ed25519_dalek::SIGNATURE_LENGTH => {
                Ok(Answer::Accepted { signature: bytes })
            }
            Some(_) | None => Err(refused(
                "/answer/accepted/signature",
                "write an Ed25519 signature as 128 hexadecimal digits",
            )),
        },
        PartyAnswer::Countered { policies, reason } => {
            let pointer = "/answer/countered/policies";
            if !policies.keys().eq(agreements.keys()) {
                let detail = "give one policy for each agreement and no other";
                return Err(refused(pointer, detail));
            }
            let read = agreements.iter().map(|(id, mediated)| {
                let policy = policies.get(id).unwrap_or(&serde_json::Value::Null);
                let terms = check_policy(policy, mediated.terms.dataset)
                    .map_err(|detail| refused(pointer, format!("`{id}`: {detail}")))?;
                Ok((id.clone(), terms))
            });
            let terms: BTreeMap<WireId, Terms> = read.collect::<Result<_, Problem>>()?;
            one_term(terms.values())?;
            let reason = shorten(reason);
            Ok(Answer::Countered { terms, reason })
        }
        PartyAnswer::Refused { reason } => Ok(Answer::Refused {
            reason: shorten(reason),
        }),
    }
}

/// The one term of all agreements of a cooperation.
pub(super) fn one_term<'a>(
    mut all: impl Iterator<Item = &'a Terms>,
) -> Result<(Timestamp, Timestamp, interlock_core::time::Zone), Problem> {
    let first = all
        .next()
        .ok_or_else(|| refused("/agreements", "name at least one agreement"))?;
    if all.all(|terms| (terms.from, terms.until) == (first.from, first.until)) {
        return Ok((first.from, first.until, first.zone));
    }
    Err(refused(
        "/agreements",
        "a cooperation has one term; give all its policies the same beginning and end",
    ))
}

/// What the parties have said, an acceptance only with its party's signature.
///
/// # Errors
/// 422 for what is no answer, or one of somebody else.
fn read_answers(
    manifest: &Manifest,
    document: &MediationDocument,
    agreements: &BTreeMap<WireId, Mediated>,
) -> Result<BTreeMap<ParticipantId, Answer>, Problem> {
    let mut answers = BTreeMap::new();
    for (party, answer) in &document.answers {
        if !manifest.parties.contains_key(party) {
            return Err(refused("/proposal/answers", "only the two parties answer"));
        }
        let answer = read_answer(answer, agreements)?;
        if is_signed(manifest, party, &answer) {
            answers.insert(party.clone(), answer);
        } else {
            let mediation = &document.mediation;
            tracing::warn!(%mediation, %party, "an acceptance that its party has not signed");
        }
    }
    Ok(answers)
}

/// Whether an answer is its party's own, as far as it binds: an acceptance has the party's signature.
fn is_signed(manifest: &Manifest, party: &ParticipantId, answer: &Answer) -> bool {
    match answer {
        Answer::Accepted { signature } => manifest.verify(party, &hex(signature)).is_ok(),
        Answer::Countered { .. } | Answer::Refused { .. } => true,
    }
}
