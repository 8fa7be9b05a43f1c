//! The inspector in a terminal of its own: keys, the mouse, sizes, pasted text, signals.

use crate::checks::{DOCUMENTED, sent};
use crate::files;
use crate::program::{MEMORY, memory, signal, signals};
use crate::random::Random;
use portable_pty::{Child, CommandBuilder, MasterPty, PtySize, SlavePty, native_pty_system};
use std::io::{Read, Write};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// The emulator itself panics on wide characters in a terminal of one column.
const EMULATED: u16 = 4;
/// Longest wait for anything that must come.
const PATIENCE: Duration = Duration::from_secs(60);
/// Keys that end nothing: no `q`, no ctrl-c, no ctrl-z.
const KEYS: &[&str] = &[
    "j",
    "k",
    "h",
    "l",
    "gg",
    "G",
    "5j",
    "\x04",
    "\x15",
    "\x06",
    "\x02",
    "w",
    "b",
    "]e",
    "[e",
    "]g",
    "[g",
    "\r",
    "v",
    "t",
    "c",
    "i",
    "o",
    "\t",
    "\x1b",
    "]t",
    "[t",
    "n",
    "N",
    "s",
    "a",
    "d",
    "D",
    "S",
    ".",
    ",",
    "m",
    "?",
    "T",
    "x",
    "r",
    "R",
    "e",
    "/",
    "f",
    "7",
    "3G",
    "\x7f",
    "\x1b[H",
    "\x1b[F",
    "\x1b[6~",
    "\x1b[5~",
    "\x1b[A",
    "\x1b[B",
    "+",
    "-",
    "p",
    "J",
    "K",
    "\x0c",
    "é",
    "\x1b[200~pasted \x1b]0;x\x07 text\n\x1b[201~",
];

#[derive(Default)]
struct Seen {
    parser: Option<vt100::Parser>,
    bytes: Vec<u8>,
    begun: bool,
}

/// The program in a terminal.
pub struct Terminal {
    master: Box<dyn MasterPty + Send>,
    _slave: Box<dyn SlavePty + Send>,
    child: Box<dyn Child + Send + Sync>,
    writer: Box<dyn Write + Send>,
    seen: Arc<Mutex<Seen>>,
    modes: String,
}

fn size(rows: u16, cols: u16) -> PtySize {
    PtySize { rows, cols, pixel_width: 0, pixel_height: 0 }
}

impl Terminal {
    pub fn start(folder: &Path, args: &[&str], rows: u16, cols: u16) -> Result<Self, String> {
        let pair = native_pty_system().openpty(size(rows, cols)).map_err(|e| e.to_string())?;
        let modes = format!("{:?}", pair.master.get_termios());
        let mut command = CommandBuilder::new(env!("CARGO_BIN_EXE_reasonscope"));
        command.args(args);
        command.cwd(folder);
        command.env_clear();
        for (name, value) in [("TERM", "xterm-256color"), ("LANG", "C.UTF-8"), ("PATH", "/usr/bin:/bin")] {
            command.env(name, value);
        }
        command.env("HOME", folder);
        let child = pair.slave.spawn_command(command).map_err(|e| e.to_string())?;
        let mut reader = pair.master.try_clone_reader().map_err(|e| e.to_string())?;
        let parser = Some(vt100::Parser::new(rows.max(EMULATED), cols.max(EMULATED), 0));
        let seen = Arc::new(Mutex::new(Seen { parser, bytes: Vec::new(), begun: false }));
        let feed = seen.clone();
        std::thread::spawn(move || {
            let mut buffer = [0; 1 << 14];
            while let Ok(n @ 1..) = reader.read(&mut buffer) {
                let mut seen = feed.lock().unwrap_or_else(PoisonError::into_inner);
                if let Some(parser) = &mut seen.parser {
                    parser.process(&buffer[..n]);
                }
                seen.bytes.extend_from_slice(&buffer[..n]);
                seen.begun |= seen.bytes.windows(8).any(|b| b == b"\x1b[?1049h");
            }
        });
        let writer = pair.master.take_writer().map_err(|e| e.to_string())?;
        // The slave stays open, so that the modes can be asked for after the program has gone.
        Ok(Self { master: pair.master, _slave: pair.slave, child, writer, seen, modes })
    }

    pub fn text(&self) -> String {
        let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        seen.parser.as_ref().map(|p| p.screen().contents()).unwrap_or_default()
    }

    /// Whether it has taken the screen; before that, nobody listens to signals.
    fn has_begun(&self) -> bool {
        let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        seen.begun
    }

    pub fn id(&self) -> u32 {
        self.child.process_id().unwrap_or_default()
    }

    pub fn keys(&mut self, keys: &str) {
        let _ = self.writer.write_all(keys.as_bytes()).and_then(|()| self.writer.flush());
    }

    pub fn is_there(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    pub fn wait_for(&self, what: &str, there: impl Fn(&str) -> bool) -> Result<(), String> {
        let start = Instant::now();
        while !there(&self.text()) {
            if start.elapsed() > PATIENCE {
                return Err(format!("waited for {what}; on screen:\n{}", self.text()));
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        Ok(())
    }

    fn resize(&self, rows: u16, cols: u16) {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(parser) = &mut seen.parser {
            parser.screen_mut().set_size(rows.max(EMULATED), cols.max(EMULATED));
        }
        let _ = self.master.resize(size(rows, cols));
    }

    /// What it sent since the last call is looked at, and forgotten.
    pub fn check_sent(&self) -> Result<(), String> {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        // What is cut in the middle of a character or sequence waits for its rest.
        let keep = seen.bytes.iter().rev().take(64).position(|b| *b == b'\x1b').map_or(0, |at| at + 1);
        let end = seen.bytes.len() - keep;
        let rest = seen.bytes.split_off(end);
        sent(&std::mem::replace(&mut seen.bytes, rest))
    }

    /// One thing that a user does; what it was.
    pub fn disturb(&mut self, r: &mut Random) -> String {
        let (x, y) = (1 + r.below(130), 1 + r.below(45));
        match r.below(12) {
            0 => {
                let (rows, cols) = (1 + r.below(60) as u16, 1 + r.below(200) as u16);
                self.resize(rows, cols);
                format!("{rows}×{cols}")
            }
            1 => {
                let mouse = format!("\x1b[<{};{x};{y}{}", r.pick(&[0, 64, 65, 2]), r.pick(&["M", "m"]));
                self.keys(&mouse);
                format!("{mouse:?}")
            }
            2 => {
                std::thread::sleep(Duration::from_millis(r.below(150) as u64));
                "a pause".into()
            }
            _ => {
                let keys = r.pick(KEYS);
                // A terminal marks what is pasted once it is asked to; what came before may be changed on its way, the mark of its end too.
                if keys.starts_with("\x1b[200~") && !self.has_begun() {
                    return "no paste yet".into();
                }
                self.keys(keys);
                format!("{keys:?}")
            }
        }
    }

    /// Waits for its end; its exit code, `None` where a signal ended it.
    pub fn end(&mut self) -> Result<Option<u32>, String> {
        let start = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().map_err(|e| e.to_string())? {
                // The reader may still have the last bytes before it.
                std::thread::sleep(Duration::from_millis(150));
                return Ok(status.signal().is_none().then_some(status.exit_code()));
            }
            if start.elapsed() > PATIENCE {
                let _ = self.child.kill();
                return Err(format!("it does not end; on screen:\n{}", self.text()));
            }
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// The terminal is as it was before.
    pub fn check_clean(&self) -> Result<(), String> {
        self.check_sent()?;
        let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(screen) = seen.parser.as_ref().map(vt100::Parser::screen) else { return Ok(()) };
        let wrong = [
            (screen.alternate_screen(), "the alternate screen was not left"),
            (screen.hide_cursor(), "the cursor is hidden"),
            (screen.bracketed_paste(), "bracketed paste is on"),
            (screen.mouse_protocol_mode() != vt100::MouseProtocolMode::None, "the mouse is captured"),
            (format!("{:?}", self.master.get_termios()) != self.modes, "the terminal's modes have changed"),
        ];
        wrong.into_iter().find(|(is, _)| *is).map_or(Ok(()), |(_, what)| Err(format!("{what}; on screen:\n{}", screen.contents())))
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The inspector on random files or live, with everything done to it that users do, and an end at any time.
pub fn inspect(r: &mut Random, folder: &Path) -> Result<String, String> {
    let path = files::traces(r, folder, "traces").display().to_string();
    let mut args = if r.one_in(4) { vec!["-n", "2", "--max-tokens", "60"] } else { vec!["inspect", &path] };
    args.extend(r.one_in(3).then_some("--ascii"));
    args.extend(r.pick(&[&[][..], &["--color", "none"], &["--color", "16"], &["--theme", "chalk"]]));
    args.extend(r.one_in(4).then_some(["--reward", "embedded"]).into_iter().flatten());
    let mut terminal = Terminal::start(folder, &args, 1 + r.below(50) as u16, 1 + r.below(160) as u16)?;
    let mut done = Vec::new();
    let place = |what: String, done: &[String]| format!("{what}\n  args: {args:?}\n  done: {}", done.join(" "));
    for _ in 0..r.below(90) {
        done.push(terminal.disturb(r));
        if r.one_in(3) {
            std::thread::sleep(Duration::from_millis(r.below(30) as u64));
        }
        terminal.check_sent().map_err(|e| place(e, &done))?;
    }
    let held = memory(terminal.id(), "VmHWM").unwrap_or(0);
    let begun = terminal.has_begun();
    let end = if r.one_in(5) { "ctrl-c" } else { r.pick(signals()) };
    match end {
        "ctrl-c" => terminal.keys("\x03"),
        name => signal(terminal.id(), name),
    }
    done.push(end.into());
    let code = terminal.end().map_err(|e| place(e, &done))?;
    match code {
        None if end == "KILL" || !begun => {}
        Some(code) if DOCUMENTED.contains(&(code as i32)) => terminal.check_clean().map_err(|e| place(e, &done))?,
        code => return Err(place(format!("it ended with {code:?}; on screen:\n{}", terminal.text()), &done)),
    }
    if held > MEMORY {
        return Err(place(format!("it held {held} MB, more than {MEMORY}"), &done));
    }
    Ok(format!("{} things done, {end}: {code:?}", done.len()))
}

/// Labels that are older than a second outlive SIGKILL.
pub fn labels(r: &mut Random, folder: &Path) -> Result<String, String> {
    let sample = concat!(env!("CARGO_MANIFEST_DIR"), "/samples/processbench.jsonl");
    let mut terminal = Terminal::start(folder, &["inspect", sample, "--labels", "labels.jsonl"], 24, 80)?;
    terminal.wait_for("a trace", |t| t.contains("bakery-1"))?;
    terminal.keys("\r");
    terminal.wait_for("a step", |t| t.contains("step 1/"))?;
    let marks = 1 + r.below(2);
    for i in 0..marks {
        terminal.keys(if i == 0 { "+" } else { "j-" });
        terminal.wait_for("the label", |t| t.contains(if i == 0 { "labelled right" } else { "labelled wrong" }))?;
        std::thread::sleep(Duration::from_millis(r.below(300) as u64));
    }
    std::thread::sleep(Duration::from_millis(1200));
    signal(terminal.id(), "KILL");
    terminal.end()?;
    let kept = crate::checks::lines(&folder.join("labels.jsonl"))?;
    let labels = kept.iter().flat_map(|l| l["labels"].as_array().into_iter().flatten()).filter(|l| !l.is_null()).count();
    if labels != marks {
        return Err(format!("{marks} steps were labelled and {labels} labels are kept: {kept:?}"));
    }
    Ok(format!("{marks} labels kept"))
}
