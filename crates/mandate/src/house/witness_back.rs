//! `mandate witness --go-back-to`: the people of a witness agree that a log's operator lost what came after a
//! checkpoint. What was, and why they did, is written down first.

use anyhow::{Context, Result};
use mandate_kernel::{Clock as _, SystemClock};
use mandate_ledger::{KeyRing, SignedNote, VerifierKey, WitnessState};
use serde_json::{Value, json};
use std::path::Path;

/// Where it is written down.
const FILE: &str = "went-back.json";

/// Goes back to the checkpoint in a file. Gives the state to keep and what was done.
pub(super) fn go_back(
    folder: &Path,
    state: &WitnessState,
    rings: &[KeyRing],
    own: &VerifierKey,
    checkpoint: &Path,
    reason: &str,
) -> Result<(WitnessState, Value)> {
    let text =
        std::fs::read_to_string(checkpoint).with_context(|| format!("{} can't be read", checkpoint.display()))?;
    let note = SignedNote::parse(&text).with_context(|| format!("{} is no checkpoint", checkpoint.display()))?;
    let keys: Vec<VerifierKey> = rings.iter().filter_map(|ring| ring.log_keys().ok()).flatten().collect();
    let (next, origin, from, to) = state.go_back(&note, &keys, own).context("this witness does not go back to it")?;
    let done = json!({"at": SystemClock.now(), "origin": origin, "from": from, "to": to, "reason": reason});
    let path = folder.join(FILE);
    let mut all: Vec<Value> = match std::fs::read(&path) {
        Ok(bytes) => serde_json::from_slice(&bytes).with_context(|| format!("{} is damaged", path.display()))?,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Vec::new(),
        Err(error) => return Err(error).with_context(|| format!("{} can't be read", path.display())),
    };
    all.push(done.clone());
    super::files::write_whole(&path, &serde_json::to_vec_pretty(&all)?)?;
    Ok((next, done))
}
