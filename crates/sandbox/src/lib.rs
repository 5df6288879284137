//! A small world in one process: a Kubernetes API, External Secrets, workloads and their pods, and Secret Manager.
//!
//! It speaks JSON on the wire and knows nothing of the plugin, so that a fake cannot share a client's mistake.
//! It listens on loopback only.

mod accounts;
mod body;
mod class;
mod clock;
mod cluster;
mod container;
mod control;
mod controllers;
mod data;
mod doors;
mod environment;
pub mod faults;
mod google;
mod history;
mod interference;
mod lives;
mod log;
mod operation;
mod options;
mod path;
mod pod_logs;
mod query;
mod secret_manager;
mod server;
mod world;

use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::task::JoinSet;

pub use environment::StartError;
pub use faults::Fault;
use options::PROJECT;
pub use options::{ACCOUNTS, Options};
use world::World;

/// A running sandbox. Dropping it ends it as well, without waiting.
pub struct Sandbox {
    world: Arc<World>,
    kubernetes_url: String,
    /// It ends with a slash: gcloud takes nothing else.
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

        let world = Arc::new(World::new(options));
        world.secret_manager.create_project(PROJECT);
        accounts::populate(&world);
        world.history.note(serde_json::json!({ "secrets": world.secret_manager.describe(&world.history) }));
        let controllers = controllers::spawn(Arc::clone(&world));
        controllers::settle(&world, Duration::from_secs(30)).await;
        let mut server = JoinSet::new();
        server.spawn(server::serve(listener, Arc::clone(&world)));
        Ok(Sandbox { world, secret_manager_url: format!("{kubernetes_url}/"), kubernetes_url, server, controllers })
    }

    /// The variables with which kubectl, gcloud and the plugin reach this sandbox and nothing else.
    pub fn environment(&self) -> Vec<(String, String)> {
        environment::variables(&self.world.options, &self.kubernetes_url, &self.secret_manager_url)
    }

    /// Has the pods of every account write that many items a second, all together, and read what others wrote.
    pub fn write_data(&self, per_second: u32) {
        let accounts = self.world.options.account_names();
        accounts.iter().for_each(|account| self.world.controllers.data.write(account, per_second));
    }

    /// What pods wrote and could not read so far, in one line; none when they wrote nothing.
    pub fn data_told(&self) -> Option<String> {
        self.world.controllers.data.told()
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
