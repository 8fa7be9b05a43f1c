//! seccomp: what a program may ask of the kernel.

use super::exec::Pass;
use libc::{c_long, pid_t};
use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen as Len, SeccompCmpOp as Op, SeccompCondition, SeccompFilter, SeccompRule, TargetArch,
};
use std::collections::BTreeMap;

/// What an interpreter of one process and many threads needs; everything else is refused with EPERM. None of these reaches another process, the network,
/// or a file by another way than opening it.
const ALLOWED: &[c_long] = &[
    // Files, once opened, and opening them, which Landlock rules.
    libc::SYS_read,
    libc::SYS_readv,
    libc::SYS_pread64,
    libc::SYS_preadv,
    libc::SYS_write,
    libc::SYS_writev,
    libc::SYS_pwrite64,
    libc::SYS_pwritev,
    libc::SYS_close,
    libc::SYS_close_range,
    libc::SYS_fstat,
    libc::SYS_newfstatat,
    libc::SYS_statx,
    libc::SYS_faccessat,
    libc::SYS_faccessat2,
    libc::SYS_readlinkat,
    libc::SYS_lseek,
    libc::SYS_ftruncate,
    libc::SYS_fsync,
    libc::SYS_fdatasync,
    libc::SYS_flock,
    libc::SYS_fadvise64,
    libc::SYS_getdents64,
    libc::SYS_getcwd,
    libc::SYS_dup,
    libc::SYS_dup3,
    libc::SYS_pipe2,
    libc::SYS_sendfile,
    libc::SYS_copy_file_range,
    libc::SYS_pselect6,
    libc::SYS_ppoll,
    libc::SYS_epoll_create1,
    libc::SYS_epoll_ctl,
    libc::SYS_epoll_pwait,
    libc::SYS_eventfd2,
    // Memory.
    libc::SYS_brk,
    libc::SYS_mmap,
    libc::SYS_munmap,
    libc::SYS_mremap,
    libc::SYS_mprotect,
    libc::SYS_madvise,
    // Threads and signals of its own; clone3 is answered by another filter.
    libc::SYS_clone3,
    libc::SYS_exit,
    libc::SYS_exit_group,
    libc::SYS_futex,
    libc::SYS_rseq,
    libc::SYS_set_robust_list,
    libc::SYS_set_tid_address,
    libc::SYS_sched_yield,
    libc::SYS_sched_getaffinity,
    libc::SYS_rt_sigaction,
    libc::SYS_rt_sigprocmask,
    libc::SYS_rt_sigreturn,
    libc::SYS_rt_sigpending,
    libc::SYS_rt_sigtimedwait,
    libc::SYS_sigaltstack,
    libc::SYS_restart_syscall,
    libc::SYS_wait4,
    libc::SYS_waitid,
    // Time.
    libc::SYS_clock_gettime,
    libc::SYS_clock_getres,
    libc::SYS_clock_nanosleep,
    libc::SYS_nanosleep,
    libc::SYS_gettimeofday,
    libc::SYS_getitimer,
    libc::SYS_setitimer,
    libc::SYS_times,
    // What it is.
    libc::SYS_getpid,
    libc::SYS_getppid,
    libc::SYS_gettid,
    libc::SYS_getpgid,
    libc::SYS_getsid,
    libc::SYS_getuid,
    libc::SYS_geteuid,
    libc::SYS_getgid,
    libc::SYS_getegid,
    libc::SYS_getresuid,
    libc::SYS_getresgid,
    libc::SYS_getgroups,
    libc::SYS_getcpu,
    libc::SYS_getrandom,
    libc::SYS_getrusage,
    libc::SYS_sysinfo,
    libc::SYS_umask,
    libc::SYS_uname,
];

/// Older forms of the same, which newer architectures lack.
#[cfg(target_arch = "x86_64")]
const OLDER: &[c_long] = &[
    libc::SYS_access,
    libc::SYS_alarm,
    libc::SYS_arch_prctl,
    libc::SYS_creat,
    libc::SYS_dup2,
    libc::SYS_epoll_create,
    libc::SYS_epoll_wait,
    libc::SYS_eventfd,
    libc::SYS_getdents,
    libc::SYS_getpgrp,
    libc::SYS_getrlimit,
    libc::SYS_lstat,
    libc::SYS_pause,
    libc::SYS_pipe,
    libc::SYS_poll,
    libc::SYS_readlink,
    libc::SYS_select,
    libc::SYS_stat,
    libc::SYS_time,
];
#[cfg(not(target_arch = "x86_64"))]
const OLDER: &[c_long] = &[];

/// Removing a file, by name.
#[cfg(target_arch = "x86_64")]
const REMOVE: &[c_long] = &[libc::SYS_unlinkat, libc::SYS_unlink];
#[cfg(not(target_arch = "x86_64"))]
const REMOVE: &[c_long] = &[libc::SYS_unlinkat];

/// Opening a file, each with the argument that has its flags.
#[cfg(target_arch = "x86_64")]
const OPEN: &[(c_long, u8)] = &[(libc::SYS_openat, 2), (libc::SYS_open, 1)];
#[cfg(not(target_arch = "x86_64"))]
const OPEN: &[(c_long, u8)] = &[(libc::SYS_openat, 2)];

/// Flags of a `clone` that starts a process as `fork` does; musl leaves the first two out.
const FORK: [i32; 2] = [libc::CLONE_CHILD_SETTID | libc::CLONE_CHILD_CLEARTID | libc::SIGCHLD, libc::SIGCHLD];

/// Duplicates, flags, locks; not the owner of a file's signals, which would be a way to signal another process.
const FCNTL: [i32; 8] =
    [libc::F_DUPFD, libc::F_DUPFD_CLOEXEC, libc::F_GETFD, libc::F_SETFD, libc::F_GETFL, libc::F_SETFL, libc::F_GETLK, libc::F_SETLK];

/// As for `fcntl`; nothing that feeds a terminal.
const IOCTL: [u64; 6] = [libc::TCGETS, libc::TIOCGWINSZ, libc::FIONREAD, libc::FIONBIO, libc::FIOCLEX, libc::FIONCLEX];

type Rules = BTreeMap<i64, Vec<SeccompRule>>;

/// Adds a rule that allows a call where all conditions hold; each is an argument's index, how it is compared, and the value.
fn allow(rules: &mut Rules, call: c_long, conditions: &[(u8, Len, Op, u64)]) -> Result<(), seccompiler::BackendError> {
    let each = conditions.iter().map(|(index, len, op, value)| SeccompCondition::new(*index, len.clone(), op.clone(), *value));
    rules.entry(call).or_default().push(SeccompRule::new(each.collect::<Result<_, _>>()?)?);
    Ok(())
}

/// What differs between those who are restricted.
#[derive(Clone, Copy, Debug)]
pub(super) struct Allowance {
    /// What becoming the interpreter takes.
    pub pass: Pass,
    /// May remove files, which then take room without being seen.
    pub removes: bool,
    /// May start processes that are a copy of itself, limit itself further, and take over descriptors that it is sent.
    pub forks: bool,
}

/// The filters for process `own`, in the order in which they are put on: one that says that there is no clone3, so that libraries use clone, whose flags a
/// filter can see; and one that allows what is allowed.
fn filters(own: pid_t, allowance: Allowance) -> Result<[BpfProgram; 2], seccompiler::BackendError> {
    let arch = TargetArch::try_from(std::env::consts::ARCH)?;
    let mut rules: Rules = ALLOWED.iter().chain(OLDER).map(|&call| (call, Vec::new())).collect();
    let thread = libc::CLONE_THREAD as u64;
    allow(&mut rules, libc::SYS_clone, &[(0, Len::Dword, Op::MaskedEq(thread), thread)])?;
    // The kernel looks at three arguments; whoever does not know the others executes nothing.
    let [a, b, c] = allowance.pass.0;
    allow(&mut rules, libc::SYS_execve, &[(3, Len::Qword, Op::Eq, a), (4, Len::Qword, Op::Eq, b), (5, Len::Qword, Op::Eq, c)])?;
    // No files that never have a name.
    let nameless = (libc::O_TMPFILE & !libc::O_DIRECTORY) as u64;
    for (call, flags) in OPEN {
        allow(&mut rules, *call, &[(*flags, Len::Dword, Op::MaskedEq(nameless), 0)])?;
    }
    if allowance.removes {
        rules.extend(REMOVE.iter().map(|&call| (call, Vec::new())));
    }
    if allowance.forks {
        for flags in FORK {
            allow(&mut rules, libc::SYS_clone, &[(0, Len::Dword, Op::Eq, flags as u64)])?;
        }
        allow(&mut rules, libc::SYS_prlimit64, &[(0, Len::Dword, Op::Eq, 0)])?;
        rules.insert(libc::SYS_recvmsg, Vec::new());
    }
    for call in [libc::SYS_kill, libc::SYS_tgkill, libc::SYS_tkill] {
        allow(&mut rules, call, &[(0, Len::Dword, Op::Eq, own as u64)])?;
    }
    // Limits may be read.
    allow(&mut rules, libc::SYS_prlimit64, &[(0, Len::Dword, Op::Eq, 0), (2, Len::Qword, Op::Eq, 0)])?;
    for command in FCNTL {
        allow(&mut rules, libc::SYS_fcntl, &[(1, Len::Dword, Op::Eq, command as u64)])?;
    }
    for request in IOCTL {
        allow(&mut rules, libc::SYS_ioctl, &[(1, Len::Dword, Op::Eq, request)])?;
    }
    let no_clone3 = BTreeMap::from([(libc::SYS_clone3, Vec::new())]);
    let no_clone3 = SeccompFilter::new(no_clone3, SeccompAction::Allow, SeccompAction::Errno(libc::ENOSYS as u32), arch)?;
    let allowed = SeccompFilter::new(rules, SeccompAction::Errno(libc::EPERM as u32), SeccompAction::Allow, arch)?;
    Ok([no_clone3.try_into()?, allowed.try_into()?])
}

/// Restricts this process, and what it becomes. Fails on a kernel without seccomp, and on an architecture that the filters are not written for.
pub(super) fn restrict(allowance: Allowance) -> Result<(), seccompiler::Error> {
    let own = rustix::process::getpid().as_raw_nonzero().get();
    filters(own, allowance)?.iter().try_for_each(|filter| seccompiler::apply_filter(filter))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_call_that_starts_processes_or_opens_sockets_is_allowed() {
        let all: Vec<c_long> = ALLOWED.iter().chain(OLDER).copied().collect();
        for call in
            [libc::SYS_socket, libc::SYS_ptrace, libc::SYS_execve, libc::SYS_execveat, libc::SYS_unshare, libc::SYS_clone, libc::SYS_kill]
        {
            assert!(!all.contains(&call), "{call}");
        }
        let lengths = [false, true].map(|more| {
            let allowance = Allowance { pass: Pass::new(), removes: more, forks: more };
            filters(1, allowance).unwrap().map(|program| program.len())
        });
        assert!(lengths[0][0] > 0 && lengths[0][0] == lengths[1][0] && lengths[0][1] < lengths[1][1], "{lengths:?}");
    }
}
