//! What a sandbox keeps a program from.

use serde::{Deserialize, Serialize};

/// What the kernel enforces on a program beside the limits that hold on every Unix: CPU time, wall time, size of a file, open files, output, an empty
/// environment and a directory of its own.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Guards {
    /// Files outside its directory cannot be opened but for the interpreter's own: Landlock, ABI 3 (Linux 6.2) or newer. Older ones are put on too, but
    /// let a program truncate files, so that they do not count.
    pub files: bool,
    /// No sockets: seccomp.
    pub network: bool,
    /// No further processes, no signals to others, and nothing is executed once the interpreter runs: seccomp.
    pub processes: bool,
    /// Address space is limited.
    pub memory: bool,
    /// A wall around the others, which none of them needs: user, mount and network namespaces of its own. Files that it removed and holds open count
    /// against its disk limit; without the wall, it may remove none.
    #[serde(default)]
    pub namespaces: bool,
}

impl Guards {
    /// Names of the guards, in the order of the fields.
    const NAMES: [&'static str; 4] = ["files", "network", "processes", "memory"];

    fn each(self) -> [bool; 4] {
        [self.files, self.network, self.processes, self.memory]
    }

    /// The guards that hold.
    pub fn present(self) -> Vec<&'static str> {
        Self::NAMES.into_iter().zip(self.each()).filter(|g| g.1).map(|g| g.0).collect()
    }

    /// The guards that this system lacks.
    pub fn missing(self) -> Vec<&'static str> {
        Self::NAMES.into_iter().zip(self.each()).filter(|g| !g.1).map(|g| g.0).collect()
    }

    /// Whether these hold wherever `wanted` do.
    pub fn cover(self, wanted: Self) -> bool {
        self.each().into_iter().zip(wanted.each()).all(|(have, want)| have || !want)
    }

    /// What stands around the guards, in words.
    pub fn wall(self) -> &'static str {
        if self.namespaces {
            "behind a wall of user, mount and network namespaces"
        } else {
            "without the wall of namespaces, which this system does not let you put up"
        }
    }

    /// A warning that names what is missing; `None` where nothing is.
    pub fn warning(self) -> Option<String> {
        let missing = self.missing();
        (!missing.is_empty()).then(|| {
            format!(
                "this system has no guard for {}: programs that a model writes run without it; prefer Linux 6.2 or newer with Landlock and seccomp, or a machine that holds nothing of value",
                missing.join(", ")
            )
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_is_named() {
        let all = Guards { files: true, network: true, processes: true, memory: true, namespaces: false };
        assert!(all.warning().is_none() && all.missing().is_empty() && all.cover(all) && all.cover(Guards::default()));
        let some = Guards { files: false, network: false, ..all };
        assert_eq!(some.missing(), ["files", "network"]);
        assert_eq!(some.present(), ["processes", "memory"]);
        assert!(some.warning().unwrap().contains("no guard for files, network:"));
        assert!(!some.cover(all) && all.cover(some));
    }
}
