//! A network that runs one time step after the other and can drop samples between two steps, so
//! that a sample whose answer is known costs nothing more.
//!
//! Every stage runs at the same T, so the temporal transformation modules change nothing. Each
//! neuron layer keeps its state on the host ([`tickless_kernels::step`]). If the input is a static
//! image, the nodes before the first neuron layer give the same values at every step and run once.
//!
//! The steps have the values of [`Model::forward`], up to the order in which a convolution adds its
//! products, because the number of its inputs may decide which kernel computes it.

use super::memory::NeuronMemory;
use super::{Model, NormMode, Observer, Pass, Sequence, Walk};
use crate::compute_thread::on_compute_thread;
use crate::error::Result;
use crate::seed;
use burn::tensor::{Int, Tensor, TensorData};
use tickless_net::{InputKind, Layer, LeakRule};

/// A run of one batch, step by step.
#[derive(Debug)]
pub struct Stepper<'a> {
    model: &'a Model,
    constants: Vec<Tensor<1>>,
    configuration: Vec<usize>,
    pass: Pass<'a>,
    /// The state of each node that is a neuron layer.
    memory: Vec<NeuronMemory>,
    /// The pass up to the first neuron layer, if the input is an image and has been given.
    image: Option<Walk>,
    samples: usize,
}

impl<'a> Stepper<'a> {
    /// A run at rest, of `steps` steps; this number and `leak` determine how much a step leaks, as
    /// in [`Pass`].
    pub fn new(model: &'a Model, steps: usize, leak: LeakRule, t_max: usize, step_us: Option<f64>) -> Self {
        let pass = Pass { configuration: &[], norm: NormMode::Running, leak, t_max, step_us };
        Self {
            model,
            constants: model.constants(),
            configuration: vec![steps; model.network().stages()],
            pass,
            memory: vec![NeuronMemory::AtRest; model.network().nodes().len()],
            image: None,
            samples: 0,
        }
    }

    /// Number of samples that still run.
    pub fn samples(&self) -> usize {
        self.samples
    }

    /// Runs one step and returns its logits.
    ///
    /// # Shapes
    /// `input` `[B, C, H, W]`: the next frame of each sample that still runs. A static image is
    /// given at the first step; later steps ignore their input. The result `[B, classes]`.
    ///
    /// # Errors
    /// As [`Model::forward`].
    pub fn step(&mut self, input: Tensor<4>) -> Result<Tensor<2>> {
        on_compute_thread(self.model.device(), || self.run(input, None))
    }

    /// As [`step`](Self::step), and shows `observe` the output of each node that the step computes.
    /// No kernel then fuses nodes.
    ///
    /// # Errors
    /// As [`Model::forward`].
    pub fn step_observed(&mut self, input: Tensor<4>, observe: Observer<'_>) -> Result<Tensor<2>> {
        on_compute_thread(self.model.device(), || self.run(input, Some(observe)))
    }

    fn run(&mut self, input: Tensor<4>, mut observe: Option<Observer<'_>>) -> Result<Tensor<2>> {
        let nodes = self.model.network().nodes();
        let pass = Pass { configuration: &self.configuration, ..self.pass.clone() };
        // Only dropout and random TTMs draw, and neither runs here.
        let mut rng = seed::rng(0, "stepwise", 0);
        let mut walk = match &self.image {
            Some(walk) => walk.clone(),
            None => {
                self.samples = input.dims()[0];
                let mut walk = self.model.begin_step(&self.constants, Sequence::new(input, 1), &pass)?;
                if self.model.network().input().kind == InputKind::Image {
                    let first = nodes.iter().position(|n| matches!(n.layer, Layer::Neuron(_)));
                    let observe = observe.as_mut().map(|o| &mut **o as Observer<'_>);
                    self.model.walk(&mut walk, first.unwrap_or(0), &self.constants, &pass, &mut rng, observe)?;
                    self.image = Some(walk.clone());
                }
                walk
            }
        };
        walk.memory = Some(std::mem::take(&mut self.memory));
        let ran = self.model.walk(&mut walk, nodes.len(), &self.constants, &pass, &mut rng, observe);
        self.memory = walk.memory.take().unwrap_or_default();
        ran?;
        let logits = self.model.end(walk).logits;
        let [_, b, classes] = logits.dims();
        Ok(logits.reshape([b, classes]))
    }

    /// Drops all samples but these, which keep their order.
    ///
    /// # Panics
    /// If the indices do not rise, or one is not below [`samples`](Self::samples).
    pub fn keep(&mut self, samples: &[usize]) {
        assert!(samples.is_sorted_by(|a, b| a < b) && samples.last().is_none_or(|s| *s < self.samples));
        if samples.len() == self.samples {
            return;
        }
        let indices: Vec<i64> = samples.iter().map(|s| *s as i64).collect();
        let indices = TensorData::new(indices, [samples.len()]);
        let indices = Tensor::<1, Int>::from_data(indices, self.model.device());
        self.memory.iter_mut().for_each(|m| m.keep(samples, self.samples, &indices));
        if let Some(walk) = &mut self.image {
            walk.keep(&indices);
        }
        self.samples = samples.len();
    }
}
