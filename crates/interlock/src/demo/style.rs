//! The two kinds of terms under which the same weeks are lived through.
//!
//! INVARIANT: they differ in run-off, backlog and what a new agreement covers, and in nothing else: same
//! parcels, parties, datasets, instants. It does not know what came of them.

use interlock_core::terms::{Backlog, Terms};

/// What the participants write into their agreements.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Style {
    /// With run-off, and with what arises during a cut held for the next agreement.
    Interlock,
    /// What the interfaces of 2017 did: at the end of a term everything stops at once, and what arises
    /// meanwhile reaches nobody.
    AsIn2017,
}

impl Style {
    /// For people.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Interlock => "with Interlock's terms",
            Self::AsIn2017 => "as in 2017",
        }
    }

    /// The terms in this style.
    pub fn of(self, mut terms: Terms) -> Terms {
        match self {
            Self::Interlock => {}
            Self::AsIn2017 => {
                terms.run_off_ms = None;
                terms.backlog = terms.backlog.map(|_| Backlog::Drop);
                terms.covers_from = None;
            }
        }
        terms
    }
}

#[cfg(test)]
mod tests {
    use super::super::deal::{Chapter, MIDNIGHT, flows, terms};
    use super::*;

    #[test]
    fn the_styles_differ_in_what_happens_at_the_end_and_in_nothing_else() {
        for flow in flows() {
            for chapter in [Chapter::Opening, Chapter::Truce] {
                let with = terms(flow, chapter, MIDNIGHT).unwrap();
                assert_eq!(Style::Interlock.of(with.clone()), with);
                let mut without = Style::AsIn2017.of(with.clone());
                assert_eq!((without.run_off_ms, without.covers_from), (None, None));
                assert_ne!(without.backlog, Some(Backlog::Hold));
                without.run_off_ms = with.run_off_ms;
                without.covers_from = with.covers_from;
                without.backlog = with.backlog;
                assert_eq!(without, with);
            }
        }
    }
}
