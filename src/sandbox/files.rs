//! Landlock: which files a program may open.

use super::python::Python;
use landlock::{
    ABI, Access, AccessFs, AccessNet, BitFlags, LandlockStatus, RestrictionStatus, Ruleset, RulesetAttr, RulesetCreatedAttr, RulesetError,
    RulesetStatus, Scope, path_beneath_rules,
};
use std::path::Path;

/// Rights that are asked for; a kernel that knows fewer keeps to those it knows.
const KNOWN: ABI = ABI::V6;

/// Devices that programs use and that lead nowhere.
pub(super) const DEVICES: [&str; 4] = ["/dev/null", "/dev/zero", "/dev/random", "/dev/urandom"];

/// Restricts this process, and what it becomes, to reading the interpreter's files, executing the interpreter, and using files in `own`; no TCP, no
/// signals to others. Says whether opening, writing and truncating other files is refused from now on.
pub(super) fn restrict(python: &Python, own: &Path) -> Result<bool, RulesetError> {
    let read = AccessFs::ReadFile | AccessFs::ReadDir;
    let use_file: BitFlags<AccessFs> = AccessFs::ReadFile | AccessFs::WriteFile;
    // Neither subdirectories nor links: what it leaves behind is a flat list of files.
    let use_own = read | AccessFs::WriteFile | AccessFs::Truncate | AccessFs::MakeReg | AccessFs::RemoveFile;
    let status = Ruleset::default()
        .handle_access(AccessFs::from_all(KNOWN))?
        .handle_access(AccessNet::from_all(KNOWN))?
        .scope(Scope::from_all(KNOWN))?
        .create()?
        .add_rules(path_beneath_rules(&python.readable, read))?
        .add_rules(path_beneath_rules(&python.executes, AccessFs::ReadFile | AccessFs::Execute))?
        .add_rules(path_beneath_rules(DEVICES, use_file))?
        .add_rules(path_beneath_rules([own], use_own))?
        .restrict_self()?;
    Ok(holds(&status))
}

fn holds(status: &RestrictionStatus) -> bool {
    let knows_truncation = matches!(status.landlock, LandlockStatus::Available { effective_abi, .. } if effective_abi >= ABI::V3);
    status.ruleset != RulesetStatus::NotEnforced && knows_truncation
}
