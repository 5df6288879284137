//! What is being tried again since no answer came: for whoever waits meanwhile, and does not know why. One for the process, as `known` is:
//! what had to be handed on would be forgotten once.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::error::ApiError;

static NOW: Mutex<Troubles> = Mutex::new(Troubles { next: 0, open: BTreeMap::new(), over: false });

struct Troubles {
    next: u64,
    open: BTreeMap<u64, (Instant, String)>,
    /// Whether the last that ended was answered after all, and not given up.
    over: bool,
}

fn now() -> MutexGuard<'static, Troubles> {
    NOW.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A request that is tried again. Ends when it is dropped: it was answered, or given up, which is told otherwise.
pub(super) struct Trouble(u64);

impl Trouble {
    /// One of a request that was first sent then.
    pub(super) fn begin(since: tokio::time::Instant) -> Trouble {
        let mut troubles = now();
        let id = troubles.next;
        troubles.next += 1;
        troubles.over = false;
        troubles.open.insert(id, (since.into_std(), String::new()));
        Trouble(id)
    }

    /// There was an answer after all.
    pub(super) fn answered(self) {
        now().over = true;
    }

    /// What is known of it now.
    pub(super) fn is(&self, error: &ApiError) {
        if let Some((_, told)) = now().open.get_mut(&self.0) {
            *told = error.to_string();
        }
    }
}

impl Drop for Trouble {
    fn drop(&mut self) {
        now().open.remove(&self.0);
    }
}

/// For how long the oldest request under way has had no answer, and what was said last; none where all are answered.
pub fn longest() -> Option<(Duration, String)> {
    now().open.values().min_by_key(|(since, _)| *since).map(|(since, error)| (since.elapsed(), error.clone()))
}

/// Whether what was told of ended with an answer. A request that was given up says nothing of the connection.
pub fn is_over() -> bool {
    now().over
}
