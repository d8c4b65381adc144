//! No agreement that sends recipients to a door that stays closed.
//!
//! INVARIANT: where an owner or carrier is to tell recipients that a parcel lies in a locker, neither party
//! asks for, approves or signs that without the code going to it as well, or the operator telling recipients
//! itself. What the parties agreed on, what they negotiate and the codes that we offer count until it comes to
//! a signature; for that, what is signed already and what is signed with it. It does not know parcels.

use interlock_core::dataset::Dataset;
use interlock_core::ids::{ParticipantId, WireId};
use interlock_core::negotiation::Party;
use interlock_core::terms::{Terms, withholds_code};

use super::super::Node;
use super::super::record::AlertKind;
use super::super::turn::Turn;
use super::{Actor, Agreement, Negotiation};

/// What stands in the history of an agreement that we do not sign.
const NOT_SIGNED: &str = "not signed: recipients would be sent to a closed door";

/// Terms and whose they are: provider, consumer.
pub(super) type Between<'a> = ([&'a ParticipantId; 2], &'a Terms);

impl Node {
    /// Whether terms between two parties, of which we are one, leave recipients a code; `with` is what is
    /// agreed on together with them.
    ///
    /// # Errors
    /// The constraint, and what to change.
    pub(super) fn leaves_codes<'a>(
        &'a self,
        terms: &Terms,
        [provider, consumer]: [&ParticipantId; 2],
        with: impl IntoIterator<Item = Between<'a>>,
    ) -> Result<(), String> {
        let book = &self.state.book;
        let (ours, peer) = match provider == &self.state.me {
            true => (Party::Provider, consumer),
            false => (Party::Consumer, provider),
        };
        let agreed = self.beside(provider, consumer).map(|a| &a.terms);
        let open = book.open_negotiations(peer).filter(|n| {
            let of_codes = n.terms.dataset == Dataset::PickupCode;
            (n.party == ours) == of_codes
        });
        let offered = book.offers.values();
        let offered = offered.filter(|offer| {
            ours == Party::Provider
                && offer.terms.dataset == Dataset::PickupCode
                && offer.is_for(peer)
        });
        let with = with
            .into_iter()
            .filter(|other| serves_way(other, [provider, consumer]));
        let beside = agreed
            .chain(open.map(|n| n.shown_terms()))
            .chain(offered.map(|offer| &offer.terms))
            .chain(with.map(|(_, terms)| terms));
        match withholds_code(terms, beside) {
            true => Err(way_out(terms)),
            false => Ok(()),
        }
    }

    /// The same of all that one signature is for: what is in force only with another does not count.
    ///
    /// # Errors
    /// The constraint, and what to change.
    pub(super) fn signature_leaves_codes(&self, named: &[Between<'_>]) -> Result<(), String> {
        for (parties, terms) in named {
            let [provider, consumer] = *parties;
            let signed = self.beside(provider, consumer);
            let signed = signed.filter(|a| a.facts.is_attested(&a.terms));
            let together = named.iter().filter(|other| serves_way(other, *parties));
            let beside = signed.map(|a| &a.terms).chain(together.map(|it| it.1));
            if withholds_code(terms, beside) {
                return Err(way_out(terms));
            }
        }
        Ok(())
    }

    /// Agreements that may serve locker events of two parties, to the end of their terms.
    fn beside(
        &self,
        provider: &ParticipantId,
        consumer: &ParticipantId,
    ) -> impl Iterator<Item = &Agreement> {
        let book = &self.state.book;
        let codes = book.between(provider, consumer, Dataset::PickupCode);
        let contacts = book.between(consumer, provider, Dataset::RecipientContact);
        codes.chain(contacts).filter(|a| lasts(a))
    }

    /// Agreements that are FINALIZED and that we do not sign: people are told, once.
    pub(super) fn not_signed(&mut self, turn: &mut Turn<'_>, agreements: &[Agreement], why: &str) {
        let Some(first) = agreements.first() else {
            return;
        };
        let mut lines = self.state.book.history(&first.id);
        let told = lines.any(|line| line.what == NOT_SIGNED);
        drop(lines);
        if told {
            return;
        }
        let partner = first.other(&self.state.me).clone();
        for agreement in agreements {
            self.note_agreement(turn, agreement, Actor::Node, NOT_SIGNED);
        }
        let cooperation = &first.cooperation;
        let detail = format!(
            "cooperation {cooperation} is not in force, we do not sign its manifest: {why}"
        );
        self.alert(
            turn,
            AlertKind::EvidenceMismatch,
            None,
            Some(&partner),
            detail,
        );
    }

    /// Signs what waited for what two parties have signed now.
    pub(super) fn sign_what_waited(&mut self, turn: &mut Turn<'_>, peer: &ParticipantId) {
        let book = &self.state.book;
        let me = &self.state.me;
        let events = [[me, peer], [peer, me]]
            .into_iter()
            .flat_map(|[provider, consumer]| {
                book.between(provider, consumer, Dataset::LockerEvents)
            });
        let waiting =
            events.filter(|a| !a.facts.is_attested(&a.terms) && turn.at() < a.terms.until);
        let waiting: Vec<WireId> = waiting.map(|a| a.cooperation.clone()).collect();
        for cooperation in waiting {
            self.sign_when_complete(turn, &cooperation);
        }
    }
}

/// Whether terms go the way in which they would serve locker events from `provider` to `consumer`: codes go
/// as the events do, contacts the other way.
fn serves_way((way, terms): &Between<'_>, [provider, consumer]: [&ParticipantId; 2]) -> bool {
    match terms.dataset {
        Dataset::PickupCode => *way == [provider, consumer],
        Dataset::RecipientContact => *way == [consumer, provider],
        Dataset::PreAdvice
        | Dataset::LockerEvents
        | Dataset::LockerStations
        | Dataset::TrackingEvents
        | Dataset::CooperationStatus
        | Dataset::ExchangeStatistics => false,
    }
}

/// The constraint, and what to change.
fn way_out(terms: &Terms) -> String {
    let notifier = terms.notifier.map_or("", |notifier| notifier.as_str());
    format!(
        "`il:notifier` is `{notifier}`, who would send recipients to a locker without the code that opens it: \
         agree on `pickup-code` with that notifier and the form `full` too, for the same marketplaces and as \
         long, or let the operator tell recipients (`il:notifier` `operator`)"
    )
}

/// Whether an agreement still reaches to the end of its terms.
fn lasts(agreement: &Agreement) -> bool {
    let ended = agreement.facts.end(&agreement.terms) < agreement.terms.until;
    !ended && agreement.superseded_by.is_none()
}

impl Agreement {
    /// Its terms and whose they are.
    pub(super) const fn between(&self) -> Between<'_> {
        ([&self.provider, &self.consumer], &self.terms)
    }
}

impl Negotiation {
    /// Its provider and its consumer, of whom we are one.
    pub(super) fn parties<'a>(&'a self, me: &'a ParticipantId) -> [&'a ParticipantId; 2] {
        match self.party {
            Party::Provider => [me, &self.peer],
            Party::Consumer => [&self.peer, me],
        }
    }
}
