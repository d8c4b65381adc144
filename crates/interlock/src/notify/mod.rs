//! Telling recipients: the texts, the signed call to a gateway, when to try again.
//!
//! Invariant: a text holds a pick-up code only if the facts do, and never a phone number or a name of
//! a person. This module does not know who notifies (the agreement says that), holds no queue and
//! opens no connection.

mod guard;
mod retry;
mod text;
mod webhook;

pub use guard::{GuardError, Target, guard, screen};
pub use retry::{DELAY_MS_MAX, next_attempt, retry_delay_ms};
pub use text::{CodeFacts, MessageFacts, MessageKind, message};
pub use webhook::{TOLERANCE_S, WebhookError, WebhookHeaders, WebhookSecret};
