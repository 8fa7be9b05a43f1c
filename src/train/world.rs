//! The processes that train together: `mpirun -n 4 reasonscope train RECIPE`, in builds with the feature `mpi`.
//!
//! Every process reads the same recipe, draws the same batches and holds the same weights. Micro-batches are dealt out in turn, and their gradients are
//! added up in the order of the batch, so that any number of processes makes the same update bit for bit. One process alone never waits for anybody.

use super::TrainError;
use crate::generate::{BATCH, Completion, Prompt, decode_all};
use crate::model::Decoder;
use crate::trace::Sampling;
use std::collections::BTreeSet;
use std::ops::ControlFlow;
use std::sync::{Mutex, PoisonError};

/// Named sums for the metrics.
pub type Sums = Vec<(&'static str, f64)>;

/// This process's place among those that train together.
///
/// What its methods exchange comes about only where all processes call the same ones in the same order, each on its main thread.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct World {
    rank: usize,
    size: usize,
}

/// The connection of this process to the others; dropped at the end of the run.
pub struct Session {
    #[cfg(feature = "mpi")]
    _universe: Option<mpi::environment::Universe>,
}

/// Variables by which Open MPI, Hydra (MPICH, Intel MPI) and Slurm tell a process how many there are.
const LAUNCHERS: [&str; 3] = ["OMPI_COMM_WORLD_SIZE", "PMI_SIZE", "SLURM_STEP_NUM_TASKS"];

impl Session {
    /// Joins the processes that a launcher started together with this one; alone where there is none. Fails where there are others and this build
    /// cannot speak to them: they would all write the same files.
    pub fn join() -> Result<Self, TrainError> {
        let told = LAUNCHERS.iter().filter_map(|name| std::env::var(name).ok()?.parse::<usize>().ok()).max().unwrap_or(1);
        #[cfg(feature = "mpi")]
        return Ok(Self {
            _universe: if told > 1 { mpi::initialize_with_threading(mpi::Threading::Funneled).map(|(u, _)| u) } else { None },
        });
        #[cfg(not(feature = "mpi"))]
        match told {
            0 | 1 => Ok(Self {}),
            n => Err(TrainError::Data(format!("{n} processes were started, and this build trains in one; build with --features mpi"))),
        }
    }
}

impl World {
    /// This process's place: the only one unless [`Session::join`] found others.
    pub fn here() -> Self {
        #[cfg(feature = "mpi")]
        if mpi::environment::is_initialized() && !mpi::environment::is_finalized() {
            return exchange::place();
        }
        Self { rank: 0, size: 1 }
    }

    /// Processes.
    pub fn size(self) -> usize {
        self.size
    }

    /// Index of this process, below [`World::size`].
    pub fn rank(self) -> usize {
        self.rank
    }

    /// Whether this process writes files and reports.
    pub fn is_first(self) -> bool {
        self.rank == 0
    }

    /// The items that are this process's: every `size`-th.
    pub fn share<T>(self, items: &[T]) -> Vec<&T> {
        items.iter().skip(self.rank).step_by(self.size).collect()
    }

    /// What every process has, by rank.
    pub fn gather(self, mine: Vec<u8>) -> Vec<Vec<u8>> {
        #[cfg(feature = "mpi")]
        if self.size > 1 {
            return exchange::gather(self, &mine);
        }
        vec![mine]
    }

    /// Whether `flag` is set in any process.
    pub fn any(self, flag: bool) -> bool {
        self.gather(vec![u8::from(flag)]).iter().any(|f| f == &[1])
    }

    /// `mine` where all processes have one; otherwise an error in all of them: a process's own, or that of the first which failed.
    pub fn agree<T>(self, mine: Result<T, TrainError>) -> Result<T, TrainError> {
        if self.size == 1 {
            return mine;
        }
        let message = mine.as_ref().err().map(ToString::to_string).unwrap_or_default();
        let failed = self.gather(message.into_bytes()).into_iter().enumerate().find(|(_, m)| !m.is_empty());
        match failed {
            Some((rank, message)) if mine.is_ok() => {
                Err(TrainError::Data(format!("process {rank}: {}", String::from_utf8_lossy(&message))))
            }
            _ => mine,
        }
    }

    /// Sum of one vector of `width` numbers an item, added in the items' order; `mine` has those of [`World::share`] of `items` of them.
    ///
    /// Each process adds up one stretch of the vectors and hands it to the others: with as many items as processes, the traffic of an all-reduce.
    pub fn sum_in_order(self, mine: Vec<Vec<f32>>, items: usize, width: usize) -> Vec<f32> {
        #[cfg(feature = "mpi")]
        if self.size > 1 {
            return exchange::sum_in_order(self, mine, items, width);
        }
        let _ = items;
        mine.into_iter().reduce(|a, b| add(a, &b)).unwrap_or_else(|| vec![0.0; width])
    }

    /// The sums of every item, in the items' order; `mine` has those of [`World::share`].
    pub fn sums_in_order(self, mine: &[Sums]) -> Result<Vec<Sums>, TrainError> {
        let bits: Vec<Vec<(&str, u64)>> = mine.iter().map(|s| s.iter().map(|(name, x)| (*name, x.to_bits())).collect()).collect();
        let garbled = |e: serde_json::Error| TrainError::Data(format!("the processes do not understand each other: {e}"));
        let mut all = Vec::new();
        for theirs in self.gather(serde_json::to_vec(&bits).map_err(garbled)?) {
            let theirs: Vec<Vec<(String, u64)>> = serde_json::from_slice(&theirs).map_err(garbled)?;
            all.push(theirs.into_iter().map(|s| s.into_iter().map(|(name, x)| (intern(name), f64::from_bits(x))).collect()).collect());
        }
        Ok(deal_back(all))
    }

    /// What is known of every item, in the items' order; `mine` has what is known of those of [`World::share`].
    pub fn verdicts(self, mine: &[Option<bool>]) -> Vec<Option<bool>> {
        let code = |v: &Option<bool>| v.map_or(2, u8::from);
        deal_back(self.gather(mine.iter().map(code).collect())).into_iter().map(|v| (v < 2).then_some(v == 1)).collect()
    }

    /// Ends all processes at once.
    pub fn abort(self) -> ! {
        #[cfg(feature = "mpi")]
        if self.size > 1 {
            exchange::abort();
        }
        std::process::exit(1)
    }
}

fn add(mut total: Vec<f32>, part: &[f32]) -> Vec<f32> {
    total.iter_mut().zip(part).for_each(|(t, p)| *t += p);
    total
}

/// Items in their order, from the shares by rank.
fn deal_back<T>(shares: Vec<Vec<T>>) -> Vec<T> {
    let mut shares: Vec<_> = shares.into_iter().map(Vec::into_iter).collect();
    let n = shares.iter().map(ExactSizeIterator::len).sum();
    let size = shares.len().max(1);
    (0..n).filter_map(|i| shares.get_mut(i % size)?.next()).collect()
}

/// A metric's name that another process knows; there are a few, so they stay for good.
fn intern(name: String) -> &'static str {
    static NAMES: Mutex<BTreeSet<&'static str>> = Mutex::new(BTreeSet::new());
    let mut names = NAMES.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(known) = names.get(name.as_str()) {
        return known;
    }
    let name: &'static str = name.leak();
    names.insert(name);
    name
}

/// As [`decode_all`], each process sampling its share of the batches; all get all samples. Where one stops before its end, so do all.
pub fn sample_all(
    decoder: &Decoder,
    prompts: &[Prompt],
    n: usize,
    sampling: &Sampling,
    done: &mut dyn FnMut(usize) -> ControlFlow<()>,
) -> Result<Vec<Vec<Completion>>, TrainError> {
    let world = World::here();
    if world.size == 1 || n == 0 {
        return Ok(decode_all(decoder, prompts, n, sampling, done)?);
    }
    // The batches are those of one process: which prompts are together decides the last bits of their logits.
    let batches: Vec<&[Prompt]> = prompts.chunks(BATCH).collect();
    let mine: Vec<Prompt> = world.share(&batches).into_iter().copied().flatten().cloned().collect();
    let scaled = &mut |share: usize| done((share * world.size).min(prompts.len()));
    let samples = world.agree(decode_all(decoder, &mine, n, sampling, scaled).map_err(TrainError::from))?;
    if world.any(samples.len() < mine.len()) {
        return Ok(Vec::new());
    }
    let bytes: Vec<u8> = samples.iter().flatten().flat_map(to_words).flat_map(u32::to_le_bytes).collect();
    let groups = |share: Vec<u8>| {
        let mut words = share.as_chunks::<4>().0.iter().map(|b| u32::from_le_bytes(*b)).peekable();
        let mut all = Vec::new();
        while words.peek().is_some() {
            all.push(from_words(&mut words)?);
        }
        let groups: Vec<Vec<Completion>> = all.chunks(n).map(<[_]>::to_vec).collect();
        Some(groups.chunks(BATCH).map(<[_]>::to_vec).collect::<Vec<_>>())
    };
    let shares: Option<Vec<_>> = world.gather(bytes).into_iter().map(groups).collect();
    let shares = shares.ok_or_else(|| TrainError::Data("samples of another process are damaged".into()))?;
    Ok(deal_back(shares).into_iter().flatten().collect())
}

fn to_words(c: &Completion) -> Vec<u32> {
    let mut words = vec![u32::from(c.stopped), c.ids.len() as u32, c.entropies.len() as u32];
    words.extend(&c.ids);
    words.extend(c.logprobs.iter().chain(&c.entropies).map(|x| x.to_bits()));
    words
}

fn from_words(words: &mut impl Iterator<Item = u32>) -> Option<Completion> {
    let (stopped, n, entropies) = (words.next()? == 1, words.next()? as usize, words.next()? as usize);
    let mut take = |n: usize| words.take(n).collect::<Vec<u32>>();
    let floats = |words: Vec<u32>| words.into_iter().map(f32::from_bits).collect::<Vec<f32>>();
    let c = Completion { ids: take(n), logprobs: floats(take(n)), entropies: floats(take(entropies)), stopped };
    (c.logprobs.len() == n && c.entropies.len() == entropies).then_some(c)
}

#[cfg(feature = "mpi")]
mod exchange {
    use super::{World, add};
    use mpi::datatype::PartitionMut;
    use mpi::topology::SimpleCommunicator;
    use mpi::traits::{Communicator, CommunicatorCollectives};

    pub fn place() -> World {
        let world = SimpleCommunicator::world();
        World { rank: world.rank().max(0) as usize, size: world.size().max(1) as usize }
    }

    pub fn abort() -> ! {
        SimpleCommunicator::world().abort(1)
    }

    pub fn gather(world: World, mine: &[u8]) -> Vec<Vec<u8>> {
        let all = SimpleCommunicator::world();
        let mut counts = vec![0i32; world.size];
        all.all_gather_into(&(mine.len() as i32), &mut counts[..]);
        if counts.iter().all(|n| *n == 0) {
            return vec![Vec::new(); world.size];
        }
        // An empty vector's address is 1, which Open MPI takes for MPI_IN_PLACE.
        let mine = if mine.is_empty() { &[0][..0] } else { mine };
        let starts: Vec<i32> = counts.iter().scan(0, |at, n| Some(std::mem::replace(at, *at + n))).collect();
        let mut bytes = vec![0u8; counts.iter().sum::<i32>() as usize];
        all.all_gather_varcount_into(mine, &mut PartitionMut::new(&mut bytes[..], &counts[..], &starts[..]));
        counts.iter().zip(starts).map(|(&n, at)| bytes[at as usize..(at + n) as usize].to_vec()).collect()
    }

    pub fn sum_in_order(world: World, mine: Vec<Vec<f32>>, items: usize, width: usize) -> Vec<f32> {
        let all = SimpleCommunicator::world();
        let stretch = width.div_ceil(world.size);
        let mut mine = mine.into_iter();
        let mut parts = vec![0.0; stretch * world.size];
        let mut total: Option<Vec<f32>> = None;
        for first in (0..items).step_by(world.size) {
            let mut part = mine.next().unwrap_or_default();
            part.resize(stretch * world.size, 0.0);
            all.all_to_all_into(&part[..], &mut parts[..]);
            for part in parts.chunks(stretch.max(1)).take(items - first) {
                total = Some(total.map_or_else(|| part.to_vec(), |t| add(t, part)));
            }
        }
        all.all_gather_into(&total.unwrap_or_else(|| vec![0.0; stretch])[..], &mut parts[..]);
        parts.truncate(width);
        parts
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_are_dealt_out_and_back() {
        let items: Vec<usize> = (0..7).collect();
        let shares: Vec<Vec<usize>> = (0..3).map(|rank| World { rank, size: 3 }.share(&items).into_iter().copied().collect()).collect();
        assert_eq!(shares, [vec![0, 3, 6], vec![1, 4], vec![2, 5]]);
        assert_eq!(deal_back(shares), items);
        assert!(deal_back(vec![Vec::<u8>::new(); 2]).is_empty());
    }

    #[test]
    fn samples_survive_the_way() {
        let all = [
            Completion { ids: vec![4, 1], logprobs: vec![-0.1, f32::MIN_POSITIVE], entropies: vec![0.5, 0.0], stopped: true },
            Completion { ids: vec![9], logprobs: vec![-3.0], entropies: vec![], stopped: false },
            Completion::default(),
        ];
        let mut words = all.iter().flat_map(to_words);
        for c in &all {
            assert_eq!(from_words(&mut words).as_ref(), Some(c));
        }
        assert_eq!(from_words(&mut words), None);
        assert_eq!(from_words(&mut to_words(&all[0]).into_iter().take(6)), None);
    }

    #[test]
    fn one_process_alone_keeps_what_it_has() {
        let world = World::here();
        assert_eq!((world.rank(), world.size()), (0, 1));
        assert_eq!(world.gather(vec![3]), [[3]]);
        assert!(world.any(true) && !world.any(false));
        assert_eq!(world.sum_in_order(vec![vec![1.0, 2.0], vec![0.5, 0.25]], 2, 2), [1.5, 2.25]);
        let sums = vec![vec![("loss", 0.1)], vec![("loss", f64::NAN), ("tokens", 3.0)]];
        let back = world.sums_in_order(&sums).unwrap();
        assert!(back[0] == sums[0] && back[1][0].1.is_nan() && back[1][1] == ("tokens", 3.0));
        let verdicts = [Some(true), None, Some(false)];
        assert_eq!(world.verdicts(&verdicts), verdicts);
        let error = world.agree::<()>(Err(TrainError::Interrupted)).unwrap_err();
        assert!(matches!(error, TrainError::Interrupted));
    }
}
