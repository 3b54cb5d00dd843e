//! The parameters of the asynchrony model as users give them, in µs, and the checked form that a
//! session uses, in nanoseconds.

use crate::error::{Error, Result};
use std::collections::BTreeMap;
use tickless_words::words;

/// Nanoseconds in a µs.
const NS: f64 = 1000.0;

/// The order in which events of the same moment are processed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Order {
    /// The order of the exact engine: all consequences of a spike come before the neuron's next
    /// spike.
    #[default]
    Exact,
    /// A random order.
    Random,
    /// The most recent spike first (the momentum schedule of arXiv 2408.05098).
    Momentum,
}

words!(Order, "order of events", { Exact = "exact", Random = "random", Momentum = "momentum" });

/// Parameters of a chip's asynchrony.
#[derive(Debug, Clone, PartialEq)]
pub struct Asynchrony {
    /// Order of simultaneous events.
    pub order: Order,
    /// Time from sending to arrival in µs, for every core without its own parameters.
    pub delay_us: f64,
    /// Upper limit of the random time in µs added to the delay, for every core without its own
    /// parameters.
    pub delay_jitter_us: f64,
    /// Time that a core needs for one event in µs, for every core without its own parameters.
    pub service_us: f64,
    /// Largest number of waiting events, for every core without its own parameters; `None` for no
    /// limit.
    pub queue: Option<usize>,
    /// Largest shift of an input event's time stamp in µs, in either direction.
    pub jitter_us: f64,
    /// Seed of all random times and orders.
    pub seed: u64,
    /// Cores with their own parameters, by index: first the spiking layers of
    /// [`Program::layers`](crate::Program::layers), then an accumulating readout.
    pub cores: BTreeMap<usize, Core>,
}

/// The parameters of one core.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Core {
    /// Time from sending to arrival at this core in µs.
    pub delay_us: f64,
    /// Upper limit of the random time in µs added to the delay.
    pub delay_jitter_us: f64,
    /// Time that the core needs for one event in µs.
    pub service_us: f64,
    /// Largest number of waiting events; `None` for no limit.
    pub queue: Option<usize>,
}

impl Default for Asynchrony {
    fn default() -> Self {
        let Core { delay_us, delay_jitter_us, service_us, queue } = Core::default();
        let cores = BTreeMap::new();
        Self { order: Order::Exact, delay_us, delay_jitter_us, service_us, queue, jitter_us: 0.0, seed: 0, cores }
    }
}

impl Asynchrony {
    /// The parameters of core `index`: its own if it has any, otherwise the common ones.
    pub fn core(&self, index: usize) -> Core {
        let Asynchrony { delay_us, delay_jitter_us, service_us, queue, .. } = *self;
        let all = Core { delay_us, delay_jitter_us, service_us, queue };
        self.cores.get(&index).copied().unwrap_or(all)
    }

    /// The same model with other parameters for core `index`.
    pub fn with_core(mut self, index: usize, core: Core) -> Self {
        self.cores.insert(index, core);
        self
    }

    /// Checks the parameters and converts them to one [`Timing`] for each of `count` cores.
    ///
    /// # Errors
    /// If a time is negative, not a number or above 10¹² µs, or if a core with its own parameters
    /// does not exist.
    pub(super) fn timings(&self, count: usize) -> Result<Vec<Timing>> {
        if let Some((&index, _)) = self.cores.range(count..).next() {
            return Err(Error::NoCore { index, count });
        }
        time("jitter", self.jitter_us, None)?;
        (0..count)
            .map(|index| {
                let core = self.core(index);
                let own = self.cores.contains_key(&index).then_some(index);
                Ok(Timing {
                    delay_ns: ns(time("delay", core.delay_us, own)?),
                    delay_jitter_ns: NS * time("delay jitter", core.delay_jitter_us, own)?,
                    service_ns: match time("service time", core.service_us, own)? {
                        0.0 => 0,
                        us => ns(us).max(1),
                    },
                    queue: core.queue,
                })
            })
            .collect()
    }
}

/// Returns `us` if it is a valid time; `core` is the core whose own parameter it is.
fn time(quantity: &'static str, us: f64, core: Option<usize>) -> Result<f64> {
    if (0.0..=1e12).contains(&us) {
        return Ok(us);
    }
    Err(Error::AsynchronyTime { quantity, core, us })
}

fn ns(us: f64) -> u64 {
    (us * NS).round() as u64
}

/// The parameters of a core in nanoseconds, the session's unit of time.
#[derive(Debug, Clone, Copy)]
pub(super) struct Timing {
    /// Time from sending to arrival.
    pub delay_ns: u64,
    /// Upper limit of the random delay; 0 for none.
    pub delay_jitter_ns: f64,
    /// Time that the core needs for one event: 0 if it is 0 µs, otherwise at least 1.
    pub service_ns: u64,
    /// Largest number of waiting events; `None` for no limit.
    pub queue: Option<usize>,
}

/// Statistics of the events of a run.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Traffic {
    /// Events lost because a queue was full, per core: each spiking layer, then an accumulating
    /// readout.
    pub lost: Vec<u64>,
    /// Largest number of events in a core at one time, waiting or in service, per core.
    pub longest: Vec<usize>,
    /// µs from the last input event to the last event in the network.
    pub tail_us: f64,
}
