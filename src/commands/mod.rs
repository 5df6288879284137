//! One file a command, each reads like its page of the manual. May import everything; nothing imports it but `main`.

mod account;
mod agreed;
mod carried;
mod change;
mod check;
mod cluster;
mod completion;
mod config;
mod confirm;
mod evidence;
mod finalize;
mod judged;
mod names;
mod namespace;
mod operator;
mod outcome;
mod report;
mod rescue;
mod restart;
mod rollback;
mod rotate;
mod sandbox;
mod select;
mod session;
mod status;
mod sync;
mod value;
mod verify;

use std::io::IsTerminal as _;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use jiff::Timestamp;

use self::report::{Files, Record};
use crate::cli::{self, Cli, Command, Secret, Yes};
use crate::clients::{custom_ca, trouble};
use crate::environment::Environment;
use crate::present::report::AccountReport;
use crate::present::{Presenter, Style, Terminal, Whole};
use crate::run::Interrupt;
use crate::settings;
use deepdesk_protocol::facts::named::Words;
use deepdesk_protocol::problem::{Exit, Problem, Reason};
use deepdesk_protocol::result::{AccountResult, Kind};

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

/// For whoever reads JSON: that the arguments could not be understood, as an object of the form that every other outcome has.
pub fn say_refused(line: &str) {
    let style = Style { output: crate::present::Output::Json, ..Style::default() };
    let known = crate::clients::known::values().clone();
    Presenter::new(style, Terminal::default(), std::io::stdout(), std::io::stderr(), known)
        .no_result(serde_json::json!({"kind": "Usage"}), &Problem::new(Reason::Usage, line));
}

/// What gcloud's configuration has to be put into the process's environment for Google's client.
#[derive(Debug, Default)]
pub struct ForGoogle {
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

/// What is said of readers by name.
fn words_of_readers(command: &Secret) -> Words {
    match command {
        Secret::Rotate(cli::Rotate { readers, .. })
        | Secret::Restart(cli::Restart { readers, .. })
        | Secret::Rollback(cli::Rollback { readers, .. })
        | Secret::Finalize(cli::Finalize { readers, .. }) => readers.words(),
        Secret::Sync(_) | Secret::Verify(_) | Secret::Rescue(_) | Secret::Status(_) => Words::default(),
    }
}

async fn secret(command: Secret, environment: Environment, interrupt: Interrupt) -> u8 {
    let common = common_of(&command);
    let voice = voice(Some(common), &environment);
    tokio::spawn(heed(interrupt.clone(), voice.clone()));
    tokio::spawn(tell_troubles(voice.clone()));
    let mut record = Record::begin(&environment);
    let (files, mut outcome) = match report::asked(&command).map(Files::checked).transpose() {
        Ok(files) => {
            let ended = Box::pin(one_by_one(&command, common, &environment, interrupt, &voice, &mut record)).await;
            (files, ended)
        }
        Err(problem) => (None, Err(problem)),
    };
    if let Err(problem) = &mut outcome {
        problem.carry(&carried::of(common));
    }
    let problem = outcome.err();
    let several = common.accounts.len() > 1 || selection(&command).is_some();
    let mut results = record.results();
    let code = code(&command, &results, problem.as_ref());
    results.extend(not_begun(&command, common, &record, problem.as_ref(), several));
    // Before anything is told: whoever reads our output may stop, and then nobody writes any more.
    let written = files.map(|files| files.write(&record.end(&command, problem.clone(), code)).map(|()| files.told()));
    let mut speaker = speak(&voice);
    speaker.finish();
    speaker.results(&results, &Whole { as_list: several, exit_code: code, problem: problem.as_ref() });
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
            speaker.problem(&problem.now("everything else was done, as shown above"));
            // All is done but this.
            if code == 0 { Exit::Incomplete.code() } else { code }
        }
    }
}

/// What the process ends with. Of several accounts some may be done and some not: that is incomplete, however the rest ended.
fn code(command: &Secret, results: &[AccountResult], problem: Option<&Problem>) -> u8 {
    let codes = results.iter().map(|result| result.exit_code);
    let worst = codes.clone().chain(problem.map(|problem| problem.exit.code())).max().unwrap_or(0);
    let interrupted = Exit::Interrupted.code();
    let reads_only = matches!(command, Secret::Verify(_) | Secret::Status(_));
    let done = |code: u8| code == Exit::Done.code() || code == Exit::Incomplete.code();
    let any_done = results.iter().any(|result| done(result.exit_code) && !result.dry_run);
    match worst {
        0 => 0,
        worst if worst == interrupted || reads_only => worst,
        _ if any_done => Exit::Incomplete.code(),
        worst => problem.map_or(worst, |problem| problem.exit.code()),
    }
}

/// Objects for the accounts that no turn came to: whoever reads the result must not miss one.
fn not_begun(
    command: &Secret,
    common: &cli::Common,
    record: &Record,
    problem: Option<&Problem>,
    several: bool,
) -> Vec<AccountResult> {
    let Some(problem) = problem else { return Vec::new() };
    let kind = kind(command);
    if record.accounts.is_empty() {
        // Nothing could be begun: each has the reason for that.
        let named = match (common.accounts.as_slice(), &common.cluster.namespace) {
            ([], _) if several => Vec::new(),
            ([], namespace) => vec![namespace.clone().unwrap_or_default()],
            (accounts, _) => accounts.to_vec(),
        };
        return named.iter().map(|name| AccountResult::nothing_seen(kind, name, &record.context, problem)).collect();
    }
    let because = Problem::new(Reason::NotBegun, "not started, since an earlier account did not end well");
    let left = record.not_begun.iter();
    left.map(|name| AccountResult::nothing_seen(kind, name, &record.context, &because)).collect()
}

/// The selection, where accounts are selected and not named.
fn selection(command: &Secret) -> Option<&cli::Selection> {
    let selection = match command {
        Secret::Verify(args) => &args.selection,
        Secret::Status(args) => &args.selection,
        Secret::Rotate(_)
        | Secret::Sync(_)
        | Secret::Restart(_)
        | Secret::Rollback(_)
        | Secret::Rescue(_)
        | Secret::Finalize(_) => return None,
    };
    selection.selects().then_some(selection)
}

fn kind(command: &Secret) -> Kind {
    match command {
        Secret::Rotate(_) => Kind::SecretRotation,
        Secret::Sync(_) => Kind::SecretSync,
        Secret::Verify(_) => Kind::SecretVerification,
        Secret::Restart(_) => Kind::SecretRestart,
        Secret::Rollback(_) => Kind::SecretRollback,
        Secret::Rescue(_) => Kind::SecretRescue,
        Secret::Finalize(_) => Kind::SecretFinalization,
        Secret::Status(_) => Kind::SecretStatus,
    }
}

/// From when on a lost connection is told of, and how often it is while it lasts.
const LOST: Duration = Duration::from_secs(2);
const STILL_LOST: Duration = Duration::from_secs(15);

/// Tells of a connection that is lost, for as long as it is: whoever waits would not know for what.
async fn tell_troubles(voice: Voice) {
    let mut told: Option<Instant> = None;
    loop {
        tokio::time::sleep(Duration::from_millis(500)).await;
        // Whoever is asked something waits for nothing else.
        let Ok(mut speaker) = voice.try_lock() else { continue };
        match trouble::longest() {
            Some((since, what)) if since >= LOST && told.is_none_or(|told| told.elapsed() >= STILL_LOST) => {
                speaker.warning(&format!("no connection for {}s, trying again: {what}", since.as_secs()));
                told = Some(Instant::now());
            }
            None if told.take().is_some() && trouble::is_over() => speaker.note("the connection is restored"),
            Some(_) | None => {}
        }
    }
}

/// Says that Ctrl-C was heard. The presenter does, since lines may be drawn in place.
async fn heed(mut interrupt: Interrupt, voice: Voice) {
    interrupt.asked().await;
    // Nothing is under way that would have to be stopped.
    if confirm::is_asking() {
        return;
    }
    speak(&voice).note("stopping at the next safe point; press Ctrl-C again to stop now");
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
    agreed::check(command, common, &settings::read(common.settings.as_deref(), environment)?, environment)?;
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
    if let Some(name) = words_of_readers(command).contradiction() {
        return Err(Problem::new(Reason::Usage, format!("{name} cannot be both evicted and left")));
    }
    let takes_stdin = matches!(command, Secret::Rotate(args) if value::is_stdin(args));
    let mut session = session::open(common, environment, takes_stdin, voice.clone(), interrupt).await?;
    session.credentials().clone_into(&mut record.credentials);
    session.context().clone_into(&mut record.context);
    let accounts = match selection(command) {
        Some(selection) => select::accounts(&session, common, selection, voice).await?,
        None => session.accounts(common, asks_nothing(command)).await?,
    };
    // Whoever only looks leaves no name anywhere, but in a report.
    if !matches!(command, Secret::Verify(_) | Secret::Status(_)) || report::asked(command).is_some() {
        session.identify().await;
        record.operator.clone_from(&session.operator().name);
    }
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
        let mut desk = session.desk(account, common)?;
        desk.request.words = words_of_readers(command);
        let (mut result, mut problem) = match command {
            Secret::Rotate(args) => Box::pin(rotate::rotate(&desk, command, args, value.take())).await,
            Secret::Sync(args) => Box::pin(sync::sync(&desk, command, args)).await,
            // A status looks at all of its accounts at once, and never comes here.
            Secret::Verify(_) | Secret::Status(_) => Box::pin(verify::verify(&desk)).await,
            Secret::Restart(args) => Box::pin(restart::restart(&desk, command, args)).await,
            Secret::Rollback(args) => Box::pin(rollback::rollback(&desk, command, args)).await,
            Secret::Rescue(args) => Box::pin(rescue::rescue(&desk, command, args)).await,
            Secret::Finalize(args) => Box::pin(finalize::finalize(&desk, command, args)).await,
        };
        result.carry(&desk.flags);
        problem.iter_mut().for_each(|problem| problem.carry(&desk.flags));
        result.problem = problem.as_ref().map(Into::into);
        session.note(environment, &result);
        let (trail, ended) = (desk.teller.into_trail(), Timestamp::now());
        record.accounts.push(AccountReport { result, problem: problem.clone(), trail, started, ended });
        let Some(problem) = problem else { continue };
        let reads_only = matches!(command, Secret::Verify(_)) && problem.exit != Exit::Interrupted;
        if !reads_only {
            record.leave_out(accounts);
            return Err(match record.not_begun.as_slice() {
                [] => problem,
                left => problem.now(format!("not started: {}", left.join(", "))),
            });
        }
        speak(voice).problem(&problem);
    }
    Ok(())
}

/// The deed of a command that changes something and asks nothing, or was told not to.
fn asks_nothing(command: &Secret) -> Option<&'static str> {
    let (deed, asks, dry_run) = match command {
        Secret::Rotate(args) => ("rotate", agreed::given(command) == Yes::No, args.change.dry_run),
        Secret::Rollback(args) => ("roll back", agreed::given(command) == Yes::No, args.change.dry_run),
        Secret::Finalize(args) => ("finalize", agreed::given(command) == Yes::No, args.change.dry_run),
        Secret::Rescue(args) => {
            ("store a value as back-compat for", agreed::given(command) == Yes::No, args.change.dry_run)
        }
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
