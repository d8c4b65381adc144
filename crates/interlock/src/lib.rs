//! One participant's node.
