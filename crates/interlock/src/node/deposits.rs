//! Deposits: from the courier's scan to the pick-up.
//!
//! Purpose: what the courier's handheld and the cabinet ask. Invariants: a compartment is reserved, and
//! who tells the recipient is settled or on its way, before a door opens; every request can be repeated
//! and gets the same answer; the phone number leaves only where the term says `full`.

use interlock_core::event::{ParcelEvent, Place, Step};
use interlock_core::ids::{DepositId, IdempotencyKey};
use interlock_core::locker::{
    Actor, DoorUse, Fact, Input as StayInput, LockerError, LockerRules, Phase, Stay,
};
use interlock_core::pickup_code::PickupCode;
use interlock_core::station::CompartmentNo;
use interlock_core::waybill::Waybill;
use serde_json::{Value, json};

use super::Node;
use super::io::{DepositAction, DepositRequest, Digest, LocalAnswer, Problem, ReplyId};
use super::ladder::{Rung, refusal_words, teller_words};
use super::live::Timer;
use super::problem::{self, field, problem};
use super::record::{
    AlertKind, CompartmentChange, DepositRecord, EventRecord, KeyedEffect, MessageKind, Record,
    Teller,
};
use super::state::Deposit;
use super::turn::Turn;
use crate::exchange::wire::Contact;

/// Most waybills of one round.
pub const ROUND_WAYBILLS_MAX: usize = 500;

impl Node {
    pub(super) fn locker_rules(&self) -> LockerRules {
        LockerRules::new(self.config.reservation_ms, self.config.pickup_period_ms)
            .unwrap_or_default()
    }

    /// `POST /deposits`. Answers now, or when the owner has answered.
    pub(super) fn open_deposit(
        &mut self,
        turn: &mut Turn<'_>,
        reply: ReplyId,
        caller: Digest,
        idempotency: Option<(IdempotencyKey, Digest)>,
        request: DepositRequest,
    ) {
        let outcome = self.reserve(turn, caller, idempotency, &request);
        match outcome {
            Ok((deposit, true)) => {
                self.live.couriers.insert(deposit, reply);
                self.live.timer(
                    turn.at().plus_ms(self.config.slow_partner_ms),
                    Timer::Courier(deposit),
                );
                self.ask_soon(turn, deposit);
            }
            Ok((deposit, false)) => {
                let answer = self.deposit_answer(deposit);
                self.reply(turn, reply, answer);
            }
            Err(refused) => self.reply(turn, reply, LocalAnswer::Problem(refused)),
        }
    }

    /// Reserves a compartment. True if the owner must be asked for the contact first.
    fn reserve(
        &mut self,
        turn: &mut Turn<'_>,
        caller: Digest,
        idempotency: Option<(IdempotencyKey, Digest)>,
        request: &DepositRequest,
    ) -> Result<(DepositId, bool), Problem> {
        let (key, body) = idempotency.ok_or_else(|| {
            field(
                "idempotency-key-missing",
                422,
                "a deposit needs an idempotency key",
                "Idempotency-Key",
                "send the header `Idempotency-Key` with a value that is new for each deposit",
            )
        })?;
        if !self.state.stations.contains_key(&request.station) {
            return Err(field(
                "unknown-station",
                422,
                "unknown station",
                "/station",
                format!(
                    "`{}` is no station of ours; `interlock station list` shows them",
                    request.station
                ),
            ));
        };
        let (id, claimant) = self.parcel_to_deposit(turn, request)?;
        if let Some(claimant) = claimant {
            let token = request.claim.as_ref().map_or([0; 16], |t| *t.as_bytes());
            self.record(
                turn,
                Record::Claimed {
                    parcel: id,
                    claimant,
                    token,
                },
            );
        }
        let parcel = self
            .state
            .parcels
            .get(id)
            .ok_or_else(|| problem::not_found("parcel"))?;
        let rung = match &request.contact {
            Some(_) if parcel.owner().is_none() => Rung::Settled(Teller::Us),
            Some(_) | None => self.rung(&turn.now, parcel, None),
        };
        if let Rung::Settled(Teller::Nobody { reason }) = &rung {
            let refused = problem(
                "nobody-can-tell",
                409,
                "deliver to the address",
                refusal_words(reason),
            );
            self.refuse_keyed(turn, caller, key, body, id, reason, &refused);
            return Err(refused);
        }
        let Some(own) = self.state.stations.get(&own_id(&request.station)) else {
            return Err(problem::not_found("station"));
        };
        let compartment = own
            .compartments
            .clone()
            .reserve(own.station.state, request.size_class, turn.random64())
            .map_err(|none| problem("no-compartment", 409, "no compartment", none.to_string()))?;
        let deposit = self.record_deposit(turn, request, id, compartment)?;
        self.record(
            turn,
            Record::Keyed {
                caller,
                key,
                body,
                effect: KeyedEffect::Deposit(deposit),
            },
        );
        match rung {
            Rung::Ask(_) => Ok((deposit, true)),
            Rung::Settled(teller) => {
                self.record(turn, Record::Notifier { deposit, teller });
                Ok((deposit, false))
            }
        }
    }

    /// The parcel that was scanned, new if nobody ever spoke of it, and who has claimed it with the
    /// token that was scanned.
    fn parcel_to_deposit(
        &mut self,
        turn: &mut Turn<'_>,
        request: &DepositRequest,
    ) -> Result<
        (
            interlock_core::ids::ParcelId,
            Option<interlock_core::ids::ParticipantId>,
        ),
        Problem,
    > {
        let Some(parcel) = self.state.parcels.find(&request.waybill) else {
            if request.contact.is_none() {
                return Err(problem(
                    "nobody-can-tell",
                    409,
                    "deliver to the address",
                    refusal_words("owner-unknown"),
                ));
            }
            return Ok((self.bare_parcel(turn, &request.waybill), None));
        };
        if let Some(open) = parcel
            .deposit
            .and_then(|d| self.state.deposits.get(&d))
            .filter(|d| !d.stay.phase().is_over())
        {
            return Err(problem(
                "already-deposited",
                409,
                "the parcel is in a locker already",
                format!(
                    "it is `{}` at station `{}`; recall it first, or scan another parcel",
                    open.stay.phase(),
                    open.station
                ),
            ));
        }
        let claimant = request
            .claim
            .as_ref()
            .filter(|_| parcel.owner().is_none())
            .and_then(|token| {
                let proved = parcel
                    .claims
                    .iter()
                    .find(|claim| claim.token.is_some_and(|hash| hash.matches(token)));
                proved.map(|claim| claim.claimant.clone())
            });
        Ok((parcel.id, claimant))
    }

    fn record_deposit(
        &mut self,
        turn: &mut Turn<'_>,
        request: &DepositRequest,
        parcel: interlock_core::ids::ParcelId,
        compartment: CompartmentNo,
    ) -> Result<DepositId, Problem> {
        let failed = || {
            problem(
                "internal",
                500,
                "not deposited",
                "the deposit could not be put on record; try again",
            )
        };
        let (stay, _) = Stay::arrive()
            .apply(
                &StayInput::Reserve { compartment },
                turn.at(),
                &self.locker_rules(),
            )
            .map_err(|error| problem("locker", 409, "not deposited", error.to_string()))?;
        let code = draw_code(turn).reveal();
        let courier = turn.seal(&request.courier).ok_or_else(failed)?;
        let code = turn.seal(&code).ok_or_else(failed)?;
        let contact = match &request.contact {
            Some(phone) => Some(
                turn.seal(&Contact::Full {
                    phone: phone.reveal().into(),
                })
                .ok_or_else(failed)?,
            ),
            None => None,
        };
        let id = DepositId::from_bytes(turn.random16());
        if let Some((due, _)) = stay.due() {
            self.live.timer(due, Timer::Reservation(id));
        }
        self.record(
            turn,
            Record::Deposit(Box::new(DepositRecord {
                id,
                parcel,
                station: request.station.clone(),
                compartment,
                size_class: request.size_class,
                courier,
                code,
                contact,
                stay,
            })),
        );
        Ok(id)
    }

    fn refuse_keyed(
        &mut self,
        turn: &mut Turn<'_>,
        caller: Digest,
        key: IdempotencyKey,
        body: Digest,
        parcel: interlock_core::ids::ParcelId,
        reason: &str,
        refused: &Problem,
    ) {
        let effect = KeyedEffect::Refused {
            parcel: Some(parcel),
            reason: reason.into(),
            kind: refused.kind.clone(),
            status: refused.status,
            detail: refused.detail.clone(),
        };
        self.record(
            turn,
            Record::Keyed {
                caller,
                key,
                body,
                effect,
            },
        );
    }

    /// The owner has answered for a deposit: granted, or denied for a reason.
    pub(super) fn contact_settled(
        &mut self,
        turn: &mut Turn<'_>,
        id: DepositId,
        denied: Option<&str>,
    ) {
        let Some(deposit) = self.state.deposits.get(&id) else {
            return;
        };
        if deposit.stay.phase().is_over() || deposit.teller.is_some() {
            return;
        }
        let lies_inside = deposit.deposited_at.is_some();
        let parcel = deposit.parcel;
        let teller = match denied {
            None => Teller::Us,
            Some(reason) => match self
                .state
                .parcels
                .get(parcel)
                .map(|p| self.rung(&turn.now, p, Some(reason)))
            {
                Some(Rung::Settled(teller)) => teller,
                Some(Rung::Ask(_)) | None => Teller::Nobody {
                    reason: reason.into(),
                },
            },
        };
        self.record(
            turn,
            Record::Notifier {
                deposit: id,
                teller: teller.clone(),
            },
        );
        match (&teller, lies_inside) {
            (Teller::Us, true) => self.queue_message(turn, parcel, MessageKind::Deposited),
            (Teller::Nobody { reason }, true) => {
                let detail = format!(
                    "the parcel lies in a compartment and its owner denied the contact ({reason}); recall it or tell the recipient another way"
                );
                self.alert(
                    turn,
                    AlertKind::RecipientNotTold,
                    Some(parcel),
                    None,
                    detail,
                );
            }
            (Teller::Nobody { .. }, false) => self
                .apply_stay(turn, id, &StayInput::Refuse)
                .map_or((), drop),
            (Teller::Us | Teller::Owner(_) | Teller::Carrier(_), _) => {}
        }
        if let Some(reply) = self.live.couriers.remove(&id) {
            let answer = self.deposit_answer(id);
            self.reply(turn, reply, answer);
        }
    }

    /// The owner is slow: the courier gets an answer, the notice is queued.
    pub(super) fn courier_waited(&mut self, turn: &mut Turn<'_>, id: DepositId) {
        if let Some(reply) = self.live.couriers.remove(&id) {
            let answer = self.deposit_answer(id);
            self.reply(turn, reply, answer);
        }
    }

    /// `POST /deposits/{id}/…`.
    pub(super) fn advance_deposit(
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
        let input = self.stay_input(turn, id, action)?;
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
        for fact in &facts {
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

    fn stay_input(
        &self,
        turn: &mut Turn<'_>,
        id: DepositId,
        action: &DepositAction,
    ) -> Result<StayInput, Problem> {
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
                    code: code.store(turn.random64().to_le_bytes()),
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
            DepositAction::Redirect { station } => StayInput::Redirect {
                to: station.clone(),
                by: Actor::Courier,
            },
        })
    }

    /// Applies an input to a stay, with everything that follows from it.
    pub(super) fn apply_stay(
        &mut self,
        turn: &mut Turn<'_>,
        id: DepositId,
        input: &StayInput,
    ) -> Result<Vec<Fact>, LockerError> {
        let Some(deposit) = self.state.deposits.get(&id) else {
            return Ok(Vec::new());
        };
        let (stay, facts) = deposit.stay.apply(input, turn.at(), &self.locker_rules())?;
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
        self.record(
            turn,
            Record::Stay {
                deposit: id,
                stay,
                compartment,
            },
        );
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
    pub(super) fn deposit_due(&mut self, turn: &mut Turn<'_>, id: DepositId) {
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
    pub(super) fn resume_deposits(&mut self, turn: &mut Turn<'_>) {
        let open: Vec<(
            DepositId,
            Option<(interlock_core::time::Timestamp, StayInput)>,
            bool,
        )> = self
            .state
            .deposits
            .iter()
            .filter(|(_, d)| !d.stay.phase().is_over())
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

    /// `POST /rounds/check`: nothing changes.
    pub(super) fn check_round(&self, turn: &Turn<'_>, waybills: &[Waybill]) -> LocalAnswer {
        let items: Vec<Value> = waybills
            .iter()
            .map(|waybill| {
                let teller = match self.state.parcels.find(waybill) {
                    None => Some(Teller::Nobody {
                        reason: "owner-unknown".into(),
                    }),
                    Some(parcel) => match self.rung(&turn.now, parcel, None) {
                        Rung::Ask(_) => Some(Teller::Us),
                        Rung::Settled(teller) => Some(teller),
                    },
                };
                let (who, words) = teller_words(teller.as_ref());
                json!({ "carrier": waybill.carrier().as_str(), "number": waybill.number(),
                    "canDeposit": who != "nobody", "notifier": who, "detail": words })
            })
            .collect();
        LocalAnswer::Json {
            status: 200,
            body: json!({ "items": items }),
        }
    }

    /// The answer about a deposit: what was done, or why it must not be.
    pub(super) fn deposit_answer(&self, id: DepositId) -> LocalAnswer {
        let Some(deposit) = self.state.deposits.get(&id) else {
            return LocalAnswer::Problem(problem::not_found("deposit"));
        };
        match (&deposit.teller, deposit.stay.phase()) {
            (Some(Teller::Nobody { reason }), Phase::Refused) => LocalAnswer::Problem(problem(
                "nobody-can-tell",
                409,
                "deliver to the address",
                refusal_words(reason),
            )),
            _ => LocalAnswer::Json {
                status: 201,
                body: self.deposit_view(id),
            },
        }
    }

    /// A deposit for handhelds and cabinets.
    pub(super) fn deposit_view(&self, id: DepositId) -> Value {
        let Some(deposit) = self.state.deposits.get(&id) else {
            return Value::Null;
        };
        let (notifier, words) = teller_words(deposit.teller.as_ref());
        let zone = self.config.zone;
        json!({
            "id": id.to_string(),
            "state": deposit.stay.phase().as_str(),
            "station": deposit.station.as_str(),
            "compartment": deposit.compartment.number(),
            "size": deposit.size_class.as_str(),
            "notifier": notifier,
            "detail": words,
            "contactForm": deposit.contact_form.map(interlock_core::contact::ContactForm::as_str),
            "phone": self.phone_for_courier(deposit),
            "openedAt": deposit.opened_at.to_rfc3339(zone),
            "pickupUntil": deposit.pickup_until.map(|at| at.to_rfc3339(zone)),
        })
    }

    /// The number for the courier's eyes: in full only where the term said so.
    fn phone_for_courier(&self, deposit: &Deposit) -> Option<String> {
        match deposit.contact.as_ref()?.value.as_ref()? {
            Contact::Full { phone } => Some(phone.clone()),
            Contact::Masked { phone } => Some(phone.clone()),
            Contact::Virtual {
                number, extension, ..
            } => Some(format!("{number},{extension}")),
            Contact::Sealed { .. } => None,
        }
    }
}

fn own_id(id: &interlock_core::ids::StationId) -> interlock_core::ids::StationId {
    id.clone()
}

/// Draws a code; a draw in the biased tail is drawn again.
fn draw_code(turn: &mut Turn<'_>) -> PickupCode {
    loop {
        if let Some(code) = PickupCode::from_draw(turn.random64()) {
            return code;
        }
    }
}
