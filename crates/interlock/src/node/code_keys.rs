//! Pickup codes that only their recipient's device reads.
//!
//! INVARIANT: from when a recipient has enrolled a key for a parcel, its code leaves this node sealed to
//! that key and in no other way: no message says it, no page shows it, and no feed of a partner holds it in
//! clear. The key ends with the stay. What was sealed opens for ever at whoever holds the private key, and
//! is worth nothing once the parcel is out: a code opens its door once.

use interlock_core::ids::{DepositId, ParcelId};
use interlock_core::waybill::Waybill;
use serde_json::json;

use super::Node;
use super::io::{LocalAnswer, Problem};
use super::problem::{self, problem};
use super::record::{Asker, Record};
use super::state::parcels::Parcel;
use super::turn::Turn;
use crate::exchange::wire::CodeTold;
use crate::identity::code_key::{CodeKey, seal_code};

/// Most keys at a time, of parcels that are not picked up.
const CODE_KEYS_MAX: usize = 1_000_000;

impl Node {
    /// The key to which a parcel's code is sealed, if its recipient has enrolled one.
    pub(super) fn code_key(&self, parcel: ParcelId) -> Option<CodeKey> {
        self.state.code_keys.get(&parcel).copied()
    }

    /// Whether a recipient can enrol a key: the parcel is not picked up, and comes into a locker of ours.
    pub(super) fn may_enrol(&self, parcel: &Parcel) -> bool {
        let deposit = parcel.deposit.and_then(|id| self.state.deposits.get(&id));
        let over = deposit.is_some_and(|deposit| deposit.stay.phase().is_over());
        parcel.closed_at.is_none() && !over && !self.state.stations.is_empty()
    }

    /// Enrols a key from the recipient's page, where the first one stays, or by the system that speaks for
    /// the recipient, which may replace it. Whether it is enrolled.
    pub(super) fn enrol(
        &mut self,
        turn: &mut Turn<'_>,
        parcel: ParcelId,
        key: CodeKey,
        by: Asker,
    ) -> bool {
        let known = self.state.parcels.get(parcel);
        if !known.is_some_and(|parcel| self.may_enrol(&parcel)) {
            return false;
        }
        match self.code_key(parcel) {
            Some(known) if known == key => return true,
            // Whoever else has the link would read the code with a key of their own.
            Some(_) if by == Asker::Recipient => return false,
            None if self.state.code_keys.len() >= CODE_KEYS_MAX => return false,
            Some(_) | None => {}
        }
        self.record(turn, Record::CodeKey { parcel, key, by });
        self.ready_for(parcel);
        true
    }

    /// `PUT /parcels/{carrier}/{number}/recipient/code-key`.
    ///
    /// # Errors
    /// 404 if there is no such parcel here, 409 if there is no code to come.
    pub(super) fn put_code_key(
        &mut self,
        turn: &mut Turn<'_>,
        waybill: &Waybill,
        key: CodeKey,
        by: &str,
    ) -> Result<LocalAnswer, Problem> {
        let parcel = self.state.parcels.find(waybill);
        let parcel = parcel.ok_or_else(|| problem::not_found("parcel"))?.id;
        match self.enrol(turn, parcel, key, Asker::Person(by.into())) {
            true => Ok(LocalAnswer::Json {
                status: 200,
                body: json!({ "key": key.to_hex() }),
            }),
            false => Err(problem(
                "parcel-closed",
                409,
                "too late",
                "the parcel is out, or does not come into a locker of this node: there is no code to seal",
            )),
        }
    }

    /// `GET /parcels/{carrier}/{number}/recipient/code`: the code, sealed anew each time.
    ///
    /// At a participant whose partner has the parcel: what came from there, for the recipient's app. What is
    /// sealed it cannot read.
    ///
    /// # Errors
    /// 404 if there is no such parcel here, 409 if no key is enrolled or there is no code now.
    pub(super) fn sealed_code(
        &self,
        turn: &mut Turn<'_>,
        waybill: &Waybill,
    ) -> Result<LocalAnswer, Problem> {
        let parcel = self.state.parcels.find(waybill);
        let parcel = parcel.ok_or_else(|| problem::not_found("parcel"))?;
        let seen = parcel.code_seen().map(|told| match told {
            CodeTold::Open { code, compartment } => {
                json!({ "code": code, "compartment": compartment.to_string() })
            }
            CodeTold::Sealed { deposit, sealed } => {
                json!({ "deposit": deposit, "sealed": sealed })
            }
        });
        if let Some(body) = seen {
            return Ok(LocalAnswer::Json { status: 200, body });
        }
        let none = |why: &str| Err(problem("no-code", 409, "no code", why));
        if self.code_key(parcel.id).is_none() {
            return none(
                "the recipient has enrolled no key; a code leaves here sealed or not at all",
            );
        }
        let Some((deposit, code, compartment)) = self.own_code(&parcel) else {
            return none("the parcel lies in no compartment of ours now");
        };
        match self.seal_for(turn, parcel.id, deposit, &code, &compartment) {
            Some(sealed) => Ok(LocalAnswer::Json {
                status: 200,
                body: json!({ "deposit": deposit.to_string(), "sealed": sealed }),
            }),
            None => none("the key cannot be sealed to; enrol another one"),
        }
    }

    /// The code of a parcel that lies in a compartment of ours.
    fn own_code(&self, parcel: &Parcel) -> Option<(DepositId, String, String)> {
        let id = parcel.deposit?;
        let deposit = self.state.deposits.get(&id)?;
        let code = deposit.code.value.clone().filter(|_| deposit.lies())?;
        Some((id, code, deposit.compartment.number().to_string()))
    }

    /// Code and compartment, sealed to the parcel's key, in hexadecimal digits. `None` without a key.
    pub(super) fn seal_for(
        &self,
        turn: &mut Turn<'_>,
        parcel: ParcelId,
        deposit: DepositId,
        code: &str,
        compartment: &str,
    ) -> Option<String> {
        let key = self.code_key(parcel)?;
        let sealed = seal_code(&key, &deposit, code, compartment, turn.rng())?;
        Some(interlock_journal::hex::encode(&sealed))
    }
}
