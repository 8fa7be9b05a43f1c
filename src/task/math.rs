//! MATH (Hendrycks et al. 2021): final answers in `\boxed{}`, compared by what they mean.

use super::record::{Record, field, field_of};
use crate::answer::boxed;
use serde_json::Value;
use std::borrow::Cow;

/// `problem` (or `question`), `solution`, and `answer` or `final_answer` (else what the solution boxes).
pub(super) fn record(value: &Value) -> Result<Record, String> {
    let text = field_of(value, &["problem", "question"])?.trim().to_owned();
    let solution = field(value, "solution").map(|s| s.trim_end().to_owned());
    let gold = field_of(value, &["answer", "final_answer"]).ok().map(str::to_owned);
    let gold = gold.or_else(|| boxed(solution.as_deref().ok()?).map(Cow::into_owned));
    Ok(Record { text, solution, gold })
}
