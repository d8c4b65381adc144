//! A label as a picture: SVG of 76 x 130 mm, as carriers' printers take it.
//!
//! Printed as it is, by a browser or by what drives a label printer, it is one sheet of its size.
//!
//! INVARIANT: what is drawn is the text of [`interlock_core::label`], the waybill and the claim token, and
//! nothing else. Lengths are millimetres.

use std::fmt::Write as _;

use barcoders::sym::code128::Code128;
use interlock_core::label::LabelText;
use interlock_core::waybill::Waybill;

/// Width and height of a label.
const SIZE_MM: (f64, f64) = (76.0, 130.0);
/// Left and right of everything.
const MARGIN_MM: f64 = 3.0;
/// Most that a module is wide: GS1's nominal 0.33.
const MODULE_MM_MAX: f64 = 0.33;
/// Least: two dots of a printer with 300 dots an inch.
const MODULE_MM_MIN: f64 = 0.169;
/// Quiet zone on either side of a barcode, in modules (ISO/IEC 15417).
const QUIET_MODULES: f64 = 10.0;
/// Characters of a line of text.
const LINE_CHARS: usize = 24;

/// Why a label cannot be drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LabelError {
    /// The text of a barcode has other characters than Code 128 has.
    #[error("Code 128 has no such characters")]
    Characters,
    /// A barcode would be too wide for a label.
    #[error("the barcode is wider than a label")]
    TooWide,
}

/// What a label shows.
pub struct Label<'a> {
    /// The carrier's name for people.
    pub carrier: &'a str,
    /// The waybill.
    pub waybill: &'a Waybill,
    /// What it says of the recipient.
    pub recipient: &'a LabelText,
    /// The claim token, 32 hexadecimal digits, where the label's maker is the owner.
    pub claim: Option<&'a str>,
}

impl Label<'_> {
    /// The picture.
    ///
    /// # Errors
    /// [`LabelError`].
    pub fn to_svg(&self) -> Result<String, LabelError> {
        let (width, height) = SIZE_MM;
        let mut svg = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}mm\" height=\"{height}mm\" \
             viewBox=\"0 0 {width} {height}\" font-family=\"sans-serif\" fill=\"#000\">\
             <style>@page{{size:{width}mm {height}mm;margin:0}}</style>\
             <rect width=\"{width}\" height=\"{height}\" fill=\"#fff\"/>"
        );
        text(&mut svg, 10.0, 6.0, self.carrier);
        svg.push_str(&bars(self.waybill.number(), 15.0, 18.0)?);
        text(&mut svg, 37.5, 3.5, self.waybill.number());
        let mut y = 50.0;
        for (size, line) in [(6.0, &self.recipient.name), (5.0, &self.recipient.phone)] {
            text(&mut svg, y, size, line);
            y += 9.0;
        }
        for line in lines(&self.recipient.address) {
            text(&mut svg, y, 3.6, &line);
            y += 5.0;
        }
        if let Some(claim) = self.claim {
            svg.push_str(&bars(claim, 112.0, 9.0)?);
            text(&mut svg, 125.0, 2.2, claim);
        }
        svg.push_str("</svg>");
        Ok(svg)
    }
}

/// A text from the left margin, its base line at `y`.
fn text(svg: &mut String, y: f64, size: f64, line: &str) {
    // Writing to a string does not fail.
    let _ = write!(
        svg,
        "<text x=\"{MARGIN_MM}\" y=\"{y}\" font-size=\"{size}\">{}</text>",
        escaped(line)
    );
}

/// At most eight lines; what is longer is cut.
fn lines(address: &str) -> Vec<String> {
    let letters: Vec<char> = address.chars().collect();
    let lines = letters.chunks(LINE_CHARS).take(8);
    lines.map(|line| line.iter().collect()).collect()
}

fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            // Not allowed in XML.
            c if c.is_control() => {}
            c => out.push(c),
        }
    }
    out
}

/// A barcode as one path, centred, its top at `y`.
fn bars(content: &str, y: f64, height: f64) -> Result<String, LabelError> {
    // This letter begins in code set B: letters and digits.
    let code = Code128::new(format!("\u{181}{content}")).map_err(|_| LabelError::Characters)?;
    let modules = code.encode();
    let room = SIZE_MM.0 - 2.0 * MARGIN_MM;
    let count = modules.len() as f64;
    let module = (room / (count + 2.0 * QUIET_MODULES)).min(MODULE_MM_MAX);
    if module < MODULE_MM_MIN {
        return Err(LabelError::TooWide);
    }
    let left = (SIZE_MM.0 - count * module) / 2.0;
    let mut path = String::new();
    let mut at = 0;
    for run in modules.chunk_by(|a, b| a == b) {
        if run.first() == Some(&1) {
            let x = left + at as f64 * module;
            let width = run.len() as f64 * module;
            let _ = write!(path, "M{x:.3} {y}h{width:.3}v{height}h-{width:.3}z");
        }
        at += run.len();
    }
    Ok(format!("<path d=\"{path}\"/>"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told() -> LabelText {
        LabelText {
            name: "L*".into(),
            phone: "*******1234".into(),
            address: "90 Wensan Road, <b>&\"".into(),
        }
    }

    fn drawn(number: &str, claim: Option<&str>) -> Result<String, LabelError> {
        let waybill = Waybill::parse("sf", number).unwrap();
        let label = Label {
            carrier: "SF",
            waybill: &waybill,
            recipient: &told(),
            claim,
        };
        label.to_svg()
    }

    #[test]
    fn a_label_has_its_size_and_nothing_of_the_text_is_markup() {
        let svg = drawn("SF1234567890123", Some("00112233445566778899aabbccddeeff")).unwrap();
        assert!(svg.contains("width=\"76mm\" height=\"130mm\" viewBox=\"0 0 76 130\""));
        assert!(svg.contains("@page{size:76mm 130mm;margin:0}"));
        assert!(svg.contains("90 Wensan Road, &lt;b&gt;&amp;&quot;"));
        assert_eq!(svg.matches("<path").count(), 2);
        assert!(!drawn("SF1234567890123", None).unwrap().contains("0011"));
    }

    /// Widths of bars and spaces of the symbol table of ISO/IEC 15417, for what is looked at below.
    #[test]
    fn a_barcode_is_code_128() {
        let code = Code128::new("\u{181}SF12").unwrap().encode();
        let bits: String = code.iter().map(|bit| char::from(b'0' + bit)).collect();
        let (start_b, s, f) = ("11010010000", "11011101000", "10001100010");
        assert!(bits.starts_with(&format!("{start_b}{s}{f}")), "{bits}");
        assert!(bits.ends_with("1100011101011"), "stop");
        // 104 + 1*51 + 2*38 + 3*17 + 4*18 = 354; modulo 103 that is 45.
        assert_eq!(bits.get(55..66), Some("10111011000"), "check character 45");
        assert_eq!(bars("\u{e9}", 0.0, 1.0), Err(LabelError::Characters));
        assert_eq!(bars(&"A".repeat(60), 0.0, 1.0), Err(LabelError::TooWide));
    }

    #[test]
    fn every_bar_lies_within_the_quiet_zones() {
        for content in ["SF1234567890123", "00112233445566778899aabbccddeeff"] {
            let path = bars(content, 1.0, 2.0).unwrap();
            let starts = path.split('M').skip(1);
            let xs: Vec<f64> = starts
                .map(|bar| bar.split(' ').next().unwrap().parse().unwrap())
                .collect();
            assert!(
                xs.first().unwrap() > &MARGIN_MM && xs.last().unwrap() < &(SIZE_MM.0 - MARGIN_MM)
            );
        }
    }
}
