//! Asks the real planner, the real checks of preflight and the planner's word on what is due, each question once.

use std::rc::Rc;

use deepdesk_protocol::check::{self, Purpose, Seen};
use deepdesk_protocol::facts::observation::Observation;
use deepdesk_protocol::hint::Hint;
use deepdesk_protocol::plan::{self, Want};
use deepdesk_protocol::problem::Problem;
use deepdesk_protocol::result::{CheckResult, Verdict};
use deepdesk_protocol::state;

use super::commands::{self, Command, Named};
use super::observe::{Look, observe};
use super::program::{Program, compile, synced};
use super::rules::Rules;
use super::world::{ByWorld, World};

/// Why a command is refused, and what it names to do.
#[derive(Debug)]
pub struct Refusal {
    pub reason: String,
    pub named: Vec<Named>,
}

/// A program by its number, or the refusal.
pub type Answer = Result<u16, Rc<Refusal>>;

/// What is due: nothing, or these commands, with the reason in words.
pub type Due = Option<Rc<Refusal>>;

pub struct Planner {
    pub rules: Rules,
    pub by_pattern: bool,
    answers: ByWorld<Vec<(Command, Answer)>>,
    due: ByWorld<Due>,
    proven: ByWorld<bool>,
    programs: Vec<Rc<Program>>,
}

impl Planner {
    pub fn new(rules: Rules, by_pattern: bool) -> Planner {
        let (answers, due, proven) = (ByWorld::default(), ByWorld::default(), ByWorld::default());
        Planner { rules, by_pattern, answers, due, proven, programs: Vec::new() }
    }

    pub fn program(&self, number: u16) -> Rc<Program> {
        self.programs[usize::from(number)].clone()
    }

    /// What a command does.
    pub fn ask(&mut self, world: &World, command: Command) -> Answer {
        let view = world.view();
        let known = self.answers.get(&view).and_then(|known| known.iter().find(|(known, _)| *known == command));
        if let Some((_, answer)) = known {
            return answer.clone();
        }
        let answer = self.asked(&view, command);
        self.answers.entry(view).or_default().push((command, answer.clone()));
        answer
    }

    fn asked(&mut self, view: &World, command: Command) -> Answer {
        let purpose = command.purpose();
        let look = if purpose == Purpose::Finalize { Look::History } else { Look::Whole };
        let now = observe(view, self.by_pattern, look);
        let want = command.want();
        let mut checks = check::run(&Seen { purpose, want: &want, now: &now });
        if !self.rules.checks {
            checks.clear();
        }
        let program = match command {
            Command::Sync | Command::Restart => {
                let restarts = command == Command::Restart;
                let guard = if restarts { plan::may_restart(&now) } else { plan::may_sync(&now, &[]) };
                refused(&checks, guard.err().as_ref().filter(|_| self.rules.guards)).map(|()| synced(&now, restarts))
            }
            _ => {
                let planned = (self.rules.plan)(&want, &now);
                let alone = planned.as_ref().err().filter(|refused| plan::stands_alone(refused));
                let passed = refused(&checks, alone);
                passed.and(planned).map(|plan| compile(&plan, &now, self.rules.effects))
            }
        };
        match program {
            Ok(program) => Ok(self.intern(program)),
            Err(problem) => {
                let reason = format!(
                    "{} {}",
                    problem.reason,
                    if problem.message.starts_with("DD-") { &problem.message } else { "" }
                );
                Err(Rc::new(refusal(&reason, &problem.hints)))
            }
        }
    }

    /// What `status` says is due.
    pub fn due(&mut self, world: &World) -> Due {
        let view = world.view();
        if let Some(due) = self.due.get(&view) {
            return due.clone();
        }
        let now = observe(&view, self.by_pattern, Look::Glance);
        let mut checks = verified(&now);
        checks.retain(|check| check.result != Verdict::Pass);
        let due = (self.rules.next)(&now, &checks).map(|due| {
            let named = due.commands.iter().map(commands::of).collect();
            Rc::new(Refusal { reason: format!("{}: {}: {}", state::state(&now), due.action, due.what), named })
        });
        self.due.insert(view, due.clone());
        due
    }

    /// What `verify` names where it finds something.
    pub fn verified(&self, world: &World) -> Refusal {
        let checks = verified(&observe(world, self.by_pattern, Look::Whole));
        match refused(&checks, None) {
            Err(problem) => refusal("verify", &problem.hints),
            Ok(()) => Refusal { reason: "verify finds nothing".to_owned(), named: Vec::new() },
        }
    }

    /// Whether the look of a run's last step finds every key and every pod on the newest versions.
    pub fn is_proven(&mut self, world: &World) -> bool {
        let view = world.view();
        if let Some(proven) = self.proven.get(&view) {
            return *proven;
        }
        let now = observe(&view, self.by_pattern, Look::Whole);
        let mut keys = now.external_secrets.iter().flat_map(|external| &external.keys);
        let proven = keys.all(|key| state::as_expected(&now, key)) && state::all_on_newest(&now);
        self.proven.insert(view, proven);
        proven
    }

    fn intern(&mut self, program: Program) -> u16 {
        let known = self.programs.iter().position(|known| **known == program);
        let number = known.unwrap_or_else(|| {
            self.programs.push(Rc::new(program));
            self.programs.len() - 1
        });
        u16::try_from(number).expect("few programs")
    }
}

fn verified(now: &Observation) -> Vec<CheckResult> {
    check::run(&Seen { purpose: Purpose::Verify, want: &Want::default(), now })
}

/// As `src/commands/outcome.rs` refuses: what has to be put right first, the planner's own word, any other check.
fn refused(checks: &[CheckResult], planners: Option<&Problem>) -> Result<(), Problem> {
    let failed = |first: bool| {
        let failed = checks
            .iter()
            .filter(move |check| check.result == Verdict::Fail && (!first || check::comes_first(check.id)));
        let hints = failed.clone().flat_map(|check| &check.hints);
        let hints: Vec<Hint> = hints.cloned().collect();
        failed.map(|check| check.id).next().map(|id| {
            let problem = Problem::new(deepdesk_protocol::problem::Reason::CheckFailed, id);
            hints.into_iter().fold(problem, Problem::hint)
        })
    };
    match (failed(true), planners) {
        (Some(first), _) => Err(first),
        (None, Some(planners)) => Err(planners.clone()),
        (None, None) => failed(false).map_or(Ok(()), Err),
    }
}

fn refusal(reason: &str, hints: &[Hint]) -> Refusal {
    Refusal { reason: reason.to_owned(), named: hints.iter().map(commands::named).collect() }
}
