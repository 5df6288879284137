//! A look at many accounts that costs little: which namespaces are accounts, and what metadata says of their secrets.
//!
//! Reads no value. Two lists of versions an account, under the rate limit that all of them share.

use std::collections::BTreeMap;

use futures::StreamExt as _;
use k8s_openapi::api::coordination::v1::Lease;
use serde_json::Value;

use super::mappings::Labels;
use super::{read_all, served, store};
use crate::clients::cluster::Cluster;
use crate::clients::error::ApiErrorKind;
use crate::clients::secret_manager::{SecretManager, VersionInfo};
use crate::lock;
use crate::request::Request;
use deepdesk_protocol::facts::account::{Glance, SecretGlance, VersionGlance};
use deepdesk_protocol::facts::names::{AccountName, SecretHome, SecretId};
use deepdesk_protocol::facts::observation::Source;
use deepdesk_protocol::problem::Problem;

/// Accounts looked at at the same time.
const AT_ONCE: usize = 8;
/// Versions of each secret that are listed: one page.
const VERSIONS: usize = 25;

/// ExternalSecrets by their namespace, and whether all namespaces were seen.
pub struct Everywhere {
    /// The objects.
    pub by_namespace: BTreeMap<AccountName, Vec<Value>>,
    /// Whether only the one namespace could be looked at.
    pub only_here: bool,
}

/// Lists the ExternalSecrets of all namespaces; where that is forbidden, those of the one at hand.
pub async fn everywhere(cluster: &Cluster, context: &str) -> Result<Everywhere, Problem> {
    let (served, listed) =
        futures::join!(served::external_secrets(cluster, context), cluster.external_secrets_everywhere());
    served?;
    let (objects, only_here) = match listed {
        Ok(objects) => (objects, false),
        Err(error) if error.kind == ApiErrorKind::Forbidden => (cluster.external_secrets().await?, true),
        Err(error) => return Err(error.into()),
    };
    let mut by_namespace: BTreeMap<AccountName, Vec<Value>> = BTreeMap::new();
    for object in objects.into_iter().filter_map(|object| serde_json::to_value(object).ok()) {
        let namespace = object.pointer("/metadata/namespace").and_then(Value::as_str).map(str::parse);
        if let Some(Ok(namespace)) = namespace {
            by_namespace.entry(namespace).or_default().push(object);
        }
    }
    Ok(Everywhere { by_namespace, only_here })
}

/// Whether one of these reads the account's primary.
pub fn reads_primary(request: &Request, objects: &[Value]) -> bool {
    // What is found by tags alone would make every namespace an account that has such a search.
    let readers = read_all(request, objects, Some(&Labels::default()));
    readers.iter().flat_map(|reader| &reader.mappings).any(|mapping| mapping.source == Source::Primary)
}

/// An account with what is looked at of it.
pub struct Asked {
    /// What is asked.
    pub request: Request,
    /// The cluster, in its namespace.
    pub cluster: Cluster,
    /// Its ExternalSecrets.
    pub objects: Vec<Value>,
}

/// Looks at each account, several at a time; in their order.
pub async fn glances(accounts: &[Asked], secret_manager: &SecretManager) -> Vec<Result<Glanced, Problem>> {
    let looks = accounts.iter().map(|asked| glance(asked, secret_manager));
    futures::stream::iter(looks).buffered(AT_ONCE).collect().await
}

/// What a glance finds: where the secrets are, what is told of them, and the lock, of whose holder others are told.
pub type Glanced = (SecretHome, Glance, Option<Lease>);

async fn glance(asked: &Asked, secret_manager: &SecretManager) -> Result<Glanced, Problem> {
    let Asked { request, cluster, objects } = asked;
    let readers = read_all(request, objects, Some(&Labels::default()));
    let stores = store::stores(&readers, cluster, request.account.as_str());
    // A help, not a need: without the right to read the lock, dates alone tell.
    let lease = async { Ok(cluster.lease(lock::LEASE).await.unwrap_or_default()) };
    let (stores, lease) = futures::try_join!(stores, lease)?;
    let record = lease.as_ref().map(|lease| lock::record_in(lease, &request.names.primary)).unwrap_or_default();
    let home = store::home(request, &readers, &stores)?;
    let (primary, back_compat) = futures::try_join!(
        versions(secret_manager, &home, &request.names.primary),
        versions(secret_manager, &home, &request.names.back_compat),
    )?;
    let begun = record.begun.map(|begun| begun.to);
    Ok((home, Glance { primary, back_compat, last_rotation: record.last, begun }, lease))
}

async fn versions(manager: &SecretManager, home: &SecretHome, secret: &SecretId) -> Result<SecretGlance, Problem> {
    let listed = manager.versions(home, secret, VERSIONS).await?.unwrap_or_default();
    let version = |info: VersionInfo| VersionGlance { id: info.version, state: info.state, created: info.created };
    Ok(SecretGlance { secret: secret.to_string(), versions: listed.into_iter().map(version).collect() })
}
