//! What bodies hold, by what they are about.
//!
//! INVARIANT: whatever a reader here takes, the schema of the same name in the document allows, and
//! the other way round, as far as a schema can say it; a test holds both to it.

pub(super) mod admin;
pub(super) mod agreements;
pub(super) mod deposits;
pub(super) mod events;
pub(super) mod mediations;
pub(super) mod parcels;
pub(super) mod people;
pub(super) mod stations;

use interlock_core::time::{TimeError, Timestamp};
use interlock_core::waybill::Waybill;
use serde_json::Value;

use super::input::{Errors, Object, below, text};

/// An instant in RFC 3339 with an offset.
fn instant(text: &str) -> Result<Timestamp, TimeError> {
    Timestamp::parse_zoned(text).map(|(at, _)| at)
}

/// A waybill: an object with carrier and number, `carrier/number`, or a number alone whose pattern
/// fits exactly one known carrier. Errors do not repeat the number.
fn waybill(value: &Value, pointer: &str, errors: &Errors) -> Option<Waybill> {
    match value {
        Value::String(number) => match bare_waybill(number) {
            Ok(waybill) => Some(waybill),
            Err(detail) => {
                errors.push(pointer, detail);
                None
            }
        },
        Value::Object(_) => {
            let object = Object::of(value, pointer, errors, &["carrier", "number"])?;
            let carrier = object.need("carrier", text(|t| Ok::<_, String>(t.to_owned())));
            let number = object.need("number", text(|t| Ok::<_, String>(t.to_owned())));
            match Waybill::parse(&carrier?, &number?) {
                Ok(waybill) => Some(waybill),
                Err(error) => {
                    use interlock_core::waybill::WaybillError;
                    let member = match error {
                        WaybillError::Carrier { .. } | WaybillError::NoCarrier => "carrier",
                        WaybillError::Pattern { .. } | WaybillError::CheckDigit { .. } => "number",
                    };
                    let detail = match error {
                        WaybillError::Carrier { .. } => {
                            "not a carrier code; write 2 to 16 lower-case letters and digits, such \
                             as `sf`"
                                .into()
                        }
                        WaybillError::Pattern { .. }
                        | WaybillError::CheckDigit { .. }
                        | WaybillError::NoCarrier => error.to_string(),
                    };
                    errors.push(&below(pointer, member), detail);
                    None
                }
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Array(_) => {
            let detail = "expected a waybill: its number as a string, or an object with `carrier` \
                          and `number`";
            errors.push(pointer, detail);
            None
        }
    }
}

/// `carrier/number`, or a number alone whose pattern fits exactly one known carrier.
///
/// # Errors
/// What to write instead; the number is not repeated.
pub(in super::super) fn bare_waybill(text: &str) -> Result<Waybill, String> {
    if text.contains('/') {
        return Waybill::parse_text(text).map_err(|error| error.to_string());
    }
    let carriers = Waybill::guess(text);
    let said = carriers
        .iter()
        .find(|carrier| begins_with_name(text, carrier.as_str()));
    match (said, carriers.as_slice()) {
        (Some(carrier), _) | (None, [carrier]) => {
            Waybill::parse(carrier.as_str(), text).map_err(|error| error.to_string())
        }
        (None, []) => Err(
            "no known carrier has such numbers; check it, or name the carrier, with a slash between: \
             `sf/...`"
                .into(),
        ),
        (None, several) => {
            let names: Vec<String> = several.iter().map(|code| format!("`{code}`")).collect();
            Err(format!(
                "numbers of {} look like this; name the carrier, with a slash between: `sf/...`",
                names.join(" and of ")
            ))
        }
    }
}

/// Whether a number says its carrier's name, as SF's do: that decides where patterns overlap.
fn begins_with_name(number: &str, carrier: &str) -> bool {
    number
        .get(..carrier.len())
        .is_some_and(|start| start.eq_ignore_ascii_case(carrier))
}

/// A waybill that has to be there.
fn needed_waybill(object: &Object<'_>) -> Option<Waybill> {
    let value = object.needed("waybill")?;
    waybill(value, &object.at("waybill"), object.errors())
}

/// Records the second of two equal waybills: a request about one parcel twice contradicts itself.
fn refuse_repeats<'a>(
    waybills: impl Iterator<Item = &'a Waybill>,
    at: impl Fn(usize) -> String,
    errors: &Errors,
) {
    let mut seen = std::collections::HashMap::new();
    for (index, waybill) in waybills.enumerate() {
        if let Some(first) = seen.insert(*waybill, index) {
            let detail = format!("the same waybill as `{}`; send it once", at(first));
            errors.push(&at(index), detail);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(value: &Value) -> Result<Waybill, String> {
        let errors = Errors::default();
        let read = waybill(value, "/waybill", &errors);
        let refused = |problem: crate::node::io::Problem| {
            let error = problem.errors.first().cloned().unwrap();
            format!("{} {}", error.pointer, error.detail)
        };
        errors.finish(read).map_err(refused)
    }

    #[test]
    fn a_bare_number_names_its_carrier_or_the_carrier_is_asked_for() {
        let sf = Waybill::parse("sf", "SF1234567890123").unwrap();
        assert_eq!(read(&"SF1234567890123".into()), Ok(sf));
        assert_eq!(read(&"sf/SF1234567890123".into()), Ok(sf));
        let object = serde_json::json!({ "carrier": "sf", "number": "SF1234567890123" });
        assert_eq!(read(&object), Ok(sf));
        let ambiguous = read(&"75312345678901".into()).unwrap_err();
        assert!(ambiguous.contains("`zto` and of `yto`"), "{ambiguous}");
        let unknown = read(&"ABC-1".into()).unwrap_err();
        assert!(unknown.contains("name the carrier"), "{unknown}");
    }

    #[test]
    fn a_wrong_waybill_is_named_and_not_repeated() {
        for (value, pointer) in [
            (
                serde_json::json!({ "carrier": "sf", "number": "13812341234" }),
                "/waybill/number",
            ),
            (
                serde_json::json!({ "carrier": "13812341234!", "number": "1" }),
                "/waybill/carrier",
            ),
            (serde_json::json!({ "carrier": "sf" }), "/waybill/number"),
            (
                serde_json::json!({ "carrier": "sf", "number": 5 }),
                "/waybill/number",
            ),
            (serde_json::json!("sf/13812341234"), "/waybill "),
            (serde_json::json!("13812341234"), "/waybill "),
            (serde_json::json!(13_812_341_234_u64), "/waybill "),
        ] {
            let error = read(&value).unwrap_err();
            assert!(error.starts_with(pointer), "{error}");
            assert!(!error.contains("13812341234"), "{error}");
        }
    }
}
