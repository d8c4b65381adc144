//! What waits, and whose move it is.

use maud::{Markup, html};
use serde::Deserialize;

use super::charts::{self, Bar};
use super::frame::{Reader, Section, Sheet, sheet};
use super::parts::{empty, headline, siblings, state, table, when};
use super::stretch::{others, stretch};
use super::values::{Instant, Names, grouped};
use super::words;
use crate::identity::url::segment;
use crate::node::io::Role;
use crate::pages::Language;
use crate::pages::layout::Tone;

/// Most feeds on a page.
const SHOWN_MAX: usize = 80;

/// Of `GET /status`.
#[derive(Debug, Deserialize)]
pub struct FeedsView {
    /// Every feed that we give.
    pub feeds: Vec<FeedView>,
}

/// One feed that we give.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct FeedView {
    to: String,
    dataset: String,
    live: LaneView,
    backlog: LaneView,
    held: u64,
    dropped: u64,
    oldest_held: Option<Instant>,
}

#[derive(Debug, Deserialize)]
struct LaneView {
    ready: u64,
    released: u64,
}

impl FeedView {
    pub(super) fn is(&self, to: &str, dataset: &str) -> bool {
        self.to == to && self.dataset == dataset
    }

    /// Items that have not left.
    pub(super) const fn waiting(&self) -> u64 {
        self.live.ready + self.backlog.ready + self.held
    }

    pub(super) const fn held(&self) -> u64 {
        self.held
    }

    /// When the oldest item that no agreement covers arose.
    pub(super) const fn oldest_held(&self) -> Option<Instant> {
        self.oldest_held
    }

    pub(super) fn to(&self) -> &str {
        &self.to
    }

    pub(super) fn dataset(&self) -> &str {
        &self.dataset
    }
}

/// Pages about data.
pub(super) fn family(reader: &Reader<'_>) -> Markup {
    let mut links = vec![
        ("/console/releases", reader.pick("台账", "Ledger")),
        ("/console/alerts", reader.pick("提醒", "Alerts")),
        (
            "/console/feeds",
            reader.pick("数据流与积压", "Feeds and backlog"),
        ),
    ];
    if reader.is_any(&[Role::Auditor]) {
        links.extend([
            ("/console/looks", reader.pick("查看记录", "Looks")),
            (
                "/console/reveals",
                reader.pick("查看完整号码", "Phones in clear"),
            ),
            ("/console/statistics", reader.pick("统计", "Statistics")),
        ]);
    }
    siblings(reader, &links)
}

/// The page.
// tidy: long, one page from top to bottom
pub fn feeds_page(reader: &Reader<'_>, view: &FeedsView, names: &Names) -> Markup {
    let title = reader.pick("数据流与积压", "Feeds and backlog");
    let mut feeds: Vec<&FeedView> = view.feeds.iter().collect();
    feeds.sort_by_key(|feed| {
        (
            feed.oldest_held.map_or(i64::MAX, |at| at.0.as_millis()),
            std::cmp::Reverse(feed.waiting()),
        )
    });
    let held: u64 = feeds.iter().map(|feed| feed.held).sum();
    let (tone, lead) = match (held, reader.language) {
        (0, _) => (
            Tone::Good,
            reader
                .pick(
                    "没有因缺少协议而滞留的数据。",
                    "Nothing is held for want of an agreement.",
                )
                .to_owned(),
        ),
        (n, Language::Chinese) => (
            Tone::Soon,
            format!(
                "{} 条数据没有协议可依，留在我方，签署新协议后送出。",
                grouped(n)
            ),
        ),
        (1, Language::English) => (
            Tone::Soon,
            "1 item is held here: no agreement covers it. It leaves once one does.".into(),
        ),
        (n, Language::English) => (
            Tone::Soon,
            format!(
                "{} items are held here: no agreement covers them. They leave once one does.",
                grouped(n)
            ),
        ),
    };
    let bars: Vec<Bar> = feeds
        .iter()
        .filter(|feed| feed.waiting() > 0)
        .take(12)
        .map(|feed| Bar {
            label: format!(
                "{} · {}",
                names.of(&feed.to),
                words::dataset(reader, &feed.dataset)
            ),
            value: feed.waiting(),
            hatched: feed.held,
            tone: Tone::Waiting,
            path: format!("/console/partners/{}", segment(&feed.to)),
        })
        .collect();
    let rows = html! {
        @for feed in stretch(reader, &feeds, SHOWN_MAX) {
            tr {
                th scope="row" { a href={ "/console/partners/" (segment(&feed.to)) } { (names.of(&feed.to)) } }
                td { (reader.pick("我方提供：", "we give: ")) (words::dataset(reader, &feed.dataset)) }
                td { (whose_move(reader, feed)) }
                td.number { (grouped(feed.live.ready)) }
                td.number { (grouped(feed.backlog.ready)) }
                td.number { (grouped(feed.held)) }
                td { @if let Some(at) = feed.oldest_held { (when(reader, at)) } }
                td.number { (grouped(feed.live.released + feed.backlog.released)) }
                td.number { (grouped(feed.dropped)) }
            }
        }
    };
    let main = html! {
        (family(reader))
        (headline(tone, title, &html! { (lead) }))
        @if feeds.is_empty() {
            (empty(reader.pick(
                "还没有数据流。协议生效后，伙伴来取时出现。",
                "No feeds yet. They appear once an agreement is in force and its partner asks.",
            )))
        } @else {
            (charts::bars(
                "backlog",
                reader.pick("等待的数据，斜线为滞留", "Items waiting, hatched where held"),
                reader.pick("条", "items"),
                &bars,
            ))
            (table("feeds", title, &[
                reader.pick("伙伴", "Partner"),
                reader.pick("数据", "Data"),
                reader.pick("等谁", "Whose move"),
                reader.pick("实时", "Live"),
                reader.pick("积压", "Backlog"),
                reader.pick("滞留", "Held"),
                reader.pick("最早滞留", "Oldest held"),
                reader.pick("已送出", "Released"),
                reader.pick("已丢弃", "Dropped"),
            ], &rows))
            (others(reader, feeds.len(), SHOWN_MAX))
        }
    };
    sheet(
        reader,
        &Sheet {
            title,
            section: Section::Data,
            wide: true,
        },
        &main,
    )
}

fn whose_move(reader: &Reader<'_>, feed: &FeedView) -> Markup {
    if feed.held > 0 {
        return state(
            Tone::Soon,
            reader.pick("等待新协议（双方）", "a new agreement (both)"),
        );
    }
    if feed.live.ready + feed.backlog.ready > 0 {
        return state(
            Tone::Waiting,
            reader.pick("等待对方来取", "theirs: to fetch it"),
        );
    }
    state(Tone::Good, reader.pick("无等待", "nothing waits"))
}
