//! Models the asynchrony of a real chip: events take time, wait, arrive late and overtake each
//! other.
//!
//! Every layer is a core. An event sent to a core at time t arrives after the core's delay. A core
//! serves one event at a time, and each takes the service time; other events wait in a first-in,
//! first-out queue. If the queue is full, an arriving event is lost. When a core has served an
//! event, it adds the event's weights and sends the resulting spikes at that moment:
//!
//! ```text
//! arrival = sent + delay + uniform[0, delay jitter)
//! begin   = max(arrival, end of the event before)       end = begin + service
//! ```
//!
//! All cores have the same parameters ([`Core`]) unless the caller sets others for one of them
//! ([`Asynchrony::with_core`]). Time stamps of the input are shifted by a uniform random time in
//! [−jitter, +jitter]. An [`Order`] decides between events of the same moment. Without delay,
//! service time and jitter and in the exact order, the spikes are exactly those of the engine
//! ([`crate::deliver`]); a test checks this. All randomness depends only on the seed and the
//! recording's number, so the number of threads does not matter.
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
