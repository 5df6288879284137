//! What a restart of each consumer costs, or has to wait for: told before the first write. All of it is a help: what may not be listed is
//! left out.

use std::collections::BTreeMap;

use k8s_openapi::api::autoscaling::v2::HorizontalPodAutoscaler;
use k8s_openapi::api::core::v1::ResourceQuota;
use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{LabelSelector, LabelSelectorRequirement};

use crate::clients::cluster::Cluster;
use deepdesk_protocol::facts::names::WorkloadKind;
use deepdesk_protocol::facts::observation::{Consumer, Observation};

/// What bears on restarts in a namespace.
#[derive(Default)]
struct Limits {
    budgets: Vec<PodDisruptionBudget>,
    scalers: Vec<HorizontalPodAutoscaler>,
    quotas: Vec<ResourceQuota>,
}

/// Adds to each consumer what its restart costs.
pub async fn add(now: &mut Observation, cluster: &Cluster) {
    let (budgets, scalers, quotas) = futures::join!(cluster.list(), cluster.list(), cluster.list());
    let limits = Limits {
        budgets: budgets.unwrap_or_default(),
        scalers: scalers.unwrap_or_default(),
        quotas: quotas.unwrap_or_default(),
    };
    for consumer in &mut now.consumers {
        let costs = limits.costs(consumer);
        consumer.moving.costs.extend(costs);
    }
}

impl Limits {
    fn costs(&self, consumer: &Consumer) -> Vec<String> {
        let budgets = self.budgets.iter().filter_map(|budget| covered(budget, &consumer.moving.labels));
        let scalers = self.scalers.iter().filter_map(|scaler| scaled(scaler, consumer));
        // A StatefulSet and a DaemonSet end a pod before they make another.
        let surges =
            consumer.workload.kind == WorkloadKind::Deployment && consumer.moving.surges && consumer.desired > 0;
        let quotas = self.quotas.iter().filter(|_| surges).filter_map(full);
        budgets.chain(scalers).chain(quotas).collect()
    }
}

fn covered(budget: &PodDisruptionBudget, labels: &BTreeMap<String, String>) -> Option<String> {
    let selector = budget.spec.as_ref()?.selector.as_ref()?;
    let name = budget.metadata.name.as_deref().filter(|_| selects(selector, labels))?;
    let allowed = budget.status.as_ref().map(|status| status.disruptions_allowed);
    let now = allowed.map(|allowed| format!(", which allows {allowed} now")).unwrap_or_default();
    Some(format!("is covered by PodDisruptionBudget {name}{now}: evictions wait for it, a restart does not"))
}

/// Whether a selector selects these labels. An empty one selects everything.
fn selects(selector: &LabelSelector, labels: &BTreeMap<String, String>) -> bool {
    let equal = selector.match_labels.iter().flatten().all(|(key, value)| labels.get(key) == Some(value));
    let fits = |wanted: &LabelSelectorRequirement| {
        let value = labels.get(&wanted.key);
        let among = || value.is_some_and(|value| wanted.values.iter().flatten().any(|one| one == value));
        match wanted.operator.as_str() {
            "In" => among(),
            "NotIn" => !among(),
            "Exists" => value.is_some(),
            "DoesNotExist" => value.is_none(),
            _ => false,
        }
    };
    equal && selector.match_expressions.iter().flatten().all(fits)
}

fn scaled(scaler: &HorizontalPodAutoscaler, consumer: &Consumer) -> Option<String> {
    let spec = scaler.spec.as_ref()?;
    let target = &spec.scale_target_ref;
    let is_its = target.kind == consumer.workload.kind.as_str() && target.name == consumer.workload.name.as_str();
    let name = scaler.metadata.name.as_deref().filter(|_| is_its)?;
    let least = spec.min_replicas.unwrap_or(1);
    Some(format!(
        "is scaled by HorizontalPodAutoscaler {name} ({least} to {} pods): their number may change while it restarts",
        spec.max_replicas
    ))
}

/// A quota that has no room for one more pod. Quotas on processors and memory are told where they are used up whole.
fn full(quota: &ResourceQuota) -> Option<String> {
    let (spec, status) = (quota.spec.as_ref()?, quota.status.as_ref()?);
    let name = quota.metadata.name.as_deref()?;
    let (hard, used) = (spec.hard.as_ref()?, status.used.as_ref()?);
    let full = hard.iter().find(|(key, most)| used.get(*key).is_some_and(|used| used.0 == most.0))?;
    let about_pods =
        ["pods", "count/pods"].contains(&full.0.as_str()) || full.0.contains("cpu") || full.0.contains("memory");
    about_pods.then(|| {
        format!(
            "quota {name} is used up ({} of {} {}): a new pod waits until an old one is gone",
            full.1.0, full.1.0, full.0
        )
    })
}

#[cfg(test)]
mod tests {
    use serde::de::DeserializeOwned;
    use serde_json::{Value, json};

    use super::super::consumers::{Workloads, consumers};
    use super::*;
    use deepdesk_protocol::facts::observation::Source;

    fn typed<K: DeserializeOwned>(objects: &[Value]) -> Vec<K> {
        objects.iter().map(|object| serde_json::from_value(object.clone()).expect("it fits")).collect()
    }

    /// `backend` with this strategy, and what its restart costs beside these objects.
    fn costs(strategy: &Value, budgets: &[Value], scalers: &[Value], quotas: &[Value]) -> Vec<String> {
        let template = json!({"metadata": {"labels": {"app": "backend"}},
            "spec": {"containers": [{"name": "main", "envFrom": [{"secretRef": {"name": "keys"}}]}]}});
        let spec = json!({"selector": {}, "replicas": 2, "strategy": strategy, "template": template});
        let deployment = json!({"metadata": {"name": "backend", "uid": "u"}, "spec": spec});
        let carriers = [("keys".parse().expect("a name"), vec![("KEY".to_owned(), Source::Primary)])].into();
        let all = Workloads { deployments: typed(&[deployment]), ..Workloads::default() };
        let consumer = consumers(&all, &carriers).remove(0);
        let limits = Limits { budgets: typed(budgets), scalers: typed(scalers), quotas: typed(quotas) };
        consumer.moving.costs.iter().cloned().chain(limits.costs(&consumer)).collect()
    }

    fn budget(app: &str) -> Value {
        json!({"metadata": {"name": "b"}, "spec": {"selector": {"matchLabels": {"app": app}}},
            "status": {"disruptionsAllowed": 0, "currentHealthy": 2, "desiredHealthy": 2, "expectedPods": 2}})
    }

    fn scaler(kind: &str, name: &str) -> Value {
        json!({"metadata": {"name": "h"}, "spec": {"maxReplicas": 9, "scaleTargetRef": {"kind": kind, "name": name}}})
    }

    fn quota(used: &str) -> Value {
        json!({"metadata": {"name": "q"}, "spec": {"hard": {"pods": "6"}}, "status": {"used": {"pods": used}}})
    }

    #[test]
    fn what_a_restart_meets_is_told_of_the_workload_that_it_concerns() {
        let rolling = json!({"type": "RollingUpdate"});
        let without_surge = json!({"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 0, "maxUnavailable": 1}});
        let cases: [(&str, Vec<String>, Option<&str>); 9] = [
            ("nothing", costs(&rolling, &[], &[], &[]), None),
            (
                "a budget of it",
                costs(&rolling, &[budget("backend")], &[], &[]),
                Some("PodDisruptionBudget b, which allows 0 now"),
            ),
            ("another's budget", costs(&rolling, &[budget("web")], &[], &[]), None),
            (
                "a scaler of it",
                costs(&rolling, &[], &[scaler("Deployment", "backend")], &[]),
                Some("HorizontalPodAutoscaler h (1 to 9 pods)"),
            ),
            ("another's scaler", costs(&rolling, &[], &[scaler("StatefulSet", "backend")], &[]), None),
            ("a full quota", costs(&rolling, &[], &[], &[quota("6")]), Some("quota q is used up (6 of 6 pods)")),
            ("room left", costs(&rolling, &[], &[], &[quota("5")]), None),
            ("a full quota, and no more pods than before", costs(&without_surge, &[], &[], &[quota("6")]), None),
            ("all at once", costs(&json!({"type": "Recreate"}), &[], &[], &[quota("6")]), Some("Recreate")),
        ];
        for (name, found, expected) in cases {
            match expected {
                None => assert_eq!(found, Vec::<String>::new(), "{name}"),
                Some(words) => assert!(found.len() == 1 && found[0].contains(words), "{name}: {found:?}"),
            }
        }
    }

    #[test]
    fn a_selector_selects_as_kubernetes_does() {
        let selects = |selector: Value| {
            let selector: LabelSelector = serde_json::from_value(selector).expect("a selector");
            super::selects(&selector, &[("app".to_owned(), "backend".to_owned())].into())
        };
        let one = |operator: &str, values: Value| json!({"matchExpressions": [{"key": "app", "operator": operator, "values": values}]});
        assert!(selects(json!({})));
        assert!(selects(one("In", json!(["web", "backend"]))));
        assert!(!selects(one("NotIn", json!(["backend"]))));
        assert!(selects(one("Exists", json!(null))) && !selects(one("DoesNotExist", json!(null))));
    }
}
