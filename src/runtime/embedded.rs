//! The models inside the program.

use crate::model::ModelFiles;

/// The policy, `None` where this build has none.
pub(super) fn policy() -> Option<ModelFiles> {
    None
}

/// The reward model, `None` where this build has none.
pub(super) fn reward() -> Option<ModelFiles> {
    None
}
