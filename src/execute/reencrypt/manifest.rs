//! The Job that runs a command of the application's own: a consumer's pod template, but for what would make its pod one of
//! the consumer's, or never end.
//!
//! Pure: objects in, an object out.

use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::api::batch::v1::{Job, JobSpec};
use k8s_openapi::api::core::v1::{Container, PodSpec, PodTemplateSpec, Service};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

use crate::lock::Operator;
use crate::observe::template::Template;
use deepdesk_protocol::facts::names::AccountName;
use deepdesk_protocol::facts::reencryption::Reencryption;
use deepdesk_protocol::facts::restart_note;

/// Label of the Job and of its pod: the account.
pub const LABEL: &str = "deepdesk.com/reencryption";
/// Annotation of the Job: who runs it, for people.
const OPERATOR: &str = "deepdesk.com/operator";
/// Annotation of the Job: the run, which tells it from every other.
pub const RUN: &str = "deepdesk.com/run";
/// How long the Job stays once it has ended, should nobody delete it: long enough to look at, and then it goes by itself.
const KEPT: i32 = 3600;
/// What controllers add to the pods of a workload, beside its selector.
const BY_CONTROLLERS: [&str; 4] = [
    "pod-template-hash",
    "controller-revision-hash",
    "statefulset.kubernetes.io/pod-name",
    "apps.kubernetes.io/pod-index",
];

/// What the names of these Jobs begin with.
pub const PREFIX: &str = "deepdesk-reencryption-";

/// The Job's name, of which each run has another.
pub fn name(operator: &Operator) -> String {
    format!("{PREFIX}{}", operator.run)
}

/// The Job. Without a list of the Services no label of the template is kept: any of them may be what one goes by.
pub fn job(
    account: &AccountName,
    asked: &Reencryption,
    from: &Template,
    services: Option<&[Service]>,
    operator: &Operator,
) -> Job {
    let own = BTreeMap::from([(LABEL.to_owned(), account.to_string())]);
    let by = [(OPERATOR, &operator.name), (RUN, &operator.run)];
    let metadata = ObjectMeta {
        name: Some(name(operator)),
        namespace: Some(account.to_string()),
        labels: Some(own.clone()),
        annotations: Some(by.into_iter().map(|(name, value)| (name.to_owned(), value.clone())).collect()),
        ..ObjectMeta::default()
    };
    let mut labels = services.map(|services| harmless_labels(from, services)).unwrap_or_default();
    labels.extend(own);
    let spec = JobSpec {
        parallelism: Some(1),
        completions: Some(1),
        // One answer: a command that failed and is tried again may say something else.
        backoff_limit: Some(0),
        active_deadline_seconds: Some(seconds(asked)),
        ttl_seconds_after_finished: Some(KEPT),
        template: PodTemplateSpec {
            metadata: Some(ObjectMeta {
                labels: Some(labels),
                annotations: annotations(from),
                ..ObjectMeta::default()
            }),
            spec: from.template.spec.clone().map(|spec| pod(spec, &from.container, asked)),
        },
        ..JobSpec::default()
    };
    Job { metadata, spec: Some(spec), status: None }
}

/// The limit in whole seconds, at least one.
fn seconds(asked: &Reencryption) -> i64 {
    let whole = asked.limit.as_secs() + u64::from(asked.limit.subsec_nanos() > 0);
    i64::try_from(whole.max(1)).unwrap_or(i64::MAX)
}

/// The template's labels without those that its workload, or a Service whose pods it would be among, goes by. What a
/// network policy or a mesh goes by stays, unless it is one of them.
fn harmless_labels(from: &Template, services: &[Service]) -> BTreeMap<String, String> {
    let labels = from.template.metadata.as_ref().and_then(|metadata| metadata.labels.clone()).unwrap_or_default();
    let mut taken: BTreeSet<&str> = BY_CONTROLLERS.into();
    taken.extend(from.selector.match_labels.iter().flatten().map(|(key, _)| key.as_str()));
    taken.extend(from.selector.match_expressions.iter().flatten().map(|one| one.key.as_str()));
    for service in services {
        let selector = service.spec.as_ref().and_then(|spec| spec.selector.as_ref());
        let Some(selector) = selector.filter(|selector| !selector.is_empty()) else { continue };
        if selector.iter().all(|(key, value)| labels.get(key) == Some(value)) {
            taken.extend(selector.keys().map(String::as_str));
        }
    }
    labels
        .iter()
        .filter(|(key, _)| !taken.contains(key.as_str()))
        .map(|(key, value)| (key.clone(), value.clone()))
        .collect()
}

/// The template's annotations without those of our restarts: nothing restarted this pod.
fn annotations(from: &Template) -> Option<BTreeMap<String, String>> {
    let mut annotations = from.template.metadata.as_ref()?.annotations.clone()?;
    annotations.retain(|name, _| !restart_note::ANNOTATIONS.contains(&name.as_str()));
    Some(annotations).filter(|annotations| !annotations.is_empty())
}

/// A pod that runs one container to its end, beside init containers and native sidecars, which end with it.
fn pod(mut spec: PodSpec, container: &str, asked: &Reencryption) -> PodSpec {
    spec.containers.retain(|one| one.name == container);
    spec.containers.iter_mut().for_each(|one| runs(one, asked));
    for one in spec.init_containers.iter_mut().flatten() {
        // The serving pods have the node's ports; a command needs none.
        one.ports = None;
    }
    spec.restart_policy = Some("Never".to_owned());
    spec.node_name = None;
    // An identity that is another pod's.
    spec.hostname = None;
    spec.subdomain = None;
    spec.readiness_gates = None;
    // What keeps serving pods apart could leave no node for this one.
    spec.topology_spread_constraints = None;
    if let Some(affinity) = &mut spec.affinity {
        affinity.pod_anti_affinity = None;
    }
    spec
}

fn runs(container: &mut Container, asked: &Reencryption) {
    // Kubernetes replaces `$(NAME)` by the value of a variable, which may be the key; a doubled `$` is one, and no reference.
    let words = asked.command.words().iter().map(|word| word.replace('$', "$$"));
    container.command = Some(words.collect());
    container.args = None;
    container.ports = None;
    container.lifecycle = None;
    container.liveness_probe = None;
    container.readiness_probe = None;
    container.startup_probe = None;
    container.stdin = None;
    container.stdin_once = None;
    container.tty = None;
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn made(template: Value, services: Option<Value>) -> Value {
        let from = Template {
            workload: "deployment/backend".parse().expect("a workload"),
            selector: serde_json::from_value(json!({"matchLabels": {"app": "backend"},
                "matchExpressions": [{"key": "tier", "operator": "Exists"}]}))
            .expect("a selector"),
            template: serde_json::from_value(template).expect("a template"),
            container: "backend".to_owned(),
        };
        let asked = Reencryption {
            command: "manage 'rows left' '$(SECRET_KEY)' $HOME".parse().expect("a command"),
            workload: None,
            container: None,
            limit: std::time::Duration::from_millis(90_500),
        };
        let operator = Operator {
            name: "alice@laptop".to_owned(),
            machine: "laptop".to_owned(),
            run: "0123abcd".to_owned(),
            process: Some("1".to_owned()),
        };
        let services: Option<Vec<Service>> = services.map(|all| serde_json::from_value(all).expect("Services"));
        let job = job(&"acme".parse().expect("an account"), &asked, &from, services.as_deref(), &operator);
        serde_json::to_value(job).expect("a Job is JSON")
    }

    /// A template with all that a serving pod may have.
    fn template() -> Value {
        let probe = json!({"httpGet": {"path": "/", "port": 80}});
        json!({
            "metadata": {
                "labels": {"app": "backend", "tier": "x", "role": "api", "team": "core", "pod-template-hash": "1"},
                "annotations": {"deepdesk.com/primary-version": "8", "deepdesk.com/restart": "1",
                    "kubectl.kubernetes.io/restartedAt": "t", "prometheus.io/scrape": "true"},
            },
            "spec": {
                "serviceAccountName": "backend", "nodeName": "node-1", "hostname": "backend-0", "subdomain": "backend",
                "restartPolicy": "Always", "terminationGracePeriodSeconds": 45,
                "readinessGates": [{"conditionType": "x"}],
                "topologySpreadConstraints": [{"maxSkew": 1, "topologyKey": "zone", "whenUnsatisfiable": "DoNotSchedule"}],
                "affinity": {"nodeAffinity": {}, "podAntiAffinity": {}},
                "volumes": [{"name": "secrets", "secret": {"secretName": "backend-secrets"}}],
                "initContainers": [
                    {"name": "wait", "image": "wait"},
                    {"name": "proxy", "image": "proxy", "restartPolicy": "Always", "startupProbe": probe,
                        "ports": [{"containerPort": 5432, "hostPort": 5432}]},
                ],
                "containers": [
                    {"name": "metrics", "image": "metrics"},
                    {"name": "backend", "image": "backend:1", "args": ["serve"], "tty": true, "stdin": true,
                        "env": [{"name": "A", "value": "b"}], "ports": [{"containerPort": 80, "hostPort": 80}],
                        "lifecycle": {"preStop": {"sleep": {"seconds": 5}}}, "livenessProbe": probe,
                        "readinessProbe": probe, "startupProbe": probe,
                        "volumeMounts": [{"name": "secrets", "mountPath": "/s"}]},
                ],
            },
        })
    }

    #[test]
    fn the_job_is_the_template_without_what_serves() {
        let services = json!([
            {"spec": {"selector": {"role": "api"}}},
            {"spec": {"selector": {"team": "other"}}},
            {"spec": {}},
        ]);
        let job = made(template(), Some(services));
        assert_eq!(
            job,
            json!({
                "apiVersion": "batch/v1", "kind": "Job",
                "metadata": {
                    "name": "deepdesk-reencryption-0123abcd", "namespace": "acme",
                    "labels": {"deepdesk.com/reencryption": "acme"},
                    "annotations": {"deepdesk.com/operator": "alice@laptop", "deepdesk.com/run": "0123abcd"},
                },
                "spec": {
                    "parallelism": 1, "completions": 1, "backoffLimit": 0, "activeDeadlineSeconds": 91,
                    "ttlSecondsAfterFinished": 3600,
                    "template": {
                        "metadata": {
                            "labels": {"deepdesk.com/reencryption": "acme", "team": "core"},
                            "annotations": {"prometheus.io/scrape": "true"},
                        },
                        "spec": {
                            "serviceAccountName": "backend", "restartPolicy": "Never", "terminationGracePeriodSeconds": 45,
                            "affinity": {"nodeAffinity": {}},
                            "volumes": [{"name": "secrets", "secret": {"secretName": "backend-secrets"}}],
                            "initContainers": [
                                {"name": "wait", "image": "wait"},
                                {"name": "proxy", "image": "proxy", "restartPolicy": "Always",
                                    "startupProbe": {"httpGet": {"path": "/", "port": 80}}},
                            ],
                            "containers": [{
                                "name": "backend", "image": "backend:1",
                                "command": ["manage", "rows left", "$$(SECRET_KEY)", "$$HOME"],
                                "env": [{"name": "A", "value": "b"}],
                                "volumeMounts": [{"name": "secrets", "mountPath": "/s"}],
                            }],
                        },
                    },
                },
            })
        );
    }

    #[test]
    fn without_a_list_of_services_no_label_of_the_template_is_kept() {
        let job = made(template(), None);
        assert_eq!(job["spec"]["template"]["metadata"]["labels"], json!({"deepdesk.com/reencryption": "acme"}));
    }
}
