//! Mediations: what a regulator proposes to two others, and what they say to it.

use interlock_core::dataset::Dataset;
use interlock_core::ids::{ParticipantId, WireId};
use interlock_journal::manifest::POLICIES_MAX;
use serde_json::Value;

use super::super::call::Call;
use super::super::input::{Errors, Object, one_of, text, words};
use super::agreements::{REASON_BYTES_MAX, any_policy, check_policy};
use super::instant;
use crate::node::io::{MediatedPut, MediationAct, MediationPut, Problem};

/// `POST /mediations`, and other terms of one.
pub(in super::super) fn proposal(call: &Call<'_>) -> Result<MediationPut, Problem> {
    call.object(&["agreements", "note", "answerBy"], |object| {
        let agreements = object.needed("agreements").and_then(|list| {
            let length = 1..=POLICIES_MAX;
            object.list("agreements", list, &length, |item, pointer| {
                agreement(item, pointer, object.errors())
            })
        });
        let note = object.need("note", words(REASON_BYTES_MAX));
        let answer_by = object.may("answerBy", text(instant));
        Some(MediationPut {
            agreements: agreements?,
            note: note?,
            answer_by,
        })
    })
}

fn agreement(value: &Value, pointer: &str, errors: &Errors) -> Option<MediatedPut> {
    let known = ["provider", "consumer", "dataset", "policy"];
    let object = Object::of(value, pointer, errors, &known)?;
    let provider = object.need("provider", text(ParticipantId::parse));
    let consumer = object.need("consumer", text(ParticipantId::parse));
    let dataset = object.need("dataset", one_of(&Dataset::ALL, Dataset::as_str));
    let policy = object.needed("policy");
    if let (Some(dataset), Some(policy)) = (dataset, policy) {
        check_policy(policy, dataset, &object.at("policy"), errors);
    }
    Some(MediatedPut {
        provider: provider?,
        consumer: consumer?,
        dataset: dataset?,
        policy: policy?.clone(),
    })
}

/// `POST /mediations/{id}/counter`.
pub(in super::super) fn counter(call: &Call<'_>) -> Result<MediationAct, Problem> {
    call.object(&["until", "policies", "reason"], |object| {
        let until = object.may("until", text(instant));
        let policies = object.get("policies").map_or(Some(Vec::new()), |value| {
            policies(value, &object.at("policies"), object.errors())
        });
        let reason = object.need("reason", words(REASON_BYTES_MAX));
        Some(MediationAct::Counter {
            until,
            policies: policies?,
            reason: reason?,
        })
    })
}

/// Policies by agreement.
fn policies(value: &Value, pointer: &str, errors: &Errors) -> Option<Vec<(WireId, Value)>> {
    let names = value.as_object().into_iter().flat_map(|map| map.keys());
    let ids: Vec<WireId> = names.filter_map(|name| WireId::parse(name).ok()).collect();
    let known: Vec<&str> = ids.iter().map(WireId::as_str).collect();
    let object = Object::of(value, pointer, errors, &known)?;
    let read = ids
        .iter()
        .map(|id| Some((id.clone(), object.need(id.as_str(), any_policy)?)));
    // Every policy is read before the first failure ends it: all errors are wanted.
    read.collect::<Vec<_>>().into_iter().collect()
}

/// `POST /mediations/{id}/adopt`.
pub(in super::super) fn adopt(call: &Call<'_>) -> Result<MediationAct, Problem> {
    call.object(&["party"], |object| {
        let party = object.need("party", text(ParticipantId::parse))?;
        Some(MediationAct::Adopt(party))
    })
}
