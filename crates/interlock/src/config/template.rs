//! The commented file that `interlock init` writes.
//!
//! INVARIANT: it holds every table and key that is known, and is accepted as it stands.

use interlock_core::ids::ParticipantId;

use super::schema::{self, Table};
use crate::identity::partner::Role;

/// The ports of a new node's doors on loopback.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ports {
    /// For other nodes.
    pub exchange: u16,
    /// For own systems and people.
    pub local: u16,
    /// For recipients and merchants.
    pub public: u16,
    /// For monitoring.
    pub metrics: u16,
}

impl Default for Ports {
    fn default() -> Self {
        Self {
            exchange: 8440,
            local: 8441,
            public: 8442,
            metrics: 8443,
        }
    }
}

/// The file of a new node.
pub(super) fn write(id: &ParticipantId, name: &str, role: Role, ports: Ports) -> String {
    let door = |port: u16| format!("\"http://127.0.0.1:{port}\"");
    let set = [
        ("participant", "id", quoted(id.as_str())),
        ("participant", "name", quoted(name)),
        (
            "participant",
            "roles",
            format!("[{}]", quoted(role.as_str())),
        ),
        ("listen", "exchange", door(ports.exchange)),
        ("listen", "local", door(ports.local)),
        ("listen", "public", door(ports.public)),
        ("listen", "metrics", door(ports.metrics)),
    ];
    let mut text = String::from(
        "# Configuration of one Interlock node. A line that starts with `# key =` shows the default\n\
         # or an example. Paths are relative to this file. Secrets never stand here: name a file or\n\
         # an environment variable. `interlock check` says what is wrong.\n",
    );
    for table in schema::TABLES {
        let value = |key: &str| {
            let found = set.iter().find(|(t, k, _)| *t == table.name && *k == key);
            found.map(|(_, _, value)| value.as_str())
        };
        write_table(&mut text, table, value);
    }
    text
}

/// Writes a table; without a set value its heading is a comment too.
fn write_table<'a>(text: &mut String, table: &Table, value: impl Fn(&str) -> Option<&'a str>) {
    text.push('\n');
    for line in table.comment.lines() {
        text.push_str(&format!("# {line}\n"));
    }
    let is_set = table.keys.iter().any(|key| value(key.name).is_some());
    let mark = if is_set { "" } else { "# " };
    let (open, close) = if table.repeated {
        ("[[", "]]")
    } else {
        ("[", "]")
    };
    text.push_str(&format!("{mark}{open}{}{close}\n", table.name));
    for key in table.keys {
        text.push_str(&format!("# {}\n", key.comment));
        match value(key.name) {
            Some(value) => text.push_str(&format!("{} = {value}\n", key.name)),
            None => text.push_str(&format!("# {} = {}\n", key.name, key.example)),
        }
    }
}

/// A TOML basic string.
fn quoted(text: &str) -> String {
    toml::Value::String(text.into()).to_string()
}
