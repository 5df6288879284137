//! Somebody who knows nothing, and does whatever the program recommends.
//!
//! They want a rotation. They ask `status`, or begin with `rotate`; they run the command that is due, or that a refusal's
//! hints name, mostly the first, sometimes another, never one that they ran before and that changed nothing; after it they ask
//! `status` again. What has no command ends it: a person has to decide. They say yes to every question. Before `finalize`, and
//! wherever they are told so, the application really saves all that it can read again.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use serde_json::Value;

use crate::account::Account;
use crate::hints::{Hint, commands};
use crate::judge::{Judged, Number, Seen, State, judge};
use crate::play::act_on;
use crate::random::Random;
use crate::run::{Ran, run, run_met};
use crate::script::{Meanwhile, On, Script};
use crate::world::program;

/// The most commands that change something, until it counts as having no end.
const MOST: usize = 10;
/// How often the same command is run again where the program says so and names nothing else.
const AGAIN: usize = 2;

/// How it ended.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum End {
    /// A rotation said that all is done, and nothing is due.
    Calm,
    /// Nothing that is said is a command: a person has to decide.
    Decision(String),
    /// Hints that repeat, or that come to no end.
    Circle(String),
}

/// A value that was lost, and by what.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Loss {
    pub value: Number,
    /// `ended`, `gone`, `waiting`.
    pub how: &'static str,
    /// The command after which that was so.
    pub by: String,
}

/// What came of it.
pub struct Followed {
    pub end: End,
    /// What was lost at the end, or ended on the way.
    pub losses: Vec<Loss>,
    /// A rotation ended with 0 while something was lost.
    pub said_done: bool,
    /// What was run, in short.
    pub path: Vec<String>,
    /// Hints that nobody could follow.
    pub unknown: Vec<String>,
}

/// What is done next.
enum Next {
    Status,
    Do(Hint),
    End(End),
}

/// Somebody at work.
pub struct Follower<'a, 'w> {
    account: &'a mut Account<'w>,
    random: Random,
    meanwhile: Vec<Meanwhile>,
    /// What others lost while commands of ours ran.
    excused: BTreeSet<Number>,
    story: &'a mut Vec<String>,
    came: Seen,
    before: Seen,
    tried: BTreeSet<(String, String)>,
    last: Option<Hint>,
    again: usize,
    rotated: bool,
    runs: usize,
    /// By which command each value was lost first.
    lost_by: BTreeMap<Number, String>,
    followed: Followed,
}

/// What is there, as far as a command can have changed it.
fn fingerprint(seen: &Seen) -> String {
    let mut seen = Seen { items: BTreeMap::new(), ..seen.clone() };
    seen.pods.sort();
    format!("{seen:?}")
}

/// Whether a command takes `--yes`.
fn asks(verb: &str) -> bool {
    static KNOWN: Mutex<BTreeMap<String, bool>> = Mutex::new(BTreeMap::new());
    let mut known = KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
    *known.entry(verb.to_owned()).or_insert_with(|| {
        let help = std::process::Command::new(program()).args(["secret", verb, "--help"]).output();
        // Examples name the flag of other commands.
        let takes = |line: &str| line.trim_start().starts_with("-y, --yes") || line.trim_start().starts_with("--yes");
        help.is_ok_and(|help| String::from_utf8_lossy(&help.stdout).lines().any(takes))
    })
}

fn words(line: &str) -> Vec<String> {
    line.split(' ').map(str::to_owned).collect()
}

impl<'a, 'w> Follower<'a, 'w> {
    pub fn new(account: &'a mut Account<'w>, script: &Script, story: &'a mut Vec<String>) -> Follower<'a, 'w> {
        let came = account.see();
        let followed =
            Followed { end: End::Calm, losses: Vec::new(), said_done: false, path: Vec::new(), unknown: Vec::new() };
        Follower {
            account,
            random: Random::new(script.seed ^ 0x666f_6c6c_6f77),
            meanwhile: script.meanwhile.clone(),
            excused: BTreeSet::new(),
            story,
            before: came.clone(),
            came,
            tried: BTreeSet::new(),
            last: None,
            again: 0,
            rotated: false,
            runs: 0,
            lost_by: BTreeMap::new(),
            followed,
        }
    }

    /// To the end.
    pub fn follow(mut self, asks_first: bool) -> Followed {
        let mut next = if asks_first { Next::Status } else { self.rotation() };
        self.followed.end = loop {
            next = match next {
                Next::End(end) => break end,
                Next::Do(_) if self.runs >= MOST => {
                    break End::Circle(format!("no end after {MOST} commands"));
                }
                Next::Status => self.status(),
                Next::Do(hint) => self.run(hint),
            };
        };
        self.judge_end();
        self.followed
    }

    fn tell(&mut self, line: String) {
        self.story.push(line);
    }

    /// What they came for.
    fn rotation(&mut self) -> Next {
        let rotate = Hint::Ours(words(&format!("secret rotate {}", self.account.name)));
        match self.is_new(&rotate) {
            true => Next::Do(rotate),
            false => Next::End(End::Circle("nothing is due, and rotate refuses".to_owned())),
        }
    }

    /// Whether it was not run in this very state.
    fn is_new(&self, hint: &Hint) -> bool {
        !self.tried.contains(&(fingerprint(&self.before), format!("{hint:?}")))
    }

    fn status(&mut self) -> Next {
        let ran = self.ours(&words(&format!("secret status {} -o json", self.account.name)));
        let state = ran.result["state"].as_str().unwrap_or_default().to_owned();
        let due = &ran.result["due"];
        self.followed.path.push(format!("[{state}]"));
        if ran.code != Some(0) && due.is_null() {
            return self.next(&ran.hints(), &format!("status: {}", plain(&ran.error())));
        }
        let lines: Vec<String> = due["commands"].as_array().into_iter().flatten().map(line).collect();
        self.tell(format!("      | {state}; due: {} {lines:?}", due["what"]));
        match (due.is_null(), state.as_str(), self.rotated) {
            (true, "Stable", true) => Next::End(End::Calm),
            (true, "Stable", false) => self.rotation(),
            (true, ..) => Next::End(End::Decision(format!("{state}, and nothing is due"))),
            (false, ..) => {
                let what = due["what"].as_str().unwrap_or_default();
                self.next(&lines, &format!("status {state}: {}", plain(what)))
            }
        }
    }

    /// What somebody does who was told these lines, and why they were.
    fn next(&mut self, lines: &[String], why: &str) -> Next {
        if lines.iter().any(|line| line.contains("encrypted field") && line.contains("again")) {
            self.save_again();
        }
        let named: Vec<Hint> = lines.iter().flat_map(|line| commands(line)).collect();
        let unknown = named.iter().filter_map(|hint| match hint {
            Hint::Unknown(line) => Some(line.clone()),
            _ => None,
        });
        self.followed.unknown.extend(unknown);
        let new = |hint: &&Hint| self.is_new(hint);
        let acts: Vec<&Hint> = named.iter().filter(|hint| hint.acts()).collect();
        let untried: Vec<&Hint> = acts.iter().copied().filter(new).collect();
        if !untried.is_empty() {
            let at = if self.random.percent(60) { 0 } else { self.random.within(0, untried.len() - 1) };
            return Next::Do(untried[at].clone());
        }
        if !acts.is_empty() {
            return Next::End(End::Circle(why.to_owned()));
        }
        let look = named.iter().filter(|hint| matches!(hint, Hint::Ours(_))).find(new).cloned();
        if named.contains(&Hint::Status) && self.tried.insert((fingerprint(&self.before), "status".to_owned())) {
            return Next::Status;
        }
        if let Some(look) = look {
            return Next::Do(look);
        }
        let repeat = lines.iter().any(|line| line.contains("same command") || line.contains("again in a moment"));
        match self.last.clone().filter(|_| repeat && self.again < AGAIN) {
            Some(last) => {
                self.again += 1;
                std::thread::sleep(Duration::from_millis(300));
                Next::Do(last)
            }
            None => Next::End(End::Decision(why.to_owned())),
        }
    }

    /// Does it, has it judged, and says what comes after it.
    fn run(&mut self, hint: Hint) -> Next {
        self.tried.insert((fingerprint(&self.before), format!("{hint:?}")));
        self.runs += 1;
        let next = match &hint {
            Hint::Ours(words) => {
                let ran = self.command(words);
                let verb = words.get(1).cloned().unwrap_or_default();
                let flags: Vec<&str> =
                    words.iter().skip(3).map(String::as_str).filter(|word| word.starts_with("--")).collect();
                let code = ran.code.unwrap_or(-1);
                self.followed.path.push(format!("{verb}{}={code}{}", flags.concat(), ran.reason()));
                self.judge(&words.join(" "), (verb == "rotate").then_some(code));
                match code {
                    0 => {
                        self.again = 0;
                        self.rotated |= verb == "rotate";
                        None
                    }
                    _ => Some((ran.hints(), format!("{verb} {}: {}", ran.reason(), plain(&ran.error())))),
                }
            }
            _ => {
                let told = self.by_hand(&hint);
                self.followed.path.push(short(&hint));
                self.tell(format!("  hint followed: {hint:?}: {told}"));
                self.judge(&short(&hint), None);
                None
            }
        };
        self.last = Some(hint);
        match next {
            Some((hints, why)) => self.next(&hints, &why),
            None => Next::Status,
        }
    }

    fn save_again(&mut self) {
        let left = self.account.reencrypt();
        self.tell(format!("  all is saved again but {left} items"));
        self.before = self.account.see();
    }

    /// A command of ours, with yes to all that it may ask.
    fn command(&mut self, words: &[String]) -> Ran {
        let mut args = words.to_vec();
        let verb = args.get(1).cloned().unwrap_or_default();
        if verb == "finalize" {
            self.save_again();
            if !args.iter().any(|word| word.starts_with("--reencrypted")) {
                args.push("--reencrypted".to_owned());
            }
        }
        if asks(&verb) && !args.iter().any(|word| word.starts_with("--yes")) {
            args.push("--yes".to_owned());
        }
        args.extend(["-o".to_owned(), "json".to_owned()]);
        let now = |meanwhile: &Meanwhile| meanwhile.run + 1 == self.runs;
        let (mut met, rest): (Vec<Meanwhile>, _) = self.meanwhile.drain(..).partition(now);
        self.meanwhile = rest;
        met.sort_by_key(|meanwhile| meanwhile.at);
        met.dedup_by_key(|meanwhile| meanwhile.at);
        if met.is_empty() { self.ours(&args) } else { self.met(&args, &met) }
    }

    /// The same, while others are at work. What is lost by what they do is theirs.
    fn met(&mut self, args: &[String], meanwhile: &[Meanwhile]) -> Ran {
        let streams = format!("followed-{}", self.story.len());
        let at: Vec<usize> = meanwhile.iter().map(|meanwhile| meanwhile.at).collect();
        self.tell(format!("  {} ...", args.join(" ")));
        // Who is disturbed may try the same again.
        self.tried.clear();
        let world = self.account.world;
        let ran = run_met(world, args, &streams, &at, |which| {
            let meanwhile = &meanwhile[which];
            // What our command did until now is judged apart from what comes.
            self.judge_now(&args[..2].join(" "));
            self.account.hurries = true;
            let told = act_on(self.account, &meanwhile.act, &streams, self.story);
            self.account.hurries = false;
            let now = self.account.see();
            let theirs = judge(&self.before, &self.before, &now);
            self.excused.extend(theirs.waiting.iter().chain(&theirs.gone).chain(&theirs.ended));
            self.tell(format!("    meanwhile, at request {}: {:?} {told}", meanwhile.at, meanwhile.act));
            self.tell(format!("    {}", described(&now)));
            self.before = now;
        });
        self.told(args, ran)
    }

    fn ours(&mut self, args: &[String]) -> Ran {
        let streams = format!("followed-{}", self.story.len());
        let ran = run(self.account.world, args, &streams);
        self.told(args, ran)
    }

    fn told(&mut self, args: &[String], ran: Ran) -> Ran {
        let told = format!("  {} -> {} {}", args.join(" "), ran.code.unwrap_or(-1), ran.reason());
        self.tell(told);
        let lines = ran.stderr.lines().map(|line| format!("      | {line}"));
        self.story.extend(lines);
        ran
    }

    fn by_hand(&mut self, hint: &Hint) -> String {
        match hint {
            Hint::Change { verb, version, secret } => {
                let version = version.or_else(|| self.some_older());
                let done = version.is_some_and(|version| self.account.change(secret, version, verb));
                self.account.settle();
                format!("{verb} {version:?}: {done}")
            }
            Hint::Add { secret } => {
                let told = self.account.add_in_use(secret);
                self.account.settle();
                told
            }
            Hint::Annotate(name) => {
                self.account.annotate_named(name.as_deref());
                String::new()
            }
            Hint::Unpin => {
                // Nothing that is looked at here tells that the ExternalSecret is another one now.
                self.tried.clear();
                self.account.pin(On::All, false)
            }
            Hint::Restart(name) => {
                self.account.restart_named(name.as_deref());
                String::new()
            }
            Hint::DeleteLease => {
                self.account.delete_lease();
                String::new()
            }
            Hint::Ours(_) | Hint::Status | Hint::Look(_) | Hint::Unknown(_) => String::new(),
        }
    }

    /// What somebody fills in for VERSION: an older one that is ENABLED.
    fn some_older(&self) -> Option<u64> {
        let enabled = self.before.primary.iter().rev().filter(|version| version.state == State::Enabled);
        enabled.map(|version| version.number).nth(1)
    }

    /// Judges what a command did; `rotated` is how a rotation ended.
    fn judge(&mut self, by: &str, rotated: Option<i32>) {
        self.account.settle();
        let judged = self.judge_now(by);
        self.followed.said_done |= rotated == Some(0) && !(judged.waiting.is_empty() && judged.gone.is_empty());
    }

    /// Without waiting for anything.
    fn judge_now(&mut self, by: &str) -> Judged {
        let now = self.account.see();
        let judged = self.judged(&now);
        self.tell(format!("    {}", described(&now)));
        for value in judged.waiting.iter().chain(&judged.gone).chain(&judged.ended) {
            self.lost_by.entry(*value).or_insert_with(|| by.to_owned());
        }
        self.followed.losses.extend(judged.ended.iter().map(|value| Loss {
            value: *value,
            how: "ended",
            by: by.to_owned(),
        }));
        if judged != Judged::default() {
            self.tell(format!("    LOST: {judged:?}"));
        }
        self.before = now;
        judged
    }

    /// What was lost, but for what others ended.
    fn judged(&self, now: &Seen) -> Judged {
        let Judged { waiting, gone, ended } = judge(&self.came, &self.before, now);
        let ours = |values: BTreeSet<Number>| values.difference(&self.excused).copied().collect();
        Judged { waiting: ours(waiting), gone: ours(gone), ended: ours(ended) }
    }

    /// What is lost where it ends; after a calm end a day passes first.
    fn judge_end(&mut self) {
        let now = self.judged(&self.before);
        let by = |value: &Number| self.lost_by.get(value).cloned().unwrap_or_default();
        let loss = |value: &Number, how| Loss { value: *value, how, by: by(value) };
        let gone = now.gone.iter().map(|value| loss(value, "gone"));
        let waiting = now.waiting.iter().map(|value| loss(value, "waiting"));
        let excused = matches!(self.followed.end, End::Decision(_));
        let new: Vec<Loss> = gone.chain(waiting.filter(|_| !excused)).collect();
        let known: BTreeSet<Number> = self.followed.losses.iter().map(|loss| loss.value).collect();
        self.followed.losses.extend(new.into_iter().filter(|loss| !known.contains(&loss.value)));
        if self.followed.end == End::Calm && self.followed.losses.is_empty() {
            self.a_day_passes();
        }
    }

    fn a_day_passes(&mut self) {
        self.account.sync(crate::script::On::All, false);
        self.account.restart_named(None);
        let now = self.account.see();
        let judged = self.judged(&now);
        let lost = judged.waiting.iter().chain(&judged.gone);
        let lost = lost.map(|value| Loss { value: *value, how: "latent", by: "a day that passes".to_owned() });
        self.followed.losses.extend(lost);
        self.tell(format!("  a day later: {}", described(&now)));
    }
}

/// A command of `due`: a line, or a list of words.
fn line(command: &Value) -> String {
    match command {
        Value::Array(words) => shell_words::join(words.iter().filter_map(Value::as_str)),
        other => other.as_str().unwrap_or_default().to_owned(),
    }
}

/// A hint in a word.
fn short(hint: &Hint) -> String {
    match hint {
        Hint::Ours(words) => words.join(" "),
        Hint::Change { verb, secret, .. } if secret.ends_with("back_compat") => format!("gcloud {verb} back-compat"),
        Hint::Change { verb, .. } => format!("gcloud {verb} primary"),
        Hint::Add { secret } if secret.ends_with("back_compat") => "gcloud add back-compat".to_owned(),
        Hint::Add { .. } => "gcloud add primary".to_owned(),
        Hint::Annotate(_) => "kubectl annotate".to_owned(),
        Hint::Unpin => "kubectl edit externalsecret".to_owned(),
        Hint::Restart(_) => "kubectl rollout restart".to_owned(),
        Hint::DeleteLease => "kubectl delete lease".to_owned(),
        Hint::Status => "secret status".to_owned(),
        Hint::Look(line) | Hint::Unknown(line) => line.clone(),
    }
}

/// A sentence without what differs from account to account, so that alike ones are counted together.
fn plain(text: &str) -> String {
    let mut text = text.to_owned();
    for name in ["acme", "globex", "initech"] {
        text = text.replace(name, "ACCOUNT");
    }
    let mut all = String::new();
    for c in text.chars() {
        match c.is_ascii_digit() {
            true if all.ends_with('N') => {}
            true => all.push('N'),
            false => all.push(c),
        }
    }
    all
}

/// What is there, in one line; `v8=3` is version 8 with value 3, in brackets when it is not ENABLED.
pub fn described(seen: &Seen) -> String {
    let versions = |versions: &[crate::judge::Version]| {
        let one = |version: &crate::judge::Version| {
            let value = version.value.map(|value| value.to_string()).unwrap_or_default();
            let text = format!("v{}={value}", version.number);
            if version.state == State::Enabled { text } else { format!("({text})") }
        };
        // The oldest are of no interest unless they are ENABLED.
        let from = versions.len().saturating_sub(6);
        versions[from..].iter().map(one).collect::<Vec<_>>().join(" ")
    };
    let slot = |slot: Option<Number>| slot.map_or("-".to_owned(), |value| value.to_string());
    let secrets = seen.kubernetes.iter().filter(|(_, (primary, _))| primary.is_some());
    let secrets = secrets.map(|(name, (primary, kept))| format!("{name} {}/{}", slot(*primary), slot(*kept)));
    let mut pods: BTreeMap<String, usize> = BTreeMap::new();
    for pod in &seen.pods {
        *pods.entry(format!("{} {}/{}", pod.owner, slot(pod.primary), slot(pod.back_compat))).or_default() += 1;
    }
    let pods = pods.iter().map(|(pod, many)| format!("{many}×{pod}")).collect::<Vec<_>>();
    let items = seen.items.iter().filter(|(_, items)| **items > 0).map(|(value, items)| format!("{value}:{items}"));
    format!(
        "primary {} | back-compat {} | {} | {} | items {}{}",
        versions(&seen.primary),
        seen.back_compat.as_deref().map_or("none".to_owned(), versions),
        secrets.collect::<Vec<_>>().join(", "),
        pods.join(", "),
        items.collect::<Vec<_>>().join(" "),
        if seen.unreadable().is_empty() {
            String::new()
        } else {
            format!(" | unreadable to all {:?}", seen.unreadable())
        },
    )
}
