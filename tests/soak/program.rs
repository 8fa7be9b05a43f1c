//! The program without a screen: started, disturbed by signals, and watched for its memory.

use crate::checks::{DOCUMENTED, said};
use std::io::Read;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

/// Most memory that one may have held, MB.
pub const MEMORY: u64 = 1024;
/// Longest time in which one must end once it was told to stop.
const STOPS: Duration = Duration::from_secs(60);
/// Longest time that one may take undisturbed.
const ENDS: Duration = Duration::from_secs(300);

/// The signals that programs without a screen are ended by, all or those that the command line names.
pub static SIGNALS: OnceLock<Vec<&'static str>> = OnceLock::new();

/// Signals by name and number.
pub const NUMBERS: [(&str, i32); 5] = [("HUP", 1), ("INT", 2), ("QUIT", 3), ("KILL", 9), ("TERM", 15)];

/// Those that are sent.
pub fn signals() -> &'static [&'static str] {
    SIGNALS.get_or_init(|| vec!["INT", "TERM", "HUP", "QUIT", "KILL", "KILL"])
}

/// What is done to a program, after so long.
#[derive(Clone, Copy, Debug)]
pub struct Kill {
    pub after: Duration,
    /// Its name, such as `TERM`.
    pub signal: &'static str,
}

/// How a program ended.
#[derive(Debug)]
pub struct Ended {
    /// Its exit code; `None` where a signal ended it.
    pub code: Option<i32>,
    pub stderr: String,
    pub took: Duration,
}

/// A field of `/proc/PID/status` in MB, where there is one.
pub fn memory(id: u32, field: &str) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{id}/status")).ok()?;
    let line = status.lines().find_map(|l| l.strip_prefix(field)?.strip_prefix(':'))?;
    Some(line.split_whitespace().next()?.parse::<u64>().ok()? / 1024)
}

/// Sends a signal.
pub fn signal(id: u32, name: &str) {
    let _ = Command::new("kill").args([&format!("-{name}"), &id.to_string()]).status();
}

/// A command in `folder`, away from the user's own configuration and keys.
pub fn command(folder: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_reasonscope"));
    command.current_dir(folder).env_clear().env("HOME", folder).env("PATH", std::env::var_os("PATH").unwrap_or_default());
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

fn collect(pipe: Option<impl Read + Send + 'static>) -> std::thread::JoinHandle<Vec<u8>> {
    std::thread::spawn(move || {
        let mut all = Vec::new();
        let _ = pipe.map(|mut p| p.read_to_end(&mut all));
        all
    })
}

fn wait(child: &mut Child, kill: Option<Kill>, began: Instant, most: &mut u64) -> Result<(ExitStatus, bool), String> {
    let mut killed = None;
    loop {
        *most = memory(child.id(), "VmHWM").unwrap_or(0).max(*most);
        if let Some(status) = child.try_wait().map_err(|e| e.to_string())? {
            return Ok((status, killed.is_some()));
        }
        if let Some(kill) = kill.filter(|k| killed.is_none() && began.elapsed() >= k.after) {
            signal(child.id(), kill.signal);
            killed = Some(Instant::now());
        }
        let late = killed.map_or(began.elapsed() > ENDS, |at: Instant| at.elapsed() > STOPS);
        if late {
            signal(child.id(), "KILL");
            let _ = child.wait();
            return Err(format!("it did not end {}", if killed.is_some() { "when it was told to" } else { "by itself" }));
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Runs the program to its end, or to a signal, and checks what it says, how it ends and how much memory it held.
pub fn run(folder: &Path, args: &[&str], kill: Option<Kill>) -> Result<Ended, String> {
    let began = Instant::now();
    let mut child = command(folder).args(args).spawn().map_err(|e| e.to_string())?;
    let (out, err) = (collect(child.stdout.take()), collect(child.stderr.take()));
    let mut most = 0;
    let waited = wait(&mut child, kill, began, &mut most);
    let (out, err) = (out.join().unwrap_or_default(), err.join().unwrap_or_default());
    let stderr = String::from_utf8_lossy(&err).into_owned();
    let place = |what: String| format!("{what}\n  args: {args:?}, {kill:?}\n  standard error: {stderr}");
    let (status, killed) = waited.map_err(place)?;
    let code = status.code();
    // Before it has said what it works with, it has not begun, and nobody listens yet.
    let begun = ["policy ", "reward "].iter().any(|word| stderr.contains(word));
    let allowed = |signal| killed && (signal == 9 || !begun) && kill.is_some_and(|k| NUMBERS.contains(&(k.signal, signal)));
    if let Some(signal) = status.signal().filter(|s| !allowed(*s)) {
        return Err(place(format!("signal {signal} ended it")));
    }
    said("standard error", &err).map_err(place)?;
    said("standard output", &out).map_err(place)?;
    // What is more than 3 tells the signal that it was, and comes after one only.
    let told = |code: i32| code <= 3 || killed && kill.is_some_and(|k| NUMBERS.contains(&(k.signal, code - 128)));
    if code.is_some_and(|code| !DOCUMENTED.contains(&code) || !told(code)) {
        return Err(place(format!("exit code {code:?} is none that the documentation has for this")));
    }
    if most > MEMORY {
        return Err(place(format!("it held {most} MB, more than {MEMORY}")));
    }
    Ok(Ended { code, stderr, took: began.elapsed() })
}
