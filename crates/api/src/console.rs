//! The console: the built page, embedded. It is the fallback of the router: whatever the API does not
//! serve is a file of the console, one of its views, or nothing.

use crate::Problem;
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use rust_embed::{EmbeddedFile, RustEmbed};
use std::borrow::Cow;

/// What the console's build left; empty where it was not built.
#[derive(RustEmbed)]
#[folder = "../../console/dist"]
#[allow_missing = true]
struct Built;

const INDEX: &str = "index.html";

/// First parts of paths that are never a view of the console: a wrong address there is the API's to answer.
const NOT_VIEWS: [&str; 9] = ["v1", "auth", "t", "dev", "livez", "readyz", "metrics", "openapi.json", "assets"];

/// Files that change their name when they change: a year, and no question in between.
const IMMUTABLE: HeaderValue = HeaderValue::from_static("public, max-age=31536000, immutable");
const ASK_AGAIN: HeaderValue = HeaderValue::from_static("no-cache");

/// Scripts and styles come from here alone, none stands in the page, and no text becomes either. Nobody
/// frames the page.
const CONTENT_SECURITY_POLICY: HeaderValue = HeaderValue::from_static(
    "default-src 'none'; script-src 'self'; style-src 'self'; font-src 'self'; img-src 'self'; \
     connect-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'; \
     require-trusted-types-for 'script'; trusted-types 'none'",
);

/// What every answer of the console carries. `same-origin` keeps the `Origin` of its own requests, which
/// the sessions ask for.
const HEADERS: [(&str, &str); 6] = [
    ("x-content-type-options", "nosniff"),
    ("x-frame-options", "DENY"),
    ("referrer-policy", "same-origin"),
    ("cross-origin-opener-policy", "same-origin"),
    ("cross-origin-resource-policy", "same-origin"),
    ("permissions-policy", "camera=(), geolocation=(), microphone=(), payment=(), usb=()"),
];

const NOT_BUILT: &str = "<!doctype html><html lang=en><meta charset=utf-8><title>Mandate</title>\
<main><h1>The console is not in this program</h1>\
<p>It was compiled without it. With Node installed, run <code>scripts/console</code> and build again. \
Everything the console shows is there in the command line too: <code>mandate --help</code>.</p></main>";

/// Answers what no endpoint answers.
pub(crate) async fn fallback(method: Method, uri: Uri, headers: HeaderMap) -> Response {
    let nothing = || Problem::absent("this path").into_response();
    if method != Method::GET && method != Method::HEAD {
        return nothing();
    }
    let path = uri.path().trim_start_matches('/');
    if path != INDEX
        && !path.ends_with(".gz")
        && let Some(file) = Built::get(path)
    {
        let cache = if path.starts_with("assets/") { IMMUTABLE } else { ASK_AGAIN };
        return answer(path, file, cache, &headers);
    }
    let first = path.split('/').next().unwrap_or_default();
    if NOT_VIEWS.contains(&first) || !wants_html(&headers) {
        return nothing();
    }
    match Built::get(INDEX) {
        Some(file) => answer(INDEX, file, ASK_AGAIN, &headers),
        None => {
            secured((StatusCode::OK, [(header::CONTENT_TYPE, "text/html; charset=utf-8")], NOT_BUILT).into_response())
        }
    }
}

/// Whether a browser asks for a page, rather than a program for data.
fn wants_html(headers: &HeaderMap) -> bool {
    headers
        .get_all(header::ACCEPT)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .any(|value| value.contains("text/html"))
}

fn answer(path: &str, file: EmbeddedFile, cache: HeaderValue, asked: &HeaderMap) -> Response {
    let tag =
        format!("\"{}\"", file.metadata.sha256_hash().iter().take(16).map(|b| format!("{b:02x}")).collect::<String>());
    let known = asked.get(header::IF_NONE_MATCH).is_some_and(|given| given.as_bytes() == tag.as_bytes());
    let smaller = takes_gzip(asked).then(|| Built::get(&format!("{path}.gz"))).flatten();
    let zipped = smaller.is_some();
    let mut response = if known {
        StatusCode::NOT_MODIFIED.into_response()
    } else {
        let bytes = match smaller.unwrap_or(file).data {
            Cow::Borrowed(bytes) => axum::body::Bytes::from_static(bytes),
            Cow::Owned(bytes) => bytes.into(),
        };
        ([(header::CONTENT_TYPE, HeaderValue::from_static(media_type(path)))], bytes).into_response()
    };
    let headers = response.headers_mut();
    headers.insert(header::CACHE_CONTROL, cache);
    headers.insert(header::VARY, HeaderValue::from_static("accept-encoding"));
    if let Ok(tag) = HeaderValue::from_str(&tag) {
        headers.insert(header::ETAG, tag);
    }
    if zipped && !known {
        headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    }
    secured(response)
}

fn secured(mut response: Response) -> Response {
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_SECURITY_POLICY, CONTENT_SECURITY_POLICY);
    for (name, value) in HEADERS {
        headers.insert(name, HeaderValue::from_static(value));
    }
    response
}

fn takes_gzip(headers: &HeaderMap) -> bool {
    let values = headers.get_all(header::ACCEPT_ENCODING).iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',')).any(|one| {
        let mut parts = one.split(';').map(str::trim);
        parts.next().is_some_and(|name| name.eq_ignore_ascii_case("gzip")) && parts.all(|part| part != "q=0")
    })
}

/// Types of the files that the build makes.
fn media_type(path: &str) -> &'static str {
    match path.rsplit('.').next().unwrap_or_default() {
        "html" => "text/html; charset=utf-8",
        "js" => "text/javascript; charset=utf-8",
        "css" => "text/css; charset=utf-8",
        "svg" => "image/svg+xml",
        "woff2" => "font/woff2",
        _ => "application/octet-stream",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn ask(method: Method, path: &str, accept: &'static str) -> Response {
        let mut headers = HeaderMap::new();
        headers.insert(header::ACCEPT, HeaderValue::from_static(accept));
        fallback(method, path.parse().unwrap(), headers).await
    }

    const BROWSER: &str = "text/html,application/xhtml+xml,*/*;q=0.8";

    #[tokio::test]
    async fn views_are_the_page_and_the_rest_stays_a_problem() {
        for view in ["/", "/runs", "/runs/run_01M82D1707FM9DDSBSW9GFC75S", "/approvals/x", "/sign-in?return_to=/runs"] {
            let response = ask(Method::GET, view, BROWSER).await;
            assert_eq!(response.status(), StatusCode::OK, "{view}");
            assert_eq!(response.headers()[header::CONTENT_TYPE], "text/html; charset=utf-8", "{view}");
        }
        for (method, path, accept) in [
            (Method::GET, "/v1/nothing", BROWSER),
            (Method::GET, "/auth/nothing", BROWSER),
            (Method::GET, "/t/demo/nothing", BROWSER),
            (Method::GET, "/dev/nothing", BROWSER),
            (Method::GET, "/assets/gone.js", BROWSER),
            (Method::GET, "/runs", "application/json"),
            (Method::POST, "/runs", BROWSER),
            (Method::GET, "/../Cargo.toml", "*/*"),
        ] {
            let response = ask(method, path, accept).await;
            assert_eq!(response.status(), StatusCode::NOT_FOUND, "{path}");
            assert_eq!(response.headers()[header::CONTENT_TYPE], "application/problem+json", "{path}");
        }
    }

    #[tokio::test]
    async fn pages_carry_a_strict_policy() {
        let response = ask(Method::GET, "/runs", BROWSER).await;
        let policy = response.headers()[header::CONTENT_SECURITY_POLICY].to_str().unwrap();
        assert!(policy.starts_with("default-src 'none'") && policy.contains("frame-ancestors 'none'"), "{policy}");
        assert!(!policy.contains("unsafe") && !policy.contains("data:") && !policy.contains('*'), "{policy}");
        assert_eq!(response.headers()["x-content-type-options"], "nosniff");
    }

    #[test]
    fn gzip_is_taken_only_when_offered() {
        let with = |value: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::ACCEPT_ENCODING, HeaderValue::from_static(value));
            takes_gzip(&headers)
        };
        assert!(with("gzip, deflate, br") && with("br, GZIP;q=0.5"));
        assert!(!with("br") && !with("gzip;q=0") && !takes_gzip(&HeaderMap::new()));
    }

    #[tokio::test]
    async fn what_is_built_is_served_whole_and_named_by_its_content() {
        for name in Built::iter().filter(|name| !name.ends_with(".gz") && name != INDEX) {
            let response = ask(Method::GET, &format!("/{name}"), "*/*").await;
            assert_eq!(response.status(), StatusCode::OK, "{name}");
            let immutable = response.headers()[header::CACHE_CONTROL] == IMMUTABLE;
            assert_eq!(immutable, name.starts_with("assets/"), "{name}");
            assert_ne!(response.headers()[header::CONTENT_TYPE], "application/octet-stream", "{name}");
        }
    }
}
