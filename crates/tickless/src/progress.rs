//! Progress on the terminal: a bar with rate and time left, plain lines where there is no
//! terminal, and Ctrl-C turned into a request to stop at the next safe point.

use crate::interrupt;
use crate::output::note;
use indicatif::{ProgressBar, ProgressStyle};
use std::io::IsTerminal;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tickless_train::progress::Progress;

/// Shortest time between two plain lines.
const LINE_EVERY: Duration = Duration::from_secs(10);

/// The one console of a process.
pub struct Console {
    terminal: bool,
    stop: Arc<AtomicBool>,
    prefix: Mutex<String>,
    task: Mutex<Option<Task>>,
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

impl Console {
    /// Takes over Ctrl-C: the first asks to stop (and `speaks` says that it did), the second ends the process at
    /// once.
    pub fn new(speaks: bool) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        interrupt::watch(stop.clone(), move || {
            if speaks {
                note!("\nstopping at the next step (Ctrl-C again stops at once)");
            }
        });
        let terminal = std::io::stderr().is_terminal();
        Self { terminal, stop, prefix: Mutex::new(String::new()), task: Mutex::new(None) }
    }

    /// Text before every task's name ("MTT seed 2 (5/9)").
    pub fn set_prefix(&self, text: &str) {
        *lock(&self.prefix) = text.to_owned();
    }

    /// Takes an unfinished bar off the terminal, so that what comes next starts on a line of its own.
    pub fn leave(&self) {
        if let Some(bar) = lock(&self.task).take().and_then(|t| t.bar) {
            bar.finish_and_clear();
        }
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
    fn line(&self) -> String {
        let seconds = self.begun.elapsed().as_secs_f64();
        let rate = self.done as f64 / seconds.max(1e-9);
        let left = (self.total.saturating_sub(self.done)) as f64 / rate.max(1e-9);
        let Task { name, units, done, total, note, .. } = self;
        let mb = |n: f64| n / 1e6;
        match (units.as_str(), *total) {
            ("bytes", 0) => format!("{name}: {:.1} MB  {:.1} MB/s  {note}", mb(*done as f64), mb(rate)),
            ("bytes", total) => {
                let (done, total, rate) = (mb(*done as f64), mb(total as f64), mb(rate));
                format!("{name}: {done:.1}/{total:.1} MB  {rate:.1} MB/s  {note}  {left:.0} s left")
            }
            _ => format!("{name}: {done}/{total} {units}  {rate:.1} {units}/s  {note}  {left:.0} s left"),
        }
    }
}

impl Progress for Console {
    fn start(&self, task: &str, total: u64, unit: &str) {
        let prefix = lock(&self.prefix).clone();
        let name = if prefix.is_empty() { task.to_owned() } else { format!("{prefix}: {task}") };
        let units = if unit.ends_with("ch") { format!("{unit}es") } else { format!("{unit}s") };
        let bar = self.terminal.then(|| {
            let counted = match unit {
                "byte" => "{bytes}/{total_bytes}  {bytes_per_sec}".to_owned(),
                _ => format!("{{pos}}/{{len}} {units}  {{per_sec}}"),
            };
            // Of a task whose end is not known there is no bar and no time left.
            let style = match total {
                0 => format!("{{prefix}} {{spinner}} {counted}  {{msg}}")
                    .replace("/{total_bytes}", "")
                    .replace("/{len}", ""),
                _ => format!("{{prefix}} {{wide_bar}} {counted}  {{msg}}  {{eta}} left"),
            };
            let bar = if total == 0 { ProgressBar::no_length() } else { ProgressBar::new(total) };
            bar.set_style(ProgressStyle::with_template(&style).unwrap_or_else(|_| ProgressStyle::default_bar()));
            bar.set_prefix(name.clone());
            bar
        });
        let now = Instant::now();
        let note = String::new();
        *lock(&self.task) = Some(Task { name, units, total, done: 0, note, begun: now, said: now, bar });
    }

    fn advance(&self, n: u64, note: &str) {
        if let Some(t) = lock(&self.task).as_mut() {
            t.done += n;
            if !note.is_empty() {
                t.note = note.to_owned();
            }
            match &t.bar {
                Some(bar) => {
                    bar.inc(n);
                    bar.set_message(t.note.clone());
                }
                None if t.said.elapsed() >= LINE_EVERY => {
                    note!("{}", t.line());
                    t.said = Instant::now();
                }
                None => {}
            }
        }
    }

    fn finish(&self) {
        if let Some(t) = lock(&self.task).take() {
            if let Some(bar) = &t.bar {
                bar.finish_and_clear();
            }
            let seconds = t.begun.elapsed().as_secs_f64();
            // Tasks of a blink are not worth a line.
            if seconds > 1.0 || !self.terminal {
                let done = match t.units.as_str() {
                    "bytes" => format!("{:.1} MB", t.done as f64 / 1e6),
                    units => format!("{} {units}", t.done),
                };
                let line = format!("{}: {done} in {seconds:.1} s  {}", t.name, t.note);
                note!("{}", line.trim_end());
            }
        }
    }

    fn line(&self, text: &str) {
        match lock(&self.task).as_ref().and_then(|t| t.bar.as_ref()) {
            Some(bar) => bar.suspend(|| note!("{text}")),
            None => note!("{text}"),
        }
    }

    fn cancelled(&self) -> bool {
        self.stopped()
    }
}
