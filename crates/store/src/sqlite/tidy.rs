//! A test over the sources: no statement without a tenant (I5).

/// Every file with SQL that runs for a caller. `system.rs` is the closed exception, `migrate.rs`,
/// `open.rs` and `writer.rs` touch no row of a tenant.
const SOURCES: &[(&str, &str)] = &[
    ("approvals.rs", include_str!("approvals.rs")),
    ("change.rs", include_str!("change.rs")),
    ("common.rs", include_str!("common.rs")),
    ("entries.rs", include_str!("entries.rs")),
    ("log.rs", include_str!("log.rs")),
    ("resources.rs", include_str!("resources.rs")),
    ("runs.rs", include_str!("runs.rs")),
    ("sessions.rs", include_str!("sessions.rs")),
    ("tenant.rs", include_str!("tenant.rs")),
    ("transition.rs", include_str!("transition.rs")),
];

/// String literals that begin with a statement's verb.
fn statements(source: &str) -> Vec<&str> {
    let verbs = ["SELECT ", "INSERT ", "UPDATE ", "DELETE ", "WITH ", "REPLACE "];
    source.split('"').skip(1).step_by(2).filter(|text| verbs.iter().any(|verb| text.starts_with(verb))).collect()
}

/// Whether each part of a statement is confined to the tenant in `?1`.
fn is_confined(sql: &str) -> bool {
    let inserts_for_tenant = sql.starts_with("INSERT ") && sql.contains("(tenant") && sql.contains("VALUES (?1");
    let parts = sql.split("UNION ALL").all(|part| {
        let part = part.trim_start();
        part.contains("WHERE tenant = ?1") || part.contains("WHERE r.tenant = ?1")
    });
    inserts_for_tenant || parts
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
    assert!(found > 35, "the scan found only {found} statements: it no longer sees them");
}

#[test]
fn the_scan_sees_what_it_should() {
    assert!(!is_confined("SELECT run FROM runs WHERE run = ?1"));
    assert!(!is_confined("SELECT 1 FROM a WHERE tenant = ?1 UNION ALL SELECT 1 FROM b WHERE run = ?2"));
    assert!(!is_confined("INSERT INTO runs (run, new) VALUES (?1, ?2)"));
    assert!(!is_confined("DELETE FROM secrets"));
}

/// Files that hold SQL and are not in the list above would escape the scan.
#[test]
fn no_file_escapes_the_scan() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let exempt = ["system.rs", "migrate.rs", "open.rs", "tidy.rs", "writer.rs"];
    let mut folders = vec![folder];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap().map(Result::unwrap) {
            let (path, name) = (entry.path(), entry.file_name().into_string().unwrap());
            if path.is_dir() {
                folders.push(path);
            } else if !exempt.contains(&name.as_str()) && !SOURCES.iter().any(|(file, _)| *file == name) {
                let source = std::fs::read_to_string(&path).unwrap();
                assert!(statements(&source).is_empty(), "{name} holds SQL but is not scanned");
            }
        }
    }
}
