//! What a real chip does to a network: events take time, wait, come late and overtake each other.
//!
//! Every layer is a core. An event sent to it at time t arrives after the core's delay; a core takes
//! one event at a time, and each takes it the service time; those that wait stand in a queue, first
//! in, first out; one that finds the queue full is lost. When a core has served an event, its weights
//! are added, and the spikes they cause are sent at that moment:
//!
//! ```text
//! arrival = sent + delay + uniform[0, delay jitter)
//! begin   = max(arrival, end of the one before)          end = begin + service
//! ```
//!
//! All cores are alike ([`Core`]) unless one is given its own numbers
//! ([`Asynchrony::with_core`]). Time stamps of the input are shifted by a uniform random time in
//! [−jitter, +jitter]. Events that meet at one moment are taken in an [`Order`]. With no delay, service
//! time and jitter, and the exact order, this is the engine itself ([`crate::deliver`]), spike for
//! spike; that is tested. All randomness comes from one seed and the recording's number, whatever the
//! number of threads.
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
