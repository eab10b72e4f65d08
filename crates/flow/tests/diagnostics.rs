//! Broken documents, each with the code and the place it gets.

use mandate_flow::{Program, UNSUPPORTED, yaml};

const HEAD: &str = "document: {dsl: '1.0.3', namespace: t, name: t, version: '1.0.0'}\n";

/// Compiles `document`, with a head unless it has one, and shows `code line:column` of each finding.
fn check(document: &str) -> Vec<String> {
    let (document, shift) = if document.starts_with("document:") || document.starts_with('!') {
        (document.trim_start_matches('!').to_owned(), 0)
    } else {
        (format!("{HEAD}{document}"), 1)
    };
    match Program::from_yaml("w.yaml", &document) {
        Ok(_) => vec!["compiled".to_owned()],
        Err(diagnostics) => diagnostics
            .as_slice()
            .iter()
            .map(|d| {
                assert!(d.message.len() < 400, "{d}");
                assert!(d.span.0 + d.span.1 <= document.len(), "{d}");
                format!("{} {}:{}", d.code, d.line.saturating_sub(shift), d.column)
            })
            .collect(),
    }
}

/// A document, and what is found in it. `!` stands for "no head".
const BROKEN: &[(&str, &[&str])] = &[
    // YAML itself.
    ("!", &["yaml.empty 1:1"]),
    ("!a: [1\n\n", &["yaml.syntax 1:6"]),
    ("!a: 1\n b: 2", &["yaml.syntax 2:3"]),
    ("do: []\ndo: []", &["yaml.duplicate-key 2:1"]),
    ("do: []\ninput: &x {}\noutput: *x", &["yaml.alias 2:8", "yaml.alias 3:9"]),
    ("do: !!str x", &["yaml.tag 1:5"]),
    ("do: []\n---\na: 1", &["yaml.documents 2:1"]),
    ("1: x\ndo: []", &["yaml.key 1:1"]),
    ("? [a]\n: b", &["yaml.key 1:3"]),
    ("do: 9007199254740993", &["yaml.number 1:5"]),
    ("do: .inf", &["yaml.number 1:5"]),
    ("é: é\n\"é\": 2\ndo: []", &["yaml.duplicate-key 2:1"]),
    // The head.
    ("!do: []", &["flow.missing 1:1"]),
    ("document: {dsl: '1.0.3', namespace: t, name: t, version: '1'}\ndo: []", &["flow.version 1:58"]),
    ("document: {dsl: '1.1.0', namespace: t, name: t, version: '1.0.0'}\ndo: []", &["flow.unsupported 1:17"]),
    (
        "document: {dsl: '1.0.3', namespace: -t, name: a_b, version: '1.0.0-rc.1+b', odd: 1}\ndo: []",
        &["flow.name 1:37", "flow.name 1:47", "flow.unknown-key 1:77"],
    ),
    (
        "document: {dsl: 1.0, namespace: t, name: t, version: '01.0.0'}\ndo: []",
        &["flow.type 1:17", "flow.version 1:54"],
    ),
    ("document: 1\ndo: []", &["flow.type 1:11"]),
    ("do: {}", &["flow.type 1:5"]),
    ("doo: []", &["flow.missing 0:1", "flow.unknown-key 1:1"]),
    ("timeout: {before: PT1S}\ndo: []", &["flow.missing 1:10", "flow.unknown-key 1:11"]),
    ("schedule: {every: {hours: 1}}\ndo: []", &["compiled"]),
    ("schedule: {}\ndo: []", &["flow.schedule 1:11"]),
    (
        "schedule: {every: PT0S, after: PT0.5S, read: raw}\ndo: []",
        &["flow.duration 1:19", "flow.duration 1:32", "flow.schedule 1:40"],
    ),
    ("schedule: {cron: '0 0 30 2 *'}\ndo: []", &["flow.cron 1:18"]),
    ("schedule: {cron: every day}\ndo: []", &["flow.cron 1:18"]),
    ("schedule: {on: {one: {with: {}}}}\ndo: []", &["flow.type 1:29"]),
    ("schedule: {on: {any: [], all: []}}\ndo: []", &["flow.schedule 1:16"]),
    ("schedule: {on: {any: [], until: {one: {with: {type: x}}}}}\ndo: []", &["flow.unsupported 1:26"]),
    ("schedule: {on: {one: {with: {type: x}, correlate: {}}}}\ndo: []", &["flow.unsupported 1:40"]),
    ("timeout: {after: PT1S}\ndo: []", &["compiled"]),
    ("timeout: {after: PT0S}\ndo: []", &["flow.duration 1:18"]),
    ("timeout: PT1S\ndo: []", &["flow.reference 1:10"]),
    ("timeout: long\nuse: {timeouts: {long: {after: 3}}}\ndo: []", &["flow.duration 2:32"]),
    ("evaluate: {mode: loose}\ndo: []", &["flow.unsupported 1:12"]),
    ("use: {errors: {}, odd: 1}\ndo: []", &["flow.unknown-key 1:19"]),
    // Tasks.
    ("do:\n  - a: {set: {x: 1}}\n    b: {set: {x: 1}}", &["flow.item 2:5"]),
    ("do: [{}]", &["flow.item 1:6"]),
    ("do: [1]", &["flow.type 1:6"]),
    ("do: [{a: 1}]", &["flow.type 1:10"]),
    ("do: [{a: {}}]", &["flow.task 1:7"]),
    ("do: [{a: {set: {x: 1}, wait: PT1S}}]", &["flow.task 1:7"]),
    ("do: [{a: {set: {x: 1}}}, {a: {set: {x: 1}}}]", &["flow.duplicate-task 1:27"]),
    ("do: [{a: {set: {x: 1}, foo: bar}}]", &["flow.unknown-key 1:24"]),
    ("do: [{a: {set: {x: 1}, timeout: {after: soon}}}]", &["flow.duration 1:41"]),
    ("do: [{a: {set: {x: 1}, timeout: {after: PT1S}}}]", &["compiled"]),
    ("do: [{a: {set: {x: 1}, timeout: {after: '${ $nope }'}}}]", &["expr.variable 1:45"]),
    ("do: [{a: {set: {x: 1}, then: b}}]", &["flow.target 1:30"]),
    ("do: [{a: {do: [{c: {set: {x: 1}, then: b}}]}}, {b: {set: {x: 1}}}]", &["flow.target 1:40"]),
    ("do: [{a: {set: {x: 1}, then: 3}}]", &["flow.type 1:30"]),
    ("do: [{a: {set: {}}}]", &["flow.type 1:16"]),
    ("do: [{a: {set: text}}]", &["flow.type 1:16"]),
    ("do: [{a: {set: {x: 1}, output: {from: .x}}}]", &["flow.unknown-key 1:33"]),
    ("do: [{a: {set: {x: 1}, output: {as: 3}}}]", &["flow.type 1:37"]),
    ("do: [{a: {set: {x: 1}, metadata: 3}}]", &["flow.type 1:34"]),
    ("do: [{a: {listen: {to: {one: {with: {}}, until: x}}}}]", &["flow.type 1:37", "flow.listen 1:42"]),
    ("do: [{a: {listen: {to: {one: {}, all: []}}}}]", &["flow.listen 1:24"]),
    ("do: [{a: {fork: {branches: []}}}]", &["flow.type 1:28"]),
    (
        "do: [{a: {fork: {compete: 1, branches: [{b: {set: {x: 1}, then: c}}]}}}]",
        &["flow.type 1:27", "flow.target 1:65"],
    ),
    ("do: [{a: {fork: {branches: [{b: {set: {x: 1}}}, {b: {set: {x: 2}}}]}}}]", &["flow.duplicate-task 1:50"]),
    ("do: [{a: {listen: {to: {any: []}}, foreach: {}}}]", &["flow.missing 1:45"]),
    ("do: [{a: {emit: {event: {}}, odd: 1}}]", &["flow.missing 1:25", "flow.unknown-key 1:30"]),
    ("do: [{a: {run: {shell: {command: 'echo ${HOME} $1'}}}}]", &["compiled"]),
    ("do: [{a: {run: {shell: {}}}}]", &["flow.missing 1:24"]),
    ("do: [{a: {run: {}}}]", &["flow.run 1:11"]),
    ("do: [{a: {run: {shell: {command: ls}, script: {language: js, code: x}}}}]", &["flow.run 1:11"]),
    ("do: [{a: {run: {script: {language: perl, code: x}}}}]", &["flow.value 1:36"]),
    ("do: [{a: {run: {script: {language: js}}}}]", &["flow.run 1:25"]),
    (
        "do: [{a: {run: {script: {language: js, source: {endpoint: 'https://x.example/a.js'}}}}}]",
        &["flow.unsupported 1:40"],
    ),
    ("do: [{a: {run: {container: {image: x, lifetime: {cleanup: eventually}}}}}]", &["flow.missing 1:49"]),
    ("do: [{a: {run: {container: {image: x, lifetime: {cleanup: never, after: PT1S}}}}}]", &["flow.run 1:66"]),
    ("do: [{a: {run: {container: {image: x}, return: some}}}]", &["flow.value 1:48"]),
    ("do: [{a: {run: {container: {image: x}, await: 1}}}]", &["flow.type 1:47"]),
    ("do: [{a: {run: {workflow: {namespace: n, name: a_b, version: '1'}}}}]", &["flow.name 1:48", "flow.name 1:62"]),
    ("do: [{a: {run: {workflow: {namespace: n, name: w, version: latest}, return: code}}}]", &["flow.run 1:27"]),
    // Calls.
    ("do: [{a: {call: http, with: {}}}]", &["flow.missing 1:29", "flow.missing 1:29"]),
    ("do: [{a: {call: http}}]", &["flow.missing 1:10"]),
    (
        "do: [{a: {call: http, with: {method: get, endpoint: 'https://h.example/{id}', odd: 1}}}]",
        &["flow.unknown-key 1:79"],
    ),
    ("do: [{a: {call: http, with: {method: 'get it', endpoint: /relative}}}]", &["flow.value 1:38", "flow.uri 1:58"]),
    ("do: [{a: {call: http, with: {method: get, endpoint: 'https://h.example/{a,b}'}}}]", &["flow.uri 1:53"]),
    ("do: [{a: {call: http, with: {method: get, endpoint: 'https://h.example/{id'}}}]", &["flow.uri 1:53"]),
    ("do: [{a: {call: http, with: {method: get, endpoint: 'https://h.example/id}'}}}]", &["flow.uri 1:53"]),
    ("do: [{a: {call: http, with: {method: get, endpoint: 'https://h.example/a/../b'}}}]", &["flow.uri 1:53"]),
    ("do: [{a: {call: http, with: {method: get, endpoint: 'https://h .example'}}}]", &["flow.uri 1:53"]),
    ("do: [{a: {call: http, with: {method: get, endpoint: 'https://u:p@h.example'}}}]", &["flow.credential 1:53"]),
    (
        "do: [{a: {call: http, with: {method: get, endpoint: 'https://h.example', headers: {'a b': x, c: 1}, query: [], output: xml, redirect: 1}}}]",
        &["flow.value 1:84", "flow.type 1:97", "flow.type 1:108", "flow.value 1:120", "flow.type 1:135"],
    ),
    (
        "do: [{a: {call: http, with: {method: get, endpoint: {uri: 'https://h.example', authentication: {use: nope}}}}}]",
        &["flow.reference 1:102"],
    ),
    (
        "do: [{a: {call: http, with: {method: get, endpoint: {uri: 'https://h.example', authentication: {bearer: {use: nope}}}}}}]",
        &["flow.reference 1:111"],
    ),
    (
        "do: [{a: {call: http, with: {method: get, endpoint: {uri: 'https://h.example', authentication: {}}}}}]",
        &["flow.authentication 1:96"],
    ),
    ("do: [{a: {call: openapi, with: {document: {endpoint: 'https://h.example/a.json'}}}}]", &["flow.missing 1:32"]),
    (
        "do: [{a: {call: grpc, with: {proto: {endpoint: 'file:///a.proto'}, method: m, service: {name: s, host: -h, port: 70000}}}}]",
        &["flow.value 1:104", "flow.value 1:114"],
    ),
    (
        "do: [{a: {call: asyncapi, with: {document: {endpoint: 'https://h.example'}, operation: o}}}]",
        &["flow.call 1:33"],
    ),
    (
        "do: [{a: {call: asyncapi, with: {document: {endpoint: 'https://h.example'}, operation: o, protocol: kafka, message: {}}}}]",
        &["flow.unsupported 1:91"],
    ),
    (
        "do: [{a: {call: asyncapi, with: {document: {endpoint: 'https://h.example'}, operation: o, subscription: {consume: {}}}}}]",
        &["flow.call 1:115"],
    ),
    ("do: [{a: {call: mcp, with: {}}}]", &["flow.unsupported 1:11"]),
    ("do: [{a: {call: a2a, with: {}}}]", &["flow.unsupported 1:11"]),
    ("do: [{a: {call: 'https://h.example/f.yaml'}}]", &["flow.unsupported 1:17"]),
    ("do: [{a: {call: 'log:1.0.0'}}]", &["flow.unsupported 1:17"]),
    ("do: [{a: {call: log@default}}]", &["compiled"]),
    ("use: {functions: {f: {call: f}}}\ndo: [{a: {call: f}}]", &["flow.cycle 1:29"]),
    ("use: {functions: {f: {do: [{x: {call: g}}]}, g: {call: f}}}\ndo: []", &["flow.cycle 1:56"]),
    ("use: {functions: {http: {set: {x: 1}}}}\ndo: []", &["flow.name 1:19"]),
    (
        "use: {functions: {f: {set: {x: '${ $item }'}}}}\ndo: [{a: {for: {in: .x}, do: [{b: {call: f}}]}}]",
        &["expr.variable 1:36"],
    ),
    (
        "use: {catalogs: {default: {endpoint: 'https://h.example'}, other: {endpoint: 'https://h.example'}}}\ndo: []",
        &["flow.unsupported 1:60"],
    ),
    ("use: {secrets: [a, a, 'b c', 3]}\ndo: []", &["flow.duplicate 1:20", "flow.name 1:23", "flow.type 1:30"]),
    (
        "use: {retries: {r: {limit: {attempt: {count: 0}}}}, errors: {e: {type: x}}}\ndo: []",
        &["flow.limit 1:46", "flow.missing 1:65"],
    ),
    ("do: [{a: {call: Not A Name}}]", &["flow.name 1:17"]),
    ("do: [{a: {call: 'log:1.0.0@catalog'}}]", &["flow.unsupported 1:17"]),
    ("do: [{a: {call: a.b, with: 3}}]", &["flow.type 1:28"]),
    ("do: [{a: {call: a.b, with: {x: '${ .a '}}}]", &["expr.partial 1:33"]),
    // Switch, for, raise, wait.
    ("do: [{a: {switch: []}}]", &["flow.type 1:19"]),
    ("do: [{a: {switch: [{c: {when: .x}}]}}]", &["flow.missing 1:24"]),
    ("do: [{a: {switch: [{c: {then: end}}, {d: {then: end}}]}}]", &["flow.switch 1:39"]),
    ("do: [{a: {for: {each: 'a b', in: .x}, do: []}}]", &["flow.variable 1:23"]),
    ("do: [{a: {for: {each: input, in: .x}, do: []}}]", &["flow.variable 1:23"]),
    ("do: [{a: {for: {each: i, at: i, in: .x}, do: []}}]", &["flow.variable 1:16"]),
    ("do: [{a: {for: {each: i}, do: []}}]", &["flow.missing 1:16"]),
    ("do: [{a: {for: {in: .x}}}]", &["flow.missing 1:10"]),
    ("do: [{a: {raise: {error: odd}}}]", &["flow.reference 1:26"]),
    ("do: [{a: {raise: {error: {type: x, status: 700}}}}]", &["flow.type 1:44"]),
    ("do: [{a: {raise: {error: {status: 400}}}}]", &["flow.missing 1:26"]),
    ("do: [{a: {wait: soon}}]", &["flow.duration 1:17"]),
    ("do: [{a: {wait: P1Y}}]", &["flow.duration 1:17"]),
    // Try.
    ("do: [{a: {try: []}}]", &["flow.missing 1:10"]),
    ("do: [{a: {try: [], catch: {retry: named}}}]", &["flow.reference 1:35"]),
    ("do: [{a: {try: [], catch: {retry: {limit: {attempt: {count: 0}}}}}}]", &["flow.limit 1:61"]),
    ("do: [{a: {try: [], catch: {retry: {limit: {attempt: {duration: soon}}}}}}]", &["flow.duration 1:64"]),
    ("do: [{a: {try: [], catch: {retry: {backoff: {fibonacci: {}}}}}}]", &["flow.unknown-key 1:46"]),
    ("do: [{a: {try: [], catch: {retry: {jitter: {from: PT2S, to: PT1S}}}}}]", &["flow.duration 1:44"]),
    ("do: [{a: {try: [], catch: {errors: {with: {}}}}}]", &["flow.type 1:43"]),
    ("do: [{a: {try: [], catch: {errors: {with: {type: '${ .x }'}}}}}]", &["flow.unsupported 1:44"]),
    ("do: [{a: {try: [], catch: {as: $e}}}]", &["flow.variable 1:32"]),
    // Expressions, with their own place.
    ("do: [{a: {set: {x: '${ .a | foo }'}}}]", &["expr.construct 1:29"]),
    ("do: [{a: {set: {x: '${ \"é\" + $nope }'}}}]", &["expr.variable 1:30"]),
    ("do: [{a: {if: .a |= 1, set: {x: 1}}}]", &["expr.construct 1:18"]),
    ("do:\n  - a:\n      set:\n        x: >-\n          ${ .a\n             | input }", &["expr.construct 6:16"]),
    ("do:\n  - a:\n      set:\n        x: |\n          ${ .a +\n          env }", &["expr.construct 6:11"]),
    ("do: [{a: {set: {x: \"${ \\\"s\\\" | foo }\"}}}]", &["expr.construct 1:20"]),
    ("do: [{a: {set: {x: '${ $item }'}}}]", &["expr.variable 1:24"]),
    ("do: [{a: {set: {x: '${ $output }'}}}]", &["expr.variable 1:24"]),
    ("do: [{a: {set: {x: '${ $error }'}}}]", &["expr.variable 1:24"]),
    ("input: {from: $context}\ndo: []", &["expr.variable 1:15"]),
    ("do: [{a: {set: {x: 'v: ${ .a }'}}}]", &["expr.partial 1:24"]),
    ("do: [{a: {set: {x: '${ .a } and ${ .b }'}}}]", &["expr.syntax 1:27"]),
    ("do: [{a: {set: {x: '${ .a + }', y: '${ [ }'}}}]", &["expr.syntax 1:29", "expr.syntax 1:42"]),
    // Secrets and credentials.
    ("do: [{a: {set: {x: '${ $secrets.key }'}}}]", &["flow.secrets 1:24"]),
    ("do: [{a: {call: a.b, with: {headers: {Authorization: Bearer abcdefghijklmnop}}}}]", &["flow.credential 1:54"]),
    ("do: [{a: {call: a.b, with: {h: 'Bearer abcdefghijklmnop'}}}]", &["flow.credential 1:32"]),
    ("do: [{a: {call: a.b, with: {h: '${ \"Bearer abcdefghijklmnop\" }'}}}]", &["flow.credential 1:32"]),
    ("do: [{a: {call: a.b, with: {x-api-key: abc}}}]", &["flow.credential 1:40"]),
    ("do: [{a: {set: {client_secret: s}}}]", &["flow.credential 1:32"]),
    ("use: {authentications: {x: {basic: {username: u, password: p}}}}\ndo: []", &["flow.credential 1:60"]),
    ("use: {authentications: {x: {bearer: {token: t}}}}\ndo: []", &["flow.credential 1:45"]),
    // Schemas.
    ("input: {schema: {document: {type: object, oneOf: []}}}\ndo: []", &["flow.schema 1:43"]),
    ("input: {schema: {document: {oneOf: [{type: string}, true], $ref: '#/x'}}}\ndo: []", &["flow.schema 1:18"]),
    ("input: {schema: {document: {$ref: 'https://h.example/s'}}}\ndo: []", &["flow.unsupported 1:29"]),
    ("input: {schema: {document: {properties: {a: {type: 3}}}}}\ndo: []", &["flow.schema 1:46"]),
    ("input: {schema: {resource: {endpoint: x}}}\ndo: []", &["flow.unsupported 1:18"]),
    ("input: {schema: {format: xml, document: {}}}\ndo: []", &["flow.unsupported 1:18"]),
    ("input: {schema: {}}\ndo: []", &["flow.missing 1:17"]),
];

#[test]
fn broken_documents() {
    let mut wrong = Vec::new();
    for (document, expected) in BROKEN {
        let found = check(document);
        if found != *expected {
            wrong.push(format!("{document:?}\n  expected {expected:?}\n  found    {found:?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn credentials_are_never_repeated() {
    for document in ["do: [{a: {set: {password: hunter2hunter2}}}]", "do: [{a: {set: {x: 'Bearer hunter2hunter2'}}}]"] {
        let text = Program::from_yaml("w.yaml", &format!("{HEAD}{document}")).unwrap_err().to_string();
        assert!(!text.contains("hunter2"), "{text}");
    }
}

#[test]
fn several_findings_come_at_once_in_the_order_of_the_text() {
    let document = format!("{HEAD}do:\n  - a: {{set: {{}}, then: x}}\n  - b: {{call: mcp}}\nodd: 1\n");
    let found = Program::from_yaml("w.yaml", &document).unwrap_err();
    let shown: Vec<_> =
        found.to_string().lines().map(|line| line.split(": ").next().unwrap_or_default().to_owned()).collect();
    assert_eq!(shown, ["w.yaml:3:14", "w.yaml:3:24", "w.yaml:4:9", "w.yaml:5:1"]);
    assert!(found.as_slice().iter().any(|d| d.code == UNSUPPORTED));
}

#[test]
fn a_stored_document_gets_pointers() {
    let found =
        Program::from_json(serde_json::json!({"document": {}, "do": [{"a": {"set": {"x": "${ foo }"}}}]})).unwrap_err();
    assert!(found.as_slice().iter().any(|d| d.pointer == "/do/0/a/set/x" && d.line == 0), "{found}");
    assert!(found.to_string().contains("document:/do/0/a/set/x: "), "{found}");
}

#[test]
fn hostile_yaml_ends_quickly() {
    let deep = format!("a: {}{}", "[".repeat(50_000), "]".repeat(50_000));
    let deep_blocks: String = (0..200).map(|i| format!("{}a:\n", " ".repeat(i))).collect();
    let bomb = "a: &a [x, x]\nb: &b [*a, *a]\nc: &c [*b, *b]\n";
    let long_key = format!("{}: 1", "k".repeat(500));
    let large = "- x\n".repeat(400_000);
    let many: String = (0..1_001).map(|i| format!("  - t{i}: {{set: {{x: 1}}}}\n")).collect();
    let many = format!("{HEAD}do:\n{many}");
    for (text, code) in [
        (deep.as_str(), "yaml.syntax"),
        (deep_blocks.as_str(), "yaml.depth"),
        (bomb, "yaml.alias"),
        (long_key.as_str(), "yaml.key"),
        (large.as_str(), "yaml.size"),
        (many.as_str(), "flow.limit"),
    ] {
        let began = std::time::Instant::now();
        let found = Program::from_yaml("w.yaml", text).unwrap_err();
        assert!(found.as_slice().iter().any(|d| d.code == code), "{code}: {found}");
        assert!(began.elapsed().as_secs() < 5, "{code} took {:?}", began.elapsed());
    }
    // A large definition and many references to it; functions that call one another twice.
    let raises: String = (0..900).map(|i| format!("  - t{i}: {{raise: {{error: e}}}}\n")).collect();
    let large = "x".repeat(500_000);
    let many = format!("{HEAD}use: {{errors: {{e: {{type: x, status: 400, detail: {large}}}}}}}\ndo:\n{raises}");
    let began = std::time::Instant::now();
    let found = Program::from_yaml("w.yaml", &many).unwrap_err();
    assert!(found.as_slice().iter().any(|d| d.code == "flow.limit"), "{found}");
    let chain = |length: usize| {
        let calls: String = (0..length)
            .map(|i| format!("    f{i}: {{do: [{{a: {{call: f{0}}}}}, {{b: {{call: f{0}}}}}]}}\n", i + 1))
            .collect();
        format!("{HEAD}use:\n  functions:\n{calls}    f{length}: {{set: {{x: 1}}}}\ndo: [{{a: {{call: f0}}}}]")
    };
    assert!(Program::from_yaml("w.yaml", &chain(30)).is_ok());
    let found = Program::from_yaml("w.yaml", &chain(300)).unwrap_err();
    assert!(found.as_slice().iter().any(|d| d.code == "flow.limit"), "{found}");
    assert!(began.elapsed().as_secs() < 5, "{:?}", began.elapsed());
    let nested = (0..100).fold(serde_json::json!(1), |inner, _| serde_json::json!([inner]));
    assert!(Program::from_json(nested).is_err());
}

/// As large as a request may be: refused for what is wrong with it, not for how long one looked.
#[test]
fn a_large_document_is_refused_quickly() {
    let list = |line: &dyn Fn(usize) -> String| {
        let mut text = format!("{HEAD}# é\ndo:\n");
        for i in 0.. {
            if text.len() > 600_000 {
                break;
            }
            text.push_str(&line(i));
        }
        text
    };
    let nested =
        |i: usize| format!("  - t{i}:\n      do:\n        - a: {{set: {{x: 1}}}}\n        - b: {{set: {{x: 1}}}}\n");
    for (what, text) in [
        ("tasks", list(&|i| format!("  - t{i}: {{set: {{x: 1}}}}\n"))),
        ("the same task", list(&|_| "  - t: {set: {x: 1}}\n".to_owned())),
        ("no tasks", list(&|i| format!("  - t{i}: {{sett: {{x: 1}}}}\n"))),
        ("nested tasks", list(&nested)),
    ] {
        let began = std::time::Instant::now();
        let found = Program::from_yaml("w.yaml", &text).unwrap_err();
        assert!(began.elapsed().as_secs() < 4, "{what} took {:?}", began.elapsed());
        let limits: Vec<_> = found.as_slice().iter().filter(|d| d.code == "flow.limit").collect();
        assert_eq!(limits.len(), 1, "{what}: {found}");
        assert!(limits[0].line > 3, "{what}: {found}");
    }
}

#[test]
fn more_findings_than_are_told_are_counted() {
    let tasks: String = (0..300).map(|i| format!("  - t{i}: {{set: {{x: '${{ foo }}'}}}}\n")).collect();
    let found = Program::from_yaml("w.yaml", &format!("{HEAD}do:\n{tasks}")).unwrap_err();
    assert_eq!((found.as_slice().len(), found.more()), (100, 200));
    assert!(found.to_string().ends_with("\nand 200 more"), "{found}");
}

/// Tasks count wherever they stand.
#[test]
fn tasks_in_tasks_count() {
    let inner = |n: usize| (0..n).map(|i| format!("        - a{i}: {{set: {{x: 1}}}}\n")).collect::<String>();
    let document = |n: usize| {
        let outer: String = (0..9).map(|i| format!("  - t{i}:\n      do:\n{}", inner(110))).collect();
        let last: String = (0..n).map(|i| format!("  - l{i}: {{set: {{x: 1}}}}\n")).collect();
        format!("{HEAD}do:\n{outer}{last}")
    };
    assert!(Program::from_yaml("w.yaml", &document(1)).is_ok());
    let found = Program::from_yaml("w.yaml", &document(2)).unwrap_err();
    assert_eq!(found.as_slice().iter().map(|d| d.code).collect::<Vec<_>>(), ["flow.limit"], "{found}");
}

#[test]
fn yaml_scalars_are_the_core_schema() {
    for (text, expected) in [
        ("~", serde_json::json!(null)),
        ("True", serde_json::json!(true)),
        ("yes", serde_json::json!("yes")),
        ("0x1F", serde_json::json!(31)),
        ("0o17", serde_json::json!(15)),
        ("-12", serde_json::json!(-12)),
        ("+12", serde_json::json!(12)),
        ("1.5e3", serde_json::json!(1500.0)),
        (".5", serde_json::json!(0.5)),
        ("1.0.3", serde_json::json!("1.0.3")),
        ("2026-11-22", serde_json::json!("2026-11-22")),
        ("'12'", serde_json::json!("12")),
        ("\"a\\u00e9\\n\"", serde_json::json!("aé\n")),
        ("1e", serde_json::json!("1e")),
        ("0x", serde_json::json!("0x")),
        ("nan", serde_json::json!("nan")),
    ] {
        assert_eq!(yaml::parse("t", &format!("v: {text}")).unwrap().into_value()["v"], expected, "{text}");
    }
}

proptest::proptest! {
    #[test]
    fn any_text_is_read_or_refused(text in "[ -~\né]{0,80}") {
        if let Err(found) = Program::from_yaml("w.yaml", &text) {
            proptest::prop_assert!(!found.as_slice().is_empty());
        }
    }

    #[test]
    fn json_is_yaml(numbers in proptest::collection::vec(-1000i64..1000, 0..5), text in "[ -~é\n\t]{0,20}", key in "[a-z~/]{1,5}") {
        let value = serde_json::json!({ key: { "n": numbers, "t": text, "f": 0.25, "e": {}, "l": [] } });
        proptest::prop_assert_eq!(yaml::parse("t", &value.to_string()).unwrap().into_value(), value);
    }
}
