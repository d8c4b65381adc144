//! Messages lost and repeated at every step, nodes killed at every record, partners that are away.

use interlock_core::negotiation::NegotiationState;
use interlock_core::time::{DAY_MS, HOUR_MS, MINUTE_MS};

use super::*;

/// A negotiation with a counter-offer on the way, so that every message of the protocol is sent.
fn whole_way(fates: &[(usize, Fate)]) -> World {
    let mut world = World::new();
    world.publish("o", &stations(), false);
    world.fates = fates.iter().copied().collect();
    let mut proposed = world.propose(&["o"], &[]).0;
    if proposed == 502 {
        proposed = world.propose(&["o"], &[]).0;
    }
    assert_eq!(proposed, 201);
    world.run_until(MAY.plus_ms(5 * MINUTE_MS));
    let shorter = Terms {
        until: JULY.plus_ms(-DAY_MS),
        ..stations()
    };
    assert_eq!(
        world
            .decide(
                P,
                Decision::Counter {
                    policy: shorter.to_policy()
                }
            )
            .0,
        200
    );
    world.run_until(MAY.plus_ms(10 * MINUTE_MS));
    let middle = Terms {
        until: JULY.plus_ms(-HOUR_MS),
        ..stations()
    };
    assert_eq!(
        world
            .decide(
                C,
                Decision::Counter {
                    policy: middle.to_policy()
                }
            )
            .0,
        200
    );
    world.run_until(MAY.plus_ms(15 * MINUTE_MS));
    assert_eq!(
        world
            .decide(
                P,
                Decision::Counter {
                    policy: shorter.to_policy()
                }
            )
            .0,
        200
    );
    world.run_until(MAY.plus_ms(20 * MINUTE_MS));
    assert_eq!(world.decide(C, Decision::Approve).0, 200);
    world.run_until(JUNE.plus_ms(HOUR_MS));
    world
}

#[test]
fn every_message_may_be_lost_or_repeated() {
    let messages = whole_way(&[]).sent.len();
    assert!(messages > 10, "{messages}");
    for fate in [Fate::RequestLost, Fate::AnswerLost, Fate::Repeated] {
        for at in 0..messages {
            let world = whole_way(&[(at, fate)]);
            world.assert_in_force();
            assert_eq!(world.book(P).negotiations.len(), 1, "{fate:?} at {at}");
        }
    }
}

#[test]
fn several_losses_in_a_row_do_no_harm() {
    for at in 1..16 {
        let fates: Vec<_> = (at..at + 4)
            .map(|n| {
                (
                    n,
                    if n % 2 == 0 {
                        Fate::AnswerLost
                    } else {
                        Fate::RequestLost
                    },
                )
            })
            .collect();
        whole_way(&fates).assert_in_force();
    }
}

#[test]
fn a_repeated_message_has_the_same_bytes() {
    let lost = whole_way(&[(1, Fate::AnswerLost)]);
    let (first, again) = (&lost.sent[1], &lost.sent[2]);
    assert_eq!(first, again);
}

/// Kills the node `who` after every message of the whole way, and starts it from its journal.
#[test]
fn a_node_may_be_killed_between_any_two_messages() {
    for who in [P, C] {
        for kill_at in 1..14 {
            let mut world = World::new();
            world.publish("o", &stations(), true);
            world.propose_and_kill(who, kill_at);
            world.run_until(JUNE.plus_ms(HOUR_MS));
            world.assert_in_force();
        }
    }
}

impl World {
    fn propose_and_kill(&mut self, who: usize, kill_at: usize) {
        // Everything after this message is lost until the node is back.
        self.fates = (kill_at..MESSAGES_MAX)
            .map(|n| (n, Fate::AnswerLost))
            .collect();
        let request = |world: &mut Self| world.propose(&["o"], &[]);
        request(self);
        self.fates.clear();
        self.restart(who);
        self.restart(1 - who);
        self.run();
    }
}

#[test]
fn replaying_any_prefix_of_a_journal_gives_the_book_of_that_moment() {
    let world = whole_way(&[(3, Fate::AnswerLost), (7, Fate::Repeated)]);
    for at in [P, C] {
        assert_eq!(world.replayed(at).state().book, *world.book(at));
        let mut fresh = node(at);
        for (time, record) in &world.journals[at] {
            fresh.replay(*time, record, &world.keys[at]).unwrap();
            if let Record::Negotiation(negotiation) = record {
                assert_eq!(
                    fresh.state().book.negotiations[&negotiation.id],
                    **negotiation
                );
            }
        }
    }
}

#[test]
fn a_partner_that_is_away_is_tried_again_with_growing_pauses() {
    let mut world = World::new();
    world.publish("o", &stations(), false);
    world.propose(&["o"], &[]);
    world.down = Some(C);
    let before = world.sent.len();
    assert_eq!(world.decide(P, Decision::Approve).0, 200);
    world.run_until(MAY.plus_ms(HOUR_MS));
    let tries = world.sent.len() - before;
    assert!((50..200).contains(&tries), "{tries} tries in an hour");
    assert!(
        world.sent[before..]
            .iter()
            .all(|sent| sent == &world.sent[before])
    );
    world.down = None;
    world.run_until(JUNE);
    world.assert_in_force();
}

#[test]
fn a_proposal_whose_term_is_over_is_given_up() {
    let mut world = World::new();
    world.publish("o", &stations(), true);
    let brief = Terms {
        from: MAY,
        until: MAY.plus_ms(HOUR_MS),
        ..stations()
    };
    world.fates = [(1, Fate::RequestLost)].into();
    world.down = None;
    world.propose(&["o"], &[("o", &brief)]);
    world.down = Some(P);
    world.run_until(MAY.plus_ms(2 * HOUR_MS));
    assert_eq!(world.states(C).1, vec![NegotiationState::Terminated]);
    let sent = world.sent.len();
    world.run_until(MAY.plus_ms(4 * HOUR_MS));
    assert_eq!(world.sent.len(), sent, "nothing is sent any more");
}
