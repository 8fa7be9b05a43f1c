//! `eval search`: beam search and DVTS, guided by the reward, beside best-of-N at the same budget.

use super::finish::{Made, ReportArgs};
use super::stories::StoriesArgs;
use crate::cli::exit::Usage;
use crate::cli::progress::Reporter;
use crate::eval::search::{Strategy, report};
use crate::eval::stories::{Guided, guided};
use crate::trace::Statistic;
use anyhow::Result;
use clap::Args;
use std::ops::ControlFlow;

/// Arguments of `eval search`.
#[derive(Args, Debug)]
pub struct Search {
    /// Continuations of each beginning; the budget must be a multiple of each
    #[arg(long, value_name = "COUNT", value_delimiter = ',', default_values_t = [2_usize, 4])]
    width: Vec<usize>,
    #[command(flatten)]
    stories: StoriesArgs,
}

impl Search {
    pub fn make(&self, how: &ReportArgs, reporter: &mut Reporter) -> Result<Made> {
        let n = usize::from(self.stories.n);
        if let Some(width) = self.width.iter().find(|&&w| w < 2 || n % w != 0) {
            return Err(Usage(format!("--width {width}: must be at least 2 and divide the budget of {n} candidates (-n)")).into());
        }
        let pair = self.stories.open(reporter)?;
        let widths = self.width.iter().flat_map(|&width| [Strategy::Beam { width }, Strategy::Dvts { width }]);
        let mut all = Vec::new();
        for strategy in std::iter::once(Strategy::BestOf).chain(widths) {
            reporter.stage(&strategy.name());
            let options = Guided {
                strategy,
                granularity: self.stories.rewards.granularity,
                aggregation: self.stories.rewards.aggregation,
                statistic: pair.calibration().reading.statistic.unwrap_or(Statistic::Min),
            };
            let found = guided(&pair, &self.stories.options(how.seed), &options, &mut |done| {
                reporter.progress(done as u64, Some(self.stories.problems), "searched");
                ControlFlow::Continue(())
            })?;
            all.push(found);
        }
        let title = format!("Guided search on {}", self.stories.title(&pair, how.seed));
        Ok(Made { report: report(&title, &all, how.bootstrap(self.stories.problems as usize))?, ..Made::default() })
    }
}
