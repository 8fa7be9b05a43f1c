//! `eval transfer`: every reward on every set of candidates.

use super::finish::{Made, ReportArgs};
use super::recorded::{Recorded, RecordedArgs};
use crate::cli::args::{ProtocolArgs, model};
use crate::cli::exit::Usage;
use crate::cli::interrupt::Interrupt;
use crate::cli::progress::Reporter;
use crate::eval::metrics::transfer::{Entry, section};
use crate::eval::parts::Report;
use crate::runtime::ModelRef;
use crate::trace::Reading;
use anyhow::{Result, bail};
use clap::Args;

/// Arguments of `eval transfer`.
#[derive(Args, Clone, Debug)]
pub struct Transfer {
    /// A reward model of the matrix, after those that --reward names; may be given several times
    #[arg(long = "and", value_name = "MODEL", value_parser = model, requires = "reward", help_heading = "Models")]
    more: Vec<ModelRef>,
    /// The reading that ranks candidates, for example reward.sum; the file's own reward or the reward model's calibrated one, where it is not said
    #[arg(long, value_name = "READING")]
    rank_by: Option<Reading>,
    /// Candidates to pick from; as many as every problem of a set has, where it is not said
    #[arg(short, long, value_name = "COUNT", value_parser = clap::value_parser!(u16).range(1..))]
    n: Option<u16>,
    #[command(flatten)]
    recorded: RecordedArgs,
}

impl Transfer {
    pub fn make(&self, how: &ReportArgs, reporter: &mut Reporter, interrupt: &Interrupt) -> Result<Made> {
        if self.recorded.baselines_only {
            return Err(Usage("eval transfer is about rewards; leave --baselines-only out".into()).into());
        }
        let mut scored: Vec<Recorded> = Vec::new();
        let models: Vec<ModelRef> = self.recorded.reward.iter().chain(&self.more).cloned().collect();
        for reward in self.recorded.protocol.of_each(&models)? {
            let args = RecordedArgs { reward: vec![reward], protocol: ProtocolArgs::default(), ..self.recorded.clone() };
            let recorded = args.read(reporter, interrupt)?;
            if recorded.column("rank-by", self.rank_by.as_ref(), false)?.is_none() {
                bail!("there are no rewards to transfer; name models with --reward and --and, or a file that `score` wrote");
            }
            scored.push(recorded);
        }
        let entries: Vec<Entry> = scored
            .iter()
            .flat_map(|r| {
                let rank_by = self.rank_by.as_ref();
                r.subsets().map(move |(set, traces)| Entry { reward: &r.reward, set, traces, rank_by, calibration: &r.calibration })
            })
            .collect();
        let title = format!("Transfer of {} rewards to {} sets of candidates; seed {}", scored.len(), self.recorded.files.len(), how.seed);
        let mut report = Report { title, ..Report::default() };
        section(
            &entries,
            self.recorded.rewards.aggregation,
            self.n.map(usize::from),
            how.bootstrap(entries.iter().map(|e| e.traces.len()).max().unwrap_or(0)),
        )?
        .add_to(&mut report);
        let rows = scored
            .into_iter()
            .flat_map(|r| {
                let reward = format!("{}/", r.reward);
                r.into_rows_under(&reward)
            })
            .collect();
        Ok(Made { report, rows, ..Made::default() })
    }
}
