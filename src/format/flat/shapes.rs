//! The flat records that are known, a row each: what tells them, and under which names their parts stand. To know one more is to add a row.

use super::path::find;
use serde_json::{Map, Value};
use std::hash::{Hash, Hasher};

/// What a part of a record is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Role {
    /// What is asked: a text, a list of messages, a chat template's text.
    Problem,
    /// What was answered: a text, messages, or a list of candidates.
    Text,
    /// Thoughts that stand beside the text.
    Reasoning,
    /// The reference answer.
    Gold,
    /// A reference solution, of which the answer is read where nothing else has it.
    Solution,
    /// The final answer that was found in the text.
    Answer,
    /// Whether that is right.
    Verdict,
    /// The text in steps.
    Steps,
    /// A label a step.
    Labels,
    /// The first wrong step, from 0; −1 or null for none.
    FirstError,
    /// The first wrong step, from 1; 0, null or `N/A` for none.
    FirstErrorFromOne,
    /// What tells the problem.
    Group,
    /// Who wrote the text.
    Policy,
    /// Why the text ended.
    Finish,
}

/// What a record must have to be of a shape.
#[derive(Clone, Copy, Debug)]
pub enum Need {
    /// A value under one of these paths.
    One(&'static [&'static str]),
    /// A text under one of these.
    Text(&'static [&'static str]),
    /// A list under one of these.
    List(&'static [&'static str]),
    /// A field whose name ends so.
    Ends(&'static [&'static str]),
    /// Nothing under any of these.
    Without(&'static [&'static str]),
}

/// Names of a role, the first that is there counts.
pub type Names = (Role, &'static [&'static str]);

/// A row: a kind of flat record.
#[derive(Debug)]
pub struct Shape {
    /// The producer's name, as in `Source::format`.
    pub name: &'static str,
    /// What tells it.
    pub needs: &'static [Need],
    /// Where its parts are; roles that are left out have the names of [`COMMON`].
    pub roles: &'static [Names],
    /// Numbers that have a name of their own, with their paths.
    pub signals: &'static [(&'static str, &'static str)],
    /// Whether only the roles that stand here are read, as where a user names them.
    pub strict: bool,
    /// Whether the id that [`Role::Group`] finds is the problem's; else records of one text are of one problem.
    pub by_id: bool,
    /// Whether the text is an expert's, that is right.
    pub expert: bool,
}

const ROW: Shape = Shape { name: "records", needs: &[], roles: &[], signals: &[], strict: false, by_id: false, expert: false };

impl Shape {
    /// The paths of a role.
    pub fn paths(&self, role: Role) -> &'static [&'static str] {
        let own = self.roles.iter().find(|(r, _)| *r == role).map(|(_, paths)| *paths);
        let common = || COMMON.iter().find(|(r, _)| *r == role).map(|(_, paths)| *paths);
        own.or_else(|| common().filter(|_| !self.strict)).unwrap_or_default()
    }

    /// Whether it is of nobody in particular, so that other formats are asked before it.
    pub fn is_common(&self) -> bool {
        matches!(self.name, "records" | "solutions")
    }

    /// Whether a record has what tells it.
    pub fn fits(&self, record: &Map<String, Value>) -> bool {
        self.needs.iter().all(|need| need.is_met(record))
    }
}

/// A shape is what it is by its place: the rows of the table and what users have named stay where they are.
impl PartialEq for Shape {
    fn eq(&self, other: &Self) -> bool {
        std::ptr::eq(self, other)
    }
}

impl Eq for Shape {}

impl Hash for Shape {
    fn hash<H: Hasher>(&self, state: &mut H) {
        std::ptr::from_ref(self).hash(state);
    }
}

impl Need {
    fn is_met(self, record: &Map<String, Value>) -> bool {
        let has = |path: &&str, test: &dyn Fn(&Value) -> bool| match record.get(*path) {
            Some(value) => test(value),
            None if path.contains('.') => {
                let (head, rest) = path.split_once('.').unwrap_or((path, ""));
                record.get(head).is_some_and(|inner| find(inner, rest).into_iter().any(test))
            }
            None => false,
        };
        match self {
            Self::One(paths) => paths.iter().any(|p| has(p, &|_| true)),
            Self::Text(paths) => paths.iter().any(|p| has(p, &Value::is_string)),
            Self::List(paths) => paths.iter().any(|p| has(p, &Value::is_array)),
            Self::Ends(ends) => record.keys().any(|key| ends.iter().any(|end| key.ends_with(end))),
            Self::Without(paths) => !paths.iter().any(|p| has(p, &|v| !v.is_null())),
        }
    }
}

use Need::{Ends, List, One, Text, Without};

/// Names under which a problem stands in the records of nobody in particular.
pub const PROBLEMS: &[&str] = &[
    "problem",
    "question",
    "prompt",
    "input_prompt",
    "query",
    "instruction",
    "input",
    "task_prompt",
    "user_prompt",
    "problem_statement",
    "doc.question",
    "doc.problem",
];

/// Names under which a candidate's text, or a list of them, stands.
const TEXTS: &[&str] = &[
    "completion",
    "completions",
    "generation",
    "generations",
    "response",
    "responses",
    "output_response",
    "output",
    "outputs",
    "model_output",
    "model_outputs",
    "generated_text",
    "generated_texts",
    "model_response",
    "model_completion",
    "full_response",
    "candidates",
    "samples",
    "rollouts",
    "trajectory",
    "cot",
    "chain_of_thought",
    "rationale",
    "predicted_solution",
    "model_solution",
    "generated_solution",
];

/// Names that roles have where a shape names none.
pub const COMMON: &[Names] = &[
    (Role::Problem, PROBLEMS),
    (Role::Text, TEXTS),
    (
        Role::Reasoning,
        &["reasoning", "reasoning_content", "reasoning_text", "thinking", "thought", "thoughts", "think", "reasonings", "model_reasoning"],
    ),
    (
        Role::Gold,
        &[
            "gold_answer",
            "gold",
            "ground_truth_answer",
            "ground_truth",
            "gts",
            "gt",
            "reference_answer",
            "correct_answer",
            "expected_answer",
            "target",
            "reward_model.ground_truth",
            "reward_spec.ground_truth",
            "env_extras.reward_spec.ground_truth",
            "extra_info.answer",
            "final_answer",
            "answer",
        ],
    ),
    (
        Role::Solution,
        &["solution", "ground_truth_solution", "reference_solution", "gold_solution", "expert_solution", "canonical_solution"],
    ),
    (
        Role::Answer,
        &[
            "pred",
            "preds",
            "prediction",
            "predictions",
            "predicted_answer",
            "predicted_answers",
            "extracted_answer",
            "extracted_answers",
            "pred_answer",
            "model_answer",
            "parsed_answer",
            "answer",
        ],
    ),
    (
        Role::Verdict,
        &[
            "correct",
            "is_correct",
            "correctness",
            "acc",
            "accuracy",
            "exact_match",
            "passed",
            "is_right",
            "verdict",
            "final_answer_correct",
            "is_pass",
            "success",
            "metrics.correct",
            "metrics.is_correct",
            "metrics.acc",
            "metrics.accuracy",
            "metrics.exact_match",
            "score.acc",
            "score.correct",
            "label",
        ],
    ),
    (Role::Steps, &["steps", "solution_steps", "reasoning_steps", "model_output_steps"]),
    (Role::Labels, &["labels", "step_labels", "label", "ratings", "step_ratings", "step_correctness"]),
    (Role::Group, &["problem_id", "question_id", "prompt_id", "example_id", "id", "idx", "unique_id", "uuid", "uid", "task_id"]),
    (Role::Policy, &["policy", "generator", "model", "model_name", "generation_model", "source_model"]),
    (
        Role::Finish,
        &[
            "finish_reason",
            "finish_reasons",
            "stop_reason",
            "done_reason",
            "is_truncated",
            "truncated",
            "is_reasoning_complete",
            "stop_condition",
            "is_completed",
        ],
    ),
];

/// Every row, those that tell more before those that tell less.
pub static SHAPES: [Shape; 14] = [
    // verl's `trainer.rollout_data_dir` and `validation_data_dir`: a line a sample; special tokens are left out of both texts.
    Shape {
        name: "verl",
        needs: &[One(&["input"]), Text(&["output"]), One(&["gts", "score", "step"])],
        roles: &[
            (Role::Problem, &["input"]),
            (Role::Text, &["output"]),
            (Role::Gold, &["gts", "ground_truth"]),
            (Role::Group, &["request_id", "uid"]),
        ],
        ..ROW
    },
    // SkyRL's dump of an evaluation.
    Shape { name: "skyrl", needs: &[One(&["input_prompt"]), One(&["output_response"])], ..ROW },
    // lm-evaluation-harness with --log_samples; a line a document and filter.
    Shape {
        name: "lm-eval",
        needs: &[List(&["resps"]), One(&["doc", "doc_id", "arguments"])],
        roles: &[
            (
                Role::Problem,
                &[
                    "doc.question",
                    "doc.problem",
                    "doc.Problem",
                    "doc.Question",
                    "doc.query",
                    "doc.prompt",
                    "doc.input",
                    "arguments.gen_args_0.arg_0",
                    "arguments[0][0]",
                    "arguments[0].arg_0",
                    "arguments.arg_0",
                    "doc.text",
                ],
            ),
            (Role::Text, &["resps"]),
            (Role::Gold, &["target", "doc.answer", "doc.target"]),
            (Role::Answer, &["filtered_resps"]),
            (Role::Group, &["doc_id"]),
        ],
        by_id: true,
        ..ROW
    },
    // search-and-learn: N completions with a reward model's scores of their steps.
    Shape {
        name: "search-and-learn",
        needs: &[One(PROBLEMS), List(&["completions"]), List(&["scores"])],
        roles: &[(Role::Text, &["completions"]), (Role::Gold, &["answer"]), (Role::Answer, &[]), (Role::Group, &["unique_id"])],
        ..ROW
    },
    Shape {
        name: "openr1-math",
        needs: &[
            List(&["generations"]),
            One(&["is_reasoning_complete", "correctness_math_verify", "correctness_llama", "correctness_count"]),
        ],
        roles: &[
            (Role::Text, &["generations"]),
            (Role::Verdict, &["correctness_math_verify", "correctness_llama"]),
            (Role::Finish, &["finish_reasons", "is_reasoning_complete"]),
            (Role::Gold, &["answer"]),
        ],
        ..ROW
    },
    // prime-rl's and verifiers' results of before 2026.
    Shape {
        name: "verifiers",
        needs: &[
            One(&["prompt"]),
            One(&["completion"]),
            One(&["reward", "rewards"]),
            One(&["example_id", "metrics", "is_truncated", "is_completed", "info", "env_id"]),
        ],
        roles: &[
            (Role::Problem, &["prompt"]),
            (Role::Text, &["completion"]),
            (Role::Gold, &["answer"]),
            (Role::Answer, &[]),
            (Role::Finish, &["is_truncated", "stop_condition", "is_completed"]),
            (Role::Group, &["example_id"]),
        ],
        by_id: true,
        ..ROW
    },
    // TRL's completions, of Parquet files or what was made of them: a column a reward function.
    Shape {
        name: "trl-completions",
        needs: &[One(&["prompt"]), One(&["completion"]), One(&["step", "advantage"])],
        roles: &[(Role::Problem, &["prompt"]), (Role::Text, &["completion"])],
        ..ROW
    },
    Shape {
        name: "trl-completions",
        needs: &[One(&["prompt"]), One(&["completion"]), Ends(&["_reward", "_reward_func", "_rewards"])],
        roles: &[(Role::Problem, &["prompt"]), (Role::Text, &["completion"])],
        ..ROW
    },
    // BIG-Bench Mistake: `mistake_index` counts from 0.
    Shape {
        name: "bigbench-mistake",
        needs: &[One(&["steps"]), One(&["mistake_index"])],
        roles: &[
            (Role::Text, &[]),
            (Role::Problem, &["input"]),
            (Role::Gold, &["target"]),
            (Role::Answer, &["answer"]),
            (Role::FirstError, &["mistake_index"]),
            (Role::Labels, &[]),
        ],
        ..ROW
    },
    // MR-GSM8K and MR-MATH: the first wrong step counts from 1.
    Shape {
        name: "mr-gsm8k",
        needs: &[One(&["model_output_steps"])],
        roles: &[
            (Role::Text, &[]),
            (Role::Steps, &["model_output_steps"]),
            (Role::Gold, &["ground_truth_answer"]),
            (Role::Verdict, &["model_output_answer_correctness"]),
            (Role::FirstErrorFromOne, &["model_output_solution_first_error_step"]),
            (Role::Labels, &[]),
        ],
        ..ROW
    },
    // Nemotron post-training data: `input` is a list of messages or a text.
    Shape {
        name: "nemotron",
        needs: &[One(&["input"]), Text(&["output"]), One(&["used_in_training", "system_prompt", "category"])],
        roles: &[(Role::Problem, &["input"]), (Role::Text, &["output"]), (Role::Reasoning, &[])],
        ..ROW
    },
    // Whatever has a problem and what was answered.
    Shape { name: "records", needs: &[One(PROBLEMS), One(TEXTS)], ..ROW },
    // Thoughts and an answer beside each other.
    Shape {
        name: "records",
        needs: &[One(PROBLEMS), Text(&["reasoning", "reasoning_content", "thinking", "thought"]), Without(&["messages"])],
        roles: &[(Role::Text, &["content", "final_response", "reply", "attempt"])],
        ..ROW
    },
    // An expert's solution: LIMO and others.
    Shape {
        name: "solutions",
        needs: &[Text(PROBLEMS), Text(&["solution"])],
        roles: &[(Role::Text, &["solution"]), (Role::Solution, &["solution"]), (Role::Answer, &[])],
        expert: true,
        ..ROW
    },
];

/// The first row that fits.
pub fn of_record(record: &Map<String, Value>) -> Option<&'static Shape> {
    SHAPES.iter().find(|shape| shape.fits(record))
}
