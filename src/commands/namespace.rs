//! A namespace that does not exist explains whatever else is missing there: it is told alone.

use k8s_openapi::api::core::v1::Namespace;

use super::names;
use crate::clients::cluster::Cluster;
use deepdesk_protocol::command;
use deepdesk_protocol::hint::Hint;
use deepdesk_protocol::problem::{Problem, Reason};

/// The problem, or the one that explains it.
pub async fn explained(cluster: &Cluster, problem: Problem) -> Problem {
    let may_be_it = matches!(
        problem.reason,
        Reason::CheckFailed
            | Reason::Forbidden
            | Reason::NotFound
            | Reason::NoProject
            | Reason::NoPrimary
            | Reason::NoAccounts
            | Reason::Other
    );
    match may_be_it {
        true => missing(cluster).await.unwrap_or(problem),
        false => problem,
    }
}

/// That the namespace does not exist, with the nearest name; none where it does, and where that may not be asked.
pub async fn missing(cluster: &Cluster) -> Option<Problem> {
    let name = cluster.namespace().as_str();
    cluster.cluster_get::<Namespace>(name).await.ok()?.is_none().then_some(())?;
    let all = cluster.cluster_list::<Namespace>().await.unwrap_or_default();
    let all: Vec<String> = all.into_iter().filter_map(|one| one.metadata.name).collect();
    Some(problem(name, &all))
}

/// The problem for a name that none of these is.
pub fn problem(name: &str, all: &[String]) -> Problem {
    let problem = Problem::new(Reason::NoSuchNamespace, format!("namespace \"{name}\" does not exist"));
    match names::near(name, all.iter().map(String::as_str)).first() {
        Some(near) => problem.hint(format!("did you mean {near}?")),
        None => problem.hint(Hint::to("see them all", command!["kubectl", "deepdesk", "account", "list"])),
    }
}
