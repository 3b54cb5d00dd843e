//! Properties of layer lists: a network that is converted to a list and back stays the same.

use super::*;
use crate::neuron::{Adaptation, During, Leak, Period, Refractory, Reset, SpikeMode, Surrogate};
use crate::zoo::{ZooOptions, build, entries};
use proptest::prelude::*;

#[derive(Serialize, Deserialize)]
struct File {
    layer: Vec<LayerSpec>,
}

fn again(net: &Network, specs: &[LayerSpec], default: Neuron) -> Network {
    network_from_specs(net.name(), net.input().shape, net.input().kind, specs, default).unwrap()
}

fn read(toml: &str) -> std::result::Result<Network, String> {
    let file: File = toml::from_str(toml).map_err(|e| e.to_string())?;
    network_from_specs("own", Shape::new(2, 8, 8), InputKind::Events, &file.layer, Neuron::lif())
        .map_err(|e| e.to_string())
}

fn neurons() -> impl Strategy<Value = Neuron> {
    let leak = prop_oneof![
        Just(Leak::None),
        (1e-6f32..=1.0).prop_map(Leak::Step),
        prop_oneof![1e-3..1e9, Just(f64::INFINITY)].prop_map(Leak::Time),
    ];
    let leak = prop_oneof![3 => leak, 1 => (1e-6f32..0.999).prop_map(Leak::Learned)];
    let decay = || prop_oneof![(1e-6f32..0.999).prop_map(Leak::Step), (1e-3..1e9).prop_map(Leak::Time)];
    let synapse = prop_oneof![Just(None), decay().prop_map(Some)];
    let adaptation = prop_oneof![
        Just(None),
        (1e-3f32..9.0, decay()).prop_map(|(increment, leak)| Some(Adaptation { increment, leak })),
    ];
    let surrogate = (0usize..6, 1e-3f32..10.0).prop_map(|(i, p)| match i {
        0 => Surrogate::Triangle,
        1 => Surrogate::SingleExponential { width: p },
        2 => Surrogate::Arctangent { alpha: p },
        3 => Surrogate::Sigmoid { alpha: p },
        4 => Surrogate::Rectangle { width: p },
        _ => Surrogate::Gaussian { sigma: p },
    });
    let v_min = prop_oneof![Just(None), (-9.0f32..=0.0).prop_map(Some)];
    let during = prop_oneof![Just(During::Integrate), Just(During::Hold)];
    let period = prop_oneof![(1e-3..1e3).prop_map(Period::Steps), (1e-3..1e9).prop_map(Period::Us)];
    let refractory =
        prop_oneof![Just(None), (period, during).prop_map(|(period, during)| Some(Refractory { period, during })),];
    let parts = (synapse, adaptation, refractory);
    (1e-3f32..100.0, leak, parts, any::<[bool; 4]>(), v_min, surrogate).prop_map(
        |(threshold, leak, (synapse, adaptation, refractory), b, v_min, surrogate)| Neuron {
            threshold,
            leak,
            synapse,
            adaptation,
            refractory,
            // Avoid what a description refuses: a limit together with a synapse, and several spikes
            // per step together with an adaptive threshold or a refractory period.
            spikes: if b[0] || adaptation.is_some() || refractory.is_some() {
                SpikeMode::Single
            } else {
                SpikeMode::Multi
            },
            reset: if b[1] { Reset::Hard } else { Reset::Soft },
            v_min: v_min.filter(|_| synapse.is_none()),
            fire_at_threshold: b[2],
            detach_reset: b[3],
            surrogate,
        },
    )
}

#[test]
fn every_zoo_network_written_back_is_itself_also_through_toml() {
    for e in entries() {
        let net = build(e.name, &ZooOptions::default()).unwrap();
        let specs = specs_of(&net);
        assert_eq!(again(&net, &specs, Neuron::if_single()), net, "{}", e.name);
        let text = toml::to_string(&File { layer: specs.clone() }).unwrap();
        let back: File = toml::from_str(&text).unwrap();
        assert_eq!(back.layer, specs, "{}", e.name);
    }
}

proptest! {
    #[test]
    fn any_neuron_written_back_is_itself_whatever_the_base(n in neurons(), base in neurons()) {
        let spec = NeuronSpec::from_neuron(&n);
        prop_assert_eq!(spec.resolve(base), Ok(n));
        let text = toml::to_string(&spec).unwrap();
        prop_assert_eq!(toml::from_str::<NeuronSpec>(&text).unwrap().resolve(base), Ok(n), "{}", text);
        prop_assert_eq!(NeuronSpec::default().resolve(n), Ok(n));
    }

    #[test]
    fn any_options_survive_being_written_back(
        neuron in neurons(), i in 0usize..6, norm: bool, bias: bool, classes in 1usize..20, ttm in 0usize..4,
    ) {
        let ttm = [TtmMode::Even, TtmMode::Soft, TtmMode::Trim, TtmMode::Random][ttm];
        let options = ZooOptions {
            classes, neuron: Some(neuron), norm: Some(norm), width: None, input: None, ttm: Some(ttm), classifier_bias: Some(bias),
        };
        let net = build(entries()[i].name, &options).unwrap();
        prop_assert_eq!(again(&net, &specs_of(&net), Neuron::lif()), net);
    }

    #[test]
    fn no_list_of_layers_panics_and_every_error_names_a_place(layers in prop::collection::vec(any_layer(), 0..8), side in 0usize..9) {
        match network_from_specs("own", Shape::new(2, side, side), InputKind::Events, &layers, Neuron::lif()) {
            Ok(net) => {
                net.trainable_values();
                prop_assert_eq!(again(&net, &specs_of(&net), Neuron::lif()), net);
            }
            Err(e) => prop_assert!(e.to_string().starts_with("layer `") || e.to_string().starts_with("network `own`"), "{}", e),
        }
    }
}

fn any_layer() -> impl Strategy<Value = LayerSpec> {
    let size = || prop_oneof![3 => 0usize..5, 1 => Just(1 << 20), 1 => any::<usize>()];
    let word = prop::sample::select(kinds::KINDS.iter().map(|k| k.name).chain(["x"]).collect::<Vec<_>>());
    let from = prop::sample::select(vec!["input", "conv1", "ttm1", "neuron1", "norm1", "add1"]);
    let from = prop_oneof![
        3 => Just(None),
        1 => prop::collection::vec(from, 0..4).prop_map(|f| Some(OneOrMany::Many(f.into_iter().map(str::to_owned).collect()))),
    ];
    (word, from, size(), size(), size(), size()).prop_map(|(word, from, out, kernel, stride, padding)| {
        let takes = |f: &str| kinds::kind(word).is_some_and(|k| k.keys.iter().any(|k| k.name == f));
        let two = |a, b| if (a ^ b) % 3 == 0 { Sizes::Two([a, b]) } else { Sizes::One(a) };
        let sides = match (padding ^ out) % 4 {
            0 => PaddingSpec::Four([[padding, out], [kernel, stride]]),
            1 => PaddingSpec::Two([padding, stride]),
            2 if padding == 2 => PaddingSpec::Word("same".to_owned()),
            _ => PaddingSpec::One(padding),
        };
        LayerSpec {
            layer: word.to_owned(),
            from,
            out: Some(out).filter(|_| takes("out")),
            kernel: Some(two(kernel, stride)).filter(|_| takes("kernel")),
            stride: Some(two(stride, padding)).filter(|_| takes("stride") && stride != 4),
            dilation: Some(two(out, kernel)).filter(|_| takes("dilation") && out != 3),
            size: Some(two(kernel, out)).filter(|_| takes("size")),
            thresholds: Some(vec![0.5; out.min(5)]).filter(|_| takes("thresholds") && stride == 4),
            recurrent: [Some(RecurrentKind::Dense), Some(RecurrentKind::OneToOne), None][stride % 3]
                .filter(|_| takes("recurrent") && out < 9),
            delay_us: Some(stride as f64).filter(|_| takes("delay_us") && padding == 1),
            rate: Some(stride as f32 / 4.0).filter(|_| takes("rate")),
            heads: Some(out).filter(|_| takes("heads") && padding != 3),
            scale: Some(kernel as f32 / 8.0).filter(|_| takes("scale") && stride != 2),
            padding: Some(sides).filter(|_| takes("padding") && padding != 4),
            ..Default::default()
        }
    })
}

#[test]
fn windows_are_said_in_one_number_two_or_four_or_as_the_same_size() {
    let net = read(
        r#"
        layer = [
            { layer = "conv", out = 4, kernel = [3, 5], stride = [1, 2], padding = [0, 2], dilation = [2, 1] },
            { layer = "conv", out = 4, kernel = 4, padding = "same" },
            { layer = "neuron", thresholds = [1, 2, 3, 4] },
            { layer = "pool", kernel = [1, 2], padding = [[0, 0], [0, 1]], stride = 1 },
            { layer = "dropout" },
            { layer = "adaptive_average", size = [2, 1] },
            { layer = "flatten" },
            { layer = "dropout", rate = 0.25 },
            { layer = "linear", out = 3 },
        ]"#,
    )
    .unwrap();
    let node = |name: &str| &net.nodes()[net.find(name).unwrap()];
    let shapes: Vec<String> = net.nodes().iter().map(|n| n.output.to_string()).collect();
    assert_eq!(shapes, ["4×4×4", "4×4×4", "4×4×4", "4×4×4", "4×4×4", "4×2×1", "4×2×1", "3×1×1"]);
    let rows = Axis { kernel: 3, stride: 1, dilation: 2, before: 0, after: 0 };
    let columns = Axis::new(5, 2, 2);
    assert_eq!(node("conv1").layer, Layer::Conv(Conv::c3(4).with_window(Window { rows, columns })));
    let same = Axis { kernel: 4, stride: 1, dilation: 1, before: 1, after: 2 };
    assert_eq!(node("conv2").layer, Layer::Conv(Conv::c3(4).with_window(Window { rows: same, columns: same })));
    assert_eq!(node("neuron1").thresholds.as_deref(), Some(&[1.0, 2.0, 3.0, 4.0][..]));
    assert_eq!(node("dropout1").layer, Layer::Dropout(Dropout { rate: 0.5 }));
    assert_eq!(again(&net, &specs_of(&net), Neuron::lif()), net);
}

#[test]
fn a_flatten_may_stand_wherever_it_has_no_effect() {
    let linear = r#"{ layer = "flatten" }, { layer = "neuron" }, { layer = "linear", out = 2 }, { layer = "flatten" }"#;
    let net = read(&format!("layer = [{linear}, {{ layer = \"norm\", from = \"flatten2\" }}]")).unwrap();
    assert_eq!(net.nodes().iter().map(|n| n.name.as_str()).collect::<Vec<_>>(), ["neuron1", "linear1", "norm1"]);
    for layer in ["conv\", out = \"2", "norm", "pool\", kernel = \"2", "global_average"] {
        let layer = layer.replace(" = \"2", " = 2");
        let end = if layer.ends_with('2') { "" } else { "\"" };
        let list = format!("layer = [{{ layer = \"flatten\" }}, {{ layer = \"{layer}{end} }}]");
        let e = read(&list).unwrap_err();
        assert!(e.contains("`flatten`") && e.contains("`linear`"), "{list}: {e}");
    }
}

#[test]
fn a_convolution_of_one_direction_needs_one_row() {
    let vector = |layers: &str| {
        let file: File = toml::from_str(&format!("layer = [{layers}]")).map_err(|e| e.to_string())?;
        network_from_specs("own", Shape::new(1, 1, 700), InputKind::Events, &file.layer, Neuron::lif())
            .map_err(|e| e.to_string())
    };
    let net =
        vector(r#"{ layer = "conv1d", out = 8, kernel = 5, stride = 2 }, { layer = "linear", out = 20 }"#).unwrap();
    assert_eq!(net.nodes()[0].output, Shape::new(8, 1, 350));
    let e = read(r#"layer = [{ layer = "conv1d", out = 2 }]"#).unwrap_err();
    assert!(e.contains("`conv1d1`") && e.contains("2×8×8") && e.contains("`conv`"), "{e}");
    let e = vector(r#"{ layer = "conv1d", out = 2, kernel = [1, 3] }"#).unwrap_err();
    assert!(e.contains("`conv1d1`") && e.contains("`conv1d`"), "{e}");
}

#[test]
fn a_recipe_of_few_words_gets_the_usual_defaults() {
    let net = read(
        r#"
        layer = [
            { layer = "ttm" },
            { layer = "conv", out = 4, name = "stem" },
            { layer = "norm" },
            { layer = "neuron", neuron = { leak = 0.75 } },
            { layer = "conv", out = 4, kernel = 1, from = "stem" },
            { layer = "add", from = ["neuron1", "conv2"] },
            { layer = "pool", kernel = 2 },
            { layer = "linear", out = 3 },
        ]"#,
    )
    .unwrap();
    let layer = |name: &str| net.nodes()[net.find(name).unwrap()].layer;
    assert_eq!(layer("stem"), Layer::Conv(Conv::c3(4)));
    assert_eq!(layer("norm1"), Layer::Norm(Norm::default()));
    assert_eq!(layer("neuron1"), Layer::Neuron(Neuron { leak: Leak::Step(0.75), ..Neuron::lif() }));
    assert_eq!(layer("conv2"), Layer::Conv(Conv::square(4, 1, 1, 0)));
    assert_eq!(layer("pool1"), Layer::Pool(Pool::average(2)));
    assert_eq!(layer("linear1"), Layer::Linear(Linear { out: 3, bias: false }));
}

/// Attention of the input to itself, with one more key.
macro_rules! attention {
    ($key:literal) => {
        concat!(r#"{ layer = "attention", from = ["input", "input", "input"], "#, $key, " }")
    };
}

#[test]
fn attention_reads_three_maps_and_its_output_has_the_place_of_the_queries_and_the_channels_of_the_values() {
    let net = read(
        r#"
        layer = [
            { layer = "conv", out = 6, name = "q" },
            { layer = "conv", out = 6, name = "k", stride = 2, from = "input" },
            { layer = "conv", out = 9, name = "v", stride = 2, from = "input" },
            { layer = "attention", from = ["q", "k", "v"], heads = 3, scale = 0.25 },
            { layer = "attention", from = ["q", "k", "v"], name = "usual" },
            { layer = "add", from = ["attention1", "usual"] },
        ]"#,
    )
    .unwrap();
    let node = |name: &str| &net.nodes()[net.find(name).unwrap()];
    assert_eq!(node("attention1").layer, Layer::Attention(Attention { heads: 3, scale: 0.25 }));
    assert_eq!(node("usual").layer, Layer::Attention(Attention { heads: 1, scale: 0.125 }));
    assert_eq!(node("attention1").output, Shape::new(9, 8, 8));
    assert_eq!(again(&net, &specs_of(&net), Neuron::lif()), net);
}

#[test]
fn errors_name_the_layer_the_field_and_what_was_meant() {
    for (layers, expected) in [
        (r#"{ layer = "neuron", kernel = 3 }"#, "layer `neuron1`: `kernel` makes no sense for a `neuron` layer"),
        (
            r#"{ layer = "add", mode = "even" }"#,
            "layer `add1`: `mode` makes no sense for a `add` layer, which takes nothing",
        ),
        (r#"{ layer = "con", out = 3 }"#, "unknown layer `con`, did you mean `conv`?"),
        (
            r#"{ layer = "ttm" }, { layer = "conv", out = 2 }, { layer = "conv", out = 2, from = "input" },
               { layer = "add", from = ["conv1", "conv2"] }"#,
            "layer `conv2`: reads the input beside the first `ttm`",
        ),
        (r#"{ layer = "conv" }"#, "layer `conv1`: a `conv` layer needs `out`"),
        (r#"{ layer = "pool" }"#, "layer `pool1`: a `pool` layer needs `kernel`"),
        (r#"{ layer = "pool", kernel = 2, padding = 2 }"#, "more than half"),
        (r#"{ layer = "conv", out = 2, padding = 9223372036854775807 }"#, "`padding` is larger than"),
        (r#"{ layer = "linear", out = 2, from = "inptu" }"#, "which is no layer, did you mean `input`?"),
        (r#"{ layer = "linear", out = 2, from = "b" }, { layer = "linear", name = "b", out = 2 }"#, "comes later"),
        (r#"{ layer = "linear", out = 2, from = "linear1" }"#, "the layer itself"),
        (r#"{ layer = "linear", out = 2, from = [] }"#, "layer `linear1`: has no input"),
        (r#"{ layer = "linear", out = 2, name = "input" }"#, "needs another name"),
        (r#"{ layer = "norm", eps = 0 }"#, "layer `norm1`: `eps` must be above 0"),
        (r#"{ layer = "norm", momentum = 2 }"#, "`momentum` must be"),
        (r#"{ layer = "conv", out = 2, padding = "sam" }"#, "layer `conv1`: unknown padding `sam`"),
        (r#"{ layer = "conv", out = 2, padding = "same", stride = 2 }"#, "needs a stride of 1, got 2"),
        (r#"{ layer = "conv", out = 2, kernel = [1, 2, 3] }"#, "a number, or a list [rows, columns]"),
        (
            r#"{ layer = "conv", out = 2, dilation = 0 }"#,
            "layer `conv1`: kernel, stride and dilation must be at least 1",
        ),
        (
            r#"{ layer = "conv", out = 2, dilation = 9 }"#,
            "a window of 3×3 dilation 9 padding 1 does not fit into the input",
        ),
        (r#"{ layer = "conv2d", out = 2 }"#, "unknown layer `conv2d`, here it is `conv`; known: "),
        (r#"{ layer = "LIF" }"#, "here it is `neuron` with"),
        (r#"{ layer = "conv", out = 0 }"#, "layer `conv1`: `out` and `groups` must be at least 1"),
        (r#"{ layer = "conv", out = 2, groups = 0 }"#, "layer `conv1`: `out` and `groups` must be at least 1"),
        (r#"{ layer = "conv", out = 2, kernel = -1 }"#, "expected a number, or a list [rows, columns]"),
        (r#"{ layer = "linear", out = 2, name = "a\nb" }"#, "layer `a\\nb`: layer 1 needs a name without line breaks"),
        // Sizes whose product does not fit into 64 bits.
        (
            r#"{ layer = "conv", out = 1048576, padding = 1048576 }, { layer = "conv", out = 1048576, padding = 1048576 },
               { layer = "global_average" }, { layer = "linear", out = 2 }"#,
            "layer `conv1`: its output 1048576×2097158×2097158 has more than 2^46 values a step; give it fewer channels",
        ),
        (r#"{ layer = "neuron", thresholds = [1, 1e-45] }"#, "f32 cannot hold the neuron's threshold divided by it"),
        (r#"{ layer = "pool", kernel = 2, dilation = 2 }"#, "`dilation` makes no sense for a `pool` layer"),
        (r#"{ layer = "adaptive_average" }"#, "an `adaptive_average` layer needs `size`"),
        (r#"{ layer = "adaptive_average", size = 9 }"#, "cannot average the input 2×8×8 to 9 rows and 9 columns"),
        (r#"{ layer = "dropout", rate = 1 }"#, "layer `dropout1`: `rate` must be from 0 to below 1, got 1"),
        (r#"{ layer = "neuron", recurrent = "dens" }"#, "did you mean `dense`?"),
        (r#"{ layer = "neuron", delay_us = 5 }"#, "`delay_us` is that of recurrent connections"),
        (r#"{ layer = "neuron", recurrent = "dense", delay_us = 0 }"#, "`delay_us` must be at least 1"),
        (r#"{ layer = "conv", out = 2, recurrent = "dense" }"#, "`recurrent` makes no sense for a `conv` layer"),
        (
            r#"{ layer = "attention" }"#,
            "layer `attention1`: reads queries, keys and values, got 1 inputs; give `from =",
        ),
        (r#"{ layer = "attention", from = ["input", "input"] }"#, "got 2 inputs"),
        (attention!("heads = 0"), "layer `attention1`: `heads` must be at least 1"),
        (attention!("heads = 3"), "3 heads do not divide the 2 channels of the queries and the 2 of the values"),
        (attention!("heads = 2000000"), "`heads` is larger than"),
        (attention!("scale = 0"), "layer `attention1`: `scale` must be a number above 0, got 0"),
        (attention!("scale = inf"), "`scale` must be a number above 0, got inf"),
        (attention!("bias = true"), "`bias` makes no sense for a `attention` layer, which takes `heads`, `scale`"),
        (
            r#"{ layer = "conv", out = 4 }, { layer = "attention", from = ["conv1", "input", "input"] }"#,
            "cannot compare the queries 4×8×8 with the keys 2×8×8; give both the same channels",
        ),
        (
            r#"{ layer = "pool", kernel = 2 }, { layer = "attention", from = ["input", "input", "pool1"] }"#,
            "has the keys 2×8×8 and the values 2×4×4; give both the same rows and columns",
        ),
        (
            r#"{ layer = "neuron", name = "q" }, { layer = "ttm" }, { layer = "attention", from = ["q", "ttm1", "ttm1"] }"#,
            "layer `attention1`: its inputs run in different stages",
        ),
        (
            r#"{ layer = "global_average" }, { layer = "flatten", name = "flat", from = "input" },
               { layer = "attention", from = ["global_average1", "flat", "flat"] }"#,
            "layer `attention1`: reads the map 2×8×8 behind a `flatten`",
        ),
        (r#"{ layer = "conv", out = 2, heads = 2 }"#, "`heads` makes no sense for a `conv` layer"),
        (r#"{ layer = "neuron", thresholds = [1] }"#, "`thresholds` has 1 values for 2 channels"),
        (r#"{ layer = "neuron", thresholds = [1, 0] }"#, "`thresholds` must be above 0, got 0"),
        (
            r#"{ layer = "flatten", name = "a" }, { layer = "norm", name = "a", from = "input" }"#,
            "another layer has this name",
        ),
        (r#"{ layer = "neuron", neuron = { threshold = 0 } }"#, "layer `neuron1`: `threshold` must be above 0"),
        (r#"{ layer = "conv", outt = 3 }"#, "unknown field `outt`"),
        (r#"{ layer = "pool", kernel = 2, kind = "mean" }"#, "unknown kind of pooling `mean`"),
        (r#"{ layer = "linear", out = 2, from = 3 }"#, "expected a layer's name or a list of names"),
    ] {
        let e = read(&format!("layer = [{layers}]")).unwrap_err();
        assert!(e.contains(expected), "{layers}: {e}");
    }
    let e = read("layer = []").unwrap_err();
    assert!(e.starts_with("network `"), "the network as a whole, and no layer of it: {e}");
}

#[test]
fn a_neuron_out_of_range_names_its_field() {
    for (text, expected) in [
        ("model = \"lfi\"", "unknown neuron model `lfi`, did you mean `lif`?"),
        ("leak = 0", "`leak` must be above 0"),
        ("leak = 1.5", "`leak` must be above 0 and at most 1, got 1.5"),
        ("leak = nan", "`leak` must be"),
        ("leak = \"time\"", "`leak` is a number or \"none\", not \"time\""),
        ("leak = 0.5\ntau_us = 1e4", "give one"),
        ("tau_us = -1", "`tau_us` must be above 0"),
        ("v_min = 0.5", "`v_min` must be at most 0"),
        ("threshold = inf", "`threshold` must be"),
        ("surrogate = \"gausian\"", "did you mean `gaussian`?"),
        ("surrogate = \"gaussian\"\nsurrogate_width = 1", "has no `surrogate_width`; it has `surrogate_sigma`"),
        ("synapse = 1", "`synapse` must be above 0 and below 1, got 1"),
        ("synapse = 0.5\nsynapse_tau_us = 1e4", "give one"),
        ("synapse_tau_us = 0", "`synapse_tau_us` must be above 0"),
        ("model = \"if\"\nsynapse = 0.5", "give `v_min = \"none\"`"),
        ("adaptation = 0", "`adaptation` must be above 0"),
        ("adaptation_leak = 0.5", "need `adaptation`"),
        ("adaptation = 0.2\nadaptation_leak = 1", "`adaptation_leak` must be above 0 and below 1"),
        ("adaptation = 0.2\nadaptation_leak = 0.5\nadaptation_tau_us = 1e4", "give one"),
        ("adaptation = 0.2\nspikes = \"multi\"", "give `spikes = \"single\"`"),
        ("refractory = { steps = 0 }", "`refractory.steps` must be above 0"),
        ("refractory = { us = inf }", "`refractory.us` must be above 0"),
        ("refractory = { steps = 1, us = 9 }", "give one"),
        ("refractory = {}", "`refractory` needs its length"),
        ("refractory = { during = \"hold\" }", "`refractory` needs its length"),
        ("refractory = \"on\"", "`refractory` is a table such as { steps = 0.5 }, or \"none\", not \"on\""),
        ("model = \"if\"\nrefractory = { steps = 0.5 }", "multi-spike"),
        ("learn_leak = true\ntau_us = 1e4", "starts from a λ per step"),
        ("learn_leak = true\nleak = \"none\"", "starts from a λ per step"),
        ("learn_leak = true\nleak = 1", "must start above 0 and below 1"),
        ("surrogate_width = 1", "`triangle` has no `surrogate_width`"),
        ("surrogate = \"sigmoid\"\nsurrogate_alpha = 0", "`surrogate_alpha` must be above 0"),
    ] {
        let e = toml::from_str::<NeuronSpec>(text).unwrap().resolve(Neuron::lif()).unwrap_err();
        let e = e.to_string();
        assert!(e.contains(expected), "{text}: {e}");
    }
    let e = toml::from_str::<NeuronSpec>("v_min = true").unwrap_err().to_string();
    assert!(e.contains("\"none\""), "{e}");
    for text in ["refractory = 0.5", "refractory = { step = 0.5 }", "refractory = { steps = 1, during = \"rest\" }"] {
        let e = toml::from_str::<NeuronSpec>(text).unwrap_err().to_string();
        assert!(e.contains("{ steps = 0.5 }"), "{text}: {e}");
    }
}

#[test]
fn a_model_is_the_start_and_the_other_fields_change_it() {
    let spec = |text: &str| toml::from_str::<NeuronSpec>(text).unwrap().resolve(Neuron::lif()).unwrap();
    assert_eq!(spec("model = \"if\""), Neuron::if_multi());
    assert_eq!(spec("model = \"if\"\nv_min = \"none\"").v_min, None);
    assert_eq!(spec("refractory = { steps = 0.5 }").refractory, Some(Refractory::steps(0.5)));
    let held = Refractory { period: Period::Us(15_000.0), during: During::Hold };
    assert_eq!(spec("refractory = { us = 15000, during = \"hold\" }").refractory, Some(held));
    let base = Neuron { refractory: Some(held), ..Neuron::lif() };
    let changed = |text: &str| toml::from_str::<NeuronSpec>(text).unwrap().resolve(base).unwrap().refractory;
    assert_eq!(changed("refractory = \"none\""), None);
    assert_eq!(
        changed("refractory = { during = \"integrate\" }"),
        Some(Refractory { during: During::Integrate, ..held })
    );
    assert_eq!(changed("refractory = { steps = 1 }"), Some(Refractory { period: Period::Steps(1.0), ..held }));
    assert_eq!(spec("model = \"if-single\"\nthreshold = 2"), Neuron { threshold: 2.0, ..Neuron::if_single() });
    assert_eq!(spec("leak = \"none\""), Neuron::if_single());
    assert_eq!(spec("surrogate = \"sigmoid\"").surrogate, Surrogate::Sigmoid { alpha: 4.0 });
}
