//! What becomes of a deposit: door closed, code tried, picked up, taken back, overdue.

use interlock_core::event::{ParcelEvent, Place, Step};
use interlock_core::ids::DepositId;
use interlock_core::locker::{Actor, DoorUse, Fact, Input as StayInput, LockerError, Stay};
use interlock_core::pickup_code::PickupCode;
use serde_json::json;

use crate::node::Node;
use crate::node::io::{DepositAction, LocalAnswer, Problem};
use crate::node::ladder::refusal_words;
use crate::node::live::Timer;
use crate::node::problem::{self, field, problem};
use crate::node::record::{
    CompartmentChange, ContentRef, ErasureReason, EventRecord, MessageKind, Record, Teller,
};
use crate::node::state::Deposit;
use crate::node::turn::Turn;

impl Node {
    /// `POST /deposits/{id}/…`.
    pub(in crate::node) fn advance_deposit(
        &mut self,
        turn: &mut Turn<'_>,
        id: DepositId,
        action: &DepositAction,
    ) -> Result<LocalAnswer, Problem> {
        let deposit = self
            .state
            .deposits
            .get(&id)
            .ok_or_else(|| problem::not_found("deposit"))?;
        if let (DepositAction::Confirm, Some(Teller::Nobody { reason })) = (action, &deposit.teller)
        {
            return Err(problem(
                "nobody-can-tell",
                409,
                "deliver to the address",
                refusal_words(reason),
            ));
        }
        let input = self.stay_input(id, action)?;
        let facts = match self.apply_stay(turn, id, &input) {
            Ok(facts) => facts,
            Err(LockerError::AlreadyDone { .. }) => Vec::new(),
            Err(LockerError::LockedOut { until }) => {
                let detail = format!(
                    "no code is taken until {}; wait, then use the newest message",
                    until.to_display(self.config.zone)
                );
                return Err(problem("locked-out", 423, "too many wrong codes", detail));
            }
            Err(error) => {
                return Err(problem(
                    "wrong-phase",
                    409,
                    "that does not fit the deposit",
                    error.to_string(),
                ));
            }
        };
        self.check_code(&facts)?;
        let opens = facts.iter().any(|f| {
            matches!(
                f,
                Fact::DoorOpens {
                    purpose: DoorUse::PickUp,
                    ..
                }
            )
        });
        let mut body = self.deposit_view(id);
        if let Some(object) = body.as_object_mut() {
            object.insert("opens".into(), json!(opens));
        }
        Ok(LocalAnswer::Json { status: 200, body })
    }

    /// A wrong code is a refusal, though the try is on record.
    fn check_code(&self, facts: &[Fact]) -> Result<(), Problem> {
        for fact in facts {
            match fact {
                Fact::CodeRefused { tries_left } => {
                    let detail = format!(
                        "code not accepted; {tries_left} tries left, then a 15-minute wait; use the newest message"
                    );
                    return Err(problem("wrong-code", 403, "wrong code", detail));
                }
                Fact::LockedOut { until } => {
                    let detail = format!(
                        "code not accepted; no code is taken until {}",
                        until.to_display(self.config.zone)
                    );
                    return Err(problem("locked-out", 423, "too many wrong codes", detail));
                }
                Fact::Step(_)
                | Fact::DoorOpens { .. }
                | Fact::Occupied { .. }
                | Fact::Released { .. }
                | Fact::CodeVoided
                | Fact::DeadlineSet { .. } => {}
            }
        }
        Ok(())
    }

    fn stay_input(&self, id: DepositId, action: &DepositAction) -> Result<StayInput, Problem> {
        Ok(match action {
            DepositAction::Confirm => {
                let deposit = self
                    .state
                    .deposits
                    .get(&id)
                    .ok_or_else(|| problem::not_found("deposit"))?;
                let code = deposit
                    .code
                    .value
                    .as_ref()
                    .and_then(|code| PickupCode::parse(code).ok());
                let code = code.ok_or_else(|| {
                    problem("code-gone", 409, "the code is gone", "begin a new deposit")
                })?;
                StayInput::DoorClosed {
                    code: code.store([0; 8]),
                }
            }
            DepositAction::Cancel => StayInput::Cancel,
            DepositAction::Open { code } => {
                let code = PickupCode::parse(code).map_err(|error| {
                    field("wrong-code", 422, "not a code", "/code", error.to_string())
                })?;
                StayInput::TryCode(code)
            }
            DepositAction::PickUp => StayInput::PickedUp,
            DepositAction::Recall => StayInput::Recall { by: Actor::Courier },
            DepositAction::Redirect { station } => {
                let ours = self.state.stations.contains_key(station);
                let seen = self.state.stations_seen.keys().any(|(_, id)| id == station);
                if !ours && !seen {
                    // Not repeated: whatever was typed there may be a telephone number.
                    let detail = "no station of ours or of a partner is called so; `interlock station list` shows them";
                    return Err(field(
                        "unknown-station",
                        422,
                        "unknown station",
                        "/station",
                        detail,
                    ));
                }
                StayInput::Redirect {
                    to: station.clone(),
                    by: Actor::Courier,
                }
            }
        })
    }

    /// Applies an input to a stay, with everything that follows from it.
    pub(in crate::node) fn apply_stay(
        &mut self,
        turn: &mut Turn<'_>,
        id: DepositId,
        input: &StayInput,
    ) -> Result<Vec<Fact>, LockerError> {
        let Some(deposit) = self.state.deposits.get(&id) else {
            return Ok(Vec::new());
        };
        let stay = with_code(&deposit);
        let (stay, facts) = stay.apply(input, turn.at(), &self.locker_rules())?;
        let (parcel, station) = (deposit.parcel, deposit.station.clone());
        let compartment = facts
            .iter()
            .fold(CompartmentChange::None, |change, fact| match fact {
                Fact::Occupied { .. } => CompartmentChange::Occupied,
                Fact::Released { .. } => CompartmentChange::Released,
                Fact::Step(_)
                | Fact::DoorOpens { .. }
                | Fact::CodeVoided
                | Fact::CodeRefused { .. }
                | Fact::LockedOut { .. }
                | Fact::DeadlineSet { .. } => change,
            });
        if let Some((due, _)) = stay.due() {
            self.live.timer(due, Timer::Pickup(id));
        }
        let over = stay.phase().is_over();
        self.record(
            turn,
            Record::Stay {
                deposit: id,
                stay: stay.without_code(),
                compartment,
            },
        );
        if over {
            self.erase(turn, vec![ContentRef::Code(id)], ErasureReason::Over);
        }
        self.stations_ready();
        for fact in &facts {
            if let Fact::Step(step) = fact {
                self.locker_event(turn, parcel, step.clone(), Place::Station(station.clone()));
            }
        }
        self.tell_about(turn, id, &facts);
        Ok(facts)
    }

    fn tell_about(&mut self, turn: &mut Turn<'_>, id: DepositId, facts: &[Fact]) {
        let Some(deposit) = self.state.deposits.get(&id) else {
            return;
        };
        if deposit.teller != Some(Teller::Us) {
            return;
        }
        let parcel = deposit.parcel;
        for fact in facts {
            match fact {
                Fact::Step(Step::Deposited) => {
                    self.queue_message(turn, parcel, MessageKind::Deposited)
                }
                Fact::Step(Step::Overdue) => self.queue_message(turn, parcel, MessageKind::Overdue),
                Fact::Step(_)
                | Fact::DoorOpens { .. }
                | Fact::Occupied { .. }
                | Fact::Released { .. }
                | Fact::CodeVoided
                | Fact::CodeRefused { .. }
                | Fact::LockedOut { .. }
                | Fact::DeadlineSet { .. } => {}
            }
        }
    }

    fn locker_event(
        &mut self,
        turn: &mut Turn<'_>,
        id: interlock_core::ids::ParcelId,
        step: Step,
        place: Place,
    ) {
        let number = self
            .state
            .parcels
            .get(id)
            .map_or(0, |p| p.last_number(None))
            + 1;
        let event = ParcelEvent {
            number,
            step,
            at: turn.at(),
            zone: self.config.zone,
            place: Some(place),
        };
        self.record_event(
            turn,
            EventRecord {
                parcel: id,
                event,
                digest: [0; 32],
            },
        );
    }

    /// Timers of a deposit: the door was not closed, or the time to pick up is over.
    pub(in crate::node) fn deposit_due(&mut self, turn: &mut Turn<'_>, id: DepositId) {
        let Some(deposit) = self.state.deposits.get(&id) else {
            return;
        };
        let Some((due, input)) = deposit.stay.due() else {
            return;
        };
        if due > turn.at() {
            return;
        }
        if self.apply_stay(turn, id, &input).is_err() {
            tracing::warn!(deposit = %id, "a due input did not fit");
        }
    }

    /// After a restart: timers for what is in lockers, questions for what has no teller yet.
    pub(in crate::node) fn resume_deposits(&mut self, turn: &mut Turn<'_>) {
        let open: Vec<_> = self
            .state
            .deposits
            .under_way()
            .iter()
            .map(|(id, d)| (*id, d.stay.due(), d.teller.is_none()))
            .collect();
        for (id, due, untold) in open {
            if let Some((at, _)) = due {
                self.live.timer(at, Timer::Pickup(id));
            }
            if untold && !self.is_asked(id) {
                self.ask_soon(turn, id);
            }
        }
    }
}

/// A deposit's stay with the code that opens it, which is kept sealed and beside it. What it is compared
/// with lives for this step only, so it needs no salt.
fn with_code(deposit: &Deposit) -> Stay {
    let code = deposit.code.value.as_ref();
    match code.and_then(|code| PickupCode::parse(code).ok()) {
        Some(code) => deposit.stay.with_code(code.store([0; 8])),
        None => deposit.stay.clone(),
    }
}
