//! Answers for a stream of events while it comes, however long it is.
//!
//! The readout forgets ([`Forgetting`]), so the answer is about what the camera sees and not about
//! all that it has seen. A pause in the events longer than [`StreamOptions::silence_us`] ends an
//! object: the network returns to rest, and the next event begins a new object. An answer is
//! reported when it becomes sure, when a sure answer changes, at the end of an object and, if
//! asked for, at regular times.
//!
//! Events that come late or lie outside the input are dropped and counted. If many in a row are late by
//! more than a pause, the clock of the stream has gone back (a camera was restarted, or one event had a
//! time far in the future), and the object ends: otherwise all events until the old time would be lost.

use super::{Answer, Spent, finite};
use crate::Result;
use serde::Serialize;
use tickless_engine::{Confidence, Event, Forgetting, Program, Readout, Session};
use tickless_events::Sensor;
use tickless_net::Exit;

/// How a stream is answered.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct StreamOptions {
    /// How the readout forgets.
    pub forgetting: Forgetting,
    /// Length of the window, or time constant of the leak, in µs.
    pub forget_us: u64,
    /// A pause longer than this ends an object, in µs.
    pub silence_us: u64,
    /// Time between regular answers in µs; `None` for none.
    pub every_us: Option<u64>,
}

/// Number of late events in a row after which the clock has gone back.
const LATE: usize = 16;

/// The events of a stream that were dropped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Dropped {
    /// Events before the time of the stream.
    pub late: u64,
    /// Events outside the input of the network.
    pub outside: u64,
    /// Number of all events of the stream.
    pub of: u64,
}

/// Scales an event to a sensor of another size, as [`tickless_events::Recording::scaled`] does.
fn scaled(event: Event, (from, to): (Sensor, Sensor)) -> Event {
    let scale = |v: u16, to: u16, from: u16| (u32::from(v) * u32::from(to) / u32::from(from).max(1)) as u16;
    Event { x: scale(event.x, to.width, from.width), y: scale(event.y, to.height, from.height), ..event }
}

/// Why an answer is reported.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Why {
    /// The exit's rule holds for the first time in this object.
    Sure,
    /// The rule holds for another class than before.
    Changed,
    /// The time of a regular answer.
    Regular,
    /// A pause has ended the object.
    Silence,
    /// The clock of the stream has gone back, which ended the object.
    ClockBack,
    /// The stream has ended.
    End,
}

/// An answer that a stream reports.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Heard {
    /// Number of the object, from 0.
    pub object: u64,
    /// Time of the stream at this answer, in µs.
    pub t_us: u64,
    /// Why it is reported.
    pub why: Why,
    /// The answer; its events and µs are those of the object.
    #[serde(flatten)]
    pub answer: Answer,
}

/// A stream of events.
#[derive(Debug)]
pub struct Stream {
    session: Session,
    readout: Readout,
    confidence: Confidence,
    exit: Option<Exit>,
    options: StreamOptions,
    object: u64,
    /// The class that was sure last in this object.
    sure: Option<usize>,
    /// Time of the last regular answer.
    regular_us: u64,
    dropped: Dropped,
    /// The size of the network's input.
    input: Sensor,
    /// Number of the last events in a row that were late by more than a pause.
    late: usize,
    /// The changes of the size of the events, in order.
    sizes: Vec<(Sensor, Sensor)>,
}

/// A side of the input in pixels; events have no coordinates beyond u16.
fn side(pixels: usize) -> u16 {
    u16::try_from(pixels).unwrap_or(u16::MAX)
}

impl Stream {
    pub(super) fn new(
        program: &Program,
        confidence: Confidence,
        exit: Option<Exit>,
        options: StreamOptions,
        sizes: Vec<(Sensor, Sensor)>,
    ) -> Self {
        Self {
            // A live camera sends single events that come late or lie outside.
            session: Session::new(program).lenient(),
            readout: Readout::new(options.forgetting, options.forget_us),
            confidence,
            exit,
            options,
            object: 0,
            sure: None,
            regular_us: 0,
            dropped: Dropped::default(),
            input: Sensor { width: side(program.input().width), height: side(program.input().height) },
            late: 0,
            sizes,
        }
    }

    /// Processes one event. Passes the answers that it causes to `hear`.
    ///
    /// # Errors
    /// As [`Session::push`]; if a score is not finite.
    pub fn push(&mut self, event: Event, hear: &mut impl FnMut(Heard)) -> Result<()> {
        let event = self.sizes.iter().fold(event, |event, sizes| scaled(event, *sizes));
        let begun = self.session.events() > 0;
        let (now_us, silence_us) = (self.session.now_us(), self.options.silence_us);
        let is_late = begun && event.t_us.saturating_add(silence_us) < now_us;
        self.late = if is_late { self.late + 1 } else { 0 };
        let ended = match begun {
            true if event.t_us > now_us.saturating_add(silence_us) => Some(Why::Silence),
            true if self.late == LATE => Some(Why::ClockBack),
            _ => None,
        };
        if let Some(why) = ended {
            hear(self.heard(why)?);
            self.rest();
        }
        let before = self.session.events();
        self.session.push(event)?;
        self.dropped.of += 1;
        if self.session.events() == before {
            match self.input.contains(event.x, event.y) {
                true => self.dropped.late += 1,
                false => self.dropped.outside += 1,
            }
            return Ok(());
        }
        if before == 0 {
            self.regular_us = event.t_us;
        }
        self.readout.take(&mut self.session);
        if let Some(exit) = self.exit
            && exit.stops_at(exit.quantity_of(self.readout.values(), self.session.elapsed_us() as f64))
        {
            let class = tickless_net::decision::argmax(self.readout.values()).0;
            let why = match self.sure.replace(class) {
                None => Some(Why::Sure),
                Some(other) if other != class => Some(Why::Changed),
                Some(_) => None,
            };
            if let Some(why) = why {
                hear(self.heard(why)?);
            }
        }
        if let Some(every_us) = self.options.every_us
            && event.t_us - self.regular_us >= every_us
        {
            hear(self.heard(Why::Regular)?);
            self.regular_us = event.t_us;
        }
        Ok(())
    }

    /// The answer at the end of the stream; `None` if no event came since the last one.
    ///
    /// # Errors
    /// If a score is not finite.
    pub fn end(&mut self) -> Result<Option<Heard>> {
        let heard = (self.session.events() > 0).then(|| self.heard(Why::End)).transpose()?;
        self.rest();
        Ok(heard)
    }

    /// The events that were dropped because they came late or lie outside the input.
    pub fn dropped(&self) -> Dropped {
        self.dropped
    }

    /// Returns to rest for the next object.
    fn rest(&mut self) {
        self.session.reset();
        self.readout.reset();
        self.object += 1;
        self.sure = None;
        self.late = 0;
    }

    fn heard(&self, why: Why) -> Result<Heard> {
        let decision = self.session.decision(&self.confidence);
        let spent = Spent::Events {
            events: decision.events,
            us: decision.us,
            synaptic_operations: self.session.synaptic_ops(),
        };
        let scores = self.readout.values().map(|v| v as f32).collect();
        let gain = f64::from(self.confidence.gain) / self.confidence.t_max.max(1) as f64;
        let answer = Answer::of(scores, gain, matches!(why, Why::Sure | Why::Changed), spent);
        finite(&answer, &"the stream")?;
        Ok(Heard { object: self.object, t_us: self.session.now_us(), why, answer })
    }
}
