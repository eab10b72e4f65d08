//! Who may ask the development provider for tokens: two public clients.

/// The platform's pages, where people sign in by a browser.
pub const CONSOLE_CLIENT: &str = "mandate-console";

/// The platform's command line.
pub const CLI_CLIENT: &str = "mandate-cli";

/// Where a client may be sent back to.
pub(super) enum Redirect {
    /// To this URL, byte by byte.
    Exact(String),
    /// To `/callback` on a loopback address, whatever the port (RFC 8252 §7.3).
    Loopback,
}

/// A public client: it has no secret, and proves by PKCE that it asked itself.
pub(super) struct Client {
    pub(super) id: &'static str,
    /// What people are told it is.
    pub(super) name: &'static str,
    pub(super) redirect: Redirect,
    /// Whether it may use the device grant, and be given refresh tokens.
    pub(super) native: bool,
}

impl Client {
    /// Both clients, for a platform at this URL.
    pub(super) fn all(platform: &str) -> [Self; 2] {
        let callback = format!("{}/auth/callback", platform.trim_end_matches('/'));
        [
            Self { id: CONSOLE_CLIENT, name: "Mandate", redirect: Redirect::Exact(callback), native: false },
            Self { id: CLI_CLIENT, name: "the command line of Mandate", redirect: Redirect::Loopback, native: true },
        ]
    }

    /// Whether it may be sent back to this URL.
    pub(super) fn may_return_to(&self, url: &str) -> bool {
        match &self.redirect {
            Redirect::Exact(registered) => registered == url,
            Redirect::Loopback => is_loopback_callback(url),
        }
    }
}

/// `http://127.0.0.1:PORT/callback` or the same with `[::1]`, and nothing that only looks like it.
fn is_loopback_callback(url: &str) -> bool {
    let port = ["http://127.0.0.1:", "http://[::1]:"].iter().find_map(|host| url.strip_prefix(host));
    port.and_then(|rest| rest.strip_suffix("/callback")).is_some_and(|port| {
        (1..=5).contains(&port.len())
            && port.parse::<u16>().is_ok_and(|number| number > 0 && number.to_string() == port)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_registered_places_are_returned_to() {
        let [console, cli] = Client::all("http://127.0.0.1:8420");
        assert!(console.may_return_to("http://127.0.0.1:8420/auth/callback"));
        for bad in [
            "http://127.0.0.1:8420/auth/callback/",
            "http://127.0.0.1:8420/auth/callback?x=1",
            "http://127.0.0.1:8421/auth/callback",
            "http://127.0.0.1:8420@evil.example/auth/callback",
            "http://localhost:8420/auth/callback",
            "http://127.0.0.1:9/callback",
        ] {
            assert!(!console.may_return_to(bad), "{bad}");
        }
        for good in ["http://127.0.0.1:9/callback", "http://[::1]:65535/callback"] {
            assert!(cli.may_return_to(good), "{good}");
        }
        for bad in [
            "http://127.0.0.1/callback",
            "http://127.0.0.1:/callback",
            "http://127.0.0.1:0/callback",
            "http://127.0.0.1:070/callback",
            "http://127.0.0.1:99999/callback",
            "http://127.0.0.1:80@evil.example/callback",
            "http://127.0.0.1:80/x/callback",
            "http://127.0.0.1:80/callback#x",
            "https://127.0.0.1:80/callback",
            "http://localhost:80/callback",
            "http://evil.example/callback",
        ] {
            assert!(!cli.may_return_to(bad), "{bad}");
        }
    }
}
