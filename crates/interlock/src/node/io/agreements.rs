//! What people decide about proposals and agreements.
//!
//! INVARIANT: plain values, read at the door and decided on by the node. They do not know who asks.

use interlock_core::ids::WireId;
use interlock_core::time::Timestamp;

/// What people decided about a proposal.
#[derive(Clone, Debug)]
pub enum Decision {
    /// Agree.
    Approve,
    /// Agree to the terms of this number, if they are still those that lie there.
    ApproveVersion(u32),
    /// Offer other terms.
    Counter {
        /// The policy offered instead.
        policy: serde_json::Value,
    },
    /// End the negotiation.
    Reject {
        /// Why, for the other side.
        reason: String,
    },
}

/// A change to an agreement in force.
#[derive(Clone, Debug)]
pub enum AgreementChange {
    /// Nothing is released until it is resumed.
    Suspend {
        /// Why.
        reason: String,
    },
    /// Will be suspended in return for what the other party stopped (`il:reciprocate`).
    Reciprocate {
        /// The agreement that it stopped.
        trigger: WireId,
        /// From when; 73 hours ahead, if absent.
        at: Option<Timestamp>,
        /// Why.
        reason: String,
    },
    /// Goes on after a suspension.
    Resume,
    /// Ends before its term.
    Terminate {
        /// When.
        at: Timestamp,
        /// Why.
        reason: String,
    },
}

/// How the next term of an agreement differs from its term.
#[derive(Clone, Debug, Default)]
pub struct Renewal {
    /// When it ends, if not as the policy says or after as long a term again.
    pub until: Option<Timestamp>,
    /// The whole policy instead of the same terms for as long again.
    pub policy: Option<serde_json::Value>,
}
