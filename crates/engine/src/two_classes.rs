//! The smallest network that decides, for tests of decisions.

use crate::program::{CompileOptions, Program};
use crate::session::Session;
use tickless_net::{Array, InputKind, NetworkBuilder, Shape, Weights};

/// A network with two pixels and two classes; each event of a pixel adds 1 to its class.
pub(crate) fn session() -> Session {
    let mut b = NetworkBuilder::new("two", Shape::new(1, 1, 2), InputKind::Events);
    b.linear(b.input(), 2, false);
    let mut weights = Weights::default();
    weights.insert("linear1.weight", Array::new(vec![2, 2], vec![1.0, 0.0, 0.0, 1.0]));
    let net = b.build().unwrap();
    Session::new(&Program::compile(&net, &weights, &CompileOptions::default()).unwrap())
}
