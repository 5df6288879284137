//! The settings file: names that differ from the runbook's, and contexts that ask twice.

use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::environment::Environment;
use deepdesk_protocol::problem::{Problem, Reason};

/// `settings.yaml`. Flags win over it.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Settings {
    /// Contexts (`*` stands for any text) in which a rotation asks for the account's name to be typed.
    #[serde(default)]
    pub protected_contexts: Vec<String>,
    /// Whether `--yes` alone will do, where nobody is there to type a name.
    #[serde(default)]
    pub allow_unattended: bool,
    /// The primary's id; `{account}` is replaced.
    pub primary_secret: Option<String>,
    /// The back-compat's id; `{account}` is replaced.
    pub back_compat_secret: Option<String>,
    /// ExternalSecrets that must be among those found.
    #[serde(default)]
    pub external_secrets: Vec<String>,
    /// Workloads that must be among those found, as `kind/name`.
    #[serde(default)]
    pub workloads: Vec<String>,
    /// The file they were read from; none when there was none.
    #[serde(skip)]
    pub path: Option<PathBuf>,
}

/// Reads the settings file that was asked for, or the usual one if there is one.
pub fn read(asked: Option<&Path>, environment: &Environment) -> Result<Settings, Problem> {
    let Some(path) = asked.map(PathBuf::from).or_else(|| usual_path(environment).filter(|path| path.exists())) else {
        return Ok(Settings::default());
    };
    let problem = |what: String| {
        Problem::new(Reason::Settings, format!("settings file {}: {what}", path.display())).hint(
            "its keys: protectedContexts, allowUnattended, primarySecret, backCompatSecret, externalSecrets, workloads",
        )
    };
    let text = std::fs::read_to_string(&path).map_err(|error| problem(error.to_string()))?;
    // The parser quotes what it stumbled over, however long that is.
    let first_line = |error: String| error.lines().next().unwrap_or_default().chars().take(200).collect::<String>();
    let read: Result<Settings, _> = serde_saphyr::from_str(&text);
    let settings = read.map_err(|error| problem(first_line(error.to_string())))?;
    Ok(Settings { path: Some(path), ..settings })
}

/// `$XDG_CONFIG_HOME/kubectl-deepdesk/settings.yaml`, by default under `~/.config`; on Windows under `%APPDATA%`.
fn usual_path(environment: &Environment) -> Option<PathBuf> {
    let windows = if cfg!(windows) { environment.get("APPDATA").map(PathBuf::from) } else { None };
    let configuration = environment.get("XDG_CONFIG_HOME").map(PathBuf::from);
    let directory = configuration.or(windows).or_else(|| environment.home().map(|home| home.join(".config")))?;
    Some(directory.join("kubectl-deepdesk").join("settings.yaml"))
}

impl Settings {
    /// Whether the context is one that asks twice.
    pub fn protects(&self, context: &str) -> bool {
        self.protected_contexts.iter().any(|pattern| matches(pattern, context))
    }
}

/// Whether `text` fits a pattern in which `*` stands for any text, also none.
fn matches(pattern: &str, text: &str) -> bool {
    let mut parts = pattern.split('*');
    let first = parts.next().unwrap_or_default();
    let Some(mut rest) = text.strip_prefix(first) else { return false };
    let mut parts: Vec<&str> = parts.collect();
    let Some(last) = parts.pop() else { return rest.is_empty() };
    for part in parts {
        let Some(at) = rest.find(part) else { return false };
        rest = &rest[at + part.len()..];
    }
    rest.ends_with(last)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_stands_for_any_text() {
        let cases = [
            ("prod", "prod", true),
            ("prod", "prod-1", false),
            ("*prod*", "gke_p_l_prod-1", true),
            ("gke_*_prod", "gke_a_b_prod", true),
            ("gke_*_prod", "gke_a_b_prod2", false),
            ("*", "", true),
            ("a*a", "a", false),
        ];
        for (pattern, text, fits) in cases {
            assert_eq!(matches(pattern, text), fits, "{pattern} {text}");
        }
    }

    #[test]
    fn unknown_keys_are_refused_with_the_known_ones() {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let path = directory.path().join("settings.yaml");
        std::fs::write(&path, "protectedContexts: ['*prod*']\nprimarySecret: '{account}-key'\n").expect("written");
        let settings = read(Some(&path), &Environment::default()).expect("fit settings");
        assert!(settings.protects("gke_prod_1"));
        std::fs::write(&path, "protectedContext: x\n").expect("written");
        let problem = read(Some(&path), &Environment::default()).expect_err("a typo");
        assert_eq!(problem.reason, Reason::Settings);
        assert!(problem.hints[0].to_string().contains("protectedContexts"), "{problem:?}");
        std::fs::write(&path, format!("{}: 1\n", "x".repeat(5000))).expect("written");
        let problem = read(Some(&path), &Environment::default()).expect_err("another typo");
        assert!(problem.message.len() < 600, "{problem:?}");
    }
}
