//! Cargo, started from a task.
//!
//! INVARIANT: what the cargo that runs the task says of the task's own crate is not passed on. Build scripts
//! (that of ring) watch those variables: with others than a shell has, half of the tree would be built
//! again, and once more when somebody calls cargo by hand.

use std::process::Command;

/// Beginnings of the names of variables that are about one crate.
const ABOUT_A_CRATE: [&str; 2] = ["CARGO_MANIFEST_", "CARGO_PKG_"];

/// The cargo that runs this task, without arguments.
pub(crate) fn cargo() -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    for (name, _) in std::env::vars_os() {
        let about = name.to_str().is_some_and(is_about_a_crate);
        if about {
            command.env_remove(name);
        }
    }
    command
}

fn is_about_a_crate(name: &str) -> bool {
    ABOUT_A_CRATE.iter().any(|begin| name.starts_with(begin))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_of_this_crate_is_passed_on() {
        let command = cargo();
        let removed: Vec<_> = command
            .get_envs()
            .filter(|(_, value)| value.is_none())
            .map(|(name, _)| name.to_string_lossy().into_owned())
            .collect();
        for name in ["CARGO_MANIFEST_DIR", "CARGO_PKG_NAME", "CARGO_PKG_VERSION"] {
            assert!(removed.iter().any(|it| it == name), "{name}: {removed:?}");
        }
        assert!(!is_about_a_crate("CARGO_HOME") && !is_about_a_crate("CARGO_TARGET_DIR"));
    }
}
