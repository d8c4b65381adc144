//! What is counted for statistics, from records alone.

use interlock_core::statistics::Fact;
use interlock_core::time::Timestamp;

use super::State;
use crate::node::record::{KeyedEffect, LookupDecision, MessageOutcome, ReceivedItem, Record};

impl State {
    /// Counts what a record says. `before`: deposits and pick-ups counted before it was applied.
    pub(super) fn count_statistics(&mut self, at: Timestamp, record: &Record, before: (u64, u64)) {
        let deposits = self.counters.deposits.saturating_sub(before.0);
        let picked_up = self.counters.picked_up.saturating_sub(before.1);
        self.count_some(at, Fact::Deposited, deposits);
        self.count_some(at, Fact::PickedUp, picked_up);
        if let Record::Keyed {
            effect: KeyedEffect::Refused { .. },
            ..
        } = record
        {
            self.count_some(at, Fact::DepositRefused, 1);
        } else if let Record::MessageDone {
            outcome: MessageOutcome::Delivered,
            ..
        } = record
        {
            self.count_some(at, Fact::MessageSent, 1);
        } else if let Record::BatchReleased(batch) = record {
            self.count_some(at, Fact::EventReleased, batch.salts.len() as u64);
        } else if let Record::BatchReceived(batch) = record {
            let events = batch.items.iter();
            let events = events.filter(|item| matches!(item, ReceivedItem::Event { .. }));
            self.count_some(at, Fact::EventReceived, events.count() as u64);
        } else if let Record::LookupReleased(lookup) = record {
            for outcome in &lookup.outcomes {
                let fact = match outcome {
                    LookupDecision::Released { .. } => Fact::ContactReleased,
                    LookupDecision::Denied { reason } => Fact::of_denial(reason),
                };
                self.count_some(at, fact, 1);
            }
        } else if let Record::Denied { reason, .. } = record {
            self.count_some(at, Fact::of_denial(reason), 1);
        }
    }

    fn count_some(&mut self, at: Timestamp, fact: Fact, number: u64) {
        if number > 0 {
            self.statistics.count(at, fact, number);
        }
    }
}
