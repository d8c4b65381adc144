//! Pages of a feed for connectors that are not Interlock: plain HTTP, no envelope, no receipt.
//!
//! Purpose: the cursor, the paths and the bodies of `/pull/v1`, and of what is pushed. Invariants: a
//! cursor names a position in both lanes, so that one sequence of requests gets all of a feed; the
//! lane that was not served last goes first, so that neither waits behind the other. Events of parcels
//! are an EPCIS 2.0 document where the terms grant step and time, all else is JSON. It opens no
//! sockets and does not know who asks.

use interlock_core::dataset::Dataset;
use interlock_core::event::Step;
use interlock_core::ids::{ParticipantId, WireId};
use interlock_core::time::{Timestamp, Zone};
use interlock_core::waybill::Waybill;
use serde_json::{Map, Value, json};

use super::http::{Parameters, encode_segment, parse_segment, small};
use super::problem;
use super::wire::{
    BATCH_EVENTS_MAX, CodeTold, CooperationView, FeedItem, Lane, ParcelView, StationView,
};
use crate::epcis::{EventDraft, IdBase, render, render_document};
use crate::node::io::Problem;

/// Base path of feeds for connectors.
pub const PULL_BASE: &str = "/pull/v1";
/// Longest wait of a connector for a page, in milliseconds.
pub const PAGE_WAIT_MS_MAX: u32 = 60_000;
/// Longest body of a request for new tokens, in bytes.
pub const REFRESH_BODY_BYTES_MAX: usize = 4_096;

/// Where a connector is in a feed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PageCursor {
    /// The lane to look at first.
    pub first: Lane,
    /// Last position of the live lane that it holds.
    pub live: u64,
    /// Last position of the backlog lane that it holds.
    pub backlog: u64,
}

impl PageCursor {
    /// The lanes in the order in which they are looked at.
    pub const fn lanes(self) -> [Lane; 2] {
        match self.first {
            Lane::Live => [Lane::Live, Lane::Backlog],
            Lane::Backlog => [Lane::Backlog, Lane::Live],
        }
    }

    /// The position in a lane.
    pub const fn position(self, lane: Lane) -> u64 {
        match lane {
            Lane::Live => self.live,
            Lane::Backlog => self.backlog,
        }
    }

    /// The cursor after a page of `lane` that ends at `position`.
    pub const fn after(self, lane: Lane, position: u64) -> Self {
        match lane {
            Lane::Live => Self {
                first: Lane::Backlog,
                live: position,
                ..self
            },
            Lane::Backlog => Self {
                first: Lane::Live,
                backlog: position,
                ..self
            },
        }
    }

    /// Its text, such as `live.12.3`.
    pub fn to_text(self) -> String {
        format!("{}.{}.{}", self.first.as_str(), self.live, self.backlog)
    }

    fn parse(text: &str) -> Option<Self> {
        let number = |text: &str| {
            let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
            digits.then(|| text.parse().ok()).flatten()
        };
        let mut parts = text.split('.');
        let (first, live, backlog) = (parts.next()?, parts.next()?, parts.next()?);
        if parts.next().is_some() {
            return None;
        }
        Some(Self {
            first: Lane::ALL.into_iter().find(|lane| lane.as_str() == first)?,
            live: number(live)?,
            backlog: number(backlog)?,
        })
    }
}

/// A page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page {
    /// The dataset.
    pub dataset: Dataset,
    /// Where to go on.
    pub next: PageCursor,
    /// Whether its terms grant what an EPCIS event needs.
    pub epcis: bool,
    /// What is released, in order.
    pub items: Vec<FeedItem>,
    /// Index of the leaf in the provider's log that this release is; `None` for an empty page.
    pub leaf: Option<u64>,
}

/// What a connector asks at `/pull/v1/{transfer}`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PullCall {
    /// `GET`: a page.
    Page {
        /// Our id of the transfer.
        transfer: WireId,
        /// Where it is; `None` for what it has not yet acknowledged.
        cursor: Option<PageCursor>,
        /// Most items wanted.
        limit: u32,
        /// How long to wait for one, in milliseconds.
        wait_ms: u32,
    },
    /// `POST .../token`: new tokens.
    Refresh {
        /// Our id of the transfer.
        transfer: WireId,
        /// The refresh token.
        token: String,
    },
}

/// Path of a transfer's feed.
pub fn pull_path(transfer: &WireId) -> String {
    format!("{PULL_BASE}/{}", encode_segment(transfer.as_str()))
}

/// Whether `target` is one of these.
pub fn is_pull(target: &str) -> bool {
    target
        .strip_prefix(PULL_BASE)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with(['/', '?']))
}

/// A request as it came in; `target` is path and query as received.
///
/// # Errors
/// The refusal to answer with.
pub fn parse_pull(post: bool, target: &str, body: &[u8]) -> Result<PullCall, Problem> {
    let (path, query) = match target.split_once('?') {
        Some((path, query)) => (path, Some(query)),
        None => (target, None),
    };
    let path = path
        .strip_prefix(PULL_BASE)
        .ok_or_else(problem::not_found)?;
    let segments: Vec<&str> = path.split('/').skip(1).collect();
    match (segments.as_slice(), post) {
        ([transfer], false) => {
            let parameters = Parameters::parse(query, &["cursor", "limit", "wait"])?;
            let cursor = parameters.get("cursor").map(|text| {
                let remedy = "give the `cursor` of the last page, or leave it out";
                PageCursor::parse(text).ok_or_else(|| problem::parameter("cursor", remedy))
            });
            let most = u64::from(BATCH_EVENTS_MAX);
            Ok(PullCall::Page {
                transfer: parse_segment(transfer)?,
                cursor: cursor.transpose()?,
                limit: small(parameters.number("limit", most, Some(most))?).max(1),
                wait_ms: small(parameters.number("wait", PAGE_WAIT_MS_MAX.into(), Some(0))?),
            })
        }
        ([transfer, "token"], true) => {
            Parameters::parse(query, &[])?;
            Ok(PullCall::Refresh {
                transfer: parse_segment(transfer)?,
                token: refresh_token(body)?,
            })
        }
        ([_], true) => Err(problem::method_not_allowed("GET")),
        ([_, "token"], false) => Err(problem::method_not_allowed("POST")),
        _ => Err(problem::not_found()),
    }
}

/// The token of a form as OAuth 2.0 has it (RFC 6749 section 6). Ours need no percent-encoding.
fn refresh_token(body: &[u8]) -> Result<String, Problem> {
    let remedy = "send `grant_type=refresh_token&refresh_token=` and the token, as \
                  `application/x-www-form-urlencoded`";
    let bad = || problem::malformed("", remedy.into());
    let form = std::str::from_utf8(body).map_err(|_| bad())?;
    let known = ["grant_type", "refresh_token", "client_id", "scope"];
    let fields = Parameters::parse(Some(form.trim_end()), &known).map_err(|_| bad())?;
    if fields.get("grant_type") != Some("refresh_token") {
        return Err(bad());
    }
    fields.get("refresh_token").map(Into::into).ok_or_else(bad)
}

/// The body of a page. `provider` names things under its own domain.
pub fn page_json(page: &Page, provider: &ParticipantId, created: Timestamp, zone: Zone) -> Value {
    let base = IdBase::of(provider);
    let events = base.as_ref().filter(|_| page.epcis).and_then(|base| {
        let events = page.items.iter().map(|item| as_epcis(item, base));
        events.collect::<Option<Vec<Value>>>()
    });
    match events {
        Some(events) => {
            let mut document = render_document(events, created, zone);
            if let Some(members) = document.as_object_mut() {
                members.insert("il:dataset".into(), page.dataset.as_str().into());
                members.insert("il:cursor".into(), page.next.to_text().into());
                if let Some(leaf) = page.leaf {
                    members.insert("il:leaf".into(), leaf.into());
                }
            }
            document
        }
        None => {
            let items: Vec<Value> = page.items.iter().map(as_json).collect();
            json!({
                "dataset": page.dataset.as_str(),
                "cursor": page.next.to_text(),
                "leaf": page.leaf,
                "items": items,
            })
        }
    }
}

/// An event of a parcel as EPCIS; `None` for what is none.
fn as_epcis(item: &FeedItem, base: &IdBase) -> Option<Value> {
    let FeedItem::Parcel(view) = item else {
        return None;
    };
    let waybill = Waybill::parse(&view.carrier, &view.number).ok()?;
    let draft = EventDraft {
        step: view.step.clone()?,
        at: view.at?,
        zone: view.zone?,
        place: view.place.clone(),
    };
    Some(render(&draft, &waybill, base))
}

/// An item as plain JSON, with the members that the terms grant.
fn as_json(item: &FeedItem) -> Value {
    let mut out = Map::new();
    let mut put = |name: &str, value: Option<Value>| {
        if let Some(value) = value {
            out.insert(name.into(), value);
        }
    };
    match item {
        FeedItem::PreAdvice(view) => {
            put("carrier", Some(view.carrier.clone().into()));
            put("number", Some(view.number.clone().into()));
            put("issuedAt", Some(instant(view.issued_at, Zone::UTC)));
            put("sizeClass", view.size_class.clone().map(Into::into));
            put("owner", view.owner.as_ref().map(|o| o.as_str().into()));
            let marketplace = view.marketplace.as_ref();
            put("marketplace", marketplace.map(|m| m.as_str().into()));
            put("claim", view.claim.clone().map(Into::into));
        }
        FeedItem::Parcel(view) => put_parcel(view, &mut put),
        FeedItem::Station(view) => put_station(view, &mut put),
        FeedItem::Cooperation(view) => put_cooperation(view, &mut put),
        FeedItem::Code(view) => {
            put("carrier", Some(view.carrier.clone().into()));
            put("number", Some(view.number.clone().into()));
            let station = view.station.as_ref();
            put("station", station.map(|s| s.as_str().into()));
            put("form", view.form.map(|form| form.as_str().into()));
            match &view.told {
                None => {}
                Some(CodeTold::Open { code, compartment }) => {
                    put("code", Some(code.clone().into()));
                    put("compartment", Some((*compartment).into()));
                }
                Some(CodeTold::Sealed { deposit, sealed }) => {
                    put("deposit", Some(deposit.clone().into()));
                    put("sealed", Some(sealed.clone().into()));
                }
            }
        }
    }
    Value::Object(out)
}

fn put_parcel(view: &ParcelView, put: &mut impl FnMut(&str, Option<Value>)) {
    let zone = view.zone.unwrap_or(Zone::UTC);
    put("carrier", Some(view.carrier.clone().into()));
    put("number", Some(view.number.clone().into()));
    put("sequence", Some(view.sequence.into()));
    put("step", view.step.as_ref().map(step_name));
    put("at", view.at.map(|at| instant(at, zone)));
    let place = view.place.as_ref();
    put("place", place.and_then(|p| serde_json::to_value(p).ok()));
    put("pickupUntil", view.pickup_until.map(|at| instant(at, zone)));
}

fn put_station(view: &StationView, put: &mut impl FnMut(&str, Option<Value>)) {
    const SIZES: [&str; 3] = ["small", "medium", "large"];
    put("id", Some(view.station.as_str().into()));
    put("name", view.name.clone().map(Into::into));
    let degrees = |millionths: i32| f64::from(millionths) / 1e6;
    let position = view
        .position
        .map(|(lng, lat)| json!({ "longitude": degrees(lng), "latitude": degrees(lat) }));
    put("position", position);
    put("state", view.state.clone().map(Into::into));
    let capacity = view.capacity.map(|of| {
        let sizes = SIZES.iter().zip(of);
        Value::Object(sizes.map(|(s, n)| ((*s).into(), n.into())).collect())
    });
    put("capacity", capacity);
    let availability = view.availability.clone().map(|of| {
        let sizes = SIZES.iter().zip(of);
        Value::Object(
            sizes
                .map(|(s, level)| ((*s).into(), level.into()))
                .collect(),
        )
    });
    put("availability", availability);
}

fn put_cooperation(view: &CooperationView, put: &mut impl FnMut(&str, Option<Value>)) {
    put("manifest", view.manifest.clone().map(Into::into));
    let parties = view.parties.iter().map(ParticipantId::as_str);
    let parties: Vec<&str> = parties.collect();
    put("parties", (!parties.is_empty()).then(|| json!(parties)));
    put("end", view.end.map(|at| instant(at, Zone::UTC)));
    put("state", view.state.clone().map(Into::into));
    put(
        "suspendsAt",
        view.suspends_at.map(|at| instant(at, Zone::UTC)),
    );
    put("feedAge", view.feed_age.clone().map(Into::into));
}

fn step_name(step: &Step) -> Value {
    step.as_str().into()
}

fn instant(at: Timestamp, zone: Zone) -> Value {
    at.to_rfc3339(zone).into()
}

#[cfg(test)]
mod tests;
