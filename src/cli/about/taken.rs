//! What a model that `doctor` looks at is taken for, and what exactly is fed to it as a reward model.

use super::finding::{Finding, State};
use crate::runtime::{Explained, ModelRef};

/// What is said of a model beside whether it loads, and whether it is to be loaded as a reward model.
pub(super) fn findings(model: &ModelRef) -> (Vec<Finding>, bool) {
    if model.is_trained_reward() {
        return (
            vec![Finding::new("models", "  taken for", State::Fine, "a reward model that was trained here, because it has a reward.json")],
            true,
        );
    }
    match model.explain_reward() {
        Ok(Some(explained)) => (told(&explained), true),
        Ok(None) => (Vec::new(), model.is_reward_only()),
        // What can only be a reward model is meant as one; any other model may be a policy, and says itself why it does not load as one.
        Err(error) if model.is_reward_only() || !is_policy(model) => (vec![fault("taken for", State::Broken, &error.to_string())], true),
        Err(error) => {
            let line = |name: &str, text: &str| Finding::new("models", format!("  {name}"), State::Fine, text);
            let mut told = vec![line("taken for", "a policy: it writes, and says how likely a text is")];
            told.extend(model.runs_on().map(|on| line("runs on", &on)));
            told.push(fault("as --reward", State::Absent, &error.to_string()));
            (told, false)
        }
    }
}

/// An error and its remedy, which stands behind a semicolon.
fn fault(name: &str, state: State, error: &str) -> Finding {
    let (what, remedy) = error.split_once("; ").unwrap_or((error, "docs/reward-models.md says which models load"));
    Finding::new("models", format!("  {name}"), state, what).remedy(remedy)
}

/// Whether a model can be loaded as a policy as far as its configuration says.
fn is_policy(model: &ModelRef) -> bool {
    matches!(model, ModelRef::Endpoint(_))
        || (model.runs_on().is_some() && model.policy_files().is_ok_and(|f| f.is_some_and(|f| !f.has("reward.toml"))))
}

fn told(explained: &Explained) -> Vec<Finding> {
    let line = |name: &str, text: &str| Finding::new("models", format!("  {name}"), State::Fine, text);
    let mut out = vec![line("taken for", &explained.taken), line("is fed", &explained.fed), line("is read", &explained.read)];
    let id = |(id, text, read): &(u32, String, bool)| format!("{id} {text:?}{}", if *read { " <- read here" } else { "" });
    let ids: Vec<String> = explained.ids.iter().map(id).collect();
    out.push(line("example's ids", &ids.join(", ")));
    out.extend(explained.notes.iter().map(|note| line("note", note)));
    out
}
