//! Rounds, deposits, and what a cabinet reports of them.

use interlock_core::contact::Phone;
use interlock_core::ids::{CourierId, StationId};
use interlock_core::parcel::{ClaimToken, SizeClass};

use super::super::ROUND_WAYBILLS_MAX;
use super::super::call::Call;
use super::super::input::text;
use super::{needed_waybill, refuse_repeats, waybill};
use crate::node::io::{DepositAction, DepositRequest, LocalRequest, Problem};

/// Longest code that is looked at, in bytes; a longer one is none.
pub(in super::super) const CODE_BYTES_MAX: usize = 16;

/// `POST /rounds/check`.
pub(in super::super) fn check_round(call: &Call<'_>) -> Result<LocalRequest, Problem> {
    call.object(&["waybills"], |object| {
        let list = object.needed("waybills")?;
        let length = 1..=ROUND_WAYBILLS_MAX;
        let waybills = object.list("waybills", list, &length, |item, pointer| {
            waybill(item, pointer, object.errors())
        })?;
        let at = |index: usize| format!("/waybills/{index}");
        refuse_repeats(waybills.iter(), at, object.errors());
        Some(LocalRequest::CheckRound { waybills })
    })
}

/// `POST /deposits`.
pub(in super::super) fn open(call: &Call<'_>) -> Result<LocalRequest, Problem> {
    let known = ["waybill", "station", "size", "courier", "claim", "contact"];
    call.object(&known, |object| {
        let waybill = needed_waybill(object);
        let station = object.need("station", text(StationId::parse));
        let size_class = object.need("size", text(SizeClass::parse));
        let courier = object.need("courier", text(CourierId::parse));
        let claim = object.may("claim", text(ClaimToken::parse));
        let contact = object.may("contact", text(Phone::parse));
        Some(LocalRequest::OpenDeposit(DepositRequest {
            waybill: waybill?,
            station: station?,
            size_class: size_class?,
            courier: courier?,
            claim,
            contact,
        }))
    })
}

/// `POST /deposits/{id}/open`. The code is not repeated in errors.
pub(in super::super) fn code(call: &Call<'_>) -> Result<DepositAction, Problem> {
    let typed = |code: &str| {
        let good = (1..=CODE_BYTES_MAX).contains(&code.len());
        let good = good && code.bytes().all(|b| b.is_ascii_alphanumeric());
        let remedy = "not a code; send 1 to 16 letters and digits as they were typed";
        if good {
            Ok(code.to_owned())
        } else {
            Err(remedy)
        }
    };
    call.object(&["code"], |object| {
        let code = object.need("code", text(typed))?;
        Some(DepositAction::Open { code })
    })
}

/// `POST /deposits/{id}/redirect`.
pub(in super::super) fn redirect(call: &Call<'_>) -> Result<DepositAction, Problem> {
    call.object(&["station"], |object| {
        let station = object.need("station", text(StationId::parse))?;
        Some(DepositAction::Redirect { station })
    })
}
