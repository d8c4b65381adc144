//! Copies of a node beside it while it runs, and nodes made from them.
//!
//! Purpose: `interlock backup` and `interlock restore`. Invariants: a copy ends after a group that the
//! journal answered, and every file of it has a hash; no content key, no day key and no master key is
//! ever in a copy, so that nothing deleted comes back through one; a node that was restored says so in
//! its journal before it says anything else. It does not know what a record means.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use interlock_core::ids::ParticipantId;
use interlock_journal::disk::RealDisk;
use interlock_journal::hex;
use interlock_journal::journal::{Report, segment_name, verify};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

use crate::driver::entropy::SystemRng;
use crate::driver::key_files::NEXT_NAME;
use crate::driver::node::JOURNAL_DIR;
use crate::identity::derived::DERIVED_NAME;
use crate::identity::private_file;
use crate::node::Rng as _;

/// Version of the form of a copy.
pub const BACKUP_VERSION: u32 = 1;
/// The list of files of a copy.
pub const MANIFEST_NAME: &str = "backup.json";
/// Beside the signing key: the node was restored and has not started since.
pub const RESTORED_NAME: &str = "restored";
/// Beside the signing key: the node has started, so its journal must be there.
pub const STARTED_NAME: &str = "started";
/// The configuration.
const CONFIG_NAME: &str = "interlock.toml";
/// Private files beside the signing key that go into a copy, where they are.
const BESIDE_KEY: [&str; 4] = ["admin.sha256", DERIVED_NAME, "tls.crt", "tls.key"];
/// How often a segment is copied again that was being written meanwhile.
const TRIES_MAX: u32 = 5;

/// The list of files of a copy.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// [`BACKUP_VERSION`].
    pub version: u32,
    /// Whose copy it is.
    pub participant: ParticipantId,
    /// When it was made.
    pub made_at: String,
    /// The last record in it.
    pub last_record: u64,
    /// The hash over all groups, hexadecimal.
    pub chain: String,
    /// Every other file.
    pub files: Vec<FileEntry>,
}

/// One file of a copy.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FileEntry {
    /// Below the copy's directory, with `/`.
    pub path: String,
    /// Its size in bytes.
    pub bytes: u64,
    /// SHA-256, hexadecimal.
    pub sha256: String,
}

/// Where the files of a node are.
#[derive(Clone, Debug)]
pub struct Places {
    /// The configuration.
    pub config: PathBuf,
    /// The signing key.
    pub key: PathBuf,
    /// The directory of the store.
    pub store: PathBuf,
}

/// Why a copy is not made or not used.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    /// A file or directory cannot be used.
    #[error("failed to {what} `{path}`: {source}")]
    Io {
        /// What was tried.
        what: &'static str,
        /// On what.
        path: String,
        /// What the system says.
        source: io::Error,
    },
    /// The target holds something.
    #[error("`{0}` is not empty; name a directory that does not exist yet")]
    NotEmpty(String),
    /// The journal is damaged.
    #[error("the journal has damage ({0}); run `interlock journal verify`, and keep what there is")]
    Damaged(String),
    /// A copy is not what its list says.
    #[error("`{path}` of the backup is not what its list says: {why}; use another backup")]
    Differs {
        /// Which file.
        path: String,
        /// How it differs.
        why: String,
    },
    /// A random file cannot be written as a private one.
    #[error(transparent)]
    Private(#[from] private_file::PrivateFileError),
}

fn io_error(what: &'static str, path: &Path) -> impl FnOnce(io::Error) -> BackupError {
    move |source| BackupError::Io {
        what,
        path: path.display().to_string(),
        source,
    }
}

/// Copies a node, which may be running, into a new directory.
///
/// # Errors
/// [`BackupError`]; what was written so far stays and has no list, so that it is not taken for a copy.
pub fn backup(
    places: &Places,
    participant: &ParticipantId,
    made_at: String,
    to: &Path,
) -> Result<Manifest, BackupError> {
    empty(to)?;
    let mut files = vec![copy(&places.config, to, CONFIG_NAME)?];
    // The journal before the keys: one that names a key that is not in the copy could not be started. A
    // key may be newer than the journal, and the next key takes the name of the key file.
    let report = copy_journal(&places.store.join(JOURNAL_DIR), &to.join("journal"))?;
    let beside = |name: &str| {
        let from = places.key.with_file_name(name);
        match copy(&from, to, &format!("keys/{name}")) {
            Err(BackupError::Io { source, .. }) if source.kind() == io::ErrorKind::NotFound => {
                Ok(None)
            }
            copied => copied.map(Some),
        }
    };
    files.extend(beside(NEXT_NAME)?);
    files.push(copy(&places.key, to, "keys/node.pem")?);
    for name in BESIDE_KEY {
        files.extend(beside(name)?);
    }
    for entry in sorted(&to.join("journal"))? {
        files.push(entry_of(to, &format!("journal/{entry}"))?);
    }
    let manifest = Manifest {
        version: BACKUP_VERSION,
        participant: participant.clone(),
        made_at,
        last_record: report.last.get(),
        chain: hex::encode(&report.chain),
        files,
    };
    let path = to.join(MANIFEST_NAME);
    let text = serde_json::to_string_pretty(&manifest).unwrap_or_default();
    fs::write(&path, text + "\n").map_err(io_error("write", &path))?;
    sync(&path)?;
    sync(to)?;
    Ok(manifest)
}

/// Copies the segments up to a group that was answered. What is good stays as it is in its place, so
/// only the end of the last one can be caught half written, and is copied again.
fn copy_journal(from: &Path, to: &Path) -> Result<Report, BackupError> {
    let before = look(from)?;
    make_dir(to)?;
    let names = segments(from)?;
    for name in &names {
        copy(&from.join(name), to, name)?;
    }
    for _ in 0..TRIES_MAX {
        let report = look_without_judging(to)?;
        let complete = report.damage.is_empty() && report.last >= before.last;
        if complete {
            if let Some(torn) = report.torn_tail {
                let path = to.join(segment_name(torn.segment));
                let file = fs::OpenOptions::new().write(true).open(&path);
                let file = file.map_err(io_error("open", &path))?;
                file.set_len(torn.offset).map_err(io_error("cut", &path))?;
                file.sync_all().map_err(io_error("sync", &path))?;
            }
            return look(to);
        }
        if let Some(last) = names.last() {
            copy(&from.join(last), to, last)?;
        }
    }
    Err(BackupError::Damaged(
        "its end could not be copied whole".into(),
    ))
}

fn look(journal: &Path) -> Result<Report, BackupError> {
    let report = look_without_judging(journal)?;
    match report.damage.first() {
        Some(damage) => Err(BackupError::Damaged(damage.to_string())),
        None => Ok(report),
    }
}

fn look_without_judging(journal: &Path) -> Result<Report, BackupError> {
    RealDisk::open_read_only(journal)
        .and_then(|mut disk| verify(&mut disk))
        .map_err(io_error("read", journal))
}

/// Checks a copy against its list and its own hashes.
///
/// # Errors
/// [`BackupError`].
pub fn check(from: &Path) -> Result<Manifest, BackupError> {
    let path = from.join(MANIFEST_NAME);
    let text = fs::read(&path).map_err(io_error("read", &path))?;
    let differs = |path: &str, why: String| BackupError::Differs {
        path: path.into(),
        why,
    };
    let manifest: Manifest =
        serde_json::from_slice(&text).map_err(|error| differs(MANIFEST_NAME, error.to_string()))?;
    if manifest.version != BACKUP_VERSION {
        let why = format!("version {} is not known", manifest.version);
        return Err(differs(MANIFEST_NAME, why));
    }
    for listed in &manifest.files {
        if !plain(&listed.path) {
            return Err(differs(&listed.path, "it lies outside".into()));
        }
        let found = entry_of(from, &listed.path)?;
        if found != *listed {
            let why = format!("{} bytes with hash {}", found.bytes, found.sha256);
            return Err(differs(&listed.path, why));
        }
    }
    let listed = |name: &str| manifest.files.iter().any(|file| file.path == name);
    for name in [CONFIG_NAME, "keys/node.pem"] {
        if !listed(name) {
            return Err(differs(name, "it is not in the list".into()));
        }
    }
    for name in sorted(&from.join("journal"))? {
        let name = format!("journal/{name}");
        if !listed(&name) {
            return Err(differs(&name, "it is not in the list".into()));
        }
    }
    let report = look(&from.join("journal"))?;
    if report.last.get() != manifest.last_record || hex::encode(&report.chain) != manifest.chain {
        return Err(differs("journal", "another record is the last one".into()));
    }
    Ok(manifest)
}

/// Makes a node's directory from a copy that was checked. `master` is the master key that it had; a
/// new one if there is none, which opens nothing of before.
///
/// # Errors
/// [`BackupError`]; what was written so far stays, and is no node.
pub fn restore(
    from: &Path,
    places: &Places,
    to: &Path,
    master: Option<&Path>,
) -> Result<Manifest, BackupError> {
    let manifest = check(from)?;
    empty(to)?;
    let keys = places.key.parent().unwrap_or(to).to_owned();
    let journal = places.store.join(JOURNAL_DIR);
    for dir in [&keys, &journal] {
        make_dir(dir)?;
    }
    for listed in &manifest.files {
        let (dir, name) = match listed.path.split_once('/') {
            Some(("journal", name)) => (&journal, name.to_owned()),
            Some(("keys", "node.pem")) => (&keys, file_name(&places.key)),
            Some((_, name)) => (&keys, name.to_owned()),
            None => continue,
        };
        let bytes = read(&from.join(&listed.path))?;
        write_private(&dir.join(name), &bytes)?;
    }
    let master = match master {
        Some(path) => private_file::read(path)?,
        None => {
            let mut fresh = Zeroizing::new([0; 32]);
            SystemRng.fill(fresh.as_mut());
            Zeroizing::new(hex::encode(fresh.as_ref()))
        }
    };
    private_file::create(&keys.join("master.key"), &master)?;
    private_file::create(&keys.join(STARTED_NAME), "")?;
    let made_at = format!("{}\n", manifest.made_at);
    private_file::create(&keys.join(RESTORED_NAME), &made_at)?;
    // The configuration is last: without it there is no node.
    let bytes = read(&from.join(CONFIG_NAME))?;
    write_private(&places.config, &bytes)?;
    for dir in [keys.as_path(), journal.as_path(), to] {
        sync(dir)?;
    }
    Ok(manifest)
}

/// Whether a node that has started before lacks its journal.
pub fn journal_is_missing(places: &Places) -> bool {
    let started = places.key.with_file_name(STARTED_NAME).exists();
    let journal = places.store.join(JOURNAL_DIR);
    started && segments(&journal).map_or(true, |names| names.is_empty())
}

fn plain(path: &str) -> bool {
    let part = |part: &str| !part.is_empty() && part != "." && part != ".." && !part.contains('\\');
    path == CONFIG_NAME
        || path.split_once('/').is_some_and(|(dir, name)| {
            ["keys", "journal"].contains(&dir) && part(name) && !name.contains('/')
        })
}

fn file_name(path: &Path) -> String {
    path.file_name()
        .unwrap_or_default()
        .to_string_lossy()
        .into()
}

fn segments(journal: &Path) -> Result<Vec<String>, BackupError> {
    let mut names = sorted(journal)?;
    names.retain(|name| is_segment(name));
    Ok(names)
}

fn is_segment(name: &str) -> bool {
    let digits: String = name.chars().filter(char::is_ascii_digit).collect();
    digits
        .parse()
        .is_ok_and(|number| segment_name(number) == name)
}

fn sorted(dir: &Path) -> Result<Vec<String>, BackupError> {
    let entries = fs::read_dir(dir).map_err(io_error("list", dir))?;
    let mut names = Vec::new();
    for entry in entries {
        let entry = entry.map_err(io_error("list", dir))?;
        names.push(entry.file_name().to_string_lossy().into_owned());
    }
    names.sort_unstable();
    Ok(names)
}

/// The directory is made if it is missing, and must be empty.
fn empty(dir: &Path) -> Result<(), BackupError> {
    make_dir(dir)?;
    match sorted(dir)?.is_empty() {
        true => Ok(()),
        false => Err(BackupError::NotEmpty(dir.display().to_string())),
    }
}

fn make_dir(dir: &Path) -> Result<(), BackupError> {
    use std::os::unix::fs::DirBuilderExt as _;
    let made = fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(dir);
    made.map_err(io_error("make", dir))
}

fn read(path: &Path) -> Result<Zeroizing<Vec<u8>>, BackupError> {
    let bytes = fs::read(path).map_err(io_error("read", path))?;
    Ok(Zeroizing::new(bytes))
}

fn write_private(path: &Path, bytes: &[u8]) -> Result<(), BackupError> {
    use std::io::Write as _;
    use std::os::unix::fs::OpenOptionsExt as _;
    let file = fs::OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(path);
    let mut file = file.map_err(io_error("write", path))?;
    file.write_all(bytes).map_err(io_error("write", path))?;
    file.sync_all().map_err(io_error("sync", path))
}

/// Copies a file below `to`.
fn copy(from: &Path, to: &Path, name: &str) -> Result<FileEntry, BackupError> {
    let path = to.join(name);
    if let Some(dir) = path.parent() {
        make_dir(dir)?;
    }
    write_private(&path, &read(from)?)?;
    entry_of(to, name)
}

fn entry_of(dir: &Path, name: &str) -> Result<FileEntry, BackupError> {
    let bytes = read(&dir.join(name))?;
    Ok(FileEntry {
        path: name.into(),
        bytes: bytes.len() as u64,
        sha256: hex::encode(&Sha256::digest(bytes.as_slice())),
    })
}

fn sync(path: &Path) -> Result<(), BackupError> {
    let file = fs::File::open(path).map_err(io_error("open", path))?;
    file.sync_all().map_err(io_error("sync", path))
}
