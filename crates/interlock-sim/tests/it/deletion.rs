//! Deletion in the term's time, on request, and after crashes: planted values are searched for.

use interlock::exchange::wire::{Envelope, Notice};
use interlock::node::io::{DepositAction, LocalRequest, PageRequest, PeerAnswer, PeerRequest};
use interlock::node::record::{ContentRef, Erased, ErasureReason, Record, Sealed};
use interlock_core::contact::ContactForm;
use interlock_core::dataset::Dataset;
use interlock_core::time::{DAY_MS, HOUR_MS, Timestamp};
use interlock_core::waybill::Waybill;
use interlock_journal::bilateral::{Deletion, LeafBody};
use interlock_journal::disk::{Crash, Fault};
use interlock_sim::{DiskOf, NodeIx};
use sha2::{Digest as _, Sha256};

use crate::support::*;

const NUMBER: &str = "SF1000000000001";
const PHONE: &str = "13877665544";
/// Planted in the recipient's name and address.
const NAME: &str = "Canary-Zhou";
const ADDRESS: &str = "Canary Lane 7719";

/// A network in which the phone itself is released, to be deleted within `days`.
fn planted(seed: u64, days: i64) -> Network {
    let mut net = Network::with_terms(seed, |terms| {
        if terms.dataset == Dataset::RecipientContact {
            terms.contact_forms = [ContactForm::Full].into();
            terms.delete_after_ms = Some(days * DAY_MS);
        }
    });
    net.put_station(FENGCHAO, "FC0001", 4);
    net.put_parcel_with(NUMBER, "taobao", CAINIAO, PHONE, |put| {
        if let Some(recipient) = &mut put.recipient {
            recipient.name = NAME.into();
            recipient.address = ADDRESS.into();
        }
    });
    net.world.settle();
    net
}

/// Deposited, told and picked up; gives the code.
fn delivered(net: &mut Network) -> String {
    let deposit = net.deposit(FENGCHAO, NUMBER, "FC0001", "k1").unwrap();
    net.advance(FENGCHAO, &deposit, DepositAction::Confirm)
        .unwrap();
    net.world.settle();
    let code = net.code();
    let open = DepositAction::Open { code: code.clone() };
    net.advance(FENGCHAO, &deposit, open).unwrap();
    net.advance(FENGCHAO, &deposit, DepositAction::PickUp)
        .unwrap();
    net.world.settle();
    code
}

fn records(net: &Network, ix: NodeIx) -> Vec<(Timestamp, Record)> {
    let journal = net.world.journal(ix).iter();
    journal
        .map(|(at, bytes)| (*at, postcard::from_bytes(bytes).unwrap()))
        .collect()
}

fn sealed(net: &Network, ix: NodeIx) -> Vec<Sealed> {
    let all = records(net, ix);
    all.iter()
        .flat_map(|(_, record)| record.sealed())
        .cloned()
        .collect()
}

fn opened_with_a_key(net: &Network, ix: NodeIx) -> usize {
    let all = sealed(net, ix);
    all.iter()
        .filter(|sealed| net.world.has_key(ix, sealed))
        .count()
}

/// No file of any node holds one of the values.
fn assert_not_stored(net: &Network, values: &[&str]) {
    for ix in ALL {
        for (name, bytes) in net.world.stored(ix) {
            for value in values {
                let found = bytes.windows(value.len()).any(|it| it == value.as_bytes());
                assert!(!found, "node {ix} holds `{value}` in `{name}`");
            }
        }
    }
}

/// What every door of a node that asks nobody else says of the parcel, for the administrator.
fn answers(net: &mut Network, ix: NodeIx) -> String {
    let waybill = Waybill::parse("sf", NUMBER).unwrap();
    let page = |after| (after, 1_000);
    let (after, limit) = page(0);
    let requests = [
        LocalRequest::GetParcel(waybill),
        LocalRequest::GetStations,
        LocalRequest::GetAgreements,
        LocalRequest::GetAlerts,
        LocalRequest::GetEvidence,
        LocalRequest::GetStatus,
        LocalRequest::GetPartners,
        LocalRequest::GetMessages { after, limit },
        LocalRequest::GetLedger {
            denials: false,
            after,
            limit,
        },
        LocalRequest::GetLedger {
            denials: true,
            after,
            limit,
        },
    ];
    let mut text = String::new();
    for request in requests {
        let answer = net.world.local(ix, request);
        text.push_str(&format!("{:?}", result(answer)));
    }
    let token = {
        let state = net.world.node(ix).unwrap().state();
        state.parcels.find(&waybill).map(|parcel| {
            let kind = interlock::node::content::LinkKind::Pickup;
            state.links.token(kind, parcel.id)
        })
    };
    if let Some(token) = token {
        let digest = Sha256::digest(token.as_bytes()).into();
        let answer = net.world.page(ix, PageRequest::ShowCode(digest));
        text.push_str(&format!("{answer:?}"));
    }
    text
}

fn deletions(net: &Network, by: NodeIx) -> Vec<Deletion> {
    let all = records(net, by);
    let leaves = all.iter().filter_map(|(_, record)| {
        let Record::Leaf { leaf, .. } = record else {
            return None;
        };
        let leaf = interlock_journal::bilateral::Leaf::decode(&leaf.0).unwrap();
        let LeafBody::Deletion(deletion) = leaf.body else {
            return None;
        };
        Some(deletion)
    });
    leaves.collect()
}

#[test]
fn nothing_planted_is_left_at_any_party_when_its_time_is_over() {
    let mut net = planted(900, 5);
    let code = delivered(&mut net);
    let all = [PHONE, NAME, ADDRESS, "+8613877665544"];
    assert!(
        opened_with_a_key(&net, FENGCHAO) > 0,
        "there is something to lose"
    );
    assert_not_stored(&net, &all);
    assert_not_stored(&net, &[code.as_str()]);
    assert!(
        answers(&mut net, FENGCHAO).contains(PHONE),
        "the term says so"
    );
    let released = net.world.now();

    net.world.run_until(released.plus_ms(4 * DAY_MS));
    assert!(
        answers(&mut net, FENGCHAO).contains(PHONE),
        "not before its time"
    );
    assert!(deletions(&net, FENGCHAO).is_empty());
    net.world.run_until(released.plus_ms(5 * DAY_MS));
    assert!(!answers(&mut net, FENGCHAO).contains("77665544"));
    let said = deletions(&net, FENGCHAO);
    assert_eq!(said.len(), 1);
    assert_eq!(said[0].items, 1);
    assert!(said[0].up_to <= released);

    // The provider has it in writing, and says so with its own signature.
    let agreement = said[0].agreement.clone();
    let view = ok(net
        .world
        .local(CAINIAO, LocalRequest::GetAgreement(agreement)));
    let history = view["history"].to_string();
    assert!(
        history.contains("says that 1 contacts released up to"),
        "{history}"
    );
    net.assert_all_evidence_is_mirrored();
    let state = net.world.node(FENGCHAO).unwrap().state();
    let toward = state.channel(net.world.id(CAINIAO).unwrap()).unwrap();
    assert_eq!(
        toward.out.acknowledged(),
        toward.out.size(),
        "countersigned"
    );

    net.world.run_until(released.plus_ms(61 * DAY_MS));
    for ix in ALL {
        assert_eq!(
            opened_with_a_key(&net, ix),
            0,
            "node {ix} can still open something"
        );
        let text = answers(&mut net, ix);
        for value in [PHONE, NAME, ADDRESS, "5544", code.as_str()] {
            assert!(!text.contains(value), "node {ix} says `{value}`");
        }
    }
    assert_not_stored(&net, &all);
    net.assert_replay_gives_the_same();
}

#[test]
fn a_courier_whose_name_is_gone_has_no_round_though_the_parcel_still_lies_there() {
    let mut net = planted(904, 300);
    let deposit = net.deposit(FENGCHAO, NUMBER, "FC0001", "k1").unwrap();
    net.advance(FENGCHAO, &deposit, DepositAction::Confirm)
        .unwrap();
    net.world.settle();
    let rounds = |net: &Network| net.world.node(FENGCHAO).unwrap().state().rounds.couriers();
    assert_eq!(rounds(&net), 1);
    net.world.run_until(net.world.now().plus_ms(200 * DAY_MS));
    assert_eq!(rounds(&net), 0);
    net.assert_replay_gives_the_same();
}

#[test]
fn a_code_is_nowhere_once_its_parcel_is_out() {
    let mut net = planted(901, 30);
    let code = delivered(&mut net);
    let erased = records(&net, FENGCHAO).into_iter().any(|(_, record)| {
        matches!(record, Record::Erased(erased) if matches!(*erased, Erased {
            ref what, why: ErasureReason::Over } if matches!(what[..], [ContentRef::Code(_)])))
    });
    assert!(erased);
    for (_, record) in records(&net, FENGCHAO) {
        if let Record::Stay { stay, .. } = &record {
            assert_eq!(*stay, stay.without_code());
        }
        if let Record::Deposit(deposit) = &record {
            assert!(!net.world.has_key(FENGCHAO, &deposit.code));
        }
    }
    assert!(!answers(&mut net, FENGCHAO).contains(&code));
    net.assert_replay_gives_the_same();
}

#[test]
fn what_a_recipient_wants_deleted_goes_at_both_parties_though_one_was_away() {
    let mut net = planted(902, 30);
    let deposit = net.deposit(FENGCHAO, NUMBER, "FC0001", "k1").unwrap();
    net.advance(FENGCHAO, &deposit, DepositAction::Confirm)
        .unwrap();
    net.world.settle();
    net.world.kill(FENGCHAO);
    let waybill = Waybill::parse("sf", NUMBER).unwrap();
    let erase = LocalRequest::EraseRecipient(waybill);
    let answer = ok(net.world.local(CAINIAO, erase));
    assert_eq!(answer["erased"], 1);
    assert_eq!(answer["told"][0], net.world.id(FENGCHAO).unwrap().as_str());
    // The asking node dies too, and asks again when it is back.
    net.world.kill(CAINIAO);
    assert!(net.world.restart(CAINIAO));
    assert!(net.world.restart(FENGCHAO));
    let now = net.world.now();
    net.world.run_until(now.plus_ms(10 * 60_000));
    assert!(!answers(&mut net, FENGCHAO).contains(PHONE));
    assert!(!answers(&mut net, CAINIAO).contains("5544"));
    assert_eq!(opened_with_a_key(&net, CAINIAO), 0);
    let contact = records(&net, FENGCHAO).into_iter().find_map(|(_, record)| {
        let outcomes = matches!(record, Record::LookupAnswered { .. });
        outcomes.then(|| record.sealed()[0].clone())
    });
    assert!(!net.world.has_key(FENGCHAO, &contact.unwrap()));
    assert_eq!(deletions(&net, FENGCHAO).len(), 1, "attested, once");
    let told = |record: &Record| matches!(record, Record::ErasureTold { refused: None, .. });
    assert!(
        records(&net, CAINIAO)
            .iter()
            .any(|(_, record)| told(record))
    );
    assert!(net.world.node(CAINIAO).unwrap().state().erasures.is_empty());
    // The parcel still lies there, and its code still opens it.
    let open = DepositAction::Open { code: net.code() };
    assert!(net.advance(FENGCHAO, &deposit, open).is_ok());
    net.assert_replay_gives_the_same();
}

#[test]
fn what_was_to_be_destroyed_when_the_process_died_is_destroyed_at_the_next_start() {
    for (disk, fault) in [
        (DiskOf::Keys, Fault::Failed),
        (DiskOf::Keys, Fault::PowerLoss),
        (DiskOf::Journal, Fault::FailedAlthoughDone),
    ] {
        let mut net = planted(903, 5);
        delivered(&mut net);
        let due = net.world.now().plus_ms(5 * DAY_MS);
        net.world.run_until(due.plus_ms(-2 * HOUR_MS));
        assert!(opened_with_a_key(&net, FENGCHAO) > 0);
        net.world.inject(FENGCHAO, disk, 0, fault);
        net.world.run_until(due);
        assert!(!net.world.is_up(FENGCHAO), "the fault did not strike");
        net.world.crash(FENGCHAO, Crash::LoseUnsynced);
        assert!(net.world.restart(FENGCHAO), "{disk:?} {fault:?}");
        net.world.settle();
        let contact = records(&net, FENGCHAO).into_iter().find_map(|(_, record)| {
            let answered = matches!(record, Record::LookupAnswered { .. });
            answered.then(|| record.sealed()[0].clone())
        });
        assert!(
            !net.world.has_key(FENGCHAO, &contact.unwrap()),
            "{disk:?} {fault:?}"
        );
        assert_eq!(deletions(&net, FENGCHAO).len(), 1);
    }
}

#[test]
fn notices_of_deletion_are_believed_on_evidence_and_from_the_right_party_only() {
    let mut net = planted(904, 30);
    delivered(&mut net);
    let book = &net.world.node(CAINIAO).unwrap().state().book;
    let agreement = book
        .agreements
        .values()
        .find(|a| a.terms.dataset == Dataset::RecipientContact)
        .unwrap()
        .id
        .clone();
    let now = net.world.now();
    let unwritten = Notice::Deletion {
        agreement: agreement.clone(),
        up_to: now,
        contacts: 7,
    };
    let erasure = Notice::Erasure {
        agreement: agreement.clone(),
        carrier: "sf".into(),
        number: NUMBER.into(),
    };
    // The consumer attests to what its log does not say, and asks the provider to delete.
    for (notice, kind) in [
        (unwritten.clone(), "evidence-mismatch"),
        (erasure.clone(), "notice-refused"),
    ] {
        assert_eq!(noticed(&mut net, FENGCHAO, CAINIAO, notice), kind);
    }
    // The provider attests to the consumer's deletion.
    assert_eq!(
        noticed(&mut net, CAINIAO, FENGCHAO, unwritten.clone()),
        "notice-refused"
    );
    // A rival speaks of an agreement that is not its own.
    for notice in [unwritten, erasure] {
        assert_eq!(noticed(&mut net, JD, FENGCHAO, notice), "not-found");
    }
    assert!(
        answers(&mut net, FENGCHAO).contains(PHONE),
        "nothing was deleted"
    );
    // The provider asks for what was never given: the answer is the same as if it had been.
    let unknown = Notice::Erasure {
        agreement,
        carrier: "sf".into(),
        number: "SF9000000000009".into(),
    };
    assert_eq!(noticed(&mut net, CAINIAO, FENGCHAO, unknown), "taken");
}

/// What becomes of a notice with the evidence that its sender's log really holds.
fn noticed(net: &mut Network, from: NodeIx, to: NodeIx, notice: Notice) -> String {
    let envelope = Envelope {
        evidence: evidence_toward(net, from, to),
        body: notice,
    };
    let id = net.world.id(from).unwrap().clone();
    match net.world.peer(to, &id, &PeerRequest::Notice(envelope)) {
        Some(PeerAnswer::Problem(problem)) => problem.kind,
        Some(PeerAnswer::Evidence(_)) => "taken".into(),
        other => panic!("no answer: {other:?}"),
    }
}
