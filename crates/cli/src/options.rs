//! The environment variables that choose how operators compute. Only the command reads the
//! environment.

use tickless_kernels::ComputeOptions;

/// Installs the options that the environment asks for.
///
/// # Errors
/// If a variable has an unknown value.
pub(crate) fn install() -> tickless_kernels::Result<()> {
    ComputeOptions::from_variables(|name| std::env::var_os(name).map(|v| v.to_string_lossy().into_owned()))?.install()
}
