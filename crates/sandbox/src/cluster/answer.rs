//! Answers in the form of the real server: objects, `Status`, and how errors are worded.

use bytes::Bytes;
use http::{Response, StatusCode};
use serde_json::{Value, json};

use super::error::{Cause, StoreError};
use super::meta;
use super::resource::Resource;
use crate::body::{Body, whole};

/// Why a request is refused; becomes a `Status`.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Refusal {
    code: StatusCode,
    reason: &'static str,
    message: String,
    details: Option<Value>,
}

impl Refusal {
    fn new(code: StatusCode, reason: &'static str, message: impl Into<String>) -> Self {
        Self { code, reason, message: message.into(), details: None }
    }

    fn with(self, details: Value) -> Self {
        Self { details: Some(details), ..self }
    }

    fn invalid(message: impl Into<String>, details: Value) -> Self {
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, "Invalid", message).with(details)
    }

    pub fn bad_request(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "BadRequest", message)
    }

    /// 404 without an object: nothing is served at this path.
    pub fn no_such_path() -> Self {
        let message = "the server could not find the requested resource";
        Self::new(StatusCode::NOT_FOUND, "NotFound", message).with(json!({}))
    }

    pub fn method_not_allowed() -> Self {
        let message = "the server does not allow this method on the requested resource";
        Self::new(StatusCode::METHOD_NOT_ALLOWED, "MethodNotAllowed", message).with(json!({}))
    }

    pub fn not_acceptable(accepted: &str) -> Self {
        let message = format!("only the following media types are accepted: {accepted}");
        Self::new(StatusCode::NOT_ACCEPTABLE, "NotAcceptable", message)
    }

    pub fn unsupported_media_type(accepted: &str) -> Self {
        let message =
            format!("the body of the request was in an unknown format - accepted media types include: {accepted}");
        Self::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "UnsupportedMediaType", message)
    }

    /// 410: the changes from there on are no longer known.
    pub fn expired(message: impl Into<String>) -> Self {
        Self::new(StatusCode::GONE, "Expired", message)
    }

    /// 422: an object whose kind does not let it be replaced without its version.
    pub fn must_be_specified(resource: &Resource, name: &str) -> Self {
        let why = "Invalid value: 0: must be specified for an update";
        let message = format!("{} {name:?} is invalid: metadata.resourceVersion: {why}", resource.group_resource());
        let causes = json!([{"reason": "FieldValueInvalid", "message": why, "field": "metadata.resourceVersion"}]);
        let details = json!({"name": name, "group": resource.group, "kind": resource.plural, "causes": causes});
        Self::invalid(message, details)
    }

    /// 422: a patch after which the object could not be read any more. The real server repeats the whole object here.
    pub fn unreadable_patch(why: &str) -> Self {
        let why = format!("Invalid value: \"\": {why}");
        let message = format!(" \"\" is invalid: patch: {why}");
        Self::invalid(message, json!({"causes": [{"reason": "FieldValueInvalid", "message": why, "field": "patch"}]}))
    }

    /// 422 about the options of a request.
    pub fn invalid_options(kind: &str, field: &str, cause: &'static str, message: &str) -> Self {
        let text = format!("{kind}.meta.k8s.io \"\" is invalid: {field}: {message}");
        let causes = json!([{"reason": cause, "message": message, "field": field}]);
        Self::invalid(text, json!({"group": "meta.k8s.io", "kind": kind, "causes": causes}))
    }

    /// 422 about a patch that cannot be applied: the real server does not say why.
    pub fn unprocessable() -> Self {
        Self::invalid("the server rejected our request due to an error in our request", json!({}))
    }

    /// 403 of a quota.
    pub fn forbidden(resource: &Resource, name: &str, why: &str) -> Self {
        let message = format!("{} {name:?} is forbidden: {why}", resource.group_resource());
        let details = json!({"name": name, "kind": resource.plural});
        Self::new(StatusCode::FORBIDDEN, "Forbidden", message).with(details)
    }

    /// 429: a PodDisruptionBudget does not allow an eviction now.
    pub fn protected(budget: &str, needed: i64, healthy: i64) -> Self {
        let why = format!("The disruption budget {budget} needs {needed} healthy pods and has {healthy} currently");
        let message = "Cannot evict pod as it would violate the pod's disruption budget.";
        let details = json!({"causes": [{"reason": "DisruptionBudget", "message": why}]});
        Self::new(StatusCode::TOO_MANY_REQUESTS, "TooManyRequests", message).with(details)
    }

    pub fn status(&self) -> Value {
        let mut status = json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
            "message": self.message, "reason": self.reason});
        if let Some(details) = &self.details {
            status["details"] = details.clone();
        }
        status["code"] = json!(self.code.as_u16());
        status
    }

    pub fn response(&self) -> Response<Body> {
        object(self.code, &self.status())
    }
}

impl From<StoreError> for Refusal {
    fn from(error: StoreError) -> Self {
        let message = error.to_string();
        let (code, reason, resource, kind, name) = match &error {
            StoreError::BadRequest(_) => return Self::bad_request(message),
            StoreError::NotFound { resource, name } => {
                (StatusCode::NOT_FOUND, "NotFound", resource, resource.plural, name)
            }
            StoreError::AlreadyExists { resource, name } => {
                (StatusCode::CONFLICT, "AlreadyExists", resource, resource.plural, name)
            }
            StoreError::Conflict { resource, name, .. } => {
                (StatusCode::CONFLICT, "Conflict", resource, resource.plural, name)
            }
            StoreError::Precondition { resource, name, .. } => {
                (StatusCode::CONFLICT, "Conflict", resource, resource.kind, name)
            }
            StoreError::Invalid { resource, name, .. } => {
                (StatusCode::UNPROCESSABLE_ENTITY, "Invalid", resource, resource.kind, name)
            }
        };
        let mut details = json!({"name": name});
        if !resource.group.is_empty() {
            details["group"] = json!(resource.group);
        }
        details["kind"] = json!(kind);
        if let StoreError::Invalid { causes, .. } = &error {
            let cause = |cause: &Cause| json!({"reason": cause.reason, "message": cause.message, "field": cause.field});
            details["causes"] = causes.iter().map(cause).collect();
        }
        Self::new(code, reason, message).with(details)
    }
}

/// A refusal by what stands in front of this API, in its form.
pub fn refusal(code: StatusCode, reason: &'static str, message: &str, details: Value) -> Response<Body> {
    Refusal::new(code, reason, message).with(details).response()
}

/// An object as JSON, with the headers of the real server.
pub(super) fn object(code: StatusCode, object: &Value) -> Response<Body> {
    typed(code, "application/json", object)
}

/// An object as JSON of a named flavour.
pub(super) fn typed(code: StatusCode, content_type: &str, object: &Value) -> Response<Body> {
    let mut bytes = serde_json::to_vec(object).expect("a JSON value can be written");
    bytes.push(b'\n');
    with_headers(code, content_type, whole(bytes))
}

pub(super) fn text(code: StatusCode, text: &'static str) -> Response<Body> {
    with_headers(code, "text/plain; charset=utf-8", whole(Bytes::from_static(text.as_bytes())))
}

/// What every answer of the real server carries.
pub(super) fn with_headers(code: StatusCode, content_type: &str, body: Body) -> Response<Body> {
    Response::builder()
        .status(code)
        .header("audit-id", meta::new_uid())
        .header("cache-control", "no-cache, private")
        .header("content-type", content_type)
        .body(body)
        .expect("the headers are plain ASCII")
}

/// The `Status` after an object is gone.
pub(super) fn deleted(resource: &Resource, gone: &Value) -> Value {
    let mut details = json!({"name": meta::name(gone)});
    if !resource.group.is_empty() {
        details["group"] = json!(resource.group);
    }
    details["kind"] = json!(resource.plural);
    details["uid"] = json!(meta::uid(gone));
    json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "details": details})
}
