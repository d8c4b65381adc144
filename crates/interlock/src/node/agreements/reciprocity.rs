//! Reciprocity (`il:reciprocate`): stopping in return for a signed stop, with notice.
//!
//! Purpose: from the other party's suspension or early end to the suspension of what we provide in
//! return. Invariants: the trigger stands in the other party's own log, never its silence; between the
//! time at which it has the notice and the effect lie at least 72 hours, during which a regulator is shown what is coming; what carries
//! contacts, codes or notices to recipients is never stopped so, nor is a run-off; if the trigger is
//! lifted before the time, nothing is stopped; a stop in return is itself no trigger, so that answers are
//! not answered. It does not know breaches: nobody stops by a claim that
//! one was proven.

use interlock_core::agreement::{AgreementState, RECIPROCITY_NOTICE_MS_MIN};
use interlock_core::dataset::Dataset;
use interlock_core::ids::{ParticipantId, WireId};
use interlock_core::time::{HOUR_MS, Timestamp};
use interlock_journal::bilateral::SKEW_MS_MAX;
use serde::{Deserialize, Serialize};

use super::super::Node;
use super::super::io::{CallFailure, PeerAnswer, PeerRequest, Problem};
use super::super::live::{Purpose, Timer};
use super::super::problem::{field, problem};
use super::super::record::{AlertKind, Record};
use super::super::turn::Turn;
use super::negotiate::{ANSWER_TIMEOUT_MS, shorten};
use super::{Actor, Agreement};
use crate::exchange::wire::Notice;
use crate::identity::partner::Role;
use crate::node::io::Effect;

/// The notice that is given where no time is named, in milliseconds: 72 hours count from when the other
/// party has it, which may take a while.
const NOTICE_MS_USUAL: i64 = RECIPROCITY_NOTICE_MS_MIN + HOUR_MS;

/// A suspension in return, of which notice was given.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reciprocity {
    /// The agreement that will be suspended.
    pub agreement: WireId,
    /// Its provider, who gives notice.
    pub by: ParticipantId,
    /// The agreement that the other party has suspended or ended.
    pub trigger: WireId,
    /// From when.
    pub at: Timestamp,
    /// Why, for people.
    pub reason: String,
    /// Whether it was taken back, came to nothing, or has been carried out.
    pub over: bool,
    /// When the agreement was suspended by it: the time of that suspension.
    pub carried_out: Option<Timestamp>,
    /// Whether the other party has to be told.
    pub unsent: bool,
}

impl Reciprocity {
    /// From when the agreement will be suspended; `None` if it is not ahead any more.
    pub fn ahead(&self) -> Option<Timestamp> {
        (!self.over).then_some(self.at)
    }
}

impl Node {
    /// `POST /agreements/{id}/reciprocate`: gives notice that an agreement will be suspended in return.
    ///
    /// # Errors
    /// 409 where the terms, the trigger or the time do not allow it, 422 for too short a notice.
    pub(super) fn reciprocate(
        &mut self,
        turn: &mut Turn<'_>,
        agreement: &Agreement,
        (trigger, at): (&WireId, Option<Timestamp>),
        reason: &str,
        by: Actor,
    ) -> Result<(), Problem> {
        let at = at.unwrap_or_else(|| turn.at().plus_ms(NOTICE_MS_USUAL));
        if at.since_ms(turn.at()) < RECIPROCITY_NOTICE_MS_MIN {
            let detail = "a notice lasts at least 72 hours; name a later time";
            return Err(field(
                "notice-too-short",
                422,
                "no notice was given",
                "/at",
                detail,
            ));
        }
        let refused = |detail: String| problem("not-possible", 409, "no notice was given", detail);
        if agreement.provider != self.state.me {
            return Err(refused(
                "only what we provide ourselves can be stopped in return".into(),
            ));
        }
        let other = agreement.consumer.clone();
        self.may_reciprocate(turn, agreement, trigger, at, &other)
            .map_err(refused)?;
        if !self.is_triggered(turn, trigger, &other) || !self.has_said_so(trigger, &other) {
            let detail = format!(
                "`{trigger}` is not suspended or ended early by the other party's own log; its silence \
                 is no reason"
            );
            return Err(refused(detail));
        }
        if !self.a_regulator_is_told(turn) {
            let detail =
                "no regulator would see it coming; agree with one on `cooperation-status` first";
            return Err(refused(detail.into()));
        }
        let from = self.instant(at);
        let what =
            format!("gave notice to suspend it from {from} on in return for {trigger}: {reason}");
        self.note_agreement(turn, agreement, by, what);
        let notice = Reciprocity {
            agreement: agreement.id.clone(),
            by: self.state.me.clone(),
            trigger: trigger.clone(),
            at,
            reason: reason.into(),
            over: false,
            carried_out: None,
            unsent: true,
        };
        self.put_reciprocity(turn, notice);
        Ok(())
    }

    /// What must hold whoever looks at it: the terms, the dataset, the time.
    fn may_reciprocate(
        &self,
        turn: &Turn<'_>,
        agreement: &Agreement,
        trigger: &WireId,
        at: Timestamp,
        other: &ParticipantId,
    ) -> Result<(), String> {
        let terms = &agreement.terms;
        if !terms.reciprocate {
            return Err("its terms do not have `il:reciprocate`".into());
        }
        let to_recipients = match terms.dataset {
            Dataset::RecipientContact | Dataset::PickupCode => true,
            Dataset::PreAdvice
            | Dataset::LockerEvents
            | Dataset::LockerStations
            | Dataset::TrackingEvents
            | Dataset::CooperationStatus
            | Dataset::ExchangeStatistics => terms.notifier.is_some(),
        };
        if to_recipients {
            return Err(
                "messages to recipients depend on it; they are never stopped in return".into(),
            );
        }
        if agreement.state_at(&turn.now) != AgreementState::InForce {
            return Err("only an agreement in force can be stopped; a run-off never is".into());
        }
        if at >= agreement.facts.end(terms) {
            return Err("it ends before the notice would be over".into());
        }
        let known = self.state.book.agreements.get(trigger);
        match known.filter(|t| t.other(&self.state.me) == agreement.other(&self.state.me)) {
            Some(t) if &t.provider == other || &t.consumer == other => Ok(()),
            Some(_) | None => Err(format!("`{trigger}` is no agreement of the two parties")),
        }
    }

    /// Whether `who` has suspended an agreement other than in return, or ended it before its term, and it
    /// still is so.
    fn is_triggered(&self, turn: &Turn<'_>, trigger: &WireId, who: &ParticipantId) -> bool {
        let Some(agreement) = self.state.book.agreements.get(trigger) else {
            return false;
        };
        let early = agreement.facts.end(&agreement.terms) < agreement.terms.until;
        match agreement.state_at(&turn.now) {
            AgreementState::Suspended => {
                let notice = self.state.book.reciprocities.get(trigger);
                let in_return = notice.is_some_and(|it| {
                    &it.by == who
                        && it.carried_out.is_some()
                        && it.carried_out == agreement.facts.suspended_at
                });
                agreement.suspended_by.as_ref() == Some(who) && !in_return
            }
            AgreementState::RunOff | AgreementState::Ended => {
                let is_who = |by: &Actor| match by {
                    Actor::Partner(partner) => partner == who,
                    Actor::Person(_) => who == &self.state.me,
                    Actor::Node | Actor::Offer(_) => false,
                };
                let mut lines = self.state.book.history(trigger);
                early && lines.any(|line| line.what.starts_with(TERMINATED) && is_who(&line.by))
            }
            AgreementState::Finalized
            | AgreementState::Signed
            | AgreementState::InForce
            | AgreementState::Superseded => false,
        }
    }

    /// Whether the partner's own log, which it has signed, says that the agreement stopped.
    fn has_said_so(&self, trigger: &WireId, partner: &ParticipantId) -> bool {
        let channel = self.state.channels.get(partner);
        let said = channel.and_then(|channel| channel.said.get(trigger));
        said.is_some_and(|state| {
            [
                AgreementState::Suspended,
                AgreementState::RunOff,
                AgreementState::Ended,
            ]
            .iter()
            .any(|stopped| stopped.as_str() == state)
        })
    }

    fn a_regulator_is_told(&self, turn: &Turn<'_>) -> bool {
        let mut partners = self.state.partners.values();
        partners.any(|partner| {
            let dataset = Dataset::CooperationStatus;
            let mut agreed = self
                .state
                .book
                .between(&self.state.me, &partner.id, dataset);
            partner.roles.contains(&Role::Regulator)
                && agreed.any(|a| a.state_at(&turn.now) == AgreementState::InForce)
        })
    }

    fn put_reciprocity(&mut self, turn: &mut Turn<'_>, notice: Reciprocity) {
        let id = notice.agreement.clone();
        if !notice.over && notice.by == self.state.me {
            self.live.timer(notice.at, Timer::Reciprocate(id.clone()));
        }
        self.record(turn, Record::Reciprocity(Box::new(notice)));
        self.watch_cooperations(turn, std::slice::from_ref(&id));
        self.send_reciprocity(turn, &id);
    }

    /// The notice is over: the agreement is suspended, if the trigger still stands.
    pub(in super::super) fn reciprocity_due(&mut self, turn: &mut Turn<'_>, id: &WireId) {
        let known = self.state.book.reciprocities.get(id);
        let due = known.filter(|it| !it.over && it.by == self.state.me && it.at <= turn.at());
        let Some(mut notice) = due.cloned() else {
            return;
        };
        let agreement = self.state.book.agreements.get(id).cloned();
        let in_force = agreement.filter(|a| a.state_at(&turn.now) == AgreementState::InForce);
        let Some(agreement) = in_force else {
            // It is suspended or over by other means.
            notice.over = true;
            return self.put_reciprocity(turn, notice);
        };
        let other = agreement.consumer.clone();
        if notice.unsent {
            notice.over = true;
            let what = "did not suspend it: the other party was not reached with the notice";
            self.note_agreement(turn, &agreement, Actor::Node, what);
            return self.put_reciprocity(turn, notice);
        }
        if !self.is_triggered(turn, &notice.trigger, &other) {
            return self.take_notice_back(turn, notice);
        }
        let reason = format!("in return for {}: {}", notice.trigger, notice.reason);
        let me = self.state.me.clone();
        self.suspended(turn, agreement, &me, Actor::Node, &shorten(&reason));
        self.follow_agreement(turn, id, &shorten(&reason));
        self.settle_now(turn);
    }

    /// An agreement was suspended by `party`: in return, if that party's notice is over.
    pub(super) fn carried_out(
        &mut self,
        turn: &mut Turn<'_>,
        agreement: &WireId,
        party: &ParticipantId,
    ) {
        let known = self.state.book.reciprocities.get(agreement);
        let latest = turn.at().plus_ms(SKEW_MS_MAX);
        let due = known.filter(|it| !it.over && &it.by == party && it.at <= latest);
        if let Some(mut notice) = due.cloned() {
            (notice.over, notice.unsent) = (true, false);
            notice.carried_out = Some(turn.at());
            self.put_reciprocity(turn, notice);
        }
    }

    /// A trigger was lifted: notices that it had led to are taken back.
    pub(super) fn trigger_lifted(&mut self, turn: &mut Turn<'_>, trigger: &WireId) {
        let all = self.state.book.reciprocities.values();
        let mine = all.filter(|it| !it.over && it.by == self.state.me && &it.trigger == trigger);
        let mine: Vec<Reciprocity> = mine.cloned().collect();
        for notice in mine {
            self.take_notice_back(turn, notice);
        }
    }

    fn take_notice_back(&mut self, turn: &mut Turn<'_>, mut notice: Reciprocity) {
        if let Some(agreement) = self.state.book.agreements.get(&notice.agreement).cloned() {
            let what = format!("took the notice back: {} goes on", notice.trigger);
            self.note_agreement(turn, &agreement, Actor::Node, what);
        }
        notice.over = true;
        notice.unsent = true;
        self.put_reciprocity(turn, notice);
    }

    /// Tells the other party of a notice, or that it was taken back.
    pub(in super::super) fn send_reciprocity(&mut self, turn: &mut Turn<'_>, id: &WireId) {
        let known = self.state.book.reciprocities.get(id);
        let Some(notice) = known
            .filter(|it| it.unsent && it.by == self.state.me)
            .cloned()
        else {
            return;
        };
        let agreement = self.state.book.agreements.get(id);
        let Some(to) = agreement.map(|a| a.consumer.clone()) else {
            return;
        };
        if !self.is_compared(&to) {
            return;
        }
        let at = notice.ahead();
        let body = Notice::Reciprocity {
            agreement: notice.agreement,
            trigger: notice.trigger,
            at,
            reason: notice.reason,
        };
        let envelope = self.envelope(turn, &to, body);
        let call = self.live.call(Purpose::Reciprocity(id.clone(), at));
        turn.push(Effect::Call {
            call,
            to,
            request: PeerRequest::Notice(envelope),
            timeout_ms: ANSWER_TIMEOUT_MS,
        });
    }

    /// The answer to a notice. One that the other party refuses comes to nothing.
    pub(in super::super) fn reciprocity_told(
        &mut self,
        turn: &mut Turn<'_>,
        (id, told): (&WireId, Option<Timestamp>),
        outcome: Result<PeerAnswer, CallFailure>,
    ) {
        let known = self.state.book.reciprocities.get(id);
        // What came after it is told by a call of its own.
        let Some(mut notice) = known.filter(|it| it.ahead() == told).cloned() else {
            return;
        };
        let timer = Timer::TellReciprocity(id.clone());
        let known = self.state.book.agreements.get(id);
        let to = known.map(|agreement| agreement.consumer.clone());
        let refused = match self.taken_notice(turn, to.as_ref(), outcome) {
            Ok(refused) => refused,
            Err(why) => return self.try_later(turn, timer, why),
        };
        self.forget_tries(&timer);
        notice.unsent = false;
        if let Some(why) = refused {
            notice.over = true;
            if let Some(agreement) = self.state.book.agreements.get(id).cloned() {
                let by = Actor::Partner(agreement.consumer.clone());
                let what = format!("refused the notice: {}", shorten(&why));
                self.note_agreement(turn, &agreement, by, what);
            }
        }
        self.put_reciprocity(turn, notice);
    }

    /// A provider gives us notice, or takes one back.
    pub(super) fn reciprocity_came(
        &mut self,
        turn: &mut Turn<'_>,
        from: &ParticipantId,
        agreement: &Agreement,
        (trigger, at, reason): (&WireId, Option<Timestamp>, &str),
    ) -> Result<(), Problem> {
        let refused = |detail: String| {
            field(
                "notice-refused",
                422,
                "the notice was not taken",
                "/body",
                detail,
            )
        };
        let known = self.state.book.reciprocities.get(&agreement.id);
        let Some(at) = at else {
            let open = known.filter(|it| &it.by == from && !it.over).cloned();
            if let Some(mut notice) = open {
                notice.over = true;
                let what = "took the notice back".to_owned();
                self.note_agreement(turn, agreement, Actor::Partner(from.clone()), what);
                self.put_reciprocity(turn, notice);
            }
            return Ok(());
        };
        if known.is_some_and(|it| it.ahead() == Some(at) && &it.trigger == trigger) {
            return Ok(());
        }
        if at.since_ms(turn.at()) < RECIPROCITY_NOTICE_MS_MIN - SKEW_MS_MAX {
            return Err(refused("a notice lasts at least 72 hours".into()));
        }
        let me = self.state.me.clone();
        self.may_reciprocate(turn, agreement, trigger, at, &me)
            .map_err(refused)?;
        if !self.is_triggered(turn, trigger, &me) {
            let detail = format!("we have neither suspended `{trigger}` nor ended it early");
            return Err(refused(detail));
        }
        let reason = shorten(reason);
        let when = self.instant(at);
        let what =
            format!("gave notice to suspend it from {when} on in return for {trigger}: {reason}");
        let detail = format!(
            "it will suspend {} ({}) from {when} on, in return for {trigger}, which we stopped: resume \
             that before, or agree on something else",
            agreement.id, agreement.terms.dataset
        );
        let kind = AlertKind::SuspensionAnnounced;
        self.alert(turn, kind, None, Some(from), detail);
        self.note_agreement(turn, agreement, Actor::Partner(from.clone()), what);
        let notice = Reciprocity {
            agreement: agreement.id.clone(),
            by: from.clone(),
            trigger: trigger.clone(),
            at,
            reason,
            over: false,
            carried_out: None,
            unsent: false,
        };
        self.put_reciprocity(turn, notice);
        Ok(())
    }

    /// After a restart: what is due, and what may not have been heard.
    pub(in super::super) fn resume_reciprocity(&mut self, turn: &mut Turn<'_>) {
        let all = self.state.book.reciprocities.values();
        let open: Vec<(WireId, Timestamp, bool)> = all
            .filter(|it| it.by == self.state.me)
            .map(|it| (it.agreement.clone(), it.at, it.over))
            .collect();
        for (id, at, over) in open {
            if !over {
                self.live.timer(at, Timer::Reciprocate(id.clone()));
            }
            self.send_reciprocity(turn, &id);
        }
    }
}

/// How the line of a history begins that says who ended an agreement early.
pub(super) const TERMINATED: &str = "terminated it with effect from";
