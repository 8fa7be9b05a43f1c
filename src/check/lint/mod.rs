//! Lints over traces: what is likely wrong with a recording, a candidate, or a group of candidates.

mod candidate;
mod group;
mod repeat;

pub use candidate::lint_candidate;
pub use group::lint_group;

use crate::trace::Trace;

/// How much a finding matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// Worth knowing.
    Note,
    /// Likely a fault of the policy or its settings.
    Warning,
    /// The figures shown cannot be trusted.
    Error,
}

/// What a lint looks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Code {
    /// The token budget ended the candidate.
    Truncated,
    /// Generation failed or was cancelled.
    Unfinished,
    /// Lines repeat, or the text ends in a loop.
    Repetition,
    /// No text at all.
    EmptyText,
    /// No final answer where others of the group have one.
    MissingAnswer,
    /// Much longer or shorter than the rest of the group.
    LengthOutlier,
    /// Candidates of a group all have the same reward, so that it tells nothing.
    FlatGroup,
    /// Candidates of a group have the very same text.
    Duplicates,
    /// Two begin-of-sequence marks.
    DoubleBos,
    /// A special token's text in the candidate.
    SpecialToken,
    /// Control characters or terminal escapes in the text.
    ControlCharacters,
    /// Characters that stand for undecodable bytes.
    Undecodable,
    /// A reward that is not finite.
    BadReward,
    /// Spans that overlap, run backwards, or do not fit the text.
    BadSpans,
    /// `<think>` or `<answer>` opened and not closed.
    OpenTag,
}

impl Code {
    /// Its name in messages and filters, for example `flat-group`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Truncated => "truncated",
            Self::Unfinished => "unfinished",
            Self::Repetition => "repetition",
            Self::EmptyText => "empty-text",
            Self::MissingAnswer => "missing-answer",
            Self::LengthOutlier => "length-outlier",
            Self::FlatGroup => "flat-group",
            Self::Duplicates => "duplicates",
            Self::DoubleBos => "double-bos",
            Self::SpecialToken => "special-token",
            Self::ControlCharacters => "control-characters",
            Self::Undecodable => "undecodable",
            Self::BadReward => "bad-reward",
            Self::BadSpans => "bad-spans",
            Self::OpenTag => "open-tag",
        }
    }
}

/// One finding.
#[derive(Clone, Debug, PartialEq)]
pub struct Lint {
    /// How much it matters.
    pub severity: Severity,
    /// What was looked for.
    pub code: Code,
    /// What was found, and what it means, for people.
    pub message: String,
    /// The candidate it is about; `None` for the group.
    pub candidate: Option<usize>,
}

/// All findings about a trace, most severe first, then in the order of candidates. Linear in the text; candidates still growing are not judged by their end.
pub fn lint(trace: &Trace) -> Vec<Lint> {
    let mut out = Vec::new();
    for (i, candidate) in trace.candidates.iter().enumerate() {
        out.extend(lint_candidate(candidate).into_iter().map(|l| Lint { candidate: Some(i), ..l }));
    }
    out.extend(lint_group(&trace.candidates));
    out.sort_by_key(|l| (std::cmp::Reverse(l.severity), l.candidate.map_or(0, |c| c + 1)));
    out
}
