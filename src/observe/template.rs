//! Chooses the pod template that a Job is made from: a consumer's own, so that its command finds what the application finds.

use futures::try_join;
use k8s_openapi::api::apps::v1::{DaemonSet, Deployment, StatefulSet};
use k8s_openapi::api::core::v1::{Container, PodSpec, PodTemplateSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{LabelSelector, ObjectMeta};

use super::carriers;
use super::consumers::{Carriers, Reads};
use crate::clients::cluster::Cluster;
use deepdesk_protocol::command;
use deepdesk_protocol::facts::names::{WorkloadKind, WorkloadRef, listed};
use deepdesk_protocol::facts::observation::Observation;
use deepdesk_protocol::facts::reencryption::Reencryption;
use deepdesk_protocol::hint::Hint;
use deepdesk_protocol::problem::{Problem, Reason};

/// A consumer's pod template, and the container of it that runs the command.
#[derive(Clone, Debug)]
pub struct Template {
    /// The consumer.
    pub workload: WorkloadRef,
    /// Which pods the consumer takes for its own.
    pub selector: LabelSelector,
    pub template: PodTemplateSpec,
    /// The container's name.
    pub container: String,
}

/// Reads the consumers, and chooses.
pub async fn template(cluster: &Cluster, now: &Observation, asked: &Reencryption) -> Result<Template, Problem> {
    let (deployments, stateful_sets, daemon_sets) =
        try_join!(cluster.list::<Deployment>(), cluster.list::<StatefulSet>(), cluster.list::<DaemonSet>())?;
    let deployments = deployments.into_iter().filter_map(|one| {
        let spec = one.spec?;
        candidate(WorkloadKind::Deployment, &one.metadata, spec.selector, spec.template)
    });
    let stateful_sets = stateful_sets.into_iter().filter_map(|one| {
        let spec = one.spec?;
        candidate(WorkloadKind::StatefulSet, &one.metadata, spec.selector, spec.template)
    });
    let daemon_sets = daemon_sets.into_iter().filter_map(|one| {
        let spec = one.spec?;
        candidate(WorkloadKind::DaemonSet, &one.metadata, spec.selector, spec.template)
    });
    let mut all: Vec<Candidate> = deployments.chain(stateful_sets).chain(daemon_sets).collect();
    all.sort_by(|a, b| a.workload.cmp(&b.workload));
    choose(all, &carriers(now), asked)
}

struct Candidate {
    workload: WorkloadRef,
    selector: LabelSelector,
    template: PodTemplateSpec,
}

fn candidate(
    kind: WorkloadKind,
    metadata: &ObjectMeta,
    selector: LabelSelector,
    template: PodTemplateSpec,
) -> Option<Candidate> {
    let name = metadata.name.as_deref()?.parse().ok()?;
    Some(Candidate { workload: WorkloadRef { kind, name }, selector, template })
}

fn choose(all: Vec<Candidate>, carriers: &Carriers, asked: &Reencryption) -> Result<Template, Problem> {
    let chosen = match &asked.workload {
        Some(wanted) => named(all, carriers, wanted)?,
        None => first(all, carriers)?,
    };
    let container = container(&chosen, carriers, asked.container.as_deref())?;
    let Candidate { workload, selector, template } = chosen;
    Ok(Template { workload, selector, template, container })
}

fn reads(candidate: &Candidate, carriers: &Carriers) -> Reads {
    candidate.template.spec.as_ref().map(|spec| Reads::pod_spec(carriers, spec)).unwrap_or_default()
}

fn named(all: Vec<Candidate>, carriers: &Carriers, wanted: &WorkloadRef) -> Result<Candidate, Problem> {
    let refuse = |line: String| {
        Err(Problem::new(Reason::NoTemplate, line).hint(Hint::to(
            "name a workload; to list them",
            command!["kubectl", "deepdesk", "secret", "finalize", "--dry-run"],
        )))
    };
    match all.into_iter().find(|one| one.workload == *wanted) {
        None => refuse(format!("{wanted} does not exist: there is no pod template to make a Job from")),
        Some(one) if !reads(&one, carriers).any() => {
            refuse(format!("{wanted} reads neither value: a Job made from its pod template could not decrypt anything"))
        }
        Some(one) => Ok(one),
    }
}

/// Of the Deployments, in the order of their names: other kinds' pods often own what a second pod must not touch.
fn first(all: Vec<Candidate>, carriers: &Carriers) -> Result<Candidate, Problem> {
    let fits = |one: &Candidate| one.workload.kind == WorkloadKind::Deployment && reads(one, carriers).both();
    all.into_iter().find(fits).ok_or_else(|| {
        let line = "no deployment reads both values: there is no pod template to make a Job from";
        Problem::new(Reason::NoTemplate, line)
            .hint("name the workload whose pod template fits: --reencrypted-by-workload KIND/NAME")
    })
}

/// The container that runs the command: the named one, else the only one that reads both values, else the only one that
/// reads one of them, else the only one.
fn container(chosen: &Candidate, carriers: &Carriers, wanted: Option<&str>) -> Result<String, Problem> {
    let empty = PodSpec::default();
    let spec = chosen.template.spec.as_ref().unwrap_or(&empty);
    let names: Vec<&str> = spec.containers.iter().map(|container| container.name.as_str()).collect();
    let refuse = |line: String| {
        Err(Problem::new(Reason::NoContainer, line)
            .hint(format!("name one of them: --reencrypted-container {}", names.join("|"))))
    };
    if let Some(wanted) = wanted {
        return match names.contains(&wanted) {
            true => Ok(wanted.to_owned()),
            false => refuse(format!("{} has no container {wanted}", chosen.workload)),
        };
    }
    let reading = |fits: fn(&Reads) -> bool| -> Vec<&Container> {
        let reads = |container: &&Container| fits(&Reads::one_container(carriers, spec, container));
        spec.containers.iter().filter(reads).collect()
    };
    for fitting in [reading(Reads::both), reading(Reads::any), spec.containers.iter().collect()] {
        match fitting.as_slice() {
            [] => {}
            [one] => return Ok(one.name.clone()),
            several => {
                let several: Vec<&str> = several.iter().map(|container| container.name.as_str()).collect();
                return refuse(format!(
                    "{} has several containers that could run the command: {}",
                    chosen.workload,
                    listed(&several)
                ));
            }
        }
    }
    refuse(format!("{} has no container", chosen.workload))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use deepdesk_protocol::facts::observation::Source;

    fn carried() -> Carriers {
        let keys = vec![("KEY".to_owned(), Source::Primary), ("OLD".to_owned(), Source::BackCompat)];
        Carriers::from([("keys".parse().expect("a name"), keys)])
    }

    fn workload(name: &str, pod: Value) -> Candidate {
        let template = json!({"spec": pod});
        Candidate {
            workload: name.parse().expect("a workload"),
            selector: LabelSelector::default(),
            template: serde_json::from_value(template).expect("a template"),
        }
    }

    fn reader(name: &str, keys: &[&str]) -> Value {
        let variable = |key: &&str| json!({"name": key, "valueFrom": {"secretKeyRef": {"name": "keys", "key": key}}});
        json!({"name": name, "image": "x", "env": keys.iter().map(variable).collect::<Vec<_>>()})
    }

    fn mounts(name: &str, volume: &str) -> Value {
        json!({"name": name, "image": "x", "volumeMounts": [{"name": volume, "mountPath": "/x"}]})
    }

    #[test]
    fn a_template_is_chosen() {
        let both = &["KEY", "OLD"][..];
        let all = || {
            vec![
                workload("daemonset/agent", json!({"containers": [reader("agent", both)]})),
                workload("deployment/admin", json!({"containers": [reader("admin", &["KEY"])]})),
                workload("deployment/backend", json!({"containers": [reader("proxy", &[]), reader("backend", both)]})),
                workload("deployment/web", json!({"containers": [reader("web", &[])]})),
                workload("deployment/z-several", json!({"containers": [reader("one", both), reader("two", both)]})),
                workload(
                    "deployment/z-volume",
                    json!({"containers": [mounts("other", "tmp"), mounts("main", "keys")],
                        "volumes": [{"name": "tmp", "emptyDir": {}}, {"name": "keys", "secret": {"secretName": "keys"}}]}),
                ),
            ]
        };
        let cases = [
            (None, None, Ok("deployment/backend backend")),
            (None, Some("proxy"), Ok("deployment/backend proxy")),
            (None, Some("nobody"), Err("deployment/backend has no container nobody")),
            (Some("daemonset/agent"), None, Ok("daemonset/agent agent")),
            (Some("deployment/admin"), None, Ok("deployment/admin admin")),
            (Some("deployment/z-volume"), None, Ok("deployment/z-volume main")),
            (Some("deployment/z-several"), None, Err("several containers that could run the command: one, two")),
            (Some("deployment/z-several"), Some("two"), Ok("deployment/z-several two")),
            (Some("deployment/web"), None, Err("reads neither value")),
            (Some("deployment/none"), None, Err("does not exist")),
        ];
        for (workload, container, expected) in cases {
            let asked = Reencryption {
                command: "true".parse().expect("a command"),
                workload: workload.map(|workload| workload.parse().expect("a workload")),
                container: container.map(str::to_owned),
                limit: std::time::Duration::ZERO,
            };
            match (choose(all(), &carried(), &asked), expected) {
                (Ok(chosen), Ok(expected)) => {
                    assert_eq!(format!("{} {}", chosen.workload, chosen.container), expected);
                }
                (Err(problem), Err(expected)) => assert!(problem.message.contains(expected), "{problem}"),
                (made, expected) => panic!("{workload:?} {container:?}: {made:?}, not {expected:?}"),
            }
        }
    }

    #[test]
    fn without_a_deployment_that_reads_both_there_is_none() {
        let all = vec![
            workload("deployment/admin", json!({"containers": [reader("admin", &["KEY"])]})),
            workload("statefulset/db", json!({"containers": [reader("db", &["KEY", "OLD"])]})),
        ];
        let asked = Reencryption {
            command: "true".parse().expect("a command"),
            workload: None,
            container: None,
            limit: std::time::Duration::ZERO,
        };
        let problem = choose(all, &carried(), &asked).expect_err("none fits");
        assert!(problem.message.contains("no deployment reads both values"), "{problem}");
    }
}
