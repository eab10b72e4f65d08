//! `mandate get` and `mandate describe`: configuration resources.

use super::more;
use crate::cli::args::{DescribeArgs, GetArgs};
use crate::cli::client::Call;
use crate::cli::output::{cell, items, plain, shown, table};
use crate::cli::{CliError, Exit, Session};
use mandate_directory::Kind;
use mandate_flow::yaml;
use serde_json::{Value, json};

pub(in crate::cli) async fn get(session: &Session<'_>, args: GetArgs) -> Result<Exit, CliError> {
    let (client, out, kind) = (session.client()?, session.out(), args.kind.as_str());
    if let Some(name) = &args.name {
        let found = client.json(Call::get(&format!("/v1/resources/{kind}/{name}"))).await?;
        out.value(&found, |found| listed(std::slice::from_ref(found)))?;
        return Ok(Exit::Done);
    }
    let path = format!("/v1/resources/{kind}");
    let found = client.json(Call::get(&path).query("limit", args.limit).query("after", args.after)).await?;
    out.value(&found, |found| listed(items(found)))?;
    more(&out, &found, "--after");
    Ok(Exit::Done)
}

fn listed(resources: &[Value]) -> String {
    let row = |resource: &Value| {
        let at = |pointer: &str| resource.pointer(pointer).and_then(plain).unwrap_or_default();
        vec![
            cell(resource, "kind"),
            at("/metadata/name"),
            at("/metadata/version"),
            at("/metadata/writtenBy"),
            at("/metadata/writtenAt"),
        ]
    };
    table(&["kind", "name", "version", "written by", "written at"], resources.iter().map(row), "none that you may see")
}

pub(in crate::cli) async fn describe(session: &Session<'_>, args: DescribeArgs) -> Result<Exit, CliError> {
    let (client, out, kind, name) = (session.client()?, session.out(), args.kind.as_str(), &args.name);
    let mut found = client.json(Call::get(&format!("/v1/resources/{kind}/{name}"))).await?;
    if let Some(role) = grant_role(args.kind) {
        let grants = client.json(Call::get("/v1/grants")).await?;
        let mine = |grant: &&Value| grant.get(role).and_then(Value::as_str) == Some(name.as_str());
        let mine: Vec<Value> = items(&grants).iter().filter(mine).cloned().collect();
        if let Value::Object(map) = &mut found {
            map.insert("grants".to_owned(), json!(mine));
        }
    }
    out.value(&found, |found| shown(&yaml::emit(found)))?;
    Ok(Exit::Done)
}

/// As what a resource appears in grants.
const fn grant_role(kind: Kind) -> Option<&'static str> {
    match kind {
        Kind::Worker => Some("worker"),
        Kind::Credential => Some("credential"),
        _ => None,
    }
}
