//! What the node under test decides: for each id of the kit's tests, which step in which state.
//!
//! INVARIANT: a step is made once, some time after the state was reached, because the kit listens for
//! it only a moment later. What is not written here is not done. It does not know what the kit checks.

use std::collections::BTreeMap;

use interlock::node::agreements::Agreement;
use interlock::node::agreements::approver::{
    Approver, Decided, NegotiationCase, NegotiationMove, TransferCase, TransferMove,
};
use interlock_core::ids::WireId;
use interlock_core::negotiation::NegotiationState as State;
use interlock_core::terms::Terms;
use interlock_core::transfer::TransferState;
use serde_json::Value;

use super::seed;

/// How long after a state was reached its step is made, in milliseconds: the kit looks for a state
/// every 100 ms before it listens for the next message.
const PACE_MS: i64 = 500;

/// A step of a negotiation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Act {
    /// Offer the terms, or request them again.
    Propose,
    /// Accept the offer.
    Accept,
    /// Agree.
    Agree,
    /// Verify.
    Verify,
    /// Finalize.
    Finalize,
    /// Terminate.
    End,
}

/// A step of a transfer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TransferAct {
    /// Start.
    Start,
    /// Suspend.
    Suspend,
    /// Complete.
    Complete,
    /// Terminate.
    End,
}

/// What is done about the negotiations of one dataset, in order.
type Negotiating = (&'static str, &'static [(State, Act)]);
/// What is done about the transfers of one agreement, in order.
type Transferring = (&'static str, &'static [(TransferState, TransferAct)]);

/// Datasets that the node offers: what it does as provider.
pub(crate) const OFFERED: [Negotiating; 15] = [
    ("ACN0101", &[(State::Requested, Act::Propose)]),
    (
        "ACN0102",
        &[
            (State::Requested, Act::Propose),
            (State::Requested, Act::End),
        ],
    ),
    (
        "ACN0103",
        &[
            (State::Requested, Act::Propose),
            (State::Accepted, Act::Agree),
            (State::Verified, Act::Finalize),
        ],
    ),
    (
        "ACN0104",
        &[
            (State::Requested, Act::Agree),
            (State::Verified, Act::Finalize),
        ],
    ),
    ("ACN0201", &[(State::Requested, Act::End)]),
    ("ACN0202", &[]),
    ("ACN0203", &[(State::Requested, Act::Agree)]),
    ("ACN0204", &[(State::Requested, Act::Propose)]),
    (
        "ACN0205",
        &[(State::Requested, Act::Propose), (State::Offered, Act::End)],
    ),
    (
        "ACN0206",
        &[
            (State::Requested, Act::Propose),
            (State::Accepted, Act::End),
        ],
    ),
    (
        "ACN0207",
        &[(State::Requested, Act::Agree), (State::Verified, Act::End)],
    ),
    (
        "ACN0301",
        &[
            (State::Requested, Act::Agree),
            (State::Verified, Act::Finalize),
        ],
    ),
    ("ACN0302", &[(State::Requested, Act::Propose)]),
    ("ACN0303", &[(State::Requested, Act::Propose)]),
    ("ACN0304", &[(State::Requested, Act::Propose)]),
];

/// Datasets that the node asks for when the kit says so: what it does as consumer. Of others it only
/// asks.
const ASKED: [Negotiating; 11] = [
    (
        "ACNC0101",
        &[(State::Offered, Act::Accept), (State::Agreed, Act::Verify)],
    ),
    ("ACNC0102", &[(State::Offered, Act::Propose)]),
    ("ACNC0103", &[(State::Offered, Act::End)]),
    ("ACNC0104", &[(State::Agreed, Act::Verify)]),
    ("ACNC0202", &[(State::Requested, Act::End)]),
    ("ACNC0203", &[(State::Agreed, Act::End)]),
    ("ACNC0205", &[(State::Offered, Act::Accept)]),
    ("ACNC0206", &[(State::Agreed, Act::Verify)]),
    ("ACNC0304", &[(State::Offered, Act::Accept)]),
    ("ACNC0305", &[(State::Offered, Act::Accept)]),
    ("ACNC0306", &[(State::Offered, Act::Accept)]),
];

const START: &[(TransferState, TransferAct)] = &[(TransferState::Requested, TransferAct::Start)];

/// Agreements under which the node provides.
pub(crate) const PROVIDED: [Transferring; 16] = [
    (
        "ATP0101",
        &[
            (TransferState::Requested, TransferAct::Start),
            (TransferState::Started, TransferAct::End),
        ],
    ),
    (
        "ATP0102",
        &[
            (TransferState::Requested, TransferAct::Start),
            (TransferState::Started, TransferAct::Complete),
        ],
    ),
    (
        "ATP0103",
        &[
            (TransferState::Requested, TransferAct::Start),
            (TransferState::Started, TransferAct::Suspend),
            (TransferState::Suspended, TransferAct::End),
        ],
    ),
    (
        "ATP0104",
        &[
            (TransferState::Requested, TransferAct::Start),
            (TransferState::Started, TransferAct::Suspend),
            (TransferState::Suspended, TransferAct::Start),
            (TransferState::Started, TransferAct::Complete),
        ],
    ),
    ("ATP0105", &[(TransferState::Requested, TransferAct::End)]),
    ("ATP0201", START),
    ("ATP0202", START),
    ("ATP0203", START),
    ("ATP0204", START),
    ("ATP0205", &[]),
    ("ATP0301", &[]),
    ("ATP0302", &[]),
    ("ATP0303", START),
    ("ATP0304", START),
    ("ATP0305", START),
    ("ATP0306", START),
];

/// Agreements under which the node consumes.
pub(crate) const CONSUMED: [Transferring; 16] = [
    ("ATPC0101", &[]),
    ("ATPC0102", &[]),
    ("ATPC0103", &[]),
    ("ATPC0104", &[]),
    ("ATPC0105", &[]),
    ("ATPC0201", &[(TransferState::Started, TransferAct::End)]),
    (
        "ATPC0202",
        &[(TransferState::Started, TransferAct::Complete)],
    ),
    (
        "ATPC0203",
        &[
            (TransferState::Started, TransferAct::Suspend),
            (TransferState::Suspended, TransferAct::End),
        ],
    ),
    (
        "ATPC0204",
        &[
            (TransferState::Started, TransferAct::Suspend),
            (TransferState::Suspended, TransferAct::Start),
            (TransferState::Started, TransferAct::Complete),
        ],
    ),
    ("ATPC0205", &[(TransferState::Requested, TransferAct::End)]),
    ("ATPC0301", &[]),
    ("ATPC0302", &[]),
    ("ATPC0303", &[]),
    ("ATPC0304", &[]),
    ("ATPC0305", &[]),
    ("ATPC0306", &[]),
];

/// Goes by the tables, step by step.
#[derive(Debug, Default)]
pub(crate) struct Script {
    /// How many steps were made of a negotiation or transfer.
    done: BTreeMap<WireId, usize>,
}

impl Script {
    /// The next step of `process`, if it is one for `state`: made when `waited`, else to wait for.
    fn next<S: PartialEq + Copy, A: Copy>(
        &mut self,
        process: &WireId,
        steps: &[(S, A)],
        state: S,
        waited: bool,
    ) -> Next<A> {
        let done = self.done.entry(process.clone()).or_default();
        match steps.get(*done) {
            Some((wanted, act)) if *wanted == state && waited => {
                *done += 1;
                Next::Act(*act)
            }
            Some((wanted, _)) if *wanted == state => Next::Later,
            Some(_) | None => Next::Wait,
        }
    }
}

enum Next<A> {
    Wait,
    Later,
    Act(A),
}

fn steps_of<T: Copy>(tables: &[&[(&'static str, &'static [T])]], id: &WireId) -> &'static [T] {
    let mut all = tables.iter().copied().flatten();
    let found = all.find(|(name, _)| *name == id.as_str());
    found.map_or(&[], |(_, steps)| *steps)
}

impl Approver for Script {
    fn terms(&self, _target: &WireId, _policy: &Value) -> Result<Terms, String> {
        Ok(seed::terms())
    }

    fn negotiation(&mut self, case: &NegotiationCase<'_>) -> Decided<NegotiationMove> {
        let it = case.negotiation;
        let steps = steps_of(&[&OFFERED, &ASKED], &it.target);
        let next = match self.next(&it.id, steps, it.state, case.waited) {
            Next::Wait => NegotiationMove::Wait,
            Next::Later => NegotiationMove::Later(PACE_MS),
            Next::Act(Act::Propose) => NegotiationMove::Propose(Box::new(it.terms.clone())),
            Next::Act(Act::Accept) => NegotiationMove::Accept,
            Next::Act(Act::Agree) => NegotiationMove::Agree,
            Next::Act(Act::Verify) => NegotiationMove::Verify,
            Next::Act(Act::Finalize) => NegotiationMove::Finalize,
            Next::Act(Act::End) => NegotiationMove::Terminate("the script says so".into()),
        };
        Decided::new(next, "the script")
    }

    fn transfer(&mut self, case: &TransferCase<'_>) -> Decided<TransferMove> {
        let it = case.transfer;
        let steps = steps_of(&[&PROVIDED, &CONSUMED], &it.agreement);
        let next = match self.next(&it.id, steps, it.state, case.waited) {
            Next::Wait => TransferMove::Wait,
            Next::Later => TransferMove::Later(PACE_MS),
            Next::Act(TransferAct::Start) => TransferMove::Start,
            Next::Act(TransferAct::Suspend) => TransferMove::Suspend("the script says so".into()),
            Next::Act(TransferAct::Complete) => TransferMove::Complete,
            Next::Act(TransferAct::End) => TransferMove::Terminate("the script says so".into()),
        };
        Decided::new(next, "the script")
    }

    fn asks_at_once(&self, _agreement: &Agreement) -> bool {
        false
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn a_step_is_made_once_in_its_state_and_after_its_time() {
        let mut script = Script::default();
        let process = WireId::parse("urn:n").unwrap();
        let steps = steps_of(&[&OFFERED, &ASKED], &WireId::parse("ACN0102").unwrap());
        let mut next = |state, waited| match script.next(&process, steps, state, waited) {
            Next::Wait => "wait".to_owned(),
            Next::Later => "later".to_owned(),
            Next::Act(act) => format!("{act:?}"),
        };
        assert_eq!(next(State::Requested, false), "later");
        assert_eq!(next(State::Requested, true), "Propose");
        assert_eq!(next(State::Offered, false), "wait");
        assert_eq!(next(State::Requested, false), "later");
        assert_eq!(next(State::Requested, true), "End");
        assert_eq!(next(State::Requested, true), "wait");
    }

    #[test]
    fn no_id_is_scripted_twice() {
        let negotiations = OFFERED.iter().chain(&ASKED).map(|(id, _)| *id);
        let transfers = PROVIDED.iter().chain(&CONSUMED).map(|(id, _)| *id);
        let all: Vec<&str> = negotiations.chain(transfers).collect();
        let distinct: BTreeSet<&str> = all.iter().copied().collect();
        assert_eq!(distinct.len(), all.len());
    }
}
