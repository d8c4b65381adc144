//! Offers, negotiations and agreements as the local API shows them.
//!
//! INVARIANT: a view says what is on record and what follows from it at the given time, nothing else.
//! Names are in camel case, instants in RFC 3339 in the node's zone. It does not know who may look.
//!
//! - offer: `id`, `dataset`, `from`, `until`, `audience`, `autoAccept`, `terms`, `policy`
//! - negotiation: `id`, `peerId`, `partner`, `role`, `dataset`, `state`, `offer`, `agreement`,
//!   `cooperation`, `supersedes`, `version` (of the terms that lie there), `waitsForPeople`, `approvedBy`
//!   and `approvalsNeeded` (of our people), `draftBy` (who wants to propose them, until a second one
//!   approves), `answerBy` (then it ends by itself), `assurance` (what the agreement would have),
//!   `acknowledged`, `waitingForPartner`
//! - what waits for a partner because a message could not be delivered, else `null`: `tries` (since the
//!   node started), `lastError`, `nextTryAt`
//! - transfer: `id`, `peerId`, `partner`, `role`, `agreement`, `dataset`, `state`, `pushed` (or fetched),
//!   `starts`, `acknowledged`, `waitingForPartner`
//! - proposal: a negotiation with `terms`, `changes`, `policy`, `history`
//! - a line of a history: `at`, `by`, `kind` (of `by`: node, person, partner, offer), `what`, `version`
//!   and `policyHash` (the terms that it was about)
//! - agreement: see [`Node::agreement_answer`]
//! - a term: `key`, `class` (who makes it come true), `en`, `zh`, `odrl`
//! - a change: `key`, `class`, `effect`, `en` and `zh`, each with `old` and `new`

use std::ops::Bound;

use interlock_core::ids::{ParticipantId, WireId};
use interlock_core::terms::{self, Effect, Language, Terms};
use interlock_core::time::{DAY_MS, Timestamp};
use serde_json::{Value, json};

use super::super::Node;
use super::super::feed_items::hex;
use super::super::io::{LocalAnswer, Problem};
use super::super::problem::not_found;
use super::super::turn::Turn;
use super::{Actor, Agreement, HistoryEntry, Negotiation, Offer, Transfer};

impl Node {
    /// `GET /offers`: `{offers: [offer], next}`, in the order of their ids; `next` is the id of the last
    /// one, or `null` if there are no more.
    pub(in super::super) fn offers_view(&self, after: Option<&WireId>, limit: u32) -> Value {
        let from = after.map_or(Bound::Unbounded, Bound::Excluded);
        let offers = &self.state.book.offers;
        let mut rest = offers.range::<WireId, _>((from, Bound::Unbounded));
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        let page: Vec<&Offer> = rest.by_ref().take(limit).map(|(_, offer)| offer).collect();
        let next = rest.next().and(page.last()).map(|offer| offer.id.as_str());
        let page: Vec<Value> = page.iter().map(|offer| self.offer_view(offer)).collect();
        json!({ "offers": page, "next": next })
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

    /// `GET /negotiations`: `{negotiations: [negotiation]}`, those in memory.
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
            "supersedes": n.supersedes.as_ref().map(WireId::as_str),
            "version": n.shown_version(),
            "waitsForPeople": n.waits_for_people,
            "approvedBy": n.approved_by,
            "letInAlike": match n.approved_by.as_slice() {
                [one, other, ..] => self.let_in_alike(one, other),
                [] | [_] => None,
            },
            "approvalsNeeded": self.config.approvals_min,
            "draftBy": n.draft.as_ref().map(|draft| &draft.by),
            "answerBy": n.deadline().map(|at| self.instant(at)),
            "assurance": self.assurance_with(&n.peer).as_str(),
            "acknowledged": n.unsent.is_none(),
            "waitingForPartner": self.negotiation_waiting(n),
        })
    }

    /// A negotiation with the terms that lie there, what they change, and what happened.
    pub(super) fn proposal_view(&self, n: &Negotiation) -> Value {
        let mut view = self.negotiation_view(n);
        // A counter-offer that waits for a second person changes what is on the table.
        let counters = n.draft.is_some() && n.peer_id.is_some();
        let before = if counters {
            Some(&n.terms)
        } else {
            n.terms_before.as_ref()
        };
        let shown = n.shown_terms();
        let changes = before.map(|old| change_lines(old, shown));
        if let Some(members) = view.as_object_mut() {
            members.insert("terms".into(), term_lines(shown));
            members.insert("changes".into(), changes.unwrap_or_else(|| json!([])));
            members.insert("policy".into(), shown.to_policy());
            members.insert("history".into(), self.history_view(&n.id));
        }
        view
    }

    /// `GET /proposals`: `{proposals: [proposal]}`, what waits for a decision of our people, with the
    /// differences from what was on the table before.
    pub(in super::super) fn proposals_view(&self) -> Value {
        let waiting = self.state.book.waiting();
        json!({ "proposals": waiting.map(|n| self.proposal_view(n)).collect::<Vec<_>>() })
    }

    /// `GET /transfers`: `{transfers: [transfer]}`.
    pub(in super::super) fn transfers_view(&self) -> Value {
        json!({ "transfers": self.transfer_lines(self.state.book.transfers.values()) })
    }

    fn transfer_lines<'a>(&self, transfers: impl Iterator<Item = &'a Transfer>) -> Value {
        let line = |t: &Transfer| {
            let agreement = self.state.book.agreements.get(&t.agreement);
            json!({
                "id": t.id.as_str(),
                "peerId": t.peer_id.as_ref().map(WireId::as_str),
                "partner": t.peer.as_str(),
                "role": t.party.as_str(),
                "agreement": t.agreement.as_str(),
                "dataset": agreement.map(|a| a.target.as_str()),
                "state": t.state.as_str(),
                "pushed": t.push.is_some(),
                "starts": t.starts,
                "acknowledged": t.unsent.is_none(),
                "waitingForPartner": self.transfer_waiting(t),
            })
        };
        transfers.map(line).collect()
    }

    /// `GET /agreements`: `{agreements: [agreement]}` without terms, policy, signatures and history.
    pub(in super::super) fn agreements_view(&self, turn: &Turn<'_>) -> Value {
        let all = self.state.book.agreements.values();
        json!({ "agreements": all.map(|a| self.agreement_head(turn, a)).collect::<Vec<_>>() })
    }

    fn agreement_head(&self, turn: &Turn<'_>, a: &Agreement) -> Value {
        let end = a.facts.end(&a.terms);
        let left = end.since_ms(turn.at()).max(0);
        json!({
            "id": a.id.as_str(),
            "role": a.party(&self.state.me).as_str(),
            "partner": a.other(&self.state.me).as_str(),
            "dataset": a.terms.dataset.as_str(),
            "state": a.state_at(&turn.now).as_str(),
            "from": self.instant(a.terms.from),
            "until": self.instant(a.terms.until),
            "endsAt": self.instant(end),
            "daysLeft": (left + DAY_MS - 1) / DAY_MS,
            "followed": self.is_followed(turn, a),
            "cooperation": a.cooperation.as_str(),
            "assurance": a.facts.assurance.as_str(),
            "waitingForPartner": self.agreement_waiting(a),
        })
    }

    /// `GET /agreements/{id}`: `id`, `role`, `partner`, `dataset`, `state`, `from`, `until`, `endsAt`
    /// (earlier than `until` after a termination), `daysLeft` (begun days count), `followed` (a signed
    /// agreement goes on with every marketplace and purpose of it), `cooperation`, `assurance`, `waitingForPartner`, `summary` (`en`, `zh`), `terms`, `policy` (ODRL), `policyHash`, `signatures`
    /// (`participant`, `signature`), `quotaPerDay` and `usedToday` (different parcels; what the consumer
    /// has used is known at the provider alone), `finalizedAt`, `signedAt`, `suspendedBy`, `negotiation`,
    /// `supersedes`, `supersededBy`, `supersededAt`, `transfers`, `asksAgainAt` (when we ask for its
    /// dataset again, if the provider ended the transfer), `history`, `negotiated` (the history of its
    /// negotiation).
    ///
    /// # Errors
    /// 404 for an unknown id.
    pub(in super::super) fn agreement_answer(
        &self,
        turn: &Turn<'_>,
        id: &WireId,
    ) -> Result<LocalAnswer, Problem> {
        let book = &self.state.book;
        let agreement = book.agreement(id);
        let a = agreement.ok_or_else(|| not_found("agreement"))?;
        let a = a.as_ref();
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
            "quotaPerDay": a.terms.quota_per_day,
            "usedToday": self.used_today(turn, a),
            "finalizedAt": self.instant(a.finalized_at),
            "signedAt": instant(a.facts.manifest_complete_at),
            "suspendedBy": a.suspended_by.as_ref().map(ParticipantId::as_str),
            "negotiation": a.negotiation.as_str(),
            "supersedes": a.supersedes.as_ref().map(WireId::as_str),
            "supersededBy": a.superseded_by.as_ref().map(WireId::as_str),
            "supersededAt": instant(a.facts.superseded_at),
            "transfers": self.transfer_lines(book.transfers_of(&a.id)),
            "asksAgainAt": instant(self.asks_again_at(turn, &a.id)),
            "history": self.history_view(&a.id),
            "negotiated": self.history_view(&a.negotiation),
        });
        if let (Value::Object(body), Value::Object(more)) = (&mut body, more) {
            body.extend(more);
        }
        Ok(LocalAnswer::Json { status: 200, body })
    }

    /// How many different parcels the consumer of an agreement of ours has used of its quota today.
    fn used_today(&self, turn: &Turn<'_>, agreement: &Agreement) -> Option<u32> {
        let quota = agreement.terms.quota_per_day;
        let ours = quota.filter(|_| agreement.provider == self.state.me);
        let day = agreement.terms.zone.day_of(turn.at());
        let dataset = agreement.terms.dataset;
        ours.map(|_| {
            self.usage(&agreement.consumer, dataset, day, None)
                .parcels_today
        })
    }

    pub(super) fn history_view(&self, id: &WireId) -> Value {
        let line = |h: &HistoryEntry| {
            json!({
                "at": self.instant(h.at),
                "by": match &h.by {
                    Actor::Node => self.state.me.to_string(),
                    Actor::Person(_) | Actor::Partner(_) | Actor::Offer(_) => h.by.to_string(),
                },
                "kind": h.by.kind(),
                "what": h.what,
                "version": h.version.map(|version| version.number),
                "policyHash": h.version.map(|version| hex(&version.policy_hash)),
            })
        };
        self.state.book.history_of(id).iter().map(line).collect()
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
pub(super) fn change_lines(old: &Terms, new: &Terms) -> Value {
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
