//! The schemas of bodies (JSON Schema 2020-12, as OpenAPI 3.1 has it), each with an example that
//! gives every member.
//!
//! INVARIANT: a test takes each example apart member by member and holds the real reader to
//! `required`, to the types and to the refusal of unknown members. This module reads nothing.

mod people;

use interlock_core::dataset::Dataset;
use interlock_core::station::{COMPARTMENTS_MAX, STATION_NAME_LENGTH_MAX, StationState};
use interlock_core::terms::Purpose;
use serde_json::{Map, Value, json};

use super::bodies::admin::{KEY_NAME_BYTES_MAX, ROLES};
use super::bodies::agreements::{CONTACT_FORMS, REASON_BYTES_MAX};
use super::bodies::deposits::CODE_BYTES_MAX;
use super::bodies::parcels::{ADDRESS_BYTES_MAX, CONSENTS, RECIPIENT_NAME_BYTES_MAX, consent_name};
use super::mediation_schema::mediations;
use super::{
    NEGOTIATION_OFFERS_MAX, OFFERS_MAX, PARCELS_MAX, PARTICIPANTS_MAX, ROUND_WAYBILLS_MAX,
    STATIONS_MAX,
};
use crate::epcis::EVENTS_MAX;
use crate::identity::partner::{NAME_LENGTH_MAX, Role as ParticipantRole};
use crate::node::io::Role;

/// The schema of something that stands in the components.
pub(super) fn named(name: &str) -> Value {
    json!({ "$ref": format!("#/components/schemas/{name}") })
}

pub(super) fn object(description: &str, required: &[&str], members: Value) -> Value {
    json!({
        "type": "object",
        "description": description,
        "additionalProperties": false,
        "required": required,
        "properties": members,
    })
}

pub(super) fn text(description: &str, length_max: usize) -> Value {
    json!({ "type": "string", "description": description, "minLength": 1, "maxLength": length_max })
}

fn one_of<T: Copy>(description: &str, all: &[T], name: impl Fn(T) -> &'static str) -> Value {
    let names: Vec<&str> = all.iter().map(|one| name(*one)).collect();
    json!({ "type": "string", "description": description, "enum": names })
}

pub(super) fn list(description: &str, items: &Value, min: usize, max: usize) -> Value {
    json!({
        "type": "array",
        "description": description,
        "items": items,
        "minItems": min,
        "maxItems": max,
    })
}

pub(super) fn instant(description: &str) -> Value {
    json!({ "type": "string", "format": "date-time", "description": description })
}

pub(super) fn did(description: &str) -> Value {
    json!({ "type": "string", "description": description, "pattern": "^did:[a-z0-9]+:.+$",
        "maxLength": 256 })
}

pub(super) fn with_example(mut schema: Value, example: Value) -> Value {
    if let Value::Object(members) = &mut schema {
        members.insert("examples".into(), json!([example]));
    }
    schema
}

fn one_or_many(one: &str, many: &str, most: usize, example: Value) -> Value {
    let several = object(
        "Several, all or none of which are taken.",
        &[many],
        json!({ many: list("", &named(one), 1, most) }),
    );
    with_example(json!({ "oneOf": [named(one), several] }), example)
}

/// All schemas by name.
pub(super) fn schemas() -> Map<String, Value> {
    let parts = [
        shared(),
        parcels(),
        deposits(),
        stations(),
        agreements(),
        decisions(),
        mediations(),
        administration(),
        documents(),
    ];
    parts
        .into_iter()
        .flatten()
        .map(|(name, schema)| (name.to_owned(), schema))
        .collect()
}

pub(super) type Named = Vec<(&'static str, Value)>;

fn shared() -> Named {
    let waybill = json!({
        "description": "A carrier and its number. A number alone will do where the pattern fits one \
                        known carrier only.",
        "oneOf": [
            text("The number, or carrier and number with a slash between.", 49),
            object("Carrier and number.", &["carrier", "number"], json!({
                "carrier": { "type": "string", "pattern": "^[a-z0-9]{2,16}$" },
                "number": { "type": "string", "pattern": "^[A-Za-z0-9]{1,32}$" },
            })),
        ],
    });
    let policy = json!({
        "type": "object",
        "description": "An ODRL 2.2 policy in the `il:` profile, in the JSON of DSP 2025-1.",
    });
    let size = json!({ "type": "string", "description": "Size class.",
        "enum": ["small", "medium", "large", "A", "B", "C"] });
    vec![("Waybill", waybill), ("Policy", policy), ("Size", size)]
}

fn parcels() -> Named {
    let recipient = object(
        "Who gets the parcel. Kept sealed, never shown in full.",
        &["name", "phone", "address"],
        json!({
            "name": text("Name, in bytes.", RECIPIENT_NAME_BYTES_MAX),
            "phone": text("A Chinese mobile number of 11 digits, or E.164 with `+`.", 16),
            "address": text("Postal address, in bytes.", ADDRESS_BYTES_MAX),
        }),
    );
    let preference = object(
        "What the recipient prefers. It narrows a consent and never widens one.",
        &[],
        json!({
            "noLocker": { "type": "boolean", "description": "Not into a locker this time." },
            "onlyStation": text("Only into this station.", 64),
            "notBefore": { "type": "integer", "minimum": 0, "maximum": 23,
                "description": "Not before this hour of the local day." },
        }),
    );
    let parcel = object(
        "One parcel.",
        &["waybill", "marketplace"],
        json!({
            "waybill": named("Waybill"),
            "marketplace": text("Where the order came from, such as `taobao`.", 64),
            "merchant": text("The merchant, in the marketplace's words.", 64),
            "recipient": named("Recipient"),
            "size": named("Size"),
            "consent": one_of("Whether the recipient agreed to lockers; `unknown` if not given.",
                &CONSENTS, consent_name),
            "preference": named("Preference"),
            "owner": did("Who authorises the parcel's data; a platform names nobody."),
            "lockers": list("Locker operators to advise of it.", &did("A partner."), 0,
                PARTICIPANTS_MAX),
            "issuedAt": instant("When the waybill was issued; now, if not given."),
        }),
    );
    let example = json!({ "parcels": [{
        "waybill": { "carrier": "sf", "number": "SF1234567890123" },
        "marketplace": "taobao",
        "merchant": "shop-7",
        "recipient": { "name": "Wang Fang", "phone": "+8613800000000",
            "address": "Nanshan, Shenzhen" },
        "size": "small",
        "consent": "given",
        "preference": { "noLocker": false, "onlyStation": "SZ-001", "notBefore": 9 },
        "owner": "did:web:cainiao.example",
        "lockers": ["did:web:fengchao.example"],
        "issuedAt": "2017-05-31T09:00:00+08:00",
    }] });
    vec![
        ("Recipient", recipient),
        ("Preference", preference),
        ("Parcel", parcel),
        (
            "Parcels",
            one_or_many("Parcel", "parcels", PARCELS_MAX, example),
        ),
    ]
}

fn deposits() -> Named {
    let round = object(
        "The parcels of a round.",
        &["waybills"],
        json!({ "waybills": list("", &named("Waybill"), 1, ROUND_WAYBILLS_MAX) }),
    );
    let round = with_example(round, json!({ "waybills": ["SF1234567890123"] }));
    let deposit = object(
        "A parcel that is to go into a compartment.",
        &["waybill", "station", "size", "courier"],
        json!({
            "waybill": named("Waybill"),
            "station": text("The station.", 64),
            "size": named("Size"),
            "courier": text("The courier, in the carrier's words.", 64),
            "claim": { "type": "string", "pattern": "^[0-9a-f]{32}$",
                "description": "The claim token of the label, if it was scanned." },
            "contact": text("The recipient's number as the courier typed it, where the owner is \
                             unknown.", 16),
        }),
    );
    let deposit = with_example(
        deposit,
        json!({
            "waybill": "SF1234567890123",
            "station": "SZ-001",
            "size": "small",
            "courier": "c-17",
            "claim": "00112233445566778899aabbccddeeff",
            "contact": "13800000000",
        }),
    );
    let code = object(
        "A code as it was typed.",
        &["code"],
        json!({ "code": { "type": "string",
            "pattern": format!("^[A-Za-z0-9]{{1,{CODE_BYTES_MAX}}}$") } }),
    );
    let redirect = object(
        "Where the parcel goes.",
        &["station"],
        json!({ "station": text("The other station.", 64) }),
    );
    vec![
        ("Round", round),
        ("Deposit", deposit),
        ("Code", with_example(code, json!({ "code": "402931" }))),
        (
            "Redirect",
            with_example(redirect, json!({ "station": "SZ-002" })),
        ),
    ]
}

fn stations() -> Named {
    let degrees = |max: u8| {
        json!({ "type": "number", "minimum": -i16::from(max), "maximum": max,
            "description": "Degrees (WGS 84)." })
    };
    let count = json!({ "type": "integer", "minimum": 0, "maximum": COMPARTMENTS_MAX });
    let station = object(
        "A locker station of ours.",
        &["id", "name", "position", "capacity"],
        json!({
            "id": text("Its name for machines.", 64),
            "name": text("Its name for people, in bytes.", STATION_NAME_LENGTH_MAX),
            "position": object("Where it stands.", &["longitude", "latitude"],
                json!({ "longitude": degrees(180), "latitude": degrees(90) })),
            "state": one_of("Whether it works; `operating` if not given.", &StationState::ALL,
                StationState::as_str),
            "capacity": object("Installed compartments; 1 to 2000 in all.", &[],
                json!({ "small": count, "medium": count, "large": count })),
        }),
    );
    let example = json!({ "stations": [{
        "id": "SZ-001",
        "name": "Keyuan Road 12",
        "position": { "longitude": 113.9468, "latitude": 22.5407 },
        "state": "operating",
        "capacity": { "small": 20, "medium": 16, "large": 4 },
    }] });
    vec![
        ("Station", station),
        (
            "Stations",
            one_or_many("Station", "stations", STATIONS_MAX, example),
        ),
    ]
}

/// A policy that is taken: tracking events of one marketplace for a month.
pub(super) fn example_policy() -> Value {
    let typed = |kind: &str, value: &str| json!({ "@type": format!("http://www.w3.org/2001/XMLSchema#{kind}"), "@value": value });
    let constraint = |left: &str, operator: &str, right: Value| json!({ "leftOperand": left, "operator": operator, "rightOperand": right });
    json!({ "permission": [{ "action": "use", "constraint": [
        constraint("odrl:dateTime", "gteq", typed("dateTime", "2017-06-03T12:00:00+08:00")),
        constraint("odrl:dateTime", "lt", typed("dateTime", "2017-07-01T00:00:00+08:00")),
        constraint("odrl:purpose", "isAnyOf", json!(["delivery-tracking"])),
        constraint("il:marketplace", "isAnyOf", json!(["taobao"])),
        constraint("il:field", "isAnyOf", json!(["event-time", "number", "step", "waybill"])),
        constraint("il:runOff", "lteq", typed("duration", "P7D")),
    ] }] })
}

pub(super) fn dataset() -> Value {
    one_of("The dataset.", &Dataset::ALL, Dataset::as_str)
}

fn agreements() -> Named {
    let id = |description: &str| text(description, 256);
    let offer = object(
        "What is offered to partners, under which terms.",
        &["id", "dataset", "policy"],
        json!({
            "id": id("A name for the offer, ours to choose."),
            "dataset": text("The kind of dataset; of several of a kind, `KIND:NAME`.", 256),
            "policy": named("Policy"),
            "audience": list("To whom; every partner if empty.", &did("A partner."), 0,
                PARTICIPANTS_MAX),
            "autoAccept": { "type": "boolean",
                "description": "Accept requests within the offer without asking people." },
        }),
    );
    let offer_example = json!({ "id": "tracking-2017", "dataset": "tracking-events",
        "policy": example_policy(), "audience": ["did:web:cainiao.example"], "autoAccept": true });
    let offers = object(
        "Many offers; all or none are taken.",
        &["offers"],
        json!({ "offers": list("The offers, each id once.", &named("Offer"), 1, OFFERS_MAX) }),
    );
    let mut named_offer = offer_example.clone();
    if let Value::Object(members) = &mut named_offer {
        members.insert("id".into(), "tracking-hangzhou".into());
        members.insert("dataset".into(), "tracking-events:hangzhou".into());
    }
    let offers_example = json!({ "offers": [offer_example.clone(), named_offer] });
    let policies = json!({ "type": "object", "additionalProperties": named("Policy"),
        "description": "Policies to ask for instead of the offered ones, by offer." });
    let proposal = object(
        "A request for agreements, one for each offer, as one cooperation.",
        &["partner", "offers"],
        json!({
            "partner": did("The partner."),
            "offers": list("Its offers.", &id("An offer."), 1, NEGOTIATION_OFFERS_MAX),
            "policies": policies,
        }),
    );
    let proposal_example = json!({ "partner": "did:web:sf.example", "offers": ["tracking-2017"],
        "policies": { "tracking-2017": example_policy() } });
    vec![
        ("Offer", with_example(offer, offer_example)),
        ("Offers", with_example(offers, offers_example)),
        ("Proposal", with_example(proposal, proposal_example)),
    ]
}

fn decisions() -> Named {
    let reason = || {
        text(
            "Why, for people at the other side, in bytes.",
            REASON_BYTES_MAX,
        )
    };
    let termination = object(
        "When and why an agreement ends.",
        &["at", "reason"],
        json!({ "at": instant("When it ends."), "reason": reason() }),
    );
    let renewal = object(
        "The next term of an agreement: the same terms for as long again, or another policy, or \
         another end.",
        &[],
        json!({ "until": instant("When it ends."), "policy": named("Policy") }),
    );
    let renewal = with_example(
        renewal,
        json!({ "until": "2017-08-01T00:00:00+08:00", "policy": example_policy() }),
    );
    let explain = object(
        "A release that is only thought of.",
        &["partner", "dataset", "purpose"],
        json!({
            "partner": did("Who would get it."),
            "dataset": dataset(),
            "purpose": one_of("For what.", Purpose::ALL, Purpose::as_str),
            "waybill": named("Waybill"),
            "form": one_of("Form of contact.", &CONTACT_FORMS, |form| form.as_str()),
            "at": instant("At which time; now, if not given."),
        }),
    );
    let explain_example = json!({ "partner": "did:web:fengchao.example",
        "dataset": "recipient-contact", "purpose": "pickup-notification",
        "waybill": "SF1234567890123", "form": "virtual", "at": "2017-06-01T00:00:00+08:00" });
    let counter = object(
        "Other terms.",
        &["policy"],
        json!({ "policy": named("Policy") }),
    );
    let reasons = object("A reason.", &["reason"], json!({ "reason": reason() }));
    let termination = with_example(
        termination,
        json!({ "at": "2017-07-01T00:00:00+08:00", "reason": "the mediation failed" }),
    );
    vec![
        (
            "Counter",
            with_example(counter, json!({ "policy": example_policy() })),
        ),
        (
            "Reason",
            with_example(reasons, json!({ "reason": "the term is too long" })),
        ),
        ("Termination", termination),
        ("Renewal", renewal),
        ("Explain", with_example(explain, explain_example)),
    ]
}

fn administration() -> Named {
    let partner = object(
        "Who may talk to us.",
        &["id", "name", "roles", "exchangeUrl", "key"],
        json!({
            "id": did("Its DID."),
            "name": text("Its name, in bytes.", NAME_LENGTH_MAX),
            "roles": list("What it does.",
                &one_of("", &ParticipantRole::ALL, ParticipantRole::as_str), 1,
                ParticipantRole::ALL.len()),
            "exchangeUrl": { "type": "string", "format": "uri", "maxLength": 512,
                "description": "Base address of its exchange door." },
            "key": text("Its Ed25519 key: multibase, 64 hexadecimal digits or a JWK as text.", 512),
            "marketplaces": list("Marketplaces whose parcels it owns.", &text("", 64), 0,
                PARTICIPANTS_MAX),
            "carriers": list("Carriers for which it speaks.", &text("", 16), 0, PARTICIPANTS_MAX),
            "certificatePin": { "type": "string", "pattern": "^sha256:[0-9A-Fa-f]{64}$",
                "description": "SHA-256 of its TLS certificate." },
            "connector": { "type": "boolean", "description": "It runs a connector that is not \
                Interlock; `exchangeUrl` is the base of its Dataspace Protocol endpoints." },
            "connectorId": text("What its connector calls itself in offers and agreements; its id \
                where absent.", 256),
            "parcelDataWithoutManifest": { "type": "boolean", "description": "Parcel data may be \
                agreed on with such a connector, which signs no manifest." },
        }),
    );
    let partner = with_example(
        partner,
        json!({
            "id": "did:web:sf.example",
            "name": "SF",
            "roles": ["carrier"],
            "exchangeUrl": "https://node.sf.example",
            "key": "z6MktwupdmLXVVqTzCw4i46r4uGyosGXRnR3XjN4Zq7oMMsw",
            "marketplaces": ["sf-buy"],
            "carriers": ["sf"],
            "certificatePin":
                "sha256:0000000000000000000000000000000000000000000000000000000000000000",
            "connector": false,
            "connectorId": "did:web:sf.example",
            "parcelDataWithoutManifest": false,
        }),
    );
    let key = object(
        "Who gets a key, and what it may do.",
        &["name", "role"],
        json!({
            "name": text("Who will hold it, in bytes.", KEY_NAME_BYTES_MAX),
            "role": one_of("What it may do.", &ROLES, Role::as_str),
        }),
    );
    let key = with_example(key, json!({ "name": "handheld 17", "role": "handheld" }));
    vec![
        ("Partner", partner),
        ("Key", key),
        ("Person", people::person()),
        ("Reveal", people::reveal()),
        ("LabelCode", people::label_code()),
        ("Call", people::call()),
        ("Wish", people::wish()),
        ("CodeKey", people::code_key()),
    ]
}

fn documents() -> Named {
    let epcis = json!({
        "type": "object",
        "description": format!(
            "An EPCISDocument (GS1 EPCIS 2.0, JSON) with 1 to {EVENTS_MAX} ObjectEvents, each of \
             one parcel and one step. Its members are checked as EPCIS has them."
        ),
        "required": ["type", "schemaVersion", "creationDate", "epcisBody"],
        "examples": [{
            "@context": ["https://ref.gs1.org/standards/epcis/2.0.0/epcis-context.jsonld"],
            "type": "EPCISDocument",
            "schemaVersion": "2.0",
            "creationDate": "2017-06-01T08:00:00+08:00",
            "epcisBody": { "eventList": [{
                "type": "ObjectEvent",
                "eventTime": "2017-06-01T07:58:00+08:00",
                "eventTimeZoneOffset": "+08:00",
                "epcList": ["https://id.sf.example/waybill/sf/SF1234567890123"],
                "action": "OBSERVE",
                "bizStep": "arriving",
                "disposition": "in_progress",
            }] },
        }],
    });
    let problem = json!({
        "type": "object",
        "description": "A refusal (RFC 9457).",
        "required": ["type", "title", "status", "detail"],
        "properties": {
            "type": { "type": "string", "format": "uri" },
            "title": { "type": "string" },
            "status": { "type": "integer" },
            "detail": { "type": "string", "description": "What happened and what to do about it." },
            "errors": { "type": "array", "items": {
                "type": "object",
                "required": ["pointer", "detail"],
                "properties": {
                    "pointer": { "type": "string", "format": "json-pointer" },
                    "detail": { "type": "string" },
                },
            } },
        },
    });
    vec![("EpcisDocument", epcis), ("Problem", problem)]
}
