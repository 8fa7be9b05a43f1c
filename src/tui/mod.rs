//! The terminal: the inspector of traces, and the screen that watches a training run.
//!
//! [`run`] takes the screen. Inside, everything that happens is an [`Action`]; `update` turns state and action into a new state
//! and [`Effect`]s and touches nothing else; views read the state and draw. [`Inspector`] holds these together without a terminal, for tests and benchmarks.

mod action;
mod inspector;
mod keymap;
mod labels;
mod recorded;
mod settings;
mod source;
mod state;
mod terminal;
mod text;
mod theme;
mod update;
mod view;
mod watch;

pub use action::{Action, Command, Effect};
pub use inspector::{Inspector, run};
pub use keymap::{BINDINGS, Binding, Context, Key, Keymap, parse_keys};
pub use labels::{Labels, Marked};
pub use recorded::Recorded;
pub use settings::{Beside, Field, Settings, detector_name};
pub use source::{Ask, Filter, Item, Report, Row, TraceSource, Words};
pub use text::{WrapCache, WrappedRow, highlight};
pub use theme::{
    ASCII, ColorDepth, DEFAULT_THEME, Glyphs, ROLE_NAMES, ROLES, Role, Theme, ThemeError, ThemeInfo, UNICODE, themes, user_theme_dir,
};
pub use watch::{History, SeenAlarm, Series, StageHistory, WatchOptions, WatchScreen, watch};

use crate::answer::{Judged, Kind};
use crate::runtime::{Request, Update};
use crate::trace::{Segmentation, Trace};
use std::path::PathBuf;
use std::sync::Arc;
use tokio::sync::mpsc::{Receiver, Sender};

/// What the inspector opens on and how it looks.
pub struct Options {
    /// Traces to show. One without candidates is a problem: candidates are generated when it is opened, if a policy is there.
    pub traces: Box<dyn TraceSource>,
    /// The models' threads; `None`: recorded rewards only.
    pub models: Option<Channels>,
    /// Start with the first problem open rather than in the list.
    pub open_first: bool,
    /// How generated text is cut into steps.
    pub segmentation: Segmentation,
    /// Finds the final answer of a finished candidate; `None`: only answers that came with the trace are shown.
    pub grade: Option<Grade>,
    /// How rewards are read and candidates are sampled.
    pub settings: Settings,
    /// Name of a theme, or a file that ends in `.toml`.
    pub theme: String,
    /// Directories with the user's themes; see [`user_theme_dir`].
    pub theme_dirs: Vec<PathBuf>,
    /// Colours of the terminal; see [`ColorDepth::from_env`].
    pub depth: ColorDepth,
    /// Draw with ASCII only; see [`Glyphs::locale_is_utf8`].
    pub ascii: bool,
    /// Steps that are marked right or wrong, and where they are kept; `None`: nothing can be marked.
    pub labels: Option<Labels>,
    /// Told in the messages from the start, for example what a file's reader skipped.
    pub notes: Vec<String>,
}

/// The way to the models' threads and back.
#[derive(Debug)]
pub struct Channels {
    /// Requests; a full channel is told to the user and never waited for.
    pub requests: Sender<Request>,
    /// Updates; the sender may block.
    pub updates: Receiver<Update>,
}

/// How final answers are read and compared.
#[derive(Clone)]
pub struct Grade {
    /// What kind of answer the problems ask for; `None`: what each problem and its reference answer show.
    pub kind: Option<Kind>,
    /// Finds the final answer of the candidate of this index and says whether it is right.
    pub judge: Judge,
}

/// What [`Grade::judge`] is.
pub type Judge = Arc<dyn Fn(&Trace, usize) -> Judged + Send + Sync>;

/// How the inspector ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExitReason {
    /// The user left.
    Quit,
    /// A signal asked for it; its number.
    Signal(i32),
}

/// Why the inspector could not start or go on.
#[derive(Debug, thiserror::Error)]
pub enum TuiError {
    /// There is no terminal to draw on or to read keys from.
    #[error("the inspector needs a terminal: {0}")]
    NoTerminal(String),
    /// A theme is wrong.
    #[error(transparent)]
    Theme(#[from] ThemeError),
    /// The terminal failed.
    #[error("the terminal failed: {0}")]
    Io(#[from] std::io::Error),
    /// The last labels could not be written; what the file had before is there.
    #[error("{0}")]
    Labels(String),
}
