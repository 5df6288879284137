//! What goes wrong on demand: the catalogue of faults, how they are written, and which are in force now.
//!
//! It only keeps count. What a fault does is done by the part of the sandbox that asks for it.

use std::str::FromStr;
use std::sync::{Mutex, MutexGuard};
use std::time::Duration;

#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Fault {
    /// One of the names in the catalogue.
    pub name: &'static str,
    /// How often, how long, or where; its form depends on the name.
    pub value: Option<String>,
}

/// The form of a fault's value.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Form {
    /// The fault takes no value.
    Nothing,
    /// A length of time: `500ms`, `10s`, `2m`.
    Duration,
    /// A length of time, or nothing for "for ever".
    OptionalDuration,
    /// How many times, or the how-manieth.
    Number,
    /// The how-manieth request; of one operation when that is put before it, as in `addSecretVersion:2`.
    Nth,
    /// How many times; nothing is once.
    OptionalNumber,
    /// Whole seconds.
    Seconds,
    /// Whole seconds, with a minus for "behind".
    SignedSeconds,
    /// An operation such as `addSecretVersion` or `patch/deployments`; nothing is the next request that changes something.
    Operation,
    /// The name of an object; nothing is all of them.
    OptionalName,
    /// `VERB/RESOURCE` as in RBAC; `*` stands for any.
    VerbResource,
    /// A permission such as `secretmanager.versions.add`.
    Permission,
    /// `v1beta1`, or `none`.
    Api,
}

impl Form {
    /// How help shows it, to be put behind the name.
    pub fn usage(self) -> &'static str {
        match self {
            Form::Nothing => "",
            Form::Duration => "=DURATION",
            Form::OptionalDuration => "[=DURATION]",
            Form::Number => "=N",
            Form::Nth => "=[OPERATION:]N",
            Form::OptionalNumber => "[=N]",
            Form::Seconds => "=SECONDS",
            Form::SignedSeconds => "=[-]SECONDS",
            Form::Operation => "[=OPERATION]",
            Form::OptionalName => "[=NAME]",
            Form::VerbResource => "=VERB/RESOURCE",
            Form::Permission => "=PERMISSION",
            Form::Api => "=v1beta1|none",
        }
    }
}

#[derive(Clone, Copy, Debug)]
pub struct FaultKind {
    pub name: &'static str,
    pub value: Form,
    pub summary: &'static str,
}

const fn kind(name: &'static str, value: Form, summary: &'static str) -> FaultKind {
    FaultKind { name, value, summary }
}

/// Every fault there is, in the order in which `sandbox faults` shows them.
pub fn catalogue() -> &'static [FaultKind] {
    const CATALOGUE: &[FaultKind] = &[
        kind("hang", Form::Operation, "a request is never answered and has no effect, once"),
        kind(
            "lost-answer",
            Form::Operation,
            "a request has its effect, but the connection closes without an answer, once",
        ),
        kind("reset", Form::Operation, "the connection closes before a request has its effect, once"),
        kind("hold", Form::Nth, "the N-th request from now (of this operation) is held for ever before its effect"),
        kind(
            "hold-answer",
            Form::Nth,
            "the N-th request from now (of this operation) has its effect, its answer is held for ever",
        ),
        kind("conflict", Form::Number, "the next N updates and patches in Kubernetes answer 409"),
        kind("too-many-requests", Form::Number, "the next N requests answer 429"),
        kind("too-many-requests-retry-after", Form::Seconds, "the next 2 requests answer 429 with Retry-After"),
        kind("unavailable", Form::Number, "the next N requests answer 503"),
        kind("internal-error", Form::Number, "the next N requests answer 500"),
        kind("forbidden", Form::VerbResource, "Kubernetes refuses this verb on this resource, and says so when asked"),
        kind("denied", Form::Permission, "Secret Manager refuses this permission, and says so when asked"),
        kind("test-permissions-denied", Form::Nothing, "Secret Manager refuses to say which permissions there are"),
        kind("stale-latest", Form::Duration, "for that long after an add, `latest` and lists answer as before"),
        kind("etag-mismatch", Form::Nothing, "the next disable with an etag finds that the version has changed"),
        kind(
            "external-secrets-denied",
            Form::OptionalDuration,
            "External Secrets cannot read a newly created secret, for that long or for ever",
        ),
        kind(
            "external-secrets-api",
            Form::Api,
            "the cluster serves the API of External Secrets as v1beta1 alone, or not at all",
        ),
        kind("watch-closed", Form::Duration, "every watch is cut after that long"),
        kind("watch-expired", Form::OptionalNumber, "a watch from a given resourceVersion answers 410 Gone"),
        kind("sync-failing", Form::OptionalName, "this ExternalSecret, or every one, fails to sync"),
        kind("sync-slow", Form::Duration, "External Secrets takes that long for each sync, one after another"),
        kind("rollout-stuck", Form::OptionalName, "new pods of this workload, or of all, never become Ready"),
        kind("job-not-starting", Form::Nothing, "the image of a Job's pod cannot be pulled"),
        kind("job-failing", Form::Nothing, "the command of a Job exits with 1, whatever it is"),
        kind("job-hanging", Form::Nothing, "the command of a Job never ends"),
        kind("pod-slow-to-stop", Form::Duration, "old pods stay Terminating for that long"),
        kind(
            "old-value-pod",
            Form::Nothing,
            "while a restart is under way, a Kubernetes Secret falls back to the previous value until the next sync, once",
        ),
        kind("reloader", Form::Nothing, "Stakater Reloader is there, and the consumers carry its annotations"),
        kind("gitops", Form::Nothing, "a GitOps controller takes unknown pod-template annotations away again"),
        kind("scheduled-sync", Form::Duration, "the refresh interval of every ExternalSecret"),
        kind("pod-churn", Form::Duration, "a random consumer pod is replaced that often"),
        kind(
            "clock-skew",
            Form::SignedSeconds,
            "the clock of the Kubernetes API is that far ahead of every other one, or behind",
        ),
    ];
    CATALOGUE
}

/// Why a fault could not be understood.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum FaultError {
    /// No fault has that name.
    #[error("there is no fault `{name}`{}", suggestion(.near))]
    Unknown { name: String, near: Vec<&'static str> },
    /// The value does not have the form that this fault takes.
    #[error("fault `{name}` is written `{name}{}`{}", .form.usage(), given(.value))]
    Value { name: &'static str, form: Form, value: Option<String> },
}

fn suggestion(near: &[&str]) -> String {
    match near {
        [] => ": `sandbox faults` lists them".to_owned(),
        near => {
            format!(": did you mean {}?", near.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(" or "))
        }
    }
}

fn given(value: &Option<String>) -> String {
    match value {
        Some(value) => format!(", `{value}` does not fit"),
        None => ", the value is missing".to_owned(),
    }
}

impl FromStr for Fault {
    type Err = FaultError;

    /// Reads `NAME` or `NAME=VALUE`.
    fn from_str(text: &str) -> Result<Self, FaultError> {
        match text.split_once('=') {
            Some((name, value)) => Fault::new(name, Some(value)),
            None => Fault::new(text, None),
        }
    }
}

impl Fault {
    /// Checks the name against the catalogue and the value against the form that the name asks for.
    pub fn new(name: &str, value: Option<&str>) -> Result<Self, FaultError> {
        let name = name.trim();
        let value = value.map(str::trim).filter(|value| !value.is_empty());
        let Some(kind) = find(name) else {
            return Err(FaultError::Unknown { name: name.to_owned(), near: near(name) });
        };
        let fits = match (kind.value, value) {
            (Form::Nothing, value) => value.is_none(),
            (Form::Operation | Form::OptionalName, _) => true,
            (form, None) => matches!(form, Form::OptionalDuration | Form::OptionalNumber),
            (Form::Duration | Form::OptionalDuration, Some(value)) => duration(value).is_some(),
            (Form::Number | Form::OptionalNumber, Some(value)) => value.parse::<u64>().is_ok_and(|number| number > 0),
            (Form::Nth, Some(value)) => nth(value).1.is_some_and(|number| number > 0),
            (Form::Seconds, Some(value)) => value.parse::<u32>().is_ok(),
            (Form::SignedSeconds, Some(value)) => value.parse::<i32>().is_ok(),
            (Form::VerbResource, Some(value)) => {
                value.split_once('/').is_some_and(|(verb, resource)| !verb.is_empty() && !resource.is_empty())
            }
            (Form::Permission, Some(value)) => value.starts_with("secretmanager."),
            (Form::Api, Some(value)) => matches!(value, "v1beta1" | "none"),
        };
        if !fits {
            return Err(FaultError::Value { name: kind.name, form: kind.value, value: value.map(str::to_owned) });
        }
        Ok(Fault { name: kind.name, value: value.map(str::to_owned) })
    }
}

fn find(name: &str) -> Option<&'static FaultKind> {
    catalogue().iter().find(|kind| kind.name == name)
}

/// The names that somebody who typed `name` may have meant.
fn near(name: &str) -> Vec<&'static str> {
    let mut near: Vec<(usize, &'static str)> = catalogue()
        .iter()
        .map(|kind| {
            let part = !name.is_empty() && (kind.name.contains(name) || name.contains(kind.name));
            (if part { 0 } else { strsim::levenshtein(name, kind.name) }, kind.name)
        })
        .filter(|(distance, candidate)| *distance <= candidate.len() / 3)
        .collect();
    near.sort();
    near.into_iter().take(3).map(|(_, name)| name).collect()
}

/// Reads `500ms`, `1.5s`, `10s`, `2m`, `1h`; a bare number is seconds.
pub(super) fn duration(text: &str) -> Option<Duration> {
    let is_bare = text.ends_with(|letter: char| letter.is_ascii_digit());
    let text = if is_bare { format!("{text}s") } else { text.to_owned() };
    text.parse::<jiff::SignedDuration>().ok()?.try_into().ok()
}

/// Reads `N` or `OPERATION:N`.
fn nth(value: &str) -> (Option<&str>, Option<u64>) {
    match value.rsplit_once(':') {
        Some((operation, number)) => (Some(operation), number.parse().ok()),
        None => (None, value.parse().ok()),
    }
}

#[derive(Debug, Default)]
pub struct Faults {
    active: Mutex<Vec<Active>>,
}

/// A fault in force, and how often it still strikes; none is "until it is removed".
#[derive(Debug)]
struct Active {
    fault: Fault,
    left: Option<u64>,
}

impl Active {
    fn new(fault: Fault) -> Self {
        let number = fault.value.as_deref().and_then(|value| value.parse().ok());
        let left = match find(fault.name).map_or(Form::Nothing, |kind| kind.value) {
            Form::Number => number,
            Form::Nth => fault.value.as_deref().and_then(|value| nth(value).1),
            Form::OptionalNumber => number,
            Form::Operation => Some(1),
            Form::Seconds => Some(2),
            _ => None,
        };
        Active { fault, left }
    }
}

impl Faults {
    /// Puts these in force.
    pub fn new(faults: impl IntoIterator<Item = Fault>) -> Self {
        Faults { active: Mutex::new(faults.into_iter().map(Active::new).collect()) }
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Active>> {
        self.active.lock().expect("no code panics while it holds the faults")
    }

    /// Puts one more in force, from now on.
    pub fn add(&self, fault: Fault) {
        self.lock().push(Active::new(fault));
    }

    /// Ends every fault of this name; false when there was none.
    pub fn remove(&self, name: &str) -> bool {
        let mut active = self.lock();
        let before = active.len();
        active.retain(|one| one.fault.name != name);
        active.len() != before
    }

    pub fn list(&self) -> Vec<Fault> {
        self.lock().iter().map(|one| one.fault.clone()).collect()
    }

    pub fn active(&self, name: &str) -> bool {
        self.lock().iter().any(|one| one.fault.name == name)
    }

    /// The fault's value as a duration; none when it is not in force or has no such value.
    pub fn duration(&self, name: &str) -> Option<Duration> {
        duration(&self.value(name)?)
    }

    /// The fault's value; none when it is not in force or has no value. Given several times, the last one counts.
    pub fn value(&self, name: &str) -> Option<String> {
        self.values(name).pop()
    }

    /// The fault's value as seconds; 0 when it is not in force.
    pub fn seconds(&self, name: &str) -> i64 {
        self.value(name).and_then(|value| value.parse().ok()).unwrap_or(0)
    }

    /// The values of a fault that may be given several times (`forbidden`, `denied`, `sync-failing`).
    pub fn values(&self, name: &str) -> Vec<String> {
        self.lock().iter().filter(|one| one.fault.name == name).filter_map(|one| one.fault.value.clone()).collect()
    }

    /// Uses up one of the N times of a fault given as a number; a fault without a number counts as 1.
    pub fn take(&self, name: &str) -> bool {
        self.take_where(name, |_| true)
    }

    /// Uses up `hang`, `lost-answer` or `reset` if it waits for this operation, or for any that changes something.
    pub fn take_for(&self, name: &str, operation: &str, mutating: bool) -> bool {
        self.take_where(name, |fault| match &fault.value {
            Some(wanted) => wanted == operation,
            None => mutating,
        })
    }

    /// Counts one request for `hold` and `hold-answer`; true when it is the one that was meant.
    pub fn reached(&self, name: &str, operation: &str) -> bool {
        let mut reached = false;
        self.lock().retain_mut(|one| {
            let other =
                one.fault.value.as_deref().and_then(|value| nth(value).0).is_some_and(|wanted| wanted != operation);
            if one.fault.name != name || other {
                return true;
            }
            let left = one.left.unwrap_or(1).saturating_sub(1);
            one.left = Some(left);
            reached |= left == 0;
            left > 0
        });
        reached
    }

    /// Whether `forbidden=VERB/RESOURCE` is in force for these; a subresource is written `pods/log`.
    pub fn forbids(&self, verb: &str, resource: &str) -> bool {
        self.values("forbidden").iter().any(|value| {
            value
                .split_once('/')
                .is_some_and(|(forbidden, of)| (forbidden == "*" || forbidden == verb) && (of == "*" || of == resource))
        })
    }

    /// Whether `denied=PERMISSION` is in force for this one; a `*` at the end stands for any rest.
    pub fn denies(&self, permission: &str) -> bool {
        self.values("denied").iter().any(|value| match value.strip_suffix('*') {
            Some(start) => permission.starts_with(start),
            None => value == permission,
        })
    }

    fn take_where(&self, name: &str, mut fits: impl FnMut(&Fault) -> bool) -> bool {
        let mut active = self.lock();
        let Some(index) = active.iter().position(|one| one.fault.name == name && fits(&one.fault)) else {
            return false;
        };
        let left = active[index].left.unwrap_or(1).saturating_sub(1);
        active[index].left = Some(left);
        if left == 0 {
            active.remove(index);
        }
        true
    }
}

#[cfg(test)]
mod tests;
