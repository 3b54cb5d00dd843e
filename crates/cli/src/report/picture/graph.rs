//! The graph of a network: one row for each layer, a band for each stage, and lines beside the rows
//! for inputs that are not the layer before.

use super::{Align, Ink, Picture, series};
use tickless_net::summary::{LayerSummary, Summary};

const WIDTH: f64 = 720.0;
const ROW: f64 = 30.0;
const TOP: f64 = 64.0;
/// Left edge and width of the boxes; stages are named on their left, lines run on their right.
const LEFT: f64 = 84.0;
const BOX: f64 = 520.0;
/// Distance of the lines beside the boxes.
const LANE: f64 = 11.0;
/// Lines arrive this much above the middle of a row and leave it this much below, so that a line
/// that ends at a row does not look as if it went on.
const APART: f64 = 5.0;

/// Draws a network.
pub(crate) fn picture(s: &Summary) -> Picture {
    let rows = s.layers.len() + 1;
    let links = links(&s.layers);
    let lanes = links.iter().map(|l| l.lane + 1).max().unwrap_or(0);
    let width = WIDTH.max(LEFT + BOX + 24.0 + LANE * lanes as f64);
    let mut p = Picture::new("network", s.network.clone(), width, TOP + ROW * rows as f64 + 16.0);
    p.alternative = format!(
        "Network {} with {} layers in {} stages and {} weights.",
        s.network,
        s.layers.len(),
        s.stages,
        s.parameters
    );
    p.text((LEFT, 24.0), s.network.clone(), 17.0, Ink::TEXT, Align::Left);
    let numbers = format!("{} weights, {} operations a step", s.parameters, s.operations);
    p.text((LEFT, 46.0), numbers, 12.0, Ink::SOFT, Align::Left);
    let y = |row: usize| TOP + ROW * row as f64;
    stages(&mut p, &s.layers, width, y);
    for (row, text) in [(0, ["input".to_owned(), String::new(), s.input.to_string()])].into_iter().chain(
        s.layers.iter().enumerate().map(|(i, l)| {
            let what = if l.detail.is_empty() { l.kind.to_owned() } else { format!("{} {}", l.kind, l.detail) };
            (i + 1, [l.name.clone(), what, l.output.to_string()])
        }),
    ) {
        let ink = if row == 0 { Ink::SOFT } else { ink_of(s.layers[row - 1].kind) };
        p.rect(LEFT, y(row) + 3.0, BOX, ROW - 6.0, ink.at(0.14));
        p.rect(LEFT, y(row) + 3.0, 4.0, ROW - 6.0, ink);
        let middle = y(row) + ROW / 2.0;
        let [name, what, shape] = text;
        p.text((LEFT + 12.0, middle), name, 12.0, Ink::TEXT, Align::Left);
        p.text((LEFT + 220.0, middle), what, 11.0, Ink::SOFT, Align::Left);
        p.text((LEFT + BOX - 8.0, middle), shape, 11.0, Ink::TEXT, Align::Right);
    }
    for (i, l) in s.layers.iter().enumerate() {
        if sources(&s.layers, l).contains(&i) {
            p.line([(LEFT + BOX / 2.0, y(i + 1) - 3.0), (LEFT + BOX / 2.0, y(i + 1) + 3.0)], Ink::TEXT, 1.5);
        }
    }
    for link in &links {
        let x = LEFT + BOX + 12.0 + LANE * link.lane as f64;
        let (from, to) = link.ends(y);
        let right = LEFT + BOX;
        p.line([(right, from), (x, from), (x, to), (right, to)], Ink::TEXT, 1.25);
        p.area([(right, to), (right + 6.0, to - 3.5), (right + 6.0, to + 3.5)], Ink::TEXT);
    }
    p
}

/// A band behind every second stage, and the name of each.
fn stages(p: &mut Picture, layers: &[LayerSummary], width: f64, y: impl Fn(usize) -> f64) {
    let mut begin = 0;
    for i in 1..=layers.len() {
        if i < layers.len() && layers[i].stage == layers[begin].stage {
            continue;
        }
        if let Some(stage) = layers[begin].stage {
            let top = y(begin + 1);
            if stage % 2 == 1 {
                p.rect(0.0, top, width, y(i + 1) - top, Ink::BAND);
            }
            p.text((12.0, top + ROW / 2.0), format!("stage {stage}"), 11.0, Ink::SOFT, Align::Left);
        }
        begin = i;
    }
}

fn ink_of(kind: &str) -> Ink {
    match kind {
        "conv" | "linear" | "attention" => series(2),
        "neuron" => series(0),
        "norm" => series(1),
        "ttm" => series(3),
        _ => Ink::SOFT,
    }
}

/// An input that is not the row before; `from` and `to` are rows, of which 0 is the input.
struct Link {
    from: usize,
    to: usize,
    lane: usize,
}

impl Link {
    /// Where the line leaves its source and where it arrives; `y` is the top of a row.
    fn ends(&self, y: impl Fn(usize) -> f64) -> (f64, f64) {
        (y(self.from) + ROW / 2.0 + APART, y(self.to) + ROW / 2.0 - APART)
    }
}

/// Rows of the inputs of a layer; a layer that reads one twice is listed once.
fn sources(layers: &[LayerSummary], l: &LayerSummary) -> Vec<usize> {
    let row = |name: &String| layers.iter().position(|l| l.name == *name).map_or(0, |i| i + 1);
    let mut rows: Vec<usize> = l.from.iter().map(row).collect();
    rows.sort_unstable();
    rows.dedup();
    rows
}

/// The links beside the boxes, in lanes in which none overlap.
fn links(layers: &[LayerSummary]) -> Vec<Link> {
    let mut all: Vec<Link> = Vec::new();
    for (i, l) in layers.iter().enumerate() {
        for from in sources(layers, l).into_iter().filter(|from| *from != i) {
            let to = i + 1;
            let taken = |lane: usize| all.iter().any(|k| k.lane == lane && from < k.to && k.from < to);
            let lane = (0..).find(|lane| !taken(*lane)).unwrap_or(0);
            all.push(Link { from, to, lane });
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::picture::{Use, svg};
    use tickless_net::summary::summary;
    use tickless_net::zoo::{ZooOptions, build};

    #[test]
    fn every_layer_is_named_and_every_shortcut_is_drawn_in_a_lane_of_its_own() {
        let s = summary(&build("resnet18", &ZooOptions::default()).unwrap());
        let text = svg(&picture(&s), Use::File).unwrap();
        for l in &s.layers {
            assert!(text.contains(&l.name), "{}", l.name);
        }
        // One line from each block's entry to its addition, and where the shortcut is a convolution
        // one more from the block's main branch.
        assert_eq!(links(&s.layers).len(), 8 + 3);
        // In a block of attention: lines to the keys, the values and the addition, from the queries
        // and the keys to the product, and around the MLP.
        let attention = summary(&build("spikformer-4-384", &ZooOptions::default()).unwrap());
        assert_eq!(links(&attention.layers).len(), 1 + 4 * 6);
        for s in [&s, &attention] {
            let ends = |l: &Link| l.ends(|row| ROW * row as f64);
            let links = links(&s.layers);
            for (i, a) in links.iter().enumerate() {
                for b in &links[..i] {
                    let ((top, end), (other, last)) = (ends(a), ends(b));
                    assert!(a.lane != b.lane || end < other || last < top, "{}: two lines touch", s.network);
                }
            }
        }
    }
}
