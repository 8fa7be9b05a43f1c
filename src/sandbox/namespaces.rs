//! A wall around the other guards, where the system lets an ordinary user put one up: a user, a mount and a network namespace of its own.
#![allow(unsafe_code)]

use super::python::Python;
use rustix::mount::{MountFlags, MountPropagationFlags, UnmountFlags, mount, mount_bind, mount_change, mount_remount, unmount};
use rustix::process::{getgid, getuid, pivot_root};
use rustix::thread::{UnshareFlags, unshare_unsafe};
use std::ffi::CString;
use std::fs;
use std::io::{Error, Result};
use std::path::{Path, PathBuf};

/// Names that the wall's own tree takes, at most, beside the program's files.
const TREE: u64 = 512;

/// Puts this process, and what it becomes, behind the wall: no network but an unconnected one, no privileges, and a tree of files that has `own`, empty and
/// of bounded size, the interpreter's files, `devices`, and nothing else. The process must have one thread. Where this fails, part of the wall may stand,
/// which is in nobody's way.
pub(super) fn enter(own: &Path, python: &Python, devices: &[&str], bytes: u64, files: u64) -> Result<()> {
    let (user, group) = (getuid().as_raw(), getgid().as_raw());
    // SAFETY: the descriptors stay shared, and there is no other thread.
    unsafe { unshare_unsafe(UnshareFlags::NEWUSER | UnshareFlags::NEWNS | UnshareFlags::NEWNET) }?;
    // Somebody else than root inside, whom executing a program leaves without privileges.
    let named = |id: u32| if id == 0 { 65534 } else { id };
    fs::write("/proc/self/setgroups", "deny")?;
    fs::write("/proc/self/uid_map", format!("{} {user} 1", named(user)))?;
    fs::write("/proc/self/gid_map", format!("{} {group} 1", named(group)))?;
    mount_change("/", MountPropagationFlags::PRIVATE | MountPropagationFlags::REC)?;
    let options = CString::new(format!("size={bytes},nr_inodes={},mode=700", files + TREE)).map_err(Error::other)?;
    let flags = MountFlags::NOSUID | MountFlags::NODEV | MountFlags::NOEXEC;
    mount("tmpfs", own, "tmpfs", flags, options.as_c_str())?;
    let built = tree(own, python, devices).and_then(|()| {
        std::env::set_current_dir(own)?;
        Ok(pivot_root(".", ".")?)
    });
    if let Err(error) = built {
        // The directory is again what it was.
        unmount(own, UnmountFlags::DETACH)?;
        std::env::set_current_dir(own)?;
        return Err(error);
    }
    unmount(".", UnmountFlags::DETACH)?;
    std::env::set_current_dir(own)
}

/// Fills the wall's own file system, mounted on `own`, with what there is to be seen behind it.
fn tree(own: &Path, python: &Python, devices: &[&str]) -> Result<()> {
    let inside = |path: &Path| path.strip_prefix("/").map(|p| own.join(p)).map_err(Error::other);
    let mut wanted: Vec<&Path> =
        python.readable.iter().chain(&python.executes).map(PathBuf::as_path).chain(devices.iter().map(Path::new)).collect();
    // What is above comes before what is below.
    wanted.sort();
    let mut bound: Vec<&Path> = Vec::new();
    for path in wanted {
        if bound.iter().any(|b| path.starts_with(b)) {
            continue;
        }
        let Ok(found) = fs::metadata(path) else { continue };
        let target = inside(path)?;
        fs::create_dir_all(if found.is_dir() { &target } else { target.parent().unwrap_or(own) })?;
        if !found.is_dir() {
            fs::write(&target, "")?;
        }
        mount_bind(path, &target)?;
        if found.is_dir() {
            // Some systems do not let it be bound more strictly than it is; other guards keep it from being written to.
            let _ = mount_remount(&target, MountFlags::BIND | MountFlags::RDONLY | MountFlags::NOSUID, "");
        }
        bound.push(path);
    }
    fs::create_dir_all(inside(own)?)
}
