//! What the faults at the level of HTTP do to one request.

use bytes::Bytes;
use http::{HeaderValue, Response, StatusCode, header};
use serde_json::{Value, json};

use super::body::{Body, whole};
use super::class::Api;
use super::faults::Faults;
use super::google::{ApiError, json_answer};
use super::operation::{Operation, ResourceRequest};

/// What happens before a request would have its effect. Each carries what the log says of it.
#[derive(Debug)]
pub enum Before {
    Nothing,
    Never(&'static str),
    Close(&'static str),
    /// It is answered with this instead.
    Answer(&'static str, Box<Response<Body>>),
}

/// What happens once a request had its effect. Each carries what the log says of it.
#[derive(Debug)]
pub enum After {
    Nothing,
    Never(&'static str),
    Close(&'static str),
}

/// What is done to one request.
#[derive(Debug)]
pub struct Interference {
    /// Before its effect.
    pub before: Before,
    pub after: After,
}

impl Interference {
    /// Decides, and counts the faults down. A fault that never lets the request have its effect wins over one after it.
    pub fn decide(faults: &Faults, operation: &Operation) -> Self {
        // Both count every request, whatever else happens to it.
        let (hold, hold_answer) =
            (faults.reached("hold", &operation.name), faults.reached("hold-answer", &operation.name));
        let waits = |name: &str| faults.take_for(name, &operation.name, operation.is_mutating());
        let before = if hold {
            Before::Never("held")
        } else if waits("hang") {
            Before::Never("hung")
        } else if waits("reset") {
            Before::Close("reset")
        } else {
            refusal(faults, operation)
        };
        let after = match before {
            Before::Nothing if hold_answer => After::Never("answer held"),
            Before::Nothing if waits("lost-answer") => After::Close("answer lost"),
            _ => After::Nothing,
        };
        Interference { before, after }
    }
}

/// The faults that answer in the service's place.
fn refusal(faults: &Faults, operation: &Operation) -> Before {
    let answer = |outcome, code, retry_after: Option<&str>| {
        Before::Answer(outcome, Box::new(error_answer(operation, code, retry_after)))
    };
    let retry_after = faults.value("too-many-requests-retry-after");
    if faults.take("too-many-requests-retry-after") {
        return answer("too many requests", StatusCode::TOO_MANY_REQUESTS, retry_after.as_deref());
    }
    let refusals = [
        ("too-many-requests", "too many requests", StatusCode::TOO_MANY_REQUESTS),
        ("unavailable", "unavailable", StatusCode::SERVICE_UNAVAILABLE),
        ("internal-error", "internal error", StatusCode::INTERNAL_SERVER_ERROR),
    ];
    for (name, outcome, code) in refusals {
        if faults.take(name) {
            return answer(outcome, code, None);
        }
    }
    let Some(request) = &operation.resource else { return Before::Nothing };
    if faults.forbids(request.verb, &request.resource) {
        return Before::Answer("forbidden", Box::new(forbidden(request)));
    }
    if matches!(request.verb, "update" | "patch") && faults.take("conflict") {
        return Before::Answer("conflict", Box::new(conflict(request)));
    }
    Before::Nothing
}

fn error_answer(operation: &Operation, code: StatusCode, retry_after: Option<&str>) -> Response<Body> {
    let mut answer = match operation.api {
        Api::SecretManager | Api::Container => {
            let error = match code {
                StatusCode::TOO_MANY_REQUESTS => ApiError::too_many_requests(),
                StatusCode::SERVICE_UNAVAILABLE => ApiError::unavailable(),
                _ => ApiError::internal(),
            };
            json_answer(error.code, &error.body())
        }
        Api::Kubernetes => {
            let (reason, message) = match code {
                StatusCode::TOO_MANY_REQUESTS => {
                    ("TooManyRequests", "the server has received too many requests and has asked us to try again later")
                }
                StatusCode::SERVICE_UNAVAILABLE => {
                    ("ServiceUnavailable", "the server is currently unable to handle the request")
                }
                _ => ("InternalError", "Internal error occurred: the sandbox was told to fail"),
            };
            let seconds = retry_after.and_then(|seconds| seconds.parse::<u32>().ok());
            let details = seconds.map_or_else(|| json!({}), |seconds| json!({ "retryAfterSeconds": seconds }));
            status(code, reason, message, details)
        }
    };
    if let Some(value) = retry_after.and_then(|seconds| HeaderValue::from_str(seconds).ok()) {
        answer.headers_mut().insert(header::RETRY_AFTER, value);
    }
    answer
}

/// `deployments.apps`, or `pods` of the core group.
fn qualified(request: &ResourceRequest) -> String {
    let plural = request.resource.split('/').next().unwrap_or_default();
    if request.group.is_empty() { plural.to_owned() } else { format!("{plural}.{}", request.group) }
}

fn named(request: &ResourceRequest) -> String {
    request.name.as_ref().map_or_else(|| qualified(request), |name| format!("{} \"{name}\"", qualified(request)))
}

fn details(request: &ResourceRequest) -> Value {
    let plural = request.resource.split('/').next().unwrap_or_default();
    json!({ "name": request.name, "group": request.group, "kind": plural })
}

fn forbidden(request: &ResourceRequest) -> Response<Body> {
    let scope = match &request.namespace {
        Some(namespace) => format!("in the namespace \"{namespace}\""),
        None => "at the cluster scope".to_owned(),
    };
    let message = format!(
        "{} is forbidden: User \"sandbox\" cannot {} resource \"{}\" in API group \"{}\" {scope}",
        named(request),
        request.verb,
        request.resource,
        request.group
    );
    status(StatusCode::FORBIDDEN, "Forbidden", &message, details(request))
}

fn conflict(request: &ResourceRequest) -> Response<Body> {
    let message = format!(
        "Operation cannot be fulfilled on {}: the object has been modified; please apply your changes to the latest \
         version and try again",
        named(request)
    );
    status(StatusCode::CONFLICT, "Conflict", &message, details(request))
}

/// A refusal in Kubernetes' words.
fn status(code: StatusCode, reason: &str, message: &str, details: Value) -> Response<Body> {
    let body = json!({
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Failure",
        "message": message,
        "reason": reason,
        "details": details,
        "code": code.as_u16(),
    });
    let mut answer = Response::new(whole(Bytes::from(body.to_string())));
    *answer.status_mut() = code;
    answer.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    answer
}
