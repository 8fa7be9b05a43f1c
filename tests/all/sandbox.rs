//! Hostile programs in the sandbox: each fails, is reported as what it is, and leaves the host as it was. Where it is harmless, the same program is shown to
//! succeed outside.

#![cfg(unix)]

use reasonscope::sandbox::{Guards, Limits, Outcome, Python, Run, Sandbox, SandboxError};
use std::fs;
use std::io::ErrorKind;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

/// The sandbox that this binary's twin puts on; `None`, said on stderr, without Python.
pub fn sandbox(limits: Limits) -> Option<Sandbox> {
    match Sandbox::new(env!("CARGO_BIN_EXE_reasonscope").into(), limits) {
        Ok(sandbox) => Some(sandbox),
        Err(error @ SandboxError::Python { .. }) => {
            eprintln!("skipped: {error}");
            None
        }
        Err(error) => panic!("{error}"),
    }
}

/// As [`sandbox`], where the system has a guard too.
fn guarded(has: fn(Guards) -> bool) -> Option<Sandbox> {
    let sandbox = sandbox(Limits::default())?;
    if !has(sandbox.guards()) {
        eprintln!("skipped: {}", sandbox.guards().warning().unwrap_or_default());
        return None;
    }
    Some(sandbox)
}

fn run(sandbox: &Sandbox, program: &str) -> Run {
    sandbox.run(program).unwrap()
}

/// Whether a program runs to its end without a sandbox.
fn outside(directory: &Path, program: &str) -> bool {
    let python = Python::find().unwrap().executable;
    let out = Command::new(python).args(["-S", "-B", "-c", program]).current_dir(directory).output().unwrap();
    if !out.status.success() {
        eprintln!("outside: {}", String::from_utf8_lossy(&out.stderr));
    }
    out.status.success()
}

/// Asserts that a program runs to its end outside and is refused inside, with a message that has one of `words` in it.
fn refused(sandbox: &Sandbox, program: &str, words: &[&str]) {
    let directory = tempfile::tempdir().unwrap();
    assert!(outside(directory.path(), program), "outside, this runs:\n{program}");
    refused_inside(sandbox, program, words);
}

fn refused_inside(sandbox: &Sandbox, program: &str, words: &[&str]) {
    let run = run(sandbox, program);
    let Outcome::Failed(said) = &run.outcome else { panic!("{:?} of\n{program}\n{}", run.outcome, run.stderr) };
    assert!(words.iter().any(|w| said.contains(w)), "{said:?} of\n{program}");
}

const EPERM: &[&str] = &["Operation not permitted"];
const DENIED: &[&str] = &["Permission denied", "Operation not permitted"];
/// Behind the wall, what is not its own is not there.
const AWAY: &[&str] = &["Permission denied", "Operation not permitted", "No such file or directory"];

fn quoted(path: &Path) -> String {
    format!("{:?}", path.to_str().unwrap())
}

#[test]
fn ordinary_programs_run() {
    let Some(sandbox) = sandbox(Limits::default()) else { return };
    let program = r"
import collections, dataclasses, datetime, decimal, fractions, functools, hashlib, heapq, itertools, json, math, os, random, re
import statistics, string, sys, threading, typing
@dataclasses.dataclass
class Point:
    x: 'int'
    y: typing.Optional[int] = None
def work():
    print(Point(3), math.gcd(12, 18), hashlib.sha256(b'a').hexdigest()[:4])
thread = threading.Thread(target=work)
thread.start()
thread.join()
with open('own.txt', 'w') as file:
    file.write('kept ' * 3)
print(open('own.txt').read(), __name__, sys.argv, os.urandom(2) != None)
print(sorted(os.environ), [p for p in sys.path if not os.path.isabs(p)], input.__name__, file=sys.stderr)
print(os.getcwd())
";
    let run = run(&sandbox, program);
    assert_eq!(run.outcome, Outcome::Completed, "{}", run.stderr);
    let lines: Vec<&str> = run.stdout.lines().collect();
    assert_eq!(lines[..2], ["Point(x=3, y=None) 6 ca97", "kept kept kept  __main__ ['program.py'] True"]);
    assert_eq!(run.stderr.trim(), "['HOME', 'LC_CTYPE', 'PYTHONHASHSEED', 'TMPDIR'] [] input");
    assert!(lines[2].contains("reasonscope-") && !Path::new(lines[2]).exists(), "the directory is deleted: {}", lines[2]);
}

#[test]
fn the_order_of_sets_is_fixed() {
    let Some(sandbox) = sandbox(Limits::default()) else { return };
    let once = || run(&sandbox, "print(list({chr(97 + i) * 3 for i in range(20)}))").stdout;
    assert_eq!(once(), once());
}

#[test]
fn ends_are_told_apart() {
    let Some(sandbox) = sandbox(Limits::default()) else { return };
    for (program, outcome) in [
        ("x = 1", Outcome::Completed),
        ("", Outcome::Completed),
        ("assert 1 + 1 == 3", Outcome::Failed("AssertionError".into())),
        ("def f(:", Outcome::Failed("SyntaxError".into())),
        ("missing", Outcome::Failed("NameError: name 'missing' is not defined".into())),
        ("input()", Outcome::Failed("EOFError: EOF when reading a line".into())),
        // Leaving early is not reaching the end.
        ("import sys; sys.exit(0)", Outcome::Exited(0)),
        ("import sys; sys.exit()", Outcome::Exited(0)),
        ("raise SystemExit", Outcome::Exited(0)),
        ("import os; os._exit(0)", Outcome::Exited(0)),
        ("import sys; sys.exit(3)", Outcome::Exited(3)),
        ("import os; os.write(3, b'0' * 32); os._exit(0)", Outcome::Failed("ProtocolError".into())),
        ("import ctypes; ctypes.string_at(0)", Outcome::Signalled(11)),
        ("import os; os.abort()", Outcome::Signalled(6)),
        ("import os; os.kill(os.getpid(), 15)", Outcome::Signalled(15)),
        ("def f(): f()\nf()", Outcome::Failed("RecursionError".into())),
    ] {
        let run = run(&sandbox, program);
        match (&run.outcome, &outcome) {
            // Versions word some messages differently.
            (Outcome::Failed(said), Outcome::Failed(begin)) => assert!(said.starts_with(begin.as_str()), "{program}\n{}", run.stderr),
            _ => assert_eq!(run.outcome, outcome, "{program}\n{}", run.stderr),
        }
    }
}

#[test]
fn no_files_but_its_own() {
    let Some(sandbox) = guarded(|g| g.files) else { return };
    let other = tempfile::tempdir().unwrap();
    let secret = other.path().join("secret.txt");
    fs::write(&secret, "kept").unwrap();
    let new = other.path().join("new.txt");
    let mut reads = vec![PathBuf::from("/etc/passwd"), Path::new(env!("CARGO_MANIFEST_DIR")).join("Cargo.toml"), secret.clone()];
    let home = std::env::var_os("HOME").and_then(|home| tempfile::Builder::new().prefix(".reasonscope-test-").tempfile_in(home).ok());
    reads.extend(home.as_ref().map(|f| f.path().to_owned()));
    reads.push("/proc/self/status".into());
    for path in reads.iter().filter(|p| p.exists()) {
        refused(&sandbox, &format!("open({}).read()", quoted(path)), AWAY);
    }
    refused(&sandbox, &format!("import os; os.listdir({})", quoted(other.path())), AWAY);
    // Outside, these would change something.
    let (secret_name, new_name) = (quoted(&secret), quoted(&new));
    for program in [
        format!("open({new_name}, 'w').write('x')"),
        format!("open({secret_name}, 'w').write('x')"),
        format!("open({secret_name}, 'a').write('x')"),
        format!("import os; os.open({secret_name}, os.O_RDONLY | os.O_TRUNC)"),
        format!("import os; os.truncate({secret_name}, 0)"),
        format!("import os; os.remove({secret_name})"),
        format!("import os; os.rename({secret_name}, {new_name})"),
        format!("import os; os.link({secret_name}, 'here')"),
        format!("import os; os.chmod({secret_name}, 0)"),
        format!("import os; os.mkdir({new_name})"),
        format!("import os; os.symlink({secret_name}, 'here'); open('here', 'w')"),
        "import os; os.mkfifo('pipe')".to_owned(),
        "import os; os.mkdir('deeper')".to_owned(),
    ] {
        refused_inside(&sandbox, &program, AWAY);
        assert!(fs::read_to_string(&secret).unwrap() == "kept" && !new.exists(), "{program}");
        assert!(!fs::metadata(&secret).unwrap().permissions().readonly(), "{program}");
    }
    assert!(outside(other.path(), &format!("open({new_name}, 'w').write('x'); open({secret_name}, 'w').write('x')")));
    assert!(new.exists() && fs::read_to_string(&secret).unwrap() == "x");
}

/// Sockets with a name that is no file's, which no rule about files keeps a program from.
#[cfg(target_os = "linux")]
fn no_abstract_socket(sandbox: &Sandbox) {
    use std::os::linux::net::SocketAddrExt;
    use std::os::unix::net::{SocketAddr, UnixListener};
    let name = format!("reasonscope-test-{}", std::process::id());
    let listener = UnixListener::bind_addr(&SocketAddr::from_abstract_name(&name).unwrap()).unwrap();
    listener.set_nonblocking(true).unwrap();
    let connect = format!("import socket; socket.socket(socket.AF_UNIX).connect('\\0{name}')");
    refused_inside(sandbox, &connect, DENIED);
    assert_eq!(listener.accept().unwrap_err().kind(), ErrorKind::WouldBlock);
    assert!(outside(Path::new("."), &connect) && listener.accept().is_ok(), "outside, the listener sees it");
}

#[cfg(not(target_os = "linux"))]
fn no_abstract_socket(_: &Sandbox) {}

#[test]
fn no_network() {
    let Some(sandbox) = guarded(|g| g.network) else { return };
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let port = listener.local_addr().unwrap().port();
    let seen = || match listener.accept() {
        Ok(_) => true,
        Err(e) if e.kind() == ErrorKind::WouldBlock => false,
        Err(e) => panic!("{e}"),
    };
    let connect = format!("import socket; socket.create_connection(('127.0.0.1', {port}), 5)");
    refused_inside(&sandbox, &connect, DENIED);
    assert!(!seen());
    assert!(outside(Path::new("."), &connect) && seen(), "outside, the listener sees it");
    for kind in ["AF_INET, socket.SOCK_DGRAM", "AF_INET, socket.SOCK_STREAM", "AF_INET6, socket.SOCK_STREAM", "AF_UNIX, socket.SOCK_STREAM"]
    {
        refused(&sandbox, &format!("import socket; socket.socket(socket.{kind})"), DENIED);
    }
    refused(&sandbox, "import socket; socket.socketpair()", DENIED);
    no_abstract_socket(&sandbox);
    // Neither through what it has open: its channel is a socket that leads to whoever started it, and nothing else.
    let found = run(&sandbox, "import os\nfor fd in range(64):\n  try: os.fstat(fd); print(fd, end=' ')\n  except OSError: pass");
    assert_eq!(found.stdout, "0 1 2 3 ", "{}", found.stderr);
}

#[test]
fn no_further_processes() {
    let Some(sandbox) = guarded(|g| g.processes && g.files) else { return };
    for program in [
        "import os, sys\nif os.fork() == 0: os._exit(0)\nos.wait()",
        "import subprocess; subprocess.run(['true'], check=True)",
        "import os; os.posix_spawn('/bin/true', ['true'], {}); os.wait()",
        "import os; os.execv('/bin/true', ['true'])",
        "import os; os.execv('/bin/sh', ['sh', '-c', 'exit 0'])",
        "import os\nif os.system('exit 0') != 0: raise PermissionError('Operation not permitted')",
        "import _posixsubprocess, multiprocessing\np = multiprocessing.get_context('fork').Process(target=print); p.start(); p.join()",
    ] {
        refused(&sandbox, program, DENIED);
    }
    // Neither what the interpreter itself was started with may be executed, nor what the loader could be given to load.
    for program in [
        "import glob, os, sys\nfound = glob.glob('/lib64/ld-*') + glob.glob('/lib/ld-*')\nos.execv(found[0], [found[0], '--list', sys.executable])",
        "import os, sys; os.execv(sys.executable, [sys.executable, '-c', 'pass'])",
        "import os, sys\nfile = os.open(sys.executable, os.O_RDONLY)\nos.execve(file, [sys.executable, '-c', 'pass'], {})",
    ] {
        refused(&sandbox, program, DENIED);
    }
}

#[test]
fn no_process_is_left_behind() {
    let Some(sandbox) = guarded(|g| g.processes && g.files) else { return };
    let other = tempfile::tempdir().unwrap();
    let mark = other.path().join("mark");
    let mark_name = quoted(&mark);
    let program = format!(
        "import os, time\nif os.fork() == 0:\n    os.setsid()\n    if os.fork() == 0:\n        time.sleep(0.3)\n        open({mark_name}, 'w').close()\n    os._exit(0)\nos.wait()"
    );
    refused_inside(&sandbox, &program, EPERM);
    std::thread::sleep(Duration::from_millis(500));
    assert!(!mark.exists());
    assert!(outside(other.path(), &program), "outside, it is left behind");
    let began = Instant::now();
    while !mark.exists() {
        assert!(began.elapsed() < Duration::from_secs(20));
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn no_signals_and_no_limits_for_others() {
    let Some(sandbox) = guarded(|g| g.processes) else { return };
    // Outside, signal 0 shows that it may; inside, signal 9 would end this test.
    assert!(outside(Path::new("."), "import os; os.kill(os.getppid(), 0)"));
    for program in [
        "import os; os.kill(os.getppid(), 9)",
        "import os; os.killpg(os.getpgid(os.getppid()), 9)",
        "import os; os.kill(-1, 9)",
        "import os; os.kill(0, 9)",
        "import os, fcntl\nr, w = os.pipe()\nfcntl.fcntl(r, fcntl.F_SETOWN, os.getppid())",
        "import os, resource; resource.prlimit(os.getppid(), resource.RLIMIT_CPU, (1, 1))",
        "import resource; resource.setrlimit(resource.RLIMIT_AS, (1 << 40, 1 << 40))",
        "import os; os.sched_setaffinity(os.getppid(), {0})",
        "import os; os.setpriority(os.PRIO_PROCESS, os.getppid(), 19)",
        "import os; os.setpgid(0, os.getpgid(os.getppid()))",
        "import os; os.setsid()",
    ] {
        refused_inside(&sandbox, program, &["not permitted", "Permission denied", "not allowed to raise"]);
    }
}

/// Calls by number, past all that the interpreter's library refuses.
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
#[test]
fn no_raw_system_calls() {
    let Some(sandbox) = guarded(|g| g.processes && g.network) else { return };
    let program = |calls: &str| {
        format!(
            "import ctypes, errno\ncall = ctypes.CDLL(None, use_errno=True).syscall\nfor name, number, *args in {calls}:\n    \
             ctypes.set_errno(0)\n    got = call(number, *args)\n    print(name, got if got >= 0 else errno.errorcode[ctypes.get_errno()])"
        )
    };
    let harmless = "[('socket', 41, 2, 1, 0), ('memfd_create', 319, b'x', 0), ('inotify_init', 253), ('timerfd_create', 283, 0, 0)]";
    let directory = tempfile::tempdir().unwrap();
    let python = Python::find().unwrap().executable;
    let out = Command::new(python).args(["-S", "-c", &program(harmless)]).current_dir(directory.path()).output().unwrap();
    let out = String::from_utf8_lossy(&out.stdout).into_owned();
    assert!(out.lines().count() == 4 && out.lines().all(|l| l.split(' ').nth(1).is_some_and(|n| n.parse::<u32>().is_ok())), "{out}");
    let calls = "[('socket', 41, 2, 1, 0), ('memfd_create', 319, b'x', 0), ('inotify_init', 253), ('timerfd_create', 283, 0, 0), \
        ('fork', 57), ('vfork', 58), ('clone', 56, 17, 0, 0, 0, 0), ('socketpair', 53, 1, 1, 0, b'xxxxxxxx'), ('x32 socket', 0x40000029, 2, 1, 0), \
        ('ptrace', 101, 16, 1), ('unshare', 272, 0x10000000), ('execveat', 322, -1, b'/bin/true', 0, 0, 0), ('io_uring_setup', 425, 1, 0), \
        ('bpf', 321, 0, 0, 0), ('process_vm_readv', 310, 1, 0, 0, 0, 0, 0), ('pidfd_open', 434, 1, 0), ('setsid', 112), ('mount', 165, 0, 0, 0, 0, 0), \
        ('shmget', 29, 0, 4096, 0o1600), ('mq_open', 240, b'x', 0o102, 0o600, 0), ('keyctl', 250, 0, 0), ('prctl', 157, 1, 0), \
        ('open_by_handle_at', 304, 0, 0, 0), ('clone3', 435, 0, 0), ('connect', 42, 3, b'\\1\\0\\0x', 4)]";
    let run = run(&sandbox, &program(calls));
    assert_eq!(run.outcome, Outcome::Completed, "{}", run.stderr);
    let lines: Vec<&str> = run.stdout.lines().collect();
    assert_eq!(lines.len(), 25, "{lines:?}");
    for line in lines {
        // Libraries fall back from clone3 to clone only where there is none.
        assert!(line.ends_with(if line.starts_with("clone3") { " ENOSYS" } else { " EPERM" }), "{line}");
    }
}

#[test]
fn time_is_limited() {
    let limits = Limits { cpu: Duration::from_secs(1), wall: Duration::from_secs(30), ..Limits::default() };
    let Some(sandbox) = sandbox(limits.clone()) else { return };
    assert_eq!(run(&sandbox, "while True: pass").outcome, Outcome::CpuTime);
    assert_eq!(run(&sandbox, "for _ in range(1000): pass").outcome, Outcome::Completed);
    let deaf = "import signal\nsignal.signal(signal.SIGXCPU, signal.SIG_IGN)\nwhile True: pass";
    assert_eq!(run(&sandbox, deaf).outcome, Outcome::Signalled(9), "past the CPU time, the kernel ends it");
    let silent = "import os\nos.close(1); os.close(2); os.close(3)\nwhile True: pass";
    assert_eq!(run(&sandbox, silent).outcome, Outcome::CpuTime);
    let sandbox = self::sandbox(Limits { wall: Duration::from_millis(700), ..limits }).unwrap();
    for program in ["import time; time.sleep(60)", "import os\nos.close(1); os.close(2)\nimport time; time.sleep(60)"] {
        let began = Instant::now();
        let run = run(&sandbox, program);
        assert!(run.outcome == Outcome::WallTime && began.elapsed() < Duration::from_secs(20), "{run:?}");
    }
}

#[test]
fn memory_is_limited() {
    let Some(sandbox) = guarded(|g| g.memory) else { return };
    refused(&sandbox, "import mmap; mmap.mmap(-1, 1 << 30)", &["Cannot allocate memory"]);
    assert_eq!(run(&sandbox, "x = bytearray(1 << 30)").outcome, Outcome::Memory);
    assert_eq!(run(&sandbox, "x = []\nwhile True: x.append(bytearray(1 << 20))").outcome, Outcome::Memory);
    assert_eq!(run(&sandbox, "x = bytearray(64 << 20)").outcome, Outcome::Completed);
}

#[test]
fn output_and_files_are_limited() {
    let Some(sandbox) = sandbox(Limits { output: 100_000, disk: 4 << 20, ..Limits::default() }) else { return };
    for stream in ["stdout", "stderr"] {
        let hundred = format!("import sys\nfor _ in range(100): sys.{stream}.write('x' * 1_000_000)");
        let run = run(&sandbox, &hundred);
        assert_eq!(run.outcome, Outcome::Output, "{stream}");
        assert_eq!(run.stdout.len() + run.stderr.len(), 100_000);
    }
    assert_eq!(run(&sandbox, "print('x' * 90_000)").outcome, Outcome::Completed);
    let big = "f = open('big', 'wb')\nfor _ in range(1024): f.write(bytes(1 << 20)); f.flush()";
    assert_eq!(run(&sandbox, big).outcome, Outcome::Disk);
    let sparse = "import os\nf = open('big', 'wb')\nos.ftruncate(f.fileno(), 1 << 30)";
    assert_eq!(run(&sandbox, sparse).outcome, Outcome::Disk);
    let many = "import time\nfor i in range(16): open(str(i), 'wb').write(bytes(1 << 20))\ntime.sleep(20)";
    assert_eq!(run(&sandbox, many).outcome, Outcome::Disk);
    let small = "import time\nfor i in range(2000): open(str(i), 'wb').close()\ntime.sleep(20)";
    assert_eq!(run(&sandbox, small).outcome, Outcome::Disk);
}

/// Writes 8 MiB that have no name any more.
const HIDDEN: &str = "import os
for i in range(8):
    file = os.open(str(i), os.O_RDWR | os.O_CREAT)
    os.unlink(str(i))
    if i == 0: print('removed')
    os.write(file, bytes(1 << 20))
print('hidden')";

/// A sandbox on a system that grants no user namespaces; `None`, said on stderr, where none can be made to refuse them.
fn without_namespaces(limits: Limits, directory: &Path) -> Option<Sandbox> {
    use std::os::unix::fs::PermissionsExt;
    let script = directory.join("wrapped.sh");
    let refusing = "echo 0 > /proc/sys/user/max_user_namespaces && exec \"$@\"";
    let text = format!("#!/bin/sh\nexec unshare -Ur sh -c '{refusing}' x {} \"$@\"\n", env!("CARGO_BIN_EXE_reasonscope"));
    fs::write(&script, text).unwrap();
    fs::set_permissions(&script, fs::Permissions::from_mode(0o755)).unwrap();
    match Sandbox::new(script, limits) {
        Ok(sandbox) => Some(sandbox),
        Err(error) => {
            eprintln!("skipped: {error}");
            None
        }
    }
}

#[test]
fn files_without_a_name_count_too() {
    let limits = Limits { disk: 4 << 20, ..Limits::default() };
    let Some(sandbox) = sandbox(limits.clone()) else { return };
    let nameless = "import os; os.open('.', os.O_TMPFILE | os.O_RDWR)";
    if sandbox.guards().processes {
        refused_inside(&sandbox, nameless, EPERM);
    }
    if sandbox.guards().namespaces {
        let run = run(&sandbox, HIDDEN);
        assert!(run.outcome == Outcome::Disk && run.stdout == "removed\n", "{run:?}");
        let freed = "import os\nfor i in range(8):\n    open('x', 'wb').write(bytes(1 << 20))\n    os.remove('x')";
        assert_eq!(self::run(&sandbox, freed).outcome, Outcome::Completed);
    }
    let directory = tempfile::tempdir().unwrap();
    let Some(sandbox) = without_namespaces(limits, directory.path()) else { return };
    assert!(!sandbox.guards().namespaces);
    if sandbox.guards().processes {
        // What cannot be removed is seen.
        refused_inside(&sandbox, HIDDEN, EPERM);
        refused_inside(&sandbox, nameless, EPERM);
    }
}

#[test]
fn the_wall_leaves_nothing_to_see() {
    let Some(sandbox) = guarded(|g| g.namespaces) else { return };
    let other = tempfile::tempdir().unwrap();
    for path in
        [Path::new("/etc/passwd"), Path::new(env!("CARGO_MANIFEST_DIR")), other.path(), Path::new("/proc/self"), Path::new("/bin/true")]
    {
        refused(&sandbox, &format!("import os; os.stat({})", quoted(path)), &["No such file or directory"]);
    }
}

#[test]
fn many_at_a_time_and_nothing_left() {
    let Some(sandbox) = sandbox(Limits::default()) else { return };
    let directories: Vec<PathBuf> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..8)
            .map(|i| {
                let sandbox = &sandbox;
                scope.spawn(move || {
                    let run =
                        run(sandbox, &format!("import os; open('x', 'w').write('{i}'); print(os.getcwd(), open('x').read(), end='')"));
                    assert_eq!(run.outcome, Outcome::Completed);
                    let (directory, number) = run.stdout.split_once(' ').unwrap();
                    assert_eq!(number, i.to_string());
                    PathBuf::from(directory)
                })
            })
            .collect();
        threads.into_iter().map(|t| t.join().unwrap()).collect()
    });
    assert!(directories.iter().all(|d| !d.exists()));
}

#[test]
fn what_cannot_be_set_up_is_said() {
    let error = Sandbox::new("/nowhere/reasonscope".into(), Limits::default()).unwrap_err();
    assert!(error.to_string().contains("the sandbox cannot be set up: /nowhere/reasonscope"), "{error}");
    // A program that knows nothing of the command.
    let error = Guards::probe(Path::new("/bin/true"), &Python::find().unwrap()).unwrap_err();
    assert!(error.to_string().contains("before it said anything"), "{error}");
    // By hand, it says what it is not for.
    let out = Command::new(env!("CARGO_BIN_EXE_reasonscope")).arg("__sandbox").stdin(std::process::Stdio::null()).output().unwrap();
    assert!(!out.status.success());
    assert!(String::from_utf8_lossy(&out.stderr).contains("not for use by hand"), "{out:?}");
}

#[test]
fn the_doctor_says_what_guards_there_are() {
    let Some(sandbox) = sandbox(Limits::default()) else { return };
    let out = Command::new(env!("CARGO_BIN_EXE_reasonscope")).args(["doctor", "--json"]).output().unwrap();
    let list: Vec<serde_json::Value> = serde_json::from_slice(&out.stdout).unwrap();
    let finding = list.iter().find(|f| f["area"] == "code").unwrap();
    let found = finding["found"].as_str().unwrap();
    assert!(found.contains(&format!("Python {}", sandbox.python().version)), "{found}");
    assert!(sandbox.guards().present().iter().all(|g| found.contains(g)), "{found}");
    assert_eq!(found.contains("behind a wall of user, mount and network namespaces"), sandbox.guards().namespaces, "{found}");
    assert_eq!(finding["remedy"].is_null(), sandbox.guards().warning().is_none());
}
