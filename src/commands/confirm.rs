//! Questions to the person at the terminal.

use std::io::IsTerminal as _;

use dialoguer::{FuzzySelect, Input, Select};

use super::{Voice, speak};
use crate::run::interrupted;
use deepdesk_protocol::facts::names::{AccountName, VersionId, printable};
use deepdesk_protocol::problem::{Problem, Reason};

/// Whether there is a terminal to ask at, even when standard input is a pipe that carries the value.
pub fn can_ask() -> bool {
    let at_hand = || std::io::stdin().is_terminal() || (cfg!(unix) && std::fs::File::open("/dev/tty").is_ok());
    std::io::stderr().is_terminal() && at_hand()
}

/// Asks whether to go on with a deed ("rotate"); in a protected context the account's name has to be typed.
pub fn change(voice: &Voice, account: &AccountName, deed: &str, protected: bool, quiet: bool) -> Result<(), Problem> {
    if quiet || !can_ask() {
        return Err(Problem::new(
            Reason::NotConfirmed,
            format!("a yes is needed to {deed} {account}, and there is nobody to ask"),
        )
        .hint("add --yes when you mean it; --dry-run shows what it would do"));
    }
    let agreed = match protected {
        true => {
            let prompt = format!("This context is protected. Type the account's name to {deed} it ({account})");
            line(voice, &prompt)? == account.as_str()
        }
        false => yes(voice, &question(deed, account))?,
    };
    match agreed {
        true => Ok(()),
        false => Err(declined()),
    }
}

fn declined() -> Problem {
    Problem::new(Reason::Declined, "not confirmed: nothing was changed")
}

/// Asks until the answer is a yes or a no. A line, and not a key: whoever types something else has not read the question.
fn yes(voice: &Voice, question: &str) -> Result<bool, Problem> {
    let mut prompt = format!("{question} [y/N]");
    loop {
        match answer(&line(voice, &prompt)?) {
            Some(yes) => return Ok(yes),
            None => prompt = format!("{question} Type y or n [y/N]"),
        }
    }
}

/// Return alone is a no.
fn answer(line: &str) -> Option<bool> {
    match line.to_lowercase().as_str() {
        "y" | "yes" => Some(true),
        "" | "n" | "no" => Some(false),
        _ => None,
    }
}

/// Takes a line, without the white space around it.
fn line(voice: &Voice, prompt: &str) -> Result<String, Problem> {
    let typed: String = asked(voice, || Input::new().with_prompt(prompt).allow_empty(true).interact_text())?;
    Ok(typed.trim().to_owned())
}

/// Takes the operator's word that nothing is encrypted under an older value any more, by the account's name.
pub fn reencrypted(voice: &Voice, account: &AccountName, version: VersionId, quiet: bool) -> Result<(), Problem> {
    if quiet || !can_ask() {
        let line = format!(
            "whether every encrypted field of {account} was saved again under {version} is for you to say, and there is nobody to ask"
        );
        return Err(Problem::new(Reason::NotConfirmed, line)
            .hint("add --reencrypted when it was, or --reencrypted-by with a command that shows it; --dry-run shows what would be done"));
    }
    let prompt = format!("Every encrypted field was saved again under {version}. Type {account} to say so");
    match line(voice, &prompt)? == account.as_str() {
        true => Ok(()),
        false => Err(declined()),
    }
}

/// `Rotate acme?`
fn question(deed: &str, account: &AccountName) -> String {
    let (first, rest) = deed.split_at(1);
    format!("{}{rest} {account}?", first.to_uppercase())
}

/// Lets one account be picked. Where a deed follows that asks nothing by itself, it is asked about here: in a list the
/// one beside the wanted one is a key away.
pub fn pick(
    voice: &Voice,
    namespace: &str,
    candidates: Vec<AccountName>,
    deed: Option<&str>,
) -> Result<AccountName, Problem> {
    if candidates.is_empty() {
        return Err(crate::request::no_account(namespace).hint("no namespace of this cluster has an ExternalSecret"));
    }
    let prompt = format!("Namespace {namespace} is no account. Which one");
    let picked = asked(voice, || Select::new().with_prompt(prompt).items(&candidates).default(0).interact())?;
    let account = candidates.into_iter().nth(picked).ok_or_else(interrupted)?;
    match deed {
        Some(deed) if !yes(voice, &question(deed, &account))? => Err(declined()),
        Some(_) | None => Ok(account),
    }
}

/// Lets one of several names be picked by typing some of its letters; the one at hand is marked to begin with.
pub fn pick_name(voice: &Voice, prompt: &str, names: &[String], current: Option<&str>) -> Result<String, Problem> {
    let at = names.iter().position(|name| Some(name.as_str()) == current).unwrap_or(0);
    // They may stand in a file that somebody else wrote.
    let shown: Vec<String> = names.iter().map(|name| printable(name)).collect();
    let picked = asked(voice, || {
        FuzzySelect::new().with_prompt(prompt).items(&shown).default(at).max_length(20).interact_opt()
    })?;
    // Escape ends the question as Ctrl-C does.
    picked.and_then(|picked| names.get(picked).cloned()).ok_or_else(interrupted)
}

/// Asks while nothing else is drawn. The terminal answers in its own time, so other tasks go elsewhere meanwhile. What was
/// typed before the question stood there is no answer to it.
fn asked<T>(voice: &Voice, question: impl FnOnce() -> dialoguer::Result<T>) -> Result<T, Problem> {
    let ask = || {
        forget_what_was_typed();
        question()
    };
    let answer = tokio::task::block_in_place(|| speak(voice).suspend(ask));
    if answer.is_err() {
        // It hides the cursor while it asks, and forgets that when Ctrl-C ends the question.
        let _ = dialoguer::console::Term::stderr().show_cursor();
    }
    answer.map_err(|error| match error {
        dialoguer::Error::IO(error) if error.kind() == std::io::ErrorKind::Interrupted => interrupted(),
        dialoguer::Error::IO(error) => {
            Problem::new(Reason::NoAnswer, format!("the question could not be asked: {error}"))
        }
    })
}

/// Empties the terminal's input: standard input where it is one, else the controlling terminal, as dialoguer reads it.
#[cfg(unix)]
fn forget_what_was_typed() {
    use rustix::termios::{QueueSelector, tcflush};
    // Where it fails there is no terminal, and the question says so.
    if std::io::stdin().is_terminal() {
        let _ = tcflush(std::io::stdin(), QueueSelector::IFlush);
    } else if let Ok(terminal) = std::fs::File::options().read(true).write(true).open("/dev/tty") {
        let _ = tcflush(terminal, QueueSelector::IFlush);
    }
}

#[cfg(not(unix))]
fn forget_what_was_typed() {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_yes_is_a_yes() {
        for (typed, expected) in [
            ("y", Some(true)),
            ("YES", Some(true)),
            ("n", Some(false)),
            ("No", Some(false)),
            ("", Some(false)),
            ("yy", None),
            ("yes please", None),
            ("acme", None),
        ] {
            assert_eq!(answer(typed), expected, "{typed}");
        }
    }
}
