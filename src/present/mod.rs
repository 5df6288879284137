//! Reads events and results, writes bytes, decides nothing.
//!
//! Standard output carries the result alone; progress, plans, warnings and problems go to standard error. A stream
//! that fails (a pipe whose reader left) is remembered and never written again: telling about a run must not stop it.
//! Text that may come from a server is made printable on the way out, so that no escape reaches a terminal, and the values
//! that the run knows are taken out of it: here, where everything passes, and when all of them are known.

mod checkup;
mod human;
mod live;
mod machine;
mod overview;
mod plan;
mod progress;
pub mod report;
mod sink;
mod status;
mod table;
mod text;
pub mod wording;

use std::io::{self, Write};

use jiff::Timestamp;
use serde::Serialize;
use serde_json::{Value, json};

use human::Detail;
use live::{Live, Shared};
pub use plan::PlanView;
use progress::{News, Told};
use sink::Sink;
use table::Table;
use text::{Newlines, Paint, escaped_json, printable, wrap};

use crate::known::KnownValues;
use deepdesk_protocol::checkup::{Checkup, Groups};
use deepdesk_protocol::event::{Event, StepState};
use deepdesk_protocol::facts::names::AccountName;
use deepdesk_protocol::problem::Problem;
use deepdesk_protocol::result::{API_VERSION, AccountResult, CheckResult, ProblemResult, Verdict};

/// The form of the result (`-o`).
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Output {
    /// Short, for people.
    #[default]
    Human,
    /// For people, with the reasons and the checks that passed.
    Wide,
    /// One JSON object, or a `List`.
    Json,
    /// The same as YAML.
    Yaml,
    /// The names of the objects that ended well, nothing else.
    Name,
}

/// The form of the progress (`--progress`).
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Progress {
    /// Rewritten in place on a terminal, `Plain` elsewhere.
    #[default]
    Auto,
    /// A line for each event that says something new.
    Plain,
    /// A JSON object a line.
    Json,
    /// Warnings only.
    None,
}

/// Whether to colour (`--color`).
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Color {
    /// On a terminal that wants it.
    #[default]
    Auto,
    Always,
    Never,
}

/// What the streams lead to.
#[derive(Clone, Copy, Debug)]
pub struct Terminal {
    /// Whether standard output is a terminal.
    pub stdout: bool,
    /// Whether standard error is a terminal that can move its cursor; with `TERM=dumb` it cannot.
    pub stderr: bool,
    /// Columns.
    pub width: usize,
    /// Whether the environment asks for no colour (`NO_COLOR`, `TERM=dumb`).
    pub no_color: bool,
}

impl Default for Terminal {
    /// Two pipes.
    fn default() -> Terminal {
        Terminal { stdout: false, stderr: false, width: 80, no_color: false }
    }
}

/// What the operator asked for.
#[derive(Clone, Copy, Debug, Default)]
pub struct Style {
    /// `-o`.
    pub output: Output,
    /// `--progress`.
    pub progress: Progress,
    /// `--color`.
    pub color: Color,
    /// `--quiet`: leaves out notes.
    pub quiet: bool,
}

/// What is to be known of a result as a whole.
#[derive(Clone, Copy, Debug)]
pub struct Whole<'a> {
    /// Whether the call was of a form that asks for several accounts: then the result is a list, however many there are.
    pub as_list: bool,
    /// What the process ends with.
    pub exit_code: u8,
    /// What ended the run.
    pub problem: Option<&'a Problem>,
}

impl Whole<'_> {
    /// The reason of a list: what ended the run, else the first that an item has.
    fn reason<'i>(&self, mut items: impl Iterator<Item = &'i str>) -> String {
        match (self.exit_code, self.problem) {
            (0, _) => String::new(),
            (_, Some(problem)) => problem.reason.to_string(),
            (_, None) => items.find(|reason| !reason.is_empty()).unwrap_or_default().to_owned(),
        }
    }
}

/// A result that has no form of its own here: one row a thing.
#[derive(Clone, Debug, Default)]
pub struct Listing {
    /// Titles, `NAME` first; no blanks in them.
    pub titles: Vec<&'static str>,
    /// As many cells a row as there are titles.
    pub rows: Vec<Vec<String>>,
    /// What `-o name` prints.
    pub names: Vec<String>,
}

/// How progress is shown, settled at the start.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Mode {
    Live,
    Plain,
    Json,
    Silent,
}

/// Writes what happened and what came of it.
pub struct Presenter<O: Write, E: Write + Send + 'static> {
    style: Style,
    terminal: Terminal,
    mode: Mode,
    out_paint: Paint,
    err_paint: Paint,
    stdout: Sink<O>,
    stderr: Shared<E>,
    live: Live<E>,
    told: Told,
    seen: status::Watched,
    known: KnownValues,
}

impl<O: Write, E: Write + Send + 'static> Presenter<O, E> {
    /// A presenter over these streams, which shows none of the known values.
    pub fn new(style: Style, terminal: Terminal, stdout: O, stderr: E, known: KnownValues) -> Self {
        Self::with_spinner(style, terminal, stdout, stderr, known, true)
    }

    fn with_spinner(style: Style, terminal: Terminal, stdout: O, stderr: E, known: KnownValues, turning: bool) -> Self {
        let paint = |is_terminal: bool| {
            Paint(match style.color {
                Color::Auto => is_terminal && !terminal.no_color,
                Color::Always => true,
                Color::Never => false,
            })
        };
        let mode = match style.progress {
            Progress::Auto if terminal.stderr => Mode::Live,
            Progress::Auto | Progress::Plain => Mode::Plain,
            Progress::Json => Mode::Json,
            Progress::None => Mode::Silent,
        };
        let (out_paint, err_paint) = (paint(terminal.stdout), paint(terminal.stderr));
        let (stdout, stderr) = (Sink::new(stdout, known.clone()), Shared::new(Sink::new(stderr, known.clone())));
        let live = Live::new(stderr.clone(), terminal.width, err_paint, turning);
        Presenter {
            style,
            terminal,
            mode,
            out_paint,
            err_paint,
            stdout,
            stderr,
            live,
            told: Told::default(),
            seen: Default::default(),
            known,
        }
    }

    /// Asks `size` for columns and rows before each drawing: a window may be resized during a run. Optional.
    pub fn resize_with(&mut self, size: impl Fn() -> (usize, usize) + Send + 'static) {
        self.live.resize_with(Box::new(size));
    }

    /// Names the accounts of the run, so that their lines align from the first on. Optional.
    pub fn expect<'a>(&mut self, accounts: impl IntoIterator<Item = &'a AccountName>) {
        accounts.into_iter().for_each(|account| self.told.expect(account));
    }

    /// Tells one event, on standard error.
    pub fn event(&mut self, event: &Event) {
        let news = self.told.hear(event);
        match self.mode {
            Mode::Json => self.json_line(event),
            Mode::Plain if news.new => {
                let line = self.told.plain(event, &news, self.err_paint);
                self.put_err(&line);
            }
            Mode::Plain => {}
            Mode::Silent if event.state == StepState::Warning => {
                self.warning(&format!("{}: {}: {}", event.account, event.step.as_str(), event.detail));
            }
            Mode::Silent => {}
            Mode::Live => self.draw(event, &news),
        }
    }

    fn draw(&mut self, event: &Event, news: &News) {
        match event.state {
            StepState::Started | StepState::Waiting => {
                self.live.show(event, self.told.step(event));
                return;
            }
            StepState::Done | StepState::Skipped | StepState::Failed => self.live.end(&event.account),
            StepState::Warning | StepState::Output => {}
        }
        let line = self.told.ended(event, news, self.err_paint, self.live.width());
        self.put_err(&line);
    }

    /// Runs `f`, a question, with nothing drawn meanwhile.
    pub fn suspend<T>(&mut self, f: impl FnOnce() -> T) -> T {
        self.live.suspend(f)
    }

    /// Takes what is drawn in place off the terminal; lines that stand stay. Also done when the presenter is dropped.
    pub fn finish(&mut self) {
        self.live.end_all();
    }

    /// Shows the plan before the question, on standard error. Where events are JSON or not wanted and standard error is
    /// no terminal, nobody is asked and nothing is shown.
    pub fn plan(&mut self, plan: &PlanView<'_>) {
        if self.terminal.stderr || matches!(self.mode, Mode::Live | Mode::Plain) {
            let width = self.terminal.stderr.then(|| self.live.width());
            let text = plan::render(plan, self.err_paint, width);
            self.live.put(&text);
        }
    }

    /// Writes the results to standard output, in the form asked for.
    pub fn results(&mut self, results: &[AccountResult], whole: &Whole<'_>) {
        self.finish();
        let text = match self.style.output {
            Output::Human => human::render(results, self.out_width(), self.out_paint, Detail::Short),
            Output::Wide => human::render(results, self.out_width(), self.out_paint, Detail::Wide),
            Output::Json => machine::json_results(results, whole, &self.known),
            Output::Yaml => machine::yaml_results(results, whole, &self.known),
            Output::Name => machine::names(results),
        };
        self.put_out(&text);
    }

    /// Writes the states of accounts: a row each and what is due below.
    pub fn statuses(&mut self, results: &[AccountResult], whole: &Whole<'_>, now: Timestamp) {
        self.finish();
        let text = match self.style.output {
            Output::Human => status::render(results, now, self.out_width(), self.out_paint, Detail::Short),
            Output::Wide => status::render(results, now, self.out_width(), self.out_paint, Detail::Wide),
            Output::Json => machine::json_results(results, whole, &self.known),
            Output::Yaml => machine::yaml_results(results, whole, &self.known),
            Output::Name => status::names(results),
        };
        self.put_out(&text);
    }

    /// The same where nothing was seen of any: for programs. People are told by the problem alone.
    pub fn statuses_unseen(&mut self, results: &[AccountResult], whole: &Whole<'_>) {
        if matches!(self.style.output, Output::Json | Output::Yaml) {
            self.statuses(results, whole, Timestamp::now());
        }
    }

    /// Writes the states of accounts once more: on a terminal in place of those before, or `afresh` below what was
    /// written since; elsewhere what is new of them.
    ///
    /// `lost` is told above them, where they are of before and nothing newer can be seen.
    pub fn watched(
        &mut self,
        results: &[AccountResult],
        now: Timestamp,
        size: Option<(usize, usize)>,
        afresh: bool,
        lost: Option<&str>,
    ) {
        self.finish();
        let detail = if self.style.output == Output::Wide { Detail::Wide } else { Detail::Short };
        let human = matches!(self.style.output, Output::Human | Output::Wide);
        let text = match size.filter(|_| human && self.terminal.stdout) {
            Some(size) => {
                let text = status::render(results, now, Some(size.0), self.out_paint, detail);
                let lost = lost.map(|lost| format!("{}\n", self.out_paint.bad(&printable(lost)))).unwrap_or_default();
                self.seen.redrawn(&format!("{lost}{text}"), size, afresh)
            }
            None => {
                let new = self.seen.news(results);
                match self.style.output {
                    Output::Human | Output::Wide => self.seen.rows(results, &new, now, detail),
                    Output::Json => new.iter().map(|at| machine::json(&results[*at], &self.known)).collect(),
                    Output::Yaml => {
                        new.iter().map(|at| format!("---\n{}", machine::yaml(&results[*at], &self.known))).collect()
                    }
                    Output::Name => status::names(&new.iter().map(|at| results[*at].clone()).collect::<Vec<_>>()),
                }
            }
        };
        self.put_out(&text);
    }

    /// Whether what is watched is drawn in place.
    pub fn draws(&self) -> bool {
        self.terminal.stdout && matches!(self.style.output, Output::Human | Output::Wide)
    }

    /// Writes checks as the result: all of them for people, `object` as JSON or YAML, the names of those that passed.
    pub fn checks(&mut self, object: &impl Serialize, checks: &[CheckResult]) {
        self.finish();
        let text = match self.style.output {
            Output::Human | Output::Wide => human::checks(checks, self.out_paint),
            Output::Json => machine::json(object, &self.known),
            Output::Yaml => machine::yaml(object, &self.known),
            Output::Name => {
                let passed = checks.iter().filter(|check| check.result == Verdict::Pass);
                passed.map(|check| format!("{}\n", check.name)).collect()
            }
        };
        self.put_out(&text);
    }

    /// Writes what `check` found: by group for people, of `short` only what is not fine. Of a selection the groups of accounts come
    /// first, and for people alone, unless they ask for what is not fine.
    pub fn checkups(&mut self, checkups: &[Checkup], groups: Option<Groups>, whole: &Whole<'_>, short: bool) {
        self.finish();
        let missing: Vec<&ProblemResult> = checkups.iter().filter_map(|checkup| checkup.problem.as_ref()).collect();
        let text = match (self.style.output, checkups, &groups) {
            (Output::Human | Output::Wide | Output::Name, _, Some(groups)) if !short => {
                let width = self.terminal.stdout.then_some(self.terminal.width);
                checkup::render_groups(groups, checkups, self.out_paint, width)
            }
            (Output::Human | Output::Wide | Output::Name, _, _) => {
                let asked: Vec<Checkup> =
                    checkups.iter().filter(|checkup| checkup.problem.is_none()).cloned().collect();
                checkup::render(&asked, checkups.len() > 1, self.out_paint, self.terminal.stdout, short)
            }
            (Output::Json, [one], _) if !whole.as_list => machine::json(one, &self.known),
            (Output::Json, _, _) => machine::json(&checkup::list(checkups, groups.clone(), whole), &self.known),
            (Output::Yaml, [one], _) if !whole.as_list => machine::yaml(one, &self.known),
            (Output::Yaml, _, _) => machine::yaml(&checkup::list(checkups, groups.clone(), whole), &self.known),
        };
        self.put_out(&text);
        for problem in missing {
            let told = Problem::new(problem.reason, &problem.message);
            self.problem(&problem.hints.iter().fold(told, |told, hint| told.hint(hint.clone())));
        }
    }

    /// The same where nothing was asked of any: for programs. People are told by the problem alone.
    pub fn checkups_unasked(&mut self, checkups: &[Checkup], whole: &Whole<'_>) {
        self.finish();
        let text = match (self.style.output, checkups) {
            (Output::Human | Output::Wide | Output::Name, _) => return,
            (Output::Json, [one]) if !whole.as_list => machine::json(one, &self.known),
            (Output::Json, _) => machine::json(&checkup::list(checkups, None, whole), &self.known),
            (Output::Yaml, [one]) if !whole.as_list => machine::yaml(one, &self.known),
            (Output::Yaml, _) => machine::yaml(&checkup::list(checkups, None, whole), &self.known),
        };
        self.put_out(&text);
    }

    /// Writes paragraphs as the result, `object` for programs. On a terminal they are wrapped.
    pub fn paragraph(&mut self, object: &impl Serialize, paragraphs: &[String]) {
        self.finish();
        let width = self.terminal.stdout.then_some(self.terminal.width);
        let text = match self.style.output {
            Output::Human | Output::Wide | Output::Name => paragraphs
                .iter()
                .map(|text| format!("{}\n", wrap(&printable(text), 0, width)))
                .collect::<Vec<_>>()
                .join("\n"),
            Output::Json => machine::json(object, &self.known),
            Output::Yaml => machine::yaml(object, &self.known),
        };
        self.put_out(&text);
    }

    /// Writes any other result: a table for people, `object` as JSON or YAML, the names.
    pub fn list(&mut self, object: &impl Serialize, listing: &Listing) {
        self.finish();
        let text = match self.style.output {
            Output::Human | Output::Wide => {
                let mut table = Table::new(&listing.titles);
                listing.rows.iter().for_each(|row| table.push(row.clone()));
                match self.style.output {
                    // Whoever asks for more gets all of it.
                    Output::Wide => table.render(),
                    _ => table.fitted(self.out_width(), &["CLUSTER", "CURRENT"]).render(),
                }
            }
            Output::Json => machine::json(object, &self.known),
            Output::Yaml => machine::yaml(object, &self.known),
            Output::Name => listing.names.iter().map(|name| format!("{}\n", printable(name))).collect(),
        };
        self.put_out(&text);
    }

    /// For whoever reads JSON or YAML: `empty`, the object without anything in it, and why that is so. In the other forms nothing.
    pub fn no_result(&mut self, empty: Value, problem: &Problem) {
        if matches!(self.style.output, Output::Json | Output::Yaml) {
            let mut object = json!({"apiVersion": API_VERSION, "exitCode": problem.exit.code(),
                "reason": problem.reason, "problem": ProblemResult::from(problem)});
            if let (Value::Object(object), Value::Object(empty)) = (&mut object, empty) {
                object.extend(empty);
            }
            self.list(&object, &Listing::default());
        }
    }

    /// A line of the result for people; in the other forms there is none.
    pub fn line(&mut self, text: &str) {
        self.finish();
        if matches!(self.style.output, Output::Json | Output::Yaml | Output::Name) {
            return;
        }
        self.stdout.put(&format!("{}\n", printable(text)));
    }

    /// Says what is wrong, what holds now and what to do next, on standard error.
    pub fn problem(&mut self, problem: &Problem) {
        if self.mode == Mode::Json {
            let more = json!({"reason": problem.reason, "exitCode": problem.exit.code(), "now": problem.now,
                "hints": problem.hints});
            return self.aside("failed", &problem.message, more);
        }
        let paint = self.err_paint;
        let width = self.err_width();
        let said = |line: &str, mark: usize| wrap(&printable(line), mark + 1, width);
        let mut text = format!("{} {}\n", paint.bad("error:"), said(&problem.message, 6));
        for line in &problem.now {
            text.push_str(&format!("{} {}\n", paint.strong("now:"), said(line, 4)));
        }
        for hint in &problem.hints {
            // A command is to be copied whole.
            let line = hint.to_string();
            let line = if hint.command().is_some() { printable(&line).into_owned() } else { said(&line, 5) };
            text.push_str(&format!("{} {line}\n", paint.info("hint:")));
        }
        self.live.put(&text);
    }

    /// Something worth knowing, on standard error.
    pub fn note(&mut self, text: &str) {
        if self.style.quiet {
            return;
        }
        match self.mode {
            Mode::Json => self.aside("note", text, json!({})),
            Mode::Live | Mode::Plain | Mode::Silent => {
                self.put_err(&format!("note: {}", wrap(&printable(text), 6, self.err_width())));
            }
        }
    }

    /// A request that was sent, as one line, on standard error: for whoever asked for it, so also where notes are left out.
    pub fn request(&mut self, text: &str) {
        match self.mode {
            Mode::Json => self.aside("request", text, json!({})),
            Mode::Live | Mode::Plain | Mode::Silent => self.put_err(&self.err_paint.dim(&printable(text))),
        }
    }

    /// Something to look at, on standard error.
    pub fn warning(&mut self, text: &str) {
        match self.mode {
            Mode::Json => self.aside("warning", text, json!({})),
            Mode::Live | Mode::Plain | Mode::Silent => {
                let text = wrap(&printable(text), 9, self.err_width());
                self.put_err(&format!("{} {text}", self.err_paint.warn("warning:")));
            }
        }
    }

    /// The first failure of writing to standard output, if there was one: the result did not arrive whole.
    pub fn stdout_error(&self) -> Option<&io::Error> {
        self.stdout.failed()
    }

    /// The kind of the first failure of writing to standard error, if there was one.
    pub fn stderr_error(&self) -> Option<io::ErrorKind> {
        self.stderr.lock().failed().map(io::Error::kind)
    }

    /// Columns of the terminal that the result goes to; none where it goes elsewhere.
    fn out_width(&self) -> Option<usize> {
        self.terminal.stdout.then_some(self.terminal.width)
    }

    /// Columns of the terminal that standard error is; none where it is none.
    fn err_width(&self) -> Option<usize> {
        self.terminal.stderr.then(|| self.live.width())
    }

    /// Puts out a result in the form asked for.
    fn put_out(&mut self, text: &str) {
        match self.style.output {
            Output::Human | Output::Wide | Output::Name => self.stdout.put(text),
            Output::Json | Output::Yaml => self.stdout.put_hidden(text),
        }
    }

    fn put_err(&self, line: &str) {
        self.live.put(&format!("{line}\n"));
    }

    /// A JSON line for what belongs to no step, in the shape of an event, so that a reader needs no second one.
    fn aside(&self, state: &str, detail: &str, more: Value) {
        let mut line =
            json!({"time": Timestamp::now(), "account": "", "step": "", "state": state, "detail": printable(detail)});
        if let (Some(line), Value::Object(more)) = (line.as_object_mut(), more) {
            line.extend(more);
        }
        self.json_line(&line);
    }

    fn json_line(&self, object: &impl Serialize) {
        // Our own types: plain structs and strings, which always serialize.
        if let Ok(mut value) = serde_json::to_value(object) {
            self.known.hide_in(&mut value);
            self.live.put_hidden(&format!("{}\n", escaped_json(&value.to_string(), Newlines::None)));
        }
    }
}

impl<O: Write, E: Write + Send + 'static> Drop for Presenter<O, E> {
    fn drop(&mut self) {
        self.finish();
    }
}

#[cfg(test)]
mod tests;
