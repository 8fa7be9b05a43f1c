//! The adversarial half: batches of experts, policy samples and corrupted experts, and the updates of a reward model on them.

use crate::model::Decoder;
use crate::reward::{RewardNet, Sequence, score};
use crate::trace::{Granularity, segments};
use crate::train::TrainError;
use crate::train::data::Demonstrations;
use crate::train::losses::likelihood;
use crate::train::losses::objective::{Group, Labelled, Loss, Objective, Totals, loss};
use crate::train::optim::AdamW;
use crate::train::parallel::accumulate;
use crate::train::progress::Progress;
use crate::train::recipe::AdversarialConfig;
use crate::train::resume::{Resumable, drive};
use crate::train::rollout::{Pool, Rollout};
use crate::train::state::{State, Values};
use crate::util::seed;
use rand::seq::SliceRandom;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::ops::Range;

/// Sequences of one micro-batch, about.
const MICRO: usize = 8;

/// Updates between two looks at shuffled text.
const SHUFFLE_EVERY: usize = 10;

/// The box that `wgan` keeps the head's weights in.
const BOX: f32 = 0.1;

/// A reward model in training, and what it is trained by.
pub struct Discriminator<'a> {
    /// The network.
    pub net: &'a RewardNet,
    /// Objective.
    pub objective: Objective,
    /// Which tokens are supervised.
    pub granularity: Granularity,
    /// Everything else.
    pub config: &'a AdversarialConfig,
    /// Demonstrations.
    pub data: &'a Demonstrations,
    /// Other demonstrations that half of the experts come from, so that what was learned before is not forgotten.
    pub rehearsal: Option<&'a Demonstrations>,
    /// The policy, whose log-probabilities `airl` and `maxent` ask for.
    pub policy: &'a Decoder,
}

impl Discriminator<'_> {
    fn loss(&self) -> Loss {
        let c = self.config;
        Loss { objective: self.objective, smoothing: c.label_smoothing, lm_weight: c.lm_weight, regularisation: c.regularisation }
    }

    fn compares_groups(&self) -> bool {
        matches!(self.objective, Objective::Bt | Objective::Maxent)
    }

    /// A sequence with the segments that end in `counted` completion tokens, cut as the granularity says.
    pub fn labelled(&self, sequence: Sequence, expert: bool, counted: Range<usize>) -> Labelled {
        let n = sequence.completion().len();
        let scales = self.net.kind() == crate::reward::Head::Scales;
        let (ends, paragraphs) = match self.granularity == Granularity::Step || scales {
            true => self.data.encoding().step_ends(sequence.completion()),
            false => (Vec::new(), Vec::new()),
        };
        let cut = |granularity, n: usize, ends: &[usize]| -> Vec<Range<usize>> {
            segments(granularity, n, ends).into_iter().filter(|r| counted.contains(&(r.end - 1))).collect()
        };
        // Positions that hold for a text of any length are cut where the counted part ends; an end is an end.
        let own = match self.granularity {
            Granularity::Dense | Granularity::Interval(_) => cut(self.granularity, counted.end.min(n), &[]),
            Granularity::Step => cut(Granularity::Step, n, &ends),
            Granularity::Sparse => segments(Granularity::Sparse, n, &[]),
        };
        let wider = match scales {
            true => [cut(Granularity::Step, n, &paragraphs), segments(Granularity::Sparse, n, &[])],
            false => [Vec::new(), Vec::new()],
        };
        Labelled { sequence, expert, segments: own, wider, lm: false, log_policy: Vec::new() }
    }

    fn whole(&self, sequence: Sequence, expert: bool) -> Labelled {
        let n = sequence.completion().len();
        Labelled { lm: expert, ..self.labelled(sequence, expert, 0..n) }
    }

    /// The demonstrations whose policy samples an objective can use.
    pub fn pool<'p>(&self, rollouts: impl IntoIterator<Item = &'p Rollout>) -> Pool<'p> {
        let demonstrated = self.data.len() as u64;
        Pool::new(rollouts, |problem| !self.compares_groups() || problem < demonstrated)
    }

    /// The batch of one update: problems with an expert and policy samples each, and corrupted experts each with its twin under the same mask.
    pub fn batch(&self, seed: u64, pool: &Pool) -> Result<Vec<Group>, TrainError> {
        let (c, data) = (self.config, self.data);
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let mut out: Vec<Group> = Vec::new();
        for i in 0..c.prompts {
            let random = |data: &Demonstrations, rng: &mut ChaCha8Rng| data.expert(rng.random_range(0..data.len() as u64));
            if self.objective == Objective::Iq || pool.is_empty() {
                out.extend(random(data, &mut rng).map(|e| vec![self.whole(e, true)]));
                continue;
            }
            let samples = pool.with_others(rng.random_range(0..pool.len()), c.samples_per_prompt);
            let rehearsed = self.rehearsal.filter(|_| i % 2 == 1);
            let expert = match (samples.first(), rehearsed) {
                (Some(r), None) => data.expert(r.problem).or_else(|| random(data, &mut rng)),
                (_, Some(old)) => random(old, &mut rng),
                (None, None) => None,
            };
            let mut group: Group = expert.into_iter().map(|e| self.whole(e, true)).collect();
            for r in samples {
                let agrees = c.answer_agreement && r.correct == Some(true) && !self.compares_groups();
                let log_policy = r.logprobs.clone();
                group.push(Labelled { log_policy, lm: false, ..self.whole(r.sequence(data), agrees) });
            }
            out.push(group);
        }
        let (mut pairs, mut tries) = (0, 0);
        while pairs < c.corrupted && tries < 20 * c.corrupted && self.objective != Objective::Iq {
            tries += 1;
            let problem = rng.random_range(0..data.len() as u64);
            if let Some((bad, good, from)) = data.corrupted(problem, &mut rng) {
                // The same positions on both sides, or where a token stands would tell who wrote it.
                let from = if c.from_first_error { from } else { 0 };
                let counted = from..bad.completion().len().min(good.completion().len());
                let good = Labelled { lm: true, ..self.labelled(good, true, counted.clone()) };
                out.push(vec![good, self.labelled(bad, false, counted)]);
                pairs += 1;
            }
        }
        if matches!(self.objective, Objective::Airl | Objective::Maxent) {
            let missing = |l: &&mut Labelled| l.log_policy.is_empty();
            let mut open: Vec<&mut Labelled> = out.iter_mut().flatten().filter(missing).collect();
            let sequences: Vec<&Sequence> = open.iter().map(|l| &l.sequence).collect();
            let known = likelihood::log_probs_of(self.policy, &sequences)?;
            open.iter_mut().zip(known).for_each(|(l, p)| l.log_policy = p);
        }
        Ok(out)
    }

    /// One update against policy samples; the metrics of it.
    pub fn update(&self, seed: u64, pool: &Pool, optimiser: &mut AdamW, steps: usize) -> Result<Values, TrainError> {
        let batch = self.batch(seed, pool)?;
        let mut values = self.update_on(&batch, &self.loss(), optimiser, steps)?;
        if optimiser.step % SHUFFLE_EVERY == 1 {
            values.extend(self.shuffled(seed, &batch)?.map(|x| ("disc_acc_shuffled", x)));
        }
        Ok(values)
    }

    /// One update on a batch.
    fn update_on(&self, batch: &[Group], config: &Loss, optimiser: &mut AdamW, steps: usize) -> Result<Values, TrainError> {
        let totals = Totals::of(batch);
        let micro = packed(batch);
        let (grads, sums) = accumulate(&micro, optimiser.vars(), |groups| loss(self.net, groups, &totals, config))?;
        let norm = optimiser.update(&grads, steps)?;
        if self.objective == Objective::Wgan {
            for (_, var) in optimiser.vars().iter().filter(|v| v.0.starts_with("reward.weight")) {
                var.set(&var.clamp(-BOX, BOX)?)?;
            }
        }
        let get = |name| sums.iter().find(|s| s.0 == name).map_or(0.0, |s| s.1);
        let [gen_, expert] = match config.objective {
            Objective::Bt => [totals.pairs; 2],
            _ => totals.segments,
        }
        .map(|n| n.max(1) as f64);
        let mut values = vec![
            ("disc_loss", get("disc_loss")),
            ("lm_loss", get("lm_loss")),
            ("disc_acc_expert", get("right_expert") / expert),
            ("disc_acc_gen", get("right_gen") / gen_),
            ("logit_expert", get("sum_expert") / expert),
            ("logit_gen", get("sum_gen") / gen_),
            ("labels", totals.segments.iter().sum::<usize>() as f64),
            ("grad_norm", norm),
            ("num_tokens", get("read")),
        ];
        if self.objective == Objective::Maxent {
            values.push(("ess", get("ess") / totals.groups.max(1) as f64));
        }
        Ok(values)
    }

    /// How often an expert's mean reward beats a policy sample's when the words of both stand in random order, lines and ends in their places: ½ where
    /// only content tells them apart. `None` without a pair.
    fn shuffled(&self, seed: u64, batch: &[Group]) -> Result<Option<f64>, TrainError> {
        let mut rng = seed::stream(seed, 0x7368_7566);
        let text = |id: u32| self.data.encoding().tokenizer.decode(&[id]);
        let mut sides: [Vec<Sequence>; 2] = Default::default();
        for l in batch.iter().filter(|g| g.iter().any(|l| l.expert) && g.iter().any(|l| !l.expert)).take(MICRO).flatten() {
            let mut s = l.sequence.clone();
            let movable: Vec<usize> = (s.start..s.ids.len().saturating_sub(1)).filter(|&i| !text(s.ids[i]).contains('\n')).collect();
            let mut ids: Vec<u32> = movable.iter().map(|&i| s.ids[i]).collect();
            ids.shuffle(&mut rng);
            movable.iter().zip(ids).for_each(|(&i, id)| s.ids[i] = id);
            sides[usize::from(l.expert)].push(s);
        }
        let mean = |s: &[Sequence]| -> Result<Vec<f32>, TrainError> {
            let scores = score(self.net, s)?;
            Ok(scores.iter().map(|t| t.logits.iter().sum::<f32>() / t.logits.len().max(1) as f32).collect())
        };
        let [others, experts] = [mean(&sides[0])?, mean(&sides[1])?];
        let pairs = (others.len() * experts.len()) as f64;
        let won = experts.iter().flat_map(|e| others.iter().map(move |o| f64::from(u8::from(e > o)))).sum::<f64>();
        Ok((pairs > 0.0).then_some(won / pairs))
    }

    /// Trains the network on labelled groups, by cross-entropy or, for pairs, by Bradley–Terry.
    pub fn train_on_labels(
        &self,
        stage: &Resumable,
        optimiser: AdamW,
        batches: &LabelBatches,
        progress: &mut Progress,
    ) -> Result<(), TrainError> {
        let groups = batches.groups;
        if groups.is_empty() && stage.steps > 0 {
            return Err(TrainError::Data(
                "no labels to train on: the files hold neither labelled steps nor problems with right and wrong candidates".into(),
            ));
        }
        let objective = if batches.pairs { Objective::Bt } else { Objective::Gail };
        let config = Loss { objective, lm_weight: 0.0, ..self.loss() };
        drive(stage, &mut State::one(optimiser), progress, |step, state| {
            let mut rng = seed::stream(self.data.seed(), 0x6c61_6265_6c73 ^ ((step as u64) << 20));
            let mut batch: Vec<Group> = (0..batches.size).map(|_| groups[rng.random_range(0..groups.len())].clone()).collect();
            if batches.rehearse {
                batch.extend(self.batch(rng.random(), &self.pool([]))?);
            }
            self.update_on(&batch, &config, state.first(), stage.steps)
        })
    }

    /// Trains the network, whose variables `optimiser` holds, against a fixed pool of policy samples.
    pub fn train(&self, stage: &Resumable, optimiser: AdamW, rollouts: &[Rollout], progress: &mut Progress) -> Result<AdamW, TrainError> {
        let pool = self.pool(rollouts);
        if pool.is_empty() && stage.steps > 0 && self.objective != Objective::Iq {
            return Err(TrainError::Data(
                "there are no policy samples to train against; train the policy longer or raise max_tokens".into(),
            ));
        }
        let mut state = State::one(optimiser);
        drive(stage, &mut state, progress, |step, state| {
            let seed = self.data.seed() ^ 0x6761_696c ^ ((step as u64) << 20);
            self.update(seed, &pool, state.first(), stage.steps)
        })?;
        Ok(state.into_first())
    }
}

/// Labelled groups and how batches are drawn from them.
pub struct LabelBatches<'a> {
    /// A group a candidate for step labels, a group a problem for pairs.
    pub groups: &'a [Group],
    /// Right against wrong candidates of a problem (Bradley–Terry) rather than single labels (cross-entropy).
    pub pairs: bool,
    /// Groups a batch.
    pub size: usize,
    /// Old experts, and corrupted ones with their twins, join every batch, so that what was learned before is not forgotten.
    pub rehearse: bool,
}

/// Groups packed into micro-batches of about [`MICRO`] sequences.
fn packed(batch: &[Group]) -> Vec<Vec<&Group>> {
    let mut out: Vec<Vec<&Group>> = Vec::new();
    let mut room = 0;
    for group in batch {
        if room == 0 {
            out.push(Vec::new());
            room = MICRO;
        }
        room = room.saturating_sub(group.len());
        if let Some(last) = out.last_mut() {
            last.push(group);
        }
    }
    out
}
