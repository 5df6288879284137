//! What really happened, in one order: each change of a secret, of a lock and of a pod's life, with values as numbers.
//!
//! It is for whoever judges a run from outside. Equal bytes have equal numbers, in the order in which they were first
//! seen; the bytes themselves are kept to be compared, and no byte of them leaves this file.

use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};

use serde_json::{Value, json};

/// The events since the start.
#[derive(Default)]
pub struct History(Mutex<Events>);

#[derive(Default)]
struct Events {
    all: Vec<Value>,
    values: Vec<Vec<u8>>,
}

/// The values are in it.
impl fmt::Debug for History {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("History")
    }
}

impl History {
    fn lock(&self) -> MutexGuard<'_, Events> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The number of a value: the same for the same bytes.
    pub fn number(&self, bytes: &[u8]) -> usize {
        let values = &mut self.lock().values;
        values.iter().position(|known| known == bytes).unwrap_or_else(|| {
            values.push(bytes.to_vec());
            values.len() - 1
        })
    }

    /// Notes that something happened; `seq` is its place in the order, from 1.
    pub fn note(&self, mut event: Value) {
        let all = &mut self.lock().all;
        event["seq"] = json!(all.len() + 1);
        event["time"] = json!(jiff::Timestamp::now().to_string());
        all.push(event);
    }

    /// What happened after the event of that place.
    pub fn after(&self, seq: usize) -> Vec<Value> {
        self.lock().all.iter().skip(seq).cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_values_have_one_number_and_none_is_told() {
        let history = History::default();
        let numbers: Vec<usize> = ["one", "two", "one"].iter().map(|value| history.number(value.as_bytes())).collect();
        assert_eq!(numbers, [0, 1, 0]);
        history.note(json!({"pod": "a"}));
        history.note(json!({"pod": "b"}));
        assert_eq!((history.after(0).len(), &history.after(1)[0]["seq"]), (2, &json!(2)));
        assert!(!format!("{history:?} {:?}", history.after(0)).contains("one"));
    }
}
