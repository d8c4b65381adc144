//! Offers, negotiations and agreements as the local API shows them.
//!
//! INVARIANT: a view says what is on record and what follows from it at the given time, nothing else.
//! Names are in camel case, instants in RFC 3339 in the node's zone. It does not know who may look.
//!
//! - offer: `id`, `dataset`, `from`, `until`, `audience`, `autoAccept`, `terms`, `policy`
//! - negotiation: `id`, `peerId`, `partner`, `role`, `dataset`, `state`, `offer`, `agreement`,
//!   `cooperation`, `waitsForPeople`, `acknowledged`, `history`
//! - proposal: a negotiation with `terms`, `changes`, `policy`
//! - agreement: see [`Node::agreement_answer`]
//! - a term: `key`, `class` (who makes it come true), `en`, `zh`, `odrl`
//! - a change: `key`, `class`, `effect`, `en` and `zh`, each with `old` and `new`

use interlock_core::agreement::Assurance;
use interlock_core::ids::{ParticipantId, WireId};
use interlock_core::negotiation::Party;
use interlock_core::terms::{self, Effect, Language, Terms};
use interlock_core::time::{DAY_MS, Timestamp};
use serde_json::{Value, json};

use super::super::Node;
use super::super::feed_items::hex;
use super::super::io::{LocalAnswer, Problem};
use super::super::problem::not_found;
use super::super::turn::Turn;
use super::{Agreement, HistoryEntry, Negotiation, Offer};

impl Node {
    /// `GET /offers`: `{offers: [offer]}`.
    pub(in super::super) fn offers_view(&self) -> Value {
        let offers = self.state.book.offers.values();
        json!({ "offers": offers.map(|o| self.offer_view(o)).collect::<Vec<_>>() })
    }

    pub(super) fn offer_view(&self, offer: &Offer) -> Value {
        let audience: Vec<&str> = offer.audience.iter().map(ParticipantId::as_str).collect();
        json!({
            "id": offer.id.as_str(),
            "dataset": offer.target.as_str(),
            "from": self.instant(offer.terms.from),
            "until": self.instant(offer.terms.until),
            "audience": audience,
            "autoAccept": offer.auto_accept,
            "terms": term_lines(&offer.terms),
            "policy": offer.terms.to_policy(),
        })
    }

    /// `GET /negotiations`: `{negotiations: [negotiation]}`.
    pub(in super::super) fn negotiations_view(&self) -> Value {
        let all = self.state.book.negotiations.values();
        json!({ "negotiations": all.map(|n| self.negotiation_view(n)).collect::<Vec<_>>() })
    }

    pub(super) fn negotiation_view(&self, n: &Negotiation) -> Value {
        json!({
            "id": n.id.as_str(),
            "peerId": n.peer_id.as_ref().map(WireId::as_str),
            "partner": n.peer.as_str(),
            "role": n.party.as_str(),
            "dataset": n.target.as_str(),
            "state": n.state.as_str(),
            "offer": n.offer.as_str(),
            "agreement": n.agreement.as_ref().map(WireId::as_str),
            "cooperation": n.cooperation.as_str(),
            "waitsForPeople": n.waits_for_people,
            "acknowledged": n.unsent.is_none(),
            "history": self.history_view(&n.history),
        })
    }

    /// `GET /proposals`: `{proposals: [proposal]}`, what waits for a decision of our people, with the
    /// differences from what was on the table before.
    pub(in super::super) fn proposals_view(&self) -> Value {
        let waiting = self
            .state
            .book
            .negotiations
            .values()
            .filter(|n| n.waits_for_people);
        let proposals: Vec<Value> = waiting
            .map(|n| {
                let mut view = self.negotiation_view(n);
                if let Some(members) = view.as_object_mut() {
                    let changes = n
                        .terms_before
                        .as_ref()
                        .map(|old| change_lines(old, &n.terms));
                    members.insert("terms".into(), term_lines(&n.terms));
                    members.insert("changes".into(), changes.unwrap_or_else(|| json!([])));
                    members.insert("policy".into(), n.terms.to_policy());
                }
                view
            })
            .collect();
        json!({ "proposals": proposals })
    }

    /// `GET /agreements`: `{agreements: [agreement]}` without terms, policy, signatures and history.
    pub(in super::super) fn agreements_view(&self, turn: &Turn<'_>) -> Value {
        let all = self.state.book.agreements.values();
        json!({ "agreements": all.map(|a| self.agreement_head(turn, a)).collect::<Vec<_>>() })
    }

    fn agreement_head(&self, turn: &Turn<'_>, a: &Agreement) -> Value {
        let role = if a.provider == self.state.me {
            Party::Provider
        } else {
            Party::Consumer
        };
        let end = a.facts.end(&a.terms);
        let left = end.since_ms(turn.at()).max(0);
        json!({
            "id": a.id.as_str(),
            "role": role.as_str(),
            "partner": a.other(&self.state.me).as_str(),
            "dataset": a.terms.dataset.as_str(),
            "state": a.state_at(&turn.now).as_str(),
            "from": self.instant(a.terms.from),
            "until": self.instant(a.terms.until),
            "endsAt": self.instant(end),
            "daysLeft": (left + DAY_MS - 1) / DAY_MS,
            "cooperation": a.cooperation.as_str(),
            "assurance": match a.facts.assurance {
                Assurance::Signed => "signed",
                Assurance::Plain => "plain",
            },
        })
    }

    /// `GET /agreements/{id}`: `id`, `role`, `partner`, `dataset`, `state`, `from`, `until`, `endsAt`
    /// (earlier than `until` after a termination), `daysLeft` (begun days count), `cooperation`,
    /// `assurance`, `summary` (`en`, `zh`), `terms`, `policy` (ODRL), `policyHash`, `signatures`
    /// (`participant`, `signature`), `finalizedAt`, `signedAt`, `suspendedBy`, `supersededBy`,
    /// `supersededAt`, `history` (`at`, `by`, `what`).
    ///
    /// # Errors
    /// 404 for an unknown id.
    pub(in super::super) fn agreement_answer(
        &self,
        turn: &Turn<'_>,
        id: &WireId,
    ) -> Result<LocalAnswer, Problem> {
        let agreement = self.state.book.agreements.get(id);
        let a = agreement.ok_or_else(|| not_found("agreement"))?;
        let mut body = self.agreement_head(turn, a);
        let instant = |at: Option<Timestamp>| at.map(|at| self.instant(at));
        let signatures: Vec<Value> = self
            .signatures_of(a)
            .into_iter()
            .map(|(who, signature)| json!({ "participant": who.as_str(), "signature": signature }))
            .collect();
        let summary = |language| {
            let (provider, consumer) = (self.name_of(&a.provider), self.name_of(&a.consumer));
            terms::summary(&a.terms, provider, consumer, language)
        };
        let more = json!({
            "summary": { "en": summary(Language::En), "zh": summary(Language::Zh) },
            "terms": term_lines(&a.terms),
            "policy": a.terms.to_policy(),
            "policyHash": hex(&a.policy_hash),
            "signatures": signatures,
            "finalizedAt": self.instant(a.finalized_at),
            "signedAt": instant(a.facts.manifest_complete_at),
            "suspendedBy": a.suspended_by.as_ref().map(ParticipantId::as_str),
            "supersededBy": a.superseded_by.as_ref().map(WireId::as_str),
            "supersededAt": instant(a.facts.superseded_at),
            "history": self.history_view(&a.history),
        });
        if let (Value::Object(body), Value::Object(more)) = (&mut body, more) {
            body.extend(more);
        }
        Ok(LocalAnswer::Json { status: 200, body })
    }

    fn history_view(&self, history: &[HistoryEntry]) -> Vec<Value> {
        let line =
            |h: &HistoryEntry| json!({ "at": self.instant(h.at), "by": h.by, "what": h.what });
        history.iter().map(line).collect()
    }

    fn name_of<'a>(&'a self, id: &'a ParticipantId) -> &'a str {
        if id == &self.state.me {
            return &self.config.name;
        }
        self.state
            .partners
            .get(id)
            .map_or(id.as_str(), |partner| &partner.name)
    }

    pub(super) fn instant(&self, at: Timestamp) -> String {
        at.to_rfc3339(self.config.zone)
    }
}

/// Terms line by line, in both languages.
pub(super) fn term_lines(terms: &Terms) -> Value {
    let (en, zh) = (
        terms::describe(terms, Language::En),
        terms::describe(terms, Language::Zh),
    );
    let lines = en.into_iter().zip(zh).map(|(en, zh)| {
        json!({
            "key": en.key.as_str(),
            "class": en.class.as_str(),
            "en": en.text,
            "zh": zh.text,
            "odrl": en.odrl,
        })
    });
    lines.collect()
}

/// What changes between two versions of terms, in both languages.
fn change_lines(old: &Terms, new: &Terms) -> Value {
    let changes = |language| terms::changes(old, new, language);
    let lines = changes(Language::En)
        .into_iter()
        .zip(changes(Language::Zh))
        .map(|(en, zh)| {
            json!({
                "key": en.key.as_str(),
                "class": en.key.class().as_str(),
                "effect": match en.effect {
                    Effect::ConsumerGetsMore => "consumer-gets-more",
                    Effect::ConsumerGetsLess => "consumer-gets-less",
                    Effect::Other => "other",
                },
                "en": { "old": en.old, "new": en.new },
                "zh": { "old": zh.old, "new": zh.new },
            })
        });
    lines.collect()
}
