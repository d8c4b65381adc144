//! Pages behind links: the token does not travel, posts need the page's own form.
#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "a fake node answers only what its test is about"
)]

use interlock_core::time::Zone;
use sha2::{Digest as _, Sha256};

use super::world::*;
use crate::driver::public_door;
use crate::driver::server::{Door, Server};
use crate::node::io::{Effect, Input, LocalAnswer, PageRequest, Problem};
use crate::pages::{
    CodeView, DelegateView, DoneView, EnrolmentView, PickupState, PickupView, ReportView,
    StationView, stylesheet,
};

const TOKEN: &str = "0123456789abcdef0123456789abcdef";

fn view(code: CodeView) -> PickupView {
    PickupView {
        publisher: "Fengchao".into(),
        token: String::new(),
        csrf: String::new(),
        carrier: "SF".into(),
        merchant: None,
        station: Some(StationView {
            name: "0412".into(),
            address: "east gate".into(),
        }),
        state: PickupState::Deposited {
            until: NOW.plus_ms(86_400_000),
        },
        code,
        trouble: None,
        accesses: vec![],
        is_delegates: false,
        later: Some(NOW.plus_ms(172_800_000)),
        call: None,
        report: ReportView::Possible {
            stuck: None,
            empty: None,
        },
        delegate: DelegateView::Possible,
        number_held: true,
        enrolment: EnrolmentView::No,
        done: None,
        now: NOW,
        zone: Zone::CHINA,
    }
}

/// A node that knows one link and shows its code on request.
// tidy: long, one arm a form
async fn node() -> (Server, Log) {
    let digest: [u8; 32] = Sha256::digest(TOKEN.as_bytes()).into();
    let mut setup = Setup::new(cast("a", 1));
    setup.public = Some(Door {
        listener: listener(),
        routes: Box::new(|handle| public_door::router(handle, "Fengchao")),
    });
    let log = setup.store.log.clone();
    let seen = log.clone();
    let server = setup
        .start(move |input, _| match input {
            Input::Page { reply, request } => {
                let answer = match request {
                    PageRequest::Pickup(shown) if shown == digest => {
                        LocalAnswer::Pickup(Box::new(view(CodeView::Hidden)))
                    }
                    PageRequest::ShowCode(shown) if shown == digest => {
                        seen.add("shown");
                        LocalAnswer::Pickup(Box::new(view(CodeView::Shown {
                            code: "735182".into(),
                            compartment: "17".into(),
                        })))
                    }
                    PageRequest::Later(shown) if shown == digest => {
                        seen.add("later");
                        LocalAnswer::Pickup(Box::new(view(CodeView::Hidden)))
                    }
                    PageRequest::Delegate(shown) if shown == digest => {
                        seen.add("delegate");
                        let url = format!("https://fengchao.example/d/{TOKEN}");
                        LocalAnswer::Pickup(Box::new(PickupView {
                            delegate: DelegateView::Given { url },
                            done: Some(DoneView::Delegated),
                            ..view(CodeView::Hidden)
                        }))
                    }
                    PageRequest::Report(shown, report) if shown == digest => {
                        seen.add(format!("report {report:?}"));
                        LocalAnswer::Pickup(Box::new(view(CodeView::Hidden)))
                    }
                    PageRequest::Withdraw(shown) if shown == digest => {
                        seen.add("withdraw");
                        LocalAnswer::Pickup(Box::new(view(CodeView::Hidden)))
                    }
                    PageRequest::Delegated(shown) if shown == digest => {
                        LocalAnswer::Pickup(Box::new(PickupView {
                            is_delegates: true,
                            ..view(CodeView::Hidden)
                        }))
                    }
                    PageRequest::DelegatedCode(shown) if shown == digest => {
                        seen.add("shown to a delegate");
                        LocalAnswer::Pickup(Box::new(view(CodeView::None)))
                    }
                    PageRequest::Enrol(shown, key) if shown == digest => {
                        seen.add(format!("enrolled {}", key.to_hex()));
                        LocalAnswer::Pickup(Box::new(PickupView {
                            done: Some(DoneView::Enrolled),
                            ..view(CodeView::Hidden)
                        }))
                    }
                    PageRequest::Erase(shown) if shown == digest => {
                        seen.add("erased");
                        LocalAnswer::Pickup(Box::new(view(CodeView::None)))
                    }
                    _ => LocalAnswer::Problem(Problem {
                        kind: "not-found".into(),
                        status: 404,
                        title: "not found".into(),
                        detail: "gone".into(),
                        errors: vec![],
                    }),
                };
                vec![Effect::ReplyLocal {
                    to: reply,
                    answer,
                    guard: None,
                }]
            }
            _ => vec![],
        })
        .await;
    (server, log)
}

fn mark_in(page: &str) -> String {
    let (_, rest) = page.split_once("name=\"csrf\" value=\"").unwrap();
    rest.split_once('"').unwrap().0.into()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_code_is_shown_to_the_pages_own_form_only() {
    let (server, log) = node().await;
    let to = server.addresses.public.unwrap();
    let path = format!("/p/{TOKEN}");
    let page = send(to, "GET", &path, &[("Accept-Language", "en")], b"").await;
    assert_eq!(page.status, 200);
    assert!(page.head.contains("content-language: en"));
    assert!(
        page.head
            .contains("content-security-policy: default-src 'none'")
    );
    assert!(page.head.contains("cache-control: no-store"));
    let form = format!("csrf={}", mark_in(&page.body));
    let post = format!("{path}/code?lang=en");
    for (body, headers) in [
        ("csrf=0000", &[][..]),
        ("", &[]),
        (form.as_str(), &[("Sec-Fetch-Site", "cross-site")]),
    ] {
        let reply = send(to, "POST", &post, headers, body.as_bytes()).await;
        assert_eq!(reply.status, 200);
        assert!(!reply.body.contains("735182"));
    }
    // A link that a preview fetches shows nothing either, and a reload leads back to the page.
    let reload = send(to, "GET", &post, &[], b"").await;
    assert_eq!(reload.status, 303);
    assert!(reload.head.contains(&format!("location: {path}?lang=en")));
    assert!(log.lines().is_empty());
    let same = [("Sec-Fetch-Site", "same-origin"), ("Origin", "null")];
    let reply = send(to, "POST", &post, &same, form.as_bytes()).await;
    assert!(reply.body.contains("735182"));
    assert_eq!(log.lines(), ["shown"]);
    for showing in 2..=6 {
        let reply = send(to, "POST", &post, &same, form.as_bytes()).await;
        let shown = reply.body.contains("735182");
        assert_eq!(shown, showing <= 5, "five times in ten minutes, not more");
    }
    assert_eq!(log.lines().len(), 5, "the node is not asked a sixth time");
    server.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn only_the_pages_own_form_deletes() {
    let (server, log) = node().await;
    let to = server.addresses.public.unwrap();
    let path = format!("/p/{TOKEN}");
    let page = send(to, "GET", &path, &[], b"").await;
    let form = format!("csrf={}", mark_in(&page.body));
    let post = format!("{path}/erase");
    assert_eq!(send(to, "GET", &post, &[], b"").await.status, 303);
    let foreign = [("Sec-Fetch-Site", "cross-site")];
    for (headers, body) in [(&[][..], "csrf=0"), (&foreign, form.as_str())] {
        let reply = send(to, "POST", &post, headers, body.as_bytes()).await;
        assert_eq!(reply.status, 200);
    }
    let large = "x".repeat(4_096);
    let reply = send(to, "POST", &post, &[], large.as_bytes()).await;
    assert_eq!(reply.status, 413);
    let unknown = format!("/p/{}/erase", "f".repeat(32));
    let reply = send(to, "POST", &unknown, &[], form.as_bytes()).await;
    assert_eq!(reply.status, 404);
    assert!(log.lines().is_empty());
    let reply = send(to, "POST", &post, &[], form.as_bytes()).await;
    assert_eq!(reply.status, 200);
    assert_eq!(log.lines(), ["erased"]);
    server.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_link_gets_one_answer_with_all_headers() {
    let (server, _) = node().await;
    let to = server.addresses.public.unwrap();
    let unknown = format!("/p/{}", "f".repeat(32));
    let first = send(to, "GET", &unknown, &[], b"").await;
    let long = format!("/p/{}", "f".repeat(500));
    for path in [&unknown, &long, "/p/%2e%2e", "/t/nothing"] {
        let reply = send(to, "GET", path, &[], b"").await;
        assert_eq!((reply.status, &reply.body), (404, &first.body), "{path}");
    }
    for path in ["/", "/p", "/console"] {
        let reply = send(to, "GET", path, &[], b"").await;
        assert_eq!(reply.status, 404);
        assert!(reply.head.contains("x-content-type-options: nosniff"));
        assert!(reply.head.contains("x-robots-tag: noindex"));
    }
    let too_much = vec![b'a'; 2_000];
    let path = format!("/p/{TOKEN}/code");
    assert_eq!(send(to, "POST", &path, &[], &too_much).await.status, 413);
    let style = send(to, "GET", &stylesheet().path, &[], b"").await;
    assert_eq!(style.status, 200);
    assert!(style.head.contains("content-type: text/css"));
    assert!(style.head.contains("immutable"));
    server.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
// tidy: long, one step after another
async fn each_form_of_a_recipient_is_the_pages_own_and_not_sent_too_often() {
    let (server, log) = node().await;
    let to = server.addresses.public.unwrap();
    let path = format!("/p/{TOKEN}");
    let page = send(to, "GET", &format!("{path}?lang=en"), &[], b"").await;
    let form = format!("csrf={}", mark_in(&page.body));
    for act in [
        "code", "later", "delegate", "withdraw", "erase", "stuck", "empty",
    ] {
        let post = format!("{path}/{act}");
        let reloaded = send(to, "GET", &post, &[("Accept-Language", "en")], b"").await;
        assert_eq!(reloaded.status, 303, "{act}");
        assert!(
            reloaded
                .head
                .contains(&format!("location: {path}?lang=en\r"))
        );
        let there = [("Sec-Fetch-Site", "cross-site")];
        send(to, "POST", &post, &there, form.as_bytes()).await;
        send(to, "POST", &post, &[], b"csrf=00").await;
        let unknown = format!("/p/{}/{act}", "f".repeat(32));
        let unknown = send(to, "POST", &unknown, &[], form.as_bytes()).await;
        assert_eq!(unknown.status, 404, "{act}");
    }
    assert!(
        log.lines().is_empty(),
        "nothing was done: {:?}",
        log.lines()
    );
    let more = send(to, "POST", &format!("{path}/x"), &[], form.as_bytes()).await;
    assert_eq!(more.status, 404);

    let made = send(
        to,
        "POST",
        &format!("{path}/delegate?lang=en"),
        &[],
        form.as_bytes(),
    )
    .await;
    assert!(
        made.body
            .contains(&format!("https://fengchao.example/d/{TOKEN}"))
    );
    assert!(made.body.contains("<svg class=\"qr\""), "{}", made.body);
    let stuck = format!("{path}/stuck");
    send(to, "POST", &stuck, &[], form.as_bytes()).await;
    assert_eq!(log.lines().last().unwrap(), "report Stuck");
    for _ in 2..10 {
        let later = format!("{path}/later");
        send(to, "POST", &later, &[], form.as_bytes()).await;
    }
    let late = send(
        to,
        "POST",
        &format!("{path}/withdraw"),
        &[],
        form.as_bytes(),
    )
    .await;
    assert_eq!(late.status, 200);
    assert!(!log.lines().contains(&"withdraw".to_owned()), "too often");
    assert_eq!(log.lines().len(), 10);

    // Whoever was sent has a page of their own, whose form shows the code and does nothing else.
    let theirs = format!("/d/{TOKEN}");
    let page = send(to, "GET", &format!("{theirs}?lang=en"), &[], b"").await;
    assert_eq!(page.status, 200);
    assert!(
        page.body
            .contains(&format!("action=\"{theirs}/code?lang=en\""))
    );
    assert!(!page.body.contains("/p/") && !page.body.contains("Who got my number"));
    let form = format!("csrf={}", mark_in(&page.body));
    for act in ["later", "delegate", "withdraw", "erase", "stuck", "empty"] {
        let post = format!("{theirs}/{act}");
        assert_eq!(
            send(to, "POST", &post, &[], form.as_bytes()).await.status,
            404
        );
    }
    send(to, "POST", &format!("{theirs}/code"), &[], b"csrf=00").await;
    assert_eq!(log.lines().len(), 10);
    send(to, "POST", &format!("{theirs}/code"), &[], form.as_bytes()).await;
    assert_eq!(log.lines().last().unwrap(), "shown to a delegate");
    server.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_key_is_not_enrolled() {
    let (server, log) = node().await;
    let to = server.addresses.public.unwrap();
    let page = send(to, "GET", &format!("/p/{TOKEN}"), &[], b"").await;
    let mark = mark_in(&page.body);
    let path = format!("/p/{TOKEN}/enrol?lang=en");
    for bad in ["", "00", &"0".repeat(64), &"g".repeat(64), "%3Cb%3E"] {
        let form = format!("csrf={mark}&key={bad}");
        let again = send(to, "POST", &path, &[], form.as_bytes()).await;
        assert_eq!(again.status, 200, "{bad}");
        assert!(
            again.body.contains("That is no key"),
            "{bad}: {}",
            again.body
        );
        assert!(!again.body.contains("<b>"), "{bad}");
    }
    let huge = format!("csrf={mark}&key={}", "1".repeat(2_000));
    let refused = send(to, "POST", &path, &[], huge.as_bytes()).await;
    assert_eq!(refused.status, 413);
    let key = "8520f0098930a754748b7ddcb43ef75a0dbf3a0d26381af4eba4a98eaa9b4e6a";
    let foreign = format!("csrf=0&key={key}");
    send(to, "POST", &path, &[], foreign.as_bytes()).await;
    assert!(log.lines().is_empty(), "nothing was enrolled");
    let form = format!("csrf={mark}&key={key}");
    let done = send(to, "POST", &path, &[], form.as_bytes()).await;
    assert!(done.body.contains("your code is given encrypted only"));
    assert_eq!(log.lines(), [format!("enrolled {key}")]);
    server.stop().await.unwrap();
}
