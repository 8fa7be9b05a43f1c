//! The table of keys: where each holds, what it runs and how the help puts it.

use crate::tui::action::Command;

/// Where a binding holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Context {
    /// Everywhere outside of text input.
    Anywhere,
    /// The list of problems.
    List,
    /// A trace, alone or among its candidates.
    Trace,
    /// The panel of settings.
    Settings,
    /// A page of text: help, messages.
    Page,
    /// One line of text: search, filter.
    Line,
    /// Many lines of text: a problem.
    Editor,
    /// A training run.
    Watch,
    /// The choice of a run's curves.
    Curves,
}

impl Context {
    /// Title of its part of the help.
    pub fn title(self) -> &'static str {
        match self {
            Self::Anywhere => "Everywhere",
            Self::List => "Problems",
            Self::Trace => "Traces",
            Self::Settings => "Settings",
            Self::Page => "Help and messages",
            Self::Line => "Search and filter",
            Self::Editor => "Your own problem",
            Self::Watch => "Watching a run",
            Self::Curves => "Choosing a run's curves",
        }
    }

    /// Whether it is part of the screen that watches a run, where the keys of the inspector mean nothing.
    pub fn is_watch(self) -> bool {
        matches!(self, Self::Watch | Self::Curves)
    }

    /// Whether plain characters are text here.
    pub fn is_text(self) -> bool {
        matches!(self, Self::Line | Self::Editor)
    }
}

/// One line of the table.
#[derive(Clone, Copy, Debug)]
pub struct Binding {
    /// Where it holds.
    pub context: Context,
    /// Keys, alternatives apart by a space; a sequence is written together: `gg`, `]e`, `<C-d>`.
    pub on: &'static str,
    /// What it does.
    pub run: Command,
    /// What the help says.
    pub desc: &'static str,
}

const fn bind(context: Context, on: &'static str, run: Command, desc: &'static str) -> Binding {
    Binding { context, on, run, desc }
}

use Command as C;
use Context::{Anywhere, Curves, Editor, Line, List, Page, Settings, Trace, Watch};

/// The table. More special contexts go before `Anywhere`.
pub const BINDINGS: &[Binding] = &[
    bind(Trace, "j <down>", C::Down, "next step"),
    bind(Trace, "k <up>", C::Up, "step before"),
    bind(Trace, "h <left>", C::Left, "candidate before"),
    bind(Trace, "l <right>", C::Right, "next candidate"),
    bind(Trace, "gg <home>", C::First, "first step (5gg: step 5)"),
    bind(Trace, "G <end>", C::Last, "last step (5G: step 5)"),
    bind(Trace, "<C-d>", C::HalfDown, "half a page on"),
    bind(Trace, "<C-u>", C::HalfUp, "half a page back"),
    bind(Trace, "<C-f> <pgdn> <space>", C::PageDown, "a page on"),
    bind(Trace, "<C-b> <pgup>", C::PageUp, "a page back"),
    bind(Trace, "w", C::NextToken, "next token, exact numbers below"),
    bind(Trace, "b", C::PreviousToken, "token before"),
    bind(Trace, "]e", C::NextDeviation, "next predicted deviation, in any candidate"),
    bind(Trace, "[e", C::PreviousDeviation, "predicted deviation before"),
    bind(Trace, "]g", C::NextGold, "next labelled deviation, in any candidate"),
    bind(Trace, "[g", C::PreviousGold, "labelled deviation before"),
    bind(Trace, "+", C::MarkRight, "label the step right, or take the label off"),
    bind(Trace, "-", C::MarkWrong, "label the step wrong, or take the label off"),
    bind(Trace, "<ret>", C::Enter, "the selected candidate alone"),
    bind(Trace, "v", C::ToggleCompare, "one candidate, or all side by side"),
    bind(Trace, "t", C::CycleHeat, "token colours: each signal of tokens, off"),
    bind(Trace, "c", C::ToggleChart, "chart of the steps on and off"),
    bind(Trace, "i", C::ToggleProblem, "problem whole or in short"),
    bind(Trace, "o", C::ToggleOrder, "candidates by rank or by number"),
    bind(List, "j <down>", C::Down, "next problem"),
    bind(List, "k <up>", C::Up, "problem before"),
    bind(List, "gg <home>", C::First, "first problem (5gg: problem 5)"),
    bind(List, "G <end>", C::Last, "last problem (5G: problem 5)"),
    bind(List, "<C-d>", C::HalfDown, "half a page on"),
    bind(List, "<C-u>", C::HalfUp, "half a page back"),
    bind(List, "<C-f> <pgdn> <space>", C::PageDown, "a page on"),
    bind(List, "<C-b> <pgup>", C::PageUp, "a page back"),
    bind(List, "<ret> l <right>", C::Enter, "open"),
    bind(List, "f", C::Filter, "list what a query finds: wrong and dev<=2"),
    bind(Settings, "j <down> <tab>", C::Down, "next setting"),
    bind(Settings, "k <up> <S-tab>", C::Up, "setting before"),
    bind(Settings, "l <right> +", C::Right, "more, or the next value"),
    bind(Settings, "h <left> -", C::Left, "less, or the value before"),
    bind(Settings, "<ret>", C::Enter, "type a number; enter again takes it"),
    bind(Settings, ", <esc> q", C::Back, "close"),
    bind(Watch, "j <down>", C::Down, "a row of curves, or a line, on"),
    bind(Watch, "k <up>", C::Up, "a row of curves, or a line, back"),
    bind(Watch, "<C-d> <pgdn> <space>", C::HalfDown, "half a page on"),
    bind(Watch, "<C-u> <pgup>", C::HalfUp, "half a page back"),
    bind(Watch, "gg <home>", C::First, "top"),
    bind(Watch, "G <end>", C::Last, "bottom"),
    bind(Watch, "l <right>", C::Right, "curves of the next stage; the newest is followed"),
    bind(Watch, "h <left>", C::Left, "curves of the stage before"),
    bind(Watch, "]t J", C::NextTrace, "rollouts of the next problem"),
    bind(Watch, "[t K", C::PreviousTrace, "rollouts of the problem before"),
    bind(Watch, "<tab>", C::NextPane, "between curves, rollouts and alarms"),
    bind(Watch, "<ret>", C::Enter, "the pane with the keys alone, or all"),
    bind(Watch, "m", C::ChooseCurves, "choose the curves"),
    bind(Watch, "s", C::ToggleSmooth, "smooth the curves, or not"),
    bind(Watch, "T", C::CycleTheme, "next theme"),
    bind(Watch, "?", C::Help, "this help"),
    bind(Watch, "<esc>", C::Back, "all panes again"),
    bind(Watch, "<C-l>", C::Redraw, "draw anew"),
    bind(Watch, "<C-z>", C::Suspend, "suspend"),
    bind(Watch, "q", C::Quit, "quit"),
    bind(Watch, "<C-c>", C::QuitNow, "quit at once"),
    bind(Curves, "j <down>", C::Down, "next curve"),
    bind(Curves, "k <up>", C::Up, "curve before"),
    bind(Curves, "gg <home>", C::First, "first curve"),
    bind(Curves, "G <end>", C::Last, "last curve"),
    bind(Curves, "<space>", C::ToggleCurve, "draw it, or not"),
    bind(Curves, "<ret>", C::Enter, "draw it alone, or all again"),
    bind(Curves, "<esc> q m", C::Back, "close"),
    bind(Page, "j <down>", C::Down, "a line on"),
    bind(Page, "k <up>", C::Up, "a line back"),
    bind(Page, "<C-d> <pgdn> <space>", C::HalfDown, "half a page on"),
    bind(Page, "<C-u> <pgup>", C::HalfUp, "half a page back"),
    bind(Page, "gg <home>", C::First, "top"),
    bind(Page, "G <end>", C::Last, "bottom"),
    bind(Page, "<esc> q", C::Back, "close"),
    bind(Line, "<ret>", C::Submit, "go"),
    bind(Line, "<esc>", C::Back, "give up"),
    bind(Line, "<tab>", C::Complete, "filter: complete the word"),
    bind(Line, "<backspace> <C-h>", C::Backspace, "delete the character before"),
    bind(Line, "<del>", C::Delete, "delete the character here"),
    bind(Line, "<C-w>", C::DeleteWord, "delete the word before"),
    bind(Line, "<C-u>", C::DeleteLine, "delete to the start"),
    bind(Line, "<left>", C::Left, "a character back"),
    bind(Line, "<right>", C::Right, "a character on"),
    bind(Line, "<home> <C-a>", C::Home, "to the start"),
    bind(Line, "<end> <C-e>", C::End, "to the end"),
    bind(Editor, "<ret>", C::Submit, "generate for this problem"),
    bind(Editor, "<A-ret> <C-j>", C::Newline, "new line"),
    bind(Editor, "<esc>", C::Back, "give up; the text is kept"),
    bind(Editor, "<backspace> <C-h>", C::Backspace, "delete the character before"),
    bind(Editor, "<del>", C::Delete, "delete the character here"),
    bind(Editor, "<C-w>", C::DeleteWord, "delete the word before"),
    bind(Editor, "<C-u>", C::DeleteLine, "delete to the start of the line"),
    bind(Editor, "<left>", C::Left, "a character back"),
    bind(Editor, "<right>", C::Right, "a character on"),
    bind(Editor, "<up>", C::Up, "a line up"),
    bind(Editor, "<down>", C::Down, "a line down"),
    bind(Editor, "<home> <C-a>", C::Home, "to the start of the line"),
    bind(Editor, "<end> <C-e>", C::End, "to the end of the line"),
    bind(Anywhere, "<tab> <S-tab> p", C::NextPane, "between the problems and the trace"),
    bind(Anywhere, "<esc> <backspace>", C::Back, "close, or a level up"),
    bind(Anywhere, "]t J", C::NextTrace, "open the next problem"),
    bind(Anywhere, "[t K", C::PreviousTrace, "open the problem before"),
    bind(Anywhere, "/", C::Search, "search"),
    bind(Anywhere, "n", C::NextMatch, "next match"),
    bind(Anywhere, "N", C::PreviousMatch, "match before"),
    bind(Anywhere, "r", C::Regenerate, "generate anew with the next seed"),
    bind(Anywhere, "R", C::Repeat, "generate again with the same seed"),
    bind(Anywhere, "x", C::Cancel, "stop generating"),
    bind(Anywhere, "e", C::EditProblem, "write a problem of your own, from the open one (ctrl-u deletes its line)"),
    bind(Anywhere, "s", C::CycleGranularity, "granularity: sparse, step, interval, dense"),
    bind(Anywhere, "a", C::CycleAggregation, "aggregation: mean, min, last, product, sum, discounted"),
    bind(Anywhere, "S", C::CycleSignal, "ranked by: the next signal of the problem"),
    bind(Anywhere, ".", C::CycleStatistic, "statistic of a step's tokens: its own, sum, mean, min, max, last"),
    bind(Anywhere, "d", C::CycleRule, "deviation: by which signal, at its threshold or by its largest drop"),
    bind(Anywhere, "D", C::CycleBeside, "a second deviation beside it, to see where two signals disagree"),
    bind(Anywhere, ",", C::Settings, "settings: temperature, N, tokens, seed, ..."),
    bind(Anywhere, "!", C::ToggleTrust, "believe a reward outside of what it has learned, or not"),
    bind(Anywhere, "T", C::CycleTheme, "next theme"),
    bind(Anywhere, "m", C::Messages, "messages and lints"),
    bind(Anywhere, "?", C::Help, "this help"),
    bind(Anywhere, "<C-l>", C::Redraw, "draw anew"),
    bind(Anywhere, "<C-z>", C::Suspend, "suspend"),
    bind(Anywhere, "q", C::Quit, "quit"),
    bind(Anywhere, "<C-c>", C::QuitNow, "quit at once"),
];
