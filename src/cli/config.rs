//! `config list`.

use clap::builder::{PossibleValuesParser, TypedValueParser as _};
use clap::{Args, Subcommand};

use super::{Common, Output};

/// The commands on the configuration.
#[derive(Debug, Subcommand)]
pub enum Config {
    /// Print every effective setting and its source
    ///
    /// From flags, environment, kubeconfig, settings file, gcloud's configuration, the account's SecretStore, or the
    /// context's name. What cannot be found out within seconds is shown as unknown, with the reason. Tokens and passwords are
    /// never shown.
    #[command(
        after_help = "Example:\n  kubectl deepdesk config list acme\n  kubectl deepdesk config list acme --configuration work -o json"
    )]
    List(Box<List>),
}

/// `config list`.
#[derive(Debug, Args)]
#[command(
    mut_arg("accounts", |accounts| accounts.num_args(0..=1).help("Account [default: the namespace of the current context]")),
    mut_arg("output", |output| output.value_parser(
        PossibleValuesParser::new(["human", "json", "yaml", "name"]).map(|form| form_of(&form))
    ))
)]
pub struct List {
    /// What every command takes.
    #[command(flatten)]
    pub common: Common,
}

fn form_of(given: &str) -> Output {
    match given {
        "json" => Output::Json,
        "yaml" => Output::Yaml,
        "name" => Output::Name,
        _ => Output::Human,
    }
}
