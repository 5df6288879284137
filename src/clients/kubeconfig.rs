//! Which cluster, as whom: kubectl's flags and files, read as kubectl reads them.
//!
//! kube parses a kubeconfig and makes the client; what stands between the two differs from kubectl in a dozen places,
//! and is ours.

mod edit;
pub(super) mod exec;
mod files;
mod in_cluster;
mod named;
pub mod previous;
pub(super) mod renewal;
// The tests' plugins are shell scripts.
#[cfg(all(test, unix))]
mod tests;
mod tree;
mod write;

use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use http::{HeaderValue, Uri};
use jiff::Timestamp;
use kube::config::{AuthInfo, Cluster};
use secrecy::{ExposeSecret as _, SecretString};

use self::exec::Plugin;
pub use self::files::{ContextEntry, contexts, paths};
use self::files::{Selected, bytes_of, certificates, unwrapped};
pub use self::named::{Chosen, Named, NamedEntry, named};
use self::renewal::Renewal;
pub use self::write::{Entry, Locked, lock};
use super::USER_AGENT;
use super::endpoint::is_loopback;
use super::error::ConfigError;
use super::known;
use super::proxy::proxy_for;
use crate::environment::Environment;
use crate::setting::{Source, without_password};

/// kubectl's connection flags. `Debug` hides the token.
#[derive(Clone, Default)]
pub struct KubeFlags {
    /// `--kubeconfig`
    pub kubeconfig: Option<PathBuf>,
    /// `--context`
    pub context: Option<String>,
    /// `--cluster`
    pub cluster: Option<String>,
    /// `--user`
    pub user: Option<String>,
    /// `--namespace`
    pub namespace: Option<String>,
    /// `--as`
    pub impersonate: Option<String>,
    /// `--as-group`
    pub impersonate_groups: Vec<String>,
    /// `--as-uid`
    pub impersonate_uid: Option<String>,
    /// `--server`
    pub server: Option<String>,
    /// `--token`
    pub token: Option<String>,
    /// `--tls-server-name`
    pub tls_server_name: Option<String>,
    /// `--certificate-authority`
    pub certificate_authority: Option<PathBuf>,
    /// `--client-certificate`
    pub client_certificate: Option<PathBuf>,
    /// `--client-key`
    pub client_key: Option<PathBuf>,
    /// `--insecure-skip-tls-verify`
    pub insecure_skip_tls_verify: bool,
    /// `--request-timeout`; none and zero are our own limit
    pub request_timeout: Option<Duration>,
}

/// Whose the standard input is while a credential plugin runs.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum StdinUse {
    /// We read from it, or nobody sits at it: a plugin must not touch it.
    OursOrNoTerminal,
    /// A terminal that a plugin may ask at.
    Terminal,
    /// A shell completes a word: a plugin must not touch the terminal in any way.
    Completion,
}

impl fmt::Debug for KubeFlags {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KubeFlags")
            .field("kubeconfig", &self.kubeconfig)
            .field("context", &self.context)
            .field("cluster", &self.cluster)
            .field("user", &self.user)
            .field("namespace", &self.namespace)
            .field("impersonate", &self.impersonate)
            .field("server", &self.server)
            .field("token", &self.token.as_ref().map(|_| "redacted"))
            .finish_non_exhaustive()
    }
}

/// The cluster that was chosen. `Debug` shows no credentials.
#[derive(Clone)]
pub struct KubeTarget {
    /// The context's name.
    pub context: Option<String>,
    /// The cluster's name in the kubeconfig.
    pub cluster: Option<String>,
    /// The namespace that the flag or the context says; none when neither does.
    pub namespace: Option<String>,
    /// The user's name in the kubeconfig.
    pub user: Option<String>,
    /// The API server's URL.
    pub server: String,
    /// The proxy to it, without its password.
    pub proxy: Option<String>,
    /// What named the proxy.
    pub proxy_source: Option<Source>,
    /// As whom the user acts: user, groups, uid.
    pub impersonated: (Option<String>, Vec<String>, Option<String>),
    /// How the user proves to be one: the kind alone.
    pub credentials: &'static str,
    /// All of it, with the plugin's credential in the plugin's place.
    pub(super) config: kube::Config,
    /// Whether it is the cluster of the pod that we run in.
    pub in_pod: bool,
    /// What says that the server's certificate is not to be checked, where a file does and not the call.
    pub unchecked_by: Option<Source>,
    /// Where new credentials come from, when these are not taken any more.
    pub(super) renewal: Option<Renewal>,
    /// When the credentials end.
    pub(super) expires: Option<Timestamp>,
    pub(super) request_timeout: Option<Duration>,
}

impl fmt::Debug for KubeTarget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KubeTarget")
            .field("context", &self.context)
            .field("cluster", &self.cluster)
            .field("namespace", &self.namespace)
            .field("server", &self.server)
            .finish_non_exhaustive()
    }
}

impl KubeTarget {
    /// Where requests go, for an error: an address says little to who has several clusters.
    pub(super) fn place(&self) -> String {
        let server = without_password(self.server.trim_end_matches('/'));
        match &self.context {
            Some(context) => format!("{server} (context {context})"),
            None if self.in_pod => format!("{server} (the cluster of this pod)"),
            None => server,
        }
    }

    /// What has to be said once where a file has the server's certificate not checked.
    pub fn warning(&self) -> Option<String> {
        let source = self.unchecked_by.as_ref()?;
        Some(format!(
            "the certificate of {} is not verified: the values and your token go to whoever answers there \
             (insecure-skip-tls-verify of {source})",
            self.place()
        ))
    }
}

/// Reads the kubeconfig, applies the flags, and runs the credential plugin if there is one.
pub async fn load(flags: &KubeFlags, env: &Environment, stdin: StdinUse) -> Result<KubeTarget, ConfigError> {
    let mut selected = files::select(flags, env)?;
    let unchecked_by_file = selected.cluster.insecure_skip_tls_verify == Some(true) && !flags.insecure_skip_tls_verify;
    apply_to_cluster(flags, &mut selected.cluster);
    apply_to_user(flags, &mut selected.user)?;
    let Selected { context_name, context, cluster_name, cluster, user_name, mut user, pod } = selected;

    let server = server_url(&cluster, context_name.as_deref())?;
    let insecure = cluster.insecure_skip_tls_verify.unwrap_or(false);
    let authority = bytes_of(
        "certificate authority",
        cluster.certificate_authority_data.as_deref(),
        cluster.certificate_authority.as_deref(),
    )?;
    if insecure && authority.is_some() {
        return Err(ConfigError::new("a certificate authority and insecure-skip-tls-verify exclude each other"));
    }

    let root_cert = authority.as_deref().map(certificates).transpose()?;
    let credentials = kind_of_credentials(&user, server.scheme_str() == Some("http"), pod.is_some());
    let mut renewal = None;
    let mut expires = None;
    if server.scheme_str() == Some("http") {
        // As kubectl: no credential goes over a wire in the clear, and so none needs to be fetched.
        user = without_credentials(&user);
    } else if let Some(entry) = user.exec.take() {
        let plugin = Plugin::new(&entry, &cluster, authority.as_deref(), stdin, env)?.within(env);
        let ran =
            plugin.run().await.map_err(|error| error.about(&of_entry(user_name.as_deref(), context_name.as_deref())));
        expires = ran?.apply(&mut user);
        renewal = Some(Renewal::Plugin(Box::new(plugin)));
    } else if let Some((file, credential)) = Renewal::of_token_file(&mut user)? {
        expires = credential.apply(&mut user);
        renewal = Some(file);
    }

    let mut config = kube::Config::new(server.clone());
    config.default_namespace = context.namespace.clone().unwrap_or_else(|| "default".to_owned());
    config.root_cert = root_cert;
    config.accept_invalid_certs = insecure;
    config.tls_server_name = given(&cluster.tls_server_name);
    let of_cluster = format!("cluster {}", cluster_name.as_deref().unwrap_or_default());
    let proxy = proxy_for(&server, cluster.proxy_url.as_deref(), &of_cluster, env)?;
    let unchecked = unchecked_by_file && insecure && server.scheme_str() == Some("https");
    let unchecked_by = unchecked.then(|| Source::Kubeconfig(of_cluster.clone()));
    let proxy_source = proxy.as_ref().map(|proxy| proxy.source.clone());
    config.proxy_url = proxy.map(|proxy| proxy.value);
    let proxy = config.proxy_url.as_ref().map(|proxy| without_password(&proxy.to_string()));
    let impersonated =
        (user.impersonate.clone(), user.impersonate_groups.clone().unwrap_or_default(), user.impersonate_uid.clone());
    // A server that refuses them may quote them.
    for credential in user.token.iter().chain(&user.password) {
        known::values().keep_credential(credential.expose_secret());
    }
    config.auth_info = user;
    config.connect_timeout = Some(Duration::from_secs(5));
    // Each request has a limit of its own, and a watch must not have this one.
    config.read_timeout = None;
    // kube's would repeat writes, and for minutes.
    config.default_retry = false;
    config.headers.push((http::header::USER_AGENT, HeaderValue::from_static(USER_AGENT)));

    let namespace = given(&flags.namespace).or(given(&context.namespace));
    let request_timeout = flags.request_timeout;
    let server = server.to_string();
    Ok(KubeTarget {
        context: context_name,
        cluster: cluster_name,
        namespace,
        user: user_name,
        server,
        proxy,
        proxy_source,
        impersonated,
        credentials,
        config,
        in_pod: pod.is_some(),
        unchecked_by,
        renewal,
        expires,
        request_timeout,
    })
}

fn apply_to_cluster(flags: &KubeFlags, cluster: &mut Cluster) {
    if let Some(server) = given(&flags.server) {
        cluster.server = Some(server);
        // The name belongs to the server that the file names.
        cluster.tls_server_name = None;
    }
    if flags.insecure_skip_tls_verify || flags.certificate_authority.is_some() {
        // Trust is said anew as a whole: half of the file's and half of the flags' would be neither.
        cluster.insecure_skip_tls_verify = Some(flags.insecure_skip_tls_verify);
        cluster.certificate_authority = flags.certificate_authority.as_deref().map(path_text);
        cluster.certificate_authority_data = None;
    }
    if let Some(name) = given(&flags.tls_server_name) {
        cluster.tls_server_name = Some(name);
    }
}

fn apply_to_user(flags: &KubeFlags, user: &mut AuthInfo) -> Result<(), ConfigError> {
    without_empty(user)?;
    if let Some(token) = given(&flags.token) {
        user.token = Some(SecretString::from(token));
        user.token_file = None;
        user.username = None;
        user.password = None;
        user.auth_provider = None;
    }
    if let Some(path) = &flags.client_certificate {
        user.client_certificate = Some(path_text(path));
        user.client_certificate_data = None;
    }
    if let Some(path) = &flags.client_key {
        user.client_key = Some(path_text(path));
        user.client_key_data = None;
    }
    if user.token.is_some() || user.token_file.is_some() || (user.username.is_some() && user.password.is_some()) {
        // As client-go: what is at hand is not asked for.
        user.exec = None;
    }
    if let Some(name) = given(&flags.impersonate) {
        user.impersonate = Some(name);
    }
    if !flags.impersonate_groups.is_empty() {
        user.impersonate_groups = Some(flags.impersonate_groups.clone());
    }
    if let Some(uid) = given(&flags.impersonate_uid) {
        user.impersonate_uid = Some(uid);
    }
    if user.impersonate.is_none() && (user.impersonate_groups.is_some() || user.impersonate_uid.is_some()) {
        return Err(ConfigError::new("a group or uid to act as (--as-group, --as-uid) needs a user (--as)"));
    }
    match user.auth_provider.as_ref().map(|provider| provider.name.as_str()) {
        None | Some("oidc") => Ok(()),
        Some(name) => Err(ConfigError::new(format!(
            "the kubeconfig uses the auth provider `{name}`, which kubectl dropped as well"
        ))
        .hint("write the entry again, as with `gcloud container clusters get-credentials`")),
    }
}

/// What is written and empty is not said, as with client-go; and base64 may be wrapped over lines.
fn without_empty(user: &mut AuthInfo) -> Result<(), ConfigError> {
    let said = |secret: &Option<SecretString>| secret.clone().filter(|secret| !secret.expose_secret().is_empty());
    for text in [
        &mut user.username,
        &mut user.token_file,
        &mut user.client_certificate,
        &mut user.client_certificate_data,
        &mut user.client_key,
        &mut user.impersonate,
        &mut user.impersonate_uid,
    ] {
        *text = given(text);
    }
    (user.token, user.client_key_data) = (said(&user.token), said(&user.client_key_data));
    if let Some(data) = &user.client_certificate_data {
        user.client_certificate_data = Some(unwrapped("client-certificate-data", data)?.to_string());
    }
    if let Some(data) = &user.client_key_data {
        let word = unwrapped("client-key-data", data.expose_secret())?;
        user.client_key_data = Some(SecretString::from(word.as_str()));
    }
    // A user without a password has an empty one; a password without a user is nobody's.
    user.password = user.username.as_ref().map(|_| user.password.clone().unwrap_or_default());
    user.impersonate_groups = user.impersonate_groups.take().filter(|groups| !groups.is_empty());
    Ok(())
}

/// Whose credentials failed.
fn of_entry(user: Option<&str>, context: Option<&str>) -> String {
    match (user, context) {
        (_, Some(context)) => format!("context {context}"),
        (Some(user), None) => format!("user {user}"),
        (None, None) => String::new(),
    }
}

/// How the user proves to be one, in client-go's order.
fn kind_of_credentials(user: &AuthInfo, plain: bool, in_pod: bool) -> &'static str {
    match user {
        _ if plain => "none (plain http on loopback)",
        user if in_pod && user.token_file.is_some() => "service account of this pod (token not shown)",
        user if user.exec.is_some() => "credential plugin",
        user if user.token.is_some() || user.token_file.is_some() => "token (not shown)",
        user if user.username.is_some() => "user name and password (not shown)",
        user if user.client_certificate.is_some() || user.client_certificate_data.is_some() => "client certificate",
        user if user.auth_provider.is_some() => "oidc",
        _ => "none",
    }
}

/// The same user, as whom impersonation says, and without anything to prove it with.
fn without_credentials(user: &AuthInfo) -> AuthInfo {
    AuthInfo {
        impersonate: user.impersonate.clone(),
        impersonate_uid: user.impersonate_uid.clone(),
        impersonate_groups: user.impersonate_groups.clone(),
        impersonate_user_extra: user.impersonate_user_extra.clone(),
        ..AuthInfo::default()
    }
}

fn server_url(cluster: &Cluster, context: Option<&str>) -> Result<Uri, ConfigError> {
    let Some(server) = given(&cluster.server) else {
        let of = context.map(|name| format!(" of context \"{name}\"")).unwrap_or_default();
        return Err(ConfigError::new(format!("the cluster{of} has no server")));
    };
    let wrong = |why: &str| ConfigError::new(format!("the server `{}` {why}", without_password(&server)));
    let url = match server.contains("://") {
        true => server.clone(),
        // `kubectl proxy` is reached this way; anything else is https, as everywhere today.
        false => {
            let bare: Uri = format!("http://{server}").parse().map_err(|_| wrong("is not a URL"))?;
            format!("{}://{server}", if is_loopback(&bare) { "http" } else { "https" })
        }
    };
    let url: Uri = url.parse().map_err(|_| wrong("is not a URL"))?;
    match url.scheme_str() {
        Some("https") => Ok(url),
        Some("http") if is_loopback(&url) => Ok(url),
        Some("http") => Err(wrong("is plain http, which is for this machine alone (127.0.0.1)")
            .hint("values would be sent unencrypted: use https")),
        _ => Err(wrong("does not begin with https://")),
    }
}

/// What was said; an empty text is nothing, as with kubectl's flags.
fn given(text: &Option<String>) -> Option<String> {
    text.clone().filter(|text| !text.is_empty())
}

fn path_text(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}
