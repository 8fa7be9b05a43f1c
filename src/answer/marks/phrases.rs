//! Words that come before a final answer: `Answer: 18`, `The answer is 18`, in several languages.

use memchr::memmem;

/// Labels before a colon, or alone on a line above the answer, in lower case.
const LABELS: [&str; 53] = [
    "a",
    "answer",
    "ans",
    "final answer",
    "the answer",
    "the final answer",
    "correct answer",
    "the correct answer",
    "my answer",
    "my final answer",
    "final result",
    "correct option",
    "correct choice",
    "答案",
    "最终答案",
    "最后答案",
    "正确答案",
    "答",
    "答え",
    "最終回答",
    "最終的な答え",
    "回答",
    "解答",
    "정답",
    "답",
    "최종 답",
    "최종 답변",
    "respuesta",
    "respuesta final",
    "la respuesta",
    "réponse",
    "réponse finale",
    "la réponse",
    "antwort",
    "endgültige antwort",
    "die antwort",
    "resposta",
    "resposta final",
    "a resposta",
    "risposta",
    "risposta finale",
    "la risposta",
    "ответ",
    "окончательный ответ",
    "đáp án",
    "đáp số",
    "الإجابة",
    "الجواب",
    "उत्तर",
    "cevap",
    "odpowiedź",
    "antwoord",
    "svar",
];

/// Words that state an answer, behind which it stands, in lower case; those of English are found otherwise.
const STATEMENTS: [&str; 25] = [
    "答案是",
    "答案为",
    "答案應為",
    "答案应为",
    "答えは",
    "答えが",
    "정답은",
    "답은",
    "respuesta es",
    "respuesta final es",
    "respuesta correcta es",
    "réponse est",
    "réponse finale est",
    "antwort ist",
    "antwort lautet",
    "resposta é",
    "resposta final é",
    "risposta è",
    "risposta finale è",
    "ответ равен",
    "ответ —",
    "ответ -",
    "đáp án là",
    "الإجابة هي",
    "cevap",
];

/// A sentence longer than this is no answer.
pub(super) const LONG: usize = 2000;

/// What is said of an answer that is not yet the answer.
const ABOUT: [&str; 8] = ["choice", "option", "key", "sheet", "format", "must be a ", "should be a ", "in the form"];

/// What stands behind the labels of a text, the last one first.
pub(super) fn labelled(text: &str) -> Vec<&str> {
    let mut found = Vec::new();
    let mut end = text.len();
    while end > 0 && found.len() < 4 {
        let start = text[..end].rfind('\n').map_or(0, |i| i + 1);
        if let Some(answer) = labels(text, start, end) {
            found.push(answer);
        }
        end = start.saturating_sub(1);
        if start == 0 {
            break;
        }
    }
    found
}

/// The answer that the line between two places labels.
fn labels(text: &str, start: usize, end: usize) -> Option<&str> {
    let line = text[start..end].trim_start_matches(|c: char| !c.is_alphanumeric());
    let colon = line.char_indices().find(|(i, c)| *i > 100 || matches!(c, ':' | '：')).filter(|(i, _)| *i <= 100);
    let (label, rest) = match colon {
        Some((i, c)) => (&line[..i], &line[i + c.len_utf8()..]),
        None => (line, ""),
    };
    let label = label.trim_matches(|c: char| c.is_whitespace() || matches!(c, '*' | '_' | '#' | '.'));
    // `A` is a label with its colon only.
    if label.is_empty() || label.len() > 40 || (colon.is_none() && label.chars().count() == 1) {
        return None;
    }
    LABELS.contains(&label.to_lowercase().as_str()).then_some(())?;
    let rest = rest.trim_matches(|c: char| c.is_whitespace() || matches!(c, '*' | '_'));
    if rest.len() > LONG {
        return None;
    }
    if rest.is_empty() { below(&text[end..]) } else { Some(tidy(rest)) }
}

/// The next line that is not empty, or the formula that begins there.
fn below(text: &str) -> Option<&str> {
    let rest = text.trim_start();
    for (open, close) in [("\\[", "\\]"), ("$$", "$$"), ("\\begin{", "\\end{"), ("```", "```")] {
        if let Some(inner) = rest.strip_prefix(open)
            && let Some(len) = inner.find(close).filter(|len| *len < 2000)
        {
            return Some(if open == "\\begin{" { first_line(rest) } else { inner[..len].trim() });
        }
    }
    let line = first_line(rest);
    let line = if line.len() > LONG { "" } else { tidy(line) };
    (!line.is_empty()).then_some(line)
}

fn first_line(text: &str) -> &str {
    text.lines().next().unwrap_or_default().trim()
}

/// Without stars, the marks of a heading and control tokens.
pub(in crate::answer) fn tidy(text: &str) -> &str {
    let end = ["<|", "</s>", "<eos>", "</answer>"].iter().filter_map(|m| text.find(m)).min().unwrap_or(text.len());
    text[..end].trim_matches(|c: char| c.is_whitespace() || matches!(c, '*' | '_' | '#' | '>'))
}

/// What sentences of a text state, the last one first.
pub(super) fn stated(text: &str) -> Vec<&str> {
    let mut found: Vec<(usize, &str)> = Vec::new();
    let mut end = text.len();
    while found.len() < 4
        && let Some(at) = last_word(&text[..end], b"answer")
    {
        if let Some(answer) = behind(&text[at + "answer".len()..]) {
            found.push((at, answer));
        }
        end = at;
    }
    if !text.is_ascii() || text.len() < 4096 {
        let lower = text.to_lowercase();
        // Where lower case is as long, places are the same.
        if lower.len() == text.len() {
            for phrase in STATEMENTS {
                if let Some(at) = memmem::rfind(lower.as_bytes(), phrase.as_bytes()) {
                    let rest = text[at + phrase.len()..].trim_start_matches(|c: char| c.is_whitespace() || matches!(c, ':' | '：'));
                    let answer = sentence(rest);
                    if !answer.is_empty() {
                        found.push((at, answer));
                    }
                }
            }
            found.sort_by_key(|(at, _)| std::cmp::Reverse(*at));
        }
    }
    found.into_iter().map(|(_, answer)| answer).collect()
}

/// The last place of a word, however it is written.
fn last_word(text: &str, word: &[u8]) -> Option<usize> {
    let bytes = text.as_bytes();
    let mut end = bytes.len();
    loop {
        // The rarest letter of `answer` is its w.
        let w = memchr::memrchr2(b'w', b'W', &bytes[..end])?;
        if let Some(start) = w.checked_sub(3)
            && bytes.get(start..start + word.len()).is_some_and(|found| found.eq_ignore_ascii_case(word))
        {
            return Some(start);
        }
        end = w;
    }
}

/// The answer behind the word `answer`, where the sentence goes on to say it.
fn behind<'a>(rest: &'a str) -> Option<&'a str> {
    let line = first_line_of(rest);
    let head = &line[..line.char_indices().nth(80).map_or(line.len(), |(i, _)| i)];
    let verbs = [" is", ":", "：", " are", " = ", " would be", " should be", " must be", " was", " equals", " comes to"];
    let (at, verb) = verbs.iter().filter_map(|v| Some((find(head, v)?, *v))).min()?;
    let about = &head[..at];
    if about.contains(['.', '?', '!', ';']) || about.contains(", ") || ABOUT.iter().any(|a| about.trim_start().starts_with(a)) {
        return None;
    }
    let after = &line[at + verb.len()..];
    let trim = |s: &'a str| s.trim_start_matches(|c: char| c.is_whitespace() || matches!(c, ':' | '：' | '_'));
    // Stars with room behind them end what was bold before.
    let after = trim(after);
    let after = after.strip_prefix("**").filter(|a| a.starts_with(char::is_whitespace) || a.is_empty()).map_or(after, trim);
    let answer = if after.is_empty() { below(&rest[line.len()..])? } else { sentence(after) };
    (!answer.is_empty() && !answer.starts_with('?')).then_some(answer)
}

/// Where a verb stands, as a word.
fn find(text: &str, verb: &str) -> Option<usize> {
    let whole =
        |at: &usize| !verb.ends_with(|c: char| c.is_alphabetic()) || !text[at + verb.len()..].starts_with(|c: char| c.is_alphanumeric());
    text.match_indices(verb).map(|(at, _)| at).find(whole)
}

fn first_line_of(text: &str) -> &str {
    &text[..text.find('\n').unwrap_or(text.len())]
}

/// The sentence that a text begins with, without its end.
pub(in crate::answer) fn sentence(text: &str) -> &str {
    let line = first_line_of(text);
    // What is bold is the answer.
    if let Some(bold) = text.strip_prefix("**").and_then(|t| t.split_once("**")).map(|(bold, _)| bold.trim())
        && !bold.is_empty()
    {
        return bold;
    }
    let mut end = line.len();
    for (at, mark) in line.match_indices(['.', '。', '!']) {
        let (before, after) = (&line[..at], &line[at + mark.len()..]);
        let stop = mark == "。" || after.is_empty() || after.starts_with([' ', '\t', '\r']);
        let word = before.rsplit(|c: char| !(c.is_alphanumeric() || c == '.')).next().unwrap_or_default();
        let shortened =
            mark == "." && matches!(word, "p" | "a" | "p.m" | "a.m" | "approx" | "St" | "Mr" | "Mrs" | "Dr" | "vs" | "e.g" | "i.e" | "U.S");
        let factorial = mark == "!" && word.ends_with(|c: char| c.is_ascii_digit());
        if stop && !factorial && (!shortened || after.trim().is_empty()) {
            end = at;
            break;
        }
    }
    if end > LONG { "" } else { tidy(&line[..end]) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_and_statements_are_found() {
        for (text, found) in [
            ("so\nAnswer: 42 ducks", "42 ducks"),
            ("**Final Answer:** $42$", "$42$"),
            ("### Final Answer\n\n42", "42"),
            ("✅ Final answer: **42**", "42"),
            ("**Answer**\n\n\\[\n42\n\\]", "42"),
            ("答案：42只", "42只"),
            ("Réponse finale : 42", "42"),
            ("A: 42", "42"),
        ] {
            assert_eq!(labelled(text).first().copied(), Some(found), "{text}");
        }
        for (text, found) in [
            ("The answer is 42. Check: yes.", "42"),
            ("The answer to the question is therefore: 42", "therefore: 42"),
            ("So the answer is:\n\n42", "42"),
            ("The final answer is $42$. I hope it is correct.", "$42$"),
            ("The answer is **42** ducks.", "42"),
            ("He leaves at noon, so the answer is 6:15 p.m. today.", "6:15 p.m. today"),
            ("因此答案是42。", "42"),
            ("La respuesta es 42.", "42"),
            ("The ANSWER is 42<|im_end|>", "42"),
        ] {
            assert_eq!(stated(text).first().copied(), Some(found), "{text}");
        }
        for text in ["", "No answers here", "The answer choices are 1 and 2", "Answer", "A", "An answer. It is long: 5"] {
            assert_eq!((labelled(text).first(), stated(text).first()), (None, None), "{text}");
        }
    }
}
