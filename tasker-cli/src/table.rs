//! Plain tables: a heading, and columns as wide as their widest cell.

use unicode_width::UnicodeWidthStr;

use crate::drawing::{Paint, Style, padded};

/// A cell and its colour.
pub(crate) type Cell = (String, Paint);

/// Rows below a heading.
#[derive(Debug)]
pub(crate) struct Table {
    heading: Vec<String>,
    rows: Vec<Vec<Cell>>,
}

impl Table {
    /// A table without rows.
    pub(crate) fn new(heading: &[&str]) -> Self {
        Self {
            heading: heading.iter().map(|&title| title.to_owned()).collect(),
            rows: Vec::new(),
        }
    }

    /// Adds a row with one cell for each column.
    pub(crate) fn row(&mut self, cells: impl IntoIterator<Item = Cell>) {
        self.rows.push(cells.into_iter().collect());
    }

    /// The lines of the table, cut to the columns there are.
    pub(crate) fn lines(&self, style: Style) -> Vec<String> {
        let widths: Vec<usize> = (0..self.heading.len())
            .map(|column| {
                let cells = self.rows.iter().filter_map(|row| row.get(column));
                let widest = cells.map(|(text, _)| text.width()).max();
                widest.unwrap_or(0).max(self.heading[column].width())
            })
            .collect();
        let heading = self.heading.iter().map(|title| (title.clone(), Paint::Dim));
        let heading = line(heading, &widths, style);
        let rows = self.rows.iter();
        let rows = rows.map(|row| line(row.iter().cloned(), &widths, style));
        std::iter::once(heading).chain(rows).collect()
    }
}

/// A cell as it is.
pub(crate) fn plain(text: impl Into<String>) -> Cell {
    (text.into(), Paint::Plain)
}

fn line(cells: impl Iterator<Item = Cell>, widths: &[usize], style: Style) -> String {
    let mut left = style.width.unwrap_or(usize::MAX);
    let mut line = String::new();
    let last = widths.len().saturating_sub(1);
    for (column, ((text, paint), width)) in cells.zip(widths).enumerate() {
        if left == 0 {
            break;
        }
        let text = if column == last {
            text
        } else {
            padded(&text, width + 2)
        };
        let text = style.cut(&text, left);
        left = left.saturating_sub(text.width());
        line.push_str(&style.paint(paint, &text));
    }
    line.truncate(line.trim_end().len());
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_stand_below_their_heading() {
        let mut table = Table::new(&["NAME", "N"]);
        table.row([plain("a"), plain("10")]);
        table.row([plain("longer"), plain("2")]);
        let style = Style {
            utf8: true,
            colour: false,
            width: None,
        };
        assert_eq!(table.lines(style), ["NAME    N", "a       10", "longer  2"]);
    }
}
