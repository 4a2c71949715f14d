//! What commands print, for people or for machines.
//!
//! Everything that is the answer of a command goes to standard output through [`Output`]; remarks
//! go to standard error. A reader that goes away ends the command quietly.

use std::env;
use std::fmt::Display;
use std::io::{self, IsTerminal, Write};

use serde::Serialize;

use crate::drawing::Style;
use crate::failure::{Failure, of_output};

/// Where the answer of a command goes, and in which form.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Output {
    json: bool,
    terminal: bool,
}

impl Output {
    /// Standard output, with JSON instead of text where that was asked for.
    pub(crate) fn new(json: bool) -> Self {
        Self {
            json,
            terminal: io::stdout().is_terminal(),
        }
    }

    /// Whether the answer is for a machine.
    pub(crate) const fn is_json(self) -> bool {
        self.json
    }

    /// Whether a person watches, so that what was drawn can be drawn over.
    pub(crate) const fn is_live(self) -> bool {
        self.terminal && !self.json
    }

    /// The style of drawings here; `ascii` allows no other characters.
    pub(crate) fn style(self, ascii: bool) -> Style {
        Style {
            utf8: !ascii && speaks_utf8(),
            colour: self.terminal && env::var_os("NO_COLOR").is_none_or(|value| value.is_empty()),
            width: if self.terminal {
                terminal_width()
            } else {
                asked_width()
            },
        }
    }

    /// Prints a line for people; nothing where the answer is for a machine.
    pub(crate) fn text(self, text: impl Display) -> Result<(), Failure> {
        if self.json {
            return Ok(());
        }
        verbatim(&format!("{text}\n"))
    }

    /// Prints a document for a machine over several lines; nothing where the answer is for people.
    pub(crate) fn document(self, document: &impl Serialize) -> Result<(), Failure> {
        if !self.json {
            return Ok(());
        }
        let text = serde_json::to_string_pretty(document).map_err(|error| not_json(&error))?;
        verbatim(&format!("{text}\n"))
    }

    /// Prints a document of a stream for a machine, on one line.
    pub(crate) fn json_line(self, document: &impl Serialize) -> Result<(), Failure> {
        if !self.json {
            return Ok(());
        }
        let text = serde_json::to_string(document).map_err(|error| not_json(&error))?;
        verbatim(&format!("{text}\n"))
    }
}

/// Prints a text that is the same for people and machines.
pub(crate) fn verbatim(text: &str) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes())
        .and_then(|()| out.flush())
        .map_err(|error| of_output(&error))
}

/// Prints a remark that is not part of the answer.
pub(crate) fn remark(text: impl Display) {
    // A closed standard error loses remarks, nothing else.
    let _ = writeln!(io::stderr(), "{text}");
}

/// The rows of the terminal, where standard output is one.
pub(crate) fn terminal_height() -> Option<usize> {
    terminal_size::terminal_size().map(|(_, terminal_size::Height(rows))| usize::from(rows))
}

fn terminal_width() -> Option<usize> {
    terminal_size::terminal_size().map(|(terminal_size::Width(columns), _)| usize::from(columns))
}

/// The columns that the environment asks for; shells set the variable but do not hand it on, so it
/// is there only where the user wants it.
fn asked_width() -> Option<usize> {
    let columns = env::var("COLUMNS").ok()?;
    columns.parse().ok().filter(|columns| *columns > 0)
}

/// Whether the locale promises UTF-8; the first variable that is set decides, as in the C library.
fn speaks_utf8() -> bool {
    let locale = ["LC_ALL", "LC_CTYPE", "LANG"]
        .into_iter()
        .filter_map(env::var_os)
        .find(|value| !value.is_empty());
    locale.is_some_and(|locale| {
        let locale = locale.to_string_lossy().to_ascii_lowercase();
        locale.contains("utf-8") || locale.contains("utf8")
    })
}

fn not_json(error: &serde_json::Error) -> Failure {
    Failure::new(format!("could not write the answer as JSON: {error}"))
}
