//! Stores the names of a million images in little memory.

use std::path::{Path, PathBuf};

use super::super::Key;
use super::super::files;
use crate::problem::DatasetProblem;
use crate::{Error, Result};

/// The images of a part, sorted by class and name.
pub struct Listing {
    folder: PathBuf,
    /// The names of all files, concatenated.
    names: String,
    /// The end of each name in `names`.
    ends: Vec<usize>,
    /// For each class, the index of the first image after it.
    after: Vec<usize>,
}

fn is_image(path: &Path) -> bool {
    let extension = path.extension().map(|e| e.to_ascii_lowercase());
    extension.is_some_and(|e| e == "jpeg" || e == "jpg" || e == "png")
}

/// Whether the first file of the first class is an image.
pub fn looks_like(folder: &Path) -> bool {
    let first = |folder: &Path| files::entries(folder).ok()?.into_iter().next();
    first(folder).and_then(|class| first(&class)).is_some_and(|image| is_image(&image))
}

/// The class folders, sorted by the bytes of their names.
pub fn classes(folder: &Path) -> Result<Vec<String>> {
    if !folder.is_dir() {
        return Err(missing(folder));
    }
    let mut names = Vec::new();
    for entry in files::entries(folder)? {
        if !entry.is_dir() {
            let remedy = "put each image into the folder of its class";
            return Err(Error::unexpected(entry.display().to_string(), DatasetProblem::NoClass, remedy));
        }
        names.push(name(&entry)?);
    }
    names.sort_unstable();
    if names.is_empty() { Err(missing(folder)) } else { Ok(names) }
}

fn missing(folder: &Path) -> Error {
    let what = "a folder for each class".into();
    Error::Missing { path: folder.to_path_buf(), what, remedy: format!("needed is {}", super::INFO.needs).into() }
}

fn name(path: &Path) -> Result<String> {
    let name = path.file_name().and_then(|n| n.to_str());
    name.map(String::from)
        .ok_or_else(|| Error::unexpected(path.display().to_string(), "a name that is not Unicode", "rename it"))
}

impl Listing {
    /// Adds the folder and all names to a key. Sizes and modification times are left out, because
    /// reading them for a million files takes too long.
    pub fn add_to(&self, key: &mut Key) {
        key.listing(&self.folder, &self.names, &self.after);
    }

    /// Lists a part. Each of its classes must be in `classes`.
    pub fn read(folder: PathBuf, classes: &[String]) -> Result<Listing> {
        if let Some(other) = self::classes(&folder)?.iter().find(|&c| classes.binary_search(c).is_err()) {
            let problem = DatasetProblem::OwnClass { class: other.clone() };
            return Err(Error::unexpected(folder.display().to_string(), problem, "give both parts the same classes"));
        }
        let mut listing = Listing { folder, names: String::new(), ends: Vec::new(), after: Vec::new() };
        for class in classes {
            let class = listing.folder.join(class);
            // The test part may have no image of a class.
            let images = if class.is_dir() { files::entries(&class)? } else { Vec::new() };
            for image in images {
                if !is_image(&image) {
                    let file = image.display().to_string();
                    return Err(Error::unexpected(file, DatasetProblem::NoImage, "move it away"));
                }
                listing.names += &name(&image)?;
                listing.ends.push(listing.names.len());
            }
            listing.after.push(listing.ends.len());
        }
        Ok(listing)
    }

    /// Number of images.
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// The class of an image.
    pub fn class(&self, index: usize) -> usize {
        assert!(index < self.len(), "no image {index} of {}", self.len());
        self.after.partition_point(|&after| after <= index)
    }

    /// The path of an image.
    pub fn path(&self, index: usize, classes: &[String]) -> PathBuf {
        let start = index.checked_sub(1).map_or(0, |before| self.ends[before]);
        self.folder.join(&classes[self.class(index)]).join(&self.names[start..self.ends[index]])
    }
}
