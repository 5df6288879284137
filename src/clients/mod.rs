//! The only code that knows HTTP: Secret Manager, the cluster, and the credentials for both.
//!
//! Imports only `domain`. Decides how a request is sent, bounded and repeated; never what should be done.

pub mod advice;
pub mod cluster;
pub mod container;
pub mod credentials;
pub mod custom_ca;
pub mod ear;
pub mod endpoint;
pub mod error;
pub mod fence;
pub mod gcloud;
pub mod gcloud_proxy;
mod google;
pub mod known;
pub mod kubeconfig;
mod patience;
mod program;
pub mod proxy;
mod rate_limit;
mod retry;
pub mod secret_manager;
#[cfg(test)]
mod testing;
pub mod trouble;
mod yaml;

/// What every request says it comes from.
pub const USER_AGENT: &str = concat!("kubectl-deepdesk/", env!("CARGO_PKG_VERSION"));

/// The clients panic without a provider of TLS. The one that `main` installed stays.
fn ensure_tls_provider() {
    // An error says that there is one already.
    let _ = rustls::crypto::ring::default_provider().install_default();
}
