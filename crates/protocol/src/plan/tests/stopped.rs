//! What is said where a run stopped, for each way and each place.

use super::tests::seen;
use super::*;
use crate::explain::stopped;

#[test]
fn where_a_run_stopped_it_says_what_holds_and_which_command_goes_on() {
    let back = || Want { goal: Goal::RollBack { again: false }, ..Want::default() };
    let finalize = || Want { goal: Goal::Finalize { destroy: None }, ..Want::default() };
    let rescue = || {
        let from = VersionId::new(1).map(|version| RescueFrom::Version(Source::BackCompat, version));
        Want { goal: Goal::Rescue, rescue: from, ..Want::default() }
    };
    let both = "v2 is the newest version of acme_account_secret, and v1 is still enabled: no value is lost | pods started before the restart use v1, pods started after it use v2 and read v1 as back-compat";
    // What was wanted, and where; what is there when it stopped; what is said.
    let cases = [
        (
            "before the first write",
            Want::default(),
            seen("E1", "", (1, None), 1),
            seen("E1", "", (1, None), 1),
            false,
            "nothing was changed: primary v1 is in use",
            "",
        ),
        (
            "a secret was created",
            Want::default(),
            seen("E1", "", (1, None), 1),
            seen("E1", "", (1, None), 1),
            true,
            "primary v1 is still the only value in use",
            "rotate",
        ),
        (
            "stored",
            Want::default(),
            seen("E1", "", (1, None), 1),
            seen("E1", "E1", (1, None), 1),
            true,
            "primary v1 is still the only value in use; acme_account_secret_back_compat holds it too",
            "rotate",
        ),
        (
            "introduced",
            Want::default(),
            seen("E1", "", (1, None), 1),
            seen("E1 E2", "E1", (1, Some(1)), 1),
            true,
            both,
            "rotate, rollback",
        ),
        (
            "a rollback, asked for",
            back(),
            seen("D E2", "E1", (2, Some(1)), 2),
            seen("D E2", "E1", (2, Some(1)), 2),
            true,
            "primary v2 is in use, acme_account_secret_back_compat holds the value to go back to",
            "rollback",
        ),
        (
            "a rollback, introduced",
            back(),
            seen("D E2", "E1", (2, Some(1)), 2),
            seen("D E2 E1", "E1", (2, Some(1)), 2),
            true,
            "v3 is the newest version of acme_account_secret, with the value that acme_account_secret_back_compat holds too: no value is lost | a pod that starts now cannot read what was written under v2 until the rollback is complete",
            "rollback",
        ),
        (
            "a rollback, stored",
            back(),
            seen("D E2", "E1", (2, Some(1)), 2),
            seen("D E2 E1", "E1 E2", (1, Some(2)), 2),
            true,
            "v3 is the newest version of acme_account_secret, and v2 is still enabled: no value is lost | pods started before the restart use v2, pods started after it use v3 and read v2 as back-compat",
            "rollback",
        ),
        (
            "a finalization",
            finalize(),
            seen("D E2", "E1", (2, Some(1)), 2),
            seen("D E2", "E1 E2", (2, Some(1)), 2),
            true,
            "primary v2 is in use, and nothing was destroyed that --destroy did not name | pods started before the restart can still read the older value, pods started after it cannot; older versions of acme_account_secret_back_compat can be enabled again",
            "finalize",
        ),
        (
            "a rescue",
            rescue(),
            seen("D E2", "E1 E2", (2, Some(2)), 2),
            seen("D E2", "E1 E2 E1", (2, Some(2)), 2),
            true,
            "primary v2 is in use, and no version was disabled that the back-compat does not hold",
            "",
        ),
    ];
    for (name, want, before, now, changed, holds, leads) in cases {
        let plan = plan(&want, &before).expect(name);
        let explained = stopped(&plan, &now, changed);
        assert_eq!(explained.now.join(" | "), holds, "{name}");
        let commands = explained.hints.iter().filter_map(Hint::command);
        let verbs: Vec<String> = commands
            .map(|command| command.to_string().replace("kubectl deepdesk secret ", "").replace(" acme", ""))
            .collect();
        assert_eq!(verbs.join(", "), leads, "{name}");
    }
}
