//! Whether two names are two people.
//!
//! Purpose: where two have to agree, one person with two names must not be both. Invariants: two names are
//! two people only if neither let the other in, be it through others; who let whom in is on record and is
//! never forgotten, as the one who hands out a key or a password knows it. It does not know what the two
//! agree on.
//!
//! One administrator who lets in two others, and is both of them, is not told apart from one who lets in two
//! colleagues: it is shown beside what they agreed on ([`Node::let_in_alike`]), and people look.

use std::collections::BTreeSet;

use super::Node;
use super::io::Problem;
use super::problem::problem;
use super::record::Record;
use super::turn::Turn;

impl Node {
    /// Puts on record that `by` let `name` in: knows its key, or its first password.
    pub(super) fn let_in(&mut self, turn: &mut Turn<'_>, name: &str, by: &str) {
        let known = self.state.let_in_by.get(name);
        if name == by || known.is_some_and(|known| known.contains(by)) {
            return;
        }
        let (name, by) = (name.to_owned(), by.to_owned());
        self.record(turn, Record::LetIn { name, by });
    }

    /// Everybody who let `name` in, or let in somebody who did.
    fn behind<'a>(&'a self, name: &'a str) -> BTreeSet<&'a str> {
        let mut found = BTreeSet::new();
        let mut open = vec![name];
        while let Some(next) = open.pop() {
            let by = self.state.let_in_by.get(next).into_iter().flatten();
            open.extend(by.map(String::as_str).filter(|by| found.insert(*by)));
        }
        found
    }

    /// Whether these may be one person: the same name, or one let the other in.
    pub(super) fn may_be_one(&self, one: &str, other: &str) -> bool {
        one == other || self.behind(one).contains(other) || self.behind(other).contains(one)
    }

    /// Refuses whoever may be one with somebody who stands for the terms already.
    ///
    /// # Errors
    /// 409 `same-person` under this title.
    pub(super) fn another_person(
        &self,
        before: &[String],
        by: &str,
        title: &'static str,
    ) -> Result<(), Problem> {
        if !before.iter().any(|name| self.may_be_one(name, by)) {
            return Ok(());
        }
        let detail = format!(
            "`{by}` stands for these terms already, or let in whoever does; another person must approve them"
        );
        Err(problem("same-person", 409, title, detail))
    }

    /// Who let both in, if somebody did: whoever reads that the two agreed is told.
    pub(super) fn let_in_alike(&self, one: &str, other: &str) -> Option<String> {
        let (one, other) = (self.behind(one), self.behind(other));
        one.intersection(&other).next().map(|by| (*by).to_owned())
    }
}
