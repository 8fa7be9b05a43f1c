//! Where a report goes, and the gates that it has to pass.

use crate::cli::exit::{Exit, Gate, Usage};
use crate::cli::output::Output;
use crate::eval::ScoredTrace;
use crate::eval::parts::Report;
use crate::eval::report::folder::{self, WriteOptions};
use crate::eval::stats::Bootstrap;
use crate::eval::stats::resample::affordable;
use crate::trace::Calibration;
use anyhow::Result;
use clap::{Args, ValueEnum};
use std::path::{Path, PathBuf};

/// Fewest resamples that may be asked for, and that the tables of a report have.
const FEWEST: usize = 1000;

/// How the report is made and written.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Report")]
pub struct ReportArgs {
    /// How the report is written
    #[arg(long, value_enum, default_value_t = Format::Text)]
    pub format: Format,
    /// Where the report goes; `-` is standard output
    #[arg(short, long, value_name = "FILE")]
    pub output: Option<PathBuf>,
    /// Also write a folder: a page with plots, the report as Markdown and JSON, every row behind it, the pictures
    #[arg(long, value_name = "DIR")]
    pub report: Option<PathBuf>,
    /// Write that folder also where it holds other things
    #[arg(long, requires = "report")]
    pub into_foreign: bool,
    /// Gate: exit with 3 where this figure is below the value; the report's JSON lists the `figures`
    #[arg(long = "min", value_name = "FIGURE=VALUE", value_parser = bound, allow_negative_numbers = true)]
    pub min: Vec<(String, f64)>,
    /// Gate: exit with 3 where this figure is above the value
    #[arg(long = "max", value_name = "FIGURE=VALUE", value_parser = bound, allow_negative_numbers = true)]
    pub max: Vec<(String, f64)>,
    /// Bootstrap resamples, at least 1,000
    #[arg(long, value_name = "COUNT", default_value_t = 10_000, value_parser = clap::value_parser!(u32).range(FEWEST as i64..))]
    pub resamples: u32,
    /// Seed of the bootstrap, and of what is sampled
    #[arg(long, value_name = "SEED", default_value_t = 1)]
    pub seed: u64,
}

/// A report and the rows behind it; no rows where it is made of other things than candidates.
#[derive(Debug, Default)]
pub struct Made {
    /// The report.
    pub report: Report,
    /// A candidate each.
    pub rows: Vec<ScoredTrace>,
    /// The thresholds that took part.
    pub calibration: Calibration,
}

/// Shape of a report.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// Aligned columns.
    Text,
    /// GitHub Markdown.
    Markdown,
    /// One JSON object; also what `--json` gives.
    Json,
}

impl ReportArgs {
    /// How to resample so many problems: as often as is asked for, or less where that would take minutes; reports say how often.
    pub fn bootstrap(&self, problems: usize) -> Bootstrap {
        let asked = Bootstrap { resamples: self.resamples as usize, seed: self.seed, ..Bootstrap::default() };
        Bootstrap { resamples: affordable(asked, 2 * problems).resamples.max(FEWEST).min(asked.resamples), ..asked }
    }

    /// Opens the destination, before any work is done.
    pub fn open(&self) -> Result<Output> {
        Output::open(self.output.as_deref())
    }

    /// Writes a report, and the folder that is asked for; then looks at the gates.
    pub fn finish(&self, made: &Made, mut output: Output, json: bool) -> Result<Exit> {
        let report = &made.report;
        let text = match self.format {
            Format::Text => report.text(output.columns()),
            Format::Markdown => report.markdown(),
            Format::Json => String::new(),
        };
        match json || self.format == Format::Json {
            true => output.record(&serde_json::to_string(&report.json())?)?,
            false => text.lines().try_for_each(|line| output.text(line))?,
        }
        output.finish()?;
        if let Some(folder) = &self.report {
            self.write(made, folder)?;
        }
        self.gates(report)?;
        Ok(Exit::Ok)
    }

    /// Writes the folder of a report.
    pub fn write(&self, made: &Made, folder: &Path) -> Result<()> {
        let options = WriteOptions { calibration: made.calibration.clone(), into_foreign: self.into_foreign };
        folder::write(&made.report, &made.rows, folder, &options)?;
        Ok(())
    }

    /// Fails with exit code 3 where a figure is outside its bounds; a figure that the report does not have is a mistake on the command line.
    pub fn gates(&self, report: &Report) -> Result<()> {
        let figure = |name: &str| {
            report.figures.get(name).copied().ok_or_else(|| {
                let names: Vec<&str> = report.figures.keys().map(String::as_str).collect();
                Usage(format!("no figure is called {name:?}; this report has {}", names.join(", ")))
            })
        };
        for (name, bound) in &self.min {
            let value = figure(name)?;
            if value < *bound || value.is_nan() {
                return Err(Gate(format!("gate not met: {name} is {value:.4}, at least {bound} is asked for")).into());
            }
        }
        for (name, bound) in &self.max {
            let value = figure(name)?;
            if value > *bound || value.is_nan() {
                return Err(Gate(format!("gate not met: {name} is {value:.4}, at most {bound} is asked for")).into());
            }
        }
        Ok(())
    }
}

fn bound(text: &str) -> Result<(String, f64), String> {
    let (name, value) = text.split_once('=').ok_or("expected FIGURE=VALUE, for example rerank_gain=10")?;
    let value: f64 = value.trim().parse().map_err(|_| format!("{value:?} is not a number"))?;
    crate::eval::report::figures::check_name(name.trim().rsplit('.').next().unwrap_or_default()).map_err(|e| e.to_string())?;
    if value.is_nan() { Err("not a number".into()) } else { Ok((name.trim().to_owned(), value)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds_are_read() {
        assert_eq!(bound("rerank_gain=10"), Ok(("rerank_gain".into(), 10.0)));
        assert_eq!(bound("f1 = -2.5"), Ok(("f1".into(), -2.5)));
        assert!(bound("f1").is_err() && bound("f1=x").is_err() && bound("f1=NaN").is_err());
        assert!(bound("f2=1").unwrap_err().contains("no figure is called \"f2\""));
    }
}
