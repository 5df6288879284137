//! Accounts that are selected and not named: all of the cluster (`-A`), or those whose namespaces have labels (`-l`).

use k8s_openapi::api::core::v1::Namespace;
use serde_json::Value;

use super::session::{Desk, Session};
use super::{Voice, speak};
use crate::cli;
use crate::clients::cluster::Cluster;
use crate::clients::error::ApiErrorKind;
use crate::observe::glance;
use crate::request;
use deepdesk_protocol::facts::names::AccountName;
use deepdesk_protocol::problem::{Problem, Reason};

pub struct Selected {
    /// Each account, with its ExternalSecrets.
    pub accounts: Vec<(Desk, Vec<Value>)>,
    /// Whether all were asked for, and only the namespace at hand may be looked at; which that is.
    pub only_here: Option<String>,
    /// Why there is none, where there is none.
    pub none: Option<String>,
}

/// Finds them, as `account list` does.
pub async fn select(session: &Session, common: &cli::Common, selection: &cli::Selection) -> Result<Selected, Problem> {
    let here = session.here()?;
    let labelled = match &selection.selector {
        Some(selector) => Some(labelled(session.cluster(), selector).await?),
        None => None,
    };
    let found = glance::everywhere(&here, session.context()).await?;
    let only_here = found.only_here.then(|| here.namespace().to_string());
    let mut accounts: Vec<(Desk, Vec<Value>)> = Vec::new();
    for (account, objects) in found.by_namespace {
        let chosen = labelled.as_ref().is_none_or(|labelled| labelled.contains(&account));
        if !chosen || request::is_no_account(&account) {
            continue;
        }
        let desk = session.desk(account, common)?;
        if glance::reads_primary(&desk.request, &objects) {
            accounts.push((desk, objects));
        }
    }
    let none = accounts.is_empty().then(|| match &selection.selector {
        Some(selector) => format!("no account's namespace matches the labels {selector}"),
        None => "no namespace has an ExternalSecret that reads NAMESPACE_account_secret".to_owned(),
    });
    Ok(Selected { accounts, only_here, none })
}

/// Their names; what limits the selection is told.
pub async fn accounts(
    session: &Session,
    common: &cli::Common,
    selection: &cli::Selection,
    voice: &Voice,
) -> Result<Vec<AccountName>, Problem> {
    let selected = select(session, common, selection).await?;
    if let Some(namespace) = &selected.only_here {
        speak(voice).warning(&only(namespace));
    }
    if let Some(none) = &selected.none {
        speak(voice).note(none);
    }
    Ok(selected.accounts.into_iter().map(|(desk, _)| desk.request.account).collect())
}

/// That no more than one namespace was looked at.
pub fn only(namespace: &str) -> String {
    format!("not allowed to list ExternalSecrets of all namespaces: only {namespace} was looked at")
}

/// The namespaces with these labels.
pub async fn labelled(cluster: &Cluster, selector: &str) -> Result<Vec<AccountName>, Problem> {
    match cluster.cluster_list_labelled::<Namespace>(selector).await {
        Ok(namespaces) => {
            let names = namespaces.into_iter().filter_map(|namespace| namespace.metadata.name);
            Ok(names.filter_map(|name| name.parse().ok()).collect())
        }
        Err(error) if error.kind == ApiErrorKind::Invalid => {
            let line = format!("`{selector}` is not a label selector: {}", error.message);
            Err(Problem::new(Reason::Usage, line).hint("such as -l tier=gold, -l 'tier in (gold,silver)', -l '!trial'"))
        }
        Err(error) if error.kind == ApiErrorKind::Forbidden => {
            Err(Problem::from(error).hint("-l needs `list` on namespaces (a ClusterRole); or name the accounts"))
        }
        Err(error) => Err(error.into()),
    }
}
