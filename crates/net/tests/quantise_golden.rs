//! Checks joint quantisation against the golden file `speck_quant.safetensors`.

use tickless_net::quantise::{joint_scale, quantise_layer};
use tickless_testing::golden::Golden;

#[test]
fn golden_speck_quant() {
    let golden = Golden::open("speck_quant.safetensors");
    for case in golden.cases() {
        let tensor = |t: &str| &golden.get(&format!("{}.{t}", case["case"])).data;
        let threshold = case["threshold"].as_f64().expect("a threshold") as f32;
        let v_min = case["min_v_mem"].as_f64().map(|v| v as f32);
        // The scale must give the golden integers even if the layer is refused.
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
