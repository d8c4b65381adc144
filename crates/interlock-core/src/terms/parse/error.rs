//! Why a policy is refused.
//!
//! INVARIANT: an error names the place, the thing and the remedy, so that it can be corrected without
//! this source.

use alloc::string::String;
use core::fmt;

/// What is wrong with a part of a policy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TermProblem {
    /// A member that a policy, rule or constraint does not have.
    UnknownMember,
    /// An operand that is no term of the profile.
    UnknownTerm,
    /// An operator that the term does not take.
    WrongOperator,
    /// An action that the profile does not know in this place.
    UnknownAction,
    /// A value that the term does not know.
    UnknownValue,
    /// A profile other than ours.
    UnknownProfile,
    /// A field that the dataset does not have.
    NotInDataset,
    /// `and`, `or`, `xone` or `andSequence`.
    LogicalConstraint,
    /// The second of its kind.
    Duplicate,
    /// A term that must be there is not.
    Missing,
    /// Another JSON type.
    WrongType,
    /// A bare JSON number, which the schema of DSP 2025-1 does not allow.
    BareNumber,
    /// An instant without zone, or none at all.
    NoInstant,
    /// A number or duration outside what is allowed.
    OutOfRange,
    /// More than the limit.
    TooMany,
}

impl TermProblem {
    /// The problem in a few words.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::UnknownMember => "unknown member",
            Self::UnknownTerm => "unknown term",
            Self::WrongOperator => "wrong operator for",
            Self::UnknownAction => "unknown action",
            Self::UnknownValue => "unknown value",
            Self::UnknownProfile => "unknown profile",
            Self::NotInDataset => "no field of this dataset:",
            Self::LogicalConstraint => "logical constraint",
            Self::Duplicate => "repeated",
            Self::Missing => "missing",
            Self::WrongType => "wrong JSON type for",
            Self::BareNumber => "bare number for",
            Self::NoInstant => "no instant with zone in",
            Self::OutOfRange => "out of range:",
            Self::TooMany => "too many values in",
        }
    }
}

/// One reason why a policy is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{pointer}`: {problem} `{term}`; {remedy}")]
pub struct TermError {
    /// Where, as a JSON pointer (RFC 6901) into the policy.
    pub pointer: String,
    /// What is wrong.
    pub problem: TermProblem,
    /// The term, member, action or value in question, as it was given, at most 128 characters.
    pub term: String,
    /// What to do about it.
    pub remedy: String,
}

impl fmt::Display for TermProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
