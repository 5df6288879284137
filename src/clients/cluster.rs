//! The account's namespace in the cluster, over the Kubernetes API.
//!
//! Requests are built with kube and sent by our own code (`http`): kube's repeats writes, logs bodies, and hides the
//! headers that say when to come back.

mod evictions;
mod http;
mod jobs;
mod objects;
pub mod pulse;
mod requests;
mod version;
// The tests' plugins are shell scripts.
#[cfg(all(test, unix))]
mod tests;

use std::collections::BTreeMap;
use std::sync::Arc;

use ::http::Request;
use futures::{StreamExt, TryStreamExt};
use jiff::Timestamp;
use k8s_openapi::api::authentication::v1::SelfSubjectReview;
use k8s_openapi::api::authorization::v1::{ResourceAttributes, SelfSubjectAccessReview, SelfSubjectAccessReviewSpec};
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::{Event, EventSource, ObjectReference, Secret};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use k8s_openapi::{ClusterResourceScope, NamespaceResourceScope};
use kube::Resource;
use kube::core::{ApiResource, DynamicObject, GroupVersionKind};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::json;
use tokio::sync::OnceCell;

pub use self::evictions::Evicted;
use self::http::{Connection, kubernetes_error};
pub use self::jobs::{LogLine, PodLog};
pub use self::objects::{EventNote, KubernetesSecret};
use self::pulse::{Pulse, Watched};
use self::requests::{found, to_json};
use super::ear::Ear;
use super::error::{ApiError, ApiErrorKind};
use super::fence::Fence;
use super::kubeconfig::KubeTarget;
use super::retry::{Repeat, date};
use deepdesk_protocol::facts::names::{AccountName, WorkloadRef};

/// The account's namespace in the cluster. Clones share the connections.
#[derive(Clone)]
pub struct Cluster {
    connection: Connection,
    namespace: AccountName,
    external_secrets_api: Arc<OnceCell<ExternalSecretsApi>>,
    dry_run: bool,
    /// What each attempt of a patch or a Job asks; nothing but for who holds the lock.
    fence: Fence,
}

impl std::fmt::Debug for Cluster {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Cluster").field("namespace", &self.namespace).finish_non_exhaustive()
    }
}

/// Which versions of External Secrets' API the cluster serves.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum ExternalSecretsApi {
    /// `v1`.
    V1,
    /// `v1beta1` alone: an installation older than 0.16.
    OnlyV1beta1,
    /// None: External Secrets is not installed.
    Missing,
}

/// A question to the API server: may I?
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Access {
    /// Such as `get`.
    pub verb: String,
    /// The API group; empty for the core.
    pub group: String,
    /// The plural, such as `secrets`.
    pub resource: String,
    /// Such as `status`.
    pub subresource: Option<String>,
    /// The object; none for all.
    pub name: Option<String>,
    /// Whether it is asked for the account's namespace, or for the cluster.
    pub cluster_wide: bool,
}

impl Access {
    /// May I do this to all of these in the account's namespace?
    pub fn to(verb: &str, group: &str, resource: &str) -> Access {
        Access {
            verb: verb.to_owned(),
            group: group.to_owned(),
            resource: resource.to_owned(),
            subresource: None,
            name: None,
            cluster_wide: false,
        }
    }
}

/// API group of External Secrets.
const EXTERNAL_SECRETS: &str = "external-secrets.io";

fn external_secrets_kind(kind: &str, plural: &str) -> ApiResource {
    ApiResource::from_gvk_with_plural(&GroupVersionKind::gvk(EXTERNAL_SECRETS, "v1", kind), plural)
}

impl Cluster {
    /// A client for the account's namespace. Nothing is sent yet. Needs a runtime of tokio around it.
    pub fn connect(target: &KubeTarget, namespace: &AccountName) -> Result<Cluster, ApiError> {
        let connection = Connection::new(target)?;
        Ok(Cluster {
            connection,
            namespace: namespace.clone(),
            external_secrets_api: Arc::default(),
            dry_run: false,
            fence: Fence::OPEN,
        })
    }

    /// The same, but that this hears of each request.
    pub fn heard_by(mut self, ear: Ear) -> Cluster {
        self.connection.ear = ear;
        self
    }

    /// The same, but that nothing is repeated, and each request has this long.
    pub fn once(mut self, limit: std::time::Duration) -> Cluster {
        self.connection.once(limit);
        self
    }

    /// The same cluster, connections and credentials, another account.
    pub fn for_account(&self, namespace: &AccountName) -> Cluster {
        Cluster { namespace: namespace.clone(), ..self.clone() }
    }

    /// The same, but that the API server judges each patch without doing it (`dryRun=All`).
    pub fn as_dry_run(&self) -> Cluster {
        Cluster { dry_run: true, ..self.clone() }
    }

    /// The same, but that each attempt to change an object asks this first. The Lease itself and Events are left out.
    pub fn fenced_by(&self, fence: Fence) -> Cluster {
        Cluster { fence, ..self.clone() }
    }

    /// The account.
    pub fn namespace(&self) -> &AccountName {
        &self.namespace
    }

    /// All objects of a kind in the namespace.
    pub async fn list<K>(&self) -> Result<Vec<K>, ApiError>
    where
        K: Resource<DynamicType = (), Scope = NamespaceResourceScope> + DeserializeOwned,
    {
        let path = K::url_path(&(), Some(self.namespace.as_str()));
        self.list_at(&format!("list {} {}", K::plural(&()), self.namespace), &path, "").await
    }

    /// One object in the namespace.
    pub async fn get<K>(&self, name: &str) -> Result<Option<K>, ApiError>
    where
        K: Resource<DynamicType = (), Scope = NamespaceResourceScope> + DeserializeOwned,
    {
        let path = K::url_path(&(), Some(self.namespace.as_str()));
        self.get_at(&self.operation("get", &K::kind(&()), name), &path, name).await
    }

    /// All objects of a kind in all namespaces; those of one name, where one is given.
    pub async fn list_everywhere<K>(&self, name: Option<&str>) -> Result<Vec<K>, ApiError>
    where
        K: Resource<DynamicType = (), Scope = NamespaceResourceScope> + DeserializeOwned,
    {
        let fields = name.map(|name| format!("metadata.name={name}")).unwrap_or_default();
        let operation = format!("list {} in all namespaces", K::plural(&()));
        self.list_at(&operation, &K::url_path(&(), None), &fields).await
    }

    /// All objects of a kind that has no namespace, with these labels (a selector as kubectl's `-l` takes it).
    pub async fn cluster_list_labelled<K>(&self, labels: &str) -> Result<Vec<K>, ApiError>
    where
        K: Resource<DynamicType = (), Scope = ClusterResourceScope> + DeserializeOwned,
    {
        let params = kube::core::params::ListParams::default().labels(labels);
        self.list_where(&format!("list {}", K::plural(&())), &K::url_path(&(), None), params).await
    }

    /// All objects of a kind that has no namespace.
    pub async fn cluster_list<K>(&self) -> Result<Vec<K>, ApiError>
    where
        K: Resource<DynamicType = (), Scope = ClusterResourceScope> + DeserializeOwned,
    {
        self.list_at(&format!("list {}", K::plural(&())), &K::url_path(&(), None), "").await
    }

    /// One object of a kind that has no namespace.
    pub async fn cluster_get<K>(&self, name: &str) -> Result<Option<K>, ApiError>
    where
        K: Resource<DynamicType = (), Scope = ClusterResourceScope> + DeserializeOwned,
    {
        let operation = format!("get {} {name}", K::kind(&()).to_lowercase());
        self.get_at(&operation, &K::url_path(&(), None), name).await
    }

    /// Which versions of External Secrets' API are served; asked once.
    pub async fn external_secrets_api(&self) -> Result<ExternalSecretsApi, ApiError> {
        self.external_secrets_api.get_or_try_init(|| self.discover_external_secrets()).await.copied()
    }

    async fn discover_external_secrets(&self) -> Result<ExternalSecretsApi, ApiError> {
        #[derive(Deserialize)]
        struct Group {
            versions: Vec<GroupVersion>,
        }
        #[derive(Deserialize)]
        struct GroupVersion {
            version: String,
        }
        let operation = format!("discover {EXTERNAL_SECRETS}");
        let request = Request::get(format!("/apis/{EXTERNAL_SECRETS}")).body(Vec::new());
        let answer = self.read(&operation, request).await;
        let Some(answer) = found(answer)? else { return Ok(ExternalSecretsApi::Missing) };
        let versions = answer.parse::<Group>()?.versions;
        let serves = |wanted: &str| versions.iter().any(|served| served.version == wanted);
        Ok(match (serves("v1"), serves("v1beta1")) {
            (true, _) => ExternalSecretsApi::V1,
            (false, true) => ExternalSecretsApi::OnlyV1beta1,
            (false, false) => ExternalSecretsApi::Missing,
        })
    }

    /// The ExternalSecrets of the namespace.
    pub async fn external_secrets(&self) -> Result<Vec<DynamicObject>, ApiError> {
        let kind = external_secrets_kind("ExternalSecret", "externalsecrets");
        self.list_dynamic(&kind).await
    }

    /// The ExternalSecrets of all namespaces.
    pub async fn external_secrets_everywhere(&self) -> Result<Vec<DynamicObject>, ApiError> {
        let kind = external_secrets_kind("ExternalSecret", "externalsecrets");
        let path = DynamicObject::url_path(&kind, None);
        self.list_at("list externalsecrets in all namespaces", &path, "").await
    }

    /// One ExternalSecret of the namespace.
    pub async fn external_secret(&self, name: &str) -> Result<Option<DynamicObject>, ApiError> {
        let kind = external_secrets_kind("ExternalSecret", "externalsecrets");
        let path = DynamicObject::url_path(&kind, Some(self.namespace.as_str()));
        self.get_at(&self.operation("get", &kind.kind, name), &path, name).await
    }

    /// The SecretStores of the namespace.
    pub async fn secret_stores(&self) -> Result<Vec<DynamicObject>, ApiError> {
        let kind = external_secrets_kind("SecretStore", "secretstores");
        self.list_dynamic(&kind).await
    }

    /// The SecretStores of all namespaces.
    pub async fn secret_stores_everywhere(&self) -> Result<Vec<DynamicObject>, ApiError> {
        let kind = external_secrets_kind("SecretStore", "secretstores");
        self.list_at("list secretstores in all namespaces", &DynamicObject::url_path(&kind, None), "").await
    }

    /// One ClusterSecretStore.
    pub async fn cluster_secret_store(&self, name: &str) -> Result<Option<DynamicObject>, ApiError> {
        let kind = external_secrets_kind("ClusterSecretStore", "clustersecretstores");
        self.get_at(&format!("get clustersecretstore {name}"), &DynamicObject::url_path(&kind, None), name).await
    }

    /// The PushSecrets of the namespace; none where the cluster has no such kind.
    pub async fn push_secrets(&self) -> Result<Vec<serde_json::Value>, ApiError> {
        self.list_if_served(EXTERNAL_SECRETS, "v1alpha1", "PushSecret", "pushsecrets").await
    }

    /// The SecretProviderClasses of the namespace (Secrets Store CSI Driver), likewise.
    pub async fn secret_provider_classes(&self) -> Result<Vec<serde_json::Value>, ApiError> {
        let kind = ("SecretProviderClass", "secretproviderclasses");
        self.list_if_served("secrets-store.csi.x-k8s.io", "v1", kind.0, kind.1).await
    }

    async fn list_if_served(
        &self,
        group: &str,
        version: &str,
        kind: &str,
        plural: &str,
    ) -> Result<Vec<serde_json::Value>, ApiError> {
        let kind = ApiResource::from_gvk_with_plural(&GroupVersionKind::gvk(group, version, kind), plural);
        match self.list_dynamic(&kind).await {
            Ok(listed) => Ok(listed.into_iter().filter_map(|one| serde_json::to_value(one).ok()).collect()),
            Err(error) if error.kind == ApiErrorKind::NotFound => Ok(Vec::new()),
            Err(error) => Err(error),
        }
    }

    async fn list_dynamic(&self, kind: &ApiResource) -> Result<Vec<DynamicObject>, ApiError> {
        let path = DynamicObject::url_path(kind, Some(self.namespace.as_str()));
        self.list_at(&format!("list {} {}", kind.plural, self.namespace), &path, "").await
    }

    /// A Kubernetes Secret with its values.
    pub async fn secret(&self, name: &str) -> Result<Option<KubernetesSecret>, ApiError> {
        let path = Secret::url_path(&(), Some(self.namespace.as_str()));
        let secret = self.get_at::<objects::WireSecret>(&self.operation("get", "secret", name), &path, name).await?;
        Ok(secret.map(KubernetesSecret::from))
    }

    /// Sets one annotation of an ExternalSecret (merge patch) and returns the object as it is then.
    pub async fn annotate_external_secret(
        &self,
        name: &str,
        key: &str,
        value: &str,
        field_manager: &str,
    ) -> Result<DynamicObject, ApiError> {
        let kind = external_secrets_kind("ExternalSecret", "externalsecrets");
        let path = DynamicObject::url_path(&kind, Some(self.namespace.as_str()));
        let patch = json!({"metadata": {"annotations": {key: value}}});
        self.patch(&self.operation("patch", &kind.kind, name), &path, name, patch, field_manager).await?.parse()
    }

    /// Sets annotations of a workload's pod template (merge patch) and returns the generation to wait for.
    ///
    /// With a resource version, only if the object is still that one: else `Conflict`.
    pub async fn patch_template_annotations(
        &self,
        workload: &WorkloadRef,
        annotations: &BTreeMap<String, String>,
        resource_version: Option<&str>,
        field_manager: &str,
    ) -> Result<i64, ApiError> {
        #[derive(Deserialize)]
        struct Patched {
            metadata: Metadata,
        }
        #[derive(Deserialize)]
        struct Metadata {
            generation: i64,
        }
        let path = format!("/apis/apps/v1/namespaces/{}/{}", self.namespace, workload.kind.plural());
        let mut patch = json!({"spec": {"template": {"metadata": {"annotations": annotations}}}});
        if let Some(version) = resource_version {
            patch["metadata"] = json!({"resourceVersion": version});
        }
        let name = workload.name.as_str();
        let operation = self.operation("patch", workload.kind.as_str(), name);
        let answer = self.patch(&operation, &path, name, patch, field_manager).await?;
        Ok(answer.parse::<Patched>()?.metadata.generation)
    }

    /// The Events about the object with this uid.
    pub async fn events_about(&self, uid: &str) -> Result<Vec<EventNote>, ApiError> {
        let path = Event::url_path(&(), Some(self.namespace.as_str()));
        let fields = format!("involvedObject.uid={uid}");
        let events: Vec<Event> = self.list_at(&format!("list events {}", self.namespace), &path, &fields).await?;
        Ok(events.into_iter().map(EventNote::from).collect())
    }

    /// Notes something about an object of the namespace, as `kubectl describe` and `kubectl get events` show it.
    pub async fn publish_event(&self, regarding: &ObjectReference, reason: &str, note: &str) -> Result<(), ApiError> {
        let now = Timestamp::now();
        let about = regarding.name.as_deref().unwrap_or("kubectl-deepdesk");
        let mut event = Event {
            reason: Some(reason.to_owned()),
            // The most that the API server takes of either Event API.
            message: Some(note.chars().take(250).collect()),
            type_: Some("Normal".to_owned()),
            count: Some(1),
            first_timestamp: Some(Time(now)),
            last_timestamp: Some(Time(now)),
            involved_object: ObjectReference { namespace: Some(self.namespace.to_string()), ..regarding.clone() },
            source: Some(EventSource { component: Some("kubectl-deepdesk".to_owned()), host: None }),
            ..Event::default()
        };
        // A name of our own, as client-go makes it: what is sent twice is then noted once.
        event.metadata.name = Some(format!("{about}.{:x}", now.as_nanosecond()));
        event.metadata.namespace = Some(self.namespace.to_string());
        let path = Event::url_path(&(), Some(self.namespace.as_str()));
        let operation = self.operation("create", "event", about);
        match self.create(&operation, &path, &event, Repeat::Unanswered).await {
            Ok(_) => Ok(()),
            Err(error) if error.kind == ApiErrorKind::AlreadyExists => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Answers each question, in their order.
    pub async fn may(&self, questions: &[Access]) -> Result<Vec<bool>, ApiError> {
        // Enough at once that two dozen take as long as three.
        futures::stream::iter(questions).map(|question| self.may_one(question)).buffered(8).try_collect().await
    }

    async fn may_one(&self, question: &Access) -> Result<bool, ApiError> {
        let attributes = ResourceAttributes {
            namespace: (!question.cluster_wide).then(|| self.namespace.to_string()),
            verb: Some(question.verb.clone()),
            group: Some(question.group.clone()),
            resource: Some(question.resource.clone()),
            subresource: question.subresource.clone(),
            name: question.name.clone(),
            ..ResourceAttributes::default()
        };
        let spec = SelfSubjectAccessReviewSpec { resource_attributes: Some(attributes), ..Default::default() };
        let review = SelfSubjectAccessReview { spec, ..Default::default() };
        let path = SelfSubjectAccessReview::url_path(&(), None);
        // Stored nowhere: asking twice is asking.
        let answer = self.create("create selfsubjectaccessreview", &path, &review, Repeat::Unanswered).await?;
        Ok(answer.parse::<SelfSubjectAccessReview>()?.status.is_some_and(|status| status.allowed))
    }

    /// As whom the API server sees us. None where it does not say.
    pub async fn whoami(&self) -> Result<Option<String>, ApiError> {
        let path = SelfSubjectReview::url_path(&(), None);
        let review = SelfSubjectReview::default();
        match self.create("create selfsubjectreview", &path, &review, Repeat::Unanswered).await {
            Ok(answer) => {
                let user = answer.parse::<SelfSubjectReview>()?.status.and_then(|status| status.user_info);
                Ok(user.and_then(|user| user.username))
            }
            // Older than 1.28, or not allowed to ask.
            Err(error) if matches!(error.kind, ApiErrorKind::NotFound | ApiErrorKind::Forbidden) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// The API server's clock, to the second.
    pub async fn server_time(&self) -> Result<Timestamp, ApiError> {
        let operation = "get version";
        let answer = self.read(operation, Request::get("/version").body(Vec::new())).await?;
        date(&answer.headers)
            .ok_or_else(|| kubernetes_error(operation, ApiErrorKind::Malformed, "the answer has no date"))
    }

    /// A Lease of the namespace.
    pub async fn lease(&self, name: &str) -> Result<Option<Lease>, ApiError> {
        self.get(name).await
    }

    /// Creates a Lease; `AlreadyExists` when it is there.
    pub async fn create_lease(&self, lease: &Lease) -> Result<Lease, ApiError> {
        let path = Lease::url_path(&(), Some(self.namespace.as_str()));
        let operation = self.operation("create", "lease", lease.metadata.name.as_deref().unwrap_or_default());
        self.create(&operation, &path, lease, Repeat::NotDone).await?.parse()
    }

    /// Replaces a Lease; `Conflict` when its resource version is not the given one any more.
    pub async fn replace_lease(&self, lease: &Lease) -> Result<Lease, ApiError> {
        let path = Lease::url_path(&(), Some(self.namespace.as_str()));
        let name = lease.metadata.name.as_deref().unwrap_or_default();
        let operation = self.operation("update", "lease", name);
        if lease.metadata.resource_version.is_none() {
            // Without one it would be replaced whatever it is.
            return Err(kubernetes_error(&operation, ApiErrorKind::Invalid, "no resource version to compare with"));
        }
        let params = kube::core::params::PostParams { dry_run: self.dry_run, ..Default::default() };
        let request = kube::core::Request::new(path).replace(name, &params, to_json(&operation, lease)?);
        self.ask(&operation, request, Repeat::NotDone).await?.parse()
    }

    /// Watches these kinds in the background until the `Pulse` is dropped.
    pub fn pulse(&self, kinds: &[Watched]) -> Pulse {
        Pulse::start(self, kinds)
    }
}
