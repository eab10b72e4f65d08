//! Every feature of the schema, with a document that uses it and what becomes of that document.

/// What becomes of a document.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Status {
    /// It compiles and runs.
    Yes,
    /// It compiles; `apply` refuses it unless the operator has turned this on.
    Switch(&'static str),
    /// It compiles; `apply` refuses it until a run performs it.
    Later,
    /// It is refused when it is compiled.
    No,
}

use Status::{Later, No, Switch, Yes};

/// A feature: what it is, the properties of the schema it stands for (`x.*` is all below), a document, its
/// status, and what is worth knowing.
pub(crate) type Row = (&'static str, &'static str, &'static str, Status, &'static str);

/// A chapter of the matrix.
pub(crate) type Chapter = (&'static str, &'static [Row]);

pub(crate) const CHAPTERS: &[Chapter] = &[
    ("The document", DOCUMENT),
    ("Definitions in `use`", USE),
    ("Schedules", SCHEDULE),
    ("Every task", TASK),
    ("Control flow", FLOW),
    ("Errors", ERRORS),
    ("Calls", CALLS),
    ("Authentication", AUTHENTICATION),
    ("Processes", PROCESSES),
    ("Events and branches", EVENTS),
];

const DOCUMENT: &[Row] = &[
    (
        "head",
        "document document.dsl document.namespace document.name document.version",
        "do: []",
        Yes,
        "`dsl` 1.0.0 to 1.0.3",
    ),
    (
        "title, summary, tags, metadata",
        "document.title document.summary document.tags document.metadata",
        "document: {dsl: 1.0.3, namespace: n, name: n, version: 1.0.0, title: t, summary: s, tags: {a: b}, metadata: {c: 1}}\ndo: []",
        Yes,
        "kept; nothing else is done with them",
    ),
    ("tasks", "do", "do: [{a: {set: {x: 1}}}]", Yes, "at most 1,000"),
    (
        "input and output",
        "input output input.from output.as",
        "input: {from: .x}\noutput: {as: '{y: .}'}\ndo: []",
        Yes,
        "",
    ),
    (
        "schemas",
        "input.schema output.schema export.schema schema.document schema.format",
        "input: {schema: {format: json, document: {$ref: '#/$defs/a', $defs: {a: {anyOf: [{type: string}, {type: 'null'}]}}}}}\ndo: []",
        Yes,
        "JSON Schema 2020-12, whole; it refers only to itself, and unknown keywords are refused",
    ),
    (
        "schemas from outside",
        "schema.resource",
        "input: {schema: {resource: {endpoint: 'https://h.example/s.json'}}}\ndo: []",
        No,
        "what a document means does not change with somebody's server",
    ),
    ("schemas in other formats", "", "input: {schema: {format: avro, document: {}}}\ndo: []", No, ""),
    ("timeout of the run", "timeout timeout.after", "timeout: {after: PT1H}\ndo: []", Yes, ""),
    (
        "evaluation",
        "evaluate evaluate.language evaluate.mode",
        "evaluate: {language: jq, mode: strict}\ndo: []",
        Yes,
        "jq, strict",
    ),
    ("other languages", "", "evaluate: {language: javascript}\ndo: []", No, ""),
    ("loose evaluation", "", "evaluate: {mode: loose}\ndo: []", No, ""),
];

const USE: &[Row] = &[
    (
        "errors",
        "use use.errors",
        "use: {errors: {e: {type: 'https://x.example/e', status: 400}}}\ndo: [{a: {raise: {error: e}}}]",
        Yes,
        "",
    ),
    ("retries", "use.retries", "use: {retries: {r: {delay: PT1S}}}\ndo: [{a: {try: [], catch: {retry: r}}}]", Yes, ""),
    ("timeouts", "use.timeouts", "use: {timeouts: {t: {after: PT1S}}}\ndo: [{a: {set: {x: 1}, timeout: t}}]", Yes, ""),
    (
        "functions",
        "use.functions",
        "use: {functions: {f: {set: {x: '${ .y }'}}}}\ndo: [{a: {call: f, with: {y: 1}}}]",
        Yes,
        "its input is `with`; it sees the context, not the loops around its call; it can't reach itself",
    ),
    (
        "authentications",
        "use.authentications",
        "use: {secrets: [s], authentications: {a: {basic: {use: s}}}}\ndo: []",
        Yes,
        "",
    ),
    ("secrets", "use.secrets", "use: {secrets: [s]}\ndo: []", Yes, "each that is used must be declared"),
    (
        "extensions",
        "use.extensions extension.*",
        "use: {extensions: [{l: {extend: call, when: .x, before: [{a: {set: {x: 1}}}], after: [{b: {wait: PT1S}}]}}]}\ndo: [{c: {call: f.g}}]",
        Yes,
        "not those of a task that jumps by itself; data passes by them; `exit` in them ends the task",
    ),
    (
        "extensions of a task that jumps",
        "",
        "use: {extensions: [{l: {extend: switch, before: []}}]}\ndo: [{a: {switch: [{c: {then: b}}]}}, {b: {set: {x: 1}}}]",
        No,
        "",
    ),
    (
        "the catalog `default`",
        "use.catalogs catalog.endpoint",
        "use: {catalogs: {default: {endpoint: 'https://h.example'}}}\ndo: [{a: {call: f@default}}]",
        Yes,
        "it is the registry of functions, whatever its address says",
    ),
    ("other catalogs", "", "do: [{a: {call: 'f:1.0.0@mine'}}]", No, "functions are registered"),
];

const SCHEDULE: &[Row] = &[
    (
        "interval",
        "schedule schedule.every",
        "schedule: {every: {minutes: 5}}\ndo: []",
        Yes,
        "at least a second; under a standing grant; what was missed is made up for once",
    ),
    (
        "cron",
        "schedule.cron",
        "schedule: {cron: 0 6 * * 1-5}\ndo: []",
        Yes,
        "five fields, UTC; a date that never comes is refused",
    ),
    ("after the run before", "schedule.after", "schedule: {after: PT10S}\ndo: []", Yes, "at least a second"),
    (
        "events",
        "schedule.on schedule.read",
        "schedule: {on: {one: {with: {type: t}}}, read: envelope}\ndo: []",
        Yes,
        "of registered sources; attributes by equality or an expression",
    ),
    ("events: correlation, `until`", "", "schedule: {on: {one: {with: {type: t}, correlate: {}}}}\ndo: []", No, ""),
];

const TASK: &[Row] = &[
    ("condition", "taskBase.if", "do: [{a: {if: .x, set: {x: 1}}}]", Yes, ""),
    (
        "input, output, export",
        "taskBase.input taskBase.output taskBase.export export.as",
        "do: [{a: {set: {x: 1}, input: {from: .y}, output: {as: .x}, export: {as: '{z: .}'}}}]",
        Yes,
        "",
    ),
    ("flow directive", "taskBase.then", "do: [{a: {set: {x: 1}, then: b}}, {b: {set: {x: 1}, then: end}}]", Yes, ""),
    ("timeout", "taskBase.timeout", "do: [{a: {set: {x: 1}, timeout: {after: '${ .t }'}}}]", Yes, ""),
    ("metadata", "taskBase.metadata", "do: [{a: {set: {x: 1}, metadata: {m: 1}}}]", Yes, ""),
    (
        "durations",
        "duration.*",
        "do: [{a: {wait: {days: 1, hours: 1, minutes: 1, seconds: 1, milliseconds: 1}}}, {b: {wait: P1DT2H}}]",
        Yes,
        "ISO 8601 without years and months, which differ in length",
    ),
];

const FLOW: &[Row] = &[
    ("`do`", "doTask.do", "do: [{a: {do: [{b: {set: {x: 1}}}]}}]", Yes, ""),
    ("`set`", "setTask.set", "do: [{a: {set: '${ .x }'}}]", Yes, ""),
    ("`switch`", "switchTask.*", "do: [{a: {switch: [{b: {when: .x, then: exit}}, {c: {then: end}}]}}]", Yes, ""),
    (
        "`for`",
        "forTask.*",
        "do: [{a: {for: {each: e, in: .x, at: i}, while: .y, do: [{b: {set: {x: '${ $e }'}}}]}}]",
        Yes,
        "",
    ),
    ("`wait`", "waitTask.wait", "do: [{a: {wait: '${ .t }'}}]", Yes, ""),
];

const ERRORS: &[Row] = &[
    (
        "`raise`",
        "raiseTask.* error.*",
        "do: [{a: {raise: {error: {type: 'https://x.example/e', status: 400, title: t, detail: '${ .d }', instance: /x}}}}]",
        Yes,
        "",
    ),
    (
        "`try` and `catch`",
        "tryTask.*",
        "do: [{a: {try: [], catch: {as: e, when: $e.status > 1, exceptWhen: .x, do: [], then: end}}}]",
        Yes,
        "",
    ),
    (
        "filters of errors",
        "errorFilter.*",
        "do: [{a: {try: [], catch: {errors: {with: {type: x, status: 400, instance: /x, title: t, detail: d}}}}}]",
        Yes,
        "by equality",
    ),
    (
        "expressions in filters of errors",
        "",
        "do: [{a: {try: [], catch: {errors: {with: {detail: '${ .d }'}}}}}]",
        No,
        "write `when`",
    ),
    (
        "retries",
        "retryPolicy.when retryPolicy.exceptWhen retryPolicy.delay retryPolicy.limit retryPolicy.limit.attempt retryPolicy.limit.attempt.count retryPolicy.limit.duration",
        "do: [{a: {try: [], catch: {retry: {when: .x, exceptWhen: .y, delay: PT1S, limit: {attempt: {count: 3}, duration: PT1H}}}}}]",
        Yes,
        "`count` counts the first attempt; at most 20",
    ),
    (
        "backoff",
        "retryPolicy.backoff retryPolicy.backoff.*",
        "do: [{a: {try: [], catch: {retry: {backoff: {linear: {}}}}}}]",
        Yes,
        "",
    ),
    (
        "jitter",
        "retryPolicy.jitter retryPolicy.jitter.*",
        "do: [{a: {try: [], catch: {retry: {jitter: {from: PT1S, to: PT2S}}}}}]",
        Yes,
        "",
    ),
    (
        "time for one attempt",
        "retryPolicy.limit.attempt.duration",
        "do: [{a: {try: [], catch: {retry: {limit: {attempt: {duration: PT1S}}}}}}]",
        Yes,
        "",
    ),
];

const CALLS: &[Row] = &[
    (
        "functions",
        "CallFunction.*",
        "do: [{a: {call: warehouse.query, with: {q: '${ .q }'}}}]",
        Yes,
        "of the registry, listed by the Worker",
    ),
    (
        "HTTP",
        "CallHTTP.*",
        "do: [{a: {call: http, with: {method: get, endpoint: 'https://h.example/{id}', headers: {accept: x}, query: {q: '${ .q }'}, body: {b: 1}, output: response, redirect: true}}}]",
        Yes,
        "as a call of the function that is registered for its destination",
    ),
    (
        "endpoints",
        "endpoint.uri endpoint.authentication",
        "do: [{a: {call: http, with: {method: get, endpoint: {uri: '${ .uri }'}}}}]",
        Yes,
        "URI templates by RFC 6570, level 1; values are percent-encoded",
    ),
    (
        "OpenAPI",
        "CallOpenAPI.* externalResource.*",
        "do: [{a: {call: openapi, with: {document: {name: n, endpoint: 'https://h.example/o.json'}, operationId: o, parameters: {p: 1}, output: raw, redirect: false}}}]",
        Yes,
        "OpenAPI 3.0 and 3.1, Swagger 2.0; the description is the function's that stands for it, and is never fetched",
    ),
    (
        "gRPC",
        "CallGRPC.*",
        "do: [{a: {call: grpc, with: {proto: {endpoint: 'file://g.proto'}, service: {name: s, host: h.example, port: 1}, method: m, arguments: {a: 1}}}}]",
        Yes,
        "as a call of a function that pins the definition; one message in, one or a stream out",
    ),
    (
        "AsyncAPI: publishing",
        "CallAsyncAPI.* asyncApiServer.* asyncApiOutboundMessage.* asyncApiInboundMessage.*",
        "do: [{a: {call: asyncapi, with: {document: {endpoint: 'https://h.example/a.json'}, operation: o, server: {name: s, variables: {v: 1}}, protocol: http, message: {payload: {p: 1}, headers: {h: 1}}}}}]",
        Yes,
        "as a call of a function that pins the document; over `http` and `ws`",
    ),
    (
        "AsyncAPI: other protocols",
        "",
        "do: [{a: {call: asyncapi, with: {document: {endpoint: 'https://h.example/a.json'}, channel: c, protocol: kafka, message: {}}}}]",
        No,
        "",
    ),
    (
        "AsyncAPI: subscribing",
        "asyncApiSubscription.filter asyncApiSubscription.consume asyncApiMessageConsumptionPolicy.*",
        "do: [{a: {call: asyncapi, with: {document: {endpoint: 'https://h.example/a.json'}, channel: c, subscription: {filter: '${ .x }', consume: {for: PT1S, until: '${ .y }'}}}}}]",
        Yes,
        "conditions see each message, and the variables as they were when the call began",
    ),
    (
        "AsyncAPI: tasks for each message",
        "asyncApiSubscription.foreach",
        "do: [{a: {call: asyncapi, with: {document: {endpoint: 'https://h.example/a.json'}, channel: c, subscription: {consume: {amount: 1}, foreach: {}}}}}]",
        No,
        "consume first, then `for`",
    ),
    ("MCP", "CallMCP.*", "do: [{a: {call: mcp, with: {method: tools/list}}}]", No, "until agents come"),
    ("A2A", "CallA2A.*", "do: [{a: {call: a2a, with: {method: tasks/get}}}]", No, "until agents come"),
];

const AUTHENTICATION: &[Row] = &[
    (
        "a policy by name",
        "referenceableAuthenticationPolicy.use",
        "use: {secrets: [s], authentications: {a: {bearer: {use: s}}}}\ndo: [{a: {call: http, with: {method: get, endpoint: {uri: 'https://h.example', authentication: {use: a}}}}}]",
        Yes,
        "",
    ),
    (
        "a secret",
        "secretBasedAuthenticationPolicy.use authenticationPolicy.basic authenticationPolicy.bearer authenticationPolicy.digest authenticationPolicy.oidc",
        "use: {secrets: [s]}\ndo: [{a: {call: http, with: {method: get, endpoint: {uri: 'https://h.example', authentication: {oidc: {use: s}}}}}}]",
        Yes,
        "it fills the slot as a whole; no expression sees it",
    ),
    (
        "a secret as the password or token",
        "authenticationPolicy.basic.* authenticationPolicy.bearer.* authenticationPolicy.digest.*",
        "use: {secrets: [s]}\ndo: [{a: {call: http, with: {method: get, endpoint: {uri: 'https://h.example', authentication: {digest: {username: u, password: '${ $secrets.s }'}}}}}}]",
        Yes,
        "SHA-256; MD5 where the connection allows it",
    ),
    (
        "OAuth 2 and OpenID Connect",
        "authenticationPolicy.oauth2 authenticationPolicy.oauth2.* oauth2AuthenticationProperties.* oauth2Token.*",
        "use: {secrets: [s]}\ndo: [{a: {call: http, with: {method: get, endpoint: {uri: 'https://h.example', authentication: {oauth2: {authority: 'https://i.example', grant: client_credentials, client: {id: c, secret: '${ $secrets.s }', authentication: client_secret_post}, request: {encoding: application/json}, issuers: [i], scopes: [s], audiences: [a], endpoints: {token: /t, revocation: /r, introspection: /i}}}}}}}]",
        Yes,
        "client credentials, password and token exchange; at the token endpoint that the credential's owner names",
    ),
    (
        "grants with a browser",
        "",
        "do: [{a: {call: http, with: {method: get, endpoint: {uri: 'https://h.example', authentication: {oauth2: {authority: 'https://i.example', grant: authorization_code}}}}}}]",
        No,
        "nobody sits before a run",
    ),
    (
        "a credential from the run's data",
        "",
        "do: [{a: {call: http, with: {method: get, endpoint: {uri: 'https://h.example', authentication: {bearer: {token: '${ .t }'}}}}}}]",
        Switch("caller-supplied-credentials"),
        "basic, bearer and digest; for conformance tests only",
    ),
    (
        "a credential in the document",
        "",
        "do: [{a: {call: http, with: {method: get, endpoint: {uri: 'https://h.example', authentication: {bearer: {token: abcdef}}}}}}]",
        No,
        "whoever reads the document knows it",
    ),
];

const PROCESSES: &[Row] = &[
    (
        "another workflow",
        "runTask.run runTask.run.await runTask.run.return runTask.run.workflow runTask.run.workflow.*",
        "do: [{a: {run: {workflow: {namespace: n, name: w, version: 1.0.0, input: {x: '${ .x }'}}, await: true, return: none}}}]",
        Later,
        "",
    ),
    (
        "a script",
        "runTask.run.script runTask.run.script.language runTask.run.script.stdin runTask.run.script.arguments runTask.run.script.environment runTask.run.script.code",
        "do: [{a: {run: {script: {language: python, code: x, stdin: '${ .s }', arguments: [a], environment: {e: 1}}}}}]",
        Switch("run-script"),
        "js and python",
    ),
    (
        "a script from outside",
        "runTask.run.script.source",
        "do: [{a: {run: {script: {language: js, source: {endpoint: 'https://h.example/x.js'}}}}}]",
        No,
        "",
    ),
    (
        "a shell command",
        "runTask.run.shell runTask.run.shell.*",
        "do: [{a: {run: {shell: {command: ls, stdin: s, arguments: [a], environment: {e: 1}}}}}]",
        Switch("run-shell"),
        "",
    ),
    (
        "a container",
        "runTask.run.container runTask.run.container.* containerLifetime.* processResult.*",
        "do: [{a: {run: {container: {image: i, name: n, command: c, ports: {}, volumes: {}, environment: {}, stdin: s, arguments: [a], lifetime: {cleanup: eventually, after: PT1M}, pullPolicy: never}, return: all}}}]",
        Switch("run-container"),
        "",
    ),
];

const EVENTS: &[Row] = &[
    ("`fork`", "forkTask.*", "do: [{a: {fork: {branches: [{b: {set: {x: 1}}}, {c: {set: {x: 2}}}]}}}]", Yes, ""),
    ("`fork`, competing", "", "do: [{a: {fork: {compete: true, branches: [{b: {set: {x: 1}}}]}}}]", Yes, ""),
    (
        "`emit`",
        "emitTask.* eventProperties.*",
        "do: [{a: {emit: {event: {with: {source: 'https://h.example', type: t, data: {x: '${ .x }'}}}}}}]",
        Yes,
        "",
    ),
    (
        "`listen` to one",
        "listenTask.* eventConsumptionStrategy.one eventFilter.with",
        "do: [{a: {listen: {to: {one: {with: {type: t}}}, read: data}}}]",
        Yes,
        "",
    ),
    (
        "`listen` to all, correlated",
        "eventConsumptionStrategy.all eventFilter.correlate eventFilter.correlate.*",
        "do: [{a: {listen: {to: {all: [{with: {type: t}, correlate: {r: {from: .r}}}]}}}}]",
        Yes,
        "",
    ),
    (
        "`listen` to any, until",
        "eventConsumptionStrategy.any eventConsumptionStrategy.until eventConsumptionStrategy.until.*",
        "do: [{a: {listen: {to: {any: [{with: {type: t}}], until: '${ true }'}}}}]",
        Yes,
        "",
    ),
    (
        "`listen` with tasks for each event",
        "subscriptionIterator.item subscriptionIterator.at subscriptionIterator.do subscriptionIterator.output",
        "do: [{a: {listen: {to: {any: []}}, foreach: {item: e, at: i, do: [], output: {as: .x}}}}]",
        Yes,
        "without `output.schema`",
    ),
    (
        "`listen` with an export for each event",
        "subscriptionIterator.export",
        "do: [{a: {listen: {to: {any: []}}, foreach: {do: [], export: {as: .x}}}}]",
        No,
        "",
    ),
];
