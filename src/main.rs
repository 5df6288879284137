//! The binary: hands the real arguments, environment and signals in, and the exit code out.

use std::io::IsTerminal as _;
use std::process::ExitCode;
use std::time::Instant;

use clap::{CommandFactory as _, FromArgMatches as _};
use kubectl_deepdesk::cli::{Cli, habits};
use kubectl_deepdesk::environment::Environment;
use kubectl_deepdesk::run::Interrupt;
use kubectl_deepdesk::{commands, completion, guard};
use tokio::sync::watch;

fn main() -> ExitCode {
    let started = Instant::now();
    guard::no_core_dump();
    // Before anything else: a shell waits for the answer at each TAB.
    if let Some(asked) = completion::asked(std::env::args_os(), std::env::var_os("COMPLETE")) {
        return guard::answer(&complete(&asked, started));
    }
    // Nothing to parse: the tree of all commands and flags would cost more than the answer.
    if std::env::args_os().skip(1).eq(["version"]) {
        return guard::answer(&commands::version());
    }
    run()
}

/// Apart from `main`, like `run`: what is inlined there makes its stack frame, and every page of that is touched first of
/// all, also where the answer needs none of it.
#[inline(never)]
fn complete(asked: &completion::Asked, started: Instant) -> String {
    completion::answer(asked, guard::environment().into_iter().collect(), started)
}

/// All that has to be parsed.
#[inline(never)]
fn run() -> ExitCode {
    // Both TLS users of the tree share this one provider; without it their clients panic.
    // It fails only when one is installed already, and this is the first thing that could.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let cli = parse();
    let environment: Environment = guard::environment().into_iter().collect();
    // Without the runtime's threads: they are a sixth of the time that `version` takes.
    if let Some(code) = commands::offline(&cli.command, &environment) {
        return ExitCode::from(code);
    }
    let for_google = commands::for_google(&cli, &environment);
    if let Some(url) = &for_google.proxy {
        guard::proxy_for_google(url);
    }
    if let Some(path) = &for_google.authorities {
        guard::authorities_for_google(path);
    }
    let runtime = match tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            guard::say(&format!("error: no threads can be started: {error}\n"));
            return ExitCode::FAILURE;
        }
    };
    let code = runtime.block_on(async {
        let (ask, asked) = watch::channel(false);
        tokio::spawn(hear_signals(ask));
        commands::run(cli, environment, Interrupt::new(asked)).await
    });
    // A request that nobody waits for any more must not hold the process.
    runtime.shutdown_background();
    ExitCode::from(code)
}

/// Parses the arguments; usage lines say `kubectl deepdesk` when kubectl called, by the name it calls plugins by.
fn parse() -> Cli {
    let command = Cli::command().bin_name(guard::called_as());
    let words = habits::ordered(&command, std::env::args_os());
    let parsed = command.try_get_matches_from(words).and_then(|matches| Cli::from_arg_matches(&matches));
    parsed.unwrap_or_else(|error| refused(error))
}

/// Ends with what clap says, and with what may have been meant. Whoever reads JSON gets an object here, too.
fn refused(error: clap::Error) -> ! {
    use clap::error::{ContextKind, ErrorKind};
    let words: Vec<String> = std::env::args_os().skip(1).map(|word| word.to_string_lossy().into_owned()).collect();
    if !error.use_stderr() {
        error.exit();
    }
    let mut error = error;
    let unknown = matches!(error.kind(), ErrorKind::InvalidSubcommand | ErrorKind::UnknownArgument);
    let meant = habits::meant(&Cli::command(), &words).filter(|_| unknown);
    if let Some(meant) = meant.filter(|_| error.kind() == ErrorKind::InvalidSubcommand) {
        let tip = format!("did you mean `{} {meant}`?", guard::called_as());
        error.remove(ContextKind::SuggestedSubcommand);
        error.remove(ContextKind::SuggestedCommand);
        error.insert(ContextKind::Suggested, clap::error::ContextValue::StyledStrs(vec![tip.into()]));
    }
    if habits::wants_json(&words) {
        let text = error.render().to_string();
        let line = text.lines().next().unwrap_or_default();
        commands::say_refused(line.strip_prefix("error: ").unwrap_or(line));
    }
    error.exit()
}

/// The first Ctrl-C or SIGTERM asks for a stop at the next safe point; a second one ends the process at once.
async fn hear_signals(ask: watch::Sender<bool>) {
    let mut signals = match guard::Signals::new() {
        Ok(signals) => signals,
        // Then the system's default holds: the first one ends the process, and the same command goes on from there.
        Err(_) => return,
    };
    signals.next().await;
    ask.send_replace(true);
    signals.next().await;
    // The cursor may be hidden while lines are redrawn.
    if std::io::stderr().is_terminal() {
        guard::say("\x1b[?25h");
    }
    std::process::exit(130);
}
