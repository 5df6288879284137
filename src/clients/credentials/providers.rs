//! Tokens that Google's crate does not know: gcloud's access token file, and the account gcloud is logged in with.

use std::fmt;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use deepdesk_protocol::problem::Reason;
use google_cloud_auth::credentials::{CacheableResource, Credentials, CredentialsProvider, EntityTag};
use google_cloud_gax::error::CredentialsError;
use http::header::AUTHORIZATION;
use http::{Extensions, HeaderMap, HeaderValue};
use jiff::{SignedDuration, Timestamp};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use tokio::sync::Mutex;
use zeroize::Zeroizing;

use super::{Found, Origin, refused};
use crate::clients::advice::{Advice, Refusal};
use crate::clients::error::{ApiError, ConfigError};
use crate::clients::gcloud::Gcloud;
use crate::clients::patience;
use crate::environment::Environment;

type Headers = Result<CacheableResource<HeaderMap>, CredentialsError>;

/// A file with an access token. Read for each request: who keeps it fresh replaces it.
#[derive(Debug)]
pub(super) struct TokenFile(PathBuf);

impl TokenFile {
    pub(super) fn credentials(path: &Path) -> Credentials {
        Credentials::from(TokenFile(path.to_owned()))
    }
}

impl CredentialsProvider for TokenFile {
    async fn headers(&self, _: Extensions) -> Headers {
        let text = tokio::fs::read_to_string(&self.0).await.map(Zeroizing::new).map_err(|error| {
            lasting(ConfigError::new(format!("the access token file {} cannot be read: {error}", self.0.display())))
        })?;
        bearer(text.trim())
    }

    async fn universe_domain(&self) -> Option<String> {
        None
    }
}

/// The account gcloud is logged in with. Its token stays in memory, and is asked for again when it ends.
pub(super) struct GcloudAccount {
    helper: Helper,
    token: Mutex<Token>,
}

impl fmt::Debug for GcloudAccount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("GcloudAccount")
    }
}

struct Token {
    text: SecretString,
    expires: Option<Timestamp>,
}

impl GcloudAccount {
    /// None when gcloud is not logged in, or not there.
    pub(super) async fn find(
        env: &Environment,
        gcloud: &Gcloud,
        impersonate: Option<&str>,
    ) -> Result<Option<Found>, ApiError> {
        let account = gcloud.property("core/account").map(|property| property.value);
        if account.is_none() && gcloud.property("auth/credential_file_override").is_none() {
            return Ok(None);
        }
        let helper = Helper::new(env, gcloud, impersonate)?;
        let target = impersonate.map(|chain| chain.rsplit(',').next().unwrap_or(chain));
        let origin = Origin::Gcloud { account: account.clone() };
        let token = match helper.run().await {
            Ok(token) => token,
            Err(HelperError::NotInstalled) => return Ok(None),
            Err(HelperError::Failed { error, denied: true }) => {
                let refusal = Refusal { message: "iam.serviceAccounts.getAccessToken", ..Refusal::default() };
                let advice = refusal.impersonation(target).unwrap_or_else(|| origin.refused());
                return Err(refused(&error.to_string(), advice));
            }
            Err(HelperError::Failed { error, denied: false }) => {
                let advice = if error.hint.is_some() { Advice::of(&error) } else { origin.refused() };
                return Err(refused(&error.to_string(), Advice { reason: Reason::Unauthenticated, ..advice }));
            }
        };
        let principal = target.map(str::to_owned).or_else(|| account.clone());
        let account = account.map(|account| format!("gcloud account {account}")).unwrap_or("gcloud account".to_owned());
        let description = match target {
            Some(target) => format!("{target}, impersonated by {account}"),
            None => account,
        };
        let provider = GcloudAccount { helper, token: Mutex::new(token) };
        let mut found = Found::new(Credentials::from(provider), description, origin);
        found.principal = principal;
        found.impersonates = impersonate.is_some();
        Ok(Some(found))
    }
}

impl CredentialsProvider for GcloudAccount {
    async fn headers(&self, _: Extensions) -> Headers {
        let mut token = self.token.lock().await;
        let soon = Timestamp::now() + SignedDuration::from_secs(60);
        if token.expires.is_some_and(|expires| expires <= soon) {
            *token = self.helper.run().await.map_err(|error| match error {
                HelperError::NotInstalled => lasting(ConfigError::new("gcloud is not installed any more")),
                HelperError::Failed { error, .. } => lasting(error),
            })?;
        }
        bearer(token.text.expose_secret())
    }

    async fn universe_domain(&self) -> Option<String> {
        None
    }
}

/// How gcloud is asked for a token.
struct Helper {
    program: &'static str,
    arguments: Vec<String>,
    environment: Vec<(&'static str, String)>,
    /// Variables that it does not get: in the process's environment they are for Google's client alone.
    without: Vec<&'static str>,
    /// How long it may take. Usually half a second; the first run on a cold disk is much slower.
    limit: Duration,
}

enum HelperError {
    NotInstalled,
    Failed {
        error: ConfigError,
        /// Whether it was not permitted to act as the service account.
        denied: bool,
    },
}

impl Helper {
    fn new(env: &Environment, gcloud: &Gcloud, impersonate: Option<&str>) -> Result<Helper, ApiError> {
        let mut arguments: Vec<String> =
            ["config", "config-helper", "--format=json", "--min-expiry=300", "--quiet", "--verbosity=error"]
                .map(str::to_owned)
                .to_vec();
        arguments.extend(gcloud.chosen().map(|name| format!("--configuration={name}")));
        arguments.extend(impersonate.map(|chain| format!("--impersonate-service-account={chain}")));
        // It must find what we found, also where our environment is not the process's own.
        let names = ["SSL_CERT_FILE", "SSL_CERT_DIR"];
        let without =
            names.into_iter().filter(|name| env.get(name).is_none() && std::env::var_os(name).is_some()).collect();
        let environment = [
            "SSL_CERT_FILE",
            "SSL_CERT_DIR",
            "PATH",
            "HOME",
            "CLOUDSDK_CONFIG",
            "CLOUDSDK_ACTIVE_CONFIG_NAME",
            "CLOUDSDK_CORE_ACCOUNT",
        ]
        .into_iter()
        .filter_map(|name| Some((name, env.get(name)?.to_owned())))
        .collect();
        let limit = patience::limit(env, patience::UNASKED);
        let limit = limit.map_err(|error| refused(&error.message, Advice::of(&error)))?;
        Ok(Helper {
            program: if cfg!(windows) { "gcloud.cmd" } else { "gcloud" },
            arguments,
            environment,
            without,
            limit,
        })
    }

    async fn run(&self) -> Result<Token, HelperError> {
        let failed =
            |how: String| HelperError::Failed { error: ConfigError::new(format!("gcloud {how}")), denied: false };
        let mut command = tokio::process::Command::new(self.program);
        self.without.iter().for_each(|name| {
            command.env_remove(name);
        });
        command
            .args(&self.arguments)
            .envs(self.environment.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true);
        let output = match tokio::time::timeout(self.limit, command.output()).await {
            Ok(Ok(output)) => output,
            Ok(Err(error)) if error.kind() == std::io::ErrorKind::NotFound => return Err(HelperError::NotInstalled),
            Ok(Err(error)) => return Err(failed(format!("cannot be started: {error}"))),
            Err(_) => {
                let line = format!("gcloud returned no token within {} seconds", self.limit.as_secs());
                let error = ConfigError::new(line).hint(patience::longer());
                return Err(HelperError::Failed { error, denied: false });
            }
        };
        let said = Zeroizing::new(output.stdout);
        if !output.status.success() {
            let complaint = Zeroizing::new(output.stderr);
            let meaning = meaning(&complaint);
            let error = ConfigError::new(format!("gcloud returned no token ({}){meaning}", output.status));
            return Err(HelperError::Failed { error, denied: meaning.ends_with(DENIED) });
        }
        let answer: Answer =
            serde_json::from_slice(&said).map_err(|_| failed("returned something other than a token".to_owned()))?;
        // A null is what an access token file gets.
        let expires = answer.credential.token_expiry;
        Ok(Token { text: SecretString::from(answer.credential.access_token), expires })
    }
}

const DENIED: &str = "permission iam.serviceAccounts.getAccessToken denied on the service account";

/// What gcloud's complaint comes to, as far as its wording is known. It is never quoted: with it comes whatever a server
/// or a program that gcloud asked has said.
fn meaning(complaint: &[u8]) -> String {
    const KNOWN: [(&str, &str); 8] = [
        // The denial first: gcloud names the command for a login beside everything.
        ("iam.serviceaccounts.getaccesstoken", DENIED),
        ("reauth", "it must be logged in again"),
        ("gcloud auth login", "it must be logged in again"),
        ("invalid_grant", "its login is not valid any more"),
        ("does not have any valid credentials", "it must be logged in again"),
        ("permission_denied", "the account may not do that"),
        ("unable to find the server", "it cannot reach Google: check the network"),
        ("connection", "it cannot reach Google: check the network"),
    ];
    let complaint = Zeroizing::new(String::from_utf8_lossy(complaint).to_ascii_lowercase());
    match KNOWN.iter().find(|(words, _)| complaint.contains(words)) {
        Some((_, meaning)) => format!(": {meaning}"),
        None => "; see what it says: gcloud auth print-access-token > /dev/null".to_owned(),
    }
}

/// The part of `gcloud config config-helper` that we need. No `Debug`: it lives for the conversion alone.
#[derive(Deserialize)]
struct Answer {
    credential: Credential,
}

#[derive(Deserialize)]
struct Credential {
    access_token: String,
    token_expiry: Option<Timestamp>,
}

fn bearer(token: &str) -> Headers {
    let text = Zeroizing::new(format!("Bearer {token}"));
    let mut value = HeaderValue::from_str(&text)
        .map_err(|_| lasting(ConfigError::new("the access token has characters that no token has")))?;
    value.set_sensitive(true);
    let data = HeaderMap::from_iter([(AUTHORIZATION, value)]);
    // Always new: Google's client panics when told that nothing changed.
    Ok(CacheableResource::New { entity_tag: EntityTag::new(), data })
}

/// An error that time does not heal, so that nobody waits for it to.
fn lasting(error: ConfigError) -> CredentialsError {
    CredentialsError::from_source(false, error)
}
