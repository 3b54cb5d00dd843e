//! Joint quantisation against the golden file `speck_quant.safetensors`.

mod common;

use common::golden;
use tickless_net::Weights;
use tickless_net::quantise::{joint_scale, quantise_layer};

#[test]
fn golden_speck_quant() {
    let Some(path) = golden("speck_quant.safetensors") else { return };
    let index = std::fs::read_to_string(path.with_file_name("index.json")).unwrap();
    let index: serde_json::Value = serde_json::from_str(&index).unwrap();
    let cases = index["files"]["speck_quant.safetensors"]["cases"].as_array().expect("the cases");
    let file = Weights::load(&path).unwrap();
    assert_eq!(cases.len(), 5);
    for case in cases {
        let tensor = |t: &str| &file.get(&format!("{}.{t}", case["case"])).expect("the tensor").data;
        let threshold = case["threshold"].as_f64().expect("a threshold") as f32;
        let v_min = case["min_v_mem"].as_f64().map(|v| v as f32);
        // The scale gives the golden integers also where the layer is refused.
        let scale = joint_scale(tensor("weight"), threshold, v_min);
        let rounded: Vec<f32> = tensor("weight").iter().map(|w| (w * scale).round_ties_even()).collect();
        assert_eq!(rounded, *tensor("q_weight"), "{case}");
        match quantise_layer("conv1", tensor("weight"), threshold, v_min) {
            Ok(q) => {
                assert_eq!(q.weights.iter().map(|&w| f32::from(w)).collect::<Vec<_>>(), rounded, "{case}");
                assert_eq!([f32::from(q.threshold)], tensor("q_threshold").as_slice(), "{case}");
                assert_eq!([f32::from(q.v_min)], tensor("q_min_v_mem").as_slice(), "{case}");
            }
            Err(e) => assert!(v_min.is_none() && e.to_string().contains("set `v_min`"), "{case}: {e}"),
        }
    }
}
