//! The side of the sandbox that runs in the subprocess: puts the limits and guards on itself, and becomes the interpreter.

use super::exec::Pass;
use super::guards::Guards;
use super::python::Python;
use super::{Limits, SandboxError};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use serde::{Deserialize, Serialize};
use std::ffi::CString;
use std::fs::File;
use std::io::Write;
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// What tests programs.
const TESTER: &str = concat!(include_str!("plain.py"), include_str!("tester.py"));

/// Files that a program may have.
pub(super) const FILES: u64 = 1024;

/// Name of the program in its directory.
pub(super) const PROGRAM: &str = "program.py";

/// What a subprocess is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Role {
    /// Put everything on, say which guards hold, and end.
    Probe,
    /// Run a program that nobody trusts.
    Candidate,
    /// Test such programs.
    Tester,
}

/// What the subprocess is told.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Order {
    /// What it is for.
    pub role: Role,
    /// Limits to put on.
    pub limits: Limits,
    /// Interpreter to become.
    pub python: Python,
    /// The program's directory.
    pub directory: PathBuf,
    /// Guards without which it must not run.
    pub guards: Guards,
}

/// Does what the order says. Answers on standard input, which is one end of a channel: `+` and the guards as JSON where all is put on, `-` and a message
/// otherwise. Returns whether all went well where it does not become the interpreter.
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
    let pass = Pass::new();
    let guards = restrict(&order, pass)?;
    if !guards.cover(order.guards) {
        return Err(what(&format!("guards that held before do not any more: {}", guards.missing().join(", "))));
    }
    let answer = serde_json::to_string(&guards).map_err(|e| what(&e))?;
    channel.write_all(format!("+{answer}\n").as_bytes()).map_err(|e| what(&e))?;
    let code = match order.role {
        Role::Probe => return Ok(()),
        Role::Candidate => &format!("exec(__import__('marshal').loads(bytes.fromhex('{}')))", order.python.candidate),
        Role::Tester => TESTER,
    };
    let error = become_python(&order, code, pass).unwrap_or_else(|e| e);
    Err(what(&format!("{}: {error}", order.python.executable.display())))
}

/// Comes back only with an error.
fn become_python(order: &Order, code: &str, pass: Pass) -> std::io::Result<std::io::Error> {
    let text = |bytes: &[u8]| CString::new(bytes).map_err(std::io::Error::other);
    let path = |before: &str, path: &Path| text(&[before.as_bytes(), path.as_os_str().as_bytes()].concat());
    let executable = path("", &order.python.executable)?;
    // Without -I, which would shut out the seed of hashes: the environment is empty, and the code drops the directory from the search path.
    let mut args = vec![executable.clone()];
    for arg in ["-s", "-S", "-B", "-X", "utf8", "-c", code] {
        args.push(text(arg.as_bytes())?);
    }
    let environment = [text(b"PYTHONHASHSEED=0")?, path("HOME=", &order.directory)?, path("TMPDIR=", &order.directory)?];
    Ok(pass.exec(&executable, &args, &environment))
}

/// Puts on what there is to put on, the memory limit and the filter of calls last: setting up needs memory, and calls that are refused afterwards.
fn restrict(order: &Order, pass: Pass) -> Result<Guards, SandboxError> {
    #[cfg(target_os = "linux")]
    let (namespaces, files) = {
        if order.role == Role::Candidate {
            // Whoever starts this waits for it; where that one is killed, so is this.
            let _ = rustix::process::set_parent_process_death_signal(Some(rustix::process::Signal::KILL));
        }
        let what = |step: &str, error: &dyn std::fmt::Display| SandboxError::Setup { what: format!("{step}: {error}") };
        let program = (order.role == Role::Candidate).then(|| std::fs::read(PROGRAM)).transpose().map_err(|e| what(PROGRAM, &e))?;
        let walled = super::namespaces::enter(&order.directory, &order.python, &super::files::DEVICES, order.limits.disk, FILES).is_ok();
        if let Some(program) = program.filter(|_| walled) {
            std::fs::write(PROGRAM, program).map_err(|e| what(PROGRAM, &e))?;
        }
        (walled, super::files::restrict(&order.python, &order.directory).map_err(|e| what("Landlock", &e))?)
    };
    #[cfg(not(target_os = "linux"))]
    let (namespaces, files) = (false, false);
    let l = &order.limits;
    let seconds = l.cpu.as_secs() + u64::from(l.cpu.subsec_nanos() > 0);
    for (resource, soft, hard) in [
        (Resource::Core, 0, 0),
        (Resource::Cpu, seconds, seconds + 1),
        (Resource::Fsize, l.file, l.file),
        (Resource::Nofile, l.open_files, l.open_files),
        (Resource::Stack, l.stack, l.stack),
    ] {
        // Who tests many programs limits the time of each.
        if resource != Resource::Cpu || order.role != Role::Tester {
            limit(resource, soft, hard).map_err(|e| SandboxError::Setup { what: format!("{resource:?}: {e}") })?;
        }
    }
    // macOS counts address space otherwise and refuses.
    let memory = limit(Resource::As, l.memory, l.memory).is_ok() && cfg!(target_os = "linux");
    let tests = order.role == Role::Tester;
    #[cfg(target_os = "linux")]
    let calls = super::syscalls::restrict(super::syscalls::Allowance { pass, removes: namespaces, forks: tests }).is_ok();
    #[cfg(not(target_os = "linux"))]
    let calls = {
        let _ = pass;
        false
    };
    if !calls && !tests {
        // A process that may have no further ones, where the user is not root.
        let _ = limit(Resource::Nproc, 0, 0);
    }
    Ok(Guards { files, network: calls, processes: calls, memory, namespaces })
}

/// Lowers a limit; one that is lower already stays.
fn limit(resource: Resource, soft: u64, hard: u64) -> rustix::io::Result<()> {
    let most = getrlimit(resource).maximum.unwrap_or(u64::MAX);
    setrlimit(resource, Rlimit { current: Some(soft.min(most)), maximum: Some(hard.min(most)) })
}
