//! Reads the source files of a crate, without what only its tests compile.

use std::path::{Path, PathBuf};
use syn::{Attribute, File, Item};

/// The path of a module from the root of its crate; the root is `[]`.
pub type Module = Vec<String>;

/// A file that the root of its crate reaches.
pub struct SourceFile {
    pub path: PathBuf,
    pub module: Module,
    pub parsed: File,
}

/// The name and root file of every library and command.
pub fn crates() -> Vec<(String, PathBuf)> {
    let mut found = Vec::new();
    for manifest in super::manifests() {
        let folder = manifest.parent().expect("a manifest lies in a folder");
        let name = folder.file_name().expect("a folder has a name").to_string_lossy().into_owned();
        let roots = ["src/lib.rs", "src/main.rs"].map(|root| folder.join(root));
        found.extend(roots.into_iter().filter(|root| root.exists()).map(|root| (name.clone(), root)));
    }
    found
}

/// All files of the crate with this root that are compiled without its tests.
pub fn of_crate(root: &Path) -> Vec<SourceFile> {
    let mut found = Vec::new();
    add(root.to_owned(), Vec::new(), &mut found);
    found
}

fn add(path: PathBuf, module: Module, found: &mut Vec<SourceFile>) {
    let text = std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    let parsed = syn::parse_file(&text).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    let folder = path.parent().expect("a source lies in a folder");
    let is_folder = path.ends_with("mod.rs") || module.is_empty();
    let below = if is_folder { folder.to_owned() } else { folder.join(module.last().expect("has a name")) };
    let children = children(&parsed.items);
    let shown = path.display().to_string();
    found.push(SourceFile { path, module: module.clone(), parsed });
    for child in children {
        let files = [below.join(format!("{child}.rs")), below.join(&child).join("mod.rs")];
        let file = files.into_iter().find(|f| f.exists()).unwrap_or_else(|| panic!("{shown}: `mod {child}`"));
        add(file, [module.clone(), vec![child]].concat(), found);
    }
}

/// The names of the child modules with files of their own, except those of tests.
fn children(items: &[Item]) -> Vec<String> {
    let own_file = |item: &Item| match item {
        Item::Mod(module) if module.content.is_none() && !is_test(&module.attrs) => Some(module.ident.to_string()),
        _ => None,
    };
    items.iter().filter_map(own_file).collect()
}

/// Whether an item with these attributes is compiled for tests only.
pub fn is_test(attributes: &[Attribute]) -> bool {
    attributes.iter().any(|a| {
        let list = a.meta.require_list();
        a.path().is_ident("cfg") && list.is_ok_and(|l| l.tokens.to_string().split(' ').any(|t| t == "test"))
    })
}

/// The attributes of an item.
pub fn attributes(item: &Item) -> &[Attribute] {
    match item {
        Item::Const(i) => &i.attrs,
        Item::Enum(i) => &i.attrs,
        Item::Fn(i) => &i.attrs,
        Item::Impl(i) => &i.attrs,
        Item::Macro(i) => &i.attrs,
        Item::Mod(i) => &i.attrs,
        Item::Static(i) => &i.attrs,
        Item::Struct(i) => &i.attrs,
        Item::Trait(i) => &i.attrs,
        Item::Type(i) => &i.attrs,
        Item::Use(i) => &i.attrs,
        _ => &[],
    }
}
