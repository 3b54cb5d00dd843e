//! Progress on the terminal: one line that is redrawn, or plain lines if standard error is not a
//! terminal. Ctrl-C becomes a request to stop at the next safe point.

mod line;

use crate::interrupt;
use crate::output::note;
use crate::shown::shown;
use indicatif::{ProgressBar, ProgressStyle};
use line::Standing;
use std::io::IsTerminal;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tickless_train::progress::Progress;

/// Longest time that a command with nothing to save may take to stop by itself.
const PATIENCE: Duration = Duration::from_millis(700);
/// Shortest time between two plain lines.
const LINE_EVERY: Duration = Duration::from_secs(10);
/// Shortest time between two updates of a bar.
const DRAW_EVERY: Duration = Duration::from_millis(50);

/// The amount that is printed on standard error.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Volume {
    /// Warnings and errors.
    Quiet,
    /// Also progress, and a line per finished task.
    Usual,
    /// Also what was read, written and chosen.
    Verbose,
}

/// The console; a process has one.
pub struct Console {
    screen: Arc<Screen>,
    stop: Arc<AtomicBool>,
    /// Whether a request to stop may end the process at any point.
    nothing_to_save: Arc<AtomicBool>,
}

/// Standard error, shared with the thread that handles Ctrl-C.
struct Screen {
    terminal: bool,
    volume: Volume,
    prefix: Mutex<Prefix>,
    task: Mutex<Option<Task>>,
}

/// A name for several consecutive tasks ("MTT 5/9").
#[derive(Default)]
struct Prefix {
    text: String,
    /// Whether a line has shown it.
    said: bool,
}

struct Task {
    name: String,
    units: String,
    total: u64,
    done: u64,
    note: String,
    begun: Instant,
    said: Instant,
    bar: Option<ProgressBar>,
}

fn print(text: &str) {
    note!("{text}");
}

impl Console {
    /// Installs the Ctrl-C handler: the first request sets the stop flag (and prints that if
    /// `speaks`), the second ends the process at once.
    pub fn new(speaks: bool, volume: Volume) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let terminal = std::io::stderr().is_terminal();
        let screen = Arc::new(Screen { terminal, volume, prefix: Mutex::default(), task: Mutex::new(None) });
        let nothing_to_save = Arc::new(AtomicBool::new(false));
        let (shown, impatient) = (screen.clone(), nothing_to_save.clone());
        interrupt::watch(stop.clone(), move || {
            if speaks {
                shown.interrupted("stopping at the next step (Ctrl-C again stops at once)");
            }
            if impatient.load(Ordering::SeqCst) {
                std::thread::spawn(|| {
                    std::thread::sleep(PATIENCE);
                    interrupt::end();
                });
            }
        });
        Self { screen, stop, nothing_to_save }
    }

    /// From this call on, a request to stop ends the process within a second, even while it waits
    /// for a pipe that has no writer. For commands that keep no partial results.
    pub fn nothing_to_save(&self) {
        self.nothing_to_save.store(true, Ordering::SeqCst);
    }

    /// Sets the text before every task's name ("MTT 5/9").
    pub fn set_prefix(&self, text: &str) {
        *lock(&self.screen.prefix) = Prefix { text: text.to_owned(), said: false };
    }

    /// Removes an unfinished bar from the terminal, so that later output starts on a line of its
    /// own.
    pub fn leave(&self) {
        self.screen.clear();
    }

    /// Whether the user asked to stop.
    pub fn stopped(&self) -> bool {
        self.stop.load(Ordering::SeqCst)
    }

    /// The flag that Ctrl-C sets.
    pub fn stop_flag(&self) -> &AtomicBool {
        &self.stop
    }
}

impl Screen {
    /// Prints a line, above the bar if there is one.
    fn say(&self, text: &str) {
        print_above(lock(&self.task).as_ref(), text);
    }

    /// The same for the thread that handles Ctrl-C, which must not wait for a lock that another
    /// thread holds while it writes.
    fn interrupted(&self, text: &str) {
        match self.task.try_lock() {
            Ok(task) => print_above(task.as_ref(), text),
            Err(_) => print(&format!("\n{text}")),
        }
    }

    /// Prints a line that stays, below the prefix that it belongs to.
    fn keep(&self, text: &str) {
        let mut prefix = lock(&self.prefix);
        if !prefix.said && !prefix.text.is_empty() {
            prefix.said = true;
            self.say(&format!("{}:", prefix.text));
        }
        self.say(text);
    }

    fn clear(&self) {
        if let Some(bar) = lock(&self.task).take().and_then(|t| t.bar) {
            bar.finish_and_clear();
        }
    }
}

fn print_above(task: Option<&Task>, text: &str) {
    match task.and_then(|t| t.bar.as_ref()) {
        Some(bar) => bar.suspend(|| print(text)),
        None => print(text),
    }
}

/// The progress of a worker that is not the first: it prints nothing, but Ctrl-C still stops it.
pub struct Quiet<'a>(pub &'a Console);

impl Progress for Quiet<'_> {
    fn cancelled(&self) -> bool {
        self.0.stopped()
    }
}

/// For tasks that write nothing before their end: returns an error if the user asked to stop.
///
/// # Errors
/// If the user asked to stop.
pub fn stop(progress: &dyn Progress) -> anyhow::Result<()> {
    anyhow::ensure!(!progress.cancelled(), "stopped by the user; nothing was written");
    Ok(())
}

fn lock<T>(m: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    m.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

impl Task {
    fn standing(&self) -> Standing<'_> {
        let Task { name, units, done, total, note, begun, .. } = self;
        Standing { name, units, done: *done, total: *total, seconds: begun.elapsed().as_secs_f64(), note }
    }
}

impl Progress for Console {
    fn start(&self, task: &str, total: u64, unit: &str) {
        // A task that starts within another replaces it, and the bar of the other must not stay.
        self.screen.clear();
        let prefix = lock(&self.screen.prefix).text.clone();
        let name = if prefix.is_empty() { task.to_owned() } else { format!("{prefix}: {task}") };
        let units = if unit.ends_with("ch") { format!("{unit}es") } else { format!("{unit}s") };
        let draws = self.screen.terminal && self.screen.volume > Volume::Quiet;
        let bar = draws.then(|| {
            let bar = ProgressBar::no_length();
            // The line is composed by `Standing`; the style cuts it to the terminal's width.
            let style = ProgressStyle::with_template("{wide_msg}");
            bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
            bar
        });
        let now = Instant::now();
        let task = Task { name, units, total, done: 0, note: String::new(), begun: now, said: now, bar };
        if let Some(bar) = &task.bar {
            bar.set_message(shown(&task.standing().running(true)).into_owned());
        }
        *lock(&self.screen.task) = Some(task);
    }

    fn advance(&self, n: u64, note: &str) {
        let mut task = lock(&self.screen.task);
        let Some(t) = task.as_mut() else { return };
        t.done = t.done.saturating_add(n);
        if !note.is_empty() {
            note.clone_into(&mut t.note);
        }
        let due = if t.bar.is_some() { DRAW_EVERY } else { LINE_EVERY };
        if t.said.elapsed() < due {
            return;
        }
        t.said = Instant::now();
        match &t.bar {
            Some(bar) => bar.set_message(shown(&t.standing().running(true)).into_owned()),
            None if self.screen.volume > Volume::Quiet => print(&t.standing().running(false)),
            None => {}
        }
    }

    fn finish(&self) {
        let Some(t) = lock(&self.screen.task).take() else { return };
        if let Some(bar) = &t.bar {
            bar.finish_and_clear();
        }
        // A task shorter than a second gets no line on a terminal.
        let worth = t.begun.elapsed().as_secs_f64() > 1.0 || !self.screen.terminal;
        match self.screen.volume {
            Volume::Quiet => {}
            Volume::Usual if !worth => {}
            _ => print(&t.standing().finished()),
        }
    }

    fn line(&self, text: &str) {
        if self.screen.volume > Volume::Quiet {
            self.screen.keep(text);
        }
    }

    fn warn(&self, text: &str) {
        self.screen.keep(&format!("warning: {text}"));
    }

    fn detail(&self, text: &str) {
        if self.screen.volume == Volume::Verbose {
            self.screen.keep(text);
        }
    }

    fn cancelled(&self) -> bool {
        self.stopped()
    }
}
