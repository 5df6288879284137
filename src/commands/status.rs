//! `secret status`: a row an account, what is due, and the command for it. Changes nothing.

mod watch;

use std::time::Duration;

use jiff::Timestamp;

use super::outcome::{Found, outcome};
use super::session::{self, Desk, Session};
use super::{Voice, carried, namespace, select, speak};
use crate::access;
use crate::cli;
use crate::environment::Environment;
use crate::lock;
use crate::observe::survey::{self, Dates, Look, Subject, Wanted};
use crate::present::{Whole, wording::counted};
use crate::run::{Interrupt, interrupted};
use deepdesk_protocol::check::{self, Purpose};
use deepdesk_protocol::facts::account::age;
use deepdesk_protocol::facts::names::AccountName;
use deepdesk_protocol::facts::observation::Observation;
use deepdesk_protocol::lock::AtWork;
use deepdesk_protocol::plan::{self, Want};
use deepdesk_protocol::problem::{Exit, Problem, Reason};
use deepdesk_protocol::result::{AccountResult, Kind, NextResult, Verdict};
use deepdesk_protocol::status::{self, StatusResult};

/// Shows the accounts, once or again and again; returns the process's exit code.
pub async fn status(args: cli::Status, environment: Environment, mut interrupt: Interrupt) -> u8 {
    let voice = super::voice(Some(&args.common), &environment);
    // A watch shows it in its table.
    if !args.watch {
        tokio::spawn(super::tell_troubles(voice.clone()));
    }
    // It only reads: nothing is half done, wherever it stops.
    let ended = tokio::select! {
        ended = shown(&args, &environment, &voice, interrupt.clone()) => ended,
        () = interrupt.asked() => Err(interrupted()),
    };
    let mut speaker = speak(&voice);
    speaker.finish();
    ended.unwrap_or_else(|mut problem| {
        problem.carry(&carried::of(&args.common));
        // Whoever ends a watch knows that they did.
        if !args.watch {
            let whole = Whole { as_list: is_list(&args), exit_code: problem.exit.code(), problem: Some(&problem) };
            let named = match (args.common.accounts.as_slice(), &args.common.cluster.namespace) {
                ([], _) if is_list(&args) => Vec::new(),
                ([], namespace) => vec![namespace.clone().unwrap_or_default()],
                (accounts, _) => accounts.to_vec(),
            };
            let unseen = |name: &String| AccountResult {
                state: "Unknown".to_owned(),
                ..AccountResult::nothing_seen(Kind::SecretStatus, name, "", &problem)
            };
            let results: Vec<AccountResult> = named.iter().map(unseen).collect();
            speaker.statuses_unseen(&results, &whole);
        }
        if !(args.watch && problem.exit == Exit::Interrupted) {
            speaker.problem(&problem);
        }
        problem.exit.code()
    })
}

async fn shown(
    args: &cli::Status,
    environment: &Environment,
    voice: &Voice,
    interrupt: Interrupt,
) -> Result<u8, Problem> {
    let session = session::open(&args.common, environment, false, voice.clone(), interrupt).await?;
    let dates = Dates::default();
    if args.watch {
        return watch::watch(&session, args, voice, &dates).await;
    }
    let seen = look(&session, args, voice, &dates).await?;
    let results = &seen.results;
    results.iter().for_each(|result| session.note(environment, result));
    let mut speaker = speak(voice);
    seen.remarks.iter().for_each(|remark| remark.tell(&mut speaker));
    let worst = results.iter().map(|result| result.exit_code).max().unwrap_or(0);
    let unseen = if seen.only_here && args.exit_code { Exit::NotAsItShouldBe } else { Exit::Done };
    // Not to know comes before not being well: 1 is less than 3, and yet the graver answer.
    let problem = seen.problems.first().map(|(_, problem)| problem);
    let exit_code = problem.map_or(worst.max(unseen.code()), |problem| problem.exit.code());
    speaker.statuses(results, &Whole { as_list: is_list(args), exit_code, problem }, Timestamp::now());
    tell_problems(&mut speaker, &seen.problems);
    Ok(exit_code)
}

/// Whether several may be asked for: then the result is a list however many are found.
fn is_list(args: &cli::Status) -> bool {
    args.selection.selects() || args.common.accounts.len() > 1
}

fn tell_problems(
    speaker: &mut crate::present::Presenter<std::io::Stdout, std::io::Stderr>,
    problems: &[(Option<AccountName>, Problem)],
) {
    let Some((account, first)) = problems.first() else { return };
    let message = match account {
        // It names the account by itself.
        Some(_) if first.reason == Reason::NoSuchNamespace => first.message.clone(),
        Some(account) => format!("{account} could not be seen: {}", first.message),
        None => first.message.clone(),
    };
    let told = Problem { message, ..first.clone() };
    speaker.problem(&told);
    if problems.len() > 1 {
        speaker.warning(&format!("{} could not be seen either", counted(problems.len() - 1, "more account")));
    }
}

/// What one look at all of them found.
struct Round {
    results: Vec<AccountResult>,
    /// Accounts that could not be seen.
    problems: Vec<(Option<AccountName>, Problem)>,
    /// Whether all were asked for, and only the namespace at hand may be looked at.
    only_here: bool,
    /// The places of those looked at.
    desks: Vec<Desk>,
    /// What is to be known of the whole.
    remarks: Vec<Remark>,
}

/// Something about a look as a whole.
#[derive(Clone, Eq, PartialEq)]
enum Remark {
    /// To be looked at.
    Warning(String),
    /// Worth knowing.
    Note(String),
}

impl Remark {
    fn tell(&self, speaker: &mut crate::present::Presenter<std::io::Stdout, std::io::Stderr>) {
        match self {
            Remark::Warning(line) => speaker.warning(line),
            Remark::Note(line) => speaker.note(line),
        }
    }
}

async fn look(session: &Session, args: &cli::Status, voice: &Voice, dates: &Dates) -> Result<Round, Problem> {
    let mut remarks = Vec::new();
    let (desks, subjects, only_here) = match args.selection.selects() {
        true => everywhere(session, args, &mut remarks).await?,
        false => named(session, args).await?,
    };
    let wanted = match (args.older_than, args.common.show.output) {
        (Some(_), _) => Wanted::Every,
        (None, cli::Output::Human | cli::Output::Short | cli::Output::Name) => Wanted::Shown,
        (None, cli::Output::Wide | cli::Output::Json | cli::Output::Yaml) => Wanted::Exact,
    };
    let waits = |count: usize| {
        speak(voice).note(&format!(
            "asking for the dates of {}, 8 per second after the first {}: Secret Manager allows 600 per minute",
            counted(count, "version"),
            survey::DATES
        ));
    };
    let looks = survey::survey(subjects, session.secret_manager(), dates, wanted, waits).await;
    let accounts: Vec<AccountName> = desks.iter().map(|desk| desk.request.account.clone()).collect();
    let mut at_work = lock::all_at_work(session.cluster(), &accounts, session.operator()).await;
    let mut round = Round { results: Vec::new(), problems: Vec::new(), only_here, desks: Vec::new(), remarks };
    let mut undated = 0;
    let mut named = Vec::new();
    for (desk, look) in desks.into_iter().zip(looks) {
        if args.older_than.is_some_and(|least| look.seen.as_ref().is_ok_and(|now| !is_older(now, least))) {
            continue;
        }
        // A namespace that was found exists; one that was typed may not.
        let look = match look.seen {
            Err(problem) if !args.selection.selects() => {
                Look { seen: Err(namespace::explained(&desk.cluster, problem).await), ..look }
            }
            Ok(ref now) if !args.selection.selects() && now.external_secrets.is_empty() && !now.primary.exists => {
                match namespace::missing(&desk.cluster).await {
                    Some(problem) => Look { seen: Err(problem), ..look },
                    None => look,
                }
            }
            seen => Look { seen, ..look },
        };
        undated += usize::from(look.seen.as_ref().is_ok_and(is_undated));
        if let Ok(now) = &look.seen {
            named.push((now.home.clone(), now.primary.secret.clone()));
        }
        if let Err(problem) = &look.seen {
            let mut problem = problem.clone();
            problem.carry(&desk.flags);
            round.problems.push((Some(desk.request.account.clone()), problem));
        }
        let holder = at_work.remove(&desk.request.account);
        round.results.push(result(&desk, look, holder, args));
        round.desks.push(desk);
    }
    // Metadata, of which there is little: for accounts that were named, and once.
    if !is_list(args) && !args.watch && named.len() <= FEW {
        let expiring = access::expiries(session.secret_manager(), &named).await;
        round.remarks.extend(expiring.into_iter().map(Remark::Warning));
    }
    if undated > 0 {
        round.remarks.push(Remark::Note(format!(
            "the age of {} is not known: no rotation is on record, and their dates were not read; name fewer accounts to see it",
            counted(undated, "account")
        )));
    }
    Ok(round)
}

/// How many accounts are looked at more closely than their values need.
const FEW: usize = 20;

fn is_undated(now: &Observation) -> bool {
    now.primary.newest().is_some() && status::in_use_since(now).is_none()
}

/// Whether its newest version is older. What has no version is not.
fn is_older(now: &Observation, least: Duration) -> bool {
    status::in_use_since(now).is_some_and(|since| seconds_since(since) > least.as_secs())
}

fn seconds_since(time: Timestamp) -> u64 {
    u64::try_from(Timestamp::now().duration_since(time).as_secs()).unwrap_or(0)
}

type Places = (Vec<Desk>, Vec<Subject>, bool);

/// The accounts that the arguments name, or the context.
async fn named(session: &Session, args: &cli::Status) -> Result<Places, Problem> {
    let accounts = session.accounts(&args.common, None).await?;
    let desks = accounts.into_iter().map(|account| session.desk(account, &args.common));
    let desks: Vec<Desk> = desks.collect::<Result<_, _>>()?;
    let subjects =
        desks.iter().map(|desk| Subject { request: desk.request.clone(), cluster: desk.cluster.clone(), found: None });
    let subjects = subjects.collect();
    Ok((desks, subjects, false))
}

/// The accounts of the cluster, found as `account list` finds them.
async fn everywhere(session: &Session, args: &cli::Status, remarks: &mut Vec<Remark>) -> Result<Places, Problem> {
    let here = session.here()?;
    let select::Selected { accounts, only_here, none } = select::select(session, &args.common, &args.selection).await?;
    remarks.extend(only_here.as_deref().map(|namespace| Remark::Warning(select::only(namespace))));
    remarks.extend(none.map(Remark::Note));
    let asked: Vec<_> = accounts.iter().map(|(desk, objects)| (desk.request.clone(), objects.clone())).collect();
    // One list a kind for all of them; of the namespace alone where no more is allowed.
    let mut whole = match only_here.is_some() || accounts.is_empty() {
        true => None,
        false => survey::everything(&here, &asked).await?,
    };
    let (mut desks, mut subjects) = (Vec::new(), Vec::new());
    for (desk, objects) in accounts {
        let found = whole.as_mut().map(|whole| whole.take(&desk.request.account, objects));
        subjects.push(Subject { request: desk.request.clone(), cluster: desk.cluster.clone(), found });
        desks.push(desk);
    }
    Ok((desks, subjects, only_here.is_some()))
}

fn result(desk: &Desk, look: Look, at_work: Option<AtWork>, args: &cli::Status) -> AccountResult {
    let Look { seen, last_rotation } = look;
    let now = match seen {
        Ok(now) => now,
        Err(problem) => {
            let (result, _) = outcome(desk, Kind::SecretStatus, Found::default(), Err(problem));
            let status = Some(StatusResult { last_rotation, ..StatusResult::default() });
            return AccountResult { state: "Unknown".to_owned(), status, at_work, ..result };
        }
    };
    let mut checks = access::unread(&now);
    checks.extend(check::run(&check::Seen { purpose: Purpose::Verify, want: &Want::default(), now: &now }));
    // What passed was partly judged on dates and versions that were not asked for: it is no proof, as `verify` gives it.
    checks.retain(|check| check.result != Verdict::Pass);
    if at_work.is_some() {
        // What is under way is theirs to end: nobody else is told to.
        checks.iter_mut().for_each(|check| check.hints.clear());
    }
    let since = status::in_use_since(&now);
    let newest = now.primary.newest().map(|newest| newest.id.to_string()).unwrap_or_default();
    let old = args.older_than.and(since).map(|since| format!("{newest} is {} old", age(since, Timestamp::now())));
    let told = StatusResult {
        in_use_since: since,
        live_since: status::live_since(&now),
        needed_because: status::needed_because(&now),
        last_rotation,
        due: if at_work.is_some() { None } else { plan::next(&now, &checks, old) },
    };
    let found = Found { now: Some(now), checks, at_work, ..Found::default() };
    let (mut result, _) = outcome(desk, Kind::SecretStatus, found, Ok(()));
    if args.exit_code && (result.state != "Stable" || told.due.is_some()) {
        result.exit_code = Exit::NotAsItShouldBe.code();
        result.reason = if result.state == "Stable" { Reason::Due } else { Reason::NotStable }.to_string();
    }
    result.next = told.due.iter().flat_map(NextResult::due).collect();
    result.status = Some(told);
    result.carry(&desk.flags);
    result
}
