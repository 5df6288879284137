//! What a run promises, judged without the planner: by what the world knows, and by counting.

use std::collections::BTreeSet;

use super::super::*;
use super::Operator;
use super::account::{Account, Values};

/// The judge of one process.
pub(super) struct Judge {
    /// The accounts that may begin, in order.
    order: Vec<AccountName>,
    /// Those that were done in the run before, and when the last was.
    done: BTreeSet<AccountName>,
    proven: Option<i64>,
    concurrency: usize,
    most: usize,
    waves: Vec<usize>,
    wait: i64,
    until: Option<i64>,
    /// The latest moment at which it was asked what is next.
    latest: i64,
    begun: Vec<(AccountName, usize)>,
    under_way: BTreeSet<AccountName>,
    bad: BTreeSet<AccountName>,
    well: BTreeSet<AccountName>,
    passed: BTreeSet<AccountName>,
}

/// `10` or `10%` of so many, once more.
fn share(given: &str, all: usize) -> usize {
    match given.strip_suffix('%') {
        Some(percent) => all * percent.parse::<usize>().expect("a number") / 100,
        None => given.parse().expect("a number"),
    }
}

impl Judge {
    pub(super) fn new(operator: &Operator, accounts: &[Account], now: i64) -> Judge {
        let run = &operator.id;
        let selected = || accounts.iter().filter(|account| operator.selects(account));
        let done: Vec<&Account> = selected().filter(|account| account.ended_well.contains_key(run)).collect();
        let began = operator.began(accounts);
        let may = |account: &&Account| {
            let ours = account.set_out.contains_key(run);
            let late = !ours && began.is_some_and(|began| account.appeared > began);
            let awaits = account.values == Values::Awaiting && !ours;
            let young = operator.older && !ours && (account.values != Values::Stable || account.rotated > 0);
            let skipped = operator.skip.contains(&account.name);
            account.exists
                && !account.ended_well.contains_key(run)
                && !late
                && !awaits
                && !young
                && !account.refused
                && !skipped
        };
        let half_way = |account: &&Account| account.values == Values::Rotating || account.set_out.contains_key(run);
        let (first, then): (Vec<&Account>, Vec<&Account>) = selected().filter(may).partition(half_way);
        let order: Vec<AccountName> = first.iter().chain(&then).map(|account| account.name.clone()).collect();
        let all = order.len() + done.len();
        let concurrency = share(&operator.concurrency, all).max(1);
        let waves = match operator.waves.as_str() {
            "" => (0..).map(|power| 1 << power).take_while(|size| *size < concurrency).collect(),
            waves => waves.split(',').map(|size| share(size, all).max(1)).collect(),
        };
        Judge {
            concurrency,
            most: share(&operator.failures, order.len()),
            waves,
            wait: operator.wait,
            until: operator.until,
            latest: now,
            proven: done.iter().map(|account| account.ended_well[run].min(now)).max(),
            done: done.into_iter().map(|account| account.name.clone()).collect(),
            order,
            begun: Vec::new(),
            under_way: BTreeSet::new(),
            bad: BTreeSet::new(),
            well: BTreeSet::new(),
            passed: BTreeSet::new(),
        }
    }

    pub(super) fn decided(&self, fleet: &Fleet) {
        let members: Vec<&AccountName> = fleet.members.iter().map(|member| &member.account).collect();
        assert_eq!(members, self.order.iter().collect::<Vec<_>>(), "who is in the run, in which order");
        let done: BTreeSet<&AccountName> = fleet.done.iter().map(|(account, _)| account).collect();
        assert_eq!(done, self.done.iter().collect(), "who is done");
    }

    pub(super) fn asked(&mut self, now: i64) {
        self.latest = self.latest.max(now);
    }

    pub(super) fn begins(&mut self, account: &AccountName, wave: usize, now: i64) {
        assert!(!self.done.contains(account), "{account} was done in the run, and begins");
        assert!(self.begun.iter().all(|(begun, _)| begun != account), "{account} begins twice in one process");
        assert!(self.order.contains(account), "{account} is not in the run");
        // Also where the clock was set back since.
        assert!(self.until.is_none_or(|until| self.latest <= until), "{account} begins after the last moment");
        assert!(self.bad.len() <= self.most, "{account} begins beyond the budget");
        assert!(self.under_way.len() < self.concurrency, "{account} begins beyond the concurrency");
        assert!(self.begun.last().is_none_or(|(_, last)| *last <= wave), "{account} begins in an earlier wave");
        let place = |account: &AccountName| self.order.iter().position(|one| one == account);
        assert!(
            self.begun.last().is_none_or(|(last, _)| place(last) < place(account)),
            "{account} begins out of order"
        );
        self.gates(account, wave, now);
        self.begun.push((account.clone(), wave));
        self.under_way.insert(account.clone());
    }

    /// No account of a later wave begins before all of the earlier ones are proven, and the pause is over.
    fn gates(&self, account: &AccountName, wave: usize, now: i64) {
        let gated: usize = self.waves.iter().take(wave - 1).sum();
        let proven = self.done.len() + self.well.len();
        // What was done before fills the first waves, and who was passed over leaves its place.
        let before = self.done.len() + self.begun.len() - self.passed.len();
        let full = |waves: &usize| self.waves.iter().take(*waves).sum::<usize>() <= before;
        let filled = (1..=self.waves.len()).take_while(full).count();
        assert_eq!(wave, filled + 1, "{account} begins in another wave than its own");
        assert!(wave == 1 || proven >= gated, "{account} begins in wave {wave}: {proven} are proven of {gated}");
        let earlier = self.begun.iter().filter(|(_, of)| *of < wave).map(|(account, _)| account);
        let open = |account: &&AccountName| self.under_way.contains(*account) || self.bad.contains(*account);
        assert_eq!(earlier.clone().find(open), None, "{account} begins in wave {wave}");
        let is_first = self.wait > 0 && self.begun.last().is_none_or(|(_, last)| *last < wave);
        // The last one proven is of the wave before, where this is the first of its wave: none of its own is.
        if let Some(proven) = self.proven.filter(|_| is_first && wave > 1 && proven == gated) {
            assert!(now >= proven + self.wait, "{account} begins in the pause");
        }
    }

    pub(super) fn ended(&mut self, account: &AccountName, ended: &Ended, now: i64) {
        assert!(self.under_way.remove(account), "{account} was not under way");
        let to = match ended {
            Ended::Proven | Ended::Passed(Passed::DoneBefore { .. }) => {
                self.proven = Some(now);
                &mut self.well
            }
            Ended::Badly(..) => &mut self.bad,
            Ended::Passed(_) | Ended::Interrupted => &mut self.passed,
        };
        to.insert(account.clone());
        assert!(self.bad.len() <= self.most + self.concurrency, "more ended badly than the budget and the concurrency");
    }

    /// Nothing is under way, and nothing begins any more: is what is told so?
    pub(super) fn over(&self, operator: &Operator, accounts: &[Account], lanes: &Lanes, now: i64) {
        assert!(self.under_way.is_empty(), "over with accounts under way");
        let (result, counts) = (lanes.result(), lanes.counts());
        let ended = counts.done + counts.done_before + counts.failed + counts.interrupted + counts.not_begun;
        assert_eq!((ended, counts.under_way), (counts.accounts, 0), "{counts:?}");
        assert_eq!(counts.failed, self.bad.len(), "{counts:?}");
        let told = result.accounts.len() + result.not_begun.len() + lanes.fleet().done.len();
        assert_eq!(told, self.order.len() + self.done.len() + lanes.fleet().left_out.len(), "{result:?}");
        assert_eq!(lanes.problem().is_none(), result.exit_code == 0, "{result:?}");
        let open = || self.order.iter().filter(|account| self.begun.iter().all(|(begun, _)| begun != *account));
        if lanes.stopped().is_none() {
            assert_eq!(open().next(), None, "nothing stopped it");
        }
        let gate = |wave: usize| self.begun.iter().any(|(account, of)| *of == wave && self.bad.contains(account));
        match lanes.stopped() {
            Some(Stop::Failures) => assert!(self.bad.len() > self.most, "within the budget"),
            Some(Stop::Until) => assert!(self.until.is_some_and(|until| now > until - self.wait), "there was time"),
            Some(Stop::Gate(wave)) => assert!(gate(wave), "the wave is proven"),
            Some(Stop::Interrupted) | None => {}
        }
        if result.exit_code == 0 {
            let mut of_run = accounts.iter().filter(|account| account.exists && self.order.contains(&account.name));
            assert!(of_run.all(|account| account.ended_well.contains_key(&operator.id)), "said to be done, and is not");
        }
    }
}
