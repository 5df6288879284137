//! Says when something changed, and nothing else: the caller looks for itself.
//!
//! Watches metadata only. A Secret's values never come this way.

use std::time::Duration;

use futures::StreamExt;
use http_body_util::BodyExt;
use k8s_openapi::api::apps::v1::ReplicaSet;
use k8s_openapi::api::core::v1::{Event, Pod, Secret};
use kube::Resource;
use kube::client::Body;
use kube::core::DynamicObject;
use kube::core::params::{ListParams, WatchParams};
use serde::Deserialize;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::Instant;
use zeroize::Zeroizing;

use super::Cluster;
use super::http::{Question, kubernetes_error};
use crate::clients::error::{ApiError, ApiErrorKind};
use crate::clients::fence::Fence;
use crate::clients::retry::{Repeat, jittered};
use deepdesk_protocol::facts::names::WorkloadKind;

/// The kinds that can be watched.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Watched {
    /// ExternalSecrets.
    ExternalSecrets,
    /// Secrets: their metadata alone.
    Secrets,
    /// Pods.
    Pods,
    /// Workloads of this kind.
    Workloads(WorkloadKind),
    /// ReplicaSets.
    ReplicaSets,
    /// Events.
    Events,
}

/// How long one watch lasts: short enough that a connection which died unnoticed is missed soon.
const WATCH_SECONDS: u32 = 60;

/// How often a change is claimed where nothing can be watched.
const TICK: Duration = Duration::from_secs(1);

/// The least time from one watch to the next.
const AGAIN: Duration = Duration::from_millis(300);

/// How long changes are gathered before they are told: one sync changes several objects in a few milliseconds.
const GATHER: Duration = Duration::from_millis(20);

/// The most bytes of an event and what came with it: no object is larger, and with "metadata only" it is a few thousand.
const MOST_BYTES: usize = 4 * 1024 * 1024;

/// Watches that say "something changed". Dropping it ends them.
#[derive(Debug)]
pub struct Pulse {
    changes: watch::Receiver<u64>,
    /// The change that the caller was told of last.
    told: u64,
    _watches: JoinSet<()>,
}

impl Pulse {
    pub(super) fn start(cluster: &Cluster, kinds: &[Watched]) -> Pulse {
        let (tell, changes) = watch::channel(0);
        let mut watches = JoinSet::new();
        for kind in kinds {
            watches.spawn(Watch { cluster: cluster.clone(), kind: *kind, tell: tell.clone() }.run());
        }
        Pulse { changes, told: 0, _watches: watches }
    }

    /// Resolves at the next change since the last call; several changes count as one.
    ///
    /// The beginning of each watch counts as one, since what happened just before it was not seen. Safe to drop
    /// half-way: nothing is lost.
    pub async fn changed(&mut self) {
        loop {
            if *self.changes.borrow() != self.told {
                break;
            }
            if self.changes.changed().await.is_err() {
                // No watch is there, because none was asked for.
                return tokio::time::sleep(TICK).await;
            }
        }
        tokio::time::sleep(GATHER).await;
        // Not before the wait: a caller that gives up during it must be told again.
        self.told = *self.changes.borrow_and_update();
    }
}

/// One watch of one kind, for as long as the `Pulse` lives.
struct Watch {
    cluster: Cluster,
    kind: Watched,
    tell: watch::Sender<u64>,
}

/// How a watch ended.
enum End {
    /// Orderly: it goes on from this version, and nothing was missed.
    Over(String),
    /// From here on it must be looked at afresh.
    Lost,
}

impl Watch {
    async fn run(self) {
        let mut failures = 0u32;
        loop {
            match self.follow().await {
                // Not at once: what loses a watch as soon as it begins must not be met with a storm of new ones.
                Ok(()) => {
                    failures = 0;
                    tokio::time::sleep(jittered(AGAIN)).await;
                }
                Err(error) => {
                    failures = failures.saturating_add(1);
                    self.tick_for(pause_after(error.kind, failures)).await;
                }
            }
        }
    }

    /// Watches from now on until something is lost; tells of each change.
    async fn follow(&self) -> Result<(), ApiError> {
        let path = self.path().await?;
        let mut version = self.current_version(&path).await?;
        self.change();
        loop {
            let began = Instant::now();
            match self.watch(&path, &version).await? {
                End::Over(next) => version = next,
                End::Lost => return Ok(()),
            }
            // As above, for something on the way that cuts watches short; nothing is missed meanwhile.
            tokio::time::sleep(jittered(AGAIN).saturating_sub(began.elapsed())).await;
        }
    }

    async fn watch(&self, path: &str, version: &str) -> Result<End, ApiError> {
        let params = WatchParams { timeout: Some(WATCH_SECONDS), bookmarks: true, ..WatchParams::default() };
        let operation = self.operation("watch");
        let request = kube::core::Request::new(path).watch_metadata(&params, version);
        let request = request.map_err(|_| kubernetes_error(&operation, ApiErrorKind::Invalid, ""))?;
        let body = match self.cluster.connection.open(&operation, &request).await {
            Ok(body) => body,
            Err(error) if error.kind == ApiErrorKind::Expired => return Ok(End::Lost),
            Err(error) => return Err(error),
        };
        // The server ends it by itself; one that does not is not there any more.
        let longest = Duration::from_secs(u64::from(WATCH_SECONDS) + 5);
        let reading = self.tell_of_events(body, version);
        Ok(tokio::time::timeout(longest, reading).await.unwrap_or(End::Lost))
    }

    async fn tell_of_events(&self, body: Body, version: &str) -> End {
        let mut version = version.to_owned();
        let mut frames = body.into_data_stream();
        // A server that does not know "metadata only" sends whole objects.
        let mut pending = Zeroizing::new(Vec::new());
        while let Some(frame) = frames.next().await {
            let Ok(frame) = frame else { return End::Lost };
            // What was looked through before has no end of line.
            let mut looked = pending.len();
            pending.extend_from_slice(&frame);
            if pending.len() > MOST_BYTES {
                return End::Lost;
            }
            while let Some(end) = pending[looked..].iter().position(|byte| *byte == b'\n').map(|end| looked + end) {
                looked = 0;
                let line: Zeroizing<Vec<u8>> = Zeroizing::new(pending.drain(..=end).collect());
                let Ok(event) = serde_json::from_slice::<WatchEvent>(&line) else { return End::Lost };
                match event.kind.as_str() {
                    "BOOKMARK" => {}
                    "ADDED" | "MODIFIED" | "DELETED" => self.change(),
                    // 410, most often: the version is too old.
                    _ => return End::Lost,
                }
                if let Some(seen) = event.object.metadata.resource_version {
                    version = seen;
                }
            }
        }
        End::Over(version)
    }

    async fn current_version(&self, path: &str) -> Result<String, ApiError> {
        #[derive(Deserialize)]
        struct List {
            metadata: Metadata,
        }
        let operation = self.operation("list");
        let request = kube::core::Request::new(path).list_metadata(&ListParams::default().limit(1));
        let request = request.map_err(|_| kubernetes_error(&operation, ApiErrorKind::Invalid, ""))?;
        let (operation_of, repeat) = (operation.clone(), Repeat::Unanswered);
        let question = Question { operation: operation_of, request, repeat, fence: Fence::OPEN };
        let list: List = self.cluster.connection.send(question).await?.parse()?;
        let version = list.metadata.resource_version;
        version.ok_or_else(|| kubernetes_error(&operation, ApiErrorKind::Malformed, "no resource version"))
    }

    async fn path(&self) -> Result<String, ApiError> {
        let namespace = Some(self.cluster.namespace().as_str());
        Ok(match self.kind {
            Watched::ExternalSecrets => {
                let kind = super::external_secrets_kind("ExternalSecret", "externalsecrets");
                DynamicObject::url_path(&kind, namespace)
            }
            Watched::Secrets => Secret::url_path(&(), namespace),
            Watched::Pods => Pod::url_path(&(), namespace),
            Watched::Workloads(kind) => {
                format!("/apis/apps/v1/namespaces/{}/{}", self.cluster.namespace(), kind.plural())
            }
            Watched::ReplicaSets => ReplicaSet::url_path(&(), namespace),
            Watched::Events => Event::url_path(&(), namespace),
        })
    }

    fn operation(&self, verb: &str) -> String {
        format!("{verb} {:?} {}", self.kind, self.cluster.namespace()).to_lowercase()
    }

    fn change(&self) {
        self.tell.send_modify(|changes| *changes = changes.wrapping_add(1));
    }

    /// Claims a change now and then, so that the caller looks although nothing tells it to.
    async fn tick_for(&self, pause: Duration) {
        let until = Instant::now() + pause;
        loop {
            self.change();
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return;
            }
            tokio::time::sleep(left.min(TICK)).await;
        }
    }
}

/// How long to go without a watch. A refusal will not change in a second; anything else may.
fn pause_after(kind: ApiErrorKind, failures: u32) -> Duration {
    match kind {
        ApiErrorKind::Forbidden | ApiErrorKind::NotFound | ApiErrorKind::Invalid => Duration::from_secs(60),
        _ => jittered(TICK * failures.min(10)),
    }
}

/// What is read of a watched event; all else is skipped unseen.
#[derive(Deserialize)]
struct WatchEvent {
    #[serde(rename = "type")]
    kind: String,
    object: Object,
}

#[derive(Deserialize)]
struct Object {
    #[serde(default)]
    metadata: Metadata,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Metadata {
    resource_version: Option<String>,
}
