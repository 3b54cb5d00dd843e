//! The command `tickless`: parses arguments, calls the libraries, prints results.
// `println!` and `eprintln!` panic if the stream cannot be written.
#![deny(clippy::print_stdout, clippy::print_stderr)]

mod arguments;
mod bias_free;
mod checkpoint;
mod cli;
mod commands;
mod experiment;
mod from_relu;
mod gather;
mod interop;
mod interrupt;
mod new_run;
mod options;
mod output;
mod processes;
mod progress;
mod reading;
mod recipe_paths;
mod remedy;
mod report;
mod results;
mod shell;
mod shown;
mod view;

/// Training allocates and frees the same large buffers at every step. The system's allocator
/// returns them to the kernel each time, and each page must then be mapped again.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> std::process::ExitCode {
    tickless_kernels::allocator::keep_free_memory();
    cli::main()
}
