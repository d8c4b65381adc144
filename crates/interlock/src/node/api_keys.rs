//! API keys: who makes them, who agrees to them, and their end.
//!
//! INVARIANT: where two people decide, a key of the role `telephone`, which is told phones, counts only once
//! another person has agreed to it, while whoever asked is an administrator; whoever made one is named to people.
//! It does not know the keys, only their digests.

use serde_json::{Value, json};

use super::Node;
use super::io::{Digest, KeyId, LocalAnswer, Problem, Role};
use super::problem::{self, problem};
use super::record::{AlertKind, Record};
use super::turn::Turn;
use crate::node::state::{KEY_ASKED_MS, KeyAsked};

/// Most keys that may wait for a second person.
const ASKED_MAX: usize = 100;

impl Node {
    /// `POST /keys`: 201, or 202 if another person has to agree to it first.
    ///
    /// # Errors
    /// 429 if too many wait for that.
    pub(super) fn add_key(
        &mut self,
        turn: &mut Turn<'_>,
        (name, role, digest): (String, Role, Digest),
        by: &str,
    ) -> Result<LocalAnswer, Problem> {
        let waits = role == Role::Telephone && self.config.approvals_min > 1;
        let body = json!({
            "name": name,
            "role": role.as_str(),
            "id": KeyId::of(&digest).to_string(),
            "waits": waits,
        });
        if !waits {
            self.key_made(turn, (name, role, digest), &[by]);
            return Ok(LocalAnswer::Json { status: 201, body });
        }
        let open = self.state.keys_asked.values();
        if open.filter(|asked| !is_late(turn, asked)).count() >= ASKED_MAX {
            return Err(problem(
                "too-many-keys",
                429,
                "too many keys wait",
                "100 keys wait for somebody's approval; have them approved or withdrawn first",
            ));
        }
        let by = by.into();
        self.record(
            turn,
            Record::KeyAsked {
                name,
                role,
                digest,
                by,
            },
        );
        Ok(LocalAnswer::Json { status: 202, body })
    }

    /// `POST /keys/{id}/approve`: the key counts from here on.
    ///
    /// # Errors
    /// 404 if no such key waits, 403 if it may be the same person's who asked for it, 409 if whoever asked is no
    /// administrator any more.
    pub(super) fn approve_key(
        &mut self,
        turn: &mut Turn<'_>,
        id: KeyId,
        by: &str,
    ) -> Result<LocalAnswer, Problem> {
        let asked = self.state.keys_asked.iter();
        let mut named =
            asked.filter(|(digest, asked)| KeyId::of(digest) == id && !is_late(turn, asked));
        let (Some((digest, asked)), None) = (named.next(), named.next()) else {
            return Err(problem::not_found("key that waits"));
        };
        if self.may_be_one(&asked.by, by) {
            return Err(problem(
                "four-eyes",
                403,
                "somebody else has to approve",
                "you asked for this key yourself, or one of you let the other in; another person approves it",
            ));
        }
        // Whoever asked was shown the key, and keeps it.
        if !self.administers(&asked.by) {
            return Err(problem(
                "asker-withdrawn",
                409,
                "whoever asked is no administrator any more",
                "whoever asked for this key was withdrawn and knows it; withdraw the key, and make another one",
            ));
        }
        let (digest, asked) = (*digest, asked.clone());
        let body = json!({
            "name": asked.name,
            "role": asked.role.as_str(),
            "id": id.to_string(),
            "letInAlike": self.let_in_alike(&asked.by, by),
        });
        self.key_made(turn, (asked.name, asked.role, digest), &[&asked.by, by]);
        Ok(LocalAnswer::Json { status: 200, body })
    }

    /// Whether somebody of this name, with a key or a login, is an administrator now.
    fn administers(&self, name: &str) -> bool {
        let mut keys = self.state.api_keys.values();
        let mut people = self.state.people.values();
        keys.any(|(holder, role)| holder == name && *role == Role::Admin)
            || people.any(|it| it.name.as_str() == name && it.roles.contains(&Role::Admin))
    }

    /// A key counts from here on; whoever stands for it knows it, or could.
    fn key_made(
        &mut self,
        turn: &mut Turn<'_>,
        (name, role, digest): (String, Role, Digest),
        by: &[&str],
    ) {
        let holder = name.clone();
        self.record(turn, Record::ApiKey { name, role, digest });
        for by in by {
            self.let_in(turn, &holder, by);
        }
        if role == Role::Telephone {
            let alike = match by {
                [one, other] => self.let_in_alike(one, other),
                _ => None,
            };
            let alike =
                alike.map(|who| format!(", who were both let in by `{who}` and may be one person"));
            let detail = format!(
                "a key of the role `telephone` was made for `{holder}` by `{}`{}: it is told phones; withdraw it \
                 unless the telephone network is to have it",
                by.join("` and `"),
                alike.unwrap_or_default()
            );
            self.alert(turn, AlertKind::TelephoneKey, None, None, detail);
        }
    }

    /// `GET /keys`.
    pub(super) fn keys_view(&self, turn: &Turn<'_>) -> Value {
        let zone = self.config.zone;
        let since = &self.state.api_keys_since;
        let keys = self.state.api_keys.iter();
        let keys = keys.map(|(digest, (name, role))| {
            let added = since.get(digest).map(|at| at.to_rfc3339(zone));
            json!({ "id": KeyId::of(digest).to_string(), "name": name, "role": role.as_str(), "addedAt": added })
        });
        let asked = self.state.keys_asked.iter();
        let asked = asked.filter(|(_, asked)| !is_late(turn, asked));
        let asked = asked.map(|(digest, asked)| {
            json!({
                "id": KeyId::of(digest).to_string(),
                "name": asked.name,
                "role": asked.role.as_str(),
                "askedBy": asked.by,
                "askedAt": asked.at.to_rfc3339(zone),
            })
        });
        json!({ "keys": keys.collect::<Vec<_>>(), "waiting": asked.collect::<Vec<_>>() })
    }

    /// `DELETE /keys/{id}`. What the key's holder does from the next request on is refused; one that waits for
    /// a second person will never count.
    pub(super) fn withdraw_key(
        &mut self,
        turn: &mut Turn<'_>,
        id: KeyId,
        by: &str,
    ) -> Result<LocalAnswer, Problem> {
        let keys = &self.state.api_keys;
        let known = keys.keys().chain(self.state.keys_asked.keys());
        let named: Vec<Digest> = known
            .copied()
            .filter(|digest| KeyId::of(digest) == id)
            .collect();
        let [digest] = named.as_slice() else {
            return Err(problem::not_found("key"));
        };
        let digest = *digest;
        let admin = |(_, role): &(String, Role)| *role == Role::Admin;
        let others = keys.iter().filter(|(other, _)| **other != digest);
        let left = others.map(|(_, holder)| holder).any(admin);
        if keys.get(&digest).is_some_and(admin) && !left {
            return Err(problem(
                "last-admin",
                409,
                "nobody could administer the node",
                "this is the last key of an administrator; add another one first",
            ));
        }
        let by = by.into();
        self.record(turn, Record::ApiKeyWithdrawn { digest, by });
        Ok(LocalAnswer::Json {
            status: 200,
            body: json!({}),
        })
    }
}

/// Whether nobody agreed to a key in time.
fn is_late(turn: &Turn<'_>, asked: &KeyAsked) -> bool {
    turn.at().since_ms(asked.at) >= KEY_ASKED_MS
}
