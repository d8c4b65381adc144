//! What becomes of events of our own.

/// What became of one event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EventTaken {
    /// Accepted, with its number within the parcel.
    Accepted(u32),
    /// It was accepted before.
    Duplicate,
}

impl EventTaken {
    /// The body of the answer, JSON.
    pub fn body(all: &[Self]) -> String {
        use std::fmt::Write as _;
        let mut text = String::with_capacity(16 + 40 * all.len());
        text.push_str("{\"items\":[");
        for (taken, at) in all.iter().zip(0..) {
            if at > 0 {
                text.push(',');
            }
            // Writing to a string does not fail.
            let _ = match taken {
                Self::Accepted(number) => {
                    write!(text, "{{\"number\":{number},\"outcome\":\"accepted\"}}")
                }
                Self::Duplicate => write!(text, "{{\"outcome\":\"duplicate\"}}"),
            };
        }
        text.push_str("]}");
        text
    }
}
