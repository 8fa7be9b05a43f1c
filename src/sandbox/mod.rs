//! Runs Python that a model wrote in a subprocess that can do next to nothing, and tests it from another that it cannot reach.
//!
//! The program gets an empty environment, a directory of its own that is deleted afterwards, and limits on CPU time, wall time, memory, sizes of files and
//! output. On Linux, Landlock refuses it all files but its own and the interpreter's, and seccomp refuses it sockets, further processes, executing
//! anything, and signals to others; where a user may make namespaces, these stand around it. [`Guards`] says what of that the system enforces.
//!
//! The tests run in a process of their own, the tester. What it calls is a stand-in: arguments go to the program, and results come back, as bytes of plain
//! data that the tester makes anew, so that nothing of the program's, be it an object with an equality of its own or a builtin that it put in place of
//! another, ever meets a comparison. The program's process holds neither tests nor expected values, and no descriptor of the channel on which the tester
//! gives its verdict.
//!
//! To put all this on, the program starts itself anew: [`Sandbox`] runs an executable with [`COMMAND`] and an order, and that
//! executable must call [`enter`] with the order, as the command line does. It restricts itself and becomes the interpreter, on which the restrictions stay.
//!
//! What remains possible: burning its CPU time; learning, where there are no namespaces, what files there are and how large (`stat` is not restricted);
//! inside its own process, anything to the interpreter; and answering by what it knows of the tests beforehand.

#[cfg(unix)]
mod child;
#[cfg(unix)]
mod exec;
#[cfg(target_os = "linux")]
mod files;
mod guards;
#[cfg(target_os = "linux")]
mod namespaces;
mod outcome;
mod python;
#[cfg(unix)]
mod run;
#[cfg(unix)]
mod start;
#[cfg(target_os = "linux")]
mod syscalls;
#[cfg(unix)]
mod tester;

#[cfg(unix)]
pub use child::enter;
pub use guards::Guards;
pub use outcome::{Outcome, Run};
pub use python::Python;

use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// First argument of an executable that is to call [`enter`] with the second one.
pub const COMMAND: &str = "__sandbox";

/// What a program may use.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits {
    /// CPU time of all threads, in whole seconds, rounded up.
    pub cpu: Duration,
    /// Time from its start to its end.
    pub wall: Duration,
    /// Address space, bytes.
    pub memory: u64,
    /// Stack of the first thread, bytes.
    pub stack: u64,
    /// Size of a file, bytes.
    pub file: u64,
    /// Size of all its files, bytes; looked at a few times a second.
    pub disk: u64,
    /// Files open at a time.
    pub open_files: u64,
    /// Bytes that it may print, errors included.
    pub output: usize,
}

impl Default for Limits {
    /// 3 s of CPU time, as HumanEval's own harness gives a program 3 s (arXiv 2107.03374).
    fn default() -> Self {
        Self::seconds(3)
    }
}

impl Limits {
    /// So much CPU time, in at most five times as long; 512 MiB of memory, 16 MiB a file and 64 MiB of them, 1 MiB of output.
    pub fn seconds(cpu: u64) -> Self {
        Self {
            cpu: Duration::from_secs(cpu),
            wall: Duration::from_secs(cpu.saturating_mul(5)),
            memory: 512 << 20,
            stack: 8 << 20,
            file: 16 << 20,
            disk: 64 << 20,
            open_files: 64,
            output: 1 << 20,
        }
    }
}

/// Why a program was not run, which says nothing of the program.
#[derive(Debug, thiserror::Error)]
pub enum SandboxError {
    /// There is no interpreter.
    #[error("running code needs Python 3: {what}; install it, or put its directory on PATH")]
    Python {
        /// What was tried, and the answer.
        what: String,
    },
    /// The subprocess could not be started or restricted.
    #[error("the sandbox cannot be set up: {what}")]
    Setup {
        /// The step, and the answer.
        what: String,
    },
    /// No limits can be put on a process here.
    #[error("running code needs Linux or another Unix; here there is no way to limit what a program does")]
    Unsupported,
}

/// A program and what it is put to. Everything but the program is trusted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize)]
pub struct Trial<'a> {
    /// What a model wrote, with what it continues; runs as the main module.
    #[serde(skip)]
    pub program: &'a str,
    /// Code that comes before the tests, such as their imports.
    pub setup: &'a str,
    /// What the program continues: what it defines, but for the function that is asked for, is what the tests mean by these names.
    pub prompt: &'a str,
    /// Name of the function that is tested; empty where it is not known.
    pub entry_point: &'a str,
    /// Code that raises an exception where the program is wrong.
    pub tests: &'a str,
}

/// Runs programs, each in a subprocess of its own; may be shared between threads.
#[derive(Clone, Debug)]
pub struct Sandbox {
    executable: PathBuf,
    python: Python,
    guards: Guards,
    limits: Limits,
    /// Testers that have nothing to do.
    #[cfg(unix)]
    testers: std::sync::Arc<std::sync::Mutex<Vec<tester::Tester>>>,
}

impl Sandbox {
    /// A sandbox of what `executable` puts on (see [`COMMAND`]), with the `python3` of the search path.
    ///
    /// # Errors
    /// No interpreter, or a subprocess that cannot be restricted.
    pub fn new(executable: PathBuf, limits: Limits) -> Result<Self, SandboxError> {
        let python = Python::find()?;
        let guards = Guards::probe(&executable, &python)?;
        Ok(Self {
            executable,
            python,
            guards,
            limits,
            #[cfg(unix)]
            testers: std::sync::Arc::default(),
        })
    }

    /// What holds for every program that it runs.
    pub fn guards(&self) -> Guards {
        self.guards
    }

    /// The interpreter.
    pub fn python(&self) -> &Python {
        &self.python
    }

    /// What a program may use.
    pub fn limits(&self) -> &Limits {
        &self.limits
    }

    /// Runs a program to its end or to one of its limits. That it came to its end is its own word: only tests tell what a program does.
    ///
    /// # Errors
    /// The subprocess could not be started or restricted: nothing is known of the program.
    pub fn run(&self, program: &str) -> Result<Run, SandboxError> {
        self.test(&Trial { program, ..Trial::default() })
    }

    /// Runs a program, and then its tests, which call it; [`Outcome::Completed`] is the tester's word that all of them passed. Limits hold for the program
    /// and for its tests, each.
    ///
    /// # Errors
    /// A subprocess could not be started or restricted: nothing is known of the program.
    pub fn test(&self, trial: &Trial<'_>) -> Result<Run, SandboxError> {
        #[cfg(unix)]
        return self.start(trial);
        #[cfg(not(unix))]
        {
            let _ = trial;
            Err(SandboxError::Unsupported)
        }
    }
}

impl Guards {
    /// What holds here for programs of an interpreter: restricts a subprocess, which tells.
    ///
    /// # Errors
    /// It could not be started or restricted.
    pub fn probe(executable: &Path, python: &Python) -> Result<Self, SandboxError> {
        #[cfg(unix)]
        return run::probe(executable, python);
        #[cfg(not(unix))]
        {
            let _ = (executable, python);
            Err(SandboxError::Unsupported)
        }
    }
}

/// There is nothing to enter here.
#[cfg(not(unix))]
pub fn enter(_: Option<&str>) -> bool {
    false
}
