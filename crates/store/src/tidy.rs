//! A test over the sources: no statement without a tenant (I5).

/// Every file with SQL that runs for a caller. `system.rs` and `claims.rs` are the closed exception; the others that are exempt
/// touch no row of a tenant.
macro_rules! sources {
    ($($path:literal),+ $(,)?) => { &[$(($path, include_str!($path))),+] };
}
const SOURCES: &[(&str, &str)] = sources![
    "sqlite/approvals.rs",
    "sqlite/change.rs",
    "sqlite/common.rs",
    "sqlite/entries.rs",
    "sqlite/log.rs",
    "sqlite/occasions.rs",
    "sqlite/resources.rs",
    "sqlite/runs.rs",
    "sqlite/sessions.rs",
    "sqlite/tenant.rs",
    "sqlite/transition.rs",
    "postgres/approvals.rs",
    "postgres/change.rs",
    "postgres/common.rs",
    "postgres/log.rs",
    "postgres/occasions.rs",
    "postgres/resources.rs",
    "postgres/runs.rs",
    "postgres/sessions.rs",
    "postgres/tenant.rs",
    "postgres/transition.rs",
];
const EXEMPT: &[&str] = &[
    "sqlite/system.rs",
    "sqlite/claims.rs",
    "sqlite/copy.rs",
    "sqlite/migrate.rs",
    "sqlite/open.rs",
    "sqlite/writer.rs",
    "postgres/system.rs",
    "postgres/claims.rs",
    "postgres/migrate.rs",
    "postgres/connect.rs",
    // Sets the tenant that row-level security compares, and takes locks in its name.
    "postgres/work.rs",
    "tidy.rs",
];

/// String literals that begin with a statement's verb.
fn statements(source: &str) -> Vec<&str> {
    let verbs = ["SELECT ", "INSERT ", "UPDATE ", "DELETE ", "WITH ", "REPLACE "];
    source.split('"').skip(1).step_by(2).filter(|text| verbs.iter().any(|verb| text.starts_with(verb))).collect()
}

/// Whether each part of a statement is confined to the tenant in its first parameter.
fn is_confined(sql: &str) -> bool {
    ["?1", "$1"].iter().any(|first| {
        let inserts = sql.starts_with("INSERT ") && sql.contains("(tenant");
        let inserts_for_tenant =
            inserts && ["VALUES (", "SELECT "].iter().any(|v| sql.contains(&format!("{v}{first}")));
        let parts = sql
            .split("UNION ALL")
            .all(|part| ["", "r.", "p.", "n."].iter().any(|of| part.contains(&format!("WHERE {of}tenant = {first}"))));
        inserts_for_tenant || parts
    })
}

#[test]
fn every_statement_names_its_tenant() {
    let mut found = 0;
    for (file, source) in SOURCES {
        for sql in statements(source) {
            found += 1;
            assert!(is_confined(sql), "{file}: `{sql}` is not confined to a tenant");
        }
    }
    assert!(found > 75, "the scan found only {found} statements: it no longer sees them");
}

#[test]
fn the_scan_sees_what_it_should() {
    assert!(!is_confined("SELECT run FROM runs WHERE run = ?1"));
    assert!(!is_confined("SELECT 1 FROM a WHERE tenant = ?1 UNION ALL SELECT 1 FROM b WHERE run = ?2"));
    assert!(!is_confined("INSERT INTO runs (run, new) VALUES (?1, ?2)"));
    assert!(!is_confined("DELETE FROM secrets"));
    assert!(!is_confined("INSERT INTO runs (tenant, run) SELECT run, $1 FROM runs"));
    assert!(is_confined("DELETE FROM secrets WHERE tenant = $1"));
}

/// Files that hold SQL and are not in the list above would escape the scan.
#[test]
fn no_file_escapes_the_scan() {
    let source = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut folders = vec![source.clone()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap().map(Result::unwrap) {
            let path = entry.path();
            let name = path.strip_prefix(&source).unwrap().to_str().unwrap().to_owned();
            if path.is_dir() {
                folders.push(path);
            } else if !EXEMPT.contains(&name.as_str()) && !SOURCES.iter().any(|(file, _)| *file == name) {
                let source = std::fs::read_to_string(&path).unwrap();
                assert!(statements(&source).is_empty(), "{name} holds SQL but is not scanned");
            }
        }
    }
}
