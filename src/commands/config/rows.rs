//! The rows of `config list`.

use crate::setting::{Config, Setting, Source};
use deepdesk_protocol::facts::names::printable;
use deepdesk_protocol::problem::{Exit, Problem};
use deepdesk_protocol::result::{API_VERSION, ProblemResult};

/// The rows so far.
#[derive(Default)]
pub struct Rows(Vec<Setting>);

impl Rows {
    /// A setting with its value.
    pub fn put(&mut self, name: &'static str, value: String, source: &Source) {
        let (from, told) = (printable(&source.which()), printable(&source.to_string()));
        self.0.push(Setting { name, value: printable(&value), source: source.kind(), from, told });
    }

    /// A setting that need not be set; then its source is the program.
    pub fn maybe(&mut self, name: &'static str, value: Option<String>, source: &Source) {
        match value {
            Some(value) => self.put(name, value, source),
            None => self.put(name, String::new(), &Source::Default),
        }
    }

    /// A setting that cannot be found out.
    pub fn unknown(&mut self, name: &'static str, why: &str) {
        let why = printable(why);
        self.0.push(Setting {
            name,
            value: String::new(),
            source: "unknown",
            told: format!("unknown: {why}"),
            from: why,
        });
    }

    /// The result, and with what the command ends.
    pub fn config(self, problem: Option<&Problem>) -> Config {
        Config {
            api_version: API_VERSION,
            kind: "Config",
            exit_code: problem.map_or(Exit::Done, |problem| problem.exit).code(),
            reason: problem.map(|problem| problem.reason.to_string()).unwrap_or_default(),
            problem: problem.map(ProblemResult::from),
            settings: self.0,
        }
    }
}

/// The rows as cells.
pub fn list_of(config: &Config) -> Vec<Vec<String>> {
    let cells = |setting: &Setting| vec![setting.name.to_owned(), setting.value.clone(), setting.told.clone()];
    config.settings.iter().map(cells).collect()
}
