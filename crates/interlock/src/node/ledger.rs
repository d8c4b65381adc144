//! Searching the ledger, as auditors do: newest first, by whatever an entry says.
//!
//! INVARIANT: a search looks at [`SCANNED_MAX`] entries at most and says where it stopped, so that none
//! keeps the node from its work. It changes nothing.

use std::collections::BTreeMap;

use interlock_core::time::DAY_MS;
use serde_json::{Value, json};

use super::Node;
use super::io::LedgerQuery;
use super::state::{LedgerEntry, LedgerOutcome};
use super::turn::Turn;

/// Most entries that one search looks at, and one count of what fits.
const SCANNED_MAX: usize = 20_000;
/// Most entries of one page.
const PAGE_MAX: u32 = 200;
/// Days whose releases and denials are counted beside the page.
const DAYS: i64 = 14;

impl Node {
    /// `{items: [entry], next, days: [{day, released, denied}]}`: `next` is the cursor of earlier entries,
    /// null if there are none; `days` counts what fits in the last fourteen days, as far as it was looked
    /// at.
    pub(super) fn ledger_found(&self, turn: &Turn<'_>, query: &LedgerQuery) -> Value {
        let limit = query.limit.clamp(1, PAGE_MAX) as usize;
        let length = self.state.ledger.len();
        let end = query
            .before
            .map_or(length, |before| before.saturating_sub(1));
        let mut items = Vec::new();
        let mut next = Value::Null;
        let newest = self.state.ledger.before(end).take(SCANNED_MAX);
        let mut last = 0;
        for (index, entry) in newest {
            let position = index + 1;
            last = position;
            if query.since.is_some_and(|since| entry.at < since) {
                last = 0;
                break;
            }
            if !fits(&entry, query) {
                continue;
            }
            if items.len() >= limit {
                next = json!(position + 1);
                break;
            }
            items.push(self.ledger_item(position, &entry));
        }
        if next.is_null() && last > 1 {
            next = json!(last);
        }
        json!({ "items": items, "next": next, "days": self.ledger_days(turn, query) })
    }

    fn ledger_days(&self, turn: &Turn<'_>, query: &LedgerQuery) -> Vec<Value> {
        let zone = self.config.zone;
        let today = zone.day_of(turn.at());
        let first = zone.day_start(today - DAYS + 1);
        let mut days: BTreeMap<i64, (u64, u64)> = (today - DAYS + 1..=today)
            .map(|day| (day, (0, 0)))
            .collect();
        let of_all = LedgerQuery {
            denied: None,
            since: None,
            until: None,
            ..query.clone()
        };
        if fits_everything(&of_all) {
            for (at, (released, denied)) in self.state.ledger_counts.since(first) {
                let day = days.entry(zone.day_of(at)).or_default();
                day.0 += released;
                day.1 += denied;
            }
        } else {
            let newest = self.state.ledger.before(u64::MAX).take(SCANNED_MAX);
            let newest = newest.map(|(_, entry)| entry);
            for entry in newest.take_while(|entry| entry.at >= first) {
                if !fits(&entry, &of_all) {
                    continue;
                }
                let day = days.entry(zone.day_of(entry.at)).or_default();
                match &entry.outcome {
                    LedgerOutcome::Batch { events, .. } => day.0 += u64::from(*events),
                    LedgerOutcome::Contact { .. } => day.0 += 1,
                    LedgerOutcome::Denied { .. } | LedgerOutcome::Voided => day.1 += 1,
                }
            }
        }
        let view = days.into_iter().map(|(day, (released, denied))| {
            let start = zone.day_start(day).plus_ms(DAY_MS / 2).to_rfc3339(zone);
            let date = start.get(..10).unwrap_or_default();
            json!({ "day": date, "released": released, "denied": denied })
        });
        view.collect()
    }
}

/// Whether a query leaves nothing out.
const fn fits_everything(query: &LedgerQuery) -> bool {
    query.denied.is_none()
        && query.partner.is_none()
        && query.dataset.is_none()
        && query.agreement.is_none()
        && query.purpose.is_none()
        && query.since.is_none()
        && query.until.is_none()
}

fn fits(entry: &LedgerEntry, query: &LedgerQuery) -> bool {
    let denied = match entry.outcome {
        LedgerOutcome::Denied { .. } | LedgerOutcome::Voided => true,
        LedgerOutcome::Batch { .. } | LedgerOutcome::Contact { .. } => false,
    };
    query.denied.is_none_or(|wanted| wanted == denied)
        && query.partner.as_ref().is_none_or(|to| *to == entry.to)
        && query.dataset.is_none_or(|dataset| dataset == entry.dataset)
        && query
            .agreement
            .as_ref()
            .is_none_or(|id| entry.agreement.as_ref() == Some(id))
        && query
            .purpose
            .as_ref()
            .is_none_or(|purpose| entry.purpose.as_ref() == Some(purpose))
        && query.until.is_none_or(|until| entry.at < until)
}
