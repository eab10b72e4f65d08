//! Proofs of possession under attack.

use crate::common::{NOW, at, forge, key};
use mandate_identity::{
    CanonicalUrl, JwsError,
    dpop::{self, DpopError, Expected, Proof},
};
use mandate_kernel::{Digest, Duration, Signer, base64url_encode};
use serde_json::{Value, json};

const TOKEN: &str = "a.b.c";

fn url() -> CanonicalUrl {
    CanonicalUrl::new("https://warehouse.example/v1/revenue?quarter=2026-Q3").unwrap()
}

fn verify(proof: &str) -> Result<Proof, DpopError> {
    let (url, jkt) = (url(), key(9).key_id().0);
    let expected = Expected {
        method: "POST",
        url: &url,
        token: TOKEN,
        jkt: &jkt,
        now: at(30),
        max_age: Duration::from_secs(60),
        leeway: Duration::from_secs(5),
    };
    dpop::verify(proof, &expected)
}

fn header() -> Value {
    let x = String::from(key(9).public());
    json!({"alg": "EdDSA", "typ": "dpop+jwt", "jwk": {"kty": "OKP", "crv": "Ed25519", "x": x}})
}

fn payload() -> Value {
    json!({
        "jti": "p1", "htm": "POST", "htu": "https://warehouse.example/v1/revenue", "iat": NOW,
        "ath": base64url_encode(Digest::of(TOKEN.as_bytes()).as_bytes()),
    })
}

#[test]
fn a_good_proof_passes() {
    let jti = "tok_01J9ZK3Y4T6W8Q2N5R7VX0ABCD".parse().unwrap();
    let proof = dpop::prove(&key(9), "POST", &url(), TOKEN, &jti, at(0)).unwrap();
    let found = verify(&proof).unwrap();
    assert_eq!((found.jti.as_str(), found.key), (jti.as_str(), key(9).public()));
    assert!(verify(&forge(&key(9), &header(), &payload().to_string())).is_ok());
}

#[test]
fn each_altered_claim_is_refused_by_its_name() {
    let table = [
        ("htm", json!("GET"), DpopError::Method),
        ("htm", json!("post"), DpopError::Method),
        ("htu", json!("https://warehouse.example/v1/revenue?quarter=2026-Q3"), DpopError::Url),
        ("htu", json!("https://warehouse.example/v1/costs"), DpopError::Url),
        ("htu", json!("https://evil.example/v1/revenue"), DpopError::Url),
        ("htu", json!("HTTPS://warehouse.example/v1/revenue"), DpopError::Url),
        ("ath", json!(base64url_encode(Digest::of(b"other").as_bytes())), DpopError::Token),
        ("ath", json!(""), DpopError::Token),
        ("iat", json!(NOW + 36), DpopError::Age),
        ("iat", json!(NOW - 35), DpopError::Age),
        ("iat", json!(-1), DpopError::Jws(JwsError::Malformed)),
        ("iat", json!(i64::MAX), DpopError::Jws(JwsError::Malformed)),
        ("jti", json!(""), DpopError::Jws(JwsError::Malformed)),
        ("jti", json!("x".repeat(129)), DpopError::Jws(JwsError::Malformed)),
        ("ath", json!(null), DpopError::Jws(JwsError::Malformed)),
    ];
    for (claim, value, refusal) in table {
        let mut forged = payload();
        forged[claim] = value.clone();
        assert_eq!(verify(&forge(&key(9), &header(), &forged.to_string())), Err(refusal), "{claim} {value}");
    }
}

#[test]
fn each_forged_header_is_refused_by_its_name() {
    let x = String::from(key(9).public());
    let jwk = |jwk: Value| json!({"alg": "EdDSA", "typ": "dpop+jwt", "jwk": jwk});
    let table = [
        (jwk(json!({"kty": "OKP", "crv": "Ed25519", "x": x, "d": "AAAA"})), DpopError::Key),
        (jwk(json!({"kty": "oct", "k": "AAAA"})), DpopError::Key),
        (jwk(json!({"kty": "OKP", "crv": "X25519", "x": x})), DpopError::Key),
        (jwk(json!({"kty": "EC", "crv": "P-256", "x": x, "y": x})), DpopError::Key),
        (jwk(json!({"kty": "OKP", "crv": "Ed25519", "x": "AAAA"})), DpopError::Key),
        (jwk(json!({})), DpopError::Key),
        (jwk(json!("x")), DpopError::Jws(JwsError::Header)),
        (json!({"alg": "EdDSA", "typ": "dpop+jwt"}), DpopError::Jws(JwsError::Header)),
        (json!({"alg": "EdDSA", "typ": "dpop+jwt", "kid": "x", "jwk": {}}), DpopError::Jws(JwsError::Header)),
        (json!({"alg": "EdDSA", "typ": "at+jwt", "jwk": {}}), DpopError::Jws(JwsError::Type)),
        (json!({"alg": "none", "typ": "dpop+jwt", "jwk": {}}), DpopError::Jws(JwsError::Algorithm)),
        (json!({"alg": "HS256", "typ": "dpop+jwt", "jwk": {}}), DpopError::Jws(JwsError::Algorithm)),
    ];
    for (header, refusal) in table {
        assert_eq!(verify(&forge(&key(9), &header, &payload().to_string())), Err(refusal), "{header}");
    }
}

#[test]
fn another_key_proves_nothing() {
    let jti = "tok_01J9ZK3Y4T6W8Q2N5R7VX0ABCD".parse().unwrap();
    let proof = dpop::prove(&key(8), "POST", &url(), TOKEN, &jti, at(0)).unwrap();
    assert_eq!(verify(&proof), Err(DpopError::Thumbprint));
    let forged = forge(&key(8), &header(), &payload().to_string());
    assert_eq!(verify(&forged), Err(DpopError::Jws(JwsError::Signature)));
    let huge = forge(&key(9), &header(), &payload().to_string().replacen("p1", &"x".repeat(9_000), 1));
    assert_eq!(verify(&huge), Err(DpopError::Jws(JwsError::TooLarge)));
    let doubled = payload().to_string().replacen('{', r#"{"htm":"POST","#, 1);
    assert_eq!(verify(&forge(&key(9), &header(), &doubled)), Err(DpopError::Jws(JwsError::Malformed)));
}
