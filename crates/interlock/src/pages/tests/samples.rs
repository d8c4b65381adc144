//! Pages of parcels in every state that a reader can meet.

use interlock_core::contact::ContactForm;
use interlock_core::event::Step;
use interlock_core::time::{Timestamp, Zone};
use maud::Markup;

use super::*;

pub(super) fn at(text: &str) -> Timestamp {
    Timestamp::parse_zoned(&format!("{text}:00+08:00"))
        .unwrap()
        .0
}

/// Names in the language of the page, as a participant would configure them.
pub(super) fn name(language: Language, chinese: &'static str, english: &'static str) -> String {
    language.pick(chinese, english).into()
}

pub(super) fn tracked(step: Step, time: &str, place: Option<String>, source: &str) -> TrackedEvent {
    TrackedEvent {
        step,
        at: at(time),
        zone: Zone::CHINA,
        place,
        source: source.into(),
    }
}

pub(super) fn tracking(l: Language) -> TrackingView {
    let sf = name(l, "顺丰", "SF");
    TrackingView {
        publisher: name(l, "菜鸟", "Cainiao"),
        carrier: sf.clone(),
        merchant: Some(name(l, "山野茶铺", "Hill Tea House")),
        events: vec![
            tracked(
                Step::Arrived,
                "2017-05-31T22:41",
                Some(name(l, "杭州", "Hangzhou")),
                &sf,
            ),
            tracked(
                Step::Departed,
                "2017-05-31T15:02",
                Some(name(l, "南京", "Nanjing")),
                &sf,
            ),
            tracked(Step::Other("SORT_OK".into()), "2017-05-31T14:20", None, &sf),
            tracked(
                Step::Accepted,
                "2017-05-30T18:12",
                Some(name(l, "南京鼓楼", "Nanjing Gulou")),
                &sf,
            ),
        ],
        stale: vec![],
        now: at("2017-06-01T08:00"),
        zone: Zone::CHINA,
    }
}

pub(super) fn tracking_stale(l: Language) -> TrackingView {
    TrackingView {
        stale: vec![Stale {
            source: name(l, "顺丰", "SF"),
            since: at("2017-06-01T00:00"),
            zone: Zone::CHINA,
            reason: StaleReason::NoAgreement,
        }],
        ..tracking(l)
    }
}

pub(super) fn tracking_picked_up(l: Language) -> TrackingView {
    let fengchao = name(l, "丰巢", "Fengchao");
    let mut view = tracking_stale(l);
    let station = Some(name(l, "0412 文三路", "0412 Wensan Road"));
    view.events.insert(
        0,
        tracked(
            Step::Deposited,
            "2017-06-01T09:30",
            station.clone(),
            &fengchao,
        ),
    );
    view.events.insert(
        0,
        tracked(Step::Notified, "2017-06-01T09:31", None, &fengchao),
    );
    view.events.insert(
        0,
        tracked(Step::PickedUp, "2017-06-01T19:05", station, &fengchao),
    );
    view.now = at("2017-06-01T19:35");
    view
}

pub(super) fn tracking_empty(l: Language) -> TrackingView {
    TrackingView {
        events: vec![],
        merchant: None,
        ..tracking(l)
    }
}

/// Taken over during a cut: nothing ever came, and there is a reason.
pub(super) fn tracking_cut(language: Language) -> TrackingView {
    TrackingView {
        stale: tracking_stale(language).stale,
        ..tracking_empty(language)
    }
}

pub(super) fn pickup(l: Language) -> PickupView {
    PickupView {
        publisher: name(l, "丰巢", "Fengchao"),
        token: "Zk3xq0b1f8yQw7".into(),
        csrf: "c5r5f".into(),
        carrier: name(l, "顺丰", "SF"),
        merchant: Some(name(l, "山野茶铺", "Hill Tea House")),
        station: Some(StationView {
            name: name(l, "0412 文三路", "0412 Wensan Road"),
            address: name(
                l,
                "杭州市西湖区文三路 90 号，东门岗亭左侧",
                "90 Wensan Road, Xihu, Hangzhou; left of the east gate",
            ),
        }),
        state: PickupState::Deposited {
            until: at("2017-06-03T18:00"),
        },
        code: CodeView::Hidden,
        trouble: None,
        accesses: vec![
            Access {
                who: name(l, "丰巢", "Fengchao"),
                purpose: "pickup-notification".into(),
                form: ContactForm::Sealed,
                at: at("2017-06-01T09:30"),
                agreement: Some("3f1c9a60d2".into()),
                until: Some(at("2017-06-08T09:30")),
                fate: Fate::Kept,
            },
            Access {
                who: name(l, "顺丰快递员", "SF courier"),
                purpose: "courier-call".into(),
                form: ContactForm::Virtual,
                at: at("2017-06-01T09:12"),
                agreement: Some("77ab02e4c8".into()),
                until: Some(at("2017-06-02T09:12")),
                fate: Fate::Told,
            },
        ],
        is_delegates: false,
        later: None,
        call: None,
        report: ReportView::No,
        delegate: DelegateView::No,
        number_held: false,
        enrolment: EnrolmentView::No,
        done: None,
        now: at("2017-06-01T12:00"),
        zone: Zone::CHINA,
    }
}

pub(super) fn pickup_in(l: Language, state: PickupState) -> PickupView {
    PickupView { state, ..pickup(l) }
}

/// A release for each thing that may have become of it, with and without a time.
fn fates(l: Language) -> Vec<Access> {
    let first = pickup(l).accesses.remove(0);
    let all = [
        Fate::Kept,
        Fate::Over,
        Fate::Asked,
        Fate::Told,
        Fate::Deleted,
    ];
    let with = |fate| Access {
        fate,
        ..first.clone()
    };
    let without = |fate| Access {
        fate,
        until: None,
        agreement: None,
        ..first.clone()
    };
    all.map(with).into_iter().chain(all.map(without)).collect()
}

/// Every page in every state that a reader can meet.
// tidy: long, one snapshot a state
pub(super) fn samples(l: Language) -> Vec<(&'static str, Markup)> {
    let p = |view: &PickupView| pickup_page(view, l);
    let shown = CodeView::Shown {
        code: "8160 4275".into(),
        compartment: "B07".into(),
    };
    let withheld = CodeView::Withheld {
        sender: name(l, "丰巢", "Fengchao"),
        masked_phone: "*******1234".into(),
    };
    let trouble = |trouble| PickupView {
        trouble: Some(trouble),
        ..pickup(l)
    };
    let later = at("2017-06-01T12:15");
    vec![
        ("tracking", tracking_page(&tracking(l), l)),
        ("tracking-stale", tracking_page(&tracking_stale(l), l)),
        (
            "tracking-picked-up",
            tracking_page(&tracking_picked_up(l), l),
        ),
        ("tracking-empty", tracking_page(&tracking_empty(l), l)),
        ("tracking-cut", tracking_page(&tracking_cut(l), l)),
        ("pickup", p(&pickup(l))),
        (
            "pickup-shown",
            p(&PickupView {
                code: shown,
                ..pickup(l)
            }),
        ),
        (
            "pickup-call",
            p(&PickupView {
                call: Some(CallView {
                    number: "+8695000001".into(),
                    extension: "00471100".into(),
                }),
                ..pickup(l)
            }),
        ),
        (
            "pickup-report",
            p(&PickupView {
                report: ReportView::Possible {
                    stuck: Some(at("2017-06-01T11:40")),
                    empty: None,
                },
                done: Some(DoneView::Reported),
                ..pickup(l)
            }),
        ),
        (
            "pickup-withheld",
            p(&PickupView {
                code: withheld,
                ..pickup(l)
            }),
        ),
        (
            "pickup-enrol",
            p(&PickupView {
                enrolment: EnrolmentView::Possible,
                ..pickup(l)
            }),
        ),
        (
            "pickup-sealed",
            p(&PickupView {
                code: CodeView::Sealed {
                    deposit: "0b".repeat(16),
                    sealed: "5e".repeat(85),
                },
                enrolment: EnrolmentView::Enrolled {
                    key: "7a".repeat(32),
                },
                done: Some(DoneView::Enrolled),
                ..pickup(l)
            }),
        ),
        ("pickup-no-key", p(&trouble(TroubleView::NoKey))),
        (
            "pickup-fates",
            p(&PickupView {
                accesses: fates(l),
                ..pickup_in(
                    l,
                    PickupState::PickedUp {
                        at: at("2017-06-01T11:00"),
                    },
                )
            }),
        ),
        (
            "pickup-wrong",
            p(&trouble(TroubleView::WrongCode { tries_left: 3 })),
        ),
        (
            "pickup-locked",
            p(&trouble(TroubleView::LockedUntil(later))),
        ),
        (
            "pickup-limited",
            p(&trouble(TroubleView::ShownTooOften { until: later })),
        ),
        ("pickup-form-expired", p(&trouble(TroubleView::FormExpired))),
        (
            "pickup-expected",
            p(&PickupView {
                station: None,
                accesses: vec![],
                ..pickup_in(l, PickupState::Expected)
            }),
        ),
        (
            "pickup-overdue",
            p(&pickup_in(
                l,
                PickupState::Overdue {
                    since: at("2017-06-01T10:00"),
                },
            )),
        ),
        (
            "pickup-picked-up",
            p(&pickup_in(
                l,
                PickupState::PickedUp {
                    at: at("2017-06-01T11:00"),
                },
            )),
        ),
        (
            "pickup-recalled",
            p(&pickup_in(
                l,
                PickupState::Recalled {
                    at: at("2017-06-01T11:00"),
                },
            )),
        ),
        (
            "pickup-redirected",
            p(&pickup_in(
                l,
                PickupState::Redirected {
                    at: at("2017-06-01T11:00"),
                    to: Some(name(l, "0413 翠苑", "0413 Cuiyuan")),
                },
            )),
        ),
        (
            "link-ended",
            link_ended_page(&name(l, "丰巢", "Fengchao"), l),
        ),
        ("not-found", not_found_page(&name(l, "丰巢", "Fengchao"), l)),
        (
            "error",
            error_page(
                &name(l, "丰巢", "Fengchao"),
                l.pick(
                    "暂时无法显示此页面。",
                    "This page can't be shown at the moment.",
                ),
                l.pick("请几分钟后再试。", "Try again in a few minutes."),
                "7f3a91",
                l,
            ),
        ),
    ]
}

pub(super) fn sample(wanted: &str, l: Language) -> String {
    let (_, page) = samples(l)
        .into_iter()
        .find(|(name, _)| *name == wanted)
        .unwrap();
    page.into_string()
}
