//! Checkpoints of bilateral logs: C2SP tlog-checkpoint in a C2SP signed note, with Ed25519.
//!
//! ```text
//! did:web:a.example -> did:web:b.example epoch 1      origin
//! 17                                                  leaves
//! CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=        root, RFC 6962
//! time 1496246400000                                  extension line, milliseconds since 1970 UTC
//!
//! — did:web:a.example Az3grlgt...                     key name, base64 of key id and signature
//! ```
//!
//! INVARIANT: a [`Checkpoint`] that came out of [`Checkpoint::parse_and_verify`] was signed, over
//! exactly the text that it has, by the key asked for. It does not know whether it is true.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ed25519_dalek::{Signature, Signer as _, SigningKey, VerifyingKey};
use interlock_core::ids::ParticipantId;
use interlock_core::time::Timestamp;
use sha2::{Digest, Sha256};

use crate::merkle::Hash;

/// Bytes of a note, at most.
pub const NOTE_SIZE_BYTES_MAX: usize = 16 * 1024;
/// Signature lines that are looked at (C2SP signed-note asks for at least 16).
pub const NOTE_SIGNATURES_MAX: usize = 16;
/// Signature type byte of Ed25519 (C2SP signed-note).
const ED25519: u8 = 1;
const SIGNATURE_PREFIX: &str = "\u{2014} ";

/// The head of a log at one size.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checkpoint {
    /// Which log ([`origin`]).
    pub origin: String,
    /// How many leaves.
    pub size: u64,
    /// Root over them.
    pub root: Hash,
    /// When it was signed, by the signer's clock.
    pub time: Timestamp,
}

/// Why a note is no checkpoint of the log and key asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CheckpointError {
    /// Not a signed note (C2SP signed-note).
    #[error("not a signed note; it needs a text, an empty line and signature lines")]
    NotANote,
    /// The text is no checkpoint with a time.
    #[error("the note is no checkpoint; it needs origin, size, root and `time` in milliseconds")]
    NotACheckpoint,
    /// None of the signatures is by this name and key.
    #[error("the note is not signed by the key asked for; compare the pinned key of its signer")]
    UnknownSigner,
    /// There is a signature by this name and key id, and it is wrong.
    #[error("the signature is wrong; the text was changed after it was signed")]
    BadSignature,
    /// A key name is empty or has a space or `+`.
    #[error("a key name has no space and no `+`; use the participant's DID")]
    BadKeyName,
    /// The origin is empty or has a line break.
    #[error("an origin is one line that is not empty")]
    BadOrigin,
}

/// The origin line of the log that `writer` keeps for `reader`.
pub fn origin(writer: &ParticipantId, reader: &ParticipantId, epoch: u32) -> String {
    format!("{} -> {} epoch {epoch}", writer.as_str(), reader.as_str())
}

/// The epoch that an origin line of the log of `writer` for `reader` names.
pub fn epoch_of(line: &str, writer: &ParticipantId, reader: &ParticipantId) -> Option<u32> {
    let epoch = line.rsplit(' ').next()?.parse().ok()?;
    (origin(writer, reader, epoch) == line).then_some(epoch)
}

/// The key id of C2SP signed-note: the start of SHA-256(name, newline, type, public key).
pub fn key_id(key_name: &str, key: &VerifyingKey) -> [u8; 4] {
    let mut hash = Sha256::new();
    hash.update(key_name.as_bytes());
    hash.update([b'\n', ED25519]);
    hash.update(key.as_bytes());
    let [a, b, c, d, ..]: [u8; 32] = hash.finalize().into();
    [a, b, c, d]
}

impl Checkpoint {
    /// The text that is signed.
    pub fn text(&self) -> String {
        format!(
            "{}\n{}\n{}\ntime {}\n",
            self.origin,
            self.size,
            STANDARD.encode(self.root),
            self.time.as_millis()
        )
    }

    /// The signed note, by a key that goes by `key_name` (the signer's DID).
    ///
    /// # Errors
    /// [`CheckpointError::BadKeyName`], [`CheckpointError::BadOrigin`].
    pub fn sign(&self, key: &SigningKey, key_name: &str) -> Result<String, CheckpointError> {
        if key_name.is_empty() || key_name.contains(|c: char| c.is_whitespace() || c == '+') {
            return Err(CheckpointError::BadKeyName);
        }
        if self.origin.is_empty() || self.origin.contains(char::is_control) {
            return Err(CheckpointError::BadOrigin);
        }
        let text = self.text();
        let mut line = key_id(key_name, &key.verifying_key()).to_vec();
        line.extend_from_slice(&key.sign(text.as_bytes()).to_bytes());
        let line = STANDARD.encode(line);
        Ok(format!("{text}\n{SIGNATURE_PREFIX}{key_name} {line}\n"))
    }

    /// Reads a note that must be signed by this name and key. Signatures of others are ignored.
    ///
    /// # Errors
    /// [`CheckpointError`].
    pub fn parse_and_verify(
        note: &str,
        key_name: &str,
        key: &VerifyingKey,
    ) -> Result<Self, CheckpointError> {
        let (text, signatures) = split(note)?;
        let id = key_id(key_name, key);
        let mut verified = false;
        for line in signatures.lines().take(NOTE_SIGNATURES_MAX) {
            let (name, signature_id, signature) = signature_line(line)?;
            if name == key_name && signature_id == id {
                let signature = signature.ok_or(CheckpointError::BadSignature)?;
                key.verify_strict(text.as_bytes(), &signature)
                    .map_err(|_| CheckpointError::BadSignature)?;
                verified = true;
            }
        }
        if !verified {
            return Err(CheckpointError::UnknownSigner);
        }
        Self::parse_text(text).ok_or(CheckpointError::NotACheckpoint)
    }

    /// What the note says, whoever signed it: to name it in an error, never to rely on it.
    pub fn parse_unverified(note: &str) -> Option<Self> {
        Self::parse_text(split(note).ok()?.0)
    }

    fn parse_text(text: &str) -> Option<Self> {
        let mut lines = text.strip_suffix('\n')?.split('\n');
        let checkpoint = Self {
            origin: lines.next().filter(|line| !line.is_empty())?.into(),
            size: lines.next()?.parse().ok()?,
            root: STANDARD.decode(lines.next()?).ok()?.try_into().ok()?,
            time: Timestamp::from_millis(lines.next()?.strip_prefix("time ")?.parse().ok()?),
        };
        // Only the canonical text is a checkpoint: no leading zeros, signs or further lines.
        (checkpoint.text() == text).then_some(checkpoint)
    }
}

/// Text and signature lines, divided by the last empty line.
pub(crate) fn split(note: &str) -> Result<(&str, &str), CheckpointError> {
    let well_formed = note.len() <= NOTE_SIZE_BYTES_MAX
        && note.ends_with('\n')
        && !note.contains(|c: char| c.is_ascii_control() && c != '\n');
    let at = note.rfind("\n\n").filter(|_| well_formed);
    let at = at.ok_or(CheckpointError::NotANote)?;
    let (text, rest) = note
        .split_at_checked(at + 1)
        .ok_or(CheckpointError::NotANote)?;
    let signatures = rest.strip_prefix('\n').unwrap_or(rest);
    if signatures.is_empty() {
        return Err(CheckpointError::NotANote);
    }
    Ok((text, signatures))
}

type SignatureLine<'a> = (&'a str, [u8; 4], Option<Signature>);

fn signature_line(line: &str) -> Result<SignatureLine<'_>, CheckpointError> {
    let parse = || {
        let (name, encoded) = line.strip_prefix(SIGNATURE_PREFIX)?.split_once(' ')?;
        let bytes = STANDARD.decode(encoded).ok()?;
        let (id, signature) = bytes.split_first_chunk::<4>()?;
        Some((name, *id, Signature::from_slice(signature).ok()))
    };
    parse().ok_or(CheckpointError::NotANote)
}

/// Name and bytes of every well-formed signature line.
pub(crate) fn signature_lines(lines: &str) -> impl Iterator<Item = (&str, Vec<u8>)> {
    lines.lines().filter_map(|line| {
        let (name, encoded) = line.strip_prefix(SIGNATURE_PREFIX)?.split_once(' ')?;
        Some((name, STANDARD.decode(encoded).ok()?))
    })
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use super::*;

    fn sample() -> Checkpoint {
        let a = ParticipantId::parse("did:web:a.example").unwrap();
        let b = ParticipantId::parse("did:web:b.example").unwrap();
        Checkpoint {
            origin: origin(&a, &b, 1),
            size: 17,
            root: [0xab; 32],
            time: Timestamp::from_millis(1_496_246_400_000),
        }
    }

    fn key() -> SigningKey {
        SigningKey::from_bytes(&[42; 32])
    }

    #[test]
    fn golden_note() {
        let note = sample().sign(&key(), "did:web:a.example").unwrap();
        let read = Checkpoint::parse_and_verify(&note, "did:web:a.example", &key().verifying_key());
        assert_eq!(read, Ok(sample()));
        expect![[r#"
            did:web:a.example -> did:web:b.example epoch 1
            17
            q6urq6urq6urq6urq6urq6urq6urq6urq6urq6urq6s=
            time 1496246400000

            — did:web:a.example rf9NNo9VaC5Cn9dgTBBwe3xpX44HfSzopnqIexVn8siALAY/+s5vBI4PBZeJCUdNNxZKk+6UPnqCxsxneXV0twjsQwA=
        "#]].assert_eq(&note);
    }

    #[test]
    fn the_example_of_the_specification_has_the_key_id_it_says() {
        // c2sp.org/signed-note, vkey "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW".
        let bytes = STANDARD
            .decode("ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW")
            .unwrap();
        let key = VerifyingKey::from_bytes(bytes[1..].try_into().unwrap()).unwrap();
        assert_eq!(key_id("PeterNeumann", &key), [0xc7, 0x4f, 0x20, 0xa3]);
    }

    #[test]
    fn foreign_changed_and_malformed_notes_are_refused() {
        let name = "did:web:a.example";
        let note = sample().sign(&key(), name).unwrap();
        let verify = |note: &str| Checkpoint::parse_and_verify(note, name, &key().verifying_key());
        let other = SigningKey::from_bytes(&[1; 32]);
        let foreign = Checkpoint::parse_and_verify(&note, name, &other.verifying_key());
        assert_eq!(foreign, Err(CheckpointError::UnknownSigner));
        let renamed =
            Checkpoint::parse_and_verify(&note, "did:web:b.example", &key().verifying_key());
        assert_eq!(renamed, Err(CheckpointError::UnknownSigner));
        let changed = note.replacen("\n17\n", "\n18\n", 1);
        assert_eq!(verify(&changed), Err(CheckpointError::BadSignature));
        for bad in [
            "",
            "\n",
            "a\n",
            "a\n\n",
            "a\n\nb\n",
            &note.replace('\n', "\r\n"),
        ] {
            assert_eq!(verify(bad), Err(CheckpointError::NotANote), "{bad:?}");
        }
        // A second signature by somebody unknown changes nothing.
        let cosigned = format!("{note}\u{2014} witness.example AAAAAAAA\n");
        assert_eq!(verify(&cosigned), Ok(sample()));
        assert_eq!(
            sample().sign(&key(), "a b"),
            Err(CheckpointError::BadKeyName)
        );
        let split = Checkpoint {
            origin: "a\n9".into(),
            ..sample()
        };
        assert_eq!(split.sign(&key(), name), Err(CheckpointError::BadOrigin));
    }

    #[test]
    fn only_the_canonical_text_is_read() {
        let text = sample().text();
        assert_eq!(Checkpoint::parse_text(&text), Some(sample()));
        for bad in [
            text.replace("\n17\n", "\n017\n"),
            text.replace("\n17\n", "\n+17\n"),
            text.replace("time ", "time +"),
            format!("{text}more\n"),
        ] {
            assert_eq!(Checkpoint::parse_text(&bad), None, "{bad:?}");
        }
    }
}
