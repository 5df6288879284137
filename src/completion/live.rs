//! Words that only the cluster knows: asked for within what is left of the budget, remembered for some seconds.
//!
//! Never an error, a prompt or standard input: whatever goes wrong, what is known without the cluster is offered.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use k8s_openapi::api::apps::v1::{DaemonSet, Deployment, StatefulSet};
use k8s_openapi::api::core::v1::Namespace;
use kube::core::DynamicObject;

use super::Context;
use super::cache::{Known, Word};
use super::candidates::Source;
use super::notes;
use crate::clients::cluster::Cluster;
use crate::clients::kubeconfig::{self, Chosen, StdinUse};
use crate::request::is_no_account;
use deepdesk_protocol::facts::names::{AccountName, ObjectName, printable};

/// The words of a live source.
pub fn words(source: Source, context: &Context) -> Vec<Word> {
    let Some(named) = context.named() else { return Vec::new() };
    let namespace = namespace(source, context, &named.chosen);
    let key = notes::key(&named.chosen, &context.line, &format!("{source:?} {namespace}"));
    let cache = context.cache();
    let found = match cache.get(&key) {
        Known::Fresh(words) => words,
        Known::Failed(words) => or_static(words, source, context),
        Known::Old(words) => match ask(source, &namespace, context) {
            Some(words) => {
                cache.answered(&key, &words);
                words
            }
            None => {
                cache.failed(&key);
                or_static(words, source, context)
            }
        },
    };
    match source {
        Source::Accounts => found.into_iter().map(|word| notes::beside(word, &cache, &named.chosen)).collect(),
        _ => found,
    }
}

/// The namespace that the source's words are in; empty when they are in none.
fn namespace(source: Source, context: &Context, chosen: &Chosen) -> String {
    match source {
        Source::Workloads | Source::ExternalSecrets => {
            let account = context.line.arguments.first().or(chosen.namespace.as_ref());
            account.cloned().unwrap_or_else(|| "default".to_owned())
        }
        _ => String::new(),
    }
}

/// What is known without the cluster: the namespaces that the cluster's contexts name.
fn or_static(words: Vec<Word>, source: Source, context: &Context) -> Vec<Word> {
    let Some(named) = context.named().filter(|_| words.is_empty()) else { return words };
    if !matches!(source, Source::Accounts | Source::Namespaces) {
        return words;
    }
    let mut found = BTreeMap::new();
    for entry in named.contexts.iter().filter(|entry| entry.cluster == named.chosen.cluster) {
        if let Some(namespace) = &entry.namespace {
            found.entry(namespace.clone()).or_insert_with(|| format!("namespace of context {}", entry.name));
        }
    }
    found.retain(|namespace, _| source == Source::Namespaces || is_account(namespace));
    found.into_iter().map(|(namespace, note)| Word(namespace, note)).collect()
}

fn is_account(namespace: &str) -> bool {
    namespace.parse::<AccountName>().is_ok_and(|account| !is_no_account(&account))
}

/// Asks the cluster; none when it did not answer in time, or not with yes.
fn ask(source: Source, namespace: &str, context: &Context) -> Option<Vec<Word>> {
    let left = context.deadline.checked_duration_since(Instant::now()).filter(|left| !left.is_zero())?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().ok()?;
    let answer = runtime.block_on(async { tokio::time::timeout(left, list(source, namespace, left, context)).await });
    // A name that is still being looked up must not hold the process.
    runtime.shutdown_background();
    let mut words = answer.ok().flatten()?;
    words.sort();
    // Typed into a shell: what is no name of Kubernetes is something else that a server wants there.
    let is_name = |word: &Word| word.0.rsplit('/').next().is_some_and(|name| name.parse::<ObjectName>().is_ok());
    words.retain(is_name);
    words.iter_mut().for_each(|word| word.1 = printable(&word.1));
    Some(words)
}

async fn list(source: Source, namespace: &str, left: Duration, context: &Context) -> Option<Vec<Word>> {
    let target = kubeconfig::load(&context.flags(), &context.environment, StdinUse::Completion).await.ok()?;
    let namespace: AccountName = if namespace.is_empty() { "default" } else { namespace }.parse().ok()?;
    let cluster = Cluster::connect(&target, &namespace).ok()?.once(left);
    match source {
        Source::Accounts => accounts(&cluster).await,
        Source::Namespaces => {
            let namespaces = cluster.cluster_list::<Namespace>().await.ok()?;
            let phase = |one: &Namespace| one.status.as_ref().and_then(|status| status.phase.clone());
            let word = |one: Namespace| Some(Word(one.metadata.name.clone()?, phase(&one).unwrap_or_default()));
            Some(namespaces.into_iter().filter_map(word).collect())
        }
        Source::ExternalSecrets => {
            let word = |one: DynamicObject| Some(Word(one.metadata.name.clone()?, sync_state(&one).to_owned()));
            Some(cluster.external_secrets().await.ok()?.into_iter().filter_map(word).collect())
        }
        Source::Workloads => workloads(&cluster).await,
        _ => None,
    }
}

/// The namespaces that have an ExternalSecret, each with how many of them are in sync.
async fn accounts(cluster: &Cluster) -> Option<Vec<Word>> {
    let mut found: BTreeMap<String, (usize, usize)> = BTreeMap::new();
    for object in cluster.external_secrets_everywhere().await.ok()? {
        let Some(namespace) = object.metadata.namespace.clone().filter(|namespace| is_account(namespace)) else {
            continue;
        };
        let (synced, all) = found.entry(namespace).or_default();
        *synced += usize::from(is_ready(&object));
        *all += 1;
    }
    let word = |(account, (synced, all))| Word(account, format!("{synced} of {all} ExternalSecrets in sync"));
    Some(found.into_iter().map(word).collect())
}

fn condition(object: &DynamicObject) -> Option<&serde_json::Value> {
    let conditions = object.data.pointer("/status/conditions")?.as_array()?;
    conditions.iter().find(|condition| condition["type"] == "Ready")
}

fn is_ready(object: &DynamicObject) -> bool {
    condition(object).is_some_and(|condition| condition["status"] == "True")
}

fn sync_state(object: &DynamicObject) -> &str {
    condition(object).and_then(|condition| condition["reason"].as_str()).unwrap_or("not synced yet")
}

async fn workloads(cluster: &Cluster) -> Option<Vec<Word>> {
    let (deployments, stateful, daemons) = futures::future::try_join3(
        cluster.list::<Deployment>(),
        cluster.list::<StatefulSet>(),
        cluster.list::<DaemonSet>(),
    )
    .await
    .ok()?;
    let word = |kind: &str, name: Option<String>, ready: Option<i32>, wanted: Option<i32>| {
        let note = format!("{} of {} pods ready", ready.unwrap_or(0), wanted.unwrap_or(1));
        Some(Word(format!("{kind}/{}", name?), note))
    };
    let deployments = deployments.into_iter().filter_map(|one| {
        let ready = one.status.and_then(|status| status.ready_replicas);
        word("deployment", one.metadata.name, ready, one.spec.and_then(|spec| spec.replicas))
    });
    let stateful = stateful.into_iter().filter_map(|one| {
        let ready = one.status.and_then(|status| status.ready_replicas);
        word("statefulset", one.metadata.name, ready, one.spec.and_then(|spec| spec.replicas))
    });
    let daemons = daemons.into_iter().filter_map(|one| {
        let status = one.status.unwrap_or_default();
        word("daemonset", one.metadata.name, Some(status.number_ready), Some(status.desired_number_scheduled))
    });
    Some(deployments.chain(stateful).chain(daemons).collect())
}
