//! The partners of a node: who may talk to us, where they listen, and the keys that we pinned.
//!
//! INVARIANT: no two partners share an id or a key, so that a signature names one partner. DID
//! documents only introduce; what is in this list decides. The module does not know what a partner
//! may receive: that is in the agreements.

use std::collections::BTreeMap;
use std::fmt;

use interlock_core::ids::{Marketplace, ParticipantId, WireId};
use interlock_core::waybill::CarrierCode;
use serde::{Deserialize, Serialize};

use super::did::KeyId;
use super::keys::PublicKey;
use super::tls::CertificatePin;
use super::url::BaseUrl;

/// Most partners that a list holds.
pub const PARTNERS_MAX: usize = 1_000;

/// Longest name of a participant, in characters.
pub const NAME_LENGTH_MAX: usize = 100;

/// What a participant does in the network (design: every participant runs one node).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    /// A marketplace platform: owner of the parcels of its marketplaces.
    Platform,
    /// Runs locker stations.
    LockerOperator,
    /// Carries parcels and issues waybills.
    Carrier,
    /// Reads the state of cooperations and aggregates.
    Regulator,
    /// Sends messages, leases virtual numbers.
    Messenger,
}

impl Role {
    /// All roles.
    pub const ALL: [Self; 5] = [
        Self::Platform,
        Self::LockerOperator,
        Self::Carrier,
        Self::Regulator,
        Self::Messenger,
    ];

    /// The name in files and on the command line, such as `locker-operator`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Platform => "platform",
            Self::LockerOperator => "locker-operator",
            Self::Carrier => "carrier",
            Self::Regulator => "regulator",
            Self::Messenger => "messenger",
        }
    }

    /// The role with the given name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|role| role.as_str() == name)
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// One partner, as `interlock partner add` stores it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Partner {
    /// Its DID.
    pub id: ParticipantId,
    /// Its name, for people.
    pub name: String,
    /// What it does.
    pub roles: Vec<Role>,
    /// Base address of its exchange door; of a connector's Dataspace Protocol endpoints.
    pub exchange_url: BaseUrl,
    /// Its pinned key.
    pub key: PublicKey,
    /// The marketplaces whose parcels it owns; empty for one that owns none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub marketplaces: Vec<Marketplace>,
    /// Carriers for which it speaks: its pre-advice decides whose their parcels are.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub carriers: Vec<CarrierCode>,
    /// Its pinned TLS certificate; without one it must be signed by an authority that we trust.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub certificate_pin: Option<CertificatePin>,
    /// Whether it runs a connector that is not Interlock: it speaks the Dataspace Protocol and plain
    /// HTTP, signs no manifest, keeps no log and gives no receipts.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub connector: bool,
    /// What its connector calls itself in offers and agreements; its DID where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub connector_id: Option<WireId>,
    /// Whether parcel data may be agreed on with such a connector, which signs no manifest.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub parcel_data_without_manifest: bool,
}

impl Partner {
    /// The name of its key in tokens and documents.
    pub fn key_id(&self) -> KeyId {
        KeyId::new(&self.id, &self.key)
    }

    fn check(&self) -> Result<(), PartnerError> {
        if self.name.trim().is_empty() || self.name.chars().count() > NAME_LENGTH_MAX {
            return Err(PartnerError::Name {
                id: self.id.clone(),
            });
        }
        if self.roles.is_empty() {
            return Err(PartnerError::NoRole {
                id: self.id.clone(),
            });
        }
        Ok(())
    }
}

/// Why a partner cannot be listed or a list not be read.
#[derive(Debug, thiserror::Error)]
pub enum PartnerError {
    /// The id is listed already.
    #[error("`{id}` is a partner already; remove it first, or change its entry")]
    Listed {
        /// The partner.
        id: ParticipantId,
    },
    /// Another partner has the same key.
    #[error(
        "the key of `{id}` is also the key of `{other}`; each partner needs its own, ask which of \
         them holds it"
    )]
    SharedKey {
        /// The partner to be listed.
        id: ParticipantId,
        /// The one that has the key.
        other: ParticipantId,
    },
    /// No name, or a long one.
    #[error("`{id}` has no name of 1 to {NAME_LENGTH_MAX} characters; give it one")]
    Name {
        /// The partner.
        id: ParticipantId,
    },
    /// No role.
    #[error(
        "`{id}` has no role; give it at least one of `platform`, `locker-operator`, `carrier`, \
         `regulator`, `messenger`"
    )]
    NoRole {
        /// The partner.
        id: ParticipantId,
    },
    /// The list is full.
    #[error(
        "the list holds {PARTNERS_MAX} partners, its limit; remove those that have no agreement"
    )]
    Full,
    /// A list that cannot be parsed.
    #[error("failed to read the list of partners: {0}; correct the file or restore a copy")]
    Json(#[from] serde_json::Error),
    /// A list of a later version.
    #[error("the list of partners has version `{0}`, this program reads 1; use a newer program")]
    Version(u32),
}

/// The partners of a node, by id.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PartnerList(BTreeMap<ParticipantId, Partner>);

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Stored {
    version: u32,
    partners: Vec<Partner>,
}

impl PartnerList {
    /// Adds a partner.
    ///
    /// # Errors
    /// [`PartnerError`] if it is listed, has another's key, has no name or role, or the list is full;
    /// the list is unchanged then.
    pub fn add(&mut self, partner: Partner) -> Result<(), PartnerError> {
        partner.check()?;
        if self.0.contains_key(&partner.id) {
            return Err(PartnerError::Listed { id: partner.id });
        }
        if let Some(other) = self.0.values().find(|other| other.key == partner.key) {
            return Err(PartnerError::SharedKey {
                id: partner.id,
                other: other.id.clone(),
            });
        }
        if self.0.len() >= PARTNERS_MAX {
            return Err(PartnerError::Full);
        }
        self.0.insert(partner.id.clone(), partner);
        Ok(())
    }

    /// Takes a partner off the list, if it is on it.
    pub fn remove(&mut self, id: &ParticipantId) -> Option<Partner> {
        self.0.remove(id)
    }

    /// The partner with this id.
    pub fn get(&self, id: &ParticipantId) -> Option<&Partner> {
        self.0.get(id)
    }

    /// The pinned key with this name, if it is a partner's present one.
    pub fn key(&self, key_id: &KeyId) -> Option<PublicKey> {
        let partner = self.0.get(key_id.controller())?;
        (partner.key_id() == *key_id).then_some(partner.key)
    }

    /// The partners in the order of their ids.
    pub fn iter(&self) -> impl Iterator<Item = &Partner> {
        self.0.values()
    }

    /// How many partners there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The list as JSON, version 1.
    pub fn to_json(&self) -> String {
        let stored = Stored {
            version: 1,
            partners: self.0.values().cloned().collect(),
        };
        // Strings and lists alone: there is nothing that JSON could not hold.
        serde_json::to_string_pretty(&stored).unwrap_or_default()
    }

    /// Reads what [`PartnerList::to_json`] wrote.
    ///
    /// # Errors
    /// [`PartnerError`] for another form or version, and for whatever [`PartnerList::add`] refuses.
    pub fn from_json(text: &str) -> Result<Self, PartnerError> {
        let stored: Stored = serde_json::from_str(text)?;
        if stored.version != 1 {
            return Err(PartnerError::Version(stored.version));
        }
        let mut list = Self::default();
        for partner in stored.partners {
            list.add(partner)?;
        }
        Ok(list)
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use expect_test::expect;

    use super::super::keys::NodeKey;
    use super::*;

    /// A partner whose key has the seed `[seed; 32]`.
    pub(crate) fn partner(id: &str, seed: u8) -> Partner {
        Partner {
            id: ParticipantId::parse(id).unwrap(),
            name: "Fengchao".into(),
            roles: vec![Role::LockerOperator],
            exchange_url: BaseUrl::parse("https://fengchao.example:8443").unwrap(),
            key: NodeKey::from_seed(&[seed; 32]).public(),
            marketplaces: Vec::new(),
            carriers: Vec::new(),
            certificate_pin: None,
            connector: false,
            connector_id: None,
            parcel_data_without_manifest: false,
        }
    }

    #[test]
    fn the_stored_form_is_frozen() {
        let mut list = PartnerList::default();
        list.add(partner("did:web:fengchao.example", 1)).unwrap();
        let mut owner = partner("did:web:cainiao.example", 2);
        owner.roles = vec![Role::Platform, Role::Messenger];
        owner.marketplaces = vec![Marketplace::parse("taobao").unwrap()];
        owner.certificate_pin = Some(CertificatePin::of(b"certificate"));
        list.add(owner).unwrap();
        let text = list.to_json();
        expect![[r#"
            {
              "version": 1,
              "partners": [
                {
                  "id": "did:web:cainiao.example",
                  "name": "Fengchao",
                  "roles": [
                    "platform",
                    "messenger"
                  ],
                  "exchange_url": "https://fengchao.example:8443",
                  "key": "z6Mko9hTggMwjSTEaJaPUfE6tqcy2xvU6BnNq3e3o8qVBiyH",
                  "marketplaces": [
                    "taobao"
                  ],
                  "certificate_pin": "sha256:03d66dd08835c1ca3f128cceacd1f31ac94163096b20f445ae84285bc0832d72"
                },
                {
                  "id": "did:web:fengchao.example",
                  "name": "Fengchao",
                  "roles": [
                    "locker-operator"
                  ],
                  "exchange_url": "https://fengchao.example:8443",
                  "key": "z6Mkon3Necd6NkkyfoGoHxid2znGc59LU3K7mubaRcFbLfLX"
                }
              ]
            }"#]].assert_eq(&text);
        assert_eq!(PartnerList::from_json(&text).unwrap(), list);
    }

    #[test]
    fn a_key_names_one_partner() {
        let mut list = PartnerList::default();
        list.add(partner("did:web:a.example", 1)).unwrap();
        let again = list.add(partner("did:web:a.example", 2)).unwrap_err();
        assert!(matches!(again, PartnerError::Listed { .. }));
        let shared = list.add(partner("did:web:b.example", 1)).unwrap_err();
        assert!(matches!(&shared, PartnerError::SharedKey { other, .. }
            if other.as_str() == "did:web:a.example"));
        assert_eq!(list.len(), 1);
        let listed = partner("did:web:a.example", 1);
        assert_eq!(list.key(&listed.key_id()), Some(listed.key));
        let other_key = partner("did:web:a.example", 2).key_id();
        assert_eq!(list.key(&other_key), None);
        assert!(list.remove(&listed.id).is_some());
        assert_eq!(list.key(&listed.key_id()), None);
    }

    #[test]
    fn bad_partners_are_refused() {
        let mut list = PartnerList::default();
        let mut nameless = partner("did:web:a.example", 1);
        nameless.name = "  ".into();
        assert!(matches!(list.add(nameless), Err(PartnerError::Name { .. })));
        for (length, taken) in [(NAME_LENGTH_MAX, true), (300, false)] {
            let mut long = partner("did:web:a.example", 1);
            long.name = "长".repeat(length);
            let added = PartnerList::default().add(long);
            assert_eq!(added.is_ok(), taken, "{length}: {added:?}");
        }
        let mut idle = partner("did:web:a.example", 1);
        idle.roles.clear();
        assert!(matches!(list.add(idle), Err(PartnerError::NoRole { .. })));
        assert!(list.is_empty());
    }

    #[test]
    fn bad_lists_are_refused() {
        let mut list = PartnerList::default();
        list.add(partner("did:web:fengchao.example", 1)).unwrap();
        let good = list.to_json();
        for (from, to) in [
            ("\"version\": 1", "\"version\": 2"),
            ("\"name\"", "\"nom\""),
            ("locker-operator", "postman"),
            ("did:web:fengchao.example", "fengchao"),
            ("https://", "ftp://"),
            ("z6Mk", "z6Ls"),
            ("]\n}", "]"),
        ] {
            let bad = good.replace(from, to);
            assert_ne!(bad, good, "{from}");
            assert!(PartnerList::from_json(&bad).is_err(), "{from} -> {to}");
        }
    }

    #[test]
    fn roles_are_named_as_stored() {
        for role in Role::ALL {
            assert_eq!(Role::parse(role.as_str()), Some(role));
            assert_eq!(serde_json::to_value(role).unwrap(), role.as_str());
        }
    }
}
