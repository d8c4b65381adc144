use expect_test::{Expect, expect};
use interlock_core::contact::ContactForm;
use interlock_core::event::Step;
use interlock_core::time::{HOUR_MS, MINUTE_MS, Timestamp, Zone};
use maud::Markup;

use super::*;

fn at(text: &str) -> Timestamp {
    Timestamp::parse_zoned(&format!("{text}:00+08:00"))
        .unwrap()
        .0
}

/// Names in the language of the page, as a participant would configure them.
fn name(language: Language, chinese: &'static str, english: &'static str) -> String {
    language.pick(chinese, english).into()
}

fn tracked(step: Step, time: &str, place: Option<String>, source: &str) -> TrackedEvent {
    TrackedEvent {
        step,
        at: at(time),
        zone: Zone::CHINA,
        place,
        source: source.into(),
    }
}

fn tracking(l: Language) -> TrackingView {
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

fn tracking_stale(l: Language) -> TrackingView {
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

fn tracking_picked_up(l: Language) -> TrackingView {
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

fn tracking_empty(l: Language) -> TrackingView {
    TrackingView {
        events: vec![],
        merchant: None,
        ..tracking(l)
    }
}

/// Taken over during a cut: nothing ever came, and there is a reason.
fn tracking_cut(language: Language) -> TrackingView {
    TrackingView {
        stale: tracking_stale(language).stale,
        ..tracking_empty(language)
    }
}

fn pickup(l: Language) -> PickupView {
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
            },
            Access {
                who: name(l, "顺丰快递员", "SF courier"),
                purpose: "courier-call".into(),
                form: ContactForm::Virtual,
                at: at("2017-06-01T09:12"),
            },
        ],
        now: at("2017-06-01T12:00"),
        zone: Zone::CHINA,
    }
}

fn pickup_in(l: Language, state: PickupState) -> PickupView {
    PickupView { state, ..pickup(l) }
}

/// Every page in every state that a reader can meet.
// tidy: long, one snapshot a state
fn samples(l: Language) -> Vec<(&'static str, Markup)> {
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
            "pickup-withheld",
            p(&PickupView {
                code: withheld,
                ..pickup(l)
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

fn sample(wanted: &str, l: Language) -> String {
    let (_, page) = samples(l)
        .into_iter()
        .find(|(name, _)| *name == wanted)
        .unwrap();
    page.into_string()
}

/// What a reader reads: the text of `main`, one line a block.
fn text(html: &str) -> String {
    let mut parts = html.split("<span class=\"instant\">");
    let first = parts.next().unwrap().to_owned();
    let html = parts.fold(first, |all, part| all + &part.replacen("</span>", "", 1));
    let main = html
        .split_once("<main>")
        .unwrap()
        .1
        .split_once("</main>")
        .unwrap()
        .0;
    let mut out = String::new();
    let mut rest = main;
    while let Some((before, tag)) = rest.split_once('<') {
        out += before;
        let (tag, after) = tag.split_once('>').unwrap();
        let inline = [
            "strong", "/strong", "svg", "/svg", "path", "/path", "circle", "/circle", "rect",
            "/rect", "code", "/code",
        ];
        let element = tag.split(' ').next().unwrap();
        if tag.starts_with("button") {
            out += "[button] ";
        } else if !inline.contains(&element) && !out.ends_with('\n') {
            out.push('\n');
        }
        rest = after;
    }
    let lines: Vec<&str> = out.trim().lines().map(str::trim_end).collect();
    lines.join("\n")
}

fn check(wanted: &str, l: Language, expected: Expect) {
    expected.assert_eq(&text(&sample(wanted, l)));
}

// tidy: long, one snapshot a state
#[test]
fn tracking_reads_well_in_both_languages() {
    check(
        "tracking",
        Language::English,
        expect![[r#"
            On its way
            Arrived in Hangzhou, 2017-05-31 22:41 (UTC+8), 9 hours ago.
            Carrier
            SF
            Merchant
            Hill Tea House
            What happened
            2017-05-31 22:41 (UTC+8)
            Arrived in Hangzhou
            Source: SF
            2017-05-31 15:02 (UTC+8)
            Left Nanjing
            Source: SF
            2017-05-31 14:20 (UTC+8)
            Status code SORT_OK
            Source: SF
            2017-05-30 18:12 (UTC+8)
            Handed over to the carrier (Nanjing Gulou)
            Source: SF"#]],
    );
    check(
        "tracking-stale",
        Language::English,
        expect![[r#"
        May be out of date
        Last known: arrived in Hangzhou, 2017-05-31 22:41 (UTC+8), 9 hours ago.
        No SF updates since 2017-06-01 00:00 (UTC+8): no agreement is in force. The parcel may still be moving.
        Carrier
        SF
        Merchant
        Hill Tea House
        What happened
        2017-06-01 00:00 (UTC+8)
        Nothing from SF since then
        2017-05-31 22:41 (UTC+8)
        Arrived in Hangzhou
        Source: SF
        2017-05-31 15:02 (UTC+8)
        Left Nanjing
        Source: SF
        2017-05-31 14:20 (UTC+8)
        Status code SORT_OK
        Source: SF
        2017-05-30 18:12 (UTC+8)
        Handed over to the carrier (Nanjing Gulou)
        Source: SF"#]],
    );
    check(
        "tracking-stale",
        Language::Chinese,
        expect![[r#"
        信息可能不是最新
        最近已知：到达杭州，2017-05-31 22:41（UTC+8），9 小时前。
        自 2017-06-01 00:00（UTC+8）起无有效协议，顺丰信息暂停更新。包裹可能仍在运送。
        快递公司
        顺丰
        商家
        山野茶铺
        全部动态
        2017-06-01 00:00（UTC+8）
        此后无顺丰信息
        2017-05-31 22:41（UTC+8）
        到达杭州
        来源：顺丰
        2017-05-31 15:02（UTC+8）
        离开南京
        来源：顺丰
        2017-05-31 14:20（UTC+8）
        状态代码 SORT_OK
        来源：顺丰
        2017-05-30 18:12（UTC+8）
        快递公司已揽收（南京鼓楼）
        来源：顺丰"#]],
    );
    check(
        "tracking-picked-up",
        Language::English,
        expect![[r#"
        Picked up
        Picked up from locker 0412 Wensan Road, 2017-06-01 19:05 (UTC+8), 30 minutes ago.
        Carrier
        SF
        Merchant
        Hill Tea House
        What happened
        2017-06-01 19:05 (UTC+8)
        Picked up from locker 0412 Wensan Road
        Source: Fengchao
        2017-06-01 09:31 (UTC+8)
        Recipient told
        Source: Fengchao
        2017-06-01 09:30 (UTC+8)
        Put into locker 0412 Wensan Road
        Source: Fengchao
        2017-05-31 22:41 (UTC+8)
        Arrived in Hangzhou
        Source: SF
        2017-05-31 15:02 (UTC+8)
        Left Nanjing
        Source: SF
        2017-05-31 14:20 (UTC+8)
        Status code SORT_OK
        Source: SF
        2017-05-30 18:12 (UTC+8)
        Handed over to the carrier (Nanjing Gulou)
        Source: SF"#]],
    );
    check(
        "tracking-picked-up",
        Language::Chinese,
        expect![[r#"
        已取件
        已从快递柜 0412 文三路 取出，2017-06-01 19:05（UTC+8），30 分钟前。
        快递公司
        顺丰
        商家
        山野茶铺
        全部动态
        2017-06-01 19:05（UTC+8）
        已从快递柜 0412 文三路 取出
        来源：丰巢
        2017-06-01 09:31（UTC+8）
        已通知收件人
        来源：丰巢
        2017-06-01 09:30（UTC+8）
        已放入快递柜 0412 文三路
        来源：丰巢
        2017-05-31 22:41（UTC+8）
        到达杭州
        来源：顺丰
        2017-05-31 15:02（UTC+8）
        离开南京
        来源：顺丰
        2017-05-31 14:20（UTC+8）
        状态代码 SORT_OK
        来源：顺丰
        2017-05-30 18:12（UTC+8）
        快递公司已揽收（南京鼓楼）
        来源：顺丰"#]],
    );
    check(
        "tracking-empty",
        Language::English,
        expect![[r#"
        Nothing known yet
        Nothing is known of this parcel yet. It shows here once SF reports it.
        Carrier
        SF"#]],
    );
}

// tidy: long, one snapshot a state
#[test]
fn pickup_reads_well_in_both_languages() {
    check(
        "pickup",
        Language::English,
        expect![[r#"
            Ready to pick up
            Your parcel is in locker 0412 Wensan Road. Pick it up by 2017-06-03 18:00 (UTC+8).
            [button] Show code
            Show it when you are at the locker. It works once: don't pass it on.
            Locker
            0412 Wensan Road
            Address
            90 Wensan Road, Xihu, Hangzhou; left of the east gate
            Pick up by
            2017-06-03 18:00 (UTC+8)
            , in 2 days
            Carrier
            SF
            Merchant
            Hill Tea House
            Who got my number, and why
            Fengchao
            to tell you that your parcel is there
            encrypted, unreadable to them,
            2017-06-01 09:30 (UTC+8)
            SF courier
            so that the courier can call you
            a virtual number,
            2017-06-01 09:12 (UTC+8)"#]],
    );
    check(
        "pickup",
        Language::Chinese,
        expect![[r#"
            可以取件
            您的包裹在快递柜 0412 文三路，请于 2017-06-03 18:00（UTC+8）前取件。
            [button] 显示取件码
            到柜前再显示。取件码只能用一次，请勿转告他人。
            快递柜
            0412 文三路
            地址
            杭州市西湖区文三路 90 号，东门岗亭左侧
            取件截止
            2017-06-03 18:00（UTC+8）
            ，还有 2 天
            快递公司
            顺丰
            商家
            山野茶铺
            谁获得了我的号码，为什么
            丰巢
            发送取件通知
            加密号码，对方不可读，
            2017-06-01 09:30（UTC+8）
            顺丰快递员
            快递员与您联系
            虚拟号码，
            2017-06-01 09:12（UTC+8）"#]],
    );
    check(
        "pickup-shown",
        Language::English,
        expect![[r#"
            Ready to pick up
            Your parcel is in locker 0412 Wensan Road. Pick it up by 2017-06-03 18:00 (UTC+8).
            Your code
            8160 4275
            Compartment B07
            It works once: don't pass it on.
            Locker
            0412 Wensan Road
            Address
            90 Wensan Road, Xihu, Hangzhou; left of the east gate
            Pick up by
            2017-06-03 18:00 (UTC+8)
            , in 2 days
            Carrier
            SF
            Merchant
            Hill Tea House
            Who got my number, and why
            Fengchao
            to tell you that your parcel is there
            encrypted, unreadable to them,
            2017-06-01 09:30 (UTC+8)
            SF courier
            so that the courier can call you
            a virtual number,
            2017-06-01 09:12 (UTC+8)"#]],
    );
    check(
        "pickup-withheld",
        Language::English,
        expect![[r#"
            Ready to pick up
            Your parcel is in locker 0412 Wensan Road. Pick it up by 2017-06-03 18:00 (UTC+8).
            This page can't show your code: by agreement, Fengchao sends it by SMS to *******1234.
            Locker
            0412 Wensan Road
            Address
            90 Wensan Road, Xihu, Hangzhou; left of the east gate
            Pick up by
            2017-06-03 18:00 (UTC+8)
            , in 2 days
            Carrier
            SF
            Merchant
            Hill Tea House
            Who got my number, and why
            Fengchao
            to tell you that your parcel is there
            encrypted, unreadable to them,
            2017-06-01 09:30 (UTC+8)
            SF courier
            so that the courier can call you
            a virtual number,
            2017-06-01 09:12 (UTC+8)"#]],
    );
    check(
        "pickup-withheld",
        Language::Chinese,
        expect![[r#"
            可以取件
            您的包裹在快递柜 0412 文三路，请于 2017-06-03 18:00（UTC+8）前取件。
            本页不显示取件码：按协议由丰巢短信发送至 *******1234。
            快递柜
            0412 文三路
            地址
            杭州市西湖区文三路 90 号，东门岗亭左侧
            取件截止
            2017-06-03 18:00（UTC+8）
            ，还有 2 天
            快递公司
            顺丰
            商家
            山野茶铺
            谁获得了我的号码，为什么
            丰巢
            发送取件通知
            加密号码，对方不可读，
            2017-06-01 09:30（UTC+8）
            顺丰快递员
            快递员与您联系
            虚拟号码，
            2017-06-01 09:12（UTC+8）"#]],
    );
}

#[test]
fn the_first_lines_of_every_other_state() {
    let mut all = String::new();
    for l in [Language::English, Language::Chinese] {
        for (name, page) in samples(l) {
            let text = text(&page.into_string());
            let head: Vec<&str> = text.lines().take(3).collect();
            all += &format!("{name}: {}\n", head.join(" | "));
        }
    }
    expect![[r#"
        tracking: On its way | Arrived in Hangzhou, 2017-05-31 22:41 (UTC+8), 9 hours ago. | Carrier
        tracking-stale: May be out of date | Last known: arrived in Hangzhou, 2017-05-31 22:41 (UTC+8), 9 hours ago. | No SF updates since 2017-06-01 00:00 (UTC+8): no agreement is in force. The parcel may still be moving.
        tracking-picked-up: Picked up | Picked up from locker 0412 Wensan Road, 2017-06-01 19:05 (UTC+8), 30 minutes ago. | Carrier
        tracking-empty: Nothing known yet | Nothing is known of this parcel yet. It shows here once SF reports it. | Carrier
        tracking-cut: No updates | No SF updates since 2017-06-01 00:00 (UTC+8): no agreement is in force. The parcel may still be moving. | Carrier
        pickup: Ready to pick up | Your parcel is in locker 0412 Wensan Road. Pick it up by 2017-06-03 18:00 (UTC+8). | [button] Show code
        pickup-shown: Ready to pick up | Your parcel is in locker 0412 Wensan Road. Pick it up by 2017-06-03 18:00 (UTC+8). | Your code
        pickup-withheld: Ready to pick up | Your parcel is in locker 0412 Wensan Road. Pick it up by 2017-06-03 18:00 (UTC+8). | This page can't show your code: by agreement, Fengchao sends it by SMS to *******1234.
        pickup-wrong: Ready to pick up | Your parcel is in locker 0412 Wensan Road. Pick it up by 2017-06-03 18:00 (UTC+8). | Code not accepted. 3 tries left, then a 15-minute wait. Use the newest message.
        pickup-locked: Locked for now | Your parcel is in locker 0412 Wensan Road. Pick it up by 2017-06-03 18:00 (UTC+8). | Too many wrong codes: the locker takes none until 2017-06-01 12:15 (UTC+8). The parcel is still in it.
        pickup-limited: Ready to pick up | Your parcel is in locker 0412 Wensan Road. Pick it up by 2017-06-03 18:00 (UTC+8). | The code was shown too often. It can be shown again after 2017-06-01 12:15 (UTC+8).
        pickup-form-expired: Ready to pick up | Your parcel is in locker 0412 Wensan Road. Pick it up by 2017-06-03 18:00 (UTC+8). | The page was too old and nothing was done. Press the button again.
        pickup-expected: Not in a locker yet | Your SF parcel is not in a locker yet. You get a message when it is. | Carrier
        pickup-overdue: Pick-up time is over | Your parcel is still in locker 0412 Wensan Road. The time to pick it up ended 2017-06-01 10:00 (UTC+8): go soon, or the courier may take it back. | [button] Show code
        pickup-picked-up: Picked up | The parcel was taken out of locker 0412 Wensan Road at 2017-06-01 11:00 (UTC+8). If that was not you, call SF. | Locker
        pickup-recalled: Taken back | The courier took the parcel back at 2017-06-01 11:00 (UTC+8). Ask SF to deliver it. | Carrier
        pickup-redirected: Sent on | The parcel was sent on to 0413 Cuiyuan at 2017-06-01 11:00 (UTC+8). You get a message when it is there. | Carrier
        link-ended: This link has ended | This link has ended. A new one goes only to the number on record: use the newest message.
        not-found: No such page | There is nothing at this address. Check that the link is complete.
        error: Error | This page can't be shown at the moment. | Try again in a few minutes.
        tracking: 运送中 | 到达杭州，2017-05-31 22:41（UTC+8），9 小时前。 | 快递公司
        tracking-stale: 信息可能不是最新 | 最近已知：到达杭州，2017-05-31 22:41（UTC+8），9 小时前。 | 自 2017-06-01 00:00（UTC+8）起无有效协议，顺丰信息暂停更新。包裹可能仍在运送。
        tracking-picked-up: 已取件 | 已从快递柜 0412 文三路 取出，2017-06-01 19:05（UTC+8），30 分钟前。 | 快递公司
        tracking-empty: 尚无动态 | 尚未收到此包裹的信息。顺丰上报后将显示在这里。 | 快递公司
        tracking-cut: 暂无更新 | 自 2017-06-01 00:00（UTC+8）起无有效协议，顺丰信息暂停更新。包裹可能仍在运送。 | 快递公司
        pickup: 可以取件 | 您的包裹在快递柜 0412 文三路，请于 2017-06-03 18:00（UTC+8）前取件。 | [button] 显示取件码
        pickup-shown: 可以取件 | 您的包裹在快递柜 0412 文三路，请于 2017-06-03 18:00（UTC+8）前取件。 | 取件码
        pickup-withheld: 可以取件 | 您的包裹在快递柜 0412 文三路，请于 2017-06-03 18:00（UTC+8）前取件。 | 本页不显示取件码：按协议由丰巢短信发送至 *******1234。
        pickup-wrong: 可以取件 | 您的包裹在快递柜 0412 文三路，请于 2017-06-03 18:00（UTC+8）前取件。 | 取件码不正确，还可试 3 次，之后需等 15 分钟。请以最新短信为准。
        pickup-locked: 暂时无法开柜 | 您的包裹在快递柜 0412 文三路，请于 2017-06-03 18:00（UTC+8）前取件。 | 取件码多次不正确，2017-06-01 12:15（UTC+8）前无法开柜。包裹仍在柜中。
        pickup-limited: 可以取件 | 您的包裹在快递柜 0412 文三路，请于 2017-06-03 18:00（UTC+8）前取件。 | 取件码显示次数过多，2017-06-01 12:15（UTC+8）后可再次显示。
        pickup-form-expired: 可以取件 | 您的包裹在快递柜 0412 文三路，请于 2017-06-03 18:00（UTC+8）前取件。 | 页面已过期，没有任何操作被执行。请再次点击按钮。
        pickup-expected: 尚未入柜 | 您的顺丰包裹尚未放入快递柜，放入后您会收到短信。 | 快递公司
        pickup-overdue: 已过取件时间 | 您的包裹仍在快递柜 0412 文三路。取件时间已于 2017-06-01 10:00（UTC+8）结束，请尽快取件，否则快递员可能取回。 | [button] 显示取件码
        pickup-picked-up: 已取件 | 包裹已于 2017-06-01 11:00（UTC+8）从快递柜 0412 文三路取出。若不是您本人，请联系顺丰。 | 快递柜
        pickup-recalled: 已被取回 | 快递员已于 2017-06-01 11:00（UTC+8）取回包裹。请联系顺丰安排派送。 | 快递公司
        pickup-redirected: 已转往他处 | 包裹已于 2017-06-01 11:00（UTC+8）转往 0413 翠苑。到达后您会收到短信。 | 快递公司
        link-ended: 链接已失效 | 链接已失效。新链接只发送至登记号码，请以最新短信为准。
        not-found: 没有此页面 | 此地址没有内容。请检查链接是否完整。
        error: 出错 | 暂时无法显示此页面。 | 请几分钟后再试。
    "#]].assert_eq(&all);
}

// tidy: long, one snapshot a state
#[test]
fn the_whole_markup_of_a_page() {
    let html = sample("pickup", Language::English).replace("><", ">\n<");
    let html = html.replace(&stylesheet().path, "/assets/style-HASH.css");
    expect![[r#"
        <!DOCTYPE html>
        <html lang="en">
        <head>
        <meta charset="utf-8">
        <meta name="viewport" content="width=device-width, initial-scale=1">
        <meta name="color-scheme" content="light dark">
        <meta name="robots" content="noindex, nofollow">
        <title>Pick up your parcel</title>
        <link rel="stylesheet" href="/assets/style-HASH.css">
        </head>
        <body>
        <header class="top">
        <span class="publisher">Fengchao</span>
        <a lang="zh-CN" hreflang="zh-CN" href="/p/Zk3xq0b1f8yQw7?lang=zh-CN">中文</a>
        </header>
        <main>
        <h1 class="good">
        <svg class="shape" viewBox="0 0 16 16" width="16" height="16" aria-hidden="true" focusable="false">
        <circle cx="8" cy="8" r="6.5">
        </circle>
        </svg>Ready to pick up</h1>
        <p class="lead">Your parcel is in locker 0412 Wensan Road. Pick it up by <span class="instant">2017-06-03 18:00</span> (UTC+8).</p>
        <form class="code" method="post" action="/p/Zk3xq0b1f8yQw7/code?lang=en">
        <input type="hidden" name="csrf" value="c5r5f">
        <button type="submit">Show code</button>
        <p class="muted">Show it when you are at the locker. It works once: don't pass it on.</p>
        </form>
        <dl class="facts">
        <div>
        <dt>Locker</dt>
        <dd>0412 Wensan Road</dd>
        </div>
        <div>
        <dt>Address</dt>
        <dd>90 Wensan Road, Xihu, Hangzhou; left of the east gate</dd>
        </div>
        <div>
        <dt>Pick up by</dt>
        <dd>
        <time datetime="2017-06-03T18:00:00+08:00">
        <span class="instant">2017-06-03 18:00</span> (UTC+8)</time>, <span class="instant">in 2 days</span>
        </dd>
        </div>
        <div>
        <dt>Carrier</dt>
        <dd>SF</dd>
        </div>
        <div>
        <dt>Merchant</dt>
        <dd>Hill Tea House</dd>
        </div>
        </dl>
        <section aria-labelledby="accesses">
        <h2 id="accesses">Who got my number, and why</h2>
        <ul class="accesses">
        <li>
        <strong>Fengchao</strong>
        <span>to tell you that your parcel is there</span>
        <span class="muted">encrypted, unreadable to them, <time datetime="2017-06-01T09:30:00+08:00">2017-06-01 09:30 (UTC+8)</time>
        </span>
        </li>
        <li>
        <strong>SF courier</strong>
        <span>so that the courier can call you</span>
        <span class="muted">a virtual number, <time datetime="2017-06-01T09:12:00+08:00">2017-06-01 09:12 (UTC+8)</time>
        </span>
        </li>
        </ul>
        </section>
        </main>
        <footer>
        <p>As of 2017-06-01 12:00 (UTC+8).</p>
        </footer>
        </body>
        </html>"#]].assert_eq(&html);
}

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
                "pickup-wrong",
                "pickup-form-expired",
                "pickup-overdue",
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
