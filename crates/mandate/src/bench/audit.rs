//! After a benchmark: was the work done?

use crate::wiring::Node;
use anyhow::{Result, bail};
use mandate_engine::TenantContext;
use mandate_ledger::{Entry, EventKind, TrustAnchor, verify_log};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::time::Duration;

/// Waits until every entry is in the tree, and the tree is cosigned.
pub(crate) async fn until_sequenced(context: &TenantContext) -> Result<()> {
    for _ in 0..600 {
        let head = context.store().head().await?;
        if head.cosigned_size == head.frontier.size() && context.store().pending(1).await?.is_empty() {
            return Ok(());
        }
        context.entries_arrived();
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    bail!("the sequencer did not catch up in a minute")
}

/// Hashes the whole ledger again and counts what a step leaves behind.
pub(crate) async fn audit(node: &Node, context: &TenantContext, steps: usize) -> Result<Value> {
    let (size, checkpoint) = node.engine.checkpoint(context).await?;
    let entries = context.store().entries(0, size).await?;
    let (mut decisions, mut successes, mut leases, mut tokens) = (0, 0, 0, BTreeSet::new());
    for bytes in &entries {
        let (_, event) = Entry::decode(bytes)?;
        match event.kind {
            EventKind::StepDecided => {
                decisions += 1;
                tokens.insert(event.details.pointer("/token/jti").and_then(Value::as_str).map(str::to_owned));
            }
            EventKind::StepSucceeded => successes += 1,
            EventKind::LeaseEnded => leases += 1,
            _ => {}
        }
    }
    tokens.remove(&None);
    for (what, found) in
        [("decisions", decisions), ("outcomes", successes), ("leases ended", leases), ("tokens", tokens.len())]
    {
        if found != steps {
            bail!("{steps} steps were measured, but {found} {what} are in the ledger");
        }
    }
    let nodes = {
        let mut tree = mandate_ledger::MemoryTree::default();
        for bytes in &entries {
            tree.append(mandate_ledger::leaf_hash(bytes));
        }
        tree
    };
    let witness = node.engine.ports().witness.keys();
    let anchor = TrustAnchor::new(witness, 1, [(context.tenant().clone(), context.anchor().await?)].into())?;
    let all = entries.into_iter().map(Ok::<_, std::convert::Infallible>);
    verify_log(all, &nodes, &checkpoint, &anchor, context.tenant())?;
    Ok(
        json!({"entries": size, "decisions": decisions, "tokens": tokens.len(), "leases_ended": leases, "ledger": "verified"}),
    )
}
