//! Partners and API keys.

use interlock_core::ids::{Marketplace, ParticipantId, WireId};
use interlock_core::waybill::CarrierCode;
use serde_json::Value;

use super::super::PARTICIPANTS_MAX;
use super::super::call::Call;
use super::super::input::{flag, one_of, text, words};
use crate::identity::keys::PublicKey;
use crate::identity::partner::{NAME_LENGTH_MAX, Partner, Role as ParticipantRole};
use crate::identity::tls::CertificatePin;
use crate::identity::url::BaseUrl;
use crate::node::io::{LocalRequest, Problem, Role};

/// Longest name of the holder of a key, in bytes.
pub(in super::super) const KEY_NAME_BYTES_MAX: usize = 64;

/// All roles of keys: people have accounts.
pub(in super::super) const ROLES: [Role; 7] = [
    Role::Admin,
    Role::OrderSystem,
    Role::Handheld,
    Role::Cabinet,
    Role::Telephone,
    Role::Approver,
    Role::Auditor,
];

/// `POST /partners`.
pub(in super::super) fn partner(call: &Call<'_>) -> Result<LocalRequest, Problem> {
    const KNOWN: [&str; 11] = [
        "id",
        "name",
        "roles",
        "exchangeUrl",
        "key",
        "marketplaces",
        "carriers",
        "certificatePin",
        "connector",
        "connectorId",
        "parcelDataWithoutManifest",
    ];
    call.object(&KNOWN, |object| {
        let id = object.need("id", text(ParticipantId::parse));
        let name = object.need("name", words(NAME_LENGTH_MAX));
        let roles = object.needed("roles").and_then(|list| {
            let length = 1..=ParticipantRole::ALL.len();
            object.list("roles", list, &length, |item, pointer| {
                let read = one_of(&ParticipantRole::ALL, ParticipantRole::as_str)(item);
                read.map_err(|detail| object.errors().push(pointer, detail))
                    .ok()
            })
        });
        let exchange_url = object.need("exchangeUrl", text(BaseUrl::parse));
        let key = object.need("key", public_key);
        let marketplaces = object.texts("marketplaces", PARTICIPANTS_MAX, Marketplace::parse);
        let carriers = object.texts("carriers", PARTICIPANTS_MAX, CarrierCode::parse);
        let certificate_pin = object.may("certificatePin", text(CertificatePin::parse));
        let connector = object.may("connector", flag);
        let connector_id = object.may("connectorId", text(WireId::parse));
        let without_manifest = object.may("parcelDataWithoutManifest", flag);
        Some(LocalRequest::AddPartner(Partner {
            id: id?,
            name: name?,
            roles: roles?,
            exchange_url: exchange_url?,
            key: key?,
            marketplaces: marketplaces?,
            carriers: carriers?,
            certificate_pin,
            connector: connector.unwrap_or(false),
            connector_id,
            parcel_data_without_manifest: without_manifest.unwrap_or(false),
        }))
    })
}

fn public_key(value: &Value) -> Result<PublicKey, String> {
    text(PublicKey::parse)(value)
}

/// `POST /keys`: the holder's name and the role.
pub(in super::super) fn key(call: &Call<'_>) -> Result<(String, Role), Problem> {
    call.object(&["name", "role"], |object| {
        let name = object.need("name", words(KEY_NAME_BYTES_MAX));
        let role = object.need("role", one_of(&ROLES, Role::as_str));
        Some((name?, role?))
    })
}
