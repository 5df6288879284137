//! Which words fit which argument: a table of flags and arguments, and where their words come from.

use std::ffi::OsStr;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use clap::{Arg, Command, ValueHint};
use clap_complete::engine::{ArgValueCompleter, CompletionCandidate, PathCompleter, ValueCompleter as _};

use super::Context;
use super::cache::Word;
use crate::clients::gcloud::Gcloud;
use crate::clients::kubeconfig::Named;
use deepdesk_protocol::check::catalogue::{self, CATALOGUE};
use deepdesk_sandbox::faults;

/// Where words come from.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Source {
    /// The accounts of the cluster.
    Accounts,
    /// The namespaces of the cluster.
    Namespaces,
    /// The workloads of the account, as `kind/name`.
    Workloads,
    /// The ExternalSecrets of the account.
    ExternalSecrets,
    /// The contexts of the kubeconfig.
    Contexts,
    /// The clusters of the kubeconfig.
    Clusters,
    /// The users of the kubeconfig.
    Users,
    /// The projects that gcloud's configuration and the contexts name.
    Projects,
    /// The ids of the checks.
    Checks,
    /// The faults of the sandbox.
    Faults,
    /// Files and directories.
    Paths,
}

/// The source of an argument's words; none where clap knows them itself, or nobody does.
fn source(command: &[String], arg: &Arg) -> Option<Source> {
    let by_flag = match arg.get_long() {
        Some("context") => Some(Source::Contexts),
        Some("cluster") => Some(Source::Clusters),
        Some("user") => Some(Source::Users),
        Some("namespace") => Some(Source::Namespaces),
        Some("project") => Some(Source::Projects),
        Some("workload" | "reencrypted-by-workload") => Some(Source::Workloads),
        Some("external-secret") => Some(Source::ExternalSecrets),
        Some("only" | "skip") => Some(Source::Checks),
        Some("fault") => Some(Source::Faults),
        Some(_) => None,
        None => by_place(command, arg),
    };
    let is_path = matches!(arg.get_value_hint(), ValueHint::AnyPath | ValueHint::FilePath | ValueHint::DirPath);
    by_flag.or(is_path.then_some(Source::Paths))
}

fn by_place(command: &[String], arg: &Arg) -> Option<Source> {
    let place: Vec<&str> = command.iter().map(String::as_str).collect();
    match (place.as_slice(), arg.get_id().as_str()) {
        (_, "accounts" | "account") | (["account", ..], _) => Some(Source::Accounts),
        (["cluster", "use"], _) => Some(Source::Contexts),
        _ => None,
    }
}

/// The same command, but that its arguments know their words.
pub fn attach(command: Command, context: &Arc<Context>) -> Command {
    attach_below(command, &[], context)
}

fn attach_below(command: Command, place: &[String], context: &Arc<Context>) -> Command {
    let command = command.mut_args(|arg| match source(place, &arg) {
        Some(source) => {
            let context = context.clone();
            arg.add(ArgValueCompleter::new(move |typed: &OsStr| completions(source, typed, &context)))
        }
        None => arg,
    });
    command.mut_subcommands(|below| {
        let place: Vec<String> = place.iter().cloned().chain([below.get_name().to_owned()]).collect();
        attach_below(below, &place, context)
    })
}

fn completions(source: Source, typed: &OsStr, context: &Context) -> Vec<CompletionCandidate> {
    if source == Source::Paths {
        context.files.store(true, Ordering::Relaxed);
        return paths(typed, context);
    }
    let Some(typed) = typed.to_str() else { return Vec::new() };
    let already = |word: &Word| match source {
        Source::Accounts => context.line.arguments.contains(&word.0),
        Source::Workloads => context.line.flags("workload").contains(&word.0),
        Source::ExternalSecrets => context.line.flags("external-secret").contains(&word.0),
        _ => false,
    };
    let fitting = words(source, context).into_iter().filter(|word| word.0.starts_with(typed) && !already(word));
    let candidate =
        |Word(word, note): Word| CompletionCandidate::new(word).help((!note.is_empty()).then(|| note.into()));
    fitting.enumerate().map(|(order, word)| candidate(word).display_order(Some(order))).collect()
}

pub fn words(source: Source, context: &Context) -> Vec<Word> {
    match source {
        Source::Accounts | Source::Namespaces if context.sandbox => sandbox_accounts(),
        Source::Accounts | Source::Namespaces | Source::Workloads | Source::ExternalSecrets => {
            super::live::words(source, context)
        }
        Source::Contexts => context.named().map_or_else(Vec::new, contexts),
        Source::Clusters => {
            let clusters = context.named().map(|named| named.clusters.clone()).unwrap_or_default();
            clusters.into_iter().map(|(name, server)| Word(name, without_credentials(&server))).collect()
        }
        Source::Users => {
            let users = context.named().map(|named| named.users.clone()).unwrap_or_default();
            users.into_iter().map(|name| Word(name, "user of the kubeconfig".to_owned())).collect()
        }
        Source::Projects => projects(context),
        Source::Checks => checks(),
        Source::Faults => {
            let fault = |kind: &faults::FaultKind| Word(kind.name.to_owned(), kind.summary.to_owned());
            faults::catalogue().iter().map(fault).collect()
        }
        Source::Paths => Vec::new(),
    }
}

fn contexts(named: &Named) -> Vec<Word> {
    let note = |entry: &crate::clients::kubeconfig::NamedEntry| {
        let current = if entry.current { "current, " } else { "" };
        let namespace = entry.namespace.as_ref().map(|namespace| format!(", namespace {namespace}"));
        format!("{current}cluster {}{}", entry.cluster, namespace.unwrap_or_default())
    };
    named.contexts.iter().map(|entry| Word(entry.name.clone(), note(entry))).collect()
}

/// The address as it may be shown: a name and a password before the host are not.
fn without_credentials(server: &str) -> String {
    match server.split_once("://") {
        Some((scheme, rest)) => match rest.rsplit_once('@') {
            Some((_, host)) => format!("{scheme}://{host}"),
            None => server.to_owned(),
        },
        None => server.to_owned(),
    }
}

/// gcloud's project, then those of `gke_PROJECT_LOCATION_CLUSTER` contexts.
fn projects(context: &Context) -> Vec<Word> {
    let mut found: Vec<Word> = Vec::new();
    let gcloud = Gcloud::read(&context.environment, context.line.flag("configuration")).ok();
    if let Some(property) = gcloud.and_then(|gcloud| gcloud.property("core/project")) {
        found.push(Word(property.value, property.source.to_string()));
    }
    for entry in context.named().map(|named| named.contexts.as_slice()).unwrap_or_default() {
        let parts: Vec<&str> = entry.name.splitn(4, '_').collect();
        if let ["gke", project, _, _] = parts.as_slice()
            && !found.iter().any(|word| word.0 == *project)
        {
            found.push(Word((*project).to_owned(), format!("context {}", entry.name)));
        }
    }
    found
}

/// The ids of the checks, and before them their groups.
fn checks() -> Vec<Word> {
    let groups =
        catalogue::groups().into_iter().map(|group| Word(group.to_owned(), "all checks of this group".to_owned()));
    groups.chain(CATALOGUE.iter().map(|check| Word(check.id.to_owned(), check.title.to_owned()))).collect()
}

/// The accounts that a sandbox has by itself.
fn sandbox_accounts() -> Vec<Word> {
    deepdesk_sandbox::ACCOUNTS
        .iter()
        .map(|name| Word((*name).to_owned(), "account of the sandbox".to_owned()))
        .collect()
}

/// Paths, as the shells complete them: `~/` stays as it was typed.
fn paths(typed: &OsStr, context: &Context) -> Vec<CompletionCandidate> {
    let here = PathCompleter::any();
    let home = context.environment.home().map(|home| home.to_string_lossy().into_owned());
    let (Some(below), Some(home)) = (typed.to_str().and_then(|typed| typed.strip_prefix("~/")), home) else {
        return here.complete(typed);
    };
    let found = here.complete(OsStr::new(&format!("{home}/{below}")));
    let short = |candidate: CompletionCandidate| {
        let path = candidate.get_value().to_string_lossy().into_owned();
        CompletionCandidate::new(format!("~{}", path.strip_prefix(&home).unwrap_or(&path)))
    };
    found.into_iter().map(short).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_shown_without_credentials() {
        let cases = [
            ("https://10.0.0.1:6443", "https://10.0.0.1:6443"),
            ("https://me:word@host/x", "https://host/x"),
            ("host", "host"),
        ];
        for (server, shown) in cases {
            assert_eq!(without_credentials(server), shown);
        }
    }

    #[test]
    fn every_flag_of_the_table_is_one_of_the_program() {
        use clap::CommandFactory as _;
        fn longs(command: &Command, found: &mut Vec<String>) {
            found.extend(command.get_arguments().filter_map(|arg| arg.get_long().map(str::to_owned)));
            command.get_subcommands().for_each(|below| longs(below, found));
        }
        let mut found = Vec::new();
        longs(&crate::cli::Cli::command(), &mut found);
        for long in [
            "context",
            "cluster",
            "user",
            "namespace",
            "project",
            "workload",
            "reencrypted-by-workload",
            "external-secret",
            "fault",
        ] {
            assert!(found.iter().any(|one| one == long), "no flag --{long}");
        }
    }
}
