//! Doors: further addresses of the same world, each counting its own requests.
//!
//! A program that is given a door of its own is told from every other in the log, and what is to happen at its n-th
//! request happens at that one, whatever the machine is doing meanwhile: a fault begins or ends, a sync is started, or the
//! request waits until it is told to go on, so that its client can be killed or interrupted right there.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::{mpsc, watch};

use super::faults::{Fault, Faults};

/// The world's first address, which counts nothing.
pub const MAIN: usize = 0;

#[derive(Clone, Debug, PartialEq)]
pub enum Act {
    /// A fault begins, and meets this request already.
    Begin(Fault),
    /// The faults of this name end.
    End(String),
    /// A scheduled sync of this ExternalSecret is started.
    Sync(String, String),
    /// The request waits before its effect.
    StopBefore,
    /// The request waits after its effect, before its answer.
    StopAfter,
}

/// One thing that is to happen, and when.
#[derive(Clone, Debug, PartialEq)]
pub struct Strike {
    /// At the how-manieth request, from 1.
    pub at: usize,
    /// Of this operation; none counts all.
    pub operation: Option<String>,
    pub act: Act,
}

impl Strike {
    /// Reads `{"at": 3, "operation": "addSecretVersion", "begin": "lost-answer", "value": "…"}`; instead of `begin` also
    /// `"end": FAULT`, `"sync": "NAMESPACE/NAME"`, `"stop": "before"` or `"stop": "after"`.
    pub fn read(from: &Value) -> Result<Strike, String> {
        let text = |key: &str| from[key].as_str().map(str::to_owned);
        let at = from["at"].as_u64().and_then(|at| usize::try_from(at).ok()).filter(|at| *at > 0);
        let at = at.ok_or("a strike has `at`, from 1")?;
        let act = match (text("begin"), text("end"), text("sync"), text("stop").as_deref()) {
            (Some(name), None, None, None) => {
                Act::Begin(Fault::new(&name, text("value").as_deref()).map_err(|error| error.to_string())?)
            }
            (None, Some(name), None, None) => Act::End(name),
            (None, None, Some(place), None) => {
                let (namespace, name) = place.split_once('/').ok_or("`sync` is NAMESPACE/NAME")?;
                Act::Sync(namespace.to_owned(), name.to_owned())
            }
            (None, None, None, Some("before")) => Act::StopBefore,
            (None, None, None, Some("after")) => Act::StopAfter,
            _ => return Err("a strike has one of `begin`, `end`, `sync` and `stop` (before, after)".to_owned()),
        };
        Ok(Strike { at, operation: text("operation"), act })
    }
}

/// Where a request is to wait.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Stops {
    pub before: bool,
    /// After it.
    pub after: bool,
}

#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
struct Progress {
    reached: usize,
    released: usize,
    closed: bool,
}

struct Door {
    requests: usize,
    by_operation: BTreeMap<String, usize>,
    strikes: Vec<Strike>,
    progress: watch::Sender<Progress>,
}

pub struct Doors {
    doors: Mutex<Vec<Door>>,
    opened: mpsc::UnboundedSender<(TcpListener, usize)>,
    /// The server takes it, and with it the connections.
    listeners: Mutex<Option<mpsc::UnboundedReceiver<(TcpListener, usize)>>>,
}

impl std::fmt::Debug for Doors {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Doors")
    }
}

impl Default for Doors {
    fn default() -> Self {
        let (opened, listeners) = mpsc::unbounded_channel();
        Doors { doors: Mutex::default(), opened, listeners: Mutex::new(Some(listeners)) }
    }
}

impl Doors {
    fn lock(&self) -> MutexGuard<'_, Vec<Door>> {
        self.doors.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The listeners of the doors that are opened, for the server alone.
    pub(super) fn listeners(&self) -> Option<mpsc::UnboundedReceiver<(TcpListener, usize)>> {
        self.listeners.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// Opens one more door, with what is to happen at its requests. Answers with its number and its URL.
    pub fn open(&self, strikes: Vec<Strike>) -> std::io::Result<(usize, String)> {
        let listener = std::net::TcpListener::bind((std::net::Ipv4Addr::LOCALHOST, 0))?;
        listener.set_nonblocking(true)?;
        let url = format!("http://{}", listener.local_addr()?);
        let listener = TcpListener::from_std(listener)?;
        let mut doors = self.lock();
        doors.push(Door {
            requests: 0,
            by_operation: BTreeMap::new(),
            strikes,
            progress: watch::Sender::new(Progress::default()),
        });
        let number = doors.len();
        // Only a server that ended does not take it, and then nobody asks.
        let _ = self.opened.send((listener, number));
        Ok((number, url))
    }

    /// Counts a request through a door: what happens at it, but for the stops, is returned to be done.
    pub fn arrived(&self, door: usize, operation: &str) -> (Stops, Vec<Act>) {
        let (mut stops, mut acts) = (Stops::default(), Vec::new());
        let mut doors = self.lock();
        let Some(door) = door.checked_sub(1).and_then(|at| doors.get_mut(at)) else { return (stops, acts) };
        door.requests += 1;
        let of_operation = door.by_operation.entry(operation.to_owned()).or_default();
        *of_operation += 1;
        let (all, own) = (door.requests, *of_operation);
        for strike in &door.strikes {
            let now = match &strike.operation {
                None => strike.at == all,
                Some(wanted) => wanted == operation && strike.at == own,
            };
            match (now, &strike.act) {
                (false, _) => {}
                (true, Act::StopBefore) => stops.before = true,
                (true, Act::StopAfter) => stops.after = true,
                (true, act) => acts.push(act.clone()),
            }
        }
        (stops, acts)
    }

    fn progress(&self, door: usize) -> Option<watch::Sender<Progress>> {
        door.checked_sub(1).and_then(|at| self.lock().get(at).map(|door| door.progress.clone()))
    }

    /// Waits until somebody lets the requests of this door go on.
    pub async fn stop(&self, door: usize) {
        let Some(progress) = self.progress(door) else { return };
        progress.send_modify(|progress| progress.reached += 1);
        let mine = progress.borrow().reached;
        let _ = progress.subscribe().wait_for(|progress| progress.released >= mine).await;
    }

    /// Lets what waits at a door go on; false when there is no such door.
    pub fn go(&self, door: usize) -> bool {
        self.change(door, |progress| progress.released = progress.reached)
    }

    /// Nobody comes through this door any more: whoever asks for its stops is told so. What waits there has lost its
    /// client, and never has its effect.
    pub fn close(&self, door: usize) -> bool {
        self.change(door, |progress| progress.closed = true)
    }

    fn change(&self, door: usize, change: impl FnOnce(&mut Progress)) -> bool {
        let progress = self.progress(door);
        progress.inspect(|progress| progress.send_modify(change)).is_some()
    }

    /// Answers once more than `seen` stops were reached, once the door is closed, or after a few seconds.
    pub async fn reached(&self, door: usize, seen: usize) -> Option<Value> {
        let progress = self.progress(door)?;
        let mut changes = progress.subscribe();
        let waited = changes.wait_for(|progress| progress.reached > seen || progress.closed);
        let _ = tokio::time::timeout(std::time::Duration::from_secs(5), waited).await;
        let now = *progress.borrow();
        let requests = self.lock().get(door - 1).map(|door| door.requests);
        Some(json!({"requests": requests, "reached": now.reached, "closed": now.closed}))
    }
}

/// Does what happens at a request, but for the stops.
pub(super) fn act(faults: &Faults, acts: Vec<Act>, sync: impl Fn(&str, &str)) {
    for act in acts {
        match act {
            Act::Begin(fault) => faults.add(fault),
            Act::End(name) => {
                faults.remove(&name);
            }
            Act::Sync(namespace, name) => sync(&namespace, &name),
            // The request itself waits.
            Act::StopBefore | Act::StopAfter => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn strike(text: &str) -> Result<Strike, String> {
        Strike::read(&serde_json::from_str(text).unwrap())
    }

    #[tokio::test]
    async fn strikes_come_at_their_request() {
        let doors = Doors::default();
        let strikes = [
            r#"{"at": 2, "begin": "unavailable", "value": "3"}"#,
            r#"{"at": 2, "operation": "addSecretVersion", "stop": "after"}"#,
            r#"{"at": 3, "end": "unavailable"}"#,
        ];
        let (door, url) = doors.open(strikes.iter().map(|text| strike(text).unwrap()).collect()).unwrap();
        assert!(url.starts_with("http://127.0.0.1:"));
        let at = |operation| {
            let (stops, acts) = doors.arrived(door, operation);
            (stops.before, stops.after, acts.len())
        };
        assert_eq!(at("addSecretVersion"), (false, false, 0));
        assert_eq!(at("get/leases"), (false, false, 1));
        assert_eq!(at("addSecretVersion"), (false, true, 1));
        assert_eq!(doors.arrived(MAIN, "addSecretVersion"), (Stops::default(), Vec::new()));
    }

    #[tokio::test]
    async fn a_stop_waits_until_it_may_go() {
        let doors = std::sync::Arc::new(Doors::default());
        let (door, _) = doors.open(Vec::new()).unwrap();
        let stopped = tokio::spawn({
            let doors = doors.clone();
            async move { doors.stop(door).await }
        });
        assert_eq!(doors.reached(door, 0).await.unwrap()["reached"], 1);
        assert!(!stopped.is_finished());
        assert!(doors.go(door));
        stopped.await.unwrap();
        assert!(!doors.go(9));
    }

    #[test]
    fn what_is_no_strike_is_refused() {
        for (text, why) in [
            (r#"{"begin": "conflict", "value": "1"}"#, "`at`"),
            (r#"{"at": 1}"#, "one of"),
            (r#"{"at": 1, "begin": "conflict"}"#, "the value is missing"),
            (r#"{"at": 1, "sync": "acme"}"#, "NAMESPACE/NAME"),
            (r#"{"at": 1, "stop": "here"}"#, "one of"),
        ] {
            assert!(strike(text).unwrap_err().contains(why), "{text}");
        }
    }
}
