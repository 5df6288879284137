//! One request to Secret Manager: its client, its limits, its repeats, and its errors as ours.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use google_cloud_auth::credentials::Credentials;
use google_cloud_gax::error::rpc::{Code, StatusDetails};
use google_cloud_gax::error::{CredentialsError, Error as GoogleError};
use google_cloud_gax::options::RequestOptionsBuilder;
use google_cloud_gax::retry_policy::NeverRetry;
use google_cloud_secretmanager_v1::client::SecretManagerService;
use tokio::sync::Mutex;

use crate::clients::credentials::{Resolved, why};
use crate::clients::ear::{self, Ear};
use crate::clients::endpoint::Endpoint;
use crate::clients::error::{ApiError, ApiErrorKind, Service, kind_of_foreign, root_cause};
use crate::clients::proxy::diverts_loopback;
use crate::clients::rate_limit::{Cost, RateLimit};
use crate::clients::retry::{Failure, Repeat, Retry, retry_after};
use crate::clients::{USER_AGENT, ensure_tls_provider};
use crate::domain::names::LocationId;

/// What a request is, apart from its contents.
#[derive(Clone)]
pub(super) struct Call<'a> {
    /// Its name in errors, such as `addSecretVersion acme_account_secret`.
    pub(super) operation: &'a str,
    /// Its HTTP method, and what its URL has after `/v1/`: for whoever hears of requests. Google's client makes its own.
    pub(super) method: http::Method,
    pub(super) path: &'a str,
    /// The location of a regional secret, which has an endpoint of its own.
    pub(super) location: Option<&'a LocationId>,
    pub(super) cost: Cost<'a>,
    pub(super) repeat: Repeat,
}

/// The way to Secret Manager. Clones share connections, limits and what they learnt.
#[derive(Clone)]
pub(super) struct Wire {
    pub(super) retry: Retry,
    endpoint: Endpoint,
    credentials: Credentials,
    quota_project: Option<String>,
    limit: RateLimit,
    pub(super) ear: Ear,
    /// One client for each location: nothing in Google's picks the endpoint from a name.
    clients: Arc<Mutex<HashMap<Option<LocationId>, SecretManagerService>>>,
}

impl Wire {
    pub(super) fn new(endpoint: Endpoint, resolved: Resolved) -> Wire {
        // A token for a plain endpoint would go over the wire in the clear, whoever asked for it.
        let (credentials, quota_project) = match endpoint.is_plain() {
            true => (google_cloud_auth::credentials::anonymous::Builder::new().build(), None),
            false => (resolved.credentials, resolved.quota_project),
        };
        let limit = RateLimit::default();
        let (retry, ear, clients) = (Retry::default(), Ear::default(), Arc::default());
        Wire { retry, endpoint, credentials, quota_project, limit, ear, clients }
    }

    /// Sends what `make` makes, as often as the call allows and needs.
    pub(super) async fn call<B, F, T>(
        &self,
        call: Call<'_>,
        make: impl Fn(&SecretManagerService) -> B,
        send: impl Fn(B) -> F,
    ) -> Result<T, ApiError>
    where
        B: RequestOptionsBuilder,
        F: Future<Output = Result<T, GoogleError>>,
    {
        let client = self.client(call.operation, call.location).await?;
        // The first turn may be long in coming when many accounts run at once: it is not part of the deadline.
        self.limit.admit(call.cost).await;
        let mut repeated = false;
        self.retry
            .run(call.repeat, |within| {
                let again = std::mem::replace(&mut repeated, true);
                let request = self.prepare(make(&client), within);
                let sent = send(request);
                let call = &call;
                async move {
                    if again {
                        self.limit.admit(call.cost).await;
                    }
                    self.attempt(call, within, sent).await
                }
            })
            .await
    }

    fn prepare<B: RequestOptionsBuilder>(&self, request: B, within: Duration) -> B {
        let request = request.with_user_agent(USER_AGENT).with_attempt_timeout(within);
        match &self.quota_project {
            Some(project) => request.with_quota_project(project),
            None => request,
        }
    }

    async fn attempt<T>(
        &self,
        call: &Call<'_>,
        within: Duration,
        sent: impl Future<Output = Result<T, GoogleError>>,
    ) -> Result<T, Failure> {
        let operation = call.operation;
        let late = |message| ApiError::new(Service::SecretManager, operation, ApiErrorKind::Timeout, message);
        // The token first, by itself: whatever fails here, the request was not sent.
        match tokio::time::timeout(within, self.credentials.headers(http::Extensions::new())).await {
            Ok(Ok(_)) => {}
            Ok(Err(error)) => return Err(credentials_failure(operation, &error).into()),
            Err(_) => {
                let message = "no token in time";
                return Err(ApiError::new(Service::Credentials, operation, ApiErrorKind::Unreachable, message).into());
            }
        }
        let sending = self.ear.sending(&call.method, || self.url(call));
        // Google's client bounds the request alone; a second limit bounds whatever else it does.
        match tokio::time::timeout(within + Duration::from_secs(1), sent).await {
            Ok(Ok(answer)) => {
                sending.answered(200);
                Ok(answer)
            }
            Ok(Err(error)) => {
                if let Some(status) = error.http_status_code() {
                    sending.answered(status);
                }
                Err(failure(Service::SecretManager, operation, &error))
            }
            Err(_) => Err(late("").into()),
        }
    }

    fn url(&self, call: &Call<'_>) -> String {
        let server = self.endpoint.url(call.location).parse().unwrap_or_default();
        ear::shown(&server, &format!("/v1/{}", call.path))
    }

    async fn client(&self, operation: &str, location: Option<&LocationId>) -> Result<SecretManagerService, ApiError> {
        let mut clients = self.clients.lock().await;
        if let Some(client) = clients.get(&location.cloned()) {
            return Ok(client.clone());
        }
        let failed = |kind, message: &str| ApiError::new(Service::SecretManager, operation, kind, message);
        let url = self.endpoint.url(location);
        if self.endpoint.is_plain()
            && let Some(variable) = diverts_loopback(&url, |name| std::env::var(name).ok())
        {
            let message = format!("{variable} would divert it to a proxy; set NO_PROXY=127.0.0.1,localhost");
            return Err(failed(ApiErrorKind::Invalid, &message));
        }
        ensure_tls_provider();
        let building = SecretManagerService::builder()
            .with_endpoint(url)
            .with_credentials(self.credentials.clone())
            .with_retry_policy(NeverRetry)
            .build();
        // It asks the credentials for their universe, and a metadata server may be slow to say.
        let client = tokio::time::timeout(self.retry.attempt, building)
            .await
            .map_err(|_| failed(ApiErrorKind::Unreachable, "the credentials do not answer"))?
            .map_err(|_| {
                let message = "the client cannot be set up: certificates, proxy or universe domain";
                failed(ApiErrorKind::Invalid, message)
            })?;
        clients.insert(location.cloned(), client.clone());
        Ok(client)
    }
}

/// Google's error as ours. Never its text as a whole: it prints bodies, which may hold a value.
pub(in crate::clients) fn failure(service: Service, operation: &str, error: &GoogleError) -> Failure {
    use std::error::Error as _;
    if let Some(inner) = error.source().and_then(|source| source.downcast_ref::<GoogleError>()) {
        return failure(service, operation, inner);
    }
    let failed = |kind, message: &str| ApiError::new(service, operation, kind, message);
    if let Some(status) = error.status() {
        let asked = error.http_headers().and_then(retry_after);
        let wanted = status.details.iter().find_map(|detail| match detail {
            StatusDetails::RetryInfo(info) => info.retry_delay.and_then(|delay| delay.try_into().ok()),
            _ => None,
        });
        return Failure { error: failed(kind_of(status.code), &status.message), retry_after: asked.max(wanted) };
    }
    if let Some(code) = error.http_status_code() {
        let message = format!("answered {code} with something that is not JSON");
        let asked = error.http_headers().and_then(retry_after);
        return Failure { error: failed(kind_of_foreign(code), &message), retry_after: asked };
    }
    if error.is_authentication() {
        return match error.source().and_then(|source| source.downcast_ref::<CredentialsError>()) {
            Some(error) => credentials_failure(operation, error).into(),
            None => ApiError::new(Service::Credentials, operation, ApiErrorKind::Unauthenticated, "").into(),
        };
    }
    let root = || root_cause(error);
    let error = match () {
        () if error.is_connect() => failed(ApiErrorKind::Unreachable, &root()),
        () if error.is_timeout() => failed(ApiErrorKind::Timeout, ""),
        // Its cause may quote the answer.
        () if error.is_deserialization() => failed(ApiErrorKind::Malformed, "the answer is not what it should be"),
        () if error.is_serialization() || error.is_binding() => {
            failed(ApiErrorKind::Invalid, "the request cannot be written")
        }
        () if error.is_io() || error.is_transport() => failed(ApiErrorKind::Connection, &root()),
        () => failed(ApiErrorKind::Other, ""),
    };
    error.into()
}

pub(in crate::clients) fn credentials_failure(operation: &str, error: &CredentialsError) -> ApiError {
    // Nothing was sent, so that even a write may be repeated when the next token comes.
    let kind = match error.is_transient() {
        true => ApiErrorKind::Unreachable,
        false => ApiErrorKind::Unauthenticated,
    };
    ApiError::new(Service::Credentials, operation, kind, &why(error))
}

fn kind_of(code: Code) -> ApiErrorKind {
    match code {
        Code::Unauthenticated => ApiErrorKind::Unauthenticated,
        Code::PermissionDenied => ApiErrorKind::Forbidden,
        Code::NotFound => ApiErrorKind::NotFound,
        Code::AlreadyExists => ApiErrorKind::AlreadyExists,
        Code::Aborted => ApiErrorKind::Conflict,
        Code::FailedPrecondition => ApiErrorKind::Precondition,
        Code::InvalidArgument | Code::OutOfRange | Code::Unimplemented => ApiErrorKind::Invalid,
        Code::ResourceExhausted => ApiErrorKind::TooManyRequests,
        Code::Unavailable => ApiErrorKind::Unavailable,
        Code::Internal | Code::DataLoss | Code::Unknown | Code::Cancelled => ApiErrorKind::Internal,
        Code::DeadlineExceeded => ApiErrorKind::Timeout,
        _ => ApiErrorKind::Other,
    }
}
