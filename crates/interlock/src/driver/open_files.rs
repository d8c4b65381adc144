//! The limit of open files.

use rustix::process::{Resource, getrlimit, setrlimit};

/// So many files a node wants to be able to have open, connections included.
const OPEN_FILES: u64 = 65_536;

/// Lets this process have as many files open as the system grants it, up to [`OPEN_FILES`]: connections and
/// tables take more than the 1,024 that are usual. A node that ran out of them could not read its tables.
pub fn raise() {
    let mut limit = getrlimit(Resource::Nofile);
    let granted = limit
        .maximum
        .map_or(OPEN_FILES, |most| most.min(OPEN_FILES));
    if limit.current.is_some_and(|now| now < granted) {
        limit.current = Some(granted);
        if let Err(error) = setrlimit(Resource::Nofile, limit) {
            tracing::warn!(%error, "the limit of open files stays as it is; raise it (`LimitNOFILE` of systemd)");
        }
    }
}
