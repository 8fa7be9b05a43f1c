//! The side of the sandbox that watches over a subprocess, and ends it.

use super::child::{FILES, Order, PROGRAM, Role};
use super::outcome::{Outcome, Run};
use super::start::{greeting, setup, spawn};
use super::tester::{Tester, Verdict};
use super::{Guards, Limits, Python, Sandbox, SandboxError, Trial};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process_group, waitid};
use std::io::{ErrorKind, Read};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Child, ExitStatus};
use std::sync::PoisonError;
use std::time::{Duration, Instant};

/// How often the size of a program's files is looked at.
const LOOK: Duration = Duration::from_millis(50);

/// What holds here.
pub(super) fn probe(executable: &Path, python: &Python) -> Result<Guards, SandboxError> {
    let directory = tempfile::tempdir().map_err(setup("a directory"))?;
    let order = Order {
        role: Role::Probe,
        limits: Limits::default(),
        python: python.clone(),
        directory: directory.path().into(),
        guards: Guards::default(),
    };
    let (child, mut channel) = spawn(executable, &order)?;
    let _watched = Watched::new(child, &order.limits, directory.path());
    let silent = || SandboxError::Setup { what: "the subprocess said nothing".into() };
    greeting(&mut channel, order.limits.wall)?.ok_or_else(silent)
}

impl Sandbox {
    pub(super) fn start(&self, trial: &Trial<'_>) -> Result<Run, SandboxError> {
        let directory = tempfile::Builder::new().prefix("reasonscope-").tempdir().map_err(setup("a directory"))?;
        std::fs::write(directory.path().join(PROGRAM), trial.program).map_err(setup("the program's file"))?;
        let order = self.order(Role::Candidate, directory.path());
        let began = Instant::now();
        let (child, mut channel) = spawn(&self.executable, &order)?;
        let mut watched = Watched::new(child, &self.limits, directory.path());
        let (mut ended, mut verdict) = (Some(Outcome::WallTime), None);
        if greeting(&mut channel, self.limits.wall)?.is_some() {
            let mut tester = self.tester(trial, channel)?;
            ended = watched.watch(&mut tester, trial.tests.is_empty())?;
            verdict = tester.verdict.take();
            // One that is still at it ends here.
            if verdict.is_some() {
                self.testers.lock().unwrap_or_else(PoisonError::into_inner).push(tester);
            }
        }
        let (status, [stdout, stderr]) = watched.end().map_err(setup("the end of the program"))?;
        let wall = began.elapsed();
        let outcome = ended.unwrap_or_else(|| match verdict {
            Some(Verdict::Passed) if !trial.tests.is_empty() => Outcome::Completed,
            Some(Verdict::Is(outcome)) => outcome,
            verdict => Outcome::of(status, &stderr, verdict == Some(Verdict::Passed)),
        });
        Ok(Run { outcome, stdout, stderr, wall })
    }

    fn order(&self, role: Role, directory: &Path) -> Order {
        Order { role, limits: self.limits.clone(), python: self.python.clone(), directory: directory.into(), guards: self.guards }
    }

    /// A tester that has been given a trial and the channel to its program: one that has nothing to do, or a new one.
    fn tester(&self, trial: &Trial<'_>, channel: UnixStream) -> Result<Tester, SandboxError> {
        loop {
            let free = self.testers.lock().unwrap_or_else(PoisonError::into_inner).pop();
            let Some(mut tester) = free else { break };
            // One that has ended meanwhile is let go.
            if tester.begin(trial, &self.limits, &channel).is_ok() {
                return Ok(tester);
            }
        }
        let directory = tempfile::tempdir().map_err(setup("a directory"))?;
        let order = self.order(Role::Tester, directory.path());
        let mut tester = Tester::start(&self.executable, &order)?;
        tester.begin(trial, &self.limits, &channel).map_err(setup("the tester"))?;
        Ok(tester)
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

    /// Waits until the tester has given its verdict, and the subprocess has ended where the verdict is about that, or where it is to come to its end; or
    /// until the subprocess passes a limit: says which.
    fn watch(&mut self, tester: &mut Tester, to_its_end: bool) -> Result<Option<Outcome>, SandboxError> {
        let watching = setup("watching the program");
        let (mut looked, mut nap) = (Instant::now(), Duration::from_micros(200));
        loop {
            let left = self.limits.wall.saturating_sub(self.began.elapsed());
            if left.is_zero() {
                return Ok(Some(Outcome::WallTime));
            }
            let decided = match &tester.verdict {
                None => false,
                Some(Verdict::Is(_)) => true,
                Some(Verdict::Passed) => !to_its_end || self.has_ended().map_err(&watching)?,
                Some(Verdict::Gone) => self.has_ended().map_err(&watching)?,
            };
            if decided {
                return Ok(None);
            }
            if tester.verdict.is_some() && self.pipes.iter().all(|p| p.from.is_none()) {
                std::thread::sleep(nap.min(left));
                nap = (2 * nap).min(LOOK);
            } else {
                // Who has closed its outputs, or has others hold them, may still be about to end.
                let wait = if tester.verdict.is_some() { nap } else { LOOK };
                nap = (2 * nap).min(LOOK);
                self.read(Some(tester), left.min(wait))?;
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

    /// Reads the pipes, and the tester's verdict, that have something or are at their end; says whether there was one.
    fn read(&mut self, mut tester: Option<&mut Tester>, wait: Duration) -> Result<bool, SandboxError> {
        let watching = setup("watching the program");
        let wait = Timespec { tv_sec: wait.as_secs() as i64, tv_nsec: i64::from(wait.subsec_nanos()) };
        let open = self.pipes.iter().filter_map(|p| p.from.as_ref()).map(|f| f.as_fd());
        let asked = tester.iter().filter(|t| t.verdict.is_none()).map(|t| t.as_fd());
        let mut fds: Vec<PollFd> = open.chain(asked).map(|fd| PollFd::from_borrowed_fd(fd, PollFlags::IN)).collect();
        match poll(&mut fds, Some(&wait)) {
            Ok(0) => return Ok(false),
            Ok(_) => {}
            Err(rustix::io::Errno::INTR) => return Ok(true),
            Err(e) => return Err(watching(e.into())),
        }
        let mut ready = fds.iter().map(|f| !f.revents().is_empty()).collect::<Vec<_>>().into_iter();
        for pipe in self.pipes.iter_mut().filter(|p| p.from.is_some()) {
            if ready.next() == Some(true) {
                pipe.read().map_err(&watching)?;
            }
        }
        if let Some(tester) = &mut tester
            && ready.next() == Some(true)
        {
            tester.read()?;
        }
        Ok(true)
    }

    fn takes_too_much_room(&self) -> bool {
        let Ok(entries) = std::fs::read_dir(self.directory) else { return false };
        let (mut files, mut bytes) = (0, 0);
        for entry in entries.flatten() {
            files += 1;
            bytes += entry.metadata().map_or(0, |m| m.len());
            if files > FILES as usize || bytes > self.limits.disk {
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
            if self.pipes.iter().all(|p| p.from.is_none()) || !self.read(None, Duration::ZERO).unwrap_or(false) {
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
