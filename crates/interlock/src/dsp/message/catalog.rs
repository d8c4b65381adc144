//! Catalogs (DSP 2025-1 "Catalog Protocol" and its schemas, DCAT).
//!
//! INVARIANT: a dataset has at least one offer and one distribution when read, as the schema wants;
//! lists that are empty are not emitted. How a catalog is chosen and paged is not known here
//! ([`crate::dsp::catalog`]).

use interlock_core::ids::WireId;
use serde_json::{Map, Value};

use super::super::error::{DspError, Fault};
use super::super::node::{Node, shape, text_of};
use super::super::policy::{Offer, read_offers};
use super::{Body, Cause, put};
use crate::identity::url::BaseUrl;

/// A participant asks for a catalog.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct CatalogRequestMessage {
    /// What to choose, in a form of the provider's own.
    pub filter: Vec<Value>,
}

impl Body for CatalogRequestMessage {
    const TYPE: &'static str = "CatalogRequestMessage";

    fn read(node: &Node<'_>) -> Result<Self, DspError> {
        let filter = node.values("filter").into_iter();
        Ok(Self {
            filter: filter.map(|(value, _)| value.clone()).collect(),
        })
    }

    fn write(&self, out: &mut Map<String, Value>) {
        if !self.filter.is_empty() {
            out.insert("filter".into(), self.filter.clone().into());
        }
    }
}

/// A catalog with the participant whose it is: the answer to a request.
#[derive(Clone, Debug, PartialEq)]
pub struct Catalog {
    /// The provider.
    pub participant_id: WireId,
    /// What it offers.
    pub content: CatalogNode,
}

/// A catalog, which may hold others.
#[derive(Clone, Debug, PartialEq)]
pub struct CatalogNode {
    /// Its identifier.
    pub id: WireId,
    /// What it offers itself.
    pub datasets: Vec<Dataset>,
    /// Where its datasets can be obtained.
    pub services: Vec<DataService>,
    /// Where it can be obtained itself, if it stands in another.
    pub distributions: Vec<Distribution>,
    /// Catalogs within it.
    pub catalogs: Vec<Self>,
}

impl Body for Catalog {
    const TYPE: &'static str = "Catalog";

    fn read(node: &Node<'_>) -> Result<Self, DspError> {
        Ok(Self {
            participant_id: node.required_id("participantId")?,
            content: CatalogNode::read(node)?,
        })
    }

    fn write(&self, out: &mut Map<String, Value>) {
        put(out, "participantId", self.participant_id.as_str());
        self.content.write(out);
    }
}

impl CatalogNode {
    /// Recursion is bounded by [`crate::dsp::DEPTH_MAX`].
    fn read(node: &Node<'_>) -> Result<Self, DspError> {
        node.expect_type("Catalog")?;
        Ok(Self {
            id: node.required_id("@id")?,
            datasets: read_all(node, "dataset", Dataset::read)?,
            services: read_all(node, "service", DataService::read)?,
            distributions: read_all(node, "distribution", Distribution::read)?,
            catalogs: read_all(node, "catalog", Self::read)?,
        })
    }

    fn write(&self, out: &mut Map<String, Value>) {
        put(out, "@id", self.id.as_str());
        write_all(out, "dataset", &self.datasets, |dataset| {
            object("Dataset", |members| dataset.write(members))
        });
        write_all(out, "service", &self.services, DataService::to_json);
        write_all(
            out,
            "distribution",
            &self.distributions,
            Distribution::to_json,
        );
        write_all(out, "catalog", &self.catalogs, |catalog| {
            object("Catalog", |members| catalog.write(members))
        });
    }
}

/// What can be negotiated about.
#[derive(Clone, Debug, PartialEq)]
pub struct Dataset {
    /// Its identifier.
    pub id: WireId,
    /// Its name for people (`dct:title`).
    pub title: Option<String>,
    /// Under which conditions it can be had.
    pub offers: Vec<Offer>,
    /// How it can be had.
    pub distributions: Vec<Distribution>,
}

impl Body for Dataset {
    const TYPE: &'static str = "Dataset";

    fn read(node: &Node<'_>) -> Result<Self, DspError> {
        node.expect_type("Dataset")?;
        let offers = read_offers(node)?;
        let distributions = read_all(node, "distribution", Distribution::read)?;
        node.required("hasPolicy", (!offers.is_empty()).then_some(()))?;
        node.required("distribution", (!distributions.is_empty()).then_some(()))?;
        Ok(Self {
            id: node.required_id("@id")?,
            title: node.text("dct:title")?.map(Into::into),
            offers,
            distributions,
        })
    }

    fn write(&self, out: &mut Map<String, Value>) {
        put(out, "@id", self.id.as_str());
        if let Some(title) = &self.title {
            put(out, "dct:title", title);
        }
        write_all(out, "hasPolicy", &self.offers, Offer::to_catalog);
        write_all(
            out,
            "distribution",
            &self.distributions,
            Distribution::to_json,
        );
    }
}

/// One way to have a dataset.
#[derive(Clone, Debug, PartialEq)]
pub struct Distribution {
    /// Its format, such as `HttpData-PULL`: what a transfer request names.
    pub format: String,
    /// The connector where to ask for it.
    pub access: AccessService,
    /// Offers for this way only.
    pub offers: Vec<Offer>,
}

impl Distribution {
    fn read(node: &Node<'_>) -> Result<Self, DspError> {
        node.expect_type("Distribution")?;
        let (access, place) = node.required("accessService", node.value("accessService")?)?;
        Ok(Self {
            format: node.required_text("format")?,
            access: AccessService::read(access, place)?,
            offers: read_offers(node)?,
        })
    }

    fn to_json(&self) -> Value {
        object("Distribution", |out| {
            put(out, "format", &self.format);
            out.insert("accessService".into(), self.access.to_json());
            write_all(out, "hasPolicy", &self.offers, Offer::to_catalog);
        })
    }
}

/// A service, named or described.
#[derive(Clone, Debug, PartialEq)]
pub enum AccessService {
    /// By identifier; the catalog lists it.
    Named(WireId),
    /// In full.
    Described(DataService),
}

impl AccessService {
    fn read(value: &Value, place: String) -> Result<Self, DspError> {
        let described = value
            .as_object()
            .is_some_and(|members| members.contains_key("endpointURL"));
        if described {
            return DataService::read(&Node::at(value, place)?).map(Self::Described);
        }
        let Some(text) = text_of(value) else {
            return Err(shape(place, "an identifier or a data service"));
        };
        let wanted = "an identifier of printable ASCII, or a data service";
        WireId::parse(text)
            .map(Self::Named)
            .map_err(|_| DspError::new(place, Fault::Form { wanted }))
    }

    fn to_json(&self) -> Value {
        match self {
            Self::Named(id) => id.as_str().into(),
            Self::Described(service) => service.to_json(),
        }
    }
}

/// A connector's endpoint (`dcat:DataService`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DataService {
    /// Its identifier.
    pub id: WireId,
    /// Base address of its protocol endpoints (`endpointURL`).
    pub endpoint: BaseUrl,
}

impl DataService {
    fn read(node: &Node<'_>) -> Result<Self, DspError> {
        node.expect_type("DataService")?;
        Ok(Self {
            id: node.required_id("@id")?,
            endpoint: node.required("endpointURL", node.address("endpointURL")?)?,
        })
    }

    fn to_json(&self) -> Value {
        object("DataService", |out| {
            put(out, "@id", self.id.as_str());
            put(out, "endpointURL", self.endpoint.as_str());
        })
    }
}

/// The answer to a request for a catalog or dataset that was refused.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CatalogError {
    /// Why.
    pub cause: Cause,
}

impl Body for CatalogError {
    const TYPE: &'static str = "CatalogError";

    fn read(node: &Node<'_>) -> Result<Self, DspError> {
        let cause = Cause::read(node)?;
        Ok(Self { cause })
    }

    fn write(&self, out: &mut Map<String, Value>) {
        self.cause.write(out);
    }
}

fn read_all<T>(
    node: &Node<'_>,
    name: &str,
    read: fn(&Node<'_>) -> Result<T, DspError>,
) -> Result<Vec<T>, DspError> {
    node.nodes(name)?.iter().map(read).collect()
}

fn write_all<T>(
    out: &mut Map<String, Value>,
    name: &str,
    items: &[T],
    write: impl Fn(&T) -> Value,
) {
    if !items.is_empty() {
        out.insert(name.into(), items.iter().map(write).collect());
    }
}

fn object(class: &str, write: impl FnOnce(&mut Map<String, Value>)) -> Value {
    let mut members = Map::new();
    put(&mut members, "@type", class);
    write(&mut members);
    Value::Object(members)
}
