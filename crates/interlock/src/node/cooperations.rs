//! How cooperations stand, for regulators.
//!
//! Purpose: the feed `cooperation-status`: at a party what it shows, at a regulator what it was shown.
//! Invariants: nothing of it depends on any parcel, and the age of the feeds is told in coarse steps, of
//! which a new one is a record; where nobody agreed to be told nothing is recorded. It does not know who
//! mediates.

use std::collections::BTreeSet;

use interlock_core::agreement::AgreementState;
use interlock_core::ids::{ParticipantId, WireId};
use interlock_core::time::{DAY_MS, HOUR_MS, MINUTE_MS, Timestamp};
use serde_json::{Value, json};

use super::Node;
use super::agreements::{Agreement, Cooperation, Reciprocity};
use super::consume::parse_hex32;
use super::feed_items::hex;
use super::live::Timer;
use super::record::{CooperationStatus, ReceivedItem, Record};
use super::turn::Turn;
use crate::exchange::wire::CooperationView;

/// How often it is looked at, in milliseconds.
const LOOK_EVERY_MS: i64 = MINUTE_MS;
/// Names of the coarse steps of age, each with what it is younger than, in milliseconds.
const AGES: [(&str, i64); 3] = [
    ("under-5-minutes", 5 * MINUTE_MS),
    ("under-1-hour", HOUR_MS),
    ("under-1-day", DAY_MS),
];
/// The step above.
const OLD: &str = "over-1-day";
/// How long after its end a cooperation is still reported.
const AFTER_END_MS: i64 = 30 * DAY_MS;
/// Longest word of a partner's that is kept, in bytes.
const WORD_LENGTH_MAX: usize = 32;
/// Most cooperations of one partner that are kept.
const SEEN_PER_PARTNER_MAX: usize = 10_000;

impl Node {
    /// Reports the cooperations of agreements that changed, if anybody agreed to be told of them; from the
    /// first time on all are looked at again and again.
    pub(super) fn watch_cooperations(&mut self, turn: &mut Turn<'_>, changed: &[WireId]) {
        if !self.live.reporting {
            return self.look_at_cooperations(turn);
        }
        let agreements = changed.iter();
        let agreements = agreements.filter_map(|id| self.state.book.agreements.get(id));
        let of_them = agreements.map(|agreement| agreement.cooperation.clone());
        let of_them: BTreeSet<WireId> = of_them.collect();
        self.report_cooperations(turn, &of_them);
    }

    /// After a start, and when the time to look again has come.
    pub(super) fn look_at_cooperations(&mut self, turn: &mut Turn<'_>) {
        self.live.reporting = false;
        if self.state.told_of_cooperations().is_empty() {
            return;
        }
        let all = self.state.book.cooperations.keys().cloned().collect();
        self.report_cooperations(turn, &all);
        self.live.reporting = true;
        let next = turn.at().plus_ms(LOOK_EVERY_MS);
        self.live.timer(next, Timer::Cooperations);
    }

    fn report_cooperations(&mut self, turn: &mut Turn<'_>, which: &BTreeSet<WireId>) {
        let book = &self.state.book.cooperations;
        let changed: Vec<(WireId, CooperationStatus)> = which
            .iter()
            .filter_map(|id| {
                let status = self.status_now(turn, book.get(id)?)?;
                let known = self.state.cooperations_shown.get(id);
                (known != Some(&status)).then(|| (id.clone(), status))
            })
            .collect();
        if changed.is_empty() {
            return;
        }
        for (cooperation, status) in changed {
            let status = Box::new(status);
            self.record(
                turn,
                Record::CooperationShown {
                    cooperation,
                    status,
                },
            );
        }
        for consumer in self.state.told_of_cooperations() {
            let dataset = interlock_core::dataset::Dataset::CooperationStatus;
            self.live.ready.insert((consumer, dataset));
        }
    }

    /// How a cooperation that both have signed stands; `None` for what is no news any more, and for those
    /// with a regulator, which are about this very feed.
    fn status_now(&self, turn: &Turn<'_>, cooperation: &Cooperation) -> Option<CooperationStatus> {
        let signed = cooperation.read_manifest();
        let signed = signed.filter(|_| cooperation.is_complete())?;
        let of_it = signed.policies.keys();
        let of_it: Vec<&Agreement> = of_it
            .filter_map(|id| self.state.book.agreements.get(id))
            .collect();
        let end = of_it.iter().map(|a| a.facts.end(&a.terms)).max()?;
        let parcels = of_it.iter().any(|a| a.terms.dataset.is_parcel_data());
        if !parcels || turn.at().since_ms(end) > AFTER_END_MS {
            return None;
        }
        let mut parties = vec![self.state.me.clone(), cooperation.peer.clone()];
        parties.sort();
        let states: Vec<AgreementState> = of_it.iter().map(|a| a.state_at(&turn.now)).collect();
        let notices = of_it
            .iter()
            .filter_map(|a| self.state.book.reciprocities.get(&a.id));
        let ahead = notices.filter_map(Reciprocity::ahead);
        Some(CooperationStatus {
            manifest: cooperation.manifest_hash()?,
            parties,
            end,
            state: overall(&states).into(),
            suspends_at: ahead.filter(|at| *at > turn.at()).min(),
            feed_age: self.age_of(turn, &cooperation.peer).into(),
        })
    }

    /// How long ago we last heard of a partner, in a coarse step.
    fn age_of(&self, turn: &Turn<'_>, partner: &ParticipantId) -> &'static str {
        let heard = self
            .live
            .heard
            .get(partner)
            .or(self.live.started_at.as_ref());
        let age = heard.map_or(i64::MAX, |at| turn.at().since_ms(*at));
        let step = AGES.iter().find(|(_, below)| age < *below);
        step.map_or(OLD, |(name, _)| *name)
    }

    /// What a partner shows of a cooperation of its own; `None` if it is unusable, of others, or too much.
    pub(super) fn received_status(
        &self,
        from: &ParticipantId,
        view: &CooperationView,
    ) -> Option<ReceivedItem> {
        let short = |text: &Option<String>| match text {
            Some(text) => (text.len() <= WORD_LENGTH_MAX).then(|| text.clone()),
            None => Some(String::new()),
        };
        let parties = &view.parties;
        if !parties.is_empty() && (parties.len() != 2 || !parties.contains(from)) {
            return None;
        }
        let mut times = view.end.iter().chain(&view.suspends_at);
        if !times.all(|at| at.is_date()) {
            return None;
        }
        let manifest = parse_hex32(view.manifest.as_ref()?)?;
        let of = |hash| (from.clone(), hash);
        let seen = &self.state.cooperations_seen;
        let kept = seen.range(of([0; 32])..=of([u8::MAX; 32])).count();
        if kept >= SEEN_PER_PARTNER_MAX && !seen.contains_key(&of(manifest)) {
            return None;
        }
        Some(ReceivedItem::Cooperation(CooperationStatus {
            manifest,
            parties: parties.clone(),
            end: view.end.unwrap_or_default(),
            state: short(&view.state)?,
            suspends_at: view.suspends_at,
            feed_age: short(&view.feed_age)?,
        }))
    }

    /// `GET /cooperations`: `{cooperations: [cooperation]}`, ours and those that partners have shown us:
    /// `manifest` (its hash), `parties`, `end`, `state`, `suspendsAt`, `feedAge`, `reportedBy` and
    /// `reportedAt` (nobody and never for ours).
    pub(super) fn cooperations_view(&self, turn: &Turn<'_>) -> Value {
        let own = self.state.book.cooperations.values();
        let own = own.filter_map(|c| Some(self.status_of_cooperation(&self.status_now(turn, c)?)));
        let seen = self.state.cooperations_seen.iter();
        let seen = seen.map(|((from, _), (at, status))| {
            let mut view = self.status_of_cooperation(status);
            if let Some(view) = view.as_object_mut() {
                view.insert("reportedBy".into(), from.as_str().into());
                view.insert("reportedAt".into(), self.at_here(*at).into());
            }
            view
        });
        json!({ "cooperations": own.chain(seen).collect::<Vec<_>>() })
    }

    /// One of them.
    pub(super) fn status_of_cooperation(&self, status: &CooperationStatus) -> Value {
        json!({
            "manifest": hex(&status.manifest),
            "parties": status.parties.iter().map(ParticipantId::as_str).collect::<Vec<_>>(),
            // Who may not be told of the end is shown none.
            "end": (status.end != Timestamp::default()).then(|| self.at_here(status.end)),
            "state": status.state,
            "suspendsAt": status.suspends_at.map(|at| self.at_here(at)),
            "feedAge": status.feed_age,
            "reportedBy": Value::Null,
            "reportedAt": Value::Null,
        })
    }

    fn at_here(&self, at: Timestamp) -> String {
        at.to_rfc3339(self.config.zone)
    }
}

/// One word for the states of all agreements of a cooperation.
fn overall(states: &[AgreementState]) -> &'static str {
    let any = |wanted: AgreementState| states.contains(&wanted);
    match (any(AgreementState::InForce), any(AgreementState::Suspended)) {
        (true, true) => "partly-suspended",
        (true, false) => "in-force",
        (false, true) => "suspended",
        (false, false) if any(AgreementState::Signed) => "signed",
        (false, false) if any(AgreementState::RunOff) => "run-off",
        (false, false) => "ended",
    }
}
