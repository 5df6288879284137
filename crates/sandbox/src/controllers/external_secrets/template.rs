//! The part of Go's templates that ExternalSecrets use to put values into texts: `{{ .key }}`, pipes, a few functions.
//!
//! What it does not know it refuses, as the real engine refuses a function that it does not have. No error carries a value.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// Fills a template; `name` is the key that it is for, as the real messages name it.
pub fn render(name: &str, template: &str, data: &BTreeMap<String, Vec<u8>>) -> Result<Vec<u8>, String> {
    let tokens = tokens(name, template)?;
    let mut text = String::new();
    let (rest, ended) = run(name, &tokens, &Scope { data, dot: None, variables: Vec::new() }, &mut text)?;
    match ended || !rest.is_empty() {
        true => Err(parse_error(name, "unexpected {{end}}")),
        false => Ok(text.into_bytes()),
    }
}

enum Token {
    Text(String),
    Action(String),
}

#[derive(Clone)]
struct Scope<'a> {
    data: &'a BTreeMap<String, Vec<u8>>,
    /// The value that a loop is at; outside of one the dot is all data.
    dot: Option<String>,
    variables: Vec<(String, String)>,
}

/// What an operand stands for.
#[derive(Clone)]
enum Operand {
    Text(String),
    All,
}

fn tokens(name: &str, template: &str) -> Result<Vec<Token>, String> {
    let mut tokens = Vec::new();
    let mut rest = template;
    while let Some((before, after)) = rest.split_once("{{") {
        let unclosed = || parse_error(name, "unclosed action");
        let (action, after) = split_action(after).ok_or_else(unclosed)?;
        let (trims_before, action) = match action.strip_prefix("- ") {
            Some(action) => (true, action),
            None => (false, action),
        };
        let (trims_after, action) = match action.strip_suffix(" -") {
            Some(action) => (true, action),
            None => (false, action),
        };
        tokens.push(Token::Text(if trims_before { before.trim_end() } else { before }.to_owned()));
        rest = if trims_after { after.trim_start() } else { after };
        let action = action.trim();
        if !(action.starts_with("/*") && action.ends_with("*/")) {
            tokens.push(Token::Action(action.to_owned()));
        }
    }
    tokens.push(Token::Text(rest.to_owned()));
    Ok(tokens)
}

/// Runs up to the `end` of what is open, or to the end of all: what is left, and whether it was an `end`.
fn run<'a>(
    name: &str,
    mut tokens: &'a [Token],
    scope: &Scope,
    text: &mut String,
) -> Result<(&'a [Token], bool), String> {
    while let Some((token, rest)) = tokens.split_first() {
        tokens = rest;
        match token {
            Token::Text(literal) => text.push_str(literal),
            Token::Action(action) if action == "end" => return Ok((tokens, true)),
            Token::Action(action) => match action.strip_prefix("range ") {
                Some(over) => {
                    let names = variables(name, over)?;
                    let mut left = None;
                    for (key, value) in scope.data {
                        let value = String::from_utf8_lossy(value).into_owned();
                        let mut inner = scope.clone();
                        inner.dot = Some(value.clone());
                        let given = if names.len() == 2 { vec![key.clone(), value] } else { vec![value] };
                        inner.variables.extend(names.iter().cloned().zip(given));
                        left = Some(run(name, tokens, &inner, text)?);
                    }
                    // Without any data there is nothing to put the values of an ExternalSecret into.
                    match left {
                        Some((rest, true)) => tokens = rest,
                        Some((_, false)) | None => return Err(parse_error(name, "unexpected EOF")),
                    }
                }
                None => text.push_str(&pipeline(name, action, scope)?),
            },
        }
    }
    Ok((tokens, false))
}

/// The names in `$key, $value := .`: loops over all data are the only ones.
fn variables(name: &str, over: &str) -> Result<Vec<String>, String> {
    let (names, what) = over.split_once(":=").unwrap_or(("", over));
    if !matches!(what.trim(), "." | "$") {
        return Err(parse_error(name, "the sandbox ranges over all data alone"));
    }
    Ok(names.split(',').map(str::trim).filter(|name| !name.is_empty()).map(str::to_owned).collect())
}

fn parse_error(name: &str, why: &str) -> String {
    format!("unable to parse template at key {name}: template: {name}:1: {why}")
}

/// The action up to its `}}`, which a text in quotes does not end, and what follows.
fn split_action(text: &str) -> Option<(&str, &str)> {
    let mut quote = None;
    for (at, letter) in text.char_indices() {
        match quote {
            Some(open) if letter == open => quote = None,
            Some(_) => {}
            None if matches!(letter, '"' | '`') => quote = Some(letter),
            None if text[at..].starts_with("}}") => return Some((&text[..at], &text[at + 2..])),
            None => {}
        }
    }
    None
}

/// `.key | b64enc | printf`: each command takes the result of the one before as its last argument.
fn pipeline(name: &str, action: &str, scope: &Scope) -> Result<String, String> {
    let mut result: Option<Operand> = None;
    for command in commands(action) {
        let (first, arguments) = command.split_first().ok_or_else(|| parse_error(name, "missing value for command"))?;
        let mut values = Vec::new();
        for argument in arguments {
            values.push(operand(name, argument, scope)?.ok_or_else(|| parse_error(name, "unexpected argument"))?);
        }
        let piped = result.take();
        result = Some(match operand(name, first, scope)? {
            Some(value) if values.is_empty() && piped.is_none() => value,
            Some(_) => return Err(parse_error(name, "can't give argument to non-function")),
            None => {
                values.extend(piped);
                Operand::Text(call(name, first, &values, scope)?)
            }
        });
    }
    match result {
        Some(Operand::Text(text)) => Ok(text),
        Some(Operand::All) => Err(parse_error(name, "the sandbox prints no map as it is")),
        None => Err(parse_error(name, "missing value for command")),
    }
}

/// The words of each command, with quotes and all.
fn commands(action: &str) -> Vec<Vec<String>> {
    let mut commands = vec![Vec::new()];
    let mut word = String::new();
    let mut quote = None;
    // The space at the end closes the last word.
    for letter in action.chars().chain([' ']) {
        if quote.is_none() && (letter.is_whitespace() || letter == '|') {
            if !word.is_empty() {
                commands.last_mut().expect("it begins with one").push(std::mem::take(&mut word));
            }
            if letter == '|' {
                commands.push(Vec::new());
            }
            continue;
        }
        match quote {
            Some(open) if letter == open => quote = None,
            Some(_) => {}
            None if matches!(letter, '"' | '`') => quote = Some(letter),
            None => {}
        }
        word.push(letter);
    }
    commands
}

/// The value of a word; none when it is the name of a function.
fn operand(name: &str, word: &str, scope: &Scope) -> Result<Option<Operand>, String> {
    if let Some(text) = word.strip_prefix('"').or_else(|| word.strip_prefix('`')) {
        return Ok(Some(Operand::Text(text.trim_end_matches(['"', '`']).to_owned())));
    }
    let variable = scope.variables.iter().rev().find(|(variable, _)| variable == word);
    if let Some((_, value)) = variable {
        return Ok(Some(Operand::Text(value.clone())));
    }
    if matches!(word, "." | "$") {
        let at = scope.dot.clone().filter(|_| word == ".");
        return Ok(Some(at.map_or(Operand::All, Operand::Text)));
    }
    let Some(key) = word.strip_prefix("$.").or_else(|| word.strip_prefix('.')) else {
        return Ok(None);
    };
    if scope.dot.is_some() && !word.starts_with('$') {
        return Err(parse_error(name, &format!("can't evaluate field {key} in type string")));
    }
    if let Some(letter) = key.chars().find(|letter| !letter.is_alphanumeric() && *letter != '_') {
        return Err(parse_error(name, &format!("bad character U+{:04X} '{letter}'", u32::from(letter))));
    }
    Ok(Some(Operand::Text(entry(name, key, scope)?)))
}

fn entry(name: &str, key: &str, scope: &Scope) -> Result<String, String> {
    let value = scope.data.get(key).ok_or_else(|| {
        format!(
            "unable to execute template at key {name}: template: {name}:1: executing \"{name}\" at <.{key}>: \
             map has no entry for key \"{key}\""
        )
    })?;
    Ok(String::from_utf8_lossy(value).into_owned())
}

/// As Go writes it, which writes more as an escape than others do.
fn json(value: &impl serde::Serialize) -> String {
    let text = serde_json::to_string(value).unwrap_or_default();
    text.replace('<', "\\u003c").replace('>', "\\u003e").replace('&', "\\u0026")
}

fn call(name: &str, function: &str, arguments: &[Operand], scope: &Scope) -> Result<String, String> {
    let one = |change: &dyn Fn(&str) -> String| match arguments {
        [Operand::Text(argument)] => Ok(change(argument)),
        _ => Err(parse_error(name, &format!("wrong number of args for {function}: want 1 got {}", arguments.len()))),
    };
    match (function, arguments) {
        ("toJson", [Operand::All]) => {
            let all: BTreeMap<&String, String> =
                scope.data.iter().map(|(key, value)| (key, String::from_utf8_lossy(value).into_owned())).collect();
            return Ok(json(&all));
        }
        ("index", [Operand::All, Operand::Text(key)]) => return entry(name, key, scope),
        _ => {}
    }
    match function {
        "upper" => one(&str::to_uppercase),
        "lower" => one(&str::to_lowercase),
        "trim" => one(&|text| text.trim().to_owned()),
        "toString" => one(&str::to_owned),
        "toJson" => one(&|text| json(&text)),
        "quote" => one(&|text| format!("{text:?}")),
        "b64enc" => one(&|text| STANDARD.encode(text)),
        // As sprig: what cannot be decoded becomes the error's text, which carries no part of the value here.
        "b64dec" => one(&|text| {
            let decoded = STANDARD.decode(text).unwrap_or_else(|_| b"illegal base64 data".to_vec());
            String::from_utf8_lossy(&decoded).into_owned()
        }),
        _ => Err(parse_error(name, &format!("function {function:?} not defined"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_filled_or_refused() {
        let data = [("key", "abc"), ("old", " d ")].map(|(key, value)| (key.to_owned(), value.into())).into();
        let cases = [
            ("plain", "plain"),
            ("{{ .key }}", "abc"),
            ("{{.key}}{{.old}}", "abc d "),
            ("redis://:{{ .key }}@cache:6379/0", "redis://:abc@cache:6379/0"),
            ("{{ .key | upper | b64enc }}", "QUJD"),
            ("{{ b64enc .key | b64dec }}", "abc"),
            ("{{ .old | trim | quote }}", "\"d\""),
            ("a {{- .key -}} b", "aabcb"),
            ("a {{- /* nothing */ -}} b", "ab"),
            ("{{ \"}}\" }}", "}}"),
            ("{{ range $k, $v := . }}{{ $k }}={{ $v }};{{ end }}!", "key=abc;old= d ;!"),
            ("{{- range $v := $ }}{{ $v | quote }}{{ end }}", "\"abc\"\" d \""),
            ("{{ range . }}{{ . }}{{ $.key }},{{ end }}", "abcabc, d abc,"),
            ("{{ toJson . }}", "{\"key\":\"abc\",\"old\":\" d \"}"),
            ("{{ . | toJson }}", "{\"key\":\"abc\",\"old\":\" d \"}"),
            ("{{ .key | toJson }}{{ index . \"key\" }}", "\"abc\"abc"),
            ("{{ range . }}x", "unable to parse template at key K: template: K:1: unexpected EOF"),
            ("x{{ end }}", "unable to parse template at key K: template: K:1: unexpected {{end}}"),
            (
                "{{ .key | sha512 }}",
                "unable to parse template at key K: template: K:1: function \"sha512\" not defined",
            ),
            (
                "{{ .gone }}",
                "unable to execute template at key K: template: K:1: executing \"K\" at <.gone>: map has no entry for key \"gone\"",
            ),
            ("{{ .a-b }}", "unable to parse template at key K: template: K:1: bad character U+002D '-'"),
            ("{{ .key", "unable to parse template at key K: template: K:1: unclosed action"),
            ("{{ }}", "unable to parse template at key K: template: K:1: missing value for command"),
        ];
        for (template, expected) in cases {
            let seen = match render("K", template, &data) {
                Ok(text) => String::from_utf8(text).unwrap(),
                Err(error) => error,
            };
            assert_eq!(seen, expected, "{template}");
        }
    }
}
