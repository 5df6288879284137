//! One operator at a time: a Lease in the account's namespace.
//!
//! Clocks of laptops differ, so nobody's own time is trusted: a Lease has expired when the API server's clock is past
//! its last write, as the server recorded it in `managedFields`, by more than its duration. How long our own still lives is
//! judged by a clock that goes on while the machine sleeps.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt as _;
use jiff::Timestamp;
use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta};
use tokio::sync::Mutex;

use crate::clients::cluster::Cluster;
use crate::clients::error::{ApiError, ApiErrorKind, Service};
use crate::clients::fence::{Fence, Grant, Moment};
use deepdesk_protocol::command;
use deepdesk_protocol::event::StepName;
use deepdesk_protocol::facts::named::ReaderName;
use deepdesk_protocol::facts::names::{AccountName, SecretId, VersionId, printable};
use deepdesk_protocol::facts::observation::LastRotation;
use deepdesk_protocol::facts::older::VersionSet;
use deepdesk_protocol::lock::{self, AtWork, LeaseView};
use deepdesk_protocol::problem::{Problem, Reason};
use deepdesk_protocol::record::{self, Aim, Record};

/// The Lease's name, in the account's namespace.
pub const LEASE: &str = "deepdesk-rotation";
/// How long a Lease lives without being renewed.
pub const LIFE: Duration = Duration::from_secs(20);
/// How much of its life must be left when a write is sent: more than any request may take (10 s).
const MARGIN: Duration = Duration::from_secs(11);
/// How much of its life a request under way leaves over.
const SPARE: Duration = Duration::from_secs(1);
const RENEWAL: Duration = Duration::from_secs(4);
/// Leases read at the same time.
const AT_ONCE: usize = 16;
/// How often a claim is written again after somebody else changed the Lease at the same moment.
const TAKES: usize = 4;
/// Pauses before each attempt to renew right before a write: one answer of 503 is no reason to give up.
const ATTEMPTS: [Duration; 4] =
    [Duration::ZERO, Duration::from_millis(100), Duration::from_millis(400), Duration::from_secs(1)];

const PROCESS: &str = "deepdesk.com/holder-process";
/// On what machine the holder is, after its run.
const MACHINE: &str = "deepdesk.com/holder-machine";
/// At which step it is, and since when, after its run.
const STEP: &str = "deepdesk.com/holder-step";

/// Who takes the Lease.
#[derive(Clone, Debug)]
pub struct Operator {
    /// For people: `alice@laptop`.
    pub name: String,
    /// The machine's name.
    pub machine: String,
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
    /// The step under way and when it began, for whoever looks: it goes out with the next renewal, which comes before each write.
    step: Option<(StepName, Timestamp)>,
}

/// How what a lock was taken for has ended.
pub enum Ended {
    /// Not at all: its record stays.
    Incomplete,
    /// Consumers were restarted, and nothing else.
    Restarted,
    /// A change was completed.
    Changed(Completed),
}

/// A change that was completed under a lock.
pub struct Completed {
    /// From which version to which, where the version in use changed.
    pub changed: Option<(VersionId, VersionId)>,
    pub retired: VersionSet,
    pub left: Vec<ReaderName>,
}

/// Reads what the Lease records of this primary; nothing where there is none.
pub async fn recorded(cluster: &Cluster, primary: &SecretId) -> Result<Record, ApiError> {
    Ok(cluster.lease(LEASE).await?.map(|lease| record_in(&lease, primary)).unwrap_or_default())
}

/// The same of a Lease at hand.
pub fn record_in(lease: &Lease, primary: &SecretId) -> Record {
    lease.metadata.annotations.as_ref().map(|annotations| Record::read(annotations, primary)).unwrap_or_default()
}

/// The refusal that taking the lock would meet now; none when it is free to be taken. Writes nothing.
pub async fn refusal(cluster: &Cluster, operator: &Operator) -> Result<Option<Problem>, Problem> {
    let Some(lease) = cluster.lease(LEASE).await? else { return Ok(None) };
    Ok(refused(cluster, &lease, operator).await?)
}

/// Lets the API server judge the write that takes the lock, without doing it. What is there already was judged before that is found.
pub async fn judge(cluster: &Cluster, operator: &Operator) -> Result<(), ApiError> {
    match cluster.as_dry_run().create_lease(&claimed(Lease::default(), operator)).await {
        Err(error) if error.kind == ApiErrorKind::AlreadyExists => Ok(()),
        judged => judged.map(drop),
    }
}

/// Who is at work on the account; none where nobody is, and where that cannot be read: it is told where one looks, and decides nothing.
pub async fn at_work(cluster: &Cluster, operator: &Operator) -> Option<AtWork> {
    let lease = cluster.lease(LEASE).await.ok()??;
    judged(cluster, &lease, operator).await
}

/// The same of many accounts: by one list, or by one read each where no list of all namespaces is allowed.
pub async fn all_at_work(
    cluster: &Cluster,
    accounts: &[AccountName],
    operator: &Operator,
) -> BTreeMap<AccountName, AtWork> {
    let mut found = BTreeMap::new();
    let leases: Vec<(AccountName, Lease)> = match accounts {
        [] => return found,
        [_, _, ..] => match cluster.list_everywhere::<Lease>(Some(LEASE)).await {
            Ok(leases) => {
                let named = |lease: Lease| Some((lease.metadata.namespace.as_deref()?.parse().ok()?, lease));
                leases.into_iter().filter_map(named).collect()
            }
            Err(_) => each_lease(cluster, accounts).await,
        },
        [_] => each_lease(cluster, accounts).await,
    };
    for (account, lease) in
        leases.into_iter().filter(|(account, lease)| accounts.contains(account) && holder(lease).is_some())
    {
        if let Some(at_work) = judged(cluster, &lease, operator).await {
            found.insert(account, at_work);
        }
    }
    found
}

async fn each_lease(cluster: &Cluster, accounts: &[AccountName]) -> Vec<(AccountName, Lease)> {
    let look = |account: AccountName| async move {
        let lease = cluster.for_account(&account).lease(LEASE).await.ok()??;
        Some((account, lease))
    };
    let looks = futures::stream::iter(accounts.iter().cloned().map(look)).buffered(AT_ONCE);
    looks.filter_map(|found| async move { found }).collect().await
}

/// The same of a Lease at hand.
pub async fn judged(cluster: &Cluster, lease: &Lease, operator: &Operator) -> Option<AtWork> {
    let lease = view(lease, operator);
    if lease.is_open() {
        return None;
    }
    lock::at_work(&lease, cluster.server_time().await.ok()?)
}

impl Lock {
    /// Notes which step begins. It costs no request of its own.
    pub async fn note_step(&self, step: StepName) {
        self.held.lock().await.step = Some((step, Timestamp::now()));
    }

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
                    step: None,
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
            record::set_out(self.held.lock().await.lease.metadata.annotations.get_or_insert_default(), &aim);
            self.still_ours().await?;
            let held = self.held.lock().await;
            // The lock may be ours without having been renewed just now: then the record is in our copy alone.
            let written = !held.renewed.is_before(asked);
            if let (false, Some(trouble)) = (written, &held.trouble) {
                return Err(not_recorded(trouble));
            }
            // After a conflict it is the server's Lease that is renewed, without what we wrote into ours.
            if written && record_in(&held.lease, &aim.secret).tells(&aim) {
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

    /// Releases the Lease, with the record of how what it was taken for has ended.
    pub async fn release(self, ended: Ended) -> Result<(), Problem> {
        self.renewal.abort();
        let mut held = self.held.lock().await;
        if let Some(how) = &held.lost {
            return Err(lost(how).into());
        }
        let mut lease = held.lease.clone();
        let annotations = lease.metadata.annotations.get_or_insert_default();
        [PROCESS, MACHINE, STEP].iter().for_each(|name| drop(annotations.remove(*name)));
        let completed = match ended {
            Ended::Incomplete => None,
            Ended::Restarted => Some(None),
            Ended::Changed(change) => Some(Some(change)),
        };
        // Without it pods are judged by their notes alone.
        if completed.is_some()
            && let Ok(now) = held.cluster.server_time().await
        {
            record::run_ends(annotations, now);
        }
        if let Some(Some(Completed { changed, retired, left })) = completed {
            let last = changed.map(|(from, to)| LastRotation {
                by: held.operator.name.clone(),
                at: now_in_seconds(),
                from: from.to_string(),
                to: to.to_string(),
            });
            record::end(annotations, record::Ended { last, retired, left });
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
        if let Some((step, since)) = &self.step {
            let since = since.round(jiff::Unit::Second).unwrap_or(*since);
            let noted = format!("{} {} {since}", self.operator.run, step.as_str());
            lease.metadata.annotations.get_or_insert_default().insert(STEP.to_owned(), noted);
        }
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

fn claimed(mut lease: Lease, operator: &Operator) -> Lease {
    lease.metadata = ObjectMeta { name: Some(LEASE.to_owned()), ..lease.metadata };
    let annotations = lease.metadata.annotations.get_or_insert_default();
    match &operator.process {
        Some(process) => annotations.insert(PROCESS.to_owned(), format!("{} {process}", operator.run)),
        None => annotations.remove(PROCESS),
    };
    record::run_begins(annotations);
    annotations.insert(MACHINE.to_owned(), format!("{} {}", operator.run, operator.machine));
    annotations.remove(STEP);
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
            if let Some(refused) = refused(cluster, &lease, operator).await? {
                return Err(refused);
            }
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

/// The refusal that a Lease amounts to which somebody else holds; none where it is free.
async fn refused(cluster: &Cluster, lease: &Lease, operator: &Operator) -> Result<Option<Problem>, ApiError> {
    let lease = view(lease, operator);
    if lease.is_open() {
        return Ok(None);
    }
    let by_hand = command!["kubectl", "delete", "lease", LEASE, "-n", cluster.namespace()];
    Ok(lock::refusal(&lease, cluster.server_time().await?, by_hand))
}

fn view(lease: &Lease, operator: &Operator) -> LeaseView {
    let holder = holder(lease);
    // Only where it is the holder's own: somebody may have written the holder by hand and left the annotation.
    let noted = |name: &str| {
        let noted = lease.metadata.annotations.as_ref().and_then(|all| all.get(name))?.split_once(' ');
        noted.filter(|(run, _)| !run.is_empty() && holder.is_some_and(|holder| holder.contains(run)))
    };
    let of_holder = noted(PROCESS);
    let step = noted(STEP).map(|(_, step)| {
        let (name, since) = step.split_once(' ').unwrap_or((step, ""));
        (printable(name), since.parse().ok())
    });
    let writes = lease.metadata.managed_fields.iter().flatten().filter_map(|entry| entry.time.as_ref());
    let spec = lease.spec.as_ref();
    LeaseView {
        holder: holder.map(str::to_owned),
        since: spec.and_then(|spec| spec.acquire_time.as_ref()).map(|time| time.0),
        life: spec.and_then(|spec| spec.lease_duration_seconds).unwrap_or(0).into(),
        written: writes.map(|time| time.0).max(),
        machine: noted(MACHINE).map(|(_, machine)| printable(machine)),
        step,
        process_is_gone: of_holder.is_some_and(|(_, process)| process::is_dead(process, operator)),
    }
}

fn lost(how: &str) -> ApiError {
    ApiError::new(Service::Kubernetes, "the lock", ApiErrorKind::Fenced { sent: false }, how)
}

fn not_recorded(why: &str) -> Problem {
    let line = format!("could not record the planned versions in the Lease: {why}");
    Problem::new(Reason::NotRecorded, line).hint("a resumed run needs that record: run the same command again")
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
