//! Symbols and colours of states, and what the place that is drawn on can show.

use tasker_shared::state::{StepState, TaskState};
use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

/// What the place that is drawn on can show.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Style {
    /// Whether characters beyond ASCII can be shown.
    pub(crate) utf8: bool,
    /// Whether colours can be shown.
    pub(crate) colour: bool,
    /// Columns there are; `None` where lines may be of any length.
    pub(crate) width: Option<usize>,
}

/// How a text is shown, as the parameters of the terminal's escape sequence.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Paint {
    /// As it is.
    Plain,
    /// Important.
    Bold,
    /// Unimportant.
    Dim,
    /// Ended well.
    Green,
    /// On its way.
    Cyan,
    /// Needs patience.
    Yellow,
    /// Failed.
    Red,
    /// Touched by an operator.
    Magenta,
}

impl Paint {
    const fn code(self) -> &'static str {
        match self {
            Self::Plain => "",
            Self::Bold => "1",
            Self::Dim => "2",
            Self::Green => "32",
            Self::Cyan => "36",
            Self::Yellow => "33",
            Self::Red => "1;31",
            Self::Magenta => "35",
        }
    }
}

impl Style {
    /// The text in its colour.
    pub(crate) fn paint(self, paint: Paint, text: &str) -> String {
        if !self.colour || paint == Paint::Plain || text.is_empty() {
            return text.to_owned();
        }
        format!("\x1b[{}m{text}\x1b[0m", paint.code())
    }

    /// Lines of a drawing, in ASCII where nothing else can be shown.
    pub(crate) fn lines(self, text: &str) -> String {
        if self.utf8 {
            return text.to_owned();
        }
        let ascii = |glyph| match glyph {
            '│' => '|',
            '─' => '-',
            '╮' => '.',
            '╯' => '\'',
            '╭' => ',',
            '╰' => '`',
            '├' | '┤' | '┬' | '┴' | '┼' => '+',
            other => other,
        };
        text.chars().map(ascii).collect()
    }

    /// What stands for something left out.
    pub(crate) const fn ellipsis(self) -> &'static str {
        if self.utf8 { "…" } else { "..." }
    }

    /// What stands between two remarks.
    pub(crate) const fn dot(self) -> &'static str {
        if self.utf8 { " · " } else { ", " }
    }

    /// The symbol of a step's state.
    pub(crate) const fn symbol(self, state: StepState) -> &'static str {
        let (utf8, ascii) = match state {
            StepState::Pending => ("○", "o"),
            StepState::Enqueued => ("◔", "~"),
            StepState::InProgress => ("◐", ">"),
            StepState::WaitingForRetry => ("↻", "r"),
            StepState::Complete => ("●", "*"),
            StepState::Error => ("✖", "x"),
            StepState::Cancelled => ("⊘", "-"),
            StepState::Skipped => ("⊝", "s"),
            StepState::ResolvedManually => ("◉", "m"),
        };
        if self.utf8 { utf8 } else { ascii }
    }

    /// The text cut to the columns there are.
    pub(crate) fn cut(self, text: &str, columns: usize) -> String {
        if text.width() <= columns {
            return text.to_owned();
        }
        let room = columns.saturating_sub(self.ellipsis().width());
        let mut cut = String::new();
        let mut used = 0;
        for character in text.chars() {
            used += character.width().unwrap_or(0);
            if used > room {
                break;
            }
            cut.push(character);
        }
        cut + self.ellipsis()
    }
}

/// The colour of a step's state.
pub(crate) const fn step_paint(state: StepState) -> Paint {
    match state {
        StepState::Pending | StepState::Cancelled => Paint::Dim,
        StepState::Enqueued | StepState::InProgress => Paint::Cyan,
        StepState::WaitingForRetry => Paint::Yellow,
        StepState::Complete => Paint::Green,
        StepState::Error => Paint::Red,
        StepState::Skipped | StepState::ResolvedManually => Paint::Magenta,
    }
}

/// The colour of a task's state.
pub(crate) const fn task_paint(state: TaskState) -> Paint {
    match state {
        TaskState::Pending | TaskState::Cancelled => Paint::Dim,
        TaskState::InProgress => Paint::Cyan,
        TaskState::Complete => Paint::Green,
        TaskState::Error => Paint::Red,
        TaskState::ResolvedManually => Paint::Magenta,
    }
}

/// The text filled up to the columns.
pub(crate) fn padded(text: &str, columns: usize) -> String {
    let missing = columns.saturating_sub(text.width());
    format!("{text}{}", " ".repeat(missing))
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLAIN: Style = Style {
        utf8: true,
        colour: false,
        width: None,
    };

    #[test]
    fn no_two_states_look_the_same() {
        for utf8 in [true, false] {
            let style = Style { utf8, ..PLAIN };
            let symbols: std::collections::BTreeSet<_> =
                StepState::ALL.iter().map(|&s| style.symbol(s)).collect();
            assert_eq!(symbols.len(), StepState::ALL.len());
            assert!(symbols.iter().all(|symbol| symbol.width() == 1));
        }
    }

    #[test]
    fn a_text_is_cut_by_columns_and_not_by_characters() {
        assert_eq!(PLAIN.cut("abcdef", 6), "abcdef");
        assert_eq!(PLAIN.cut("abcdef", 5), "abcd…");
        assert_eq!(PLAIN.cut("日本語日本語", 6), "日本…");
    }
}
