//! Content keys at rest, so that one of them, or all that end in an hour, can be destroyed.
//!
//! ```text
//! slots of an hour  SLOT i at byte 64 i:
//!                   0 version u8   1 zero, 3 bytes   4 nonce, 12 bytes
//!                  16 the data key, AES-256-GCM under the hour's key, with tag, 48 bytes
//!                  additional data: "interlock key slot 1", hour u32, slot u32, little-endian
//! key of an hour    the same 64 bytes: the hour's key under the node's master key
//!                  additional data: "interlock day key 1", hour u32
//! ```
//!
//! INVARIANT: [`KeySlots::put_all`] returns when the keys are durable, so that a record can follow;
//! a destroyed key is overwritten in its place and the overwriting is durable. Nothing here copies a
//! file that holds keys, and backups leave out the files of hours. It does not know what a key opens.
//! A nonce is the start of a hash of the key itself, which is random: two keys in one slot, after a
//! crash, never share one.
//!
//! Overwriting in place removes a key from a file system that writes in place (ext4, XFS); what a
//! drive keeps in spare blocks is unreadable once the hour's key is gone, and that once the master key
//! is.

use std::collections::BTreeMap;
use std::io;

use aes_gcm::aead::{Aead as _, KeyInit as _, Payload};
use aes_gcm::{Aes256Gcm, Nonce};
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use crate::bytes::array;
use crate::disk::{Disk, read_up_to, replace_file};

/// Bytes of a slot.
pub const SLOT_SIZE_BYTES: usize = 64;
/// Slots of an hour, at most.
pub const SLOTS_MAX: u32 = 64 * 1024 * 1024;
/// Bytes that [`seal`] adds.
pub const SEAL_OVERHEAD_BYTES: usize = 16;
const SLOT_VERSION: u8 = 1;
const SLOT_DOMAIN: &[u8] = b"interlock key slot 1";
const HOUR_DOMAIN: &[u8] = b"interlock day key 1";
const MASTER_DOMAIN: &[u8] = b"interlock master key 1";
/// Holds a value under the master key, by which another one is told.
const MASTER_CHECK_NAME: &str = "master.check";
/// Hours whose key is held in memory, at most.
const HOURS_HELD_MAX: usize = 2_048;

/// A key that is wiped from memory when it is let go.
pub type Key = Zeroizing<[u8; 32]>;

/// A key to store.
pub struct SlotKey {
    /// The hour in which it ends, in hours since 1970-01-01 UTC: its file goes as a whole then.
    pub hour: u32,
    /// Slot of that hour, below [`SLOTS_MAX`].
    pub slot: u32,
    /// The key; random, and used for one content only.
    pub key: Key,
}

/// Why a key is not stored or not found.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// A system call failed. Stop the process: whether the keys are durable is open.
    #[error("failed to {operation} `{file}`; stop the node and look at the disk")]
    Io {
        /// What was tried.
        operation: &'static str,
        /// On which file.
        file: String,
        /// What the system said.
        source: io::Error,
    },
    /// A slot beyond the last one.
    #[error("slot {0} is beyond the last slot of an hour")]
    NoSuchSlot(u32),
    /// The bytes are no key under this master or hour key.
    #[error(
        "`{file}` has a key at byte {offset} that does not open; is this the right master key?"
    )]
    Damaged {
        /// In which file.
        file: String,
        /// Where.
        offset: u64,
    },
    /// The master key is another one than before.
    #[error(
        "the master key is not the one that the content keys are kept under; put that one back, or move \
         `keys` of the store away if it is lost: personal data of before is then unreadable"
    )]
    WrongMaster,
    /// Encryption was refused.
    #[error("failed to encrypt")]
    Cipher,
}

/// The content keys of a node.
pub struct KeySlots {
    disk: Box<dyn Disk>,
    master: Key,
    hours: BTreeMap<u32, Key>,
}

impl KeySlots {
    /// Opens the keys on `disk` under the node's master key. Names that an earlier process gave and
    /// could not sync are made durable first, since keys may follow under them.
    ///
    /// # Errors
    /// [`KeyError::Io`].
    pub fn open(mut disk: Box<dyn Disk>, master: Key) -> Result<Self, KeyError> {
        disk.sync_dir()
            .map_err(|error| failed("sync", "the directory of keys", error))?;
        Ok(Self {
            disk,
            master,
            hours: BTreeMap::new(),
        })
    }

    /// Whether the master key is the one of before: by a value that it seals, which is made if there is
    /// none. Without it a wrong key would be noticed only at the first content that is read.
    ///
    /// # Errors
    /// [`KeyError::WrongMaster`]; [`KeyError::Io`].
    pub fn check_master(&mut self) -> Result<(), KeyError> {
        let names = self.disk.list();
        let names = names.map_err(|error| failed("list", "the directory of keys", error))?;
        if names.iter().any(|name| name == MASTER_CHECK_NAME) {
            let sealed = read_up_to(self.disk.as_mut(), MASTER_CHECK_NAME, 0, SLOT_SIZE_BYTES)
                .map_err(|error| failed("read", MASTER_CHECK_NAME, error))?;
            let known = unwrap_key(&self.master, MASTER_DOMAIN, &sealed);
            return known.map(drop).ok_or(KeyError::WrongMaster);
        }
        let sealed = wrap(&self.master, MASTER_DOMAIN, &Zeroizing::new([0; 32]))?;
        replace_file(self.disk.as_mut(), MASTER_CHECK_NAME, &sealed)
            .map_err(|error| failed("write", MASTER_CHECK_NAME, error))
    }

    /// The same without making anything: `None` if no value is there to tell by.
    pub fn check_known(&mut self) -> Option<bool> {
        let sealed = read_up_to(self.disk.as_mut(), MASTER_CHECK_NAME, 0, SLOT_SIZE_BYTES).ok()?;
        Some(unwrap_key(&self.master, MASTER_DOMAIN, &sealed).is_some())
    }

    /// Makes keys durable, each in its slot; one write for neighbours, one sync for each hour. `fresh`
    /// draws a random key for an hour that has none.
    ///
    /// # Errors
    /// [`KeyError`]; some of the keys may be stored.
    pub fn put_all(
        &mut self,
        keys: &[SlotKey],
        fresh: &mut dyn FnMut() -> [u8; 32],
    ) -> Result<(), KeyError> {
        if let Some(outside) = keys.iter().find(|key| key.slot >= SLOTS_MAX) {
            return Err(KeyError::NoSuchSlot(outside.slot));
        }
        let mut by_hour: BTreeMap<u32, Vec<&SlotKey>> = BTreeMap::new();
        for key in keys {
            by_hour.entry(key.hour).or_default().push(key);
        }
        for (hour, keys) in by_hour {
            let hour_key = match self.hour_key(hour)? {
                Some(key) => key,
                None => self.new_hour(hour, Zeroizing::new(fresh()))?,
            };
            let name = slots_name(hour);
            for run in keys.chunk_by(|one, next| Some(next.slot) == one.slot.checked_add(1)) {
                let Some(first) = run.first() else { continue };
                let mut bytes = Vec::with_capacity(run.len() * SLOT_SIZE_BYTES);
                for key in run {
                    let wrapped = wrap(&hour_key, &slot_data(hour, key.slot), &key.key)?;
                    bytes.extend_from_slice(&wrapped);
                }
                self.disk
                    .write_at(&name, offset(first.slot), &bytes)
                    .map_err(|error| failed("write", &name, error))?;
            }
            self.disk
                .datasync(&name)
                .map_err(|error| failed("sync", &name, error))?;
        }
        Ok(())
    }

    /// The key in a slot; `None` if there is none, or it was destroyed.
    ///
    /// # Errors
    /// [`KeyError::Io`], [`KeyError::Damaged`].
    pub fn get(&mut self, hour: u32, slot: u32) -> Result<Option<Key>, KeyError> {
        let Some(hour_key) = self.hour_key(hour)? else {
            return Ok(None);
        };
        self.read_key(
            &slots_name(hour),
            offset(slot),
            &hour_key,
            &slot_data(hour, slot),
        )
    }

    /// Overwrites keys, durably: hour and slot of each; one sync for each hour. A slot without a key
    /// stays without.
    ///
    /// # Errors
    /// [`KeyError::Io`]: some of the keys may still be there.
    pub fn destroy(&mut self, slots: &[(u32, u32)]) -> Result<(), KeyError> {
        let mut by_hour: BTreeMap<u32, Vec<u32>> = BTreeMap::new();
        for (hour, slot) in slots {
            by_hour.entry(*hour).or_default().push(*slot);
        }
        for (hour, slots) in by_hour {
            let name = slots_name(hour);
            let len_bytes = match self.disk.len(&name) {
                Ok(len_bytes) => len_bytes,
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                Err(error) => return Err(failed("examine", &name, error)),
            };
            for slot in slots {
                if offset(slot) < len_bytes {
                    self.disk
                        .write_at(&name, offset(slot), &[0; SLOT_SIZE_BYTES])
                        .map_err(|error| failed("overwrite", &name, error))?;
                }
            }
            self.disk
                .datasync(&name)
                .map_err(|error| failed("sync", &name, error))?;
        }
        Ok(())
    }

    /// Destroys all keys of an hour, durably: first the key that opens them, then the files.
    ///
    /// # Errors
    /// [`KeyError::Io`]: the keys may still be there.
    pub fn destroy_hour(&mut self, hour: u32) -> Result<(), KeyError> {
        self.hours.remove(&hour);
        let names = self
            .disk
            .list()
            .map_err(|error| failed("list", "", error))?;
        let key_name = hour_name(hour);
        if names.contains(&key_name) {
            self.overwrite(&key_name, 0)?;
        }
        for name in [slots_name(hour), key_name] {
            if names.contains(&name) {
                self.disk
                    .remove(&name)
                    .map_err(|error| failed("remove", &name, error))?;
            }
        }
        self.disk
            .sync_dir()
            .map_err(|error| failed("sync the directory of", &hour_name(hour), error))
    }

    /// Wraps the keys of all hours under another master key. What stands under the new one already is
    /// left: after a crash the same call goes on where it was. Returns how many hours were wrapped anew.
    ///
    /// # Errors
    /// [`KeyError::Damaged`] for a key under neither of the two; nothing is lost.
    pub fn rotate_master(&mut self, new: &Key) -> Result<usize, KeyError> {
        self.hours.clear();
        let mut rotated = 0;
        for hour in self.hours()? {
            let (name, data) = (hour_name(hour), hour_data(hour));
            let known = self.read_key(&name, 0, new, &data);
            if matches!(known, Ok(Some(_))) {
                continue;
            }
            let master = self.master.clone();
            if let Some(key) = self.read_key(&name, 0, &master, &data)? {
                self.replace(&name, &wrap(new, &data, &key)?)?;
                rotated += 1;
            }
        }
        let check = wrap(new, MASTER_DOMAIN, &Zeroizing::new([0; 32]))?;
        self.replace(MASTER_CHECK_NAME, &check)?;
        self.master = new.clone();
        Ok(rotated)
    }

    /// Puts other bytes in the place of a file's. The old ones may stay on the disk; they open with the
    /// old master key only, which its holder destroys.
    fn replace(&mut self, name: &str, bytes: &[u8]) -> Result<(), KeyError> {
        replace_file(self.disk.as_mut(), name, bytes).map_err(|error| failed("write", name, error))
    }

    /// The hours that have keys, ascending.
    ///
    /// # Errors
    /// [`KeyError::Io`].
    pub fn hours(&mut self) -> Result<Vec<u32>, KeyError> {
        let names = self
            .disk
            .list()
            .map_err(|error| failed("list", "", error))?;
        Ok(names
            .iter()
            .filter_map(|name| {
                name.strip_prefix("due-")?
                    .strip_suffix(".key")?
                    .parse()
                    .ok()
            })
            .collect())
    }

    /// Makes the files of a new hour: its slots, empty and durable under their name, before the key that
    /// says that the hour exists. An hour that was destroyed may come again after a clock went back, and
    /// what a crash left in its slots does not open under another key.
    fn new_hour(&mut self, hour: u32, key: Key) -> Result<Key, KeyError> {
        let slots = slots_name(hour);
        self.disk
            .create(&slots, 0)
            .map_err(|error| failed("create", &slots, error))?;
        self.disk
            .datasync(&slots)
            .map_err(|error| failed("sync", &slots, error))?;
        let name = hour_name(hour);
        let wrapped = wrap(&self.master, &hour_data(hour), &key)?;
        replace_file(self.disk.as_mut(), &name, &wrapped)
            .map_err(|error| failed("write", &name, error))?;
        self.hold(hour, &key);
        Ok(key)
    }

    fn hour_key(&mut self, hour: u32) -> Result<Option<Key>, KeyError> {
        if let Some(key) = self.hours.get(&hour) {
            return Ok(Some(key.clone()));
        }
        let master = self.master.clone();
        let key = self.read_key(&hour_name(hour), 0, &master, &hour_data(hour))?;
        if let Some(key) = &key {
            self.hold(hour, key);
        }
        Ok(key)
    }

    fn hold(&mut self, hour: u32, key: &Key) {
        if self.hours.len() >= HOURS_HELD_MAX {
            self.hours.pop_first();
        }
        self.hours.insert(hour, key.clone());
    }

    fn read_key(
        &mut self,
        name: &str,
        offset: u64,
        under: &Key,
        data: &[u8],
    ) -> Result<Option<Key>, KeyError> {
        let bytes = match read_up_to(self.disk.as_mut(), name, offset, SLOT_SIZE_BYTES) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(failed("read", name, error)),
        };
        // Never written, or overwritten: if only in part, then from the version on.
        if bytes.first().is_none_or(|version| *version == 0) {
            return Ok(None);
        }
        unwrap_key(under, data, &bytes)
            .map(Some)
            .ok_or_else(|| KeyError::Damaged {
                file: name.into(),
                offset,
            })
    }

    fn overwrite(&mut self, name: &str, offset: u64) -> Result<(), KeyError> {
        self.disk
            .write_at(name, offset, &[0; SLOT_SIZE_BYTES])
            .map_err(|error| failed("overwrite", name, error))?;
        self.disk
            .datasync(name)
            .map_err(|error| failed("sync", name, error))
    }
}

/// Seals a content under its key. A nonce is used once with a key.
///
/// # Errors
/// [`KeyError::Cipher`] if the content is too long for the cipher (64 GiB).
pub fn seal(
    key: &[u8; 32],
    additional_data: &[u8],
    plaintext: &[u8],
    nonce: &[u8; 12],
) -> Result<Vec<u8>, KeyError> {
    let payload = Payload {
        msg: plaintext,
        aad: additional_data,
    };
    Aes256Gcm::new(&(*key).into())
        .encrypt(&Nonce::from(*nonce), payload)
        .map_err(|_| KeyError::Cipher)
}

/// Opens what [`seal`] made; `None` if anything is not as it was sealed.
pub fn open(
    key: &[u8; 32],
    additional_data: &[u8],
    sealed: &[u8],
    nonce: &[u8; 12],
) -> Option<Zeroizing<Vec<u8>>> {
    let payload = Payload {
        msg: sealed,
        aad: additional_data,
    };
    Aes256Gcm::new(&(*key).into())
        .decrypt(&Nonce::from(*nonce), payload)
        .map(Zeroizing::new)
        .ok()
}

fn wrap(under: &Key, data: &[u8], key: &Key) -> Result<Vec<u8>, KeyError> {
    let mut hash = Sha256::new();
    hash.update(data);
    hash.update(key.as_slice());
    let hash: [u8; 32] = hash.finalize().into();
    let nonce: [u8; 12] = array(&hash, 0).ok_or(KeyError::Cipher)?;
    let mut slot = vec![SLOT_VERSION, 0, 0, 0];
    slot.extend_from_slice(&nonce);
    slot.extend_from_slice(&seal(under, data, key.as_slice(), &nonce)?);
    Ok(slot)
}

fn unwrap_key(under: &Key, data: &[u8], slot: &[u8]) -> Option<Key> {
    if array(slot, 0)? != [SLOT_VERSION, 0, 0, 0] {
        return None;
    }
    let plain = open(
        under,
        data,
        slot.get(16..SLOT_SIZE_BYTES)?,
        &array(slot, 4)?,
    )?;
    array(&plain, 0).map(Zeroizing::new)
}

fn slot_data(hour: u32, slot: u32) -> Vec<u8> {
    [SLOT_DOMAIN, &hour.to_le_bytes(), &slot.to_le_bytes()].concat()
}

fn hour_data(hour: u32) -> Vec<u8> {
    [HOUR_DOMAIN, &hour.to_le_bytes()].concat()
}

const fn offset(slot: u32) -> u64 {
    slot as u64 * SLOT_SIZE_BYTES as u64
}

fn slots_name(hour: u32) -> String {
    format!("due-{hour:010}.slots")
}

fn hour_name(hour: u32) -> String {
    format!("due-{hour:010}.key")
}

fn failed(operation: &'static str, file: &str, source: io::Error) -> KeyError {
    KeyError::Io {
        operation,
        file: file.into(),
        source,
    }
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use super::*;
    use crate::disk::{Crash, Fault, MemDisk};

    fn key(n: u8) -> Key {
        Zeroizing::new([n; 32])
    }

    fn slots(disk: &MemDisk) -> KeySlots {
        KeySlots::open(Box::new(disk.clone()), key(0xee)).unwrap()
    }

    fn slot_key(hour: u32, slot: u32, n: u8) -> SlotKey {
        SlotKey {
            hour,
            slot,
            key: key(n),
        }
    }

    fn put(slots: &mut KeySlots, keys: &[SlotKey]) -> Result<(), KeyError> {
        slots.put_all(keys, &mut || [0xdd; 32])
    }

    fn bytes(disk: &MemDisk, name: &str) -> Vec<u8> {
        read_up_to(&mut disk.clone(), name, 0, 4096).unwrap()
    }

    #[test]
    fn golden_slot() {
        let disk = MemDisk::new();
        put(&mut slots(&disk), &[slot_key(17_318, 0, 7)]).unwrap();
        let slot = bytes(&disk, "due-0000017318.slots");
        let hour = bytes(&disk, "due-0000017318.key");
        assert_eq!((slot.len(), hour.len()), (SLOT_SIZE_BYTES, SLOT_SIZE_BYTES));
        let text = format!(
            "{}\n{}\n",
            crate::hex::encode(&slot),
            crate::hex::encode(&hour)
        );
        expect![[r#"
            01000000c8f9853a7f79dd0822f0eab29d299c397c7b9c9895cfe144a7d74dacbeb0fb22231d005db63598b08e5336b74b7dfb3d7378875335e1731fa38e27da
            010000008ec3d607172326a55d3c6c8c22c0218cd8f781b93c69dcc6dc17140f854dd261f53ad08f83e4049052fb574e84c6f19d25816d6fe8a4af2e9e503139
        "#]].assert_eq(&text);
    }

    #[test]
    fn keys_are_durable_when_put_and_gone_when_destroyed() {
        let disk = MemDisk::new();
        let mut open = slots(&disk);
        put(
            &mut open,
            &[slot_key(1, 5, 50), slot_key(2, 0, 20), slot_key(1, 0, 10)],
        )
        .unwrap();
        disk.crash(Crash::LoseUnsynced);
        let mut open = slots(&disk);
        assert_eq!(open.hours().unwrap(), [1, 2]);
        assert_eq!(open.get(1, 5).unwrap(), Some(key(50)));
        assert_eq!(open.get(1, 3).unwrap(), None);
        assert_eq!(open.get(1, 6).unwrap(), None);
        assert_eq!(open.get(3, 0).unwrap(), None);

        open.destroy(&[(1, 5), (1, 6), (9, 6)]).unwrap();
        disk.crash(Crash::LoseUnsynced);
        let mut open = slots(&disk);
        assert_eq!(open.get(1, 5).unwrap(), None);
        assert_eq!(open.get(1, 0).unwrap(), Some(key(10)));
        assert_eq!(bytes(&disk, &slots_name(1))[5 * 64..], [0; 64]);
        assert_eq!(bytes(&disk, &slots_name(1)).len(), 6 * 64);

        open.destroy_hour(1).unwrap();
        open.destroy_hour(1).unwrap();
        disk.crash(Crash::LoseUnsynced);
        let mut open = slots(&disk);
        assert_eq!(open.get(1, 0).unwrap(), None);
        assert_eq!(open.hours().unwrap(), [2]);
        assert_eq!(open.get(2, 0).unwrap(), Some(key(20)));
    }

    #[test]
    fn a_key_that_is_overwritten_in_part_is_gone() {
        for len in 1..SLOT_SIZE_BYTES {
            let disk = MemDisk::new();
            let mut open = slots(&disk);
            put(&mut open, &[slot_key(1, 0, 10), slot_key(1, 1, 11)]).unwrap();
            let zeros = vec![0; len];
            disk.clone().write_at(&slots_name(1), 64, &zeros).unwrap();
            assert_eq!(open.get(1, 1).unwrap(), None, "{len}");
            assert_eq!(open.get(1, 0).unwrap(), Some(key(10)), "{len}");
            disk.clone().write_at(&hour_name(1), 0, &zeros).unwrap();
            assert_eq!(slots(&disk).get(1, 0).unwrap(), None, "{len}");
        }
    }

    #[test]
    fn an_hour_that_comes_again_has_no_key_of_before() {
        for at in 0..12 {
            for seed in 0..16 {
                let disk = MemDisk::new();
                let mut open = slots(&disk);
                put(&mut open, &[slot_key(1, 0, 10), slot_key(1, 1, 11)]).unwrap();
                let stale = bytes(&disk, &slots_name(1));
                open.destroy_hour(1).unwrap();
                // What a crash half way through that leaves: the slots without the key.
                let mut other = disk.clone();
                other.create(&slots_name(1), 0).unwrap();
                other.write_at(&slots_name(1), 0, &stale).unwrap();
                other.datasync(&slots_name(1)).unwrap();
                other.sync_dir().unwrap();
                let mut open = slots(&disk);
                disk.inject(at, Fault::PowerLoss);
                let again = put(&mut open, &[slot_key(1, 0, 20)]);
                drop(open);
                disk.crash(Crash::Torn(seed));
                let mut open = slots(&disk);
                assert_eq!(open.get(1, 1).unwrap(), None, "{at} {seed}");
                if again.is_ok() {
                    assert_eq!(open.get(1, 0).unwrap(), Some(key(20)), "{at} {seed}");
                }
            }
        }
    }

    #[test]
    fn a_key_opens_only_in_its_place_and_under_its_master() {
        let disk = MemDisk::new();
        let mut open = slots(&disk);
        put(&mut open, &[slot_key(1, 0, 10), slot_key(1, 1, 11)]).unwrap();
        let mut other = KeySlots::open(Box::new(disk.clone()), key(1)).unwrap();
        assert!(matches!(other.get(1, 0), Err(KeyError::Damaged { .. })));
        let first = bytes(&disk, &slots_name(1))[..64].to_vec();
        disk.clone().write_at(&slots_name(1), 64, &first).unwrap();
        assert!(matches!(
            open.get(1, 1),
            Err(KeyError::Damaged { offset: 64, .. })
        ));
        assert!(disk.flip(&slots_name(1), 20, 1));
        assert!(matches!(open.get(1, 0), Err(KeyError::Damaged { .. })));
        let outside = put(&mut open, &[slot_key(1, SLOTS_MAX, 1)]);
        assert!(matches!(outside, Err(KeyError::NoSuchSlot(_))));
    }

    #[test]
    fn another_key_in_a_slot_has_another_nonce() {
        let disk = MemDisk::new();
        let mut open = slots(&disk);
        put(&mut open, &[slot_key(1, 0, 10)]).unwrap();
        let before = bytes(&disk, &slots_name(1));
        put(&mut open, &[slot_key(1, 0, 11)]).unwrap();
        let after = bytes(&disk, &slots_name(1));
        assert_ne!(before[4..16], after[4..16]);
        assert_eq!(open.get(1, 0).unwrap(), Some(key(11)));
    }

    #[test]
    fn after_any_fault_and_crash_a_key_that_was_put_is_there() {
        for at in 0..12 {
            for fault in [Fault::Failed, Fault::FailedAlthoughDone, Fault::PowerLoss] {
                for crash in [Crash::KeepAll, Crash::LoseUnsynced, Crash::Torn(at)] {
                    let disk = MemDisk::new();
                    let mut open = slots(&disk);
                    disk.inject(at, fault);
                    let first = put(&mut open, &[slot_key(1, 0, 10)]);
                    let second = first
                        .is_ok()
                        .then(|| put(&mut open, &[slot_key(1, 9, 19), slot_key(2, 0, 20)]));
                    drop(open);
                    disk.crash(crash);
                    let mut open = slots(&disk);
                    if first.is_ok() {
                        assert_eq!(open.get(1, 0).unwrap(), Some(key(10)), "{at} {fault:?}");
                    }
                    if matches!(second, Some(Ok(()))) {
                        assert_eq!(open.get(1, 9).unwrap(), Some(key(19)));
                        assert_eq!(open.get(2, 0).unwrap(), Some(key(20)));
                    }
                    // Whatever was left half done does not stand in the way.
                    put(&mut open, &[slot_key(1, 0, 12)]).unwrap();
                    disk.crash(Crash::LoseUnsynced);
                    let mut open = slots(&disk);
                    assert_eq!(open.get(1, 0).unwrap(), Some(key(12)), "{at} {fault:?}");
                }
            }
        }
    }

    #[test]
    fn another_master_key_opens_what_the_old_one_did_even_after_a_crash_half_way() {
        let new = key(0xff);
        for crash_at in 0..16 {
            let disk = MemDisk::new();
            let mut open = slots(&disk);
            open.check_master().unwrap();
            put(&mut open, &[slot_key(1, 0, 10), slot_key(2, 3, 20)]).unwrap();
            disk.inject(crash_at, Fault::Failed);
            let first = open.rotate_master(&new);
            disk.crash(Crash::LoseUnsynced);
            if first.is_err() {
                slots(&disk).rotate_master(&new).unwrap();
            }
            let mut open = KeySlots::open(Box::new(disk.clone()), new.clone()).unwrap();
            open.check_master().unwrap();
            assert_eq!(open.get(1, 0).unwrap(), Some(key(10)), "{crash_at}");
            assert_eq!(open.get(2, 3).unwrap(), Some(key(20)), "{crash_at}");
            let mut old = slots(&disk);
            assert!(matches!(old.check_master(), Err(KeyError::WrongMaster)));
            assert!(matches!(old.get(1, 0), Err(KeyError::Damaged { .. })));
        }
    }

    #[test]
    fn what_is_sealed_opens_only_unchanged() {
        let sealed = seal(&[1; 32], b"parcel", b"13812341234", &[2; 12]).unwrap();
        assert_eq!(sealed.len(), 11 + SEAL_OVERHEAD_BYTES);
        let opened = open(&[1; 32], b"parcel", &sealed, &[2; 12]).unwrap();
        assert_eq!(opened.as_slice(), b"13812341234");
        assert!(open(&[1; 32], b"other", &sealed, &[2; 12]).is_none());
        assert!(open(&[3; 32], b"parcel", &sealed, &[2; 12]).is_none());
        assert!(open(&[1; 32], b"parcel", &sealed[1..], &[2; 12]).is_none());
    }
}
