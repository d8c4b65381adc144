//! A QR code as SVG: dark modules on white, whatever the page's colours, with the quiet zone that
//! scanners need (ISO/IEC 18004).

use std::fmt::Write as _;

use maud::{Markup, html};
use qrcode::{Color, EcLevel, QrCode};

/// Modules of white around a symbol.
const QUIET: usize = 4;

/// The symbol of a short text; nothing if it does not fit in one.
pub(super) fn qr(text: &str, label: &str) -> Markup {
    let Ok(code) = QrCode::with_error_correction_level(text, EcLevel::M) else {
        return html! {};
    };
    let side = code.width();
    let mut ink = String::new();
    for (at, color) in code.to_colors().into_iter().enumerate() {
        if color == Color::Dark {
            // Writing to a string does not fail.
            let _ = write!(ink, "M{} {}h1v1h-1z", at % side + QUIET, at / side + QUIET);
        }
    }
    let whole = side + 2 * QUIET;
    html! {
        svg.qr role="img" aria-label=(label) viewBox={ "0 0 " (whole) " " (whole) } shape-rendering="crispEdges" {
            rect.paper width=(whole) height=(whole) {}
            path.ink d=(ink) {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_is_one_symbol_with_its_finders_and_quiet_zone() {
        let text = qr("735182", "a <label>").into_string();
        assert!(text.contains("viewBox=\"0 0 29 29\""), "{text}");
        assert!(text.contains("aria-label=\"a &lt;label&gt;\""));
        assert!(!text.contains("735182"), "digits are drawn, not written");
        // The corners of the three finders are dark, the fourth corner and the quiet zone are not all.
        for corner in ["M4 4h1", "M24 4h1", "M4 24h1"] {
            assert!(text.contains(corner), "{corner}");
        }
        assert!(!text.contains("M3 ") && !text.contains("M25 "));
        assert_ne!(text, qr("735183", "a <label>").into_string());
        assert_eq!(qr(&"x".repeat(10_000), "").into_string(), "");
    }
}
