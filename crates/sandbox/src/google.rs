//! Answers as Google's front end sends them, and refusals in Google's words.

use http::{HeaderValue, Response, StatusCode, header};
use serde_json::{Value, json};

use crate::body::{Body, whole};

/// An answer that is not a success.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ApiError {
    pub code: StatusCode,
    /// The name of the gRPC code.
    pub status: &'static str,
    pub message: String,
    /// Typed details, each with its `@type`.
    pub details: Vec<Value>,
}

impl ApiError {
    fn new(code: StatusCode, status: &'static str, message: impl Into<String>) -> Self {
        ApiError { code, status, message: message.into(), details: Vec::new() }
    }

    pub fn invalid(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "INVALID_ARGUMENT", message)
    }

    /// 400 FAILED_PRECONDITION. Google uses it for a wrong etag as well as for a disabled version.
    pub fn precondition(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "FAILED_PRECONDITION", message)
    }

    pub fn not_found(message: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, "NOT_FOUND", message)
    }

    pub fn already_exists(name: &str) -> Self {
        Self::new(StatusCode::CONFLICT, "ALREADY_EXISTS", format!("Secret [{name}] already exists."))
    }

    /// 409 ABORTED: the policy's etag is not the current one.
    pub fn policy_changed() -> Self {
        Self::new(
            StatusCode::CONFLICT,
            "ABORTED",
            "There were concurrent policy changes. Please retry the whole read-modify-write with exponential backoff.",
        )
    }

    /// 400: the etag that was given is not the resource's.
    pub fn etag(what: &str, name: &str) -> Self {
        Self::precondition(format!("The etag provided does not match the current etag of {what} [{name}]."))
    }

    /// 400: the version is not ENABLED. External Secrets looks for "is in DISABLED state" in this text.
    pub fn state(name: &str, state: &str) -> Self {
        Self::precondition(format!("Secret Version [{name}] is in {state} state."))
    }

    pub fn no_secret(name: &str) -> Self {
        Self::not_found(format!("Secret [{name}] not found."))
    }

    /// 404: `latest` of nothing.
    pub fn no_versions(name: &str) -> Self {
        Self::not_found(format!("Secret [{name}] not found or has no versions."))
    }

    pub fn no_version(name: &str) -> Self {
        Self::not_found(format!("Secret Version [{name}] not found."))
    }

    /// 403. A missing resource answers the same to those who may not see it.
    pub fn denied(permission: &str, resource: &str) -> Self {
        let message = format!("Permission '{permission}' denied for resource '{resource}' (or it may not exist).");
        let mut error = Self::new(StatusCode::FORBIDDEN, "PERMISSION_DENIED", message);
        error.details.push(json!({
            "@type": "type.googleapis.com/google.rpc.ErrorInfo",
            "reason": "IAM_PERMISSION_DENIED",
            "domain": "secretmanager.googleapis.com",
            "metadata": { "permission": permission, "resource": resource },
        }));
        error
    }

    /// 403 of a perimeter around the project (VPC Service Controls): no permission would help.
    pub fn prohibited(resource: &str) -> Self {
        let message = format!("Request is prohibited by organization's policy for resource '{resource}'.");
        Self::new(StatusCode::FORBIDDEN, "PERMISSION_DENIED", message)
    }

    /// 429: a quota is used up.
    pub fn too_many_requests() -> Self {
        let metric = "secretmanager.googleapis.com/write_requests";
        let message = "Quota exceeded for quota metric 'Write requests' and limit 'Write requests per minute' of service \
             'secretmanager.googleapis.com' for consumer 'project_number:415104041262'.";
        let mut error = Self::new(StatusCode::TOO_MANY_REQUESTS, "RESOURCE_EXHAUSTED", message);
        error.details.push(json!({
            "@type": "type.googleapis.com/google.rpc.ErrorInfo",
            "reason": "RATE_LIMIT_EXCEEDED",
            "domain": "googleapis.com",
            "metadata": { "quota_metric": metric, "service": "secretmanager.googleapis.com" },
        }));
        error
    }

    pub fn unavailable() -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "UNAVAILABLE", "The service is currently unavailable.")
    }

    pub fn internal() -> Self {
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "INTERNAL", "Internal error encountered.")
    }

    pub fn body(&self) -> Value {
        let mut error = json!({ "code": self.code.as_u16(), "message": self.message, "status": self.status });
        if !self.details.is_empty() {
            error["details"] = Value::Array(self.details.clone());
        }
        json!({ "error": error })
    }
}

/// An answer as Google's front end sends it.
pub fn json_answer(status: StatusCode, body: &Value) -> Response<Body> {
    let mut answer = Response::new(whole(format!("{body:#}\n")));
    *answer.status_mut() = status;
    answer.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json; charset=UTF-8"));
    answer
}
