//! The transitions of a stay.
//!
//! INVARIANT: an error changes nothing, and whatever gives a compartment up says so with
//! [`Fact::Released`]. A wrong code is no error but a fact: it changes the tries, and a caller that
//! dropped it would give a guesser endless tries.

use alloc::vec;
use alloc::vec::Vec;

use super::{
    Actor, DoorUse, Fact, Input, LOCK_OUT_MS, LockerError, LockerRules, Lying, Phase, STAY_MS_MAX,
    State, Stay, TRIES_MAX, Tries,
};
use crate::event::Step;
use crate::pickup_code::{PickupCode, StoredCode};
use crate::station::CompartmentNo;
use crate::time::Timestamp;

type Outcome = Result<(Stay, Vec<Fact>), LockerError>;

fn outcome(state: State, facts: Vec<Fact>) -> Outcome {
    Ok((Stay { state }, facts))
}

impl Stay {
    /// The stay after `input` at `now`, and what follows from it.
    ///
    /// A door that was closed late, but before [`Input::DoorNotClosed`] came, counts as closed: the
    /// parcel is in. A recipient who has opened the door cannot open it again with any code; a
    /// parcel that was left inside is recalled.
    ///
    /// # Errors
    /// [`LockerError`] if the input does not fit; the stay is as before. A repeat of what was done
    /// is [`LockerError::AlreadyDone`].
    pub fn apply(&self, input: &Input, now: Timestamp, rules: &LockerRules) -> Outcome {
        if let Input::Recall { by } | Input::Redirect { by, .. } = input
            && *by == Actor::Recipient
        {
            let input = input.as_str();
            return Err(LockerError::NotAllowed { input });
        }
        if self.has_done(input) {
            return Err(LockerError::AlreadyDone {
                input: input.as_str(),
                phase: self.phase(),
            });
        }
        match input {
            Input::Arrive => Err(self.misfit(input)),
            Input::Reserve { compartment } => self.reserve(input, *compartment, now, rules),
            Input::DoorClosed { code } => self.door_closed(input, *code, now, rules),
            Input::DoorNotClosed | Input::Abandon => self.give_back(input, now),
            Input::MessageSent => self.message_sent(input),
            Input::TryCode(code) => self.try_code(input, code, now),
            Input::Rekey { code } => self.rekey(input, *code),
            Input::PickedUp => self.picked_up(input),
            Input::DeadlinePassed => self.deadline_passed(input, now),
            Input::Extend { until } => self.extend(input, *until, now),
            Input::Recall { .. } => self.recall(input),
            Input::Redirect { to, .. } => {
                self.redirect(input, State::Redirected { to: to.clone() })
            }
            Input::Refuse => self.give_up(input, State::Refused),
            Input::Cancel => self.give_up(input, State::Cancelled),
        }
    }

    /// Whether the stay already stands where `input` leads.
    fn has_done(&self, input: &Input) -> bool {
        let phase = self.phase();
        let lying = self.lying();
        match input {
            Input::Arrive => !phase.is_over(),
            Input::Reserve { .. } => phase == Phase::Reserved,
            Input::DoorClosed { .. } => lying.is_some(),
            Input::DoorNotClosed | Input::Abandon => phase == Phase::Arrived,
            Input::MessageSent => lying.is_some_and(|lying| lying.notified),
            Input::TryCode(tried) => {
                matches!(&self.state, State::Opened { code, .. } if code.matches(tried))
            }
            Input::Rekey { code } => lying.is_some_and(|lying| lying.code == *code),
            Input::PickedUp => phase == Phase::PickedUp,
            Input::DeadlinePassed => phase == Phase::Overdue,
            Input::Extend { until } => {
                lying.is_some_and(|lying| lying.deadline == *until && !lying.overdue)
            }
            Input::Recall { .. } => phase == Phase::Recalled,
            Input::Redirect { to, .. } => {
                matches!(&self.state, State::Redirected { to: known } if known == to)
            }
            Input::Refuse => phase == Phase::Refused,
            Input::Cancel => phase == Phase::Cancelled,
        }
    }

    fn misfit(&self, input: &Input) -> LockerError {
        let (input, phase) = (input.as_str(), self.phase());
        if phase.is_over() {
            LockerError::Over { input, phase }
        } else {
            LockerError::WrongPhase { input, phase }
        }
    }

    /// The parcel in its compartment, which most inputs need.
    fn need_lying(&self, input: &Input) -> Result<Lying, LockerError> {
        self.lying().copied().ok_or_else(|| self.misfit(input))
    }

    fn reserve(
        &self,
        input: &Input,
        compartment: CompartmentNo,
        now: Timestamp,
        rules: &LockerRules,
    ) -> Outcome {
        if self.phase() != Phase::Arrived {
            return Err(self.misfit(input));
        }
        let until = now.plus_ms(rules.reservation_ms());
        let purpose = DoorUse::Deposit;
        outcome(
            State::Reserved { compartment, until },
            vec![Fact::DoorOpens {
                compartment,
                purpose,
            }],
        )
    }

    fn door_closed(
        &self,
        input: &Input,
        code: StoredCode,
        now: Timestamp,
        rules: &LockerRules,
    ) -> Outcome {
        let State::Reserved { compartment, .. } = self.state else {
            return Err(self.misfit(input));
        };
        let deadline = now.plus_ms(rules.pick_up_ms());
        let lying = Lying {
            compartment,
            deposited_at: now,
            deadline,
            code,
            tries: Tries::Left(TRIES_MAX),
            notified: false,
            overdue: false,
        };
        outcome(
            State::Lying(lying),
            vec![
                Fact::Occupied { compartment },
                Fact::Step(Step::Deposited),
                Fact::DeadlineSet { at: deadline },
            ],
        )
    }

    fn give_back(&self, input: &Input, now: Timestamp) -> Outcome {
        let State::Reserved { compartment, until } = self.state else {
            return Err(self.misfit(input));
        };
        if matches!(input, Input::DoorNotClosed) && now < until {
            return Err(LockerError::TooEarly {
                input: input.as_str(),
                due: until,
            });
        }
        outcome(State::Arrived, vec![Fact::Released { compartment }])
    }

    fn message_sent(&self, input: &Input) -> Outcome {
        let mut lying = self.need_lying(input)?;
        lying.notified = true;
        outcome(State::Lying(lying), vec![Fact::Step(Step::Notified)])
    }

    fn try_code(&self, input: &Input, code: &PickupCode, now: Timestamp) -> Outcome {
        let mut lying = self.need_lying(input)?;
        let compartment = lying.compartment;
        let left = match lying.tries {
            Tries::LockedUntil(until) if now < until => {
                return Err(LockerError::LockedOut { until });
            }
            Tries::LockedUntil(_) => TRIES_MAX,
            Tries::Left(left) => left,
        };
        if lying.code.matches(code) {
            let opened = State::Opened {
                compartment,
                code: lying.code,
            };
            let purpose = DoorUse::PickUp;
            let opens = Fact::DoorOpens {
                compartment,
                purpose,
            };
            return outcome(opened, vec![Fact::CodeVoided, opens]);
        }
        let (tries, fact) = match left.saturating_sub(1) {
            0 => {
                let until = now.plus_ms(LOCK_OUT_MS);
                (Tries::LockedUntil(until), Fact::LockedOut { until })
            }
            tries_left => (Tries::Left(tries_left), Fact::CodeRefused { tries_left }),
        };
        lying.tries = tries;
        outcome(State::Lying(lying), vec![fact])
    }

    /// Tries and lock-out stay: else whoever can ask for new codes could guess without end.
    fn rekey(&self, input: &Input, code: StoredCode) -> Outcome {
        let mut lying = self.need_lying(input)?;
        lying.code = code;
        lying.notified = false;
        outcome(State::Lying(lying), vec![Fact::CodeVoided])
    }

    fn picked_up(&self, input: &Input) -> Outcome {
        let State::Opened { compartment, .. } = self.state else {
            return Err(self.misfit(input));
        };
        outcome(
            State::PickedUp,
            vec![Fact::Step(Step::PickedUp), Fact::Released { compartment }],
        )
    }

    fn deadline_passed(&self, input: &Input, now: Timestamp) -> Outcome {
        let mut lying = self.need_lying(input)?;
        if now < lying.deadline {
            return Err(LockerError::TooEarly {
                input: input.as_str(),
                due: lying.deadline,
            });
        }
        lying.overdue = true;
        outcome(State::Lying(lying), vec![Fact::Step(Step::Overdue)])
    }

    fn extend(&self, input: &Input, until: Timestamp, now: Timestamp) -> Outcome {
        let mut lying = self.need_lying(input)?;
        let after = lying.deadline.max(now);
        let latest = lying.deposited_at.plus_ms(STAY_MS_MAX);
        if until <= after || until > latest {
            return Err(LockerError::Extension { after, latest });
        }
        lying.deadline = until;
        lying.overdue = false;
        outcome(
            State::Lying(lying),
            vec![Fact::DeadlineSet { at: until }, Fact::Step(Step::Extended)],
        )
    }

    fn recall(&self, input: &Input) -> Outcome {
        let step = Fact::Step(Step::Recalled);
        match &self.state {
            State::Lying(lying) => {
                let compartment = lying.compartment;
                let released = Fact::Released { compartment };
                outcome(State::Recalled, vec![Fact::CodeVoided, step, released])
            }
            State::Opened { compartment, .. } => {
                let compartment = *compartment;
                outcome(State::Recalled, vec![step, Fact::Released { compartment }])
            }
            State::Arrived
            | State::Reserved { .. }
            | State::PickedUp
            | State::Recalled
            | State::Redirected { .. }
            | State::Refused
            | State::Cancelled => Err(self.misfit(input)),
        }
    }

    fn redirect(&self, input: &Input, next: State) -> Outcome {
        let step = Fact::Step(Step::Redirected);
        match &self.state {
            State::Arrived => outcome(next, vec![step]),
            State::Reserved { compartment, .. } => {
                let compartment = *compartment;
                outcome(next, vec![step, Fact::Released { compartment }])
            }
            State::Lying(lying) => {
                let compartment = lying.compartment;
                let released = Fact::Released { compartment };
                outcome(next, vec![Fact::CodeVoided, step, released])
            }
            State::Opened { .. }
            | State::PickedUp
            | State::Recalled
            | State::Redirected { .. }
            | State::Refused
            | State::Cancelled => Err(self.misfit(input)),
        }
    }

    /// Ends a stay that has not come to a deposit; nothing for `locker-events`.
    fn give_up(&self, input: &Input, next: State) -> Outcome {
        match &self.state {
            State::Arrived => outcome(next, Vec::new()),
            State::Reserved { compartment, .. } => {
                let compartment = *compartment;
                outcome(next, vec![Fact::Released { compartment }])
            }
            State::Lying(_)
            | State::Opened { .. }
            | State::PickedUp
            | State::Recalled
            | State::Redirected { .. }
            | State::Refused
            | State::Cancelled => Err(self.misfit(input)),
        }
    }
}
