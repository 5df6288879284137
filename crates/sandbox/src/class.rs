//! What kind of a request it is: the words that the log and the quotas use.

use serde::Serialize;

/// Which of the services a request is for.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Api {
    Kubernetes,
    SecretManager,
    Container,
}

/// What a request counts as.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Class {
    Write,
    /// Secret Manager: a get or a list.
    MetadataRead,
    /// Secret Manager: it reads a payload.
    Access,
    /// Kubernetes: a get, a list, or a review of what is allowed. Kubernetes Engine: a get or a list.
    Read,
    Watch,
    /// Kubernetes: what the server serves, and whether it is well.
    Discovery,
}
