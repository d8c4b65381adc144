//! Warnings before agreements end.
//!
//! Purpose: nobody is surprised at midnight. Own systems are told at [`LEADS_MS`] before an end, with
//! the merchants whose parcels it touches. Invariants: each end is warned of once a lead, by a record,
//! so that a restart repeats nothing; all agreements with a partner that end together are one warning;
//! an end that a signed successor takes over without a gap is not warned of. It does not know HTTP.

use std::collections::{BTreeMap, BTreeSet};

use interlock_core::agreement::AgreementState;
use interlock_core::ids::{MerchantId, MessageId, ParticipantId, WireId};
use interlock_core::time::{DAY_MS, HOUR_MS, Timestamp};
use serde_json::{Value, json};

use super::Node;
use super::agreements::Agreement;
use super::io::{DeliveryFailure, Effect, SystemNotice};
use super::live::{Timer, backoff_ms};
use super::record::{EndWarning, MessageOutcome, Record};
use super::rehearse::Warned;
use super::state::WarningState;
use super::turn::Turn;

/// How long before an end is warned of it, in milliseconds, longest first.
pub const LEADS_MS: [i64; 8] = [
    30 * DAY_MS,
    14 * DAY_MS,
    7 * DAY_MS,
    3 * DAY_MS,
    DAY_MS,
    12 * HOUR_MS,
    3 * HOUR_MS,
    HOUR_MS,
];
/// How long a warning is tried at our own systems, in milliseconds.
const NOTICE_LIFE_MS: i64 = 48 * HOUR_MS;
/// Most merchants named in a warning, those with most parcels.
const MERCHANTS_MAX: usize = 1_000;
/// Most warnings in `GET /status`, the newest.
const SHOWN_MAX: usize = 20;

impl Node {
    /// Warns of the ends that are near enough now: of agreements that changed, of those that they may
    /// follow or be followed by, and of those whose time to be warned of has come.
    pub(super) fn warn(&mut self, turn: &mut Turn<'_>, changed: Vec<WireId>) {
        let concerned = self.concerned(turn, changed);
        let mut due: BTreeSet<(ParticipantId, Timestamp, i64)> = BTreeSet::new();
        let book = &self.state.book.agreements;
        for agreement in concerned.iter().filter_map(|id| book.get(id)) {
            if let Some(lead_ms) = self.lead_due(turn, agreement) {
                let partner = agreement.other(&self.state.me).clone();
                let end = agreement.facts.end(&agreement.terms);
                due.insert((partner, end, lead_ms));
            }
        }
        for (partner, ends_at, lead_ms) in due {
            let warned = Warned {
                partner,
                ends_at,
                lead_ms,
            };
            self.look_before_warning(turn, warned);
        }
        for id in concerned {
            let next = self.next_warning(turn, &id);
            self.warn_at(id, next);
        }
    }

    /// Warns of an end that was looked at, with all agreements of which it is still true.
    pub(super) fn give_warning(
        &mut self,
        turn: &mut Turn<'_>,
        warned: Warned,
        (parcels, recipients): (u64, u64),
        merchants: Vec<(MerchantId, u64)>,
    ) {
        let Warned {
            partner,
            ends_at,
            lead_ms,
        } = warned;
        let all = self.state.book.agreements.values();
        let agreements = all.filter(|agreement| {
            *agreement.other(&self.state.me) == partner
                && agreement.facts.end(&agreement.terms) == ends_at
                && self.lead_due(turn, agreement) == Some(lead_ms)
        });
        let agreements: Vec<WireId> = agreements.map(|agreement| agreement.id.clone()).collect();
        if agreements.is_empty() {
            return;
        }
        let id = MessageId::from_bytes(turn.random16());
        tracing::warn!(
            %partner,
            ends_at = %ends_at.to_rfc3339(self.config.zone),
            parcels,
            "agreements end and nothing follows them; renew them, or rehearse the end"
        );
        let warning = EndWarning {
            id,
            partner,
            ends_at,
            lead_ms,
            agreements,
            parcels,
            recipients,
            merchants: merchants.into_iter().take(MERCHANTS_MAX).collect(),
        };
        self.record(turn, Record::EndWarned(Box::new(warning)));
        self.send_warning(turn, id);
    }

    fn concerned(&mut self, turn: &Turn<'_>, changed: Vec<WireId>) -> BTreeSet<WireId> {
        let mut concerned = BTreeSet::new();
        let book = &self.state.book;
        for id in changed {
            // What follows an agreement, or is followed by it, is about the same.
            if let Some(agreement) = book.agreements.get(&id) {
                let (provider, consumer) = (&agreement.provider, &agreement.consumer);
                let others = book.between(provider, consumer, agreement.terms.dataset);
                concerned.extend(others.map(|other| other.id.clone()));
            }
            concerned.insert(id);
        }
        let due = |(at, _): &&(Timestamp, WireId)| *at <= turn.at();
        let due = self.live.agreements.warnings.iter().take_while(due);
        concerned.extend(due.map(|(_, id)| id.clone()));
        concerned
    }

    fn warn_at(&mut self, id: WireId, next: Option<Timestamp>) {
        let watched = &mut self.live.agreements;
        let before = match next {
            Some(at) => watched.warn_at.insert(id.clone(), at),
            None => watched.warn_at.remove(&id),
        };
        if let Some(before) = before {
            watched.warnings.remove(&(before, id.clone()));
        }
        if let Some(at) = next {
            watched.warnings.insert((at, id));
        }
    }

    /// The lead that is due for an agreement and was not warned of, the shortest.
    fn lead_due(&self, turn: &Turn<'_>, agreement: &Agreement) -> Option<i64> {
        let warned = self.state.warned.get(&agreement.id).copied();
        let end = agreement.facts.end(&agreement.terms);
        let due = self.leads(turn, agreement);
        due.filter(|lead| end.plus_ms(-lead) <= turn.at())
            .min()
            .filter(|lead| warned.is_none_or(|warned| *lead < warned))
    }

    /// When an agreement is to be warned of next.
    fn next_warning(&self, turn: &Turn<'_>, id: &WireId) -> Option<Timestamp> {
        let agreement = self.state.book.agreements.get(id)?;
        let end = agreement.facts.end(&agreement.terms);
        let at = self.leads(turn, agreement).map(|lead| end.plus_ms(-lead));
        at.filter(|at| *at > turn.at()).min()
    }

    /// The leads at which an agreement is warned of: those within its life, if nothing follows it.
    fn leads(&self, turn: &Turn<'_>, agreement: &Agreement) -> impl Iterator<Item = i64> {
        let runs = match agreement.state_at(&turn.now) {
            AgreementState::Signed | AgreementState::InForce | AgreementState::Suspended => {
                !self.is_followed(turn, agreement)
            }
            AgreementState::Finalized
            | AgreementState::RunOff
            | AgreementState::Ended
            | AgreementState::Superseded => false,
        };
        let end = agreement.facts.end(&agreement.terms);
        let signed = agreement.facts.manifest_complete_at;
        let begins = signed.map_or(agreement.terms.from, |at| at.max(agreement.terms.from));
        let within = move |lead: &i64| runs && end.plus_ms(-lead) >= begins;
        LEADS_MS.into_iter().filter(within)
    }

    /// Whether a signed successor goes on with all that an agreement is for, every marketplace and every purpose
    /// of it, telling recipients among them: from its end on, or if that is past, now.
    pub(super) fn is_followed(&self, turn: &Turn<'_>, agreement: &Agreement) -> bool {
        let end = agreement.facts.end(&agreement.terms).max(turn.at());
        let dataset = agreement.terms.dataset;
        let book = &self.state.book;
        let mut others = book.between(&agreement.provider, &agreement.consumer, dataset);
        others.any(|other| {
            other.id != agreement.id
                && other.target == agreement.target
                && other.terms.from <= end
                && other.facts.end(&other.terms) > end
                && agreement
                    .terms
                    .marketplaces
                    .is_subset(&other.terms.marketplaces)
                && agreement.terms.purposes.is_subset(&other.terms.purposes)
                && match other.state_at(&turn.now) {
                    AgreementState::Signed | AgreementState::InForce => true,
                    AgreementState::Finalized
                    | AgreementState::Suspended
                    | AgreementState::RunOff
                    | AgreementState::Ended
                    | AgreementState::Superseded => false,
                }
        })
    }

    /// Hands a warning to our own systems, unless they have it.
    fn send_warning(&mut self, turn: &mut Turn<'_>, id: MessageId) {
        let Some(known) = self.state.warnings.get(&id) else {
            return;
        };
        if known.done.is_some() || self.live.delivering.contains_key(&id) {
            return;
        }
        let notice = SystemNotice {
            id,
            kind: "agreement.ends",
            at: known.at,
            data: self.warning_view(known),
        };
        let tries = self.live.tries.get(&Timer::Warning(id)).copied();
        self.live.delivering.insert(id, tries.unwrap_or(0) + 1);
        turn.push(Effect::Notify(notice));
    }

    /// What our own systems said to a warning. True if `id` is one.
    pub(super) fn warning_delivered(
        &mut self,
        turn: &mut Turn<'_>,
        id: MessageId,
        outcome: &Result<(), DeliveryFailure>,
    ) -> bool {
        let Some(known) = self.state.warnings.get(&id) else {
            return false;
        };
        let attempt = self.live.delivering.remove(&id).unwrap_or(0);
        if known.done.is_some() {
            return true;
        }
        let outcome = match outcome {
            Ok(()) => MessageOutcome::Delivered,
            Err(DeliveryFailure::Retry(_)) if known.at.plus_ms(NOTICE_LIFE_MS) > turn.at() => {
                self.live.tries.insert(Timer::Warning(id), attempt);
                let at = turn.at().plus_ms(backoff_ms(attempt, turn.random64()));
                self.live.timer(at, Timer::Warning(id));
                return true;
            }
            Err(DeliveryFailure::Retry(why) | DeliveryFailure::Refused(why)) => {
                let reason = why.clone();
                MessageOutcome::Refused { reason }
            }
        };
        self.live.tries.remove(&Timer::Warning(id));
        self.record(turn, Record::WarningDone { id, outcome });
        true
    }

    /// A warning is tried again.
    pub(super) fn warning_due(&mut self, turn: &mut Turn<'_>, id: MessageId) {
        self.send_warning(turn, id);
    }

    /// After a restart: hands over what our own systems have not acknowledged, under the same ids.
    pub(super) fn resume_warnings(&mut self, turn: &mut Turn<'_>) {
        let open: Vec<MessageId> = self
            .state
            .warnings
            .iter()
            .filter(|(_, known)| known.done.is_none())
            .map(|(id, _)| *id)
            .collect();
        for id in open {
            self.send_warning(turn, id);
        }
    }

    /// The newest warnings, for `GET /status`.
    pub(super) fn warnings_view(&self) -> Vec<Value> {
        let mut newest: Vec<&WarningState> = self.state.warnings.values().collect();
        newest.sort_by_key(|known| std::cmp::Reverse((known.at, known.warning.id)));
        let shown = newest.into_iter().take(SHOWN_MAX);
        shown.map(|known| self.warning_view(known)).collect()
    }

    /// The ends ahead that touch a merchant's parcels, the soonest first, by the newest warning of each:
    /// `partnerName`, `endsAt`, and how many `parcels`, which is `null` where the warning names so many
    /// merchants that this one may have been left out.
    pub(super) fn ends_for(&self, turn: &Turn<'_>, merchant: &MerchantId) -> Vec<Value> {
        let book = &self.state.book.agreements;
        let stands = |warning: &EndWarning| {
            let mut agreements = warning.agreements.iter().filter_map(|id| book.get(id));
            warning.ends_at > turn.at()
                && agreements.any(|a| {
                    a.facts.end(&a.terms) == warning.ends_at && self.leads(turn, a).next().is_some()
                })
        };
        let mut newest: BTreeMap<(Timestamp, &ParticipantId), &WarningState> = BTreeMap::new();
        let all = self.state.warnings.values();
        for known in all.filter(|known| stands(&known.warning)) {
            let warning = &known.warning;
            let kept = newest.entry((warning.ends_at, &warning.partner));
            let kept = kept.or_insert(known);
            if kept.at < known.at {
                *kept = known;
            }
        }
        let one = |known: &WarningState| {
            let warning = &known.warning;
            let own = warning.merchants.iter().find(|(who, _)| who == merchant);
            let may_be_left_out = warning.merchants.len() >= MERCHANTS_MAX;
            (own.is_some() || may_be_left_out).then(|| {
                json!({
                    "partnerName": self.partner_name(&warning.partner),
                    "endsAt": warning.ends_at.to_rfc3339(self.config.zone),
                    "parcels": own.map(|(_, parcels)| parcels),
                })
            })
        };
        newest.into_values().filter_map(one).collect()
    }

    fn warning_view(&self, known: &WarningState) -> Value {
        let warning = &known.warning;
        let zone = self.config.zone;
        let agreements = warning.agreements.iter().map(|id| {
            let agreement = self.state.book.agreements.get(id);
            json!({ "id": id.as_str(), "dataset": agreement.map(|a| a.terms.dataset.as_str()) })
        });
        let merchants = warning.merchants.iter().map(
            |(merchant, parcels)| json!({ "merchant": merchant.as_str(), "parcels": parcels }),
        );
        json!({
            "id": warning.id.to_string(),
            "at": known.at.to_rfc3339(zone),
            "partner": warning.partner.as_str(),
            "partnerName": self.partner_name(&warning.partner),
            "endsAt": warning.ends_at.to_rfc3339(zone),
            "hoursLeft": warning.lead_ms / HOUR_MS,
            "agreements": agreements.collect::<Vec<_>>(),
            "parcels": warning.parcels,
            "recipients": warning.recipients,
            "merchants": merchants.collect::<Vec<_>>(),
        })
    }
}
