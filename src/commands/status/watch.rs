//! `secret status --watch`: looks again whenever something may have changed.
//!
//! The cluster tells of its changes, as far as it lets itself be watched; Secret Manager tells nobody, so it is looked at
//! again after a while.

use std::time::{Duration, Instant};

use futures::FutureExt as _;
use jiff::Timestamp;

use super::super::session::{Desk, Session};
use super::super::{Voice, speak};
use super::{Remark, Round, look, tell_problems};
use crate::cli;
use crate::clients::cluster::pulse::{Pulse, Watched};
use crate::clients::trouble;
use crate::observe::survey::Dates;
use deepdesk_protocol::facts::names::{AccountName, WorkloadKind};
use deepdesk_protocol::problem::{Problem, Reason};
use deepdesk_protocol::result::AccountResult;

/// The most accounts that are watched by watches of their own; more are looked at at longer intervals.
const FEW: usize = 8;
/// How often few accounts are looked at when nothing tells of a change: five accesses each.
const OFTEN: Duration = Duration::from_secs(10);
/// How often many are.
const SELDOM: Duration = Duration::from_secs(60);
/// How often it is told that there is no connection, where it is drawn.
const SECOND: Duration = Duration::from_secs(1);
/// After how many of those it is looked again.
const AGAIN: usize = 3;
/// The least time from one look to the next, however much changes.
const PAUSE: Duration = Duration::from_secs(1);

/// Looks until it is stopped.
pub async fn watch(session: &Session, args: &cli::Status, voice: &Voice, dates: &Dates) -> Result<u8, Problem> {
    let mut pulses: Vec<Pulse> = Vec::new();
    let mut watched = Vec::new();
    let mut told = Told::default();
    loop {
        let looking = look(session, args, voice, dates);
        tokio::pin!(looking);
        let looked = loop {
            tokio::select! {
                looked = &mut looking => break looked,
                () = tokio::time::sleep(SECOND) => told.meanwhile(voice),
            }
        };
        let round = match looked {
            Ok(round) if told.begun && is_lost(&round) => {
                let why = round.problems.first().map(|(_, problem)| problem.message.clone()).unwrap_or_default();
                told.wait_for_it(voice, &why).await;
                continue;
            }
            Ok(round) => round,
            // Later on it may be over soon; to begin with it may as well be a wrong flag.
            Err(problem) if told.begun => {
                told.wait_for_it(voice, &problem.message).await;
                continue;
            }
            Err(problem) => return Err(problem),
        };
        told.round(voice, &round);
        let accounts: Vec<_> = round.desks.iter().map(|desk| desk.request.account.clone()).collect();
        if accounts != watched {
            pulses = if accounts.len() <= FEW { round.desks.iter().map(pulse).collect() } else { Vec::new() };
            watched = accounts;
        }
        let period = if watched.len() <= FEW { OFTEN } else { SELDOM };
        tokio::time::sleep(PAUSE).await;
        let _ = tokio::time::timeout(period.saturating_sub(PAUSE), changed(&mut pulses)).await;
    }
}

/// Whether nothing could be seen of any, since there is no connection.
fn is_lost(round: &Round) -> bool {
    let lost = |problem: &Problem| {
        matches!(problem.reason, Reason::ConnectionFailed | Reason::Timeout | Reason::Unavailable | Reason::ServerError)
    };
    !round.results.is_empty()
        && round.problems.len() == round.results.len()
        && round.problems.iter().all(|(_, problem)| lost(problem))
}

/// What was told already, so that it is not told every few seconds.
#[derive(Default)]
struct Told {
    begun: bool,
    failure: Option<String>,
    remarks: Vec<Remark>,
    /// Whether something was written since the last drawing, which must stay.
    afresh: bool,
    /// What was seen last, and when.
    last: Option<(Timestamp, Vec<AccountResult>)>,
    lost: Option<Lost>,
}

/// A connection that is lost.
struct Lost {
    since: Instant,
    why: String,
    /// When it was last told of, where lines are written one after the other.
    told: Option<Instant>,
}

impl Told {
    fn round(&mut self, voice: &Voice, round: &Round) {
        self.begun = true;
        if self.lost.take().is_some_and(|lost| lost.told.is_some()) {
            speak(voice).note("the connection is restored");
        }
        for remark in round.remarks.iter().filter(|remark| !self.remarks.contains(remark)) {
            remark.tell(&mut speak(voice));
            self.afresh = true;
        }
        self.remarks.clone_from(&round.remarks);
        self.failure(voice, &round.problems);
        let afresh = std::mem::take(&mut self.afresh);
        let now = Timestamp::now();
        speak(voice).watched(&round.results, now, window(), afresh, None);
        self.last = Some((now, round.results.clone()));
    }

    /// Tells a failure when it is another one than before.
    fn failure(&mut self, voice: &Voice, problems: &[(Option<AccountName>, Problem)]) {
        let failure = problems.first().map(|(_, problem)| problem.message.clone());
        if failure != self.failure && failure.is_some() {
            tell_problems(&mut speak(voice), problems);
            self.afresh = true;
        }
        self.failure = failure;
    }

    /// While a look has no answer yet: what is lost is told as long as it is.
    fn meanwhile(&mut self, voice: &Voice) {
        if let Some((since, why)) = trouble::longest().filter(|(since, _)| *since >= super::super::LOST) {
            self.is_lost(since, &why);
        }
        self.tell_lost(voice);
    }

    fn is_lost(&mut self, ago: Duration, why: &str) {
        let since = Instant::now().checked_sub(ago).unwrap_or_else(Instant::now);
        let lost = self.lost.get_or_insert_with(|| Lost { since, why: String::new(), told: None });
        why.clone_into(&mut lost.why);
    }

    /// Waits until it is time to look again, and tells meanwhile that nothing is seen.
    async fn wait_for_it(&mut self, voice: &Voice, why: &str) {
        self.is_lost(Duration::ZERO, why);
        for _ in 0..AGAIN {
            self.tell_lost(voice);
            tokio::time::sleep(SECOND).await;
        }
    }

    /// On a terminal above the table, which is of before; elsewhere as a line now and then.
    fn tell_lost(&mut self, voice: &Voice) {
        let (Some(lost), Some((at, results))) = (&mut self.lost, &self.last) else { return };
        let at = at.round(jiff::Unit::Second).unwrap_or(*at);
        let line = format!(
            "no connection for {}s, trying again; this is of {at}: {}",
            lost.since.elapsed().as_secs(),
            lost.why
        );
        match window() {
            Some(size) if speak(voice).draws() => {
                let afresh = std::mem::take(&mut self.afresh);
                speak(voice).watched(results, Timestamp::now(), Some(size), afresh, Some(&line));
            }
            Some(_) | None => {
                if lost.told.is_none_or(|told| told.elapsed() >= super::super::STILL_LOST) {
                    speak(voice).warning(&line);
                    lost.told = Some(Instant::now());
                }
            }
        }
    }
}

fn pulse(desk: &Desk) -> Pulse {
    let kinds = [WorkloadKind::Deployment, WorkloadKind::StatefulSet, WorkloadKind::DaemonSet].map(Watched::Workloads);
    let others = [Watched::ExternalSecrets, Watched::Secrets, Watched::Pods];
    desk.cluster.pulse(&[&others as &[Watched], &kinds].concat())
}

async fn changed(pulses: &mut [Pulse]) {
    if pulses.is_empty() {
        return std::future::pending().await;
    }
    futures::future::select_all(pulses.iter_mut().map(|pulse| pulse.changed().boxed())).await;
}

/// Columns and rows of the terminal that the result goes to; none where it is none.
fn window() -> Option<(usize, usize)> {
    #[cfg(unix)]
    if let Ok(size) = rustix::termios::tcgetwinsize(std::io::stdout())
        && size.ws_col > 0
        && size.ws_row > 0
    {
        return Some((usize::from(size.ws_col), usize::from(size.ws_row)));
    }
    // One that does not understand what moves the cursor is no window to draw in.
    #[cfg(windows)]
    if let Some((rows @ 1.., columns @ 1..)) = dialoguer::console::Term::stdout().size_checked()
        && dialoguer::console::Term::stdout().features().colors_supported()
    {
        return Some((usize::from(columns), usize::from(rows)));
    }
    None
}
