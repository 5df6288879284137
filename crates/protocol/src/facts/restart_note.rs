//! What a restart of ours notes on a pod template, and so on its pods. A restart writes it, an observation reads it.

use std::collections::BTreeMap;

use super::names::{ObjectName, VersionId};

/// The primary's version that the pods start with. Written after its bytes were compared, by a restart of ours alone.
const VERSION: &str = "deepdesk.com/primary-version";
/// The version of the back-compat that was in the cluster beside it; empty where there was none.
const BACK_COMPAT: &str = "deepdesk.com/back-compat-version";
/// The Kubernetes Secrets that the pods read: `NAME=RESOURCE_VERSION,…`, each as it was when its bytes were compared.
const COMPARED: &str = "deepdesk.com/compared-secrets";
/// The id of the restart. Two restarts in one second differ by it.
const RESTART: &str = "deepdesk.com/restart";
/// What `kubectl rollout restart` writes; ours writes it too, so that both show alike.
const RESTARTED_AT: &str = "kubectl.kubernetes.io/restartedAt";

/// Every annotation that a restart writes.
pub const ANNOTATIONS: [&str; 5] = [VERSION, BACK_COMPAT, COMPARED, RESTART, RESTARTED_AT];

/// What the last restart of ours noted; nothing of it is there before the first.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct RestartNote {
    /// The primary's version.
    pub version: Option<VersionId>,
    pub back_compat: Option<VersionId>,
    /// The resource version of each Kubernetes Secret when its bytes were compared.
    pub compared: BTreeMap<ObjectName, String>,
    /// The id of the restart.
    pub restart: Option<String>,
}

impl RestartNote {
    /// What these annotations say; what was not written by us in them says nothing.
    pub fn read(annotations: Option<&BTreeMap<String, String>>) -> RestartNote {
        let noted = |name: &str| annotations.and_then(|all| all.get(name));
        let version = |name: &str| noted(name).and_then(|version| version.parse().ok());
        let pairs =
            noted(COMPARED).into_iter().flat_map(|text| text.split(',')).filter_map(|pair| pair.split_once('='));
        RestartNote {
            version: version(VERSION),
            back_compat: version(BACK_COMPAT),
            compared: pairs.filter_map(|(name, version)| Some((name.parse().ok()?, version.to_owned()))).collect(),
            restart: noted(RESTART).cloned(),
        }
    }
}

/// The annotations of a restart at this moment, which gives it an id that no other has. All five are always there, since those
/// of an earlier restart may stand on the template.
pub fn annotations(
    version: VersionId,
    back_compat: Option<VersionId>,
    compared: &BTreeMap<ObjectName, String>,
    at: jiff::Timestamp,
) -> BTreeMap<String, String> {
    let back_compat = back_compat.map(|version| version.get().to_string()).unwrap_or_default();
    let compared: Vec<String> = compared.iter().map(|(name, version)| format!("{name}={version}")).collect();
    BTreeMap::from([
        (VERSION.to_owned(), version.get().to_string()),
        (BACK_COMPAT.to_owned(), back_compat),
        (COMPARED.to_owned(), compared.join(",")),
        (RESTART.to_owned(), at.as_nanosecond().to_string()),
        (RESTARTED_AT.to_owned(), at.round(jiff::Unit::Second).unwrap_or(at).to_string()),
    ])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn version(number: u64) -> VersionId {
        number.to_string().parse().expect("a version")
    }

    fn compared(pairs: &[(&str, &str)]) -> BTreeMap<ObjectName, String> {
        pairs.iter().map(|(name, version)| (name.parse().expect("a name"), (*version).to_owned())).collect()
    }

    #[test]
    fn what_is_written_is_read() {
        let at: jiff::Timestamp = "2026-11-28T10:00:00.5Z".parse().expect("a time");
        for (back_compat, secrets) in
            [(Some(version(3)), compared(&[("admin-secrets", "41"), ("backend-secrets", "42")])), (None, compared(&[]))]
        {
            let written = annotations(version(8), back_compat, &secrets, at);
            assert!(
                written.keys().all(|name| ANNOTATIONS.contains(&name.as_str())) && written.len() == 5,
                "{written:?}"
            );
            let restart = Some(at.as_nanosecond().to_string());
            let note = RestartNote { version: Some(version(8)), back_compat, compared: secrets, restart };
            assert_eq!(RestartNote::read(Some(&written)), note);
        }
    }

    #[test]
    fn what_nobody_of_ours_wrote_says_nothing() {
        let foreign = BTreeMap::from([
            (VERSION.to_owned(), "latest".to_owned()),
            (COMPARED.to_owned(), "admin-secrets,=3,Not A Name=4,backend-secrets=5".to_owned()),
        ]);
        let note = RestartNote { compared: compared(&[("backend-secrets", "5")]), ..RestartNote::default() };
        assert_eq!(RestartNote::read(Some(&foreign)), note);
        assert_eq!(RestartNote::read(None), RestartNote::default());
    }
}
