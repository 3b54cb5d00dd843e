//! For a page over runs that were given one by one: the purpose of a single run, and the commands
//! that repeat each run.

use super::in_short;
use crate::results::Finished;
use crate::shell::quoted;
use tickless_net::recipe::Select;

/// Most runs whose commands a page lists.
const LISTED: usize = 12;

/// Describes a single run. It replaces the recipe's purpose, which describes a comparison.
pub(super) fn purpose(f: &Finished) -> String {
    let (run, t) = (&f.run, &f.run.recipe.train);
    let [training, validation, test] = run.facts.samples;
    let set = run.source.dataset().describe().name;
    let mut text = format!("One run, {}, seed {}: network {}", run.facts.origin(), run.facts.seed, in_short(run));
    text += &format!(" on {set} ({training} training, {validation} validation and {test} test samples)");
    if let Some(folds) = run.recipe.data.folds {
        text += &format!(", fold {} of {} counted from 0", folds.fold, folds.of);
    }
    if t.epochs > 0 {
        let steps = match t.strategy.as_str() {
            "sdt" => format!("T = {}", t.t_max),
            _ => format!("T from {} to {}", t.t_min, t.t_max),
        };
        let kept = if t.select == Select::Best { "best" } else { "last" };
        let plural = if t.epochs == 1 { "" } else { "s" };
        text += &format!("; {} epoch{plural} at {steps}, the {kept} epoch's weights", t.epochs);
    }
    text + "."
}

/// The commands that repeat these runs and their results, one per line.
pub fn again(runs: &[Finished]) -> String {
    let mut lines: Vec<String> = runs.iter().take(LISTED).flat_map(of_one).collect();
    if runs.len() > LISTED {
        lines.push(format!("# and likewise {} more runs", runs.len() - LISTED));
    }
    lines.join("\n")
}

fn of_one(f: &Finished) -> Vec<String> {
    let (facts, path) = (&f.run.facts, f.run.folder.path());
    let name = path.file_name().map_or_else(|| "run".into(), |n| n.to_string_lossy().into_owned());
    let new = quoted(&path.with_file_name(format!("{name}-again")).display().to_string());
    let recipe = quoted(&path.join("recipe.toml").display().to_string());
    let made = match (&facts.base, &facts.command) {
        (None, _) => format!("tickless train {recipe} --output {new}"),
        // The recipe does not say what the run was made from, but its command does.
        (Some(_), Some(command)) => with_output(command, &new),
        (Some(base), None) => format!("# {name} was made from {base}"),
    };
    let run = new;
    let mut lines = vec![made];
    if let Some(e) = &f.evaluation {
        let mut steps: Vec<usize> = e.points.iter().filter_map(|p| p.steps()).collect();
        steps.sort_unstable();
        steps.dedup();
        let steps: Vec<String> = steps.iter().map(usize::to_string).collect();
        lines.push(format!("tickless eval {run} --steps {}", steps.join(",")));
    }
    if f.simulation.is_some() {
        lines.push(format!("tickless simulate {run}"));
    }
    lines.push(format!("tickless report {run}"));
    lines
}

/// The command line with another output folder, because its own folder already holds the run.
fn with_output(command: &str, new: &str) -> String {
    let mut words: Vec<&str> = Vec::new();
    let mut all = command.split(' ');
    while let Some(word) = all.next() {
        match word {
            "--output" | "-o" => drop(all.next()),
            w if w.starts_with("--output=") || w == "--resume" => {}
            w => words.push(w),
        }
    }
    format!("{} --output {new}", words.join(" "))
}

#[cfg(test)]
mod tests {
    use super::with_output;

    #[test]
    fn a_command_is_repeated_into_another_folder() {
        let finetune = "tickless finetune runs/a --epochs 3";
        for given in ["", " --output b", " -o b", " --output=b", " --resume"] {
            assert_eq!(with_output(&format!("{finetune}{given}"), "c"), format!("{finetune} --output c"), "{given}");
        }
    }
}
