//! What was seen of a seed from outside: the sandbox's own history, read into types that checks can be tested with.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::script::Goal;

/// A version of a secret, at one moment.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Version {
    pub number: u64,
    pub state: State,
    /// The number of its value; none once it is destroyed.
    pub value: Option<usize>,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum State {
    Enabled,
    Disabled,
    Destroyed,
}

/// The account's two secrets at one moment, oldest version first.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Secrets {
    pub primary: Vec<Version>,
    pub back_compat: Vec<Version>,
}

impl Secrets {
    /// The value of the primary's newest version.
    pub fn in_use(&self) -> Option<usize> {
        self.primary.last().and_then(|version| version.value)
    }

    /// The value of the back-compat's newest version.
    pub fn kept(&self) -> Option<usize> {
        self.back_compat.last().and_then(|version| version.value)
    }

    /// Whether this value can be read from an enabled version of either.
    pub fn holds(&self, value: usize) -> bool {
        let all = self.primary.iter().chain(&self.back_compat);
        all.into_iter().any(|version| version.state == State::Enabled && version.value == Some(value))
    }
}

/// One thing that happened.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Event {
    /// Secret Manager was written to.
    Stored { door: usize, operation: String, now: Secrets },
    /// The lock was written.
    Lock { door: usize, holder: Option<String> },
    /// Something else was written in the cluster.
    Wrote { door: usize, operation: String },
    /// A pod read its environment.
    Started { uid: String, owner: String, primary: Option<usize>, back_compat: Option<usize> },
    /// A pod is gone.
    Gone { uid: String },
}

/// A chapter's place in the history.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Span {
    pub goal: Goal,
    /// The first event of it.
    pub from: usize,
    /// The first event after it.
    pub to: usize,
    /// Whether it was brought to its end.
    pub finished: bool,
    /// Whether somebody deleted the lock meanwhile.
    pub unlocked: bool,
}

/// A run that ended by itself and says that all is done, and what was there at that moment.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Success {
    pub goal: Goal,
    pub now: Secrets,
    /// The two values of each Kubernetes Secret, by name.
    pub kubernetes: Vec<(String, Option<usize>, Option<usize>)>,
    /// The pods that are there and have started: owner, primary, back-compat.
    pub pods: Vec<(String, Option<usize>, Option<usize>)>,
}

/// The workloads that read the account's secret.
pub const CONSUMERS: [&str; 3] = ["admin", "backend", "worker"];

fn number(value: &Value) -> Option<usize> {
    value.as_u64().and_then(|number| usize::try_from(number).ok())
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

/// The two values in a place of the cluster.
pub fn pair(values: &Value) -> (Option<usize>, Option<usize>) {
    (number(&values["SECRET_KEY"]), number(&values["SECRET_KEY_BACK_COMPAT"]))
}

/// The account's secrets in the sandbox's description of all.
pub fn secrets(described: &Value, account: &str) -> Secrets {
    let of = |name: String| -> Vec<Version> {
        let found = described.as_array().into_iter().flatten().find(|one| one["secret"] == name);
        let versions = found.and_then(|one| one["versions"].as_array()).into_iter().flatten();
        versions
            .map(|version| Version {
                number: version["version"].as_u64().unwrap_or_default(),
                state: match version["state"].as_str() {
                    Some("ENABLED") => State::Enabled,
                    Some("DISABLED") => State::Disabled,
                    _ => State::Destroyed,
                },
                value: number(&version["value"]),
            })
            .collect()
    };
    Secrets {
        primary: of(format!("{account}_account_secret")),
        back_compat: of(format!("{account}_account_secret_back_compat")),
    }
}

/// Reads the sandbox's history, as far as it is about this account.
pub fn events(history: &[Value], account: &str) -> Vec<Event> {
    history
        .iter()
        .map(|event| {
            let door = number(&event["door"]).unwrap_or_default();
            let operation = text(&event["operation"]);
            match () {
                () if event.get("secrets").is_some() => {
                    Event::Stored { door, operation, now: secrets(&event["secrets"], account) }
                }
                () if event.get("lease").is_some() => Event::Lock {
                    door,
                    holder: event["holder"].as_str().filter(|holder| !holder.is_empty()).map(str::to_owned),
                },
                () if event.get("pod").is_some() && event["namespace"] == account => {
                    let (primary, back_compat) = pair(&event["values"]);
                    Event::Started { uid: text(&event["uid"]), owner: text(&event["owner"]), primary, back_compat }
                }
                () if event.get("ended").is_some() => Event::Gone { uid: text(&event["uid"]) },
                () => Event::Wrote { door, operation },
            }
        })
        .collect()
}

/// What is there now, for a run that has just said that all is done.
pub fn success(goal: Goal, secrets_now: &Value, pods: &Value, account: &str) -> Success {
    let kubernetes = secrets_now["kubernetes"].as_array().into_iter().flatten();
    let kubernetes =
        kubernetes.filter(|secret| secret["namespace"] == account && !secret["values"]["SECRET_KEY"].is_null());
    let there = pods.as_array().into_iter().flatten().filter(|pod| {
        pod["namespace"] == account && pod["ended"].is_null() && CONSUMERS.iter().any(|owner| pod["owner"] == *owner)
    });
    let started = there.filter(|pod| !pod["values"].is_null());
    Success {
        goal,
        now: secrets(&secrets_now["secretManager"], account),
        kubernetes: kubernetes
            .map(|secret| {
                let (primary, back_compat) = pair(&secret["values"]);
                (text(&secret["name"]), primary, back_compat)
            })
            .collect(),
        pods: started
            .map(|pod| {
                let (primary, back_compat) = pair(&pod["values"]);
                (format!("{}/{}", text(&pod["owner"]), text(&pod["name"])), primary, back_compat)
            })
            .collect(),
    }
}

/// How many of each, for the figures.
pub type Counts = BTreeMap<String, usize>;
