//! Finds the workloads whose pods read the keys that carry the two values, and judges how far each is rolled out.
//!
//! Pure: objects in, facts out.

use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::api::apps::v1::{DaemonSet, Deployment, DeploymentCondition, ReplicaSet, StatefulSet};
use k8s_openapi::api::batch::v1::{CronJob, Job};
use k8s_openapi::api::core::v1::{Container, EnvFromSource, EnvVar, KeyToPath, Pod, PodSpec, PodTemplateSpec, Volume};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

use super::mappings::stands_for_any;
use super::nodes::{Hold, Nodes};
use super::other_readers::controller;
use deepdesk_protocol::facts::named::{ReaderName, Words};
use deepdesk_protocol::facts::names::{ObjectName, WorkloadKind, WorkloadRef, listed};
use deepdesk_protocol::facts::observation::{Consumer, GitOps, Moving, PodPlace, PodView, Rollout, Source};
use deepdesk_protocol::facts::restart_note::RestartNote;

/// The keys that matter: for each Kubernetes Secret, which of its keys carry which of the two values.
pub type Carriers = BTreeMap<ObjectName, Vec<(String, Source)>>;

/// Everything in a namespace that can have pods.
#[derive(Default)]
pub struct Workloads {
    pub deployments: Vec<Deployment>,
    /// Their ReplicaSets.
    pub replica_sets: Vec<ReplicaSet>,
    /// StatefulSets.
    pub stateful_sets: Vec<StatefulSet>,
    /// DaemonSets.
    pub daemon_sets: Vec<DaemonSet>,
    /// CronJobs.
    pub cron_jobs: Vec<CronJob>,
    pub jobs: Vec<Job>,
    pub pods: Vec<Pod>,
    /// What is known of nodes that seem to keep some of them.
    pub nodes: Nodes,
    /// What the operator says of readers.
    pub words: Words,
}

impl Workloads {
    /// Whether a pod runs: it has not ended, and its node is not gone.
    pub(super) fn runs(&self, pod: &Pod) -> bool {
        has_not_ended(pod) && !matches!(self.nodes.hold(pod), Hold::Lost(_))
    }
}

/// What a pod spec reads of the carriers.
#[derive(Default)]
pub(super) struct Reads {
    pub(super) reasons: Vec<String>,
    pub(super) secrets: BTreeSet<ObjectName>,
    pub(super) primary: bool,
    pub(super) back_compat: bool,
}

impl Reads {
    /// Whether it reads any of them.
    pub(super) fn any(&self) -> bool {
        self.primary || self.back_compat
    }

    /// Whether it reads both values.
    pub(super) fn both(&self) -> bool {
        self.primary && self.back_compat
    }

    /// Adds what a pod reads by its own spec and its template does not name.
    fn add(&mut self, own: Reads) {
        for reason in own.reasons {
            let injected = format!("{reason} (in a pod, not in its template)");
            if !self.reasons.contains(&reason) && !self.reasons.contains(&injected) {
                self.reasons.push(injected);
            }
        }
        self.secrets.extend(own.secrets);
        self.primary |= own.primary;
        self.back_compat |= own.back_compat;
    }

    /// Notes that `place` reads these keys of `secret`: all of them when `keys` is none.
    fn note(
        &mut self,
        carriers: &Carriers,
        secret: Option<&str>,
        keys: Option<&[&str]>,
        place: impl Fn(&str) -> String,
    ) {
        let found = secret.and_then(|secret| carriers.iter().find(|(name, _)| name.as_str() == secret));
        let Some((name, carried)) = found else { return };
        let is_wanted = |key: &str| stands_for_any(key) || keys.is_none_or(|keys| keys.contains(&key));
        let wanted: Vec<&(String, Source)> = carried.iter().filter(|(key, _)| is_wanted(key)).collect();
        if wanted.is_empty() {
            return;
        }
        self.reasons.push(place(name.as_str()));
        self.secrets.insert(name.clone());
        self.primary |= wanted.iter().any(|(_, source)| *source == Source::Primary);
        self.back_compat |= wanted.iter().any(|(_, source)| *source == Source::BackCompat);
    }

    fn container(&mut self, carriers: &Carriers, label: &str, env: &[EnvVar], env_from: &[EnvFromSource]) {
        for variable in env {
            let Some(reference) = variable.value_from.as_ref().and_then(|from| from.secret_key_ref.as_ref()) else {
                continue;
            };
            self.note(carriers, Some(&reference.name), Some(&[reference.key.as_str()]), |secret| {
                format!("{label}: env {} from {secret}", variable.name)
            });
        }
        for from in env_from.iter().filter_map(|from| from.secret_ref.as_ref()) {
            self.note(carriers, Some(&from.name), None, |secret| format!("{label}: envFrom {secret}"));
        }
    }

    fn volume(&mut self, carriers: &Carriers, volume: &Volume) {
        if let Some(secret) = &volume.secret {
            let keys = item_keys(secret.items.as_deref());
            let place = |secret: &str| format!("volume {}: {secret}", volume.name);
            self.note(carriers, secret.secret_name.as_deref(), keys.as_deref(), place);
        }
        let projected = volume.projected.iter().flat_map(|projected| projected.sources.iter().flatten());
        for secret in projected.filter_map(|source| source.secret.as_ref()) {
            let keys = item_keys(secret.items.as_deref());
            let place = |secret: &str| format!("volume {} (projected): {secret}", volume.name);
            self.note(carriers, Some(&secret.name), keys.as_deref(), place);
        }
    }

    /// What one container of a pod reads: in its variables, and in the volumes that it mounts.
    pub(super) fn one_container(carriers: &Carriers, spec: &PodSpec, container: &Container) -> Reads {
        let mut reads = Reads::default();
        let (env, env_from) = (container.env.as_deref(), container.env_from.as_deref());
        reads.container(carriers, "", env.unwrap_or_default(), env_from.unwrap_or_default());
        let mounts = |volume: &&Volume| container.volume_mounts.iter().flatten().any(|mount| mount.name == volume.name);
        spec.volumes.iter().flatten().filter(mounts).for_each(|volume| reads.volume(carriers, volume));
        reads
    }

    pub(super) fn pod_spec(carriers: &Carriers, spec: &PodSpec) -> Reads {
        let mut reads = Reads::default();
        let of = |container: &Container, kind: &str, reads: &mut Reads| {
            let label = format!("{kind} {}", container.name);
            let (env, env_from) = (container.env.as_deref(), container.env_from.as_deref());
            reads.container(carriers, &label, env.unwrap_or_default(), env_from.unwrap_or_default());
        };
        spec.init_containers.iter().flatten().for_each(|container| of(container, "init container", &mut reads));
        spec.containers.iter().for_each(|container| of(container, "container", &mut reads));
        // No template has them: `kubectl debug` adds them to a pod that runs.
        for container in spec.ephemeral_containers.iter().flatten() {
            let label = format!("ephemeral container {}", container.name);
            let (env, env_from) = (container.env.as_deref(), container.env_from.as_deref());
            reads.container(carriers, &label, env.unwrap_or_default(), env_from.unwrap_or_default());
        }
        spec.volumes.iter().flatten().for_each(|volume| reads.volume(carriers, volume));
        reads
    }
}

fn item_keys(items: Option<&[KeyToPath]>) -> Option<Vec<&str>> {
    items.filter(|items| !items.is_empty()).map(|items| items.iter().map(|item| item.key.as_str()).collect())
}

/// What the three kinds of workload have in common.
struct Common<'a> {
    kind: WorkloadKind,
    metadata: &'a ObjectMeta,
    template: &'a PodTemplateSpec,
    desired: i32,
    paused: bool,
    holds_back: Option<String>,
    rollout: Rollout,
    waits_for: Vec<String>,
    recreates: bool,
    surges: bool,
}

/// The consumers, sorted by kind and name.
pub fn consumers(all: &Workloads, carriers: &Carriers) -> Vec<Consumer> {
    let deployments = all.deployments.iter().filter_map(deployment);
    let stateful_sets = all.stateful_sets.iter().filter_map(stateful_set);
    let daemon_sets = all.daemon_sets.iter().filter_map(|set| daemon_set(set, lost_of(all, &set.metadata)));
    let common = deployments.chain(stateful_sets).chain(daemon_sets);
    let mut consumers: Vec<Consumer> = common.filter_map(|common| consumer(all, carriers, &common)).collect();
    consumers.sort_by(|a, b| a.workload.cmp(&b.workload));
    consumers
}

fn consumer(all: &Workloads, carriers: &Carriers, common: &Common) -> Option<Consumer> {
    let mut reads = Reads::pod_spec(carriers, common.template.spec.as_ref()?);
    let injected = reads.reasons.is_empty();
    let of_pod = |pod: &Pod| pod.spec.as_ref().map(|spec| Reads::pod_spec(carriers, spec)).unwrap_or_default();
    let mut pods = pods_of(all, common.kind, common.metadata);
    if injected {
        // Those that a webhook passed by read nothing.
        pods.retain(|pod| of_pod(pod).any());
    }
    // What a webhook put into them is theirs too: a restart replaces them, and they are judged by every Secret they read.
    pods.iter().for_each(|pod| reads.add(of_pod(pod)));
    if reads.reasons.is_empty() {
        return None;
    }
    let mut pods: Vec<PodView> = pods.into_iter().map(|pod| pod_view(all, pod)).collect();
    pods.sort_by(|a, b| a.name.cmp(&b.name));
    let kept = pods.iter().filter_map(|pod| pod.place.kept.clone());
    let lost = lost_pods(all, common.kind, common.metadata);
    // kubectl waits for each pod of a DaemonSet: one that is not ready is the one to see to.
    let late = common.kind == WorkloadKind::DaemonSet && common.rollout != Rollout::Complete;
    let late = pods.iter().filter(|pod| late && !pod.ready && pod.place.kept.is_none()).map(|pod| {
        let node = pod.place.node.as_ref().map(|node| format!(" on node {node}")).unwrap_or_default();
        format!("pod {}{node} is not ready", pod.name)
    });
    let late: Vec<String> = late.collect();
    // Of a node that has none of its pods nothing here knows the name.
    let unseen = (common.kind == WorkloadKind::DaemonSet && !common.waits_for.is_empty())
        .then(|| pods.iter().filter_map(|pod| pod.place.node.as_deref()).collect::<Vec<_>>())
        .filter(|nodes| late.is_empty() && !nodes.is_empty() && pods.iter().all(|pod| pod.ready))
        .map(|nodes| {
            format!(
                "its pods that are listed are ready (on {}): kubectl get nodes shows which node has none",
                listed(&nodes)
            )
        });
    let waits_for = common.waits_for.iter().cloned().chain(kept).chain(late).chain(unseen).chain(lost).collect();
    let name: ObjectName = common.metadata.name.as_deref()?.parse().ok()?;
    let annotations = common.template.metadata.as_ref().and_then(|metadata| metadata.annotations.as_ref());
    let note = RestartNote::read(annotations);
    let word = all.words.of(&[ReaderName::of(common.kind.as_str(), name.as_str())]);
    let recreates = "has the strategy Recreate: every old pod ends before a new one begins".to_owned();
    let moving = Moving {
        word,
        waits_for,
        compared: note.compared,
        injected,
        costs: common.recreates.then_some(recreates).into_iter().collect(),
        labels: common.template.metadata.as_ref().and_then(|metadata| metadata.labels.clone()).unwrap_or_default(),
        surges: common.surges,
    };
    Some(Consumer {
        workload: WorkloadRef { kind: common.kind, name },
        reasons: reads.reasons,
        reads_back_compat: reads.back_compat,
        desired: u32::try_from(common.desired).unwrap_or(0),
        paused: common.paused,
        holds_back: common.holds_back.clone(),
        rollout: common.rollout.clone(),
        version: note.version,
        restart: note.restart,
        pods,
        reloader: reloader(common, &reads.secrets),
        gitops: gitops(common.metadata),
        moving,
        secrets: reads.secrets.into_iter().collect(),
    })
}

/// The running pods of a workload: by owner, not by label, since labels can match foreign pods.
fn pods_of<'a>(all: &'a Workloads, kind: WorkloadKind, workload: &ObjectMeta) -> Vec<&'a Pod> {
    listed_of(all, kind, workload).into_iter().filter(|pod| all.runs(pod)).collect()
}

/// The same, whatever became of them.
fn listed_of<'a>(all: &'a Workloads, kind: WorkloadKind, workload: &ObjectMeta) -> Vec<&'a Pod> {
    let Some(uid) = workload.uid.as_deref() else { return Vec::new() };
    let owned_by =
        |metadata: &ObjectMeta, uid: &str| metadata.owner_references.iter().flatten().any(|owner| owner.uid == uid);
    let owners: Vec<&str> = match kind {
        WorkloadKind::Deployment => {
            let sets = all.replica_sets.iter().filter(|set| owned_by(&set.metadata, uid));
            sets.filter_map(|set| set.metadata.uid.as_deref()).collect()
        }
        WorkloadKind::StatefulSet | WorkloadKind::DaemonSet => vec![uid],
    };
    let is_of = |pod: &Pod| {
        owners.iter().any(|owner| owned_by(&pod.metadata, owner))
            || (kind == WorkloadKind::Deployment && is_of_a_set_that_is_gone(all, workload, pod))
    };
    all.pods.iter().filter(|pod| is_of(pod)).collect()
}

/// Whether a pod was made by a ReplicaSet of this Deployment that is there no more: with `revisionHistoryLimit: 0` a set goes as soon
/// as its pods are asked to end, and they run on until their grace period is over. A Deployment's sets have its name and the
/// hash of their template, which their pods have as a label.
fn is_of_a_set_that_is_gone(all: &Workloads, deployment: &ObjectMeta, pod: &Pod) -> bool {
    let Some(set) = controller(&pod.metadata).filter(|owner| owner.kind == "ReplicaSet") else { return false };
    let hash = pod.metadata.labels.as_ref().and_then(|labels| labels.get("pod-template-hash"));
    let made_by = deployment.name.as_deref().zip(hash).map(|(name, hash)| format!("{name}-{hash}"));
    let is_there = || all.replica_sets.iter().any(|one| one.metadata.uid.as_ref() == Some(&set.uid));
    made_by.as_ref() == Some(&set.name) && !is_there()
}

/// The pods of a workload whose nodes are gone, each with why it does not count.
fn lost_pods(all: &Workloads, kind: WorkloadKind, workload: &ObjectMeta) -> Vec<String> {
    let listed = listed_of(all, kind, workload).into_iter().filter(|pod| has_not_ended(pod));
    let lost = listed.filter_map(|pod| match all.nodes.hold(pod) {
        Hold::Lost(why) => Some(format!("pod {} does not count: {why}", pod.metadata.name.as_deref()?)),
        Hold::Kept(_) | Hold::None => None,
    });
    lost.collect()
}

/// How many pods of a DaemonSet are on nodes that are gone: it wants them, and they never come.
fn lost_of(all: &Workloads, metadata: &ObjectMeta) -> i32 {
    let lost = lost_pods(all, WorkloadKind::DaemonSet, metadata);
    i32::try_from(lost.len()).unwrap_or(0)
}

/// Whether a pod has not ended: an ended one holds no value any more.
pub(super) fn has_not_ended(pod: &Pod) -> bool {
    let phase = pod.status.as_ref().and_then(|status| status.phase.as_deref());
    !matches!(phase, Some("Succeeded" | "Failed"))
}

/// Whether a pod is ready to serve.
pub(super) fn is_ready(pod: &Pod) -> bool {
    let mut conditions = pod.status.iter().flat_map(|status| status.conditions.iter().flatten());
    conditions.any(|condition| condition.type_ == "Ready" && condition.status == "True")
}

fn pod_view(all: &Workloads, pod: &Pod) -> PodView {
    let note = RestartNote::read(pod.metadata.annotations.as_ref());
    let kept = match all.nodes.hold(pod) {
        Hold::Kept(words) | Hold::Lost(words) => Some(words),
        Hold::None => None,
    };
    let containers = pod.status.iter().flat_map(|status| {
        status.init_container_statuses.iter().flatten().chain(status.container_statuses.iter().flatten())
    });
    let waiting = containers.filter_map(|container| container.state.as_ref()?.waiting.as_ref());
    // What every pod says while it starts is no trouble.
    let troubles = waiting.filter_map(|waiting| {
        let reason =
            waiting.reason.as_deref().filter(|reason| !matches!(*reason, "ContainerCreating" | "PodInitializing"))?;
        Some(match waiting.message.as_deref() {
            Some(message) => format!("{reason}: {message}"),
            None => reason.to_owned(),
        })
    });
    PodView {
        name: pod.metadata.name.clone().unwrap_or_default(),
        version: note.version,
        back_compat: note.back_compat,
        restart: note.restart,
        compared: note.compared,
        created: pod.metadata.creation_timestamp.as_ref().map(|time| time.0),
        started: started(pod),
        ready: is_ready(pod),
        trouble: troubles.into_iter().next(),
        terminating: pod.metadata.deletion_timestamp.is_some(),
        place: PodPlace { node: pod.spec.as_ref().and_then(|spec| spec.node_name.clone()), kept },
    }
}

/// When the last container started; a sidecar among the init containers is one that runs, the others have ended.
fn started(pod: &Pod) -> Option<jiff::Timestamp> {
    let statuses = pod.status.as_ref()?.container_statuses.as_ref()?;
    let started = statuses.iter().map(|status| Some(status.state.as_ref()?.running.as_ref()?.started_at.as_ref()?.0));
    started.collect::<Option<Vec<_>>>()?.into_iter().max()
}

fn deployment(object: &Deployment) -> Option<Common<'_>> {
    let spec = object.spec.as_ref()?;
    let desired = spec.replicas.unwrap_or(1);
    let status = object.status.clone().unwrap_or_default();
    let conditions = status.conditions.as_deref().unwrap_or_default();
    let words = |condition: &DeploymentCondition| {
        let words = [condition.reason.as_deref(), condition.message.as_deref()];
        words.into_iter().flatten().collect::<Vec<_>>().join(": ")
    };
    // kubectl's rule: the controller has given up when the deadline is over, and not when it says that it cannot go on just now.
    let gave_up = |condition: &&DeploymentCondition| {
        condition.type_ == "Progressing" && condition.reason.as_deref() == Some("ProgressDeadlineExceeded")
    };
    let failing = conditions.iter().find(gave_up).map(words);
    // A full quota refuses new pods until old ones are gone, and a webhook until it is up again.
    let cannot =
        conditions.iter().filter(|condition| condition.type_ == "ReplicaFailure" && condition.status == "True");
    let paused = spec.paused == Some(true);
    let strategy = spec.strategy.as_ref();
    let recreates = strategy.and_then(|strategy| strategy.type_.as_deref()) == Some("Recreate");
    let surge = strategy.and_then(|strategy| strategy.rolling_update.as_ref()?.max_surge.clone());
    let is_paused =
        paused.then(|| "its rollouts are paused: nothing is replaced until kubectl rollout resume".to_owned());
    let waits_for = cannot.map(|condition| format!("ReplicaFailure: {}", words(condition))).chain(is_paused).collect();
    let counts = Counts {
        observed: status.observed_generation.unwrap_or(0) >= object.metadata.generation.unwrap_or(0),
        desired,
        total: status.replicas.unwrap_or(0),
        updated: status.updated_replicas.unwrap_or(0),
        available: status.available_replicas.unwrap_or(0),
    };
    Some(Common {
        kind: WorkloadKind::Deployment,
        metadata: &object.metadata,
        template: &spec.template,
        desired,
        paused,
        holds_back: None,
        rollout: counts.rollout(failing),
        waits_for,
        recreates,
        surges: !recreates && surge != Some(IntOrString::Int(0)) && surge != Some(IntOrString::String("0%".to_owned())),
    })
}

fn stateful_set(object: &StatefulSet) -> Option<Common<'_>> {
    let spec = object.spec.as_ref()?;
    let desired = spec.replicas.unwrap_or(1);
    let status = object.status.clone().unwrap_or_default();
    let strategy = spec.update_strategy.as_ref();
    let partition =
        strategy.and_then(|strategy| strategy.rolling_update.as_ref()).and_then(|rolling| rolling.partition);
    let holds_back = match (strategy.and_then(|strategy| strategy.type_.as_deref()), partition.unwrap_or(0)) {
        (Some("OnDelete"), _) => Some("its update strategy is OnDelete".to_owned()),
        (_, 0) => None,
        (_, partition) => Some(format!("its update strategy has the partition {partition}")),
    };
    let at_newest = status.update_revision.is_none() || status.update_revision == status.current_revision;
    let counts = Counts {
        observed: status.observed_generation.unwrap_or(0) >= object.metadata.generation.unwrap_or(0),
        desired,
        total: status.replicas,
        updated: if at_newest { status.replicas } else { status.updated_replicas.unwrap_or(0) },
        available: status.available_replicas.or(status.ready_replicas).unwrap_or(0),
    };
    Some(Common {
        kind: WorkloadKind::StatefulSet,
        metadata: &object.metadata,
        template: &spec.template,
        desired,
        paused: false,
        holds_back,
        rollout: counts.rollout(None),
        waits_for: Vec::new(),
        recreates: false,
        surges: false,
    })
}

/// `lost` of its pods are on nodes that are gone: it wants them all the same, and waits for them.
fn daemon_set(object: &DaemonSet, lost: i32) -> Option<Common<'_>> {
    let spec = object.spec.as_ref()?;
    let status = object.status.clone().unwrap_or_default();
    let on_delete = spec.update_strategy.as_ref().and_then(|strategy| strategy.type_.as_deref()) == Some("OnDelete");
    let desired = status.desired_number_scheduled - lost;
    let counts = Counts {
        observed: status.observed_generation.unwrap_or(0) >= object.metadata.generation.unwrap_or(0),
        desired,
        total: desired,
        updated: status.updated_number_scheduled.unwrap_or(0).min(desired),
        available: status.number_available.unwrap_or(0),
    };
    let rollout = counts.rollout(None);
    let missing = status.number_unavailable.unwrap_or(0) - lost;
    let waits_for = match missing > 0 && rollout != Rollout::Complete {
        true => vec![format!(
            "{missing} of its pods {} not available, and it replaces no others beyond its maxUnavailable",
            if missing == 1 { "is" } else { "are" }
        )],
        false => Vec::new(),
    };
    Some(Common {
        kind: WorkloadKind::DaemonSet,
        metadata: &object.metadata,
        template: &spec.template,
        desired,
        paused: false,
        holds_back: on_delete.then(|| "its update strategy is OnDelete".to_owned()),
        rollout,
        waits_for,
        recreates: false,
        surges: false,
    })
}

/// The numbers of a workload's status.
struct Counts {
    observed: bool,
    desired: i32,
    total: i32,
    updated: i32,
    available: i32,
}

impl Counts {
    /// kubectl's rule for `rollout status`. It does not count terminating pods, so the pods are looked at as well.
    fn rollout(&self, failing: Option<String>) -> Rollout {
        let Counts { observed, desired, total, updated, available } = *self;
        if observed && let Some(reason) = failing {
            return Rollout::Stuck { reason };
        }
        if observed && updated >= desired && total <= updated && available >= updated {
            return Rollout::Complete;
        }
        let new = if observed { available.min(updated) } else { 0 };
        Rollout::Progressing {
            available: u32::try_from(new).unwrap_or(0),
            desired: u32::try_from(desired).unwrap_or(0),
        }
    }
}

/// Whether Stakater Reloader's annotations make it restart this workload when one of `secrets` changes
/// (its controller may use other names, which nothing shows).
fn reloader(common: &Common, secrets: &BTreeSet<ObjectName>) -> Option<String> {
    let annotations = common.metadata.annotations.as_ref()?;
    let on = |name: &str| annotations.get(name).is_some_and(|value| value == "true");
    let listed = annotations.get("secret.reloader.stakater.com/reload").is_some_and(|list| {
        let patterns = list.split(',').map(str::trim).filter_map(|one| regex::Regex::new(&format!("^{one}$")).ok());
        patterns.into_iter().any(|pattern| secrets.iter().any(|secret| pattern.is_match(secret.as_str())))
    });
    let any = listed
        || ["reloader.stakater.com/auto", "secret.reloader.stakater.com/auto", "reloader.stakater.com/search"]
            .iter()
            .any(|name| on(name));
    any.then(|| "Reloader".to_owned())
}

fn gitops(metadata: &ObjectMeta) -> Option<GitOps> {
    let labels = metadata.labels.iter().flatten().map(|(name, _)| name);
    let annotations = metadata.annotations.iter().flatten().map(|(name, _)| name);
    labels.chain(annotations).find_map(|name| {
        // Flux labels what its Kustomizations and HelmReleases apply; Argo CD tracks by annotation or by label.
        let flux = ["kustomize.toolkit.fluxcd.io/name", "helm.toolkit.fluxcd.io/name"].contains(&name.as_str());
        let argo = ["argocd.argoproj.io/tracking-id", "argocd.argoproj.io/instance"].contains(&name.as_str());
        if flux {
            Some(GitOps::Flux)
        } else if argo {
            Some(GitOps::ArgoCd)
        } else {
            None
        }
    })
}

#[cfg(test)]
mod tests {
    use serde::de::DeserializeOwned;
    use serde_json::{Value, json};

    use super::*;
    use crate::observe::other_readers::{lost_pods, other_readers};
    use deepdesk_protocol::facts::named::Word;

    fn typed<K: DeserializeOwned>(object: &Value) -> K {
        serde_json::from_value(object.clone()).expect("it fits")
    }

    fn carriers() -> Carriers {
        [("keys".parse().expect("a name"), vec![("KEY".to_owned(), Source::Primary)])].into()
    }

    fn reading() -> Value {
        json!({"containers": [{"name": "main", "envFrom": [{"secretRef": {"name": "keys"}}]}], "nodeName": "node-1"})
    }

    fn deployment(paused: bool, status: &Value) -> Consumer {
        let object = json!({"metadata": {"name": "backend", "uid": "u", "generation": 2},
            "spec": {"selector": {}, "replicas": 2, "paused": paused, "template": {"spec": reading()}}, "status": status});
        let all = Workloads { deployments: vec![typed(&object)], ..Workloads::default() };
        consumers(&all, &carriers()).remove(0)
    }

    /// What kubectl waits for is waited for, and named.
    #[test]
    fn a_failure_to_make_pods_is_named_and_only_the_deadline_ends_the_wait() {
        let status = |conditions: Value| json!({"observedGeneration": 2, "replicas": 2, "updatedReplicas": 1, "availableReplicas": 2, "conditions": conditions});
        let quota = json!({"type": "ReplicaFailure", "status": "True", "reason": "FailedCreate", "message": "exceeded quota: compute"});
        let late = json!({"type": "Progressing", "status": "False", "reason": "ProgressDeadlineExceeded", "message": "timed out"});
        let under_way = Rollout::Progressing { available: 1, desired: 2 };
        let stuck = Rollout::Stuck { reason: "ProgressDeadlineExceeded: timed out".to_owned() };
        for (name, paused, conditions, rollout, waits_for) in [
            ("nothing", false, json!([]), under_way.clone(), ""),
            (
                "quota",
                false,
                json!([quota]),
                under_way.clone(),
                "ReplicaFailure: FailedCreate: exceeded quota: compute",
            ),
            ("deadline", false, json!([late]), stuck.clone(), ""),
            ("both", false, json!([quota, late]), stuck, "ReplicaFailure"),
            ("paused", true, json!([]), under_way, "paused"),
        ] {
            let consumer = deployment(paused, &status(conditions));
            assert_eq!(consumer.rollout, rollout, "{name}");
            let words = consumer.moving.waits_for.join("; ");
            assert!(words.contains(waits_for) && words.is_empty() == waits_for.is_empty(), "{name}: {words}");
        }
        let over = json!({"observedGeneration": 1, "conditions": [late]});
        assert_eq!(
            deployment(false, &over).rollout,
            Rollout::Progressing { available: 0, desired: 2 },
            "of the rollout before"
        );
    }

    fn spooler(name: &str, node: &str, ready: bool) -> Pod {
        let mut spec = reading();
        spec["nodeName"] = node.into();
        typed(&json!({
            "metadata": {"name": name, "ownerReferences": [{"apiVersion": "apps/v1", "kind": "DaemonSet", "name": "spooler", "uid": "ds", "controller": true}]},
            "spec": spec,
            "status": {"phase": "Running", "conditions": [{"type": "Ready", "status": if ready { "True" } else { "False" }}]},
        }))
    }

    #[test]
    fn a_pod_whose_node_is_gone_does_not_count_and_is_named() {
        let status = json!({"desiredNumberScheduled": 2, "currentNumberScheduled": 2, "updatedNumberScheduled": 2,
            "numberReady": 1, "numberAvailable": 1, "numberUnavailable": 1, "numberMisscheduled": 0, "observedGeneration": 1});
        let set = json!({"metadata": {"name": "spooler", "uid": "ds", "generation": 1},
            "spec": {"selector": {}, "template": {"spec": reading()}}, "status": status});
        let at = |text: &str| text.parse::<jiff::Timestamp>().expect("a time");
        let gone = Nodes {
            now: Some(at("2026-11-30T10:00:00Z")),
            silent: [("node-2".to_owned(), Some(at("2026-11-30T09:00:00Z")))].into(),
        };
        for (nodes, rolled_out, pods) in [(Nodes::default(), false, 2), (gone, true, 1)] {
            let all = Workloads {
                daemon_sets: vec![typed(&set)],
                pods: vec![spooler("spooler-1", "node-1", true), spooler("spooler-2", "node-2", false)],
                nodes,
                ..Workloads::default()
            };
            let found = consumers(&all, &carriers());
            assert_eq!((found[0].is_rolled_out(), found[0].pods.len()), (rolled_out, pods));
            assert_eq!(other_readers(&all, &carriers(), &found), []);
            let words = found[0].moving.waits_for.join("; ");
            let lost: Vec<String> = lost_pods(&all, &carriers()).into_iter().map(|lost| lost.pod).collect();
            match rolled_out {
                true => {
                    assert_eq!(lost, ["spooler-2"]);
                    assert!(words.contains("spooler-2") && words.contains("node-2"), "{words}");
                }
                // Without the right to read nodes what is missing is said all the same.
                false => {
                    assert!(lost.is_empty() && words.contains("pod spooler-2 on node node-2 is not ready"), "{words}")
                }
            }
        }
    }

    #[test]
    fn a_workload_whose_pods_alone_read_the_secret_is_restarted() {
        let idle = json!({"containers": [{"name": "main"}]});
        let web = json!({"metadata": {"name": "web", "uid": "web"}, "spec": {"selector": {}, "replicas": 2, "template": {"spec": idle}}});
        let owner = |kind: &str, uid: &str| json!([{"apiVersion": "apps/v1", "kind": kind, "name": uid, "uid": uid, "controller": true}]);
        let set = json!({"metadata": {"name": "web-1", "uid": "web-1", "ownerReferences": owner("Deployment", "web")},
            "spec": {"selector": {}, "template": {"spec": idle}}});
        let pod = |name: &str, spec: &Value| -> Pod {
            typed(&json!({"metadata": {"name": name, "ownerReferences": owner("ReplicaSet", "web-1")}, "spec": spec}))
        };
        let all = Workloads {
            deployments: vec![typed(&web)],
            replica_sets: vec![typed(&set)],
            pods: vec![pod("injected", &reading()), pod("plain", &idle)],
            ..Workloads::default()
        };
        let found = consumers(&all, &carriers());
        let pods: Vec<&str> = found[0].pods.iter().map(|pod| pod.name.as_str()).collect();
        assert!(found[0].moving.injected && pods == ["injected"], "{found:?}");
        let none = Workloads { pods: vec![pod("plain", &idle)], ..all };
        assert!(consumers(&none, &carriers()).is_empty());
    }

    #[test]
    fn a_pod_whose_set_is_gone_is_its_deployments_as_long_as_it_runs() {
        let web = json!({"metadata": {"name": "web", "uid": "web"}, "spec": {"selector": {}, "replicas": 1, "template": {"spec": reading()}}});
        let pod = |set: &str, hash: &str| -> Pod {
            let owner = json!([{"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": set, "uid": "gone", "controller": true}]);
            let labels = json!({"pod-template-hash": hash});
            typed(&json!({"metadata": {"name": "p", "labels": labels, "ownerReferences": owner}, "spec": reading()}))
        };
        for (set, hash, is_its) in [("web-1f", "1f", true), ("web-1f", "2a", false), ("web-api-1f", "1f", false)] {
            let all = Workloads { deployments: vec![typed(&web)], pods: vec![pod(set, hash)], ..Workloads::default() };
            let found = consumers(&all, &carriers());
            assert_eq!(found[0].pods.len(), usize::from(is_its), "{set} {hash}");
            assert_eq!(other_readers(&all, &carriers(), &found).is_empty(), is_its, "{set} {hash}");
        }
    }

    #[test]
    fn the_operators_word_is_for_the_workload_that_it_names() {
        let object = json!({"metadata": {"name": "db", "uid": "u"},
            "spec": {"selector": {}, "serviceName": "db", "updateStrategy": {"type": "OnDelete"}, "template": {"spec": reading()}}});
        let words = |evict: &str| Words { evict: vec![evict.parse().expect("a name")], leave: Vec::new() };
        for (evict, word) in [("sts/db", Word::Evict), ("statefulset/other", Word::None)] {
            let all = Workloads { stateful_sets: vec![typed(&object)], words: words(evict), ..Workloads::default() };
            assert_eq!(consumers(&all, &carriers())[0].moving.word, word, "{evict}");
        }
    }
}
