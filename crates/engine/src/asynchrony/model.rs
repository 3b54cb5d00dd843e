//! The numbers of the model, and what they are in whole nanoseconds.

use crate::error::{Error, Result};
use std::collections::BTreeMap;

const NS: f64 = 1000.0;

/// In which order events that meet at one moment are taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Order {
    /// That of the exact engine: each spike is carried to its end before the neuron's next one.
    #[default]
    Exact,
    /// A random one.
    Random,
    /// The spike of the neuron that fired last goes on first (the momentum schedule of
    /// arXiv 2408.05098).
    Momentum,
}

/// The model of a chip's asynchrony.
#[derive(Debug, Clone, PartialEq)]
pub struct Asynchrony {
    /// Order of simultaneous events.
    pub order: Order,
    /// Time from sending to arrival in µs, of every core that has none of its own.
    pub delay_us: f64,
    /// Largest random time in µs that is added to the delay, of every core that has none of its own.
    pub delay_jitter_us: f64,
    /// Time that a core needs for one event in µs, of every core that has none of its own.
    pub service_us: f64,
    /// Events that a core lets wait, of every core that has none of its own; `None` for no limit.
    pub queue: Option<usize>,
    /// Largest shift of an input's time stamp in µs.
    pub jitter_us: f64,
    /// Seed of order and jitter.
    pub seed: u64,
    /// Cores with numbers of their own, by index: the spiking layers of
    /// [`Program::layers`](crate::Program::layers), then an accumulating readout.
    pub cores: BTreeMap<usize, Core>,
}

/// The numbers of one core.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Core {
    /// Time from sending to arrival here in µs.
    pub delay_us: f64,
    /// Largest random time in µs that is added to the delay.
    pub delay_jitter_us: f64,
    /// Time that it needs for one event in µs.
    pub service_us: f64,
    /// Events that it lets wait; `None` for no limit.
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
    /// The numbers of core `index`: its own, else those of all.
    pub fn core(&self, index: usize) -> Core {
        let Asynchrony { delay_us, delay_jitter_us, service_us, queue, .. } = *self;
        let all = Core { delay_us, delay_jitter_us, service_us, queue };
        self.cores.get(&index).copied().unwrap_or(all)
    }

    /// The same model with these numbers for core `index`.
    pub fn with_core(mut self, index: usize, core: Core) -> Self {
        self.cores.insert(index, core);
        self
    }

    /// The numbers of each of `count` cores, checked.
    ///
    /// # Errors
    /// If a time is negative or no number, or a core is given numbers that is none of the `count`.
    pub(super) fn timings(&self, count: usize) -> Result<Vec<Timing>> {
        if let Some((&index, _)) = self.cores.range(count..).next() {
            let last = count.saturating_sub(1);
            return Err(Error::Asynchrony(format!(
                "core {index} has numbers of its own, and the network has {count} cores; give an index of 0 to {last}"
            )));
        }
        time("jitter", self.jitter_us, "")?;
        (0..count)
            .map(|index| {
                let core = self.core(index);
                let of_core = if self.cores.contains_key(&index) { format!(" of core {index}") } else { String::new() };
                Ok(Timing {
                    delay_ns: ns(time("delay", core.delay_us, &of_core)?),
                    delay_jitter_ns: NS * time("delay jitter", core.delay_jitter_us, &of_core)?,
                    service_ns: match time("service time", core.service_us, &of_core)? {
                        0.0 => 0,
                        us => ns(us).max(1),
                    },
                    queue: core.queue,
                })
            })
            .collect()
    }
}

fn time(name: &str, us: f64, of: &str) -> Result<f64> {
    if (0.0..=1e12).contains(&us) {
        return Ok(us);
    }
    Err(Error::Asynchrony(format!("the {name}{of} is {us} µs; give a time of 0 or more, e.g. 10")))
}

fn ns(us: f64) -> u64 {
    (us * NS).round() as u64
}

/// A core's numbers in the session's unit of time.
#[derive(Debug, Clone, Copy)]
pub(super) struct Timing {
    pub delay_ns: u64,
    /// 0 for none.
    pub delay_jitter_ns: f64,
    /// 0 where an event takes no time, at least 1 where it does.
    pub service_ns: u64,
    pub queue: Option<usize>,
}

/// What became of the events on their way.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Traffic {
    /// Events lost because a queue was full, by core: each spiking layer, then an accumulating readout.
    pub lost: Vec<u64>,
    /// Most events that waited or were served in a core at one time.
    pub longest: Vec<usize>,
    /// µs from the last input event to the end of the last event in the network.
    pub tail_us: f64,
}
