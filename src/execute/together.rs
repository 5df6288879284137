//! How long old and new pods serve side by side: the interruption, for data and tokens that one of them cannot read.

use std::time::Duration;

use jiff::Timestamp;

use deepdesk_protocol::trail::Span;

/// How long old and new pods served side by side: from the first look at which a new one is ready and an old one is
/// there, to the first at which no old one is left. The rollouts go on for longer than that.
#[derive(Default)]
pub(super) struct Together {
    since: Option<Timestamp>,
    /// All of it until now, without what goes on still.
    pub(super) so_far: Duration,
}

impl Together {
    /// Takes in what one look at all pods found; returns the stretch of time that it begins or ends, if any.
    pub(super) fn look(&mut self, at: Timestamp, mix: Mix) -> Option<Span> {
        match (self.since, mix) {
            (None, Mix::Both) => {
                self.since = Some(at);
                Some(Span { from: at, to: None })
            }
            (Some(from), Mix::NewAlone) => {
                // A clock that was put back meanwhile measures nothing.
                self.so_far += Duration::try_from(at.duration_since(from)).unwrap_or_default();
                self.since = None;
                Some(Span { from, to: Some(at) })
            }
            // What was ready once has served: that it is not at the moment, with old ones there, ends nothing.
            (None, Mix::OldAlone | Mix::NewAlone) | (Some(_), Mix::Both | Mix::OldAlone) => None,
        }
    }
}

/// Who serves at one moment.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Mix {
    /// No new pod is ready yet.
    OldAlone,
    /// A new pod is ready, and an old one is still there, perhaps on its way out: it may still write.
    Both,
    /// No old pod is left.
    NewAlone,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_interruption_ends_when_no_old_pod_is_left() {
        use Mix::{Both, NewAlone, OldAlone};
        type Looks<'a> = &'a [(i64, Mix)];
        let cases: [(&str, Looks<'_>, u64); 5] = [
            ("the rollout goes on", &[(0, OldAlone), (100, Both), (300, Both), (400, NewAlone), (2500, NewAlone)], 300),
            ("one after the other", &[(0, OldAlone), (50, NewAlone), (900, NewAlone)], 0),
            ("crashed meanwhile", &[(0, Both), (100, OldAlone), (700, Both), (1000, NewAlone)], 1000),
            ("an old one came back", &[(0, Both), (100, NewAlone), (500, Both), (700, NewAlone)], 300),
            ("nothing seen", &[(0, NewAlone)], 0),
        ];
        for (name, looks, served) in cases {
            let mut together = Together::default();
            for (at, mix) in looks {
                together.look(Timestamp::from_millisecond(*at).expect("a time"), *mix);
            }
            assert_eq!(together.so_far, Duration::from_millis(served), "{name}");
        }
    }
}
