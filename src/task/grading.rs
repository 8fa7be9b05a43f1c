//! Final answers of whole traces: by a task's grader or, where no task is named, by the kind of answer that the reference shows.

use super::Task;
use crate::answer::{Judged, Question};
use crate::trace::{Candidate, FinishReason, Trace};

/// The question that a trace puts; `None` for a task whose answers are programs.
fn question(task: Option<Task>, trace: &Trace) -> Option<Question<'_>> {
    let kind = task.and_then(Task::kind);
    (task.is_none() || kind.is_some()).then(|| Question::of(kind, &trace.problem, trace.gold_answer.as_deref()))
}

/// What a candidate of a trace answers and whether that is right, as the grader of `task` says; without a task, as the kind of answer that the reference
/// shows is graded. Programs are not run: nothing is known of them, nor of a candidate that failed before its writer was done.
pub fn judge(task: Option<Task>, trace: &Trace, candidate: &Candidate) -> Judged {
    match task {
        _ if candidate.has_failed() => Judged::default(),
        Some(task) => task.read(&trace.problem, trace.gold_answer.as_deref(), &candidate.text, candidate.is_cut()),
        None => question(None, trace).map(|q| q.judge(&candidate.text, candidate.is_cut())).unwrap_or_default(),
    }
}

/// Puts answers and verdicts to the candidates of a recorded trace.
///
/// A named task grades all of them anew, except programs, which keep what their file says. Without one, only what the file leaves open is filled in: the
/// answer that a text marks, and whether it is the reference. A text that marks none stays unknown unless its file says that its writer ended it there.
pub fn grade(task: Option<Task>, trace: &mut Trace) {
    let Some(question) = question(task, trace) else { return };
    let fill = |c: &Candidate| {
        if is_known(c, trace) {
            return None;
        }
        let judged = judge(task, trace, c);
        let answer = c.answer.clone().or(judged.answer);
        let compared = || trace.gold_answer.as_ref().and(answer.as_deref()).map(|a| question.is_reference(a));
        let ended = || judged.correct.filter(|_| c.finish == Some(FinishReason::Stop));
        let correct = c.correct.or_else(compared).or_else(ended);
        Some((answer, correct))
    };
    let anew = |c: &Candidate| {
        let judged = judge(task, trace, c);
        Some((judged.answer, judged.correct))
    };
    let found: Vec<_> = trace.candidates.iter().map(|c| if task.is_some() { anew(c) } else { fill(c) }).collect();
    for (c, found) in trace.candidates.iter_mut().zip(found) {
        if let Some(found) = found {
            (c.answer, c.correct) = found;
        }
    }
}

/// Whether [`grade`] without a task would find nothing to fill in.
pub fn is_graded(trace: &Trace) -> bool {
    trace.candidates.iter().all(|c| is_known(c, trace))
}

fn is_known(c: &Candidate, trace: &Trace) -> bool {
    c.answer.is_some() && (c.correct.is_some() || trace.gold_answer.is_none())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn candidate(text: &str, finish: Option<FinishReason>) -> Candidate {
        Candidate { text: text.into(), finish, ..Candidate::default() }
    }

    fn trace(reference: &str, candidates: Vec<Candidate>) -> Trace {
        Trace { id: "t".into(), problem: "Find it.".into(), gold_answer: Some(reference.into()), candidates, ..Trace::default() }
    }

    fn correct(trace: &Trace) -> Vec<Option<bool>> {
        trace.candidates.iter().map(|c| c.correct).collect()
    }

    #[test]
    fn what_a_file_leaves_open_is_filled_in() {
        let (stop, length) = (Some(FinishReason::Stop), Some(FinishReason::Length));
        let mut all = vec![
            candidate("so \\boxed{\\frac{\\sqrt2}{2}}", None),
            candidate("so I do not know", stop.clone()),
            candidate("so we have 3 *", length),
            candidate("so", None),
            candidate("so \\boxed{2}", None),
        ];
        all.push(Candidate { answer: Some("\\sqrt{1/2}".into()), ..candidate("as said", None) });
        all.push(Candidate { correct: Some(false), ..candidate("so \\boxed{\\frac1{\\sqrt2}}", stop) });
        let mut t = trace("\\frac1{\\sqrt2}", all);
        assert!(!is_graded(&t));
        grade(None, &mut t);
        assert_eq!(correct(&t), [Some(true), Some(false), None, None, Some(false), Some(true), Some(false)], "what a file says stands");
        assert_eq!(t.candidates[0].answer.as_deref(), Some("\\frac{\\sqrt2}{2}"));
        let judged = |i: usize| judge(None, &t, &t.candidates[i]);
        assert_eq!((judged(6).correct, judged(2).correct, judged(2).flexible), (Some(true), None, None));
        let before = t.clone();
        grade(None, &mut t);
        assert_eq!(t, before, "a second time finds nothing new");
    }

    #[test]
    fn a_task_grades_anew_and_runs_no_program() {
        let wrong = Candidate { correct: Some(false), answer: Some("7".into()), ..candidate("#### 18", None) };
        let mut t = trace("18", vec![wrong, candidate("18", None)]);
        assert!(!is_graded(&t));
        grade(Some(Task::Gsm8k), &mut t);
        assert_eq!((correct(&t), t.candidates[0].answer.as_deref()), (vec![Some(true), Some(false)], Some("18")));
        assert_eq!(judge(Some(Task::Gsm8k), &t, &t.candidates[1]).flexible, Some(true));
        t.candidates.truncate(1);
        assert!(is_graded(&t));
        let before = t.clone();
        grade(Some(Task::HumanEval), &mut t);
        assert_eq!(t, before);
        assert_eq!(judge(Some(Task::HumanEval), &t, &t.candidates[0]), Judged::default());
    }
}
