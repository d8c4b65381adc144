//! Rules that hold for every page, whatever it says.

use expect_test::expect;
use interlock_core::event::Step;
use interlock_core::time::{HOUR_MS, MINUTE_MS};

use super::samples::*;
use super::*;

/// Rules that hold for every page. With `INTERLOCK_PAGES_DIR` set, the pages are left there to be
/// looked at.
#[test]
fn every_page_keeps_the_rules() {
    let dir = std::env::var_os("INTERLOCK_PAGES_DIR").map(std::path::PathBuf::from);
    for l in Language::ALL {
        for (name, page) in samples(l) {
            let html = page.into_string();
            assert!(html.starts_with("<!DOCTYPE html><html lang=\""), "{name}");
            assert!(
                html.contains(&format!("<html lang=\"{}\">", l.tag())),
                "{name}"
            );
            assert!(
                html.contains(&format!("href=\"{}\"", stylesheet().path)),
                "{name}"
            );
            for banned in [
                "<script",
                "javascript:",
                "style=\"",
                "<style",
                " onclick",
                "//",
            ] {
                assert!(!html.contains(banned), "{name} has {banned}");
            }
            assert_eq!(html.matches("<h1").count(), 1, "{name}");
            assert!(html.len() <= PAGE_BYTES_MAX, "{name}");
            if let Some(dir) = &dir {
                let local = html.replace(&stylesheet().path, "style.css");
                std::fs::write(dir.join(format!("{name}.{}.html", l.tag())), local).unwrap();
                std::fs::write(dir.join("style.css"), stylesheet().bytes).unwrap();
            }
        }
    }
}

#[test]
fn a_code_is_on_a_page_only_after_it_was_asked_for() {
    for l in Language::ALL {
        for (name, page) in samples(l) {
            let html = page.into_string();
            assert_eq!(html.contains("8160 4275"), name == "pickup-shown", "{name}");
            assert_eq!(html.contains("B07"), name == "pickup-shown", "{name}");
            let asks = [
                "pickup",
                "pickup-call",
                "pickup-report",
                "pickup-wrong",
                "pickup-form-expired",
                "pickup-overdue",
                "pickup-enrol",
                "pickup-no-key",
            ];
            assert_eq!(html.contains("<form"), asks.contains(&name), "{name}");
        }
    }
    let html = sample("pickup", Language::English);
    assert!(html.contains("method=\"post\""));
    assert!(html.contains("action=\"/p/Zk3xq0b1f8yQw7/code?lang=en\""));
    assert!(html.contains("<input type=\"hidden\" name=\"csrf\" value=\"c5r5f\">"));
    let shown = CodeView::Shown {
        code: "1".into(),
        compartment: "2".into(),
    };
    assert_eq!(format!("{shown:?}"), "Shown(redacted)");
    let gone = PickupView {
        code: shown,
        ..pickup_in(
            Language::English,
            PickupState::PickedUp {
                at: at("2017-06-01T11:00"),
            },
        )
    };
    assert!(
        !pickup_page(&gone, Language::English)
            .into_string()
            .contains("class=\"digits\"")
    );
}

#[test]
fn a_courier_can_be_called_while_the_parcel_lies_there_and_not_after() {
    for l in Language::ALL {
        for (name, page) in samples(l) {
            let html = page.into_string();
            assert_eq!(html.contains("tel:"), name == "pickup-call", "{name}");
        }
        let html = sample("pickup-call", l);
        assert!(html.contains("href=\"tel:+8695000001,00471100\""), "{html}");
        assert!(html.contains(">+8695000001<") && html.contains(">00471100<"));
        let call = CallView {
            number: "+8695000001".into(),
            extension: "00471100".into(),
        };
        let over = PickupState::PickedUp {
            at: at("2017-06-01T11:00"),
        };
        let view = PickupView {
            call: Some(call),
            ..pickup_in(l, over)
        };
        let html = pickup_page(&view, l).into_string();
        assert!(!html.contains("00471100"), "{html}");
    }
}

#[test]
fn titles_name_neither_parcel_nor_person() {
    let mut titles = std::collections::BTreeSet::new();
    for l in Language::ALL {
        for (_, page) in samples(l) {
            let html = page.into_string();
            let title = html
                .split_once("<title>")
                .unwrap()
                .1
                .split_once("</title>")
                .unwrap()
                .0;
            titles.insert(title.to_owned());
        }
    }
    expect![[r#"{"Error", "No such page", "Parcel tracking", "Pick up your parcel", "This link has ended", "出错", "包裹动态", "取件", "没有此页面", "链接已失效"}"#]].assert_eq(&format!("{titles:?}"));
}

#[test]
fn names_from_outside_are_escaped() {
    let evil = "<script>alert('x')</script>\"'&";
    for l in Language::ALL {
        let mut tracking = tracking_stale(l);
        tracking.publisher = evil.into();
        tracking.carrier = evil.into();
        tracking.merchant = Some(evil.into());
        tracking.stale[0].source = evil.into();
        tracking.events[0].place = Some(evil.into());
        tracking.events[0].source = evil.into();
        tracking.events[1].step = Step::Other(evil.into());
        let mut pickup = pickup(l);
        pickup.publisher = evil.into();
        pickup.token = evil.into();
        pickup.csrf = evil.into();
        pickup.carrier = evil.into();
        pickup.merchant = Some(evil.into());
        pickup.station = Some(StationView {
            name: evil.into(),
            address: evil.into(),
        });
        pickup.accesses[0].who = evil.into();
        pickup.accesses[0].purpose = evil.into();
        let withheld = PickupView {
            code: CodeView::Withheld {
                sender: evil.into(),
                masked_phone: evil.into(),
            },
            ..pickup.clone()
        };
        let shown = PickupView {
            code: CodeView::Shown {
                code: evil.into(),
                compartment: evil.into(),
            },
            ..pickup.clone()
        };
        for page in [
            tracking_page(&tracking, l),
            pickup_page(&pickup, l),
            pickup_page(&withheld, l),
            pickup_page(&shown, l),
            error_page(evil, evil, evil, evil, l),
            not_found_page(evil, l),
        ] {
            let html = page.into_string();
            assert!(html.contains("&lt;script&gt;"), "{html}");
            assert!(!html.contains("<script"), "{html}");
            assert!(!html.contains("\"'"), "an attribute was left: {html}");
        }
    }
}

#[test]
fn the_largest_views_stay_within_the_limit() {
    let l = Language::English;
    let long = "<".repeat(5_000);
    let mut view = tracking_stale(l);
    let mut event = view.events[0].clone();
    event.place = Some(long.clone());
    event.source = long.clone();
    view.events = vec![event; 5_000];
    view.stale = vec![
        Stale {
            source: long.clone(),
            ..view.stale[0].clone()
        };
        5_000
    ];
    let html = tracking_page(&view, l).into_string();
    assert!(html.len() <= PAGE_BYTES_MAX, "{}", html.len());
    assert!(html.contains("4940 older ones are not shown."));

    let mut view = pickup(l);
    view.accesses = vec![
        Access {
            who: long.clone(),
            purpose: long,
            ..view.accesses[0].clone()
        };
        5_000
    ];
    let html = pickup_page(&view, l).into_string();
    assert!(html.len() <= PAGE_BYTES_MAX, "{}", html.len());
    assert!(html.contains("4950 older ones are not shown."));
}

#[test]
fn a_locker_that_went_silent_says_what_may_have_happened() {
    let l = Language::English;
    let mut view = tracking_picked_up(l);
    view.events.remove(0);
    view.stale[0].reason = StaleReason::Unreachable;
    let carrier_silent = tracking_page(&view, l).into_string();
    assert!(
        carrier_silent.contains("its system does not answer.</p>"),
        "{carrier_silent}"
    );
    view.stale[0].source = "Fengchao".into();
    view.now = view.events[0].at.plus_ms(2 * HOUR_MS + MINUTE_MS);
    let html = tracking_page(&view, l).into_string();
    assert!(
        html.contains("its system does not answer. The parcel may have been picked up."),
        "{html}"
    );
    assert!(
        html.contains("Last known: put into locker 0412 Wensan Road, "),
        "{html}"
    );
    assert!(html.contains("2 hours ago"));
    view.stale.clear();
    let html = tracking_page(&view, l).into_string();
    assert!(html.contains("In the locker</h1>"), "{html}");
}

#[test]
fn a_gap_stands_where_it_began() {
    let l = Language::English;
    let mut view = tracking_picked_up(l);
    view.events.remove(0);
    let html = tracking_page(&view, l).into_string();
    let place = |text: &str| {
        html.find(text)
            .unwrap_or_else(|| panic!("no {text} in {html}"))
    };
    assert!(place("Put into locker") < place("Nothing from SF since then"));
    assert!(place("Nothing from SF since then") < place("Arrived in Hangzhou"));
    view.stale[0].since = at("2017-05-01T00:00");
    let html = tracking_page(&view, l).into_string();
    assert!(html.find("Nothing from SF").unwrap() > html.find("Handed over").unwrap());
}

#[test]
fn the_stylesheet_is_named_by_its_bytes_and_fetches_nothing() {
    let style = stylesheet();
    let css = std::str::from_utf8(style.bytes).unwrap();
    assert!(style.path.starts_with("/assets/style-") && style.path.ends_with(".css"));
    assert_eq!(style.path.len(), "/assets/style-0123456789abcdef.css".len());
    for banned in ["url(", "@import", "http"] {
        assert!(!css.contains(banned), "{banned}");
    }
    let csp = security_headers()
        .iter()
        .find(|(n, _)| *n == "content-security-policy")
        .unwrap()
        .1;
    assert!(csp.starts_with("default-src 'none'; style-src 'self'"));
    assert!(!csp.contains("unsafe") && !csp.contains("script"));
}
