//! Key to frame, and frame after frame, while eight candidates stream: `cargo bench --bench frame`.
//!
//! The face is driven without a terminal: every event is applied, and the frame is drawn, compared with the last one and turned into escape
//! sequences as for a real one. Limits: 16 ms at the 99th percentile for a key, 100 ms for the first frame.

use crossterm::event::{Event, KeyCode, KeyEvent, KeyModifiers};
use ratatui::backend::CrosstermBackend;
use ratatui::{Terminal, TerminalOptions, Viewport, layout::Rect};
use reasonscope::runtime::{ModelsStatus, Request, RewardSlot, Slot, Update};
use reasonscope::trace::{Calibration, REWARD, Segmentation, Span, Token, TokenValue, Trace, TraceEvent};
use reasonscope::tui::{Action, Channels, ColorDepth, DEFAULT_THEME, Effect, Inspector, Options, Report, Settings};
use std::error::Error;
use std::sync::Arc;
use std::time::{Duration, Instant};

const CANDIDATES: usize = 8;
/// Tokens a candidate gets.
const TOKENS: usize = 1500;
/// Tokens a candidate gets between two frames: 8 × 12 × 30 frames are 2,900 tokens a second.
const BETWEEN: usize = 12;

fn main() -> Result<(), Box<dyn Error>> {
    for (w, h) in [(80, 24), (120, 40), (200, 60)] {
        measure(w, h)?;
    }
    Ok(())
}

fn measure(w: u16, h: u16) -> Result<(), Box<dyn Error>> {
    let start = Instant::now();
    let (requests, _keep) = tokio::sync::mpsc::channel(8);
    let (_keep, updates) = tokio::sync::mpsc::channel(8);
    let mut face = Inspector::new(&Options {
        traces: Box::new(Vec::<Trace>::new()),
        models: Some(Channels { requests, updates }),
        open_first: true,
        segmentation: Segmentation::Auto,
        grade: None,
        settings: Settings { n: CANDIDATES, ..Settings::default() },
        theme: DEFAULT_THEME.into(),
        theme_dirs: Vec::new(),
        depth: ColorDepth::TrueColor,
        ascii: false,
        labels: None,
        notes: Vec::new(),
    })?;
    let viewport = Viewport::Fixed(Rect::new(0, 0, w, h));
    let mut screen = Terminal::with_options(CrosstermBackend::new(std::io::sink()), TerminalOptions { viewport })?;
    screen.draw(|f| face.draw(f))?;
    println!("{w}x{h}\n  first frame              {:.2} ms (limit 100)", start.elapsed().as_secs_f64() * 1e3);

    let problem = Trace { id: "bench".into(), problem: "How many boxes does the shelter get?".into(), ..Trace::default() };
    face.act(Action::Report(Report::Known { len: 1, complete: true }));
    face.act(Action::Report(Report::Trace(0, Ok(Arc::new(problem)))));
    let ready = |name: &str| Slot::Ready { name: name.into(), about: String::new() };
    let calibration = Calibration::at(Calibration::default().reading, -0.5);
    let rewards = vec![RewardSlot { signal: REWARD.into(), slot: ready("reward") }];
    let status = ModelsStatus { policy: ready("policy"), rewards, calibration, ..ModelsStatus::default() };
    let effects = face.act(Action::Update(Update::Models(status)));
    let id = effects.iter().find_map(|e| if let Effect::Send(Request::Generate { id, .. }) = e { Some(*id) } else { None });
    let id = id.ok_or("no request came")?;

    let keys = ["j", "l", "k", "h", "j", "t", "w", "j", "v", "j", "v", "G"];
    let (mut frames, mut pressed) = (Vec::new(), Vec::new());
    let mut written = [(0, 0); CANDIDATES];
    for round in 0..TOKENS / BETWEEN {
        for (k, written) in written.iter_mut().enumerate() {
            for event in tokens(k, round, written) {
                face.act(Action::Update(Update::Event { id, event }));
            }
        }
        let now = Instant::now();
        face.act(Action::Tick(round as u64 * 33));
        screen.draw(|f| face.draw(f))?;
        frames.push(now.elapsed());
        for key in keys.iter().cycle().skip(round).take(2) {
            // What streams in while the key is on its way is applied, too.
            let events = tokens(0, round * 100 + 7, &mut written[0]);
            let now = Instant::now();
            for event in events {
                face.act(Action::Update(Update::Event { id, event }));
            }
            let code = KeyCode::Char(key.chars().next().unwrap_or('j'));
            face.terminal(Event::Key(KeyEvent::new(code, KeyModifiers::NONE)));
            screen.draw(|f| face.draw(f))?;
            pressed.push(now.elapsed());
        }
    }
    show("frame while streaming", &mut frames);
    show("key to frame", &mut pressed);
    Ok(())
}

/// The next tokens of a candidate of which so many bytes and tokens are written, and their rewards.
fn tokens(k: usize, round: usize, (bytes, count): &mut (usize, usize)) -> Vec<TraceEvent> {
    let (mut text, mut tokens, mut rewards) = (String::new(), Vec::new(), Vec::new());
    for i in 0..BETWEEN {
        let piece = if i + 1 == BETWEEN {
            "\n".to_string()
        } else {
            format!(" {}", ["so", "12", "rolls", "are", "left", "="][(i + k + round) % 6])
        };
        let span = Span::new(*bytes, *bytes + piece.len());
        *bytes = span.end;
        text.push_str(&piece);
        tokens.push(Token { id: Some(i as u32), span, logprob: Some(-0.1 * i as f32), entropy: Some(0.4) });
        rewards.push(TokenValue { span, value: 1.5 - 0.2 * ((i * 7 + k * 3 + round) % 13) as f32 });
    }
    let from = *count;
    *count += BETWEEN;
    vec![TraceEvent::Tokens { candidate: k, text, tokens }, TraceEvent::Rewards { candidate: k, signal: REWARD.into(), from, rewards }]
}

fn show(name: &str, times: &mut [Duration]) {
    times.sort();
    let at = |q: f64| times[((times.len() - 1) as f64 * q).round() as usize].as_secs_f64() * 1e3;
    println!("  {name:24} p50 {:.2} ms, p99 {:.2} ms, worst {:.2} ms", at(0.5), at(0.99), at(1.0));
}
