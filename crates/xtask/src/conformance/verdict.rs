//! What the kit found, and whether that is a pass.
//!
//! INVARIANT: a result that does not name every count is an error, never a pass.

use anyhow::{Context, bail};

/// Counts of one run, and what failed.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Verdict {
    found: u32,
    started: u32,
    succeeded: u32,
    failed: u32,
    skipped: u32,
    failures: Vec<String>,
}

impl Verdict {
    /// Reads the lines that `RunKit.java` wrote.
    pub(super) fn parse(text: &str) -> anyhow::Result<Self> {
        let count = |name: &str| {
            let line = text.lines().find_map(|line| {
                let (key, value) = line.split_once('=')?;
                (key == name).then_some(value)
            });
            let value = line.with_context(|| format!("the kit's result has no `{name}`"))?;
            value
                .parse::<u32>()
                .with_context(|| format!("`{value}` is no count of `{name}`"))
        };
        let failures = text
            .lines()
            .filter_map(|line| Some(line.strip_prefix("failure=")?.to_owned()));
        let verdict = Self {
            found: count("found")?,
            started: count("started")?,
            succeeded: count("succeeded")?,
            failed: count("failed")?,
            skipped: count("skipped")?,
            failures: failures.collect(),
        };
        if verdict.succeeded + verdict.failed > verdict.started {
            bail!("the kit's result contradicts itself: {verdict:?}");
        }
        Ok(verdict)
    }

    /// Whether `tests` tests ran, and all of them succeeded.
    pub(super) fn passes(&self, tests: u32) -> bool {
        self.started == tests
            && self.succeeded == tests
            && self.failed == 0
            && self.failures.is_empty()
    }

    /// One line, and one for each failure.
    pub(super) fn words(&self, tests: u32) -> String {
        let mut text = format!(
            "conformance: {} of {tests} passed ({} found, {} started, {} failed, {} skipped by the kit)",
            self.succeeded, self.found, self.started, self.failed, self.skipped
        );
        for failure in &self.failures {
            text.push_str(&format!("\n  {failure}"));
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "found=67\nstarted=65\nsucceeded=65\nfailed=0\nskipped=2\n";

    #[test]
    fn only_a_whole_run_passes() {
        assert!(Verdict::parse(GOOD).unwrap().passes(65));
        for (from, to) in [
            ("started=65\nsucceeded=65", "started=0\nsucceeded=0"),
            ("succeeded=65", "succeeded=64"),
            ("started=65\nsucceeded=65", "started=64\nsucceeded=64"),
            ("succeeded=65\nfailed=0", "succeeded=64\nfailed=1"),
            ("skipped=2\n", "skipped=2\nfailure=CN:01-01: no\n"),
        ] {
            let verdict = Verdict::parse(&GOOD.replace(from, to)).unwrap();
            assert!(!verdict.passes(65), "{verdict:?}");
        }
    }

    #[test]
    fn a_result_that_is_none_is_an_error() {
        for bad in [
            "",
            "found=67\n",
            &GOOD.replace("65", "many"),
            &GOOD.replace("failed=0", "failed=9"),
        ] {
            assert!(Verdict::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn failures_are_named() {
        let text = GOOD.replace("succeeded=65\nfailed=0", "succeeded=64\nfailed=1");
        let verdict = Verdict::parse(&format!("{text}failure=CN:01-01: no\n")).unwrap();
        assert_eq!(
            verdict.words(65),
            "conformance: 64 of 65 passed (67 found, 65 started, 1 failed, 2 skipped by the kit)\n  \
             CN:01-01: no"
        );
    }
}
