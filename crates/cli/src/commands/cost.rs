//! The table of a network's cost that `eval` prints, under the keys of NeuroBench.

use crate::output::say;
use tickless_net::energy::EnergyEstimate;
use tickless_net::neurobench::Cost;

/// Prints the cost at T_max.
pub fn show_cost(t_max: usize, cost: &Cost, energy: &[EnergyEstimate]) {
    say!("cost per sample at T = {t_max} (NeuroBench 2.3):");
    let line = |key: &str, value: String, unit: &str| say!("{key:>40}  {value:>16}{unit}");
    line("Footprint", cost.footprint.to_string(), " bytes");
    line("ParameterCount", cost.parameter_count.to_string(), "");
    line("ConnectionSparsity", format!("{:.4}", cost.connection_sparsity), "");
    line("ActivationSparsity", format!("{:.4}", cost.activation_sparsity), "");
    for (layer, sparsity) in &cost.activation_sparsity_by_layer {
        line(&format!("ActivationSparsityByLayer {layer}"), format!("{sparsity:.4}"), "");
    }
    let operations = cost.synaptic_operations;
    line("SynapticOperations Effective_MACs", format!("{:.2}", operations.effective_macs), "");
    line("SynapticOperations Effective_ACs", format!("{:.2}", operations.effective_acs), "");
    line("SynapticOperations Dense", format!("{:.2}", operations.dense), "");
    line("MembraneUpdates", format!("{:.2}", cost.membrane_updates), "");
    match cost.neuron_operations {
        Some(n) => {
            line("NeuronOperations Effective Neuron Ops", format!("{:.2}", n.effective), "");
            line("NeuronOperations Neuron Dense Ops", format!("{:.2}", n.dense), "");
        }
        None => line("NeuronOperations", "–".into(), " (NeuroBench counts none for these neurons)"),
    }
    for e in energy {
        say!(
            "energy of the synaptic operations, estimated by the model \"{}\" ({} pJ per accumulate, {} pJ per \
             multiply-accumulate): {:.3} nJ",
            e.model,
            e.costs.accumulate_pj,
            e.costs.multiply_accumulate_pj,
            e.estimate_nj
        );
    }
}
