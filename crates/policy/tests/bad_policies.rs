//! Policy files that must not compile, and where each one is pointed at.

mod common;

use common::one;
use mandate_policy::{PolicySet, PolicySource};

#[test]
fn each_mistake_is_pointed_at() {
    let ok = "permit (principal, action, resource);";
    let cases: &[(&str, &str)] = &[
        ("", "1:1: the file holds no policy"),
        ("// nothing but a remark\n", "1:1: the file holds no policy"),
        (ok, "1:1: the policy has no @id"),
        ("@id(\"x\") permit (principal, action, resource)", "1:46: unexpected end of input"),
        ("@id(\"x\")\nallow (principal, action, resource);", "2:1: invalid policy effect: allow"),
        ("@id(\"A b\") permit (principal, action, resource);", "1:1: the id `A b` is not valid"),
        ("@id(\"\") permit (principal, action, resource);", "1:1: the id `` is not valid"),
        ("@id(\"x\") @note(\"y\") permit (principal, action, resource);", "1:1: @note is unknown"),
        ("@id(\"x\") @gate(\"step-up\") permit (principal, action, resource);", "1:1: @gate belongs on a forbid"),
        ("@id(\"x\") @gate(\"stepup\") forbid (principal, action, resource);", "1:1: `stepup` is not a gate"),
        ("@id(\"x\") @gate forbid (principal, action, resource);", "1:1: `` is not a gate"),
        ("@id(\"x\") @gate(\"approval:\") forbid (principal, action, resource);", "1:1: `approval:` is not a gate"),
        (
            "@id(\"x\") @gate(\"approval:A B\") forbid (principal, action, resource);",
            "1:1: `approval:A B` is not a gate",
        ),
        ("@id(\"x\") permit (principal == ?principal, action, resource);", "1:1: templates"),
        (
            "@id(\"roles.owner\") permit (principal, action, resource);",
            "1:1: the id `roles.owner` is taken by a policy in builtin/roles.cedar",
        ),
        (
            "@id(\"x\") permit (principal, action, resource);\n\n  @id(\"x\") permit (principal, action, resource);",
            "3:3: the id `x` is taken by a policy in test.cedar",
        ),
        ("@id(\"x\") permit (principal, action == Action::\"run.strat\", resource);", "Action::\"run.strat\""),
        ("@id(\"x\") permit (principal is Person, action, resource);", "Person"),
        ("@id(\"ä\") permit (principal, action, resource);", "1:1: the id `ä` is not valid"),
        ("@id(\"x\") permit (principal, action, resource)\nwhen { context.rolls.contains(Role::\"owner\") };", "2:8: "),
        ("@id(\"x\") permit (principal, action, resource)\nwhen { context.roles.contains(Role::\"boss\") };", "2:31: "),
        ("@id(\"x\") permit (principal, action, resource)\nwhen { context.roles.contains(\"owner\") };", "2:8: "),
        // May be absent, so a rule that does not ask first is refused.
        (
            "@id(\"x\") forbid (principal, action == Action::\"function.call\", resource)\nwhen { context.destination.address == \"x\" };",
            "2:8: ",
        ),
        (
            "@id(\"x\") forbid (principal, action == Action::\"function.call\", resource)\nwhen { context.arguments.text.getTag(\"/a\") == \"x\" };",
            "2:8: ",
        ),
        // A rule about runs that speaks of a fact only steps have.
        (
            "@id(\"x\") forbid (principal, action == Action::\"run.start\", resource)\nwhen { context.labels.integrity == Integrity::\"untrusted\" };",
            "2:8: ",
        ),
        // Rules that can never apply.
        ("@id(\"x\") forbid (principal, action == Action::\"run.start\", resource is Ledger);", "1:"),
        ("@id(\"x\") forbid (principal, action, resource) when { false };", "1:1: "),
        ("@id(\"x\") forbid (principal is User, action == Action::\"function.call\", resource);", "1:"),
    ];
    let mut wrong = String::new();
    for (text, expected) in cases {
        let errors = PolicySet::compile(&one(text)).unwrap_err();
        let shown = errors.to_string();
        assert!(shown.starts_with("test.cedar:"), "{text}\n{shown}");
        if !shown.contains(expected) {
            wrong.push_str(&format!("{text}\n  expected {expected}\n  got {shown}\n"));
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}

#[test]
fn all_mistakes_are_collected() {
    let sources = [
        PolicySource::new(
            "b.cedar",
            "permit (principal, action, resource);\n@id(\"y\") @what permit (principal, action, resource);",
        ),
        PolicySource::new("a.cedar", "permit (principal, action resource);"),
        PolicySource::new("c.cedar", "@id(\"z\") permit (principal is Nobody, action, resource is Nothing);"),
        PolicySource::new("d.cedar", "@id(\"d\") permit (principal, action, resource);"),
    ];
    let errors = PolicySet::compile(&sources).unwrap_err();
    let files: Vec<&str> = errors.0.iter().map(|e| e.file.as_str()).collect();
    assert!(["a.cedar", "b.cedar", "c.cedar"].iter().all(|f| files.contains(f)), "{errors}");
    assert!(!files.contains(&"d.cedar"), "{errors}");
    assert!(files.is_sorted(), "{errors}");
    assert_eq!(files.iter().filter(|f| **f == "b.cedar").count(), 2, "{errors}");
}

#[test]
fn file_names_are_guarded() {
    let text = "@id(\"x\") permit (principal, action, resource);";
    let ours = PolicySet::compile(&[PolicySource::new("builtin/roles.cedar", text)]).unwrap_err();
    assert!(ours.to_string().contains("the product's own"), "{ours}");
    let twice = PolicySet::compile(&[
        PolicySource::new("x.cedar", text),
        PolicySource::new("x.cedar", text.replace("\"x\"", "\"y\"")),
    ]);
    assert!(twice.unwrap_err().to_string().contains("two files of this name"));
}
