//! The process that tests programs: it is trusted, is started once for many programs, and copies itself for each.

use super::child::Order;
use super::outcome::Outcome;
use super::start::{greeting, setup, spawn};
use super::{Limits, SandboxError, Trial};
use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags, sendmsg};
use rustix::process::{Pid, Signal, kill_process_group};
use serde::Serialize;
use std::io::{Error, ErrorKind, IoSlice, Read, Write};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Child, ExitStatus};

/// What a tester says of a program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// No test raised an exception.
    Passed,
    /// The program is no longer there to answer; how it ended says why.
    Gone,
    /// How it ended.
    Is(Outcome),
}

impl Verdict {
    /// Reads a line of the tester's.
    fn of(line: &str) -> Option<Self> {
        let died = |status: &str| {
            // The tests used up what they may have, or a signal ended them.
            let signal = ExitStatus::from_raw(status.parse().ok()?).signal()?;
            Some(Self::Is(if signal == Signal::XCPU.as_raw() { Outcome::CpuTime } else { Outcome::Signalled(signal) }))
        };
        match line.split_once(' ').unwrap_or((line, "")) {
            ("passed", "") => Some(Self::Passed),
            ("gone", "") => Some(Self::Gone),
            ("failed", said) => Some(Self::Is(Outcome::failed(said))),
            ("died", status) => died(status),
            _ => None,
        }
    }
}

/// What a tester is told of a trial.
#[derive(Serialize)]
struct Question<'a> {
    #[serde(flatten)]
    trial: &'a Trial<'a>,
    /// CPU time of the tests, seconds.
    cpu: u64,
}

/// A tester that does not outlive this.
#[derive(Debug)]
pub(super) struct Tester {
    child: Child,
    control: UnixStream,
    said: Vec<u8>,
    /// What it says of the program that it was given last.
    pub verdict: Option<Verdict>,
}

impl Drop for Tester {
    fn drop(&mut self) {
        if let Some(group) = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw) {
            let _ = kill_process_group(group, Signal::KILL);
        }
        let _ = self.child.wait();
    }
}

impl Tester {
    /// Starts one; it has no more use for its directory then.
    pub(super) fn start(executable: &Path, order: &Order) -> Result<Self, SandboxError> {
        let (child, control) = spawn(executable, order)?;
        let mut tester = Self { child, control, said: Vec::new(), verdict: None };
        // What it says, it says on its channel.
        (tester.child.stdout, tester.child.stderr) = (None, None);
        let wall = order.limits.wall.max(Limits::default().wall);
        if greeting(&mut tester.control, wall)?.is_none() {
            return Err(SandboxError::Setup { what: "the tester said nothing".into() });
        }
        Ok(tester)
    }

    /// Gives it a trial, and the channel to the program.
    pub(super) fn begin(&mut self, trial: &Trial<'_>, limits: &Limits, channel: &UnixStream) -> std::io::Result<()> {
        (self.verdict, self.said) = (None, Vec::new());
        channel.set_read_timeout(None)?;
        let cpu = limits.cpu.as_secs() + u64::from(limits.cpu.subsec_nanos() > 0);
        let json = serde_json::to_vec(&Question { trial, cpu })?;
        let size = u32::try_from(json.len()).map_err(Error::other)?.to_be_bytes();
        let channels = [channel.as_fd()];
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut along = SendAncillaryBuffer::new(&mut space);
        if !along.push(SendAncillaryMessage::ScmRights(&channels)) {
            return Err(ErrorKind::OutOfMemory.into());
        }
        let sent = sendmsg(&self.control, &[IoSlice::new(&size)], &mut along, SendFlags::empty())?;
        self.control.write_all(&size[sent..])?;
        self.control.write_all(&json)
    }

    /// Reads what there is to read of its verdict.
    pub(super) fn read(&mut self) -> Result<(), SandboxError> {
        let ended = || SandboxError::Setup { what: "the tester ended".into() };
        let mut buffer = [0; 1 << 12];
        match self.control.read(&mut buffer) {
            Ok(0) => return Err(ended()),
            Ok(n) => self.said.extend(&buffer[..n]),
            Err(e) if matches!(e.kind(), ErrorKind::Interrupted | ErrorKind::WouldBlock | ErrorKind::TimedOut) => {}
            Err(e) => return Err(setup("the tester")(e)),
        }
        if let Some(line) = self.said.strip_suffix(b"\n") {
            self.verdict = Some(Verdict::of(&String::from_utf8_lossy(line)).ok_or_else(ended)?);
        }
        Ok(())
    }
}

impl AsFd for Tester {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.control.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn verdicts_by_hand() {
        assert_eq!(Verdict::of("passed"), Some(Verdict::Passed));
        assert_eq!(Verdict::of("gone"), Some(Verdict::Gone));
        assert_eq!(Verdict::of("failed AssertionError: x y"), Some(Verdict::Is(Outcome::Failed("AssertionError: x y".into()))));
        assert_eq!(Verdict::of("failed MemoryError"), Some(Verdict::Is(Outcome::Memory)));
        assert_eq!(Verdict::of("died 11"), Some(Verdict::Is(Outcome::Signalled(11))));
        assert_eq!(Verdict::of(&format!("died {}", Signal::XCPU.as_raw())), Some(Verdict::Is(Outcome::CpuTime)));
        for line in ["", "passed it", "died 256", "died", "x"] {
            assert_eq!(Verdict::of(line), None, "{line}");
        }
    }
}
