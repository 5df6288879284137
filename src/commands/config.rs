//! `config list`: every effective setting, and where it came from. What is printed is what the other commands use.

mod rows;

use std::time::Duration;

use self::rows::{Rows, list_of};
use super::session::{self, Session};
use super::{Voice, speak};
use crate::cli;
use crate::clients::credentials::Resolved;
use crate::clients::endpoint::Endpoint;
use crate::clients::gcloud::Gcloud;
use crate::clients::gcloud_proxy::gcloud_proxy;
use crate::clients::kubeconfig::{self, KubeTarget};
use crate::clients::proxy;
use crate::environment::Environment;
use crate::lock;
use crate::observe::store;
use crate::present::Listing;
use crate::request::{self, Request};
use crate::run::Interrupt;
use crate::setting::{Source, without_password};
use crate::settings::{self, Settings};
use deepdesk_protocol::facts::names::{AccountName, SecretHome};
use deepdesk_protocol::problem::{Exit, Problem, Reason};

/// How long the credentials, a credential plugin and the SecretStore may each take to be found out.
const BUDGET: Duration = Duration::from_secs(5);

/// Lists the settings, and returns the process's exit code.
pub async fn list(args: cli::List, environment: Environment, mut interrupt: Interrupt) -> u8 {
    let common = &args.common;
    let voice = super::voice(Some(common), &environment);
    let ended = tokio::select! {
        ended = found(common, &environment, &voice, interrupt.clone()) => ended,
        () = interrupt.asked() => Err(crate::run::interrupted()),
    };
    let mut speaker = speak(&voice);
    match ended {
        Ok((rows, problem)) => {
            let config = rows.config(problem.as_ref());
            let listing = Listing {
                titles: vec!["NAME", "VALUE", "SOURCE"],
                rows: list_of(&config),
                names: config.settings.iter().map(|setting| setting.name.to_owned()).collect(),
            };
            speaker.list(&config, &listing);
            problem.map_or(Exit::Done.code(), |problem| {
                speaker.problem(&problem);
                problem.exit.code()
            })
        }
        Err(problem) => {
            speaker.no_result(serde_json::json!({"kind": "Config", "settings": []}), &problem);
            speaker.problem(&problem);
            problem.exit.code()
        }
    }
}

/// The rows; and the problem with the kubeconfig, where nothing of it can be said.
async fn found(
    common: &cli::Common,
    environment: &Environment,
    voice: &Voice,
    interrupt: Interrupt,
) -> Result<(Rows, Option<Problem>), Problem> {
    let named = request::named_accounts(common)?;
    let settings = settings::read(common.settings.as_deref(), environment)?;
    let gcloud = session::gcloud(common.google.configuration.as_deref(), environment)?;
    let endpoint = session::endpoint(&gcloud)?;
    let (target, resolved) = futures::join!(
        in_time("the credential plugin", session::target(common, environment, false)),
        in_time("the credentials", session::resolve(common, environment, &gcloud, &endpoint))
    );
    let mut rows = Rows::default();
    kubernetes(&mut rows, common, environment, &target);
    let account = account(&mut rows, common, named.first(), &target);
    let context = target.as_ref().ok().and_then(|target| target.context.as_deref());
    match &account {
        Some(account) => {
            let request = request::request(account.clone(), common, &settings, &gcloud, context)?;
            names(&mut rows, &request);
            let said = match &target {
                Ok(target) => {
                    let google = session::Google {
                        gcloud: gcloud.clone(),
                        endpoint: endpoint.clone(),
                        resolved: Resolved::none("nothing is asked of Secret Manager here"),
                    };
                    let (settings, voice) = (settings.clone(), voice.clone());
                    let session =
                        Session::new(settings, google, target.clone(), common, environment, voice, interrupt)?;
                    let cluster = session.cluster().for_account(account);
                    in_time("the account's SecretStore", store::said_by_store(&request, &cluster)).await
                }
                Err(problem) => Err(problem.clone()),
            };
            project(&mut rows, &request, said, voice);
        }
        None => {
            for name in ["primary-secret", "back-compat-secret", "external-secrets", "workloads", "project"] {
                rows.unknown(name, "no account is known: name one");
            }
        }
    }
    google(&mut rows, common, &gcloud, &endpoint, &resolved)?;
    running(&mut rows, common, environment, &settings, context);
    Ok((rows, target.err()))
}

/// What it comes to within the budget.
async fn in_time<T>(what: &str, asked: impl Future<Output = Result<T, Problem>>) -> Result<T, Problem> {
    let late = || {
        let line = format!("{what}: no answer in {} seconds", BUDGET.as_secs());
        Problem::new(Reason::Timeout, line)
    };
    tokio::time::timeout(BUDGET, asked).await.unwrap_or_else(|_| Err(late()))
}

/// The flag when it was given, else the place of the kubeconfig.
fn flag_or(flag: Option<&String>, name: &'static str, place: impl FnOnce() -> Source) -> Source {
    match flag.filter(|given| !given.is_empty()) {
        Some(_) => Source::Flag(name),
        None => place(),
    }
}

fn kubernetes(rows: &mut Rows, common: &cli::Common, environment: &Environment, target: &Result<KubeTarget, Problem>) {
    let flags = &common.cluster;
    let files = kubeconfig::paths(&session::kube_flags(flags), environment);
    let shown = files.value.iter().map(|path| path.display().to_string()).collect::<Vec<_>>().join(", ");
    rows.put("kubeconfig", shown, &files.source);
    let target = match target {
        Ok(target) => target,
        Err(problem) => {
            for name in ["context", "cluster", "server", "user", "kubernetes-credentials", "kubernetes-proxy"] {
                rows.unknown(name, &problem.message);
            }
            return;
        }
    };
    let entry = |kind: &str, name: &Option<String>| {
        let name = name.as_deref().unwrap_or_default();
        Source::Kubeconfig(format!("{kind} {name}").trim_end().to_owned())
    };
    let of_context = || entry("context", &target.context);
    let current = || Source::Kubeconfig("current-context".to_owned());
    rows.maybe("context", target.context.clone(), &flag_or(flags.context.as_ref(), "--context", current));
    rows.maybe("cluster", target.cluster.clone(), &flag_or(flags.cluster.as_ref(), "--cluster", of_context));
    let found_or = |source: Source| if target.in_pod { Source::Found } else { source };
    let server = flag_or(flags.server.as_ref(), "--server", || found_or(entry("cluster", &target.cluster)));
    rows.put("server", without_password(&target.server), &server);
    rows.maybe("user", target.user.clone(), &flag_or(flags.user.as_ref(), "--user", of_context));
    let token = flags.token.as_ref().map(|token| &token.0);
    let credentials = flag_or(token, "--token", || found_or(entry("user", &target.user)));
    // Without encryption no credentials go out, whatever was given.
    let credentials = if target.server.starts_with("http:") { Source::Found } else { credentials };
    rows.put("kubernetes-credentials", target.credentials.to_owned(), &credentials);
    let (user, groups, uid) = &target.impersonated;
    let of_user = || entry("user", &target.user);
    rows.maybe("as", user.clone(), &flag_or(flags.impersonate.as_ref(), "--as", of_user));
    let by_groups = flag_or(flags.impersonate_groups.first(), "--as-group", of_user);
    rows.maybe("as-group", Some(groups.join(", ")).filter(|groups| !groups.is_empty()), &by_groups);
    rows.maybe("as-uid", uid.clone(), &flag_or(flags.impersonate_uid.as_ref(), "--as-uid", of_user));
    let proxy = target.proxy_source.clone().unwrap_or(Source::Default);
    rows.maybe("kubernetes-proxy", target.proxy.clone(), &proxy);
}

/// The account that the other commands would work on; none when there is none.
fn account(
    rows: &mut Rows,
    common: &cli::Common,
    named: Option<&AccountName>,
    target: &Result<KubeTarget, Problem>,
) -> Option<AccountName> {
    if let Some(account) = named {
        let source = if common.accounts.is_empty() { Source::Flag("--namespace") } else { Source::Argument };
        rows.put("account", account.to_string(), &source);
        return Some(account.clone());
    }
    let target = match target {
        Ok(target) => target,
        Err(problem) => {
            rows.unknown("account", &problem.message);
            return None;
        }
    };
    let namespace = target.namespace.as_deref().unwrap_or("default");
    let account = namespace.parse().ok().filter(|account| !request::is_no_account(account));
    match &account {
        Some(_) => {
            let context = target.context.as_deref().unwrap_or_default();
            let of_context = Source::Kubeconfig(format!("context {context}"));
            let source = if target.in_pod { Source::Found } else { of_context };
            rows.put("account", namespace.to_owned(), &source);
        }
        None => rows.unknown("account", &format!("namespace {namespace} is never an account")),
    }
    account
}

fn names(rows: &mut Rows, request: &Request) {
    let (names, sources) = (&request.names, &request.sources);
    let joined = |names: Vec<String>| names.join(", ");
    rows.put("primary-secret", names.primary.to_string(), &sources.primary);
    rows.put("back-compat-secret", names.back_compat.to_string(), &sources.back_compat);
    let external_secrets = joined(names.external_secrets.iter().map(ToString::to_string).collect());
    rows.put("external-secrets", external_secrets, &sources.external_secrets);
    rows.put("workloads", joined(names.workloads.iter().map(ToString::to_string).collect()), &sources.workloads);
}

/// The store's project wins over what else there is; a flag that says another one is refused by the other commands.
fn project(rows: &mut Rows, request: &Request, said: Result<Option<(String, SecretHome)>, Problem>, voice: &Voice) {
    let otherwise = || request.asked_project.as_ref().or(request.fallback_project.as_ref());
    match said {
        Ok(Some((_, home))) if request.asked_project.as_ref() == Some(&home.project) => {
            rows.put("project", home.project.to_string(), &Source::Flag("--project"));
        }
        Ok(Some((store, home))) => {
            if let Some(asked) = &request.asked_project {
                speak(voice).warning(&format!("--project {asked} is not what {store} says: it would be refused"));
            }
            rows.put("project", home.project.to_string(), &Source::SecretStore(store.clone()));
            let location = home.location.map(|location| location.to_string());
            if location.is_some() {
                rows.maybe("location", location, &Source::SecretStore(store));
            }
        }
        Ok(None) => rows.maybe(
            "project",
            otherwise().map(ToString::to_string),
            request.sources.project.as_ref().unwrap_or(&Source::Default),
        ),
        Err(problem) => {
            let line =
                format!("the SecretStore, which decides on the project, could not be asked: {}", problem.message);
            match (otherwise(), &request.sources.project) {
                (Some(project), Some(source)) => {
                    speak(voice).warning(&line);
                    rows.put("project", project.to_string(), source);
                }
                _ => rows.unknown("project", &line),
            }
        }
    }
}

fn google(
    rows: &mut Rows,
    common: &cli::Common,
    gcloud: &Gcloud,
    endpoint: &Endpoint,
    resolved: &Result<Resolved, Problem>,
) -> Result<(), Problem> {
    rows.put("gcloud-configuration", gcloud.configuration().to_owned(), gcloud.named_by());
    for (name, property) in [
        ("gcloud-account", "core/account"),
        ("gcloud-project", "core/project"),
        ("access-token-file", "auth/access_token_file"),
        ("disable-credentials", "auth/disable_credentials"),
    ] {
        match gcloud.property(property) {
            Some(found) => rows.put(name, found.value, &found.source),
            None => rows.maybe(name, None, &Source::Default),
        }
    }
    match resolved {
        Ok(resolved) => {
            rows.put("google-credentials", resolved.description.clone(), &Source::Found);
            rows.maybe("google-principal", resolved.principal.clone(), &Source::Found);
            rows.maybe("quota-project", resolved.quota_project.clone(), &Source::Found);
        }
        Err(problem) => {
            for name in ["google-credentials", "google-principal", "quota-project"] {
                rows.unknown(name, &problem.message);
            }
        }
    }
    match request::impersonated(common, gcloud) {
        Some(account) => rows.put("impersonate-service-account", account.value, &account.source),
        None => rows.maybe("impersonate-service-account", None, &Source::Default),
    }
    let from = request::endpoint_override(gcloud).map_or(Source::Default, |url| url.source);
    rows.put("secret-manager-endpoint", endpoint.url(None), &from);
    match gcloud_proxy(gcloud)? {
        _ if endpoint.is_plain() => rows.maybe("google-proxy", None, &Source::Default),
        Some(proxy) => rows.put("google-proxy", proxy.value.shown(), &proxy.source),
        None => {
            let found = proxy::for_google(&endpoint.url(None), |name| std::env::var(name).ok());
            match found {
                Some((name, url)) => {
                    rows.put("google-proxy", without_password(&url), &Source::Environment(name.to_owned()));
                }
                None => rows.maybe("google-proxy", None, &Source::Default),
            }
        }
    }
    Ok(())
}

/// How a command runs: its limits, its lock, its output.
fn running(
    rows: &mut Rows,
    common: &cli::Common,
    environment: &Environment,
    settings: &Settings,
    context: Option<&str>,
) {
    let flag = |given: bool, name| if given { Source::Flag(name) } else { Source::Default };
    let timeout = common.timeout;
    rows.put("timeout", seconds(timeout), &flag(timeout != Duration::from_secs(600), "--timeout"));
    let each = common.cluster.request_timeout;
    let shown = if each.is_zero() { "10s an attempt, 30s with repeats".to_owned() } else { seconds(each) };
    rows.put("request-timeout", shown, &flag(!each.is_zero(), "--request-timeout"));
    let file = settings.path.as_ref().map(|path| path.display().to_string());
    let variable = environment.get("DEEPDESK_SETTINGS");
    let by = match &common.settings {
        Some(path) if variable.is_some_and(|named| std::path::Path::new(named) == path) => {
            Source::Environment("DEEPDESK_SETTINGS".to_owned())
        }
        Some(_) => Source::Flag("--settings"),
        None => Source::Default,
    };
    rows.maybe("settings-file", file, &by);
    let of_file = settings.path.clone().map_or(Source::Default, Source::SettingsFile);
    let patterns = settings.protected_contexts.join(", ");
    rows.maybe("protected-contexts", Some(patterns).filter(|patterns| !patterns.is_empty()), &of_file);
    let protected = context.is_some_and(|context| settings.protects(context));
    rows.put("protected", protected.to_string(), &if protected { of_file } else { Source::Default });
    rows.put("lease", lock::LEASE.to_owned(), &Source::Default);
    rows.put("lease-duration", seconds(lock::LIFE), &Source::Default);
    let quiet = common.google.quiet;
    rows.put("quiet", quiet.to_string(), &flag(quiet, "--quiet"));
    let (color, by) = match common.show.color {
        cli::Color::Always => ("always", Source::Flag("--color")),
        cli::Color::Never => ("never", Source::Flag("--color")),
        cli::Color::Auto if environment.get("NO_COLOR").is_some() => {
            ("never", Source::Environment("NO_COLOR".to_owned()))
        }
        cli::Color::Auto if request::no_color(environment) => ("never", Source::Environment("TERM".to_owned())),
        cli::Color::Auto => ("auto", Source::Default),
    };
    rows.put("color", color.to_owned(), &by);
}

fn seconds(time: Duration) -> String {
    format!("{}s", time.as_secs_f64())
}
