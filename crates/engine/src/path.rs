//! Folds a path of layers without neurons into one edge.
//!
//! A path leads from the input or a spiking layer to the next neurons or to the readout. It may
//! contain pooling, at most one weighted layer, pooling again, and residual merges. It is linear,
//! so it folds into one convolution:
//!
//! - k×k pooling before the weights maps (y, x) to (⌊y/k⌋, ⌊x/k⌋). The windows of several poolings
//!   multiply. An average divides the weights that follow by k².
//! - A convolution with kernel k and stride s, followed by p×p pooling with stride q, is a
//!   convolution with kernel (p − 1)·s + k and stride s·q, whose weights are sums of the original
//!   ones.
//! - Temporal transformation modules and merges have no effect: an event-driven run has no steps to
//!   transform, and an `add` forwards the events of each branch.

use crate::error::{Error, Result};
use tickless_net::{Axis, Layer, Network, Node, Pool, PoolKind, Shape, Window};

/// The weighted layer of a path, together with the pooling after it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Weighted {
    /// Index of the node with the weights.
    pub node: usize,
    /// Shape of the input of the weights.
    pub input: Shape,
    /// Kernel, stride, dilation and padding, including the pooling after it.
    pub window: Window,
    /// Number of channel groups.
    pub groups: usize,
}

/// Window and stride before it, as (rows, columns).
pub(crate) type Merged = ((usize, usize), (usize, usize));

/// A folded path.
#[derive(Debug, Clone)]
pub(crate) struct Folded {
    /// Rows and columns of the pooling window before the weights.
    pub pool: (usize, usize),
    /// Shape after the pooling before the weights.
    pub pooled: Shape,
    /// Factor of all weights, from average pooling.
    pub scale: f64,
    /// The weighted layer, if the path has one.
    pub weighted: Option<Weighted>,
    /// The poolings after the weights, in order: window, and stride of the convolution before, both
    /// as (rows, columns).
    pub merged: Vec<Merged>,
    /// Shape at the end of the path.
    pub output: Shape,
}

impl Folded {
    /// Folds the nodes of one path, which starts at a source of this shape.
    ///
    /// # Errors
    /// If a layer cannot be part of one convolution; the message names the layer and the remedy.
    pub fn new(net: &Network, source: Shape, nodes: &[usize]) -> Result<Self> {
        let mut f =
            Folded { pool: (1, 1), pooled: source, scale: 1.0, weighted: None, merged: Vec::new(), output: source };
        for &i in nodes {
            let node = &net.nodes()[i];
            match node.layer {
                Layer::Ttm(_) | Layer::Add | Layer::Dropout(_) => {}
                Layer::Conv(c) => f.weigh(net, i, c.window, c.groups)?,
                Layer::Linear(_) => {
                    let (h, w) = (f.output.height, f.output.width);
                    f.weigh(net, i, Window { rows: Axis::new(h, 1, 0), columns: Axis::new(w, 1, 0) }, 1)?;
                }
                Layer::Pool(p) => f.pool(node, p)?,
                Layer::AdaptiveAverage(a) => match a.as_pool(node.input) {
                    Some(p) => f.pool(node, p)?,
                    None => {
                        let problem = "its windows differ in size, so they have no event-driven form; choose rows and columns that divide those of the input";
                        return Err(Error::layer(&node.name, problem));
                    }
                },
                Layer::GlobalAverage => {
                    let (h, w) = (f.output.height, f.output.width);
                    f.scale /= (h * w) as f64;
                    f.window(node, (h, w), (h, w))?;
                }
                Layer::Norm(_) | Layer::Neuron(_) | Layer::Attention(_) => {
                    return Err(Error::layer(&node.name, "is not linear; this is an error of the engine, report it"));
                }
            }
            f.output = node.output;
            if f.weighted.is_none() {
                f.pooled = node.output;
            }
        }
        Ok(f)
    }

    fn weigh(&mut self, net: &Network, node: usize, window: Window, groups: usize) -> Result<()> {
        if let Some(first) = self.weighted {
            let (a, b) = (&net.nodes()[first.node].name, &net.nodes()[node].name);
            return Err(Error::layer(b, format!("follows `{a}` with no neurons between; put a `neuron` between them")));
        }
        self.weighted = Some(Weighted { node, input: self.output, window, groups });
        Ok(())
    }

    fn pool(&mut self, node: &Node, p: Pool) -> Result<()> {
        if p.window.pads() || (self.weighted.is_none() && !p.window.tiles()) {
            return Err(Error::layer(
                &node.name,
                format!("pooling {} has no event-driven form here; use stride = kernel and no padding", p.window),
            ));
        }
        match p.kind {
            PoolKind::Sum => {}
            PoolKind::Average => self.scale /= p.window.taps() as f64,
            PoolKind::Max => {
                return Err(Error::layer(&node.name, "max pooling has no event-driven form; use `average`"));
            }
        }
        self.window(node, p.window.kernel(), (p.window.rows.stride, p.window.columns.stride))
    }

    /// Adds a pooling window before the weights, or extends the kernel of the weights by it.
    fn window(&mut self, node: &Node, window: (usize, usize), stride: (usize, usize)) -> Result<()> {
        let Some(w) = &mut self.weighted else {
            self.pool = (self.pool.0 * window.0, self.pool.1 * window.1);
            return Ok(());
        };
        let Window { rows, columns } = w.window;
        let apart = [(rows, window.0), (columns, window.1)];
        if window != (1, 1) && apart.iter().any(|(a, _)| a.stride > a.kernel) {
            let problem = "pools a convolution whose stride is larger than its kernel; pool before the convolution, or put a `neuron` between";
            return Err(Error::layer(&node.name, problem));
        }
        if window != (1, 1) && apart.iter().any(|(a, _)| a.dilation > 1 && a.kernel > 1) {
            let problem = "pools a dilated convolution; pool before the convolution, or put a `neuron` between";
            return Err(Error::layer(&node.name, problem));
        }
        self.merged.push((window, (rows.stride, columns.stride)));
        let extended = |a: Axis, window: usize, stride: usize| Axis {
            kernel: (window - 1) * a.stride + a.kernel,
            stride: a.stride * stride,
            ..a
        };
        w.window = Window { rows: extended(rows, window.0, stride.0), columns: extended(columns, window.1, stride.1) };
        Ok(())
    }
}
