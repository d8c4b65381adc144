//! The words of the Core Business Vocabulary (CBV 2.0 sections 7.1 and 7.2), and what they mean for a
//! parcel.
//!
//! Invariant: a CBV word that has no meaning for a parcel, and any word of others, is kept as it came
//! (`Step::Other`); a word that claims to be CBV and is not is refused. Three words are traps and get
//! no meaning here: `collecting` (waste disposal), the disposition `recalled` (public safety), and
//! `storing` without `overdue`.

use std::borrow::Cow;

use interlock_core::event::Step;

use super::uri::{decode, encode, is_uri};
use super::{NAMESPACE, PREFIX, TEXT_BYTES_MAX};

const BIZ_STEPS: [&str; 41] = [
    "accepting",
    "arriving",
    "assembling",
    "collecting",
    "commissioning",
    "consigning",
    "creating_class_instance",
    "cycle_counting",
    "decommissioning",
    "departing",
    "destroying",
    "disassembling",
    "dispensing",
    "encoding",
    "entering_exiting",
    "holding",
    "inspecting",
    "installing",
    "killing",
    "loading",
    "other",
    "packing",
    "picking",
    "receiving",
    "removing",
    "repackaging",
    "repairing",
    "replacing",
    "reserving",
    "retail_selling",
    "sampling",
    "sensor_reporting",
    "shipping",
    "staging_outbound",
    "stock_taking",
    "stocking",
    "storing",
    "transporting",
    "unloading",
    "unpacking",
    "void_shipping",
];

const DISPOSITIONS: [&str; 33] = [
    "active",
    "available",
    "completeness_inferred",
    "completeness_verified",
    "conformant",
    "container_closed",
    "container_open",
    "damaged",
    "destroyed",
    "dispensed",
    "disposed",
    "encoded",
    "expired",
    "in_progress",
    "in_transit",
    "inactive",
    "mismatch_class",
    "mismatch_instance",
    "mismatch_quantity",
    "needs_replacement",
    "no_pedigree_match",
    "non_conformant",
    "non_sellable_other",
    "partially_dispensed",
    "recalled",
    "reserved",
    "retail_sold",
    "returned",
    "sellable_accessible",
    "sellable_not_accessible",
    "stolen",
    "unavailable",
    "unknown",
];

/// Which list a word comes from.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum List {
    BizStep,
    Disposition,
}

impl List {
    fn words(self) -> &'static [&'static str] {
        match self {
            Self::BizStep => &BIZ_STEPS,
            Self::Disposition => &DISPOSITIONS,
        }
    }

    /// What precedes the word in a CBV URN, in the GS1 web vocabulary, and in a compact URI.
    fn prefixes(self) -> [&'static str; 3] {
        match self {
            Self::BizStep => [
                "urn:epcglobal:cbv:bizstep:",
                "https://ref.gs1.org/cbv/BizStep-",
                "cbv:BizStep-",
            ],
            Self::Disposition => [
                "urn:epcglobal:cbv:disp:",
                "https://ref.gs1.org/cbv/Disp-",
                "cbv:Disp-",
            ],
        }
    }
}

/// A word of a vocabulary.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Word<'a> {
    /// CBV's own.
    Cbv(&'static str),
    /// Interlock's, without [`NAMESPACE`].
    Own(Cow<'a, str>),
    /// A URI of somebody else.
    Foreign(Cow<'a, str>),
}

/// Why a text is no word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NotAWord {
    /// Looks like CBV, but CBV has no such word.
    NotInCbv,
    /// Neither a bare word nor a URI of at most [`TEXT_BYTES_MAX`].
    NoUri,
}

/// Recognises a word in any of its forms; `prefix` is what the document calls [`NAMESPACE`].
pub(super) fn word<'a>(
    list: List,
    text: &'a str,
    prefix: Option<&str>,
) -> Result<Word<'a>, NotAWord> {
    let bare = if text.contains(':') {
        list.prefixes()
            .into_iter()
            .find_map(|p| text.strip_prefix(p))
    } else {
        Some(text)
    };
    if let Some(bare) = bare {
        let known = list.words().iter().find(|known| **known == bare);
        return known
            .map(|known| Word::Cbv(known))
            .ok_or(NotAWord::NotInCbv);
    }
    let reserved = ["urn:epcglobal:cbv", "https://ref.gs1.org/", "cbv:"];
    if reserved.iter().any(|r| text.starts_with(r)) {
        return Err(NotAWord::NotInCbv);
    }
    let own = text.strip_prefix(NAMESPACE).or_else(|| {
        let (before, after) = text.split_once(':')?;
        (Some(before) == prefix).then_some(after)
    });
    if let Some(own) = own {
        return Ok(Word::Own(own.into()));
    }
    if !is_uri(text) || text.len() > TEXT_BYTES_MAX {
        return Err(NotAWord::NoUri);
    }
    Ok(Word::Foreign(text.into()))
}

/// The canonical URI of a word of `list`, for the event's hash.
pub(super) fn canonical(list: List, text: &str) -> String {
    match word(list, text, None) {
        Ok(Word::Cbv(known)) => {
            let [_, web, _] = list.prefixes();
            format!("{web}{known}")
        }
        Ok(Word::Own(_) | Word::Foreign(_)) | Err(_) => text.into(),
    }
}

/// How a step is written.
pub(super) struct Form {
    pub(super) action: &'static str,
    pub(super) biz_step: Cow<'static, str>,
    pub(super) disposition: Option<&'static str>,
    /// `persistentDisposition` sets `overdue`.
    pub(super) overdue: bool,
    /// The parcel stays where the event happened.
    pub(super) stays: bool,
}

/// The form of `step` (the table of the module above).
pub(super) fn form(step: &Step) -> Form {
    let (biz_step, disposition, stays): (Cow<'static, str>, _, _) = match step {
        Step::Issued => ("commissioning".into(), Some("active"), false),
        Step::Accepted => ("accepting".into(), Some("in_progress"), false),
        Step::Arrived => ("arriving".into(), Some("in_progress"), true),
        Step::Departed => ("shipping".into(), Some("in_transit"), false),
        Step::OutForDelivery => ("departing".into(), Some("in_transit"), false),
        Step::Delivered | Step::PickedUp => ("accepting".into(), None, false),
        Step::DeliveryFailed => ("other".into(), None, false),
        Step::Deposited => ("accepting".into(), Some("in_progress"), true),
        Step::Notified => (format!("{NAMESPACE}notified").into(), None, false),
        Step::Overdue => ("storing".into(), None, true),
        Step::Recalled => ("accepting".into(), Some("returned"), false),
        Step::Redirected => (format!("{NAMESPACE}redirected").into(), None, false),
        Step::Extended => (format!("{NAMESPACE}extended").into(), None, true),
        Step::Other(code) => (other_code(code).into(), None, false),
    };
    Form {
        action: match step {
            Step::Issued => "ADD",
            Step::Accepted
            | Step::Arrived
            | Step::Departed
            | Step::OutForDelivery
            | Step::Delivered
            | Step::DeliveryFailed
            | Step::Deposited
            | Step::Notified
            | Step::PickedUp
            | Step::Overdue
            | Step::Recalled
            | Step::Redirected
            | Step::Extended
            | Step::Other(_) => "OBSERVE",
        },
        biz_step,
        disposition,
        overdue: *step == Step::Overdue,
        stays,
    }
}

/// A code as it came if it is a word that means nothing else, in Interlock's namespace otherwise.
fn other_code(code: &str) -> String {
    let itself = Step::Other(code.into());
    match word(List::BizStep, code, Some(PREFIX)) {
        Ok(word) if infer(&word, &Facts::default()) == itself => code.into(),
        Ok(_) | Err(_) => format!("{NAMESPACE}code/{}", encode(code)),
    }
}

/// What else an event says that tells steps with the same word apart.
#[derive(Default)]
pub(super) struct Facts {
    pub(super) returned: bool,
    pub(super) overdue: bool,
    pub(super) has_source: bool,
    pub(super) has_destination: bool,
    pub(super) at_station: bool,
    pub(super) has_biz_location: bool,
}

/// The step of an event that does not say `il:step`.
pub(super) fn infer(biz_step: &Word<'_>, facts: &Facts) -> Step {
    let cbv = match biz_step {
        Word::Cbv(known) => *known,
        Word::Own(own) => return own_step(own),
        Word::Foreign(uri) => return Step::Other(uri.as_ref().into()),
    };
    match cbv {
        "commissioning" => Step::Issued,
        "arriving" | "receiving" => Step::Arrived,
        "accepting" | "shipping" if facts.returned => Step::Recalled,
        "accepting" if facts.has_source && !facts.has_destination => Step::PickedUp,
        "accepting" if facts.at_station => Step::Deposited,
        "accepting" => Step::Accepted,
        "shipping" => Step::Departed,
        "departing" if facts.has_biz_location => Step::Departed,
        "departing" => Step::OutForDelivery,
        "storing" if facts.overdue => Step::Overdue,
        another => Step::Other(another.into()),
    }
}

fn own_step(own: &str) -> Step {
    let code = own
        .strip_prefix("code/")
        .and_then(decode)
        .filter(|code| !code.is_empty() && code.len() <= TEXT_BYTES_MAX);
    match (own, code) {
        ("notified", _) => Step::Notified,
        ("redirected", _) => Step::Redirected,
        ("extended", _) => Step::Extended,
        (_, Some(code)) => Step::Other(code),
        (another, None) => Step::Other(format!("{NAMESPACE}{another}")),
    }
}

/// The step with this name on the wire.
pub(super) fn named_step(name: &str) -> Option<Step> {
    [
        Step::Issued,
        Step::Accepted,
        Step::Arrived,
        Step::Departed,
        Step::OutForDelivery,
        Step::Delivered,
        Step::DeliveryFailed,
        Step::Deposited,
        Step::Notified,
        Step::PickedUp,
        Step::Overdue,
        Step::Recalled,
        Step::Redirected,
        Step::Extended,
    ]
    .into_iter()
    .find(|step| step.as_str() == name)
}
