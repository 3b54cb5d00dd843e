//! [`Model`]: a network with its weights as tensors. A [`Pass`] says how to run it.

mod attention;
mod dropout;
mod forward;
mod fusion;
mod linear;
mod membranes;
mod memory;
pub mod norm;
mod pass;
pub mod readout;
pub mod sequence;
mod spiking;
mod stepper;
mod tap;

pub(crate) use forward::Walk;
pub use forward::{Observer, Output, check_configuration};
pub use membranes::Membranes;
pub use norm::NormMode;
pub use pass::Pass;
pub use sequence::Sequence;
pub use stepper::Stepper;
pub(crate) use tap::SpikeTap;

use crate::distributed::Ranks;
use crate::error::Result;
use burn::tensor::{Device, Tensor, TensorData};
pub(crate) use fusion::Fusion;
use norm::Running;
use std::path::Path;
use std::sync::Arc;
use tickless_kernels::{ComputeOptions, KernelChoice, Precision};
use tickless_net::{Array, Layer, Network, Weights};

/// One trainable tensor, stored flat.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Parameter {
    /// `<layer>.<tensor>`.
    pub name: String,
    /// Its shape in the layer.
    pub shape: Vec<usize>,
    /// Its values, on the device without autodiff.
    pub value: Tensor<1>,
}

/// A network with its weights.
#[derive(Debug, Clone)]
pub struct Model {
    network: Arc<Network>,
    device: Device,
    kernel: KernelChoice,
    precision: Precision,
    /// The nodes that fused kernels evaluate in a pass in which no neuron has dead steps.
    fusion: Arc<Fusion>,
    ranks: Ranks,
    recompute: bool,
    rectifies: bool,
    /// Trainable tensors, in graph order.
    pub parameters: Vec<Parameter>,
    /// Running statistics of the norms, in graph order.
    pub running: Vec<Running>,
}

impl Model {
    /// Copies weights to a device.
    ///
    /// # Errors
    /// If the weights do not fit the network.
    pub fn new(network: Arc<Network>, weights: &Weights, device: &Device) -> Result<Self> {
        weights.check(&network, Path::new("<memory>"))?;
        let flat = |a: &Array| Tensor::<1>::from_data(TensorData::new(a.data.clone(), [a.data.len()]), device);
        let mut parameters = Vec::new();
        for (_, name, spec) in network.tensors().into_iter().filter(|t| t.2.trainable) {
            let value = flat(&weights.tensors[&name]);
            parameters.push(Parameter { name, shape: spec.shape, value });
        }
        let norms = network.nodes().iter().filter(|n| matches!(n.layer, Layer::Norm(_)));
        let running = norms
            .map(|n| -> Result<Running> {
                let running = |t| weights.require(&n.name, t).map(&flat);
                Ok(Running::new(n.name.clone(), running("running_mean")?, running("running_var")?))
            })
            .collect::<Result<_>>()?;
        let fusion = Arc::new(Fusion::new(&network, |_| 1));
        let ComputeOptions { kernel, precision, .. } = ComputeOptions::installed();
        let ranks = Ranks::alone();
        Ok(Self {
            network,
            device: device.clone(),
            kernel,
            precision,
            fusion,
            ranks,
            recompute: false,
            rectifies: false,
            parameters,
            running,
        })
    }

    /// Returns the model with these kernels; [`Model::new`] uses those of the installed
    /// [`ComputeOptions`].
    pub fn with_kernel(self, kernel: KernelChoice) -> Self {
        Self { kernel, ..self }
    }

    /// Returns the model at this precision; [`Model::new`] uses that of the installed
    /// [`ComputeOptions`]. A layer stays in f32 if it has no kernel at this precision or its f32
    /// kernel is faster; the precision report lists such layers.
    pub fn with_precision(self, precision: Precision) -> Self {
        Self { precision, ..self }
    }

    /// The precision requested for convolutions and linear layers.
    pub fn precision(&self) -> Precision {
        self.precision
    }

    /// Returns the model as one of several workers: batch norm uses the statistics of the whole
    /// batch, of which each worker has a part.
    pub fn with_ranks(self, ranks: Ranks) -> Self {
        Self { ranks, ..self }
    }

    /// Returns the model with recomputation on or off. If on, the backward pass runs each stage
    /// again instead of saving its activations: the same gradients in less memory and more time
    /// ([`gradients`](crate::iteration::gradients)).
    pub fn with_recompute(self, recompute: bool) -> Self {
        Self { recompute, ..self }
    }

    /// Returns the model with rectifiers: every neuron layer gives max(x, 0) of its input x at each
    /// step, without state, instead of spikes ([`rectified_activations`]).
    ///
    /// [`rectified_activations`]: crate::evaluate::rectified_activations
    pub fn with_rectifiers(self) -> Self {
        Self { rectifies: true, ..self }
    }

    /// Whether the backward pass runs stages again.
    pub fn recomputes(&self) -> bool {
        self.recompute
    }

    /// This model's rank among the workers.
    pub fn ranks(&self) -> &Ranks {
        &self.ranks
    }

    /// The network.
    pub fn network(&self) -> &Arc<Network> {
        &self.network
    }

    /// The device without autodiff.
    pub fn device(&self) -> &Device {
        &self.device
    }

    /// Copies the current weights to the host.
    pub fn weights(&self) -> Weights {
        let mut w = Weights::default();
        for p in &self.parameters {
            w.insert(p.name.clone(), Array::new(p.shape.clone(), host(&p.value)));
        }
        for r in &self.running {
            let n = r.mean.dims()[0];
            w.insert(format!("{}.running_mean", r.name), Array::new(vec![n], host(&r.mean)));
            w.insert(format!("{}.running_var", r.name), Array::new(vec![n], host(&r.variance)));
        }
        w
    }

    /// The name of the first trainable tensor or running statistic with an infinite value or a NaN.
    pub fn not_finite(&self) -> Option<String> {
        let parameters = self.parameters.iter().map(|p| (p.name.clone(), &p.value));
        let running = self.running.iter().flat_map(|r| {
            [(format!("{}.running_mean", r.name), &r.mean), (format!("{}.running_var", r.name), &r.variance)]
        });
        parameters.chain(running).find(|(_, t)| !all_finite(t)).map(|(name, _)| name)
    }

    /// Whether a parameter is the shift β of a norm.
    pub(crate) fn is_shift(&self, p: &Parameter) -> bool {
        p.name.strip_suffix(".bias").is_some_and(|layer| self.running.iter().any(|r| r.name == layer))
    }

    /// The parameters as leaves of a new autodiff graph.
    pub fn leaves(&self) -> Vec<Tensor<1>> {
        self.parameters.iter().map(|p| Tensor::from_inner(p.value.clone()).require_grad()).collect()
    }

    /// The parameters as constants, for inference.
    pub fn constants(&self) -> Vec<Tensor<1>> {
        self.parameters.iter().map(|p| p.value.clone()).collect()
    }
}

/// Whether a tensor has no infinite value and no NaN.
fn all_finite(t: &Tensor<1>) -> bool {
    // 0·v is 0 if v is finite and NaN otherwise.
    t.clone().mul_scalar(0.0).sum().into_scalar::<f32>() == 0.0
}

/// The values of a flat tensor on the host.
pub fn host(t: &Tensor<1>) -> Vec<f32> {
    t.clone().into_data().try_into_vec().expect("every tensor of this crate is f32")
}
