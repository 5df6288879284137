//! What somebody types: one of our commands, or what a hint says is to be done by hand.

use deepdesk_protocol::check::Purpose;
use deepdesk_protocol::facts::names::VersionId;
use deepdesk_protocol::facts::observation::Source;
use deepdesk_protocol::hint::{self, Hint};
use deepdesk_protocol::plan::{Goal, Strategy, Want};
use deepdesk_protocol::step::RescueFrom;

use super::acts;
use super::observe::{id, name};
use super::world::{Number, State, World};

/// A command that changes something.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Command {
    Rotate,
    Adopt,
    TwoPhase,
    RollBack,
    Finalize,
    /// A version of one of the two secrets.
    Rescue(Source, Number),
    /// What the Kubernetes Secret has under the key of one of the two.
    RescueCopy(Source),
    Sync,
    Restart,
    /// By hand, as hints name it.
    ByHand(Deed),
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Deed {
    /// `gcloud secrets versions enable`.
    Enable(Source, Number),
    /// `gcloud secrets versions add`, with the value that the Kubernetes Secret has in use.
    AddInUse(Source),
    /// `kubectl edit externalsecret`: the pinned version goes.
    Unpin,
}

/// What a hint comes to.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Named {
    Command(Command),
    /// `secret verify` or `secret status`: what they say is asked for again.
    Look,
    /// Words for a person, or a command that shows something.
    Words,
}

/// What these words mean.
pub fn named(hint: &Hint) -> Named {
    hint.command().map_or(Named::Words, of)
}

pub fn of(command: &hint::Command) -> Named {
    let words: Vec<&str> = command.words().collect();
    let option = |name: &str| words.iter().find_map(|word| word.strip_prefix(name)?.strip_prefix('='));
    let secret = |id: &str| if id.ends_with("_back_compat") { Source::BackCompat } else { Source::Primary };
    let command = match words.as_slice() {
        ["kubectl", "deepdesk", "secret", verb, "acme"] => match *verb {
            "rotate" => Command::Rotate,
            "rollback" => Command::RollBack,
            "finalize" => Command::Finalize,
            "sync" => Command::Sync,
            "restart" => Command::Restart,
            "verify" | "status" => return Named::Look,
            other => panic!("nobody knows what `{other}` is"),
        },
        ["kubectl", "deepdesk", "secret", "rotate", "acme", "--adopt"] => Command::Adopt,
        ["kubectl", "deepdesk", "secret", "rescue", "acme", "--from", from] => rescue(from),
        ["gcloud", "secrets", "versions", "enable", version, ..] => {
            let of = secret(option("--secret").expect("it names its secret"));
            Command::ByHand(Deed::Enable(of, version.parse().expect("a number")))
        }
        ["gcloud", "secrets", "versions", "add", of, ..] => Command::ByHand(Deed::AddInUse(secret(of))),
        ["kubectl", "edit", "externalsecret", ..] => Command::ByHand(Deed::Unpin),
        ["gcloud", "secrets", "versions", "list", ..] | ["kubectl", "get" | "describe" | "rollout", ..] => {
            return Named::Words;
        }
        other => panic!("nobody knows what to do with `{}`", other.join(" ")),
    };
    Named::Command(command)
}

fn rescue(from: &str) -> Command {
    let number = |text: &str| text.parse().expect("a number");
    match from.split_once('/') {
        Some(("primary", version)) => Command::Rescue(Source::Primary, number(version)),
        Some(("back-compat", version)) => Command::Rescue(Source::BackCompat, number(version)),
        _ if from.ends_with(":KEY") => Command::RescueCopy(Source::Primary),
        _ => Command::RescueCopy(Source::BackCompat),
    }
}

impl Command {
    pub fn purpose(self) -> Purpose {
        match self {
            Command::Rotate | Command::Adopt | Command::TwoPhase => Purpose::Rotate,
            Command::RollBack => Purpose::Rollback,
            Command::Finalize => Purpose::Finalize,
            Command::Rescue(..) | Command::RescueCopy(_) => Purpose::Rescue,
            Command::Sync => Purpose::Sync,
            Command::Restart | Command::ByHand(_) => Purpose::Restart,
        }
    }

    pub fn want(self) -> Want {
        let rotate = Want::default();
        let rescue = |from| Want { goal: Goal::Rescue, rescue: Some(from), ..Want::default() };
        match self {
            Command::Adopt => Want { adopt: true, ..rotate },
            Command::TwoPhase => Want { strategy: Strategy::TwoPhase, ..rotate },
            Command::RollBack => Want { goal: Goal::RollBack { again: false }, ..rotate },
            Command::Finalize => Want { goal: Goal::Finalize { destroy: None }, ..rotate },
            Command::Rescue(source, version) => {
                let version: VersionId = id(version).expect("a number");
                rescue(RescueFrom::Version(source, version))
            }
            Command::RescueCopy(source) => {
                let key = if source == Source::Primary { "KEY" } else { "OLD" };
                rescue(RescueFrom::Copy { secret: name(), key: key.to_owned() })
            }
            Command::Rotate | Command::Sync | Command::Restart | Command::ByHand(_) => rotate,
        }
    }
}

impl Deed {
    /// What comes of it; none where it cannot be done.
    pub fn done(self, world: &World, by_pattern: bool) -> Option<World> {
        let mut after = *world;
        match self {
            Deed::Enable(source, number) => {
                let disabled = world.secret(source).at(number)?.state == State::Disabled;
                disabled.then(|| after.secret_mut(source).change(number, State::Enabled))?;
            }
            Deed::AddInUse(source) => {
                after.add(source, Some(world.held.primary).filter(|value| *value != 0)?);
            }
            Deed::Unpin => after = acts::repinned(world, 0, by_pattern),
        }
        Some(after)
    }
}
