//! The manifest: both parties sign all agreements of a cooperation together.
//!
//! Purpose: from FINALIZED to in force. Invariants: no agreement is in force before the manifest that
//! names its hash carries both signatures, each by the pinned key of its party; an agreement is in one
//! complete manifest at most; of two agreements for one provider, consumer and dataset the one agreed on
//! later takes over when it begins. It does not know how agreements were negotiated.

use std::borrow::Cow;
use std::collections::BTreeSet;

use interlock_core::agreement::Assurance;
use interlock_core::ids::{ParticipantId, WireId};
use interlock_core::negotiation::NegotiationState;
use interlock_core::time::Timestamp;
use interlock_journal::manifest::{MANIFEST_VERSION, Manifest, PolicyRef};
use sha2::{Digest as _, Sha256};

use super::super::Node;
use super::super::feed_items::hex;
use super::super::io::{CallFailure, Effect, PeerAnswer, PeerRequest, Problem};
use super::super::keys::keys_changed;
use super::super::live::{Purpose, Timer};
use super::super::problem::{field, problem};
use super::super::record::{AlertKind, Record};
use super::super::turn::Turn;
use super::delivery::{is_final, why_not};
use super::negotiate::{ANSWER_TIMEOUT_MS, shorten};
use super::{Actor, Agreement, Cooperation, Outgoing};
use crate::exchange::wire::{CooperationMessage, ManifestSignature};

impl Cooperation {
    /// Whether both parties have signed.
    pub fn is_complete(&self) -> bool {
        self.our_signature.is_some() && self.their_signature.is_some()
    }

    /// Whether the partner has still to sign its manifest.
    pub(super) fn is_open(&self) -> bool {
        !self.is_complete() && self.refused.is_none()
    }

    /// The hash by which others name its manifest, once there is one.
    pub fn manifest_hash(&self) -> Option<[u8; 32]> {
        // It is stored in its canonical form, which is what is hashed.
        self.manifest
            .as_ref()
            .map(|bytes| Sha256::digest(bytes).into())
    }

    /// The manifest, once there is one.
    pub fn read_manifest(&self) -> Option<Manifest> {
        serde_json::from_slice(self.manifest.as_ref()?).ok()
    }
}

impl Node {
    /// Signs the manifest once every agreement that we proposed together is FINALIZED, unless recipients would
    /// be sent to a closed door.
    pub(super) fn sign_when_complete(&mut self, turn: &mut Turn<'_>, cooperation: &WireId) {
        let book = &self.state.book;
        if book.mediation_of(cooperation).is_some() {
            return self.complete_mediated(turn, cooperation);
        }
        if book.cooperations.contains_key(cooperation) {
            return;
        }
        let members = || book.members(cooperation);
        if !members().all(|n| n.state == NegotiationState::Finalized) {
            return;
        }
        let ids = members().filter_map(|n| n.agreement.as_ref());
        let agreements: Vec<&Agreement> = ids.filter_map(|id| book.agreements.get(id)).collect();
        let Some(peer) = members().next().map(|n| n.peer.clone()) else {
            return;
        };
        if self.assurance_with(&peer) != Assurance::Signed {
            return;
        }
        let between: Vec<_> = agreements.iter().map(|a| a.between()).collect();
        if let Err(why) = self.signature_leaves_codes(&between) {
            let agreements: Vec<Agreement> = agreements.into_iter().cloned().collect();
            return self.not_signed(turn, &agreements, &why);
        }
        let Some(manifest) = self.manifest(cooperation, &peer, &agreements) else {
            return;
        };
        match self.sign_manifest(&peer, &manifest) {
            Ok((canonical, signature)) => {
                let cooperation = Cooperation {
                    id: cooperation.clone(),
                    peer,
                    manifest: Some(canonical),
                    our_signature: Some(signature),
                    their_signature: None,
                    refused: None,
                };
                let id = cooperation.id.clone();
                self.record(turn, Record::Cooperation(Box::new(cooperation)));
                self.send_cooperation(turn, &id);
            }
            Err(error) => tracing::warn!(%cooperation, %error, "a manifest cannot be signed"),
        }
    }

    /// The manifest of agreements with `peer`; `None` if we do not hold its key.
    fn manifest(
        &self,
        cooperation: &WireId,
        peer: &ParticipantId,
        agreements: &[&Agreement],
    ) -> Option<Manifest> {
        let from = agreements.iter().min_by_key(|a| a.terms.from)?;
        let until = agreements.iter().max_by_key(|a| a.terms.until)?;
        let policies = agreements.iter().map(|a| {
            let policy = PolicyRef {
                provider: a.provider.clone(),
                consumer: a.consumer.clone(),
                dataset: a.terms.dataset,
                policy_hash: hex(&a.policy_hash),
            };
            (a.id.clone(), policy)
        });
        Some(Manifest {
            version: MANIFEST_VERSION.into(),
            cooperation: cooperation.clone(),
            parties: self.signers(peer)?,
            policies: policies.collect(),
            from: from.terms.from.to_rfc3339(from.terms.zone),
            until: until.terms.until.to_rfc3339(until.terms.zone),
            mediator: None,
            supersedes: self.superseded_by(agreements),
        })
    }

    /// The hash of the manifest that one with these agreements takes the place of: that of the
    /// agreement that is to be renewed, else of the one that stands.
    fn superseded_by(&self, agreements: &[&Agreement]) -> Option<String> {
        let book = &self.state.book;
        let before = |a: &&Agreement| {
            let standing = || {
                let mut others = book.between(&a.provider, &a.consumer, a.terms.dataset);
                others.find(|other| {
                    other.id != a.id
                        && other.target == a.target
                        && other.facts.is_attested(&other.terms)
                })
            };
            let known = a.supersedes.as_ref().and_then(|id| book.agreement(id));
            let known = known.or_else(|| standing().map(Cow::Borrowed))?;
            book.cooperation(&known.cooperation)?.manifest_hash()
        };
        agreements.iter().find_map(before).map(|hash| hex(&hash))
    }

    /// A partner's manifest with its signature: checked against our own book, signed, in force.
    pub(in super::super) fn cooperation(
        &mut self,
        turn: &mut Turn<'_>,
        from: &ParticipantId,
        message: &CooperationMessage,
    ) -> Result<PeerAnswer, Problem> {
        let manifest = read_manifest(message)?;
        if let Some(known) = self.state.book.cooperation(&manifest.cooperation) {
            // Ours alone is not shown to a third party: the answer is that of an unknown one.
            if &known.peer == from
                && known.manifest == Some(manifest.canonical_bytes())
                && known.is_complete()
            {
                return self
                    .cooperation_message(&known)
                    .map(PeerAnswer::Cooperation)
                    .ok_or_else(internal);
            }
            return Err(wrong(
                "/manifest/cooperation",
                "this id is taken; draw another",
            ));
        }
        let theirs = message.signatures.iter().find(|s| &s.participant == from);
        let theirs = theirs.ok_or_else(|| {
            wrong(
                "/signatures",
                "the sender's signature is missing; sign it first",
            )
        })?;
        let checked = manifest
            .checked(&self.manifest_keys(from))
            .map_err(|error| wrong("/manifest", &error.to_string()))?;
        self.check_manifest(from, &manifest)?;
        checked
            .verify(from, &theirs.signature)
            .map_err(|error| wrong("/signatures", &error.to_string()))?;
        let ours = checked
            .sign(&self.state.me, &self.key)
            .map_err(|error| wrong("/manifest", &error.to_string()))?;
        let cooperation = Cooperation {
            id: manifest.cooperation.clone(),
            peer: from.clone(),
            manifest: Some(checked.canonical_bytes().to_vec()),
            our_signature: Some(ours.to_vec()),
            their_signature: unhex(&theirs.signature),
            refused: None,
        };
        let answer = self
            .cooperation_message(&cooperation)
            .ok_or_else(internal)?;
        self.record(turn, Record::Cooperation(Box::new(cooperation)));
        self.signed(turn, &manifest);
        Ok(PeerAnswer::Cooperation(answer))
    }

    /// Holds a partner's manifest, which is one, against what we have agreed on.
    fn check_manifest(&self, from: &ParticipantId, manifest: &Manifest) -> Result<(), Problem> {
        if Some(&manifest.parties) != self.signers(from).as_ref() {
            if self.names_rotated_keys(from, manifest) {
                return Err(keys_changed());
            }
            return Err(wrong(
                "/manifest/parties",
                "name the two of us, each with the key that the other has pinned",
            ));
        }
        if manifest.mediator.is_some() {
            return Err(wrong(
                "/manifest",
                "leave out `mediator`; what was mediated is signed by the message of mediation",
            ));
        }
        self.check_supersedes(from, manifest)?;
        let mut named = Vec::new();
        for (id, policy) in &manifest.policies {
            let known = self.state.book.agreements.get(id);
            let agreement = known.filter(|a| {
                a.provider == policy.provider
                    && a.consumer == policy.consumer
                    && a.terms.dataset == policy.dataset
                    && hex(&a.policy_hash) == policy.policy_hash
            });
            let agreement = agreement.ok_or_else(|| {
                wrong("/manifest/policies", &format!("`{id}` is not what we agreed on; name FINALIZED agreements, their parties, dataset and hash"))
            })?;
            if agreement.facts.manifest_complete_at.is_some() {
                return Err(wrong(
                    "/manifest/policies",
                    &format!("`{id}` is in another manifest; leave it out"),
                ));
            }
            let mediated = self.state.book.mediation_of(&agreement.cooperation);
            if mediated.is_some() {
                return Err(wrong(
                    "/manifest/policies",
                    &format!(
                        "`{id}` was mediated; it comes into force with all that was mediated together"
                    ),
                ));
            }
            named.push(agreement);
        }
        let between: Vec<_> = named.iter().map(|a| a.between()).collect();
        // Its sender may have our signature for what opens the door before we have the sender's: it asks again.
        self.signature_leaves_codes(&between).map_err(|detail| {
            let pointer = "/manifest/policies";
            field("closed-door", 503, "not signed yet", pointer, detail)
        })?;
        let from = named.iter().map(|a| a.terms.from).min();
        let until = named.iter().map(|a| a.terms.until).max();
        match (manifest.term(), from, until) {
            (Ok(term), Some(from), Some(until)) if term == (from, until) => Ok(()),
            (Ok(_) | Err(_), _, _) => Err(wrong(
                "/manifest/until",
                "the term must reach from the first beginning to the last end of the agreements",
            )),
        }
    }

    /// A manifest may take the place of one that both signed, about one of the same datasets.
    fn check_supersedes(&self, from: &ParticipantId, manifest: &Manifest) -> Result<(), Problem> {
        let Some(hash) = &manifest.supersedes else {
            return Ok(());
        };
        let feed = |p: &PolicyRef| (p.provider.clone(), p.consumer.clone(), p.dataset);
        let known = unhex(hash).and_then(|hash| self.state.book.cooperation_of(&hash));
        let known = known.filter(|cooperation| &cooperation.peer == from);
        let before = known.and_then(|known| known.read_manifest());
        let follows = before.is_some_and(|before| {
            let feeds: BTreeSet<_> = before.policies.values().map(feed).collect();
            manifest.policies.values().any(|p| feeds.contains(&feed(p)))
        });
        if follows {
            return Ok(());
        }
        Err(wrong(
            "/manifest/supersedes",
            "name the hash of a manifest that both of us signed, about one of the same datasets",
        ))
    }

    /// Both have signed: the agreements of a manifest are attested, and take over from others.
    pub(super) fn signed(&mut self, turn: &mut Turn<'_>, manifest: &Manifest) {
        for id in manifest.policies.keys() {
            let Some(mut agreement) = self.state.book.agreements.get(id).cloned() else {
                continue;
            };
            // It is complete now; the earliest that now can be is never before the record.
            agreement.facts.manifest_complete_at = Some(turn.now.earliest);
            agreement.cooperation = manifest.cooperation.clone();
            self.note_agreement(turn, &agreement, Actor::Node, "both parties have signed");
            self.live
                .agreements
                .moved
                .insert(agreement.negotiation.clone());
            self.take_over(turn, agreement);
        }
        let parties = manifest.parties.keys();
        let peers: Vec<_> = parties
            .filter(|id| **id != self.state.me)
            .cloned()
            .collect();
        for peer in &peers {
            self.sign_what_waited(turn, peer);
        }
        self.settle_now(turn);
    }

    /// Puts an agreement that is attested now on record, beside those for the same provider, consumer
    /// and dataset whose terms overlap: of any two, the one that was agreed on later takes the place of
    /// the other when it begins. Both sides know that order, whatever order signatures came in.
    pub(super) fn take_over(&mut self, turn: &mut Turn<'_>, mut agreement: Agreement) {
        let (provider, consumer) = (agreement.provider.clone(), agreement.consumer.clone());
        let overlaps = |a: &&Agreement| {
            a.id != agreement.id
                && a.target == agreement.target
                && a.facts.is_attested(&a.terms)
                && (agreement.supersedes.as_ref() == Some(&a.id)
                    || a.terms.from < agreement.facts.end(&agreement.terms)
                        && agreement.terms.from < a.facts.end(&a.terms)
                        && turn.at() < a.facts.end(&a.terms))
        };
        let dataset = agreement.terms.dataset;
        let between = self.state.book.between(&provider, &consumer, dataset);
        let others: Vec<Agreement> = between.filter(overlaps).cloned().collect();
        for mut other in others {
            if (other.agreed_at, &other.id) > (agreement.agreed_at, &agreement.id) {
                self.give_way(turn, &mut agreement, &other);
            } else if self.give_way(turn, &mut other, &agreement) {
                self.put_agreement(turn, other);
            }
        }
        self.put_agreement(turn, agreement);
    }

    /// Lets `earlier` end when `later` begins, unless it has given way before. Of two that begin at once,
    /// the one that was agreed on later is named as its successor, as at the other side.
    fn give_way(
        &mut self,
        turn: &mut Turn<'_>,
        earlier: &mut Agreement,
        later: &Agreement,
    ) -> bool {
        let begins = later.terms.from.max(turn.at());
        let known = earlier.superseded_by.as_ref();
        let known = known.and_then(|id| self.state.book.agreements.get(id));
        let stays = |at: Timestamp| {
            let later_known = known
                .is_none_or(|known| (known.agreed_at, &known.id) >= (later.agreed_at, &later.id));
            at < begins || at == begins && later_known
        };
        if earlier.facts.superseded_at.is_some_and(stays) {
            return false;
        }
        earlier.facts.superseded_at = Some(begins);
        earlier.superseded_by = Some(later.id.clone());
        let what = format!("superseded by {}", later.id);
        self.note_agreement(turn, earlier, Actor::Node, what);
        true
    }

    /// Sends a manifest that they have not signed, or the notice of an agreement's end.
    pub(in super::super) fn send_cooperation(&mut self, turn: &mut Turn<'_>, id: &WireId) {
        if self.live.agreements.sending.contains_key(id) {
            return;
        }
        let known = self.state.book.cooperations.get(id);
        let open = known.filter(|c| c.is_open());
        let Some(cooperation) = open else {
            return self.send_notice(turn, id);
        };
        let open = |manifest: &Manifest| manifest.term().is_ok_and(|(_, until)| turn.at() < until);
        let Some(manifest) = cooperation.read_manifest().filter(open) else {
            return self.forget_tries(&Timer::Cooperation(id.clone()));
        };
        if let Some(anew) = self.signed_with_keys_in_force(cooperation, manifest) {
            self.record(turn, Record::Cooperation(Box::new(anew)));
        }
        let Some(cooperation) = self.state.book.cooperations.get(id) else {
            return;
        };
        let Some(message) = self.cooperation_message(cooperation) else {
            return;
        };
        let to = cooperation.peer.clone();
        self.call_about(turn, id, to, PeerRequest::Cooperation(message));
    }

    /// Calls a partner about a cooperation or agreement, outside the Dataspace Protocol.
    pub(super) fn call_about(
        &mut self,
        turn: &mut Turn<'_>,
        id: &WireId,
        to: ParticipantId,
        request: PeerRequest,
    ) {
        if !self.is_compared(&to) {
            return;
        }
        let empty = Outgoing {
            path: String::new(),
            body: String::new(),
        };
        self.live.agreements.sending.insert(id.clone(), empty);
        let call = self.live.call(Purpose::Cooperation(id.clone()));
        turn.push(Effect::Call {
            call,
            to,
            request,
            timeout_ms: ANSWER_TIMEOUT_MS,
        });
    }

    fn cooperation_message(&self, cooperation: &Cooperation) -> Option<CooperationMessage> {
        let parties = [
            (&self.state.me, &cooperation.our_signature),
            (&cooperation.peer, &cooperation.their_signature),
        ];
        let signatures = parties.into_iter().filter_map(|(participant, signature)| {
            Some(ManifestSignature {
                participant: participant.clone(),
                signature: hex(signature.as_ref()?),
            })
        });
        Some(CooperationMessage {
            manifest: serde_json::from_slice(cooperation.manifest.as_ref()?).ok()?,
            signatures: signatures.collect(),
        })
    }

    /// The answer to a manifest or a notice.
    pub(in super::super) fn cooperation_answered(
        &mut self,
        turn: &mut Turn<'_>,
        id: &WireId,
        outcome: Result<PeerAnswer, CallFailure>,
    ) {
        self.live.agreements.sending.remove(id);
        let Some(mut cooperation) = self.state.book.cooperations.get(id).cloned() else {
            return self.notice_answered(turn, id, outcome);
        };
        let timer = Timer::Cooperation(id.clone());
        match outcome {
            Ok(PeerAnswer::Cooperation(answer)) => {
                match self.countersigned(&cooperation, &answer) {
                    Ok((manifest, signature)) => {
                        self.forget_tries(&timer);
                        cooperation.their_signature = Some(signature);
                        self.record(turn, Record::Cooperation(Box::new(cooperation)));
                        self.signed(turn, &manifest);
                    }
                    Err(reason) => {
                        let peer = cooperation.peer.clone();
                        self.refused_manifest(turn, cooperation, &peer, reason);
                    }
                }
            }
            Ok(PeerAnswer::Problem(problem)) if is_final(problem.status) => {
                let peer = cooperation.peer.clone();
                self.refused_manifest(turn, cooperation, &peer, problem.detail);
            }
            other => self.try_later(turn, timer, why_not(other)),
        }
    }

    fn refused_manifest(
        &mut self,
        turn: &mut Turn<'_>,
        mut cooperation: Cooperation,
        peer: &ParticipantId,
        reason: String,
    ) {
        let reason = shorten(&reason);
        let detail = format!(
            "cooperation {} is not in force, the manifest was not signed: {reason}",
            cooperation.id
        );
        cooperation.refused = Some(reason);
        self.record(turn, Record::Cooperation(Box::new(cooperation)));
        self.alert(turn, AlertKind::EvidenceMismatch, None, Some(peer), detail);
    }

    /// The other party's signature in its answer, if it is one under the manifest that we sent.
    fn countersigned(
        &self,
        cooperation: &Cooperation,
        answer: &CooperationMessage,
    ) -> Result<(Manifest, Vec<u8>), String> {
        let manifest = read_manifest(answer).map_err(|problem| problem.detail)?;
        let checked = manifest
            .checked(&self.manifest_keys(&cooperation.peer))
            .map_err(|error| error.to_string())?;
        if Some(checked.canonical_bytes()) != cooperation.manifest.as_deref() {
            return Err("the answer is about another manifest".into());
        }
        let theirs = answer
            .signatures
            .iter()
            .find(|s| s.participant == cooperation.peer);
        let theirs = theirs.ok_or("the answer has no signature of the partner")?;
        checked
            .verify(&cooperation.peer, &theirs.signature)
            .map_err(|error| error.to_string())?;
        let bytes = unhex(&theirs.signature).ok_or("the signature is not hexadecimal")?;
        Ok((manifest, bytes))
    }

    /// When a manifest was signed by both, for people.
    pub(super) fn signatures_of(&self, agreement: &Agreement) -> Vec<(ParticipantId, String)> {
        let known = self.state.book.cooperation(&agreement.cooperation);
        let message = known.and_then(|c| self.cooperation_message(&c));
        let signatures = message.into_iter().flat_map(|m| m.signatures);
        signatures.map(|s| (s.participant, s.signature)).collect()
    }
}

fn read_manifest(message: &CooperationMessage) -> Result<Manifest, Problem> {
    serde_json::from_value(message.manifest.clone()).map_err(|error| {
        wrong(
            "/manifest",
            &format!("not a manifest of version {MANIFEST_VERSION}: {error}"),
        )
    })
}

fn wrong(pointer: &str, detail: &str) -> Problem {
    field(
        "manifest-refused",
        422,
        "the manifest was not signed",
        pointer,
        detail,
    )
}

fn internal() -> Problem {
    problem(
        "internal",
        500,
        "not signed",
        "the manifest could not be read back; try again",
    )
}

pub(super) fn unhex(text: &str) -> Option<Vec<u8>> {
    let digit = |b: u8| {
        char::from(b)
            .to_digit(16)
            .and_then(|d| u8::try_from(d).ok())
    };
    text.as_bytes()
        .chunks(2)
        .map(|pair| match pair {
            [high, low] => Some(digit(*high)? << 4 | digit(*low)?),
            _ => None,
        })
        .collect()
}
