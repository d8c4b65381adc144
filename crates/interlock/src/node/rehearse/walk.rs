//! Looking at every open parcel, a stretch a step.
//!
//! Purpose: whoever asks something else meanwhile waits for one stretch and not for a million parcels.
//! INVARIANT: agreements are those of the moment at which a walk began; each parcel is as it is when it is
//! looked at. A restart forgets walks: callers ask again, ends are looked at again. Nothing changes but that
//! a warning goes on record when its walk is over.

use std::collections::{BTreeMap, BTreeSet};

use interlock_core::ids::{MerchantId, ParticipantId, WireId};
use interlock_core::time::{ClockInterval, Timestamp};

use super::{Counts, Outcome, Page, parcel_view};
use crate::node::Node;
use crate::node::agreements::Book;
use crate::node::io::ReplyId;
use crate::node::outlook::Outlook;
use crate::node::turn::Turn;

/// Parcels that one step looks at, about ten milliseconds of work.
const PARCELS_PER_STEP: usize = 1_000;
/// Most walks under way when another rehearsal is asked for.
pub(super) const WALKS_MAX: usize = 8;

/// A warning that is about to be given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Warned {
    /// Whose agreements end.
    pub partner: ParticipantId,
    /// When.
    pub ends_at: Timestamp,
    /// So long before.
    pub lead_ms: i64,
}

/// Who wants to know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum ForWhom {
    /// Who asked at the local API.
    Caller(ReplyId),
    /// Our own systems and our merchants.
    Warning(Warned),
}

/// What the end of the agreements with one partner touches.
#[derive(Debug)]
pub(super) struct Touched {
    pub(super) partner: ParticipantId,
    pub(super) ending: BTreeSet<WireId>,
    pub(super) counts: [Counts; 3],
}

/// A partner whose parcels are being looked at.
#[derive(Debug)]
struct Now {
    touched: Touched,
    books: [Book; 3],
    /// The place of the next parcel.
    from: u64,
}

/// One look at all open parcels.
#[derive(Debug)]
pub struct Walk {
    pub(super) at: Timestamp,
    pub(super) begun_at: Timestamp,
    for_whom: ForWhom,
    /// Partners that are still to come.
    ahead: BTreeMap<ParticipantId, BTreeSet<WireId>>,
    now: Option<Now>,
    pub(super) done: Vec<Touched>,
    pub(super) page: Page,
}

impl Walk {
    /// When it began.
    pub const fn begun_at(&self) -> Timestamp {
        self.begun_at
    }
}

impl Node {
    pub(super) fn begin_walk(
        &mut self,
        turn: &mut Turn<'_>,
        at: Timestamp,
        ending: BTreeMap<ParticipantId, BTreeSet<WireId>>,
        page: Page,
        for_whom: ForWhom,
    ) {
        let walk = Walk {
            at,
            begun_at: turn.at(),
            for_whom,
            ahead: ending,
            now: None,
            done: Vec::new(),
            page,
        };
        // What is under way goes first.
        match self.live.walks.is_empty() {
            true => self.go_on(turn, walk),
            false => self.live.walks.push_back(walk),
        }
    }

    /// Looks at what an end touches that is to be warned of, unless that is being done.
    pub(in crate::node) fn look_before_warning(&mut self, turn: &mut Turn<'_>, warned: Warned) {
        let for_whom = ForWhom::Warning(warned.clone());
        if self.live.walks.iter().any(|walk| walk.for_whom == for_whom) {
            return;
        }
        let mut ending = self.ending(turn, warned.ends_at);
        ending.retain(|partner, _| *partner == warned.partner);
        let page = Page {
            after: 0,
            limit: 0,
            items: Vec::new(),
            next: 0,
            position: 0,
        };
        self.begin_walk(turn, warned.ends_at, ending, page, for_whom);
    }

    /// Looks at the next stretch of the walk that began first.
    pub(in crate::node) fn walk_on(&mut self, turn: &mut Turn<'_>) {
        if let Some(walk) = self.live.walks.pop_front() {
            self.go_on(turn, walk);
        }
    }

    fn go_on(&mut self, turn: &mut Turn<'_>, mut walk: Walk) {
        let mut left = PARCELS_PER_STEP;
        while left > 0 {
            let Some(now) = walk.now.take().or_else(|| self.next_partner(&mut walk)) else {
                return self.arrived(turn, walk);
            };
            left = left.saturating_sub(self.look_at_some(&mut walk, now, left));
        }
        self.live.walks.push_front(walk);
    }

    fn next_partner(&self, walk: &mut Walk) -> Option<Now> {
        let (partner, ending) = walk.ahead.pop_first()?;
        let books = Outcome::ALL.map(|outcome| self.book_under(outcome, walk.at, &ending));
        let touched = Touched {
            partner,
            ending,
            counts: std::array::from_fn(|_| Counts::default()),
        };
        Some(Now {
            touched,
            books,
            from: 0,
        })
    }

    /// Looks at most at `max` parcels for a partner; at how many.
    fn look_at_some(&self, walk: &mut Walk, mut now: Now, max: usize) -> usize {
        let outlooks = now.books.each_ref().map(|book| Outlook {
            state: &self.state,
            book,
            now: ClockInterval::exact(walk.at),
            has_gateway: self.config.has_gateway,
        });
        let (parcels, next) = self.state.parcels.some_open(now.from, max);
        let partner = &now.touched.partner;
        for parcel in &parcels {
            let seen = outlooks
                .each_ref()
                .map(|outlook| self.seen(outlook, partner, parcel));
            let [_, _, undisturbed] = &seen;
            let mut touched = false;
            for (counts, seen) in now.touched.counts.iter_mut().zip(&seen) {
                if seen != undisturbed {
                    touched = true;
                    counts.add(parcel, seen);
                }
            }
            if touched {
                walk.page
                    .offer(|cursor| parcel_view(cursor, partner, parcel, &seen));
            }
        }
        match next {
            Some(from) => walk.now = Some(Now { from, ..now }),
            None => walk.done.push(now.touched),
        }
        parcels.len()
    }

    /// Tells whoever wanted to know.
    fn arrived(&mut self, turn: &mut Turn<'_>, mut walk: Walk) {
        match walk.for_whom.clone() {
            ForWhom::Caller(reply) => {
                let answer = self.rehearsed(turn, &walk);
                self.reply(turn, reply, answer);
            }
            ForWhom::Warning(warned) => {
                let [nothing, ..] = match walk.done.pop() {
                    Some(touched) => touched.counts,
                    None => std::array::from_fn(|_| Counts::default()),
                };
                let merchants = nothing.by_merchant().into_iter();
                let merchants: Vec<(MerchantId, u64)> =
                    merchants.map(|(m, n)| (m.clone(), n)).collect();
                let counts = (nothing.parcels, nothing.all_recipients());
                self.give_warning(turn, warned, counts, merchants);
            }
        }
    }
}
