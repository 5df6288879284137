//! What the application does with its values: every pod that runs writes items under its primary value, and tries to read
//! every item that is there with the two values that it started with. Counts what it could not read.
//!
//! Items under one value are alike to every reader, and a pod that failed to read one will never read it. So both are kept as
//! numbers for each value: what this takes grows with values and pods, not with items. Values are compared as bytes, and
//! no byte of them leaves this file.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value as Json, json};
use tokio::sync::Notify;

/// The most that an account writes in a second.
pub const MOST: u32 = 1000;
/// The variables, or files, under which the sandbox's application looks for its two values.
const PRIMARY: &str = "SECRET_KEY";
const BACK_COMPAT: &str = "SECRET_KEY_BACK_COMPAT";
/// Writes that are later than this are left out: a machine that stood still must not make up for it in one moment.
const LATE: Duration = Duration::from_secs(1);

#[derive(Default)]
pub struct Data {
    accounts: Mutex<BTreeMap<String, Account>>,
    changed: Notify,
}

impl fmt::Debug for Data {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Data")
    }
}

/// One account's data, and the pods that read and write it.
#[derive(Default)]
struct Account {
    per_second: u32,
    /// When the next item is due; none while nothing is written.
    due: Option<Instant>,
    values: Vec<Value>,
    /// The pods that run, by uid.
    pods: BTreeMap<String, Pod>,
    started: u64,
    turn: usize,
    /// What pods could not read, by uid; also of those that have ended.
    lacked: BTreeMap<String, Lack>,
    first: Option<Timestamp>,
    last: Option<Timestamp>,
}

/// A value that items were written under.
struct Value {
    bytes: Vec<u8>,
    /// How it was called when the first item was written under it.
    name: String,
    writes: u64,
    /// Items ever saved under it, those that were saved again too.
    saved: u64,
    items: u64,
}

/// A pod that runs, with what it started with.
struct Pod {
    name: String,
    owner: String,
    order: u64,
    primary: Vec<u8>,
    back_compat: Option<Vec<u8>>,
    /// For each value how many of the items saved under it this pod has tried to read.
    tried: Vec<u64>,
}

impl Pod {
    fn reads(&self, value: &Value) -> bool {
        self.primary == value.bytes || self.back_compat.as_ref() == Some(&value.bytes)
    }
}

/// What one pod could not read.
struct Lack {
    name: String,
    owner: String,
    reads: u64,
    values: BTreeSet<usize>,
}

impl Account {
    fn start(&mut self, uid: &str, name: &str, owner: &str, held: &BTreeMap<String, Vec<u8>>) {
        let Some(primary) = held.get(PRIMARY) else { return };
        let pod = Pod {
            name: name.to_owned(),
            owner: owner.to_owned(),
            order: self.started,
            primary: primary.clone(),
            back_compat: held.get(BACK_COMPAT).cloned(),
            // What is there now is still to be read; what was there once never will be.
            tried: self.values.iter().map(|value| value.saved - value.items).collect(),
        };
        self.started += 1;
        self.pods.insert(uid.to_owned(), pod);
        self.read();
    }

    fn end(&mut self, uid: &str) {
        // Up to here it could not read what it could not read.
        self.read();
        self.pods.remove(uid);
    }

    /// Writes one item, by another pod each time.
    fn write(&mut self, name: impl Fn(&[u8]) -> String) {
        let Some(pod) = self.pods.values().nth(self.turn % self.pods.len().max(1)) else { return };
        self.turn = self.turn.wrapping_add(1);
        let bytes = pod.primary.clone();
        let at = self.save(bytes, 1, name);
        self.values[at].writes += 1;
        self.read();
    }

    /// Saves items under a value; returns its place.
    fn save(&mut self, bytes: Vec<u8>, items: u64, name: impl Fn(&[u8]) -> String) -> usize {
        let at = self.values.iter().position(|value| value.bytes == bytes).unwrap_or_else(|| {
            self.values.push(Value { name: name(&bytes), bytes, writes: 0, saved: 0, items: 0 });
            self.values.len() - 1
        });
        self.values[at].saved += items;
        self.values[at].items += items;
        at
    }

    /// The pod that started last saves all that it can read again, under its primary value.
    fn reencrypt(&mut self, name: impl Fn(&[u8]) -> String) {
        let Some(pod) = self.pods.values().max_by_key(|pod| pod.order) else { return };
        let (primary, back_compat) = (pod.primary.clone(), pod.back_compat.clone());
        self.save_again(&primary, back_compat.as_deref(), name);
    }

    /// Saves all that can be read with these two again, under the first.
    fn save_again(&mut self, primary: &[u8], back_compat: Option<&[u8]>, name: impl Fn(&[u8]) -> String) {
        let mut moved = 0;
        for value in self.values.iter_mut().filter(|value| back_compat == Some(&value.bytes) && value.bytes != primary)
        {
            moved += std::mem::take(&mut value.items);
        }
        self.save(primary.to_vec(), moved, name);
        self.read();
    }

    /// How many items are under another value than this one.
    fn left(&self, primary: &[u8]) -> u64 {
        self.values.iter().filter(|value| value.bytes != primary).map(|value| value.items).sum()
    }

    /// Every pod tries to read every item. An item and a pod that could not read it count once; for how long is seen from
    /// the moments at which there was such a pod.
    fn read(&mut self) {
        let mut failed = false;
        for (uid, pod) in &mut self.pods {
            pod.tried.resize(self.values.len(), 0);
            for (at, value) in self.values.iter().enumerate() {
                let new = value.saved - std::mem::replace(&mut pod.tried[at], value.saved);
                if value.items == 0 || pod.reads(value) {
                    continue;
                }
                failed = true;
                let lack = self.lacked.entry(uid.clone()).or_insert_with(|| Lack {
                    name: pod.name.clone(),
                    owner: pod.owner.clone(),
                    reads: 0,
                    values: BTreeSet::new(),
                });
                lack.reads += new;
                lack.values.insert(at);
            }
        }
        if failed {
            let now = Timestamp::now();
            self.first.get_or_insert(now);
            self.last = Some(now);
        }
    }

    /// Writes what is due; says when the next item is.
    fn work(&mut self, now: Instant, name: impl Fn(&[u8]) -> String) -> Option<Instant> {
        let pause = Duration::from_secs(1) / self.per_second.max(1);
        let mut due = self.due?;
        if now.saturating_duration_since(due) > LATE {
            due = now;
        }
        while due <= now {
            self.write(&name);
            due += pause;
        }
        self.due = Some(due);
        self.due
    }

    fn lasted(&self) -> SignedDuration {
        self.first.zip(self.last).map_or(SignedDuration::ZERO, |(first, last)| last.duration_since(first))
    }

    fn describe(&self, account: &str) -> Json {
        let keys = self
            .values
            .iter()
            .map(|value| json!({"key": value.name, "writes": value.writes, "items": value.items}))
            .collect::<Vec<_>>();
        let pods = self.lacked.values().map(|lack| {
            let keys: Vec<&str> = lack.values.iter().map(|at| self.values[*at].name.as_str()).collect();
            json!({"name": lack.name, "owner": lack.owner, "reads": lack.reads, "keys": keys})
        });
        // Of the items that are there now, and the pods that run now.
        let lost = |lost: &dyn Fn(&Value) -> bool| {
            self.values.iter().filter(|value| lost(value)).map(|value| value.items).sum::<u64>()
        };
        json!({
            "account": account,
            "perSecond": self.per_second,
            "items": self.values.iter().map(|value| value.items).sum::<u64>(),
            "keys": keys,
            "unreadable": {
                "reads": self.lacked.values().map(|lack| lack.reads).sum::<u64>(),
                "first": self.first.map(|at| at.to_string()),
                "last": self.last.map(|at| at.to_string()),
                "seconds": self.lasted().as_secs_f64(),
                "pods": pods.collect::<Vec<_>>(),
            },
            "now": {
                "pods": self.pods.len(),
                "unreadableToSome": lost(&|value| !self.pods.values().all(|pod| pod.reads(value))),
                "unreadableToAll": lost(&|value| !self.pods.values().any(|pod| pod.reads(value))),
            },
        })
    }
}

impl Data {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Account>> {
        self.accounts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn with<T>(&self, account: &str, act: impl FnOnce(&mut Account) -> T) -> T {
        act(self.lock().entry(account.to_owned()).or_default())
    }

    /// A pod read its values and runs from now on. One without a primary value is none that reads or writes.
    pub fn started(&self, account: &str, uid: &str, name: &str, owner: &str, held: &BTreeMap<String, Vec<u8>>) {
        self.with(account, |data| data.start(uid, name, owner, held));
    }

    pub fn ended(&self, account: &str, uid: &str) {
        self.with(account, |data| data.end(uid));
    }

    /// Has an account's pods write that many items a second from now on, all together; 0 ends it.
    pub fn write(&self, account: &str, per_second: u32) {
        self.with(account, |data| {
            data.per_second = per_second.min(MOST);
            data.due = (per_second > 0).then(Instant::now);
        });
        self.changed.notify_one();
    }

    /// What was written and what could not be read, up to now.
    pub fn describe(&self, account: &str) -> Json {
        self.with(account, |data| {
            data.read();
            data.describe(account)
        })
    }

    /// Has the application save all that it can read once more, under the value in use.
    pub fn reencrypt(&self, account: &str, name: impl Fn(&[u8]) -> String) {
        self.with(account, |data| data.reencrypt(name));
    }

    /// The same by a pod that holds these values; says how many items are still under another value than its primary one.
    pub fn reencrypt_with(
        &self,
        account: &str,
        held: &BTreeMap<String, Vec<u8>>,
        name: impl Fn(&[u8]) -> String,
    ) -> u64 {
        let Some(primary) = held.get(PRIMARY) else { return 0 };
        let back_compat = held.get(BACK_COMPAT).map(Vec::as_slice);
        self.with(account, |data| {
            data.save_again(primary, back_compat, name);
            data.left(primary)
        })
    }

    /// How many items are under another value than the primary one of a pod that holds these.
    pub fn left(&self, account: &str, held: &BTreeMap<String, Vec<u8>>) -> u64 {
        held.get(PRIMARY).map_or(0, |primary| self.with(account, |data| data.left(primary)))
    }

    /// Writes what is due until it is dropped; `name` says how an account calls a value.
    pub async fn run(&self, name: impl Fn(&str, &[u8]) -> String) {
        loop {
            let now = Instant::now();
            let work = |(account, data): (&String, &mut Account)| data.work(now, |bytes| name(account, bytes));
            let next = self.lock().iter_mut().filter_map(work).min();
            match next {
                Some(next) => {
                    let _ = tokio::time::timeout_at(next.into(), self.changed.notified()).await;
                }
                None => self.changed.notified().await,
            }
        }
    }

    /// What was written in all accounts and what could not be read, in one line; none when nothing was written.
    pub fn told(&self) -> Option<String> {
        let accounts = self.lock();
        let items: u64 = accounts.values().flat_map(|data| &data.values).map(|value| value.writes).sum();
        let lacking = accounts.iter().filter(|(_, data)| !data.lacked.is_empty()).map(|(account, data)| {
            let reads: u64 = data.lacked.values().map(|lack| lack.reads).sum();
            let places: BTreeSet<usize> = data.lacked.values().flat_map(|lack| lack.values.iter().copied()).collect();
            let names: Vec<&str> = places.into_iter().map(|at| data.values[at].name.as_str()).collect();
            format!(
                "in {account} {} that lacked {} failed {} to read one, within {:.1}s",
                counted(data.lacked.len() as u64, "pod"),
                names.join(" and "),
                counted(reads, "time"),
                data.lasted().as_secs_f64()
            )
        });
        let lacking: Vec<String> = lacking.collect();
        let outcome = if lacking.is_empty() { "every pod could read every one".to_owned() } else { lacking.join("; ") };
        (items > 0).then(|| format!("pods wrote {}; {outcome}", counted(items, "item")))
    }
}

fn counted(number: u64, thing: &str) -> String {
    format!("{number} {thing}{}", if number == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An account with these pods: `name:primary/back-compat`.
    fn with(pods: &str) -> Account {
        let mut account = Account::default();
        pods.split(' ').for_each(|pod| start(&mut account, pod));
        account
    }

    fn start(account: &mut Account, pod: &str) {
        let (name, held) = pod.split_once(':').unwrap();
        let held = held.split('/').zip([PRIMARY, BACK_COMPAT]);
        let held = held.map(|(value, variable)| (variable.to_owned(), value.as_bytes().to_vec())).collect();
        account.start(name, name, "owner", &held);
    }

    fn name(bytes: &[u8]) -> String {
        String::from_utf8_lossy(bytes).into_owned()
    }

    fn write(account: &mut Account, items: usize) {
        (0..items).for_each(|_| account.write(name));
    }

    /// `items unreadable-reads pods-that-lacked to-some to-all`.
    fn brief(account: &Account) -> String {
        let told = account.describe("acme");
        let lacked: Vec<&str> = account.lacked.values().map(|lack| lack.name.as_str()).collect();
        let (unreadable, now) = (&told["unreadable"]["reads"], &told["now"]);
        let (some, all) = (&now["unreadableToSome"], &now["unreadableToAll"]);
        format!("{} {unreadable} [{}] {some} {all}", told["items"], lacked.join(" "))
    }

    #[test]
    fn each_item_and_each_pod_that_cannot_read_it_count_once() {
        let cases = [
            ("alike", "a:7 b:7", 4, "4 0 [] 0 0"),
            ("both read both", "a:7/8 b:8/7", 4, "4 0 [] 0 0"),
            ("the old one lacks the new value", "a:7 b:8/7", 4, "4 2 [a] 2 0"),
            ("two old ones lack it", "a:7 b:7 c:8/7", 3, "3 2 [a b] 1 0"),
            ("neither reads the other", "a:7 b:8", 4, "4 4 [a b] 4 0"),
        ];
        for (case, pods, items, told) in cases {
            let mut account = with(pods);
            write(&mut account, items);
            account.read();
            assert_eq!(brief(&account), told, "{case}");
        }
    }

    #[test]
    fn pods_that_start_later_read_what_is_there_and_those_that_end_read_no_more() {
        let mut account = with("a:7");
        write(&mut account, 3);
        start(&mut account, "b:8");
        assert_eq!(brief(&account), "3 3 [b] 3 0");
        account.end("a");
        assert_eq!(brief(&account), "3 3 [b] 3 3");
        write(&mut account, 2);
        assert_eq!(brief(&account), "5 3 [b] 3 3");
        start(&mut account, "c:8/7");
        account.end("b");
        assert_eq!(brief(&account), "5 3 [b] 0 0");
    }

    #[test]
    fn what_was_saved_again_is_read_under_the_new_value_and_what_was_not_is_missed() {
        let mut account = with("a:8/7");
        account.save(b"7".to_vec(), 3, name);
        account.save(b"6".to_vec(), 1, name);
        account.reencrypt(name);
        start(&mut account, "b:8/8");
        assert_eq!(brief(&account), "4 2 [a b] 1 1");
    }

    #[test]
    fn a_machine_that_stood_still_does_not_make_up_for_it() {
        let mut account = with("a:7");
        let now = Instant::now();
        (account.per_second, account.due) = (10, Some(now));
        account.work(now + Duration::from_millis(250), name);
        assert_eq!(brief(&account), "3 0 [] 0 0");
        account.work(now + Duration::from_secs(60), name);
        assert_eq!(brief(&account), "4 0 [] 0 0");
    }
}
