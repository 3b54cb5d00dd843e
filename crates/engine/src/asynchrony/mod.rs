//! Models the asynchrony of a real chip, on which events take time, wait for each other, arrive
//! late and overtake each other.
//!
//! Every spiking layer is a core, and so is a readout that adds up logits. An event sent to a core
//! arrives after the core's delay. A core serves one event at a time, and each takes the service
//! time; other events wait in a first-in, first-out queue. If the queue is full, an arriving event
//! is lost. When a core has served an event, it adds the event's weights and sends the resulting
//! spikes at that moment:
//!
//! ```text
//! arrival = sent + delay + uniform[0, delay jitter)
//! begin   = max(arrival, end of the event before)       end = begin + service
//! ```
//!
//! All cores have the same parameters ([`Core`]) unless the caller sets others for one of them
//! ([`Asynchrony::with_core`]). Time stamps of the input are shifted by a uniform random time in
//! [−jitter, +jitter]. An [`Order`] determines which of several events of the same moment comes
//! first. If delay, service time and jitter are 0 and the order is exact, the spikes are exactly
//! those of the engine ([`crate::deliver`]); a test checks this. Random numbers depend only on the
//! seed and the recording's number, so results do not depend on the number of threads.
//!
//! ```
//! use tickless_engine::{Asynchrony, Core};
//! // All cores need 1 µs for an event; the second is far away and lets at most 64 events wait.
//! let model = Asynchrony { service_us: 1.0, ..Asynchrony::default() };
//! let far = Core { delay_us: 50.0, queue: Some(64), ..model.core(1) };
//! let model = model.with_core(1, far);
//! assert_eq!((model.core(0).delay_us, model.core(1).delay_us, model.core(1).service_us), (0.0, 50.0, 1.0));
//! ```

mod model;
mod session;

pub use model::{Asynchrony, Core, Order, Traffic};
pub use session::AsyncSession;
