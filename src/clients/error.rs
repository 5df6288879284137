//! What can go wrong with a request, said in one line that never carries a value.

use std::fmt;

use super::advice::Advice;
use deepdesk_protocol::facts::names::printable;

/// Whom the request was for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Service {
    /// The Kubernetes API server.
    Kubernetes,
    /// Google Secret Manager.
    SecretManager,
    /// Google Kubernetes Engine.
    Container,
    /// Whoever gives out the credentials: gcloud, a token endpoint, the metadata server, an exec plugin.
    Credentials,
}

/// The kinds of failure that callers tell apart.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum ApiErrorKind {
    /// The server does not know who asks.
    Unauthenticated,
    /// The server knows who asks, and says no.
    Forbidden,
    /// No such thing.
    NotFound,
    /// The name is taken.
    AlreadyExists,
    /// The object changed since it was read.
    Conflict,
    /// The object's state does not allow it, or the etag is not the current one.
    Precondition,
    /// The request is malformed, or the object does not pass validation.
    Invalid,
    /// Over a quota. The server did nothing.
    TooManyRequests,
    /// The server cannot answer now.
    Unavailable,
    /// The server failed.
    Internal,
    /// No answer in time.
    Timeout,
    /// The connection broke after the request may have left.
    Connection,
    /// No connection: nothing was sent.
    Unreachable,
    /// The answer cannot be read.
    Malformed,
    /// The resource version or the continue token is too old (410).
    Expired,
    /// The lock that guards the write was lost: this attempt was not sent. With `sent`, an earlier one was, and what came
    /// of that is not known.
    Fenced {
        /// Whether an earlier attempt of the same write may have arrived.
        sent: bool,
    },
    /// Anything else.
    Other,
}

impl ApiErrorKind {
    /// The kind in words, for the error line.
    pub fn words(self) -> &'static str {
        match self {
            ApiErrorKind::Unauthenticated => "not authenticated",
            ApiErrorKind::Forbidden => "forbidden",
            ApiErrorKind::NotFound => "not found",
            ApiErrorKind::AlreadyExists => "exists already",
            ApiErrorKind::Conflict => "changed meanwhile",
            ApiErrorKind::Precondition => "refused in this state",
            ApiErrorKind::Invalid => "invalid request",
            ApiErrorKind::TooManyRequests => "too many requests",
            ApiErrorKind::Unavailable => "not available",
            ApiErrorKind::Internal => "failed at the server",
            ApiErrorKind::Timeout => "no answer in time",
            ApiErrorKind::Connection => "connection broke",
            ApiErrorKind::Unreachable => "cannot connect",
            ApiErrorKind::Malformed => "unreadable answer",
            ApiErrorKind::Expired => "too old",
            ApiErrorKind::Fenced { .. } => "not sent, the lock was lost",
            ApiErrorKind::Other => "failed",
        }
    }
}

/// A request that failed. One clear line; never a body, which may hold a value.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ApiError {
    /// Whom it was for.
    pub service: Service,
    /// What it was, such as `patch externalsecret acme/admin-secrets`.
    pub operation: String,
    /// What went wrong.
    pub kind: ApiErrorKind,
    /// What the other side said: printable, short, without any value. May be empty.
    pub message: String,
    /// Why, and what helps, where that is known better than the kind says.
    pub advice: Option<Box<Advice>>,
}

impl ApiError {
    /// An error with its message made printable and short.
    pub fn new(service: Service, operation: impl Into<String>, kind: ApiErrorKind, message: &str) -> ApiError {
        ApiError { service, operation: operation.into(), kind, message: short(message), advice: None }
    }

    /// The same with why and what helps.
    pub(super) fn advised(self, advice: Advice) -> ApiError {
        ApiError { advice: Some(Box::new(advice)), ..self }
    }

    /// The same error of a later attempt, where an earlier one may have arrived.
    pub fn after_sending(self) -> ApiError {
        match self.kind {
            ApiErrorKind::Fenced { .. } => ApiError { kind: ApiErrorKind::Fenced { sent: true }, ..self },
            _ => self,
        }
    }

    /// Whether the effect of a mutating request that failed this way is not known.
    ///
    /// A readable refusal says that nothing was done; so do 429 and a connection that never came to be. Anything else
    /// may have been done: look before repeating it.
    pub fn is_outcome_unknown(&self) -> bool {
        match self.kind {
            ApiErrorKind::Timeout
            | ApiErrorKind::Connection
            | ApiErrorKind::Unavailable
            | ApiErrorKind::Internal
            | ApiErrorKind::Malformed
            | ApiErrorKind::Fenced { sent: true }
            | ApiErrorKind::Other => true,
            ApiErrorKind::Unauthenticated
            | ApiErrorKind::Forbidden
            | ApiErrorKind::NotFound
            | ApiErrorKind::AlreadyExists
            | ApiErrorKind::Conflict
            | ApiErrorKind::Precondition
            | ApiErrorKind::Invalid
            | ApiErrorKind::TooManyRequests
            | ApiErrorKind::Unreachable
            | ApiErrorKind::Expired
            | ApiErrorKind::Fenced { sent: false } => false,
        }
    }
}

impl std::error::Error for ApiError {}

impl fmt::Display for ApiError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.operation, self.kind.words())?;
        if !self.message.is_empty() {
            write!(f, ": {}", self.message)?;
        }
        Ok(())
    }
}

/// A configuration that cannot be used: a kubeconfig, gcloud's files, an endpoint.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{message}")]
pub struct ConfigError {
    /// What is wrong, in one line.
    pub message: String,
    /// What to do about it.
    pub hint: Option<String>,
}

impl ConfigError {
    /// An error without a hint, its message made printable and short.
    pub fn new(message: impl AsRef<str>) -> ConfigError {
        ConfigError { message: short(message.as_ref()), hint: None }
    }

    /// The same error, and what it is about.
    pub fn about(self, what: &str) -> ConfigError {
        match what {
            "" => self,
            what => ConfigError { message: short(&format!("{what}: {}", self.message)), ..self },
        }
    }

    /// The same error with what to do about it.
    pub fn hint(self, hint: impl AsRef<str>) -> ConfigError {
        ConfigError { hint: Some(short(hint.as_ref())), ..self }
    }
}

/// Said when nothing on this machine could vouch for a server.
pub(super) const NO_AUTHORITIES: &str =
    "this machine has no CA certificates (on Linux in /etc/ssl/certs, or where SSL_CERT_FILE and SSL_CERT_DIR say)";

/// What helps then.
pub(super) const INSTALL_AUTHORITIES: &str =
    "install the package ca-certificates, or set SSL_CERT_FILE to a file of certificates";

/// Whether a client could not be made for that reason: what the system's verifier says then, in its own words.
pub(super) fn no_authorities(error: &dyn std::error::Error) -> bool {
    root_cause(error).contains("No CA certificates were loaded")
}

/// The most characters of a foreign text that an error shows.
const MOST_CHARACTERS: usize = 300;

/// One printable line of at most [`MOST_CHARACTERS`].
pub(super) fn short(text: &str) -> String {
    // Newlines become blanks before anything else: `printable` would show each as a replacement character.
    let line = printable(&text.split_whitespace().collect::<Vec<_>>().join(" "));
    match line.char_indices().nth(MOST_CHARACTERS) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None => line,
    }
}

/// The kind of an answer that is not the service's own: from a proxy, a login page, a wrong address.
///
/// Its 404 says nothing about a secret or an object, and must not be read as "does not exist".
pub(super) fn kind_of_foreign(code: u16) -> ApiErrorKind {
    match code {
        401 => ApiErrorKind::Unauthenticated,
        403 | 407 => ApiErrorKind::Forbidden,
        429 => ApiErrorKind::TooManyRequests,
        502 | 503 => ApiErrorKind::Unavailable,
        504 => ApiErrorKind::Timeout,
        500..=599 => ApiErrorKind::Internal,
        _ => ApiErrorKind::Malformed,
    }
}

/// The innermost cause of a failed connection, in words: what the operating system, the resolver or TLS said.
pub(super) fn root_cause(error: &dyn std::error::Error) -> String {
    let mut cause = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    let said = cause.to_string();
    // rustls shows what the system said (Windows, macOS) with the names of its own types around it.
    match said.split_once("Other(OtherError(\"") {
        Some((before, words)) => format!("{before}{}", words.trim_end_matches("\"))")),
        None => said,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_short_printable_line() {
        let error = ApiError::new(
            Service::Kubernetes,
            "patch lease acme/x",
            ApiErrorKind::Forbidden,
            &format!("no\n\u{1b}[31m {}", "é".repeat(400)),
        );
        let line = error.to_string();
        assert!(line.starts_with("patch lease acme/x: forbidden: no "), "{line}");
        assert!(!line.chars().any(char::is_control), "{line:?}");
        assert_eq!(error.message.chars().count(), MOST_CHARACTERS + 1);
    }

    #[test]
    fn what_the_system_said_of_a_certificate_stands_alone() {
        let of_windows = "invalid peer certificate: Other(OtherError(\"OS Error -2146762482 (not trusted)\"))";
        let error = std::io::Error::other(of_windows);
        assert_eq!(root_cause(&error), "invalid peer certificate: OS Error -2146762482 (not trusted)");
        assert_eq!(root_cause(&std::io::Error::other("refused")), "refused");
    }

    #[test]
    fn a_refusal_has_a_known_outcome() {
        let error = |kind| ApiError::new(Service::SecretManager, "addSecretVersion x", kind, "");
        for kind in [ApiErrorKind::Timeout, ApiErrorKind::Connection, ApiErrorKind::Unavailable, ApiErrorKind::Internal]
        {
            assert!(error(kind).is_outcome_unknown(), "{kind:?}");
        }
        for kind in [ApiErrorKind::TooManyRequests, ApiErrorKind::Unreachable, ApiErrorKind::Forbidden] {
            assert!(!error(kind).is_outcome_unknown(), "{kind:?}");
        }
        assert_eq!(error(ApiErrorKind::Timeout).to_string(), "addSecretVersion x: no answer in time");
    }
}
