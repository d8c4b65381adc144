//! Two worlds that differ only in a rival's parcels give a participant the same, byte by byte.
//!
//! What is compared: every body that passes to or from it with its sizes, cursors, positions, leaves and
//! checkpoints; its journal; every answer of its own doors; and what it is told when it probes its
//! partner with requests that a node would not make. Times are the simulator's: how long an answer takes
//! is outside the claim.

use interlock::exchange::wire::{Envelope, FeedReceipt, Lane, LogSide, LookupRequest, Notice};
use interlock::node::io::{AgreementChange, DepositAction, LocalRequest, PageRequest, PeerRequest};
use interlock_core::contact::ContactForm;
use interlock_core::dataset::Dataset;
use interlock_core::ids::RequestId;
use interlock_core::parcel::Consent;
use interlock_core::time::{DAY_MS, HOUR_MS};
use interlock_core::waybill::Waybill;
use interlock_sim::NodeIx;

use crate::support::*;

const OURS: &str = "SF1000000000001";

fn rival(n: usize) -> String {
    format!("SF20000000000{n:02}")
}

/// What the rival does in one of the two worlds. Every step is at a time of its own.
fn bustle(net: &mut Network, rivals: usize, from_ms: i64) {
    let start = net.world.now();
    let mut ms = from_ms;
    let mut at = |net: &mut Network| {
        ms += 61_003;
        net.world.run_until(start.plus_ms(ms));
    };
    for n in 0..rivals {
        at(net);
        let consent = [Consent::Given, Consent::Refused][usize::from(n % 5 == 4)];
        net.put_parcel_with(&rival(n), "jd", JD, &format!("139000000{n:02}"), |put| {
            put.consent = consent;
        });
        at(net);
        let Ok(deposit) = net.deposit(FENGCHAO, &rival(n), "FC0001", &rival(n)) else {
            continue;
        };
        at(net);
        net.advance(FENGCHAO, &deposit, DepositAction::Confirm)
            .unwrap();
        net.track(SF, &rival(n), "arrived");
        at(net);
        // Wrong codes until the lock-out, recalls, and wishes to be deleted.
        match n % 4 {
            0 => {
                for _ in 0..3 {
                    let code = "000000".into();
                    let _ = net.advance(FENGCHAO, &deposit, DepositAction::Open { code });
                }
            }
            1 => drop(net.advance(FENGCHAO, &deposit, DepositAction::Recall)),
            2 => {
                let waybill = Waybill::parse("sf", &rival(n)).unwrap();
                ok(net.world.local(JD, LocalRequest::EraseRecipient(waybill)));
            }
            _ => {}
        }
    }
    if rivals > 0 {
        at(net);
        let id = net.world.node(JD).unwrap().state().book.agreements.values();
        let id = id
            .filter(|a| a.terms.dataset == Dataset::RecipientContact)
            .map(|a| a.id.clone())
            .next()
            .unwrap();
        let change = AgreementChange::Suspend {
            reason: "rival business".into(),
        };
        let request = LocalRequest::ChangeAgreement {
            agreement: id,
            change,
        };
        ok(net.world.local(JD, request));
    }
}

/// Forty days in which Cainiao's only parcel is delivered, beside a rival with so many.
fn world_beside(rivals: usize) -> Network {
    let mut net = Network::with_terms(910, |terms| {
        if terms.dataset == Dataset::RecipientContact {
            terms.contact_forms = [ContactForm::Full].into();
            terms.delete_after_ms = Some(3 * DAY_MS);
        }
    });
    let start = net.world.now();
    net.put_station(FENGCHAO, "FC0001", 100);
    net.put_parcel(OURS, "taobao", CAINIAO, "13800000001");
    net.world.run_until(start.plus_ms(10_000));
    let deposit = net.deposit(FENGCHAO, OURS, "FC0001", "k1").unwrap();
    net.world.run_until(start.plus_ms(20_000));
    net.advance(FENGCHAO, &deposit, DepositAction::Confirm)
        .unwrap();
    net.world.run_until(start.plus_ms(30_000));
    bustle(&mut net, rivals, 30_000);
    net.world.run_until(start.plus_ms(6 * HOUR_MS));
    net.advance(FENGCHAO, &deposit, DepositAction::Recall)
        .unwrap();
    net.world.run_until(start.plus_ms(40 * DAY_MS));
    net
}

/// Every answer of a node's own doors.
fn own_doors(net: &mut Network, ix: NodeIx) -> Vec<String> {
    let (after, limit) = (0, 1_000);
    let ledger = |denials| LocalRequest::GetLedger {
        denials,
        after,
        limit,
    };
    let requests = [
        LocalRequest::GetParcel(Waybill::parse("sf", OURS).unwrap()),
        LocalRequest::GetStatus,
        LocalRequest::GetEvidence,
        LocalRequest::GetAlerts,
        LocalRequest::GetStations,
        LocalRequest::GetAgreements,
        LocalRequest::GetNegotiations,
        LocalRequest::GetPartners,
        LocalRequest::GetMessages { after, limit },
        LocalRequest::GetEvents {
            feed: None,
            after,
            limit: 1_000,
            wait_ms: 0,
        },
        ledger(false),
        ledger(true),
    ];
    let mut answers: Vec<String> = requests
        .into_iter()
        .map(|request| format!("{:?}", result(net.world.local(ix, request))))
        .collect();
    let page = net.world.page(ix, PageRequest::Tracking([5; 32]));
    answers.push(format!("{page:?}"));
    answers
}

// tidy: long, one list of requests
/// What the operator answers to requests that a platform's node would not make.
// tidy: long, the same life in two worlds, one step after another
fn probes(net: &mut Network, rivals: usize) -> Vec<String> {
    let cainiao = net.world.id(CAINIAO).unwrap().clone();
    let jd = net.world.node(JD).unwrap().state().book.agreements.values();
    let foreign = jd
        .filter(|a| a.consumer == *net.world.id(FENGCHAO).unwrap())
        .map(|a| a.id.clone())
        .next()
        .unwrap();
    let own = net
        .world
        .node(CAINIAO)
        .unwrap()
        .state()
        .book
        .agreements
        .values();
    let own = own
        .filter(|a| a.terms.dataset == Dataset::RecipientContact)
        .map(|a| a.id.clone())
        .next()
        .unwrap();
    let evidence = evidence_toward(net, CAINIAO, FENGCHAO);
    let feed = |transfer: &str, after| PeerRequest::Feed {
        transfer: wire(transfer),
        lane: Lane::Live,
        after,
        limit: 100,
        wait_ms: 0,
    };
    let erasure = |agreement, number: &str| {
        PeerRequest::Notice(Envelope {
            evidence: evidence.clone(),
            body: Notice::Erasure {
                agreement,
                carrier: "sf".into(),
                number: number.into(),
            },
        })
    };
    let lookup = PeerRequest::Lookup {
        transfer: wire("urn:none"),
        envelope: Envelope {
            evidence: evidence.clone(),
            body: LookupRequest {
                request_id: RequestId::from_bytes([3; 16]),
                purpose: "pickup-notification".into(),
                form: None,
                items: Vec::new(),
            },
        },
    };
    let receipt = PeerRequest::Receipt {
        transfer: wire(&format!("{foreign}:p")),
        envelope: Envelope {
            evidence: evidence.clone(),
            body: FeedReceipt {
                lane: Lane::Live,
                next: 1,
            },
        },
    };
    let entries = |log, from| PeerRequest::Entries {
        log,
        epoch: None,
        from,
    };
    let requests = [
        feed("urn:none", 0),
        feed(&format!("{foreign}:p"), 0),
        feed(&format!("{foreign}:p"), 1),
        lookup,
        receipt,
        PeerRequest::Checkpoint,
        entries(LogSide::Written, 0),
        entries(LogSide::Mirrored, 0),
        entries(LogSide::Written, 10_000),
        erasure(own.clone(), &rival(0)),
        erasure(own.clone(), &rival(2)),
        erasure(own, OURS),
        erasure(foreign, &rival(1)),
    ];
    let asked = requests.len();
    let answers: Vec<String> = requests
        .iter()
        .map(|request| format!("{:?}", net.world.peer(FENGCHAO, &cainiao, request)))
        .collect();
    assert_eq!(answers.len(), asked, "beside {rivals} rivals");
    answers
}

/// Everything that passed to or from the participant, legible, by partner: which of two partners answers
/// first within a millisecond is their business.
fn passed(net: &Network) -> Vec<String> {
    let mut seen = net.seen_by(CAINIAO);
    seen.sort_by_key(|it| (it.from, it.to));
    let legible = seen.iter().map(|it| {
        let (post, target, body) = &it.request;
        let (status, answer) = &it.answer;
        let [body, answer] = [body, answer].map(|bytes| String::from_utf8_lossy(bytes));
        format!(
            "{} to {}, from {:?} to {:?}: post {post} {target} {body}: {status} {answer}",
            it.from, it.to, it.at, it.answered_at
        )
    });
    legible.collect()
}

/// A day at a station of 40 small compartments of which Cainiao is shown how full it is, while a rival puts
/// in so many parcels, one every ten minutes.
fn station_beside(rivals: usize) -> Vec<String> {
    let mut net = Network::of_june_2017(912);
    let (from, until) = (MIDNIGHT.plus_ms(-60 * DAY_MS), MIDNIGHT.plus_ms(DAY_MS));
    let mut stations = terms(Dataset::LockerStations, from, until, &[]);
    (stations.run_off_ms, stations.backlog) = (None, None);
    net.agree(FENGCHAO, CAINIAO, stations, "stations");
    for ix in [FENGCHAO, CAINIAO] {
        net.world.kill(ix);
        assert!(net.world.restart(ix));
    }
    let start = net.world.now();
    net.put_station(FENGCHAO, "FC0001", 40);
    net.world.run_until(start.plus_ms(HOUR_MS));
    for n in 0..rivals {
        let begun = HOUR_MS + i64::try_from(n).unwrap() * 600_000;
        net.world.run_until(start.plus_ms(begun + 3_001));
        net.put_parcel(&rival(n), "jd", JD, &format!("139000000{n:02}"));
        net.world.run_until(start.plus_ms(begun + 61_003));
        let deposit = net
            .deposit(FENGCHAO, &rival(n), "FC0001", &rival(n))
            .unwrap();
        net.world.run_until(start.plus_ms(begun + 122_005));
        net.advance(FENGCHAO, &deposit, DepositAction::Confirm)
            .unwrap();
    }
    net.world.run_until(start.plus_ms(12 * HOUR_MS));
    passed(&net)
}

/// How often a level is told.
fn told(passed: &[String], level: &str) -> usize {
    let level = format!("\"availability\":[\"{level}\"");
    passed.iter().filter(|it| it.contains(&level)).count()
}

#[test]
fn free_compartments_are_counted_by_nobody_between_two_levels() {
    let [none, few, many] = [0, 3, 28].map(station_beside);
    assert!(told(&none, "normal") > 0, "the station is shown");
    assert_eq!(told(&none, "low"), 0);
    // 40, 37 or 12 of 40 are free: not a byte tells which.
    assert_eq!(none, few);
    assert_eq!(none, many);
    // With the 29th parcel 11 are free: that the level fell is told, once, and then nothing more.
    let [low, lower] = [29, 36].map(station_beside);
    assert_eq!(told(&low, "low"), 1, "{low:#?}");
    assert_eq!(low, lower);
    assert_eq!(told(&station_beside(37), "very-low"), 1);
}

#[test]
fn forty_days_beside_a_rival_look_the_same_however_much_it_does() {
    let mut alone = world_beside(0);
    let mut crowded = world_beside(13);
    let told = |net: &Network| net.world.sent.len();
    assert!(told(&crowded) > told(&alone) + 8, "the rival is there");
    // Bodies, sizes, cursors, leaves.
    let [seen, beside] = [&alone, &crowded].map(passed);
    assert!(seen.len() > 20, "there is something to compare");
    for (seen, beside) in seen.iter().zip(&beside) {
        assert_eq!(seen, beside);
    }
    assert_eq!(seen.len(), beside.len());
    assert_eq!(alone.world.journal(CAINIAO), crowded.world.journal(CAINIAO));
    let states = [&alone, &crowded].map(|net| {
        let state = net.world.node(CAINIAO).unwrap().state();
        format!("{state:?}")
    });
    assert!(states[0] == states[1], "what it knows");
    assert_eq!(
        own_doors(&mut alone, CAINIAO),
        own_doors(&mut crowded, CAINIAO)
    );
    let (a, b) = (probes(&mut alone, 0), probes(&mut crowded, 13));
    for (a, b) in a.iter().zip(&b) {
        assert_eq!(a, b, "what it is told when it probes");
    }
}
