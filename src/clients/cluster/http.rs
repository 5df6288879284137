//! One request to the API server: its limits, its repeats, its errors as ours, and new credentials when they ran out.

use std::sync::Arc;
use std::time::Duration;

use deepdesk_protocol::problem::Reason;
use http::{HeaderMap, Request, Response, StatusCode};
use http_body_util::BodyExt;
use jiff::{SignedDuration, Timestamp};
use kube::client::Body;
use kube::config::AuthInfo;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use tokio::sync::{Mutex, RwLock};
use zeroize::Zeroizing;

use crate::clients::advice::Advice;
use crate::clients::custom_ca;
use crate::clients::ear::{self, Ear};
use crate::clients::error::{
    ApiError, ApiErrorKind, NO_AUTHORITIES, Service, kind_of_foreign, no_authorities, root_cause,
};
use crate::clients::fence::{Fence, Grant, Overdue};
use crate::clients::kubeconfig::KubeTarget;
use crate::clients::kubeconfig::renewal::Renewal;
use crate::clients::retry::{Failure, Repeat, Retry, retry_after};

/// The most bytes of an answer: a page of 500 objects of 128 KiB each. What never ends must not fill the memory.
const MOST_BYTES: usize = 64 * 1024 * 1024;

/// The way to the API server. Clones share connections and credentials.
#[derive(Clone)]
pub(super) struct Connection {
    shared: Arc<Shared>,
    retry: Retry,
    pub(super) ear: Ear,
}

struct Shared {
    target: KubeTarget,
    state: RwLock<State>,
    /// Held while the plugin runs: many requests fail at once when a token ends, and one run serves them all.
    renewal: Mutex<()>,
}

struct State {
    client: kube::Client,
    /// What the client was made with.
    auth_info: AuthInfo,
    /// Counts the renewals, so that a request knows whether one happened since it was sent.
    generation: u64,
    expires: Option<Timestamp>,
}

/// A request, which may be sent several times.
pub(super) struct Question {
    /// Its name in errors, such as `patch deployment acme/admin`.
    pub(super) operation: String,
    pub(super) request: Request<Vec<u8>>,
    pub(super) repeat: Repeat,
    /// What a write asks before each attempt.
    pub(super) fence: Fence,
}

/// What the API server said to a request that it did.
pub(super) struct Answer {
    operation: String,
    pub(super) headers: HeaderMap,
    /// May hold a Secret: wiped when dropped. What lies in the connection's buffers is not ours to wipe.
    body: Zeroizing<Vec<u8>>,
}

impl Answer {
    /// How many bytes it has.
    pub(super) fn size(&self) -> usize {
        self.body.len()
    }

    /// The answer as a type. The parser's own words are left out: they quote values.
    pub(super) fn parse<T: DeserializeOwned>(&self) -> Result<T, ApiError> {
        serde_json::from_slice(&self.body).map_err(|error| {
            let place = format!("line {} column {}", error.line(), error.column());
            let message = format!("the answer is not what it should be, at {place}");
            kubernetes_error(&self.operation, ApiErrorKind::Malformed, &message)
        })
    }
}

impl Connection {
    pub(super) fn new(target: &KubeTarget) -> Result<Connection, ApiError> {
        let mut retry = Retry::default();
        if let Some(limit) = target.request_timeout.filter(|limit| !limit.is_zero()) {
            retry.attempt = limit;
            // With its repeats, too: whoever says three seconds does not mean thirty.
            retry.deadline = limit;
        }
        let state = State {
            client: client(&target.config)?,
            auth_info: target.config.auth_info.clone(),
            generation: 0,
            expires: target.expires,
        };
        let shared = Shared { target: target.clone(), state: RwLock::new(state), renewal: Mutex::new(()) };
        Ok(Connection { shared: Arc::new(shared), retry, ear: Ear::default() })
    }

    /// Gives each request this long and no second try.
    pub(super) fn once(&mut self, limit: Duration) {
        self.retry.attempt = limit;
        self.retry.deadline = limit;
        // A pause that would end after the deadline is not begun.
        self.retry.first_pause = limit * 2;
        self.retry.longest_pause = limit * 2;
    }

    #[cfg(all(test, unix))]
    pub(super) fn set_limits(&mut self, attempt: Duration, deadline: Duration) {
        self.retry.attempt = attempt;
        self.retry.deadline = deadline;
        self.retry.first_pause = Duration::from_millis(1);
        self.retry.longest_pause = Duration::from_millis(4);
    }

    /// Sends a request, as often as it may be and needs to be.
    pub(super) async fn send(&self, question: Question) -> Result<Answer, ApiError> {
        let answer = self.retry.run(question.repeat, |within| self.attempt(&question, within)).await;
        answer.map_err(|error| self.placed(error))
    }

    /// The error with where it was, where that is what it is about: no answer, or one of somebody else's.
    fn placed(&self, error: ApiError) -> ApiError {
        let about_the_place = match error.kind {
            ApiErrorKind::Unauthenticated
            | ApiErrorKind::Unavailable
            | ApiErrorKind::Timeout
            | ApiErrorKind::Connection
            | ApiErrorKind::Unreachable
            | ApiErrorKind::Malformed => true,
            ApiErrorKind::Forbidden
            | ApiErrorKind::NotFound
            | ApiErrorKind::AlreadyExists
            | ApiErrorKind::Conflict
            | ApiErrorKind::Precondition
            | ApiErrorKind::Invalid
            | ApiErrorKind::TooManyRequests
            | ApiErrorKind::Internal
            | ApiErrorKind::Expired
            | ApiErrorKind::Fenced { .. }
            | ApiErrorKind::Other => false,
        };
        if !about_the_place || error.service != Service::Kubernetes {
            return error;
        }
        let place = self.shared.target.place();
        let message = if error.message.is_empty() { place } else { format!("{place}: {}", error.message) };
        let placed = ApiError::new(error.service, error.operation, error.kind, &message);
        ApiError { advice: error.advice, ..placed }
    }

    /// One attempt; with new credentials a second one, because the server did nothing for who it does not know.
    async fn attempt(&self, question: &Question, within: Duration) -> Result<Answer, Failure> {
        let Question { operation, request, fence, .. } = question;
        let (client, generation) = self.ready(operation).await?;
        // Whatever has to be waited for was: the question comes right before the request.
        let grant = fence.ask().await?;
        let (mut parts, mut body) = self.answer(operation, &client, request, &grant, within).await?;
        if parts.status == StatusCode::UNAUTHORIZED && self.shared.target.renewal.is_some() {
            self.renew(operation, generation).await?;
            let (client, ..) = self.state().await;
            let grant = fence.ask().await?;
            (parts, body) = self.answer(operation, &client, request, &grant, within).await?;
        }
        if parts.status.is_success() {
            return Ok(Answer { operation: operation.clone(), headers: parts.headers, body });
        }
        Err(refusal(operation, parts.status, &parts.headers, &body))
    }

    /// Sends once, and reads the answer to its end.
    async fn answer(
        &self,
        operation: &str,
        client: &kube::Client,
        request: &Request<Vec<u8>>,
        grant: &Grant,
        within: Duration,
    ) -> Result<(http::response::Parts, Zeroizing<Vec<u8>>), Failure> {
        let answering = async {
            let (parts, body) = self.exchange(operation, client, request).await?.into_parts();
            let body = read(operation, body).await?;
            Ok::<_, Failure>((parts, body))
        };
        match tokio::time::timeout(grant.bounds(within), grant.hold(answering)).await {
            Ok(Ok(answered)) => answered,
            Ok(Err(Overdue::Unsent)) => {
                let message = "this process was suspended before it was sent";
                Err(kubernetes_error(operation, ApiErrorKind::Unreachable, message).into())
            }
            Ok(Err(Overdue::Unanswered)) | Err(_) => Err(kubernetes_error(operation, ApiErrorKind::Timeout, "").into()),
        }
    }

    /// Sends a read whose answer goes on for as long as `lasting`, and returns when it begins.
    pub(super) async fn open(&self, operation: &str, request: &Request<Vec<u8>>) -> Result<Body, ApiError> {
        let late = || kubernetes_error(operation, ApiErrorKind::Timeout, "");
        let opening = async {
            let (parts, body) = self.respond(operation, request).await.map_err(|failure| failure.error)?.into_parts();
            if parts.status.is_success() {
                return Ok(body);
            }
            let body = read(operation, body).await.map_err(|failure| failure.error)?;
            Err(refusal(operation, parts.status, &parts.headers, &body).error)
        };
        let opened = tokio::time::timeout(self.retry.attempt, opening).await.map_err(|_| late());
        opened.and_then(|opened| opened).map_err(|error| self.placed(error))
    }

    /// The client, with credentials that last for another request.
    async fn ready(&self, operation: &str) -> Result<(kube::Client, u64), ApiError> {
        let (client, generation, expires) = self.state().await;
        // Client and server clocks differ: a token about to end is not worth a try.
        if expires.is_some_and(|at| at <= Timestamp::now() + SignedDuration::from_secs(10)) {
            self.renew(operation, generation).await?;
            let (client, generation, _) = self.state().await;
            return Ok((client, generation));
        }
        Ok((client, generation))
    }

    /// Sends a read once; with new credentials once more.
    async fn respond(&self, operation: &str, request: &Request<Vec<u8>>) -> Result<Response<Body>, Failure> {
        let (client, generation) = self.ready(operation).await?;
        let response = self.exchange(operation, &client, request).await?;
        if response.status() != StatusCode::UNAUTHORIZED || self.shared.target.renewal.is_none() {
            return Ok(response);
        }
        self.renew(operation, generation).await?;
        let (client, ..) = self.state().await;
        self.exchange(operation, &client, request).await
    }

    async fn exchange(
        &self,
        operation: &str,
        client: &kube::Client,
        request: &Request<Vec<u8>>,
    ) -> Result<Response<Body>, Failure> {
        let server = &self.shared.target.config.cluster_url;
        let sending = self.ear.sending(request.method(), || ear::shown(server, &request.uri().to_string()));
        let result = client.send(request.clone().map(Body::from)).await;
        let response = result.map_err(|error| connection_failure(operation, &error))?;
        sending.answered(response.status().as_u16());
        Ok(response)
    }

    async fn state(&self) -> (kube::Client, u64, Option<Timestamp>) {
        let state = self.shared.state.read().await;
        (state.client.clone(), state.generation, state.expires)
    }

    /// Asks for new credentials, unless somebody else did since `generation`. Bounded by what whoever gives them out may take:
    /// a person may have to log in.
    async fn renew(&self, operation: &str, generation: u64) -> Result<(), ApiError> {
        let Some(renewal) = &self.shared.target.renewal else { return Ok(()) };
        let _one_at_a_time = self.shared.renewal.lock().await;
        if self.shared.state.read().await.generation != generation {
            return Ok(());
        }
        let asked = in_time(operation, renewal.limit(), renewal.ask()).await?;
        let credential = match asked {
            Ok(credential) => credential,
            Err(_) if renewal.keeps_the_old() => {
                let mut state = self.shared.state.write().await;
                (state.generation, state.expires) = (generation + 1, Some(Renewal::again()));
                return Ok(());
            }
            Err(error) => {
                let kind = ApiErrorKind::Unauthenticated;
                let failed = ApiError::new(Service::Credentials, operation, kind, &error.to_string());
                let hint = error.hint.as_deref().unwrap_or("log in to the cluster again, then run the same command");
                return Err(failed.advised(Advice::new(Reason::Unauthenticated, hint)));
            }
        };
        let mut config = self.shared.target.config.clone();
        let expires = credential.apply(&mut config.auth_info);
        let mut state = self.shared.state.write().await;
        // The same token once more, as a file mostly has it: the connections stay.
        if !credential.is_in(&state.auth_info) {
            state.client = client(&config)?;
        }
        (state.auth_info, state.generation, state.expires) = (config.auth_info, generation + 1, expires);
        Ok(())
    }
}

fn client(config: &kube::Config) -> Result<kube::Client, ApiError> {
    crate::clients::ensure_tls_provider();
    let mut config = config.clone();
    if let (None, Some(before)) = (&config.root_cert, custom_ca::the_machines()) {
        config.root_cert = Some(before.clone());
    }
    if config.cluster_url.scheme_str() == Some("http") {
        // Nobody's certificate is looked at: a machine without any (a minimal container) serves as well.
        config.root_cert = Some(config.root_cert.unwrap_or_default());
    }
    kube::Client::try_from(config).map_err(|error| {
        // Its cause may quote a key or a plugin's output.
        let message = match no_authorities(&error) {
            true => NO_AUTHORITIES,
            false => "its certificate authority, client certificate, token or proxy cannot be used",
        };
        kubernetes_error("connect to the cluster", ApiErrorKind::Other, message)
    })
}

/// What the credentials take; in their place nothing was sent yet.
async fn in_time<T>(operation: &str, within: Duration, credentials: impl Future<Output = T>) -> Result<T, ApiError> {
    let late = |_| ApiError::new(Service::Credentials, operation, ApiErrorKind::Unreachable, "no credentials in time");
    tokio::time::timeout(within, credentials).await.map_err(late)
}

async fn read(operation: &str, mut body: Body) -> Result<Zeroizing<Vec<u8>>, Failure> {
    let mut frames = Vec::new();
    let mut size = 0;
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| connection_failure(operation, &error))?;
        frames.extend(frame.into_data().inspect(|data| size += data.len()));
        if size > MOST_BYTES {
            let message = format!("the answer is larger than {} MiB", MOST_BYTES / 1024 / 1024);
            return Err(kubernetes_error(operation, ApiErrorKind::Malformed, &message).into());
        }
    }
    // Copied once, at its full size: a vector that grows leaves copies behind that nobody wipes.
    let mut whole = Zeroizing::new(Vec::with_capacity(frames.iter().map(bytes::Bytes::len).sum()));
    frames.iter().for_each(|frame| whole.extend_from_slice(frame));
    Ok(whole)
}

/// A connection that failed. kube's own text is left out: with a plugin's output or a body in it, it shows them.
fn connection_failure(operation: &str, error: &kube::Error) -> ApiError {
    if let kube::Error::Auth(_) = error {
        let message = "the token or the token file of the kubeconfig cannot be used";
        let advice = Advice::new(Reason::Unauthenticated, "log in to the cluster again, then run the same command");
        return ApiError::new(Service::Credentials, operation, ApiErrorKind::Unauthenticated, message).advised(advice);
    }
    let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(error);
    let mut kind = ApiErrorKind::Connection;
    while let Some(error) = cause {
        if error.downcast_ref::<hyper_util::client::legacy::Error>().is_some_and(|error| error.is_connect()) {
            kind = ApiErrorKind::Unreachable;
        }
        cause = error.source();
    }
    kubernetes_error(operation, kind, &root_cause(error))
}

/// A refusal in the API's own words (`Status`), or the note that something else answered.
fn refusal(operation: &str, code: StatusCode, headers: &HeaderMap, body: &[u8]) -> Failure {
    let asked = retry_after(headers);
    // The API server's own words for a path that it does not serve.
    if code == StatusCode::NOT_FOUND && body.trim_ascii() == b"404 page not found" {
        return kubernetes_error(operation, ApiErrorKind::NotFound, "the API is not served").into();
    }
    let status = serde_json::from_slice::<Status>(body).ok().filter(|status| status.kind.as_deref() == Some("Status"));
    let Some(status) = status else {
        let message = format!("answered {} with something that is not JSON", code.as_u16());
        let error = kubernetes_error(operation, kind_of_foreign(code.as_u16()), &message);
        return Failure { error, retry_after: asked };
    };
    let error = kubernetes_error(operation, status.error_kind(code.as_u16()), &status.message);
    let wanted = status.details.and_then(|details| details.retry_after_seconds).map(Duration::from_secs);
    Failure { error, retry_after: asked.max(wanted) }
}

/// What a refusal says of itself. Read leniently: a field of another type must not hide the rest.
#[derive(Deserialize)]
pub(super) struct Status {
    kind: Option<String>,
    #[serde(default)]
    reason: String,
    #[serde(default)]
    message: String,
    #[serde(default)]
    code: u16,
    details: Option<Details>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Details {
    retry_after_seconds: Option<u64>,
}

impl Status {
    /// The kind, by the reason where one code has several.
    pub(super) fn error_kind(&self, http_code: u16) -> ApiErrorKind {
        let code = if http_code >= 400 { http_code } else { self.code };
        match (code, self.reason.as_str()) {
            (401, _) => ApiErrorKind::Unauthenticated,
            (403, _) => ApiErrorKind::Forbidden,
            (404, _) => ApiErrorKind::NotFound,
            (409, "AlreadyExists") => ApiErrorKind::AlreadyExists,
            (409, _) => ApiErrorKind::Conflict,
            (410, _) => ApiErrorKind::Expired,
            (412, _) => ApiErrorKind::Precondition,
            (429, _) => ApiErrorKind::TooManyRequests,
            (400..=499, _) => ApiErrorKind::Invalid,
            (502 | 503, _) => ApiErrorKind::Unavailable,
            (504, _) => ApiErrorKind::Timeout,
            (500..=599, _) => ApiErrorKind::Internal,
            _ => ApiErrorKind::Other,
        }
    }
}

pub(super) fn kubernetes_error(operation: &str, kind: ApiErrorKind, message: &str) -> ApiError {
    ApiError::new(Service::Kubernetes, operation, kind, message)
}
