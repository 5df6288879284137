//! What the faults at the level of HTTP do to one request.

use http::{HeaderValue, Response, StatusCode, header};
use serde_json::{Value, json};

use super::body::Body;
use super::class::Api;
use super::cluster;
use super::faults::Faults;
use super::google::{ApiError, json_answer};
use super::operation::{Operation, ResourceRequest};
use super::path::RestPath;

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

#[derive(Debug)]
pub struct Interference {
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

/// The faults that answer in the service's place: what the log says of it, and Kubernetes' words.
const REFUSALS: [(&str, &str, StatusCode, &str, &str); 4] = [
    (RETRY_AFTER, "too many requests", StatusCode::TOO_MANY_REQUESTS, "TooManyRequests", LATER),
    ("too-many-requests", "too many requests", StatusCode::TOO_MANY_REQUESTS, "TooManyRequests", LATER),
    (
        "unavailable",
        "unavailable",
        StatusCode::SERVICE_UNAVAILABLE,
        "ServiceUnavailable",
        "the server is currently unable to handle the request",
    ),
    (
        "internal-error",
        "internal error",
        StatusCode::INTERNAL_SERVER_ERROR,
        "InternalError",
        "Internal error occurred: the sandbox was told to fail",
    ),
];
const RETRY_AFTER: &str = "too-many-requests-retry-after";
const LATER: &str = "the server has received too many requests and has asked us to try again later";

fn refusal(faults: &Faults, operation: &Operation) -> Before {
    let seconds = faults.value(RETRY_AFTER);
    for (name, outcome, code, reason, message) in REFUSALS {
        if faults.take(name) {
            let seconds = seconds.as_deref().filter(|_| name == RETRY_AFTER).and_then(|text| text.parse::<u32>().ok());
            let mut answer = match operation.api {
                Api::SecretManager | Api::Container => google_answer(code),
                Api::Kubernetes => {
                    let details = seconds.map_or_else(|| json!({}), |seconds| json!({"retryAfterSeconds": seconds}));
                    cluster::refusal(code, reason, message, details)
                }
            };
            if let Some(seconds) = seconds {
                answer.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
            }
            return Before::Answer(outcome, Box::new(answer));
        }
    }
    let Some(request) = &operation.resource else { return Before::Nothing };
    if faults.forbids(request.verb, &request.resource()) {
        return Before::Answer("forbidden", Box::new(forbidden(request)));
    }
    if matches!(request.verb, "update" | "patch") && faults.take("conflict") {
        return Before::Answer("conflict", Box::new(conflict(request)));
    }
    Before::Nothing
}

fn google_answer(code: StatusCode) -> Response<Body> {
    let error = match code {
        StatusCode::TOO_MANY_REQUESTS => ApiError::too_many_requests(),
        StatusCode::SERVICE_UNAVAILABLE => ApiError::unavailable(),
        _ => ApiError::internal(),
    };
    json_answer(error.code, &error.body())
}

/// `deployments.apps "web"`, or `pods` of the core group where none is named.
fn named(RestPath { plural, group, name, .. }: &RestPath) -> String {
    let qualified = if group.is_empty() { plural.clone() } else { format!("{plural}.{group}") };
    name.as_ref().map_or_else(|| qualified.clone(), |name| format!("{qualified} \"{name}\""))
}

fn details(path: &RestPath) -> Value {
    json!({ "name": path.name, "group": path.group, "kind": path.plural })
}

fn forbidden(request: &ResourceRequest) -> Response<Body> {
    let scope = match request.namespace() {
        Some(namespace) => format!("in the namespace \"{namespace}\""),
        None => "at the cluster scope".to_owned(),
    };
    let (named, resource, group) = (named(&request.path), request.resource(), &request.path.group);
    let message = format!(
        "{named} is forbidden: User \"sandbox\" cannot {} resource \"{resource}\" in API group \"{group}\" {scope}",
        request.verb
    );
    cluster::refusal(StatusCode::FORBIDDEN, "Forbidden", &message, details(&request.path))
}

fn conflict(request: &ResourceRequest) -> Response<Body> {
    let message = format!("Operation cannot be fulfilled on {}: {}", named(&request.path), cluster::MODIFIED);
    cluster::refusal(StatusCode::CONFLICT, "Conflict", &message, details(&request.path))
}
