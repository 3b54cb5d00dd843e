//! Checks that every recipe of this repository can be read and written back.

use std::path::Path;

use tickless_net::recipe::Recipe;

#[test]
fn every_shipped_recipe_reads_and_writes_back_as_itself() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../recipes");
    let mut count = 0;
    for entry in std::fs::read_dir(&folder).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|e| e != "toml") {
            continue;
        }
        let recipe = Recipe::load(&path, &[]).unwrap_or_else(|e| panic!("{e}"));
        let resolved = recipe.to_toml().unwrap();
        assert_eq!(Recipe::parse(&resolved, &path, &[]).unwrap(), recipe);
        assert!(!recipe.purpose.is_empty(), "{}: say what it is for", path.display());
        count += 1;
    }
    assert!(count >= 6, "the recipes are gone: {count} in {}", folder.display());
}
