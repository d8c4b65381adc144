//! Requests around the ends of terms, by the thousand: nothing is released outside a term, and inside
//! it nothing is refused but as `closing` in the guard interval.
//!
//! Each world has another clock, right within what it says of itself when the node starts; in some it is
//! set while requests are under way, by seconds or by an hour. Requests and answers take their time, and
//! so does the disk between a decision and the socket. What is outside a term is judged by the world's
//! own time when the answer leaves.
//!
//! The guard interval is one of the node's own clock. One that was set ahead, by less than a jump, has
//! the term end early by as much (decision 48): what it refuses as `closing` before the guard interval of
//! the world's time is counted apart, and held against how far the clock was set. So are refusals as
//! `term-ended` while the world's time is still inside the term, but the clock may be at its end.
#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "what a scenario does not ask for is left alone"
)]

use std::collections::BTreeMap;

use interlock::exchange::http::{parse_answer, parse_request};
use interlock::exchange::wire::{Envelope, Lane, LookupOutcome, LookupRequest};
use interlock::node::Rng as _;
use interlock::node::io::{PeerAnswer, PeerRequest};
use interlock_core::time::{HOUR_MS, SECOND_MS, Timestamp};
use interlock_sim::{ClockError, Exchanged, NodeIx, SeededRng, Weather};

use crate::support::*;

/// Requests of a run; `INTERLOCK_MIDNIGHT` asks for more.
const REQUESTS: u64 = 3_000;
/// Requests in one world.
const OF_A_WORLD: u64 = 250;
/// They come from so long before the end until so long after it.
const AROUND_MS: i64 = 3 * SECOND_MS;
/// In the last second of a term requests may be refused as `closing`: the default of `interlock.toml`.
const GUARD_MS: i64 = SECOND_MS;
const PARCELS: u64 = 20;

/// What became of requests.
#[derive(Debug, Default)]
struct Tally {
    requests: u64,
    /// Released, by whom was asked.
    released: BTreeMap<NodeIx, u64>,
    /// Answers without anything: nothing was there, or another answer has to be receipted first. Nothing
    /// was decided.
    empty: u64,
    /// Refused inside the term, in the guard interval, by whom was asked.
    closing: BTreeMap<NodeIx, u64>,
    /// Refused as `closing` before it, by a clock that was set ahead by as much.
    ahead: u64,
    /// Refused inside the term by a clock that may be at its end.
    doubtful: u64,
    /// Refused by reason, all others.
    refused: BTreeMap<String, u64>,
    /// Released when the term was over: must stay empty.
    outside: Vec<String>,
    /// Refused inside the term and before the guard interval, by the node's clock as it was set, other
    /// than for doubt of that clock: must stay empty.
    early: Vec<String>,
}

/// A world, and whoever asks in it.
struct Sweep {
    net: Network,
    rng: SeededRng,
    hostile: Hostile,
    clock: ClockError,
    /// How far the latest time that the clock holds possible was ahead of the world's so far, at most.
    ahead_ms: i64,
    /// The lookups that were asked.
    asked: Vec<LookupRequest>,
    /// How much of what passed was looked at.
    read: usize,
}

fn draw(rng: &mut SeededRng, below: u64) -> u64 {
    let mut bytes = [0; 8];
    rng.fill(&mut bytes);
    u64::from_le_bytes(bytes) % below
}

fn number(n: u64) -> String {
    format!("SF{n:013}")
}

impl Sweep {
    /// In even worlds an operator asks for contacts, in odd ones a platform polls for events.
    fn new(seed: u64) -> Self {
        let mut rng = SeededRng::new(seed, "sweep");
        let mut net = Network::with_terms(seed, |terms| {
            terms.run_off_ms = None;
            terms.quota_per_parcel = terms.quota_per_parcel.map(|_| 1_000_000);
        });
        for n in 0..PARCELS {
            net.put_parcel(&number(n), "taobao", CAINIAO, "13800000001");
        }
        net.world.settle();
        net.world
            .run_until(MIDNIGHT.plus_ms(-AROUND_MS - 10 * SECOND_MS));
        let (asks, answers) = match seed % 2 {
            0 => (FENGCHAO, CAINIAO),
            _ => (CAINIAO, SF),
        };
        let uncertainty_ms = draw(&mut rng, 400) as i64;
        let skew_ms = draw(&mut rng, 2 * uncertainty_ms as u64 + 1) as i64 - uncertainty_ms;
        let clock = ClockError {
            skew_ms,
            uncertainty_ms,
        };
        net.world.set_clock(answers, clock);
        if answers == SF {
            for n in 0..PARCELS {
                net.track_now(SF, &number(n), "accepted");
            }
        }
        let hostile = Hostile::new(&mut net, asks, answers);
        net.world.weather = Weather {
            delay_ms_max: draw(&mut rng, 300) as u32,
            ..Weather::default()
        };
        net.world.answer_ms_max = draw(&mut rng, 300) as u32;
        net.world.run_until(MIDNIGHT.plus_ms(-AROUND_MS));
        let read = net.world.exchanged.len();
        Self {
            net,
            rng,
            hostile,
            clock,
            ahead_ms: skew_ms.max(0) + uncertainty_ms,
            asked: Vec::new(),
            read,
        }
    }

    fn live_through(&mut self, tally: &mut Tally) {
        let step_at = draw(&mut self.rng, OF_A_WORLD);
        for n in 0..OF_A_WORLD {
            let at = 2 * AROUND_MS * n as i64 / OF_A_WORLD as i64 - AROUND_MS;
            self.net.world.run_until(MIDNIGHT.plus_ms(at));
            if n == step_at {
                self.step_clock();
            }
            match self.hostile.victim {
                SF => self.poll(),
                _ => self.look(),
            }
            tally.requests += 1;
            self.absorb(tally);
        }
        self.net
            .world
            .run_until(MIDNIGHT.plus_ms(AROUND_MS + 10 * SECOND_MS));
        self.absorb(tally);
    }

    /// In one world of three the clock stays as it is.
    fn step_clock(&mut self) {
        let by_ms = match draw(&mut self.rng, 6) {
            0 => HOUR_MS,
            1 => -HOUR_MS,
            2 | 3 => return,
            _ => draw(&mut self.rng, 9_000) as i64 - 4_500,
        };
        let clock = ClockError {
            skew_ms: self.clock.skew_ms + by_ms,
            ..self.clock
        };
        // An hour is a jump, which is not followed.
        if by_ms < HOUR_MS {
            let ahead_ms = clock.skew_ms + clock.uncertainty_ms;
            self.ahead_ms = self.ahead_ms.max(ahead_ms);
        }
        self.net.world.set_clock(self.hostile.victim, clock);
    }

    /// A poll: of what left already, of what is new, or one that waits across the end.
    fn poll(&mut self) {
        let (after, wait_ms) = match draw(&mut self.rng, 8) {
            0 => {
                let n = draw(&mut self.rng, PARCELS);
                self.net.track_now(SF, &number(n), "arrived");
                (PARCELS, 0)
            }
            1 => (PARCELS, draw(&mut self.rng, 4_000) as u32),
            _ => (0, 0),
        };
        let request = PeerRequest::Feed {
            transfer: wire("urn:agreement:old:2:0:tracking-events:p"),
            lane: Lane::Live,
            after,
            limit: 500,
            wait_ms,
        };
        self.net
            .world
            .call(self.hostile.ix, self.hostile.victim, request);
    }

    /// A lookup: a new one, or one of before once more.
    fn look(&mut self) {
        let now = self.net.world.now();
        let repeated = match draw(&mut self.rng, 8) {
            0 => None,
            _ => {
                let count = self.asked.len() as u64;
                (count > 0).then(|| draw(&mut self.rng, count))
            }
        };
        let request = match repeated {
            Some(at) => self.asked[at as usize].clone(),
            None => {
                let n = draw(&mut self.rng, PARCELS);
                let item = self.hostile.item(&number(n), now);
                let request = self.hostile.request(vec![item]);
                let agreement = self.hostile.lookup_agreement();
                self.hostile
                    .write_request(now, &request, &request.items, &agreement);
                self.asked.push(request.clone());
                request
            }
        };
        let envelope: Envelope<LookupRequest> = self.hostile.envelope(now, request);
        let transfer = wire(&format!("{}:p", self.hostile.lookup_agreement()));
        let request = PeerRequest::Lookup { transfer, envelope };
        self.net
            .world
            .call(self.hostile.ix, self.hostile.victim, request);
    }

    /// Judges the answers that have left, and signs for them.
    fn absorb(&mut self, tally: &mut Tally) {
        let fresh: Vec<Exchanged> = self.net.world.exchanged[self.read..].to_vec();
        self.read = self.net.world.exchanged.len();
        for exchanged in fresh {
            if (exchanged.from, exchanged.to) != (self.hostile.ix, self.hostile.victim) {
                continue;
            }
            let (post, target, body) = &exchanged.request;
            let request = parse_request(*post, target, body).unwrap();
            let (status, body) = &exchanged.answer;
            let answer = parse_answer(&request, *status, body).unwrap();
            self.judge(&exchanged, &answer, tally);
            let evidence = match answer {
                PeerAnswer::Lookup(envelope) => envelope.evidence,
                PeerAnswer::Feed(envelope) => envelope.evidence,
                _ => continue,
            };
            let leaves: Vec<&[u8]> = evidence.leaves.iter().map(|l| l.0.as_slice()).collect();
            let now = self.net.world.now();
            // Answers overtake each other; what comes too early comes again with the next.
            let taken =
                self.hostile
                    .mirror
                    .accept(evidence.from, &leaves, &evidence.checkpoint, now);
            if taken.is_ok() && self.hostile.victim == CAINIAO {
                self.hostile.sign_receipt(now);
            }
        }
    }

    fn judge(&self, exchanged: &Exchanged, answer: &PeerAnswer, tally: &mut Tally) {
        let left_at = exchanged.answered_at;
        let reason = match answer {
            PeerAnswer::Feed(envelope) if !envelope.body.events.is_empty() => None,
            PeerAnswer::Lookup(envelope) => match &envelope.body.items[0] {
                LookupOutcome::Released(_) => None,
                LookupOutcome::Denied { reason } => Some(reason.as_str()),
            },
            PeerAnswer::Problem(problem) if problem.status == 403 => Some(problem.kind.as_str()),
            _ => {
                tally.empty += 1;
                return;
            }
        };
        let Some(reason) = reason else {
            *tally.released.entry(self.hostile.victim).or_default() += 1;
            if left_at >= MIDNIGHT {
                tally.outside.push(self.place(left_at, "released"));
            }
            return;
        };
        // Which interval it is in by the world's time, and by the clock.
        let right_ms = self.clock.skew_ms.max(0) + self.clock.uncertainty_ms;
        let guard_from = MIDNIGHT.plus_ms(-GUARD_MS - right_ms);
        let inside = left_at < MIDNIGHT;
        let by_its_clock = left_at.plus_ms(self.ahead_ms);
        match reason {
            "closing" if inside && left_at >= guard_from => {
                *tally.closing.entry(self.hostile.victim).or_default() += 1;
                return;
            }
            "closing" if inside && by_its_clock >= MIDNIGHT.plus_ms(-GUARD_MS) => {
                tally.ahead += 1;
                return;
            }
            "term-ended" if inside && by_its_clock >= MIDNIGHT => {
                tally.doubtful += 1;
                return;
            }
            "clock-uncertain" => {}
            _ if inside => tally.early.push(self.place(left_at, reason)),
            _ => {}
        }
        *tally.refused.entry(reason.into()).or_default() += 1;
    }

    fn place(&self, at: Timestamp, what: &str) -> String {
        let ms = at.since_ms(MIDNIGHT);
        format!("{what} {ms} ms from the end by {:?}", self.clock)
    }
}

#[test]
fn nothing_is_released_outside_a_term() {
    let asked = std::env::var("INTERLOCK_MIDNIGHT").ok();
    let requests = asked.and_then(|n| n.parse().ok()).unwrap_or(REQUESTS);
    let worlds = requests.div_ceil(OF_A_WORLD);
    let threads = std::thread::available_parallelism().map_or(1, usize::from) as u64;
    let tallies: Vec<Tally> = std::thread::scope(|scope| {
        let worker = |first: u64| {
            let mut tally = Tally::default();
            for seed in (first..worlds).step_by(threads as usize) {
                Sweep::new(seed).live_through(&mut tally);
            }
            tally
        };
        let workers: Vec<_> = (0..threads)
            .map(|first| scope.spawn(move || worker(first)))
            .collect();
        workers.into_iter().map(|w| w.join().unwrap()).collect()
    });
    let mut all = Tally::default();
    for tally in tallies {
        all.requests += tally.requests;
        all.empty += tally.empty;
        all.ahead += tally.ahead;
        all.doubtful += tally.doubtful;
        for (of, by) in [
            (&mut all.released, tally.released),
            (&mut all.closing, tally.closing),
        ] {
            for (victim, count) in by {
                *of.entry(victim).or_default() += count;
            }
        }
        for (reason, count) in tally.refused {
            *all.refused.entry(reason).or_default() += count;
        }
        all.outside.extend(tally.outside);
        all.early.extend(tally.early);
    }
    println!(
        "{} requests around the ends of terms: {:?} released by node, {} of them outside; refused inside: {:?} \
         closing in the guard interval, {} closing before it by a clock set ahead, {} by a clock that may be \
         at the end, {} early; else {:?}; {} without anything",
        all.requests,
        all.released,
        all.outside.len(),
        all.closing,
        all.ahead,
        all.doubtful,
        all.early.len(),
        all.refused,
        all.empty
    );
    assert!(all.outside.is_empty(), "{:?}", all.outside);
    assert!(all.early.is_empty(), "{:?}", all.early);
    // The sweep was not in vain: everything that it is about has happened.
    let refused = |reason: &str| all.refused.get(reason).copied().unwrap_or(0);
    for victim in [CAINIAO, SF] {
        let some = |by: &BTreeMap<NodeIx, u64>| by.get(&victim).is_some_and(|count| *count > 0);
        assert!(some(&all.released) && some(&all.closing), "{victim}");
    }
    assert!(
        all.empty * 10 < all.requests * 6,
        "most was decided on: {} of {} without anything",
        all.empty,
        all.requests
    );
    assert!(refused("term-ended") > 0 && refused("clock-uncertain") > 0);
    assert!(all.doubtful > 0, "clocks doubt");
}
