//! Which problems a model was trained on, so that it is not judged on them.

use super::stories::{self, Split, problem_key};
use crate::trace::Trace;

/// Name of the file with a model's [`TrainingProblems`], beside its weights.
pub const TRAINING_PROBLEMS: &str = "training_problems.bin";

/// First bytes of such a file: what it is, and its version.
const MAGIC: &[u8; 8] = b"rsprobs1";

/// The problems that a model was trained on, as 64-bit keys of their words and numbers ([`problem_key`]): neither spacing nor punctuation nor the order
/// of words makes a problem new. Two of a million different problems have the same key once in some 37 million such sets.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TrainingProblems {
    /// Ascending, each once.
    keys: Vec<u64>,
}

impl TrainingProblems {
    /// The keys of these problems; texts without a word or number are passed over.
    pub fn new(problems: impl IntoIterator<Item = impl AsRef<str>>) -> Self {
        let mut keys: Vec<u64> = problems.into_iter().filter_map(|p| key(p.as_ref())).collect();
        keys.sort_unstable();
        keys.dedup();
        Self { keys }
    }

    /// Stories `0..n` of the training split under `seed`, made anew.
    pub fn stories(seed: u64, n: u64) -> Self {
        Self::new((0..n).map(|i| stories::story(Split::Train, seed, i).problem))
    }

    /// Number of problems.
    pub fn len(&self) -> usize {
        self.keys.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// Whether `problem` is among them.
    pub fn contains(&self, problem: &str) -> bool {
        key(problem).is_some_and(|key| self.keys.binary_search(&key).is_ok())
    }

    /// Takes another's problems in.
    pub fn extend(&mut self, other: &Self) {
        self.keys.extend(&other.keys);
        self.keys.sort_unstable();
        self.keys.dedup();
    }

    /// The ids of the traces whose problems are among them, in the order of the traces.
    pub fn overlap<'a>(&self, traces: impl IntoIterator<Item = &'a Trace>) -> Vec<String> {
        traces.into_iter().filter(|t| self.contains(&t.problem)).map(|t| t.id.clone()).collect()
    }

    /// The content of a [`TRAINING_PROBLEMS`] file: eight bytes that say so, then the keys, ascending, little-endian.
    pub fn to_bytes(&self) -> Vec<u8> {
        MAGIC.iter().copied().chain(self.keys.iter().flat_map(|k| k.to_le_bytes())).collect()
    }

    /// Reads what [`to_bytes`](Self::to_bytes) wrote; the error says what is wrong with it.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, String> {
        let rest = bytes.strip_prefix(MAGIC).ok_or("it is no list of training problems of this version")?;
        let (words, tail) = rest.as_chunks::<8>();
        let keys: Vec<u64> = words.iter().map(|w| u64::from_le_bytes(*w)).collect();
        if !tail.is_empty() || !keys.is_sorted_by(|a, b| a < b) {
            return Err("it is cut off or damaged".into());
        }
        Ok(Self { keys })
    }
}

/// `None` for a text without a word or number, which names no problem.
fn key(problem: &str) -> Option<u64> {
    problem.contains(char::is_alphanumeric).then(|| problem_key(problem))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn trace(id: &str, problem: &str) -> Trace {
        Trace { id: id.into(), problem: problem.into(), ..Trace::default() }
    }

    #[test]
    fn overlaps_are_found_whatever_the_layout() {
        let seen = TrainingProblems::new(["Tom has 3 apples.\nHow many?", "What is $\\$1.24$?", "Tom has 3 apples. How many?", " "]);
        assert_eq!(seen.len(), 2);
        let traces = [
            trace("a", "tom has  3 apples — how many"),
            trace("b", "Tom has 4 apples. How many?"),
            trace("c", "What is $1.24?"),
            trace("d", ""),
        ];
        assert_eq!(seen.overlap(&traces), ["a", "c"]);
        assert!(TrainingProblems::default().overlap(&traces).is_empty());
    }

    #[test]
    fn a_file_says_the_same_when_read_again() {
        let seen = TrainingProblems::new((0..1000).map(|i| format!("problem {i}")));
        let bytes = seen.to_bytes();
        assert_eq!((bytes.len(), seen.len()), (8 + 8 * 1000, 1000));
        assert_eq!(TrainingProblems::from_bytes(&bytes), Ok(seen.clone()));
        assert!(TrainingProblems::from_bytes(&bytes[..20]).unwrap_err().contains("cut off"));
        assert!(TrainingProblems::from_bytes(b"other").unwrap_err().contains("no list"));
        let swapped = [&bytes[..8], &bytes[16..24], &bytes[8..16]].concat();
        assert!(TrainingProblems::from_bytes(&swapped).is_err());
        let mut more = TrainingProblems::new(["problem 3", "problem 1000"]);
        more.extend(&seen);
        assert_eq!(more.len(), 1001);
    }

    #[test]
    fn stories_that_are_tested_are_never_trained_on() {
        let seen = TrainingProblems::stories(7, 300);
        let of = |split| (0..200).map(move |i| trace("t", &stories::story(split, 7, i).problem)).collect::<Vec<_>>();
        assert_eq!(seen.overlap(&of(Split::Train)).len(), 200);
        assert!(seen.overlap(&of(Split::InDistribution)).is_empty() && seen.overlap(&of(Split::Validation)).is_empty());
    }
}
