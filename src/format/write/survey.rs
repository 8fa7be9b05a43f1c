//! What there is to know of traces before they are written.

use super::loss::{Losses, Lost};
use super::refusal::Refusal;
use super::target::Target;
use super::{Options, Rows, records, table};
use crate::trace::{Candidate, StepKind, Trace};
use std::collections::{BTreeMap, HashSet};

/// Signals that a table may have columns of.
const COLUMNS: usize = 1000;

/// A table would have more columns than anybody can use.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "the traces have more than {COLUMNS} signals of different names, a column each; write another format with --to, or fewer traces with --problems"
)]
pub struct TooMany;

/// What a first look at all traces finds.
#[derive(Debug)]
pub struct Survey {
    target: Target,
    rows: Rows,
    losses: Losses,
    /// Why candidates are left out, of how many, and where the first one is.
    refused: BTreeMap<Refusal, (usize, String)>,
    traces: usize,
    candidates: usize,
    written: usize,
    /// Problems without candidates.
    empty: usize,
    /// Names of the signals, in the order in which they first come.
    signals: Vec<String>,
    known: HashSet<String>,
    /// Cells of text that a spreadsheet may take for a formula.
    formulas: usize,
}

impl Survey {
    /// Nothing is seen yet.
    pub fn new(target: Target, options: &Options) -> Self {
        Self {
            target,
            rows: options.rows,
            losses: Losses::default(),
            refused: BTreeMap::new(),
            traces: 0,
            candidates: 0,
            written: 0,
            empty: 0,
            signals: Vec::new(),
            known: HashSet::new(),
            formulas: 0,
        }
    }

    /// Looks at a trace.
    ///
    /// # Errors
    /// A table would have too many columns.
    pub fn add(&mut self, trace: &Trace) -> Result<(), TooMany> {
        self.traces += 1;
        self.candidates += trace.candidates.len();
        self.empty += usize::from(trace.candidates.is_empty());
        match self.target {
            Target::Native | Target::Markdown | Target::Html => self.written += trace.candidates.len(),
            Target::Csv | Target::Parquet => return self.table(trace),
            _ => self.records(trace),
        }
        Ok(())
    }

    fn records(&mut self, trace: &Trace) {
        let made = records(self.target, trace);
        for (i, refusal) in made.refused {
            let first = || format!("{}, candidate {}", trace.id, i + 1);
            self.refused.entry(refusal).or_insert_with(|| (0, first())).0 += 1;
        }
        for (at, record) in made.records.iter().enumerate() {
            self.written += record.candidates.len();
            let own = record.candidates.iter().filter_map(|&i| trace.candidates.get(i));
            let pairs: Vec<_> = own.zip(&record.again.candidates).collect();
            self.losses.record(self.target, trace, at == 0, &record.again, &pairs);
        }
    }

    fn table(&mut self, trace: &Trace) -> Result<(), TooMany> {
        self.written += trace.candidates.len();
        for c in &trace.candidates {
            for signal in table::signals(c) {
                if !self.known.contains(&signal.name) {
                    self.known.insert(signal.name.clone());
                    self.signals.push(signal.name.clone());
                }
            }
            if self.signals.len() > COLUMNS {
                return Err(TooMany);
            }
            self.unsaid(c);
            if self.target == Target::Csv {
                self.formulas += table::texts(trace, c, self.rows).filter(|text| table::is_formula(text)).count();
            }
        }
        Ok(())
    }

    /// What a table has no column for.
    fn unsaid(&mut self, c: &Candidate) {
        let by_step = self.rows == Rows::Step;
        let values = |s: &crate::trace::Signal| s.has_values() && s.has_steps() && (!by_step || !s.tokens().is_empty());
        self.losses.count(Lost::Tokens, !c.tokens.is_empty());
        self.losses.count(Lost::Values, c.signals.iter().any(values));
        self.losses.count(Lost::Deviations, c.deviation.is_some());
        if by_step {
            let spaced = c.steps.iter().map(|s| s.span.len()).sum::<usize>() < c.text.len();
            let outside = super::pieces::has_outside(c);
            self.losses.count(Lost::Outside, outside);
            self.losses.count(Lost::Spacing, spaced && !outside && c.steps.len() > 1);
        } else {
            self.losses.count(Lost::Cuts, c.steps.len() > 1);
            self.losses.count(Lost::Kinds, c.steps.iter().any(|s| s.kind != StepKind::Reasoning));
            self.losses.count(Lost::Labels, c.steps.iter().any(|s| s.label.is_some()));
        }
        self.losses.fields(c);
    }

    /// What is lost.
    pub fn losses(&self) -> &Losses {
        &self.losses
    }

    /// Why candidates are left out, for people; with a remedy.
    pub fn refusals(&self) -> Vec<String> {
        self.refused.iter().map(|(refusal, (count, first))| refusal.words(self.target, *count, first)).collect()
    }

    /// What else is to be known of the output, for people.
    pub fn notes(&self) -> Vec<String> {
        let mut out = Vec::new();
        if self.formulas > 0 {
            let n = self.formulas;
            let (cells, begin) = if n == 1 { ("cell", "begins") } else { ("cells", "begin") };
            out.push(format!(
                "{n} {cells} of text {begin} with =, +, - or @, which a spreadsheet may run as a formula; import the columns there as text"
            ));
        }
        if self.empty > 0 && self.target != Target::Markdown && self.target != Target::Html {
            let (n, s) = (self.empty, if self.empty == 1 { "" } else { "s" });
            out.push(format!("{n} problem{s} without candidates left out"));
        }
        out
    }

    /// Candidates that are left out.
    pub fn left_out(&self) -> usize {
        self.candidates - self.written
    }

    /// Candidates that are written.
    pub fn written(&self) -> usize {
        self.written
    }

    /// Traces that were looked at.
    pub fn traces(&self) -> usize {
        self.traces
    }

    /// Names of the signals that a table has columns of.
    pub(super) fn signals(&self) -> &[String] {
        &self.signals
    }
}
