//! The reward model on labels.

use super::adversarial::discriminator;
use super::context::{Results, Run, Stage, missing};
use super::rollouts::sampling;
use crate::run::stage;
use crate::trace::{Candidate, Span, Trace};
use crate::train::TrainError;
use crate::train::digest::{Digest, StageInputs};
use crate::train::learn::discriminator::LabelBatches;
use crate::train::learn::labels::{groups, monte_carlo, step_labels};
use crate::train::optim::AdamW;
use crate::train::progress::SamplingProgress;
use crate::train::recipe::{LabelConfig, LabelKind, RewardConfig};
use crate::train::resume::restore;

/// The problem, and of every candidate the text, the spans and labels of its steps, and its verdict.
type Learned<'a> = (&'a str, Vec<(&'a str, Vec<(Span, Option<bool>)>, Option<bool>)>);

/// Everything of labelled traces that training reads.
pub fn learned(traces: &[Trace]) -> Vec<Learned<'_>> {
    let steps = |c: &Candidate| c.steps.iter().map(|s| s.span).zip(step_labels(c)).collect();
    traces.iter().map(|t| (t.problem.as_str(), t.candidates.iter().map(|c| (c.text.as_str(), steps(c), c.correct)).collect())).collect()
}

/// Steps marked right or wrong, candidates marked right or wrong, or steps that the policy's own completions label.
pub struct Labels<'a> {
    /// The reward model.
    pub reward: &'a RewardConfig,
    /// Its labels.
    pub labels: &'a LabelConfig,
}

impl Stage for Labels<'_> {
    fn name(&self) -> &'static str {
        stage::LABELS
    }

    fn inputs(&self, run: &Run, results: &Results) -> Result<StageInputs, TrainError> {
        let (reward, traces) = (&results.reward()?.digest, &run.inputs.labels);
        StageInputs::new(self.name(), &(reward.earlier(), self.labels, traces))?
            .stage("reward", reward)
            .section("labels", self.labels)?
            .value("traces", &learned(traces))
    }

    fn run(&self, run: &mut Run, results: &mut Results, digest: Digest) -> Result<(), TrainError> {
        let (reward, labels) = (self.reward, self.labels);
        let mut model = results.reward.take().ok_or_else(|| missing("reward model"))?;
        let policy = &results.policy()?.net;
        let stage = run.resumable(self.name(), labels.steps, &digest);
        let (optimiser, done) = restore(&stage, AdamW::new(labels.optim.clone(), model.vars(reward)))?;
        if !done {
            let discriminator = discriminator(run.data, reward, &model.net, policy);
            let groups = match labels.kind {
                LabelKind::MonteCarlo => {
                    let rollouts = &results.pool()?.rollouts;
                    let some = &rollouts[..labels.rollouts.min(rollouts.len())];
                    let mut watch = SamplingProgress { progress: run.progress, stage: stage::MONTE_CARLO, of: 0, failed: None };
                    monte_carlo(policy, run.data, some, (labels.completions, &sampling(reward)), &mut |done, of| {
                        watch.of = of;
                        watch.heard(done)
                    })?
                }
                kind => groups(kind, &run.inputs.labels, &discriminator)?,
            };
            let batches =
                LabelBatches { groups: &groups, pairs: labels.kind == LabelKind::Pairs, size: labels.batch_size, rehearse: false };
            discriminator.train_on_labels(&stage, optimiser, &batches, run.progress)?;
        }
        model.digest = digest;
        results.reward = Some(model);
        Ok(())
    }
}
