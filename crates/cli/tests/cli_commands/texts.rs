//! Checks that help, README, guide and the comments of recipes agree with what the program does.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use tickless_testing::command::Scratch;

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

/// The text of every recipe, by its path below `recipes` without extension.
fn recipes() -> BTreeMap<String, String> {
    let top = repository().join("recipes");
    let mut all = BTreeMap::new();
    for folder in [top.clone(), top.join("studies")] {
        let paths = std::fs::read_dir(folder).unwrap().map(|e| e.unwrap().path());
        for path in paths.filter(|p| p.is_file()) {
            let name = path.strip_prefix(&top).unwrap().with_extension("");
            all.insert(name.to_str().unwrap().to_owned(), read(&path));
        }
    }
    all
}

/// The help of every command, README, guide and all recipes, each with its name.
fn texts() -> Vec<(String, String)> {
    let scratch = Scratch::new();
    let main = scratch.ok(&["--help"]).stdout;
    let commands = main.split("Commands:").nth(1).unwrap().lines().skip(1).take_while(|l| !l.is_empty());
    let mut all = vec![("--help".to_owned(), main.clone())];
    // A command's name is indented by two columns; continuation lines are indented further.
    let names = commands.filter_map(|l| l.strip_prefix("  ")).filter(|l| !l.starts_with(' '));
    for command in names.filter_map(|l| l.split_whitespace().next()).filter(|c| *c != "help") {
        all.push((format!("help {command}"), scratch.ok(&["help", command]).stdout));
    }
    assert!(all.len() > 12, "{}", all.len());
    for file in ["README.md", "docs/guide.md"] {
        all.push((file.to_owned(), read(&repository().join(file))));
    }
    all.extend(recipes().into_iter().map(|(name, text)| (format!("recipes/{name}.toml"), text)));
    all
}

/// Words of `text` that begin with `start`, up to the first character that no path contains.
fn words<'a>(text: &'a str, start: &str) -> Vec<&'a str> {
    let path = |c: char| c.is_ascii_alphanumeric() || "-_./".contains(c);
    text.match_indices(start)
        .filter(|(at, _)| !text[..*at].ends_with(path))
        .map(|(at, _)| text[at..].split(|c| !path(c)).next().unwrap().trim_end_matches(['.', '/']))
        .collect()
}

#[test]
fn every_run_that_a_text_names_is_one_that_a_recipe_or_a_command_in_it_makes() {
    let recipes = recipes();
    let seed = |text: &str| text.lines().find_map(|l| l.strip_prefix("seed = ")).unwrap_or("1").to_owned();
    for (name, text) in texts() {
        let given: Vec<&str> = text.split(['\n', '`']).flat_map(|l| l.split("--output ").nth(1)).collect();
        for run in words(&text, "runs/") {
            let Some(rest) = run.strip_prefix("runs/") else { continue };
            let made = recipes.iter().any(|(recipe, text)| {
                let strategies = ["sdt", "nmt", "mtt"];
                let recipe = recipe.rsplit('/').next().unwrap();
                rest == recipe
                    || strategies.iter().any(|s| rest.starts_with(&format!("{recipe}-{s}-seed{}", seed(text))))
            });
            let told = given.iter().any(|o| o.starts_with(run)) || text.contains(&format!("-o {run}"));
            let place =
                ["runs/RUN", "runs", "runs/demo"].contains(&run) || rest.is_empty() || rest.starts_with("demo/");
            // `runs/nmnist-mtt-seed*` is a shell pattern.
            let pattern = text.contains(&format!("{run}*"));
            assert!(made || told || place || pattern, "{name} names `{run}`, which nothing makes");
        }
    }
}

#[test]
fn every_command_line_in_a_text_is_one_that_the_program_takes() {
    let scratch = Scratch::new();
    let mut seen = 0;
    for (name, text) in texts() {
        let lines = text.lines().map(|l| l.trim_start_matches(['#', ' ', '$'])).filter(|l| l.starts_with("tickless "));
        for line in lines {
            let line = ["  ", " #", " > "].iter().fold(line, |l, end| l.split(end).next().unwrap());
            let args: Vec<String> = words_of_shell(line).into_iter().skip(1).collect();
            // If the recipe's data set is not embedded, the line must say where the data are.
            let recipe = args.iter().find_map(|a| a.strip_prefix("recipes/"));
            if let Some(recipe) = recipe {
                let text = read(&repository().join("recipes").join(recipe));
                let embedded = text.contains("set = \"digits-dvs\"");
                assert!(embedded || args.iter().any(|a| a == "--data"), "{name}: `{line}` finds no data");
            }
            if ["help", "--help", "COMMAND"].iter().any(|w| args.iter().any(|a| a == w)) || args.is_empty() {
                continue;
            }
            // The parser refuses an unknown option before the command looks for anything.
            let ran = scratch.run(&args.iter().map(String::as_str).chain(["--threads", "0"]).collect::<Vec<_>>());
            assert!(ran.stderr.contains("`--threads` = 0"), "{name}: `{line}`: {}", ran.stderr);
            seen += 1;
        }
    }
    assert!(seen > 60, "{seen} command lines");
}

/// Splits a line into words as a shell does; only single quotes are supported.
fn words_of_shell(line: &str) -> Vec<String> {
    let mut words = Vec::new();
    let (mut word, mut quoted): (Option<String>, bool) = (None, false);
    for c in line.chars() {
        match c {
            '\'' => {
                quoted = !quoted;
                word.get_or_insert_default();
            }
            ' ' if !quoted => words.extend(word.take()),
            c => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    words
}

#[test]
fn no_line_of_help_is_broken_where_it_was_not_written_to_be() {
    for (name, text) in texts().into_iter().filter(|(name, _)| name.contains("help")) {
        // If a line is too long for clap's width, its last words form a line of their own.
        let lines: Vec<&str> = text.lines().collect();
        let alone = lines.windows(3).find(|w| {
            let prose = |l: &str| !l.is_empty() && !l.starts_with(' ');
            prose(w[0]) && prose(w[1]) && prose(w[2]) && w[1].len() < 20 && w[0].len() > 80
        });
        assert!(alone.is_none(), "{name}: {alone:?}");
    }
}

#[test]
fn the_figures_of_recipes_and_readme_are_the_measured_ones() {
    let results = read(&repository().join("benches/RESULTS.md"));
    for (recipe, head, columns) in [
        ("nmnist", "### Real N-MNIST, 1,100 recordings, five folds, LIF", &[1, 5, 8, 10][..]),
        ("nmnist-if", "### Real N-MNIST, five folds, multi-spike IF", &[1, 5, 9]),
    ] {
        let table = results.split(head).nth(1).unwrap_or_else(|| panic!("no table {head}"));
        let text = &recipes()[recipe];
        for strategy in ["SDT", "NMT", "MTT"] {
            let Some(row) =
                table.split("\n### ").next().unwrap().lines().find(|l| l.starts_with(&format!("| {strategy} |")))
            else {
                continue;
            };
            let cells: Vec<&str> = row.split('|').map(str::trim).skip(1).collect();
            let number = |c: &usize| cells[*c].split_whitespace().next().unwrap().to_owned();
            let expected = format!("{strategy} {}", columns.iter().map(number).collect::<Vec<_>>().join(" / "));
            assert!(text.contains(&expected), "recipes/{recipe}.toml does not say `{expected}`");
        }
    }
    let readme = read(&repository().join("README.md"));
    assert!(results.contains("SDT loses 23 points, NMT 10, MTT 5"));
    assert!(readme.replace('\n', " ").contains("loses 23 points without a clock, mixed time-step training (MTT) 5"));
}

#[test]
fn the_next_step_that_is_named_can_be_taken() {
    let scratch = Scratch::new();
    scratch.write("base.toml", super::RESIDUAL);
    scratch.ok(&["train", "base.toml", "--output", "base"]);
    let next_steps = |text: &str| {
        let line =
            text.lines().find_map(|l| l.strip_prefix("next: ")).unwrap_or_else(|| panic!("no next step: {text}"));
        line.split(", or ").map(str::to_owned).collect::<Vec<_>>()
    };
    let follow = |line: &str| {
        let words = words_of_shell(line.split(" to run it").next().unwrap());
        scratch.ok(&words.iter().skip(1).map(String::as_str).collect::<Vec<_>>())
    };
    // After the fold a network with bias can be simulated, as the message says.
    let converted = scratch.ok(&["finetune", "base", "--epochs", "0"]).stdout;
    assert_eq!(next_steps(&converted), ["tickless simulate base-converted"]);
    follow(&next_steps(&converted)[0]);
    // The folder is named as the help says.
    let help = scratch.ok(&["help", "finetune"]).stdout.replace(['\n'], " ");
    assert!(help.contains("-converted") && help.contains("-<strategy>-finetuned"), "{help}");
}

#[test]
fn an_imported_graph_has_the_folder_that_help_names_and_is_not_called_trained() {
    let scratch = Scratch::trained();
    scratch.ok(&["export", "run", "--to", "nir", "--output", "net.nir"]);
    let args = ["import", "net.nir", "--recipe", "small.toml"];
    let made = scratch.ok(&args);
    assert!(
        made.stdout.contains("runs/net\n") && made.stdout.contains("next: tickless simulate runs/net"),
        "{made:#?}"
    );
    assert_eq!(scratch.json("runs/net/run.json")["strategy"], "imported");
    // A command without `--resume` must not advise it.
    let line = scratch.refused_with(&args, &["runs/net", "holds a run already", "--output"]);
    assert!(!line.contains("--resume"), "{line}");
    let shown = scratch.ok(&["eval", "runs/net", "--steps", "4"]).stdout;
    assert!(shown.contains("imported from net.nir") && !shown.contains("trained as"), "{shown}");
    let page = scratch.ok_json(&["report", "runs/net"]);
    assert_eq!(page["strategies"][0]["name"], "imported");
    assert!(page["purpose"].as_str().unwrap().contains("imported from net.nir"), "{:#}", page["purpose"]);
    // A converted run keeps the strategy that it was trained with.
    scratch.ok(&["train", "small.toml", "--set", "train.strategy=sdt", "--output", "sdt"]);
    scratch.ok(&["finetune", "sdt", "--epochs", "0"]);
    assert_eq!(scratch.json("sdt-converted/run.json")["strategy"], "SDT");
}
