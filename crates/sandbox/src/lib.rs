//! A small world in one process: a Kubernetes API, External Secrets, workloads and their pods, and Secret Manager.
//!
//! It speaks JSON on the wire and knows nothing of the plugin, so that a fake cannot share a client's mistake.
//! It listens on loopback only.

pub mod accounts;
pub mod cluster;
pub mod container;
mod control;
pub mod controllers;
pub mod data;
pub mod doors;
mod environment;
pub mod faults;
pub mod history;
mod interference;
pub mod log;
pub mod operation;
pub mod secret_manager;
pub mod server;

use std::io;
use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::task::JoinSet;

pub use faults::{Fault, Faults};

/// The project that every account's secrets live in.
pub const PROJECT: &str = "sandbox-project";

/// The accounts that a sandbox has by itself.
pub const ACCOUNTS: [&str; 3] = ["acme", "globex", "initech"];

/// How a sandbox is shaped.
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

/// All that the parts of the sandbox share.
pub struct World {
    /// The secrets and their versions.
    pub secret_manager: Arc<secret_manager::SecretManager>,
    /// The Kubernetes objects.
    pub cluster: Arc<cluster::Store>,
    /// What goes wrong now.
    pub faults: Arc<Faults>,
    /// What was asked, by whom, and how it ended. Never a body.
    pub log: Arc<log::RequestLog>,
    /// Further addresses, and what is to happen at their requests.
    pub doors: doors::Doors,
    /// What really happened, in one order.
    pub history: history::History,
    /// How this sandbox was started.
    pub options: Options,
    /// What the controllers share.
    pub controllers: controllers::Shared,
}

/// Why a sandbox did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The loopback interface gave no port.
    #[error("cannot listen on 127.0.0.1")]
    Listen(#[source] io::Error),
    /// The files of its environment could not be written.
    #[error("cannot write `{}`", .path.display())]
    Write {
        /// The file or directory.
        path: PathBuf,
        /// What the operating system says.
        #[source]
        source: io::Error,
    },
}

/// A running sandbox. Dropping it ends it as well, without waiting.
pub struct Sandbox {
    world: Arc<World>,
    kubernetes_url: String,
    secret_manager_url: String,
    server: JoinSet<()>,
    controllers: JoinSet<()>,
}

impl Sandbox {
    /// Starts a world with its accounts, and answers once it listens.
    pub async fn start(options: Options) -> Result<Sandbox, StartError> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.map_err(StartError::Listen)?;
        let address = listener.local_addr().map_err(StartError::Listen)?;
        let kubernetes_url = format!("http://{address}");
        environment::write(&options, &kubernetes_url)?;

        let faults = Arc::new(Faults::new(options.faults.iter().cloned()));
        let secret_manager = Arc::new(secret_manager::SecretManager::new(Arc::clone(&faults)));
        secret_manager.create_project(PROJECT);
        let world = Arc::new(World {
            secret_manager,
            cluster: Arc::new(cluster::Store::default()),
            faults,
            log: Arc::default(),
            doors: doors::Doors::default(),
            history: history::History::default(),
            options,
            controllers: controllers::Shared::default(),
        });
        // Before the first object has a time: a clock that jumped later would make new what is old.
        cluster::clock::set_ahead(world.faults.seconds("clock-skew"));
        accounts::populate(&world);
        world.history.note(serde_json::json!({ "secrets": world.secret_manager.describe(&world.history) }));
        let controllers = controllers::spawn(Arc::clone(&world));
        controllers::settle(&world, Duration::from_secs(30)).await;
        let mut server = JoinSet::new();
        server.spawn(server::serve(listener, Arc::clone(&world)));
        Ok(Sandbox { world, secret_manager_url: format!("{kubernetes_url}/"), kubernetes_url, server, controllers })
    }

    /// Where the Kubernetes API is.
    pub fn kubernetes_url(&self) -> &str {
        &self.kubernetes_url
    }

    /// Where Secret Manager is. It ends with a slash: gcloud takes nothing else.
    pub fn secret_manager_url(&self) -> &str {
        &self.secret_manager_url
    }

    /// The variables with which kubectl, gcloud and the plugin reach this sandbox and nothing else.
    pub fn environment(&self) -> Vec<(String, String)> {
        environment::variables(&self.world.options, &self.kubernetes_url, &self.secret_manager_url)
    }

    /// The faults, to be changed while it runs.
    pub fn faults(&self) -> &Faults {
        &self.world.faults
    }

    /// Has the pods of every account write that many items a second, all together, and read what others wrote.
    pub fn write_data(&self, per_second: u32) {
        let accounts = self.world.options.account_names();
        accounts.iter().for_each(|account| self.world.controllers.data.write(account, per_second));
    }

    /// What pods wrote and could not read so far, in one line; none when they wrote nothing.
    pub fn data_told(&self) -> Option<String> {
        data::told(&self.world)
    }

    /// Ends it: no request, watch or controller is left when this returns, not even one that a fault holds.
    pub async fn stop(mut self) {
        self.server.shutdown().await;
        self.controllers.shutdown().await;
    }
}

#[cfg(test)]
mod real_clients;
#[cfg(test)]
mod tests;
