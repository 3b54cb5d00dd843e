//! Progress on the terminal: one line that is redrawn, plain lines where there is no terminal, and
//! Ctrl-C turned into a request to stop at the next safe point.

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

/// How long a command that keeps nothing of a part of its work has to end by itself.
const PATIENCE: Duration = Duration::from_millis(700);
/// Shortest time between two plain lines.
const LINE_EVERY: Duration = Duration::from_secs(10);
/// Shortest time between two drawings of a bar.
const DRAW_EVERY: Duration = Duration::from_millis(50);

/// How much is said on standard error.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Volume {
    /// Warnings and errors.
    Quiet,
    /// Progress, and a line for what is done.
    Usual,
    /// What was read, written and chosen as well.
    Verbose,
}

/// The one console of a process.
pub struct Console {
    screen: Arc<Screen>,
    stop: Arc<AtomicBool>,
    /// Whether a stop may end the process wherever it stands.
    nothing_to_save: Arc<AtomicBool>,
}

/// Standard error, shared with the thread that waits for Ctrl-C.
struct Screen {
    terminal: bool,
    volume: Volume,
    prefix: Mutex<Prefix>,
    task: Mutex<Option<Task>>,
}

/// What several tasks in a row belong to ("MTT 5/9").
#[derive(Default)]
struct Prefix {
    text: String,
    /// Whether a line has named it already.
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
    /// Takes over Ctrl-C: the first asks to stop (and `speaks` says that it did), the second ends the process at
    /// once.
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

    /// From here on a request to stop ends the process in less than a second, also while it waits for a pipe that
    /// nobody writes into: for commands that keep nothing of a part of their work.
    pub fn nothing_to_save(&self) {
        self.nothing_to_save.store(true, Ordering::SeqCst);
    }

    /// Text before every task's name ("MTT 5/9").
    pub fn set_prefix(&self, text: &str) {
        *lock(&self.screen.prefix) = Prefix { text: text.to_owned(), said: false };
    }

    /// Takes an unfinished bar off the terminal, so that what comes next starts on a line of its own.
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
    /// A line, above the bar if there is one.
    fn say(&self, text: &str) {
        print_above(lock(&self.task).as_ref(), text);
    }

    /// The same from the thread that waits for Ctrl-C, which must not wait for one that writes.
    fn interrupted(&self, text: &str) {
        match self.task.try_lock() {
            Ok(task) => print_above(task.as_ref(), text),
            Err(_) => print(&format!("\n{text}")),
        }
    }

    /// A line worth keeping, under the name of what it belongs to.
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

/// What a worker that is not the first shows: nothing; Ctrl-C reaches it all the same.
pub struct Quiet<'a>(pub &'a Console);

impl Progress for Quiet<'_> {
    fn cancelled(&self) -> bool {
        self.0.stopped()
    }
}

/// For tasks that write nothing before their end.
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
        // A task within a task takes its place; its bar must not stay on the terminal.
        self.screen.clear();
        let prefix = lock(&self.screen.prefix).text.clone();
        let name = if prefix.is_empty() { task.to_owned() } else { format!("{prefix}: {task}") };
        let units = if unit.ends_with("ch") { format!("{unit}es") } else { format!("{unit}s") };
        let draws = self.screen.terminal && self.screen.volume > Volume::Quiet;
        let bar = draws.then(|| {
            let bar = ProgressBar::no_length();
            // The line is made here, cut to the terminal by the style.
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
        // Tasks of a blink are not worth a line.
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
