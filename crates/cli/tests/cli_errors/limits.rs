//! Values that no machine can carry out.

use super::{TRAIN, set};
use tickless_testing::command::Scratch;
use tickless_testing::recipes::RECIPE;

#[test]
fn values_that_no_machine_can_carry_out_are_refused_at_once() {
    let scratch = Scratch::small();
    let hostile = [
        ("train.batch=1000000000000", "`train.batch`"),
        ("train.t_max=1000000000", "`train.t_max`"),
        ("train.samples=1000000000000", "`train.samples`"),
        ("train.epochs=0", "`train.epochs`"),
        ("train.epochs=1000000000000000", "`train.epochs`"),
        ("train.epochs=-1", "-1"),
        ("train.learning_rate=nan", "`train.learning_rate`"),
        ("train.learning_rate=inf", "`train.learning_rate`"),
        ("train.learning_rate=-0.1", "`train.learning_rate`"),
        ("train.weight_decay=nan", "`train.weight_decay`"),
        ("train.momentum=-1", "`train.momentum`"),
        ("train.init_gain=nan", "`train.init_gain`"),
        ("train.init_gain=-2", "`train.init_gain`"),
        ("train.tet_lambda=nan", "`train.tet_lambda`"),
        ("train.tet_target=inf", "`train.tet_target`"),
        ("train.warmup_epochs=1e300", "`train.warmup_epochs`"),
        ("train.label_smoothing=1", "`train.label_smoothing`"),
        ("train.checkpoint_every=0", "`train.checkpoint_every`"),
        ("data.validation=1", "`data.validation`"),
        ("data.validation=nan", "`data.validation`"),
        ("data.augment.roll=9000000000000000000", "`data.augment.roll`"),
        ("data.augment.crop=9000000000000000000", "`data.augment.crop`"),
        ("data.size=[0, 3]", "`data.size`"),
        ("data.size=[65535, 65535]", "linear1"),
        ("data.size=[8000, 8000]", "GB of memory"),
        ("data.size=[65536, 1]", "65536"),
        ("eval.batch=0", "`eval.batch`"),
        ("eval.steps=[]", "`eval.steps`"),
        ("eval.steps=[1000000000]", "`eval.steps`"),
        ("eval.leak=[]", "`eval.leak`"),
        ("network.neuron.threshold=0", "`threshold`"),
        ("network.neuron.leak=2", "`leak`"),
    ];
    for (assignment, word) in hostile {
        tickless_testing::hang::ends(assignment, || scratch.refused_with(&set(assignment), &[word]));
        assert!(!scratch.at("runs/small-mtt-seed1/recipe.toml").exists(), "{assignment}: nothing has begun");
    }
    let trained = Scratch::trained();
    trained.refused_with(&["eval", "run", "--steps", "1..1000000000000"], &["1..1000000000000", "at most"]);
    trained.refused_with(&["eval", "run", "--steps", "1000000"], &["1000000", "at most"]);
}

#[test]
fn layers_that_no_machine_can_hold_are_refused_at_once() {
    let scratch = Scratch::new();
    let (head, rest) = RECIPE.split_once("name = \"demo\"\n").unwrap();
    for (hostile, word) in [
        ("layer = \"conv\"\nout = 1048576\nkernel = 1048575", "conv1"),
        ("layer = \"conv\"\nout = 1048576\nkernel = 1", "GB of memory"),
        ("layer = \"conv\"\nout = 8\nkernel = 3\npadding = 1048576", "GB of memory"),
        ("layer = \"conv\"\nout = 1\npadding = 20000", "GB of memory"),
        ("layer = \"conv\"\nout = 8\nkernel = 0", "conv1"),
        ("layer = \"conv\"\nout = 8\nstride = 0", "conv1"),
        ("layer = \"conv\"\nout = 8\ngroups = 0", "conv1"),
        ("layer = \"linear\"\nout = 1048577", "linear1"),
        ("layer = \"linear\"\nout = 1048576", "linear1"),
    ] {
        let layers = format!(
            "name = \"big\"\n[[network.layers]]\nlayer = \"ttm\"\n[[network.layers]]\n{hostile}\n[[network.layers]]\n\
             layer = \"global_average\"\n[[network.layers]]\nlayer = \"linear\"\nout = 10\n"
        );
        scratch.write("small.toml", format!("{head}{layers}{rest}"));
        scratch.refused_with(&TRAIN, &[word]);
    }
}

#[test]
fn a_number_of_threads_that_no_machine_has() {
    for n in ["0", "100000"] {
        Scratch::new().refused_with(&["data", "list", "--threads", n], &["`--threads`", "1 to 1024"]);
    }
}
