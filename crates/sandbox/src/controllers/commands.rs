//! What the container of a Job's pod does: a few commands, as an application and its image would have them.
//!
//! | command | what it does |
//! | --- | --- |
//! | `reencrypt` | saves every item of the account's data that it can read again, under the key in use; exits with 1 when any is left |
//! | `rows-left` | exits with 1, and says how many, while items are under an older key |
//! | `true`, `false`, `sleep SECONDS`, `echo WORDS`, `printenv [NAME]` | as everywhere |
//! | anything else | says that it is not there, and exits with 127 |
//!
//! A container without a command runs as long as an annotation of its pod says, or until it is asked to stop.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::Value;

use crate::world::World;

pub(super) struct Place<'a> {
    pub world: &'a World,
    pub namespace: &'a str,
    pub uid: &'a str,
    /// The variables that the pod read from Secrets.
    pub held: &'a BTreeMap<String, Vec<u8>>,
}

impl Place<'_> {
    fn print(&self, line: &str) {
        self.world.controllers.logs.write(self.uid, line);
    }

    fn variable(&self, name: &str) -> Option<String> {
        self.held.get(name).map(|value| String::from_utf8_lossy(value).into_owned())
    }
}

/// Runs the container's command; returns what it exits with.
pub(super) async fn run(place: &Place<'_>, container: &Value, lasting: Option<Duration>) -> i32 {
    if place.world.faults.active("job-hanging") {
        place.print("the sandbox was told that this never ends");
        return std::future::pending().await;
    }
    if place.world.faults.active("job-failing") {
        place.print("the sandbox was told that this fails");
        return 1;
    }
    let words = |field: &str| container[field].as_array().cloned().unwrap_or_default();
    let words: Vec<String> = words("command")
        .into_iter()
        .chain(words("args"))
        .filter_map(|word| Some(expanded(word.as_str()?, place)))
        .collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    match words.as_slice() {
        [] => match lasting {
            Some(lasting) => {
                tokio::time::sleep(lasting).await;
                0
            }
            None => std::future::pending().await,
        },
        ["true"] => 0,
        ["false"] => 1,
        ["sleep", seconds] => {
            let time = crate::faults::duration(seconds).unwrap_or_default();
            tokio::time::sleep(time).await;
            0
        }
        ["echo", said @ ..] => {
            said.join(" ").split('\n').for_each(|line| place.print(line));
            0
        }
        ["printenv"] => {
            for name in place.held.keys() {
                place.print(&format!("{name}={}", place.variable(name).unwrap_or_default()));
            }
            0
        }
        ["printenv", name] => match place.variable(name) {
            Some(value) => {
                place.print(&value);
                0
            }
            None => 1,
        },
        ["reencrypt"] => left(
            place,
            place
                .world
                .controllers
                .data
                .reencrypt_with(place.namespace, place.held, |bytes| place.world.named(place.namespace, bytes)),
        ),
        ["rows-left"] => left(place, place.world.controllers.data.left(place.namespace, place.held)),
        [program, ..] => {
            place.print(&format!("{program}: command not found (the sandbox has reencrypt, rows-left, true, false, sleep, echo, printenv)"));
            127
        }
    }
}

fn left(place: &Place<'_>, left: u64) -> i32 {
    let rows = if left == 1 { "row is" } else { "rows are" };
    place.print(&format!("{left} {rows} left under an older key"));
    i32::from(left > 0)
}

/// As Kubernetes expands a word of a command: `$(NAME)` is a variable's value where there is one, `$$` is a `$`.
fn expanded(word: &str, place: &Place<'_>) -> String {
    let mut made = String::new();
    let mut rest = word;
    while let Some(at) = rest.find('$') {
        made.push_str(&rest[..at]);
        rest = &rest[at + 1..];
        if let Some(after) = rest.strip_prefix('$') {
            made.push('$');
            rest = after;
            continue;
        }
        let named = rest.strip_prefix('(').and_then(|name| name.split_once(')'));
        match named.and_then(|(name, after)| Some((place.variable(name)?, after))) {
            Some((value, after)) => {
                made.push_str(&value);
                rest = after;
            }
            None => made.push('$'),
        }
    }
    made + rest
}
