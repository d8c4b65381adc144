//! Whole nodes, from the outside.

mod demo;
