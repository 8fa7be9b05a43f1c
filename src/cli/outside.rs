//! How many traces lie outside of what the reward models have learned.

use super::args::TrustArgs;
use super::progress::Reporter;
use crate::trace::{REWARD, Trace, outside};
use std::collections::BTreeMap;

/// A count of the traces of which a reward model says whether it has learned on such text.
#[derive(Clone, Debug, Default)]
struct Count {
    /// Traces of which it is known.
    known: usize,
    /// Of those, the ones outside.
    traces: usize,
    /// The task that the model has learned, and why the first of them is not of it.
    example: Option<(String, String)>,
}

/// The counts of all signals of which that is known.
#[derive(Clone, Debug, Default)]
pub(super) struct Outside(BTreeMap<String, Count>);

impl Outside {
    /// Counts a trace.
    pub(super) fn add(&mut self, trace: &Trace) {
        let mut names: Vec<&String> =
            trace.candidates.iter().flat_map(|c| &c.signals).filter(|s| s.domain.is_some()).map(|s| &s.name).collect();
        names.sort_unstable();
        names.dedup();
        for name in names {
            let count = self.0.entry(name.clone()).or_default();
            count.known += 1;
            if let Some(domain) = outside(&trace.candidates, name) {
                count.traces += 1;
                let example = || (domain.task.clone(), format!("{}: {}", trace.id, domain.why().unwrap_or_default()));
                count.example.get_or_insert_with(example);
            }
        }
    }

    /// Whether the model of a signal has said of some trace where it lies.
    pub(super) fn knows(&self, signal: &str) -> bool {
        self.0.contains_key(signal)
    }

    /// Traces outside of what the first reward model has learned.
    pub(super) fn traces(&self) -> usize {
        self.0.get(REWARD).map_or(0, |c| c.traces)
    }

    /// The counts and a word on what they mean, one for each model of which traces lie outside.
    pub(super) fn words(&self) -> impl Iterator<Item = String> {
        self.0.iter().filter_map(|(signal, Count { known, traces, example })| {
            let (task, example) = example.as_ref()?;
            let whose = if signal == REWARD { "the reward model".to_owned() } else { format!("the model of {signal}") };
            Some(format!(
                "{traces} of {known} traces lie outside of what {whose} has learned ({task}), where its numbers mean little ({example})"
            ))
        })
    }

    /// Warns where there are some.
    pub(super) fn warn(&self, reporter: &mut Reporter, trust: TrustArgs) {
        let marks =
            if trust.trust { "they are marked all the same, as --trust says" } else { "it marks none of their steps; --trust lets it" };
        self.words().for_each(|words| reporter.warn(&format!("{words}; {marks}")));
    }
}
