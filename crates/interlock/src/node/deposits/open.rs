//! Opening a deposit: the parcel, the compartment, and who will tell the recipient.

use interlock_core::decide::DenialReason;
use interlock_core::ids::{DepositId, IdempotencyKey, ParcelId};
use interlock_core::locker::{Input as StayInput, Stay};
use interlock_core::pickup_code::PickupCode;
use interlock_core::station::CompartmentNo;
use interlock_core::time::SECOND_MS;

use crate::exchange::wire::Contact;
use crate::node::Node;
use crate::node::io::{DepositRequest, Digest, LocalAnswer, Problem, ReplyId};
use crate::node::ladder::{Rung, refusal_words};
use crate::node::live::Timer;
use crate::node::problem::{self, field, problem};
use crate::node::record::{AlertKind, DepositRecord, KeyedEffect, MessageKind, Record, Teller};
use crate::node::turn::Turn;

/// How long after a refusal as `closing` the owner is asked again, in milliseconds.
const CLOSING_AGAIN_MS: i64 = SECOND_MS;

impl Node {
    /// `POST /deposits`. Answers now, or when the owner has answered.
    pub(in crate::node) fn open_deposit(
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
        let (key, body) = idempotency.ok_or_else(key_missing)?;
        let compartment = self.choose_compartment(turn, request)?;
        let id = self.parcel_to_deposit(turn, request)?;
        let parcel = self
            .state
            .parcels
            .get(id)
            .ok_or_else(|| problem::not_found("parcel"))?;
        let rung = match &request.contact {
            Some(_) if parcel.owner().is_none() && self.config.has_gateway => {
                Rung::Settled(Teller::Us)
            }
            Some(_) | None => self.outlook(turn.now).rung(&parcel, None),
        };
        if let Rung::Settled(Teller::Nobody { reason }) = &rung {
            let detail = refusal_words(reason);
            let effect = KeyedEffect::Refused {
                parcel: Some(id),
                reason: reason.clone(),
                detail: detail.clone(),
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
            return Err(problem(
                "nobody-can-tell",
                409,
                "deliver to the address",
                detail,
            ));
        }
        let deposit = self.record_deposit(turn, request, id, compartment)?;
        let effect = KeyedEffect::Deposit(deposit);
        self.record(
            turn,
            Record::Keyed {
                caller,
                key,
                body,
                effect,
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

    /// A free compartment of the size asked for; it is taken when the deposit is put on record.
    fn choose_compartment(
        &self,
        turn: &mut Turn<'_>,
        request: &DepositRequest,
    ) -> Result<CompartmentNo, Problem> {
        let own = self.state.stations.get(&request.station).ok_or_else(|| {
            // Not repeated: whatever was typed there may be a telephone number.
            let detail = "no station of ours is called so; `interlock station list` shows them";
            field(
                "unknown-station",
                422,
                "unknown station",
                "/station",
                detail,
            )
        })?;
        own.compartments
            .choose(own.station.state, request.size_class, turn.random64())
            .map_err(|none| problem("no-compartment", 409, "no compartment", none.to_string()))
    }

    /// The parcel that was scanned: new if nobody ever spoke of it, and proved to be its claimant's if
    /// the label's token was scanned too.
    fn parcel_to_deposit(
        &mut self,
        turn: &mut Turn<'_>,
        request: &DepositRequest,
    ) -> Result<ParcelId, Problem> {
        let Some(parcel) = self.state.parcels.find(&request.waybill) else {
            if request.contact.is_none() {
                return Err(problem(
                    "nobody-can-tell",
                    409,
                    "deliver to the address",
                    refusal_words("owner-unknown"),
                ));
            }
            return Ok(self.bare_parcel(turn, &request.waybill));
        };
        let id = parcel.id;
        let deposit = parcel.deposit.and_then(|d| self.state.deposits.get(&d));
        if let Some(open) = deposit.filter(|d| !d.stay.phase().is_over()) {
            let detail = format!(
                "it is `{}` at station `{}`; recall it first, or scan another parcel",
                open.stay.phase(),
                open.station
            );
            return Err(problem(
                "already-deposited",
                409,
                "the parcel is in a locker already",
                detail,
            ));
        }
        let unowned = parcel.owner().is_none();
        if let Some(token) = request.claim.as_ref().filter(|_| unowned) {
            let proved = parcel
                .claims
                .iter()
                .find(|claim| claim.token.is_some_and(|hash| hash.matches(token)));
            if let Some(claimant) = proved.map(|claim| claim.claimant.clone()) {
                self.record(
                    turn,
                    Record::Claimed {
                        parcel: id,
                        claimant,
                        token: *token.as_bytes(),
                    },
                );
            }
        }
        Ok(id)
    }

    fn record_deposit(
        &mut self,
        turn: &mut Turn<'_>,
        request: &DepositRequest,
        parcel: ParcelId,
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
        let due = self.keep_until(turn, self.config.courier_kept_ms, None);
        let vault = &self.state.vault;
        let courier = turn.seal(vault, &request.courier, due).ok_or_else(failed)?;
        let code = turn.seal(vault, &code, due).ok_or_else(failed)?;
        let due = self.keep_until(turn, self.config.contact_kept_ms, None);
        let contact = match &request.contact {
            Some(phone) => Some(
                turn.seal(
                    vault,
                    &Contact::Full {
                        phone: phone.reveal().into(),
                    },
                    due,
                )
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
        self.stations_ready();
        Ok(id)
    }

    /// The owner has answered for a deposit: granted, or denied for a reason.
    pub(in crate::node) fn contact_settled(
        &mut self,
        turn: &mut Turn<'_>,
        id: DepositId,
        denied: Option<&str>,
    ) {
        let Some(deposit) = self.state.deposits.get(&id) else {
            return;
        };
        if !deposit.may_ask() {
            return;
        }
        let lies_inside = deposit.deposited_at.is_some();
        let nobody_told = deposit.teller.is_some();
        let parcel = deposit.parcel;
        if lies_inside && denied == Some(DenialReason::Closing.as_str()) {
            // It was asked before the end, and the answer came late. Soon run-off decides, or what follows.
            let at = turn.at().plus_ms(CLOSING_AGAIN_MS);
            return self.live.timer(at, Timer::Contact(id));
        }
        let teller = match denied {
            None => Teller::Us,
            Some(reason) => match self
                .state
                .parcels
                .get(parcel)
                .map(|p| self.outlook(turn.now).rung(&p, Some(reason)))
            {
                Some(Rung::Settled(teller)) => teller,
                Some(Rung::Ask(_)) | None => Teller::Nobody {
                    reason: reason.into(),
                },
            },
        };
        if nobody_told && matches!(teller, Teller::Nobody { .. }) {
            // People know.
            return;
        }
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
    pub(in crate::node) fn courier_waited(&mut self, turn: &mut Turn<'_>, id: DepositId) {
        if let Some(reply) = self.live.couriers.remove(&id) {
            let answer = self.deposit_answer(id);
            self.reply(turn, reply, answer);
        }
    }
}

fn key_missing() -> Problem {
    field(
        "idempotency-key-missing",
        422,
        "a deposit needs an idempotency key",
        "Idempotency-Key",
        "send the header `Idempotency-Key` with a value that is new for each deposit",
    )
}

/// Draws a code; a draw in the biased tail is drawn again.
fn draw_code(turn: &mut Turn<'_>) -> PickupCode {
    loop {
        if let Some(code) = PickupCode::from_draw(turn.random64()) {
            return code;
        }
    }
}
