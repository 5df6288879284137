//! Whether the cluster serves the API of External Secrets that this program speaks: without it nothing can be seen or done.

use crate::clients::cluster::{Cluster, ExternalSecretsApi};
use deepdesk_protocol::problem::{Problem, Reason};

/// Reasons of the problems below, which `check` asks about by an id of its own.
pub const REASONS: [Reason; 2] = [Reason::NoExternalSecrets, Reason::OldExternalSecrets];

/// Fails where External Secrets is not installed, or too old: objects of `v1beta1` are of controllers that no test of ours runs, so
/// nobody could say that a rotation comes to its end with them.
pub async fn external_secrets(cluster: &Cluster, context: &str) -> Result<(), Problem> {
    let [none, old] = REASONS;
    match cluster.external_secrets_api().await? {
        ExternalSecretsApi::V1 => Ok(()),
        ExternalSecretsApi::OnlyV1beta1 => {
            let line = "this cluster serves the API of External Secrets only as v1beta1, and v1 is needed";
            let hint = "upgrade External Secrets to 0.16 or newer, which serves v1, then the same command";
            Err(Problem::new(old, line).hint(hint))
        }
        ExternalSecretsApi::Missing => {
            let line = "this cluster has no External Secrets (no API group external-secrets.io)";
            let context = if context.is_empty() { "this" } else { context };
            Err(Problem::new(none, line).hint(format!("is {context} the right context?")))
        }
    }
}
