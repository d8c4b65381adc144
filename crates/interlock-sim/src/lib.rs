//! A simulated world of nodes.
