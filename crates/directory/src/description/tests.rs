//! What is read of descriptions, and what is not taken.
use super::*;
use serde_json::json;

fn three(paths: Value) -> PinnedDocument {
    let document = json!({
        "openapi": "3.1.0", "servers": [{"url": "https://{host}.example/v1/", "variables": {"host": {"default": "shop"}}}],
        "components": {"parameters": {
            "id": {"name": "id", "in": "path", "required": true, "schema": {}}, "loop": {"$ref": "#/components/parameters/loop"},
        }},
        "paths": paths,
    });
    PinnedDocument { uri: "https://shop.example/api/openapi.json".to_owned(), content: document }
}

fn one(method: &str, operation: Value) -> PinnedDocument {
    let mut operation = operation;
    operation["operationId"] = json!("it");
    three(json!({"/things/{id}": {"parameters": [{"$ref": "#/components/parameters/id"}], method: operation}}))
}

#[test]
fn an_operation_is_read_with_what_it_refers_to() {
    let described = one(
        "post",
        json!({
            "parameters": [
                {"name": "q", "in": "query", "style": "pipeDelimited"}, {"name": "X-Trace", "in": "header", "required": true},
                {"name": "session", "in": "cookie"},
            ],
            "requestBody": {"required": true, "content": {"text/plain": {}, "application/vnd.thing+json": {}}},
        }),
    );
    described.check_openapi().unwrap();
    let found = described.operation("it").unwrap();
    assert_eq!((found.method, found.path), (Method::Post, "/things/{id}"));
    assert_eq!(found.servers, ["https://shop.example/v1"]);
    let places: Vec<_> = found.parameters.iter().map(|p| (p.name, p.place, p.required, p.spread)).collect();
    assert_eq!(
        places,
        [
            ("id", Place::Path, true, Spread::Joined(",")),
            ("q", Place::Query, false, Spread::Joined("|")),
            ("X-Trace", Place::Header, true, Spread::Joined(",")),
        ]
    );
    let body = found.body.unwrap();
    assert_eq!((body.name, body.required, body.form), ("body", true, BodyForm::Json("application/vnd.thing+json")));
    assert_eq!(described.method_of("it"), Some(Method::Post));
    assert_eq!(described.method_of("other"), None);
}

#[test]
fn an_operations_own_words_win() {
    let mut described = one(
        "get",
        json!({"parameters": [{"name": "id", "in": "path", "required": true, "explode": true}], "servers": [{"url": "v2"}]}),
    );
    assert_eq!(described.operation("it").unwrap().servers, ["https://shop.example/api/v2"]);
    assert_eq!(described.operation("it").unwrap().parameters.len(), 1);
    described.content["paths"]["/things/{id}"]["get"]["servers"] = json!([]);
    described.content["servers"] = json!([]);
    assert_eq!(described.operation("it").unwrap().servers, ["https://shop.example"]);
}

#[test]
fn swagger_two_has_its_own_places() {
    let document = json!({
        "swagger": "2.0", "host": "pets.example", "basePath": "/v2", "schemes": ["https", "http"],
        "paths": {
            "/pet": {"post": {"operationId": "add", "parameters": [{"name": "pet", "in": "body", "required": true}]}},
            "/pet/{id}": {"post": {
                "operationId": "rename", "consumes": ["application/x-www-form-urlencoded"],
                "parameters": [
                    {"name": "id", "in": "path", "required": true}, {"name": "name", "in": "formData", "type": "string"},
                ],
            }},
            "/pet/{id}/photo": {"post": {"operationId": "photo", "parameters": [{"name": "file", "in": "formData", "type": "file"}]}},
        },
    });
    let described = PinnedDocument { uri: "https://pets.example/v2/swagger.json".to_owned(), content: document };
    described.check_openapi().unwrap();
    let add = described.operation("add").unwrap();
    assert_eq!(add.servers, ["https://pets.example/v2", "http://pets.example/v2"]);
    assert_eq!(add.body.unwrap().name, "pet");
    assert_eq!(described.operation("rename").unwrap().parameters.last().unwrap().place, Place::Form);
    assert!(described.operation("photo").unwrap_err().contains("file"));
}

#[test]
fn what_no_call_can_have_is_said_when_it_is_looked_up() {
    for (operation, said) in [
        (json!({"parameters": [{"$ref": "https://evil.example/p.json"}]}), "outside the description"),
        (json!({"parameters": [{"$ref": "#/nowhere"}]}), "nothing"),
        (json!({"parameters": [{"$ref": "#/components/parameters/loop"}]}), "circle"),
        (json!({"parameters": [{"name": "s", "in": "cookie", "required": true}]}), "credential"),
        (json!({"parameters": [{"name": "m", "in": "path", "style": "matrix"}]}), "style"),
        (json!({"parameters": [{"name": "c", "in": "query", "content": {}}]}), "content"),
        (json!({"parameters": [{"in": "query"}]}), "no name"),
        (json!({"requestBody": {"content": {"application/json": {}}}}), "method has not"),
        (json!({"servers": [{"url": "https://{x}.example"}]}), "default"),
        (json!({"servers": [{"url": "../admin"}]}), "dots"),
    ] {
        let why = one("get", operation.clone()).operation("it").unwrap_err();
        assert!(why.contains(said), "{operation}: {why}");
    }
    let multipart = one("post", json!({"requestBody": {"content": {"multipart/form-data": {}}}}));
    assert!(multipart.operation("it").unwrap_err().contains("neither JSON"));
    let twice = three(json!({"/a": {"get": {"operationId": "it"}}, "/b": {"get": {"operationId": "it"}}}));
    assert!(twice.operation("it").unwrap_err().contains("two operations"));
    assert!(twice.operation("other").unwrap_err().contains("no operation"));
}

#[test]
fn what_is_no_description_is_refused_where_it_stands() {
    let good = one("get", json!({}));
    for uri in ["shop.example/api", "file:///etc/passwd", "https://", "https:///x", "https://shop.example/a?b"] {
        assert_eq!(
            PinnedDocument { uri: uri.to_owned(), ..good.clone() }.check_openapi().unwrap_err().0,
            "/document/uri",
            "{uri}"
        );
    }
    for document in
        [json!({}), json!(null), json!({"openapi": "4.0.0"}), json!({"openapi": "3.1.0"}), json!({"swagger": "1.2"})]
    {
        assert_eq!(
            PinnedDocument { content: document, ..good.clone() }.check_openapi().unwrap_err().0,
            "/document/content"
        );
    }
}

proptest::proptest! {
    /// A description is somebody's file: whatever stands in it, it is read or refused.
    #[test]
    fn any_operation_is_read_or_refused(text in "[a-z{}/#.:0]{0,12}", place in "path|query|header|cookie|body|formData|x", two: bool) {
        let operation = json!({
            "operationId": "it", "parameters": [{"name": text, "in": place, "style": text, "$ref": text}, {"name": text, "in": place}],
            "servers": [{"url": text}], "requestBody": {"$ref": format!("#/{text}")}, "consumes": [text],
        });
        let head = if two { json!({"swagger": "2.0", "host": text}) } else { json!({"openapi": "3.0.0", "servers": text}) };
        let mut document = head;
        document["paths"] = json!({format!("/{text}"): {"post": operation}});
        let described = PinnedDocument { uri: "https://a.example/b".to_owned(), content: document };
        let _ = (described.check_openapi(), described.operation("it"));
    }
}
