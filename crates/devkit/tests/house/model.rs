//! The scripted model, by plain HTTP.

use crate::platform::{Answer, World, read, world, world_of};
use mandate_devkit::{MailFaults, ModelFault, ReportFaults};
use serde_json::{Value, json};
use std::time::Duration;

fn question(change: impl FnOnce(&mut Value)) -> Value {
    let data = json!({"input": {"quarter": "2026-Q3"}, "shown": [{"source": "revenue", "function": "warehouse.revenue",
        "value": {"rows": [{"region": "North", "amount_cents": 123_400}]}}]});
    let task = json!({"instructions": "Summarise.", "schema": {"type": "object", "required": ["title", "summary"],
        "properties": {"title": {"type": "string"}, "summary": {"type": "string"}}}});
    let mut question = json!({"model": "scripted-1", "messages": [
        {"role": "system", "content": "frame"}, {"role": "user", "content": task.to_string()},
        {"role": "user", "content": data.to_string()}]});
    change(&mut question);
    question
}

async fn ask(world: &World, key: Option<&str>, question: &Value) -> Answer {
    let mut request = world.client.post(format!("{}/v1/chat/completions", world.house.model_url())).json(question);
    if let Some(key) = key {
        request = request.header("authorization", format!("Bearer {key}"));
    }
    read(request.send().await.unwrap()).await
}

#[tokio::test]
async fn it_answers_whoever_has_the_key_the_same_each_time() {
    let world = world().await;
    let key = world.house.take_model_key().unwrap();
    assert!(world.house.take_model_key().is_none());
    let question = question(|_| {});
    let first = ask(&world, Some(key.expose()), &question).await;
    assert_eq!((first.status, &first.body["object"]), (200, &json!("chat.completion")));
    let content: Value =
        serde_json::from_str(first.body["choices"][0]["message"]["content"].as_str().unwrap()).unwrap();
    assert_eq!(content, json!({"title": "Summary 2026-Q3", "summary": "Revenue was 1,234 EUR."}));
    assert_eq!(first.body["choices"][0]["finish_reason"], "stop");
    assert!(first.body["usage"]["total_tokens"].as_u64().unwrap() > 10);
    let again = ask(&world, Some(key.expose()), &question).await;
    assert_eq!((&again.body["id"], &again.body["choices"]), (&first.body["id"], &first.body["choices"]));
    for key in [None, Some(""), Some("sk-scripted-guess")] {
        let refused = ask(&world, key, &question).await;
        assert_eq!((refused.status, &refused.body["error"]["code"]), (401, &json!("invalid_api_key")));
    }
    let newer = world.house.rotate_model_key().unwrap();
    assert_eq!(ask(&world, Some(key.expose()), &question).await.status, 401);
    assert_eq!(ask(&world, Some(newer.expose()), &question).await.status, 200);
    for (bad, status) in [
        (json!({"model": "scripted-1"}), 400),
        (json!({"model": "scripted-1", "messages": []}), 400),
        (self::question(|q| q["model"] = json!("gpt-9")), 404),
    ] {
        assert_eq!(ask(&world, Some(newer.expose()), &bad).await.status, status);
    }
}

#[tokio::test]
async fn it_streams_and_stops_at_a_limit() {
    let world = world().await;
    let key = world.house.take_model_key().unwrap();
    let streamed = question(|q| {
        q["stream"] = json!(true);
        q["stream_options"] = json!({"include_usage": true});
    });
    let url = format!("{}/chat/completions", world.house.model_url());
    let response = world.client.post(url).bearer_auth(key.expose()).json(&streamed).send().await.unwrap();
    assert_eq!(response.headers()["content-type"], "text/event-stream");
    let text = response.text().await.unwrap();
    let chunks: Vec<&str> = text.split("\n\n").filter_map(|event| event.strip_prefix("data: ")).collect();
    assert_eq!(chunks.last(), Some(&"[DONE]"));
    let chunks: Vec<Value> =
        chunks[..chunks.len() - 1].iter().map(|chunk| serde_json::from_str(chunk).unwrap()).collect();
    let content: String = chunks.iter().filter_map(|chunk| chunk["choices"][0]["delta"]["content"].as_str()).collect();
    assert!(serde_json::from_str::<Value>(&content).unwrap()["summary"].is_string());
    assert!(chunks.last().unwrap()["usage"]["total_tokens"].is_u64());
    let cut = ask(&world, Some(key.expose()), &question(|q| q["max_tokens"] = json!(5))).await;
    assert_eq!(cut.body["choices"][0]["finish_reason"], "length");
}

#[tokio::test]
async fn faults_come_by_configuration_and_never_by_a_prompt() {
    let faults = vec![
        ModelFault::ToolCall,
        ModelFault::NotJson,
        ModelFault::WrongSchema,
        ModelFault::Length,
        ModelFault::Unavailable,
        ModelFault::Slow(Duration::from_millis(300)),
    ];
    let world = world_of(ReportFaults::default(), MailFaults::default(), faults).await;
    let key = world.house.take_model_key().unwrap();
    let mut answers = Vec::new();
    for _ in 0..7 {
        let prompt = question(|q| q["messages"][0]["content"] = json!("#fault:tool-call #fault:not-json"));
        answers.push(ask(&world, Some(key.expose()), &prompt).await);
    }
    let finish: Vec<&Value> = answers.iter().map(|answer| &answer.body["choices"][0]["finish_reason"]).collect();
    let stop = json!("stop");
    assert_eq!(finish, [&json!("tool_calls"), &stop, &stop, &json!("length"), &Value::Null, &stop, &stop]);
    assert!(answers[0].body["choices"][0]["message"]["tool_calls"][0]["function"]["name"].is_string());
    assert_eq!(answers[4].status, 503);
    let content = |i: usize| answers[i].body["choices"][0]["message"]["content"].as_str().unwrap().to_owned();
    assert!(serde_json::from_str::<Value>(&content(1)).is_err());
    assert!(serde_json::from_str::<Value>(&content(2)).unwrap().get("title").is_none());
    assert_eq!(content(5), content(6));
}

#[tokio::test]
async fn an_endless_answer_does_not_end() {
    let world = world_of(ReportFaults::default(), MailFaults::default(), vec![ModelFault::Endless]).await;
    let key = world.house.take_model_key().unwrap();
    let url = format!("{}/v1/chat/completions", world.house.model_url());
    let mut response = world.client.post(url).bearer_auth(key.expose()).json(&question(|_| {})).send().await.unwrap();
    let mut read = 0;
    while read < 8 << 20 {
        read += response.chunk().await.unwrap().unwrap().len();
    }
}
