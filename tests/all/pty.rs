//! The real binary in a real terminal: start, stream, resize, signals, panic, no terminal, and a clean terminal afterwards.
#![cfg(unix)]

use portable_pty::{Child, CommandBuilder, MasterPty, PtySize, native_pty_system};
use std::io::{Read, Write};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// A program in a terminal of its own.
struct Terminal {
    master: Box<dyn MasterPty + Send>,
    child: Box<dyn Child + Send + Sync>,
    writer: Box<dyn Write + Send>,
    parser: Arc<Mutex<vt100::Parser>>,
    modes: String,
    _home: tempfile::TempDir,
}

/// The emulator itself panics on wide characters in a terminal of one column: it is never smaller than this, whatever the program is told.
const EMULATED: u16 = 4;

fn size(rows: u16, cols: u16) -> PtySize {
    PtySize { rows, cols, pixel_width: 0, pixel_height: 0 }
}

impl Terminal {
    fn start(args: &[&str], rows: u16, cols: u16, env: &[(&str, &str)]) -> Self {
        let pair = native_pty_system().openpty(size(rows, cols)).unwrap();
        let modes = format!("{:?}", pair.master.get_termios());
        let home = tempfile::tempdir().unwrap();
        let mut command = CommandBuilder::new(env!("CARGO_BIN_EXE_reasonscope"));
        command.args(args);
        command.cwd(env!("CARGO_MANIFEST_DIR"));
        for (name, value) in
            [("TERM", "xterm-256color"), ("RUST_BACKTRACE", "0"), ("LANG", "C.UTF-8"), ("HOME", home.path().to_str().unwrap())]
                .iter()
                .chain(env)
        {
            command.env(name, value);
        }
        command.env_remove("NO_COLOR");
        let child = pair.slave.spawn_command(command).unwrap();
        let mut reader = pair.master.try_clone_reader().unwrap();
        let parser = Arc::new(Mutex::new(vt100::Parser::new(rows.max(EMULATED), cols.max(EMULATED), 0)));
        let feed = parser.clone();
        std::thread::spawn(move || {
            let mut buffer = [0; 4096];
            while let Ok(n @ 1..) = reader.read(&mut buffer) {
                feed.lock().unwrap().process(&buffer[..n]);
            }
        });
        let writer = pair.master.take_writer().unwrap();
        // The slave stays open, so that the modes can be asked for after the program has gone.
        std::mem::forget(pair.slave);
        Self { master: pair.master, child, writer, parser, modes, _home: home }
    }

    fn text(&self) -> String {
        self.parser.lock().unwrap().screen().contents()
    }

    fn wait_for(&self, what: &str, there: impl Fn(&str) -> bool) -> String {
        let start = Instant::now();
        loop {
            let text = self.text();
            if there(&text) {
                return text;
            }
            assert!(start.elapsed() < Duration::from_secs(120), "waited for {what}; on screen:\n{text}");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    fn keys(&mut self, keys: &str) {
        self.writer.write_all(keys.as_bytes()).unwrap();
    }

    fn resize(&self, rows: u16, cols: u16) {
        self.parser.lock().unwrap().screen_mut().set_size(rows.max(EMULATED), cols.max(EMULATED));
        self.master.resize(size(rows, cols)).unwrap();
    }

    fn signal(&self, name: &str) {
        let id = self.child.process_id().unwrap().to_string();
        assert!(std::process::Command::new("kill").args([name, &id]).status().unwrap().success());
    }

    /// Waits for the end; the exit code.
    fn end(&mut self) -> u32 {
        let start = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                // The reader may still have the last bytes before it.
                std::thread::sleep(Duration::from_millis(200));
                return status.exit_code();
            }
            if start.elapsed() > Duration::from_secs(120) {
                let _ = self.child.kill();
                panic!("it does not end; on screen:\n{}", self.text());
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// The terminal is as it was before.
    fn assert_clean(&self) {
        let parser = self.parser.lock().unwrap();
        let screen = parser.screen();
        assert!(!screen.alternate_screen(), "the alternate screen was not left");
        assert!(!screen.hide_cursor(), "the cursor is hidden");
        assert!(!screen.bracketed_paste(), "bracketed paste is on");
        assert_eq!(screen.mouse_protocol_mode(), vt100::MouseProtocolMode::None, "the mouse is captured");
        assert_eq!(format!("{:?}", self.master.get_termios()), self.modes, "the terminal's modes have changed");
    }
}

const LIVE: [&str; 4] = ["-n", "2", "--max-tokens", "200"];

#[test]
fn it_starts_streams_and_leaves_a_clean_terminal() {
    let mut terminal = Terminal::start(&LIVE, 30, 100, &[]);
    assert!(terminal.modes.contains("Termios"));
    terminal.wait_for("an answer", |t| t.contains("####"));
    assert!(terminal.parser.lock().unwrap().screen().alternate_screen());
    terminal.keys("q");
    assert_eq!(terminal.end(), 0);
    terminal.assert_clean();
}

#[test]
fn it_opens_recorded_traces() {
    let mut terminal = Terminal::start(&["inspect", "samples/processbench.jsonl"], 24, 80, &[]);
    terminal.wait_for("a trace", |t| t.contains("bakery-1"));
    terminal.keys("q");
    assert_eq!(terminal.end(), 0);
    terminal.assert_clean();
}

#[test]
fn the_log_of_a_screen_goes_to_its_file() {
    let dir = tempfile::tempdir().unwrap();
    let log = dir.path().join("a.log");
    let read = || std::fs::read_to_string(&log).unwrap();
    let args = ["inspect", "samples/processbench.jsonl", "--reward", "embedded", "-vv", "--log", log.to_str().unwrap()];
    let mut terminal = Terminal::start(&args, 24, 80, &[]);
    terminal.wait_for("a trace", |t| t.contains("bakery-1"));
    terminal.wait_for("the model", |_| read().contains("has loaded a model"));
    assert!(!terminal.text().contains("INFO") && read().contains("has opened a file"), "{}", terminal.text());
    terminal.keys("q");
    assert_eq!(terminal.end(), 0);
    terminal.assert_clean();
    assert!(!terminal.text().contains("INFO"), "{}", terminal.text());
}

#[test]
fn keys_are_heard_while_nothing_else_happens() {
    let mut terminal = Terminal::start(&["inspect", "samples/processbench.jsonl", "--reward", "none"], 24, 80, &[]);
    terminal.wait_for("a trace", |t| t.contains("bakery-1"));
    for _ in 0..5 {
        terminal.keys("?");
        terminal.wait_for("the help", |t| !t.contains("bakery-1"));
        terminal.keys("q");
        terminal.wait_for("the list", |t| t.contains("bakery-1"));
    }
    terminal.keys("q");
    assert_eq!(terminal.end(), 0);
    terminal.assert_clean();
}

#[test]
fn labels_are_in_the_file_when_it_ends_and_soon_while_it_runs() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("labels.jsonl");
    let args = ["inspect", "samples/processbench.jsonl", "--labels", path.to_str().unwrap()];
    let labelled = || std::fs::read_to_string(&path).map_or(0, |t| t.matches("\"labels\":[").count());
    for (n, end) in [(1, "q"), (2, "-TERM")] {
        let mut terminal = Terminal::start(&args, 24, 80, &[]);
        terminal.wait_for("a trace", |t| t.contains("bakery-1"));
        terminal.keys(if n == 1 { "\r" } else { "J\r" });
        terminal.wait_for("a step", |t| t.contains("step 1/"));
        terminal.keys("+");
        terminal.wait_for("the label", |t| t.contains("labelled right"));
        match end {
            "q" => terminal.keys("q"),
            signal => terminal.signal(signal),
        }
        assert_eq!(terminal.end(), if end == "q" { 0 } else { 143 });
        terminal.assert_clean();
        assert_eq!(labelled(), n, "ended by {end}");
    }
    std::fs::remove_file(&path).unwrap();
    let mut terminal = Terminal::start(&args, 24, 80, &[]);
    terminal.wait_for("a trace", |t| t.contains("bakery-1"));
    terminal.keys("\r");
    terminal.wait_for("a step", |t| t.contains("step 1/"));
    terminal.keys("+");
    let start = Instant::now();
    while labelled() < 1 {
        assert!(start.elapsed() < Duration::from_secs(60), "nothing is written; on screen:\n{}", terminal.text());
        std::thread::sleep(Duration::from_millis(20));
    }
    terminal.keys("q");
    terminal.end();
}

#[test]
fn two_inspectors_on_one_file_of_labels_keep_the_marks_of_both() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("labels.jsonl");
    let args = ["inspect", "samples/processbench.jsonl", "--labels", path.to_str().unwrap()];
    // Both are open before either marks anything.
    let mut terminals = [0, 1].map(|_| Terminal::start(&args, 24, 80, &[]));
    for terminal in &mut terminals {
        terminal.wait_for("a trace", |t| t.contains("bakery-1"));
        terminal.keys("\r");
        terminal.wait_for("a step", |t| t.contains("step 1/"));
    }
    let [first, second] = &mut terminals;
    first.keys("+");
    first.wait_for("the label", |t| t.contains("labelled right"));
    second.keys("j");
    second.wait_for("the next step", |t| t.contains("step 2/"));
    second.keys("-");
    second.wait_for("the label", |t| t.contains("labelled wrong"));
    // The one that marked first writes last.
    for terminal in [second, first] {
        terminal.keys("q");
        assert_eq!(terminal.end(), 0);
        terminal.assert_clean();
    }
    let text = std::fs::read_to_string(&path).unwrap();
    let traces: Vec<serde_json::Value> = text.lines().map(|l| serde_json::from_str(l).unwrap()).collect();
    let marks: Vec<&serde_json::Value> = traces.iter().map(|t| &t["labels"]).collect();
    assert!(marks.len() == 1 && marks[0][0] == 1.0 && marks[0][1] == 0.0 && marks[0][2].is_null(), "{text}");
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1);
}

#[test]
fn it_lives_through_every_size() {
    let mut terminal = Terminal::start(&LIVE, 1, 1, &[]);
    for (rows, cols) in [(24, 80), (1, 1), (2, 400), (400, 2), (15, 60), (30, 100)] {
        terminal.resize(rows, cols);
        std::thread::sleep(Duration::from_millis(150));
        assert!(terminal.child.try_wait().unwrap().is_none(), "it ended at {rows}×{cols}");
    }
    terminal.wait_for("an answer", |t| t.contains("####"));
    terminal.keys("q");
    assert_eq!(terminal.end(), 0);
    terminal.assert_clean();
}

#[test]
fn signals_end_it_cleanly() {
    for (signal, code) in [("-TERM", 143), ("-INT", 130), ("-HUP", 129), ("-QUIT", 131)] {
        let mut terminal = Terminal::start(&LIVE, 24, 80, &[]);
        terminal.wait_for("a first frame", |t| !t.trim().is_empty());
        terminal.signal(signal);
        assert_eq!(terminal.end(), code, "{signal}");
        terminal.assert_clean();
    }
}

#[test]
fn an_abort_gives_the_screen_back_as_where_memory_runs_out() {
    let mut terminal = Terminal::start(&LIVE, 24, 80, &[]);
    terminal.wait_for("a first frame", |t| !t.trim().is_empty());
    terminal.signal("-ABRT");
    assert_ne!(terminal.end(), 0);
    terminal.assert_clean();
    assert!(terminal.text().contains("reasonscope: aborted"), "{}", terminal.text());
}

#[test]
#[cfg_attr(not(debug_assertions), ignore = "only a debug build panics when it is asked to")]
fn a_panic_leaves_a_clean_terminal_and_says_what_happened() {
    let mut terminal = Terminal::start(&LIVE, 24, 80, &[("REASONSCOPE_TEST_PANIC", "1")]);
    assert_eq!(terminal.end(), 101);
    terminal.assert_clean();
    assert!(terminal.text().contains("a panic was asked for"), "{}", terminal.text());
}

#[test]
fn errors_are_said_before_the_screen_is_taken() {
    let wrong = "this is no model";
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("config.json"), wrong).unwrap();
    let bad = dir.path().join("bad.jsonl");
    std::fs::write(&bad, "{\"schema_version\": 1, \"trace_id\": \"t\", \"text\": 5}\n".repeat(3)).unwrap();
    for args in [
        &["inspect", "missing.jsonl"][..],
        &["inspect", bad.to_str().unwrap()],
        &["--reward", "missing-model"],
        &["--policy", dir.path().to_str().unwrap()],
        &["--theme", "no-such-theme"],
        &["--problems", "missing.txt"],
    ] {
        let mut terminal = Terminal::start(args, 24, 80, &[]);
        assert_eq!(terminal.end(), 1, "{args:?}: {}", terminal.text());
        terminal.assert_clean();
        assert!(terminal.text().contains("reasonscope: "), "{args:?}: {}", terminal.text());
    }
}

#[test]
fn a_run_is_watched_as_it_grows() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("metrics.jsonl");
    let line = |step: usize| format!("{{\"stage\":\"rl\",\"step\":{step},\"steps\":9,\"reward\":0.{step}}}\n");
    std::fs::write(&path, line(1)).unwrap();
    let mut terminal = Terminal::start(&["watch", dir.path().to_str().unwrap()], 24, 80, &[]);
    terminal.wait_for("the first step", |t| t.contains("rl 1/9"));
    std::fs::write(&path, line(1) + &line(2)).unwrap();
    terminal.wait_for("the second step", |t| t.contains("rl 2/9") && t.contains("0.200"));
    terminal.resize(10, 30);
    // crossterm may hold a key back that comes in the same moment as a resize, until the next one
    terminal.wait_for("the small frame", |t| t.contains("? help  q quit"));
    terminal.keys("?");
    terminal.wait_for("the help", |t| t.contains("Help"));
    terminal.keys("qq");
    assert_eq!(terminal.end(), 0);
    terminal.assert_clean();
    let mut terminal = Terminal::start(&["watch", dir.path().to_str().unwrap()], 24, 80, &[]);
    terminal.wait_for("a first frame", |t| t.contains("rl 2/9"));
    terminal.signal("-TERM");
    assert_eq!(terminal.end(), 143);
    terminal.assert_clean();
}

/// The folder of a run as an earlier version left it: half-way through the reward model's labels.
fn old_run() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    crate::run_folder::copy(crate::run_folder::old_run().as_path(), dir.path());
    dir
}

#[test]
fn a_run_is_opened_by_its_folder() {
    let dir = old_run();
    let folder = dir.path().to_str().unwrap();
    let open = |dir: &str| Terminal::start(&["inspect", dir], 30, 100, &[]);
    let mut terminal = open(folder);
    assert_eq!(terminal.end(), 1, "nothing but rollouts without texts: {}", terminal.text());
    assert!(terminal.text().contains("without texts"), "{}", terminal.text());
    let sample =
        r#"{"stage":"rl","step":3,"problem":"Luke has 50 eggs.","gold":"50","candidates":[{"text":"so 50","reward":-0.5,"correct":true}]}"#;
    std::fs::write(dir.path().join("samples.jsonl"), sample.to_owned() + "\n" + &sample[..40]).unwrap();
    let mut terminal = open(folder);
    terminal.wait_for("the sample", |t| t.contains("Luke has 50 eggs."));
    terminal.keys("q");
    assert_eq!(terminal.end(), 0);
    terminal.assert_clean();
    let other = dir.path().join("other");
    std::fs::create_dir(&other).unwrap();
    std::fs::write(other.join("notes.txt"), "words").unwrap();
    let mut terminal = open(other.to_str().unwrap());
    assert_eq!(terminal.end(), 1);
    assert!(terminal.text().contains("holds 1 files and no traces"), "{}", terminal.text());
}
