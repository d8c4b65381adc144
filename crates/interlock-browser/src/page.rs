//! What must hold of every page, asked of the browser that shows it.
//!
//! INVARIANT: a page that the browser could not judge is a finding, not a pass. Rules are those of every
//! page; what one page must say is tested where it is made.

use anyhow::Context;
use serde_json::Value;

use crate::browser::{Browser, Look};

/// Largest page, in bytes of HTML.
const HTML_SIZE_BYTES_MAX: u64 = 100_000;

/// What the browser is asked: an object of facts.
const FACTS: &str = "
const entry = performance.getEntriesByType('navigation')[0];
const own = location.origin;
const wide = document.documentElement;
return {
  status: entry.responseStatus,
  size: entry.decodedBodySize,
  scripts: document.scripts.length,
  handlers: [...document.querySelectorAll('*')].filter(e => [...e.attributes].some(a => a.name.startsWith('on') || a.name === 'style')).length,
  embedded: document.querySelectorAll('img, iframe, object, embed, video, audio, base, [href^=javascript i]').length,
  foreign: performance.getEntriesByType('resource').map(e => e.name).filter(n => !n.startsWith(own + '/')),
  overflow: wide.scrollWidth - wide.clientWidth,
  lang: wide.lang,
  title: document.title,
  headings: document.querySelectorAll('h1').length,
  unstyled: document.styleSheets.length === 0,
};";

/// Everything opened: by how much the page is then too wide.
const UNFOLD: &str = "
document.querySelectorAll('details:not([open])').forEach(d => { d.open = true; d.unfolded = true; });
const wide = document.documentElement;
return wide.scrollWidth - wide.clientWidth;";

/// What was opened is closed again, for the next look.
const FOLD: &str = "
document.querySelectorAll('details').forEach(d => { if (d.unfolded) { d.open = d.unfolded = false; } });";

/// Whether the page has no axe yet.
const IS_NEW: &str = "return typeof axe === 'undefined';";

/// What axe is told: all of its rules, and of the result what does not hold.
const AXE: &str = "
return axe.run(document, { resultTypes: ['violations'] }).then(r => r.violations.map(v =>
  v.id + ': ' + v.nodes.slice(0, 3).map(n => n.target.join(' ') + ' ' + (n.any.concat(n.all)[0] || {}).message).join('; ')));";

/// Judges the page that is shown; what does not hold, in words. Tells how large its HTML is, too.
pub(crate) async fn judge(
    browser: &Browser,
    look: Look,
    axe: &str,
    secrets: &[String],
) -> anyhow::Result<(Vec<String>, u64)> {
    let client = browser.client();
    let facts = client.execute(FACTS, vec![]).await;
    let facts = facts.context("the browser tells nothing of the page")?;
    let mut findings = rules(&facts, look);
    let size = number(&facts, "size").unwrap_or(0);
    let url = client.current_url().await?;
    let title = text(&facts, "title");
    if secrets
        .iter()
        .any(|it| url.as_str().contains(it) || title.contains(it))
    {
        findings.push("a secret is in the address or the title".into());
    }
    // What is folded is read too, and must fit.
    let unfolded = client.execute(UNFOLD, vec![]).await?;
    if unfolded.as_u64() != Some(0) {
        findings.push(format!(
            "unfolded, wider than the window by {unfolded} pixels"
        ));
    }
    let is_new = client.execute(IS_NEW, vec![]).await?;
    let axe = if is_new == Value::Bool(true) { axe } else { "" };
    let violations = client.execute(&format!("{axe}{AXE}"), vec![]).await?;
    client.execute(FOLD, vec![]).await?;
    let violations = violations.as_array().context("axe gave no verdict")?;
    findings.extend(
        violations
            .iter()
            .map(|it| format!("axe: {}", it.as_str().unwrap_or("?"))),
    );
    let expected = format!("{} ", url.as_str());
    for said in browser.console().await? {
        // A browser notes an answer that is no success by itself.
        if !(said.starts_with(&expected) && said.contains("Failed to load resource")) {
            findings.push(format!("console: {said}"));
        }
    }
    Ok((findings, size))
}

fn rules(facts: &Value, look: Look) -> Vec<String> {
    let mut findings = Vec::new();
    for (field, what) in [
        ("scripts", "scripts"),
        ("handlers", "attributes of style or of events"),
        (
            "embedded",
            "elements that load or run what stands elsewhere",
        ),
    ] {
        match number(facts, field) {
            Some(0) => {}
            n => findings.push(format!("{what}: {n:?}, must be none")),
        }
    }
    match number(facts, "overflow") {
        Some(0) => {}
        n => findings.push(format!("wider than the window by {n:?} pixels")),
    }
    match number(facts, "headings") {
        Some(1) => {}
        n => findings.push(format!("{n:?} headings of the first level, must be one")),
    }
    match number(facts, "size") {
        Some(1..=HTML_SIZE_BYTES_MAX) => {}
        n => findings.push(format!("{n:?} bytes, at most {HTML_SIZE_BYTES_MAX}")),
    }
    match facts.get("foreign").and_then(Value::as_array) {
        Some(foreign) if foreign.is_empty() => {}
        foreign => findings.push(format!("loaded from elsewhere: {foreign:?}")),
    }
    if facts.get("unstyled") != Some(&Value::Bool(false)) {
        findings.push("has no stylesheet".into());
    }
    let lang = text(facts, "lang");
    if lang != look.language.tag() {
        findings.push(format!(
            "is in `{lang}`, was asked for in `{}`",
            look.language.tag()
        ));
    }
    if text(facts, "title").trim().is_empty() {
        findings.push("has no title".into());
    }
    findings
}

fn number(facts: &Value, field: &str) -> Option<u64> {
    facts.get(field).and_then(Value::as_u64)
}

fn text<'a>(facts: &'a Value, field: &str) -> &'a str {
    facts.get(field).and_then(Value::as_str).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::browser::Language;
    use serde_json::json;

    const LOOK: Look = Look {
        language: Language::English,
        width: 320,
        dark: false,
    };

    fn good() -> Value {
        json!({
            "status": 200, "size": 20_000, "scripts": 0, "handlers": 0, "embedded": 0, "foreign": [], "overflow": 0,
            "lang": "en", "title": "Feeds", "headings": 1, "unstyled": false,
        })
    }

    #[test]
    fn whatever_is_wrong_or_not_told_is_a_finding() {
        assert_eq!(rules(&good(), LOOK), Vec::<String>::new());
        for (field, bad) in [
            ("size", json!(100_001)),
            ("size", json!(0)),
            ("scripts", json!(1)),
            ("handlers", json!(1)),
            ("foreign", json!(["https://elsewhere.example/a.css"])),
            ("overflow", json!(7)),
            ("lang", json!("zh-CN")),
            ("title", json!(" ")),
            ("headings", json!(2)),
            ("unstyled", json!(true)),
        ] {
            for value in [bad, Value::Null] {
                let mut facts = good();
                facts[field] = value;
                assert_eq!(rules(&facts, LOOK).len(), 1, "{field}");
            }
        }
    }
}
