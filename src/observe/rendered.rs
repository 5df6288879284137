//! A template's text as far as this program follows it: literal text, and what stands for values in it.
//!
//! That a longer text contains a value proves nothing where another value contains it too. So what can be rendered is
//! compared as a whole, whichever way its conditions and loops go, and a value counts only where no other known one would
//! explain the text as well.
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
    /// The value somewhere in what other templates make, or in a loop that is left early.
    Somewhere,
}

/// A part of a text.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Piece {
    /// These characters.
    Literal(String),
    Value,
    /// A value of one of the account's two secrets that another key of the ExternalSecret fetches.
    Other(Transform),
    /// Anything else.
    Anything,
    /// One of these: what a condition decides.
    Choice(Vec<Vec<Piece>>),
    /// These, any number of times: a loop.
    Repeat(Vec<Piece>),
}

impl Piece {
    /// Whether this one, or one within it, is such.
    fn any(&self, is_such: fn(&Piece) -> bool) -> bool {
        let within = |pieces: &[Piece]| pieces.iter().any(|piece| piece.any(is_such));
        match self {
            Piece::Choice(branches) => branches.iter().any(|branch| within(branch)),
            Piece::Repeat(body) => within(body),
            piece => is_such(piece),
        }
    }
}

/// How a template's text makes use of the key `name`, beside the `others` that are fetched; none when it does not.
pub fn use_of(template: &str, name: &str, others: &[(&str, &Transform)]) -> Option<Use> {
    let Some(tokens) = tokens(template) else { return mentions(template, name).then_some(Use::Opaque) };
    let mut parse = Parse::default();
    for token in tokens {
        match token {
            Token::Literal(text) => parse.literal(text),
            Token::Action(action) => match variable(action) {
                Some(variable) if variable == name => parse.value(),
                _ if mentions(action, name) => return Some(Use::Opaque),
                variable => match control(action) {
                    Some(control) => parse.control(control),
                    None => {
                        let other = others.iter().find(|(other, _)| Some(*other) == variable);
                        parse.add(other.map_or(Piece::Anything, |(_, transform)| Piece::Other((*transform).clone())));
                    }
                },
            },
        }
    }
    let (pieces, flows, followed) = parse.end();
    let has = |is_such| pieces.iter().any(|piece| piece.any(is_such));
    if !has(|piece| matches!(piece, Piece::Value)) {
        return None;
    }
    Some(match (flows, followed) {
        // Which of the two stands where cannot be told.
        (true, _) if has(|piece| matches!(piece, Piece::Other(_))) => Use::Opaque,
        (_, false) => Use::Inside(Text::Somewhere),
        (_, true) if pieces == [Piece::Value] => Use::Whole,
        (_, true) => Use::Inside(Text::Pieces(pieces)),
    })
}

/// A condition or a loop whose end has not come.
struct Open {
    is_loop: bool,
    /// Whether `.name` means something else in it.
    has_own_dot: bool,
    has_else: bool,
    /// Its parts so far.
    branches: Vec<Vec<Piece>>,
    /// What stood before it.
    before: Vec<Piece>,
}

/// The pieces so far.
#[derive(Default)]
struct Parse {
    pieces: Vec<Piece>,
    open: Vec<Open>,
    /// Whether anything decides what is printed.
    flows: bool,
    /// Whether something does in a way that is not followed.
    lost: bool,
}

impl Parse {
    fn add(&mut self, piece: Piece) {
        self.pieces.push(piece);
    }

    fn literal(&mut self, text: &str) {
        match self.pieces.last_mut() {
            _ if text.is_empty() => {}
            Some(Piece::Literal(before)) => before.push_str(text),
            Some(_) | None => self.add(Piece::Literal(text.to_owned())),
        }
    }

    fn value(&mut self) {
        self.lost |= self.open.iter().any(|open| open.has_own_dot);
        self.add(Piece::Value);
    }

    fn control(&mut self, control: Control) {
        self.flows = true;
        match control {
            Control::Opens { is_loop, has_own_dot } => {
                let before = std::mem::take(&mut self.pieces);
                self.open.push(Open { is_loop, has_own_dot, has_else: false, branches: Vec::new(), before });
            }
            Control::Else { is_last } => match self.open.last_mut() {
                Some(open) if !open.has_else => {
                    open.branches.push(std::mem::take(&mut self.pieces));
                    open.has_else = is_last;
                    open.has_own_dot = false;
                }
                Some(_) | None => self.lost = true,
            },
            Control::Ends => match self.open.pop() {
                Some(open) => self.close(open),
                None => self.lost = true,
            },
            Control::Other => self.lost = true,
        }
    }

    fn close(&mut self, open: Open) {
        let Open { is_loop, has_else, mut branches, before, .. } = open;
        branches.push(std::mem::replace(&mut self.pieces, before));
        if is_loop {
            let body = branches.remove(0);
            branches.insert(0, vec![Piece::Repeat(body)]);
        }
        if !has_else {
            branches.push(Vec::new());
        }
        self.add(Piece::Choice(branches));
    }

    /// The pieces, whether anything decides what is printed, and whether all of it is followed.
    fn end(mut self) -> (Vec<Piece>, bool, bool) {
        while let Some(open) = self.open.pop() {
            self.lost = true;
            self.close(open);
        }
        (self.pieces, self.flows, !self.lost)
    }
}

/// What decides what of the text around it is printed, or how often.
enum Control {
    Opens {
        is_loop: bool,
        has_own_dot: bool,
    },
    Else {
        is_last: bool,
    },
    Ends,
    /// Not followed.
    Other,
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
fn control(action: &str) -> Option<Control> {
    let mut words = action.split(|c: char| !c.is_alphanumeric());
    Some(match words.next().unwrap_or_default() {
        "if" => Control::Opens { is_loop: false, has_own_dot: false },
        "with" => Control::Opens { is_loop: false, has_own_dot: true },
        "range" => Control::Opens { is_loop: true, has_own_dot: true },
        "else" => match action["else".len()..].split_whitespace().next() {
            None => Control::Else { is_last: true },
            Some("if") => Control::Else { is_last: false },
            Some(_) => Control::Other,
        },
        "end" => Control::Ends,
        "define" | "template" | "block" | "break" | "continue" => Control::Other,
        _ => return None,
    })
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
            Use::Inside(Text::Pieces(pieces)) => written(&pieces),
        }
    }

    fn written(pieces: &[Piece]) -> String {
        let piece = |piece: &Piece| match piece {
            Piece::Literal(text) => text.clone(),
            Piece::Value => "<key>".to_owned(),
            Piece::Other(_) => "<old>".to_owned(),
            Piece::Anything => "<?>".to_owned(),
            Piece::Choice(branches) => {
                format!("({})", branches.iter().map(|branch| written(branch)).collect::<Vec<_>>().join("|"))
            }
            Piece::Repeat(body) => format!("[{}]*", written(body)),
        };
        pieces.iter().map(piece).collect()
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
            ("{{ if .user }}{{ .key }}{{ end }}", "(<key>|)"),
            ("a{{ if .user }}b{{ else if .x }}{{ .key }}{{- else }} c {{ end -}} d", "a(b|<key>| c )d"),
            ("{{ .key }}{{ range .hosts }}, {{ . }}{{ else }}none{{ end }}", "<key>([, <?>]*|none)"),
            ("{{ if .a }}{{ if .b }}{{ .key }}{{ end }}x{{ end }}y", "((<key>|)x|)y"),
            ("{{ with .user }}{{ . }}:{{ end }}{{ .key }}", "(<?>:|)<key>"),
            // What `.key` is there, and what other templates make, is not followed.
            ("{{ with .user }}{{ .key }}{{ end }}", "somewhere"),
            ("{{ with .user }}x{{ else }}{{ .key }}{{ end }}", "(x|<key>)"),
            ("{{ .key }}{{ template \"x\" }}", "somewhere"),
            ("{{ if .user }}{{ .key }}", "somewhere"),
            ("{{ .key }}{{ end }}", "somewhere"),
            ("{{ if .user }}x{{ else }}y{{ else }}{{ .key }}{{ end }}", "somewhere"),
            ("{{ if .user }}x{{ else with .y }}{{ end }}{{ .key }}", "somewhere"),
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
