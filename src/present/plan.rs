//! The plan, as it is shown before the question.

use super::table::Table;
use super::text::{Paint, printable, wrap};
use deepdesk_protocol::event::StepName;
use deepdesk_protocol::facts::copies::NotLookedAt;
use deepdesk_protocol::facts::named::Word;
use deepdesk_protocol::facts::names::{AccountName, ProjectId, listed};
use deepdesk_protocol::facts::observation::{Observation, SecretView};
use deepdesk_protocol::facts::shape::{FEWEST_BITS, Form};
use deepdesk_protocol::hint;
use deepdesk_protocol::result::{CheckResult, Verdict};
use deepdesk_protocol::step::{Origin, Plan, Planned, Step};

/// What the operator is shown before a change: all of it was decided elsewhere.
pub struct PlanView<'a> {
    /// The kubeconfig context in use.
    pub context: &'a str,
    /// The project of the secrets.
    pub project: &'a ProjectId,
    pub account: &'a AccountName,
    /// What is to be done.
    pub plan: &'a Plan,
    /// What is run first, and has to end well, before anything is changed; one sentence.
    pub evidence: Option<String>,
    /// What it was decided by: the consumers and why each is one, the back-compat.
    pub observation: &'a Observation,
    /// Checks that warn; those that passed or failed are not shown.
    pub warnings: &'a [CheckResult],
    /// What else follows from it, a sentence each.
    pub notes: &'a [String],
    /// The form of a value that is made here, where one is.
    pub new_value: Option<&'a Form>,
    /// What will break for a while, one sentence; empty when nothing does.
    pub interruption: String,
}

/// The plan as text. Without a width (a pipe) no line is wrapped.
pub(super) fn render(view: &PlanView<'_>, paint: Paint, width: Option<usize>) -> String {
    let (plan, now) = (view.plan, view.observation);
    let title = match plan.from == plan.to {
        true => format!("Plan for {}: primary {}", view.account, plan.to),
        false => format!("Plan for {}: primary {} → {}", view.account, plan.from, plan.to),
    };
    let mut out = format!("{}\n\n", paint.strong(&title));
    for (name, value) in [
        ("context", printable(view.context).into_owned()),
        ("project", view.project.to_string()),
        ("state", plan.state.to_string()),
        ("primary", secret(&now.primary, newest(&now.primary))),
        ("back-compat", secret(&now.back_compat, held(now))),
    ] {
        out.push_str(&format!("{}  {value}\n", paint.dim(&format!("{name:<11}"))));
    }
    if let Some(form) = view.new_value {
        let text = wrap(&new_value(form), 13, width);
        out.push_str(&format!("{}  {text}\n", paint.dim("new value  ")));
    }
    out.push('\n');
    out.push_str(&consumers(now, width));
    out.push('\n');
    out.push_str(&steps(plan, view.evidence.as_deref(), paint, width));
    out.push_str(&consequences(view, paint, width));
    out
}

fn secret(view: &SecretView, holds: String) -> String {
    format!("{}: {holds}", view.secret)
}

fn newest(view: &SecretView) -> String {
    view.newest().map_or_else(|| "no version".to_owned(), |newest| newest.id.to_string())
}

/// What the back-compat holds: `v1 holds primary v7`.
fn held(now: &Observation) -> String {
    match (now.back_compat.newest(), now.back_compat.value()) {
        (Some(newest), Some(value)) => {
            let name = now.name_of(value).unwrap_or_else(|| "unknown".to_owned());
            match name == format!("back-compat {}", newest.id) {
                true => format!("{} holds a value of its own", newest.id),
                false => format!("{} holds {name}", newest.id),
            }
        }
        (Some(newest), None) => format!("{} cannot be read", newest.id),
        (None, _) if now.back_compat.exists => "no version yet".to_owned(),
        (None, _) => "does not exist yet".to_owned(),
    }
}

/// `made here, in the form of the current one: 64 hexadecimal digits, 256 bits`.
fn new_value(form: &Form) -> String {
    let why = if form.is_kept() { "in the form of the current one" } else { "as asked for" };
    format!("made here, {why}: {form}, {} bits", form.bits())
}

/// Who reads the value and why, with the readers that no restart reaches.
fn consumers(now: &Observation, width: Option<usize>) -> String {
    let mut table = Table::new(&["CONSUMER", "PODS", "REASON"]);
    for consumer in &now.consumers {
        // One reason a row: they are long, and each is an answer to "why is this here".
        let mut reasons = consumer.reasons.iter().map(String::as_str);
        let name = match consumer.moving.word {
            Word::None => consumer.workload.to_string(),
            Word::Evict => format!("{} (evicted)", consumer.workload),
            Word::Leave => format!("{} (left)", consumer.workload),
        };
        table.row([&name, &consumer.desired.to_string(), reasons.next().unwrap_or_default()]);
        reasons.for_each(|reason| table.continued(["", "", reason]));
    }
    for reader in &now.other_readers {
        let how = match (reader.running, reader.word) {
            (true, Word::Evict) if reader.stays() => "evicted, one pod after the other",
            (true, Word::Leave) => "left: runs on the value that it started with",
            (true, _) => "not restarted: runs on the value that it started with",
            (false, _) => "not restarted: takes the value when it next starts",
        };
        let name = format!("{}/{}", reader.kind.to_lowercase(), reader.name);
        match &reader.owner {
            Some(owner) => table.row([&name, "", &format!("{how}; of {}", printable(owner))]),
            None => table.row([&name, "", how]),
        }
    }
    table.render_with(width, Paint(false))
}

fn steps(plan: &Plan, evidence: Option<&str>, paint: Paint, width: Option<usize>) -> String {
    let mut out = String::new();
    let mut number = 0;
    if let Some(evidence) = evidence {
        number += 1;
        let text = wrap(&printable(evidence), 16, width);
        out.push_str(&format!("{number:>3}  {:<9}  {text}\n", StepName::Reencrypt.as_str()));
    }
    for planned in &plan.steps {
        match planned {
            Planned::Do(step) => {
                number += 1;
                let text = wrap(&describe(step), 16, width);
                out.push_str(&format!("{number:>3}  {:<9}  {text}\n", step.name().as_str()));
            }
            Planned::Skip(name, reason) => {
                let text = wrap(&format!("skipped: {}", printable(reason)), 16, width);
                out.push_str(&paint.dim(&format!("  –  {:<9}  {text}", name.as_str())));
                out.push('\n');
            }
        }
    }
    if number == 0 {
        out.push_str("nothing to do\n");
    }
    out
}

/// A step in words.
fn describe(step: &Step) -> String {
    match step {
        Step::DisableOlder { secret, versions } => format!("disable {} of {secret}", listed(versions)),
        Step::Enable { secret, version } => format!("enable {version} of {secret}, to read its value"),
        Step::CreateBackCompat { secret, like } => format!("create {secret} with the settings and access of {like}"),
        Step::StoreBackCompat { secret, value_of } => format!("store {} in {secret}", value(value_of)),
        Step::Stage { external_secrets, value_of } => {
            format!("copy {} into the cluster as back-compat: {}", place(value_of), listed(external_secrets))
        }
        Step::Announce { secret, expect } => format!("store the next value in {secret}, as {expect}"),
        Step::Spread { external_secrets, version } => {
            format!("copy back-compat {version}, the next value, into the cluster: {}", listed(external_secrets))
        }
        Step::Prepare { workloads, version } => {
            format!("restart on {version}, able to read the next value, at the same moment: {}", listed(workloads))
        }
        Step::AddVersion { secret, value_of: None, expect } => {
            format!("add {expect}, a new value, to {secret}")
        }
        Step::AddVersion { secret, value_of: Some(held), expect } => {
            format!("add {expect}, with {}, to {secret}", value(held))
        }
        Step::Sync { external_secrets, version } => {
            format!("copy {version} into the cluster and compare: {}", listed(external_secrets))
        }
        Step::Restart { workloads, version } => {
            format!("restart with {version}, at the same moment: {}", listed(workloads))
        }
        Step::Verify { version } => format!("verify that every Secret and every pod has {version}"),
        Step::RetireOlder { secret, versions } => format!("disable {} of {secret}", listed(versions)),
        Step::Destroy { secret, versions } => format!("destroy {} of {secret}, for good", listed(versions)),
        Step::DisablePrevious { secret, version } => format!("disable {version} of {secret}"),
    }
}

/// `the value of primary v7`.
fn value(of: &Origin) -> String {
    match of {
        Origin::Primary(_) | Origin::BackCompat(_) => format!("the value of {}", place(of)),
        Origin::Copy { .. } => place(of),
    }
}

/// `primary v7`.
fn place(of: &Origin) -> String {
    match of {
        Origin::Primary(version) => format!("primary {version}"),
        Origin::BackCompat(_) | Origin::Copy { .. } => of.to_string(),
    }
}

fn consequences(view: &PlanView<'_>, paint: Paint, width: Option<usize>) -> String {
    let mut out = String::new();
    if !view.interruption.is_empty() {
        let text = wrap(&printable(&view.interruption), 8, width);
        out.push_str(&format!("\n{} {text}\n", paint.warn("impact:")));
    }
    if let Some(all) = NotLookedAt::all_in_words(&view.observation.not_looked_at) {
        out.push_str(&format!("\n{} {}\n", paint.warn("not checked:"), wrap(&printable(&all), 13, width)));
    }
    if !view.plan.answered.is_empty() {
        let asked = format!(
            "{} stay enabled, but no pod reads their values: confirm only if no data needs them (otherwise: secret rescue)",
            view.plan.answered
        );
        out.push_str(&format!("\n{} {}\n", paint.warn("asks:"), wrap(&asked, 6, width)));
    }
    if let Some(form) = view.new_value.filter(|form| form.is_weak()) {
        let way = match form.is_kept() {
            true => {
                "give a longer one with --value-from, or ask for one with --length and --alphabet, if the application takes it"
            }
            false => "ask for more with --length or --alphabet",
        };
        let text = format!(
            "the new value has {} bits of entropy: fewer than {FEWEST_BITS} can be guessed; {way}",
            form.bits()
        );
        out.push_str(&format!("\n{} {}\n", paint.warn("warning:"), wrap(&text, 9, width)));
    }
    for note in view.notes {
        out.push_str(&format!("\n{} {}\n", paint.warn("warning:"), wrap(&printable(note), 9, width)));
    }
    let warnings: Vec<&CheckResult> = view.warnings.iter().filter(|check| check.result == Verdict::Warn).collect();
    if !warnings.is_empty() {
        out.push('\n');
    }
    for check in warnings {
        let text = wrap(&printable(&check.message), 9, width);
        out.push_str(&format!("{} {text} ({})\n", paint.warn("warning:"), check.id));
        if !check.hints.is_empty() {
            out.push_str(&format!("   {} {}\n", paint.info("hint:"), hint::in_one_line(&check.hints)));
        }
    }
    out
}
