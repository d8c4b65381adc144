//! Answers in which every text is hostile: partners, merchants, couriers, recipients, stations, codes that
//! nobody knows. On every page of the console they stay text.

use serde_json::{Map, json};

use super::pages::person;
use super::*;
use crate::pages::console::{
    self, AgreementView, AgreementsView, AlertsView, Asked, CooperationsView, DepositView,
    FeedsView, KeysView, LedgerFilter, LedgerView, LogsView, LooksView, MediationView,
    MediationsView, NearView, OverviewView, ParcelView, PartnersView, PeopleView, ProposalView,
    ProposalsView, Reader, RehearsalView, RevealsView, RoundView, ScanView, ShopView, StationView,
    StationsView, StatusView, Typed,
};
use crate::pages::{Language, PAGE_BYTES_MAX};

/// What somebody might be called: markup, a way out of an attribute, an address that runs, text turned
/// round, templates of several tools, references to characters, and more than any line holds.
const EVIL: [&str; 7] = [
    "\" onfocus=\"x\"><script>alert('x')</script><img src=x onerror=alert(1)>",
    "' autofocus onfocus='alert(1)'></title></main><svg/onload=alert(1)>",
    "javascript:alert(document.domain)//",
    "\u{202e}\u{2066}gnitekram\u{2069}\u{202c} SF",
    "{{constructor.constructor('alert(1)')()}} ${7*7} <%= 7 %>",
    "&lt;script&gt;&#x3c;img src=x&#x3e;&quot;",
    "WWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWW\
     WWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWW",
];

/// What a page never has, whatever somebody is called.
const NEVER: [&str; 12] = [
    "<script",
    "<img",
    "<svg/",
    "\" onfocus",
    "</title></main",
    "href=\"javascript:",
    "action=\"javascript:",
    "\u{202e}",
    "\u{202c}",
    "\u{2066}",
    "\u{2069}",
    "onerror=alert(1)>",
];

/// Members whose texts are our own: roles, outcomes of a rehearsal, addresses of our pages.
const OURS: [&str; 4] = ["role", "roles", "outcomes", "tracking"];

/// Puts `evil` into every text of an answer but instants and what is our own.
fn spoil(value: &mut Value, evil: &str) {
    match value {
        Value::String(text) if Timestamp::parse_zoned(text).is_err() => *text = evil.into(),
        Value::Array(items) => items.iter_mut().for_each(|item| spoil(item, evil)),
        Value::Object(members) => {
            for (name, member) in members {
                if !OURS.contains(&name.as_str()) {
                    spoil(member, evil);
                }
            }
        }
        Value::String(_) | Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

fn spoilt<T: serde::de::DeserializeOwned>(mut answer: Value, evil: &str) -> T {
    spoil(&mut answer, evil);
    serde_json::from_value(answer).expect("a view of hostile texts")
}

fn asked<T: serde::de::DeserializeOwned>(
    world: &mut World,
    at: usize,
    request: LocalRequest,
    evil: &str,
) -> T {
    let (status, body) = world.local(at, request);
    assert_eq!(status, 200, "{body}");
    spoilt(body, evil)
}

/// Makes a page in both languages; whatever it says stays text.
#[track_caller]
fn stays_text(now: Timestamp, evil: &str, make: impl Fn(&Reader<'_>) -> maud::Markup) {
    let person = person();
    let plain = maud::html! { (evil) }.into_string();
    let plain = plain.replace(['\u{202e}', '\u{202c}', '\u{2066}', '\u{2069}'], "\u{fffd}");
    // A long one may be cut.
    let plain: String = plain.chars().take(40).collect();
    for language in Language::ALL {
        let page = make(&Reader {
            person: Some(&person),
            csrf: "mark",
            here: evil,
            as_of: now,
            print: true,
            ..Reader::in_tests(language)
        });
        let text = page.into_string();
        for never in NEVER {
            assert!(!text.contains(never), "`{never}` is in {text}");
        }
        assert_eq!(text.matches("<h1").count(), 1, "{text}");
        let (_, body) = text.split_once("<main").expect("a page has a main part");
        assert!(body.contains(&plain), "`{plain}` is not in {body}");
        assert!(text.len() < PAGE_BYTES_MAX);
    }
}

fn in_force() -> World {
    let mut world = World::mediated();
    world.publish("o", &stations(), false);
    world.propose(&["o"], &[]);
    world.decide(P, Decision::Approve);
    world.run_until(JUNE);
    world.assert_in_force();
    let put = super::mediation::proposal();
    let (status, body) = world.local(M, LocalRequest::ProposeMediation(put));
    assert_eq!(status, 201, "{body}");
    world.run_until(JULY.plus_ms(-3 * DAY_MS));
    world
}

#[test]
// tidy: long, one page after another
fn whatever_partners_are_called_stays_text_where_agreements_are_read() {
    let mut world = in_force();
    let agreement = world.agreement(P).id.clone();
    let now = world.now;
    for evil in EVIL {
        let partners: PartnersView = asked(&mut world, P, LocalRequest::GetPartners, evil);
        let names = partners.names();
        let all = || LocalRequest::GetAgreements;
        let agreements: AgreementsView = asked(&mut world, P, all(), evil);
        stays_text(now, evil, |reader| {
            console::agreements_page(reader, &agreements, &names)
        });
        stays_text(now, evil, |reader| {
            console::partners_page(reader, &partners, &agreements)
        });
        let request = LocalRequest::GetAgreement(agreement.clone());
        let one: AgreementView = asked(&mut world, P, request, evil);
        stays_text(now, evil, |reader| {
            console::agreement_page(reader, &one, &names, true, None)
        });
        let (status, mut body) = world.local(P, LocalRequest::GetStatus);
        assert_eq!(status, 200, "{body}");
        body["notCompared"] = json!([evil, evil]);
        body["denials"] = Value::Object(Map::from_iter([(evil.to_owned(), json!(3))]));
        body["depositsRefused"] = body["denials"].clone();
        body["feeds"][0]["held"] = json!(7);
        let health: StatusView = spoilt(body.clone(), evil);
        stays_text(now, evil, |reader| {
            console::partner_page(reader, evil, &partners, &agreements, health.feeds())
                .expect("a partner of that id")
        });
        stays_text(now, evil, |reader| {
            console::health_page(reader, &health, &names)
        });
        let feeds: FeedsView = spoilt(body, evil);
        stays_text(now, evil, |reader| {
            console::feeds_page(reader, &feeds, &names)
        });
        let overview = OverviewView {
            status: health,
            agreements,
            proposals: asked(&mut world, P, LocalRequest::GetProposals, evil),
            mediations: asked(&mut world, P, LocalRequest::GetMediations, evil),
        };
        stays_text(now, evil, |reader| {
            console::overview_page(reader, &overview, &names)
        });
        let logs: LogsView = asked(&mut world, P, LocalRequest::GetEvidence, evil);
        stays_text(now, evil, |reader| {
            console::evidence_page(reader, &logs, &names)
        });
        stays_text(now, evil, |reader| {
            console::evidence_of_page(reader, evil, &logs, &names, None)
                .expect("a log with that partner")
        });
        let request = LocalRequest::Rehearse {
            at: JULY,
            after: 0,
            limit: 1,
        };
        let rehearsal: RehearsalView = asked(&mut world, P, request, evil);
        stays_text(now, evil, |reader| {
            console::rehearsal_page(reader, evil, Some(&rehearsal), None)
        });
    }
}

#[test]
fn whatever_partners_are_called_stays_text_where_people_decide() {
    let mut world = in_force();
    let mediations = world.local(M, LocalRequest::GetMediations).1;
    let mediation = wire(mediations["mediations"][0]["id"].as_str().unwrap());
    let mut fresh = World::new();
    fresh.publish("o", &stations(), false);
    fresh.propose(&["o"], &[]);
    let proposal = wire(fresh.proposal(P)["id"].as_str().unwrap());
    let trouble = crate::node::problem::field("one-time-code", 422, "no", "/code", "type it");
    for evil in EVIL {
        let names: PartnersView = asked(&mut world, M, LocalRequest::GetPartners, evil);
        let names = names.names();
        let list: MediationsView = asked(&mut world, M, LocalRequest::GetMediations, evil);
        stays_text(world.now, evil, |reader| {
            console::mediations_page(reader, &list, &names, None, evil)
        });
        for at in [M, P, C] {
            let request = LocalRequest::GetMediation(mediation.clone());
            let one: MediationView = asked(&mut world, at, request, evil);
            stays_text(world.now, evil, |reader| {
                console::mediation_page(reader, &one, &names, None)
            });
        }
        let report = json!({ "cooperations": [{
            "manifest": "m", "parties": ["a", "b"], "end": "2017-07-01T00:00:00+08:00",
            "state": "in-force", "suspendsAt": null, "feedAge": "x", "reportedBy": "a",
            "reportedAt": "2017-06-01T00:00:00+08:00",
        }]});
        let cooperations: CooperationsView = spoilt(report, evil);
        stays_text(world.now, evil, |reader| {
            console::regulator_page(reader, &cooperations, &list, &names)
        });
        let inbox: ProposalsView = asked(&mut fresh, P, LocalRequest::GetProposals, evil);
        stays_text(fresh.now, evil, |reader| {
            console::inbox_page(reader, &inbox, &names)
        });
        let request = LocalRequest::GetNegotiation {
            negotiation: proposal.clone(),
            wait_ms: 0,
        };
        let one: ProposalView = asked(&mut fresh, P, request, evil);
        let pairs = [("reason", evil), ("policy", evil), ("until", evil)];
        let typed = Typed::new(pairs.into_iter());
        for act in ["counter", "reject", "approve"] {
            let again = console::Again {
                trouble: &trouble,
                act,
                typed: &typed,
            };
            stays_text(fresh.now, evil, |reader| {
                console::proposal_page(reader, &one, &names, Some(&again))
            });
        }
    }
}

#[test]
// tidy: long, one page after another
fn whatever_parcels_and_people_are_called_stays_text() {
    let at = "2017-06-01T09:00:00+08:00";
    let deposit = json!({
        "id": "x", "state": "x", "station": "x", "compartment": 7, "size": "small", "notifier": "x",
        "phone": "x", "pickupUntil": at, "waybill": "x",
    });
    let station = json!({
        "id": "x", "name": "x", "state": "x", "position": { "longitude": 120.0, "latitude": 30.0 },
        "sizes": { "small": { "installed": 2, "free": 1 } },
    });
    let parcel = json!({
        "carrier": "x", "number": "x", "generation": 1, "marketplace": "x", "merchant": "x",
        "ownership": { "state": "x", "owner": "x" }, "state": "x", "stateAt": at,
        "stale": [{ "source": "x", "since": at, "reason": "x" }],
        "events": [{ "step": "x", "at": at, "place": "x", "from": "x" }],
        "contactReleases": [{ "to": "x", "purpose": "x", "form": "x", "at": at }],
        "deposit": deposit, "tracking": "x",
    });
    let entry = json!({
        "cursor": 1, "at": at, "to": "x", "dataset": "x", "agreement": "x", "purpose": "x",
        "outcome": { "denied": "x", "parcel": "x", "lane": "x", "contactForm": "x" },
    });
    let shop = json!({
        "items": [{ "carrier": "x", "number": "x", "state": "x", "stateAt": at, "tracking": "/t/x",
            "stale": [{ "source": "x", "since": at, "reason": "x" }] }],
        "next": "x", "ends": [{ "partnerName": "x", "endsAt": at, "parcels": 3 }],
    });
    let look = json!({
        "at": at, "by": "x", "what": "x", "parcels": ["x", null], "merchant": "x", "contactForm": "x",
    });
    let reveal = json!({
        "id": "x", "parcel": "x", "reason": "x", "reference": "x", "askedBy": "x", "askedAt": at,
        "approvedBy": "x", "approvedAt": null, "letInAlike": "x", "shownAt": null,
    });
    let now = JUNE.plus_ms(DAY_MS);
    for evil in EVIL {
        let names: PartnersView = spoilt(json!({ "items": [] }), evil);
        let names = names.names();
        let one: ParcelView = spoilt(parcel.clone(), evil);
        let typed = Asked {
            waybill: evil.into(),
            trouble: Some(evil.into()),
        };
        for asked in [Asked::default(), typed] {
            stays_text(now, evil, |reader| {
                console::parcels_page(reader, &asked, Some(&one), &names)
            });
        }
        let ledger = json!({ "items": [entry], "next": 1, "days": [{ "day": "x", "released": 1, "denied": 1 }] });
        let ledger: LedgerView = spoilt(ledger, evil);
        let filter = LedgerFilter {
            partner: evil.into(),
            dataset: evil.into(),
            agreement: evil.into(),
            purpose: evil.into(),
            outcome: evil.into(),
            since: evil.into(),
            until: evil.into(),
        };
        stays_text(now, evil, |reader| {
            console::releases_page(reader, &ledger, &filter, &names)
        });
        stays_text(now, evil, |reader| {
            console::release_page(reader, &ledger, &names).expect("it is of that entry")
        });
        let stations = json!({
            "stations": [station], "all": 1, "usable": 1, "partnersAll": 1,
            "partners": [{ "id": "x", "operator": "x", "name": "x", "state": "x" }],
        });
        let stations: StationsView = spoilt(stations, evil);
        stays_text(now, evil, |reader| {
            console::stations_page(reader, &stations, &names)
        });
        let own: StationView = spoilt(station.clone(), evil);
        stays_text(now, evil, |reader| console::station_page(reader, &own));
        let round: RoundView = spoilt(json!({ "items": [deposit] }), evil);
        let near: NearView = spoilt(
            json!({ "stations": [{ "id": "x", "metres": 7, "free": 2 }] }),
            evil,
        );
        let scan = ScanView {
            key: evil.into(),
            station: evil.into(),
            waybill: evil.into(),
            size: evil.into(),
            claim: evil.into(),
            wants_contact: true,
            ..ScanView::default()
        };
        let refused = crate::node::problem::problem("x", 422, "no", evil);
        stays_text(now, evil, |reader| {
            let instead = near.lines(reader, "small");
            console::courier_page(reader, &scan, &round, Some(&refused), &instead)
        });
        let lies: DepositView = spoilt(deposit.clone(), evil);
        stays_text(now, evil, |reader| {
            console::deposit_page(reader, &lies, Some(&refused))
        });
        let sold: ShopView = spoilt(shop.clone(), evil);
        stays_text(now, evil, |reader| {
            console::merchant_page(reader, &sold, "", None)
        });
        let looks: LooksView = spoilt(json!({ "items": [look], "next": 7 }), evil);
        stays_text(now, evil, |reader| {
            console::looks_page(reader, &looks, None, false)
        });
        let reveals: RevealsView = spoilt(json!({ "items": [reveal] }), evil);
        stays_text(now, evil, |reader| {
            console::reveals_page(reader, &reveals, Some(evil), None)
        });
        let people = json!({ "items": [{ "name": "x", "roles": ["courier"], "courier": "x", "merchant": "x" }] });
        let people: PeopleView = spoilt(people, evil);
        let keys = json!({ "keys": [{ "id": "x", "name": "x", "role": "handheld", "addedAt": at }],
                "waiting": [{ "id": "x", "name": "x", "role": "telephone", "askedBy": "x", "askedAt": at }] });
        let keys: KeysView = spoilt(keys, evil);
        stays_text(now, evil, |reader| {
            console::access_page(reader, &people, &keys, None, None)
        });
        let alerts = json!({ "items": [{
            "cursor": 1, "at": at, "kind": "x", "partner": "x", "agreement": "x", "parcel": "x", "detail": "x",
        }], "all": 1 });
        let alerts: AlertsView = spoilt(alerts, evil);
        stays_text(now, evil, |reader| {
            console::alerts_page(reader, &alerts, &names)
        });
    }
}
