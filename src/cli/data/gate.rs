//! `data gate`: the domain gate of a reward model that was trained before.

use crate::cli::args::{DeviceArgs, OutputArgs};
use crate::cli::demonstrations::demonstrations;
use crate::cli::exit::{Exit, Usage};
use crate::cli::progress::Reporter;
use crate::task::Task;
use crate::train::amend_gate;
use anyhow::Result;
use clap::Args;
use std::path::PathBuf;

/// Arguments of `data gate`.
#[derive(Args, Debug)]
pub(super) struct Gate {
    /// Directory of a reward model that `train` wrote; its reward.json is written anew
    #[arg(value_name = "REWARD")]
    reward: PathBuf,
    /// Demonstrations of its task, JSON lines; those that it was trained on give the vocabulary, the others what is ordinary. Stories are made
    #[arg(value_name = "FILE")]
    files: Vec<PathBuf>,
    /// The task of the demonstrations, which says how their records read
    #[arg(long, value_name = "TASK", default_value = "gsm8k", value_parser = crate::cli::args::task(Task::ALL))]
    task: Task,
    /// How much less likely than nearly all of the held-out texts a text must be to lie outside, in nats a token: more lets text of other makes in
    #[arg(long, value_name = "NATS", default_value_t = 1.0, value_parser = crate::cli::args::number::<0>)]
    slack: f32,
    #[command(flatten)]
    device: DeviceArgs,
}

impl Gate {
    pub(super) fn run(self, messages: &OutputArgs) -> Result<Exit> {
        if !self.reward.is_dir() {
            return Err(Usage(format!("{}: is no directory; name one that `train` wrote under reward/", self.reward.display())).into());
        }
        let mut reporter = Reporter::new(messages, "texts");
        let given = demonstrations(self.task, &self.files)?;
        let gate = amend_gate(&self.reward, &given, self.slack, self.device.device)?;
        let [problem, text, vocabulary] = [gate.problem, gate.text, gate.vocabulary];
        reporter.say(&format!(
            "{}: outside is what has problems above {:.2} nats a token (median of {} held-out texts: {:.2}), texts above {:.2} ({:.2}), or less than {:.1} % known tokens ({:.1} %); false alarms {:.1} % at most",
            self.reward.display(),
            -problem.limit,
            gate.samples,
            -problem.q50,
            -text.limit,
            -text.q50,
            vocabulary.limit * 100.0,
            vocabulary.q50 * 100.0,
            gate.false_alarm_rate * 100.0,
        ));
        reporter.record(serde_json::json!({ "event": "summary", "reward": self.reward, "gate": gate }));
        Ok(Exit::Ok)
    }
}
