//! The flat records that are known, a row each: what tells them, and under which names their parts stand. To know one more is to add a row.

use super::Need::{Ends, List, One, Text, Without};
use super::{Names, Role, Shape};
use serde_json::{Map, Value};

const ROW: Shape =
    Shape { name: "records", needs: &[], roles: &[], signals: &[], strict: false, by_id: false, expert: false, told_by: None };

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
    "Question",
    "Problem",
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
    "Response",
];

/// Names that roles have where a shape names none.
pub const COMMON: &[Names] = &[
    (Role::Problem, PROBLEMS),
    (Role::Text, TEXTS),
    (
        Role::Reasoning,
        &[
            "reasoning",
            "reasoning_content",
            "reasoning_text",
            "thinking",
            "thought",
            "thoughts",
            "think",
            "reasonings",
            "model_reasoning",
            "Complex_CoT",
            "complex_cot",
        ],
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
pub static SHAPES: [Shape; 17] = [
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
        told_by: Some("filter"),
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
            (Role::Problem, &["input", "question", "problem"]),
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
    // A text in steps.
    Shape { name: "records", needs: &[One(PROBLEMS), List(&["steps", "solution_steps", "reasoning_steps"])], ..ROW },
    Shape { name: "records", needs: &[One(&["prompt"]), Text(&["text"])], roles: &[(Role::Text, &["text"])], ..ROW },
    // An expert's solution: LIMO and others.
    Shape {
        name: "solutions",
        needs: &[Text(PROBLEMS), Text(&["solution"])],
        roles: &[(Role::Text, &["solution"]), (Role::Solution, &["solution"]), (Role::Answer, &[])],
        expert: true,
        ..ROW
    },
    // What was answered alone, as HumanEval's samples are written.
    Shape {
        name: "records",
        needs: &[One(&["completion", "completions", "response", "responses", "generation", "generations", "model_output"])],
        ..ROW
    },
];

/// Whether several records of a file of this format tell of the same candidates, each by another judge.
pub fn tells_again(format: &str) -> bool {
    SHAPES.iter().any(|shape| shape.name == format && shape.told_by.is_some())
}

/// The first row that fits.
pub fn of_record(record: &Map<String, Value>) -> Option<&'static Shape> {
    SHAPES.iter().find(|shape| shape.fits(record))
}
