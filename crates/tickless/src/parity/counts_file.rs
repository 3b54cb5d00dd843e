//! Spike counts of another framework or of a chip, in a text file.
//!
//! ```text
//! recording,layer,channel,y,x,spikes
//! 0,neuron1,0,4,7,3
//! ```
//!
//! Recordings are numbered from 0 in the order in which they are compared, layers are named as in the
//! network or numbered from 0; neurons that did not fire may be left out.

use super::execute::Executed;
use anyhow::{Context, Result, bail};
use std::fmt::Write as _;
use std::path::Path;
use tickless_net::{Network, Shape};

const HEAD: &str = "recording,layer,channel,y,x,spikes";

/// Reads the counts of `recordings` recordings.
///
/// # Errors
/// Names the line that is wrong, and why.
pub fn read(file: &Path, network: &Network, shapes: &[Shape], recordings: usize) -> Result<Executed> {
    let text = std::fs::read_to_string(file).with_context(|| file.display().to_string())?;
    let names: Vec<&str> = network.spiking().into_iter().map(|i| network.nodes()[i].name.as_str()).collect();
    let empty: Vec<Vec<u32>> = shapes.iter().map(|s| vec![0; s.len()]).collect();
    let mut out = Executed { counts: vec![empty; recordings], ..Executed::default() };
    let mut lines = text.lines().enumerate().filter(|(_, l)| !l.trim().is_empty());
    if lines.next().is_none_or(|(_, l)| l.trim() != HEAD) {
        bail!("{}: the first line is not `{HEAD}`", file.display());
    }
    for (k, line) in lines {
        let wrong = |what: String| anyhow::anyhow!("{} line {}: {what} in `{line}`", file.display(), k + 1);
        let words: Vec<&str> = line.split(',').map(str::trim).collect();
        let [recording, layer, rest @ ..] = words.as_slice() else { return Err(wrong("not six values".into())) };
        let [channel, y, x, spikes] = rest else { return Err(wrong("not six values".into())) };
        let number = |w: &str| w.parse::<usize>().map_err(|_| wrong(format!("`{w}` is not a whole number")));
        let l = match names.iter().position(|n| n == layer) {
            Some(l) => l,
            None => number(layer)
                .ok()
                .filter(|l| *l < names.len())
                .ok_or_else(|| wrong(format!("no spiking layer `{layer}`; there are {}", names.join(", "))))?,
        };
        let (r, c, y, x, n) = (number(recording)?, number(channel)?, number(y)?, number(x)?, number(spikes)?);
        let s = shapes[l];
        if r >= recordings {
            return Err(wrong(format!("recording {r}, and {recordings} are compared (`--limit`)")));
        }
        if c >= s.channels || y >= s.height || x >= s.width {
            return Err(wrong(format!("the neuron lies outside the layer's {s}")));
        }
        let n = u32::try_from(n).map_err(|_| wrong(format!("{n} spikes are too many")))?;
        out.counts[r][l][(c * s.height + y) * s.width + x] = n;
    }
    Ok(out)
}

/// Counts in the same form, for who wants to compare elsewhere.
pub fn text(network: &Network, shapes: &[Shape], executed: &Executed) -> String {
    let mut text = format!("{HEAD}\n");
    for (r, layers) in executed.counts.iter().enumerate() {
        for ((l, counts), s) in network.spiking().into_iter().zip(layers).zip(shapes) {
            let name = &network.nodes()[l].name;
            for (i, n) in counts.iter().enumerate().filter(|(_, n)| **n > 0) {
                let (c, y, x) = (i / (s.height * s.width), i / s.width % s.height, i % s.width);
                // Writing to a string cannot fail.
                let _ = writeln!(text, "{r},{name},{c},{y},{x},{n}");
            }
        }
    }
    text
}
