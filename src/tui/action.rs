//! What can happen, and what is to be done about it.

use super::source::{Ask, Item, Report};
use super::theme::Role;
use crate::runtime::{Request, Update};
use crate::trace::Span;

/// What a key, a click or a line of the help asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Command {
    /// Leave the program, or the overlay.
    Quit,
    /// Leave the program at once.
    QuitNow,
    /// Stop and give the shell the terminal.
    Suspend,
    /// Draw the whole screen anew.
    Redraw,
    /// Show or hide the help.
    Help,
    /// Leave the overlay, the token cursor, the trace.
    Back,
    /// Open, zoom in, take.
    Enter,
    /// Give the keys to the other pane.
    NextPane,
    /// Next step, row or line.
    Down,
    /// The one before.
    Up,
    /// Next candidate, column or value.
    Right,
    /// The one before.
    Left,
    /// First one, or the one whose number was typed.
    First,
    /// Last one, or the one whose number was typed.
    Last,
    /// Half a page on.
    HalfDown,
    /// Half a page back.
    HalfUp,
    /// A page on.
    PageDown,
    /// A page back.
    PageUp,
    /// Next token of the step.
    NextToken,
    /// The one before.
    PreviousToken,
    /// Next predicted first deviation, over the candidates.
    NextDeviation,
    /// The one before.
    PreviousDeviation,
    /// Next labelled first deviation, over the candidates.
    NextGold,
    /// The one before.
    PreviousGold,
    /// Open the next problem.
    NextTrace,
    /// Open the one before.
    PreviousTrace,
    /// Mark the step as right, or take the mark off.
    MarkRight,
    /// Mark the step as wrong, or take the mark off.
    MarkWrong,
    /// Ask what to search for.
    Search,
    /// Next match.
    NextMatch,
    /// Match before.
    PreviousMatch,
    /// Ask which problems to list.
    Filter,
    /// Between the candidate alone and all side by side.
    ToggleCompare,
    /// Between no token colours and those of each signal that has a value a token.
    CycleHeat,
    /// Show or hide the chart.
    ToggleChart,
    /// Show the problem whole or in short.
    ToggleProblem,
    /// Candidates by rank or by number.
    ToggleOrder,
    /// Next granularity.
    CycleGranularity,
    /// Next aggregation.
    CycleAggregation,
    /// Rank by the next signal.
    CycleSignal,
    /// Next statistic of a step.
    CycleStatistic,
    /// Mark the first deviation by the next signal and rule.
    CycleRule,
    /// Mark a second first deviation by the next signal and rule.
    CycleBeside,
    /// Believe a reward model outside of what it has learned, or not.
    ToggleTrust,
    /// Next theme.
    CycleTheme,
    /// Open the choice of a run's curves.
    ChooseCurves,
    /// Draw the curve under the cursor, or not.
    ToggleCurve,
    /// Smooth a run's curves, or not.
    ToggleSmooth,
    /// Open the settings.
    Settings,
    /// Sample again with the next seed.
    Regenerate,
    /// Sample again with the same seed.
    Repeat,
    /// Stop generating.
    Cancel,
    /// Write a problem of one's own.
    EditProblem,
    /// Show or hide messages and lints.
    Messages,
    /// Take what was typed.
    Submit,
    /// Complete the word of the line.
    Complete,
    /// A new line in the text.
    Newline,
    /// Delete the character before the cursor.
    Backspace,
    /// Delete the character at the cursor.
    Delete,
    /// Delete the word before the cursor.
    DeleteWord,
    /// Delete to the start of the line.
    DeleteLine,
    /// To the start of the line.
    Home,
    /// To the end of the line.
    End,
}

/// Anything that changes the state.
#[derive(Debug)]
pub enum Action {
    /// A command, with the count typed before it.
    Run(Command, Option<usize>),
    /// A character for the text that is being written.
    Insert(char),
    /// Text pasted into the terminal.
    Paste(String),
    /// A key is held back because a longer sequence may follow; what was typed so far.
    Pending(String),
    /// The left button went down at this column and row.
    Click(u16, u16),
    /// The wheel turned at this column and row, by lines (negative: up).
    Wheel(u16, u16, i32),
    /// The terminal has another size.
    Resize(u16, u16),
    /// The models' threads say something.
    Update(Update),
    /// The models' threads are gone.
    ModelsGone,
    /// The file thread says something.
    Report(Report),
    /// Code was coloured: the problem, the candidate, the blocks that were asked for, the colours.
    Highlighted(Item, usize, Vec<Span>, Vec<(Span, Role)>),
    /// The state is about to be drawn on an area of this size.
    Fit(ratatui::layout::Rect),
    /// Time went on; milliseconds since the start.
    Tick(u64),
}

/// What `update` wants done outside the state.
#[derive(Clone, Debug)]
pub enum Effect {
    /// End the program.
    Quit,
    /// Give the shell the terminal until it continues us.
    Suspend,
    /// Clear the terminal and draw everything.
    Redraw,
    /// Ask the models.
    Send(Request),
    /// Ask the file thread.
    Ask(Ask),
    /// Colour the code blocks of a candidate's text.
    Highlight(Item, usize, String, Vec<Span>),
    /// Use another theme.
    Theme(String),
    /// Put a trace's labels into this file, soon.
    Keep(std::path::PathBuf, Box<super::labels::Marked>),
}
