//! Folders as people write them, and as somebody might who means no good.

use super::*;
use crate::cli::{Exit, Io};
use std::fs;
use std::sync::{Arc, Mutex};

const WORKER: &str = "\
document:
  dsl: '1.0.3'
  namespace: finance
  name: summary
  version: '1.0.0'
do:
  - one:
      set:
        a: 1
";

const MANIFEST: &str = "\
apiVersion: mandate.dev/v1
kind: Worker
metadata:
  name: finance/summary
spec:
  document: worker.yaml
  environments: [sandbox]
  defaultEnvironment: sandbox
  functions: []
";

fn folder(files: &[(&str, &str)]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in files {
        let path = folder.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    folder
}

fn load_all(folder: &tempfile::TempDir) -> Result<Vec<Loaded>, CliError> {
    load(&[folder.path().to_owned()], None)
}

/// The error as people see it.
fn told(error: &CliError) -> String {
    #[derive(Clone, Default)]
    struct Kept(Arc<Mutex<Vec<u8>>>);
    impl std::io::Write for Kept {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    let kept = Kept::default();
    Io::of(std::io::empty(), std::io::sink(), kept.clone()).report(error);
    let bytes = kept.0.lock().unwrap().clone();
    String::from_utf8(bytes).unwrap()
}

/// Loads a folder that must be refused; gives what people are told.
fn refused(files: &[(&str, &str)]) -> String {
    let folder = folder(files);
    let error = load_all(&folder).err().expect("it was taken");
    assert_eq!(error.exit(), Exit::Usage);
    told(&error).replace(&format!("{}/", folder.path().display()), "")
}

#[test]
fn the_sample_worker_loads() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../workers/finance/quarterly-summary");
    let loaded = load(&[path], None).unwrap_or_else(|e| panic!("{}", told(&e)));
    let names: Vec<String> = loaded.iter().map(|l| format!("{} {}", l.kind.as_str(), l.name)).collect();
    assert_eq!(names.last().unwrap(), "Worker finance/quarterly-summary");
    assert!(names.contains(&"Policy finance/quarterly-summary".to_owned()), "{names:?}");
    assert!(names.contains(&"Function finance/warehouse.revenue".to_owned()), "{names:?}");
    let worker = &loaded.last().unwrap().manifest;
    assert_eq!(worker["spec"]["document"]["document"]["name"], "quarterly-summary");
}

#[test]
fn files_of_others_are_left_alone() {
    let folder = folder(&[
        ("manifest.yaml", MANIFEST),
        ("worker.yaml", WORKER),
        ("docker-compose.yaml", "a: &x 1\nb: *x\n"),
        ("package.json", "{\"name\": \"x\"}"),
        (".hidden/manifest.yaml", "apiVersion: broken: yes"),
        ("notes.txt", "apiVersion"),
        ("policies/limits.cedar", "forbid (principal, action, resource);"),
    ]);
    let loaded = load_all(&folder).unwrap();
    assert_eq!(loaded.len(), 2);
    assert_eq!(loaded[0].manifest["spec"]["file"], "limits.cedar");
    assert_eq!(loaded[0].name.as_str(), "finance/limits");
}

#[test]
fn a_broken_worker_is_shown_at_its_line_and_column() {
    let broken = WORKER.replace("      set:", "      sett:");
    let text = refused(&[("manifest.yaml", MANIFEST), ("worker.yaml", &broken)]);
    assert!(text.contains("worker.yaml:7:") || text.contains("worker.yaml:8:"), "{text}");
    let policy = ("policies/x.cedar", "forbid (principal, action, resource);");
    let text = refused(&[("manifest.yaml", MANIFEST), ("worker.yaml", &broken), policy]);
    assert!(!text.contains("--project"), "{text}");
    let text = refused(&[("manifest.yaml", MANIFEST), ("worker.yaml", "document:\n  dsl: [1\n")]);
    assert!(text.contains("worker.yaml:"), "{text}");
    let text = refused(&[
        ("manifest.yaml", &MANIFEST.replace("environments: [sandbox]", "environmentz: [sandbox]")),
        ("worker.yaml", WORKER),
    ]);
    assert!(text.contains("manifest.yaml:7:3: "), "{text}");
}

#[test]
fn a_broken_inline_document_is_shown_in_the_manifest() {
    let inline = "apiVersion: mandate.dev/v1\nkind: Worker\nmetadata: {name: finance/x}\nspec:\n  document:\n    document: {dsl: '1.0.3', namespace: f, name: x, version: '1.0.0'}\n    do:\n      - one: {sett: {a: 1}}\n";
    let text = refused(&[("m.yaml", inline)]);
    assert!(text.contains("m.yaml:8:"), "{text}");
}

#[test]
fn bad_manifests_get_an_error_of_their_own() {
    let cases: &[(&str, &str, &str)] = &[
        ("apiVersion: mandate.dev/v1\nkind: Spaceship\nmetadata: {name: a/b}\nspec: {}\n", "m.yaml:2:7", "not a kind"),
        ("apiVersion: mandate.dev/v2\nkind: Policy\nmetadata: {name: a/b}\nspec: {}\n", "m.yaml:2:7", "apiVersion"),
        (
            "apiVersion: mandate.dev/v1\nkind: Policy\nmetadata: {name: a}\nspec: {file: f, text: t}\n",
            "m.yaml:3:",
            "PROJECT/NAME",
        ),
        ("apiVersion: mandate.dev/v1\nkind: Policy\nmetadata: {name: a/b}\nspec: {file: f}\n", "m.yaml:4:", "text"),
        ("apiVersion: [\n", "m.yaml:", "YAML"),
        ("apiVersion: mandate.dev/v1\nkind: Worker\nmetadata: {name: a/b}\nspec: {}\n", "m.yaml:4:", "spec.document"),
        (
            "apiVersion: mandate.dev/v1\nkind: Secret\nmetadata: {name: a/b}\nspec: {value: x}\n",
            "m.yaml:2:7",
            "secrets put",
        ),
    ];
    for (text, place, what) in cases {
        let told = refused(&[("m.yaml", text)]);
        assert!(told.contains(place) && told.contains(what), "{text}\n{told}");
    }
}

#[test]
fn credentials_in_manifests_are_refused_and_not_repeated() {
    let credential = "apiVersion: mandate.dev/v1\nkind: Credential\nmetadata: {name: a/key}\nspec:\n  owner: user:a\n  environment: sandbox\n  destinations: []\n";
    for line in [
        "value: hunter2-hunter2",
        "secret: hunter2-hunter2",
        "apiKey: hunter2-hunter2",
        "x: {client_secret: hunter2-hunter2}",
        "header: Bearer hunter2-hunter2",
    ] {
        let told = refused(&[("m.yaml", &format!("{credential}  {line}\n"))]);
        assert!(told.contains("m.yaml:8:") && told.contains("secrets put"), "{line}\n{told}");
    }
    let connection = "apiVersion: mandate.dev/v1\nkind: Connection\nmetadata: {name: a/c}\nspec:\n  environments:\n    sandbox:\n      url: https://me:hunter2@host/\n";
    assert!(refused(&[("m.yaml", connection)]).contains("m.yaml:7:"));
    let slot = "apiVersion: mandate.dev/v1\nkind: Connection\nmetadata: {name: a/c}\nspec:\n  environments: {sandbox: {url: 'https://host/'}}\n  slot: {header: Authorization, prefix: 'Bearer '}\n";
    assert!(load_all(&folder(&[("m.yaml", slot)])).is_ok());
}

#[test]
fn documents_stay_in_the_folder_of_their_manifest() {
    for path in ["../../etc/passwd", "/etc/passwd", "../outside.yaml", "sub/../../outside.yaml"] {
        let manifest = MANIFEST.replace("worker.yaml", path);
        let told = refused(&[("in/manifest.yaml", &manifest), ("outside.yaml", WORKER)]);
        assert!(
            told.contains("manifest.yaml:6:13") && told.contains("outside the manifest's folder"),
            "{path}\n{told}"
        );
        assert!(!told.contains("root:"), "{told}");
    }
}

#[cfg(unix)]
#[test]
fn links_do_not_lead_out() {
    let outside = folder(&[("worker.yaml", WORKER), ("other.yaml", MANIFEST)]);
    let inside = folder(&[("manifest.yaml", MANIFEST)]);
    std::os::unix::fs::symlink(outside.path().join("worker.yaml"), inside.path().join("worker.yaml")).unwrap();
    assert!(load_all(&inside).is_err());
    let named = load(&[inside.path().join("manifest.yaml")], None).err().unwrap();
    assert!(told(&named).contains("outside the manifest's folder"));
    let circle = folder(&[("manifest.yaml", MANIFEST), ("worker.yaml", WORKER)]);
    std::os::unix::fs::symlink(circle.path(), circle.path().join("again")).unwrap();
    assert_eq!(load_all(&circle).err().unwrap().exit(), Exit::Usage);
}

#[test]
fn a_policy_needs_to_know_its_project() {
    let policy = [("p/limits.cedar", "forbid (principal, action, resource);")];
    assert!(refused(&policy).contains("--project"));
    let folder = folder(&policy);
    let project: Project = "finance".parse().unwrap();
    let loaded = load(&[folder.path().to_owned()], Some(&project)).unwrap();
    assert_eq!(loaded[0].name.as_str(), "finance/limits");
    let told = refused(&[("manifest.yaml", MANIFEST), ("worker.yaml", WORKER), ("Bad Name.cedar", "")]);
    assert!(told.contains("Bad Name"), "{told}");
}

#[test]
fn the_same_resource_twice_is_refused() {
    let told = refused(&[("a.yaml", MANIFEST), ("b.yaml", MANIFEST), ("worker.yaml", WORKER)]);
    assert!(told.contains("is also in"), "{told}");
}

#[test]
fn nothing_to_apply_is_a_usage_error() {
    assert_eq!(load_all(&folder(&[("readme.md", "x")])).err().unwrap().exit(), Exit::Usage);
    assert_eq!(load(&[PathBuf::from("/no/such/place")], None).err().unwrap().exit(), Exit::Usage);
    let folder = folder(&[("worker.yaml", WORKER)]);
    let named = load(&[folder.path().join("worker.yaml")], None).err().unwrap();
    assert!(told(&named).contains("no manifest"));
}

#[test]
fn problems_of_the_server_are_shown_where_they_were_written() {
    let folder = folder(&[("manifest.yaml", MANIFEST), ("worker.yaml", WORKER)]);
    let loaded = load_all(&folder).unwrap();
    let at = |pointer: &str| loaded[0].finding(pointer, "wrong").to_string();
    assert!(at("/spec/document/do/0/one").contains("worker.yaml:8:"), "{}", at("/spec/document/do/0/one"));
    assert!(at("/spec/functions").contains("manifest.yaml:9:"), "{}", at("/spec/functions"));
    assert!(at("/nowhere").contains("manifest.yaml:1:1"));
}

/// A file that is no YAML at all may have been meant as a manifest; one of another tool's kind was not.
#[test]
fn what_is_no_yaml_is_an_error_and_what_is_not_ours_is_not() {
    let deep = "[".repeat(10_000);
    for (name, text, place) in [("odd.yaml", deep.as_str(), "odd.yaml:1:"), ("odd.yml", "a: 1\n b: [\n", "odd.yml:2:")]
    {
        let folder = folder(&[("manifest.yaml", MANIFEST), ("worker.yaml", WORKER), (name, text)]);
        let error = load_all(&folder).err().unwrap();
        assert_eq!(error.exit(), Exit::Usage);
        assert!(told(&error).contains(place), "{}", told(&error));
    }
    for text in ["a: !Ref b\n", "a: 1\n---\nb: 2\n", "a: &x 1\nb: *x\n"] {
        let folder = folder(&[("manifest.yaml", MANIFEST), ("worker.yaml", WORKER), ("other.yaml", text)]);
        assert_eq!(load_all(&folder).map_err(|e| told(&e)).unwrap().len(), 1, "{text}");
    }
}

#[test]
fn a_misspelt_kind_is_named_and_pointed_at() {
    let folder = folder(&[("manifest.yaml", &MANIFEST.replace("kind:", "knid:")), ("worker.yaml", WORKER)]);
    let told = told(&load_all(&folder).err().unwrap());
    assert!(
        told.contains("manifest.yaml:2:1") && told.contains("`kind` is missing") && told.contains("knid"),
        "{told}"
    );
    assert!(told.contains("Worker"), "{told}");
}

/// Hundreds of wrong places in a large document are told in a time one is willing to wait.
#[test]
fn of_many_findings_the_first_are_told_soon() {
    let tasks: String = (0..900).map(|i| format!("  - t{i}: {{sett: {{a: '{}'}}}}\n", "x".repeat(600))).collect();
    let worker = WORKER.replace("  - one:\n      set:\n        a: 1\n", &tasks);
    let folder = folder(&[("manifest.yaml", MANIFEST), ("worker.yaml", &worker)]);
    let began = std::time::Instant::now();
    let error = load_all(&folder).err().unwrap();
    let told = told(&error);
    assert!(began.elapsed().as_secs() < 10, "{:?}", began.elapsed());
    assert!(told.contains("more places in it are wrong"), "{}", &told[..500]);
    assert!(told.matches("worker.yaml:").count() < 250, "{}", told.matches("worker.yaml:").count());
}
