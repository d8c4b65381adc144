//! Who a node is and whom it talks to: keys, DID documents, partners, signed tokens, TLS.
//!
//! INVARIANT: nothing here prints a secret, and a request counts as a partner's only after its
//! signature was checked against the key that we pinned for that partner. This module knows no clock
//! and opens no sockets; it does not know what a request means.

pub mod api_key;
mod base58;
pub mod code_key;
pub mod derived;
pub mod did;
pub mod keys;
pub mod one_time;
pub mod own;
pub mod partner;
pub mod password;
pub mod person;
pub mod private_file;
pub mod sealing;
pub mod tls;
pub mod token;
pub mod transfer_token;
pub mod url;
