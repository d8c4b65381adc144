//! `offer` and `catalog`: what we offer, what they offer; terms from flags.

use interlock_core::contact::ContactForm;
use interlock_core::dataset::{Dataset, DatasetForm};
use interlock_core::ids::Marketplace;
use interlock_core::terms::{
    Backlog, EvidenceKind, Field, Notifier, Purpose, RUN_OFF_MS_MAX, Terms, check_combination,
};
use interlock_core::time::{DAY_MS, Timestamp, Zone};
use serde_json::{Value, json};

use super::args::{Common, OfferArguments, OfferCommand, TermArguments};
use super::error::CliError;
use super::output::Output;
use super::{Around, place};
use crate::identity::url::segment;
use crate::local_api::PAGE_MAX;
use crate::node::agreements::approver::dataset_of;

/// How long an offer holds if nothing is said: a year of 365 days.
const TERM_DEFAULT_DAYS: i64 = 365;
/// Within which time a consumer deletes contacts and codes if nothing is said.
const DELETE_AFTER_DEFAULT_MS: i64 = 30 * DAY_MS;

/// Runs a command.
pub(super) fn run(
    command: &OfferCommand,
    common: &Common,
    around: &Around<'_>,
    output: &mut Output<'_>,
) -> Result<(), CliError> {
    match command {
        OfferCommand::List => {
            let answer = all(&place::client(common, around)?)?;
            let columns = [
                ("offer", "/id"),
                ("dataset", "/dataset"),
                ("from", "/from"),
                ("until", "/until"),
                ("to", "/audience"),
                ("auto accept", "/autoAccept"),
            ];
            output.table(
                &answer,
                "/offers",
                &columns,
                "no offers; `interlock offer publish` makes one",
            )
        }
        OfferCommand::Publish(arguments) => publish(arguments, common, around, output),
        OfferCommand::Put { file } => {
            let body = super::json_file(&around.directory.join(file))?;
            let answer = place::client(common, around)?.put("/offers", &body)?;
            output.card(&answer, &[("taken", "/taken"), ("changed", "/changed")])
        }
        OfferCommand::Withdraw { id } => {
            let path = format!("/offers/{}", segment(id.as_str()));
            let answer = place::client(common, around)?.delete(&path)?;
            if output.json {
                return output.json(&answer);
            }
            output.line(&format!("`{id}` is withdrawn"))
        }
    }
}

/// Every page of our offers as one.
fn all(client: &super::client::Client) -> Result<Value, CliError> {
    let mut offers = Vec::new();
    let mut path = format!("/offers?limit={PAGE_MAX}");
    loop {
        let mut page = client.get(&path)?;
        if let Some(Value::Array(found)) = page.pointer_mut("/offers").map(Value::take) {
            offers.extend(found);
        }
        let Some(next) = page.pointer("/next").and_then(Value::as_str) else {
            return Ok(json!({ "offers": offers }));
        };
        path = format!("/offers?limit={PAGE_MAX}&after={}", segment(next));
    }
}

fn publish(
    arguments: &OfferArguments,
    common: &Common,
    around: &Around<'_>,
    output: &mut Output<'_>,
) -> Result<(), CliError> {
    let dataset = &arguments.dataset;
    let kind = dataset_of(dataset)
        .ok_or_else(|| CliError::Usage(format!("`{dataset}` is no dataset of the profile")))?;
    let policy = match &arguments.policy {
        Some(path) => super::json_file(&around.directory.join(path))?,
        None => {
            let known = place::config(common, around).ok();
            let zone = known
                .as_ref()
                .map_or(Zone::CHINA, |config| config.participant.zone);
            let ours = known.map(|config| config.participant.marketplaces);
            let ours = ours.unwrap_or_default();
            let terms = terms(kind, &arguments.terms, &ours, zone, around.now());
            check(&terms)?;
            terms.to_policy()
        }
    };
    let id = arguments
        .id
        .as_ref()
        .map_or(dataset.as_str(), |id| id.as_str());
    let body = json!({
        "id": id,
        "dataset": dataset,
        "policy": policy,
        "audience": arguments.audience,
        "autoAccept": arguments.auto_accept,
    });
    let answer = place::client(common, around)?.post("/offers", Some(&body))?;
    if output.json {
        return output.json(&answer);
    }
    output.line(&format!("`{id}` is offered"))?;
    super::agreement::print_terms(&answer, false, output)
}

/// Says at once what the node would refuse, in the words of the flags.
fn check(terms: &Terms) -> Result<(), CliError> {
    let Err(errors) = check_combination(terms) else {
        return Ok(());
    };
    let lines: Vec<String> = errors
        .iter()
        .map(|error| format!("\n  --{}: {error}", flag(error.key())))
        .collect();
    Err(CliError::Usage(format!(
        "the terms do not fit together:{}",
        lines.concat()
    )))
}

/// The flag that sets a term.
const fn flag(key: interlock_core::terms::TermKey) -> &'static str {
    use interlock_core::terms::TermKey;
    match key {
        TermKey::Dataset => "dataset",
        TermKey::Term => "until",
        TermKey::Purpose => "purpose",
        TermKey::Scope => "marketplace",
        TermKey::Fields => "field",
        TermKey::ContactForm => "contact-form",
        TermKey::QuotaPerDay => "quota-per-day",
        TermKey::QuotaPerParcel => "quota-per-parcel",
        TermKey::Evidence => "evidence",
        TermKey::Notifier => "notifier",
        TermKey::RunOff => "run-off",
        TermKey::Backlog => "backlog",
        TermKey::CoversFrom => "covers-from",
        TermKey::Deletion => "delete-after",
        TermKey::Reciprocity => "reciprocate",
        TermKey::Redisclosure => "policy",
    }
}

/// The terms that flags say, with what suits the dataset where they say nothing.
///
/// `ours` are the marketplaces of our configuration. Parcel data gets a run-off of seven days, so that
/// no parcel in a locker is stranded by the end of the term; feeds of it wait while nothing is in
/// force; nothing may be passed on.
pub(super) fn terms(
    dataset: Dataset,
    said: &TermArguments,
    ours: &[Marketplace],
    zone: Zone,
    now: Timestamp,
) -> Terms {
    let parcels = dataset.is_parcel_data();
    let zone = said.until.or(said.from).map_or(zone, |(_, zone)| zone);
    let end = zone.day_start(zone.day_of(now).saturating_add(TERM_DEFAULT_DAYS));
    let defaults = Defaults::of(dataset);
    let notifier = said.notifier.or(defaults.notifier);
    let marketplaces = match (parcels, said.marketplaces.is_empty()) {
        (_, false) => said.marketplaces.as_slice(),
        (true, true) => ours,
        (false, true) => &[],
    };
    let feed = dataset.form() == DatasetForm::Feed;
    Terms {
        dataset,
        from: said.from.map_or(now, |(at, _)| at),
        until: said.until.map_or(end, |(at, _)| at),
        zone,
        purposes: or(&said.purposes, defaults.purposes),
        marketplaces: marketplaces.iter().cloned().collect(),
        fields: or(&said.fields, Field::of(dataset)),
        contact_forms: or(&said.contact_forms, defaults.contact_forms),
        quota_per_day: said.quota_per_day,
        quota_per_parcel: said.quota_per_parcel,
        evidence: or(&said.evidence, defaults.evidence),
        notifier,
        run_off_ms: said.run_off.or(parcels.then_some(RUN_OFF_MS_MAX)),
        backlog: said.backlog.or((parcels && feed).then_some(Backlog::Hold)),
        covers_from: said.covers_from.map(|(at, _)| at),
        delete_after_ms: said.delete_after.or(defaults.delete_after_ms),
        reciprocate: said.reciprocate,
        no_redisclosure: parcels,
    }
}

fn or<T: Copy + Ord>(said: &[T], default: &[T]) -> std::collections::BTreeSet<T> {
    let chosen = if said.is_empty() { default } else { said };
    chosen.iter().copied().collect()
}

/// What suits a dataset.
struct Defaults {
    purposes: &'static [Purpose],
    contact_forms: &'static [ContactForm],
    evidence: &'static [EvidenceKind],
    notifier: Option<Notifier>,
    delete_after_ms: Option<i64>,
}

impl Defaults {
    const fn of(dataset: Dataset) -> Self {
        const fn plain(purposes: &'static [Purpose]) -> Defaults {
            Defaults {
                purposes,
                contact_forms: &[],
                evidence: &[],
                notifier: None,
                delete_after_ms: None,
            }
        }
        match dataset {
            Dataset::PreAdvice => plain(&[Purpose::Ownership, Purpose::LockerOperation]),
            Dataset::RecipientContact => Self {
                purposes: &[Purpose::PickupNotification],
                contact_forms: &[ContactForm::Virtual],
                evidence: &[EvidenceKind::Arrival, EvidenceKind::Deposit],
                notifier: Some(Notifier::Operator),
                delete_after_ms: Some(DELETE_AFTER_DEFAULT_MS),
            },
            Dataset::LockerEvents | Dataset::TrackingEvents => plain(&[Purpose::DeliveryTracking]),
            Dataset::PickupCode => Self {
                purposes: &[Purpose::DeliveryTracking],
                contact_forms: &[ContactForm::Sealed],
                evidence: &[],
                notifier: None,
                delete_after_ms: Some(DELETE_AFTER_DEFAULT_MS),
            },
            Dataset::LockerStations => plain(&[Purpose::LockerOperation]),
            Dataset::CooperationStatus => plain(&[Purpose::Mediation]),
            Dataset::ExchangeStatistics => plain(&[Purpose::Statistics]),
        }
    }
}

/// `catalog`
pub(super) fn catalog(
    partner: &interlock_core::ids::ParticipantId,
    common: &Common,
    around: &Around<'_>,
    output: &mut Output<'_>,
) -> Result<(), CliError> {
    let path = format!("/partners/{}/catalog", segment(partner.as_str()));
    let answer = place::client(common, around)?.get(&path)?;
    if output.json {
        return output.json(&answer);
    }
    let offers = answer.pointer("/offers").and_then(Value::as_array);
    let offers = offers.map(Vec::as_slice).unwrap_or_default();
    if offers.is_empty() {
        return output.line(&format!(
            "`{partner}` offers us nothing; ask it to publish an offer to us"
        ));
    }
    for offer in offers {
        let text = |pointer| {
            offer
                .pointer(pointer)
                .and_then(Value::as_str)
                .unwrap_or("-")
        };
        output.heading(&format!(
            "{}  {}  assurance: {}",
            text("/id"),
            text("/dataset"),
            assurance(text("/assurance"))
        ))?;
        match offer.pointer("/problem").and_then(Value::as_str) {
            Some(problem) => output.line(&format!("  cannot be agreed on here: {problem}"))?,
            None => super::agreement::print_terms(offer, false, output)?,
        }
    }
    Ok(())
}

/// By what agreements with a partner are attested, for people.
fn assurance(name: &str) -> String {
    match name {
        "signed" => "signed (both sign a manifest)".into(),
        other => format!("{other} (its connector signs no manifest)"),
    }
}

#[cfg(test)]
mod tests {
    use interlock_core::terms::parse_policy;

    use super::*;

    #[test]
    fn the_defaults_of_every_dataset_can_be_agreed_on() {
        let now = Timestamp::parse_zoned("2017-06-03T12:00:00+08:00")
            .unwrap()
            .0;
        let ours = [Marketplace::parse("taobao").unwrap()];
        for dataset in Dataset::ALL {
            let terms = terms(dataset, &TermArguments::default(), &ours, Zone::CHINA, now);
            assert_eq!(check_combination(&terms), Ok(()), "{dataset}");
            assert_eq!(parse_policy(&terms.to_policy(), dataset), Ok(terms.clone()));
            assert_eq!(
                terms.until.to_rfc3339(Zone::CHINA),
                "2018-06-03T00:00:00+08:00"
            );
            assert_eq!(terms.run_off_ms.is_some(), dataset.is_parcel_data());
        }
    }

    #[test]
    fn what_is_said_counts_and_what_does_not_fit_is_named_by_its_flag() {
        let now = Timestamp::parse_zoned("2017-06-03T12:00:00+08:00")
            .unwrap()
            .0;
        let until = Timestamp::parse_zoned("2017-07-01T00:00:00+09:00").unwrap();
        let said = TermArguments {
            until: Some(until),
            fields: vec![Field::Waybill],
            notifier: Some(Notifier::Owner),
            run_off: Some(DAY_MS),
            quota_per_day: Some(9),
            ..TermArguments::default()
        };
        let terms = terms(Dataset::LockerEvents, &said, &[], Zone::CHINA, now);
        assert_eq!((terms.until, terms.zone.minutes()), (until.0, 540));
        assert_eq!(
            (terms.run_off_ms, terms.quota_per_day),
            (Some(DAY_MS), Some(9))
        );
        let error = check(&terms).unwrap_err();
        assert_eq!(error.code(), 2);
        let text = error.to_string();
        for flag in ["--marketplace", "--field", "--purpose"] {
            assert!(text.contains(flag), "{flag}: {text}");
        }
    }
}
