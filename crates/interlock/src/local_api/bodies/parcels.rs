//! `PUT /parcels`.

use interlock_core::contact::{Phone, Recipient};
use interlock_core::ids::{Marketplace, MerchantId, ParticipantId, StationId};
use interlock_core::parcel::{Consent, Hour, Preference, SizeClass};
use interlock_core::waybill::Waybill;
use serde_json::Value;

use super::super::call::Call;
use super::super::input::{Errors, Object, below, flag, one_of, text, whole, words};
use super::super::{PARCELS_MAX, PARTICIPANTS_MAX};
use super::{instant, needed_waybill, refuse_repeats};
use crate::identity::code_key::CodeKey;
use crate::node::io::{
    CallPut, LeasedExtension, LocalRequest, ParcelPut, Problem, REVEAL_REASONS, RevealPut,
};

/// Longest name of a recipient, in bytes.
pub(in super::super) const RECIPIENT_NAME_BYTES_MAX: usize = 128;
/// Longest address, in bytes.
pub(in super::super) const ADDRESS_BYTES_MAX: usize = 512;

/// Names of consents, as written in bodies.
pub(in super::super) const CONSENTS: [Consent; 3] =
    [Consent::Given, Consent::Refused, Consent::Unknown];

/// The name of a consent.
pub(in super::super) const fn consent_name(consent: Consent) -> &'static str {
    match consent {
        Consent::Given => "given",
        Consent::Refused => "refused",
        Consent::Unknown => "unknown",
    }
}

/// One parcel, or an object with `parcels`.
pub(in super::super) fn put(call: &Call<'_>) -> Result<LocalRequest, Problem> {
    let value = call.json()?;
    let errors = Errors::default();
    let parcels = read(&value, &errors);
    errors.finish(parcels).map(LocalRequest::PutParcels)
}

fn read(value: &Value, errors: &Errors) -> Option<Vec<ParcelPut>> {
    if value.get("parcels").is_none() {
        return Some(vec![parcel(value, "", errors)?]);
    }
    let object = Object::of(value, "", errors, &["parcels"])?;
    let list = object.needed("parcels")?;
    let parcels = object.list("parcels", list, &(1..=PARCELS_MAX), |item, pointer| {
        parcel(item, pointer, errors)
    })?;
    let at = |index: usize| format!("/parcels/{index}/waybill");
    refuse_repeats(parcels.iter().map(|parcel| &parcel.waybill), at, errors);
    Some(parcels)
}

fn parcel(value: &Value, pointer: &str, errors: &Errors) -> Option<ParcelPut> {
    const KNOWN: [&str; 10] = [
        "waybill",
        "marketplace",
        "merchant",
        "recipient",
        "size",
        "consent",
        "preference",
        "owner",
        "lockers",
        "issuedAt",
    ];
    let object = Object::of(value, pointer, errors, &KNOWN)?;
    let waybill = needed_waybill(&object);
    let marketplace = object.need("marketplace", text(Marketplace::parse));
    let merchant = object.may("merchant", text(MerchantId::parse));
    let recipient = object.get("recipient");
    let recipient =
        recipient.and_then(|value| self::recipient(value, &below(pointer, "recipient"), errors));
    let size_class = object.may("size", text(SizeClass::parse));
    let consent = object.may("consent", one_of(&CONSENTS, consent_name));
    let preference = object.get("preference");
    let preference =
        preference.and_then(|value| self::preference(value, &below(pointer, "preference"), errors));
    let owner = object.may("owner", text(ParticipantId::parse));
    let lockers = object.texts("lockers", PARTICIPANTS_MAX, ParticipantId::parse);
    let issued_at = object.may("issuedAt", text(instant));
    Some(ParcelPut {
        waybill: waybill?,
        issued_at,
        marketplace: marketplace?,
        merchant,
        owner,
        recipient,
        size_class,
        consent: consent.unwrap_or_default(),
        preference: preference.unwrap_or_default(),
        lockers: lockers?,
    })
}

fn recipient(value: &Value, pointer: &str, errors: &Errors) -> Option<Recipient> {
    let object = Object::of(value, pointer, errors, &["name", "phone", "address"])?;
    let name = object.need("name", words(RECIPIENT_NAME_BYTES_MAX));
    let phone = object.need("phone", text(Phone::parse));
    let address = object.need("address", words(ADDRESS_BYTES_MAX));
    Some(Recipient {
        name: name?,
        phone: phone?,
        address: address?,
    })
}

fn preference(value: &Value, pointer: &str, errors: &Errors) -> Option<Preference> {
    let known = ["noLocker", "onlyStation", "notBefore"];
    let object = Object::of(value, pointer, errors, &known)?;
    let hour = |value: &Value| {
        let hour = whole(0..=23)(value)?;
        let hour = u8::try_from(hour).map_err(|error| error.to_string())?;
        Hour::try_from(hour).map_err(|error| error.to_string())
    };
    Some(Preference {
        no_locker: object.may("noLocker", flag).unwrap_or_default(),
        only_station: object.may("onlyStation", text(StationId::parse)),
        not_before: object.may("notBefore", hour),
    })
}

/// `PUT /parcels/{carrier}/{number}/recipient/wish`.
pub(in super::super) fn wish(call: &Call<'_>, waybill: Waybill) -> Result<LocalRequest, Problem> {
    call.object(&["consent", "preference"], |object| {
        let consent = object.need("consent", one_of(&CONSENTS, consent_name));
        let wanted = object.get("preference");
        let wanted =
            wanted.and_then(|value| preference(value, &object.at("preference"), object.errors()));
        Some(LocalRequest::PutWish(
            waybill,
            consent?,
            wanted.unwrap_or_default(),
        ))
    })
}

/// `PUT /parcels/{carrier}/{number}/recipient/code-key`.
pub(in super::super) fn code_key(
    call: &Call<'_>,
    waybill: Waybill,
) -> Result<LocalRequest, Problem> {
    let typed = |key: &str| {
        CodeKey::parse(key)
            .map_err(|_| "not a key; write the 64 hexadecimal digits of an X25519 public key")
    };
    call.object(&["key"], |object| {
        let key = object.need("key", text(typed));
        Some(LocalRequest::PutCodeKey(waybill, key?))
    })
}

/// `POST /labels/resolve`. The code is not repeated in errors.
pub(in super::super) fn resolve(call: &Call<'_>) -> Result<LocalRequest, Problem> {
    let typed = |code: &str| {
        let good = |b: u8| b.is_ascii_alphanumeric() || b == b'-';
        let fits = (1..=LABEL_CODE_BYTES_MAX).contains(&code.len()) && code.bytes().all(good);
        let remedy = "not a code; write it as it stands on the label, such as `7K3M-Q2XD-90AB`";
        fits.then(|| code.to_owned()).ok_or(remedy)
    };
    call.object(&["waybill", "code"], |object| {
        let waybill = needed_waybill(object);
        let code = object.need("code", text(typed));
        Some(LocalRequest::ResolveLabel(waybill?, code?))
    })
}

/// `POST /calls`. Numbers are not repeated in errors. A caller that shows itself as no number withholds it:
/// the call is decided without one, not refused.
pub(in super::super) fn call(call: &Call<'_>) -> Result<LocalRequest, Problem> {
    call.object(&["from", "to", "extension"], |object| {
        let from = object.may("from", text(|from| Ok::<_, &str>(Phone::parse(from).ok())));
        let to = object.need("to", text(Phone::parse));
        let extension = object.may("extension", text(LeasedExtension::parse));
        Some(LocalRequest::ConnectCall(CallPut {
            from: from.flatten(),
            to: to?,
            extension,
        }))
    })
}

/// Longest code of a label that is looked at, in bytes.
const LABEL_CODE_BYTES_MAX: usize = 14;

/// Longest reference of a request for a phone, in bytes.
pub(in super::super) const REFERENCE_BYTES_MAX: usize = 40;

/// `POST /reveals`.
pub(in super::super) fn reveal(call: &Call<'_>) -> Result<LocalRequest, Problem> {
    call.object(&["waybill", "reason", "reference"], |object| {
        let waybill = needed_waybill(object);
        let reason = object.need("reason", one_of(&REVEAL_REASONS, |reason| reason));
        let reference = object.may("reference", text(reference));
        Some(LocalRequest::AskReveal(RevealPut {
            waybill: waybill?,
            reason: reason?.to_owned(),
            reference,
        }))
    })
}

/// A number of a ticket or letter: nothing that could hold a sentence, or a phone.
fn reference(text: &str) -> Result<String, &'static str> {
    let good = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.' | b'/');
    let phone = text.bytes().filter(u8::is_ascii_digit).count() == text.len() && text.len() > 7;
    if !text.is_empty() && text.len() <= REFERENCE_BYTES_MAX && text.bytes().all(good) && !phone {
        return Ok(text.to_owned());
    }
    Err(
        "not a reference; write 1 to 40 letters, digits, `-`, `_`, `.` and `/`, such as `TICKET-4711`",
    )
}
