//! Callers' tokens from an OpenID provider, in the three algorithms, good and forged.

use crate::common::{NOW, at, key};
use aws_lc_rs::{
    hmac,
    rand::SystemRandom,
    rsa,
    signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair, RSA_PKCS1_SHA256, RsaPublicKeyComponents},
};
use mandate_identity::{Audience, JwksError, Provider, ProviderConfig, ProviderError, TokenError, Verified};
use mandate_kernel::{Duration, Signer, Tenant, base64url_encode};
use serde_json::{Value, json};
use std::sync::LazyLock;

const OP: &str = "https://login.example";
const API: &str = "https://mandate.example";

struct Keys {
    ec: EcdsaKeyPair,
    rsa: rsa::KeyPair,
    jwks: Value,
}

static KEYS: LazyLock<Keys> = LazyLock::new(|| {
    let ec = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap();
    let rsa = rsa::KeyPair::generate(rsa::KeySize::Rsa2048).unwrap();
    let (x, y) = ec.public_key().as_ref().split_at(1).1.split_at(32);
    let public = RsaPublicKeyComponents::<Vec<u8>>::from(rsa.public_key());
    let jwks = json!({"keys": [
        {"kty": "OKP", "crv": "Ed25519", "kid": "ed", "x": String::from(key(1).public()), "use": "sig"},
        {"kty": "EC", "crv": "P-256", "kid": "ec", "x": base64url_encode(x), "y": base64url_encode(y), "alg": "ES256"},
        {"kty": "RSA", "kid": "rsa", "n": base64url_encode(&public.n), "e": base64url_encode(&public.e), "use": "sig"},
        {"kty": "RSA", "kid": "enc", "n": base64url_encode(&public.n), "e": "AQAB", "use": "enc"},
    ]});
    Keys { ec, rsa, jwks }
});

fn config() -> ProviderConfig {
    ProviderConfig {
        issuer: OP.to_owned(),
        audience: Audience::new(API).unwrap(),
        tenant: Tenant::new("demo").unwrap(),
        jwks: KEYS.jwks.to_string(),
        groups_claim: "groups".to_owned(),
        types: vec!["at+jwt".to_owned()],
        leeway: Duration::from_secs(5),
    }
}

fn verify(token: &str) -> Result<Verified, TokenError> {
    Provider::new(config()).unwrap().verify(token, at(10))
}

fn sign(header: &Value, payload: &str) -> String {
    let signed =
        format!("{}.{}", base64url_encode(header.to_string().as_bytes()), base64url_encode(payload.as_bytes()));
    let signature = match header["alg"].as_str() {
        Some("ES256") => KEYS.ec.sign(&SystemRandom::new(), signed.as_bytes()).unwrap().as_ref().to_vec(),
        Some("RS256") => {
            let mut out = vec![0; KEYS.rsa.public_modulus_len()];
            KEYS.rsa.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), signed.as_bytes(), &mut out).unwrap();
            out
        }
        Some("HS256") => hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key(1).public().as_bytes()), signed.as_bytes())
            .as_ref()
            .to_vec(),
        _ => key(1).sign(signed.as_bytes()).0.to_vec(),
    };
    format!("{signed}.{}", base64url_encode(&signature))
}

fn header(alg: &str, kid: &str) -> Value {
    json!({"alg": alg, "typ": "at+jwt", "kid": kid, "x5t": "ignored"})
}

fn payload() -> Value {
    json!({
        "iss": OP, "aud": API, "sub": "finance-lead", "client_id": "cli", "iat": NOW, "exp": NOW + 600, "jti": "x",
        "groups": ["finance", "Domain Users"], "auth_time": NOW - 60, "acr": "mfa", "tenant": "other",
    })
}

#[test]
fn the_three_algorithms_pass() {
    for (alg, kid) in [("EdDSA", "ed"), ("ES256", "ec"), ("RS256", "rsa")] {
        let verified = verify(&sign(&header(alg, kid), &payload().to_string())).unwrap();
        assert_eq!(verified.caller.principal.to_string(), "user:finance-lead@demo", "the tenant is the provider's");
        assert_eq!(verified.caller.groups.iter().map(|g| g.as_str()).collect::<Vec<_>>(), ["finance"]);
        assert_eq!((verified.authenticated_at, verified.expires_at), (Some(at(-60)), at(600)));
        assert_eq!(verified.acr.as_deref(), Some("mfa"));
    }
    let mut without = header("ES256", "ec");
    without.as_object_mut().unwrap().remove("kid");
    assert!(verify(&sign(&without, &payload().to_string())).is_ok(), "the only key of its algorithm");
}

#[test]
fn each_altered_claim_is_refused_by_its_name() {
    let many: Vec<String> = (0..1001).map(|n| format!("g{n}")).collect();
    let table = [
        ("iss", json!("https://evil.example"), TokenError::WrongIssuer),
        ("iss", json!("https://login.example/"), TokenError::WrongIssuer),
        ("iss", json!(null), TokenError::WrongIssuer),
        ("aud", json!("https://other.example"), TokenError::WrongAudience),
        ("aud", json!(["https://other.example"]), TokenError::WrongAudience),
        ("aud", json!([]), TokenError::WrongAudience),
        ("aud", json!({"https://mandate.example": 1}), TokenError::WrongAudience),
        ("exp", json!(NOW + 5), TokenError::Expired),
        ("exp", json!("never"), TokenError::Malformed),
        ("exp", json!(1e300), TokenError::Malformed),
        ("exp", json!(null), TokenError::Malformed),
        ("nbf", json!(NOW + 16), TokenError::NotYetValid),
        ("iat", json!(NOW + 16), TokenError::NotYetValid),
        ("sub", json!(""), TokenError::Subject),
        ("sub", json!(7), TokenError::Subject),
        ("sub", json!("a b"), TokenError::Subject),
        ("sub", json!("a\n"), TokenError::Subject),
        ("sub", json!("cli"), TokenError::Subject),
        ("sub", json!("x".repeat(256)), TokenError::Subject),
        ("groups", json!("finance"), TokenError::Groups),
        ("groups", json!([1]), TokenError::Groups),
        ("groups", json!(many), TokenError::Groups),
    ];
    for (claim, value, refusal) in table {
        let mut forged = payload();
        forged[claim] = value.clone();
        assert_eq!(verify(&sign(&header("EdDSA", "ed"), &forged.to_string())), Err(refusal), "{claim} {value}");
    }
    let mut many = payload();
    many["aud"] = json!(["https://other.example", API]);
    many["exp"] = json!(f64::from(i32::try_from(NOW + 600).unwrap()) + 0.5);
    assert_eq!(verify(&sign(&header("EdDSA", "ed"), &many.to_string())).unwrap().expires_at, at(600));
    let doubled = payload().to_string().replacen('{', r#"{"sub":"admin","#, 1);
    assert_eq!(verify(&sign(&header("EdDSA", "ed"), &doubled)), Err(TokenError::Malformed));
    let mut missing = payload();
    missing.as_object_mut().unwrap().remove("exp");
    assert_eq!(verify(&sign(&header("EdDSA", "ed"), &missing.to_string())), Err(TokenError::Malformed));
}

#[test]
fn each_forged_header_is_refused_by_its_name() {
    let table = [
        (json!({"alg": "none", "typ": "at+jwt", "kid": "ed"}), TokenError::Algorithm),
        (json!({"alg": "HS256", "typ": "at+jwt", "kid": "ed"}), TokenError::Algorithm),
        (json!({"alg": "ES384", "typ": "at+jwt", "kid": "ec"}), TokenError::Algorithm),
        (json!({"alg": ["EdDSA"], "typ": "at+jwt", "kid": "ed"}), TokenError::Algorithm),
        (json!({"typ": "at+jwt", "kid": "ed"}), TokenError::Algorithm),
        (json!({"alg": "EdDSA", "typ": "JWT", "kid": "ed"}), TokenError::WrongType),
        (json!({"alg": "EdDSA", "typ": "dpop+jwt", "kid": "ed"}), TokenError::WrongType),
        (json!({"alg": "EdDSA", "kid": "ed"}), TokenError::WrongType),
        (json!({"alg": "EdDSA", "typ": "at+jwt", "kid": "ed", "crit": []}), TokenError::Extension),
        (json!({"alg": "EdDSA", "typ": "at+jwt", "kid": "ed", "b64": true}), TokenError::Extension),
        (json!({"alg": "EdDSA", "typ": "at+jwt", "kid": "ec"}), TokenError::UnknownKey),
        (json!({"alg": "RS256", "typ": "at+jwt", "kid": "enc"}), TokenError::UnknownKey),
        (json!({"alg": "EdDSA", "typ": "at+jwt", "kid": "no"}), TokenError::UnknownKey),
        (json!({"alg": "EdDSA", "typ": "at+jwt", "kid": 1}), TokenError::Malformed),
        (json!({"alg": "EdDSA", "typ": 1, "kid": "ed"}), TokenError::Malformed),
        (json!("x"), TokenError::Malformed),
    ];
    for (header, refusal) in table {
        assert_eq!(verify(&sign(&header, &payload().to_string())), Err(refusal), "{header}");
    }
    let long_form = json!({"alg": "EdDSA", "typ": "application/AT+JWT", "kid": "ed"});
    assert!(verify(&sign(&long_form, &payload().to_string())).is_ok());
}

#[test]
fn signatures_are_checked_before_claims() {
    for (alg, kid) in [("EdDSA", "ed"), ("ES256", "ec"), ("RS256", "rsa")] {
        let good = sign(&header(alg, kid), &payload().to_string());
        let parts: Vec<&str> = good.split('.').collect();
        let other = base64url_encode(payload().to_string().replace(OP, "https://evil.example").as_bytes());
        assert_eq!(verify(&format!("{}.{other}.{}", parts[0], parts[2])), Err(TokenError::BadSignature), "{alg}");
        assert_eq!(verify(&format!("{}.{}.AAAA", parts[0], parts[1])), Err(TokenError::BadSignature), "{alg}");
        assert_eq!(verify(&format!("{}.{}.", parts[0], parts[1])), Err(TokenError::BadSignature), "{alg}");
        assert_eq!(verify(&format!("{good}=")), Err(TokenError::Malformed), "{alg}");
    }
    assert_eq!(verify(""), Err(TokenError::Malformed));
    assert_eq!(verify(&"a".repeat(20_000)), Err(TokenError::TooLarge));
}

#[test]
fn a_provider_needs_public_keys_that_fit() {
    let with_keys = |keys: Value| {
        let config = ProviderConfig { jwks: json!({ "keys": keys }).to_string(), ..config() };
        match Provider::new(config) {
            Err(ProviderError::Keys { cause, .. }) => Some(cause),
            _ => None,
        }
    };
    let (all, x) = (&KEYS.jwks["keys"], String::from(key(1).public()));
    assert_eq!(with_keys(json!([])), Some(JwksError::Empty));
    assert_eq!(with_keys(json!([{"kty": "oct", "k": "AAAA"}])), Some(JwksError::PrivateKey));
    assert_eq!(with_keys(json!([{"kty": "OKP", "crv": "Ed25519", "x": x, "d": x}])), Some(JwksError::PrivateKey));
    assert_eq!(
        with_keys(json!([{"kty": "RSA", "n": "AQAB", "e": "AQAB"}])),
        Some(JwksError::Inconsistent),
        "too short"
    );
    assert_eq!(with_keys(json!([{"kty": "EC", "crv": "P-256", "x": x, "y": "AAAA"}])), Some(JwksError::Inconsistent));
    assert_eq!(with_keys(json!([all[0], all[0]])), Some(JwksError::Inconsistent), "one id, two keys");
    assert_eq!(with_keys(json!([{"kty": "EC", "crv": "P-521"}, all[0]])), None);
    let loose = ProviderConfig { leeway: Duration::from_secs(301), ..config() };
    assert_eq!(Provider::new(loose).err(), Some(ProviderError::Config(OP.to_owned())));
}
