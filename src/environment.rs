//! The environment variables, read once by `main` and handed on, so that nothing below it reads the process's own.

use std::collections::BTreeMap;
use std::path::PathBuf;

/// The environment variables that a run sees. `Debug` shows names only: a value may be a token.
#[derive(Clone, Default)]
pub struct Environment {
    variables: BTreeMap<String, String>,
    /// Whether names are Windows' own, which differ in nothing by their case: what is `PATH` elsewhere is `Path` there.
    windows: bool,
}

impl Environment {
    /// The variable's value; an empty one counts as not set, as gcloud and kubectl have it.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.find(name).filter(|value| !value.is_empty())
    }

    /// Whether the variable is set, and empty: to gcloud that hides what its files say.
    pub fn is_empty(&self, name: &str) -> bool {
        self.find(name).is_some_and(str::is_empty)
    }

    /// Whether the variable is set to something that gcloud reads as yes (`1`, `true`, `yes`, `on`).
    pub fn is_on(&self, name: &str) -> bool {
        self.get(name).is_some_and(|value| matches!(value.to_ascii_lowercase().as_str(), "1" | "true" | "yes" | "on"))
    }

    /// The home directory: `HOME`, on Windows `USERPROFILE`. kubectl's may be another one there (`clients::kubeconfig`).
    pub fn home(&self) -> Option<PathBuf> {
        self.get("HOME").or_else(|| self.get("USERPROFILE")).map(PathBuf::from)
    }

    /// Whether it is Windows' environment.
    pub fn is_windows(&self) -> bool {
        self.windows
    }

    fn find(&self, name: &str) -> Option<&str> {
        let found = match self.windows {
            true => self.variables.get(&name.to_ascii_uppercase()),
            false => self.variables.get(name),
        };
        found.map(String::as_str)
    }

    fn of(variables: impl Iterator<Item = (String, String)>, windows: bool) -> Environment {
        let folded =
            |(name, value): (String, String)| if windows { (name.to_ascii_uppercase(), value) } else { (name, value) };
        Environment { variables: variables.map(folded).collect(), windows }
    }

    /// The environment as it would be on Windows, wherever the test runs.
    #[cfg(test)]
    pub fn of_windows(variables: &[(&str, &str)]) -> Environment {
        Environment::of(variables.iter().map(|(name, value)| (name.to_string(), value.to_string())), true)
    }
}

impl<N: Into<String>, V: Into<String>> FromIterator<(N, V)> for Environment {
    fn from_iter<I: IntoIterator<Item = (N, V)>>(variables: I) -> Self {
        Environment::of(variables.into_iter().map(|(name, value)| (name.into(), value.into())), cfg!(windows))
    }
}

impl std::fmt::Debug for Environment {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_set().entries(self.variables.keys()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_differ_by_case_except_on_windows() {
        let windows = Environment::of_windows(&[("Path", "C:\\bin"), ("ComSpec", "cmd.exe"), ("https_proxy", "")]);
        assert_eq!(windows.get("PATH"), Some("C:\\bin"));
        assert_eq!(windows.get("comspec"), Some("cmd.exe"));
        assert!(windows.is_empty("HTTPS_PROXY"));
        let unix = Environment::of([("Path".to_owned(), "/bin".to_owned())].into_iter(), false);
        assert_eq!((unix.get("PATH"), unix.get("Path")), (None, Some("/bin")));
    }
}
