//! What a merchant does with the list: narrow it, and take it along as a file.
//!
//! INVARIANT: the file says of each parcel what the page says.

use anyhow::{Context, ensure};

use crate::hand::Hand;
use crate::june::{BEFORE, PHONE, Weeks};

/// The parcel that was picked up is there by its state, not by another, and in the file.
pub(crate) async fn filters(weeks: &Weeks<'_>) -> anyhow::Result<()> {
    let browser = weeks.browser().await?;
    let hand = weeks.log_in(&browser, &weeks.merchant).await?;
    ensure!(shows(&hand, "overdue").await? == 0, "it is not overdue");
    ensure!(shows(&hand, "picked-up").await? == 1, "it is picked up");
    ensure!(
        hand.reads().await?.contains(BEFORE),
        "the merchant reads: {}",
        hand.reads().await?
    );
    let place = weeks.files.join("shop");
    std::fs::create_dir_all(&place)
        .with_context(|| format!("failed to make `{}`", place.display()))?;
    let file = hand.download("a[download]", &place).await?;
    let mut lines = file.trim_start_matches('\u{feff}').lines();
    let heads = lines.next().unwrap_or_default();
    ensure!(
        heads.starts_with("carrier,number,state,"),
        "the file begins: {heads}"
    );
    let expected = format!("sf,{BEFORE},picked-up,");
    let rows: Vec<&str> = lines.collect();
    ensure!(
        matches!(rows.as_slice(), [row] if row.starts_with(&expected)),
        "the file says: {rows:?}"
    );
    ensure!(!file.contains(PHONE), "the file has a phone number");
    browser.close().await
}

/// Narrows the list to a state; how many parcels it has.
async fn shows(hand: &Hand<'_>, state: &str) -> anyhow::Result<usize> {
    hand.select("select[name=state]", state).await?;
    hand.press("form[action='/merchant'] button").await?;
    let chosen = hand
        .attribute("select[name=state] option[selected]", "value")
        .await?;
    ensure!(chosen == state, "the list is of `{chosen}`");
    hand.count("main tbody tr").await
}
