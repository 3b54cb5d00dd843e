//! Data paths of a recipe. They become absolute, because a run may be used from any folder later.

use anyhow::{Context, Result, ensure};
use std::path::Path;
use tickless_net::recipe::{DataRecipe, Recipe};

/// Makes the data paths of a recipe absolute.
pub fn absolute(recipe: &mut Recipe) -> Result<()> {
    for path in [&mut recipe.data.path, &mut recipe.data.cache].into_iter().flatten() {
        *path = std::path::absolute(&*path).with_context(|| path.display().to_string())?;
    }
    Ok(())
}

/// The keys because of which a run whose stored recipe is `kept` cannot go on with the recipe
/// `given`, with both values. If the run is not `finished`, its data may lie elsewhere than at its
/// begin, because the training compares the files. Runs of earlier versions store relative paths,
/// which are made absolute first.
pub fn decisive(kept: &Recipe, given: &Recipe, finished: bool) -> Result<Vec<String>> {
    let mut kept = kept.clone();
    absolute(&mut kept)?;
    let all = kept.differences(given)?;
    Ok(all.iter().filter(|d| finished || !d.is_place()).map(ToString::to_string).collect())
}

/// The recipe with which a run whose stored recipe is `kept` goes on if `given` is given: the stored
/// one with the given paths, or of a finished run with its own.
///
/// # Errors
/// If the recipes differ ([`decisive`]). The text ends with `remedy`.
pub fn to_go_on(folder: &Path, kept: Recipe, given: &Recipe, finished: bool, remedy: &str) -> Result<Recipe> {
    let differing = decisive(&kept, given, finished)?;
    let (folder, keys) = (folder.display(), differing.join("; "));
    ensure!(differing.is_empty(), "{folder}: holds a run of another recipe ({keys}); {remedy}");
    if finished {
        return Ok(kept);
    }
    let DataRecipe { path, cache, .. } = given.data.clone();
    Ok(Recipe { data: DataRecipe { path, cache, ..kept.data.clone() }, ..kept })
}
