//! Tables as kubectl's: titles without blanks, three blanks between columns, none at the end of a line.

use std::collections::BTreeSet;

use super::text::{Paint, columns, cut, pad, printable, wrap};

/// Blanks between two columns.
const GAP: usize = 3;
/// The same where room is scarce.
const NARROW: usize = 2;
/// What a pipe is taken to be as wide as, as far as blanks go.
const USUAL: usize = 80;
/// Columns that a cell keeps at least when it is cut.
const LEAST: usize = 16;

/// A table under construction.
pub(super) struct Table {
    titles: Vec<&'static str>,
    rows: Vec<Vec<String>>,
    wrong: BTreeSet<usize>,
    gap: usize,
}

impl Table {
    pub(super) fn new(titles: &[&'static str]) -> Table {
        Table { titles: titles.to_vec(), rows: Vec::new(), wrong: BTreeSet::new(), gap: GAP }
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

    /// The same in this width: with less room between the columns, then without the columns that can be done without, then with
    /// long cells cut in the middle, where names are most alike. Through a pipe nothing is left out or cut.
    pub(super) fn fitted(mut self, width: Option<usize>, may_drop: &[&str]) -> Table {
        if self.wide() > width.unwrap_or(USUAL) {
            self.gap = NARROW;
        }
        let Some(width) = width else { return self };
        for title in may_drop {
            let at = self.titles.iter().position(|known| known == title);
            if let Some(at) = at.filter(|_| self.wide() > width) {
                self.titles.remove(at);
                self.rows.iter_mut().filter(|row| at < row.len()).for_each(|row| drop(row.remove(at)));
            }
        }
        while self.wide() > width {
            let widths: Vec<usize> = (0..self.titles.len()).map(|column| self.widest(column)).collect();
            let Some((column, widest)) = widths.into_iter().enumerate().max_by_key(|(_, wide)| *wide) else { break };
            if widest <= LEAST.max(self.titles[column].len()) {
                break;
            }
            let room = widest.saturating_sub(self.wide() - width).max(LEAST).max(self.titles[column].len());
            self.rows.iter_mut().filter_map(|row| row.get_mut(column)).for_each(|cell| *cell = cut_within(cell, room));
        }
        self
    }

    /// Columns of the whole table.
    fn wide(&self) -> usize {
        let columns = self.titles.len();
        (0..columns).map(|column| self.widest(column)).sum::<usize>() + self.gap * columns.saturating_sub(1)
    }

    fn widest(&self, column: usize) -> usize {
        let cells = self.rows.iter().filter_map(|row| row.get(column)).map(|cell| columns(cell));
        cells.chain(self.titles.get(column).map(|title| title.len())).max().unwrap_or_default()
    }

    /// The lines of the table.
    pub(super) fn render(&self) -> String {
        self.render_with(None, Paint(false))
    }

    /// The lines of the table, the last column wrapped within itself where a width is given.
    pub(super) fn render_with(&self, width: Option<usize>, paint: Paint) -> String {
        let titles: Vec<String> = self.titles.iter().map(|title| (*title).to_owned()).collect();
        let before: Vec<usize> = (0..titles.len().saturating_sub(1)).map(|column| self.widest(column)).collect();
        let indent = before.iter().map(|width| width + self.gap).sum();
        let mut out = String::new();
        for (number, row) in std::iter::once(&titles).chain(&self.rows).enumerate() {
            let mut line: String = row.iter().zip(&before).map(|(cell, width)| pad(cell, width + self.gap)).collect();
            line.push_str(&row.get(before.len()).map(|last| wrap(last, indent, width)).unwrap_or_default());
            let is_wrong = number.checked_sub(1).is_some_and(|row| self.wrong.contains(&row));
            let line = line.trim_end();
            out.push_str(&if is_wrong { paint.bad(line) } else { line.to_owned() });
            out.push('\n');
        }
        out
    }
}

/// A cell in at most `room` columns, without its middle.
fn cut_within(cell: &str, room: usize) -> String {
    if columns(cell) <= room {
        return cell.to_owned();
    }
    let end: String = {
        let mut used = 0;
        let mut kept: Vec<char> = cell
            .chars()
            .rev()
            .take_while(|c| {
                used += columns(c.encode_utf8(&mut [0; 4]));
                used <= room / 2
            })
            .collect();
        kept.reverse();
        kept.into_iter().collect()
    };
    format!("{}{end}", cut(cell, room - columns(&end)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table() -> Table {
        let mut table = Table::new(&["NAME", "STATE", "PODS", "DUE"]);
        table.row(["a-customer-with-a-long-name", "AwaitingReencryption", "5/5", "finalize"]);
        table.row(["b", "Stable", "5/5", ""]);
        table
    }

    #[test]
    fn a_table_fits_the_window() {
        for (width, first) in [
            (80, "a-customer-with-a-long-name   AwaitingReencryption   5/5    finalize"),
            (66, "a-customer-with-a-long-name  AwaitingReencryption  5/5   finalize"),
            (61, "a-customer-with-a-long-name  AwaitingReencryption  finalize"),
            (50, "a-customer…long-name  Awaiti…ryption  finalize"),
        ] {
            let text = table().fitted(Some(width), &["PODS"]).render();
            let widest = text.lines().map(columns).max().unwrap_or_default();
            assert!(widest <= width, "{width}:\n{text}");
            if width > 50 {
                assert_eq!(text.lines().nth(1), Some(first), "{width}");
            } else {
                assert!(text.contains('…') && text.contains("finalize"), "{text}");
            }
        }
        let piped = table().fitted(None, &["PODS"]).render();
        assert!(piped.contains("PODS") && !piped.contains('…'), "a pipe gets all of it:\n{piped}");
    }
}
