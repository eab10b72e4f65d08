//! What the token tests share: keys from fixed seeds, and tokens forged by hand.

use mandate_identity::{
    Actor, ArgumentLimits, Audience, AuthorizationDetail, Confirmation, FunctionDetail, HopClaims, HopContext,
    IdentityModel, Scope,
};
use mandate_kernel::{
    Attempt, Digest, Ed25519Signer, Environment, FunctionName, Secret, Signer, StepKey, StepSeq, Tenant, Timestamp,
    base64url_encode,
};
use serde_json::Value;
use std::collections::BTreeSet;

pub(crate) const NOW: i64 = 1_800_000_000;
pub(crate) const ISSUER: &str = "https://mandate.example/t/demo";

pub(crate) fn at(offset: i64) -> Timestamp {
    Timestamp::from_secs(NOW + offset)
}

pub(crate) fn key(seed: u8) -> Ed25519Signer {
    Ed25519Signer::from_seed(&Secret::new([seed; 32])).unwrap()
}

pub(crate) fn audience() -> Audience {
    Audience::new("https://warehouse.example").unwrap()
}

/// A token out of whatever header and payload, signed by `signer`.
pub(crate) fn forge(signer: &dyn Signer, header: &Value, payload: &str) -> String {
    let signed =
        format!("{}.{}", base64url_encode(header.to_string().as_bytes()), base64url_encode(payload.as_bytes()));
    let signature = base64url_encode(&signer.sign(signed.as_bytes()).0);
    format!("{signed}.{signature}")
}

pub(crate) fn hop() -> HopClaims {
    let run: mandate_kernel::RunId = "run_01J9ZK3Y4T6W8Q2N5R7VX0ABCD".parse().unwrap();
    HopClaims {
        iss: ISSUER.to_owned(),
        sub: "user:finance-lead".to_owned(),
        aud: audience(),
        exp: at(120),
        iat: at(0),
        nbf: at(0),
        jti: "tok_01J9ZK3Y4T6W8Q2N5R7VX0ABCD".parse().unwrap(),
        client_id: "finance/quarterly-summary".to_owned(),
        scope: BTreeSet::from([Scope::new("warehouse:read").unwrap(), Scope::new("other").unwrap()]),
        act: Actor::chain(["worker:finance/quarterly-summary".to_owned(), "user:before".to_owned()]),
        txn: run.clone(),
        authorization_details: vec![AuthorizationDetail::Function(FunctionDetail {
            function: FunctionName::new("warehouse.revenue").unwrap(),
            arguments: serde_json::from_str::<ArgumentLimits>(r#"{"/quarter":{"equals":"2026-Q3"}}"#).unwrap(),
            request_digest: Digest::of(b"request"),
        })],
        cnf: Some(Confirmation { jkt: key(9).key_id().0 }),
        mandate: HopContext {
            tenant: Tenant::new("demo").unwrap(),
            step: StepKey { run, seq: StepSeq(1), attempt: Attempt(1) },
            environment: Environment::new("production").unwrap(),
            model: IdentityModel::Delegated,
            purpose: Some("quarterly report".to_owned()),
            argument_digest: Digest::of(b"arguments"),
            parent: Digest::of(b"envelope"),
            decision: "dec_01J9ZK3Y4T6W8Q2N5R7VX0ABCD".parse().unwrap(),
        },
    }
}
