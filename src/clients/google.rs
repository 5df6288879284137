//! One request over a client of Google's: as whom it is sent, how long it may take, and its errors as ours.
//!
//! Every service's client is sent by this. What the request is, and how often it may be repeated, is the service's own.

use std::time::Duration;

use deepdesk_protocol::problem::Reason;
use google_cloud_auth::credentials::{CacheableResource, Credentials, CredentialsProvider, anonymous};
use google_cloud_gax::client_builder::{ClientBuilder, internal};
use google_cloud_gax::error::rpc::{Code, StatusDetails};
use google_cloud_gax::error::{CredentialsError, Error as GoogleError};
use google_cloud_gax::options::RequestOptionsBuilder;
use http::{HeaderMap, HeaderValue, Method};

use super::advice::Refusal;
use super::credentials::{Diagnosis, Origin, Resolved, diagnosis, note_token};
use super::ear::Ear;
use super::endpoint::Endpoint;
use super::error::{ApiError, ApiErrorKind, NO_AUTHORITIES, Service, kind_of_foreign, no_authorities, root_cause};
use super::fence::{Fence, Overdue};
use super::proxy::diverts_loopback;
use super::retry::{Failure, retry_after};
use super::{USER_AGENT, ensure_tls_provider};
use crate::setting::Source;

/// As whom requests to one service are sent, and who hears of them.
#[derive(Clone)]
pub(super) struct Caller {
    service: Service,
    is_plain: bool,
    credentials: Credentials,
    quota_project: Option<String>,
    /// Where the credentials come from, and what named the project that is charged: what helps hangs on them.
    origin: Origin,
    quota_hint: Option<String>,
    acts_as: Option<String>,
    pub(super) ear: Ear,
}

impl Caller {
    pub(super) fn new(service: Service, endpoint: &Endpoint, resolved: Resolved, ear: Ear) -> Caller {
        let is_plain = endpoint.is_plain();
        let quota_hint = resolved.quota_project_from.as_ref().map(|source| match source {
            Source::Environment(name) => format!("set {name} to it, or unset it"),
            Source::Found => "gcloud auth application-default set-quota-project PROJECT".to_owned(),
            source => format!("gcloud config set billing/quota_project PROJECT ({source} says which)"),
        });
        let acts_as = resolved.principal.clone().filter(|principal| principal.ends_with(".gserviceaccount.com"));
        // A token for a plain endpoint would go over the wire in the clear, whoever asked for it.
        let (credentials, quota_project) = match is_plain {
            true => (anonymous::Builder::new().build(), None),
            false => (resolved.credentials, resolved.quota_project),
        };
        let credentials = match resolved.request_reason {
            Some(reason) => Credentials::from(Reasoned { credentials, reason }),
            None => credentials,
        };
        Caller { service, is_plain, credentials, quota_project, origin: resolved.origin, quota_hint, acts_as, ear }
    }

    /// Why a request failed for lack of a token.
    fn tokenless(&self, operation: &str, error: &CredentialsError) -> ApiError {
        // Nothing was sent, so that even a write may be repeated when the next token comes.
        let kind = match error.is_transient() {
            true => ApiErrorKind::Unreachable,
            false => ApiErrorKind::Unauthenticated,
        };
        let Diagnosis { line, advice } = diagnosis(error, &self.origin, self.acts_as.as_deref());
        let failed = ApiError::new(Service::Credentials, operation, kind, &line);
        match kind == ApiErrorKind::Unreachable && advice.reason == Reason::Unauthenticated {
            true => failed,
            false => failed.advised(advice),
        }
    }

    /// What a client of Google's is built with.
    pub(super) fn credentials(&self) -> Credentials {
        self.credentials.clone()
    }

    /// Waits for Google's client for `url` to be built. Nothing is sent to the service yet.
    pub(super) async fn connect<C, E: std::error::Error>(
        &self,
        operation: &str,
        url: &str,
        within: Duration,
        building: impl Future<Output = Result<C, E>>,
    ) -> Result<C, ApiError> {
        let failed = |kind, message: &str| ApiError::new(self.service, operation, kind, message);
        if self.is_plain
            && let Some(variable) = diverts_loopback(url, |name| std::env::var(name).ok())
        {
            let message = format!("{variable} would divert it to a proxy; set NO_PROXY=127.0.0.1,localhost");
            return Err(failed(ApiErrorKind::Invalid, &message));
        }
        ensure_tls_provider();
        // It asks the credentials for their universe, and a metadata server may be slow to say.
        tokio::time::timeout(within, building)
            .await
            .map_err(|_| failed(ApiErrorKind::Unreachable, "the credentials do not answer"))?
            .map_err(|error| match no_authorities(&error) {
                // It wants them for plain http, too.
                true => failed(ApiErrorKind::Other, NO_AUTHORITIES),
                false => {
                    let message = "the client cannot be set up: certificates, proxy or universe domain";
                    failed(ApiErrorKind::Invalid, message)
                }
            })
    }

    pub(super) fn prepare<B: RequestOptionsBuilder>(&self, request: B, within: Duration) -> B {
        let request = request.with_user_agent(USER_AGENT).with_attempt_timeout(within);
        match &self.quota_project {
            Some(project) => request.with_quota_project(project),
            None => request,
        }
    }

    /// Sends once, if the fence lets it. `method` and `url` are for whoever hears of requests: Google's client makes its own.
    pub(super) async fn attempt<T>(
        &self,
        operation: &str,
        method: &Method,
        url: impl FnOnce() -> String,
        within: Duration,
        fence: &Fence,
        sent: impl Future<Output = Result<T, GoogleError>>,
    ) -> Result<T, Failure> {
        // The token first, by itself: whatever fails here, the request was not sent.
        match tokio::time::timeout(within, self.credentials.headers(http::Extensions::new())).await {
            Ok(Ok(headers)) => note_token(&headers),
            Ok(Err(error)) => return Err(self.tokenless(operation, &error).into()),
            Err(_) => {
                let message = "no token in time";
                return Err(ApiError::new(Service::Credentials, operation, ApiErrorKind::Unreachable, message).into());
            }
        }
        let grant = fence.ask().await?;
        let sending = self.ear.sending(method, url);
        // Google's client bounds the request alone; a second limit bounds whatever else it does.
        let bounded = async {
            tokio::select! {
                answer = tokio::time::timeout(grant.bounds(within + Duration::from_secs(1)), grant.hold(sent)) => Some(answer),
                () = swollen() => None,
            }
        };
        let Some(answer) = bounded.await else {
            let error = ApiError::new(self.service, operation, ApiErrorKind::Malformed, "the answer does not end");
            return Err(error.into());
        };
        match answer {
            Ok(Ok(Ok(answer))) => {
                sending.answered(200);
                Ok(answer)
            }
            Ok(Ok(Err(error))) => {
                if let Some(status) = error.http_status_code() {
                    sending.answered(status);
                }
                Err(self.failure(operation, &error))
            }
            Ok(Err(Overdue::Unsent)) => {
                let message = "this process was suspended before it was sent";
                Err(ApiError::new(self.service, operation, ApiErrorKind::Unreachable, message).into())
            }
            Ok(Err(Overdue::Unanswered)) | Err(_) => {
                Err(ApiError::new(self.service, operation, ApiErrorKind::Timeout, "").into())
            }
        }
    }
}

/// A client's builder, but that the client goes where it was told to and nowhere else. Google's answers redirect
/// nothing; by default whoever answers in Google's place could have a request and its payload sent on to anywhere.
pub(super) fn unredirected<F, C>(builder: ClientBuilder<F, C>) -> ClientBuilder<F, C> {
    internal::with_follow_redirects(builder, false)
}

/// How much the process may grow during one request, in KiB. The largest answer, 25,000 versions, takes a tenth of it.
const MOST_GROWTH: u64 = 512 * 1024;

/// Resolves when the process has grown beyond all measure. Google's client reads an answer to its end, however far off
/// that is, and can be told no limit. Where the system does not say how large the process is, time alone ends that.
async fn swollen() {
    let Some(began) = resident() else { return std::future::pending().await };
    loop {
        tokio::time::sleep(Duration::from_millis(50)).await;
        if resident().is_some_and(|now| now > began + MOST_GROWTH) {
            return;
        }
    }
}

/// The memory that the process has, in KiB.
fn resident() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?.trim().strip_suffix(" kB")?.parse().ok()
}

impl Caller {
    /// Google's error as ours. Never its text as a whole: it prints bodies, which may hold a value.
    fn failure(&self, operation: &str, error: &GoogleError) -> Failure {
        use std::error::Error as _;
        if let Some(inner) = error.source().and_then(|source| source.downcast_ref::<GoogleError>()) {
            return self.failure(operation, inner);
        }
        let failed = |kind, message: &str| ApiError::new(self.service, operation, kind, message);
        if let Some(status) = error.status() {
            let asked = error.http_headers().and_then(retry_after);
            let wanted = status.details.iter().find_map(|detail| match detail {
                StatusDetails::RetryInfo(info) => info.retry_delay.and_then(|delay| delay.try_into().ok()),
                _ => None,
            });
            let info = status.details.iter().find_map(|detail| match detail {
                StatusDetails::ErrorInfo(info) => Some(info),
                _ => None,
            });
            let refusal = Refusal {
                reason: info.map(|info| info.reason.as_str()).unwrap_or_default(),
                metadata: info.map(|info| &info.metadata),
                message: &status.message,
            };
            let kind = kind_of(status.code);
            let refused = || (kind == ApiErrorKind::Unauthenticated).then(|| self.origin.refused());
            let advice = refusal.advice(self.quota_hint.as_deref()).or_else(refused);
            let error = advice.into_iter().fold(failed(kind, &status.message), ApiError::advised);
            return Failure { error, retry_after: asked.max(wanted) };
        }
        if let Some(code) = error.http_status_code() {
            let message = format!("answered {code} with something that is not JSON");
            let asked = error.http_headers().and_then(retry_after);
            return Failure { error: failed(kind_of_foreign(code), &message), retry_after: asked };
        }
        if error.is_authentication() {
            return match error.source().and_then(|source| source.downcast_ref::<CredentialsError>()) {
                Some(error) => self.tokenless(operation, error).into(),
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
}

/// Credentials whose requests say what they are for.
#[derive(Debug)]
struct Reasoned {
    credentials: Credentials,
    reason: HeaderValue,
}

impl CredentialsProvider for Reasoned {
    async fn headers(&self, extensions: http::Extensions) -> Result<CacheableResource<HeaderMap>, CredentialsError> {
        let mut answer = self.credentials.headers(extensions).await?;
        if let CacheableResource::New { data, .. } = &mut answer {
            data.insert("x-goog-request-reason", self.reason.clone());
        }
        Ok(answer)
    }

    async fn universe_domain(&self) -> Option<String> {
        self.credentials.universe_domain().await
    }
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
