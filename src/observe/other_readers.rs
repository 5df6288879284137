//! Finds what reads the carriers and is not a consumer: a restart does not reach it.
//!
//! Pure. Running pods are judged by their own spec, as the API server has it, whatever owns them: a webhook may have put the
//! Secret there, the owner may be of a kind that nobody here knows, may have been edited since, or may be gone. Owners are
//! followed for their names alone. Templates tell of what has no pod just now.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use k8s_openapi::api::apps::v1::ReplicaSet;
use k8s_openapi::api::batch::v1::{CronJob, Job};
use k8s_openapi::api::core::v1::{Pod, PodSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference};

use super::consumers::{Carriers, Reads, Workloads, consumers, has_not_ended, is_ready};
use super::nodes::Hold;
use deepdesk_protocol::facts::named::ReaderName;
use deepdesk_protocol::facts::names::ObjectName;
use deepdesk_protocol::facts::observation::{Consumer, LostPod, OtherReader};

/// How far owners are followed upward; a circle has an end so.
const LEVELS: usize = 8;
/// Owners whose pods end by themselves, whatever their restart policy says.
const ENDING: [&str; 7] = ["CronJob", "CronWorkflow", "Job", "PipelineRun", "PodGroup", "TaskRun", "Workflow"];

/// What else reads the carriers, sorted by kind and name.
pub fn other_readers(all: &Workloads, carriers: &Carriers, consumers: &[Consumer]) -> Vec<OtherReader> {
    let owners = Owners::of(all);
    let proven: BTreeSet<&str> =
        consumers.iter().flat_map(|consumer| &consumer.pods).map(|pod| pod.name.as_str()).collect();
    let name = |pod: &Pod| pod.metadata.name.clone().unwrap_or_default();
    let left = all.pods.iter().filter(|pod| all.runs(pod) && !proven.contains(name(pod).as_str()));
    let mut pods: Vec<Running> = left.filter_map(|pod| Running::read(pod, carriers)).collect();
    let mut found = jobs(all, carriers, &owners, &mut pods);
    let sets = all.replica_sets.iter().filter_map(|set| replica_set(set, carriers, &owners, &pods));
    found.extend(sets);
    found.extend(pods.into_iter().map(|running| running.reader(all, &owners)));
    found.iter_mut().for_each(|reader| reader.word = all.words.of(&reader.names));
    found.sort();
    found
}

/// Adds what reads a copy of a carrier: no restart brings it another value until the copy has that, whatever owns it.
pub fn add_of_copies(found: &mut Vec<OtherReader>, all: &Workloads, copies: &Carriers) {
    if copies.is_empty() {
        return;
    }
    let consumers = consumers(all, copies);
    let workloads = consumers.iter().map(|consumer| {
        // Without one date it has none, and counts as old.
        let since = consumer.pods.iter().map(|pod| pod.created).min().flatten();
        let names = vec![ReaderName::from(&consumer.workload)];
        OtherReader {
            word: all.words.of(&names),
            names,
            kind: consumer.workload.kind.as_str().to_owned(),
            name: consumer.workload.name.to_string(),
            running: !consumer.pods.is_empty(),
            since,
            reasons: consumer.reasons.clone(),
            secrets: consumer.secrets.clone(),
            ..OtherReader::default()
        }
    });
    for reader in workloads.chain(other_readers(all, copies, &consumers)) {
        match found.iter_mut().find(|known| (&known.kind, &known.name) == (&reader.kind, &reader.name)) {
            Some(known) => {
                known.reasons.extend(reader.reasons);
                known.secrets.extend(reader.secrets);
            }
            None => found.push(reader),
        }
    }
    found.sort();
}

/// The running pods of which `reads` knows why they are readers, whatever they read.
pub fn pods_that(all: &Workloads, reads: impl Fn(&Pod) -> Vec<String>) -> Vec<OtherReader> {
    let owners = Owners::of(all);
    let found = all.pods.iter().filter(|pod| all.runs(pod)).filter_map(|pod| {
        let reasons = Some(reads(pod)).filter(|reasons| !reasons.is_empty())?;
        let running = Running { pod, reads: Reads { reasons, ..Reads::default() } };
        let reader = running.reader(all, &owners);
        Some(OtherReader { word: all.words.of(&reader.names), ..reader })
    });
    found.collect()
}

/// The pods that read the carriers and do not count as running, since their nodes are gone.
pub fn lost_pods(all: &Workloads, carriers: &Carriers) -> Vec<LostPod> {
    let owners = Owners::of(all);
    let lost = all.pods.iter().filter(|pod| has_not_ended(pod)).filter_map(|pod| {
        let Hold::Lost(why) = all.nodes.hold(pod) else { return None };
        reads(carriers, pod.spec.as_ref())?;
        Some(LostPod {
            pod: pod.metadata.name.clone()?,
            node: pod.spec.as_ref().and_then(|spec| spec.node_name.clone()).unwrap_or_default(),
            owner: owners.in_words(&owners.chain(&pod.metadata)),
            since: created(&pod.metadata),
            why,
        })
    });
    lost.collect()
}

/// Whether a running pod names a ReplicaSet as its owner that is not among those listed, or whose Deployment is not.
pub fn is_ownerless(all: &Workloads) -> bool {
    let owners = Owners::of(all);
    let lacks = |pod: &Pod| {
        let chain = owners.chain(&pod.metadata);
        let of_a_set = chain.first().is_some_and(|owner| owner.kind == "ReplicaSet");
        of_a_set && chain.last().is_some_and(|top| is_listed_kind(top) && !owners.knows(top))
    };
    all.pods.iter().filter(|pod| all.runs(pod)).any(lacks)
}

/// A running pod with what it reads.
struct Running<'a> {
    pod: &'a Pod,
    reads: Reads,
}

impl<'a> Running<'a> {
    fn read(pod: &'a Pod, carriers: &Carriers) -> Option<Running<'a>> {
        let reads = Reads::pod_spec(carriers, pod.spec.as_ref()?);
        reads.any().then_some(Running { pod, reads })
    }

    fn is_of(&self, owner: &ObjectMeta) -> bool {
        controller(&self.pod.metadata).is_some_and(|by| Some(&by.uid) == owner.uid.as_ref())
    }

    fn reader(self, all: &Workloads, owners: &Owners) -> OtherReader {
        let metadata = &self.pod.metadata;
        let chain = owners.chain(metadata);
        let policy = self.pod.spec.as_ref().and_then(|spec| spec.restart_policy.as_deref());
        let kept = match all.nodes.hold(self.pod) {
            Hold::Kept(words) | Hold::Lost(words) => Some(words),
            Hold::None => None,
        };
        let leaving = metadata.deletion_timestamp.is_some();
        OtherReader {
            running: true,
            // Whose end was asked for comes to it, unless something keeps it.
            ends: (leaving && kept.is_none())
                || policy.is_some_and(|policy| policy != "Always")
                || chain.iter().any(|owner| ENDING.contains(&owner.kind.as_str())),
            since: created(metadata),
            owner: owners.in_words(&chain),
            ready: is_ready(self.pod),
            terminating: leaving,
            kept,
            ..owned(reader("Pod", metadata, self.reads), &chain)
        }
    }
}

fn reader(kind: &str, metadata: &ObjectMeta, reads: Reads) -> OtherReader {
    let secrets: Vec<ObjectName> = reads.secrets.into_iter().collect();
    let name = metadata.name.clone().unwrap_or_default();
    let names = vec![ReaderName::of(kind, &name)];
    OtherReader { kind: kind.to_owned(), name, reasons: reads.reasons, secrets, names, ..OtherReader::default() }
}

/// The same, with the names of what owns it behind its own.
fn owned(mut reader: OtherReader, chain: &[&OwnerReference]) -> OtherReader {
    reader.names.extend(chain.iter().map(|owner| ReaderName::of(&owner.kind, &owner.name)));
    reader
}

fn created(metadata: &ObjectMeta) -> Option<Timestamp> {
    metadata.creation_timestamp.as_ref().map(|time| time.0)
}

fn reads(carriers: &Carriers, spec: Option<&PodSpec>) -> Option<Reads> {
    spec.map(|spec| Reads::pod_spec(carriers, spec)).filter(Reads::any)
}

/// CronJobs and Jobs whose templates read the carriers, each with what of it runs. Takes their pods out of `pods`.
fn jobs(all: &Workloads, carriers: &Carriers, owners: &Owners, pods: &mut Vec<Running>) -> Vec<OtherReader> {
    let mut found = Vec::new();
    for cron in &all.cron_jobs {
        let Some(reads) = reads(carriers, cron_template(cron)) else { continue };
        let own = |job: &&Job| controller(&job.metadata).is_some_and(|by| Some(&by.uid) == cron.metadata.uid.as_ref());
        let lives: Vec<Life> = all.jobs.iter().filter(own).map(|job| life(job, carriers, pods)).collect();
        found.push(Life::told(lives, reader("CronJob", &cron.metadata, reads)));
    }
    let told: BTreeSet<String> = found.iter().map(|cron| cron.name.clone()).collect();
    for job in &all.jobs {
        let chain = owners.chain(&job.metadata);
        let is_told = chain.first().is_some_and(|by| by.kind == "CronJob" && told.contains(&by.name));
        if is_told || is_over(job) {
            continue;
        }
        // A Job of a CronJob that has been edited since is told by itself.
        let Some(reads) = reads(carriers, job_template(job)) else { continue };
        let reader =
            OtherReader { owner: owners.in_words(&chain), ..owned(reader("Job", &job.metadata, reads), &chain) };
        found.push(Life::told(vec![life(job, carriers, pods)], reader));
    }
    found
}

pub(super) fn cron_template(cron: &CronJob) -> Option<&PodSpec> {
    cron.spec.as_ref()?.job_template.spec.as_ref()?.template.spec.as_ref()
}

pub(super) fn job_template(job: &Job) -> Option<&PodSpec> {
    job.spec.as_ref()?.template.spec.as_ref()
}

fn is_over(job: &Job) -> bool {
    let conditions = job.status.iter().flat_map(|status| status.conditions.iter().flatten());
    conditions
        .into_iter()
        .any(|condition| matches!(condition.type_.as_str(), "Complete" | "Failed") && condition.status == "True")
}

/// What of a Job runs.
struct Life {
    running: bool,
    since: Option<Timestamp>,
    secrets: BTreeSet<ObjectName>,
}

impl Life {
    /// The reader with what runs of it; without one date it has none, and counts as old.
    fn told(lives: Vec<Life>, reader: OtherReader) -> OtherReader {
        let secrets = lives.iter().flat_map(|life| life.secrets.iter().cloned());
        let secrets: BTreeSet<ObjectName> = reader.secrets.iter().cloned().chain(secrets).collect();
        let running: Vec<Life> = lives.into_iter().filter(|life| life.running).collect();
        let since = running.iter().map(|life| life.since).min().flatten();
        let secrets = secrets.into_iter().collect();
        OtherReader { running: !running.is_empty(), ends: true, since, secrets, ..reader }
    }
}

/// Takes the pods of a Job out of `pods`. One whose status tells of pods that are not listed yet runs too.
fn life(job: &Job, carriers: &Carriers, pods: &mut Vec<Running>) -> Life {
    let own: Vec<Running> = pods.extract_if(.., |running| running.is_of(&job.metadata)).collect();
    let active = job.status.as_ref().and_then(|status| status.active).unwrap_or(0) > 0;
    let is_awaited = own.is_empty() && active && reads(carriers, job_template(job)).is_some();
    let since = match is_awaited {
        true => created(&job.metadata),
        false => own.iter().map(|running| created(&running.pod.metadata)).min().flatten(),
    };
    let secrets = own.iter().flat_map(|running| running.reads.secrets.iter().cloned()).collect();
    Life { running: is_awaited || !own.is_empty(), since, secrets }
}

/// A ReplicaSet that is no Deployment's of this namespace, wants pods and has none that runs: its next ones will read.
fn replica_set(set: &ReplicaSet, carriers: &Carriers, owners: &Owners, pods: &[Running]) -> Option<OtherReader> {
    let spec = set.spec.as_ref()?;
    let chain = owners.chain(&set.metadata);
    let is_restarted = chain.first().is_some_and(|by| by.kind == "Deployment" && owners.knows(by));
    if is_restarted || spec.replicas == Some(0) || pods.iter().any(|running| running.is_of(&set.metadata)) {
        return None;
    }
    let reads = reads(carriers, spec.template.as_ref().and_then(|template| template.spec.as_ref()))?;
    Some(OtherReader { owner: owners.in_words(&chain), ..owned(reader("ReplicaSet", &set.metadata, reads), &chain) })
}

/// Who controls an object; else who owns it first, since some operators set no controller.
pub(super) fn controller(metadata: &ObjectMeta) -> Option<&OwnerReference> {
    let owners = metadata.owner_references.as_deref().unwrap_or_default();
    owners.iter().find(|owner| owner.controller == Some(true)).or_else(|| owners.first())
}

/// The objects that own others, by UID.
struct Owners<'a>(BTreeMap<&'a str, &'a ObjectMeta>);

impl<'a> Owners<'a> {
    fn of(all: &'a Workloads) -> Owners<'a> {
        let deployments = all.deployments.iter().map(|one| &one.metadata);
        let replica_sets = all.replica_sets.iter().map(|one| &one.metadata);
        let stateful_sets = all.stateful_sets.iter().map(|one| &one.metadata);
        let daemon_sets = all.daemon_sets.iter().map(|one| &one.metadata);
        let cron_jobs = all.cron_jobs.iter().map(|one| &one.metadata);
        let jobs = all.jobs.iter().map(|one| &one.metadata);
        let all = deployments.chain(replica_sets).chain(stateful_sets).chain(daemon_sets).chain(cron_jobs).chain(jobs);
        Owners(all.filter_map(|metadata| Some((metadata.uid.as_deref()?, metadata))).collect())
    }

    fn knows(&self, owner: &OwnerReference) -> bool {
        self.0.contains_key(owner.uid.as_str())
    }

    /// The owners of an object, the nearest first.
    fn chain(&self, metadata: &'a ObjectMeta) -> Vec<&'a OwnerReference> {
        let mut chain = Vec::new();
        let mut next = controller(metadata);
        while let Some(owner) = next.filter(|_| chain.len() < LEVELS) {
            chain.push(owner);
            next = self.0.get(owner.uid.as_str()).copied().and_then(controller);
        }
        chain
    }

    /// `Rollout/payments (ReplicaSet payments-7f9c)`; none for what belongs to nobody.
    fn in_words(&self, chain: &[&OwnerReference]) -> Option<String> {
        let (nearest, top) = (chain.first()?, chain.last()?);
        let through = format!("{} {}", nearest.kind, nearest.name);
        let behind = match (is_listed_kind(top) && !self.knows(top), chain.len() > 1) {
            (false, false) => String::new(),
            (false, true) => format!(" ({through})"),
            (true, false) => format!(" {})", OtherReader::GONE),
            (true, true) => format!(" {}; {through})", OtherReader::GONE),
        };
        Some(format!("{}/{}{behind}", top.kind, top.name))
    }
}

/// Whether every object of this kind in the namespace is known here.
fn is_listed_kind(owner: &OwnerReference) -> bool {
    let group = owner.api_version.split('/').next().unwrap_or_default();
    let kinds: &[&str] = match group {
        "apps" => &["Deployment", "ReplicaSet", "StatefulSet", "DaemonSet"],
        "batch" => &["CronJob", "Job"],
        _ => &[],
    };
    kinds.contains(&owner.kind.as_str())
}

#[cfg(test)]
mod tests {
    use serde::de::DeserializeOwned;
    use serde_json::{Value, json};

    use super::super::consumers::consumers;
    use super::*;
    use deepdesk_protocol::facts::observation::Source;

    fn carried() -> Carriers {
        let keys = vec![("KEY".to_owned(), Source::Primary), ("OLD".to_owned(), Source::BackCompat)];
        Carriers::from([
            ("keys".parse().expect("a name"), keys),
            ("unknown".parse().expect("a name"), vec![("(any key)".to_owned(), Source::Primary)]),
        ])
    }

    fn reading() -> Value {
        json!({"containers": [{"name": "main", "envFrom": [{"secretRef": {"name": "keys"}}]}]})
    }

    fn idle() -> Value {
        json!({"containers": [{"name": "main"}]})
    }

    fn object(name: &str, owner: Option<(&str, &str, &str)>, spec: Value) -> Value {
        let owners = owner.map(|(version, kind, name)| {
            json!([{"apiVersion": version, "kind": kind, "name": name, "uid": format!("uid-{name}"), "controller": true}])
        });
        json!({"metadata": {"name": name, "uid": format!("uid-{name}"), "ownerReferences": owners,
            "creationTimestamp": "2026-11-23T10:00:00Z"}, "spec": spec})
    }

    fn templated(name: &str, owner: Option<(&str, &str, &str)>, pod: Value) -> Value {
        let spec = json!({"selector": {}, "replicas": 1, "template": {"spec": pod}});
        object(name, owner, spec)
    }

    fn typed<K: DeserializeOwned>(objects: Vec<Value>) -> Vec<K> {
        objects.into_iter().map(|object| serde_json::from_value(object).expect("it fits")).collect()
    }

    fn brief(all: &Workloads) -> String {
        let consumers = consumers(all, &carried());
        let found = other_readers(all, &carried(), &consumers);
        let told = found.iter().map(|reader| {
            let runs = if reader.running { " runs" } else { "" };
            let ends = if reader.ends { " ends" } else { "" };
            format!("{}{runs}{ends}", reader.named())
        });
        told.collect::<Vec<_>>().join("; ")
    }

    #[test]
    fn a_running_pod_that_is_no_consumers_is_a_reader_whatever_owns_it() {
        let apps = "apps/v1";
        let cases: [(&str, Vec<Value>, &str); 8] = [
            ("bare", vec![object("a", None, reading())], "pod/a runs"),
            (
                "an operator's",
                vec![object("a", Some(("db.example.com/v1", "Cluster", "db")), reading())],
                "pod/a of Cluster/db runs",
            ),
            (
                "a ReplicationController's",
                vec![object("a", Some(("v1", "ReplicationController", "rc")), reading())],
                "pod/a of ReplicationController/rc runs",
            ),
            (
                "a Workflow's",
                vec![object("a", Some(("argoproj.io/v1alpha1", "Workflow", "wf")), reading())],
                "pod/a of Workflow/wf runs ends",
            ),
            (
                "of a ReplicaSet of a Rollout",
                vec![object("a", Some((apps, "ReplicaSet", "rollout-1")), reading())],
                "pod/a of Rollout/rollout (ReplicaSet rollout-1) runs",
            ),
            (
                "of a ReplicaSet that is gone",
                vec![object("a", Some((apps, "ReplicaSet", "backend-0")), reading())],
                "pod/a of ReplicaSet/backend-0 (gone) runs",
            ),
            (
                "of a ReplicaSet whose Deployment is gone",
                vec![object("a", Some((apps, "ReplicaSet", "left-1")), reading())],
                "pod/a of Deployment/left (gone; ReplicaSet left-1) runs",
            ),
            (
                "injected",
                vec![
                    object("a", Some((apps, "ReplicaSet", "web-1")), reading()),
                    object("b", Some((apps, "ReplicaSet", "web-1")), idle()),
                ],
                // A restart of its Deployment moves it.
                "",
            ),
        ];
        for (name, pods, expected) in cases {
            let rollout = ("argoproj.io/v1alpha1", "Rollout", "rollout");
            let all = Workloads {
                deployments: typed(vec![templated("web", None, idle()), templated("backend", None, reading())]),
                replica_sets: typed(vec![
                    templated("web-1", Some((apps, "Deployment", "web")), idle()),
                    templated("backend-1", Some((apps, "Deployment", "backend")), reading()),
                    templated("rollout-1", Some(rollout), idle()),
                    templated("left-1", Some((apps, "Deployment", "left")), idle()),
                ]),
                pods: typed(pods),
                ..Workloads::default()
            };
            assert_eq!(brief(&all), expected, "{name}");
        }
    }

    #[test]
    fn a_consumers_pods_are_its_own_and_judged_by_all_that_they_read() {
        let apps = "apps/v1";
        let mut injected = reading();
        injected["initContainers"] = json!([{"name": "agent", "envFrom": [{"secretRef": {"name": "unknown"}}]}]);
        let all = Workloads {
            deployments: typed(vec![templated("backend", None, reading())]),
            replica_sets: typed(vec![templated("backend-1", Some((apps, "Deployment", "backend")), reading())]),
            pods: typed(vec![object("a", Some((apps, "ReplicaSet", "backend-1")), injected)]),
            ..Workloads::default()
        };
        assert_eq!(brief(&all), "");
        let consumers = consumers(&all, &carried());
        let secrets: Vec<&str> = consumers[0].secrets.iter().map(|secret| secret.as_str()).collect();
        assert_eq!(secrets, ["keys", "unknown"]);
        assert!(consumers[0].reasons.iter().any(|reason| reason.contains("init container agent")), "{consumers:?}");
    }

    #[test]
    fn a_pod_is_judged_by_its_own_spec() {
        let key = |secret: &str, key: &str| json!([{"name": "K", "valueFrom": {"secretKeyRef": {"name": secret, "key": key}}}]);
        let main = json!({"name": "main"});
        let cases = [
            ("env", json!({"containers": [{"name": "main", "env": key("keys", "KEY")}]}), true),
            ("another key", json!({"containers": [{"name": "main", "env": key("keys", "URL")}]}), false),
            ("whichever key", json!({"containers": [{"name": "main", "env": key("unknown", "URL")}]}), true),
            ("another Secret", json!({"containers": [{"name": "main", "env": key("other", "KEY")}]}), false),
            ("init", json!({"initContainers": [{"name": "i", "env": key("keys", "KEY")}], "containers": [main]}), true),
            (
                "ephemeral",
                json!({"ephemeralContainers": [{"name": "debug", "env": key("keys", "KEY")}], "containers": [main]}),
                true,
            ),
            (
                "volume",
                json!({"containers": [main], "volumes": [{"name": "v", "secret": {"secretName": "keys"}}]}),
                true,
            ),
            (
                "projected",
                json!({"containers": [main], "volumes": [{"name": "v", "projected": {"sources": [
                    {"secret": {"name": "keys", "items": [{"key": "OLD", "path": "x"}]}}]}}]}),
                true,
            ),
        ];
        for (name, spec, found) in cases {
            let all = Workloads { pods: typed(vec![object("a", None, spec)]), ..Workloads::default() };
            assert_eq!(brief(&all) == "pod/a runs", found, "{name}");
        }
        for (phase, leaves, found) in
            [("Pending", false, true), ("Running", true, true), ("Succeeded", false, false), ("Failed", false, false)]
        {
            let mut pod = object("a", None, reading());
            pod["status"] = json!({"phase": phase});
            if leaves {
                pod["metadata"]["deletionTimestamp"] = "2026-11-23T10:00:00Z".into();
            }
            let all = Workloads { pods: typed(vec![pod]), ..Workloads::default() };
            // One that was asked to leave ends by itself, and runs until then.
            let runs = if leaves { "pod/a runs ends" } else { "pod/a runs" };
            assert_eq!(brief(&all) == runs, found, "{phase}");
        }
    }

    #[test]
    fn what_ends_by_itself_is_told_by_its_job() {
        let batch = "batch/v1";
        let cron = |pod: Value| {
            object("nightly", None, json!({"schedule": "", "jobTemplate": {"spec": {"template": {"spec": pod}}}}))
        };
        let job = |owner: Option<(&str, &str, &str)>, pod: Value, active: i32| {
            let mut job = object("job-1", owner, json!({"template": {"spec": pod}}));
            job["status"] = json!({"active": active});
            job
        };
        let of_cron = || Some((batch, "CronJob", "nightly"));
        let pod = || object("job-1-x", Some((batch, "Job", "job-1")), reading());
        let cases = [
            ("none runs", cron(reading()), None, vec![], "cronjob/nightly ends"),
            ("one runs", cron(reading()), Some(job(of_cron(), reading(), 1)), vec![pod()], "cronjob/nightly runs ends"),
            (
                "one that is not listed yet",
                cron(reading()),
                Some(job(of_cron(), reading(), 1)),
                vec![],
                "cronjob/nightly runs ends",
            ),
            (
                "edited since",
                cron(idle()),
                Some(job(of_cron(), reading(), 1)),
                vec![pod()],
                "job/job-1 of CronJob/nightly runs ends",
            ),
            (
                "injected",
                cron(idle()),
                Some(job(of_cron(), idle(), 1)),
                vec![pod()],
                "pod/job-1-x of CronJob/nightly (Job job-1) runs ends",
            ),
            ("gone", cron(idle()), None, vec![pod()], "pod/job-1-x of Job/job-1 (gone) runs ends"),
            ("alone", cron(idle()), Some(job(None, reading(), 0)), vec![], "job/job-1 ends"),
        ];
        for (name, cron, job, pods, expected) in cases {
            let all = Workloads {
                cron_jobs: typed(vec![cron]),
                jobs: typed(job.into_iter().collect()),
                pods: typed(pods),
                ..Workloads::default()
            };
            assert_eq!(brief(&all), expected, "{name}");
        }
    }

    #[test]
    fn a_replica_set_of_its_own_is_told_while_it_has_no_pods() {
        let set = |replicas: i32, owner| {
            let mut set = templated("set", owner, reading());
            set["spec"]["replicas"] = replicas.into();
            set
        };
        let rollout = || Some(("argoproj.io/v1alpha1", "Rollout", "rollout"));
        let pod = || object("set-x", Some(("apps/v1", "ReplicaSet", "set")), reading());
        for (name, set, pods, expected) in [
            ("bare", set(1, None), vec![], "replicaset/set"),
            ("with a pod", set(1, None), vec![pod()], "pod/set-x of ReplicaSet/set runs"),
            ("a Rollout's", set(1, rollout()), vec![], "replicaset/set of Rollout/rollout"),
            ("history", set(0, rollout()), vec![], ""),
        ] {
            let all = Workloads { replica_sets: typed(vec![set]), pods: typed(pods), ..Workloads::default() };
            assert_eq!(brief(&all), expected, "{name}");
        }
    }
}
