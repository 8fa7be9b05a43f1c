//! `train TABLE`: the runs of a table, several at a time, and the table that they give.

use super::inputs::inputs;
use super::record::Recorder;
use crate::cli::args::{CodeArgs, OutputArgs};
use crate::cli::console;
use crate::cli::exit::Exit;
use crate::cli::interrupt::Interrupt;
use crate::cli::progress::Reporter;
use crate::eval::grader::Grader;
use crate::run::{RunFolder, stage};
use crate::train::table::{Table, markdown, rows};
use crate::train::{Inputs, Metrics, Progress, Recipe, TrainError, write_atomically};
use anyhow::{Context, Result, anyhow};
use std::collections::VecDeque;
use std::fs;
use std::io::Write;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// Runs what is not finished, the baselines first, and prints the table; it is kept as `table.md` and `table.json` in the output folder.
pub(super) fn run(table: &Table, overrides: &[String], code: &CodeArgs, messages: &OutputArgs) -> Result<Exit> {
    let reporter = &mut Reporter::new(messages, "of the table's");
    let recipes = (0..table.variants.len()).map(|v| table.recipe(table.seeds[0], v, overrides)).collect::<Result<Vec<_>, _>>()?;
    let grader = Arc::new(code.grader(recipes[0].data.task, &mut |w| reporter.warn(w))?);
    recipes.iter().try_for_each(|r| r.check_grader(&grader))?;
    let interrupt = Interrupt::listen()?.telling(messages);
    let stop = interrupt.flag();
    let total = table.variants.len() * table.seeds.len();
    let mut done = 0;
    for level in 0..table.variants.len() {
        let of_level = (0..table.variants.len()).filter(|&v| table.level(v) == Some(level));
        let units = of_level.flat_map(|v| table.seeds.iter().map(move |&s| (s, v)));
        let queue = Mutex::new(units.collect::<VecDeque<_>>());
        let (send, heard) = std::sync::mpsc::channel();
        let failed = std::thread::scope(|scope| {
            for _ in 0..table.jobs {
                let (queue, send, stop, grader) = (&queue, send.clone(), &*stop, &grader);
                scope.spawn(move || {
                    loop {
                        let next = queue.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
                        let Some((seed, variant)) = next.filter(|_| !stop.load(Ordering::Relaxed)) else { break };
                        let result = one(table, seed, variant, overrides, grader, stop);
                        if send.send((seed, variant, result)).is_err() {
                            break;
                        }
                    }
                });
            }
            drop(send);
            let mut failed = None;
            for (seed, variant, result) in heard {
                let name = &table.variants[variant].name;
                match result {
                    Ok(note) => {
                        done += 1;
                        reporter.progress(done, Some(total as u64), &format!("runs, last {name} seed {seed}"));
                        reporter.say(&format!("{name} seed {seed}: {note}"));
                    }
                    Err(error) if failed.is_none() => {
                        failed = Some(error.context(format!("{name} seed {seed}")));
                        stop.store(true, Ordering::Relaxed);
                    }
                    Err(_) => {}
                }
            }
            failed
        });
        if let Some(error) = failed.filter(|e| !matches!(e.downcast_ref::<TrainError>(), Some(TrainError::Interrupted))) {
            return Err(error);
        }
        if interrupt.is_set() {
            reporter.say(&TrainError::Interrupted.to_string());
            return Ok(Exit::Interrupted);
        }
    }
    let rows = rows(table)?;
    let text = markdown(&rows);
    let json = serde_json::to_vec_pretty(&rows)?;
    write_atomically(&table.output.join("table.md"), text.as_bytes())?;
    write_atomically(&table.output.join("table.json"), &json)?;
    console::print(&format!("{}\n", text.trim_end()))?;
    Ok(Exit::Ok)
}

/// One run on one thread; a finished one with the same recipe is not run again. Says how it went.
fn one(table: &Table, seed: u64, variant: usize, overrides: &[String], grader: &Arc<Grader>, stop: &AtomicBool) -> Result<String> {
    let recipe = table.recipe(seed, variant, overrides)?;
    let folder = RunFolder::new(&recipe.output);
    let finished = fs::read_to_string(folder.recipe()).ok().and_then(|t| toml::from_str::<Recipe>(&t).ok());
    // Whose stages were taken over changes nothing.
    let same = |r: Recipe| Recipe { reuse: None, ..r } == Recipe { reuse: None, ..recipe.clone() };
    if finished.is_some_and(same) && folder.evaluation().exists() {
        return Ok("finished before".into());
    }
    let inputs = Inputs { grader: grader.clone(), ..inputs(&recipe, None, None)? };
    fs::create_dir_all(folder.path()).with_context(|| folder.path().display().to_string())?;
    let mut log = fs::File::options().create(true).append(true).open(folder.log())?;
    // Opened by the first report, when the run has the folder to itself.
    let mut recorder: Option<Recorder> = None;
    let (began, mut last, mut failed) = (std::time::Instant::now(), String::new(), None);
    let mut report = |m: &Metrics| -> Result<(), TrainError> {
        let mut keep = || -> Result<()> {
            let recorder = match &mut recorder {
                Some(recorder) => recorder,
                none => none.insert(Recorder::open(&folder, Vec::new())?),
            };
            for alarm in recorder.add(m)? {
                writeln!(log, "step {} of {}: {}: {}", m.step, m.stage, alarm.kind, alarm.message)?;
            }
            Ok(())
        };
        if let Err(error) = keep() {
            failed = Some(error);
            return Err(TrainError::Interrupted);
        }
        if m.stage == stage::EVALUATION && !m.values.is_empty() {
            last = m.values.iter().map(|(k, v)| format!("{k} {:.3}", v.as_f64().unwrap_or(f64::NAN))).collect::<Vec<_>>().join("  ");
        }
        Ok(())
    };
    let mut progress = Progress { report: &mut report, stop, checkpoint_every: recipe.checkpoint_every };
    let pool = rayon::ThreadPoolBuilder::new().num_threads(1).build()?;
    let result = pool.install(|| crate::train::run(&recipe, &inputs, &mut progress));
    match failed {
        Some(error) => Err(error),
        None => result.map_err(|e| anyhow!(e)).map(|()| format!("{last}  in {:.0} s", began.elapsed().as_secs_f64())),
    }
}
