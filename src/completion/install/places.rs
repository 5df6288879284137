//! Where completion goes: the directory for kubectl's link, and the directories where shells look by themselves.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use super::Thing;
use crate::cli::{Install, Shell};
use crate::completion::HELPER;
use crate::environment::Environment;
use deepdesk_protocol::command;
use deepdesk_protocol::hint::Hint;
use deepdesk_protocol::problem::{Problem, Reason};

/// A shell's places.
#[derive(Debug, Default, Eq, PartialEq)]
pub(super) struct Place {
    /// Where its script goes; none when it has no directory for scripts.
    pub(super) script: Option<PathBuf>,
    /// Its start-up files, where a line in them helps.
    pub(super) profiles: Vec<PathBuf>,
    /// The line, when it is another one than usual.
    pub(super) needs_line: Option<String>,
    /// What is left for the user to do.
    pub(super) told: Option<String>,
}

/// The line that makes a shell ask at its start.
pub(super) fn line(shell: Shell) -> String {
    match shell {
        Shell::Bash => "source <(kubectl-deepdesk completion bash)".to_owned(),
        Shell::Zsh => "source <(kubectl-deepdesk completion zsh)".to_owned(),
        Shell::Fish => "kubectl-deepdesk completion fish | source".to_owned(),
        Shell::PowerShell => "kubectl-deepdesk completion powershell | Out-String | Invoke-Expression".to_owned(),
    }
}

fn below_home(environment: &Environment, variable: &str, usual: &[&str]) -> Option<PathBuf> {
    let set = environment.get(variable).map(PathBuf::from).filter(|path| path.is_absolute());
    set.or_else(|| environment.home().map(|home| usual.iter().fold(home, |path, part| path.join(part))))
}

/// Where this shell's completion goes. Only who edits start-up files has to know where PowerShell has its own.
pub(super) fn of(shell: Shell, environment: &Environment, edits: bool) -> Place {
    let home = |name: &str| environment.home().map(|home| home.join(name));
    match shell {
        Shell::Bash => {
            let data = below_home(environment, "XDG_DATA_HOME", &[".local", "share"]);
            let usual = data.map(|data| data.join("bash-completion"));
            let user = environment.get("BASH_COMPLETION_USER_DIR").map(PathBuf::from).or(usual);
            let told = (!has_bash_completion()).then(|| {
                format!("bash: the package bash-completion is not found; without it, add to ~/.bashrc: {}", line(shell))
            });
            let script = user.map(|user| user.join("completions").join("kubectl-deepdesk"));
            Place { script, profiles: home(".bashrc").into_iter().collect(), needs_line: None, told }
        }
        Shell::Zsh => zsh(environment),
        Shell::Fish => {
            let config = below_home(environment, "XDG_CONFIG_HOME", &[".config"]);
            let script = config.map(|config| config.join("fish").join("completions").join("kubectl-deepdesk.fish"));
            Place { script, ..Place::default() }
        }
        Shell::PowerShell => {
            let told = Some(format!("PowerShell: add to $PROFILE: {}", line(shell)));
            let profiles = match (environment.is_windows(), edits) {
                (true, true) => on_windows(environment, powershell),
                (true, false) => Vec::new(),
                (false, _) => {
                    let config = below_home(environment, "XDG_CONFIG_HOME", &[".config"]);
                    config.map(|path| path.join("powershell").join(PROFILE)).into_iter().collect()
                }
            };
            Place { script: None, profiles, needs_line: None, told }
        }
    }
}

const PROFILE: &str = "Microsoft.PowerShell_profile.ps1";

/// The start-up files of the two PowerShells: Windows' own, and the newer one. Documents may be anywhere (OneDrive takes it away), so
/// each is asked; where neither answers, the files are where they are unless somebody moved them.
fn on_windows(environment: &Environment, ask: impl Fn(&str) -> Option<PathBuf>) -> Vec<PathBuf> {
    let found: Vec<PathBuf> = ["pwsh", "powershell"].into_iter().filter_map(ask).collect();
    if !found.is_empty() {
        return found;
    }
    let profile = environment.get("USERPROFILE").map(PathBuf::from).or_else(|| environment.home());
    let usual =
        |home: PathBuf| ["PowerShell", "WindowsPowerShell"].map(|name| home.join("Documents").join(name).join(PROFILE));
    profile.map(usual).into_iter().flatten().collect()
}

/// Where this PowerShell says that its start-up file is. It does not run that file, which may ask questions.
fn powershell(program: &str) -> Option<PathBuf> {
    let question = "[Console]::OutputEncoding = [Text.Encoding]::UTF8; $PROFILE.CurrentUserCurrentHost";
    let mut command = std::process::Command::new(program);
    command.args(["-NoLogo", "-NoProfile", "-NonInteractive", "-Command", question]);
    let said = command.stdin(Stdio::null()).stderr(Stdio::null()).output().ok()?;
    let path = PathBuf::from(String::from_utf8(said.stdout).ok()?.trim_start_matches('\u{feff}').trim());
    path.is_absolute().then_some(path)
}

fn has_bash_completion() -> bool {
    let roots = ["/usr/share", "/usr/local/share", "/opt/homebrew/share", "/opt/homebrew/etc/profile.d", "/etc"];
    let files = ["bash-completion/bash_completion", "bash_completion.sh", "bash_completion"];
    roots.iter().any(|root| files.iter().any(|file| Path::new(root).join(file).is_file()))
}

/// A directory that zsh looks into by itself, where there is one; else one of the user's own, and the line that makes
/// zsh look there.
fn zsh(environment: &Environment) -> Place {
    let profile = below_home(environment, "ZDOTDIR", &[]).map(|directory| directory.join(".zshrc"));
    let profiles: Vec<PathBuf> = profile.into_iter().collect();
    let own = below_home(environment, "XDG_DATA_HOME", &[".local", "share"]);
    let own = own.map(|data| data.join("zsh").join("site-functions"));
    let home = environment.home();
    let is_own = |path: &PathBuf| home.as_ref().is_some_and(|home| path.starts_with(home));
    // As root such a directory is everybody's.
    let is_site = |path: &PathBuf| path.ends_with("site-functions") && !is_root();
    let searched: Vec<PathBuf> = fpath(environment).into_iter().filter(|path| can_write(path)).collect();
    let found = searched.iter().find(|path| is_own(path)).or_else(|| searched.iter().find(|path| is_site(path)));
    let script = |directory: &PathBuf| directory.join("_kubectl-deepdesk");
    match (found, own) {
        (Some(directory), _) => Place { script: Some(script(directory)), profiles, ..Place::default() },
        (None, Some(own)) => {
            let path = format!("fpath=({} $fpath)", own.display());
            let told = Some(format!("zsh: add to ~/.zshrc, before compinit: {path}"));
            // At the end of the file, after compinit, the other line is the one that works.
            Place { script: Some(script(&own)), profiles, needs_line: None, told }
        }
        (None, None) => Place::default(),
    }
}

/// Where zsh looks for functions before the user's own start-up file has its say. Asking an interactive one would run
/// that file, and it may ask questions.
fn fpath(environment: &Environment) -> Vec<PathBuf> {
    let mut command = std::process::Command::new("zsh");
    command.args(["-c", "print -rl -- $fpath"]).stdin(Stdio::null()).stderr(Stdio::null());
    command.envs(environment.home().map(|home| ("HOME", home)));
    let Ok(said) = command.output() else { return Vec::new() };
    String::from_utf8_lossy(&said.stdout).lines().map(PathBuf::from).filter(|path| path.is_absolute()).collect()
}

fn is_root() -> bool {
    #[cfg(unix)]
    return rustix::process::geteuid().is_root();
    #[cfg(windows)]
    false
}

/// Whether the directory is the system's own, which an administrator can write to and nobody should.
fn is_systems(directory: &Path, environment: &Environment) -> bool {
    let lower = |path: &Path| PathBuf::from(path.to_string_lossy().to_lowercase().replace('/', "\\"));
    let root = environment.get("SystemRoot").filter(|_| environment.is_windows());
    root.is_some_and(|root| {
        let (directory, root) = (lower(directory), lower(Path::new(root)));
        let rest =
            directory.to_string_lossy().strip_prefix(root.to_string_lossy().trim_end_matches('\\')).map(str::to_owned);
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('\\'))
    })
}

/// Whether files can be made in the directory.
fn can_write(directory: &Path) -> bool {
    #[cfg(unix)]
    return directory.is_dir() && rustix::fs::access(directory, rustix::fs::Access::WRITE_OK).is_ok();
    // Rights are lists there, and a folder's read-only attribute says nothing of them.
    #[cfg(windows)]
    {
        directory.is_dir() && tempfile::tempfile_in(directory).is_ok()
    }
}

fn on_path(environment: &Environment) -> Vec<PathBuf> {
    environment.get("PATH").map(|list| std::env::split_paths(list).collect()).unwrap_or_default()
}

fn executable(name: &str) -> String {
    format!("{name}{}", std::env::consts::EXE_SUFFIX)
}

/// The link to make: beside the program as PATH finds it, since an update puts the new one there too.
pub(super) fn link(args: &Install, environment: &Environment) -> Result<Thing, Problem> {
    let directories = on_path(environment);
    let program = executable("kubectl-deepdesk");
    let found = directories.iter().map(|directory| directory.join(&program)).find(|path| path.is_file());
    let beside = found.as_ref().and_then(|path| path.parent()).map(Path::to_owned);
    let home = environment.home();
    let is_own = |path: &&PathBuf| home.as_ref().is_some_and(|home| path.starts_with(home));
    let usable = |path: &&PathBuf| path.is_absolute() && !is_systems(path, environment) && can_write(path);
    let directory = (args.bin_dir.clone())
        .or_else(|| beside.filter(|directory| can_write(directory)))
        .or_else(|| directories.iter().filter(is_own).find(usable).cloned())
        .or_else(|| directories.iter().find(usable).cloned());
    let Some(directory) = directory else {
        return Err(Problem::new(Reason::NoDirectory, "no directory on PATH can be written to").hint(Hint::to(
            "name one that is on PATH",
            command!["kubectl", "deepdesk", "completion", "install", "--bin-dir", "DIR"],
        )));
    };
    let this = || std::env::current_exe().map_err(|error| Problem::new(Reason::Failed, error.to_string()));
    let program = match found {
        Some(path) => path,
        None => this()?,
    };
    let to = match program.parent() == Some(&directory) {
        true => program.file_name().map(PathBuf::from).unwrap_or(program),
        false => program,
    };
    Ok(Thing::Link { at: directory.join(executable(HELPER)), to })
}

/// Where links may be, to be taken away: the directory given, else all of PATH.
pub(super) fn links(args: &Install, environment: &Environment) -> Vec<PathBuf> {
    let directories = args.bin_dir.clone().map_or_else(|| on_path(environment), |directory| vec![directory]);
    let mut links: Vec<PathBuf> = directories.iter().map(|directory| directory.join(executable(HELPER))).collect();
    links.dedup();
    links
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_systems_own_directory_is_known_by_its_root_in_whatever_letters() {
        let windows = Environment::of_windows(&[("SystemRoot", "C:\\Windows")]);
        for (path, expected) in [
            ("C:\\windows\\system32", true),
            ("c:/WINDOWS/System32/WindowsPowerShell/v1.0", true),
            ("C:\\Windows", true),
            ("C:\\WindowsApps", false),
            ("C:\\Users\\me\\.krew\\bin", false),
        ] {
            assert_eq!(is_systems(Path::new(path), &windows), expected, "{path}");
        }
        assert!(!is_systems(Path::new("C:\\windows"), &Environment::of_windows(&[])));
    }

    #[test]
    fn each_powershell_that_answers_says_where_its_start_up_file_is() {
        let windows = Environment::of_windows(&[("UserProfile", "/u/me"), ("HOME", "/git/home")]);
        let moved =
            on_windows(&windows, |program| (program == "powershell").then(|| PathBuf::from("/OneDrive/profile.ps1")));
        assert_eq!(moved, [PathBuf::from("/OneDrive/profile.ps1")]);
        let usual = on_windows(&windows, |_| None);
        let both =
            ["PowerShell", "WindowsPowerShell"].map(|name| Path::new("/u/me/Documents").join(name).join(PROFILE));
        assert_eq!(usual, both);
    }
}
