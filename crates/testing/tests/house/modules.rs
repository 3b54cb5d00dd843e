//! Checks that the modules of a crate do not import each other in circles, so that a reader can
//! read each one after the modules that it imports.
//!
//! A node is a module with its own file. A file has an edge to each module that it names in a `use`
//! or in a path that starts at `crate`, `super`, `self` or a child module. If a module re-exports a
//! name, the edge also leads to the module that declares the name. Code under `#[cfg(test)]` does
//! not count.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::OnceLock;
use syn::visit::{self, Visit};
use syn::{Item, UseTree};

use super::sources::{self, Module, attributes, is_test};

/// For each module, the modules that it names.
type Edges = BTreeMap<Module, BTreeSet<Module>>;

#[test]
fn no_circle_of_imports_spans_more_than_one_file_and_its_children() {
    let spans = |circle: &[Module]| !circle.iter().any(|f| !f.is_empty() && circle.iter().all(|m| m.starts_with(f)));
    let circles = imports().iter().flat_map(|(name, edges)| {
        components(edges).into_iter().filter(|c| c.len() > 1 && spans(c)).map(|c| in_words(name, &c))
    });
    assert_none(circles.collect());
}

#[test]
fn no_circle_of_imports_spans_folders() {
    let mut circles = BTreeSet::new();
    for (name, edges) in imports() {
        let folders: BTreeSet<&[String]> = edges.keys().flat_map(|m| (0..m.len()).map(|n| &m[..n])).collect();
        for folder in folders {
            let entry = |m: &Module| {
                let is_inside = m.starts_with(folder) && m.len() > folder.len();
                is_inside.then(|| m[..=folder.len()].to_vec())
            };
            let mut between = Edges::new();
            for (from, to) in edges {
                let Some(from) = entry(from) else { continue };
                let others: Vec<Module> = to.iter().filter_map(entry).filter(|to| *to != from).collect();
                between.entry(from).or_default().extend(others);
            }
            circles.extend(components(&between).iter().filter(|c| c.len() > 1).map(|c| in_words(name, c)));
        }
    }
    assert_none(circles);
}

/// A circle as its modules or, if it has 20 or more, as the root entries that it passes through.
fn in_words(name: &str, circle: &[Module]) -> (String, String) {
    let all: BTreeSet<String> = match circle.len() {
        ..20 => circle.iter().map(|m| m.join("::")).collect(),
        _ => circle.iter().map(|m| m[0].clone()).collect(),
    };
    (name.to_owned(), all.into_iter().collect::<Vec<_>>().join(", "))
}

fn assert_none(circles: BTreeSet<(String, String)>) {
    assert!(circles.is_empty(), "these modules import each other: {circles:#?}");
}

/// The imports of every library and command, read once for all tests.
fn imports() -> &'static [(String, Edges)] {
    static ALL: OnceLock<Vec<(String, Edges)>> = OnceLock::new();
    ALL.get_or_init(|| sources::crates().into_iter().map(|(name, root)| (name, Sources::read(&root).edges())).collect())
}

/// The declarations and imports of one file.
#[derive(Default)]
struct Source {
    /// Names of its items, including child modules.
    items: BTreeSet<String>,
    /// Its re-exports: each name with the path that it refers to.
    exports: Vec<(String, Vec<String>)>,
    /// The paths that it names, from the root of the crate.
    paths: BTreeSet<Vec<String>>,
}

/// All files of a crate that its root reaches.
struct Sources(BTreeMap<Module, Source>);

impl Sources {
    fn read(root: &Path) -> Self {
        let mut sources = Self(BTreeMap::new());
        for file in sources::of_crate(root) {
            let mut reader = Reader { here: file.module.clone(), source: Source::default() };
            let names = file.parsed.items.iter().filter(|i| !is_test(attributes(i))).filter_map(name_of);
            reader.source.items.extend(names);
            reader.visit_file(&file.parsed);
            sources.0.insert(file.module, reader.source);
        }
        sources
    }

    fn edges(&self) -> Edges {
        let mut edges = BTreeMap::new();
        for (module, source) in &self.0 {
            let mut to = BTreeSet::new();
            for path in &source.paths {
                self.resolve(path, &mut to, 0);
            }
            // The root only re-exports, so it is not a node.
            to.retain(|m| m != module && !m.is_empty());
            let to = if module.is_empty() { BTreeSet::new() } else { to };
            edges.insert(module.clone(), to);
        }
        edges
    }

    /// Adds to `to` the modules that `path` passes through and ends at.
    fn resolve(&self, path: &[String], to: &mut BTreeSet<Module>, depth: usize) {
        let mut at: Module = Vec::new();
        for (i, name) in path.iter().enumerate() {
            let child = [at.clone(), vec![name.clone()]].concat();
            if self.0.contains_key(&child) {
                at = child;
                continue;
            }
            let source = &self.0[&at];
            let exported = source.exports.iter().find(|e| e.0 == *name && !source.items.contains(name));
            if let Some((_, target)) = exported.filter(|_| depth < 8) {
                let rest = [target.clone(), path[i + 1..].to_vec()].concat();
                self.resolve(&rest, to, depth + 1);
            }
            break;
        }
        to.insert(at);
    }
}

/// Collects the declarations and paths of one file.
struct Reader {
    /// The module at the current position; inside an inline module it is longer than the file's.
    here: Module,
    source: Source,
}

impl Reader {
    /// Records a path as it is written if it leads into this crate, and returns it from the root.
    fn name(&mut self, path: &[String]) -> Option<Vec<String>> {
        let mut base = match path.first()?.as_str() {
            "crate" => Vec::new(),
            "self" | "super" => self.here.clone(),
            child if self.source.items.contains(child) => [self.here.clone(), vec![child.to_owned()]].concat(),
            _ => return None,
        };
        let mut rest = &path[1..];
        if path[0] == "super" {
            base.pop();
            while let Some(("super", after)) = rest.split_first().map(|(s, after)| (s.as_str(), after)) {
                base.pop();
                rest = after;
            }
        }
        base.extend_from_slice(rest);
        self.source.paths.insert(base.clone());
        Some(base)
    }

    fn tree(&mut self, tree: &UseTree, before: &[String], is_public: bool) {
        match tree {
            UseTree::Path(path) => {
                let longer = [before.to_vec(), vec![path.ident.to_string()]].concat();
                self.tree(&path.tree, &longer, is_public);
            }
            UseTree::Name(name) => self.leaf(&name.ident.to_string(), &name.ident.to_string(), before, is_public),
            UseTree::Rename(name) => self.leaf(&name.ident.to_string(), &name.rename.to_string(), before, is_public),
            UseTree::Glob(_) => drop(self.name(before)),
            UseTree::Group(group) => group.items.iter().for_each(|t| self.tree(t, before, is_public)),
        }
    }

    fn leaf(&mut self, name: &str, shown: &str, before: &[String], is_public: bool) {
        let whole = if name == "self" { before.to_vec() } else { [before.to_vec(), vec![name.to_owned()]].concat() };
        let shown = if shown == "self" { before.last().cloned().unwrap_or_default() } else { shown.to_owned() };
        if let Some(target) = self.name(&whole).filter(|_| is_public) {
            self.source.exports.push((shown, target));
        }
    }
}

impl<'a> Visit<'a> for Reader {
    fn visit_item(&mut self, item: &'a Item) {
        if is_test(attributes(item)) {
            return;
        }
        match item {
            Item::Mod(module) => {
                self.here.push(module.ident.to_string());
                visit::visit_item_mod(self, module);
                self.here.pop();
            }
            Item::Use(item) => self.tree(&item.tree, &[], !matches!(item.vis, syn::Visibility::Inherited)),
            _ => visit::visit_item(self, item),
        }
    }

    fn visit_impl_item(&mut self, item: &'a syn::ImplItem) {
        let is_test = match item {
            syn::ImplItem::Fn(f) => is_test(&f.attrs),
            syn::ImplItem::Const(c) => is_test(&c.attrs),
            _ => false,
        };
        if !is_test {
            visit::visit_impl_item(self, item);
        }
    }

    fn visit_path(&mut self, path: &'a syn::Path) {
        if path.leading_colon.is_none() && path.segments.len() > 1 {
            let names: Vec<String> = path.segments.iter().map(|s| s.ident.to_string()).collect();
            self.name(&names);
        }
        visit::visit_path(self, path);
    }

    fn visit_macro(&mut self, call: &'a syn::Macro) {
        // The tokens of a macro are not parsed, so paths are found by their spelling.
        let text = call.tokens.to_string().replace(' ', "");
        for start in ["crate::", "super::"] {
            for (at, _) in text.match_indices(start) {
                let path = text[at..].split(|c: char| !(c.is_alphanumeric() || c == '_' || c == ':')).next();
                let names: Vec<String> = path.unwrap_or_default().split("::").map(str::to_owned).collect();
                self.name(&names);
            }
        }
        visit::visit_macro(self, call);
    }
}

fn name_of(item: &Item) -> Option<String> {
    let ident = match item {
        Item::Const(i) => &i.ident,
        Item::Enum(i) => &i.ident,
        Item::Fn(i) => &i.sig.ident,
        Item::Mod(i) => &i.ident,
        Item::Static(i) => &i.ident,
        Item::Struct(i) => &i.ident,
        Item::Trait(i) => &i.ident,
        Item::Type(i) => &i.ident,
        _ => return None,
    };
    Some(ident.to_string())
}

/// The strongly connected components of a graph: two nodes share one if each reaches the other.
fn components(edges: &Edges) -> Vec<Vec<Module>> {
    let reaches: BTreeMap<&Module, BTreeSet<&Module>> = edges.keys().map(|m| (m, reached(edges, m))).collect();
    let mut found: Vec<Vec<Module>> = Vec::new();
    for module in edges.keys() {
        if found.iter().flatten().all(|m| m != module) {
            let both = |m: &&Module| reaches[module].contains(*m) && reaches[*m].contains(module);
            let others = edges.keys().filter(|m| *m != module).filter(both);
            found.push([module].into_iter().chain(others).cloned().collect());
        }
    }
    found
}

fn reached<'a>(edges: &'a Edges, from: &Module) -> BTreeSet<&'a Module> {
    let (mut seen, mut next): (BTreeSet<&Module>, Vec<&Module>) = (BTreeSet::new(), edges[from].iter().collect());
    while let Some(module) = next.pop() {
        if seen.insert(module) {
            next.extend(edges.get(module).into_iter().flatten());
        }
    }
    seen
}
