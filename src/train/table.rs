//! A table of runs: variants of a recipe, each over several seeds, and what tells them apart.

use super::TrainError;
use super::recipe::{Recipe, set};
use crate::eval::metrics::passk::pass_at_k;
use crate::eval::stats::{Bootstrap, Paired, holm, paired_grouped};
use crate::run::{MetricsLine, Outcome, RunFolder, stage};
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};

/// Variants of a recipe over seeds. Unknown keys are errors.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Table {
    /// The recipe, relative to this file.
    pub base: PathBuf,
    /// Folder of the runs: `seed-S/VARIANT`.
    pub output: PathBuf,
    /// Seeds.
    pub seeds: Vec<u64>,
    /// Runs at a time, a thread each.
    #[serde(default = "jobs")]
    pub jobs: usize,
    /// The first is the baseline of those that name no other.
    #[serde(rename = "variant")]
    pub variants: Vec<Variant>,
}

fn jobs() -> usize {
    2
}

/// A variant: its name and the settings that it puts over the base.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Variant {
    /// Name in the table, and of its folder.
    pub name: String,
    /// The variant that is its baseline: it takes over that one's finished stages where the two share them, and is compared with it. A variant that
    /// names itself has none.
    #[serde(default)]
    pub against: Option<String>,
    /// Settings as `--set` takes them; `{seed}` in one stands for the seed of the run.
    #[serde(default)]
    pub set: Vec<String>,
}

impl Table {
    /// Reads a table; `None` where the file has no `[[variant]]` and so is a recipe. Errors name the file, the line and the key. Of `overrides`, `output`,
    /// `seeds` and `jobs` stand over the table's own; the others are for its recipes, see [`Table::recipe`].
    pub fn read(path: &Path, overrides: &[String]) -> Result<Option<Self>, TrainError> {
        let text = std::fs::read_to_string(path).map_err(|source| TrainError::Io { path: path.into(), source })?;
        let wrong = |what: String| TrainError::Recipe { path: path.into(), what };
        let Some(mut values) = toml::from_str::<toml::Table>(&text).ok().filter(|t| t.contains_key("variant")) else { return Ok(None) };
        let own: Vec<&String> = overrides.iter().filter(|o| is_own(o)).collect();
        if let Some(o) = overrides.iter().find(|o| o.starts_with("seed=")) {
            return Err(wrong(format!("--set {o}: a table has several seeds; give --set seeds=[1, 2]")));
        }
        let mut table: Self = if own.is_empty() {
            toml::from_str(&text).map_err(|e| wrong(e.to_string()))?
        } else {
            own.iter().try_for_each(|o| set(&mut values, o).map_err(|e| wrong(format!("--set {o}: {e}"))))?;
            values.try_into().map_err(|e: toml::de::Error| wrong(e.to_string()))?
        };
        for (i, v) in table.variants.iter().enumerate() {
            if v.name.is_empty() || v.name.starts_with('.') || v.name.contains(['/', '\\']) {
                return Err(wrong(format!("variant {:?}: a name is also that of a folder; letters, digits, - and . are safe", v.name)));
            }
            if table.variants[..i].iter().any(|o| o.name == v.name) {
                return Err(wrong(format!("variant {:?} is there twice; each needs a name of its own", v.name)));
            }
        }
        if let Some(s) = (0..table.seeds.len()).find(|&i| table.seeds[..i].contains(&table.seeds[i])) {
            return Err(wrong(format!("seeds: {} is there twice; a seed counts once", table.seeds[s])));
        }
        if table.seeds.is_empty() || table.variants.len() < 2 || table.jobs == 0 {
            return Err(wrong("a table needs at least one seed, a baseline and another variant, and one job".into()));
        }
        if let Some(v) = table.variants.iter().find(|v| v.against.as_ref().is_some_and(|a| !table.variants.iter().any(|b| b.name == *a))) {
            return Err(wrong(format!("variant {:?}: against = {:?} names no variant", v.name, v.against.as_deref().unwrap_or_default())));
        }
        if let Some(v) = (0..table.variants.len()).find(|&v| table.level(v).is_none()) {
            let name = &table.variants[v].name;
            return Err(wrong(format!(
                "variant {name:?}: is among the baselines of its own baseline; let one of them name itself in `against`"
            )));
        }
        table.base = path.parent().unwrap_or(Path::new(".")).join(&table.base);
        Ok(Some(table))
    }

    /// The variant that another is compared with; `None` for a baseline.
    pub fn baseline(&self, variant: usize) -> Option<usize> {
        let baseline = match &self.variants[variant].against {
            Some(name) => self.variants.iter().position(|v| v.name == *name)?,
            None => 0,
        };
        (baseline != variant).then_some(baseline)
    }

    /// How many baselines lie before a variant, each the one of the other; `None` where they form a ring.
    pub fn level(&self, variant: usize) -> Option<usize> {
        let mut at = variant;
        (0..self.variants.len()).find(|_| match self.baseline(at) {
            Some(baseline) => {
                at = baseline;
                false
            }
            None => true,
        })
    }

    /// Folder of a run.
    pub fn folder(&self, seed: u64, variant: usize) -> RunFolder {
        RunFolder::new(self.output.join(format!("seed-{seed}")).join(&self.variants[variant].name))
    }

    /// The recipe of a run; those of `overrides` that are not the table's stand over the variant's own.
    pub fn recipe(&self, seed: u64, variant: usize, overrides: &[String]) -> Result<Recipe, TrainError> {
        let mut set: Vec<String> = self.variants[variant].set.iter().map(|s| s.replace("{seed}", &seed.to_string())).collect();
        set.extend(overrides.iter().filter(|o| !is_own(o)).cloned());
        let mut recipe = Recipe::read(&self.base, &set)?;
        recipe.seed = seed;
        recipe.output = self.folder(seed, variant).path().into();
        if let Some(baseline) = self.baseline(variant) {
            recipe.reuse = Some(self.folder(seed, baseline).path().into());
        }
        Ok(recipe)
    }
}

/// Whether a setting is the table's rather than its recipes'.
fn is_own(assignment: &str) -> bool {
    let key = assignment.split('=').next().unwrap_or_default().trim();
    ["output", "seeds", "jobs"].contains(&key)
}

/// A line of the table.
#[derive(Clone, Debug, Serialize)]
pub struct Row {
    /// The variant.
    pub name: String,
    /// Whether reference answers took part in its training.
    pub uses_answers: bool,
    /// Seeds that are finished.
    pub seeds: usize,
    /// Mean and standard deviation over seeds, in percent: pass@1, pass@10 and greedy.
    pub pass_1: (f64, f64),
    /// pass@10.
    pub pass_10: (f64, f64),
    /// Greedy accuracy.
    pub greedy: (f64, f64),
    /// Mean length, tokens.
    pub length: f64,
    /// Its baseline.
    pub against: Option<String>,
    /// pass@1 over the baseline's, percentage points, over the seeds that both have: seeds resampled, and problems inside them.
    pub lead: Option<Paired>,
    /// p of `lead` after Holm over the table.
    pub holm: Option<f64>,
    /// Alarms, each with the share of its stage at which it came first, and the number of seeds.
    pub alarms: Vec<(String, f64, usize)>,
}

fn mean_sd(x: &[f64]) -> (f64, f64) {
    let mean = x.iter().sum::<f64>() / x.len().max(1) as f64;
    let sd = (x.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / x.len().saturating_sub(1).max(1) as f64).sqrt();
    (mean, sd)
}

/// Rows from the `evaluation.jsonl` and `metrics.jsonl` of the runs; a run that is not finished is left out.
pub fn rows(table: &Table) -> Result<Vec<Row>, TrainError> {
    let read = |seed: u64, variant: usize| -> Option<Vec<Outcome>> {
        let text = std::fs::read_to_string(table.folder(seed, variant).evaluation()).ok()?;
        text.lines().map(|l| serde_json::from_str(l).ok()).collect()
    };
    let all: Vec<Vec<Option<Vec<Outcome>>>> =
        (0..table.variants.len()).map(|v| table.seeds.iter().map(|&s| read(s, v)).collect()).collect();
    let percent =
        |outcomes: &[Outcome], f: &dyn Fn(&Outcome) -> f64| 100.0 * outcomes.iter().map(f).sum::<f64>() / outcomes.len().max(1) as f64;
    let pass = |k: usize| move |o: &Outcome| pass_at_k(o.n, o.correct, k.min(o.n)).unwrap_or(0.0);
    let mut out = Vec::new();
    for (v, variant) in table.variants.iter().enumerate() {
        let done: Vec<&Vec<Outcome>> = all[v].iter().flatten().collect();
        let over = |f: &dyn Fn(&Outcome) -> f64| mean_sd(&done.iter().map(|o| percent(o, f)).collect::<Vec<_>>());
        let baseline = table.baseline(v);
        let pairs: Vec<(&[Outcome], &[Outcome])> =
            all[v].iter().zip(&all[baseline.unwrap_or(v)]).filter_map(|(a, b)| Some((a.as_deref()?, b.as_deref()?))).collect();
        out.push(Row {
            name: variant.name.clone(),
            uses_answers: table.recipe(table.seeds[0], v, &[])?.uses_answers(),
            seeds: done.len(),
            pass_1: over(&pass(1)),
            pass_10: over(&pass(10)),
            greedy: over(&|o| f64::from(u8::from(o.greedy))),
            length: over(&|o| o.length / 100.0).0,
            against: baseline.map(|b| table.variants[b].name.clone()),
            lead: if baseline.is_some() && !pairs.is_empty() { Some(lead(&pairs)?) } else { None },
            holm: None,
            alarms: alarms(table, v),
        });
    }
    let adjusted = holm(&out.iter().filter_map(|r| r.lead.map(|l| l.p)).collect::<Vec<_>>());
    out.iter_mut().filter(|r| r.lead.is_some()).zip(adjusted).for_each(|(r, p)| r.holm = Some(p));
    Ok(out)
}

/// Difference of pass@1 in percentage points, seeds resampled with replacement and then the problems of each.
fn lead(pairs: &[(&[Outcome], &[Outcome])]) -> Result<Paired, TrainError> {
    let rate = |o: &Outcome| 100.0 * o.correct as f64 / o.n.max(1) as f64;
    let each: Vec<Vec<f64>> = pairs.iter().map(|(a, b)| a.iter().zip(b.iter()).map(|(a, b)| rate(a) - rate(b)).collect()).collect();
    paired_grouped(&each, Bootstrap::default()).map_err(|e| TrainError::Data(e.to_string()))
}

/// Alarms of policy optimisation in the metrics of a variant's runs.
fn alarms(table: &Table, variant: usize) -> Vec<(String, f64, usize)> {
    let mut out: Vec<(String, f64, usize)> = Vec::new();
    for &seed in &table.seeds {
        let text = std::fs::read_to_string(table.folder(seed, variant).metrics()).unwrap_or_default();
        let mut seen: Vec<String> = Vec::new();
        for line in text.lines().filter_map(|l| MetricsLine::parse(l).ok()).filter(|l| l.stage == stage::RL) {
            let Some(name) = line.alarm.map(|a| a.name).filter(|name| !seen.contains(name)) else { continue };
            let share = line.step as f64 / line.steps.max(1) as f64;
            match out.iter_mut().find(|a| a.0 == name) {
                Some(a) => *a = (a.0.clone(), a.1.min(share), a.2 + 1),
                None => out.push((name.clone(), share, 1)),
            }
            seen.push(name);
        }
    }
    out
}

/// The rows as GitHub Markdown.
pub fn markdown(rows: &[Row]) -> String {
    let mut out = String::from(
        "| variant | seeds | pass@1, % | pass@10, % | greedy, % | tokens | pass@1 over the baseline, points | p (Holm) | alarms |\n|---|---|---|---|---|---|---|---|---|\n",
    );
    for r in rows {
        // Where all have the same baseline, it need not be said in every line.
        let several =
            rows.iter().filter_map(|r| r.against.as_ref()).any(|a| rows.iter().any(|o| o.against.as_ref().is_some_and(|b| a != b)));
        let over = |r: &Row| r.against.as_ref().filter(|_| several).map_or(String::new(), |a| format!(" over {a}"));
        let ms = |(mean, sd): (f64, f64)| format!("{mean:.1} ± {sd:.1}");
        let lead = r.lead.map_or("–".into(), |l| {
            format!("{:+.1} [{:+.1}, {:+.1}]{}", l.difference.estimate, l.difference.low, l.difference.high, over(r))
        });
        let p = |p: f64| if p < 0.001 { "< 0.001".to_owned() } else { format!("{p:.3}") };
        let test = r.lead.zip(r.holm).map_or("–".into(), |(l, h)| format!("{} ({})", p(l.p), p(h)));
        let alarms: Vec<String> = r.alarms.iter().map(|(n, at, k)| format!("{n} at {:.0} % ({k})", 100.0 * at)).collect();
        let alarms = if alarms.is_empty() { "–".to_owned() } else { alarms.join(", ") };
        let answers = if r.uses_answers { " (uses answers)" } else { "" };
        out.push_str(&format!(
            "| {}{answers} | {} | {} | {} | {} | {:.0} | {lead} | {test} | {alarms} |\n",
            r.name,
            r.seeds,
            ms(r.pass_1),
            ms(r.pass_10),
            ms(r.greedy),
            r.length
        ));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outcomes(correct: &[usize]) -> Vec<Outcome> {
        correct.iter().map(|&correct| Outcome { id: String::new(), n: 10, correct, greedy: correct > 5, length: 10.0 }).collect()
    }

    #[test]
    fn leads_over_seeds_and_problems_by_hand() {
        let (a, b) = (outcomes(&[8, 6, 4, 9]), outcomes(&[5, 3, 1, 6]));
        let same = lead(&[(&a, &b), (&a, &b), (&a, &b)]).unwrap();
        assert!((same.difference.estimate - 30.0).abs() < 1e-9 && (same.difference.low - 30.0).abs() < 1e-9, "{same:?}");
        assert!(same.p < 0.01);
        let mixed = lead(&[(&a, &b), (&b, &a)]).unwrap();
        assert!(mixed.difference.estimate.abs() < 1e-9 && mixed.difference.low < -20.0 && mixed.p > 0.5, "{mixed:?}");
        assert_eq!(mean_sd(&[1.0, 3.0]), (2.0, 2f64.sqrt()));
    }

    #[test]
    fn a_table_reads_its_runs_and_a_recipe_is_none() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("table.toml");
        std::fs::write(dir.path().join("base.toml"), include_str!("../../samples/recipes/stories.toml")).unwrap();
        std::fs::write(&path, "base = \"base.toml\"\noutput = \"OUT\"\nseeds = [1, 2]\n[[variant]]\nname = \"sft\"\n[[variant]]\nname = \"long\"\nset = [\"policy.sft.steps=9\"]\n").unwrap();
        assert!(Table::read(&dir.path().join("base.toml"), &[]).unwrap().is_none());
        let mut table = Table::read(&path, &[]).unwrap().unwrap();
        let set = |s: &str| Table::read(&path, &[s.to_owned(), "policy.sft.steps=7".into()]).map(Option::unwrap);
        let moved = set("output=OTHER").unwrap();
        assert_eq!(moved.recipe(1, 0, &["output=OTHER".into()]).unwrap().output, Path::new("OTHER/seed-1/sft"));
        assert_eq!(set("seeds=[4]").unwrap().seeds, [4]);
        for (wrong, says) in [("seed=4", "seeds=[1, 2]"), ("seeds=[4, 4]", "4 is there twice"), ("jobs=0", "one job")] {
            assert!(set(wrong).unwrap_err().to_string().contains(says), "{wrong}");
        }
        let text = std::fs::read_to_string(&path).unwrap();
        let chained = format!("{text}[[variant]]\nname = \"longer\"\nagainst = \"long\"\n");
        std::fs::write(dir.path().join("chained.toml"), &chained).unwrap();
        let levels = Table::read(&dir.path().join("chained.toml"), &[]).unwrap().unwrap();
        assert_eq!([0, 1, 2].map(|v| levels.level(v)), [Some(0), Some(1), Some(2)]);
        std::fs::write(dir.path().join("chained.toml"), chained.replace("name = \"sft\"", "name = \"sft\"\nagainst = \"longer\"")).unwrap();
        assert!(Table::read(&dir.path().join("chained.toml"), &[]).unwrap_err().to_string().contains("baselines of its own"));
        for (name, says) in [("sft", "\"sft\" is there twice"), ("../long", "that of a folder")] {
            let other = dir.path().join("other.toml");
            std::fs::write(&other, text.replace("\"long\"", &format!("{name:?}"))).unwrap();
            assert!(Table::read(&other, &[]).unwrap_err().to_string().contains(says), "{name}");
        }
        let recipe = table.recipe(2, 1, &[]).unwrap();
        assert_eq!((recipe.seed, recipe.policy.sft.unwrap().steps, recipe.reuse.unwrap()), (2, 9, PathBuf::from("OUT/seed-2/sft")));
        table.output = dir.path().to_owned();
        for (variant, correct) in [(0, [5, 5]), (1, [10, 0])] {
            let folder = table.folder(1, variant);
            std::fs::create_dir_all(folder.path()).unwrap();
            let lines: Vec<String> = outcomes(&correct).iter().map(|o| serde_json::to_string(o).unwrap()).collect();
            std::fs::write(folder.evaluation(), lines.join("\n")).unwrap();
            std::fs::write(folder.metrics(), "{\"stage\":\"rl\",\"step\":5,\"steps\":20,\"alarm\":\"flat_rewards\"}\n").unwrap();
        }
        let rows = rows(&table).unwrap();
        assert_eq!((rows[1].seeds, rows[1].pass_1.0, rows[1].pass_10.0), (1, 50.0, 50.0));
        assert_eq!(rows[1].alarms, [("flat_rewards".to_owned(), 0.25, 1)]);
        assert!(rows[0].lead.is_none() && rows[1].lead.unwrap().difference.estimate.abs() < 1e-9);
        assert!(markdown(&rows).contains("| long | 1 | 50.0 ± 0.0 |"));
    }
}
