//! One spelling for every name: `consumerPid`, `dspace:consumerPid` and the full IRI are one.
//!
//! INVARIANT: two names have one spelling exactly if the fixed contexts of DSP 2025-1 expand them to
//! one IRI. Prefixes mean what those contexts say; a document's own context changes nothing here.

use std::borrow::Cow;

/// A vocabulary of the protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Vocabulary {
    /// The protocol's own words.
    Dspace,
    /// ODRL 2.2.
    Odrl,
    /// DCAT.
    Dcat,
    /// Dublin Core terms.
    Dct,
}

impl Vocabulary {
    const ALL: [Self; 4] = [Self::Dspace, Self::Odrl, Self::Dcat, Self::Dct];

    /// The prefix, colon included.
    const fn prefix(self) -> &'static str {
        match self {
            Self::Dspace => "dspace:",
            Self::Odrl => "odrl:",
            Self::Dcat => "dcat:",
            Self::Dct => "dct:",
        }
    }

    const fn iri(self) -> &'static str {
        match self {
            Self::Dspace => "https://w3id.org/dspace/2025/1/",
            Self::Odrl => "http://www.w3.org/ns/odrl/2/",
            Self::Dcat => "http://www.w3.org/ns/dcat#",
            Self::Dct => "http://purl.org/dc/terms/",
        }
    }

    /// The properties that the fixed contexts know by their bare names.
    const fn bare(self) -> &'static [&'static str] {
        match self {
            Self::Dspace => &[
                "agreement",
                "agreementId",
                "callbackAddress",
                "code",
                "consumerPid",
                "dataAddress",
                "endpoint",
                "endpointProperties",
                "endpointType",
                "eventType",
                "filter",
                "name",
                "offer",
                "participantId",
                "providerPid",
                "reason",
                "state",
                "timestamp",
                "value",
            ],
            Self::Odrl => &[
                "action",
                "and",
                "andSequence",
                "assignee",
                "assigner",
                "constraint",
                "duty",
                "hasPolicy",
                "leftOperand",
                "obligation",
                "operator",
                "or",
                "permission",
                "profile",
                "prohibition",
                "rightOperand",
                "target",
                "xone",
            ],
            Self::Dcat => &[
                "accessService",
                "catalog",
                "dataset",
                "distribution",
                "endpointDescription",
                "endpointURL",
                "service",
            ],
            Self::Dct => &["format"],
        }
    }

    /// What follows the prefix or IRI of this vocabulary in `name`.
    fn local(self, name: &str) -> Option<&str> {
        name.strip_prefix(self.iri())
            .or_else(|| name.strip_prefix(self.prefix()))
    }

    /// `word` without the prefix or IRI of this vocabulary, if it has one.
    pub(super) fn strip(self, word: &str) -> &str {
        self.local(word).unwrap_or(word)
    }

    /// `word` with the prefix instead of the IRI.
    pub(super) fn abbreviate(self, word: &str) -> Cow<'_, str> {
        match word.strip_prefix(self.iri()) {
            Some(local) => Cow::Owned(format!("{}{local}", self.prefix())),
            None => Cow::Borrowed(word),
        }
    }
}

/// The one spelling of the property `name`: bare where the fixed contexts know it so, else with its
/// prefix, else as it came.
pub(super) fn property(name: &str) -> Cow<'_, str> {
    for vocabulary in Vocabulary::ALL {
        if let Some(local) = vocabulary.local(name) {
            return if vocabulary.bare().contains(&local) {
                Cow::Borrowed(local)
            } else {
                vocabulary.abbreviate(name)
            };
        }
    }
    Cow::Borrowed(name)
}

/// The one spelling of a type: bare for every vocabulary.
pub(super) fn class(name: &str) -> &str {
    Vocabulary::ALL
        .into_iter()
        .find_map(|vocabulary| vocabulary.local(name))
        .unwrap_or(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spellings_of_one_iri_are_one() {
        for (name, one) in [
            ("consumerPid", "consumerPid"),
            ("dspace:consumerPid", "consumerPid"),
            ("https://w3id.org/dspace/2025/1/consumerPid", "consumerPid"),
            ("http://www.w3.org/ns/odrl/2/permission", "permission"),
            ("http://purl.org/dc/terms/title", "dct:title"),
            ("dct:title", "dct:title"),
            ("dct:format", "format"),
        ] {
            assert_eq!(property(name), one);
        }
    }

    #[test]
    fn names_of_other_vocabularies_stay_apart() {
        for name in [
            "odrl:consumerPid",
            "dspace:permission",
            "il:field",
            "title",
            "@id",
        ] {
            assert_eq!(property(name), name);
        }
    }
}
