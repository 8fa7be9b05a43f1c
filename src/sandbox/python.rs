//! Finds the interpreter and what it must read.

use super::SandboxError;
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// An interpreter.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Python {
    /// The file itself, behind all links and wrappers.
    pub executable: PathBuf,
    /// Its version, such as `3.11.7`.
    pub version: String,
    /// Files and directories that it reads: its library, shared libraries.
    pub readable: Vec<PathBuf>,
    /// Files that the kernel executes to start it: itself and its loader.
    pub executes: Vec<PathBuf>,
    /// What it runs to run a program, compiled once for all of them, in hexadecimal digits.
    pub(super) candidate: String,
}

/// The code that runs a program and speaks for it.
const CANDIDATE: &str = concat!(include_str!("plain.py"), include_str!("candidate.py"));

/// Prints the version, the file, the code that it is given in compiled form, and then the paths to read, a line each.
const LOOK: &str = r#"
import marshal, os, sys
print(".".join(map(str, sys.version_info[:3])))
print(os.path.realpath(getattr(sys, "_base_executable", None) or sys.executable))
print(marshal.dumps(compile(sys.argv[1], "<string>", "exec")).hex())
found = {os.path.join(p, d) for p in (sys.base_prefix, sys.base_exec_prefix) for d in ("lib", "lib64")}
found.update(p for p in sys.path if p)
try:
    import ctypes, hashlib, zlib
except ImportError:
    pass
try:
    with open("/proc/self/maps") as maps:
        found.update(l.split(None, 5)[5].strip() for l in maps if l.count("/") and ".so" in l)
except OSError:
    pass
for p in sorted(found):
    if os.path.isabs(p) and os.path.exists(p):
        print(p)
"#;

/// Where shared libraries are, beside the interpreter's own places.
const LIBRARIES: [&str; 6] = ["/lib", "/lib64", "/usr/lib", "/usr/lib64", "/etc/ld.so.cache", "/usr/share/zoneinfo"];

/// Whether a file is the loader that the kernel starts a dynamic program with.
fn is_loader(path: &Path) -> bool {
    path.file_name().and_then(|n| n.to_str()).is_some_and(|n| n.starts_with("ld-") || n.starts_with("ld.so") || n.starts_with("ld64"))
}

impl Python {
    /// Asks `python3` of the search path what it is. Virtual environments lead to the interpreter that they were made from.
    ///
    /// # Errors
    /// There is none, or it does not run.
    pub fn find() -> Result<Self, SandboxError> {
        let name = "python3";
        let run = Command::new(name).args(["-I", "-S", "-B", "-c", LOOK, CANDIDATE]).stdin(Stdio::null()).output();
        let out = run.map_err(|error| SandboxError::Python { what: format!("{name}: {error}") })?;
        let text = String::from_utf8_lossy(&out.stdout);
        let mut lines = text.lines().map(str::to_owned);
        match (lines.next(), lines.next(), lines.next()) {
            (Some(version), Some(executable), Some(candidate)) if out.status.success() => {
                Ok(Self::new(version, executable.into(), candidate, lines.map(Into::into)))
            }
            _ => Err(SandboxError::Python { what: format!("{name}: {}", String::from_utf8_lossy(&out.stderr).trim()) }),
        }
    }

    fn new(version: String, executable: PathBuf, candidate: String, found: impl Iterator<Item = PathBuf>) -> Self {
        let mut readable: Vec<PathBuf> = found.collect();
        let mut executes: Vec<PathBuf> = readable.iter().filter(|p| is_loader(p)).cloned().collect();
        executes.push(executable.clone());
        readable.extend(LIBRARIES.map(PathBuf::from));
        if executable.starts_with("/nix/store") {
            readable.push("/nix/store".into());
        }
        // What is below a directory is read with it.
        let directories: Vec<PathBuf> = readable.iter().filter(|p| p.is_dir()).cloned().collect();
        readable.retain(|p| !directories.iter().any(|d| p != d && p.starts_with(d)));
        readable.sort();
        readable.dedup();
        Self { executable, version, readable, executes, candidate }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_loader_and_the_interpreter_are_executed() {
        let found = ["/usr/lib/ld-linux-x86-64.so.2", "/opt/x/libc.so.6", "/lib64/libm.so.6"].map(PathBuf::from);
        let python = Python::new("3.11.7".into(), "/usr/bin/python3.11".into(), String::new(), found.into_iter());
        assert_eq!(python.executes, ["/usr/lib/ld-linux-x86-64.so.2", "/usr/bin/python3.11"].map(PathBuf::from));
        assert!(python.readable.contains(&"/opt/x/libc.so.6".into()) && python.readable.contains(&"/lib64".into()));
        assert_eq!(python.readable.contains(&"/lib64/libm.so.6".into()), !Path::new("/lib64").is_dir());
        assert!(!python.readable.contains(&"/nix/store".into()));
        assert!(is_loader(Path::new("/lib/ld-musl-x86_64.so.1")) && !is_loader(Path::new("/lib/libld.so")));
    }
}
