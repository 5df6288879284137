//! `secret status --watch`: looks again whenever something may have changed.
//!
//! The cluster tells of its changes, as far as it lets itself be watched; Secret Manager tells nobody, so it is looked at
//! again after a while.

use std::time::Duration;

use futures::FutureExt as _;
use jiff::Timestamp;

use super::super::session::{Desk, Session};
use super::super::{Voice, speak};
use super::{Remark, Round, look, tell_problems};
use crate::cli;
use crate::clients::cluster::pulse::{Pulse, Watched};
use crate::observe::survey::Dates;
use deepdesk_protocol::facts::names::{AccountName, WorkloadKind};
use deepdesk_protocol::problem::Problem;

/// The most accounts that are watched by watches of their own; more are looked at at longer intervals.
const FEW: usize = 8;
/// How often few accounts are looked at when nothing tells of a change: five accesses each.
const OFTEN: Duration = Duration::from_secs(10);
/// How often many are.
const SELDOM: Duration = Duration::from_secs(60);
/// The least time from one look to the next, however much changes.
const PAUSE: Duration = Duration::from_secs(1);

/// Looks until it is stopped.
pub async fn watch(session: &Session, args: &cli::Status, voice: &Voice, dates: &Dates) -> Result<u8, Problem> {
    let mut pulses: Vec<Pulse> = Vec::new();
    let mut watched = Vec::new();
    let mut told = Told::default();
    loop {
        let round = match look(session, args, voice, dates).await {
            Ok(round) => round,
            // Later on it may be over soon; to begin with it may as well be a wrong flag.
            Err(problem) if told.begun => {
                told.failure(voice, &[(None, problem)]);
                tokio::time::sleep(OFTEN).await;
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

/// What was told already, so that it is not told every few seconds.
#[derive(Default)]
struct Told {
    begun: bool,
    failure: Option<String>,
    remarks: Vec<Remark>,
    /// Whether something was written since the last drawing, which must stay.
    afresh: bool,
}

impl Told {
    fn round(&mut self, voice: &Voice, round: &Round) {
        self.begun = true;
        for remark in round.remarks.iter().filter(|remark| !self.remarks.contains(remark)) {
            remark.tell(&mut speak(voice));
            self.afresh = true;
        }
        self.remarks.clone_from(&round.remarks);
        self.failure(voice, &round.problems);
        let afresh = std::mem::take(&mut self.afresh);
        speak(voice).watched(&round.results, Timestamp::now(), window(), afresh);
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
