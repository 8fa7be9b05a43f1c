//! The screen that watches a run: what it looks like, and what its keys do.

use crate::tui_fixture::text_of;
use crate::tui_snapshots::picture;
use crossterm::event::Event;
use ratatui::Terminal;
use ratatui::backend::TestBackend;
use reasonscope::run::{MetricsLine, RunChanges, RunSample};
use reasonscope::trace::{Candidate, FinishReason, Segmentation, Token, Trace, segment};
use reasonscope::tui::{ColorDepth, DEFAULT_THEME, WatchOptions, WatchScreen, parse_keys};

struct Screen {
    face: WatchScreen,
    terminal: Terminal<TestBackend>,
}

impl Screen {
    fn new((w, h): (u16, u16), depth: ColorDepth, ascii: bool, news: RunChanges) -> Self {
        let options = WatchOptions { name: "demo".into(), theme: DEFAULT_THEME.into(), theme_dirs: Vec::new(), depth, ascii };
        let mut face = WatchScreen::new(&options).unwrap();
        face.take(news);
        face.tick(3245.0);
        Self { face, terminal: Terminal::new(TestBackend::new(w, h)).unwrap() }
    }

    fn at(size: (u16, u16)) -> Self {
        Self::new(size, ColorDepth::TrueColor, false, news())
    }

    /// Types keys, and draws after each, as the event loop does.
    fn keys(&mut self, keys: &str) -> &mut Self {
        for key in keys.split(' ').flat_map(|k| parse_keys(k).unwrap()) {
            self.face.terminal(Event::Key(key.event()));
            self.draw();
        }
        self
    }

    fn draw(&mut self) {
        self.terminal.draw(|frame| self.face.draw(frame)).unwrap();
    }

    fn text(&mut self) -> String {
        self.draw();
        text_of(self.terminal.backend().buffer())
    }

    fn picture(&mut self) -> String {
        self.draw();
        picture(self.terminal.backend().buffer())
    }
}

fn line(stage: &str, step: usize, steps: usize, time: f64, values: &[(&str, f64)]) -> MetricsLine {
    let values = values.iter().map(|(n, v)| ((*n).to_owned(), *v)).collect();
    MetricsLine { stage: stage.into(), step, steps, time: Some(time), values, alarm: None }
}

/// A policy that was fine-tuned, and is trained by reward until its groups go flat.
fn news() -> RunChanges {
    let wave = |x: usize| (x as f64 * 0.9).sin();
    let mut lines: Vec<MetricsLine> = (1..=200)
        .map(|i| {
            let loss = 3.0 * (-(i as f64) / 50.0).exp() + 0.1 * (1.0 + wave(i));
            let values = [("loss", loss), ("mean_token_accuracy", 1.0 - loss / 4.0), ("grad_norm", loss + 0.3)];
            line("policy", i, 200, 1000.0 + i as f64, &values)
        })
        .collect();
    lines.push(line("rollouts", 64, 64, 1300.0, &[("completions/clipped_ratio", 0.02)]));
    lines.extend((1..=120).map(|i| {
        let values = [
            ("reward", i as f64 * 0.004 + 0.1 * wave(i)),
            ("pass@1", (0.2 + i as f64 * 0.002 + 0.05 * wave(i)).min(1.0)),
            ("entropy", 0.4 - i as f64 * 0.002),
            ("kl", i as f64 * 1e-4),
            ("completions/mean_length", 80.0 + 6.0 * wave(i)),
            ("frac_reward_zero_std", if i > 100 { 0.97 } else { 0.3 + 0.2 * wave(i) }),
            ("disc_acc_expert", 0.7 + 0.1 * wave(i)),
            ("disc_acc_gen", 0.7 - 0.1 * wave(i)),
            ("grad_norm", if i == 60 { f64::NAN } else { 1.0 }),
            ("tokens_per_second", 12000.0 + 900.0 * wave(i)),
        ];
        line("rl", i, 400, 2000.0 + 10.0 * i as f64, &values)
    }));
    let candidate = |k: usize| {
        let steps = [
            ("There are 12 * 18 = 216 rolls.", 0.9),
            ("Before noon the bakery sells three quarters of them, \x1b[31m216 * 3 / 4 = 152\x1b[0m rolls.", -1.4 + k as f32),
            ("#### 64", -0.2),
        ];
        let (text, rewards) = (steps.map(|s| s.0).join("\n"), steps.map(|s| s.1));
        let finish = Some(if k == 2 { FinishReason::Length } else { FinishReason::Stop });
        let steps = segment(&text, &Segmentation::Line);
        let tokens = steps.iter().map(|s| Token { span: s.span, ..Token::default() }).collect();
        let candidate = Candidate { text, steps, tokens, correct: Some(k == 1), finish, ..Candidate::default() };
        RunSample::rewarded(candidate, &rewards, k as f32 - 0.7)
    };
    let sample = |problem: &str| RunSample {
        stage: "rl".into(),
        step: 118,
        trace: Trace {
            problem: problem.into(),
            gold_answer: Some("3".into()),
            candidates: (0..3).map(candidate).collect(),
            ..Trace::default()
        },
    };
    let samples = vec![sample("A bakery bakes 12 trays of 18 rolls each morning. How many boxes?"), sample("Ben has 12 pears.")];
    RunChanges { lines, samples: Some(samples), ..RunChanges::default() }
}

#[test]
fn a_run_at_three_sizes() {
    for size in [(80, 24), (120, 40), (200, 60)] {
        insta::assert_snapshot!(format!("watch_{}x{}", size.0, size.1), Screen::at(size).picture());
    }
}

#[test]
fn with_few_colours_or_signs() {
    insta::assert_snapshot!("watch_no_colour", Screen::new((80, 24), ColorDepth::None, false, news()).picture());
    let ascii = Screen::new((80, 24), ColorDepth::Ansi16, true, news()).picture();
    assert!(ascii.is_ascii(), "{ascii}");
    insta::assert_snapshot!("watch_ascii", ascii);
}

#[test]
fn panes_and_overlays() {
    insta::assert_snapshot!("watch_rollouts", Screen::at((80, 24)).keys("<tab> <ret> J").picture());
    insta::assert_snapshot!("watch_alarms", Screen::at((80, 24)).keys("<tab> <tab> <ret>").picture());
    insta::assert_snapshot!("watch_choice", Screen::at((80, 24)).keys("m j <space> 3j <space>").picture());
    insta::assert_snapshot!("watch_help", Screen::at((80, 24)).keys("?").picture());
    let empty = RunChanges { notes: vec!["metrics.jsonl:3: no number".into()], ..RunChanges::default() };
    insta::assert_snapshot!("watch_empty", Screen::new((80, 24), ColorDepth::TrueColor, false, empty).picture());
}

#[test]
fn the_help_comes_from_the_table() {
    let text = Screen::at((120, 80)).keys("?").text();
    for b in reasonscope::tui::BINDINGS.iter().filter(|b| b.context.is_watch()) {
        assert!(text.contains(b.desc), "{} is not in the help:\n{text}", b.desc);
    }
    assert!(!text.contains("next step"), "the inspector's keys mean nothing here");
}

#[test]
fn every_size_can_be_drawn() {
    for size in [(1, 1), (2, 3), (5, 2), (10, 4), (20, 6), (30, 9), (49, 13), (60, 15), (109, 17), (400, 3), (3, 200)] {
        let mut s = Screen::at(size);
        for keys in ["", "<tab>", "<tab>", "<ret>", "m", "<esc> ?", "G", "<esc> <esc> G", "k"] {
            if !keys.is_empty() {
                s.keys(keys);
            }
            assert_eq!(s.text().lines().count(), usize::from(size.1), "{size:?} {keys}");
        }
    }
}

#[test]
fn the_newest_stage_is_followed_until_another_is_chosen() {
    let mut s = Screen::at((120, 40));
    assert!(s.text().contains("rl over 120 steps"));
    assert!(s.keys("2h").text().contains("policy over 200 steps"));
    s.face.take(RunChanges { lines: vec![line("eval", 1, 1, 9000.0, &[("pass@10", 0.5)])], ..RunChanges::default() });
    assert!(s.text().contains("policy over 200 steps"), "the choice stays");
    assert!(s.keys("9l").text().contains("eval over 1 steps"));
    s.face.take(RunChanges { lines: vec![line("preference", 1, 5, 9001.0, &[("loss", 0.5)])], ..RunChanges::default() });
    assert!(s.text().contains("preference over 1 steps"), "the last place follows");
}

#[test]
fn curves_are_chosen_and_scrolled() {
    let mut s = Screen::at((80, 24));
    let first = s.text();
    assert!(first.contains("reward") && !first.contains("tokens_per_second"));
    assert!(s.keys("G").text().contains("tokens_per_second"));
    // the second curve alone, then all again
    let alone = s.keys("m j <ret> <esc>").text();
    assert!(alone.contains("pass@1") && !alone.contains("disc_acc_gen"), "{alone}");
    assert!(s.keys("m j <ret> <esc>").text().contains("disc_acc_gen"));
    assert!(s.keys("s").text().contains("rl over 120 steps,") && !s.text().contains("smoothed"));
}

#[test]
fn rollouts_are_scrolled_and_safe() {
    let mut s = Screen::at((80, 15));
    let text = s.keys("<tab> <ret>").text();
    assert!(text.contains("them, 216 * 3 / 4 =") && !text.contains("[31m"), "{text}");
    assert!(text.contains("problem 1 of 2") && s.keys("9J").text().contains("problem 2 of 2"));
    assert!(s.keys("9K").text().contains("problem 1 of 2"));
    let down = s.keys("8j").text();
    assert!(!down.contains("A bakery bakes") && s.keys("gg").text().contains("A bakery bakes"));
}

#[test]
fn a_resumed_run_is_drawn_anew() {
    let mut s = Screen::at((120, 40));
    let lines = vec![line("policy", 1, 200, 5000.0, &[("loss", 1.0)])];
    s.face.take(RunChanges { anew: true, lines, ..RunChanges::default() });
    let text = s.text();
    assert!(text.contains("policy 1/200") && !text.contains("flat_rewards") && !text.contains("120/400"), "{text}");
}
