//! The clock in doubt: because it has jumped, or because partners sign other times.
//!
//! Purpose: what depends on a term is released only by a clock that nothing speaks against. Invariants:
//! in doubt, every decision is made with an interval too wide to release anything, and everything else
//! goes on; a partner that signs wrong times stops what goes to itself and nothing else, unless most
//! partners say the same; doubt ends by itself. It reads no clock: the driver says when the operating
//! system's has jumped, and evidence brings the times of others.

use std::collections::BTreeMap;

use interlock_core::decide::CLOCK_WIDTH_MS_MAX;
use interlock_core::ids::ParticipantId;
use interlock_core::time::{ClockInterval, HOUR_MS, MINUTE_MS, SECOND_MS, Timestamp};
use serde_json::{Value, json};

use super::Node;
use super::io::{CallFailure, Effect, PeerAnswer, PeerRequest};
use super::live::{Purpose, Timer};
use super::record::AlertKind;
use super::turn::Turn;
use crate::exchange::wire::LogSide;

/// How often partners are asked for the time while it is in doubt, in milliseconds.
const ASK_AGAIN_MS: i64 = 10 * SECOND_MS;
/// How long a partner may take to answer, in milliseconds.
const ANSWER_TIMEOUT_MS: u32 = 5_000;
/// A time seen so recently is kept against one that is further behind: a message that was under way
/// for long looks like a clock that is slow, and never like one that is fast. In milliseconds.
const KEPT_MS: i64 = MINUTE_MS;
/// Times seen longer ago say nothing of our own clock any more, in milliseconds.
const FRESH_MS: i64 = HOUR_MS;
/// Fewer partners than this do not cast doubt on everything.
const WITNESSES_MIN: usize = 2;

/// What the time is compared with.
#[derive(Debug, Default)]
pub struct Clocks {
    /// By how much the operating system's clock has jumped without being followed.
    jumped_ms: Option<i64>,
    /// Since when everything is in doubt.
    doubted_at: Option<Timestamp>,
    /// Partners toward which there was doubt at the last look.
    doubted: Vec<ParticipantId>,
    /// The last time that each partner signed.
    sights: BTreeMap<ParticipantId, Sight>,
    /// When partners are asked for the time next.
    ask_at: Option<Timestamp>,
    /// Whether something was seen that may cast doubt.
    moved: bool,
}

/// A time that a partner signed, as it looked from here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Sight {
    /// How far it was ahead of our interval; negative behind it; 0 within it. In milliseconds.
    ahead_ms: i64,
    /// When it was seen.
    at: Timestamp,
}

impl Clocks {
    fn differs(&self, partner: &ParticipantId, limit_ms: i64) -> bool {
        let sight = self.sights.get(partner);
        sight.is_some_and(|sight| sight.ahead_ms.saturating_abs() > limit_ms)
    }

    /// Whether most of the partners heard lately say that it is we who are wrong.
    fn outvoted(&self, limit_ms: i64, at: Timestamp) -> bool {
        let fresh = || {
            let sights = self.sights.values();
            sights.filter(|sight| at.since_ms(sight.at) <= FRESH_MS)
        };
        let against = fresh()
            .filter(|s| s.ahead_ms.saturating_abs() > limit_ms)
            .count();
        against >= WITNESSES_MIN && 2 * against > fresh().count()
    }
}

impl Node {
    /// The operating system's clock has jumped by so many milliseconds and is not followed; `None`: it
    /// has not, or has come back.
    pub fn clock_jumped(&mut self, by_ms: Option<i64>) {
        let clocks = &mut self.live.clocks;
        if clocks.jumped_ms.is_some() && by_ms.is_none() {
            // It came back, or is followed: what was seen meanwhile is compared anew.
            clocks.sights.clear();
        }
        clocks.moved |= clocks.jumped_ms != by_ms;
        clocks.jumped_ms = by_ms;
    }

    /// Whether the jump was right: most partners heard since then sign times that fit it.
    pub fn confirms_jump(&self) -> bool {
        let clocks = &self.live.clocks;
        let (Some(by_ms), Some(since)) = (clocks.jumped_ms, clocks.doubted_at) else {
            return false;
        };
        let limit_ms = self.config.clock_limit_ms;
        let heard = clocks.sights.values().filter(|sight| sight.at > since);
        let (mut all, mut fit) = (0, 0);
        for sight in heard {
            all += 1;
            fit += usize::from(sight.ahead_ms.saturating_sub(by_ms).saturating_abs() <= limit_ms);
        }
        2 * fit > all
    }

    /// A partner signed `time` just now.
    pub(super) fn saw_time(&mut self, turn: &Turn<'_>, partner: &ParticipantId, time: Timestamp) {
        let ahead_ms = if time > turn.now.latest {
            time.since_ms(turn.now.latest)
        } else if time < turn.now.earliest {
            time.since_ms(turn.now.earliest)
        } else {
            0
        };
        let at = turn.at();
        let clocks = &mut self.live.clocks;
        let kept = clocks
            .sights
            .get(partner)
            .is_some_and(|before| before.ahead_ms > ahead_ms && at.since_ms(before.at) < KEPT_MS);
        if !kept {
            clocks.moved |= ahead_ms.saturating_abs() > self.config.clock_limit_ms;
            clocks
                .sights
                .insert(partner.clone(), Sight { ahead_ms, at });
        }
    }

    /// Whether our clock has jumped, or differs from most partners'.
    pub(super) const fn clock_in_doubt(&self) -> bool {
        self.live.clocks.doubted_at.is_some()
    }

    /// The clock by which releases to a partner are decided: too wide for any while it is in doubt.
    pub(super) fn deciding(&self, turn: &Turn<'_>, to: &ParticipantId) -> ClockInterval {
        let clocks = &self.live.clocks;
        if clocks.doubted_at.is_none() && !clocks.differs(to, self.config.clock_limit_ms) {
            return turn.now;
        }
        ClockInterval {
            earliest: turn.now.latest.plus_ms(-CLOCK_WIDTH_MS_MAX - 1),
            latest: turn.now.latest,
        }
    }

    /// Looks whether there is doubt, says so when it begins, and goes on when it ends.
    pub(super) fn watch_clock(&mut self, turn: &mut Turn<'_>) {
        let (limit_ms, at) = (self.config.clock_limit_ms, turn.at());
        let moved = std::mem::take(&mut self.live.clocks.moved);
        let clocks = &mut self.live.clocks;
        if !moved && clocks.doubted_at.is_none() && clocks.doubted.is_empty() {
            return;
        }
        let partners = &self.state.partners;
        clocks
            .sights
            .retain(|partner, _| partners.contains_key(partner));
        let clocks = &self.live.clocks;
        let of_all = match clocks.jumped_ms {
            Some(by_ms) => Some(format!(
                "the clock has jumped by {by_ms} ms; nothing that depends on a term is released until it comes \
                 back, or partners confirm it: check the time synchronisation of this machine, and restart the \
                 node if the new time is right and no partner can be reached"
            )),
            None if clocks.outvoted(limit_ms, at) => Some(format!(
                "most partners sign times that differ from this clock by more than {limit_ms} ms; nothing that \
                 depends on a term is released: check the time synchronisation of this machine"
            )),
            None => None,
        };
        let partners = clocks.sights.keys().filter(|p| clocks.differs(p, limit_ms));
        let partners: Vec<ParticipantId> = partners.cloned().collect();
        let goes_on = of_all.is_some() || !partners.is_empty();
        let begins = goes_on && clocks.ask_at.is_none();
        let fresh: Vec<ParticipantId> = partners
            .iter()
            .filter(|p| !clocks.doubted.contains(p))
            .cloned()
            .collect();
        let ended = (clocks.doubted_at.is_some() && of_all.is_none())
            || clocks.doubted.iter().any(|p| !partners.contains(p));
        match &of_all {
            Some(detail) if clocks.doubted_at.is_none() => {
                tracing::warn!(detail, "the clock is in doubt");
                self.alert(turn, AlertKind::ClockDoubted, None, None, detail.clone());
                self.live.clocks.doubted_at = Some(at);
            }
            Some(_) => {}
            None => self.live.clocks.doubted_at = None,
        }
        for partner in &fresh {
            let sight = self.live.clocks.sights.get(partner);
            let ahead_ms = sight.map_or(0, |sight| sight.ahead_ms);
            let detail = format!(
                "it signs times that are {ahead_ms} ms ahead of this clock; nothing that depends on a term is \
                 released to it until they agree within {limit_ms} ms"
            );
            self.alert(turn, AlertKind::ClockDoubted, None, Some(partner), detail);
        }
        self.live.clocks.doubted = partners;
        if begins {
            self.ask_the_time_later(turn);
        }
        if ended {
            self.take_up_polls();
        }
    }

    /// What was denied in doubt is decided again.
    fn take_up_polls(&mut self) {
        self.live
            .denied
            .retain(|(_, reason)| reason != "clock-uncertain");
        let parked = self.live.parked.iter();
        let waits: Vec<_> = parked
            .map(|p| (p.from.clone(), p.transfer.clone()))
            .collect();
        for (from, transfer) in waits {
            if let Some(dataset) = self.dataset_of(&transfer) {
                self.live.ready.insert((from, dataset));
            }
        }
    }

    fn ask_the_time_later(&mut self, turn: &Turn<'_>) {
        let ask_at = turn.at().plus_ms(ASK_AGAIN_MS);
        self.live.clocks.ask_at = Some(ask_at);
        self.live.timer(ask_at, Timer::Clock);
    }

    /// Asks those partners for a signed time whose word would end the doubt.
    pub(super) fn ask_the_time(&mut self, turn: &mut Turn<'_>) {
        let clocks = &mut self.live.clocks;
        if clocks.ask_at.is_none_or(|ask_at| turn.at() < ask_at) {
            return;
        }
        clocks.ask_at = None;
        let partners: Vec<ParticipantId> = match clocks.doubted_at {
            Some(_) => self.state.channels.keys().cloned().collect(),
            None => clocks.doubted.clone(),
        };
        // A connector keeps no log, and who is no partner any more says nothing.
        let says =
            |p: &ParticipantId| self.state.partners.contains_key(p) && !self.state.is_connector(p);
        let partners: Vec<ParticipantId> = partners.into_iter().filter(says).collect();
        if partners.is_empty() {
            return;
        }
        for partner in partners {
            let (_, held) = self.mirror_head(&partner);
            let request = PeerRequest::Entries {
                log: LogSide::Written,
                epoch: None,
                from: held,
            };
            let call = self.live.call(Purpose::Clock(partner.clone()));
            turn.push(Effect::Call {
                call,
                to: partner,
                request,
                timeout_ms: ANSWER_TIMEOUT_MS,
            });
        }
        self.ask_the_time_later(turn);
    }

    /// A partner's answer, which is evidence like any other: its time is seen where that is taken in.
    pub(super) fn time_answered(
        &mut self,
        turn: &mut Turn<'_>,
        partner: &ParticipantId,
        outcome: Result<PeerAnswer, CallFailure>,
    ) {
        if let Ok(PeerAnswer::Evidence(evidence)) = outcome
            && let Err(problem) = self.take_evidence(turn, partner, &evidence)
        {
            tracing::debug!(partner = %partner, kind = %problem.kind, "evidence of a time was refused");
        }
        self.watch_clock(turn);
    }

    /// The clock in `GET /status`.
    pub(super) fn clock_view(&self, turn: &Turn<'_>) -> Value {
        let clocks = &self.live.clocks;
        let zone = self.config.zone;
        let partners: Vec<Value> = clocks
            .sights
            .iter()
            .map(|(partner, sight)| {
                json!({
                    "partner": partner.as_str(),
                    "aheadMs": sight.ahead_ms,
                    "seenAt": sight.at.to_rfc3339(zone),
                    "inDoubt": clocks.differs(partner, self.config.clock_limit_ms),
                })
            })
            .collect();
        json!({
            "inDoubt": clocks.doubted_at.is_some(),
            "doubtedSince": clocks.doubted_at.map(|at| at.to_rfc3339(zone)),
            "jumpedMs": clocks.jumped_ms,
            "widthMs": turn.now.latest.since_ms(turn.now.earliest),
            "partners": partners,
        })
    }
}
