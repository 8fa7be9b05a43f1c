//! What traces can be converted to.

use crate::format::detect::Format;

/// A format that traces are written in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Target {
    /// Our own records, which say everything.
    Native,
    /// ProcessBench: the steps of a solution and the index of the first wrong one.
    ProcessBench,
    /// PRM800K: for each step the completions that were rated.
    Prm800k,
    /// TRL's stepwise supervision: `prompt`, `completions`, `labels`.
    Stepwise,
    /// Math-Shepherd: text with a mark after each step.
    MathShepherd,
    /// Chat records with `messages`.
    Chat,
    /// A table as text.
    Csv,
    /// A table in columns.
    Parquet,
    /// A report to be read as text.
    Markdown,
    /// A report to be read in a browser.
    Html,
}

impl Target {
    /// Every target.
    pub const ALL: [Target; 10] = [
        Target::Native,
        Target::ProcessBench,
        Target::Prm800k,
        Target::Stepwise,
        Target::MathShepherd,
        Target::Chat,
        Target::Csv,
        Target::Parquet,
        Target::Markdown,
        Target::Html,
    ];

    /// Its name on the command line and in messages.
    pub fn name(self) -> &'static str {
        match self {
            Self::Native => "native",
            Self::ProcessBench => "processbench",
            Self::Prm800k => "prm800k",
            Self::Stepwise => "stepwise",
            Self::MathShepherd => "math-shepherd",
            Self::Chat => "chat",
            Self::Csv => "csv",
            Self::Parquet => "parquet",
            Self::Markdown => "markdown",
            Self::Html => "html",
        }
    }

    /// The target of this name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|t| t.name() == name)
    }

    /// The target that a file's ending names, `.gz` behind it or not; `.jsonl` and `.json` are native records.
    pub fn of_path(path: &str) -> Option<Self> {
        Some(match ending(path)?.as_str() {
            "jsonl" | "ndjson" | "json" => Self::Native,
            "csv" => Self::Csv,
            "parquet" => Self::Parquet,
            "md" | "markdown" => Self::Markdown,
            "html" | "htm" => Self::Html,
            _ => return None,
        })
    }

    /// Whether it is a list of JSON objects, so that a file that ends in `.json` holds one array.
    pub fn is_records(self) -> bool {
        self == Self::Native || self.format().is_some()
    }

    /// Whether it is a table, whose columns must be known before the first row.
    pub fn is_table(self) -> bool {
        matches!(self, Self::Csv | Self::Parquet)
    }

    /// The format of its records, where it has some and they are not native.
    pub(super) fn format(self) -> Option<Format> {
        match self {
            Self::ProcessBench => Some(Format::ProcessBench),
            Self::Prm800k => Some(Format::Prm800k),
            Self::Stepwise => Some(Format::Stepwise),
            Self::MathShepherd => Some(Format::MathShepherd),
            Self::Chat => Some(Format::OpenAiChat),
            Self::Native | Self::Csv | Self::Parquet | Self::Markdown | Self::Html => None,
        }
    }
}

/// Whether a file's name ends in `.json`, `.gz` behind it or not.
pub fn is_array(path: &str) -> bool {
    ending(path).is_some_and(|e| e == "json")
}

/// Whether a file's name says that it is packed by gzip.
pub fn is_packed(path: &str) -> bool {
    path.len() > 3 && path.to_ascii_lowercase().ends_with(".gz")
}

/// The ending of a file's name in small letters, without `.gz`.
fn ending(path: &str) -> Option<String> {
    let name = path.rsplit(['/', '\\']).next().unwrap_or(path).to_ascii_lowercase();
    let name = name.strip_suffix(".gz").unwrap_or(&name);
    name.rsplit_once('.').map(|(_, ending)| ending.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_ending_names_the_target() {
        let of = |path: &str| Target::of_path(path).map(Target::name);
        assert_eq!(of("out/a.b.jsonl"), Some("native"));
        assert_eq!(
            (of("a.CSV.gz"), of("a.md"), of("a.htm"), of("a.parquet")),
            (Some("csv"), Some("markdown"), Some("html"), Some("parquet"))
        );
        assert_eq!((of("a"), of("a.txt"), of("x.csv/a"), of("a.gz"), of("-")), (None, None, None, None, None));
        assert!(is_array("a.json") && is_array("a.json.gz") && !is_array("a.jsonl") && is_packed("a.json.GZ") && !is_packed(".gz"));
        assert!(Target::ALL.iter().all(|t| Target::named(t.name()) == Some(*t)));
    }
}
