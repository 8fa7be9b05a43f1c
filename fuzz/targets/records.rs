//! Problems and demonstrations of every task, as they are downloaded.
#![no_main]

use libfuzzer_sys::fuzz_target;
use reasonscope::task::{Task, TrainingProblems};

fuzz_target!(|data: &[u8]| {
    for task in Task::ALL {
        for problem in task.problems(data, "data/problems.jsonl").flatten() {
            assert!(problem.id.starts_with(task.name()));
            let _ = task.judge(&problem, &problem.text, false);
            if let Some(tests) = &problem.tests {
                let _ = tests.program(&problem.text);
            }
        }
        for demonstration in task.demonstrations(data, "data/problems.jsonl").flatten() {
            assert_ne!(task.grade(&demonstration.problem, &demonstration.solution), Some(false), "an expert's solution is wrong");
        }
    }
    if let Ok(seen) = TrainingProblems::from_bytes(data) {
        assert_eq!(TrainingProblems::from_bytes(&seen.to_bytes()).as_ref(), Ok(&seen));
    }
});
