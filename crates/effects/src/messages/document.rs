//! AsyncAPI documents, 2 and 3, as far as a call needs them: where an operation goes, which way, and over what.
//! Where its servers are counts for nothing: the function's connection says that.

use serde_json::{Map, Value};

/// Which way messages go, seen from the run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Way {
    Publish,
    Subscribe,
}

/// What messages go over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Over {
    /// A request to publish, server-sent events to subscribe.
    Http,
    WebSocket,
}

/// An operation of a document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Operation {
    /// Its name, or its channel's: what a function lists.
    pub(super) name: String,
    /// The path below the connection's URL.
    pub(super) path: String,
    pub(super) over: Over,
}

/// What a call names of a document.
#[derive(Debug, Clone, Copy)]
pub(super) struct Named<'a> {
    pub(super) operation: Option<&'a str>,
    pub(super) channel: Option<&'a str>,
    pub(super) server: Option<&'a str>,
    pub(super) protocol: Option<&'a str>,
}

/// Whether a document is one that calls can be made by.
///
/// # Errors
/// What is wrong with it.
pub(crate) fn check(document: &Value) -> Result<(), String> {
    major(document)?;
    object(document, "channels").map(drop).ok_or_else(|| "it has no `channels`".to_owned())
}

/// Finds the operation that a call names.
///
/// # Errors
/// Why there is none; it repeats nothing of the call.
pub(super) fn operation(document: &Value, named: &Named<'_>, way: Way) -> Result<Operation, String> {
    let over = over(document, named)?;
    let (name, address) = match major(document)? {
        2 => of_two(document, named, way)?,
        _ => of_three(document, named, way)?,
    };
    if address.contains(['{', '}', '?', '#']) {
        return Err("the channel's address has parameters or a query, which a call can't give".to_owned());
    }
    let path = if address.starts_with('/') { address } else { format!("/{address}") };
    Ok(Operation { name, path, over })
}

fn major(document: &Value) -> Result<u8, String> {
    let version = document.get("asyncapi").and_then(Value::as_str).unwrap_or_default();
    match version.split('.').next() {
        Some("2") => Ok(2),
        Some("3") => Ok(3),
        _ => Err("it is no AsyncAPI document of version 2 or 3".to_owned()),
    }
}

fn object<'a>(value: &'a Value, key: &str) -> Option<&'a Map<String, Value>> {
    value.get(key).and_then(Value::as_object)
}

/// A document of version 2 speaks to its clients: `publish` is what they may do.
fn of_two(document: &Value, named: &Named<'_>, way: Way) -> Result<(String, String), String> {
    let key = if way == Way::Publish { "publish" } else { "subscribe" };
    let channels = object(document, "channels").ok_or("the document has no `channels`")?;
    if let Some(channel) = named.channel {
        let found = channels.get(channel).ok_or("the document has no such channel")?;
        found.get(key).ok_or_else(|| format!("clients can't {key} on that channel"))?;
        return Ok((channel.to_owned(), channel.to_owned()));
    }
    let wanted = named.operation.ok_or("neither `channel` nor `operation` is given")?;
    let is_it = |channel: &Value| {
        channel.get(key).and_then(|operation| operation.get("operationId")).and_then(Value::as_str) == Some(wanted)
    };
    let mut found = channels.iter().filter(|(_, channel)| is_it(channel));
    match (found.next(), found.next()) {
        (Some((address, _)), None) => Ok((wanted.to_owned(), address.clone())),
        (Some(_), Some(_)) => Err("the document has that operation twice".to_owned()),
        (None, _) => Err(format!("the document has no such operation that clients {key} by")),
    }
}

/// A document of version 3 speaks of the application itself, here the run: it sends or receives.
fn of_three(document: &Value, named: &Named<'_>, way: Way) -> Result<(String, String), String> {
    let wanted = named.operation.ok_or("a document of version 3 is called by `operation`")?;
    let operation =
        object(document, "operations").and_then(|all| all.get(wanted)).ok_or("the document has no such operation")?;
    let action = if way == Way::Publish { "send" } else { "receive" };
    if operation.get("action").and_then(Value::as_str) != Some(action) {
        return Err(format!("the action of that operation is not `{action}`"));
    }
    let reference = operation.pointer("/channel/$ref").and_then(Value::as_str).unwrap_or_default();
    let key = reference.strip_prefix("#/channels/").ok_or("the operation's channel is no `#/channels/…`")?;
    let key = key.replace("~1", "/").replace("~0", "~");
    let channel =
        object(document, "channels").and_then(|all| all.get(&key)).ok_or("the operation's channel is not there")?;
    let address = channel.get("address").and_then(Value::as_str).unwrap_or(&key);
    Ok((wanted.to_owned(), address.to_owned()))
}

/// What the call says, else the server that it names, else the first server of a known protocol.
fn over(document: &Value, named: &Named<'_>) -> Result<Over, String> {
    let known = |protocol: &str| match protocol {
        "http" | "https" => Some(Over::Http),
        "ws" | "wss" => Some(Over::WebSocket),
        _ => None,
    };
    let none = "the protocol is none of http and ws";
    if let Some(protocol) = named.protocol {
        return known(protocol).ok_or_else(|| none.to_owned());
    }
    let servers = object(document, "servers");
    let protocol = |server: &Value| server.get("protocol").and_then(Value::as_str).and_then(known);
    if let Some(name) = named.server {
        let server = servers.and_then(|all| all.get(name)).ok_or("the document has no such server")?;
        return protocol(server).ok_or_else(|| none.to_owned());
    }
    match servers.filter(|all| !all.is_empty()) {
        None => Ok(Over::Http),
        Some(all) => all.values().find_map(protocol).ok_or_else(|| none.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn named<'a>(operation: Option<&'a str>, channel: Option<&'a str>) -> Named<'a> {
        Named { operation, channel, server: None, protocol: None }
    }

    fn two() -> Value {
        json!({
            "asyncapi": "2.6.0",
            "servers": {"bus": {"url": "kafka://x", "protocol": "kafka"}, "live": {"url": "wss://evil.example", "protocol": "wss"}},
            "channels": {
                "/notes": {"subscribe": {"operationId": "getNotes"}, "publish": {"operationId": "addNote"}},
                "rooms/{id}": {"subscribe": {"operationId": "getRoom"}},
            },
        })
    }

    fn three() -> Value {
        json!({
            "asyncapi": "3.0.0",
            "channels": {"a/b": {"address": "/readings"}, "bare": {}},
            "operations": {
                "report": {"action": "send", "channel": {"$ref": "#/channels/a~1b"}},
                "watch": {"action": "receive", "channel": {"$ref": "#/channels/bare"}},
                "stray": {"action": "send", "channel": {"$ref": "https://evil.example/#/channels/x"}},
            },
        })
    }

    #[test]
    fn operations_are_found_in_both_versions() {
        let found = operation(&two(), &named(Some("addNote"), None), Way::Publish).unwrap();
        assert_eq!((found.path.as_str(), found.over), ("/notes", Over::WebSocket));
        assert_eq!(operation(&two(), &named(None, Some("/notes")), Way::Subscribe).unwrap().name, "/notes");
        let report = operation(&three(), &named(Some("report"), None), Way::Publish).unwrap();
        assert_eq!((report.path.as_str(), report.over), ("/readings", Over::Http));
        assert_eq!(operation(&three(), &named(Some("watch"), None), Way::Subscribe).unwrap().path, "/bare");
    }

    #[test]
    fn what_is_not_there_is_refused() {
        for (document, named, way) in [
            (two(), named(Some("addNote"), None), Way::Subscribe),
            (two(), named(Some("getRoom"), None), Way::Subscribe),
            (two(), named(None, Some("rooms/{id}")), Way::Publish),
            (two(), named(None, Some("/other")), Way::Publish),
            (three(), named(Some("report"), None), Way::Subscribe),
            (three(), named(Some("stray"), None), Way::Publish),
            (three(), named(None, Some("a/b")), Way::Publish),
            (json!({"asyncapi": "1.0.0", "channels": {}}), named(Some("x"), None), Way::Publish),
            (json!(null), named(Some("x"), None), Way::Publish),
        ] {
            assert!(operation(&document, &named, way).is_err(), "{named:?}");
        }
        let kafka = Named { server: Some("bus"), ..named(Some("addNote"), None) };
        assert!(operation(&two(), &kafka, Way::Publish).is_err());
        let http = Named { protocol: Some("http"), ..kafka };
        assert_eq!(operation(&two(), &http, Way::Publish).unwrap().over, Over::Http);
        assert!(check(&json!({"asyncapi": "3.0.0"})).is_err() && check(&three()).is_ok());
    }
}
