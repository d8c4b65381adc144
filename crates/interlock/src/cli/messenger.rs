//! `messenger`: keys of a messenger, contacts that were sealed to it, and calls to numbers that a node leased.

use std::path::PathBuf;

use interlock_core::ids::ParticipantId;
use serde_json::{Value, json};

use super::args::Common;
use super::error::CliError;
use super::output::Output;
use super::{Around, place};
use crate::driver::entropy::SystemRng;
use crate::exchange::wire::Contact;
use crate::identity::private_file;
use crate::identity::sealing::MessengerSecret;

/// How a call is given.
const CALL_FORM: &str = "write the call to standard input as JSON: `to` in E.164, and `extension` and `from` if \
                         there are any";

/// `messenger`
#[derive(Debug, clap::Subcommand)]
pub(super) enum MessengerCommand {
    /// Make a messenger's key, in a file that only its owner may read; prints the public half, which
    /// owners put into `messenger_key`
    Key {
        /// The file, which must not exist
        file: PathBuf,
    },
    /// Open a contact that an operator passed on: its JSON is read from standard input, the phone is
    /// printed
    Open {
        /// The file with the key
        file: PathBuf,
        /// Who passed it on: it opens for nobody else
        #[arg(long, value_name = "DID", value_parser = ParticipantId::parse)]
        from: ParticipantId,
    },
    /// Ask the node whom to connect a call to one of its virtual numbers to, as the program that a
    /// telephone system runs for each call; needs a key of the role `telephone`. The call is read from
    /// standard input as the JSON of `POST /calls`: `to`, the number that was dialled, `extension`, what was
    /// dialled behind it, and `from`, absent where it is withheld
    Call {
        /// Numbers that were given as arguments, which is refused.
        #[arg(hide = true, trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<String>,
    },
}

/// Runs a command.
pub(super) fn run(
    command: &MessengerCommand,
    common: &Common,
    around: &mut Around<'_>,
    output: &mut Output<'_>,
) -> Result<(), CliError> {
    match command {
        MessengerCommand::Key { file } => {
            let secret = MessengerSecret::draw(&mut SystemRng);
            let path = around.directory.join(file);
            private_file::create(&path, &secret.reveal())
                .map_err(|error| CliError::Failed(error.to_string()))?;
            let key = secret.public().to_hex();
            output.card(&json!({ "key": key }), &[("key", "/key")])
        }
        MessengerCommand::Call { arguments } => {
            if !arguments.is_empty() {
                return Err(CliError::Usage(format!(
                    "numbers are not given as arguments, which `ps` and the history of a shell show; {CALL_FORM}"
                )));
            }
            let text = around.read("the call", CALL_FORM)?;
            let call: Option<Value> = serde_json::from_str(&text).ok();
            let call = call
                .filter(Value::is_object)
                .ok_or_else(|| CliError::Usage(format!("this is no call; {CALL_FORM}")))?;
            let reached = place::client(common, around)?.post("/calls", Some(&call))?;
            output.card(&reached, &[("phone", "/phone"), ("until", "/until")])
        }
        MessengerCommand::Open { file, from } => {
            let text = private_file::read(&around.directory.join(file))
                .map_err(|error| CliError::Usage(error.to_string()))?;
            let secret = MessengerSecret::parse(&text)
                .map_err(|error| CliError::Usage(error.to_string()))?;
            let contact =
                around.read("the contact", "write the contact's JSON to standard input")?;
            let opened = match serde_json::from_str(&contact) {
                Ok(Contact::Sealed { ciphertext, .. }) => {
                    secret.open(from, &ciphertext.0, around.now())
                }
                Ok(Contact::Masked { .. } | Contact::Virtual { .. } | Contact::Full { .. })
                | Err(_) => {
                    return Err(CliError::Usage(
                        "this is no sealed contact; pass on the member `to` of the message as it \
                         came"
                            .into(),
                    ));
                }
            };
            let Some(phone) = opened else {
                return Err(CliError::Verification(
                    "the contact does not open: it was sealed to another key or for another operator, \
                     it is damaged, or its time is over"
                        .into(),
                ));
            };
            let phone = phone.reveal();
            output.card(&json!({ "phone": phone }), &[("phone", "/phone")])
        }
    }
}
