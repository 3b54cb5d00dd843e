//! The command `tickless`: parses, calls a library, prints.
// Printing panics if standard output or standard error cannot be written.
#![deny(clippy::print_stdout, clippy::print_stderr)]

mod arguments;
mod cli;
mod commands;
mod experiment;
mod gather;
mod interop;
mod interrupt;
mod new_run;
mod options;
mod output;
mod processes;
mod progress;
mod recipe_paths;
mod remedy;
mod report;
mod results;
mod shell;
mod shown;
mod view;

/// Training takes and gives back the same large buffers at every step; the system's allocator
/// returns them to the kernel each time and pays for every page again.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> std::process::ExitCode {
    tickless_kernels::allocator::keep_free_memory();
    cli::main()
}
