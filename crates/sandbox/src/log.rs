//! What was asked, by whom, and how it ended. Never a body, never a value.

use std::sync::{Mutex, MutexGuard};

use jiff::Timestamp;
use serde::Serialize;

use crate::class::{Api, Class};
use crate::operation::Operation;

/// The requests since the start, in the order in which they arrived.
#[derive(Debug, Default)]
pub struct RequestLog {
    entries: Mutex<Vec<Entry>>,
}

#[derive(Clone, Debug, Serialize)]
pub struct Entry {
    /// Its place in the order of arrival, from 1.
    pub n: usize,
    pub time: Timestamp,
    pub client: Option<String>,
    /// The door that it came through; 0 is the first address.
    pub door: usize,
    pub api: Api,
    /// For Secret Manager the method's name, for Kubernetes `VERB/RESOURCE`.
    pub operation: String,
    /// What it counts as: Secret Manager's quotas tell writes, metadata reads and accesses apart.
    pub class: Class,
    pub method: String,
    pub path: String,
    /// The status of the answer; none while there is no answer.
    pub status: Option<u16>,
    /// `pending`, `answered`, or what a fault did to it.
    pub outcome: &'static str,
}

impl RequestLog {
    fn lock(&self) -> MutexGuard<'_, Vec<Entry>> {
        self.entries.lock().expect("no code panics while it holds the log")
    }

    /// Notes that a request arrived. Answers with its number.
    pub fn arrived(&self, door: usize, client: Option<&str>, operation: &Operation, method: &str, path: &str) -> usize {
        let mut entries = self.lock();
        let n = entries.len() + 1;
        entries.push(Entry {
            n,
            time: Timestamp::now(),
            client: client.map(str::to_owned),
            door,
            api: operation.api,
            operation: operation.name.clone(),
            class: operation.class,
            method: method.to_owned(),
            path: path.to_owned(),
            status: None,
            outcome: "pending",
        });
        n
    }

    /// Notes how the request with this number ended.
    pub fn ended(&self, n: usize, outcome: &'static str, status: Option<u16>) {
        if let Some(entry) = self.lock().get_mut(n.saturating_sub(1)) {
            entry.outcome = outcome;
            entry.status = status;
        }
    }

    /// The requests with a number above `after`.
    pub fn after(&self, after: usize) -> Vec<Entry> {
        self.lock().iter().skip(after).cloned().collect()
    }
}
