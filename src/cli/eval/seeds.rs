//! `eval seeds`: the figures of reports that differ in the seed of training, with their mean and spread.

use super::finish::Made;
use crate::eval::parts::Report;
use crate::eval::report::folder::{figures, read};
use crate::eval::report::seeds::seeds_section;
use anyhow::{Result, bail};
use clap::Args;
use std::collections::BTreeMap;
use std::path::PathBuf;

/// Arguments of `eval seeds`.
#[derive(Args, Clone, Debug)]
pub struct Seeds {
    /// Folders that `--report` wrote, one a training seed
    #[arg(value_name = "REPORT", required = true, num_args = 2..)]
    reports: Vec<PathBuf>,
}

impl Seeds {
    pub fn make(&self) -> Result<Made> {
        let mut all: BTreeMap<String, Vec<f64>> = BTreeMap::new();
        let mut notes = Vec::new();
        let mut first: Option<Vec<String>> = None;
        for (i, folder) in self.reports.iter().enumerate() {
            if self.reports[..i].contains(folder) {
                bail!("{}: is named twice; a seed counts once", folder.display());
            }
            let (title, figures) = figures(folder)?;
            figures.into_iter().for_each(|(name, value)| all.entry(name).or_default().push(value));
            // Reports without rows are not of candidates.
            if folder.join("rows.csv").is_file() {
                let ids: Vec<String> = read(folder)?.traces.into_iter().map(|t| t.id).collect();
                let same = *first.get_or_insert_with(|| ids.clone()) == ids;
                if !same {
                    let what = "is on other problems than the first report; the spread between training seeds shows on the same ones alone";
                    bail!("{}: {what}", folder.display());
                }
            }
            notes.push(format!("{}: {title}", folder.display()));
        }
        // What only some reports have says nothing of the spread between all.
        let (whole, partial): (Vec<_>, Vec<_>) = all.into_iter().partition(|(_, values)| values.len() == self.reports.len());
        if whole.is_empty() {
            bail!("the reports have no figure in common; name folders of the same kind of report");
        }
        let mut report = Report { title: format!("{} reports, one a training seed", self.reports.len()), ..Report::default() };
        seeds_section(&whole, 0.95)?.add_to(&mut report);
        if !partial.is_empty() {
            let names: Vec<&str> = partial.iter().map(|f| f.0.as_str()).collect();
            report.notes.push(format!("Not in every report, and left out: {}.", names.join(", ")));
        }
        report.notes.extend(notes);
        Ok(Made { report, ..Made::default() })
    }
}
