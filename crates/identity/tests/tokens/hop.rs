//! Hop tokens under attack: each forgery has its own refusal, and no single changed byte passes.

use crate::common::{ISSUER, at, audience, forge, hop, key};
use aws_lc_rs::hmac;
use mandate_identity::{Audience, HopClaims, HopError, HopExpectation, Jwks, JwksError, JwsError};
use mandate_kernel::{Duration, Signer, base64url_encode};
use serde_json::{Value, json};

fn verify_at(token: &str, offset: i64) -> Result<HopClaims, HopError> {
    let keys = Jwks::new([key(1).public(), key(2).public()]);
    let audience = audience();
    let expected =
        HopExpectation { issuer: ISSUER, audience: &audience, now: at(offset), leeway: Duration::from_secs(5) };
    HopClaims::verify(token, &keys, &expected)
}

fn verify(token: &str) -> Result<HopClaims, HopError> {
    verify_at(token, 10)
}

fn header() -> Value {
    json!({"alg": "EdDSA", "typ": "at+jwt", "kid": key(1).key_id().0})
}

fn payload() -> String {
    serde_json::to_string(&hop()).unwrap()
}

#[test]
fn a_good_token_says_what_was_signed() {
    let token = hop().sign(&key(1)).unwrap();
    assert_eq!(verify(token.expose()), Ok(hop()));
    assert_eq!(token.digest(), mandate_kernel::Digest::of(token.expose().as_bytes()));
    let claims: Value = serde_json::from_str(&payload()).unwrap();
    assert_eq!(claims["scope"], "other warehouse:read");
    assert_eq!(claims["exp"], crate::common::NOW + 120);
    assert_eq!(claims["act"], json!({"sub": "worker:finance/quarterly-summary", "act": {"sub": "user:before"}}));
    assert_eq!(claims["authorization_details"][0]["type"], "mandate_function");
    assert_eq!(claims["mandate"]["step"]["seq"], 1);
    assert!(claims.get("may_act").is_none());
    assert_eq!(hop().act.unwrap().iter().collect::<Vec<_>>(), ["worker:finance/quarterly-summary", "user:before"]);
}

#[test]
fn its_authority_is_what_it_allows() {
    let authority = hop().authority();
    assert_eq!((authority.depth, authority.not_after), (0, at(120)));
    assert_eq!(authority.scopes, hop().scope);
    assert!(authority.functions.keys().eq([&hop().functions().next().unwrap().function]));
}

#[test]
fn each_altered_claim_is_refused_by_its_name() {
    type Change = fn(&mut HopClaims);
    let table: [(Change, HopError); 11] = [
        (|c| c.iss = "https://evil.example".into(), HopError::Issuer),
        (|c| c.iss.push('/'), HopError::Issuer),
        (|c| c.aud = Audience::new("https://warehouse.example/").unwrap(), HopError::Audience),
        (|c| c.exp = at(5), HopError::Expired),
        (|c| c.nbf = at(16), HopError::NotYetValid),
        (|c| c.iat = at(16), HopError::NotYetValid),
        (|c| c.exp = at(301), HopError::Lifetime),
        (|c| (c.iat, c.nbf, c.exp) = (at(10), at(10), at(10)), HopError::Lifetime),
        (|c| c.txn = "run_01J9ZK3Y4T6W8Q2N5R7VX0ABCE".parse().unwrap(), HopError::Inconsistent),
        (|c| c.authorization_details.clear(), HopError::Inconsistent),
        (|c| c.authorization_details.push(c.authorization_details[0].clone()), HopError::Inconsistent),
    ];
    for (n, (change, refusal)) in table.into_iter().enumerate() {
        let mut claims = hop();
        change(&mut claims);
        let token = forge(&key(1), &header(), &serde_json::to_string(&claims).unwrap());
        assert_eq!(verify(&token), Err(refusal), "case {n}");
    }
}

#[test]
fn we_never_sign_what_we_would_refuse() {
    let mut long = hop();
    long.exp = at(301);
    assert_eq!(long.sign(&key(1)).err(), Some(HopError::Lifetime));
    let mut huge = hop();
    huge.mandate.purpose = Some("x".repeat(20_000));
    assert_eq!(huge.sign(&key(1)).err(), Some(HopError::Jws(JwsError::TooLarge)));
}

#[test]
fn times_are_judged_to_the_second_with_leeway() {
    let token = hop().sign(&key(1)).unwrap();
    for (offset, outcome) in
        [(-6, Some(HopError::NotYetValid)), (-5, None), (124, None), (125, Some(HopError::Expired))]
    {
        assert_eq!(verify_at(token.expose(), offset).err(), outcome, "{offset}");
    }
}

#[test]
fn each_forged_header_is_refused_by_its_name() {
    let kid = key(1).key_id().0;
    let table = [
        (json!({"alg": "none", "typ": "at+jwt", "kid": kid}), JwsError::Algorithm),
        (json!({"alg": "HS256", "typ": "at+jwt", "kid": kid}), JwsError::Algorithm),
        (json!({"alg": "ES256", "typ": "at+jwt", "kid": kid}), JwsError::Algorithm),
        (json!({"alg": "eddsa", "typ": "at+jwt", "kid": kid}), JwsError::Algorithm),
        (json!({"typ": "at+jwt", "kid": kid}), JwsError::Malformed),
        (json!({"alg": "EdDSA", "typ": "JWT", "kid": kid}), JwsError::Type),
        (json!({"alg": "EdDSA", "typ": "txntoken+jwt", "kid": kid}), JwsError::Type),
        (json!({"alg": "EdDSA", "typ": "AT+JWT", "kid": kid}), JwsError::Type),
        (json!({"alg": "EdDSA", "kid": kid}), JwsError::Type),
        (json!({"alg": "EdDSA", "typ": "at+jwt"}), JwsError::Header),
        (json!({"alg": "EdDSA", "typ": "at+jwt", "kid": kid, "crit": ["exp"]}), JwsError::Header),
        (json!({"alg": "EdDSA", "typ": "at+jwt", "kid": kid, "crit": null}), JwsError::Header),
        (json!({"alg": "EdDSA", "typ": "at+jwt", "kid": kid, "b64": false}), JwsError::Header),
        (json!({"alg": "EdDSA", "typ": "at+jwt", "kid": kid, "jku": "https://evil.example"}), JwsError::Header),
        (json!({"alg": "EdDSA", "typ": "at+jwt", "kid": kid, "jwk": {}}), JwsError::Header),
        (json!({"alg": "EdDSA", "typ": "at+jwt", "kid": "../../key"}), JwsError::UnknownKey),
        (json!({"alg": "EdDSA", "typ": "at+jwt", "kid": key(3).key_id().0}), JwsError::UnknownKey),
        (json!({"alg": "EdDSA", "typ": "at+jwt", "kid": key(2).key_id().0}), JwsError::Signature),
        (json!([]), JwsError::Malformed),
    ];
    for (header, refusal) in table {
        assert_eq!(verify(&forge(&key(1), &header, &payload())), Err(HopError::Jws(refusal)), "{header}");
    }
}

#[test]
fn a_public_key_is_no_shared_secret() {
    let header = json!({"alg": "HS256", "typ": "at+jwt", "kid": key(1).key_id().0});
    let signed =
        format!("{}.{}", base64url_encode(header.to_string().as_bytes()), base64url_encode(payload().as_bytes()));
    let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key(1).public().as_bytes()), signed.as_bytes());
    let token = format!("{signed}.{}", base64url_encode(tag.as_ref()));
    assert_eq!(verify(&token), Err(HopError::Jws(JwsError::Algorithm)));
}

#[test]
fn each_malformed_token_is_refused() {
    let good = hop().sign(&key(1)).unwrap();
    let good = good.expose();
    let parts: Vec<&str> = good.split('.').collect();
    let other_claims = base64url_encode(payload().replace("finance-lead", "finance-boss").as_bytes());
    let table = [
        (String::new(), JwsError::Malformed),
        ("..".to_owned(), JwsError::Malformed),
        (format!("{}.{}", parts[0], parts[1]), JwsError::Malformed),
        (format!("{}.{}.", parts[0], parts[1]), JwsError::Signature),
        (format!("{good}.x"), JwsError::Malformed),
        (format!("{good}="), JwsError::Malformed),
        (format!(" {good}"), JwsError::Malformed),
        (format!("{good}\n"), JwsError::Malformed),
        (format!("{}.{other_claims}.{}", parts[0], parts[2]), JwsError::Signature),
        (format!("{good}{}", "A".repeat(1 << 20)), JwsError::TooLarge),
    ];
    for (token, refusal) in table {
        assert_eq!(verify(&token), Err(HopError::Jws(refusal)), "{}", &token[..token.len().min(40)]);
    }
    let doubled = payload().replacen('{', r#"{"sub":"user:admin","#, 1);
    let nested = payload().replace(r#""/quarter":"#, r#""/quarter":{"prefix":""},"/quarter":"#);
    let unlimited = payload().replace(r#""type":"mandate_function""#, r#""type":"anything""#);
    let stranger = payload().replace(r#""type":"mandate_function""#, r#""type":"mandate_function","also":1"#);
    let many = payload().replace(r#""https://warehouse.example""#, r#"["https://warehouse.example"]"#);
    let twice = payload().replace("other warehouse:read", "other other");
    for payload in [doubled, nested, unlimited, stranger, many, twice, "{}".into(), "null".into(), "[".repeat(5_000)] {
        let token = forge(&key(1), &header(), &payload);
        assert_eq!(verify(&token), Err(HopError::Jws(JwsError::Malformed)), "{payload}");
    }
}

#[test]
fn no_changed_byte_passes() {
    let good = hop().sign(&key(1)).unwrap().expose().clone();
    for at in 0..good.len() {
        for flip in [1, 0x20] {
            let mut bytes = good.clone().into_bytes();
            bytes[at] ^= flip;
            if let Ok(token) = String::from_utf8(bytes) {
                assert!(verify(&token).is_err(), "byte {at}");
            }
        }
        assert!(verify(&good[..at]).is_err(), "cut at {at}");
    }
}

#[test]
fn refusals_hold_nothing_of_the_token() {
    let secret = "user:finance-lead-secret";
    let token = forge(&key(3), &header(), &payload().replace("user:finance-lead", secret));
    let refusal = verify(&token).unwrap_err();
    assert!(!format!("{refusal} {refusal:?}").contains("secret"));
}

#[test]
fn a_published_key_set_round_trips_and_refuses_private_keys() {
    let set = Jwks::new([key(1).public(), key(2).public()]);
    let published = set.to_json();
    assert_eq!(Jwks::from_json(published.to_string().as_bytes()), Ok(set.clone()));
    assert_eq!(set.get(&key(1).key_id().0), Some(&key(1).public()));
    let x = String::from(key(1).public());
    let one = |extra: Value| {
        let mut jwk = json!({"kty": "OKP", "crv": "Ed25519", "x": x});
        jwk.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
        Jwks::from_json(json!({"keys": [jwk]}).to_string().as_bytes())
    };
    assert!(one(json!({})).is_ok());
    assert_eq!(one(json!({"d": "secret"})), Err(JwksError::PrivateKey));
    assert_eq!(one(json!({"kty": "oct", "k": "AAAA"})), Err(JwksError::PrivateKey));
    assert_eq!(one(json!({"kid": "mine"})), Err(JwksError::Inconsistent));
    assert_eq!(one(json!({"use": "enc"})), Err(JwksError::Inconsistent));
    assert_eq!(one(json!({"alg": "ES256"})), Err(JwksError::Inconsistent));
    assert_eq!(one(json!({"x": "AAAA"})), Err(JwksError::Inconsistent));
    assert_eq!(one(json!({"crv": "X25519"})), Err(JwksError::Empty));
    for bad in ["", "{}", "[]", r#"{"keys":[1]}"#, r#"{"keys":[],"keys":[]}"#] {
        assert_eq!(Jwks::from_json(bad.as_bytes()), Err(JwksError::Malformed), "{bad}");
    }
}
