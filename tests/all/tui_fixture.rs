//! Traces and updates for the tests of the terminal face: small, made up, always the same.

use ratatui::Terminal;
use ratatui::backend::TestBackend;
use ratatui::buffer::Buffer;
use reasonscope::answer::Question;
use reasonscope::runtime::{ModelsStatus, Request, RewardSlot, Slot, Update};
use reasonscope::trace::{
    Calibration, Candidate, FinishReason, GoldDeviation, REWARD, Segmentation, Signal, Source, Span, Token, TokenValue, Trace, TraceEvent,
    segment,
};
use reasonscope::tui::{
    Action, Ask, Channels, ColorDepth, Effect, Grade, Inspector, Labels, Options, Report, Row, Settings, TraceSource, parse_keys,
};
use std::sync::Arc;
use tokio::sync::mpsc::channel;

pub const PROBLEM: &str = "A bakery bakes 12 trays of 18 rolls each morning. It sells three quarters of the rolls before noon and 30 more in the \
    afternoon. The rest goes to a shelter in boxes of 8. How many boxes does the shelter get?";

/// Texts of eight candidates; the third and others go wrong at a known line.
const TEXTS: [&str; 8] = [
    "The bakery bakes 12 * 18 = 216 rolls.\nBefore noon it sells 216 * 3 / 4 = 162 rolls.\nThat leaves 216 - 162 = 54 rolls.\nIn the afternoon it sells 30 more, so 54 - 30 = 24 rolls are left.\nThe shelter gets 24 / 8 = 3 boxes.\n#### 3",
    "First count the rolls: 12 trays with 18 rolls are 12 * 18 = 216.\nThree quarters of 216 is 216 / 4 * 3 = 162.\nAfter noon there are 216 - 162 = 54 left.\nThey sell 30 of those: 54 - 30 = 24.\n24 rolls in boxes of 8 make 24 / 8 = 3 boxes.\n#### 3",
    "12 trays of 18 rolls are 12 * 18 = 206 rolls.\nBefore noon 206 * 3 / 4 = 154.5 rolls are sold.\nThat leaves 206 - 154.5 = 51.5 rolls.\nIn the afternoon 30 more: 51.5 - 30 = 21.5.\nBoxes: 21.5 / 8 = 2.69, so 2 boxes.\n#### 2",
    "There are 12 * 18 = 216 rolls.\nBefore noon the bakery sells 3/4 of 216, that is 162 rolls.\nIn the afternoon it sells 30 more, so 162 + 30 = 192 are sold.\nThe rest is 216 - 192 = 24.\nIn boxes of 8 that is 24 / 8 = 3.\n#### 3",
    "The number of rolls is 12 + 18 = 30.\nThree quarters of 30 is 22.5.\nSo 30 - 22.5 = 7.5 rolls are left, and after selling 30 more there are none.\nThe shelter gets 0 boxes.\n#### 0",
    "Let me compute the rolls: 12 * 18 = 216.\nSold before noon: 216 * 0.75 = 162.\nLeft at noon: 216 - 162 = 64.\nLeft in the evening: 64 - 30 = 34.\nBoxes: 34 / 8 = 4.25, so the shelter gets 4 boxes.\n#### 4",
    "216 rolls are baked in total, because 12 * 18 = 216.\nA quarter stays after noon: 216 / 4 = 54.\n54 - 30 = 24 rolls stay after the afternoon.\n24 / 8 = 3 boxes go to the shelter.\n#### 3",
    "The bakery has 12 * 18 = 216 rolls.\nIt sells 162 before noon and 30 after, 162 + 30 = 192.\n216 - 192 = 24 are left.\nThe shelter gets 24 boxes of 8.\n#### 24",
];

/// First wrong line of each text.
const WRONG: [Option<usize>; 8] = [None, None, Some(0), None, Some(0), Some(2), None, Some(3)];

/// A number in 0..1 that depends on its arguments alone.
fn noise(a: usize, b: usize) -> f32 {
    let mut h = (a as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ (b as u64 + 1).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    h = (h ^ (h >> 29)).wrapping_mul(0x94D0_49BB_1331_11EB);
    (h >> 40) as f32 / (1u64 << 24) as f32
}

/// Pieces as a policy would write them: a word with its blank, digits one by one.
fn pieces(text: &str) -> Vec<Span> {
    let mut out: Vec<Span> = Vec::new();
    let bytes = text.as_bytes();
    for (i, c) in text.char_indices() {
        let before = i.checked_sub(1).map(|j| bytes[j]);
        let starts = c == ' ' || c == '\n' || c.is_ascii_digit() || before.is_none_or(|b| b == b'\n' || b.is_ascii_digit());
        let joins = before == Some(b' ');
        match out.last_mut() {
            Some(last) if !starts || joins => last.end = i + c.len_utf8(),
            _ => out.push(Span::new(i, i + c.len_utf8())),
        }
    }
    out
}

/// Tokens and rewards of candidate `k`: low where it is wrong.
fn scored(k: usize, text: &str) -> (Vec<Token>, Vec<TokenValue>) {
    let line_of = |at: usize| text[..at].matches('\n').count();
    let spans = pieces(text);
    let tokens = spans.iter().enumerate().map(|(i, s)| {
        let odd = WRONG[k % 8].is_some_and(|w| line_of(s.start) == w)
            && s.of(text).trim().bytes().any(|b| b.is_ascii_digit())
            && noise(k, i) > 0.6;
        let logprob = if odd { -2.0 - 2.0 * noise(k, i + 99) } else { -0.7 * noise(k, i + 7).powi(3) };
        Token {
            id: Some(20 + (i as u32 * 7919) % 480),
            span: *s,
            logprob: Some(logprob),
            entropy: Some((-logprob * 0.6 + 0.2 * noise(k, i + 3)).min(2.5)),
        }
    });
    let rewards = spans.iter().enumerate().map(|(i, s)| {
        let line = line_of(s.start);
        let base = match WRONG[k % 8] {
            Some(w) if line == w => -2.2,
            Some(w) if line > w => 0.1,
            _ => 1.3,
        };
        TokenValue { span: *s, value: base + 1.4 * noise(k + 31, i) + 0.3 }
    });
    (tokens.collect(), rewards.collect())
}

pub fn candidate(k: usize) -> Candidate {
    let text = TEXTS[k % 8];
    let (tokens, rewards) = scored(k, text);
    Candidate {
        text: text.into(),
        steps: segment(text, &Segmentation::Line),
        tokens,
        answer: text.rsplit("#### ").next().map(str::to_string),
        correct: Some(text.ends_with("#### 3")),
        finish: Some(FinishReason::Stop),
        ..Candidate::default()
    }
    .with_rewards(rewards)
}

fn labelled(id: &str, k: usize, gold: GoldDeviation) -> Trace {
    Trace {
        id: id.into(),
        problem: PROBLEM.into(),
        gold_answer: Some("3".into()),
        candidates: vec![Candidate { gold: Some(gold), policy: Some("stories-small".into()), ..candidate(k) }],
        source: Some(Source { format: "processbench".into(), path: "gsm8k.json".into(), line: k + 1 }),
    }
}

/// What is hard to show: every line of it is a trap.
pub const NASTY: &str = "plain\n\x1b[31mred\x1b[0m and \x1b]0;title\x07 bell\nwide 日本語 and é as e\u{301} and 👩‍👩‍👧\n\
    zero\u{200b}width, rtl \u{202e}override\u{202c} עברית\nta\tb\tstops\n\u{301}mark first\r\nlone \r return \u{9b}31m c1\nlong \
    loooooooooooooooooooooooooooooooooooooooooooooooooooooooooooooooooooooooooooooooooooooooooooooooooooooooooooooooooooooooooooong";

pub fn recorded() -> Vec<Trace> {
    let code = "We can check it with a program.\n```python\ndef boxes(trays, rolls):\n    total = trays * rolls  # 216\n    left = total - total * 3 // 4 - 30\n    return left // 8\n\nprint(boxes(12, 18))\n```\nIt prints 3.\n#### 3";
    let think = "<think>\nThe rolls: 12 * 18 = 216.\n\nHalf of them is 108, so 216 - 108 = 108.\n\nThen 108 - 30 = 78.\n</think>\n\nThe shelter gets 78 / 8 = 9 boxes.";
    let rewards = |c: &mut Candidate, values: &[f32]| c.put_signal(Signal::given_steps("given", values.iter().map(|v| Some(*v)).collect()));
    let mut with_code = Candidate { text: code.into(), steps: segment(code, &Segmentation::Auto), ..Candidate::default() };
    rewards(&mut with_code, &[0.93, 0.81, 0.97, 0.99]);
    let mut with_think = Candidate {
        text: think.into(),
        steps: segment(think, &Segmentation::Auto),
        gold: Some(GoldDeviation::Step(1)),
        ..Candidate::default()
    };
    rewards(&mut with_think, &[0.96, 0.22, 0.31, 0.18]);
    let nasty = Candidate { text: NASTY.into(), steps: segment(NASTY, &Segmentation::Line), ..Candidate::default() }.with_rewards(
        pieces(NASTY)
            .into_iter()
            .enumerate()
            .map(|(i, span)| TokenValue { span, value: [f32::NAN, 1.0, f32::NEG_INFINITY, 4e6][i % 4] })
            .collect(),
    );
    let mut out = vec![
        labelled("gsm8k-0", 0, GoldDeviation::None),
        labelled("gsm8k-1", 5, GoldDeviation::Step(2)),
        labelled("gsm8k-2", 7, GoldDeviation::Step(2)),
        Trace {
            id: "rolls".into(),
            problem: PROBLEM.into(),
            gold_answer: Some("3".into()),
            candidates: (0..8).map(candidate).collect(),
            source: None,
        },
        Trace { id: "program".into(), problem: "Write a program for the boxes.".into(), candidates: vec![with_code], ..Trace::default() },
        Trace { id: "thought".into(), problem: PROBLEM.into(), candidates: vec![with_think], ..Trace::default() },
        Trace { id: "nasty \x1b[2J".into(), problem: NASTY.into(), candidates: vec![nasty, Candidate::default()], ..Trace::default() },
    ];
    for i in out.len()..40 {
        let problem =
            format!("Mira has {} pencils and buys {} boxes of {} more. How many pencils does she have?", 3 + i, 2 + i % 4, 6 + i % 5);
        let mut c = candidate(i);
        c.gold = (i % 3 == 0).then_some(WRONG[i % 8].map_or(GoldDeviation::None, GoldDeviation::Step));
        out.push(Trace { id: format!("gsm8k-{i}"), problem, candidates: vec![c], ..Trace::default() });
    }
    out
}

/// Problems without candidates.
pub fn problems() -> Vec<Trace> {
    let all = [
        ("stories-1", PROBLEM),
        (
            "stories-2",
            "A train with 9 cars of 64 seats is two thirds full. At the next stop 45 people leave and 21 enter. How many seats are free?",
        ),
        ("stories-3", "Ada reads 24 pages a day, on Sundays twice as many. How many pages does she read in three weeks?"),
        ("stories-4", "A tank loses 1/8 of its 96 litres a day. After how many days is less than half of it left?"),
        ("stories-5", "Seven friends share 91 marbles evenly; then each gives 4 to Tom, who is not one of them. How many has each?"),
    ];
    all.map(|(id, p)| Trace { id: id.into(), problem: p.into(), gold_answer: (id == "stories-1").then(|| "3".into()), ..Trace::default() })
        .to_vec()
}

pub fn calibration() -> Calibration {
    Calibration {
        thresholds: [("reward.min", -0.4), ("logprob.min", -2.0), ("entropy.max", 1.2)].map(|(r, t)| (r.parse().unwrap(), t)).into(),
        false_alarm_rate: Some(0.1),
        task: Some("stories".into()),
        samples: 512,
        method: "split conformal over the policy's own samples that agree with the majority".into(),
        ..Calibration::default()
    }
}

/// The only reward model.
pub fn reward_slot(slot: Slot) -> RewardSlot {
    RewardSlot { signal: REWARD.into(), slot }
}

pub fn ready() -> Update {
    let slot = |name: &str, about: &str| Slot::Ready { name: name.into(), about: about.into() };
    Update::Models(ModelsStatus {
        policy: slot("embedded-policy", "0.8 M parameters, f32, cpu"),
        rewards: vec![reward_slot(slot("embedded-reward", "0.8 M parameters, likelihood head, f32, cpu"))],
        calibration: calibration(),
        ..ModelsStatus::default()
    })
}

/// Everything that happens while candidate `k` of request `id` is written, in pieces of `size` tokens.
pub fn writing(id: u64, k: usize, size: usize) -> Vec<Update> {
    let text = TEXTS[k % 8];
    let (tokens, rewards) = scored(k, text);
    let mut out = vec![Update::Event { id, event: TraceEvent::Started { candidate: k } }];
    for (i, part) in tokens.chunks(size).enumerate() {
        let (from, to) = (part[0].span.start, part[part.len() - 1].span.end);
        out.push(Update::Event { id, event: TraceEvent::Tokens { candidate: k, text: text[from..to].into(), tokens: part.to_vec() } });
        let from = i * size;
        out.push(Update::Event {
            id,
            event: TraceEvent::Rewards { candidate: k, signal: REWARD.into(), from, rewards: rewards[from..from + part.len()].to_vec() },
        });
    }
    out.push(Update::Event { id, event: TraceEvent::Finished { candidate: k, reason: FinishReason::Stop } });
    out
}

/// The candidates of a request, written side by side.
pub fn streaming(id: u64, n: usize, size: usize) -> Vec<Update> {
    let mut each: Vec<_> = (0..n).map(|k| writing(id, k, size).into_iter()).collect();
    let mut out = Vec::new();
    loop {
        let before = out.len();
        each.iter_mut().for_each(|e| out.extend(e.next()));
        if out.len() == before {
            return out;
        }
    }
}

/// A face on a screen in memory, with its file read at once.
pub struct Screen {
    pub face: Inspector,
    pub terminal: Terminal<TestBackend>,
    pub sent: Vec<Request>,
    pub quit: bool,
    buffer: Buffer,
    traces: Vec<Trace>,
    now: u64,
}

/// What a screen is opened with.
pub struct Setup {
    pub size: (u16, u16),
    pub theme: &'static str,
    pub depth: ColorDepth,
    pub ascii: bool,
    pub live: bool,
    pub labels: Option<Labels>,
}

impl Default for Setup {
    fn default() -> Self {
        Self { size: (80, 24), theme: "harbour", depth: ColorDepth::TrueColor, ascii: false, live: false, labels: None }
    }
}

pub fn options(setup: &Setup) -> Options {
    let (requests, _) = channel(1);
    let (_, updates) = channel(1);
    Options {
        traces: Box::new(Vec::<Trace>::new()),
        models: setup.live.then_some(Channels { requests, updates }),
        open_first: setup.live,
        segmentation: Segmentation::Auto,
        grade: Some(Grade {
            kind: None,
            judge: Arc::new(|trace, i| {
                let c = &trace.candidates[i];
                Question::guess(&trace.problem, trace.gold_answer.as_deref()).judge(&c.text, c.is_cut())
            }),
        }),
        settings: Settings::default(),
        theme: setup.theme.into(),
        theme_dirs: Vec::new(),
        depth: setup.depth,
        ascii: setup.ascii,
        labels: setup.labels.clone(),
        notes: Vec::new(),
    }
}

impl Screen {
    pub fn open(setup: Setup) -> Self {
        let traces = if setup.live { problems() } else { recorded() };
        Self::with(setup, traces)
    }

    pub fn with(setup: Setup, traces: Vec<Trace>) -> Self {
        let face = Inspector::new(&options(&setup)).expect("theme");
        let terminal = Terminal::new(TestBackend::new(setup.size.0, setup.size.1)).expect("terminal");
        let mut screen = Self { face, terminal, sent: Vec::new(), quit: false, buffer: Buffer::default(), traces, now: 0 };
        let len = screen.traces.len();
        screen.draw();
        screen.act(Action::Report(Report::Known { len, complete: true }));
        screen.draw();
        screen
    }

    pub fn act(&mut self, action: Action) {
        let effects = self.face.act(action);
        self.perform(effects);
    }

    pub fn updates(&mut self, updates: impl IntoIterator<Item = Update>) {
        updates.into_iter().for_each(|u| self.act(Action::Update(u)));
    }

    fn perform(&mut self, effects: Vec<Effect>) {
        for effect in effects {
            match effect {
                Effect::Send(request) => self.sent.push(request),
                Effect::Quit => self.quit = true,
                Effect::Keep(path, marked) => Labels::keep(&path, [&*marked]).expect("labels"),
                Effect::Highlight(item, candidate, text, blocks) => {
                    let colours = reasonscope::tui::highlight(&text, &blocks);
                    self.act(Action::Highlighted(item, candidate, blocks, colours));
                }
                Effect::Ask(Ask::Trace(i)) => {
                    let trace = self.traces.read(i);
                    self.act(Action::Report(Report::Trace(i, trace)));
                }
                Effect::Ask(Ask::Rows(rows)) => {
                    let rows = rows.into_iter().map(|i| (i, Row::of(&self.traces[i]))).collect();
                    self.act(Action::Report(Report::Rows(rows)));
                }
                Effect::Ask(Ask::Find { words, from, forward }) => {
                    let n = self.traces.len();
                    let places = (0..n).map(|k| if forward { (from + k) % n } else { (from + n - k) % n });
                    let found = places.into_iter().find(|i| words.are_in(&self.traces[*i]));
                    self.act(Action::Report(Report::Found(found)));
                }
                Effect::Ask(Ask::Filter(Some(filter))) => {
                    let indices = (0..self.traces.len()).filter(|i| filter.query.matches(&self.traces[*i], &filter.lens)).collect();
                    let filter = filter.number;
                    self.act(Action::Report(Report::Matches { filter, indices, looked: self.traces.len(), complete: true }));
                }
                _ => {}
            }
        }
    }

    /// Types keys as the key table writes them; blanks part them and are not typed.
    pub fn keys(&mut self, keys: &str) {
        for key in keys.split_whitespace().flat_map(|k| parse_keys(k).expect("keys")) {
            let effects = self.face.terminal(crossterm::event::Event::Key(key.event()));
            self.perform(effects);
            self.draw();
        }
    }

    pub fn paste(&mut self, text: &str) {
        let effects = self.face.terminal(crossterm::event::Event::Paste(text.into()));
        self.perform(effects);
    }

    pub fn mouse(&mut self, kind: crossterm::event::MouseEventKind, column: u16, row: u16) {
        let event = crossterm::event::MouseEvent { kind, column, row, modifiers: crossterm::event::KeyModifiers::NONE };
        let effects = self.face.terminal(crossterm::event::Event::Mouse(event));
        self.perform(effects);
        self.draw();
    }

    pub fn resize(&mut self, w: u16, h: u16) {
        self.terminal.backend_mut().resize(w, h);
        let _ = self.face.terminal(crossterm::event::Event::Resize(w, h));
        self.draw();
    }

    pub fn pass(&mut self, milliseconds: u64) {
        self.now += milliseconds;
        self.act(Action::Tick(self.now));
    }

    pub fn draw(&mut self) -> &Buffer {
        for _ in 0..3 {
            // The backend keeps what a wide character covers; the frame is what was drawn.
            self.buffer = self.terminal.draw(|f| self.face.draw(f)).expect("draw").buffer.clone();
            let wants = self.face.wants();
            if wants.is_empty() {
                break;
            }
            self.perform(wants);
        }
        &self.buffer
    }

    /// The screen's text, a line a row, without blanks at the ends.
    pub fn text(&mut self) -> String {
        text_of(self.draw())
    }
}

/// Text of a buffer, a line a row.
pub fn text_of(buffer: &Buffer) -> String {
    use unicode_width::UnicodeWidthStr;
    let mut out = String::new();
    for y in 0..buffer.area.height {
        let mut line = String::new();
        let mut x = 0;
        while x < buffer.area.width {
            let symbol = buffer[(x, y)].symbol();
            line.push_str(symbol);
            x += symbol.width().max(1) as u16;
        }
        out.push_str(line.trim_end());
        out.push('\n');
    }
    out
}
