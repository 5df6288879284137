//! The result objects that `-o json|yaml` prints. Their shape is a contract (docs/output.md): add, never change.

use crate::hint::{self, CallFlags, Command, Hint};
use serde::Serialize;

use crate::event::{StepName, StepState};
use crate::facts::named::Word;
use crate::facts::observation::Observation;
use crate::facts::shape::Form;
use crate::live::LiveValue;
use crate::lock::AtWork;
use crate::problem::{Problem, Reason};
use crate::state::{self, Standing};
use crate::status::Due;

/// The version of the shapes below.
pub const API_VERSION: &str = "deepdesk.com/v1";

/// What kind of result: the command that made it.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
pub enum Kind {
    /// Of `secret rotate`.
    SecretRotation,
    /// Of `secret sync`.
    SecretSync,
    /// Of `secret verify`.
    SecretVerification,
    /// Of `secret restart`.
    SecretRestart,
    /// Of `secret rollback`.
    SecretRollback,
    /// Of `secret finalize`.
    SecretFinalization,
    /// Of `secret rescue`.
    SecretRescue,
    /// Of `secret status`.
    SecretStatus,
}

/// The result of one command on one account.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct AccountResult {
    /// `deepdesk.com/v1`.
    pub api_version: &'static str,
    /// Which command.
    pub kind: Kind,
    pub account: String,
    pub namespace: String,
    /// The kubeconfig context in use.
    pub context: String,
    /// The project of its secrets; empty when it could not be told.
    pub project: String,
    /// The state (docs/protocol.md) at the end; empty when it was not seen.
    pub state: String,
    /// Stable word for why it ended as it did, `PascalCase`; empty when all is well.
    pub reason: String,
    /// One line for people: what went wrong. Empty when all is well.
    pub message: String,
    /// The exit code of this account alone.
    pub exit_code: u8,
    /// What went wrong, with what holds now and what to do next; null when nothing did.
    pub problem: Option<ProblemResult>,
    /// Whether everything that was asked for was there already, and nothing was written.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub nothing_to_do: bool,
    /// Whether nothing was written because `--dry-run` asked so.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub dry_run: bool,
    /// Whether the API server judged every change to the cluster, and found nothing against it (`--dry-run=server`).
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub judged_by_server: bool,
    /// Who is at work on the account; absent when nobody is, or it was not asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub at_work: Option<AtWork>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub primary: Option<PrimaryResult>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub back_compat: Option<BackCompatResult>,
    /// The ExternalSecrets.
    pub external_secrets: Vec<ExternalSecretResult>,
    pub consumers: Vec<ConsumerResult>,
    /// Readers that a restart does not reach.
    pub other_readers: Vec<crate::facts::observation::OtherReader>,
    /// What nobody looked at: other readers may be there.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub not_looked_at: Vec<crate::facts::copies::NotLookedAt>,
    /// Every running pod that reads the secret, and what is done about it.
    pub readers: Vec<ReaderResult>,
    /// Pods that do not count as running, since their nodes are gone.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub lost_pods: Vec<crate::facts::observation::LostPod>,
    pub checks: Vec<CheckResult>,
    /// Of a rotation: what only it has.
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    pub rotation: Option<RotationResult>,
    /// Of a status: what only it has.
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    pub status: Option<crate::status::StatusResult>,
    /// The steps, in order. A verification has none.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub steps: Vec<StepResult>,
    /// How long pods on the old and on the new value served side by side, in seconds; none when nothing was restarted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub interruption_seconds: Option<f64>,
    /// Of a finalization: what showed that re-encryption is done, or did not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub evidence: Option<EvidenceResult>,
    /// The values under which data may be encrypted.
    pub live: Vec<LiveValue>,
    /// What to do next, the first one first; empty when nothing is due.
    pub next: Vec<NextResult>,
    /// Values that no pod can read, and that data may be encrypted under: `primary v7`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub without_slot: Vec<String>,
    /// After `--compromised`: where the leaked value can still be read, and what to do about each.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub exposed: Vec<String>,
}

/// A command that is due, and what for.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct NextResult {
    /// Word by word: nobody has to take a line apart.
    #[serde(serialize_with = "hint::as_words")]
    pub command: Command,
    /// In words.
    pub why: String,
}

impl NextResult {
    /// The commands in the hints of what went wrong.
    pub fn after(problem: &Problem) -> Vec<NextResult> {
        let told = |hint: &Hint| {
            let why = if hint.words().is_empty() { &problem.message } else { hint.words() };
            Some(NextResult { command: hint.command()?.clone(), why: why.to_owned() })
        };
        problem.hints.iter().filter_map(told).collect()
    }

    /// The commands of what is due.
    pub fn due(due: &Due) -> Vec<NextResult> {
        let told = |command: &Command| NextResult { command: command.clone(), why: due.what.clone() };
        due.commands.iter().map(told).collect()
    }
}

#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PrimaryResult {
    /// Its id.
    pub secret: String,
    /// The number of its newest version; empty when it has none.
    pub latest: String,
    /// Its versions, newest first.
    pub versions: Vec<VersionResult>,
}

#[derive(Clone, Debug, Serialize)]
pub struct VersionResult {
    /// Its number.
    pub version: String,
    /// `ENABLED`, `DISABLED` or `DESTROYED`.
    pub state: crate::facts::observation::VersionState,
    /// When it was created; null when not asked for.
    pub created: Option<jiff::Timestamp>,
}

/// The back-compat in a result.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct BackCompatResult {
    /// Its id.
    pub secret: String,
    /// The number of its newest version; empty when it has none.
    pub latest: String,
    /// The version whose value it holds, or `unknown`, or `nothing`.
    pub holds: String,
    /// The version of the primary that held that value, where `holds` cannot name it: by the record of the last rotation.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub same_as: Option<String>,
    /// Whether it holds a value that differs from the primary's: old data may need it.
    pub live: bool,
}

/// An ExternalSecret in a result.
#[derive(Clone, Debug, Serialize)]
pub struct ExternalSecretResult {
    pub name: String,
    /// Its `Ready` condition.
    pub ready: bool,
    /// Its last successful sync.
    pub refreshed: Option<jiff::Timestamp>,
    /// The Kubernetes Secret it writes.
    pub target: String,
    /// The keys it fills from the two secrets.
    pub keys: Vec<KeyResult>,
}

#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct KeyResult {
    pub key: String,
    /// `primary` or `backCompat`.
    pub source: crate::facts::observation::Source,
    /// The version whose value it holds, `unknown`, or `nothing`.
    pub holds: String,
    /// The version of the primary that held that value, where `holds` cannot name it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub same_as: Option<String>,
    /// Whether that is what it should hold.
    pub as_expected: bool,
}

#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ConsumerResult {
    /// `Deployment`, `StatefulSet` or `DaemonSet`.
    pub kind: String,
    pub name: String,
    /// Why it is one.
    pub reasons: Vec<String>,
    /// Pods wanted.
    pub desired: u32,
    /// Running pods that are proven to be on the newest version.
    pub on_latest: u32,
    /// Running pods that are not.
    pub older: u32,
    /// How many of those nothing shows to be on an older version either: a Secret that they read was written after they began.
    pub unproven: u32,
}

/// A running pod that reads the secret, in a result.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ReaderResult {
    /// The kind of what it belongs to, as far up as could be seen: `Deployment`, `Rollout`; `Pod` where it belongs to nobody.
    pub kind: String,
    pub name: String,
    pub namespace: String,
    /// The pod; null for a Job or CronJob, whose pods are told together.
    pub pod: Option<String>,
    /// When it was created, by the API server's clock.
    pub since: Option<jiff::Timestamp>,
    /// Whether it is shown to have started on the newest version.
    pub standing: ReaderStanding,
    /// What moves it to another value; null where nothing does.
    pub moved_by: Option<MovedBy>,
    /// Whether the operator leaves it as it is (`--leave`).
    pub left: bool,
}

/// How sure it is that a reader started on the newest version.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum ReaderStanding {
    /// It did.
    New,
    /// Nothing shows that it did, and nothing shows that it did not.
    Unproven,
    /// It did not.
    Older,
}

impl From<Standing> for ReaderStanding {
    fn from(standing: Standing) -> ReaderStanding {
        match standing {
            Standing::OnNewest => ReaderStanding::New,
            Standing::Unproven => ReaderStanding::Unproven,
            Standing::Older => ReaderStanding::Older,
        }
    }
}

/// What moves a reader to another value.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum MovedBy {
    /// A restart of its workload.
    Restart,
    /// Its eviction (`--evict`).
    Eviction,
    /// It ends by itself.
    End,
}

/// Every running pod that reads the secret: those that a restart reaches, then the others.
pub fn readers(now: &Observation) -> Vec<ReaderResult> {
    let moved_by = |word: Word, otherwise: Option<MovedBy>| match word {
        Word::None => otherwise,
        Word::Evict => Some(MovedBy::Eviction),
        Word::Leave => None,
    };
    let of_consumers = now.pods().map(|(consumer, pod)| ReaderResult {
        kind: consumer.workload.kind.as_str().to_owned(),
        name: consumer.workload.name.to_string(),
        namespace: now.account.to_string(),
        pod: Some(pod.name.clone()),
        since: pod.created,
        standing: state::standing(now, consumer, pod).into(),
        moved_by: moved_by(consumer.moving.word, Some(MovedBy::Restart)),
        left: consumer.is_left(),
    });
    let others = now.other_readers.iter().filter(|reader| reader.running);
    let others = others.map(|reader| (reader, state::standing_of_other(now, reader)));
    let mounting = now.mounting.iter().map(|reader| (reader, state::standing_of_mounting(now, reader)));
    let others = others.chain(mounting).map(|(reader, standing)| {
        let owner = reader.owner.as_deref().and_then(|owner| owner.split(' ').next()?.split_once('/'));
        let (kind, name) = owner.unwrap_or((&reader.kind, &reader.name));
        ReaderResult {
            kind: kind.to_owned(),
            name: name.to_owned(),
            namespace: now.account.to_string(),
            pod: (reader.kind == "Pod").then(|| reader.name.clone()),
            since: reader.since,
            standing: standing.into(),
            moved_by: moved_by(reader.word, reader.ends.then_some(MovedBy::End)),
            left: reader.word == Word::Leave,
        }
    });
    of_consumers.chain(others).collect()
}

/// Outcome of a check.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// As it should be.
    Pass,
    /// Worth knowing; stops nothing.
    Warn,
    /// Not as it should be.
    Fail,
}

#[derive(Clone, Debug, Serialize)]
pub struct CheckResult {
    /// Stable id: `DD-…`.
    pub id: &'static str,
    /// Its name: `external-secrets/ready`.
    pub name: &'static str,
    /// Its outcome.
    pub result: Verdict,
    /// What was found; empty when it passed.
    pub message: String,
    /// What to do about it; empty when it passed.
    #[serde(rename = "hint", serialize_with = "hint::as_one_text")]
    pub hints: Vec<Hint>,
}

impl CheckResult {
    /// Gives the commands in its hints the flags of the present call.
    pub fn carry(&mut self, flags: &CallFlags) {
        self.hints.iter_mut().for_each(|hint| hint.carry(flags));
    }
}

impl AccountResult {
    /// The same for all of its commands.
    pub fn carry(&mut self, flags: &CallFlags) {
        self.checks.iter_mut().for_each(|check| check.carry(flags));
        let due = self.status.as_mut().and_then(|status| status.due.as_mut());
        due.into_iter().flat_map(|due| &mut due.commands).for_each(|command| command.carry(flags));
        self.next.iter_mut().for_each(|next| next.command.carry(flags));
    }
}

/// What only a rotation has.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RotationResult {
    /// Whether it brought back a value that was in use before.
    #[serde(rename = "wentBack", skip_serializing_if = "std::ops::Not::not")]
    pub went_back: bool,
    /// The version that was in use before.
    pub previous: String,
    /// The version that is in use after; empty when it was not added.
    pub version: String,
    /// What the value that was made is like; nothing of one that was given or brought back.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub new_value: Option<NewValueResult>,
}

/// What a made value is like: its form and its length, and nothing else of it.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct NewValueResult {
    /// `fernet`, `hex`, `base64`, `base64url`, `alphanumeric`, or `alphabet` for one that was named.
    pub form: &'static str,
    /// The same in words.
    pub description: String,
    /// How many characters it has.
    pub characters: usize,
    /// How many bits of entropy.
    pub bits: u32,
    /// Whether it is the form of the value before.
    pub as_before: bool,
}

impl NewValueResult {
    /// What is told of a form.
    pub fn of(form: &Form) -> NewValueResult {
        NewValueResult {
            form: form.word(),
            description: form.to_string(),
            characters: form.characters(),
            bits: form.bits(),
            as_before: form.is_kept(),
        }
    }
}

/// What showed that re-encryption is done.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case", tag = "kind")]
pub enum EvidenceResult {
    /// The operator's word: nobody but the operator can say what it rests on.
    Word,
    /// A command of the application's own, run as a Job.
    #[serde(rename_all = "camelCase")]
    Job {
        /// The command, as it can be typed again.
        command: String,
        /// The Job's name; it is deleted by now.
        job: String,
        /// The consumer whose pod template it was made from.
        workload: String,
        /// What the command ended with; null when it did not run to its end, or nothing says with what it did.
        exit_code: Option<i32>,
        /// How long the Job took, in seconds.
        seconds: f64,
    },
}

#[derive(Clone, Debug, Serialize)]
pub struct StepResult {
    pub name: StepName,
    /// How it ended.
    pub state: StepState,
    /// When it began.
    pub started: jiff::Timestamp,
    /// How long it took, in seconds.
    pub seconds: f64,
    /// In words.
    pub detail: String,
}

/// Several results.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ResultList {
    /// `deepdesk.com/v1`.
    pub api_version: &'static str,
    /// `List`.
    pub kind: &'static str,
    /// What the process ends with.
    pub exit_code: u8,
    /// Stable word for why it did not end well; empty when all is well.
    pub reason: String,
    /// What ended the run; null when nothing did.
    pub problem: Option<ProblemResult>,
    /// One an account, in the order asked for, also those that were not begun.
    pub items: Vec<AccountResult>,
}

/// What went wrong, in a result.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ProblemResult {
    /// Stable word, `PascalCase`.
    pub reason: Reason,
    /// One line for people.
    pub message: String,
    /// The exit code that goes with it.
    pub exit_code: u8,
    /// What holds now, a line each.
    pub now: Vec<String>,
    /// What to do next, a line each.
    pub hints: Vec<Hint>,
}

impl From<&Problem> for ProblemResult {
    fn from(problem: &Problem) -> ProblemResult {
        ProblemResult {
            reason: problem.reason,
            message: problem.message.clone(),
            exit_code: problem.exit.code(),
            now: problem.now.clone(),
            hints: problem.hints.clone(),
        }
    }
}

impl AccountResult {
    /// The result of a command that found out nothing of the account: nothing was seen, nothing was done.
    pub fn nothing_seen(kind: Kind, account: &str, context: &str, problem: &Problem) -> AccountResult {
        AccountResult {
            api_version: API_VERSION,
            kind,
            account: account.to_owned(),
            namespace: account.to_owned(),
            context: context.to_owned(),
            project: String::new(),
            state: String::new(),
            reason: problem.reason.to_string(),
            message: problem.message.clone(),
            exit_code: problem.exit.code(),
            problem: Some(problem.into()),
            nothing_to_do: false,
            dry_run: false,
            judged_by_server: false,
            at_work: None,
            primary: None,
            back_compat: None,
            external_secrets: Vec::new(),
            consumers: Vec::new(),
            other_readers: Vec::new(),
            not_looked_at: Vec::new(),
            readers: Vec::new(),
            lost_pods: Vec::new(),
            checks: Vec::new(),
            rotation: None,
            status: None,
            steps: Vec::new(),
            interruption_seconds: None,
            evidence: None,
            live: Vec::new(),
            next: NextResult::after(problem),
            without_slot: Vec::new(),
            exposed: Vec::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::facts::names::AccountName;
    use crate::status::StatusResult;

    /// What is recommended is meant for the present call: in a check, and in what is due.
    #[test]
    fn the_commands_of_a_result_carry_the_calls_flags() {
        let acme = "acme".parse::<AccountName>().expect("a fit name");
        let command = || Command::secret("sync", &acme);
        let due = Due { action: "sync", what: String::new(), commands: vec![command()] };
        let check = CheckResult {
            id: "DD-SECRETS-CURRENT",
            name: "external-secrets/secrets-on-latest",
            result: Verdict::Fail,
            message: String::new(),
            hints: vec![command().into()],
        };
        let nothing = Problem::new(Reason::NotAsked, "not asked");
        let mut result = AccountResult {
            checks: vec![check],
            status: Some(StatusResult { due: Some(due), ..StatusResult::default() }),
            ..AccountResult::nothing_seen(Kind::SecretStatus, acme.as_str(), "prod", &nothing)
        };
        result.carry(&CallFlags { kubectl: vec!["--context=prod".to_owned()], ..CallFlags::default() });
        let carried = "kubectl deepdesk secret sync acme --context=prod";
        assert_eq!(result.checks[0].hints[0].to_string(), carried);
        let due = result.status.and_then(|status| status.due).expect("it is due");
        assert_eq!(due.commands[0].to_string(), carried);
    }
}
