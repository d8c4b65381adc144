//! Consumers that ask for contacts beyond their deposits: looked for every hour, told to people.
//!
//! INVARIANT: what is found is on record once, with the positions of leaves that the consumer holds too.
//! What counts as too much is [`interlock_core::collection`]'s to say.

use interlock_core::collection::{Finding, Sign};
use interlock_core::ids::ParticipantId;
use interlock_core::time::{DAY_MS, HOUR_MS, Timestamp, Zone};
use serde_json::{Value, json};

use super::Node;
use super::record::{OverCollected, Record};
use super::turn::Turn;

impl Node {
    /// Looks at every consumer once an hour.
    pub(super) fn judge_collection(&mut self, turn: &mut Turn<'_>) {
        let hour = turn.at().as_millis().div_euclid(HOUR_MS);
        if self.live.judged_hour.replace(hour) == Some(hour) {
            return;
        }
        let consumers: Vec<ParticipantId> = self.state.watches.keys().cloned().collect();
        for by in consumers {
            let watch = self.state.watched(turn.at(), &by);
            let findings = watch.map_or_else(Vec::new, |watch| watch.judge());
            let channel = self.state.channel(&by);
            let epoch = channel.map_or(0, |channel| channel.out.epoch());
            for finding in findings {
                tracing::warn!(partner = %by, sign = finding.sign.as_str(), "contacts are asked for beyond deposits");
                let over = OverCollected {
                    by: by.clone(),
                    finding,
                    epoch,
                };
                self.record(turn, Record::OverCollected(Box::new(over)));
            }
        }
    }

    /// When something is to be looked at, though nobody asks anything.
    pub(super) fn next_judgement(&self) -> Option<Timestamp> {
        let watches = self.state.watches.values();
        let due = watches.filter_map(|watch| watch.next_due()).min()?;
        let hour = self.live.judged_hour?.saturating_add(1);
        Some(due.max(Timestamp::from_millis(hour.saturating_mul(HOUR_MS))))
    }
}

/// What was found, in words.
pub(super) fn words(over: &OverCollected, zone: Zone) -> String {
    let Finding {
        day,
        sign,
        count,
        of,
        usual,
        leaves,
    } = &over.finding;
    let what = match sign {
        Sign::Undeposited => "contacts were given and no deposit followed, of those that came due",
        Sign::Unclosed => "deposits ended neither by pick-up nor by recall, of those that came due",
        Sign::Repeated => "contacts were given again, of those given",
        Sign::Early => "contacts were given before their parcels can have come, of those given",
        Sign::OutsideHours => "items were asked for at night, of those asked for",
        Sign::Unknown => "waybills were none that may be asked about, of those asked about",
        Sign::Denied => "items were denied, of those asked for",
        Sign::Volume => "items were asked for and deposits do not keep up, of those asked for",
    };
    let shown = match (leaves.first(), leaves.last()) {
        (Some(first), Some(last)) if first != last => {
            format!("; shown by leaves {first} to {last} of our log toward them")
        }
        (Some(only), _) => format!("; shown by leaf {only} of our log toward them"),
        (None, _) => String::new(),
    };
    let date = date(*day, zone);
    format!("{date}: {count} {what} ({of}); {usual} would be usual{shown}")
}

/// The same for machines.
pub(super) fn evidence_view(over: &OverCollected, zone: Zone) -> Value {
    let found = &over.finding;
    json!({
        "sign": found.sign.as_str(),
        "day": date(found.day, zone),
        "count": found.count,
        "of": found.of,
        "usual": found.usual,
        "epoch": over.epoch,
        "leaves": found.leaves,
    })
}

fn date(day: i64, zone: Zone) -> String {
    let noon = zone.day_start(day).plus_ms(DAY_MS / 2).to_rfc3339(zone);
    noon.get(..10).unwrap_or_default().to_owned()
}
