//! What people see during the cut: a buyer's or merchant's tracking page, a recipient's pick-up
//! page.
//!
//! INVARIANT: a page is fetched as a browser fetches it, and its first sentence is shown as it stands.

use interlock_core::time::Timestamp;
use serde::Serialize;
use serde_json::Value;

use super::cast::Who;
use super::deal::MIDNIGHT;
use super::error::DemoError;
use super::network::Network;
use super::parcels::{DemoMarketplace, DemoOperator, DemoParcel};
use super::report::clock;
use super::streets::Streets;
use super::telephone::Exchange;

/// What somebody sees, and when.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Sight {
    /// When.
    pub at: Timestamp,
    /// Who looks at what.
    pub who: String,
    /// Where.
    pub url: String,
    /// Heading and first sentence.
    pub reads: String,
}

/// Looks, `now`, at parcels of Taobao that SF took over, the newest before and the newest after the midnight,
/// and at one in a locker, of Fengchao if there is one. Whatever there is not is left out.
///
/// # Errors
/// [`DemoError`] if a page is not answered.
pub async fn look(
    network: &Network,
    streets: &Streets<'_>,
    parcels: &[DemoParcel],
    now: Timestamp,
) -> Result<Vec<Sight>, DemoError> {
    let mut sights = Vec::new();
    for after_midnight in [true, false] {
        let disputed = |parcel: &DemoParcel| {
            is_taobao(parcel)
                && Who::carrier_of(parcel) == Who::Sf
                && (parcel.accepted_at >= MIDNIGHT) == after_midnight
                // What the carrier may not tell any more shows nowhere that it was picked up.
                && (after_midnight || parcel.picked_up_at > now)
        };
        let newest = streets.tracking.iter().rev().find_map(|(n, url)| {
            let parcel = parcels.get(*n).filter(|parcel| disputed(parcel))?;
            Some((parcel, url))
        });
        if let Some((parcel, url)) = newest {
            let who = format!(
                "buyer and merchant, at Cainiao, of a parcel that SF took over at {}",
                clock(parcel.accepted_at)
            );
            sights.push(sight(network, now, Who::Cainiao, who, url).await?);
        }
    }
    let told = streets.inside().filter_map(|n| {
        let parcel = parcels.get(n).filter(|parcel| is_taobao(parcel))?;
        Some((n, parcel, streets.page_inside(n)?))
    });
    let lies = told.min_by_key(|(_, parcel, _)| parcel.operator != DemoOperator::Fengchao);
    if let Some((number, parcel, url)) = lies {
        let operator = Who::operator_of(parcel);
        let who = format!(
            "recipient, at {}, of a parcel put in at {}",
            operator.name(),
            clock(parcel.deposited_at)
        );
        sights.push(sight(network, now, operator, who, url).await?);
        sights.extend(call(network, streets, number, now).await?);
    }
    Ok(sights)
}

/// What the courier hears who calls the recipient of a parcel in a locker, at the virtual number that their
/// owner leased.
async fn call(
    network: &Network,
    streets: &Streets<'_>,
    number: usize,
    now: Timestamp,
) -> Result<Option<Sight>, DemoError> {
    let Some((operator, deposit)) = streets.deposit_inside(number) else {
        return Ok(None);
    };
    let api = &network.nodes.of(operator).api;
    let view = api.get(&format!("/deposits/{deposit}")).await?;
    let Some(dialled) = view.get("phone").and_then(Value::as_str) else {
        return Ok(None);
    };
    let exchange = Exchange::of(network, Who::Cainiao).await?;
    let reads = match exchange.connect(dialled).await? {
        Some(phone) => format!("connected to {phone}"),
        None => "connected to nobody".into(),
    };
    Ok(Some(Sight {
        at: now,
        who: format!("courier of {}, who calls that recipient", operator.name()),
        url: "a virtual number of Cainiao, through its telephone exchange".into(),
        reads,
    }))
}

/// Pages that still work when all is over: of the newest parcel at Cainiao, and of the newest message.
pub fn newest_pages(
    network: &Network,
    streets: &Streets<'_>,
    parcels: &[DemoParcel],
) -> Vec<(String, String)> {
    let tracked = streets.tracking.iter().rev().find_map(|(n, url)| {
        let parcel = parcels.get(*n).filter(|parcel| is_taobao(parcel))?;
        let who = format!(
            "buyer and merchant, at Cainiao, of a parcel taken over at {}",
            clock(parcel.accepted_at)
        );
        Some((who, url.clone()))
    });
    let told = network.gateway.since(0).pop().and_then(|sms| {
        let who = format!(
            "recipient of a message of {} at {}",
            sms.from.name(),
            clock(sms.at)
        );
        let url = sms
            .en
            .split_whitespace()
            .find(|word| word.starts_with("http"))?;
        Some((who, url.to_owned()))
    });
    tracked.into_iter().chain(told).collect()
}

fn is_taobao(parcel: &DemoParcel) -> bool {
    parcel.marketplace == DemoMarketplace::Taobao
}

async fn sight(
    network: &Network,
    at: Timestamp,
    whose: Who,
    who: String,
    url: &str,
) -> Result<Sight, DemoError> {
    let page = network.http.page(whose, url).await?;
    Ok(Sight {
        at,
        who,
        url: url.into(),
        reads: first_words(&page),
    })
}

/// Heading and first sentence of a page, without markup.
fn first_words(page: &str) -> String {
    let heading = element(page, "<h1", "</h1>");
    let lead = element(page, "<p class=\"lead\"", "</p>");
    format!("{heading} \u{2014} {lead}")
}

fn element(page: &str, open: &str, close: &str) -> String {
    let inner = page
        .split_once(open)
        .and_then(|(_, rest)| rest.split_once('>'))
        .and_then(|(_, rest)| rest.split_once(close));
    plain(inner.map_or("", |(inner, _)| inner))
}

/// The text of markup.
fn plain(markup: &str) -> String {
    let mut text = String::new();
    let mut inside = false;
    for c in markup.chars() {
        match (c, inside) {
            ('<', _) => inside = true,
            ('>', true) => inside = false,
            (_, true) => {}
            (c, false) => text.push(c),
        }
    }
    let text = text.replace("&amp;", "&").replace("&quot;", "\"");
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_sentence_is_what_stands_there() {
        let page = "<h1 class=\"soon\"><svg><path d=\"M1\"></path></svg>On its way</h1>\
                    <p class=\"lead\">No news since <span>2017-06-01</span> 00:00 .</p><p>More</p>";
        assert_eq!(
            first_words(page),
            "On its way \u{2014} No news since 2017-06-01 00:00 ."
        );
        assert_eq!(first_words("nothing"), " \u{2014} ");
    }
}
