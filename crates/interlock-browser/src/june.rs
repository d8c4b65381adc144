//! June 2017 by hand: what people do and decide, through pages alone.
//!
//! INVARIANT: people reach nodes by pages only, with keys alone and no scripts. What machines do (order
//! systems, cabinets, the clock) is done by the local API, as machines do it. Nothing is asked of a page by
//! its words: the flow is the same in every language.

use std::path::{Path, PathBuf};

use anyhow::{Context, anyhow, bail, ensure};
use interlock::demo::cast::Who;
use interlock::demo::deal;
use interlock::demo::network::Network;
use interlock::demo::style::Style;
use interlock_core::time::{DAY_MS, HOUR_MS, MINUTE_MS, Timestamp};
use serde_json::{Value, json};

use crate::browser::{Browser, Look};
use crate::driver::Driver;
use crate::hand::Hand;
use crate::world::{Account, desk, let_in};
use crate::{newcomer, recipient, round, shop};

/// 2017-05-30T09:00:00+08:00.
const BEGINS: Timestamp = deal::MIDNIGHT.plus_ms(-2 * DAY_MS + 9 * HOUR_MS);
pub(crate) const STATION: &str = "FC0412";
pub(crate) const BEFORE: &str = "SF1000000000001";
const AFTER: &str = "SF1000000000002";
pub(crate) const PHONE: &str = "13800000412";

/// Lives through it once, in a look.
pub(crate) async fn live(driver: &Driver, look: Look, root: &Path) -> anyhow::Result<()> {
    let network = Network::start(root, BEGINS, Style::Interlock).await?;
    let files = root.join("downloads");
    std::fs::create_dir(&files).with_context(|| format!("failed to make `{}`", files.display()))?;
    let begun = Weeks::begin(driver, look, &network, files).await?;
    let lived = begun.live().await;
    network.stop().await;
    lived
}

pub(crate) struct Weeks<'a> {
    driver: &'a Driver,
    look: Look,
    pub(crate) network: &'a Network,
    /// Where the browsers leave what they download.
    pub(crate) files: PathBuf,
    pub(crate) courier: Account,
    pub(crate) merchant: Account,
    cainiao: Account,
    fengchao: Account,
    bureau: Account,
}

impl<'a> Weeks<'a> {
    /// Agreements, a station, people.
    async fn begin(
        driver: &'a Driver,
        look: Look,
        network: &'a Network,
        files: PathBuf,
    ) -> anyhow::Result<Self> {
        deal::conclude(network, BEGINS.plus_ms(-9 * HOUR_MS)).await?;
        let station = json!({ "stations": [{
            "id": STATION, "name": "Hangzhou 0412",
            "position": { "longitude": 120.16, "latitude": 30.28 },
            "capacity": { "small": 3, "medium": 2, "large": 1 },
        }]});
        let fengchao = network.api(Who::Fengchao);
        fengchao
            .write(http::Method::PUT, "/stations", Some(&station))
            .await?;
        let approver = json!({ "roles": ["approver", "auditor", "operations"] });
        let courier = json!({ "roles": ["courier"], "courier": "c1" });
        let merchant = json!({ "roles": ["merchant"], "merchant": "m1" });
        Ok(Self {
            driver,
            look,
            network,
            files,
            courier: let_in(network, Who::Fengchao, "courier", courier).await?,
            merchant: let_in(network, Who::Cainiao, "merchant", merchant).await?,
            cainiao: let_in(network, Who::Cainiao, "approver", approver.clone()).await?,
            fengchao: let_in(network, Who::Fengchao, "approver", approver.clone()).await?,
            bureau: let_in(network, Who::Bureau, "approver", approver).await?,
        })
    }

    async fn live(&self) -> anyhow::Result<()> {
        self.before().await.context("before the cut")?;
        self.network
            .advance(deal::MIDNIGHT.plus_ms(HOUR_MS))
            .await?;
        self.cut().await.context("in the cut")?;
        self.network.advance(deal::TRUCE).await?;
        self.truce().await.context("at the truce")?;
        round::takes_back(self).await.context("what is overdue")
    }

    /// Somebody is let in; a deposit, more time, its code, somebody else who reads it, the pick-up, the
    /// merchant's pages, several parcels in a row, the rehearsal.
    async fn before(&self) -> anyhow::Result<()> {
        newcomer::comes(self).await.context("somebody new")?;
        self.announce(BEFORE).await?;
        let deposit = self.deposit(BEFORE).await?;
        let deposit = deposit.map_err(|why| anyhow!("no door opened: {why}"))?;
        let link = self.link()?;
        recipient::more_time(self, &link)
            .await
            .context("more time")?;
        recipient::reports(self, &link)
            .await
            .context("a door that is stuck")?;
        let code = self.read_code().await?;
        recipient::delegates(self, &link, &code)
            .await
            .context("somebody else fetches it")?;
        self.pick_up(&deposit, &code).await?;
        let page = self.shop().await?;
        ensure!(page.contains(BEFORE), "the merchant sees: {page}");
        shop::filters(self).await.context("the merchant's list")?;
        round::in_a_row(self).await.context("several in a row")?;
        let browser = self.browser().await?;
        let hand = self.log_in(&browser, &self.cainiao).await?;
        hand.open(&format!(
            "{}/console/rehearsals",
            desk(self.network, Who::Cainiao)?
        ))
        .await?;
        hand.write("input[name=at]", "2017-06-01T00:00:00+08:00")
            .await?;
        hand.press("form[action='/console/rehearsals'] button")
            .await?;
        ensure!(
            hand.sees("main table").await? && !hand.sees("[role=alert]").await?,
            "the rehearsal says: {}",
            hand.reads().await?
        );
        browser.close().await
    }

    /// A parcel that came after midnight goes to the door, its denial is on the ledger, and the merchant
    /// reads why there is no news.
    async fn cut(&self) -> anyhow::Result<()> {
        self.announce(AFTER).await?;
        let deposit = self.deposit(AFTER).await?;
        ensure!(deposit.is_err(), "a door opened in the cut: {deposit:?}");
        let page = self.shop().await?;
        ensure!(page.contains(AFTER), "the merchant sees: {page}");
        let browser = self.browser().await?;
        let hand = self.log_in(&browser, &self.fengchao).await?;
        hand.open(&format!(
            "{}/console/parcels",
            desk(self.network, Who::Fengchao)?
        ))
        .await?;
        hand.write("input[name=waybill]", &format!("sf/{AFTER}"))
            .await?;
        hand.press("form[action='/console/parcels'] button").await?;
        ensure!(
            !hand.path().await?.contains(AFTER) && hand.reads().await?.contains(AFTER),
            "the operator reads: {}",
            hand.reads().await?
        );
        browser.close().await
    }

    /// The bureau proposes, both sides accept, and the door opens again.
    async fn truce(&self) -> anyhow::Result<()> {
        let proposals = deal::proposals(self.network.style, deal::TRUCE)?;
        let body = proposals.get(&Who::Fengchao);
        let body = body.context("the bureau proposes nothing to Fengchao")?;
        let browser = self.browser().await?;
        let hand = self.log_in(&browser, &self.bureau).await?;
        hand.open(&format!(
            "{}/console/mediations",
            desk(self.network, Who::Bureau)?
        ))
        .await?;
        hand.unfold("main details summary").await?;
        // One line: a browser's keyboard would indent what is pasted with line ends.
        hand.write("textarea[name=mediation]", &body.to_string())
            .await?;
        self.sign(&hand, &self.bureau, "form[action='/console/mediations']")
            .await?;
        let path = hand.path().await?;
        ensure!(
            path.starts_with("/console/mediations/"),
            "the bureau reads: {}",
            hand.reads().await?
        );
        browser.close().await?;
        self.network.rest().await?;
        for account in [&self.cainiao, &self.fengchao] {
            self.accept(account, &path).await?;
        }
        for account in [&self.cainiao, &self.fengchao] {
            self.come_into_force(account, &path).await?;
        }
        let deposit = self.deposit(AFTER).await?;
        let deposit = deposit.map_err(|why| anyhow!("no door opened: {why}"))?;
        let code = self.read_code().await?;
        self.pick_up(&deposit, &code).await?;
        self.verify().await
    }

    async fn accept(&self, account: &Account, path: &str) -> anyhow::Result<()> {
        let browser = self.browser().await?;
        let hand = self.log_in(&browser, account).await?;
        // The overview leads there: it is what needs them.
        hand.press(&format!("main a[href='{path}']")).await?;
        self.sign(&hand, account, &format!("form[action='{path}/accept']"))
            .await?;
        ensure!(
            !hand.sees("[role=alert]").await?,
            "`{}` reads: {}",
            account.name,
            hand.reads().await?
        );
        browser.close().await?;
        self.network.rest().await?;
        Ok(())
    }

    /// Types the code that the person's app shows, and presses the button.
    async fn sign(&self, hand: &Hand<'_>, who: &Account, form: &str) -> anyhow::Result<()> {
        let code = who.code(self.network.now());
        hand.write(&format!("{form} input[name=code]"), &code)
            .await?;
        hand.press(&format!("{form} button")).await
    }

    /// Seconds pass until the mediation's page says that both have signed, and the transfers begin.
    async fn come_into_force(&self, account: &Account, path: &str) -> anyhow::Result<()> {
        let browser = self.browser().await?;
        let hand = self.log_in(&browser, account).await?;
        let url = format!("{}{path}", desk(self.network, account.at)?);
        for _ in 0..60 {
            hand.open(&url).await?;
            let signed = hand.sees("h1.good").await?;
            let next = self.network.now().plus_ms(2_000);
            self.network.advance(next).await?;
            if signed {
                return browser.close().await;
            }
        }
        bail!("not in force after two minutes: {}", hand.reads().await?)
    }

    /// What the locker operator's people read on a page.
    pub(crate) async fn operator_reads(&self, path: &str) -> anyhow::Result<String> {
        let browser = self.browser().await?;
        let hand = self.log_in(&browser, &self.fengchao).await?;
        hand.open(&format!("{}{path}", desk(self.network, Who::Fengchao)?))
            .await?;
        let read = hand.reads().await?;
        browser.close().await?;
        Ok(read)
    }

    /// A release on the ledger, and the button that verifies it.
    async fn verify(&self) -> anyhow::Result<()> {
        let browser = self.browser().await?;
        let hand = self.log_in(&browser, &self.cainiao).await?;
        hand.open(&format!(
            "{}/console/releases",
            desk(self.network, Who::Cainiao)?
        ))
        .await?;
        hand.press("main tbody tr a").await?;
        hand.press("form[action$='/verify'] button").await?;
        // What was released last waits for its receipt, so not everything is proven yet; nothing differs.
        ensure!(
            hand.sees("h1.good, h1.soon").await? && !hand.sees(".findings").await?,
            "the auditor reads: {}",
            hand.reads().await?
        );
        browser.close().await
    }

    /// The order systems of owner and carrier.
    pub(crate) async fn announce(&self, number: &str) -> anyhow::Result<()> {
        let waybill = json!({ "carrier": "sf", "number": number });
        let owner = json!({ "parcels": [{
            "waybill": waybill, "marketplace": "taobao", "merchant": "m1", "size": "small",
            "recipient": { "name": "Li Lei", "phone": PHONE, "address": "West Lake 1" },
            "consent": "given",
        }]});
        let carrier = json!({ "parcels": [{
            "waybill": waybill, "marketplace": "taobao", "size": "small",
            "owner": Who::Cainiao.id()?.as_str(), "lockers": [Who::Fengchao.id()?.as_str()],
        }]});
        for (who, body) in [(Who::Cainiao, owner), (Who::Sf, carrier)] {
            let api = self.network.api(who);
            api.write(http::Method::PUT, "/parcels", Some(&body))
                .await?;
        }
        self.network
            .advance(self.network.now().plus_ms(MINUTE_MS))
            .await?;
        Ok(())
    }

    /// The courier scans; the deposit, or why the parcel is to be delivered to the door.
    async fn deposit(&self, number: &str) -> anyhow::Result<Result<String, String>> {
        let browser = self.browser().await?;
        let hand = self.log_in(&browser, &self.courier).await?;
        hand.write("input[name=waybill]", &format!("sf/{number}"))
            .await?;
        hand.write("input[name=station]", STATION).await?;
        hand.choose("size", "small").await?;
        hand.press("form[action='/courier/deposits'] button")
            .await?;
        let path = hand.path().await?;
        let says = hand.reads().await?;
        let id = path.strip_prefix("/courier/deposits/").map(str::to_owned);
        let confirm = format!("form[action='{path}/confirm']");
        let Some(id) = id.filter(|_| says.contains(STATION)) else {
            ensure!(
                hand.sees("[role=alert]").await?,
                "the courier reads no reason: {says}"
            );
            browser.close().await?;
            return Ok(Err(says));
        };
        if !hand.sees(&confirm).await? {
            browser.close().await?;
            return Ok(Err(says));
        }
        hand.press(&format!("{confirm} button")).await?;
        let page = hand.reads().await?;
        ensure!(page.contains(number), "the courier's round is: {page}");
        browser.close().await?;
        self.network.rest().await?;
        Ok(Ok(id))
    }

    /// What the newest message to a recipient says.
    fn message(&self) -> anyhow::Result<String> {
        let sms = self.network.gateway.since(0).pop();
        Ok(sms.context("the recipient got no message")?.en)
    }

    /// The link of that message.
    fn link(&self) -> anyhow::Result<String> {
        let message = self.message()?;
        let mut words = message.split_whitespace();
        let link = words.find(|word| word.starts_with("http"));
        Ok(link.context("the message has no link")?.to_owned())
    }

    /// The recipient opens the link of the newest message and has the code shown.
    async fn read_code(&self) -> anyhow::Result<String> {
        let browser = self.browser().await?;
        let hand = Hand::at(&browser);
        hand.open(&self.link()?).await?;
        ensure!(
            !hand.sees(".code .digits").await?,
            "the code is shown before it is asked for"
        );
        hand.press("form[action*='/code'] button").await?;
        let code = hand.text(".code .digits").await?;
        let message = self.message()?;
        let told = message.split(" Code ").nth(1).unwrap_or_default();
        ensure!(
            told.starts_with(&code),
            "the page and the message show different codes"
        );
        browser.close().await?;
        Ok(code)
    }

    /// The cabinet, where the recipient types the code.
    async fn pick_up(&self, deposit: &str, code: &str) -> anyhow::Result<()> {
        let api = self.network.api(Who::Fengchao);
        let typed = json!({ "code": code });
        api.post(&format!("/deposits/{deposit}/open"), &typed)
            .await?;
        let taken: Value = api
            .post(&format!("/deposits/{deposit}/pickup"), &json!({}))
            .await?;
        ensure!(taken.is_object(), "the cabinet is told {taken}");
        self.network
            .advance(self.network.now().plus_ms(MINUTE_MS))
            .await?;
        Ok(())
    }

    /// What the merchant reads.
    async fn shop(&self) -> anyhow::Result<String> {
        let browser = self.browser().await?;
        let hand = self.log_in(&browser, &self.merchant).await?;
        let page = hand.reads().await?;
        ensure!(!page.contains(PHONE), "the merchant sees a phone number");
        browser.close().await?;
        Ok(page)
    }

    pub(crate) async fn browser(&self) -> anyhow::Result<Browser> {
        let browser = Browser::start(self.driver, false).await?;
        browser.look(self.look).await?;
        Ok(browser)
    }

    pub(crate) async fn log_in<'b>(
        &self,
        browser: &'b Browser,
        account: &Account,
    ) -> anyhow::Result<Hand<'b>> {
        let hand = Hand::at(browser);
        hand.open(&format!("{}/login", desk(self.network, account.at)?))
            .await?;
        hand.write("input[name=name]", &account.name).await?;
        hand.write("input[name=password]", &account.password)
            .await?;
        hand.press("form[action='/login'] button").await?;
        ensure!(
            hand.path().await? != "/login",
            "`{}` was not let in: {}",
            account.name,
            hand.reads().await?
        );
        Ok(hand)
    }
}
