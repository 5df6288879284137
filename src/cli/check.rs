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
    /// List the checks that there are, with id, group and name; asks nothing
    #[arg(long, conflicts_with_all = ["accounts", "explain"], help_heading = "Checks")]
    pub list: bool,
    /// Explain a check, by its id or name: what is looked at, why, and what to do; asks nothing
    #[arg(long, value_name = "ID", conflicts_with = "accounts", help_heading = "Checks")]
    pub explain: Option<String>,
    /// The command whose needs are checked
    #[arg(long = "for", value_enum, default_value_t = Purpose::Rotate, value_name = "COMMAND", help_heading = "Checks")]
    pub purpose: Purpose,
    /// Ask only these checks, by id or by group; may be repeated
    #[arg(long, value_name = "ID,GROUP", value_delimiter = ',', help_heading = "Checks")]
    pub only: Vec<String>,
    /// Leave these checks out, by id or by group; may be repeated
    #[arg(long, value_name = "ID,GROUP", value_delimiter = ',', help_heading = "Checks")]
    pub skip: Vec<String>,
    /// Exit 3 on warnings too
    #[arg(long, help_heading = "Checks")]
    pub fail_on_warnings: bool,
    /// Rotate although no ExternalSecret maps the back-compat: the application reads Secret Manager itself
    #[arg(long, help_heading = "Checks")]
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
