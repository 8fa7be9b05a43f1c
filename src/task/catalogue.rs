//! Where the data of every task comes from.

use super::Task;
use serde::Serialize;

/// A task's public data.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Source {
    /// The task.
    pub task: Task,
    /// What it is, in a line.
    pub about: &'static str,
    /// Licence of the data.
    pub licence: &'static str,
    /// Who published it, and where it is described.
    pub origin: &'static str,
    /// Fields that are read.
    pub fields: &'static str,
    /// Parts that can be fetched from the Hugging Face hub.
    pub splits: &'static [SplitFiles],
}

/// One part of a data set on the hub.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct SplitFiles {
    /// Its name here.
    pub name: &'static str,
    /// The repository.
    pub repo: &'static str,
    /// Its files there, in order; their names are the same at every revision.
    pub files: &'static [&'static str],
    /// Records at the time of writing.
    pub records: usize,
    /// Fetched only where it is named, being large or for few.
    pub on_request: bool,
    /// What it is good for.
    pub note: &'static str,
}

impl SplitFiles {
    const fn new(name: &'static str, repo: &'static str, files: &'static [&'static str], records: usize, note: &'static str) -> Self {
        Self { name, repo, files, records, on_request: false, note }
    }
}

/// Every task's data, in the order of [`Task::ALL`].
pub const CATALOGUE: &[Source] = &[
    Source {
        task: Task::Stories,
        about: "multi-step arithmetic stories, made by this program; every line can be checked",
        licence: "this program's",
        origin: "task::stories",
        fields: "made from (split, seed, index); files: problem, solution, answer",
        splits: &[],
    },
    Source {
        task: Task::Gsm8k,
        about: "grade-school word problems with solutions a step a line",
        licence: "MIT",
        origin: "OpenAI, grade-school-math; arXiv 2110.14168",
        fields: "question, answer (ends in #### N)",
        splits: &[
            SplitFiles::new("train", "openai/gsm8k", &["main/train-00000-of-00001.parquet"], 7473, "demonstrations"),
            SplitFiles::new("test", "openai/gsm8k", &["main/test-00000-of-00001.parquet"], 1319, "evaluation"),
        ],
    },
    Source {
        task: Task::Math,
        about: "competition problems with solutions in LaTeX",
        licence: "MIT",
        origin: "Hendrycks et al.; arXiv 2103.03874",
        fields: "problem, solution (boxes the answer), level, type; math500 also answer",
        splits: &[
            SplitFiles::new("train", "EleutherAI/hendrycks_math", MATH_TRAIN, 7500, "demonstrations"),
            SplitFiles::new("test", "EleutherAI/hendrycks_math", MATH_TEST, 5000, "evaluation"),
            SplitFiles::new("math500", "HuggingFaceH4/MATH-500", &["test.jsonl"], 500, "evaluation; a part of the test set"),
        ],
    },
    Source {
        task: Task::MmluPro,
        about: "questions of 14 domains with up to ten options",
        licence: "MIT (hub card); Apache-2.0 (repository)",
        origin: "TIGER-Lab; arXiv 2406.01574",
        fields: "question_id, question, options, answer (a letter), category, cot_content",
        splits: &[
            SplitFiles::new(
                "validation",
                "TIGER-Lab/MMLU-Pro",
                &["data/validation-00000-of-00001.parquet"],
                70,
                "demonstrations: the only ones with solutions",
            ),
            SplitFiles::new("test", "TIGER-Lab/MMLU-Pro", &["data/test-00000-of-00001.parquet"], 12_032, "evaluation"),
        ],
    },
    Source {
        task: Task::MedReason,
        about: "medical questions with reasoning along a knowledge graph",
        licence: "Apache-2.0 (hub card)",
        origin: "UCSC-VLAA; arXiv 2504.00993",
        fields: "question, options, answer, reasoning",
        splits: &[SplitFiles::new("train", "UCSC-VLAA/MedReason", &["ours_quality_33000.jsonl"], 32_682, "demonstrations")],
    },
    Source {
        task: Task::PubMedQa,
        about: "questions about abstracts, answered yes, no or maybe",
        licence: "MIT",
        origin: "Jin et al.; arXiv 1909.06146",
        fields: "question, context.contexts, long_answer, final_decision (published: QUESTION, CONTEXTS, LONG_ANSWER)",
        splits: &[
            SplitFiles::new(
                "labeled",
                "qiaojin/PubMedQA",
                &["pqa_labeled/train-00000-of-00001.parquet"],
                1000,
                "labelled by experts; half of it is the published test set",
            ),
            SplitFiles {
                on_request: true,
                ..SplitFiles::new(
                    "artificial",
                    "qiaojin/PubMedQA",
                    &["pqa_artificial/train-00000-of-00001.parquet"],
                    211_269,
                    "demonstrations, labelled by rule; no maybe",
                )
            },
        ],
    },
    Source {
        task: Task::Countdown,
        about: "reach a number from given ones; expert traces with trial and correction",
        licence: "none stated",
        origin: "fanconic/expert_reasoning (a repository, not on the hub); arXiv 2510.01857",
        fields: "question, target (the thought), answer (an expression), reward_model.nums, reward_model.target",
        splits: &[],
    },
    Source {
        task: Task::HumanEval,
        about: "Python functions to complete, with tests",
        licence: "MIT",
        origin: "OpenAI; arXiv 2107.03374",
        fields: "task_id, prompt, canonical_solution, test, entry_point",
        splits: &[SplitFiles::new("test", "openai/openai_humaneval", &["openai_humaneval/test-00000-of-00001.parquet"], 164, "evaluation")],
    },
    Source {
        task: Task::Mbpp,
        about: "short Python programs from a sentence, with tests",
        licence: "CC-BY-4.0",
        origin: "Google Research; arXiv 2108.07732",
        fields: "task_id, text or prompt, code, test_list",
        splits: &[
            SplitFiles::new("train", "google-research-datasets/mbpp", &["full/train-00000-of-00001.parquet"], 374, "demonstrations"),
            SplitFiles::new("validation", "google-research-datasets/mbpp", &["full/validation-00000-of-00001.parquet"], 90, "choosing"),
            SplitFiles::new("test", "google-research-datasets/mbpp", &["full/test-00000-of-00001.parquet"], 500, "evaluation"),
            SplitFiles::new(
                "sanitized-test",
                "google-research-datasets/mbpp",
                &["sanitized/test-00000-of-00001.parquet"],
                257,
                "evaluation; checked by hand",
            ),
        ],
    },
];

const MATH_TRAIN: &[&str] = &[
    "algebra/train-00000-of-00001.parquet",
    "counting_and_probability/train-00000-of-00001.parquet",
    "geometry/train-00000-of-00001.parquet",
    "intermediate_algebra/train-00000-of-00001.parquet",
    "number_theory/train-00000-of-00001.parquet",
    "prealgebra/train-00000-of-00001.parquet",
    "precalculus/train-00000-of-00001.parquet",
];

const MATH_TEST: &[&str] = &[
    "algebra/test-00000-of-00001.parquet",
    "counting_and_probability/test-00000-of-00001.parquet",
    "geometry/test-00000-of-00001.parquet",
    "intermediate_algebra/test-00000-of-00001.parquet",
    "number_theory/test-00000-of-00001.parquet",
    "prealgebra/test-00000-of-00001.parquet",
    "precalculus/test-00000-of-00001.parquet",
];

impl Task {
    /// Where the task's data comes from.
    pub fn source(self) -> Option<&'static Source> {
        CATALOGUE.iter().find(|s| s.task == self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn every_task_is_listed_once_with_plain_names() {
        let tasks: Vec<Task> = CATALOGUE.iter().map(|s| s.task).collect();
        assert_eq!(tasks, Task::ALL);
        for source in CATALOGUE {
            let names: HashSet<&str> = source.splits.iter().map(|s| s.name).collect();
            assert_eq!(names.len(), source.splits.len());
            for split in source.splits {
                assert!(split.repo.split('/').count() == 2 && !split.files.is_empty() && split.records > 0);
                assert!(split.files.iter().all(|f| f.ends_with(".parquet") || f.ends_with(".jsonl")));
            }
        }
    }
}
