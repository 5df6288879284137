//! Writes kubeconfig files: under kubectl's own lock, each whole or not at all, with a copy of what was there before.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde_json::json;

use super::KubeFlags;
use super::edit::{Change, edit};
use super::files::{self, paths};
use crate::clients::error::ConfigError;
use crate::environment::Environment;
use crate::setting::{Source, Sourced};

/// How long somebody else's lock is waited for. kubectl holds its own for milliseconds, and waits for none.
const PATIENCE: Duration = Duration::from_secs(2);

/// The kubeconfig's files, locked. Dropping it unlocks them.
pub struct Locked {
    /// In the order in which they are merged.
    paths: Vec<PathBuf>,
    /// By `--kubeconfig`: then it must be there.
    explicit: bool,
    locks: Vec<PathBuf>,
    /// Files that nobody can lock here, and so nobody can write: one of several may be an administrator's.
    fixed: Vec<(PathBuf, ConfigError)>,
}

/// What helps where the file that a change belongs into cannot be written.
const ELSEWHERE: &str =
    "put a file that can be written first in KUBECONFIG, or name one with --kubeconfig; kubectl writes there, too";

/// A cluster, a user and a context of one name, as `gcloud container clusters get-credentials` writes them.
#[derive(Clone, Debug)]
pub struct Entry {
    /// The name of all three.
    pub name: String,
    /// The cluster.
    pub cluster: serde_json::Value,
    /// The user.
    pub user: serde_json::Value,
}

/// Locks the files that `KUBECONFIG` or the flag names, as kubectl does: `<file>.lock`, made by whoever is first.
pub async fn lock(flags: &KubeFlags, env: &Environment) -> Result<Locked, ConfigError> {
    let Sourced { value: paths, source } = paths(flags, env);
    let explicit = matches!(source, Source::Flag(_));
    if paths.is_empty() {
        return Err(ConfigError::new("there is no place for a kubeconfig: neither KUBECONFIG nor HOME is set"));
    }
    let mut locked = Locked { paths, explicit, locks: Vec::new(), fixed: Vec::new() };
    // In one order for everybody, as kubectl: two that want the same files must not wait for each other.
    let mut wanted = locked.paths.clone();
    wanted.sort();
    wanted.dedup();
    let since = Instant::now();
    for path in wanted {
        let lock = beside(&path, ".lock");
        loop {
            match take(&lock) {
                Ok(true) => {
                    locked.locks.push(lock);
                    break;
                }
                Ok(false) if since.elapsed() >= PATIENCE => return Err(held(&lock)),
                Ok(false) => tokio::time::sleep(Duration::from_millis(20)).await,
                Err(error) => {
                    locked.fixed.push((path, error.hint(ELSEWHERE)));
                    break;
                }
            }
        }
    }
    Ok(locked)
}

fn held(lock: &Path) -> ConfigError {
    let age = lock.metadata().and_then(|data| data.modified()).ok().and_then(|at| at.elapsed().ok());
    let age = age.map(|age| format!(" for {}s", age.as_secs())).unwrap_or_default();
    ConfigError::new(format!("the kubeconfig has been locked by another program{age}: {} exists", lock.display())).hint(
        format!(
            "run the command again; if no program is writing the kubeconfig, its lock is stale: rm {}",
            lock.display()
        ),
    )
}

/// Makes the lock file; false when it is there already.
fn take(lock: &Path) -> Result<bool, ConfigError> {
    if let Some(directory) = lock.parent().filter(|directory| !directory.as_os_str().is_empty()) {
        std::fs::create_dir_all(directory).map_err(|error| cannot("make", directory, &error))?;
    }
    let mut open = std::fs::OpenOptions::new();
    open.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut open, 0o600);
    match open.open(lock) {
        Ok(_) => Ok(true),
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => Ok(false),
        Err(error) => Err(cannot("make", lock, &error)),
    }
}

impl Drop for Locked {
    fn drop(&mut self) {
        for lock in &self.locks {
            // Nobody can be told any more; the next one that wants it says that it is there.
            let _ = std::fs::remove_file(lock);
        }
    }
}

impl Locked {
    /// Makes this context the current one, in the file in which kubectl does.
    pub fn use_context(&self, name: &str) -> Result<(), ConfigError> {
        let path = self.default_file();
        self.may_write(path)?;
        change(path, &[Change::CurrentContext(name.to_owned())])
    }

    /// Sets the context's namespace, in the file that defines the context.
    pub fn use_namespace(&self, context: &str, namespace: &str) -> Result<(), ConfigError> {
        for path in &self.paths {
            let Some(config) = files::read_one(path)? else { continue };
            if config.contexts.iter().any(|named| named.name == context) {
                self.may_write(path)?;
                let change_to = Change::Namespace { context: context.to_owned(), namespace: namespace.to_owned() };
                return change(path, &[change_to]);
            }
        }
        Err(ConfigError::new(format!("context \"{context}\" does not exist")))
    }

    /// Writes a cluster, a user and a context, and makes the context the current one: in the first file, as gcloud does.
    pub fn put(&self, entry: &Entry) -> Result<PathBuf, ConfigError> {
        let path = &self.paths[0];
        self.may_write(path)?;
        let Entry { name, cluster, user } = entry;
        let of = |section, entry| Change::Entry { section, name: name.clone(), entry };
        let mut changes = vec![
            of("clusters", json!({"cluster": cluster, "name": name})),
            of("contexts", json!({"context": {"cluster": name, "user": name}, "name": name})),
            Change::CurrentContext(name.clone()),
            of("users", json!({"name": name, "user": user})),
        ];
        if read_text(path)?.is_none() {
            changes.insert(0, Change::Header);
        }
        change(path, &changes)?;
        forget_plugin_tokens(path)?;
        Ok(path.clone())
    }

    fn may_write(&self, path: &Path) -> Result<(), ConfigError> {
        match self.fixed.iter().find(|(fixed, _)| fixed == path) {
            Some((_, error)) => Err(error.clone()),
            None => Ok(()),
        }
    }

    /// kubectl's `GetDefaultFilename`: the first file that exists, else the last one named.
    fn default_file(&self) -> &Path {
        let there = self.paths.iter().find(|path| !self.explicit && path.exists());
        there.or(self.paths.last()).map(PathBuf::as_path).expect("a lock is over one path at least")
    }

    /// What tells this kubeconfig from others: where its files are.
    pub fn identity(&self) -> String {
        let whole = |path: &PathBuf| std::path::absolute(path).unwrap_or_else(|_| path.clone());
        self.paths.iter().map(|path| whole(path).to_string_lossy().into_owned()).collect::<Vec<_>>().join("\n")
    }
}

/// `gke-gcloud-auth-plugin` keeps tokens beside the kubeconfig; gcloud empties that file whenever it writes an entry.
fn forget_plugin_tokens(kubeconfig: &Path) -> Result<(), ConfigError> {
    let cache = kubeconfig.with_file_name("gke_gcloud_auth_plugin_cache");
    match cache.exists() {
        true => replace(&cache, "", 0o600),
        false => Ok(()),
    }
}

/// Changes one file, whole or not at all. A file that says it all already is not touched.
fn change(path: &Path, changes: &[Change]) -> Result<(), ConfigError> {
    let old = read_text(path)?;
    let new = edit(old.as_deref().unwrap_or_default(), changes).map_err(|why| {
        ConfigError::new(format!("the kubeconfig {} {why}: it was left as it is", path.display()))
            .hint("make the change by hand, or with kubectl config, which writes the whole file anew")
    })?;
    if old.as_ref() == Some(&new) {
        return Ok(());
    }
    if let Some(old) = &old {
        // Whoever made it read-only meant it, though a rename would get past that.
        std::fs::OpenOptions::new()
            .write(true)
            .open(path)
            .map_err(|error| cannot("write", path, &error).hint(ELSEWHERE))?;
        replace(&beside(path, ".deepdesk-backup"), old, 0o600)?;
    }
    replace(path, &new, 0o600)
}

fn read_text(path: &Path) -> Result<Option<String>, ConfigError> {
    match std::fs::read_to_string(path) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(cannot("read", path, &error)),
    }
}

/// Puts a text in a file's place in one step: written beside it, flushed, renamed. Follows links, and keeps mode and
/// owner of what was there.
pub(super) fn replace(path: &Path, text: &str, mode: u32) -> Result<(), ConfigError> {
    let target = std::fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    let directory = target.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let failed = |error: std::io::Error| cannot("write", path, &error);
    let prefix = format!(".{}.deepdesk-", target.file_name().unwrap_or_default().to_string_lossy());
    remove_leftovers(directory, &prefix);
    let mut file = tempfile::Builder::new().prefix(&prefix).tempfile_in(directory).map_err(failed)?;
    file.write_all(text.as_bytes()).map_err(failed)?;
    #[cfg(unix)]
    {
        use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
        let there = std::fs::metadata(&target).ok();
        let mode = there.as_ref().map_or(mode, |there| there.permissions().mode() & 0o7777);
        if let Some(there) = there {
            // Another owner's file, written by root: it must not become root's. Where that fails it is one's own.
            let _ = std::os::unix::fs::fchown(file.as_file(), Some(there.uid()), Some(there.gid()));
        }
        file.as_file().set_permissions(std::fs::Permissions::from_mode(mode)).map_err(failed)?;
    }
    #[cfg(not(unix))]
    let _ = mode;
    file.as_file().sync_all().map_err(failed)?;
    file.persist(&target).map(|_| ()).map_err(|error| failed(error.error))
}

/// Removes what a run that was killed while it wrote has left: a copy of credentials. One that is being written is young.
fn remove_leftovers(directory: &Path, prefix: &str) {
    let entries = std::fs::read_dir(directory).into_iter().flatten().flatten();
    for entry in entries.filter(|entry| entry.file_name().to_string_lossy().starts_with(prefix)) {
        let age = entry.metadata().and_then(|data| data.modified()).ok().and_then(|at| at.elapsed().ok());
        if age.is_some_and(|age| age > Duration::from_secs(60)) {
            // Where it cannot be removed, it harms nothing but tidiness.
            let _ = std::fs::remove_file(entry.path());
        }
    }
}

fn beside(path: &Path, ending: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(ending);
    name.into()
}

fn cannot(what: &str, path: &Path, error: &std::io::Error) -> ConfigError {
    ConfigError::new(format!("cannot {what} {}: {error}", path.display()))
}
