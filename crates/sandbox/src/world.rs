//! All that the parts of a sandbox share.

use std::hash::{BuildHasher as _, Hash, RandomState};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use tokio::sync::mpsc::UnboundedSender;

use crate::clock::Clock;
use crate::cluster::{ApiServer, Store};
use crate::data::Data;
use crate::doors::Doors;
use crate::faults::Faults;
use crate::history::History;
use crate::lives::Lives;
use crate::log::RequestLog;
use crate::options::Options;
use crate::pod_logs::Logs;
use crate::secret_manager::SecretManager;

/// One sandbox. Nothing of it is the process's: several stand beside each other.
pub struct World {
    pub secret_manager: SecretManager,
    pub cluster: Arc<Store>,
    pub faults: Arc<Faults>,
    /// What was asked, by whom, and how it ended. Never a body.
    pub log: RequestLog,
    /// Further addresses, and what is to happen at their requests.
    pub doors: Doors,
    /// What really happened, in one order.
    pub history: History,
    pub options: Options,
    pub controllers: Shared,
}

/// What the controllers share beside the world's objects.
#[derive(Debug, Default)]
pub struct Shared {
    /// Until the world has settled nothing takes time: it starts as one that has been up for long.
    settled: AtomicBool,
    pub lives: Lives,
    pub logs: Arc<Logs>,
    pub data: Data,
    /// Tells the External Secrets controller to read one object now, by its namespace and name.
    pub sync_requests: OnceLock<UnboundedSender<(String, String)>>,
    hashes: RandomState,
}

impl Shared {
    /// The world is as one that has been up for long: from now on things take time.
    pub fn settle(&self) {
        self.settled.store(true, Ordering::Relaxed);
    }

    pub fn is_settled(&self) -> bool {
        self.settled.load(Ordering::Relaxed)
    }

    /// How long something takes now.
    pub fn delay(&self, delay: Duration) -> Duration {
        if self.is_settled() { delay } else { Duration::ZERO }
    }

    /// A hash that only this world can compute: what stands in an annotation must not help anybody to guess a value.
    pub fn private_hash(&self, of: &impl Hash) -> String {
        format!("{:016x}", self.hashes.hash_one(of))
    }
}

impl World {
    pub fn new(options: Options) -> Self {
        let faults = Arc::new(Faults::new(options.faults.iter().cloned()));
        Self {
            secret_manager: SecretManager::new(Arc::clone(&faults)),
            cluster: Arc::new(Store::new(Clock::new(Arc::clone(&faults)))),
            faults,
            log: RequestLog::default(),
            doors: Doors::default(),
            history: History::default(),
            options,
            controllers: Shared::default(),
        }
    }

    /// What answers for the Kubernetes objects.
    pub fn api_server(&self) -> ApiServer {
        ApiServer {
            store: Arc::clone(&self.cluster),
            faults: Arc::clone(&self.faults),
            logs: Arc::clone(&self.controllers.logs),
        }
    }

    /// The version whose value these bytes are: the account's primary's, else its back-compat's, else another secret's.
    pub fn named(&self, namespace: &str, bytes: &[u8]) -> String {
        let primary = format!("{namespace}_account_secret");
        let back_compat = format!("{primary}_back_compat");
        let mut holders = self.secret_manager.holders(bytes);
        let rank = |secret: &str| match secret {
            _ if secret == primary => 0,
            _ if secret == back_compat => 1,
            _ => 2,
        };
        holders.sort_by_key(|holder| (rank(&holder.secret), std::cmp::Reverse(holder.version)));
        match holders.first() {
            Some(holder) if rank(&holder.secret) == 0 => format!("primary v{}", holder.version),
            Some(holder) if rank(&holder.secret) == 1 => format!("back-compat v{}", holder.version),
            Some(holder) => format!("{} v{}", holder.secret, holder.version),
            None => "unknown".to_owned(),
        }
    }
}
