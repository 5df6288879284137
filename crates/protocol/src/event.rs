//! What happens during a run, told as it happens. `present` turns events into lines; nothing decides by them.

use jiff::Timestamp;
use serde::Serialize;

use crate::facts::names::{AccountName, ObjectName, SecretId, VersionId, WorkloadRef};

/// The steps of the protocol, by their names in docs/protocol.md, and the reading that precedes each command.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum StepName {
    /// Reads and checks; refuses before the first write.
    Preflight,
    /// Shows the plan and asks.
    Confirm,
    /// Takes the Lease.
    Lock,
    /// Runs the application's own command that shows whether re-encryption is done, when asked to (`--reencrypted-by`).
    Reencrypt,
    /// Disables versions older than the one in use, when asked to (`--abandon-older`).
    Abandon,
    /// Stores the next value as the back-compat, before it comes into use (`two-phase`).
    Announce,
    /// Has the announced value copied into the cluster.
    Spread,
    /// Restarts every consumer so that each pod can read the announced value.
    Prepare,
    /// Stores the value in use as the back-compat.
    Preserve,
    /// Has the back-compat copied into the cluster.
    Stage,
    /// Adds the new version.
    Introduce,
    /// Has the new version copied into the cluster, and compares bytes.
    Sync,
    /// Restarts every consumer and waits until the old pods are gone.
    Restart,
    /// Proves that every Secret and every pod has it.
    Verify,
    /// Disables the previous version.
    Commit,
    /// Destroys disabled versions, when asked to (`--destroy`).
    Destroy,
    /// Releases the Lease, with the record.
    Unlock,
}

impl StepName {
    /// The name as docs/protocol.md and the events spell it.
    pub fn as_str(self) -> &'static str {
        match self {
            StepName::Preflight => "preflight",
            StepName::Confirm => "confirm",
            StepName::Lock => "lock",
            StepName::Reencrypt => "reencrypt",
            StepName::Abandon => "abandon",
            StepName::Announce => "announce",
            StepName::Spread => "spread",
            StepName::Prepare => "prepare",
            StepName::Preserve => "preserve",
            StepName::Stage => "stage",
            StepName::Introduce => "introduce",
            StepName::Sync => "sync",
            StepName::Restart => "restart",
            StepName::Verify => "verify",
            StepName::Commit => "commit",
            StepName::Destroy => "destroy",
            StepName::Unlock => "unlock",
        }
    }
}

/// How a step stands.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum StepState {
    /// Begun.
    Started,
    /// Its result was already there.
    Skipped,
    /// It waits for something that others do; the detail says for what. Told again whenever that changes.
    Waiting,
    /// Its result is there, and was looked at.
    Done,
    /// It failed, or was stopped.
    Failed,
    /// Something that the operator should know and that stops nothing.
    Warning,
    /// A line that a command of the application's own wrote.
    Output,
}

/// One thing that happened. `--progress json` prints exactly this.
#[derive(Clone, Debug, Serialize)]
pub struct Event {
    /// When, UTC.
    pub time: Timestamp,
    pub account: AccountName,
    pub step: StepName,
    /// How the step stands.
    pub state: StepState,
    /// In words; never a value.
    pub detail: String,
    /// What it is about.
    #[serde(flatten)]
    pub subject: Subject,
}

/// What an event is about, for scripts: fields that say nothing are left out.
#[derive(Clone, Debug, Default, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Subject {
    /// The secret in Secret Manager.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub secret: Option<SecretId>,
    /// The versions: of that secret where one is named, else of the primary, or of the back-compat while a next value is spread.
    #[serde(skip_serializing_if = "Vec::is_empty", serialize_with = "as_numbers")]
    pub versions: Vec<VersionId>,
    /// The ExternalSecrets.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub external_secrets: Vec<ObjectName>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub workloads: Vec<WorkloadRef>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub pods: Vec<String>,
    /// How many new pods of the workloads are ready.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub new_pods: Option<usize>,
    /// How many old pods of theirs are there still.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub old_pods: Option<usize>,
}

/// As results have them: `"8"`.
fn as_numbers<S: serde::Serializer>(versions: &[VersionId], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(versions.iter().map(|version| version.get().to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The name in words, in a report and in JSON is one.
    #[test]
    fn each_step_has_one_name() {
        use StepName::*;
        let all = [
            (Preflight, "preflight"),
            (Confirm, "confirm"),
            (Lock, "lock"),
            (Reencrypt, "reencrypt"),
            (Abandon, "abandon"),
            (Announce, "announce"),
            (Spread, "spread"),
            (Prepare, "prepare"),
            (Preserve, "preserve"),
            (Stage, "stage"),
            (Introduce, "introduce"),
            (Sync, "sync"),
            (Restart, "restart"),
            (Verify, "verify"),
            (Commit, "commit"),
            (Destroy, "destroy"),
            (Unlock, "unlock"),
        ];
        for (step, name) in all {
            assert_eq!((step.as_str(), serde_json::to_value(step).ok()), (name, Some(name.into())));
        }
    }
}
