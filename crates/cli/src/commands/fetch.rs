//! `tickless data fetch NAME`: downloads published data sets from their official sources.

use crate::arguments::Global;
use crate::output::{print_json, say};
use crate::progress::Console;
use anyhow::Result;
use serde::Serialize;
use std::path::{Path, PathBuf};
use tickless_events::fetch::{How, Options, Presence, SOURCES, Then, fetch, source, status};

#[derive(Serialize)]
struct Known {
    name: &'static str,
    about: &'static str,
    page: &'static str,
    /// The folder for its files.
    #[serde(serialize_with = "crate::shown::path")]
    folder: PathBuf,
    files: Vec<KnownFile>,
}

#[derive(Serialize)]
struct KnownFile {
    name: &'static str,
    url: &'static str,
    md5: &'static str,
    /// One of: missing, partial, there, damaged.
    state: &'static str,
}

#[derive(Serialize)]
struct Got {
    #[serde(serialize_with = "crate::shown::path")]
    folder: PathBuf,
    files: Vec<GotFile>,
}

#[derive(Serialize)]
struct GotFile {
    name: &'static str,
    /// Whether this call downloaded it.
    downloaded: bool,
    /// Bytes that an interrupted download had left.
    resumed: u64,
}

fn folder(to: Option<&Path>, name: &str) -> PathBuf {
    to.map_or_else(|| Path::new("data").join(name), Path::to_owned)
}

/// Fetches one data set; without a name, lists what can be fetched.
pub fn run(
    name: Option<&str>,
    to: Option<&Path>,
    mirror: Option<String>,
    global: &Global,
    console: &Console,
) -> Result<()> {
    let Some(name) = name else { return list(to, global) };
    let source = source(name)?;
    let to = folder(to, name);
    let fetched = fetch(source, &to, &Options { mirror, ..Options::default() }, console)?;
    let file = |f: &tickless_events::fetch::Fetched| match f.how {
        How::Found => GotFile { name: f.name, downloaded: false, resumed: 0 },
        How::Downloaded { resumed } => GotFile { name: f.name, downloaded: true, resumed },
    };
    let got = Got { files: fetched.iter().map(file).collect(), folder: to };
    if global.json {
        return print_json(&got);
    }
    for f in &got.files {
        let how = match (f.downloaded, f.resumed) {
            (false, _) => "was there, and right".to_owned(),
            (true, 0) => "downloaded".to_owned(),
            (true, n) => format!("downloaded, from byte {n} on"),
        };
        say!("{}: {how}", f.name);
    }
    say!("next: tickless data info {}", got.folder.display());
    Ok(())
}

fn list(to: Option<&Path>, global: &Global) -> Result<()> {
    let known = SOURCES.iter().map(|s| {
        let folder = folder(to, s.name);
        let file = |(f, state): (tickless_events::fetch::File, Presence)| KnownFile {
            name: f.name,
            url: f.url,
            md5: f.md5,
            state: match state {
                Presence::Missing => "missing",
                Presence::Partial { .. } => "partial",
                Presence::There => "there",
                Presence::Damaged => "damaged",
            },
        };
        let files = status(s, &folder).into_iter().map(file).collect();
        Known { name: s.name, about: s.about, page: s.page, folder, files }
    });
    let known: Vec<Known> = known.collect();
    if global.json {
        return print_json(&known);
    }
    for (k, s) in known.iter().zip(SOURCES) {
        let there = k.files.iter().filter(|f| f.state == "there").count();
        let unpacked = if s.files.iter().any(|f| f.then == Then::Unpack) { ", unpacked" } else { "" };
        say!("{:<15} {} ({} of {} files in {}{unpacked})", k.name, k.about, there, k.files.len(), k.folder.display());
    }
    Ok(())
}
