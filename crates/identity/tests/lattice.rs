//! The algebra of authority: it only narrows, over arbitrary trees, and what is incomparable is denied.
#![expect(clippy::unwrap_used, reason = "strategies are helpers outside the test functions")]

use mandate_identity::{ArgumentLimits, Audience, Authority, FormError, Limit, Scope, Widening};
use mandate_kernel::{Environment, FunctionName, Timestamp};
use proptest::{collection, prelude::*, sample::subsequence};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};

const SCOPES: [&str; 4] = ["a:read", "a:write", "b:read", "b:write"];
const AUDIENCES: [&str; 3] = ["https://a.example", "https://b.example", "https://c.example"];
const FUNCTIONS: [&str; 3] = ["a.read", "a.write", "b.read"];
const POINTERS: [&str; 3] = ["/q", "/path", "/deep/0"];

/// A small universe, so that values meet the limits often.
fn universe() -> Vec<Value> {
    let mut values = vec![
        json!(null),
        json!(true),
        json!(1.0),
        json!(1.5),
        json!(9_007_199_254_740_992_u64),
        json!(u64::MAX),
        json!([1]),
        json!({"a": 1}),
        json!({"a": 1.0}),
    ];
    values.extend((-3..4).map(Value::from));
    values.extend(
        ["", "a", "ab", "/a", "/a/", "/a/b", "/ab", "/a/../c", "/a/%2e%2e/c", "/a/\\..", "/a/\n", "1"].map(Value::from),
    );
    values
}

fn value() -> impl Strategy<Value = Value> {
    prop::sample::select(universe())
}

fn limit() -> impl Strategy<Value = Limit> {
    prop_oneof![
        value().prop_map(Limit::Equals),
        collection::vec(value(), 0..4).prop_map(Limit::OneOf),
        prop::sample::select(vec!["", "a", "ab", "/a", "/a/", "/a/b", "/..", "1"])
            .prop_map(|text| Limit::Prefix(text.to_owned())),
        (-3..4_i64, -3..4_i64).prop_map(|(min, max)| Limit::Range { min, max }),
    ]
}

fn limits() -> impl Strategy<Value = ArgumentLimits> {
    collection::btree_map(prop::sample::select(POINTERS.to_vec()).prop_map(str::to_owned), limit(), 0..3)
        .prop_map(|limits| ArgumentLimits::new(limits).unwrap())
}

fn scopes() -> impl Strategy<Value = BTreeSet<Scope>> {
    subsequence(SCOPES.to_vec(), 0..=4).prop_map(|list| list.into_iter().map(|s| Scope::new(s).unwrap()).collect())
}

fn authority() -> impl Strategy<Value = Authority> {
    (
        scopes(),
        subsequence(AUDIENCES.to_vec(), 0..=3),
        collection::btree_map(prop::sample::select(FUNCTIONS.to_vec()), limits(), 0..4),
        prop::sample::select(vec!["sandbox", "production"]),
        0..6_i64,
        0..4_u8,
    )
        .prop_map(|(scopes, audiences, functions, environment, end, depth)| Authority {
            scopes,
            audiences: audiences.into_iter().map(|a| Audience::new(a).unwrap()).collect(),
            functions: functions.into_iter().map(|(f, l)| (FunctionName::new(f).unwrap(), l)).collect(),
            environment: Environment::new(environment).unwrap(),
            not_after: Timestamp::from_secs(end),
            depth,
        })
}

/// How a child is cut out of its parent: which of each set stay, what limits are added, how much time.
#[derive(Debug, Clone)]
struct Cut {
    keep: [bool; 10],
    added: Vec<(usize, String, Limit)>,
    earlier: i64,
    shallower: u8,
}

fn cut() -> impl Strategy<Value = Cut> {
    let added = (0..3_usize, prop::sample::select(POINTERS.to_vec()).prop_map(str::to_owned), limit());
    (any::<[bool; 10]>(), collection::vec(added, 0..2), 0..3_i64, 0..2_u8)
        .prop_map(|(keep, added, earlier, shallower)| Cut { keep, added, earlier, shallower })
}

impl Cut {
    fn of(&self, parent: &Authority) -> Authority {
        let kept = |n: usize| self.keep.get(n).copied().unwrap_or(true);
        let mut child = parent.clone();
        child.scopes = parent.scopes.iter().enumerate().filter(|(n, _)| kept(*n)).map(|(_, s)| s.clone()).collect();
        child.audiences =
            parent.audiences.iter().enumerate().filter(|(n, _)| kept(n + 4)).map(|(_, a)| a.clone()).collect();
        child.functions = parent
            .functions
            .iter()
            .enumerate()
            .filter(|(n, _)| kept(n + 7))
            .map(|(n, (function, limits))| {
                let mut limits: BTreeMap<String, Limit> = limits.clone().into();
                for (at, pointer, limit) in &self.added {
                    if *at == n {
                        limits.insert(pointer.clone(), limit.clone());
                    }
                }
                (function.clone(), ArgumentLimits::new(limits).unwrap())
            })
            .collect();
        child.not_after = Timestamp::from_secs(parent.not_after.as_secs() - self.earlier);
        child.depth = parent.depth.saturating_sub(self.shallower);
        child
    }
}

#[derive(Debug, Clone)]
struct Attempt {
    function: FunctionName,
    scopes: BTreeSet<Scope>,
    audience: Audience,
    arguments: Value,
    now: Timestamp,
}

fn attempt() -> impl Strategy<Value = Attempt> {
    (
        prop::sample::select(FUNCTIONS.to_vec()),
        scopes(),
        prop::sample::select(AUDIENCES.to_vec()),
        (value(), value(), value()),
        -2..6_i64,
    )
        .prop_map(|(function, scopes, audience, (q, path, deep), now)| Attempt {
            function: FunctionName::new(function).unwrap(),
            scopes,
            audience: Audience::new(audience).unwrap(),
            arguments: json!({"q": q, "path": path, "deep": [deep]}),
            now: Timestamp::from_secs(now),
        })
}

fn admits(authority: &Authority, call: &Attempt) -> bool {
    authority.admits_call(&call.function, &call.scopes, &call.audience, &call.arguments, call.now).is_ok()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn a_limit_that_covers_admits_no_less(a in limit(), b in limit()) {
        prop_assert!(a.covers(&a));
        if a.covers(&b) {
            for value in universe() {
                prop_assert!(!b.admits(&value) || a.admits(&value), "{a:?} covers {b:?} but not {value}");
            }
        }
    }

    #[test]
    fn what_two_authorities_share_is_a_part_of_each(a in authority(), b in authority()) {
        let both = a.meet(&b);
        prop_assert!(a.covers(&both), "{a:?} does not cover {both:?}");
        if a.environment == b.environment {
            prop_assert!(b.covers(&both), "{b:?} does not cover {both:?}");
        } else {
            prop_assert!(both.scopes.is_empty() && both.audiences.is_empty() && both.functions.is_empty());
        }
        prop_assert_eq!(a.meet(&a), a);
    }

    #[test]
    fn limits_are_a_preorder(a in limit(), b in limit(), c in limit()) {
        if a.covers(&b) && b.covers(&c) {
            prop_assert!(a.covers(&c));
        }
        if a.covers(&b) && b.covers(&a) {
            prop_assert!(universe().iter().all(|value| a.admits(value) == b.admits(value)));
        }
    }

    #[test]
    fn authorities_are_a_partial_order(a in authority(), first in cut(), second in cut(), other in authority()) {
        let (b, c) = (first.of(&a), second.of(&first.of(&a)));
        prop_assert!(a.covers(&a));
        for (x, y, z) in [(&a, &b, &c), (&c, &b, &a), (&a, &other, &b), (&other, &a, &b)] {
            if x.covers(y) && y.covers(z) {
                prop_assert!(x.covers(z));
            }
            if x.covers(y) && y.covers(x) {
                prop_assert_eq!((&x.scopes, &x.audiences, x.not_after, x.depth), (&y.scopes, &y.audiences, y.not_after, y.depth));
                prop_assert!(x.functions.keys().eq(y.functions.keys()));
            }
        }
    }

    /// Arbitrary trees: each node may attach to any earlier one, by a cut or by a demand out of nowhere.
    #[test]
    fn every_descendant_is_within_every_ancestor(
        root in authority(),
        nodes in collection::vec((any::<prop::sample::Index>(), prop_oneof![3 => cut().prop_map(Ok), 1 => authority().prop_map(Err)]), 1..20),
        calls in collection::vec(attempt(), 1..10),
    ) {
        let mut tree: Vec<(Authority, Option<usize>)> = vec![(root, None)];
        for (at, ask) in nodes {
            let parent = at.index(tree.len());
            let ask = ask.map_or_else(|demand| demand, |cut| cut.of(&tree[parent].0));
            if let Ok(child) = tree[parent].0.narrow(&ask) {
                tree.push((child, Some(parent)));
            }
        }
        for (node, mut above) in tree.iter().map(|(node, parent)| (node, *parent)) {
            while let Some(index) = above {
                let (ancestor, next) = &tree[index];
                prop_assert!(ancestor.covers(node));
                prop_assert!(!node.covers(ancestor));
                prop_assert!(node.not_after < ancestor.not_after || node.depth < ancestor.depth);
                for call in &calls {
                    prop_assert!(!admits(node, call) || admits(ancestor, call));
                }
                above = *next;
            }
        }
    }

    #[test]
    fn the_authority_for_a_call_admits_it_and_no_more(a in authority(), call in attempt(), other in attempt(), end in 0..8_i64) {
        let asked = mandate_identity::Call {
            function: &call.function, scopes: &call.scopes, audience: &call.audience, arguments: &call.arguments,
        };
        if let Ok(part) = a.for_call(&asked, Timestamp::from_secs(end), call.now) {
            prop_assert!(admits(&a, &call) && a.covers(&part) && part.depth == 0);
            prop_assert!(part.not_after.as_secs() <= end);
            prop_assert!(!admits(&part, &other) || admits(&a, &other));
            prop_assert!(part.not_after <= call.now || admits(&part, &call));
        } else {
            let less = a.depth > 0 || end < a.not_after.as_secs();
            prop_assert!(!admits(&a, &call) || !less);
        }
    }

    #[test]
    fn json_keeps_an_authority(a in authority()) {
        let text = serde_json::to_string(&a).unwrap();
        prop_assert_eq!(serde_json::from_str::<Authority>(&text).unwrap(), a);
    }
}

fn sample() -> Authority {
    let limits =
        json!({"/q": {"one-of": ["Q1", "Q2"]}, "/n": {"range": {"min": 1, "max": 10}}, "/p": {"prefix": "/a/"}});
    Authority {
        scopes: BTreeSet::from([Scope::new("a:read").unwrap()]),
        audiences: BTreeSet::from([Audience::new("https://a.example").unwrap()]),
        functions: BTreeMap::from([(FunctionName::new("a.read").unwrap(), serde_json::from_value(limits).unwrap())]),
        environment: Environment::new("sandbox").unwrap(),
        not_after: Timestamp::from_secs(100),
        depth: 2,
    }
}

fn with_limit(pointer: &str, limit: Option<Limit>) -> impl Fn(&mut Authority) {
    move |authority| {
        for held in authority.functions.values_mut() {
            let mut limits: BTreeMap<String, Limit> = held.clone().into();
            match &limit {
                Some(limit) => limits.insert(pointer.to_owned(), limit.clone()),
                None => limits.remove(pointer),
            };
            *held = ArgumentLimits::new(limits).unwrap();
        }
    }
}

#[test]
fn widening_in_one_dimension_is_refused_by_its_name() {
    type Change = Box<dyn Fn(&mut Authority)>;
    let function = FunctionName::new("a.read").unwrap();
    let other = FunctionName::new("a.write").unwrap();
    let argument = |pointer: &str| Widening::Argument { function: function.clone(), pointer: pointer.to_owned() };
    let production = Environment::new("production").unwrap();
    let (asked, wide) = (production.clone(), other.clone());
    let table: Vec<(Change, Widening)> = vec![
        (Box::new(|a| a.scopes.extend(Scope::new("b"))), Widening::Scope(Scope::new("b").unwrap())),
        (
            Box::new(|a| a.audiences.extend(Audience::new("https://b.example"))),
            Widening::Audience(Audience::new("https://b.example").unwrap()),
        ),
        (
            Box::new(move |a| drop(a.functions.insert(wide.clone(), ArgumentLimits::default()))),
            Widening::Function(other),
        ),
        (Box::new(|a| a.not_after = Timestamp::from_millis(100_001)), Widening::Lifetime),
        (Box::new(|a| a.depth = 3), Widening::Depth),
        (
            Box::new(move |a| a.environment = asked.clone()),
            Widening::Environment { held: sample().environment, asked: production },
        ),
        (Box::new(|a| a.depth = 2), Widening::NotLess),
        (Box::new(with_limit("/q", None)), argument("/q")),
        (Box::new(with_limit("/q", Some(Limit::OneOf(vec![json!("Q1"), json!("Q3")])))), argument("/q")),
        (Box::new(with_limit("/q", Some(Limit::Prefix("Q1".into())))), argument("/q")),
        (Box::new(with_limit("/n", Some(Limit::Range { min: 1, max: 11 }))), argument("/n")),
        (Box::new(with_limit("/n", Some(Limit::Range { min: 0, max: 10 }))), argument("/n")),
        (Box::new(with_limit("/n", Some(Limit::Equals(json!(11))))), argument("/n")),
        (Box::new(with_limit("/n", Some(Limit::Prefix("1".into())))), argument("/n")),
        (Box::new(with_limit("/p", Some(Limit::Prefix("/a".into())))), argument("/p")),
        (Box::new(with_limit("/p", Some(Limit::Equals(json!("/a/../b"))))), argument("/p")),
        (Box::new(with_limit("/p", Some(Limit::Range { min: 1, max: 1 }))), argument("/p")),
    ];
    for (change, widening) in table {
        let mut ask = sample();
        ask.depth = 1;
        assert_eq!(sample().narrow(&ask), Ok(ask.clone()));
        change(&mut ask);
        assert_eq!(sample().narrow(&ask), Err(widening));
    }
}

#[test]
fn a_call_is_refused_by_the_name_of_what_is_wrong() {
    let held = sample();
    let function = FunctionName::new("a.read").unwrap();
    let good = json!({"q": "Q1", "n": 5, "p": "/a/b", "free": 1.5});
    let call = |arguments: &Value, now: i64| {
        held.admits_call(
            &function,
            &held.scopes,
            &Audience::new("https://a.example").unwrap(),
            arguments,
            Timestamp::from_secs(now),
        )
    };
    assert_eq!(call(&good, 99), Ok(()));
    assert_eq!(call(&good, 100), Err(Widening::Lifetime));
    for (pointer, value) in [
        ("/q", json!("Q3")),
        ("/q", json!(["Q1"])),
        ("/q", json!(null)),
        ("/n", json!(0)),
        ("/n", json!(5.0)),
        ("/n", json!("5")),
        ("/p", json!("/ab")),
        ("/p", json!("/a/../b")),
        ("/p", json!("/a/%2e%2e/b")),
        ("/p", json!("/a/b\0")),
        ("/p", json!(5)),
    ] {
        let mut bad = good.clone();
        *bad.pointer_mut(pointer).unwrap() = value.clone();
        let refused = Widening::Argument { function: function.clone(), pointer: pointer.to_owned() };
        assert_eq!(call(&bad, 0), Err(refused.clone()), "{value}");
        let mut missing = good.clone();
        missing.as_object_mut().unwrap().remove(&pointer[1..]);
        assert_eq!(call(&missing, 0), Err(refused));
    }
}

#[test]
fn pointers_and_limits_have_one_form() {
    for good in ["", "/", "/a/0", "/a~1b~0"] {
        assert!(ArgumentLimits::new(BTreeMap::from([(good.to_owned(), Limit::Equals(json!(1)))])).is_ok(), "{good}");
    }
    for bad in ["a", "/a~2", "/a~", &format!("/{}", "a".repeat(256))] {
        let made = ArgumentLimits::new(BTreeMap::from([(bad.to_owned(), Limit::Equals(json!(1)))]));
        assert!(matches!(made, Err(FormError::Pointer(_))), "{bad}");
    }
    let many = (0..65).map(|n| (format!("/{n}"), Limit::Equals(json!(1)))).collect();
    assert!(ArgumentLimits::new(many).is_err());
    for bad in [
        r#"{"regex":".*"}"#,
        r#"{"range":{"min":1}}"#,
        r#"{"range":{"min":1.5,"max":2}}"#,
        r#"{"range":{"min":1,"max":2,"step":1}}"#,
        r#"{"prefix":1}"#,
        r#"{"prefix":"a","equals":1}"#,
        "{}",
    ] {
        assert!(serde_json::from_str::<Limit>(bad).is_err(), "{bad}");
    }
}
