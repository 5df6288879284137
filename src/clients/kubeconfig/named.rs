//! What a kubeconfig names, and which of it the flags choose. Nothing is run and nothing is sent: completion asks here.

use kube::config::{Context, NamedContext};

use super::{KubeFlags, files, given};
use crate::clients::error::ConfigError;
use crate::environment::Environment;

/// The names of a kubeconfig, each list in the files' order.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Named {
    /// Its contexts.
    pub contexts: Vec<NamedEntry>,
    /// Its clusters, each with its server.
    pub clusters: Vec<(String, String)>,
    /// Its users.
    pub users: Vec<String>,
    /// What the flags and the current context choose.
    pub chosen: Chosen,
}

/// A context: its name, and what it stands for.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct NamedEntry {
    /// Its name.
    pub name: String,
    /// The name of its cluster.
    pub cluster: String,
    /// The namespace it says.
    pub namespace: Option<String>,
    /// Whether it is the one in use.
    pub current: bool,
}

/// The cluster and the identity in use.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Chosen {
    /// The context.
    pub context: String,
    /// The cluster.
    pub cluster: String,
    /// The user.
    pub user: String,
    /// The namespace.
    pub namespace: Option<String>,
    /// The API server's address; empty when none is said.
    pub server: String,
}

/// Reads the kubeconfig as `load` does, and goes no further.
pub fn named(flags: &KubeFlags, env: &Environment) -> Result<Named, ConfigError> {
    let config = files::read(flags, env)?;
    let context_name = given(&flags.context).or(config.current_context.clone()).unwrap_or_default();
    let of = |named: &NamedContext| named.context.clone().unwrap_or_default();
    let context = config.contexts.iter().find(|named| named.name == context_name).map(of).unwrap_or_default();
    let clusters: Vec<(String, String)> = config
        .clusters
        .iter()
        .map(|named| {
            let server = named.cluster.as_ref().and_then(|cluster| cluster.server.clone());
            (named.name.clone(), server.unwrap_or_default())
        })
        .collect();
    let cluster = given(&flags.cluster).unwrap_or_else(|| context.cluster.clone());
    let server = || clusters.iter().find(|(name, _)| *name == cluster).map(|(_, server)| server.clone());
    let chosen = Chosen {
        server: given(&flags.server).or_else(server).unwrap_or_default(),
        user: given(&flags.user).or(given(&context.user)).unwrap_or_default(),
        namespace: given(&flags.namespace).or(given(&context.namespace)),
        context: context_name,
        cluster,
    };
    let entry = |named: &NamedContext| {
        let Context { cluster, namespace, .. } = of(named);
        let current = named.name == chosen.context;
        NamedEntry { name: named.name.clone(), cluster, namespace: given(&namespace), current }
    };
    Ok(Named {
        contexts: config.contexts.iter().map(entry).collect(),
        users: config.auth_infos.iter().map(|named| named.name.clone()).collect(),
        clusters,
        chosen,
    })
}
