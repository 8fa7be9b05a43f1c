//! `eval compare`: two evaluated runs side by side, paired by problem.

use super::finish::{Made, ReportArgs};
use crate::eval::report::compare::{Options, compare};
use crate::eval::report::folder::read;
use crate::trace::Reading;
use anyhow::Result;
use clap::Args;
use std::path::PathBuf;

/// Arguments of `eval compare`.
#[derive(Args, Clone, Debug)]
pub struct Compare {
    /// The first run: a folder that `--report` wrote, or its rows.csv
    #[arg(value_name = "A")]
    first: PathBuf,
    /// The second run, which the first is subtracted from
    #[arg(value_name = "B")]
    second: PathBuf,
    /// Candidates to pick from; as many as every problem has, where it is not said
    #[arg(short, long, value_name = "COUNT", value_parser = clap::value_parser!(u16).range(1..))]
    n: Option<u16>,
    /// The reading that ranks candidates, for example reward.sum or the name of a file's number; the first run's default reward, where it is not said
    #[arg(long, value_name = "READING")]
    rank_by: Option<Reading>,
    /// Compare the problems that both have, and leave the others out
    #[arg(long)]
    shared_only: bool,
}

impl Compare {
    pub fn make(&self, how: &ReportArgs) -> Result<Made> {
        let (a, b) = (read(&self.first)?, read(&self.second)?);
        let name = |path: &PathBuf| path.file_name().map_or_else(|| path.display().to_string(), |n| n.to_string_lossy().into_owned());
        let options = Options {
            names: [name(&self.first), name(&self.second)],
            n: self.n.map(usize::from),
            calibrations: [a.calibration, b.calibration],
            rank_by: self.rank_by.clone(),
            shared_only: self.shared_only,
            bootstrap: how.bootstrap(a.traces.len()),
            ..Options::default()
        };
        let mut report = compare(&a.traces, &b.traces, &options)?;
        report.notes.extend([format!("A: {}", a.title), format!("B: {}", b.title)]);
        Ok(Made { report, ..Made::default() })
    }
}
