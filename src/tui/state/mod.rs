//! Everything the screen shows, and nothing else.

mod derived;
mod doc;
mod editor;
mod list;
mod scale;
mod sheet;
mod signals;

pub(crate) use crate::trace::Scale;
pub(crate) use derived::Derived;
pub(crate) use doc::{Doc, Origin, gold_step};
pub(crate) use editor::Editor;
pub(crate) use list::{List, Mark};
pub(crate) use sheet::{Line, Sheet};

use super::keymap::Context;
use super::source::{Filter, Item};
use super::{Action, Field, Grade, Labels, Settings, detector_name};
use crate::answer::Kind;
use crate::collection::query::{Completion, QueryError};
use crate::runtime::{ModelsStatus, RequestId, Slot};
use crate::trace::{FitText, Fitted, Reading, Segmentation};
use ratatui::layout::Rect;
use std::collections::{BTreeMap, HashMap};

/// One candidate, or all of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum View {
    Trace,
    Compare,
}

/// The pane that has the keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Focus {
    List,
    Main,
}

/// What lies over the panes.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Overlay {
    Help { scroll: usize },
    Messages { scroll: usize },
    Settings { at: usize, typed: Option<String> },
    Search(Editor),
    Filter(Box<FilterLine>),
    Problem,
}

/// A query while it is written; the list follows it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct FilterLine {
    pub editor: Editor,
    /// The filter that holds again where this one is given up.
    pub before: Option<Filter>,
    /// What is wrong with what is written; the list stays as it was before.
    pub wrong: Option<QueryError>,
    /// A signal that it names and the open problem does not have.
    pub unknown: Option<String>,
    /// What the word at the cursor may become, and what that means.
    pub completions: Vec<Completion>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Level {
    Note,
    Error,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Message {
    pub level: Level,
    pub text: String,
    /// How often it came in a row.
    pub times: usize,
}

/// Candidates that are being generated.
#[derive(Clone, Debug)]
pub(crate) struct Run {
    pub id: RequestId,
    pub item: Item,
    pub started: u64,
    pub tokens: usize,
    pub rate: Option<f32>,
    pub done: bool,
}

/// A click's target.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Hit {
    /// Position in the list.
    Listed(usize),
    /// The list's ground, for the wheel.
    List,
    /// Candidate, and the step under the row.
    Step(usize, usize),
    /// Candidate.
    Candidate(usize),
    /// Row of the settings.
    Setting(usize),
    /// The overlay's ground.
    Overlay,
}

/// What was drawn where.
#[derive(Clone, Debug, Default)]
pub(crate) struct Layout {
    pub list: Option<Rect>,
    pub main: Option<Rect>,
    pub problem: Rect,
    /// The problem's last row is a rule.
    pub problem_rule: bool,
    pub board: Rect,
    /// Candidates that the board has room for.
    pub board_rows: u16,
    pub body: Rect,
    pub columns: Vec<Column>,
    pub chart: Rect,
    pub detail: Rect,
    pub status: Rect,
    pub hits: Vec<(Rect, Hit)>,
}

/// One candidate's place in the compare view.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Column {
    pub candidate: usize,
    pub area: Rect,
    /// First row of its text that is shown.
    pub top: usize,
}

/// What was searched for.
#[derive(Clone, Debug, Default)]
pub(crate) struct Search {
    pub text: String,
    pub waiting: bool,
}

/// All that the views read.
pub struct State {
    pub(crate) settings: Settings,
    pub(crate) view: View,
    pub(crate) focus: Focus,
    pub(crate) overlay: Option<Overlay>,
    pub(crate) list: List,
    pub(crate) open: Option<Item>,
    pub(crate) docs: HashMap<Item, Doc>,
    /// Items by last use, latest last.
    pub(crate) used: Vec<Item>,
    /// The signal that tokens are coloured by.
    pub(crate) heat: Option<String>,
    pub(crate) chart: Option<bool>,
    pub(crate) problem_whole: bool,
    pub(crate) by_rank: bool,
    pub(crate) search: Search,
    pub(crate) models: ModelsStatus,
    pub(crate) has_models: bool,
    pub(crate) run: Option<Run>,
    pub(crate) scoring: HashMap<RequestId, Item>,
    /// What the policy reads.
    pub(crate) reading: HashMap<RequestId, Item>,
    /// What the threshold of a policy's surprisal is fitted on.
    pub(crate) texts: BTreeMap<Item, Vec<FitText>>,
    /// Number of texts that the threshold was last fitted on.
    pub(crate) fitted_on: usize,
    /// The next trace to be scored behind what is on screen.
    pub(crate) ahead: Option<Item>,
    pub(crate) messages: Vec<Message>,
    /// The message in the status bar, until the next key.
    pub(crate) shown: Option<Message>,
    pub(crate) draft: Editor,
    pub(crate) pending: String,
    pub(crate) layout: Layout,
    pub(crate) now: u64,
    pub(crate) next_id: RequestId,
    pub(crate) theme: String,
    pub(crate) themes: Vec<String>,
    pub(crate) grade: Option<Grade>,
    pub(crate) open_first: bool,
    pub(crate) segmentation: Segmentation,
    /// Items that wait to be generated for once the policy is ready.
    pub(crate) waiting: Option<Item>,
    /// What the list is narrowed to.
    pub(crate) filter: Option<Filter>,
    /// Number of the last filter.
    pub(crate) filters: u64,
    pub(crate) asked: Vec<Item>,
    pub(crate) labels: Option<Labels>,
    /// It was said how to name a reward model.
    pub(crate) told_of_rewards: bool,
}

impl State {
    /// What kind of answer the problems ask for, where the user said so.
    pub(crate) fn kind(&self) -> Option<Kind> {
        self.grade.as_ref().and_then(|g| g.kind)
    }

    pub(crate) fn new(settings: Settings, has_models: bool, grade: Option<Grade>, themes: Vec<String>) -> Self {
        Self {
            settings,
            view: View::Compare,
            focus: Focus::List,
            overlay: None,
            list: List::default(),
            open: None,
            docs: HashMap::new(),
            used: Vec::new(),
            heat: None,
            chart: None,
            problem_whole: false,
            by_rank: false,
            search: Search::default(),
            models: ModelsStatus::default(),
            has_models,
            run: None,
            scoring: HashMap::new(),
            reading: HashMap::new(),
            texts: BTreeMap::new(),
            fitted_on: 0,
            ahead: None,
            messages: Vec::new(),
            shown: None,
            draft: Editor::default(),
            pending: String::new(),
            layout: Layout::default(),
            now: 0,
            next_id: 1,
            theme: String::new(),
            themes,
            grade,
            open_first: false,
            segmentation: Segmentation::default(),
            waiting: None,
            filter: None,
            filters: 0,
            asked: Vec::new(),
            labels: None,
            told_of_rewards: false,
        }
    }

    /// Where keys go.
    pub(crate) fn context(&self) -> Context {
        match &self.overlay {
            Some(Overlay::Help { .. } | Overlay::Messages { .. }) => Context::Page,
            Some(Overlay::Settings { typed: None, .. }) => Context::Settings,
            Some(Overlay::Settings { .. } | Overlay::Search(_) | Overlay::Filter(_)) => Context::Line,
            Some(Overlay::Problem) => Context::Editor,
            None if self.focus == Focus::List => Context::List,
            None => Context::Trace,
        }
    }

    /// The open document.
    pub(crate) fn doc(&self) -> Option<&Doc> {
        self.docs.get(&self.open?)
    }

    pub(crate) fn doc_mut(&mut self) -> Option<&mut Doc> {
        self.docs.get_mut(&self.open?)
    }

    /// Whether something moves on the screen by itself.
    pub(crate) fn moves(&self) -> bool {
        let loading = |s: &Slot| matches!(s, Slot::Loading { .. });
        self.running() || self.models.slots().any(|(_, s)| loading(s)) || !self.list.complete || self.search.waiting
    }

    /// Whether candidates are being generated.
    pub(crate) fn running(&self) -> bool {
        self.run.as_ref().is_some_and(|r| !r.done)
    }

    pub(crate) fn policy_ready(&self) -> bool {
        matches!(self.models.policy, Slot::Ready { .. })
    }

    /// Whether the policy can read recorded text.
    pub(crate) fn policy_reads(&self) -> bool {
        self.policy_ready() && self.models.policy_reads
    }

    /// Whether a model is at work on what an item holds already.
    pub(crate) fn in_work(&self, item: Item) -> bool {
        self.scoring.values().chain(self.reading.values()).any(|i| *i == item)
    }

    /// Keeps what an item says for the fit of a threshold.
    pub(crate) fn keep_texts(&mut self, item: Item, texts: Vec<FitText>) {
        const KEPT: usize = 4096;
        if !texts.is_empty() && (self.texts.len() < KEPT || self.texts.contains_key(&item)) {
            self.texts.insert(item, texts);
        }
    }

    /// Fits the threshold anew where the texts at hand have grown by half since it was fitted last, or, while they are few, where nothing more is on its way:
    /// marks that have been seen seldom move. Whether it is another one now.
    pub(crate) fn refit(&mut self) -> bool {
        const FEW: usize = 64;
        let known: usize = self.texts.values().map(Vec::len).sum();
        let last = self.fitted_on;
        let idle = self.scoring.is_empty() && self.reading.is_empty() && self.ahead.is_none();
        if 2 * known < 3 * last && !(idle && known > last && last < FEW) {
            return false;
        }
        let fitted = Fitted::on(self.texts.values().flatten());
        self.fitted_on = if fitted.is_some() { known } else { 0 };
        let changed = fitted != self.settings.fitted;
        self.settings.fitted = fitted;
        changed
    }

    /// Whether a reward model is ready; what is asked of others waits until they are.
    pub(crate) fn reward_ready(&self) -> bool {
        self.models.rewards.iter().any(|r| matches!(r.slot, Slot::Ready { .. }))
    }

    /// Says something at the bottom and keeps it among the messages.
    pub(crate) fn note(&mut self, text: impl Into<String>) {
        self.say(Level::Note, text.into());
    }

    pub(crate) fn error(&mut self, text: impl Into<String>) {
        self.say(Level::Error, text.into());
    }

    fn say(&mut self, level: Level, text: String) {
        const KEPT: usize = 500;
        match self.messages.last_mut() {
            Some(last) if last.text == text => last.times += 1,
            _ => self.messages.push(Message { level, text: text.clone(), times: 1 }),
        }
        if self.messages.len() > KEPT {
            self.messages.remove(0);
        }
        self.shown = Some(Message { level, text, times: 1 });
    }

    /// Says something at the bottom only.
    pub(crate) fn hint(&mut self, text: impl Into<String>) {
        self.shown = Some(Message { level: Level::Note, text: text.into(), times: 1 });
    }

    /// What a setting is for the opened problem: as it was chosen, or what the default comes to.
    pub(crate) fn shown_setting(&self, field: Field) -> String {
        let set = self.settings.shown(field);
        let Some(doc) = self.doc().filter(|_| set.is_empty() && field.is_signal()) else { return set };
        let name = match field {
            Field::RankBy => doc.ranked_by().map(Reading::to_string),
            Field::ColourBy => doc.coloured_by().map(Reading::to_string),
            Field::Rule => doc.readings.detect.as_ref().map(|d| detector_name(&d.1)),
            Field::Beside => doc.readings.beside.as_ref().map(|d| detector_name(&d.1)),
            _ => None,
        };
        name.unwrap_or_else(|| "nothing".into())
    }

    /// A fresh identity for a request.
    pub(crate) fn id(&mut self) -> RequestId {
        self.next_id += 1;
        self.next_id - 1
    }

    pub(crate) fn is_key(action: &Action) -> bool {
        matches!(action, Action::Run(..) | Action::Insert(_) | Action::Paste(_) | Action::Click(..))
    }
}
