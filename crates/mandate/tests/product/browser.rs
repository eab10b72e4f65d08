//! A browser as far as sign-in needs one: cookies by host, redirects one at a time, forms with buttons.

use crate::house::House;
use crate::house::http::{self, Reply};
use std::collections::BTreeMap;

/// A browser. It knows no ports, as cookies don't.
#[derive(Debug, Clone, Default)]
pub(crate) struct Browser {
    cookies: BTreeMap<String, String>,
}

impl Browser {
    pub(crate) fn get(&mut self, url: &str) -> Reply {
        self.send("GET", url, &[], None)
    }

    /// A request as a page would make it, with the browser's cookies.
    pub(crate) fn send(&mut self, method: &str, url: &str, headers: &[(&str, &str)], body: Option<&[u8]>) -> Reply {
        let cookies = self.cookies.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join("; ");
        let mut all = headers.to_vec();
        if !cookies.is_empty() {
            all.push(("cookie", &cookies));
        }
        let reply = http::send(method, url, &all, body).unwrap();
        for (_, line) in reply.headers.iter().filter(|(name, _)| name == "set-cookie") {
            let (pair, attributes) = line.split_once(';').unwrap();
            let (name, value) = pair.split_once('=').unwrap();
            if attributes.contains("Max-Age=0") {
                self.cookies.remove(name);
            } else {
                self.cookies.insert(name.to_owned(), value.to_owned());
            }
        }
        reply
    }

    /// The cookie whose name begins so.
    pub(crate) fn cookie(&self, begins: &str) -> Option<(String, String)> {
        self.cookies.iter().find(|(name, _)| name.starts_with(begins)).map(|(n, v)| (n.clone(), v.clone()))
    }

    pub(crate) fn set_cookie(&mut self, name: &str, value: &str) {
        self.cookies.insert(name.to_owned(), value.to_owned());
    }

    /// Presses a button of the page's form; gives where the browser is sent, or the page that came.
    pub(crate) fn press(&mut self, page_url: &str, page: &Reply, button: (&str, &str)) -> Reply {
        let html = String::from_utf8(page.body.clone()).unwrap();
        let wanted = format!("<button name=\"{}\" value=\"{}\">", button.0, button.1);
        let plain = format!("<button class=\"plain\" name=\"{}\" value=\"{}\">", button.0, button.1);
        assert!(html.contains(&wanted) || html.contains(&plain), "no such button {button:?}: {html}");
        let mut fields = hidden(&html);
        fields.push((button.0.to_owned(), button.1.to_owned()));
        let action = html.split("action=\"").nth(1).unwrap().split('"').next().unwrap();
        let origin = page_url.splitn(4, '/').take(3).collect::<Vec<_>>().join("/");
        let headers = [("content-type", "application/x-www-form-urlencoded"), ("origin", origin.as_str())];
        self.send("POST", &format!("{origin}{action}"), &headers, Some(form(&fields).as_bytes()))
    }

    /// Goes to the tenant's provider and chooses an account; gives the callback's URL, not yet visited.
    pub(crate) fn choose(&mut self, server: &str, tenant: &str, account: &str, return_to: &str) -> String {
        let sent = self.get(&format!("{server}/auth/login?tenant={tenant}&return_to={return_to}"));
        assert_eq!(sent.status, 303, "{sent:?}");
        let url = sent.header("location").unwrap().to_owned();
        let page = self.get(&url);
        assert_eq!(page.status, 200, "{page:?}");
        let back = self.press(&url, &page, ("account", account));
        assert_eq!(back.status, 303, "{back:?}");
        back.header("location").unwrap().to_owned()
    }

    /// Signs in; gives the csrf token.
    pub(crate) fn sign_in(&mut self, house: &House, tenant: &str, account: &str) -> String {
        let callback = self.choose(house.url(), tenant, account, "/");
        let done = self.get(&callback);
        assert_eq!(done.status, 303, "{done:?}");
        let session = self.get(&format!("{}/v1/session", house.url()));
        session.json()["csrf"].as_str().unwrap().to_owned()
    }
}

/// The hidden fields of a page's form.
pub(crate) fn hidden(html: &str) -> Vec<(String, String)> {
    let plain = |text: &str| {
        text.replace("&lt;", "<")
            .replace("&gt;", ">")
            .replace("&quot;", "\"")
            .replace("&#39;", "'")
            .replace("&amp;", "&")
    };
    html.split("<input type=\"hidden\" ")
        .skip(1)
        .map(|rest| {
            let mut quoted = rest.split('"');
            let (name, value) = (quoted.nth(1).unwrap(), quoted.nth(1).unwrap());
            (plain(name), plain(value))
        })
        .collect()
}

/// A form's text.
pub(crate) fn form(fields: &[(String, String)]) -> String {
    let encoded = |text: &str| -> String {
        let plain = |b: u8| b.is_ascii_alphanumeric() || b"-_.~".contains(&b);
        text.bytes().map(|b| if plain(b) { char::from(b).to_string() } else { format!("%{b:02X}") }).collect()
    };
    fields.iter().map(|(name, value)| format!("{}={}", encoded(name), encoded(value))).collect::<Vec<_>>().join("&")
}

/// A parameter of a URL's query, decoded.
pub(crate) fn parameter(url: &str, name: &str) -> Option<String> {
    let query = url.split_once('?')?.1;
    let value = query.split('&').find_map(|pair| pair.strip_prefix(&format!("{name}=")))?;
    let (mut out, mut bytes) = (Vec::new(), value.bytes());
    while let Some(byte) = bytes.next() {
        out.push(match byte {
            b'+' => b' ',
            b'%' => {
                let digits = [bytes.next()?, bytes.next()?];
                u8::from_str_radix(std::str::from_utf8(&digits).ok()?, 16).ok()?
            }
            other => other,
        });
    }
    String::from_utf8(out).ok()
}

/// The URL with one parameter changed.
pub(crate) fn with_parameter(url: &str, name: &str, value: &str) -> String {
    let (base, query) = url.split_once('?').unwrap();
    let pairs = query.split('&').map(|pair| match pair.split_once('=') {
        Some((found, _)) if found == name => format!("{name}={value}"),
        _ => pair.to_owned(),
    });
    format!("{base}?{}", pairs.collect::<Vec<_>>().join("&"))
}
