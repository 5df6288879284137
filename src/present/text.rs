//! Text for people: made printable, measured, cut, wrapped, coloured.

use std::borrow::Cow;

use owo_colors::OwoColorize;

pub(super) use deepdesk_protocol::facts::names::acts;

/// `given` on one line and with nothing in it that acts on a terminal or hides in it: escapes, bidi overrides,
/// invisible characters. What comes from a server could otherwise rewrite what the operator reads.
pub(super) fn printable(given: &str) -> Cow<'_, str> {
    if !given.chars().any(acts) {
        return Cow::Borrowed(given);
    }
    let shown = |c| match c {
        '\n' | '\r' | '\t' => ' ',
        c if acts(c) => char::REPLACEMENT_CHARACTER,
        c => c,
    };
    Cow::Owned(given.trim_end().chars().map(shown).collect())
}

/// Serialized JSON with the same characters as `\u` escapes: nothing is lost, and nothing acts. Outside its strings
/// JSON has no such character, so the text can be rewritten without reading it.
pub(super) fn escaped_json(json: &str, newlines: Newlines) -> Cow<'_, str> {
    let escape = |c: char| acts(c) && !(c == '\n' && newlines == Newlines::Layout);
    if !json.chars().any(escape) {
        return Cow::Borrowed(json);
    }
    let mut out = String::with_capacity(json.len());
    for c in json.chars() {
        if escape(c) {
            c.encode_utf16(&mut [0; 2]).iter().for_each(|unit| out.push_str(&format!("\\u{unit:04x}")));
        } else {
            out.push(c);
        }
    }
    Cow::Owned(out)
}

/// Whether line breaks in JSON are its layout. In a compact object there are none.
#[derive(Clone, Copy, Eq, PartialEq)]
pub(super) enum Newlines {
    Layout,
    None,
}

/// Columns that `text` takes at most: what is beyond the scripts of one column counts as two. Too much costs a blank,
/// too little would break a line that is rewritten in place.
pub(super) fn columns(text: &str) -> usize {
    text.chars().map(char_columns).sum()
}

fn char_columns(c: char) -> usize {
    if c < '\u{1100}' || ('\u{2000}'..'\u{2e80}').contains(&c) || c == char::REPLACEMENT_CHARACTER { 1 } else { 2 }
}

/// `text` in at most `width` columns, with `…` where it was cut.
pub(super) fn cut(text: &str, width: usize) -> Cow<'_, str> {
    if columns(text) <= width {
        return Cow::Borrowed(text);
    }
    let mut used = 1; // the ellipsis
    let fits = |c: &char| {
        used += char_columns(*c);
        used <= width
    };
    let mut kept: String = text.chars().take_while(fits).collect();
    kept.truncate(kept.trim_end().len());
    if width > 0 {
        kept.push('…');
    }
    Cow::Owned(kept)
}

/// `text` in lines that end before `width` where words allow, all but the first indented by `indent`; the first begins
/// at that column already. Without a width (a pipe) it stays on one line, for grep.
pub(super) fn wrap(text: &str, indent: usize, width: Option<usize>) -> String {
    let Some(room) = width.map(|width| width.saturating_sub(indent)).filter(|room| *room >= 20) else {
        return text.to_owned();
    };
    let mut out = String::new();
    let mut used = 0;
    for word in text.split(' ') {
        let wide = columns(word);
        if used > 0 && used + 1 + wide > room {
            out.push('\n');
            out.push_str(&" ".repeat(indent));
            used = 0;
        } else if !out.is_empty() {
            out.push(' ');
            used += 1;
        }
        out.push_str(word);
        used += wide;
    }
    out
}

/// `text` with blanks up to `width` columns.
pub(super) fn pad(text: &str, width: usize) -> String {
    format!("{text}{}", " ".repeat(width.saturating_sub(columns(text))))
}

/// Colours, when they are wanted. They only repeat what the words say.
#[derive(Clone, Copy)]
pub(super) struct Paint(pub(super) bool);

impl Paint {
    pub(super) fn good(self, text: &str) -> String {
        if self.0 { text.green().to_string() } else { text.to_owned() }
    }

    pub(super) fn bad(self, text: &str) -> String {
        if self.0 { text.red().bold().to_string() } else { text.to_owned() }
    }

    pub(super) fn warn(self, text: &str) -> String {
        if self.0 { text.yellow().to_string() } else { text.to_owned() }
    }

    pub(super) fn info(self, text: &str) -> String {
        if self.0 { text.cyan().to_string() } else { text.to_owned() }
    }

    pub(super) fn dim(self, text: &str) -> String {
        if self.0 { text.dimmed().to_string() } else { text.to_owned() }
    }

    pub(super) fn strong(self, text: &str) -> String {
        if self.0 { text.bold().to_string() } else { text.to_owned() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_acts_on_a_terminal_is_shown_instead() {
        let cases = [
            ("plain – ü 日本", "plain – ü 日本"),
            ("a\u{1b}[31mred\u{7}", "a\u{fffd}[31mred\u{fffd}"),
            ("c1 \u{9b}2J", "c1 \u{fffd}2J"),
            ("two\nlines\tand a tab\n", "two lines and a tab"),
            ("abc\u{202e}gpj.exe", "abc\u{fffd}gpj.exe"),
            ("\u{2066}x\u{2069}\u{200f}\u{e0041}", "\u{fffd}x\u{fffd}\u{fffd}\u{fffd}"),
        ];
        for (given, shown) in cases {
            assert_eq!(printable(given), shown, "{given:?}");
        }
    }

    #[test]
    fn json_keeps_every_character() {
        let given = serde_json::json!({"a": "\u{9b}2J \u{202e}x \u{e0041} \u{7f}\u{1b}\n", "b": "ü"});
        for (json, newlines) in [
            (given.to_string(), Newlines::None),
            (serde_json::to_string_pretty(&given).expect("a value serializes"), Newlines::Layout),
        ] {
            let escaped = escaped_json(&json, newlines);
            assert!(!escaped.chars().any(|c| acts(c) && c != '\n'), "{escaped:?}");
            assert_eq!(serde_json::from_str::<serde_json::Value>(&escaped).expect("still JSON"), given);
        }
    }

    #[test]
    fn lines_are_cut_and_wrapped_by_columns() {
        let cases = [("short", 9, "short"), ("a longer text", 9, "a longer…"), ("日本語", 4, "日…"), ("x", 0, "")];
        for (given, width, shown) in cases {
            assert_eq!(cut(given, width), shown, "{given:?}");
            assert!(columns(&cut(given, width)) <= width, "{given:?}");
        }
        let text = "one two three four five six seven";
        assert_eq!(wrap(text, 4, Some(24)), "one two three four\n    five six seven");
        assert_eq!(wrap(text, 4, None), text);
        assert_eq!(wrap(text, 70, Some(80)), text, "too narrow to be read in");
        assert_eq!(wrap("a  b", 0, Some(80)), "a  b");
        assert_eq!(wrap(&"x".repeat(30), 0, Some(20)), "x".repeat(30), "a word is not broken: it may be a command");
    }
}
