//! `check`: can I do this here? What a command asks before its first write, each question by itself. Writes nothing.

mod answers;
mod shown;

use std::time::Duration;

use futures::StreamExt as _;

use self::answers::Answers;
use super::session::{self, Desk, Session};
use super::{Voice, carried, namespace, select, speak};
use crate::access;
use crate::cli;
use crate::clients::credentials::Resolved;
use crate::clients::endpoint::Endpoint;
use crate::clients::gcloud::Gcloud;
use crate::clients::kubeconfig::KubeTarget;
use crate::clients::secret_manager::SecretManager;
use crate::environment::Environment;
use crate::lock;
use crate::observe::partial::{self, Partial};
use crate::observe::served;
use crate::present::{Whole, wording::counted};
use crate::request;
use crate::run::{Interrupt, interrupted};
use crate::setting::without_password;
use crate::settings::{self, Settings};
use deepdesk_protocol::check::catalogue::{self, Entry};
use deepdesk_protocol::check::{self, Purpose};
use deepdesk_protocol::checkup::{self, Answer, Checkup, Part};
use deepdesk_protocol::facts::names::AccountName;
use deepdesk_protocol::plan::{self, Goal, Want};
use deepdesk_protocol::problem::{Exit, Problem, Reason};
use deepdesk_protocol::result::API_VERSION;

/// How long the API server may take to say that it is there.
const HELLO: Duration = Duration::from_secs(10);

/// Checks the accounts, and returns the process's exit code.
pub async fn check(args: cli::Check, environment: Environment, mut interrupt: Interrupt) -> u8 {
    let voice = super::voice(Some(&args.common), &environment);
    if args.list || args.explain.is_some() {
        return shown::shown(&args, &voice);
    }
    tokio::spawn(super::tell_troubles(voice.clone()));
    let several = args.common.accounts.len() > 1 || args.selection.selects();
    let asked = tokio::select! {
        asked = ask(&args, &environment, &voice, interrupt.clone()) => asked,
        () = interrupt.asked() => Err(interrupted()),
    };
    let mut speaker = speak(&voice);
    let flags = carried::of(&args.common);
    match asked {
        Ok(mut checkups) => {
            checkups.iter_mut().for_each(|checkup| checkup.carry(&flags));
            let exit_code = checkups.iter().map(|checkup| checkup.exit_code).max().unwrap_or(0);
            let mut groups = args.selection.selects().then(|| checkup::grouped(&checkups));
            groups.iter_mut().flat_map(|groups| &mut groups.groups).for_each(|group| group.command.carry(&flags));
            let whole = Whole { as_list: several, exit_code, problem: None };
            speaker.checkups(&checkups, groups, &whole, args.common.show.output == cli::Output::Short);
            exit_code
        }
        Err(mut problem) => {
            problem.carry(&flags);
            let exit_code = problem.exit.code();
            let named = match (args.common.accounts.as_slice(), &args.common.cluster.namespace) {
                ([], _) if several => Vec::new(),
                ([], namespace) => vec![namespace.clone().unwrap_or_default()],
                (accounts, _) => accounts.to_vec(),
            };
            let unasked = |name: &String| unasked(name, "", purpose(args.purpose), &problem);
            let checkups: Vec<Checkup> = named.iter().map(unasked).collect();
            let whole = Whole { as_list: several, exit_code, problem: Some(&problem) };
            speaker.checkups_unasked(&checkups, &whole);
            speaker.problem(&problem);
            exit_code
        }
    }
}

/// The result for an account of which nothing was asked.
fn unasked(account: &str, context: &str, purpose: Purpose, problem: &Problem) -> Checkup {
    Checkup {
        api_version: API_VERSION,
        kind: "Check",
        account: account.to_owned(),
        namespace: account.to_owned(),
        context: context.to_owned(),
        project: String::new(),
        purpose: purpose.as_str(),
        reason: problem.reason.to_string(),
        exit_code: problem.exit.code(),
        problem: Some(problem.into()),
        checks: Vec::new(),
    }
}

/// What all accounts share: found once, or why not.
struct Shared {
    settings: Settings,
    gcloud: Result<Gcloud, Problem>,
    resolved: Result<Resolved, Problem>,
    target: Result<KubeTarget, Problem>,
    /// The API server's version, with as whom it sees us.
    api: Result<String, Problem>,
}

async fn ask(
    args: &cli::Check,
    environment: &Environment,
    voice: &Voice,
    interrupt: Interrupt,
) -> Result<Vec<Checkup>, Problem> {
    let purpose = purpose(args.purpose);
    let wanted = wanted(args, purpose)?;
    let common = &args.common;
    let named = request::named_accounts(common)?;
    let settings = settings::read(common.settings.as_deref(), environment)?;
    let gcloud = session::gcloud(common.google.configuration.as_deref(), environment);
    let endpoint = gcloud.clone().and_then(|gcloud| session::endpoint(&gcloud));
    let resolved = async {
        match (&gcloud, &endpoint) {
            (Ok(gcloud), Ok(endpoint)) => session::resolve(common, environment, gcloud, endpoint).await,
            (Err(problem), _) | (_, Err(problem)) => Err(problem.clone()),
        }
    };
    let (target, resolved) = futures::join!(session::target(common, environment, false), resolved);
    let gcloud = gcloud.and_then(|gcloud| endpoint.clone().map(|_| gcloud));
    let mut shared = Shared { settings, gcloud, resolved, target, api: Err(not_asked(catalogue::KUBECONFIG_ID)) };
    let session = session(&shared, common, environment, endpoint, voice, interrupt)?;
    let Some(session) = session else {
        let accounts = named.into_iter().map(Some).collect::<Vec<_>>();
        let accounts = if accounts.is_empty() { vec![None] } else { accounts };
        let alone = |account: Option<AccountName>| {
            let answers = Answers::new(&wanted);
            finish(shared_answers(answers, &shared), account.as_ref(), None, purpose, args)
        };
        return Ok(accounts.into_iter().map(alone).collect());
    };
    let accounts = match args.selection.selects() {
        true => select::accounts(&session, common, &args.selection, voice).await?,
        false => session.accounts(common, None).await?,
    };
    shared.api = hello(&session, common.cluster.request_timeout).await;
    if args.selection.selects() && accounts.len() > MANY && wanted.iter().any(|entry| !entry.needs.is_empty()) {
        let line = format!(
            "checking {}: Secret Manager allows 600 metadata reads per minute, and each account takes a few",
            counted(accounts.len(), "account")
        );
        speak(voice).note(&line);
    }
    let mut desks = Vec::new();
    for account in accounts {
        desks.push(session.desk(account, common)?);
    }
    let (shared, wanted) = (&shared, &wanted);
    let looks = desks.iter().map(|desk| async move {
        let account = &desk.request.account;
        let mut answers = shared_answers(Answers::new(wanted), shared);
        let project = match &shared.api {
            Ok(_) => {
                // Whoever is named may not exist, and that is all there is to say.
                if !args.selection.selects()
                    && let Some(problem) = namespace::missing(&desk.cluster).await
                {
                    return unasked(account.as_str(), &desk.request.context, purpose, &problem);
                }
                of_account(&mut answers, desk, shared, purpose, args).await
            }
            Err(_) => String::new(),
        };
        finish(answers, Some(account), Some((desk, project)), purpose, args)
    });
    Ok(futures::stream::iter(looks).buffered(AT_ONCE).collect().await)
}

/// Accounts looked at at the same time.
const AT_ONCE: usize = 8;
/// From how many accounts on it is said that it takes a while.
const MANY: usize = 10;

/// A session, where there is a cluster to have one with. Without credentials its Secret Manager is never asked.
fn session(
    shared: &Shared,
    common: &cli::Common,
    environment: &Environment,
    endpoint: Result<Endpoint, Problem>,
    voice: &Voice,
    interrupt: Interrupt,
) -> Result<Option<Session>, Problem> {
    let Ok(target) = &shared.target else { return Ok(None) };
    let google = session::Google {
        gcloud: shared.gcloud.clone().unwrap_or_default(),
        endpoint: endpoint.unwrap_or_default(),
        resolved: shared.resolved.clone().unwrap_or_else(|_| Resolved::none("there are none")),
    };
    let settings = shared.settings.clone();
    Session::new(settings, google, target.clone(), common, environment, voice.clone(), interrupt).map(Some)
}

/// The checks to ask: those chosen that concern the command.
fn wanted(args: &cli::Check, purpose: Purpose) -> Result<Vec<&'static Entry>, Problem> {
    let chosen = catalogue::selected(&args.only, &args.skip).map_err(|unknown| {
        let problem = Problem::new(
            Reason::Usage,
            format!("`{}` is neither the id of a check nor a group of checks", unknown.given),
        );
        match unknown.near.is_empty() {
            true => problem.hint(format!("the groups are: {}", catalogue::groups().join(", "))),
            false => problem.hint(format!("similar: {}", unknown.near.join(", "))),
        }
    })?;
    let wanted: Vec<_> = chosen.into_iter().filter(|entry| check::concerns(entry.id, purpose)).collect();
    match wanted.is_empty() {
        true => {
            let line = format!("nothing is left to check for {}", purpose.as_str());
            Err(Problem::new(Reason::Usage, line).hint("leave --only or --skip out, or choose another --for"))
        }
        false => Ok(wanted),
    }
}

async fn hello(session: &Session, asked: Duration) -> Result<String, Problem> {
    let cluster = session.cluster();
    let limit = if asked.is_zero() { HELLO } else { asked };
    let late = || {
        let line = format!("the API server gave no answer in {} seconds", limit.as_secs());
        Problem::new(Reason::Timeout, line).hint("check the network, then run the same command again")
    };
    let version = tokio::time::timeout(limit, cluster.version()).await.map_err(|_| late())??;
    let whom = tokio::time::timeout(limit, cluster.whoami()).await.map_err(|_| late())??;
    Ok(format!("{version}{}", whom.map(|whom| format!(", as {whom}")).unwrap_or_default()))
}

/// What is the same for every account.
fn shared_answers(mut answers: Answers, shared: &Shared) -> Answers {
    let kubeconfig = shared.target.as_ref().map(|target| {
        let named = |what, name: &Option<String>| name.as_ref().map(|name| format!("{what} {name}"));
        let parts = [
            named("context", &target.context),
            named("cluster", &target.cluster),
            target.in_pod.then(|| "the cluster of this pod".to_owned()),
            Some(without_password(&target.server)),
        ];
        parts.into_iter().flatten().collect::<Vec<_>>().join(", ")
    });
    answers.told(catalogue::KUBECONFIG_ID, kubeconfig);
    let configuration = shared.gcloud.as_ref().map(|gcloud| format!("configuration {}", gcloud.configuration()));
    answers.told(catalogue::GCLOUD_ID, configuration);
    match &shared.gcloud {
        Ok(_) => {
            let resolved = shared.resolved.as_ref().map(|found| match &found.principal {
                Some(whom) if !found.description.contains(whom.as_str()) => format!("{whom}, {}", found.description),
                _ => found.description.clone(),
            });
            answers.told(catalogue::CREDENTIALS_ID, resolved);
        }
        Err(_) => answers.skipped(catalogue::CREDENTIALS_ID, &format!("{} failed", catalogue::GCLOUD_ID)),
    }
    match (&shared.target, &shared.api) {
        (Ok(_), api) => answers.told(catalogue::K8S_API_ID, api.clone()),
        (Err(_), _) => answers.skipped(catalogue::K8S_API_ID, &format!("{} failed", catalogue::KUBECONFIG_ID)),
    }
    answers
}

/// What is asked of one account; returns the project of its secrets, where it is known.
async fn of_account(
    answers: &mut Answers,
    desk: &Desk,
    shared: &Shared,
    purpose: Purpose,
    args: &cli::Check,
) -> String {
    if answers.wants(access::CLUSTER) {
        let asked = access::cluster(&desk.cluster, purpose, &[]).await;
        answers.results(access::CLUSTER, asked);
    }
    if answers.wants(catalogue::ES_API_ID) {
        external_secrets_api(answers, desk).await;
    }
    let mut is_at_work = false;
    if answers.wants(catalogue::LOCK_ID) {
        match lock::refusal(&desk.cluster, &desk.operator).await {
            Ok(None) => answers.told::<&Problem>(catalogue::LOCK_ID, Ok(String::new())),
            Ok(Some(problem)) => {
                is_at_work = true;
                answers.told(catalogue::LOCK_ID, Err(&problem));
            }
            Err(problem) => answers.skipped(catalogue::LOCK_ID, &problem.message),
        }
    }
    if !answers.wants_sight() {
        return String::new();
    }
    let secret_manager = match &shared.resolved {
        Ok(_) => Ok(&desk.secret_manager),
        Err(_) => Err(not_asked(catalogue::CREDENTIALS_ID)),
    };
    let mut seen = partial::observe(&desk.request, &desk.cluster, secret_manager).await;
    if let Some(problem) =
        seen.unseen.get_mut(&Part::ExternalSecrets).filter(|one| served::REASONS.contains(&one.reason))
    {
        problem.message = format!("{} failed", catalogue::ES_API_ID);
    }
    let goal = match purpose {
        Purpose::Rollback => Goal::RollBack { again: false },
        Purpose::Finalize => Goal::Finalize { destroy: None },
        Purpose::Rotate | Purpose::Sync | Purpose::Verify | Purpose::Restart | Purpose::Rescue => Goal::Rotate,
    };
    let want = Want { goal, back_compat_unmapped: args.back_compat_unmapped, ..Want::default() };
    answers.of_observation(check::run(&check::Seen { purpose, want: &want, now: &seen.now }), &seen.unseen);
    project(answers, &seen);
    if !answers.has(catalogue::PLAN_ID) {
        plan(answers, &want, &seen);
    }
    let asked = access::CONDITIONS.iter().any(|id| answers.wants(id));
    if asked && shared.resolved.is_ok() && !seen.unseen.contains_key(&Part::Primary) {
        match access::conditions(&desk.secret_manager, &seen.now).await {
            Ok(results) => results.iter().for_each(|result| answers.results(result.id, Ok(vec![result.clone()]))),
            Err(problem) => access::CONDITIONS.iter().for_each(|id| answers.skipped(id, &problem.message)),
        }
    }
    if shared.resolved.is_ok() && !seen.unseen.contains_key(&Part::Project) {
        secret_manager_access(answers, &desk.secret_manager, purpose, &seen).await;
    }
    if is_at_work {
        answers.leave_to_whoever_is_at_work();
    }
    if seen.unseen.contains_key(&Part::Project) { String::new() } else { seen.now.home.project.to_string() }
}

async fn external_secrets_api(answers: &mut Answers, desk: &Desk) {
    let served = served::external_secrets(&desk.cluster, &desk.request.context).await;
    answers.told(catalogue::ES_API_ID, served.map(|()| "v1".to_owned()));
}

/// What the checks find wrong is no reason to plan; without it, a state from which nothing can begin still is a failure.
fn plan(answers: &mut Answers, want: &Want, seen: &Partial) {
    match answers.failed(&["DD-LATEST", "DD-BACK-COMPAT"]) {
        Some(id) => answers.skipped(catalogue::PLAN_ID, &format!("{id} failed")),
        None => {
            let planned = plan::plan(want, &seen.now).map(|plan| format!("{} to {}", plan.from, plan.to));
            let refused = planned.as_ref().err().map(|problem| problem.reason);
            answers.told(catalogue::PLAN_ID, planned);
            refused.into_iter().for_each(|reason| answers.refused(catalogue::PLAN_ID, reason));
        }
    }
}

/// That no project is known is no reason to skip the check on the project: it is what the check is about.
fn project(answers: &mut Answers, seen: &Partial) {
    match seen.unseen.get(&Part::Project).filter(|problem| problem.reason == Reason::NoProject) {
        Some(problem) => answers.instead(catalogue::PROJECT_ID, Err(problem)),
        None => answers.detail(catalogue::PROJECT_ID, seen.now.home.project.as_str()),
    }
}

/// Whether Secret Manager answers, and what it allows.
async fn secret_manager_access(answers: &mut Answers, manager: &SecretManager, purpose: Purpose, seen: &Partial) {
    let unreachable = seen.unseen.get(&Part::Primary).filter(|problem| is_unreachable(problem));
    answers.instead(catalogue::SM_API_ID, unreachable.map_or(Ok(String::new()), Err));
    if unreachable.is_some() {
        return answers.skipped(access::SECRET_MANAGER, &format!("{} failed", catalogue::SM_API_ID));
    }
    if !answers.wants(access::SECRET_MANAGER) {
        return;
    }
    // What may not be read exists for all we know: asking for the rights on it tells which one is missing.
    let mut now = seen.now.clone();
    now.primary.exists |= seen.unseen.contains_key(&Part::Primary);
    now.back_compat.exists |= seen.unseen.contains_key(&Part::BackCompat);
    if !now.primary.exists {
        return answers.skipped(access::SECRET_MANAGER, &format!("{} does not exist", now.primary.secret));
    }
    let asked = access::secret_manager(manager, purpose, None, &now).await;
    answers.results(access::SECRET_MANAGER, asked);
    if purpose == Purpose::Rotate && !now.back_compat.exists {
        let rights = access::ON_PROJECT_TO_CREATE.join(" and ");
        answers.detail(access::SECRET_MANAGER, &format!("all but {rights} in the project, which cannot be asked"));
    }
}

fn is_unreachable(problem: &Problem) -> bool {
    matches!(
        problem.reason,
        Reason::ConnectionFailed
            | Reason::Timeout
            | Reason::Unavailable
            | Reason::Unauthenticated
            | Reason::MalformedAnswer
            | Reason::ApiDisabled
            | Reason::BillingDisabled
            | Reason::ImpersonationDenied
            | Reason::InsufficientScopes
            | Reason::LoginExpired
            | Reason::PerimeterDenied
            | Reason::PolicyDenied
            | Reason::QuotaProjectDenied
    )
}

/// Stands for what was not asked since another check failed.
fn not_asked(failed: &str) -> Problem {
    Problem::new(Reason::NotAsked, format!("{failed} failed")).with_exit(Exit::Failed)
}

fn purpose(given: cli::Purpose) -> Purpose {
    match given {
        cli::Purpose::Rotate => Purpose::Rotate,
        cli::Purpose::Sync => Purpose::Sync,
        cli::Purpose::Verify => Purpose::Verify,
        cli::Purpose::Restart => Purpose::Restart,
        cli::Purpose::Rollback => Purpose::Rollback,
        cli::Purpose::Finalize => Purpose::Finalize,
    }
}

/// The result: 1 where the cluster could not be asked, 3 where something fails or could not be asked, else 0.
fn finish(
    answers: Answers,
    account: Option<&AccountName>,
    of: Option<(&Desk, String)>,
    purpose: Purpose,
    args: &cli::Check,
) -> Checkup {
    let unreached = answers.failed_to_reach();
    let checks = answers.in_order();
    let first = |answer| checks.iter().find(|asked| asked.result == answer);
    let (reason, exit) = match (first(Answer::Fail), first(Answer::Skipped), first(Answer::Warn)) {
        (_, Some(_), _) if unreached => (Some(Reason::NotReachable), Exit::Failed),
        (Some(failed), ..) if failed.id.ends_with("-ACCESS") => (Some(Reason::Forbidden), Exit::NotAsItShouldBe),
        (Some(_), ..) => (Some(Reason::CheckFailed), Exit::NotAsItShouldBe),
        (None, Some(_), _) => (Some(Reason::NotAsked), Exit::NotAsItShouldBe),
        (None, None, Some(_)) if args.fail_on_warnings => (Some(Reason::CheckWarned), Exit::NotAsItShouldBe),
        (None, None, _) => (None, Exit::Done),
    };
    let account = account.map(ToString::to_string).unwrap_or_default();
    Checkup {
        api_version: API_VERSION,
        kind: "Check",
        namespace: account.clone(),
        account,
        context: of.as_ref().map(|(desk, _)| desk.request.context.clone()).unwrap_or_default(),
        project: of.map(|(_, project)| project).unwrap_or_default(),
        purpose: purpose.as_str(),
        reason: reason.map(|reason| reason.to_string()).unwrap_or_default(),
        exit_code: exit.code(),
        problem: None,
        checks,
    }
}
