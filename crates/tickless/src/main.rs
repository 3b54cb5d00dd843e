//! The command `tickless`: parses, calls a library, prints.

fn main() -> std::process::ExitCode {
    tickless::cli::main()
}
