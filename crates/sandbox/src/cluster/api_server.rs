//! What the REST API of Kubernetes is made of: it is not given the rest of the world.

use std::sync::Arc;

use super::store::Store;
use crate::faults::Faults;
use crate::pod_logs::Logs;

#[derive(Clone, Debug)]
pub struct ApiServer {
    pub store: Arc<Store>,
    pub faults: Arc<Faults>,
    pub logs: Arc<Logs>,
}
