//! The lives of all pods, for whoever judges a run from outside.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use serde_json::{Value, json};

/// What is remembered of every pod that ever ran.
#[derive(Debug, Default)]
pub struct Lives(Mutex<BTreeMap<String, Value>>);

impl Lives {
    /// All of them, in the order in which they were created.
    pub fn describe(&self) -> Value {
        let lives = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut all: Vec<Value> = lives.values().cloned().collect();
        all.sort_by_key(|life| life["order"].as_u64());
        Value::Array(all)
    }

    /// Notes something of one pod.
    pub fn note(&self, uid: &str, change: impl FnOnce(&mut Value)) {
        let mut lives = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let order = lives.len();
        change(lives.entry(uid.to_owned()).or_insert_with(|| json!({ "order": order })));
    }
}
