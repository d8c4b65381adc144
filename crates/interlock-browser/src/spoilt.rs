//! The same nodes once everybody is called what nobody should be called.
//!
//! INVARIANT: names come in by the doors that names come in by: partners, stations, holders of keys, parcels.
//! A page that shows one shows it as text; a recipient's is on no page of people who log in.

use anyhow::{Context, ensure};
use http::Method;
use interlock::demo::cast::Who;
use interlock::demo::network::Network;
use serde_json::{Value, json};

use crate::world::{World, let_in, lies};

/// Names: markup and a way out of an attribute, another one, an address that runs, text turned round, a
/// template, the longest that there may be without a place to break, marks that pile up.
const NAMES: [&str; 7] = [
    "\"><script>document.title='taken'</script><img src=x onerror=alert(1)>",
    "' onfocus='alert(1)' autofocus></title><b>&lt;i&gt;",
    "javascript:alert(document.domain)//",
    "\u{202e}\u{2066}gnitekram SF\u{2069}",
    "{{constructor.constructor('alert(1)')()}} ${7*7} <%= 7 %>",
    "WWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWW",
    "丰巢\u{0301}\u{0302}\u{0303}\u{200d}﷽﷽﷽﷽﷽﷽﷽﷽﷽﷽",
];
/// What is left to be read of them on a page.
pub(crate) const MARKS: [&str; 6] = [
    "'taken'",
    "alert(1)' autofocus",
    "javascript:alert",
    "gnitekram SF",
    "${7*7}",
    "WWWWWWWWWWWWWWWWWWWWWWWW",
];
/// A recipient's name and address.
pub(crate) const RECIPIENT: &str = "Li Lei\"><script>document.title='recipient'</script>";
/// More than any name may have.
const TOO_LONG: usize = 300;

fn name(at: usize) -> &'static str {
    NAMES.get(at % NAMES.len()).copied().unwrap_or_default()
}

/// Gives everybody such a name.
pub(crate) async fn spoil(world: &mut World) -> anyhow::Result<()> {
    let network = &world.network;
    refuses_what_is_too_long(network).await?;
    network.rename(of_participant).await?;
    for operator in Who::OPERATORS {
        rename_stations(network, operator).await?;
    }
    for who in [Who::Cainiao, Who::Fengchao, Who::Bureau] {
        let key = json!({ "name": name(1), "role": "auditor" });
        network.api(who).post("/keys", &key).await?;
    }
    let longest = "W".repeat(64);
    sells(network, &longest).await?;
    let recipient = json!({ "name": RECIPIENT, "phone": "13800000412", "address": RECIPIENT });
    let lying = lies(network, "SF1999999999999", &longest, &recipient).await?;
    let courier = json!({ "roles": ["courier"], "courier": longest });
    let merchant = json!({ "roles": ["merchant"], "merchant": longest });
    let accounts = [
        let_in(network, Who::Fengchao, "courier", courier).await?,
        let_in(network, Who::Cainiao, "merchant", merchant).await?,
    ];
    network.rest().await?;
    world.lying = lying;
    for account in accounts {
        world.accounts.retain(|before| before.key != account.key);
        world.secrets.push(account.password.clone());
        world.accounts.push(account);
    }
    Ok(())
}

async fn refuses_what_is_too_long(network: &Network) -> anyhow::Result<()> {
    let long = "W".repeat(TOO_LONG);
    let api = network.api(Who::Fengchao);
    let key = json!({ "name": long, "role": "auditor" });
    let station = json!({ "stations": [{
        "id": "FC9999", "name": long, "position": { "longitude": 120.0, "latitude": 30.0 },
        "capacity": { "small": 1, "medium": 0, "large": 0 },
    }]});
    for (method, path, body) in [
        (Method::POST, "/keys", key),
        (Method::PUT, "/stations", station),
    ] {
        let answer = api.ask(method, path, Some(&body), None).await?;
        ensure!(
            matches!(answer.status, 400 | 422),
            "a name of {TOO_LONG} characters at `{path}` is answered {}: {}",
            answer.status,
            answer.body
        );
    }
    Ok(())
}

fn of_participant(who: Who) -> String {
    let at = Who::ALL.iter().position(|other| *other == who);
    name(at.unwrap_or_default()).into()
}

async fn rename_stations(network: &Network, operator: Who) -> anyhow::Result<()> {
    let api = network.api(operator);
    let known = api.get("/stations").await?;
    let known = known.get("stations").and_then(Value::as_array);
    let known = known.context("an operator has no stations")?;
    let renamed = known.iter().zip(0..).map(|(station, at)| {
        let of = |path: &str| station.pointer(path).cloned().unwrap_or_default();
        json!({
            "id": of("/id"),
            "name": name(at),
            "position": of("/position"),
            "capacity": {
                "small": of("/sizes/small/installed"),
                "medium": of("/sizes/medium/installed"),
                "large": of("/sizes/large/installed"),
            },
        })
    });
    let body = json!({ "stations": renamed.collect::<Vec<_>>() });
    api.write(Method::PUT, "/stations", Some(&body)).await?;
    Ok(())
}

/// A parcel of the merchant with the longest name.
async fn sells(network: &Network, merchant: &str) -> anyhow::Result<()> {
    let body = json!({ "parcels": [{
        "waybill": { "carrier": "sf", "number": "SF1999999999997" }, "marketplace": "taobao",
        "merchant": merchant, "size": "small", "consent": "given",
        "recipient": { "name": RECIPIENT, "phone": "13800000413", "address": RECIPIENT },
    }]});
    let api = network.api(Who::Cainiao);
    api.write(Method::PUT, "/parcels", Some(&body)).await?;
    Ok(())
}
