//! Starting a subprocess, and hearing that all its guards are on.

use super::child::Order;
use super::{COMMAND, Guards, SandboxError};
use std::io::{ErrorKind, Read};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// Bytes that a subprocess says of itself, at most.
const GREETING: usize = 4096;

/// The error of a step of setting up.
pub(super) fn setup(what: &str) -> impl Fn(std::io::Error) -> SandboxError + '_ {
    move |error| SandboxError::Setup { what: format!("{what}: {error}") }
}

/// Starts the executable with an order; returns it and this end of the channel.
pub(super) fn spawn(executable: &Path, order: &Order) -> Result<(Child, UnixStream), SandboxError> {
    let json = serde_json::to_string(order).map_err(|e| SandboxError::Setup { what: e.to_string() })?;
    let (ours, theirs) = UnixStream::pair().map_err(setup("a channel"))?;
    // The end of the subprocess is closed here with the command, or the channel would never end.
    let child = Command::new(executable)
        .args([COMMAND, &json])
        .current_dir(&order.directory)
        .stdin(OwnedFd::from(theirs))
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0)
        .spawn()
        .map_err(|e| setup(&executable.display().to_string())(e))?;
    Ok((child, ours))
}

/// What a subprocess says of itself before it becomes the interpreter: the guards that hold. `None` where it says nothing in time.
pub(super) fn greeting(channel: &mut UnixStream, wall: Duration) -> Result<Option<Guards>, SandboxError> {
    let began = Instant::now();
    let mut bytes = Vec::new();
    // What comes after the line is for somebody else, so that no more is read.
    while bytes.last() != Some(&b'\n') && bytes.len() < GREETING {
        let left = wall.saturating_sub(began.elapsed());
        if left.is_zero() {
            return Ok(None);
        }
        channel.set_read_timeout(Some(left)).map_err(setup("the channel"))?;
        let mut byte = [0];
        match channel.read(&mut byte) {
            Ok(0) => break,
            Ok(_) => bytes.extend(byte),
            Err(e) if matches!(e.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut | ErrorKind::Interrupted) => {}
            Err(e) if e.kind() == ErrorKind::ConnectionReset => break,
            Err(e) => return Err(setup("the channel")(e)),
        }
    }
    let text = String::from_utf8_lossy(&bytes);
    match text.strip_prefix('+').and_then(|guards| serde_json::from_str(guards).ok()) {
        Some(guards) => Ok(Some(guards)),
        None => {
            let what = text.strip_prefix('-').unwrap_or("the subprocess ended before it said anything");
            Err(SandboxError::Setup { what: what.to_owned() })
        }
    }
}
