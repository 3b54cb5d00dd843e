//! The kinds of layers that a recipe knows and the keys of each: the one table from which the
//! reader of recipes, `tickless net layers` and the page of the guide are made.

use serde::Serialize;

/// A key of a layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Key {
    /// The key.
    pub name: &'static str,
    /// Its default, as a recipe would state it or in words; `needed` if it has none.
    pub default: &'static str,
    /// What it sets, in one line.
    pub meaning: &'static str,
}

/// A kind of layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Kind {
    /// The value of `layer`.
    pub name: &'static str,
    /// What the layer computes, in one line.
    pub meaning: &'static str,
    /// Whether it runs event-driven: `yes`, or when not.
    pub event_driven: &'static str,
    /// Its keys besides those of every layer.
    pub keys: &'static [Key],
}

const fn key(name: &'static str, default: &'static str, meaning: &'static str) -> Key {
    Key { name, default, meaning }
}

/// The keys of every layer.
pub static COMMON: &[Key] = &[
    key("layer", "needed", "kind of layer"),
    key("name", "kind and number", "name of the layer and prefix of its weights"),
    key("from", "the layer before", "name of the layer that this one reads, or a list; `input` is the network's input"),
];

const STRIDE: Key = key("stride", "1", "inputs from one window to the next: a number, or [rows, columns]");
const PADDING: &str = "zeros around the input: a number, [rows, columns], [[top, bottom], [left, right]] or \"same\" \
                       (output as large as the input; an odd number pads more at the end)";
const GROUPS: Key = key("groups", "1", "number of channel groups; must divide input and output channels");
const BIAS: Key = key("bias", "false", "whether the layer adds a bias");

/// All kinds.
pub static KINDS: &[Kind] = &[
    Kind {
        name: "ttm",
        meaning: "starts a stage: converts the number of time steps",
        event_driven: "yes (no effect)",
        keys: &[key("mode", "\"even\"", "how steps are joined: \"even\", \"soft\", \"trim\" or \"random\"")],
    },
    Kind {
        name: "conv",
        meaning: "two-dimensional convolution",
        event_driven: "yes, without bias",
        keys: &[
            key("out", "needed", "output channels"),
            key("kernel", "3", "size of the kernel: a number, or [rows, columns]"),
            STRIDE,
            key("padding", "(kernel − 1)/2", PADDING),
            key("dilation", "1", "inputs from one tap of the kernel to the next: a number, or [rows, columns]"),
            GROUPS,
            BIAS,
        ],
    },
    Kind {
        name: "conv1d",
        meaning: "convolution along the columns of an input with one row",
        event_driven: "yes, without bias",
        keys: &[
            key("out", "needed", "output channels"),
            key("kernel", "3", "number of taps"),
            key("stride", "1", "inputs from one window to the next"),
            key("padding", "(kernel − 1)/2", "zeros on both sides, or \"same\""),
            key("dilation", "1", "inputs from one tap to the next"),
            GROUPS,
            BIAS,
        ],
    },
    Kind {
        name: "norm",
        meaning: "batch normalisation per channel over batch, time and space",
        event_driven: "after folding",
        keys: &[
            key("eps", "1e-5", "ε in √(σ² + ε)"),
            key("momentum", "0.1", "weight of a new batch in the running statistics"),
        ],
    },
    Kind {
        name: "neuron",
        meaning: "spiking neurons, one per value",
        event_driven: "yes, unless the reset is `soft_delayed` or `soft_repeated`",
        keys: &[
            key("neuron", "that of the network", "fields that differ from the network's neuron, a table"),
            key(
                "thresholds",
                "that of the neuron",
                "one threshold per channel; lower limit and surrogate scale with it",
            ),
            key("recurrent", "none", "\"dense\" (every channel to every channel at its position) or \"one_to_one\""),
            key(
                "delay_us",
                "one step of T_max",
                "delay of the recurrent connections in µs; always one step if the leak belongs to a step",
            ),
        ],
    },
    Kind {
        name: "pool",
        meaning: "pooling; rows and columns at the end that do not fill a window are dropped",
        event_driven: "average and sum, without padding; overlapping windows only behind weights",
        keys: &[
            key("kind", "\"average\"", "\"average\", \"sum\" or \"max\""),
            key("kernel", "needed", "size of the window: a number, or [rows, columns]"),
            key("stride", "the kernel", "inputs from one window to the next: a number, or [rows, columns]"),
            key("padding", "0", PADDING),
        ],
    },
    Kind { name: "global_average", meaning: "mean over height and width", event_driven: "yes", keys: &[] },
    Kind {
        name: "adaptive_average",
        meaning: "average pooling to a fixed size",
        event_driven: "if the sizes divide those of the input",
        keys: &[key("size", "needed", "size of the output: a number, or [rows, columns]")],
    },
    Kind {
        name: "linear",
        meaning: "fully connected layer; flattens its input in the order channel, row, column",
        event_driven: "yes, without bias",
        keys: &[key("out", "needed", "output values"), BIAS],
    },
    Kind {
        name: "dropout",
        meaning: "sets values to 0 at random in training, the same at all steps of a sample",
        event_driven: "yes (no effect)",
        keys: &[key("rate", "0.5", "probability that a value is set to 0")],
    },
    Kind {
        name: "flatten",
        meaning: "no effect, because `linear` flattens its input; accepted so that lists of layers carry over",
        event_driven: "yes (no effect)",
        keys: &[],
    },
    Kind { name: "add", meaning: "sum of two or more inputs (a residual merge)", event_driven: "yes", keys: &[] },
    Kind {
        name: "attention",
        meaning: "spiking self-attention without softmax, scale·Q·Kᵀ·V over the positions of a map; \
                  `from = [queries, keys, values]`",
        event_driven: "no, because a product of spikes is no event",
        keys: &[
            key("heads", "1", "number of heads; must divide the channels of queries and values"),
            key("scale", "0.125", "factor of the product"),
        ],
    },
];

/// The kind with this name.
pub fn kind(name: &str) -> Option<&'static Kind> {
    KINDS.iter().find(|k| k.name == name)
}

/// Names of layers in other frameworks, in lower case without `_`, and what a recipe has for them.
const ELSEWHERE: &[(&[&str], &str)] = &[
    (&["conv2d", "convolution", "convolution2d"], "`conv`"),
    (&["batchnorm", "batchnorm1d", "batchnorm2d", "bn", "bn2d", "tdbn"], "`norm`"),
    (
        &["lif", "if", "iaf", "plif", "leaky", "cubalif", "spike", "spiking", "relu"],
        "`neuron` with `neuron = { model = … }`",
    ),
    (&["maxpool", "maxpool2d"], "`pool` with `kind = \"max\"`"),
    (&["avgpool", "avgpool2d", "averagepool", "averagepool2d"], "`pool`"),
    (&["sumpool", "sumpool2d"], "`pool` with `kind = \"sum\"`"),
    (&["adaptiveavgpool", "adaptiveavgpool2d"], "`adaptive_average`"),
    (&["globalavgpool", "globalavgpool2d", "gap"], "`global_average`"),
    (&["fc", "dense", "fullyconnected"], "`linear`"),
    (&["residual", "sum", "merge", "shortcut"], "`add` with `from = [\"a\", \"b\"]`"),
    (&["recurrent", "rleaky", "rnn"], "`neuron` with `recurrent = \"dense\"`"),
];

/// What a recipe has for a layer that another framework calls `word`, such as `Conv2d`.
pub fn known_elsewhere(word: &str) -> Option<&'static str> {
    let plain = word.to_lowercase().replace(['_', '-', ' '], "");
    ELSEWHERE.iter().find(|(names, _)| names.contains(&plain.as_str())).map(|(_, here)| *here)
}

/// The table as a page of Markdown, as the guide has it.
pub fn markdown() -> String {
    let mut page = String::from("| layer | key | default | meaning |\n|---|---|---|---|\n");
    let mut row = |cells: [&str; 4]| page += &format!("| {} |\n", cells.join(" | "));
    for k in COMMON {
        row(["every layer", &format!("`{}`", k.name), k.default, k.meaning]);
    }
    for kind in KINDS {
        let meaning = format!("{}; event-driven: {}", kind.meaning, kind.event_driven);
        row([&format!("`{}`", kind.name), "", "", &meaning]);
        for k in kind.keys {
            row(["", &format!("`{}`", k.name), k.default, k.meaning]);
        }
    }
    page
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_other_frameworks_lead_to_a_layer_and_are_none_of_ours() {
        assert_eq!(known_elsewhere("Conv2d"), Some("`conv`"));
        assert_eq!(known_elsewhere("max_pool2d"), Some("`pool` with `kind = \"max\"`"));
        assert_eq!(known_elsewhere("convv"), None);
        for (names, here) in ELSEWHERE {
            let word = here.split('`').nth(1).unwrap();
            assert!(kind(word).is_some(), "{here}");
            assert!(names.iter().all(|n| kind(n).is_none()), "{names:?}");
        }
    }

    #[test]
    fn the_guide_has_the_table_of_layers_as_it_is() {
        let guide = include_str!("../../../../docs/guide.md");
        assert!(guide.contains(&markdown()), "copy this into docs/guide.md:\n{}", markdown());
    }
}
