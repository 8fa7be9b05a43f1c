//! `eval`: what a reward is worth, beside the baselines.

mod candidates;
mod compare;
mod experts;
mod finish;
mod recipe;
mod recorded;
mod search;
mod seeds;
mod stories;
mod surface;
mod transfer;

use super::args::OutputArgs;
use super::exit::{Exit, Usage};
use super::interrupt::Interrupt;
use super::progress::Reporter;
use anyhow::Result;
use candidates::{Agreement, All, Candidates, Localise, Part};
use clap::{Args, Parser, Subcommand};
use finish::{Made, ReportArgs};
use recipe::EvalRecipe;
use std::path::PathBuf;

/// Whether a file is a recipe of `eval`, with sections that all can be run; runs none.
pub(super) fn check_recipe(path: &std::path::Path) -> Result<()> {
    EvalRecipe::check(path)
}

/// Arguments of `eval`.
#[derive(Args, Debug)]
#[command(args_conflicts_with_subcommands = true)]
pub struct Eval {
    #[command(subcommand)]
    what: Option<What>,
    /// Make the reports of a recipe: a TOML file such as samples/evaluations/stories.toml
    #[arg(value_name = "RECIPE")]
    recipe: Option<PathBuf>,
    #[command(flatten)]
    stories: stories::Stories,
    #[command(flatten)]
    report: ReportArgs,
}

/// What can be evaluated; each makes one report.
#[derive(Subcommand, Debug)]
enum What {
    /// Sample held-out stories live, rerank them and find their first wrong steps (this is what happens without a subcommand)
    Stories(With<stories::Stories>),
    /// Everything that recorded candidates have numbers for: reranking, pass@k, first wrong step, calibration
    All(With<All>),
    /// Best of N on recorded candidates: the reward beside random, length, log-probability, majority and oracle
    Rerank(With<Candidates>),
    /// pass@k, unbiased, of recorded candidates
    Pass(With<Candidates>),
    /// The first wrong step of labelled candidates: ProcessBench, PRMBench, PRM800K, Math-Shepherd
    Localise(With<Localise>),
    /// How well rewards tell right from wrong candidates, and how far they can be read as probabilities
    Calibrate(With<Candidates>),
    /// How far two rewards or more agree: rank correlation, the first deviations that they mark, who is right where they differ
    Agreement(With<Agreement>),
    /// Every reward on every set of candidates: the gain over a random pick and over the majority
    Transfer(With<transfer::Transfer>),
    /// Two evaluated runs side by side, paired by problem
    Compare(With<compare::Compare>),
    /// The figures of reports that differ in the training seed: mean, standard deviation, t-interval
    Seeds(With<seeds::Seeds>),
    /// Does the reward follow logic or surface? Expert solutions beside twins that are spoiled in known ways
    Surface(With<surface::Surface>),
    /// Search guided by the reward on held-out stories: beam search and DVTS beside best-of-N at the same budget
    Search(With<search::Search>),
}

/// A subcommand by itself, as a recipe's section names it.
#[derive(Parser, Debug)]
#[command(no_binary_name = false)]
struct Single {
    #[command(subcommand)]
    what: What,
}

/// A subcommand with what all have.
#[derive(Args, Debug)]
struct With<T: Args> {
    #[command(flatten)]
    what: T,
    #[command(flatten)]
    report: ReportArgs,
}

impl Eval {
    pub(super) fn run(self, messages: &OutputArgs) -> Result<Exit> {
        let mut reporter = Reporter::new(messages, "problems");
        let interrupt = Interrupt::listen()?.telling(messages);
        if let Some(path) = &self.recipe {
            let name = path.to_string_lossy();
            let commands = What::augment_subcommands(clap::Command::new("eval"));
            let near = commands.get_subcommands().find(|c| strsim::jaro_winkler(c.get_name(), &name) > 0.8);
            if let (false, Some(near)) = (path.exists(), near) {
                let near = near.get_name();
                return Err(Usage(format!("{name}: neither a recipe nor a subcommand of eval; did you mean `eval {near}`?")).into());
            }
            return EvalRecipe::read(path)?.run(path, &self.report, &mut reporter, &interrupt, messages);
        }
        let what = self.what.unwrap_or(What::Stories(With { what: self.stories, report: self.report }));
        let how = what.report();
        let output = how.open()?;
        let made = what.make(&mut reporter, &interrupt)?;
        how.finish(&made, output, messages.json)
    }
}

impl What {
    fn report(&self) -> &ReportArgs {
        match self {
            What::Stories(With { report, .. }) => report,
            What::All(With { report, .. }) => report,
            What::Rerank(With { report, .. }) => report,
            What::Pass(With { report, .. }) | What::Calibrate(With { report, .. }) => report,
            What::Localise(With { report, .. }) => report,
            What::Agreement(With { report, .. }) => report,
            What::Transfer(With { report, .. }) => report,
            What::Compare(With { report, .. }) => report,
            What::Seeds(With { report, .. }) => report,
            What::Surface(With { report, .. }) => report,
            What::Search(With { report, .. }) => report,
        }
    }

    /// Does the work; a signal ends the program at once, for a part of a report is none.
    fn make(&self, reporter: &mut Reporter, interrupt: &Interrupt) -> Result<Made> {
        let _ends = interrupt.at_once();
        match self {
            What::Stories(w) => w.what.make(&w.report, reporter),
            What::All(w) => w.what.make(&w.report, reporter, interrupt),
            What::Rerank(w) => w.what.make(Part::Rerank, &w.report, reporter, interrupt),
            What::Pass(w) => w.what.make(Part::Pass, &w.report, reporter, interrupt),
            What::Calibrate(w) => w.what.make(Part::Calibrate, &w.report, reporter, interrupt),
            What::Localise(w) => w.what.make(&w.report, reporter, interrupt),
            What::Agreement(w) => w.what.make(&w.report, reporter, interrupt),
            What::Transfer(w) => w.what.make(&w.report, reporter, interrupt),
            What::Compare(w) => w.what.make(&w.report),
            What::Seeds(w) => w.what.make(),
            What::Surface(w) => w.what.make(&w.report, reporter, interrupt),
            What::Search(w) => w.what.make(&w.report, reporter),
        }
    }
}
