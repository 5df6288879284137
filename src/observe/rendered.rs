//! A template's text as far as this program follows it: literal text, and what stands for values in it.
//!
//! That a longer text contains a value proves nothing where another value contains it too. So what can be rendered is
//! compared as a whole, and elsewhere a value counts only where no other known one would explain the text as well.
//!
//! Pure: text in, facts out. Actions, trim markers and comments are Go's own (text/template).

use regex::Regex;

use super::mappings::Transform;

/// How a text makes use of a key.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Use {
    /// It is the key's value.
    Whole,
    /// The value stands in it.
    Inside(Text),
    /// It is computed from the value in a way that is not followed.
    Opaque,
}

/// A text that a value is built into.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Text {
    /// These, one after the other.
    Pieces(Vec<Piece>),
    /// The value somewhere in what conditions or loops make.
    Somewhere,
}

/// A part of a text.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Piece {
    /// These characters.
    Literal(String),
    /// The value.
    Value,
    /// A value of one of the account's two secrets that another key of the ExternalSecret fetches.
    Other(Transform),
    /// Anything else.
    Anything,
}

/// How a template's text makes use of the key `name`, beside the `others` that are fetched; none when it does not.
pub fn use_of(template: &str, name: &str, others: &[(&str, &Transform)]) -> Option<Use> {
    let Some(tokens) = tokens(template) else { return mentions(template, name).then_some(Use::Opaque) };
    let mut pieces: Vec<Piece> = Vec::new();
    let mut flows = false;
    for token in tokens {
        let piece = match token {
            Token::Literal("") => continue,
            Token::Literal(text) => match pieces.last_mut() {
                Some(Piece::Literal(before)) => {
                    before.push_str(text);
                    continue;
                }
                Some(_) | None => Piece::Literal(text.to_owned()),
            },
            Token::Action(action) => match variable(action) {
                Some(variable) if variable == name => Piece::Value,
                _ if mentions(action, name) => return Some(Use::Opaque),
                variable => {
                    flows |= controls(action);
                    let other = others.iter().find(|(other, _)| Some(*other) == variable);
                    other.map_or(Piece::Anything, |(_, transform)| Piece::Other((*transform).clone()))
                }
            },
        };
        pieces.push(piece);
    }
    if !pieces.contains(&Piece::Value) {
        return None;
    }
    let beside_others = pieces.iter().any(|piece| matches!(piece, Piece::Other(_)));
    Some(match flows {
        // Which of the two stands where cannot be told.
        true if beside_others => Use::Opaque,
        true => Use::Inside(Text::Somewhere),
        false if pieces == [Piece::Value] => Use::Whole,
        false => Use::Inside(Text::Pieces(pieces)),
    })
}

enum Token<'a> {
    Literal(&'a str),
    Action(&'a str),
}

/// Literal texts and actions in turn; none where the template ends within an action.
fn tokens(template: &str) -> Option<Vec<Token<'_>>> {
    let mut tokens = Vec::new();
    let mut rest = template;
    while let Some((before, after)) = rest.split_once("{{") {
        let end = action_end(after)?;
        let (action, after) = (&after[..end], &after[end + 2..]);
        let opens = action.strip_prefix('-').filter(|action| action.starts_with(char::is_whitespace));
        let closes = action.strip_suffix('-').filter(|action| action.ends_with(char::is_whitespace));
        tokens.push(Token::Literal(if opens.is_some() { before.trim_end() } else { before }));
        rest = if closes.is_some() { after.trim_start() } else { after };
        let action = opens.unwrap_or(action);
        let action = if closes.is_some() { &action[..action.len() - 1] } else { action }.trim();
        if !(action.starts_with("/*") && action.ends_with("*/")) {
            tokens.push(Token::Action(action));
        }
    }
    tokens.push(Token::Literal(rest));
    Some(tokens)
}

/// Where the action's `}}` is, which a text in quotes does not end.
fn action_end(text: &str) -> Option<usize> {
    let mut quote = None;
    let mut escaped = false;
    for (at, c) in text.char_indices() {
        match quote {
            Some(_) if escaped => escaped = false,
            Some('"') if c == '\\' => escaped = true,
            Some(open) if c == open => quote = None,
            Some(_) => {}
            None if matches!(c, '"' | '`') => quote = Some(c),
            None if text[at..].starts_with("}}") => return Some(at),
            None => {}
        }
    }
    None
}

/// `name` of `.name`, also of `.name | toString`: what is printed as it is.
fn variable(action: &str) -> Option<&str> {
    let mut parts = action.split('|').map(str::trim);
    let name = parts.next()?.strip_prefix('.')?;
    let plain = parts.all(|function| function == "toString");
    let is_name = |c: char| c.is_alphanumeric() || c == '_';
    (plain && !name.is_empty() && name.chars().all(is_name)).then_some(name)
}

fn mentions(action: &str, name: &str) -> bool {
    Regex::new(&format!(r"\b{}\b", regex::escape(name))).map_or(true, |name| name.is_match(action))
}

/// Whether an action decides what of the text around it is printed, or how often.
fn controls(action: &str) -> bool {
    let word = action.split(|c: char| !c.is_alphanumeric()).next().unwrap_or_default();
    matches!(word, "if" | "else" | "end" | "range" | "with" | "define" | "template" | "block" | "break" | "continue")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(template: &str) -> String {
        let other = Transform::default();
        let Some(found) = use_of(template, "key", &[("old", &other)]) else { return "none".to_owned() };
        match found {
            Use::Whole => "whole".to_owned(),
            Use::Opaque => "opaque".to_owned(),
            Use::Inside(Text::Somewhere) => "somewhere".to_owned(),
            Use::Inside(Text::Pieces(pieces)) => {
                let piece = |piece: &Piece| match piece {
                    Piece::Literal(text) => text.clone(),
                    Piece::Value => "<key>".to_owned(),
                    Piece::Other(_) => "<old>".to_owned(),
                    Piece::Anything => "<?>".to_owned(),
                };
                pieces.iter().map(piece).collect()
            }
        }
    }

    #[test]
    fn a_text_is_followed_as_go_reads_it() {
        for (template, expected) in [
            ("{{ .key }}", "whole"),
            ("{{.key|toString}}", "whole"),
            ("  {{- .key -}}\n", "whole"),
            ("{{ .key }}\n", "<key>\n"),
            ("redis://:{{ .key }}@h", "redis://:<key>@h"),
            ("key={{ .key }}", "key=<key>"),
            ("a \n{{- .key -}} \nb", "a<key>b"),
            ("a {{/* key */}}{{ .key }}", "a <key>"),
            ("{{ .key }},{{ .old }},{{ .key }}", "<key>,<old>,<key>"),
            ("{{ .user }}:{{ .key }}", "<?>:<key>"),
            ("{{ \"}}\" }}{{ .key }}", "<?><key>"),
            ("{{ .keys }}", "none"),
            ("key", "none"),
            ("{{ .old }}", "none"),
            ("{{ .key | b64enc }}", "opaque"),
            ("{{ .key }}{{ .key | sha256sum }}", "opaque"),
            ("{{ index . \"key\" }}", "opaque"),
            ("{{ if .key }}x{{ end }}", "opaque"),
            ("{{ if .user }}{{ .key }}{{ end }}", "somewhere"),
            ("{{ if .user }}{{ .key }}{{ else }}{{ .old }}{{ end }}", "opaque"),
            // Not Go: `-.` is no trim marker.
            ("{{-.key}}", "opaque"),
            ("{{ .key", "opaque"),
            ("{{ .other", "none"),
        ] {
            assert_eq!(shown(template), expected, "{template}");
        }
    }
}
