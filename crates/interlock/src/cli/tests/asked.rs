//! Commands that ask a node: what it is asked, and how its answers are shown.

use expect_test::expect;
use serde_json::{Value, json};

use super::*;
use crate::identity::private_file::tests::Scratch;

#[test]
fn refusals_of_the_node_have_their_exit_codes() {
    for (script, code) in [
        ((|_| refusal("term-ended", 403)) as Script, 3),
        (|_| refusal("forbidden", 403), 1),
        (|_| refusal("not-found", 404), 1),
        (|_| refusal("invalid", 422), 2),
        (|_| refusal("partner-unreachable", 502), 5),
        (|_| refusal("busy", 503), 1),
    ] {
        let done = ask(&serve(script), "catalog did:web:sf.example");
        assert_eq!(done.code, code, "{}", done.err);
        assert_eq!(done.err, "error: no: do something else\n");
        assert!(done.out.is_empty());
    }
}

#[test]
fn a_denial_is_three_and_says_why() {
    let denial = |_: &LocalRequest| {
        ok(json!({ "decision": "denial", "reason": "term-ended",
            "sentence": { "en": "the term ended" } }))
    };
    let command = "explain --partner did:web:f.example --dataset locker-events \
                   --purpose delivery-tracking --waybill SF1234567890123";
    let done = ask(&serve(denial), command);
    assert_eq!(
        (done.code, done.err.as_str()),
        (3, "error: it would be denied: the term ended\n")
    );
    assert!(done.out.contains("term-ended"));
    let release = |_: &LocalRequest| ok(json!({ "decision": "release", "fields": ["step"] }));
    let (out, request) = pass(release, command);
    assert!(out.contains("release"));
    assert!(matches!(request, LocalRequest::Explain(explain)
        if explain.waybill.unwrap().carrier().as_str() == "sf"));
}

#[test]
fn a_call_is_asked_for_as_it_was_dialled() {
    let reached = |_: &LocalRequest| {
        ok(json!({ "phone": "+8613812341234", "until": "2017-06-08T00:00:00+08:00" }))
    };
    let dialled = r#"{"to": "+8695000000", "extension": "004711000815", "from": "+8695000001"}"#;
    let served = serve(reached);
    let done = ask_with(&served, "messenger call", dialled);
    assert_eq!(done.code, 0, "{}", done.err);
    assert!(done.out.contains("+8613812341234"), "{}", done.out);
    let LocalRequest::ConnectCall(call) = served.node.asked.lock().unwrap().pop().unwrap() else {
        panic!("another request");
    };
    assert_eq!(call.to.reveal(), "+8695000000");
    assert_eq!(call.from.unwrap().reveal(), "+8695000001");
    assert_eq!(call.extension.unwrap().as_str(), "004711000815");
    let nobody = |_: &LocalRequest| refusal("not-found", 404);
    let bare = r#"{"to": "+8617000000001"}"#;
    let done = ask_with(&serve(nobody), "messenger call", bare);
    assert_eq!((done.code, done.out.as_str()), (1, ""));
}

#[test]
fn numbers_of_a_call_are_no_arguments_and_come_in_no_error() {
    let never = |_: &LocalRequest| -> LocalAnswer { panic!("the node was asked") };
    let call = r#"{"to": "+8613812341234"}"#;
    let served = serve(never);
    for (arguments, input) in [
        ("+8613812341234", call),
        ("+8613812341234 --from +8613812341234", call),
        ("--from +8613812341234", call),
        ("", ""),
        ("", "+8613812341234"),
        ("", "[\"+8613812341234\"]"),
        ("", r#"{"to": "+8613812341234""#),
        ("", r#"{"to": "13812341234x"}"#),
        ("", r#"{"to": "+8613812341234", "phone": "+8613812341234"}"#),
    ] {
        let command = format!("messenger call --url {} {arguments}", served.url);
        let done = run_with(Path::new("."), true, &command, input);
        assert_eq!((done.code, done.out.as_str()), (2, ""), "{}", done.err);
        assert!(!done.err.contains("1381234"), "{}", done.err);
        assert!(!done.err.is_empty());
    }
    let command = format!("messenger call --url {} +8613812341234", served.url);
    let done = run_with(Path::new("."), true, &command, call);
    assert!(done.err.contains("`ps`") && done.err.contains("standard input"));
}

#[test]
fn a_rehearsal_is_a_table_for_each_partner() {
    let script = |_: &LocalRequest| {
        let counts = |n: u32| {
            json!({ "parcels": n, "recipients": n, "merchants": 1,
            "recipientsNotTold": n, "eventsHeld": 0, "eventsDropped": 0, "trackingStale": n })
        };
        let seen =
            |message: &str, tracking: &str| json!({ "message": message, "tracking": tracking });
        ok(json!({
            "cooperations": [{ "partner": "did:web:f.example", "name": "Fengchao",
                "agreements": [{ "id": "a1", "dataset": "recipient-contact",
                    "provider": "did:web:c.example", "endsAt": "2017-07-01T00:00:00+08:00" }],
                "outcomes": { "nothing-signed": counts(2), "run-off-only": counts(1),
                    "temporary-agreement": counts(0) } }],
            "parcels": [{ "carrier": "sf", "number": "SF1234567890123", "merchant": "m1",
                "partner": "did:web:f.example", "outcomes": {
                    "nothing-signed": seen("nobody", "last-known"),
                    "run-off-only": seen("operator", "current") } }],
            "next": 1,
        }))
    };
    let (out, request) = pass(script, "rehearse --at 2017-07-01T01:00:00+08:00 --limit 1");
    expect![[r#"
        Fengchao (did:web:f.example)
        agreement  dataset            provider           ends                       run-off until  backlog
        a1         recipient-contact  did:web:c.example  2017-07-01T00:00:00+08:00  -              -

        if                   parcels  recipients  merchants  not told  events held  dropped  pages stale
        nothing signed       2        2           1          2         0            0        2
        run-off only         1        1           1          1         0            0        1
        temporary agreement  0        0           1          0         0            0        0

        parcel              merchant  partner            nothing signed                             run-off only
        sf/SF1234567890123  m1        did:web:f.example  no message: to the door, last known state  operator tells, tracked
        there may be more: add `--after 1`
    "#]]
    .assert_eq(&out);
    assert!(
        matches!(request, LocalRequest::Rehearse { at, after: 0, limit: 1 }
        if at.as_millis() == 1_498_842_000_000)
    );
    let wrong = ask(&serve(script), "rehearse --at midnight");
    assert_eq!(wrong.code, 2);
}

#[test]
fn tables_and_cards() {
    let agreements = |request: &LocalRequest| {
        if matches!(request, LocalRequest::GetAgreements) {
            return ok(json!({ "agreements": [{ "id": "a1",
                "partner": "did:web:f.example", "role": "provider", "dataset": "locker-events",
                "state": "IN_FORCE", "endsAt": "2017-07-01T00:00:00+08:00", "daysLeft": 3,
                "assurance": "signed", "waitingForPartner": null }] }));
        }
        if matches!(request, LocalRequest::GetTransfers) {
            return ok(json!({ "transfers": [{ "id": "t1", "state": "STARTED",
                "waitingForPartner": null }] }));
        }
        ok(json!({ "negotiations": [
            { "id": "n1", "state": "FINALIZED" },
            { "id": "n2", "state": "REQUESTED", "partner": "did:web:f.example",
              "role": "provider", "dataset": "pre-advice", "waitsForPeople": true,
              "assurance": "plain", "waitingForPartner": { "tries": 3,
              "lastError": "no answer in time", "nextTryAt": "2017-06-28T00:00:05+08:00" } },
        ] }))
    };
    let served = serve(agreements);
    let done = ask(&served, "agreement list");
    expect![[r#"
        agreement  partner            we are    dataset        state     ends                       days  assurance
        a1         did:web:f.example  provider  locker-events  IN_FORCE  2017-07-01T00:00:00+08:00  3     signed

        negotiation  partner            we are    dataset     state      assurance  waits for us
        n2           did:web:f.example  provider  pre-advice  REQUESTED  plain      yes

        waits for partner  state      tries  next try                   last error
        n2                 REQUESTED  3      2017-06-28T00:00:05+08:00  no answer in time
    "#]]
    .assert_eq(&done.out);
    let done = ask(&served, "agreement list --json");
    let value: Value = serde_json::from_str(&done.out).unwrap();
    assert_eq!(value["negotiations"].as_array().unwrap().len(), 1);
}

#[test]
fn an_agreement_is_shown_in_plain_words_or_as_its_policy() {
    let agreement = |request: &LocalRequest| {
        if matches!(request, LocalRequest::GetProposals) {
            return ok(json!({ "proposals": [] }));
        }
        ok(
            json!({ "id": "urn:a", "state": "IN_FORCE", "policy": { "permission": [] },
            "summary": { "en": "Words.", "zh": "条款。" },
            "terms": [{ "key": "term", "class": "provider", "en": "until July", "zh": "至七月" }] }),
        )
    };
    let (out, request) = pass(agreement, "agreement show urn:a");
    assert!(matches!(request, LocalRequest::GetAgreement(id) if id.as_str() == "urn:a"));
    assert!(
        out.contains("Words.\n\n  until July  [enforced by the provider]\n"),
        "{out}"
    );
    let (out, _) = pass(agreement, "agreement show urn:a --zh");
    assert!(out.contains("条款。") && out.contains("至七月"), "{out}");
    let (out, _) = pass(agreement, "agreement show urn:a --odrl");
    assert_eq!(
        serde_json::from_str::<Value>(&out).unwrap(),
        json!({ "permission": [] })
    );
}

#[test]
fn an_offer_is_one_short_line() {
    use interlock_core::terms::parse_policy;
    let published = |_: &LocalRequest| ok(json!({ "terms": [] }));
    let (out, request) = pass(
        published,
        "offer publish --dataset locker-events --marketplace taobao --to did:web:c.example \
         --auto-accept --until 2030-07-01T00:00:00+08:00 --run-off P2D",
    );
    assert!(out.contains("`locker-events` is offered"));
    let LocalRequest::PublishOffer(offer) = request else {
        panic!("{request:?}");
    };
    assert!(offer.auto_accept);
    assert_eq!(offer.audience[0].as_str(), "did:web:c.example");
    let terms = parse_policy(
        &offer.policy,
        crate::node::agreements::approver::dataset_of(&offer.dataset).unwrap(),
    )
    .unwrap();
    assert_eq!(terms.run_off_ms, Some(2 * 86_400_000));
    let served = serve(published);
    let done = ask(&served, "offer publish --dataset locker-events");
    assert_eq!(done.code, 2);
    assert!(done.err.contains("--marketplace"), "{}", done.err);
    assert!(served.node.asked.lock().unwrap().is_empty());
}

#[test]
fn people_decide() {
    use crate::node::io::{AgreementChange, Decision};
    let done = |_: &LocalRequest| ok(json!({ "id": "x" }));
    let (_, request) = pass(done, "agreement approve n1");
    assert!(matches!(
        request,
        LocalRequest::Decide {
            decision: Decision::Approve,
            ..
        }
    ));
    let (_, request) = pass(done, "agreement reject n1 --reason no");
    assert!(matches!(
        request,
        LocalRequest::Decide {
            decision: Decision::Reject { .. },
            ..
        }
    ));
    let (_, request) = pass(done, "agreement propose did:web:sf.example o1 o2");
    assert!(matches!(request, LocalRequest::Propose { offers, .. } if offers.len() == 2));
    let at = "agreement terminate a1 --at 2017-07-01T00:00:00+08:00 --reason over";
    let (_, request) = pass(done, at);
    assert!(matches!(request, LocalRequest::ChangeAgreement {
        change: AgreementChange::Terminate { at, .. }, .. } if at.as_millis() == 1_498_838_400_000));
    let scratch = Scratch::new("cli-counter");
    let policy = scratch.0.join("policy.json");
    std::fs::write(&policy, "{\"permission\": []}").unwrap();
    let (_, request) = pass(
        done,
        &format!("agreement counter n1 --policy {}", policy.display()),
    );
    assert!(matches!(
        request,
        LocalRequest::Decide {
            decision: Decision::Counter { .. },
            ..
        }
    ));
}

#[test]
fn partners_are_added_by_flags_or_by_their_document() {
    use crate::identity::did::DidDocument;
    use crate::identity::keys::NodeKey;
    use crate::identity::url::BaseUrl;
    use interlock_core::ids::ParticipantId;
    let done = |_: &LocalRequest| ok(json!({}));
    let key = NodeKey::from_seed(&[3; 32]).public();
    let flags = format!(
        "partner add --id did:web:sf.example --name SF --role carrier --carrier sf \
         --exchange-url https://node.sf.example --key {}",
        key.to_hex()
    );
    let scratch = Scratch::new("cli-did");
    let file = scratch.0.join("did.json");
    let id = ParticipantId::parse("did:web:sf.example").unwrap();
    let url = BaseUrl::parse("https://node.sf.example").unwrap();
    let document = DidDocument::of_node(&id, key, &url).to_json();
    std::fs::write(&file, document.to_string()).unwrap();
    let by_document = format!(
        "partner add --name SF --role carrier --carrier sf --did-document {}",
        file.display()
    );
    for command in [flags, by_document] {
        let (_, request) = pass(done, &command);
        assert!(matches!(request, LocalRequest::AddPartner(partner)
            if partner.key == key && partner.id == id && partner.exchange_url == url
                && partner.carriers[0].as_str() == "sf"));
    }
}

#[test]
fn a_key_is_shown_in_the_form_of_the_environment() {
    let added = |_: &LocalRequest| LocalAnswer::Json {
        status: 201,
        body: json!({}),
    };
    let (out, _) = pass(added, "key add --name cabinet --role cabinet");
    assert_eq!(
        out,
        format!("export INTERLOCK_KEY=il_{}\n", "07".repeat(24))
    );
    let done = ask(&serve(added), "key add --name cabinet --role king");
    assert_eq!(done.code, 2);
    assert!(done.err.contains("/role: "), "{}", done.err);
}

#[test]
fn keys_are_listed_and_withdrawn() {
    let listed = |_: &LocalRequest| LocalAnswer::Json {
        status: 200,
        body: json!({ "keys": [{ "id": "0707070707070707", "name": "cabinet", "role": "cabinet",
            "addedAt": "2017-06-01T00:00:00+08:00" }] }),
    };
    let (out, request) = pass(listed, "key list");
    assert!(matches!(request, LocalRequest::GetKeys));
    assert!(out.contains("0707070707070707"), "{out}");
    let empty = |_: &LocalRequest| LocalAnswer::Json {
        status: 200,
        body: json!({}),
    };
    let (out, request) = pass(empty, "key withdraw 0707070707070707");
    assert_eq!(out, "key 0707070707070707 counts no more\n");
    assert!(
        matches!(request, LocalRequest::WithdrawKey(id) if id.to_string() == "0707070707070707")
    );
    assert_eq!(ask(&serve(empty), "key withdraw cabinet").code, 2);
}

#[test]
fn a_key_that_waits_is_said_to_listed_and_approved() {
    let added = |_: &LocalRequest| LocalAnswer::Json {
        status: 202,
        body: json!({ "id": "0808080808080808", "waits": true }),
    };
    let (out, _) = pass(added, "key add --name exchange --role telephone");
    let (key, waits) = out.split_once('\n').unwrap();
    assert_eq!(key, format!("export INTERLOCK_KEY=il_{}", "07".repeat(24)));
    assert_eq!(
        waits,
        "# it counts once another person has approved it: `interlock key approve 0808080808080808`\n"
    );
    let listed = |_: &LocalRequest| LocalAnswer::Json {
        status: 200,
        body: json!({ "keys": [], "waiting": [{ "id": "0808080808080808", "name": "exchange",
            "role": "telephone", "askedBy": "zhao", "askedAt": "2017-06-01T00:00:00+08:00" }] }),
    };
    let (out, _) = pass(listed, "key list");
    for said in [
        "no keys",
        "0808080808080808",
        "exchange",
        "telephone",
        "zhao",
    ] {
        assert!(out.contains(said), "{said}: {out}");
    }
    let (out, _) = pass(listed, "key list --json");
    let listed: Value = serde_json::from_str(&out).unwrap();
    assert_eq!(listed["waiting"][0]["askedBy"], "zhao");
    let approved = |_: &LocalRequest| LocalAnswer::Json {
        status: 200,
        body: json!({ "id": "0808080808080808", "name": "exchange", "role": "telephone",
            "letInAlike": "admin" }),
    };
    let (out, request) = pass(approved, "key approve 0808080808080808");
    assert!(out.contains("exchange") && out.contains("admin"), "{out}");
    assert!(
        matches!(request, LocalRequest::ApproveKey(id) if id.to_string() == "0808080808080808")
    );
    assert_eq!(ask(&serve(approved), "key approve exchange").code, 2);
}

#[test]
fn the_help_names_the_roles_that_a_key_may_have() {
    let added = |_: &LocalRequest| LocalAnswer::Json {
        status: 201,
        body: json!({}),
    };
    let help = reference();
    let named = help.split("What it may do: ").nth(1).unwrap();
    let named: Vec<&str> = named.lines().next().unwrap().split(", ").collect();
    for role in Role::ALL {
        let command = format!("key add --name x --role {}", role.as_str());
        let taken = ask(&serve(added), &command).code == 0;
        assert_eq!(named.contains(&role.as_str()), taken, "{}", role.as_str());
    }
}
