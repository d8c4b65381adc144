//! Evidence as an auditor checks it: exported beside the running nodes, verified together, offline.
//!
//! INVARIANT: what does not verify is an error with the verifier's findings.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, bail};
use serde_json::Value;

use super::pair::Side;
use super::place::succeed;

/// Exports what `sides` hold and checks it.
pub(crate) fn verify(binary: &Path, scratch: &Path, sides: &[&Side]) -> anyhow::Result<()> {
    let mut verify = Command::new(binary);
    verify.args(["--json", "evidence", "verify"]);
    for (side, number) in sides.iter().zip(0..) {
        let file = scratch.join(format!("evidence-{number}.json"));
        if file.exists() {
            std::fs::remove_file(&file)?;
        }
        let mut export = Command::new(binary);
        export.arg("--config").arg(side.place.config());
        export
            .args(["--json", "evidence", "export", "--out"])
            .arg(&file);
        succeed(&mut export)?;
        verify.arg(file);
    }
    let output = verify.output().context("failed to start the verifier")?;
    let said = String::from_utf8_lossy(&output.stdout);
    let verdict: Value = serde_json::from_str(&said).with_context(|| {
        format!(
            "the verifier said {}",
            String::from_utf8_lossy(&output.stderr)
        )
    })?;
    if !output.status.success() {
        let findings = verdict.get("findings").unwrap_or(&Value::Null);
        bail!("the evidence does not verify: {findings}");
    }
    Ok(())
}
