//! A question: how its answer is read off a text, and which answers are the same.

use super::judged::Judged;
use super::kind::Kind;
use super::marks::{marks, tidy, unboxed};
use super::math::{Formula, Hints, begins_with_number};
use super::{decision, expression, number, options};

/// What is known of a question: the kind of its answer, its text with the options that it may have, and its reference answer.
#[derive(Clone, Copy, Debug)]
pub struct Question<'a> {
    kind: Kind,
    problem: &'a str,
    reference: Option<&'a str>,
}

impl<'a> Question<'a> {
    /// A question whose answer is of a known kind.
    pub fn new(kind: Kind, problem: &'a str, reference: Option<&'a str>) -> Self {
        Self { kind, problem, reference: reference.filter(|r| !r.trim().is_empty()) }
    }

    /// A question whose kind of answer is guessed; see [`Kind::guess`].
    pub fn guess(problem: &'a str, reference: Option<&'a str>) -> Self {
        Self::new(Kind::guess(problem, reference), problem, reference)
    }

    /// A question whose answer is of a `kind`, as a task names it; where none does, of the kind that is guessed.
    pub fn of(kind: Option<Kind>, problem: &'a str, reference: Option<&'a str>) -> Self {
        kind.map_or_else(|| Self::guess(problem, reference), |kind| Self::new(kind, problem, reference))
    }

    /// What kind of answer it asks for.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// The final answer that a text marks, in canonical form; `None` where it marks none.
    pub fn marked(&self, text: &str) -> Option<String> {
        Some(self.canonical(&self.found(text)?)).filter(|a| !a.is_empty())
    }

    /// The final answer that a text marks, as it stands there: of several marks the strongest that may be an answer of the kind.
    fn found(&self, text: &str) -> Option<String> {
        let marks = || marks(text, self.kind == Kind::Formula);
        let first = |fits: &dyn Fn(&str) -> bool| {
            let all = marks();
            all.iter().find(|a| fits(a)).or(all.first()).map(|a| a.clone().into_owned())
        };
        match self.kind {
            Kind::Choice if self.is_lettered() => options::letter(text).map(String::from).or_else(|| first(&|_| true)),
            Kind::Decision => decision::decision(text).map(str::to_owned),
            Kind::Number => first(&|a| a.contains(|c: char| c.is_numeric()) || begins_with_number(a)),
            Kind::Formula | Kind::Choice | Kind::Expression | Kind::Text => first(&|_| true),
        }
    }

    /// The last number, option letter or decision of a text, in canonical form.
    fn last(&self, text: &str) -> Option<String> {
        match self.kind {
            Kind::Number | Kind::Formula => number::last_number(text),
            Kind::Choice if self.is_lettered() => options::last_letter(text, self.problem).map(String::from),
            Kind::Decision => decision::last_word(text).map(str::to_owned),
            Kind::Choice | Kind::Expression | Kind::Text => None,
        }
    }

    /// Reads a text's answer and compares it with the reference. A text that marks no answer is wrong, but one that was `cut` off before its writer
    /// ended it is unknown.
    pub fn judge(&self, text: &str, cut: bool) -> Judged {
        let found = self.found(text);
        let answer = found.as_deref().map(|f| self.canonical(f)).filter(|a| !a.is_empty());
        let comparable = self.reference.is_some_and(|r| self.kind != Kind::Expression || expression::key(r).is_some());
        let right = |found: Option<&str>| found.is_some_and(|found| self.is_reference(found));
        let known = comparable && (answer.is_some() || !cut);
        let correct = known.then(|| answer.is_some() && right(found.as_deref()));
        let flexible = correct.map(|strict| if answer.is_some() { strict } else { right(self.last(text).as_deref()) });
        Judged { answer, correct, flexible }
    }

    /// Whether an answer is the reference answer; `false` where there is none.
    ///
    /// Beside what [`same`](Self::same) says, a percentage may be the number that it stands for, an angle in degrees one in radians, a number with six
    /// digits or more behind the point what it is rounded from, and where the reference is the letter of an option, `c` or `C. 18` is C.
    pub fn is_reference(&self, answer: &str) -> bool {
        let Some(reference) = self.reference else { return false };
        if self.same(answer, reference) {
            return true;
        }
        match self.kind {
            Kind::Formula | Kind::Number => {
                if let (Some(meant), Some(given)) = (options::alone(reference), options::opening(answer)) {
                    return meant == given;
                }
                let read = |text: &str| Formula::of(&if self.kind == Kind::Formula { self.canonical(text) } else { text.to_owned() });
                read(answer).is_reference(&read(reference), self.hints())
            }
            _ => false,
        }
    }

    /// What the problem says about how its answers are compared.
    fn hints(&self) -> Hints {
        let lower = self.problem.to_lowercase();
        let asked = lower.trim_end_matches(['.', '?', ' ', '\n']).rsplit(['?', '\n']).next().unwrap_or_default();
        let asked = asked.rsplit(". ").find(|part| part.len() > 8).unwrap_or(asked);
        let says = |words: &[&str]| words.iter().any(|w| asked.contains(w));
        let (morning, evening) = (says(&["a.m", " am ", "morning"]), says(&["p.m", " pm ", "afternoon", "evening"]));
        Hints { ratio: lower.contains("ratio"), half: (morning != evening).then_some(evening) }
    }

    /// Whether two answers say the same; an empty one says nothing.
    pub fn same(&self, a: &str, b: &str) -> bool {
        self.form(a).zip(self.form(b)).is_some_and(|(a, b)| a.same(&b))
    }

    /// One spelling for an answer, fit to be shown; equal answers may still have several. Empty for an empty one.
    pub fn canonical(&self, answer: &str) -> String {
        match self.kind {
            Kind::Number => number::in_sentence(answer),
            Kind::Choice if self.is_lettered() => self.choice(answer).map_or_else(|| number::canonical(answer), String::from),
            Kind::Formula => formula(answer),
            Kind::Decision => decision::decision(answer).map_or_else(|| number::canonical(answer), str::to_owned),
            Kind::Expression => answer.split_whitespace().collect::<Vec<_>>().join(" "),
            Kind::Choice | Kind::Text => number::canonical(answer),
        }
    }

    /// Whether the answer is a letter, as far as the reference shows.
    fn is_lettered(&self) -> bool {
        self.reference.is_none_or(|r| options::alone(r).is_some())
    }

    /// The letter that an answer is, or the letter of the option that it spells out.
    fn choice(&self, answer: &str) -> Option<char> {
        let spells = |text: &str| {
            let (text, answer) = (number::key(text), number::key(answer));
            text == answer && !text.is_empty()
        };
        let meant = self.reference.and_then(options::alone);
        options::alone(answer)
            .or_else(|| meant.filter(|letter| options::text_of(self.problem, *letter).is_some_and(spells)))
            .or_else(|| self.problem.lines().filter_map(options::option).find(|(_, text)| spells(text)).and_then(|(l, _)| l.chars().next()))
    }

    /// An answer made comparable; `None` for an empty one.
    pub(super) fn form(&self, answer: &str) -> Option<Form> {
        let canonical = self.canonical(answer);
        if canonical.is_empty() {
            return None;
        }
        let formula = Some(Formula::of(&canonical));
        Some(match self.kind {
            Kind::Formula => {
                let key = formula.as_ref().map(Formula::key).unwrap_or_default();
                return (!key.is_empty()).then_some(Form { key, canonical, formula, deep: true });
            }
            Kind::Number => {
                // What is no plain number may still have the same value as another answer.
                let deep = !number::is_number(&canonical);
                Form { key: number::key(&canonical), canonical, formula, deep }
            }
            Kind::Text => {
                let deep = canonical.contains(['\\', '^', ':']);
                Form { key: number::key(&canonical), canonical, formula, deep }
            }
            Kind::Expression => {
                Form { key: expression::key(&canonical).unwrap_or_else(|| canonical.clone()), canonical, formula: None, deep: false }
            }
            Kind::Choice | Kind::Decision => Form { key: number::key(&canonical), canonical, formula: None, deep: false },
        })
    }
}

/// An answer that is a formula without what stands around it: dollar signs, a box, stars; of a sentence the one formula in it.
fn formula(answer: &str) -> String {
    let mut text = tidy(answer);
    loop {
        let before = text.len();
        for (open, close) in [("$$", "$$"), ("$", "$"), ("\\(", "\\)"), ("\\[", "\\]"), ("`", "`"), ("\"", "\"")] {
            let inner = text.strip_prefix(open).and_then(|t| t.strip_suffix(close)).filter(|t| !t.contains(open) && !t.contains(close));
            text = inner.unwrap_or(text).trim();
        }
        text = unboxed(text).unwrap_or(text);
        let ended = text.strip_suffix('.').filter(|t| !t.ends_with('.'));
        text = tidy(ended.unwrap_or(text));
        if text.len() == before {
            break;
        }
    }
    if text.contains(' ') && Formula::of(text).is_words() {
        return in_sentence(text).unwrap_or(text).to_owned();
    }
    text.to_owned()
}

/// The one formula of a sentence: what stands between dollar signs, or behind `is`.
fn in_sentence(text: &str) -> Option<&str> {
    for (open, close) in [("$", "$"), ("\\(", "\\)")] {
        let spans = text.matches(open).count();
        if spans == if open == close { 2 } else { 1 } {
            let (before, rest) = text.split_once(open)?;
            let (inner, after) = rest.split_once(close)?;
            let words = |s: &str| !s.contains(|c: char| c.is_ascii_digit() || matches!(c, '=' | '\\'));
            return (words(before) && words(after) && !inner.trim().is_empty()).then(|| inner.trim());
        }
    }
    let behind = ["is", "equals", "are"].iter().filter_map(|verb| text.rfind(&format!(" {verb} ")).map(|at| at + verb.len() + 2)).max()?;
    let rest = text[behind..].trim();
    (!rest.is_empty() && !Formula::of(rest).is_words()).then_some(rest)
}

/// An answer made comparable.
#[derive(Clone, Debug)]
pub(super) struct Form {
    /// Equal keys are equal answers.
    pub key: String,
    /// In canonical form, to be shown.
    pub canonical: String,
    /// As mathematics, where it may be that.
    formula: Option<Formula>,
    /// Whether it may equal an answer of another key.
    pub deep: bool,
}

impl Form {
    /// Whether two answers say the same.
    pub fn same(&self, other: &Self) -> bool {
        let formulas = || self.formula.as_ref().zip(other.formula.as_ref()).is_some_and(|(a, b)| a.same(b));
        self.key == other.key || ((self.deep || other.deep) && formulas())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OPTIONS: &str = "Which?\nA. Small vessel\nB. Large vessel\nC. Colle's fascia";

    #[test]
    fn halves_in_latex_are_one() {
        for reference in ["\\frac1{\\sqrt2}", "\\frac{\\sqrt2}{2}"] {
            let question = Question::guess("Find it.", Some(reference));
            for (text, right) in
                [("So \\boxed{\\frac{\\sqrt2}{2}}.", true), ("The answer is $\\frac1{\\sqrt{2}}$.", true), ("so \\boxed{\\frac12}", false)]
            {
                assert_eq!(question.judge(text, false).correct, Some(right), "{text}");
            }
        }
        let half = Question::guess("Find it.", Some("0.5"));
        assert_eq!(half.judge("so \\boxed{\\frac{\\sqrt4}{4}}", false).correct, Some(true), "a number may be written as a formula");
        assert_eq!(half.judge("so \\boxed{\\frac{\\pi}{2}}", false).correct, Some(false));
    }

    #[test]
    fn letters_and_texts() {
        let says = |text: &str, gold: &str| Question::new(Kind::Choice, OPTIONS, Some(gold)).judge(text, false).correct == Some(true);
        for right in [
            "The answer is (C).",
            "so the answer is C",
            "**Answer: C. Colle's fascia**",
            "The correct answer is **C**: it is",
            "#### C",
            "\\boxed{\\text{C}}",
            "<answer> C </answer>",
            "The answer is (A). No: the answer is (C) after all.",
            "The answer is Colle's fascia.",
        ] {
            assert!(says(right, "C"), "{right}");
        }
        for wrong in
            ["", "C", "The answer is (B).", "The answer is a small vessel", "The answer is A small vessel", "Answer: Cat", "Answer: C/D"]
        {
            assert!(!says(wrong, "C"), "{wrong}");
        }
        assert!(!says("The answer is A small vessel", "A"), "neither a letter nor the option");
        assert!(says("The answer is Small vessel", "A"));
        let open = Question::new(Kind::Choice, "Is it so?", Some("yes"));
        assert_eq!(open.judge("… The answer is Yes.", false).correct, Some(true));
        let question = Question::new(Kind::Choice, OPTIONS, None);
        assert!(question.same("(A)", "small vessel") && question.same("A", "A.") && !question.same("A", "B"));
    }

    #[test]
    fn numbers_in_sentences_are_graded() {
        let says = |text: &str, gold: &str| Question::new(Kind::Number, "", Some(gold)).judge(text, false).correct;
        let text = "Final answer: 5 * 4 = 20 apples";
        assert_eq!((says(text, "20"), says(text, "5"), says(text, "")), (Some(true), Some(false), None));
        assert_eq!(says("#### $1,200.50", "1200.5"), Some(true));
    }

    #[test]
    fn texts_that_mark_no_answer_are_wrong_and_unfinished_ones_unknown() {
        let question = Question::guess("How many?", Some("18"));
        let judged = |text, cut| {
            let j = question.judge(text, cut);
            (j.answer, j.correct, j.flexible)
        };
        assert_eq!(judged("so 3 * 6 = 18", false), (None, Some(false), Some(true)));
        assert_eq!(judged("so 3 * 6 = 18", true), (None, None, None));
        assert_eq!(judged("so 3 * 6 = 18\n#### 18\nThen", true), (Some("18".into()), Some(true), Some(true)));
        assert_eq!(
            judged("so\n#### 17\nor 18", false),
            (Some("17".into()), Some(false), Some(false)),
            "a mark counts before what is not marked"
        );
        let unlabelled = Question::guess("How many?", None).judge("#### 18", false);
        assert_eq!((unlabelled.answer.as_deref(), unlabelled.correct, unlabelled.flexible), (Some("18"), None, None));
        let flexible = |kind, problem, gold, text| Question::new(kind, problem, Some(gold)).judge(text, false).flexible;
        assert_eq!(flexible(Kind::Choice, OPTIONS, "C", "It is (C)"), Some(true));
        assert_eq!(flexible(Kind::Decision, "", "yes", "Yes, I think"), Some(true));
        assert_eq!(flexible(Kind::Formula, "", "3", "which is 3"), Some(true));
        assert_eq!(flexible(Kind::Text, "", "blue", "it is blue"), Some(false));
    }

    #[test]
    fn expressions_reach_a_target() {
        let says = |answer: &str, gold| Question::new(Kind::Expression, "", Some(gold)).judge(answer, false).correct;
        let goal = "[18, 18, 74, 33] = 42";
        assert_eq!(says("so\n<answer> (74 - 33) + (18 / 18) </answer>", goal), Some(true));
        assert_eq!(says("so\n<answer> 42 </answer>", goal), Some(false));
        assert_eq!(says("no answer", goal), Some(false));
        assert_eq!(says("<answer>1 + 2</answer>", "three"), None, "a reference that is no goal");
    }

    #[test]
    fn a_canonical_form_is_its_own() {
        let kinds = [Kind::Number, Kind::Choice, Kind::Formula, Kind::Decision, Kind::Expression, Kind::Text];
        let pieces = ["\\boxed{", "}", "$", "18", ".0", "=", " ", "C", "(", ")", "yes", "\\frac12", "x", "é", ",", "-", "/", "3"];
        let mut state = 1_u64;
        for round in 0..20_000 {
            let mut text = String::new();
            for _ in 0..5 {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                text.push_str(pieces[(state >> 33) as usize % pieces.len()]);
            }
            let question = Question::new(kinds[round % kinds.len()], OPTIONS, None);
            let canonical = question.canonical(&text);
            assert!(
                question.form(&canonical).is_none() || question.same(&canonical, &text),
                "{:?} {text:?} {canonical:?}",
                question.kind()
            );
            let _ = question.judge(&text, false);
        }
    }
}
