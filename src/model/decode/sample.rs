//! Drawing the next token from a distribution.

use super::Decoder;
use crate::model::ModelError;
use crate::model::compute::kernels::{exp, largest, simd};
use crate::model::compute::storage::with;
use crate::trace::Sampling;
use candle_core::{DType, Device, Tensor};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;

/// Tokens of the vocabulary whose weights are added up at a time.
const CHUNK: usize = 256;

/// Draws the tokens of one candidate.
///
/// Its random stream depends on the seed and the candidate's index alone, and every draw takes one number from it.
#[derive(Clone, Debug)]
pub struct Sampler {
    temperature: f32,
    top_p: f32,
    top_k: usize,
    min_p: f32,
    rng: ChaCha8Rng,
    /// `exp((logit − max) / T)` of every token.
    weights: Vec<f32>,
    /// What truncation leaves, likeliest first.
    kept: Vec<u32>,
}

/// A drawn token.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Drawn {
    /// Its id.
    pub id: u32,
    /// Its natural-log probability at temperature 1 before truncation, ≤ 0.
    pub logprob: f32,
    /// Entropy of the distribution at temperature 1 before truncation, in nats.
    pub entropy: f32,
}

impl Sampler {
    /// A sampler for candidate `candidate`. Errors name the field of `sampling` that is out of range.
    pub fn new(sampling: &Sampling, candidate: usize) -> Result<Self, ModelError> {
        check_sampling(sampling)?;
        let mut rng = ChaCha8Rng::seed_from_u64(sampling.seed);
        rng.set_stream(candidate as u64);
        let &Sampling { temperature, top_p, top_k, min_p, .. } = sampling;
        Ok(Self { temperature, top_p, top_k, min_p, rng, weights: Vec::new(), kept: Vec::new() })
    }

    /// Draws from `logits`, one a token of the vocabulary; −∞ excludes a token.
    ///
    /// Temperature first, then top-k, top-p over what is left, and min-p, as transformers orders them. Equal logits go to the lower id where one must
    /// give way. Linear in the vocabulary without truncation. Errors where a logit is NaN or +∞, or none is finite.
    pub fn draw(&mut self, logits: &[f32]) -> Result<Drawn, ModelError> {
        let Raw { max, best, log_sum, entropy } = read(logits)?;
        let id = if self.temperature == 0.0 {
            best
        } else {
            let scale = 1.0 / self.temperature;
            self.weights.clear();
            simd(
                #[inline(always)]
                || self.weights.extend(logits.iter().map(|l| exp((l - max) * scale))),
            );
            if self.top_k == 0 && self.top_p >= 1.0 && self.min_p <= 0.0 { self.pick_any() } else { self.pick_kept() }
        };
        Ok(Drawn { id, logprob: (logits[id as usize] - max - log_sum).min(0.0), entropy })
    }

    fn pick_any(&mut self) -> u32 {
        // By chunks first: the search for the drawn token reads one chunk, not the vocabulary.
        let mass = |chunk: &[f32]| chunk.iter().map(|&w| f64::from(w)).sum::<f64>();
        let sums: Vec<f64> = simd(
            #[inline(always)]
            || self.weights.chunks(CHUNK).map(mass).collect(),
        );
        let mut left = self.rng.random::<f64>() * sums.iter().sum::<f64>();
        let mut last = 0;
        for (chunk, sum) in self.weights.chunks(CHUNK).zip(&sums).enumerate().map(|(i, (c, s))| ((i * CHUNK, c), s)) {
            if left >= *sum {
                left -= sum;
                last = chunk.1.iter().rposition(|w| *w > 0.0).map_or(last, |i| chunk.0 + i);
                continue;
            }
            for (i, &w) in chunk.1.iter().enumerate().filter(|(_, w)| **w > 0.0) {
                left -= f64::from(w);
                last = chunk.0 + i;
                if left < 0.0 {
                    return last as u32;
                }
            }
        }
        last as u32
    }

    fn pick_kept(&mut self) -> u32 {
        let weights = &self.weights;
        let weight = |i: u32| weights[i as usize];
        let order = |a: &u32, b: &u32| weight(*b).total_cmp(&weight(*a)).then(a.cmp(b));
        let kept = &mut self.kept;
        kept.clear();
        kept.extend((0..weights.len() as u32).filter(|&i| weight(i) > 0.0));
        if self.top_k > 0 && self.top_k < kept.len() {
            kept.select_nth_unstable_by(self.top_k - 1, order);
            kept.truncate(self.top_k);
        }
        if self.top_p < 1.0 {
            let want = f64::from(self.top_p) * kept.iter().map(|&i| f64::from(weight(i))).sum::<f64>();
            // A few likely tokens usually reach the mass, so no more of the vocabulary is sorted than needed.
            let (mut sorted, mut mass, mut enough) = (0, 0.0, None);
            while enough.is_none() && sorted < kept.len() {
                let chunk = (sorted * 3).max(64).min(kept.len() - sorted);
                let rest = &mut kept[sorted..];
                if chunk < rest.len() {
                    rest.select_nth_unstable_by(chunk - 1, order);
                }
                rest[..chunk].sort_unstable_by(order);
                enough = rest[..chunk].iter().position(|&i| {
                    mass += f64::from(weight(i));
                    mass >= want
                });
                enough = enough.map(|at| sorted + at + 1);
                sorted += chunk;
            }
            kept.truncate(enough.unwrap_or(kept.len()));
        }
        // The likeliest token has weight 1.
        kept.retain(|&i| weight(i) >= self.min_p);
        let total: f64 = kept.iter().map(|&i| f64::from(weight(i))).sum();
        let mut left = self.rng.random::<f64>() * total;
        for &i in kept.iter() {
            left -= f64::from(weight(i));
            if left < 0.0 {
                return i;
            }
        }
        kept.last().copied().unwrap_or(0)
    }
}

/// Log-probability of `id` and the distribution's entropy at temperature 1, in nats, as [`Sampler::draw`] gives them.
pub fn measure(logits: &[f32], id: u32) -> Result<Drawn, ModelError> {
    let Raw { max, log_sum, entropy, .. } = read(logits)?;
    let Some(logit) = logits.get(id as usize) else {
        return Err(ModelError::Input(format!("token {id} is outside a vocabulary of {}", logits.len())));
    };
    Ok(Drawn { id, logprob: (logit - max - log_sum).min(0.0), entropy })
}

/// Logits that stand in memory at a time: so much memory is kept for the next ones, and need not be asked for anew.
const LOGITS: usize = 3 << 20;

/// [`measure`] of the tokens `targets` from the hidden states before them, `[n, hidden]`.
pub fn measure_all(decoder: &Decoder, states: &Tensor, targets: &[u32]) -> Result<Vec<Drawn>, ModelError> {
    let v = decoder.config().vocab_size;
    let rows = (LOGITS / v.max(1)).clamp(1, 256).next_multiple_of(8);
    let mut read = Vec::with_capacity(targets.len());
    for (i, targets) in targets.chunks(rows).enumerate() {
        let logits = decoder.logits(&states.narrow(0, i * rows, targets.len())?)?.to_device(&Device::Cpu)?.to_dtype(DType::F32)?;
        let drawn: Result<Vec<Drawn>, ModelError> =
            with([&logits], |[logits]| logits.par_chunks(v).zip(targets).map(|(row, &id)| measure(row, id)).collect())?;
        read.extend(drawn?);
    }
    Ok(read)
}

/// Checks the ranges of `sampling`; errors name the field and what it may be.
pub fn check_sampling(sampling: &Sampling) -> Result<(), ModelError> {
    let bad = |field: &str, value: f32, range: &str| Err(ModelError::Input(format!("{field} is {value}; it must be {range}")));
    let Sampling { temperature, top_p, min_p, .. } = *sampling;
    if !temperature.is_finite() || temperature < 0.0 {
        return bad("temperature", temperature, "a number ≥ 0 (0 is greedy)");
    }
    if !(top_p > 0.0 && top_p <= 1.0) {
        return bad("top_p", top_p, "above 0 and at most 1 (1 is off)");
    }
    if !(0.0..1.0).contains(&min_p) {
        return bad("min_p", min_p, "at least 0 and below 1 (0 is off)");
    }
    Ok(())
}

/// The distribution at temperature 1.
struct Raw {
    max: f32,
    best: u32,
    /// ln Σ exp(logit − max).
    log_sum: f32,
    entropy: f32,
}

fn read(logits: &[f32]) -> Result<Raw, ModelError> {
    let (max, bad) = simd(
        #[inline(always)]
        || {
            // NaNs, whatever their sign, and +∞.
            let mut bad = [0u32; 32];
            let (chunks, rest) = logits.as_chunks::<32>();
            for chunk in chunks {
                for (bad, l) in bad.iter_mut().zip(chunk) {
                    *bad |= u32::from(l.is_nan()) | u32::from(*l == f32::INFINITY);
                }
            }
            (largest(logits), bad != [0; 32] || rest.iter().any(|l| l.is_nan() || *l == f32::INFINITY))
        },
    );
    if bad {
        let (i, l) = logits.iter().enumerate().find(|(_, l)| l.is_nan() || **l == f32::INFINITY).unwrap_or((0, &f32::NAN));
        return Err(ModelError::NotFinite(format!(
            "the model's logit of token {i} is {l}: its weights are damaged, or the number format overflows"
        )));
    }
    // By chunks first: comparing a whole one is a few instructions.
    let chunk = logits.chunks(CHUNK).position(|chunk| {
        simd(
            #[inline(always)]
            || chunk.iter().fold(false, |found, l| found | (*l == max)),
        )
    });
    let best = chunk.and_then(|c| Some(c * CHUNK + logits[c * CHUNK..].iter().position(|l| *l == max)?));
    let Some(best) = best.filter(|_| max > f32::NEG_INFINITY) else {
        return Err(ModelError::NotFinite("the model excludes every token".into()));
    };
    // Entropy = ln Σe^d − Σ d·e^d / Σe^d, with d = logit − max; an excluded token adds nothing.
    let (sum, weighted) = simd(
        #[inline(always)]
        || {
            let (mut sum, mut weighted) = ([0.0f64; 16], [0.0f64; 16]);
            let (chunks, rest) = logits.as_chunks::<16>();
            let mut add = |l: f32, i: usize| {
                let d = (l - max).max(-200.0);
                let e = exp(d);
                sum[i] += f64::from(e);
                weighted[i] += f64::from(d * e);
            };
            for chunk in chunks {
                (0..16).for_each(|i| add(chunk[i], i));
            }
            rest.iter().enumerate().for_each(|(i, l)| add(*l, i));
            (sum.iter().sum::<f64>(), weighted.iter().sum::<f64>())
        },
    );
    Ok(Raw { max, best: best as u32, log_sum: sum.ln() as f32, entropy: (sum.ln() - weighted / sum).max(0.0) as f32 })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sampling(f: impl FnOnce(&mut Sampling)) -> Sampling {
        let mut s = Sampling { seed: 7, ..Sampling::default() };
        f(&mut s);
        s
    }

    fn counts(s: &Sampling, logits: &[f32], n: usize) -> Vec<f64> {
        let mut sampler = Sampler::new(s, 0).unwrap();
        let mut counts = vec![0.0; logits.len()];
        for _ in 0..n {
            counts[sampler.draw(logits).unwrap().id as usize] += 1.0;
        }
        counts
    }

    fn softmax(logits: &[f32], temperature: f64) -> Vec<f64> {
        let e: Vec<f64> = logits.iter().map(|&l| (f64::from(l) / temperature).exp()).collect();
        let sum: f64 = e.iter().sum();
        e.iter().map(|x| x / sum).collect()
    }

    /// Pearson's χ² over the tokens that may be drawn; anything else drawn fails at once.
    fn chi2(counts: &[f64], p: &[f64]) -> f64 {
        let n: f64 = counts.iter().sum();
        let mut sum = 0.0;
        for (&c, &p) in counts.iter().zip(p) {
            if p == 0.0 {
                assert_eq!(c, 0.0, "drew a token of probability 0");
            } else {
                sum += (c - n * p).powi(2) / (n * p);
            }
        }
        sum
    }

    const LOGITS: [f32; 6] = [1.0, 2.0, 0.0, -1.0, 2.5, f32::NEG_INFINITY];

    #[test]
    fn draws_follow_the_tempered_softmax() {
        for (t, seed) in [(1.0, 1), (0.5, 2), (2.0, 3)] {
            let s = sampling(|s| {
                s.temperature = t;
                s.seed = seed;
            });
            // 99.9 % point of χ² with 4 degrees of freedom.
            let x = chi2(&counts(&s, &LOGITS, 20_000), &softmax(&LOGITS, f64::from(t)));
            assert!(x < 18.5, "T {t}: χ² {x}");
        }
    }

    #[test]
    fn truncation_keeps_exactly_the_right_tokens_in_proportion() {
        let p = softmax(&LOGITS, 1.0);
        let only = |keep: &[usize]| {
            let sum: f64 = keep.iter().map(|&i| p[i]).sum();
            (0..6).map(|i| if keep.contains(&i) { p[i] / sum } else { 0.0 }).collect::<Vec<f64>>()
        };
        // Probabilities: 4 .515, 1 .312, 0 .115, 2 .042, 3 .016. Bounds: 99.9 % points of χ² with 1 and 2 degrees of freedom.
        let x = chi2(&counts(&sampling(|s| s.top_k = 3), &LOGITS, 10_000), &only(&[4, 1, 0]));
        assert!(x < 13.9, "top-k: {x}");
        let x = chi2(&counts(&sampling(|s| s.top_p = 0.9), &LOGITS, 10_000), &only(&[4, 1, 0]));
        assert!(x < 13.9, "top-p: {x}");
        let x = chi2(&counts(&sampling(|s| s.min_p = 0.5), &LOGITS, 10_000), &only(&[4, 1]));
        assert!(x < 10.9, "min-p: {x}");
        // Of the top three, .515/.942 = .546 does not reach .6, two of them do.
        let both = sampling(|s| {
            s.top_k = 3;
            s.top_p = 0.6;
        });
        let x = chi2(&counts(&both, &LOGITS, 10_000), &only(&[4, 1]));
        assert!(x < 10.9, "both: {x}");
        assert_eq!(counts(&sampling(|s| s.top_p = 1e-6), &LOGITS, 50)[4], 50.0);
    }

    #[test]
    fn top_p_over_a_large_vocabulary_agrees_with_sorting_it_all() {
        let logits: Vec<f32> = (0..5000u32).map(|i| ((i.wrapping_mul(2654435761) >> 8) % 1000) as f32 / 250.0).collect();
        let p = softmax(&logits, 1.0);
        let mut order: Vec<usize> = (0..p.len()).collect();
        order.sort_by(|&a, &b| p[b].total_cmp(&p[a]).then(a.cmp(&b)));
        let mut mass = 0.0;
        let n = 1 + order
            .iter()
            .position(|&i| {
                mass += p[i];
                mass >= 0.7
            })
            .unwrap();
        let mut sampler = Sampler::new(&sampling(|s| s.top_p = 0.7), 0).unwrap();
        sampler.draw(&logits).unwrap();
        // The sums are rounded differently, so the edge may be off by one.
        assert!(sampler.kept.len().abs_diff(n) <= 1, "{} and {n}", sampler.kept.len());
        assert_eq!(sampler.kept[..n - 1].iter().map(|&i| i as usize).collect::<Vec<_>>(), order[..n - 1]);
    }

    #[test]
    fn logprob_and_entropy_are_those_at_temperature_one() {
        let p = softmax(&LOGITS, 1.0);
        let entropy: f64 = p.iter().filter(|&&p| p > 0.0).map(|p| -p * p.ln()).sum();
        let mut sampler = Sampler::new(&sampling(|s| s.temperature = 3.0), 0).unwrap();
        for _ in 0..20 {
            let d = sampler.draw(&LOGITS).unwrap();
            assert!((f64::from(d.logprob) - p[d.id as usize].ln()).abs() < 1e-5);
            assert!((f64::from(d.entropy) - entropy).abs() < 1e-5);
            assert_eq!(measure(&LOGITS, d.id).unwrap(), d);
        }
        let d = Sampler::new(&sampling(|s| s.temperature = 0.0), 0).unwrap().draw(&[0.0, 5.0, 5.0]).unwrap();
        assert_eq!(d.id, 1);
    }

    #[test]
    fn a_candidates_stream_is_its_own() {
        let s = sampling(|_| {});
        let run = |candidate| {
            let mut sampler = Sampler::new(&s, candidate).unwrap();
            (0..40).map(|_| sampler.draw(&LOGITS).unwrap().id).collect::<Vec<_>>()
        };
        assert_eq!(run(3), run(3));
        assert_ne!(run(3), run(4));
    }

    #[test]
    fn numbers_that_are_not_finite_are_an_error() {
        let mut sampler = Sampler::new(&sampling(|_| {}), 0).unwrap();
        for bad in [f32::NAN, f32::INFINITY] {
            let e = sampler.draw(&[0.0, bad]).unwrap_err();
            assert!(matches!(e, ModelError::NotFinite(_)) && e.to_string().contains("token 1"), "{e}");
        }
        assert!(sampler.draw(&[]).is_err() && sampler.draw(&[f32::NEG_INFINITY; 3]).is_err());
        for (s, field) in [
            (sampling(|s| s.temperature = -1.0), "temperature"),
            (sampling(|s| s.temperature = f32::NAN), "temperature"),
            (sampling(|s| s.top_p = 0.0), "top_p"),
            (sampling(|s| s.min_p = 1.0), "min_p"),
        ] {
            assert!(Sampler::new(&s, 0).unwrap_err().to_string().contains(field));
        }
    }
}
