//! How a program ended.

#[cfg(unix)]
use std::process::ExitStatus;
use std::time::Duration;

/// How a program ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It ran to its last statement without an exception, and passed its tests, where it had some.
    Completed,
    /// It ended itself before, with this code.
    Exited(i32),
    /// An exception ended it: the last line of what it said, such as `AssertionError` or `NameError: name 'x' is not defined`.
    Failed(String),
    /// A signal ended it, such as 11 after a stack overflow; 9 where the kernel ran out of memory or the program held on past its CPU time.
    Signalled(i32),
    /// It used up its CPU time.
    CpuTime,
    /// It did not end in time.
    WallTime,
    /// It asked for more memory than it may have.
    Memory,
    /// It wrote a file larger than it may, or more files than its directory may hold.
    Disk,
    /// It printed more than it may.
    Output,
}

/// A program that was run.
#[derive(Clone, Debug)]
pub struct Run {
    /// How it ended.
    pub outcome: Outcome,
    /// What it printed, with what is no UTF-8 replaced; at most what its limits allow.
    pub stdout: String,
    /// What it printed as errors.
    pub stderr: String,
    /// From its start to its end.
    pub wall: Duration,
}

/// EFBIG and ENOSPC, as Python writes them: a write past the limit on a file's size, and on that of all files.
#[cfg(unix)]
const TOO_LARGE: [&str; 2] = ["OSError: [Errno 27]", "OSError: [Errno 28]"];

impl Outcome {
    /// The outcome that a status, what was said as errors, and whether the end was reached speak of.
    #[cfg(unix)]
    pub(super) fn of(status: ExitStatus, stderr: &str, reached_end: bool) -> Self {
        if let Some(signal) = std::os::unix::process::ExitStatusExt::signal(&status) {
            return if signal == rustix::process::Signal::XCPU.as_raw() { Self::CpuTime } else { Self::Signalled(signal) };
        }
        let said = stderr.lines().rev().find(|l| !l.trim().is_empty()).map(str::trim);
        match (status.code(), said) {
            (Some(0), _) if reached_end => Self::Completed,
            (Some(1), Some(last)) => Self::failed(last),
            (code, _) => Self::Exited(code.unwrap_or(-1)),
        }
    }

    /// The outcome that an exception speaks of.
    #[cfg(unix)]
    pub(super) fn failed(said: &str) -> Self {
        if said.starts_with("MemoryError") {
            Self::Memory
        } else if TOO_LARGE.iter().any(|t| said.starts_with(t)) {
            Self::Disk
        } else {
            Self::Failed(said.to_owned())
        }
    }
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;
    use std::os::unix::process::ExitStatusExt;

    #[test]
    fn statuses_by_hand() {
        let of = |raw, said, end| Outcome::of(ExitStatus::from_raw(raw), said, end);
        assert_eq!(of(0, "a warning\n", true), Outcome::Completed);
        assert_eq!(of(0, "", false), Outcome::Exited(0));
        assert_eq!(of(3 << 8, "", false), Outcome::Exited(3));
        assert_eq!(of(1 << 8, "", false), Outcome::Exited(1));
        assert_eq!(of(1 << 8, "Traceback\n  x\nAssertionError\n\n", false), Outcome::Failed("AssertionError".into()));
        assert_eq!(of(1 << 8, "MemoryError\n", false), Outcome::Memory);
        assert_eq!(of(1 << 8, "OSError: [Errno 27] File too large\n", false), Outcome::Disk);
        assert_eq!(of(1 << 8, "OSError: [Errno 28] No space left on device\n", false), Outcome::Disk);
        assert_eq!(of(11, "", false), Outcome::Signalled(11));
        assert_eq!(of(rustix::process::Signal::XCPU.as_raw(), "", false), Outcome::CpuTime);
        // What counts is that the end was reached, not what the program says.
        assert_eq!(of(1 << 8, "ValueError: after the end", true), Outcome::Failed("ValueError: after the end".into()));
    }
}
