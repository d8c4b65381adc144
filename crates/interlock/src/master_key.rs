//! The master key of a node: whence it comes, and putting another one in its place.
//!
//! It lies in a file, or comes at each start from outside: from an environment variable, or from a program,
//! which is where a key management service is asked. A key from outside is written nowhere.
//!
//! INVARIANT: at any time during a rotation, and after a crash at any point of it, either the key in
//! `master.key` or the one in `master.key.new` opens every content key; a node does not start between.
//! It does not know what content keys open.

use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, ExitStatus, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use interlock_journal::disk::RealDisk;
use interlock_journal::hex;
use interlock_journal::keyslots::{Key, KeyError, KeySlots};
use rustix::process::{Pid, Signal};
use zeroize::Zeroizing;

use crate::identity::private_file::{self, PrivateFileError};
use crate::node::Rng;

/// Beside the signing key.
const NAME: &str = "master.key";
/// The key that takes its place, while that is under way.
const NEW_NAME: &str = "master.key.new";

/// Most that a program may print, in bytes: the digits and a line's end.
const PRINTED_BYTES_MAX: u64 = 4_096;

/// How long a program may go on once it has printed all, in milliseconds.
const EXIT_MS_MAX: u64 = 2_000;
/// How often it is looked at meanwhile, in milliseconds.
const EXIT_POLL_MS: u64 = 10;

/// Whence a node has its master key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MasterKeySource {
    /// From `master.key` beside the signing key.
    File,
    /// From an environment variable.
    Env(String),
    /// From what a program prints.
    Command {
        /// The program.
        program: String,
        /// What it is given.
        arguments: Vec<String>,
        /// How long it may take, in seconds.
        limit_s: u32,
    },
}

/// Why there is no master key.
#[derive(Debug, thiserror::Error)]
pub enum MasterKeyError {
    /// The file cannot be read or written.
    #[error("{0}; `interlock init` makes it")]
    File(#[from] PrivateFileError),
    /// The file holds something else.
    #[error("`{0}` does not hold 64 hexadecimal digits; restore it")]
    NotAKey(String),
    /// A rotation is not finished.
    #[error(
        "a rotation of the master key was begun and not finished; run `interlock key rotate-master` again"
    )]
    Unfinished,
    /// The content keys cannot be used.
    #[error("failed to open the content keys: {0}; stop the node first")]
    Disk(io::Error),
    /// They cannot be wrapped anew.
    #[error(transparent)]
    Keys(#[from] KeyError),
    /// A file cannot be renamed or overwritten.
    #[error("failed to put the new master key in its place: {0}; run the same command again")]
    Place(io::Error),
    /// The variable is not set, or holds something else.
    #[error(
        "the environment variable `{0}` does not hold 64 hexadecimal digits; set it to the master key"
    )]
    NoVariable(String),
    /// The program cannot be run.
    #[error("failed to run `{0}`: {1}; see `master_key_command`")]
    NotRun(String, io::Error),
    /// The program failed or printed something else. What it printed is not repeated.
    #[error("`{0}` gave no master key ({1}); it must print 64 hexadecimal digits and end with 0")]
    NotPrinted(String, ExitStatus),
    /// The program took too long and was ended, with whatever it had started.
    #[error(
        "`{0}` gave no master key within {1} s and was ended; it must print the key and end, and so must what it starts: see `master_key_command`, or allow it more in `master_key_command_seconds`"
    )]
    TooSlow(String, u32),
    /// The program closed its output and did not end; it was ended, with whatever it had started.
    #[error(
        "`{0}` closed its output and went on for {seconds} s, and was ended; have it end with 0 once it has printed the key, see `master_key_command`",
        seconds = EXIT_MS_MAX / 1_000
    )]
    NotEnded(String),
    /// Where the key comes from outside, nobody here can draw another.
    #[error(
        "the master key comes from outside: put the next one there, the one before into a private file, and name that with `--from`"
    )]
    Outside,
    /// A file of ours is rotated without another one.
    #[error("the master key lies in a file of the node; leave `--from` away")]
    Inside,
}

impl MasterKeySource {
    /// The master key; `beside` is the signing key.
    ///
    /// # Errors
    /// [`MasterKeyError`].
    pub fn read(
        &self,
        beside: &Path,
        environment: impl FnOnce(&str) -> Option<String>,
    ) -> Result<Key, MasterKeyError> {
        match self {
            Self::File => read(beside),
            Self::Env(name) => {
                let text = environment(name).map(Zeroizing::new).unwrap_or_default();
                let key = crate::node::parse_hex32(text.trim());
                let wrong = || MasterKeyError::NoVariable(name.clone());
                Ok(Zeroizing::new(key.ok_or_else(wrong)?))
            }
            Self::Command {
                program,
                arguments,
                limit_s,
            } => printed(program, arguments, *limit_s),
        }
    }
}

/// What a program prints. What it says to people goes where ours goes. It has a process group of its own, so
/// that no child of it goes on where it is ended, and so no terminal to ask people at.
fn printed(program: &str, arguments: &[String], limit_s: u32) -> Result<Key, MasterKeyError> {
    let not_run = |error| MasterKeyError::NotRun(program.into(), error);
    let mut child = Command::new(program)
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .process_group(0)
        .spawn()
        .map_err(not_run)?;
    let out = child.stdout.take();
    let Some(text) = out.and_then(|out| read_within(out, limit_s)) else {
        end_all(&mut child).map_err(not_run)?;
        return Err(MasterKeyError::TooSlow(program.into(), limit_s));
    };
    let Some(status) = ends(&mut child).map_err(not_run)? else {
        end_all(&mut child).map_err(not_run)?;
        return Err(MasterKeyError::NotEnded(program.into()));
    };
    let key = crate::node::parse_hex32(text.trim()).filter(|_| status.success());
    let wrong = || MasterKeyError::NotPrinted(program.into(), status);
    Ok(Zeroizing::new(key.ok_or_else(wrong)?))
}

/// All that a program prints, if it comes to an end in time; nothing of what is too long or no text. A
/// thread reads it: a pipe that a child of the program keeps open would hold us up for ever.
fn read_within(out: ChildStdout, limit_s: u32) -> Option<Zeroizing<String>> {
    let (done, read) = mpsc::channel();
    std::thread::spawn(move || {
        let mut text = Zeroizing::new(String::new());
        let all = out.take(PRINTED_BYTES_MAX).read_to_string(&mut text);
        if all.is_err() {
            *text = String::new();
        }
        // Nobody waits any more for what comes too late.
        let _ = done.send(text);
    });
    read.recv_timeout(Duration::from_secs(limit_s.into())).ok()
}

/// Ends a program that was not waited for, and all of its process group.
fn end_all(child: &mut Child) -> io::Result<()> {
    // Until it is waited for, its id is that of its group and of nothing else.
    rustix::process::kill_process_group(Pid::from_child(child), Signal::KILL)?;
    child.wait().map(drop)
}

/// How a program ended that has printed all; `None` if it goes on.
fn ends(child: &mut Child) -> io::Result<Option<ExitStatus>> {
    for _ in 0..EXIT_MS_MAX / EXIT_POLL_MS {
        if let Some(status) = child.try_wait()? {
            return Ok(Some(status));
        }
        std::thread::sleep(Duration::from_millis(EXIT_POLL_MS));
    }
    Ok(None)
}

/// The master key of the node whose signing key is `beside`.
///
/// # Errors
/// [`MasterKeyError`].
pub fn read(beside: &Path) -> Result<Key, MasterKeyError> {
    if beside.with_file_name(NEW_NAME).exists() {
        return Err(MasterKeyError::Unfinished);
    }
    read_key(&beside.with_file_name(NAME))
}

fn read_key(path: &Path) -> Result<Key, MasterKeyError> {
    let text = private_file::read(path)?;
    let bytes = crate::node::parse_hex32(text.trim());
    let wrong = || MasterKeyError::NotAKey(path.display().to_string());
    Ok(Zeroizing::new(bytes.ok_or_else(wrong)?))
}

/// Draws another master key and wraps the content keys in `keys` under it; the old one is overwritten
/// and gone. The node must not run. Returns how many files of keys were wrapped anew.
///
/// # Errors
/// [`MasterKeyError`]; the same call again goes on where this one stopped.
pub fn rotate(beside: &Path, keys: &Path, rng: &mut dyn Rng) -> Result<usize, MasterKeyError> {
    let (old_path, new_path) = (beside.with_file_name(NAME), beside.with_file_name(NEW_NAME));
    if !new_path.exists() {
        // Before anything new is made: the old one must be there.
        read_key(&old_path)?;
        let mut drawn = Zeroizing::new([0; 32]);
        rng.fill(drawn.as_mut());
        let digits = Zeroizing::new(hex::encode(drawn.as_ref()));
        private_file::create(&new_path, &digits)?;
    }
    let new = read_key(&new_path)?;
    let rotated = wrap(&old_path, &new, keys)?;
    replace(&old_path, &new_path).map_err(MasterKeyError::Place)?;
    Ok(rotated)
}

/// Wraps the content keys in `keys` under `new`, which comes from outside; the key before it lies in the
/// private file `before`, which is overwritten and removed. The node must not run. Returns how many files of
/// keys were wrapped anew.
///
/// # Errors
/// [`MasterKeyError`]; the same call again goes on where this one stopped.
pub fn rotate_to(new: &Key, before: &Path, keys: &Path) -> Result<usize, MasterKeyError> {
    // Before anything is changed: it must be a key.
    read_key(before)?;
    let rotated = wrap(before, new, keys)?;
    overwrite(before)
        .and_then(|()| std::fs::remove_file(before))
        .map_err(MasterKeyError::Place)?;
    Ok(rotated)
}

/// A rotation that wrapped everything may have overwritten the old key already.
fn wrap(old_path: &Path, new: &Key, keys: &Path) -> Result<usize, MasterKeyError> {
    let open = |key: Key| {
        let disk = RealDisk::open(keys).map_err(MasterKeyError::Disk)?;
        KeySlots::open(Box::new(disk), key).map_err(MasterKeyError::from)
    };
    let mut under_new = open(new.clone())?;
    match under_new.check_known() {
        Some(true) => return Ok(0),
        Some(false) | None => drop(under_new),
    }
    let mut slots = open(read_key(old_path)?)?;
    slots.check_master()?;
    Ok(slots.rotate_master(new)?)
}

/// Overwrites the old key, then gives its name to the new one.
fn replace(old: &PathBuf, new: &PathBuf) -> io::Result<()> {
    overwrite(old)?;
    std::fs::rename(new, old)?;
    match old.parent() {
        Some(directory) => File::open(directory)?.sync_all(),
        None => Ok(()),
    }
}

fn overwrite(file: &Path) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).open(file)?;
    let len_bytes = usize::try_from(file.metadata()?.len()).unwrap_or_default();
    file.write_all(&vec![b'0'; len_bytes])?;
    file.sync_all()
}

#[cfg(test)]
mod tests {
    use interlock_journal::keyslots::SlotKey;

    use super::*;
    use crate::identity::private_file::tests::Scratch;

    struct Counting(u8);

    impl Rng for Counting {
        fn fill(&mut self, bytes: &mut [u8]) {
            self.0 += 1;
            bytes.fill(self.0);
        }
    }

    fn slots(keys: &Path, master: &Key) -> KeySlots {
        KeySlots::open(Box::new(RealDisk::open(keys).unwrap()), master.clone()).unwrap()
    }

    /// A node's files with one content key in them.
    fn made(name: &str) -> (Scratch, PathBuf, PathBuf) {
        let scratch = Scratch::new(name);
        let beside = scratch.0.join("node.pem");
        let keys = scratch.0.join("keys");
        private_file::create(&scratch.0.join(NAME), &"ee".repeat(32)).unwrap();
        let master = read(&beside).unwrap();
        let mut open = slots(&keys, &master);
        open.check_master().unwrap();
        let key = SlotKey {
            hour: 415_000,
            slot: 3,
            key: Zeroizing::new([7; 32]),
        };
        open.put_all(&[key], &mut || [9; 32]).unwrap();
        (scratch, beside, keys)
    }

    fn opens(beside: &Path, keys: &Path) -> bool {
        let master = read(beside).unwrap();
        let mut open = slots(keys, &master);
        open.check_master().unwrap();
        open.get(415_000, 3).unwrap() == Some(Zeroizing::new([7; 32]))
    }

    #[test]
    fn content_opens_with_the_new_key_and_not_with_the_old_one() {
        let (scratch, beside, keys) = made("rotate-master");
        let before = read(&beside).unwrap();
        assert_eq!(rotate(&beside, &keys, &mut Counting(0)).unwrap(), 1);
        assert!(opens(&beside, &keys));
        assert_ne!(read(&beside).unwrap(), before);
        assert!(slots(&keys, &before).check_master().is_err());
        assert!(!scratch.0.join(NEW_NAME).exists());
        assert_eq!(
            rotate(&beside, &keys, &mut Counting(5)).unwrap(),
            1,
            "again"
        );
        assert!(opens(&beside, &keys));
    }

    #[test]
    fn a_rotation_that_was_cut_off_stops_the_node_and_is_finished_by_the_same_command() {
        // Before anything was wrapped, and after all was and the old key was overwritten.
        for wrapped in [false, true] {
            let (scratch, beside, keys) = made(&format!("rotate-cut-{wrapped}"));
            let digits = "ab".repeat(32);
            private_file::create(&scratch.0.join(NEW_NAME), &digits).unwrap();
            if wrapped {
                let old = read_key(&scratch.0.join(NAME)).unwrap();
                let new = read_key(&scratch.0.join(NEW_NAME)).unwrap();
                slots(&keys, &old).rotate_master(&new).unwrap();
                std::fs::write(scratch.0.join(NAME), "0".repeat(64)).unwrap();
            }
            assert!(matches!(read(&beside), Err(MasterKeyError::Unfinished)));
            let rotated = rotate(&beside, &keys, &mut Counting(0)).unwrap();
            assert_eq!(rotated, usize::from(!wrapped));
            assert!(opens(&beside, &keys));
            assert_eq!(hex::encode(read(&beside).unwrap().as_ref()), digits);
        }
    }

    #[test]
    fn a_node_that_runs_keeps_its_keys_for_itself() {
        let (_scratch, beside, keys) = made("rotate-locked");
        let master = read(&beside).unwrap();
        let _running = slots(&keys, &master);
        let refused = rotate(&beside, &keys, &mut Counting(0));
        assert!(matches!(refused, Err(MasterKeyError::Disk(_))));
    }

    fn program(script: &str) -> MasterKeySource {
        MasterKeySource::Command {
            program: "/bin/sh".into(),
            arguments: vec!["-c".into(), script.into()],
            limit_s: 30,
        }
    }

    #[test]
    fn a_master_key_comes_from_a_variable_or_a_program_and_is_repeated_by_no_error() {
        let beside = Path::new("/nowhere/node.pem");
        let digits = "ab".repeat(32);
        let env = MasterKeySource::Env("KEY".into());
        let read = env.read(beside, |name| {
            (name == "KEY").then(|| format!("{digits}\n"))
        });
        assert_eq!(*read.unwrap(), [0xab; 32]);
        for wrong in [
            None,
            Some("".into()),
            Some("ab".repeat(31)),
            Some(format!("{digits}ff")),
        ] {
            let refused = env.read(beside, |_| wrong).unwrap_err().to_string();
            assert!(
                refused.contains("`KEY`") && !refused.contains("abab"),
                "{refused}"
            );
        }
        let none = |_: &str| None;
        let read = program(&format!("echo {digits}")).read(beside, none);
        assert_eq!(*read.unwrap(), [0xab; 32]);
        for script in [
            format!("echo {digits}; exit 3"),
            format!("echo {digits}ff"),
            "exit 0".into(),
            format!("yes {digits}"),
        ] {
            let refused = program(&script).read(beside, none).unwrap_err().to_string();
            assert!(
                refused.contains("`/bin/sh`") && !refused.contains("abab"),
                "{refused}"
            );
        }
        let missing = MasterKeySource::Command {
            program: "/nowhere/unwrap".into(),
            arguments: Vec::new(),
            limit_s: 30,
        };
        assert!(matches!(
            missing.read(beside, none),
            Err(MasterKeyError::NotRun(..))
        ));
        assert!(MasterKeySource::File.read(beside, none).is_err());
    }

    #[test]
    fn a_program_that_hangs_is_ended_and_named() {
        let digits = "ab".repeat(32);
        let slow = "`/bin/sh` gave no master key within 1 s";
        // Before it prints, once it has printed, and in a child that keeps the pipe open. More time would not
        // help one that has closed its output.
        for (script, says) in [
            ("exec sleep 5".to_owned(), slow),
            (format!("echo {digits}; exec sleep 9"), slow),
            (format!("echo {digits}; sleep 3 & exit 0"), slow),
            (
                format!("echo {digits}; exec 1>&-; exec sleep 9"),
                "`/bin/sh` closed its output and went on for 2 s",
            ),
        ] {
            let source = MasterKeySource::Command {
                program: "/bin/sh".into(),
                arguments: vec!["-c".into(), format!("{script} # of-a-hanging-program")],
                limit_s: 1,
            };
            let refused = source.read(Path::new("/nowhere/node.pem"), |_| None);
            let told = refused.unwrap_err().to_string();
            assert!(told.contains(says), "{told}");
            assert_eq!(told.contains("master_key_command_seconds"), says == slow);
            assert!(!told.contains("abab"), "{told}");
        }
    }

    #[test]
    fn what_a_program_started_is_ended_with_it() {
        let scratch = Scratch::new("master-key-group");
        let ticks = scratch.0.join("ticks");
        let len_bytes = || std::fs::metadata(&ticks).map_or(0, |file| file.len());
        for (n, rest) in ["wait", "exec 1>&-; wait", "exit 0"]
            .into_iter()
            .enumerate()
        {
            let _ = std::fs::remove_file(&ticks);
            let ticking = format!(
                "(for i in $(seq 200); do echo >> '{}'; sleep 0.05; done) {} &",
                ticks.display(),
                if n == 1 { ">&-" } else { "" }
            );
            let source = MasterKeySource::Command {
                program: "/bin/sh".into(),
                arguments: vec!["-c".into(), format!("{ticking} {rest}")],
                limit_s: 1,
            };
            assert!(
                source
                    .read(Path::new("/nowhere/node.pem"), |_| None)
                    .is_err()
            );
            let ended = len_bytes();
            assert!(ended > 0, "it had begun");
            std::thread::sleep(Duration::from_millis(400));
            assert_eq!(len_bytes(), ended, "{rest}");
        }
    }

    #[test]
    fn content_is_wrapped_under_a_key_from_outside_and_the_one_before_is_gone() {
        let (scratch, beside, keys) = made("rotate-outside");
        let new = Zeroizing::new([0xcd; 32]);
        let before = scratch.0.join(NAME);
        let other = scratch.0.join("other");
        private_file::create(&other, &"11".repeat(32)).unwrap();
        assert!(rotate_to(&new, &other, &keys).is_err(), "it opens nothing");
        assert!(
            opens(&beside, &keys) && other.exists(),
            "nothing was changed"
        );
        assert_eq!(rotate_to(&new, &before, &keys).unwrap(), 1);
        assert!(!before.exists());
        let mut open = slots(&keys, &new);
        open.check_master().unwrap();
        assert_eq!(open.get(415_000, 3).unwrap(), Some(Zeroizing::new([7; 32])));
        drop(open);
        // Cut off before the file was removed: the same again ends it.
        private_file::create(&before, &"ee".repeat(32)).unwrap();
        assert_eq!(rotate_to(&new, &before, &keys).unwrap(), 0);
        assert!(!before.exists());
    }
}
