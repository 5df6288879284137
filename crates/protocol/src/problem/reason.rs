//! The reasons of problems: stable words for scripts, each with the exit code that goes with it.

use std::fmt;

use serde::Serialize;

use super::Exit;

macro_rules! reasons {
    ($($reason:ident $exit:ident $meaning:literal,)*) => {
        /// Why a run did not end well, as one word. A contract with scripts: add, never rename.
        #[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
        pub enum Reason {
            $(#[doc = $meaning] $reason,)*
        }

        impl Reason {
            /// All of them, in the order of their words.
            pub const ALL: &[Reason] = &[$(Reason::$reason,)*];

            /// The word.
            pub fn as_str(self) -> &'static str {
                match self {
                    $(Reason::$reason => stringify!($reason),)*
                }
            }

            /// The exit code that goes with it where nothing was changed, or where it tells of something half done.
            pub fn exit(self) -> Exit {
                match self {
                    $(Reason::$reason => Exit::$exit,)*
                }
            }

            /// What it says, for the table in docs/output.md.
            pub fn meaning(self) -> &'static str {
                match self {
                    $(Reason::$reason => $meaning,)*
                }
            }
        }
    };
}

reasons! {
    AlreadyExists Failed "A server says that what was to be created exists.",
    ApiDisabled Failed "An API of Google's is not enabled in the project.",
    AwaitingReencryption Refused "The back-compat holds a value that data may still need: a new rotation would displace it.",
    BackCompatNotEnabled Refused "The newest version of the back-compat is disabled or destroyed, and data may need its value.",
    BeingCalledOff Refused "A rotation in two phases is being called off, and is not finished.",
    BillingDisabled Failed "The project has no billing account that is open.",
    ChangedMeanwhile Refused "The plan is another than the one that was agreed to.",
    CheckFailed Refused "A check failed; its id stands in brackets. Of `verify` and `check` the exit code is 3.",
    CheckWarned NotAsItShouldBe "A check warned, and `--fail-on-warnings` was given.",
    Configuration Failed "The kubeconfig, gcloud's configuration or a proxy setting cannot be used.",
    Conflict Failed "A server says that somebody else changed the object meanwhile.",
    ConnectionFailed Failed "A server cannot be reached, or its certificate was refused.",
    ConsumerGone Incomplete "A workload was deleted during its restart, or does not read the Kubernetes Secrets any more.",
    Declined Failed "The question was answered with no.",
    DecodedValue Refused "External Secrets decodes the value, and the new one would not survive that.",
    DisplacedBackCompat Refused "A version that is not the newest holds a value that data may need, and no slot has it.",
    Due NotAsItShouldBe "`status --exit-code`: a command is due.",
    EnabledMeanwhile Incomplete "A version that was to be destroyed was enabled meanwhile.",
    Expired Failed "A server does not know the place in a list any more.",
    Failed Failed "Anything that has no word of its own.",
    FailedPrecondition Failed "A server refuses because of the object's state.",
    Forbidden Failed "A permission is missing. Of `check` the exit code is 3.",
    ForeignVersion Refused "A version was added by somebody else. In the middle of a run the exit code is 5.",
    ImpersonationDenied Failed "The credentials may not act as the service account.",
    InsufficientScopes Failed "The access token is for other services of Google's.",
    Interrupted Interrupted "Ctrl-C, or a signal that asks for the end.",
    Invalid Failed "A server says that the request is not valid.",
    LastCopy Refused "What was asked for would end the last copy of a value that data may need.",
    LatestNotEnabled Refused "The newest version of the primary is disabled or destroyed.",
    LockLost Incomplete "The lock was lost: somebody else took it over, or it could not be renewed.",
    Locked Refused "Somebody else holds the lock on the account.",
    LoginExpired Failed "A login or a session at Google has ended, or has to be proven again.",
    MalformedAnswer Failed "A server's answer cannot be read.",
    NoAccounts Failed "There is no account to choose from.",
    NoAnswer Failed "The question got no answer.",
    NoContainer Failed "It is not clear which container is to run the command.",
    NoContext Failed "The kubeconfig has no current context.",
    NoContexts Failed "The kubeconfig has no context.",
    NoDirectory Failed "There is no place where the file could be installed.",
    NoEndpoint Failed "The cluster has no endpoint of the kind that was asked for.",
    NoExternalSecrets Failed "The cluster has no External Secrets.",
    NoPrevious Failed "There is no context to go back to.",
    NoPrimary Refused "The primary has no version.",
    NoProject Failed "No project is named, neither by the SecretStore nor by a flag or setting.",
    NoRandomness Failed "The system gave no random bytes.",
    NoSlot Refused "A value that pods may have written under cannot become the back-compat: an ExternalSecret cannot copy it.",
    NoSuchContext Failed "The context does not exist.",
    NoSuchNamespace Failed "The namespace does not exist.",
    NoSuchVersion Refused "`--retired` names a version that is not there, or one that is in use.",
    NoTemplate Failed "There is no pod template to make the Job from.",
    NoValue Failed "There is no value to add.",
    NotAdded Incomplete "A version that was added is not there.",
    NotAsked NotAsItShouldBe "A check could not be asked.",
    NotBegun Refused "Of several accounts: an earlier one did not end well, and this one was not begun.",
    NotConfirmed Usage "A confirmation is needed, and there is nobody to ask.",
    NotFound Failed "A server says that the object does not exist.",
    NotOurs Refused "A file is there that this program did not write.",
    NotPreserved Incomplete "The back-compat does not hold the value that is about to be disabled.",
    NotReachable Failed "`check`: a server cannot be reached.",
    NotRecorded Failed "The Lease could not be written.",
    NotStable NotAsItShouldBe "`status --exit-code`: the account is not Stable.",
    NotVerified Incomplete "After the restart a Kubernetes Secret or a pod is not on the newest version.",
    NothingNamed Usage "The command names nothing to do.",
    NothingToRescue Refused "There is no such value, or it needs no rescue.",
    NothingToRollBack Refused "The back-compat holds no older value.",
    OldExternalSecrets Failed "External Secrets serves v1beta1 alone.",
    OlderVersionsUnread Refused "Older versions could not be looked at.",
    Other Failed "A server's answer that fits no other reason.",
    OtherUniverse Failed "Credentials are for another universe than `googleapis.com`.",
    PerimeterDenied Failed "A VPC Service Controls perimeter refuses the request.",
    PolicyDenied Failed "A policy of the organization forbids it.",
    QuotaProjectDenied Failed "The project that is to be charged may not be used.",
    ReencryptionGone Refused "The Job was deleted before it ended.",
    ReencryptionLeftBehind Refused "The Job of an earlier run cannot be taken away.",
    ReencryptionNotDone Refused "The command says that data is left under the older value.",
    ReencryptionNotStarted Failed "The Job cannot start.",
    ReencryptionTimeout Refused "The command did not end in time.",
    ReportNotWritable Failed "The report cannot be written.",
    RolloutStuck Failed "A rollout cannot come to its end.",
    RolloutTimeout Failed "A rollout did not come to its end in time.",
    RotationUnderWay Refused "A rotation is under way that must be finished first.",
    Sandbox Failed "The sandbox could not be started or used.",
    SecretsKeepChanging Incomplete "The Kubernetes Secrets were written again and again while pods started.",
    ServerError Failed "A server failed.",
    Settings Usage "The settings file is wrong.",
    SharedPrimary Refused "The primary is read in another namespace too, whose pods this account's commands do not reach.",
    SyncFailed Failed "External Secrets says that a sync failed.",
    SyncTimeout Failed "The right bytes did not arrive in time.",
    Timeout Failed "A server did not answer in time.",
    TooManyRequests Failed "A server's quota is used up.",
    TwoUncommittedVersions Refused "Two versions that are not committed are enabled.",
    Unauthenticated Failed "There are no credentials, or they were refused.",
    Unavailable Failed "A server is not available.",
    UnexplainedVersion Refused "The version before the newest is enabled, and nothing explains it.",
    UnfitValue Refused "The value that was given cannot be used.",
    Unreadable Failed "The value of a version could not be read.",
    UnreadableVersion Refused "A pod started with a version whose value cannot be read and is not shown to be kept.",
    UnsupportedCredentials Failed "A file holds credentials of a type that cannot be used.",
    Usage Usage "Wrong arguments.",
    Write Failed "A file cannot be written.",
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The table that docs/output.md has to have.
    fn table() -> String {
        let row = |reason: &Reason| format!("| `{reason}` | {} | {} |\n", reason.exit().code(), reason.meaning());
        let rows: String = Reason::ALL.iter().map(row).collect();
        format!("| reason | exit code | meaning |\n| --- | --- | --- |\n{rows}")
    }

    #[test]
    fn each_reason_stands_in_the_documentation_with_its_exit_code() {
        let page = include_str!("../../../../docs/output.md").replace("\r\n", "\n");
        assert!(page.contains(&table()), "docs/output.md should have this table:\n\n{}", table());
    }

    #[test]
    fn they_stand_in_the_order_of_their_words() {
        assert!(Reason::ALL.is_sorted_by_key(|reason| reason.as_str()), "{:?}", Reason::ALL);
    }
}
