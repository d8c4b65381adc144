//! The OpenAPI 3.1 document, made from the table of routes.
//!
//! INVARIANT: it has what the router serves, no more and no less.

use serde_json::{Map, Value, json};

use super::routes::{Body, Idempotency, Parameter, ParameterKind, Route, Target};
use super::table::routes;
use super::{BASE, schema};
use crate::exchange::problem::PROBLEM_MEDIA_TYPE;

/// The document that `GET /api/v1/openapi.json` answers with.
pub fn document() -> Value {
    let mut paths: Map<String, Value> = Map::new();
    for route in routes() {
        let path = paths.entry(route.path).or_insert_with(|| json!({}));
        if let Value::Object(methods) = path {
            methods.insert(route.method.as_str().to_ascii_lowercase(), operation(route));
        }
    }
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Interlock: local API of a node",
            "version": "1",
            "description": "For a participant's own systems, handhelds, cabinets and people. A \
                            request with anything wrong in it is refused whole, with every error \
                            listed.",
            "license": { "name": "Apache-2.0", "identifier": "Apache-2.0" },
        },
        "servers": [{ "url": BASE }],
        "security": [{ "key": [] }],
        "paths": paths,
        "components": {
            "securitySchemes": { "key": {
                "type": "http",
                "scheme": "bearer",
                "description": "An API key of this node, `il_` and 48 hexadecimal digits.",
            } },
            "schemas": schema::schemas(),
            "responses": { "Problem": {
                "description": "Refused; nothing was changed unless the detail says otherwise.",
                "content": { PROBLEM_MEDIA_TYPE: { "schema": schema::named("Problem") } },
            } },
        },
    })
}

fn operation(route: &Route) -> Value {
    let successes = [Some(route.success), route.or_success];
    let responses = successes.into_iter().flatten().map(|(status, answer)| {
        let response = json!({
            "description": answer,
            "content": { "application/json": { "schema": { "type": "object" } } },
        });
        (status.to_string(), response)
    });
    let mut responses: serde_json::Map<String, Value> = responses.collect();
    let refused = json!({ "$ref": "#/components/responses/Problem" });
    responses.insert("default".into(), refused);
    let mut operation = json!({
        "operationId": route.name,
        "summary": route.summary,
        "parameters": parameters(route),
        "responses": responses,
    });
    let Value::Object(members) = &mut operation else {
        return operation;
    };
    if let Some(body) = body(route) {
        members.insert("requestBody".into(), body);
    }
    if matches!(route.target, Target::Document) {
        members.insert("security".into(), json!([]));
    }
    operation
}

fn body(route: &Route) -> Option<Value> {
    let (schema, required) = match route.body {
        Body::None => return None,
        Body::Nothing => (
            json!({ "type": "object", "additionalProperties": false }),
            false,
        ),
        Body::Json { schema, .. } => (schema::named(schema), true),
    };
    let description = format!("At most {} bytes.", route.size_bytes_max());
    Some(json!({
        "required": required,
        "description": description,
        "content": { "application/json": { "schema": schema } },
    }))
}

fn parameters(route: &Route) -> Vec<Value> {
    let names = route.path.split('/').filter_map(|segment| {
        segment
            .strip_prefix('{')
            .and_then(|rest| rest.strip_suffix('}'))
    });
    let path = names.map(|name| {
        json!({ "name": name, "in": "path", "required": true, "schema": { "type": "string" } })
    });
    let idempotency = match route.idempotency {
        Idempotency::Refused => None,
        Idempotency::Optional => Some(false),
        Idempotency::Required => Some(true),
    };
    let idempotency = idempotency.map(|required| {
        json!({
            "name": "Idempotency-Key",
            "in": "header",
            "required": required,
            "description": "Makes a repeat answer as the first time, with no further effect. The \
                            same key with another body is refused with 422.",
            "schema": { "type": "string", "minLength": 1, "maxLength": 128 },
        })
    });
    path.chain(route.query.iter().map(query))
        .chain(idempotency)
        .collect()
}

fn query(parameter: &Parameter) -> Value {
    let schema = match parameter.kind {
        ParameterKind::Whole { range, default } => {
            let range = range();
            json!({ "type": "integer", "minimum": range.start(), "maximum": range.end(),
                "default": default })
        }
        ParameterKind::Text => json!({ "type": "string" }),
        ParameterKind::Name(all) => json!({ "type": "string", "enum": all() }),
        ParameterKind::Instant => json!({ "type": "string", "format": "date-time" }),
    };
    json!({
        "name": parameter.name,
        "in": "query",
        "required": matches!(parameter.kind, ParameterKind::Instant),
        "description": parameter.description,
        "schema": schema,
    })
}
