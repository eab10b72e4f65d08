//! Files that a manifest names: a Worker's document, the description of an interface.

use super::{MAX_FILE, Source};
use crate::cli::error::Finding;
use crate::cli::files;
use mandate_flow::yaml;
use serde_json::Value;
use std::path::{Component, Path, PathBuf};

/// A description's text takes the place of its file's name.
pub(super) fn inline_description(source: &Source, manifest: &mut Value, path: &Path) -> Result<(), Box<Finding>> {
    const AT: &str = "/spec/target/call/document/content";
    // The text of a gRPC definition is a text as well.
    if manifest.pointer("/spec/target/call/protocol").and_then(Value::as_str) != Some("openapi") {
        return Ok(());
    }
    let Some(slot) = manifest.pointer_mut(AT) else { return Ok(()) };
    let Value::String(file) = slot else { return Ok(()) };
    let (read, text) = read(source, path, file, AT)?;
    let parsed = yaml::parse(&read.display().to_string(), &text).map_err(|wrong| {
        let found = wrong.as_slice().first().map(|found| Finding::of(found, &text));
        Box::new(found.unwrap_or_else(|| source.finding("manifest.document", AT, "its file can't be read", None)))
    })?;
    *slot = parsed.into_value();
    Ok(())
}

/// A file that a manifest names must lie in the manifest's folder or below it, links included.
pub(super) fn read(
    manifest: &Source,
    path: &Path,
    file: &str,
    pointer: &str,
) -> Result<(PathBuf, String), Box<Finding>> {
    let refuse =
        |message: String, help: Option<&str>| Box::new(manifest.finding("manifest.document", pointer, &message, help));
    let outside = || {
        let message = format!("`{file}` is outside the manifest's folder");
        refuse(message, Some("put the document beside its manifest and name it by a relative path"))
    };
    let relative = Path::new(file);
    if !relative.components().all(|part| matches!(part, Component::Normal(_) | Component::CurDir)) {
        return Err(outside());
    }
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let target = folder.join(relative);
    let unreadable = |e: std::io::Error| refuse(format!("`{file}` can't be read: {e}"), None);
    let real = target.canonicalize().map_err(unreadable)?;
    if !real.starts_with(folder.canonicalize().map_err(unreadable)?) {
        return Err(outside());
    }
    let text = files::read_text(&target, MAX_FILE).map_err(|error| refuse(error.to_string(), None))?;
    Ok((target, text))
}
