//! Base58 with Bitcoin's alphabet, as multibase `z` writes it (Multibase, draft-multiformats-multibase).
//!
//! Meant for keys: the cost is quadratic, so input is bounded. It does not know what it encodes.

const ALPHABET: &[u8; 58] = b"123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz";

/// Longest text that [`decode`] reads, in bytes.
const TEXT_LENGTH_MAX: usize = 128;

/// `bytes` in base58.
pub(super) fn encode(bytes: &[u8]) -> String {
    // Digits of the number, least significant first.
    let mut digits: Vec<u8> = Vec::with_capacity(bytes.len() * 2);
    for byte in bytes {
        let mut carry = u32::from(*byte);
        for digit in &mut digits {
            carry += u32::from(*digit) << 8;
            *digit = (carry % 58) as u8;
            carry /= 58;
        }
        while carry > 0 {
            digits.push((carry % 58) as u8);
            carry /= 58;
        }
    }
    let zeros = bytes.iter().take_while(|b| **b == 0).count();
    std::iter::repeat_n(0, zeros)
        .chain(digits.into_iter().rev())
        .filter_map(|digit| ALPHABET.get(usize::from(digit)))
        .map(|letter| char::from(*letter))
        .collect()
}

/// The bytes that `text` encodes, or nothing if it has another letter or is too long.
pub(super) fn decode(text: &str) -> Option<Vec<u8>> {
    if text.len() > TEXT_LENGTH_MAX {
        return None;
    }
    let mut bytes: Vec<u8> = Vec::with_capacity(text.len());
    for letter in text.bytes() {
        let mut carry = u32::try_from(ALPHABET.iter().position(|a| *a == letter)?).ok()?;
        for byte in &mut bytes {
            carry += u32::from(*byte) * 58;
            *byte = (carry & 0xff) as u8;
            carry >>= 8;
        }
        while carry > 0 {
            bytes.push((carry & 0xff) as u8);
            carry >>= 8;
        }
    }
    let zeros = text.bytes().take_while(|b| *b == b'1').count();
    bytes.extend(std::iter::repeat_n(0, zeros));
    bytes.reverse();
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn known_texts() {
        assert_eq!(encode(b"Hello World!"), "2NEpo7TZRRrLZSi2U");
        assert_eq!(encode(&[0, 0, 1]), "112");
        assert_eq!(decode("112"), Some(vec![0, 0, 1]));
        for bad in ["0", "O", "I", "l", "é", &"z".repeat(129)] {
            assert_eq!(decode(bad), None, "{bad}");
        }
    }

    proptest! {
        #[test]
        fn round_trip(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
            prop_assert_eq!(decode(&encode(&bytes)), Some(bytes));
        }
    }
}
