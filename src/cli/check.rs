//! `check`.

use clap::builder::{PossibleValuesParser, TypedValueParser as _};
use clap::{Args, ValueEnum};

use super::{Common, Output, Selection};

/// `check`.
#[derive(Debug, Args)]
#[command(mut_arg("output", |output| output.value_parser(
    PossibleValuesParser::new(["human", "short", "json", "yaml"]).map(|form| form_of(&form))
)))]
pub struct Check {
    /// What every command takes.
    #[command(flatten)]
    pub common: Common,
    /// Which accounts.
    #[command(flatten)]
    pub selection: Selection,
    /// List all checks with id, group and name
    #[arg(long, conflicts_with_all = ["accounts", "explain"])]
    pub list: bool,
    /// Explain this check: what it looks at, why, and what to do
    #[arg(long, value_name = "ID", conflicts_with = "accounts")]
    pub explain: Option<String>,
    /// Check what this command needs
    #[arg(long = "for", value_enum, default_value_t = Purpose::Rotate, value_name = "COMMAND")]
    pub purpose: Purpose,
    /// Run only these checks; may be repeated
    #[arg(long, value_name = "ID,GROUP", value_delimiter = ',')]
    pub only: Vec<String>,
    /// Skip these checks; may be repeated
    #[arg(long, value_name = "ID,GROUP", value_delimiter = ',')]
    pub skip: Vec<String>,
    /// Exit with 3 on warnings too
    #[arg(long)]
    pub fail_on_warnings: bool,
    /// Accept that no ExternalSecret maps the back-compat (the application reads Secret Manager itself)
    #[arg(long)]
    pub back_compat_unmapped: bool,
}

/// `--for`.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub enum Purpose {
    /// `secret rotate`
    Rotate,
    /// `secret sync`
    Sync,
    /// `secret verify`
    Verify,
    /// `secret restart`
    Restart,
    /// `secret rollback`
    Rollback,
    /// `secret finalize`
    Finalize,
}

fn form_of(given: &str) -> Output {
    match given {
        "short" => Output::Short,
        "json" => Output::Json,
        "yaml" => Output::Yaml,
        _ => Output::Human,
    }
}
