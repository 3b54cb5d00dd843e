//! Interface to the C programs: compiles them, writes a network and recordings to a file for them,
//! runs them and reads their output.

use crate::Anything;
use std::path::{Path, PathBuf};
use std::process::Command;
use tickless_engine::Recording;
use tickless_net::{Layer, Network, PoolKind, Weights};

/// Compiles `benches/event-loop/NAME.c` and writes the program to `folder`.
pub fn compile(folder: &Path, name: &str) -> Anything<PathBuf> {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("../../benches/event-loop/{name}.c"));
    let program = folder.join(name);
    let status =
        Command::new("cc").args(["-O3", "-march=native", "-o"]).arg(&program).arg(source).arg("-lm").status()?;
    if status.success() { Ok(program) } else { Err(format!("cc cannot compile {name}.c").into()) }
}

/// Runs a C program and returns its output, split into words.
pub fn said(program: &Path, arguments: &[&str]) -> Anything<Vec<String>> {
    let out = String::from_utf8(Command::new(program).args(arguments).output()?.stdout)?;
    Ok(out.split_whitespace().map(str::to_owned).collect())
}

/// Network, weights and recordings in the binary format that the C program reads.
pub fn describe(net: &Network, weights: &Weights, recordings: &[Recording], step_us: f64) -> Anything<Vec<u8>> {
    let mut layers: Vec<([i32; 12], f32, Vec<f32>)> = Vec::new();
    // Window of the pooling before a weighted layer, and the divisor that an average puts into the
    // weights.
    let (mut pool, mut divide) = (1, 1);
    for (i, node) in net.nodes().iter().enumerate() {
        let (kernel, stride, pad) = match node.layer {
            Layer::Pool(p) => {
                let (kernel, _, _) = p.window.as_square().ok_or("the C program pools squares")?;
                (pool, divide) = (kernel, if p.kind == PoolKind::Average { kernel * kernel } else { 1 });
                continue;
            }
            Layer::Conv(c) => {
                let (kernel, stride, padding) = c.window.as_square().ok_or("the C program convolves squares")?;
                ((kernel, kernel), stride, padding)
            }
            Layer::Linear(_) => ((node.input.height, node.input.width), 1, 0),
            _ => continue,
        };
        let (cin, cout, (kh, kw)) = (node.input.channels, node.output.channels, kernel);
        let array = weights.require(&node.name, "weight")?;
        let mut w = vec![0.0; kh * kw * cin * cout];
        for (k, value) in array.data.iter().enumerate() {
            let (o, c, y, x) = (k / (cin * kh * kw), k / (kh * kw) % cin, k / kw % kh, k % kw);
            w[((y * kw + x) * cin + c) * cout + o] = value / divide as f32;
        }
        let tau = net.nodes()[i..].iter().find_map(|n| match n.layer {
            Layer::Neuron(n) => Some(if n.leaks() { n.tau_us(Some(step_us)).unwrap_or(0.0) } else { 0.0 }),
            _ => None,
        });
        let (hin, win, out) = (node.input.height, node.input.width, node.output);
        let readout = usize::from(tau.is_none());
        let numbers = [cin, hin, win, pool, kh, kw, stride, pad, cout, out.height, out.width, readout];
        layers.push((numbers.map(|n| n as i32), tau.unwrap_or(0.0) as f32, w));
        (pool, divide) = (1, 1);
    }
    let mut out = (layers.len() as i32).to_le_bytes().to_vec();
    for (numbers, tau, w) in layers {
        numbers.iter().for_each(|n| out.extend(n.to_le_bytes()));
        out.extend(tau.to_le_bytes());
        w.iter().for_each(|v| out.extend(v.to_le_bytes()));
    }
    out.extend((recordings.len() as i32).to_le_bytes());
    recordings.iter().for_each(|r| out.extend((r.len() as i32).to_le_bytes()));
    for e in recordings.iter().flat_map(Recording::iter) {
        [e.t_us as u32, u32::from(e.on), e.y.into(), e.x.into()].iter().for_each(|v| out.extend(v.to_le_bytes()));
    }
    Ok(out)
}
