//! The command line: its words, its help, and how an error leaves the program.

use crate::commands::{
    asynchrony, calibrate, compare, data, demo, eval, export, finetune, import, parity, report, simulate, train,
};
use crate::progress::Console;
use crate::world::World;
use clap::{Args, Parser, Subcommand};
use std::process::ExitCode;

/// Far above the cores of any machine; starting very many threads takes minutes or all memory.
pub(crate) const LARGEST_THREADS: usize = 1024;

/// What every command knows.
#[derive(Debug, Clone, Args)]
pub struct Global {
    /// Print the result as JSON on standard output instead of tables.
    #[arg(long, global = true)]
    pub json: bool,
    /// Where to compute: cpu, or a GPU: wgpu, cuda (in builds with `--features wgpu`, `--features cuda`); one of
    /// several as cuda:1, and for `train` a list, cuda:0,cuda:1.
    #[arg(long, global = true, default_value = "cpu")]
    pub device: String,
    /// Threads to compute with (default: all cores). Results do not depend on it.
    #[arg(long, global = true)]
    pub threads: Option<usize>,
}

#[derive(Debug, Parser)]
#[command(
    name = "tickless",
    version,
    about = "Temporally flexible spiking neural networks: train once, run at any number of time steps, or at none.",
    after_help = "Start with:\n  tickless demo                       three trainings compared on embedded data, in a minute or two\n  \
                  tickless train recipes/nmnist.toml  train on your own recordings\n  tickless help COMMAND               examples of each command"
)]
struct Cli {
    #[command(flatten)]
    global: Global,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Demo(demo::Demo),
    Train(train::Train),
    Compare(compare::Compare),
    Eval(eval::Eval),
    Simulate(simulate::Simulate),
    Asynchrony(asynchrony::Sweep),
    Calibrate(calibrate::Calibrate),
    Finetune(finetune::Finetune),
    Parity(parity::ParityCommand),
    Export(export::Export),
    Import(import::Import),
    Report(report::Report),
    Data(data::Data),
}

/// Runs the command line of this process.
///
/// Exit codes: 0 done, 2 an error that its message explains, 130 stopped by Ctrl-C.
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    if let Some(n) = cli.global.threads
        && !(1..=LARGEST_THREADS).contains(&n)
    {
        return fail(&anyhow::anyhow!("`--threads` = {n}: give 1 to {LARGEST_THREADS}, or leave it out for all cores"));
    }
    if let Some(n) = cli.global.threads
        && let Err(e) = rayon::ThreadPoolBuilder::new().num_threads(n).build_global()
    {
        return fail(&anyhow::anyhow!("cannot make {n} threads: {e}"));
    }
    if let Err(e) = crate::options::install() {
        return fail(&e.into());
    }
    let world = match World::join(matches!(cli.command, Command::Train(_))) {
        Ok(world) => world,
        Err(e) => return fail(&e),
    };
    let console = Console::new(world.is_first());
    let g = &cli.global;
    let result = match cli.command {
        Command::Demo(c) => c.run(g, &console),
        Command::Train(c) => c.run(g, &console, &world),
        Command::Compare(c) => c.run(g, &console),
        Command::Eval(c) => c.run(g, &console),
        Command::Simulate(c) => c.run(g, &console),
        Command::Asynchrony(c) => c.run(g, &console),
        Command::Calibrate(c) => c.run(g, &console),
        Command::Finetune(c) => c.run(g, &console),
        Command::Parity(c) => c.run(g, &console),
        Command::Export(c) => c.run(g, &console),
        Command::Import(c) => c.run(g, &console),
        Command::Report(c) => c.run(g, &console),
        Command::Data(c) => c.run(g, &console),
    };
    console.leave();
    let Err(e) = result else { return ExitCode::SUCCESS };
    if world.ended_by_first(&console) {
        return ExitCode::from(130);
    }
    let code = if console.stopped() {
        eprintln!("{}", one_line(&e));
        130
    } else {
        fail(&e);
        2
    };
    world.end_all(code);
    ExitCode::from(code)
}

fn fail(e: &anyhow::Error) -> ExitCode {
    eprintln!("error: {}", one_line(e));
    ExitCode::from(2)
}

/// An error and its causes in one line; a cause that the message before it quotes is not said twice.
fn one_line(e: &anyhow::Error) -> String {
    let mut text = String::new();
    for cause in e.chain().map(|c| c.to_string().replace('\n', " ")) {
        if text.is_empty() {
            text = cause;
        } else if !text.contains(&cause) {
            text = format!("{text}: {cause}");
        }
    }
    text
}
