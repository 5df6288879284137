//! ExternalSecrets of other namespaces that read the account's primary: their pods are reached by no command of this account.
//!
//! One list, where that is allowed. Where it is not, or something of it cannot be told, nothing is claimed.

use std::collections::BTreeMap;

use serde_json::Value;

use super::external_secrets::{self, Reader};
use super::json::text;
use super::mappings::{Labels, Secrets};
use super::store;
use crate::clients::cluster::Cluster;
use crate::request::Request;
use deepdesk_protocol::command;
use deepdesk_protocol::facts::copies::{Door, NotLookedAt};
use deepdesk_protocol::facts::names::{AccountName, ObjectName};
use deepdesk_protocol::facts::observation::{Observation, Source};
use deepdesk_protocol::hint::Hint;
use deepdesk_protocol::problem::{Problem, Reason};

/// An ExternalSecret of another namespace that reads the primary.
struct Elsewhere {
    namespace: AccountName,
    name: ObjectName,
}

/// Refuses a change of a value that pods of another namespace read as well: they would stay on the one before, and write under it.
pub async fn refuse_shared(request: &Request, cluster: &Cluster, now: &mut Observation) -> Result<(), Problem> {
    match elsewhere(request, cluster, now).await {
        Some(other) => Err(shared(now, &other)),
        None => Ok(()),
    }
}

/// Names one for who only looks.
pub async fn note_elsewhere(request: &Request, cluster: &Cluster, now: &mut Observation) {
    if let Some(other) = elsewhere(request, cluster, now).await {
        let told = shared(now, &other);
        now.doors.push(Door {
            what: told.message,
            what_to_do: "give each namespace its own secret: until then no command changes it".to_owned(),
        });
    }
}

async fn elsewhere(request: &Request, cluster: &Cluster, now: &mut Observation) -> Option<Elsewhere> {
    let Ok(objects) = cluster.external_secrets_everywhere().await else {
        now.not_looked_at.push(NotLookedAt::without("other namespaces", "list on externalsecrets in all namespaces"));
        return None;
    };
    let objects = objects.into_iter().filter_map(|object| serde_json::to_value(object).ok());
    let mut others = readers(request, now, objects);
    others.sort_by(|(a, one), (b, other)| (a, &one.name).cmp(&(b, &other.name)));
    let mut by_namespace: BTreeMap<AccountName, Vec<Reader>> = BTreeMap::new();
    for (namespace, reader) in others {
        by_namespace.entry(namespace).or_default().push(reader);
    }
    for (namespace, readers) in by_namespace {
        // Its store may be another project's; one that may not be looked at says nothing.
        let Ok(stores) = store::stores(&readers, &cluster.for_account(&namespace), namespace.as_str()).await else {
            continue;
        };
        let same = |reader: &&Reader| {
            let store = stores.get(&reader.store);
            store.is_some_and(|store| store.problem.is_none() && store.home.as_ref() == Some(&now.home))
        };
        if let Some(reader) = readers.iter().find(same) {
            return Some(Elsewhere { name: reader.name.clone(), namespace });
        }
    }
    None
}

/// Those of other namespaces that are sure to read it, if their store reads from where it is.
fn readers(request: &Request, now: &Observation, objects: impl Iterator<Item = Value>) -> Vec<(AccountName, Reader)> {
    let labels = Labels { primary: now.primary.labels.clone(), back_compat: now.back_compat.labels.clone() };
    let (primary, back_compat) = (&request.names.primary, &request.names.back_compat);
    let secrets = Secrets { primary, back_compat, labels: Some(&labels) };
    let others = objects.filter_map(|object| {
        let namespace: AccountName = text(&object, "/metadata/namespace")?.parse().ok()?;
        let reader = external_secrets::read(&object, &secrets).filter(|_| namespace != now.account)?;
        let reads = reader.mappings.iter().any(|mapping| mapping.source == Source::Primary && mapping.is_sure());
        reads.then_some((namespace, reader))
    });
    others.collect()
}

fn shared(now: &Observation, other: &Elsewhere) -> Problem {
    let (account, primary) = (&now.account, &now.primary.secret);
    let own = now.keys(Source::Primary).next().map(|(external, _)| format!("{account}/{}", external.name));
    let own = own.unwrap_or_else(|| format!("namespace {account}"));
    let Elsewhere { namespace, name } = other;
    let line = format!(
        "secret {primary} is read in two namespaces, by external secret {own} and by {namespace}/{name}: pods in {namespace} are not restarted with those of {account}, and would continue under the previous value"
    );
    Problem::new(Reason::SharedPrimary, line)
        .hint(Hint::to("look at the other one", command!["kubectl", "get", "externalsecret", name, "-n", namespace, "-o", "yaml"]))
        .hint("give each namespace a secret of its own; one that nothing in the other namespace needs may be deleted there")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::observe::mappings::from_item;

    /// What may read it by a pattern that Go reads otherwise, or by what is no id, is not claimed.
    #[test]
    fn only_what_is_sure_to_read_it_counts() {
        let (primary, back_compat) = ("acme_account_secret".parse(), "acme_account_secret_back_compat".parse());
        let labels = Labels { primary: vec![("app".to_owned(), "deepdesk".to_owned())], back_compat: Vec::new() };
        let secrets = Secrets {
            primary: primary.as_ref().expect("a fit id"),
            back_compat: back_compat.as_ref().expect("a fit id"),
            labels: Some(&labels),
        };
        for (item, sure) in [
            (json!({"extract": {"key": "acme_account_secret"}}), true),
            (json!({"find": {"name": {"regexp": "account_secret$"}}}), true),
            (json!({"find": {"tags": {"app": "deepdesk"}}}), true),
            (json!({"find": {"name": {"regexp": "^acme"}}, "rewrite": [{"merge": {"into": "x"}}]}), true),
            (json!({"find": {"name": {"regexp": "\\Qacme\\E"}}}), false),
            (json!({"extract": {"key": "projects/p/secrets/acme_account_secret"}}), false),
            (json!({"fetch": {"key": "acme_account_secret"}}), false),
        ] {
            let mappings = from_item(&item, &secrets);
            let primary = mappings.iter().filter(|mapping| mapping.source == Source::Primary);
            assert_eq!(primary.map(|mapping| mapping.is_sure()).collect::<Vec<_>>(), [sure], "{item}");
        }
    }
}
