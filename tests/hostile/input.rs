//! Made-up input: texts and JSON that are nearly right, and the run over them with its figures.

use std::cell::Cell;
use std::io::Write as _;
use std::time::{Duration, Instant};

use proptest::prelude::*;
use proptest::sample::{Index, select};
use proptest::test_runner::{Config, TestRunner};
use serde_json::{Map, Value, json};

/// A secret that must never be in a message.
pub const MARKER: &str = "MARKER-s3cr3t-qZ8vT1nK";

/// Tries a property, `usual` times unless `PROPTEST_CASES` says otherwise, and prints how often and how long.
///
/// A failure is shown at its smallest. Nothing is kept for the next run: what was found becomes a test of its own.
#[track_caller]
pub fn holds<S: Strategy>(name: &str, usual: u32, strategy: S, property: impl Fn(S::Value)) {
    let cases = std::env::var("PROPTEST_CASES").ok().and_then(|cases| cases.parse().ok()).unwrap_or(usual);
    let config = Config { cases, failure_persistence: None, max_shrink_iters: 2000, ..Config::default() };
    let (ran, slowest, started) = (Cell::new(0u64), Cell::new(Duration::ZERO), Instant::now());
    let outcome = TestRunner::new(config).run(&strategy, |value| {
        let began = Instant::now();
        property(value);
        ran.set(ran.get() + 1);
        slowest.set(slowest.get().max(began.elapsed()));
        Ok(())
    });
    let (ran, slowest) = (ran.get(), slowest.get().as_millis());
    let line = format!(
        "hostile: {name}: {ran} executions in {:.1} s, the slowest {slowest} ms\n",
        started.elapsed().as_secs_f64()
    );
    // Not by `println!`, which the harness keeps to itself.
    let _ = std::io::stderr().write_all(line.as_bytes());
    if let Err(error) = outcome {
        panic!("{name}: {error}");
    }
}

/// One line that may be shown, and that has no secret in it.
#[track_caller]
pub fn is_one_clear_line(message: &str) {
    assert!(
        !message.is_empty() && message.chars().count() < 1200,
        "{} characters: {message:?}",
        message.chars().count()
    );
    assert!(!message.chars().any(deepdesk_protocol::facts::names::acts), "{message:?}");
    assert!(!message.contains(MARKER), "a secret is shown: {message:?}");
}

/// What makes parsers stumble.
const PIECES: [&str; 44] = [
    "",
    "\0",
    "\u{1b}[2J",
    "\u{9b}31m",
    "\u{202e}",
    "\u{feff}",
    "\r\n",
    "\n",
    "\t",
    " ",
    "\"",
    "'",
    "`",
    "\\",
    "{",
    "}",
    "[",
    "]",
    "[[[[[[[[",
    "{{{{{{{{",
    ": ",
    "- ",
    "#",
    "&a ",
    "*a",
    "!!binary ",
    "!x ",
    "---\n",
    "...\n",
    "|\n",
    ">-\n",
    "%YAML 9.9\n",
    "<<: *a\n",
    "? ",
    "null",
    "~",
    "true",
    ".nan",
    "-1",
    "1e999",
    "99999999999999999999",
    "=",
    "𝕊é日",
    "\u{e0041}",
];

fn piece() -> impl Strategy<Value = String> {
    prop_oneof![
        6 => select(&PIECES[..]).prop_map(str::to_owned),
        2 => any::<String>(),
        1 => (select(&PIECES[..]), 1usize..400).prop_map(|(piece, times)| piece.repeat(times)),
    ]
}

#[derive(Clone, Debug)]
enum Change {
    Insert(Index, String),
    Remove(Index, usize),
    Repeat(Index, usize, usize),
    Cut(Index),
}

fn change() -> impl Strategy<Value = Change> {
    prop_oneof![
        5 => (any::<Index>(), piece()).prop_map(|(at, text)| Change::Insert(at, text)),
        3 => (any::<Index>(), 1usize..40).prop_map(|(at, length)| Change::Remove(at, length)),
        2 => (any::<Index>(), 1usize..60, 1usize..4).prop_map(|(at, length, times)| Change::Repeat(at, length, times)),
        1 => any::<Index>().prop_map(Change::Cut),
    ]
}

fn changed(mut text: String, changes: Vec<Change>) -> String {
    for change in changes {
        let place = |at: Index, text: &str| {
            let mut place = at.index(text.len() + 1);
            while !text.is_char_boundary(place) {
                place -= 1;
            }
            place
        };
        let end = |from: usize, length: usize, text: &str| {
            let mut end = (from + length).min(text.len());
            while !text.is_char_boundary(end) {
                end += 1;
            }
            end
        };
        match change {
            Change::Insert(at, piece) => text.insert_str(place(at, &text), &piece),
            Change::Remove(at, length) => {
                let from = place(at, &text);
                text.replace_range(from..end(from, length, &text), "");
            }
            Change::Repeat(at, length, times) => {
                let from = place(at, &text);
                let taken = text[from..end(from, length, &text)].repeat(times);
                text.insert_str(from, &taken);
            }
            Change::Cut(at) => text.truncate(place(at, &text)),
        }
    }
    text
}

/// One of the texts, with a few things wrong with it; now and then something else altogether.
pub fn nearly(texts: &'static [&'static str]) -> impl Strategy<Value = String> {
    prop_oneof![
        12 => (select(texts), prop::collection::vec(change(), 1..6)).prop_map(|(text, changes)| changed(text.to_owned(), changes)),
        1 => any::<String>(),
        1 => prop::collection::vec(piece(), 0..12).prop_map(|pieces| pieces.concat()),
    ]
}

/// Any JSON.
pub fn anything() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        Just(json!(u64::MAX)),
        any::<f64>().prop_map(Value::from),
        piece().prop_map(Value::from),
        select(&["True", "False", "Ready", "latest", "0s", "-5m", "9e400h", "1h", "-"][..]).prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 12, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::vec((piece(), inner), 0..4)
                .prop_map(|pairs| pairs.into_iter().collect::<Map<_, _>>().into()),
        ]
    })
}

/// The object with some of its parts replaced, taken away, or said twice.
pub fn nearly_json(object: Value) -> impl Strategy<Value = Value> {
    let replaced = prop::collection::vec((any::<Index>(), prop::option::weighted(0.8, anything())), 0..5);
    replaced.prop_map(move |parts| {
        let mut object = object.clone();
        for (at, new) in parts {
            let mut pointers = Vec::new();
            walk(&object, String::new(), &mut pointers);
            let pointer = at.get(&pointers).clone();
            match new {
                Some(new) => *object.pointer_mut(&pointer).expect("it was walked") = new,
                None => remove(&mut object, &pointer),
            }
        }
        object
    })
}

fn walk(value: &Value, at: String, into: &mut Vec<String>) {
    let escaped = |key: &str| key.replace('~', "~0").replace('/', "~1");
    match value {
        Value::Object(fields) => {
            fields.iter().for_each(|(key, value)| walk(value, format!("{at}/{}", escaped(key)), into))
        }
        Value::Array(items) => items.iter().enumerate().for_each(|(n, value)| walk(value, format!("{at}/{n}"), into)),
        _ => {}
    }
    into.push(at);
}

fn remove(value: &mut Value, pointer: &str) {
    let Some((parent, key)) = pointer.rsplit_once('/') else { return };
    let key = key.replace("~1", "/").replace("~0", "~");
    match value.pointer_mut(parent) {
        Some(Value::Object(fields)) => drop(fields.remove(&key)),
        Some(Value::Array(items)) => drop(key.parse::<usize>().map(|at| items.remove(at))),
        _ => {}
    }
}
