//! Google Kubernetes Engine, over Google's client: what `get-credentials` needs to know of a cluster.

use std::time::Duration;

use google_cloud_auth::credentials::{Credentials, anonymous};
use google_cloud_container_v1::client::ClusterManager;
use google_cloud_container_v1::model;
use google_cloud_gax::error::Error as GoogleError;
use google_cloud_gax::options::RequestOptionsBuilder;
use google_cloud_gax::retry_policy::NeverRetry;
use http::Method;

use super::credentials::Resolved;
use super::ear::{self, Ear};
use super::endpoint::Endpoint;
use super::error::{ApiError, ApiErrorKind, Service};
use super::proxy::diverts_loopback;
use super::retry::{Failure, Repeat, Retry};
use super::secret_manager::wire::{credentials_failure, failure};
use super::{USER_AGENT, ensure_tls_provider};

/// Google's endpoint.
const GOOGLE: &str = "https://container.googleapis.com";

/// Google Kubernetes Engine's API.
pub struct Container {
    url: String,
    client: ClusterManager,
    credentials: Credentials,
    quota_project: Option<String>,
    retry: Retry,
    ear: Ear,
}

/// What a kubeconfig entry is made of.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct GkeCluster {
    /// Its name.
    pub name: String,
    /// Its region or zone.
    pub location: String,
    /// Its state, such as `RUNNING`.
    pub status: String,
    /// The address of the control plane; empty while there is none.
    pub endpoint: String,
    /// The base64 of the certificate authority's certificate; empty where it is missing.
    pub certificate_authority: String,
    /// The address inside the network; none for a cluster without such, empty while there is none.
    pub private_endpoint: Option<String>,
    /// Whether it can be reached by address; none where the answer does not say.
    pub ip_endpoints: Option<bool>,
    /// The DNS-based endpoint, if there is such a thing.
    pub dns: Option<DnsEndpoint>,
}

/// A DNS-based endpoint.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct DnsEndpoint {
    /// Its name; may be empty.
    pub endpoint: String,
    /// Whether it answers outside of Google Cloud.
    pub external: bool,
}

impl Container {
    /// A client for this endpoint with these credentials. Nothing is sent yet.
    pub async fn connect(endpoint: &Endpoint, resolved: Resolved, ear: Ear) -> Result<Container, ApiError> {
        let failed = |kind, message: &str| ApiError::new(Service::Container, "connect", kind, message);
        let url = endpoint.overridden().unwrap_or(GOOGLE).to_owned();
        // A token for a plain endpoint would go over the wire in the clear.
        let (credentials, quota_project) = match endpoint.is_plain() {
            true => (anonymous::Builder::new().build(), None),
            false => (resolved.credentials, resolved.quota_project),
        };
        if endpoint.is_plain()
            && let Some(variable) = diverts_loopback(&url, |name| std::env::var(name).ok())
        {
            let message = format!("{variable} would divert it to a proxy; set NO_PROXY=127.0.0.1,localhost");
            return Err(failed(ApiErrorKind::Invalid, &message));
        }
        ensure_tls_provider();
        let building = ClusterManager::builder()
            .with_endpoint(url.clone())
            .with_credentials(credentials.clone())
            .with_retry_policy(NeverRetry)
            .build();
        let retry = Retry::default();
        let client = tokio::time::timeout(retry.attempt, building)
            .await
            .map_err(|_| failed(ApiErrorKind::Unreachable, "the credentials do not answer"))?
            .map_err(|_| {
                failed(ApiErrorKind::Invalid, "the client cannot be set up: certificates, proxy or universe domain")
            })?;
        Ok(Container { url, client, credentials, quota_project, retry, ear })
    }

    /// Reads one cluster.
    pub async fn cluster(&self, project: &str, location: &str, name: &str) -> Result<GkeCluster, ApiError> {
        let resource = format!("projects/{project}/locations/{location}/clusters/{name}");
        let request = || self.client.get_cluster().set_name(&resource);
        let cluster = self.call(&format!("get cluster {name}"), &resource, request, |request| request.send()).await?;
        Ok(GkeCluster::from(cluster))
    }

    /// The clusters of a project: name and location of each.
    pub async fn clusters(&self, project: &str) -> Result<Vec<(String, String)>, ApiError> {
        let parent = format!("projects/{project}/locations/-");
        let path = format!("{parent}/clusters");
        let request = || self.client.list_clusters().set_parent(&parent);
        let answer = self.call("list clusters", &path, request, |request| request.send()).await?;
        Ok(answer.clusters.into_iter().map(GkeCluster::from).map(|one| (one.name, one.location)).collect())
    }

    async fn call<B, F, T>(
        &self,
        operation: &str,
        path: &str,
        make: impl Fn() -> B,
        send: impl Fn(B) -> F,
    ) -> Result<T, ApiError>
    where
        B: RequestOptionsBuilder,
        F: Future<Output = Result<T, GoogleError>>,
    {
        self.retry
            .run(Repeat::WhenNotAnswered, |within| {
                let request = make().with_user_agent(USER_AGENT).with_attempt_timeout(within);
                let request = match &self.quota_project {
                    Some(project) => request.with_quota_project(project),
                    None => request,
                };
                self.attempt(operation, path, within, send(request))
            })
            .await
    }

    async fn attempt<T>(
        &self,
        operation: &str,
        path: &str,
        within: Duration,
        sent: impl Future<Output = Result<T, GoogleError>>,
    ) -> Result<T, Failure> {
        // The token by itself: whose failure it is must be told from the service's.
        match tokio::time::timeout(within, self.credentials.headers(http::Extensions::new())).await {
            Ok(Ok(_)) => {}
            Ok(Err(error)) => return Err(credentials_failure(operation, &error).into()),
            Err(_) => {
                let message = "no token in time";
                return Err(ApiError::new(Service::Credentials, operation, ApiErrorKind::Unreachable, message).into());
            }
        }
        let url = || ear::shown(&self.url.parse().unwrap_or_default(), &format!("/v1/{path}"));
        let sending = self.ear.sending(&Method::GET, url);
        match tokio::time::timeout(within + Duration::from_secs(1), sent).await {
            Ok(Ok(answer)) => {
                sending.answered(200);
                Ok(answer)
            }
            Ok(Err(error)) => {
                if let Some(status) = error.http_status_code() {
                    sending.answered(status);
                }
                Err(failure(Service::Container, operation, &error))
            }
            Err(_) => Err(ApiError::new(Service::Container, operation, ApiErrorKind::Timeout, "").into()),
        }
    }
}

impl From<model::Cluster> for GkeCluster {
    fn from(cluster: model::Cluster) -> GkeCluster {
        let endpoints = cluster.control_plane_endpoints_config.unwrap_or_default();
        let authority = cluster.master_auth.map(|auth| auth.cluster_ca_certificate);
        #[expect(deprecated, reason = "gcloud names the entry by this field, and older answers have no other")]
        let zone = cluster.zone;
        GkeCluster {
            status: cluster.status.name().unwrap_or("UNKNOWN").to_owned(),
            private_endpoint: cluster.private_cluster_config.map(private_endpoint),
            ip_endpoints: endpoints.ip_endpoints_config.map(|ip| ip.enabled.unwrap_or(false)),
            dns: endpoints.dns_endpoint_config.map(|dns| DnsEndpoint {
                endpoint: dns.endpoint,
                external: dns.allow_external_traffic.unwrap_or(false),
            }),
            location: if zone.is_empty() { cluster.location } else { zone },
            certificate_authority: authority.unwrap_or_default(),
            endpoint: cluster.endpoint,
            name: cluster.name,
        }
    }
}

fn private_endpoint(config: model::PrivateClusterConfig) -> String {
    #[expect(deprecated, reason = "gcloud writes this address")]
    let endpoint = config.private_endpoint;
    endpoint
}
