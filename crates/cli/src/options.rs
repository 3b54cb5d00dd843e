//! The variables of the environment that choose how training computes; only the command reads them.

use tickless_kernels::ComputeOptions;

/// Makes what the environment asks for the options of this process.
///
/// # Errors
/// If a variable has an unknown value.
pub(crate) fn install() -> tickless_kernels::Result<()> {
    ComputeOptions::from_variables(|name| std::env::var_os(name).map(|v| v.to_string_lossy().into_owned()))?.install()
}
