//! Google Kubernetes Engine, over Google's client: what `get-credentials` needs to know of a cluster.

use google_cloud_container_v1::client::ClusterManager;
use google_cloud_container_v1::model;
use google_cloud_gax::error::Error as GoogleError;
use google_cloud_gax::options::RequestOptionsBuilder;
use google_cloud_gax::retry_policy::NeverRetry;
use http::Method;

use super::credentials::Resolved;
use super::ear::{self, Ear};
use super::endpoint::Endpoint;
use super::error::{ApiError, Service};
use super::fence::Fence;
use super::google::{Caller, unredirected};
use super::retry::{Repeat, Retry};

/// Google's endpoint.
const GOOGLE: &str = "https://container.googleapis.com";

/// Google Kubernetes Engine's API.
pub struct Container {
    url: String,
    client: ClusterManager,
    caller: Caller,
    retry: Retry,
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
    /// Its membership in a fleet, such as `projects/12/locations/global/memberships/prod`; none where it is a member of none.
    pub membership: Option<String>,
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
        let url = endpoint.overridden().unwrap_or(GOOGLE).to_owned();
        let (caller, retry) = (Caller::new(Service::Container, endpoint, resolved, ear), Retry::default());
        let building = unredirected(ClusterManager::builder())
            .with_endpoint(&url)
            .with_credentials(caller.credentials())
            .with_retry_policy(NeverRetry)
            .build();
        let client = caller.connect("connect", &url, retry.attempt, building).await?;
        Ok(Container { url, client, caller, retry })
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
            .run(Repeat::Unanswered, |within| {
                let sent = send(self.caller.prepare(make(), within));
                let url = || ear::shown(&self.url.parse().unwrap_or_default(), &format!("/v1/{path}"));
                self.caller.attempt(operation, &Method::GET, url, within, &Fence::OPEN, sent)
            })
            .await
    }
}

impl From<model::Cluster> for GkeCluster {
    fn from(cluster: model::Cluster) -> GkeCluster {
        let endpoints = cluster.control_plane_endpoints_config.unwrap_or_default();
        // `//gkehub.googleapis.com/projects/…`
        let membership = cluster
            .fleet
            .map(|fleet| fleet.membership)
            .and_then(|name| Some(name.split_once("projects/")?.1.to_owned()).map(|rest| format!("projects/{rest}")));
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
            membership,
            name: cluster.name,
        }
    }
}

fn private_endpoint(config: model::PrivateClusterConfig) -> String {
    #[expect(deprecated, reason = "gcloud writes this address")]
    let endpoint = config.private_endpoint;
    endpoint
}
