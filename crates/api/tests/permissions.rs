//! The golden permission table: which endpoint asks for what, and which role may. `permissions.txt` is
//! compared as it is, `docs/permissions.md` is the same for readers. `MANDATE_BLESS=1` writes both anew.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test ends where its setting fails")]

use mandate_api::endpoint_table;
use mandate_kernel::Action;
use mandate_policy::role_table;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::Path;

/// Actions that no endpoint asks for by itself, and who does.
const ASKED_INSIDE: &[(Action, &str)] = &[
    (Action::FunctionCall, "asked by the engine for each attempt at a step, in the Worker's name, before its effect"),
    (
        Action::WorkerShare,
        "asked by apply for a role binding on one Worker that gives runner, viewer, editor or approver",
    ),
    (
        Action::StateRelease,
        "asked by `mandate release` beside no server, of whom its token names, before a state works again",
    ),
];

/// What the door for events asks: an `EventSource` names who may send, and what an event leads to is judged there.
const SENDER: &str = "sender of an event source";

/// One line of the table of endpoints.
struct Line {
    method: String,
    path: String,
    asks: String,
}

fn endpoints() -> Vec<Line> {
    let table = endpoint_table();
    let lines = table.lines().map(|line| {
        let (method, rest) = line.split_once(' ').unwrap();
        let (path, asks) = rest.trim_start().split_once(' ').unwrap();
        Line { method: method.to_owned(), path: path.to_owned(), asks: asks.trim_start().to_owned() }
    });
    lines.collect()
}

/// The actions that a line asks for; none for one that asks for a signed-in caller or for nobody.
fn actions(line: &Line) -> BTreeSet<Action> {
    if ["public", "signed in; filtered", SENDER].contains(&line.asks.as_str()) {
        return BTreeSet::new();
    }
    let named = |text: &str| Action::ALL.iter().copied().find(|action| action.as_str() == text);
    line.asks.split(" or ").map(|text| named(text).unwrap_or_else(|| panic!("{text} is no action"))).collect()
}

fn as_text() -> String {
    let mut text = format!("# Endpoints: what each asks of its caller\n{}", endpoint_table());
    text.push_str("\n# Asked inside: actions that no endpoint asks for\n");
    for (action, why) in ASKED_INSIDE {
        writeln!(text, "{:<17} {why}", action.as_str()).unwrap();
    }
    write!(text, "\n# Roles: what each may do, held alone\n{}", role_table().unwrap()).unwrap();
    text
}

fn row(cells: impl IntoIterator<Item = String>) -> String {
    format!("| {} |\n", cells.into_iter().collect::<Vec<_>>().join(" | "))
}

fn code(text: &str) -> String {
    format!("`{text}`")
}

fn as_markdown() -> String {
    let mut page = String::from(
        "# Who may do what\n\nMade by `MANDATE_BLESS=1 cargo test -p mandate-api --test permissions` from the router's table and \
         the built-in\npolicies; a test compares it. A tenant's own policies may forbid more, or permit more except what \
         `isolation` forbids.\n\n## Endpoints\n\n",
    );
    page += "| Method | Path | Asks for |\n|---|---|---|\n";
    for line in endpoints() {
        let asked = actions(&line);
        let asks = if asked.is_empty() {
            line.asks
        } else {
            line.asks.split(" or ").map(code).collect::<Vec<_>>().join(" or ")
        };
        page += &row([line.method, code(&line.path), asks]);
    }
    page += "\n*Public* asks for nothing. *Signed in; filtered* shows a caller only what they may see. \
             *Sender of an event source*:\nan `EventSource` names them.\n";
    page += "\n## Asked inside\n\nActions that no endpoint asks for.\n\n| Action | Why |\n|---|---|\n";
    for (action, why) in ASKED_INSIDE {
        page += &row([code(action.as_str()), (*why).to_owned()]);
    }
    page += "\n## Roles\n\nWhat each role may do when it is held alone: *yes*, *if* (it depends on more: whose run it is, \
             whether a step is\nwithin its authority), or nothing.\n\n";
    let table = role_table().unwrap();
    for (number, line) in table.lines().enumerate() {
        let cells: Vec<&str> = line.split_whitespace().collect();
        page += &row(cells.iter().enumerate().map(|(column, cell)| match (number, column, *cell) {
            (1.., 1, action) => code(action),
            (1.., _, "allow") => "yes".to_owned(),
            (1.., _, "-") => String::new(),
            (_, _, other) => other.to_owned(),
        }));
        if number == 0 {
            page += &format!("|{}\n", "---|".repeat(cells.len()));
        }
    }
    page
}

/// Compares a golden file, or writes it when blessed.
fn check(path: &Path, expect: &str) {
    if std::env::var_os("MANDATE_BLESS").is_some() {
        std::fs::write(path, expect).unwrap();
    }
    let golden = std::fs::read_to_string(path).unwrap_or_default();
    let why = "who may do what has changed: read the difference, then MANDATE_BLESS=1";
    assert_eq!(golden, expect, "{}: {why}", path.display());
}

#[test]
fn the_table_is_what_router_and_policies_say() {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    check(&here.join("tests/permissions.txt"), &as_text());
    check(&here.join("../../docs/permissions.md"), &as_markdown());
}

#[test]
fn every_action_is_asked_for_somewhere() {
    let by_endpoints: BTreeSet<Action> = endpoints().iter().flat_map(actions).collect();
    let inside: BTreeMap<Action, &str> = ASKED_INSIDE.iter().copied().collect();
    assert_eq!(inside.len(), ASKED_INSIDE.len(), "an action is listed twice");
    for action in Action::ALL {
        match (by_endpoints.contains(action), inside.get(action)) {
            (true, None) => {}
            (false, Some(why)) => assert!(why.len() > 20, "{action}: say who asks for it"),
            (false, None) => {
                panic!("no endpoint asks for {action}: it protects nothing, or ASKED_INSIDE should say who asks")
            }
            (true, Some(_)) => panic!("{action} has an endpoint now: take it off ASKED_INSIDE"),
        }
    }
}

#[test]
fn every_endpoint_has_one_line_and_every_action_a_row() {
    let text = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/permissions.txt")).unwrap();
    let mut seen = BTreeSet::new();
    for line in endpoints() {
        let begins = |listed: &str| listed.split_whitespace().take(2).eq([line.method.as_str(), line.path.as_str()]);
        assert_eq!(text.lines().filter(|listed| begins(listed)).count(), 1, "{} {}", line.method, line.path);
        assert!(seen.insert((line.method, line.path)), "an endpoint is there twice");
    }
    for action in Action::ALL {
        let is_row =
            |line: &str| line.split_whitespace().take(2).eq([action.resource_kind().as_str(), action.as_str()]);
        assert_eq!(text.lines().filter(|line| is_row(line)).count(), 1, "{action}");
    }
}

/// What changes something, or shows one thing, asks for an action; only a filtered list may do with less.
#[test]
fn nothing_but_reading_is_free() {
    for line in endpoints() {
        let free = actions(&line).is_empty();
        assert!(
            !free
                || line.method == "GET"
                || line.path == "/auth/logout"
                || [line.asks.as_str(), line.path.as_str()] == [SENDER, "/v1/events"],
            "{} {} changes something and asks for no action",
            line.method,
            line.path
        );
        let public = [
            "/livez",
            "/readyz",
            "/v1/openapi.json",
            "/t/{tenant}/.well-known/jwks.json",
            "/auth/tenants",
            "/auth/login",
            "/auth/callback",
        ]
        .contains(&line.path.as_str());
        assert_eq!(line.asks == "public", public, "{} {}", line.method, line.path);
    }
}

/// The table is the whole router: no route of this crate is added beside it.
#[test]
fn no_route_goes_round_the_table() {
    let mut folders = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join("src")];
    let mut routes = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let text = std::fs::read_to_string(&path).unwrap();
            for adds in [".route(", ".route_service(", ".nest(", ".nest_service(", ".merge("] {
                routes.extend(text.matches(adds).map(|adds| format!("{} {adds}", path.display())));
            }
        }
    }
    assert!(matches!(routes.as_slice(), [one] if one.ends_with("endpoints.rs .route(")), "{routes:?}");
}
