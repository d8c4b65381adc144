//! Nodes and pages left up, for people to look around.
//!
//! INVARIANT: ends at Ctrl-C; what is printed works as it is printed.

use std::fmt::{self, Write};

use super::cast::Who;
use super::network::Network;
use super::paint::Paint;

/// Where everything is, and how to call it.
///
/// # Errors
/// None but of the writer.
pub fn guide(
    network: &Network,
    links: &[(String, String)],
    paint: Paint,
) -> Result<String, fmt::Error> {
    let mut out = String::new();
    writeln!(
        out,
        "\n{}",
        paint.bold("The nodes stay up until Ctrl-C; their clock stands still.")
    )?;
    writeln!(out, "   Pages:")?;
    for (what, url) in links {
        writeln!(out, "   {what:<14} {url}")?;
    }
    writeln!(
        out,
        "\n   Local APIs (OpenAPI at /openapi.json), each with an administrator's key:"
    )?;
    for (who, member) in network.nodes.iter() {
        writeln!(
            out,
            "   {:<18} {}  {}",
            who.name(),
            member.api.base(),
            paint.dim(member.admin.reveal())
        )?;
    }
    let cainiao = network.nodes.of(Who::Cainiao);
    writeln!(out, "\n   Try:")?;
    for path in ["/status", "/agreements", "/denials", "/evidence"] {
        writeln!(
            out,
            "   curl -H 'Authorization: Bearer {}' {}{path}",
            cainiao.admin.reveal(),
            cainiao.api.base()
        )?;
    }
    writeln!(
        out,
        "\n   Directories: {}",
        cainiao
            .deed
            .directory
            .parent()
            .map_or_else(String::new, |root| root.display().to_string())
    )?;
    Ok(out)
}
