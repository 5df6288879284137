//! `--report FILE`: looks whether FILE can be written before anything is changed, keeps what the run did, and writes the
//! page and the JSON beside it, each whole or not at all.

use std::io::{ErrorKind, Read as _, Write as _};
use std::path::{Path, PathBuf};

use jiff::Timestamp;

use super::operator;
use crate::cli::{self, Secret};
use crate::clients::known;
use crate::environment::Environment;
use crate::present::report::{self, AccountReport, JSON_MARK, MARK, Report};
use crate::setting::without_password;
use deepdesk_protocol::facts::names::AccountName;
use deepdesk_protocol::problem::{Problem, Reason};
use deepdesk_protocol::result::AccountResult;

/// What is kept of a run, whether somebody asked for a report or not.
pub struct Record {
    started: Timestamp,
    /// Who runs this.
    pub operator: String,
    /// As whom at Google; empty until that is known.
    pub credentials: String,
    /// The kubeconfig's context; empty until that is known.
    pub context: String,
    /// The accounts that were worked on.
    pub accounts: Vec<AccountReport>,
    pub not_begun: Vec<String>,
}

impl Record {
    /// A record that begins now.
    pub fn begin(environment: &Environment) -> Record {
        Record {
            started: Timestamp::now(),
            operator: operator::name(environment),
            credentials: String::new(),
            context: String::new(),
            accounts: Vec::new(),
            not_begun: Vec::new(),
        }
    }

    /// The accounts that no turn came to.
    pub fn leave_out(&mut self, accounts: impl Iterator<Item = AccountName>) {
        self.not_begun.extend(accounts.map(String::from));
    }

    /// The results so far.
    pub fn results(&self) -> Vec<AccountResult> {
        self.accounts.iter().map(|account| account.result.clone()).collect()
    }

    /// The report of a run that ends now.
    pub fn end(self, command: &Secret, problem: Option<Problem>, exit_code: u8) -> Report {
        // The problem that ended the run is told where the account is.
        let told = self.accounts.last().and_then(|account| account.problem.as_ref());
        let problem = problem.filter(|problem| told != Some(problem));
        Report {
            program: format!("kubectl-deepdesk {}", env!("CARGO_PKG_VERSION")),
            command: format!("secret {}", name(command)),
            arguments: told_words(std::env::args_os().skip(1).map(|word| word.to_string_lossy().into_owned())),
            operator: self.operator,
            credentials: self.credentials,
            started: self.started,
            ended: Timestamp::now(),
            exit_code,
            problem,
            accounts: self.accounts,
            not_begun: self.not_begun,
        }
    }
}

/// The words of the call, without what must not be read: a token, and a password in an address.
fn told_words(words: impl Iterator<Item = String>) -> Vec<String> {
    let mut before = String::new();
    let told = words.map(|word| {
        let flag = std::mem::replace(&mut before, word.clone());
        match (flag.as_str(), word.split_once('=')) {
            ("--token", _) => "(not shown)".to_owned(),
            (_, Some(("--token", _))) => "--token=(not shown)".to_owned(),
            ("--server" | "-s", _) => without_password(&word),
            (_, Some((name @ ("--server" | "-s"), url))) => format!("{name}={}", without_password(url)),
            _ => word,
        }
    });
    told.collect()
}

fn name(command: &Secret) -> &'static str {
    match command {
        Secret::Rotate(_) => "rotate",
        Secret::Sync(_) => "sync",
        Secret::Verify(_) => "verify",
        Secret::Restart(_) => "restart",
        Secret::Rollback(_) => "rollback",
        Secret::Rescue(_) => "rescue",
        Secret::Finalize(_) => "finalize",
        Secret::Status(_) => "status",
    }
}

/// Where the report is to go, if one is asked for.
pub fn asked(command: &Secret) -> Option<&Path> {
    match command {
        Secret::Rotate(cli::Rotate { report, .. })
        | Secret::Sync(cli::Sync { report, .. })
        | Secret::Verify(cli::Verify { report, .. })
        | Secret::Restart(cli::Restart { report, .. })
        | Secret::Rollback(cli::Rollback { report, .. })
        | Secret::Rescue(cli::Rescue { report, .. })
        | Secret::Finalize(cli::Finalize { report, .. }) => report.report.as_deref(),
        Secret::Status(_) => None,
    }
}

/// The two files of a report.
#[derive(Debug)]
pub struct Files {
    page: PathBuf,
    json: PathBuf,
}

impl Files {
    /// The files, looked at: both can be written, and what is there is a report of before.
    pub fn checked(page: &Path) -> Result<Files, Problem> {
        let files = Files { page: page.to_owned(), json: page.with_extension("json") };
        if page.file_name().is_none() || files.page == files.json {
            let why = "names the HTML page, such as report.html; the JSON is written beside it";
            return Err(wrong(page, why));
        }
        files.replaceable()?;
        // No question about rights answers this as surely as a file.
        match temporary(files.directory()) {
            Ok(_) => Ok(files),
            // Some file systems say so as well where nothing can be made.
            Err(error) if error.kind() == ErrorKind::NotFound && !files.directory().is_dir() => {
                Err(wrong(page, &format!("the directory {} does not exist", files.directory().display())))
            }
            Err(error) => Err(failed(page, &error)),
        }
    }

    /// Writes both.
    pub fn write(&self, report: &Report) -> Result<(), Problem> {
        // It may have become something else while the command ran.
        self.replaceable()?;
        let known = known::values();
        put(&self.json, self.directory(), &report::json(report, known)).map_err(|error| failed(&self.json, &error))?;
        put(&self.page, self.directory(), &report::page(report, known)).map_err(|error| failed(&self.page, &error))?;
        #[cfg(unix)]
        // The new names. What cannot be made sure of here is as safe as with any other program.
        let _ = std::fs::File::open(self.directory()).and_then(|directory| directory.sync_all());
        Ok(())
    }

    /// For whoever looks for it.
    pub fn told(&self) -> String {
        format!("the report is in {}, and as JSON in {}", self.page.display(), self.json.display())
    }

    fn replaceable(&self) -> Result<(), Problem> {
        for (path, mark) in [(&self.page, MARK), (&self.json, JSON_MARK)] {
            let kind = match std::fs::symlink_metadata(path) {
                Ok(metadata) => metadata.file_type(),
                Err(error) if error.kind() == ErrorKind::NotFound => continue,
                Err(error) => return Err(failed(path, &error)),
            };
            if kind.is_dir() {
                return Err(wrong(path, "is a directory"));
            }
            if !kind.is_file() {
                return Err(wrong(path, "exists and is not a regular file"));
            }
            let mut start = Vec::new();
            let file = std::fs::File::open(path).map_err(|error| failed(path, &error))?;
            file.take(1024).read_to_end(&mut start).map_err(|error| failed(path, &error))?;
            // An empty one is what `mktemp` leaves: nothing is lost with it.
            if !start.is_empty() && !String::from_utf8_lossy(&start).contains(mark) {
                return Err(wrong(path, "exists and is not an earlier report: it is not replaced"));
            }
        }
        Ok(())
    }

    fn directory(&self) -> &Path {
        self.page.parent().filter(|directory| !directory.as_os_str().is_empty()).unwrap_or(Path::new("."))
    }
}

fn temporary(directory: &Path) -> std::io::Result<tempfile::NamedTempFile> {
    let mut builder = tempfile::Builder::new();
    builder.prefix(".deepdesk-report-");
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666)); // what the umask leaves of it
    builder.tempfile_in(directory)
}

fn put(path: &Path, directory: &Path, text: &str) -> std::io::Result<()> {
    let mut file = temporary(directory)?;
    file.write_all(text.as_bytes())?;
    file.as_file().sync_all()?;
    file.persist(path)?;
    Ok(())
}

fn wrong(path: &Path, why: &str) -> Problem {
    Problem::new(Reason::Usage, format!("--report {}: {why}", path.display()))
}

fn failed(path: &Path, error: &std::io::Error) -> Problem {
    Problem::new(Reason::ReportNotWritable, format!("--report {}: it cannot be written: {error}", path.display()))
}
