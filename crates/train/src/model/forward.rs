//! A pass over a network: the clocked executor, for training and inference.
//!
//! [`Model::forward`] visits each node once, in graph order; the value of a node is a whole
//! [`Sequence`]. A temporal configuration (t₁ … t_G) gives the number of steps of each stage; the
//! TTM at a stage's entry maps the sequence to that number. If a TTM repeats steps, the sequence
//! delays the repeat until after the linear layers that follow, so those run on fewer steps.
//!
//! Unless the kernel is [`KernelChoice::Plain`], an observer needs every node's output or the model
//! has rectifiers instead of neurons, a node that [`Fusion`] marks is not computed on its own: it
//! passes [`Term`]s to its consumer, and the fused kernel of the neuron evaluates them.

use super::attention::attention;
use super::dropout::dropout;
use super::fusion::Fusion;
use super::linear::{self, How};
use super::memory::NeuronMemory;
use super::norm::BatchStatistics;
use super::spiking::{self, Term};
use super::tap::SpikeTap;
use super::{Model, Pass, Sequence};
use crate::compute_thread::on_compute_thread;
use crate::distributed::WholeBatch;
use crate::error::{Error, Result};
use burn::tensor::activation::relu;
use burn::tensor::{Device, Int, Tensor};
use rand::Rng;
use rand_chacha::ChaCha8Rng;
use std::sync::Arc;
use tickless_kernels::operators::FirstOp;
use tickless_kernels::ttm::TimeMap;
use tickless_kernels::{KernelChoice, Precision};
use tickless_net::{InputKind, Layer, Leak, Network, NodeId};

/// The result of a pass.
#[derive(Debug)]
#[non_exhaustive]
pub struct Output {
    /// Readout `[T, B, classes]`.
    pub logits: Tensor<3>,
    /// Batch statistics of every norm, in graph order; empty unless the pass uses
    /// [`NormMode::Batch`](super::NormMode::Batch).
    pub statistics: Vec<BatchStatistics>,
    /// The sum of the terms that the pass's [`SpikeTap`] adds to the loss.
    pub(crate) terms: Option<Tensor<1>>,
    /// The batch of the pass, which keeps what its backward pass cannot return.
    pub(crate) batch: Arc<WholeBatch>,
}

impl Output {
    /// Returns the error of a backward pass from these logits. Burn's backward pass returns none,
    /// but with several workers ([`Model::with_ranks`]) the norms sum over the batch in it, and a
    /// worker can leave. Call this after the backward pass and before you use its gradients, which
    /// are wrong if it fails.
    ///
    /// # Errors
    /// [`Error::WorkerLeft`] if a worker has left during the backward pass. The error is returned
    /// once.
    pub fn check_backward(&self) -> Result<()> {
        self.batch.check()
    }
}

/// The value of a node: a finished sequence, or the terms from which the fused kernel of the
/// consuming neuron computes its current.
#[derive(Debug, Clone)]
enum Value {
    Ready(Box<Sequence>),
    Terms(Vec<Term>),
}

impl Value {
    fn ready_with(x: Sequence) -> Self {
        Value::Ready(Box::new(x))
    }

    fn ready(self) -> Sequence {
        match self {
            Value::Ready(x) => *x,
            Value::Terms(_) => unreachable!("only a neuron, or the addition before it, reads terms"),
        }
    }

    /// The value for the readers after this one, if there are several. Each tensor of the graph then
    /// has two readers at most, so its gradient is a sum of two, whose bits do not depend on the
    /// order. Autodiff orders the readers by their depth in the graph, which is another one if the
    /// backward pass runs a stage again.
    fn for_the_next(self) -> Self {
        match self {
            Value::Ready(x) => Value::ready_with(x.in_own_node()),
            terms => terms,
        }
    }

    fn terms(self) -> Vec<Term> {
        match self {
            Value::Ready(x) => vec![Term::plain(*x)],
            Value::Terms(terms) => terms,
        }
    }
}

/// The state of a pass between two nodes: the values that later nodes still read.
#[derive(Debug, Clone)]
pub(crate) struct Walk {
    /// Index of the next node to run.
    at: usize,
    input: Sequence,
    values: Vec<Option<Value>>,
    /// For each node, the number of consumers that have not run yet.
    left: Vec<usize>,
    /// Leaves and norms that the pass has used so far.
    leaf: usize,
    norms: usize,
    statistics: Vec<Option<BatchStatistics>>,
    /// The pass runs without autodiff now and again with it later, so it uses the training kernels:
    /// both runs must match.
    pub(crate) recompute_later: bool,
    /// The batch, shared by all ranks, over which the norms take their statistics.
    pub(crate) batch: Arc<WholeBatch>,
    /// The nodes that fused kernels evaluate in this pass.
    fusion: Arc<Fusion>,
    /// Gets the spikes of each neuron layer; `None` in a pass without a tap.
    pub(crate) tap: Option<Arc<dyn SpikeTap>>,
    /// The sum of the terms that the tap has added to the loss so far.
    pub(crate) terms: Option<Tensor<1>>,
    /// The states of the neuron layers, one entry per node, if the pass is one step of a longer run
    /// ([`Stepper`](super::Stepper)).
    pub(crate) memory: Option<Vec<NeuronMemory>>,
    /// Whether the pass is one step of a longer run.
    stepwise: bool,
}

impl Walk {
    /// Keeps these samples of the values of a pass of one step.
    pub(crate) fn keep(&mut self, samples: &Tensor<1, Int>) {
        self.input = self.input.clone().select(samples);
        for value in self.values.iter_mut().flatten() {
            match value {
                Value::Ready(x) => **x = x.as_ref().clone().select(samples),
                Value::Terms(terms) => terms.iter_mut().for_each(|t| t.select(samples)),
            }
        }
    }

    /// The only sequence that later nodes still read, if the pass stands at the entry of a stage;
    /// `None` if later nodes read no value, several values, or a value that consists of terms.
    pub(crate) fn live(&mut self) -> Option<&mut Sequence> {
        let mut live = self.values.iter_mut().flatten();
        match (live.next(), live.next()) {
            (Some(Value::Ready(x)), None) => Some(x),
            _ => None,
        }
    }
}

/// Called with each node's index and output as soon as the pass has computed it.
pub type Observer<'a> = &'a mut (dyn FnMut(usize, &Sequence) + Send);

impl Model {
    /// Runs the network over a sequence. `rng` draws the time maps of a random TTM; if `observe` is
    /// given, no kernel fuses nodes, because the observer sees every node's output.
    ///
    /// # Shapes
    /// `input` `[T·B, C, H, W]`: the frames of a recording, or a static image as one step, which
    /// the first stage repeats at all of its steps.
    ///
    /// # Errors
    /// If the configuration does not fit the network or the input, if a leak is in µs but the
    /// steps have no duration, if the precision cannot run (int8 if the leaves need gradients; any
    /// but f32 off the CPU or with kernel `plain`), or if a worker that shares the batch has left.
    /// A backward pass from the logits reports its errors by [`Output::check_backward`].
    pub fn forward(
        &self,
        leaves: &[Tensor<1>],
        input: Sequence,
        pass: &Pass<'_>,
        rng: &mut ChaCha8Rng,
        observe: Option<Observer<'_>>,
    ) -> Result<Output> {
        on_compute_thread(&self.device, || {
            let mut walk = self.begin(leaves, input, pass)?;
            self.walk(&mut walk, self.network.nodes().len(), leaves, pass, rng, observe)?;
            Ok(self.end(walk))
        })
    }

    /// Starts a pass: checks the arguments and maps the input to the first stage.
    pub(crate) fn begin(&self, leaves: &[Tensor<1>], input: Sequence, pass: &Pass<'_>) -> Result<Walk> {
        let input = self.enter(input, pass)?;
        self.begin_at(leaves, input, pass, false)
    }

    /// Starts a pass that is one step of a longer run.
    pub(crate) fn begin_step(&self, leaves: &[Tensor<1>], input: Sequence, pass: &Pass<'_>) -> Result<Walk> {
        check_configuration(&self.network, pass.configuration)?;
        self.begin_at(leaves, input, pass, true)
    }

    fn begin_at(&self, leaves: &[Tensor<1>], input: Sequence, pass: &Pass<'_>, stepwise: bool) -> Result<Walk> {
        self.check_precision(leaves)?;
        let left = self.network.readers();
        let fusion = self.fusion_of(pass)?;
        let values = vec![None; left.len()];
        Ok(Walk {
            at: 0,
            input,
            values,
            left,
            leaf: 0,
            norms: 0,
            statistics: vec![None; self.running.len()],
            recompute_later: false,
            batch: WholeBatch::of(&self.ranks),
            fusion,
            tap: None,
            terms: None,
            memory: None,
            stepwise,
        })
    }

    /// Continues a pass up to node `to`, which it does not run.
    pub(crate) fn walk(
        &self,
        walk: &mut Walk,
        to: usize,
        leaves: &[Tensor<1>],
        pass: &Pass<'_>,
        rng: &mut ChaCha8Rng,
        mut observe: Option<Observer<'_>>,
    ) -> Result<()> {
        let Walk { at, input, values, left, leaf: taken, norms, statistics, recompute_later, batch, fusion, .. } = walk;
        let (tap, terms, memory, stepwise) = (&walk.tap, &mut walk.terms, &mut walk.memory, walk.stepwise);
        let how = How { kernel: self.kernel, precision: self.precision, recompute_later: *recompute_later };
        let mut leaf = leaves[*taken..].iter();
        let (fast, fuses) = (self.kernel != KernelChoice::Plain, observe.is_none() && !self.rectifies);
        let trains = *recompute_later || leaves.iter().any(|l| l.is_require_grad());
        let pools = fast && fuses && tap.is_none();
        for (i, node) in self.network.nodes().iter().enumerate().take(to).skip(*at) {
            let mut inputs = node.from.iter().map(|&id| match id {
                NodeId::Input => Value::ready_with(input.clone()),
                NodeId::Node(j) => {
                    left[j] -= 1;
                    let value = match left[j] {
                        // The last consumer takes the value instead of cloning it, so its memory is
                        // freed early.
                        0 => values[j].take(),
                        1 => values[j].clone(),
                        _ => {
                            let value = values[j].clone();
                            values[j] = value.clone().map(Value::for_the_next);
                            value
                        }
                    };
                    value.expect("nodes stand after their inputs and are freed by the last reader")
                }
            });
            let x = inputs.next().expect("the builder gives every node an input");
            let x = match node.input_scale() {
                Some(factors) => Value::ready_with(linear::scale_channels(x.ready(), &factors, &self.device)),
                None => x,
            };
            let mut next_leaf = || leaf.next().expect("one leaf per trainable tensor").clone();
            let y = match node.layer {
                Layer::Ttm(_) if stepwise => x.ready(),
                Layer::Ttm(mode) => {
                    let x = x.ready();
                    let t = pass.configuration[node.stage.unwrap_or(0)];
                    // An image is the same at every step, so it is repeated even if the TTM's mode
                    // would distribute the input over the steps, as it does for frames and spikes.
                    let image = self.network.input().kind == InputKind::Image && self.network.is_input_ttm(i);
                    let map = match image && x.steps() == 1 {
                        true => TimeMap::show(t),
                        false => TimeMap::ttm(mode, x.steps(), t, rng),
                    };
                    x.map_time(map)
                }
                Layer::Conv(c) => {
                    let groups_in = node.input.channels / c.groups;
                    let (rows, columns) = c.window.kernel();
                    let weight = next_leaf().reshape([c.out, groups_in, rows, columns]);
                    let bias = c.bias.then(&mut next_leaf);
                    if fuses && fusion.first[i] && self.takes_first(&x) {
                        values[i] = Some(Value::Terms(vec![Term::convolved(x.ready(), weight, c, self.kernel)]));
                        continue;
                    }
                    linear::convolution(x.ready(), weight, bias, c, how)
                }
                Layer::Linear(l) => {
                    let weight = next_leaf().reshape([l.out, node.input.len()]);
                    let bias = l.bias.then(&mut next_leaf);
                    linear::linear(x.ready(), weight, bias, how)
                }
                Layer::Norm(n) => {
                    let (gain, shift) = (next_leaf(), next_leaf());
                    let (running, index) = (&self.running[*norms], *norms);
                    *norms += 1;
                    if fast && fuses && fusion.fused[i] {
                        let normalised =
                            |t: Term| t.normalised(running, (gain.clone(), shift.clone()), n, pass.norm, index);
                        values[i] = Some(Value::Terms(x.terms().into_iter().map(normalised).collect()));
                        continue;
                    }
                    let seen = &mut statistics[index];
                    let x = x.ready().channels_first().materialise();
                    let steps = x.steps();
                    let y = running.apply(x.into_held(), gain, shift, n, pass.norm, batch, seen)?;
                    Sequence::new(y, steps)
                }
                Layer::Neuron(n) if self.rectifies => {
                    // A rectifier has no use for the decay and the recurrent weights, but the leaves
                    // after them belong to the next layers.
                    let unused =
                        usize::from(matches!(n.leak, Leak::Learned(_))) + usize::from(node.recurrent.is_some());
                    (0..unused).for_each(|_| drop(next_leaf()));
                    x.ready().each(relu)
                }
                Layer::Neuron(n) if stepwise => {
                    let decay = matches!(n.leak, Leak::Learned(_)).then(&mut next_leaf);
                    let steps = pass.configuration[node.stage.unwrap_or(0)];
                    let memory = memory.as_mut().expect("the run gives its memory before the first neuron");
                    let memory = &mut memory[i];
                    if fusion.plain[i] {
                        let op = spiking::neuron_op(n, &node.name, steps, pass)?;
                        let pool = fusion.pooled[i].filter(|_| pools);
                        spiking::step(x.terms(), op, pool, memory.membranes())
                    } else {
                        let x = x.ready();
                        let x = if fast { x.channels_last() } else { x.channels_first() };
                        let weight = node.recurrent.is_some().then(&mut next_leaf);
                        spiking::general_step(x, &n, node, (decay, weight), (steps, pass), memory.general())?
                    }
                }
                Layer::Neuron(n) if !fusion.plain[i] => {
                    let decay = matches!(n.leak, Leak::Learned(_)).then(&mut next_leaf);
                    let x = x.ready();
                    match node.recurrent {
                        Some(r) => spiking::recurrent_spiking(x, (&n, r), node, (decay, next_leaf()), pass)?,
                        None => {
                            // The kernels of the consumers expect channels last.
                            let x = if fast { x.channels_last() } else { x.channels_first() };
                            spiking::general_spiking(x, &n, &node.name, decay, !fast, pass)?
                        }
                    }
                }
                Layer::Neuron(n) => {
                    let op = |steps| spiking::neuron_op(n, &node.name, steps, pass);
                    if fast {
                        let terms = x.terms();
                        let op = op(terms[0].steps())?;
                        let pool = fusion.pooled[i].filter(|_| pools);
                        spiking::spiking(terms, op, pool, &self.device, batch, statistics)?
                    } else {
                        let x = x.ready();
                        let op = op(x.steps())?;
                        spiking::plain_spiking(x, op)
                    }
                }
                Layer::Pool(_) if pools && fusion.pooled[i].is_some() => x.ready(),
                Layer::Pool(p) => linear::pool(x.ready(), p),
                Layer::GlobalAverage => linear::global_average(x.ready()),
                Layer::AdaptiveAverage(a) => linear::adaptive_average(x.ready(), a, node.input),
                Layer::Dropout(d) if trains => {
                    let x = x.ready();
                    let first = batch.first_sample(x.batch())?;
                    dropout(x, d.rate, rng.random(), first)
                }
                Layer::Attention(a) => {
                    let mut next = || inputs.next().expect("the builder gives attention three inputs").ready();
                    let (k, v) = (next(), next());
                    let shapes = [0, 1, 2].map(|j| self.network.shape_of(node.from[j]));
                    attention(x.ready(), k, v, a, shapes)
                }
                Layer::Dropout(_) => x.ready(),
                Layer::Add if fast && fuses && fusion.fused[i] => {
                    let terms = x.terms().into_iter().chain(inputs.flat_map(Value::terms));
                    values[i] = Some(Value::Terms(terms.collect()));
                    continue;
                }
                Layer::Add => {
                    let first = x.ready();
                    let last = first.is_channels_last();
                    let steps = if stepwise { 1 } else { pass.configuration[node.stage.unwrap_or(0)] };
                    let same = |x: Sequence| if last { x.channels_last() } else { x.channels_first() };
                    inputs.fold(first.materialise(), |sum, y| {
                        let y = same(y.ready()).materialise();
                        assert_eq!(sum.steps(), steps, "the builder gives an addition one stage");
                        sum.each(|sum| sum + y.into_held())
                    })
                }
            };
            let y = match (tap, node.layer) {
                (Some(tap), Layer::Neuron(_)) => {
                    let (y, term) = tap.tap(i, y);
                    *terms = match (terms.take(), term) {
                        (Some(sum), Some(term)) => Some(sum + term),
                        (sum, term) => sum.or(term),
                    };
                    y
                }
                _ => y,
            };
            if let Some(observe) = &mut observe {
                observe(i, &y);
            }
            values[i] = Some(Value::ready_with(y));
        }
        (*at, *taken) = (to, leaves.len() - leaf.len());
        Ok(())
    }

    /// Returns the output of a pass that has run every node.
    pub(crate) fn end(&self, walk: Walk) -> Output {
        let Walk { mut values, statistics, terms, batch, .. } = walk;
        let last = values.pop().flatten().expect("the builder refuses an empty network").ready().materialise();
        let shape = [last.steps(), last.batch(), self.network.output().len()];
        let logits = last.tensor().reshape(shape);
        Output { logits, statistics: statistics.into_iter().flatten().collect(), terms, batch }
    }

    /// The nodes that fused kernels evaluate in a pass: the model's own [`Fusion`], or a new one if
    /// a neuron has dead steps at this pass's number of steps.
    fn fusion_of(&self, pass: &Pass<'_>) -> Result<Arc<Fusion>> {
        let nodes = self.network.nodes().iter().enumerate();
        let neurons = nodes.filter_map(|(i, node)| match node.layer {
            Layer::Neuron(n) if n.refractory.is_some() => Some((i, node, n)),
            _ => None,
        });
        let mut intervals = Vec::new();
        for (i, node, n) in neurons {
            let steps = pass.configuration[node.stage.unwrap_or(0)];
            intervals.push((i, spiking::interval(&n, &node.name, steps, pass)?));
        }
        if intervals.iter().all(|(_, k)| *k == 1) {
            return Ok(self.fusion.clone());
        }
        let interval_of = |i: usize| intervals.iter().find(|k| k.0 == i).map_or(1, |k| k.1);
        Ok(Arc::new(Fusion::new(&self.network, interval_of)))
    }

    /// Whether the first-layer kernel can take this input: the input is on the CPU, at most a plain
    /// repeat is pending, the precision is f32, and the caller has not forced another kernel.
    fn takes_first(&self, x: &Value) -> bool {
        let repeated = matches!(x, Value::Ready(x) if x.is_repeated());
        repeated && self.device == Device::flex() && FirstOp::wanted(self.kernel, self.precision)
    }

    /// Refuses a precision that this pass cannot run at.
    fn check_precision(&self, leaves: &[Tensor<1>]) -> Result<()> {
        let p = self.precision;
        if p != Precision::F32 && self.kernel == KernelChoice::Plain {
            let problem = "the kernel `plain` does not have it; use f32, or kernel `auto`";
            return Err(Error::Precision { precision: p.as_str(), problem });
        }
        if p != Precision::F32 && self.device != Device::flex() {
            let problem = "only the CPU has it; a GPU has a precision of its own";
            return Err(Error::Precision { precision: p.as_str(), problem });
        }
        if leaves.iter().any(|l| l.is_require_grad()) {
            p.check_training()?;
        }
        Ok(())
    }

    /// Checks the configuration and, if the network has no TTM at its input, maps a static image to
    /// the first stage's number of steps.
    fn enter(&self, input: Sequence, pass: &Pass<'_>) -> Result<Sequence> {
        let net = &self.network;
        check_configuration(net, pass.configuration)?;
        match net.input().kind {
            InputKind::Image if input.steps() == 1 && !net.has_input_ttm() => {
                Ok(input.map_time(TimeMap::show(pass.configuration[0])))
            }
            _ if !net.has_input_ttm() && input.steps() != pass.configuration[0] => Err(Error::Configuration {
                network: net.name().to_owned(),
                problem: format!(
                    "has no TTM at its input, so its first stage runs at the {} frames of the recording, not at {}",
                    input.steps(),
                    pass.configuration[0]
                ),
            }),
            _ => Ok(input),
        }
    }
}

/// Checks a temporal configuration against a network, so that a caller can refuse it before
/// running anything.
///
/// # Errors
/// If the number of entries is not the number of stages, or an entry is 0.
pub fn check_configuration(network: &Network, configuration: &[usize]) -> Result<()> {
    let refuse = |problem| Err(Error::Configuration { network: network.name().to_owned(), problem });
    if configuration.len() != network.stages() {
        let (stages, given) = (network.stages(), configuration.len());
        return refuse(format!(
            "has {stages} stages, the temporal configuration {configuration:?} has {given}; give one number of steps per \
             stage"
        ));
    }
    if configuration.contains(&0) {
        return refuse("cannot run a stage at 0 time steps; T starts at 1".to_owned());
    }
    Ok(())
}
