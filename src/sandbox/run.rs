//! The side of the sandbox that starts a subprocess, watches over it, and ends it.

use super::child::Order;
use super::outcome::{Outcome, Run};
use super::{COMMAND, Guards, Limits, Sandbox, SandboxError};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process_group, waitid};
use std::hash::{BuildHasher, RandomState};
use std::io::{ErrorKind, Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

/// How often the size of a program's files is looked at.
const LOOK: Duration = Duration::from_millis(50);
/// Files that a program may have.
const FILES: usize = 1024;
/// Bytes read from the channel; the answer is shorter by far.
const CHANNEL: u64 = 4096;

fn setup(what: &str) -> impl Fn(std::io::Error) -> SandboxError + '_ {
    move |error| SandboxError::Setup { what: format!("{what}: {error}") }
}

/// Starts the executable with an order; returns it and this end of the channel.
fn spawn(executable: &Path, order: &Order) -> Result<(Child, UnixStream), SandboxError> {
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

/// What was said on the channel: whether and with which guards the program was started, and what it said itself.
fn answer(channel: UnixStream, status: ExitStatus) -> Result<(Guards, String), SandboxError> {
    // A process that left the group may still hold the other end.
    channel.set_read_timeout(Some(LOOK)).map_err(setup("the channel"))?;
    let mut bytes = Vec::new();
    if let Err(error) = channel.take(CHANNEL).read_to_end(&mut bytes)
        && !matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut | ErrorKind::ConnectionReset)
    {
        return Err(setup("the channel")(error));
    }
    let text = String::from_utf8_lossy(&bytes).into_owned();
    let whole = text.strip_prefix('+').and_then(|t| t.split_once('\n'));
    match whole.and_then(|(guards, rest)| Some((serde_json::from_str(guards).ok()?, rest.to_owned()))) {
        Some(answer) => Ok(answer),
        None => {
            let what =
                text.strip_prefix('-').map_or_else(|| format!("the subprocess ended with {status} before it said anything"), str::to_owned);
            Err(SandboxError::Setup { what })
        }
    }
}

/// What holds here.
pub(super) fn probe(executable: &Path) -> Result<Guards, SandboxError> {
    let directory = tempfile::tempdir().map_err(setup("a directory"))?;
    let order = Order { limits: Limits::default(), python: None, directory: directory.path().into(), guards: Guards::default() };
    let (child, channel) = spawn(executable, &order)?;
    let mut watched = Watched::new(child, &order.limits, directory.path());
    watched.watch().map_err(setup("watching the subprocess"))?;
    let (status, _) = watched.end().map_err(setup("the end of the subprocess"))?;
    Ok(answer(channel, status)?.0)
}

impl Sandbox {
    pub(super) fn start(&self, program: &str) -> Result<Run, SandboxError> {
        let directory = tempfile::Builder::new().prefix("reasonscope-").tempdir().map_err(setup("a directory"))?;
        std::fs::write(directory.path().join("program.py"), program).map_err(setup("the program's file"))?;
        let order = Order {
            limits: self.limits.clone(),
            python: Some(self.python.clone()),
            directory: directory.path().into(),
            guards: self.guards,
        };
        let key = format!("{:016x}{:016x}", RandomState::new().hash_one(program), RandomState::new().hash_one(program));
        let began = Instant::now();
        let (child, mut channel) = spawn(&self.executable, &order)?;
        let mut watched = Watched::new(child, &self.limits, directory.path());
        channel.write_all(key.as_bytes()).map_err(setup("the channel"))?;
        let stopped = watched.watch().map_err(setup("watching the program"))?;
        let (status, [stdout, stderr]) = watched.end().map_err(setup("the end of the program"))?;
        let wall = began.elapsed();
        let (_, said) = answer(channel, status)?;
        let outcome = stopped.unwrap_or_else(|| Outcome::of(status, &stderr, said == key));
        Ok(Run { outcome, stdout, stderr, wall })
    }
}

/// One of the outputs of a subprocess.
struct Pipe {
    from: Option<Box<dyn Source>>,
    bytes: Vec<u8>,
}

trait Source: Read + AsFd + Send {}
impl<T: Read + AsFd + Send> Source for T {}

impl Pipe {
    fn new(from: Option<impl Source + 'static>) -> Self {
        Self { from: from.map(|f| Box::new(f) as Box<dyn Source>), bytes: Vec::new() }
    }

    /// Reads what is there; a pipe at its end is closed.
    fn read(&mut self) -> std::io::Result<()> {
        let Some(from) = &mut self.from else { return Ok(()) };
        let mut buffer = [0; 1 << 16];
        match from.read(&mut buffer) {
            Ok(0) => self.from = None,
            Ok(n) => self.bytes.extend(&buffer[..n]),
            Err(e) if e.kind() == ErrorKind::Interrupted => {}
            Err(e) => return Err(e),
        }
        Ok(())
    }
}

/// A subprocess that does not outlive this.
struct Watched<'a> {
    child: Child,
    pipes: [Pipe; 2],
    limits: &'a Limits,
    directory: &'a Path,
    began: Instant,
    ended: bool,
}

impl Drop for Watched<'_> {
    fn drop(&mut self) {
        if !self.ended {
            self.kill();
            let _ = self.child.wait();
        }
    }
}

impl<'a> Watched<'a> {
    fn new(mut child: Child, limits: &'a Limits, directory: &'a Path) -> Self {
        let pipes = [Pipe::new(child.stdout.take()), Pipe::new(child.stderr.take())];
        Self { child, pipes, limits, directory, began: Instant::now(), ended: false }
    }

    fn pid(&self) -> Option<Pid> {
        i32::try_from(self.child.id()).ok().and_then(Pid::from_raw)
    }

    /// Ends the whole group; it is named after the subprocess, which must not have been waited for.
    fn kill(&mut self) {
        if let Some(group) = self.pid() {
            let _ = kill_process_group(group, Signal::KILL);
        }
        let _ = self.child.kill();
    }

    /// Whether it has ended; it stays to be waited for, so that its number is not given away.
    fn has_ended(&self) -> std::io::Result<bool> {
        let Some(pid) = self.pid() else { return Ok(true) };
        Ok(waitid(WaitId::Pid(pid), WaitIdOptions::EXITED | WaitIdOptions::NOWAIT | WaitIdOptions::NOHANG)?.is_some())
    }

    /// Waits until the subprocess ends or passes a limit; says which.
    fn watch(&mut self) -> std::io::Result<Option<Outcome>> {
        let (mut looked, mut nap) = (Instant::now(), Duration::from_micros(200));
        loop {
            let left = self.limits.wall.saturating_sub(self.began.elapsed());
            if left.is_zero() {
                return Ok(Some(Outcome::WallTime));
            }
            if self.pipes.iter().all(|p| p.from.is_none()) {
                if self.has_ended()? {
                    return Ok(None);
                }
                std::thread::sleep(nap.min(left));
                nap = (2 * nap).min(LOOK);
            } else if !self.read(left.min(LOOK))? && self.has_ended()? {
                return Ok(None);
            }
            if self.pipes.iter().map(|p| p.bytes.len()).sum::<usize>() > self.limits.output {
                return Ok(Some(Outcome::Output));
            }
            if looked.elapsed() > LOOK {
                looked = Instant::now();
                if self.takes_too_much_room() {
                    return Ok(Some(Outcome::Disk));
                }
            }
        }
    }

    /// Reads the pipes that have something or are at their end; says whether there was one.
    fn read(&mut self, wait: Duration) -> std::io::Result<bool> {
        let wait = Timespec { tv_sec: wait.as_secs() as i64, tv_nsec: i64::from(wait.subsec_nanos()) };
        let mut fds: Vec<PollFd> =
            self.pipes.iter().filter_map(|p| p.from.as_ref()).map(|f| PollFd::from_borrowed_fd(f.as_fd(), PollFlags::IN)).collect();
        match poll(&mut fds, Some(&wait)) {
            Ok(0) => return Ok(false),
            Ok(_) => {}
            Err(rustix::io::Errno::INTR) => return Ok(true),
            Err(e) => return Err(e.into()),
        }
        let mut ready = fds.iter().map(|f| !f.revents().is_empty()).collect::<Vec<_>>().into_iter();
        for pipe in self.pipes.iter_mut().filter(|p| p.from.is_some()) {
            if ready.next() == Some(true) {
                pipe.read()?;
            }
        }
        Ok(true)
    }

    fn takes_too_much_room(&self) -> bool {
        let Ok(entries) = std::fs::read_dir(self.directory) else { return false };
        let (mut files, mut bytes) = (0, 0);
        for entry in entries.flatten() {
            files += 1;
            bytes += entry.metadata().map_or(0, |m| m.len());
            if files > FILES || bytes > self.limits.disk {
                return true;
            }
        }
        false
    }

    /// Ends what is still there; the status, and what was printed, cut at the limit.
    fn end(mut self) -> std::io::Result<(ExitStatus, [String; 2])> {
        self.kill();
        let status = self.child.wait()?;
        self.ended = true;
        // What is left in the pipes; a process that left the group may still write, so not for long.
        for _ in 0..64 {
            if self.pipes.iter().all(|p| p.from.is_none()) || !self.read(Duration::ZERO)? {
                break;
            }
        }
        let mut left = self.limits.output;
        let text = [0, 1].map(|i| {
            let bytes = &self.pipes[i].bytes[..self.pipes[i].bytes.len().min(left)];
            left -= bytes.len();
            String::from_utf8_lossy(bytes).into_owned()
        });
        Ok((status, text))
    }
}
