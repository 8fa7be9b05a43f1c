//! Seeds: one for each of many draws, so that a draw depends on the run's seed and its own number alone, whoever makes it.
//!
//! Recorded figures depend on these values: they must stay as they are.

use super::hash::fnv1a;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

/// 2⁶⁴ divided by the golden ratio: multiples of it spread evenly over all numbers.
pub const GOLDEN: u64 = 0x9e37_79b9_7f4a_7c15;
const FIRST: u64 = 0xbf58_476d_1ce4_e5b9;
const SECOND: u64 = 0x94d0_49bb_1331_11eb;

/// The seed of draw `i` of a run with `seed`.
pub fn mix(seed: u64, i: u64) -> u64 {
    let x = (seed ^ i.wrapping_mul(GOLDEN)).wrapping_mul(FIRST);
    x ^ (x >> 29)
}

/// The finaliser of SplitMix64 (Steele, Lea, Flood 2014): every bit of the result depends on every bit of `z`.
pub fn splitmix64(z: u64) -> u64 {
    let z = (z ^ (z >> 30)).wrapping_mul(FIRST);
    let z = (z ^ (z >> 27)).wrapping_mul(SECOND);
    z ^ (z >> 31)
}

/// A stream of draws for one purpose of a run: the same seed gives another stream for each `purpose`, a number that no other purpose has.
pub fn stream(seed: u64, purpose: u64) -> ChaCha8Rng {
    ChaCha8Rng::seed_from_u64(seed ^ purpose)
}

/// A stream of draws for what is called `name`: the same for the same name under the same seed.
pub fn named(seed: u64, name: &str) -> ChaCha8Rng {
    stream(seed, fnv1a(name.bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::RngCore;

    #[test]
    fn recorded_draws_keep_their_seeds() {
        assert_eq!(mix(0, 0), 0);
        assert_eq!([mix(0, 1), mix(7, 3)], [0xd674_11c2_df26_fa0e, 0x47f2_4153_44c3_1ef3]);
        // The first output of the reference SplitMix64 with seed 0.
        assert_eq!(splitmix64(GOLDEN), 0xe220_a839_7b1d_cdaf);
        let first = |mut rng: ChaCha8Rng| rng.next_u64();
        assert_eq!(first(stream(5, 9)), first(ChaCha8Rng::seed_from_u64(5 ^ 9)));
        assert_eq!(first(named(5, "w")), first(ChaCha8Rng::seed_from_u64(5 ^ fnv1a("w".bytes()))));
        assert_ne!(first(named(5, "w")), first(named(5, "v")));
    }
}
