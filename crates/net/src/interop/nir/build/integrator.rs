//! Nodes that integrate without spikes, and delays.
//!
//! No layer of this library has a potential as its output. An integrator (`I`, `LI`, `CubaLI`) is
//! linear, so its place among linear layers does not matter, and the import moves it towards the
//! next neurons or the output:
//!
//! - At the output it becomes the readout, which sums its input over time. The potential of an `I`
//!   is this sum. That of a leaky integrator has the integral
//!
//!   ```text
//!   τ·dv/dt = −v + r·x   ⇒   ∫ v dt = r · ∫ x dt
//!   ```
//!
//!   which is this sum too, because v is 0 at both ends.
//! - An `LI` before `IF` or `LIF` is their synaptic current: both together are a `CubaLIF` with
//!   τ_syn = τ and w_in = r.
//!
//! A `Delay` with one value for all delays everything that follows, which the network does not
//! need to do: it computes the same that much earlier.

use super::super::deviation::Deviation;
use super::super::graph::Tensor;
use super::super::reader::{Reader, same};
use super::super::to_network_neuron::{channel_values, same_everywhere};
use super::{Build, Value};
use crate::error::Result;
use crate::network::NetworkBuilder;

/// An integrator that a value has passed.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Filter {
    /// Name of its node.
    node: String,
    /// Kind of its node.
    kind: &'static str,
    /// τ in seconds, infinite without a leak.
    pub tau: f64,
}

impl Filter {
    /// Whether only a readout can take it up.
    pub fn is_readout(&self) -> bool {
        self.kind != "LI"
    }

    /// The problem that the integrator `does` something which no network here does.
    pub fn problem(&self, does: &str) -> String {
        format!(
            "`{}` is a `{}`, whose output is a potential, and it {does}; an `LI` can stand before `IF` or `LIF`, and any \
             integrator at the output",
            self.node, self.kind
        )
    }
}

impl Build<'_> {
    /// The output of the network.
    pub(super) fn output(&mut self, b: &mut NetworkBuilder, name: &str, from: Value) -> Value {
        if let Some(filter) = from.filter.as_ref().filter(|f| f.tau.is_finite()) {
            let node = filter.node.clone();
            self.note(&node, Deviation::LeakyReadout);
        }
        self.settle(b, name, from)
    }

    /// An integrator: `I`, or a part of a leaky one if `kind` names that.
    pub(super) fn integrator(
        &mut self,
        b: &mut NetworkBuilder,
        name: &str,
        leaky: Option<(&'static str, f64)>,
        r: &Tensor,
        from: &Value,
    ) -> Result<Value> {
        if let Some(first) = &from.filter {
            return self.refuse(name, first.problem("leads to another integrator"));
        }
        let Some(mut factors) = channel_values(r, from.shape, &from.dims) else {
            let problem = format!("its `r` {:?} is not one for each channel of {}", r.shape, from.shape);
            return self.refuse(name, problem);
        };
        let (kind, tau) = leaky.unwrap_or(("I", f64::INFINITY));
        if leaky.is_none() {
            factors.iter_mut().for_each(|f| *f *= self.step.seconds);
        }
        let value = self.scaled(b, name, &factors, from)?;
        Ok(Value { filter: Some(Filter { node: name.to_owned(), kind, tau }), ..value })
    }

    /// A leaky integrator, with τ_syn and w_in if it has a synaptic current.
    pub(super) fn leaky_integrator(
        &mut self,
        b: &mut NetworkBuilder,
        name: &str,
        synapse: Option<(&Tensor, &Tensor)>,
        (tau, r, leak): (&Tensor, &Tensor, &Tensor),
        from: &Value,
    ) -> Result<Value> {
        if !leak.is_zero() {
            return self.refuse(name, "`v_leak` is not 0, so it has a potential without input; give 0");
        }
        let kind = if synapse.is_some() { "CubaLI" } else { "LI" };
        let taus: Vec<&Tensor> = synapse.iter().map(|s| s.0).chain([tau]).collect();
        if let Some(t) = taus.iter().flat_map(|t| &t.data).find(|t| **t <= 0.0) {
            return self.refuse(name, format!("its time constant is {t}; give one above 0"));
        }
        let one = tau.data.first().copied().unwrap_or(0.0);
        if let Some(other) = tau.data.iter().find(|t| !same(**t, one)) {
            let problem =
                format!("its neurons leak differently (`tau` {one} and {other}); give a layer one time constant");
            return self.refuse(name, problem);
        }
        if let Some(other) = r.data.iter().find(|r| self.reader == Some(Reader::Sinabs) && **r != 1.0) {
            return self
                .refuse(name, format!("its `r` is {other}, and sinabs reads only an `LI` with r = 1; give it 1"));
        }
        let mut factors = r.clone();
        if let Some((_, w_in)) = synapse {
            let of = |t: &Tensor| channel_values(t, from.shape, &from.dims);
            let (Some(a), Some(w)) = (of(&factors), of(w_in)) else {
                let problem = format!(
                    "`r` {:?} or `w_in` {:?} is not one for each channel of {}",
                    r.shape, w_in.shape, from.shape
                );
                return self.refuse(name, problem);
            };
            let data: Vec<f64> = a.iter().zip(&w).map(|(a, w)| a * w).collect();
            let shape = [data.len()].into_iter().chain(from.dims.iter().skip(1).map(|_| 1)).collect();
            factors = Tensor { shape, data, double: true };
        }
        self.integrator(b, name, Some((kind, one)), &factors, from)
    }

    /// A delay of all values alike.
    pub(super) fn delay(&mut self, name: &str, delay: &Tensor, from: &Value) -> Result<Value> {
        match same_everywhere(delay) {
            Some(0.0) => Ok(from.clone()),
            Some(d) if d > 0.0 => {
                self.note(name, Deviation::Later { us: d * 1e6 });
                Ok(Value { delay: from.delay + d, ..from.clone() })
            }
            Some(d) => self.refuse(name, format!("its delay is {d} s; give one of at least 0")),
            None => self.refuse(
                name,
                "its delays differ, and no layer here delays a part of its input; give all the same delay",
            ),
        }
    }
}
