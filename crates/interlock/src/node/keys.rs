//! The keys that this node and its partners sign with, one after another.
//!
//! Purpose: rotate our key, tell partners, and take their rotations. Invariants: a key takes the place
//! of the one that is pinned only with the signatures of both, and never comes back once it was
//! replaced; the new key is durable before the record that names it; every log shows every rotation
//! since it began. It does not know where the key is kept.

use ed25519_dalek::VerifyingKey;
use interlock_core::ids::ParticipantId;
use interlock_journal::bilateral::{KeyRotation, LeafBody};
use serde_json::json;
use zeroize::Zeroizing;

use super::Node;
use super::evidence::encode;
use super::io::{CallFailure, Effect, LocalAnswer, PeerAnswer, PeerRequest, Problem};
use super::live::{Purpose, Timer, backoff_ms};
use super::problem::{field, problem};
use super::record::{AlertKind, Record};
use super::turn::Turn;
use crate::exchange::wire::{Envelope, Evidence, Notice, ROTATIONS_SHOWN_MAX, Rotation};
use crate::identity::keys::{NodeKey, PublicKey};

/// How long an answer is waited for, in milliseconds.
const ANSWER_TIMEOUT_MS: u32 = 10_000;

impl Node {
    /// The node with the key that its journal says it signs with.
    pub fn use_key(&mut self, key: &NodeKey) {
        self.key = key.signing_key().clone();
    }

    /// `POST /keys/signing/rotate`: from here on this node signs with a new key.
    pub(super) fn rotate_key(&mut self, turn: &mut Turn<'_>) -> Result<LocalAnswer, Problem> {
        if !self.config.keeps_key {
            return Err(problem(
                "key-not-kept",
                409,
                "the key cannot be rotated",
                "this node has its key in memory only; give it a key file",
            ));
        }
        let mut seed = Zeroizing::new([0; 32]);
        turn.fill(seed.as_mut());
        let next = NodeKey::from_seed(&seed);
        let me = self.state.me.clone();
        let rotation = KeyRotation::sign(&me, &self.key, next.signing_key());
        turn.push(Effect::RotateSigningKey(Box::new(next.clone())));
        self.record(turn, Record::KeyRotated { of: me, rotation });
        self.use_key(&next);
        tracing::warn!(key = %next.public(), "this node signs with a new key");
        for partner in self.partners_told() {
            if self.is_compared(&partner) {
                self.show_rotations(turn, &partner);
            }
            self.tell_key(turn, &partner);
        }
        Ok(LocalAnswer::Json {
            status: 200,
            body: self.signing_keys_view(),
        })
    }

    /// `GET /keys/signing`.
    pub(super) fn signing_keys_view(&self) -> serde_json::Value {
        let shown = |key: &[u8; 32]| {
            PublicKey::from_bytes(key).map_or_else(|_| String::new(), |key| key.to_multibase())
        };
        let rotations = self.state.rotations_of(&self.state.me);
        let earlier = rotations.iter().map(
            |(at, rotation)| json!({ "key": shown(&rotation.old_key), "until": at.to_rfc3339(self.config.zone) }),
        );
        let waiting = self
            .partners_told()
            .into_iter()
            .filter(|partner| self.owes_key(partner));
        json!({
            "key": shown(self.key.verifying_key().as_bytes()),
            "earlier": earlier.collect::<Vec<_>>(),
            "notReceipted": waiting.map(|id| id.as_str().to_owned()).collect::<Vec<_>>(),
        })
    }

    /// Partners that keep a log with us.
    fn partners_told(&self) -> Vec<ParticipantId> {
        let partners = self.state.partners.values();
        let logs = partners.filter(|partner| !partner.connector);
        logs.map(|partner| partner.id.clone()).collect()
    }

    /// Whether a partner has not receipted the leaf of our newest rotation.
    fn owes_key(&self, partner: &ParticipantId) -> bool {
        let count = self.state.rotations_of(&self.state.me).len();
        let channel = self.state.channel(partner);
        channel.is_some_and(|channel| {
            channel.shown < count || channel.out.acknowledged() < channel.shown_to
        })
    }

    /// Writes the rotations into our log toward a partner that it does not show yet.
    pub(super) fn show_rotations(&mut self, turn: &mut Turn<'_>, partner: &ParticipantId) {
        let Some(channel) = self.state.channel(partner) else {
            return;
        };
        let rotations = self.state.rotations_of(&self.state.me).iter();
        let due: Vec<KeyRotation> = rotations
            .skip(channel.shown)
            .map(|(_, rotation)| rotation.clone())
            .collect();
        for rotation in due {
            let leaf = encode(turn, LeafBody::KeyRotation(rotation));
            let to = partner.clone();
            self.record(turn, Record::Leaf { to, leaf });
        }
    }

    /// The newest rotations of a key, as a partner is told.
    pub(super) fn rotations_shown(&self, of: &ParticipantId) -> Vec<Rotation> {
        let rotations = self.state.rotations_of(of);
        let skipped = rotations.len().saturating_sub(ROTATIONS_SHOWN_MAX);
        let newest = rotations.iter().skip(skipped);
        newest
            .filter_map(|(_, rotation)| Rotation::of(rotation))
            .collect()
    }

    /// At a start, or when it does not know our key: tells a partner which one we sign with.
    pub(super) fn tell_key(&mut self, turn: &mut Turn<'_>, partner: &ParticipantId) {
        if self.state.is_connector(partner) || !self.live.telling.insert(partner.clone()) {
            return;
        }
        let rotations = self.rotations_shown(&self.state.me);
        if rotations.is_empty() {
            self.live.telling.remove(partner);
            return;
        }
        // Nothing is signed for it but what the rotation itself holds: it may go before logs are compared.
        let envelope = Envelope {
            evidence: Evidence::none(),
            body: Notice::KeyRotation { rotations },
        };
        let call = self.live.call(Purpose::KeyNotice(partner.clone()));
        turn.push(Effect::Call {
            call,
            to: partner.clone(),
            request: PeerRequest::Notice(envelope),
            timeout_ms: ANSWER_TIMEOUT_MS,
        });
    }

    /// The same for a partner that may not have heard of the newest one.
    pub(super) fn tell_key_if_owed(&mut self, turn: &mut Turn<'_>, partner: &ParticipantId) {
        if self.owes_key(partner) {
            self.tell_key(turn, partner);
        }
    }

    /// The answer to that.
    pub(super) fn key_told(
        &mut self,
        turn: &mut Turn<'_>,
        partner: &ParticipantId,
        outcome: Result<PeerAnswer, CallFailure>,
    ) {
        self.live.telling.remove(partner);
        let timer = Timer::KeyNotice(partner.clone());
        let said = (AlertKind::KeyRotated, partner.clone());
        if let Ok(PeerAnswer::Evidence(_)) = outcome {
            self.live.tries.remove(&timer);
            self.live.alerted.remove(&said);
            return;
        }
        let tries = self.live.tries.entry(timer.clone()).or_default();
        *tries = tries.saturating_add(1);
        let tries = *tries;
        // The door of whoever has pinned a key of none of our rotations knows no such caller.
        let unknown = knows_not_our_key(&outcome);
        if let Ok(PeerAnswer::Problem(refused)) = outcome
            && (refused.status == 422 || unknown)
            && self.live.alerted.insert(said, turn.at()).is_none()
        {
            let detail = format!(
                "it does not take our new key: {}; give it the key by another way, or it refuses all our \
                 requests",
                refused.detail
            );
            self.alert(turn, AlertKind::KeyRotated, None, Some(partner), detail);
        }
        let at = turn.at().plus_ms(backoff_ms(tries, turn.random64()));
        self.live.timer(at, timer);
    }

    /// `POST notices` with rotations: pins the newest key.
    pub(super) fn key_notice(
        &mut self,
        turn: &mut Turn<'_>,
        from: &ParticipantId,
        rotations: &[Rotation],
    ) -> Result<PeerAnswer, Problem> {
        let followed = self.state.partners.get(from).and_then(|partner| {
            let rotations: Vec<KeyRotation> = rotations
                .iter()
                .map(Rotation::read)
                .collect::<Option<_>>()?;
            follow(from, partner.key.as_bytes(), &rotations)
        });
        let taken = followed.filter(|new| {
            new.iter()
                .all(|rotation| self.state.may_rotate(from, rotation))
        });
        let new = taken.ok_or_else(|| {
            field(
                "rotation-refused",
                422,
                "the key is not taken",
                "/body/key-rotation/rotations",
                "the rotations must lead from the key that is pinned here to another that was never used, \
                 each signed by both",
            )
        })?;
        for rotation in new {
            self.pin(turn, from, rotation);
        }
        Ok(PeerAnswer::Evidence(Evidence::none()))
    }

    /// Takes what a partner shows of its keys beside something else; what does not fit is left.
    pub(super) fn adopt_rotations(
        &mut self,
        turn: &mut Turn<'_>,
        from: &ParticipantId,
        rotations: &[Rotation],
    ) {
        if !rotations.is_empty() && self.key_notice(turn, from, rotations).is_err() {
            tracing::warn!(partner = %from, "it shows rotations of its key that do not follow the pinned one");
        }
    }

    /// Rotations of our own key that a partner has seen and we have lost: believed if they lead to the key
    /// that we have.
    pub(super) fn adopt_own_rotations(&mut self, turn: &mut Turn<'_>, rotations: &[Rotation]) {
        let me = self.state.me.clone();
        let now = self.key.verifying_key().to_bytes();
        if rotations.is_empty() || self.state.own_key() == Some(now) {
            return;
        }
        let read = rotations
            .iter()
            .map(Rotation::read)
            .collect::<Option<Vec<_>>>();
        let Some(first) = read.as_ref().and_then(|read| read.first()) else {
            return;
        };
        let before = self.state.own_key().unwrap_or(first.old_key);
        let new = read.as_ref().and_then(|read| follow(&me, &before, read));
        let leads_here = |new: &Vec<KeyRotation>| new.last().is_some_and(|it| it.new_key == now);
        for rotation in new.filter(leads_here).unwrap_or_default() {
            let of = me.clone();
            self.record(turn, Record::KeyRotated { of, rotation });
        }
    }

    fn pin(&mut self, turn: &mut Turn<'_>, of: &ParticipantId, rotation: KeyRotation) {
        let key = PublicKey::from_bytes(&rotation.new_key);
        let key = key.map_or_else(|_| String::new(), |key| key.to_multibase());
        let of = of.clone();
        let told = of.clone();
        self.record(turn, Record::KeyRotated { of, rotation });
        self.key_pinned(turn, &told, &key);
    }

    /// People are told that a partner signs with another key.
    pub(super) fn key_pinned(&mut self, turn: &mut Turn<'_>, of: &ParticipantId, key: &str) {
        let detail = format!(
            "it signs with another key from now on, {key}; both its keys have signed for it, and the new one is \
             pinned"
        );
        self.alert(turn, AlertKind::KeyRotated, None, Some(of), detail);
    }

    /// The keys that this node signs and has signed with.
    pub(super) fn own_keys(&self) -> Vec<VerifyingKey> {
        let rotations = self.state.rotations_of(&self.state.me).iter();
        let earlier = rotations.flat_map(|(_, rotation)| [rotation.old_key, rotation.new_key]);
        let earlier = earlier.filter_map(|key| VerifyingKey::from_bytes(&key).ok());
        std::iter::once(self.key.verifying_key())
            .chain(earlier)
            .collect()
    }
}

/// Those of `rotations` that lead on from the key that is `pinned`, in order; none if that is where they
/// end. `None` if they do not lead there, a key comes twice, or one is not signed by both keys. What comes
/// before the pinned key is not looked at: whoever asks may be anybody, and signatures cost time.
pub fn follow(
    of: &ParticipantId,
    pinned: &[u8; 32],
    rotations: &[KeyRotation],
) -> Option<Vec<KeyRotation>> {
    if rotations.len() > ROTATIONS_SHOWN_MAX {
        return None;
    }
    let from = rotations.iter().position(|it| it.old_key == *pinned);
    let Some(from) = from else {
        let last = rotations.last()?;
        return (last.new_key == *pinned).then(Vec::new);
    };
    let new = rotations.get(from..)?;
    let mut keys = vec![*pinned];
    for rotation in new {
        if keys.contains(&rotation.new_key) {
            return None;
        }
        rotation.verify(of, keys.last()?)?;
        keys.push(rotation.new_key);
    }
    Some(new.to_vec())
}

/// Refusals of a partner that does not know the key that we sign with.
pub(super) fn knows_not_our_key(outcome: &Result<PeerAnswer, CallFailure>) -> bool {
    matches!(outcome, Ok(PeerAnswer::Problem(refused)) if refused.kind == "token-unknown-key")
}

/// A partner's answer where manifests name a key that was rotated.
pub(super) fn keys_changed() -> Problem {
    problem(
        "manifest-keys-changed",
        503,
        "a key was rotated",
        "the manifest names a key that was rotated since; sign it again with the keys in force",
    )
}
