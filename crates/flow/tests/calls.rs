//! What calls by protocol ask for, where their credentials come from, and what a document tells of itself.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::indexing_slicing,
    reason = "helpers of tests"
)]
#![allow(dead_code, reason = "each test file uses its part of what they share")]

mod common;

use common::compile;
use mandate_flow::{Cron, EventStrategy, Need, Predicate, ReadAs};
use mandate_kernel::{Duration, Timestamp};
use serde_json::{Value, json};

/// The function and arguments of the one call of a document, on `input`.
fn asked(document: &str, input: Value) -> (String, Value) {
    let seen = common::run(document, input, vec![Ok(json!(null))]);
    let (function, rest) = seen[0].strip_prefix("call ").unwrap_or_else(|| panic!("{seen:?}")).split_once(' ').unwrap();
    let (arguments, _) = rest.rsplit_once(" at /").unwrap();
    (function.to_owned(), serde_json::from_str(arguments).unwrap())
}

fn asks(document: &str, input: Value, function: &str, arguments: Value) {
    assert_eq!(asked(document, input), (function.to_owned(), arguments), "{document}");
}

fn with_head(document: &str) -> String {
    format!("document: {{dsl: '1.0.3', namespace: t, name: t, version: '1.0.0'}}\n{document}")
}

#[test]
fn http_is_asked_for_in_one_form() {
    asks(
        "do: [{a: {call: http, with: {method: get, endpoint: 'https://h.example/pets/{id}?q={q}'}}}]",
        json!({"id": "a/b", "q": 3}),
        "http",
        json!({
            "method": "GET", "endpoint": {"uri": "https://h.example/pets/a%2Fb?q=3"}, "output": "content", "redirect": false,
        }),
    );
    asks(
        "do: [{a: {call: http, with: {method: post, endpoint: {uri: '${ .to }'}, headers: {accept: x}, query: {n: '${ .n }', all: true}, body: {v: '${ .n }'}, output: response, redirect: true}}}]",
        json!({"to": "https://h.example", "n": "1"}),
        "http",
        json!({
            "method": "POST", "endpoint": {"uri": "https://h.example"}, "headers": {"accept": "x"},
            "query": {"n": "1", "all": true}, "body": {"v": "1"}, "output": "response", "redirect": true,
        }),
    );
}

/// The value of an expression never brings a slot of its own.
#[test]
fn an_endpoint_from_data_is_no_authentication() {
    let forged = json!({"uri": "https://h.example", "authentication": {"scheme": "bearer", "secret": "other"}});
    let (_, arguments) =
        asked("do: [{a: {call: http, with: {method: get, endpoint: '${ .to }'}}}]", json!({"to": forged}));
    assert_eq!(arguments["endpoint"].as_object().unwrap().keys().collect::<Vec<_>>(), ["uri"]);
    assert!(arguments["endpoint"]["uri"].is_object(), "the connector takes a text alone");
}

#[test]
fn the_other_protocols_are_asked_for_in_one_form() {
    asks(
        "do: [{a: {call: openapi, with: {document: {endpoint: 'https://h.example/o.json'}, operationId: find, parameters: {s: '${ .s }'}}}}]",
        json!({"s": 1}),
        "openapi",
        json!({
            "document": {"endpoint": {"uri": "https://h.example/o.json"}}, "operationId": "find", "parameters": {"s": 1},
            "output": "content", "redirect": false,
        }),
    );
    asks(
        "do: [{a: {call: grpc, with: {proto: {endpoint: 'file://app/g.proto'}, service: {name: G.Greeter, host: localhost, port: 5011}, method: Hi, arguments: {n: '${ .n }'}}}}]",
        json!({"n": "x"}),
        "grpc",
        json!({
            "proto": {"endpoint": {"uri": "file://app/g.proto"}}, "method": "Hi", "arguments": {"n": "x"},
            "service": {"name": "G.Greeter", "host": "localhost", "port": 5011},
        }),
    );
    let (function, arguments) = asked(
        "do: [{a: {call: asyncapi, with: {document: {endpoint: 'https://h.example/a.json'}, channel: c, subscription: {filter: '${ .user == $input.user }', consume: {for: PT1M, amount: 5}}}}}]",
        json!({"user": "ann"}),
    );
    assert_eq!(function, "asyncapi");
    assert_eq!(arguments["subscription"]["consume"], json!({"for": {"milliseconds": 60_000}, "amount": 5}));
    let filter = Predicate::of(&arguments["subscription"]["filter"]).unwrap();
    assert_eq!(filter.holds(&json!({"user": "ann"})), Ok(true));
    assert_eq!(filter.holds(&json!({"user": "bob"})), Ok(false));
}

const PET: &str = "method: get, endpoint: {uri: 'https://h.example', authentication: ";

#[test]
fn an_authentication_is_a_static_slot() {
    let uses = "use: {secrets: [s], authentications: {named: {basic: {use: s}}, plain: {digest: {username: u, password: '${ $secrets.s }'}}}}";
    for (policy, slot) in [
        ("{use: named}", json!({"scheme": "basic", "use": "named", "secret": "s"})),
        ("{use: plain}", json!({"scheme": "digest", "use": "plain", "secret": "s", "username": "u"})),
        ("{bearer: {token: '${ $secrets.s }'}}", json!({"scheme": "bearer", "secret": "s"})),
        ("{oidc: {use: s}}", json!({"scheme": "oidc", "secret": "s"})),
        (
            "{oauth2: {authority: 'https://i.example', grant: client_credentials, client: {id: c, secret: '${ $secrets.s }'}, scopes: [r], endpoints: {token: /t}}}",
            json!({
                "scheme": "oauth2", "secret": "s", "fills": "clientSecret", "authority": "https://i.example", "grant": "client_credentials",
                "client": {"id": "c"}, "scopes": ["r"], "endpoints": {"token": "/t"},
            }),
        ),
    ] {
        let document = format!("{uses}\ndo: [{{a: {{call: http, with: {{{PET}{policy}}}}}}}}}]");
        let (_, arguments) = asked(&document, json!({}));
        assert_eq!(arguments["endpoint"]["authentication"], slot, "{policy}");
        let program = compile(&with_head(&document));
        assert_eq!(program.secrets().iter().collect::<Vec<_>>(), ["s"]);
        let [told] = program.authentications() else { panic!("{policy}") };
        assert_eq!(told.pointer, "/do/0/a/with/endpoint/authentication");
        assert_eq!((told.scheme, told.supplied), (slot["scheme"].as_str().unwrap(), false));
        assert!(program.needs().is_empty());
    }
}

#[test]
fn a_credential_from_data_is_told_and_needs_a_switch() {
    let document = format!(
        "do: [{{a: {{call: http, with: {{{PET}{{basic: {{username: '${{ .u }}', password: '${{ .p }}'}}}}}}}}}}}}]"
    );
    let (_, arguments) = asked(&document, json!({"u": "ann", "p": "x"}));
    assert_eq!(
        arguments["endpoint"]["authentication"],
        json!({"scheme": "basic", "supplied": {"username": "ann", "password": "x"}})
    );
    let program = compile(&with_head(&document));
    assert_eq!(program.needs().iter().collect::<Vec<_>>(), [&Need::CallerSuppliedCredentials]);
    assert!(program.authentications()[0].supplied && program.secrets().is_empty());
    let header = "do: [{a: {call: http, with: {method: get, endpoint: 'https://h.example', headers: {Authorization: '${ .t }'}}}}]";
    assert_eq!(compile(&with_head(header)).needs().len(), 1);
    for need in Need::ALL {
        assert!(!need.switch().is_empty());
    }
}

#[test]
fn secrets_fill_a_slot_as_a_whole_and_are_declared() {
    for (policy, code) in [
        ("{basic: {username: '${ $secrets.u }', password: '${ $secrets.p }'}}", "flow.authentication"),
        ("{basic: {username: '${ .u }', password: '${ $secrets.p }'}}", "flow.authentication"),
        ("{bearer: {token: '${ $secrets.x }'}}", "flow.reference"),
        ("{bearer: {token: '${ $secrets.p + \"x\" }'}}", "flow.reference"),
        ("{bearer: {token: '${ \"Bearer \\($secrets.p)\" }'}}", "flow.secrets"),
        ("{bearer: {token: literal}}", "flow.credential"),
        (
            "{oauth2: {authority: 'https://i.example', grant: client_credentials, client: {secret: '${ $secrets.u }'}, subject: {token: '${ $secrets.p }', type: t}}}",
            "flow.authentication",
        ),
        ("{bearer: {use: p}, basic: {use: p}}", "flow.authentication"),
        ("{oauth2: {authority: 'https://i.example', grant: authorization_code}}", "flow.unsupported"),
        ("{oauth2: {authority: '${ .x }', grant: client_credentials}}", "flow.unsupported"),
    ] {
        let document =
            with_head(&format!("use: {{secrets: [u, p]}}\ndo: [{{a: {{call: http, with: {{{PET}{policy}}}}}}}}}]"));
        let found = mandate_flow::Program::from_yaml("w.yaml", &document).unwrap_err();
        assert!(found.as_slice().iter().any(|d| d.code == code), "{policy}: {found}");
    }
}

#[test]
fn a_function_of_the_document_runs_in_the_place_of_its_call() {
    let document = "
use:
  functions:
    pet:
      input: {schema: {document: {type: object, required: [id]}}}
      call: http
      with: {method: get, endpoint: 'https://h.example/{id}'}
      output: {as: .name}
do: [{a: {call: pet, with: {id: '${ .n }'}}}]";
    let seen = common::run(document, json!({"n": 7}), vec![Ok(json!({"name": "Rex"}))]);
    assert!(seen[0].contains("https://h.example/7"), "{seen:?}");
    assert_eq!(seen[1], "complete \"Rex\"");
    let seen = common::run(&document.replace("{id: '${ .n }'}", "{}"), json!({"n": 7}), vec![]);
    assert!(seen[0].starts_with("fault validation 400"), "{seen:?}");
    let program = compile(&with_head(document.trim()));
    assert_eq!(program.functions().iter().map(|f| f.as_str().to_owned()).collect::<Vec<_>>(), ["http"]);
}

#[test]
fn definitions_are_used_by_name() {
    let document = "
use:
  errors: {gone: {type: 'https://x.example/gone', status: 410, detail: '${ \"no \\(.id)\" }'}}
  retries: {twice: {delay: PT2S, limit: {attempt: {count: 2}}}}
do:
  - a: {try: [{b: {raise: {error: gone}}}], catch: {as: e, retry: twice, do: [{c: {set: {d: '${ $e.detail }'}}}]}}";
    let seen = common::run(document, json!({"id": 5}), vec![]);
    assert_eq!(seen, ["sleep 2000", "complete {\"d\":\"no 5\"}"]);
}

/// What nothing refers to is checked, and asks for nothing.
#[test]
fn unused_definitions_ask_for_nothing() {
    let unused = "use: {secrets: [s], authentications: {x: {bearer: {token: '${ .t }'}}}, functions: {f: {call: g}, g: {call: h.i}, r: {run: {shell: {command: ls}}}}}";
    let program = compile(&with_head(&format!("{unused}\ndo: []")));
    assert!(program.functions().is_empty() && program.needs().is_empty() && program.secrets().is_empty());
    assert!(program.not_performed().is_empty() && program.authentications().is_empty());
}

#[test]
fn a_document_tells_what_it_starts_and_when() {
    let program = compile(&with_head(
        "schedule: {every: {minutes: 5}, after: PT10S, cron: '0 6 * * 1', on: {any: [{with: {type: t.x, data: '${ .n > 3 }'}}]}, read: envelope}
do: [{a: {run: {workflow: {namespace: n, name: w, version: latest, input: {x: 1}}, await: false}}}, {b: {run: {script: {language: python, code: x}}}}, {c: {run: {container: {image: i}}}}]",
    ));
    let schedule = program.schedule().unwrap();
    assert_eq!((schedule.every, schedule.after), (Some(Duration::from_secs(300)), Some(Duration::from_secs(10))));
    assert_eq!(schedule.cron.as_ref().map(Cron::as_str), Some("0 6 * * 1"));
    assert_eq!(schedule.read, ReadAs::Envelope);
    assert!(schedule.next_after(Timestamp::EPOCH, Timestamp::EPOCH, None).is_some());
    let Some(EventStrategy::Any(filters)) = &schedule.on else { panic!("{schedule:?}") };
    assert_eq!(filters[0].event_type(), Some("t.x"));
    assert_eq!(filters[0].fits(&json!({"type": "t.x", "data": {"n": 4}})), Ok(true));
    assert_eq!(filters[0].fits(&json!({"type": "t.x", "data": {"n": 3}})), Ok(false));
    assert_eq!(filters[0].fits(&json!({"type": "t.y", "data": {"n": 4}})), Ok(false));
    assert_eq!(program.needs().iter().collect::<Vec<_>>(), [&Need::Script, &Need::Container]);
    let later: Vec<_> = program.not_performed().into_iter().map(|(pointer, _)| pointer).collect();
    assert_eq!(later, ["/do/0/a/run", "/do/1/b/run", "/do/2/c/run"]);
    assert!(program.subflows().contains(&("n".to_owned(), "w".to_owned(), "latest".to_owned())));
}

#[test]
fn a_call_knows_the_scheme_of_its_authentication_and_no_more() {
    let document = format!(
        "use: {{secrets: [s]}}\ndo: [{{a: {{call: http, with: {{{PET}{{bearer: {{use: s}}}}}}, headers: {{x: '${{ $authorization.scheme }}'}}, body: '${{ $authorization }}'}}}}}}]"
    );
    let (_, arguments) = asked(&document, json!({}));
    assert_eq!(arguments["headers"], json!({"x": "bearer"}));
    assert_eq!(arguments["body"], json!({"scheme": "bearer", "parameter": null}));
    let elsewhere = with_head("do: [{a: {set: {x: '${ $authorization }'}}}]");
    assert!(mandate_flow::Program::from_yaml("w.yaml", &elsewhere).is_err());
}

/// Until the machine performs them, a run ends there: nothing is left out in silence.
#[test]
fn what_is_not_performed_ends_the_run() {
    for document in [
        "do: [{a: {run: {workflow: {namespace: n, name: w, version: latest}}}}]",
        "do: [{a: {run: {shell: {command: 'echo ${HOME}'}}}}]",
    ] {
        let seen = common::run(document, json!({}), vec![]);
        assert!(seen[0].starts_with("fault configuration"), "{seen:?}");
    }
}
