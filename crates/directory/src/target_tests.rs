//! Targets as manifests write them.

use crate::{API_VERSION, FunctionSpec, Manifest, Spec};
use mandate_kernel::{Category, Confidentiality, Duration};
use serde_json::{Value, json};

fn function(change: impl FnOnce(&mut Value), spec: &Value) -> Result<FunctionSpec, String> {
    let mut spec = spec.clone();
    change(&mut spec);
    let manifest =
        json!({"apiVersion": API_VERSION, "kind": "Function", "metadata": {"name": "finance/x.y"}, "spec": spec});
    match Manifest::from_json(manifest).unwrap().typed().map_err(|e| e.to_string())? {
        Spec::Function(function) => Ok(*function),
        other => panic!("{other:?}"),
    }
}

fn model() -> Value {
    json!({"effect": "read", "model": "service-account", "target": {"model": {
        "connection": "model", "model": "scripted-1", "temperature": 0.2, "maxTokens": 4000,
        "clearance": {"confidentiality": "confidential", "data": ["financial"], "readers": ["finance"]}}}})
}

fn mail() -> Value {
    json!({"effect": "once", "model": "service-account", "class": {"impact": "action-taking"},
        "arguments": {"to": {"type": "string", "oneOf": ["board@finance.example"]}},
        "target": {"mail": {"connection": "smtp", "from": "mandate@finance.example"}}})
}

fn review() -> Value {
    json!({"effect": "read", "model": "workflow-bound",
        "target": {"review": {"groups": ["finance-leadership"], "expires": "PT24H"}}})
}

#[test]
fn what_is_written_comes_back() {
    for spec in [model(), mail(), review()] {
        let read = function(|_| {}, &spec).unwrap();
        let written = serde_json::to_value(&read).unwrap();
        assert_eq!(written["target"], spec["target"]);
        assert_eq!(serde_json::from_value::<FunctionSpec>(written).unwrap(), read);
    }
    let super::Target::Review(review) = function(|_| {}, &review()).unwrap().target else { panic!() };
    assert_eq!(review.expires.duration(), Duration::from_secs(86_400));
}

#[test]
fn what_can_never_work_is_refused_with_its_place() {
    type Change = fn(&mut Value);
    let cases: [(Value, Change, &str); 22] = [
        (model(), |s| s["effect"] = json!("once"), "/spec/effect: a model call"),
        (model(), |s| s["model"] = json!("delegated"), "/spec/model: models and mail servers"),
        (model(), |s| s["target"]["model"]["model"] = json!(""), "/spec/target/model/model"),
        (model(), |s| s["target"]["model"]["model"] = json!("a b"), "/spec/target/model/model"),
        (model(), |s| s["target"]["model"]["connection"] = json!(""), "/spec/target/model/connection"),
        (model(), |s| s["target"]["model"]["temperature"] = json!(2.1), "/temperature"),
        (model(), |s| s["target"]["model"]["temperature"] = json!(-0.1), "/temperature"),
        (model(), |s| s["target"]["model"]["maxTokens"] = json!(0), "/maxTokens"),
        (model(), |s| s["target"]["model"]["clearance"]["readers"] = json!([]), "/clearance/readers"),
        (model(), |s| s["target"]["model"]["clearance"] = json!({}), "missing field `confidentiality`"),
        (model(), |s| s["target"]["model"]["tools"] = json!([]), "unknown field `tools`"),
        (model(), |s| s["timeoutMs"] = json!(0), "/spec/timeoutMs"),
        (model(), |s| s["arguments"] = json!({"to": {"type": "string"}}), "/spec/arguments"),
        (mail(), |s| s["effect"] = json!("idempotent"), "/spec/effect: no mail server"),
        (mail(), |s| s["class"] = json!({}), "/spec/class/impact"),
        (mail(), |s| s["model"] = json!("workflow-bound"), "/spec/model"),
        (mail(), |s| s["target"]["mail"]["from"] = json!("Mandate <a@b.c>"), "is not one mail address"),
        (mail(), |s| s["arguments"] = json!({"cc": {"type": "string"}}), "/spec/arguments"),
        (review(), |s| s["target"]["review"]["groups"] = json!([]), "/spec/target/review/groups"),
        (review(), |s| s["target"]["review"]["expires"] = json!("P1M"), "PT24H or P3D"),
        (model(), |s| s["returns"] = json!({"fields": [{"at": "/a"}]}), "/spec/returns/fields/0"),
        (model(), |s| s["returns"] = json!({"fields": [{"at": "a", "data": ["personal"]}]}), "JSON pointer"),
    ];
    for (spec, change, expected) in cases {
        let why = function(change, &spec).unwrap_err();
        assert!(why.contains(expected), "{why} has not: {expected}");
    }
}

#[test]
fn periods_are_bounded() {
    for (text, seconds) in [("PT1M", 60), ("PT30M", 1_800), ("P90D", 7_776_000), ("PT02H", 7_200)] {
        let period = super::ReviewPeriod::try_from(text.to_owned()).unwrap();
        assert_eq!((period.duration(), String::from(period)), (Duration::from_secs(seconds), text.to_owned()));
    }
    for bad in ["", "P", "PT", "PT0M", "P91D", "PT5S", "1D", "P-1D", "P1.5D", "PT1H30M", "P1DT1H", "PT9999999H", "P+1D"]
    {
        assert!(super::ReviewPeriod::try_from(bad.to_owned()).is_err(), "{bad}");
    }
}

#[test]
fn a_narrowed_argument_is_checked_and_others_are_free() {
    let mail = function(|_| {}, &mail()).unwrap();
    let check = |to: &str| mail.check_narrowed(json!({"to": to, "subject": "x"}).as_object().unwrap());
    assert_eq!(check("board@finance.example"), Ok(()));
    assert!(check("x@evil.example").unwrap_err().contains("`to` is not one of the values"));
}

#[test]
fn a_whole_value_has_the_labels_of_its_fields_and_the_rest_has_not() {
    let with_fields = |s: &mut Value| {
        s["returns"] = json!({"confidentiality": "internal", "data": ["financial"], "readers": ["finance"],
            "fields": [{"at": "/rows/*/a", "data": ["personal"]}, {"at": "/b", "confidentiality": "restricted"}]});
    };
    let returns = function(with_fields, &model()).unwrap().returns;
    let (whole, base) = (returns.labels(), returns.base());
    assert_eq!(base.confidentiality, Confidentiality::Internal);
    assert_eq!(base.categories, [Category::Financial].into());
    assert_eq!(whole.confidentiality, Confidentiality::Restricted);
    assert_eq!(whole.categories, [Category::Financial, Category::Personal].into());
    assert_eq!((whole.integrity, &whole.readers), (base.integrity, &base.readers));
    assert!(base.flows_to(&whole));
}

#[test]
fn a_path_that_can_never_be_sent_is_refused_before_it_is_called() {
    let check = |path: &str| {
        let target = serde_json::json!({"http": {"connection": "shop", "method": "GET", "path": path}});
        serde_json::from_value::<crate::Target>(target).unwrap().check()
    };
    for good in ["/", "/v1/pets", "/v1/{id}/", "/a.b/{id}.json", "/%20x"] {
        assert_eq!(check(good), Ok(()), "{good}");
    }
    for bad in [
        "",
        "v1",
        "@127.0.0.1:21999/{d}",
        "//host/{x}",
        "/a/../../{x}",
        ":21999/x",
        "/a//b",
        "/./a",
        "/%2e%2E/a",
        "/a?b=c",
        "/a#b",
        "/a b",
        "/\\x",
    ] {
        assert_eq!(check(bad).unwrap_err().0, "/target/http/path", "{bad}");
    }
}
