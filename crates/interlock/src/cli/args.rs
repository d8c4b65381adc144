//! The commands and their flags.
//!
//! INVARIANT: names here are kept stable; the page of help and the manual are made of them.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};
use interlock_core::contact::ContactForm;
use interlock_core::dataset::Dataset;
use interlock_core::ids::{Marketplace, ParticipantId, StationId, WireId};
use interlock_core::terms::{Backlog, EvidenceKind, Field, Notifier, Purpose};
use interlock_core::time::{DAY_MS, HOUR_MS, Timestamp, Zone};
use interlock_core::waybill::CarrierCode;

use crate::identity::keys::PublicKey;
use crate::identity::partner::Role as ParticipantRole;
use crate::identity::tls::CertificatePin;
use crate::identity::url::BaseUrl;

/// One participant's node: agreements, exchange of parcel data, evidence.
#[derive(Debug, Parser)]
#[command(name = "interlock", version, max_term_width = 100)]
#[command(
    after_help = "Exit codes: 0 done, 1 failed, 2 wrong usage or configuration, 3 denied by a \
                        term, 4 verification failed, 5 counterparty unreachable."
)]
pub(super) struct Arguments {
    /// Where the running node and its configuration are.
    #[command(flatten)]
    pub(super) common: Common,
    /// The command.
    #[command(subcommand)]
    pub(super) command: Command,
}

/// Flags of every command.
#[derive(Debug, Args)]
pub(super) struct Common {
    /// Configuration of the node; `interlock.toml` in this directory if not given
    #[arg(long, global = true, value_name = "FILE")]
    pub(super) config: Option<PathBuf>,
    /// Address of the local API; from the configuration if not given
    #[arg(long, global = true, value_name = "URL", value_parser = BaseUrl::parse)]
    pub(super) url: Option<BaseUrl>,
    /// File with the API key; the variable INTERLOCK_KEY if not given
    #[arg(long, global = true, value_name = "FILE")]
    pub(super) key_file: Option<PathBuf>,
    /// Print JSON
    #[arg(long, global = true)]
    pub(super) json: bool,
}

/// A command.
#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Replay June 2017 on whole nodes of this machine
    Demo(DemoArguments),
    /// Make the directory of a new node: configuration, keys, an admin key shown once
    Init(InitArguments),
    /// Run the node
    Run,
    /// Check configuration, keys, store and whether partners can be reached
    Check,
    /// Who may talk to us
    #[command(subcommand)]
    Partner(PartnerCommand),
    /// What we offer
    #[command(subcommand)]
    Offer(OfferCommand),
    /// What a partner offers us
    Catalog {
        /// The partner's DID
        #[arg(value_parser = ParticipantId::parse)]
        partner: ParticipantId,
    },
    /// The life of agreements
    #[command(subcommand)]
    Agreement(super::agreement::AgreementCommand),
    /// Cooperations that a regulator proposes to two others
    #[command(subcommand)]
    Mediation(super::mediation::MediationCommand),
    /// Would this be released, and by which term not; changes nothing
    Explain(ExplainArguments),
    /// Which parcels, recipients and merchants the ends of agreements would touch; changes nothing
    Rehearse(super::rehearse::RehearseArguments),
    /// Parcels
    #[command(subcommand)]
    Parcel(ParcelCommand),
    /// Locker stations
    #[command(subcommand)]
    Station(StationCommand),
    /// The journal; needs no running node
    #[command(subcommand)]
    Journal(JournalCommand),
    /// What can be proved to somebody who trusts neither side
    #[command(subcommand)]
    Evidence(EvidenceCommand),
    /// Two participants' views of a period side by side, from the evidence of both
    Reconcile(super::reconcile::ReconcileArguments),
    /// How the node is
    Status,
    /// What happened in each week that is over, in rounded counts, for regulators
    Statistics,
    /// Copy the node into a new directory, while it runs
    Backup(super::backup::BackupArguments),
    /// Throw away what is derived from the journal and make it anew; the node must not run
    Rebuild,
    /// Make a node's directory from a copy
    Restore(super::backup::RestoreArguments),
    /// API keys of the node, and the key that it signs with
    #[command(subcommand)]
    Key(super::show::KeyCommand),
    /// Who may log in to the pages
    #[command(subcommand)]
    People(super::people::PeopleCommand),
    /// A messenger's key, contacts that were sealed to it, and calls to virtual numbers
    #[command(subcommand)]
    Messenger(super::messenger::MessengerCommand),
    /// Print completions for a shell
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
    /// Print the manual page
    Man,
}

/// Flags of `demo`.
#[derive(Clone, Debug, Args)]
pub struct DemoArguments {
    /// How many parcels to make up, or a file of them
    #[arg(long, value_name = "N or FILE", default_value = "5000")]
    pub parcels: OsString,
    /// Stop at this day of 2017, such as 2017-06-03
    #[arg(long, value_name = "DATE")]
    pub until: Option<String>,
    /// Leave nodes and pages up at the end
    #[arg(long)]
    pub stay: bool,
}

/// Flags of `init`.
#[derive(Debug, Args)]
pub(super) struct InitArguments {
    /// Directory to make
    pub(super) dir: PathBuf,
    /// Our DID, such as did:web:fengchao.example
    #[arg(long, value_parser = ParticipantId::parse)]
    pub(super) id: ParticipantId,
    /// Our name, as people see it
    #[arg(long)]
    pub(super) name: String,
    /// What we do: platform, locker-operator, carrier, regulator, messenger
    #[arg(long, value_parser = role)]
    pub(super) role: ParticipantRole,
    /// First of the four ports on loopback: exchange, local API, pages, metrics
    #[arg(long, default_value_t = 8440, value_parser = clap::value_parser!(u16).range(1..=65_532))]
    pub(super) port: u16,
    /// A marketplace whose parcels we own; may be repeated
    #[arg(long = "marketplace", value_parser = Marketplace::parse)]
    pub(super) marketplaces: Vec<Marketplace>,
}

/// `partner`
#[derive(Debug, Subcommand)]
pub(super) enum PartnerCommand {
    /// List a partner and pin its key
    Add(Box<PartnerArguments>),
    /// List the partners
    List,
    /// Show a partner; without DID, the lines that partners put into their configuration for us
    Show {
        /// The partner's DID
        #[arg(value_parser = ParticipantId::parse)]
        id: Option<ParticipantId>,
    },
    /// Take a partner off the list
    Remove {
        /// The partner's DID
        #[arg(value_parser = ParticipantId::parse)]
        id: ParticipantId,
    },
}

/// Flags of `partner add`.
#[derive(Debug, Args)]
pub(super) struct PartnerArguments {
    /// Its DID
    #[arg(long, value_parser = ParticipantId::parse, required_unless_present = "did_document")]
    pub(super) id: Option<ParticipantId>,
    /// Its name
    #[arg(long)]
    pub(super) name: String,
    /// What it does; may be repeated
    #[arg(long = "role", required = true, value_parser = role)]
    pub(super) roles: Vec<ParticipantRole>,
    /// Base address of its exchange door
    #[arg(long = "exchange-url", value_parser = BaseUrl::parse,
        required_unless_present = "did_document")]
    pub(super) exchange_url: Option<BaseUrl>,
    /// Its public key: multibase (z6Mk...) or 64 hexadecimal digits
    #[arg(long, value_parser = PublicKey::parse, required_unless_present = "did_document")]
    pub(super) key: Option<PublicKey>,
    /// Its DID document, instead of --id, --exchange-url and --key
    #[arg(long, value_name = "FILE")]
    pub(super) did_document: Option<PathBuf>,
    /// A marketplace whose parcels it owns; may be repeated
    #[arg(long = "marketplace", value_parser = Marketplace::parse)]
    pub(super) marketplaces: Vec<Marketplace>,
    /// A carrier for which it speaks, such as sf; may be repeated
    #[arg(long = "carrier", value_parser = CarrierCode::parse)]
    pub(super) carriers: Vec<CarrierCode>,
    /// SHA-256 of its TLS certificate
    #[arg(long, value_parser = CertificatePin::parse)]
    pub(super) certificate_pin: Option<CertificatePin>,
    /// It runs a connector that is not Interlock; --exchange-url is its Dataspace Protocol base
    #[arg(long)]
    pub(super) connector: bool,
    /// What its connector calls itself in offers and agreements, if not by its DID
    #[arg(long, value_name = "NAME", requires = "connector", value_parser = WireId::parse)]
    pub(super) connector_id: Option<WireId>,
    /// Agree with such a connector on parcel data too, with no manifest signed
    #[arg(long, requires = "connector")]
    pub(super) parcel_data_without_manifest: bool,
}

/// `offer`
#[derive(Debug, Subcommand)]
pub(super) enum OfferCommand {
    /// List our offers
    List,
    /// Offer a dataset; what is not said has a sensible default
    Publish(Box<OfferArguments>),
    /// Offer many datasets at once, or change them; all or none
    Put {
        /// JSON as `PUT /offers` takes it: `{"offers": [{"id", "dataset", "policy", ...}]}`
        file: PathBuf,
    },
    /// Withdraw an offer; agreements made from it stay
    Withdraw {
        /// The offer
        #[arg(value_parser = WireId::parse)]
        id: WireId,
    },
}

/// Flags of `offer publish`.
#[derive(Debug, Args)]
pub(super) struct OfferArguments {
    /// The dataset, such as locker-events; of several of a kind, KIND:NAME
    #[arg(long, value_parser = named_dataset)]
    pub(super) dataset: WireId,
    /// Name of the offer; that of the dataset if not given
    #[arg(long, value_parser = WireId::parse)]
    pub(super) id: Option<WireId>,
    /// To this partner only; may be repeated
    #[arg(long = "to", value_name = "DID", value_parser = ParticipantId::parse)]
    pub(super) audience: Vec<ParticipantId>,
    /// Accept requests within the offer without asking people
    #[arg(long)]
    pub(super) auto_accept: bool,
    /// Terms as an ODRL policy in a file, instead of the flags below
    #[arg(long, value_name = "FILE", conflicts_with_all = ["purposes", "marketplaces", "fields",
        "contact_forms", "quota_per_day", "quota_per_parcel", "evidence", "notifier", "from",
        "until", "run_off", "backlog", "covers_from", "delete_after", "reciprocate"])]
    pub(super) policy: Option<PathBuf>,
    /// What the terms are, by flags.
    #[command(flatten)]
    pub(super) terms: TermArguments,
}

/// Terms by flags.
#[derive(Debug, Default, Args)]
#[command(next_help_heading = "Terms")]
pub(super) struct TermArguments {
    /// What it may be asked for; may be repeated
    #[arg(long = "purpose", value_parser = purpose)]
    pub(super) purposes: Vec<Purpose>,
    /// Marketplaces whose parcels it covers; those of the configuration if not given
    #[arg(long = "marketplace", value_parser = Marketplace::parse)]
    pub(super) marketplaces: Vec<Marketplace>,
    /// What of an item leaves; everything if not given
    #[arg(long = "field", value_parser = field)]
    pub(super) fields: Vec<Field>,
    /// Forms in which a contact or code may leave: masked, sealed, virtual, full
    #[arg(long = "contact-form", value_parser = contact_form)]
    pub(super) contact_forms: Vec<ContactForm>,
    /// Distinct parcels a day
    #[arg(long, value_name = "N")]
    pub(super) quota_per_day: Option<u32>,
    /// Releases of one parcel
    #[arg(long, value_name = "N")]
    pub(super) quota_per_parcel: Option<u32>,
    /// Evidence of which any one opens a release: arrival, deposit
    #[arg(long, value_parser = evidence)]
    pub(super) evidence: Vec<EvidenceKind>,
    /// Who tells the recipient: operator, owner, carrier
    #[arg(long, value_parser = notifier)]
    pub(super) notifier: Option<Notifier>,
    /// From when, such as 2017-06-03T12:00:00+08:00; now if not given
    #[arg(long, value_name = "INSTANT", value_parser = Timestamp::parse_zoned)]
    pub(super) from: Option<(Timestamp, Zone)>,
    /// Until when; a year from now if not given
    #[arg(long, value_name = "INSTANT", value_parser = Timestamp::parse_zoned)]
    pub(super) until: Option<(Timestamp, Zone)>,
    /// How long parcels that qualified are still served after the end, such as P7D
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    pub(super) run_off: Option<i64>,
    /// What arises while nothing is in force: hold, drop
    #[arg(long, value_parser = backlog)]
    pub(super) backlog: Option<Backlog>,
    /// Covers what arose since this instant
    #[arg(long, value_name = "INSTANT", value_parser = Timestamp::parse_zoned)]
    pub(super) covers_from: Option<(Timestamp, Zone)>,
    /// The consumer deletes within this time, such as P30D
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    pub(super) delete_after: Option<i64>,
    /// We may stop, with notice, when the counterparty has stopped
    #[arg(long)]
    pub(super) reciprocate: bool,
}

/// Flags of `explain`.
#[derive(Debug, Args)]
pub(super) struct ExplainArguments {
    /// Who would get it
    #[arg(long, value_name = "DID", value_parser = ParticipantId::parse)]
    pub(super) partner: ParticipantId,
    /// The dataset
    #[arg(long, value_parser = dataset)]
    pub(super) dataset: Dataset,
    /// For what
    #[arg(long, value_parser = purpose)]
    pub(super) purpose: Purpose,
    /// About this parcel: carrier/number, or a number
    #[arg(long)]
    pub(super) waybill: Option<String>,
    /// Form of contact
    #[arg(long, value_parser = contact_form)]
    pub(super) form: Option<ContactForm>,
    /// At this time; now if not given
    #[arg(long, value_name = "INSTANT", value_parser = Timestamp::parse_zoned)]
    pub(super) at: Option<(Timestamp, Zone)>,
}

/// `parcel`
#[derive(Debug, Subcommand)]
pub(super) enum ParcelCommand {
    /// Show a parcel with its timeline
    Show {
        /// carrier/number, or a number that only one known carrier has
        waybill: String,
    },
}

/// `station`
#[derive(Debug, Subcommand)]
pub(super) enum StationCommand {
    /// List our stations and those that partners told us of
    List,
    /// Show a station of ours
    Show {
        /// The station
        #[arg(value_parser = StationId::parse)]
        id: StationId,
    },
}

/// `journal`
#[derive(Debug, Subcommand)]
pub(super) enum JournalCommand {
    /// Check every checksum, sequence, hash and record; works beside a running node, too
    Verify {
        /// Directory of a node, of its store, or of a journal; that of the configuration if not given
        dir: Option<PathBuf>,
    },
}

/// `evidence`
#[derive(Debug, Subcommand)]
pub(super) enum EvidenceCommand {
    /// Write the file for an auditor, from the journal or from a running node
    Export(ExportArguments),
    /// Check files of one or both sides, offline
    Verify {
        /// Evidence files
        #[arg(required = true)]
        files: Vec<PathBuf>,
        /// A key that you got by another way than these files; may be repeated
        #[arg(long = "key", value_name = "DID=KEY", value_parser = trusted_key)]
        keys: Vec<(ParticipantId, PublicKey)>,
    },
    /// Compare the files of the two sides of a pair
    Compare {
        /// File of the one side
        first: PathBuf,
        /// File of the other side
        second: PathBuf,
        /// A key that you got by another way than these files; may be repeated
        #[arg(long = "key", value_name = "DID=KEY", value_parser = trusted_key)]
        keys: Vec<(ParticipantId, PublicKey)>,
    },
}

/// Flags of `evidence export`.
#[derive(Debug, Args)]
pub(super) struct ExportArguments {
    /// About this partner only; all pairs if not given
    #[arg(long, value_name = "DID", value_parser = ParticipantId::parse)]
    pub(super) partner: Option<ParticipantId>,
    /// Show what the logs hold of this parcel, carrier/number, and of no other; may be repeated
    #[arg(long = "parcel", value_name = "WAYBILL", conflicts_with = "running")]
    pub(super) parcels: Vec<String>,
    /// Ask the running node instead of reading its journal; so does --url
    #[arg(long)]
    pub(super) running: bool,
    /// File to write; printed if not given
    #[arg(long, value_name = "FILE")]
    pub(super) out: Option<PathBuf>,
}

pub(super) fn trusted_key(text: &str) -> Result<(ParticipantId, PublicKey), String> {
    let (id, key) = text
        .rsplit_once('=')
        .ok_or("write DID=KEY, such as did:web:sf.example=z6Mk...")?;
    let id = ParticipantId::parse(id).map_err(|error| error.to_string())?;
    let key = PublicKey::parse(key).map_err(|error| error.to_string())?;
    Ok((id, key))
}

fn known<T>(found: Option<T>, all: Vec<&str>) -> Result<T, String> {
    found.ok_or_else(|| format!("write one of {}", all.join(", ")))
}

fn role(text: &str) -> Result<ParticipantRole, String> {
    let all = ParticipantRole::ALL.iter().map(|one| one.as_str());
    known(ParticipantRole::parse(text), all.collect())
}

fn named_dataset(text: &str) -> Result<WireId, String> {
    dataset(text.split(':').next().unwrap_or_default())?;
    WireId::parse(text).map_err(|error| error.to_string())
}

fn dataset(text: &str) -> Result<Dataset, String> {
    let all = Dataset::ALL.iter().map(|one| one.as_str());
    known(Dataset::parse(text), all.collect())
}

fn purpose(text: &str) -> Result<Purpose, String> {
    let all = Purpose::ALL.iter().map(|one| one.as_str());
    known(Purpose::parse(text), all.collect())
}

fn field(text: &str) -> Result<Field, String> {
    let all = Field::ALL.iter().map(|one| one.as_str());
    known(Field::parse(text), all.collect())
}

fn evidence(text: &str) -> Result<EvidenceKind, String> {
    let all = EvidenceKind::ALL.iter().map(|one| one.as_str());
    known(EvidenceKind::parse(text), all.collect())
}

fn notifier(text: &str) -> Result<Notifier, String> {
    let all = Notifier::ALL.iter().map(|one| one.as_str());
    known(Notifier::parse(text), all.collect())
}

fn backlog(text: &str) -> Result<Backlog, String> {
    let all = Backlog::ALL.iter().map(|one| one.as_str());
    known(Backlog::parse(text), all.collect())
}

fn contact_form(text: &str) -> Result<ContactForm, String> {
    let all = [
        ContactForm::Masked,
        ContactForm::Sealed,
        ContactForm::Virtual,
        ContactForm::Full,
    ];
    let found = all.into_iter().find(|form| form.as_str() == text);
    known(found, all.iter().map(|form| form.as_str()).collect())
}

/// `P7D`, `P2W` or `PT12H` as milliseconds (ISO 8601).
fn duration(text: &str) -> Result<i64, String> {
    let bad = || "write a duration such as P7D, P2W or PT12H".to_owned();
    let body = text.strip_prefix('P').ok_or_else(bad)?;
    let (number, unit_ms) = match (body.strip_suffix('D'), body.strip_suffix('W')) {
        (Some(days), _) => (days, DAY_MS),
        (None, Some(weeks)) => (weeks, 7 * DAY_MS),
        (None, None) => {
            let hours = body.strip_prefix('T').and_then(|t| t.strip_suffix('H'));
            (hours.ok_or_else(bad)?, HOUR_MS)
        }
    };
    let number: u32 = number.parse().map_err(|_| bad())?;
    i64::from(number).checked_mul(unit_ms).ok_or_else(bad)
}

pub(super) fn policy_of_offer(text: &str) -> Result<(WireId, PathBuf), String> {
    let (offer, file) = text
        .split_once('=')
        .ok_or("write the id and the file with `=` between them")?;
    let offer = WireId::parse(offer).map_err(|error| error.to_string())?;
    Ok((offer, file.into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations() {
        assert_eq!(duration("P7D"), Ok(7 * DAY_MS));
        assert_eq!(duration("P2W"), Ok(14 * DAY_MS));
        assert_eq!(duration("PT12H"), Ok(12 * HOUR_MS));
        for bad in ["", "P", "7D", "P-1D", "P1M", "PT1D", "P1H", "P99999999999D"] {
            assert!(duration(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn the_commands_are_consistent() {
        use clap::CommandFactory as _;
        Arguments::command().debug_assert();
    }
}
