//! The messages of the protocol, typed, both ways.
//!
//! INVARIANT: `parse` after `to_json` gives the same message, and `to_json` is valid by the published
//! schema of its type. `@context` is required of every message and emitted as an array. Which message
//! is legal when is not known here.

mod catalog;
mod negotiation;
mod transfer;

#[cfg(test)]
mod random_tests;
#[cfg(test)]
mod schema;
#[cfg(test)]
mod tests;

use interlock_core::ids::WireId;
use serde_json::{Map, Value, json};

use super::error::DspError;
use super::json::{self, Limits};
use super::node::{Node, text_of};

pub use catalog::{
    AccessService, Catalog, CatalogError, CatalogNode, CatalogRequestMessage, DataService, Dataset,
    Distribution,
};
pub use negotiation::{
    ContractAgreementMessage, ContractAgreementVerificationMessage, ContractNegotiation,
    ContractNegotiationError, ContractNegotiationEventMessage,
    ContractNegotiationTerminationMessage, ContractOfferMessage, ContractRequestMessage,
    NegotiationEvent, NegotiationState, Opening,
};
pub use transfer::{
    DataAddress, EndpointProperty, TransferCompletionMessage, TransferError, TransferProcess,
    TransferRequestMessage, TransferStartMessage, TransferState, TransferSuspensionMessage,
    TransferTerminationMessage,
};

/// The two identifiers of one process: each side draws its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pids {
    /// The consumer's (`consumerPid`).
    pub consumer: WireId,
    /// The provider's (`providerPid`).
    pub provider: WireId,
}

impl Pids {
    fn read(node: &Node<'_>) -> Result<Self, DspError> {
        Ok(Self {
            consumer: node.required_id("consumerPid")?,
            provider: node.required_id("providerPid")?,
        })
    }

    fn write(&self, out: &mut Map<String, Value>) {
        put(out, "consumerPid", self.consumer.as_str());
        put(out, "providerPid", self.provider.as_str());
    }
}

/// The identifiers that an error names, as far as they are known.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KnownPids {
    /// The consumer's (`consumerPid`).
    pub consumer: Option<WireId>,
    /// The provider's (`providerPid`).
    pub provider: Option<WireId>,
}

impl KnownPids {
    fn read(node: &Node<'_>) -> Result<Self, DspError> {
        let known = |name| match node.text(name)? {
            None | Some("") => Ok(None),
            Some(_) => node.id(name),
        };
        Ok(Self {
            consumer: known("consumerPid")?,
            provider: known("providerPid")?,
        })
    }

    /// The schema requires both as texts: one that is not known is empty.
    fn write(&self, out: &mut Map<String, Value>) {
        for (name, id) in [
            ("consumerPid", &self.consumer),
            ("providerPid", &self.provider),
        ] {
            put(out, name, id.as_ref().map_or("", WireId::as_str));
        }
    }
}

impl From<Pids> for KnownPids {
    fn from(pids: Pids) -> Self {
        Self {
            consumer: Some(pids.consumer),
            provider: Some(pids.provider),
        }
    }
}

/// Why something was refused or ended.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cause {
    /// A code of the sender's choice.
    pub code: Option<String>,
    /// Explanations for people. The schema allows any JSON: what is not a text, or an object with a
    /// `message`, reads as its JSON text.
    pub reasons: Vec<String>,
}

impl Cause {
    fn read(node: &Node<'_>) -> Result<Self, DspError> {
        let reason = |(value, _): (&Value, String)| {
            let message = value.get("message").unwrap_or(value);
            text_of(message).map_or_else(|| value.to_string(), Into::into)
        };
        Ok(Self {
            code: node.text("code")?.map(Into::into),
            reasons: node.values("reason").into_iter().map(reason).collect(),
        })
    }

    fn write(&self, out: &mut Map<String, Value>) {
        if let Some(code) = &self.code {
            put(out, "code", code);
        }
        if !self.reasons.is_empty() {
            out.insert("reason".into(), json!(self.reasons));
        }
    }
}

/// How one type of message is read and written, without `@context` and `@type`.
trait Body: Sized {
    /// The bare name of the type.
    const TYPE: &'static str;

    /// Reads a message whose context and type were checked.
    fn read(node: &Node<'_>) -> Result<Self, DspError>;

    /// Adds the properties.
    fn write(&self, out: &mut Map<String, Value>);
}

fn parse<T: Body>(bytes: &[u8], limits: &Limits) -> Result<T, DspError> {
    of_spelled(&json::read(bytes, limits)?)
}

fn of_spelled<T: Body>(value: &Value) -> Result<T, DspError> {
    let root = Node::at(value, "")?;
    root.require_context()?;
    root.require_type(T::TYPE)?;
    T::read(&root)
}

fn emit<T: Body>(message: &T) -> Value {
    let mut out = Map::new();
    out.insert("@context".into(), json!([super::CONTEXT]));
    put(&mut out, "@type", T::TYPE);
    message.write(&mut out);
    Value::Object(out)
}

fn put(out: &mut Map<String, Value>, name: &str, text: &str) {
    out.insert(name.into(), text.into());
}

macro_rules! messages {
    ($($name:ident,)+) => {
        /// Any message of the protocol.
        #[derive(Clone, Debug, PartialEq)]
        pub enum Message {
            $(
                #[doc = concat!("A [`", stringify!($name), "`].")]
                $name($name),
            )+
        }

        impl Message {
            /// Reads a message of whatever type it says it is.
            ///
            /// # Errors
            /// [`DspError`] if it is over the limits, no JSON, of no known type, or breaks the rules
            /// of its type.
            pub fn parse(bytes: &[u8], limits: &Limits) -> Result<Self, DspError> {
                let value = json::read(bytes, limits)?;
                let root = Node::at(&value, "")?;
                root.require_context()?;
                $(
                    if root.types().any(|found| found == $name::TYPE) {
                        return $name::read(&root).map(Self::$name);
                    }
                )+
                Err(root.type_error("a message of Dataspace Protocol 2025-1"))
            }

            /// The bare name of its type, such as `ContractRequestMessage`.
            pub const fn type_name(&self) -> &'static str {
                match self {
                    $(Self::$name(_) => $name::TYPE,)+
                }
            }

            /// The message as it goes over the wire.
            pub fn to_json(&self) -> Value {
                match self {
                    $(Self::$name(message) => message.to_json(),)+
                }
            }
        }

        $(
            impl $name {
                /// Reads a message that must be of this type.
                ///
                /// # Errors
                /// [`DspError`] if it is over the limits, no JSON, of another type, or breaks the
                /// rules of its type.
                pub fn parse(bytes: &[u8], limits: &Limits) -> Result<Self, DspError> {
                    parse(bytes, limits)
                }

                /// The same from JSON whose limits were checked when it was read.
                ///
                /// # Errors
                /// [`DspError`] if it is of another type, breaks the rules of its type, or has a
                /// property in two spellings.
                pub fn from_json(value: &Value) -> Result<Self, DspError> {
                    let spelled = json::spelled(value)?;
                    of_spelled(&spelled)
                }

                /// The message as it goes over the wire.
                pub fn to_json(&self) -> Value {
                    emit(self)
                }
            }

            impl From<$name> for Message {
                fn from(message: $name) -> Self {
                    Self::$name(message)
                }
            }
        )+
    };
}

messages! {
    ContractRequestMessage,
    ContractOfferMessage,
    ContractAgreementMessage,
    ContractAgreementVerificationMessage,
    ContractNegotiationEventMessage,
    ContractNegotiationTerminationMessage,
    ContractNegotiation,
    ContractNegotiationError,
    TransferRequestMessage,
    TransferStartMessage,
    TransferSuspensionMessage,
    TransferCompletionMessage,
    TransferTerminationMessage,
    TransferProcess,
    TransferError,
    CatalogRequestMessage,
    Catalog,
    Dataset,
    CatalogError,
}

/// An enum whose variants are words of the protocol.
macro_rules! words {
    ($(#[$doc:meta])* $name:ident { $($(#[$variant_doc:meta])* $variant:ident = $text:literal,)+ }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum $name {
            $($(#[$variant_doc])* $variant,)+
        }

        impl $name {
            /// Every word.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)+];
            /// The words for an error message.
            const ALLOWED: &'static str = concat!($("`", $text, "` ",)+ "(DSP 2025-1)");

            /// The word on the wire.
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $text,)+
                }
            }

            /// The word `text`; `None` for one that the protocol does not have.
            pub fn parse(text: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|word| word.as_str() == text)
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.as_str())
            }
        }
    };
}
use words;
