//! Who we are towards Google: which credentials are used, found as an operator of gcloud expects.
//!
//! Google's own search ignores gcloud's configuration and takes most of a minute to say that there are none.

mod default;
mod diagnosis;
mod key_file;
mod origin;
mod providers;
mod universe;
// The tests' gcloud is a shell script.
#[cfg(all(test, unix))]
mod tests;

use std::path::Path;
use std::time::Duration;

use google_cloud_auth::credentials::{CacheableResource, Credentials, anonymous, impersonated};
use http::HeaderValue;

pub(super) use self::diagnosis::{Diagnosis, diagnosis};
pub(super) use self::origin::Origin;
use self::providers::{GcloudAccount, TokenFile};
use super::advice::Advice;
use super::endpoint::Endpoint;
use super::error::{ApiError, ApiErrorKind, INSTALL_AUTHORITIES, NO_AUTHORITIES, Service};
use super::gcloud::Gcloud;
use super::known;
use super::patience;
use crate::environment::Environment;
use crate::setting::Source;
use deepdesk_protocol::problem::Reason;

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
    /// What says so.
    pub(super) quota_project_from: Option<Source>,
    /// Where they come from.
    pub(super) origin: Origin,
    /// What each request says it is for (gcloud's `core/request_reason`): it stands in Google's audit log.
    pub(super) request_reason: Option<HeaderValue>,
}

impl Resolved {
    /// No credentials at all.
    pub fn none(why: &str) -> Resolved {
        Resolved {
            credentials: anonymous::Builder::new().build(),
            description: format!("none ({why})"),
            principal: None,
            quota_project: None,
            quota_project_from: None,
            origin: Origin::Nowhere,
            request_reason: None,
        }
    }
}

/// How errors call what this module does.
const OPERATION: &str = "get Google Cloud credentials";

/// How long the first token may take, and so how long it takes to say that there is none to be had. The usual one takes half
/// a second; one over a slow proxy and three servers in a row does not.
const FIRST_TOKEN: Duration = Duration::from_secs(15);

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
    let request_reason = request_reason(gcloud)?;
    if endpoint.is_plain() {
        return Ok(Resolved { request_reason, ..Resolved::none("plain http on loopback") });
    }
    super::ensure_tls_provider();
    if gcloud.is_on("auth/disable_credentials") {
        return Ok(Resolved { request_reason, ..Resolved::none("gcloud's auth/disable_credentials") });
    }
    universe::refuse_configured(env, gcloud)?;
    if super::custom_ca::nobody_is_trusted() {
        let failed = ApiError::new(Service::Credentials, OPERATION, ApiErrorKind::Other, NO_AUTHORITIES);
        return Err(failed.advised(Advice::new(Reason::ConnectionFailed, INSTALL_AUTHORITIES)));
    }
    let property = |name: &str| gcloud.property(name).map(|property| property.value);
    let impersonate = impersonate.map(str::to_owned).or_else(|| property("auth/impersonate_service_account"));
    let impersonate = impersonate.filter(|chain| !chain.is_empty());

    let found = match property("auth/access_token_file") {
        Some(path) => {
            let credentials = TokenFile::credentials(Path::new(&path));
            Found::new(credentials, format!("gcloud's access token file ({path})"), Origin::TokenFile(path.into()))
        }
        None => from_file_or_elsewhere(env, gcloud, impersonate.as_deref()).await?,
    };
    let found = match impersonate {
        Some(chain) if !found.impersonates => found.impersonating(&chain)?,
        _ => found,
    };
    let limit = patience::limit(env, found.patience).map_err(|error| refused(&error.message, Advice::of(&error)))?;
    prove(&found, limit).await?;
    let quota_project = quota_project(env, gcloud, &found);
    let Found { credentials, description, principal, origin, .. } = found;
    let (quota_project, quota_project_from) = quota_project.unzip();
    Ok(Resolved { credentials, description, principal, quota_project, quota_project_from, origin, request_reason })
}

/// A file of credentials; where there is none, or none that can be used, the machine's own account or gcloud's.
async fn from_file_or_elsewhere(
    env: &Environment,
    gcloud: &Gcloud,
    impersonate: Option<&str>,
) -> Result<Found, ApiError> {
    match default::from_files(env, gcloud)? {
        default::Looked::Found(found) => Ok(*found),
        default::Looked::Nothing => machine_or_account(env, gcloud, impersonate).await,
        default::Looked::Unusable(file) => {
            let account = GcloudAccount::find(env, gcloud, impersonate).await?;
            let why = format!("{} is of the type {}, which cannot be used here", file.named(), file.kind);
            match account {
                Some(found) => Ok(Found { description: format!("{} ({why})", found.description), ..found }),
                None => Err(refused(&why, Advice::new(Reason::UnsupportedCredentials, file.replaced(None)))),
            }
        }
    }
}

/// The machine's own service account, else the account that gcloud is logged in with: asked at the same time, because
/// each takes half a second to say no. In a new pod the machine's own may take longer, and is waited for where there is no other.
async fn machine_or_account(env: &Environment, gcloud: &Gcloud, impersonate: Option<&str>) -> Result<Found, ApiError> {
    // gcloud impersonates by itself, and then hands out no other token.
    let (machine, account) =
        futures::join!(default::from_metadata_server(env), GcloudAccount::find(env, gcloud, impersonate));
    if let Some(machine) = machine? {
        return Ok(machine);
    }
    if let Some(account) = account? {
        return Ok(account);
    }
    match default::metadata_server_to_come(env).await? {
        Some(machine) => Ok(machine),
        None => Err(none_found(env, gcloud)),
    }
}

/// Credentials that have not been asked for a token yet.
struct Found {
    credentials: Credentials,
    description: String,
    principal: Option<String>,
    quota_project: Option<String>,
    /// Whether they already act as somebody else.
    impersonates: bool,
    origin: Origin,
    /// How long the first token may take.
    patience: Duration,
}

impl Found {
    fn new(credentials: Credentials, description: String, origin: Origin) -> Found {
        Found {
            credentials,
            description,
            principal: None,
            quota_project: None,
            impersonates: false,
            origin,
            patience: FIRST_TOKEN,
        }
    }

    fn impersonating(self, chain: &str) -> Result<Found, ApiError> {
        let mut delegates: Vec<&str> = chain.split(',').map(str::trim).collect();
        let target = delegates.pop().unwrap_or_default();
        let credentials = impersonated::Builder::from_source_credentials(self.credentials)
            .with_target_principal(target)
            .with_delegates(delegates)
            .build()
            .map_err(|_| refused(&format!("`{chain}` cannot be impersonated"), self.origin.refused()))?;
        let description = format!("{target}, impersonated by {}", self.description);
        let principal = Some(target.to_owned());
        Ok(Found { credentials, description, principal, impersonates: true, ..self })
    }

    /// The service account that they act as.
    fn acts_as(&self) -> Option<&str> {
        match &self.origin {
            _ if self.impersonates => self.principal.as_deref(),
            Origin::File(file) => file.acts_as.as_deref(),
            _ => None,
        }
    }
}

/// The project that is charged, and what says so.
fn quota_project(env: &Environment, gcloud: &Gcloud, found: &Found) -> Option<(String, Source)> {
    const VARIABLE: &str = "GOOGLE_CLOUD_QUOTA_PROJECT";
    if let Some(project) = env.get(VARIABLE) {
        return Some((project.to_owned(), Source::Environment(VARIABLE.to_owned())));
    }
    let said = gcloud.property("billing/quota_project");
    match said.as_ref().map(|said| said.value.as_str()) {
        // The project at hand; the other words charge whoever owns what is asked for.
        Some("CURRENT_PROJECT") => gcloud.property("core/project").map(|project| (project.value, project.source)),
        Some("CURRENT_PROJECT_WITH_FALLBACK" | "LEGACY") | None => {
            found.quota_project.clone().map(|project| (project, Source::Found))
        }
        Some(project) => Some((project.to_owned(), said.as_ref().map_or(Source::Found, |said| said.source.clone()))),
    }
}

/// What each request says it is for. One that cannot stand in a header is refused: an audit log must not miss it in silence.
fn request_reason(gcloud: &Gcloud) -> Result<Option<HeaderValue>, ApiError> {
    let Some(reason) = gcloud.property("core/request_reason") else { return Ok(None) };
    HeaderValue::from_str(&reason.value).map(Some).map_err(|_| {
        let line = format!("gcloud's core/request_reason ({}) has characters that no header may have", reason.source);
        refused(&line, Advice::new(Reason::Configuration, "write it in ASCII, on one line"))
    })
}

async fn prove(found: &Found, limit: Duration) -> Result<(), ApiError> {
    let failed =
        |kind, message: &str, advice| ApiError::new(Service::Credentials, OPERATION, kind, message).advised(advice);
    let late = || {
        let message = format!("{}: no token in {} seconds", found.description, limit.as_secs());
        let hint = format!("check the network and the proxy, or {}", patience::longer());
        failed(ApiErrorKind::Timeout, &message, Advice::new(Reason::Timeout, hint))
    };
    let began = tokio::time::Instant::now();
    // Before a token is asked for: it must not come to be for another universe's servers.
    let universe = tokio::time::timeout(limit, found.credentials.universe_domain()).await.map_err(|_| late())?;
    universe::refuse(universe.as_deref(), &found.description)?;
    let left = limit.saturating_sub(began.elapsed());
    match tokio::time::timeout(left, found.credentials.headers(http::Extensions::new())).await {
        Ok(Ok(headers)) => {
            note_token(&headers);
            Ok(())
        }
        Ok(Err(error)) => {
            let kind = if error.is_transient() { ApiErrorKind::Unreachable } else { ApiErrorKind::Unauthenticated };
            let Diagnosis { line, advice } = diagnosis(&error, &found.origin, found.acts_as());
            let message = format!("{}: {line}", found.description);
            // What could not be reached is nobody's fault at the other end.
            let advice =
                (kind != ApiErrorKind::Unreachable || advice.reason != Reason::Unauthenticated).then_some(advice);
            let error = ApiError::new(Service::Credentials, OPERATION, kind, &message);
            Err(advice.into_iter().fold(error, ApiError::advised))
        }
        Err(_) => Err(late()),
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

fn none_found(env: &Environment, gcloud: &Gcloud) -> ApiError {
    let file = gcloud.directory().map(|directory| directory.join(default::FILE).display().to_string());
    let file = file.unwrap_or_else(|| default::FILE.to_owned());
    let line = match gcloud.property("core/account") {
        Some(account) => {
            format!("there is no {file}, and gcloud, which knows the account {}, is not on the PATH", account.value)
        }
        None => format!("there is no {file}, and gcloud is not logged in"),
    };
    let nothing = if default::is_patient(env) { format!("{line}; the metadata server did not answer") } else { line };
    refused(&nothing, Origin::Nowhere.refused())
}

fn refused(message: &str, advice: Advice) -> ApiError {
    ApiError::new(Service::Credentials, OPERATION, ApiErrorKind::Unauthenticated, message).advised(advice)
}
