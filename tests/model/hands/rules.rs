//! What of the program is broken, where something is.

use deepdesk_protocol::effects::{Effect, effects};
use deepdesk_protocol::facts::observation::Observation;
use deepdesk_protocol::plan::{self, Want};
use deepdesk_protocol::problem::Problem;
use deepdesk_protocol::result::CheckResult;
use deepdesk_protocol::status::Due;
use deepdesk_protocol::step::{Plan, Step};

#[derive(Clone, Copy)]
pub struct Rules {
    /// The planner, or one with a rule less.
    pub plan: fn(&Want, &Observation) -> Result<Plan, Problem>,
    /// What is due, or what somebody else would say is.
    pub next: fn(&Observation, &[CheckResult]) -> Option<Due>,
    /// The effects of each step.
    pub effects: fn(&Step) -> Vec<Effect>,
    /// The checks of preflight refuse.
    pub checks: bool,
    /// `sync` and `restart` ask the planner first.
    pub guards: bool,
    /// Verify looks.
    pub verifies: bool,
}

impl Rules {
    pub const KEPT: Rules = Rules {
        plan: plan::plan,
        next: |now, checks| plan::next(now, checks, None),
        effects,
        checks: true,
        guards: true,
        verifies: true,
    };
}
