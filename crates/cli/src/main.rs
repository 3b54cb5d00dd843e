//! The command `tickless`: parses, calls a library, prints.
// Printing panics if standard output or standard error cannot be written.
#![deny(clippy::print_stdout, clippy::print_stderr)]

mod cli;
mod commands;
mod experiment;
mod gather;
mod interop;
mod interrupt;
mod kept;
mod options;
mod output;
mod progress;
mod remedy;
mod report;
mod shown;
mod view;
mod world;

/// Training takes and gives back the same large buffers at every step; the system's allocator
/// returns them to the kernel each time and pays for every page again.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> std::process::ExitCode {
    tickless_kernels::allocator::keep_free_memory();
    cli::main()
}
