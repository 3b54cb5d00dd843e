//! The command `tickless`: parses, calls a library, prints.

/// Training takes and gives back the same large buffers at every step; the system's allocator
/// returns them to the kernel each time and pays for every page again.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> std::process::ExitCode {
    tickless_kernels::allocator::keep_free_memory();
    tickless::cli::main()
}
