//! The only place where the state changes.

mod files;
mod filter;
mod fit;
mod models;
mod motion;
mod overlay;
mod signals;

use super::action::{Action, Command, Effect};
use super::labels::{Marked, step_labels};
use super::settings::Field;
use super::source::{Ask, Item};
use super::state::{Editor, Focus, Hit, Mark, Overlay, Search, State, View};
use super::theme::DEFAULT_THEME;
use crate::trace::Granularity;

/// Applies an action and says what is to be done outside the state.
pub fn update(state: &mut State, action: Action) -> Vec<Effect> {
    let mut effects = Vec::new();
    if State::is_key(&action) {
        state.shown = None;
        state.pending.clear();
    }
    match action {
        Action::Run(command, count) => run(state, command, count, &mut effects),
        Action::Insert(c) => overlay::insert(state, c.encode_utf8(&mut [0; 4]), &mut effects),
        Action::Paste(text) => overlay::paste(state, &text, &mut effects),
        Action::Pending(keys) => state.pending = keys,
        Action::Click(x, y) => click(state, x, y, &mut effects),
        Action::Wheel(x, y, by) => wheel(state, x, y, by),
        Action::Resize(..) => {
            if let Some(doc) = state.doc_mut() {
                doc.reveal = true;
            }
        }
        Action::Update(u) => models::take(state, u, &mut effects),
        Action::ModelsGone => models::gone(state),
        Action::Report(report) => files::take(state, report, &mut effects),
        Action::Highlighted(item, candidate, blocks, colours) => {
            if let Some(derived) = state.docs.get_mut(&item).and_then(|d| d.derived.get_mut(candidate)) {
                (derived.code, derived.coloured, derived.colouring) = (colours, blocks, false);
            }
        }
        Action::Fit(area) => {
            fit::fit(state, area);
            return wants(state);
        }
        Action::Tick(now) => state.now = now,
    }
    models::score_ahead(state, &mut effects);
    effects
}

/// What the screen shows and does not have yet.
fn wants(state: &mut State) -> Vec<Effect> {
    let mut wants = uncoloured(state);
    let missing: Vec<usize> = state.list.missing().into_iter().filter(|i| !state.asked.contains(&Item::Recorded(*i))).collect();
    if state.layout.list.is_none() || missing.is_empty() {
        return wants;
    }
    state.asked.extend(missing.iter().map(|i| Item::Recorded(*i)));
    wants.push(Effect::Ask(Ask::Rows(missing)));
    wants
}

/// Code on screen whose colours are not known yet.
fn uncoloured(state: &mut State) -> Vec<Effect> {
    let (view, columns) = (state.view, state.layout.columns.clone());
    let (Some(item), Some(doc)) = (state.open, state.doc_mut()) else { return Vec::new() };
    let shown = if view == View::Trace { vec![doc.cursor.candidate] } else { columns.iter().map(|c| c.candidate).collect() };
    let mut out = Vec::new();
    for i in shown {
        let (Some(candidate), Some(derived)) = (doc.store.trace().candidates.get(i), doc.derived.get_mut(i)) else { continue };
        let sheet = if view == View::Trace { &derived.wide } else { &derived.narrow };
        let blocks = sheet.wrap.code();
        if !derived.colouring && derived.coloured != blocks {
            derived.colouring = true;
            out.push(Effect::Highlight(item, i, candidate.text.clone(), blocks.to_vec()));
        }
    }
    out
}

fn run(state: &mut State, command: Command, count: Option<usize>, effects: &mut Vec<Effect>) {
    match command {
        Command::QuitNow => return effects.push(Effect::Quit),
        Command::Suspend => return effects.push(Effect::Suspend),
        Command::Redraw => return effects.push(Effect::Redraw),
        _ => {}
    }
    if state.overlay.is_some() && overlay::run(state, command, count, effects) {
        return;
    }
    let times = count.unwrap_or(1);
    match command {
        Command::Quit => effects.push(Effect::Quit),
        Command::Back => back(state),
        Command::Help => state.overlay = Some(Overlay::Help { scroll: 0 }),
        Command::Messages => state.overlay = Some(Overlay::Messages { scroll: 0 }),
        Command::Settings => state.overlay = Some(Overlay::Settings { at: 0, typed: None }),
        Command::EditProblem => overlay::edit_problem(state),
        Command::Search => state.overlay = Some(Overlay::Search(Editor::default())),
        Command::Filter => filter::open(state),
        Command::NextMatch => motion::find(state, true, times, effects),
        Command::PreviousMatch => motion::find(state, false, times, effects),
        Command::NextPane => {
            state.focus = if state.focus == Focus::List && state.open.is_some() { Focus::Main } else { Focus::List };
        }
        Command::NextTrace => files::open_beside(state, times as i64, effects),
        Command::PreviousTrace => files::open_beside(state, -(times as i64), effects),
        Command::ToggleCompare => toggle_compare(state),
        Command::ToggleChart => {
            let shown = state.layout.chart.height > 0;
            state.chart = Some(!shown);
        }
        Command::ToggleProblem => state.problem_whole = !state.problem_whole,
        Command::ToggleOrder => {
            state.by_rank = !state.by_rank;
            state.hint(if state.by_rank { "candidates by rank" } else { "candidates by number" });
        }
        Command::CycleHeat => signals::next_heat(state),
        Command::MarkRight | Command::MarkWrong if state.focus == Focus::Main => mark_step(state, command == Command::MarkRight, effects),
        Command::CycleGranularity => turn(state, Field::Granularity),
        Command::CycleAggregation => turn(state, Field::Aggregation),
        Command::CycleRule => turn(state, Field::Rule),
        Command::CycleSignal => turn(state, Field::RankBy),
        Command::CycleStatistic => turn(state, Field::Statistic),
        Command::CycleBeside => turn(state, Field::Beside),
        Command::ToggleTrust => {
            state.settings.trust = !state.settings.trust;
            settings_changed(state);
            state.hint(if state.settings.trust {
                "rewards are believed outside of their task, too"
            } else {
                "verdicts outside of a reward's task are withheld"
            });
        }
        Command::CycleTheme => {
            let at = state.themes.iter().position(|t| *t == state.theme).map_or(0, |i| (i + 1) % state.themes.len().max(1));
            let name = state.themes.get(at).cloned().unwrap_or_else(|| DEFAULT_THEME.to_string());
            state.hint(format!("theme: {name}"));
            state.theme.clone_from(&name);
            effects.push(Effect::Theme(name));
        }
        Command::Regenerate => models::regenerate(state, true, effects),
        Command::Repeat => models::regenerate(state, false, effects),
        Command::Cancel => models::cancel(state, effects),
        Command::Enter if state.focus == Focus::List => {
            if let Some(item) = state.list.item(state.list.at) {
                state.focus = Focus::Main;
                files::open(state, item, effects);
            }
        }
        Command::Enter => {
            if state.view == View::Compare {
                toggle_compare(state);
            }
        }
        _ if state.focus == Focus::List => motion::in_list(state, command, count),
        _ => motion::in_trace(state, command, count),
    }
}

/// Takes the next value of a setting and says which one it is.
fn turn(state: &mut State, field: Field) {
    change(state, field, 1);
    let value = match (field, state.settings.granularity) {
        (Field::Granularity, Granularity::Interval(k)) => format!("interval, every {k} tokens"),
        _ => state.shown_setting(field),
    };
    let why = state.doc().and_then(|d| d.unmarked(&state.settings)).filter(|_| matches!(field, Field::Granularity | Field::Rule));
    let why = match (why, field) {
        (Some(why), Field::Rule) => format!(": sparse is {why}"),
        (Some(why), _) => format!(": {why}"),
        (None, _) => String::new(),
    };
    state.hint(format!("{}: {value}{why}", field.label().0));
}

/// Takes the value of a setting that is so many on, and brings what is shown up to date.
fn change(state: &mut State, field: Field, by: i64) {
    if field.is_signal() {
        signals::choose(state, field, by)
    } else {
        state.settings.nudge(field, by)
    }
    settings_changed(state);
}

fn mark_step(state: &mut State, right: bool, effects: &mut Vec<Effect>) {
    let Some(mut labels) = state.labels.take() else { return state.hint("labels are not kept here") };
    let name = labels.path().display().to_string();
    let Some(doc) = state.doc_mut() else { return state.labels = Some(labels) };
    // A text that was sampled again has its labels in the file.
    doc.label(&labels);
    let step = doc.cursor.step + 1;
    let before = step_labels(doc.trace());
    let said = match doc.mark(right) {
        Some(marked) => {
            labels.take(doc.trace());
            let kept = Marked { trace: doc.trace().clone(), before };
            effects.push(Effect::Keep(labels.path().to_owned(), Box::new(kept)));
            let word = if right { "right" } else { "wrong" };
            if marked { format!("step {step} labelled {word}, in {name}") } else { format!("step {step}: label taken off, in {name}") }
        }
        None => "there is no step to label here, or it is still being written".into(),
    };
    state.labels = Some(labels);
    state.hint(said);
}

fn back(state: &mut State) {
    let many = state.doc().is_some_and(|d| d.candidates().len() > 1);
    if let Some(doc) = state.doc_mut().filter(|d| d.cursor.token.is_some()) {
        doc.cursor.token = None;
    } else if !state.search.text.is_empty() {
        state.search = Search::default();
    } else if state.focus == Focus::Main && state.view == View::Trace && many {
        state.view = View::Compare;
    } else if state.focus == Focus::Main {
        state.focus = Focus::List;
    } else if state.filter.is_some() {
        state.hint("f and an empty filter list all again");
    }
}

fn toggle_compare(state: &mut State) {
    state.view = match state.view {
        View::Trace => View::Compare,
        View::Compare => View::Trace,
    };
    if let Some(doc) = state.doc_mut() {
        doc.reveal = true;
    }
}

/// The derived values of the open problem follow at the next frame, those of the others in memory here; what was dropped from memory is scored again.
pub(super) fn settings_changed(state: &mut State) {
    state.list.marks.clear();
    let (settings, calibration) = (state.settings.clone(), state.models.calibration.clone());
    let items: Vec<Item> = state.docs.keys().copied().filter(|i| !state.in_work(*i)).collect();
    for item in items {
        let open = state.open == Some(item);
        if let Some(doc) = state.docs.get_mut(&item) {
            doc.refresh(&settings, &calibration, open);
        }
        mark(state, item);
    }
}

fn hit(state: &State, x: u16, y: u16) -> Option<Hit> {
    state.layout.hits.iter().rev().find(|h| h.0.contains((x, y).into())).map(|h| h.1)
}

fn click(state: &mut State, x: u16, y: u16, effects: &mut Vec<Effect>) {
    match hit(state, x, y) {
        Some(Hit::Listed(at)) => {
            let again = state.list.at == at && state.focus == Focus::List;
            state.focus = Focus::List;
            state.list.go(at);
            if again {
                run(state, Command::Enter, None, effects);
            }
        }
        Some(Hit::List) => state.focus = Focus::List,
        Some(Hit::Step(candidate, step)) => {
            state.focus = Focus::Main;
            if let Some(doc) = state.doc_mut() {
                (doc.cursor.candidate, doc.cursor.step, doc.cursor.token) = (candidate, step, None);
                (doc.follow, doc.reveal, doc.skip) = (false, true, 0);
            }
        }
        Some(Hit::Candidate(candidate)) => {
            state.focus = Focus::Main;
            let mut again = false;
            if let Some(doc) = state.doc_mut() {
                again = doc.cursor.candidate == candidate;
                (doc.cursor.candidate, doc.cursor.token, doc.reveal) = (candidate, None, true);
            }
            if again && state.view == View::Compare {
                toggle_compare(state);
            }
        }
        Some(Hit::Setting(row)) => overlay::choose_setting(state, row),
        Some(Hit::Overlay) => {}
        None => {
            if state.overlay.is_some() {
                state.overlay = None;
            }
        }
    }
}

fn wheel(state: &mut State, x: u16, y: u16, by: i32) {
    let (command, times) = if by < 0 { (Command::Up, -by) } else { (Command::Down, by) };
    match hit(state, x, y) {
        Some(Hit::Overlay | Hit::Setting(_)) => {
            overlay::run(state, command, Some(times as usize), &mut Vec::new());
        }
        Some(Hit::Listed(_) | Hit::List) => motion::in_list(state, command, Some(times as usize)),
        _ => motion::scroll(state, by),
    }
}

/// Remembers what the list shows of a document.
pub(super) fn mark(state: &mut State, item: Item) {
    let Some(doc) = state.docs.get(&item) else { return };
    let labelled = doc.candidates().iter().position(|c| c.gold.is_some()).unwrap_or(0);
    let Some(derived) = doc.derived.get(labelled) else { return };
    let judged = doc.readings.detect.is_some();
    if derived.score.is_some() || judged || !doc.outside.is_empty() {
        let mark = Mark { step: derived.deviation.as_ref().map(|d| d.step), judged, outside: !doc.outside.is_empty() };
        state.list.marks.insert(item, mark);
    }
}
