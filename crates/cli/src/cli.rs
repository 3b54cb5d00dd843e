//! The command line: subcommands, help, global options, and the exit code.

use crate::arguments::{Global, LARGEST_THREADS};
use crate::commands::{
    asynchrony, calibrate, compare, data, demo, eval, export, finetune, import, net, parity, predict, report, simulate,
    study, trace, train, tune,
};
use crate::output::{self, note};
use crate::processes::Processes;
use crate::progress::Console;
use clap::{CommandFactory, FromArgMatches, Parser, Subcommand};
use std::process::ExitCode;

#[derive(Debug, Parser)]
#[command(
    name = "tickless",
    version,
    about = "Temporally flexible spiking neural networks: train once, run at any number of time steps, or at none.",
    after_help = "Start with:\n  tickless demo                       three trainings compared on embedded data, in a minute or two\n  \
                  tickless train recipes/nmnist.toml --data PATH  train on your own recordings\n  tickless help COMMAND               examples of each command"
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
    Predict(predict::Predict),
    Tune(tune::Tune),
    Asynchrony(asynchrony::Sweep),
    Study(study::Study),
    Calibrate(calibrate::Calibrate),
    Finetune(finetune::Finetune),
    Parity(parity::ParityCommand),
    Trace(trace::TraceCommand),
    Export(export::Export),
    Import(import::Import),
    Report(report::Report),
    Data(data::Data),
    Net(net::Net),
}

/// Lets every option take a value such as `-1`. The error then names the option and the values that
/// it takes; otherwise it would call `-1` an unknown option.
fn taking_negative_numbers(command: clap::Command) -> clap::Command {
    let each = |arg: clap::Arg| if arg.get_action().takes_values() { arg.allow_negative_numbers(true) } else { arg };
    command.mut_args(each).mut_subcommands(taking_negative_numbers)
}

/// Parses and runs the command line of this process.
///
/// Exit codes: 0 for success, 2 for an error, which the message explains, 130 if stopped by Ctrl-C.
pub fn main() -> ExitCode {
    let parsed = taking_negative_numbers(Cli::command()).try_get_matches().and_then(|m| Cli::from_arg_matches(&m));
    let cli = match parsed {
        Ok(cli) => cli,
        Err(e) => return usage(&e),
    };
    if let Some(n) = cli.global.threads
        && !(1..=LARGEST_THREADS).contains(&n)
    {
        return fail(&anyhow::anyhow!("`--threads` = {n}: give 1 to {LARGEST_THREADS}, or leave it out for all cores"));
    }
    if let Some(n) = threads(cli.global.threads)
        && let Err(e) = rayon::ThreadPoolBuilder::new().num_threads(n).build_global()
    {
        return fail(&anyhow::anyhow!("cannot make {n} threads: {e}"));
    }
    if let Err(e) = crate::options::install() {
        return fail(&e.into());
    }
    let world = match Processes::join(matches!(cli.command, Command::Train(_))) {
        Ok(world) => world,
        Err(e) => return fail(&e),
    };
    let console = Console::new(world.is_first(), cli.global.volume());
    let g = &cli.global;
    let result = match cli.command {
        Command::Demo(c) => c.run(g, &console),
        Command::Train(c) => c.run(g, &console, &world),
        Command::Compare(c) => c.run(g, &console),
        Command::Eval(c) => c.run(g, &console),
        Command::Simulate(c) => c.run(g, &console),
        Command::Predict(c) => c.run(g, &console),
        Command::Tune(c) => c.run(g, &console),
        Command::Asynchrony(c) => c.run(g, &console),
        Command::Study(c) => c.run(g, &console),
        Command::Calibrate(c) => c.run(g, &console),
        Command::Finetune(c) => c.run(g, &console),
        Command::Parity(c) => c.run(g, &console),
        Command::Trace(c) => c.run(g, &console),
        Command::Export(c) => c.run(g, &console),
        Command::Import(c) => c.run(g, &console),
        Command::Report(c) => c.run(g, &console),
        Command::Data(c) => c.run(g, &console),
        Command::Net(c) => c.run(g, &console),
    };
    console.leave();
    let Err(e) = result.and_then(|()| output::all_printed()) else { return ExitCode::SUCCESS };
    if world.ended_by_first(&console) {
        return ExitCode::from(130);
    }
    let code = if console.stopped() {
        note!("{}", with_remedy(&e));
        130
    } else {
        fail(&e);
        2
    };
    world.end_all(code);
    ExitCode::from(code)
}

/// Most threads per core. More threads only wait for each other and slow the work down many times.
const THREADS_PER_CORE: usize = 8;

/// The number of threads to compute with, if `given` or `RAYON_NUM_THREADS` states one, limited to
/// what the cores can use. Results do not depend on it.
fn threads(given: Option<usize>) -> Option<usize> {
    let n = given.or_else(|| std::env::var("RAYON_NUM_THREADS").ok()?.trim().parse().ok().filter(|n| *n > 0))?;
    let most = THREADS_PER_CORE * std::thread::available_parallelism().map_or(1, usize::from);
    if n > most {
        note!("note: {n} threads are asked for; computing with {most}, which is {THREADS_PER_CORE} for each core");
    }
    Some(n.min(most))
}

/// Prints clap's message. Help and version are results; an unknown word is an error.
fn usage(e: &clap::Error) -> ExitCode {
    match e.print() {
        Err(io) if !e.use_stderr() && io.kind() != std::io::ErrorKind::BrokenPipe => {
            fail(&anyhow::anyhow!("standard output: {io}"))
        }
        _ => ExitCode::from(u8::try_from(e.exit_code()).unwrap_or(2)),
    }
}

fn fail(e: &anyhow::Error) -> ExitCode {
    note!("error: {}", with_remedy(e));
    ExitCode::from(2)
}

/// An error in one line, with the option or command of this program that fixes it.
fn with_remedy(e: &anyhow::Error) -> String {
    one_line(e) + &crate::remedy::remedy(e)
}

/// An error and its causes in one line. A cause that an earlier message already quotes is left out.
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
