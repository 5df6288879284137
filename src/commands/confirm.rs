//! Questions to the person at the terminal.

use std::io::IsTerminal as _;

use dialoguer::{Confirm, FuzzySelect, Input, Select};

use super::{Voice, speak};
use crate::domain::names::{AccountName, VersionId, printable};
use crate::domain::problem::{Exit, Problem};
use crate::run::interrupted;

/// Whether there is a terminal to ask at, even when standard input is a pipe that carries the value.
pub fn can_ask() -> bool {
    let at_hand = || std::io::stdin().is_terminal() || (cfg!(unix) && std::fs::File::open("/dev/tty").is_ok());
    std::io::stderr().is_terminal() && at_hand()
}

/// Asks whether to go on with a deed ("rotate"); in a protected context the account's name has to be typed.
pub fn change(voice: &Voice, account: &AccountName, deed: &str, protected: bool, quiet: bool) -> Result<(), Problem> {
    if quiet || !can_ask() {
        return Err(Problem::new(
            Exit::Usage,
            "NotConfirmed",
            format!("a yes is needed to {deed} {account}, and there is nobody to ask"),
        )
        .hint("add --yes when you mean it; --dry-run shows what it would do"));
    }
    let agreed = asked(voice, || match protected {
        true => {
            let typed: String = Input::new()
                .with_prompt(format!("This context is protected. Type the account's name to {deed} it ({account})"))
                .allow_empty(true)
                .interact_text()?;
            Ok(typed.trim() == account.as_str())
        }
        false => Confirm::new().with_prompt(question(deed, account)).default(false).interact(),
    })?;
    match agreed {
        true => Ok(()),
        false => Err(Problem::new(Exit::Failed, "Declined", "not confirmed: nothing was changed")),
    }
}

/// Takes the operator's word that nothing is encrypted under an older value any more, by the account's name.
pub fn reencrypted(voice: &Voice, account: &AccountName, version: VersionId, quiet: bool) -> Result<(), Problem> {
    if quiet || !can_ask() {
        let line = format!(
            "whether every encrypted field of {account} was saved again under {version} is for you to say, and there is nobody to ask"
        );
        return Err(Problem::new(Exit::Usage, "NotConfirmed", line)
            .hint("add --reencrypted when it was, or --reencrypted-by with a command that shows it; --dry-run shows what would be done"));
    }
    let typed: String = asked(voice, || {
        Input::new()
            .with_prompt(format!("Every encrypted field was saved again under {version}. Type {account} to say so"))
            .allow_empty(true)
            .interact_text()
    })?;
    match typed.trim() == account.as_str() {
        true => Ok(()),
        false => Err(Problem::new(Exit::Failed, "Declined", "not confirmed: nothing was changed")),
    }
}

/// `Rotate acme?`
fn question(deed: &str, account: &AccountName) -> String {
    let (first, rest) = deed.split_at(1);
    format!("{}{rest} {account}?", first.to_uppercase())
}

/// Lets one account be picked.
pub fn pick(voice: &Voice, namespace: &str, candidates: Vec<AccountName>) -> Result<AccountName, Problem> {
    if candidates.is_empty() {
        return Err(crate::request::no_account(namespace).hint("no namespace of this cluster has an ExternalSecret"));
    }
    let prompt = format!("Namespace {namespace} is no account. Which one");
    let picked = asked(voice, || Select::new().with_prompt(prompt).items(&candidates).default(0).interact())?;
    candidates.into_iter().nth(picked).ok_or_else(interrupted)
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

/// Asks while nothing else is drawn. The terminal answers in its own time, so other tasks go elsewhere meanwhile.
fn asked<T>(voice: &Voice, question: impl FnOnce() -> dialoguer::Result<T>) -> Result<T, Problem> {
    let answer = tokio::task::block_in_place(|| speak(voice).suspend(question));
    if answer.is_err() {
        // It hides the cursor while it asks, and forgets that when Ctrl-C ends the question.
        let _ = dialoguer::console::Term::stderr().show_cursor();
    }
    answer.map_err(|error| match error {
        dialoguer::Error::IO(error) if error.kind() == std::io::ErrorKind::Interrupted => interrupted(),
        dialoguer::Error::IO(error) => {
            Problem::new(Exit::Failed, "NoAnswer", format!("the question could not be asked: {error}"))
        }
    })
}
