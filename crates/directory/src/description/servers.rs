//! Where an operation is served, by its description. Where a call may go is the connection's to say.

use super::parts::Version;
use serde_json::Value;

/// The servers of an operation in the description's order.
pub(super) fn of(
    uri: &str,
    document: &Value,
    version: Version,
    item: &Value,
    operation: &Value,
) -> Result<Vec<String>, String> {
    let found = match version {
        Version::Two => of_two(uri, document, operation),
        Version::Three => {
            let list = [operation, item, document]
                .into_iter()
                .find_map(|owner| owner.get("servers").and_then(Value::as_array).filter(|servers| !servers.is_empty()));
            match list {
                None => vec![absolute(uri, "/")?],
                Some(list) => list.iter().map(|server| absolute(uri, &filled(server)?)).collect::<Result<_, _>>()?,
            }
        }
    };
    Ok(found.into_iter().map(|server| server.trim_end_matches('/').to_owned()).collect())
}

/// `schemes`, `host` and `basePath` (Swagger 2.0); what is left out is the description's own.
fn of_two(uri: &str, document: &Value, operation: &Value) -> Vec<String> {
    let text = |key| document.get(key).and_then(Value::as_str);
    let (scheme, rest) = uri.split_once("://").unwrap_or(("https", uri));
    let host = text("host").unwrap_or_else(|| rest.split('/').next().unwrap_or_default());
    let path = text("basePath").unwrap_or_default();
    let said = [operation, document].into_iter().find_map(|owner| owner.get("schemes").and_then(Value::as_array));
    let schemes: Vec<&str> = said.map_or_else(|| vec![scheme], |list| list.iter().filter_map(Value::as_str).collect());
    schemes.into_iter().map(|scheme| format!("{scheme}://{host}{path}")).collect()
}

/// A server's URL with the default of each of its variables.
fn filled(server: &Value) -> Result<String, String> {
    let url = server.get("url").and_then(Value::as_str).ok_or("a server of the description has no url")?;
    let (mut out, mut rest) = (String::new(), url);
    while let Some((text, after)) = rest.split_once('{') {
        let (name, next) = after.split_once('}').ok_or("a server's url has a `{` that is not closed")?;
        let default = server.get("variables").and_then(|all| all.get(name)?.get("default")?.as_str());
        out.push_str(text);
        out.push_str(default.ok_or("a variable of a server's url has no default")?);
        rest = next;
    }
    out.push_str(rest);
    Ok(out)
}

/// A URL that may be relative to the description's (RFC 3986 §5.2, without dots for segments).
fn absolute(uri: &str, url: &str) -> Result<String, String> {
    if url.contains("://") {
        return Ok(url.to_owned());
    }
    let (scheme, rest) = uri.split_once("://").ok_or("the description's uri is not absolute")?;
    let (host, path) = rest.split_once('/').unwrap_or((rest, ""));
    if let Some(other) = url.strip_prefix("//") {
        return Ok(format!("{scheme}://{other}"));
    }
    if url.split('/').any(|segment| matches!(segment, "." | "..")) {
        return Err("a server's url has dots for segments".to_owned());
    }
    if url.starts_with('/') {
        return Ok(format!("{scheme}://{host}{url}"));
    }
    let folder = path.rsplit_once('/').map_or("", |(folder, _)| folder);
    let slash = if folder.is_empty() { "" } else { "/" };
    Ok(format!("{scheme}://{host}/{folder}{slash}{url}"))
}
