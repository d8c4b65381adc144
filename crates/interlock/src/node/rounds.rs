//! What couriers and merchants see of what is theirs.
//!
//! INVARIANT: a list holds what is of the one who is asked about and nothing else; it reads an index,
//! never all parcels. Whether the asker is that one was checked before. Nothing changes.

use interlock_core::ids::{CourierId, MerchantId, ParcelId};
use serde_json::{Value, json};

use super::Node;
use super::content::LinkKind;
use super::io::{Extension, LocalAnswer, Problem};
use super::problem;
use super::state::parcels::Parcel;
use super::state::shop::Stage;
use super::turn::Turn;
use crate::pages::CallView;

/// Most deposits of a courier's list.
const ROUND_MAX: usize = 200;
/// Most parcels of a merchant's list.
const SHOP_MAX: u32 = 500;
/// Most parcels that one page of a merchant's list looks at.
pub(super) const LOOKED_AT_MAX: usize = 10_000;

impl Node {
    /// `{items: [deposit with waybill]}`: a courier's deposits that are not over, those that end first
    /// first.
    pub(super) fn round_view(&self, courier: &CourierId) -> Value {
        let ids = self.state.rounds.of(courier).into_iter().flatten();
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

    /// `GET /calls/{extension}`: 200 with `courier`, `deposit`, `station` and `until`, for the telephone
    /// system that connects whoever dialled it.
    ///
    /// # Errors
    /// 404 if nothing lies there about which anybody could call, or it would not be known whom.
    pub(super) fn call_answer(
        &mut self,
        turn: &mut Turn<'_>,
        extension: Extension,
        by: &str,
    ) -> Result<LocalAnswer, Problem> {
        let found = self.state.rounds.called(extension);
        let reached = found.and_then(|id| {
            let deposit = self.state.deposits.get(&id)?;
            let courier = deposit.courier.value.as_ref()?.as_str().to_owned();
            Some((id, deposit, courier))
        });
        let body = reached.map(|(id, deposit, courier)| {
            let until = deposit.pickup_until;
            json!({
                "courier": courier,
                "deposit": id.to_string(),
                "station": deposit.station.as_str(),
                "until": until.map(|at| at.to_rfc3339(self.config.zone)),
            })
        });
        self.dialled(turn, by, body.is_some());
        let body = body.ok_or_else(|| problem::not_found("extension"))?;
        Ok(LocalAnswer::Json { status: 200, body })
    }

    /// How the recipient of a parcel calls the courier who put it where it lies.
    pub(super) fn call_view(&self, parcel: &Parcel) -> Option<CallView> {
        let number = self.config.courier_number.clone()?;
        let id = parcel.deposit?;
        let extension = self.state.links.extension(id)?;
        // Nobody is called at an extension that would reach somebody else.
        let reached = self.state.rounds.called(extension) == Some(id);
        reached.then(|| CallView {
            number,
            extension: extension.to_string(),
        })
    }

    /// 200 with `items`, a merchant's parcels of ours, the newest first; `next`, from which the list goes
    /// on, `null` at its end; `ends`, which agreements that they need are about to end. A list that is
    /// narrowed by `state` looks at [`LOOKED_AT_MAX`] parcels, so it may be short and go on.
    ///
    /// # Errors
    /// 404 if `before` is not on the merchant's list.
    pub(super) fn shop_answer(
        &self,
        turn: &Turn<'_>,
        merchant: &MerchantId,
        state: Option<&str>,
        before: Option<ParcelId>,
        limit: u32,
    ) -> Result<LocalAnswer, Problem> {
        let limit = limit.clamp(1, SHOP_MAX) as usize;
        let parcels = &self.state.parcels;
        let place = before.map(|id| parcels.place_in_shop(merchant, id));
        let place = place.map(|place| place.ok_or_else(|| problem::not_found("page")));
        let place = place.transpose()?;
        let wanted = state.map(Stage::parse);
        let mut items = Vec::new();
        let (mut last, mut goes_on) = (None, false);
        for (looked_at, (place, stage)) in parcels.of_merchant(merchant, place).enumerate() {
            if items.len() == limit || looked_at == LOOKED_AT_MAX {
                goes_on = true;
                break;
            }
            last = Some(place);
            if wanted.is_none_or(|wanted| wanted == Some(stage)) {
                let parcel = parcels.at_place(place);
                items.extend(parcel.map(|parcel| self.shop_item(turn, &parcel)));
            }
        }
        let last = last.filter(|_| goes_on);
        let next = last.and_then(|place| parcels.at_place(place));
        let body = json!({
            "items": items,
            "next": next.map(|parcel| parcel.id.to_string()),
            "ends": self.ends_for(turn, merchant),
        });
        Ok(LocalAnswer::Json { status: 200, body })
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
