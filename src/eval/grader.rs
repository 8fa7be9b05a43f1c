//! Right or wrong, for every task: by the final answer, or, where a user allows it, by testing the program that a completion makes.

use crate::sandbox::{Outcome, Sandbox, SandboxError, Trial};
use crate::task::{CodeTests, Problem, Task};
use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

/// Grades completions of any task. May be shared between threads.
#[derive(Debug, Default)]
pub struct Grader {
    code: Option<Code>,
}

/// What grading programs takes.
#[derive(Debug)]
struct Code {
    sandbox: Sandbox,
    /// Programs that run at a time.
    threads: usize,
    /// Two hashes, each with keys of its own.
    hashers: [RandomState; 2],
    /// What is known of programs with their tests, by their hashes.
    known: Mutex<HashMap<[u64; 2], bool>>,
}

impl Grader {
    /// A grader that runs programs in `sandbox`, as many at a time as the machine has cores. The default one runs none.
    pub fn with_code(sandbox: Sandbox) -> Self {
        let threads = std::thread::available_parallelism().map_or(1, usize::from);
        let code = Code { sandbox, threads, hashers: [RandomState::new(), RandomState::new()], known: Mutex::default() };
        Self { code: Some(code) }
    }

    /// The same, with at most `threads` programs at a time; at least one.
    #[must_use]
    pub fn threads(mut self, threads: usize) -> Self {
        if let Some(code) = &mut self.code {
            code.threads = threads.max(1);
        }
        self
    }

    /// Where programs are run; `None` where they are not.
    pub fn sandbox(&self) -> Option<&Sandbox> {
        self.code.as_ref().map(|c| &c.sandbox)
    }

    /// Whether completions of a task can be graded: all but those of code without a sandbox.
    pub fn grades(&self, task: Task) -> bool {
        !task.runs_code() || self.code.is_some()
    }

    /// Whether a completion is right; `None` where the problem has neither reference answer nor tests, and where it is code that may not be run. A program is
    /// right if it passes its tests; one that passes a limit is wrong.
    ///
    /// # Errors
    /// A program could not be started, which says nothing of it.
    pub fn grade(&self, task: Task, problem: &Problem, completion: &str) -> Result<Option<bool>, SandboxError> {
        Ok(self.grade_all(task, &[(problem, completion)])?.first().copied().flatten())
    }

    /// As [`Grader::grade`], for many completions, each with its problem; programs run side by side, and the same program once.
    pub fn grade_all(&self, task: Task, items: &[(&Problem, &str)]) -> Result<Vec<Option<bool>>, SandboxError> {
        if !task.runs_code() {
            return Ok(items.iter().map(|(problem, text)| task.grade(problem, text)).collect());
        }
        let Some(code) = &self.code else { return Ok(vec![None; items.len()]) };
        let programs: Vec<Option<String>> = items.iter().map(|(p, text)| p.tests.as_ref().map(|t| t.program(text))).collect();
        let trials = items.iter().zip(&programs).map(|((p, _), program)| Some(trial(p.tests.as_ref()?, program.as_ref()?)));
        code.verdicts(&trials.collect::<Vec<_>>())
    }
}

/// What a program is put to. A grader's tests and prompt come from the problem, never from the completion.
pub fn trial<'a>(tests: &'a CodeTests, program: &'a str) -> Trial<'a> {
    Trial { program, setup: &tests.setup, prompt: &tests.prefix, entry_point: &tests.entry_point, tests: &tests.tests }
}

impl Code {
    fn key(&self, trial: &Trial<'_>) -> [u64; 2] {
        self.hashers.each_ref().map(|h| h.hash_one(trial))
    }

    /// Whether each program passes its tests.
    fn verdicts(&self, trials: &[Option<Trial<'_>>]) -> Result<Vec<Option<bool>>, SandboxError> {
        let keys: Vec<Option<[u64; 2]>> = trials.iter().map(|t| t.as_ref().map(|t| self.key(t))).collect();
        let mut verdicts: HashMap<[u64; 2], bool> = HashMap::new();
        let mut open: Vec<(Trial<'_>, [u64; 2])> = Vec::new();
        {
            let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
            let mut seen = std::collections::HashSet::new();
            for (trial, key) in trials.iter().flatten().zip(keys.iter().flatten()) {
                match known.get(key) {
                    Some(&right) => drop(verdicts.insert(*key, right)),
                    None if seen.insert(*key) => open.push((*trial, *key)),
                    None => {}
                }
            }
        }
        let outcomes = self.run(&open.iter().map(|o| o.0).collect::<Vec<_>>())?;
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        for ((_, key), outcome) in open.into_iter().zip(outcomes) {
            let right = outcome == Outcome::Completed;
            verdicts.insert(key, right);
            // Wall time depends on what else the machine does.
            if outcome != Outcome::WallTime {
                known.insert(key, right);
            }
        }
        Ok(keys.into_iter().map(|key| verdicts.get(&key?).copied()).collect())
    }

    /// Runs programs side by side; their outcomes in the same order.
    fn run(&self, trials: &[Trial<'_>]) -> Result<Vec<Outcome>, SandboxError> {
        let next = AtomicUsize::new(0);
        let work = || -> Result<Vec<(usize, Outcome)>, SandboxError> {
            let mut done = Vec::new();
            while let Some((i, trial)) = Some(next.fetch_add(1, Ordering::Relaxed)).and_then(|i| Some((i, trials.get(i)?))) {
                match self.sandbox.test(trial) {
                    Ok(run) => done.push((i, run.outcome)),
                    Err(error) => {
                        next.store(trials.len(), Ordering::Relaxed);
                        return Err(error);
                    }
                }
            }
            Ok(done)
        };
        let mut all = std::thread::scope(|scope| -> Result<Vec<(usize, Outcome)>, SandboxError> {
            let others: Vec<_> = (1..self.threads.min(trials.len())).map(|_| scope.spawn(work)).collect();
            let mut all = work();
            for other in others {
                let theirs =
                    other.join().unwrap_or_else(|_| Err(SandboxError::Setup { what: "a thread that runs programs broke off".into() }));
                all = all.and_then(|mut all| {
                    all.extend(theirs?);
                    Ok(all)
                });
            }
            all
        })?;
        all.sort_unstable_by_key(|o| o.0);
        Ok(all.into_iter().map(|o| o.1).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_a_sandbox_code_is_not_graded() {
        let grader = Grader::default();
        let tests = Some(CodeTests { tests: "assert f() == 1".into(), ..CodeTests::default() });
        let problem = Problem { gold: Some("4".into()), tests, ..Problem::default() };
        assert!(!grader.grades(Task::HumanEval) && grader.grades(Task::Gsm8k) && grader.sandbox().is_none());
        assert_eq!(grader.grade(Task::Mbpp, &problem, "def f(): return 1").unwrap(), None);
        let both = grader.grade_all(Task::Gsm8k, &[(&problem, "#### 4"), (&problem, "#### 5")]).unwrap();
        assert_eq!(both, [Some(true), Some(false)]);
    }
}
