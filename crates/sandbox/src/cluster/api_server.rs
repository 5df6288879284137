//! What the REST API of Kubernetes is made of: it is not given the rest of the world.

use std::sync::Arc;

use super::store::Store;
use crate::faults::Faults;
use crate::pod_logs::Logs;

/// The server's parts.
#[derive(Clone, Debug)]
pub struct ApiServer {
    /// The objects.
    pub store: Arc<Store>,
    /// What goes wrong now.
    pub faults: Arc<Faults>,
    /// What containers wrote.
    pub logs: Arc<Logs>,
}
