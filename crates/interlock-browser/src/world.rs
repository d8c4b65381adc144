//! The nodes whose pages are shown: those of the demo, at a moment of June 2017, with people who may log in.
//!
//! INVARIANT: people come to the nodes by the local API, as `interlock people add` lets them in. What is
//! secret of them is known here, so that it can be looked for.

use std::path::Path;

use anyhow::{Context, anyhow};
use interlock::demo::cast::Who;
use interlock::demo::network::Network;
use interlock::demo::parcels::{DemoMarketplace, DemoParcel, generate};
use interlock::demo::{self, Options, Source};
use interlock_core::time::Timestamp;
use serde_json::{Value, json};
use totp_rs::{Algorithm, Builder, Secret, Totp};

/// Parcels of each world: enough that every page has something to show.
const PARCELS: usize = 120;

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
    codes: Totp,
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
        let accounts = vec![
            let_in(
                &network,
                Who::Cainiao,
                "owner-admin",
                json!({ "roles": ["admin"] }),
            )
            .await?,
            let_in(
                &network,
                Who::Fengchao,
                "operator-admin",
                json!({ "roles": ["admin"] }),
            )
            .await?,
            let_in(
                &network,
                Who::Bureau,
                "regulator-admin",
                json!({ "roles": ["admin"] }),
            )
            .await?,
            let_in(
                &network,
                Who::Fengchao,
                "courier",
                json!({ "roles": ["courier"], "courier": sold.courier.as_str() }),
            )
            .await?,
            let_in(
                &network,
                Who::Cainiao,
                "merchant",
                json!({ "roles": ["merchant"], "merchant": sold.merchant.as_str() }),
            )
            .await?,
        ];
        asked_for(&network, sold).await?;
        let secrets = accounts.iter().map(|it| it.password.clone()).collect();
        Ok(Self {
            network,
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
    let secret = Secret::try_from_base32(secret);
    let secret = secret.map_err(|error| anyhow!("a secret that no app takes: {error}"))?;
    let codes = Builder::new()
        .with_algorithm(Algorithm::SHA1)
        .with_secret(secret)
        .build();
    let codes = codes.map_err(|error| anyhow!("a secret that no app takes: {error}"))?;
    Ok(Account {
        key,
        at,
        name: key.into(),
        password: told("password").context("a person got no password")?.into(),
        codes,
    })
}
