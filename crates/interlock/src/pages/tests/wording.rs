//! What the pages say, state by state and in both languages.

use expect_test::expect;

use super::samples::*;
use super::*;

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
            Under agreement 3f1c9a60d2
            May be kept until 2017-06-08 09:30 (UTC+8); not deleted yet
            SF courier
            so that the courier can call you
            a virtual number,
            2017-06-01 09:12 (UTC+8)
            Under agreement 77ab02e4c8
            Asked to delete it, and they know"#]],
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
            依据协议 3f1c9a60d2
            最迟保留至 2017-06-08 09:30（UTC+8），尚未删除
            顺丰快递员
            快递员与您联系
            虚拟号码，
            2017-06-01 09:12（UTC+8）
            依据协议 77ab02e4c8
            已要求对方删除，对方已收到"#]],
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
            Under agreement 3f1c9a60d2
            May be kept until 2017-06-08 09:30 (UTC+8); not deleted yet
            SF courier
            so that the courier can call you
            a virtual number,
            2017-06-01 09:12 (UTC+8)
            Under agreement 77ab02e4c8
            Asked to delete it, and they know"#]],
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
            Under agreement 3f1c9a60d2
            May be kept until 2017-06-08 09:30 (UTC+8); not deleted yet
            SF courier
            so that the courier can call you
            a virtual number,
            2017-06-01 09:12 (UTC+8)
            Under agreement 77ab02e4c8
            Asked to delete it, and they know"#]],
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
            依据协议 3f1c9a60d2
            最迟保留至 2017-06-08 09:30（UTC+8），尚未删除
            顺丰快递员
            快递员与您联系
            虚拟号码，
            2017-06-01 09:12（UTC+8）
            依据协议 77ab02e4c8
            已要求对方删除，对方已收到"#]],
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
        pickup-call: Ready to pick up | Your parcel is in locker 0412 Wensan Road. Pick it up by 2017-06-03 18:00 (UTC+8). | [button] Show code
        pickup-report: The locker operator's people are told. | Ready to pick up | Your parcel is in locker 0412 Wensan Road. Pick it up by 2017-06-03 18:00 (UTC+8).
        pickup-withheld: Ready to pick up | Your parcel is in locker 0412 Wensan Road. Pick it up by 2017-06-03 18:00 (UTC+8). | This page can't show your code: by agreement, Fengchao sends it by SMS to *******1234.
        pickup-enrol: Ready to pick up | Your parcel is in locker 0412 Wensan Road. Pick it up by 2017-06-03 18:00 (UTC+8). | [button] Show code
        pickup-sealed: Enrolled. From now on your code is given encrypted only. | Ready to pick up | Your parcel is in locker 0412 Wensan Road. Pick it up by 2017-06-03 18:00 (UTC+8).
        pickup-no-key: Ready to pick up | Your parcel is in locker 0412 Wensan Road. Pick it up by 2017-06-03 18:00 (UTC+8). | That is no key, and nothing was done. Paste the 64 hexadecimal digits that the app shows.
        pickup-fates: Picked up | The parcel was taken out of locker 0412 Wensan Road at 2017-06-01 11:00 (UTC+8). If that was not you, call SF. | Locker
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
        pickup-call: 可以取件 | 您的包裹在快递柜 0412 文三路，请于 2017-06-03 18:00（UTC+8）前取件。 | [button] 显示取件码
        pickup-report: 已转告运营商的工作人员。 | 可以取件 | 您的包裹在快递柜 0412 文三路，请于 2017-06-03 18:00（UTC+8）前取件。
        pickup-withheld: 可以取件 | 您的包裹在快递柜 0412 文三路，请于 2017-06-03 18:00（UTC+8）前取件。 | 本页不显示取件码：按协议由丰巢短信发送至 *******1234。
        pickup-enrol: 可以取件 | 您的包裹在快递柜 0412 文三路，请于 2017-06-03 18:00（UTC+8）前取件。 | [button] 显示取件码
        pickup-sealed: 已登记。取件码从现在起只以加密形式给出。 | 可以取件 | 您的包裹在快递柜 0412 文三路，请于 2017-06-03 18:00（UTC+8）前取件。
        pickup-no-key: 可以取件 | 您的包裹在快递柜 0412 文三路，请于 2017-06-03 18:00（UTC+8）前取件。 | 这不是公钥，没有任何操作被执行。请粘贴应用显示的 64 位十六进制数字。
        pickup-fates: 已取件 | 包裹已于 2017-06-01 11:00（UTC+8）从快递柜 0412 文三路取出。若不是您本人，请联系顺丰。 | 快递柜
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
    let html = html
        .replace(&stylesheet().path, "/assets/style-HASH.css")
        .replace(&icon().path, "/assets/icon-HASH.svg");
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
        <link rel="icon" type="image/svg+xml" href="/assets/icon-HASH.svg">
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
        <span class="muted">Under agreement <code>3f1c9a60d2</code>
        </span>
        <span class="muted">May be kept until 2017-06-08 09:30 (UTC+8); not deleted yet</span>
        </li>
        <li>
        <strong>SF courier</strong>
        <span>so that the courier can call you</span>
        <span class="muted">a virtual number, <time datetime="2017-06-01T09:12:00+08:00">2017-06-01 09:12 (UTC+8)</time>
        </span>
        <span class="muted">Under agreement <code>77ab02e4c8</code>
        </span>
        <span class="muted">Asked to delete it, and they know</span>
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
