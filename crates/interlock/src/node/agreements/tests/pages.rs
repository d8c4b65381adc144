//! The console's pages are read from what the local API answers: each view, in both languages.

use serde::de::DeserializeOwned;

use super::*;
use crate::identity::password::PasswordHash;
use crate::identity::person::{Person, PersonName};
use crate::node::io::{MediationAct, Problem};
use crate::pages::console::{
    self, AgreementView, AgreementsView, AlertsView, FeedsView, LedgerFilter, LedgerView, LogsView,
    MediationView, MediationsView, OverviewView, PartnersView, ProposalView, ProposalsView, Reader,
    RehearsalView, ShopView, StatusView, Typed,
};
use crate::pages::{Language, PAGE_BYTES_MAX};

pub(super) fn person() -> Person {
    Person {
        name: PersonName::parse("li").unwrap(),
        roles: [Role::Admin].into(),
        courier: None,
        merchant: None,
        password: PasswordHash::of_nobody(),
        enrolment: [0; 16],
        version: 1,
    }
}

pub(super) fn read<T: DeserializeOwned>(world: &mut World, at: usize, request: LocalRequest) -> T {
    let (status, body) = world.local(at, request);
    assert_eq!(status, 200, "{body}");
    serde_json::from_value(body).expect("the view of an answer")
}

/// Makes a page in both languages and holds it to what is true of all.
#[track_caller]
fn page(world: &World, make: impl Fn(&Reader<'_>) -> maud::Markup, says: [&str; 2]) {
    let person = person();
    for (language, says) in Language::ALL.into_iter().zip(says) {
        let reader = Reader {
            person: Some(&person),
            csrf: "mark",
            as_of: world.now,
            ..Reader::in_tests(language)
        };
        let text = make(&reader).into_string();
        assert!(text.contains(says), "`{says}` is not in {text}");
        assert!(text.contains(&format!("<html lang=\"{}\"", language.tag())));
        for never in ["<script", "javascript:", " style=", " onclick"] {
            assert!(!text.contains(never), "`{never}` is in {text}");
        }
        assert!(text.len() < PAGE_BYTES_MAX);
        let regions = text.split("role=\"region\" tabindex=\"0\" aria-labelledby=\"");
        let labels: Vec<&str> = regions
            .skip(1)
            .filter_map(|it| it.split('"').next())
            .collect();
        let distinct: std::collections::BTreeSet<&str> = labels.iter().copied().collect();
        assert_eq!(labels.len(), distinct.len(), "regions alike: {labels:?}");
        let headings = text.matches("<h1").count();
        assert_eq!(headings, 1, "one heading of the first level");
    }
}

/// What somebody typed into a form that was refused.
fn typed_before() -> Typed {
    let pairs = [
        ("csrf", "mark"),
        ("code", "654321"),
        ("policy", "{\"as\": \"typed\"}"),
        ("reason", "too <b> long"),
        ("until", "2017-08-01"),
    ];
    Typed::new(pairs.into_iter())
}

const fn again<'a>(trouble: &'a Problem, act: &'a str, typed: &'a Typed) -> console::Again<'a> {
    console::Again {
        trouble,
        act,
        typed,
    }
}

#[test]
fn a_proposal_says_what_changes_and_asks_for_a_code() {
    let mut world = World::new();
    world.publish("o", &stations(), false);
    world.propose(&["o"], &[]);
    let partners: PartnersView = read(&mut world, P, LocalRequest::GetPartners);
    let names = partners.names();
    let inbox: ProposalsView = read(&mut world, P, LocalRequest::GetProposals);
    page(
        &world,
        |reader| console::inbox_page(reader, &inbox, &names),
        ["1 份提案等待我方决定", "1 proposal waits for us"],
    );
    let shorter = Terms {
        until: JULY.plus_ms(-3 * DAY_MS),
        ..stations()
    };
    let policy = shorter.to_policy();
    world.decide(P, Decision::Counter { policy });
    let id = wire(world.proposal(C)["id"].as_str().unwrap());
    let request = LocalRequest::GetNegotiation {
        negotiation: id,
        wait_ms: 0,
    };
    let proposal: ProposalView = read(&mut world, C, request);
    let refused = crate::node::problem::field("one-time-code", 422, "no", "/code", "type it");
    let typed = typed_before();
    page(
        &world,
        |reader| {
            console::proposal_page(
                reader,
                &proposal,
                &names,
                Some(&again(&refused, "counter", &typed)),
            )
        },
        ["获得方得到更少", "the consumer gets less"],
    );
    for (act, kept) in [
        (
            "counter",
            "required>{&quot;as&quot;: &quot;typed&quot;}</textarea>",
        ),
        ("reject", "value=\"too &lt;b&gt; long\""),
    ] {
        page(
            &world,
            |reader| {
                let again = again(&refused, act, &typed);
                let page = console::proposal_page(reader, &proposal, &names, Some(&again));
                let text = page.clone().into_string();
                assert_eq!(text.matches("<details open>").count(), 1, "{text}");
                assert!(text.contains(&format!("href=\"#{act}-code\"")));
                assert!(!text.contains("654321"), "no code comes again");
                page
            },
            [kept, kept],
        );
    }
    page(
        &world,
        |reader| console::proposal_page(reader, &proposal, &names, None),
        [
            "<button type=\"submit\">批准</button>",
            "<button type=\"submit\">Approve</button>",
        ],
    );
}

#[test]
fn a_mediation_reads_at_its_mediator_and_at_both_parties() {
    let mut world = World::mediated();
    let put = super::mediation::proposal();
    let (status, body) = world.local(M, LocalRequest::ProposeMediation(put));
    assert_eq!(status, 201, "{body}");
    let id = wire(body["id"].as_str().unwrap());
    let counter = LocalRequest::Mediate {
        mediation: id.clone(),
        act: MediationAct::Counter {
            until: Some(JULY.plus_ms(-10 * DAY_MS)),
            policies: Vec::new(),
            reason: "three <weeks> will do".into(),
        },
    };
    assert_eq!(world.local(C, counter).0, 200);
    for (at, lists, says) in [
        (
            M,
            ["没有等待我方答复的调解", "No mediation waits for us"],
            ["采纳还价", "Adopt it"],
        ),
        (
            P,
            ["1 项调解等待我方答复", "1 mediation waits for us"],
            ["接受并签署", "Accept and sign"],
        ),
        (
            C,
            ["没有等待我方答复的调解", "No mediation waits for us"],
            ["three &lt;weeks&gt; will do", "three &lt;weeks&gt; will do"],
        ),
    ] {
        let partners: PartnersView = read(&mut world, at, LocalRequest::GetPartners);
        let names = partners.names();
        let list: MediationsView = read(&mut world, at, LocalRequest::GetMediations);
        page(
            &world,
            |reader| console::mediations_page(reader, &list, &names, None, ""),
            lists,
        );
        let one: MediationView = read(&mut world, at, LocalRequest::GetMediation(id.clone()));
        page(
            &world,
            |reader| console::mediation_page(reader, &one, &names, None),
            says,
        );
    }
}

#[test]
// tidy: long, one step after another
fn every_page_of_a_node_with_an_agreement_reads() {
    let mut world = World::new();
    world.publish("o", &stations(), false);
    world.propose(&["o"], &[]);
    world.decide(P, Decision::Approve);
    world.run_until(JUNE);
    world.assert_in_force();
    let agreement = world.agreement(P).id.clone();
    let partners: PartnersView = read(&mut world, P, LocalRequest::GetPartners);
    let names = partners.names();
    let all: AgreementsView = read(&mut world, P, LocalRequest::GetAgreements);
    page(
        &world,
        |reader| console::agreements_page(reader, &all, &names),
        ["最先到期", "First to end"],
    );
    let one: AgreementView = read(&mut world, P, LocalRequest::GetAgreement(agreement));
    page(
        &world,
        |reader| console::agreement_page(reader, &one, &names, true, None),
        ["生效中", "in force"],
    );
    page(
        &world,
        |reader| console::partners_page(reader, &partners, &all),
        ["个伙伴有往来", "partners may talk to us"],
    );
    let status: StatusView = read(&mut world, P, LocalRequest::GetStatus);
    page(
        &world,
        |reader| {
            let id = name(C);
            console::partner_page(reader, id.as_str(), &partners, &all, status.feeds()).unwrap()
        },
        ["我方提供", "We give"],
    );
    page(
        &world,
        |reader| console::health_page(reader, &status, &names),
        ["运行状况", "Health"],
    );
    let overview = OverviewView {
        status,
        agreements: all,
        proposals: read(&mut world, P, LocalRequest::GetProposals),
        mediations: read(&mut world, P, LocalRequest::GetMediations),
    };
    page(
        &world,
        |reader| {
            let page = console::overview_page(reader, &overview, &names);
            let text = page.clone().into_string();
            let (_, figures) = text.split_once("<dl class=\"facts\">").unwrap();
            let (figures, _) = figures.split_once("</dl>").unwrap();
            let all = figures.matches("<dd>").count();
            let links = figures.matches("<dd><a href=\"/console/").count();
            assert_eq!((all, links), (5, 5), "each leads to what it counts: {text}");
            page
        },
        ["概览", "Overview"],
    );
    let feeds: FeedsView = read(&mut world, P, LocalRequest::GetStatus);
    page(
        &world,
        |reader| console::feeds_page(reader, &feeds, &names),
        ["滞留", "Nothing is held"],
    );
    let alerts: AlertsView = read(
        &mut world,
        P,
        LocalRequest::FindAlerts {
            from: 0,
            limit: 100,
        },
    );
    page(
        &world,
        |reader| console::alerts_page(reader, &alerts, &names),
        ["提醒", "Alerts"],
    );
    let logs: LogsView = read(&mut world, P, LocalRequest::GetEvidence);
    page(
        &world,
        |reader| {
            let id = name(C);
            console::evidence_of_page(reader, id.as_str(), &logs, &names, None).unwrap()
        },
        ["尚未核验", "Not checked since"],
    );
    let query = crate::node::io::LedgerQuery {
        limit: 50,
        ..crate::node::io::LedgerQuery::default()
    };
    let ledger: LedgerView = read(&mut world, P, LocalRequest::FindLedger(Box::new(query)));
    let filter = LedgerFilter::default();
    page(
        &world,
        |reader| console::releases_page(reader, &ledger, &filter, &names),
        ["台账", "Ledger"],
    );
    let request = LocalRequest::Rehearse {
        at: JULY,
        after: 0,
        limit: 1,
    };
    let rehearsal: RehearsalView = read(&mut world, P, request);
    page(
        &world,
        |reader| console::rehearsal_page(reader, "", Some(&rehearsal), None),
        ["演练：没有发出任何内容", "Rehearsal: nothing is sent"],
    );
}

#[test]
fn a_merchant_reads_the_last_known_state_and_why_it_may_be_old() {
    let world = World::new();
    let sold = |state: &str, reason: &str| {
        let since = JUNE.to_rfc3339(Zone::CHINA);
        serde_json::json!({
            "carrier": "sf", "number": "SF1000000000001", "state": state,
            "stateAt": MAY.to_rfc3339(Zone::CHINA), "tracking": "https://a.example/t/1",
            "stale": [{ "source": "SF <Express>", "since": since, "reason": reason }],
        })
    };
    let items = [sold("arrived", "no-agreement"), sold("deposited", "away")];
    let view = serde_json::json!({ "items": items, "next": "00ff", "ends": [] });
    let view: ShopView = serde_json::from_value(view).unwrap();
    for says in [
        [
            "显示 2 件，其中 2 件的信息不是最新",
            "2 parcels; 2 of them are not up to date",
        ],
        [
            "自 2017-06-01 00:00（UTC+8）起无有效协议，SF &lt;Express&gt;信息暂停更新",
            "no SF &lt;Express&gt; updates since 2017-06-01 00:00 (UTC+8): no agreement is in force",
        ],
        [
            "自 2017-06-01 00:00（UTC+8）起联系不上SF &lt;Express&gt;",
            "SF &lt;Express&gt; has not been reached since 2017-06-01 00:00 (UTC+8)",
        ],
        [
            "href=\"/merchant?state=arrived&amp;before=00ff\">更早的包裹",
            "href=\"/merchant?state=arrived&amp;before=00ff\">Older parcels",
        ],
        [
            "href=\"/merchant.csv?state=arrived&amp;before=11ee\"",
            "href=\"/merchant.csv?state=arrived&amp;before=11ee\"",
        ],
    ] {
        page(
            &world,
            |reader| console::merchant_page(reader, &view, "arrived", Some("11ee")),
            says,
        );
    }
}

#[test]
fn a_merchant_reads_of_an_end_ahead_how_many_parcels_it_touches() {
    let mut world = World::new();
    let request = LocalRequest::GetShop {
        merchant: interlock_core::ids::MerchantId::parse("m1").unwrap(),
        state: None,
        before: None,
        limit: 10,
    };
    let none: ShopView = read(&mut world, P, request);
    let says = ["没有符合条件的包裹", "No parcel fits"];
    page(
        &world,
        |reader| console::merchant_page(reader, &none, "", None),
        says,
    );
    let end = |parcels: Value| {
        let ends_at = world.now.plus_ms(DAY_MS).to_rfc3339(Zone::CHINA);
        let end = serde_json::json!({
            "partnerName": "Fengchao <lockers>",
            "endsAt": ends_at,
            "parcels": parcels,
        });
        let view = serde_json::json!({ "items": [], "next": null, "ends": [end] });
        serde_json::from_value::<ShopView>(view).unwrap()
    };
    let (known, unknown) = (end(1_412.into()), end(Value::Null));
    page(
        &world,
        |reader| console::merchant_page(reader, &known, "", None),
        [
            "与Fengchao &lt;lockers&gt;的协议将于 2017-06-01 00:00（UTC+8）到期（还有 24 小时），尚无后续协议，\
             涉及您的 1,412 件包裹",
            "The agreement with Fengchao &lt;lockers&gt; ends in 24 hours, 2017-06-01 00:00 (UTC+8), and \
             nothing follows it yet. It touches 1,412 of your parcels",
        ],
    );
    page(
        &world,
        |reader| console::merchant_page(reader, &unknown, "", None),
        ["可能涉及您的包裹", "It may touch your parcels"],
    );
}
