//! Tests data sets of recordings in class folders: a user's own, and the published ones.

#[path = "common/folder.rs"]
mod folder;
#[path = "common/made.rs"]
mod made;
#[path = "collections/parts.rs"]
mod parts;

#[path = "collections/hostile.rs"]
mod hostile;
#[path = "collections/known.rs"]
mod known;
#[path = "collections/own.rs"]
mod own;
#[path = "collections/published.rs"]
mod published;
