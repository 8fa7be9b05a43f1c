//! The folder of a training run: `metrics.jsonl`, `samples.jsonl`, `rollouts.jsonl`, `run.json` and `evaluation.jsonl`, a part each. What is read piece by piece
//! is what is read at once, and the screen that watches it draws whatever it says.
#![no_main]

use crossterm::event::Event;
use libfuzzer_sys::fuzz_target;
use ratatui::{Terminal, backend::TestBackend};
use reasonscope::run::{MetricsLine, Outcome, PooledRollout, RunChanges, RunFolder, RunReader, RunRecord, RunSample, trace_files};
use reasonscope::tui::{ColorDepth, DEFAULT_THEME, WatchOptions, WatchScreen, parse_keys};
use reasonscope_fuzz::{check_trace, file, folder, is_raw, parts};

const NAMES: [&str; 5] = ["metrics.jsonl", "samples.jsonl", "rollouts.jsonl", "run.json", "evaluation.jsonl"];

fn watch(changes: RunChanges) {
    let options = WatchOptions {
        name: "run".into(),
        theme: DEFAULT_THEME.into(),
        theme_dirs: Vec::new(),
        depth: ColorDepth::TrueColor,
        ascii: false,
    };
    let mut screen = WatchScreen::new(&options).expect("a theme");
    screen.take(changes);
    screen.tick(1e9);
    for size in [(80, 24), (23, 7)] {
        let mut terminal = Terminal::new(TestBackend::new(size.0, size.1)).expect("a terminal");
        for key in parse_keys("jl<tab>v").expect("keys") {
            let frame = terminal.draw(|frame| screen.draw(frame)).expect("a frame");
            frame.buffer.content().iter().for_each(|cell| assert!(!cell.symbol().contains(|c: char| is_raw(c) || c == '\n'), "{cell:?}"));
            screen.terminal(Event::Key(key.event()));
        }
    }
}

fuzz_target!(|data: &[u8]| {
    let parts = parts(data);
    let path = folder().join("run");
    for (i, name) in NAMES.iter().enumerate() {
        match parts.get(i) {
            Some(bytes) => drop(file(&format!("run/{name}"), bytes)),
            None => drop(std::fs::remove_file(path.join(name))),
        }
    }
    let whole = RunReader::open(&path).and_then(|mut reader| reader.poll()).expect("a run");
    let text = format!("{:?}", whole.lines);
    file("run/metrics.jsonl", &parts[0][..parts[0].len() / 2]);
    let mut reader = RunReader::open(&path).expect("a run");
    let mut lines = reader.poll().expect("the first half").lines;
    file("run/metrics.jsonl", parts[0]);
    lines.extend(reader.poll().expect("the second half").lines);
    assert_eq!(format!("{lines:?}"), text, "read in two parts");
    for line in &lines {
        let again = MetricsLine::parse(&line.to_json()).expect("what was written is read");
        assert_eq!(again.to_json(), line.to_json());
    }
    whole.samples.iter().flatten().for_each(|sample| {
        check_trace(&sample.trace);
        sample.trace.candidates.iter().for_each(|c| drop((RunSample::step_rewards(c), RunSample::reward(c))));
        let _ = sample.to_lines();
    });
    watch(whole);
    let run = RunFolder::new(&path);
    let _ = (trace_files(&run), PooledRollout::read(&run.rollouts()));
    let _ = parts.get(3).map(|bytes| serde_json::from_slice::<RunRecord>(bytes));
    let _ = parts.get(4).map(|bytes| serde_json::from_slice::<Outcome>(bytes));
});
