//! Catalogs: ours, as partners see it, and theirs, as our people ask for it.
//!
//! Purpose: offers shown to whom they are for, and proposals made from a partner's offers. Invariants: a
//! partner sees only offers whose audience includes it; a proposal asks for what the partner offers now,
//! or for the terms given instead, and is made whole or not at all. It does not know who accepts it.

use std::collections::{BTreeMap, BTreeSet};

use interlock_core::dataset::{Dataset, DatasetForm};
use interlock_core::ids::{ParticipantId, WireId};
use interlock_core::negotiation::{NegotiationState, Party};
use interlock_core::terms::{self, Language, Terms};
use interlock_journal::manifest::POLICIES_MAX;
use serde_json::{Value, json};

use super::super::Node;
use super::super::io::{
    CallFailure, Effect, FieldError, LocalAnswer, PeerAnswer, PeerRequest, Problem, ReplyId,
};
use super::super::live::Purpose;
use super::super::problem::{field, not_found, problem};
use super::super::turn::Turn;
use super::address::{PULL, PUSH};
use super::approver::dataset_of;
use super::door::{Answer, Incoming, Refused};
use super::negotiate::{ANSWER_TIMEOUT_MS, check_policy, shorten};
use super::{CATALOG_PAGES_MAX, CatalogCalls, Negotiation, Offer, new_id};
use crate::dsp;
use crate::dsp::catalog::{Filter, OfferedDataset, Offerings, PAGE_SIZE, PageToken, around_page};
use crate::dsp::failure::Refusal;
use crate::dsp::message::{Catalog, CatalogRequestMessage, DataService};
use crate::dsp::routes::Route;
use crate::exchange::http::DSP_BASE;

/// Longest address of a further page that is followed, in bytes.
const LINK_LENGTH_MAX: usize = 2_048;

/// What a caller of ours wants of a partner's catalog.
#[derive(Debug)]
pub enum CatalogWanted {
    /// To see it.
    Show(ParticipantId),
    /// To propose agreements from it.
    Propose {
        /// To whom.
        partner: ParticipantId,
        /// Which offers.
        offers: Vec<WireId>,
        /// Policies to ask for instead, by offer.
        policies: Vec<(WireId, Value)>,
        /// Who proposes.
        by: String,
    },
}

/// An offer in a partner's catalog: its dataset, the kind of it if we know it, and its policy.
#[derive(Debug)]
pub(super) struct Found {
    target: WireId,
    dataset: Option<Dataset>,
    offer: dsp::Offer,
}

/// What we ask a partner for.
struct Wanted {
    offer: WireId,
    target: WireId,
    terms: Terms,
    /// What the partner offers, for the diff.
    offered: Option<Terms>,
}

/// How a dataset can be had: connectors may have feeds pushed.
fn formats(dataset: Dataset, connector: bool) -> Vec<String> {
    let pushed = connector && dataset.form() == DatasetForm::Feed;
    let push = pushed.then(|| PUSH.into());
    std::iter::once(PULL.into()).chain(push).collect()
}

/// The name for people of a dataset with these offers.
fn title(offers: &[&Offer]) -> &'static str {
    offers.first().map_or("", |offer| {
        terms::dataset_label(offer.terms.dataset, Language::En)
    })
}

impl Node {
    /// A partner asks for a page of our catalog.
    pub(super) fn catalog_requested(
        &self,
        turn: &Turn<'_>,
        message: &Incoming<'_>,
    ) -> Result<Answer, Refused> {
        let request = message.read(CatalogRequestMessage::from_json)?;
        let filter = Filter::from_request(&request).map_err(Refusal::Filter)?;
        let token = PageToken::from_query(message.query).map_err(Refusal::Filter)?;
        let me = WireId::parse(self.state.me.as_str()).map_err(|_| Refusal::Unavailable)?;
        let id = WireId::parse("catalog").map_err(|_| Refusal::Unavailable)?;
        let base = self.dsp_base().ok_or(Refusal::Unavailable)?;
        let mut datasets = self.visible(turn, message.from, |_| true);
        let needed = around_page(&datasets, token.as_ref(), PAGE_SIZE, |id, offers| {
            filter.names(id, title(offers))
        });
        let needed: BTreeSet<WireId> = needed.into_iter().cloned().collect();
        datasets.retain(|id, _| needed.contains(*id));
        let offerings = self.offerings(message.from, datasets)?;
        let page = offerings.page(id, me, &filter, token.as_ref(), PAGE_SIZE);
        Ok(Answer {
            link: page.link(&base),
            body: page.catalog.to_json(),
        })
    }

    /// A partner asks for one dataset.
    pub(super) fn dataset_requested(
        &self,
        turn: &Turn<'_>,
        from: &ParticipantId,
        id: &WireId,
    ) -> Result<Value, Refused> {
        let datasets = self.visible(turn, from, |target| target == id);
        let offerings = self.offerings(from, datasets)?;
        let dataset = offerings.dataset(id).ok_or(Refusal::NotFound)?;
        Ok(dataset.to_json())
    }

    /// What is on offer to a partner now, by dataset.
    fn visible<'a>(
        &'a self,
        turn: &Turn<'_>,
        to: &ParticipantId,
        wanted: impl Fn(&WireId) -> bool,
    ) -> BTreeMap<&'a WireId, Vec<&'a Offer>> {
        let mut datasets: BTreeMap<&WireId, Vec<&Offer>> = BTreeMap::new();
        for offer in self.state.book.offers.values() {
            let enough = || self.can_attest(to, offer.terms.dataset).is_ok();
            let stands = offer.is_for(to) && offer.terms.until > turn.at();
            if stands && wanted(&offer.target) && enough() {
                datasets.entry(&offer.target).or_default().push(offer);
            }
        }
        datasets
    }

    fn offerings(
        &self,
        from: &ParticipantId,
        datasets: BTreeMap<&WireId, Vec<&Offer>>,
    ) -> Result<Offerings, Refused> {
        let service = DataService {
            id: WireId::parse(self.state.me.as_str()).map_err(|_| Refusal::Unavailable)?,
            endpoint: self.dsp_base().ok_or(Refusal::Unavailable)?,
        };
        let connector = self.state.is_connector(from);
        let offered = datasets.into_iter().filter_map(|(target, offers)| {
            let kind = offers.first()?.terms.dataset;
            Some(OfferedDataset {
                id: target.clone(),
                title: title(&offers).into(),
                formats: formats(kind, connector),
                service: service.clone(),
                offers: offers
                    .iter()
                    .map(|o| (o.id.clone(), o.terms.to_policy()))
                    .collect(),
            })
        });
        Offerings::new(offered).map_err(|_| Refusal::Unavailable.into())
    }

    /// `GET /partners/{id}/catalog`: asks the partner.
    pub(in super::super) fn get_catalog(
        &mut self,
        turn: &mut Turn<'_>,
        reply: ReplyId,
        partner: &ParticipantId,
    ) {
        self.ask_catalog(turn, reply, partner, CatalogWanted::Show(partner.clone()));
    }

    /// `POST /negotiations`: proposes agreements from a partner's offers, as one cooperation.
    pub(in super::super) fn propose(
        &mut self,
        turn: &mut Turn<'_>,
        reply: ReplyId,
        partner: &ParticipantId,
        offers: Vec<WireId>,
        policies: Vec<(WireId, Value)>,
        by: &str,
    ) {
        if let Err(refused) = check_proposal(&offers, &policies) {
            return self.reply(turn, reply, LocalAnswer::Problem(refused));
        }
        let (by, to) = (by.into(), partner.clone());
        let wanted = CatalogWanted::Propose {
            partner: to,
            offers,
            policies,
            by,
        };
        self.ask_catalog(turn, reply, partner, wanted);
    }

    fn ask_catalog(
        &mut self,
        turn: &mut Turn<'_>,
        reply: ReplyId,
        partner: &ParticipantId,
        wanted: CatalogWanted,
    ) {
        if !self.state.partners.contains_key(partner) {
            return self.reply(turn, reply, LocalAnswer::Problem(not_found("partner")));
        }
        if let Some(calls) = self.live.agreements.catalogs.get_mut(partner) {
            calls.next.push((reply, wanted));
            return;
        }
        self.call_catalog(turn, partner, vec![(reply, wanted)]);
    }

    fn call_catalog(
        &mut self,
        turn: &mut Turn<'_>,
        partner: &ParticipantId,
        now: Vec<(ReplyId, CatalogWanted)>,
    ) {
        let calls = CatalogCalls {
            now,
            ..CatalogCalls::default()
        };
        self.call_page(turn, partner, calls, Route::Catalog.path());
    }

    fn call_page(
        &mut self,
        turn: &mut Turn<'_>,
        partner: &ParticipantId,
        mut calls: CatalogCalls,
        path: String,
    ) {
        calls.pages += 1;
        let asked = &mut self.live.agreements.catalogs;
        asked.insert(partner.clone(), calls);
        let call = self.live.call(Purpose::Catalog(partner.clone()));
        let request = PeerRequest::Dsp {
            post: true,
            path,
            body: CatalogRequestMessage::default().to_json(),
        };
        let (to, timeout_ms) = (partner.clone(), ANSWER_TIMEOUT_MS);
        turn.push(Effect::Call {
            call,
            to,
            request,
            timeout_ms,
        });
    }

    /// A page of a partner's catalog, or why there is none.
    pub(in super::super) fn catalog_answered(
        &mut self,
        turn: &mut Turn<'_>,
        partner: &ParticipantId,
        outcome: Result<PeerAnswer, CallFailure>,
    ) {
        let Some(mut calls) = self.live.agreements.catalogs.remove(partner) else {
            return;
        };
        let link = match &outcome {
            Ok(PeerAnswer::Dsp { link, .. }) => link.clone(),
            Ok(_) | Err(_) => None,
        };
        let read = read_catalog(outcome);
        if read.is_ok() && calls.pages < CATALOG_PAGES_MAX {
            let next = link.zip(self.their_base(partner));
            if let Some(path) = next.and_then(|(link, base)| next_page(&link, &base)) {
                calls.found.extend(read.into_iter().flatten());
                return self.call_page(turn, partner, calls, path);
            }
        }
        let read = read.map(|last| {
            calls.found.extend(last);
            calls.found
        });
        for (reply, wanted) in calls.now {
            let answer = match (&read, wanted) {
                (Err(problem), _) => Err(problem.clone()),
                (Ok(found), CatalogWanted::Show(partner)) => Ok(LocalAnswer::Json {
                    status: 200,
                    body: self.catalog_view(&partner, found),
                }),
                (
                    Ok(found),
                    CatalogWanted::Propose {
                        partner,
                        offers,
                        policies,
                        by,
                    },
                ) => self.open_negotiations(turn, &partner, &offers, &policies, found, &by),
            };
            self.reply(turn, reply, answer.unwrap_or_else(LocalAnswer::Problem));
        }
        if !calls.next.is_empty() {
            self.call_catalog(turn, partner, calls.next);
        }
    }

    /// The path at which the Dataspace Protocol endpoints of a partner begin.
    fn their_base(&self, partner: &ParticipantId) -> Option<String> {
        let partner = self.state.partners.get(partner)?;
        let address: http::Uri = partner.exchange_url.as_str().parse().ok()?;
        let path = address.path().trim_end_matches('/');
        Some(match partner.connector {
            true => path.to_owned(),
            false => format!("{path}{DSP_BASE}"),
        })
    }

    fn open_negotiations(
        &mut self,
        turn: &mut Turn<'_>,
        partner: &ParticipantId,
        offers: &[WireId],
        policies: &[(WireId, Value)],
        found: &[Found],
        by: &str,
    ) -> Result<LocalAnswer, Problem> {
        let mut wanted = Vec::with_capacity(offers.len());
        let mut errors = Vec::new();
        for (at, offer) in offers.iter().enumerate() {
            let asked = asked_for(turn, offer, policies, found).and_then(|asked| {
                self.can_attest(partner, asked.terms.dataset)?;
                Ok(asked)
            });
            match asked {
                Ok(asked) => wanted.push(asked),
                Err(detail) => errors.push(FieldError {
                    pointer: format!("/offers/{at}"),
                    detail,
                }),
            }
        }
        if !errors.is_empty() {
            let detail = "some offers cannot be asked for; nothing was proposed";
            let refused = problem("proposal-refused", 422, "nothing was proposed", detail);
            return Err(Problem { errors, ..refused });
        }
        self.open_all(turn, partner, wanted, by)
    }

    /// Proposes an agreement from an offer that is known by other ways than the partner's catalog.
    ///
    /// # Errors
    /// 404 for an unknown partner, 422 for a policy that cannot be agreed on.
    pub(in super::super) fn propose_known(
        &mut self,
        turn: &mut Turn<'_>,
        partner: &ParticipantId,
        offer: WireId,
        target: WireId,
        policy: &Value,
        by: &str,
    ) -> Result<LocalAnswer, Problem> {
        if !self.state.partners.contains_key(partner) {
            return Err(not_found("partner"));
        }
        let terms = self.approver.terms(&target, policy).map_err(|detail| {
            let title = "nothing was proposed";
            field("proposal-refused", 422, title, "/policy", detail)
        })?;
        let offered = None;
        let wanted = Wanted {
            offer,
            target,
            terms,
            offered,
        };
        self.open_all(turn, partner, vec![wanted], by)
    }

    /// Opens a negotiation for each thing wanted, as one cooperation.
    fn open_all(
        &mut self,
        turn: &mut Turn<'_>,
        partner: &ParticipantId,
        wanted: Vec<Wanted>,
        by: &str,
    ) -> Result<LocalAnswer, Problem> {
        if self.dsp_base().is_none() {
            let detail = "the address of our exchange door is not one; set `listen.exchange_url`";
            return Err(problem("no-address", 500, "nothing was proposed", detail));
        }
        let parties = [partner, &self.state.me];
        let together = || wanted.iter().map(|it| (parties, &it.terms));
        for it in &wanted {
            self.leaves_codes(&it.terms, parties, together())
                .map_err(|detail| {
                    let title = "nothing was proposed";
                    field("proposal-refused", 422, title, "/offers", detail)
                })?;
        }
        let cooperation = new_id(turn);
        let mut ids = Vec::with_capacity(wanted.len());
        for Wanted {
            offer,
            target,
            terms,
            offered,
        } in wanted
        {
            let negotiation = Negotiation {
                id: new_id(turn),
                peer_id: None,
                peer: partner.clone(),
                party: Party::Consumer,
                state: NegotiationState::Requested,
                offer,
                target,
                terms_before: offered,
                policy_hash: terms.policy_hash(),
                terms,
                version: 1,
                agreement: None,
                agreed_at: None,
                cooperation: cooperation.clone(),
                waits_for_people: false,
                draft: None,
                approved_by: Vec::new(),
                expires_at: self.answer_by(turn),
                unsent: None,
                taken: None,
                supersedes: None,
            };
            ids.push(negotiation.id.clone());
            self.begin(turn, negotiation, by);
        }
        let ids: Vec<&str> = ids.iter().map(WireId::as_str).collect();
        let body = json!({ "cooperation": cooperation.as_str(), "negotiations": ids });
        Ok(LocalAnswer::Json { status: 201, body })
    }
}

fn check_proposal(offers: &[WireId], policies: &[(WireId, Value)]) -> Result<(), Problem> {
    let wrong = |pointer: &str, detail: &str| {
        Err(field(
            "proposal-refused",
            422,
            "nothing was proposed",
            pointer,
            detail,
        ))
    };
    if offers.is_empty() || offers.len() > POLICIES_MAX {
        return wrong(
            "/offers",
            &format!("name 1 to {POLICIES_MAX} offers of the partner"),
        );
    }
    let distinct: BTreeSet<&WireId> = offers.iter().collect();
    if distinct.len() < offers.len() {
        return wrong("/offers", "an offer is named twice; name each once");
    }
    if policies.iter().any(|(id, _)| !distinct.contains(id)) {
        return wrong(
            "/policies",
            "a policy is for an offer that is not named; name the offer too",
        );
    }
    Ok(())
}

/// What to ask for, for one offer, and what the partner offers; what is wrong in words.
fn asked_for(
    turn: &Turn<'_>,
    offer: &WireId,
    policies: &[(WireId, Value)],
    found: &[Found],
) -> Result<Wanted, String> {
    let found = found.iter().find(|f| &f.offer.id == offer);
    let found = found.ok_or("the partner does not offer this to us; look at its catalog")?;
    let dataset = found
        .dataset
        .ok_or("the dataset is none of the profile's; ask for another")?;
    let offered = check_policy(&found.offer.to_policy(), dataset);
    let given = policies.iter().find(|(id, _)| id == offer);
    let asked = match given {
        Some((_, policy)) => check_policy(policy, dataset)?,
        None => offered.clone()?,
    };
    if asked.until <= turn.at() {
        return Err("the term is over; ask for one that ends later".into());
    }
    Ok(Wanted {
        offer: offer.clone(),
        target: found.target.clone(),
        terms: asked,
        offered: offered.ok(),
    })
}

/// The path of the next page below the partner's base, from its `Link` header (RFC 8288). Only the path
/// of the address counts: we ask at the address of the partner list, whatever host a header names.
fn next_page(link: &str, base: &str) -> Option<String> {
    let next = link.split(',').find_map(|part| {
        let (address, parameters) = part.trim().strip_prefix('<')?.split_once('>')?;
        let is_next = parameters.split(';').any(|parameter| {
            let parameter = parameter.trim().to_ascii_lowercase();
            matches!(parameter.as_str(), "rel=\"next\"" | "rel=next")
        });
        is_next.then_some(address)
    })?;
    let address: http::Uri = next.parse().ok()?;
    let path = address.path_and_query()?.as_str().strip_prefix(base)?;
    (path.starts_with(['/', '?']) && path.len() <= LINK_LENGTH_MAX).then(|| path.to_owned())
}

fn read_catalog(outcome: Result<PeerAnswer, CallFailure>) -> Result<Vec<Found>, Problem> {
    let unusable =
        |detail: String| problem("partner-answer", 502, "the partner gave no catalog", detail);
    let body = match outcome {
        Ok(PeerAnswer::Dsp {
            status: 200, body, ..
        }) => body,
        Ok(PeerAnswer::Dsp { status, .. }) => {
            return Err(unusable(format!(
                "it answered with status {status}; ask it whether it knows us as partner"
            )));
        }
        Ok(PeerAnswer::Problem(refused)) => return Err(unusable(shorten(&refused.detail))),
        Ok(
            PeerAnswer::Feed(_)
            | PeerAnswer::Lookup(_)
            | PeerAnswer::Evidence(_)
            | PeerAnswer::Mirror(_)
            | PeerAnswer::Cooperation(_)
            | PeerAnswer::Mediation(_),
        ) => {
            return Err(unusable("its answer is no catalog".into()));
        }
        Err(CallFailure::Rubbish(reason)) => return Err(unusable(shorten(&reason))),
        Err(CallFailure::Unreachable(_) | CallFailure::TimedOut) => {
            let detail = "the partner does not answer; check its address and try again";
            return Err(problem(
                "partner-unreachable",
                502,
                "the partner cannot be reached",
                detail,
            ));
        }
    };
    let catalog = Catalog::from_json(&body).map_err(|error| unusable(error.to_string()))?;
    let mut found = Vec::new();
    for entry in catalog.content.datasets {
        let (target, dataset) = (entry.id.clone(), dataset_of(&entry.id));
        let offers = entry.distributions.into_iter().flat_map(|d| d.offers);
        let offers = entry.offers.into_iter().chain(offers);
        found.extend(offers.map(|offer| Found {
            target: target.clone(),
            dataset,
            offer,
        }));
    }
    Ok(found)
}

impl Node {
    /// `{partner, offers: [{id, dataset, assurance, policy, terms, problem}]}`: `assurance` is what an
    /// agreement would have, `terms` are the lines for people, and `problem` says why an offer cannot be
    /// asked for as it is.
    fn catalog_view(&self, partner: &ParticipantId, found: &[Found]) -> Value {
        let assurance = self.assurance_with(partner);
        let line = |found: &Found| {
            let policy = found.offer.to_policy();
            let read = match found.dataset {
                Some(dataset) => check_policy(&policy, dataset)
                    .and_then(|terms| self.can_attest(partner, dataset).map(|()| terms)),
                None => Err("the dataset is none of the profile's".into()),
            };
            json!({
                "id": found.offer.id.as_str(),
                "dataset": found.target.as_str(),
                "assurance": assurance.as_str(),
                "policy": policy,
                "terms": read.as_ref().ok().map(super::views::term_lines),
                "problem": read.err(),
            })
        };
        let offers: Vec<Value> = found.iter().map(line).collect();
        json!({ "partner": partner.as_str(), "offers": offers })
    }
}
