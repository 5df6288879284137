//! `secret verify`: what Secret Manager, the cluster and the running pods hold.

use super::outcome::{Found, outcome, refusal};
use super::session::Desk;
use crate::access;
use crate::check::{self, Purpose};
use crate::domain::problem::{Exit, Problem};
use crate::domain::result::{AccountResult, Kind};
use crate::observe::observe;
use crate::plan::Want;

/// Verifies one account. Reads only; asks for no rights beforehand, since a missing one shows at once.
pub async fn verify(desk: &Desk) -> (AccountResult, Option<Problem>) {
    let mut found = Found::default();
    let ended = look(desk, &mut found).await;
    outcome(desk, Kind::SecretVerification, found, ended)
}

async fn look(desk: &Desk, found: &mut Found) -> Result<(), Problem> {
    let seen = observe(&desk.request, &desk.cluster, &desk.secret_manager).await?;
    found.checks = access::unread(&seen.now);
    found.checks.extend(check::run(&check::Seen { purpose: Purpose::Verify, want: &Want::default(), now: &seen.now }));
    found.now = Some(seen.now);
    match refusal(&found.checks, Exit::NotAsItShouldBe) {
        Some(refusal) => Err(refusal),
        None => Ok(()),
    }
}
