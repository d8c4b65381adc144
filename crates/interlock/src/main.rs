//! One participant's node.
fn main() {}
