//! What recipients do at their own page beside reading the code.
//!
//! INVARIANT: a recipient holds a link and nothing else; whoever is sent holds another.

use anyhow::ensure;

use crate::hand::Hand;
use crate::june::Weeks;

/// Until when a page says that the parcel may be picked up.
const DEADLINE: &str = ".facts time";

/// Asks for more time: once, and the page says until when.
pub(crate) async fn more_time(weeks: &Weeks<'_>, link: &str) -> anyhow::Result<()> {
    let browser = weeks.browser().await?;
    let hand = Hand::at(&browser);
    hand.open(link).await?;
    let before = hand.attribute(DEADLINE, "datetime").await?;
    hand.press("form[action*='/later'] button").await?;
    let after = hand.attribute(DEADLINE, "datetime").await?;
    ensure!(
        hand.sees("[role=status]").await? && after > before,
        "{before} became {after}: {}",
        hand.reads().await?
    );
    ensure!(
        !hand.sees("form[action*='/later']").await?,
        "more time is given twice"
    );
    browser.close().await
}

/// Says that the door does not open: once, and the operator's people read which one.
pub(crate) async fn reports(weeks: &Weeks<'_>, link: &str) -> anyhow::Result<()> {
    let browser = weeks.browser().await?;
    let hand = Hand::at(&browser);
    hand.open(link).await?;
    hand.press("form[action*='/stuck'] button").await?;
    ensure!(
        hand.sees("[role=status]").await?
            && !hand.sees("form[action*='/stuck']").await?
            && hand.sees("form[action*='/empty']").await?,
        "the door is stuck, and the page says: {}",
        hand.reads().await?
    );
    browser.close().await?;
    let alerts = weeks.operator_reads("/console/alerts").await?;
    ensure!(
        alerts.contains("its door does not open"),
        "the operator reads: {alerts}"
    );
    Ok(())
}

/// Sends somebody else, who reads the code and can do nothing more; then nobody else any more.
pub(crate) async fn delegates(weeks: &Weeks<'_>, link: &str, code: &str) -> anyhow::Result<()> {
    let browser = weeks.browser().await?;
    let hand = Hand::at(&browser);
    hand.open(link).await?;
    hand.press("form[action*='/delegate'] button").await?;
    let passed_on = hand.text("section[aria-labelledby=delegate] code").await?;

    let others = weeks.browser().await?;
    let other = Hand::at(&others);
    other.open(&passed_on).await?;
    ensure!(
        !other.sees(".code .digits").await?,
        "the code is shown before it is asked for"
    );
    other.press("form[action*='/code'] button").await?;
    let read = other.text(".code .digits").await?;
    ensure!(read == code, "the other reads another code");
    ensure!(
        other.count("form").await? == 0,
        "the other can do more: {}",
        other.reads().await?
    );

    hand.press("form[action*='/withdraw'] button").await?;
    other.open(&passed_on).await?;
    ensure!(
        !other.sees("form, .facts").await?,
        "the withdrawn link shows: {}",
        other.reads().await?
    );
    others.close().await?;
    browser.close().await
}
