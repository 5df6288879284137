//! The files and variables with which kubectl and gcloud reach the sandbox, and nothing else.

use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use crate::options::{Options, PROJECT};

/// Why a sandbox did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The loopback interface gave no port.
    #[error("cannot listen on 127.0.0.1")]
    Listen(#[source] io::Error),
    /// The files of its environment could not be written.
    #[error("cannot write `{}`", .path.display())]
    Write {
        path: PathBuf,
        /// What the operating system says.
        #[source]
        source: io::Error,
    },
}

fn kubeconfig(options: &Options) -> PathBuf {
    options.directory.join("kubeconfig")
}

fn gcloud(options: &Options) -> PathBuf {
    options.directory.join("gcloud")
}

fn kube_cache(options: &Options) -> PathBuf {
    options.directory.join("kube-cache")
}

/// Writes the kubeconfig and makes the directories that the variables name.
pub(super) fn write(options: &Options, server: &str) -> Result<(), StartError> {
    let failed = |path: &Path| {
        let path = path.to_owned();
        move |source: io::Error| StartError::Write { path, source }
    };
    for directory in [options.directory.clone(), gcloud(options), kube_cache(options)] {
        fs::create_dir_all(&directory).map_err(failed(&directory))?;
    }
    let path = kubeconfig(options);
    write_private(&path, &kubeconfig_text(options, server)).map_err(failed(&path))
}

/// Nobody but its owner reads the file, not even while it is written.
fn write_private(path: &Path, text: &str) -> io::Result<()> {
    let mut open = fs::OpenOptions::new();
    open.write(true).create(true).truncate(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt as _;
        open.mode(0o600);
    }
    open.open(path)?.write_all(text.as_bytes())
}

fn kubeconfig_text(options: &Options, server: &str) -> String {
    let names = options.account_names();
    let contexts: String = names
        .iter()
        .map(|name| {
            format!(
                "- name: sandbox-{name}\n  context:\n    cluster: sandbox\n    namespace: {name}\n    user: sandbox\n"
            )
        })
        .collect();
    let contexts = if contexts.is_empty() { "contexts: []\n".to_owned() } else { format!("contexts:\n{contexts}") };
    let current = names.first().map_or_else(String::new, |name| format!("sandbox-{name}"));
    // No credentials: plain http and nothing to steal go together.
    format!(
        "apiVersion: v1\nkind: Config\nclusters:\n- name: sandbox\n  cluster:\n    server: {server}\n{contexts}\
         current-context: \"{current}\"\nusers:\n- name: sandbox\n  user: {{}}\n"
    )
}

/// The variables, each with its value.
pub(super) fn variables(options: &Options, kubernetes: &str, google: &str) -> Vec<(String, String)> {
    let path = |path: PathBuf| path.to_string_lossy().into_owned();
    // A proxy in the environment must not get to see loopback.
    let direct = "127.0.0.1,localhost";
    [
        ("KUBECONFIG", path(kubeconfig(options))),
        // Otherwise kubectl leaves what it found out about this server in the home directory.
        ("KUBECACHEDIR", path(kube_cache(options))),
        ("CLOUDSDK_CONFIG", path(gcloud(options))),
        // A configuration that the user has activated by name does not exist in our directory.
        ("CLOUDSDK_ACTIVE_CONFIG_NAME", "default".to_owned()),
        ("CLOUDSDK_CORE_PROJECT", PROJECT.to_owned()),
        ("CLOUDSDK_API_ENDPOINT_OVERRIDES_SECRETMANAGER", google.to_owned()),
        ("CLOUDSDK_API_ENDPOINT_OVERRIDES_CONTAINER", google.to_owned()),
        ("CLOUDSDK_AUTH_DISABLE_CREDENTIALS", "true".to_owned()),
        ("CLOUDSDK_CORE_DISABLE_PROMPTS", "1".to_owned()),
        ("CLOUDSDK_CORE_DISABLE_USAGE_REPORTING", "true".to_owned()),
        ("CLOUDSDK_COMPONENT_MANAGER_DISABLE_UPDATE_CHECK", "true".to_owned()),
        ("NO_PROXY", direct.to_owned()),
        ("no_proxy", direct.to_owned()),
        // The control paths are under `/sandbox/v1/` there. It stays the last one: who reads the exports waits for it.
        ("DEEPDESK_SANDBOX_URL", kubernetes.to_owned()),
    ]
    .map(|(name, value)| (name.to_owned(), value))
    .to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn options(accounts: usize) -> Options {
        Options {
            accounts,
            sync_delay: Duration::ZERO,
            pod_start: Duration::ZERO,
            faults: Vec::new(),
            seed: None,
            directory: PathBuf::from("d"),
        }
    }

    #[test]
    fn each_account_has_a_context() {
        let expected = "apiVersion: v1\nkind: Config\nclusters:\n- name: sandbox\n  cluster:\n    server: http://127.0.0.1:1\n\
             contexts:\n- name: sandbox-acme\n  context:\n    cluster: sandbox\n    namespace: acme\n    user: sandbox\n\
             - name: sandbox-globex\n  context:\n    cluster: sandbox\n    namespace: globex\n    user: sandbox\n\
             current-context: \"sandbox-acme\"\nusers:\n- name: sandbox\n  user: {}\n";
        assert_eq!(kubeconfig_text(&options(2), "http://127.0.0.1:1"), expected);
        assert!(kubeconfig_text(&options(0), "http://127.0.0.1:1").contains("contexts: []\ncurrent-context: \"\"\n"));
        assert_eq!(options(5).account_names(), ["acme", "globex", "initech", "account-004", "account-005"]);
    }
}
