//! Other ways by which the account's values go somewhere, or come into its secrets: PushSecrets, SecretProviderClasses. Named, with
//! what to do; nothing here moves them.

use serde_json::Value;

use super::json::{items, text};
use crate::clients::cluster::Cluster;
use crate::clients::error::ApiError;
use deepdesk_protocol::facts::copies::{Door, NotLookedAt};
use deepdesk_protocol::facts::observation::Observation;

/// Looks for them, and notes what may not be looked at.
pub async fn add_doors(cluster: &Cluster, now: &mut Observation) {
    let (pushes, classes) = futures::join!(cluster.push_secrets(), cluster.secret_provider_classes());
    let pushes = or_not(now, pushes, "PushSecrets", "list on pushsecrets");
    let classes = or_not(now, classes, "SecretProviderClasses", "list on secretproviderclasses");
    let mut doors: Vec<Door> = pushes.iter().flat_map(|push| pushed(now, push)).collect();
    doors.extend(classes.iter().filter_map(|class| mounted(now, class)));
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
fn mounted(now: &Observation, class: &Value) -> Option<Door> {
    let name = text(class, "/metadata/name")?;
    let secrets = text(class, "/spec/parameters/secrets")?;
    let names = |id: &str| {
        let mut parts = secrets.split(|c: char| c.is_whitespace() || matches!(c, '/' | '"' | '\''));
        parts.any(|part| part == id)
    };
    let id = [&now.primary.secret, &now.back_compat.secret].into_iter().find(|id| names(id.as_str()))?;
    Some(Door {
        what: format!(
            "SecretProviderClass {name} mounts {id} into pods from Secret Manager itself: no restart here reaches them"
        ),
        what_to_do: format!("restart the pods that mount it afterwards: kubectl get pods -n {} -o yaml", now.account),
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use deepdesk_protocol::facts::observation::SecretView;

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

    #[test]
    fn a_class_that_mounts_one_of_the_two_is_named() {
        let class = |id: &str| {
            let secrets = format!("- resourceName: \"projects/p/secrets/{id}/versions/latest\"\n  path: \"key\"\n");
            json!({"metadata": {"name": "csi"}, "spec": {"provider": "gcp", "parameters": {"secrets": secrets}}})
        };
        assert!(mounted(&now(), &class("acme_old")).is_some_and(|door| door.what.contains("mounts acme_old")));
        assert_eq!(mounted(&now(), &class("acme_key_of_another")), None);
    }
}
