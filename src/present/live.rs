//! Progress on a terminal: a line for each account, rewritten in place while its step runs; below what has ended.

use std::collections::BTreeMap;
use std::fmt;
use std::io::{self, Write};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use indicatif::style::{ProgressStyle, ProgressTracker};
use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressState, TermLike};

use super::progress::SECONDS;
use super::sink::Sink;
use super::text::{Paint, cut, printable};
use deepdesk_protocol::event::{Event, StepState};
use deepdesk_protocol::facts::names::AccountName;

/// Frames of the spinner; the last one is for what has ended and is never seen.
const FRAMES: [&str; 11] = ["⠋", "⠙", "⠹", "⠸", "⠼", "⠴", "⠦", "⠧", "⠇", "⠏", " "];
/// Time between two frames.
const FRAME: Duration = Duration::from_millis(100);

/// How many columns and rows the terminal has.
pub(super) type Size = Box<dyn Fn() -> (usize, usize) + Send>;

/// The stream that lines go to, shared with the thread that turns the spinners.
pub(super) struct Shared<E>(Arc<Mutex<Sink<E>>>);

impl<E> Clone for Shared<E> {
    fn clone(&self) -> Self {
        Shared(Arc::clone(&self.0))
    }
}

impl<E: Write> Shared<E> {
    pub(super) fn new(sink: Sink<E>) -> Shared<E> {
        Shared(Arc::new(Mutex::new(sink)))
    }

    /// The sink, also after a panic elsewhere: half a line is better than none.
    pub(super) fn lock(&self) -> MutexGuard<'_, Sink<E>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The running steps on a terminal.
pub(super) struct Live<E: Write + Send + 'static> {
    stream: Shared<E>,
    size: Arc<Mutex<Size>>,
    paint: Paint,
    turning: bool,
    /// Made at the first step, so that a run without one draws nothing.
    screen: Option<MultiProgress>,
    lanes: BTreeMap<AccountName, Lane>,
}

/// The line of one account.
struct Lane {
    bar: ProgressBar,
    shown: Arc<Mutex<Shown>>,
}

/// What a lane shows besides the spinner.
struct Shown {
    /// The account and the step.
    step: String,
    detail: String,
    /// Since when something is waited for.
    waiting: Option<Instant>,
}

impl<E: Write + Send + 'static> Live<E> {
    /// Nothing is drawn yet. `turning` is false in tests, where no thread may draw by itself.
    pub(super) fn new(stream: Shared<E>, width: usize, paint: Paint, turning: bool) -> Live<E> {
        let size: Size = Box::new(move || (width, 24));
        let lanes = BTreeMap::new();
        Live { stream, size: Arc::new(Mutex::new(size)), paint, turning, screen: None, lanes }
    }

    /// Asks `size` before each drawing from now on: a window may be resized.
    pub(super) fn resize_with(&mut self, size: Size) {
        *lock(&self.size) = size;
    }

    /// The columns now.
    pub(super) fn width(&self) -> usize {
        lock(&self.size)().0
    }

    /// Shows a step that goes on: `step` is its account and name, to stand in front.
    pub(super) fn show(&mut self, event: &Event, step: String) {
        let detail = printable(&event.detail).into_owned();
        let waits = event.state == StepState::Waiting;
        let Some(lane) = self.lanes.get(&event.account) else {
            let waiting = waits.then(Instant::now);
            let shown = Arc::new(Mutex::new(Shown { step, detail, waiting }));
            let lane = self.open(shown);
            self.lanes.insert(event.account.clone(), lane);
            return;
        };
        let mut shown = lock(&lane.shown);
        let goes_on = event.state != StepState::Started && shown.step == step;
        let waiting = waits.then(|| shown.waiting.filter(|_| goes_on).unwrap_or_else(Instant::now));
        *shown = Shown { step, detail, waiting };
        // The spinner's thread holds the bar while it asks for what is shown.
        drop(shown);
        if !goes_on {
            lane.bar.reset_elapsed();
        }
        lane.bar.tick();
    }

    fn open(&mut self, shown: Arc<Mutex<Shown>>) -> Lane {
        let target = || {
            let term = Term { stream: self.stream.clone(), size: Arc::clone(&self.size), drawn: Mutex::default() };
            MultiProgress::with_draw_target(ProgressDrawTarget::term_like(Box::new(term)))
        };
        let bar = self.screen.get_or_insert_with(target).add(ProgressBar::new_spinner());
        let frames = FRAMES.map(|frame| self.paint.info(frame));
        let line = Line { shown: Arc::clone(&shown), size: Arc::clone(&self.size) };
        let style = ProgressStyle::default_spinner()
            .template("{spinner} {line}")
            .unwrap_or_else(|_| ProgressStyle::default_spinner())
            .tick_strings(&frames.each_ref().map(String::as_str))
            .with_key("line", line);
        bar.set_style(style);
        if self.turning {
            bar.enable_steady_tick(FRAME);
        }
        bar.tick();
        Lane { bar, shown }
    }

    /// Takes an account's line away.
    pub(super) fn end(&mut self, account: &AccountName) {
        if let Some(lane) = self.lanes.remove(account) {
            lane.bar.finish_and_clear();
            if let Some(screen) = &self.screen {
                screen.remove(&lane.bar);
            }
        }
    }

    /// Takes all lines away.
    pub(super) fn end_all(&mut self) {
        for account in self.lanes.keys().cloned().collect::<Vec<_>>() {
            self.end(&account);
        }
    }

    /// Runs `f` with nothing drawn.
    pub(super) fn suspend<T>(&self, f: impl FnOnce() -> T) -> T {
        match self.screen.as_ref().filter(|_| !self.lanes.is_empty()) {
            Some(screen) => screen.suspend(f),
            None => f(),
        }
    }

    /// Writes lines that stay, above what is drawn.
    pub(super) fn put(&self, text: &str) {
        self.suspend(|| self.stream.lock().put(text));
    }

    /// The same with what has no values in it any more.
    pub(super) fn put_hidden(&self, text: &str) {
        self.suspend(|| self.stream.lock().put_hidden(text));
    }
}

/// The line of a lane, made anew at each drawing.
#[derive(Clone)]
struct Line {
    shown: Arc<Mutex<Shown>>,
    size: Arc<Mutex<Size>>,
}

impl ProgressTracker for Line {
    fn clone_box(&self) -> Box<dyn ProgressTracker> {
        Box::new(self.clone())
    }

    fn tick(&mut self, _: &ProgressState, _: Instant) {}

    fn reset(&mut self, _: &ProgressState, _: Instant) {}

    fn write(&self, state: &ProgressState, out: &mut dyn fmt::Write) {
        let shown = lock(&self.shown);
        let line = match shown.waiting {
            // From the column of the seconds on: what is waited for is worth more room than a straight edge.
            Some(since) => format!("{}waiting {}s: {}", shown.step, since.elapsed().as_secs(), shown.detail),
            None => {
                let seconds = format!("{}s", state.elapsed().as_secs());
                format!("{}{seconds:>SECONDS$}  {}", shown.step, shown.detail)
            }
        };
        // The spinner and a blank stand before.
        let line = cut(line.trim_end(), lock(&self.size)().0.saturating_sub(2));
        let _ = out.write_str(&line); // into a String: cannot fail
    }
}

/// What indicatif takes for a terminal. It panics when one of these fails, so none does: the sink remembers instead.
struct Term<E> {
    stream: Shared<E>,
    size: Arc<Mutex<Size>>,
    /// The drawing under way: written in one piece, or it would flicker.
    drawn: Mutex<Drawing>,
}

#[derive(Default)]
struct Drawing {
    text: String,
    begun: bool,
}

impl<E> Term<E> {
    fn add(&self, text: &str) -> io::Result<()> {
        lock(&self.drawn).text.push_str(text);
        Ok(())
    }

    /// A cursor movement. By zero it would move by one.
    fn go(&self, n: usize, to: char) -> io::Result<()> {
        if n == 0 { Ok(()) } else { self.add(&format!("\u{1b}[{n}{to}")) }
    }
}

impl<E> fmt::Debug for Term<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Term")
    }
}

impl<E: Write + Send> TermLike for Term<E> {
    fn width(&self) -> u16 {
        u16::try_from(lock(&self.size)().0).unwrap_or(u16::MAX).max(1)
    }

    fn height(&self) -> u16 {
        u16::try_from(lock(&self.size)().1).unwrap_or(u16::MAX).max(1)
    }

    fn move_cursor_up(&self, n: usize) -> io::Result<()> {
        self.go(n, 'A')
    }

    fn move_cursor_down(&self, n: usize) -> io::Result<()> {
        self.go(n, 'B')
    }

    fn move_cursor_right(&self, n: usize) -> io::Result<()> {
        self.go(n, 'C')
    }

    fn move_cursor_left(&self, n: usize) -> io::Result<()> {
        self.go(n, 'D')
    }

    fn write_line(&self, text: &str) -> io::Result<()> {
        self.add(text)?;
        self.add("\n")
    }

    /// indicatif fills each line with blanks and lets the terminal wrap into the next. In a window that was resized, or
    /// with characters of two columns, that leaves lines in the wrong places; so here a line is ended in words. What
    /// was there before is cleared already.
    fn write_str(&self, text: &str) -> io::Result<()> {
        if text.trim_matches(' ').is_empty() {
            return Ok(());
        }
        let begun = std::mem::replace(&mut lock(&self.drawn).begun, true);
        self.add(if begun { "\r\n" } else { "" })?;
        self.add(text)
    }

    fn clear_line(&self) -> io::Result<()> {
        self.add("\r\u{1b}[2K")
    }

    fn flush(&self) -> io::Result<()> {
        let drawn = std::mem::take(&mut *lock(&self.drawn));
        self.stream.lock().put(&drawn.text);
        Ok(())
    }
}

/// A lock that a panic elsewhere does not close: nothing behind it can be half done.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
