//! Graders: problem, reference answer, completion and another answer, of every kind; the checks of steps that need no model.
#![no_main]

use libfuzzer_sys::fuzz_target;
use reasonscope::answer::{Ballot, Kind, Question, boxed, canonical, marked, option, same_math};
use reasonscope::check;
use reasonscope::task::{Problem, Task};
use reasonscope::trace::{Candidate, Segmentation, Trace, segment};
use reasonscope_fuzz::texts;

const KINDS: [Kind; 6] = [Kind::Number, Kind::Choice, Kind::Formula, Kind::Decision, Kind::Expression, Kind::Text];

fuzz_target!(|data: &[u8]| {
    let [text, reference, problem, other] = texts::<4>(data);
    for kind in KINDS.into_iter().chain([Kind::guess(&problem, Some(&reference)), Kind::guess(&problem, None)]) {
        let question = Question::new(kind, &problem, Some(&reference));
        let judged = question.judge(&text, false);
        assert!(judged.answer.as_ref().is_none_or(|a| !a.is_empty()));
        assert!(
            judged.correct != Some(true) || judged.flexible == Some(true),
            "{kind:?}: right when read strictly, wrong when read flexibly"
        );
        for (a, b) in [(&text, &reference), (&other, &reference), (&other, &text)] {
            assert_eq!(question.same(a, b), question.same(b, a), "{kind:?}: {a:?} and {b:?}");
        }
        if !question.canonical(&reference).is_empty() && kind != Kind::Formula {
            assert!(question.is_reference(&reference), "{kind:?}: {reference:?} is not itself");
        }
        let answers = [Some(text.as_str()), Some(&reference), None, Some(&other), Some(&reference)];
        let ballot = Ballot::new(&question, "id", answers);
        let votes = ballot.votes(|_| Some(1.0));
        assert!(
            votes.is_sorted_by(|a, b| a.weight >= b.weight) && votes.iter().map(|v| v.candidates.len()).sum::<usize>() <= answers.len()
        );
        assert!(ballot.answer_of(1) == ballot.answer_of(4));
    }
    for task in Task::ALL {
        let problem = Problem { id: "id".into(), text: problem.clone(), gold: Some(reference.clone()), tests: None };
        let _ = (task.judge(&problem, &text, false), task.judge(&problem, &text, true));
    }
    assert_eq!(same_math(&text, &other), same_math(&other, &text));
    let _ = (canonical(&text), marked(&text), boxed(&text), option(&text));
    let steps = segment(&text, &Segmentation::Auto);
    let candidate = Candidate { steps, text, answer: Some(other), ..Candidate::default() };
    check::signals(&candidate).iter().for_each(|s| assert!(check::makes(&s.name)));
    let trace = Trace { problem, gold_answer: Some(reference), candidates: vec![candidate], ..Trace::default() };
    let _ = check::lint::lint(&trace);
});
