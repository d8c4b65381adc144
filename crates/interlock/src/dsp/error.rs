//! Why a body is no message of the protocol.
//!
//! INVARIANT: an error names the place by JSON pointer and what to send instead, and echoes only
//! words of the protocol (types, states, property names), never addresses, tokens or free text.

use std::fmt;

/// Longest text of the sender that an error repeats, in characters.
const ECHO_LENGTH_MAX: usize = 64;

/// What is wrong with a body, and where.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct DspError {
    /// JSON pointer (RFC 6901) to the place, by the compact names of properties; empty for the whole
    /// document.
    pub pointer: String,
    /// What is wrong there.
    pub fault: Fault,
}

/// What is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The body has more bytes than the limit.
    TooLarge {
        /// The limit in bytes.
        bytes_max: usize,
    },
    /// Objects and arrays are nested deeper than the limit.
    TooDeep {
        /// The limit in levels.
        depth_max: usize,
    },
    /// The body holds more values than the limit.
    TooMany {
        /// The limit in values.
        values_max: usize,
    },
    /// Not JSON.
    Syntax {
        /// Line of the first offence, from 1.
        line: usize,
        /// Column of the first offence, from 1.
        column: usize,
    },
    /// A property is given twice, perhaps in two spellings.
    Repeated,
    /// `@context` does not contain the context of 2025-1.
    Context,
    /// `@type` is absent or another one.
    Type {
        /// What came; empty if nothing did.
        found: String,
        /// The type wanted here.
        wanted: &'static str,
    },
    /// A required property is absent.
    Missing,
    /// The JSON value has another shape.
    Shape {
        /// What is wanted, with its article.
        wanted: &'static str,
    },
    /// The word is not one of those allowed.
    Word {
        /// What came.
        found: String,
        /// The words allowed.
        allowed: &'static str,
    },
    /// The text has not the form required.
    Form {
        /// What to write.
        wanted: &'static str,
    },
}

impl DspError {
    pub(super) fn new(pointer: impl Into<String>, fault: Fault) -> Self {
        Self {
            pointer: pointer.into(),
            fault,
        }
    }

    /// What the sender should do.
    pub fn remedy(&self) -> String {
        match &self.fault {
            Fault::TooLarge { bytes_max } => format!("send at most {bytes_max} bytes"),
            Fault::TooDeep { depth_max } => format!("nest at most {depth_max} levels"),
            Fault::TooMany { values_max } => format!("send at most {values_max} values"),
            Fault::Syntax { .. } => "send one JSON document (RFC 8259) in UTF-8".into(),
            Fault::Repeated => "give each property once, in one spelling".into(),
            Fault::Context => format!("add `{}` to `@context`", super::CONTEXT),
            Fault::Type { wanted, .. } => format!("set `@type` to {wanted}"),
            Fault::Missing => "add it".into(),
            Fault::Shape { wanted } | Fault::Form { wanted } => format!("send {wanted}"),
            Fault::Word { allowed, .. } => format!("send one of {allowed}"),
        }
    }
}

impl fmt::Display for DspError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.pointer.is_empty() {
            f.write_str("the document")?;
        } else {
            write!(f, "`{}`", self.pointer)?;
        }
        write!(f, " {}; {}", self.fault, self.remedy())
    }
}

/// The complaint alone, made to follow the place.
impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLarge { .. } => f.write_str("is too large"),
            Self::TooDeep { .. } => f.write_str("is nested too deep"),
            Self::TooMany { .. } => f.write_str("holds too many values"),
            Self::Syntax { line, column } => {
                write!(f, "is no JSON at line {line}, column {column}")
            }
            Self::Repeated => f.write_str("is given twice"),
            Self::Context => f.write_str("lacks the context of Dataspace Protocol 2025-1"),
            Self::Type { found, .. } if found.is_empty() => f.write_str("names no type"),
            Self::Type { found, .. } => write!(f, "is of type `{found}`"),
            Self::Missing => f.write_str("is missing"),
            Self::Shape { .. } => f.write_str("has the wrong shape"),
            Self::Word { found, .. } => write!(f, "is `{found}`"),
            Self::Form { .. } => f.write_str("has the wrong form"),
        }
    }
}

/// `text` shortened, so that an error stays small.
pub(super) fn echo(text: &str) -> String {
    text.chars()
        .filter(|c| !c.is_control())
        .take(ECHO_LENGTH_MAX)
        .collect()
}

/// The pointer to the member or element `segment` of what `parent` points to.
pub(super) fn child(parent: &str, segment: &str) -> String {
    // Asked for at every step of reading, and seldom seen.
    let plain = |byte: u8| byte.is_ascii_graphic() && !matches!(byte, b'~' | b'/');
    if segment.len() <= ECHO_LENGTH_MAX && segment.bytes().all(plain) {
        return [parent, "/", segment].concat();
    }
    let escaped = segment.replace('~', "~0").replace('/', "~1");
    format!("{parent}/{}", echo(&escaped))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_names_place_complaint_and_remedy() {
        let error = DspError::new(child("/offer", "a/b~c"), Fault::Missing);
        assert_eq!(error.to_string(), "`/offer/a~1b~0c` is missing; add it");
        let error = DspError::new("", Fault::TooLarge { bytes_max: 10 });
        assert_eq!(
            error.to_string(),
            "the document is too large; send at most 10 bytes"
        );
    }

    #[test]
    fn an_echo_is_short_and_on_one_line() {
        assert_eq!(echo("a\nb"), "ab");
        assert_eq!(echo(&"x".repeat(1_000)).len(), ECHO_LENGTH_MAX);
    }
}
