//! `secret rotate`: the whole runbook.

use super::agreed;
use super::change::{Change, change};
use super::session::Desk;
use super::value::Asked;
use crate::cli;
use crate::execute::Pauses;
use deepdesk_protocol::check::Purpose;
use deepdesk_protocol::facts::older::VersionSet;
use deepdesk_protocol::facts::payload::Payload;
use deepdesk_protocol::plan::{Goal, Strategy, Want};
use deepdesk_protocol::problem::Problem;
use deepdesk_protocol::result::{AccountResult, Kind};

/// Rotates one account, to the given value or to one made here.
pub async fn rotate(
    desk: &Desk,
    command: &cli::Secret,
    args: &cli::Rotate,
    given: Option<Payload>,
) -> (AccountResult, Option<Problem>) {
    let asked = Change {
        purpose: Purpose::Rotate,
        kind: Kind::SecretRotation,
        want: Want {
            goal: Goal::Rotate,
            strategy: match args.strategy {
                cli::Strategy::Rolling => Strategy::Rolling,
                cli::Strategy::TwoPhase => Strategy::TwoPhase,
            },
            adopt: args.adopt,
            abandon_older: args.abandon_older,
            retired: args.retired.iter().flat_map(VersionSet::iter).collect(),
            compromised: args.compromised,
            back_compat_unmapped: args.back_compat_unmapped,
            ..Want::default()
        },
        dry_run: args.change.dry_run,
        yes: agreed::given(command),
        grave: agreed::grave(command),
        unchecked: Vec::new(),
        compromised: args.compromised,
        evidence: None,
        value_as_is: args.value_as_is,
        made: Asked { length: args.length, alphabet: args.alphabet.clone() },
        pauses: Pauses { settle: args.settle, soak: args.soak },
    };
    change(desk, &asked, given).await
}
