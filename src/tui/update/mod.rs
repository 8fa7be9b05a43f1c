//! The only place where the state changes.

mod models;
mod motion;
mod overlay;

use super::action::{Action, Command, Effect};
use super::settings::Field;
use super::source::{Ask, Report};
use super::state::{Doc, Editor, Focus, Heat, Hit, Item, Mark, Origin, Overlay, Search, State, View};
use super::theme::DEFAULT_THEME;
use crate::trace::{Granularity, Trace};

/// Problems kept open; the least recently used one is forgotten first.
const DOCS_KEPT: usize = 200;

/// Applies an action and says what is to be done outside the state.
pub fn update(state: &mut State, action: Action) -> Vec<Effect> {
    let mut effects = Vec::new();
    if State::is_key(&action) {
        state.shown = None;
        state.pending.clear();
    }
    match action {
        Action::Run(command, count) => run(state, command, count, &mut effects),
        Action::Insert(c) => overlay::insert(state, c.encode_utf8(&mut [0; 4])),
        Action::Paste(text) => overlay::paste(state, &text),
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
        Action::Report(report) => take_report(state, report, &mut effects),
        Action::Highlighted(item, candidate, blocks, colours) => {
            if let Some(seen) = state.docs.get_mut(&item).and_then(|d| d.seen.get_mut(candidate)) {
                (seen.code, seen.coloured, seen.colouring) = (colours, blocks, false);
            }
        }
        Action::Tick(now) => state.now = now,
    }
    models::score_ahead(state, &mut effects);
    effects
}

/// What the screen shows and does not have yet.
pub(crate) fn wants(state: &mut State) -> Vec<Effect> {
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
        let (Some(candidate), Some(seen)) = (doc.store.trace().candidates.get(i), doc.seen.get_mut(i)) else { continue };
        let sheet = if view == View::Trace { &seen.wide } else { &seen.narrow };
        let blocks = sheet.wrap.code();
        if !seen.colouring && seen.coloured != blocks {
            seen.colouring = true;
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
        Command::Filter => overlay::open_filter(state),
        Command::NextMatch => motion::find(state, true, times, effects),
        Command::PreviousMatch => motion::find(state, false, times, effects),
        Command::NextPane => {
            state.focus = if state.focus == Focus::List && state.open.is_some() { Focus::Main } else { Focus::List };
        }
        Command::NextTrace => open_beside(state, times as i64, effects),
        Command::PreviousTrace => open_beside(state, -(times as i64), effects),
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
        Command::CycleHeat => cycle_heat(state),
        Command::MarkRight | Command::MarkWrong if state.focus == Focus::Main => mark_step(state, command == Command::MarkRight, effects),
        Command::CycleGranularity => {
            state.settings.nudge(Field::Granularity, 1);
            let k = if let Granularity::Interval(k) = state.settings.granularity { format!(", every {k} tokens") } else { String::new() };
            let why = state.settings.unmarked().map(|w| format!(": {w}")).unwrap_or_default();
            state.hint(format!("granularity: {}{k}{why}", state.settings.granularity.name()));
            settings_changed(state);
        }
        Command::CycleAggregation => {
            state.settings.nudge(Field::Aggregation, 1);
            state.hint(format!("aggregation: {}", state.settings.aggregation.name()));
            settings_changed(state);
        }
        Command::CycleRule => {
            state.settings.nudge(Field::Rule, 1);
            let why = state.settings.unmarked().map(|w| format!(": sparse is {w}")).unwrap_or_default();
            state.hint(format!("deviation rule: {}{why}", state.settings.shown(Field::Rule)));
            settings_changed(state);
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
                open(state, item, effects);
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

fn mark_step(state: &mut State, right: bool, effects: &mut Vec<Effect>) {
    let Some(mut labels) = state.labels.take() else { return state.hint("labels are not kept here") };
    let name = labels.path().display().to_string();
    let Some(doc) = state.doc_mut() else { return state.labels = Some(labels) };
    // A text that was sampled again has its labels in the file.
    doc.label(&labels);
    let step = doc.cursor.step + 1;
    let said = match doc.mark(right) {
        Some(marked) => {
            labels.take(doc.trace());
            effects.push(Effect::Keep(labels.path().to_owned(), Box::new(doc.trace().clone())));
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

fn cycle_heat(state: &mut State) {
    let (heat, name) = match state.heat {
        Heat::Off => (Heat::Reward, "reward"),
        Heat::Reward => (Heat::LogProb, "log-probability under the policy"),
        Heat::LogProb => (Heat::Entropy, "entropy of the policy"),
        Heat::Entropy => (Heat::Off, "off"),
    };
    state.heat = heat;
    state.hint(format!("token colours: {name}"));
}

/// The derived values of the open problem follow at the next frame, those of the others in memory here; what was dropped from memory is scored again.
pub(super) fn settings_changed(state: &mut State) {
    state.list.marks.clear();
    let (settings, calibration) = (state.settings.clone(), state.models.calibration.clone());
    let items: Vec<Item> = state.docs.keys().copied().filter(|i| !state.scoring.values().any(|s| s == i)).collect();
    for item in items {
        if let Some(doc) = state.docs.get_mut(&item) {
            doc.refresh(&settings, &calibration);
        }
        mark(state, item);
    }
}

fn open_beside(state: &mut State, by: i64, effects: &mut Vec<Effect>) {
    let at = state.open.and_then(|i| state.list.position(i)).unwrap_or(state.list.at);
    let to = (at as i64).saturating_add(by).clamp(0, state.list.count().saturating_sub(1) as i64) as usize;
    if let Some(item) = state.list.item(to) {
        state.list.go(to);
        open(state, item, effects);
    }
}

/// Opens an entry: from memory, from the file, or by generating.
pub(super) fn open(state: &mut State, item: Item, effects: &mut Vec<Effect>) {
    state.used.retain(|i| *i != item);
    state.used.push(item);
    state.open = Some(item);
    state.list.go(state.list.position(item).unwrap_or(state.list.at));
    match item {
        _ if state.docs.contains_key(&item) => opened(state, item, effects),
        Item::Recorded(i) => effects.push(Effect::Ask(Ask::Trace(i))),
        Item::Own(i) => {
            let problem = state.list.own.get(i).cloned().unwrap_or_default();
            let trace = Trace { id: format!("own-{}", i + 1), problem, ..Trace::default() };
            state.docs.insert(item, Doc::new(Origin::Live, trace, &state.segmentation, state.kind()));
            opened(state, item, effects);
        }
    }
}

/// The open entry is in memory now.
fn opened(state: &mut State, item: Item, effects: &mut Vec<Effect>) {
    if state.open != Some(item) {
        return;
    }
    if let Some(doc) = state.docs.get_mut(&item) {
        doc.reveal = true;
        let empty = doc.candidates().is_empty();
        match doc.candidates().len() {
            0 => state.view = View::Compare,
            1 => state.view = View::Trace,
            _ if state.layout.main.is_none() => state.view = View::Compare,
            _ => {}
        }
        if empty {
            models::generate(state, item, effects);
        } else {
            models::score(state, item, true, effects);
        }
    }
    while state.docs.len() > DOCS_KEPT {
        let Some(at) = state.used.iter().position(|i| Some(*i) != state.open) else { break };
        let old = state.used.remove(at);
        state.docs.remove(&old);
    }
}

fn take_report(state: &mut State, report: Report, effects: &mut Vec<Effect>) {
    match report {
        Report::Known { len, complete } => {
            let first = state.list.len == 0 && len > 0;
            state.list.len = len;
            state.list.complete = complete;
            if first && state.open.is_none() {
                if state.open_first {
                    state.focus = Focus::Main;
                }
                if let Some(item) = state.list.item(0) {
                    open(state, item, effects);
                }
            }
        }
        Report::Rows(rows) => {
            state.asked.retain(|a| !rows.iter().any(|r| Item::Recorded(r.0) == *a));
            state.list.add_rows(rows);
        }
        Report::Trace(i, Ok(trace)) => {
            let item = Item::Recorded(i);
            let origin = if trace.candidates.is_empty() { Origin::Live } else { Origin::Recorded };
            if !state.used.contains(&item) {
                state.used.insert(0, item);
            }
            let mut doc = Doc::new(origin, Trace::clone(&trace), &state.segmentation, state.kind());
            state.labels.iter().for_each(|l| doc.label(l));
            state.docs.insert(item, doc);
            opened(state, item, effects);
            models::loaded(state, item, effects);
        }
        Report::Trace(i, Err(error)) => {
            if state.ahead == Some(Item::Recorded(i)) {
                state.ahead = None;
            }
            if state.open == Some(Item::Recorded(i)) {
                state.open = None;
            }
            state.error(error);
        }
        Report::Found(found) => {
            state.search.waiting = false;
            match found.and_then(|i| state.list.position(Item::Recorded(i))) {
                Some(at) => state.list.go(at),
                None => state.hint(format!("{:?} is in no problem listed", state.search.text)),
            }
        }
        Report::Matches { query, indices, complete, .. } => {
            if state.filter.as_ref() == Some(&query) {
                state.list.matches.get_or_insert_default().extend(indices);
                state.list.filtering = !complete;
            }
        }
        Report::Note(text) => state.note(text),
        Report::Failed(text) => state.error(text),
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
pub(crate) fn mark(state: &mut State, item: Item) {
    let Some(doc) = state.docs.get(&item) else { return };
    let labelled = doc.candidates().iter().position(|c| c.gold.is_some()).unwrap_or(0);
    let Some(seen) = doc.seen.get(labelled) else { return };
    if seen.reward.is_some() {
        state.list.marks.insert(item, Mark { deviation: seen.deviation.as_ref().map(|d| d.step), reward: seen.reward });
    }
}
