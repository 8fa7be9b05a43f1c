//! Exit codes, and which error leads to which.

use std::fmt;
use std::process::ExitCode;
use std::sync::atomic::{AtomicI32, Ordering};

/// How the program ends; the numbers are documented in `--help` and the man page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// Everything asked for was done.
    Ok = 0,
    /// Something failed; the message says what and what to do.
    Failed = 1,
    /// The command line is wrong.
    Usage = 2,
    /// The work was done, but a gate that the user set was not met.
    GateNotMet = 3,
    /// Interrupted by the user or by a signal, whose number is added to 128; what was done is kept.
    Interrupted = 130,
}

/// The signal that ended the work; 0: none.
static SIGNAL: AtomicI32 = AtomicI32::new(0);

/// Remembers which signal ended the work.
pub fn ended_by(signal: i32) {
    SIGNAL.store(signal, Ordering::SeqCst);
}

impl Exit {
    /// The number that the shell sees.
    pub fn code(self) -> u8 {
        match (self, SIGNAL.load(Ordering::SeqCst)) {
            (Exit::Interrupted, signal @ 1..128) => 128 + signal as u8,
            _ => self as u8,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        ExitCode::from(exit.code())
    }
}

/// Shown below `--help` and in the man page.
pub const HELP: &str = "\
Exit codes:
  0    done; bad records that were skipped are counted and named on standard error
  1    failed; the message on standard error says what and what to do
  2    the command line is wrong
  3    a gate was not met: an alarm that `train --fail-on` names ended the run, a figure is outside `eval --min` or `--max`, or something
       would be lost with `convert --strict`
  130  interrupted by Ctrl-C; what was done is kept (129 after a hang-up, 131 after SIGQUIT, 143 after SIGTERM)";

/// A mistake on the command line that clap cannot see; ends with [`Exit::Usage`].
#[derive(Debug)]
pub struct Usage(pub String);

impl fmt::Display for Usage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Usage {}

/// A gate that the user set was not met; ends with [`Exit::GateNotMet`].
#[derive(Debug)]
pub struct Gate(pub String);

impl fmt::Display for Gate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Gate {}

/// The exit an error leads to; `None` where nothing must be said, because whoever read our output has gone.
pub fn of(error: &anyhow::Error) -> Option<Exit> {
    for cause in error.chain() {
        if cause.downcast_ref::<std::io::Error>().is_some_and(|e| e.kind() == std::io::ErrorKind::BrokenPipe) {
            return None;
        }
        if cause.is::<Usage>() {
            return Some(Exit::Usage);
        }
        if cause.is::<Gate>() {
            return Some(Exit::GateNotMet);
        }
    }
    Some(Exit::Failed)
}

/// An error with its causes in one line; a cause that the error before it already quotes is not said twice.
pub fn message(error: &anyhow::Error) -> String {
    error.chain().map(ToString::to_string).fold(String::new(), |said, cause| match said {
        said if said.is_empty() => cause,
        said if said.ends_with(&cause) => said,
        said => format!("{said}: {cause}"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn causes_are_said_once() {
        let error = anyhow::anyhow!("no such file").context("a.jsonl: no such file").context("cannot open");
        assert_eq!(message(&error), "cannot open: a.jsonl: no such file");
    }

    #[test]
    fn errors_lead_to_their_exit() {
        assert_eq!(of(&anyhow::anyhow!("x")), Some(Exit::Failed));
        assert_eq!(of(&anyhow::Error::new(Usage("y".into())).context("z")), Some(Exit::Usage));
        assert_eq!(of(&anyhow::Error::new(Gate("y".into()))), Some(Exit::GateNotMet));
        let pipe = std::io::Error::from(std::io::ErrorKind::BrokenPipe);
        assert_eq!(of(&anyhow::Error::new(pipe).context("standard output")), None);
    }
}
