//! What every door with pages shares: headers, language, forms, the stylesheet.
//!
//! INVARIANT: every page has the headers of [`security_headers`]; a form is read whole and within its
//! limit before anything is done with it. It does not know what a page says.

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::response::Response;
use axum::routing::get;
use hmac::{Hmac, KeyInit as _, Mac as _};
use http::header::{ACCEPT_LANGUAGE, CACHE_CONTROL, CONTENT_LANGUAGE, LOCATION};
use http::{HeaderMap, HeaderName, HeaderValue};
use interlock_journal::hex;
use sha2::Sha256;
use zeroize::Zeroize as _;

use super::answer::{read_body, respond};
use crate::node::io::Problem;
use crate::pages::{Asset, Language, icon, security_headers, stylesheet};

const HTML: &str = "text/html; charset=utf-8";

/// A page.
pub(super) fn html(status: u16, page: String, language: Language) -> Response {
    secured(respond(status, HTML, Body::from(page)), Some(language))
}

/// The response with the headers of every page.
pub(super) fn secured(mut response: Response, language: Option<Language>) -> Response {
    let headers = response.headers_mut();
    for (name, value) in security_headers() {
        let name = HeaderName::from_static(name);
        headers.insert(name, HeaderValue::from_static(value));
    }
    if let Some(language) = language {
        let tag = HeaderValue::from_static(language.tag());
        headers.insert(CONTENT_LANGUAGE, tag);
    }
    response
}

/// 303: the browser goes on with a `GET` there, and reloading repeats no form.
pub(super) fn see_other(path: &str) -> Response {
    let mut response = secured(respond(303, "text/plain", Body::empty()), None);
    let to = HeaderValue::from_str(path).unwrap_or(HeaderValue::from_static("/"));
    response.headers_mut().insert(LOCATION, to);
    response
}

/// What pages load, to be kept for ever: its name changes with its bytes.
pub(super) fn assets<S: Clone + Send + Sync + 'static>() -> Router<S> {
    let of = |asset: &'static Asset| get(async move || kept_for_ever(asset));
    let all = [stylesheet(), icon()];
    all.into_iter().fold(Router::new(), |router, asset| {
        router.route(&asset.path, of(asset))
    })
}

fn kept_for_ever(asset: &'static Asset) -> Response {
    let mut response = secured(respond(200, asset.kind, asset.bytes), None);
    let for_ever = HeaderValue::from_static("public, max-age=31536000, immutable");
    response.headers_mut().insert(CACHE_CONTROL, for_ever);
    response
}

/// The language asked for by `?lang=`, else by the browser.
pub(super) fn language_of(request: &Request) -> Language {
    let query = request.uri().query().unwrap_or_default();
    language_in(query, request.headers(), None)
}

/// The same with what was chosen before, which counts more than what the browser says.
pub(super) fn language_in(query: &str, headers: &HeaderMap, before: Option<&str>) -> Language {
    let chosen = query.split('&').find_map(|pair| pair.strip_prefix("lang="));
    let accepted = headers
        .get(ACCEPT_LANGUAGE)
        .and_then(|value| value.to_str().ok());
    Language::choose(chosen.or(before), accepted)
}

/// Whether a browser says that another site made it post (`Sec-Fetch-Site`). `Origin` decides nothing:
/// our pages send no referrer, and browsers then post `Origin: null`.
pub(super) fn from_elsewhere(headers: &HeaderMap) -> bool {
    headers
        .get("sec-fetch-site")
        .is_some_and(|site| site != "same-origin" && site != "none")
}

/// What the hidden field of a form holds: only who was shown the page of `text` knows it.
pub(super) fn form_mark(key: &[u8; 32], text: &str) -> String {
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(key) else {
        return String::new();
    };
    mac.update(text.as_bytes());
    hex::encode(&mac.finalize().into_bytes())
}

/// What a form holds, in order; wiped when it is dropped, because it may hold a password.
#[derive(Default)]
pub(super) struct Form(Vec<(String, String)>);

impl Drop for Form {
    fn drop(&mut self) {
        for (_, value) in &mut self.0 {
            value.zeroize();
        }
    }
}

impl Form {
    /// Reads the body of a post.
    ///
    /// # Errors
    /// As [`read_body`].
    pub(super) async fn read(
        headers: &HeaderMap,
        body: Body,
        size_bytes_max: usize,
    ) -> Result<Self, Problem> {
        let bytes = read_body(headers, body, size_bytes_max).await?;
        Ok(Self::parse(&bytes))
    }

    /// Reads `name=value&...`; what is none of it is an empty form.
    pub(super) fn parse(bytes: &[u8]) -> Self {
        Self(serde_urlencoded::from_bytes(bytes).unwrap_or_default())
    }

    /// The first value of that name, trimmed; empty if there is none.
    pub(super) fn get(&self, name: &str) -> &str {
        self.may(name).unwrap_or_default()
    }

    /// The first value of that name, trimmed, if it is not empty.
    pub(super) fn may(&self, name: &str) -> Option<&str> {
        let found = self.0.iter().find(|(key, _)| key == name);
        let found = found.map(|(_, value)| value.trim());
        found.filter(|value| !value.is_empty())
    }

    /// Whether there is any value of that name, an empty one too.
    pub(super) fn has(&self, name: &str) -> bool {
        self.0.iter().any(|(key, _)| key == name)
    }

    /// A value exactly as it was typed: of a password every character counts.
    pub(super) fn exact(&self, name: &str) -> &str {
        let found = self.0.iter().find(|(key, _)| key == name);
        found.map(|(_, value)| value.as_str()).unwrap_or_default()
    }

    /// Everything, in order.
    pub(super) fn pairs(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(k, v)| (k.as_str(), v.as_str()))
    }
}
