//! What is dialled behind a number that many share.

/// How many extensions there are: eight digits.
const EXTENSIONS: u32 = 100_000_000;

/// At which the recipient of a deposit calls its courier.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Extension(u32);

impl Extension {
    /// The one that follows from some bytes.
    pub fn of(bytes: [u8; 4]) -> Self {
        Self(u32::from_be_bytes(bytes) % EXTENSIONS)
    }

    /// Reads eight digits.
    ///
    /// # Errors
    /// What to write instead.
    pub fn parse(text: &str) -> Result<Self, String> {
        let digits = text.len() == 8 && text.bytes().all(|digit| digit.is_ascii_digit());
        let number = text.parse().ok().filter(|_| digits);
        number
            .map(Self)
            .ok_or_else(|| "write the 8 digits that were dialled".into())
    }
}

impl std::fmt::Display for Extension {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:08}", self.0)
    }
}

/// At which whoever leased a number from us calls a recipient: twelve digits. It does not print itself.
#[derive(Clone, PartialEq, Eq)]
pub struct LeasedExtension(String);

impl LeasedExtension {
    /// Reads twelve digits.
    ///
    /// # Errors
    /// What to write instead; the input is not repeated.
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        let digits = text.len() == 12 && text.bytes().all(|digit| digit.is_ascii_digit());
        digits
            .then(|| Self(text.to_owned()))
            .ok_or("write the 12 digits that were dialled")
    }

    /// The digits.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Debug for LeasedExtension {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("LeasedExtension(redacted)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_leased_extension_is_twelve_digits_and_does_not_print_itself() {
        let leased = LeasedExtension::parse("004711000815").unwrap();
        assert_eq!(leased.as_str(), "004711000815");
        assert!(!format!("{leased:?}").contains("4711"));
        for wrong in [
            "",
            "00471100",
            "0047110008155",
            "00471100081x",
            "+04711000815",
        ] {
            let told = LeasedExtension::parse(wrong).unwrap_err();
            assert!(wrong.is_empty() || !told.contains(wrong), "{told}");
        }
    }

    #[test]
    fn an_extension_is_eight_digits_and_nothing_else() {
        let first = Extension::of([0; 4]);
        assert_eq!(first.to_string(), "00000000");
        assert_eq!(Extension::parse("00000000"), Ok(first));
        let some = Extension::of([255; 4]);
        assert_eq!(Extension::parse(&some.to_string()), Ok(some));
        for wrong in ["", "1", "123456789", "1234567a", "+1234567", "12 45678"] {
            assert!(Extension::parse(wrong).is_err(), "{wrong}");
        }
    }
}
