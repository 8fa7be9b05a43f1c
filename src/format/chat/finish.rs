//! Why an answer ended, under any producer's name for that.

use crate::format::fields::Fields;
use crate::trace::{Candidate, FinishReason};
use serde_json::Value;

/// A candidate with the reason that an object gives for its end; what it has stays where there is none.
pub(super) fn finished(mut candidate: Candidate, fields: &Fields<'_>) -> Candidate {
    const NAMES: [&str; 7] =
        ["finish_reason", "finishReason", "stop_reason", "stopReason", "done_reason", "stop_type", "native_finish_reason"];
    let said = NAMES.iter().filter_map(|k| fields.get(k)).find_map(|value| match value {
        Value::String(name) => FinishReason::named(name),
        // SGLang's, and numbers of Gemini's protocol.
        Value::Object(map) => map.get("type").and_then(Value::as_str).and_then(FinishReason::named),
        Value::Number(n) => match n.as_u64() {
            Some(1) => Some(FinishReason::Stop),
            Some(2) => Some(FinishReason::Length),
            _ => None,
        },
        _ => None,
    });
    let meta = || {
        let reason = fields.get("meta_info").or(fields.get("details"))?.get("finish_reason")?;
        reason.get("type").unwrap_or(reason).as_str().and_then(FinishReason::named)
    };
    candidate.finish = said.or_else(meta).or(candidate.finish);
    candidate
}
