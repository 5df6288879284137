//! Other ways by which the account's values go somewhere, or come into its secrets: PushSecrets, SecretProviderClasses. Named, with
//! what to do; nothing here moves them.

use k8s_openapi::api::core::v1::Pod;
use serde_json::Value;

use super::consumers::Workloads;
use super::json::{items, text};
use super::other_readers;
use crate::clients::cluster::Cluster;
use crate::clients::error::ApiError;
use deepdesk_protocol::facts::copies::{Door, NotLookedAt};
use deepdesk_protocol::facts::names::listed;
use deepdesk_protocol::facts::observation::{Observation, OtherReader};

const DRIVER: &str = "secrets-store.csi.k8s.io";

/// Looks for them, and notes what may not be looked at.
pub async fn add_doors(cluster: &Cluster, now: &mut Observation, workloads: &Workloads) {
    let (pushes, classes) = futures::join!(cluster.push_secrets(), cluster.secret_provider_classes());
    let pushes = or_not(now, pushes, "PushSecrets", "list on pushsecrets");
    let classes = or_not(now, classes, "SecretProviderClasses", "list on secretproviderclasses");
    let mut doors: Vec<Door> = pushes.iter().flat_map(|push| pushed(now, push)).collect();
    doors.extend(classes.iter().filter_map(|class| mounted(now, class, workloads)));
    now.mounting = classes.iter().flat_map(|class| mounting(now, class, workloads)).collect();
    now.doors = doors;
}

fn or_not(now: &mut Observation, listed: Result<Vec<Value>, ApiError>, what: &str, needs: &str) -> Vec<Value> {
    listed.unwrap_or_else(|_| {
        now.not_looked_at.push(NotLookedAt::without(what, needs));
        Vec::new()
    })
}

/// What a PushSecret takes from one of the account's Kubernetes Secrets, or stores in one of its two secrets.
fn pushed(now: &Observation, push: &Value) -> Vec<Door> {
    let Some(name) = text(push, "/metadata/name") else { return Vec::new() };
    let from = text(push, "/spec/selector/secret/name").unwrap_or_default();
    let carriers = now.external_secrets.iter().map(|external| &external.target);
    let mut carriers = carriers.chain(now.copies.iter().map(|copy| &copy.secret));
    let reads = carriers.any(|secret| secret.as_str() == from);
    let into: Vec<&str> =
        items(push, "/spec/data").iter().filter_map(|item| text(item, "/match/remoteRef/remoteKey")).collect();
    let ours = [&now.primary.secret, &now.back_compat.secret].into_iter().find(|id| into.contains(&id.as_str()));
    match (ours, reads) {
        (Some(id), _) => vec![Door {
            what: format!(
                "PushSecret {name} stores what Secret {from} holds in {id}: a version that it adds is copied like any other"
            ),
            what_to_do: format!(
                "check that it does not put an older value back: kubectl get pushsecret {name} -n {} -o yaml",
                now.account
            ),
        }],
        (None, true) => vec![Door {
            what: format!("PushSecret {name} stores what Secret {from} holds elsewhere: {}", into.join(", ")),
            what_to_do: "whatever reads it there gets the new value at the next push, and has to be restarted after it"
                .to_owned(),
        }],
        (None, false) => Vec::new(),
    }
}

/// What a SecretProviderClass mounts of the two secrets into pods, past every Kubernetes Secret.
fn mounted(now: &Observation, class: &Value, workloads: &Workloads) -> Option<Door> {
    let name = text(class, "/metadata/name")?;
    let id = [&now.primary.secret, &now.back_compat.secret].into_iter().find(|id| names(class, id.as_str()))?;
    let pods = other_readers::pods_that(workloads, |pod| volumes(pod, name));
    let pods: Vec<&str> = pods.iter().map(|pod| pod.name.as_str()).collect();
    let into = match pods.as_slice() {
        [] => "pods (none runs now)".to_owned(),
        [one] => format!("pod {one}"),
        several => format!("pods {}", listed(several)),
    };
    Some(Door {
        what: format!(
            "SecretProviderClass {name} mounts {id} into {into} from Secret Manager itself: no restart here reaches them"
        ),
        what_to_do: format!("restart the pods that mount it afterwards: kubectl get pods -n {} -o yaml", now.account),
    })
}

/// The pods that have the primary by this class. One that names another version than the newest brings it to nobody: they have no date
/// then that would show it.
fn mounting(now: &Observation, class: &Value, workloads: &Workloads) -> Vec<OtherReader> {
    let Some(name) = text(class, "/metadata/name").filter(|_| names(class, now.primary.secret.as_str())) else {
        return Vec::new();
    };
    let newest = now.primary.newest().map(|newest| newest.id.get().to_string());
    let is_pinned = words(class)
        .skip_while(|word| *word != now.primary.secret.as_str())
        .nth(2)
        .is_some_and(|version| version.parse::<u64>().is_ok() && Some(version) != newest.as_deref());
    let mut found = other_readers::pods_that(workloads, |pod| volumes(pod, name));
    found.iter_mut().filter(|_| is_pinned).for_each(|reader| reader.since = None);
    found
}

/// The volumes of a pod that are of this class, in words.
fn volumes(pod: &Pod, class: &str) -> Vec<String> {
    let volumes = pod.spec.iter().flat_map(|spec| spec.volumes.iter().flatten());
    let own = volumes.filter(|volume| {
        let csi = volume.csi.as_ref().filter(|csi| csi.driver == DRIVER);
        csi.and_then(|csi| csi.volume_attributes.as_ref()?.get("secretProviderClass"))
            .is_some_and(|named| named == class)
    });
    own.map(|volume| format!("volume {}: SecretProviderClass {class}", volume.name)).collect()
}

/// Whether a class names this secret.
fn names(class: &Value, id: &str) -> bool {
    words(class).any(|word| word == id)
}

/// The words of what a class fetches: `projects/p/secrets/ID/versions/latest` comes apart at each `/`.
fn words(class: &Value) -> impl Iterator<Item = &str> {
    let secrets = text(class, "/spec/parameters/secrets").unwrap_or_default();
    secrets.split(|c: char| c.is_whitespace() || matches!(c, '/' | '"' | '\''))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use deepdesk_protocol::facts::observation::{SecretView, Version, VersionState};

    fn now() -> Observation {
        let view = |id: &str| SecretView {
            secret: id.parse().expect("an id"),
            versions: Vec::new(),
            exists: true,
            labels: Vec::new(),
            conditions: Default::default(),
        };
        let home =
            deepdesk_protocol::facts::names::SecretHome { project: "a-project".parse().expect("fits"), location: None };
        let mut now = Observation::of_secrets("acme".parse().expect("fits"), home, view("acme_key"), view("acme_old"));
        now.copies.push(deepdesk_protocol::facts::copies::Copy {
            secret: "keys".parse().expect("fits"),
            external_secret: None,
            made_by: None,
            keys: Vec::new(),
            written: None,
            read_by: Vec::new(),
        });
        now
    }

    #[test]
    fn a_push_of_the_values_is_named_and_any_other_is_not() {
        let push = |from: &str, into: &str| {
            json!({"metadata": {"name": "push"}, "spec": {"selector": {"secret": {"name": from}},
                "data": [{"match": {"secretKey": "K", "remoteRef": {"remoteKey": into}}}]}})
        };
        let named = |from, into| {
            pushed(&now(), &push(from, into)).into_iter().map(|door| door.what).collect::<Vec<_>>().join("")
        };
        assert!(named("keys", "shared_key").contains("Secret keys holds elsewhere: shared_key"));
        assert!(named("other", "acme_key").contains("in acme_key"));
        assert_eq!(named("other", "shared_key"), "");
    }

    fn class(id: &str, version: &str) -> Value {
        let secrets = format!("- resourceName: \"projects/p/secrets/{id}/versions/{version}\"\n  path: \"key\"\n");
        json!({"metadata": {"name": "csi"}, "spec": {"provider": "gcp", "parameters": {"secrets": secrets}}})
    }

    fn of_pods() -> Workloads {
        let pod = |name: &str, class: &str| {
            let csi = json!({"driver": DRIVER, "volumeAttributes": {"secretProviderClass": class}});
            let pod = json!({"metadata": {"name": name, "creationTimestamp": "2026-11-30T10:00:00Z"},
                "spec": {"containers": [], "volumes": [{"name": "keys", "csi": csi}]}});
            serde_json::from_value(pod).expect("a pod")
        };
        Workloads { pods: vec![pod("mounts", "csi"), pod("other", "another")], ..Workloads::default() }
    }

    #[test]
    fn a_class_that_mounts_one_of_the_two_is_named_with_its_pods() {
        let door = |class: Value, pods: &Workloads| mounted(&now(), &class, pods).map(|door| door.what);
        let pods = of_pods();
        assert!(
            door(class("acme_old", "latest"), &pods)
                .is_some_and(|what| what.contains("mounts acme_old into pod mounts from"))
        );
        let none = Workloads::default();
        assert!(door(class("acme_key", "latest"), &none).is_some_and(|what| what.contains("pods (none runs now)")));
        assert_eq!(door(class("acme_key_of_another", "latest"), &pods), None);
    }

    #[test]
    fn its_pods_are_readers_and_a_pinned_version_shows_nothing_by_their_dates() {
        let mut now = now();
        now.primary.versions.push(Version {
            id: "3".parse().expect("fits"),
            state: VersionState::Enabled,
            value: None,
            created: None,
        });
        let found = |id: &str, version: &str| {
            let found = mounting(&now, &class(id, version), &of_pods()).into_iter();
            found.map(|reader| (reader.name, reader.since.is_some())).collect::<Vec<_>>()
        };
        assert_eq!(found("acme_key", "latest"), [("mounts".to_owned(), true)]);
        assert_eq!(found("acme_key", "3"), [("mounts".to_owned(), true)]);
        assert_eq!(found("acme_key", "2"), [("mounts".to_owned(), false)]);
        assert_eq!(found("acme_old", "latest"), []);
    }
}
