//! One file a command, each reads like its page of the manual. May import everything; nothing imports it but `main`.

mod account;
mod carried;
mod change;
mod check;
mod cluster;
mod completion;
mod config;
mod confirm;
mod evidence;
mod finalize;
mod names;
mod outcome;
mod report;
mod rescue;
mod restart;
mod rollback;
mod rotate;
mod sandbox;
mod session;
mod status;
mod sync;
mod value;
mod verify;

use std::io::IsTerminal as _;
use std::sync::{Arc, Mutex};

use jiff::Timestamp;

use self::report::{Files, Record};
use crate::cli::{self, Cli, Command, Secret};
use crate::clients::custom_ca;
use crate::environment::Environment;
use crate::present::report::AccountReport;
use crate::present::{Presenter, Style, Terminal};
use crate::run::Interrupt;
use deepdesk_protocol::problem::{Exit, Problem, Reason};

/// The presenter on the real streams, shared by everyone who tells something.
type Voice = Arc<Mutex<Presenter<std::io::Stdout, std::io::Stderr>>>;

/// Runs what the command line asks for, and returns the process's exit code.
pub async fn run(cli: Cli, environment: Environment, interrupt: Interrupt) -> u8 {
    match cli.command {
        Command::Version | Command::Completion(_) | Command::Man(_) => {
            offline(&cli.command, &environment).unwrap_or_default()
        }
        Command::Sandbox(command) => sandbox::run(command, &environment, &voice(None, &environment), interrupt).await,
        Command::Account(command) => account::run(command, environment, interrupt).await,
        Command::Cluster(command) => cluster::run(command, environment, interrupt).await,
        Command::Check(args) => check::check(*args, environment, interrupt).await,
        Command::Config(cli::Config::List(args)) => config::list(*args, environment, interrupt).await,
        Command::Secret(command) => match *command {
            Secret::Status(args) => status::status(args, environment, interrupt).await,
            command => secret(command, environment, interrupt).await,
        },
    }
}

/// Runs a command that waits for nobody, and so needs no runtime; none when it is not such a one.
pub fn offline(command: &Command, environment: &Environment) -> Option<u8> {
    match command {
        Command::Version => {
            speak(&voice(None, environment)).line(version().trim_end());
            Some(Exit::Done.code())
        }
        Command::Completion(command) => Some(completion::run(command, environment, &voice(None, environment))),
        Command::Man(args) => Some(completion::man(args, &voice(None, environment))),
        Command::Secret(_)
        | Command::Check(_)
        | Command::Account(_)
        | Command::Cluster(_)
        | Command::Config(_)
        | Command::Sandbox(_) => None,
    }
}

/// What `version` prints.
pub fn version() -> String {
    format!("kubectl-deepdesk {}\n", env!("CARGO_PKG_VERSION"))
}

/// What gcloud's configuration has to be put into the process's environment for Google's client.
#[derive(Debug, Default)]
pub struct ForGoogle {
    /// The proxy.
    pub proxy: Option<String>,
    /// The file of certificate authorities.
    pub authorities: Option<std::path::PathBuf>,
}

/// What gcloud's configuration says for requests to Google. Has to be known before a thread is started; what is wrong with
/// it is said later, where every other problem is.
pub fn for_google(cli: &Cli, environment: &Environment) -> ForGoogle {
    let configuration = match &cli.command {
        Command::Secret(command) => &common_of(command).google.configuration,
        Command::Check(check) => &check.common.google.configuration,
        Command::Config(cli::Config::List(list)) => &list.common.google.configuration,
        Command::Account(cli::Accounts::List(list)) => &list.google.configuration,
        Command::Cluster(cli::Clusters::GetCredentials(get)) => &get.configuration,
        Command::Account(_)
        | Command::Cluster(_)
        | Command::Sandbox(_)
        | Command::Completion(_)
        | Command::Man(_)
        | Command::Version => return ForGoogle::default(),
    };
    let Ok(gcloud) = session::gcloud(configuration.as_deref(), environment) else { return ForGoogle::default() };
    let proxy = crate::clients::gcloud_proxy::gcloud_proxy(&gcloud).ok().flatten();
    let authorities = custom_ca::custom_ca(&gcloud).ok().flatten().map(|found| found.value);
    let authorities = authorities.filter(|path| !custom_ca::is_in_place(path));
    if authorities.is_some() {
        custom_ca::keep_the_machines();
    }
    ForGoogle { proxy: proxy.map(|proxy| proxy.value.url().to_owned()), authorities }
}

fn common_of(command: &Secret) -> &cli::Common {
    let (Secret::Rotate(cli::Rotate { common, .. })
    | Secret::Sync(cli::Sync { common, .. })
    | Secret::Verify(cli::Verify { common, .. })
    | Secret::Restart(cli::Restart { common, .. })
    | Secret::Rollback(cli::Rollback { common, .. })
    | Secret::Rescue(cli::Rescue { common, .. })
    | Secret::Finalize(cli::Finalize { common, .. })
    | Secret::Status(cli::Status { common, .. })) = command;
    common
}

async fn secret(command: Secret, environment: Environment, interrupt: Interrupt) -> u8 {
    let common = common_of(&command);
    let voice = voice(Some(common), &environment);
    tokio::spawn(heed(interrupt.clone(), voice.clone()));
    let mut record = Record::begin();
    let (files, mut outcome) = match report::asked(&command).map(Files::checked).transpose() {
        Ok(files) => (files, one_by_one(&command, common, &environment, interrupt, &voice, &mut record).await),
        Err(problem) => (None, Err(problem)),
    };
    if let Err(problem) = &mut outcome {
        problem.carry(&carried::of(common));
    }
    let results = record.results();
    let mut code = results.iter().map(|result| result.exit_code).max().unwrap_or(0);
    if let Err(problem) = &outcome {
        code = problem.exit.code().max(code);
    }
    let problem = outcome.err();
    // Before anything is told: whoever reads our output may stop, and then nobody writes any more.
    let written = files
        .map(|files| files.write(&record.end(&command, &environment, problem.clone(), code)).map(|()| files.told()));
    let mut speaker = speak(&voice);
    speaker.finish();
    speaker.results(&results);
    if let Some(problem) = problem {
        speaker.problem(&problem);
    }
    match written {
        None => code,
        Some(Ok(told)) => {
            speaker.note(&told);
            code
        }
        Some(Err(problem)) => {
            speaker.problem(&problem.now("what else was asked for was done, as told above"));
            // All is done but this.
            if code == 0 { Exit::Incomplete.code() } else { code }
        }
    }
}

/// Says that Ctrl-C was heard. The presenter does, since lines may be drawn in place.
async fn heed(mut interrupt: Interrupt, voice: Voice) {
    interrupt.asked().await;
    speak(&voice).note("stopping at the next safe point; once more to stop at once");
}

/// Runs the command on each account. What changes something stops at the first account that does not end well.
async fn one_by_one(
    command: &Secret,
    common: &cli::Common,
    environment: &Environment,
    interrupt: Interrupt,
    voice: &Voice,
    record: &mut Record,
) -> Result<(), Problem> {
    let value = match command {
        Secret::Rotate(args) => value::given(args)?,
        Secret::Sync(_)
        | Secret::Verify(_)
        | Secret::Restart(_)
        | Secret::Rollback(_)
        | Secret::Rescue(_)
        | Secret::Finalize(_)
        | Secret::Status(_) => None,
    };
    let takes_stdin = matches!(command, Secret::Rotate(args) if value::is_stdin(args));
    let session = session::open(common, environment, takes_stdin, voice.clone(), interrupt).await?;
    session.credentials().clone_into(&mut record.credentials);
    let accounts = session.accounts(common, asks_nothing(command)).await?;
    if value.is_some() && accounts.len() > 1 {
        return Err(Problem::new(
            Reason::Usage,
            "--value-from gives one value, and several accounts must not share one",
        )
        .hint("rotate them one at a time"));
    }
    speak(voice).expect(&accounts);
    let mut value = value;
    let mut accounts = accounts.into_iter();
    while let Some(account) = accounts.next() {
        let started = Timestamp::now();
        let desk = session.desk(account, common)?;
        let (mut result, mut problem) = match command {
            Secret::Rotate(args) => rotate::rotate(&desk, args, value.take()).await,
            Secret::Sync(args) => sync::sync(&desk, args).await,
            // A status looks at all of its accounts at once, and never comes here.
            Secret::Verify(_) | Secret::Status(_) => verify::verify(&desk).await,
            Secret::Restart(args) => restart::restart(&desk, args).await,
            Secret::Rollback(args) => rollback::rollback(&desk, args).await,
            Secret::Rescue(args) => rescue::rescue(&desk, args).await,
            Secret::Finalize(args) => finalize::finalize(&desk, args).await,
        };
        result.carry(&desk.flags);
        problem.iter_mut().for_each(|problem| problem.carry(&desk.flags));
        session.note(environment, &result);
        let (trail, ended) = (desk.teller.into_trail(), Timestamp::now());
        record.accounts.push(AccountReport { result, problem: problem.clone(), trail, started, ended });
        let Some(problem) = problem else { continue };
        let reads_only = matches!(command, Secret::Verify(_)) && problem.exit != Exit::Interrupted;
        if !reads_only {
            record.leave_out(accounts);
            return Err(problem);
        }
        speak(voice).problem(&problem);
    }
    Ok(())
}

/// The deed of a command that changes something and asks nothing, or was told not to.
fn asks_nothing(command: &Secret) -> Option<&'static str> {
    let (deed, asks, dry_run) = match command {
        Secret::Rotate(args) => ("rotate", !args.yes, args.change.dry_run),
        Secret::Rollback(args) => ("roll back", !args.yes, args.change.dry_run),
        Secret::Finalize(args) => ("finalize", !args.yes, args.change.dry_run),
        Secret::Rescue(args) => ("store a value as back-compat for", !args.yes, args.change.dry_run),
        Secret::Sync(args) => ("sync", false, args.change.dry_run),
        Secret::Restart(args) => ("restart", false, args.change.dry_run),
        Secret::Verify(_) | Secret::Status(_) => return None,
    };
    (!asks && dry_run == cli::DryRun::None).then_some(deed)
}

fn voice(common: Option<&cli::Common>, environment: &Environment) -> Voice {
    voice_in(common.map_or_else(Style::default, style), environment)
}

fn voice_in(style: Style, environment: &Environment) -> Voice {
    // A console of Windows shows what moves the cursor as letters until it is told otherwise. Asking for colours tells it.
    #[cfg(windows)]
    for terminal in [dialoguer::console::Term::stdout(), dialoguer::console::Term::stderr()] {
        let _ = terminal.features().colors_supported();
    }
    let terminal = Terminal {
        stdout: std::io::stdout().is_terminal(),
        stderr: std::io::stderr().is_terminal() && environment.get("TERM") != Some("dumb"),
        width: columns(environment),
        no_color: crate::request::no_color(environment),
    };
    let known = crate::clients::known::values().clone();
    Arc::new(Mutex::new(Presenter::new(style, terminal, std::io::stdout(), std::io::stderr(), known)))
}

/// Columns of the terminal; `COLUMNS` where there is none to ask.
fn columns(environment: &Environment) -> usize {
    #[cfg(unix)]
    if let Ok(size) = rustix::termios::tcgetwinsize(std::io::stderr())
        && size.ws_col > 0
    {
        return usize::from(size.ws_col);
    }
    #[cfg(windows)]
    if let Some((_, columns @ 1..)) = dialoguer::console::Term::stderr().size_checked() {
        return usize::from(columns);
    }
    environment.get("COLUMNS").and_then(|columns| columns.parse().ok()).filter(|columns| *columns > 0).unwrap_or(80)
}

fn style(common: &cli::Common) -> Style {
    use crate::present::Progress;
    Style {
        output: output(common.show.output),
        progress: match common.show.progress {
            cli::Progress::Auto => Progress::Auto,
            cli::Progress::Plain => Progress::Plain,
            cli::Progress::Json => Progress::Json,
            cli::Progress::None => Progress::None,
        },
        color: color(common.show.color),
        quiet: common.google.quiet,
    }
}

fn output(output: cli::Output) -> crate::present::Output {
    use crate::present::Output;
    match output {
        cli::Output::Human | cli::Output::Short => Output::Human,
        cli::Output::Wide => Output::Wide,
        cli::Output::Json => Output::Json,
        cli::Output::Yaml => Output::Yaml,
        cli::Output::Name => Output::Name,
    }
}

fn color(color: cli::Color) -> crate::present::Color {
    use crate::present::Color;
    match color {
        cli::Color::Auto => Color::Auto,
        cli::Color::Always => Color::Always,
        cli::Color::Never => Color::Never,
    }
}

/// The presenter, to say something with.
fn speak(voice: &Voice) -> std::sync::MutexGuard<'_, Presenter<std::io::Stdout, std::io::Stderr>> {
    voice.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}
