//! Manifests and policies from files, checked as far as that is possible here, each part of them with
//! the place it was read from.

mod beside;
mod credential;
mod walk;

use super::CliError;
use super::error::Finding;
use super::files;
use mandate_directory::{DirectoryError, Kind, Manifest, Spec};
use mandate_flow::yaml::{self, Place, Spanned};
use mandate_flow::{Diagnostic, Program};
use mandate_kernel::{Limits, Project, ResourceName};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// Findings that are shown.
const TOLD: usize = 101;
/// Bytes of one file.
const MAX_FILE: u64 = Limits::DEFAULT.request_body as u64;

/// A text, and where its parts stand.
struct Source {
    name: String,
    text: String,
    /// `None` for what is not YAML.
    spanned: Option<Spanned>,
}

/// One resource, ready to be applied.
pub(crate) struct Loaded {
    /// Kind.
    pub(crate) kind: Kind,
    /// Name.
    pub(crate) name: ResourceName,
    /// The manifest, whole.
    pub(crate) manifest: Value,
    /// Its spec in the form in which it is stored: defaults written out, sets in order.
    pub(crate) stored: Value,
    source: Source,
    /// The file that `spec.document` names.
    document: Option<Source>,
}

impl Loaded {
    /// What is wrong at a JSON pointer into the manifest, shown where it was written.
    pub(crate) fn finding(&self, pointer: &str, message: &str) -> Finding {
        match (&self.document, pointer.strip_prefix("/spec/document")) {
            (Some(document), Some(rest)) => document.finding("apply", rest, message, None),
            _ => self.source.finding("apply", pointer, message, None),
        }
    }
}

impl Source {
    fn finding(&self, code: &'static str, pointer: &str, message: &str, help: Option<&str>) -> Finding {
        match &self.spanned {
            Some(spanned) => Finding::of(&spanned.diagnostic(code, pointer, message, help), &self.text),
            None => Finding::about(&self.name, message, help),
        }
    }

    fn at(&self, code: &'static str, place: Option<Place>, message: &str, help: Option<&str>) -> Finding {
        let Some(place) = place else { return Finding::about(&self.name, message, help) };
        let found = Diagnostic {
            code,
            message: message.to_owned(),
            help: help.map(str::to_owned),
            file: self.name.clone(),
            line: place.line,
            column: place.column,
            pointer: String::new(),
            span: (place.offset, place.len),
        };
        Finding::of(&found, &self.text)
    }
}

/// Loads files and folders. The result is in the order in which it is applied: what is named comes
/// before what names it.
///
/// # Errors
/// [`CliError::Findings`] with everything that is wrong, not only the first.
pub(crate) fn load(paths: &[PathBuf], project: Option<&Project>) -> Result<Vec<Loaded>, CliError> {
    let mut loader = Loader { loaded: Vec::new(), findings: Vec::new(), projects: BTreeMap::new() };
    let mut policies = Vec::new();
    for path in paths {
        for file in walk::files(path)? {
            if file.path.extension().is_some_and(|ext| ext == "cedar") {
                policies.push(file);
            } else {
                loader.manifest(&file)?;
            }
        }
    }
    for file in &policies {
        loader.policy(file, project)?;
    }
    loader.refuse_duplicates();
    let Loader { mut loaded, mut findings, .. } = loader;
    if !findings.is_empty() {
        let headline = match findings.len() {
            1 => "a file can't be applied; nothing was sent".to_owned(),
            many if many > TOLD => {
                format!(
                    "{many} places in these files can't be applied; nothing was sent, and these are the first {TOLD}"
                )
            }
            many => format!("{many} places in these files can't be applied; nothing was sent"),
        };
        // Each is shown with the text around it.
        findings.truncate(TOLD);
        return Err(CliError::Findings { headline, findings });
    }
    if loaded.is_empty() {
        let looked = paths.iter().map(|p| p.display().to_string()).collect::<Vec<_>>().join(", ");
        return Err(CliError::usage_help(
            format!("there is no manifest in {looked}"),
            "a manifest is a .yaml or .json file with apiVersion, kind, metadata and spec; a policy is a .cedar file",
        ));
    }
    loaded.sort_by(|a, b| (a.kind, &a.name).cmp(&(b.kind, &b.name)));
    Ok(loaded)
}

struct Loader {
    loaded: Vec<Loaded>,
    findings: Vec<Finding>,
    /// The projects of the manifests directly in a folder.
    projects: BTreeMap<PathBuf, BTreeSet<Project>>,
}

impl Loader {
    fn manifest(&mut self, file: &walk::Found) -> Result<(), CliError> {
        let name = file.path.display().to_string();
        let text = files::read_text(&file.path, MAX_FILE)?;
        let spanned = match yaml::parse(&name, &text) {
            Ok(spanned) => spanned,
            Err(wrong) => {
                // Other tools' files may lie beside ours and be no concern of ours, as long as they are YAML.
                let broken = |found: &Diagnostic| ["yaml.syntax", "yaml.depth", "yaml.size"].contains(&found.code);
                if file.named || text.contains("apiVersion") || wrong.as_slice().iter().any(broken) {
                    self.findings.extend(wrong.as_slice().iter().map(|found| Finding::of(found, &text)));
                }
                return Ok(());
            }
        };
        let value = spanned.value().clone();
        let source = Source { name, text, spanned: Some(spanned) };
        if value.get("apiVersion").is_none() {
            if file.named {
                let help = "a workflow document is applied through the manifest of its Worker, which names it as spec.document";
                self.findings.push(source.finding(
                    "manifest",
                    "",
                    "it has no apiVersion, so it is no manifest",
                    Some(help),
                ));
            }
            return Ok(());
        }
        if let Some(refused) = refuse_secrets(&source, &value) {
            self.findings.extend(refused);
            return Ok(());
        }
        // Also one that is refused says whose the policies beside it are.
        let name =
            value.pointer("/metadata/name").and_then(Value::as_str).and_then(|name| name.parse::<ResourceName>().ok());
        let folder = file.path.parent().unwrap_or(Path::new("")).to_owned();
        self.projects.entry(folder).or_default().extend(name.map(|name| name.project()));
        match read(source, value, &file.path) {
            Ok(loaded) => self.loaded.push(loaded),
            Err(findings) => self.findings.extend(findings),
        }
        Ok(())
    }

    /// A `.cedar` file becomes the Policy `PROJECT/STEM`.
    fn policy(&mut self, file: &walk::Found, project: Option<&Project>) -> Result<(), CliError> {
        let path = &file.path;
        let source =
            Source { name: path.display().to_string(), text: files::read_text(path, MAX_FILE)?, spanned: None };
        let part = |part: Option<&std::ffi::OsStr>| part.unwrap_or_default().to_string_lossy().into_owned();
        let (stem, base) = (part(path.file_stem()), part(path.file_name()));
        let project = match project.cloned().map_or_else(|| self.project_of(file), Ok) {
            Ok(project) => project,
            Err(why) => {
                let help = "say which by --project PROJECT";
                self.findings.push(Finding::about(&source.name, &why, Some(help)));
                return Ok(());
            }
        };
        match ResourceName::new(format!("{project}/{stem}")) {
            Ok(name) => {
                let spec = json!({"file": base, "text": source.text});
                let manifest = manifest_of(Kind::Policy, &name, &spec);
                self.loaded.push(Loaded { kind: Kind::Policy, name, manifest, stored: spec, source, document: None });
            }
            Err(error) => {
                let help = "rename the file: its name without .cedar becomes the policy's";
                self.findings.push(Finding::about(&source.name, &error.to_string(), Some(help)));
            }
        }
        Ok(())
    }

    /// The project of the manifests in the nearest folder around a file.
    fn project_of(&self, file: &walk::Found) -> Result<Project, String> {
        for folder in file.path.ancestors().skip(1).take_while(|folder| folder.starts_with(&file.root)) {
            let Some(projects) = self.projects.get(folder) else { continue };
            let mut found = projects.iter();
            match (found.next(), found.next()) {
                (Some(one), None) => return Ok(one.clone()),
                (None, _) => {}
                _ => return Err(format!("the manifests in {} are of several projects", folder.display())),
            }
        }
        Err("no manifest lies beside it, so its project is not known".to_owned())
    }

    fn refuse_duplicates(&mut self) {
        let mut seen: BTreeMap<(Kind, &ResourceName), &str> = BTreeMap::new();
        let mut findings = Vec::new();
        for loaded in &self.loaded {
            if let Some(first) = seen.insert((loaded.kind, &loaded.name), &loaded.source.name) {
                let message = format!("{} {} is also in {first}", loaded.kind.as_str(), loaded.name);
                findings.push(loaded.source.finding("manifest", "/metadata/name", &message, Some("keep one of them")));
            }
        }
        self.findings.extend(findings);
    }
}

fn manifest_of(kind: Kind, name: &ResourceName, spec: &Value) -> Value {
    json!({"apiVersion": mandate_directory::API_VERSION, "kind": kind, "metadata": {"name": name}, "spec": spec})
}

/// Secrets don't stand in manifests, whatever the shape.
fn refuse_secrets(source: &Source, value: &Value) -> Option<Vec<Finding>> {
    let help = "put it into the vault with `mandate secrets put PROJECT/NAME`; whoever saw this file knows it, so change it first";
    if value.get("kind").and_then(Value::as_str) == Some("Secret") {
        let message = "secrets can't be applied from manifests";
        return Some(vec![source.finding("manifest.credential", "/kind", message, Some(help))]);
    }
    let found = credential::find(value);
    let told = found.iter().map(|pointer| {
        source.finding("manifest.credential", pointer, "a credential is written into the manifest", Some(help))
    });
    if found.is_empty() { None } else { Some(told.collect()) }
}

/// Reads one manifest; a Worker's document takes the place of the file's name.
fn read(source: Source, mut value: Value, path: &Path) -> Result<Loaded, Vec<Finding>> {
    let mut document = None;
    if value.get("kind").and_then(Value::as_str) == Some("Worker") {
        match value.pointer("/spec/document") {
            Some(Value::String(file)) => {
                let (read, text) =
                    beside::read(&source, path, file, "/spec/document").map_err(|finding| vec![*finding])?;
                let parsed = compile(read, &text)?;
                if let (Some(slot), Some(spanned)) = (value.pointer_mut("/spec/document"), &parsed.spanned) {
                    *slot = spanned.value().clone();
                }
                document = Some(parsed);
            }
            Some(inline @ Value::Object(_)) => compile_inline(&source, inline.clone())?,
            _ => {
                let message = "a Worker needs spec.document: its workflow, or the name of the file with it";
                return Err(vec![source.finding("manifest", "/spec", message, None)]);
            }
        }
    }
    beside::inline_description(&source, &mut value, path).map_err(|finding| vec![*finding])?;
    let typed = Manifest::from_json(value.clone()).and_then(|manifest| Ok((stored(&manifest.typed()?), manifest)));
    match typed {
        Ok((stored, Manifest { kind, metadata, .. })) => {
            Ok(Loaded { kind, name: metadata.name, manifest: value, stored, source, document })
        }
        Err(error) => Err(vec![explain(&source, &value, &error)]),
    }
}

fn stored(spec: &Spec) -> Value {
    match spec {
        Spec::Connection(spec) => json!(spec),
        Spec::Credential(spec) => json!(spec),
        Spec::Function(spec) => json!(spec),
        Spec::Entitlement(spec) => json!(spec),
        Spec::RoleBinding(spec) => json!(spec),
        Spec::Policy(spec) => json!(spec),
        Spec::EventSource(spec) => json!(spec),
        Spec::Worker(spec) => json!(spec),
    }
}

/// Compiles a document, so that what is wrong in it shows at its line and column.
fn compile(path: PathBuf, text: &str) -> Result<Source, Vec<Finding>> {
    let name = path.display().to_string();
    let told = |wrong: mandate_flow::Diagnostics| -> Vec<Finding> {
        let mut findings: Vec<_> = wrong.as_slice().iter().map(|found| Finding::of(found, text)).collect();
        findings.extend(rest(&name, wrong.more()));
        findings
    };
    let spanned = yaml::parse(&name, text).map_err(told)?;
    Program::from_spanned(spanned.clone()).map_err(told)?;
    Ok(Source { name, text: text.to_owned(), spanned: Some(spanned) })
}

/// That there are more findings in a file than are told.
fn rest(file: &str, more: usize) -> Option<Finding> {
    (more > 0).then(|| Finding::about(file, &format!("{more} more places in it are wrong"), None))
}

/// Compiles a document that stands in the manifest itself.
fn compile_inline(manifest: &Source, document: Value) -> Result<(), Vec<Finding>> {
    let told = |found: &Diagnostic| {
        let pointer = format!("/spec/document{}", found.pointer);
        manifest.finding(found.code, &pointer, &found.message, found.help.as_deref())
    };
    match Program::from_json(document) {
        Ok(_) => Ok(()),
        Err(wrong) => Err(wrong.as_slice().iter().map(told).chain(rest(&manifest.name, wrong.more())).collect()),
    }
}

/// Points at the key that is not known, where the error names one.
fn explain(source: &Source, value: &Value, error: &DirectoryError) -> Finding {
    let message = error.to_string();
    if matches!(error, DirectoryError::UnknownKind { .. }) {
        return source.finding("manifest", "/kind", &message, None);
    }
    if matches!(error, DirectoryError::NoKind { .. }) {
        let known = ["apiVersion", "metadata", "spec"];
        let odd = value.as_object().and_then(|map| map.keys().find(|key| !known.contains(&key.as_str())));
        let place = source.spanned.as_ref().and_then(|spanned| match odd {
            Some(key) => spanned.key_place(&format!("/{}", escaped(key))),
            None => spanned.place(""),
        });
        return source.at("manifest", place, &message, None);
    }
    let name = value.pointer("/metadata/name").and_then(Value::as_str);
    if name.is_some_and(|name| name.parse::<ResourceName>().is_err()) {
        return source.finding("manifest", "/metadata/name", &message, None);
    }
    let named = message.split("unknown field `").nth(1).and_then(|rest| rest.split('`').next());
    let pointer = named.and_then(|key| pointer_of_key(value, key, String::new()));
    match (pointer, &source.spanned) {
        (Some(pointer), Some(spanned)) => source.at("manifest", spanned.key_place(&pointer), &message, None),
        _ => source.finding("manifest", "/spec", &message, None),
    }
}

fn pointer_of_key(value: &Value, key: &str, at: String) -> Option<String> {
    match value {
        Value::Object(map) => {
            if map.contains_key(key) {
                return Some(format!("{at}/{}", escaped(key)));
            }
            map.iter().find_map(|(name, inner)| pointer_of_key(inner, key, format!("{at}/{}", escaped(name))))
        }
        Value::Array(items) => items
            .iter()
            .zip(0..)
            .find_map(|(inner, i): (&Value, usize)| pointer_of_key(inner, key, format!("{at}/{i}"))),
        _ => None,
    }
}

/// A key as a JSON pointer writes it (RFC 6901 §3).
fn escaped(key: &str) -> String {
    key.replace('~', "~0").replace('/', "~1")
}

#[cfg(test)]
mod tests;
