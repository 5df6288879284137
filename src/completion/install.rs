//! Puts completion in place and takes it away: the link that kubectl looks for, and each shell's script.
//!
//! What it did not write it does not touch, and dotfiles only when told to. All of it is looked at before anything is
//! changed.

mod places;

use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use self::places::Place;
use super::shells::MARK;
use crate::cli::{Install, Shell};
use crate::environment::Environment;
use deepdesk_protocol::command;
use deepdesk_protocol::problem::{Exit, Problem, Reason};

/// What the line in a start-up file ends with, so that it can be found again.
const LINE_MARK: &str = " # kubectl-deepdesk completion";

/// One thing to have, or not to have any more.
#[derive(Debug, Eq, PartialEq)]
enum Thing {
    /// The helper beside this program; on Windows a copy.
    Link { at: PathBuf, to: PathBuf },
    /// A shell's script.
    Script { at: PathBuf, text: String },
    /// A line in a start-up file.
    Line { at: PathBuf, line: String },
}

/// Does what the flags say; returns what to tell.
pub fn run(args: &Install, environment: &Environment) -> Result<Vec<String>, Problem> {
    let shells = shells(args, environment)?;
    let mut said = Vec::new();
    let mut things = match args.uninstall {
        true => places::links(args, environment).into_iter().map(|at| Thing::Link { at, to: PathBuf::new() }).collect(),
        false => vec![places::link(args, environment)?],
    };
    for shell in shells {
        let Place { script, profiles, needs_line, told } = places::of(shell, environment, args.edit_profile);
        let text = super::script(shell);
        things.extend(script.map(|at| Thing::Script { at, text }));
        let line = needs_line.unwrap_or_else(|| places::line(shell));
        match args.edit_profile && !profiles.is_empty() {
            true => things.extend(profiles.into_iter().map(|at| Thing::Line { at, line: line.clone() })),
            false if !args.uninstall => said.extend(told),
            false => {}
        }
    }
    things.iter().try_for_each(|thing| refuse_foreign(thing, args.uninstall))?;
    let mut done = Vec::new();
    for thing in &things {
        let one = match args.uninstall {
            true => take_away(thing, args.dry_run),
            false => put(thing, args.dry_run).map(Some),
        };
        match one {
            Ok(line) => done.extend(line),
            Err(problem) => return Err(after(&done, problem)),
        }
    }
    if done.is_empty() {
        done.push("nothing to remove".to_owned());
    }
    done.extend(said);
    if !args.uninstall && cfg!(windows) {
        done.push("kubectl uses a copy of this version: run this again after an upgrade".to_owned());
    }
    if !args.uninstall {
        done.push("kubectl deepdesk <TAB> needs kubectl's own completion too: kubectl completion --help".to_owned());
    }
    Ok(done)
}

/// The problem, with what was done before it.
fn after(done: &[String], problem: Problem) -> Problem {
    match done {
        [] => problem,
        done => done.iter().fold(Problem { exit: Exit::Incomplete, ..problem }, |problem, line| problem.now(line)),
    }
}

/// The shells that are meant: those named, else the user's own; for taking away, all.
fn shells(args: &Install, environment: &Environment) -> Result<Vec<Shell>, Problem> {
    if !args.shells.is_empty() {
        let mut shells = args.shells.clone();
        shells.sort();
        shells.dedup();
        return Ok(shells);
    }
    if args.uninstall {
        return Ok(vec![Shell::Bash, Shell::Zsh, Shell::Fish, Shell::PowerShell]);
    }
    let own = environment.get("SHELL").and_then(Shell::of);
    let own = own.or(if cfg!(windows) { Some(Shell::PowerShell) } else { None });
    own.map(|shell| vec![shell]).ok_or_else(|| {
        Problem::new(Reason::Usage, "your shell is not known: $SHELL names none that completion supports")
            .hint(command!["kubectl", "deepdesk", "completion", "install", "--shell", "bash"])
    })
}

/// Refuses what somebody else has put where ours would be.
fn refuse_foreign(thing: &Thing, uninstall: bool) -> Result<(), Problem> {
    let (Thing::Link { at, .. } | Thing::Script { at, .. }) = thing else { return Ok(()) };
    if uninstall || fs::symlink_metadata(at).is_err() || is_ours(at) {
        return Ok(());
    }
    let line = format!("{} exists, and this program did not write it", at.display());
    Err(Problem::new(Reason::NotOurs, line).hint("move it away, or name another place with --bin-dir"))
}

/// Whether this program has written the file: a link to it, a script with the mark, or a copy of it.
fn is_ours(at: &Path) -> bool {
    if let Ok(to) = fs::read_link(at) {
        return to.file_stem().is_some_and(|name| name == "kubectl-deepdesk");
    }
    fs::read(at).is_ok_and(|bytes| bytes.windows(MARK.len()).any(|window| window == MARK.as_bytes()))
}

fn put(thing: &Thing, dry_run: bool) -> Result<String, Problem> {
    match thing {
        Thing::Link { at, to } => {
            let shown = format!("{} -> {}", at.display(), to.display());
            let is_copy = cfg!(windows) && same(at, &beside(at).join(to));
            if is_copy || fs::read_link(at).is_ok_and(|there| there == *to) {
                return Ok(format!("unchanged: {shown}"));
            }
            let (does, did) = if cfg!(windows) { ("copy", "copied") } else { ("link", "linked") };
            let shown = if cfg!(windows) { format!("{} to {}", to.display(), at.display()) } else { shown };
            if dry_run {
                return Ok(format!("would {does} {shown}"));
            }
            link(at, to).map_err(|error| failed(at, &error))?;
            Ok(format!("{did} {shown}"))
        }
        Thing::Script { at, text } => {
            if fs::read_to_string(at).is_ok_and(|there| there == *text) {
                return Ok(format!("unchanged: {}", at.display()));
            }
            if dry_run {
                return Ok(format!("would write {}", at.display()));
            }
            write(at, text).map_err(|error| failed(at, &error))?;
            Ok(format!("wrote {}", at.display()))
        }
        Thing::Line { at, line } => {
            let there = read_or_empty(at)?;
            if there.lines().any(|one| one.ends_with(LINE_MARK)) {
                return Ok(format!("unchanged: {}", at.display()));
            }
            if dry_run {
                return Ok(format!("would add to {}: {line}", at.display()));
            }
            let ends = if there.is_empty() || there.ends_with('\n') { "" } else { "\n" };
            write(at, &format!("{there}{ends}{line}{LINE_MARK}\n")).map_err(|error| failed(at, &error))?;
            Ok(format!("added to {}: {line}", at.display()))
        }
    }
}

fn take_away(thing: &Thing, dry_run: bool) -> Result<Option<String>, Problem> {
    match thing {
        Thing::Link { at, .. } | Thing::Script { at, .. } => {
            if fs::symlink_metadata(at).is_err() {
                return Ok(None);
            }
            if !is_ours(at) {
                return Ok(Some(format!("left {}: this program did not write it", at.display())));
            }
            if dry_run {
                return Ok(Some(format!("would remove {}", at.display())));
            }
            fs::remove_file(at).map_err(|error| failed(at, &error))?;
            Ok(Some(format!("removed {}", at.display())))
        }
        Thing::Line { at, .. } => {
            let there = read_or_empty(at)?;
            if !there.lines().any(|one| one.ends_with(LINE_MARK)) {
                return Ok(None);
            }
            if dry_run {
                return Ok(Some(format!("would remove the line from {}", at.display())));
            }
            let kept: String =
                there.split_inclusive('\n').filter(|line| !line.trim_end().ends_with(LINE_MARK)).collect();
            write(at, &kept).map_err(|error| failed(at, &error))?;
            Ok(Some(format!("removed the line from {}", at.display())))
        }
    }
}

fn failed(at: &Path, error: &io::Error) -> Problem {
    Problem::new(Reason::Write, format!("{}: {error}", at.display()))
}

fn read_or_empty(at: &Path) -> Result<String, Problem> {
    match fs::read_to_string(at) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(failed(at, &error)),
        read => Ok(read.unwrap_or_default()),
    }
}

fn beside(at: &Path) -> &Path {
    at.parent().unwrap_or(Path::new("."))
}

/// Whether two files hold the same bytes.
fn same(one: &Path, other: &Path) -> bool {
    let size = |file: &Path| fs::metadata(file).map(|metadata| metadata.len()).ok();
    size(one).is_some() && size(one) == size(other) && fs::read(one).ok() == fs::read(other).ok()
}

/// A link; on Windows, where that takes a privilege, a copy. A hard link could not be taken away again while the program runs.
fn link(at: &Path, to: &Path) -> io::Result<()> {
    let directory = beside(at);
    fs::create_dir_all(directory)?;
    if fs::symlink_metadata(at).is_ok() {
        fs::remove_file(at)?;
    }
    #[cfg(unix)]
    return std::os::unix::fs::symlink(to, at);
    #[cfg(windows)]
    fs::copy(directory.join(to), at).map(|_| ())
}

/// Writes all of a file or nothing, with the permissions that it has; where it is a link, what the link leads to.
fn write(at: &Path, text: &str) -> io::Result<()> {
    let at = fs::canonicalize(at).unwrap_or_else(|_| at.to_owned());
    let directory = beside(&at);
    fs::create_dir_all(directory)?;
    let mut file = tempfile::Builder::new().prefix(".kubectl-deepdesk-").tempfile_in(directory)?;
    file.write_all(text.as_bytes())?;
    let permissions = fs::metadata(&at).map(|metadata| metadata.permissions());
    #[cfg(unix)]
    let permissions = permissions
        .or_else(|_| Ok::<_, io::Error>(<fs::Permissions as std::os::unix::fs::PermissionsExt>::from_mode(0o644)));
    if let Ok(permissions) = permissions {
        file.as_file().set_permissions(permissions)?;
    }
    // A start-up file of the user's may be among them: not even a power cut may leave half of it.
    file.as_file().sync_all()?;
    file.persist(&at).map_err(|error| error.error)?;
    Ok(())
}
