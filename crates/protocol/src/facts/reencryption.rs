//! A command of the application's own that shows whether re-encryption is done, as the operator asked for it.

use std::fmt;
use std::time::Duration;

use super::names::{WorkloadRef, printable};

/// A command in words: the program and its arguments. No shell reads it, so nothing in it is expanded.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Command(Vec<String>);

/// Why a text is no command.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum CommandError {
    /// A quote has no end.
    #[error("a quote in it has no end")]
    OpenQuote,
    /// It has no words.
    #[error("it names no program")]
    Empty,
}

impl Command {
    /// The program, then its arguments; at least one word.
    pub fn words(&self) -> &[String] {
        &self.0
    }
}

impl std::str::FromStr for Command {
    type Err = CommandError;

    /// Splits as a POSIX shell splits words: at blanks, but for quotes and backslashes. Nothing else of a shell is known.
    fn from_str(given: &str) -> Result<Self, CommandError> {
        let words = shell_words::split(given).map_err(|_| CommandError::OpenQuote)?;
        match words.first() {
            Some(program) if !program.is_empty() => Ok(Command(words)),
            Some(_) | None => Err(CommandError::Empty),
        }
    }
}

/// As it can be typed again; control characters are replaced.
impl fmt::Display for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&printable(&shell_words::join(&self.0)))
    }
}

/// What is to be run, from which pod template, and for how long at most.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Reencryption {
    pub command: Command,
    /// The consumer whose pod template it gets; none for the first Deployment that reads both values.
    pub workload: Option<WorkloadRef>,
    /// The container of the template; none for the one that reads the Kubernetes Secret.
    pub container: Option<String>,
    /// The most that the command may take.
    pub limit: Duration,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_is_split_into_words_and_no_shell_reads_it() {
        let cases: [(&str, Result<&[&str], CommandError>); 7] = [
            ("manage.py  rows_left --all", Ok(&["manage.py", "rows_left", "--all"])),
            (r#"run "two words" 'a "b"' c\ d"#, Ok(&["run", "two words", "a \"b\"", "c d"])),
            ("echo $HOME; rm -rf $(x) > y", Ok(&["echo", "$HOME;", "rm", "-rf", "$(x)", ">", "y"])),
            ("sh -c 'rows | grep -q ^0$'", Ok(&["sh", "-c", "rows | grep -q ^0$"])),
            ("run 'open", Err(CommandError::OpenQuote)),
            ("  ", Err(CommandError::Empty)),
            ("'' x", Err(CommandError::Empty)),
        ];
        for (given, expected) in cases {
            let expected = expected.map(|words| words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>());
            assert_eq!(given.parse::<Command>().map(|command| command.words().to_vec()), expected, "{given}");
        }
    }

    #[test]
    fn a_command_is_shown_as_it_can_be_typed_again() {
        let shown = |given: &str| given.parse::<Command>().map(|command| command.to_string());
        assert_eq!(shown("a  'b c'"), Ok("a 'b c'".to_owned()));
        assert_eq!(shown("a '\u{1b}[31m'"), Ok("a '\u{fffd}[31m'".to_owned()));
    }
}
