//! The side of the sandbox that runs in the subprocess: puts the limits and guards on itself, and becomes the interpreter.

use super::guards::Guards;
use super::python::Python;
use super::{Limits, SandboxError};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use serde::{Deserialize, Serialize};
use std::fs::File;
use std::io::Write;
use std::os::fd::AsFd;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::Command;

/// Runs the program, and says on the channel where it got to its end.
const DRIVER: &str = include_str!("driver.py");

/// What the subprocess is told.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Order {
    /// Limits to put on.
    pub limits: Limits,
    /// Interpreter to become; absent: put everything on, say which guards hold, and end.
    pub python: Option<Python>,
    /// The program's directory.
    pub directory: PathBuf,
    /// Guards without which it must not run.
    pub guards: Guards,
}

/// Does what the order says. Answers on standard input, which is one end of a channel: `+` and the guards as JSON where all is put on, `-` and a message
/// otherwise. Returns whether all went well where there is no interpreter to become.
pub fn enter(order: Option<&str>) -> bool {
    // As a file: what is written to a socket as one is sent, and sending is refused by the time it is needed.
    let Ok(mut channel) = std::io::stdin().as_fd().try_clone_to_owned().map(File::from) else { return false };
    match follow(order, &mut channel) {
        Ok(()) => true,
        Err(error) => {
            // Whoever called this by hand has no channel.
            if channel.write_all(format!("-{error}").as_bytes()).is_err() {
                let _ = writeln!(std::io::stderr(), "{error}");
            }
            false
        }
    }
}

fn follow(order: Option<&str>, channel: &mut File) -> Result<(), SandboxError> {
    let what = |e: &dyn std::fmt::Display| SandboxError::Setup { what: e.to_string() };
    let order: Order = serde_json::from_str(order.unwrap_or_default()).map_err(|e| what(&format!("not for use by hand ({e})")))?;
    let guards = restrict(&order)?;
    if !guards.cover(order.guards) {
        return Err(what(&format!("guards that held before do not any more: {}", guards.missing().join(", "))));
    }
    let answer = serde_json::to_string(&guards).map_err(|e| what(&e))?;
    channel.write_all(format!("+{answer}\n").as_bytes()).map_err(|e| what(&e))?;
    let Some(python) = &order.python else { return Ok(()) };
    // Without -I, which would shut out the seed of hashes: the environment is empty, and the driver drops the directory from the search path.
    let error = Command::new(&python.executable)
        .args(["-s", "-S", "-B", "-X", "utf8", "-c", DRIVER])
        .env_clear()
        .env("PYTHONHASHSEED", "0")
        .env("HOME", &order.directory)
        .env("TMPDIR", &order.directory)
        .exec();
    Err(what(&format!("{}: {error}", python.executable.display())))
}

/// Puts on what there is to put on, the memory limit and the filter of calls last: setting up needs memory, and calls that are refused afterwards.
fn restrict(order: &Order) -> Result<Guards, SandboxError> {
    #[cfg(target_os = "linux")]
    let files = {
        let nobody = Python { executable: PathBuf::new(), version: String::new(), readable: Vec::new(), executes: Vec::new() };
        // Whoever starts this waits for it; where that one is killed, so is this.
        let _ = rustix::process::set_parent_process_death_signal(Some(rustix::process::Signal::KILL));
        super::files::restrict(order.python.as_ref().unwrap_or(&nobody), &order.directory)
            .map_err(|e| SandboxError::Setup { what: format!("Landlock: {e}") })?
    };
    #[cfg(not(target_os = "linux"))]
    let files = false;
    let l = &order.limits;
    let seconds = l.cpu.as_secs() + u64::from(l.cpu.subsec_nanos() > 0);
    for (resource, soft, hard) in [
        (Resource::Core, 0, 0),
        (Resource::Cpu, seconds, seconds + 1),
        (Resource::Fsize, l.file, l.file),
        (Resource::Nofile, l.open_files, l.open_files),
        (Resource::Stack, l.stack, l.stack),
    ] {
        limit(resource, soft, hard).map_err(|e| SandboxError::Setup { what: format!("{resource:?}: {e}") })?;
    }
    // macOS counts address space otherwise and refuses.
    let memory = limit(Resource::As, l.memory, l.memory).is_ok() && cfg!(target_os = "linux");
    #[cfg(target_os = "linux")]
    let calls = super::syscalls::restrict().is_ok();
    #[cfg(not(target_os = "linux"))]
    let calls = false;
    if !calls {
        // A process that may have no further ones, where the user is not root.
        let _ = limit(Resource::Nproc, 0, 0);
    }
    Ok(Guards { files, network: calls, processes: calls, memory })
}

/// Lowers a limit; one that is lower already stays.
fn limit(resource: Resource, soft: u64, hard: u64) -> rustix::io::Result<()> {
    let most = getrlimit(resource).maximum.unwrap_or(u64::MAX);
    setrlimit(resource, Rlimit { current: Some(soft.min(most)), maximum: Some(hard.min(most)) })
}
