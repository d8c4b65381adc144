//! Mediations as the local API shows them.
//!
//! - mediation: `id`, `mediator`, `role` (`mediator`, `party`), `parties`, `state` (`draft`, `proposed`,
//!   `countered`, `refused`, `withdrawn`, `expired`, `accepted`), `version`, `cooperation`,
//!   `manifestHash`, `from`, `until`, `answerBy`, `note`, `answers` (`participant`, `answer`: `none`,
//!   `accepted`, `countered`, `refused`), `waitsForPeople`, `approvedBy`, `inForce` (at a party: all is
//!   FINALIZED and signed by both)
//! - one mediation, besides: `agreements` (`id`, `provider`, `consumer`, `dataset`, `policyHash`, `terms`,
//!   `policy`), in `answers` the `reason` and, of a counter-proposal, `changes` (by agreement: what
//!   differs from the terms that lie there) and `policies`, `withdrawn`, `signature` (the mediator's),
//!   `history`

use interlock_core::ids::{ParticipantId, WireId};
use serde_json::{Value, json};

use super::super::super::Node;
use super::super::super::feed_items::hex;
use super::super::super::io::{LocalAnswer, Problem};
use super::super::super::problem::not_found;
use super::super::super::turn::Turn;
use super::super::views::{change_lines, term_lines};
use super::{Answer, Mediation, Standing};

impl Node {
    /// `GET /mediations`: `{mediations: [mediation]}`.
    pub(in super::super::super) fn mediations_view(&self, turn: &Turn<'_>) -> Value {
        let all = self.state.book.mediations.values();
        json!({ "mediations": all.map(|m| self.mediation_head(turn, m)).collect::<Vec<_>>() })
    }

    fn mediation_head(&self, turn: &Turn<'_>, m: &Mediation) -> Value {
        let standing = self.standing_of(turn, m);
        let mediates = m.mediator == self.state.me;
        let manifest = m.read_manifest();
        let cooperation = manifest.as_ref().map(|m| m.cooperation.clone());
        let waits = match standing {
            Standing::Draft => true,
            Standing::Proposed | Standing::Countered => !mediates && m.ours.is_none(),
            Standing::Refused | Standing::Withdrawn | Standing::Expired | Standing::Accepted => {
                false
            }
        };
        let signed = cooperation.as_ref().is_some_and(|id| {
            let known = self.state.book.cooperations.get(id);
            known.is_some_and(super::super::Cooperation::is_complete)
        });
        json!({
            "id": m.id.as_str(),
            "mediator": m.mediator.as_str(),
            "role": if mediates { "mediator" } else { "party" },
            "parties": m.parties().into_iter().map(ParticipantId::as_str).collect::<Vec<_>>(),
            "state": standing.as_str(),
            "version": m.version,
            "cooperation": cooperation.as_ref().map(WireId::as_str),
            "manifestHash": hex(&m.manifest_hash()),
            "from": manifest.as_ref().map(|m| &m.from),
            "until": manifest.as_ref().map(|m| &m.until),
            "answerBy": self.instant(m.answer_by),
            "note": m.note,
            "answers": self.answers_view(m, false),
            "waitsForPeople": waits,
            "approvedBy": m.approved_by,
            "inForce": signed,
        })
    }

    /// What each party has said.
    fn answers_view(&self, m: &Mediation, whole: bool) -> Vec<Value> {
        let view = |party: &ParticipantId| {
            let answer = m.answer_of(party, &self.state.me);
            let name = answer.map_or("none", Answer::as_str);
            let mut view = json!({ "participant": party.as_str(), "answer": name });
            if let (true, Some(view), Some(answer)) = (whole, view.as_object_mut(), answer) {
                match answer {
                    Answer::Accepted { signature } => {
                        view.insert("signature".into(), hex(signature).into());
                    }
                    Answer::Refused { reason } => {
                        view.insert("reason".into(), reason.as_str().into());
                    }
                    Answer::Countered { terms, reason } => {
                        view.insert("reason".into(), reason.as_str().into());
                        let changes = terms.iter().filter_map(|(id, new)| {
                            let old = &m.agreements.get(id)?.terms;
                            Some((id.to_string(), change_lines(old, new)))
                        });
                        view.insert("changes".into(), Value::Object(changes.collect()));
                        let policies = terms.iter().map(|(id, t)| (id.to_string(), t.to_policy()));
                        view.insert("policies".into(), Value::Object(policies.collect()));
                    }
                }
            }
            view
        };
        m.parties().into_iter().map(view).collect()
    }

    /// `GET /mediations/{id}`.
    ///
    /// # Errors
    /// 404 for an unknown id.
    pub(in super::super::super) fn mediation_answer(
        &self,
        turn: &Turn<'_>,
        id: &WireId,
        status: u16,
    ) -> Result<LocalAnswer, Problem> {
        let known = self.state.book.mediations.get(id);
        let m = known.ok_or_else(|| not_found("mediation"))?;
        let agreements: Vec<Value> = m
            .agreements
            .iter()
            .map(|(id, a)| {
                json!({
                    "id": id.as_str(),
                    "provider": a.provider.as_str(),
                    "consumer": a.consumer.as_str(),
                    "dataset": a.terms.dataset.as_str(),
                    "policyHash": hex(&a.terms.policy_hash()),
                    "terms": term_lines(&a.terms),
                    "policy": a.terms.to_policy(),
                })
            })
            .collect();
        let mut body = self.mediation_head(turn, m);
        if let Some(body) = body.as_object_mut() {
            body.insert("agreements".into(), agreements.into());
            body.insert("answers".into(), self.answers_view(m, true).into());
            body.insert("withdrawn".into(), json!(m.withdrawn));
            body.insert("signature".into(), hex(&m.signature).into());
            body.insert("history".into(), self.history_view(&m.id));
        }
        Ok(LocalAnswer::Json { status, body })
    }
}
