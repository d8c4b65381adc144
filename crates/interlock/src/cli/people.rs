//! `people`: who may log in to the pages.

use interlock_core::ids::{CourierId, MerchantId};
use serde_json::{Value, json};

use super::args::Common;
use super::error::CliError;
use super::output::Output;
use super::{Around, place};
use crate::identity::person::{PEOPLE_ROLES, PersonName};
use crate::identity::url::segment;
use crate::node::io::Role;

/// `people`
#[derive(Debug, clap::Subcommand)]
pub(super) enum PeopleCommand {
    /// Let a person log in; a known one gets another password. It is shown once
    Add {
        /// Logs in with this: a-z, 0-9, `.`, `-`, `_`
        #[arg(value_parser = PersonName::parse)]
        name: PersonName,
        /// What the person may do: admin, approver, auditor, operations, courier, merchant; may be
        /// repeated
        #[arg(long = "role", value_name = "ROLE", required = true, value_parser = role)]
        roles: Vec<Role>,
        /// Who a courier is
        #[arg(long, value_parser = CourierId::parse)]
        courier: Option<CourierId>,
        /// For which merchant somebody works
        #[arg(long, value_parser = MerchantId::parse)]
        merchant: Option<MerchantId>,
    },
    /// List the people
    List,
    /// A person may not log in any more; sessions end at once
    Withdraw {
        /// Who
        #[arg(value_parser = PersonName::parse)]
        name: PersonName,
    },
}

fn role(text: &str) -> Result<Role, String> {
    let found = PEOPLE_ROLES.into_iter().find(|role| role.as_str() == text);
    found.ok_or_else(|| {
        let all: Vec<&str> = PEOPLE_ROLES.iter().map(|role| role.as_str()).collect();
        format!("write one of {}", all.join(", "))
    })
}

/// Runs a command.
pub(super) fn run(
    command: &PeopleCommand,
    common: &Common,
    around: &mut Around<'_>,
    output: &mut Output<'_>,
) -> Result<(), CliError> {
    let client = place::client(common, around)?;
    match command {
        PeopleCommand::Add {
            name,
            roles,
            courier,
            merchant,
        } => {
            let roles: Vec<&str> = roles.iter().map(|role| role.as_str()).collect();
            let mut body = json!({ "name": name.as_str(), "roles": roles });
            if let Value::Object(members) = &mut body {
                let courier = courier.as_ref().map(|id| ("courier", id.as_str()));
                let merchant = merchant.as_ref().map(|id| ("merchant", id.as_str()));
                for (member, id) in courier.into_iter().chain(merchant) {
                    members.insert(member.into(), id.into());
                }
            }
            let answer = client.post("/people", Some(&body))?;
            if !output.json {
                around.note(&format!(
                    "`{name}` may log in at {}/login; this is shown once:",
                    client.url.as_str().trim_end_matches('/')
                ));
            }
            output.card(
                &answer,
                &[
                    ("name", "/name"),
                    ("password", "/password"),
                    ("one-time codes", "/enrolment"),
                ],
            )
        }
        PeopleCommand::List => output.table(
            &client.get("/people")?,
            "/items",
            &[
                ("name", "/name"),
                ("roles", "/roles"),
                ("courier", "/courier"),
                ("merchant", "/merchant"),
            ],
            "nobody may log in; add a person with `interlock people add`",
        ),
        PeopleCommand::Withdraw { name } => {
            let path = format!("/people/{}", segment(name.as_str()));
            let answer = client.delete(&path)?;
            if output.json {
                return output.json(&answer);
            }
            output.line(&format!("`{name}` may not log in any more"))
        }
    }
}
