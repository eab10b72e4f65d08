//! A quick look at the ledger: what the witness signed last against what is there. Whether every entry is
//! the one that was written, only `mandate audit verify` finds out.

use super::Check;
use crate::cli::client::{Call, Client};
use crate::cli::commands::audit::included;
use crate::cli::output::{items, text};
use crate::cli::{CliError, Exit};
use mandate_journal::{Log as _, StoreError, System as _};
use mandate_kernel::{Caller, Tenant};
use mandate_ledger::{Checkpoint, SignedNote, leaf_hash};
use mandate_store::{Store, TenantHandle};
use std::path::Path;

const SERVED: &str = "ledger";
const STORED: &str = "stored ledger";
const MORE: &str = "`mandate audit verify` reads every entry";

/// Size and root that a signed note is about.
fn claimed(note: &str) -> Option<Checkpoint> {
    SignedNote::parse(note).and_then(|note| Checkpoint::parse(&note.text)).ok()
}

/// The ledger a server shows: the newest entry that the witness signed is in the tree it signed.
pub(super) async fn served(client: &Client) -> Check {
    let note = match client.bytes(Call::get("/v1/audit/checkpoint")).await {
        Ok(note) => note,
        Err(error) if matches!(error.exit(), Exit::Refused | Exit::Usage) => {
            return Check::skipped(SERVED, "whoever may read the ledger can check it, such as an auditor");
        }
        Err(error) => return Check::error(SERVED, &error),
    };
    let Some(witnessed) = String::from_utf8(note).ok().and_then(|note| claimed(&note)) else {
        return damaged(SERVED, "the checkpoint is no checkpoint".to_owned());
    };
    match newest(client, witnessed.size).await {
        Ok(size) if size < witnessed.size => {
            let told = format!("it has {size} entries, and the witness signed {}", witnessed.size);
            damaged(SERVED, told)
        }
        Ok(size) => Check::good(SERVED, format!("{size} entries, {} of them witnessed; {MORE}", witnessed.size)),
        Err(error) => Check::error(SERVED, &error),
    }
}

/// Number of entries, once the newest witnessed one is proven to be in its tree.
async fn newest(client: &Client, witnessed: u64) -> Result<u64, CliError> {
    let found = client.json(Call::get("/v1/audit/search").query("limit", Some(1))).await?;
    let newest = items(&found).first().and_then(|entry| text(entry, "index")?.parse::<u64>().ok());
    if let Some(index) = witnessed.checked_sub(1) {
        let proof = client.json(Call::get(&format!("/v1/audit/proof/{index}"))).await?;
        included(&proof, index)?;
    }
    Ok(newest.map_or(0, |index| index.saturating_add(1)))
}

/// The ledgers in a data folder: the newest entry is there, and the tree is the one that was witnessed, or
/// longer.
pub(super) async fn stored(folder: &Path) -> Check {
    let path = folder.join("mandate.db");
    if !path.is_file() {
        return Check::skipped(STORED, format!("{} has no mandate.db", folder.display()));
    }
    match look(&path).await {
        Ok(told) if told.is_empty() => Check::skipped(STORED, "no tenant has a ledger here yet"),
        Ok(told) => Check::good(STORED, format!("{}; {MORE}", told.join("; "))),
        Err(Looked::Damaged(why)) => damaged(STORED, why),
        Err(Looked::Store(StoreError::Corrupt(why))) => damaged(STORED, why),
        Err(Looked::Store(error)) => Check::bad(STORED, error.to_string(), "try again in a moment", Exit::Failed),
    }
}

fn damaged(name: &'static str, told: String) -> Check {
    let advice =
        "run `mandate audit verify --data-dir` on the server's machine, and restore the newest backup that holds";
    Check::bad(name, told, advice, Exit::Unverified)
}

/// Why a look found nothing good.
enum Looked {
    Store(StoreError),
    Damaged(String),
}

impl From<StoreError> for Looked {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

async fn look(path: &Path) -> Result<Vec<String>, Looked> {
    let store = Store::open_read_only(path)?;
    let mut told = Vec::new();
    for tenant in store.system().tenants().await? {
        let handle = store.of(&Caller::system(tenant.clone(), "verifier"));
        told.extend(one(&handle, &tenant).await?);
    }
    Ok(told)
}

async fn one(handle: &TenantHandle, tenant: &Tenant) -> Result<Option<String>, Looked> {
    let head = handle.head().await?;
    let size = head.frontier.size();
    let Some(last) = size.checked_sub(1) else { return Ok(None) };
    let bad = |why: &str| Looked::Damaged(format!("the ledger of {tenant}: {why}"));
    let entry = handle.entries(last, size).await?.pop();
    let leaf = handle.nodes(&[(0, last)]).await?.pop().flatten();
    if entry.is_none() || entry.map(|bytes| leaf_hash(&bytes)) != leaf {
        return Err(bad(&format!("entry {last} is missing, or not the one its tree was made of")));
    }
    let Some(note) = head.cosigned else { return Ok(Some(format!("{tenant}: {size} entries, none witnessed yet"))) };
    let Some(witnessed) = claimed(&note) else { return Err(bad("its checkpoint is none")) };
    if witnessed.size > size || (witnessed.size == size && witnessed.root != head.frontier.root()) {
        return Err(bad(&format!(
            "its tree of {size} entries is not the one of {} that was witnessed",
            witnessed.size
        )));
    }
    Ok(Some(format!("{tenant}: {size} entries, {} of them witnessed", witnessed.size)))
}
