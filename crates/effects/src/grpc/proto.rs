//! A service's definition, compiled in this process: no `protoc`, no files, no network.

use prost_reflect::{
    DescriptorPool, DeserializeOptions, DynamicMessage, MessageDescriptor, MethodDescriptor, ReflectMessage as _,
    SerializeOptions, Value as Field,
};
use protox::file::{ChainFileResolver, File, FileResolver, GoogleFileResolver};
use serde_json::Value;

/// The name that the definition has for the compiler.
const NAME: &str = "pinned.proto";

/// The longest definition, in bytes, and how deep its blocks nest.
const MAX_SOURCE: usize = 256 << 10;
const MAX_DEPTH: usize = 32;

/// The pinned source, and nothing else.
struct Pinned(String);

impl FileResolver for Pinned {
    fn open_file(&self, name: &str) -> Result<File, protox::Error> {
        if name == NAME { File::from_source(name, &self.0) } else { Err(protox::Error::file_not_found(name)) }
    }
}

/// Compiles a definition. It may import Google's well-known types, and nothing else.
///
/// # Errors
/// What is wrong with it.
pub(crate) fn compile(source: &str) -> Result<DescriptorPool, String> {
    if source.len() > MAX_SOURCE {
        return Err(format!("the definition is longer than {MAX_SOURCE} bytes"));
    }
    let mut depth = 0usize;
    for byte in source.bytes() {
        match byte {
            b'{' | b'[' | b'(' | b'<' => depth = depth.saturating_add(1),
            b'}' | b']' | b')' | b'>' => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth > MAX_DEPTH {
            return Err("the definition nests too deeply".to_owned());
        }
    }
    let mut resolver = ChainFileResolver::new();
    resolver.add(Pinned(source.to_owned()));
    resolver.add(GoogleFileResolver::new());
    let mut compiler = protox::Compiler::with_file_resolver(resolver);
    compiler.include_imports(true).open_file(NAME).map_err(|error| error.to_string())?;
    Ok(compiler.descriptor_pool())
}

/// Finds a method that can be called: one message in, one or a stream out.
///
/// # Errors
/// Why there is none.
pub(super) fn method(pool: &DescriptorPool, service: &str, method: &str) -> Result<MethodDescriptor, &'static str> {
    let service = pool.get_service_by_name(service).ok_or("the definition has no such service")?;
    let found = service.methods().find(|found| found.name() == method).ok_or("the service has no such method")?;
    if found.is_client_streaming() {
        return Err("a method that takes a stream can't be called");
    }
    Ok(found)
}

/// The bytes of a message, from JSON (the mapping of proto3). Members that the message does not have are refused.
///
/// # Errors
/// What is wrong, without repeating anything of the value.
pub(super) fn encode(kind: MessageDescriptor, value: &Value) -> Result<Vec<u8>, &'static str> {
    let options = DeserializeOptions::new().deny_unknown_fields(true);
    let message = DynamicMessage::deserialize_with_options(kind, value, &options)
        .map_err(|_| "argument `arguments` does not fit the method's message")?;
    if !is_ordered(&message) {
        // A map has no order, so the same message would have other bytes the next time.
        return Err("a map with several entries has no one form of bytes, so it can't be judged");
    }
    Ok(prost_reflect::prost::Message::encode_to_vec(&message))
}

/// Whether its bytes are always the same: no map in it has two entries.
fn is_ordered(message: &DynamicMessage) -> bool {
    message.fields().all(|(_, field)| is_ordered_field(field))
}

fn is_ordered_field(field: &Field) -> bool {
    match field {
        Field::Message(inner) => is_ordered(inner),
        Field::List(items) => items.iter().all(is_ordered_field),
        Field::Map(entries) => entries.len() < 2 && entries.values().all(is_ordered_field),
        _ => true,
    }
}

/// A message as JSON, with every field that is not empty.
///
/// # Errors
/// What is wrong with the bytes.
pub(super) fn decode(kind: MessageDescriptor, bytes: &[u8]) -> Result<Value, &'static str> {
    let message = DynamicMessage::decode(kind, bytes).map_err(|_| "is not the method's message")?;
    debug_assert!(!message.descriptor().full_name().is_empty());
    let options = SerializeOptions::new();
    message.serialize_with_options(serde_json::value::Serializer, &options).map_err(|_| "has no form as JSON")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    const GREETER: &str = r#"
        syntax = "proto3";
        package greet.v1;
        import "google/protobuf/timestamp.proto";
        message Request { string name = 1; int64 times = 2; map<string, string> tags = 3; google.protobuf.Timestamp at = 4; Request inner = 5; }
        message Reply { string text = 1; repeated int64 counts = 2; }
        service Greeter {
          rpc Greet (Request) returns (Reply);
          rpc Watch (Request) returns (stream Reply);
          rpc Collect (stream Request) returns (Reply);
        }
    "#;

    #[test]
    fn a_definition_is_compiled_and_its_methods_found() {
        let pool = compile(GREETER).unwrap();
        let greet = method(&pool, "greet.v1.Greeter", "Greet").unwrap();
        assert!(!greet.is_server_streaming());
        assert!(method(&pool, "greet.v1.Greeter", "Watch").unwrap().is_server_streaming());
        for (service, name) in [("greet.v1.Greeter", "Collect"), ("greet.v1.Greeter", "Nothing"), ("Greeter", "Greet")]
        {
            assert!(method(&pool, service, name).is_err(), "{service} {name}");
        }
        let bytes = encode(greet.input(), &json!({"name": "ann", "times": "3", "at": "2026-11-23T00:00:00Z"})).unwrap();
        assert_eq!(
            decode(greet.input(), &bytes).unwrap(),
            json!({"name": "ann", "times": "3", "at": "2026-11-23T00:00:00Z"})
        );
    }

    #[test]
    fn what_can_not_be_judged_or_read_is_refused() {
        let pool = compile(GREETER).unwrap();
        let input = || method(&pool, "greet.v1.Greeter", "Greet").unwrap().input();
        for bad in [
            json!({"nam": "x"}),
            json!({"name": 5}),
            json!([]),
            json!({"tags": {"a": "1", "b": "2"}}),
            json!({"inner": {"tags": {"a": "1", "b": "2"}}}),
        ] {
            assert!(encode(input(), &bad).is_err(), "{bad}");
        }
        assert!(encode(input(), &json!({"tags": {"a": "1"}})).is_ok());
        assert!(decode(input(), b"\xff\xff\xff").is_err());
        for bad in [
            "service X {",
            "syntax = \"proto3\"; import \"other.proto\";",
            "syntax = \"proto3\"; import \"/etc/passwd\";",
            &"message A {".repeat(100),
        ] {
            assert!(compile(bad).is_err(), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn the_same_value_has_the_same_bytes(name in ".{0,20}", times in any::<i64>(), tag in ".{0,5}") {
            let pool = compile(GREETER).unwrap();
            let value = json!({"name": name, "times": times.to_string(), "tags": {tag: "x"}});
            let input = || method(&pool, "greet.v1.Greeter", "Greet").unwrap().input();
            prop_assert_eq!(encode(input(), &value), encode(input(), &value));
        }

        #[test]
        fn any_bytes_are_survived(bytes in proptest::collection::vec(any::<u8>(), 0..100)) {
            let pool = compile(GREETER).unwrap();
            let _ = decode(method(&pool, "greet.v1.Greeter", "Greet").unwrap().output(), &bytes);
        }
    }
}
