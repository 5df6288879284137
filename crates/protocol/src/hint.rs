//! What to do next: words, and the command to type where there is one. A command is a list of words, so that nobody has to find it in prose
//! again and it can be given the flags of the present call.

use std::fmt;

use serde::{Serialize, Serializer};

use crate::facts::names::printable;

/// A command line, word by word.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Command {
    words: Vec<String>,
    /// Flags of the present call, behind them.
    carried: Vec<String>,
}

/// Makes a [`Command`] of words: `command!["kubectl", "get", "pods", "-n", account]`.
#[macro_export]
macro_rules! command {
    ($($word:expr),+ $(,)?) => { $crate::hint::Command::new(vec![$($word.to_string()),+]) };
}

/// The flags of the present call that another command needs to mean the same clusters, projects and secrets. No credentials.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct CallFlags {
    /// Which kubeconfig, which cluster of it and as whom, as kubectl takes them.
    pub kubectl: Vec<String>,
    /// Which of gcloud's configurations and as whom.
    pub gcloud: Vec<String>,
    /// What only this program takes: the settings file, the project, the names of secrets.
    pub own: Vec<String>,
}

impl CallFlags {
    pub fn all(&self) -> impl Iterator<Item = &str> {
        [&self.kubectl, &self.gcloud, &self.own].into_iter().flatten().map(String::as_str)
    }
}

impl Command {
    /// A command of these words; the first is the program. Control characters are replaced: names come from servers.
    pub fn new(words: Vec<String>) -> Command {
        Command { words: words.iter().map(|word| printable(word)).collect(), carried: Vec::new() }
    }

    /// `kubectl deepdesk secret VERB ACCOUNT`.
    pub fn secret(verb: &str, account: impl fmt::Display) -> Command {
        command!["kubectl", "deepdesk", "secret", verb, account]
    }

    /// The same with more words behind it.
    pub fn with<W: fmt::Display>(mut self, words: impl IntoIterator<Item = W>) -> Command {
        self.words.extend(words.into_iter().map(|word| printable(&word.to_string())));
        self
    }

    pub fn words(&self) -> impl Iterator<Item = &str> {
        self.words.iter().chain(&self.carried).map(String::as_str)
    }

    /// The verb of `kubectl deepdesk secret VERB ACCOUNT`, where it is that for this account, and no more but flags of the call.
    pub fn secret_verb(&self, account: &str) -> Option<&str> {
        match self.words.as_slice() {
            [kubectl, deepdesk, secret, verb, of]
                if kubectl == "kubectl" && deepdesk == "deepdesk" && secret == "secret" && of == account =>
            {
                Some(verb)
            }
            _ => None,
        }
    }

    /// The same for other accounts, with the same flags of the call: `account` is its fifth word.
    pub fn for_accounts(mut self, accounts: impl IntoIterator<Item = String>) -> Command {
        self.words.splice(4..5, accounts);
        self
    }

    /// Gives it the flags of the present call that it takes and does not have.
    pub fn carry(&mut self, flags: &CallFlags) {
        let words: Vec<&str> = self.words.iter().map(String::as_str).collect();
        let more: Vec<&str> = match words.as_slice() {
            ["kubectl", "deepdesk", "secret" | "check", ..] => flags.all().collect(),
            ["kubectl", "deepdesk", "cluster" | "account", ..] => {
                flags.all().filter(|flag| name(flag) == "--kubeconfig").collect()
            }
            ["kubectl", "deepdesk", ..] => vec![],
            ["kubectl", ..] => flags.kubectl.iter().map(String::as_str).collect(),
            ["gcloud", ..] => flags.gcloud.iter().map(String::as_str).collect(),
            _ => vec![],
        };
        let has = |flag: &str| words.iter().any(|word| name(word) == name(flag));
        self.carried = more.into_iter().filter(|flag| !has(flag)).map(printable).collect();
    }
}

/// The name of a flag that is written with its value.
fn name(flag: &str) -> &str {
    flag.split('=').next().unwrap_or_default()
}

impl fmt::Display for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, word) in self.words().enumerate() {
            let space = if at > 0 { " " } else { "" };
            write!(f, "{space}{}", quoted(word))?;
        }
        Ok(())
    }
}

/// The one thing that is meant for the shell: a token that no earlier one equals.
pub const FRESH_TOKEN: &str = "$(date +%s%N)";

/// A word as a POSIX shell reads it back, but for a [`FRESH_TOKEN`] at its end.
pub fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "@%+=:,./-_".contains(c);
    match word.strip_suffix(FRESH_TOKEN) {
        Some(before) => format!("{}{FRESH_TOKEN}", quoted(before)),
        None if !word.is_empty() && word.chars().all(plain) => word.to_owned(),
        None => shell_words::quote(word).into_owned(),
    }
}

impl Serialize for Command {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// One thing to do next.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Hint {
    words: String,
    command: Option<Command>,
}

impl Hint {
    /// What a command is for, and the command.
    pub fn to(what: impl AsRef<str>, command: Command) -> Hint {
        Hint { words: printable(what.as_ref()), command: Some(command) }
    }

    /// What it says beside the command.
    pub fn words(&self) -> &str {
        &self.words
    }

    /// The command, where there is one.
    pub fn command(&self) -> Option<&Command> {
        self.command.as_ref()
    }

    /// Gives its command the flags of the present call.
    pub fn carry(&mut self, flags: &CallFlags) {
        if let Some(command) = &mut self.command {
            command.carry(flags);
        }
    }
}

impl From<Command> for Hint {
    fn from(command: Command) -> Hint {
        Hint { words: String::new(), command: Some(command) }
    }
}

impl From<String> for Hint {
    fn from(words: String) -> Hint {
        words.as_str().into()
    }
}

impl From<&str> for Hint {
    fn from(words: &str) -> Hint {
        Hint { words: printable(words), command: None }
    }
}

impl fmt::Display for Hint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.command, self.words.as_str()) {
            (None, words) => f.write_str(words),
            (Some(command), "") => write!(f, "{command}"),
            (Some(command), words) => write!(f, "{words}: {command}"),
        }
    }
}

impl Serialize for Hint {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// Several in one line.
pub fn in_one_line(hints: &[Hint]) -> String {
    hints.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}

/// For `#[serde(serialize_with)]`: a command as a list of words.
pub fn as_words<S: Serializer>(command: &Command, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(command.words())
}

/// For `#[serde(serialize_with)]`: one text, as scripts know it.
pub fn as_one_text<S: Serializer>(hints: &[Hint], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&in_one_line(hints))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(line: &str) -> Vec<String> {
        line.split(' ').filter(|word| !word.is_empty()).map(str::to_owned).collect()
    }

    fn flags() -> CallFlags {
        CallFlags {
            kubectl: words("--kubeconfig=/k --context=prod --as=me"),
            gcloud: words("--configuration=work"),
            own: words("--project=p --settings=/s"),
        }
    }

    #[test]
    fn a_command_carries_the_flags_that_it_takes() {
        let rows = [
            (
                "kubectl deepdesk secret rotate acme --adopt",
                "--kubeconfig=/k --context=prod --as=me --configuration=work --project=p --settings=/s",
            ),
            ("kubectl deepdesk cluster list", "--kubeconfig=/k"),
            ("kubectl deepdesk sandbox faults", ""),
            ("kubectl get pods -n acme", "--kubeconfig=/k --context=prod --as=me"),
            ("kubectl get pods --context=other", "--kubeconfig=/k --as=me"),
            ("gcloud secrets versions list acme --project=q", "--configuration=work"),
            ("openssl rand", ""),
        ];
        for (line, more) in rows {
            let mut command = Command::new(words(line));
            command.carry(&flags());
            assert_eq!(command.words().collect::<Vec<_>>(), [words(line), words(more)].concat());
            let once = command.clone();
            command.carry(&flags());
            assert_eq!(command, once, "twice is once");
        }
    }

    #[test]
    fn what_a_shell_would_take_apart_is_quoted() {
        let command = command!["kubectl", "get", "secretstore,clustersecretstore", "--context=my prod", "it's", ""];
        assert_eq!(
            command.to_string(),
            r#"kubectl get secretstore,clustersecretstore '--context=my prod' 'it'\''s' ''"#
        );
        let token = command!["kubectl", "annotate", "x", "force-sync=$(date +%s%N)"];
        assert_eq!(token.to_string(), "kubectl annotate x force-sync=$(date +%s%N)");
        let others = command!["kubectl", "--context=$(reboot)", "$(reboot)$(date +%s%N)", "~"];
        assert_eq!(others.to_string(), "kubectl '--context=$(reboot)' '$(reboot)'$(date +%s%N) '~'");
    }

    #[test]
    fn a_hint_is_words_or_a_command_or_both() {
        let command = Command::secret("sync", "acme");
        assert_eq!(Hint::from("wait").to_string(), "wait");
        assert_eq!(Hint::from(command.clone()).to_string(), "kubectl deepdesk secret sync acme");
        assert_eq!(Hint::to("bring it", command.clone()).to_string(), "bring it: kubectl deepdesk secret sync acme");
        assert_eq!(command.secret_verb("acme"), Some("sync"));
        assert_eq!(command.secret_verb("globex"), None);
        let mut carrying = command.clone();
        carrying.carry(&flags());
        assert_eq!(carrying.secret_verb("acme"), Some("sync"));
        let several = carrying.for_accounts(["a".to_owned(), "b".to_owned()]).to_string();
        assert!(several.starts_with("kubectl deepdesk secret sync a b --kubeconfig=/k"), "{several}");
        assert_eq!(Command::secret("rotate", "acme").with(["--adopt"]).secret_verb("acme"), None);
        assert!(!command!["kubectl", "x\u{1b}[2J"].to_string().contains('\u{1b}'));
    }
}
