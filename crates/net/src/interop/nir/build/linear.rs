//! The linear nodes: weights, pooling, factors and the arrangement of values.

use super::super::fold;
use super::super::graph::{self, Conv1d, Conv2d, Padding, Tensor};
use super::super::reader::Reader;
use super::super::to_network_neuron as neurons;
use super::{Build, LARGEST, Value, listed};
use crate::error::Result;
use crate::layer::{Conv, Layer, Linear, Pool, PoolKind};
use crate::network::NetworkBuilder;
use crate::shape::Shape;
use crate::weights::Array;
use crate::window::{Axis, Window};

impl Build<'_> {
    pub(super) fn linear(
        &mut self,
        b: &mut NetworkBuilder,
        name: &str,
        w: &Tensor,
        bias: Option<&Tensor>,
        from: &Value,
    ) -> Result<Value> {
        let [out, input] = w.shape[..] else {
            return self.refuse(name, format!("its weight has the shape {:?}, not [out, in]", w.shape));
        };
        if !from.is_vector() && from.shape != Shape::vector(from.shape.channels) {
            return self.refuse(name, format!("reads the map {}; put a `Flatten` before it", from.shape));
        }
        if input != from.shape.len() {
            return self.refuse(
                name,
                format!(
                    "its weight {:?} does not fit {} input values; give it as many columns",
                    w.shape,
                    from.shape.len()
                ),
            );
        }
        self.size(name, Shape::vector(out))?;
        self.weights.insert(format!("{name}.weight"), fold::multiplied(w, from.gain));
        let bias = self.bias(name, bias, out, from)?;
        let id = b.add(name, Layer::Linear(Linear { out, bias }), &[from.id]);
        Ok(from.clone().of_weights(name, id, Shape::vector(out), vec![out]))
    }

    /// Stores a bias unless it is zero everywhere, and returns whether the layer has one.
    fn bias(&mut self, name: &str, bias: Option<&Tensor>, out: usize, from: &Value) -> Result<bool> {
        let Some(bias) = bias else { return Ok(false) };
        if bias.is_zero() && matches!(bias.data.len(), n if n == 1 || n == out) {
            return Ok(false);
        }
        let data = match bias.data[..] {
            [one] => vec![one as f32; out],
            _ if bias.data.len() == out => bias.to_f32(),
            _ => {
                return self.refuse(
                    name,
                    format!("its bias has {} values for {out} outputs; give it one for each", bias.data.len()),
                );
            }
        };
        if let Some(filter) = &from.filter {
            return self.refuse(name, filter.problem("is followed by a bias"));
        }
        self.weights.insert(format!("{name}.bias"), Array { shape: vec![out], data });
        Ok(true)
    }

    pub(super) fn conv2d(&mut self, b: &mut NetworkBuilder, name: &str, c: &Conv2d, from: &Value) -> Result<Value> {
        let [out, _, rows, columns] = c.weight.shape[..] else {
            return self
                .refuse(name, format!("its weight has the shape {:?}, not [out, in, rows, columns]", c.weight.shape));
        };
        if from.dims != [from.shape.channels, from.shape.height, from.shape.width] {
            let problem = format!("convolves values of shape {}; give it a map [C, H, W]", listed(&from.dims));
            return self.refuse(name, problem);
        }
        let sizes = [rows, columns, c.stride.0, c.stride.1, c.dilation.0, c.dilation.1];
        if sizes.iter().any(|s| !(1..=LARGEST).contains(s)) {
            return self.refuse(name, "has a kernel, stride or dilation of 0 or out of all proportion");
        }
        let axis =
            |kernel, stride, dilation, padding| Axis { kernel, stride, dilation, before: padding, after: padding };
        let padded = |y, x| Window {
            rows: axis(rows, c.stride.0, c.dilation.0, y),
            columns: axis(columns, c.stride.1, c.dilation.1, x),
        };
        let window = match c.padding {
            Padding::Zeros((y, x)) if y.max(x) <= LARGEST => padded(y, x),
            Padding::Zeros((y, x)) => {
                return self.refuse(name, format!("has the padding {y}×{x}, out of all proportion"));
            }
            Padding::Valid => padded(0, 0),
            Padding::Same if c.stride == (1, 1) => {
                Window { rows: Axis::same(rows, c.dilation.0), columns: Axis::same(columns, c.dilation.1) }
            }
            Padding::Same => return self.refuse(name, "pads to the same size with a stride; give numbers"),
        };
        let conv = Conv { out, window, groups: c.groups, bias: false };
        let value = self.conv(b, name, (conv, &c.weight, &c.bias), from)?;
        let dims = vec![value.shape.channels, value.shape.height, value.shape.width];
        Ok(Value { dims, ..value })
    }

    pub(super) fn conv1d(&mut self, b: &mut NetworkBuilder, name: &str, c: &Conv1d, from: &Value) -> Result<Value> {
        let [out, each, taps] = c.weight.shape[..] else {
            return self.refuse(name, format!("its weight has the shape {:?}, not [out, in, taps]", c.weight.shape));
        };
        if from.dims != [from.shape.channels, from.shape.width] {
            let problem = format!("convolves values of shape {}; give it a line [C, W]", listed(&from.dims));
            return self.refuse(name, problem);
        }
        if [taps, c.stride, c.dilation].iter().any(|s| !(1..=LARGEST).contains(s)) {
            return self.refuse(name, "has a kernel, stride or dilation of 0 or out of all proportion");
        }
        let axis =
            |padding| Axis { kernel: taps, stride: c.stride, dilation: c.dilation, before: padding, after: padding };
        let columns = match c.padding {
            Padding::Zeros(ends) if ends <= LARGEST => axis(ends),
            Padding::Zeros(ends) => return self.refuse(name, format!("has the padding {ends}, out of all proportion")),
            Padding::Valid => axis(0),
            Padding::Same if c.stride == 1 => Axis::same(taps, c.dilation),
            Padding::Same => return self.refuse(name, "pads to the same size with a stride; give a number"),
        };
        let window = Window { rows: Axis::new(1, 1, 0), columns };
        let conv = Conv { out, window, groups: c.groups, bias: false };
        let weight = Tensor { shape: vec![out, each, 1, taps], ..c.weight.clone() };
        let value = self.conv(b, name, (conv, &weight, &c.bias), from)?;
        let dims = vec![value.shape.channels, value.shape.width];
        Ok(Value { dims, ..value })
    }

    /// Adds a convolution with its weights and its bias, whose shape is checked here.
    fn conv(
        &mut self,
        b: &mut NetworkBuilder,
        name: &str,
        (conv, weight, bias): (Conv, &Tensor, &Tensor),
        from: &Value,
    ) -> Result<Value> {
        let each = weight.shape[1];
        if conv.groups == 0 || each.checked_mul(conv.groups) != Some(from.shape.channels) {
            let problem = format!(
                "{} groups of {each} channels do not fit the input {}; groups times channels is the input's number of channels",
                conv.groups, from.shape
            );
            return self.refuse(name, problem);
        }
        let conv = Conv { bias: self.bias(name, Some(bias), conv.out, from)?, ..conv };
        let layer = Layer::Conv(conv);
        let shape = layer.output(name, &[from.shape]).map_err(|e| self.error(name, e.to_string()))?;
        self.size(name, shape)?;
        self.weights.insert(format!("{name}.weight"), fold::multiplied(weight, from.gain));
        let id = b.add(name, layer, &[from.id]);
        Ok(from.clone().of_weights(name, id, shape, Vec::new()))
    }

    pub(super) fn pool(
        &mut self,
        b: &mut NetworkBuilder,
        name: &str,
        kind: PoolKind,
        w: &graph::Window,
        from: &Value,
    ) -> Result<Value> {
        if from.dims != [from.shape.channels, from.shape.height, from.shape.width] {
            let problem = format!("pools values of shape {}; give it a map [C, H, W]", listed(&from.dims));
            return self.refuse(name, problem);
        }
        let whole = w.kernel == (from.shape.height, from.shape.width) && w.padding == (0, 0);
        let square = w.kernel.0 == w.kernel.1 && w.stride.0 == w.stride.1 && w.padding.0 == w.padding.1;
        let area = w.kernel.0 as f64 * w.kernel.1 as f64;
        let sizes = [w.kernel.0, w.kernel.1, w.stride.0, w.stride.1, w.padding.0, w.padding.1];
        let (layer, gain) = match kind {
            _ if whole && !square => (Layer::GlobalAverage, if kind == PoolKind::Sum { area } else { 1.0 }),
            _ if sizes.iter().all(|s| *s <= LARGEST)
                && 2 * w.padding.0 <= w.kernel.0
                && 2 * w.padding.1 <= w.kernel.1 =>
            {
                let rows = Axis::new(w.kernel.0, w.stride.0, w.padding.0);
                let columns = Axis::new(w.kernel.1, w.stride.1, w.padding.1);
                (Layer::Pool(Pool { kind, window: Window { rows, columns } }), 1.0)
            }
            _ => {
                let problem = format!("has the window {w:?}; only windows padded by at most half can run here");
                return self.refuse(name, problem);
            }
        };
        let shape = layer.output(name, &[from.shape]).map_err(|e| self.error(name, e.to_string()))?;
        let dims = vec![shape.channels, shape.height, shape.width];
        Ok(Value { id: b.add(name, layer, &[from.id]), shape, dims, gain: from.gain * gain, ..from.clone() })
    }

    /// Joins the dimensions `start` to `end` of the graph's arrangement; the layer stays as it is,
    /// because the order of the values does.
    pub(super) fn flatten(&mut self, name: &str, start: i64, end: i64, from: &Value) -> Result<Value> {
        // Norse and snnTorch pass the numbers to torch, which counts the batch as dimension 0.
        let batch = i64::from(start == 1 && matches!(self.reader, Some(Reader::Norse | Reader::SnnTorch)));
        let rank = from.dims.len() as i64;
        let own = |d: i64, batch: i64| if d < 0 { d + rank } else { d - batch };
        let (first, last) = (own(start, batch), own(end, batch));
        // Torch lets one flatten a vector from dimension 1 on, which is that of a batch.
        if from.is_vector() && (0..=1).contains(&first) {
            return Ok(from.clone());
        }
        let (Ok(first), Ok(last)) = (usize::try_from(first), usize::try_from(last)) else {
            return self.refuse(name, format!("joins the dimensions {start} to {end} of {}", listed(&from.dims)));
        };
        // A file does not say whether its first dimension is the batch. A node that joins only rows and
        // columns is therefore refused, because it usually counts a batch that the graph has not.
        let all = first == 0 && last + 1 == from.dims.len();
        if !all {
            let problem = format!(
                "joins the dimensions {start} to {end} of {}; only all of them (0 to −1) can be joined here{}",
                from.shape,
                if start == 1 { ", or 1 to −1 in a dialect that counts the batch (norse, snntorch)" } else { "" }
            );
            return self.refuse(name, problem);
        }
        Ok(Value { dims: vec![from.dims.iter().product()], ..from.clone() })
    }

    /// Applies a `Scale`. The following weights take up a uniform factor; the preceding weights
    /// take up factors per channel. If no weights precede, the factors become a 1×1 convolution of
    /// each channel.
    pub(super) fn scale(&mut self, b: &mut NetworkBuilder, name: &str, scale: &Tensor, from: &Value) -> Result<Value> {
        let Some(factors) = neurons::channel_values(scale, from.shape, &from.dims) else {
            let problem = format!("its factors {:?} are not one for each channel of {}", scale.shape, from.shape);
            return self.refuse(name, problem);
        };
        self.scaled(b, name, &factors, from)
    }

    /// Multiplies a value by one factor for each channel.
    pub(super) fn scaled(
        &mut self,
        b: &mut NetworkBuilder,
        name: &str,
        factors: &[f64],
        from: &Value,
    ) -> Result<Value> {
        if factors.iter().all(|f| *f == 0.0) {
            return self
                .refuse(name, "its factors are all 0, so nothing passes it; remove it and what stands before it");
        }
        if factors.iter().all(|f| *f == factors[0]) {
            let gain = from.gain * factors[0];
            let scaled_by = if gain > 0.0 { None } else { Some(name.to_owned()) };
            return Ok(Value { gain, scaled_by, ..from.clone() });
        }
        if let Some(layer) = &from.scalable {
            self.multiply(layer, factors);
            return Ok(from.clone());
        }
        Ok(self.each_channel(b, name, factors, from))
    }

    fn each_channel(&mut self, b: &mut NetworkBuilder, name: &str, factors: &[f64], from: &Value) -> Value {
        let channels = from.shape.channels;
        let data = factors.iter().map(|&f| f as f32).collect();
        self.weights.insert(format!("{name}.weight"), Array { shape: vec![channels, 1, 1, 1], data });
        let conv = Conv { groups: channels, ..Conv::square(channels, 1, 1, 0) };
        let id = b.add(name, Layer::Conv(conv), &[from.id]);
        Value { id, scalable: None, ..from.clone() }
    }

    /// Returns the value with gain 1, after a 1×1 convolution if its gain was another.
    pub(super) fn settle(&mut self, b: &mut NetworkBuilder, reader: &str, from: Value) -> Value {
        if from.gain == 1.0 {
            return from;
        }
        let factors = vec![from.gain; from.shape.channels];
        self.settled += 1;
        let settled = self.each_channel(b, &format!("{reader}.factor{}", self.settled), &factors, &from);
        Value { gain: 1.0, scaled_by: None, ..settled }
    }

    /// Multiplies the outputs of a layer by one factor per channel, through its weight and bias.
    pub(super) fn multiply(&mut self, layer: &str, gains: &[f64]) {
        for tensor in ["weight", "bias"] {
            if let Some(array) = self.weights.tensors.get_mut(&format!("{layer}.{tensor}")) {
                let each = array.data.len() / gains.len().max(1);
                for (values, g) in array.data.chunks_mut(each.max(1)).zip(gains) {
                    values.iter_mut().for_each(|v| *v = (f64::from(*v) * g) as f32);
                }
            }
        }
    }
}
