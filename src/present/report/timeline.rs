//! The timeline, drawn as pictures of one scale below each other: steps, syncs, pods. Several, so that paper can be cut
//! between them. Names stand in a column at the left and numbers in one at the right, where no bar can reach them.

use super::{AccountReport, between, esc, length};
use deepdesk_protocol::event::{StepName, StepState};
use deepdesk_protocol::facts::names::WorkloadRef;
use deepdesk_protocol::result::AccountResult;
use deepdesk_protocol::trail::{PodLife, SyncLife, Trail};

/// The whole picture, and the columns within it.
const WIDE: f64 = 900.0;
const LEFT: f64 = 240.0;
const RIGHT: f64 = 826.0;
/// Room for the titles of a picture, and for each row.
const HEAD: f64 = 24.0;
const ROW: f64 = 16.0;
/// Characters that fit into the column of names.
const NAME: usize = 34;
/// Rows of one picture: what a page of paper surely holds.
const ROWS: usize = 45;

/// One row: its name, what is drawn, and the text at its end.
struct Row {
    name: String,
    /// From, to and class of each bar, in seconds of the scale.
    bars: Vec<(f64, f64, String)>,
    /// Moments.
    marks: Vec<f64>,
    note: String,
}

/// What the pictures have in common.
struct Scale {
    from: jiff::Timestamp,
    seconds: f64,
    /// When pods on both values served.
    shades: Vec<(f64, f64)>,
}

impl Scale {
    fn at(&self, time: jiff::Timestamp) -> f64 {
        between(self.from, time)
    }

    fn x(&self, seconds: f64) -> f64 {
        LEFT + (RIGHT - LEFT) * (seconds / self.seconds).clamp(0.0, 1.0)
    }
}

/// The pods, by workload and by when they came.
pub(super) fn in_order(trail: &Trail) -> Vec<&PodLife> {
    let mut pods: Vec<&PodLife> = trail.pods.iter().collect();
    pods.sort_by_key(|pod| (pod.workload.clone(), pod.first_seen, pod.name.clone()));
    pods
}

/// The pictures with their legend; empty where nothing moved (a verification, a dry run).
pub(super) fn timeline(account: &AccountReport) -> String {
    let AccountReport { result, trail, started, ended, .. } = account;
    if result.steps.is_empty() || result.dry_run {
        return String::new();
    }
    // What a person thought about for minutes would leave no room for what happened within seconds.
    let asked = result.steps.iter().find(|step| step.name == StepName::Confirm && step.state == StepState::Done);
    let thought = asked.map_or(0.0, |step| between(*started, step.started) + step.seconds);
    let from = started.checked_add(jiff::SignedDuration::from_secs_f64(thought)).unwrap_or(*started);
    let mut scale = Scale { from, seconds: between(from, *ended).max(0.05), shades: Vec::new() };
    let spans = trail.interruptions.iter();
    scale.shades = spans.map(|span| (scale.at(span.from), span.to.map_or(scale.seconds, |to| scale.at(to)))).collect();
    let mut bands = vec![("Steps".to_owned(), steps(result, &scale))];
    bands.push(("Syncs of ExternalSecrets".to_owned(), syncs(trail, &scale)));
    bands.extend(pods(result, trail, &scale));
    let pictures: String =
        bands.iter().filter(|(_, rows)| !rows.is_empty()).map(|(title, rows)| band(title, rows, &scale)).collect();
    let note = if asked.is_some() { ", from the moment it was confirmed" } else { "" };
    format!("<h3>Timeline{note}</h3>\n<figure>\n{pictures}{}</figure>\n", legend(result, trail))
}

fn steps(result: &AccountResult, scale: &Scale) -> Vec<Row> {
    let shown = result.steps.iter().filter(|step| step.state != StepState::Skipped);
    let rows = shown.filter_map(|step| {
        let from = scale.at(step.started);
        let open = matches!(step.state, StepState::Started | StepState::Waiting);
        let to = if open { scale.seconds } else { from + step.seconds };
        let class = if open || step.state == StepState::Failed { "failed" } else { "step" };
        let failed = if class == "failed" { "✗ " } else { "" };
        (from > -0.001).then(|| Row {
            name: step.name.as_str().to_owned(),
            bars: vec![(from, to, class.to_owned())],
            marks: Vec::new(),
            note: format!("{failed}{}", length(to - from)),
        })
    });
    rows.collect()
}

fn syncs(trail: &Trail, scale: &Scale) -> Vec<Row> {
    let mut rows: Vec<Row> = Vec::new();
    for SyncLife { external_secret, asked, arrived, .. } in &trail.syncs {
        let Some(first) = asked.first() else { continue };
        let (from, to) = (scale.at(*first), arrived.map_or(scale.seconds, |arrived| scale.at(arrived)));
        let class = if arrived.is_some() { "step" } else { "failed" };
        let at = rows.iter().position(|row| row.name == external_secret.as_str()).unwrap_or_else(|| {
            rows.push(Row {
                name: external_secret.to_string(),
                bars: Vec::new(),
                marks: Vec::new(),
                note: String::new(),
            });
            rows.len() - 1
        });
        rows[at].bars.push((from, to, class.to_owned()));
        rows[at].marks.extend(asked.iter().map(|time| scale.at(*time)));
        rows[at].note = if arrived.is_some() { length(to - from) } else { "✗ none".to_owned() };
    }
    rows
}

fn pods(result: &AccountResult, trail: &Trail, scale: &Scale) -> Vec<(String, Vec<Row>)> {
    let mut bands: Vec<(String, Vec<Row>)> = Vec::new();
    let mut last: Option<&WorkloadRef> = None;
    for pod in in_order(trail) {
        let more = last == Some(&pod.workload);
        match bands.last_mut().filter(|(_, rows)| more && rows.len() < ROWS) {
            Some((_, rows)) => rows.push(life(result, pod, scale)),
            None => {
                let title = if more { format!("{} (more)", pod.workload) } else { pod.workload.to_string() };
                bands.push((title, vec![life(result, pod, scale)]));
            }
        }
        last = Some(&pod.workload);
    }
    bands
}

/// From creation to ready, from there to its leaving, from there to its end.
fn life(result: &AccountResult, pod: &PodLife, scale: &Scale) -> Row {
    let class = colour(result, pod);
    let end = pod.gone.map_or(scale.seconds, |gone| scale.at(gone));
    let leaving = pod.leaving.map_or(end, |leaving| scale.at(leaving)).min(end);
    let ready = pod.ready.map_or(leaving, |ready| scale.at(ready)).min(leaving);
    let begun = if pod.was_there { 0.0 } else { scale.at(pod.first_seen) };
    let ready = if pod.was_there && pod.ready == Some(pod.first_seen) { begun } else { ready };
    let phases = [(begun, ready, "starting"), (ready, leaving, ""), (leaving, end, "leaving")];
    let bars = phases.into_iter().filter(|(from, to, _)| to > from && *to > 0.0);
    Row {
        name: pod.name.clone(),
        bars: bars.map(|(from, to, phase)| (from, to, format!("{class} {phase}").trim_end().to_owned())).collect(),
        marks: Vec::new(),
        note: pod.version.map_or_else(|| "?".to_owned(), |version| version.to_string()),
    }
}

/// The two versions of a change of the value.
fn change(result: &AccountResult) -> Option<(&str, &str)> {
    let rotation = result.rotation.as_ref()?;
    let (from, to) = (rotation.previous.as_str(), rotation.version.as_str());
    (!to.is_empty() && from != to).then_some((from, to))
}

/// By the value that it started with; where there is one alone, by whether it was there before.
fn colour(result: &AccountResult, pod: &PodLife) -> &'static str {
    match (change(result), pod.version) {
        (Some((_, to)), Some(version)) if version.get().to_string() == to => "new",
        (Some(_), Some(_)) => "old",
        (Some(_), None) => "open",
        (None, _) if pod.was_there => "old",
        (None, _) => "new",
    }
}

/// One picture.
fn band(title: &str, rows: &[Row], scale: &Scale) -> String {
    let high = HEAD + ROW * rows.len() as f64 + 6.0;
    let bottom = high - 4.0;
    let mut out = format!(
        "<svg viewBox=\"0 0 {WIDE} {high}\" role=\"img\" aria-label=\"{0}\">\n<text class=\"band\" x=\"0\" y=\"15\">{1}</text>\n",
        esc(title),
        esc(&middle_cut(title))
    );
    for (from, to) in &scale.shades {
        let (from, to) = (scale.x(*from), scale.x(*to));
        out.push_str(&format!(
            "<rect class=\"shade\" x=\"{from:.1}\" y=\"{HEAD}\" width=\"{:.1}\" height=\"{:.1}\"/>\n",
            (to - from).max(1.0),
            bottom - HEAD
        ));
    }
    for (seconds, label) in ticks(scale.seconds) {
        let x = scale.x(seconds);
        out.push_str(&format!(
            "<line class=\"grid\" x1=\"{x:.1}\" y1=\"{HEAD}\" x2=\"{x:.1}\" y2=\"{bottom}\"/><text class=\"tick middle\" x=\"{x:.1}\" y=\"15\">{label}</text>\n"
        ));
    }
    for (from, to) in &scale.shades {
        for x in [scale.x(*from), scale.x(*to)] {
            out.push_str(&format!(
                "<line class=\"edge\" x1=\"{x:.1}\" y1=\"{HEAD}\" x2=\"{x:.1}\" y2=\"{bottom}\"/>\n"
            ));
        }
    }
    for (number, row) in rows.iter().enumerate() {
        out.push_str(&drawn(row, HEAD + ROW * number as f64, scale));
    }
    out.push_str("</svg>\n");
    out
}

fn drawn(row: &Row, top: f64, scale: &Scale) -> String {
    let mut out = format!(
        "<g><title>{}</title><text x=\"8\" y=\"{:.1}\">{}</text>",
        esc(&format!("{} {}", row.name, row.note)),
        top + 12.0,
        esc(&middle_cut(&row.name))
    );
    for (from, to, class) in &row.bars {
        let (from, to) = (scale.x(*from), scale.x(*to));
        out.push_str(&format!(
            "<rect class=\"{class}\" x=\"{from:.1}\" y=\"{:.1}\" width=\"{:.1}\" height=\"8\"/>",
            top + 4.0,
            (to - from).max(1.5)
        ));
    }
    for mark in row.marks.iter().map(|mark| scale.x(*mark)) {
        let (y1, y2) = (top + 2.0, top + 14.0);
        out.push_str(&format!("<line class=\"ask\" x1=\"{mark:.1}\" y1=\"{y1}\" x2=\"{mark:.1}\" y2=\"{y2}\"/>"));
    }
    out.push_str(&format!(
        "<text class=\"soft end\" x=\"{WIDE}\" y=\"{:.1}\">{}</text></g>\n",
        top + 12.0,
        esc(&row.note)
    ));
    out
}

/// At most nine moments, at round seconds.
fn ticks(seconds: f64) -> Vec<(f64, String)> {
    const STEPS: [f64; 18] =
        [0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1800.0, 3600.0];
    let step = STEPS.into_iter().find(|step| seconds / step <= 8.0).unwrap_or((seconds / 8.0 / 3600.0).ceil() * 3600.0);
    let count = (seconds / step).floor() as u32;
    let label = |at: f64| match at.round() as u64 {
        _ if step < 0.1 => format!("{at:.2} s"),
        _ if step < 1.0 => format!("{at:.1} s"),
        whole if seconds < 120.0 => format!("{whole} s"),
        whole if seconds < 7200.0 => format!("{}:{:02}", whole / 60, whole % 60),
        whole => format!("{}:{:02} h", whole / 3600, whole / 60 % 60),
    };
    (0..=count).map(|number| f64::from(number) * step).map(|at| (at, label(at))).collect()
}

/// What tells one name of a workload's from another stands at its ends.
fn middle_cut(name: &str) -> String {
    let shown: Vec<char> = name.chars().collect();
    if shown.len() <= NAME {
        return name.to_owned();
    }
    let (head, tail) = (NAME - NAME / 2 - 1, NAME / 2);
    shown[..head].iter().chain(['…'].iter()).chain(&shown[shown.len() - tail..]).collect()
}

fn legend(result: &AccountResult, trail: &Trail) -> String {
    let (old, new) = match change(result) {
        Some((from, to)) => (format!("pod on v{from} or older"), format!("pod on v{to}")),
        None => ("pod of before".to_owned(), "pod made by the restart".to_owned()),
    };
    let has = |class: &str| trail.pods.iter().any(|pod| colour(result, pod) == class);
    let mut items = Vec::new();
    let mut item = |wanted: bool, drawing: &str, text: &str| {
        if wanted {
            items.push(format!("<span><svg viewBox=\"0 0 30 11\">{drawing}</svg>{}</span>", esc(text)));
        }
    };
    let bar = |class: &str| format!("<rect class=\"{class}\" x=\"1\" y=\"1.5\" width=\"28\" height=\"8\"/>");
    item(has("old"), &bar("old"), &old);
    item(has("new"), &bar("new"), &new);
    item(has("open"), &bar("open"), "pod of which no version is proven");
    item(trail.pods.iter().any(|pod| !pod.was_there), &bar("new starting"), "starting");
    item(trail.pods.iter().any(|pod| pod.leaving.is_some()), &bar("old leaving"), "on its way out");
    let ask = "<line class=\"ask\" x1=\"15\" y1=\"0\" x2=\"15\" y2=\"11\"/>";
    item(!trail.syncs.is_empty(), ask, "sync asked for");
    let failed = result.steps.iter().any(|step| matches!(step.state, StepState::Failed | StepState::Started))
        || trail.syncs.iter().any(|sync| sync.arrived.is_none());
    item(failed, &bar("failed"), "failed, or not ended");
    let shade = "<rect class=\"shade\" x=\"1\" y=\"0\" width=\"28\" height=\"11\"/>";
    item(!trail.interruptions.is_empty(), shade, "pods on the old and on the new value both serve");
    format!("<figcaption class=\"legend\">{}</figcaption>\n", items.concat())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_few_and_round() {
        for (seconds, labels) in [
            (0.05, "0.00 s 0.01 s 0.02 s 0.03 s 0.04 s 0.05 s"),
            (3.9, "0.0 s 0.5 s 1.0 s 1.5 s 2.0 s 2.5 s 3.0 s 3.5 s"),
            (9.0, "0 s 2 s 4 s 6 s 8 s"),
            (118.0, "0 s 20 s 40 s 60 s 80 s 100 s"),
            (130.0, "0:00 0:20 0:40 1:00 1:20 1:40 2:00"),
            (4000.0, "0:00 10:00 20:00 30:00 40:00 50:00 60:00"),
            (90_000.0, "0:00 h 4:00 h 8:00 h 12:00 h 16:00 h 20:00 h 24:00 h"),
        ] {
            let shown: Vec<String> = ticks(seconds).into_iter().map(|(_, label)| label).collect();
            assert_eq!(shown.join(" "), labels, "{seconds}");
        }
    }

    #[test]
    fn a_long_name_keeps_both_ends() {
        assert_eq!(middle_cut("admin-7d9f8c6b5-x2x4z"), "admin-7d9f8c6b5-x2x4z");
        let cut = middle_cut(&format!("{}-7d9f8c6b5-x2x4z", "a-very-long-name-of-a-workload-indeed"));
        assert_eq!(cut, "a-very-long-name…d-7d9f8c6b5-x2x4z".to_owned());
        assert_eq!(cut.chars().count(), NAME);
    }
}
