//! A permutation of the numbers of twelve digits, under a secret.
//!
//! Purpose: a number that says nothing and is guessed by nobody stands for a small one, and leads back to
//! it without a table. INVARIANT: no two numbers have the same image, and every image leads back. It is a
//! Feistel network over two halves of six digits with the ten rounds of FF1 (NIST SP 800-38G); the round
//! function is HMAC-SHA-256. It does not know what the numbers stand for.

use super::content::mac;

/// How many numbers there are.
pub(super) const NUMBERS: u64 = HALF * HALF;
/// How many each half has.
const HALF: u64 = 1_000_000;
/// Of FF1.
const ROUNDS: u8 = 10;

/// The image of a number below [`NUMBERS`].
pub(super) fn scramble(secret: &[u8; 32], number: u64) -> u64 {
    let (mut left, mut right) = (number / HALF % HALF, number % HALF);
    for round in 0..ROUNDS {
        (left, right) = (right, (left + drawn(secret, round, right)) % HALF);
    }
    left * HALF + right
}

/// The number of an image below [`NUMBERS`].
pub(super) fn unscramble(secret: &[u8; 32], image: u64) -> u64 {
    let (mut left, mut right) = (image / HALF % HALF, image % HALF);
    for round in (0..ROUNDS).rev() {
        (left, right) = ((right + HALF - drawn(secret, round, left)) % HALF, left);
    }
    left * HALF + right
}

/// Below [`HALF`], from 64 bits: of two results none is more likely than the other by 2 to the -44.
fn drawn(secret: &[u8; 32], round: u8, half: u64) -> u64 {
    let full = mac(secret, &[b"lease", &[round], &half.to_le_bytes()]);
    let head = full.first_chunk::<8>().copied().unwrap_or_default();
    u64::from_le_bytes(head) % HALF
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_number_has_an_image_of_its_own_that_leads_back() {
        let secret = [7; 32];
        let some = (0..2_000).chain(NUMBERS - 2_000..NUMBERS);
        let images: BTreeSet<u64> = some
            .map(|number| {
                let image = scramble(&secret, number);
                assert!(image < NUMBERS);
                assert_eq!(unscramble(&secret, image), number);
                image
            })
            .collect();
        assert_eq!(images.len(), 4_000);
        let of_another = |number| scramble(&[8; 32], number) == scramble(&secret, number);
        assert!(!(0..100).any(of_another), "another secret, other images");
    }

    #[test]
    fn images_of_neighbours_lie_everywhere() {
        let mut tenths = [0_u32; 10];
        for number in 0..10_000 {
            let image = scramble(&[9; 32], number);
            let tenth = usize::try_from(image / (NUMBERS / 10)).unwrap();
            tenths[tenth] += 1;
        }
        // Of 10,000 drawn evenly each tenth has 1,000 with a deviation of 30.
        assert!(
            tenths.iter().all(|n| (850..1_150).contains(n)),
            "{tenths:?}"
        );
    }

    #[test]
    fn the_images_stay_what_they_are() {
        assert_eq!(
            [0, 1, NUMBERS - 1].map(|number| scramble(&[7; 32], number)),
            [799_856_547_374, 419_841_461_593, 252_532_283_138]
        );
    }
}
