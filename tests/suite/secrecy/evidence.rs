//! All that a run shows and leaves, gathered to be looked through.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::scanner::Scanner;
use crate::world::{Ran, World};

/// Everything that was seen, each piece with where it was.
#[derive(Default)]
pub struct Evidence(pub Vec<(String, Vec<u8>)>);

impl Evidence {
    pub fn add(&mut self, place: impl Into<String>, text: impl Into<Vec<u8>>) {
        self.0.push((place.into(), text.into()));
    }

    pub fn streams(&mut self, what: &str, ran: &Ran) {
        self.add(format!("{what}: stdout"), ran.stdout.as_bytes());
        self.add(format!("{what}: stderr"), ran.stderr.as_bytes());
    }

    /// Every file and every name below a directory.
    pub fn files(&mut self, what: &str, directory: &Path) {
        for entry in std::fs::read_dir(directory).into_iter().flatten().flatten() {
            let path = entry.path();
            let place = format!("{what}: {}", path.display());
            self.add(format!("{place} (name)"), place.as_bytes());
            match entry.file_type().expect("a type") {
                kind if kind.is_dir() => self.files(what, &path),
                kind if kind.is_file() => self.add(place, std::fs::read(&path).expect("readable")),
                // The plugin on PATH is a link to the program.
                _ => {}
            }
        }
    }

    /// What the cluster shows to those who may not read Secrets.
    pub fn cluster(&mut self, world: &World) {
        for path in [
            "apis/coordination.k8s.io/v1/leases",
            "api/v1/events",
            "apis/external-secrets.io/v1/externalsecrets",
            "apis/external-secrets.io/v1/secretstores",
            "apis/apps/v1/deployments",
            "apis/apps/v1/replicasets",
            "api/v1/pods",
            "sandbox/v1/log",
            "sandbox/v1/pods",
            "sandbox/v1/secrets",
        ] {
            let url = format!("{}/{path}", world.environment()["DEEPDESK_SANDBOX_URL"].trim_end_matches('/'));
            let text = ureq::get(&url).call().expect("the sandbox answers").body_mut().read_to_vec().expect("a body");
            assert!(text.starts_with(b"{") || text.starts_with(b"["), "{path}");
            self.add(path, text);
        }
    }

    /// Fails the test when any of the values is anywhere. Says where, and not what.
    #[track_caller]
    pub fn holds_none_of(&self, values: &[Vec<u8>]) {
        let scanner = Scanner::new(values.iter().map(Vec::as_slice));
        let found: Vec<String> = self
            .0
            .iter()
            .filter_map(|(place, text)| Some(format!("{place} (byte {} of {})", scanner.finds(text)?, text.len())))
            .collect();
        assert!(found.is_empty(), "a value is in: {found:#?}");
    }

    pub fn has(&self, place: &str) -> bool {
        self.0.iter().any(|(name, text)| name.contains(place) && !text.is_empty())
    }
}

/// Looks at the arguments and the environment of a process and of all that it starts, until it is told to stop.
pub struct Watcher {
    stop: Arc<AtomicBool>,
    seen: Arc<Mutex<BTreeMap<String, Vec<u8>>>>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Watcher {
    pub fn on(process: u32) -> Watcher {
        let (stop, seen) = (Arc::new(AtomicBool::new(false)), Arc::<Mutex<BTreeMap<String, Vec<u8>>>>::default());
        let (stopped, into) = (stop.clone(), seen.clone());
        let thread = std::thread::spawn(move || {
            while !stopped.load(Ordering::Relaxed) {
                look(process, &mut into.lock().expect("nobody panicked"));
                std::thread::sleep(Duration::from_millis(5));
            }
        });
        Watcher { stop, seen, thread: Some(thread) }
    }

    pub fn into_evidence(mut self, what: &str, evidence: &mut Evidence) {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.take().expect("it runs").join().expect("it does not panic");
        for (place, text) in std::mem::take(&mut *self.seen.lock().expect("nobody panicked")) {
            evidence.add(format!("{what}: {place}"), text);
        }
    }
}

fn look(process: u32, into: &mut BTreeMap<String, Vec<u8>>) {
    for file in ["cmdline", "environ"] {
        // Not readable when it has just ended; kept as often as it differs.
        if let Ok(text) = std::fs::read(format!("/proc/{process}/{file}"))
            && !text.is_empty()
        {
            let place = format!("/proc/{process}/{file}");
            if into.get(&place).is_none_or(|known| *known != text) {
                into.entry(place).or_default().extend(text);
            }
        }
    }
    for task in std::fs::read_dir(format!("/proc/{process}/task")).into_iter().flatten().flatten() {
        let children = std::fs::read_to_string(task.path().join("children")).unwrap_or_default();
        children.split_whitespace().filter_map(|child| child.parse().ok()).for_each(|child| look(child, into));
    }
}
