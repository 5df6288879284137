//! What was current before: the context of each kubeconfig, and the namespace of each context. For `use -`.
//!
//! One small file for each kubeconfig, in the state directory. It is written under that kubeconfig's lock, and one that
//! cannot be read counts as empty: it is a convenience, and nothing depends on it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::write::{Locked, replace};
use crate::clients::error::ConfigError;
use crate::environment::Environment;

/// What was current before.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub struct Previous {
    /// Of which kubeconfig: a file's name is too short to say.
    kubeconfig: String,
    /// The context before the current one.
    #[serde(default)]
    pub context: Option<String>,
    /// By context: the namespace before its current one.
    #[serde(default)]
    pub namespaces: BTreeMap<String, String>,
}

/// Reads what was noted of this kubeconfig.
pub fn read(locked: &Locked, env: &Environment) -> Previous {
    let kubeconfig = locked.identity();
    let text = path(&kubeconfig, env).and_then(|path| std::fs::read_to_string(path).ok());
    let noted = text.and_then(|text| serde_json::from_str::<Previous>(&text).ok());
    noted.filter(|noted| noted.kubeconfig == kubeconfig).unwrap_or(Previous { kubeconfig, ..Previous::default() })
}

/// Notes it.
pub fn write(previous: &Previous, env: &Environment) -> Result<(), ConfigError> {
    let Some(path) = path(&previous.kubeconfig, env) else { return Ok(()) };
    let directory = path.parent().unwrap_or(Path::new("."));
    let mut builder = std::fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder
        .create(directory)
        .map_err(|error| ConfigError::new(format!("cannot make {}: {error}", directory.display())))?;
    let text = serde_json::to_string(previous).map_err(|_| ConfigError::new("the state cannot be written"))?;
    replace(&path, &text, 0o600)
}

/// Where the state of this kubeconfig is kept; none where there is no home.
fn path(kubeconfig: &str, env: &Environment) -> Option<PathBuf> {
    let absolute = env.get("XDG_STATE_HOME").map(PathBuf::from).filter(|path| path.is_absolute());
    let state = match absolute {
        Some(path) => path,
        None if cfg!(windows) => PathBuf::from(env.get("LOCALAPPDATA")?),
        None => env.home()?.join(".local").join("state"),
    };
    Some(state.join("kubectl-deepdesk").join(format!("previous-{:016x}.json", fnv1a(kubeconfig))))
}

/// A name for a text, the same in every build (FNV-1a); the standard library's hash is not.
fn fnv1a(text: &str) -> u64 {
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}
