//! A courier with a scanner: parcel after parcel, and what has to be taken back.
//!
//! INVARIANT: between two parcels nothing is pressed but what the scanner presses and Enter.

use anyhow::{Context, ensure};
use interlock_core::time::{DAY_MS, MINUTE_MS};

use crate::hand::Hand;
use crate::june::{STATION, Weeks};

/// As many as there are small compartments, and one more.
const PARCELS: [&str; 4] = [
    "SF1000000000011",
    "SF1000000000012",
    "SF1000000000013",
    "SF1000000000014",
];
const OPEN: &str = "form[action='/courier/deposits']";
/// After so long every stay is overdue.
const OVERDUE_AFTER_MS: i64 = 7 * DAY_MS;

/// Parcels that lie there at the end of the day.
const LYING: usize = 3;

/// Three parcels one after the other; the fourth finds no small compartment and goes into a medium one, and
/// the first is taken back.
pub(crate) async fn in_a_row(weeks: &Weeks<'_>) -> anyhow::Result<()> {
    for number in PARCELS {
        weeks.announce(number).await?;
    }
    let browser = weeks.browser().await?;
    let hand = weeks.log_in(&browser, &weeks.courier).await?;
    // The first names the station; from then on it stands there.
    hand.write("input[name=station]", STATION).await?;
    hand.write("input[name=waybill]", "").await?;
    for (number, before) in PARCELS.iter().zip(0..3) {
        ready(&hand, before).await?;
        hand.scan(&format!("sf/{number}")).await?;
        ensure!(
            hand.path().await?.starts_with("/courier/deposits/") && hand.sees(".digits").await?,
            "the courier reads: {}",
            hand.reads().await?
        );
        // The door is closed: Enter alone, for the button has the focus.
        hand.go_on().await?;
        let says = hand.reads().await?;
        ensure!(
            hand.path().await? == "/courier" && hand.sees("[role=status]").await?,
            "the courier reads: {says}"
        );
        let next = weeks.network.now().plus_ms(MINUTE_MS);
        weeks.network.advance(next).await?;
        ensure!(
            says.contains(number),
            "`{number}` is not on the list: {says}"
        );
    }
    let [.., last] = PARCELS;
    ready(&hand, 3).await?;
    hand.scan(&format!("sf/{last}")).await?;
    let says = hand.reads().await?;
    ensure!(
        hand.sees("[role=alert]").await?
            && hand.attribute("#waybill", "value").await?.contains(last),
        "the station is full, and the courier reads: {says}"
    );
    hand.choose("size", "medium").await?;
    hand.press(&format!("{OPEN} button")).await?;
    hand.go_on().await?;
    ready(&hand, 4).await?;
    take_back(&hand).await?;
    ready(&hand, LYING).await?;
    browser.close().await
}

/// Takes back what is first on the list.
async fn take_back(hand: &Hand<'_>) -> anyhow::Result<()> {
    hand.press("main tbody tr:first-child a").await?;
    hand.press("form[action$='/recall'] button").await?;
    ensure!(
        hand.path().await? == "/courier" && hand.sees("[role=status]").await?,
        "the courier reads: {}",
        hand.reads().await?
    );
    Ok(())
}

/// The next parcel can be scanned, and the list has what lies in lockers.
async fn ready(hand: &Hand<'_>, lying: usize) -> anyhow::Result<()> {
    ensure!(
        hand.focused().await? == "waybill",
        "the scanner would type into `{}`",
        hand.focused().await?
    );
    let listed = hand.count("main tbody tr").await?;
    ensure!(
        listed == lying,
        "{listed} of {lying} parcels are listed: {}",
        hand.reads().await?
    );
    Ok(())
}

/// Days later they are overdue, first on the list and said to be; one after the other is taken back.
pub(crate) async fn takes_back(weeks: &Weeks<'_>) -> anyhow::Result<()> {
    weeks
        .network
        .advance(weeks.network.now().plus_ms(OVERDUE_AFTER_MS))
        .await?;
    let browser = weeks.browser().await?;
    let hand = weeks.log_in(&browser, &weeks.courier).await?;
    for left in (0..LYING).rev() {
        let overdue = hand.count("main tbody .state.soon").await?;
        ensure!(
            overdue == left + 1 && overdue == hand.count("main tbody tr").await?,
            "{overdue} of {} are said to be overdue: {}",
            left + 1,
            hand.reads().await?
        );
        take_back(&hand).await?;
    }
    ensure!(
        hand.sees(".empty").await? && hand.count("main tbody tr").await? == 0,
        "something is left: {}",
        hand.reads().await?
    );
    let station = weeks.network.api(interlock::demo::cast::Who::Fengchao);
    let station = station.get(&format!("/stations/{STATION}")).await?;
    let free = station.pointer("/sizes/small/free");
    let free = free.context("the station tells nothing of its small compartments")?;
    ensure!(*free == 3, "free again are {free} small compartments");
    browser.close().await
}
