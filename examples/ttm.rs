//! Prints how each mode of the temporal transformation module (TTM) computes its output steps.
//!
//! ```text
//! cargo run --release -p tickless --example ttm
//! ```

use tickless::kernels::ttm::TimeMap;
use tickless::net::TtmMode;
use tickless::train::seed;

fn main() {
    for (t_in, t_out) in [(5, 3), (3, 5), (10, 4)] {
        for mode in [TtmMode::Even, TtmMode::Soft, TtmMode::Trim, TtmMode::Random] {
            let map = TimeMap::ttm(mode, t_in, t_out, &mut seed::rng(1, "example", 0));
            let rows = map.rows().iter().map(|row| {
                let terms: Vec<String> =
                    row.iter().map(|&(i, w)| if w == 1.0 { format!("x{i}") } else { format!("{w:.2}·x{i}") }).collect();
                terms.join("+")
            });
            let name = format!("{mode:?}").to_lowercase();
            println!("{t_in:>2} -> {t_out}  {name:<7} {}", rows.collect::<Vec<_>>().join("  "));
        }
    }
}
