//! What the commands of Jobs wrote, by the pod's uid, as long as the sandbox is up.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;
use tokio::sync::watch;

/// A line, and when it was written.
pub type Line = (Timestamp, String);

#[derive(Default)]
pub struct Logs {
    lines: Mutex<BTreeMap<String, Vec<Line>>>,
    written: watch::Sender<u64>,
}

/// A command may have written a secret value.
impl fmt::Debug for Logs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Logs")
    }
}

impl Logs {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Vec<Line>>> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn write(&self, uid: &str, line: &str) {
        self.lock().entry(uid.to_owned()).or_default().push((Timestamp::now(), line.to_owned()));
        self.tell();
    }

    /// Wakes up who reads: a line was written, or a pod has ended.
    pub fn tell(&self) {
        self.written.send_modify(|times| *times += 1);
    }

    /// The lines of a pod from the one with this number on, the first being 0.
    pub fn from(&self, uid: &str, first: usize) -> Vec<Line> {
        self.lock().get(uid).and_then(|lines| lines.get(first..)).unwrap_or_default().to_vec()
    }

    /// Wakes up at every line.
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.written.subscribe()
    }
}
