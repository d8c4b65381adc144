//! Renewal: a successor that takes over without a gap, at most one in force, one quota.

use interlock_core::agreement::{AgreementState, Assurance};
use interlock_core::terms::Notifier;
use interlock_core::time::DAY_MS;

use super::*;
use crate::node::io::{AgreementChange, Renewal};

fn agreed(terms: &Terms) -> World {
    let mut world = World::new();
    world.publish("o", terms, true);
    assert_eq!(world.propose(&["o"], &[]).0, 201);
    world.run_until(JUNE);
    world.assert_in_force();
    world
}

fn renew(world: &mut World, at: usize, agreement: &WireId, renewal: Renewal) -> (u16, Value) {
    let request = LocalRequest::Renew {
        agreement: agreement.clone(),
        renewal,
    };
    world.local(at, request)
}

/// Agreements of a node in a state.
fn all_in(world: &World, at: usize, state: AgreementState) -> Vec<WireId> {
    let clock = ClockInterval::exact(world.now);
    let all = world.book(at).agreements.values();
    let found = all.filter(|a| a.state_at(&clock) == state);
    found.map(|a| a.id.clone()).collect()
}

// tidy: long, one life from beginning to end
#[test]
fn a_renewal_takes_over_at_the_end_whoever_proposes_it() {
    for proposer in [P, C] {
        let mut world = agreed(&events());
        let first = world.agreement(P).id.clone();
        let (status, body) = renew(&mut world, proposer, &first, Renewal::default());
        assert_eq!(status, 201, "{body}");
        let proposal = world.proposal(1 - proposer);
        assert_eq!(proposal["supersedes"], first.as_str());
        assert_eq!(
            proposal["changes"].as_array().unwrap().len(),
            1,
            "the term alone"
        );
        assert_eq!(proposal["changes"][0]["key"], "term");
        assert_eq!(
            renew(&mut world, proposer, &first, Renewal::default()).0,
            409
        );
        assert_eq!(world.decide(1 - proposer, Decision::Approve).0, 200);
        for at in [P, C] {
            let old = &world.book(at).agreements[&first];
            let next = old.superseded_by.clone().expect("a successor");
            let new = &world.book(at).agreements[&next];
            assert_eq!(
                (new.terms.from, new.supersedes.as_ref()),
                (JULY, Some(&first))
            );
            assert_eq!(new.terms.until, JULY.plus_ms(JULY.since_ms(JUNE)));
            // The manifest names the one before it.
            let before = &world.book(at).cooperations[&old.cooperation];
            let manifest = world.book(at).cooperations[&new.cooperation]
                .read_manifest()
                .unwrap();
            let hash = crate::node::feed_items::hex(&before.manifest_hash().unwrap());
            assert_eq!(manifest.supersedes, Some(hash));
        }
        world.run_until(JULY.plus_ms(-1));
        for at in [P, C] {
            assert_eq!(
                all_in(&world, at, AgreementState::InForce),
                std::slice::from_ref(&first)
            );
        }
        world.run_until(JULY);
        for at in [P, C] {
            let in_force = all_in(&world, at, AgreementState::InForce);
            assert_eq!(in_force.len(), 1, "no gap and no overlap");
            assert_ne!(in_force[0], first);
            // Parcels under way are served by the run-off of the old one as before.
            assert_eq!(
                all_in(&world, at, AgreementState::RunOff),
                std::slice::from_ref(&first)
            );
            let transfers = world.book(at).transfers_of(&in_force[0]);
            assert_eq!(
                transfers.map(|t| t.state.as_str()).collect::<Vec<_>>(),
                ["STARTED"]
            );
        }
        world.run_until(JULY.plus_ms(3 * DAY_MS));
        assert_eq!(
            all_in(&world, C, AgreementState::Superseded),
            std::slice::from_ref(&first)
        );
        let (status, body) = renew(&mut world, C, &first, Renewal::default());
        assert_eq!(status, 409);
        assert!(
            body["detail"].as_str().unwrap().contains("successor"),
            "{body}"
        );
    }
}

#[test]
fn a_renewal_within_an_offer_that_says_so_is_accepted_by_itself() {
    let mut world = agreed(&stations());
    let first = world.agreement(P).id.clone();
    let wide = Terms {
        until: JULY.plus_ms(60 * DAY_MS),
        ..stations()
    };
    world.publish("autumn", &wide, true);
    let until = Some(JULY.plus_ms(50 * DAY_MS));
    let renewal = Renewal {
        until,
        policy: None,
    };
    assert_eq!(renew(&mut world, C, &first, renewal).0, 201);
    let next = world.book(C).agreements[&first].superseded_by.clone();
    let next = &world.book(C).agreements[&next.expect("accepted")];
    assert_eq!(Some(next.terms.until), until);
    let lines = world.book(P).histories.values().flatten();
    let offers =
        lines.filter(|line| line.by == crate::node::agreements::Actor::Offer(wire("autumn")));
    assert_eq!(offers.count(), 1);
}

#[test]
fn an_agreement_that_is_over_is_renewed_from_now_and_covers_the_gap() {
    let terms = Terms {
        backlog: Some(interlock_core::terms::Backlog::Hold),
        ..events()
    };
    let mut world = agreed(&terms);
    let first = world.agreement(P).id.clone();
    let later = JULY.plus_ms(5 * DAY_MS);
    world.run_until(later);
    assert_eq!(renew(&mut world, C, &first, Renewal::default()).0, 201);
    world.decide(P, Decision::Approve);
    let in_force = all_in(&world, P, AgreementState::InForce);
    let next = &world.book(P).agreements[&in_force[0]];
    assert_eq!(
        (next.terms.from, next.terms.covers_from),
        (later, Some(JULY))
    );
}

#[test]
fn an_unsigned_agreement_and_a_term_in_the_past_are_not_renewed() {
    let mut world = agreed(&stations());
    let first = world.agreement(P).id.clone();
    let past = Renewal {
        until: Some(JUNE),
        policy: None,
    };
    assert_eq!(renew(&mut world, P, &first, past).0, 422);
    let wrong = Renewal {
        until: None,
        policy: Some(events().to_policy()),
    };
    assert_eq!(renew(&mut world, P, &first, wrong).0, 422);
    assert_eq!(
        renew(&mut world, P, &wire("urn:none"), Renewal::default()).0,
        404
    );
    assert_eq!(world.book(P).negotiations.len(), 1);
}

#[test]
fn an_agreement_may_be_amended_by_another_while_it_runs() {
    let mut world = agreed(&stations());
    let first = world.agreement(P).id.clone();
    let begins = JUNE.plus_ms(DAY_MS);
    let amended = Terms {
        from: begins,
        quota_per_day: None,
        delete_after_ms: Some(DAY_MS),
        ..stations()
    };
    let renewal = Renewal {
        until: None,
        policy: Some(amended.to_policy()),
    };
    assert_eq!(renew(&mut world, P, &first, renewal).0, 201);
    assert_eq!(world.decide(C, Decision::Approve).0, 200);
    world.run_until(begins.plus_ms(-1));
    assert_eq!(
        all_in(&world, C, AgreementState::InForce),
        std::slice::from_ref(&first)
    );
    world.run_until(begins);
    for at in [P, C] {
        let in_force = all_in(&world, at, AgreementState::InForce);
        assert_eq!(in_force.len(), 1);
        assert_eq!(world.book(at).agreements[&in_force[0]].terms, amended);
    }
}

#[test]
fn whatever_order_manifests_come_in_both_sides_know_the_same_successor() {
    let mut world = World::new();
    world.publish("o", &stations(), true);
    world.propose(&["o"], &[]);
    // Two more for the same dataset at once; the manifest of the second is lost at first.
    for turn in 0..2_i64 {
        world.now = world.now.plus_ms(1);
        let first = world.sent.len() + 5;
        if turn == 0 {
            world.fates = [(first, Fate::RequestLost)].into();
        }
        world.propose(&["o"], &[]);
    }
    world.fates.clear();
    world.run_until(JUNE.plus_ms(DAY_MS));
    let in_force: Vec<_> = [P, C]
        .map(|at| all_in(&world, at, AgreementState::InForce))
        .to_vec();
    assert_eq!(in_force[0].len(), 1);
    assert_eq!(in_force[0], in_force[1]);
    let newest = world
        .book(P)
        .agreements
        .values()
        .max_by_key(|a| a.agreed_at);
    assert_eq!(in_force[0][0], newest.unwrap().id);
    for at in [P, C] {
        assert_eq!(world.replayed(at).state().book, *world.book(at));
    }
}

#[test]
fn a_connector_that_signs_nothing_gets_open_data_and_no_parcel_data() {
    for waived in [false, true] {
        let mut world = World::new();
        for at in [P, C] {
            let mut entry = partner(1 - at);
            entry.connector = true;
            entry.parcel_data_without_manifest = waived;
            world.put(at, Record::Partner(Box::new(entry)));
        }
        world.publish("open", &stations(), true);
        world.publish("parcels", &events(), true);
        let (_, catalog) = world.local(C, LocalRequest::GetCatalog(name(P)));
        let offers = catalog["offers"].as_array().unwrap().len();
        assert_eq!(offers, if waived { 2 } else { 1 });
        let (status, body) = world.propose(&["open"], &[]);
        assert_eq!(status, 201, "{body}");
        let parcels = world.propose(&["parcels"], &[]).0;
        assert_eq!(parcels, if waived { 201 } else { 422 });
        world.run_until(JUNE);
        for at in [P, C] {
            assert!(world.book(at).cooperations.is_empty());
            let in_force = all_in(&world, at, AgreementState::InForce);
            assert_eq!(in_force.len(), if waived { 2 } else { 1 });
            let (_, view) = world.local(at, LocalRequest::GetAgreement(in_force[0].clone()));
            assert_eq!(
                (&view["assurance"], &view["signatures"]),
                (&"plain".into(), &serde_json::json!([]))
            );
        }
        let wanted = if waived {
            Assurance::Waived
        } else {
            Assurance::Plain
        };
        let facts = world.book(P).agreements.values().map(|a| a.facts.assurance);
        assert!(facts.into_iter().all(|assurance| assurance == wanted));
    }
}

#[test]
fn a_termination_writes_its_own_line_and_no_history() {
    let mut world = agreed(&events());
    let agreement = world.agreement(P).id.clone();
    let mut sizes = Vec::new();
    for day in (2..20).rev() {
        let before = world.journals[C].len();
        let change = AgreementChange::Terminate {
            at: JUNE.plus_ms(day * DAY_MS),
            reason: "dispute".into(),
        };
        let request = LocalRequest::ChangeAgreement {
            agreement: agreement.clone(),
            change,
        };
        assert_eq!(world.local(P, request).0, 200);
        let written = world.journals[C][before..].iter();
        let notices = written.filter(|(_, r)| matches!(r, Record::Agreement(_) | Record::Noted(_)));
        sizes.push(
            notices
                .map(|(_, record)| postcard::to_allocvec(record).unwrap().len())
                .sum::<usize>(),
        );
    }
    assert_eq!(world.book(C).history(&agreement).count(), 20);
    assert!(sizes[17] <= sizes[0] + 16, "{sizes:?}");
}

/// What a node says of whether an agreement is followed.
fn followed(world: &mut World, at: usize, agreement: &WireId) -> Value {
    let (_, all) = world.local(at, LocalRequest::GetAgreements);
    let all = all["agreements"].as_array().unwrap();
    let found = all.iter().find(|a| a["id"] == agreement.as_str());
    found.unwrap()["followed"].clone()
}

#[test]
fn it_is_followed_by_what_goes_on_with_every_marketplace_and_purpose() {
    let market = |name: &str| interlock_core::ids::Marketplace::parse(name).unwrap();
    let wide = Terms {
        marketplaces: BTreeSet::from([market("taobao"), market("jd")]),
        notifier: Some(Notifier::Owner),
        purposes: BTreeSet::from([Purpose::DeliveryTracking, Purpose::PickupNotification]),
        ..events()
    };
    let codes = Terms {
        marketplaces: wide.marketplaces.clone(),
        until: JULY.plus_ms(90 * DAY_MS),
        ..closed_doors::codes()
    };
    let next = Terms {
        from: JULY,
        until: JULY.plus_ms(30 * DAY_MS),
        ..wide.clone()
    };
    let one_market = Terms {
        marketplaces: BTreeSet::from([market("taobao")]),
        ..next.clone()
    };
    // Nobody is given the purpose to tell recipients.
    let untold = Terms {
        notifier: None,
        purposes: BTreeSet::from([Purpose::DeliveryTracking]),
        ..next.clone()
    };
    for (terms, goes_on) in [(next, true), (one_market, false), (untold, false)] {
        for late in [false, true] {
            let mut world = World::new();
            world.publish("codes", &codes, true);
            world.publish("o", &wide, true);
            assert_eq!(world.propose(&["o", "codes"], &[]).0, 201);
            world.run_until(if late { JULY.plus_ms(DAY_MS) } else { JUNE });
            let all = world.book(C).agreements.values();
            let mut of = all.filter(|a| a.terms.dataset == Dataset::LockerEvents);
            let first = of.next().unwrap().id.clone();
            for at in [P, C] {
                assert_eq!(followed(&mut world, at, &first), false);
            }
            let renewal = Renewal {
                policy: Some(terms.to_policy()),
                until: None,
            };
            let (status, body) = renew(&mut world, C, &first, renewal);
            assert_eq!(status, 201, "{body}");
            assert_eq!(followed(&mut world, C, &first), false, "nothing is signed");
            assert_eq!(world.decide(P, Decision::Approve).0, 200);
            for at in [P, C] {
                assert_eq!(followed(&mut world, at, &first), goes_on, "{late}");
            }
        }
    }
}
