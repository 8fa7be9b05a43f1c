//! What a recipe must keep to beyond its shape.

use crate::eval::grader::Grader;
use crate::model::LoraConfig;
use crate::task::Task;
use crate::task::stories::Split;
use crate::trace::Granularity;
use crate::train::TrainError;
use crate::train::losses::objective::Objective;
use crate::train::losses::preference::PreferenceKind;
use crate::train::optim::OptimConfig;
use crate::train::recipe::{HeadKind, LabelKind, Ranking, Recipe, Returns, SftConfig, Shape};

/// Smallest vocabulary that is trained on stories.
const BYTES: usize = 258;

/// A value that must be in a range; from [`f32::MIN_POSITIVE`] on is above 0.
fn within(key: &str, value: f32, low: f32, high: f32) -> Result<(), String> {
    if value >= low && value <= high {
        return Ok(());
    }
    let from = if low == f32::MIN_POSITIVE { "above 0".to_owned() } else { format!("{low} or above") };
    let range = if high.is_infinite() { format!("a number, {from}") } else { format!("{from}, and at most {high}") };
    Err(format!("{key} is {value}; it must be {range}"))
}

fn at_least_one(key: &str, value: usize) -> Result<(), String> {
    if value > 0 { Ok(()) } else { Err(format!("{key} must be at least 1")) }
}

fn shape(key: &str, s: &Shape) -> Result<(), String> {
    if s.heads == 0 || s.kv_heads == 0 || !s.hidden_size.is_multiple_of(2 * s.heads) || !s.heads.is_multiple_of(s.kv_heads) || s.layers == 0
    {
        return Err(format!("{key}: hidden_size must be a multiple of 2·heads, and heads of kv_heads; layers at least 1"));
    }
    Ok(())
}

/// A model's start: random weights of a shape, or a pretrained one with or without an adapter.
fn part(key: &str, random: Option<&Shape>, from: Option<&String>, lora: Option<&LoraConfig>) -> Result<(), String> {
    if random.is_some() && from.is_some() {
        return Err(format!("{key} has both shape and from; keep one"));
    }
    if let Some(lora) = lora {
        if from.is_none() {
            return Err(format!("{key}.lora needs {key}.from: an adapter is trained on a pretrained model"));
        }
        lora.check().map_err(|e| format!("{key}.lora: {e}"))?;
    }
    random.map_or(Ok(()), |s| shape(&format!("{key}.shape"), s))
}

fn optim(key: &str, o: &OptimConfig) -> Result<(), String> {
    if !(o.learning_rate > 0.0 && o.learning_rate.is_finite()) {
        return Err(format!("{key}.optim.learning_rate is {}; it must be a number above 0", o.learning_rate));
    }
    let shares = [("beta1", o.beta1), ("beta2", o.beta2), ("final_share", o.final_share), ("weight_decay", o.weight_decay)];
    shares.into_iter().try_for_each(|(name, x)| within(&format!("{key}.optim.{name}"), x as f32, 0.0, 1.0))
}

fn sft(key: &str, s: &SftConfig) -> Result<(), String> {
    at_least_one(&format!("{key}.batch_size"), s.batch_size)?;
    optim(key, &s.optim)
}

impl Recipe {
    /// Fails where the recipe has completions graded that only running them can, and `grader` runs none.
    pub fn check_grader(&self, grader: &Grader) -> Result<(), TrainError> {
        let task = self.data.task;
        if grader.grades(task) {
            return Ok(());
        }
        let reward = self.reward.as_ref();
        let monte_carlo = reward.and_then(|r| r.labels.as_ref()).is_some_and(|l| l.kind == LabelKind::MonteCarlo);
        let needs: Vec<&str> = [
            ("rl.verifier", self.rl.as_ref().is_some_and(|r| r.verifier != 0.0)),
            ("preference.rank = \"verifier\"", self.preference.as_ref().is_some_and(|p| p.rank == Ranking::Verifier)),
            ("reward.adversarial.answer_agreement", reward.is_some_and(|r| r.adversarial.answer_agreement)),
            ("reward.labels.kind = \"monte_carlo\"", monte_carlo),
            ("[evaluation]", self.evaluation.is_some()),
        ]
        .into_iter()
        .filter(|n| n.1)
        .map(|n| n.0)
        .collect();
        if needs.is_empty() {
            return Ok(());
        }
        Err(TrainError::Data(format!(
            "data.task is {:?}, and only running the model's programs can tell which are right, for {}; allow that with --allow-code-execution, or leave it out of the recipe",
            task.name(),
            needs.join(", ")
        )))
    }

    /// Whether completions of the lengths that are asked for fit a context.
    fn room(&self, context: usize) -> Result<(), String> {
        let asked = [
            ("rl.max_tokens", self.rl.as_ref().map(|r| r.max_tokens)),
            ("reward.adversarial.max_tokens", self.reward.as_ref().filter(|r| r.adversarial.steps > 0).map(|r| r.adversarial.max_tokens)),
            ("preference.max_tokens", self.preference.as_ref().map(|p| p.max_tokens)),
            ("evaluation.max_tokens", self.evaluation.as_ref().map(|e| e.max_tokens)),
        ];
        match asked.into_iter().find(|a| a.1.is_some_and(|n| n >= context)) {
            Some((key, Some(n))) => {
                Err(format!("policy.shape.context is {context}, and {key} is {n}; the context holds the problem and the completion"))
            }
            _ => Ok(()),
        }
    }

    /// Fails with the key, its value and what is allowed.
    pub(super) fn check(&self) -> Result<(), String> {
        if self.output.as_os_str().is_empty() {
            return Err("output is empty; name the folder of the run".into());
        }
        let (task, generated) = (self.data.task, self.data.task == Task::Stories);
        if generated != self.data.files.is_empty() {
            let what = if generated { "stories are generated and have no" } else { "demonstrations are read from" };
            return Err(format!("data.task is {:?}: {what} data.files", task.name()));
        }
        if !generated && self.policy.from.is_none() {
            return Err("data.files needs policy.from: a tokenizer is trained on stories alone".into());
        }
        at_least_one("data.demonstrations", self.data.demonstrations)?;
        if self.data.practice.is_some() {
            if !generated {
                return Err("data.practice names a split of stories; leave it out for a task whose problems are in files".into());
            }
            if self.data.problems.unwrap_or(0) <= self.data.demonstrations {
                return Err("data.practice needs problems without a demonstration; set data.problems above data.demonstrations".into());
            }
        }
        let p = &self.policy;
        part("policy", p.shape.as_ref(), p.from.as_ref(), p.lora.as_ref())?;
        if p.shape.is_none() && p.from.is_none() {
            return Err("policy has neither shape, for random weights, nor from, for a pretrained model".into());
        }
        p.sft.as_ref().map_or(Ok(()), |s| sft("policy.sft", s))?;
        if p.from.is_none() && self.data.vocab_size < BYTES {
            return Err(format!("data.vocab_size is {}; 256 bytes and 2 special tokens need {BYTES}", self.data.vocab_size));
        }
        if let Some(shape) = &p.shape {
            self.room(shape.context)?;
        }
        if let Some(e) = &self.evaluation {
            at_least_one("evaluation.problems", e.problems)?;
            at_least_one("evaluation.samples", e.samples)?;
            within("evaluation.temperature", e.temperature, 0.0, f32::INFINITY)?;
            if !generated && e.files.is_empty() {
                return Err("evaluation.files is empty; name a file of problems that are not trained on".into());
            }
            if e.split == Split::Train {
                return Err("evaluation.split is \"train\"; choose one that nothing was trained on, such as \"in_distribution\"".into());
            }
        }
        if let Some(p) = &self.preference {
            for (key, n) in [("batch_size", p.batch_size), ("problems", p.problems), ("samples", p.samples), ("max_tokens", p.max_tokens)] {
                at_least_one(&format!("preference.{key}"), n)?;
            }
            if p.loss.kind != PreferenceKind::Spin && p.samples < 2 {
                return Err(format!("preference.samples is {}; a chosen and a rejected one make 2", p.samples));
            }
            within("preference.loss.beta", p.loss.beta as f32, f32::MIN_POSITIVE, f32::INFINITY)?;
            within("preference.temperature", p.temperature, f32::MIN_POSITIVE, f32::INFINITY)?;
            optim("preference", &p.optim)?;
            if p.rank == Ranking::Reward && p.loss.kind != PreferenceKind::Spin && self.reward.is_none() {
                return Err("preference.rank is \"reward\", but the recipe has no [reward]; add one, or set it to \"verifier\"".into());
            }
        }
        if let Some(r) = &self.rl {
            for (key, n) in [("prompts", r.prompts), ("samples", r.samples), ("epochs", r.epochs), ("max_tokens", r.max_tokens)] {
                at_least_one(&format!("rl.{key}"), n)?;
            }
            // Greedy rollouts of a problem are all the same.
            for (key, x) in [("temperature", r.temperature), ("reward_clip", r.reward_clip)] {
                within(&format!("rl.{key}"), x, f32::MIN_POSITIVE, f32::INFINITY)?;
            }
            match r.returns {
                Returns::Trace => {}
                Returns::Dense { gamma } => within("rl.returns.dense.gamma", gamma, 0.0, 1.0)?,
                Returns::Tree { gamma, tau } => {
                    within("rl.returns.tree.gamma", gamma, 0.0, 1.0)?;
                    within("rl.returns.tree.tau", tau, 0.0, f32::INFINITY)?;
                }
            }
            optim("rl", &r.optim)?;
            if let Some(lora) = &r.lora {
                lora.check().map_err(|e| format!("rl.lora: {e}"))?;
                if p.lora.is_some() {
                    return Err("both policy.lora and rl.lora are set; keep policy.lora, whose adapter [rl] goes on with".into());
                }
            }
            if let Some(fleet) = &r.fleet {
                fleet.check().map_err(|e| format!("rl.fleet.{e}"))?;
                if p.lora.is_none() {
                    return Err(
                        "rl.fleet needs policy.from, the model that the servers have, and policy.lora: an adapter is what they load".into(),
                    );
                }
                if r.entropy_baseline {
                    return Err("rl.entropy_baseline needs entropies, which servers do not tell; set it to false under rl.fleet".into());
                }
            }
            if r.learned != 0.0 && self.reward.is_none() {
                return Err(
                    "rl.learned is not 0, but the recipe has no [reward]; set rl.learned = 0 and rl.verifier = 1 to train by answers"
                        .into(),
                );
            }
            if r.learned == 0.0 && r.verifier == 0.0 {
                return Err("rl.learned and rl.verifier are both 0; nothing would be rewarded".into());
            }
        }
        let Some(reward) = &self.reward else { return Ok(()) };
        part("reward", reward.shape.as_ref(), reward.from.as_ref(), reward.lora.as_ref())?;
        reward.sft.as_ref().map_or(Ok(()), |s| sft("reward.sft", s))?;
        if self.rl.as_ref().is_some_and(|r| !r.shaped) && reward.objective != Objective::Airl {
            return Err("rl.shaped is false, which leaves a potential out, but only reward.objective \"airl\" has one; leave it out".into());
        }
        if reward.objective == Objective::Implicit && (reward.lora.is_some() || self.policy.lora.is_some() && reward.shape.is_none()) {
            return Err(
                "reward.objective \"implicit\" keeps a whole reference model and is not trained as an adapter; leave lora out".into()
            );
        }
        within("reward.gamma", reward.gamma, 0.0, 1.0)?;
        within("reward.beta", reward.beta, f32::MIN_POSITIVE, f32::INFINITY)?;
        let scales = reward.head == HeadKind::Scales;
        if scales && (reward.objective != Objective::Gail || reward.granularity != Granularity::Step) {
            return Err("reward.head is \"scales\", which needs objective \"gail\" and granularity \"step\"".into());
        }
        if reward.granularity == Granularity::Interval(0) {
            return Err("reward.granularity: an interval has at least 1 token, for example { interval = 15 }".into());
        }
        let g = &reward.adversarial;
        optim("reward.adversarial", &g.optim)?;
        for (key, x, high) in [
            ("label_smoothing", g.label_smoothing, 0.999),
            ("lm_weight", g.lm_weight, f32::INFINITY),
            ("temperature", g.temperature, f32::INFINITY),
        ] {
            within(&format!("reward.adversarial.{key}"), x, 0.0, high)?;
        }
        let samples = g.samples_per_prompt + g.corrupted > 0 && g.rollout_problems > 0 && g.rollouts_per_problem > 0;
        if g.steps > 0 && (g.prompts == 0 || !samples) && reward.objective != Objective::Iq {
            return Err("reward.adversarial needs prompts, samples_per_prompt or corrupted, and rollouts to draw them from".into());
        }
        if let Some(l) = &reward.labels {
            at_least_one("reward.labels.batch_size", l.batch_size)?;
            if l.kind == LabelKind::MonteCarlo {
                at_least_one("reward.labels.rollouts", l.rollouts)?;
                at_least_one("reward.labels.completions", l.completions)?;
            }
            optim("reward.labels", &l.optim)?;
            if l.kind == LabelKind::MonteCarlo && g.steps == 0 {
                return Err(
                    "reward.labels.kind is \"monte_carlo\", which labels the fixed pool; set reward.adversarial.steps above 0".into()
                );
            }
            if l.kind != LabelKind::MonteCarlo && l.files.is_empty() {
                return Err("reward.labels.files is empty; name files of labelled traces, or set kind = \"monte_carlo\"".into());
            }
        }
        if let Some(c) = &reward.calibration {
            at_least_one("reward.calibration.problems", c.problems)?;
            at_least_one("reward.calibration.samples", c.samples)?;
            within("reward.calibration.false_alarm_rate", c.false_alarm_rate, f32::MIN_POSITIVE, 0.999)?;
        }
        within("reward.gate_slack", reward.gate_slack, 0.0, 100.0)?;
        Ok(())
    }
}
