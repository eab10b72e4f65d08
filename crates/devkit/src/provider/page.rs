//! The pages of the development provider: plain, without scripts, readable in light and dark.

use crate::Account;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{Html, IntoResponse as _, Response};
use mandate_kernel::{Digest, base64_encode};
use std::fmt::Write as _;

/// The only style; the policy of each page names its digest.
const STYLE: &str = "\
:root{color-scheme:light dark;--ground:#f6f7f9;--card:#fff;--text:#14181f;--soft:#566070;--line:#d5dae2;--accent:#2b50d8;--hover:#eef2ff}\
@media(prefers-color-scheme:dark){:root{--ground:#0e1116;--card:#161b22;--text:#e9edf3;--soft:#9ba6b5;--line:#2e3642;--accent:#8ea8ff;--hover:#1d2534}}\
*{box-sizing:border-box}\
body{margin:0;min-height:100vh;display:grid;place-items:center;padding:1.5rem;background:var(--ground);color:var(--text);\
font:1rem/1.5 system-ui,-apple-system,'Segoe UI',sans-serif}\
main{width:100%;max-width:27rem;padding:2rem;background:var(--card);border:1px solid var(--line);border-radius:14px}\
h1{margin:0 0 .25rem;font-size:1.35rem;line-height:1.3;letter-spacing:-.01em}\
p{margin:0 0 1.25rem;color:var(--soft)}\
form{margin:0}\
ul{list-style:none;margin:0 0 1rem;padding:0;display:grid;gap:.5rem}\
button{width:100%;padding:.7rem .9rem;text-align:left;font:inherit;color:inherit;background:transparent;border:1px solid var(--line);\
border-radius:10px;cursor:pointer}\
button:hover{background:var(--hover);border-color:var(--accent)}\
button:focus-visible,input:focus-visible{outline:3px solid var(--accent);outline-offset:2px}\
button strong{display:block;font-weight:600}\
button span{display:block;color:var(--soft);font-size:.9rem}\
button.plain{text-align:center}\
label{display:block;font-weight:600;margin-bottom:.35rem}\
input{width:100%;padding:.7rem .9rem;margin-bottom:1rem;font:inherit;letter-spacing:.12em;text-transform:uppercase;color:inherit;\
background:transparent;border:1px solid var(--line);border-radius:10px}\
code{font-size:1.15rem;font-weight:600;letter-spacing:.12em;color:var(--text)}";

/// Text as it may stand in an element or a quoted attribute.
pub(super) fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            c => out.push(c),
        }
    }
    out
}

/// A page. `sends_to` is where its form may lead beside here: browsers hold redirects after a form to
/// the same rule.
pub(super) fn page(status: StatusCode, title: &str, body: &str, sends_to: Option<&str>) -> Response {
    let style = base64_encode(Digest::of(STYLE.as_bytes()).as_bytes());
    let policy = format!(
        "default-src 'none'; style-src 'sha256-{style}'; form-action 'self'{}{}; base-uri 'none'; frame-ancestors 'none'",
        if sends_to.is_some() { " " } else { "" },
        sends_to.unwrap_or_default()
    );
    let title = escaped(title);
    let html = format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <title>{title} · Development provider</title>\n<style>{STYLE}</style>\n</head>\n<body>\n<main>\n<h1>{title}</h1>\n{body}\n</main>\n</body>\n</html>\n"
    );
    let mut response = (status, Html(html)).into_response();
    let headers = response.headers_mut();
    for (name, value) in [
        (header::CACHE_CONTROL, "no-store"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::X_FRAME_OPTIONS, "DENY"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    // The origin in it was read from a URL that is registered, so it is a header's text.
    if let Ok(policy) = HeaderValue::from_str(&policy) {
        headers.insert(header::CONTENT_SECURITY_POLICY, policy);
    }
    response
}

/// A page that says what is wrong, for what must not be sent back to a client.
pub(super) fn wrong(why: &str) -> Response {
    page(StatusCode::BAD_REQUEST, "This can't go on", &format!("<p>{}</p>", escaped(why)), None)
}

/// A page that says something and asks nothing.
pub(super) fn told(title: &str, what: &str) -> Response {
    page(StatusCode::OK, title, &format!("<p>{}</p>", escaped(what)), None)
}

/// Fields of a form that nobody sees.
pub(super) fn hidden(fields: &[(&str, &str)]) -> String {
    let mut html = String::new();
    for (name, value) in fields {
        // Writing to a String can't fail.
        let _ = write!(html, "<input type=\"hidden\" name=\"{}\" value=\"{}\">", escaped(name), escaped(value));
    }
    html
}

/// One button for each account, and one for none of them.
pub(super) fn choices(accounts: &[&Account]) -> String {
    let mut html = String::from("<ul>");
    for account in accounts {
        let (name, description) = (escaped(account.name), escaped(account.description));
        let _ = write!(
            html,
            "<li><button name=\"account\" value=\"{name}\"><strong>{name}</strong><span>{description}</span></button></li>"
        );
    }
    html.push_str("</ul><button class=\"plain\" name=\"cancel\" value=\"yes\">Cancel</button>");
    html
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_breaks_out_of_the_page() {
        let field = hidden(&[("state", "\"><script>alert('x')</script>&")]);
        assert_eq!(
            field,
            "<input type=\"hidden\" name=\"state\" value=\"&quot;&gt;&lt;script&gt;alert(&#39;x&#39;)&lt;/script&gt;&amp;\">"
        );
    }
}
