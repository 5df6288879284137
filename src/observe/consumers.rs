//! Finds the workloads whose pods read the keys that carry the two values, and judges how far each is rolled out.
//!
//! Pure: objects in, facts out.

use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::api::apps::v1::{DaemonSet, Deployment, ReplicaSet, StatefulSet};
use k8s_openapi::api::batch::v1::{CronJob, Job};
use k8s_openapi::api::core::v1::{Container, EnvFromSource, EnvVar, KeyToPath, Pod, PodSpec, PodTemplateSpec, Volume};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

use super::mappings::stands_for_any;
use deepdesk_protocol::facts::names::{ObjectName, WorkloadKind, WorkloadRef};
use deepdesk_protocol::facts::observation::{Consumer, GitOps, PodView, Rollout, Source};
use deepdesk_protocol::facts::restart_note::RestartNote;

/// The keys that matter: for each Kubernetes Secret, which of its keys carry which of the two values.
pub type Carriers = BTreeMap<ObjectName, Vec<(String, Source)>>;

/// Everything in a namespace that can have pods.
#[derive(Default)]
pub struct Workloads {
    /// Deployments.
    pub deployments: Vec<Deployment>,
    /// Their ReplicaSets.
    pub replica_sets: Vec<ReplicaSet>,
    /// StatefulSets.
    pub stateful_sets: Vec<StatefulSet>,
    /// DaemonSets.
    pub daemon_sets: Vec<DaemonSet>,
    /// CronJobs.
    pub cron_jobs: Vec<CronJob>,
    /// Jobs.
    pub jobs: Vec<Job>,
    /// Pods.
    pub pods: Vec<Pod>,
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
}

/// The consumers, sorted by kind and name.
pub fn consumers(all: &Workloads, carriers: &Carriers) -> Vec<Consumer> {
    let deployments = all.deployments.iter().filter_map(deployment);
    let stateful_sets = all.stateful_sets.iter().filter_map(stateful_set);
    let daemon_sets = all.daemon_sets.iter().filter_map(daemon_set);
    let common = deployments.chain(stateful_sets).chain(daemon_sets);
    let mut consumers: Vec<Consumer> = common.filter_map(|common| consumer(all, carriers, &common)).collect();
    consumers.sort_by(|a, b| a.workload.cmp(&b.workload));
    consumers
}

fn consumer(all: &Workloads, carriers: &Carriers, common: &Common) -> Option<Consumer> {
    let mut reads = Reads::pod_spec(carriers, common.template.spec.as_ref()?);
    if reads.reasons.is_empty() {
        return None;
    }
    let pods = pods_of(all, common.kind, common.metadata.uid.as_deref());
    // What a webhook put into them is theirs too: a restart replaces them, and they are judged by every Secret they read.
    pods.iter().filter_map(|pod| pod.spec.as_ref()).for_each(|spec| reads.add(Reads::pod_spec(carriers, spec)));
    let mut pods: Vec<PodView> = pods.into_iter().map(pod_view).collect();
    pods.sort_by(|a, b| a.name.cmp(&b.name));
    let name: ObjectName = common.metadata.name.as_deref()?.parse().ok()?;
    let annotations = common.template.metadata.as_ref().and_then(|metadata| metadata.annotations.as_ref());
    let note = RestartNote::read(annotations);
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
        secrets: reads.secrets.into_iter().collect(),
    })
}

/// The running pods of a workload: by owner, not by label, since labels can match foreign pods.
fn pods_of<'a>(all: &'a Workloads, kind: WorkloadKind, uid: Option<&str>) -> Vec<&'a Pod> {
    let Some(uid) = uid else { return Vec::new() };
    let owned_by =
        |metadata: &ObjectMeta, uid: &str| metadata.owner_references.iter().flatten().any(|owner| owner.uid == uid);
    let owners: Vec<&str> = match kind {
        WorkloadKind::Deployment => {
            let sets = all.replica_sets.iter().filter(|set| owned_by(&set.metadata, uid));
            sets.filter_map(|set| set.metadata.uid.as_deref()).collect()
        }
        WorkloadKind::StatefulSet | WorkloadKind::DaemonSet => vec![uid],
    };
    let pods = all.pods.iter().filter(|pod| owners.iter().any(|owner| owned_by(&pod.metadata, owner)));
    pods.filter(|pod| runs(pod)).collect()
}

/// Whether a pod has not ended: an ended one holds no value any more.
pub(super) fn runs(pod: &Pod) -> bool {
    let phase = pod.status.as_ref().and_then(|status| status.phase.as_deref());
    !matches!(phase, Some("Succeeded" | "Failed"))
}

fn pod_view(pod: &Pod) -> PodView {
    let note = RestartNote::read(pod.metadata.annotations.as_ref());
    let conditions = pod.status.iter().flat_map(|status| status.conditions.iter().flatten());
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
        ready: conditions.into_iter().any(|condition| condition.type_ == "Ready" && condition.status == "True"),
        trouble: troubles.into_iter().next(),
        terminating: pod.metadata.deletion_timestamp.is_some(),
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
    let failing = conditions.iter().find_map(|condition| {
        let gave_up =
            condition.type_ == "Progressing" && condition.reason.as_deref() == Some("ProgressDeadlineExceeded");
        let cannot = condition.type_ == "ReplicaFailure" && condition.status == "True";
        let words = [condition.reason.as_deref(), condition.message.as_deref()];
        (gave_up || cannot).then(|| words.into_iter().flatten().collect::<Vec<_>>().join(": "))
    });
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
        paused: spec.paused == Some(true),
        holds_back: None,
        rollout: counts.rollout(failing),
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
    })
}

fn daemon_set(object: &DaemonSet) -> Option<Common<'_>> {
    let spec = object.spec.as_ref()?;
    let status = object.status.clone().unwrap_or_default();
    let on_delete = spec.update_strategy.as_ref().and_then(|strategy| strategy.type_.as_deref()) == Some("OnDelete");
    let desired = status.desired_number_scheduled;
    let counts = Counts {
        observed: status.observed_generation.unwrap_or(0) >= object.metadata.generation.unwrap_or(0),
        desired,
        total: desired,
        updated: status.updated_number_scheduled.unwrap_or(0),
        available: status.number_available.unwrap_or(0),
    };
    Some(Common {
        kind: WorkloadKind::DaemonSet,
        metadata: &object.metadata,
        template: &spec.template,
        desired,
        paused: false,
        holds_back: on_delete.then(|| "its update strategy is OnDelete".to_owned()),
        rollout: counts.rollout(None),
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
