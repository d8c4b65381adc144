//! Somebody new: let in at a page, logged in for the first time, with a password of their own from then on.
//!
//! INVARIANT: what the newcomer knows was read off the administrator's page and nowhere else.

use anyhow::{Context, ensure};
use interlock::demo::cast::Who;
use serde_json::json;

use crate::hand::Hand;
use crate::june::Weeks;
use crate::world::{Account, account, desk, let_in};

const NAME: &str = "newcomer";
const OWN_PASSWORD: &str = "four words in a row";
const FORM: &str = "form[action='/console/access/people']";

/// An administrator lets in a merchant of the shop `m1`, who chooses a password and reads the list.
pub(crate) async fn comes(weeks: &Weeks<'_>) -> anyhow::Result<()> {
    let roles = json!({ "roles": ["admin"] });
    let admin = let_in(weeks.network, Who::Cainiao, "administrator", roles).await?;
    let handed = is_let_in(weeks, &admin).await?;
    chooses(weeks, &handed).await?;
    let own = Account {
        password: OWN_PASSWORD.into(),
        ..handed
    };
    let browser = weeks.browser().await?;
    let hand = weeks.log_in(&browser, &own).await?;
    ensure!(
        hand.path().await? == "/merchant" && hand.sees("select[name=state]").await?,
        "the newcomer reads: {}",
        hand.reads().await?
    );
    browser.close().await
}

async fn is_let_in(weeks: &Weeks<'_>, admin: &Account) -> anyhow::Result<Account> {
    let browser = weeks.browser().await?;
    let hand = weeks.log_in(&browser, admin).await?;
    let access = format!("{}/console/access", desk(weeks.network, admin.at)?);
    hand.open(&access).await?;
    hand.unfold(&format!("details:has({FORM}) > summary"))
        .await?;
    let field = |name: &str| format!("{FORM} input[name='{name}']");
    hand.write(&field("name-of-person"), NAME).await?;
    hand.tick(&field("role.merchant")).await?;
    hand.write(&field("merchant"), "m1").await?;
    let code = admin.code(weeks.network.now());
    hand.write(&field("code"), &code).await?;
    hand.press(&format!("{FORM} button")).await?;
    let told = hand.texts("main > dl.facts code").await?;
    let [password, secret, ..] = told.as_slice() else {
        anyhow::bail!("the administrator reads: {}", hand.reads().await?);
    };
    let handed = account(NAME, Who::Cainiao, password, secret)?;
    hand.open(&access).await?;
    let again = hand.reads().await?;
    ensure!(
        again.contains(NAME) && !again.contains(password) && !again.contains(secret),
        "what is shown once is shown again"
    );
    browser.close().await?;
    Ok(handed)
}

/// Logs in with what was handed over, and changes the password.
async fn chooses(weeks: &Weeks<'_>, handed: &Account) -> anyhow::Result<()> {
    let browser = weeks.browser().await?;
    let hand = weeks.log_in(&browser, handed).await?;
    hand.press("a[href='/account']").await?;
    hand.write("input[name='old-password']", &handed.password)
        .await?;
    hand.write("input[name='new-password']", OWN_PASSWORD)
        .await?;
    hand.press("form[action='/account/password'] button")
        .await?;
    ensure!(
        hand.sees("[role=status]").await?,
        "the newcomer reads: {}",
        hand.reads().await?
    );
    hand.press("form[action='/logout'] button").await?;
    refuses(&hand, weeks, handed)
        .await
        .context("the old password")?;
    browser.close().await
}

/// Whoever knew the password that was handed over is not let in any more.
async fn refuses(hand: &Hand<'_>, weeks: &Weeks<'_>, handed: &Account) -> anyhow::Result<()> {
    hand.open(&format!("{}/login", desk(weeks.network, handed.at)?))
        .await?;
    hand.write("input[name=name]", &handed.name).await?;
    hand.write("input[name=password]", &handed.password).await?;
    hand.press("form[action='/login'] button").await?;
    ensure!(
        hand.path().await? == "/login" && hand.sees("[role=alert]").await?,
        "it is taken"
    );
    Ok(())
}
