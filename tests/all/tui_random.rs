//! Any trace on any screen: nothing panics, nothing that a terminal would obey reaches it.

use crate::tui_fixture::{Screen, Setup, ready};
use ratatui::buffer::Buffer;
use reasonscope::trace::{Candidate, FinishReason, GoldDeviation, Signal, Span, Step, StepKind, Token, TokenValue, Trace};
use reasonscope::tui::ColorDepth;
use unicode_width::UnicodeWidthStr;

/// SplitMix64.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    fn below(&mut self, n: usize) -> usize {
        (self.next() % n.max(1) as u64) as usize
    }

    fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.below(from.len())]
    }
}

const PIECES: &[&str] = &[
    "word ",
    "a",
    " ",
    "\n",
    "\n\n",
    "\t",
    "\r",
    "\r\n",
    "\x1b[2J",
    "\x1b]0;x\x07",
    "\u{9b}1m",
    "日本語",
    "é",
    "e\u{301}",
    "\u{301}",
    "\u{200b}",
    "\u{202e}",
    "\u{2066}",
    "עברית",
    "👩‍👩‍👧",
    "🇩🇪",
    "```py\n",
    "```\n",
    "x = 1 # c\n",
    "<think>",
    "</think>",
    "#### 7",
    "\u{0}",
    "\u{feff}",
    "﷽",
    "ก็็็็็็็็็็็็็็็็็็็็",
    "－",
    "Step 3: ",
    "looooooooooooooooooooooooooooooooooooooooooooooooooooooooooooooooooooooooooooooooooooooooooooooooooooooooooooooong",
];

fn text(r: &mut Random, most: usize) -> String {
    (0..r.below(most)).map(|_| r.pick(PIECES)).collect()
}

fn value(r: &mut Random) -> f32 {
    let any = (r.below(2000) as f32 - 1000.0) / 200.0;
    r.pick(&[any, any, any, 0.0, f32::NAN, f32::INFINITY, f32::NEG_INFINITY, 1e30, -1e-30])
}

fn span(r: &mut Random, len: usize, at: &mut usize) -> Span {
    let start = *at;
    *at = (*at + r.below(9)).min(len);
    // Files may lie about their spans.
    if r.below(40) == 0 { Span::new(start + 3, start + 1) } else { Span::new(start, *at + usize::from(r.below(50) == 0) * 99) }
}

fn candidate(r: &mut Random) -> Candidate {
    let most = r.pick(&[1, 5, 60, 400]);
    let mut c = Candidate { text: text(r, most), ..Candidate::default() };
    let len = c.text.len();
    let mut at = 0;
    for _ in 0..r.below(30) {
        let mut s = span(r, len, &mut at);
        s.end += r.below(40);
        at = s.end.min(len);
        let kind = r.pick(&[StepKind::Reasoning, StepKind::Reasoning, StepKind::Answer]);
        c.steps.push(Step { span: s, kind, label: (r.below(4) == 0).then(|| value(r)) });
    }
    if r.below(3) == 0 {
        c.put_signal(Signal::given_steps("given", c.steps.iter().map(|_| (r.below(3) == 0).then(|| value(r))).collect()));
    }
    let (mut at, mut rewards) = (0, Vec::new());
    for i in 0..r.below(200) {
        let s = span(r, len, &mut at);
        let some = r.below(5) > 0;
        c.tokens.push(Token { id: Some(i as u32), span: s, logprob: some.then(|| value(r)), entropy: some.then(|| value(r)) });
        if r.below(4) > 0 {
            rewards.push(TokenValue { span: s, value: value(r) });
        }
    }
    if !rewards.is_empty() {
        c = c.with_rewards(rewards);
    }
    c.answer = (r.below(2) == 0).then(|| text(r, 6));
    c.correct = r.pick(&[None, Some(true), Some(false)]);
    let step = r.below(20);
    c.gold = r.pick(&[None, Some(GoldDeviation::None), Some(GoldDeviation::Step(step)), Some(GoldDeviation::Step(usize::MAX))]);
    c.finish = match r.below(5) {
        0 => None,
        1 => Some(FinishReason::Failed(text(r, 5))),
        2 => Some(FinishReason::Length),
        3 => Some(FinishReason::Cancelled),
        _ => Some(FinishReason::Stop),
    };
    if r.below(4) == 0 {
        c.put_signal(Signal::given("outcome", value(r)));
    }
    c
}

fn trace(r: &mut Random) -> Trace {
    let n = r.pick(&[0, 1, 1, 2, 8, 33]);
    Trace {
        id: text(r, 5),
        problem: text(r, 80),
        gold_answer: (r.below(2) == 0).then(|| text(r, 4)),
        candidates: (0..n).map(|_| candidate(r)).collect(),
        source: None,
    }
}

/// What every screen must be: no controls, no cell that a wide neighbour covers with something of its own.
fn check(buffer: &Buffer, ascii: bool) {
    for y in 0..buffer.area.height {
        let mut covered = 0;
        for x in 0..buffer.area.width {
            let symbol = buffer[(x, y)].symbol();
            assert!(!symbol.chars().any(|c| c.is_control()), "{symbol:?} at {x},{y}");
            assert!(
                !symbol.chars().any(|c| ('\u{202a}'..='\u{202e}').contains(&c) || ('\u{2066}'..='\u{2069}').contains(&c)),
                "{symbol:?} at {x},{y}"
            );
            assert!(!ascii || symbol.is_ascii(), "{symbol:?} at {x},{y}");
            if covered > 0 {
                assert_eq!(symbol, " ", "at {x},{y}, behind {:?}", buffer[(x - 1, y)].symbol());
                covered -= 1;
            } else {
                covered = symbol.width().saturating_sub(1);
            }
        }
        assert_eq!(covered, 0, "a wide character hangs over the edge of row {y}");
    }
}

const KEYS: &[&str] = &[
    "j",
    "k",
    "h",
    "l",
    "gg",
    "G",
    "5j",
    "<C-d>",
    "<C-u>",
    "<C-f>",
    "<C-b>",
    "w",
    "b",
    "]e",
    "[e",
    "]g",
    "[g",
    "<ret>",
    "v",
    "t",
    "c",
    "i",
    "o",
    "<tab>",
    "<esc>",
    "]t",
    "[t",
    "n",
    "N",
    "s",
    "a",
    "d",
    ",",
    "m",
    "?",
    "T",
    "x",
    "r",
    "e",
    "/",
    "f",
    "7",
    "3G",
    "<backspace>",
    "<home>",
    "<end>",
];

#[test]
fn every_view_of_any_trace_fits_any_screen() {
    for seed in 0..100 {
        let mut r = Random(seed);
        let size = match seed % 4 {
            0 => (1 + r.below(12) as u16, 1 + r.below(8) as u16),
            1 => (20 + r.below(60) as u16, 5 + r.below(20) as u16),
            2 => r.pick(&[(60, 15), (80, 24), (120, 40), (200, 60)]),
            _ => (1 + r.below(220) as u16, 1 + r.below(70) as u16),
        };
        let depth = r.pick(&[ColorDepth::TrueColor, ColorDepth::Ansi256, ColorDepth::Ansi16, ColorDepth::None]);
        let ascii = r.below(4) == 0;
        let traces = (0..1 + r.below(4)).map(|_| trace(&mut r)).collect();
        let live = r.below(2) == 0;
        let mut s = Screen::with(Setup { size, depth, ascii, live, theme: "harbour", labels: None }, traces);
        if live {
            s.updates([ready()]);
        }
        for _ in 0..25 {
            let key = r.pick(KEYS);
            s.keys(key);
            if r.below(12) == 0 {
                let (w, h) = (1 + r.below(130) as u16, 1 + r.below(45) as u16);
                s.resize(w, h);
            }
            if r.below(10) == 0 {
                let (x, y) = (r.below(130) as u16, r.below(45) as u16);
                let kind = r.pick(&[
                    crossterm::event::MouseEventKind::Down(crossterm::event::MouseButton::Left),
                    crossterm::event::MouseEventKind::ScrollDown,
                    crossterm::event::MouseEventKind::ScrollUp,
                ]);
                s.mouse(kind, x, y);
            }
            if r.below(20) == 0 {
                let pasted = text(&mut r, 30);
                s.paste(&pasted);
            }
            check(s.draw(), ascii);
        }
    }
}

#[test]
fn lines_of_ten_thousand_characters_and_empty_candidates_are_shown() {
    let long = Candidate { text: "x".repeat(10_000), ..Candidate::default() };
    let blank = Candidate { text: " \n\t\n".into(), finish: Some(FinishReason::Stop), ..Candidate::default() };
    let traces = vec![Trace { id: "long".into(), candidates: vec![long, blank, Candidate::default()], ..Trace::default() }];
    let mut s = Screen::with(Setup::default(), traces);
    s.keys("<ret> <ret> <C-f> <C-f>");
    let text = s.text();
    assert!(text.lines().filter(|l| l.contains("xxxxxxxxxxxxxxxxxxxx")).count() > 10, "{text}");
    s.keys("l l v");
    check(s.draw(), false);
}
