//! The fields of native records.

/// Fields of a record that end in the trace; any other is kept in `Candidate::extra`, and so is `source`, which says where a record first came from.
pub(super) const KNOWN: [&str; 36] = [
    "schema_version",
    "trace_id",
    "candidate",
    "problem",
    "gold_answer",
    "text",
    "steps",
    "step_kinds",
    "token_spans",
    "token_ids",
    "logprobs",
    "entropies",
    "reward_spans",
    "token_rewards",
    "granularity",
    "aggregation",
    "statistic",
    "step_rewards",
    "given_rewards",
    "outcome_reward",
    "labels",
    "gold_deviation",
    "first_deviation",
    "deviation_rule",
    "deviation_signal",
    "deviation_value",
    "deviation_threshold",
    "answer",
    "correct",
    "finish",
    "policy",
    "reward_model",
    "reward_threshold",
    "reward_domain",
    "reward_outside",
    "signals",
];

/// Whether a native record has a field of this name of its own, so that another's cannot be written under it.
pub(super) fn is_own_field(name: &str) -> bool {
    KNOWN.contains(&name) || name == "source"
}
