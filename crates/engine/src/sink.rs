//! Receivers of spikes, for rasters, counts and tests.
//!
//! A [`Sink`] is a type parameter of [`Session::push_into`](crate::Session::push_into), so a run
//! without a sink (`()`) has no cost. A pair of sinks is a sink.

use crate::program::Program;
use tickless_net::Shape;

/// Receives every spike in the order of emission.
///
/// The spikes of one layer arrive in the order in which the layer emits them. Between layers the
/// order depends on the network. In a chain, all spikes that one input event causes in a layer come
/// before those in the next layer. In a residual graph, a spike comes before those that it causes,
/// and these come before the layer's next spike.
pub trait Sink {
    /// Whether the sink wants spikes; if `false`, the session never calls it.
    const LISTENS: bool = true;

    /// A neuron of spiking layer `layer` fired at `t_us` because of input event number `cause`. For
    /// a neuron that fired by itself, and all consequences, `cause` is the last input event before.
    fn spike(&mut self, layer: usize, t_us: u64, cause: u64, channel: usize, y: usize, x: usize);
}

impl Sink for () {
    const LISTENS: bool = false;

    #[inline(always)]
    fn spike(&mut self, _: usize, _: u64, _: u64, _: usize, _: usize, _: usize) {}
}

impl<A: Sink, B: Sink> Sink for (A, B) {
    const LISTENS: bool = A::LISTENS || B::LISTENS;

    #[inline]
    fn spike(&mut self, layer: usize, t_us: u64, cause: u64, channel: usize, y: usize, x: usize) {
        self.0.spike(layer, t_us, cause, channel, y, x);
        self.1.spike(layer, t_us, cause, channel, y, x);
    }
}

impl<S: Sink> Sink for &mut S {
    const LISTENS: bool = S::LISTENS;

    #[inline]
    fn spike(&mut self, layer: usize, t_us: u64, cause: u64, channel: usize, y: usize, x: usize) {
        (**self).spike(layer, t_us, cause, channel, y, x);
    }
}

/// One spike of one neuron.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Spike {
    /// Index of the spiking layer in [`Program::layers`].
    pub layer: usize,
    /// Time in µs of the input event that caused it, or of the moment at which the neuron fired by
    /// itself.
    pub t_us: u64,
    /// Number of that input event, or of the last one before the neuron fired by itself, from 0.
    pub cause: u64,
    /// Channel.
    pub channel: usize,
    /// Row.
    pub y: usize,
    /// Column.
    pub x: usize,
}

/// Stores every spike.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Trace {
    /// All spikes in order of emission.
    pub spikes: Vec<Spike>,
}

impl Trace {
    /// The spikes of one layer, in order of emission.
    pub fn of(&self, layer: usize) -> impl Iterator<Item = &Spike> {
        self.spikes.iter().filter(move |s| s.layer == layer)
    }
}

impl Sink for Trace {
    fn spike(&mut self, layer: usize, t_us: u64, cause: u64, channel: usize, y: usize, x: usize) {
        self.spikes.push(Spike { layer, t_us, cause, channel, y, x });
    }
}

/// Counts the spikes of each neuron.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NeuronCounts {
    shapes: Vec<Shape>,
    counts: Vec<Vec<u64>>,
}

impl NeuronCounts {
    /// Counts of zero for every neuron of a program.
    pub fn new(program: &Program) -> Self {
        let shapes: Vec<Shape> = program.layers().iter().map(|l| l.shape).collect();
        let counts = shapes.iter().map(|s| vec![0; s.len()]).collect();
        Self { shapes, counts }
    }

    /// Counts of one layer, `[channel][y][x]`.
    pub fn layer(&self, layer: usize) -> &[u64] {
        &self.counts[layer]
    }

    /// Sets all counts to zero.
    pub fn reset(&mut self) {
        self.counts.iter_mut().for_each(|c| c.fill(0));
    }
}

impl Sink for NeuronCounts {
    #[inline]
    fn spike(&mut self, layer: usize, _: u64, _: u64, channel: usize, y: usize, x: usize) {
        let s = self.shapes[layer];
        self.counts[layer][(channel * s.height + y) * s.width + x] += 1;
    }
}
