//! Lower-case hexadecimal, as signed documents write keys, hashes and signatures.

/// `bytes` in lower-case hexadecimal digits.
pub fn encode(bytes: &[u8]) -> String {
    let digits = |byte: &u8| [byte >> 4, byte & 15];
    let letter = |nibble| char::from_digit(u32::from(nibble), 16).unwrap_or('0');
    let mut text = String::with_capacity(bytes.len() * 2);
    text.extend(bytes.iter().flat_map(digits).map(letter));
    text
}

/// The `N` bytes that `text` gives in exactly 2 `N` lower-case digits; `None` otherwise.
pub fn decode<const N: usize>(text: &str) -> Option<[u8; N]> {
    let digits = text.as_bytes();
    if digits.len() != N.checked_mul(2)? {
        return None;
    }
    let mut out = [0; N];
    for (slot, pair) in out.iter_mut().zip(digits.chunks_exact(2)) {
        let [high, low] = pair else { return None };
        *slot = digit(*high)? << 4 | digit(*low)?;
    }
    Some(out)
}

const fn digit(b: u8) -> Option<u8> {
    match b {
        b'0'..=b'9' => Some(b - b'0'),
        b'a'..=b'f' => Some(b - b'a' + 10),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_is_one_text_for_each_value() {
        assert_eq!(encode(&[0x0a, 0xff]), "0aff");
        assert_eq!(decode("0aff"), Some([0x0a, 0xff]));
        for bad in ["0AFF", "0af", "0aff0", "", "0ag0"] {
            assert_eq!(decode::<2>(bad), None, "{bad}");
        }
    }
}
