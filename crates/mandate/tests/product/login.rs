//! `mandate login` both ways, with the test as the browser, and what is kept of it.

use super::browser::Browser;
use crate::house::House;
use crate::house::process::{Ran, mandate, run};
use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Read};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStderr, Stdio};

struct Terminal {
    url: String,
    config: PathBuf,
}

/// A `mandate login` under way.
struct Login {
    child: Child,
    err: BufReader<ChildStderr>,
}

impl Terminal {
    fn new(house: &House) -> Self {
        Self { url: house.url().to_owned(), config: house.beside("config") }
    }

    fn run(&self, args: &[&str]) -> Ran {
        run(mandate().env("MANDATE_URL", &self.url).env("MANDATE_CONFIG_DIR", &self.config).args(args))
    }

    fn login(&self, args: &[&str]) -> Login {
        let mut command = mandate();
        command.env("MANDATE_URL", &self.url).env("MANDATE_CONFIG_DIR", &self.config);
        command.args(["login", "-o", "json"]).args(args);
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let err = BufReader::new(child.stderr.take().unwrap());
        Login { child, err }
    }

    /// The one file that is kept.
    fn file(&self) -> Option<PathBuf> {
        let all = std::fs::read_dir(self.config.join("signed-in")).ok()?;
        let mut files = all.map(|entry| entry.unwrap().path()).filter(|path| path.extension().is_some());
        let found = files.next();
        assert!(files.next().is_none());
        found
    }

    fn kept(&self) -> Value {
        serde_json::from_slice(&std::fs::read(self.file().unwrap()).unwrap()).unwrap()
    }

    fn keep(&self, change: impl FnOnce(&mut Value)) {
        let mut kept = self.kept();
        change(&mut kept);
        std::fs::write(self.file().unwrap(), kept.to_string()).unwrap();
    }

    fn is_signed_in(&self) -> Ran {
        self.run(&["runs", "list", "-o", "json"])
    }
}

impl Login {
    /// The next line it says, and in it what comes after a word.
    fn says(&mut self, after: &str) -> String {
        let mut line = String::new();
        self.err.read_line(&mut line).unwrap();
        line.split_once(after).unwrap_or_else(|| panic!("{line}")).1.trim().to_owned()
    }

    fn ends(mut self, code: i32) -> Ran {
        let mut ran = Ran { code: 0, stdout: String::new(), stderr: String::new() };
        self.child.stdout.take().unwrap().read_to_string(&mut ran.stdout).unwrap();
        self.err.read_to_string(&mut ran.stderr).unwrap();
        ran.code = self.child.wait().unwrap().code().unwrap_or(-1);
        ran.exits(code)
    }
}

impl Drop for Login {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn mode(path: &Path) -> u32 {
    std::fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[test]
fn by_a_browser() {
    let house = House::start();
    let terminal = Terminal::new(&house);
    let refused = terminal.is_signed_in().exits(2);
    assert!(refused.stderr.contains("mandate login"), "{refused:?}");
    let which = terminal.run(&["login"]).exits(2);
    assert!(which.stderr.contains("demo, other"), "{which:?}");
    terminal.run(&["login", "--tenant", "nobody"]).exits(2);

    let mut login = terminal.login(&["--tenant", "demo"]);
    let to = login.says("browser at ");
    assert!(to.contains("code_challenge_method=S256") && !to.contains("token"), "{to}");
    let mut browser = Browser::default();
    let page = browser.get(&to);
    let back = browser.press(&to, &page, ("account", "finance-lead"));
    let callback = back.header("location").unwrap().to_owned();
    // Whoever guesses the port, but not the state, changes nothing.
    let (base, _) = callback.split_once('?').unwrap();
    for query in ["", "?code=x&state=y", "?error=access_denied"] {
        assert_eq!(browser.get(&format!("{base}{query}")).status, 400, "{query}");
    }
    assert_eq!(browser.get(&callback).status, 200);
    let told = login.ends(0).json();
    assert_eq!((&told["subject"], &told["tenant"]), (&json!("user:finance-lead"), &json!("demo")));
    assert_eq!((mode(&terminal.file().unwrap()), mode(&terminal.config.join("signed-in"))), (0o600, 0o700));
    terminal.is_signed_in().exits(0);
    // What is said explicitly goes first, and a file is for its server alone.
    let token = house.token("auditor");
    let explicit = run(mandate()
        .env("MANDATE_URL", &terminal.url)
        .env("MANDATE_CONFIG_DIR", &terminal.config)
        .env("MANDATE_TOKEN", token)
        .args(["audit", "search", "--limit", "1", "-o", "json"]));
    explicit.exits(0);
    let other = format!("http://localhost:{}", house.port());
    terminal.run(&["runs", "list", "--url", &other]).exits(2);

    let file = terminal.file().unwrap();
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o644)).unwrap();
    let open = terminal.is_signed_in().exits(2);
    assert!(open.stderr.contains("can be read by others"), "{open:?}");
    assert_eq!(terminal.run(&["logout", "-o", "json"]).exits(0).json()["was_signed_in"], true);
    assert!(terminal.file().is_none());
    terminal.is_signed_in().exits(2);
    assert_eq!(terminal.run(&["logout", "-o", "json"]).exits(0).json()["was_signed_in"], false);
}

#[test]
fn saying_no_at_the_provider_signs_nobody_in() {
    let house = House::start();
    let terminal = Terminal::new(&house);
    let mut login = terminal.login(&["--tenant", "demo"]);
    let to = login.says("browser at ");
    let mut browser = Browser::default();
    let page = browser.get(&to);
    let back = browser.press(&to, &page, ("cancel", "yes"));
    assert_eq!(browser.get(back.header("location").unwrap()).status, 200);
    let ran = login.ends(2);
    assert!(ran.stderr.contains("access_denied"), "{ran:?}");
    assert!(terminal.file().is_none());
}

#[test]
fn by_a_device_code_and_renewed_until_it_is_not() {
    let house = House::start();
    let terminal = Terminal::new(&house);
    let mut login = terminal.login(&["--tenant", "other", "--device"]);
    let code = login.says("enter the code ");
    assert_eq!((code.len(), code.as_bytes()[4]), (9, b'-'));
    let complete = login.says("open ");
    let mut browser = Browser::default();
    // Without the code the page asks for it; a wrong one finds nothing.
    let bare = complete.split('?').next().unwrap();
    assert!(String::from_utf8(browser.get(bare).body).unwrap().contains("name=\"user_code\""));
    let wrong = String::from_utf8(browser.get(&format!("{bare}?user_code=BBBB-BBBB")).body).unwrap();
    assert!(wrong.contains("role=\"alert\""), "{wrong}");
    let page = browser.get(&complete);
    assert_eq!(browser.press(&complete, &page, ("account", "other-admin")).status, 200);
    assert_eq!(login.ends(0).json()["subject"], "user:other-admin");
    terminal.is_signed_in().exits(0);

    // Late, it is renewed by the refresh token, which changes with it.
    let first = terminal.kept();
    terminal.keep(|kept| kept["expires_at"] = json!(1));
    terminal.is_signed_in().exits(0);
    let second = terminal.kept();
    assert_ne!(first["refresh_token"], second["refresh_token"]);
    assert_ne!(first["access_token"], second["access_token"]);
    // A token that the server does not take is renewed too, once.
    terminal.keep(|kept| kept["access_token"] = json!("a.b.c"));
    terminal.is_signed_in().exits(0);
    // Of several commands at once one renews it.
    terminal.keep(|kept| kept["expires_at"] = json!(1));
    std::thread::scope(|scope| {
        let all: Vec<_> = (0..4).map(|_| scope.spawn(|| terminal.is_signed_in().exits(0))).collect();
        all.into_iter().for_each(|one| drop(one.join().unwrap()));
    });
    // A refresh token that was used is no good, and no secret is told.
    let used = second["refresh_token"].clone();
    terminal.keep(|kept| (kept["expires_at"], kept["refresh_token"]) = (json!(1), used.clone()));
    let over = terminal.is_signed_in().exits(2);
    assert!(over.stderr.contains("sign in again"), "{over:?}");
    assert!(!over.stderr.contains(used.as_str().unwrap()));
    std::fs::write(terminal.file().unwrap(), "{").unwrap();
    terminal.is_signed_in().exits(2);
    terminal.run(&["logout"]).exits(0);

    let mut login = terminal.login(&["--tenant", "demo", "--device"]);
    login.says("enter the code ");
    let complete = login.says("open ");
    let page = browser.get(&complete);
    browser.press(&complete, &page, ("cancel", "yes"));
    let ran = login.ends(2);
    assert!(ran.stderr.contains("access_denied"), "{ran:?}");
}
