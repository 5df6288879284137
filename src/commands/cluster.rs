//! `cluster list|use|get-credentials`: the contexts of the kubeconfig.

mod credentials;

use serde_json::json;

use super::{Voice, color, names, output, speak, voice_in};
use crate::cli::{self, Clusters};
use crate::clients::kubeconfig::{self, ContextEntry, KubeFlags, previous};
use crate::environment::Environment;
use crate::present::{Listing, Output, Style};
use crate::run::{Interrupt, interrupted};
use deepdesk_protocol::command;
use deepdesk_protocol::hint::{Command, Hint};
use deepdesk_protocol::problem::{Exit, Problem, Reason};
use deepdesk_protocol::result::API_VERSION;

/// Runs one of the commands; returns the exit code.
pub async fn run(command: Clusters, environment: Environment, mut interrupt: Interrupt) -> u8 {
    let voice = match &command {
        Clusters::List(args) => list_voice(&args.show, false, &environment),
        Clusters::Use(args) => voice_in(Style { color: color(args.color), ..Style::default() }, &environment),
        Clusters::GetCredentials(args) => {
            voice_in(Style { color: color(args.color), ..Style::default() }, &environment)
        }
    };
    let work = async {
        match command {
            Clusters::List(args) => list(&args, &environment, &voice)
                .inspect_err(|problem| speak(&voice).no_result(json!({"kind": "ContextList", "items": []}), problem)),
            Clusters::Use(args) => use_context(&args, &environment, &voice).await,
            Clusters::GetCredentials(args) => credentials::get(&args, &environment, &voice).await,
        }
    };
    // Nothing is half done when it stops: a file is replaced in one step, and a lock is given back.
    let ended = tokio::select! {
        ended = work => ended,
        () = interrupt.asked() => Err(interrupted()),
    };
    ended_with(ended, &voice)
}

/// The exit code of a command whose result was shown already.
pub(super) fn ended_with(ended: Result<(), Problem>, voice: &Voice) -> u8 {
    match ended {
        Ok(()) => Exit::Done.code(),
        Err(problem) => {
            speak(voice).problem(&problem);
            problem.exit.code()
        }
    }
}

/// A list is a table on a terminal and names elsewhere: what stands behind the pipe is a picker more often than a person.
pub(super) fn list_voice(show: &cli::ShowList, quiet: bool, environment: &Environment) -> Voice {
    use std::io::IsTerminal as _;
    let otherwise = if std::io::stdout().is_terminal() { Output::Human } else { Output::Name };
    let output = show.output.map_or(otherwise, output);
    voice_in(Style { output, color: color(show.color), quiet, ..Style::default() }, environment)
}

/// Whether names alone are wanted.
pub(super) fn names_alone(show: &cli::ShowList) -> bool {
    use std::io::IsTerminal as _;
    match show.output {
        Some(form) => form == cli::Output::Name,
        None => !std::io::stdout().is_terminal(),
    }
}

fn list(args: &cli::ListClusters, environment: &Environment, voice: &Voice) -> Result<(), Problem> {
    let contexts = kubeconfig::contexts(&flags(args.kubeconfig.clone()), environment)?;
    let wide = args.show.output == Some(cli::Output::Wide);
    let mut titles = vec!["NAME", "CURRENT", "CLUSTER", "NAMESPACE"];
    if wide {
        titles.extend(["USER", "SERVER"]);
    }
    let rows = contexts.iter().map(|context| {
        let text = |text: &Option<String>| text.clone().unwrap_or_default();
        let mut row = vec![
            context.name.clone(),
            if context.current { "*".to_owned() } else { String::new() },
            context.cluster.clone(),
            text(&context.namespace),
        ];
        if wide {
            row.extend([text(&context.user), text(&context.server)]);
        }
        row
    });
    let items: Vec<_> = contexts.iter().map(context_object).collect();
    let object = json!({"apiVersion": API_VERSION, "kind": "ContextList", "exitCode": 0, "reason": "", "problem": null,
        "items": items});
    let listing =
        Listing { titles, rows: rows.collect(), names: contexts.iter().map(|context| context.name.clone()).collect() };
    if contexts.is_empty() {
        speak(voice).note("the kubeconfig has no contexts");
    }
    speak(voice).list(&object, &listing);
    Ok(())
}

fn context_object(context: &ContextEntry) -> serde_json::Value {
    json!({"name": context.name, "current": context.current, "cluster": context.cluster, "server": context.server,
        "user": context.user, "namespace": context.namespace})
}

async fn use_context(args: &cli::UseCluster, environment: &Environment, voice: &Voice) -> Result<(), Problem> {
    let flags = flags(args.kubeconfig.clone());
    let contexts = some_contexts(&flags, environment)?;
    let picked = match &args.name {
        Some(name) => name.clone(),
        None => pick(&contexts, voice)?,
    };
    let locked = kubeconfig::lock(&flags, environment).await?;
    // Read under the lock: what is current now is what `-` will lead back to.
    let contexts = kubeconfig::contexts(&flags, environment)?;
    let mut noted = previous::read(&locked, environment);
    let name = match picked.as_str() {
        "-" => noted.context.clone().ok_or_else(|| no_previous("context"))?,
        name => name.to_owned(),
    };
    if !contexts.iter().any(|context| context.name == name) {
        return Err(no_such_context(&name, &contexts));
    }
    let current = contexts.iter().find(|context| context.current).map(|context| context.name.clone());
    // As kubectl: what the files say together already is not written into the first of them.
    if current.as_ref() != Some(&name) {
        locked.use_context(&name)?;
        noted.context = current.or(noted.context);
        note_previous(&noted, environment, voice);
    }
    speak(voice).line(&format!("Switched to context \"{name}\"."));
    Ok(())
}

/// The contexts; an error when there are none: asked before the lock, which would make the kubeconfig's directory.
pub(super) fn some_contexts(flags: &KubeFlags, environment: &Environment) -> Result<Vec<ContextEntry>, Problem> {
    let contexts = kubeconfig::contexts(flags, environment)?;
    match contexts.is_empty() {
        false => Ok(contexts),
        true => Err(Problem::new(Reason::NoContexts, "the kubeconfig has no contexts").hint(command![
            "kubectl",
            "deepdesk",
            "cluster",
            "get-credentials",
            "NAME",
            "--location",
            "LOCATION",
            "--project",
            "PROJECT"
        ])),
    }
}

fn pick(contexts: &[ContextEntry], voice: &Voice) -> Result<String, Problem> {
    if !super::confirm::can_ask() {
        return Err(nobody_to_ask("context", command!["kubectl", "deepdesk", "cluster", "list"]));
    }
    let names: Vec<String> = contexts.iter().map(|context| context.name.clone()).collect();
    let current = contexts.iter().find(|context| context.current).map(|context| context.name.as_str());
    super::confirm::pick_name(voice, "Context", &names, current)
}

fn no_such_context(name: &str, contexts: &[ContextEntry]) -> Problem {
    let names = contexts.iter().map(|context| context.name.as_str());
    Problem::new(Reason::NoSuchContext, format!("context \"{name}\" does not exist")).hint(names::hint(
        name,
        names,
        command!["kubectl", "deepdesk", "cluster", "list"],
    ))
}

/// There is no terminal to pick a name at.
pub(super) fn nobody_to_ask(what: &str, list: Command) -> Problem {
    Problem::new(Reason::Usage, format!("which {what}? There is no terminal to choose it at"))
        .hint(Hint::to("pass its name; to list them", list))
}

/// Nothing was noted for `-`.
pub(super) fn no_previous(what: &str) -> Problem {
    Problem::new(Reason::NoPrevious, format!("no previous {what} is known"))
        .hint(format!("`-` leads back to the {what} before the last `use`; name one first"))
}

/// What was done holds without the note; whoever wants to go back is told.
pub(super) fn note_previous(noted: &previous::Previous, environment: &Environment, voice: &Voice) {
    if let Err(error) = previous::write(noted, environment) {
        speak(voice).warning(&format!("`-` will not lead back here: {}", error.message));
    }
}

/// Only the file: a context is what is chosen here.
pub(super) fn flags(kubeconfig: Option<std::path::PathBuf>) -> KubeFlags {
    KubeFlags { kubeconfig, ..KubeFlags::default() }
}
