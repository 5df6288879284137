//! Asks the real planner, and the real checks of preflight, each question once.

use std::collections::HashMap;
use std::rc::Rc;

use deepdesk_protocol::check::{self, Purpose};
use deepdesk_protocol::facts::observation::{Found, Observation, Source};
use deepdesk_protocol::plan::{self, Goal, Strategy, Want};
use deepdesk_protocol::problem::Reason;
use deepdesk_protocol::result::Verdict;
use deepdesk_protocol::state::{self, State};
use deepdesk_protocol::step::Plan;

use super::observe::View;
use super::program::{Program, announced, compile, number};
use super::rules::Rules;
use super::world::Value;

/// What an operator types.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[repr(u8)]
pub enum Command {
    Rotate,
    TwoPhase,
    RollBack,
    Finalize,
    Adopt,
    AbandonOlder,
}

impl Command {
    pub const ALL: [Command; 6] = [
        Command::Rotate,
        Command::TwoPhase,
        Command::RollBack,
        Command::Finalize,
        Command::Adopt,
        Command::AbandonOlder,
    ];

    fn want(self) -> (Purpose, Want) {
        let rotate = Want::default();
        match self {
            Command::Rotate => (Purpose::Rotate, rotate),
            Command::TwoPhase => (Purpose::Rotate, Want { strategy: Strategy::TwoPhase, ..rotate }),
            Command::RollBack => (Purpose::Rollback, Want { goal: Goal::RollBack { again: false }, ..rotate }),
            Command::Finalize => (Purpose::Finalize, Want { goal: Goal::Finalize { destroy: None }, ..rotate }),
            Command::Adopt => (Purpose::Rotate, Want { adopt: true, ..rotate }),
            Command::AbandonOlder => (Purpose::Rotate, Want { abandon_older: true, ..rotate }),
        }
    }
}

/// A plan, with the observation that it was made for; none where the command is refused.
type Answer = Option<Rc<(Plan, Observation)>>;

/// The answers so far. Programs have numbers, so that an operator's state is small.
pub struct Planner {
    rules: Rules,
    by_pattern: bool,
    plans: HashMap<(View, Command), Answer>,
    programs: Vec<Rc<Program>>,
    compiled: HashMap<(View, Command, Value), u16>,
    agreed: HashMap<(View, Command), u16>,
    stuck: HashMap<View, bool>,
}

impl Planner {
    pub fn new(rules: Rules, by_pattern: bool) -> Planner {
        Planner {
            rules,
            by_pattern,
            plans: HashMap::new(),
            programs: Vec::new(),
            compiled: HashMap::new(),
            agreed: HashMap::new(),
            stuck: HashMap::new(),
        }
    }

    pub fn rules(&self) -> &Rules {
        &self.rules
    }

    pub fn program(&self, number: u16) -> &Rc<Program> {
        &self.programs[usize::from(number)]
    }

    /// What was agreed to before the lock: only where it leads. None when the command is refused or has nothing to do.
    pub fn agree(&mut self, view: View, command: Command) -> Option<u16> {
        if let Some(number) = self.agreed.get(&(view, command)) {
            return Some(*number);
        }
        let planned = self.plan(view, command)?;
        let plan = &planned.0;
        // What is announced is on record until the end is recorded, also where nothing else is left to do.
        if plan.to_do().next().is_none() && plan.announces.is_none() {
            return None;
        }
        let agreed = Program {
            from: number(plan.from),
            to: number(plan.to),
            announces: announced(plan),
            back: false,
            retires: 0,
            makes: 0,
            narrow: 0..0,
            changes: false,
            requests: Vec::new(),
        };
        let number = self.intern(agreed);
        self.agreed.insert((view, command), number);
        Some(number)
    }

    /// The requests to send, with this value for a new one.
    pub fn compiled(&mut self, view: View, command: Command, fresh: Value) -> Option<u16> {
        if let Some(number) = self.compiled.get(&(view, command, fresh)) {
            return Some(*number);
        }
        let planned = self.plan(view, command)?;
        let number = self.intern(compile(&planned.0, &planned.1, &self.rules, fresh));
        self.compiled.insert((view, command, fresh), number);
        Some(number)
    }

    /// Whether a change was begun that neither the same command nor a rollback nor what their refusal names can bring to an end.
    pub fn is_stuck(&mut self, view: View) -> bool {
        if let Some(stuck) = self.stuck.get(&view) {
            return *stuck;
        }
        let under_way = match state::secrets_state(&view.observation(false, self.by_pattern)) {
            State::Rotating { .. } | State::Blocked(_) => true,
            State::Stable | State::AwaitingReencryption | State::Drifted => false,
        };
        // A rollback whose record is lost looks like a version that somebody enabled: its refusal names `--adopt`.
        let adopted = !self.rules.records_after_look && self.agree(view, Command::Adopt).is_some();
        let refused = |command: Command| self.agree(view, command).is_none();
        let stuck = under_way && !adopted && [Command::Rotate, Command::RollBack].map(refused) == [true, true];
        self.stuck.insert(view, stuck);
        stuck
    }

    fn plan(&mut self, view: View, command: Command) -> Answer {
        let (rules, by_pattern) = (self.rules, self.by_pattern);
        let ask = || ask(&rules, view, command, by_pattern).map(Rc::new);
        self.plans.entry((view, command)).or_insert_with(ask).clone()
    }

    fn intern(&mut self, program: Program) -> u16 {
        let known = self.programs.iter().position(|known| **known == program);
        let number = known.unwrap_or_else(|| {
            self.programs.push(Rc::new(program));
            self.programs.len() - 1
        });
        assert!(number < 1 << 14, "an operator's state has 14 bits for its program");
        u16::try_from(number).expect("few programs")
    }
}

fn ask(rules: &Rules, view: View, command: Command, by_pattern: bool) -> Option<(Plan, Observation)> {
    let (purpose, want) = command.want();
    let now = view.observation(purpose == Purpose::Finalize, by_pattern);
    let failed = check::run(&check::Seen { purpose, want: &want, now: &now });
    if rules.checks && failed.iter().any(|check| check.result == Verdict::Fail) {
        return None;
    }
    let plan = match plan::plan(&want, &now) {
        Err(problem) if problem.reason == Reason::AwaitingReencryption && !rules.refuses_a_third => {
            let mut blind = now.clone();
            blind.back_compat.versions.clear();
            // What pods read as back-compat says the same.
            let keys = blind.external_secrets.iter_mut().flat_map(|external| &mut external.keys);
            keys.filter(|key| key.source == Source::BackCompat).for_each(|key| key.found = Found::Missing);
            plan::plan(&want, &blind).ok()?
        }
        planned => planned.ok()?,
    };
    Some(((rules.plan)(plan), now))
}
