//! A network with its weights as tensors: the clocked executor, for training and inference.
//!
//! The graph is walked once, node by node, every value a whole [`Sequence`]. A temporal
//! configuration (t₁ … t_G) says at how many steps each stage runs; the TTM at a stage's entry
//! takes the sequence there. Linear layers right after a repeat run before it.

use crate::error::{Error, Result};
use crate::kernels::{NeuronOp, neuron, tile_pool};
use crate::norm::{BatchStatistics, NormMode, Running};
use crate::sequence::Sequence;
use crate::ttm::TimeMap;
use burn::tensor::module::{avg_pool2d, conv2d, max_pool2d};
use burn::tensor::ops::{AvgPoolOptions, ConvOptions, MaxPoolOptions};
use burn::tensor::{Device, Tensor, TensorData};
use rand_chacha::ChaCha8Rng;
use std::path::Path;
use std::sync::Arc;
use tickless_net::{Array, InputKind, Layer, LeakRule, Network, NodeId, Pool, PoolKind, Weights};

/// One trainable tensor, kept flat.
#[derive(Debug, Clone)]
pub struct Parameter {
    /// `<layer>.<tensor>`.
    pub name: String,
    /// Its shape in the layer.
    pub shape: Vec<usize>,
    /// Its values, on the device without autodiff.
    pub value: Tensor<1>,
}

/// How a pass is to be run.
#[derive(Debug, Clone)]
pub struct Pass<'a> {
    /// Steps of each stage.
    pub configuration: &'a [usize],
    /// What batch norm does.
    pub norm: NormMode,
    /// What the leak belongs to.
    pub leak: LeakRule,
    /// Steps at which λ is the leak of one step.
    pub t_max: usize,
    /// Duration of a step at `t_max` in µs, for leaks given as a time constant.
    pub step_us: Option<f64>,
}

/// What a pass gives.
#[derive(Debug)]
pub struct Output {
    /// Readout `[T, B, classes]`.
    pub logits: Tensor<3>,
    /// Statistics of the batch at every norm, in graph order (training and calibration only).
    pub statistics: Vec<BatchStatistics>,
}

/// Sees the output of nodes as a pass goes on: (node index, sequence).
pub type Observer<'a> = &'a mut dyn FnMut(usize, &Sequence);

/// A network with its weights.
#[derive(Debug, Clone)]
pub struct Model {
    network: Arc<Network>,
    device: Device,
    /// Trainable tensors, in graph order.
    pub parameters: Vec<Parameter>,
    /// Running statistics of the norms, in graph order.
    pub running: Vec<Running>,
}

impl Model {
    /// Puts weights on a device.
    ///
    /// # Errors
    /// If they do not fit the network.
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
                let get = |t| weights.require(&n.name, t).map(&flat);
                Ok(Running::new(n.name.clone(), get("running_mean")?, get("running_var")?))
            })
            .collect::<Result<_>>()?;
        Ok(Self { network, device: device.clone(), parameters, running })
    }

    /// The network.
    pub fn network(&self) -> &Arc<Network> {
        &self.network
    }

    /// The device without autodiff.
    pub fn device(&self) -> &Device {
        &self.device
    }

    /// The weights as they are now.
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

    /// The parameters as leaves of a new autodiff graph.
    pub fn leaves(&self) -> Vec<Tensor<1>> {
        self.parameters.iter().map(|p| Tensor::from_inner(p.value.clone()).require_grad()).collect()
    }

    /// The parameters as constants, for inference.
    pub fn constants(&self) -> Vec<Tensor<1>> {
        self.parameters.iter().map(|p| p.value.clone()).collect()
    }

    /// Runs the network over a sequence.
    ///
    /// # Shapes
    /// `input` `[T·B, C, H, W]`: a recording's frames, or a static image as one step, which is
    /// shown at all steps of the first stage.
    ///
    /// # Errors
    /// If the configuration does not fit the network or the input, or a leak in µs meets no
    /// step duration.
    pub fn forward(
        &self,
        leaves: &[Tensor<1>],
        input: Sequence,
        pass: &Pass<'_>,
        rng: &mut ChaCha8Rng,
        mut observe: Option<Observer<'_>>,
    ) -> Result<Output> {
        let input = self.enter(input, pass)?;
        let mut leaf = leaves.iter();
        let mut running = self.running.iter();
        let mut statistics = Vec::new();
        let mut left = self.network.readers();
        let mut values: Vec<Option<Sequence>> = vec![None; left.len()];
        for (i, node) in self.network.nodes().iter().enumerate() {
            let mut inputs = node.from.iter().map(|&id| match id {
                NodeId::Input => input.clone(),
                NodeId::Node(j) => {
                    left[j] -= 1;
                    // The last reader takes the value, so that its memory is freed at once.
                    let value = if left[j] == 0 { values[j].take() } else { values[j].clone() };
                    value.expect("nodes stand after their inputs and are freed by the last reader")
                }
            });
            let x = inputs.next().expect("the builder gives every node an input");
            let mut next = || leaf.next().expect("one leaf per trainable tensor").clone();
            let y = match node.layer {
                Layer::Ttm(mode) => {
                    let t = pass.configuration[node.stage.unwrap_or(0)];
                    let map = TimeMap::ttm(mode, x.steps(), t, rng);
                    x.map_time(map)
                }
                Layer::Conv(c) => {
                    let groups_in = node.input.channels / c.groups;
                    let weight = next().reshape([c.out, groups_in, c.kernel, c.kernel]);
                    let bias = c.bias.then(&mut next);
                    let k = [c.stride, c.stride];
                    let options = ConvOptions::new(k, [c.padding, c.padding], [1, 1], c.groups);
                    x.linear(c.bias, |x| conv2d(x, weight, bias, options))
                }
                Layer::Linear(l) => {
                    let weight = next().reshape([l.out, node.input.len()]);
                    let bias = l.bias.then(&mut next);
                    x.linear(l.bias, |x| linear(x, weight, bias))
                }
                Layer::Norm(n) => {
                    let (gain, shift) = (next(), next());
                    let running = running.next().expect("one entry per norm");
                    x.each(|x| running.apply(x, gain, shift, n, pass.norm, &mut statistics))
                }
                Layer::Neuron(n) => {
                    let steps = x.steps();
                    let lambda = n.lambda(pass.leak, pass.t_max, steps, pass.step_us).ok_or_else(|| {
                        Error::Setting(format!(
                            "layer `{}`: a leak in µs needs the duration of a step, which a static image does not have; \
                             give `leak` per step",
                            node.name
                        ))
                    })?;
                    x.each(|x| neuron(x, NeuronOp { neuron: n, lambda, steps }))
                }
                Layer::Pool(p) => pool(x, p),
                Layer::GlobalAverage => x.linear(false, |x| x.mean_dim(2).mean_dim(3)),
                Layer::Add => {
                    let first = x.tensor();
                    let steps = pass.configuration[node.stage.unwrap_or(0)];
                    Sequence::new(inputs.fold(first, |sum, y| sum + y.tensor()), steps)
                }
            };
            if let Some(observe) = &mut observe {
                observe(i, &y);
            }
            values[i] = Some(y);
        }
        let last = values.pop().flatten().expect("the builder refuses an empty network").materialise();
        let (steps, batch) = (last.steps(), last.batch());
        let logits = last.tensor().reshape([steps, batch, self.network.output().len()]);
        Ok(Output { logits, statistics })
    }

    /// Checks the configuration against the network and brings the input to its first stage.
    fn enter(&self, input: Sequence, pass: &Pass<'_>) -> Result<Sequence> {
        let net = &self.network;
        if pass.configuration.len() != net.stages() {
            return Err(Error::Setting(format!(
                "network `{}` has {} stages, the temporal configuration {:?} has {}; give one number of steps per stage",
                net.name(),
                net.stages(),
                pass.configuration,
                pass.configuration.len()
            )));
        }
        if pass.configuration.contains(&0) {
            return Err(Error::Setting("a stage cannot run 0 time steps; T starts at 1".into()));
        }
        match net.input().kind {
            InputKind::Image if input.steps() == 1 && !net.has_input_ttm() => {
                Ok(input.map_time(TimeMap::show(pass.configuration[0])))
            }
            _ if !net.has_input_ttm() && input.steps() != pass.configuration[0] => Err(Error::Setting(format!(
                "network `{}` has no TTM at its input, so its first stage runs at the {} frames of the recording, not at {}",
                net.name(),
                input.steps(),
                pass.configuration[0]
            ))),
            _ => Ok(input),
        }
    }
}

/// The values of a flat tensor on the host.
pub fn host(t: &Tensor<1>) -> Vec<f32> {
    t.clone().into_data().try_into_vec().expect("every tensor of this crate is f32")
}

fn linear(x: Tensor<4>, weight: Tensor<2>, bias: Option<Tensor<1>>) -> Tensor<4> {
    let [n, c, h, w] = x.dims();
    let out = weight.dims()[0];
    let y = x.reshape([n, c * h * w]).matmul(weight.transpose());
    let y = match bias {
        Some(b) => y + b.reshape([1, out]),
        None => y,
    };
    y.reshape([n, out, 1, 1])
}

fn pool(x: Sequence, p: Pool) -> Sequence {
    let (k, s) = ([p.kernel, p.kernel], [p.stride, p.stride]);
    let pad = [(p.padding, p.padding); 2];
    let mut average = AvgPoolOptions::new(k);
    (average.stride, average.padding) = (s, pad);
    let area = (p.kernel * p.kernel) as f32;
    let tiles = p.kernel == p.stride && p.padding == 0;
    match p.kind {
        PoolKind::Average if tiles => x.linear(false, |x| tile_pool(x, p.kernel, 1.0 / area)),
        PoolKind::Sum if tiles => x.linear(false, |x| tile_pool(x, p.kernel, 1.0)),
        PoolKind::Average => x.linear(false, |x| avg_pool2d(x, average)),
        PoolKind::Sum => x.linear(false, |x| avg_pool2d(x, average).mul_scalar(area)),
        PoolKind::Max => {
            let mut max = MaxPoolOptions::new(k);
            (max.stride, max.padding) = (s, pad);
            x.each(|x| max_pool2d(x, max))
        }
    }
}
