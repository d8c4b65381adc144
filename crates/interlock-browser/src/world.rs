//! The nodes whose pages are shown: those of the demo, at a moment of June 2017, with people who may log in.
//!
//! INVARIANT: people come to the nodes by the local API, as `interlock people add` lets them in. What is
//! secret of them is known here, so that it can be looked for.

use std::path::Path;

use anyhow::{Context, anyhow};
use http::Method;
use interlock::demo::cast::Who;
use interlock::demo::network::Network;
use interlock::demo::parcels::{DemoMarketplace, DemoParcel, generate};
use interlock::demo::{self, Options, Source};
use interlock_core::time::Timestamp;
use serde_json::{Value, json};
use totp_rs::{Algorithm, Builder, Secret, Totp};

/// Parcels of each world: enough that every page has something to show.
const PARCELS: usize = 120;

/// A parcel that lies in a locker, and whose it is.
const LYING: &str = "SF1999999999998";
const PHONE: &str = "13800000411";
const NAME: &str = "Li Lei";

/// A moment at which the pages are looked at.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Moment {
    /// For people, and in names of files.
    pub(crate) name: &'static str,
    /// Its day.
    pub(crate) until: &'static str,
}

/// Before the cut, in it, after it.
pub(crate) const MOMENTS: [Moment; 3] = [
    Moment {
        name: "before",
        until: "2017-05-31",
    },
    Moment {
        name: "cut",
        until: "2017-06-02",
    },
    Moment {
        name: "after",
        until: "2017-06-05",
    },
];

/// Somebody with an account.
pub(crate) struct Account {
    /// For people, and in names of files.
    pub(crate) key: &'static str,
    /// At whose node.
    pub(crate) at: Who,
    /// What is typed as name.
    pub(crate) name: String,
    /// What is typed as password.
    pub(crate) password: String,
    /// What the person's authenticator app knows.
    pub(crate) codes: Totp,
}

impl Account {
    /// What the app shows.
    pub(crate) fn code(&self, at: Timestamp) -> String {
        let seconds = u64::try_from(at.as_millis() / 1_000).unwrap_or_default();
        self.codes.generate(seconds).to_string()
    }
}

/// Nodes at a moment.
pub(crate) struct World {
    /// The nodes.
    pub(crate) network: Network,
    /// Pages that need no login, each with a word for it.
    pub(crate) open: Vec<(&'static str, String)>,
    /// Who may log in.
    pub(crate) accounts: Vec<Account>,
    /// Where its data lies.
    pub(crate) root: std::path::PathBuf,
    /// The recipient's link to a parcel that lies in a locker.
    pub(crate) lying: String,
    /// A parcel that is looked for by its waybill.
    pub(crate) waybill: String,
    /// What no address, title or console may hold.
    pub(crate) secrets: Vec<String>,
}

impl World {
    /// Lives through the demo up to a moment, under `root`, which must be empty.
    pub(crate) async fn at(moment: Moment, root: &Path) -> anyhow::Result<Self> {
        let options = Options {
            parcels: Source::Generated(PARCELS),
            until: Some(moment.until.into()),
            ..Options::default()
        };
        let (report, network) = demo::stage(&options, root).await?;
        let mut open = Vec::new();
        for (_, url) in report.links() {
            let what = if url.contains("/p/") {
                "pickup"
            } else {
                "tracking"
            };
            open.push((what, url));
        }
        let parcels = generate(PARCELS, demo::SEED)?;
        let of_taobao = |parcel: &&DemoParcel| parcel.marketplace == DemoMarketplace::Taobao;
        let sold = parcels.iter().find(of_taobao);
        let sold = sold.context("the demo sells nothing on Taobao")?;
        let accounts = people(&network, sold).await?;
        asked_for(&network, sold).await?;
        let recipient = json!({ "name": NAME, "phone": PHONE, "address": "West Lake 1" });
        let lying = lies(&network, LYING, sold.courier.as_str(), &recipient).await?;
        let mut secrets: Vec<String> = accounts.iter().map(|it| it.password.clone()).collect();
        secrets.extend([LYING, PHONE, NAME, sold.waybill_number.as_str()].map(str::to_owned));
        let waybill = format!("{}/{}", sold.carrier.as_str(), sold.waybill_number);
        Ok(Self {
            network,
            waybill,
            lying,
            open,
            accounts,
            root: root.to_owned(),
            secrets,
        })
    }

    /// The beginning of the addresses of a node's pages for people with accounts.
    pub(crate) fn desk(&self, who: Who) -> anyhow::Result<String> {
        desk(&self.network, who)
    }
}

/// One of each kind of people; the courier and the merchant are those of a parcel.
async fn people(network: &Network, sold: &DemoParcel) -> anyhow::Result<Vec<Account>> {
    Ok(vec![
        let_in(
            network,
            Who::Cainiao,
            "owner-admin",
            json!({ "roles": ["admin"] }),
        )
        .await?,
        let_in(
            network,
            Who::Fengchao,
            "operator-admin",
            json!({ "roles": ["admin"] }),
        )
        .await?,
        let_in(
            network,
            Who::Bureau,
            "regulator-admin",
            json!({ "roles": ["admin"] }),
        )
        .await?,
        let_in(
            network,
            Who::Fengchao,
            "courier",
            json!({ "roles": ["courier"], "courier": sold.courier.as_str() }),
        )
        .await?,
        let_in(
            network,
            Who::Cainiao,
            "merchant",
            json!({ "roles": ["merchant"], "merchant": sold.merchant.as_str() }),
        )
        .await?,
    ])
}

/// A courier puts a parcel of JD.com's, which is cut at no moment, into a locker of Fengchao's; the link
/// that the recipient gets.
pub(crate) async fn lies(
    network: &Network,
    number: &str,
    courier: &str,
    recipient: &Value,
) -> anyhow::Result<String> {
    let waybill = json!({ "carrier": "sf", "number": number });
    let owner = json!({ "parcels": [{
        "waybill": waybill, "marketplace": "jd", "size": "small", "recipient": recipient,
        "consent": "given",
    }]});
    let carrier = json!({ "parcels": [{
        "waybill": waybill, "marketplace": "jd", "size": "small",
        "owner": Who::Jd.id()?.as_str(), "lockers": [Who::Fengchao.id()?.as_str()],
    }]});
    for (who, body) in [(Who::Jd, owner), (Who::Sf, carrier)] {
        let api = network.api(who);
        api.write(Method::PUT, "/parcels", Some(&body)).await?;
    }
    network.rest().await?;
    let api = network.api(Who::Fengchao);
    let stations = api.get("/stations").await?;
    let stations = stations.get("stations").and_then(Value::as_array);
    let mut free = stations.into_iter().flatten().filter(|station| {
        let free = station.pointer("/sizes/small/free").and_then(Value::as_u64);
        free > Some(0)
    });
    let station = free.next().and_then(|station| station.get("id"));
    let station = station.context("no station has a small compartment free")?;
    let body =
        json!({ "waybill": waybill, "station": station, "size": "small", "courier": courier });
    let opened = api
        .ask(Method::POST, "/deposits", Some(&body), Some(number))
        .await?
        .body;
    let id = opened.get("id").and_then(Value::as_str);
    let id = id.with_context(|| format!("no door opened: {opened}"))?;
    api.write(Method::POST, &format!("/deposits/{id}/confirm"), None)
        .await?;
    network.rest().await?;
    let message = network.gateway.since(0).pop();
    let message = message.context("the recipient got no message")?.en;
    let mut words = message.split_whitespace();
    let link = words.find(|word| word.starts_with("http"));
    Ok(link.context("the message has no link")?.to_owned())
}

/// Somebody of the owner's has looked at a parcel, and two phones are asked for in clear.
async fn asked_for(network: &Network, parcel: &DemoParcel) -> anyhow::Result<()> {
    let owner = network.api(Who::Cainiao);
    let waybill = format!("{}/{}", parcel.carrier.as_str(), parcel.waybill_number);
    owner.get(&format!("/parcels/{waybill}")).await?;
    for (reason, reference) in [("complaint", "TICKET-4711"), ("legal-order", "2017/0601")] {
        let ask = json!({ "waybill": waybill, "reason": reason, "reference": reference });
        owner.post("/reveals", &ask).await?;
    }
    Ok(())
}

/// The beginning of the addresses of a node's pages for people with accounts.
pub(crate) fn desk(network: &Network, who: Who) -> anyhow::Result<String> {
    let base = network.api(who).base();
    let (desk, _) = base
        .split_once("/api/")
        .ok_or_else(|| anyhow!("`{base}` is no local API"))?;
    Ok(desk.to_owned())
}

/// Lets somebody in, as an administrator does.
pub(crate) async fn let_in(
    network: &Network,
    at: Who,
    key: &'static str,
    mut person: Value,
) -> anyhow::Result<Account> {
    if let Some(members) = person.as_object_mut() {
        members.insert("name".into(), key.into());
    }
    let answer = network.api(at).post("/people", &person).await?;
    let told = |name: &str| answer.get(name).and_then(Value::as_str);
    let secret = told("oneTimeSecret").context("a person got no secret")?;
    let password = told("password").context("a person got no password")?;
    account(key, at, password, secret)
}

/// Somebody who was told a password, and the secret of the app.
pub(crate) fn account(
    key: &'static str,
    at: Who,
    password: &str,
    secret: &str,
) -> anyhow::Result<Account> {
    let unfit = |error: &dyn std::fmt::Display| anyhow!("a secret that no app takes: {error}");
    let secret = Secret::try_from_base32(secret).map_err(|error| unfit(&error))?;
    let codes = Builder::new()
        .with_algorithm(Algorithm::SHA1)
        .with_secret(secret)
        .build();
    Ok(Account {
        key,
        at,
        name: key.into(),
        password: password.into(),
        codes: codes.map_err(|error| unfit(&error))?,
    })
}
