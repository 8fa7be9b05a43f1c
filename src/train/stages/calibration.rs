//! The thresholds of the reward model, and the directory that it is kept in.

use super::context::{Results, Run, Stage};
use super::rollouts::sampling;
use crate::generate::{Completion, Prompt};
use crate::model::{Decoder, TextTokenizer};
use crate::reward::{Group, REFERENCE, RewardCard, RewardNet, SLACK, Sequence, calibrate, calibrated_readings, score};
use crate::run::{RunFolder, stage};
use crate::task::stories::{Split, story};
use crate::task::{Demonstration, Task, TrainingProblems};
use crate::trace::{Calibration, Candidate, REWARD, Reading};
use crate::train::TrainError;
use crate::train::digest::{Digest, StageInputs};
use crate::train::models::package::{Frozen, write_json};
use crate::train::models::{gate, training_problems};
use crate::train::recipe::RewardConfig;
use crate::util::seed::mix;

/// Whether the calibration of a run's reward model came to nothing.
pub fn lacks_threshold(folder: &RunFolder) -> bool {
    let card = std::fs::read(folder.reward().join(RewardCard::FILE)).ok().and_then(|b| serde_json::from_slice::<RewardCard>(&b).ok());
    card.is_some_and(|c| c.calibration.threshold(&c.calibration.reading).is_none())
}

/// The reward model is given thresholds from samples of the policy, and written.
pub struct Calibrate<'a> {
    /// The reward model.
    pub reward: &'a RewardConfig,
}

impl Stage for Calibrate<'_> {
    fn name(&self) -> &'static str {
        stage::CALIBRATION
    }

    fn inputs(&self, run: &Run, results: &Results) -> Result<StageInputs, TrainError> {
        let (policy, reward, g) = (&results.policy()?.digest, &results.reward()?.digest, &self.reward.adversarial);
        let inputs = StageInputs::new(self.name(), &())?
            .stage("policy", policy)
            .stage("reward", reward)
            .value("seed", &run.recipe.seed)?
            .value("sampling", &(g.temperature, g.max_tokens))?
            .optional("calibration", &self.reward.calibration)?;
        // As by default it takes no part: earlier versions knew no other.
        if self.reward.gate_slack == SLACK { Ok(inputs) } else { inputs.value("gate_slack", &self.reward.gate_slack) }
    }

    fn run(&self, run: &mut Run, results: &mut Results, _: Digest) -> Result<(), TrainError> {
        let (model, recipe) = (results.reward()?, run.recipe);
        let calibration = self.calibration(run, &results.policy()?.net, &model.net)?;
        let mut weights = Frozen::copy(model.store.vars())?;
        let reference = model.reference.iter().flat_map(|f| &f.0);
        weights.0.extend(reference.map(|(name, t)| (format!("{REFERENCE}{name}"), t.clone())));
        let folder = run.folder.reward();
        model.backbone.package(&folder, &run.encoding.tokenizer, &weights, &["reward"])?;
        let mut card = RewardCard {
            name: format!("{} reward", recipe.data.task.name()),
            head: model.net.kind(),
            calibration,
            task: recipe.data.task.name().into(),
            split: Split::Train.name().into(),
            demonstrations: recipe.data.demonstrations + run.inputs.more.len(),
            seed: recipe.seed,
            objective: serde_json::to_value(self.reward.objective).ok().and_then(|v| v.as_str().map(str::to_owned)),
            granularity: self.reward.granularity,
            uses_answers: recipe.uses_answers(),
            gate: None,
        };
        card.gate = gate::fit(&model.net, run.encoding, &card, run.data.encoded(), &self.held_out(run), self.reward.gate_slack)?;
        training_problems::write(&folder, &self.seen(run)?)?;
        write_json(&folder.join(RewardCard::FILE), &card)
    }
}

impl Calibrate<'_> {
    fn calibration(&self, run: &mut Run, policy: &Decoder, net: &RewardNet) -> Result<Calibration, TrainError> {
        let Some(c) = &self.reward.calibration else { return Ok(Calibration::default()) };
        let seed = run.recipe.seed ^ 0x63_616c;
        let aside = self.aside(run, c.problems)?;
        let prompts = aside
            .iter()
            .zip(0..)
            .map(|(d, i)| Ok(Prompt { ids: run.encoding.prompt(&d.problem.text)?, seed: mix(seed, i) }))
            .collect::<Result<Vec<_>, TrainError>>()?;
        let samples = run.sample(self.name(), policy, &prompts, c.samples, &sampling(self.reward))?;
        let scored = score_groups(net, &run.encoding.tokenizer, &prompts, samples)?;
        let task = run.data.task();
        let group = |(mut candidates, d): (Vec<Candidate>, Demonstration)| {
            for c in &mut candidates {
                c.answer = task.judge(&d.problem, &c.text, c.is_cut()).answer;
            }
            Group { problem: d.problem.text, kind: task.kind().unwrap_or_default(), candidates, demonstration: d.solution }
        };
        let groups: Vec<Group> = scored.into_iter().zip(aside).map(group).collect();
        let (readings, chosen) = (calibrated_readings(), Reading::new(REWARD, c.statistic));
        Ok(Calibration { task: Some(task.name().into()), ..calibrate(&groups, c.false_alarm_rate, c.stand_ins, &chosen, &readings) })
    }

    /// Demonstrations that are not trained on, for the gate: as many as there are, within reason.
    fn held_out(&self, run: &Run) -> Vec<Demonstration> {
        let n = self.reward.calibration.as_ref().map_or(0, |c| c.problems).max(gate::HELD_OUT_IN_TRAINING);
        if run.data.task() == Task::Stories {
            return (0..n as u64).map(|i| Demonstration::from(&story(Split::Validation, run.recipe.seed, i))).collect();
        }
        run.inputs.demonstrations.iter().skip(run.data.problems()).take(n).cloned().collect()
    }

    /// Demonstrations that are not trained on.
    fn aside(&self, run: &Run, n: usize) -> Result<Vec<Demonstration>, TrainError> {
        if run.data.task() == Task::Stories {
            return Ok((0..n as u64).map(|i| Demonstration::from(&story(Split::Validation, run.recipe.seed, i))).collect());
        }
        let rest = &run.inputs.demonstrations[run.data.problems()..];
        match rest.get(..n) {
            Some(aside) => Ok(aside.to_vec()),
            None => Err(TrainError::Data(format!(
                "reward.calibration.problems is {n}, but data.files hold only {} demonstrations that are not trained on; lower data.demonstrations",
                rest.len()
            ))),
        }
    }

    /// The problems that the reward model was trained or calibrated on: the policy's, and what it alone was given.
    fn seen(&self, run: &Run) -> Result<TrainingProblems, TrainError> {
        let aside = self.aside(run, self.reward.calibration.as_ref().map_or(0, |c| c.problems))?;
        let more = aside.iter().chain(&run.inputs.more).map(|d| &d.problem.text);
        let labelled = run.inputs.labels.iter().chain(&run.inputs.more_labels).map(|t| &t.problem);
        let mut seen = TrainingProblems::new(more.chain(labelled));
        seen.extend(&run.seen()?);
        seen.extend(&training_problems::of_base(self.reward.from.as_ref())?);
        Ok(seen)
    }
}

/// Samples as scored candidates, a group a prompt.
fn score_groups(
    net: &RewardNet,
    tokenizer: &TextTokenizer,
    prompts: &[Prompt],
    samples: Vec<Vec<Completion>>,
) -> Result<Vec<Vec<Candidate>>, TrainError> {
    let sequences: Vec<Sequence> =
        prompts.iter().zip(&samples).flat_map(|(p, g)| g.iter().map(|c| Sequence::new(&p.ids, &c.ids))).collect();
    let mut scores = score(net, &sequences)?.into_iter();
    let mut candidate = |c: Completion| {
        let mut out = c.candidate(tokenizer);
        out.set_rewards(scores.next().unwrap_or_default().logits);
        out
    };
    Ok(samples.into_iter().map(|g| g.into_iter().map(&mut candidate).collect()).collect())
}
