//! The anchor log of a participant: what a witness sees of its bilateral logs, and what dates them.
//!
//! At a fixed cadence a node writes one entry: the root over one salted commitment to the head (log,
//! size, root) of each bilateral log that it writes, filled up with random ones. Entries are leaves of
//! one log of their own (RFC 6962), under checkpoints as C2SP signed notes; a witness adds its
//! cosignature (C2SP tlog-cosignature, `cosignature/v1`), which has a time. With the salt, two proofs and
//! the cosigned note, anybody sees that a log stood at that head by then.
//!
//! INVARIANT: without the salt an entry says nothing about any log, nor how many there are beyond a
//! power of two; an anchor log only grows, and a witness signs nothing that does not continue what it
//! signed before. It knows no clock.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ed25519_dalek::{Signature, Signer as _, SigningKey, VerifyingKey};
use interlock_core::ids::ParticipantId;
use interlock_core::time::Timestamp;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::checkpoint::{NOTE_SIGNATURES_MAX, signature_lines, split};
use crate::hex;
use crate::merkle::Hash;

/// Heads that an entry has at least; fewer logs are filled up.
pub const HEADS_MIN: usize = 16;
/// Signature type byte of a timestamped Ed25519 cosignature (C2SP tlog-cosignature).
const COSIGNATURE: u8 = 4;
const SIGNATURE_PREFIX: &str = "\u{2014} ";

/// The origin line of an anchor log. A participant that lost the end of one goes on in another epoch.
pub fn anchor_origin(of: &ParticipantId, epoch: u32) -> String {
    format!("{} anchor epoch {epoch}", of.as_str())
}

/// The epoch that an origin line of a participant's anchor log names.
pub fn anchor_epoch(line: &str, of: &ParticipantId) -> Option<u32> {
    let epoch = line.rsplit(' ').next()?.parse().ok()?;
    (anchor_origin(of, epoch) == line).then_some(epoch)
}

/// What is committed to: the head of one bilateral log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Head {
    /// The log, by the origin of its checkpoints.
    pub log: String,
    /// Root over its leaves, hexadecimal.
    pub root: String,
    /// How many leaves.
    pub size: u64,
}

impl Head {
    /// The head of a log.
    pub fn new(log: String, size: u64, root: &Hash) -> Self {
        let root = hex::encode(root);
        Self { log, root, size }
    }

    /// The bytes that are committed to: JSON with the keys in their order and no spaces.
    pub fn text(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }
}

/// How many commitments an entry has for so many logs.
pub const fn heads_filled(logs: usize) -> usize {
    let logs = if logs < HEADS_MIN { HEADS_MIN } else { logs };
    logs.next_power_of_two()
}

/// A cosignature with its time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cosigned {
    /// When, by the witness's clock; full seconds.
    pub at: Timestamp,
}

fn key_id(name: &str, key: &VerifyingKey) -> [u8; 4] {
    let mut hash = Sha256::new();
    hash.update(name.as_bytes());
    hash.update([b'\n', COSIGNATURE]);
    hash.update(key.as_bytes());
    let [a, b, c, d, ..]: [u8; 32] = hash.finalize().into();
    [a, b, c, d]
}

fn message(text: &str, seconds: u64) -> String {
    format!("cosignature/v1\ntime {seconds}\n{text}")
}

/// The line that a witness adds to a note; `None` if the note is none or the name cannot stand there.
pub fn cosign(note: &str, name: &str, key: &SigningKey, at: Timestamp) -> Option<String> {
    if name.is_empty() || name.contains(|c: char| c.is_whitespace() || c == '+') {
        return None;
    }
    let seconds = u64::try_from(at.as_millis().div_euclid(1_000)).ok()?;
    let text = split(note).ok()?.0;
    let mut line = key_id(name, &key.verifying_key()).to_vec();
    line.extend_from_slice(&seconds.to_be_bytes());
    line.extend_from_slice(&key.sign(message(text, seconds).as_bytes()).to_bytes());
    Some(format!(
        "{SIGNATURE_PREFIX}{name} {}\n",
        STANDARD.encode(line)
    ))
}

/// The cosignature of a note by this witness; `None` if there is none, or it is wrong.
pub fn cosignature(note: &str, name: &str, key: &VerifyingKey) -> Option<Cosigned> {
    let (text, lines) = split(note).ok()?;
    let id = key_id(name, key);
    for (signer, bytes) in signature_lines(lines).take(NOTE_SIGNATURES_MAX) {
        let Some((found, rest)) = bytes.split_first_chunk::<4>() else {
            continue;
        };
        if signer != name || *found != id {
            continue;
        }
        let (seconds, signature) = rest.split_first_chunk::<8>()?;
        let seconds = u64::from_be_bytes(*seconds);
        let signature = Signature::from_slice(signature).ok()?;
        key.verify_strict(message(text, seconds).as_bytes(), &signature)
            .ok()?;
        let ms = i64::try_from(seconds).ok()?.checked_mul(1_000)?;
        return Some(Cosigned {
            at: Timestamp::from_millis(ms),
        });
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checkpoint::Checkpoint;

    fn key(n: u8) -> SigningKey {
        SigningKey::from_bytes(&[n; 32])
    }

    fn a() -> ParticipantId {
        ParticipantId::parse("did:web:a.example").unwrap()
    }

    fn note() -> String {
        let checkpoint = Checkpoint {
            origin: anchor_origin(&a(), 1),
            size: 7,
            root: [5; 32],
            time: Timestamp::from_millis(1_496_246_400_000),
        };
        checkpoint.sign(&key(1), "did:web:a.example").unwrap()
    }

    #[test]
    fn a_witness_adds_a_dated_line_that_is_its_own() {
        let name = "did:web:bureau.example";
        let at = Timestamp::from_millis(1_496_246_460_789);
        let line = cosign(&note(), name, &key(2), at).unwrap();
        let cosigned = format!("{}{line}", note());
        let found = cosignature(&cosigned, name, &key(2).verifying_key());
        assert_eq!(found.unwrap().at, Timestamp::from_millis(1_496_246_460_000));
        // The signer's own line is still read, and the other way round.
        let signer =
            Checkpoint::parse_and_verify(&cosigned, "did:web:a.example", &key(1).verifying_key());
        assert_eq!(signer.unwrap().size, 7);
        for (note, name, by) in [
            (note(), name, 2),
            (cosigned.clone(), name, 3),
            (cosigned.clone(), "did:web:other.example", 2),
            (cosigned.replacen("\n7\n", "\n8\n", 1), name, 2),
        ] {
            assert_eq!(cosignature(&note, name, &key(by).verifying_key()), None);
        }
        assert_eq!(cosign(&note(), "a b", &key(2), at), None);
        assert_eq!(cosign("no note", name, &key(2), at), None);
    }

    #[test]
    fn golden_cosignature() {
        let at = Timestamp::from_millis(1_496_246_460_000);
        let line = cosign(&note(), "did:web:bureau.example", &key(2), at).unwrap();
        expect_test::expect![[r#"
            — did:web:bureau.example 237a+gAAAABZLui8UEOLBAOi7wUfdKPWbxbJRoPZDEQ4IZvDSOxjVpxTnSA2aXMgBDfnKqGAAindhSnweJevaVVG70JoDLaapEPvDw==
        "#]].assert_eq(&line);
        let head = Head::new(
            "did:web:a.example -> did:web:b.example epoch 1".into(),
            17,
            &[0xab; 32],
        );
        expect_test::expect![[r#"{"log":"did:web:a.example -> did:web:b.example epoch 1","root":"abababababababababababababababababababababababababababababababab","size":17}"#]]
            .assert_eq(&head.text());
    }

    #[test]
    fn the_number_of_logs_is_hidden_up_to_a_power_of_two() {
        for (logs, filled) in [(0, 16), (1, 16), (16, 16), (17, 32), (100, 128)] {
            assert_eq!(heads_filled(logs), filled);
        }
        for (line, epoch) in [
            ("did:web:a.example anchor epoch 3", Some(3)),
            ("did:web:a.example anchor epoch 03", None),
            ("did:web:b.example anchor epoch 3", None),
            ("did:web:a.example -> did:web:b.example epoch 3", None),
        ] {
            assert_eq!(anchor_epoch(line, &a()), epoch);
        }
    }
}
