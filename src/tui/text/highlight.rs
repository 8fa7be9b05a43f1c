//! Colours of code blocks, found on a thread of their own: reading the syntaxes takes longer than a frame.

use crate::trace::Span;
use crate::tui::theme::Role;
use std::sync::OnceLock;
use syntect::parsing::{ParseState, Scope, ScopeStack, SyntaxReference, SyntaxSet};

/// Bytes of a block that are coloured; what follows stays plain.
const LONGEST: usize = 200_000;

fn syntaxes() -> &'static SyntaxSet {
    static SET: OnceLock<SyntaxSet> = OnceLock::new();
    SET.get_or_init(SyntaxSet::load_defaults_newlines)
}

/// Scopes and what they look like; the first that fits the innermost scope wins.
fn classes() -> &'static [(Scope, Role)] {
    static CLASSES: OnceLock<Vec<(Scope, Role)>> = OnceLock::new();
    CLASSES.get_or_init(|| {
        let all = [
            ("comment", Role::CodeComment),
            ("string", Role::CodeString),
            ("constant", Role::CodeNumber),
            ("entity.name.function", Role::CodeFunction),
            ("support.function", Role::CodeFunction),
            ("variable.function", Role::CodeFunction),
            ("entity.name", Role::CodeType),
            ("support.type", Role::CodeType),
            ("support.class", Role::CodeType),
            ("storage", Role::CodeKeyword),
            ("keyword", Role::CodeKeyword),
        ];
        all.into_iter().filter_map(|(name, role)| Some((Scope::new(name).ok()?, role))).collect()
    })
}

/// Colours the code blocks of a text; ascending spans, what is plain is left out. The language is the one that the fence above a block names.
pub fn highlight(text: &str, blocks: &[Span]) -> Vec<(Span, Role)> {
    let mut out = Vec::new();
    for block in blocks {
        if let Some(syntax) = syntax_of(text, block.start) {
            colour(text, *block, syntax, &mut out);
        }
    }
    out
}

fn syntax_of(text: &str, start: usize) -> Option<&'static SyntaxReference> {
    let fence = text.get(..start)?.trim_end_matches('\n').rsplit('\n').next()?;
    let name = fence.trim().trim_start_matches(['`', '~']).split([' ', '{', ',']).next()?;
    if name.is_empty() { None } else { syntaxes().find_syntax_by_token(name) }
}

fn colour(text: &str, block: Span, syntax: &SyntaxReference, out: &mut Vec<(Span, Role)>) {
    let mut state = ParseState::new(syntax);
    let mut stack = ScopeStack::new();
    let mut at = block.start;
    for line in block.of(text).split_inclusive('\n') {
        // A line that the grammar cannot read ends the colours, not the text.
        let Ok(ops) = state.parse_line(line, syntaxes()) else { return };
        let mut from = 0;
        for (offset, op) in ops {
            push(&stack, at + from, at + offset, out);
            from = offset;
            if stack.apply(&op).is_err() {
                return;
            }
        }
        push(&stack, at + from, at + line.len(), out);
        at += line.len();
        if at - block.start > LONGEST {
            return;
        }
    }
}

fn push(stack: &ScopeStack, start: usize, end: usize, out: &mut Vec<(Span, Role)>) {
    if start >= end {
        return;
    }
    let role = stack.as_slice().iter().rev().find_map(|s| classes().iter().find(|c| c.0.is_prefix_of(*s)).map(|c| c.1));
    let Some(role) = role else { return };
    match out.last_mut() {
        Some(last) if last.1 == role && last.0.end == start => last.0.end = end,
        _ => out.push((Span::new(start, end), role)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tui::WrapCache;

    #[test]
    fn a_block_is_coloured_in_the_language_its_fence_names() {
        let text = "See:\n```python\ndef f(x):  # double\n    return \"a\" * 2\n```\n```\nplain 1\n```";
        let mut wrap = WrapCache::default();
        wrap.update(text, &[], 80);
        let got = highlight(text, wrap.code());
        let role = |word: &str| {
            let at = text.find(word).expect("word");
            got.iter().find(|h| h.0.start <= at && at < h.0.end).map(|h| h.1)
        };
        assert_eq!(role("def"), Some(Role::CodeKeyword));
        assert_eq!(role("f(x)"), Some(Role::CodeFunction));
        assert_eq!(role("# double"), Some(Role::CodeComment));
        assert_eq!(role("\"a\""), Some(Role::CodeString));
        assert_eq!(role("2\n"), Some(Role::CodeNumber));
        assert_eq!(role("plain"), None);
        assert_eq!(role("See"), None);
    }
}
