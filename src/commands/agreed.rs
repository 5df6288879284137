//! What was agreed to with the command itself: `--yes`, and the name where a yes alone is too little.

use super::{confirm, session};
use crate::cli::{self, DryRun, Secret, Yes};
use crate::clients::kubeconfig;
use crate::environment::Environment;
use crate::request;
use crate::settings::Settings;
use deepdesk_protocol::facts::names::AccountName;
use deepdesk_protocol::problem::{Problem, Reason};

/// Why a name has to be said, and not a yes alone.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Grave {
    /// The settings protect the context.
    Protected,
    /// `--destroy`.
    Destroys,
    /// `--retired`.
    Retires,
    /// `--abandon-older`.
    Abandons,
}

impl Grave {
    /// For the question, and for the refusal.
    pub fn as_str(self) -> &'static str {
        match self {
            Grave::Protected => "this context is protected",
            Grave::Destroys => "--destroy destroys versions permanently",
            Grave::Retires => "--retired gives up a value that something may need",
            Grave::Abandons => "--abandon-older gives up every older version",
        }
    }
}

/// What makes a command grave by itself.
pub fn grave(command: &Secret) -> Option<Grave> {
    match command {
        Secret::Rotate(args) if args.abandon_older => Some(Grave::Abandons),
        Secret::Rotate(args) => (!args.retired.is_empty()).then_some(Grave::Retires),
        Secret::Finalize(args) if args.destroy => Some(Grave::Destroys),
        Secret::Finalize(args) => (!args.retired.is_empty()).then_some(Grave::Retires),
        Secret::Sync(args) => (!args.retired.is_empty()).then_some(Grave::Retires),
        Secret::Restart(_) | Secret::Rollback(_) | Secret::Rescue(_) | Secret::Verify(_) | Secret::Status(_) => None,
    }
}

/// The answer that came with a command that changes something.
pub fn given(command: &Secret) -> Yes {
    let (yes, change) = match command {
        Secret::Rotate(args) => (&args.yes, &args.change),
        Secret::Rollback(args) => (&args.yes, &args.change),
        Secret::Finalize(args) => (&args.yes, &args.change),
        Secret::Rescue(args) => (&args.yes, &args.change),
        Secret::Sync(args) => (&args.yes, &args.change),
        Secret::Restart(args) => (&args.yes, &args.change),
        Secret::Verify(_) | Secret::Status(_) => return Yes::No,
    };
    // Nothing is asked where nothing is done.
    if change.dry_run == DryRun::None { yes.given() } else { Yes::No }
}

/// Where and on what a command works, as far as its answer goes.
#[derive(Clone, Debug)]
pub struct Place {
    /// The context's name; empty when flags alone lead to the cluster.
    pub context: String,
    /// Whether the settings protect it.
    pub protected: bool,
    /// Whether the command names several accounts: then it is the context that is named.
    pub several: bool,
    /// Whether the settings let a yes alone do where nobody types.
    pub unattended: bool,
}

/// Whether the question is answered. Fails where what was said is too little, or names something else.
pub fn answered(yes: &Yes, grave: Option<Grave>, account: &AccountName, place: &Place) -> Result<bool, Problem> {
    let grave = grave.or(place.protected.then_some(Grave::Protected));
    let (what, name) = match place.several {
        true => ("context", place.context.as_str()),
        false => ("account", account.as_str()),
    };
    match (yes, grave) {
        (Yes::No, _) => Ok(false),
        (Yes::Plain, None) => Ok(true),
        (Yes::Plain, Some(_)) if place.unattended && !confirm::can_ask() => Ok(true),
        (Yes::Plain, Some(grave)) => {
            let line = format!("--yes alone is not enough: {}", grave.as_str());
            Err(Problem::new(Reason::NotConfirmed, line)
                .hint(format!("pass the {what}'s name to confirm: --yes={name}")))
        }
        (Yes::Named(given), _) if given == name && !name.is_empty() => Ok(true),
        (Yes::Named(given), _) => {
            let line = format!("--yes={given} does not name the {what}, which is {name}");
            Err(Problem::new(Reason::NotConfirmed, line).hint("check which one you mean"))
        }
    }
}

/// Looks at the answer before anything is read: what is too little then is too little after minutes of looking, too. The files alone
/// tell the context; what is wrong with them is said where they are used.
pub fn check(
    command: &Secret,
    common: &cli::Common,
    settings: &Settings,
    environment: &Environment,
) -> Result<(), Problem> {
    let yes = given(command);
    if yes == Yes::No {
        return Ok(());
    }
    let named = request::named_accounts(common)?;
    let contexts = kubeconfig::contexts(&session::kube_flags(&common.cluster), environment).unwrap_or_default();
    let current = contexts.into_iter().find(|context| context.current);
    let place = Place {
        protected: current.as_ref().is_some_and(|context| settings.protects(&context.name)),
        context: current.as_ref().map(|context| context.name.clone()).unwrap_or_default(),
        several: common.accounts.len() > 1,
        unattended: settings.allow_unattended,
    };
    let of_context = || current.as_ref().and_then(|context| context.namespace.as_deref()?.parse().ok());
    let Some(account) = named.first().cloned().or_else(of_context) else { return Ok(()) };
    // One that is picked is asked about once it is known.
    if request::is_no_account(&account) {
        return Ok(());
    }
    answered(&yes, grave(command), &account, &place).map(|_| ())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_yes_alone_will_not_do_where_something_is_given_up() {
        let named = |name: &str| Yes::Named(name.to_owned());
        let rows = [
            (Yes::No, Some(Grave::Destroys), true, false, Some(false)),
            (Yes::Plain, None, false, false, Some(true)),
            (Yes::Plain, None, true, false, None),
            (Yes::Plain, Some(Grave::Destroys), false, false, None),
            (Yes::Plain, Some(Grave::Retires), false, false, None),
            (Yes::Plain, Some(Grave::Abandons), false, true, None),
            (named("acme"), Some(Grave::Destroys), true, false, Some(true)),
            (named("globex"), None, false, false, None),
            (named("acme"), None, false, true, None),
            (named("prod"), Some(Grave::Protected), true, true, Some(true)),
        ];
        let account = "acme".parse::<AccountName>().expect("a name");
        for (yes, grave, protected, several, wanted) in rows {
            let place = Place { context: "prod".to_owned(), protected, several, unattended: false };
            let said = answered(&yes, grave, &account, &place);
            assert_eq!(said.as_ref().ok().copied(), wanted, "{yes:?} {grave:?} {said:?}");
            if let Err(problem) = said {
                assert_eq!(problem.exit.code(), 2, "{problem:?}");
            }
        }
    }
}
