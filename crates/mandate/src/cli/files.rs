//! Files the client reads and writes, each with a bound and an error that names it.

use super::{CliError, Io};
use mandate_kernel::Limits;
use mandate_ledger::TrustAnchor;
use serde_json::Value;
use std::fs::File;
use std::io::{Read as _, Write as _};
use std::path::Path;

/// The largest passport, artefact or file of an export.
pub(crate) const MAX_EVIDENCE: u64 = 256 << 20;

/// All of a file, at most `limit` bytes.
pub(crate) fn read(path: &Path, limit: u64) -> Result<Vec<u8>, CliError> {
    let unreadable = |e: std::io::Error| CliError::usage(format!("{} can't be read: {e}", path.display()));
    let file = File::open(path).map_err(unreadable)?;
    if file.metadata().map_err(unreadable)?.is_dir() {
        return Err(CliError::usage(format!("{} is a folder, not a file", path.display())));
    }
    let mut bytes = Vec::new();
    file.take(limit.saturating_add(1)).read_to_end(&mut bytes).map_err(unreadable)?;
    if bytes.len() as u64 > limit {
        return Err(CliError::usage(format!("{} holds more than {limit} bytes", path.display())));
    }
    Ok(bytes)
}

/// A file of text.
pub(crate) fn read_text(path: &Path, limit: u64) -> Result<String, CliError> {
    String::from_utf8(read(path, limit)?).map_err(|_| CliError::usage(format!("{} is not UTF-8 text", path.display())))
}

/// The pinned anchor.
pub(crate) fn anchor(path: &Path) -> Result<TrustAnchor, CliError> {
    TrustAnchor::parse(&read(path, 1 << 20)?).map_err(|e| {
        CliError::usage_help(format!("{}: {e}", path.display()), "get the anchor file from the operator again")
    })
}

/// Writes a file whole: readers see the old content or the new, nothing in between. It is readable by
/// its owner only, since evidence names people.
pub(crate) fn write(path: &Path, bytes: &[u8]) -> Result<(), CliError> {
    let unwritable = |e: std::io::Error| CliError::failed(format!("{} can't be written: {e}", path.display()));
    let Some(name) = path.file_name() else {
        return Err(CliError::usage(format!("{} is not the name of a file", path.display())));
    };
    // A pipe or a device can't be replaced, only written.
    if path.exists() && !path.is_file() {
        return std::fs::write(path, bytes).map_err(unwritable);
    }
    let mut temporary = name.to_owned();
    temporary.push(format!(".{}.part", std::process::id()));
    let temporary = path.with_file_name(temporary);
    let mut options = File::options();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let written = options.open(&temporary).and_then(|mut file| {
        file.write_all(bytes)?;
        file.sync_all()?;
        std::fs::rename(&temporary, path)
    });
    written.map_err(|e| {
        // What was half written is of no use; that it may stay is not worth another error.
        let _ = std::fs::remove_file(&temporary);
        unwritable(e)
    })
}

/// An argument `JSON`, `@FILE` or `@-`.
pub(crate) fn json_argument(name: &str, given: &str, io: &Io) -> Result<Value, CliError> {
    let limit = Limits::DEFAULT.value as u64;
    let text = match given.strip_prefix('@') {
        None => given.to_owned(),
        Some("-") => {
            String::from_utf8(io.read_input(limit)?).map_err(|_| CliError::usage("stdin is not UTF-8 text"))?
        }
        Some(path) => read_text(Path::new(path), limit)?,
    };
    serde_json::from_str(&text).map_err(|e| {
        CliError::usage_help(
            format!("{name} is not JSON: {e}"),
            format!("write it as {name} '{{\"quarter\": \"2026-Q3\"}}', or put it in a file and write {name} @FILE"),
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::Exit;

    #[test]
    fn json_arguments_come_from_three_places() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("input.json");
        std::fs::write(&path, "{\"a\": 1}").unwrap();
        let io = Io::of(&b"[2]"[..], std::io::sink(), std::io::sink());
        let from = |given: &str| json_argument("--input", given, &io);
        assert_eq!(from("3").unwrap(), 3);
        assert_eq!(from(&format!("@{}", path.display())).unwrap()["a"], 1);
        assert_eq!(from("@-").unwrap()[0], 2);
        for bad in ["{", "@/no/such/file", "", "{'a': 1}"] {
            assert_eq!(from(bad).unwrap_err().exit(), Exit::Usage, "{bad}");
        }
    }

    #[test]
    fn writing_replaces_and_leaves_nothing_behind() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("passport.json");
        write(&path, b"one").unwrap();
        write(&path, b"two").unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"two");
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
        assert_eq!(write(&folder.path().join("no/such/folder/x"), b"").unwrap_err().exit(), Exit::Failed);
    }
}
