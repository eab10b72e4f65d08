//! Requests have one form and one digest.
#![expect(clippy::unwrap_used, reason = "helpers outside the test functions")]

use mandate_identity::{CanonicalRequest, CanonicalUrl, RequestError};
use mandate_kernel::Digest;
use proptest::prelude::*;

fn request(method: &str, url: &str, content_type: Option<&str>, body: &str, key: Option<&str>) -> CanonicalRequest {
    let owned = |text: Option<&str>| text.map(str::to_owned);
    CanonicalRequest::new(method, url, owned(content_type), body.into(), owned(key)).unwrap()
}

#[test]
fn urls_in_normal_form_pass_whole() {
    for good in [
        "https://warehouse.example/",
        "https://warehouse.example/v1/revenue?quarter=2026-Q3&x=a/b?c",
        "http://127.0.0.1:4000/a",
        "http://localhost:65535/a/",
        "http://[::1]:8080/",
        "https://[2001:db8::1]/",
        "https://xn--bcher-kva.example/%C3%A4%2F",
        "https://a_b.example/a;b=c,d/@x:y!$&'()*+",
        "https://h/?",
    ] {
        assert_eq!(CanonicalUrl::new(good).unwrap().as_str(), good);
    }
    let url = CanonicalUrl::new("http://h:8080/a/b?c=d?e").unwrap();
    assert_eq!((url.origin(), url.path(), url.without_query()), ("http://h:8080", "/a/b", "http://h:8080/a/b"));
}

/// Scheme, userinfo, host or port in another spelling, or none.
const BAD_ORIGINS: &[&str] = &[
    "",
    "/",
    "//h/",
    "h/",
    "ftp://h/",
    "HTTPS://h/",
    "https://H/",
    "https://h",
    "https://h?x",
    "https:///",
    "https:/h/",
    "https://u@h/",
    "https://u:p@h/",
    "https://h:443/",
    "http://h:80/",
    "https://h:/",
    "https://h:0/",
    "https://h:08/",
    "https://h:65536/",
    "https://h:+1/",
    "https://h:1:2/",
    "https://h./",
    "https://.h/",
    "https://-h/",
    "https://h-/",
    "https://h..x/",
    "https://h\u{e4}/",
    "https://127.1/",
    "https://2130706433/",
    "https://0x7f000001/",
    "https://0177.0.0.1/",
    "https://127.0.0.1./",
    "https://[::1/",
    "https://[::1]x/",
    "https://[::1]:0/",
    "https://[0:0::1]/",
    "https://[2001:DB8::1]/",
    "https://[fe80::1%25eth0]/",
    "https://[]/",
    "https://%68/",
    "https://h\0/",
];

/// A path or query in another spelling, or with a fragment.
const BAD_PATHS: &[&str] = &[
    "https://h/#",
    "https://h/a#b",
    "https://h/\u{e4}",
    "https://h/a b",
    "https://h/a\tb",
    "https://h/a\\b",
    "https://h/.",
    "https://h/..",
    "https://h/a/../b",
    "https://h/a/./b",
    "https://h/%2e%2e/b",
    "https://h/%2E%2E/b",
    "https://h/%41",
    "https://h/%c3",
    "https://h/%",
    "https://h/%4",
    "https://h/%zz",
    "https://h//a",
    "https://h/a//b",
    "https://h/a//",
    "https://h/?a b",
    "https://h/?a#b",
    "https://h/?%61",
    "https://h/\"",
    "https://h/{x}",
    "https://h/[x]",
    "https://h/^",
];

#[test]
fn other_spellings_are_refused() {
    let long = [format!("https://h/{}", "a".repeat(8192)), format!("https://{}/", "a".repeat(64))];
    for bad in BAD_ORIGINS.iter().chain(BAD_PATHS).copied().chain(long.iter().map(String::as_str)) {
        assert!(matches!(CanonicalUrl::new(bad), Err(RequestError::Url(_))), "{bad}");
    }
}

#[test]
fn fields_are_checked() {
    let make = |method: &str, content_type: Option<&str>, key: Option<&str>| {
        let owned = |text: Option<&str>| text.map(str::to_owned);
        CanonicalRequest::new(method, "https://h/", owned(content_type), vec![], owned(key)).err()
    };
    for method in ["", "get", "GE T", "GET\r\n", "ABCDEFGHIJKLMNOPQ"] {
        assert_eq!(make(method, None, None), Some(RequestError::Method), "{method}");
    }
    for content_type in ["", " text/plain", "text/plain\r\nX: y", "a  b", "\u{e4}", &"a".repeat(256)] {
        assert_eq!(make("GET", Some(content_type), None), Some(RequestError::ContentType), "{content_type}");
    }
    for key in ["", "a b", "a\n", "\u{e4}", &"a".repeat(256)] {
        assert_eq!(make("GET", None, Some(key)), Some(RequestError::IdempotencyKey), "{key}");
    }
    assert_eq!(make("POST", Some("application/json; charset=utf-8"), Some("run_x.1")), None);
}

#[test]
fn the_digest_is_over_canonical_json() {
    let made = request("POST", "https://h/a?b=c", Some("application/json"), "{}", Some("run_x.1"));
    let body = "sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a";
    let text = format!(
        r#"{{"body_sha256":"{body}","content_type":"application/json","idempotency_key":"run_x.1","method":"POST","url":"https://h/a?b=c"}}"#
    );
    assert_eq!(made.digest(), Digest::of(text.as_bytes()));
    let empty = request("GET", "https://h/", None, "", None);
    let text = format!(
        r#"{{"body_sha256":"{}","content_type":null,"idempotency_key":null,"method":"GET","url":"https://h/"}}"#,
        Digest::of(b"")
    );
    assert_eq!(empty.digest(), Digest::of(text.as_bytes()));
    assert!(!format!("{made:?}").contains("{}"));
}

#[test]
fn each_part_changes_the_digest() {
    let base = ("POST", "https://h/a", Some("text/plain"), "x", Some("k"));
    let digest = |(m, u, c, b, k): (&str, &str, Option<&str>, &str, Option<&str>)| request(m, u, c, b, k).digest();
    let others = [
        ("PUT", base.1, base.2, base.3, base.4),
        (base.0, "https://h/a?", base.2, base.3, base.4),
        (base.0, "http://h/a", base.2, base.3, base.4),
        (base.0, base.1, None, base.3, base.4),
        (base.0, base.1, Some("text/html"), base.3, base.4),
        (base.0, base.1, base.2, "y", base.4),
        (base.0, base.1, base.2, base.3, None),
        (base.0, base.1, base.2, base.3, Some("l")),
    ];
    for other in others {
        assert_ne!(digest(base), digest(other), "{other:?}");
    }
}

proptest! {
    #[test]
    fn any_text_is_a_url_whole_or_refused(text in "(https?://)?[a-zA-Z0-9.:@\\[\\]/?#%\\\\ -]{0,40}") {
        if let Ok(url) = CanonicalUrl::new(text.as_str()) {
            prop_assert_eq!(url.as_str(), text.as_str());
            prop_assert!(url.without_query().starts_with(url.origin()) && url.path().starts_with('/'));
            prop_assert!(!url.path().contains("..") || !url.path().split('/').any(|s| s == ".."));
            prop_assert!(!text.contains(['#', '\\', ' ']));
        }
    }

    #[test]
    fn the_receiver_computes_the_same(body in proptest::collection::vec(any::<u8>(), 0..64), key in proptest::option::of("[!-~]{1,20}")) {
        let sent = CanonicalRequest::new("POST", "https://h/a", None, body.clone(), key.clone()).unwrap();
        let url = CanonicalUrl::new("https://h/a").unwrap();
        let received = CanonicalRequest::digest_received("POST", &url, None, &body, key.as_deref()).unwrap();
        prop_assert_eq!(sent.digest(), received);
    }
}
