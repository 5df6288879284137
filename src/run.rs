//! What every command holds while it runs: the clients, the voice, and the ear for Ctrl-C.

use std::sync::{Mutex, MutexGuard};
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::watch;

use crate::clients::cluster::Cluster;
use crate::clients::fence::Fence;
use crate::clients::secret_manager::SecretManager;
use crate::lock::Lock;
use crate::present::wording::words;
use crate::request::Request;
use deepdesk_protocol::event::{Event, StepName, StepState};
use deepdesk_protocol::facts::names::{AccountName, ObjectName, printable};
use deepdesk_protocol::facts::observation::Observation;
use deepdesk_protocol::happening::Happening;
use deepdesk_protocol::problem::{Problem, Reason};
use deepdesk_protocol::result::StepResult;
use deepdesk_protocol::trail::{Look, Span, Trail};

/// One command on one account.
pub struct Run<'a> {
    /// What is asked.
    pub request: &'a Request,
    pub cluster: &'a Cluster,
    pub secret_manager: &'a SecretManager,
    /// Tells what happens.
    pub teller: &'a Teller,
    /// Hears Ctrl-C.
    pub interrupt: Interrupt,
}

/// Tells events to whoever presents them, keeps the steps for the result, and what was seen meanwhile for a report.
pub struct Teller {
    account: AccountName,
    hear: Box<dyn Fn(&Event) + Send + Sync>,
    steps: Mutex<Vec<StepResult>>,
    trail: Mutex<Trail>,
}

impl Teller {
    /// A teller for one account, heard by whoever presents.
    pub fn new(account: AccountName, hear: impl Fn(&Event) + Send + Sync + 'static) -> Teller {
        Teller { account, hear: Box::new(hear), steps: Mutex::default(), trail: Mutex::default() }
    }

    /// Tells what happened. It may carry words of a server; control characters are replaced.
    pub fn tell(&self, step: StepName, state: StepState, happening: &Happening) {
        let event = Event {
            time: Timestamp::now(),
            account: self.account.clone(),
            step,
            state,
            detail: printable(&words(happening)),
            subject: happening.subject(),
        };
        self.note(&event);
        self.trail().events.push(event.clone());
        (self.hear)(&event);
    }

    /// Keeps what a look found of the pods.
    pub fn saw(&self, now: &Observation, look: Look) {
        self.trail().saw(Timestamp::now(), now, look);
    }

    /// Keeps that a sync was asked for.
    pub fn asked(&self, step: StepName, external_secret: &ObjectName, target: &ObjectName) {
        self.trail().asked(Timestamp::now(), step, external_secret, target);
    }

    /// Keeps that the bytes are there that a sync was asked for.
    pub fn arrived(&self, step: StepName, external_secret: &ObjectName) {
        self.trail().arrived(Timestamp::now(), step, external_secret);
    }

    /// Keeps when pods on the old and on the new value served side by side.
    pub fn interrupted(&self, span: Span) {
        self.trail().interrupted(span);
    }

    /// All that was kept.
    pub fn into_trail(self) -> Trail {
        self.trail.into_inner().expect("no thread panics while it notes what it saw")
    }

    fn trail(&self) -> MutexGuard<'_, Trail> {
        self.trail.lock().expect("no thread panics while it notes what it saw")
    }

    fn note(&self, event: &Event) {
        let mut steps = self.steps.lock().expect("no thread panics while it notes a step");
        let seconds = |started: Timestamp| event.time.duration_since(started).as_secs_f64();
        let open = steps.iter_mut().rev().find(|step| step.name == event.step && step.state == StepState::Started);
        match (event.state, open) {
            (StepState::Waiting | StepState::Warning | StepState::Output, _) => {}
            (StepState::Done | StepState::Failed | StepState::Skipped, Some(step)) => {
                step.state = event.state;
                step.seconds = (seconds(step.started) * 1000.0).round() / 1000.0;
                step.detail.clone_from(&event.detail);
            }
            (state, _) => steps.push(StepResult {
                name: event.step,
                state,
                started: event.time,
                seconds: 0.0,
                detail: event.detail.clone(),
            }),
        }
    }

    /// The steps so far.
    pub fn steps(&self) -> Vec<StepResult> {
        self.steps.lock().expect("no thread panics while it notes a step").clone()
    }
}

/// Hears Ctrl-C and SIGTERM: the first asks for a stop at the next safe point.
#[derive(Clone)]
pub struct Interrupt(watch::Receiver<bool>);

impl Interrupt {
    /// Listens to this channel.
    pub fn new(asked: watch::Receiver<bool>) -> Interrupt {
        Interrupt(asked)
    }

    /// Fails when a stop was asked for: call it where stopping is safe.
    pub fn check(&self) -> Result<(), Problem> {
        match *self.0.borrow() {
            true => Err(interrupted()),
            false => Ok(()),
        }
    }

    /// Resolves when a stop is asked for.
    pub async fn asked(&mut self) {
        if self.0.wait_for(|asked| *asked).await.is_err() {
            // Nobody can ask any more.
            std::future::pending::<()>().await;
        }
    }

    /// Sleeps, unless a stop is asked for.
    pub async fn sleep(&mut self, time: Duration) -> Result<(), Problem> {
        tokio::select! {
            () = tokio::time::sleep(time) => Ok(()),
            () = self.asked() => Err(interrupted()),
        }
    }
}

/// The end of a run that was asked to stop.
pub fn interrupted() -> Problem {
    Problem::new(Reason::Interrupted, "interrupted")
}

/// What each attempt of a write asks: the lock, where there is one.
pub fn fence(lock: Option<&Lock>) -> Fence {
    lock.map_or(Fence::OPEN, Lock::fence)
}
