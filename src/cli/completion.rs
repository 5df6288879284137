//! `completion` and `man`: what packagers and shells ask for.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};

/// `completion`.
#[derive(Debug, Subcommand)]
pub enum Completion {
    /// Print the completion script for bash
    #[command(after_help = "Example:\n  source <(kubectl-deepdesk completion bash)")]
    Bash,
    /// Print the completion script for zsh
    #[command(after_help = "Example:\n  source <(kubectl-deepdesk completion zsh)")]
    Zsh,
    /// Print the completion script for fish
    #[command(after_help = "Example:\n  kubectl-deepdesk completion fish | source")]
    Fish,
    /// Print the completion script for PowerShell
    #[command(
        name = "powershell",
        after_help = "Example:\n  kubectl-deepdesk completion powershell | Out-String | Invoke-Expression"
    )]
    PowerShell,
    /// Install completion for kubectl deepdesk, and for kubectl-deepdesk in your shell
    ///
    /// kubectl asks a program named kubectl_complete-deepdesk, which krew cannot install: a link of that name is put
    /// on PATH. The shell's script goes into the directory where that shell looks by itself. No dotfile is touched
    /// without --edit-profile, and no file is replaced that this command did not write.
    #[command(
        after_help = "Example:\n  kubectl deepdesk completion install --dry-run\n  kubectl deepdesk completion install"
    )]
    Install(Install),
}

/// `completion install`.
#[derive(Debug, Args)]
pub struct Install {
    /// Install for this shell; may be repeated [default: the one in $SHELL]
    #[arg(long = "shell", value_enum, value_name = "SHELL")]
    pub shells: Vec<Shell>,
    /// Put the link into this directory [default: where kubectl-deepdesk is found on PATH, else the first of PATH that can be written]
    #[arg(long, value_name = "DIR")]
    pub bin_dir: Option<PathBuf>,
    /// Remove what this command installed
    #[arg(long)]
    pub uninstall: bool,
    /// Add the required line to the shell's start-up file (with --uninstall: remove it)
    #[arg(long)]
    pub edit_profile: bool,
    /// Show what would be done and change nothing
    #[arg(long)]
    pub dry_run: bool,
}

/// A shell that can complete.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd, ValueEnum)]
pub enum Shell {
    /// GNU Bash
    Bash,
    /// Z shell
    Zsh,
    /// fish shell
    Fish,
    /// Windows PowerShell and pwsh
    #[value(name = "powershell", alias = "pwsh")]
    PowerShell,
}

impl Shell {
    /// The shell that a program's name or path stands for.
    pub fn of(program: &str) -> Option<Shell> {
        let name = program.rsplit(['/', '\\']).next().unwrap_or_default();
        match name.strip_suffix(".exe").unwrap_or(name) {
            "bash" => Some(Shell::Bash),
            "zsh" => Some(Shell::Zsh),
            "fish" => Some(Shell::Fish),
            "pwsh" | "powershell" | "powershell_ise" => Some(Shell::PowerShell),
            _ => None,
        }
    }

    /// Its name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Shell::Bash => "bash",
            Shell::Zsh => "zsh",
            Shell::Fish => "fish",
            Shell::PowerShell => "powershell",
        }
    }
}

/// `man`.
#[derive(Debug, Args)]
pub struct Man {
    /// Write the pages to this directory; it is created if missing
    #[arg(long, value_name = "DIR")]
    pub out: PathBuf,
}
