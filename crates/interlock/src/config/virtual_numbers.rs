//! Numbers of a pool, and whose calls reach recipients there.
//!
//! INVARIANT: a pool has callers, each with numbers of its own, and a number beside it for whoever has none
//! bound; none of its numbers is anything else beside. It knows no partner list: a caller may be listed later.

use std::collections::BTreeMap;

use interlock_core::contact::{NumberRange, Phone};
use interlock_core::ids::ParticipantId;

use super::error::ConfigErrorKind;
use super::reader::Reader;

/// A pool, which does without neither callers nor a number for whoever has none bound.
pub(super) fn virtual_pool(reader: &Reader<'_>) -> Option<NumberRange> {
    let pool = reader.parsed("virtual_pool", NumberRange::parse);
    for (one, other) in [
        ("virtual_pool", "virtual_callers"),
        ("virtual_callers", "virtual_pool"),
        ("virtual_pool", "virtual_number"),
    ] {
        if reader.has(one) && !reader.has(other) {
            let text = format!("`{one}` needs `{other}`; set it too");
            reader.error(one, ConfigErrorKind::Combination(text));
        }
    }
    pool
}

/// Refuses a number that is given to something else and lies in the pool: it would lead to two.
pub(super) fn apart_from_pool<'a>(
    reader: &Reader<'_>,
    pool: Option<NumberRange>,
    key: &'static str,
    numbers: impl Iterator<Item = &'a Phone>,
) {
    let mut inside = numbers.filter(|number| pool.is_some_and(|it| it.contains(number.digits())));
    if inside.next().is_some() {
        let text = format!(
            "a number of `{key}` lies in `virtual_pool`; give one outside of it, or make the pool smaller"
        );
        reader.error(key, ConfigErrorKind::Combination(text));
    }
}

/// Numbers of partners, each of one partner alone.
pub(super) fn virtual_callers(reader: &Reader<'_>) -> BTreeMap<Phone, ParticipantId> {
    let caller = |text: &str| {
        let advice = "not a partner and its number; write them with a space between, such as \
                      `did:web:fengchao.example +8695000001`";
        let (id, phone) = text.split_once(' ').ok_or(advice)?;
        let (Ok(id), Ok(phone)) = (ParticipantId::parse(id), Phone::parse(phone)) else {
            return Err(advice);
        };
        Ok((phone, id))
    };
    let mut callers = BTreeMap::new();
    for (phone, id) in reader.list("virtual_callers", caller) {
        if callers.insert(phone, id).is_some() {
            let text = "a number is there twice; let each be the number of one partner alone";
            reader.error("virtual_callers", ConfigErrorKind::Combination(text.into()));
        }
    }
    callers
}
