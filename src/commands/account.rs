//! `account list|use`: the accounts of the cluster, and which of them is the current namespace.

use k8s_openapi::api::core::v1::Namespace;
use serde_json::{Value, json};

use super::cluster::{ended_with, list_voice, names_alone, no_previous, nobody_to_ask, note_previous, some_contexts};
use super::{Voice, color, names, namespace, operator, select, session, speak, voice_in};
use crate::cli::{self, Accounts};
use crate::clients::cluster::Cluster;
use crate::clients::error::ApiErrorKind;
use crate::clients::gcloud::Gcloud;
use crate::clients::kubeconfig::{self, KubeTarget, StdinUse, previous};
use crate::clients::secret_manager::SecretManager;
use crate::environment::Environment;
use crate::lock;
use crate::observe::glance::{self, Asked, Glanced};
use crate::present::{Listing, Style};
use crate::request;
use crate::run::{Interrupt, interrupted};
use crate::settings;
use deepdesk_protocol::command;
use deepdesk_protocol::facts::account::{Glance, Judgement, VersionGlance, age, judge};
use deepdesk_protocol::facts::names::AccountName;
use deepdesk_protocol::lock::AtWork;
use deepdesk_protocol::problem::{Problem, Reason};
use deepdesk_protocol::result::{API_VERSION, ProblemResult};

/// Runs one of the commands; returns the exit code.
pub async fn run(command: Accounts, environment: Environment, mut interrupt: Interrupt) -> u8 {
    let voice = match &command {
        Accounts::List(args) => list_voice(&args.show, args.google.quiet, &environment),
        Accounts::Use(args) => voice_in(Style { color: color(args.show.color), ..Style::default() }, &environment),
    };
    tokio::spawn(super::tell_troubles(voice.clone()));
    let work = async {
        match command {
            Accounts::List(args) => {
                let listed = list(&args, &environment, &voice).await;
                listed.map_err(|(problem, is_told)| {
                    if !is_told {
                        speak(&voice).no_result(json!({"kind": "AccountList", "items": []}), &problem);
                    }
                    problem
                })
            }
            Accounts::Use(args) => use_account(&args, &environment, &voice).await,
        }
    };
    // Nothing is half done when they stop: one reads, the other replaces a file in one step.
    let ended = tokio::select! {
        ended = work => ended,
        () = interrupt.asked() => Err(interrupted()),
    };
    ended_with(ended, &voice)
}

async fn connect(
    flags: &cli::Cluster,
    verbose: u8,
    environment: &Environment,
    voice: &Voice,
) -> Result<(KubeTarget, Cluster), Problem> {
    use std::io::IsTerminal as _;
    let stdin = if std::io::stdin().is_terminal() { StdinUse::Terminal } else { StdinUse::OursOrNoTerminal };
    let target = kubeconfig::load(&session::kube_flags(flags), environment, stdin).await?;
    if let Some(warning) = target.warning() {
        speak(voice).warning(&warning);
    }
    let namespace: AccountName = target.namespace.as_deref().unwrap_or("default").parse()?;
    let cluster = Cluster::connect(&target, &namespace)?.heard_by(session::ear(verbose, voice));
    Ok((target, cluster))
}

/// Shows the list. Fails with whether the failure stands in a list that was shown.
async fn list(args: &cli::ListAccounts, environment: &Environment, voice: &Voice) -> Result<(), (Problem, bool)> {
    let (rows, with_state) = looked_at(args, environment, voice).await.map_err(|problem| (problem, false))?;
    if rows.is_empty() {
        speak(voice).note(&match &args.selector {
            Some(selector) => format!("no account's namespace matches the labels {selector}"),
            None => "no namespace has an ExternalSecret that reads NAMESPACE_account_secret".to_owned(),
        });
    }
    let wide = args.show.output == Some(cli::Output::Wide);
    let problem = rows.iter().find_map(|row| row.problem.clone());
    speak(voice).list(&object(&rows, problem.as_ref()), &listing(&rows, wide, with_state));
    let now = jiff::Timestamp::now();
    for (row, at_work) in rows.iter().filter_map(|row| Some((row, row.at_work.as_ref()?))) {
        speak(voice).line(&format!("at work: {}: {}", row.account, at_work.in_words(now)));
    }
    // What could not be looked at is in the list, and told once.
    problem.map_or(Ok(()), |problem| Err((problem, true)))
}

fn object(rows: &[Row], problem: Option<&Problem>) -> Value {
    let (code, reason) = problem.map_or((0, ""), |problem| (problem.exit.code(), problem.reason.as_str()));
    json!({"apiVersion": API_VERSION, "kind": "AccountList", "exitCode": code, "reason": reason,
        "problem": problem.map(ProblemResult::from), "items": rows.iter().map(Row::object).collect::<Vec<_>>()})
}

/// A row an account, and whether it was looked at in Secret Manager, too.
async fn looked_at(
    args: &cli::ListAccounts,
    environment: &Environment,
    voice: &Voice,
) -> Result<(Vec<Row>, bool), Problem> {
    let common = common(args);
    let settings = settings::read(args.settings.as_deref(), environment)?;
    let gcloud = session::gcloud(args.google.configuration.as_deref(), environment)?;
    let with_state = !args.no_state && !names_alone(&args.show);
    // Both may run a program that takes half a second.
    let connected = connect(&args.cluster, args.show.verbose, environment, voice);
    let (target, cluster, manager) = match with_state {
        true => {
            let manager = secret_manager(&common, &gcloud, environment, voice);
            let ((target, cluster), manager) = futures::try_join!(connected, manager)?;
            (target, cluster, Some(manager))
        }
        false => connected.await.map(|(target, cluster)| (target, cluster, None))?,
    };
    let found = glance::everywhere(&cluster, target.context.as_deref().unwrap_or_default()).await?;
    if found.only_here {
        let line = format!(
            "not allowed to list ExternalSecrets of all namespaces: only {} was looked at",
            cluster.namespace()
        );
        speak(voice).warning(&line);
    }
    let labelled = match &args.selector {
        Some(selector) => Some(select::labelled(&cluster, selector).await?),
        None => None,
    };
    let mut accounts = Vec::new();
    for (account, objects) in found.by_namespace {
        if labelled.as_ref().is_some_and(|labelled| !labelled.contains(&account)) {
            continue;
        }
        let cluster = cluster.for_account(&account);
        let request = request::request(account, &common, &settings, &gcloud, target.context.as_deref())?;
        if glance::reads_primary(&request, &objects) {
            accounts.push(Asked { request, cluster, objects });
        }
    }
    let seen = match &manager {
        Some(manager) => glance::glances(&accounts, manager).await.into_iter().map(Some).collect(),
        None => accounts.iter().map(|_| None).collect::<Vec<_>>(),
    };
    let current = target.namespace.as_deref();
    let operator = operator::operator(environment)?;
    let mut rows = Vec::new();
    for (asked, seen) in accounts.iter().zip(seen) {
        let lease = seen.as_ref().and_then(|seen| seen.as_ref().ok()).and_then(|(.., lease)| lease.clone());
        // Nobody's clock but the API server's tells whether it is held, and that is asked where somebody is named.
        let at_work = match lease {
            Some(lease) => lock::judged(&asked.cluster, &lease, &operator).await,
            None => None,
        };
        rows.push(Row { at_work, ..Row::new(asked, current, seen) });
    }
    Ok((rows, with_state))
}

async fn secret_manager(
    common: &cli::Common,
    gcloud: &Gcloud,
    environment: &Environment,
    voice: &Voice,
) -> Result<SecretManager, Problem> {
    let endpoint = session::endpoint(gcloud)?;
    let resolved = session::resolve(common, environment, gcloud, &endpoint).await?;
    Ok(SecretManager::new(endpoint, resolved).heard_by(session::ear(common.show.verbose, voice)))
}

/// One account of the list.
struct Row {
    account: String,
    context: String,
    current: bool,
    project: String,
    seen: Option<(Glance, Judgement)>,
    problem: Option<Problem>,
    at_work: Option<AtWork>,
}

impl Row {
    fn new(asked: &Asked, current: Option<&str>, seen: Option<Result<Glanced, Problem>>) -> Row {
        let account = asked.request.account.to_string();
        let context = asked.request.context.clone();
        let current = current == Some(account.as_str());
        let (project, seen, problem) = match seen {
            None => (String::new(), None, None),
            Some(Ok((home, seen, _))) => {
                let judged = judge(&seen);
                (home.project.to_string(), Some((seen, judged)), None)
            }
            Some(Err(problem)) => (String::new(), None, Some(problem)),
        };
        Row { account, context, current, project, seen, problem, at_work: None }
    }

    fn object(&self) -> Value {
        let mut object = json!({"apiVersion": API_VERSION, "kind": "Account", "account": self.account,
            "namespace": self.account, "context": self.context, "current": self.current});
        if let Some((seen, judged)) = &self.seen {
            object["project"] = self.project.clone().into();
            object["state"] = judged.state.into();
            object["message"] = judged.reason.clone().into();
            object["primary"] = json!(seen.primary);
            object["backCompat"] = json!(seen.back_compat);
        }
        if let Some(problem) = &self.problem {
            object["state"] = "Unknown".into();
            object["reason"] = problem.reason.as_str().into();
            object["message"] = problem.message.clone().into();
        }
        if let Some(at_work) = &self.at_work {
            object["atWork"] = json!(at_work);
        }
        object
    }

    fn cells(&self, wide: bool, with_state: bool) -> Vec<String> {
        let mut cells = vec![self.account.clone(), if self.current { "*".to_owned() } else { String::new() }];
        if !with_state {
            return cells;
        }
        let now = jiff::Timestamp::now();
        let (state, why) = match (&self.seen, &self.problem) {
            (Some((_, judged)), _) => (judged.state, judged.reason.clone()),
            (None, problem) => ("Unknown", problem.as_ref().map(|problem| problem.message.clone()).unwrap_or_default()),
        };
        let glances = self.seen.as_ref().map(|(seen, _)| (&seen.primary.versions, &seen.back_compat.versions));
        let newest = |of: Option<&Vec<VersionGlance>>| of.and_then(|of| of.first().cloned());
        let primary = newest(glances.map(|(primary, _)| primary));
        let back_compat = newest(glances.map(|(_, back_compat)| back_compat));
        let text = |version: Option<&VersionGlance>| version.map(|version| version.id.to_string()).unwrap_or_default();
        cells.extend([state.to_owned(), text(primary.as_ref()), text(back_compat.as_ref())]);
        if wide {
            cells.extend([self.project.clone(), why]);
        }
        // As `secret status` tells it: the rotation on record that made it, else its creation.
        let recorded = |version: &VersionGlance| {
            let last = self.seen.as_ref()?.0.last_rotation.as_ref()?;
            (last.to_version() == Some(version.id)).then(|| last.at.parse().ok()).flatten()
        };
        let since = primary.as_ref().map(|version| recorded(version).unwrap_or(version.created));
        cells.push(since.map(|since| age(since, now)).unwrap_or_default());
        cells
    }
}

fn listing(rows: &[Row], wide: bool, with_state: bool) -> Listing {
    let mut titles = vec!["NAME", "CURRENT"];
    if with_state {
        titles.extend(["STATE", "PRIMARY", "BACK-COMPAT"]);
        if wide {
            titles.extend(["PROJECT", "REASON"]);
        }
        titles.push("AGE");
    }
    Listing {
        titles,
        rows: rows.iter().map(|row| row.cells(wide, with_state)).collect(),
        names: rows.iter().map(|row| row.account.clone()).collect(),
    }
}

/// The flags as `request` and `settings` know them.
fn common(args: &cli::ListAccounts) -> cli::Common {
    cli::Common {
        accounts: Vec::new(),
        external_secrets: Vec::new(),
        workloads: Vec::new(),
        ids: args.ids.clone(),
        timeout: std::time::Duration::from_secs(30),
        settings: args.settings.clone(),
        cluster: args.cluster.clone(),
        google: args.google.clone(),
        show: cli::Show {
            output: args.show.output.unwrap_or(cli::Output::Human),
            progress: cli::Progress::Auto,
            color: args.show.color,
            verbose: args.show.verbose,
        },
    }
}

async fn use_account(args: &cli::UseAccount, environment: &Environment, voice: &Voice) -> Result<(), Problem> {
    let flags = session::kube_flags(&args.cluster);
    let given = match (&args.name, &args.cluster.namespace) {
        (Some(name), Some(namespace)) if name != namespace => {
            let line = format!("--namespace {namespace} contradicts the account given: an account is its namespace");
            return Err(Problem::new(Reason::Usage, line).hint("leave one of the two out"));
        }
        (Some(name), _) | (None, Some(name)) => name.clone(),
        (None, None) => pick(args, environment, voice).await?,
    };
    some_contexts(&flags, environment)?;
    let typed = args.name.is_some() || args.cluster.namespace.is_some();
    if given != "-" {
        let namespace: AccountName = given.parse()?;
        // One that was picked comes from the cluster, and a previous one was looked at when it was typed.
        if typed && !args.force {
            exists(args, &namespace, environment, voice).await?;
        }
    }
    let locked = kubeconfig::lock(&flags, environment).await?;
    let contexts = kubeconfig::contexts(&flags, environment)?;
    let Some(context) = contexts.iter().find(|context| context.current) else {
        return Err(match &flags.context {
            Some(name) => {
                Problem::new(Reason::NoSuchContext, format!("context \"{name}\" does not exist")).hint(names::hint(
                    name,
                    contexts.iter().map(|one| one.name.as_str()),
                    command!["kubectl", "deepdesk", "cluster", "list"],
                ))
            }
            None => Problem::new(Reason::NoContext, "the kubeconfig has no current context")
                .hint(command!["kubectl", "deepdesk", "cluster", "use", "NAME"]),
        });
    };
    let mut noted = previous::read(&locked, environment);
    let namespace = match given.as_str() {
        "-" => noted.namespaces.get(&context.name).cloned().ok_or_else(|| no_previous("namespace"))?,
        name => name.to_owned(),
    };
    locked.use_namespace(&context.name, &namespace)?;
    let before = context.namespace.clone().unwrap_or_else(|| "default".to_owned());
    if before != namespace {
        noted.namespaces.insert(context.name.clone(), before);
        note_previous(&noted, environment, voice);
    }
    speak(voice).line(&format!("Context \"{}\" now has namespace \"{namespace}\".", context.name));
    Ok(())
}

async fn pick(args: &cli::UseAccount, environment: &Environment, voice: &Voice) -> Result<String, Problem> {
    if !super::confirm::can_ask() {
        return Err(nobody_to_ask("account", command!["kubectl", "deepdesk", "account", "list"]));
    }
    let (target, cluster) = connect(&args.cluster, args.show.verbose, environment, voice).await?;
    let found = glance::everywhere(&cluster, target.context.as_deref().unwrap_or_default()).await?;
    let accounts = found.by_namespace.into_keys().filter(|account| !request::is_no_account(account));
    let accounts: Vec<String> = accounts.map(|account| account.to_string()).collect();
    if accounts.is_empty() {
        let line = "no namespace of this cluster has an ExternalSecret: there is no account to choose";
        return Err(Problem::new(Reason::NoAccounts, line).hint("name a namespace as an argument"));
    }
    super::confirm::pick_name(voice, "Account", &accounts, target.namespace.as_deref())
}

/// Fails when the cluster has no such namespace. Who may not ask is warned, and has the word of whoever typed it.
async fn exists(
    args: &cli::UseAccount,
    namespace: &AccountName,
    environment: &Environment,
    voice: &Voice,
) -> Result<(), Problem> {
    let unasked = |problem: Problem| problem.hint("--force sets it without asking the cluster");
    let (_, cluster) = connect(&args.cluster, args.show.verbose, environment, voice).await.map_err(unasked)?;
    match cluster.cluster_get::<Namespace>(namespace.as_str()).await {
        Ok(Some(_)) => Ok(()),
        Ok(None) => {
            let all = cluster.cluster_list::<Namespace>().await.unwrap_or_default();
            let all: Vec<String> = all.into_iter().filter_map(|one| one.metadata.name).collect();
            Err(unasked(namespace::problem(namespace.as_str(), &all)))
        }
        Err(error) if error.kind == ApiErrorKind::Forbidden => {
            speak(voice).warning(&format!("not allowed to see whether namespace {namespace} exists"));
            Ok(())
        }
        Err(error) => Err(unasked(error.into())),
    }
}
