//! Pages for people who log in.
//!
//! INVARIANT: a page is a pure function of its reader and of what the local API answers that reader:
//! views here are read from those answers, so that a page never shows more than a key of the same role
//! could ask for. Whatever somebody wrote is escaped. It does not know where answers come from.

mod access;
mod account;
mod again;
mod agreements;
mod alerts;
mod charts;
mod courier;
mod evidence;
mod feeds;
mod files;
mod frame;
mod history;
mod inbox;
mod login;
mod looks;
mod mediations;
mod merchant;
mod overview;
mod parcels;
mod partners;
mod parts;
#[cfg(test)]
mod pictures;
mod problems;
mod regulator;
mod rehearsal;
mod releases;
mod reveals;
mod stations;
mod statistics;
mod stretch;
mod values;
mod verdict;
mod words;

pub use access::{KeysView, PeopleView, Shown, access_page};
pub use account::{AccountTrouble, account_page};
pub use again::{Again, Typed};
pub use agreements::{AgreementView, AgreementsView, agreement_page, agreements_page};
pub use alerts::{ALERTS_SHOWN_MAX, AlertsView, alerts_page};
pub use courier::{NearView, RoundView, ScanView, courier_page, deposit_page, refusal_code};
pub use evidence::{LogsView, evidence_of_page, evidence_page};
pub use feeds::{FeedView, FeedsView, feeds_page};
pub use files::files_page;
pub use frame::{Reader, Theme};
pub use inbox::{ProposalView, ProposalsView, inbox_page, proposal_page};
pub use login::{LoginTrouble, LoginView, login_page, send_again};
pub use looks::{LOOKS_ALL, LOOKS_SHOWN, LooksView, looks_page};
pub use mediations::{MediationView, MediationsView, mediation_page, mediations_page};
pub use merchant::{ShopView, is_state, merchant_csv, merchant_page};
pub use overview::{OverviewView, StatusView, health_page, overview_page};
pub use parcels::{Asked, DepositView, ParcelView, parcels_page};
pub use partners::{PartnersView, partner_page, partners_page};
pub use problems::{foreign_form, not_found, refused};
pub use regulator::{CooperationsView, regulator_page};
pub use rehearsal::{RehearsalView, rehearsal_page};
pub use releases::{LedgerFilter, LedgerView, release_page, releases_page};
pub use reveals::{RevealsView, reveals_page};
pub use stations::{STATIONS_SHOWN_MAX, StationView, StationsView, station_page, stations_page};
pub use statistics::{StatisticsView, statistics_page};
pub use values::{Names, NamesView, grouped};
pub use verdict::Checked;
