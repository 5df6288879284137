//! Failures of the clients, as problems: with an exit code, a stable reason and what to do next.

use crate::clients::error::{ApiError, ApiErrorKind, ConfigError, Service};
use deepdesk_protocol::command;
use deepdesk_protocol::hint::Hint;
use deepdesk_protocol::problem::{Problem, Reason};

/// A request failed before anything was changed: exit 1. A step that comes later raises it to 5 (see `execute`).
impl From<ApiError> for Problem {
    fn from(error: ApiError) -> Problem {
        if let ApiErrorKind::Fenced { .. } = error.kind {
            return lock_lost(&error);
        }
        if let Some(advice) = &error.advice {
            let problem = Problem::new(advice.reason, error.to_string());
            return if advice.hint.to_string().is_empty() { problem } else { problem.hint(advice.hint.clone()) };
        }
        let problem = Problem::new(reason(error.kind), error.to_string());
        match hint(&error) {
            Some(hint) => problem.hint(hint),
            None => problem,
        }
    }
}

impl From<ConfigError> for Problem {
    fn from(error: ConfigError) -> Problem {
        let problem = Problem::new(Reason::Configuration, &error.message);
        match error.hint {
            Some(hint) => problem.hint(hint),
            None => problem,
        }
    }
}

/// The lock knows how it was lost; a look at what is there tells the rest.
fn lock_lost(error: &ApiError) -> Problem {
    Problem::new(reason(error.kind), format!("the lock on this account was lost: {}", error.message))
        .hint("find out who is changing it before anything else is written")
}

fn reason(kind: ApiErrorKind) -> Reason {
    match kind {
        ApiErrorKind::Unauthenticated => Reason::Unauthenticated,
        ApiErrorKind::Forbidden => Reason::Forbidden,
        ApiErrorKind::NotFound => Reason::NotFound,
        ApiErrorKind::AlreadyExists => Reason::AlreadyExists,
        ApiErrorKind::Conflict => Reason::Conflict,
        ApiErrorKind::Precondition => Reason::FailedPrecondition,
        ApiErrorKind::Invalid => Reason::Invalid,
        ApiErrorKind::TooManyRequests => Reason::TooManyRequests,
        ApiErrorKind::Unavailable => Reason::Unavailable,
        ApiErrorKind::Internal => Reason::ServerError,
        ApiErrorKind::Timeout => Reason::Timeout,
        ApiErrorKind::Connection | ApiErrorKind::Unreachable => Reason::ConnectionFailed,
        ApiErrorKind::Malformed => Reason::MalformedAnswer,
        ApiErrorKind::Expired => Reason::Expired,
        ApiErrorKind::Fenced { .. } => Reason::LockLost,
        ApiErrorKind::Other => Reason::Other,
    }
}

fn hint(error: &ApiError) -> Option<Hint> {
    // As rustls says it: the network is in order.
    if error.message.contains("invalid peer certificate") {
        return Some(untrusted(error.service).into());
    }
    let hint = match (error.kind, error.service) {
        (ApiErrorKind::Unauthenticated, Service::Kubernetes) => {
            "log in to the cluster again, then run the same command"
        }
        (ApiErrorKind::Unauthenticated, Service::SecretManager | Service::Container | Service::Credentials) => {
            return Some(command!["gcloud", "auth", "application-default", "login"].into());
        }
        (ApiErrorKind::Forbidden, Service::Kubernetes) => "ask for the Role in docs/permissions.md",
        (ApiErrorKind::Forbidden, Service::Container) => {
            "ask for container.clusters.get on the project (the role Kubernetes Engine Cluster Viewer has it)"
        }
        (ApiErrorKind::Forbidden, Service::SecretManager | Service::Credentials) => {
            "ask for the permissions in docs/permissions.md"
        }
        (
            ApiErrorKind::Timeout | ApiErrorKind::Connection | ApiErrorKind::Unreachable | ApiErrorKind::Unavailable,
            _,
        ) => "check the network, then run the same command again",
        (ApiErrorKind::TooManyRequests, _) => "wait a minute, then run the same command again",
        _ => return None,
    };
    Some(hint.into())
}

/// Who has to be trusted, for a server whose certificate was refused.
fn untrusted(service: Service) -> &'static str {
    match (service, cfg!(any(windows, target_os = "macos"))) {
        (Service::Kubernetes, true) => {
            "give the cluster's certificate authority as certificate-authority-data in the kubeconfig, or let the system trust it"
        }
        (Service::Kubernetes, false) => {
            "give the cluster's certificate authority as certificate-authority-data in the kubeconfig, or in SSL_CERT_FILE"
        }
        (_, true) => "let the system trust the certificate authority of the proxy or of the server",
        (_, false) => "name the certificate authority of the proxy or of the server in SSL_CERT_FILE",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use deepdesk_protocol::hint;

    #[test]
    fn a_certificate_that_is_refused_is_no_matter_of_the_network() {
        let error = |service, message| ApiError::new(service, "list pods", ApiErrorKind::Unreachable, message);
        let refused = "invalid peer certificate: UnknownIssuer";
        for (service, wanted) in
            [(Service::Kubernetes, "certificate-authority-data"), (Service::SecretManager, "trust")]
        {
            let hint = hint::in_one_line(&Problem::from(error(service, refused)).hints);
            assert!(hint.contains(wanted) || hint.contains("SSL_CERT_FILE"), "{hint}");
            assert!(!hint.contains("network"), "{hint}");
        }
        let unreached = hint::in_one_line(&Problem::from(error(Service::Kubernetes, "connection refused")).hints);
        assert!(unreached.contains("network"), "{unreached}");
    }
}
