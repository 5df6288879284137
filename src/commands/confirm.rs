//! Questions to the person at the terminal.

use std::io::IsTerminal as _;
use std::sync::atomic::{AtomicBool, Ordering};

use dialoguer::FuzzySelect;

use super::agreed::Grave;
use super::{Voice, speak};
use crate::run::Interrupt;
use deepdesk_protocol::facts::names::{AccountName, VersionId, printable};
use deepdesk_protocol::problem::{Problem, Reason};

/// Whether a question stands. Ctrl-C ends it, and stops nothing else that would have to be told.
static ASKING: AtomicBool = AtomicBool::new(false);

/// Whether a question stands.
pub fn is_asking() -> bool {
    ASKING.load(Ordering::SeqCst)
}

/// Whether there is a terminal to ask at, even when standard input is a pipe that carries the value.
pub fn can_ask() -> bool {
    let at_hand = || std::io::stdin().is_terminal() || (cfg!(unix) && std::fs::File::open("/dev/tty").is_ok());
    std::io::stderr().is_terminal() && at_hand()
}

/// Where questions are asked: nothing else is drawn meanwhile, and Ctrl-C is heard.
#[derive(Clone, Copy)]
pub struct Asker<'a> {
    /// What draws.
    pub voice: &'a Voice,
    /// Hears Ctrl-C.
    pub interrupt: &'a Interrupt,
    /// Ask nothing.
    pub quiet: bool,
}

impl Asker<'_> {
    /// Asks whether to go on with a deed ("rotate"); where it is grave the account's name has to be typed. `before` is what has to
    /// be known for an answer.
    pub fn change(&self, account: &AccountName, deed: &str, grave: Option<Grave>, before: &str) -> Result<(), Problem> {
        if self.quiet || !can_ask() {
            let yes = if grave.is_some() { format!("--yes={account}") } else { "--yes".to_owned() };
            return Err(Problem::new(
                Reason::NotConfirmed,
                format!("confirmation is needed to {deed} {account}, and there is no terminal to ask at"),
            )
            .hint(format!("pass {yes} to confirm; --dry-run shows what it would do")));
        }
        let agreed = match grave {
            Some(grave) => {
                let why = capital(grave.as_str());
                let prompt = format!("{before}{why}. Type the account's name to {deed} it ({account})");
                self.line(&prompt)? == account.as_str()
            }
            None => self.yes(&format!("{before}{}", question(deed, account)))?,
        };
        match agreed {
            true => Ok(()),
            false => Err(declined()),
        }
    }

    /// Asks until the answer is a yes or a no. A line, and not a key: whoever types something else has not read the question.
    fn yes(&self, question: &str) -> Result<bool, Problem> {
        let mut prompt = format!("{question} [y/N]");
        loop {
            match answer(&self.line(&prompt)?) {
                Some(yes) => return Ok(yes),
                None => prompt = format!("{question} Type y or n [y/N]"),
            }
        }
    }

    /// Takes a line, without the white space around it.
    fn line(&self, prompt: &str) -> Result<String, Problem> {
        let typed = asked(self.voice, || read_line(prompt, self.interrupt))?;
        Ok(typed.trim().to_owned())
    }

    /// Takes the operator's word that nothing is encrypted under an older value any more, by the account's name.
    /// `before` is what has to be known for it.
    pub fn reencrypted(&self, account: &AccountName, version: VersionId, before: &str) -> Result<(), Problem> {
        if self.quiet || !can_ask() {
            let line = format!(
                "whether every encrypted field of {account} was saved again under {version} has to be stated, and there is no terminal to ask at"
            );
            return Err(Problem::new(Reason::NotConfirmed, line)
                .hint("pass --reencrypted if it was, or --reencrypted-by with a command that checks it; --dry-run shows what would be done"));
        }
        let prompt = format!("{before}Every encrypted field was saved again under {version}. Type {account} to say so");
        match self.line(&prompt)? == account.as_str() {
            true => Ok(()),
            false => Err(declined()),
        }
    }

    /// Lets one account be picked. Where a deed follows that asks nothing by itself, it is asked about here: in a list the
    /// one beside the wanted one is a key away.
    pub fn pick(
        &self,
        namespace: &str,
        candidates: &[AccountName],
        deed: Option<&str>,
    ) -> Result<AccountName, Problem> {
        if candidates.is_empty() {
            return Err(
                crate::request::no_account(namespace).hint("no namespace of this cluster has an ExternalSecret")
            );
        }
        let names: Vec<String> = candidates.iter().map(ToString::to_string).collect();
        let picked = pick_name(self.voice, &format!("Namespace {namespace} is no account. Which one"), &names, None)?;
        let account = candidates.iter().find(|account| account.as_str() == picked).cloned().ok_or_else(stopped)?;
        match deed {
            Some(deed) if !self.yes(&question(deed, &account))? => Err(declined()),
            Some(_) | None => Ok(account),
        }
    }
}

fn declined() -> Problem {
    Problem::new(Reason::Declined, "not confirmed: nothing was changed")
}

/// Ctrl-C at a question. It stands before the first write.
fn stopped() -> Problem {
    Problem::new(Reason::Interrupted, "interrupted at the question: nothing was changed")
}

/// Return alone is a no.
fn answer(line: &str) -> Option<bool> {
    match line.to_lowercase().as_str() {
        "y" | "yes" => Some(true),
        "" | "n" | "no" => Some(false),
        _ => None,
    }
}

/// `Rotate acme?`
fn question(deed: &str, account: &AccountName) -> String {
    format!("{} {account}?", capital(deed))
}

fn capital(text: &str) -> String {
    let (first, rest) = text.split_at(text.chars().next().map_or(0, char::len_utf8));
    format!("{}{rest}", first.to_uppercase())
}

/// Lets one of several names be picked by typing some of its letters; the one at hand is marked to begin with.
pub fn pick_name(voice: &Voice, prompt: &str, names: &[String], current: Option<&str>) -> Result<String, Problem> {
    let at = names.iter().position(|name| Some(name.as_str()) == current).unwrap_or(0);
    // They may stand in a file that somebody else wrote.
    let shown: Vec<String> = names.iter().map(|name| printable(name)).collect();
    let picked = asked(voice, || {
        let select = FuzzySelect::new().with_prompt(prompt).items(&shown).default(at).max_length(20);
        select.interact_opt().map_err(|dialoguer::Error::IO(error)| error)
    });
    if picked.is_err() {
        // It hides the cursor while it asks, and forgets that when Ctrl-C ends the question.
        let _ = dialoguer::console::Term::stderr().show_cursor();
    }
    // Escape ends the question as Ctrl-C does.
    picked?.and_then(|picked| names.get(picked).cloned()).ok_or_else(stopped)
}

/// Asks while nothing else is drawn. The terminal answers in its own time, so other tasks go elsewhere meanwhile. What was
/// typed before the question stood there is no answer to it.
fn asked<T>(voice: &Voice, question: impl FnOnce() -> std::io::Result<T>) -> Result<T, Problem> {
    let ask = || {
        forget_what_was_typed();
        ASKING.store(true, Ordering::SeqCst);
        question()
    };
    let answer = tokio::task::block_in_place(|| speak(voice).suspend(ask));
    answer.inspect(|_| ASKING.store(false, Ordering::SeqCst)).map_err(|error| match error.kind() {
        // It still stands for whoever hears the same Ctrl-C a moment later.
        std::io::ErrorKind::Interrupted => stopped(),
        std::io::ErrorKind::UnexpectedEof => {
            ASKING.store(false, Ordering::SeqCst);
            Problem::new(Reason::NoAnswer, "the question got no answer: nothing was changed")
        }
        _ => {
            ASKING.store(false, Ordering::SeqCst);
            Problem::new(Reason::NoAnswer, format!("the question could not be asked: {error}"))
        }
    })
}

/// Reads a line as the terminal edits it. dialoguer reads key by key, and takes the terminal out of and into its own mode at each: what is
/// typed between two keys is echoed twice, and a line may be lost with it.
#[cfg(unix)]
fn read_line(prompt: &str, interrupt: &Interrupt) -> std::io::Result<String> {
    use rustix::event::{PollFd, PollFlags, Timespec, poll};
    use std::io::{Error, ErrorKind, Write as _};
    const LOOK: Timespec = Timespec { tv_sec: 0, tv_nsec: 50_000_000 };
    let terminal = terminal()?;
    let mut stderr = std::io::stderr();
    stderr.write_all(format!("{} ", printable(prompt)).as_bytes())?;
    let mut line = Vec::new();
    while !line.ends_with(b"\n") {
        if interrupt.check().is_err() {
            let _ = stderr.write_all(b"\n");
            return Err(ErrorKind::Interrupted.into());
        }
        let mut ready = [PollFd::new(&terminal, PollFlags::IN)];
        match poll(&mut ready, Some(&LOOK)) {
            Ok(0) | Err(rustix::io::Errno::INTR) => continue,
            Ok(_) => {}
            Err(error) => return Err(error.into()),
        }
        let mut part = [0; 1024];
        match rustix::io::read(&terminal, &mut part) {
            // Ctrl-D, or a terminal that is gone.
            Ok(0) => {
                let _ = stderr.write_all(b"\n");
                return Err(ErrorKind::UnexpectedEof.into());
            }
            Ok(read) => line.extend_from_slice(&part[..read]),
            Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(Error::from(error)),
        }
    }
    Ok(String::from_utf8_lossy(&line).into_owned())
}

/// The terminal that is asked at: standard input where it is one, else the controlling one.
#[cfg(unix)]
fn terminal() -> std::io::Result<std::fs::File> {
    use std::os::fd::AsFd as _;
    match std::io::stdin().is_terminal() {
        true => Ok(std::io::stdin().as_fd().try_clone_to_owned()?.into()),
        false => std::fs::File::options().read(true).write(true).open("/dev/tty"),
    }
}

#[cfg(not(unix))]
fn read_line(prompt: &str, _: &Interrupt) -> std::io::Result<String> {
    let input = dialoguer::Input::new().with_prompt(prompt).allow_empty(true);
    input.interact_text().map_err(|dialoguer::Error::IO(error)| error)
}

/// Empties the terminal's input.
#[cfg(unix)]
fn forget_what_was_typed() {
    // Where it fails there is no terminal, and the question says so.
    if let Ok(terminal) = terminal() {
        let _ = rustix::termios::tcflush(terminal, rustix::termios::QueueSelector::IFlush);
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
