//! Recipes of small trainings on the embedded recordings.

/// A small training on the embedded recordings: 100 samples, 10 iterations per epoch.
pub const RECIPE: &str = r#"
seed = 1

[data]
set = "digits-dvs"
seed = 0
train_limit = 100
test_limit = 40

[network]
name = "demo"

[train]
strategy = "mtt"
t_max = 4
samples = 2
epochs = 1
batch = 10
init_gain = 1.5

[eval]
steps = [1, 4]
"#;

/// The same with a network that is written layer by layer: norms, biases and a residual addition.
pub const RESIDUAL: &str = r#"
seed = 1

[data]
set = "digits-dvs"
seed = 0
train_limit = 100
test_limit = 40

[network]
name = "mine"

[[network.layers]]
layer = "ttm"
[[network.layers]]
layer = "conv"
out = 8
stride = 2
bias = true
[[network.layers]]
layer = "norm"
[[network.layers]]
layer = "neuron"
name = "first"
[[network.layers]]
layer = "ttm"
name = "fork"
[[network.layers]]
layer = "conv"
out = 8
[[network.layers]]
layer = "norm"
name = "branch"
[[network.layers]]
layer = "add"
from = ["branch", "fork"]
[[network.layers]]
layer = "neuron"
name = "merged"
[[network.layers]]
layer = "pool"
kernel = 4
[[network.layers]]
layer = "linear"
out = 10
bias = true

[train]
strategy = "sdt"
t_max = 4
epochs = 1
batch = 10

[eval]
steps = [1, 4]
"#;

/// The layers of [`RESIDUAL`], as a recipe has them behind `[network]`.
///
/// # Panics
/// Never; [`RESIDUAL`] has layers.
pub fn residual_layers() -> &'static str {
    let start = RESIDUAL.find("[[network.layers]]").expect("layers");
    let end = RESIDUAL.find("[train]").expect("a section behind the layers");
    RESIDUAL[start..end].trim_end()
}
