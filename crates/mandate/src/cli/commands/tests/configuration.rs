//! Commands about configuration, secrets, keys and the state of things, against a server.

use super::{Fake, mandate, mandate_with};
use crate::cli::Exit;
use serde_json::{Value, json};

#[tokio::test]
async fn apply_sends_everything_and_shows_problems_where_they_were_written() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().to_str().unwrap();
    let binding = "apiVersion: mandate.dev/v1\nkind: RoleBinding\nmetadata:\n  name: finance/runners\nspec:\n  subjects: ['user:a']\n  role: runner\n  on: {project: finance}\n";
    std::fs::write(folder.path().join("b.yaml"), binding).unwrap();
    std::fs::write(folder.path().join("limits.cedar"), "forbid (principal, action, resource);").unwrap();
    let fake = Fake::start().await;
    let applied = json!({"items": [{"kind": "RoleBinding", "name": "finance/runners", "version": 2, "digest": "sha256:00", "changed": true}],
        "invalidated_grants": [{"grant": "g", "credential": "finance/key", "worker": "finance/q", "function": "a.b",
                                "why": "the Worker was edited", "owner": "user:finance-director"}]});
    fake.on_json("POST /v1/apply", 200, &applied);
    let done = fake.people(&["apply", "-f", path]).await;
    assert_eq!(done.exit, Exit::Done, "{}", done.err);
    assert!(
        done.out.contains(
            "user:finance-director can give it again: mandate grants give finance/key --worker finance/q --function a.b"
        ),
        "{}",
        done.out
    );
    let sent = fake.seen()[0].body["manifests"].as_array().unwrap().clone();
    let kinds: Vec<&str> = sent.iter().map(|m| m["kind"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["RoleBinding", "Policy"]);
    assert_eq!(fake.admin(&["apply", "-f", path]).await.json(), applied);

    let fake = Fake::start().await;
    fake.on_json("POST /v1/apply", 422, &json!({"title": "The request is not valid", "status": 422,
        "errors": [{"pointer": "/manifests/0/spec/role", "message": "no such role"}, {"pointer": "/manifests/1/spec/text", "message": "not Cedar"}]}));
    let done = fake.admin(&["apply", "-f", path]).await;
    assert_eq!(done.exit, Exit::Usage);
    assert!(
        done.err.contains("b.yaml:7:9: no such role") && done.err.contains("limits.cedar: not Cedar"),
        "{}",
        done.err
    );
}

#[tokio::test]
async fn diff_tells_new_from_changed() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().to_str().unwrap();
    for (name, text) in [("a", "forbid (principal, action, resource);"), ("b", "permit (principal, action, resource);")]
    {
        std::fs::write(folder.path().join(format!("{name}.cedar")), text).unwrap();
    }
    let fake = Fake::start().await;
    fake.on_json(
        "GET /v1/resources/Policy/finance/a",
        200,
        &json!({"kind": "Policy", "spec": {"file": "a.cedar", "text": "old"}}),
    );
    let done = fake.admin(&["diff", "-f", path, "--project", "finance"]).await;
    let items = done.json()["items"].clone();
    assert_eq!((items[0]["change"].as_str(), items[1]["change"].as_str()), (Some("changed"), Some("new")));
    assert!(items[0]["diff"].as_str().unwrap().contains("- text: old"), "{items}");
}

#[tokio::test]
async fn resources_are_listed_and_described() {
    let fake = Fake::start().await;
    let worker = json!({"apiVersion": "mandate.dev/v1", "kind": "Worker", "metadata": {"name": "finance/q", "version": 3,
        "digest": "sha256:00", "writtenBy": "user:a", "writtenAt": "2026-11-22T10:00:00.000Z"}, "spec": {"description": "x"}});
    let list = json!({"items": [worker], "next": null});
    fake.on_json("GET /v1/resources/Worker", 200, &list);
    fake.on_json("GET /v1/resources/Worker/finance/q", 200, &worker);
    let grants = json!({"items": [{"worker": "finance/q", "credential": "c"}, {"worker": "finance/z"}], "next": null});
    fake.on_json("GET /v1/grants", 200, &grants);
    assert_eq!(fake.admin(&["get", "workers"]).await.json(), list);
    assert_eq!(fake.admin(&["get", "worker", "finance/q"]).await.json(), worker);
    assert_eq!(
        fake.admin(&["describe", "Worker", "finance/q"]).await.json()["grants"].as_array().map(Vec::len),
        Some(1)
    );
    assert_eq!(fake.admin(&["get", "worker", "finance/other"]).await.exit, Exit::Refused);
    assert_eq!(fake.people(&["grants", "list"]).await.exit, Exit::Done);
}

#[tokio::test]
async fn grants_are_given_and_revoked() {
    let fake = Fake::start().await;
    let grant =
        json!({"credential": "finance/key", "worker": "finance/q", "function": "a.b", "environment": "sandbox"});
    fake.on_json("POST /v1/grants", 201, &grant).on_json("POST /v1/grants/revoke", 200, &grant);
    let named = ["finance/key", "--worker", "finance/q", "--function", "a.b"];
    let give = [&["grants", "give"][..], &named, &["--not-after", "2026-12-31"]].concat();
    assert_eq!(fake.admin(&give).await.exit, Exit::Done);
    assert_eq!(fake.admin(&[&["grants", "revoke"][..], &named].concat()).await.exit, Exit::Done);
    let late = [&["grants", "give"][..], &named, &["--not-after", "soon"]].concat();
    assert_eq!(fake.admin(&late).await.exit, Exit::Usage);
    let bodies: Vec<Value> = fake.seen().into_iter().map(|seen| seen.body).collect();
    assert_eq!((bodies.len(), bodies[0]["not_after"].as_i64()), (2, Some(1_798_675_200_000)));
    assert_eq!(bodies[1], json!({"credential": "finance/key", "worker": "finance/q", "function": "a.b"}));
}

#[tokio::test]
async fn secrets_go_in_by_stdin_and_are_never_shown() {
    let fake = Fake::start().await;
    fake.on_json("PUT /v1/secrets/finance/key", 200, &json!({"name": "finance/key", "version": 2}));
    let put = ["--url", &fake.url, "--as", "admin", "secrets", "put", "finance/key"];
    let done = mandate_with(b"hunter2\n", &put).await;
    assert_eq!(done.exit, Exit::Done, "{}", done.err);
    assert_eq!(fake.seen()[0].body, json!({"value": "hunter2"}));
    assert!(!done.out.contains("hunter2") && !done.err.contains("hunter2"));
    assert_eq!(mandate_with(b"", &put).await.exit, Exit::Usage);
}

#[tokio::test]
async fn keys_rotate_by_role() {
    let fake = Fake::start().await;
    fake.on_json("POST /v1/keys/evidence/rotate", 200, &json!({"role": "evidence", "key": "k"}));
    assert_eq!(fake.admin(&["keys", "rotate", "evidence"]).await.json()["role"], "evidence");
}

#[tokio::test]
async fn doctor_says_what_is_wrong() {
    let fake = Fake::start().await;
    fake.on_json("GET /readyz", 200, &json!({"status": "ok"}));
    fake.on_json("GET /v1/me", 200, &json!({"subject": "user:admin", "tenant": "demo", "groups": ["admins"]}));
    fake.on_json("GET /v1/audit/checkpoint", 403, &json!({"title": "Refused", "status": 403}));
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("mandate.db"), "").unwrap();
    let done = fake.admin(&["doctor", "--data-dir", folder.path().to_str().unwrap()]).await;
    let items = done.json()["items"].clone();
    let of = |name: &str| items.as_array().unwrap().iter().find(|c| c["check"] == name).unwrap().clone();
    assert_eq!(
        (&of("server")["ok"], &of("token")["ok"], &of("witness")["ok"]),
        (&json!(true), &json!(true), &Value::Null)
    );
    assert_eq!(of("clock")["ok"], json!(true), "{items}");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        let open = std::fs::Permissions::from_mode(0o755);
        std::fs::set_permissions(folder.path(), open).unwrap();
        let done = fake.admin(&["doctor", "--data-dir", folder.path().to_str().unwrap()]).await;
        assert_eq!(done.exit, Exit::Failed);
        assert!(done.out.contains("chmod"), "{}", done.out);
    }
    assert_eq!(mandate(&["--url", "http://127.0.0.1:1", "--as", "admin", "doctor"]).await.exit, Exit::Unreachable);
}

#[tokio::test]
async fn completions_are_written() {
    let done = mandate(&["completions", "bash"]).await;
    assert_eq!(done.exit, Exit::Done);
    assert!(done.out.contains("quarterly") || done.out.contains("_mandate"), "{}", done.out);
}
