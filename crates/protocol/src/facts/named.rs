//! Readers by name, as an operator says what becomes of them: `--evict KIND/NAME`, `--leave KIND/NAME`.

use std::fmt;
use std::str::FromStr;

use super::names::{NameError, ObjectName, WorkloadRef, printable};

/// A reader by kind and name: a workload, an owner of any kind, or a pod.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct ReaderName {
    /// Its kind, in small letters and as one: `deployment`, `rollout`, `pod`.
    kind: String,
    name: String,
}

/// kubectl's other spellings of the kinds that it knows.
const SPELLINGS: [(&str, &[&str]); 9] = [
    ("cronjob", &["cronjobs", "cj"]),
    ("daemonset", &["daemonsets", "ds"]),
    ("deployment", &["deployments", "deploy"]),
    ("job", &["jobs"]),
    ("pod", &["pods", "po"]),
    ("replicaset", &["replicasets", "rs"]),
    ("replicationcontroller", &["replicationcontrollers", "rc"]),
    ("rollout", &["rollouts", "ro"]),
    ("statefulset", &["statefulsets", "sts"]),
];

impl ReaderName {
    /// The reader of this kind and name, as an object says both.
    pub fn of(kind: &str, name: &str) -> ReaderName {
        ReaderName { kind: kind.to_ascii_lowercase(), name: name.to_owned() }
    }

    pub fn kind(&self) -> &str {
        &self.kind
    }

    pub fn name(&self) -> &str {
        &self.name
    }
}

impl FromStr for ReaderName {
    type Err = NameError;

    /// Takes kubectl's spellings: `rollout/x`, `rollouts/x`, `rollout.argoproj.io/x`, in any case.
    fn from_str(given: &str) -> Result<ReaderName, NameError> {
        let wrong = |rule| NameError { kind: "reader", given: printable(given), rule };
        let (kind, name) = given
            .split_once('/')
            .ok_or_else(|| wrong("is not KIND/NAME, as in `rollout/checkout` or `pod/import-1`"))?;
        let kind = kind.split('.').next().unwrap_or_default().to_ascii_lowercase();
        if kind.is_empty() || !kind.chars().all(|c| c.is_ascii_alphanumeric()) {
            return Err(wrong("has no kind: KIND/NAME, as in `rollout/checkout` or `pod/import-1`"));
        }
        let known = SPELLINGS.iter().find(|(_, others)| others.contains(&kind.as_str()));
        let kind = known.map_or(kind, |(kind, _)| (*kind).to_owned());
        Ok(ReaderName { kind, name: name.parse::<ObjectName>()?.to_string() })
    }
}

impl fmt::Display for ReaderName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.kind, self.name)
    }
}

impl From<&WorkloadRef> for ReaderName {
    fn from(workload: &WorkloadRef) -> ReaderName {
        ReaderName::of(workload.kind.as_str(), workload.name.as_str())
    }
}

/// A flag with each of these names, as words of a command.
pub fn flags<'a>(flag: &'a str, names: &'a [ReaderName]) -> impl Iterator<Item = String> + 'a {
    names.iter().flat_map(move |name| [flag.to_owned(), name.to_string()])
}

/// What the operator says of one reader.
#[derive(Clone, Copy, Debug, Default, Eq, Ord, PartialEq, PartialOrd)]
pub enum Word {
    /// Nothing.
    #[default]
    None,
    /// Its pods are evicted, one after the other, so that what owns them makes new ones.
    Evict,
    /// It is not moved, and not waited for.
    Leave,
}

/// What the operator says of readers.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Words {
    pub evict: Vec<ReaderName>,
    /// Those that are left.
    pub leave: Vec<ReaderName>,
}

impl Words {
    /// What is said of the reader that goes by these names: its own, and those of what owns it. Who is to be left is left, whatever
    /// is said of its owner.
    pub fn of(&self, names: &[ReaderName]) -> Word {
        let said = |of: &[ReaderName]| names.iter().any(|name| of.contains(name));
        match (said(&self.leave), said(&self.evict)) {
            (true, _) => Word::Leave,
            (false, true) => Word::Evict,
            (false, false) => Word::None,
        }
    }

    /// A name of which both are said.
    pub fn contradiction(&self) -> Option<&ReaderName> {
        self.evict.iter().find(|name| self.leave.contains(name))
    }

    /// As flags of a command.
    pub fn flags(&self) -> impl Iterator<Item = String> {
        flags("--evict", &self.evict).chain(flags("--leave", &self.leave))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(given: &str) -> ReaderName {
        given.parse().expect("a fit name")
    }

    #[test]
    fn a_reader_is_named_as_kubectl_spells_it() {
        for (given, read) in [
            ("rollout/checkout", Some("rollout/checkout")),
            ("Rollouts.argoproj.io/checkout", Some("rollout/checkout")),
            ("deploy/web", Some("deployment/web")),
            ("deployments.apps/web", Some("deployment/web")),
            ("po/import-1", Some("pod/import-1")),
            ("cluster/db", Some("cluster/db")),
            ("checkout", None),
            ("/checkout", None),
            ("rollout/", None),
            ("rollout/Check Out", None),
        ] {
            let found = given.parse::<ReaderName>().ok().map(|name| name.to_string());
            assert_eq!(found.as_deref(), read, "{given}");
        }
        assert_eq!(ReaderName::of("Rollout", "checkout"), name("rollout/checkout"));
    }

    #[test]
    fn a_word_for_an_owner_is_for_its_pods_and_one_for_a_pod_goes_before_it() {
        let words = Words { evict: vec![name("rollout/checkout")], leave: vec![name("pod/checkout-2")] };
        let pod = |own: &str| [name(own), name("replicaset/checkout-5df7"), name("rollout/checkout")];
        assert_eq!(words.of(&pod("pod/checkout-1")), Word::Evict);
        assert_eq!(words.of(&pod("pod/checkout-2")), Word::Leave);
        assert_eq!(words.of(&[name("pod/other")]), Word::None);
        assert_eq!(words.contradiction(), None);
        let flags: Vec<String> = words.flags().collect();
        assert_eq!(flags, ["--evict", "rollout/checkout", "--leave", "pod/checkout-2"]);
        let both = Words { leave: words.evict.clone(), ..words };
        assert_eq!(both.contradiction(), Some(&name("rollout/checkout")));
    }
}
