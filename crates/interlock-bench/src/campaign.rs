//! What a campaign is asked for on the command line: how many rounds, from which seed.

use std::path::PathBuf;

use super::Setting;
use super::machine::wall;

/// A campaign that was asked for.
pub(super) struct Campaign {
    /// Rounds.
    pub(super) times: u64,
    /// The seed; the time of day unless one was given.
    pub(super) seed: u64,
    /// Where it runs.
    pub(super) setting: Setting,
}

impl Campaign {
    /// What `args` ask for. `None`, and said on standard error, if one of them does not fit.
    pub(super) fn asked_for(
        (binary, scratch): (PathBuf, PathBuf),
        args: &[String],
        times: u64,
        usage: &str,
    ) -> Option<Self> {
        let mut asked = Self {
            times,
            seed: u64::try_from(wall().as_millis()).unwrap_or(1),
            setting: Setting {
                binary,
                scratch,
                quick: false,
                events: None,
                plain: false,
            },
        };
        let mut rest = args.iter();
        while let Some(flag) = rest.next() {
            let number = rest.next().and_then(|text| text.parse().ok());
            match (flag.as_str(), number) {
                ("--times", Some(number)) => asked.times = number,
                ("--seed", Some(number)) => asked.seed = number,
                (_, _) => {
                    eprintln!("error: `{flag}` does not fit\n{usage}");
                    return None;
                }
            }
        }
        Some(asked)
    }
}
