//! The examples of RFC 7616 §3.9, and challenges that must not be answered.
use super::*;
use proptest::prelude::*;
use reqwest::header::HeaderValue;

fn headers(values: &[&str]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for value in values {
        headers.append(WWW_AUTHENTICATE, HeaderValue::from_str(value).unwrap());
    }
    headers
}

const SHA: &str = "Digest realm=\"http-auth@example.org\", qop=\"auth, auth-int\", algorithm=SHA-256, nonce=\"7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v\", opaque=\"FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS\"";
const MD5: &str = "Digest realm=\"http-auth@example.org\", qop=\"auth, auth-int\", algorithm=MD5, nonce=\"7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v\", opaque=\"FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS\"";

fn mufasa() -> Answering<'static> {
    Answering {
        username: "Mufasa",
        password: "Circle of Life",
        method: "GET",
        target: "/dir/index.html",
        cnonce: "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ",
    }
}

#[test]
fn the_examples_of_the_rfc() {
    let sha = Challenge::of(&headers(&[SHA]), false).unwrap().answer(&mufasa());
    assert!(sha.contains("response=\"753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1\""), "{sha}");
    assert!(
        sha.contains("algorithm=SHA-256, ") && sha.contains("nc=00000001, ") && sha.contains("qop=auth, "),
        "{sha}"
    );
    assert!(sha.contains("opaque=\"FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS\""), "{sha}");
    let md5 = Challenge::of(&headers(&[MD5]), true).unwrap().answer(&mufasa());
    assert!(md5.contains("response=\"8ca523f5e9506fed4657c9700eebdbec\""), "{md5}");
}

#[test]
fn the_stronger_one_is_answered_and_md5_only_where_it_is_allowed() {
    for both in [vec![SHA, MD5], vec![MD5, SHA]] {
        let answer = Challenge::of(&headers(&both), true).unwrap().answer(&mufasa());
        assert!(answer.contains("algorithm=SHA-256"), "{answer}");
    }
    let joined = format!("Basic realm=\"a, Digest b\", {MD5}, {SHA}, Bearer");
    assert_eq!(Challenge::of(&headers(&[&joined]), false).unwrap().hash, Hash::Sha256);
    assert!(Challenge::of(&headers(&[MD5]), false).unwrap_err().contains("MD5"));
    // No algorithm means MD5.
    assert!(Challenge::of(&headers(&["Digest realm=\"r\", nonce=\"n\", qop=\"auth\""]), false).is_err());
}

#[test]
fn what_is_weaker_or_unreadable_is_not_answered() {
    for bad in [
        "Basic realm=\"x\"",
        "Digest",
        "Digest realm=\"r\", nonce=\"n\", algorithm=SHA-256",
        "Digest realm=\"r\", nonce=\"n\", algorithm=SHA-256, qop=\"auth-int\"",
        "Digest realm=\"r\", nonce=\"\", algorithm=SHA-256, qop=\"auth\"",
        "Digest nonce=\"n\", algorithm=SHA-256, qop=\"auth\"",
        "Digest realm=\"r\", nonce=\"n\", nonce=\"m\", algorithm=SHA-256, qop=\"auth\"",
        "Digest realm=\"r\", nonce=\"n, algorithm=SHA-256, qop=\"auth\"",
        "Digest realm=\"r\", nonce=\"n\", algorithm=SHA-512-256, qop=\"auth\"",
    ] {
        assert!(Challenge::of(&headers(&[bad]), true).is_err(), "{bad}");
    }
    assert!(Challenge::of(&HeaderMap::new(), true).is_err());
    let long = format!("{SHA}, x=\"{}\"", "y".repeat(MAX_CHALLENGE));
    assert!(Challenge::of(&headers(&[&long]), true).is_err());
}

#[test]
fn a_quote_ends_nothing() {
    let realm = "Digest realm=\"a\\\"b\", nonce=\"n\\\\\", qop=auth, algorithm=SHA-256-sess, userhash=true";
    let challenge = Challenge::of(&headers(&[realm]), false).unwrap();
    assert_eq!((challenge.realm.as_str(), challenge.nonce.as_str()), ("a\"b", "n\\"));
    let answer = challenge.answer(&mufasa());
    assert!(answer.contains("realm=\"a\\\"b\"") && answer.contains("nonce=\"n\\\\\""), "{answer}");
    assert!(
        answer.contains("SHA-256-sess") && !answer.contains("Mufasa") && answer.contains("userhash=true"),
        "{answer}"
    );
}

proptest! {
    #[test]
    fn any_challenge_is_survived(text in "[ -~]{0,80}", tail in "[ -~]{0,80}") {
        for text in [format!("Digest {text}"), format!("{text}, Digest {tail}")] {
            let _ = Challenge::of(&headers(&[&text]), true);
        }
    }
}
