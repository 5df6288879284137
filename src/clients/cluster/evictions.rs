//! Evictions: a pod is asked to go, where its PodDisruptionBudgets allow that just now.

use k8s_openapi::api::core::v1::Pod;
use kube::Resource;
use serde_json::json;

use super::Cluster;
use super::requests::to_json;
use crate::clients::error::{ApiError, ApiErrorKind};
use crate::clients::retry::Repeat;

/// What came of an eviction.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Evicted {
    /// The pod is on its way out, or gone.
    Yes,
    /// A PodDisruptionBudget does not allow it now, in the server's words.
    NotNow(String),
}

impl Cluster {
    /// Asks for the eviction of a pod, once.
    pub async fn evict(&self, pod: &str) -> Result<Evicted, ApiError> {
        let path = format!("{}/{pod}/eviction", Pod::url_path(&(), Some(self.namespace.as_str())));
        let operation = self.operation("evict", "pod", pod);
        let eviction = json!({
            "apiVersion": "policy/v1",
            "kind": "Eviction",
            "metadata": {"name": pod, "namespace": self.namespace.as_str()},
        });
        let query = if self.dry_run { "?dryRun=All" } else { "" };
        let request = http::Request::post(format!("{path}{query}"))
            .header(http::header::CONTENT_TYPE, "application/json")
            .body(to_json(&operation, &eviction)?);
        match self.write(&operation, request, Repeat::Unreached).await {
            Ok(_) => Ok(Evicted::Yes),
            Err(error) if error.kind == ApiErrorKind::NotFound => Ok(Evicted::Yes),
            // A budget says no, or the server is busy: both mean later.
            Err(error) if error.kind == ApiErrorKind::TooManyRequests => Ok(Evicted::NotNow(error.message)),
            // Whether it was done the pod itself tells.
            Err(error) if error.is_outcome_unknown() && !matches!(error.kind, ApiErrorKind::Fenced { .. }) => {
                Ok(Evicted::NotNow(error.to_string()))
            }
            Err(error) => Err(error),
        }
    }
}
