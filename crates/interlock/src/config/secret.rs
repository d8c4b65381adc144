//! Where secrets come from: a file that only the node's user may read, or an environment variable.
//!
//! INVARIANT: a secret is never in the configuration, and nothing here prints one. This module reads
//! no environment itself: the caller passes the lookup.

use std::path::PathBuf;

use zeroize::Zeroizing;

use super::error::ConfigErrorKind;
use super::reader::{Reader, parse_variable};
use crate::identity::private_file::{self, PrivateFileError};
use crate::master_key::MasterKeySource;

/// Where a secret lies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SecretSource {
    /// In a file with mode 0600.
    File(PathBuf),
    /// In an environment variable.
    Env(String),
}

/// Why a secret could not be read.
#[derive(Debug, thiserror::Error)]
pub enum SecretError {
    /// The file could not be read.
    #[error(transparent)]
    File(#[from] PrivateFileError),
    /// The file holds nothing.
    #[error("`{}` is empty; write the secret into it", .0.display())]
    EmptyFile(PathBuf),
    /// The variable is not set, or empty.
    #[error("the environment variable `{0}` is not set; set it to the secret")]
    NoVariable(String),
}

impl SecretSource {
    /// Reads the secret; white space around it is not part of it.
    ///
    /// # Errors
    /// [`SecretError`] if there is none, or if others than the owner can read the file.
    pub fn read(
        &self,
        environment: impl FnOnce(&str) -> Option<String>,
    ) -> Result<Zeroizing<String>, SecretError> {
        match self {
            Self::File(path) => {
                let text = private_file::read(path)?;
                let secret = text.trim();
                if secret.is_empty() {
                    return Err(SecretError::EmptyFile(path.clone()));
                }
                Ok(Zeroizing::new(secret.into()))
            }
            Self::Env(name) => {
                let text = Zeroizing::new(environment(name).unwrap_or_default());
                let secret = text.trim();
                if secret.is_empty() {
                    return Err(SecretError::NoVariable(name.clone()));
                }
                Ok(Zeroizing::new(secret.into()))
            }
        }
    }
}

/// Whence the master key comes; two ways at once are an error.
pub(super) fn master_key(reader: &Reader<'_>) -> MasterKeySource {
    let variable = reader.parsed("master_key_env", parse_variable);
    let filled = |word: &str| match word.is_empty() {
        true => Err("a word is empty; write the program, then what it is given"),
        false => Ok(word.to_owned()),
    };
    let mut command = reader.list("master_key_command", filled).into_iter();
    if reader.has("master_key_command") && reader.has("master_key_env") {
        let text =
            "`master_key_env` and `master_key_command` exclude each other; remove one of them";
        reader.error(
            "master_key_command",
            ConfigErrorKind::Combination(text.into()),
        );
    }
    if reader.is_empty_list("master_key_command") {
        let text = "`master_key_command` names no program; write one, or remove the line";
        reader.error(
            "master_key_command",
            ConfigErrorKind::Combination(text.into()),
        );
    }
    let limit_s = reader.number("master_key_command_seconds", 1..=600, 30);
    if reader.has("master_key_command_seconds") && !reader.has("master_key_command") {
        let text = "`master_key_command_seconds` says nothing without `master_key_command`; set both or none";
        reader.error(
            "master_key_command_seconds",
            ConfigErrorKind::Combination(text.into()),
        );
    }
    match (variable, command.next()) {
        (Some(name), _) => MasterKeySource::Env(name),
        (None, Some(program)) => MasterKeySource::Command {
            program,
            arguments: command.collect(),
            limit_s,
        },
        (None, None) => MasterKeySource::File,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::identity::private_file::tests::Scratch;

    #[test]
    fn secrets_come_from_private_files_or_variables() {
        let scratch = Scratch::new("secret-source");
        let path = scratch.0.join("secret");
        private_file::create(&path, "whsec_abc\n").unwrap();
        let file = SecretSource::File(path.clone());
        assert_eq!(file.read(|_| None).unwrap().as_str(), "whsec_abc");
        let variable = SecretSource::Env("GATEWAY".into());
        let secret = variable.read(|name| (name == "GATEWAY").then(|| "whsec_abc".into()));
        assert_eq!(secret.unwrap().as_str(), "whsec_abc");
        assert!(matches!(
            variable.read(|_| None),
            Err(SecretError::NoVariable(_))
        ));
        assert!(matches!(
            variable.read(|_| Some(" ".into())),
            Err(SecretError::NoVariable(_))
        ));
        let empty = scratch.0.join("empty");
        private_file::create(&empty, "\n").unwrap();
        assert!(matches!(
            SecretSource::File(empty).read(|_| None),
            Err(SecretError::EmptyFile(_))
        ));
        use std::os::unix::fs::PermissionsExt;
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
        assert!(matches!(
            file.read(|_| None),
            Err(SecretError::File(PrivateFileError::Mode { .. }))
        ));
    }
}
