//! Pages for people who log in.
//!
//! INVARIANT: a page is a pure function of its reader and of what the local API answers that reader:
//! views here are read from those answers, so that a page never shows more than a key of the same role
//! could ask for. Whatever somebody wrote is escaped. It does not know where answers come from.

mod access;
mod account;
mod frame;
mod login;
mod overview;
mod parts;
mod problems;
mod values;

pub use access::{PeopleView, access_page};
pub use account::{AccountTrouble, account_page};
pub use frame::{Reader, Theme};
pub use login::{LoginTrouble, LoginView, login_page, send_again};
pub use overview::{OverviewView, overview_page};
pub use problems::{foreign_form, not_found, refused};
