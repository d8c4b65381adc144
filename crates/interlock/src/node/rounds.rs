//! What couriers and merchants see of what is theirs.
//!
//! INVARIANT: a list holds what is of the one who is asked about and nothing else; it reads an index,
//! never all parcels. Whether the asker is that one was checked before. Nothing changes.

use std::sync::Arc;

use interlock_core::ids::{CourierId, MerchantId};
use serde_json::{Value, json};

use super::Node;
use super::content::LinkKind;
use super::state::parcels::Parcel;
use super::turn::Turn;

/// Most deposits of a courier's list.
const ROUND_MAX: usize = 200;
/// Most parcels of a merchant's list.
const SHOP_MAX: u32 = 500;
/// Most parcels that one list of a merchant looks at.
const SCANNED_MAX: usize = 20_000;

impl Node {
    /// `{items: [deposit with waybill]}`: a courier's deposits that are not over, those that end first
    /// first.
    pub(super) fn round_view(&self, courier: &CourierId) -> Value {
        let ids = self.state.rounds.get(courier).into_iter().flatten();
        let mut deposits: Vec<_> = ids
            .filter_map(|id| Some((*id, self.state.deposits.get(id)?)))
            .collect();
        deposits.sort_by_key(|(id, deposit)| (deposit.pickup_until, *id));
        let items = deposits.into_iter().take(ROUND_MAX).map(|(id, deposit)| {
            let mut view = self.deposit_view(id);
            let parcel = self.state.parcels.get(deposit.parcel);
            if let Value::Object(members) = &mut view {
                let waybill = parcel.map(|parcel| parcel.waybill.to_text());
                members.insert("waybill".into(), json!(waybill));
            }
            view
        });
        json!({ "items": items.collect::<Vec<_>>() })
    }

    /// `{items: [parcel], more, ends}`: a merchant's parcels of ours, those known last first; `more` says
    /// that there are others, `ends` which agreements that they need are about to end.
    pub(super) fn shop_view(
        &self,
        turn: &Turn<'_>,
        merchant: &MerchantId,
        state: Option<&str>,
        limit: u32,
    ) -> Value {
        let limit = limit.clamp(1, SHOP_MAX) as usize;
        let newest = self.state.parcels.of_merchant(merchant).take(SCANNED_MAX);
        let parcels = newest
            .filter_map(|id| self.state.parcels.get(id))
            .filter(|parcel| parcel.merchant.as_ref() == Some(merchant))
            .filter(|parcel| parcel.owner() == Some(&self.state.me))
            .filter(|parcel| {
                let step = parcel
                    .latest()
                    .map_or("announced", |e| e.event.step.as_str());
                state.is_none_or(|wanted| wanted == step)
            });
        let found: Vec<Arc<Parcel>> = parcels.take(limit + 1).collect();
        let items = found.iter().take(limit);
        let items: Vec<Value> = items.map(|parcel| self.shop_item(turn, parcel)).collect();
        json!({
            "items": items,
            "more": found.len() > limit,
            "ends": self.ends_for(turn, merchant),
        })
    }

    fn shop_item(&self, turn: &Turn<'_>, parcel: &Parcel) -> Value {
        let latest = parcel.latest();
        let zone = self.config.zone;
        let stale = self.stale_reasons(turn, parcel).into_iter().map(|stale| {
            json!({ "source": stale.source, "since": stale.since.to_rfc3339(zone),
                "reason": super::pages::stale_word(stale.reason) })
        });
        json!({
            "carrier": parcel.waybill.carrier().as_str(),
            "number": parcel.waybill.number(),
            "state": latest.map_or("announced", |e| e.event.step.as_str()),
            "stateAt": latest.map(|e| e.event.at.to_rfc3339(e.event.zone)),
            "stale": stale.collect::<Vec<_>>(),
            "tracking": format!(
                "{}/t/{}",
                self.config.public_url,
                self.state.links.token(LinkKind::Tracking, parcel.id)
            ),
        })
    }
}
