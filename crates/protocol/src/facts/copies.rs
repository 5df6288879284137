//! What has the account's values beside what its own ExternalSecrets fill, and where nobody looked.

use jiff::Timestamp;
use serde::Serialize;

use super::names::ObjectName;
use super::observation::KeyView;

/// A Kubernetes Secret that holds a value of the account and that something else writes: a controller that copies, a chart, a hand.
#[derive(Clone, Debug)]
pub struct Copy {
    pub secret: ObjectName,
    /// The ExternalSecret that copies it from another Kubernetes Secret, if one does: it can be synced.
    pub external_secret: Option<ObjectName>,
    /// Who writes it, in words: `ExternalSecret mailer-keys, which reads Secret backend-secrets through SecretStore this-namespace of the
    /// kubernetes provider`; none where nothing tells.
    pub made_by: Option<String>,
    /// The keys that hold a value, each as what it is taken for.
    pub keys: Vec<KeyView>,
    /// When it was last written, by the API server's clock.
    pub written: Option<Timestamp>,
    /// What reads it, by name: `deployment/mailer`.
    pub read_by: Vec<String>,
}

/// Something else that brings the account's values somewhere, or into its secrets.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Door {
    /// What, and what it does.
    pub what: String,
    /// What to do about it.
    pub what_to_do: String,
}

/// What nobody looked at.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct NotLookedAt {
    /// What: `other namespaces`.
    pub what: String,
    /// The right that it takes: `list on externalsecrets`; null where none would do.
    pub needs: Option<String>,
}

impl NotLookedAt {
    /// What this program never looks at.
    pub fn other_clusters() -> NotLookedAt {
        NotLookedAt { what: "other clusters".to_owned(), needs: None }
    }

    /// What could not be looked at without a right.
    pub fn without(what: impl Into<String>, needs: &str) -> NotLookedAt {
        NotLookedAt { what: what.into(), needs: Some(needs.to_owned()) }
    }

    /// Whether somebody with more rights could look at it.
    pub fn can_be_looked_at(&self) -> bool {
        self.needs.is_some()
    }

    /// `other namespaces (needs list on externalsecrets)`.
    pub fn in_words(&self) -> String {
        match &self.needs {
            Some(needs) => format!("{} (needs {needs})", self.what),
            None => self.what.clone(),
        }
    }

    /// All of them in one line; none where there is none.
    pub fn all_in_words(all: &[NotLookedAt]) -> Option<String> {
        let words: Vec<String> = all.iter().map(NotLookedAt::in_words).collect();
        (!words.is_empty()).then(|| words.join("; "))
    }
}
