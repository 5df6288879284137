//! Has External Secrets copy, and waits until the bytes in the Kubernetes Secrets are the right ones.
//!
//! `Ready=True` and `refreshTime` prove nothing here: a sync can succeed with an old version while `latest` lags, and an
//! immutable target keeps its old bytes in silence. Only the bytes count.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use futures::future::try_join_all;
use serde_json::Value;

use super::Progress;
use crate::clients::cluster::pulse::Watched;
use crate::clients::cluster::{EventNote, KubernetesSecret};
use crate::lock::Lock;
use crate::observe::external_secrets::{self, Reader};
use crate::observe::mappings::Mapping;
use crate::observe::{Seen, found};
use crate::run::{Run, fence, interrupted};
use deepdesk_protocol::check::prints_one;
use deepdesk_protocol::command;
use deepdesk_protocol::event::{StepName, StepState};
use deepdesk_protocol::facts::names::ObjectName;
use deepdesk_protocol::facts::observation::{Derivation, Found, KeyView, Observation, Ready, Source};
use deepdesk_protocol::happening::{Awaited, Happening, in_one_line};
use deepdesk_protocol::hint::Hint;
use deepdesk_protocol::problem::{Problem, Reason};

/// The annotation that the runbook sets; any changed metadata of an ExternalSecret makes it sync.
pub const FORCE_SYNC: &str = "force-sync";
/// The field manager of our patches.
pub const FIELD_MANAGER: &str = "kubectl-deepdesk";
/// Pause between a sync that brought old bytes and the next push, doubled each time up to `LONGEST_PAUSE`.
const FIRST_PAUSE: Duration = Duration::from_millis(250);
const LONGEST_PAUSE: Duration = Duration::from_secs(3);
/// How long a push may go unanswered before it is repeated, or before right bytes are taken without its answer.
const UNANSWERED: Duration = Duration::from_secs(15);
/// The same where a ClusterExternalSecret takes the annotation away at once: both of that, and what it set off, may be over before it
/// is seen, and then the bytes tell.
const UNANSWERED_OF_AN_OWNER: Duration = Duration::from_secs(2);
/// How long a refusal of a secret that was created in this run may be the lag of its access policy.
const LAG_OF_THE_NEW: Duration = Duration::from_secs(90);

/// How to wait.
#[derive(Clone, Copy, Debug)]
pub struct Manner {
    /// The step that waits.
    pub step: StepName,
    /// Whether to ask for a sync where the bytes are right already.
    pub ask: Ask,
}

impl Manner {
    /// Waits in this step until the bytes are right, and asks for a sync only while they are not.
    pub fn until_right(step: StepName) -> Manner {
        Manner { step, ask: Ask::IfWrong }
    }
}

/// What proves that the bytes of a Kubernetes Secret are the newest version's.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Ask {
    /// That they are right: nothing older has the same.
    IfWrong,
    /// The same, and a sync is asked for in any case. Where none answers for a while, the bytes alone count.
    Always,
}

/// What is known of one ExternalSecret during the wait.
struct Waiting<'a> {
    reader: &'a Reader,
    pushed: u32,
    /// When the next push is due; none while one is under way.
    next_push: Option<Instant>,
    push: Option<Push>,
    /// Why its last sync failed, where that may be the lag of a secret that is new.
    lag: Option<String>,
}

/// The last push, and what the object said of itself in the answer to it.
struct Push {
    at: Instant,
    synced: Option<String>,
    was_failing: bool,
    /// When it had last synced.
    refreshed: Option<String>,
    /// Whether a ClusterExternalSecret takes the annotation away again.
    is_owned: bool,
    /// The Warning Events that were there before.
    failures: Vec<(String, String)>,
}

impl Push {
    /// Whether a sync that began after this push has ended well: any status written after a push comes from a reconcile
    /// that had seen it (the controller writes with the resource version that it read).
    fn is_answered_by(&self, object: &Value) -> bool {
        let is_synced = match self.is_owned {
            // It syncs for the annotation, and once more when that is gone: then it is as it was.
            true => is_settled(object) && synced(object) == self.synced && refreshed(object) != self.refreshed,
            false => synced(object) != self.synced,
        };
        is_synced && matches!(external_secrets::ready(object), Ready::True { .. })
    }

    /// Whether nothing answered it for so long that the bytes alone count.
    fn is_overdue(&self, object: &Value) -> bool {
        self.at.elapsed() > self.patience() && (!self.is_owned || is_settled(object))
    }

    fn patience(&self) -> Duration {
        if self.is_owned { UNANSWERED_OF_AN_OWNER } else { UNANSWERED }
    }
}

/// Waits until every key that these ExternalSecrets fill holds the newest value of its secret, as `progress` knows it.
/// Notes the `resourceVersion` of each Kubernetes Secret at that moment.
pub async fn arrive(
    run: &Run<'_>,
    lock: Option<&Lock>,
    progress: &mut Progress,
    names: &[ObjectName],
    manner: Manner,
) -> Result<(), Problem> {
    let deadline = Instant::now() + run.request.timeout;
    let begun = Instant::now();
    let mut interrupt = run.interrupt.clone();
    let mut pulse = run.cluster.pulse(&[Watched::ExternalSecrets, Watched::Secrets]);
    let readers = progress.seen.readers.iter().filter(|reader| names.contains(&reader.name));
    let fresh = |reader| Waiting { reader, pushed: 0, next_push: Some(Instant::now()), push: None, lag: None };
    let mut waiting: Vec<Waiting> = readers.map(fresh).collect();
    let mut told = Vec::new();
    loop {
        run.interrupt.check()?;
        let mut proven = BTreeMap::new();
        let mut open = Vec::new();
        let targets = try_join_all(waiting.iter().map(|one| run.cluster.secret(one.reader.target.as_str()))).await?;
        for (one, target) in waiting.iter_mut().zip(&targets) {
            let wrong = match target {
                Some(target) => {
                    proven.insert(one.reader.target.clone(), target.resource_version.clone());
                    wrong_key(&progress.seen, one.reader, target)
                }
                None => Some(format!("{} is not there", one.reader.target)),
            };
            match pursue(run, lock, progress, one, wrong, manner, begun).await? {
                Some(pending) => open.push((pending, one.next_look())),
                None if one.push.is_some() => run.teller.arrived(manner.step, &one.reader.name),
                None => {}
            }
        }
        if open.is_empty() {
            let held: Vec<_> =
                waiting.iter().zip(&targets).map(|(one, target)| held(&progress.seen, one.reader, target)).collect();
            held.into_iter().for_each(|held| note(&mut progress.seen, held));
            progress.proven.extend(proven);
            return Ok(());
        }
        let awaited: Vec<Awaited> = open.iter().map(|(pending, _)| pending.clone()).collect();
        if awaited != told {
            run.teller.tell(manner.step, StepState::Waiting, &Happening::Awaits(awaited.clone()));
            told = awaited;
        }
        if Instant::now() >= deadline {
            let lags = waiting.iter().any(|one| one.lag.is_some() && !could_not_copy(progress, one.reader));
            return Err(timed_out(run, &progress.seen.now, &in_one_line(&told), lags));
        }
        let next = open.iter().map(|(_, next)| *next).min().unwrap_or(deadline);
        tokio::select! {
            () = pulse.changed() => {}
            () = tokio::time::sleep_until(next.min(deadline).into()) => {}
            () = interrupt.asked() => return Err(interrupted()),
        }
    }
}

/// What the keys that an ExternalSecret fills hold, and the resource version of the Secret that they were read from.
struct Held {
    name: ObjectName,
    resource_version: Option<String>,
    written: Option<jiff::Timestamp>,
    keys: Vec<(String, Source, Found)>,
}

fn held(seen: &Seen, reader: &Reader, target: &Option<KubernetesSecret>) -> Held {
    let keys = reader.mappings.iter().map(|mapping| {
        (mapping.key.clone(), mapping.source, found(&seen.now, reader, mapping, target.as_ref(), &seen.vault))
    });
    Held {
        name: reader.name.clone(),
        resource_version: target.as_ref().map(|target| target.resource_version.clone()),
        written: target.as_ref().and_then(|target| target.last_write),
        keys: keys.collect(),
    }
}

/// Remembers what has arrived, and when: a run that ends early still reports it, and judges its pods by it.
fn note(seen: &mut Seen, held: Held) {
    for view in seen.now.external_secrets.iter_mut().filter(|view| view.name == held.name) {
        view.resource_version.clone_from(&held.resource_version);
        // Pods are judged by dates where something took a restart's note away: those of this sync, not of before.
        view.written = held.written;
        for key in &mut view.keys {
            let same = |(name, source, _): &&(String, Source, Found)| *name == key.key && *source == key.source;
            if let Some((_, _, found)) = held.keys.iter().find(same) {
                key.found = *found;
            }
        }
    }
}

/// Does for one ExternalSecret what is due, and says what is still awaited of it; none when nothing is.
async fn pursue(
    run: &Run<'_>,
    lock: Option<&Lock>,
    progress: &Progress,
    one: &mut Waiting<'_>,
    wrong: Option<String>,
    manner: Manner,
    begun: Instant,
) -> Result<Option<Awaited>, Problem> {
    let overdue = could_not_copy(progress, one.reader);
    if wrong.is_none() && one.push.is_none() && manner.ask == Ask::IfWrong && !overdue {
        return Ok(None);
    }
    if let Some(push) = &one.push {
        let Some(object) = run.cluster.external_secret(one.reader.name.as_str()).await? else {
            return Err(failed(run, one.reader, "it does not exist any more"));
        };
        let object = serde_json::to_value(object).unwrap_or_default();
        let answered = push.is_answered_by(&object);
        if answered {
            one.lag = None;
        }
        let overdue_answer = push.is_overdue(&object);
        if wrong.is_none() && (answered || overdue_answer) {
            // Only now: a push still under way would write the Secret once more, after the proof.
            return Ok(None);
        }
        // After 25 events of one object Kubernetes drops the next ones: what the last one said stands while nothing better comes.
        let standing = is_failing(&object) && begun.elapsed() >= LAG_OF_THE_NEW;
        let failure = match failure(run, one.reader, push, &object).await {
            None if standing => match one.lag.clone() {
                Some(failure) => Some(failure),
                None => last_failure(run, one.reader, &object).await,
            },
            failure => failure,
        };
        if let Some(failure) = failure {
            let lags = overdue || is_lag_of_the_new(progress, &failure);
            if !lags || begun.elapsed() >= LAG_OF_THE_NEW {
                let problem = failed(run, one.reader, &failure);
                return Err(match is_lag_of_the_new(progress, &failure) {
                    true => problem.hint(compare_policies(&progress.seen.now)),
                    false => problem,
                });
            }
            one.lag = Some(failure);
        }
        if one.next_push.is_none() && (answered || overdue_answer || is_failing(&object)) {
            let pause = FIRST_PAUSE.saturating_mul(1 << one.pushed.min(8)).min(LONGEST_PAUSE);
            one.next_push = Some(Instant::now() + pause);
        }
    }
    if one.next_push.is_some_and(|next| next <= Instant::now()) {
        push(run, lock, one).await?;
        run.teller.asked(manner.step, &one.reader.name, &one.reader.target);
    }
    let external_secret = one.reader.name.clone();
    let words = wrong.unwrap_or_else(|| format!("{external_secret} has not synced yet"));
    // Its own words: it may be no lag at all, but an access policy that nobody set.
    let words = match &one.lag {
        Some(failure) => format!("{words} ({failure})"),
        None => words,
    };
    Ok(Some(Awaited { external_secret, words }))
}

impl Waiting<'_> {
    /// When to look again though nothing changes.
    fn next_look(&self) -> Instant {
        let unanswered = self.push.as_ref().map(|push| push.at + push.patience());
        self.next_push.or(unanswered).unwrap_or_else(Instant::now)
    }
}

/// The first key that does not hold what it should, in words.
fn wrong_key(seen: &Seen, reader: &Reader, target: &KubernetesSecret) -> Option<String> {
    // What is not followed and was not shown by its bytes either, a check has told.
    let mut views = seen.now.external_secrets.iter().filter(|view| view.name == reader.name);
    let keys = views.next().map(|view| view.keys.as_slice()).unwrap_or_default();
    let is_opaque = |mapping: &Mapping| {
        let same = |key: &&KeyView| key.key == mapping.key && key.source == mapping.source;
        keys.iter().find(same).is_some_and(|key| key.derivation == Derivation::Opaque)
    };
    let comparable = reader.mappings.iter().filter(|mapping| !is_opaque(mapping));
    comparable
        .filter_map(|mapping| {
            let wanted = match mapping.source {
                Source::Primary => seen.now.primary.value(),
                Source::BackCompat => seen.now.back_compat.value(),
            }?;
            let found = found(&seen.now, reader, mapping, Some(target), &seen.vault);
            (found != Found::Value(wanted)).then(|| {
                let wanted = seen.now.name_of(wanted).unwrap_or_default();
                format!("{}: {} holds {}, not yet {wanted}", reader.target, mapping.key, seen.now.holds(found))
            })
        })
        .next()
}

/// Asks for a sync with a token never used before.
async fn push(run: &Run<'_>, lock: Option<&Lock>, one: &mut Waiting<'_>) -> Result<(), Problem> {
    let failures = failures(run, one.reader).await;
    let cluster = run.cluster.fenced_by(fence(lock));
    let name = one.reader.name.as_str();
    let answer = match cluster.annotate_external_secret(name, FORCE_SYNC, &token(), FIELD_MANAGER).await {
        // Whether it arrived or not, another token asks for a sync that comes after this answer.
        Err(error) if error.is_outcome_unknown() => {
            cluster.annotate_external_secret(name, FORCE_SYNC, &token(), FIELD_MANAGER).await?
        }
        answer => answer?,
    };
    let object = serde_json::to_value(answer).unwrap_or_default();
    one.push = Some(Push {
        at: Instant::now(),
        synced: synced(&object),
        refreshed: refreshed(&object),
        is_owned: one.reader.owner.is_some(),
        was_failing: is_failing(&object),
        failures,
    });
    one.pushed += 1;
    one.next_push = None;
    Ok(())
}

fn is_failing(object: &Value) -> bool {
    matches!(external_secrets::ready(object), Ready::False { .. })
}

/// A token that no earlier one equals: with `date +%s`, twice in a second is no change, and no sync.
fn token() -> String {
    let now = jiff::Timestamp::now().as_nanosecond();
    format!("{now}-{}", std::process::id())
}

fn synced(object: &Value) -> Option<String> {
    object.pointer("/status/syncedResourceVersion").and_then(Value::as_str).map(str::to_owned)
}

fn refreshed(object: &Value) -> Option<String> {
    object.pointer("/status/refreshTime").and_then(Value::as_str).map(str::to_owned)
}

/// Whether the annotation is gone again.
fn is_settled(object: &Value) -> bool {
    object.pointer("/metadata/annotations").and_then(|annotations| annotations.get(FORCE_SYNC)).is_none()
}

/// Warning Events of failed syncs, as what tells them apart: name and state. Without the right to read Events, none.
async fn failures(run: &Run<'_>, reader: &Reader) -> Vec<(String, String)> {
    let events = run.cluster.events_about(&reader.uid).await.unwrap_or_default();
    events.into_iter().filter(is_failure).map(|event| (event.name, event.resource_version)).collect()
}

fn is_failure(event: &EventNote) -> bool {
    event.reason == "UpdateFailed"
}

/// The controller's own words, when a sync failed after the push.
async fn failure(run: &Run<'_>, reader: &Reader, push: &Push, object: &Value) -> Option<String> {
    let Ready::False { reason, message } = external_secrets::ready(object) else { return None };
    let events = run.cluster.events_about(&reader.uid).await.unwrap_or_default();
    let seen_before = |event: &EventNote| {
        push.failures.iter().any(|(name, version)| *name == event.name && *version == event.resource_version)
    };
    let new = events.into_iter().filter(|event| is_failure(event) && !seen_before(event));
    match new.max_by_key(|event| event.last) {
        Some(event) => Some(format!("{reason}: {}", event.message)),
        // It failed with the same words before the push, and nothing tells a new failure from the old one.
        None if push.was_failing => None,
        None => Some(format!("{reason}: {message}")),
    }
}

/// Whether it fails because it cannot copy the version before the newest: its bytes are right all the same, it has to be asked, and
/// fails once more for as long as `latest` names that version to it.
fn could_not_copy(progress: &Progress, reader: &Reader) -> bool {
    let now = &progress.seen.now;
    let before = now.primary.predecessor().and_then(|version| version.value);
    let view = now.external_secrets.iter().find(|view| view.name == reader.name);
    let fails = view.filter(|view| matches!(view.ready, Ready::False { .. }));
    fails.zip(before).is_some_and(|(view, value)| view.cannot_copy.contains(&(Source::Primary, value)))
}

/// What the controller said last of an object that is failing, however long ago.
async fn last_failure(run: &Run<'_>, reader: &Reader, object: &Value) -> Option<String> {
    let Ready::False { reason, message } = external_secrets::ready(object) else { return None };
    let events = run.cluster.events_about(&reader.uid).await.unwrap_or_default();
    let last = events.into_iter().filter(is_failure).max_by_key(|event| event.last);
    Some(format!("{reason}: {}", last.map_or(message, |event| event.message)))
}

/// A secret that was created a moment ago may not be readable yet: access policies spread within minutes, and `latest` of it
/// may not be there for External Secrets as soon as for us.
fn is_lag_of_the_new(progress: &Progress, failure: &str) -> bool {
    let first_version = progress.seen.now.back_compat.newest().is_some_and(|newest| newest.id.previous().is_none());
    let unseen = ["PermissionDenied", "PERMISSION_DENIED", "NotFound", "does not exist", "not found"];
    first_version
        && unseen.iter().any(|words| failure.contains(words))
        && failure.contains(progress.seen.now.back_compat.secret.as_str())
}

fn failed(run: &Run<'_>, reader: &Reader, failure: &str) -> Problem {
    let account = &run.request.account;
    Problem::new(Reason::SyncFailed, format!("external secret {account}/{} is not syncing: {failure}", reader.name))
        .hint(command!["kubectl", "describe", "externalsecret", reader.name, "-n", account])
}

/// What is left of reasons where a secret that is new cannot be read for minutes.
fn compare_policies(now: &Observation) -> Hint {
    let (secret, project) = (&now.back_compat.secret, format!("--project={}", now.home.project));
    Hint::to(
        format!(
            "let External Secrets read {secret} as it reads {}: compare the two access policies",
            now.primary.secret
        ),
        command!["gcloud", "secrets", "get-iam-policy", secret, project],
    )
}

fn timed_out(run: &Run<'_>, now: &Observation, waited_for: &str, lags: bool) -> Problem {
    let account = &run.request.account;
    let seconds = run.request.timeout.as_secs();
    let problem = Problem::new(Reason::SyncTimeout, format!("gave up after {seconds}s: {waited_for}"));
    if lags {
        return problem.hint(compare_policies(now));
    }
    let is_it = |target: &ObjectName| waited_for.starts_with(&format!("{target}: "));
    let mut awaited = now.external_secrets.iter().filter(|external| is_it(&external.target));
    if let Some((one, (wrong, way_on))) = awaited.find_map(|one| Some((one, prints_one(one, account)?))) {
        return problem.now(format!("external secret {} {wrong}", one.name)).hint(way_on);
    }
    problem
        .hint(Hint::to(
            "check that External Secrets is running",
            command!["kubectl", "get", "pods", "-A", "-l", "app.kubernetes.io/name=external-secrets"],
        ))
        .hint(command!["kubectl", "get", "externalsecrets", "-n", account])
}
