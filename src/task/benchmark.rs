//! The benchmarks by name: reading their records, grading completions.

use super::record::{Record, field};
use super::{CodeTests, Demonstration, Problem, TaskError, code, countdown, gsm8k, math, options, pubmedqa, stories};
use crate::answer::{Judged, Kind, Question};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::io::BufRead;

/// A benchmark.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Task {
    /// This crate's own procedural stories, as native records.
    Stories,
    /// GSM8K: `question`, `answer` with `####`.
    Gsm8k,
    /// MATH: `problem`, `solution` with `\boxed{}`, or `final_answer`.
    Math,
    /// MMLU-Pro: `question`, `options`, `answer` (a letter), `cot_content`.
    #[serde(rename = "mmlu_pro")]
    MmluPro,
    /// MedReason: `question`, `options`, `answer`, `reasoning`.
    MedReason,
    /// PubMedQA: `QUESTION`, `CONTEXTS`, `LONG_ANSWER`, `final_decision`.
    PubMedQa,
    /// Countdown: `question`, `target` (the thought), `answer` (an expression), `reward_model.nums` and `.target`.
    Countdown,
    /// HumanEval: `prompt`, `canonical_solution`, `test`, `entry_point`.
    HumanEval,
    /// MBPP: `prompt` or `text`, `code`, `test_list`, `test_imports` or `test_setup_code`; or the fields of HumanEval.
    Mbpp,
}

impl Task {
    /// Every task.
    pub const ALL: [Task; 9] = [
        Task::Stories,
        Task::Gsm8k,
        Task::Math,
        Task::MmluPro,
        Task::MedReason,
        Task::PubMedQa,
        Task::Countdown,
        Task::HumanEval,
        Task::Mbpp,
    ];

    /// Its name in recipes and on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Task::Stories => "stories",
            Task::Gsm8k => "gsm8k",
            Task::Math => "math",
            Task::MmluPro => "mmlu_pro",
            Task::MedReason => "medreason",
            Task::PubMedQa => "pubmedqa",
            Task::Countdown => "countdown",
            Task::HumanEval => "humaneval",
            Task::Mbpp => "mbpp",
        }
    }

    /// The task of this name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|t| t.name() == name)
    }

    /// Reads problems from JSON lines: the fields of the task's files on the Hugging Face hub, or native ones (`problem`, `answer`). Blank lines are
    /// skipped; each record stands by itself, so a caller may report a bad one and go on.
    ///
    /// Ids are `<task>-<the record's own>` or, where it has none, `<task>-<file>-<index>`, the index counted over the records from 0.
    ///
    /// # Errors
    /// Per record: unreadable source, invalid JSON, a missing field.
    pub fn problems<'a>(self, reader: impl BufRead + 'a, origin: &'a str) -> impl Iterator<Item = Result<Problem, TaskError>> + 'a {
        self.records(reader, origin).map(|record| record.map(|(_, id, r, tests)| Problem { id, text: r.text, gold: r.gold, tests }))
    }

    /// Reads problems with their expert solutions, as [`Task::problems`] does; native records have a `solution` too.
    ///
    /// # Errors
    /// Per record, besides: no solution, or one whose final answer is not the reference answer.
    pub fn demonstrations<'a>(
        self,
        reader: impl BufRead + 'a,
        origin: &'a str,
    ) -> impl Iterator<Item = Result<Demonstration, TaskError>> + 'a {
        self.records(reader, origin).map(move |record| {
            let (line, id, Record { text, solution, gold }, tests) = record?;
            let problem = Problem { id, text, gold, tests };
            let checked = solution.and_then(|solution| match (self.grade(&problem, &solution), &problem.gold) {
                (Some(false), Some(gold)) => Err(format!("the solution does not end in the reference answer {gold:?}")),
                _ => Ok(solution),
            });
            match checked {
                Ok(solution) => Ok(Demonstration { problem, solution }),
                Err(reason) => Err(TaskError::Record { origin: origin.into(), line, reason }),
            }
        })
    }

    /// Of which kind the final answers are; `None` where they are programs.
    pub fn kind(self) -> Option<Kind> {
        match self {
            Task::Stories | Task::Gsm8k => Some(Kind::Number),
            Task::Math => Some(Kind::Formula),
            Task::MmluPro | Task::MedReason => Some(Kind::Choice),
            Task::PubMedQa => Some(Kind::Decision),
            Task::Countdown => Some(Kind::Expression),
            Task::HumanEval | Task::Mbpp => None,
        }
    }

    /// The final answer of a completion and whether it is right, read strictly and flexibly (see [`Judged`]); all unknown where only running code can
    /// tell (HumanEval, MBPP). A completion that marks no answer is wrong, but one that was `cut` off before its writer ended it is unknown.
    pub fn judge(self, problem: &Problem, completion: &str, cut: bool) -> Judged {
        self.read(&problem.text, problem.gold.as_deref(), completion, cut)
    }

    /// The same for the text of a problem and its reference answer.
    pub(super) fn read(self, problem: &str, gold: Option<&str>, completion: &str, cut: bool) -> Judged {
        let Some(kind) = self.kind() else { return Judged::default() };
        let question = Question::new(kind, problem, gold);
        let mut judged = question.judge(completion, cut);
        if self == Task::Stories {
            // The stories' own rule: a line `#### n` and nothing else in it.
            judged.answer = stories::final_answer(completion).map(|n| n.to_string());
            let right = judged.answer.as_ref().is_some_and(|a| question.is_reference(a));
            judged.correct = (gold.is_some() && (judged.answer.is_some() || !cut)).then_some(right);
            judged.flexible = judged.correct.map(|right| right || judged.flexible == Some(true));
        }
        judged
    }

    /// Whether the final answer of a completion that its writer ended is right; see [`Task::judge`].
    pub fn grade(self, problem: &Problem, completion: &str) -> Option<bool> {
        self.judge(problem, completion, false).correct
    }

    /// Whether answers are programs, which only running tells right from wrong.
    pub fn runs_code(self) -> bool {
        matches!(self, Task::HumanEval | Task::Mbpp)
    }

    /// Line, id, contents and tests of every record.
    fn records<'a>(
        self,
        reader: impl BufRead + 'a,
        origin: &'a str,
    ) -> impl Iterator<Item = Result<(usize, String, Record, Option<CodeTests>), TaskError>> + 'a {
        let file = origin.rsplit(['/', '\\']).next().and_then(|f| f.split('.').next()).unwrap_or_default();
        let mut index = 0;
        reader.lines().enumerate().filter_map(move |(i, text)| {
            let text = match text {
                Ok(text) if text.trim().is_empty() => return None,
                Ok(text) => text,
                Err(error) => return Some(Err(TaskError::Io { origin: origin.into(), error })),
            };
            index += 1;
            let read = parse(&text).and_then(|value| {
                let id = own_id(&value).unwrap_or_else(|| format!("{file}-{}", index - 1));
                // In HumanEval's form, MBPP has lost the import that some of its solutions and tests need.
                let setup = if self == Task::Mbpp { "import math" } else { "" };
                let tests = if self.runs_code() { code::tests(&value, setup)? } else { None };
                Ok((i + 1, format!("{}-{id}", self.name()), self.record(&value)?, tests))
            });
            Some(read.map_err(|reason| TaskError::Record { origin: origin.into(), line: i + 1, reason }))
        })
    }

    fn record(self, value: &Value) -> Result<Record, String> {
        let record = match self {
            Task::Gsm8k => gsm8k::record,
            Task::Math => math::record,
            Task::MmluPro => options::mmlu_pro,
            Task::MedReason => options::med_reason,
            Task::PubMedQa => pubmedqa::record,
            Task::Countdown => countdown::record,
            Task::HumanEval | Task::Mbpp => code::record,
            Task::Stories => native,
        };
        if value.get("problem").is_some() && self != Task::Math { native(value) } else { record(value) }
    }
}

fn parse(line: &str) -> Result<Value, String> {
    if line.trim_start().starts_with('[') {
        return Err("a JSON list; expected one object a line (`jq -c '.[]'` makes lines of a list)".into());
    }
    serde_json::from_str(line).map_err(|e| format!("not JSON ({e}); expected one object a line"))
}

fn own_id(value: &Value) -> Option<String> {
    let found = ["id", "unique_id", "task_id", "question_id", "pubid"].iter().find_map(|name| value.get(name))?;
    found.as_str().map(str::to_owned).or_else(|| found.as_i64().map(|n| n.to_string()))
}

/// `problem`, `solution`, `answer`: a text or a number.
fn native(value: &Value) -> Result<Record, String> {
    let answer = value.get("answer");
    let gold = answer.and_then(Value::as_str).map(str::to_owned).or_else(|| answer.and_then(Value::as_number).map(ToString::to_string));
    Ok(Record { text: field(value, "problem")?.trim().into(), solution: field(value, "solution").map(|s| s.trim_end().into()), gold })
}
