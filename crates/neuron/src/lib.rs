//! The equations of the spiking neuron, which every executor shares.
//!
//! | module | contents |
//! |---|---|
//! | [`leak`] | how a variable decays, per step or per time |
//! | [`model`] | the description: threshold, leak, synaptic current, adaptive threshold, reset |
//! | [`spec`] | the names and fields with which a recipe describes a neuron |
//! | [`refractory`] | the time after a spike in which a neuron cannot fire |
//! | [`step`] | one clocked step of the state and its adjoint (back-propagation through time) |
//! | [`surrogate`] | the functions that replace the derivative of a spike, and their integrals |
//! | [`between`] | exact decay between events, and the time at which a neuron fires by itself |
//! | [`quantised`] | the 8-bit form that chips run |
//! | [`lane`] | the number types of the equations: a scalar, a vector, a tensor |
//!
//! Each equation is written once and is generic over a [`Lane`]. The training kernels and the
//! event-driven engine use it with scalars and SIMD vectors, the plain-tensor reference with
//! tensors. GPU kernels are written in another language; they are part of the kernels crate, whose
//! tests compare them with this crate.
//!
//! To add a state variable, add it to [`step::State`] and to [`between::Timed`], and add a field to
//! [`Neuron`] and [`NeuronSpec`].

#![deny(unsafe_code)]

pub mod between;
pub mod error;
mod first_root;
pub mod lane;
pub mod leak;
pub mod model;
pub mod quantised;
pub mod refractory;
pub mod spec;
pub mod step;
pub mod surrogate;

pub use error::Error;
pub use lane::{Lane, StepLane};
pub use leak::{Leak, LeakRule};
pub use model::{Adaptation, Neuron, Reset, SpikeMode};
pub use refractory::{During, Period, Refractory};
pub use spec::{NeuronSpec, NumberOrNone, RefractorySpec};
pub use surrogate::Surrogate;
