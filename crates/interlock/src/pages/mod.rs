//! Pages for people, rendered on the server.

mod language;

pub use language::Language;
