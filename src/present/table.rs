//! Tables as kubectl's: titles without blanks, three blanks between columns, none at the end of a line.

use std::collections::BTreeSet;

use super::text::{Paint, columns, pad, printable, wrap};

/// Blanks between two columns.
const GAP: usize = 3;

/// A table under construction.
pub(super) struct Table {
    titles: Vec<&'static str>,
    rows: Vec<Vec<String>>,
    wrong: BTreeSet<usize>,
}

impl Table {
    pub(super) fn new(titles: &[&'static str]) -> Table {
        Table { titles: titles.to_vec(), rows: Vec::new(), wrong: BTreeSet::new() }
    }

    /// Adds a row. What is empty shows as `-`, so that columns can be counted.
    pub(super) fn row<const N: usize>(&mut self, cells: [&str; N]) {
        self.push(cells.iter().map(|cell| (*cell).to_owned()).collect());
    }

    /// Adds a row of as many cells as there are titles.
    pub(super) fn push(&mut self, cells: Vec<String>) {
        let shown = |cell: String| if cell.is_empty() { "-".to_owned() } else { printable(&cell).into_owned() };
        self.rows.push(cells.into_iter().map(shown).collect());
    }

    /// Marks the last row: coloured, where there are colours.
    pub(super) fn mark(&mut self) {
        self.wrong.extend(self.rows.len().checked_sub(1));
    }

    pub(super) fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// Adds a row that goes on with the one before: what is empty stays so.
    pub(super) fn continued<const N: usize>(&mut self, cells: [&str; N]) {
        self.rows.push(cells.iter().map(|cell| printable(cell).into_owned()).collect());
    }

    /// The lines of the table.
    pub(super) fn render(&self) -> String {
        self.render_with(None, Paint(false))
    }

    /// The lines of the table, the last column wrapped within itself where a width is given.
    pub(super) fn render_with(&self, width: Option<usize>, paint: Paint) -> String {
        let widest = |column: usize| {
            let cells = self.rows.iter().filter_map(|row| row.get(column)).map(|cell| columns(cell));
            cells.chain(self.titles.get(column).map(|title| title.len())).max().unwrap_or_default()
        };
        let titles: Vec<String> = self.titles.iter().map(|title| (*title).to_owned()).collect();
        let before: Vec<usize> = (0..titles.len().saturating_sub(1)).map(widest).collect();
        let indent = before.iter().map(|width| width + GAP).sum();
        let mut out = String::new();
        for (number, row) in std::iter::once(&titles).chain(&self.rows).enumerate() {
            let mut line: String = row.iter().zip(&before).map(|(cell, width)| pad(cell, width + GAP)).collect();
            line.push_str(&row.get(before.len()).map(|last| wrap(last, indent, width)).unwrap_or_default());
            let is_wrong = number.checked_sub(1).is_some_and(|row| self.wrong.contains(&row));
            let line = line.trim_end();
            out.push_str(&if is_wrong { paint.bad(line) } else { line.to_owned() });
            out.push('\n');
        }
        out
    }
}
