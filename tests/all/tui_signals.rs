//! Any signal ranks, colours and marks: what the inspector makes of candidates that several signals judge.

use crate::tui_fixture::{PROBLEM, Screen, Setup, candidate, ready};
use reasonscope::runtime::Request;
use reasonscope::trace::{Candidate, Segmentation, Signal, Statistic, TokenClass, Trace, segment};

fn line<'a>(text: &'a str, word: &str) -> &'a str {
    text.lines().find(|l| l.contains(word)).unwrap_or_else(|| panic!("{word:?} is not in\n{text}"))
}

fn trace(candidates: Vec<Candidate>) -> Vec<Trace> {
    vec![Trace { id: "t".into(), problem: PROBLEM.into(), candidates, ..Trace::default() }]
}

/// Candidates without any signal.
fn bare(k: usize) -> Candidate {
    let mut c = candidate(k);
    c.tokens.clear();
    c.signals.clear();
    c
}

fn open(setup: Setup, candidates: Vec<Candidate>) -> Screen {
    let mut s = Screen::with(setup, trace(candidates));
    s.keys("<ret>");
    s
}

fn wide() -> Setup {
    Setup { size: (120, 40), ..Setup::default() }
}

/// The numbers of the candidates on the board, from the top.
fn order(text: &str) -> Vec<usize> {
    let rows = text.lines().skip_while(|l| !l.contains("rank") || !l.contains("answer")).skip(1);
    rows.map_while(|l| l.split_once('#')?.1.split_whitespace().next()?.parse().ok()).collect()
}

#[test]
fn the_files_own_number_ranks_and_has_a_column_with_its_name() {
    let with = |k: usize, score: f32| {
        let mut c = candidate(k);
        c.put_signal(Signal::given("score", score));
        c
    };
    // The reward model thinks little of the third candidate.
    let mut s = open(wide(), vec![with(0, 0.25), with(1, 0.5), with(2, 0.75)]);
    let text = s.text();
    assert!(text.contains("ranked by score"), "{text}");
    assert_eq!(order(&text), [3, 2, 1], "{text}");
    let head = line(&text, "rank ");
    assert!(head.contains(" score") && head.contains("reward"), "the other reward has a column, too: {head}");
    assert!(line(&text, " #3 ").contains("+0.75"), "{text}");
    assert!(line(&text, "step 1/").contains("reward.min ▲"), "what knows steps colours them:\n{text}");
    s.keys("S S");
    let text = s.text();
    assert!(text.contains("ranked by reward.min, mean"), "{text}");
    assert_eq!(order(&text).last(), Some(&3), "{text}");
    assert!(line(&text, " #3 ").contains("+0.75"), "the file's own stays on the board:\n{text}");
}

#[test]
fn nothing_ranks_or_marks_what_nothing_judges() {
    let mut s = open(wide(), vec![bare(0), bare(4)]);
    let text = s.text();
    assert!(text.contains("nothing ranks them"), "{text}");
    assert!(text.contains("--reward"), "it is said how to name a model:\n{text}");
    for row in text.lines().filter(|l| l.contains(" #1 ") || l.contains(" #2 ")).take(2) {
        assert!(row.contains("·  #") && !row.contains("0.0") && !row.contains("✗1"), "{row}");
    }
    s.keys("]e");
    assert!(s.text().contains("no deviation is marked"));
    s.keys("v");
    assert!(!s.text().contains("first deviation"));
}

#[test]
fn where_two_signals_disagree_a_second_mark_is_seen() {
    let disagreeing = || {
        let mut c = candidate(5);
        let steps = c.steps.len();
        c.put_signal(Signal::given_steps("prm", (0..steps).map(|i| Some(if i < 4 { 0.9 } else { 0.1 })).collect()));
        c
    };
    for (ascii, glyph) in [(false, "≠"), (true, "?")] {
        let mut s = open(Setup { ascii, ..wide() }, vec![disagreeing(), candidate(0)]);
        let text = s.text();
        assert!(line(&text, " #1 ").contains(&format!("{glyph}3")), "the file's own marks step 5, the reward model's step 3:\n{text}");
        s.keys("v");
        let text = s.text();
        assert!(line(&text, "first deviation by reward.min").contains(glyph), "{text}");
        assert!(text.contains("prm 0.10 is below 0.50"), "{text}");
        s.keys("D");
        assert!(!s.text().contains("first deviation by reward.min"), "D: nothing beside it\n{}", s.text());
    }
    // Where both mark the same step there is nothing to tell.
    let mut agreeing = disagreeing();
    let steps = agreeing.steps.len();
    agreeing.put_signal(Signal::given_steps("prm", (0..steps).map(|i| Some(if i < 2 { 0.9 } else { 0.1 })).collect()));
    let mut s = open(wide(), vec![agreeing, candidate(0)]);
    assert!(!line(&s.text(), " #1 ").contains('≠'), "{}", s.text());
}

#[test]
fn the_statistic_of_a_step_is_turned_by_itself() {
    let mut s = open(wide(), vec![candidate(0), candidate(2)]);
    assert!(s.text().contains("ranked by reward.min, mean"));
    s.keys(".");
    assert_eq!(s.face.settings().statistic, Some(Statistic::Sum));
    assert!(s.text().contains("ranked by reward.sum, mean"), "{}", s.text());
    s.keys(",");
    (0..13).for_each(|_| s.keys("j"));
    s.keys("l <esc>");
    assert_eq!(s.face.settings().tokens, TokenClass::Digits);
    assert!(s.text().contains("ranked by reward.digits.sum, mean"), "{}", s.text());
    s.keys(". . . . .");
    assert_eq!(s.face.settings().statistic, None, "all the way round");
}

#[test]
fn the_lines_below_tell_what_every_signal_says_of_the_step() {
    let mut c = candidate(2);
    c.put_signal(Signal::given("score", 0.5));
    c.put_signal(Signal::given_steps("prm", c.steps.iter().map(|_| Some(0.25)).collect()));
    let mut s = open(Setup { size: (160, 50), ..wide() }, vec![c, candidate(0)]);
    s.updates([ready()]);
    s.keys("v");
    let text = s.text();
    let below: String = text.lines().rev().take(6).collect::<Vec<_>>().join("\n");
    for part in ["reward.min", "logprob.min", "entropy.max", "surprisal.sum", "check:", "prm", "score"] {
        assert!(below.contains(part), "{part} is not in\n{below}");
    }
    assert!(below.contains("> −0.40") || below.contains("< −0.40"), "a threshold that is known is told:\n{below}");
    // On a small screen the step's line has what fits.
    s.resize(80, 24);
    assert!(s.text().contains("step 1/"), "{}", s.text());
}

#[test]
fn tokens_are_coloured_by_each_signal_that_has_them() {
    let mut s = open(Setup::default(), vec![candidate(2)]);
    let mut said = Vec::new();
    let mut pictures = Vec::new();
    for _ in 0..5 {
        s.keys("t");
        said.push(s.text().lines().last().unwrap().trim().to_owned());
        pictures.push(s.draw().clone());
    }
    for (said, name) in said.iter().zip(["reward", "logprob", "entropy", "surprisal", "off"]) {
        assert!(said.contains(&format!("token colours: {name}")), "{said}");
    }
    let grounds = |i: usize| pictures[i].content.iter().map(|c| c.bg).collect::<Vec<_>>();
    assert!(grounds(0) != grounds(4) && grounds(1) != grounds(4) && grounds(2) != grounds(0));
}

#[test]
fn a_model_that_is_named_reads_a_file_that_has_a_number_of_its_own() {
    let text = "One is 1.\nTwo is 2.";
    let mut c = Candidate { text: text.into(), steps: segment(text, &Segmentation::Line), ..Candidate::default() };
    c.put_signal(Signal::given("score", 0.5));
    let mut s = Screen::with(Setup { live: true, ..wide() }, trace(vec![c]));
    s.updates([ready()]);
    assert!(s.sent.iter().any(|r| matches!(r, Request::Score { .. })), "{:?}", s.sent);
    assert!(s.text().contains("score +0.50"), "its own number still ranks:\n{}", s.text());
}
