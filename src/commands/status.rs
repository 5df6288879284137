//! `secret status`: a row an account, what is due, and the command for it. Changes nothing.

mod watch;

use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::Namespace;
use serde_json::Value;

use super::outcome::{Found, outcome};
use super::session::{self, Desk, Session};
use super::{Voice, speak};
use crate::access;
use crate::cli;
use crate::clients::error::ApiErrorKind;
use crate::environment::Environment;
use crate::observe::glance;
use crate::observe::survey::{self, Dates, Look, Subject, Wanted};
use crate::request;
use crate::run::{Interrupt, interrupted};
use deepdesk_protocol::check::{self, Purpose};
use deepdesk_protocol::facts::account::age;
use deepdesk_protocol::facts::names::AccountName;
use deepdesk_protocol::facts::observation::Observation;
use deepdesk_protocol::plan::{self, Want};
use deepdesk_protocol::problem::{Exit, Problem, Reason};
use deepdesk_protocol::result::{AccountResult, Kind, Verdict};
use deepdesk_protocol::status::{self, StatusResult};

/// Shows the accounts, once or again and again; returns the process's exit code.
pub async fn status(args: cli::Status, environment: Environment, mut interrupt: Interrupt) -> u8 {
    let voice = super::voice(Some(&args.common), &environment);
    // It only reads: nothing is half done, wherever it stops.
    let ended = tokio::select! {
        ended = shown(&args, &environment, &voice, interrupt.clone()) => ended,
        () = interrupt.asked() => Err(interrupted()),
    };
    let mut speaker = speak(&voice);
    speaker.finish();
    ended.unwrap_or_else(|problem| {
        // Whoever ends a watch knows that they did.
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
    speaker.statuses(results, is_list(args), Timestamp::now());
    tell_problems(&mut speaker, &seen.problems);
    let worst = results.iter().map(|result| result.exit_code).max().unwrap_or(0);
    let unseen = if seen.only_here && args.exit_code { Exit::NotAsItShouldBe } else { Exit::Done };
    // Not to know comes before not being well: 1 is less than 3, and yet the graver answer.
    Ok(match seen.problems.first() {
        Some((_, problem)) => problem.exit.code(),
        None => worst.max(unseen.code()),
    })
}

/// Whether several may be asked for: then the result is a list however many are found.
fn is_list(args: &cli::Status) -> bool {
    args.all || args.selector.is_some()
}

fn tell_problems(
    speaker: &mut crate::present::Presenter<std::io::Stdout, std::io::Stderr>,
    problems: &[(Option<AccountName>, Problem)],
) {
    let Some((account, first)) = problems.first() else { return };
    let message = match account {
        Some(account) => format!("{account} could not be seen: {}", first.message),
        None => first.message.clone(),
    };
    let told = Problem { message, ..first.clone() };
    speaker.problem(&told);
    if problems.len() > 1 {
        speaker.warning(&format!("{} more accounts could not be seen either", problems.len() - 1));
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
    let (desks, subjects, only_here) = match is_list(args) {
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
            "asking for the dates of {count} versions, 8 a second after the first {}: Secret Manager allows 600 a minute",
            survey::DATES
        ));
    };
    let looks = survey::survey(subjects, session.secret_manager(), dates, wanted, waits).await;
    let mut round = Round { results: Vec::new(), problems: Vec::new(), only_here, desks: Vec::new(), remarks };
    let mut undated = 0;
    let mut named = Vec::new();
    for (desk, look) in desks.into_iter().zip(looks) {
        if args.older_than.is_some_and(|least| look.seen.as_ref().is_ok_and(|now| !is_older(now, least))) {
            continue;
        }
        undated += usize::from(look.seen.as_ref().is_ok_and(is_undated));
        if let Ok(now) = &look.seen {
            named.push((now.home.clone(), now.primary.secret.clone()));
        }
        if let Err(problem) = &look.seen {
            let mut problem = problem.clone();
            problem.carry(&desk.flags);
            round.problems.push((Some(desk.request.account.clone()), problem));
        }
        round.results.push(result(&desk, look, args));
        round.desks.push(desk);
    }
    // Metadata, of which there is little: for accounts that were named, and once.
    if !is_list(args) && !args.watch && named.len() <= FEW {
        let expiring = access::expiries(session.secret_manager(), &named).await;
        round.remarks.extend(expiring.into_iter().map(Remark::Warning));
    }
    if undated > 0 {
        round.remarks.push(Remark::Note(format!(
            "the age of {undated} accounts is not known: no rotation is on record, and their dates were not asked for, \
             or not given; name fewer accounts to see them"
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
    let labelled = match &args.selector {
        Some(selector) => Some(labelled(session, selector).await?),
        None => None,
    };
    let found = glance::everywhere(&here, session.context()).await?;
    if found.only_here {
        let line =
            format!("not allowed to list ExternalSecrets of all namespaces: only {} was looked at", here.namespace());
        remarks.push(Remark::Warning(line));
    }
    let mut accounts: Vec<(Desk, Vec<Value>)> = Vec::new();
    for (account, objects) in found.by_namespace {
        let chosen = labelled.as_ref().is_none_or(|labelled| labelled.contains(&account));
        if !chosen || request::is_no_account(&account) {
            continue;
        }
        let desk = session.desk(account, &args.common)?;
        if glance::reads_primary(&desk.request, &objects) {
            accounts.push((desk, objects));
        }
    }
    if accounts.is_empty() {
        let line = match &args.selector {
            Some(selector) => format!("no account's namespace has the labels {selector}"),
            None => "no namespace has an ExternalSecret that reads NAMESPACE_account_secret".to_owned(),
        };
        remarks.push(Remark::Note(line));
    }
    let asked: Vec<_> = accounts.iter().map(|(desk, objects)| (desk.request.clone(), objects.clone())).collect();
    // One list a kind for all of them; of the namespace alone where no more is allowed.
    let mut whole = match found.only_here || accounts.is_empty() {
        true => None,
        false => survey::everything(&here, &asked).await?,
    };
    let (mut desks, mut subjects) = (Vec::new(), Vec::new());
    for (desk, objects) in accounts {
        let found = whole.as_mut().map(|whole| whole.take(&desk.request.account, objects));
        subjects.push(Subject { request: desk.request.clone(), cluster: desk.cluster.clone(), found });
        desks.push(desk);
    }
    Ok((desks, subjects, found.only_here))
}

async fn labelled(session: &Session, selector: &str) -> Result<Vec<AccountName>, Problem> {
    match session.cluster().cluster_list_labelled::<Namespace>(selector).await {
        Ok(namespaces) => {
            let names = namespaces.into_iter().filter_map(|namespace| namespace.metadata.name);
            Ok(names.filter_map(|name| name.parse().ok()).collect())
        }
        Err(error) if error.kind == ApiErrorKind::Invalid => {
            let line = format!("`{selector}` is no label selector: {}", error.message);
            Err(Problem::new(Reason::Usage, line).hint("such as -l tier=gold, -l 'tier in (gold,silver)', -l '!trial'"))
        }
        Err(error) if error.kind == ApiErrorKind::Forbidden => {
            Err(Problem::from(error).hint("-l needs `list` on namespaces (a ClusterRole); or name the accounts"))
        }
        Err(error) => Err(error.into()),
    }
}

/// The result of one account.
fn result(desk: &Desk, look: Look, args: &cli::Status) -> AccountResult {
    let Look { seen, last_rotation } = look;
    let now = match seen {
        Ok(now) => now,
        Err(problem) => {
            let (result, _) = outcome(desk, Kind::SecretStatus, Found::default(), Err(problem));
            let status = Some(StatusResult { last_rotation, ..StatusResult::default() });
            return AccountResult { state: "Unknown".to_owned(), status, ..result };
        }
    };
    let mut checks = access::unread(&now);
    checks.extend(check::run(&check::Seen { purpose: Purpose::Verify, want: &Want::default(), now: &now }));
    // What passed was partly judged on dates and versions that were not asked for: it is no proof, as `verify` gives it.
    checks.retain(|check| check.result != Verdict::Pass);
    let since = status::in_use_since(&now);
    let newest = now.primary.newest().map(|newest| newest.id.to_string()).unwrap_or_default();
    let old = args.older_than.and(since).map(|since| format!("{newest} is {} old", age(since, Timestamp::now())));
    let told = StatusResult {
        in_use_since: since,
        live_since: status::live_since(&now),
        needed_because: status::needed_because(&now),
        last_rotation,
        due: plan::next(&now, &checks, old),
    };
    let found = Found { now: Some(now), checks, ..Found::default() };
    let (mut result, _) = outcome(desk, Kind::SecretStatus, found, Ok(()));
    if args.exit_code && (result.state != "Stable" || told.due.is_some()) {
        result.exit_code = Exit::NotAsItShouldBe.code();
        result.reason = if result.state == "Stable" { Reason::Due } else { Reason::NotStable }.to_string();
    }
    result.status = Some(told);
    result.carry(&desk.flags);
    result
}
