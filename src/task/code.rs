//! HumanEval (Chen et al. 2021) and MBPP (Austin et al. 2021): a prompt and Python code that continues or answers it.

use super::benchmark::{Record, field_of};
use serde_json::Value;

/// `prompt` or `text`, with the tests of `test_list` where there are some; `canonical_solution` or `code`.
pub(super) fn record(value: &Value) -> Result<Record, String> {
    let mut text = field_of(value, &["prompt", "text"])?.trim_end().to_owned();
    for test in value.get("test_list").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str) {
        text.push('\n');
        text.push_str(test);
    }
    // Leading spaces are the indentation of a function's body.
    let solution = field_of(value, &["canonical_solution", "code"]).map(|s| s.trim_end().to_owned());
    Ok(Record { text, solution, gold: None })
}
