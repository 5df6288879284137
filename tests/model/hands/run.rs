//! A run of ours, request by request. Each may be its last.

use deepdesk_protocol::facts::observation::Source;

use super::commands::{Command, Named};
use super::planner::{Answer, Planner};
use super::program::{Bytes, Program, Request, Verb};
use super::world::{Pair, Run, Secret, State, Value, World};

/// What a request did.
#[derive(Clone, Debug)]
pub enum Deed {
    /// It went on.
    Went,
    /// It saw that everything is on the newest versions.
    Proven,
    /// The run came to its end.
    Ended,
    /// It stopped, for this reason, and names these.
    Stopped(&'static str, Vec<Named>),
}

/// Begins a run; or the refusal. One that has nothing to do has ended.
pub fn begin(planner: &mut Planner, world: &World, command: Command) -> Result<World, Answer> {
    let mut after = *world;
    if command == Command::Finalize {
        after.save_again();
    }
    let number = planner.ask(&after, command).map_err(Answer::Err)?;
    let program = planner.program(number);
    if program.requests.is_empty() {
        return Ok(after);
    }
    let fits = after.held == program.known;
    after.run = Some(Run {
        program: number,
        known: program.known,
        known_primary: program.known_primary,
        known_back_compat: program.known_back_compat,
        compared: if fits { after.written } else { 0 },
        ..Run::default()
    });
    Ok(after)
}

/// Sends the next request.
pub fn step(planner: &mut Planner, world: &World) -> (World, Deed) {
    let run = world.run.expect("a run is at work");
    let program = planner.program(run.program);
    let mut at_work = AtWork { planner, program: &program, world: *world, run };
    let request = &program.requests[usize::from(run.at)];
    match at_work.send(request) {
        Err((reason, named)) => {
            let World { mut record, .. } = at_work.world;
            // The lock is given back without a record.
            record.last = world.record.last;
            (World { run: None, record, ..at_work.world }, Deed::Stopped(reason, named))
        }
        Ok(deed) => {
            let mut run = at_work.run;
            run.at += 1;
            let over = usize::from(run.at) == program.requests.len();
            let after = World { run: (!over).then_some(run), ..at_work.world };
            (after, if over { Deed::Ended } else { deed })
        }
    }
}

/// The process dies.
pub fn dead(world: &World) -> World {
    World { run: None, ..*world }
}

struct AtWork<'a> {
    planner: &'a mut Planner,
    program: &'a Program,
    world: World,
    run: Run,
}

type Sent = Result<Deed, (&'static str, Vec<Named>)>;

impl AtWork<'_> {
    fn send(&mut self, request: &Request) -> Sent {
        match request {
            Request::SetOut => self.set_out(),
            Request::Add { source, bytes, expect, held } => {
                self.held(*held)?;
                self.add(*source, *bytes, *expect)
            }
            Request::Enable { source, version } => {
                match self.world.secret(*source).at(*version).map(|version| version.state) {
                    Some(State::Disabled) => self.world.secret_mut(*source).change(*version, State::Enabled),
                    Some(State::Enabled) => {}
                    Some(State::Destroyed) | None => return Err(self.stopped("FailedPrecondition")),
                }
                self.run.changed = true;
                Ok(Deed::Went)
            }
            Request::Arrive { always } => self.arrive(*always).map(|()| Deed::Went),
            Request::Restart { version } => self.restart(*version).map(|()| Deed::Went),
            Request::Verify { version } => self.verify(*version),
            Request::Disable { source, version, held } => {
                self.held(*held)?;
                self.as_known()?;
                match self.world.secret(*source).at(*version).map(|version| version.state) {
                    Some(State::Enabled) => self.world.secret_mut(*source).change(*version, State::Disabled),
                    Some(State::Disabled | State::Destroyed) => {}
                    None => return Err(self.stopped("NotFound")),
                }
                self.run.changed = true;
                Ok(Deed::Went)
            }
            Request::Destroy { source, version } => {
                if self.world.secret(*source).at(*version).is_some_and(|version| version.state == State::Enabled) {
                    return Err(self.stopped("EnabledMeanwhile"));
                }
                self.world.secret_mut(*source).change(*version, State::Destroyed);
                Ok(Deed::Went)
            }
            Request::Release => {
                let program = self.program;
                let last = if program.from == program.to { self.world.record.last } else { (program.from, program.to) };
                self.world.record = super::world::Record { last, ..Default::default() };
                Ok(Deed::Ended)
            }
        }
    }

    fn set_out(&mut self) -> Sent {
        let (aim, record) = (self.program.aim, &mut self.world.record);
        if aim.begun != 0 {
            (record.begun, record.back) = (aim.begun, aim.back);
        }
        record.finalizing = aim.finalizing;
        (record.announced, record.called_off) = (aim.announced, aim.called_off);
        Ok(Deed::Went)
    }

    /// Sees, by number, that the back-compat's newest version is the one that is known, and has this value.
    fn held(&self, held: Option<Value>) -> Result<(), (&'static str, Vec<Named>)> {
        let kept = self.world.back_compat.enabled(self.run.known_back_compat);
        match held {
            Some(held) if held == 0 || kept != held => Err(self.stopped("NotPreserved")),
            Some(_) if self.world.back_compat.len() != self.run.known_back_compat => Err(self.foreign()),
            Some(_) | None => Ok(()),
        }
    }

    /// Sees, by number, that the newest versions are those that are known, in the same state.
    fn as_known(&self) -> Result<(), (&'static str, Vec<Named>)> {
        let World { primary, back_compat, .. } = &self.world;
        let Run { known, known_primary, known_back_compat, .. } = self.run;
        let same = |secret: &Secret, number, value| secret.len() == number && secret.value() == value;
        match same(primary, known_primary, known.primary) && same(back_compat, known_back_compat, known.back_compat) {
            true => Ok(()),
            false => Err(self.foreign()),
        }
    }

    fn add(&mut self, source: Source, bytes: Bytes, expect: Option<u8>) -> Sent {
        let value = match bytes {
            Bytes::Known(value) => value,
            Bytes::New => {
                self.run.made = World { run: Some(self.run), ..self.world }.unused();
                self.run.made
            }
            Bytes::Made => self.run.made,
            Bytes::Read(source, version) => self.world.secret(source).enabled(version),
        };
        if value == 0 {
            return Err(self.stopped("Unreadable"));
        }
        self.as_known()?;
        let added = self.world.add(source, value);
        self.run.changed = true;
        if added != expect.unwrap_or(self.run.known_back_compat + 1) {
            return Err(self.foreign());
        }
        match source {
            Source::Primary => {
                self.run.known.primary = value;
                self.run.known_primary = added;
            }
            Source::BackCompat => {
                self.run.known.back_compat = value;
                self.run.known_back_compat = added;
            }
        }
        Ok(Deed::Went)
    }

    fn is_right(&self) -> bool {
        let Pair { primary, back_compat } = self.run.known;
        let right = |known, held| known == 0 || known == held;
        right(primary, self.world.held.primary) && right(back_compat, self.world.held.back_compat)
    }

    fn arrive(&mut self, always: bool) -> Result<(), (&'static str, Vec<Named>)> {
        if always || !self.is_right() {
            if !self.world.sync(self.planner.by_pattern) {
                return Err(self.stopped("SyncFailed"));
            }
            if !self.is_right() {
                return Err(self.stopped("SyncTimeout"));
            }
        }
        self.run.compared = self.world.written;
        self.run.proven = true;
        Ok(())
    }

    fn restart(&mut self, version: u8) -> Result<(), (&'static str, Vec<Named>)> {
        loop {
            if self.run.proven && self.world.written != self.run.compared {
                self.arrive(false)?;
            }
            let (back_compat, compared) = (self.run.known_back_compat, self.run.compared);
            self.world.template = super::world::Note { version, back_compat, compared };
            self.world.restart(2);
            self.run.changed = true;
            // Written since the bytes were compared: compare, and once more.
            if !self.run.proven || self.world.written == compared {
                return Ok(());
            }
            self.arrive(false)?;
        }
    }

    fn verify(&mut self, version: u8) -> Sent {
        for _ in 0..3 {
            if !self.planner.rules.verifies {
                break;
            }
            if self.world.primary.len() != version {
                return Err(self.foreign());
            }
            if self.world.primary.value() == 0 {
                return Err(self.stopped("LatestNotEnabled"));
            }
            let (back_compat, known) = (&self.world.back_compat, self.run.known.back_compat);
            if back_compat.len() != self.run.known_back_compat || back_compat.value() != known {
                return Err(self.foreign());
            }
            self.run.known = self.world.newest();
            self.run.known_back_compat = self.world.back_compat.len();
            if self.planner.is_proven(&self.world) {
                return Ok(Deed::Proven);
            }
            self.arrive(false)?;
            self.restart(version)?;
        }
        match self.planner.rules.verifies {
            true => Err(self.stopped("NotVerified")),
            false => Ok(Deed::Proven),
        }
    }

    fn foreign(&self) -> (&'static str, Vec<Named>) {
        ("ForeignVersion", vec![Named::Look])
    }

    /// What `explain::stopped` names: where something was changed, the same command.
    fn stopped(&self, reason: &'static str) -> (&'static str, Vec<Named>) {
        let named = match (self.program.verb, self.run.changed || reason == "NotPreserved") {
            (_, false) | (Verb::Sync | Verb::Rescue, true) => Vec::new(),
            (Verb::Forward, true) => vec![Named::Command(Command::Rotate)],
            (Verb::Back, true) => vec![Named::Command(Command::RollBack)],
            (Verb::Retire, true) => vec![Named::Command(Command::Finalize)],
            (Verb::Restart, true) => vec![Named::Look],
        };
        (reason, named)
    }
}
