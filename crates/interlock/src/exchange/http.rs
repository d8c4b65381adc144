//! How requests and answers between nodes look in HTTP, in both directions.
//!
//! Purpose: the one place that knows paths, query parameters and statuses of `/exchange/v1` and of the
//! Dataspace Protocol base, used by the door, by the client and by the simulator. Invariant: parsing
//! what was encoded gives the same value, and what parses is within the limits of [`wire`]. It opens
//! no sockets and does not know who asks.
//!
//! [`wire`]: crate::exchange::wire

use interlock_core::ids::WireId;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::dsp::failure::Refusal;
use crate::dsp::{self, DspError, Limits};
use crate::exchange::problem::{self, malformed};
use crate::exchange::wire::{
    BATCH_EVENTS_MAX, ENVELOPE_LEAVES_MAX, EPOCHS_SHOWN_MAX, Envelope, Evidence, LOOKUP_ITEMS_MAX,
    Lane, LogSide, MirrorView, POLL_WAIT_MS_MAX, ROTATIONS_SHOWN_MAX,
};
use crate::node::io::{PeerAnswer, PeerRequest, Problem};

/// Base path of the exchange between nodes.
pub const EXCHANGE_BASE: &str = "/exchange/v1";
/// Base path of the Dataspace Protocol 2025-1 endpoints.
pub const DSP_BASE: &str = "/dsp";

/// A request as HTTP carries it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HttpRequest {
    /// `POST` rather than `GET`.
    pub post: bool,
    /// Path and query, below the partner's address: what the token binds.
    pub target: String,
    /// JSON; empty for `GET`.
    pub body: Vec<u8>,
}

/// A request as it goes out.
///
/// The path of [`PeerRequest::Dsp`] is taken as it is: whoever builds it percent-encodes identifiers.
pub fn encode_request(request: &PeerRequest) -> HttpRequest {
    match request {
        PeerRequest::Dsp { post, path, body } => HttpRequest {
            post: *post,
            target: format!("{DSP_BASE}{path}"),
            body: if *post { to_json(body) } else { Vec::new() },
        },
        PeerRequest::Feed {
            transfer,
            lane,
            after,
            limit,
            wait_ms,
        } => get(format!(
            "feeds/{}?lane={}&after={after}&limit={limit}&wait={wait_ms}",
            encode_segment(transfer.as_str()),
            lane.as_str()
        )),
        PeerRequest::Receipt { transfer, envelope } => post(
            &format!("feeds/{}/receipts", encode_segment(transfer.as_str())),
            envelope,
        ),
        PeerRequest::Lookup { transfer, envelope } => post(
            &format!("lookups/{}", encode_segment(transfer.as_str())),
            envelope,
        ),
        PeerRequest::Checkpoint => get("evidence/checkpoint".into()),
        PeerRequest::Entries { log, epoch, from } => {
            let epoch = epoch.map_or(String::new(), |epoch| format!("&epoch={epoch}"));
            let log = log.as_str();
            get(format!("evidence/entries?from={from}&log={log}{epoch}"))
        }
        PeerRequest::Cooperation(message) => post("cooperations", message),
        PeerRequest::Mediation(message) => post("cooperations", message),
        PeerRequest::Notice(envelope) => post("notices", envelope),
    }
}

fn get(path: String) -> HttpRequest {
    HttpRequest {
        post: false,
        target: format!("{EXCHANGE_BASE}/{path}"),
        body: Vec::new(),
    }
}

fn post(path: &str, body: &impl Serialize) -> HttpRequest {
    HttpRequest {
        post: true,
        target: format!("{EXCHANGE_BASE}/{path}"),
        body: to_json(body),
    }
}

fn to_json(body: &impl Serialize) -> Vec<u8> {
    // Every type of `wire` has string keys and no fallible serializer: this cannot fail, and an empty
    // body would be refused by the other side.
    serde_json::to_vec(body).unwrap_or_default()
}

/// A request as it came in; `target` is path and query as received.
///
/// # Errors
/// The refusal to answer with: 404 and 405 for what is no endpoint, 400 for another parameter or body
/// than the endpoint takes, naming it.
pub fn parse_request(post: bool, target: &str, body: &[u8]) -> Result<PeerRequest, Problem> {
    let (path, query) = match target.split_once('?') {
        Some((path, query)) => (path, Some(query)),
        None => (target, None),
    };
    if below(path, DSP_BASE).is_some() {
        let path = target.strip_prefix(DSP_BASE).unwrap_or_default();
        return parse_dsp(post, path, body);
    }
    let Some(path) = below(path, EXCHANGE_BASE) else {
        return Err(problem::not_found());
    };
    let segments: Vec<&str> = path.split('/').skip(1).collect();
    match (segments.as_slice(), post) {
        (["feeds", transfer], false) => parse_feed(transfer, query),
        (["evidence", "checkpoint"], false) => {
            Parameters::parse(query, &[])?;
            Ok(PeerRequest::Checkpoint)
        }
        (["evidence", "entries"], false) => parse_entries(query),
        (["feeds", transfer, "receipts"], true) => Ok(PeerRequest::Receipt {
            transfer: parse_segment(transfer)?,
            envelope: parse_envelope(body)?,
        }),
        (["lookups", transfer], true) => parse_lookup(transfer, body),
        (["cooperations"], true) => parse_cooperation(body),
        (["notices"], true) => parse_envelope(body).map(PeerRequest::Notice),
        (
            ["feeds" | "lookups", _]
            | ["feeds", _, "receipts"]
            | ["evidence", "checkpoint" | "entries"]
            | ["cooperations" | "notices"],
            _,
        ) => Err(problem::method_not_allowed(if post {
            "GET"
        } else {
            "POST"
        })),
        _ => Err(problem::not_found()),
    }
}

fn below<'a>(path: &'a str, base: &str) -> Option<&'a str> {
    path.strip_prefix(base)
        .filter(|rest| rest.is_empty() || rest.starts_with('/'))
}

fn parse_dsp(post: bool, path: &str, body: &[u8]) -> Result<PeerRequest, Problem> {
    let body = if post {
        dsp::read(body, &Limits::MESSAGE).map_err(malformed_message)?
    } else {
        serde_json::Value::Null
    };
    Ok(PeerRequest::Dsp {
        post,
        path: if path.is_empty() { "/" } else { path }.into(),
        body,
    })
}

fn malformed_message(error: DspError) -> Problem {
    let refusal = malformed(&error.pointer, error.fault.to_string());
    let status = Refusal::Malformed(error).status().as_u16();
    Problem { status, ..refusal }
}

fn parse_feed(transfer: &str, query: Option<&str>) -> Result<PeerRequest, Problem> {
    let parameters = Parameters::parse(query, &["lane", "after", "limit", "wait"])?;
    let lane = match parameters.get("lane") {
        None => Lane::Live,
        Some(name) => Lane::ALL
            .into_iter()
            .find(|lane| lane.as_str() == name)
            .ok_or_else(|| problem::parameter("lane", "write `live` or `backlog`"))?,
    };
    Ok(PeerRequest::Feed {
        transfer: parse_segment(transfer)?,
        lane,
        after: parameters.number("after", u64::MAX, Some(0))?,
        limit: small(parameters.number(
            "limit",
            BATCH_EVENTS_MAX.into(),
            Some(BATCH_EVENTS_MAX.into()),
        )?),
        wait_ms: small(parameters.number("wait", POLL_WAIT_MS_MAX.into(), Some(0))?),
    })
}

fn parse_entries(query: Option<&str>) -> Result<PeerRequest, Problem> {
    let parameters = Parameters::parse(query, &["from", "log", "epoch"])?;
    let log = match parameters.get("log") {
        None => LogSide::Written,
        Some(name) => LogSide::ALL
            .into_iter()
            .find(|log| log.as_str() == name)
            .ok_or_else(|| problem::parameter("log", "write `written`, `mirrored` or `anchor`"))?,
    };
    let epoch = match parameters.get("epoch") {
        None => None,
        Some(_) => Some(small(parameters.number("epoch", u32::MAX.into(), None)?)),
    };
    Ok(PeerRequest::Entries {
        log,
        epoch,
        from: parameters.number("from", u64::MAX, None)?,
    })
}

pub(super) fn small(number: u64) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

/// A manifest of two parties, or a message of mediation: told apart by its one member.
fn parse_cooperation(body: &[u8]) -> Result<PeerRequest, Problem> {
    // The usual one first; what is neither is told what is wrong with it as the one that it looks like.
    if let Ok(message) = serde_json::from_slice(body) {
        return Ok(PeerRequest::Cooperation(message));
    }
    let value: serde_json::Value = parse_json(body)?;
    let mediates = ["proposal", "answer"]
        .into_iter()
        .any(|name| value.get(name).is_some());
    if mediates {
        return parse_json(body).map(PeerRequest::Mediation);
    }
    parse_json(body).map(PeerRequest::Cooperation)
}

fn parse_lookup(transfer: &str, body: &[u8]) -> Result<PeerRequest, Problem> {
    let envelope: Envelope<crate::exchange::wire::LookupRequest> = parse_envelope(body)?;
    let items = envelope.body.items.len();
    if items == 0 || items > LOOKUP_ITEMS_MAX {
        return Err(malformed(
            "/body/items",
            format!("`{items}` items; send 1 to {LOOKUP_ITEMS_MAX}"),
        ));
    }
    Ok(PeerRequest::Lookup {
        transfer: parse_segment(transfer)?,
        envelope,
    })
}

fn parse_envelope<T: DeserializeOwned>(body: &[u8]) -> Result<Envelope<T>, Problem> {
    let envelope: Envelope<T> = parse_json(body)?;
    if envelope.evidence.leaves.len() > ENVELOPE_LEAVES_MAX {
        return Err(malformed(
            "/evidence/leaves",
            format!("too many leaves; send at most {ENVELOPE_LEAVES_MAX}"),
        ));
    }
    Ok(envelope)
}

/// Reads one JSON document and nothing after it.
///
/// # Errors
/// 400 `malformed` with the pointer of the part that does not fit. The detail names what was expected
/// and never repeats a value: it may be personal data.
pub fn parse_json<T: DeserializeOwned>(body: &[u8]) -> Result<T, Problem> {
    // Most bodies are what they should be: which part is not is looked for only then.
    serde_json::from_slice(body).or_else(|_| placed(body))
}

/// The same, with the place of what does not fit.
fn placed<T: DeserializeOwned>(body: &[u8]) -> Result<T, Problem> {
    let mut source = serde_json::Deserializer::from_slice(body);
    let value = serde_path_to_error::deserialize(&mut source).map_err(|error| {
        let pointer = if error.inner().is_data() {
            to_pointer(error.path())
        } else {
            String::new()
        };
        malformed(&pointer, describe(error.inner()))
    })?;
    source
        .end()
        .map_err(|_| malformed("", "text after the JSON document; send one document".into()))?;
    Ok(value)
}

fn to_pointer(path: &serde_path_to_error::Path) -> String {
    use serde_path_to_error::Segment;
    path.iter().fold(String::new(), |pointer, segment| {
        let part = match segment {
            Segment::Seq { index } => index.to_string(),
            Segment::Map { key } => key.replace('~', "~0").replace('/', "~1"),
            Segment::Enum { variant } => variant.clone(),
            Segment::Unknown => "?".into(),
        };
        format!("{pointer}/{part}")
    })
}

/// What serde says, without the values that it quotes: those may be personal data.
fn describe(error: &serde_json::Error) -> String {
    let place = format!("line {} column {}", error.line(), error.column());
    if !error.is_data() {
        return format!("no JSON at {place}; send one complete document in UTF-8");
    }
    let text = error.to_string();
    let names_fields = ["missing field `", "unknown field `", "duplicate field `"];
    if names_fields.iter().any(|start| text.starts_with(start)) {
        return text;
    }
    if let Some((_, remedy)) = text.rsplit_once("` is no ") {
        return format!("no {remedy}");
    }
    match text.find("expected ") {
        Some(at) => text.get(at..).unwrap_or_default().into(),
        None => format!("a value that the field does not take, at {place}"),
    }
}

/// An answer as HTTP carries it: status and JSON body, empty where there is none.
pub fn encode_answer(answer: &PeerAnswer) -> (u16, Vec<u8>) {
    match answer {
        PeerAnswer::Dsp { status, body, .. } if body.is_null() => (*status, Vec::new()),
        PeerAnswer::Dsp { status, body, .. } => (*status, to_json(body)),
        PeerAnswer::Feed(envelope) => (200, to_json(envelope)),
        PeerAnswer::Lookup(envelope) => (200, to_json(envelope)),
        PeerAnswer::Evidence(evidence) => (200, to_json(evidence)),
        PeerAnswer::Mirror(view) => (200, to_json(view)),
        PeerAnswer::Cooperation(message) => (200, to_json(message)),
        PeerAnswer::Mediation(taken) => (200, to_json(taken)),
        PeerAnswer::Problem(problem) => (problem.status, to_json(&problem::to_json(problem))),
    }
}

/// What a partner answered to `request`.
///
/// # Errors
/// Why it is no answer, for the log: another status or shape than the endpoint has, or beyond a limit.
pub fn parse_answer(request: &PeerRequest, status: u16, body: &[u8]) -> Result<PeerAnswer, String> {
    if let PeerRequest::Dsp { .. } = request {
        let body = match body.is_empty() {
            true => serde_json::Value::Null,
            // What refuses may be a proxy that speaks no JSON: the status is what counts.
            false if status >= 400 => answer_json(body).unwrap_or_default(),
            false => answer_json(body)?,
        };
        let link = None;
        return Ok(PeerAnswer::Dsp { status, body, link });
    }
    if status != 200 {
        return problem::from_json(status, body)
            .map(PeerAnswer::Problem)
            .ok_or_else(|| format!("status `{status}` without problem details"));
    }
    match request {
        PeerRequest::Feed { lane, limit, .. } => {
            let envelope: Envelope<crate::exchange::wire::FeedBatch> = answer_json(body)?;
            check_leaves(&envelope.evidence)?;
            if envelope.body.events.len() > *limit as usize || envelope.body.lane != *lane {
                return Err("a batch of another lane or larger than asked for".into());
            }
            Ok(PeerAnswer::Feed(envelope))
        }
        PeerRequest::Lookup {
            envelope: asked, ..
        } => {
            let envelope: Envelope<crate::exchange::wire::LookupAnswer> = answer_json(body)?;
            check_leaves(&envelope.evidence)?;
            if envelope.body.items.len() != asked.body.items.len() {
                return Err("another number of outcomes than items".into());
            }
            Ok(PeerAnswer::Lookup(envelope))
        }
        PeerRequest::Checkpoint => {
            let view: MirrorView = answer_json(body)?;
            let epochs = view.mirrored.len().max(view.written.past.len());
            let rotations = view.rotations.len().max(view.written.rotations.len());
            if epochs > EPOCHS_SHOWN_MAX || rotations > ROTATIONS_SHOWN_MAX {
                return Err(format!("more than {EPOCHS_SHOWN_MAX} epochs or rotations"));
            }
            Ok(PeerAnswer::Mirror(view))
        }
        PeerRequest::Receipt { .. } | PeerRequest::Entries { .. } | PeerRequest::Notice(_) => {
            let evidence: Evidence = answer_json(body)?;
            check_leaves(&evidence)?;
            Ok(PeerAnswer::Evidence(evidence))
        }
        PeerRequest::Cooperation(_) => answer_json(body).map(PeerAnswer::Cooperation),
        PeerRequest::Mediation(_) => answer_json(body).map(PeerAnswer::Mediation),
        PeerRequest::Dsp { .. } => Err("not reached: answered above".into()),
    }
}

fn answer_json<T: DeserializeOwned>(body: &[u8]) -> Result<T, String> {
    parse_json(body).map_err(|problem| {
        let field = problem.errors.first();
        let pointer = field.map_or("", |error| error.pointer.as_str());
        let detail = field.map_or("", |error| error.detail.as_str());
        format!("`{pointer}`: {detail}")
    })
}

fn check_leaves(evidence: &Evidence) -> Result<(), String> {
    if evidence.leaves.len() > ENVELOPE_LEAVES_MAX {
        return Err(format!("more than {ENVELOPE_LEAVES_MAX} leaves"));
    }
    Ok(())
}

/// One path segment, percent-encoded (RFC 3986 section 3.3).
pub fn encode_segment(text: &str) -> String {
    use std::fmt::Write as _;
    text.bytes().fold(String::new(), |mut out, byte| {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~' | b':') {
            out.push(byte.into());
        } else {
            // Writing to a String cannot fail.
            let _ = write!(out, "%{byte:02X}");
        }
        out
    })
}

/// The text of one path segment, or `None` if its percent-encoding is broken.
pub fn decode_segment(segment: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(segment.len());
    let mut rest = segment.as_bytes();
    while let [byte, tail @ ..] = rest {
        rest = tail;
        if *byte != b'%' {
            bytes.push(*byte);
            continue;
        }
        let [high, low, tail @ ..] = rest else {
            return None;
        };
        let digit = |b: &u8| {
            char::from(*b)
                .to_digit(16)
                .and_then(|d| u8::try_from(d).ok())
        };
        bytes.push(digit(high)? << 4 | digit(low)?);
        rest = tail;
    }
    String::from_utf8(bytes).ok()
}

pub(super) fn parse_segment(segment: &str) -> Result<WireId, Problem> {
    decode_segment(segment)
        .and_then(|text| WireId::parse(&text).ok())
        .ok_or_else(problem::not_found)
}

/// Query parameters: known names, each once.
pub(super) struct Parameters<'a>(Vec<(&'a str, &'a str)>);

impl<'a> Parameters<'a> {
    pub(super) fn parse(query: Option<&'a str>, known: &[&str]) -> Result<Self, Problem> {
        let mut found: Vec<(&str, &str)> = Vec::new();
        for pair in query
            .unwrap_or_default()
            .split('&')
            .filter(|p| !p.is_empty())
        {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            if !known.contains(&name) {
                return Err(problem::parameter(
                    &name.chars().take(32).collect::<String>(),
                    "there is no such parameter here; leave it out",
                ));
            }
            if found.iter().any(|(seen, _)| *seen == name) {
                return Err(problem::parameter(name, "give it once"));
            }
            found.push((name, value));
        }
        Ok(Self(found))
    }

    pub(super) fn get(&self, name: &str) -> Option<&'a str> {
        self.0
            .iter()
            .find(|(found, _)| *found == name)
            .map(|(_, value)| *value)
    }

    pub(super) fn number(
        &self,
        name: &str,
        max: u64,
        default: Option<u64>,
    ) -> Result<u64, Problem> {
        let bad = || problem::parameter(name, &format!("write a whole number from 0 to {max}"));
        match (self.get(name), default) {
            (None, Some(default)) => Ok(default),
            (None, None) => Err(bad()),
            (Some(text), _) if text.bytes().all(|b| b.is_ascii_digit()) => text
                .parse()
                .ok()
                .filter(|number| *number <= max)
                .ok_or_else(bad),
            (Some(_), _) => Err(bad()),
        }
    }
}

#[cfg(test)]
mod tests;
