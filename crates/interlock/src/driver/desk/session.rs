//! Who is logged in.
//!
//! INVARIANT: a session's token is known to its browser alone, here lies only its SHA-256; it is new at
//! each login, ends after [`IDLE_MS`] without use and after [`LIFE_MS`] in any case, and is gone after a
//! restart. This module does not know passwords.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use interlock_core::time::{HOUR_MS, MINUTE_MS, Timestamp};
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

use crate::identity::person::Person;
use crate::node::Rng;
use crate::node::io::Digest;

/// How long a session lasts without use, in milliseconds.
pub(super) const IDLE_MS: i64 = 30 * MINUTE_MS;
/// How long it lasts at most, in milliseconds.
pub(super) const LIFE_MS: i64 = 12 * HOUR_MS;
/// Most sessions of one person; a further login ends the oldest.
const OF_PERSON_MAX: usize = 8;
/// Most sessions at all; a further login ends the one that was used least recently.
const SESSIONS_MAX: usize = 20_000;

/// One session.
#[derive(Clone)]
pub(super) struct Session {
    /// Who, as of the login.
    pub(super) person: Person,
    /// Ties forms to the session.
    pub(super) csrf: String,
    began: Timestamp,
    used: Timestamp,
}

impl Session {
    /// Whether a form shows that it is of this session.
    pub(super) fn is_form_of(&self, shown: &str) -> bool {
        bool::from(shown.as_bytes().ct_eq(self.csrf.as_bytes()))
    }

    fn lasts(&self, now: Timestamp) -> bool {
        now.since_ms(self.used) < IDLE_MS && now.since_ms(self.began) < LIFE_MS
    }
}

/// All sessions of a node.
#[derive(Default)]
pub(super) struct Sessions(Mutex<BTreeMap<Digest, Session>>);

impl Sessions {
    /// Begins one; gives the token for the browser's cookie, too.
    pub(super) fn begin(
        &self,
        person: Person,
        now: Timestamp,
        rng: &mut dyn Rng,
    ) -> (String, Session) {
        let (token, csrf) = (random_hex(rng), random_hex(rng));
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.retain(|_, session| session.lasts(now));
        let of_person = |s: &Session| s.person.name == person.name;
        if all.values().filter(|s| of_person(s)).count() >= OF_PERSON_MAX {
            end_least_used(&mut all, of_person);
        }
        if all.len() >= SESSIONS_MAX {
            end_least_used(&mut all, |_| true);
        }
        let session = Session {
            person,
            csrf,
            began: now,
            used: now,
        };
        all.insert(digest_of(&token), session.clone());
        (token, session)
    }

    /// The session of a token, if it lasts still; it counts as used now.
    pub(super) fn of(&self, token: &str, now: Timestamp) -> Option<Session> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let digest = digest_of(token);
        if !all.get(&digest)?.lasts(now) {
            all.remove(&digest);
            return None;
        }
        let session = all.get_mut(&digest)?;
        session.used = session.used.max(now);
        Some(session.clone())
    }

    /// Ends the session of a token.
    pub(super) fn end(&self, token: &str) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.remove(&digest_of(token));
    }
}

fn end_least_used(all: &mut BTreeMap<Digest, Session>, of: impl Fn(&Session) -> bool) {
    let among = all.iter().filter(|(_, session)| of(session));
    let least = among.min_by_key(|(_, session)| session.used);
    if let Some(digest) = least.map(|(digest, _)| *digest) {
        all.remove(&digest);
    }
}

fn digest_of(token: &str) -> Digest {
    Sha256::digest(token.as_bytes()).into()
}

/// 128 random bits as digits.
pub(super) fn random_hex(rng: &mut dyn Rng) -> String {
    let mut bytes = [0; 16];
    rng.fill(&mut bytes);
    interlock_journal::hex::encode(&bytes)
}
