//! The kubeconfig files: found, merged, and one context of them chosen.

use std::path::{Path, PathBuf};

use base64::Engine;
use kube::config::{AuthInfo, Cluster, Context, Kubeconfig};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use zeroize::Zeroizing;

use super::in_cluster::{self, Pod};
use super::{KubeFlags, given, path_text};
use crate::clients::error::ConfigError;
use crate::clients::yaml;
use crate::environment::Environment;
use crate::setting::{Source, Sourced, without_password};

/// A context of the kubeconfig.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ContextEntry {
    /// Its name.
    pub name: String,
    /// The name of its cluster.
    pub cluster: String,
    /// The address of its cluster, where the kubeconfig says one; to be shown, so without a password.
    pub server: Option<String>,
    /// The name of its user.
    pub user: Option<String>,
    /// The namespace it says.
    pub namespace: Option<String>,
    /// Whether it is the current one.
    pub current: bool,
}

/// What the flags and the kubeconfig choose together.
pub(super) struct Selected {
    pub(super) context_name: Option<String>,
    pub(super) context: Context,
    pub(super) cluster_name: Option<String>,
    pub(super) cluster: Cluster,
    pub(super) user_name: Option<String>,
    pub(super) user: AuthInfo,
    /// The pod that we run in, where no kubeconfig says anything.
    pub(super) pod: Option<Pod>,
}

/// The contexts of the kubeconfig, in its order.
pub fn contexts(flags: &KubeFlags, env: &Environment) -> Result<Vec<ContextEntry>, ConfigError> {
    let config = read(flags, env)?;
    let current = given(&flags.context).or(config.current_context);
    let clusters = config.clusters;
    let server = |name: &str| {
        let named = clusters.iter().find(|named| named.name == name)?;
        given(&named.cluster.as_ref()?.server).map(|server| without_password(&server))
    };
    let entry = |name: String, context: Context| {
        let current = current.as_deref() == Some(name.as_str());
        let Context { cluster, user, namespace, .. } = context;
        ContextEntry {
            server: server(&cluster),
            user: given(&user),
            namespace: given(&namespace),
            current,
            name,
            cluster,
        }
    };
    Ok(config.contexts.into_iter().map(|named| entry(named.name, named.context.unwrap_or_default())).collect())
}

pub(super) fn select(flags: &KubeFlags, env: &Environment) -> Result<Selected, ConfigError> {
    select_or(flags, env, in_cluster::pod)
}

/// The same, where the pod that we run in is found so.
pub(super) fn select_or(
    flags: &KubeFlags,
    env: &Environment,
    pod: impl FnOnce(&Environment) -> Option<Pod>,
) -> Result<Selected, ConfigError> {
    let config = read(flags, env)?;
    let context_name = given(&flags.context).or(config.current_context.clone());
    let context = match &context_name {
        Some(name) => {
            let found = config.contexts.iter().find(|named| named.name == *name);
            found.and_then(|named| named.context.clone()).ok_or_else(|| no_such_context(name, &config, flags, env))?
        }
        // A server by flag is enough, as for kubectl.
        None if given(&flags.server).is_some() => Context::default(),
        // As client-go: in a pod its own cluster, when nothing names another.
        None => match pod(env).filter(|_| given(&flags.cluster).or(given(&flags.user)).is_none()) {
            Some(pod) => return Ok(pod.selected()),
            None => return Err(no_context(&config, flags, env)),
        },
    };

    let cluster_name = given(&flags.cluster).or(given(&Some(context.cluster.clone())));
    let cluster = match &cluster_name {
        Some(name) => {
            let found = config.clusters.iter().find(|named| named.name == *name);
            found
                .and_then(|named| named.cluster.clone())
                .ok_or_else(|| ConfigError::new(format!("cluster \"{name}\" does not exist in the kubeconfig")))?
        }
        None => Cluster::default(),
    };

    let user_name = given(&flags.user).or(given(&context.user));
    let found = config.auth_infos.iter().find(|named| Some(&named.name) == user_name.as_ref());
    let user = match (found, given(&flags.user)) {
        (Some(named), _) => named.auth_info.clone().unwrap_or_default(),
        (None, Some(name)) => {
            return Err(ConfigError::new(format!("user \"{name}\" does not exist in the kubeconfig")));
        }
        // A context whose user is missing goes without credentials, as with kubectl: the server says the rest.
        (None, None) => AuthInfo::default(),
    };
    Ok(Selected { context_name, context, cluster_name, cluster, user_name, user, pod: None })
}

fn no_such_context(name: &str, config: &Kubeconfig, flags: &KubeFlags, env: &Environment) -> ConfigError {
    let missing = not_there(&missing(flags, env));
    let error = ConfigError::new(format!("context \"{name}\" does not exist{missing}"));
    match names_of_contexts(config) {
        Some(names) => error.hint(format!("the contexts are: {names}")),
        None => error.hint("the kubeconfig has no contexts; is KUBECONFIG right?"),
    }
}

fn no_context(config: &Kubeconfig, flags: &KubeFlags, env: &Environment) -> ConfigError {
    let missing = missing(flags, env);
    let error =
        ConfigError::new(format!("no cluster is chosen: the kubeconfig has no current context{}", not_there(&missing)));
    match (names_of_contexts(config), missing.is_empty()) {
        (Some(names), _) => {
            error.hint(format!("pass --context, or `kubectl deepdesk cluster use NAME`; the contexts are: {names}"))
        }
        (None, false) => error.hint("correct KUBECONFIG, or unset it to use ~/.kube/config"),
        (None, true) => {
            error.hint("write one with `kubectl deepdesk cluster get-credentials NAME --location LOCATION`")
        }
    }
}

/// What is said beside an error that a file may be the reason of.
fn not_there(missing: &[PathBuf]) -> String {
    let names: Vec<String> = missing.iter().map(|path| path.display().to_string()).collect();
    match names.as_slice() {
        [] => String::new(),
        [one] => format!("; KUBECONFIG names {one}, which does not exist"),
        several => format!("; KUBECONFIG names {}, which do not exist", several.join(", ")),
    }
}

fn names_of_contexts(config: &Kubeconfig) -> Option<String> {
    const MOST: usize = 8;
    let names: Vec<&str> = config.contexts.iter().map(|named| named.name.as_str()).collect();
    let more = if names.len() > MOST { ", …" } else { "" };
    (!names.is_empty()).then(|| format!("{}{more}", names[..names.len().min(MOST)].join(", ")))
}

/// The kubeconfig files in the order in which they are merged, and what named them.
pub fn paths(flags: &KubeFlags, env: &Environment) -> Sourced<Vec<PathBuf>> {
    if let Some(path) = flags.kubeconfig.as_ref().filter(|path| !path.as_os_str().is_empty()) {
        return Sourced::new(vec![path.clone()], Source::Flag("--kubeconfig"));
    }
    match (env.get("KUBECONFIG"), kubectl_home(env)) {
        (Some(list), _) => {
            let mut paths: Vec<PathBuf> = std::env::split_paths(list).collect();
            let mut seen = std::collections::BTreeSet::new();
            paths.retain(|path| !path.as_os_str().is_empty() && seen.insert(path.clone()));
            Sourced::new(paths, Source::Environment("KUBECONFIG".to_owned()))
        }
        (None, Some(home)) => Sourced::new(vec![home.join(".kube").join("config")], Source::Default),
        (None, None) => Sourced::new(Vec::new(), Source::Default),
    }
}

/// The home in which kubectl looks for `.kube` (client-go, `homedir.HomeDir`). On Windows there are three, and the first that has a
/// kubeconfig is it; where none has, the first that is there, and then the order is another one.
fn kubectl_home(env: &Environment) -> Option<PathBuf> {
    if !env.is_windows() {
        return env.home();
    }
    let named = |name: &str| env.get(name).map(PathBuf::from);
    let drive = || Some(PathBuf::from(format!("{}{}", env.get("HOMEDRIVE")?, env.get("HOMEPATH")?)));
    let (home, drive, profile) = (named("HOME"), drive(), named("USERPROFILE"));
    let with_config = |home: &&PathBuf| home.join(".kube").join("config").exists();
    if let Some(found) = [&home, &drive, &profile].into_iter().flatten().find(with_config) {
        return Some(found.clone());
    }
    let homes = [home, profile, drive];
    let there = homes.iter().flatten().find(|home| home.is_dir());
    there.or(homes.iter().flatten().next()).cloned()
}

/// The files merged: the first to say something wins, and files of a list that do not exist are skipped.
pub(super) fn read(flags: &KubeFlags, env: &Environment) -> Result<Kubeconfig, ConfigError> {
    let Sourced { value: paths, source } = paths(flags, env);
    if let (Source::Flag(_), [path]) = (source, paths.as_slice()) {
        return read_one(path)?.ok_or_else(|| ConfigError::new(format!("{}: no such kubeconfig", path.display())));
    }
    let mut merged = Kubeconfig::default();
    for path in paths {
        if let Some(next) = read_one(&path)? {
            merged = merged.merge(next).map_err(|_| {
                ConfigError::new(format!("{}: of another kind than the kubeconfigs before it", path.display()))
            })?;
        }
    }
    Ok(merged)
}

/// The files that the environment names and that are not there.
fn missing(flags: &KubeFlags, env: &Environment) -> Vec<PathBuf> {
    let Sourced { value: paths, source } = paths(flags, env);
    match source {
        Source::Environment(_) => paths.into_iter().filter(|path| !path.exists()).collect(),
        _ => Vec::new(),
    }
}

/// One file; none when it does not exist. What the parser says of it is left out: it quotes what it stumbled over.
pub(super) fn read_one(path: &Path) -> Result<Option<Kubeconfig>, ConfigError> {
    let wrong = |what: &str| ConfigError::new(format!("the kubeconfig {} {what}", path.display()));
    let bytes = match std::fs::read(path) {
        Ok(bytes) => Zeroizing::new(bytes),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => {
            return Err(wrong(&format!("cannot be read: {error}"))
                .hint("make it readable, or name the others alone in KUBECONFIG or with --kubeconfig"));
        }
    };
    let text = yaml::characters(&bytes).ok_or_else(|| wrong("is not text in UTF-8"))?;
    let read = yaml::read::<Kubeconfig>(&text).map_err(|error| {
        let place = error.line.map(|line| format!(" (line {line})")).unwrap_or_default();
        wrong(&format!("is not valid{place}"))
    })?;
    let mut config = read.unwrap_or_default();
    if let Some(kind) = config.kind.as_deref().filter(|kind| *kind != "Config") {
        return Err(wrong(&format!("is of kind {kind}, not Config")));
    }
    // kubectl takes an empty name for none; to kube it would win over the next file's.
    config.current_context = given(&config.current_context);
    locate(&mut config, path.parent().unwrap_or(Path::new("")));
    Ok(Some(config))
}

/// What the file names by a path is looked for beside the file; of a plugin only where it is named by one.
fn locate(config: &mut Kubeconfig, directory: &Path) {
    let beside = |path: &mut Option<String>| {
        if let Some(named) = path.as_deref().filter(|named| !named.is_empty() && Path::new(named).is_relative()) {
            *path = Some(path_text(&directory.join(named)));
        }
    };
    for cluster in config.clusters.iter_mut().filter_map(|named| named.cluster.as_mut()) {
        beside(&mut cluster.certificate_authority);
    }
    for user in config.auth_infos.iter_mut().filter_map(|named| named.auth_info.as_mut()) {
        [&mut user.client_certificate, &mut user.client_key, &mut user.token_file].into_iter().for_each(beside);
        if let Some(exec) = &mut user.exec
            && exec.command.as_deref().is_some_and(|command| command.contains(std::path::MAIN_SEPARATOR))
        {
            beside(&mut exec.command);
        }
    }
}

/// The bytes that stand in the kubeconfig (base64) or in the file that it names.
pub(super) fn bytes_of(what: &str, data: Option<&str>, path: Option<&str>) -> Result<Option<Vec<u8>>, ConfigError> {
    match (data.filter(|data| !data.is_empty()), path.filter(|path| !path.is_empty())) {
        (Some(data), _) => {
            let decoded = base64::engine::general_purpose::STANDARD.decode(&*unwrapped(what, data)?);
            decoded.map(Some).map_err(|_| not_base64(what))
        }
        (None, Some(path)) => {
            let read = std::fs::read(path);
            read.map(Some).map_err(|error| ConfigError::new(format!("the {what} {path} cannot be read: {error}")))
        }
        (None, None) => Ok(None),
    }
}

/// Base64 as one word: in a kubeconfig it may be wrapped over lines, as `base64` without `-w0` prints it.
pub(super) fn unwrapped(what: &str, data: &str) -> Result<Zeroizing<String>, ConfigError> {
    let mut word = Zeroizing::new(String::with_capacity(data.len()));
    word.extend(data.chars().filter(|c| !c.is_ascii_whitespace()));
    match base64::engine::general_purpose::STANDARD.decode(word.as_bytes()).map(Zeroizing::new) {
        Ok(_) => Ok(word),
        Err(_) => Err(not_base64(what)),
    }
}

fn not_base64(what: &str) -> ConfigError {
    ConfigError::new(format!("the {what} of the kubeconfig is not base64"))
}

/// The certificates of a PEM bundle.
pub(super) fn certificates(pem: &[u8]) -> Result<Vec<Vec<u8>>, ConfigError> {
    let parsed: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    match parsed {
        Ok(certificates) if !certificates.is_empty() => {
            Ok(certificates.into_iter().map(|certificate| certificate.to_vec()).collect())
        }
        _ => Err(ConfigError::new("the certificate authority of the cluster is not a PEM certificate")),
    }
}
