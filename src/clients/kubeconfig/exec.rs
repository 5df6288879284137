//! Runs the credential plugin of a kubeconfig: once, within a time, and without our standard input.
//!
//! kube runs it three times for each client, hands it our standard input, and shows its output in errors. What it writes,
//! on either stream, may be a token; an error names the plugin and its exit code, and how to see what it says.

use std::collections::HashMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use base64::Engine;
use jiff::Timestamp;
use kube::config::{AuthInfo, Cluster, ExecConfig, ExecInteractiveMode};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use serde_json::json;
use tokio::io::AsyncReadExt;
use zeroize::Zeroizing;

use super::StdinUse;
use crate::clients::error::ConfigError;
use crate::clients::known;
use crate::clients::patience;
use crate::clients::program;
use crate::clients::yaml;
use crate::environment::Environment;

/// The versions of the protocol that kubectl speaks today.
const VERSIONS: [&str; 2] = ["client.authentication.k8s.io/v1", "client.authentication.k8s.io/v1beta1"];

/// How to see what a plugin says, where it is said to nobody else. The plugin's own command line may have a secret in it.
const SEE: &str = "see what the plugin says: kubectl version (with the same --kubeconfig, --context and --user)";

/// How a plugin is run. `Debug` shows its command alone: arguments and environment may hold a secret.
#[derive(Clone)]
pub(in crate::clients) struct Plugin {
    command: String,
    /// Where it is, where that is not for the system to find out.
    program: Option<PathBuf>,
    arguments: Vec<String>,
    environment: Vec<(String, String)>,
    /// Variables that it does not get: in the process's environment they are for Google's client alone.
    without: Vec<&'static str>,
    version: String,
    interactive: bool,
    /// Whether it runs apart from the terminal: one that opens it anyway is stopped by the system, not answered.
    apart: bool,
    install_hint: Option<String>,
    /// What the plugin is told: `KUBERNETES_EXEC_INFO`.
    info: String,
    limit: Duration,
}

impl fmt::Debug for Plugin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Plugin").field("command", &self.command).finish_non_exhaustive()
    }
}

/// What a plugin gave out. `Debug` shows nothing of it.
pub(in crate::clients) struct Credential {
    token: Option<SecretString>,
    certificate: Option<(String, SecretString)>,
    expires: Option<Timestamp>,
}

impl fmt::Debug for Credential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credential").field("expires", &self.expires).finish_non_exhaustive()
    }
}

impl Credential {
    /// A token that is to be asked for again then.
    pub(super) fn token(token: SecretString, expires: Timestamp) -> Credential {
        Credential { token: Some(token), certificate: None, expires: Some(expires) }
    }

    /// Whether the user has it already.
    pub(in crate::clients) fn is_in(&self, auth: &AuthInfo) -> bool {
        let token = |token: &Option<SecretString>| {
            token.as_ref().map(|token| token.expose_secret().to_owned()).map(Zeroizing::new)
        };
        self.certificate.is_none() && auth.client_certificate_data.is_none() && token(&self.token) == token(&auth.token)
    }

    /// Puts the credential in the plugin's place; returns when it ends.
    pub(in crate::clients) fn apply(&self, auth: &mut AuthInfo) -> Option<Timestamp> {
        let base64 = |pem: &str| base64::engine::general_purpose::STANDARD.encode(pem);
        auth.exec = None;
        if let Some(token) = &self.token {
            // A server that refuses it may quote it.
            known::values().keep_credential(token.expose_secret());
            auth.token = Some(token.clone());
        }
        if let Some((certificate, key)) = &self.certificate {
            auth.client_certificate_data = Some(base64(certificate));
            auth.client_key_data = Some(SecretString::from(base64(key.expose_secret())));
        }
        self.expires
    }
}

impl Plugin {
    /// Reads the `exec` entry of a kubeconfig's user.
    pub(super) fn new(
        exec: &ExecConfig,
        cluster: &Cluster,
        authority: Option<&[u8]>,
        stdin: StdinUse,
        env: &Environment,
    ) -> Result<Plugin, ConfigError> {
        let command = exec.command.clone().filter(|command| !command.is_empty());
        let command =
            command.ok_or_else(|| ConfigError::new("the credential plugin of the kubeconfig has no command"))?;
        let version = exec.api_version.clone().unwrap_or_default();
        if !VERSIONS.contains(&version.as_str()) {
            return Err(ConfigError::new(format!(
                "the credential plugin `{command}` is set up for `{version}`, which is not supported"
            ))
            .hint("write the kubeconfig entry again, as with `gcloud container clusters get-credentials`"));
        }
        let interactive = match (&exec.interactive_mode, stdin) {
            (Some(ExecInteractiveMode::Never), _) => false,
            (Some(ExecInteractiveMode::Always), StdinUse::OursOrNoTerminal | StdinUse::Completion) => {
                return Err(ConfigError::new(format!("the credential plugin `{command}` must be asked at a terminal"))
                    .hint("log in with kubectl at a terminal first, or use --token"));
            }
            (Some(ExecInteractiveMode::Always), StdinUse::Terminal) => true,
            (Some(ExecInteractiveMode::IfAvailable) | None, stdin) => stdin == StdinUse::Terminal,
        };
        let mut spec = json!({"interactive": interactive});
        if exec.provide_cluster_info {
            spec["cluster"] = cluster_info(cluster, authority);
        }
        let info = json!({"kind": "ExecCredential", "apiVersion": version, "spec": spec}).to_string();
        Ok(Plugin {
            command,
            program: None,
            arguments: exec.args.clone().unwrap_or_default(),
            environment: exec.env.iter().flatten().filter_map(variable).collect(),
            without: Vec::new(),
            version,
            interactive,
            apart: stdin == StdinUse::Completion,
            install_hint: exec.install_hint.clone(),
            info,
            limit: patience::limit(env, if interactive { patience::ASKED } else { patience::UNASKED })?,
        })
    }

    pub(super) fn limit(&self) -> Duration {
        self.limit
    }

    /// What it takes from the user's own environment: on Windows the place of the program, and the proxy variables, since in
    /// the process's they may be those for Google (`guard`).
    pub(super) fn within(mut self, env: &Environment) -> Plugin {
        self.program = program::on_windows(&self.command, env);
        for name in ["HTTPS_PROXY", "https_proxy", "NO_PROXY", "no_proxy"] {
            let (own, said) = (env.get(name).unwrap_or_default(), std::env::var(name).unwrap_or_default());
            let same = |named: &str| if env.is_windows() { named.eq_ignore_ascii_case(name) } else { named == name };
            if own != said && !self.environment.iter().any(|(named, _)| same(named)) {
                self.environment.push((name.to_owned(), own.to_owned()));
            }
        }
        for name in ["SSL_CERT_FILE", "SSL_CERT_DIR"] {
            if self.environment.iter().any(|(named, _)| named == name) {
                continue;
            }
            match (env.get(name), std::env::var_os(name)) {
                (Some(own), said) if said.as_deref() != Some(own.as_ref()) => {
                    self.environment.push((name.to_owned(), own.to_owned()));
                }
                (None, Some(_)) => self.without.push(name),
                _ => {}
            }
        }
        self
    }

    /// Runs the plugin and returns what it gave out.
    pub(in crate::clients) async fn run(&self) -> Result<Credential, ConfigError> {
        let failed = |how: String| ConfigError::new(format!("the credential plugin `{}` {how}", self.command));
        let program = self.program.as_deref().unwrap_or(Path::new(&self.command));
        let mut command = tokio::process::Command::new(program);
        self.without.iter().for_each(|name| {
            command.env_remove(name);
        });
        command
            .args(&self.arguments)
            .envs(self.environment.iter().map(|(name, value)| (name, value)))
            .env("KUBERNETES_EXEC_INFO", &self.info)
            .stdout(Stdio::piped())
            .kill_on_drop(true);
        match self.interactive {
            true => command.stdin(Stdio::inherit()).stderr(Stdio::inherit()),
            false => command.stdin(Stdio::null()).stderr(Stdio::piped()),
        };
        #[cfg(unix)]
        if self.apart {
            command.process_group(0);
        }
        #[cfg(windows)]
        if self.apart {
            // CREATE_NO_WINDOW: it gets a console of its own, which nobody sees.
            command.creation_flags(0x0800_0000);
        }
        let mut child = command.spawn().map_err(|error| self.not_started(&error))?;
        let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
        let running = async {
            // Its complaints are read so that it can write them, and thrown away.
            let (said, complained) = tokio::join!(read(stdout), read(stderr));
            complained?;
            Ok::<_, std::io::Error>((child.wait().await?, said?))
        };
        let (status, said) = match tokio::time::timeout(self.limit, running).await {
            Ok(Ok(finished)) => finished,
            Ok(Err(error)) => return Err(failed(format!("could not be read: {error}"))),
            Err(_) => {
                let how = format!("did not finish in {} seconds", self.limit.as_secs());
                return Err(failed(how).hint(patience::longer()));
            }
        };
        if !status.success() {
            return Err(failed(format!("failed ({status})")).hint(SEE));
        }
        self.parse(&said).map_err(|why| failed(why.to_owned()).hint(SEE))
    }

    fn not_started(&self, error: &std::io::Error) -> ConfigError {
        let problem = match error.kind() {
            std::io::ErrorKind::NotFound => "is not installed, or not on the PATH".to_owned(),
            _ => format!("cannot be started: {error}"),
        };
        let failed = ConfigError::new(format!("the credential plugin `{}` {problem}", self.command));
        match &self.install_hint {
            Some(hint) => failed.hint(hint),
            None => failed,
        }
    }

    /// Reads what it printed in each form that kubectl takes: JSON or YAML, with a byte order mark or without, and an empty
    /// text for what it does not give out.
    fn parse(&self, said: &[u8]) -> Result<Credential, &'static str> {
        let unlike = "printed something that is not an ExecCredential";
        let text = yaml::characters(said).ok_or(unlike)?;
        let answer: ExecCredential = yaml::read(&text).map_err(|_| unlike)?.ok_or(unlike)?;
        if answer.api_version != self.version {
            return Err("answered in another version than the kubeconfig asks for");
        }
        let status = answer.status.ok_or("returned no credential")?;
        let said = |text: Option<String>| text.filter(|text| !text.is_empty());
        let certificate = match (said(status.client_certificate_data), said(status.client_key_data)) {
            (Some(certificate), Some(key)) => Some((certificate, SecretString::from(key))),
            (None, None) => None,
            _ => return Err("returned a certificate without its key, or a key without its certificate"),
        };
        let token = said(status.token).map(SecretString::from);
        if token.is_none() && certificate.is_none() {
            return Err("returned neither a token nor a certificate");
        }
        let expires = match said(status.expiration_timestamp).map(|text| text.parse::<Timestamp>()) {
            Some(Ok(at)) => Some(at).filter(|at| *at > Timestamp::UNIX_EPOCH),
            Some(Err(_)) => return Err("returned an expirationTimestamp that is not a time"),
            None => None,
        };
        Ok(Credential { token, certificate, expires })
    }

    #[cfg(all(test, unix))]
    pub(in crate::clients) fn of_shell(script: &str) -> Plugin {
        let exec: ExecConfig = serde_json::from_value(json!({
            "apiVersion": VERSIONS[0], "command": "/bin/sh", "args": ["-c", script], "interactiveMode": "Never",
        }))
        .expect("an exec entry");
        Plugin::new(&exec, &Cluster::default(), None, StdinUse::OursOrNoTerminal, &Environment::default())
            .expect("a plugin")
    }

    #[cfg(all(test, unix))]
    pub(super) fn with_limit(self, limit: Duration) -> Plugin {
        Plugin { limit, ..self }
    }
}

async fn read(pipe: Option<impl tokio::io::AsyncRead + Unpin>) -> std::io::Result<Zeroizing<Vec<u8>>> {
    // More than any credential; a plugin that prints for ever must not fill the memory.
    const MOST: u64 = 1024 * 1024;
    // At its full size from the start for what is usual, so that growing leaves no copy of a token behind.
    let mut text = Zeroizing::new(Vec::with_capacity(64 * 1024));
    if let Some(pipe) = pipe {
        pipe.take(MOST).read_to_end(&mut text).await?;
    }
    Ok(text)
}

fn variable(entry: &HashMap<String, String>) -> Option<(String, String)> {
    Some((entry.get("name")?.clone(), entry.get("value")?.clone()))
}

fn cluster_info(cluster: &Cluster, authority: Option<&[u8]>) -> serde_json::Value {
    let config = cluster.extensions.iter().flatten().find(|entry| entry.name == "client.authentication.k8s.io/exec");
    let mut info = json!({"server": cluster.server, "config": config.map(|entry| &entry.extension)});
    if let Some(name) = &cluster.tls_server_name {
        info["tls-server-name"] = json!(name);
    }
    if let Some(skip) = cluster.insecure_skip_tls_verify {
        info["insecure-skip-tls-verify"] = json!(skip);
    }
    if let Some(authority) = authority {
        info["certificate-authority-data"] = json!(base64::engine::general_purpose::STANDARD.encode(authority));
    }
    if let Some(proxy) = &cluster.proxy_url {
        info["proxy-url"] = json!(proxy);
    }
    info
}

/// A plugin's answer. No `Debug`: it lives for the conversion alone.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ExecCredential {
    api_version: String,
    status: Option<ExecCredentialStatus>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ExecCredentialStatus {
    token: Option<String>,
    client_certificate_data: Option<String>,
    client_key_data: Option<String>,
    expiration_timestamp: Option<String>,
}
