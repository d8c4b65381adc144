//! `cargo xtask midnight`: the end of a term on three nodes, one of them killed or stopped, again and
//! again.
//!
//! Each round has new nodes: a platform that owns parcels, a locker operator, a regulator. A term ends
//! while couriers deposit and recipients pick up; the regulator proposes a temporary agreement, both
//! parties accept, and what was held drains. The first round is left alone; in each other one a node is
//! killed by SIGKILL and started again, or stopped by SIGSTOP and continued, around the midnight.
//!
//! INVARIANT: what is counted was stored or answered by the nodes, and every round must end with just the
//! counts of the first. Which node is hit, how and when follows from the seed; at which instruction does
//! not. It knows the doors and the command line; nothing of a node's inside.

mod count;
mod course;
mod people;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, ensure};

use super::campaign::Campaign;
use super::kill::Chance;
use super::{Setting, empty};
use course::{Blow, How};

/// The argument that asks for this instead of benchmarks.
pub(super) const ARGUMENT: &str = "midnight";
const USAGE: &str = "usage: cargo xtask midnight [--times N] [--seed S]";
const TIMES: u64 = 10;
/// From so long before the end of the term a node may be hit.
const BLOW_BEFORE_MS: u64 = 800;
/// Until so long after it: the temporary agreement and the draining are within.
const BLOW_AFTER_MS: u64 = 2_400;
/// A node is down, or stands still, for so long at most.
const AWAY_MS_MAX: u64 = 1_500;
/// In one round of so many a second node is hit, too.
const TWICE_EVERY: u64 = 4;

/// Runs the rounds that `args` ask for.
pub(super) fn main(binary: PathBuf, scratch: PathBuf, args: &[String]) -> anyhow::Result<ExitCode> {
    let Some(asked) = Campaign::asked_for((binary, scratch), args, TIMES, USAGE) else {
        return Ok(ExitCode::from(2));
    };
    let Campaign {
        times,
        seed,
        setting,
    } = asked;
    println!("{times} midnights, seed {seed}");
    let calm = round(&setting, &[]).context("the midnight that was left alone")?;
    ensure!(
        calm.refused > 0 && calm.held_at_cut > 0,
        "nothing was refused or held: it was no midnight: {calm:?}"
    );
    println!("left alone: {}", calm.counts);
    let mut chance = Chance::new(seed);
    let (mut kills, mut stops) = (0, 0);
    for number in 1..=times {
        let blows = draw(&mut chance);
        for blow in &blows {
            match blow.how {
                How::Kill => kills += 1,
                How::Stop => stops += 1,
            }
        }
        let hit = || {
            format!(
                "midnight {number} of seed {seed}: {blows:?}; the data directories are kept in `{}`",
                setting.scratch.display()
            )
        };
        let ended = round(&setting, &blows).with_context(hit)?;
        ensure!(
            ended.counts == calm.counts,
            "{}\nleft alone: {}\nhit:        {}",
            hit(),
            calm.counts,
            ended.counts
        );
        if number % 10 == 0 {
            println!("{number} midnights: {kills} kills, {stops} stops, the same counts");
        }
    }
    println!(
        "{times} midnights: {kills} kills and {stops} stops; each ended with the counts of the one left alone"
    );
    empty(&setting.scratch)?;
    Ok(ExitCode::SUCCESS)
}

/// One midnight on new nodes.
fn round(setting: &Setting, blows: &[Blow]) -> anyhow::Result<course::Ended> {
    empty(&setting.scratch)?;
    course::live_through(setting, blows)
}

/// Whom it hits in a round, when and how.
fn draw(chance: &mut Chance) -> Vec<Blow> {
    let count = match chance.below(TWICE_EVERY) {
        0 => 2,
        _ => 1,
    };
    let mut blows: Vec<Blow> = (0..count)
        .map(|_| Blow {
            node: chance.below(3),
            at_ms: i64::try_from(chance.below(BLOW_BEFORE_MS + BLOW_AFTER_MS)).unwrap_or(0)
                - BLOW_BEFORE_MS.cast_signed(),
            away_ms: chance.below(AWAY_MS_MAX),
            how: match chance.below(2) {
                0 => How::Kill,
                _ => How::Stop,
            },
        })
        .collect();
    blows.sort_by_key(|blow| blow.at_ms);
    blows
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_node_is_hit_in_both_ways_before_and_after_the_end() {
        let mut chance = Chance::new(7);
        let blows: Vec<Blow> = (0..200).flat_map(|_| draw(&mut chance)).collect();
        for node in 0..3 {
            for how in [How::Kill, How::Stop] {
                let of_it = blows.iter().filter(|b| b.node == node && b.how == how);
                let before = of_it.clone().filter(|b| b.at_ms < 0).count();
                let after = of_it.count() - before;
                assert!(before > 0 && after > 0, "{node} {how:?}: {before} {after}");
            }
        }
        let again = || draw(&mut Chance::new(7));
        assert_eq!(again(), again());
    }
}
