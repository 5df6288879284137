//! Who we are towards Google: which credentials are used, found as an operator of gcloud expects.
//!
//! Google's own search ignores gcloud's configuration and takes most of a minute to say that there are none.

mod default;
mod providers;
// The tests' gcloud is a shell script.
#[cfg(all(test, unix))]
mod tests;

use std::error::Error;
use std::path::Path;
use std::time::Duration;

use google_cloud_auth::credentials::{CacheableResource, Credentials, anonymous, impersonated};
use google_cloud_gax::error::{CredentialsError, Error as GoogleError};

use self::providers::{GcloudAccount, TokenFile};
use super::endpoint::Endpoint;
use super::error::{ApiError, ApiErrorKind, ConfigError, Service};
use super::gcloud::Gcloud;
use super::known;
use crate::environment::Environment;

/// Credentials that gave out a token, and how to call them.
#[derive(Clone, Debug)]
pub struct Resolved {
    /// The credentials.
    pub credentials: Credentials,
    /// What they are, such as `application default credentials (/home/x/.config/gcloud/…)`.
    pub description: String,
    /// Whom IAM knows them as, such as `ann@example.com`, where that can be told without asking.
    pub principal: Option<String>,
    /// The project that is charged for the requests, where one is said.
    pub quota_project: Option<String>,
}

impl Resolved {
    /// No credentials at all.
    pub fn none(why: &str) -> Resolved {
        let credentials = anonymous::Builder::new().build();
        Resolved { credentials, description: format!("none ({why})"), principal: None, quota_project: None }
    }
}

/// How errors call what this module does.
const OPERATION: &str = "get Google Cloud credentials";

/// What helps against having none.
const LOG_IN: &str = "run `gcloud auth application-default login`";

/// How long the first token may take, and so how long it takes to say that there is none to be had.
const FIRST_TOKEN: Duration = Duration::from_secs(5);

/// Finds the credentials and proves that they give out a token.
///
/// In this order: gcloud's access token file, application default credentials, the account gcloud is logged in with.
/// `impersonate` is a service account, or a chain of them with the one to act as last; without it, what gcloud's
/// configuration says. A plain http endpoint gets no credentials, whatever there is.
pub async fn resolve(
    env: &Environment,
    gcloud: &Gcloud,
    impersonate: Option<&str>,
    endpoint: &Endpoint,
) -> Result<Resolved, ApiError> {
    if endpoint.is_plain() {
        return Ok(Resolved::none("plain http on loopback"));
    }
    super::ensure_tls_provider();
    if gcloud.is_on("auth/disable_credentials") {
        return Ok(Resolved::none("gcloud's auth/disable_credentials"));
    }
    let property = |name: &str| gcloud.property(name).map(|property| property.value);
    let impersonate = impersonate.map(str::to_owned).or_else(|| property("auth/impersonate_service_account"));
    let impersonate = impersonate.filter(|chain| !chain.is_empty());

    let found = match property("auth/access_token_file") {
        Some(path) => {
            Found::new(TokenFile::credentials(Path::new(&path)), format!("gcloud's access token file ({path})"))
        }
        None => match default::from_files(env, gcloud)? {
            Some(found) => found,
            None => machine_or_account(env, gcloud, impersonate.as_deref()).await?,
        },
    };
    let found = match impersonate {
        Some(chain) if !found.impersonates => found.impersonating(&chain)?,
        _ => found,
    };
    prove(&found).await?;
    let quota_project = env
        .get("GOOGLE_CLOUD_QUOTA_PROJECT")
        .map(str::to_owned)
        .or_else(|| property("billing/quota_project").filter(|project| !is_quota_word(project)))
        .or(found.quota_project);
    let Found { credentials, description, principal, .. } = found;
    Ok(Resolved { credentials, description, principal, quota_project })
}

/// The machine's own service account, else the account that gcloud is logged in with: asked at the same time, because
/// each takes half a second to say no.
async fn machine_or_account(env: &Environment, gcloud: &Gcloud, impersonate: Option<&str>) -> Result<Found, ApiError> {
    // gcloud impersonates by itself, and then hands out no other token.
    let mut account = std::pin::pin!(GcloudAccount::find(env, gcloud, impersonate));
    let mut machine = std::pin::pin!(default::from_metadata_server(env));
    let found = tokio::select! {
        biased;
        found = &mut machine => match found? {
            Some(found) => Some(found),
            None => account.await?,
        },
        account = &mut account => match machine.await? {
            Some(found) => Some(found),
            None => account?,
        },
    };
    found.ok_or_else(|| none_found(gcloud))
}

/// Credentials that have not been asked for a token yet.
struct Found {
    credentials: Credentials,
    description: String,
    principal: Option<String>,
    quota_project: Option<String>,
    /// Whether they already act as somebody else.
    impersonates: bool,
}

impl Found {
    fn new(credentials: Credentials, description: String) -> Found {
        Found { credentials, description, principal: None, quota_project: None, impersonates: false }
    }

    fn impersonating(self, chain: &str) -> Result<Found, ApiError> {
        let mut delegates: Vec<&str> = chain.split(',').map(str::trim).collect();
        let target = delegates.pop().unwrap_or_default();
        let credentials = impersonated::Builder::from_source_credentials(self.credentials)
            .with_target_principal(target)
            .with_delegates(delegates)
            .build()
            .map_err(|_| refused(&format!("`{chain}` cannot be impersonated")))?;
        let description = format!("{target}, impersonated by {}", self.description);
        let principal = Some(target.to_owned());
        Ok(Found { credentials, description, principal, impersonates: true, ..self })
    }
}

/// gcloud's words for "the project at hand": they name none.
fn is_quota_word(project: &str) -> bool {
    matches!(project, "CURRENT_PROJECT" | "CURRENT_PROJECT_WITH_FALLBACK" | "LEGACY")
}

async fn prove(found: &Found) -> Result<(), ApiError> {
    let asked = found.credentials.headers(http::Extensions::new());
    match tokio::time::timeout(FIRST_TOKEN, asked).await {
        Ok(Ok(headers)) => {
            note_token(&headers);
            Ok(())
        }
        Ok(Err(error)) => {
            let kind = if error.is_transient() { ApiErrorKind::Unreachable } else { ApiErrorKind::Unauthenticated };
            let message = format!("{}: {}; {LOG_IN}", found.description, why(&error));
            Err(ApiError::new(Service::Credentials, OPERATION, kind, &message))
        }
        Err(_) => {
            let message = format!("{}: no token in {} seconds", found.description, FIRST_TOKEN.as_secs());
            Err(ApiError::new(Service::Credentials, OPERATION, ApiErrorKind::Timeout, &message))
        }
    }
}

/// Takes note of the token that is sent: who refuses it may quote it.
pub(super) fn note_token(headers: &CacheableResource<http::HeaderMap>) {
    let CacheableResource::New { data, .. } = headers else { return };
    let token = data.get(http::header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    if let Some(token) = token {
        known::values().keep_credential(token.rsplit(' ').next().unwrap_or(token));
    }
}

fn none_found(gcloud: &Gcloud) -> ApiError {
    let file = gcloud.directory().map(|directory| directory.join(default::FILE).display().to_string());
    let file = file.unwrap_or_else(|| default::FILE.to_owned());
    refused(&format!("there is no {file}, and gcloud is not logged in; {LOG_IN}"))
}

fn refused(message: &str) -> ApiError {
    ApiError::new(Service::Credentials, OPERATION, ApiErrorKind::Unauthenticated, message)
}

/// Why there is no token: in our own words, and those of errors that cannot hold an answer. Google's errors end with the
/// whole body, or with what a program printed: a token may be in it, of a form that nobody knows.
pub(super) fn why(error: &CredentialsError) -> String {
    let chain = || std::iter::successors(Some(error as &(dyn Error + 'static)), |&error| error.source());
    chain().find_map(said_by).unwrap_or_else(|| {
        let texts: Vec<String> = chain().map(|error| error.to_string()).collect();
        let code = texts.iter().find_map(|text| oauth_code(text));
        let status = texts.iter().find_map(|text| http_status(text));
        let known = || texts.iter().find_map(|text| known_failure(text)).map(str::to_owned);
        match (status, code) {
            (Some(status), Some(code)) => format!("answered {status} ({code})"),
            (Some(status), None) => format!("answered {status}"),
            (None, Some(code)) => code,
            (None, None) => known().unwrap_or_else(|| "it gave out no token".to_owned()),
        }
    })
}

/// What one error of a chain says, if it is of a kind whose words are safe to show.
fn said_by(error: &(dyn Error + 'static)) -> Option<String> {
    if error.is::<serde_json::Error>() {
        return Some("the answer cannot be read".to_owned());
    }
    if let Some(error) = error.downcast_ref::<ConfigError>() {
        return Some(error.message.clone());
    }
    if let Some(error) = error.downcast_ref::<GoogleError>() {
        return match (error.http_status_code(), error.status()) {
            (Some(code), Some(status)) => Some(format!("answered {code} ({})", status.code)),
            (Some(code), None) => Some(format!("answered {code}")),
            (None, Some(status)) => Some(format!("answered {}", status.code)),
            // One around another, which says more.
            (None, None) => None,
        };
    }
    if let Some(error) = error.downcast_ref::<std::io::Error>() {
        let text = error.to_string();
        // One that wraps another may say anything.
        return match error.get_ref() {
            None => Some(text),
            Some(inner) if inner.is::<rustls::Error>() || text.starts_with("failed to lookup address") => Some(text),
            Some(_) => None,
        };
    }
    error.downcast_ref::<rustls::Error>().map(ToString::to_string)
}

/// A token endpoint's error code (RFC 6749, 5.2) from the text of Google's error. The description beside it is anybody's.
fn oauth_code(text: &str) -> Option<String> {
    let body = text.split_once("body=<")?.1;
    let body: serde_json::Value = serde_json::from_str(&body[..=body.rfind('}')?]).ok()?;
    let code = body.get("error")?.as_str()?;
    CODES.contains(&code).then(|| code.to_owned())
}

/// The codes there are (RFC 6749, 5.2, and what Google adds to them). Another word may be anything.
const CODES: [&str; 13] = [
    "access_denied",
    "admin_policy_enforced",
    "deleted_client",
    "invalid_client",
    "invalid_grant",
    "invalid_request",
    "invalid_scope",
    "invalid_target",
    "org_internal",
    "rate_limit_exceeded",
    "temporarily_unavailable",
    "unauthorized_client",
    "unsupported_grant_type",
];

/// The status in the words of the HTTP client: `HTTP status client error (400 Bad Request) for url (…)`.
fn http_status(text: &str) -> Option<u16> {
    let rest = text.strip_prefix("HTTP status ")?.split_once(" error (")?.1;
    rest.get(..3)?.parse().ok()
}

/// What the credentials crate says beside something that it quotes, in our words.
fn known_failure(text: &str) -> Option<&'static str> {
    const KNOWN: [(&str, &str); 12] = [
        (
            "failed to read subject token field",
            "the answer has no text in the field that `subject_token_field_name` names",
        ),
        (
            "executables need to be explicitly allowed",
            "its program may be run only with GOOGLE_EXTERNAL_ACCOUNT_ALLOW_EXECUTABLES=1",
        ),
        ("command execution failed", "its program failed; run it yourself to see what it says"),
        (
            "response contains unsuccessful response",
            "its program says that it has no token; run it yourself to see why",
        ),
        (
            "response must include `code` and `message`",
            "its program says that it has no token; run it yourself to see why",
        ),
        ("subject token is empty", "its program gave out nothing"),
        ("the token returned by the executable is expired", "its program gave out a token that has expired"),
        ("missing `id_token` field", "its program gave out no `id_token`"),
        ("missing `saml_response` field", "its program gave out no `saml_response`"),
        ("contains unsupported token type", "its program gave out a token of another type"),
        ("could not resolve AWS", "the AWS metadata server gave out no region, role or credentials"),
        ("error sending request", "it cannot be reached"),
    ];
    KNOWN.iter().find(|(words, _)| text.contains(words)).map(|(_, meaning)| *meaning)
}
