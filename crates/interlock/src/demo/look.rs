//! What people see at 08:00 on 1 June: a buyer's or merchant's tracking page, a recipient's pick-up
//! page.
//!
//! INVARIANT: a page is fetched as a browser fetches it, and its first sentence is shown as it stands.

use serde::Serialize;

use super::cast::Who;
use super::error::DemoError;
use super::network::Network;
use super::parcels::{DemoMarketplace, DemoOperator, DemoParcel};
use super::streets::Streets;

/// What somebody sees.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Sight {
    /// Who looks at what.
    pub who: String,
    /// Where.
    pub url: String,
    /// Heading and first sentence.
    pub reads: String,
}

/// Looks at a parcel of Taobao on its way and at one in a Fengchao locker, if there are any.
///
/// # Errors
/// [`DemoError`] if a page is not answered.
pub async fn look(
    network: &Network,
    streets: &Streets<'_>,
    parcels: &[DemoParcel],
) -> Result<Vec<Sight>, DemoError> {
    let mut sights = Vec::new();
    let taobao = |number: usize| {
        let parcel = parcels.get(number);
        parcel.filter(|p| p.marketplace == DemoMarketplace::Taobao)
    };
    let newest = streets.tracking.iter().rev();
    let mut disputed = newest.filter_map(|(n, url)| {
        let parcel = taobao(*n)?;
        (Who::carrier_of(parcel) == Who::Sf).then_some((parcel, url))
    });
    if let Some((parcel, url)) = disputed.next() {
        let who = format!(
            "buyer and merchant of an SF parcel taken over at {}, at Cainiao",
            super::report::clock(parcel.accepted_at)
        );
        sights.push(sight(network, Who::Cainiao, who, url).await?);
    }
    let mut inside: Vec<usize> = streets.inside().filter(|n| taobao(*n).is_some()).collect();
    inside.sort_by_key(|n| {
        parcels
            .get(*n)
            .map(|p| p.operator != DemoOperator::Fengchao)
    });
    let told = inside
        .into_iter()
        .find_map(|n| Some((taobao(n)?, streets.page_inside(n)?)));
    if let Some((parcel, url)) = told {
        let operator = Who::operator_of(parcel);
        let who = format!(
            "recipient of a parcel put in at {}, at {}",
            super::report::clock(parcel.deposited_at),
            operator.name()
        );
        sights.push(sight(network, operator, who, url).await?);
    }
    Ok(sights)
}

async fn sight(network: &Network, at: Who, who: String, url: &str) -> Result<Sight, DemoError> {
    let page = network.http.page(at, url).await?;
    Ok(Sight {
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
