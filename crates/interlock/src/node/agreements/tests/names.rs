//! Partners whose names are scripts: on the pages where people decide they stay text.

use serde_json::json;

use super::pages::{person, read};
use super::*;
use crate::pages::console::{
    self, CooperationsView, MediationView, MediationsView, PartnersView, ProposalView,
    ProposalsView, Reader,
};
use crate::pages::{Language, PAGE_BYTES_MAX};

const EVIL: &str = "\" onfocus=\"><script>alert('x')</script><img src=x onerror=alert(1)>";
const AS_TEXT: &str = "&quot; onfocus=&quot;&gt;&lt;script&gt;alert";

/// Four nodes, each of which lists the others under that name.
fn evil_world() -> World {
    let mut world = World::mediated();
    for (at, others) in [(P, [C, JD, M]), (C, [P, JD, M]), (M, [P, C, JD])] {
        for other in others {
            let name = EVIL.to_owned();
            let partner = Partner {
                name,
                ..partner(other)
            };
            world.put(at, Record::Partner(Box::new(partner)));
        }
    }
    world
}

/// Makes a page that names a partner, in both languages.
#[track_caller]
fn stays_text(world: &World, make: impl Fn(&Reader<'_>) -> maud::Markup) {
    let person = person();
    for language in Language::ALL {
        let page = make(&Reader {
            publisher: EVIL,
            person: Some(&person),
            csrf: "mark",
            as_of: world.now,
            ..Reader::in_tests(language)
        });
        let text = page.into_string();
        for never in ["<script", "<img", "\" onfocus", "onerror=alert(1)>"] {
            assert!(!text.contains(never), "`{never}` is in {text}");
        }
        // The publisher's own name is on every page, once in the title and once on top.
        let (_, body) = text.split_once("<main").expect("a page has a main part");
        assert!(body.contains(AS_TEXT), "{text}");
        assert!(text.len() < PAGE_BYTES_MAX);
    }
}

#[test]
fn a_script_in_a_partners_name_stays_text_where_it_is_approved() {
    let mut world = evil_world();
    world.publish("o", &stations(), false);
    world.propose(&["o"], &[]);
    let partners: PartnersView = read(&mut world, P, LocalRequest::GetPartners);
    let names = partners.names();
    let inbox: ProposalsView = read(&mut world, P, LocalRequest::GetProposals);
    stays_text(&world, |reader| console::inbox_page(reader, &inbox, &names));
    let request = LocalRequest::GetNegotiation {
        negotiation: wire(world.proposal(P)["id"].as_str().unwrap()),
        wait_ms: 0,
    };
    let proposal: ProposalView = read(&mut world, P, request);
    stays_text(&world, |reader| {
        console::proposal_page(reader, &proposal, &names, None)
    });
}

#[test]
fn a_script_in_a_partners_name_stays_text_for_mediators_and_parties() {
    let mut world = evil_world();
    let put = super::mediation::proposal();
    let (status, body) = world.local(M, LocalRequest::ProposeMediation(put));
    assert_eq!(status, 201, "{body}");
    let id = wire(body["id"].as_str().unwrap());
    for at in [M, P, C] {
        let partners: PartnersView = read(&mut world, at, LocalRequest::GetPartners);
        let names = partners.names();
        let list: MediationsView = read(&mut world, at, LocalRequest::GetMediations);
        stays_text(&world, |reader| {
            console::mediations_page(reader, &list, &names, None, "")
        });
        let one: MediationView = read(&mut world, at, LocalRequest::GetMediation(id.clone()));
        stays_text(&world, |reader| {
            console::mediation_page(reader, &one, &names, None)
        });
        let report = json!({ "cooperations": [{
            "manifest": EVIL, "parties": [name(P).as_str(), name(C).as_str()],
            "end": "2017-07-01T00:00:00+08:00", "state": EVIL, "suspendsAt": null,
            "feedAge": EVIL, "reportedBy": name(P).as_str(),
            "reportedAt": "2017-06-01T00:00:00+08:00",
        }]});
        let cooperations: CooperationsView = serde_json::from_value(report).unwrap();
        stays_text(&world, |reader| {
            console::regulator_page(reader, &cooperations, &list, &names)
        });
    }
}
