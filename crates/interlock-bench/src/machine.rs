//! What the operating system says of processes and files.
//!
//! INVARIANT: times of processors are those that the kernel counted, never wall-clock time. It does
//! not know what the processes do. Needs Linux.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::Context;
use interlock_core::time::{SECOND_MS, Timestamp};

/// What the kernel calls a tick in `/proc`: a hundredth of a second (`USER_HZ`, proc(5)).
const TICK: Duration = Duration::from_millis(10);

/// The benchmarks' clock.
#[expect(
    clippy::disallowed_methods,
    reason = "a benchmark measures real time and is no part of a node"
)]
pub(crate) fn now() -> Instant {
    Instant::now()
}

/// The time of day, in whole seconds.
pub(crate) fn wall() -> Timestamp {
    Timestamp::from_millis(wall_ms() / SECOND_MS * SECOND_MS)
}

/// The time of day in milliseconds since the epoch.
#[expect(
    clippy::disallowed_methods,
    reason = "agreements are about real time; a benchmark is no part of a node"
)]
pub(crate) fn wall_ms() -> i64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    since.map_or(0, |since| {
        i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
    })
}

/// Processor time that this thread has used.
pub(crate) fn thread_cpu() -> Duration {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    let ns = text.split(' ').next().and_then(|ns| ns.parse().ok());
    Duration::from_nanos(ns.unwrap_or(0))
}

/// Processor time that a process has used, all its threads together.
pub(crate) fn process_cpu(pid: u32) -> anyhow::Result<Duration> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/stat"))
        .context("failed to read a node's processor time; is it still running?")?;
    cpu_of(&text).context("the node's `stat` in /proc cannot be read")
}

/// User and system time are fields 14 and 15; field 2, the name, may hold spaces.
fn cpu_of(stat: &str) -> Option<Duration> {
    let (_, rest) = stat.rsplit_once(')')?;
    let mut fields = rest.split_whitespace().skip(11);
    let user: u32 = fields.next()?.parse().ok()?;
    let system: u32 = fields.next()?.parse().ok()?;
    Some(TICK * (user + system))
}

/// Resident memory of a process in MiB.
pub(crate) fn resident_mib(pid: u32) -> anyhow::Result<f64> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/status"))
        .context("failed to read a node's memory from /proc; this benchmark needs Linux")?;
    Ok(resident_kib(&text)? / 1024.0)
}

fn resident_kib(status: &str) -> anyhow::Result<f64> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let number = line.and_then(|rest| rest.trim().strip_suffix(" kB"));
    number
        .and_then(|number| number.trim().parse().ok())
        .context("the node's status in /proc has no `VmRSS`; is it still running?")
}

/// Bytes of all files below a directory, as far as they are written: a file's length, or what it
/// takes on the disk if that is less.
pub(crate) fn disk_bytes(dir: &Path) -> anyhow::Result<u64> {
    use std::os::unix::fs::MetadataExt as _;
    let failed = || format!("failed to list `{}`", dir.display());
    let mut sum = 0;
    for entry in std::fs::read_dir(dir).with_context(failed)? {
        let entry = entry.with_context(failed)?;
        let metadata = entry.metadata().with_context(failed)?;
        sum += match metadata.is_dir() {
            true => disk_bytes(&entry.path())?,
            false => metadata.len().min(metadata.blocks() * 512),
        };
    }
    Ok(sum)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn resident_memory_is_read_in_kib() {
        let status = "Name:\tinterlock\nVmHWM:\t  999 kB\nVmRSS:\t   20480 kB\n";
        assert_eq!(resident_kib(status).unwrap(), 20480.0);
        assert!(resident_kib("Name:\tinterlock\n").is_err());
    }

    #[test]
    fn processor_time_is_user_and_system_whatever_the_name() {
        let stat = "7 (a b) c) S 1 7 7 0 -1 4194304 1 0 0 0 150 50 9 9 20 0 1 0 1 1 1";
        assert_eq!(cpu_of(stat), Some(Duration::from_secs(2)));
        assert_eq!(cpu_of("7 (a) S 1"), None);
    }

    #[test]
    fn a_busy_thread_uses_processor_time() {
        let before = thread_cpu();
        let mut sum = 0_u64;
        for n in 0..20_000_000_u64 {
            sum = std::hint::black_box(sum.wrapping_add(n));
        }
        assert!(thread_cpu() > before, "{sum}");
    }
}
