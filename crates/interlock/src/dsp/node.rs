//! Reading one JSON object of a message by the names of its properties.
//!
//! INVARIANT: `null` and an empty array read as absent, an array of one as its element, and
//! `{"@id": x}` and `{"@value": x}` as `x`, as JSON-LD 1.1 says. What is not asked for is not looked
//! at. Which properties a message has is not known here.

use interlock_core::ids::WireId;
use serde_json::{Map, Value};

use super::error::{DspError, Fault, child, echo};
use super::term::{self, Vocabulary};
use crate::identity::url::BaseUrl;

/// What an address must look like. What came is never repeated: a URL may carry a secret.
const ADDRESS_FORM: &str =
    "an absolute http or https URL without user, query and fragment, at most 512 bytes";
/// What an identifier must look like.
const ID_FORM: &str = "an identifier of printable ASCII without spaces, at most 256 characters";

/// An object and where it is.
#[derive(Clone, Debug)]
pub(super) struct Node<'a> {
    members: &'a Map<String, Value>,
    pointer: String,
}

/// A value and where it is.
pub(super) type Placed<'a> = (&'a Value, String);

impl<'a> Node<'a> {
    /// The object that `value` at `pointer` is.
    pub(super) fn at(value: &'a Value, pointer: impl Into<String>) -> Result<Self, DspError> {
        let pointer = pointer.into();
        match value.as_object() {
            Some(members) => Ok(Self { members, pointer }),
            None => Err(shape(pointer, "an object")),
        }
    }

    /// All members, under their one spelling.
    pub(super) fn members(&self) -> &'a Map<String, Value> {
        self.members
    }

    /// An error at this object's property `name`.
    pub(super) fn error(&self, name: &str, fault: Fault) -> DspError {
        DspError::new(child(&self.pointer, name), fault)
    }

    /// Checks that `@context` is, or contains, the context of 2025-1.
    pub(super) fn require_context(&self) -> Result<(), DspError> {
        let is_ours = |value: &Value| value.as_str() == Some(super::CONTEXT);
        let ours = match self.members.get("@context") {
            Some(Value::Array(items)) => items.iter().any(is_ours),
            Some(value) => is_ours(value),
            None => false,
        };
        if ours {
            return Ok(());
        }
        Err(self.error("@context", Fault::Context))
    }

    /// The types of this object, bare.
    pub(super) fn types(&self) -> impl Iterator<Item = &'a str> + use<'a> {
        let (one, many) = match self.members.get("@type") {
            Some(Value::Array(items)) => (None, items.as_slice()),
            Some(value) => (Some(value), Default::default()),
            None => (None, Default::default()),
        };
        one.into_iter()
            .chain(many)
            .filter_map(Value::as_str)
            .map(term::class)
    }

    /// The error of an object that has none of the types wanted.
    pub(super) fn type_error(&self, wanted: &'static str) -> DspError {
        let found = echo(&self.types().collect::<Vec<_>>().join(" "));
        self.error("@type", Fault::Type { found, wanted })
    }

    /// Checks that the object is a `wanted`.
    pub(super) fn require_type(&self, wanted: &'static str) -> Result<(), DspError> {
        if self.types().any(|found| found == wanted) {
            return Ok(());
        }
        Err(self.type_error(wanted))
    }

    /// Checks that the object does not say that it is something other than a `wanted`.
    pub(super) fn expect_type(&self, wanted: &'static str) -> Result<(), DspError> {
        if self.types().next().is_none() {
            return Ok(());
        }
        self.require_type(wanted)
    }

    /// All values of the property `name`.
    pub(super) fn values(&self, name: &str) -> Vec<Placed<'a>> {
        let place = child(&self.pointer, name);
        match self.members.get(name) {
            None | Some(Value::Null) => Vec::new(),
            Some(Value::Array(items)) => items
                .iter()
                .enumerate()
                .map(|(at, item)| (item, child(&place, &at.to_string())))
                .collect(),
            Some(value) => vec![(value, place)],
        }
    }

    /// The one value of the property `name`, if it has one.
    pub(super) fn value(&self, name: &str) -> Result<Option<Placed<'a>>, DspError> {
        let mut values = self.values(name).into_iter();
        match (values.next(), values.next()) {
            (one, None) => Ok(one),
            (_, Some(_)) => {
                let wanted = "one value";
                Err(self.error(name, Fault::Shape { wanted }))
            }
        }
    }

    /// The objects of the property `name`.
    pub(super) fn nodes(&self, name: &str) -> Result<Vec<Self>, DspError> {
        self.values(name)
            .into_iter()
            .map(|(value, place)| Self::at(value, place))
            .collect()
    }

    /// The one object of the property `name`, if it has one.
    pub(super) fn node(&self, name: &str) -> Result<Option<Self>, DspError> {
        self.value(name)?
            .map(|(value, place)| Self::at(value, place))
            .transpose()
    }

    /// The one text of the property `name`, if it has one.
    pub(super) fn text(&self, name: &str) -> Result<Option<&'a str>, DspError> {
        let Some((value, place)) = self.value(name)? else {
            return Ok(None);
        };
        match text_of(value) {
            Some(text) => Ok(Some(text)),
            None => Err(shape(place, "a text")),
        }
    }

    /// The one identifier of the property `name`, if it has one.
    pub(super) fn id(&self, name: &str) -> Result<Option<WireId>, DspError> {
        let wanted = ID_FORM;
        self.text(name)?
            .map(|text| WireId::parse(text).map_err(|_| self.error(name, Fault::Form { wanted })))
            .transpose()
    }

    /// The one address of the property `name`, if it has one.
    pub(super) fn address(&self, name: &str) -> Result<Option<BaseUrl>, DspError> {
        let wanted = ADDRESS_FORM;
        self.text(name)?
            .map(|text| BaseUrl::parse(text).map_err(|_| self.error(name, Fault::Form { wanted })))
            .transpose()
    }

    /// What `found` holds, or the error that the property `name` is missing.
    pub(super) fn required<T>(&self, name: &str, found: Option<T>) -> Result<T, DspError> {
        found.ok_or_else(|| self.error(name, Fault::Missing))
    }

    /// The identifier that the property `name` must have.
    pub(super) fn required_id(&self, name: &str) -> Result<WireId, DspError> {
        self.required(name, self.id(name)?)
    }

    /// The text that the property `name` must have.
    pub(super) fn required_text(&self, name: &str) -> Result<String, DspError> {
        Ok(self.required(name, self.text(name)?)?.into())
    }

    /// The word of the protocol that the property `name` must have, as `parse` knows it.
    pub(super) fn required_word<T>(
        &self,
        name: &str,
        allowed: &'static str,
        parse: fn(&str) -> Option<T>,
    ) -> Result<T, DspError> {
        let text = self.required(name, self.text(name)?)?;
        let word = Vocabulary::Dspace.strip(text);
        parse(word).ok_or_else(|| {
            let found = echo(word);
            self.error(name, Fault::Word { found, allowed })
        })
    }
}

/// The text that `value` is, or wraps as `@value` or `@id`.
pub(super) fn text_of(value: &Value) -> Option<&str> {
    let Some(object) = value.as_object() else {
        return value.as_str();
    };
    object
        .get("@value")
        .or_else(|| object.get("@id"))
        .and_then(Value::as_str)
}

/// An error about the shape of what is at `pointer`.
pub(super) fn shape(pointer: impl Into<String>, wanted: &'static str) -> DspError {
    DspError::new(pointer, Fault::Shape { wanted })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn one_value_in_every_wrapping() {
        for wrapped in [
            json!("urn:x"),
            json!(["urn:x"]),
            json!({"@id": "urn:x"}),
            json!([{"@id": "urn:x"}]),
            json!([{"@value": "urn:x", "@type": "xsd:anyURI"}]),
        ] {
            let value = json!({ "a": wrapped });
            let node = Node::at(&value, "").unwrap();
            assert_eq!(node.required_id("a").unwrap().as_str(), "urn:x");
        }
    }

    #[test]
    fn nothing_in_every_wrapping() {
        for nothing in [json!({}), json!({"a": null}), json!({"a": []})] {
            let node = Node::at(&nothing, "").unwrap();
            assert_eq!(node.id("a"), Ok(None));
            let error = node.required_id("a").unwrap_err();
            assert_eq!(
                (error.pointer.as_str(), error.fault),
                ("/a", Fault::Missing)
            );
        }
    }

    #[test]
    fn two_values_are_not_one() {
        let value = json!({"a": ["x", "y"]});
        let node = Node::at(&value, "/offer").unwrap();
        assert_eq!(node.text("a").unwrap_err().pointer, "/offer/a");
    }

    #[test]
    fn the_context_must_be_the_one_of_this_release() {
        for good in [
            json!(super::super::CONTEXT),
            json!([super::super::CONTEXT]),
            json!(["https://w3id.org/edc/v1", super::super::CONTEXT, {"il": "https://x/"}]),
        ] {
            let value = json!({ "@context": good });
            assert_eq!(Node::at(&value, "").unwrap().require_context(), Ok(()));
        }
        for bad in [
            json!({}),
            json!({"@context": "https://w3id.org/dspace/2024/1/context.json"}),
            json!({"@context": {"@vocab": super::super::CONTEXT}}),
            json!({"@context": []}),
        ] {
            let error = Node::at(&bad, "").unwrap().require_context().unwrap_err();
            assert_eq!(
                (error.pointer.as_str(), error.fault),
                ("/@context", Fault::Context)
            );
        }
    }
}
