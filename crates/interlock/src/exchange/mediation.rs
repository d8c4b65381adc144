//! Bodies of mediation, version 1: a third party proposes a cooperation to two others.
//!
//! Both go to `POST /exchange/v1/cooperations`, beside the manifests of two parties. JSON; every struct
//! refuses unknown fields. What a mediator sends is its whole mediation each time, so that nothing
//! depends on the order in which messages come in: the highest revision counts.

use std::collections::BTreeMap;

use interlock_core::ids::{ParticipantId, WireId};
use interlock_core::time::Timestamp;
use interlock_journal::manifest::Manifest;
use serde::{Deserialize, Serialize};

/// A message of mediation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum MediationMessage {
    /// From the mediator to a party: the mediation as it stands.
    Proposal(Box<MediationDocument>),
    /// From a party to the mediator: what it says to the terms.
    Answer(MediationAnswer),
}

/// A mediation as it stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MediationDocument {
    /// Its id, drawn by the mediator.
    pub mediation: WireId,
    /// Grows with every change of this document.
    pub revision: u64,
    /// Which terms these are: 1 for the first ones.
    pub version: u32,
    /// The manifest proposed; it names the mediator and the agreements that would be made.
    pub manifest: Manifest,
    /// The mediator's Ed25519 signature over the canonical manifest, hexadecimal.
    pub signature: String,
    /// The policy of each agreement of the manifest (ODRL 2.2).
    pub policies: BTreeMap<WireId, serde_json::Value>,
    /// Why, for people.
    pub note: String,
    /// Until when the parties may accept.
    pub answer_by: Timestamp,
    /// What each party has said to these terms.
    pub answers: BTreeMap<ParticipantId, PartyAnswer>,
    /// Why the mediator gave it up, if it did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub withdrawn: Option<String>,
}

/// A party's answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MediationAnswer {
    /// The mediation.
    pub mediation: WireId,
    /// The version of the terms that it is about.
    pub version: u32,
    /// What the party says.
    pub answer: PartyAnswer,
}

/// What a party says to a mediator's terms.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum PartyAnswer {
    /// It accepts them.
    Accepted {
        /// Its Ed25519 signature over the canonical manifest, hexadecimal.
        signature: String,
    },
    /// It would accept others.
    Countered {
        /// The policies that it would accept, one for each agreement.
        policies: BTreeMap<WireId, serde_json::Value>,
        /// Why, for people.
        reason: String,
    },
    /// It accepts none of this.
    Refused {
        /// Why, for people.
        reason: String,
    },
}

/// A message of mediation was taken.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MediationTaken {
    /// The mediation.
    pub mediation: WireId,
    /// The revision that the answering node holds now.
    pub revision: u64,
}
