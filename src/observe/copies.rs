//! Kubernetes Secrets that hold a value of the account and that none of its ExternalSecrets fills: copies by another ExternalSecret
//! through External Secrets' kubernetes provider, by a controller that replicates, by a chart or by hand.
//!
//! Looked at are those that a pod or a template refers to and that no ExternalSecret explains, each by its name: a list would bring
//! every Secret of the namespace. Bytes decide.

use std::collections::{BTreeMap, BTreeSet};

use futures::future::join_all;
use k8s_openapi::api::core::v1::{EnvFromSource, EnvVar, PodSpec, Volume};
use serde_json::Value;

use super::consumers::{self, Carriers, Workloads};
use super::external_secrets::store_ref;
use super::json::{items, text};
use super::shown::standing;
use super::vault::Vault;
use super::{other_readers, store::StoreRef};
use crate::clients::cluster::{Cluster, KubernetesSecret};
use deepdesk_protocol::facts::copies::{Copy, NotLookedAt};
use deepdesk_protocol::facts::names::ObjectName;
use deepdesk_protocol::facts::observation::{Derivation, Found, KeyView, Observation, Source, ValueTag};

/// An ExternalSecret that reads one of the account's Kubernetes Secrets.
struct Hop {
    name: ObjectName,
    target: ObjectName,
    made_by: String,
    /// The keys that it fills, where it names them.
    keys: BTreeMap<String, Source>,
}

/// Looks for copies, and notes them with who reads them.
pub async fn add_copies(
    cluster: &Cluster,
    now: &mut Observation,
    objects: &[Value],
    workloads: &Workloads,
    vault: &Vault,
) {
    let hops = hops(cluster, now, objects).await;
    let mut names: BTreeSet<ObjectName> = hops.iter().map(|hop| hop.target.clone()).collect();
    let explained: BTreeSet<&str> = objects.iter().filter_map(target).collect();
    names.extend(referenced(workloads).into_iter().filter(|name| !explained.contains(name.as_str())));
    let ours: Vec<&ObjectName> = now.external_secrets.iter().map(|external| &external.target).collect();
    names.retain(|name| !ours.contains(&name));
    let read = join_all(names.iter().map(|name| cluster.secret(name.as_str()))).await;
    let mut unseen = Vec::new();
    let mut copies = Vec::new();
    for (name, read) in names.into_iter().zip(read) {
        match read {
            Ok(Some(secret)) => {
                let hop = hops.iter().find(|hop| hop.target == name);
                copies.extend(copy(now, name, &secret, hop, vault));
            }
            Ok(None) => {}
            Err(_) => unseen.push(name.to_string()),
        }
    }
    if !unseen.is_empty() {
        let what = format!("Kubernetes Secrets {}", unseen.join(", "));
        now.not_looked_at.push(NotLookedAt::without(what, "get on secrets"));
    }
    for copy in &mut copies {
        copy.read_by = read_by(workloads, copy);
    }
    now.copies = copies;
}

/// The copies as carriers: their keys by the secret that they are taken for.
pub fn carriers(now: &Observation) -> Carriers {
    now.copies.iter().map(carrier).collect()
}

fn carrier(copy: &Copy) -> (ObjectName, Vec<(String, Source)>) {
    (copy.secret.clone(), copy.keys.iter().map(|key| (key.key.clone(), key.source)).collect())
}

fn read_by(workloads: &Workloads, copy: &Copy) -> Vec<String> {
    let carriers = Carriers::from([carrier(copy)]);
    let consumers = consumers::consumers(workloads, &carriers);
    let others = other_readers::other_readers(workloads, &carriers, &consumers);
    let mut names: Vec<String> = consumers.iter().map(|consumer| consumer.workload.to_string()).collect();
    names.extend(others.iter().map(deepdesk_protocol::facts::observation::OtherReader::named));
    names
}

/// What a Secret holds of the account; none where that is nothing.
fn copy(
    now: &Observation,
    name: ObjectName,
    secret: &KubernetesSecret,
    hop: Option<&Hop>,
    vault: &Vault,
) -> Option<Copy> {
    let named: BTreeMap<&str, Source> = now
        .external_secrets
        .iter()
        .flat_map(|external| &external.keys)
        .filter(|key| key.derivation == Derivation::Exact)
        .map(|key| (key.key.as_str(), key.source))
        .collect();
    let mut keys = Vec::new();
    for (key, held) in &secret.data {
        let standing = standing(vault, &[held]);
        let by_hop = hop.and_then(|hop| hop.keys.get(key)).copied();
        if standing.is_empty() && by_hop.is_none() {
            continue;
        }
        let by_name = || named.get(key.as_str()).copied();
        let older = || key.to_lowercase().contains("compat").then_some(Source::BackCompat);
        let source = by_hop.or_else(by_name).or_else(older).unwrap_or(Source::Primary);
        let is_whole = vault.tag_of(held).is_some();
        keys.push(KeyView {
            key: key.clone(),
            source,
            derivation: if is_whole { Derivation::Exact } else { Derivation::Shown },
            pinned: None,
            property: None,
            found: held_by(now, source, &standing.into_keys().collect::<Vec<_>>()),
        });
    }
    let made_by = hop.map(|hop| hop.made_by.clone()).or_else(|| copier(secret));
    let external_secret = hop.map(|hop| hop.name.clone());
    let copy = Copy { secret: name, external_secret, made_by, keys, written: secret.last_write, read_by: Vec::new() };
    (!copy.keys.is_empty()).then_some(copy)
}

/// What a key holds by the values that stand in it: the newest one of its secret, where nothing stands beside it but the other slot's.
fn held_by(now: &Observation, source: Source, standing: &[ValueTag]) -> Found {
    let slots = now.slots();
    match now.secret(source).value() {
        Some(value) if standing.contains(&value) && standing.iter().all(|one| slots.contains(&Some(*one))) => {
            Found::Value(value)
        }
        expected => {
            let older = standing.iter().find(|one| Some(**one) != expected);
            older.map_or(Found::Unknown, |one| Found::Value(*one))
        }
    }
}

/// Who copies it, as the annotations of controllers that do say.
fn copier(secret: &KubernetesSecret) -> Option<String> {
    const COPIERS: [(&str, &str); 4] = [
        ("replicator.v1.mittwald.de/replicate-from", "kubernetes-replicator, from"),
        ("reflector.v1.k8s.emberstack.com/reflects", "Reflector, from"),
        ("kubed.appscode.com/origin", "kubed, from"),
        ("meta.helm.sh/release-name", "Helm, with release"),
    ];
    COPIERS.iter().find_map(|(name, who)| Some(format!("{who} {}", secret.annotations.get(*name)?)))
}

/// The ExternalSecrets that read a Secret of ours through a store of the kubernetes provider.
async fn hops(cluster: &Cluster, now: &Observation, objects: &[Value]) -> Vec<Hop> {
    let own = |object: &Value| {
        let name = text(object, "/metadata/name");
        now.external_secrets.iter().any(|external| Some(external.name.as_str()) == name)
    };
    let may = objects.iter().filter(|object| !own(object) && !sources(now, object).is_empty());
    let may: Vec<&Value> = may.collect();
    if may.is_empty() {
        return Vec::new();
    }
    let local = cluster.secret_stores().await.unwrap_or_default();
    let local: Vec<Value> = local.into_iter().filter_map(|store| serde_json::to_value(store).ok()).collect();
    let mut hops = Vec::new();
    for object in may {
        let Some(store) = store_of(object) else { continue };
        let found = match store.cluster {
            true => cluster
                .cluster_secret_store(&store.name)
                .await
                .ok()
                .flatten()
                .and_then(|one| serde_json::to_value(one).ok()),
            false => local.iter().find(|one| text(one, "/metadata/name") == Some(&store.name)).cloned(),
        };
        if found.is_some_and(|found| reads_namespace(&found, now.account.as_str())) {
            hops.extend(hop(now, object, &store));
        }
    }
    hops
}

fn store_of(object: &Value) -> Option<StoreRef> {
    let mut entries = items(object, "/spec/data").iter().chain(items(object, "/spec/dataFrom"));
    let own = entries.find(|item| item.pointer("/sourceRef/storeRef").is_some());
    store_ref(own.unwrap_or(&Value::Null), object)
}

/// Whether a store reads Kubernetes Secrets of this namespace of this cluster.
fn reads_namespace(store: &Value, namespace: &str) -> bool {
    let Some(provider) = store.pointer("/spec/provider/kubernetes") else { return false };
    let remote = text(provider, "/remoteNamespace").unwrap_or("default");
    let url = text(provider, "/server/url").unwrap_or("kubernetes.default");
    remote == namespace && url.contains("kubernetes.default")
}

/// The Secrets of ours that it names.
fn sources(now: &Observation, object: &Value) -> BTreeSet<ObjectName> {
    let data = items(object, "/spec/data").iter().filter_map(|item| text(item, "/remoteRef/key"));
    let extracted = items(object, "/spec/dataFrom").iter().filter_map(|item| text(item, "/extract/key"));
    let named: BTreeSet<&str> = data.chain(extracted).collect();
    let found = now.external_secrets.iter().map(|external| &external.target);
    found.filter(|target| named.contains(target.as_str())).cloned().collect()
}

fn hop(now: &Observation, object: &Value, store: &StoreRef) -> Option<Hop> {
    let source_of = |secret: &str, key: &str| {
        let external = now.external_secrets.iter().find(|external| external.target.as_str() == secret)?;
        external.keys.iter().find(|view| view.key == key).map(|view| view.source)
    };
    let by_name = items(object, "/spec/data").iter().filter_map(|item| {
        let (secret, key) = (text(item, "/remoteRef/key")?, text(item, "/remoteRef/property")?);
        Some((text(item, "/secretKey")?.to_owned(), source_of(secret, key)?))
    });
    let mut keys: BTreeMap<String, Source> = by_name.collect();
    for extracted in items(object, "/spec/dataFrom").iter().filter_map(|item| text(item, "/extract/key")) {
        let external = now.external_secrets.iter().filter(|external| external.target.as_str() == extracted);
        keys.extend(external.flat_map(|external| &external.keys).map(|key| (key.key.clone(), key.source)));
    }
    let kind = if store.cluster { "ClusterSecretStore" } else { "SecretStore" };
    let read: Vec<String> = sources(now, object).iter().map(ToString::to_string).collect();
    let name: ObjectName = text(object, "/metadata/name")?.parse().ok()?;
    let made_by = format!(
        "ExternalSecret {name}, which reads Secret {} through {kind} {} of the kubernetes provider",
        read.join(", "),
        store.name
    );
    Some(Hop { target: target(object)?.parse().ok()?, keys, made_by, name })
}

fn target(object: &Value) -> Option<&str> {
    text(object, "/spec/target/name").or_else(|| text(object, "/metadata/name"))
}

/// The Secrets that running pods and templates refer to.
fn referenced(all: &Workloads) -> BTreeSet<ObjectName> {
    let pods = all.pods.iter().filter(|pod| all.runs(pod)).filter_map(|pod| pod.spec.as_ref());
    let deployments = all.deployments.iter().filter_map(|one| one.spec.as_ref()?.template.spec.as_ref());
    let stateful_sets = all.stateful_sets.iter().filter_map(|one| one.spec.as_ref()?.template.spec.as_ref());
    let daemon_sets = all.daemon_sets.iter().filter_map(|one| one.spec.as_ref()?.template.spec.as_ref());
    let cron_jobs = all.cron_jobs.iter().filter_map(other_readers::cron_template);
    let jobs = all.jobs.iter().filter_map(other_readers::job_template);
    let specs = pods.chain(deployments).chain(stateful_sets).chain(daemon_sets).chain(cron_jobs).chain(jobs);
    specs.flat_map(of_spec).filter_map(|name| name.parse().ok()).collect()
}

fn of_spec(spec: &PodSpec) -> Vec<&str> {
    let containers = spec.init_containers.iter().flatten().chain(&spec.containers);
    let containers = containers.map(|one| (&one.env, &one.env_from));
    let ephemeral = spec.ephemeral_containers.iter().flatten().map(|one| (&one.env, &one.env_from));
    let mut names: Vec<&str> = containers.chain(ephemeral).flat_map(of_environment).collect();
    names.extend(spec.volumes.iter().flatten().flat_map(of_volume));
    names
}

fn of_environment<'a>(
    (env, env_from): (&'a Option<Vec<EnvVar>>, &'a Option<Vec<EnvFromSource>>),
) -> impl Iterator<Item = &'a str> {
    let env = env.iter().flatten();
    let env = env.filter_map(|one| Some(one.value_from.as_ref()?.secret_key_ref.as_ref()?.name.as_str()));
    env.chain(env_from.iter().flatten().filter_map(|from| Some(from.secret_ref.as_ref()?.name.as_str())))
}

fn of_volume(volume: &Volume) -> Vec<&str> {
    let whole = volume.secret.iter().filter_map(|secret| secret.secret_name.as_deref());
    let projected = volume.projected.iter().flat_map(|projected| projected.sources.iter().flatten());
    whole.chain(projected.filter_map(|source| Some(source.secret.as_ref()?.name.as_str()))).collect()
}
