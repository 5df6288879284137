//! Fleets of processes in worlds drawn at random: kills, Ctrl-C, resumes with `--run`, a second operator with another selection (and sometimes
//! the same run), accounts that vanish and appear, data that is saved again meanwhile. What is begun and when is judged by `judge`, which
//! asks the world and counts for itself.

mod account;
mod judge;
mod random;

use std::collections::{BTreeMap, BTreeSet};

use self::account::{Account, Lane, Stage, Values};
use self::judge::Judge;
use self::random::Random;
use super::*;

/// How large a world is, and how much goes wrong in it.
struct Shape {
    accounts: (i64, i64),
    concurrency: (i64, i64),
    /// How many of a hundred accounts fail at first.
    failing: i64,
    /// How many processes of each operator are killed or stopped, at most.
    deaths: i64,
    takes: (i64, i64),
    second: bool,
    hands: bool,
}

/// Somebody who runs the same command until it is done.
struct Operator {
    id: RunId,
    /// Whether it selects by a label.
    labelled: bool,
    older: bool,
    skip: Vec<AccountName>,
    concurrency: String,
    waves: String,
    failures: String,
    wait: i64,
    until: Option<i64>,
    /// How many of its processes have not come to their end by themselves.
    deaths: i64,
    starts: usize,
    next: Option<i64>,
    process: Option<Process>,
}

struct Process {
    number: usize,
    lanes: Lanes,
    under_way: Vec<Lane>,
    judge: Judge,
    /// When it is killed, or stopped with Ctrl-C.
    dies: Option<(i64, bool)>,
    wakes: Option<i64>,
    stopping: bool,
}

impl Operator {
    fn drawn(random: &mut Random, shape: &Shape, labelled: bool) -> Operator {
        let wide = random.within(shape.concurrency.0, shape.concurrency.1);
        // A name that is there: the first account's.
        let skip = if labelled && random.percent(10) { vec![name("a000")] } else { Vec::new() };
        let pick = |random: &mut Random, of: &[&str]| of[random.size(0, of.len() as i64 - 1)].to_owned();
        Operator {
            id: run_id(if labelled && random.percent(70) { "second" } else { "first" }),
            labelled,
            older: random.percent(30),
            skip,
            concurrency: if random.percent(20) { "40%".to_owned() } else { wide.to_string() },
            waves: pick(random, &["", "", "1", "1,2", "2,30%", "100%", "1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1"]),
            failures: pick(random, &["0", "0", "0", "1", "2", "10%", "100%"]),
            wait: if random.percent(30) { random.within(1, 40) } else { 0 },
            until: None,
            deaths: random.within(0, shape.deaths),
            starts: 0,
            next: Some(if labelled { random.within(0, 120) } else { 0 }),
            process: None,
        }
    }

    fn selects(&self, account: &Account) -> bool {
        // One that vanished is not selected any more: it has no namespace.
        account.exists && (!self.labelled || account.labelled)
    }

    /// When its run began, by what its accounts tell.
    fn began(&self, accounts: &[Account]) -> Option<i64> {
        let of = accounts.iter().filter(|account| self.selects(account));
        let marks = of.filter_map(|account| account.marks().of(Verb::Rotate, &self.id).map(|mark| mark.began));
        marks.min().map(|began| began.duration_since(at(0)).as_secs())
    }

    fn limits(&self) -> Limits {
        Limits {
            wave_wait: Duration::from_secs(self.wait.unsigned_abs()),
            until: self.until.map(|until| Until(at(until))),
            ..limits(&self.concurrency, &self.waves, &self.failures)
        }
    }

    fn choice(&self) -> Choice {
        Choice {
            run: Run::Given(self.id.clone()),
            older_than: self.older.then(|| Duration::from_secs(500_000)),
            skip: self.skip.clone(),
            ..choice(Verb::Rotate)
        }
    }
}

struct World {
    random: Random,
    now: i64,
    accounts: Vec<Account>,
    operators: Vec<Operator>,
    processes: usize,
    /// What ended processes, and why accounts were passed over or left out: nothing is shown by worlds in which it never happens.
    happened: BTreeMap<&'static str, usize>,
    /// When somebody does something by hand.
    hands: BTreeSet<i64>,
}

impl World {
    fn drawn(seed: u64, shape: &Shape) -> World {
        let mut random = Random::new(seed);
        let count = random.within(shape.accounts.0, shape.accounts.1);
        let accounts = (0..count).map(|number| drawn(&mut random, shape, number, -1_000)).collect();
        let mut operators = vec![Operator::drawn(&mut random, shape, false)];
        if shape.second && random.percent(60) {
            operators.push(Operator::drawn(&mut random, shape, true));
        }
        let hands = (0..if shape.hands { random.within(0, 4) } else { 0 }).map(|_| random.within(1, 200)).collect();
        World { random, now: 0, accounts, operators, processes: 0, happened: BTreeMap::new(), hands }
    }

    /// Goes from moment to moment until nobody has anything to do.
    fn play(&mut self) {
        for _ in 0..1_000_000 {
            let Some(next) = self.moments().min() else { return };
            self.now = self.now.max(next);
            while self.hands.first().is_some_and(|at| *at <= self.now) {
                self.hands.pop_first();
                self.hand();
            }
            for which in 0..self.operators.len() {
                self.turn(which);
            }
        }
        panic!("it does not come to an end");
    }

    fn moments(&self) -> impl Iterator<Item = i64> {
        let of = |operator: &Operator| {
            let process = operator.process.iter().flat_map(|process| {
                let lanes = process.under_way.iter().map(|lane| lane.when);
                lanes.chain(process.dies.map(|(at, _)| at)).chain(process.wakes).collect::<Vec<_>>()
            });
            operator.next.into_iter().chain(process).collect::<Vec<_>>()
        };
        self.operators.iter().flat_map(of).chain(self.hands.first().copied())
    }

    /// Somebody deletes an account, makes one, or saves data again.
    fn hand(&mut self) {
        let which = self.random.size(0, self.accounts.len() as i64 - 1);
        match self.random.within(0, 3) {
            0 => self.accounts[which].exists = false,
            1 => {
                let shape = Shape { failing: 0, ..SMALL };
                let account = drawn(&mut self.random, &shape, 900 + self.accounts.len() as i64, self.now);
                self.accounts.insert(which, account);
                // Lanes know accounts by their places.
                let lanes = self.operators.iter_mut().flat_map(|operator| &mut operator.process);
                let moved = lanes.flat_map(|process| &mut process.under_way).filter(|lane| lane.account >= which);
                moved.for_each(|lane| lane.account += 1);
            }
            _ => self.accounts.iter_mut().for_each(Account::finalize),
        }
    }

    fn turn(&mut self, which: usize) {
        if self.operators[which].next.is_some_and(|at| at <= self.now) {
            self.start(which);
        }
        let Some(mut process) = self.operators[which].process.take() else { return };
        if let Some((_, kill)) = process.dies.filter(|(at, _)| *at <= self.now) {
            process.dies = None;
            if kill {
                self.accounts.iter_mut().for_each(|account| account.orphan(process.number, self.now));
                self.operators[which].next = Some(self.now + self.random.within(0, 60));
                return;
            }
            process.stopping = true;
            process.lanes.interrupt();
        }
        self.lanes(&mut process);
        let over = self.begin(&mut process);
        match over {
            true => self.over(which, &process),
            false => self.operators[which].process = Some(process),
        }
    }

    fn start(&mut self, which: usize) {
        let (now, number) = (self.now, self.processes);
        self.processes += 1;
        let operator = &mut self.operators[which];
        operator.next = None;
        operator.starts += 1;
        assert!(operator.starts < 400, "it is never done: {} {}", operator.waves, operator.failures);
        let dies = (operator.deaths > 0).then(|| (now + self.random.within(1, 60), self.random.percent(70)));
        operator.deaths -= 1;
        // Nobody resumes with a last moment that is over.
        operator.until = (operator.starts < 6 && self.random.percent(30)).then(|| now + self.random.within(3, 60));
        // In a new run that is a slip, and refused.
        let seen_by = |skip: &AccountName| {
            self.accounts.iter().any(|account| account.name == *skip && account.exists && account.labelled)
        };
        operator.skip.retain(seen_by);
        let judge = Judge::new(operator, &self.accounts, now);
        let seen = self.accounts.iter().filter(|account| operator.selects(account)).map(Account::seen).collect();
        let fleet = fleet(&operator.choice(), &operator.limits(), seen, at(now)).expect("a run");
        judge.decided(&fleet);
        let (lanes, under_way) = (Lanes::new(fleet), Vec::new());
        operator.process = Some(Process { number, lanes, under_way, judge, dies, wakes: None, stopping: false });
    }

    /// What is due in the lanes.
    fn lanes(&mut self, process: &mut Process) {
        let now = self.now;
        for mut lane in std::mem::take(&mut process.under_way) {
            if lane.when > now {
                process.under_way.push(lane);
                continue;
            }
            let account = &mut self.accounts[lane.account];
            // The next safe point.
            let stops = process.stopping && lane.stage != Stage::Record;
            let ended = match stops {
                true => {
                    account.orphan(process.number, now - 100);
                    Some(Ended::Interrupted)
                }
                false => account.step(&mut lane, process.lanes.fleet(), process.number, now),
            };
            match ended {
                None => process.under_way.push(lane),
                Some(ended) => {
                    process.judge.ended(lane.turn.account(), &ended, now);
                    process.lanes.ended(lane.turn, ended, at(now));
                }
            }
        }
    }

    /// Asks what is next until nobody begins; true where the process is over.
    fn begin(&mut self, process: &mut Process) -> bool {
        loop {
            // A clock is set back now and then, and the limiter lets nothing through.
            let set_back = if self.random.percent(5) { self.random.within(0, 20) } else { 0 };
            let writes = Writes { left: u32::from(!self.random.percent(5)) * 9, more: at(self.now + 1) };
            process.judge.asked(self.now - set_back);
            match process.lanes.next(at(self.now - set_back), writes) {
                Next::Begin(turn) => {
                    process.judge.begins(turn.account(), turn.wave(), self.now - set_back);
                    let account = self.accounts.iter().position(|account| account.name == *turn.account());
                    let account = account.expect("it was seen");
                    let when = self.now + self.random.within(0, 2);
                    process.under_way.push(Lane { turn, account, stage: Stage::Look, when, fails: false });
                }
                Next::Wait { until, .. } => {
                    assert!(until.is_some() || !process.under_way.is_empty(), "it waits for nothing");
                    let until = until.map(|until| until.duration_since(at(0)).as_secs());
                    process.wakes = until.map(|until| until.max(self.now + 1));
                    return false;
                }
                Next::Over(_) => return true,
            }
        }
    }

    fn over(&mut self, which: usize, process: &Process) {
        let result = process.lanes.result();
        let passed = result.accounts.iter().filter(|end| end.state == "passedOver").map(|end| end.reason);
        let left = result.not_begun.iter().map(|left| left.reason);
        for word in passed.chain(left).chain([result.stopped]) {
            *self.happened.entry(word).or_default() += 1;
        }
        let operator = &self.operators[which];
        process.judge.over(operator, &self.accounts, &process.lanes, self.now);
        let exit = process.lanes.exit();
        // What stays to do then is another run's, or refused.
        let rests = exit == Exit::Refused && process.lanes.fleet().members.is_empty();
        let calm = self.hands.is_empty() && operator.deaths < 0;
        let idle =
            process.lanes.counts().done + process.lanes.counts().failed == 0 && process.lanes.stopped().is_none();
        let fruitless = calm && idle && operator.starts > 12;
        self.operators[which].next =
            (exit != Exit::Done && !rests && !fruitless).then(|| self.now + self.random.within(1, 40));
    }

    /// What there is of a run in the end: who is done in it.
    fn done(&self, run: &RunId) -> BTreeMap<String, usize> {
        let of = self.accounts.iter().filter(|account| account.ended_well.contains_key(run));
        of.map(|account| (account.name.to_string(), account.rotated)).collect()
    }

    /// Every account that was there from the first, was not refused and is there still is done: by the first run, or by the second where that
    /// selects it. Nobody got two new values but where its data was saved again meanwhile.
    fn settled(&self) {
        let old = self.accounts.iter().filter(|account| account.appeared < 0 && account.exists && !account.refused);
        for account in old {
            let done = !account.ended_well.is_empty();
            assert!(done && account.values != Values::Rotating, "{} is not done: {:?}", account.name, account.values);
            let runs = account.ended_well.len();
            assert!(account.rotated <= runs, "{}: {} new values in {runs} runs", account.name, account.rotated);
        }
    }
}

fn drawn(random: &mut Random, shape: &Shape, number: i64, appeared: i64) -> Account {
    Account {
        name: name(&format!("a{number:03}")),
        appeared,
        exists: true,
        labelled: random.percent(40),
        refused: random.percent(4),
        fails: if random.percent(shape.failing) { random.size(1, 2) } else { 0 },
        takes: random.within(shape.takes.0, shape.takes.1),
        values: Values::Stable,
        unrecorded: None,
        record: Default::default(),
        lock: None,
        ended_well: BTreeMap::new(),
        set_out: BTreeMap::new(),
        rotated: 0,
    }
}

const SMALL: Shape =
    Shape { accounts: (1, 12), concurrency: (1, 5), failing: 20, deaths: 3, takes: (1, 30), second: true, hands: true };

/// Plays a seed; what breaks names it.
fn played(seed: u64, shape: &Shape) -> World {
    let mut world = World::drawn(seed, shape);
    let play = std::panic::AssertUnwindSafe(|| {
        world.play();
        world.settled();
    });
    if let Err(broken) = std::panic::catch_unwind(play) {
        eprintln!("seed {seed}");
        std::panic::resume_unwind(broken);
    }
    world
}

#[test]
fn ten_thousand_plans_keep_what_a_run_promises() {
    let (mut processes, mut happened) = (0, BTreeSet::new());
    for seed in 0..10_000 {
        let world = played(seed, &SMALL);
        processes += world.processes;
        happened.extend(world.happened.into_keys());
    }
    assert!(processes > 20_000, "they were resumed: {processes}");
    for word in
        ["TooManyFailures", "UntilOver", "WaveNotProven", "Interrupted", "Locked", "AwaitingReencryption", "Gone"]
    {
        assert!(happened.contains(word), "{word}: {happened:?}");
    }
    for word in ["DoneBefore", "AppearedLater", "Skipped", "CheckFailed"] {
        assert!(happened.contains(word), "{word}: {happened:?}");
    }
}

const LARGE: Shape = Shape {
    accounts: (200, 500),
    concurrency: (10, 50),
    failing: 3,
    deaths: 8,
    takes: (5, 40),
    second: true,
    hands: true,
};

#[test]
fn twenty_fleets_of_processes_keep_it_too() {
    for seed in 0..20 {
        let world = played(seed, &LARGE);
        assert!(world.processes > 1, "seed {seed}: it was resumed");
    }
}

/// Killed, stopped and resumed, a fleet comes to the same end as one that was left alone.
#[test]
fn twenty_fleets_of_processes_come_to_the_end_of_an_undisturbed_one() {
    let mut killed = 0;
    for seed in 0..20 {
        let large = Shape { second: false, hands: false, ..LARGE };
        let disturbed = played(seed, &large);
        let alone = played(seed, &Shape { deaths: 0, ..large });
        killed += usize::from(disturbed.processes > alone.processes);
        let first = run_id("first");
        assert_eq!(disturbed.done(&first), alone.done(&first), "seed {seed}");
    }
    assert!(killed > 10, "they were disturbed: {killed}");
}
