//! What was listed a moment ago, so that the next TAB costs nothing. Names and states only: never a value.
//!
//! One small file a question, named by a hash of the cluster, the identity and what was asked. Whatever goes wrong here
//! is no reason to fail: there is no cache then.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

use crate::environment::Environment;

/// For how long a list of live things is as good as a new one.
const FRESH: Duration = Duration::from_secs(10);

/// For how long a cluster that did not answer is not asked again.
const FAILED: Duration = Duration::from_secs(10);

/// For how long an old list is better than none, while the cluster does not answer.
const STALE: Duration = Duration::from_secs(60 * 60);

/// For how long an account's state is worth showing; its age is shown beside it.
const NOTES: Duration = Duration::from_secs(7 * 24 * 60 * 60);

/// A word, and what is said beside it.
#[derive(Clone, Debug, Deserialize, Eq, Ord, PartialEq, PartialOrd, Serialize)]
pub struct Word(pub String, pub String);

/// What the cache knows of a question.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Known {
    /// The answer, given a moment ago.
    Fresh(Vec<Word>),
    /// Nobody answered a moment ago; what was answered before that.
    Failed(Vec<Word>),
    /// Nothing that can be used without asking; what was answered before.
    Old(Vec<Word>),
}

/// What was seen of an account.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Note {
    pub state: String,
    /// The number of the primary's newest version; empty when it was not seen.
    pub version: String,
    /// When that version was created, in seconds since 1970.
    pub created: Option<i64>,
    /// When this was seen, in seconds since 1970.
    pub seen: i64,
}

#[derive(Default, Deserialize, Serialize)]
struct Entry {
    /// When the words were answered, in milliseconds since 1970.
    answered: u64,
    /// When nobody answered, since then.
    failed: Option<u64>,
    words: Vec<Word>,
}

/// The cache of one user; it may be none.
#[derive(Clone, Debug)]
pub struct Cache {
    directory: Option<PathBuf>,
    now: fn() -> SystemTime,
}

impl Cache {
    /// The user's cache: under kubectl's cache directory where one is set, else under the system's usual one.
    pub fn of(environment: &Environment) -> Cache {
        let under = |name: &str| environment.get(name).map(PathBuf::from).filter(|path| path.is_absolute());
        let usual = || match cfg!(windows) {
            true => under("LOCALAPPDATA"),
            false => under("XDG_CACHE_HOME").or_else(|| environment.home().map(|home| home.join(".cache"))),
        };
        // The sandbox sets kubectl's, and takes it away at its end.
        let directory = under("KUBECACHEDIR").or_else(usual).map(|directory| directory.join("kubectl-deepdesk"));
        Cache { directory, now: SystemTime::now }
    }

    /// A cache that keeps nothing.
    pub fn none() -> Cache {
        Cache { directory: None, now: SystemTime::now }
    }

    /// What is known of this question.
    pub fn get(&self, key: &str) -> Known {
        let entry: Entry = self.read(key).unwrap_or_default();
        let age = |at: u64| self.millis().checked_sub(at).map(Duration::from_millis);
        let within = |at: u64, limit: Duration| age(at).is_some_and(|age| age < limit);
        if within(entry.answered, FRESH) && entry.failed.is_none() {
            return Known::Fresh(entry.words);
        }
        let words = if within(entry.answered, STALE) { entry.words } else { Vec::new() };
        match entry.failed.is_some_and(|at| within(at, FAILED)) {
            true => Known::Failed(words),
            false => Known::Old(words),
        }
    }

    /// Keeps an answer.
    pub fn answered(&self, key: &str, words: &[Word]) {
        self.write(key, &Entry { answered: self.millis(), failed: None, words: words.to_vec() });
    }

    /// Remembers that nobody answered; what was answered before is kept.
    pub fn failed(&self, key: &str) {
        let entry: Entry = self.read(key).unwrap_or_default();
        self.write(key, &Entry { failed: Some(self.millis()), ..entry });
    }

    /// What was seen of an account, if that is not too long ago.
    pub fn note(&self, key: &str) -> Option<Note> {
        let note: Note = self.read(key)?;
        let age = self.seconds().checked_sub(note.seen)?;
        (0..=NOTES.as_secs() as i64).contains(&age).then_some(note)
    }

    /// Keeps what was seen of an account.
    pub fn keep_note(&self, key: &str, note: &Note) {
        self.write(key, note);
    }

    /// Seconds since 1970.
    pub fn seconds(&self) -> i64 {
        i64::try_from(self.millis() / 1000).unwrap_or(i64::MAX)
    }

    fn millis(&self) -> u64 {
        let since = (self.now)().duration_since(UNIX_EPOCH).unwrap_or_default();
        u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
    }

    fn read<T: for<'de> Deserialize<'de>>(&self, key: &str) -> Option<T> {
        let text = std::fs::read(self.directory.as_ref()?.join(file_name(key))).ok()?;
        serde_json::from_slice(&text).ok()
    }

    fn write(&self, key: &str, entry: &impl Serialize) {
        let Some(directory) = &self.directory else { return };
        let _ = serde_json::to_vec(entry).map_err(std::io::Error::other).and_then(|text| put(directory, key, &text));
    }
}

/// Writes a file of the cache: all of it or nothing, and for its owner alone.
fn put(directory: &Path, key: &str, text: &[u8]) -> std::io::Result<()> {
    make_private(directory)?;
    sweep(directory);
    // Made with mode 0600.
    let mut file = tempfile::Builder::new().prefix(".new-").tempfile_in(directory)?;
    file.write_all(text)?;
    file.persist(directory.join(file_name(key))).map_err(|error| error.error)?;
    Ok(())
}

fn make_private(directory: &Path) -> std::io::Result<()> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _};
        if !directory.is_dir() {
            if let Some(parent) = directory.parent() {
                std::fs::create_dir_all(parent)?;
            }
            return std::fs::DirBuilder::new().recursive(true).mode(0o700).create(directory);
        }
        if std::fs::metadata(directory)?.permissions().mode() & 0o077 != 0 {
            std::fs::set_permissions(directory, std::fs::Permissions::from_mode(0o700))?;
        }
        Ok(())
    }
    #[cfg(not(unix))]
    std::fs::create_dir_all(directory)
}

/// Takes away what nobody can use any more: a cluster's address may never come back.
fn sweep(directory: &Path) {
    let old = |entry: &std::fs::DirEntry| {
        let modified = entry.metadata().and_then(|metadata| metadata.modified()).ok();
        modified.and_then(|at| at.elapsed().ok()).is_some_and(|age| age > NOTES)
    };
    let entries = std::fs::read_dir(directory).into_iter().flatten().flatten();
    entries.filter(old).for_each(|entry| {
        let _ = std::fs::remove_file(entry.path());
    });
}

/// A name that tells nothing of the cluster: 128 bits of FNV-1a, from two starting points.
fn file_name(key: &str) -> String {
    let hash =
        |start: u64| key.bytes().fold(start, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3));
    format!("{:016x}{:016x}", hash(0xcbf2_9ce4_8422_2325), hash(0x9e37_79b9_7f4a_7c15))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(directory: &Path, now: fn() -> SystemTime) -> Cache {
        Cache { directory: Some(directory.join("cache")), now }
    }

    fn later(seconds: u64) -> SystemTime {
        SystemTime::now() + Duration::from_secs(seconds)
    }

    #[test]
    fn answers_are_fresh_then_old_then_gone() {
        let home = tempfile::tempdir().unwrap();
        let words = vec![Word("acme".into(), "Stable".into())];
        assert_eq!(at(home.path(), SystemTime::now).get("k"), Known::Old(Vec::new()));
        at(home.path(), SystemTime::now).answered("k", &words);
        assert_eq!(at(home.path(), SystemTime::now).get("k"), Known::Fresh(words.clone()));
        assert_eq!(at(home.path(), SystemTime::now).get("other"), Known::Old(Vec::new()));
        assert_eq!(at(home.path(), || later(11)).get("k"), Known::Old(words.clone()));
        at(home.path(), || later(20)).failed("k");
        assert_eq!(at(home.path(), || later(21)).get("k"), Known::Failed(words.clone()));
        assert_eq!(at(home.path(), || later(31)).get("k"), Known::Old(words.clone()));
        assert_eq!(at(home.path(), || later(3700)).get("k"), Known::Old(Vec::new()));
        at(home.path(), || later(40)).answered("k", &words);
        assert_eq!(at(home.path(), || later(41)).get("k"), Known::Fresh(words));
        // A clock that was set back proves nothing.
        assert_eq!(at(home.path(), SystemTime::now).get("k"), Known::Old(Vec::new()));
    }

    #[test]
    fn a_note_lives_for_a_week() {
        let home = tempfile::tempdir().unwrap();
        let cache = at(home.path(), SystemTime::now);
        let note = Note { state: "Stable".into(), version: "8".into(), created: Some(1), seen: cache.seconds() };
        cache.keep_note("n", &note);
        assert_eq!(cache.note("n"), Some(note));
        assert_eq!(at(home.path(), || later(8 * 24 * 3600)).note("n"), None);
    }

    #[cfg(unix)]
    #[test]
    fn nobody_else_may_look() {
        use std::os::unix::fs::PermissionsExt as _;
        let home = tempfile::tempdir().unwrap();
        let cache = at(home.path(), SystemTime::now);
        let directory = home.path().join("cache");
        std::fs::create_dir(&directory).unwrap();
        std::fs::set_permissions(&directory, std::fs::Permissions::from_mode(0o755)).unwrap();
        cache.answered("https://user:word@host", &[Word("acme".into(), String::new())]);
        let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(&directory), 0o700);
        let files: Vec<PathBuf> = std::fs::read_dir(&directory).unwrap().map(|entry| entry.unwrap().path()).collect();
        assert_eq!(files.len(), 1, "a file that was being written is left: {files:?}");
        assert_eq!(mode(&files[0]), 0o600);
        assert!(!std::fs::read_to_string(&files[0]).unwrap().contains("host"));
    }

    #[test]
    fn nonsense_in_a_file_is_no_cache() {
        let home = tempfile::tempdir().unwrap();
        let cache = at(home.path(), SystemTime::now);
        cache.answered("k", &[]);
        std::fs::write(home.path().join("cache").join(file_name("k")), "nonsense").unwrap();
        assert_eq!(cache.get("k"), Known::Old(Vec::new()));
        Cache::none().answered("k", &[]);
    }
}
