//! Offers and agreements on the wire: a typed frame around rules that stay JSON.
//!
//! INVARIANT: nothing of a rule is dropped but emptiness and what its place already says; whoever
//! judges the rules sees every constraint that the counterparty wrote. Rules are kept in one form:
//! lists are arrays, actions and operators bare words, ODRL's operands prefixed. What a constraint
//! means is not known here.

use interlock_core::ids::WireId;
use interlock_core::time::Timestamp;
use serde_json::{Map, Value};

use super::error::{DspError, Fault};
use super::json::spelled;
use super::node::{Node, text_of};
use super::term::Vocabulary;

const RULE_LISTS: [&str; 3] = ["permission", "prohibition", "obligation"];
const LOGICAL_LISTS: [&str; 4] = ["and", "andSequence", "or", "xone"];
const TIME_FORM: &str = "an instant such as `2017-06-01T00:00:00+08:00`";

/// An offer (DSP 2025-1 contract schema, `Offer` and `MessageOffer`; ODRL 2.2 `odrl:Offer`).
#[derive(Clone, Debug, PartialEq)]
pub struct Offer {
    /// Its identifier (`@id`).
    pub id: WireId,
    /// The dataset it is about. Absent in a catalog, where the enclosing dataset says it.
    pub target: Option<WireId>,
    /// The participant that grants.
    pub assigner: Option<WireId>,
    /// The participant to which it is granted.
    pub assignee: Option<WireId>,
    /// Everything else: `permission`, `prohibition`, `obligation`, `profile` and what else was sent.
    pub rules: Map<String, Value>,
}

/// An agreement (DSP 2025-1 contract schema, `Agreement`).
#[derive(Clone, Debug, PartialEq)]
pub struct Agreement {
    /// Its identifier (`@id`).
    pub id: WireId,
    /// The dataset it is about.
    pub target: WireId,
    /// The provider.
    pub assigner: WireId,
    /// The consumer.
    pub assignee: WireId,
    /// When it was concluded, as written (`xsd:dateTime`).
    pub timestamp: String,
    /// Everything else, as in [`Offer::rules`].
    pub rules: Map<String, Value>,
}

/// Where an offer stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// In a message of a negotiation: it must have rules, and may name its target.
    Message,
    /// In a catalog or dataset: connectors write an offer without conditions as one without rules,
    /// and the dataset is its target.
    Catalog,
}

impl Offer {
    /// Takes a policy as our own side writes it: `@id`, at least one permission or prohibition, no
    /// `@context` needed. Every spelling that a message may have is accepted.
    ///
    /// # Errors
    /// [`DspError`] with a pointer into `policy`.
    pub fn from_policy(policy: &Value) -> Result<Self, DspError> {
        let spelled = spelled(policy)?;
        Self::read(&Node::at(&spelled, "")?, Place::Message)
    }

    /// The whole policy, `@id` and `@type` included.
    pub fn to_policy(&self) -> Value {
        let mut out = self.rules.clone();
        head(&mut out, "Offer", &self.id);
        for (name, id) in [
            ("target", &self.target),
            ("assigner", &self.assigner),
            ("assignee", &self.assignee),
        ] {
            if let Some(id) = id {
                out.insert(name.into(), id.as_str().into());
            }
        }
        Value::Object(out)
    }

    pub(super) fn read(node: &Node<'_>, place: Place) -> Result<Self, DspError> {
        node.expect_type("Offer")?;
        let target = match place {
            Place::Message => node.id("target")?,
            Place::Catalog => None,
        };
        Ok(Self {
            id: node.required_id("@id")?,
            target,
            assigner: node.id("assigner")?,
            assignee: node.id("assignee")?,
            rules: read_rules(node, place)?,
        })
    }

    /// As it stands in a catalog, where the schema allows no target.
    pub(super) fn to_catalog(&self) -> Value {
        let mut out = self.to_policy();
        if let Some(members) = out.as_object_mut() {
            members.remove("target");
        }
        out
    }
}

impl Agreement {
    /// The whole policy, `@id` and `@type` included.
    pub fn to_policy(&self) -> Value {
        let mut out = self.rules.clone();
        head(&mut out, "Agreement", &self.id);
        for (name, text) in [
            ("target", self.target.as_str()),
            ("assigner", self.assigner.as_str()),
            ("assignee", self.assignee.as_str()),
            ("timestamp", &self.timestamp),
        ] {
            out.insert(name.into(), text.into());
        }
        Value::Object(out)
    }

    pub(super) fn read(node: &Node<'_>) -> Result<Self, DspError> {
        node.expect_type("Agreement")?;
        let timestamp = node.required_text("timestamp")?;
        // `xsd:dateTime` may leave the zone out; the protocol gives no other meaning to that.
        let with_zone = format!("{timestamp}Z");
        if ![&timestamp, &with_zone]
            .into_iter()
            .any(|text| is_instant(text))
        {
            let wanted = TIME_FORM;
            return Err(node.error("timestamp", Fault::Form { wanted }));
        }
        let mut rules = read_rules(node, Place::Message)?;
        rules.remove("timestamp");
        Ok(Self {
            id: node.required_id("@id")?,
            target: node.required_id("target")?,
            assigner: node.required_id("assigner")?,
            assignee: node.required_id("assignee")?,
            timestamp,
            rules,
        })
    }
}

/// The form of the schema's pattern: RFC 3339 is wider, in letter case and separator.
fn is_instant(text: &str) -> bool {
    let plain = |b: u8| b.is_ascii_digit() || matches!(b, b'-' | b'+' | b':' | b'.' | b'T' | b'Z');
    text.as_bytes().get(10) == Some(&b'T')
        && text.bytes().all(plain)
        && Timestamp::parse_zoned(text).is_ok()
}

fn head(out: &mut Map<String, Value>, class: &str, id: &WireId) {
    out.insert("@type".into(), class.into());
    out.insert("@id".into(), id.as_str().into());
}

/// The members of a policy that the frame does not name, in their one form.
fn read_rules(node: &Node<'_>, place: Place) -> Result<Map<String, Value>, DspError> {
    let framed = ["@context", "@id", "@type", "target", "assigner", "assignee"];
    let mut out = Map::new();
    for (name, value) in node.members() {
        if !framed.contains(&name.as_str()) && !RULE_LISTS.contains(&name.as_str()) {
            out.insert(name.clone(), value.clone());
        }
    }
    for name in RULE_LISTS {
        read_list(node, name, &mut out, read_rule)?;
    }
    let empty = !out.contains_key("permission") && !out.contains_key("prohibition");
    if empty && place == Place::Message {
        return Err(node.error("permission", Fault::Missing));
    }
    Ok(out)
}

/// Puts the objects of the list `name`, each read by `read`, into `out`; an empty list is left out.
fn read_list(
    node: &Node<'_>,
    name: &str,
    out: &mut Map<String, Value>,
    read: fn(&Node<'_>) -> Result<Value, DspError>,
) -> Result<(), DspError> {
    let mut items = node.values(name);
    // ODRL 2.2 keeps the members of a logical constraint as a JSON-LD list.
    if let [(Value::Object(object), _)] = items.as_slice()
        && object.len() == 1
        && object.contains_key("@list")
    {
        let (list, pointer) = items.remove(0);
        items = Node::at(list, pointer)?.values("@list");
    }
    let mut list = Vec::with_capacity(items.len());
    for (item, pointer) in items {
        list.push(read(&Node::at(item, pointer)?)?);
    }
    if list.is_empty() {
        out.remove(name);
    } else {
        out.insert(name.into(), Value::Array(list));
    }
    Ok(())
}

/// A permission, prohibition or duty.
fn read_rule(node: &Node<'_>) -> Result<Value, DspError> {
    let mut out = node.members().clone();
    drop_type(
        node,
        &mut out,
        &["Permission", "Prohibition", "Duty", "Rule"],
    );
    let (action, _) = node.required("action", node.value("action")?)?;
    if let Some(word) = bare_text(action) {
        let word = Vocabulary::Odrl.strip(word);
        out.insert("action".into(), word.into());
    }
    read_list(node, "constraint", &mut out, read_constraint)?;
    read_list(node, "duty", &mut out, read_rule)?;
    Ok(Value::Object(out))
}

/// An atomic or logical constraint.
fn read_constraint(node: &Node<'_>) -> Result<Value, DspError> {
    let mut out = node.members().clone();
    let classes = ["Constraint", "AtomicConstraint", "LogicalConstraint"];
    drop_type(node, &mut out, &classes);
    for name in LOGICAL_LISTS {
        read_list(node, name, &mut out, read_constraint)?;
    }
    if LOGICAL_LISTS.iter().any(|name| out.contains_key(*name)) {
        return Ok(Value::Object(out));
    }
    let (operator, _) = node.required("operator", node.value("operator")?)?;
    if let Some(word) = bare_text(operator) {
        let word = Vocabulary::Odrl.strip(word);
        out.insert("operator".into(), word.into());
    }
    let (left, _) = node.required("leftOperand", node.value("leftOperand")?)?;
    if let Some(word) = bare_text(left) {
        let word = Vocabulary::Odrl.abbreviate(word);
        out.insert("leftOperand".into(), word.into());
    }
    match node.members().get("rightOperand") {
        None | Some(Value::Null) => Err(node.error("rightOperand", Fault::Missing)),
        Some(right) => {
            out.insert("rightOperand".into(), read_operand(right));
            Ok(Value::Object(out))
        }
    }
}

/// A wrapping that adds nothing to a text is taken off. What the schema does not allow, a bare number,
/// stays for the judge of the rules to refuse by name.
fn read_operand(value: &Value) -> Value {
    if let Some(items) = value.as_array() {
        return items.iter().map(read_operand).collect();
    }
    let inner = value
        .as_object()
        .filter(|object| object.len() == 1)
        .and_then(|object| object.get("@value"))
        .filter(|inner| inner.is_string());
    inner.unwrap_or(value).clone()
}

/// The text of a value that is nothing but a text: an object with more than an `@id` (an action with
/// a refinement) is not.
fn bare_text(value: &Value) -> Option<&str> {
    let more = value.as_object().is_some_and(|object| object.len() != 1);
    if more { None } else { text_of(value) }
}

/// Takes off an `@type` that only says what the place says.
fn drop_type(node: &Node<'_>, out: &mut Map<String, Value>, classes: &[&str]) {
    if node.types().all(|class| classes.contains(&class)) {
        out.remove("@type");
    }
}

/// The offers of the property `hasPolicy`.
pub(super) fn read_offers(node: &Node<'_>) -> Result<Vec<Offer>, DspError> {
    node.nodes("hasPolicy")?
        .iter()
        .map(|offer| Offer::read(offer, Place::Catalog))
        .collect()
}

/// The offer that a message must carry.
pub(super) fn required_offer(node: &Node<'_>) -> Result<Offer, DspError> {
    let offer = node.required("offer", node.node("offer")?)?;
    Offer::read(&offer, Place::Message)
}

/// The agreement that a message must carry.
pub(super) fn required_agreement(node: &Node<'_>) -> Result<Agreement, DspError> {
    let agreement = node.required("agreement", node.node("agreement")?)?;
    Agreement::read(&agreement)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn compact() -> Value {
        json!({
            "@id": "urn:offer:stations",
            "@type": "Offer",
            "target": "locker-stations",
            "permission": [{
                "action": "use",
                "constraint": [
                    {"leftOperand": "odrl:dateTime", "operator": "lt",
                     "rightOperand": {"@value": "2017-07-01T00:00:00+08:00", "@type": "xsd:dateTime"}},
                    {"or": [{"leftOperand": "il:quotaPerDay", "operator": "lteq", "rightOperand": "5"}]},
                ],
            }],
            "profile": "https://w3id.org/interlock/ns#",
        })
    }

    #[test]
    fn every_spelling_comes_to_one_form() {
        let expanded = json!({
            "@id": "urn:offer:stations",
            "@type": ["http://www.w3.org/ns/odrl/2/Offer"],
            "http://www.w3.org/ns/odrl/2/target": [{"@id": "locker-stations"}],
            "odrl:permission": {
                "@type": "odrl:Permission",
                "odrl:action": [{"@id": "http://www.w3.org/ns/odrl/2/use"}],
                "odrl:constraint": [
                    {"odrl:leftOperand": {"@id": "http://www.w3.org/ns/odrl/2/dateTime"},
                     "odrl:operator": "odrl:lt",
                     "odrl:rightOperand":
                        {"@value": "2017-07-01T00:00:00+08:00", "@type": "xsd:dateTime"}},
                    {"odrl:or": {"@list": [{
                        "odrl:leftOperand": "il:quotaPerDay",
                        "odrl:operator": {"@id": "odrl:lteq"},
                        "odrl:rightOperand": {"@value": "5"}}]}},
                ],
            },
            "prohibition": [],
            "odrl:profile": "https://w3id.org/interlock/ns#",
        });
        let offer = Offer::from_policy(&expanded).unwrap();
        assert_eq!(offer.to_policy(), compact());
        assert_eq!(Offer::from_policy(&compact()), Ok(offer));
    }

    #[test]
    fn an_offer_in_a_catalog_names_no_target() {
        let offer = Offer::from_policy(&compact()).unwrap();
        let mut expected = compact();
        expected.as_object_mut().unwrap().remove("target");
        assert_eq!(offer.to_catalog(), expected);
    }

    #[test]
    fn what_is_not_understood_stays() {
        let policy = json!({
            "@id": "urn:x", "@type": "Offer", "odrl:inheritFrom": "urn:y",
            "permission": [{
                "action": {"@id": "odrl:use", "refinement": [1]},
                "duty": {"action": "odrl:delete"},
                "refinement": {"x": 1},
                "constraint": [{"leftOperand": "dateTime", "operator": "like", "rightOperand": ["a", 5],
                                "unit": "urn:u"}],
            }],
        });
        let offer = Offer::from_policy(&policy).unwrap();
        let mut expected = policy;
        expected["permission"][0]["duty"] = json!([{"action": "delete"}]);
        assert_eq!(offer.to_policy(), expected);
    }

    #[test]
    fn a_broken_rule_is_named_by_place() {
        let with = |rule: Value| json!({"@id": "urn:x", "permission": [rule]});
        for (policy, pointer) in [
            (json!([]), ""),
            (json!({"permission": [{"action": "use"}]}), "/@id"),
            (json!({"@id": "urn:x"}), "/permission"),
            (json!({"@id": "urn:x", "permission": []}), "/permission"),
            (json!({"@id": "urn:x", "@type": "Agreement"}), "/@type"),
            (with(json!("use")), "/permission/0"),
            (with(json!({})), "/permission/0/action"),
            (
                with(json!({"action": "use", "constraint": {"and": [{"operator": "eq"}]}})),
                "/permission/0/constraint/and/0/leftOperand",
            ),
            (
                with(json!({"action": "use", "constraint": [{
                    "leftOperand": "x", "operator": "eq", "rightOperand": null}]})),
                "/permission/0/constraint/0/rightOperand",
            ),
            (
                json!({"@id": "urn:x", "permission": 1, "odrl:permission": 2}),
                "/permission",
            ),
        ] {
            let error = Offer::from_policy(&policy).unwrap_err();
            assert_eq!(error.pointer, pointer, "{error}");
        }
    }

    #[test]
    fn the_time_of_an_agreement_is_one() {
        for good in [
            "2017-06-01T00:00:00+08:00",
            "2017-06-01T00:00:00.5Z",
            "2017-06-01T00:00:00",
        ] {
            let value = json!({
                "@id": "urn:a", "target": "d", "assigner": "did:web:a", "assignee": "did:web:b",
                "timestamp": good, "permission": [{"action": "use"}],
            });
            let agreement = Agreement::read(&Node::at(&value, "").unwrap()).unwrap();
            assert_eq!(agreement.timestamp, good);
        }
        for bad in [
            "",
            "yesterday",
            "2017-06-01",
            "2017-13-01T00:00:00Z",
            "2017-06-01 00:00:00Z",
        ] {
            let value = json!({"timestamp": bad});
            let fault = Agreement::read(&Node::at(&value, "").unwrap()).unwrap_err();
            assert_eq!(fault.pointer, "/timestamp", "{bad}");
        }
    }
}
