//! Which records are about the same problem.

use crate::format::ProblemKey;
use hashbrown::HashTable;
use std::collections::HashMap;

/// Which records become one problem.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mode {
    /// None: each stays by itself.
    Apart,
    /// Those that stand side by side: what may be used while more is still to come.
    Adjacent,
    /// All that are about it, in whichever place and file.
    Everywhere,
}

/// Problems as lists of records. Numbers of problems are stable: a record is about a problem that is there, or begins the next one.
///
/// Two records of one file are about the same problem where their own ids and their texts are equal, or, where they have no ids, their texts; two records of
/// different files also where only one of them has an id or their ids differ, as long as the text tells which problem is meant.
#[derive(Debug)]
pub(super) struct Groups {
    mode: Mode,
    /// Records that are placed.
    records: usize,
    /// What tells each problem; 0 where nothing does.
    keys: Vec<u64>,
    /// Problems by their key.
    table: HashTable<u32>,
    /// Problems by their text alone; kept where there are several files.
    texts: Option<HashMap<u64, Text>>,
    /// Records that are about a problem begun before them, ascending.
    joined: Vec<u32>,
    /// The same by problem.
    members: HashMap<u32, Vec<u32>>,
    /// The last record's key and problem.
    last: Option<(u64, u32)>,
}

/// Who has a text.
#[derive(Clone, Copy, Debug)]
struct Text {
    group: u32,
    file: usize,
    /// Several problems have it, so that it tells none.
    several: bool,
}

impl Groups {
    /// No records yet, of `files` files.
    pub fn new(mode: Mode, files: usize) -> Self {
        let texts = (mode == Mode::Everywhere && files > 1).then(HashMap::new);
        let (keys, joined, members) = (Vec::new(), Vec::new(), HashMap::new());
        Self { mode, records: 0, keys, table: HashTable::new(), texts, joined, members, last: None }
    }

    /// Number of problems.
    pub fn len(&self) -> usize {
        self.records - self.joined.len()
    }

    /// Number of records that are placed.
    pub fn records(&self) -> usize {
        self.records
    }

    /// Whether each record is a problem.
    pub fn is_apart(&self) -> bool {
        self.mode == Mode::Apart
    }

    /// So many records are there, each a problem.
    pub fn skip_to(&mut self, records: usize) {
        self.records = records;
    }

    /// Places the next record, which is in a file of this number.
    pub fn add(&mut self, key: ProblemKey, file: usize) {
        let record = self.records as u32;
        self.records += 1;
        let one = if key == ProblemKey::default() { 0 } else { (key.id.rotate_left(29) ^ key.text).max(1) };
        let found = if one == 0 { None } else { self.find(key, one, file) };
        let group = match found {
            Some(group) => {
                self.joined.push(record);
                self.members.entry(group).or_default().push(record);
                group
            }
            None => self.begin(key, one, file),
        };
        self.last = Some((one, group));
    }

    fn find(&self, key: ProblemKey, one: u64, file: usize) -> Option<u32> {
        if self.mode == Mode::Adjacent {
            return self.last.filter(|last| last.0 == one).map(|last| last.1);
        }
        let exact = self.table.find(one, |&g| self.keys[g as usize] == one).copied();
        exact.or_else(|| {
            let text = self.texts.as_ref()?.get(&key.text)?;
            (!text.several && (key.id == 0 || text.file != file)).then_some(text.group)
        })
    }

    fn begin(&mut self, key: ProblemKey, one: u64, file: usize) -> u32 {
        let group = (self.records - 1 - self.joined.len()) as u32;
        if self.mode == Mode::Everywhere {
            self.keys.push(one);
            if one != 0 {
                self.table.insert_unique(one, group, |&g| self.keys[g as usize]);
            }
            if let Some(texts) = self.texts.as_mut().filter(|_| key.text != 0) {
                texts.entry(key.text).and_modify(|t| t.several = true).or_insert(Text { group, file, several: false });
            }
        }
        group
    }

    /// The records of a problem, in order.
    pub fn of(&self, group: usize) -> impl Iterator<Item = usize> + '_ {
        let others = u32::try_from(group).ok().and_then(|g| self.members.get(&g));
        std::iter::once(self.first(group)).chain(others.into_iter().flatten().map(|&r| r as usize))
    }

    /// The record that a problem begins with: as many stand before it as there are problems before it, and records that joined one of them.
    fn first(&self, group: usize) -> usize {
        let (mut low, mut high) = (0, self.joined.len());
        while low < high {
            let middle = low.midpoint(high);
            if self.joined[middle] as usize - middle <= group { low = middle + 1 } else { high = middle }
        }
        group + low
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(id: u64, text: u64) -> ProblemKey {
        ProblemKey { id, text }
    }

    /// Places records (id, text, file); the problems as lists of records.
    fn grouped(mode: Mode, files: usize, records: &[(u64, u64, usize)]) -> Vec<Vec<usize>> {
        let mut groups = Groups::new(mode, files);
        records.iter().for_each(|&(id, text, file)| groups.add(key(id, text), file));
        assert_eq!(groups.records(), records.len());
        (0..groups.len()).map(|g| groups.of(g).collect()).collect()
    }

    #[test]
    fn records_of_one_problem_are_found_wherever_they_stand() {
        let lines = [(0, 7, 0), (0, 8, 0), (0, 7, 0), (0, 0, 0), (0, 7, 0), (0, 9, 0), (0, 0, 0), (0, 9, 0)];
        assert_eq!(grouped(Mode::Everywhere, 1, &lines), [vec![0, 2, 4], vec![1], vec![3], vec![5, 7], vec![6]]);
        assert_eq!(grouped(Mode::Adjacent, 1, &lines[..3]), [[0], [1], [2]]);
        assert_eq!(grouped(Mode::Adjacent, 1, &[(0, 7, 0), (0, 7, 0), (0, 8, 0), (0, 8, 0)]), [[0, 1], [2, 3]]);
    }

    #[test]
    fn an_id_tells_problems_of_one_text_apart_and_not_problems_of_several_texts_together() {
        assert_eq!(grouped(Mode::Everywhere, 1, &[(1, 7, 0), (2, 7, 0), (1, 8, 0), (1, 7, 0)]), [vec![0, 3], vec![1], vec![2]]);
    }

    #[test]
    fn files_agree_by_id_or_by_a_text_that_tells_one_problem() {
        // The same file twice: nothing is put together that was apart.
        let one = [(1, 7, 0), (2, 7, 0), (3, 8, 0)];
        let twice: Vec<_> = one.into_iter().chain(one.map(|(i, t, _)| (i, t, 1))).collect();
        assert_eq!(grouped(Mode::Everywhere, 2, &twice), [[0, 3], [1, 4], [2, 5]]);
        // Other ids, or none: the text, where one problem alone has it.
        assert_eq!(
            grouped(Mode::Everywhere, 2, &[(1, 7, 0), (2, 7, 0), (3, 8, 0), (9, 8, 1), (0, 8, 1), (5, 7, 1), (0, 9, 1)]),
            [vec![0], vec![1], vec![2, 3, 4], vec![5], vec![6]]
        );
    }

    #[test]
    fn a_million_lines_of_few_problems_take_no_time_that_grows_with_their_square() {
        let mut groups = Groups::new(Mode::Everywhere, 1);
        (0..1_000_000_u64).for_each(|i| groups.add(key(0, 1 + i % 3), 0));
        assert_eq!((groups.len(), groups.of(0).count(), groups.of(2).nth(1)), (3, 333_334, Some(5)));
    }
}
