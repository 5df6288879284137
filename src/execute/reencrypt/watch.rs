//! Waits for a Job's end, and shows meanwhile what its command writes.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::Pod;

use super::pod::{self, Standing};
use super::{STEP, Stopped};
use crate::clients::cluster::pulse::Watched as Kinds;
use crate::clients::cluster::{LogLine, PodLog};
use crate::clients::error::{ApiError, ApiErrorKind};
use crate::lock::Lock;
use crate::observe::redaction::{Redaction, Versions};
use crate::observe::template::Template;
use crate::run::{Run, interrupted};
use deepdesk_protocol::event::StepState;
use deepdesk_protocol::facts::names::listed;
use deepdesk_protocol::facts::reencryption::Reencryption;
use deepdesk_protocol::happening::Happening;
use deepdesk_protocol::problem::{Exit, Problem, Reason};

/// How many of the last lines are shown again with a failure.
const LAST_WORDS: usize = 8;
/// How long what a container cannot start for may last: an image is tried again by itself, and a registry may be slow.
const PATIENCE: Duration = Duration::from_secs(20);
/// How often it is looked at, where nothing says that something changed: a Job is not watched, its pods are.
const TICK: Duration = Duration::from_secs(1);
/// How often the lock is asked for meanwhile: it is renewed by itself, and asking is a write.
const LOCK: Duration = Duration::from_secs(5);
/// How long after the limit the Job's own deadline may take to show.
const LATE: Duration = Duration::from_secs(10);
/// How long the end of a log is waited for once the Job has ended.
const REST_OF_LOG: Duration = Duration::from_secs(5);
/// How often a log that cannot be read is asked for before that is told.
const LOG_TRIES: u32 = 3;

/// The Job that is watched.
pub struct Watched<'a> {
    pub name: &'a str,
    pub uid: Option<&'a str>,
    /// What it was made from.
    pub from: &'a Template,
    /// What must not be shown.
    pub redaction: &'a Redaction,
    /// The Kubernetes Secrets as they were when their bytes had been compared.
    pub versions: &'a Versions,
}

/// Waits until the command has ended with 0.
pub async fn to_its_end(run: &Run<'_>, lock: &Lock, asked: &Reencryption, job: Watched<'_>) -> Result<(), Stopped> {
    let mut watch = Watch {
        run,
        asked,
        job,
        told: String::new(),
        last: VecDeque::new(),
        log: Log::Later { at: Instant::now(), tries: 0 },
        read: None,
        begun: false,
        trouble: None,
    };
    watch.follow(lock).await
}

struct Watch<'a> {
    run: &'a Run<'a>,
    asked: &'a Reencryption,
    job: Watched<'a>,
    told: String,
    /// The last lines, as they were shown.
    last: VecDeque<String>,
    log: Log,
    /// When the last line that was read was written.
    read: Option<Timestamp>,
    begun: bool,
    /// Since when the pod cannot start.
    trouble: Option<Instant>,
}

/// How far the log is.
enum Log {
    /// To be asked for, not before this moment; after so many failures.
    Later { at: Instant, tries: u32 },
    /// Read as it is written.
    Open(Box<PodLog>),
    /// Read to its end, or given up.
    Over,
}

impl Watch<'_> {
    async fn follow(&mut self, lock: &Lock) -> Result<(), Stopped> {
        let begun = Instant::now();
        let mut asked_lock = begun;
        let mut interrupt = self.run.interrupt.clone();
        let mut pulse = self.run.cluster.pulse(&[Kinds::Pods]);
        loop {
            self.run.interrupt.check()?;
            if asked_lock.elapsed() >= LOCK {
                lock.still_ours().await?;
                asked_lock = Instant::now();
            }
            let (standing, pods) = self.look().await?;
            if self.is_done(standing, &pods, begun.elapsed()).await? {
                return Ok(());
            }
            let next = tokio::time::Instant::now() + TICK;
            // A log may be long: it is read until something else is to be looked at.
            loop {
                tokio::select! {
                    () = interrupt.asked() => return Err(interrupted().into()),
                    () = pulse.changed() => break,
                    () = tokio::time::sleep_until(next) => break,
                    line = next_line(&mut self.log) => self.take(line),
                }
            }
        }
    }

    async fn look(&self) -> Result<(Standing, Vec<Pod>), Stopped> {
        let cluster = self.run.cluster;
        let Some(job) =
            cluster.get::<Job>(self.job.name).await?.filter(|job| job.metadata.uid.as_deref() == self.job.uid)
        else {
            let line = format!("job {} was deleted by somebody else before it ended", self.job.name);
            return Err(Problem::new(Reason::ReencryptionGone, line).into());
        };
        let owned = |pod: &Pod| {
            let owners = pod.metadata.owner_references.iter().flatten();
            owners.into_iter().any(|owner| Some(owner.uid.as_str()) == self.job.uid)
        };
        let mut pods = cluster.labelled_pods(&format!("job-name={}", self.job.name)).await?;
        pods.retain(owned);
        Ok((pod::standing(&job, &pods, &self.job.from.container), pods))
    }

    /// Whether the command has ended, and with 0.
    async fn is_done(&mut self, standing: Standing, pods: &[Pod], elapsed: Duration) -> Result<bool, Stopped> {
        let container = self.job.from.container.clone();
        let began = pods.iter().find(|pod| pod::has_begun(pod, &container)).cloned();
        if let Some(began) = &began {
            if !self.begun {
                self.begun = true;
                self.prove_what_it_read().await?;
            }
            self.open_log(began, &container).await?;
        }
        match standing {
            Standing::Complete => {
                if began.is_none() && !self.begun {
                    // Its pod came and went between two looks.
                    self.prove_what_it_read().await?;
                }
                self.finish_log(began.as_ref(), &container).await?;
                return Ok(true);
            }
            Standing::Failed { code, reason, words } => {
                self.finish_log(began.as_ref(), &container).await?;
                return Err(self.failed(code, &reason, &words));
            }
            Standing::Running => {
                self.trouble = None;
                self.wait_for(format!("job {}: the command runs", self.job.name));
                if elapsed >= self.asked.limit + LATE {
                    return Err(self.too_late());
                }
            }
            Standing::Waiting { why, trouble } => {
                let why = self.shown(&self.with_events(why, pods, elapsed).await);
                self.wait_for(format!("job {}: {why}", self.job.name));
                self.check_start(&why, trouble, elapsed)?;
            }
        }
        Ok(false)
    }

    /// The pod read its Secrets when it started. As they are unchanged since their bytes were compared, it has the newest.
    async fn prove_what_it_read(&self) -> Result<(), Stopped> {
        let mut written = Vec::new();
        for (name, version) in self.job.versions {
            let now = self.run.cluster.secret(name.as_str()).await?;
            if now.is_none_or(|now| now.resource_version != *version) {
                written.push(name);
            }
        }
        if written.is_empty() {
            return Ok(());
        }
        let line = format!(
            "{} was written while the pod of job {} started: what it read is not known",
            listed(&written),
            self.job.name
        );
        Err(Problem::new(Reason::SecretsKeepChanging, line)
            .with_exit(Exit::Refused)
            .hint("run the same command again")
            .into())
    }

    /// Why a Job has no pod stands in Events alone.
    async fn with_events(&self, why: String, pods: &[Pod], elapsed: Duration) -> String {
        let (Some(uid), true) = (self.job.uid, pods.is_empty() && elapsed > TICK) else { return why };
        let events = self.run.cluster.events_about(uid).await.unwrap_or_default();
        let newest = events.into_iter().filter(|event| event.type_ == "Warning").max_by_key(|event| event.last);
        newest.map_or(why, |event| format!("{}: {}", event.reason, event.message))
    }

    /// Fails when the pod cannot start, or has not for as long as a wait may take.
    fn check_start(&mut self, why: &str, trouble: bool, elapsed: Duration) -> Result<(), Stopped> {
        let since = trouble.then(|| *self.trouble.get_or_insert_with(Instant::now));
        if since.is_none() {
            self.trouble = None;
        }
        let limit = self.run.request.timeout.min(self.asked.limit);
        let stuck = since.is_some_and(|since| since.elapsed() >= PATIENCE.min(limit));
        if !stuck && elapsed < limit {
            return Ok(());
        }
        let line = match stuck {
            true => format!("job {} cannot start: {why}", self.job.name),
            false => format!("job {} did not start within {}s: {why}", self.job.name, limit.as_secs()),
        };
        let problem = Problem::new(Reason::ReencryptionNotStarted, line).hint(format!(
            "its pod is made from {} (container {}); another: --reencrypted-by-workload KIND/NAME",
            self.job.from.workload, self.job.from.container
        ));
        Err(problem.into())
    }

    fn too_late(&self) -> Stopped {
        let line = format!("`{}` did not end within {}s", self.asked.command, self.asked.limit.as_secs());
        let problem = Problem::new(Reason::ReencryptionTimeout, line);
        self.with_last_words(problem).hint("allow more time: --reencryption-timeout 4h").into()
    }

    fn failed(&self, code: Option<i32>, reason: &str, words: &str) -> Stopped {
        if reason == "DeadlineExceeded" {
            return self.too_late();
        }
        let words = self.shown(words);
        let line = match code {
            Some(code) if words.is_empty() => format!("exited with {code}"),
            Some(code) => format!("exited with {code} ({words})"),
            None => format!("did not run to its end: {reason}: {words}"),
        };
        let line = format!("re-encryption is not shown to be done: `{}` {line}", self.asked.command);
        let problem = Problem::new(Reason::ReencryptionNotDone, line);
        let problem = self.with_last_words(problem).hint("save what is left again, then run the same command again");
        Stopped { problem, code }
    }

    fn with_last_words(&self, problem: Problem) -> Problem {
        self.last.iter().fold(problem, |problem, line| problem.now(format!("the command wrote: {line}")))
    }

    /// Words that the application may have a part in.
    fn shown(&self, words: &str) -> String {
        self.job.redaction.lines(words.replace('\n', " ").as_bytes()).join(" ")
    }

    fn wait_for(&mut self, detail: String) {
        if detail != self.told {
            self.run.teller.tell(STEP, StepState::Waiting, &Happening::Says(detail.clone()));
            self.told = detail;
        }
    }

    /// Asks for the log, unless it is read already. A log that cannot be read stops nothing: the exit code decides.
    async fn open_log(&mut self, pod: &Pod, container: &str) -> Result<(), Stopped> {
        let Log::Later { at, tries } = self.log else { return Ok(()) };
        let (Some(name), true) = (&pod.metadata.name, Instant::now() >= at) else { return Ok(()) };
        let mut interrupt = self.run.interrupt.clone();
        let opened = tokio::select! {
            opened = self.run.cluster.follow_log(name, container, self.read) => opened,
            () = interrupt.asked() => return Err(interrupted().into()),
        };
        self.log = match opened {
            Ok(log) => Log::Open(Box::new(log)),
            Err(error) if error.kind == ApiErrorKind::Forbidden || tries + 1 >= LOG_TRIES => {
                let why = error.to_string();
                self.run.teller.tell(STEP, StepState::Warning, &Happening::LogUnread { why });
                Log::Over
            }
            Err(_) => Log::Later { at: Instant::now() + TICK, tries: tries + 1 },
        };
        if pod::has_ended(pod, container)
            && let Log::Open(_) = self.log
        {
            // All there is comes now, and nothing after it.
            self.rest_of_log().await;
        }
        Ok(())
    }

    /// Takes a line. A log may end before its container does: by whatever stands between, or because its file was full.
    fn take(&mut self, line: Result<Option<LogLine>, ApiError>) {
        match line {
            Ok(Some(line)) => {
                self.read = line.at.or(self.read);
                for shown in self.job.redaction.lines(&line.text) {
                    self.run.teller.tell(STEP, StepState::Output, &Happening::Says(shown.clone()));
                    self.last.push_back(shown);
                    if self.last.len() > LAST_WORDS {
                        self.last.pop_front();
                    }
                }
            }
            Ok(None) | Err(_) => self.log = Log::Later { at: Instant::now() + TICK, tries: 0 },
        }
    }

    /// Reads the log to its end, and tries again where it cannot be read: there is no later any more.
    async fn finish_log(&mut self, began: Option<&Pod>, container: &str) -> Result<(), Stopped> {
        while let (Log::Later { tries, .. }, Some(pod)) = (&self.log, began) {
            if *tries > 0 {
                tokio::time::sleep(TICK / 4).await;
            }
            self.log = Log::Later { at: Instant::now(), tries: *tries };
            self.open_log(pod, container).await?;
            self.rest_of_log().await;
        }
        self.rest_of_log().await;
        self.log = Log::Over;
        Ok(())
    }

    /// Reads what is left of the log: nothing is written any more.
    async fn rest_of_log(&mut self) {
        let deadline = tokio::time::Instant::now() + REST_OF_LOG;
        while let Log::Open(_) = self.log {
            match tokio::time::timeout_at(deadline, next_line(&mut self.log)).await {
                Ok(Ok(Some(line))) => self.take(Ok(Some(line))),
                Ok(Ok(None) | Err(_)) | Err(_) => self.log = Log::Over,
            }
        }
    }
}

/// The next line of an open log; never where none is open.
async fn next_line(log: &mut Log) -> Result<Option<LogLine>, ApiError> {
    match log {
        Log::Open(log) => log.next().await,
        Log::Later { .. } | Log::Over => std::future::pending().await,
    }
}
