//! No agreement that sends recipients to a door that stays closed.
//!
//! INVARIANT: where an owner or carrier is to tell recipients that a parcel lies in a locker, neither party
//! asks for, approves or signs that without the code going to it as well, or the operator telling recipients
//! itself. What the parties agreed on, what they negotiate and what we offer counts. It does not know parcels.

use interlock_core::dataset::Dataset;
use interlock_core::ids::ParticipantId;
use interlock_core::negotiation::Party;
use interlock_core::terms::{Terms, withholds_code};

use super::super::Node;
use super::{Agreement, Negotiation};

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
        with: impl IntoIterator<Item = &'a Terms>,
    ) -> Result<(), String> {
        let book = &self.state.book;
        let (ours, peer) = match provider == &self.state.me {
            true => (Party::Provider, consumer),
            false => (Party::Consumer, provider),
        };
        // Contacts flow the other way.
        let codes = book.between(provider, consumer, Dataset::PickupCode);
        let contacts = book.between(consumer, provider, Dataset::RecipientContact);
        let agreed = codes.chain(contacts).filter(|a| lasts(a));
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
        let beside = agreed
            .map(|a| &a.terms)
            .chain(open.map(|n| n.shown_terms()))
            .chain(offered.map(|offer| &offer.terms))
            .chain(with);
        match withholds_code(terms, beside) {
            true => Err(way_out(terms)),
            false => Ok(()),
        }
    }

    /// The same of what a manifest names: what is in force only with another signature does not count.
    ///
    /// # Errors
    /// The constraint, and what to change.
    pub(super) fn manifest_leaves_codes(&self, named: &[&Agreement]) -> Result<(), String> {
        let book = &self.state.book;
        for events in named {
            let (provider, consumer) = (&events.provider, &events.consumer);
            let codes = book.between(provider, consumer, Dataset::PickupCode);
            let contacts = book.between(consumer, provider, Dataset::RecipientContact);
            let signed = codes.chain(contacts);
            let signed = signed.filter(|a| lasts(a) && a.facts.is_attested(&a.terms));
            let together = named.iter().copied().filter(|other| {
                let codes = other.terms.dataset == Dataset::PickupCode;
                codes == (&other.provider == provider)
            });
            let beside = signed.chain(together).map(|a| &a.terms);
            if withholds_code(&events.terms, beside) {
                return Err(way_out(&events.terms));
            }
        }
        Ok(())
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

impl Negotiation {
    /// Its provider and its consumer, of whom we are one.
    pub(super) fn parties<'a>(&'a self, me: &'a ParticipantId) -> [&'a ParticipantId; 2] {
        match self.party {
            Party::Provider => [me, &self.peer],
            Party::Consumer => [&self.peer, me],
        }
    }
}
