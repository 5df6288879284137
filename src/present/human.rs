//! Results for people: a sentence, a table, what is due. Several accounts share one table.

use super::overview;
use super::table::Table;
use super::text::{Paint, printable};
use super::wording::counted;
use deepdesk_protocol::facts::observation::VersionState;
use deepdesk_protocol::hint;
use deepdesk_protocol::result::{AccountResult, CheckResult, EvidenceResult, Kind, Verdict};

/// How much to tell.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Detail {
    /// What most runs need.
    Short,
    /// Also the reasons, the steps, and the checks that passed.
    Wide,
}

/// The results as text.
pub(super) fn render(results: &[AccountResult], width: Option<usize>, paint: Paint, detail: Detail) -> String {
    match results {
        [] => String::new(),
        [one] => account(one, width, paint, detail),
        several => {
            let mut blocks = vec![overview::render(several, width, paint)];
            blocks.extend(several.iter().map(|result| match detail {
                Detail::Short => short_of_several(result, paint),
                Detail::Wide => account(result, width, paint, detail),
            }));
            joined(blocks)
        }
    }
}

/// Blocks with an empty line between them.
fn joined(blocks: impl IntoIterator<Item = String>) -> String {
    blocks.into_iter().filter(|block| !block.is_empty()).collect::<Vec<_>>().join("\n")
}

/// Below a table of several accounts: only what is wrong with one.
fn short_of_several(result: &AccountResult, paint: Paint) -> String {
    let failed = failed_checks(result, paint, Detail::Short);
    if failed.is_empty() { failed } else { format!("{}:\n{failed}", result.account) }
}

fn account(result: &AccountResult, width: Option<usize>, paint: Paint, detail: Detail) -> String {
    // Whoever asks for more gets all of it.
    let fits = match detail {
        Detail::Short => Some(width),
        Detail::Wide => None,
    };
    // The problem on standard error said all there is: nothing was changed, so there is nothing to show.
    let untouched = !matches!(result.exit_code, 0 | 3 | 5 | 130) || (result.exit_code == 130 && !has_begun(result));
    if untouched && detail == Detail::Short && !result.dry_run {
        return failed_checks(result, paint, detail);
    }
    let headline = headline(result, paint);
    let places = places(result, fits, paint);
    let consumers = consumers(result, fits, detail);
    let checks = failed_checks(result, paint, detail);
    let close = close(result);
    let steps = if result.dry_run || detail == Detail::Wide { steps(result, width) } else { String::new() };
    let context = if detail == Detail::Wide { context(result) } else { String::new() };
    match (result.kind, detail) {
        // The verdict stands last, where the eye is when the command ends.
        (Kind::SecretVerification, Detail::Short) => joined([places, checks, headline + &close]),
        (Kind::SecretVerification, Detail::Wide) => joined([context, places, consumers, checks, headline + &close]),
        (Kind::SecretSync, Detail::Short) => joined([headline, places, steps, checks, close]),
        // It has a table of its own.
        (Kind::SecretStatus, _) => String::new(),
        (
            Kind::SecretRotation
            | Kind::SecretRollback
            | Kind::SecretFinalization
            | Kind::SecretRescue
            | Kind::SecretRestart,
            Detail::Short,
        ) => joined([headline, consumers, steps, checks, close]),
        (_, Detail::Wide) => joined([headline, context, places, consumers, steps, checks, close]),
    }
}

/// Whether a step began that may write.
fn has_begun(result: &AccountResult) -> bool {
    use deepdesk_protocol::event::{StepName, StepState};
    let only_asks = |name| matches!(name, StepName::Preflight | StepName::Confirm | StepName::Lock | StepName::Unlock);
    result.steps.iter().any(|step| step.state != StepState::Skipped && !only_asks(step.name))
}

/// What was done, in one sentence.
fn headline(result: &AccountResult, paint: Paint) -> String {
    let account = &result.account;
    if result.nothing_to_do && result.exit_code == 0 {
        let (dry_run, facts) = (dry_run(result), format!("{}{}", newest(result), back_compat(result)));
        return format!("{}{dry_run}: {}\n", paint.good(&format!("{account}: nothing to do")), printable(&facts));
    }
    let done = match (result.kind, result.exit_code) {
        (Kind::SecretVerification, 0) => {
            return format!("{}\n", paint.good(&format!("{account}: all on {}", newest(result))));
        }
        (Kind::SecretVerification, _) => return verdict_against(result, paint),
        (Kind::SecretRotation, 0) if result.rotation.as_ref().is_some_and(|rotation| rotation.went_back) => {
            paint.good(&format!("{account} rolled back to the previous value"))
        }
        (Kind::SecretRotation, 0) => paint.good(&format!("{account} rotated")),
        (Kind::SecretRollback, 0) => paint.good(&format!("{account} rolled back")),
        (Kind::SecretFinalization, 0) => paint.good(&format!("{account} finalized")),
        (Kind::SecretRescue, 0) => paint.good(&format!("{account} can read the value again")),
        (Kind::SecretSync, 0) => paint.good(&format!("{account} synced")),
        (Kind::SecretRestart, 0) => paint.good(&format!("{account} restarted")),
        (Kind::SecretRotation | Kind::SecretRollback | Kind::SecretFinalization | Kind::SecretRescue, 5 | 130) => {
            paint.bad(&format!("{account} incomplete"))
        }
        // Nothing was changed.
        (Kind::SecretRotation, _) => paint.bad(&format!("{account} not rotated")),
        (Kind::SecretRollback, _) => paint.bad(&format!("{account} not rolled back")),
        (Kind::SecretFinalization, _) => paint.bad(&format!("{account} not finalized")),
        (Kind::SecretRescue, _) => paint.bad(&format!("{account} not rescued")),
        (Kind::SecretSync, _) => paint.bad(&format!("{account} not synced")),
        (Kind::SecretRestart, _) => paint.bad(&format!("{account} not restarted")),
        (Kind::SecretStatus, _) => return String::new(),
    };
    let dry_run = dry_run(result);
    let facts = match result.kind {
        Kind::SecretRotation | Kind::SecretRollback if result.dry_run => versions(result),
        Kind::SecretRotation | Kind::SecretRollback => format!("{}{}", versions(result), back_compat(result)),
        Kind::SecretRestart => {
            let (ready, all) = pods(result);
            format!("{ready} of {} on {}", counted(all as usize, "pod"), newest(result))
        }
        Kind::SecretSync
        | Kind::SecretFinalization
        | Kind::SecretRescue
        | Kind::SecretVerification
        | Kind::SecretStatus => {
            format!("{}{}", newest(result), back_compat(result))
        }
    };
    format!("{done}{dry_run}: {}\n", printable(&facts))
}

/// That nothing was done, and who has judged it.
fn dry_run(result: &AccountResult) -> &'static str {
    match (result.dry_run, result.judged_by_server) {
        (false, _) => "",
        (true, false) => " (dry run)",
        (true, true) => BY_SERVER,
    }
}

/// Nothing was done, and yet more than looked at.
pub(super) const BY_SERVER: &str = " (server dry run: the API server has nothing against the changes to the cluster)";

fn verdict_against(result: &AccountResult, paint: Paint) -> String {
    let failed = result.checks.iter().filter(|check| check.result == Verdict::Fail).count();
    let count = match failed {
        0 if result.message.is_empty() => "see above".to_owned(),
        0 => printable(&result.message).into_owned(),
        1 => "1 check failed".to_owned(),
        failed => format!("{failed} checks failed"),
    };
    let state = if result.state.is_empty() { String::new() } else { format!(" (state {})", result.state) };
    let head = paint.bad(&format!("{}: not as it should be", result.account));
    format!("{head}{state}: {count}\n")
}

/// `primary v7 → v8, v7 disabled`.
pub(super) fn versions(result: &AccountResult) -> String {
    let Some(rotation) = &result.rotation else { return newest(result) };
    let previous = &rotation.previous;
    let change = match rotation.version.as_str() {
        "" => match result.primary.as_ref().map(|primary| primary.latest.as_str()) {
            Some(latest) if !latest.is_empty() && latest != previous => {
                format!("primary v{previous}, v{latest} is the newest now")
            }
            Some(_) | None => format!("primary v{previous}, no version added"),
        },
        same if same == previous => return format!("primary v{same}"),
        version => format!("primary v{previous} → v{version}"),
    };
    let mut versions = result.primary.iter().flat_map(|primary| &primary.versions);
    let now = versions.find(|version| &version.version == previous).map(|version| match version.state {
        VersionState::Enabled => "enabled",
        VersionState::Disabled => "disabled",
        VersionState::Destroyed => "destroyed",
    });
    match now.filter(|_| !rotation.version.is_empty() && !result.dry_run) {
        Some(now) => format!("{change}, v{previous} {now}"),
        None => change,
    }
}

/// `primary v8`.
pub(super) fn newest(result: &AccountResult) -> String {
    match &result.primary {
        Some(primary) if !primary.latest.is_empty() => format!("primary v{}", primary.latest),
        Some(_) | None => "no version of the primary".to_owned(),
    }
}

/// `; back-compat v1 holds primary v7`.
fn back_compat(result: &AccountResult) -> String {
    match &result.back_compat {
        Some(view) if !view.latest.is_empty() => {
            format!("; back-compat v{} holds {}", view.latest, held(&view.holds, view.same_as.as_deref()))
        }
        Some(_) => "; no back-compat".to_owned(),
        None => String::new(),
    }
}

/// What a place holds: by the version that held the same value, where the place's own version is all that names it.
pub(super) fn held(holds: &str, same_as: Option<&str>) -> String {
    match same_as.map(|version| version.trim_start_matches("primary ")) {
        Some(version) => format!("what {version} held"),
        None => holds.to_owned(),
    }
}

/// Pods that are proven to be on the newest version, and all that run or are wanted.
pub(super) fn pods(result: &AccountResult) -> (u32, u32) {
    let sum = |count: fn(&deepdesk_protocol::result::ConsumerResult) -> u32| result.consumers.iter().map(count).sum();
    (sum(|consumer| consumer.on_latest), sum(|consumer| consumer.desired.max(consumer.on_latest + consumer.older)))
}

/// What each place holds, and should.
fn places(result: &AccountResult, fits: Option<Option<usize>>, paint: Paint) -> String {
    let mut table = Table::new(&["PLACE", "HOLDS", "EXPECTED"]);
    let newest_expected = newest(result);
    let whole = result.kind == Kind::SecretVerification;
    if let Some(primary) = result.primary.as_ref().filter(|_| whole) {
        let state = primary.versions.first().map(|version| version.state);
        let holds = match state {
            Some(VersionState::Disabled) => format!("{newest_expected}, disabled"),
            Some(VersionState::Destroyed) => format!("{newest_expected}, destroyed"),
            Some(VersionState::Enabled) | None => newest_expected.clone(),
        };
        table.row([&primary.secret, &holds, &newest_expected]);
        if holds != newest_expected {
            table.mark();
        }
    }
    let kept = result
        .back_compat
        .as_ref()
        .map_or_else(|| "nothing".to_owned(), |view| held(&view.holds, view.same_as.as_deref()));
    let kept = kept.as_str();
    if let Some(view) = result.back_compat.as_ref().filter(|_| whole) {
        table.row([&view.secret, kept, ""]);
    }
    for external in &result.external_secrets {
        for key in &external.keys {
            let expected = match key.source {
                deepdesk_protocol::facts::observation::Source::Primary => newest_expected.as_str(),
                deepdesk_protocol::facts::observation::Source::BackCompat => kept,
            };
            let holds = held(&key.holds, key.same_as.as_deref());
            // As it should be, and yet another value: it cannot be told from its bytes.
            let untold = key.as_expected && holds != expected;
            table.row([
                &format!("secret/{} {}", external.target, key.key),
                &holds,
                if untold { "not compared" } else { expected },
            ]);
            if !key.as_expected {
                table.mark();
            }
        }
    }
    for consumer in result.consumers.iter().filter(|_| whole) {
        let running = consumer.on_latest + consumer.older;
        let holds = match consumer.older {
            0 if running == 0 => "no pods".to_owned(),
            0 => newest_expected.clone(),
            unproven if unproven == consumer.unproven => {
                format!("{unproven} of {} unproven", counted(running as usize, "pod"))
            }
            older => format!("{older} of {} older", counted(running as usize, "pod")),
        };
        table.row([&format!("{}/{}", consumer.kind.to_lowercase(), consumer.name), &holds, &newest_expected]);
        if consumer.older > 0 {
            table.mark();
        }
    }
    match fits {
        _ if table.is_empty() => String::new(),
        Some(width) => table.fitted(width, &[]).render_with(None, paint),
        None => table.render_with(None, paint),
    }
}

/// The consumers; wide, with the reasons why each is one.
fn consumers(result: &AccountResult, fits: Option<Option<usize>>, detail: Detail) -> String {
    if result.consumers.is_empty() {
        return String::new();
    }
    let unproven = result.consumers.iter().any(|consumer| consumer.unproven > 0);
    let mut titles = vec!["KIND", "NAME", "PODS", "ON-LATEST", "OLDER"];
    titles.extend(unproven.then_some("UNPROVEN"));
    titles.extend((detail == Detail::Wide).then_some("REASON"));
    let mut table = Table::new(&titles);
    for consumer in &result.consumers {
        let counts = [consumer.desired, consumer.on_latest, consumer.older - consumer.unproven];
        let mut cells = vec![consumer.kind.clone(), consumer.name.clone()];
        cells.extend(counts.into_iter().chain(unproven.then_some(consumer.unproven)).map(|count| count.to_string()));
        if detail == Detail::Wide {
            cells.push(consumer.reasons.join(", "));
        }
        table.push(cells);
    }
    match fits {
        Some(width) => table.fitted(width, &[]).render(),
        None => table.render(),
    }
}

fn steps(result: &AccountResult, width: Option<usize>) -> String {
    if result.steps.is_empty() {
        return String::new();
    }
    let mut table = Table::new(&["STEP", "STATE", "SECONDS", "DETAIL"]);
    for step in &result.steps {
        table.row([step.name.as_str(), state_word(step.state), &format!("{:.1}", step.seconds), &step.detail]);
    }
    table.render_with(width, Paint(false))
}

fn state_word(state: deepdesk_protocol::event::StepState) -> &'static str {
    use deepdesk_protocol::event::StepState;
    match state {
        StepState::Started => "started",
        StepState::Skipped => "skipped",
        StepState::Waiting => "waiting",
        StepState::Done => "done",
        StepState::Failed => "failed",
        StepState::Warning => "warning",
        StepState::Output => "output",
    }
}

fn context(result: &AccountResult) -> String {
    let mut out = String::new();
    for (name, value) in [
        ("context", &result.context),
        ("project", &result.project),
        ("namespace", &result.namespace),
        ("state", &result.state),
    ] {
        if !value.is_empty() {
            out.push_str(&format!("{name:<9}   {}\n", printable(value)));
        }
    }
    out
}

/// What remains: who was not reached, how long it hurt, what to do next.
fn close(result: &AccountResult) -> String {
    let mut out = String::new();
    if let Some(at_work) = &result.at_work {
        out.push_str(&format!("at work: {}\n", printable(&at_work.in_words(jiff::Timestamp::now()))));
    }
    let restarts = !matches!(result.kind, Kind::SecretSync | Kind::SecretVerification);
    for reader in result.other_readers.iter().filter(|_| restarts && !result.dry_run) {
        let how = match reader.running {
            true => "it runs now, on the value that it started with",
            false => "it takes the new value when it next starts",
        };
        out.push_str(&format!("not restarted: {}: {how}\n", printable(&reader.named())));
    }
    if let Some(seconds) = result.interruption_seconds {
        out.push_str(&format!(
            "interruption: {seconds:.1}s in which pods on the old and on the new value both served\n"
        ));
    }
    if let Some(EvidenceResult::Job { command, job, exit_code: Some(code), seconds, .. }) = &result.evidence {
        let line = format!("evidence: `{command}` exited with {code} after {seconds:.1}s (job {job}, deleted)");
        out.push_str(&format!("{}\n", printable(&line)));
    }
    for value in &result.without_slot {
        out.push_str(&format!("no slot: no pod reads the value of {}, and data may need it\n", printable(value)));
    }
    for place in &result.exposed {
        out.push_str(&format!("exposed: {}\n", printable(place)));
    }
    if is_reencryption_due(result) {
        out.push_str(&due(&newest(result), &result.account));
    }
    out
}

/// Whether the old value still waits for the data to leave it.
pub(super) fn is_reencryption_due(result: &AccountResult) -> bool {
    result.exit_code == 0 && !result.dry_run && result.state == "AwaitingReencryption"
}

/// What an operator has to do after a rotation.
pub(super) fn due(under: &str, accounts: &str) -> String {
    format!(
        "due: save every encrypted field again, under {under}: {accounts}.\n     \
         Then retire the old value: kubectl deepdesk secret finalize {}.\n     \
         Until then the back-compat stays, and another rotation is refused\n",
        accounts.replace(", ", " ")
    )
}

/// The checks that failed and, for a verification, that warn. What the problem on standard error said already is not
/// said again.
fn failed_checks(result: &AccountResult, paint: Paint, detail: Detail) -> String {
    let told = |check: &CheckResult| match (check.result, detail, result.kind) {
        (_, Detail::Wide, _) => true,
        (Verdict::Fail, _, Kind::SecretVerification) | (Verdict::Warn, _, Kind::SecretVerification) => true,
        (Verdict::Fail, ..) => check.message.is_empty() || !result.message.contains(&check.message),
        (Verdict::Pass | Verdict::Warn, ..) => false,
    };
    let shown: Vec<CheckResult> = result.checks.iter().filter(|check| told(check)).cloned().collect();
    checks(&shown, paint)
}

/// Checks, each with what was found and the hint below it.
pub(super) fn checks(checks: &[CheckResult], paint: Paint) -> String {
    let mut out = String::new();
    for check in checks {
        let word = match check.result {
            Verdict::Pass => paint.good("pass"),
            Verdict::Warn => paint.warn("warn"),
            Verdict::Fail => paint.bad("FAIL"),
        };
        out.push_str(&format!("{word}  {} ({})\n", check.name, check.id));
        if !check.message.is_empty() {
            out.push_str(&format!("      {}\n", printable(&check.message)));
        }
        if !check.hints.is_empty() {
            out.push_str(&format!("      {} {}\n", paint.info("hint:"), hint::in_one_line(&check.hints)));
        }
    }
    out
}
