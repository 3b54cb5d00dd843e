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
use tickless_net::{Layer, Network, Node, Pool, PoolKind, Shape};

/// The weighted layer of a path, together with the pooling after it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Weighted {
    /// Index of the node with the weights.
    pub node: usize,
    /// Shape of the input of the weights.
    pub input: Shape,
    /// Rows and columns of the kernel, including the pooling after it.
    pub kernel: (usize, usize),
    /// Stride, including the pooling after it.
    pub stride: usize,
    /// Zero padding on each side.
    pub padding: usize,
    /// Number of channel groups.
    pub groups: usize,
}

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
    /// The poolings after the weights, in order: (rows, columns, stride of the convolution before).
    pub merged: Vec<(usize, usize, usize)>,
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
                Layer::Ttm(_) | Layer::Add => {}
                Layer::Conv(c) => {
                    f.weigh(net, i, (c.kernel, c.kernel), c.stride, c.padding, c.groups)?;
                }
                Layer::Linear(_) => {
                    let kernel = (f.output.height, f.output.width);
                    f.weigh(net, i, kernel, 1, 0, 1)?;
                }
                Layer::Pool(p) => f.pool(node, p)?,
                Layer::GlobalAverage => {
                    let (h, w) = (f.output.height, f.output.width);
                    f.scale /= (h * w) as f64;
                    f.window(node, (h, w), h.max(w))?;
                }
                Layer::Norm(_) | Layer::Neuron(_) => {
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

    fn weigh(
        &mut self,
        net: &Network,
        node: usize,
        kernel: (usize, usize),
        stride: usize,
        padding: usize,
        groups: usize,
    ) -> Result<()> {
        if let Some(first) = self.weighted {
            let (a, b) = (&net.nodes()[first.node].name, &net.nodes()[node].name);
            return Err(Error::layer(b, format!("follows `{a}` with no neurons between; put a `neuron` between them")));
        }
        self.weighted = Some(Weighted { node, input: self.output, kernel, stride, padding, groups });
        Ok(())
    }

    fn pool(&mut self, node: &Node, p: Pool) -> Result<()> {
        if p.padding != 0 || (self.weighted.is_none() && p.stride != p.kernel) {
            return Err(Error::layer(
                &node.name,
                format!(
                    "pooling {0}×{0} with stride {1} and padding {2} has no event-driven form here; use stride = kernel and no padding",
                    p.kernel, p.stride, p.padding
                ),
            ));
        }
        match p.kind {
            PoolKind::Sum => {}
            PoolKind::Average => self.scale /= (p.kernel * p.kernel) as f64,
            PoolKind::Max => {
                return Err(Error::layer(&node.name, "max pooling has no event-driven form; use `average`"));
            }
        }
        self.window(node, (p.kernel, p.kernel), p.stride)
    }

    /// Adds a pooling window before the weights, or extends the kernel of the weights by it.
    fn window(&mut self, node: &Node, window: (usize, usize), stride: usize) -> Result<()> {
        let Some(w) = &mut self.weighted else {
            self.pool = (self.pool.0 * window.0, self.pool.1 * window.1);
            return Ok(());
        };
        if window != (1, 1) && w.stride > w.kernel.0.min(w.kernel.1) {
            let problem = "pools a convolution whose stride is larger than its kernel; pool before the convolution, or put a `neuron` between";
            return Err(Error::layer(&node.name, problem));
        }
        self.merged.push((window.0, window.1, w.stride));
        w.kernel = ((window.0 - 1) * w.stride + w.kernel.0, (window.1 - 1) * w.stride + w.kernel.1);
        w.stride *= stride;
        Ok(())
    }
}
