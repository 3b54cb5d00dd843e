//! The places of a recipe's data, which a run must find from any folder that it is used in later.

use anyhow::{Context, Result};
use tickless_net::recipe::Recipe;

/// Makes the places of a recipe's data absolute, because a run must find them from any folder that it is used in later.
pub fn absolute(recipe: &mut Recipe) -> Result<()> {
    for path in [&mut recipe.data.path, &mut recipe.data.cache].into_iter().flatten() {
        *path = std::path::absolute(&*path).with_context(|| path.display().to_string())?;
    }
    Ok(())
}

/// Whether a run's kept recipe is the given one; runs of older versions kept relative paths of data.
pub fn same(kept: &Recipe, given: &Recipe) -> Result<bool> {
    let mut kept = kept.clone();
    absolute(&mut kept)?;
    Ok(kept == *given)
}
