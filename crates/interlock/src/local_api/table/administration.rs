//! Rows about partners, keys, people and the node itself.

use http::Method;
use interlock_core::ids::ParticipantId;

use super::super::SMALL_BODY_SIZE_BYTES_MAX;
use super::super::bodies::admin;
use super::super::routes::{Idempotency, Route, Target, get, write};
use crate::identity::person::PersonName;
use crate::node::io::{KeyId, LocalRequest};

pub(super) const ROUTES: &[Route] = &[
    get(
        "/partners",
        "getPartners",
        "Who may talk to us.",
        "The partners.",
        Target::Node(|_| Ok(LocalRequest::GetPartners)),
    ),
    write(
        Method::POST,
        "/partners",
        "addPartner",
        "Lists a partner and pins its key.",
        (201, "The partner."),
        Target::Node(admin::partner),
    )
    .takes("Partner", SMALL_BODY_SIZE_BYTES_MAX),
    write(
        Method::DELETE,
        "/partners/{id}",
        "removePartner",
        "Takes a partner off the list.",
        (200, "An empty object."),
        Target::Node(|call| {
            Ok(LocalRequest::RemovePartner(
                call.segment("id", ParticipantId::parse)?,
            ))
        }),
    )
    .bodiless(),
    write(
        Method::POST,
        "/keys",
        "addKey",
        "Makes an API key. It is shown in this answer and never again. Where two people decide (`limits.approvals_min`), one of the role `telephone` counts once another person has approved it: 202, and `waits` is true. People are told of each such key that counts.",
        (201, "The key in `key`, with its name, role and `id`."),
        Target::NewKey,
    )
    .takes("Key", SMALL_BODY_SIZE_BYTES_MAX)
    .or(202, "The same, and `waits` is true: the key counts once another person has approved it.")
    .idempotency(Idempotency::Refused),
    write(
        Method::POST,
        "/keys/{id}/approve",
        "approveKey",
        "Agrees to a key that waits for another person than the one who asked for it. It counts from here on.",
        (200, "Its name, role and `id`; in `letInAlike` who let both people in, if somebody did."),
        Target::Node(|call| {
            call.nothing()?;
            Ok(LocalRequest::ApproveKey(call.segment("id", KeyId::parse)?))
        }),
    )
    .idempotency(Idempotency::Refused),
    get(
        "/keys",
        "getKeys",
        "Who holds API keys. The keys themselves are kept nowhere.",
        "The keys: `id`, name, role, since when; in `waiting` those that another person has to approve within a week, with who asked.",
        Target::Node(|_| Ok(LocalRequest::GetKeys)),
    ),
    write(
        Method::DELETE,
        "/keys/{id}",
        "withdrawKey",
        "Withdraws an API key at once. The last key of an administrator stays.",
        (200, "An empty object."),
        Target::Node(|call| Ok(LocalRequest::WithdrawKey(call.segment("id", KeyId::parse)?))),
    )
    .bodiless(),
    get(
        "/keys/signing",
        "getSigningKeys",
        "The key that the node signs with, those before it, and which partners have not receipted the newest.",
        "The keys, in multibase.",
        Target::Node(|_| Ok(LocalRequest::GetSigningKeys)),
    ),
    write(
        Method::POST,
        "/keys/signing/rotate",
        "rotateSigningKey",
        "From here on the node signs with a new key, which the old one signs for in every log; partners are told.",
        (200, "The keys, in multibase."),
        Target::Node(|call| {
            call.nothing()?;
            Ok(LocalRequest::RotateSigningKey)
        }),
    )
    .idempotency(Idempotency::Refused),
    get(
        "/people",
        "getPeople",
        "Who may log in to the pages.",
        "The people: name, roles, and whom a courier's or merchant's account is bound to.",
        Target::Node(|_| Ok(LocalRequest::GetPeople)),
    ),
    write(
        Method::POST,
        "/people",
        "putPerson",
        "Lets a person log in, or gives one that is known other roles, another password and other one-time codes. Both are shown in this answer and never again; what the person was logged in to ends.",
        (201, "The password in `password`, the secret of the one-time codes in `oneTimeSecret`, and in `enrolment` as authenticator apps take it up."),
        Target::NewPerson,
    )
    .takes("Person", SMALL_BODY_SIZE_BYTES_MAX)
    .idempotency(Idempotency::Refused),
    write(
        Method::DELETE,
        "/people/{name}",
        "withdrawPerson",
        "A person may not log in any more; sessions end at once.",
        (200, "An empty object."),
        Target::Node(|call| {
            Ok(LocalRequest::WithdrawPerson(
                call.segment("name", PersonName::parse)?,
            ))
        }),
    )
    .bodiless(),
    get(
        "/status",
        "getStatus",
        "How the node is.",
        "The state of journal, partners, agreements, feeds and outbox.",
        Target::Node(|_| Ok(LocalRequest::GetStatus)),
    ),
    get(
        "/statistics",
        "getStatistics",
        "What happened here in each week that is over, in counts rounded down to tens; null where there were fewer than ten. For regulators.",
        "The weeks, the oldest first.",
        Target::Node(|_| Ok(LocalRequest::GetStatistics)),
    ),
    get(
        "/openapi.json",
        "getDocument",
        "This document.",
        "OpenAPI 3.1.",
        Target::Document,
    ),
];
