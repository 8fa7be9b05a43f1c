//! Becoming the interpreter, by an `execve` that only the one who knows its pass can make.
//!
//! The interpreter has to be executed after the filter of calls is on, which nobody can take off again; what a program executes afterwards the filter could
//! not tell from that by the call's own arguments, which are addresses that the program chooses. It can by three more, which the kernel hands to the filter
//! and otherwise ignores. Nothing of them is left once the interpreter runs.
#![allow(unsafe_code)]

use std::ffi::{CStr, CString};
use std::hash::{BuildHasher, RandomState};
use std::io::Error;

/// Three numbers that cannot be guessed.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pass(pub [u64; 3]);

impl Pass {
    /// A new one.
    pub(super) fn new() -> Self {
        Self([0, 1, 2].map(|i| RandomState::new().hash_one(i)))
    }

    /// Becomes a program, with its arguments, the first of which is its name, and its environment. Comes back only with an error.
    #[cfg(target_os = "linux")]
    pub(super) fn exec(self, program: &CStr, args: &[CString], environment: &[CString]) -> Error {
        let pointers =
            |all: &[CString]| -> Vec<*const std::ffi::c_char> { all.iter().map(|a| a.as_ptr()).chain([std::ptr::null()]).collect() };
        let (args, environment) = (pointers(args), pointers(environment));
        let [a, b, c] = self.0;
        // SAFETY: all pointers are to strings and lists that end in zero and outlive the call; where it comes back, it has changed nothing.
        unsafe { libc::syscall(libc::SYS_execve, program.as_ptr(), args.as_ptr(), environment.as_ptr(), a, b, c) };
        Error::last_os_error()
    }

    /// Becomes a program, where nothing keeps it from executing others.
    #[cfg(not(target_os = "linux"))]
    pub(super) fn exec(self, program: &CStr, args: &[CString], environment: &[CString]) -> Error {
        use std::ffi::OsStr;
        use std::os::unix::{ffi::OsStrExt, process::CommandExt};
        let mut command = std::process::Command::new(OsStr::from_bytes(program.to_bytes()));
        command.args(args.iter().skip(1).map(|a| OsStr::from_bytes(a.to_bytes()))).env_clear();
        for pair in environment {
            let at = pair.to_bytes().iter().position(|&b| b == b'=').unwrap_or(0);
            let (name, value) = pair.to_bytes().split_at(at);
            command.env(OsStr::from_bytes(name), OsStr::from_bytes(value.strip_prefix(b"=").unwrap_or(value)));
        }
        command.exec()
    }
}
