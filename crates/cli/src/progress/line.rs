//! Shows how far a task is, in one line of at most [`COLUMNS`] columns.
//!
//! A longer line wraps on a common terminal, and a bar that wraps erases the lines above it when it
//! is redrawn. Parts that do not fit are left out whole: first the bar, then the rate, then the
//! unit, then the note from its end.

/// Columns of a common terminal.
pub(super) const COLUMNS: usize = 80;
/// Columns of the shortest and of the longest bar.
const BAR: (usize, usize) = (8, 24);

/// The state of a task.
#[derive(Debug, Clone, Copy)]
pub(super) struct Standing<'a> {
    /// Name of the task.
    pub name: &'a str,
    /// The unit's plural.
    pub units: &'a str,
    /// Units done.
    pub done: u64,
    /// Units in total; 0 if unknown.
    pub total: u64,
    /// Seconds since the task began.
    pub seconds: f64,
    /// The worker's message, in parts that two spaces separate.
    pub note: &'a str,
}

impl Standing<'_> {
    /// The line while the task runs. `bar` says whether a terminal redraws it, so that it may have
    /// a bar.
    pub(super) fn running(&self, bar: bool) -> String {
        let rate = self.done as f64 / self.seconds.max(1e-9);
        let left = match self.total.checked_sub(self.done) {
            // Before the first unit is done the rate is unknown.
            Some(left) if self.total > 0 && self.done > 0 => format!("{} left", about(left as f64 / rate)),
            _ => String::new(),
        };
        let (counted, unit) = self.counted();
        let rate = match self.units {
            "bytes" => format!("{:.1} MB/s", rate / 1e6),
            _ => format!("{rate:.1}/s"),
        };
        let notes: Vec<&str> = parts(self.note).collect();
        let most = notes.len();
        // From the fullest form to the shortest; the first that fits is used.
        let forms =
            [(true, true, most), (false, true, most)].into_iter().chain((0..=most).rev().map(|n| (false, false, n)));
        let mut line = String::new();
        for (with_rate, with_unit, notes_kept) in forms {
            let head = format!("{}: {counted}{}", self.name, if with_unit { unit.as_str() } else { "" });
            let rate = if with_rate { rate.as_str() } else { "" };
            let tail = notes[..notes_kept].iter().copied().chain([left.as_str()]);
            line = join([head.as_str(), rate].into_iter().chain(tail));
            if width(&line) <= COLUMNS {
                break;
            }
        }
        let room = COLUMNS.saturating_sub(width(&line) + 2);
        if bar && self.total > 0 && room >= BAR.0 {
            let whole = room.min(BAR.1);
            let filled = (whole as f64 * self.done.min(self.total) as f64 / self.total as f64) as usize;
            line += &format!("  {}{}", "█".repeat(filled), "░".repeat(whole - filled));
        }
        cut(&line)
    }

    /// The line that stays after the task has finished.
    pub(super) fn finished(&self) -> String {
        let done = match self.units {
            "bytes" => format!("{:.1} MB", self.done as f64 / 1e6),
            units => format!("{} {units}", self.done),
        };
        let head = format!("{}: {done} in {:.1} s", self.name, self.seconds);
        let notes: Vec<&str> = parts(self.note).collect();
        let fitting =
            (0..=notes.len()).rev().map(|n| join(std::iter::once(head.as_str()).chain(notes[..n].iter().copied())));
        cut(&fitting.into_iter().find(|l| width(l) <= COLUMNS).unwrap_or(head))
    }

    /// Units done (of the total), and the unit with a space before it.
    fn counted(&self) -> (String, String) {
        let mb = |n: u64| n as f64 / 1e6;
        match (self.units, self.total) {
            ("bytes", 0) => (format!("{:.1}", mb(self.done)), " MB".into()),
            ("bytes", total) => (format!("{:.1}/{:.1}", mb(self.done), mb(total)), " MB".into()),
            (units, 0) => (self.done.to_string(), format!(" {units}")),
            (units, total) => (format!("{}/{total}", self.done), format!(" {units}")),
        }
    }
}

fn parts(note: &str) -> impl Iterator<Item = &str> {
    note.split("  ").map(str::trim).filter(|p| !p.is_empty())
}

fn join<'a>(parts: impl Iterator<Item = &'a str>) -> String {
    parts.filter(|p| !p.is_empty()).collect::<Vec<_>>().join("  ")
}

fn width(text: &str) -> usize {
    text.chars().count()
}

/// The line, cut to [`COLUMNS`] columns.
fn cut(line: &str) -> String {
    if width(line) <= COLUMNS { line.to_owned() } else { line.chars().take(COLUMNS - 1).chain(['…']).collect() }
}

/// A remaining time, rounded to what can be known: `48 s`, `12 min`, `3 h 20 min`, `4 d 3 h`.
fn about(seconds: f64) -> String {
    match seconds.ceil() as u64 {
        s @ 0..60 => format!("{s} s"),
        s @ 60..3600 => format!("{} min", s.div_ceil(60)),
        s @ 3600..86_400 => format!("{} h {} min", s / 3600, s % 3600 / 60),
        s => format!("{} d {} h", s / 86_400, s % 86_400 / 3600),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn training() -> Standing<'static> {
        let note = "epoch 12/40  loss 0.512  acc 81.2 %";
        Standing { name: "MTT 12/15: train MTT", units: "iterations", done: 1234, total: 4000, seconds: 100.0, note }
    }

    #[test]
    fn no_line_is_wider_than_a_terminal_whatever_the_names_and_numbers() {
        let long = "a task whose name is longer than all that a terminal has room for in one of its lines, and more";
        for name in ["t", "MTT 120/150: train MTT", long] {
            for note in ["", "epoch 999/1000  loss 0.512  acc 81.2 %  and another  and another  and another", long] {
                for (done, total) in [(0, 0), (0, 10), (3, 10), (u64::MAX, u64::MAX), (7, 3), (u64::MAX, 0)] {
                    for units in ["bytes", "recordings"] {
                        for seconds in [0.0, 1e9] {
                            let s = Standing { name, units, done, total, seconds, note };
                            for line in [s.running(true), s.running(false), s.finished()] {
                                assert!(width(&line) <= COLUMNS && !line.contains('\n'), "{} {line}", width(&line));
                                assert!(line.starts_with(&name[..1]), "{line}");
                            }
                        }
                    }
                }
            }
        }
    }

    #[test]
    fn what_matters_least_is_left_out_first() {
        let full = Standing { name: "train MTT", ..training() };
        assert_eq!(
            full.running(false),
            "train MTT: 1234/4000 iterations  epoch 12/40  loss 0.512  acc 81.2 %  4 min left",
            "the rate made room for the note"
        );
        let short = Standing { note: "", ..full };
        assert_eq!(short.running(false), "train MTT: 1234/4000 iterations  12.3/s  4 min left");
        let bar = short.running(true);
        assert!(bar.starts_with(&short.running(false)) && bar.contains('█') && bar.ends_with('░'), "{bar}");
        assert!(training().running(true).contains("epoch 12/40  loss 0.512"), "{}", training().running(true));
    }

    #[test]
    fn a_finished_task_says_how_much_and_how_long() {
        let s = Standing { note: "epoch 40/40  acc 91.0 %", ..training() };
        assert_eq!(s.finished(), "MTT 12/15: train MTT: 1234 iterations in 100.0 s  epoch 40/40  acc 91.0 %");
        let bytes =
            Standing { name: "fetch", units: "bytes", done: 2_500_000, total: 5_000_000, seconds: 2.0, note: "" };
        assert_eq!(bytes.running(false), "fetch: 2.5/5.0 MB  1.2 MB/s  2 s left");
    }

    #[test]
    fn a_time_to_come_is_rounded_to_what_is_known_of_it() {
        let said = [0.0, 48.2, 61.0, 12_000.0, 360_000.0].map(about);
        assert_eq!(said, ["0 s", "49 s", "2 min", "3 h 20 min", "4 d 4 h"]);
        assert!(about(f64::INFINITY).ends_with(" h") && about(f64::NAN) == "0 s");
    }
}
