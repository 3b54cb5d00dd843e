//! The form of a network as other frameworks build it: a chain of layers, or residual blocks
//! between a stem and a classifier.

use crate::layer::Layer;
use crate::network::{Network, NodeId};

/// A convolution and the batch norm after it, as indices of nodes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Unit {
    pub conv: usize,
    pub norm: Option<usize>,
}

/// A residual block.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Block {
    /// The longer way to the addition.
    pub main: Vec<Unit>,
    /// The convolution on the other way, if it is not the identity.
    pub shortcut: Option<Unit>,
}

/// The weighted layers of a network in the order in which data passes them.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Form {
    pub stem: Vec<Unit>,
    /// Empty in a chain of layers.
    pub blocks: Vec<Block>,
    /// The linear layers after the stem and the blocks.
    pub head: Vec<usize>,
}

/// The form of a network; `None` if its branches are not residual blocks one after another, or a
/// convolution follows a linear layer.
pub(super) fn form_of(network: &Network) -> Option<Form> {
    let nodes = network.nodes();
    let readers = network.readers();
    let mut form = Form::default();
    let mut walk = Walk::default();
    let mut at = NodeId::Node(nodes.len().checked_sub(1)?);
    while let NodeId::Node(i) = at {
        let node = &nodes[i];
        at = *node.from.first()?;
        match node.layer {
            Layer::Linear(_) if walk.units.is_empty() && walk.norm.is_none() && form.blocks.is_empty() => {
                form.head.push(i);
            }
            Layer::Linear(_) => return None,
            Layer::Add => {
                let [a, b] = node.from[..] else { return None };
                let (one, start) = branch(network, &readers, a)?;
                let (other, other_start) = branch(network, &readers, b)?;
                if start != other_start || !walk.units.is_empty() || walk.norm.is_some() {
                    return None;
                }
                let (main, aside) = if one.len() >= other.len() { (one, other) } else { (other, one) };
                let shortcut = match aside[..] {
                    [] => None,
                    [unit] => Some(unit),
                    _ => return None,
                };
                form.blocks.push(Block { main, shortcut });
                at = start;
            }
            _ => walk.visit(network, i)?,
        }
    }
    form.stem = walk.finish()?;
    form.blocks.reverse();
    form.head.reverse();
    Some(form)
}

/// The units from the node `at` back to a node that several layers read, and that node.
fn branch(network: &Network, readers: &[usize], mut at: NodeId) -> Option<(Vec<Unit>, NodeId)> {
    let mut walk = Walk::default();
    while let NodeId::Node(i) = at {
        if readers[i] > 1 {
            break;
        }
        let node = &network.nodes()[i];
        if matches!(node.layer, Layer::Add | Layer::Linear(_)) {
            return None;
        }
        walk.visit(network, i)?;
        at = *node.from.first()?;
    }
    Some((walk.finish()?, at))
}

/// Units found on the way back, the last first.
#[derive(Default)]
struct Walk {
    units: Vec<Unit>,
    /// A norm whose convolution has not been reached yet.
    norm: Option<usize>,
}

impl Walk {
    fn visit(&mut self, network: &Network, i: usize) -> Option<()> {
        match network.nodes()[i].layer {
            Layer::Conv(_) => self.units.push(Unit { conv: i, norm: self.norm.take() }),
            Layer::Norm(_) if self.norm.is_some() => return None,
            Layer::Norm(_) => self.norm = Some(i),
            _ => {}
        }
        Some(())
    }

    /// The units in the order of the data; `None` if a norm has no convolution.
    fn finish(mut self) -> Option<Vec<Unit>> {
        self.units.reverse();
        self.norm.is_none().then_some(self.units)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::zoo::{ZooOptions, build};

    fn names(network: &Network, unit: &Unit) -> Vec<String> {
        std::iter::once(unit.conv).chain(unit.norm).map(|i| network.nodes()[i].name.clone()).collect()
    }

    #[test]
    fn a_residual_network_is_a_stem_blocks_and_a_classifier() {
        let net = build("resnet18", &ZooOptions::default()).unwrap();
        let form = form_of(&net).unwrap();
        assert_eq!(form.stem.len(), 1);
        assert_eq!(form.blocks.len(), 8);
        let shortcuts: Vec<bool> = form.blocks.iter().map(|b| b.shortcut.is_some()).collect();
        assert_eq!(shortcuts, [false, false, true, false, true, false, true, false]);
        assert!(form.blocks.iter().all(|b| b.main.len() == 2));
        assert_eq!(names(&net, &form.blocks[2].main[1]), ["block3.conv2", "block3.norm2"]);
        assert_eq!(names(&net, &form.blocks[2].shortcut.unwrap()), ["block3.shortcut.conv", "block3.shortcut.norm"]);
        assert_eq!(form.head.len(), 1);
    }

    #[test]
    fn a_chain_has_no_blocks() {
        let net = build("vgg9", &ZooOptions::default()).unwrap();
        let form = form_of(&net).unwrap();
        assert_eq!((form.stem.len(), form.blocks.len(), form.head.len()), (8, 0, 1));
    }
}
