//! Data paths of a recipe. They become absolute, because a run may be used from any folder later.

use anyhow::{Context, Result};
use tickless_net::recipe::Recipe;

/// Makes the data paths of a recipe absolute.
pub fn absolute(recipe: &mut Recipe) -> Result<()> {
    for path in [&mut recipe.data.path, &mut recipe.data.cache].into_iter().flatten() {
        *path = std::path::absolute(&*path).with_context(|| path.display().to_string())?;
    }
    Ok(())
}

/// Whether a run's stored recipe equals the given one. Runs of earlier versions store relative
/// paths, which are made absolute first.
pub fn same(kept: &Recipe, given: &Recipe) -> Result<bool> {
    let mut kept = kept.clone();
    absolute(&mut kept)?;
    Ok(kept == *given)
}
