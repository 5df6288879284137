//! What is told of a run, as data; `src/present/wording.rs` makes the words. What a server, a check or the application's own command says
//! stays in its words.

use std::fmt;

use crate::event::Subject;
use crate::facts::names::{ObjectName, VersionId, WorkloadKind, WorkloadRef};
use crate::step::Step;

/// One thing that is told.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Happening {
    /// Secret Manager and the cluster are read.
    Reads,
    /// Preflight passed.
    Passed {
        /// How many checks passed.
        checks: usize,
        /// How many warned.
        warnings: usize,
    },
    /// A check warns.
    Warns {
        /// Its id.
        check: String,
        message: String,
    },
    /// The plan is shown, and the question asked.
    Asks,
    /// The answer was yes.
    Confirmed,
    /// Nobody was asked, by these flags.
    Unasked {
        flags: String,
    },
    /// The lock is taken.
    TakesLock,
    /// It is held.
    HoldsLock {
        /// By whom.
        by: String,
    },
    /// It is given back.
    ReleasesLock,
    Released,
    /// It was not: it ends by itself.
    NotReleased {
        why: String,
    },
    /// No Kubernetes Event was written.
    NoEvent {
        why: String,
    },
    /// A step of a plan begins.
    Begins(Step),
    /// A step of a plan is done, and was seen to be.
    Did(Step, Outcome),
    /// A step of a plan is done already.
    Skips {
        /// What is there already.
        why: String,
    },
    Failed {
        /// The problem's message.
        message: String,
    },
    /// Pods started by themselves while both slots held the older value.
    StartedMeanwhile {
        /// Their names.
        pods: Vec<String>,
        /// The version that they may not read.
        cannot_read: VersionId,
    },
    /// External Secrets is asked to copy.
    AsksToCopy {
        external_secrets: Vec<ObjectName>,
    },
    /// A sync would be asked for: a dry run.
    WouldSync {
        external_secrets: Vec<ObjectName>,
        /// Whether the API server was asked, too.
        on_server: bool,
    },
    /// Every key holds the newest version.
    AllHoldNewest,
    /// Waits for Kubernetes Secrets to hold what they should.
    Awaits(Vec<Awaited>),
    /// Workloads are restarted.
    Restarts {
        workloads: Vec<WorkloadRef>,
    },
    /// Workloads would be restarted: a dry run.
    WouldRestart {
        workloads: Vec<WorkloadRef>,
        /// Whether the API server was asked, too.
        on_server: bool,
    },
    /// Workloads were restarted; none where there was nothing to restart.
    Restarted {
        workloads: Vec<WorkloadRef>,
    },
    /// Waits for pods to be replaced.
    Replaces(Vec<Replacement>),
    /// Waits for rollouts that somebody else began.
    Settles {
        /// Whose pods change.
        workloads: Vec<WorkloadRef>,
    },
    /// Kubernetes Secrets were written while pods started.
    WrittenMeanwhile {
        secrets: Vec<ObjectName>,
    },
    /// Something took a restart's annotation away.
    NoteTakenAway {
        workload: WorkloadRef,
    },
    /// What a verification found wrong, and is put right.
    PutsRight {
        /// Each in words.
        wrong: Vec<String>,
    },
    /// The application's own command runs as a Job.
    RunsJob {
        command: String,
        job: String,
        /// From which workload's template.
        workload: WorkloadRef,
        container: String,
    },
    /// It says that nothing is left to be saved again.
    NothingLeft {
        command: String,
    },
    /// A Job that an earlier run left behind was deleted.
    DeletedJob {
        job: String,
    },
    /// What the command writes cannot be shown.
    LogUnread {
        why: String,
    },
    /// Words of a server or of the application's own command.
    Says(String),
}

/// What only a run knows of a step that is done.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Outcome {
    /// The version of the back-compat that was stored.
    pub stored: Option<VersionId>,
    /// The workloads that were restarted last.
    pub restarted: Vec<WorkloadRef>,
    /// Whether a version is destroyed only at the end of its secret's delay.
    pub is_scheduled: bool,
}

/// What a Kubernetes Secret does not hold yet.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Awaited {
    /// Which ExternalSecret fills it.
    pub external_secret: ObjectName,
    /// What is awaited.
    pub words: String,
}

impl fmt::Display for Awaited {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.words)
    }
}

/// How far a workload's pods are replaced.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Replacement {
    pub workload: WorkloadRef,
    /// New pods that are ready.
    pub ready: usize,
    /// Pods that are wanted.
    pub desired: usize,
    /// Old pods that are there still.
    pub old: usize,
    /// What a new pod has trouble with.
    pub trouble: Option<String>,
}

/// Short: several of these share one line of a terminal.
impl fmt::Display for Replacement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.workload.kind {
            WorkloadKind::Deployment => write!(f, "{}", self.workload.name)?,
            WorkloadKind::StatefulSet | WorkloadKind::DaemonSet => write!(f, "{}", self.workload)?,
        }
        write!(f, ": {} of {} new ready", self.ready, self.desired)?;
        if self.old > 0 {
            write!(f, ", {} old left", self.old)?;
        }
        match &self.trouble {
            Some(trouble) => write!(f, " ({trouble})"),
            None => Ok(()),
        }
    }
}

/// What is waited for, in one line.
pub fn in_one_line(all: &[impl fmt::Display]) -> String {
    all.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}

impl Happening {
    /// That a problem ended it.
    pub fn failed(problem: &crate::problem::Problem) -> Happening {
        Happening::Failed { message: problem.message.clone() }
    }

    /// What it is about.
    pub fn subject(&self) -> Subject {
        let none = Subject::default;
        match self {
            Happening::Begins(step) | Happening::Did(step, _) => of_step(step),
            Happening::AsksToCopy { external_secrets } | Happening::WouldSync { external_secrets, .. } => {
                Subject { external_secrets: external_secrets.clone(), ..none() }
            }
            Happening::Awaits(awaited) => {
                Subject { external_secrets: awaited.iter().map(|one| one.external_secret.clone()).collect(), ..none() }
            }
            Happening::Restarts { workloads }
            | Happening::WouldRestart { workloads, .. }
            | Happening::Restarted { workloads }
            | Happening::Settles { workloads } => Subject { workloads: workloads.clone(), ..none() },
            Happening::NoteTakenAway { workload } | Happening::RunsJob { workload, .. } => {
                Subject { workloads: vec![workload.clone()], ..none() }
            }
            Happening::Replaces(replacements) => Subject {
                workloads: replacements.iter().map(|one| one.workload.clone()).collect(),
                new_pods: Some(replacements.iter().map(|one| one.ready).sum()),
                old_pods: Some(replacements.iter().map(|one| one.old).sum()),
                ..none()
            },
            Happening::StartedMeanwhile { pods, .. } => Subject { pods: pods.clone(), ..none() },
            Happening::Reads
            | Happening::Passed { .. }
            | Happening::Warns { .. }
            | Happening::Asks
            | Happening::Confirmed
            | Happening::Unasked { .. }
            | Happening::TakesLock
            | Happening::HoldsLock { .. }
            | Happening::ReleasesLock
            | Happening::Released
            | Happening::NotReleased { .. }
            | Happening::NoEvent { .. }
            | Happening::Skips { .. }
            | Happening::Failed { .. }
            | Happening::AllHoldNewest
            | Happening::WrittenMeanwhile { .. }
            | Happening::PutsRight { .. }
            | Happening::NothingLeft { .. }
            | Happening::DeletedJob { .. }
            | Happening::LogUnread { .. }
            | Happening::Says(_) => none(),
        }
    }
}

fn of_step(step: &Step) -> Subject {
    let none = Subject::default;
    match step {
        Step::DisableOlder { secret, versions }
        | Step::RetireOlder { secret, versions }
        | Step::Destroy { secret, versions } => {
            Subject { secret: Some(secret.clone()), versions: versions.clone(), ..none() }
        }
        Step::Enable { secret, version } | Step::DisablePrevious { secret, version } => {
            Subject { secret: Some(secret.clone()), versions: vec![*version], ..none() }
        }
        Step::CreateBackCompat { secret, .. } | Step::StoreBackCompat { secret, .. } => {
            Subject { secret: Some(secret.clone()), ..none() }
        }
        Step::AddVersion { secret, expect, .. } | Step::Announce { secret, expect } => {
            Subject { secret: Some(secret.clone()), versions: vec![*expect], ..none() }
        }
        Step::Stage { external_secrets, .. } => Subject { external_secrets: external_secrets.clone(), ..none() },
        Step::Spread { external_secrets, version } | Step::Sync { external_secrets, version } => {
            Subject { external_secrets: external_secrets.clone(), versions: vec![*version], ..none() }
        }
        Step::Prepare { workloads, version } | Step::Restart { workloads, version } => {
            Subject { workloads: workloads.clone(), versions: vec![*version], ..none() }
        }
        Step::Verify { version } => Subject { versions: vec![*version], ..none() },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::facts::names::SecretId;
    use crate::step::Origin;

    fn workload(name: &str) -> WorkloadRef {
        name.parse().expect("a fit name")
    }

    fn object(name: &str) -> ObjectName {
        name.parse().expect("a fit name")
    }

    fn replacement(name: &str, ready: usize, old: usize, trouble: Option<&str>) -> Replacement {
        Replacement { workload: workload(name), ready, desired: 2, old, trouble: trouble.map(str::to_owned) }
    }

    #[test]
    fn how_far_a_workload_is_is_said_in_few_words() {
        let cases = [
            (replacement("deployment/admin", 1, 1, None), "admin: 1 of 2 new ready, 1 old left"),
            (replacement("deployment/admin", 2, 0, None), "admin: 2 of 2 new ready"),
            (
                replacement("statefulset/db", 0, 0, Some("CrashLoopBackOff")),
                "statefulset/db: 0 of 2 new ready (CrashLoopBackOff)",
            ),
            (replacement("daemonset/agent", 0, 3, None), "daemonset/agent: 0 of 2 new ready, 3 old left"),
        ];
        for (replacement, words) in cases {
            assert_eq!(replacement.to_string(), words);
        }
        let awaited = Awaited { external_secret: object("admin-secrets"), words: "not yet".to_owned() };
        assert_eq!(awaited.to_string(), "not yet");
        assert_eq!(in_one_line(&[awaited.clone(), awaited]), "not yet; not yet");
    }

    /// As `--progress json` has it.
    #[test]
    fn each_event_names_what_it_is_about() {
        let secret = || "acme_account_secret".parse::<SecretId>().expect("a fit id");
        let (one, two) = (VersionId::FIRST, VersionId::FIRST.next());
        let external_secrets = vec![object("admin-secrets"), object("backend-secrets")];
        let workloads = vec![workload("deployment/admin")];
        let steps = [
            Step::DisableOlder { secret: secret(), versions: vec![two, one] },
            Step::Enable { secret: secret(), version: one },
            Step::CreateBackCompat { secret: secret(), like: secret() },
            Step::StoreBackCompat { secret: secret(), value_of: Origin::Primary(one) },
            Step::Stage { external_secrets: external_secrets.clone(), value_of: Origin::Primary(one) },
            Step::Announce { secret: secret(), expect: two },
            Step::Spread { external_secrets: external_secrets.clone(), version: two },
            Step::Prepare { workloads: workloads.clone(), version: one },
            Step::AddVersion { secret: secret(), value_of: None, expect: two },
            Step::Sync { external_secrets: external_secrets.clone(), version: two },
            Step::Restart { workloads: workloads.clone(), version: two },
            Step::Verify { version: two },
            Step::RetireOlder { secret: secret(), versions: vec![one] },
            Step::Destroy { secret: secret(), versions: vec![one] },
            Step::DisablePrevious { secret: secret(), version: one },
        ];
        let awaited = |name: &str| Awaited { external_secret: object(name), words: String::new() };
        let others = [
            Happening::AsksToCopy { external_secrets: external_secrets.clone() },
            Happening::WouldSync { external_secrets, on_server: true },
            Happening::Awaits(vec![awaited("admin-secrets"), awaited("backend-secrets")]),
            Happening::Restarts { workloads: workloads.clone() },
            Happening::WouldRestart { workloads: workloads.clone(), on_server: false },
            Happening::Restarted { workloads: workloads.clone() },
            Happening::Settles { workloads },
            Happening::NoteTakenAway { workload: workload("deployment/admin") },
            Happening::Replaces(vec![
                replacement("deployment/admin", 1, 2, None),
                replacement("deployment/backend", 2, 3, None),
            ]),
            Happening::StartedMeanwhile { pods: vec!["admin-1".to_owned()], cannot_read: one },
            Happening::Reads,
            Happening::failed(&crate::problem::Problem::new(crate::problem::Reason::Failed, "no")),
        ];
        let about = |happening: &Happening| serde_json::to_string(&happening.subject()).expect("plain fields");
        let of_steps = steps.iter().map(|step| {
            let begins = about(&Happening::Begins(step.clone()));
            assert_eq!(begins, about(&Happening::Did(step.clone(), Outcome::default())));
            format!("{}: {begins}", step.name().as_str())
        });
        let of_others = others.iter().map(|happening| format!("{happening:?}: {}", about(happening)));
        insta::assert_snapshot!(of_steps.chain(of_others).collect::<Vec<_>>().join("\n"));
    }
}
