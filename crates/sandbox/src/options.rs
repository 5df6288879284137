//! How a sandbox is shaped.

use std::path::PathBuf;
use std::time::Duration;

use crate::faults::Fault;

/// The project that every account's secrets live in.
pub const PROJECT: &str = "sandbox-project";

/// The accounts that a sandbox has by itself.
pub const ACCOUNTS: [&str; 3] = ["acme", "globex", "initech"];

#[derive(Clone, Debug)]
pub struct Options {
    /// How many accounts there are: `acme`, `globex`, `initech`, then `account-004` and so on.
    pub accounts: usize,
    /// How long External Secrets needs for a sync.
    pub sync_delay: Duration,
    /// How long a pod needs from its creation until it is Ready.
    pub pod_start: Duration,
    /// What goes wrong from the start.
    pub faults: Vec<Fault>,
    /// Makes the random choices (never the secret values' secrecy) repeatable.
    pub seed: Option<u64>,
    /// Where the sandbox writes its kubeconfig and gcloud's configuration. Its maker removes it.
    pub directory: PathBuf,
}

impl Options {
    /// The names of the accounts, which are those of their namespaces.
    pub fn account_names(&self) -> Vec<String> {
        (1..=self.accounts)
            .map(|number| match ACCOUNTS.get(number - 1) {
                Some(name) => (*name).to_owned(),
                None => format!("account-{number:03}"),
            })
            .collect()
    }
}
