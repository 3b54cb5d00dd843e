//! Reads spike counts of another framework or of a chip from a text file.
//!
//! ```text
//! recording,layer,channel,y,x,spikes
//! Test/0/00004.bin,neuron1,0,4,7,3
//! ```
//!
//! The first column names a recording, in all lines either by its file in the data set (or the end
//! of its path) or by its number, from 0, among the compared recordings. Layers have the names of
//! the network, or numbers from 0 if no layer's name is a number. If a layer has any line, its
//! neurons without a line did not fire. A recording or layer without a line is absent, which does
//! not mean silent.
//!
//! The spikes of a file of nir 1.0.8's `write_data` (`tickless trace` writes such files) are counted
//! likewise: its nodes are layers, and its samples recordings by number.

use super::execute::Executed;
use crate::{Error, Result};
use std::collections::{BTreeMap, HashMap};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use tickless_net::interop::nir::data::{Observable, data_from_bytes, is_hdf5};
use tickless_net::{Network, Shape};

const HEAD: &str = "recording,layer,channel,y,x,spikes";

/// The name of a recording in a file.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Key {
    Number(usize),
    File(String),
}

/// The counts of one recording.
#[derive(Debug)]
struct Counted {
    key: Key,
    /// The line where the recording first occurs; `None` if the file has no lines.
    line: Option<usize>,
    /// `[spiking layer][neuron]`; the inner list is empty until the layer has a line.
    counts: Vec<Vec<u32>>,
    /// The line of each count; 0 if it has none.
    lines: Vec<Vec<u32>>,
}

/// The counts of a file.
#[derive(Debug)]
pub struct Counts {
    file: PathBuf,
    recordings: Vec<Counted>,
    /// Whether each spiking layer has a line.
    present: Vec<bool>,
    shapes: Vec<Shape>,
}

/// Whether the file names its recordings by files rather than by number, judged by its first line
/// of counts.
///
/// # Errors
/// If the file cannot be read.
pub fn names_files(file: &Path) -> Result<bool> {
    if let Some(_data) = hdf5(file)? {
        return Ok(false);
    }
    let text = read_text(file)?;
    let first = text.lines().skip(1).find(|l| !l.trim().is_empty());
    Ok(first.is_some_and(|l| matches!(key(l.rsplitn(6, ',').nth(5).unwrap_or("0").trim()), Key::File(_))))
}

fn read_text(file: &Path) -> Result<String> {
    std::fs::read_to_string(file).map_err(|source| Error::Io { path: file.to_owned(), source })
}

/// The bytes of a file in HDF5; `None` if it is another file.
fn hdf5(file: &Path) -> Result<Option<Vec<u8>>> {
    let bytes = std::fs::read(file).map_err(|source| Error::Io { path: file.to_owned(), source })?;
    Ok(is_hdf5(&bytes).then_some(bytes))
}

/// Reads the spikes of a file of `write_data`.
fn of_data(bytes: &[u8], file: &Path, names: &[&str], shapes: &[Shape]) -> Result<Counts> {
    let refuse = |problem: String| Err(Error::Counts { path: file.to_owned(), line: None, problem });
    let data = data_from_bytes(bytes, file)?;
    // Exported graphs and frameworks write a name without dots.
    let plain = |name: &str| name.replace(|c: char| !c.is_ascii_alphanumeric(), "_");
    let mut out = Counts {
        file: file.to_owned(),
        recordings: Vec::new(),
        present: vec![false; names.len()],
        shapes: shapes.to_vec(),
    };
    for (node, observables) in &data.nodes {
        let layer = names.iter().position(|n| n == node).or_else(|| names.iter().position(|n| plain(n) == plain(node)));
        let (Some(l), Some(spikes)) = (layer, observables.get("spikes")) else { continue };
        let counts = match counted(spikes, shapes[l]) {
            Ok(counts) => counts,
            Err(problem) => return refuse(format!("node `{node}`: {problem}")),
        };
        if out.recordings.is_empty() {
            let empty = |k: usize| Counted {
                key: Key::Number(k),
                line: None,
                counts: vec![Vec::new(); names.len()],
                lines: vec![Vec::new(); names.len()],
            };
            out.recordings = (0..counts.len()).map(empty).collect();
        }
        if counts.len() != out.recordings.len() {
            return refuse(format!("node `{node}` has {} samples and another {}", counts.len(), out.recordings.len()));
        }
        out.present[l] = true;
        out.recordings.iter_mut().zip(counts).for_each(|(r, c)| r.counts[l] = c);
    }
    if out.recordings.is_empty() {
        let nodes: Vec<&str> = data.nodes.keys().map(String::as_str).collect();
        return refuse(format!(
            "no node is a spiking layer with `spikes`; it has {}, and the layers are {}",
            nodes.join(", "),
            names.join(", ")
        ));
    }
    Ok(out)
}

/// The spikes of each neuron, `[sample][neuron]`.
fn counted(spikes: &Observable, shape: Shape) -> std::result::Result<Vec<Vec<u32>>, String> {
    let whole = |v: f64| match v.fract() == 0.0 && (0.0..=f64::from(u32::MAX)).contains(&v) {
        true => Ok(v as u32),
        false => Err(format!("{v} is not a number of spikes")),
    };
    let fits = |neurons: usize| match neurons == shape.len() {
        true => Ok(()),
        false => Err(format!("it has {neurons} neurons and the layer {} ({shape})", shape.len())),
    };
    match spikes {
        Observable::Events(e) => {
            fits(e.neurons)?;
            let mut all = vec![vec![0u32; shape.len()]; e.samples.len()];
            for (counts, events) in all.iter_mut().zip(&e.samples) {
                for event in events {
                    counts[event.neuron] = counts[event.neuron].saturating_add(whole(event.value)?);
                }
            }
            Ok(all)
        }
        Observable::Grid(g) => {
            let [samples, steps, neurons] = g.shape;
            fits(neurons)?;
            let mut all = vec![vec![0u32; neurons]; samples];
            for (k, v) in g.data.iter().enumerate().filter(|(_, v)| **v != 0.0) {
                let n = &mut all[k / (steps * neurons)][k % neurons];
                *n = n.saturating_add(whole(f64::from(*v))?);
            }
            Ok(all)
        }
        _ => Err("its kind of data is unknown here".to_owned()),
    }
}

fn key(word: &str) -> Key {
    word.parse().map_or_else(|_| Key::File(word.to_owned()), Key::Number)
}

/// Reads a file of counts.
///
/// # Errors
/// If a line is invalid; the message names the line and the reason.
pub fn read(file: &Path, network: &Network, shapes: &[Shape]) -> Result<Counts> {
    let names: Vec<&str> = network.spiking().into_iter().map(|i| network.nodes()[i].name.as_str()).collect();
    if let Some(bytes) = hdf5(file)? {
        return of_data(&bytes, file, &names, shapes);
    }
    let text = read_text(file)?;
    // A number could mean a layer's position or its name, so positions are allowed only if no name
    // is a number.
    let numbered = !names.iter().any(|n| n.parse::<usize>().is_ok());
    let mut out = Counts {
        file: file.to_owned(),
        recordings: Vec::new(),
        present: vec![false; names.len()],
        shapes: shapes.to_vec(),
    };
    let mut known: HashMap<Key, usize> = HashMap::new();
    let mut lines = text.lines().enumerate().filter(|(_, l)| !l.trim().is_empty());
    let of_file = |problem: String| Error::Counts { path: file.to_owned(), line: None, problem };
    if lines.next().is_none_or(|(_, l)| l.trim() != HEAD) {
        return Err(of_file(format!("the first line is not `{HEAD}`")));
    }
    for (k, line) in lines {
        let malformed = |what: String| Error::Counts {
            path: file.to_owned(),
            line: Some(k + 1),
            problem: format!("{what} in `{line}`"),
        };
        // Splits from the right, because the name of a file may contain commas.
        let words: Vec<&str> = line.rsplitn(6, ',').map(str::trim).collect();
        let [spikes, x, y, channel, layer, recording] = words[..] else {
            return Err(malformed("not six values".into()));
        };
        let number = |w: &str| w.parse::<usize>().map_err(|_| malformed(format!("`{w}` is not a whole number")));
        let l = match names.iter().position(|n| *n == layer) {
            Some(l) => l,
            None => {
                let place = layer.parse().ok().filter(|l| numbered && *l < names.len());
                place.ok_or_else(|| malformed(format!("no spiking layer `{layer}`; there are {}", names.join(", "))))?
            }
        };
        let (c, y, x, n) = (number(channel)?, number(y)?, number(x)?, number(spikes)?);
        let s = shapes[l];
        if c >= s.channels || y >= s.height || x >= s.width {
            return Err(malformed(format!("the neuron lies outside the layer's {s}")));
        }
        let n = u32::try_from(n).map_err(|_| malformed(format!("{n} spikes are too many")))?;
        let key = key(recording);
        if let Some(first) = out.recordings.first()
            && matches!(first.key, Key::File(_)) != matches!(key, Key::File(_))
        {
            let line = first.line.unwrap_or_default();
            let what = format!("recordings are named by file and by number (line {line}); use one of both");
            return Err(malformed(what));
        }
        let r = *known.entry(key.clone()).or_insert_with(|| {
            let (counts, lines) = (vec![Vec::new(); names.len()], vec![Vec::new(); names.len()]);
            out.recordings.push(Counted { key, line: Some(k + 1), counts, lines });
            out.recordings.len() - 1
        });
        let recording = &mut out.recordings[r];
        if recording.counts[l].is_empty() {
            (recording.counts[l], recording.lines[l]) = (vec![0; s.len()], vec![0; s.len()]);
        }
        out.present[l] = true;
        let i = (c * s.height + y) * s.width + x;
        let before = std::mem::replace(&mut recording.lines[l][i], u32::try_from(k + 1).unwrap_or(u32::MAX));
        if before != 0 {
            return Err(malformed(format!("the neuron has a count in line {before} already; remove one of both")));
        }
        recording.counts[l][i] = n;
    }
    if out.recordings.is_empty() {
        return Err(of_file("it has no line of counts".to_owned()));
    }
    Ok(out)
}

impl Counts {
    /// For each recording of the file, in order, its position among `names`: the files of all
    /// recordings that can be compared, `None` for one without a file.
    ///
    /// # Errors
    /// If a recording is not among them or could be several of them; the message names its line.
    pub fn places(&self, names: &[Option<String>]) -> Result<Vec<usize>> {
        let mut taken: BTreeMap<usize, Option<usize>> = BTreeMap::new();
        let mut places = Vec::with_capacity(self.recordings.len());
        for recording in &self.recordings {
            let malformed = |problem: String| Error::Counts { path: self.file.clone(), line: recording.line, problem };
            let place = match &recording.key {
                Key::Number(r) if *r < names.len() => *r,
                Key::Number(r) => {
                    let (path, line) = (self.file.clone(), recording.line);
                    return Err(Error::NotCompared { path, line, recording: *r, compared: names.len() });
                }
                Key::File(name) => file_among(name, names).map_err(malformed)?,
            };
            if let Some(line) = taken.insert(place, recording.line) {
                let line = line.unwrap_or_default();
                return Err(malformed(format!("it names the recording of line {line} in another way; name it once")));
            }
            places.push(place);
        }
        Ok(places)
    }

    /// The counts of all recordings, in the order of the file.
    pub fn executed(&self, network: &Network) -> Executed {
        let filled = |counted: &Counted| -> Vec<Vec<u32>> {
            let layers = counted.counts.iter().zip(&self.shapes).zip(&self.present);
            layers.map(|((c, s), p)| if *p && c.is_empty() { vec![0; s.len()] } else { c.clone() }).collect()
        };
        let counts: Vec<Vec<Vec<u32>>> = self.recordings.iter().map(filled).collect();
        // If neurons are the network's output, their counts are the readout.
        let last = network.spiking().last().copied();
        let reads = last.is_some_and(|i| i + 1 == network.nodes().len()) && self.present.last() == Some(&true);
        let readout = |r: &Vec<Vec<u32>>| r.last().into_iter().flatten().map(|&c| c as f32).collect();
        let logits = if reads { counts.iter().map(readout).collect() } else { Vec::new() };
        let absent = self.present.iter().map(|p| !p).collect();
        Executed { counts, logits, absent, ..Executed::default() }
    }
}

/// The index of the one of `names` that equals `name`, or of which one is the end of the other.
fn file_among(name: &str, names: &[Option<String>]) -> std::result::Result<usize, String> {
    let wanted = name.replace('\\', "/");
    let wanted = wanted.strip_prefix("./").unwrap_or(&wanted);
    let ends = |long: &str, short: &str| long.strip_suffix(short).is_some_and(|rest| rest.ends_with('/'));
    let found = |is: &dyn Fn(&str) -> bool| -> Vec<usize> {
        (0..names.len()).filter(|&i| names[i].as_deref().is_some_and(is)).collect()
    };
    let same = found(&|n| n == wanted);
    let like = if same.is_empty() { found(&|n| ends(n, wanted) || ends(wanted, n)) } else { same };
    match like[..] {
        [one] => Ok(one),
        [] if names.iter().all(Option::is_none) => {
            Err(format!("it names `{name}`, and the recordings of this data set have no files; number them from 0"))
        }
        [] => {
            let example = names.iter().flatten().next().map_or("", String::as_str);
            Err(format!("recording `{name}` is not among the {} of this part (such as `{example}`)", names.len()))
        }
        [a, b, ..] => {
            let name_of = |i: usize| names[i].as_deref().unwrap_or("");
            Err(format!("recording `{name}` may be `{}` or `{}`; write more of its path", name_of(a), name_of(b)))
        }
    }
}

/// Writes counts in the same format. Recordings are named by `names`, or by number if any has none.
/// A silent layer gets one line, so that it does not count as absent.
pub fn text(network: &Network, shapes: &[Shape], executed: &Executed, names: &[Option<String>]) -> String {
    let mut text = format!("{HEAD}\n");
    let named = names.len() == executed.counts.len() && names.iter().all(Option::is_some);
    for (r, layers) in executed.counts.iter().enumerate() {
        let recording = names.get(r).cloned().flatten().filter(|_| named).unwrap_or_else(|| r.to_string());
        for ((l, counts), s) in network.spiking().into_iter().zip(layers).zip(shapes) {
            let name = &network.nodes()[l].name;
            let silent = counts.iter().all(|n| *n == 0);
            for (i, n) in counts.iter().enumerate().filter(|(i, n)| **n > 0 || silent && *i == 0) {
                let (c, y, x) = (i / (s.height * s.width), i / s.width % s.height, i % s.width);
                // Writing to a string cannot fail.
                let _ = writeln!(text, "{recording},{name},{c},{y},{x},{n}");
            }
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_recording_is_found_by_its_path_or_the_end_of_it_unless_two_fit() {
        let names: Vec<Option<String>> =
            ["Test/0/00004.bin", "Test/1/00003.bin", "Train/1/00003.bin"].map(|n| Some(n.to_owned())).to_vec();
        assert_eq!(file_among("Test/0/00004.bin", &names), Ok(0));
        assert_eq!(file_among("0/00004.bin", &names), Ok(0));
        assert_eq!(file_among("./00004.bin", &names), Ok(0));
        assert_eq!(file_among("nmnist/Test/1/00003.bin", &names), Ok(1));
        assert!(file_among("00003.bin", &names).unwrap_err().contains("`Test/1/00003.bin` or `Train/1/00003.bin`"));
        assert!(file_among("4.bin", &names).unwrap_err().contains(" 3 "));
        assert!(file_among("a.bin", &[None]).is_err());
    }
}
