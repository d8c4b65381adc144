//! What handhelds and cabinets see of deposits.

use interlock_core::ids::DepositId;
use interlock_core::locker::Phase;
use interlock_core::waybill::Waybill;
use serde_json::{Value, json};

use crate::exchange::wire::Contact;
use crate::node::Node;
use crate::node::io::LocalAnswer;
use crate::node::ladder::{Rung, refusal_words, teller_words};
use crate::node::problem::{self, problem};
use crate::node::record::Teller;
use crate::node::state::Deposit;
use crate::node::turn::Turn;

impl Node {
    /// `POST /rounds/check`: nothing changes.
    pub(in crate::node) fn check_round(
        &self,
        turn: &Turn<'_>,
        waybills: &[Waybill],
    ) -> LocalAnswer {
        let items: Vec<Value> = waybills
            .iter()
            .map(|waybill| {
                let teller = match self.state.parcels.find(waybill) {
                    None => Some(Teller::Nobody {
                        reason: "owner-unknown".into(),
                    }),
                    Some(parcel) => match self.outlook(turn.now).rung(&parcel, None) {
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
    pub(in crate::node) fn deposit_answer(&self, id: DepositId) -> LocalAnswer {
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
    pub(in crate::node) fn deposit_view(&self, id: DepositId) -> Value {
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
            "phone": self.phone_for_courier(&deposit),
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
            } if extension.is_empty() => Some(number.clone()),
            Contact::Virtual {
                number, extension, ..
            } => Some(format!("{number},{extension}")),
            Contact::Sealed { .. } => None,
        }
    }
}
