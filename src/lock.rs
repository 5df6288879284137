//! One operator at a time: a Lease in the account's namespace.
//!
//! Clocks of laptops differ, so nobody's own time is trusted: a Lease has expired when the API server's clock is past
//! its last write, as the server recorded it in `managedFields`, by more than its duration. How long our own still lives is
//! judged by a clock that goes on while the machine sleeps.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta};
use tokio::sync::Mutex;

use crate::clients::cluster::Cluster;
use crate::clients::error::{ApiError, ApiErrorKind, Service};
use crate::clients::fence::{Fence, Grant, Moment};
use deepdesk_protocol::facts::names::{SecretId, VersionId};
use deepdesk_protocol::facts::observation::{Announcement, Begun, LastRotation};
use deepdesk_protocol::problem::{Exit, Problem, Reason};

/// The Lease's name, in the account's namespace.
pub const LEASE: &str = "deepdesk-rotation";
/// How long a Lease lives without being renewed.
pub const LIFE: Duration = Duration::from_secs(20);
/// How much of its life must be left when a write is sent: more than any request may take (10 s).
const MARGIN: Duration = Duration::from_secs(11);
/// How much of its life a request under way leaves over.
const SPARE: Duration = Duration::from_secs(1);
const RENEWAL: Duration = Duration::from_secs(4);
/// How often a claim is written again after somebody else changed the Lease at the same moment.
const TAKES: usize = 4;
/// Pauses before each attempt to renew right before a write: one answer of 503 is no reason to give up.
const ATTEMPTS: [Duration; 4] =
    [Duration::ZERO, Duration::from_millis(100), Duration::from_millis(400), Duration::from_secs(1)];

const PROCESS: &str = "deepdesk.com/holder-process";
const LAST: [(&str, Field); 4] = [
    ("deepdesk.com/last-rotation-by", |last| &mut last.by),
    ("deepdesk.com/last-rotation-at", |last| &mut last.at),
    ("deepdesk.com/last-rotation-from", |last| &mut last.from),
    ("deepdesk.com/last-rotation-to", |last| &mut last.to),
];
/// The version that the rotation under this lock set out for, until its end is recorded.
const BEGUN: &str = "deepdesk.com/rotation-begun";
/// That it goes back: a rollback.
const BACK: &str = "deepdesk.com/rotation-goes-back";
/// That it replaces a value that has leaked.
const COMPROMISED: &str = "deepdesk.com/rotation-of-a-leaked-value";
/// The version of the back-compat that a finalization retires, until its end is recorded.
const FINALIZING: &str = "deepdesk.com/finalization-begun";
/// The primary that the record is of: one namespace may have several.
const SECRET: &str = "deepdesk.com/record-of";
/// The version of the back-compat that holds the next value of a two-phase rotation: it cannot be seen that it is not an old one.
const ANNOUNCED: &str = "deepdesk.com/next-value-version";
/// That this value is being given up: what is left of that looks like the second phase of the rotation.
const CALLED_OFF: &str = "deepdesk.com/next-value-called-off";
type Field = fn(&mut LastRotation) -> &mut String;

/// Who takes the Lease.
#[derive(Clone, Debug)]
pub struct Operator {
    /// For people: `alice@laptop`.
    pub name: String,
    /// Tells this run from every other.
    pub run: String,
    /// Names the process on its machine, where the system has the means: see `process`.
    pub process: Option<String>,
}

impl Operator {
    fn identity(&self) -> String {
        format!("{} ({})", self.name, self.run)
    }
}

/// A Lease that this run holds, and renews until it is released.
pub struct Lock {
    held: Arc<Mutex<Held>>,
    renewal: tokio::task::JoinHandle<()>,
}

struct Held {
    cluster: Cluster,
    operator: Operator,
    lease: Lease,
    /// When the last renewal that succeeded was sent.
    renewed: Moment,
    /// When its answer came.
    confirmed: Moment,
    lost: Option<String>,
    /// Why the last renewal failed, if it did.
    trouble: Option<String>,
}

/// What a Lease records beside its holder.
#[derive(Clone, Debug, Default)]
pub struct Record {
    /// The last change of the value that was seen to its end.
    pub last: Option<LastRotation>,
    /// The one that did not record its end.
    pub begun: Option<Begun>,
    /// The version of the back-compat that is retired by a finalization which did not record its end.
    pub finalizing: Option<VersionId>,
    /// The next value, where one was announced.
    pub announced: Option<Announcement>,
}

/// What a change of the values sets out for.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Aim {
    /// The primary.
    pub secret: SecretId,
    /// The version that will be in use, and how; none where the one in use stays.
    pub begun: Option<Begun>,
    /// The version of the back-compat that is retired.
    pub finalizing: Option<VersionId>,
    /// The next value, where one is announced.
    pub announced: Option<Announcement>,
}

/// Reads what the Lease records of this primary; nothing where there is none.
pub async fn recorded(cluster: &Cluster, primary: &SecretId) -> Result<Record, ApiError> {
    Ok(cluster.lease(LEASE).await?.map(|lease| record_in(lease, primary)).unwrap_or_default())
}

/// The same of a Lease at hand. One that an older program wrote does not say of which secret it is.
pub fn record_in(lease: Lease, primary: &SecretId) -> Record {
    let annotations = lease.metadata.annotations.unwrap_or_default();
    if annotations.get(SECRET).is_some_and(|of| of != primary.as_str()) {
        return Record::default();
    }
    let version = |name| annotations.get(name).and_then(|version| version.parse().ok());
    let noted = |name| annotations.contains_key(name);
    let announced = version(ANNOUNCED).map(|version| Announcement { version, called_off: noted(CALLED_OFF) });
    let begun = version(BEGUN).map(|to| Begun { to, back: noted(BACK), compromised: noted(COMPROMISED) });
    Record { last: last_rotation(&annotations), begun, finalizing: version(FINALIZING), announced }
}

/// The refusal that taking the lock would meet now; none when it is free to be taken. Writes nothing.
pub async fn refusal(cluster: &Cluster, operator: &Operator) -> Result<Option<Problem>, Problem> {
    let Some(lease) = cluster.lease(LEASE).await? else { return Ok(None) };
    match refuse_if_held(cluster, &lease, operator).await {
        Err(problem) if problem.exit == Exit::Refused => Ok(Some(problem)),
        other => other.map(|()| None),
    }
}

fn last_rotation(annotations: &BTreeMap<String, String>) -> Option<LastRotation> {
    let mut last = LastRotation { by: String::new(), at: String::new(), from: String::new(), to: String::new() };
    for (name, field) in LAST {
        *field(&mut last) = annotations.get(name)?.clone();
    }
    Some(last)
}

impl Lock {
    /// Takes the Lease: a new one, a released one, an expired one, or one whose process on this machine is dead. What it
    /// records stays.
    pub async fn take(cluster: &Cluster, operator: &Operator) -> Result<Lock, Problem> {
        for _ in 0..TAKES {
            let taken = Moment::now();
            if let Some(lease) = claim(cluster, operator).await? {
                let held = Held {
                    cluster: cluster.clone(),
                    operator: operator.clone(),
                    lease,
                    renewed: taken,
                    confirmed: Moment::now(),
                    lost: None,
                    trouble: None,
                };
                let held = Arc::new(Mutex::new(held));
                let renewal = tokio::spawn(renew_for_ever(held.clone()));
                return Ok(Lock { held, renewal });
            }
        }
        let line = "other operators keep changing this account's lock";
        Err(Problem::new(Reason::Locked, line).hint("run the same command again in a moment"))
    }

    /// Records what a change sets out for, before its first write. Only who has looked while holding the lock knows that: an
    /// earlier look may have missed what another operator announced, and the record is all that tells of it.
    ///
    /// It stays until the end is recorded, so that whoever goes on from a run that died right after its commit can tell it
    /// from one that wants another rotation. So without it nothing is begun.
    pub async fn set_out(&self, aim: Aim) -> Result<(), Problem> {
        for _ in 0..TAKES {
            let asked = Moment::now();
            record(&mut self.held.lock().await.lease, &aim);
            self.still_ours().await?;
            let held = self.held.lock().await;
            // The lock may be ours without having been renewed just now: then the record is in our copy alone.
            let written = !held.renewed.is_before(asked);
            if let (false, Some(trouble)) = (written, &held.trouble) {
                return Err(not_recorded(trouble));
            }
            // After a conflict it is the server's Lease that is renewed, without what we wrote into ours.
            let recorded = record_in(held.lease.clone(), &aim.secret);
            let begun = aim.begun.is_none() || recorded.begun == aim.begun;
            if written && recorded.announced == aim.announced && recorded.finalizing == aim.finalizing && begun {
                return Ok(());
            }
        }
        Err(not_recorded("others keep changing it"))
    }

    /// What each attempt of a write asks: whether the Lease is ours and lives longer than the write may take.
    ///
    /// It asks the API server each time: a Lease that was stolen or deleted is noticed before the write, not after.
    pub fn fence(&self) -> Fence {
        let held = self.held.clone();
        Fence::new(move || {
            let held = held.clone();
            Box::pin(async move { still_ours(&held).await })
        })
    }

    /// The same question, for what is no write by itself.
    pub async fn still_ours(&self) -> Result<(), Problem> {
        still_ours(&self.held).await?;
        Ok(())
    }

    /// Writes a Kubernetes Event about the Lease: what happened, for whoever looks at the namespace.
    pub async fn publish(&self, reason: &str, note: &str) -> Result<(), ApiError> {
        let held = self.held.lock().await;
        let regarding = k8s_openapi::api::core::v1::ObjectReference {
            api_version: Some("coordination.k8s.io/v1".to_owned()),
            kind: Some("Lease".to_owned()),
            name: held.lease.metadata.name.clone(),
            namespace: held.lease.metadata.namespace.clone(),
            uid: held.lease.metadata.uid.clone(),
            ..Default::default()
        };
        held.cluster.publish_event(&regarding, reason, note).await
    }

    /// Releases the Lease. When what it was taken for is completed, with the record: from which version to which, where
    /// the version in use changed.
    pub async fn release(self, completed: Option<Option<(VersionId, VersionId)>>) -> Result<(), Problem> {
        self.renewal.abort();
        let mut held = self.held.lock().await;
        if let Some(how) = &held.lost {
            return Err(lost(how).into());
        }
        let mut lease = held.lease.clone();
        let annotations = lease.metadata.annotations.get_or_insert_default();
        annotations.remove(PROCESS);
        if let Some(changed) = completed {
            for done in [BEGUN, BACK, COMPROMISED, FINALIZING, ANNOUNCED, CALLED_OFF] {
                annotations.remove(done);
            }
            if let Some((from, to)) = changed {
                let values = [held.operator.name.clone(), now_in_seconds(), from.to_string(), to.to_string()];
                annotations.extend(LAST.iter().map(|(name, _)| (*name).to_owned()).zip(values));
            }
        }
        if let Some(spec) = &mut lease.spec {
            spec.holder_identity = None;
            spec.acquire_time = None;
        }
        held.lease = held.cluster.replace_lease(&lease).await?;
        Ok(())
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        self.renewal.abort();
    }
}

impl Held {
    /// Renews; a conflict or a missing Lease means that it is lost. A failed request alone does not: time decides.
    async fn renew(&mut self) {
        if self.lost.is_some() {
            return;
        }
        let mut lease = self.lease.clone();
        if let Some(spec) = &mut lease.spec {
            spec.renew_time = Some(MicroTime(Timestamp::now()));
        }
        let begun = Moment::now();
        match self.cluster.replace_lease(&lease).await {
            Ok(lease) => {
                self.lease = lease;
                self.renewed = begun;
                self.confirmed = Moment::now();
                self.trouble = None;
            }
            Err(error) if matches!(error.kind, ApiErrorKind::Conflict | ApiErrorKind::NotFound) => {
                self.trouble = None;
                self.find_out().await
            }
            Err(error) => self.trouble = Some(error.to_string()),
        }
    }

    /// How long the Lease lives if it is never renewed again.
    fn left(&self) -> Duration {
        LIFE.saturating_sub(self.renewed.elapsed())
    }

    /// After a conflict: our own lost answer, or somebody else's write?
    async fn find_out(&mut self) {
        match self.cluster.lease(LEASE).await {
            Ok(Some(lease)) if holder(&lease) == Some(self.operator.identity().as_str()) => self.lease = lease,
            Ok(Some(lease)) => self.lost = Some(format!("{} holds it now", holder(&lease).unwrap_or("nobody"))),
            Ok(None) => self.lost = Some("it was deleted".to_owned()),
            Err(error) => self.trouble = Some(error.to_string()),
        }
    }
}

async fn still_ours(held: &Mutex<Held>) -> Result<Grant, ApiError> {
    let asked = Moment::now();
    let mut held = held.lock().await;
    for pause in ATTEMPTS {
        // Who waited for the answer to another's question has it: consumers are patched at the same moment.
        if !held.confirmed.is_before(asked) && held.left() >= MARGIN || held.lost.is_some() {
            break;
        }
        tokio::time::sleep(pause).await;
        held.renew().await;
    }
    // I3: whoever has lost the lock writes nothing more.
    match &held.lost {
        Some(how) => Err(lost(how)),
        None if held.left() < MARGIN => {
            let why = held.trouble.as_ref().map(|trouble| format!(": {trouble}")).unwrap_or_default();
            Err(lost(&format!("it could not be renewed in time{why}")))
        }
        None => Ok(Grant::until(held.renewed, LIFE - SPARE)),
    }
}

async fn renew_for_ever(held: Arc<Mutex<Held>>) {
    loop {
        tokio::time::sleep(RENEWAL).await;
        held.lock().await.renew().await;
    }
}

fn record(lease: &mut Lease, aim: &Aim) {
    let annotations = lease.metadata.annotations.get_or_insert_default();
    // The last rotation of another secret is not this one's.
    if annotations.get(SECRET).is_some_and(|of| of != aim.secret.as_str()) {
        for (name, _) in LAST {
            annotations.remove(name);
        }
        annotations.remove(BEGUN);
    }
    annotations.insert(SECRET.to_owned(), aim.secret.to_string());
    let flag = |set: bool| set.then(|| "true".to_owned());
    let number = |version: VersionId| version.get().to_string();
    // What was begun stays on record where the version in use stays: its end was not recorded.
    if let Some(begun) = aim.begun {
        write(annotations, BEGUN, Some(number(begun.to)));
        write(annotations, BACK, flag(begun.back));
        write(annotations, COMPROMISED, flag(begun.compromised));
    }
    write(annotations, FINALIZING, aim.finalizing.map(number));
    write(annotations, ANNOUNCED, aim.announced.map(|announced| number(announced.version)));
    write(annotations, CALLED_OFF, flag(aim.announced.is_some_and(|announced| announced.called_off)));
}

fn write(annotations: &mut BTreeMap<String, String>, name: &str, value: Option<String>) {
    match value {
        Some(value) => annotations.insert(name.to_owned(), value),
        None => annotations.remove(name),
    };
}

fn claimed(mut lease: Lease, operator: &Operator) -> Lease {
    lease.metadata = ObjectMeta { name: Some(LEASE.to_owned()), ..lease.metadata };
    let annotations = lease.metadata.annotations.get_or_insert_default();
    match &operator.process {
        Some(process) => annotations.insert(PROCESS.to_owned(), format!("{} {process}", operator.run)),
        None => annotations.remove(PROCESS),
    };
    let now = MicroTime(Timestamp::now());
    let before = lease.spec.as_ref().and_then(|spec| spec.lease_transitions).unwrap_or(0);
    lease.spec = Some(LeaseSpec {
        holder_identity: Some(operator.identity()),
        // LIFE is a small constant.
        lease_duration_seconds: i32::try_from(LIFE.as_secs()).ok(),
        acquire_time: Some(now.clone()),
        renew_time: Some(now),
        lease_transitions: Some(before.saturating_add(1)),
        ..LeaseSpec::default()
    });
    lease
}

fn holder(lease: &Lease) -> Option<&str> {
    lease.spec.as_ref()?.holder_identity.as_deref().filter(|holder| !holder.is_empty())
}

/// One attempt to write our claim; none when the Lease changed meanwhile, so that it has to be looked at again.
async fn claim(cluster: &Cluster, operator: &Operator) -> Result<Option<Lease>, Problem> {
    let written = match cluster.lease(LEASE).await? {
        None => cluster.create_lease(&claimed(Lease::default(), operator)).await,
        Some(lease) => {
            refuse_if_held(cluster, &lease, operator).await?;
            cluster.replace_lease(&claimed(lease, operator)).await
        }
    };
    match written {
        Ok(lease) => Ok(Some(lease)),
        Err(error) if matches!(error.kind, ApiErrorKind::Conflict | ApiErrorKind::AlreadyExists) => Ok(None),
        // The answer got lost, not necessarily the effect.
        Err(error) if error.is_outcome_unknown() => match cluster.lease(LEASE).await? {
            Some(lease) if holder(&lease) == Some(operator.identity().as_str()) => Ok(Some(lease)),
            Some(_) | None => Err(error.into()),
        },
        Err(error) => Err(error.into()),
    }
}

async fn refuse_if_held(cluster: &Cluster, lease: &Lease, operator: &Operator) -> Result<(), Problem> {
    let Some(holder) = holder(lease) else { return Ok(()) };
    let process = lease.metadata.annotations.as_ref().and_then(|all| all.get(PROCESS));
    // Only where it is the holder's own: somebody may have written the holder by hand and left the annotation.
    let of_holder = process.and_then(|noted| noted.split_once(' ')).filter(|(run, _)| holder.contains(run));
    if of_holder.is_some_and(|(_, process)| process::is_dead(process, operator)) {
        return Ok(());
    }
    let life = lease.spec.as_ref().and_then(|spec| spec.lease_duration_seconds).unwrap_or(0);
    let written =
        lease.metadata.managed_fields.iter().flatten().filter_map(|entry| entry.time.as_ref()).map(|time| time.0).max();
    let server = cluster.server_time().await?;
    // Without a recorded time the age is unknown, and an unknown Lease is a held one.
    let age = written.map(|written| server.duration_since(written).as_secs());
    // Both times are whole seconds: one more makes sure.
    let left = age.map(|age| i64::from(life) + 1 - age);
    match left {
        Some(left) if left <= 0 => Ok(()),
        _ => Err(is_held(cluster, lease, holder, age, left)),
    }
}

/// How long a Lease may live on before the way to end it by hand is told: ours live for 20 seconds.
const LONG: i64 = 120;

fn is_held(cluster: &Cluster, lease: &Lease, holder: &str, age: Option<i64>, left: Option<i64>) -> Problem {
    let since = lease.spec.as_ref().and_then(|spec| spec.acquire_time.as_ref());
    let since = since.map(|time| format!(" since {}", time.0)).unwrap_or_default();
    let sign = match age {
        Some(age) => format!("last sign of life {age}s ago"),
        None => "nothing tells when it gave its last sign of life".to_owned(),
    };
    let line = format!("{holder} is at work on this account{since} ({sign})");
    let problem =
        Problem::new(Reason::Locked, line).hint("let them finish; the same command goes on from wherever they stop");
    let by_hand = format!("kubectl delete lease {LEASE} -n {}", cluster.namespace());
    match left {
        Some(left) if left <= LONG => {
            problem.hint(format!("if that process is gone, its lock ends by itself in {left}s"))
        }
        Some(left) => problem.hint(format!(
            "if that process is gone, its lock ends by itself in {left}s; once you are sure that it is gone: {by_hand}"
        )),
        None => problem.hint(format!(
            "it does not end by itself, since it has no age; once you are sure that {holder} is gone: {by_hand}"
        )),
    }
}

fn lost(how: &str) -> ApiError {
    ApiError::new(Service::Kubernetes, "the lock", ApiErrorKind::Fenced { sent: false }, how)
}

fn not_recorded(why: &str) -> Problem {
    let line = format!("what this change sets out for could not be recorded in the lock: {why}");
    Problem::new(Reason::NotRecorded, line)
        .hint("whoever goes on from an interruption needs that record; run the same command again")
}

fn now_in_seconds() -> String {
    Timestamp::now().round(jiff::Unit::Second).unwrap_or_default().to_string()
}

/// Whether the process that took a Lease on this very machine is gone, so that nobody has to wait for the expiry.
mod process {
    use super::Operator;

    /// True only when both processes are of the same boot of the same kernel and in the same PID namespace, and the
    /// other one does not exist any more. A reused PID only means waiting for the expiry.
    pub fn is_dead(other: &str, operator: &Operator) -> bool {
        let Some(own) = &operator.process else { return false };
        let (Some((other_place, pid)), Some((own_place, _))) = (other.rsplit_once('/'), own.rsplit_once('/')) else {
            return false;
        };
        other_place == own_place && pid.parse().is_ok_and(|pid: i32| !exists(pid))
    }

    #[cfg(unix)]
    fn exists(pid: i32) -> bool {
        rustix::process::Pid::from_raw(pid).is_none_or(|pid| {
            // EPERM means that it exists and is somebody else's.
            rustix::process::test_kill_process(pid) != Err(rustix::io::Errno::SRCH)
        })
    }

    #[cfg(not(unix))]
    fn exists(_: i32) -> bool {
        true
    }
}

/// Names this process so that another run on this machine can tell whether it still exists: the boot's id, the PID
/// namespace and the PID. Linux only; elsewhere none, and the expiry has to be awaited.
pub fn this_process() -> Option<String> {
    let boot = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
    let namespace = std::fs::read_link("/proc/self/ns/pid").ok()?;
    Some(format!("{}/{}/{}", boot.trim(), namespace.display(), std::process::id()))
}
