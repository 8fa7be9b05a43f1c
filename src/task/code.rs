//! HumanEval (Chen et al. 2021) and MBPP (Austin et al. 2021): a prompt, Python code that continues or answers it, and tests. This makes the program that the
//! tests are for; running it is another room's work.

use super::record::{Record, field, field_of};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// What a completion is put between to be tested.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CodeTests {
    /// Code that a completion continues, such as a function's head and docstring; empty where a completion stands by itself.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub prefix: String,
    /// Code that comes first: imports and helpers of the tests.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub setup: String,
    /// Name of the function that is tested; empty where it is not known.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub entry_point: String,
    /// Code that comes last and raises an exception where the function is wrong.
    pub tests: String,
}

/// `prompt` or `text`, with the tests of `test_list` where there are some; `canonical_solution` or `code`.
pub(super) fn record(value: &Value) -> Result<Record, String> {
    let mut text = field_of(value, &["prompt", "text"])?.trim_end().to_owned();
    for test in texts(value, "test_list") {
        text.push('\n');
        text.push_str(test);
    }
    // Leading spaces are the indentation of a function's body.
    let solution = field_of(value, &["canonical_solution", "code"]).map(|s| indented_as(&text, s.trim_end()));
    Ok(Record { text, solution, gold: None })
}

/// A body with the indentation of the docstring that its prompt ends in: half of those of MBPP in HumanEval's form have another, which Python refuses. Tabs
/// reach to the next multiple of 8, as Python reads them.
fn indented_as(prompt: &str, body: &str) -> String {
    let indent = |line: &str| {
        let blanks = line.chars().take_while(|c| matches!(c, ' ' | '\t'));
        blanks.fold(0, |at, c| if c == '\t' { (at / 8 + 1) * 8 } else { at + 1 })
    };
    let docstring = prompt.ends_with("\"\"\"") || prompt.ends_with("'''");
    let wanted = prompt.lines().next_back().filter(|_| docstring).map_or(0, indent);
    let own = body.lines().find(|l| !l.trim().is_empty()).map_or(0, indent);
    if wanted == 0 || own == 0 || wanted == own {
        return body.to_owned();
    }
    let line = |l: &str| match indent(l) {
        at if at < own || l.trim().is_empty() => l.to_owned(),
        at => " ".repeat(at - own + wanted) + l.trim_start_matches([' ', '\t']),
    };
    body.lines().map(line).collect::<Vec<_>>().join("\n")
}

/// The tests of a record: `test` with `entry_point`, of a prompt that completions continue (HumanEval, and MBPP in its form), or `test_list` with
/// `test_imports` (a list) and `test_setup_code`, of functions that stand by themselves (MBPP). `None` where it has neither. `setup` is code that comes first in the tests of
/// a prompt.
pub(super) fn tests(value: &Value, setup: &str) -> Result<Option<CodeTests>, String> {
    let list: Vec<&str> = texts(value, "test_list").collect();
    if value.get("test").is_some() && (value.get("entry_point").is_some() || list.is_empty()) {
        let (entry_point, test) = (field(value, "entry_point")?.trim(), field(value, "test")?);
        // MBPP in this form names the first function of a solution, be it a helper of the one that the tests call.
        let solution = value.get("canonical_solution").and_then(Value::as_str).unwrap_or_default();
        let called = defined(solution).filter(|name| calls(test, name)).last();
        return Ok(Some(CodeTests {
            prefix: field(value, "prompt")?.to_owned(),
            setup: setup.to_owned(),
            entry_point: called.unwrap_or(entry_point).to_owned(),
            tests: format!("{test}\ncheck({entry_point})\n"),
        }));
    }
    if list.is_empty() {
        return Ok(None);
    }
    let mut setup: Vec<&str> = texts(value, "test_imports").collect();
    setup.extend(value.get("test_setup_code").and_then(Value::as_str));
    let code = value.get("code").and_then(Value::as_str).unwrap_or_default();
    let entry_point = defined(code).filter(|name| list.iter().any(|t| calls(t, name))).last().unwrap_or_default();
    Ok(Some(CodeTests { prefix: String::new(), setup: setup.join("\n"), entry_point: entry_point.to_owned(), tests: list.join("\n") }))
}

fn texts<'a>(value: &'a Value, name: &str) -> impl Iterator<Item = &'a str> {
    value.get(name).and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str)
}

/// Names of the functions that are defined on the top level.
fn defined(code: &str) -> impl Iterator<Item = &str> {
    code.lines().filter_map(|line| {
        let rest = line.strip_prefix("async ").unwrap_or(line).strip_prefix("def ")?.trim_start();
        rest.split(|c: char| !c.is_alphanumeric() && c != '_').next().filter(|name| !name.is_empty())
    })
}

/// Whether a text calls a function of this name.
fn calls(text: &str, name: &str) -> bool {
    let part_of_name = |c: char| c.is_alphanumeric() || c == '_';
    text.match_indices(name).any(|(at, _)| !text[..at].ends_with(part_of_name) && text[at + name.len()..].trim_start().starts_with('('))
}

/// Where a continuation ends that goes on after its function: the stop sequences of HumanEval (Chen et al. 2021, §2), a decorator of what comes next, and a
/// fence that a prompt opened.
const STOPS: [&str; 7] = ["\nclass", "\ndef", "\n#", "\n@", "\nif", "\nprint", "\n```"];

impl CodeTests {
    /// The program that a completion makes, without the tests.
    ///
    /// A completion may be the rest of the prompt's function, a whole function, or prose around a fenced block that defines the function; of several
    /// blocks, the last that does.
    pub fn program(&self, completion: &str) -> String {
        let mut program = String::new();
        for part in [&self.setup, &self.solution(completion)] {
            program.push_str(part);
            if !part.is_empty() && !part.ends_with('\n') {
                program.push('\n');
            }
        }
        program
    }

    fn solution(&self, completion: &str) -> String {
        let body = completion.lines().find(|l| !l.trim().is_empty()).is_some_and(|l| l.starts_with([' ', '\t']));
        if body && !self.prefix.is_empty() {
            return self.continued(completion);
        }
        let blocks = fenced(completion);
        if let Some(block) = blocks.iter().rev().find(|b| self.defines(b)).or(blocks.last()) {
            let body = block.starts_with([' ', '\t']) && !self.prefix.is_empty();
            return if body { self.continued(block) } else { self.whole(block) };
        }
        if self.prefix.is_empty() || self.defines(completion) { self.whole(completion) } else { self.continued(completion) }
    }

    fn defines(&self, code: &str) -> bool {
        defined(code).any(|name| self.entry_point.is_empty() || name == self.entry_point)
    }

    /// The rest of the prompt's function.
    fn continued(&self, completion: &str) -> String {
        // Where the prompt begins a helper, the function itself is still to come.
        let function = format!("\ndef {}", self.entry_point);
        let from = if self.defines(&self.prefix) { 0 } else { completion.find(&function).map_or(0, |at| at + function.len()) };
        let end = STOPS.iter().filter_map(|stop| completion[from..].find(stop)).min().map_or(completion.len(), |at| from + at);
        format!("{}{}", self.prefix, &completion[..end])
    }

    /// A whole function with what belongs to it: without prose before it, and without what follows it and is no definition, such as examples or prose. The
    /// prompt comes first, for its imports and helpers; its function is defined anew.
    fn whole(&self, code: &str) -> String {
        let prefix = if self.prefix.is_empty() { String::new() } else { format!("{}\n", self.prefix) };
        if !self.defines(code) {
            return format!("{prefix}{code}");
        }
        let (mut out, mut found) = (prefix, false);
        for line in code.lines().skip_while(|l| !is_code(l)) {
            if found && !line.starts_with([' ', '\t', ')', ']', '}', '"', '\'']) && !line.trim().is_empty() && !is_code(line) {
                break;
            }
            found |= self.defines(line);
            out.push_str(line);
            out.push('\n');
        }
        out
    }
}

/// Whether a line of the top level begins a definition, an import or an assignment to a name.
fn is_code(line: &str) -> bool {
    let assigns = |(name, value): (&str, &str)| {
        let name = name.split(':').next().unwrap_or_default().trim();
        !name.is_empty() && !value.starts_with('=') && name.chars().all(|c| c.is_alphanumeric() || c == '_')
    };
    ["def ", "class ", "import ", "async def ", "@"].iter().any(|word| line.starts_with(word))
        || line.starts_with("from ") && line.contains(" import ")
        || line.split_once('=').is_some_and(assigns)
}

/// The fenced blocks of a text that are, or may be, Python; one that is not closed reaches to the end.
fn fenced(text: &str) -> Vec<String> {
    let mut blocks = Vec::new();
    let mut open: Option<(bool, String)> = None;
    for line in text.lines() {
        let fence = line.trim_start().strip_prefix("```");
        open = match (open, fence) {
            (None, Some(language)) => {
                let language = language.trim().to_lowercase();
                Some((matches!(language.as_str(), "" | "python" | "py" | "python3"), String::new()))
            }
            (Some((python, block)), Some(_)) => {
                blocks.extend(python.then_some(block));
                None
            }
            (Some((python, block)), None) => Some((python, block + line + "\n")),
            (None, None) => None,
        };
    }
    blocks.extend(open.filter(|b| b.0).map(|b| b.1));
    blocks.retain(|b| !b.trim().is_empty());
    blocks
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const PROMPT: &str = "from typing import List\n\n\ndef total(x: List[int]) -> int:\n    \"\"\" Adds. \"\"\"\n";

    fn human_eval() -> CodeTests {
        let value = json!({"prompt": PROMPT, "entry_point": "total", "test": "def check(candidate):\n    assert candidate([1, 2]) == 3\n"});
        super::tests(&value, "").unwrap().unwrap()
    }

    #[test]
    fn records_of_both_benchmarks() {
        let t = human_eval();
        assert_eq!((t.prefix.as_str(), t.entry_point.as_str()), (PROMPT, "total"));
        assert!(t.tests.ends_with("== 3\n\ncheck(total)\n"), "{:?}", t.tests);
        let helped = json!({
            "prompt": "def half(x):\n  ''' Halves. '''\n", "entry_point": "half", "canonical_solution": "  return x / 2\ndef total(x):\n  return 2 * half(x)",
            "test": "def check(candidate):\n  assert total(3) == 3"
        });
        let t = super::tests(&helped, "import math").unwrap().unwrap();
        assert!(t.entry_point == "total" && t.tests.ends_with("== 3\ncheck(half)\n"), "{t:?}");
        let mbpp = json!({
            "text": "Add.", "code": "import math\ndef helper(a):\n  return a\ndef add_two(a, b):\n  return helper(a) + b\ndef other(): pass\n",
            "test_list": ["assert add_two(1, 2) == 3", "assert set([add_two(0, 1)]) == {1}"], "test_imports": ["import math"],
            "test_setup_code": "one = 1"
        });
        let t = super::tests(&mbpp, "import math").unwrap().unwrap();
        assert_eq!((t.prefix.as_str(), t.setup.as_str(), t.entry_point.as_str()), ("", "import math\none = 1", "add_two"));
        assert_eq!(t.program("def add_two(a, b):\n  return a + b"), "import math\none = 1\ndef add_two(a, b):\n  return a + b\n");
        assert_eq!(t.tests, "assert add_two(1, 2) == 3\nassert set([add_two(0, 1)]) == {1}");
        assert_eq!(super::tests(&json!({"prompt": "P", "test_list": []}), "import math"), Ok(None));
        assert!(super::tests(&json!({"prompt": "P", "test": "x"}), "import math").unwrap_err().contains("`entry_point`"));
        assert!(calls("assert f (1)", "f") && !calls("assert of(1)", "f") && !calls("assert f2(1)", "f"));
    }

    #[test]
    fn a_solution_gets_the_indentation_of_its_prompt() {
        let of = |solution: &str| record(&json!({"prompt": PROMPT, "canonical_solution": solution})).unwrap().solution.unwrap();
        assert_eq!(of("  for i in x:\n    n += i\n\n  return n \n"), "    for i in x:\n      n += i\n\n    return n");
        assert_eq!(of("     return (\n1)"), "    return (\n1)");
        assert_eq!(of("\tif x:\n\t\treturn 1"), "    if x:\n            return 1");
        assert_eq!(of("    return 1"), "    return 1");
        assert_eq!(record(&json!({"text": "Add.", "code": "def f():\n  return 1"})).unwrap().solution.unwrap(), "def f():\n  return 1");
    }

    #[test]
    fn a_continuation_ends_at_a_stop_sequence() {
        let t = human_eval();
        for rest in [
            "",
            "\n\ndef other():\n    pass",
            "\nclass A:",
            "\n# so",
            "\nif __name__ == '__main__':\n    main()",
            "\nprint(1)",
            "\n```\nSo.",
        ] {
            assert_eq!(t.solution(&format!("    return sum(x){rest}")).trim_end(), format!("{PROMPT}    return sum(x)"), "{rest:?}");
        }
        let helper = CodeTests { prefix: "def half(x):\n    \"\"\" Halves. \"\"\"\n".into(), ..human_eval() };
        let both = "    return x / 2\n# then\ndef total(x):\n    return half(2 * sum(x))";
        assert_eq!(helper.solution(&format!("{both}\nprint(1)")), format!("{}{both}", helper.prefix));
        assert_eq!(helper.solution("    return x / 2\nprint(1)"), format!("{}    return x / 2", helper.prefix));
        // Tests are not part of it, and a text without an indented beginning is taken as it is.
        assert_eq!(t.program("    return sum(x)"), format!("{PROMPT}    return sum(x)\n"));
        assert_eq!(t.solution("return 3"), format!("{PROMPT}return 3"));
    }

    #[test]
    fn a_whole_function_comes_after_the_prompt() {
        let t = human_eval();
        let function = "def total(x):\n    return sum(x)\n";
        for text in [
            function.to_owned(),
            format!("Here is the code:\n\n{function}\nprint(total([1]))\n"),
            format!("Sure.\n```python\n{function}```\nIt adds.\n```bash\npython x.py\n```\n"),
            format!("First try:\n```\ndef total(x):\n    return 0\n```\nBetter:\n```py\n{function}\nassert total([]) == 1\n```"),
            format!("```python\n{function}"),
            format!("```python\n{function}```\nUse it so:\n```python\nprint(total([2]))\n```"),
        ] {
            let solution = t.solution(&text);
            assert_eq!(solution.trim_end(), format!("{PROMPT}\n{}", function.trim_end()), "{text:?}");
        }
        let helper =
            "import math\nBASE: int = 0\n\n@cached\ndef total(x):\n    return BASE + helper(x)\n\ndef helper(x):\n    return sum(x)\n";
        assert_eq!(t.solution(&format!("{helper}The helper adds.\n")), format!("{PROMPT}\n{helper}"));
        // A block with the body alone.
        assert_eq!(t.solution("So:\n```python\n    return sum(x)\n```"), format!("{PROMPT}    return sum(x)\n"));
    }

    #[test]
    fn code_that_defines_nothing_known_stays_whole() {
        let t = CodeTests { tests: "assert f(1)".into(), ..CodeTests::default() };
        assert_eq!(t.program("f = lambda x: x"), "f = lambda x: x\n");
        assert_eq!(t.program("Text.\n```\nf = abs\n```"), "f = abs\n");
    }
}
