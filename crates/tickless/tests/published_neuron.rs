//! The neuron that the NIR paper runs on every platform, without a clock: it fires at the times of
//! the exact solution (`../shared/models/nir-paper`, `lif_norse.nir` and `lif_exact.csv`).

use std::path::Path;
use tickless::engine::{CompileOptions, Program, Session, Trace};
use tickless::net::LeakRule;
use tickless::net::interop::nir::{self, Dialect, ImportOptions, Reader};
use tickless_testing::folders::models;

/// Duration of a step in µs.
const STEP_US: u64 = 100;
/// τ in µs.
const TAU_US: f64 = 2500.0;
/// The threshold of the graph.
const THRESHOLD: f64 = 0.1;

/// Rows of a file: input spikes, membrane, output spikes.
fn rows(file: &Path) -> Vec<[f64; 3]> {
    let text = std::fs::read_to_string(file).unwrap();
    let row = |line: &str| -> Vec<f64> { line.split(',').map(|v| v.trim().parse().unwrap()).collect() };
    text.lines().map(row).map(|r| [r[0], r[1], r[2]]).collect()
}

fn session(file: &Path, dialect: Dialect) -> Session {
    let options =
        ImportOptions { dialect: Some(dialect), dt: Some(1e-4), leak: LeakRule::Time, ..ImportOptions::default() };
    let net = nir::import(&nir::read(file).unwrap(), file, &options).unwrap();
    let options = CompileOptions { step_us: Some(STEP_US as f64), ..CompileOptions::default() };
    Session::new(&Program::compile(&net.network, &net.weights, &options).unwrap())
}

#[test]
fn the_published_neuron_fires_at_the_times_of_the_exact_solution() {
    let (Some(file), Some(exact)) = (models("nir-paper/lif_norse.nir"), models("nir-paper/lif_exact.csv")) else {
        return;
    };
    let rows = rows(&exact);
    let wanted: Vec<u64> = (0..rows.len() as u64).filter(|&t| rows[t as usize][2] > 0.0).collect();
    assert_eq!(wanted, [460, 510, 710, 760]);
    for dialect in [Dialect::Of(Reader::Norse), Dialect::Plain] {
        let (mut session, mut trace) = (session(&file, dialect), Trace::default());
        for (t, row) in rows.iter().enumerate() {
            for _ in 0..row[0] as u64 {
                session.push_at(t as u64 * STEP_US, 0, 0, 0, &mut trace).unwrap();
            }
        }
        let fired: Vec<u64> = trace.spikes.iter().map(|s| s.t_us / STEP_US).collect();
        assert_eq!(fired, wanted, "{dialect}");
    }
}

#[test]
fn an_input_adds_the_charge_of_a_current_over_one_step_and_decays_exactly() {
    let (Some(file), Some(exact)) = (models("nir-paper/lif_norse.nir"), models("nir-paper/lif_exact.csv")) else {
        return;
    };
    let mut session = session(&file, Dialect::Plain);
    let threshold = |s: &Session| f64::from(s.membranes(0).unwrap()[0]);
    session.push_at(0, 0, 0, 0, &mut ()).unwrap();
    let gain = 1.0 - (-(STEP_US as f64) / TAU_US).exp();
    // The layer counts its membrane in units that its threshold takes up; the exact solution's first
    // potential gives the unit.
    let unit = gain / threshold(&session);
    assert!((gain - 0.03921).abs() < 1e-5);
    let rows = rows(&exact);
    session.reset();
    let mut compared = 0;
    for (t, row) in rows.iter().enumerate() {
        for _ in 0..row[0] as u64 {
            session.push_at(t as u64 * STEP_US, 0, 0, 0, &mut ()).unwrap();
        }
        session.advance_to(t as u64 * STEP_US).unwrap();
        // The exact solution integrates on within a spike's step, so its potentials agree up to the
        // first spike.
        if row[2] > 0.0 {
            break;
        }
        let v = threshold(&session) * unit;
        assert!((v - row[1]).abs() < 1e-6 && v < THRESHOLD, "row {t}: {v}, exact {}", row[1]);
        compared += usize::from(row[1] != 0.0);
    }
    assert!(compared > 100, "{compared}");
}
