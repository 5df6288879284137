//! `sandbox run|shell|start|faults`: rehearse against a small world in this process.

mod directory;

use std::ffi::OsString;
use std::path::Path;
use std::process::{ExitStatus, Stdio};

use self::directory::Directory;
use super::{Voice, speak};
use crate::cli;
use crate::environment::Environment;
use crate::run::Interrupt;
use deepdesk_protocol::command;
use deepdesk_protocol::problem::{Exit, Problem, Reason};
use deepdesk_sandbox::{Options, Sandbox, faults};

/// Runs one of the sandbox's commands; returns the exit code, for `run` and `shell` that of the program run.
pub async fn run(command: cli::Sandbox, environment: &Environment, voice: &Voice, interrupt: Interrupt) -> u8 {
    let ended = match command {
        cli::Sandbox::Faults => {
            let rows = faults::catalogue()
                .iter()
                .map(|kind| format!("{:<40} {}", format!("{}{}", kind.name, kind.value.usage()), kind.summary));
            rows.for_each(|row| speak(voice).line(&row));
            Ok(Exit::Done.code())
        }
        cli::Sandbox::Run { world, args } => rehearse(&world, args, environment, voice).await,
        cli::Sandbox::Shell { world, command } => shell(&world, command, environment, voice).await,
        cli::Sandbox::Start { world } => start(&world, environment, voice, interrupt).await,
    };
    ended.unwrap_or_else(|problem| {
        speak(voice).problem(&problem);
        problem.exit.code()
    })
}

async fn up(world: &cli::World, directory: &Path) -> Result<Sandbox, Problem> {
    let faults = world.faults.iter().map(|given| given.parse()).collect::<Result<Vec<faults::Fault>, _>>();
    let faults = faults.map_err(|error| {
        Problem::new(Reason::Usage, error.to_string()).hint(command!["kubectl", "deepdesk", "sandbox", "faults"])
    })?;
    let options = Options {
        accounts: usize::from(world.accounts),
        sync_delay: world.sync_delay,
        pod_start: world.pod_start,
        faults,
        seed: world.seed,
        directory: directory.to_owned(),
    };
    let started = Sandbox::start(options).await;
    let sandbox = started.map_err(|error| Problem::new(Reason::Sandbox, error.to_string()))?;
    sandbox.write_data(world.writes);
    Ok(sandbox)
}

/// Runs this program itself with the arguments, as a process of its own: its environment is the sandbox's alone.
async fn rehearse(
    world: &cli::World,
    args: Vec<String>,
    environment: &Environment,
    voice: &Voice,
) -> Result<u8, Problem> {
    let this = std::env::current_exe()
        .map_err(|error| Problem::new(Reason::Sandbox, format!("this program is not found: {error}")))?;
    // Under the name of this run, for the same words in its usage lines.
    inside(world, (this.into_os_string(), std::env::args_os().next(), Dress::None), args, environment, voice).await
}

async fn shell(
    world: &cli::World,
    command: Vec<String>,
    environment: &Environment,
    voice: &Voice,
) -> Result<u8, Problem> {
    let mut command = command.into_iter();
    let asked = command.next();
    let interactive = asked.is_none();
    let program = asked.unwrap_or_else(|| own_shell(environment).to_owned());
    if interactive {
        let line = "this shell talks to a sandbox: a cluster and a Secret Manager in this process, gone with it; exit leaves it";
        speak(voice).note(line);
    }
    let dress = if interactive { Dress::Prompt } else { Dress::None };
    inside(world, (program.into(), None, dress), command.collect(), environment, voice).await
}

/// What shows that a program is in the sandbox.
#[derive(Clone, Copy, Eq, PartialEq)]
enum Dress {
    None,
    /// A shell's prompt begins with `(sandbox)`, whatever its start-up files make of it.
    Prompt,
}

/// Arguments and variables.
type Dressing = (Vec<String>, Vec<(String, String)>);

/// The arguments and variables with which a shell's prompt says that one is in the sandbox. Its own start-up files are read before.
fn prompt(program: &str, directory: &Path, home: Option<&Path>) -> std::io::Result<Dressing> {
    let name = program.rsplit(['/', '\\']).next().unwrap_or_default();
    let name = name.strip_suffix(".exe").unwrap_or(name).to_ascii_lowercase();
    let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    let home = home.map(|home| quoted(&home.display().to_string())).unwrap_or_else(|| "\"$HOME\"".to_owned());
    Ok(match name.as_str() {
        "bash" => {
            let file = directory.join("bashrc");
            let text = format!("[ -f {home}/.bashrc ] && . {home}/.bashrc\nPS1=\"(sandbox) ${{PS1:-\\\\$ }}\"\n");
            std::fs::write(&file, text)?;
            (vec!["--rcfile".to_owned(), file.display().to_string()], vec![])
        }
        "zsh" => {
            let own = directory.join("zsh");
            std::fs::create_dir_all(&own)?;
            let text =
                format!("ZDOTDIR={home}\n[ -f {home}/.zshrc ] && . {home}/.zshrc\nPROMPT=\"(sandbox) $PROMPT\"\n");
            std::fs::write(own.join(".zshrc"), text)?;
            (vec![], vec![pair("ZDOTDIR", &own.display().to_string())])
        }
        "fish" => {
            let text = "functions -q fish_prompt; and functions -c fish_prompt __deepdesk_prompt; \
                        function fish_prompt; echo -n '(sandbox) '; __deepdesk_prompt; end";
            (vec!["--init-command".to_owned(), text.to_owned()], vec![])
        }
        "cmd" => (vec![], vec![pair("PROMPT", "(sandbox) $P$G")]),
        "pwsh" | "powershell" => {
            let text = "function prompt { '(sandbox) PS ' + $PWD + '> ' }";
            (["-NoExit", "-Command", text].map(str::to_owned).to_vec(), vec![])
        }
        // sh, dash, ksh and their like read the file that ENV names.
        _ => {
            let file = directory.join("shrc");
            std::fs::write(&file, "PS1='(sandbox) $ '\n")?;
            (vec![], vec![pair("ENV", &file.display().to_string()), pair("PS1", "(sandbox) $ ")])
        }
    })
}

/// The user's own shell. Windows names its own in another variable; who uses another one there says so in `SHELL` (Git Bash does).
fn own_shell(environment: &Environment) -> &str {
    let (variable, usual) = if environment.is_windows() { ("ComSpec", "cmd.exe") } else { ("SHELL", "sh") };
    environment.get("SHELL").or_else(|| environment.get(variable)).unwrap_or(usual)
}

/// Variables that would lead out of the sandbox, or bring somebody's credentials into it.
const FOREIGN: [&str; 11] = [
    "GOOGLE_APPLICATION_CREDENTIALS",
    "GOOGLE_CLOUD_RUST_LOGGING",
    "CLOUDSDK_AUTH_IMPERSONATE_SERVICE_ACCOUNT",
    "CLOUDSDK_AUTH_ACCESS_TOKEN_FILE",
    "CLOUDSDK_CORE_ACCOUNT",
    "CLOUDSDK_PROXY_TYPE",
    "CLOUDSDK_PROXY_ADDRESS",
    "CLOUDSDK_PROXY_PORT",
    "CLOUDSDK_PROXY_USERNAME",
    "CLOUDSDK_PROXY_PASSWORD",
    "DEEPDESK_SETTINGS",
];

/// Runs a program while the sandbox is up. Ctrl-C is for the program: the terminal sends it to both.
async fn inside(
    world: &cli::World,
    (program, called, dress): (OsString, Option<OsString>, Dress),
    args: Vec<String>,
    environment: &Environment,
    voice: &Voice,
) -> Result<u8, Problem> {
    let directory = Directory::new()?;
    let sandbox = up(world, directory.path()).await?;
    let path = with_plugin(directory.path(), environment)?;
    let mut command = tokio::process::Command::new(&program);
    if dress == Dress::Prompt {
        let failed = |error| Problem::new(Reason::Sandbox, format!("the shell's prompt cannot be set: {error}"));
        let home = environment.home();
        let (args, variables) =
            prompt(&program.to_string_lossy(), directory.path(), home.as_deref()).map_err(failed)?;
        command.args(args).envs(variables);
    }
    #[cfg(unix)]
    called.iter().for_each(|name| {
        command.arg0(name);
    });
    #[cfg(not(unix))]
    let _ = called;
    FOREIGN.iter().for_each(|name| {
        command.env_remove(name);
    });
    let status =
        command.args(args).envs(sandbox.environment()).env("PATH", path).stdin(Stdio::inherit()).status().await;
    let told = sandbox.data_told();
    sandbox.stop().await;
    told.iter().for_each(|told| speak(voice).note(told));
    let status = status.map_err(|error| {
        Problem::new(Reason::Sandbox, format!("{} cannot be run: {error}", program.to_string_lossy()))
    })?;
    Ok(code(status))
}

/// The program's exit code; 128 and the signal's number when a signal ended it, as shells have it.
fn code(status: ExitStatus) -> u8 {
    #[cfg(unix)]
    if let Some(signal) = std::os::unix::process::ExitStatusExt::signal(&status) {
        return u8::try_from(128 + signal).unwrap_or(u8::MAX);
    }
    status.code().and_then(|code| u8::try_from(code).ok()).unwrap_or(1)
}

/// A PATH on which kubectl finds this program as its plugin, under whatever name and place it was started.
fn with_plugin(directory: &Path, environment: &Environment) -> Result<OsString, Problem> {
    let failed =
        |error: std::io::Error| Problem::new(Reason::Sandbox, format!("the plugin cannot be put on PATH: {error}"));
    let bin = directory.join("bin");
    std::fs::create_dir_all(&bin).map_err(failed)?;
    let this = std::env::current_exe().map_err(failed)?;
    // kubectl asks the second one at each TAB.
    for name in ["kubectl-deepdesk", crate::completion::HELPER] {
        #[cfg(unix)]
        std::os::unix::fs::symlink(&this, bin.join(name)).map_err(failed)?;
        // Not a hard link to this program: what runs cannot be deleted there, by none of its names.
        #[cfg(windows)]
        std::fs::copy(&this, bin.join(format!("{name}.exe"))).map(|_| ()).map_err(failed)?;
    }
    let others = environment.get("PATH").map(std::env::split_paths).into_iter().flatten();
    std::env::join_paths(std::iter::once(bin).chain(others))
        .map_err(|error| Problem::new(Reason::Sandbox, format!("PATH cannot be used: {error}")))
}

/// Keeps the sandbox up until Ctrl-C, and prints what to export to use it from elsewhere.
async fn start(
    world: &cli::World,
    environment: &Environment,
    voice: &Voice,
    mut interrupt: Interrupt,
) -> Result<u8, Problem> {
    let directory = Directory::new()?;
    let sandbox = up(world, directory.path()).await?;
    for (name, value) in sandbox.environment() {
        speak(voice).line(&exported(&name, &value, environment));
    }
    speak(voice).note("the sandbox is up; Ctrl-C ends it");
    interrupt.asked().await;
    let told = sandbox.data_told();
    sandbox.stop().await;
    told.iter().for_each(|told| speak(voice).note(told));
    Ok(Exit::Done.code())
}

/// As the user's shell reads it: PowerShell on Windows, unless a variable names another one.
fn exported(name: &str, value: &str, environment: &Environment) -> String {
    match environment.is_windows() && environment.get("SHELL").is_none() {
        true => format!("$env:{name} = '{}'", value.replace('\'', "''")),
        false => format!("export {name}={}", quoted(value)),
    }
}

/// As a POSIX shell reads it back.
fn quoted(value: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '/' | ':' | '.' | ',' | '-' | '_' | '@' | '=');
    match !value.is_empty() && value.chars().all(plain) {
        true => value.to_owned(),
        false => format!("'{}'", value.replace('\'', r"'\''")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_exports_and_the_shell_are_those_of_the_system() {
        let unix = |variables: &[(&str, &str)]| variables.iter().copied().collect::<Environment>();
        let (plain, bash) = (&[][..], &[("SHELL", "C:\\Git\\bin\\bash.exe"), ("ComSpec", "cmd")][..]);
        let cases = [
            ("unix", unix(plain), "export A='it'\\''s'", "sh"),
            ("unix, zsh", unix(&[("SHELL", "/bin/zsh")]), "export A='it'\\''s'", "/bin/zsh"),
            ("windows", Environment::of_windows(&[("COMSPEC", "C:\\cmd.exe")]), "$env:A = 'it''s'", "C:\\cmd.exe"),
            ("windows, bare", Environment::of_windows(plain), "$env:A = 'it''s'", "cmd.exe"),
            ("git bash", Environment::of_windows(bash), "export A='it'\\''s'", "C:\\Git\\bin\\bash.exe"),
        ];
        for (case, environment, line, shell) in cases.into_iter().skip(if cfg!(windows) { 2 } else { 0 }) {
            assert_eq!(exported("A", "it's", &environment), line, "{case}");
            assert_eq!(own_shell(&environment), shell, "{case}");
        }
    }
}
