//! Runs a spiking network on raw events, without time steps.
//!
//! A [`Program`] is the flat form of a network and its weights; a [`Session`] runs one stream of
//! events through it. State changes only where and when an event arrives. The session delivers each
//! input event depth first through the layers and adds one weight to every neuron that the event
//! reaches. Those neurons fire in (channel, y, x) order, and every spike is an event for the
//! following layers. A neuron with a synaptic current or an adaptive threshold also fires by
//! itself, between events. See [`program`] for the supported networks, [`layer`] for the neuron's
//! equation and [`deliver`] for the order, including residual merges.
//!
//! ```
//! use tickless_engine::{CompileOptions, Confidence, Event, Program, Session};
//! use tickless_net::{Array, Conv, InputKind, NetworkBuilder, Neuron, Shape, Weights};
//!
//! // 2×4×4 input → 3×3 convolution → multi-spike neurons → 2 classes, no bias anywhere.
//! let mut b = NetworkBuilder::new("tiny", Shape::new(2, 4, 4), InputKind::Events);
//! let conv = b.conv(b.input(), Conv::c3(1));
//! let spikes = b.neuron(conv, Neuron::if_multi());
//! b.linear(spikes, 2, false);
//! let net = b.build()?;
//!
//! let mut weights = Weights::default();
//! weights.insert("conv1.weight", Array::full(&[1, 2, 3, 3], 0.5));
//! let classes = (0..32).map(|i| if i < 16 { 1.0 } else { -1.0 }).collect();
//! weights.insert("linear1.weight", Array::new(vec![2, 16], classes));
//!
//! let program = Program::compile(&net, &weights, &CompileOptions::default())?;
//! let mut session = Session::new(&program);
//! session.push(Event { t_us: 10, x: 1, y: 1, on: true })?;
//! session.push(Event { t_us: 25, x: 1, y: 2, on: false })?;
//!
//! // Six neurons were reached twice and crossed the threshold of 1 together.
//! assert_eq!(session.spikes(), [6]);
//! assert_eq!(session.logits(), [6.0, -6.0]);
//! let decision = session.decision(&Confidence { gain: 1.0, t_max: 10 });
//! assert_eq!((decision.class, decision.events, decision.us), (0, 2, 15));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! All times are in µs, and all maps that the engine returns are in (channel, y, x) order.
//! [`dataset`] runs many recordings in parallel, with the same results on any number of threads.
// Printing panics if standard output or standard error cannot be written.
#![deny(clippy::print_stdout, clippy::print_stderr)]
#![deny(unsafe_code)]

pub mod asynchrony;
mod compile;
pub mod course;
pub mod dataset;
mod decay;
pub mod decision;
pub mod deliver;
pub mod difference;
mod due;
pub mod early_exit;
mod edge;
pub mod error;
mod flat;
pub mod forget;
mod hop;
#[allow(
    unsafe_code,
    reason = "vector instructions and bounds that are checked once; each form is tested against a safe one"
)]
mod kernel;
pub mod layer;
mod pass;
mod path;
pub mod program;
pub mod progress;
mod quantise;
pub mod session;
pub mod sink;
pub mod summary;
mod table;
#[cfg(test)]
mod two_classes;

pub use asynchrony::{AsyncSession, Asynchrony, Core, Order, Traffic};
pub use course::{Course, Moments, course};
pub use dataset::{Outcome, Run, run};
pub use decision::Decision;
pub use difference::spike_difference;
pub use early_exit::{Stop, early_exits, exit_examples};
pub use error::{Error, Result};
pub use forget::{Forgetting, Readout};
pub use program::{CompileOptions, LayerInfo, Program};
pub use progress::Progress;
pub use session::Session;
pub use sink::{NeuronCounts, Sink, Spike, Trace};
pub use summary::Summary;
pub use tickless_events::{Event, Recording};
pub use tickless_net::Confidence;
pub use tickless_simd::{InstructionSet, Isa};
