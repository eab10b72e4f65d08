//! HTTP: resources, runs, ledger, proofs.
