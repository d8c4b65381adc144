//! Bodies about people: accounts, and phones that somebody has to see.

use serde_json::{Value, json};

use super::super::bodies::parcels::{CONSENTS, consent_name};
use super::{list, named, object, one_of, text, with_example};
use crate::identity::person::PEOPLE_ROLES;
use crate::node::io::{REVEAL_REASONS, Role};

/// Longest telephone number, in bytes: a plus sign and 15 digits.
const PHONE_BYTES_MAX: usize = 16;

/// `POST /reveals`.
pub(super) fn reveal() -> Value {
    let reveal = object(
        "Whose phone somebody has to see in clear, and why.",
        &["waybill", "reason"],
        json!({
            "waybill": named("Waybill"),
            "reason": one_of("Why.", &REVEAL_REASONS, |reason| reason),
            "reference": { "type": "string", "pattern": "^[A-Za-z0-9._/-]{1,40}$",
                "description": "Number of a ticket or letter." },
        }),
    );
    with_example(
        reveal,
        json!({ "waybill": "sf/SF1234567890123", "reason": "complaint",
            "reference": "TICKET-4711" }),
    )
}

/// `PUT /parcels/{carrier}/{number}/recipient/wish`.
pub(super) fn wish() -> Value {
    let wish = object(
        "What the recipient says of lockers for this parcel.",
        &["consent"],
        json!({
            "consent": one_of("Whether into a locker at all.", &CONSENTS, consent_name),
            "preference": named("Preference"),
        }),
    );
    with_example(
        wish,
        json!({ "consent": "given",
            "preference": { "noLocker": false, "onlyStation": "SZ-001", "notBefore": 18 } }),
    )
}

/// `POST /labels/resolve`.
pub(super) fn label_code() -> Value {
    let code = object(
        "A label that was scanned and read.",
        &["waybill", "code"],
        json!({
            "waybill": named("Waybill"),
            "code": { "type": "string", "pattern": "^[A-Za-z0-9-]{1,14}$",
                "description": "The code that stands in place of the address." },
        }),
    );
    with_example(
        code,
        json!({ "waybill": "sf/SF1234567890123", "code": "7K3M-Q2XD-90AB" }),
    )
}

/// `POST /calls`.
pub(super) fn call() -> Value {
    let call = object(
        "A call that arrives at one of our virtual numbers.",
        &["to"],
        json!({
            "from": { "type": "string",
                "description": "From which number, in E.164. Absent where it is withheld; any other text counts as withheld." },
            "to": text("At which of our numbers, in E.164.", PHONE_BYTES_MAX),
            "extension": { "type": "string", "pattern": "^[0-9]{12}$",
                "description": "What was dialled behind it, at `notify.virtual_number`." },
        }),
    );
    with_example(
        call,
        json!({ "from": "+8695000001", "to": "+8695000000", "extension": "004711000815" }),
    )
}

/// `POST /people`.
pub(super) fn person() -> Value {
    let person = object(
        "Who may log in, and what the person may do.",
        &["name", "roles"],
        json!({
            "name": { "type": "string", "pattern": "^[a-z][a-z0-9._-]{0,63}$",
                "description": "Logs in with this; stands in histories." },
            "roles": list("What the person may do.", &one_of("A role.", &PEOPLE_ROLES, Role::as_str),
                1, PEOPLE_ROLES.len()),
            "courier": text("Who a courier is; with the role `courier` and no other.", 64),
            "merchant": text("For whom a merchant's people work; with the role `merchant` and no \
                other.", 64),
        }),
    );
    with_example(
        person,
        json!({ "name": "li.lei", "roles": ["courier", "merchant"], "courier": "c7",
            "merchant": "m1" }),
    )
}

pub(super) fn code_key() -> Value {
    let key = object(
        "A key of the recipient's device.",
        &["key"],
        json!({
            "key": { "type": "string", "pattern": "^[0-9a-f]{64}$",
                "description": "An X25519 public key, 64 hexadecimal digits." },
        }),
    );
    let example = "8520f0098930a754748b7ddcb43ef75a0dbf3a0d26381af4eba4a98eaa9b4e6a";
    with_example(key, json!({ "key": example }))
}
