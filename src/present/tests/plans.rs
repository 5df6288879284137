//! The plan before the question.

use insta::assert_snapshot;

use super::fixtures::{check, observation, screen, seen, terminal};
use crate::present::{PlanView, Progress, Style, Terminal};
use deepdesk_protocol::event::StepName;
use deepdesk_protocol::facts::names::VersionId;
use deepdesk_protocol::facts::payload::Payload;
use deepdesk_protocol::facts::shape::Form;
use deepdesk_protocol::result::Verdict;
use deepdesk_protocol::state::State;
use deepdesk_protocol::step::{Origin, Plan, Planned, Step};

fn shown(progress: Progress, terminal: Terminal) -> String {
    shown_with(progress, terminal, None, &[])
}

fn shown_with(progress: Progress, terminal: Terminal, new_value: Option<&Form>, notes: &[String]) -> String {
    let v = |number| VersionId::new(number).expect("not 0");
    let secret = || "acme_account_secret".parse().expect("an id");
    let external = || vec!["admin-secrets".parse().expect("a name"), "backend-secrets".parse().expect("a name")];
    let now = observation();
    let plan = Plan {
        way: deepdesk_protocol::step::Way::Forward,
        state: State::Stable,
        from: v(7),
        to: v(8),
        announces: None,
        retires: None,
        retired: Default::default(),
        answered: Default::default(),
        steps: vec![
            Planned::Do(Step::CreateBackCompat { secret: now.back_compat.secret.clone(), like: secret() }),
            Planned::Do(Step::StoreBackCompat {
                secret: now.back_compat.secret.clone(),
                value_of: Origin::Primary(v(7)),
            }),
            Planned::Skip(StepName::Stage, "every Secret already holds it".to_owned()),
            Planned::Do(Step::AddVersion { secret: secret(), value_of: None, expect: v(8) }),
            Planned::Do(Step::Sync { external_secrets: external(), version: v(8) }),
            Planned::Do(Step::Restart {
                workloads: now.consumers.iter().map(|consumer| consumer.workload.clone()).collect(),
                version: v(8),
            }),
            Planned::Do(Step::Verify { version: v(8) }),
            Planned::Do(Step::DisablePrevious { secret: secret(), version: v(7) }),
        ],
    };
    let warnings = [
        check("DD-REPLICAS", "consumers/replicas", Verdict::Warn, "deployment/admin has one replica", "scale it to 2"),
        check("DD-ES-READY", "external-secrets/ready", Verdict::Pass, "", ""),
    ];
    let mut seen = seen(Style { progress, ..Style::default() }, terminal);
    seen.presenter.plan(&PlanView {
        context: "gke_p_l_c",
        project: &now.home.project,
        account: &now.account,
        plan: &plan,
        evidence: None,
        observation: &now,
        warnings: &warnings,
        notes,
        new_value,
        interruption: "JSON web tokens signed under v7 stop being valid: users sign in again, and calls between \
                       services fail while both versions serve"
            .to_owned(),
    });
    assert_eq!(seen.out.text(), "");
    seen.err.text()
}

#[test]
fn a_plan_says_what_will_be_done_to_whom() {
    assert_snapshot!(screen(&shown(Progress::Auto, terminal()), 80), @"
    Plan for acme: primary v7 → v8

    context      gke_p_l_c
    project      p
    state        Stable
    primary      acme_account_secret: v7
    back-compat  acme_account_secret_back_compat: does not exist yet

    CONSUMER             PODS   REASON
    deployment/admin     2      container admin: envFrom admin-secrets
    deployment/backend   2      container backend: envFrom backend-secrets
                                init container migrate: env SECRET_KEY
    cronjob/report       -      not restarted: takes the value when it next starts

      1  preserve   create acme_account_secret_back_compat with the settings and
                    access of acme_account_secret
      2  preserve   store the value of primary v7 in acme_account_secret_back_compat
      –  stage      skipped: every Secret already holds it
      3  introduce  add v8, a new value, to acme_account_secret
      4  sync       copy v8 into the cluster and compare: admin-secrets,
                    backend-secrets
      5  restart    restart with v8, at the same moment: deployment/admin,
                    deployment/backend
      6  verify     verify that every Secret and every pod has v8
      7  commit     disable v7 of acme_account_secret

    impact: JSON web tokens signed under v7 stop being valid: users sign in again,
            and calls between services fail while both versions serve

    warning: deployment/admin has one replica (DD-REPLICAS)
       hint: scale it to 2
    ");
}

#[test]
fn through_a_pipe_nothing_is_wrapped() {
    assert_snapshot!(shown(Progress::Auto, Terminal::default()), @"
    Plan for acme: primary v7 → v8

    context      gke_p_l_c
    project      p
    state        Stable
    primary      acme_account_secret: v7
    back-compat  acme_account_secret_back_compat: does not exist yet

    CONSUMER             PODS   REASON
    deployment/admin     2      container admin: envFrom admin-secrets
    deployment/backend   2      container backend: envFrom backend-secrets
                                init container migrate: env SECRET_KEY
    cronjob/report       -      not restarted: takes the value when it next starts

      1  preserve   create acme_account_secret_back_compat with the settings and access of acme_account_secret
      2  preserve   store the value of primary v7 in acme_account_secret_back_compat
      –  stage      skipped: every Secret already holds it
      3  introduce  add v8, a new value, to acme_account_secret
      4  sync       copy v8 into the cluster and compare: admin-secrets, backend-secrets
      5  restart    restart with v8, at the same moment: deployment/admin, deployment/backend
      6  verify     verify that every Secret and every pod has v8
      7  commit     disable v7 of acme_account_secret

    impact: JSON web tokens signed under v7 stop being valid: users sign in again, and calls between services fail while both versions serve

    warning: deployment/admin has one replica (DD-REPLICAS)
       hint: scale it to 2
    ");
}

#[test]
fn where_nobody_reads_it_there_is_none() {
    for progress in [Progress::Json, Progress::None] {
        assert_eq!(shown(progress, Terminal::default()), "");
        assert_ne!(shown(progress, terminal()), "");
    }
}

#[test]
fn the_form_of_a_made_value_is_told_and_few_bits_are_warned_of() {
    let form = |value: &str| Form::of(&Payload::new(value.as_bytes().to_vec()));
    let notes = ["alias prod of acme_account_secret names v7".to_owned()];
    let plain = Terminal::default();
    let weak = shown_with(Progress::Auto, plain, Some(&form("0123456789abcdef")), &notes);
    assert!(
        weak.contains("new value    made here, in the form of the current one: 16 hexadecimal digits, 64 bits\n"),
        "{weak}"
    );
    assert!(weak.contains("warning: the new value has 64 bits of entropy: fewer than 128 can be guessed"), "{weak}");
    assert!(weak.contains("warning: alias prod of acme_account_secret names v7\n"), "{weak}");
    let asked = Form::asked(Some(40), None, &Payload::new(Vec::new()));
    let strong = shown_with(Progress::Auto, plain, Some(&asked), &[]);
    assert!(strong.contains("made here, as asked for: 40 letters and digits, 238 bits\n"), "{strong}");
    assert!(!strong.contains("entropy") && !strong.contains("alias"), "{strong}");
}
