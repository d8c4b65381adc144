//! People who work with the pages of a node: names, roles, what a role is bound to.
//!
//! INVARIANT: a name is checked before it is a name; a courier's or merchant's account is bound to
//! exactly one courier or merchant; a password is here only as its hash. This module does not know
//! which role may do what.

use std::collections::BTreeSet;
use std::fmt;

use interlock_core::ids::{CourierId, MerchantId};
use serde::{Deserialize, Serialize};

use super::password::{PASSWORD_RANDOM_BYTES, Password, PasswordHash};
use crate::node::io::Role;

/// Longest name, in bytes.
pub const PERSON_NAME_BYTES_MAX: usize = 64;
/// Most people of a node.
pub const PEOPLE_MAX: usize = 10_000;
/// The roles that people may have; the other ones are of machines.
pub const PEOPLE_ROLES: [Role; 6] = [
    Role::Admin,
    Role::Approver,
    Role::Auditor,
    Role::Operations,
    Role::Courier,
    Role::Merchant,
];

/// Random bytes of [`Drawn`].
pub const DRAWN_BYTES: usize = PASSWORD_RANDOM_BYTES + 16 + 16;

/// What is drawn for a person who gets a new password.
pub struct Drawn {
    /// To be shown once.
    pub password: Password,
    /// What is kept of it.
    pub hash: PasswordHash,
    /// Of the one-time codes.
    pub enrolment: [u8; 16],
}

impl Drawn {
    /// From random bytes. Takes as long as checking a password; `None` if the memory for it cannot be
    /// had.
    pub fn of(random: &[u8; DRAWN_BYTES]) -> Option<Self> {
        let (letters, rest) = random.split_first_chunk::<PASSWORD_RANDOM_BYTES>()?;
        let (salt, rest) = rest.split_first_chunk::<16>()?;
        let password = Password::generate(letters);
        let hash = PasswordHash::of(&password, *salt)?;
        let enrolment = *rest.first_chunk::<16>()?;
        Some(Self {
            password,
            hash,
            enrolment,
        })
    }
}

/// The name that a person logs in with, as it stands in histories.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct PersonName(String);

/// Why a text is no name of a person.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "the text is no name to log in with; use 1 to 64 of a-z, 0-9, `.`, `-` and `_`, starting with a letter"
)]
pub struct PersonNameError;

impl PersonName {
    /// Checks and takes `text`.
    ///
    /// # Errors
    /// [`PersonNameError`].
    pub fn parse(text: &str) -> Result<Self, PersonNameError> {
        let good = text.len() <= PERSON_NAME_BYTES_MAX
            && text.starts_with(|first: char| first.is_ascii_lowercase())
            && text
                .bytes()
                .all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'.' | b'-' | b'_'));
        match good {
            true => Ok(Self(text.into())),
            false => Err(PersonNameError),
        }
    }

    /// The name as it was given.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for PersonName {
    type Error = PersonNameError;
    fn try_from(text: String) -> Result<Self, PersonNameError> {
        Self::parse(&text)
    }
}

impl From<PersonName> for String {
    fn from(name: PersonName) -> Self {
        name.0
    }
}

impl fmt::Display for PersonName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A person.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Person {
    /// Logs in with this.
    pub name: PersonName,
    /// What the person may do.
    pub roles: BTreeSet<Role>,
    /// Who it is as a courier.
    pub courier: Option<CourierId>,
    /// For which merchant it works.
    pub merchant: Option<MerchantId>,
    /// What is kept of the password.
    pub password: PasswordHash,
    /// Of the one-time codes.
    pub enrolment: [u8; 16],
    /// Higher after each change, so that what was logged in before has ended.
    pub version: u32,
}

impl Person {
    /// Whether the person has one of `roles`; an administrator has all but those of couriers and
    /// merchants, which are bound to one, and that of the telephone network, which is nobody's.
    pub fn has_any(&self, roles: &[Role]) -> bool {
        let bound = |role: &Role| matches!(role, Role::Courier | Role::Merchant | Role::Telephone);
        roles.iter().any(|role| self.roles.contains(role))
            || (self.roles.contains(&Role::Admin)
                && (roles.is_empty() || roles.iter().any(|role| !bound(role))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_plain() {
        for good in ["li", "li.lei-2", "a_b", &"x".repeat(64)] {
            assert!(PersonName::parse(good).is_ok(), "{good}");
        }
        for bad in [
            "",
            "Li",
            "1li",
            "li lei",
            "李雷",
            "a/b",
            "a\n",
            &"x".repeat(65),
        ] {
            assert!(PersonName::parse(bad).is_err(), "{bad}");
        }
    }
}
