//! Prints how well collectors of contacts are found: `cargo xtask collectors`.

use std::error::Error;

use interlock_sim::collectors::measure;

/// The seed of the figures in `docs/guides/benchmarks.md`.
const SEED: u64 = 7;
/// Collectors of each kind and share.
const EACH: u64 = 20;

fn main() -> Result<(), Box<dyn Error>> {
    let mut args = std::env::args().skip(1);
    let mut next = |default: u64| match args.next() {
        Some(text) => text.parse().map_err(|_| format!("`{text}` is no number")),
        None => Ok(default),
    };
    let (seed, each) = (next(SEED)?, next(EACH)?);
    print!("{}", measure(seed, each));
    Ok(())
}
