//! Catalogs of many datasets: pages, filters, one dataset, and a partner's pages read to the end.

use serde_json::json;

use super::*;
use crate::dsp::CONTEXT;
use crate::dsp::catalog::PAGE_SIZE;

const DATASETS: usize = 2 * PAGE_SIZE + 50;

/// A provider with many datasets of one kind on offer, one of them for somebody else.
fn world() -> World {
    let mut world = World::new();
    for at in 0..DATASETS {
        let put = OfferPut {
            id: wire(&format!("offer-{at:04}")),
            dataset: wire(&format!("locker-stations:{at:04}")),
            policy: stations().to_policy(),
            audience: if at == 7 { vec![name(2)] } else { Vec::new() },
            auto_accept: true,
        };
        let (status, body) = world.local(P, LocalRequest::PublishOffer(put));
        assert_eq!(status, 201, "{body}");
    }
    world
}

fn request(filter: &[&str]) -> Value {
    json!({ "@context": [CONTEXT], "@type": "CatalogRequestMessage", "filter": filter })
}

/// A page of the provider's catalog as the consumer sees it: status, datasets, `Link`.
fn page(world: &mut World, path: &str, filter: &[&str]) -> (u16, Vec<String>, Option<String>) {
    let asked = PeerRequest::Dsp {
        post: true,
        path: path.into(),
        body: request(filter),
    };
    let PeerAnswer::Dsp { status, body, link } = world.ask(&name(C), P, &asked) else {
        panic!("no answer of the protocol");
    };
    let datasets = body["dataset"].as_array().cloned().unwrap_or_default();
    let ids = datasets
        .iter()
        .map(|d| d["@id"].as_str().unwrap().to_owned());
    (status, ids.collect(), link)
}

/// The address in a `Link` header with the relation, below the base.
fn linked(link: &str, rel: &str) -> Option<String> {
    let part = link
        .split(", ")
        .find(|part| part.ends_with(&format!("rel=\"{rel}\"")))?;
    let address = part.strip_prefix('<')?.split('>').next()?;
    Some(address.split_once("/dsp")?.1.to_owned())
}

#[test]
fn every_dataset_is_on_one_page_and_pages_lead_both_ways() {
    let mut world = world();
    let (status, first, link) = page(&mut world, "/catalog/request", &[]);
    assert_eq!((status, first.len()), (200, PAGE_SIZE));
    let link = link.unwrap();
    assert_eq!(linked(&link, "previous"), None);
    let (_, second, link) = page(&mut world, &linked(&link, "next").unwrap(), &[]);
    let link = link.unwrap();
    let back = linked(&link, "previous").unwrap();
    assert_eq!(page(&mut world, &back, &[]).1, first);
    let (_, third, link) = page(&mut world, &linked(&link, "next").unwrap(), &[]);
    assert_eq!(linked(&link.unwrap(), "next"), None);
    let all: Vec<String> = [first, second, third].concat();
    let expected = (0..DATASETS).filter(|at| *at != 7);
    let expected: Vec<String> = expected
        .map(|at| format!("locker-stations:{at:04}"))
        .collect();
    assert_eq!(all, expected);
}

#[test]
fn a_filter_chooses_and_a_token_of_another_hand_is_refused() {
    let mut world = world();
    let one = page(&mut world, "/catalog/request", &["locker-stations:0009"]);
    assert_eq!(one, (200, vec!["locker-stations:0009".to_owned()], None));
    // Another's dataset is not there, however it is asked for.
    let (_, none, _) = page(&mut world, "/catalog/request", &["locker-stations:0007"]);
    assert!(none.is_empty());
    let path = "/catalog/request?continuationToken=zzz";
    let (status, body) = world.post(&name(C), P, path, &request(&[]));
    assert_eq!((status, &body["@type"]), (400, &json!("CatalogError")));
}

#[test]
fn one_dataset_is_answered_to_whom_it_is_offered() {
    let mut world = world();
    let at = |id: &str| format!("/catalog/datasets/locker-stations:{id}");
    let (status, body) = world.get(&name(C), P, &at("0008"));
    assert_eq!(
        (status, &body["@id"]),
        (200, &json!("locker-stations:0008"))
    );
    let hidden = world.get(&name(C), P, &at("0007"));
    assert_eq!(
        (hidden.0, &hidden.1["@type"]),
        (404, &json!("CatalogError"))
    );
    assert_eq!(hidden, world.get(&name(C), P, &at("none")));
    assert_eq!(world.get(&name(2), P, &at("0007")).0, 200);
}

#[test]
fn our_people_see_every_page_of_a_partners_catalog() {
    let mut world = world();
    let (status, body) = world.local(C, LocalRequest::GetCatalog(name(P)));
    assert_eq!(status, 200, "{body}");
    assert_eq!(body["offers"].as_array().unwrap().len(), DATASETS - 1);
    // What is agreed on has the name of its dataset.
    assert_eq!(world.propose(&["offer-0240"], &[]).0, 201);
    let negotiations = &world.book(P).negotiations;
    let targets: Vec<&str> = negotiations.values().map(|n| n.target.as_str()).collect();
    assert_eq!(targets, ["locker-stations:0240"]);
    assert_eq!(world.agreement(C).terms, stations());
}

#[test]
fn a_link_elsewhere_is_not_followed() {
    let mut world = World::new();
    world.publish("o", &stations(), true);
    let asked = LocalRequest::GetCatalog(name(P));
    let input = Input::Local {
        reply: ReplyId(1),
        credential: Some([9; 32]),
        idempotency: None,
        request: asked,
    };
    world.local.clear();
    world.step(C, input);
    let flight = world.flights.pop_front().unwrap();
    let body = json!({ "@context": [CONTEXT], "@type": "Catalog", "@id": "c",
        "participantId": name(P).as_str(), "dataset": [] });
    let outcome = Ok(PeerAnswer::Dsp {
        status: 200,
        body,
        link: Some("<http://169.254.169.254/latest>; rel=\"next\"".into()),
    });
    world.step(
        C,
        Input::Answered {
            call: flight.call,
            outcome,
        },
    );
    assert!(world.flights.is_empty());
    assert!(matches!(
        world.local.pop(),
        Some(LocalAnswer::Json { status: 200, .. })
    ));
}

fn put(id: &str, dataset: &str, terms: &Terms) -> OfferPut {
    OfferPut {
        id: wire(id),
        dataset: wire(dataset),
        policy: terms.to_policy(),
        audience: Vec::new(),
        auto_accept: false,
    }
}

#[test]
fn many_named_offers_are_put_at_once_and_read_page_by_page() {
    let mut world = World::new();
    let many = |terms: &Terms| {
        let one = |number: usize| {
            let name = format!("locker-stations:{number:04}");
            put(&name, &name, terms)
        };
        (0..1_000).map(one).collect::<Vec<_>>()
    };
    let (status, body) = world.local(P, LocalRequest::PutOffers(many(&stations())));
    assert_eq!((status, &body["changed"]), (200, &json!(1_000)), "{body}");
    let journal = world.journals[P].len();
    let (_, body) = world.local(P, LocalRequest::PutOffers(many(&stations())));
    assert_eq!(
        (&body["taken"], &body["changed"]),
        (&json!(1_000), &json!(0))
    );
    assert_eq!(
        world.journals[P].len(),
        journal,
        "nothing new, nothing written"
    );
    let (mut seen, mut after, mut pages) = (Vec::new(), None, 0);
    loop {
        let request = LocalRequest::GetOffers { after, limit: 300 };
        let (_, page) = world.local(P, request);
        let offers = page["offers"].as_array().unwrap();
        seen.extend(
            offers
                .iter()
                .map(|offer| offer["id"].as_str().unwrap().to_owned()),
        );
        pages += 1;
        match page["next"].as_str() {
            Some(next) => after = Some(wire(next)),
            None => break,
        }
    }
    assert_eq!((seen.len(), pages), (1_000, 4));
    assert!(seen.is_sorted());
    // One that cannot be kept, and none is changed.
    let before = world.book(P).clone();
    let mut mixed = many(&Terms {
        until: JULY.plus_ms(-DAY_MS),
        ..stations()
    });
    let over = Terms {
        from: MAY.plus_ms(-2 * DAY_MS),
        until: MAY.plus_ms(-DAY_MS),
        ..stations()
    };
    mixed[3].policy = over.to_policy();
    mixed[7].audience = vec![ParticipantId::parse("did:web:nobody.example").unwrap()];
    let (status, body) = world.local(P, LocalRequest::PutOffers(mixed));
    assert_eq!(status, 422);
    let pointers: Vec<&str> = body["errors"]
        .as_array()
        .unwrap()
        .iter()
        .map(|error| error["pointer"].as_str().unwrap())
        .collect();
    assert_eq!(pointers, ["/offers/3/policy", "/offers/7/audience/0"]);
    assert_eq!(world.book(P), &before);
    // Each is a dataset of its own to partners.
    let (status, body) = world.get(&name(C), P, "/catalog/datasets/locker-stations:0999");
    assert_eq!(status, 200, "{body}");
}

#[test]
fn more_offers_than_a_node_publishes_are_refused() {
    let mut world = World::new();
    for part in 0..20 {
        let name = |number: usize| format!("locker-stations:{part}-{number}");
        let offers = (0..1_000).map(|n| put(&name(n), &name(n), &stations()));
        let request = LocalRequest::PutOffers(offers.collect());
        assert_eq!(world.local(P, request).0, 200);
    }
    let one = put("one-more", "locker-stations:one-more", &stations());
    let (status, body) = world.local(P, LocalRequest::PutOffers(vec![one.clone()]));
    assert_eq!((status, &body["kind"]), (422, &json!("offer-refused")));
    assert_eq!(world.local(P, LocalRequest::PublishOffer(one)).0, 422);
    let known = put("locker-stations:0-0", "locker-stations:0-0", &stations());
    assert_eq!(world.local(P, LocalRequest::PublishOffer(known)).0, 201);
}
