//! The schemas of bodies about mediation and reciprocity.
//!
//! INVARIANT: as in [`super::schema`], of which this is a part.

use interlock_journal::manifest::POLICIES_MAX;
use serde_json::{Value, json};

use super::bodies::agreements::REASON_BYTES_MAX;
use super::schema::{
    Named, dataset, did, example_policy, instant, list, named, object, text, with_example,
};

fn reason() -> Value {
    text(
        "Why, for people at the other side, in bytes.",
        REASON_BYTES_MAX,
    )
}

pub(super) fn mediations() -> Named {
    let mediated = object(
        "One agreement of the cooperation.",
        &["provider", "consumer", "dataset", "policy"],
        json!({
            "provider": did("Who would provide."),
            "consumer": did("Who would consume."),
            "dataset": dataset(),
            "policy": named("Policy"),
        }),
    );
    let mediation = object(
        "A cooperation that a regulator proposes to two partners: all policies with one term.",
        &["agreements", "note"],
        json!({
            "agreements": list("Its agreements, in both directions.", &mediated, 1, POLICIES_MAX),
            "note": reason(),
            "answerBy": instant("Until when the parties may accept; by default as long as for other \
                proposals."),
        }),
    );
    let mediation_example = json!({
        "agreements": [{
            "provider": "did:web:sf.example",
            "consumer": "did:web:cainiao.example",
            "dataset": "tracking-events",
            "policy": example_policy(),
        }],
        "note": "until the dispute is settled",
        "answerBy": "2017-06-03T18:00:00+08:00",
    });
    let counter = object(
        "Which other terms a party would accept.",
        &["reason"],
        json!({
            "until": instant("Another end, for all agreements."),
            "policies": { "type": "object", "additionalProperties": named("Policy"),
                "description": "Other policies, by agreement of the mediation." },
            "reason": reason(),
        }),
    );
    let counter_example = json!({
        "until": "2017-06-15T00:00:00+08:00",
        "policies": { "urn:uuid:0b7e4f3c-0000-4000-8000-000000000001": example_policy() },
        "reason": "two weeks are enough to negotiate",
    });
    let adoption = object(
        "Whose counter-proposal becomes the proposal.",
        &["party"],
        json!({ "party": did("The party.") }),
    );
    vec![
        ("Mediation", with_example(mediation, mediation_example)),
        ("Reciprocity", reciprocity()),
        ("MediationCounter", with_example(counter, counter_example)),
        (
            "Adoption",
            with_example(adoption, json!({ "party": "did:web:sf.example" })),
        ),
    ]
}

fn reciprocity() -> Value {
    let schema = object(
        "What is stopped in return, and for what.",
        &["trigger", "reason"],
        json!({
            "trigger": text("The agreement that the other party has suspended or ended early.", 256),
            "at": instant("From when: at least 72 hours after the other party has the notice. 73 hours from now, if not given."),
            "reason": reason(),
        }),
    );
    let example = json!({
        "trigger": "urn:uuid:0b7e4f3c-0000-4000-8000-000000000001",
        "at": "2017-06-04T00:00:00+08:00",
        "reason": "the other side has stopped first",
    });
    with_example(schema, example)
}
