//! A part of the terminal that is drawn over and over.

use std::fmt::Write;

use crate::failure::Failure;
use crate::output::{terminal_height, verbatim};

/// Rows to draw on where the terminal does not tell.
const ROWS: usize = 24;

/// Makes the terminal cut lines that are too long.
const NO_WRAP: &str = "\x1b[?7l";
/// Makes the terminal wrap them again.
const WRAP: &str = "\x1b[?7h";

/// The lines drawn last, which the next drawing replaces.
#[derive(Debug, Default)]
pub(crate) struct Screen {
    drawn: usize,
}

impl Screen {
    /// Rows that a drawing may have, so that its top does not scroll away.
    pub(crate) fn rows() -> usize {
        terminal_height().unwrap_or(ROWS).saturating_sub(1).max(1)
    }

    /// Replaces what was drawn. The end of what does not fit is left out.
    pub(crate) fn redraw(&mut self, lines: &[String]) -> Result<(), Failure> {
        let rows = Self::rows();
        let shown = if lines.len() > rows {
            rows - 1
        } else {
            lines.len()
        };
        // A line that is too long is cut by the terminal; wrapped, it would be two to move up over.
        let mut text = String::from(NO_WRAP);
        if self.drawn > 0 {
            let _ = write!(text, "\x1b[{}A", self.drawn);
        }
        for line in &lines[..shown] {
            text.push_str("\x1b[2K");
            text.push_str(line);
            text.push('\n');
        }
        self.drawn = shown;
        if shown < lines.len() {
            let _ = writeln!(text, "\x1b[2Kand {} more lines", lines.len() - shown);
            self.drawn += 1;
        }
        text.push_str("\x1b[J");
        text.push_str(WRAP);
        verbatim(&text)
    }
}
