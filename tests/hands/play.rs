//! Plays a seed: the hands, then the follower, each judged.

use crate::account::Account;
use crate::follower::{End, Followed, Follower, described};
use crate::process;
use crate::run::run_killed;
use crate::script::{Act, On, Own, Script};
use crate::world::World;

/// What a seed came to.
pub struct Outcome {
    pub followed: Followed,
    /// What happened, a line each.
    pub story: Vec<String>,
}

impl Outcome {
    /// Whether a live value was lost.
    pub fn loses(&self) -> bool {
        !self.followed.losses.is_empty()
    }

    /// In one line.
    pub fn brief(&self, seed: u64) -> String {
        let lost = if self.loses() { "LOST " } else { "" };
        let end = match &self.followed.end {
            End::Calm => "calm".to_owned(),
            End::Decision(why) => format!("decision: {why}"),
            End::Circle(why) => format!("circle: {why}"),
        };
        format!("seed {seed}: {lost}{} -> {end}", self.followed.path.join(" "))
    }

    /// Whether the hints have no end.
    pub fn circles(&self) -> bool {
        matches!(self.followed.end, End::Circle(_))
    }
}

/// So much older than everything else are the pods of the start, where they are old.
const OLD: &str = "clock-skew=-7200";

/// Plays a seed to its end. The world is always the one of this build; what is played is the binary under test.
pub fn play(script: &Script) -> Outcome {
    let accounts = match script.account {
        "acme" => 1,
        "globex" => 2,
        _ => 3,
    };
    let faults = script.old_pods.then(|| OLD.to_owned());
    let world = World::start(process::PROGRAM.as_ref(), accounts, script.seed, faults.as_slice());
    world.heal(|_| false);
    let mut account = Account::new(&world, script.account, script.seed);
    let mut story =
        vec![format!("seed {}: {}{}", script.seed, script.account, if script.old_pods { ", old pods" } else { "" })];
    for (at, act) in script.acts.iter().enumerate() {
        let told = act_on(&mut account, act, &format!("act-{at}"), &mut story);
        story.push(format!("  act {act:?} {told}"));
    }
    account.settle();
    story.push(format!("  came: {}", described(&account.see())));
    let followed = Follower::new(&mut account, script, &mut story).follow(script.asks_first);
    story.push(format!("  END {:?}; losses {:?}; said done {}", followed.end, followed.losses, followed.said_done));
    Outcome { followed, story }
}

pub fn act_on(account: &mut Account, act: &Act, streams: &str, story: &mut Vec<String>) -> String {
    match act {
        Act::Add(filling) => account.add_primary(*filling),
        Act::Disable(which) => account.change_primary(*which, "disable"),
        Act::Enable(which) => account.change_primary(*which, "enable"),
        Act::Destroy(which) => account.change_some(&account.primary(), *which, "destroy"),
        Act::ChangeBackCompat(verb, which) => account.change_some(&account.back_compat(), *which, verb),
        Act::DeleteBackCompat => account.delete_back_compat(),
        Act::Lease(tamper) => {
            account.tamper(*tamper);
            String::new()
        }
        Act::Pin(on) => account.pin(*on, true),
        Act::Unpin => account.pin(On::All, false),
        Act::BackCompat(filling) => account.fill_back_compat(*filling),
        Act::Annotate(on) => {
            account.sync(*on, true);
            String::new()
        }
        Act::Interval(on) => {
            account.sync(*on, false);
            String::new()
        }
        Act::Restart(on) => {
            account.restart(*on);
            String::new()
        }
        Act::Own(own) => own_command(account, own, streams, story),
    }
}

fn own_command(account: &mut Account, own: &Own, streams: &str, story: &mut Vec<String>) -> String {
    let words: &[&str] = match own {
        Own::Rotate | Own::Killed { .. } => &["rotate", "--yes"],
        Own::TwoPhase => &["rotate", "--strategy=two-phase", "--yes"],
        Own::RollBack => &["rollback", "--yes"],
        Own::Finalize => &["finalize", "--reencrypted", "--yes"],
        Own::Sync => &["sync"],
        Own::Restart => &["restart", "--yes"],
    };
    let mut args = vec!["secret".to_owned(), words[0].to_owned(), account.name.to_owned()];
    args.extend(words[1..].iter().map(|word| (*word).to_owned()));
    args.extend(["-o", "json"].map(str::to_owned));
    // Somebody who says so has done so: where the application cannot save all of it again, nobody says that it has.
    if *own == Own::Finalize && account.reencrypt() > 0 {
        return "not all can be saved again: left out".to_owned();
    }
    let ran = run_killed(account.world, &args, streams, own);
    story.extend(ran.stderr.lines().map(|line| format!("      | {line}")));
    account.settle();
    format!("-> {} {}", ran.code.map_or("killed".to_owned(), |code| code.to_string()), ran.reason())
}
