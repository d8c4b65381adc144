//! Transfer process (DSP 2025-1 "Transfer Process Protocol" and its schemas).
//!
//! INVARIANT: the values of a data address (tokens among them) are never shown by `Debug`. State
//! machines are not known here.

use std::fmt;

use interlock_core::ids::WireId;
use serde_json::{Map, Value, json};

use super::super::error::DspError;
use super::super::node::Node;
use super::{Body, Cause, KnownPids, Pids, put, words};
use crate::identity::url::BaseUrl;

/// Endpoint type of data that is fetched or sent by HTTP.
const HTTP_ENDPOINT: &str = "https://w3id.org/idsa/v4.1/HTTP";

/// Where and how data is fetched (pull) or sent (push).
#[derive(Clone, PartialEq, Eq)]
pub struct DataAddress {
    /// What kind of endpoint it is.
    pub endpoint_type: String,
    /// Where it is; its form depends on the kind.
    pub endpoint: Option<String>,
    /// What else is needed, such as a token.
    pub properties: Vec<EndpointProperty>,
}

/// One property of an endpoint. The value may be a secret.
#[derive(Clone, PartialEq, Eq)]
pub struct EndpointProperty {
    /// Its name.
    pub name: String,
    /// Its value.
    pub value: String,
}

impl DataAddress {
    /// HTTP at `endpoint` with a bearer token.
    pub fn bearer(endpoint: &BaseUrl, token: &str) -> Self {
        let property = |name: &str, value: &str| EndpointProperty {
            name: name.into(),
            value: value.into(),
        };
        Self {
            endpoint_type: HTTP_ENDPOINT.into(),
            endpoint: Some(endpoint.as_str().into()),
            properties: vec![
                property("authorization", token),
                property("authType", "bearer"),
            ],
        }
    }

    /// The value of the first property called `name`.
    pub fn property(&self, name: &str) -> Option<&str> {
        self.properties
            .iter()
            .find(|property| property.name == name)
            .map(|property| property.value.as_str())
    }

    fn read(node: &Node<'_>) -> Result<Self, DspError> {
        node.expect_type("DataAddress")?;
        Ok(Self {
            endpoint_type: node.required_text("endpointType")?,
            endpoint: node.text("endpoint")?.map(Into::into),
            properties: node
                .nodes("endpointProperties")?
                .iter()
                .map(EndpointProperty::read)
                .collect::<Result<_, _>>()?,
        })
    }

    fn read_optional(node: &Node<'_>) -> Result<Option<Self>, DspError> {
        node.node("dataAddress")?
            .as_ref()
            .map(Self::read)
            .transpose()
    }

    fn write(&self, out: &mut Map<String, Value>) {
        let mut members = Map::new();
        put(&mut members, "@type", "DataAddress");
        put(&mut members, "endpointType", &self.endpoint_type);
        if let Some(endpoint) = &self.endpoint {
            put(&mut members, "endpoint", endpoint);
        }
        if !self.properties.is_empty() {
            let properties: Vec<Value> = self
                .properties
                .iter()
                .map(|EndpointProperty { name, value }| {
                    json!({"@type": "EndpointProperty", "name": name, "value": value})
                })
                .collect();
            members.insert("endpointProperties".into(), properties.into());
        }
        out.insert("dataAddress".into(), Value::Object(members));
    }
}

impl EndpointProperty {
    fn read(node: &Node<'_>) -> Result<Self, DspError> {
        node.expect_type("EndpointProperty")?;
        Ok(Self {
            name: node.required_text("name")?,
            value: node.required_text("value")?,
        })
    }
}

/// Shows the kind only: an endpoint may carry a secret in its query.
impl fmt::Debug for DataAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DataAddress")
            .field("endpoint_type", &self.endpoint_type)
            .finish_non_exhaustive()
    }
}

/// Shows the name only.
impl fmt::Debug for EndpointProperty {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EndpointProperty")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

/// The consumer asks for a transfer under an agreement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TransferRequestMessage {
    /// The consumer's identifier of the transfer; repeating it repeats the request.
    pub consumer_pid: WireId,
    /// The agreement.
    pub agreement_id: WireId,
    /// In which of the dataset's formats, such as `HttpData-PULL`.
    pub format: String,
    /// Base address of the consumer's callbacks.
    pub callback: BaseUrl,
    /// Where to send the data, in a push transfer.
    pub data_address: Option<DataAddress>,
}

impl Body for TransferRequestMessage {
    const TYPE: &'static str = "TransferRequestMessage";

    fn read(node: &Node<'_>) -> Result<Self, DspError> {
        Ok(Self {
            consumer_pid: node.required_id("consumerPid")?,
            agreement_id: node.required_id("agreementId")?,
            format: node.required_text("format")?,
            callback: node.required("callbackAddress", node.address("callbackAddress")?)?,
            data_address: DataAddress::read_optional(node)?,
        })
    }

    fn write(&self, out: &mut Map<String, Value>) {
        put(out, "consumerPid", self.consumer_pid.as_str());
        put(out, "agreementId", self.agreement_id.as_str());
        put(out, "format", &self.format);
        put(out, "callbackAddress", self.callback.as_str());
        if let Some(address) = &self.data_address {
            address.write(out);
        }
    }
}

/// The provider starts a transfer, or either side starts it again after a suspension.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TransferStartMessage {
    /// The transfer.
    pub pids: Pids,
    /// Where to fetch the data, in a pull transfer.
    pub data_address: Option<DataAddress>,
}

impl Body for TransferStartMessage {
    const TYPE: &'static str = "TransferStartMessage";

    fn read(node: &Node<'_>) -> Result<Self, DspError> {
        Ok(Self {
            pids: Pids::read(node)?,
            data_address: DataAddress::read_optional(node)?,
        })
    }

    fn write(&self, out: &mut Map<String, Value>) {
        self.pids.write(out);
        if let Some(address) = &self.data_address {
            address.write(out);
        }
    }
}

/// One side stops a transfer for a while.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TransferSuspensionMessage {
    /// The transfer.
    pub pids: Pids,
    /// Why.
    pub cause: Cause,
}

impl Body for TransferSuspensionMessage {
    const TYPE: &'static str = "TransferSuspensionMessage";

    fn read(node: &Node<'_>) -> Result<Self, DspError> {
        Ok(Self {
            pids: Pids::read(node)?,
            cause: Cause::read(node)?,
        })
    }

    fn write(&self, out: &mut Map<String, Value>) {
        self.pids.write(out);
        self.cause.write(out);
    }
}

/// One side declares a transfer complete.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TransferCompletionMessage {
    /// The transfer.
    pub pids: Pids,
}

impl Body for TransferCompletionMessage {
    const TYPE: &'static str = "TransferCompletionMessage";

    fn read(node: &Node<'_>) -> Result<Self, DspError> {
        let pids = Pids::read(node)?;
        Ok(Self { pids })
    }

    fn write(&self, out: &mut Map<String, Value>) {
        self.pids.write(out);
    }
}

/// One side ends a transfer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TransferTerminationMessage {
    /// The transfer.
    pub pids: Pids,
    /// Why.
    pub cause: Cause,
}

impl Body for TransferTerminationMessage {
    const TYPE: &'static str = "TransferTerminationMessage";

    fn read(node: &Node<'_>) -> Result<Self, DspError> {
        Ok(Self {
            pids: Pids::read(node)?,
            cause: Cause::read(node)?,
        })
    }

    fn write(&self, out: &mut Map<String, Value>) {
        self.pids.write(out);
        self.cause.write(out);
    }
}

words! {
    /// Where a transfer stands (`state`).
    TransferState {
        /// The consumer asked.
        Requested = "REQUESTED",
        /// Data may flow.
        Started = "STARTED",
        /// Stopped for a while.
        Suspended = "SUSPENDED",
        /// Done. Terminal.
        Completed = "COMPLETED",
        /// Ended. Terminal.
        Terminated = "TERMINATED",
    }
}

/// Where a transfer stands: the answer to the request, and to a GET.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TransferProcess {
    /// The transfer.
    pub pids: Pids,
    /// Its state at the side that answers.
    pub state: TransferState,
}

impl Body for TransferProcess {
    const TYPE: &'static str = "TransferProcess";

    fn read(node: &Node<'_>) -> Result<Self, DspError> {
        let allowed = TransferState::ALLOWED;
        Ok(Self {
            pids: Pids::read(node)?,
            state: node.required_word("state", allowed, TransferState::parse)?,
        })
    }

    fn write(&self, out: &mut Map<String, Value>) {
        self.pids.write(out);
        put(out, "state", self.state.as_str());
    }
}

/// The answer to a message of a transfer that was refused.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TransferError {
    /// The transfer, as far as known.
    pub pids: KnownPids,
    /// Why.
    pub cause: Cause,
}

impl Body for TransferError {
    const TYPE: &'static str = "TransferError";

    fn read(node: &Node<'_>) -> Result<Self, DspError> {
        Ok(Self {
            pids: KnownPids::read(node)?,
            cause: Cause::read(node)?,
        })
    }

    fn write(&self, out: &mut Map<String, Value>) {
        self.pids.write(out);
        self.cause.write(out);
    }
}
