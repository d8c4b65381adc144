//! The endpoints of the HTTPS binding (DSP 2025-1, the three "HTTPS Binding" sections).
//!
//! INVARIANT: `Route::parse(route.method(), &route.path())` gives `route` again, whatever the
//! identifier holds. Paths are relative to a base: the provider's endpoint, or the callback address
//! that the consumer gave; several paths exist below both, and who answers is known from the base or
//! the identifier, not from here.

use http::{Method, StatusCode};
use interlock_core::ids::WireId;

use crate::identity::url::BaseUrl;

/// An endpoint, with the identifier that its path names: the answering side's own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Route {
    /// `GET /.well-known/dspace-version`; its base is the root, not that of a version.
    Versions,
    /// `POST /catalog/request`: a `CatalogRequestMessage`.
    Catalog,
    /// `GET /catalog/datasets/:id`.
    Dataset(WireId),
    /// `POST /negotiations/request`: a `ContractRequestMessage` that opens a negotiation.
    NegotiationRequest,
    /// `POST /negotiations/offers`: a `ContractOfferMessage` that opens a negotiation.
    NegotiationOffer,
    /// Something about a negotiation that exists.
    Negotiation(WireId, NegotiationStep),
    /// `POST /transfers/request`: a `TransferRequestMessage`.
    TransferRequest,
    /// Something about a transfer that exists.
    Transfer(WireId, TransferStep),
}

/// What is done to a negotiation, below `/negotiations/:pid`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum NegotiationStep {
    /// `GET`: its state.
    State,
    /// `POST /request`: the consumer's counter-offer.
    Request,
    /// `POST /offers`: the provider's counter-offer.
    Offers,
    /// `POST /agreement`.
    Agreement,
    /// `POST /agreement/verification`.
    Verification,
    /// `POST /events`.
    Events,
    /// `POST /termination`.
    Termination,
}

/// What is done to a transfer, below `/transfers/:pid`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TransferStep {
    /// `GET`: its state.
    State,
    /// `POST /start`.
    Start,
    /// `POST /completion`.
    Completion,
    /// `POST /termination`.
    Termination,
    /// `POST /suspension`.
    Suspension,
}

/// Who answers at an endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Side {
    /// The provider.
    Provider,
    /// The consumer, below its callback address (its base for an offer that opens a negotiation).
    Consumer,
    /// Either, each below its own base.
    Both,
}

impl NegotiationStep {
    /// Every step.
    pub const ALL: [Self; 7] = [
        Self::State,
        Self::Request,
        Self::Offers,
        Self::Agreement,
        Self::Verification,
        Self::Events,
        Self::Termination,
    ];

    const fn suffix(self) -> &'static str {
        match self {
            Self::State => "",
            Self::Request => "/request",
            Self::Offers => "/offers",
            Self::Agreement => "/agreement",
            Self::Verification => "/agreement/verification",
            Self::Events => "/events",
            Self::Termination => "/termination",
        }
    }

    const fn side(self) -> Side {
        match self {
            Self::Request | Self::Verification => Side::Provider,
            Self::Offers | Self::Agreement => Side::Consumer,
            Self::State | Self::Events | Self::Termination => Side::Both,
        }
    }
}

impl TransferStep {
    /// Every step.
    pub const ALL: [Self; 5] = [
        Self::State,
        Self::Start,
        Self::Completion,
        Self::Termination,
        Self::Suspension,
    ];

    const fn suffix(self) -> &'static str {
        match self {
            Self::State => "",
            Self::Start => "/start",
            Self::Completion => "/completion",
            Self::Termination => "/termination",
            Self::Suspension => "/suspension",
        }
    }
}

impl Route {
    /// The endpoint at `path` (below the base, percent-encoded as it came, without query) for
    /// `method`; `None` if the protocol has none. A final slash is ignored.
    pub fn parse(method: &Method, path: &str) -> Option<Self> {
        let get = match *method {
            Method::GET => true,
            Method::POST => false,
            _ => return None,
        };
        let path = path.strip_suffix('/').unwrap_or(path);
        let path = path.strip_prefix('/').unwrap_or(path);
        let (area, rest) = path.split_once('/')?;
        match (area, rest, get) {
            (".well-known", "dspace-version", true) => Some(Self::Versions),
            ("catalog", "request", false) => Some(Self::Catalog),
            ("catalog", _, true) => Some(Self::Dataset(decode(rest.strip_prefix("datasets/")?)?)),
            ("negotiations", "request", false) => Some(Self::NegotiationRequest),
            ("negotiations", "offers", false) => Some(Self::NegotiationOffer),
            ("transfers", "request", false) => Some(Self::TransferRequest),
            ("negotiations", _, _) => {
                let (pid, suffix) = split(rest)?;
                let step = NegotiationStep::ALL
                    .into_iter()
                    .find(|step| step.suffix() == suffix)?;
                (get == (step == NegotiationStep::State)).then_some(Self::Negotiation(pid, step))
            }
            ("transfers", _, _) => {
                let (pid, suffix) = split(rest)?;
                let step = TransferStep::ALL
                    .into_iter()
                    .find(|step| step.suffix() == suffix)?;
                (get == (step == TransferStep::State)).then_some(Self::Transfer(pid, step))
            }
            _ => None,
        }
    }

    /// The path below the base, percent-encoded, with a slash in front.
    pub fn path(&self) -> String {
        match self {
            Self::Versions => "/.well-known/dspace-version".into(),
            Self::Catalog => "/catalog/request".into(),
            Self::Dataset(id) => format!("/catalog/datasets/{}", encode(id)),
            Self::NegotiationRequest => "/negotiations/request".into(),
            Self::NegotiationOffer => "/negotiations/offers".into(),
            Self::Negotiation(pid, step) => {
                format!("/negotiations/{}{}", encode(pid), step.suffix())
            }
            Self::TransferRequest => "/transfers/request".into(),
            Self::Transfer(pid, step) => format!("/transfers/{}{}", encode(pid), step.suffix()),
        }
    }

    /// The whole URL below `base`.
    pub fn url(&self, base: &BaseUrl) -> String {
        format!("{base}{}", self.path())
    }

    /// The method.
    pub const fn method(&self) -> Method {
        match self {
            Self::Versions
            | Self::Dataset(_)
            | Self::Negotiation(_, NegotiationStep::State)
            | Self::Transfer(_, TransferStep::State) => Method::GET,
            Self::Catalog
            | Self::NegotiationRequest
            | Self::NegotiationOffer
            | Self::Negotiation(
                _,
                NegotiationStep::Request
                | NegotiationStep::Offers
                | NegotiationStep::Agreement
                | NegotiationStep::Verification
                | NegotiationStep::Events
                | NegotiationStep::Termination,
            )
            | Self::TransferRequest
            | Self::Transfer(
                _,
                TransferStep::Start
                | TransferStep::Completion
                | TransferStep::Termination
                | TransferStep::Suspension,
            ) => Method::POST,
        }
    }

    /// The status of a success: 201 where a process is created, else 200.
    pub const fn success(&self) -> StatusCode {
        match self {
            Self::NegotiationRequest | Self::NegotiationOffer | Self::TransferRequest => {
                StatusCode::CREATED
            }
            Self::Versions
            | Self::Catalog
            | Self::Dataset(_)
            | Self::Negotiation(..)
            | Self::Transfer(..) => StatusCode::OK,
        }
    }

    /// Who answers.
    pub const fn side(&self) -> Side {
        match self {
            Self::Versions
            | Self::Catalog
            | Self::Dataset(_)
            | Self::NegotiationRequest
            | Self::TransferRequest => Side::Provider,
            Self::NegotiationOffer => Side::Consumer,
            Self::Negotiation(_, step) => step.side(),
            Self::Transfer(..) => Side::Both,
        }
    }
}

/// The identifier at the start of `rest`, and what follows it.
fn split(rest: &str) -> Option<(WireId, &str)> {
    let (pid, suffix) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    Some((decode(pid)?, suffix))
}

/// Encodes what RFC 3986 does not allow in a path segment, and `%`.
fn encode(id: &WireId) -> String {
    let mut out = String::new();
    for byte in id.as_str().bytes() {
        let plain = byte.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=:@".contains(&byte);
        if plain {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    match out.as_str() {
        // A client may resolve these as steps in the path.
        "." => "%2E".into(),
        ".." => "%2E%2E".into(),
        _ => out,
    }
}

fn decode(segment: &str) -> Option<WireId> {
    if segment.contains('/') {
        return None;
    }
    let mut out = Vec::with_capacity(segment.len());
    let mut bytes = segment.bytes();
    while let Some(byte) = bytes.next() {
        if byte != b'%' {
            out.push(byte);
            continue;
        }
        let mut digit = || char::from(bytes.next()?).to_digit(16);
        let value = digit()? * 16 + digit()?;
        out.push(u8::try_from(value).ok()?);
    }
    WireId::parse(std::str::from_utf8(&out).ok()?).ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn id(text: &str) -> WireId {
        WireId::parse(text).unwrap()
    }

    fn check(line: &str, route: Route, side: Side, status: u16) {
        let (method, path) = line.split_once(' ').unwrap();
        let method: Method = method.parse().unwrap();
        assert_eq!(Route::parse(&method, path), Some(route.clone()), "{line}");
        let slashed = format!("{path}/");
        assert_eq!(Route::parse(&method, &slashed), Some(route.clone()));
        assert_eq!((route.method(), route.path().as_str()), (method, path));
        assert_eq!(route.side(), side, "{line}");
        assert_eq!(route.success().as_u16(), status, "{line}");
    }

    #[test]
    fn every_endpoint_without_a_process() {
        use Side::{Consumer, Provider};
        let dataset = Route::Dataset(id("urn:d:1"));
        check(
            "GET /.well-known/dspace-version",
            Route::Versions,
            Provider,
            200,
        );
        check("POST /catalog/request", Route::Catalog, Provider, 200);
        check("GET /catalog/datasets/urn:d:1", dataset, Provider, 200);
        check(
            "POST /negotiations/request",
            Route::NegotiationRequest,
            Provider,
            201,
        );
        check(
            "POST /negotiations/offers",
            Route::NegotiationOffer,
            Consumer,
            201,
        );
        check(
            "POST /transfers/request",
            Route::TransferRequest,
            Provider,
            201,
        );
    }

    #[test]
    fn every_endpoint_of_a_negotiation() {
        use NegotiationStep as N;
        use Side::{Both, Consumer, Provider};
        for (method, suffix, step, side) in [
            ("GET", "", N::State, Both),
            ("POST", "/request", N::Request, Provider),
            ("POST", "/offers", N::Offers, Consumer),
            ("POST", "/agreement", N::Agreement, Consumer),
            ("POST", "/agreement/verification", N::Verification, Provider),
            ("POST", "/events", N::Events, Both),
            ("POST", "/termination", N::Termination, Both),
        ] {
            let line = format!("{method} /negotiations/urn:uuid:1{suffix}");
            check(&line, Route::Negotiation(id("urn:uuid:1"), step), side, 200);
        }
    }

    #[test]
    fn every_endpoint_of_a_transfer() {
        use TransferStep as T;
        for (method, suffix, step) in [
            ("GET", "", T::State),
            ("POST", "/start", T::Start),
            ("POST", "/completion", T::Completion),
            ("POST", "/termination", T::Termination),
            ("POST", "/suspension", T::Suspension),
        ] {
            let line = format!("{method} /transfers/urn:uuid:1{suffix}");
            check(
                &line,
                Route::Transfer(id("urn:uuid:1"), step),
                Side::Both,
                200,
            );
        }
    }

    #[test]
    fn nothing_else_is_an_endpoint() {
        for line in [
            "GET /",
            "GET ",
            "GET /negotiations",
            "GET /negotiations/",
            "PUT /negotiations/request",
            "DELETE /transfers/x",
            "POST /negotiations/x",
            "GET /negotiations/x/events",
            "GET /negotiations/x//",
            "POST /negotiations//events",
            "POST /negotiations/x/agreement/verification/more",
            "POST /transfers/x/offers",
            "GET /catalog/request",
            "GET /catalog/datasets/",
            "GET /catalog/datasets/a/b",
            "GET /transfers/%zz",
            "GET /transfers/%2",
            "GET /transfers/a%20b",
            "GET /transfers/%FF",
        ] {
            let (method, path) = line.split_once(' ').unwrap();
            assert_eq!(Route::parse(&method.parse().unwrap(), path), None, "{line}");
        }
    }

    #[test]
    fn an_identifier_never_changes_the_path() {
        let base = BaseUrl::parse("https://sf.example/dsp/").unwrap();
        for (pid, path) in [
            ("a/b?c#d%", "/transfers/a%2Fb%3Fc%23d%25/start"),
            ("..", "/transfers/%2E%2E/start"),
        ] {
            let route = Route::Transfer(id(pid), TransferStep::Start);
            assert_eq!(route.url(&base), format!("https://sf.example/dsp{path}"));
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(128))]

        #[test]
        fn paths_round_trip(text in "[!-~]{1,20}", step in 0usize..7) {
            if let Ok(pid) = WireId::parse(&text) {
                let route = Route::Negotiation(pid.clone(), NegotiationStep::ALL[step]);
                prop_assert_eq!(Route::parse(&route.method(), &route.path()), Some(route));
                let route = Route::Dataset(pid);
                prop_assert_eq!(Route::parse(&route.method(), &route.path()), Some(route));
            }
        }

        #[test]
        fn no_path_panics(path in ".{0,40}") {
            Route::parse(&Method::GET, &path);
            Route::parse(&Method::POST, &path);
        }
    }
}
