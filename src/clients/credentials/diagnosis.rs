//! Why there is no token: in our own words, and those of errors that cannot hold an answer. Google's errors end with the
//! whole body, or with what a program printed: a token may be in it, of a form that nobody knows.

use std::collections::HashMap;
use std::error::Error;

use deepdesk_protocol::problem::Reason;
use google_cloud_gax::error::rpc::StatusDetails;
use google_cloud_gax::error::{CredentialsError, Error as GoogleError};
use serde_json::Value;

use super::origin::Origin;
use crate::clients::advice::{Advice, Refusal};
use crate::clients::error::{ConfigError, INSTALL_AUTHORITIES, NO_AUTHORITIES, no_authorities};

/// Why, in a line, and what helps.
#[derive(Debug)]
pub(in crate::clients) struct Diagnosis {
    pub(in crate::clients) line: String,
    pub(in crate::clients) advice: Advice,
}

/// What is wrong with credentials from there, which act as this service account where they impersonate one.
pub(in crate::clients) fn diagnosis(error: &CredentialsError, origin: &Origin, acts_as: Option<&str>) -> Diagnosis {
    let chain = || std::iter::successors(Some(error as &(dyn Error + 'static)), |&error| error.source());
    if let Some(advice) = chain().find_map(|error| denied_by(error, acts_as)) {
        let line = match (advice.reason, acts_as) {
            (Reason::ImpersonationDenied, Some(account)) => {
                format!("permission {GET_TOKEN} denied on {account}")
            }
            (Reason::ImpersonationDenied, None) => format!("permission {GET_TOKEN} denied"),
            _ => why(error),
        };
        return Diagnosis { line, advice };
    }
    let answer = chain().find_map(|error| Answer::of(&error.to_string()));
    let known = answer.and_then(|answer| answer.meaning(origin));
    let advice = match known {
        Some((meaning, advice)) => {
            let line = format!("{} ({meaning})", why(error));
            return Diagnosis { line, advice: advice.unwrap_or_else(|| origin.refused()) };
        }
        None if no_authorities(error) => {
            let advice = Advice::new(Reason::ConnectionFailed, INSTALL_AUTHORITIES);
            return Diagnosis { line: NO_AUTHORITIES.to_owned(), advice };
        }
        None => origin.refused(),
    };
    Diagnosis { line: why(error), advice }
}

/// The permission by which one acts as a service account.
const GET_TOKEN: &str = "iam.serviceAccounts.getAccessToken";

/// What a refusal's own details say, in Google's types or in the text of a body.
fn denied_by(error: &(dyn Error + 'static), acts_as: Option<&str>) -> Option<Advice> {
    let of = |refusal: Refusal<'_>| refusal.impersonation(acts_as).or_else(|| refusal.advice(None));
    if let Some(status) = error.downcast_ref::<GoogleError>().and_then(GoogleError::status) {
        let info = status.details.iter().find_map(|detail| match detail {
            StatusDetails::ErrorInfo(info) => Some(info),
            _ => None,
        });
        return of(Refusal {
            reason: info.map(|info| info.reason.as_str()).unwrap_or_default(),
            metadata: info.map(|info| &info.metadata),
            message: &status.message,
        });
    }
    let text = error.to_string();
    let Some(body) = body(&text) else {
        // The metadata server of a pod says it in plain text.
        return text.contains(GET_TOKEN).then(|| of(Refusal { message: GET_TOKEN, ..Refusal::default() })).flatten();
    };
    let error = body.get("error")?;
    let details = error.get("details").and_then(Value::as_array).into_iter().flatten();
    let info = details.clone().find(|detail| detail["@type"].as_str().is_some_and(|kind| kind.ends_with("ErrorInfo")));
    let text = |value: Option<&Value>| value.and_then(Value::as_str).unwrap_or_default().to_owned();
    let metadata: HashMap<String, String> = info
        .and_then(|info| info["metadata"].as_object())
        .into_iter()
        .flatten()
        .filter_map(|(name, value)| Some((name.clone(), value.as_str()?.to_owned())))
        .collect();
    let (reason, message) = (text(info.and_then(|info| info.get("reason"))), text(error.get("message")));
    of(Refusal { reason: &reason, metadata: Some(&metadata), message: &message })
}

/// A token endpoint's answer: its code and what it says of it (RFC 6749, 5.2).
struct Answer {
    code: &'static str,
    said: String,
}

impl Answer {
    fn of(text: &str) -> Option<Answer> {
        let body = body(text)?;
        let code = body.get("error")?.as_str()?;
        let code = CODES.into_iter().find(|known| *known == code)?;
        let said = |name: &str| body.get(name).and_then(Value::as_str).unwrap_or_default().to_ascii_lowercase();
        Some(Answer { code, said: format!("{} {}", said("error_description"), said("error_subtype")) })
    }

    /// What it means, and what helps where the origin does not say it. What it says is known by its words and never shown.
    fn meaning(&self, origin: &Origin) -> Option<(&'static str, Option<Advice>)> {
        let says = |words: &str| self.said.contains(words);
        let login = |reason, hint: &str| Some(Advice::new(reason, hint));
        Some(match self.code {
            _ if says("invalid_rapt") || says("reauth") => (
                "the organization wants you to log in again",
                Some(Advice { reason: Reason::LoginExpired, ..origin.refused() }),
            ),
            _ if says("short-lived token") || says("reasonable timeframe") => (
                "this machine's clock is wrong, or the key is",
                login(Reason::Unauthenticated, "set this machine's clock, then run the same command again"),
            ),
            _ if says("invalid jwt signature") => ("its key was deleted or disabled", None),
            _ if says("account not found") => ("its service account was deleted", None),
            "deleted_client" => ("the OAuth client that it was made with was deleted", None),
            "admin_policy_enforced" | "org_internal" => (
                "the organization does not permit that login",
                login(Reason::PolicyDenied, "ask whoever keeps the organization's policies, or use a service account"),
            ),
            "invalid_grant" if says("expired") || says("revoked") || says("stale") => {
                ("it has expired or was revoked", Some(Advice { reason: Reason::LoginExpired, ..origin.refused() }))
            }
            "invalid_grant" if says("attribute condition") => (
                "the provider's attribute condition refuses the token",
                login(Reason::Forbidden, "let the condition of the workload identity provider accept this token"),
            ),
            "invalid_grant" if says("audience") => (
                "the token is for another audience than the provider accepts",
                login(
                    Reason::Unauthenticated,
                    "request the token with the audience that the provider of the identity pool allows",
                ),
            ),
            "invalid_grant" if says("issuer") => (
                "the token is of another issuer than the provider's",
                login(
                    Reason::Unauthenticated,
                    "name the provider that is made for this issuer in the file's `audience`",
                ),
            ),
            "invalid_target" => (
                "the identity pool or its provider does not exist or is disabled",
                login(Reason::Unauthenticated, "correct the file's `audience`, or have the provider enabled"),
            ),
            _ => return None,
        })
    }
}

/// The JSON of a body in the text of Google's error.
fn body(text: &str) -> Option<Value> {
    let body = text.split_once("body=<")?.1;
    serde_json::from_str(&body[..=body.rfind('}')?]).ok()
}

/// Why there is no token: in our own words, and those of errors that cannot hold an answer. Google's errors end with the
/// whole body, or with what a program printed: a token may be in it, of a form that nobody knows.
fn why(error: &CredentialsError) -> String {
    let chain = || std::iter::successors(Some(error as &(dyn Error + 'static)), |&error| error.source());
    chain().find_map(said_by).unwrap_or_else(|| {
        let texts: Vec<String> = chain().map(|error| error.to_string()).collect();
        let code = texts.iter().find_map(|text| oauth_code(text));
        let status = texts.iter().find_map(|text| http_status(text));
        let known = || texts.iter().find_map(|text| known_failure(text)).map(str::to_owned);
        match (status, code) {
            (Some(status), Some(code)) => format!("answered {status} ({code})"),
            (Some(status), None) => format!("answered {status}"),
            (None, Some(code)) => code,
            (None, None) => known().unwrap_or_else(|| "it returned no token".to_owned()),
        }
    })
}

/// What one error of a chain says, if it is of a kind whose words are safe to show.
fn said_by(error: &(dyn Error + 'static)) -> Option<String> {
    if error.is::<serde_json::Error>() {
        return Some("the answer cannot be read".to_owned());
    }
    if let Some(error) = error.downcast_ref::<ConfigError>() {
        return Some(error.message.clone());
    }
    if let Some(error) = error.downcast_ref::<GoogleError>() {
        return match (error.http_status_code(), error.status()) {
            (Some(code), Some(status)) => Some(format!("answered {code} ({})", status.code)),
            (Some(code), None) => Some(format!("answered {code}")),
            (None, Some(status)) => Some(format!("answered {}", status.code)),
            // One around another, which says more.
            (None, None) => None,
        };
    }
    if let Some(error) = error.downcast_ref::<std::io::Error>() {
        let text = error.to_string();
        // One that wraps another may say anything.
        return match error.get_ref() {
            None => Some(text),
            Some(inner) if inner.is::<rustls::Error>() || text.starts_with("failed to lookup address") => Some(text),
            // Wrapped once more, as a connector does it: what it says itself is not in its own chain.
            Some(inner) => inner.downcast_ref::<std::io::Error>().and_then(|inner| said_by(inner)),
        };
    }
    error.downcast_ref::<rustls::Error>().map(ToString::to_string)
}

/// A token endpoint's error code (RFC 6749, 5.2) from the text of Google's error. The description beside it is anybody's.
fn oauth_code(text: &str) -> Option<String> {
    Answer::of(text).map(|answer| answer.code.to_owned())
}

/// The codes there are (RFC 6749, 5.2, and what Google adds to them). Another word may be anything.
const CODES: [&str; 13] = [
    "access_denied",
    "admin_policy_enforced",
    "deleted_client",
    "invalid_client",
    "invalid_grant",
    "invalid_request",
    "invalid_scope",
    "invalid_target",
    "org_internal",
    "rate_limit_exceeded",
    "temporarily_unavailable",
    "unauthorized_client",
    "unsupported_grant_type",
];

/// The status in the words of the HTTP client: `HTTP status client error (400 Bad Request) for url (…)`.
fn http_status(text: &str) -> Option<u16> {
    let rest = text.strip_prefix("HTTP status ")?.split_once(" error (")?.1;
    rest.get(..3)?.parse().ok()
}

/// What the credentials crate says beside something that it quotes, in our words.
fn known_failure(text: &str) -> Option<&'static str> {
    const KNOWN: [(&str, &str); 12] = [
        (
            "failed to read subject token field",
            "the answer has no text in the field that `subject_token_field_name` names",
        ),
        (
            "executables need to be explicitly allowed",
            "its program may be run only with GOOGLE_EXTERNAL_ACCOUNT_ALLOW_EXECUTABLES=1",
        ),
        ("command execution failed", "its program failed; run it yourself to see what it says"),
        (
            "response contains unsuccessful response",
            "its program says that it has no token; run it yourself to see why",
        ),
        (
            "response must include `code` and `message`",
            "its program says that it has no token; run it yourself to see why",
        ),
        ("subject token is empty", "its program returned nothing"),
        ("the token returned by the executable is expired", "its program returned a token that has expired"),
        ("missing `id_token` field", "its program returned no `id_token`"),
        ("missing `saml_response` field", "its program returned no `saml_response`"),
        ("contains unsupported token type", "its program returned a token of another type"),
        ("could not resolve AWS", "the AWS metadata server returned no region, role or credentials"),
        ("error sending request", "it cannot be reached"),
    ];
    KNOWN.iter().find(|(words, _)| text.contains(words)).map(|(_, meaning)| *meaning)
}
