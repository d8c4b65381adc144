//! `cargo xtask pages`: every page of whole nodes in a real browser, judged by axe.
//!
//! INVARIANT: the browser is Debian's, and axe is the version that is named here, as its publisher's
//! digest shows. It knows no page.

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};

use anyhow::{Context, bail};
use serde_json::Value;

use crate::cargo::cargo;
use crate::tools::{Tools, need};

const TOOLS: Tools = Tools {
    what: "chromium with its driver, a font with Chinese characters, poppler's tools, and npm",
    needs: &[
        need(&["chromium", "--version"], "chromium"),
        need(&["chromedriver", "--version"], "chromium-driver"),
        // Any npm does; Debian's does not fit beside a Node.js from elsewhere, which has its own.
        need(&["npm", "--version"], "npm"),
        need(&["pdftotext", "-v"], "poppler-utils"),
        need(&["pdftoppm", "-v"], "poppler-utils"),
        need(&["fc-list", "--version"], "fontconfig"),
        // Without one pictures show boxes, and widths are others.
        need(&["fc-list", "--quiet", ":lang=zh-cn"], "fonts-noto-cjk"),
    ],
};
const AXE: &str = "axe-core@4.14.1";
const AXE_INTEGRITY: &str = "sha512-FHfa+lmNjQZfJz1q8wKqIDwC6DExcHt/pkjNQb09a3NPjCKg2rhu5qb2S4r76ASyFNNtuFooJpZe37OgudVGtQ==";

/// Builds what is shown and who looks, and looks.
pub(crate) fn run(root: &Path, args: &[String]) -> anyhow::Result<ExitCode> {
    TOOLS.ensure()?;
    let place = root.join("target/pages");
    std::fs::create_dir_all(&place)
        .with_context(|| format!("failed to make `{}`", place.display()))?;
    let axe = axe(&place)?;
    let status = cargo()
        .args(["run", "--quiet", "--package", "interlock-browser", "--"])
        .arg("--axe")
        .arg(axe)
        .args(args)
        .current_dir(root)
        .status()
        .context("failed to start cargo")?;
    let code = status.code().and_then(|code| u8::try_from(code).ok());
    Ok(code.map_or(ExitCode::FAILURE, ExitCode::from))
}

/// The file of axe in `place`; fetched unless that version is there.
fn axe(place: &Path) -> anyhow::Result<PathBuf> {
    let file = place.join("package").join("axe.min.js");
    // Written last: what it names was fetched whole.
    let mark = place.join("axe.version");
    if std::fs::read_to_string(&mark).is_ok_and(|fetched| fetched == AXE_INTEGRITY) {
        return Ok(file);
    }
    eprintln!("fetching {AXE}");
    let mut npm = Command::new("npm");
    npm.args(["pack", "--json", AXE]).current_dir(place);
    let output = npm.stdin(Stdio::null()).stderr(Stdio::inherit()).output();
    let output = output.context("failed to start npm")?;
    let answer: Value = serde_json::from_slice(&output.stdout)
        .with_context(|| format!("`npm pack {AXE}` failed"))?;
    let told = |field: &str| {
        answer
            .pointer(&format!("/0/{field}"))
            .and_then(Value::as_str)
    };
    if told("integrity") != Some(AXE_INTEGRITY) {
        bail!("{AXE} is not what it was: {:?}", told("integrity"));
    }
    let archive = told("filename").context("npm names no file")?;
    let mut tar = Command::new("tar");
    tar.arg("-xzf").arg(archive).arg("package/axe.min.js");
    let status = tar.current_dir(place).status();
    if !status.context("failed to start tar")?.success() {
        bail!("`{archive}` cannot be unpacked");
    }
    std::fs::write(&mark, AXE_INTEGRITY).context("failed to note which axe is there")?;
    Ok(file)
}
