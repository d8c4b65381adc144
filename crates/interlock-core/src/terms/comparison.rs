//! What changes between two versions of terms, and whether one lies within the other.
//!
//! INVARIANT: what [`within`] accepts releases nothing that the offer would have denied; whoever
//! published the offer has agreed to it already. Not known here: whether terms make sense.

use alloc::string::String;
use alloc::vec::Vec;

use super::vocabulary::{Backlog, TermKey};
use super::words::value;
use super::{Language, Terms};
use crate::dataset::DatasetForm;

/// What a change means for the consumer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Effect {
    /// More data, longer, or with fewer duties.
    ConsumerGetsMore,
    /// Less data, shorter, or with more duties.
    ConsumerGetsLess,
    /// Neither more nor less, or both.
    Other,
}

/// One term that differs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TermChange {
    /// Which term.
    pub key: TermKey,
    /// What was agreed on before, in plain words; `None` for nothing.
    pub old: Option<String>,
    /// What is proposed, in plain words; `None` for nothing.
    pub new: Option<String>,
    /// What it means for the consumer.
    pub effect: Effect,
}

/// Every term that differs from `old` to `new`, in the order of [`TermKey`].
pub fn changes(old: &Terms, new: &Terms, language: Language) -> Vec<TermChange> {
    TermKey::ALL
        .iter()
        .filter_map(|key| {
            let effect = effect(*key, old, new)?;
            Some(TermChange {
                key: *key,
                old: value(old, *key, language),
                new: value(new, *key, language),
                effect,
            })
        })
        .collect()
}

/// Whether `requested` can be accepted without asking a person: in every term equal to what was
/// `offered`, or narrower for the consumer, with duties at least as strict.
///
/// # Errors
/// The terms that go beyond the offer, in English; `old` is the offer, `new` the request.
pub fn within(requested: &Terms, offered: &Terms) -> Result<(), Vec<TermChange>> {
    let beyond: Vec<TermChange> = changes(offered, requested, Language::En)
        .into_iter()
        .filter(|change| change.effect != Effect::ConsumerGetsLess)
        .collect();
    if beyond.is_empty() {
        Ok(())
    } else {
        Err(beyond)
    }
}

/// `None` if the term is the same.
fn effect(key: TermKey, old: &Terms, new: &Terms) -> Option<Effect> {
    if same(key, old, new) {
        return None;
    }
    Some(match (at_most(key, new, old), at_most(key, old, new)) {
        (true, false) => Effect::ConsumerGetsLess,
        (false, true) => Effect::ConsumerGetsMore,
        (true, true) | (false, false) => Effect::Other,
    })
}

fn same(key: TermKey, a: &Terms, b: &Terms) -> bool {
    match key {
        TermKey::Dataset => a.dataset == b.dataset,
        TermKey::Term => (a.from, a.until, a.zone) == (b.from, b.until, b.zone),
        TermKey::Purpose => a.purposes == b.purposes,
        TermKey::Scope => a.marketplaces == b.marketplaces,
        TermKey::Fields => a.fields == b.fields,
        TermKey::ContactForm => a.contact_forms == b.contact_forms,
        TermKey::QuotaPerDay => a.quota_per_day == b.quota_per_day,
        TermKey::QuotaPerParcel => a.quota_per_parcel == b.quota_per_parcel,
        TermKey::Evidence => a.evidence == b.evidence,
        TermKey::Notifier => a.notifier == b.notifier,
        TermKey::RunOff => a.run_off_ms == b.run_off_ms,
        TermKey::Backlog => a.backlog == b.backlog,
        TermKey::CoversFrom => a.covers_from == b.covers_from,
        TermKey::Deletion => a.delete_after_ms == b.delete_after_ms,
        TermKey::Reciprocity => a.reciprocate == b.reciprocate,
        TermKey::Redisclosure => a.no_redisclosure == b.no_redisclosure,
    }
}

/// Whether `a` gives the consumer at most what `b` gives, in this term.
fn at_most(key: TermKey, a: &Terms, b: &Terms) -> bool {
    match key {
        TermKey::Term => a.from >= b.from && a.until <= b.until && a.zone == b.zone,
        TermKey::Purpose => a.purposes.is_subset(&b.purposes),
        TermKey::Scope => a.marketplaces.is_subset(&b.marketplaces),
        TermKey::Fields => a.fields.is_subset(&b.fields),
        TermKey::ContactForm => a.contact_forms.is_subset(&b.contact_forms),
        TermKey::QuotaPerDay => limit(a.quota_per_day, b.quota_per_day),
        TermKey::QuotaPerParcel => limit(a.quota_per_parcel, b.quota_per_parcel),
        TermKey::Evidence => match b.dataset.form() {
            DatasetForm::Lookup => a.evidence.is_subset(&b.evidence),
            DatasetForm::Feed => {
                b.evidence.is_empty() || !a.evidence.is_empty() && a.evidence.is_subset(&b.evidence)
            }
        },
        TermKey::RunOff => a.run_off_ms.unwrap_or(0) <= b.run_off_ms.unwrap_or(0),
        TermKey::Backlog => backlog_rank(a.backlog) <= backlog_rank(b.backlog),
        TermKey::CoversFrom => a.coverage_start() >= b.coverage_start(),
        TermKey::Deletion => limit(a.delete_after_ms, b.delete_after_ms),
        TermKey::Redisclosure => a.no_redisclosure || !b.no_redisclosure,
        // These bind both sides, or are what everything else is about: another value is another
        // agreement, not a smaller one.
        TermKey::Dataset | TermKey::Notifier | TermKey::Reciprocity => false,
    }
}

/// No limit is the largest.
fn limit<T: Ord>(a: Option<T>, b: Option<T>) -> bool {
    match (a, b) {
        (_, None) => true,
        (None, Some(_)) => false,
        (Some(a), Some(b)) => a <= b,
    }
}

/// Nothing said lets the provider do either.
const fn backlog_rank(backlog: Option<Backlog>) -> u8 {
    match backlog {
        Some(Backlog::Drop) => 0,
        None => 1,
        Some(Backlog::Hold) => 2,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::testing::{JULY, JUNE, any_terms, contact_terms, event_terms, market, set};
    use super::*;
    use crate::contact::ContactForm;
    use crate::dataset::Dataset;
    use crate::terms::{EvidenceKind, Field, Notifier, Purpose};
    use crate::time::{DAY_MS, Zone};

    /// One change of one term: its key and its effect; the way back has the opposite one.
    #[track_caller]
    fn check(base: fn() -> Terms, key: TermKey, effect: Effect, change: fn(&mut Terms)) {
        let old = base();
        let mut new = base();
        change(&mut new);
        let found: Vec<_> = changes(&old, &new, Language::En)
            .into_iter()
            .map(|c| (c.key, c.effect))
            .collect();
        assert_eq!(found, [(key, effect)]);
        assert_eq!(
            within(&new, &old).is_ok(),
            effect == Effect::ConsumerGetsLess
        );
        assert_eq!(
            within(&old, &new).is_ok(),
            effect == Effect::ConsumerGetsMore
        );
    }

    #[test]
    fn every_term_narrows_in_its_own_way() {
        use Effect::{ConsumerGetsLess as Less, ConsumerGetsMore as More, Other};
        let c = contact_terms;
        check(c, TermKey::Term, Less, |t| t.from = JUNE.plus_ms(1));
        check(c, TermKey::Term, Less, |t| t.until = JULY.plus_ms(-1));
        check(c, TermKey::Term, More, |t| t.until = JULY.plus_ms(1));
        check(c, TermKey::Term, Other, |t| {
            t.from = JUNE.plus_ms(-1);
            t.until = JULY.plus_ms(-1);
        });
        check(c, TermKey::Term, Other, |t| t.zone = Zone::UTC);
        check(c, TermKey::Purpose, More, |t| {
            t.purposes.insert(Purpose::CourierCall);
        });
        check(c, TermKey::Scope, Other, |t| {
            t.marketplaces = set(&[market("jd")])
        });
        check(c, TermKey::Fields, Less, |t| {
            t.fields.remove(&Field::Consent);
        });
        check(c, TermKey::ContactForm, More, |t| {
            t.contact_forms.insert(ContactForm::Full);
        });
        check(c, TermKey::QuotaPerDay, Less, |t| {
            t.quota_per_day = Some(10)
        });
        check(c, TermKey::QuotaPerDay, More, |t| t.quota_per_day = None);
        check(c, TermKey::QuotaPerParcel, More, |t| {
            t.quota_per_parcel = Some(5)
        });
        check(c, TermKey::Evidence, Less, |t| {
            t.evidence = set(&[EvidenceKind::Deposit])
        });
        check(c, TermKey::Evidence, Less, |t| t.evidence.clear());
        check(event_terms, TermKey::Evidence, Less, |t| {
            t.evidence = set(&[EvidenceKind::Deposit])
        });
        check(c, TermKey::Notifier, Other, |t| {
            t.notifier = Some(Notifier::Owner)
        });
        check(c, TermKey::RunOff, Less, |t| t.run_off_ms = None);
        check(event_terms, TermKey::CoversFrom, Less, |t| {
            t.covers_from = None
        });
        check(event_terms, TermKey::CoversFrom, More, |t| {
            t.covers_from = Some(JUNE.plus_ms(-9 * DAY_MS));
        });
        check(event_terms, TermKey::Backlog, Less, |t| {
            t.backlog = Some(Backlog::Drop)
        });
        check(c, TermKey::Deletion, Less, |t| {
            t.delete_after_ms = Some(DAY_MS)
        });
        check(c, TermKey::Deletion, More, |t| t.delete_after_ms = None);
        check(c, TermKey::Reciprocity, Other, |t| t.reciprocate = false);
        check(c, TermKey::Redisclosure, More, |t| {
            t.no_redisclosure = false
        });
        check(c, TermKey::Dataset, Other, |t| {
            t.dataset = Dataset::PickupCode
        });
    }

    #[test]
    fn a_change_is_told_in_plain_words() {
        let mut new = contact_terms();
        new.quota_per_day = Some(1_234);
        new.run_off_ms = None;
        let found = changes(&contact_terms(), &new, Language::En);
        assert_eq!(found[0].old.as_deref(), Some("2,000,000"));
        assert_eq!(found[0].new.as_deref(), Some("1,234"));
        assert_eq!(found[1].old.as_deref(), Some("7 days"));
        assert_eq!(found[1].new, None);
        let chinese = changes(&contact_terms(), &new, Language::Zh);
        assert_eq!(chinese[1].old.as_deref(), Some("7 天"));
    }

    proptest! {
        #[test]
        fn terms_are_within_themselves_and_differ_iff_they_change(a in any_terms(), b in any_terms()) {
            prop_assert_eq!(within(&a, &a), Ok(()));
            prop_assert_eq!(changes(&a, &b, Language::En).is_empty(), a == b);
            if within(&a, &b).is_ok() && within(&b, &a).is_ok() {
                prop_assert_eq!(a, b);
            }
        }
    }
}
