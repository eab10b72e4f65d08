//! Entries: one golden form, strict reading, rules per kind.

use super::*;
use crate::{EntryError, Ocsf};
use mandate_kernel::canonical_json;
use proptest::prelude::*;

fn event(kind: EventKind, details: Value) -> Event {
    let run = (kind.run_scope() == crate::kind::RunScope::Always).then(|| RunLink {
        run: run_id(0),
        seq: 1,
        prev: Some(crate::leaf_hash(b"before")),
    });
    Event {
        time: Timestamp::from_millis(1_790_000_000_123),
        tenant: demo(),
        kind,
        actor: "user:finance-lead".to_owned(),
        run,
        details,
    }
}

#[test]
fn one_entry_as_it_is_written() {
    let details =
        json!({"status": "not-yet", "function": "report.publish", "decision": "dec_01J9ZK3Y4T6W8Q2N5R7VX0ABCD"});
    let entry = event(EventKind::StepDecided, details).encode().unwrap();
    let object: Value = serde_json::from_slice(entry.bytes()).unwrap();
    insta::assert_json_snapshot!(object);
    insta::assert_snapshot!(entry.leaf_hash());
}

#[test]
fn the_mapping_to_ocsf() {
    let table: Vec<String> = EventKind::ALL
        .iter()
        .map(|kind| {
            let ocsf = Ocsf::of(*kind);
            assert_eq!(ocsf.type_uid(), ocsf.class_uid() * 100 + ocsf.activity_id());
            format!(
                "{kind}: {} {} / {} {} / severity {}",
                ocsf.class_uid(),
                ocsf.class_name(),
                ocsf.activity_id(),
                ocsf.activity_name(),
                ocsf.severity_id()
            )
        })
        .collect();
    insta::assert_snapshot!(table.join("\n"));
}

#[test]
fn every_kind_reads_back() {
    for kind in EventKind::ALL {
        assert_eq!(EventKind::parse(kind.as_str()), Some(*kind));
        let event = event(*kind, json!({"status": "deny", "n": 0.1}));
        let entry = event.encode().unwrap();
        let (again, read) = Entry::decode(entry.bytes()).unwrap();
        assert_eq!((again, read), (entry, event));
    }
}

#[test]
fn refuses_events_that_break_a_rule() {
    let decided = || event(EventKind::StepDecided, json!({}));
    let link = |seq, prev| Some(RunLink { run: run_id(0), seq, prev });
    let deep = (0..70).fold(json!(1), |inner, _| json!([inner]));
    let table = [
        (event(EventKind::StepDecided, json!([])), "must be a JSON object"),
        (event(EventKind::StepDecided, json!({"n": 1u64 << 53})), "beyond 2^53"),
        (event(EventKind::StepDecided, json!({"n": i64::MIN})), "beyond 2^53"),
        (event(EventKind::StepDecided, json!({"a": deep})), "deeper than 64"),
        (event(EventKind::StepDecided, json!({"a": "x".repeat(66_000)})), "exceeds 65535"),
        (Event { actor: "finance-lead".to_owned(), ..decided() }, "kind:name"),
        (Event { run: None, ..decided() }, "needs a link"),
        (Event { run: link(0, Some(crate::leaf_hash(b""))), ..decided() }, "must not name"),
        (Event { run: link(3, None), ..decided() }, "must name"),
        (Event { run: link(0, None), ..event(EventKind::SecretPut, json!({})) }, "must not carry"),
    ];
    for (event, expected) in table {
        let message = event.encode().unwrap_err().to_string();
        assert!(message.contains(expected), "{message}");
    }
}

#[test]
fn refuses_bytes_that_are_not_the_one_form() {
    let good = event(EventKind::StepDecided, json!({"status": "allow"})).encode().unwrap();
    let text = String::from_utf8(good.bytes().to_vec()).unwrap();
    let mut object: Value = serde_json::from_str(&text).unwrap();
    object["severity_id"] = json!(5);
    let other_severity = String::from_utf8(canonical_json(&object).unwrap()).unwrap();
    for bad in [
        format!(" {text}"),
        text.replacen(':', ": ", 1),
        text.replace("allow", "\\u0061llow"),
        text.replace("\"status_id\":1", "\"status_id\":1.0"),
        text.replace("\"allow\"", "\"deny\""),
        text.replace("\"kind\"", "\"kinds\""),
        text.replace("\"type_uid\"", "\"type_uids\""),
        text.replace("step-decided", "step-unheard-of"),
        text.replacen('{', "{\"aaa\":1,", 1),
        other_severity,
        "{}".to_owned(),
        "null".to_owned(),
        String::new(),
    ] {
        if bad != text {
            assert!(Entry::decode(bad.as_bytes()).is_err(), "{bad}");
        }
    }
    assert!(matches!(Entry::decode(&[b'1'; 65_536]), Err(EntryError::TooLarge { size: 65_536 })));
}

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        (-(1i64 << 53) + 1..(1i64 << 53)).prop_map(Value::from),
        any::<f64>().prop_filter("finite", |x| x.is_finite() && x.abs() < 1e15).prop_map(Value::from),
        any::<f64>().prop_filter("tiny", |x| x.is_finite()).prop_map(|x| Value::from(x % 1.0)),
        any::<String>().prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 32, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            prop::collection::btree_map(any::<String>(), inner, 0..6)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn whatever_is_written_reads_back(details in any_json(), actor in "[a-z]{1,6}:\\PC{1,12}") {
        let written = Event { actor, ..event(EventKind::StepSucceeded, json!({"result": details})) };
        let entry = written.encode().unwrap();
        let (again, read) = Entry::decode(entry.bytes()).unwrap();
        prop_assert_eq!(read.encode().unwrap(), again.clone());
        prop_assert_eq!(again, entry);
    }

    #[test]
    fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        prop_assert!(Entry::decode(&bytes).is_err());
    }
}
