//! The list of problems: what is known of it, what of it is shown.

use crate::tui::source::{Item, Row};
use std::collections::HashMap;

/// What the models say of a problem.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Mark {
    /// The predicted first deviation.
    pub step: Option<usize>,
    /// Something marks deviations at all.
    pub judged: bool,
    /// The reward model has not learned on such text.
    pub outside: bool,
}

/// The list's data and cursor.
#[derive(Clone, Debug, Default)]
pub(crate) struct List {
    /// Problems the user wrote.
    pub own: Vec<String>,
    pub len: usize,
    pub complete: bool,
    rows: HashMap<usize, Row>,
    /// Of problems that were judged: what is predicted of the candidate that the label is of, or of the first one.
    pub marks: HashMap<Item, Mark>,
    /// Indices the filter lets through; `None`: all.
    pub matches: Option<Vec<usize>>,
    pub filtering: bool,
    /// Position of the cursor.
    pub at: usize,
    /// Position of the first visible row.
    pub top: usize,
    /// Rows on screen.
    pub page: usize,
}

/// Rows kept at most; they are read again when they come back into view.
const KEPT: usize = 20_000;

impl List {
    /// Number of entries listed.
    pub fn count(&self) -> usize {
        self.own.len() + self.matches.as_ref().map_or(self.len, Vec::len)
    }

    /// The entry at a position; the user's own come first, latest on top.
    pub fn item(&self, position: usize) -> Option<Item> {
        if position < self.own.len() {
            return Some(Item::Own(self.own.len() - 1 - position));
        }
        let position = position - self.own.len();
        match &self.matches {
            Some(matches) => matches.get(position).map(|&i| Item::Recorded(i)),
            None => (position < self.len).then_some(Item::Recorded(position)),
        }
    }

    /// Where an entry is listed.
    pub fn position(&self, item: Item) -> Option<usize> {
        match item {
            Item::Own(i) => (i < self.own.len()).then(|| self.own.len() - 1 - i),
            Item::Recorded(i) => match &self.matches {
                Some(matches) => matches.binary_search(&i).ok().map(|p| p + self.own.len()),
                None => (i < self.len).then_some(i + self.own.len()),
            },
        }
    }

    pub fn row(&self, index: usize) -> Option<&Row> {
        self.rows.get(&index)
    }

    pub fn add_rows(&mut self, rows: Vec<(usize, Row)>) {
        if self.rows.len() > KEPT {
            self.rows.clear();
        }
        self.rows.extend(rows);
    }

    /// Moves the cursor, keeping it inside the list.
    pub fn go(&mut self, to: usize) {
        self.at = to.min(self.count().saturating_sub(1));
    }

    /// Brings the cursor into view.
    pub fn reveal(&mut self, page: usize) {
        self.page = page;
        self.go(self.at);
        let margin = (page / 4).min(3);
        if self.at < self.top + margin {
            self.top = self.at.saturating_sub(margin);
        }
        if page > 0 && self.at + margin >= self.top + page {
            self.top = self.at + margin + 1 - page;
        }
        self.top = self.top.min(self.count().saturating_sub(page));
    }

    /// Indices of the source on screen that are not read yet, with a page more on both sides.
    pub fn missing(&self) -> Vec<usize> {
        let start = self.top.saturating_sub(self.page);
        let end = (self.top + 2 * self.page).min(self.count());
        let on_screen = |i: &usize| !self.rows.contains_key(i);
        let index = |p| match self.item(p) {
            Some(Item::Recorded(i)) => Some(i),
            _ => None,
        };
        let visible = (self.top..(self.top + self.page).min(end)).filter_map(index).any(|i| on_screen(&i));
        if visible { (start..end).filter_map(index).filter(on_screen).collect() } else { Vec::new() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn own_problems_come_first_and_the_filter_keeps_places() {
        let mut list = List { len: 100, own: vec!["a".into(), "b".into()], ..List::default() };
        assert_eq!((list.item(0), list.item(1), list.item(2)), (Some(Item::Own(1)), Some(Item::Own(0)), Some(Item::Recorded(0))));
        list.matches = Some(vec![7, 30]);
        assert_eq!((list.count(), list.item(3), list.item(4)), (4, Some(Item::Recorded(30)), None));
        assert_eq!((list.position(Item::Recorded(30)), list.position(Item::Recorded(8))), (Some(3), None));
    }

    #[test]
    fn the_cursor_stays_in_view() {
        let mut list = List { len: 100, ..List::default() };
        for (to, page) in [(50, 10), (99, 10), (0, 10), (20, 1), (5, 0)] {
            list.go(to);
            list.reveal(page);
            assert!(page == 0 || (list.top..list.top + page).contains(&list.at), "{to} of {page}: top {}", list.top);
        }
    }
}
