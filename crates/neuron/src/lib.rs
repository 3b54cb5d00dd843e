//! The spiking neuron, once: everything that more than one executor must agree on.
//!
//! | file | what stands there |
//! |---|---|
//! | [`model`] | the description: threshold, leak, synaptic current, adaptive threshold, reset |
//! | [`spec`] | the words and fields by which a recipe names a neuron |
//! | [`step`] | one clocked step of the state and its adjoint (back-propagation through time) |
//! | [`surrogate`] | what replaces the derivative of a spike, and its integral |
//! | [`between`] | exact decay between events, and the time at which a neuron fires by itself |
//! | [`quantised`] | the 8-bit form that chips compute |
//! | [`lane`] | what the equations are generic over: a number, a vector, a tensor |
//!
//! Each equation is written once and generic over a [`Lane`]. The executors instantiate it: the
//! training kernels and the event-driven engine with scalars and SIMD vectors, the plain-tensor
//! reference with tensors. GPU kernels are written in another language; they stand beside the
//! CPU kernels and are tested against this crate.
//!
//! To add a state variable, write it as a part of [`step::State`] and of
//! [`between::Timed`], and give it a field in [`Neuron`] and [`NeuronSpec`].

#![deny(unsafe_code)]

pub mod between;
pub mod error;
mod first_root;
pub mod lane;
pub mod model;
pub mod quantised;
pub mod spec;
pub mod step;
pub mod surrogate;

pub use error::Error;
pub use lane::{Lane, StepLane};
pub use model::{Adaptation, Leak, LeakRule, Neuron, Reset, SpikeMode};
pub use spec::{NeuronSpec, NumberOrNone};
pub use surrogate::Surrogate;
