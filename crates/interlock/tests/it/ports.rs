//! Ports for nodes that tests start as processes.
//!
//! A port that the system gave to whoever asked for any can go to another connection before the node
//! listens on it, and is then "already in use". These lie below that range, and no two callers of one
//! process get the same.

use std::net::TcpListener;
use std::sync::atomic::{AtomicU16, Ordering};

/// First port that is given, and how far blocks lie apart.
const FIRST: u16 = 20_000;
const APART: u16 = 20;
/// Blocks: the last ends below 32,768, where the system's own range begins on Linux.
const BLOCKS: u16 = 600;

/// The first of `count` ports in a row that were free a moment ago.
pub fn ports(count: u16) -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    assert!(count <= APART, "a block has {APART} ports");
    for _ in 0..BLOCKS {
        // Tests of another process draw elsewhere, and those of this one draw one after the other.
        let drawn = std::process::id().wrapping_mul(101) % u32::from(BLOCKS);
        let nth = u16::try_from(drawn).unwrap() + NEXT.fetch_add(1, Ordering::SeqCst);
        let first = FIRST + nth % BLOCKS * APART;
        let mut all = first..first + count;
        if all.all(|port| TcpListener::bind(("127.0.0.1", port)).is_ok()) {
            return first;
        }
    }
    panic!("none of {BLOCKS} blocks of ports is free");
}
