//! What is printed: figures on standard output, for people or for machines; remarks on standard
//! error.

use std::array;
use std::env;
use std::fmt::Display;
use std::io::{self, IsTerminal, Write};

use anyhow::Result;
use serde_json::Value;

/// Columns of a table.
const COLUMNS: usize = 6;

/// Cells of a table, from left to right.
pub(crate) type Row = [String; COLUMNS];

/// How a terminal is to show each column: names and units plain, medians bold, ratios faint.
const STYLES: [&str; COLUMNS] = ["0", "1", "2", "1", "2", "0"];

/// For whom figures are printed.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Output {
    /// For people.
    Text,
    /// For machines: one document a line.
    JsonLines,
}

impl Output {
    /// Prints a line for people.
    pub(crate) fn text(self, text: impl Display) -> Result<()> {
        match self {
            Self::Text => Ok(writeln!(io::stdout(), "{text}")?),
            Self::JsonLines => Ok(()),
        }
    }

    /// Prints a document for machines.
    pub(crate) fn json_line(self, document: &Value) -> Result<()> {
        match self {
            Self::Text => Ok(()),
            Self::JsonLines => Ok(writeln!(io::stdout(), "{document}")?),
        }
    }
}

/// Prints what is no figure.
pub(crate) fn remark(text: impl Display) {
    // A closed standard error loses remarks, nothing else.
    let _ = writeln!(io::stderr(), "{text}");
}

/// Rows below each other, in columns as wide as their widest cell.
pub(crate) fn table(rows: &[Row]) -> String {
    let is_plain = env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    let is_styled = io::stdout().is_terminal() && !is_plain;
    let widths: [usize; COLUMNS] = array::from_fn(|column| {
        let cells = rows.iter().map(|row| row[column].len());
        cells.max().unwrap_or(0)
    });
    let line = |row: &Row| {
        let cells = row.iter().zip(widths).zip(STYLES);
        let cells = cells.map(|((cell, width), style)| {
            if is_styled {
                format!("\x1b[{style}m{cell:width$}\x1b[0m")
            } else {
                format!("{cell:width$}")
            }
        });
        let line = cells.collect::<Vec<_>>().join("  ");
        line.trim_end().to_owned()
    };
    rows.iter().map(line).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_stand_below_their_heading() {
        let row = |cells: [&str; COLUMNS]| cells.map(str::to_owned);
        let rows = [
            row(["NAME", "N", "", "", "", "UNIT"]),
            row(["a", "10", "", "", "", "ms"]),
        ];
        let text = table(&rows).replace("\x1b[0m", "").replace("\x1b[1m", "");
        let lines: Vec<String> = text
            .lines()
            .map(|line| line.replace("\x1b[2m", ""))
            .collect();
        assert_eq!(lines, ["NAME  N         UNIT", "a     10        ms"]);
    }
}
