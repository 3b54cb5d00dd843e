//! [`Sequence`]: feature maps over time, the value that flows between nodes.
//!
//! The layout is time-major, `[T·B, C, H, W]`, so a layer without state treats time as part of the
//! batch without a copy. If a time map makes more steps, the sequence keeps it as `pending`: a
//! linear layer then runs on the fewer steps before the map, because conv(up(x)) = up(conv(x)).

use burn::tensor::{Device, Int, Tensor, TensorData};
use std::sync::Arc;
use tickless_kernels::map_time;
use tickless_kernels::ttm::TimeMap;

/// Feature maps over time.
#[derive(Debug, Clone)]
pub struct Sequence {
    data: Tensor<4>,
    steps: usize,
    pending: Option<Arc<TimeMap>>,
    last: bool,
}

impl Sequence {
    /// A sequence of `steps` steps from `[T·B, C, H, W]`.
    ///
    /// # Panics
    /// If `steps` is 0 or the first axis is not a multiple of `steps`.
    pub fn new(data: Tensor<4>, steps: usize) -> Self {
        assert!(
            steps > 0 && data.dims()[0].is_multiple_of(steps),
            "{:?} is not a sequence of {steps} steps",
            data.dims()
        );
        Self { data, steps, pending: None, last: false }
    }

    /// A sequence of `steps` steps from `[T·B, H, W, C]`.
    ///
    /// # Panics
    /// As [`new`](Self::new).
    pub fn from_channels_last(data: Tensor<4>, steps: usize) -> Self {
        Self { last: true, ..Self::new(data, steps) }
    }

    /// A sequence from host values `[T, B, C, H, W]`.
    ///
    /// # Panics
    /// If the number of values is not the product of the shape.
    pub fn from_values(values: Vec<f32>, shape: [usize; 5], device: &Device) -> Self {
        let [t, b, c, h, w] = shape;
        Self::new(Tensor::from_data(TensorData::new(values, [t * b, c, h, w]), device), t)
    }

    /// Number of time steps, after the pending map.
    pub fn steps(&self) -> usize {
        self.pending.as_ref().map_or(self.steps, |m| m.t_out())
    }

    /// Number of samples.
    pub fn batch(&self) -> usize {
        self.data.dims()[0] / self.steps
    }

    /// Maps the time axis: at once if the map makes fewer steps, else as the pending map.
    pub fn map_time(self, map: TimeMap) -> Self {
        let here = self.materialise();
        if map.is_identity() {
            return here;
        }
        let map = Arc::new(map);
        if map.t_out() > map.t_in() {
            return Self { pending: Some(map), ..here };
        }
        Self { steps: map.t_out(), data: map_time(here.data, map), pending: None, last: here.last }
    }

    /// Applies the pending map.
    pub fn materialise(self) -> Self {
        match self.pending {
            None => self,
            Some(map) => Self { steps: map.t_out(), data: map_time(self.data, map), pending: None, last: self.last },
        }
    }

    /// Applies a function that is linear on each step, before the pending map. If `constant`, the
    /// function also adds a constant; a pending map that is not a plain repeat is then applied
    /// first, because only a repeat commutes with adding a constant.
    pub fn linear(self, constant: bool, f: impl FnOnce(Tensor<4>) -> Tensor<4>) -> Self {
        let this = match &self.pending {
            Some(map) if constant && !map.is_repeat() => self.materialise(),
            _ => self,
        };
        Self { data: f(this.data), ..this }
    }

    /// Applies any function on each step, after the pending map.
    pub fn each(self, f: impl FnOnce(Tensor<4>) -> Tensor<4>) -> Self {
        let this = self.materialise();
        Self { data: f(this.data), ..this }
    }

    /// The tensor `[T·B, C, H, W]`, after the pending map.
    pub fn tensor(self) -> Tensor<4> {
        self.materialise().channels_first().data
    }

    /// Stores the sequence as `[T·B, H, W, C]`; the functions given to [`linear`](Self::linear) and
    /// [`each`](Self::each) get this layout.
    pub fn channels_last(self) -> Self {
        match self.last {
            true => self,
            false => Self { data: self.data.permute([0, 2, 3, 1]), last: true, ..self },
        }
    }

    /// Stores the sequence as `[T·B, C, H, W]`.
    pub fn channels_first(self) -> Self {
        match self.last {
            true => Self { data: self.data.permute([0, 3, 1, 2]), last: false, ..self },
            false => self,
        }
    }

    /// The tensor in its stored layout, after the pending map.
    pub fn into_held(self) -> Tensor<4> {
        self.materialise().data
    }

    /// The same sequence in a node of the graph of its own; without a graph, the sequence itself.
    pub(crate) fn in_own_node(self) -> Self {
        match self.data.device().is_autodiff() {
            true => Self { data: self.data.swap_dims(1, 2).swap_dims(1, 2), ..self },
            false => self,
        }
    }

    /// The tensor in its stored layout, before the pending map.
    pub(crate) fn held(&self) -> &Tensor<4> {
        &self.data
    }

    /// Replaces the stored tensor by another of the same shape.
    pub(crate) fn hold(&mut self, data: Tensor<4>) {
        self.data = data;
    }

    /// Whether the layout is `[T·B, H, W, C]`.
    pub fn is_channels_last(&self) -> bool {
        self.last
    }

    /// The tensor `[T'·B, H, W, C]` and the plain repeat to this sequence's steps that is pending.
    pub fn into_repeated(self) -> (Tensor<4>, Option<Arc<TimeMap>>) {
        let this = self.only_repeated().channels_last();
        (this.data, this.pending)
    }

    /// As [`into_repeated`](Self::into_repeated), with the tensor `[T'·B, C, H, W]`.
    pub fn into_repeated_first(self) -> (Tensor<4>, Option<Arc<TimeMap>>) {
        let this = self.only_repeated().channels_first();
        (this.data, this.pending)
    }

    /// Applies the pending map unless it is a plain repeat.
    fn only_repeated(self) -> Self {
        match &self.pending {
            Some(map) if !map.is_repeat() => self.materialise(),
            _ => self,
        }
    }

    /// Whether the pending map, if any, is a plain repeat.
    pub fn is_repeated(&self) -> bool {
        self.pending.as_ref().is_none_or(|map| map.is_repeat())
    }

    /// Whether the values are on the CPU and autodiff records no graph.
    pub(crate) fn is_on_cpu_without_graph(&self) -> bool {
        let device = self.data.device();
        // Devices compare equal whether or not they record a graph.
        device == Device::flex() && !device.is_autodiff()
    }

    /// Keeps these samples of a sequence of one step.
    ///
    /// # Panics
    /// If the sequence has several steps.
    pub(crate) fn select(self, samples: &Tensor<1, Int>) -> Self {
        let this = self.materialise();
        assert_eq!(this.steps, 1, "samples are selected between two steps");
        Self { data: this.data.select(0, samples.clone()), ..this }
    }

    /// Moves the values to `device`, as constants.
    pub fn to_device_of(self, device: &Device) -> Self {
        Self { data: self.data.to_device(device), ..self }
    }
}
