//! Assigning the tensors of a checkpoint to a recipe's network, as `import` and `train --from` do:
//! their options, the table of what matched, and the error of an incomplete match.

use crate::output::say;
use anyhow::{Result, anyhow, bail};
use clap::Args;
use std::path::{Path, PathBuf};
use tickless_net::interop::checkpoint::{self, Dialect, Effect, Fit, FitOptions, Map, Missing, Unused};
use tickless_net::{Network, Weights};
use tickless_train::run::{Base, RunFacts, RunFolder};

/// How the names of a checkpoint are understood.
#[derive(Debug, Clone, Default, Args)]
pub struct Matching {
    /// Names of a checkpoint and the layers that they stand for, a TOML file of lines like
    /// `"backbone.stem" = "conv1"`; the other names are those of the dialect.
    #[arg(long, value_name = "FILE")]
    pub map: Option<PathBuf>,
    /// Place of the state dict in a PyTorch file that has several, for example
    /// `state_dict_pool[29]`.
    #[arg(long, value_name = "PLACE")]
    pub entry: Option<String>,
    /// Whether the input of the file's neurons decays too: `decay_input` of SpikingJelly's
    /// ParametricLIFNode and `norm_input` of sinabs' LIF (both true unless set), which a file with
    /// decays does not say.
    #[arg(long, value_name = "true|false")]
    pub decay_input: Option<bool>,
}

impl Matching {
    /// Assigns the tensors of a file to the layers of a network.
    pub fn fit(&self, file: &Path, network: &Network, dialect: Option<Dialect>) -> Result<Fit> {
        let map = self.map.as_deref().map(Map::load).transpose()?.unwrap_or_default();
        let read = checkpoint::read(file, self.entry.as_deref())?;
        let options = FitOptions::new(dialect, map).with_decay_input(self.decay_input);
        Ok(checkpoint::fit(&read, network, file, &options)?)
    }

    /// Whether the user gave any of these options.
    pub fn given(&self) -> bool {
        self.map.is_some() || self.entry.is_some() || self.decay_input.is_some()
    }
}

/// The dialect of a checkpoint with this word.
///
/// # Errors
/// If the word is unknown; the message lists the known ones.
pub fn dialect(word: &str) -> Result<Dialect> {
    Dialect::of_framework(word).ok_or_else(|| {
        anyhow!(
            "`--dialect {word}` is not known for a checkpoint; give tickless, paper, torchvision (or spikingjelly), or \
             sequential (or snntorch, sinabs)"
        )
    })
}

/// One line on how the names were understood.
pub fn understood(fit: &Fit) -> String {
    let how = match (fit.by_order, fit.dialect) {
        (true, _) => "by the order of the modules".to_owned(),
        (false, Some(dialect)) => format!("by the names of `{dialect}`"),
        (false, None) if fit.matched.is_empty() => "no dialect has such names".to_owned(),
        (false, None) => "by the map alone".to_owned(),
    };
    let prefix = if fit.prefix.is_empty() { String::new() } else { format!(" after `{}`", fit.prefix) };
    let within = fit.within.as_ref().map_or_else(String::new, |place| format!(", in `{place}`"));
    format!("{how}{prefix}{within}")
}

/// Prints what matched, what did not, and why.
pub fn print_table(fit: &Fit, file: &Path) {
    let states = fit.unused.iter().filter(|u| u.is_state).count();
    let unused: Vec<&Unused> = fit.unused.iter().filter(|u| !u.is_state).collect();
    let of = fit.matched.len() + fit.missing.len();
    say!("{}: {} of {of} tensors matched, {}", file.display(), fit.matched.len(), understood(fit));
    let ours = fit.matched.iter().map(|m| &m.tensor).chain(fit.missing.iter().map(|m| &m.tensor));
    let width = ours.map(|n| n.chars().count()).max().unwrap_or(0);
    let shape = |s: &[usize]| s.iter().map(ToString::to_string).collect::<Vec<_>>().join("×");
    let shapes = fit.matched.iter().map(|m| &m.shape).chain(fit.missing.iter().map(|m| &m.shape));
    let wide = shapes.map(|s| shape(s).chars().count()).max().unwrap_or(0);
    // A name of the file may hold a line break.
    let line = |name: &str| name.replace('\n', "\\n");
    for m in &fit.matched {
        let rounded = if m.number.as_str() == "float32" { String::new() } else { format!(" ({})", m.number) };
        say!("  {:<width$}  {:<wide$}  {}{rounded}", m.tensor, shape(&m.shape), line(&m.name));
    }
    for m in &fit.missing {
        say!("  {:<width$}  {:<wide$}  missing: {}", m.tensor, shape(&m.shape), line(&m.why));
    }
    if !unused.is_empty() {
        say!("not used:");
    }
    for u in unused {
        say!("  {} {:?}: {}", line(&u.name), u.shape, u.why);
    }
    if states > 0 {
        say!("{states} states and constants of modules are not weights");
    }
    for d in &fit.differences {
        say!("note: {}", line(d));
    }
}

/// Weights to start a training from: a run, or the file of a checkpoint.
#[derive(Debug)]
pub struct Start {
    /// The weights of the whole network.
    pub weights: Weights,
    /// Where they come from.
    pub base: Base,
    /// What was taken, and what was drawn anew and why.
    pub said: Vec<String>,
}

/// Reads the weights that match `network` from a run or a file; the others stay as `drawn`.
///
/// # Errors
/// If `from` cannot be read, or none of its tensors matches.
pub fn start(from: &Path, matching: &Matching, network: &Network, drawn: Weights) -> Result<Start> {
    let (file, strategy, dialect) = if from.is_dir() {
        let run = RunFolder::open(from)?;
        if !run.finished()? {
            return Err(tickless_train::Error::Unfinished { path: from.to_owned() }.into());
        }
        (run.file("weights.safetensors"), run.facts()?.strategy, Some(Dialect::Tickless))
    } else {
        (from.to_owned(), RunFacts::IMPORTED.to_owned(), None)
    };
    let fit = matching.fit(&file, network, dialect)?;
    let of = fit.matched.len() + fit.missing.len();
    if fit.matched.is_empty() {
        let why = fit.missing.first().map_or("", |m| &m.why);
        bail!(
            "{}: none of its tensors matches the {of} of network `{}`: {why}; `tickless import {} --recipe RECIPE \
             --dry-run` shows all",
            file.display(),
            network.name(),
            file.display()
        );
    }
    let mut said = vec![format!("{} of {of} tensors from {}, {}", fit.matched.len(), file.display(), understood(&fit))];
    said.extend(fit.missing.iter().map(|m| format!("`{}` is drawn: {}", m.tensor, m.why)));
    let unused = fit.unused.iter().filter(|u| !u.is_state);
    said.extend(unused.map(|u| format!("`{}` is not used: {}", u.name, u.why)));
    said.extend(fit.differences);
    let mut weights = drawn;
    weights.tensors.extend(fit.weights.tensors);
    Ok(Start { weights, base: Base { from: from.display().to_string(), strategy }, said })
}

/// Refuses a match that leaves tensors without values, or that leaves out a part of the file's network
/// without which it computes something else.
///
/// # Errors
/// If it does; the message names the first one.
pub fn check_complete(fit: &Fit, file: &Path, recipe: &Path) -> Result<()> {
    let [Missing { tensor, why, .. }, rest @ ..] = &fit.missing[..] else { return check_whole(fit, file, recipe) };
    let others = match rest.len() {
        0 => String::new(),
        1 => " (and 1 other)".to_owned(),
        n => format!(" (and {n} others)"),
    };
    bail!(
        "{}: no values for `{tensor}`{others}: {why}; say with `--map` which names mean which layers, or start a \
         training from those that match: `tickless train {} --from {}`",
        file.display(),
        recipe.display(),
        file.display()
    )
}

fn check_whole(fit: &Fit, file: &Path, recipe: &Path) -> Result<()> {
    let Some(Unused { name, why, .. }) = fit.unused.iter().find(|u| u.effect == Effect::Certain) else { return Ok(()) };
    bail!(
        "{}: `{name}` is not used, and without it the network of the file computes something else: {why}; or start a \
         training without it: `tickless train {} --from {}`",
        file.display(),
        recipe.display(),
        file.display()
    )
}

/// One line on the tensors of the file that no layer uses and whose effect is unknown, if there are any.
pub fn left_out(fit: &Fit) -> Option<String> {
    let unused: Vec<&Unused> = fit.unused.iter().filter(|u| u.effect == Effect::Unknown).collect();
    let first = unused.first()?;
    let (name, are) = (first.name.replace('\n', "\\n"), if unused.len() == 1 { "tensor is" } else { "tensors are" });
    Some(format!(
        "{} {are} not used (`{name}`: {}); if the network of the file needs it, the recipe lacks a layer",
        unused.len(),
        first.why
    ))
}
