//! Long things on the screen: numbers and names are whole, or lose their middle; none becomes another.

use crate::tui_fixture::{Screen, Setup};
use reasonscope::collection::query::{Lens, Query};
use reasonscope::trace::{Candidate, GoldDeviation, Segmentation, Signal, Trace, segment};

const SIZES: [(u16, u16); 3] = [(80, 24), (120, 40), (200, 60)];

fn steps(n: usize, bad: usize) -> Candidate {
    let text = "word\n".repeat(n);
    let values = (0..n).map(|i| Some(if i == bad { 0.1 } else { 0.9 })).collect();
    Candidate {
        steps: segment(&text, &Segmentation::Line),
        signals: vec![Signal::given_steps("given", values)],
        gold: Some(GoldDeviation::Step(bad)),
        text,
        ..Candidate::default()
    }
}

fn trace(id: &str, candidates: Vec<Candidate>) -> Trace {
    Trace { id: id.into(), problem: "A problem.".into(), candidates, ..Trace::default() }
}

/// The whole numbers on a screen that have three digits or more.
fn numbers(text: &str) -> Vec<usize> {
    let words = text.split(|c: char| !c.is_ascii_digit() && c != '.');
    words.filter(|n| n.len() >= 3 && !n.contains('.')).map(|n| n.parse().unwrap()).collect()
}

#[test]
fn steps_above_999_keep_their_numbers() {
    for size in SIZES {
        let mut s = Screen::with(Setup { size, ..Setup::default() }, vec![trace("t", vec![steps(10234, 10221)])]);
        let list = s.text();
        assert!(list.contains("◆10222"), "{size:?}\n{list}");
        s.keys("<ret> 1205gg");
        let text = s.text();
        assert!(text.contains("1205/10234"), "{size:?}\n{text}");
        assert!(
            numbers(&text).iter().all(|n| (1000..=1400).contains(n) || [10234, 10222].contains(n)),
            "{size:?} {:?}\n{text}",
            numbers(&text)
        );
        s.keys("G");
        let text = s.text();
        assert!(text.lines().any(|l| l.contains("10234 ▲")), "{size:?}\n{text}");
        assert!(numbers(&text).iter().all(|n| (10000..=10234).contains(n)), "{size:?} {:?}\n{text}", numbers(&text));
    }
}

#[test]
fn many_steps_and_candidates_have_room_in_the_table() {
    for size in SIZES {
        let three = (0..3).map(|i| steps(600, 597 + i)).collect();
        let mut s = Screen::with(Setup { size, ..Setup::default() }, vec![trace("t", three)]);
        s.keys("<ret>");
        let text = s.text();
        let rows = text.lines().filter(|l| l.contains("#") && l.contains(" 600 ")).count();
        assert!(rows >= 3, "{size:?}\n{text}");
        assert!(text.contains("✗598") && text.contains("◆600"), "{size:?}\n{text}");
        let many = (0..1500).map(|i| Candidate { correct: Some(i % 2 == 0), ..steps(2, i % 2) }).collect();
        let mut s = Screen::with(Setup { size, ..Setup::default() }, vec![trace("t", many)]);
        let list = s.text();
        assert!(list.contains("750/1500"), "{size:?}\n{list}");
        s.keys("<ret> 1499l");
        let text = s.text();
        assert!(text.contains("#1500"), "{size:?}\n{text}");
        // Numbers of candidates, and of how many.
        assert!(text.lines().any(|l| l.contains("candidate 1500/1500")), "{size:?}\n{text}");
    }
}

#[test]
fn names_that_begin_alike_still_differ() {
    let all: Vec<Trace> = (0..20).map(|i| trace(&format!("train-gsm8k-long-prefix-{:05}", 90210 + i), vec![steps(2, 1)])).collect();
    for size in SIZES {
        let mut s = Screen::with(Setup { size, ..Setup::default() }, all.clone());
        let list = s.text();
        if list.lines().any(|l| l.starts_with("▸tra")) {
            assert!(list.contains("…") && list.contains("90211") && list.contains("90215"), "{size:?}\n{list}");
        }
        s.keys("2j <ret>");
        let text = s.text();
        assert!(text.contains("90212"), "{size:?}\n{text}");
    }
}

#[test]
fn who_wrote_a_candidate_is_seen_and_found() {
    let by = |policy: &str, bad| Candidate { policy: Some(policy.into()), answer: Some("12".into()), ..steps(2, bad) };
    let both = trace("both", vec![by("model-a (step_100)", 0), by("model-a (step_200)", 1)]);
    let all = vec![both, trace("one", vec![by("model-b", 0)])];
    for size in SIZES {
        let mut s = Screen::with(Setup { size, ..Setup::default() }, all.clone());
        let list = s.text();
        if size.0 != 120 {
            assert!(list.lines().next().unwrap().contains(" by "), "{size:?}\n{list}");
            assert!(list.contains("model-b"), "{size:?}\n{list}");
        }
        s.keys("<ret>");
        let text = s.text();
        if size.0 >= 120 {
            assert!(text.contains("step_100)") && text.contains("step_200)"), "{size:?}\n{text}");
        }
    }
    let found = |query: &str| {
        all.iter().filter(|t| Query::parse(query).unwrap().matches(t, &Lens::default())).map(|t| t.id.as_str()).collect::<Vec<_>>()
    };
    assert_eq!(
        (found("by:step_200"), found("by:model"), found("by:b word"), found("by:c")),
        (vec!["both"], vec!["both", "one"], vec!["one"], vec![])
    );
}
