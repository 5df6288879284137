//! `completion bash|zsh|fish|powershell|install`, and `man`: what a shell and a packager need.

use super::{Voice, speak};
use crate::cli::{self, Cli, Completion, Shell};
use crate::completion;
use crate::completion::install;
use crate::environment::Environment;
use deepdesk_protocol::problem::{Exit, Problem, Reason};

/// Prints a script, or puts completion in place.
pub fn run(command: &Completion, environment: &Environment, voice: &Voice) -> u8 {
    let shell = match command {
        Completion::Bash => Shell::Bash,
        Completion::Zsh => Shell::Zsh,
        Completion::Fish => Shell::Fish,
        Completion::PowerShell => Shell::PowerShell,
        Completion::Install(args) => return ended(install::run(args, environment), voice),
    };
    let mut speaker = speak(voice);
    completion::script(shell).lines().for_each(|line| speaker.line(line));
    Exit::Done.code()
}

/// Writes a page for each command.
pub fn man(args: &cli::Man, voice: &Voice) -> u8 {
    use clap::CommandFactory as _;
    let write = || {
        std::fs::create_dir_all(&args.out)?;
        // Manual pages name the program that is installed, and `kubectl-deepdesk-secret-rotate` is how man finds them.
        clap_mangen::generate_to(Cli::command(), &args.out)
    };
    ended(
        write()
            .map(|()| vec![format!("manual pages written to {}", args.out.display())])
            .map_err(|error| Problem::new(Reason::Write, format!("{}: {error}", args.out.display()))),
        voice,
    )
}

fn ended(done: Result<Vec<String>, Problem>, voice: &Voice) -> u8 {
    let mut speaker = speak(voice);
    match done {
        Ok(lines) => {
            lines.iter().for_each(|line| speaker.line(line));
            Exit::Done.code()
        }
        Err(problem) => {
            speaker.problem(&problem);
            problem.exit.code()
        }
    }
}
