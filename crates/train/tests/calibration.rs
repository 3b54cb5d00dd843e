//! Tests that the accuracy of a network trained by MTT collapses without batch-norm calibration.
//!
//! If a mixed configuration reduces the steps (10 → 1), the TTM sums spikes, so the input of the
//! next norm is ten times as large; if it increases them, the TTM repeats spikes. The running
//! statistics of mixed training therefore fit no single T. Source: Du et al. (ICLR 2025), appendix.

#[path = "common/last.rs"]
mod last;

use last::Last;
use std::path::Path;
use std::sync::Arc;
use tickless_net::recipe::Recipe;
use tickless_net::{LeakRule, Network, Weights};
use tickless_train::data::{Parts, Source};
use tickless_train::device::Device;
use tickless_train::evaluate::calibrate::Calibration;
use tickless_train::evaluate::{Setting, StepSweep, across_steps};
use tickless_train::model::Model;
use tickless_train::progress::Silent;
use tickless_train::run::train_plan::initial_weights;
use tickless_train::run::trainer::{Task, Trainer};

/// T_max: the number of steps at which norms are calibrated and the accuracy is compared.
const T_MAX: usize = 10;

fn recipe(strategy: &str, seed: u64) -> Recipe {
    let text = format!(
        r#"
        seed = {seed}
        [data]
        set = "digits-dvs"
        seed = 0
        train_limit = 400
        test_limit = 200
        [network]
        name = "demo"
        norm = true
        [train]
        strategy = "{strategy}"
        t_max = 10
        epochs = 4
        batch = 20
        [eval]
        calibration_batches = 10
        "#
    );
    Recipe::parse(&text, Path::new("calibration.toml"), &[]).expect("a recipe")
}

struct Trained {
    recipe: Recipe,
    source: Source,
    parts: Parts,
    network: Arc<Network>,
    /// Weights with the running statistics of the training.
    raw: Weights,
    /// Weights with calibrated statistics, as a training returns them.
    calibrated: Weights,
}

impl Trained {
    fn new(strategy: &str, seed: u64) -> Self {
        let recipe = recipe(strategy, seed);
        let source = Source::open(&recipe.data, seed).expect("embedded");
        let parts = Parts::of(&source, &recipe.data, seed).expect("parts");
        let (shape, kind) = source.input();
        let network = Arc::new(recipe.network.build(shape, kind, 10).expect("a network"));
        let weights = initial_weights(&recipe, &network);
        let mut last = Last::default();
        let (device, of_network) = (Device::flex(), network.clone());
        let task = Task { recipe: &recipe, source: &source, parts: &parts, network: of_network, step_us: None, device };
        let trainer = Trainer::new(task, &weights).expect("fits");
        let (model, _) = trainer.run(&mut last, &Silent).expect("trains");
        let (raw, calibrated) = (last.0.expect("a checkpoint").weights, model.weights());
        Self { recipe, source, parts, network, raw, calibrated }
    }

    fn model(&self, weights: &Weights) -> Model {
        Model::new(self.network.clone(), weights, &Device::flex()).expect("the weights fit")
    }

    /// Percent of correct predictions at T_max.
    fn accuracy(&self, weights: &Weights) -> f64 {
        self.accuracy_at(weights, T_MAX, None)
    }

    /// Percent of correct predictions at `steps` steps.
    fn accuracy_at(&self, weights: &Weights, steps: usize, calibration: Option<Calibration<'_>>) -> f64 {
        let setting = Setting { source: &self.source, ids: &self.parts.test, t_max: T_MAX, step_us: None, batch: 50 };
        let plan = StepSweep { steps: vec![steps], leaks: vec![LeakRule::Step], calibration };
        across_steps(&self.model(weights), &setting, &plan, &Silent).expect("evaluates")[0].accuracy
    }

    fn calibration(&self) -> Calibration<'_> {
        Calibration {
            source: &self.source,
            train: &self.parts.train,
            batches: self.recipe.eval.calibration_batches,
            batch: self.recipe.train.batch,
            t_max: T_MAX,
            step_us: None,
            seed: self.recipe.seed,
        }
    }

    /// Replaces the statistics by calibrated ones, with the call that `tickless calibrate` makes.
    fn calibrate(&self, weights: &Weights) -> Weights {
        let mut model = self.model(weights);
        self.calibration().at(&mut model, T_MAX, LeakRule::Step, &Silent).expect("calibrates");
        model.weights()
    }
}

#[test]
fn without_calibration_the_accuracy_after_mixed_training_collapses() {
    // Measured with seeds 0, 1, 2: MTT without calibration 8.5, 47.5, 35.5 %, with it 81.5, 82.5,
    // 79.0 %. SDT, whose statistics are those of T_max, has 63.0, 63.5, 68.5 % either way.
    for seed in 0..3 {
        let mtt = Trained::new("mtt", seed);
        let (raw, calibrated) = (mtt.accuracy(&mtt.raw), mtt.accuracy(&mtt.calibrated));
        assert!(calibrated > raw + 20.0, "seed {seed}: MTT as trained {raw} %, calibrated {calibrated} %");
        let sdt = Trained::new("sdt", seed);
        let (raw, calibrated) = (sdt.accuracy(&sdt.raw), sdt.accuracy(&sdt.calibrated));
        assert!((calibrated - raw).abs() < 5.0, "seed {seed}: SDT as trained {raw} %, calibrated {calibrated} %");
    }
}

#[test]
fn calibration_does_not_depend_on_the_statistics_it_replaces() {
    let mtt = Trained::new("mtt", 0);
    assert_eq!(mtt.calibrate(&mtt.raw), mtt.calibrated);
    assert_eq!(mtt.calibrate(&mtt.calibrated), mtt.calibrated);
}

#[test]
fn statistics_taken_at_the_t_of_the_evaluation_mend_the_loss_away_from_t_max() {
    // If ten frames become two, each has five times the events, so the norms need other statistics.
    // Measured with seeds 0, 1, 2: T = 1 has 17, 13.5, 12.5 % if calibrated at T_max and 75.5,
    // 78.5, 73 % if calibrated at T = 1; T = 20 has 53, 55, 54.5 % and 80, 82.5, 78.5 %.
    for seed in 0..3 {
        let mtt = Trained::new("mtt", seed);
        let whole = mtt.accuracy(&mtt.calibrated);
        for steps in [1, 2, 5, 20] {
            let kept = mtt.accuracy_at(&mtt.calibrated, steps, None);
            let anew = mtt.accuracy_at(&mtt.calibrated, steps, Some(mtt.calibration()));
            assert!(anew > kept + 10.0, "seed {seed}, T = {steps}: {kept} % with T_max's, {anew} % with its own");
            assert!(anew > whole - 10.0, "seed {seed}, T = {steps}: {anew} %, at T_max {whole} %");
        }
    }
}
