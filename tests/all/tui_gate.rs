//! Where a reward model does not hold, and what judges there: the inspector on text that it has not learned on.

use crate::tui_fixture::{PROBLEM, Screen, Setup, calibration, candidate};
use reasonscope::runtime::{ModelsStatus, Request, Slot, Update};
use reasonscope::trace::{Candidate, Domain, GoldDeviation, Measure, REWARD, Signal, Token, Trace, TraceEvent};

fn wide() -> Setup {
    Setup { size: (120, 40), ..Setup::default() }
}

fn domain(problem: f32) -> Domain {
    let ordinary = |value| Measure { value: Some(value), limit: -1.5 };
    let vocabulary = Measure { value: Some(0.97), limit: 0.9 };
    Domain { task: "stories".into(), problem: ordinary(problem), text: ordinary(-0.2), vocabulary, false_alarm_rate: 0.01 }
}

/// A candidate whose reward model says how likely the problem is to it.
fn judged(k: usize, problem: f32) -> Candidate {
    let mut c = candidate(k);
    c.signals.iter_mut().filter(|s| s.name == REWARD).for_each(|s| s.domain = Some(domain(problem)));
    c
}

fn without_logprobs(mut c: Candidate) -> Candidate {
    c.tokens.clear();
    c
}

fn trace(id: &str, candidates: Vec<Candidate>) -> Trace {
    Trace { id: id.into(), problem: PROBLEM.into(), candidates, ..Trace::default() }
}

fn ready(policy: bool) -> Update {
    let slot = |name: &str| Slot::Ready { name: name.into(), about: "fake".into() };
    let policy_slot = if policy { slot("models/small") } else { Slot::Absent };
    Update::Models(ModelsStatus { policy: policy_slot, policy_reads: policy, calibration: calibration(), ..ModelsStatus::default() })
}

fn with_models() -> Setup {
    Setup { live: false, ..wide() }
}

#[test]
fn verdicts_are_withheld_outside_and_shown_to_who_insists() {
    let three = || [7, 4, 0].map(|k| without_logprobs(judged(k, -6.25))).to_vec();
    let mut s =
        Screen::with(wide(), vec![trace("foreign", three()), trace("own", [7, 4, 0].map(|k| without_logprobs(judged(k, -0.5))).to_vec())]);
    s.updates([ready(false)]);
    s.keys("<ret>");
    let text = s.text();
    let head = text.lines().find(|l| l.contains("3 candidates") || l.contains("outside")).unwrap();
    assert!(head.contains("outside stories"), "{text}");
    assert!(text.contains("nothing ranks them") && !text.contains("ranked by"), "{text}");
    assert!(!text.contains("first deviation") && !text.contains("deviates"), "{text}");
    assert!(!text.contains('▼') && !text.contains('▓'), "no value has a side:\n{text}");
    s.keys("v");
    let text = s.text();
    assert!(!text.contains('▼') && !text.contains('▓'), "no value has a side:\n{text}");
    assert!(text.lines().any(|l| l.contains("▸~A bakery")) && text.contains("withheld (!)"), "list and step say so:\n{text}");
    assert!(text.contains("problem 6.2 nats a token, its own 1.5 at most"), "{text}");
    assert!(text.contains("reward.min"), "the numbers are there:\n{text}");
    s.keys("]e");
    assert!(s.text().contains("no deviation is marked"), "{}", s.text());
    // `!` shows them, and hides them again.
    s.keys("!");
    let text = s.text();
    assert!(text.contains("first deviation") && text.contains("believed"), "{text}");
    s.keys("!");
    assert!(!s.text().contains("first deviation"), "{}", s.text());
    // The task's own text is judged.
    s.keys("J v");
    let text = s.text();
    assert!(text.contains("ranked by reward.min, mean") && !text.contains("outside"), "{text}");
}

#[test]
fn surprisal_judges_what_lies_outside() {
    let mut s = Screen::with(wide(), vec![trace("foreign", (0..8).map(|k| judged(k, -6.25)).collect())]);
    s.updates([ready(false)]);
    s.keys("<ret>");
    let text = s.text();
    assert!(text.contains("ranked by surprisal.sum, mean"), "{text}");
    assert!(text.contains("outside stories") && text.contains("least expected 25 %"), "{text}");
    let marked = text.lines().filter(|l| l.contains('#') && l.contains('✗')).count();
    assert!(marked > 0, "{text}");
}

#[test]
fn a_step_whose_equation_does_not_hold_is_marked_without_any_model() {
    let bare = |k| {
        let mut c = without_logprobs(candidate(k));
        c.signals.clear();
        c
    };
    let mut s = Screen::with(wide(), vec![trace("t", vec![bare(2)])]);
    s.keys("<ret>");
    let text = s.text();
    assert!(text.contains("first deviation") && text.contains("an equation in it does not hold"), "{text}");
    assert!(text.contains("name a model with --reward"), "{text}");
}

#[test]
fn a_policy_reads_what_is_on_screen_first_and_marks_once_there_are_texts_enough() {
    let recorded = |k: usize| {
        let mut c = without_logprobs(candidate(k));
        c.signals.clear();
        c.gold = Some(if k.is_multiple_of(2) { GoldDeviation::None } else { GoldDeviation::Step(1) });
        trace(&format!("t-{k}"), vec![c])
    };
    let traces: Vec<Trace> = (0..8).map(recorded).collect();
    let mut s = Screen::with(with_models(), traces);
    s.updates([ready(true)]);
    s.keys("<ret>");
    let mut answered = 0;
    for round in 0..20 {
        let reads: Vec<(u64, usize, bool)> = s.sent[answered..]
            .iter()
            .filter_map(|r| match r {
                Request::Read { id, candidates, urgent, .. } => Some((*id, candidates.len(), *urgent)),
                _ => None,
            })
            .collect();
        answered = s.sent.len();
        let Some((id, n, urgent)) = reads.last().copied() else { break };
        assert_eq!((n, urgent), (1, round == 0), "the one on screen first, then those near the cursor");
        if round == 0 {
            assert!(s.text().contains("not scored yet"), "{}", s.text());
        }
        // What the fixture's own tokens say of the text.
        let tokens: Vec<Token> = candidate(round).tokens;
        let (a, b) = tokens.split_at(3);
        s.updates([
            Update::Event { id, event: TraceEvent::Read { candidate: 0, from: 0, tokens: a.to_vec() } },
            Update::Event { id, event: TraceEvent::Read { candidate: 0, from: 3, tokens: b.to_vec() } },
            Update::Done { id, tokens_per_second: None },
        ]);
        let text = s.text();
        assert!(round == 7 || text.contains("marks from 8 texts on") || text.contains("no threshold"), "{round}:\n{text}");
    }
    let text = s.text();
    assert!(text.contains("best F1 on the labels of these 8 texts") || text.contains("best F1 here"), "{text}");
    assert!(text.contains("surprisal.sum"), "{text}");
}

#[test]
fn what_a_file_says_of_its_tokens_stays_and_a_new_request_puts_the_old_one_off() {
    let mut bare = without_logprobs(candidate(1));
    bare.signals.clear();
    let mut own = candidate(0);
    own.signals.clear();
    let mut s = Screen::with(with_models(), vec![trace("mixed", vec![own.clone(), bare.clone()]), trace("next", vec![bare])]);
    s.updates([ready(true)]);
    s.keys("<ret>");
    let Some(Request::Read { id, candidates, urgent: true, .. }) = s.sent.last().cloned() else { panic!("{:?}", s.sent) };
    assert!(candidates[0].text.is_empty() && !candidates[1].text.is_empty(), "the first has log-probabilities in the file");
    s.keys("J");
    let asked: Vec<&Request> = s.sent.iter().skip_while(|r| !matches!(r, Request::Cancel { .. })).collect();
    assert!(matches!(asked[..], [Request::Cancel { id: cancelled }, Request::Read { urgent: true, .. }] if *cancelled == id), "{asked:?}");
    s.keys("K");
    let again = s.sent.iter().filter(|r| matches!(r, Request::Read { .. })).count();
    assert_eq!(again, 3, "what was put off is asked for again");
}

#[test]
fn a_number_of_the_file_ranks_whatever_a_model_says_of_itself() {
    let with = |k: usize, score: f32| {
        let mut c = without_logprobs(judged(k, -6.25));
        c.put_signal(Signal::given("score", score));
        c
    };
    let mut s = Screen::with(wide(), vec![trace("t", vec![with(0, 0.25), with(2, 0.75)])]);
    s.keys("<ret>");
    assert!(s.text().contains("ranked by score"), "{}", s.text());
}
