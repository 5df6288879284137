//! Names of things, parsed once at the edge; inside, holding the type is the proof.

use std::fmt;
use std::num::NonZeroU64;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// A name that does not fit; says which rule it breaks.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{kind} `{given}` {rule}")]
pub struct NameError {
    pub(super) kind: &'static str,
    pub(super) given: String,
    pub(super) rule: &'static str,
}

/// Makes a checked string type: parsed with `FromStr`, by serde through the same door, shown as it is.
macro_rules! name {
    ($(#[$doc:meta])* $name:ident, $kind:literal, $check:expr) => {
        $(#[$doc])*
        #[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd, Deserialize, Serialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(String);

        impl $name {
            /// The name as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl std::str::FromStr for $name {
            type Err = NameError;

            fn from_str(given: &str) -> Result<Self, NameError> {
                let check: fn(&str) -> Result<(), &'static str> = $check;
                match check(given) {
                    Ok(()) => Ok($name(given.to_owned())),
                    Err(rule) => Err(NameError { kind: $kind, given: printable(given), rule }),
                }
            }
        }

        impl TryFrom<String> for $name {
            type Error = NameError;

            fn try_from(given: String) -> Result<Self, NameError> {
                given.parse()
            }
        }

        impl From<$name> for String {
            fn from(name: $name) -> String {
                name.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

name!(
    /// An account: one customer. Also its namespace, and the prefix of its secrets' names.
    ///
    /// A DNS label of Kubernetes (RFC 1123): 1 to 63 lower-case letters, digits and `-`, a letter or digit at both ends.
    AccountName,
    "account",
    dns_label
);

name!(
    /// Id of a Secret Manager secret: 1 to 255 ASCII letters, digits, `-` or `_`.
    SecretId,
    "secret",
    |given| {
        let fits = given.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_');
        if given.is_empty() || given.len() > 255 || !fits {
            return Err("is not a Secret Manager id (1 to 255 letters, digits, `-` or `_`)");
        }
        Ok(())
    }
);

name!(
    /// Id of a Google Cloud project: lower-case letters, digits and `-`, with an optional `domain:` before it.
    ProjectId,
    "project",
    |given| {
        let fits = given.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'-' | b':' | b'.'));
        if given.is_empty() || given.len() > 63 || !fits {
            return Err("is not a Google Cloud project id (lower-case letters, digits and `-`)");
        }
        Ok(())
    }
);

name!(
    /// A Google Cloud location of regional secrets, such as `europe-west1`.
    LocationId,
    "location",
    dns_label
);

name!(
    /// Name of a namespaced Kubernetes object (RFC 1123 subdomain, at most 253 characters).
    ObjectName,
    "name",
    |given| {
        if given.is_empty() || given.len() > 253 || !given.split('.').all(|part| dns_label_of(part, 253).is_ok()) {
            return Err("is not a Kubernetes name (lower-case letters, digits, `-` and `.`)");
        }
        Ok(())
    }
);

name!(
    /// Id of a run over accounts (`--run`). It stands in the record of each account, and may be the name of a Job: a label of Kubernetes.
    RunId,
    "run",
    dns_label
);

impl RunId {
    /// How a made id tells when its run began.
    const TIME: &str = "%Y%m%dt%H%M%S";

    /// An id that tells when the run began; `fresh` tells it from those that are made in the same second.
    pub fn made(at: Timestamp, fresh: u32) -> RunId {
        RunId(format!("{}-{fresh:08x}", at.strftime(RunId::TIME)))
    }

    /// When the run began, where the id was made and so tells it.
    pub fn began(&self) -> Option<Timestamp> {
        let (time, fresh) = self.0.split_once('-')?;
        let is_made = fresh.len() == 8 && fresh.bytes().all(|b| b.is_ascii_hexdigit());
        let time = jiff::civil::DateTime::strptime(RunId::TIME, time).ok().filter(|_| is_made)?;
        Some(time.to_zoned(jiff::tz::TimeZone::UTC).ok()?.timestamp())
    }
}

fn dns_label(given: &str) -> Result<(), &'static str> {
    dns_label_of(given, 63)
}

fn dns_label_of(given: &str, most: usize) -> Result<(), &'static str> {
    let inner = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    let edge = |b: Option<&u8>| b.is_some_and(|b| *b != b'-');
    let bytes = given.as_bytes();
    if bytes.len() > most || !bytes.iter().copied().all(inner) || !edge(bytes.first()) || !edge(bytes.last()) {
        return Err(
            "is not a Kubernetes label (1 to 63 lower-case letters, digits and `-`, none of them `-` at an end)",
        );
    }
    Ok(())
}

/// Things one after the other, for people: `v7, v8`.
pub fn listed<T: ToString>(things: &[T]) -> String {
    things.iter().map(T::to_string).collect::<Vec<_>>().join(", ")
}

/// `given` with every character replaced that acts: an error message must not carry terminal escapes.
pub fn printable(given: &str) -> String {
    given.chars().map(|c| if acts(c) { char::REPLACEMENT_CHARACTER } else { c }).collect()
}

/// Whether a character does something else than show itself: controls, direction overrides, what is invisible.
pub fn acts(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}' | '\u{feff}'
            | '\u{200e}'..='\u{200f}' // direction marks
            | '\u{2028}'..='\u{202e}' // line and paragraph separators, direction overrides
            | '\u{2060}'..='\u{206f}' // direction isolates and their like
            | '\u{fff9}'..='\u{fffb}'
            | '\u{e0000}'..='\u{e007f}') // tags: text that no terminal shows
}

/// Number of a secret version. Never `latest`: an alias can move while we work.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd, Deserialize, Serialize)]
#[serde(transparent)]
pub struct VersionId(NonZeroU64);

impl VersionId {
    /// The first version of every secret.
    pub const FIRST: VersionId = VersionId(NonZeroU64::MIN);

    /// The version with this number; none for 0, which Secret Manager never gives out.
    pub fn new(number: u64) -> Option<VersionId> {
        NonZeroU64::new(number).map(VersionId)
    }

    /// The number.
    pub fn get(self) -> u64 {
        self.0.get()
    }

    /// The number that the next version gets: Secret Manager counts upward without gaps.
    pub fn next(self) -> VersionId {
        VersionId(self.0.saturating_add(1))
    }

    /// The version before this one; none before the first.
    pub fn previous(self) -> Option<VersionId> {
        VersionId::new(self.get() - 1)
    }
}

impl std::str::FromStr for VersionId {
    type Err = NameError;

    fn from_str(given: &str) -> Result<Self, NameError> {
        given.parse().ok().and_then(VersionId::new).ok_or(NameError {
            kind: "version",
            given: printable(given),
            rule: "is not a version number",
        })
    }
}

/// As operators write it: `v7`.
impl fmt::Display for VersionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "v{}", self.0)
    }
}

/// Where secrets live: a project, and a location when they are regional.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct SecretHome {
    pub project: ProjectId,
    /// The location of regional secrets; none for global ones.
    pub location: Option<LocationId>,
}

/// As Secret Manager's API names a parent: `projects/P` or `projects/P/locations/L`.
impl fmt::Display for SecretHome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "projects/{}", self.project)?;
        match &self.location {
            Some(location) => write!(f, "/locations/{location}"),
            None => Ok(()),
        }
    }
}

/// The kinds of workload that a restart can roll.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd, Deserialize, Serialize)]
pub enum WorkloadKind {
    /// `apps/v1` Deployment.
    Deployment,
    /// `apps/v1` StatefulSet.
    StatefulSet,
    /// `apps/v1` DaemonSet.
    DaemonSet,
}

impl WorkloadKind {
    pub const ALL: [WorkloadKind; 3] = [WorkloadKind::Deployment, WorkloadKind::StatefulSet, WorkloadKind::DaemonSet];

    /// The kind as the API spells it.
    pub fn as_str(self) -> &'static str {
        match self {
            WorkloadKind::Deployment => "Deployment",
            WorkloadKind::StatefulSet => "StatefulSet",
            WorkloadKind::DaemonSet => "DaemonSet",
        }
    }

    /// The resource in API paths and RBAC rules.
    pub fn plural(self) -> &'static str {
        match self {
            WorkloadKind::Deployment => "deployments",
            WorkloadKind::StatefulSet => "statefulsets",
            WorkloadKind::DaemonSet => "daemonsets",
        }
    }
}

/// A workload in the account's namespace, written `deployment/admin` as kubectl does.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd, Deserialize, Serialize)]
#[serde(try_from = "String", into = "String")]
pub struct WorkloadRef {
    pub kind: WorkloadKind,
    pub name: ObjectName,
}

impl fmt::Display for WorkloadRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.kind.as_str().to_ascii_lowercase(), self.name)
    }
}

impl std::str::FromStr for WorkloadRef {
    type Err = NameError;

    /// Takes kubectl's spellings: `deployment/x`, `deployments/x`, `deploy/x`, `deployments.apps/x`, in any case.
    fn from_str(given: &str) -> Result<Self, NameError> {
        let wrong = |rule| NameError { kind: "workload", given: printable(given), rule };
        let (kind, name) =
            given.split_once('/').ok_or_else(|| wrong("is not KIND/NAME, as in `deployment/backend`"))?;
        let kind = match kind.to_ascii_lowercase().trim_end_matches(".apps") {
            "deployment" | "deployments" | "deploy" => WorkloadKind::Deployment,
            "statefulset" | "statefulsets" | "sts" => WorkloadKind::StatefulSet,
            "daemonset" | "daemonsets" | "ds" => WorkloadKind::DaemonSet,
            _ => return Err(wrong("has a kind that cannot be restarted (deployment, statefulset or daemonset)")),
        };
        Ok(WorkloadRef { kind, name: name.parse()? })
    }
}

impl TryFrom<String> for WorkloadRef {
    type Error = NameError;

    fn try_from(given: String) -> Result<Self, NameError> {
        given.parse()
    }
}

impl From<WorkloadRef> for String {
    fn from(workload: WorkloadRef) -> String {
        workload.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_checked_at_the_edge() {
        for (given, fits) in
            [("acme", true), ("a-1", true), ("", false), ("-a", false), ("a-", false), ("Acme", false), ("a.b", false)]
        {
            assert_eq!(given.parse::<AccountName>().is_ok(), fits, "{given:?}");
        }
        assert!("a".repeat(63).parse::<AccountName>().is_ok());
        assert!("a".repeat(64).parse::<AccountName>().is_err());
        assert!("a".repeat(253).parse::<ObjectName>().is_ok());
        assert!("a".repeat(254).parse::<ObjectName>().is_err());
        let plurals = WorkloadKind::ALL.map(WorkloadKind::plural);
        assert_eq!(plurals, ["deployments", "statefulsets", "daemonsets"]);
        for (given, fits) in [("acme_account_secret", true), ("A-1", true), ("a/b", false), ("", false), ("é", false)]
        {
            assert_eq!(given.parse::<SecretId>().is_ok(), fits, "{given:?}");
        }
        assert!("x".repeat(256).parse::<SecretId>().is_err());
    }

    #[test]
    fn an_error_carries_no_terminal_escape() {
        let error = "a\u{1b}[31m".parse::<AccountName>().expect_err("an escape is not a name").to_string();
        assert!(!error.contains('\u{1b}'), "{error:?}");
    }

    #[test]
    fn workloads_are_spelled_as_kubectl_spells_them() {
        for given in ["deployment/admin", "deploy/admin", "Deployments/admin", "deployments.apps/admin"] {
            assert_eq!(
                given.parse::<WorkloadRef>().map(|w| w.to_string()).as_deref(),
                Ok("deployment/admin"),
                "{given}"
            );
        }
        assert!("pod/x".parse::<WorkloadRef>().is_err());
        assert!("admin".parse::<WorkloadRef>().is_err());
    }

    #[test]
    fn a_made_run_tells_when_it_began_and_a_given_one_need_not() {
        let at: Timestamp = "2026-11-30T19:47:03Z".parse().expect("a time");
        let made = RunId::made(at, 0x3f2a);
        assert_eq!((made.as_str(), made.began()), ("20261130t194703-00003f2a", Some(at)));
        assert_eq!(made.as_str().parse::<RunId>().as_ref(), Ok(&made));
        for given in ["nightly-28", "20261130t194703", "20261130t194703-job", "20261330t194703-00003f2a"] {
            assert_eq!(given.parse::<RunId>().expect("a fit id").began(), None, "{given}");
        }
        for unfit in ["", "Nightly", "a/b", "a,b", "a b", &"a".repeat(64)] {
            assert!(unfit.parse::<RunId>().is_err(), "{unfit:?}");
        }
    }

    #[test]
    fn versions_count_from_one() {
        assert_eq!(VersionId::new(0), None);
        assert_eq!(VersionId::FIRST.previous(), None);
        assert_eq!(VersionId::FIRST.next().to_string(), "v2");
    }
}
