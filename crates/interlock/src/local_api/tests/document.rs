//! The document is true: routes, required members, types and examples are the router's own.

use expect_test::expect_file;
use serde_json::{Value, json};

use super::{Door, example};
use crate::local_api::call::Call;
use crate::local_api::{SMALL_BODY_SIZE_BYTES_MAX, document, routes, schema, table};
use crate::node::access::allowed;

/// A path with its parameters filled in.
fn filled(path: &str) -> String {
    path.replace("{carrier}", "sf")
        .replace("{extension}", "00471100")
        .replace("{name}", "li.lei")
        .replace("{number}", "SF1234567890123")
        .replace(
            "{id}",
            match path {
                path if path.starts_with("/deposits") || path.starts_with("/reveals") => {
                    "00112233445566778899aabbccddeeff"
                }
                path if path.starts_with("/keys") => "0011223344556677",
                path if path.starts_with("/partners") || path.starts_with("/evidence") => {
                    "did:web:sf.example"
                }
                _ => "x1",
            },
        )
}

/// The query parameters that an operation needs; all of them are instants.
fn needed_query(operation: &Value) -> String {
    let parameters = operation["parameters"].as_array();
    let needed = parameters
        .into_iter()
        .flatten()
        .filter(|p| p["in"] == "query" && p["required"] == true)
        .map(|p| format!("{}=2017-07-01T00:00:00Z", p["name"].as_str().unwrap()));
    let needed: Vec<String> = needed.collect();
    match needed.is_empty() {
        true => String::new(),
        false => format!("?{}", needed.join("&")),
    }
}

/// The schema of a route's body, by name.
fn body_schema(operation: &Value) -> Option<&str> {
    let schema = &operation["requestBody"]["content"]["application/json"]["schema"]["$ref"];
    schema.as_str().map(|path| path.rsplit('/').next().unwrap())
}

#[test]
fn every_operation_of_the_document_is_served_and_nothing_else() {
    let door = Door::new();
    let document = document();
    let mut count = 0;
    for (path, operations) in document["paths"].as_object().unwrap() {
        for method in ["GET", "PUT", "POST", "DELETE", "PATCH"] {
            let operation = &operations[method.to_ascii_lowercase()];
            let body = body_schema(operation).map(example);
            let asked = format!("{}{}", filled(path), needed_query(operation));
            let answer = door.ask(method, &asked, body.as_ref());
            match operation.is_null() {
                true => {
                    assert_eq!(answer.status, 405, "{method} {path}");
                    let allowed = answer.headers["allow"].to_str().unwrap();
                    let served = operations.as_object().unwrap().keys();
                    assert!(
                        served
                            .clone()
                            .all(|m| allowed.contains(&m.to_ascii_uppercase()))
                    );
                    assert_eq!(served.count(), allowed.split(", ").count());
                }
                false => {
                    assert_eq!(answer.status, 200, "{method} {path}: {}", answer.body);
                    count += 1;
                }
            }
        }
    }
    assert_eq!(count, table::routes().count());
    for path in [
        "",
        "/",
        "/parcel",
        "/parcels/",
        "/deposits/1/2/3",
        "/openapi",
    ] {
        let answer = door.ask("GET", path, None);
        assert_eq!((answer.status, answer.kind()), (404, "not-found"), "{path}");
    }
}

#[test]
fn the_document_needs_no_key_and_resolves() {
    let door = Door::new();
    let request = http::Request::get("/api/v1/openapi.json");
    let answer = door.send(request.body(axum::body::Body::empty()).unwrap());
    assert_eq!(answer.status, 200);
    assert_eq!(answer.body, document());
    let text = answer.body.to_string();
    for part in text.split("\"$ref\":\"#").skip(1) {
        let pointer = part.split('"').next().unwrap();
        assert!(answer.body.pointer(pointer).is_some(), "{pointer}");
    }
    let mut names: Vec<&str> = table::routes().map(|route| route.name).collect();
    names.sort_unstable();
    names.dedup();
    assert_eq!(
        names.len(),
        table::routes().count(),
        "an operation's name is used twice"
    );
}

/// Follows references and picks the alternative that is an object with the example's members.
fn resolve(schema: &Value, value: &Value) -> Value {
    if let Some(path) = schema["$ref"].as_str() {
        let named = schema::schemas()[path.rsplit('/').next().unwrap()].clone();
        return resolve(&named, value);
    }
    match (schema["oneOf"].as_array(), value) {
        (Some(all), Value::Object(members)) => {
            let all = all.iter().map(|one| resolve(one, value));
            let mut fit = all.filter(|one| {
                members
                    .keys()
                    .all(|name| !one["properties"][name].is_null())
            });
            fit.next().unwrap()
        }
        (Some(all), _) => all
            .iter()
            .find(|one| one["type"] == "string")
            .unwrap()
            .clone(),
        (None, _) => schema.clone(),
    }
}

/// Every place of `value` that a schema describes: its pointer and the schema.
fn places(schema: &Value, value: &Value, pointer: &str, out: &mut Vec<(String, Value)>) {
    let schema = resolve(schema, value);
    if schema["type"] == "array" {
        for (index, item) in value.as_array().unwrap().iter().enumerate() {
            places(&schema["items"], item, &format!("{pointer}/{index}"), out);
        }
    }
    for (name, member) in schema["properties"].as_object().into_iter().flatten() {
        let inner = value.get(name);
        let inner = inner.unwrap_or_else(|| panic!("no example of `{pointer}/{name}`"));
        places(member, inner, &format!("{pointer}/{name}"), out);
    }
    out.push((pointer.into(), schema));
}

fn without(body: &Value, pointer: &str, name: &str) -> Value {
    let mut body = body.clone();
    let place = body.pointer_mut(pointer).unwrap();
    place.as_object_mut().unwrap().remove(name).unwrap();
    body
}

fn with(body: &Value, pointer: &str, value: Value) -> Value {
    let mut body = body.clone();
    *body.pointer_mut(pointer).unwrap() = value;
    body
}

#[test]
fn schemas_are_what_the_readers_take() {
    let door = Door::new();
    for route in table::routes() {
        let routes::Body::Json { schema, .. } = route.body else {
            continue;
        };
        if schema == "EpcisDocument" {
            continue;
        }
        let (method, path) = (route.method.as_str(), filled(route.path));
        let body = example(schema);
        let mut all = Vec::new();
        places(&schema::named(schema), &body, "", &mut all);
        for (pointer, schema) in all {
            let wrong_type = match schema["type"].as_str() {
                Some("string" | "object" | "array") => json!(true),
                Some(_) | None => json!("text"),
            };
            let answer = door.ask(method, &path, Some(&with(&body, &pointer, wrong_type)));
            assert_eq!(answer.status, 400, "{path} {pointer} of another type");
            assert!(
                answer.pointers().contains(&pointer.as_str()),
                "{path} {pointer}: {}",
                answer.body
            );
            if schema["additionalProperties"] == false {
                hold_members(&door, (method, &path), &body, &pointer, &schema);
            }
        }
    }
}

fn hold_members(
    door: &Door,
    (method, path): (&str, &str),
    body: &Value,
    pointer: &str,
    schema: &Value,
) {
    let required = schema["required"].as_array().unwrap();
    for name in schema["properties"].as_object().unwrap().keys() {
        let answer = door.ask(method, path, Some(&without(body, pointer, name)));
        let place = format!("{pointer}/{name}");
        if required.contains(&json!(name)) && !["parcels", "stations"].contains(&name.as_str()) {
            assert_eq!(answer.status, 400, "{path} without {place}");
            assert!(
                answer.pointers().contains(&place.as_str()),
                "{place}: {}",
                answer.body
            );
        } else if !required.contains(&json!(name)) {
            assert_eq!(
                answer.status, 200,
                "{path} without {place}: {}",
                answer.body
            );
        }
    }
    let mut more = body.clone();
    let place = more.pointer_mut(pointer).unwrap();
    place
        .as_object_mut()
        .unwrap()
        .insert("surprise".into(), json!(1));
    let answer = door.ask(method, path, Some(&more));
    assert_eq!(answer.status, 400, "{path} {pointer} with a surprise");
    assert!(
        answer
            .pointers()
            .contains(&format!("{pointer}/surprise").as_str()),
        "{}",
        answer.body
    );
}

/// The reference for people, made of the document.
fn reference() -> String {
    let mut out = String::from(
        "# Local API\n\nMade from `/api/v1/openapi.json`; a test keeps it so. Every path begins with \
         `/api/v1`, every request but\nthat for the document itself shows \
         `Authorization: Bearer` with an API key. Bodies are JSON, refused whole\nwith every error \
         listed (RFC 9457). `key` says whether the request takes an `Idempotency-Key`.\n\n\
         | request | body | key | what it does |\n|---|---|---|---|\n",
    );
    for route in table::routes() {
        let body = match route.body {
            routes::Body::None | routes::Body::Nothing => "-".to_owned(),
            routes::Body::Json { schema, .. } => format!("`{schema}`"),
        };
        let key = match route.idempotency {
            routes::Idempotency::Refused => "-",
            routes::Idempotency::Optional => "may",
            routes::Idempotency::Required => "must",
        };
        let query: Vec<&str> = route.query.iter().map(|parameter| parameter.name).collect();
        let query = match query.is_empty() {
            true => String::new(),
            false => format!("?{}=", query.join("=&")),
        };
        let (method, path, summary) = (&route.method, route.path, route.summary);
        let line = format!("| `{method} {path}{query}` | {body} | {key} | {summary} |\n");
        out.push_str(&line);
    }
    out.push_str("\n## Bodies, each with every member\n");
    for (name, schema) in schema::schemas() {
        let Some(example) = schema["examples"].get(0) else {
            continue;
        };
        let text = serde_json::to_string_pretty(example).unwrap();
        out.push_str(&format!("\n### `{name}`\n\n```json\n{text}\n```\n"));
    }
    out
}

#[test]
fn the_reference_is_the_document() {
    expect_file!["../../../../../docs/reference/api.md"].assert_eq(&reference());
}

#[test]
fn a_large_body_is_read_for_those_whom_the_node_would_answer() {
    let mut large = 0;
    for route in table::routes() {
        let routes::Body::Json {
            schema,
            size_bytes_max,
        } = route.body
        else {
            continue;
        };
        if size_bytes_max <= SMALL_BODY_SIZE_BYTES_MAX {
            continue;
        }
        let routes::Target::Node(read) = route.target else {
            panic!("{}: the door cannot know who may", route.path);
        };
        let body = example(schema).to_string();
        let call = Call {
            path: vec![("id".into(), "urn:x".into())],
            query: Vec::new(),
            body: body.as_bytes(),
        };
        let request = read(&call).unwrap();
        assert_eq!(route.roles, Some(allowed(&request)), "{}", route.path);
        large += 1;
    }
    assert_eq!(large, 8);
}

#[test]
fn a_key_that_waits_is_in_the_document() {
    let responses = &document()["paths"]["/keys"]["post"]["responses"];
    for status in ["201", "202"] {
        assert!(responses[status]["description"].is_string(), "{responses}");
    }
    assert!(
        responses["202"]["description"]
            .as_str()
            .unwrap()
            .contains("`waits`")
    );
    assert!(responses["200"].is_null() && responses["default"].is_object());
}
