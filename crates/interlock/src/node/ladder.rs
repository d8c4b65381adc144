//! Who will tell the recipient, settled before a door opens.
//!
//! Purpose: the ladder: agreement in force, its run-off, the carrier under its own agreement, the owner
//! from its feed, nobody. Invariant: a door opens only if a rung holds, and an owner is asked only
//! about a parcel that is known to be its own. It does not know compartments.

use interlock_core::agreement::AgreementState;
use interlock_core::contact::ContactForm;
use interlock_core::dataset::Dataset;
use interlock_core::ids::ParticipantId;
use interlock_core::negotiation::Party;
use interlock_core::parcel::Ownership;
use interlock_core::terms::Notifier;

use super::agreements::{Agreement, Transfer};
use super::outlook::Outlook;
use super::record::Teller;
use super::state::parcels::Parcel;

/// The first rung that holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Rung {
    /// We tell, once the owner has given us the contact.
    Ask(ParticipantId),
    /// Settled without a contact of ours.
    Settled(Teller),
}

impl<'a> Outlook<'a> {
    /// The first rung that holds for a parcel. `refused` is the reason for which its owner has already
    /// denied the contact.
    pub(super) fn rung(&self, parcel: &Parcel, refused: Option<&str>) -> Rung {
        let nobody = |reason: &str| {
            Rung::Settled(Teller::Nobody {
                reason: reason.into(),
            })
        };
        let owner = match &parcel.ownership {
            Ownership::Owned { owner, .. } => Some(owner),
            Ownership::Contested { .. } => return nobody("ownership-contested"),
            Ownership::Unclaimed { .. } => None,
        };
        if let Some(reason) = refused.filter(|reason| reason.starts_with("consent-")) {
            return nobody(reason);
        }
        if let Some(owner) = owner
            && refused.is_none()
            && self.has_gateway
            && self.contact_source(owner, parcel).is_some()
        {
            return Rung::Ask(owner.clone());
        }
        let mut codeless = false;
        let mut tells = |who: &ParticipantId, notifier| {
            let told = self.feeds_notifier(who, parcel, notifier);
            let code = told && self.feeds_code(who, parcel, notifier);
            codeless |= told && !code;
            code
        };
        if let Some(carrier) = self.state.carrier_of(parcel)
            && tells(&carrier, Notifier::Carrier)
        {
            return Rung::Settled(Teller::Carrier(carrier));
        }
        if let Some(owner) = owner
            && tells(owner, Notifier::Owner)
        {
            return Rung::Settled(Teller::Owner(owner.clone()));
        }
        match (owner, refused) {
            (Some(_), None) if codeless => nobody("code-withheld"),
            (None, _) => nobody("owner-unknown"),
            (Some(_), Some(reason)) => nobody(reason),
            (Some(owner), None) if self.contact_source(owner, parcel).is_some() => {
                nobody("no-gateway")
            }
            (Some(owner), None) => nobody(self.why_no_contact(owner, parcel)),
        }
    }

    /// The agreement, and its started transfer, by which `owner` gives us contacts now. In run-off it
    /// does only of parcels that it had before the end; what we heard of later is not counted on.
    pub(super) fn contact_source(
        &self,
        owner: &ParticipantId,
        parcel: &Parcel,
    ) -> Option<(&'a Agreement, &'a Transfer)> {
        let scope = parcel.marketplace.as_ref();
        self.book
            .between(owner, &self.state.me, Dataset::RecipientContact)
            .filter(|agreement| {
                agreement
                    .terms
                    .notifier
                    .is_none_or(|n| n == Notifier::Operator)
            })
            .filter(|agreement| scope.is_none_or(|m| agreement.terms.marketplaces.contains(m)))
            .filter(|agreement| match agreement.state_at(&self.now) {
                AgreementState::InForce => true,
                AgreementState::RunOff => known_before_end(agreement, parcel),
                AgreementState::Finalized
                | AgreementState::Signed
                | AgreementState::Suspended
                | AgreementState::Ended
                | AgreementState::Superseded => false,
            })
            .find_map(|agreement| Some((agreement, self.book.started(agreement, Party::Consumer)?)))
    }

    /// Whether `consumer` gets our locker events of the parcel under an agreement by which it tells the
    /// recipient.
    fn feeds_notifier(&self, consumer: &ParticipantId, parcel: &Parcel, who: Notifier) -> bool {
        self.book
            .between(&self.state.me, consumer, Dataset::LockerEvents)
            .any(|agreement| {
                agreement.terms.notifier == Some(who)
                    && agreement.state_at(&self.now) == AgreementState::InForce
                    && parcel
                        .marketplace
                        .as_ref()
                        .is_some_and(|m| agreement.terms.marketplaces.contains(m))
            })
    }

    /// Whether `consumer` gets the code of the parcel too: whoever knows where a parcel lies and not its code
    /// stands before a closed door. A carrier gets it only where that agreement names it as the notifier, an
    /// owner gets the codes of its parcels under any. A recipient who enrolled a key has the code from us,
    /// sealed.
    fn feeds_code(&self, consumer: &ParticipantId, parcel: &Parcel, who: Notifier) -> bool {
        let owns = who == Notifier::Owner || parcel.owner() == Some(consumer);
        let open = self
            .book
            .between(&self.state.me, consumer, Dataset::PickupCode)
            .any(|agreement| {
                (owns || agreement.terms.notifier == Some(who))
                    && agreement.terms.contact_forms.contains(&ContactForm::Full)
                    && agreement.state_at(&self.now) == AgreementState::InForce
                    && parcel
                        .marketplace
                        .as_ref()
                        .is_some_and(|m| agreement.terms.marketplaces.contains(m))
            });
        open || self.state.code_keys.contains_key(&parcel.id)
    }

    fn why_no_contact(&self, owner: &ParticipantId, parcel: &Parcel) -> &'static str {
        let newest = self
            .book
            .between(owner, &self.state.me, Dataset::RecipientContact)
            .next();
        let in_run_off = newest.is_some_and(|agreement| known_before_end(agreement, parcel));
        match newest.map(|agreement| agreement.state_at(&self.now)) {
            None => "no-agreement",
            Some(AgreementState::RunOff) if !in_run_off => "not-in-run-off",
            Some(AgreementState::InForce | AgreementState::RunOff) => "transfer-not-started",
            Some(AgreementState::Finalized | AgreementState::Signed) => "not-in-force",
            Some(AgreementState::Suspended) => "suspended",
            Some(AgreementState::Ended | AgreementState::Superseded) => "term-ended",
        }
    }
}

/// Whether we knew of the parcel before the agreement ended.
fn known_before_end(agreement: &Agreement, parcel: &Parcel) -> bool {
    parcel.registered_at < agreement.facts.end(&agreement.terms)
}

/// The teller in words, for couriers.
pub(super) fn teller_words(teller: Option<&Teller>) -> (&'static str, String) {
    match teller {
        None => (
            "queued",
            "the owner is slow to answer; the recipient is told as soon as it does".into(),
        ),
        Some(Teller::Us) => ("operator", "the locker operator tells the recipient".into()),
        Some(Teller::Owner(owner)) => ("owner", format!("{owner} tells the recipient")),
        Some(Teller::Carrier(carrier)) => ("carrier", format!("{carrier} tells the recipient")),
        Some(Teller::Nobody { reason }) => ("nobody", refusal_words(reason)),
    }
}

/// Why a parcel must not go into a locker, and what to do instead.
pub(super) fn refusal_words(reason: &str) -> String {
    let why = match reason {
        "consent-refused" | "consent-unknown" => "the recipient has not agreed to a locker",
        "consent-no-locker" => "the recipient wants no locker for this parcel",
        "consent-other-station" => "the recipient wants another station",
        "consent-not-before" => "the recipient wants it later in the day",
        "ownership-contested" => "two participants claim this parcel",
        "owner-unknown" => "nobody knows whose parcel this is, so nobody can tell the recipient",
        "no-agreement" => "there is no agreement with the parcel's owner",
        "term-ended" | "not-in-run-off" | "run-off-ended" => {
            "the agreement with the parcel's owner has ended"
        }
        "suspended" => "the agreement with the parcel's owner is suspended",
        "not-yet" | "not-in-force" => "the agreement with the parcel's owner is not in force yet",
        "code-withheld" => "whoever would tell the recipient is not given the pick-up code",
        "request-lost" => "the parcel's owner has no request of ours on evidence (any more)",
        "transfer-unknown" => "the parcel's owner does not know the agreement (any more)",
        "clock-uncertain" => "the owner's clock is in doubt, and nothing is released by it",
        "no-gateway" => "this operator cannot send messages at the moment",
        "quota-per-day" => "the owner's limit for today is used up",
        _ => "nobody can tell the recipient",
    };
    format!("do not use the locker: {why} ({reason}); deliver to the address")
}
