//! The layering check, given workspaces that are wrong in one way each.

use super::*;

/// A house of four: `base`, `wall` on it, the devkit beside it, the testkit below.
const SMALL: &[Layer] = &[
    Layer { name: "base", uses: &[], heavy: &[], dev_heavy: &[] },
    Layer { name: "wall", uses: &["base"], heavy: &["stone"], dev_heavy: &["crane"] },
    Layer { name: "mandate-devkit", uses: &["base"], heavy: &[], dev_heavy: &[] },
    Layer { name: "roof", uses: &["base", "wall", "mandate-devkit"], heavy: &["crane"], dev_heavy: &[] },
    Layer { name: "mandate-testkit", uses: &["base"], heavy: &[], dev_heavy: &[] },
];
const SMALL_HEAVY: &[&str] = &["stone", "crane"];

/// The small house with one more dependency, written `[dev:|build:]name`, in one of its crates.
fn house(crate_name: &str, extra: &str) -> Vec<Package> {
    let (kind, name) = match extra.split_once(':') {
        Some(("dev", name)) => (Some(Kind::Dev), name),
        Some(("build", name)) => (Some(Kind::Build), name),
        _ => (None, extra),
    };
    let mut packages: Vec<Package> = SMALL
        .iter()
        .map(|layer| Package {
            name: layer.name.to_owned(),
            dependencies: layer.uses.iter().map(|used| Dependency { name: (*used).to_owned(), kind: None }).collect(),
        })
        .collect();
    if let Some(package) = packages.iter_mut().find(|package| package.name == crate_name) {
        package.dependencies.push(Dependency { name: name.to_owned(), kind });
    }
    packages
}

fn check_house(crate_name: &str, extra: &str, expect: &[&str]) {
    let findings = workspace_findings(&house(crate_name, extra), SMALL, SMALL_HEAVY);
    assert_eq!(findings.len(), expect.len(), "{crate_name} + {extra}: {findings:?}");
    for (finding, part) in findings.iter().zip(expect) {
        assert!(finding.contains(part), "{crate_name} + {extra}: {finding}");
    }
}

#[test]
fn an_edge_outside_the_table_is_named() {
    check_house("base", "wall", &["`base` -> `wall`: not an allowed edge; it may use no crate"]);
    check_house("base", "build:wall", &["`base` -> `wall`: not an allowed edge"]);
    check_house("wall", "mandate-testkit", &["`wall` -> `mandate-testkit`: not an allowed edge; it may use `base`"]);
    check_house("wall", "mandate-devkit", &["`wall` -> `mandate-devkit`"]);
}

#[test]
fn an_edge_of_the_table_and_an_ordinary_dependency_pass() {
    check_house("roof", "wall", &[]);
    check_house("base", "serde", &[]);
    check_house("base", "dev:proptest", &[]);
}

#[test]
fn tests_use_the_testkit_and_what_stands_above() {
    check_house("base", "dev:mandate-testkit", &[]);
    check_house("roof", "dev:wall", &[]);
    check_house("base", "dev:wall", &["`base` -> `wall` (dev): tests may use only"]);
    check_house("wall", "dev:roof", &["`wall` -> `roof` (dev)"]);
}

#[test]
fn the_devkit_is_for_the_binary_alone_even_in_tests() {
    check_house("mandate-testkit", "dev:mandate-devkit", &["`mandate-testkit` -> `mandate-devkit` (dev)"]);
    check_house("roof", "dev:mandate-devkit", &[]);
}

#[test]
fn a_heavy_dependency_in_the_wrong_place_names_its_owner() {
    check_house("wall", "stone", &[]);
    check_house("base", "stone", &["`base` -> `stone`: a heavy dependency that belongs to `wall`"]);
    check_house("base", "dev:stone", &["`base` -> `stone` (dev): a heavy dependency"]);
    check_house("wall", "dev:crane", &[]);
    check_house("wall", "crane", &["`wall` -> `crane`: a heavy dependency that belongs to `roof`"]);
}

#[test]
fn a_crate_missing_from_the_table_and_a_line_without_a_crate_fail() {
    let mut packages = house("", "");
    packages.push(Package { name: "mandate-annex".to_owned(), dependencies: Vec::new() });
    let findings = workspace_findings(&packages, SMALL, SMALL_HEAVY);
    assert!(matches!(findings.as_slice(), [one] if one.contains("`mandate-annex` isn't in the edge table")));

    let mut packages = house("", "");
    packages.retain(|package| package.name != "wall");
    let findings = workspace_findings(&packages, SMALL, SMALL_HEAVY);
    assert!(findings.iter().any(|one| one.contains("names `wall`, which the workspace doesn't have")), "{findings:?}");
}

#[test]
fn a_table_with_an_edge_downwards_or_a_double_line_is_refused() {
    let wrong = [
        Layer { name: "base", uses: &["wall"], heavy: &[], dev_heavy: &[] },
        Layer { name: "wall", uses: &[], heavy: &[], dev_heavy: &[] },
        Layer { name: "wall", uses: &[], heavy: &[], dev_heavy: &[] },
    ];
    let findings = table_findings(&wrong);
    assert_eq!(findings.len(), 2, "{findings:?}");
    assert!(findings[0].contains("lets `base` use `wall`"));
    assert!(findings[1].contains("names `wall` twice"));
}

#[test]
fn the_table_itself_is_sound() {
    assert_eq!(table_findings(LAYERS), Vec::<String>::new());
    for layer in LAYERS {
        for heavy in layer.heavy.iter().chain(layer.dev_heavy) {
            assert!(HEAVY.contains(heavy), "`{}` owns `{heavy}`, which HEAVY doesn't name", layer.name);
        }
    }
    for heavy in HEAVY {
        assert!(LAYERS.iter().any(|layer| layer.heavy.contains(heavy)), "nobody owns `{heavy}`");
    }
    let users: Vec<_> = LAYERS.iter().filter(|layer| layer.uses.contains(&DEVKIT)).map(|layer| layer.name).collect();
    assert_eq!(users, ["mandate"]);
}
