//! Which problems of a collection.

use super::Collection;
use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;

/// A part of the problems, `I/N` as it is written, I from 1: the I-th of N runs of problems that lie side by side, so that the parts' outputs put one after
/// the other are the output of the whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shard {
    index: usize,
    of: usize,
}

impl Shard {
    /// Reads `I/N`.
    ///
    /// # Errors
    /// Anything but 1 ≤ I ≤ N.
    pub fn parse(text: &str) -> Result<Self, String> {
        let parts = text.split_once('/').and_then(|(i, n)| Some((i.parse::<usize>().ok()?, n.parse::<usize>().ok()?)));
        match parts {
            Some((i, n)) if i >= 1 && i <= n => Ok(Self { index: i - 1, of: n }),
            _ => Err("expected I/N with 1 ≤ I ≤ N, for example 2/8".into()),
        }
    }

    /// The problems of this part, of `len` in all.
    pub fn range(self, len: usize) -> std::ops::Range<usize> {
        len * self.index / self.of..len * (self.index + 1) / self.of
    }
}

/// The numbers of all problems in the random order in which some are drawn, the same one every time: a file's own order often means something, such as right
/// ones last. Waits until all files are read.
pub fn shuffled(collection: &Collection) -> Vec<usize> {
    collection.wait_all();
    let mut order: Vec<usize> = (0..collection.len()).collect();
    order.shuffle(&mut ChaCha8Rng::seed_from_u64(0));
    order
}

/// Numbers of the first `limit` problems with candidates in [`shuffled`] order, in the order of the files.
pub fn draw(collection: &Collection, limit: u64) -> Vec<usize> {
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    let with_candidates = |i: &usize| collection.read(*i).is_ok_and(|t| !t.candidates.is_empty());
    let mut drawn: Vec<usize> = shuffled(collection).into_iter().filter(with_candidates).take(limit).collect();
    drawn.sort_unstable();
    drawn
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shards_cover_everything_once() {
        for (len, of) in [(0, 1), (1, 3), (10, 3), (7, 7), (100, 8)] {
            let shards: Vec<_> = (1..=of).map(|i| Shard::parse(&format!("{i}/{of}")).unwrap().range(len)).collect();
            assert_eq!(shards.iter().flat_map(Clone::clone).collect::<Vec<_>>(), (0..len).collect::<Vec<_>>());
        }
        for wrong in ["0/3", "4/3", "1", "1/0", "a/b", ""] {
            assert!(Shard::parse(wrong).is_err(), "{wrong}");
        }
    }
}
